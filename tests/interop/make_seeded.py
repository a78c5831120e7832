#!/usr/bin/env python3
"""Makes the files of a folder of tests/data/seeded (its README says what they are); called by seeded.sh.

    make_seeded.py tables FOLDER                     tensors.tsv, from hf/config.json by the transformers class, or from a list
    make_seeded.py goldens FOLDER CHECKPOINT SEED    golden_*.json and plan.json, what transformers computes; status 4: this seed
                                                     gives no clear plan, or experts that are chosen by less than rounding
    make_seeded.py check FOLDERS PRUNED              PRUNED/NAME, what `reap prune` made of FOLDERS/NAME's checkpoint, in transformers
    make_seeded.py converted FOLDER CHECKPOINT SRC   gguf.tsv, what the converter of llama.cpp (its sources: SRC) makes of it

hf/config.json is written by hand, in the form of the published checkpoints. What it does not say stands in make.json, all of it optional:

    transformers  false: transformers has no such class, no goldens, and a plan by place
    tensors       {"NAME": [SHAPE]}: instead of asking transformers. "{0-7}" in a name stands for each of these numbers
    extra         the same, beside those that transformers has (MTP blocks)
    rename        [[REGEX, TEXT]]: names that save_pretrained does not write as they are published
    drop          [REGEX]: tensors that save_pretrained writes and published checkpoints do not have
    values        [[REGEX, LOW, HIGH]]: before the ranges of `ranges` below; [REGEX, "ids", E]: of each token others of E experts
    dtypes        [[REGEX, "F32"]]: other types than BF16
    ignored       [REGEX]: tensors that transformers leaves out, or that it makes anew where they are missing
    config        {KEY: VALUE}: what transformers is told beside config.json, where it does not read what published configs say
    as            {KEY: VALUE}: the config that transformers is given instead, where it does not read the published form at all; "@": "KEY"
                  in an object stands for what config.json has under this key
    keep          how many experts a plan keeps; else about three quarters
    axis          [REGEX]: further tensors whose first dimension is the expert
    pre           tokenizer.ggml.pre; else qwen2
    scale         the block multiplies what its experts give by this, which the engine counts as part of the gate
    no_mtp        true: the converter is told to leave MTP blocks out, as for a checkpoint that has none
    half_gelu     true: transformers computes GELU as the engine does, by F16
    rotation      a model of transformers whose functions rotate, where those of the class rotate whole heads whatever the config says
    plain_config  true: the converter reads config.json itself, as with a transformers that lacks the class; what this one makes of it misses keys
    form          the checkpoint is quantised (seeded_forms.py): transformers and the converter are given its numbers, dequantised
    no_idle       true: transformers makes gate_up_proj of experts that do nothing (LongCat), which no checkpoint has and nothing reads: without
    by_place      true: the plan goes by places, and there are log-probabilities alone: experts are not called as elsewhere, or nothing runs them
    cut_only      true: such checkpoints are pruned, but not converted: no gguf.tsv
    no_key        [NAME]: keys of the converter's that are not compared
    plain_vocab   true: the converter's class has code of its own for the published tokenizer; the common code is taken
"""
import hashlib
import json
import math
import os
import re
import struct
import sys
import tempfile

COUNTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_moe_experts", "n_experts", "moe_num_primary_experts")
KEYS = ("gate_sum", "gate_sq_sum", "ean_sum", "ean_sq_sum", "reap_sum", "reap_sq_sum", "max_activation")
NOISE = 1e-5  # relative, of the input of a layer with experts: choices that it changes are no reference


def read_json(*path, other=None):
    path = os.path.join(*path)
    if other is not None and not os.path.exists(path):
        return other
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def save_json(path, data, indent=2):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(data, f, ensure_ascii=False, indent=indent)
        f.write("\n")


def short(x):
    """Nine digits say all that is compared."""
    if isinstance(x, dict):
        return {k: short(v) for k, v in x.items()}
    if isinstance(x, list):
        return [short(v) for v in x]
    return float(f"{x:.9g}") if isinstance(x, float) else x


def save_numbers(path, data):
    """A list of numbers is one line."""
    text = json.dumps(short(data), ensure_ascii=False, indent=1)
    text = re.sub(r"\[\s+((?:-?[\d.eE+-]+,?\s+)+)\]", lambda m: "[" + re.sub(r"\s+", " ", m.group(1)).strip() + "]", text)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text + "\n")


def text_config(cfg):
    cfg = cfg.get("thinker_config", cfg)
    for key in ("text_config", "llm_config", "language_config"):
        if isinstance(cfg.get(key), dict):
            return cfg[key]
    return cfg


def n_experts(cfg):
    for c in (text_config(cfg), text_config(cfg).get("ffn_config") or {}):
        for key in COUNTS:
            if isinstance(c.get(key), int):
                return c[key]
            if isinstance(c.get(key), list):
                return c[key][0]
    raise SystemExit("config.json has no count of experts")


def drop_quantisation(cfg):
    for c in (cfg, text_config(cfg)):
        for key in ("quantization_config", "quantization"):
            c.pop(key, None)


def set_experts(x, old, new):
    """The count in all its places."""
    if isinstance(x, dict):
        for key, v in x.items():
            if key in COUNTS and v == old:
                x[key] = new
            elif key in COUNTS and isinstance(v, list):
                x[key] = [new if n == old else n for n in v]
            else:
                set_experts(v, old, new)


# ---- tables ----


def ranges(name, shape, tied):
    """What the numbers of a tensor are between: so that no layer drowns the others, and experts are told apart."""
    leaf = name.rsplit(".", 1)[-1]
    fan = shape[-1] if len(shape) > 1 else 1
    even = lambda std: (-std * math.sqrt(3), std * math.sqrt(3))
    expert = re.search(r"experts\.(?:\w+s\.)?(\d+)\.", name)
    if re.search(r"(correction_bias|expert_bias|router_bias)$", name):
        return even(0.1)
    if leaf == "A_log":
        return 0.0, 2.0
    if leaf == "dt_bias":
        return -4.0, -0.5
    if leaf == "D":
        return 0.5, 1.5
    if leaf == "sinks":
        return even(1.0)
    if "conv" in name and leaf == "weight":
        return even(0.4)
    if "norm" in name.lower() and len(shape) == 1 and leaf == "weight":
        return 0.6, 1.4
    if re.search(r"(embed_tokens|embeddings|embedding|wte)\.weight$", name):
        return even(0.25 if tied else 0.8)
    if "lm_head" in name or "shared_head.head" in name:
        return even(1.5 / math.sqrt(fan))
    if re.search(r"\.(gate|router|router\.gate|router\.layer|gate\.wg|primary_router)\.weight$", name):
        return even(2.0 / math.sqrt(fan))
    if expert or re.search(r"experts\.(gate_up_proj|down_proj)$|(input|output)_linear\.weight$", name):
        down = re.search(r"(down_proj|down_projs\.\d+|w2|output_linear)(\.weight)?$", name)
        spread = 1.0
        if down and expert:  # experts differ in how much they say
            spread = math.exp(0.8 * math.sin(1 + 2.4 * int(expert.group(1))))
        return even((0.9 if down else 1.6) * spread / math.sqrt(fan))
    if leaf.endswith("bias"):
        return even(0.2)
    if re.search(r"(o_proj|out_proj|dense|down_proj)\.weight$", name):
        return even(0.8 / math.sqrt(fan))
    if len(shape) > 1:
        return even(1.2 / math.sqrt(fan))
    return even(0.3)


def spread_names(listed):
    out = {}
    for name, shape in listed.items():
        names = [name]
        while True:
            m = re.search(r"\{(\d+)-(\d+)\}", names[0])
            if not m:
                break
            names = [n.replace(m.group(0), str(i), 1) for n in names for i in range(int(m.group(1)), int(m.group(2)) + 1)]
        out.update({n: tuple(shape) for n in names})
    return out


def transformers_shapes(folder, told):
    """What save_pretrained writes for a model of this config, with the keys that transformers is told."""
    import torch
    import transformers
    from safetensors import safe_open
    with tempfile.TemporaryDirectory() as tmp:
        cfg = read_json(folder, "hf", "config.json")
        text_config(cfg).update(told)
        drop_quantisation(cfg)
        cls = getattr(transformers, cfg["architectures"][0])
        save_json(os.path.join(tmp, "config.json"), cfg)
        config = transformers.AutoConfig.from_pretrained(tmp)
        model = cls._from_config(config, dtype=torch.float32)
        model.save_pretrained(tmp)
        out = {}
        for f in sorted(os.listdir(tmp)):
            if f.endswith(".safetensors"):
                with safe_open(os.path.join(tmp, f), "pt") as st:
                    out.update({n: tuple(st.get_slice(n).get_shape()) for n in st.keys()})
        return out


def order(name):
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)]


def dtype_of(make, name):
    return next((t for p, t in make.get("dtypes", []) if re.search(p, name)), "BF16")


def values_of(make, name, shape, tied):
    return next(([lo, hi] for p, lo, hi in make.get("values", []) if re.search(p, name)), None) or ranges(name, shape, tied)


def quantised_tables(folder, make, shapes, tied):
    import seeded_forms
    with open(os.path.join(folder, "tensors.tsv"), "w", encoding="utf-8") as f:
        f.write("seed 1\n")
        rows = seeded_forms.stored(make["form"], shapes, lambda name, shape: values_of(make, name, shape, tied))
        for name, dtype, shape, text in sorted(rows, key=lambda r: order(r[0])):
            f.write(f"{name}\t{dtype or dtype_of(make, name)}\t{','.join(map(str, shape)) or '-'}\t{text}\n")


def tables(folder):
    make = read_json(folder, "make.json", other={})
    tied = bool(read_json(folder, "hf", "config.json").get("tie_word_embeddings"))
    shapes = spread_names(make["tensors"]) if "tensors" in make else transformers_shapes(folder, make.get("config", {}))
    for pattern, text in make.get("rename", []):
        shapes = {re.sub(pattern, text, n): s for n, s in shapes.items()}
    shapes = {n: s for n, s in shapes.items() if not any(re.search(p, n) for p in make.get("drop", []))}
    shapes.update(spread_names(make.get("extra", {})))
    if "form" in make:
        return quantised_tables(folder, make, shapes, tied)
    from seeded_forms import ids_text
    with open(os.path.join(folder, "tensors.tsv"), "w", encoding="utf-8") as f:
        f.write("seed 1\n")
        for name in sorted(shapes, key=order):
            shape, dtype = shapes[name], dtype_of(make, name)
            lo, hi = values_of(make, name, shape, tied)
            text = "bits" if lo == "bits" else "list\t" + ids_text(shape, hi) if lo == "ids" else f"{lo:.4g}\t{hi:.4g}"
            f.write(f"{name}\t{dtype}\t{','.join(map(str, shape)) or '-'}\t{text}\n")


# ---- goldens ----


def rotate_as(cls, other):
    """The class with another model's functions of rotation."""
    import importlib
    ours, theirs = sys.modules[cls.__module__], importlib.import_module(f"transformers.models.{other}.modeling_{other}")
    ours.apply_rotary_pos_emb = theirs.apply_rotary_pos_emb
    rotary = [next(c for n, c in vars(m).items() if n.endswith("RotaryEmbedding")) for m in (ours, theirs)]
    rotary[0].compute_default_rope_parameters = staticmethod(rotary[1].compute_default_rope_parameters)


def without_idle(cls):
    import torch
    experts = sys.modules[cls.__module__].LongcatFlashExperts
    if hasattr(experts, "as_it_was"):
        return
    experts.as_it_was = experts.__init__

    def init(self, config):
        experts.as_it_was(self, config)
        self.gate_up_proj = torch.nn.Parameter(self.gate_up_proj[:self.num_routed_experts].clone())
    experts.__init__ = init


def load(folder, make):
    import torch
    import transformers
    config, ignored = read_json(folder, "config.json"), make.get("ignored", [])
    cls = getattr(transformers, config["architectures"][0])
    if make.get("rotation"):
        rotate_as(cls, make["rotation"])
    if make.get("no_idle"):
        without_idle(cls)
    model, info = cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager",
                                      output_loading_info=True, ignore_mismatched_sizes=True)
    bad = {kind: sorted(map(str, names)) for kind, names in info.items()}
    for kind in ("unexpected_keys", "missing_keys"):
        bad[kind] = [n for n in bad.get(kind, []) if not any(re.search(p, n) for p in ignored)]
    for kind, names in bad.items():
        if names:
            raise SystemExit(f"{folder}: {len(names)} {kind.replace('_', ' ')}: {', '.join(names[:4])}")
    return model.eval()


class Paired:
    """The experts of Granite's blocks, which hold them in two stacks without a module of their own."""

    def __init__(self, block):
        self.block = block

    def forward(self, x, idx, w):
        import torch
        out = torch.zeros_like(x)
        for s in range(idx.shape[1]):
            gate, up = torch.einsum("td,tgd->tg", x, self.block.input_linear.weight[idx[:, s]]).chunk(2, -1)
            y = torch.einsum("tg,tdg->td", self.block.activation(gate) * up, self.block.output_linear.weight[idx[:, s]])
            out += y * w[:, s:s + 1]
        return out

    def chosen(self, x):
        logits = self.block.router.layer(x).float()
        top, idx = logits.topk(self.block.router.top_k, dim=1)
        return idx, top.softmax(-1)


class OnInput(Paired):
    """Llama-4's experts, whose input the gate multiplies: what they give is what they add."""

    def forward(self, x, idx, w):
        import torch
        out, e = torch.zeros_like(x), self.block.experts
        for s in range(idx.shape[1]):
            at, y = idx[:, s], x * self.block.router(x)[0].gather(1, idx[:, s:s + 1])
            gate, up = torch.einsum("td,tdg->tg", y, e.gate_up_proj[at]).chunk(2, -1)
            out += torch.einsum("tg,tgd->td", up * e.act_fn(gate), e.down_proj[at])
        return out

    def chosen(self, x):
        top, idx = self.block.router(x)[1].topk(self.block.top_k, dim=1)
        return idx, top.sigmoid()


def halve_gelu(model):
    """The engine looks GELU up in a table of F16 (ggml-cpu/vec.h); so must who is compared with it."""
    import torch

    class HalfGelu(torch.nn.Module):
        def forward(self, x):
            y = torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
            return torch.where(x <= -10, 0.0, torch.where(x >= 10, x, y))
    for mod in model.modules():
        if "gelu" in type(getattr(mod, "act_fn", None)).__name__.lower():
            mod.act_fn = HalfGelu()
    return model


def blocks_of(model):
    """Layers with experts: number, the module that holds them, the module of the experts."""
    for name, mod in model.named_modules():
        m = re.search(r"layers\.(\d+)(\.|$)", name)
        experts = getattr(mod, "experts", None)
        if m and type(mod).__name__ == "Llama4TextMoe":
            yield int(m.group(1)), mod, OnInput(mod)
        elif m and experts is not None and hasattr(experts, "forward") and type(experts).forward is not type(mod).forward:
            yield int(m.group(1)), mod, experts
        elif m and hasattr(mod, "input_linear") and hasattr(mod, "router"):
            yield int(m.group(1)), mod, Paired(mod)


def log_probs(model, ids):
    """[token, what it is told]: of tokens, or of labels of tokens."""
    import torch
    x = dict(input_ids=torch.tensor([ids]))
    canvas = hasattr(model.config, "canvas_length")  # block diffusion: always with a cache
    if canvas or model.config.is_encoder_decoder:
        x["decoder_input_ids"] = x["input_ids"]
    x.update({} if canvas else dict(use_cache=False))
    return torch.log_softmax(model(**x).logits[0].double(), -1)


def rows_of(model, samples):
    """Of each token but the first; of labels the one that its number falls on."""
    for ids in samples:
        lp = log_probs(model, ids)
        yield [lp[i, ids[i + 1] % lp.shape[-1]].item() for i in range(len(ids) - 1)]


def run(model, samples, n, noise=None, scale=1):
    """Log-probabilities, sums per expert, and who was chosen."""
    import numpy as np
    import torch
    stats, halves, chosen, hooks, half = {}, ({}, {}), [], [], 0
    rng = torch.Generator().manual_seed(noise or 0)

    def tally(layer, block, experts, x, idx, w):
        scale = getattr(getattr(block, "router", None), "per_expert_scale", None)  # of the gate here, of the expert in the engine
        st = stats.setdefault(layer, dict(count=np.zeros(n, np.int64), **{k: np.zeros(n) for k in KEYS}))
        part = halves[half].setdefault(layer, dict(count=np.zeros(n, np.int64), reap_sum=np.zeros(n)))
        for s in range(idx.shape[1]):
            one = idx[:, s:s + 1]
            f = type(experts).forward(experts, x, one, torch.ones_like(w[:, :1]))
            both = (f if isinstance(experts, OnInput) else f * w[:, s:s + 1]).double().norm(dim=-1).numpy()
            by = 1 if scale is None else scale[one]
            f, g, at = f * by, (w[:, s:s + 1] / by)[:, 0].double().numpy(), one[:, 0].numpy()
            norm = f.double().norm(dim=-1).numpy()
            for key, v in (("gate_sum", g), ("gate_sq_sum", g * g), ("ean_sum", norm), ("ean_sq_sum", norm * norm), ("reap_sum", both),
                           ("reap_sq_sum", both * both)):
                np.add.at(st[key], at, v)
            np.maximum.at(st["max_activation"], at, f.abs().amax(-1).double().numpy())
            np.add.at(st["count"], at, 1)
            np.add.at(part["count"], at, 1)
            np.add.at(part["reap_sum"], at, both)

    def experts_hook(layer, block, experts):
        def hook(mod, args, kwargs):
            a = list(args) + list(kwargs.values())
            x = a[0].reshape(-1, a[0].shape[-1])
            idx, w = experts.chosen(x) if isinstance(experts, Paired) else a[1:3]
            if idx.is_floating_point():
                idx, w = w, idx
            chosen.append(idx.sort(-1).values)
            if not noise:
                tally(layer, block, experts, x, idx, w.float() * scale)
        return hook

    def shake(mod, args, kwargs):
        name = None if args else next(iter(kwargs))
        x = kwargs[name] if name else args[0]
        y = x * (1 + NOISE * torch.randn(x.shape, generator=rng))
        return (args, {**kwargs, name: y}) if name else ((y,) + args[1:], kwargs)

    for layer, block, experts in blocks_of(model):
        if noise:
            hooks.append(block.register_forward_pre_hook(shake, with_kwargs=True))
        at = block if isinstance(experts, Paired) else experts
        hooks.append(at.register_forward_pre_hook(experts_hook(layer, block, experts), with_kwargs=True))
    rows = []
    for number, ids in enumerate(samples):
        half = number % 2
        rows += rows_of(model, [ids])
    for h in hooks:
        h.remove()
    return dict(rows=rows, stats=dict(sorted(stats.items())), halves=halves, chosen=chosen)


def steady(model, samples, n, res):
    import torch
    for noise in range(1, 4):
        other = run(model, samples, n, noise)["chosen"]
        if not all(torch.equal(a, b) for a, b in zip(res["chosen"], other)):
            return False
    return True


def groups_of(cfg):
    c = text_config(cfg)
    return c.get("n_group") or c.get("num_expert_group") or 1


def make_plan(cfg, make, res, n):
    import numpy as np
    groups = groups_of(cfg)
    keep = make.get("keep") or max(n * 3 // 4 // groups * groups, groups * 2)
    plan, gap = {}, math.inf
    for layer, st in res["stats"].items():
        if not (st["count"] > 0).all():
            return None, f"an expert of layer {layer} was never chosen"
        score, ids = st["reap_sum"] / np.maximum(st["count"], 1), []
        for g in range(groups):
            order = sorted(range(g * n // groups, (g + 1) * n // groups), key=lambda j: -score[j])
            cut = keep // groups
            ids += order[:cut]
            gap = min(gap, (score[order[cut - 1]] - score[order[cut]]) / score[order[cut - 1]])
        plan[str(layer)] = sorted(ids)
    if gap < 0.01:
        return None, f"scores at the cut differ by {gap:.4f} only"
    return dict(schema="reap.plan/1", n_keep=keep, keep=plan), None


def block_of(name, cfg):
    """The number of a tensor's block, those of a decoder behind the encoder's, and the name behind it; None: it is in none."""
    m = None if re.match("vision|audio", name) else re.search(r"(?<!mtp_)(?:layers|blocks|block|h)\.(\d+)\.(.*)", name)
    c = text_config(cfg)
    behind = c.get("encoder_layers") or c.get("num_layers") if c.get("is_encoder_decoder") and re.match(r"(model\.)?decoder\.", name) else 0
    return (int(m.group(1)) + behind, m.group(2)) if m else None


def plan_by_place(folder, cfg):
    """Without statistics: of four experts another one goes in each layer."""
    c, n = text_config(cfg), n_experts(cfg)
    last = math.inf if c.get("is_encoder_decoder") else c.get("num_hidden_layers") or c.get("n_layers") or c["num_layers"]
    with open(os.path.join(folder, "tensors.tsv"), encoding="utf-8") as f:
        found = [block_of(line.split("\t")[0], cfg) for line in f]
    layers = sorted({x[0] for x in found if x and re.search(r"\bexperts\.|^moe\.", x[1]) and "shared" not in x[1]})
    keep = {str(i): [j for j in range(n) if (j + i) % 4] for i in layers if i < last}
    return dict(schema="reap.plan/1", n_keep=n * 3 // 4, keep=keep)


def cut_table(t, ids):
    """A table of experts for each token: ids that stay are counted anew; then, in the place of one that is gone, from (place in the table)
    mod (experts that stay) on the first that the token does not have."""
    table = t.tolist()
    for token, row in enumerate(table):
        new = [ids.index(j) if j in ids else None for j in row]
        for s in range(len(new)):
            j = (token * len(new) + s) % len(ids)
            while new[s] is None:
                new[s], j = (None if j in new else j), (j + 1) % len(ids)
        table[token] = new
    return t.new_tensor(table)


def prune(checkpoint, out, cfg, make, plan, n):
    """The checkpoint without the experts that the plan drops, by names and shapes alone."""
    import shutil
    from safetensors.torch import load_file, save_file
    tensors, pruned = load_file(os.path.join(checkpoint, "model.safetensors")), {}
    keep, idle = {int(k): v for k, v in plan["keep"].items()}, text_config(cfg).get("zero_expert_num", 0)
    for name, t in tensors.items():
        block, rest = block_of(name, cfg) or (None, None)
        ids = keep.get(block, keep[max(keep)] if block > max(keep) else None) if rest else None
        if ids is None:
            pruned[name] = t
            continue
        one = re.search(r"experts\.(?:expert_)?(\d+)\.", rest)
        named = re.search(r"experts\.|router|\bgate\b|e_score_correction_bias|expert_bias|(input|output)_linear|moe_statics", rest)
        named = named or any(re.search(p, rest) for p in make.get("axis", []))
        if rest.endswith("tid2eid"):
            pruned[name] = cut_table(t, ids)
        elif one and "shared" not in rest:
            j = int(one.group(1))
            if j in ids:
                a, b = one.span(1)
                pruned[name[:len(name) - len(rest)] + rest[:a] + str(ids.index(j)) + rest[b:]] = t
        elif named and "shared" not in rest and idle and t.shape[0] == n + idle:
            pruned[name] = t[ids + list(range(n, n + idle))].contiguous()
        elif named and "shared" not in rest and t.shape[0] == n:
            pruned[name] = t[ids].contiguous()
        elif named and t.ndim == 2 and t.shape == (1, n):
            pruned[name] = t[:, ids].contiguous()
        else:
            pruned[name] = t
    for f in os.listdir(checkpoint):
        if not f.endswith(".safetensors"):
            shutil.copy(os.path.join(checkpoint, f), out)
    set_experts(cfg, n, plan["n_keep"])
    save_json(os.path.join(out, "config.json"), cfg)
    save_file(pruned, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})


def logprobs(res, names):
    rows = res["rows"]
    return dict(schema="reap.golden_logprobs/1", mean_nll=-sum(map(sum, rows)) / sum(map(len, rows)), n_predicted=sum(map(len, rows)),
                samples=[dict(id=i, nll=-math.fsum(r) / max(1, len(r)), logprobs=r) for i, r in zip(names, rows)])


def in_numbers(checkpoint, make):
    """A quantised folder as one of BF16 or F16."""
    if "form" not in make:
        return checkpoint
    import shutil
    import seeded_forms
    from safetensors.torch import load_file, save_file
    cfg, tmp = read_json(checkpoint, "config.json"), tempfile.mkdtemp()  # in the reference's own /tmp
    for f in os.listdir(checkpoint):
        if f.endswith(".json") and f not in ("config.json", "hf_quant_config.json") and "index" not in f:
            shutil.copy(os.path.join(checkpoint, f), tmp)
    drop_quantisation(cfg)
    save_json(os.path.join(tmp, "config.json"), cfg)
    tensors = {}
    for f in os.listdir(checkpoint):
        if f.endswith(".safetensors"):
            tensors.update(load_file(os.path.join(checkpoint, f)))
    save_file(seeded_forms.dequantised(make["form"], tensors), os.path.join(tmp, "model.safetensors"), metadata={"format": "pt"})
    return tmp


def put_in(x, cfg):
    """What make.json has under "as", with the parts of config.json that it names."""
    if not isinstance(x, dict):
        return x
    out = dict(cfg[x["@"]]) if "@" in x else {}
    return {**out, **{k: put_in(v, cfg) for k, v in x.items() if k != "@"}}


def as_told(checkpoint, make):
    """The folder with the keys that transformers is told beside config.json, or instead."""
    checkpoint = in_numbers(checkpoint, make)
    if not make.get("config") and not make.get("as"):
        return checkpoint
    cfg, tmp = read_json(checkpoint, "config.json"), tempfile.mkdtemp()  # in the reference's own /tmp
    for f in os.listdir(checkpoint):
        os.symlink(os.path.join(checkpoint, f), os.path.join(tmp, f))
    os.remove(os.path.join(tmp, "config.json"))
    if make.get("as"):
        save_json(os.path.join(tmp, "config.json"), put_in(make["as"], cfg))
        return tmp
    keep = n_experts(cfg)
    text_config(cfg).update(make["config"])
    if n_experts(cfg) != keep:  # they say the whole number
        set_experts(cfg, n_experts(cfg), keep)
    save_json(os.path.join(tmp, "config.json"), cfg)
    return tmp


def check(folders, pruned):
    """What `reap prune` made of each folder's checkpoint, loaded by transformers: as check_checkpoint.py does it."""
    import torch
    import transformers
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    failed, all_names = 0, sorted(os.listdir(pruned))
    for name in all_names:
        folder, checkpoint = os.path.join(folders, name), os.path.join(pruned, name)
        try:
            make, want = read_json(folder, "make.json", other={}), read_json(folder, "pruned_golden_logprobs.json")["samples"]
            rows = read_json(folder, "..", "..", "families", "qwen3_moe", "golden_tokens.json")["samples"]
            cfg = read_json(checkpoint, "config.json")
            model = load(as_told(checkpoint, make), make)
            model = halve_gelu(model) if make.get("half_gelu") else model
            got = list(rows_of(model, [r["ids"] for r in rows]))
            if [len(r) for r in got] != [len(x["logprobs"]) for x in want]:
                raise ValueError("another number of log-probabilities")
            worst = max(abs(a - b) for r, x in zip(got, want) for a, b in zip(r, x["logprobs"]))
            ok, said = worst <= 1e-4, f"{sum(map(len, got))} tokens, largest difference {worst:.1e}"
        except (Exception, SystemExit) as e:  # whatever keeps it from loading is the result
            ok, said = False, f"{type(e).__name__}: {' '.join(str(e).split())[:300]}"
        failed += not ok
        print(f"{'ok' if ok else 'FAIL':4} {name:20} {said}", flush=True)
    print(f"{len(all_names) - failed} passed, {failed} failed")
    return 1 if failed or not all_names else 0


def goldens_by_place(folder, checkpoint, cfg, make, model, rows):
    names, samples, plan = [r["id"] for r in rows], [r["ids"] for r in rows], plan_by_place(folder, cfg)
    res = dict(rows=list(rows_of(model, samples)))
    with tempfile.TemporaryDirectory() as tmp:
        prune(checkpoint, tmp, cfg, make, plan, n_experts(cfg))
        cut = dict(rows=list(rows_of(load(tmp, make), samples)))
    save_numbers(os.path.join(folder, "golden_logprobs.json"), logprobs(res, names))
    save_json(os.path.join(folder, "plan.json"), plan, None)
    save_numbers(os.path.join(folder, "pruned_golden_logprobs.json"), logprobs(cut, names))
    print(f"NLL {logprobs(res, names)['mean_nll']:.4f}, pruned {logprobs(cut, names)['mean_nll']:.4f}")
    return 0


def goldens(folder, checkpoint, seed):
    import torch
    import transformers
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    make, cfg = read_json(folder, "make.json", other={}), read_json(checkpoint, "config.json")
    if not make.get("transformers", True):
        save_json(os.path.join(folder, "plan.json"), plan_by_place(folder, cfg), None)
        return 0
    checkpoint = as_told(checkpoint, make)
    cfg = read_json(checkpoint, "config.json")
    rows = read_json(folder, "..", "..", "families", "qwen3_moe", "golden_tokens.json")["samples"]
    names, samples, n = [r["id"] for r in rows], [r["ids"] for r in rows], n_experts(cfg)
    as_engine = halve_gelu if make.get("half_gelu") else lambda model: model
    model = as_engine(load(checkpoint, make))
    if make.get("by_place"):
        return goldens_by_place(folder, checkpoint, cfg, make, model, rows)
    res = run(model, samples, n, scale=make.get("scale", 1))
    plan, why = make_plan(cfg, make, res, n)
    if plan and not steady(model, samples, n, res):
        why = "rounding would change who is chosen"
    if not why:
        with tempfile.TemporaryDirectory() as tmp:
            prune(checkpoint, tmp, cfg, make, plan, n)
            model = as_engine(load(tmp, make))
            cut = run(model, samples, plan["n_keep"])
            if not steady(model, samples, plan["n_keep"], cut):
                why = "rounding would change who is chosen behind the cut"
    if why:
        print(f"seed {seed}: {why}")
        return 4
    tokens = sum(map(len, samples))
    first = next(iter(res["stats"].values()))
    stats = dict(schema="reap.golden_stats/1", n_tokens=tokens, n_samples=len(samples), top_k=int(first["count"].sum()) // tokens,
                 n_experts=n, layers={str(k): {a: b.tolist() for a, b in st.items()} for k, st in res["stats"].items()})
    for name, part in zip(("even_samples", "odd_samples"), res["halves"]):
        stats[name] = {str(k): {a: b.tolist() for a, b in st.items()} for k, st in sorted(part.items())}
    save_numbers(os.path.join(folder, "golden_stats.json"), stats)
    save_numbers(os.path.join(folder, "golden_logprobs.json"), logprobs(res, names))
    save_numbers(os.path.join(folder, "plan.json"), plan)
    save_numbers(os.path.join(folder, "pruned_golden_logprobs.json"), logprobs(cut, names))
    print(f"seed {seed}: {len(res['stats'])} layers with experts, {tokens} tokens, NLL {logprobs(res, names)['mean_nll']:.4f}, "
          f"pruned {logprobs(cut, names)['mean_nll']:.4f}")
    return 0


# ---- converted ----


def converted(folder, checkpoint, src):
    sys.path[:0] = [os.path.join(src, "gguf-py"), src]
    from pathlib import Path
    import gguf
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
    import transformers
    make = read_json(folder, "make.json", other={})
    if make.get("cut_only"):
        return 0
    checkpoint = in_numbers(checkpoint, make)
    auto = transformers.AutoTokenizer.from_pretrained

    def tokenizer_of(path, **options):
        try:
            return auto(path, **options)
        except Exception:  # the config of a class that transformers lacks does not pass its checks
            return transformers.PreTrainedTokenizerFast.from_pretrained(path)
    transformers.AutoTokenizer.from_pretrained = tokenizer_of
    if make.get("plain_config"):
        del transformers.AutoConfig.from_pretrained
    hparams = ModelBase.load_hparams(Path(checkpoint), False)
    cls = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
    cls.get_vocab_base_pre = lambda self, tokenizer: make.get("pre", "qwen2")
    exp = torch.exp  # rounded once: torch's own is off by one in the last place here and there, by the processor
    torch.exp = lambda x: exp(x.double()).to(x.dtype)
    cls.no_mtp = make.get("no_mtp", False)
    if cls.no_mtp and hasattr(cls, "_n_nextn"):  # MiMo-V2's, which no config says
        cls._n_nextn = 0
    cls._get_suppress_tokens = lambda self: None  # MiniMax-01's, by embeddings of zeros
    if hasattr(cls, "_write_mxfp4_expert_tensor"):  # DeepSeek-V4's, which takes experts of 4 bits alone and says of others what they become
        def stacked(self, bid, proj, key):
            names = [f"layers.{bid}.ffn.experts.{j}.{proj}.weight" for j in range(self.hparams["n_routed_experts"])]
            self.gguf_writer.add_tensor(self.format_tensor_name(key, bid), torch.stack([self.model_tensors[n]().float() for n in names]).numpy())
            return names
        cls._write_mxfp4_expert_tensor, cls.tensor_force_quant = stacked, lambda self, *a: False
        del cls.prepare_tensors  # says that the file has such
    if make.get("plain_vocab"):
        cls.set_vocab = lambda self: self._set_vocab_gpt2()
    with tempfile.TemporaryDirectory() as tmp:
        out = Path(tmp) / "model.gguf"
        cls(Path(checkpoint), gguf.LlamaFileType.ALL_F32, out).write()
        reader = gguf.GGUFReader(out)
        lines = []
        for key in reader.fields.values():
            if key.name.startswith("GGUF.") or key.name in make.get("no_key", []):
                continue
            types, values = key.types, key.contents()
            if types[0] == gguf.GGUFValueType.ARRAY:
                raw = b"".join(struct.pack("<Q", len(v.encode())) + v.encode() if isinstance(v, str) else key.parts[i].tobytes()
                               for v, i in zip(values, key.data))
                lines.append(f"key\t{key.name}\t[{types[1].name.lower()}]\t{len(values)} {hashlib.sha256(raw).hexdigest()}")
            elif types[0] == gguf.GGUFValueType.STRING:
                plain = len(values.encode()) <= 60 and values.isprintable() and values.isascii()
                text = values if plain else "sha256 " + hashlib.sha256(values.encode()).hexdigest()
                lines.append(f"key\t{key.name}\tstring\t{text}")
            else:
                text = f"{values:.9g}" if isinstance(values, float) else str(values).lower()
                lines.append(f"key\t{key.name}\t{types[0].name.lower()}\t{text}")
        for t in reader.tensors:
            lines.append(f"tensor\t{t.name}\t{t.tensor_type.name}\t{','.join(str(int(x)) for x in t.shape)}\t"
                         f"{hashlib.sha256(t.data.tobytes()).hexdigest()}")
    with open(os.path.join(folder, "gguf.tsv"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    return 0


def main():
    what, folder, *rest = sys.argv[1:]
    return {"tables": tables, "goldens": goldens, "converted": converted, "check": check}[what](folder, *rest) or 0


if __name__ == "__main__":
    sys.exit(main())
