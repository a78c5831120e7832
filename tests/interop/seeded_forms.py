"""Quantised folders of tests/data/seeded: the tensors that a weight is made of, and what it is worth; for make_seeded.py.

make.json says {"form": {"kind": .., "group": .., "matrices": REGEX, ...}}: the weights of these names are stored in that form, all else as
it is. The formulas are those of golden_packed.py, which compares them with the forms' own libraries; codes are any bits.

    kind      awq, gptq, compressed-tensors (packed integers), mlx, nvfp4 (ModelOpt's), fp8 (a scale per row), nf4 (bitsandbytes, nested),
              deepseek_v4 (experts in MXFP4, the others in FP8 with a scale for 128 x 128, both powers of two)
    group     columns that share a scale; of nf4: weights
    bits      4, if not said
    dtype     of the scales: F16 or BF16
    eights    REGEX: of mlx, matrices in 8 bits
    stack     transformers wants the experts as: "rows" [E, 2X, H] and [E, H, X]; "turned" [E, H, 2X] and [E, X, H];
              "in turns" the same of experts.gate_up_projs.N and down_projs.N
"""
import json
import math
import os
import re

import torch

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16}
FP4 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]
NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]  # where the rows of a word's nibbles stand


def spread(name, low, high):
    """Rows of a table: the scale that gives codes the standard deviation of numbers between low and high."""
    return f"{low:.4g}\t{high:.4g}"


def bits_of(form, name):
    return 8 if form.get("eights") and re.search(form["eights"], name) else form.get("bits", 4)


def nvfp4_rows(form, name, shape, std):
    stem, (out, cols) = name[:-len(".weight")], shape
    rms = math.sqrt(sum(v * v for v in FP4) / 16)
    yield name, "U8", (out, cols // 2), "bits"
    yield stem + ".weight_scale", "F8_E4M3", (out, cols // 16), "64\t80"  # 2 to 8
    yield stem + ".weight_scale_2", "F32", (), f"list\t{std / (4.5 * rms):.6g}"
    yield stem + ".input_scale", "F32", (), "list\t0.0021"


def fp8_rows(form, name, shape, std):
    stem, (out, cols) = name[:-len(".weight")], shape
    codes = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float().nan_to_num(0)
    yield name, "F8_E4M3", shape, "bits"
    yield stem + ".weight_scale", form["dtype"], (out, 1), spread(name, 0.5 * std / codes.std().item(), 1.5 * std / codes.std().item())


def nf4_rows(form, name, shape, std):
    n, block = shape[0] * shape[1], form["group"]
    top = std / (0.6 * torch.tensor(NF4).std().item())  # times a number between 0.2 and 1 is a block's largest
    state = {"quant_type": "nf4", "blocksize": block, "dtype": "bfloat16", "shape": list(shape), "nested_blocksize": 256,
             "nested_dtype": "float32", "nested_offset": round(0.1 * top, 6)}
    text = json.dumps(state)
    assert n % block == 0 and n % 2 == 0, name
    yield name, "U8", (n // 2, 1), "bits"
    yield name + ".absmax", "U8", (n // block,), "bits"
    yield name + ".nested_absmax", "F32", (-(-n // block // 256),), f"list\t{top:.6g}"
    yield name + ".nested_quant_map", "F32", (256,), "0.1\t0.9"
    yield name + ".quant_map", "F32", (16,), "list\t" + ",".join(map(str, NF4))
    yield name + ".quant_state.bitsandbytes__nf4", "U8", (len(text),), "text\t" + text


def deepseek_v4_rows(form, name, shape, std):
    stem, (out, cols) = name[:-len(".weight")], shape
    if re.search(r"\.experts\.", name):
        rms, kind, width, scales = math.sqrt(sum(v * v for v in FP4) / 16), "I8", cols // 2, (out, cols // 32)
        assert cols % 32 == 0, name
    else:
        codes = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float().nan_to_num(0)
        rms, kind, width, scales = codes.std().item(), "F8_E4M3", cols, (-(-out // 128), -(-cols // 128))
    middle = 127 + round(math.log2(std / rms))
    yield name, kind, (out, width), "bits"
    yield stem + ".scale", "F8_E8M0", scales, f"{middle}\t{middle}" if scales == (1, 1) else f"{middle - 1}\t{middle + 2}"


def rows(form, name, shape, std):
    """(name, type, shape, text) of what a weight [out, in] is stored in; std: of its numbers."""
    floats = {"nvfp4": nvfp4_rows, "fp8": fp8_rows, "nf4": nf4_rows, "deepseek_v4": deepseek_v4_rows}.get(form["kind"])
    if floats:
        yield from floats(form, name, shape, std)
        return
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


def ids_text(shape, n):
    """A table of experts for each token, no one twice in a row."""
    return ",".join(str((token * 5 + token // 11 + slot * (1 + token // 7 % (n // shape[1]))) % n) for token in range(shape[0]) for slot in range(shape[1]))


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
            yield name, None, shape, "list\t" + ids_text(shape, hi) if lo == "ids" else spread(name, lo, hi)


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


def nvfp4(t, stem, bits):
    """As golden_packed.py's modelopt_nvfp4."""
    w = t[stem + ".weight"].long()
    v = torch.tensor(FP4)[torch.stack([w & 15, w >> 4], -1).flatten(-2)]
    s = t[stem + ".weight_scale"].float() * t[stem + ".weight_scale_2"]
    return v * s.repeat_interleave(16, -1)


def fp8(t, stem, bits):
    """In float32, as the converter computes it; compressed-tensors rounds it to BF16, which is what comes of it in that type."""
    return t[stem + ".weight"].float() * t[stem + ".weight_scale"].float()


def nf4(t, stem, bits):
    """As golden_packed.py's bnb."""
    name = stem + ".weight"
    state = json.loads(bytes(t[name + ".quant_state.bitsandbytes__nf4"].tolist()))
    q, block = t[name + ".absmax"].long(), state["blocksize"]
    top = t[name + ".nested_absmax"].repeat_interleave(state["nested_blocksize"])[:len(q)]
    absmax = t[name + ".nested_quant_map"][q] * top + torch.tensor(state["nested_offset"])
    w = t[name].flatten().long()
    v = t[name + ".quant_map"][torch.stack([w >> 4, w & 15], -1).flatten()]
    return (v.reshape(-1, block) * absmax.unsqueeze(1)).reshape(state["shape"]).to(torch.bfloat16)


def deepseek_v4(t, stem, bits):
    """Powers of two: exact in BF16."""
    w, s = t[stem + ".weight"], torch.exp2(t[stem + ".scale"].view(torch.uint8).float() - 127)
    if w.dtype != torch.int8:
        return w.float() * s.repeat_interleave(128, 0)[:w.shape[0]].repeat_interleave(128, 1)[:, :w.shape[1]]
    w = w.view(torch.uint8).long()
    return torch.tensor(FP4)[torch.stack([w & 15, w >> 4], -1).flatten(-2)] * s.repeat_interleave(32, -1)


KINDS = {"deepseek_v4": (deepseek_v4, ".scale"), "awq": (awq, ".qweight"), "gptq": (gptq, ".qweight"), "compressed-tensors": (packed, ".weight_packed"), "mlx": (mlx, ".scales"),
         "nvfp4": (nvfp4, ".weight_scale_2"), "fp8": (fp8, ".weight_scale"), "nf4": (nf4, ".weight.absmax")}
PARTS = r"\.(qweight|qzeros|scales|biases|g_idx|weight_packed|weight_scale|weight_scale_2|weight_shape|[ikv]\w*_scale|weight\.\w*(quant|absmax)\S*)$"
CODES = (torch.uint32, torch.uint8, torch.int8, torch.float8_e4m3fn)  # of weights under their own names


def stack_experts(tensors, how):
    """As the model's own checkpoints hold them."""
    found = {}
    for name in list(tensors):
        m = re.fullmatch(r"(.*\.experts)\.(\d+)\.(\w+)\.(weight|bias)", name)
        m = m or re.fullmatch(r"(.*\.experts)\.(?=\w+s\.(\d+)\.)(\w+)s\.\d+\.(weight|bias)", name)
        if m:
            stem, number, proj, leaf = m.groups()
            found.setdefault((stem, leaf), {}).setdefault(proj, {})[int(number)] = tensors.pop(name)
    for (stem, leaf), x in found.items():
        if "gate_proj" in x:
            x["gate_up_proj"] = {i: torch.cat([x["gate_proj"][i], x["up_proj"][i]]) for i in x["gate_proj"]}
        for proj in ("gate_up_proj", "down_proj"):
            t = torch.stack([x[proj][i] for i in range(len(x[proj]))])
            t = t.transpose(1, 2) if leaf == "weight" and how != "rows" else t
            tensors[f"{stem}.{proj}" + ("_bias" if leaf == "bias" else "")] = t


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
        elif not re.search(PARTS, name) and t.dtype not in CODES:
            out[name] = t
    if form.get("stack"):
        stack_experts(out, form["stack"])
    return {k: v.contiguous() for k, v in out.items()}
