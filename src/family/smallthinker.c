/* smallthinker.c - SmallThinker: routers that see what goes into the block, experts with ReLU. */
#include "family/rules.h"

static const struct name_rule smallthinker_names[] = {
    {"block_sparse_moe.primary_router.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.gate.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.up.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"block_sparse_moe.experts.#.down.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};

/* *set: whether the list says 1 for block i, or other where there is none. False: neither 0 nor 1. */
static bool layout_at(const struct family_model *m, const char *key, uint64_t i, uint64_t other, bool *set)
{
    uint32_t list = conf_get(m->conf, key);
    uint64_t v = other;
    bool ok = list == JSPAN_NONE || jdoc_u64(m->conf->d, model_list_at(m, list, i), &v);
    *set = v == 1;
    return ok && v <= 1;
}

#define WINDOW 4096 /* the engine's, whatever the key says */

/* The engine knows two forms: windows in three of four blocks, the first of which is whole and not rotated; none at
 * all, and rotation everywhere. g: the engine's number of the gate, 1 softmax, 2 sigmoid; w: window, 0 for none. */
static bool smallthinker_derive(struct family_model *m, struct err *e)
{
    uint32_t softmax = conf_get(m->conf, "moe_primary_router_apply_softmax");
    uint64_t *f = m->f, size = model_number(m, "sliding_window_size", 0);
    bool window, rope, any = false;
    for (uint64_t i = 0; i < f['L']; i++)
        any = any || (layout_at(m, "sliding_window_layout", i, 0, &window) && window);
    for (uint64_t i = 0; i < f['L']; i++)
        if (!layout_at(m, "sliding_window_layout", i, 0, &window) ||
            !layout_at(m, "rope_layout", i, 1, &rope) || window != (any && i % 4) || rope != (!any || i % 4))
            return err_set(
                e, ERR_INPUT,
                "config.json: block %llu of 'sliding_window_layout' and 'rope_layout' is not as the engine "
                "expects: all 0 and all 1, or both 0, 1, 1, 1, 0, ..",
                (unsigned long long)i);
    if (any && size != WINDOW)
        return err_set(e, ERR_INPUT,
                       "config.json: 'sliding_window_size' is %llu; the engine has windows of %d",
                       (unsigned long long)size, WINDOW);
    f['w'] = any ? size : 0;
    f['g'] = softmax != JSPAN_NONE && m->conf->d->nodes[softmax].kind == J_TRUE ? 1 : 2;
    return true;
}

static const struct conversion smallthinker = {
    .flags = CONVERT_FILE_ONLY,
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, smallthinker_names,
                                               NULL},
    .facts =
        (const struct fact_rule[]){
            {'X', "moe_ffn_hidden_size", NULL},
            {'F', "moe_ffn_hidden_size", NULL},
            {0, NULL, NULL},
        },
    .keys =
        (const struct key_rule[]){
            {"attention.sliding_window", KEY_U32, "=w", NULL},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_gating_func", KEY_U32, "=g", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"norm_topk_prob", "true", "true",
             "the engine always makes the weights of the chosen experts sum to one"},
            {"moe_enable_early_router", "true", "true", "the engine's routers see what goes into the block"},
            {"moe_enable_secondary_experts", "false", "false", "the engine has no second experts"},
            {NULL, NULL, NULL, NULL},
        },
    .derive = smallthinker_derive,
};

const struct family family_smallthinker = {
    .arch = "smallthinker",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_FIRST_TOP_K | ENGINE_GATE_KEY,
    .models = "SmallThinker",
    .gate = FUNC_BY_KEY_NORM,
    .classes = {{"SmallThinkerForCausalLM", &smallthinker}},
    NAMES(.block = "block_sparse_moe", .experts = "experts", .router = "primary_router"),
};
