"""Makes tests/data/tokenizers: small checkpoints whose tokenizer is a tiktoken file, and what the engine's converter writes of them.

  reference-env.sh run DIR make_tiktoken.py OUT ENGINE_SOURCE TEXT

TEXT: a text to learn merges from. The converter asks the model's own Python code for ranks and special tokens; here it is given
them as that code would (tokenization_kimi.py, tokenization_hy.py), and the name of the pre-tokenizer, which it knows by a hash
of a real model's tokens. Ids of texts are compared by tests/interop/tokenizers.mjs."""
import base64, json, os, sys
from types import SimpleNamespace

out, source, text = sys.argv[1:4]
sys.path[:0] = [source, os.path.join(source, "gguf-py")]
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
import conversion

N_MERGES = 340


def alphabet():
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in own]
    return {chr(b): b for b in own} | {chr(256 + i): b for i, b in enumerate(rest)}


def learn():
    """Ranks: the 256 bytes, then merges in the order in which they were learned."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(open(text, encoding="utf-8"), trainers.BpeTrainer(
        vocab_size=256 + N_MERGES, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    bytes_of = alphabet()
    ranks = {bytes([b]): b for b in range(256)}
    for left, right in json.loads(t.to_str())["model"]["merges"]:
        ranks.setdefault(bytes(bytes_of[c] for c in left + right), len(ranks))
    return ranks


def write(path, value):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n" if not isinstance(value, str) else value)


def convert(folder, tokenizer, pre):
    # its id for Hunyuan is a constant, that of <|bos|> in the real vocabulary
    put = conversion.base.gguf.GGUFWriter.add_bos_token_id
    bos = tokenizer.special_tokens.get("<|bos|>")
    conversion.base.gguf.GGUFWriter.add_bos_token_id = lambda self, id: put(self, bos if id == 127959 else id)
    transformers.AutoTokenizer.from_pretrained = lambda *a, **k: tokenizer
    conversion.ModelBase.get_vocab_base_pre = lambda self, t: pre
    path = conversion.base.Path(folder)
    hparams = conversion.ModelBase.load_hparams(path, False)
    kind = conversion.get_model_class(hparams["architectures"][0])
    kind.get_vocab_base_pre = lambda self, t: pre
    model = kind(path, conversion.base.gguf.LlamaFileType.ALL_F32, path / "vocab.gguf")
    model.write_vocab()
    conversion.base.gguf.GGUFWriter.add_bos_token_id = put


def folder(name, file, ranks, config, tokenizer_config, tokenizer, pre):
    path = os.path.join(out, name)
    os.makedirs(path, exist_ok=True)
    write(os.path.join(path, file), "".join(f"{base64.b64encode(t).decode()} {r}\n" for t, r in ranks.items()))
    write(os.path.join(path, "config.json"), config)
    write(os.path.join(path, "tokenizer_config.json"), tokenizer_config)
    convert(path, tokenizer, pre)


ranks = learn()
n = len(ranks)

# Kimi-K2: 256 and two special tokens, those without a name in tokenizer_config.json reserved; the vocabulary ends before the last
named = {0: "[BOS]", 1: "[EOS]", 2: "<|im_end|>", 3: "<|im_user|>", 9: "[EOT]", 22: "<think>", 23: "</think>", 254: "[UNK]", 255: "[PAD]"}
special = {named.get(i, f"<|reserved_token_{n + i}|>"): n + i for i in range(256 + 2)}
config = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/families/deepseek_v3/hf/config.json")))
config |= {"model_type": "kimi_k2", "architectures": ["DeepseekV3ForCausalLM"], "vocab_size": n + 256,
           "bos_token_id": n, "eos_token_id": n + 2, "pad_token_id": n + 255}
folder("kimi_k2", "tiktoken.model", ranks, config,
       {"added_tokens_decoder": {str(n + i): {"content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                                              "special": t not in ("<think>", "</think>")} for i, t in named.items()},
        "bos_token": "[BOS]", "eos_token": "<|im_end|>", "pad_token": "[PAD]", "unk_token": "[UNK]",
        "model_max_length": 1000000000000000019884624838656, "tokenizer_class": "TikTokenTokenizer",
        "chat_template": "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"},
       SimpleNamespace(model=SimpleNamespace(_mergeable_ranks=ranks), special_tokens=special, eos_id=n + 2), "kimi-k2")

# Hunyuan-A13B
special = {t: n + i for i, t in enumerate(["<|endoftext|>", "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>"] + [f"<|extra_{i}|>" for i in range(205)])}
config = {"architectures": ["HunYuanMoEV1ForCausalLM"], "model_type": "hunyuan", "vocab_size": n + 210, "hidden_size": 64,
          "intermediate_size": 32, "moe_intermediate_size": [32, 32], "moe_topk": [2, 2], "num_shared_expert": [1, 1], "num_experts": 4,
          "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "attention_head_dim": 16, "rms_norm_eps": 1e-5,
          "max_position_embeddings": 32768, "rope_theta": 10000.0, "bos_token_id": 1, "eos_token_id": n + 3, "pad_token_id": n + 4}
folder("hunyuan", "hy.tiktoken", ranks, config, {"tokenizer_class": "HYTokenizer", "model_max_length": 1048576},
       SimpleNamespace(mergeable_ranks=ranks, special_tokens=special, vocab_size=n + 210), "hunyuan")
