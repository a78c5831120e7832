#!/usr/bin/env python3
"""The statistics of a block that predicts further tokens (MTP), as transformers' own layers compute it; for unit-mtp.

    golden_mtp.py FOLDER CHECKPOINT TOKENS OUT

FOLDER holds make.json, if it is one of tests/data/seeded; TOKENS is golden_tokens.json of the texts. transformers loads no such
block, so it is put together here: an ordinary layer of the model's class with the block's weights, behind the projection of the
token's embedding and of the model's hidden state at the position before (both normed; zeros before the first), as llama.cpp
v0.5.0 drafts (common/speculative.cpp) and vLLM does. OUT gets the sums of each expert, as golden_stats.json has them.
Run it in the reference environment (reference-env.sh).
"""
import json
import os
import re
import sys

import torch
import transformers
from safetensors.torch import load_file
from types import SimpleNamespace

from make_seeded import as_told, load, n_experts, read_json, run, save_numbers, text_config

# Where the parts stand: the layer, the projection, norms of the embedding and of the hidden state.
PLACES = [
    (r"model\.layers\.{n}\.", "eh_proj", "enorm", "hnorm"),
    (r"mtp\.layers\.0\.", "mtp.fc", "mtp.pre_fc_norm_embedding", "mtp.pre_fc_norm_hidden"),
]


def weights_of(checkpoint):
    out = {}
    for f in sorted(os.listdir(checkpoint)):
        if f.endswith(".safetensors"):
            out.update(load_file(os.path.join(checkpoint, f)))
    return {k.replace("model.language_model.", "model."): v.float() for k, v in out.items()}


def stacked(state):
    """Experts one by one as the classes hold them."""
    found = {}
    for name in [n for n in state if re.search(r"experts\.\d+\.", n)]:
        stem, i, proj = re.fullmatch(r"(.*experts)\.(\d+)\.(\w+)\.weight", name).groups()
        found.setdefault(stem, {}).setdefault(proj, {})[int(i)] = state.pop(name)
    for stem, x in found.items():
        n = len(x["down_proj"])
        state[stem + ".gate_up_proj"] = torch.stack([torch.cat([x["gate_proj"][i], x["up_proj"][i]]) for i in range(n)])
        state[stem + ".down_proj"] = torch.stack([x["down_proj"][i] for i in range(n)])
    return state


class Drafting(torch.nn.Module):
    def __init__(self, model, checkpoint):
        super().__init__()
        self.trunk = [model.model.language_model if hasattr(model.model, "language_model") else model.model]  # no module of this one
        trunk, config, weights = self.trunk[0], text_config_of(model), weights_of(checkpoint)
        n, same = config.num_hidden_layers, len(trunk.layers) - 1  # the last is one with full attention, as the block is
        layer, fc, enorm, hnorm = next(p for p in PLACES if any(re.match(p[0].format(n=n), w) for w in weights))
        layer = layer.format(n=n).replace("\\", "")
        at = "" if fc.startswith("mtp.") else layer
        state = stacked({k[len(layer):]: v for k, v in weights.items() if k.startswith(layer)})
        block = type(trunk.layers[same])(config, layer_idx=same).float().eval()
        loaded = block.load_state_dict({k: v for k, v in state.items() if k in block.state_dict()}, strict=True)
        assert not loaded.missing_keys, loaded
        self.layers = torch.nn.ModuleDict({str(n): block})
        self.fc = weights[at + fc + ".weight"]
        self.embedding = weights.get(layer + "embed_tokens.weight", trunk.embed_tokens.weight)
        self.norms = []
        for name in (enorm, hnorm):
            norm = type(trunk.norm)(config.hidden_size, eps=config.rms_norm_eps).float()
            norm.load_state_dict({"weight": weights[at + name + ".weight"]})
            self.norms.append([norm])

    def forward(self, input_ids, use_cache=False):
        trunk = self.trunk[0]
        e = self.embedding[input_ids]
        h = trunk(input_ids=input_ids, use_cache=False).last_hidden_state
        h = torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], 1)
        x = torch.cat([self.norms[0][0](e), self.norms[1][0](h)], -1) @ self.fc.T
        n = x.shape[1]
        at = torch.arange(n)[None]
        mask = torch.full((n, n), torch.finfo(torch.float32).min).triu(1)[None, None]
        if "mrope" in str(getattr(trunk.rotary_emb, "mrope_section", "")) or hasattr(trunk.rotary_emb, "mrope_section"):
            rotary = trunk.rotary_emb(x, at[None].expand(3, 1, n))
        else:
            rotary = trunk.rotary_emb(x, at)
        block = next(iter(self.layers.values()))
        y = block(x, attention_mask=mask, position_ids=at, position_embeddings=rotary)
        y = y[0] if isinstance(y, tuple) else y
        return SimpleNamespace(logits=y @ trunk.embed_tokens.weight.T)  # nobody looks at these


def text_config_of(model):
    return getattr(model.config, "text_config", None) or model.config


def main():
    folder, checkpoint, tokens, out = sys.argv[1:]
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    make = read_json(folder, "make.json", other={})
    rows = json.load(open(tokens, encoding="utf-8"))["samples"]
    checkpoint = as_told(checkpoint, make)
    model = load(checkpoint, {**make, "ignored": [r".*"]})  # what of the block it names
    cfg = read_json(checkpoint, "config.json")
    res = run(Drafting(model, checkpoint), [r["ids"] for r in rows], n_experts(cfg), scale=make.get("scale", 1))
    stats = dict(schema="reap.golden_mtp/1", layers={str(k): {a: b.tolist() for a, b in st.items()} for k, st in res["stats"].items()})
    for name, part in zip(("even_samples", "odd_samples"), res["halves"]):
        stats[name] = {str(k): {a: b.tolist() for a, b in st.items()} for k, st in sorted(part.items())}
    save_numbers(out, stats)
    print(os.path.basename(folder), {k: v["count"] for k, v in stats["layers"].items()})


main()
