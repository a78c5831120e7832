/* rules.h - what the records of src/family/ are written with; not for others.
 *
 * The list of families that have a file of their own, words that many records share, lists of tensor rules
 * that several families share, and questions of derive functions. */
#ifndef REAP_FAMILY_RULES_H
#define REAP_FAMILY_RULES_H

#include "family/conversion.h"
#include "family/family.h"

/* One record each, in the order in which messages and tables list them; table.c has the others. */
#define FAMILIES_WITH_FILES(X) \
    X(qwen3moe)                \
    X(qwen3vlmoe)              \
    X(qwen3next)               \
    X(qwen35moe)               \
    X(qwen4exp)                \
    X(lfm2moe)                 \
    X(jamba)                   \
    X(granitehybrid)           \
    X(kimi_linear)             \
    X(kimi_k3)                 \
    X(laguna)                  \
    X(mellum)                  \
    X(qwen2moe)                \
    X(olmoe)                   \
    X(mixtral)                 \
    X(gpt_oss)                 \
    X(llama4)                  \
    X(deepseek2)               \
    X(ernie4_5)                \
    X(glm4moe)                 \
    X(nemotron_h)              \
    X(gemma4)                  \
    X(deepseek32)              \
    X(glm_dsa)                 \
    X(afmoe)                   \
    X(arctic)                  \
    X(bailingmoe)              \
    X(bailingmoe2)             \
    X(dbrx)                    \
    X(deepseek)                \
    X(deepseek2ocr)            \
    X(deepseek4)               \
    X(dots1)                   \
    X(dots3note)               \
    X(exaone_moe)              \
    X(granitemoe)              \
    X(hunyuan_moe)             \
    X(hy_v3)                   \
    X(hy_v4)                   \
    X(minimax01)               \
    X(minimax_m2)              \
    X(minimax_m3)              \
    X(cohere2moe)              \
    X(llada_moe)               \
    X(maple)                   \
    X(mimo2)                   \
    X(bailingmoe3)             \
    X(rnd1)                    \
    X(smallthinker)            \
    X(step35)
#define FAMILY_DECLARE(x) extern const struct family family_##x;
FAMILIES_WITH_FILES(FAMILY_DECLARE)

/* The others; the row behind the last has no class and no arch. */
extern const struct family family_table[];

/* ---- words ---- */
#define SOFTMAX_NORM     "softmax, top-k, renormalised"
#define SOFTMAX          "softmax, top-k, not renormalised"
#define FUNC_BY_KEY_NORM "softmax or sigmoid by the file's key, top-k, renormalised"
#define BY_KEYS          "by the file's keys: softmax or sigmoid, top-k, renormalised and scaled where set"

/* .classes = {CLASS("..")}, {"..", &conversion} where there is a conversion; NAMES(MLP, CORRECTION) */
#define CLASS(text)    \
    {                  \
        .name = (text) \
    }
#define NAMES(...) .names = {__VA_ARGS__}
#define MLP        .block = "mlp", .experts = "experts", .router = "gate"
#define SPARSE     .block = "block_sparse_moe", .experts = "experts", .router = "gate"
#define CORRECTION .vectors = "e_score_correction_bias expert_bias"

/* What the engine's converter does for Llama and all that it derives from it; .. for GLM. */
#define LLAMA_TOKENIZER .space_prefix = PREFIX_FIRST, .no_bos_vocab = 49152
#define GLM_TOKENIZER   .bos = "[gMASK]", .eot = "<|user|>", .unk = "<|endoftext|>", .eom = "<|observation|>"

/* ---- tensor rules ---- */
#define END                                  \
    {                                        \
        NULL, NULL, NULL, HOW_COPY, 0, false \
    }
extern const struct name_rule rules_pre_norm[];
extern const struct name_rule rules_ffn_norm[];
extern const struct name_rule rules_post_norm[];
extern const struct name_rule rules_attn[];
extern const struct name_rule rules_attn_permuted[];
extern const struct name_rule rules_qkv_bias[];
extern const struct name_rule rules_qkv_bias_optional[];
extern const struct name_rule rules_head_norms[];
extern const struct name_rule rules_dense[];
extern const struct name_rule rules_moe[];
extern const struct name_rule rules_moe_fused[];
extern const struct name_rule rules_select_bias[];
extern const struct name_rule rules_select_bias_optional[];
extern const struct name_rule rules_shared[];
extern const struct name_rule rules_nextn[];
extern const struct name_rule rules_qwen_shared[]; /* one, behind a gate */

extern const char rules_silu_only[]; /* why of a must */

/* ---- for derive functions ---- */
/* A whole number; other: where the config has none, or null. Of another kind it is an error (m->e), which ends the conversion
 * whatever derive makes of `other`. */
uint64_t model_number(const struct family_model *m, const char *keys, uint64_t other);
/* The same, and the config may say "auto" for `other`. */
uint64_t model_number_auto(const struct family_model *m, const char *keys, uint64_t other);
/* A fact that is another one in this block; in the others it stays what it is. Set the common value first. */
void model_set_block(struct family_model *m, char letter, uint64_t block, uint64_t value);
/* f['R']: how much of a head is rotated, by partial_rotary_factor; other: where the config has none. */
bool model_rotated(struct family_model *m, double other, struct err *e);
bool model_heads_equal(const struct family_model *m, struct err *e); /* as many of keys as of queries */
/* The engine's pattern of windows: every `period`-th block attends to the whole context, the others to a window. */
bool model_layer_types(const struct family_model *m, uint32_t period, struct err *e);
/* The first `lead` blocks are dense, the others have experts, and shared ones if there are any. */
void model_dense_first(struct family_model *m, uint64_t lead);
bool model_dense_by_key(struct family_model *m, const char *key,
                        struct err *e); /* so many as the config says, or none */
/* The same where mlp_layer_types may say it ("dense", "sparse") instead; the fact 'l' is their number then. */
bool model_lead(struct family_model *m, uint64_t lead, struct err *e);
/* The kinds of all blocks by a list of words, or a string with a letter for each block; `words` ends with a word
 * NULL. Kinds that no word means stay as they are. A missing key, a word that is not known and another number of them are errors. */
struct kind_word {
    const char *word;
    uint32_t kind;
};
bool model_kinds_by_words(struct family_model *m, const char *keys, const struct kind_word *words,
                          struct err *e);
/* The node of element i of an array of the config; JSPAN_NONE: there is none. */
uint32_t model_list_at(const struct family_model *m, uint32_t list, uint64_t i);
/* Which blocks attend to a window alone, by layer_types: B_ATTN, B_WINDOW and the fact 'w' of each block. */
bool model_windows(struct family_model *m, struct err *e);
bool model_key_too_large(const char *key, struct err *e); /* sets it, returns false */

#endif
