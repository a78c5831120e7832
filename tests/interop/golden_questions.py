#!/usr/bin/env python3
"""Log-likelihoods of choices in Hugging Face transformers, float32, each choice by itself.

    golden_questions.py FAMILIES CHOICES > CHOICES/golden.txt

For each family below and each CHOICES/*.jsonl a line per row: family, file, row, the log-likelihood of every choice. The
prompts are written here anew, after the task files of lm-evaluation-harness, and so is the way in which they are divided
into tokens (its _encode_pair): the question and the question with the choice are tokenised, and what comes behind as many
tokens as the question has is scored.
"""
import glob, json, os, re, sys
import torch
import transformers

FAMILIES = ["qwen3_moe", "mixtral", "gpt_oss", "deepseek_v3", "glm4_moe", "llama4", "nemotron_h"]


def clean(text):
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def ask(q):
    return f"Question: {q}\nAnswer:"


def pairs(form, d):
    if form in ("question",):
        return [(ask(d["question"]), " " + c) for c in d["choices"]]
    if form == "mmlu":
        letters = "ABCD"[:len(d["choices"])]
        text = f"The following are multiple choice questions (with answers) about {d['subject'].replace('_', ' ')}.\n\n"
        text += d["question"].strip() + "\n" + "".join(f"{a}. {c}\n" for a, c in zip(letters, d["choices"])) + "Answer:"
        return [(text, " " + a) for a in letters]
    if form == "arc":
        return [(ask(d["question"]), " " + c) for c in d["choices"]["text"]]
    if form == "openbookqa":
        return [(d["question_stem"], " " + c) for c in d["choices"]["text"]]
    if form == "hellaswag":
        text = clean(d["activity_label"] + ": " + d["ctx_a"] + " " + d["ctx_b"].capitalize())
        return [(text, " " + clean(c)) for c in d["endings"]]
    if form == "piqa":
        return [(ask(d["goal"]), " " + d[k]) for k in ("sol1", "sol2")]
    if form == "winogrande":
        at = d["sentence"].index("_")
        return [(d["sentence"][:at] + d[k], " " + d["sentence"][at + 1:].strip()) for k in ("option1", "option2")]
    if form == "boolq":
        return [(f"{d['passage']}\nQuestion: {d['question']}?\nAnswer:", " " + c) for c in ("no", "yes")]
    raise SystemExit(f"no form {form}")


def likelihood(model, tok, bos, before, after):
    n = len(before) - len(before.rstrip())
    if n:
        before, after = before[:-n], before[-n:] + after
    a = tok(before, add_special_tokens=False)["input_ids"]
    w = tok(before + after, add_special_tokens=False)["input_ids"]
    ids = bos + w
    with torch.no_grad():
        lp = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    return sum(float(lp[i - 1, ids[i]]) for i in range(len(bos) + len(a), len(ids)))


def main():
    families, choices = sys.argv[1:3]
    torch.set_num_threads(1)
    for family in FAMILIES:
        path = os.path.join(families, family, "hf")
        tok = transformers.AutoTokenizer.from_pretrained(path)
        model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
        first = tok("a")["input_ids"]
        bos = first[:1] if tok.bos_token_id is not None and first[0] == tok.bos_token_id else []
        for f in sorted(glob.glob(os.path.join(choices, "*.jsonl"))):
            form = os.path.basename(f)[:-6]
            for i, line in enumerate(open(f, encoding="utf-8")):
                print(family, os.path.basename(f), i, *(f"{likelihood(model, tok, bos, *p):.6f}" for p in pairs(form, json.loads(line))), flush=True)


main()
