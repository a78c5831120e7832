/* ernie4_5.c - Ernie 4.5. */
#include "family/rules.h"

static const struct name_rule ernie_select[] = {
    {"mlp.moe_statics.e_score_correction_bias", "exp_probs_b.bias", "1E", HOW_COPY, B_MOE, true},
    END,
};

static bool ernie_derive(struct family_model *m, struct err *e)
{
    uint64_t *f = m->f, lead = model_number(m, "moe_layer_start_index", 0);
    uint32_t end = conf_get(m->conf, "moe_layer_end_index");
    uint64_t last;
    f['S'] = f['X'] * f['s'];
    if (lead > f['L'])
        return model_key_too_large("moe_layer_start_index", e);
    /* -1, or the number of the last layer */
    if (end != JSPAN_NONE && jdoc_u64(m->conf->d, end, &last) && last != f['L'] - 1)
        return err_set(
            e, ERR_INPUT,
            "config.json: 'moe_layer_end_index' is %llu; the engine expects experts up to the last of "
            "%llu layers",
            (unsigned long long)last, (unsigned long long)f['L']);
    model_dense_first(m, lead);
    return true;
}

static const struct conversion ernie4_5_moe = {
    .names = (const struct name_rule *const[]){rules_pre_norm, rules_ffn_norm, rules_attn, rules_dense,
                                               rules_moe, ernie_select, rules_shared, NULL},
    .facts = (const struct fact_rule[]){{'s', "moe_num_shared_experts", "0"}, {0, NULL, NULL}},
    .keys =
        (const struct key_rule[]){
            {"interleave_moe_layer_step", KEY_U32, "moe_layer_interval", "1"},
            {"leading_dense_block_count", KEY_U32, "moe_layer_start_index", "0"},
            {"expert_feed_forward_length", KEY_U32, "=X", NULL},
            {"expert_shared_count", KEY_U32, "=s", NULL},
            {"expert_shared_feed_forward_length", KEY_U32, "=S", NULL},
            {NULL, KEY_U32, NULL, NULL},
        },
    .musts =
        (const struct must_rule[]){
            {"moe_layer_interval", "1", "1",
             "the engine expects experts in every block behind the dense ones"},
            {"use_bias", "false", "false", "the engine has no biases here"},
            {"hidden_act", "silu", "silu", rules_silu_only},
            {NULL, NULL, NULL, NULL},
        },
    .derive = ernie_derive,
};

const struct family family_ernie4_5 = {
    .arch = "ernie4_5-moe",
    .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_MOE_STEP,
    .models = "Ernie-4.5-MoE",
    .gate = SOFTMAX_NORM,
    .classes = {{"Ernie4_5_MoeForCausalLM", &ernie4_5_moe}, {"Ernie4_5_MoEForCausalLM", &ernie4_5_moe}},
    NAMES(MLP, .vectors = "moe_statics"),
    .tokenizers = {{.model_types = "ernie4_5*", .space_prefix = PREFIX_LAST}},
};
