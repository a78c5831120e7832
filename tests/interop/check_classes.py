#!/usr/bin/env python3
"""Every model folder of the installed transformers whose config counts experts has a row in classes.tsv, and the row is true.

    check_classes.py TABLE DATA FAMILIES

DATA is tests/data, FAMILIES what `reap families --json` says. Which folders there are is asked of transformers: a class of configs with a
field that names experts. A row says one of

    loaded   fixtures below DATA (families/NAME, seeded/NAME) that `make interop` prunes and loads in transformers: they are there, with
             log-probabilities behind a cut, and are of a config class of this folder
    cut      a fixture below DATA (structural/NAME, seeded/NAME) whose cut `make test` compares, and why transformers does not load it
    refused  why, in the words of the record, which names a class of this folder
    open     what is missing: a fault, told as such

A folder without a row, a row without a folder, and a fixture that is loaded without a row are faults, too; so is a class of these folders that
transformers loads by itself (its tables of auto classes) to write text and that no record names.
"""
import glob
import importlib
import inspect
import json
import os
import re
import sys

import transformers

MODELS = os.path.join(os.path.dirname(transformers.__file__), "models")


def read_json(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return json.load(f)


def fields(cls):
    """What a config class declares, its parents below the common one too, or sets."""
    for c in cls.__mro__:
        if c is transformers.PreTrainedConfig:
            return
        yield from inspect.get_annotations(c)
        with open(sys.modules[c.__module__].__file__, encoding="utf-8") as f:
            yield from re.findall(r"\bself\.(\w+)\s*=[^=]", f.read())


def config_classes(folder):
    for path in sorted(glob.glob(os.path.join(MODELS, folder, "configuration_*.py"))):
        module = importlib.import_module(f"transformers.models.{folder}.{os.path.basename(path)[:-3]}")
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, transformers.PreTrainedConfig) and cls.__module__ == module.__name__:
                yield cls


def counting():
    """Folder -> the model_types of its configs, where one of them counts experts."""
    found = {}
    for folder in sorted(os.listdir(MODELS)):
        classes = list(config_classes(folder))
        if any("expert" in name for cls in classes for name in fields(cls)):
            found[folder] = {cls.model_type for cls in classes} - {""}
    return found


def model_types(x):
    """Of a config.json, its nested objects' too."""
    if isinstance(x, dict):
        return {v for k, v in x.items() if k == "model_type" and isinstance(v, str)}.union(*map(model_types, x.values()))
    return set()


def writing(folders):
    """The classes of the folders that the tables of auto classes have for writing text."""
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    names = set()
    for kind in ("CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SEQ_TO_SEQ_CAUSAL_LM"):
        for value in getattr(auto, f"MODEL_FOR_{kind}_MAPPING_NAMES").values():
            names.update([value] if isinstance(value, str) else value)
    found = {}
    for folder in folders:
        for path in glob.glob(os.path.join(MODELS, folder, "modeling_*.py")):
            with open(path, encoding="utf-8") as f:
                found.update({n: folder for n in re.findall(r"^class (\w+)\(", f.read(), re.M) if n in names})
    return found


def rows_of(table):
    with open(table, encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                row = line.rstrip("\n").split("\t")
                if len(row) != 4:
                    raise SystemExit(f"{table}: {row[0]}: {len(row)} columns, expected 4")
                yield row


def is_loaded(data, fixture):
    return os.path.exists(os.path.join(data, fixture, "pruned_golden_logprobs.json"))


def types_of(data, fixture):
    """The model_types of a fixture's config.json, and of the one that transformers is given instead; None: there is no such fixture."""
    for at in ("hf", ""):
        path = os.path.join(data, fixture, at, "config.json")
        if os.path.exists(path):
            make = os.path.join(data, fixture, "make.json")
            return model_types(read_json(path)) | (model_types(read_json(make)) if os.path.exists(make) else set())
    return None


def wrong(row, types, data, families):
    """What is not as the row says; None: nothing."""
    folder, how, fixtures, why = row
    if how == "refused":
        said = [c["name"] for f in families if f.get("reason") == why for c in f["classes"] if not c["prunes"]]
        module = f"transformers.models.{folder}."
        if not any(getattr(transformers, name, object).__module__.startswith(module) for name in said):
            return f"no record refuses a class of {folder} because '{why}'"
        return "fixtures of what is refused" if fixtures else None
    if how not in ("loaded", "cut"):
        return f"open: {why}" if how == "open" else f"'{how}' is none of loaded, cut, refused, open"
    if not fixtures or (how == "cut") != bool(why):
        return "no fixture" if not fixtures else "a reason is for what is not loaded"
    for fixture in fixtures.split():
        found = types_of(data, fixture)
        if found is None:
            return f"no fixture {fixture}"
        if how == "loaded" and not is_loaded(data, fixture):
            return f"{fixture} has no log-probabilities of transformers behind a cut"
        if not found & types:
            return f"{fixture} is of {', '.join(sorted(found))}, and not of {folder}"
    return None


def main():
    table, data, families = sys.argv[1:]
    families = read_json(families)["families"]
    folders, rows, failed, count = counting(), list(rows_of(table)), 0, {}

    def fault(what, why):
        nonlocal failed
        failed += 1
        print(f"FAIL {what:24} {why}")
    for folder in sorted(folders.keys() - {r[0] for r in rows}):
        fault(folder, "counts experts and has no row")
    for i, row in enumerate(rows):
        folder, how, fixtures, why = row
        said = "stands twice" if folder in {r[0] for r in rows[:i]} else None
        said = said or ("no folder of transformers whose config counts experts" if folder not in folders else None)
        said = said or wrong(row, folders.get(folder, set()), data, families)
        if said:
            fault(folder, said)
        else:
            count[how] = count.get(how, 0) + 1
            print(f"ok   {folder:24} {how:8} {' '.join(filter(None, (fixtures, why)))}")
    named = {f for r in rows for f in r[2].split()}
    for kind in ("families", "seeded"):
        for name in sorted(os.listdir(os.path.join(data, kind))):
            if is_loaded(data, f"{kind}/{name}") and f"{kind}/{name}" not in named:
                fault(f"{kind}/{name}", "is loaded and stands in no row")
    known, classes = {c["name"] for f in families for c in f["classes"]}, writing(folders)
    for name in sorted(classes.keys() - known):
        fault(name, f"a class of {classes[name]} that no record names")
    print(f"transformers {transformers.__version__}: {len(folders)} model folders whose config counts experts; "
          + ", ".join(f"{count.get(how, 0)} {how}" for how in ("loaded", "cut", "refused")) + f"; {len(classes)} classes that write text; {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
