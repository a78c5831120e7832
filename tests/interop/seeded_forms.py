"""Quantised folders of tests/data/seeded: the tensors that a weight is made of, and what it is worth; for make_seeded.py.

make.json says {"form": {"kind": .., "group": .., "matrices": REGEX, ...}}: the weights of these names are stored in that form, all else as
it is. The formulas are those of golden_packed.py, which compares them with the forms' own libraries; codes are any bits.

    kind      awq, gptq, compressed-tensors (packed integers), mlx
    group     columns that share a scale
    bits      4, if not said
    dtype     of the scales: F16 or BF16
    eights    REGEX: of mlx, matrices in 8 bits
    stack     true: transformers wants the experts as [E, 2X, H] and [E, H, X]
"""
import math
import os
import re

import torch

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16}
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]  # where the rows of a word's nibbles stand


def spread(name, low, high):
    """Rows of a table: the scale that gives codes the standard deviation of numbers between low and high."""
    return f"{low:.4g}\t{high:.4g}"


def bits_of(form, name):
    return 8 if form.get("eights") and re.search(form["eights"], name) else form.get("bits", 4)


def rows(form, name, shape, std):
    """(name, type, shape, text) of what a weight [out, in] is stored in; std: of its numbers."""
    out, cols = shape[-2:]
    bits, group, dtype, stem = bits_of(form, name), form["group"], form["dtype"], name[:-len(".weight")]
    n, words = cols // group, -(-cols * bits // 32)
    assert cols % group == 0 and (cols * bits % 32 == 0 or form["kind"] == "compressed-tensors"), name
    even = math.sqrt((4 ** bits - 1) / 12)  # of codes; of codes less zero points that are any bits
    both = even * math.sqrt(2)
    by = lambda dev: (0.5 * std / dev, 1.5 * std / dev)
    if form["kind"] == "awq":
        yield stem + ".qweight", "I32", (cols, out * bits // 32), "bits"
        yield stem + ".qzeros", "I32", (n, out * bits // 32), "bits"
        yield stem + ".scales", dtype, (n, out), spread(name, *by(both))
    elif form["kind"] == "gptq":
        yield stem + ".qweight", "I32", (words, out), "bits"
        yield stem + ".qzeros", "I32", (n, out * bits // 32), "bits"
        yield stem + ".scales", dtype, (n, out), spread(name, *by(both))
        yield stem + ".g_idx", "I32", (cols,), f"0\t{n}"
    elif form["kind"] == "compressed-tensors":
        yield stem + ".weight_packed", "I32", (out, words), "bits"
        yield stem + ".weight_scale", dtype, (out, n), spread(name, *by(even))
        yield stem + ".weight_shape", "I64", (2,), f"list\t{out},{cols}"
    else:
        low, high = by(even)
        top = (1 << bits) - 1
        yield name, "U32", (*shape[:-1], words), "bits"
        yield stem + ".scales", dtype, (*shape[:-1], n), spread(name, low, high)
        yield stem + ".biases", dtype, (*shape[:-1], n), spread(name, -0.6 * top * high, -0.4 * top * low)


def stored(form, shapes, ranges):
    """The shapes of a checkpoint as rows of its table. MLX stacks experts."""
    known, n_experts = {}, {}
    for name, shape in shapes.items():
        one = re.search(r"\.experts\.(\d+)\.", name) if form["kind"] == "mlx" else None
        if one:
            stack = name.replace(one.group(0), ".switch_mlp.")
            n_experts[stack] = max(n_experts.get(stack, 0), int(one.group(1)) + 1)
            known[stack] = shape
        else:
            known[name] = shape
    for name, shape in known.items():
        lo, hi = ranges(name.replace(".switch_mlp.", ".experts.3."), shape)
        shape = (n_experts[name], *shape) if name in n_experts else shape
        if re.search(form["matrices"], name):
            yield from rows(form, name, shape, hi / math.sqrt(3))
        else:
            yield name, None, shape, spread(name, lo, hi)


# ---- what they are worth ----


def codes(words, bits):
    """Of 32-bit words along the last dimension, the first in the lowest bits."""
    w = words.view(torch.int32).to(torch.int64) & 0xFFFFFFFF
    c = (w.unsqueeze(-1) >> torch.arange(0, 32, bits)) & ((1 << bits) - 1)
    return c.reshape(*words.shape[:-1], -1)


def awq(t, stem, bits):
    place = torch.tensor(AWQ_ORDER).argsort()
    order = lambda w: codes(w, bits).unflatten(-1, (-1, 8))[..., place].flatten(-2)
    c, z, s = order(t[stem + ".qweight"]), order(t[stem + ".qzeros"]), t[stem + ".scales"]
    g = torch.arange(c.shape[0]) // (c.shape[0] // s.shape[0])
    return ((c - z[g]).to(s.dtype) * s[g]).T


def gptq(t, stem, bits):
    c, s, g = codes(t[stem + ".qweight"].T.contiguous(), bits).T, t[stem + ".scales"], t[stem + ".g_idx"].long()
    ones = sum(1 << i for i in range(0, 32, bits))  # to whole words, with the carry, as GPTQModel adds it
    words = ((t[stem + ".qzeros"].to(torch.int64) & 0xFFFFFFFF) + ones) & 0xFFFFFFFF
    z = codes(torch.where(words >= 1 << 31, words - (1 << 32), words).to(torch.int32), bits)
    return (s[g] * (c - z[g]).to(s.dtype)).T


def packed(t, stem, bits):
    cols = t[stem + ".weight_shape"][1].item()  # what is behind them fills the last word
    c, s = codes(t[stem + ".weight_packed"], bits)[:, :cols] - (1 << bits - 1), t[stem + ".weight_scale"]
    return c.to(s.dtype) * s.repeat_interleave(c.shape[1] // s.shape[1], 1)


def mlx(t, stem, bits):
    c, s, b = codes(t[stem + ".weight"], bits), t[stem + ".scales"], t[stem + ".biases"]
    by = c.shape[-1] // s.shape[-1]
    return c.to(s.dtype) * s.repeat_interleave(by, -1) + b.repeat_interleave(by, -1)


KINDS = {"awq": (awq, ".qweight"), "gptq": (gptq, ".qweight"), "compressed-tensors": (packed, ".weight_packed"), "mlx": (mlx, ".scales")}
PARTS = r"\.(qweight|qzeros|scales|biases|g_idx|weight_packed|weight_scale|weight_shape)$"


def stack_experts(tensors):
    """As the model's own checkpoints hold them: [E, 2X, H] and [E, H, X]."""
    found = {}
    for name in [n for n in tensors if re.search(r"\.experts\.\d+\.", n)]:
        stem, number, proj = re.fullmatch(r"(.*\.experts)\.(\d+)\.(\w+)\.weight", name).groups()
        found.setdefault(stem, {}).setdefault(proj, {})[int(number)] = tensors.pop(name)
    for stem, x in found.items():
        both = [torch.cat([x["gate_proj"][i], x["up_proj"][i]]) for i in range(len(x["gate_proj"]))]
        tensors[stem + ".gate_up_proj"] = torch.stack(both)
        tensors[stem + ".down_proj"] = torch.stack([x["down_proj"][i] for i in range(len(x["down_proj"]))])


def dequantised(form, tensors):
    """All weights under their own names, with the experts one by one; all else as it is."""
    worth, code_end = KINDS[form["kind"]]
    out = {}
    for name, t in tensors.items():
        stem = name[:-len(code_end)]
        if name.endswith(code_end):
            w = worth(tensors, stem, bits_of(form, stem + ".weight"))
            if ".switch_mlp." in stem:
                out.update({stem.replace(".switch_mlp.", f".experts.{i}.") + ".weight": one for i, one in enumerate(w)})
            else:
                out[stem + ".weight"] = w
        elif not re.search(PARTS, name) and t.dtype != torch.uint32:
            out[name] = t
    if form.get("stack"):
        stack_experts(out)
    return {k: v.contiguous() for k, v in out.items()}
