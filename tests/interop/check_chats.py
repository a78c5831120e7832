#!/usr/bin/env python3
"""Chat templates: renders them with Hugging Face transformers, and compares what the program made of the same.

    check_chats.py write ENGINE CASES       every template of ENGINE/models/templates with every conversation of tests/data/chat
    check_chats.py compare CASES OUT KNOWN  OUT: what tests/tools/chat_render.c made of CASES; KNOWN: lines "TEMPLATE CASE"
                                            that are known to differ

Fails when one differs that is not known, or does not that is.
"""
import collections
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "chat"))

NOW = 1785340805
TOKENS = ("<s>", "</s>")


def write(engine, out):
    from conversations import conversations
    from reference import clock, render

    clock(NOW)
    folder = os.path.join(engine, "models", "templates")
    with open(out, "w", encoding="utf-8") as f:
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".jinja"):
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as t:
                text = t.read()
            for case, chat in conversations().items():
                row = {"template": name[:-6], "case": case, "chat": chat, "bos": TOKENS[0], "eos": TOKENS[1]}
                f.write(json.dumps(dict(row, **render(text, chat, *TOKENS)), ensure_ascii=False) + "\n")


def compare(cases, out, known):
    with open(known, encoding="utf-8") as f:
        known = {line.strip() for line in f if line.strip() and not line.startswith("#")}
    counts = collections.Counter()
    wrong = 0
    with open(cases, encoding="utf-8") as a, open(out, encoding="utf-8") as b:
        for case, got in zip(a, b, strict=True):
            case, got = json.loads(case), json.loads(got)
            want, have = case["expected"], got["got"]
            what = ("equal" if want is not None else "refused by both") if want == have else (
                "differs" if None not in (want, have) else "refused by us" if have is None else "refused by transformers")
            counts[what] += 1
            name = case["template"] + " " + case["case"]
            if (want != have) != (name in known):
                wrong += 1
                print(f"{name}: {what}{', but known to differ' if want == have else ''}")
                print("   ", case.get("error") or got.get("error") or "")
    print("chats: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    return wrong


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(*sys.argv[2:])
    else:
        sys.exit(1 if compare(*sys.argv[2:]) else 0)
