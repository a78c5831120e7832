/* rules.c - see rules.h. What is written down here and in the families' own files was read from the engine's
 * graphs (src/models/) and loaders and from the published configs; tests compare every family with a file
 * that llama.cpp's own converter made. */
#include "family/rules.h"

#include "base/mem.h"

#include <string.h>

const char rules_silu_only[] = "the engine computes SiLU";

const struct name_rule conversion_globals[] = {
    {"embed_tokens.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"embeddings.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"word_embeddings.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"wte.weight", "token_embd.weight", "VH", HOW_COPY, 0, false},
    {"norm.weight", "output_norm.weight", "H", HOW_COPY, 0, false},
    {"norm_f.weight", "output_norm.weight", "H", HOW_COPY, 0, false},
    {"lm_head.weight", "output.weight", "VH", HOW_COPY, 0, true}, /* required unless tied */
    {NULL, NULL, NULL, HOW_COPY, 0, false},
};

const struct name_rule rules_pre_norm[] = {
    {"input_layernorm.weight", "attn_norm.weight", "H", HOW_COPY, 0, false},
    END,
};
const struct name_rule rules_ffn_norm[] = {
    {"post_attention_layernorm.weight", "ffn_norm.weight", "H", HOW_COPY, 0, false},
    END,
};
const struct name_rule rules_post_norm[] = {
    {"post_attention_layernorm.weight", "post_attention_norm.weight", "H", HOW_COPY, 0, false},
    END,
};
const struct name_rule rules_attn[] = {
    {"self_attn.q_proj.weight", "attn_q.weight", "QH", HOW_COPY, B_ATTN, false},
    {"self_attn.k_proj.weight", "attn_k.weight", "KH", HOW_COPY, B_ATTN, false},
    {"self_attn.v_proj.weight", "attn_v.weight", "KH", HOW_COPY, B_ATTN, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "HQ", HOW_COPY, B_ATTN, false},
    END,
};
const struct name_rule rules_attn_permuted[] = {
    {"self_attn.q_proj.weight", "attn_q.weight", "QH", HOW_PERM, B_ATTN, false},
    {"self_attn.k_proj.weight", "attn_k.weight", "KH", HOW_PERM, B_ATTN, false},
    {"self_attn.v_proj.weight", "attn_v.weight", "KH", HOW_COPY, B_ATTN, false},
    {"self_attn.o_proj.weight", "attn_output.weight", "HQ", HOW_COPY, B_ATTN, false},
    END,
};
const struct name_rule rules_qkv_bias[] = {
    {"self_attn.q_proj.bias", "attn_q.bias", "Q", HOW_COPY, B_ATTN, false},
    {"self_attn.k_proj.bias", "attn_k.bias", "K", HOW_COPY, B_ATTN, false},
    {"self_attn.v_proj.bias", "attn_v.bias", "K", HOW_COPY, B_ATTN, false},
    END,
};
const struct name_rule rules_qkv_bias_optional[] = {
    {"self_attn.q_proj.bias", "attn_q.bias", "Q", HOW_COPY, B_ATTN, true},
    {"self_attn.k_proj.bias", "attn_k.bias", "K", HOW_COPY, B_ATTN, true},
    {"self_attn.v_proj.bias", "attn_v.bias", "K", HOW_COPY, B_ATTN, true},
    END,
};
const struct name_rule rules_head_norms[] = {
    {"self_attn.q_norm.weight", "attn_q_norm.weight", "D", HOW_COPY, B_ATTN, false},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", "D", HOW_COPY, B_ATTN, false},
    END,
};
const struct name_rule rules_dense[] = {
    {"mlp.gate_proj.weight", "ffn_gate.weight", "FH", HOW_COPY, B_DENSE, false},
    {"mlp.up_proj.weight", "ffn_up.weight", "FH", HOW_COPY, B_DENSE, false},
    {"mlp.down_proj.weight", "ffn_down.weight", "HF", HOW_COPY, B_DENSE, false},
    END,
};
const struct name_rule rules_moe[] = {
    {"mlp.gate.weight", "ffn_gate_inp.weight", "EH", HOW_COPY, B_MOE, false},
    {"mlp.experts.#.gate_proj.weight", "ffn_gate_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"mlp.experts.#.up_proj.weight", "ffn_up_exps.weight", "XH", HOW_COPY, B_MOE, false},
    {"mlp.experts.#.down_proj.weight", "ffn_down_exps.weight", "HX", HOW_COPY, B_MOE, false},
    END,
};
const struct name_rule rules_moe_fused[] = {
    /* as transformers holds them in memory */
    {"mlp.experts.gate_up_proj", "ffn_gate_exps.weight", "EGH", HOW_FIRST, B_MOE, false},
    {"mlp.experts.gate_up_proj", "ffn_up_exps.weight", "EGH", HOW_SECOND, B_MOE, false},
    {"mlp.experts.down_proj", "ffn_down_exps.weight", "EHX", HOW_COPY, B_MOE, false},
    END,
};
const struct name_rule rules_select_bias[] = {
    {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, false},
    END,
};
const struct name_rule rules_select_bias_optional[] = {
    {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias", "E", HOW_COPY, B_MOE, true},
    END,
};
const struct name_rule rules_shared[] = {
    {"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight", "SH", HOW_COPY, B_SHARED, false},
    {"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_SHARED, false},
    {"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_SHARED, false},
    END,
};
const struct name_rule rules_qwen_shared[] = {
    {"mlp.shared_expert.gate_proj.weight", "ffn_gate_shexp.weight", "SH", HOW_COPY, B_MOE, false},
    {"mlp.shared_expert.up_proj.weight", "ffn_up_shexp.weight", "SH", HOW_COPY, B_MOE, false},
    {"mlp.shared_expert.down_proj.weight", "ffn_down_shexp.weight", "HS", HOW_COPY, B_MOE, false},
    {"mlp.shared_expert_gate.weight", "ffn_gate_inp_shexp.weight", "1H", HOW_COPY, B_MOE, false},
    END,
};

/* Behind the last block, in layers of the same kind (CONVERT_MTP_KEPT). */
const struct name_rule rules_nextn[] = {
    {"eh_proj.weight", "nextn.eh_proj.weight", "HY", HOW_COPY, B_MTP, false},
    {"enorm.weight", "nextn.enorm.weight", "H", HOW_COPY, B_MTP, false},
    {"hnorm.weight", "nextn.hnorm.weight", "H", HOW_COPY, B_MTP, false},
    {"embed_tokens.weight", "nextn.embed_tokens.weight", "VH", HOW_COPY, B_MTP, true},
    {"shared_head.head.weight", "nextn.shared_head_head.weight", "VH", HOW_COPY, B_MTP, true},
    {"shared_head.norm.weight", "nextn.shared_head_norm.weight", "H", HOW_COPY, B_MTP, true},
    END,
};

/* ---- for derive functions ---- */

uint64_t model_number(const struct family_model *m, const char *keys, uint64_t other)
{
    const struct jdoc *d = m->conf->d;
    uint32_t node = conf_get(m->conf, keys);
    uint64_t v;
    if (node == JSPAN_NONE)
        return other;
    if (jdoc_u64(d, node, &v))
        return v;
    struct buf path = {0};
    jdoc_path(d, node, &path);
    err_set(m->e, ERR_INPUT, "config.json: '%.100s' is %s, expected a whole number", path.s ? path.s : "",
            jdoc_kind_name(d, node));
    buf_clear(&path);
    return other;
}

uint64_t model_number_auto(const struct family_model *m, const char *keys, uint64_t other)
{
    uint32_t node = conf_get(m->conf, keys);
    return node != JSPAN_NONE && jdoc_str_is(m->conf->d, node, "auto") ? other : model_number(m, keys, other);
}

void model_set_block(struct family_model *m, char letter, uint64_t block, uint64_t value)
{
    uint64_t **v = &m->by_block[(unsigned char)letter];
    if (!*v) {
        *v = xcalloc(m->n_blocks, sizeof **v);
        for (uint64_t i = 0; i < m->n_blocks; i++)
            (*v)[i] = m->f[(unsigned char)letter];
    }
    (*v)[block] = value;
}

bool model_rotated(struct family_model *m, double other, struct err *e)
{
    double part = other;
    (void)jdoc_f64(m->conf->d, conf_rope(m->conf, "partial_rotary_factor"), &part);
    if (!(part > 0 && part <= 1))
        return err_set(e, ERR_INPUT, "config.json: 'partial_rotary_factor' is not between 0 and 1");
    m->f['R'] = (uint64_t)((double)m->f['D'] * part);
    return true;
}

static bool word_kind(uint64_t il, const char *word, const struct kind_word *words, uint32_t *kind,
                      struct err *e)
{
    struct buf known = {0};
    uint32_t all = 0;
    for (const struct kind_word *w = words; w->word; w++)
        all |= w->kind;
    for (const struct kind_word *w = words; w->word; w++) {
        if (!strcmp(word, w->word)) {
            *kind = (*kind & ~all) | w->kind;
            buf_clear(&known);
            return true;
        }
        buf_fmt(&known, "%s%s", known.n ? ", " : "", w->word);
    }
    err_set(e, ERR_INPUT, "config.json: layer %llu is of kind '%.20s', expected one of: %s",
            (unsigned long long)il, word, known.s);
    buf_clear(&known);
    return false;
}

bool model_heads_equal(const struct family_model *m, struct err *e)
{
    return m->f['N'] == m->f['M'] ||
           err_set(e, ERR_INPUT, "config.json: %llu KV heads for %llu heads; the engine expects as many",
                   (unsigned long long)m->f['M'], (unsigned long long)m->f['N']);
}

bool model_layer_types(const struct family_model *m, uint32_t period, struct err *e)
{
    const struct jdoc *d = m->conf->d;
    uint32_t list = conf_get(m->conf, "layer_types");
    uint64_t i = 0;
    if (list == JSPAN_NONE)
        return true;
    if (d->nodes[list].kind != J_ARRAY || d->nodes[list].n != m->f['L'])
        return err_set(e, ERR_INPUT, "config.json: 'layer_types' is no list of %llu layers",
                       (unsigned long long)m->f['L']);
    for (uint32_t k = d->nodes[list].first; k != JSPAN_NONE; k = d->nodes[k].next, i++) {
        const char *want = (i + 1) % period ? "sliding_attention" : "full_attention";
        if (!jdoc_str_is(d, k, want))
            return err_set(
                e, ERR_INPUT,
                "config.json: layer %llu of 'layer_types' is not '%s': the engine has full attention "
                "in every %u-th layer",
                (unsigned long long)i, want, period);
    }
    return true;
}

void model_dense_first(struct family_model *m, uint64_t lead)
{
    for (uint64_t i = 0; i < m->n_blocks; i++)
        m->kinds[i] =
            (m->kinds[i] & B_MTP) | B_ATTN | (i < lead ? B_DENSE : B_MOE | (m->f['S'] ? B_SHARED : 0u));
}

bool model_kinds_by_words(struct family_model *m, const char *keys, const struct kind_word *words,
                          struct err *e)
{
    const struct jdoc *d = m->conf->d;
    uint32_t list = conf_get(m->conf, keys);
    uint64_t n = 0;
    struct buf text = {0};
    bool ok = true;
    if (list == JSPAN_NONE || (d->nodes[list].kind != J_STRING && d->nodes[list].kind != J_ARRAY))
        return err_set(e, ERR_INPUT, "config.json: '%s' is missing or no list of words", keys);
    if (d->nodes[list].kind == J_STRING) {
        jdoc_str(d, list, &text);
        for (n = 0; ok && n < text.n; n++)
            ok = n >= m->f['L'] || word_kind(n, (char[]){text.s[n], 0}, words, &m->kinds[n], e);
    } else {
        for (uint32_t k = d->nodes[list].first; ok && k != JSPAN_NONE; k = d->nodes[k].next, n++) {
            text.n = 0;
            if (d->nodes[k].kind == J_STRING)
                jdoc_str(d, k, &text);
            ok = n >= m->f['L'] || word_kind(n, text.n ? text.s : "", words, &m->kinds[n], e);
        }
    }
    if (ok && n != m->f['L'])
        ok = err_set(e, ERR_INPUT, "config.json: '%s' names %llu layers, expected %llu", keys,
                     (unsigned long long)n, (unsigned long long)m->f['L']);
    buf_clear(&text);
    return ok;
}

uint32_t model_list_at(const struct family_model *m, uint32_t list, uint64_t i)
{
    const struct jdoc *d = m->conf->d;
    if (list == JSPAN_NONE || d->nodes[list].kind != J_ARRAY)
        return JSPAN_NONE;
    uint32_t n = d->nodes[list].first;
    for (; n != JSPAN_NONE && i; i--)
        n = d->nodes[n].next;
    return n;
}

bool model_dense_by_key(struct family_model *m, const char *key, struct err *e)
{
    uint64_t lead = model_number(m, key, 0);
    if (lead > m->f['L'])
        return model_key_too_large(key, e);
    model_dense_first(m, lead);
    return true;
}

bool model_lead(struct family_model *m, uint64_t lead, struct err *e)
{
    const struct jdoc *d = m->conf->d;
    uint32_t types = conf_get(m->conf, "mlp_layer_types");
    if (types != JSPAN_NONE) {
        bool moe = false;
        lead = 0;
        for (uint64_t i = 0; i < m->f['L']; i++) {
            uint32_t n = model_list_at(m, types, i);
            bool is_dense = n != JSPAN_NONE && jdoc_str_is(d, n, "dense");
            if (is_dense ? moe : n == JSPAN_NONE || !jdoc_str_is(d, n, "sparse"))
                return err_set(
                    e, ERR_INPUT,
                    "config.json: 'mlp_layer_types' of layer %llu is not what the engine expects: dense "
                    "layers first, then sparse ones",
                    (unsigned long long)i);
            moe = !is_dense;
            lead += is_dense;
        }
    }
    if (lead > m->f['L'])
        return model_key_too_large("first_k_dense_replace", e);
    m->f['l'] = lead;
    model_dense_first(m, lead);
    return true;
}

bool model_windows(struct family_model *m, struct err *e)
{
    static const struct kind_word words[] = {
        {"sliding_attention", B_ATTN | B_WINDOW}, {"full_attention", B_ATTN}, {NULL, 0}};
    if (!model_kinds_by_words(m, "layer_types", words, e))
        return false;
    for (uint64_t i = 0; i < m->n_blocks; i++)
        model_set_block(m, 'w', i, m->kinds[i] & B_WINDOW ? 1 : 0);
    return true;
}

bool model_key_too_large(const char *key, struct err *e)
{
    return err_set(e, ERR_INPUT, "config.json: '%s' is larger than the model", key);
}
