#!/usr/bin/env python3
"""Loads pruned checkpoints in Hugging Face transformers and compares with reference log-probabilities.

    check_checkpoint.py FAMILIES PRUNED

PRUNED/NAME, or PRUNED/NAME,WHAT, is what `reap prune` made of FAMILIES/NAME/hf (tests/data/families). A checkpoint passes when
transformers, in float32, finds every tensor that it wants, no other (MTP layers, which it does not build,
apart), all of the right shape, and when no log-probability is off by more than 1e-4.
"""
import json
import os
import re
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

TOLERANCE = 1e-4


def read_json(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return json.load(f)


def decode_mxfp4(blocks, scales):
    """[E, rows, groups, 16] bytes of two numbers (the low half first), one exponent per group -> [E, 32 groups, rows]"""
    half = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
    table = torch.cat([half, -half])
    x = torch.stack([table[(blocks & 15).long()], table[(blocks >> 4).long()]], dim=-1).flatten(-2)
    return torch.ldexp(x, scales.int().unsqueeze(-1) - 127).flatten(-2).transpose(1, 2).contiguous()


def dequantize(folder, config, out):
    """transformers decodes MXFP4 to bfloat16 only: a copy in float32, which holds the same numbers."""
    tensors, decoded = {}, {}
    for name in os.listdir(folder):
        if name.endswith(".safetensors"):
            tensors.update(load_file(os.path.join(folder, name)))
    for name, t in tensors.items():
        if name.endswith("_blocks"):
            decoded[name[:-7]] = decode_mxfp4(t, tensors[name[:-7] + "_scales"])
        elif not name.endswith("_scales"):
            decoded[name] = t.float()
    save_file(decoded, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    del config["quantization_config"]
    with open(os.path.join(out, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f)


def load(folder):
    config = read_json(folder, "config.json")
    if config.get("quantization_config", {}).get("quant_method") == "mxfp4":
        with tempfile.TemporaryDirectory() as tmp:
            dequantize(folder, config, tmp)
            return load(tmp)
    # sizes that do not match are reported below, with their names
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager",
        output_loading_info=True, ignore_mismatched_sizes=True)
    layers, mtp = config.get("num_hidden_layers", 0), config.get("num_nextn_predict_layers") or 0
    not_built = [rf"model\.layers\.{layers + i}\." for i in range(mtp)]
    bad = {kind: sorted(map(str, names)) for kind, names in info.items()}
    bad["unexpected_keys"] = [n for n in bad.get("unexpected_keys", []) if not any(re.match(p, n) for p in not_built)]
    for kind, names in bad.items():
        if names:
            raise ValueError(f"{len(names)} {kind.replace('_', ' ')}: {', '.join(names[:3])}")
    for module in model.modules():  # transformers 5.12 never sets it, and reads it when there are groups
        if type(module).__name__ == "DeepseekV2Moe" and not hasattr(module, "num_experts"):
            module.num_experts = module.experts.num_experts
    return model.eval()


def largest_difference(model, golden, tokens):
    ids_of = {s["id"]: s["ids"] for s in tokens["samples"]}
    worst, n = 0.0, 0
    for sample in golden["samples"]:
        ids = torch.tensor(ids_of[sample["id"]])
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1].double()
        got = torch.log_softmax(logits, -1).gather(1, ids[1:, None])[:, 0]
        want = torch.tensor(sample["logprobs"], dtype=torch.float64)
        if got.shape != want.shape:
            raise ValueError(f"sample {sample['id']}: {len(got)} log-probabilities, expected {len(want)}")
        d = (got - want).abs().max().item()
        worst = d if not d <= worst else worst  # NaN is the worst of all, and stays
        n += len(want)
        if worst != worst:
            break
    if not n:
        raise ValueError("no sample")
    return worst, n


def main():
    families, pruned = sys.argv[1:]
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, float32")
    failed, names = 0, sorted(os.listdir(pruned))
    for name in names:
        data = os.path.join(families, name.split(",")[0])
        try:
            worst, n = largest_difference(load(os.path.join(pruned, name)), read_json(data, "pruned_golden_logprobs.json"),
                                          read_json(data, "golden_tokens.json"))
            ok, said = worst <= TOLERANCE, f"{n} tokens, largest difference {worst:.1e}"
        except Exception as e:  # whatever keeps it from loading is the result
            ok, said = False, f"{type(e).__name__}: {' '.join(str(e).split())[:300]}"
        failed += not ok
        print(f"{'ok' if ok else 'FAIL':4} {name:20} {said}", flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
