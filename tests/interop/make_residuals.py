#!/usr/bin/env python3
"""Writes golden_residuals.json beside the other goldens of tests/data/families, computed by Hugging Face transformers.

    make_residuals.py FAMILIES [NAME...]

Of every layer with experts, over the samples of golden_tokens.json, the even ones and the odd ones apart:

    loo_sum, loo_sq_sum   of || y - y' ||: y what the layer's own experts module gives for a token, y' what it gives without
                          one of the chosen experts, whose weight the others take in proportion. The definition, not a
                          formula: both are outputs of the module. Where the router renormalises.
    gate_mass             of the router's softmax over all experts. Where it does not.
    pair_count, pair_sum  per pair i < j of experts, row by row: tokens that chose both, sum of ||g_i f_i|| ||g_j f_j||

The model runs in float32, its experts again in float64 on the same input.
"""
import copy
import json
import math
import os
import shutil
import sys
import types

import torch
import transformers

SOFTMAX = ("olmoe", "qwen2_moe", "deepseek_v2", "deepseek_v2_greedy")
NEITHER = ("llama4",)  # its gate multiplies the input, and it chooses one expert: no pairs either


def read_json(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return json.load(f)


def rank_groups_by_two_best(model):
    """As the engine ranks groups (tests/data/families/README.md)."""
    def route(self, logits):
        p = logits.reshape(-1, logits.shape[-1]).softmax(-1, dtype=torch.float32)
        per = p.view(p.shape[0], self.num_group, -1)
        chosen = per.topk(2, -1)[0].sum(-1).topk(self.topk_group, -1).indices
        mask = torch.zeros(p.shape[0], self.num_group, dtype=torch.bool).scatter_(1, chosen, True)
        w, idx = per.masked_fill(~mask[..., None], -math.inf).flatten(1).topk(self.top_k, -1)
        return idx, w * self.routed_scaling_factor
    for mod in model.modules():
        if type(mod).__name__ == "DeepseekV2Moe":
            mod.route_tokens_to_experts = types.MethodType(route, mod)


def load(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                                              experts_implementation="eager")
    for mod in model.modules():  # transformers 5.12.1 reads this in group-limited routing and never sets it
        if type(mod).__name__ == "DeepseekV2Moe" and not hasattr(mod, "num_experts"):
            mod.num_experts = mod.experts.num_experts
    return model.eval()


class Layer:
    """The sums of a layer."""

    def __init__(self, name, block, n_experts):
        self.name, self.block, self.n = name, block, n_experts
        self.experts = copy.deepcopy(block.experts).double()
        zero = lambda: [0.0] * n_experts
        self.parts = [dict(loo_sum=zero(), loo_sq_sum=zero(), gate_mass=zero(), pairs={}) for _ in range(2)]

    def one(self, x, idx, w):
        """sum over the slots of w f, of one token each; a weight of 0 leaves an expert out"""
        return self.experts(x, idx, w)

    def norms(self, x, idx, w):
        """||g f|| per token and slot"""
        f = [self.one(x, idx[:, s:s + 1], torch.ones_like(w[:, :1])) for s in range(idx.shape[1])]
        return torch.stack([(w[:, s:s + 1] * f[s]).norm(dim=-1) for s in range(idx.shape[1])], 1)

    def add(self, half, x, idx, w):
        part = self.parts[half]
        x, w = x.double(), w.double()
        k = idx.shape[1]
        if self.name in SOFTMAX:
            gate = self.block.gate
            mass = torch.nn.functional.linear(x, gate.weight.double()).softmax(-1).sum(0)
            part["gate_mass"] = [a + b for a, b in zip(part["gate_mass"], mass.tolist())]
        else:
            y, total = self.one(x, idx, w), w.sum(1, keepdim=True)
            for s in range(k):
                others = torch.tensor([a for a in range(k) if a != s])
                rest = w[:, others]
                without = self.one(x, idx[:, others], rest / rest.sum(1, keepdim=True) * total)
                for j, v in zip(idx[:, s].tolist(), (y - without).norm(dim=-1).tolist()):
                    part["loo_sum"][j] += v
                    part["loo_sq_sum"][j] += v * v
        a = self.norms(x, idx, w)
        for t in range(x.shape[0]):
            for p in range(k):
                for q in range(p + 1, k):
                    i, j = sorted((int(idx[t, p]), int(idx[t, q])))
                    n, v = part["pairs"].get((i, j), (0, 0.0))
                    part["pairs"][i, j] = (n + 1, v + float(a[t, p] * a[t, q]))

    def json(self, half):
        part, out = self.parts[half], {}
        if self.name in SOFTMAX:
            out["gate_mass"] = part["gate_mass"]
        elif self.name not in NEITHER:
            out.update(loo_sum=part["loo_sum"], loo_sq_sum=part["loo_sq_sum"])
        every = [(i, j) for i in range(self.n) for j in range(i + 1, self.n)]
        out["pair_count"] = [part["pairs"].get(p, (0, 0.0))[0] for p in every]
        out["pair_sum"] = [part["pairs"].get(p, (0, 0.0))[1] for p in every]
        return out


def run(families, name):
    folder = os.path.join(families, name)
    model = load(os.path.join(folder, "hf"))
    suffix = ""
    if name == "deepseek_v2":
        rank_groups_by_two_best(model)
        suffix = "_top2_groups"
    golden = read_json(folder, f"golden_stats{suffix}.json")
    layers, half = {}, 0
    for path, mod in model.named_modules():
        if hasattr(mod, "experts") and hasattr(mod.experts, "forward") and ".layers." in path + ".":
            number = path.split("layers.")[1].split(".")[0]
            if number not in golden["layers"]:
                continue
            layer = layers[number] = Layer(name, mod, golden["n_experts"])

            def hook(_, args, kwargs, layer=layer):
                a = list(args) + [kwargs[k] for k in ("top_k_index", "router_indices", "top_k_weights", "routing_weights")
                                  if k in kwargs]
                if len(a) >= 3:
                    layer.add(half, a[0].reshape(-1, a[0].shape[-1]), a[1], a[2])
            mod.experts.register_forward_pre_hook(hook, with_kwargs=True)
    assert layers.keys() == golden["layers"].keys(), (layers.keys(), golden["layers"].keys())
    with torch.no_grad():
        for i, sample in enumerate(read_json(folder, "golden_tokens.json")["samples"]):
            half = i % 2
            model(input_ids=torch.tensor([sample["ids"]]), use_cache=False)
    out = dict(schema="reap.golden_residuals/1", n_experts=golden["n_experts"],
               even_samples={n: layers[n].json(0) for n in golden["layers"]},
               odd_samples={n: layers[n].json(1) for n in golden["layers"]})
    path = os.path.join(folder, f"golden_residuals{suffix}.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")
    if name == "gpt_oss":  # the same values in another type
        shutil.copy(path, os.path.join(families, "gpt_oss_mxfp4"))
    print(name, "written")


def main():
    families = sys.argv[1]
    torch.set_num_threads(1)
    for name in sys.argv[2:] or sorted(os.listdir(families)):
        if os.path.isdir(os.path.join(families, name, "hf")) and name != "gpt_oss_mxfp4":
            run(families, name)


if __name__ == "__main__":
    main()
