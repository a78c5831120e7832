/* mla.h - attention with latent vectors, and its indexer, for the records of families that have them; not for others.
 *
 * r, c: ranks of q and kv; n, p, v: head sizes without and with rotation, and of the values. b = N (n + v),
 * q = N (n + p), a = c + p, o = N v, W = n + p. The indexer chooses the tokens that attention sees: j, w: its heads and their
 * size, u = j w. s: shared experts; l: dense blocks before the others. */
#ifndef REAP_FAMILY_MLA_H
#define REAP_FAMILY_MLA_H

#include "family/rules.h"

/* clang-format off */
#define MLA_FACTS \
    {'r', "q_lora_rank", "0"}, \
    {'c', "kv_lora_rank", "512"}, \
    {'n', "qk_nope_head_dim", NULL}, \
    {'p', "qk_rope_head_dim", NULL}, \
    {'v', "v_head_dim", NULL}, \
    {'s', "n_shared_experts", "0"}, \
    {0, NULL, NULL}
#define MLA_MUSTS \
    {"moe_layer_freq", "1", "1", "the engine expects experts in every block behind the dense ones"}, \
    {"attention_bias", "false", "false", "the engine has no biases here"}, \
    {"rope_interleave", "true", "true", "the engine rotates pairs of neighbours"}, \
    {"hidden_act", "silu", "silu", rules_silu_only}, \
    {NULL, NULL, NULL, NULL}
#define MLA_KEYS \
    {"attention.head_count_kv", KEY_U32, "=1", NULL}, \
    {"attention.key_length", KEY_U32, "=a", NULL}, \
    {"attention.value_length", KEY_U32, "=c", NULL}, \
    {"attention.key_length_mla", KEY_U32, "=W", NULL}, \
    {"attention.value_length_mla", KEY_U32, "=v", NULL}, \
    {"attention.q_lora_rank", KEY_U32, "=r", NULL}, \
    {"attention.kv_lora_rank", KEY_U32, "=c", NULL}, \
    {"attention.layer_norm_rms_epsilon", KEY_F32, "rms_norm_eps", "1e-6"}, \
    {"leading_dense_block_count", KEY_U32, "=l", NULL}, \
    {"expert_feed_forward_length", KEY_U32, "=X", NULL}, \
    {"expert_shared_count", KEY_U32, "=s", NULL}, \
    {"expert_weights_scale", KEY_F32, "routed_scaling_factor", NULL}, \
    {"expert_weights_norm", KEY_BOOL, "norm_topk_prob", NULL}, \
    {"rope.dimension_count", KEY_U32, "=p", NULL}
#define DSA_FACTS \
    {'j', "index_n_heads", NULL}, \
    {'w', "index_head_dim", NULL}, \
    {'l', "first_k_dense_replace", "3"}, \
    MLA_FACTS
#define DSA_KEYS \
    MLA_KEYS, \
    {"expert_gating_func", KEY_GATING, "scoring_func", "sigmoid"}, \
    {"attention.indexer.head_count", KEY_U32, "=j", NULL}, \
    {"attention.indexer.key_length", KEY_U32, "=w", NULL}, \
    {"attention.indexer.top_k", KEY_U32, "index_topk", "!"}
/* clang-format on */

extern const struct name_rule mla_names[];   /* B_Q_FULL, B_Q_LORA */
extern const struct name_rule mla_indexer[]; /* B_INDEXER */

/* The facts that follow, and kinds: blocks dense at first, then with experts and shared ones. */
bool mla_derive(struct family_model *m, struct err *e);
/* Which layers choose for themselves, and which take what an earlier one chose: the fact 't' of each, and B_INDEXER. */
bool mla_shared_indexers(struct family_model *m, struct err *e);

#endif
