#!/usr/bin/env python3
"""The way of today, for bench/peers.sh: a checkpoint loaded by Hugging Face transformers, run with or without an observer.

    peers.py make CONFIG OUT DTYPE              a random checkpoint of a config, as safetensors
    peers.py run CHECKPOINT ROWS WHAT THREADS   seconds for all rows ({"tokens": [...]}) in float32, loading not counted, the lesser
                                                of transformers' two ways to run experts (a loop over them, a grouped product)
        WHAT  plain     a forward pass
              routed    with the sums of REAP: hooks on the experts compute the output of those that were chosen once more
              all       the same, and every expert is run on every token
"""
import json
import os
import sys
import time

if sys.argv[1:2] == ["run"]:  # read when the libraries are loaded; without it OpenBLAS takes all cores, whatever torch is told
    os.environ.update(OMP_NUM_THREADS=sys.argv[5], OPENBLAS_NUM_THREADS=sys.argv[5])
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
import transformers


def make(config, out, dtype):
    torch.manual_seed(1)
    cfg = transformers.AutoConfig.from_pretrained(config)
    torch.set_default_dtype(getattr(torch, dtype))
    transformers.AutoModelForCausalLM.from_config(cfg).save_pretrained(out)


def one(experts, x, j):
    gate, up = torch.nn.functional.linear(x, experts.gate_up_proj[j]).chunk(2, dim=-1)
    return torch.nn.functional.linear(torch.nn.functional.silu(gate) * up, experts.down_proj[j])


def observe(model, everything):
    sums = {}

    def hook(layer):
        def f(mod, args, kwargs):
            a = list(args) + list(kwargs.values())
            x, idx, w = a[0].reshape(-1, a[0].shape[-1]), a[1], a[2]
            if idx.is_floating_point():
                idx, w = w, idx
            s = sums.setdefault(layer, torch.zeros(mod.gate_up_proj.shape[0], 2, dtype=torch.float64))
            for j in range(len(s)):
                t, k = (idx == j).nonzero(as_tuple=True)
                if not everything and not len(t):
                    continue
                norms = one(mod, x if everything else x[t], j).norm(dim=-1)
                s[j, 0] += (w[t, k] * (norms[t] if everything else norms)).sum().double()
                s[j, 1] += len(t)
        return f
    for name, mod in model.named_modules():
        if name.endswith("mlp.experts"):
            mod.register_forward_pre_hook(hook(name), with_kwargs=True)
    return sums


def run(checkpoint, rows, what, threads):
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    if what != "plain":
        observe(model, what == "all")
    with open(rows, encoding="utf-8") as f:
        ids = [torch.tensor([json.loads(line)["tokens"]]) for line in f]
    least = float("inf")
    for way in ("grouped_mm", "eager"):
        model.set_experts_implementation(way)
        model(input_ids=ids[0], use_cache=False, logits_to_keep=1)
        start = time.perf_counter()
        for x in ids:
            model(input_ids=x, use_cache=False, logits_to_keep=1)
        least = min(least, time.perf_counter() - start)
    print(least)


if __name__ == "__main__":
    {"make": make, "run": run}[sys.argv[1]](*sys.argv[2:])
