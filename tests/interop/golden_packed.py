"""The golden values of tests/data/packed: small weights in every quantised form, and what their reference makes of them.

usage: golden_packed.py OUT [LIBRARIES]

Writes OUT/config.json and OUT/model.safetensors. FORM.SUFFIX is a tensor of the form, FORM.expected the weight [32, 64]
in the type that the reference gives; "forms" in config.json is what a config says beside such weights. The values follow
the formulas below, in torch. With LIBRARIES, a folder with checkouts of compressed-tensors, AutoAWQ, GPTQModel,
Model-Optimizer and bitsandbytes by these names, each is compared with the own function of the library, or of transformers,
bit for bit; GOLDEN.txt says what was.
Run it in the reference environment (reference-env.sh).
"""

import ast
import json
import os
import sys

import torch
from safetensors.torch import save_file

OUT, LIBRARIES = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
ROWS, COLS = 32, 64
FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
tensors, configs, compared = {}, {}, []
torch.manual_seed(21)


def codes(bits, rows=ROWS, cols=COLS):
    return torch.randint(0, 1 << bits, (rows, cols), dtype=torch.int64)


def scales(shape, dtype, low=0.002, high=0.05):
    return (torch.rand(shape) * (high - low) + low).to(dtype)


def words(c, bits):
    """Codes along the last dimension as 32-bit words, the first in the lowest bits; they may cross words."""
    n = c.shape[-1] * bits
    b = ((c.unsqueeze(-1) >> torch.arange(bits)) & 1).reshape(*c.shape[:-1], n)
    b = torch.nn.functional.pad(b, (0, -n % 32)).reshape(*c.shape[:-1], -1, 32)
    w = (b << torch.arange(32)).sum(-1)
    return torch.where(w >= 1 << 31, w - (1 << 32), w).to(torch.int32)


def add(form, config, parts, expected, library=None):
    for k, v in parts.items():
        tensors[f"{form}.{k}"] = v.contiguous().clone()
    tensors[f"{form}.expected"] = expected.contiguous().clone()
    configs[form] = config
    assert expected.shape == (ROWS, COLS) and not expected.isnan().any(), form
    if library and LIBRARIES:
        got = library()
        assert got.dtype == expected.dtype, (form, got.dtype, expected.dtype)
        bits = {2: torch.int16, 4: torch.int32}[expected.element_size()]
        assert torch.equal(got.contiguous().view(bits), expected.contiguous().view(bits)), form
        compared.append(form)


def take(file, *names, **env):
    """Functions of a library's file, without the rest of the library."""
    env.update(torch=torch, t=torch, __builtins__=__builtins__)
    tree = ast.parse(open(os.path.join(LIBRARIES, file)).read())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            node.decorator_list, node.returns = [], None
            for a in node.args.args + node.args.kwonlyargs:
                a.annotation = None
            exec(compile(ast.Module([node], []), file, "exec"), env)
    return [env[n] for n in names]


# ---- compressed-tensors ----

def ct_group(weights, form="pack-quantized"):
    return {"quantization_config": {"quant_method": "compressed-tensors", "format": form,
                                    "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}}}


CT = "compressed-tensors/src/compressed_tensors/"


def ct_library(unpacked, scale, zero=None, order=None, glob=None, dtype=None):
    (dequantize,) = take(CT + "quantization/lifecycle/forward_helpers.py", "_dequantize")
    if order is not None:
        unpacked = unpacked.index_select(-1, torch.argsort(order))
    n = unpacked.shape[-1] // (scale.shape[-1] if scale.ndim == 2 else 1)
    x = unpacked.unflatten(-1, (-1, n))
    y = dequantize(x, scale.unsqueeze(-1) if scale.ndim == 2 else scale,
                   None if zero is None else zero.unsqueeze(-1), dtype, glob).flatten(start_dim=-2)
    return y if order is None else y.index_select(-1, torch.argsort(torch.argsort(order)))


def ct_int(form, bits, group, scale_dtype, zero_points=False, order=False):
    c, groups = codes(bits), COLS // group
    s = scales((ROWS, groups), scale_dtype)
    half = 1 << (bits - 1)
    parts = {"weight_packed": words(c, bits), "weight_scale": s, "weight_shape": torch.tensor([ROWS, COLS])}
    z, g = None, torch.arange(COLS) // group
    q = c - half
    if zero_points:
        zc = codes(bits, ROWS, groups)
        parts["weight_zero_point"] = words(zc.T, bits).T
        z = zc - half
    if order:
        g = g[torch.randperm(COLS)]
        parts["weight_g_idx"] = g.to(torch.int32)
    expected = (q - (z[:, g] if zero_points else 0)).to(scale_dtype) * s[:, g]

    def library():
        (unpack,) = take(CT + "compressors/pack_quantized/helpers.py", "unpack_from_int32", Literal={(0, 1): None})
        w = unpack(parts["weight_packed"], bits, (ROWS, COLS))
        zero = unpack(parts["weight_zero_point"], bits, (ROWS, groups), packed_dim=0) if zero_points else None
        return ct_library(w, s, zero, g if order else None)

    weights = {"num_bits": bits, "type": "int", "symmetric": not zero_points, "strategy": "group", "group_size": group}
    add(form, ct_group(weights), parts, expected, library)


ct_int("ct_int4", 4, 32, torch.bfloat16)
ct_int("ct_int4_f16", 4, 16, torch.float16)
ct_int("ct_int8", 8, 64, torch.bfloat16)
ct_int("ct_int4_zero", 4, 32, torch.bfloat16, zero_points=True)
ct_int("ct_int4_order", 4, 16, torch.bfloat16, zero_points=True, order=True)
ct_int("ct_int3", 3, 32, torch.bfloat16)

w8 = torch.randint(-128, 128, (ROWS, COLS), dtype=torch.int8)
s = scales((ROWS, 1), torch.bfloat16)
add("ct_w8a8", ct_group({"num_bits": 8, "type": "int", "strategy": "channel"}, "int-quantized"),
    {"weight": w8, "weight_scale": s}, w8.to(s.dtype) * s, lambda: ct_library(w8, s))
z8 = torch.randint(-128, 128, (ROWS, 1), dtype=torch.int8)
add("ct_w8_zero", ct_group({"num_bits": 8, "type": "int", "strategy": "channel"}, "int-quantized"),
    {"weight": w8, "weight_scale": s, "weight_zero_point": z8}, (w8.to(s.dtype) - z8.to(s.dtype)) * s,
    lambda: ct_library(w8, s, z8))

f4 = codes(4)
packed4 = (f4[:, 0::2] | f4[:, 1::2] << 4).to(torch.uint8)
s8 = scales((ROWS, COLS // 16), torch.float32, 1, 400).to(torch.float8_e4m3fn)
glob = torch.tensor([1733.7])
nv_ct = (FP4[f4] * (s8.float() / glob).repeat_interleave(16, 1)).to(torch.bfloat16)


def ct_fp4(scale, glob):
    (unpack,) = take(CT + "compressors/nvfp4/helpers.py", "unpack_fp4_from_uint8", kE2M1ToFloat=FP4[:8])
    return ct_library(unpack(packed4, ROWS, COLS), scale.to(torch.bfloat16), glob=glob, dtype=torch.bfloat16)


add("ct_nvfp4", ct_group({"num_bits": 4, "type": "float", "group_size": 16}, "nvfp4-pack-quantized"),
    {"weight_packed": packed4, "weight_scale": s8, "weight_global_scale": glob}, nv_ct, lambda: ct_fp4(s8, glob))
e8 = torch.randint(110, 130, (ROWS, COLS // 32), dtype=torch.uint8)
two = torch.exp2(e8.float() - 127)
mx = (FP4[f4] * two.repeat_interleave(32, 1)).to(torch.bfloat16)
add("ct_mxfp4", ct_group({"num_bits": 4, "type": "float", "group_size": 32}, "mxfp4-pack-quantized"),
    {"weight_packed": packed4, "weight_scale": e8}, mx, lambda: ct_fp4(two, None))

# ---- ModelOpt, and MXFP4 with the weight under its own name (Quark) ----

glob2 = torch.tensor(0.000613)


def modelopt_nvfp4():
    (dequantize,) = take("Model-Optimizer/modelopt/torch/quantization/qtensor/nvfp4_tensor.py", "dequantize")
    q = type("QTensor", (), {"get_e2m1_values": lambda self, device: FP4})()
    q._quantized_data, q.metadata = packed4, {"dtype": torch.bfloat16, "shape": (ROWS, COLS)}
    return dequantize(q, scale=s8, double_scale=glob2, block_sizes={-1: 16})


def transformers_fp8(w, scale):
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    return Fp8Dequantize(None)._dequantize_one(w, scale, torch.bfloat16)


add("modelopt_nvfp4", {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}},
    {"weight": packed4, "weight_scale": s8, "weight_scale_2": glob2, "input_scale": torch.tensor(0.5)},
    (FP4[f4] * (s8.float() * glob2).repeat_interleave(16, 1)).to(torch.bfloat16), modelopt_nvfp4)
add("mxfp4", {"quantization_config": {"quant_method": "quark"}}, {"weight": packed4, "weight_scale": e8}, mx,
    lambda: transformers_fp8(packed4.view(torch.int8), e8))

# ---- FP8 ----

f8 = (torch.randn(ROWS, COLS) * 100).to(torch.float8_e4m3fn)


def fp8(form, scale, per_weight, suffix="weight_scale_inv", w=f8, block=None):
    config = {"quantization_config": {"quant_method": "fp8", **({"weight_block_size": block} if block else {})}}
    add(form, config, {"weight": w, suffix: scale}, (w.float() * per_weight).to(torch.bfloat16),
        None if block == [20, 24] else lambda: transformers_fp8(w, scale.squeeze(3).squeeze(1) if scale.ndim == 4 else scale))


s = scales((2, 3), torch.float32)
fp8("fp8_block", s, s.repeat_interleave(20, 0)[:ROWS].repeat_interleave(24, 1)[:, :COLS], block=[20, 24])
s = scales((ROWS, 1), torch.bfloat16)
fp8("fp8_row", s, s.float(), "weight_scale")
s = scales((1, COLS), torch.float32)
fp8("fp8_column", s, s, "weight_scale")
s = scales((), torch.float32)
fp8("fp8_tensor", s, s, "weight_scale")
s = scales((1,), torch.bfloat16)
fp8("fp8_mistral", s, s.float(), "qscale_weight")
s = torch.randint(115, 125, (ROWS, COLS // 32), dtype=torch.uint8)
fp8("mxfp8", s, torch.exp2(s.float() - 127).repeat_interleave(32, 1), "weight_scale")
s = scales((ROWS // 16, 1, COLS // 16, 1), torch.float32)
fp8("fp8_modelopt_blocks", s, s[:, 0, :, 0].repeat_interleave(16, 0).repeat_interleave(16, 1), "weight_scale",
    block=[16, 16])
s = scales((ROWS, 1), torch.float32)
fp8("fp8_e5m2", s, s, "weight_scale", (torch.randn(ROWS, COLS) * 100).to(torch.float8_e5m2))

# ---- GPTQ and AWQ ----


def gptq(form, bits, group, v2=False, order=False, dtype=torch.float16, stored_order=True, said={}):
    c, groups = codes(bits), -(-COLS // group)
    z, s = codes(bits, groups, ROWS), scales((groups, ROWS), dtype)
    g = torch.arange(COLS) // group
    if order:
        g = g[torch.randperm(COLS)]
    parts = {"qweight": words(c, bits).T, "scales": s, **({"g_idx": g.to(torch.int32)} if stored_order else {})}
    stored = z if v2 else (z - 1) % (1 << bits)
    if not v2 and bits != 3:  # as GPTQModel subtracts it: from whole words, with the borrow
        ones = sum(1 << i for i in range(0, 32, bits))
        w = (words(z, bits).to(torch.int64) % (1 << 32) - ones) % (1 << 32)
        parts["qzeros"] = torch.where(w >= 1 << 31, w - (1 << 32), w).to(torch.int32)
    else:
        parts["qzeros"] = words(stored, bits)
    expected = (s[g] * (c.T - z[g]).to(dtype)).T
    config = {"quantization_config": {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": order,
                                      "checkpoint_format": "gptq_v2" if v2 else "gptq", **said}}

    def library():
        dequantize, from_codes, _, _ = take(
            "GPTQModel/gptqmodel/nn_modules/qlinear/__init__.py", "dequantize_weight", "_dequantize_from_codes",
            "_torch_right_shift", "_torch_left_shift")
        f = type("Linear", (), {})()
        f.planar, f.bits, f.maxq, f.pack_factor = False, bits, (1 << bits) - 1, 32 // bits
        f.qweight, f.qzeros, f.scales, f.g_idx = parts["qweight"], words(z, bits), s, g  # zeros as they are once loaded
        f.dequant_dtype = torch.int16 if bits == 8 else torch.int8
        f._init_wf_unsqueeze_buffers = lambda: None
        f._dequantize_from_codes = lambda w, z, num_itr: from_codes(f, w, z, num_itr)
        shifts = torch.arange(0, 32, bits, dtype=torch.int32).unsqueeze(0)
        if bits == 3:
            shifts = torch.tensor([[*range(0, 31, 3), 0], [0, *range(1, 32, 3)], [0, *range(2, 30, 3), 0]], dtype=torch.int32)
            shifts = shifts.reshape(1, 3, 12)
        f.wf_unsqueeze_zero, f.wf_unsqueeze_neg_one = shifts.unsqueeze(0), shifts.unsqueeze(-1)
        return dequantize(f).T

    add(form, config, parts, expected, library)


gptq("gptq", 4, 32)
gptq("gptq_v2", 4, 16, v2=True)
gptq("gptq_order", 4, 16, order=True)
gptq("gptq_8", 8, 32, dtype=torch.bfloat16)
gptq("gptq_3", 3, 32)
gptq("gptq_2", 2, 64)


def awq_words(c):
    place = torch.tensor([0, 2, 4, 6, 1, 3, 5, 7])
    return words(c.reshape(c.shape[0], -1, 8)[:, :, place].reshape(c.shape), 4)


c, z, s = codes(4), codes(4, 2, ROWS), scales((2, ROWS), torch.float16)
g = torch.arange(COLS) // 32
awq_parts = {"qweight": awq_words(c.T), "qzeros": awq_words(z), "scales": s}


def awq_library():
    names = ("unpack_awq", "reverse_awq_order", "dequantize_gemm")
    env = {"AWQ_REVERSE_ORDER": [0, 4, 1, 5, 2, 6, 3, 7]}
    f = dict(zip(names, take("AutoAWQ/awq/utils/packing_utils.py", *names, **env)))
    return f["dequantize_gemm"](awq_parts["qweight"], awq_parts["qzeros"], s, 4, 32).T


add("awq", {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}},
    awq_parts, ((c.T - z[g]).to(s.dtype) * s[g]).T, awq_library)

# ---- bitsandbytes ----

NF4 = torch.tensor([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
                    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                    0.7229568362236023, 1.0])
BNB_FP4 = torch.tensor([0, 0.0052083333, 0.6666667, 1, 0.3333333, 0.5, 0.1666667, 0.25,
                        -0.0, -0.0052083333, -0.6666667, -1, -0.3333333, -0.5, -0.1666667, -0.25])


def bnb(form, kind, table, dtype, nested):
    n, block = ROWS * COLS, 64
    c = codes(4)
    flat = c.reshape(-1)
    packed = (flat[0::2] << 4 | flat[1::2]).to(torch.uint8).unsqueeze(1)
    state = {"quant_type": kind, "blocksize": block, "dtype": str(dtype)[6:], "shape": [ROWS, COLS]}
    parts = {"weight": packed, "weight.quant_map": table}
    if nested:
        q, top = torch.randint(0, 256, (n // block,), dtype=torch.uint8), torch.tensor([0.0173])
        table2 = torch.linspace(-1, 1, 256)
        state.update(nested_blocksize=256, nested_dtype="float32", nested_offset=0.0391472)
        parts.update({"weight.absmax": q, "weight.nested_absmax": top, "weight.nested_quant_map": table2})
        absmax = table2[q.long()] * top + torch.tensor(state["nested_offset"])
    else:
        absmax = parts["weight.absmax"] = scales((n // block,), torch.float32)
    text = json.dumps(state).encode()
    parts[f"weight.quant_state.bitsandbytes__{kind}"] = torch.tensor(list(text), dtype=torch.uint8)
    expected = (table[flat].reshape(-1, block) * absmax.unsqueeze(1)).reshape(ROWS, COLS).to(dtype)

    def library():
        sys.path.insert(0, os.path.join(LIBRARIES, "bitsandbytes"))
        from bitsandbytes.backends.default import ops
        from bitsandbytes.functional import QuantState, get_4bit_type

        assert torch.equal(get_4bit_type(kind, device="cpu"), table), "the table"
        qs = QuantState.from_dict({f"weight.{k[7:]}": v for k, v in parts.items() if k != "weight"}, torch.device("cpu"))
        top = qs.absmax
        if nested:
            top = ops._dequantize_blockwise_compute(qs.absmax, qs.state2.absmax, qs.state2.code, 256, torch.float32)
            top = top + qs.offset
        return ops._dequantize_4bit_compute(packed.reshape(-1), top, qs.code, qs.blocksize, qs.shape, qs.dtype)

    add(form, {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, parts, expected, library)


if LIBRARIES:
    sys.path.insert(0, os.path.join(LIBRARIES, "bitsandbytes"))
    from bitsandbytes.functional import get_4bit_type

    NF4, BNB_FP4 = get_4bit_type("nf4", device="cpu"), get_4bit_type("fp4", device="cpu")
bnb("bnb_nf4", "nf4", NF4, torch.bfloat16, nested=True)
bnb("bnb_nf4_f16", "nf4", NF4, torch.float16, nested=False)
bnb("bnb_fp4", "fp4", BNB_FP4, torch.bfloat16, nested=False)
s = scales((ROWS,), torch.float32, 0.5, 4)


def bnb_int8():
    sys.path.insert(0, os.path.join(LIBRARIES, "bitsandbytes"))
    from bitsandbytes.functional import int8_vectorwise_dequant

    return int8_vectorwise_dequant(w8, s)


add("bnb_int8", {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
    {"weight": w8, "SCB": s, "weight_format": torch.tensor(0, dtype=torch.uint8)},
    w8 * s.view(-1, 1) * 7.874015718698502e-3, bnb_int8)

# ---- MLX: the product, then the sum, each in the type of the scales (mlx/ops.cpp, affine_dequantize) ----


def mlx(form, bits, group, dtype):
    c, n = codes(bits), COLS // group
    s, b = scales((ROWS, n), dtype), -scales((ROWS, n), dtype, 0.01, 0.3)
    parts = {"weight": words(c, bits).view(torch.uint32), "scales": s, "biases": b}
    g = torch.arange(COLS) // group
    add(form, {"quantization": {"group_size": group, "bits": bits}}, parts, c.to(dtype) * s[:, g] + b[:, g])


mlx("mlx_4", 4, 64, torch.bfloat16)
mlx("mlx_8", 8, 32, torch.float16)
mlx("mlx_6", 6, 32, torch.bfloat16)
mlx("mlx_3", 3, 64, torch.bfloat16)
add("mlx_mxfp4", {"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}},
    {"weight": words(f4, 4).view(torch.uint32), "scales": e8}, mx)

# ---- further ones: behind the others, so that those keep their values ----

gptq("gptq_short", 4, 48, stored_order=False)  # the last group has 16 columns
gptq("auto_round", 4, 32, v2=True, stored_order=False,
     said={"quant_method": "auto-round", "packing_format": "auto_round", "checkpoint_format": None})


def metal(form, bits, group, dtype):
    """As transformers writes MLX's form (integrations/metal_quantization.py): the product and the sum in float32."""
    c, n = codes(bits), COLS // group
    s, b = scales((ROWS, n), dtype), -scales((ROWS, n), dtype, 0.01, 0.3)
    parts = {"weight": words(c, bits).view(torch.uint32), "scales": s, "qbiases": b}
    g = torch.arange(COLS) // group

    def library():
        from transformers.integrations.metal_quantization import _affine_dequantize_tensor

        return _affine_dequantize_tensor(parts["weight"].view(torch.int32), s, b, group, bits).to(dtype)

    add(form, {"quantization_config": {"quant_method": "metal", "group_size": group, "bits": bits}}, parts,
        (c.float() * s.float()[:, g] + b.float()[:, g]).to(dtype), library)


metal("metal_4", 4, 64, torch.bfloat16)
metal("metal_8", 8, 32, torch.float16)

os.makedirs(OUT, exist_ok=True)
json.dump({"forms": configs}, open(os.path.join(OUT, "config.json"), "w"), indent=1)
save_file(tensors, os.path.join(OUT, "model.safetensors"))
if LIBRARIES:
    with open(os.path.join(OUT, "GOLDEN.txt"), "w") as f:
        f.write("Made by tests/interop/golden_packed.py. Equal bit for bit to what the forms' own libraries compute:\n")
        f.write("\n".join(compared) + "\n")
print(len(configs), "forms,", len(compared), "compared with the libraries")
