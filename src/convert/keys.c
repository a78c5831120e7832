/* keys.c - the keys of the converted file that describe the model; the tokenizer's are tokenizer.c's. */
#include "convert/layout_part.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

/* Behind the family's own; a name that the family has is not written again. */
static const struct key_rule common_keys[] = {
    {"context_length", KEY_U32,
     "max_position_embeddings|n_ctx|n_positions|max_length|max_sequence_length|model_max_length", "!"},
    {"embedding_length", KEY_U32, "=H", NULL},
    {"vocab_size", KEY_U32, "=V", NULL},
    {"attention.head_count", KEY_U32, "=N", NULL},
    {"attention.head_count_kv", KEY_U32, "=M", NULL},
    {"attention.key_length", KEY_U32, "=D", NULL},
    {"attention.value_length", KEY_U32, "=D", NULL},
    {"attention.layer_norm_rms_epsilon", KEY_F32, "rms_norm_eps|norm_eps", "!"},
    {"feed_forward_length", KEY_U32, "=F", NULL},
    {"expert_count", KEY_U32, "=E", NULL},
    {"expert_used_count", KEY_U32, "=T", NULL},
    {"expert_group_count", KEY_U32, HF_KEYS_GROUPS, NULL},
    {"expert_group_used_count", KEY_U32, HF_KEYS_GROUPS_USED, NULL},
    {"expert_gating_func", KEY_GATING,
     "score_function|scoring_func|score_func|moe_router_activation|moe_router_activation_func", NULL},
    {NULL, KEY_U32, NULL, NULL},
};

struct out_keys {
    const struct layout_in *in;
    struct buf *b;
    uint64_t n;
};

static const char *full_name(const struct out_keys *k, const char *name, char dst[128])
{
    bool whole = !strncmp(name, "diffusion.", strlen("diffusion."));
    snprintf(dst, 128, "%s%s%s", whole ? "" : k->in->family->arch, whole ? "" : ".", name);
    return dst;
}

static void put_u32(struct out_keys *k, const char *name, uint64_t v)
{
    char s[128];
    gg_put_u32(k->b, full_name(k, name, s), (uint32_t)v);
    k->n++;
}

static void put_f32(struct out_keys *k, const char *name, double v)
{
    char s[128];
    gg_put_f32(k->b, full_name(k, name, s), (float)v);
    k->n++;
}

static void put_bool(struct out_keys *k, const char *name, bool v)
{
    char s[128];
    gg_put_bool(k->b, full_name(k, name, s), v);
    k->n++;
}

static bool bad(const struct out_keys *k, uint32_t node, const char *want, struct err *e)
{
    struct buf path = {0};
    jdoc_path(k->in->conf.d, node, &path);
    err_set(e, ERR_INPUT, "config.json: '%.100s' is %s, expected %s", path.s ? path.s : "",
            jdoc_kind_name(k->in->conf.d, node), want);
    buf_clear(&path);
    return false;
}

/* enum llama_expert_gating_func_type */
static bool put_gating(struct out_keys *k, const char *name, const char *func, struct err *e)
{
    static const struct {
        const char *func;
        uint32_t id;
    } known[] = {{"softmax", 1}, {"sigmoid", 2}, {"noaux_tc", 2} /* dots.llm1's word */, {"sqrtsoftplus", 4}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(func, known[i].func)) {
            put_u32(k, name, known[i].id);
            return true;
        }
    return err_set(e, ERR_INPUT,
                   "config.json: the gate is '%.40s', expected softmax, sigmoid or sqrtsoftplus", func);
}

static bool put_text(struct out_keys *k, const struct key_rule *r, const char *text, struct err *e)
{
    switch (r->kind) {
    case KEY_U32: put_u32(k, r->name, strtoull(text, NULL, 10)); return true;
    case KEY_F32: put_f32(k, r->name, strtod(text, NULL)); return true;
    case KEY_BOOL_TRUNK:
    case KEY_BOOL: put_bool(k, r->name, !strcmp(text, "true")); return true;
    case KEY_GATING: return put_gating(k, r->name, text, e);
    case KEY_TEXT: {
        char s[128];
        gg_put_str(k->b, full_name(k, r->name, s), text);
        k->n++;
        return true;
    }
    default: return true;
    }
}

static bool put_node(struct out_keys *k, const struct key_rule *r, uint32_t node, struct err *e)
{
    const struct jdoc *d = k->in->conf.d;
    uint64_t u;
    double f;
    switch (r->kind) {
    case KEY_U32:
        if (!jdoc_u64(d, node, &u) || u > UINT32_MAX)
            return bad(k, node, "a whole number below 2^32", e);
        put_u32(k, r->name, u);
        return true;
    case KEY_F32:
        if (!jdoc_f64(d, node, &f) || !isfinite((float)f))
            return bad(k, node, "a number", e);
        put_f32(k, r->name, f);
        return true;
    case KEY_BOOL_TRUNK:
    case KEY_BOOL:
        if (d->nodes[node].kind != J_TRUE && d->nodes[node].kind != J_FALSE)
            return bad(k, node, "true or false", e);
        put_bool(k, r->name, d->nodes[node].kind == J_TRUE);
        return true;
    case KEY_TEXT: return bad(k, node, "nothing", e); /* no rule of this kind names a key */
    case KEY_GATING:
        if (d->nodes[node].kind == J_STRING) {
            struct buf s = {0};
            jdoc_str(d, node, &s);
            bool ok = put_gating(k, r->name, s.s ? s.s : "", e);
            buf_clear(&s);
            return ok;
        }
        return bad(k, node, "a string", e);
    default: return true;
    }
}

/* A fact that differs from block to block: an array. */
static bool put_by_block(struct out_keys *k, const struct key_rule *r, const uint64_t *v, struct err *e)
{
    uint64_t n = r->kind == KEY_BOOL_TRUNK ? k->in->f.v['L'] : k->in->n_blocks;
    char s[128];
    int32_t *out = xcalloc(n, sizeof *out);
    bool ok = true;
    for (uint64_t i = 0; ok && i < n; i++) {
        ok = v[i] <= INT32_MAX;
        out[i] = (int32_t)v[i];
    }
    if (!ok)
        err_set(e, ERR_INPUT, "config.json: the sizes are too large for the key '%s'", r->name);
    else if (r->kind == KEY_BOOL || r->kind == KEY_BOOL_TRUNK)
        gg_put_bools(k->b, full_name(k, r->name, s), out, n);
    else
        gg_put_i32s(k->b, full_name(k, r->name, s), out, n);
    k->n++;
    free(out);
    return ok;
}

static bool put_fact(struct out_keys *k, const struct key_rule *r, struct err *e)
{
    unsigned char letter = (unsigned char)r->from[1];
    uint64_t v = k->in->f.v[letter];
    if (k->in->f.by_block[letter])
        return put_by_block(k, r, k->in->f.by_block[letter], e);
    if (v > UINT32_MAX)
        return err_set(e, ERR_INPUT, "config.json: the sizes are too large for the key '%s'", r->name);
    put_u32(k, r->name, v);
    return true;
}

#define SECTIONS 4

static bool put_sections(struct out_keys *k, const struct key_rule *r, struct err *e)
{
    const struct jdoc *d = k->in->conf.d;
    uint32_t list = conf_rope(&k->in->conf, r->from);
    int32_t v[SECTIONS] = {0};
    char s[128], word[CONF_WORD];
    uint32_t n = 0;
    uint64_t u;
    if (list == JSPAN_NONE && !strcmp(r->other, "!"))
        return err_set(e, ERR_INPUT, "config.json: '%s' is missing", r->from);
    if (list == JSPAN_NONE) {
        for (const char *p = r->other; conf_next(&p, word); n++)
            v[n] = (int32_t)strtol(word, NULL, 10);
    } else {
        if (d->nodes[list].kind != J_ARRAY || d->nodes[list].n > SECTIONS)
            return bad(k, list, "a list of at most 4 numbers", e);
        for (uint32_t at = d->nodes[list].first; at != JSPAN_NONE; at = d->nodes[at].next) {
            if (!jdoc_u64(d, at, &u) || u > INT32_MAX)
                return bad(k, at, "a whole number below 2^31", e);
            v[n++] = (int32_t)u;
        }
    }
    gg_put_i32s(k->b, full_name(k, r->name, s), v, SECTIONS);
    k->n++;
    return true;
}

static bool put_f32_blocks(struct out_keys *k, const struct key_rule *r, struct err *e)
{
    const struct jdoc *d = k->in->conf.d;
    uint32_t list = *r->from ? conf_get(&k->in->conf, r->from) : JSPAN_NONE;
    char s[128];
    double v;
    bool ok = true;
    if (list == JSPAN_NONE && !r->other)
        return true;
    float one = list == JSPAN_NONE ? strtof(r->other, NULL) : 0;
    bool is_list = list != JSPAN_NONE && d->nodes[list].kind == J_ARRAY;
    if (list != JSPAN_NONE && !is_list) {
        if (!jdoc_f64(d, list, &v) || !isfinite((float)v))
            return bad(k, list, "a number, or a list of them", e);
        one = (float)v;
    }
    float *out = xcalloc(k->in->n_blocks, sizeof *out);
    uint32_t at = is_list ? d->nodes[list].first : JSPAN_NONE;
    for (uint64_t i = 0; ok && i < k->in->n_blocks; i++) {
        if (!is_list)
            out[i] = one;
        if (at == JSPAN_NONE)
            continue;
        ok = d->nodes[at].kind == J_NULL || (jdoc_f64(d, at, &v) && isfinite((float)v)) ||
             bad(k, at, "a number or null", e);
        out[i] = ok && d->nodes[at].kind != J_NULL ? (float)v : 0;
        at = d->nodes[at].next;
    }
    gg_put_f32s(k->b, full_name(k, r->name, s), out, k->in->n_blocks);
    k->n++;
    free(out);
    return ok;
}

static bool put_list(struct out_keys *k, const struct key_rule *r, struct err *e)
{
    const struct jdoc *d = k->in->conf.d;
    char s[128];
    uint64_t u, n = 0;
    if (*r->from == '=') {
        int32_t one = (int32_t)k->in->f.v[(unsigned char)r->from[1]]; /* facts are below 2^28 */
        gg_put_i32s(k->b, full_name(k, r->name, s), &one, 1);
        k->n++;
        return true;
    }
    uint32_t list = conf_get(&k->in->conf, r->from);
    if (list == JSPAN_NONE)
        return err_set(e, ERR_INPUT, "config.json: '%s' is missing", r->from);
    if (d->nodes[list].kind != J_ARRAY || !d->nodes[list].n)
        return bad(k, list, "a list of whole numbers", e);
    int32_t *out = xcalloc(d->nodes[list].n, sizeof *out);
    bool ok = true;
    for (uint32_t at = d->nodes[list].first; ok && at != JSPAN_NONE; at = d->nodes[at].next) {
        ok = (jdoc_u64(d, at, &u) && u <= INT32_MAX) || bad(k, at, "a whole number below 2^31", e);
        out[n++] = ok ? (int32_t)u : 0;
    }
    if (ok)
        gg_put_i32s(k->b, full_name(k, r->name, s), out, n);
    k->n++;
    free(out);
    return ok;
}

#define KEY_NUMBERS 1024 /* at most, of a tensor */

static bool put_tensor(struct out_keys *k, const struct key_rule *r, struct err *e)
{
    const struct hf_tensor *t = NULL;
    uint64_t v[KEY_NUMBERS];
    char s[128];
    for (uint64_t i = 0; !t && i < k->in->c->n_tensors; i++)
        t = text_ends(k->in->c->tensors[i].name, r->from) ? &k->in->c->tensors[i] : NULL;
    if (!t)
        return err_set(e, ERR_INPUT, "the checkpoint has no tensor '%s'", r->from);
    if (strcmp(t->dtype->name, "I64") != 0 || t->n_dims != 1 || !t->dims[0] || t->dims[0] > KEY_NUMBERS)
        return err_set(e, ERR_INPUT, "tensor '%.200s' is no list of 1 to %d numbers of type I64", t->name,
                       KEY_NUMBERS);
    if (!image_read_tensor(k->in->c, t, 0, t->dims[0] * sizeof *v, v, e))
        return false;
    for (uint64_t i = 0; i < t->dims[0]; i++)
        if (v[i] > INT64_MAX)
            return err_set(e, ERR_INPUT, "tensor '%.200s': number %llu is negative", t->name,
                           (unsigned long long)i);
    gg_put_u64s(k->b, full_name(k, r->name, s), v, t->dims[0]);
    k->n++;
    return true;
}

static bool put_key(struct out_keys *k, const struct key_rule *r, struct err *e)
{
    if (r->kind == KEY_SECTIONS)
        return put_sections(k, r, e);
    if (r->kind == KEY_F32_BLOCKS)
        return put_f32_blocks(k, r, e);
    if (r->kind == KEY_TENSOR)
        return put_tensor(k, r, e);
    if (r->kind == KEY_LIST)
        return put_list(k, r, e);
    if (r->from[0] == '=')
        return put_fact(k, r, e);
    uint32_t node = *r->from ? conf_get(&k->in->conf, r->from) : JSPAN_NONE;
    if (node != JSPAN_NONE)
        return put_node(k, r, node, e);
    if (!r->other)
        return true;
    if (!strcmp(r->other, "!"))
        return err_set(e, ERR_INPUT, "config.json: '%s' is missing", r->from);
    return put_text(k, r, r->other, e);
}

/* ---- rotary positions ---- */

static bool rope_f64(const struct layout_in *in, const char *keys, double other, double *out)
{
    *out = other;
    uint32_t n = conf_rope(&in->conf, keys);
    return n != JSPAN_NONE && jdoc_f64(in->conf.d, n, out) && isfinite(*out);
}

/* "rope_type" or the older "type"; "default" when there is none. */
static void rope_type(const struct layout_in *in, struct buf *b)
{
    uint32_t obj = conf_get(&in->conf, "rope_parameters|rope_scaling");
    uint32_t n = obj == JSPAN_NONE ? JSPAN_NONE : conf_rope(&in->conf, "rope_type|type");
    if (n != JSPAN_NONE && in->conf.d->nodes[n].kind == J_STRING)
        jdoc_str(in->conf.d, n, b);
    if (!b->n)
        buf_str(b, "default");
}

static bool put_yarn(struct out_keys *k, double factor, struct err *e)
{
    static const struct {
        const char *keys, *name;
    } opt[] = {{"extrapolation_factor", "rope.scaling.yarn_ext_factor"},
               {"attention_factor|attn_factor", "rope.scaling.yarn_attn_factor"},
               {"beta_fast", "rope.scaling.yarn_beta_fast"},
               {"beta_slow", "rope.scaling.yarn_beta_slow"}};
    char s[128];
    double v;
    uint64_t ctx;
    if (!jdoc_u64(k->in->conf.d, conf_rope(&k->in->conf, "original_max_position_embeddings"), &ctx) ||
        ctx > UINT32_MAX)
        return err_set(e, ERR_INPUT, "config.json: YaRN without a valid 'original_max_position_embeddings'");
    gg_put_str(k->b, full_name(k, "rope.scaling.type", s), "yarn");
    k->n++;
    put_f32(k, "rope.scaling.factor", factor);
    put_u32(k, "rope.scaling.original_context_length", ctx);
    for (size_t i = 0; i < sizeof opt / sizeof *opt; i++)
        if (rope_f64(k->in, opt[i].keys, 0, &v))
            put_f32(k, opt[i].name, v);
    /* the engine takes the factor of 0.1 out again (TAG_DEEPSEEK2_YARN_LOG_MUL_FIX) */
    if (k->in->family->yarn_all_dim && rope_f64(k->in, "mscale_all_dim", 0, &v))
        put_f32(k, "rope.scaling.yarn_log_multiplier", 0.1 * v);
    return true;
}

/* The engine rotates by powers of it. */
static bool put_base(struct out_keys *k, const char *name, double theta, struct err *e)
{
    if (!(theta > 0 && isfinite((float)theta) && (float)theta > 0))
        return err_set(e, ERR_INPUT,
                       "config.json: the base of rotation ('rope_theta') is %g, expected a number above 0",
                       theta);
    put_f32(k, name, theta);
    return true;
}

/* Hunyuan's scaling: the base is theta alpha^(d / (d - 2)), whatever the length of a text; nothing else is scaled.
 * modeling_hunyuan_v1_moe.py of transformers 5.12.1; the keys are those of llama.cpp's converter, which takes the context
 * for 256 Ki tokens, as the model's report has it. */
static bool put_alpha(struct out_keys *k, struct err *e)
{
    char s[128];
    double alpha, theta, d = (double)k->in->f.v['D'];
    rope_f64(k->in, "alpha", 0, &alpha);
    rope_f64(k->in, "rope_theta", 10000, &theta);
    if (!(alpha > 0 && d > 2))
        return err_set(e, ERR_INPUT,
                       "config.json: rotary scaling of type 'dynamic' without an 'alpha' above 0");
    if (!put_base(k, "rope.freq_base", theta * pow(alpha, d / (d - 2)), e))
        return false;
    gg_put_str(k->b, full_name(k, "rope.scaling.type", s), "none");
    k->n++;
    put_f32(k, "rope.scaling.factor", 1);
    put_u32(k, "rope.scaling.original_context_length", 256 << 10);
    return true;
}

/* Step-3.5's list of a base for each block: the first is that of whole attention, the second that of windows (its
 * record checks it). */
static bool put_two_bases(struct out_keys *k, bool *has, struct err *e)
{
    const struct jdoc *d = k->in->conf.d;
    uint32_t list = conf_get(&k->in->conf, "rope_theta");
    double whole, window;
    *has = k->in->conversion->flags & CONVERT_ROPE_TWO && list != JSPAN_NONE &&
           d->nodes[list].kind == J_ARRAY && d->nodes[list].n >= 2 &&
           jdoc_f64(d, d->nodes[list].first, &whole) &&
           jdoc_f64(d, d->nodes[d->nodes[list].first].next, &window);
    return !*has || (put_base(k, "rope.freq_base", whole, e) && put_base(k, "rope.freq_base_swa", window, e));
}

static bool put_rope(struct out_keys *k, struct err *e)
{
    struct buf type = {0};
    char s[128];
    double theta, factor;
    bool ok = true, has_factor = rope_f64(k->in, "factor", 1, &factor);
    rope_type(k->in, &type);
    if (!strcmp(type.s, "dynamic") && k->in->conversion->flags & CONVERT_ROPE_ALPHA) {
        buf_clear(&type);
        return put_alpha(k, e);
    }
    if (!strcmp(type.s, "linear") && has_factor) {
        gg_put_str(k->b, full_name(k, "rope.scaling.type", s), "linear");
        k->n++;
        put_f32(k, "rope.scaling.factor", factor);
    } else if (!strcmp(type.s, "yarn") && has_factor)
        ok = put_yarn(k, factor, e);
    else if (strcmp(type.s, "default") != 0 &&
             (strcmp(type.s, "proportional") != 0 || !(k->in->conversion->flags & CONVERT_ROPE_PART)) &&
             (strcmp(type.s, "llama3") != 0 || !(k->in->conversion->flags & CONVERT_ROPE_FREQS)))
        ok = err_set(
            e, ERR_INPUT,
            "config.json: rotary scaling of type '%.40s' cannot be converted for this family (default, "
            "linear and yarn can)",
            type.s);
    buf_clear(&type);
    if (!ok)
        return false;
    bool two;
    if (!put_two_bases(k, &two, e))
        return false;
    if (two)
        return true;
    bool said = rope_f64(k->in, "rope_theta|rotary_emb_base|attn_config.rope_theta", 10000, &theta);
    if (!said && k->in->conversion->flags & CONVERT_ROPE_UNSAID)
        return true;
    if (!said && !(k->in->conversion->flags & CONVERT_NO_ROPE))
        return err_set(e, ERR_INPUT, "config.json: 'rope_theta' is missing or not a number");
    if (!put_base(k, "rope.freq_base", theta, e))
        return false;
    return !jdoc_f64(k->in->conf.d, conf_rope_window(&k->in->conf, "rope_theta"), &theta) ||
           put_base(k, "rope.freq_base_swa", theta, e);
}

/* Rotated as far as the factor says; what comes behind turns by nothing that a float can tell. */
static bool rope_part(const struct layout_in *in, float **out, struct err *e)
{
    double part, factor;
    rope_f64(in, "partial_rotary_factor", 1, &part);
    rope_f64(in, "factor", 1, &factor);
    if (!(part > 0 && part <= 1) || factor != 1)
        return err_set(e, ERR_INPUT,
                       "config.json: rotation of %g of each head, slower by %g; expected 0 to 1, and 1", part,
                       factor);
    uint64_t n = in->f.v['D'] / 2, rotated = (uint64_t)((double)in->f.v['D'] * part / 2);
    *out = xcalloc(n ? n : 1, sizeof **out);
    for (uint64_t i = 0; i < n; i++)
        (*out)[i] = i < rotated ? 1 : 1e30f;
    return true;
}

/* Where the base is a list, its first. */
static bool first_base(const struct layout_in *in, double *theta)
{
    uint32_t list = conf_get(&in->conf, "rope_theta");
    return list != JSPAN_NONE && in->conf.d->nodes[list].kind == J_ARRAY &&
           jdoc_f64(in->conf.d, in->conf.d->nodes[list].first, theta);
}

/* By how much llama3's scaling slows a frequency. Llama's own code and what follows it computes in float, .. */
static float slowed_f(float freq, float factor, float low, float high, float old)
{
    float wave = (float)(2 * M_PI) / freq, smooth = (old / wave - low) / (high - low);
    return wave < old / high ? 1 : wave > old / low ? factor : 1 / ((1 - smooth) / factor + smooth);
}

/* .. the engine's converter of Step-3.5 in double. */
static float slowed(double freq, double factor, double low, double high, double old)
{
    double wave = 2 * M_PI / freq, smooth = (old / wave - low) / (high - low);
    return (float)(wave < old / high ? 1 : wave > old / low ? factor : 1 / ((1 - smooth) / factor + smooth));
}

bool layout_rope_freqs(const struct layout_in *in, float **out, struct err *e)
{
    struct buf type = {0};
    rope_type(in, &type);
    bool has = (in->conversion->flags & CONVERT_ROPE_FREQS) && !strcmp(type.s, "llama3");
    bool part = (in->conversion->flags & CONVERT_ROPE_PART) && !strcmp(type.s, "proportional");
    buf_clear(&type);
    *out = NULL;
    if (part)
        return rope_part(in, out, e);
    if (!has)
        return true;
    double theta, factor, low, high, old;
    if (!rope_f64(in, "rope_theta", 10000, &theta) && !first_base(in, &theta))
        theta = 10000;
    rope_f64(in, "factor", 8, &factor);
    rope_f64(in, "low_freq_factor", 1, &low);
    rope_f64(in, "high_freq_factor", 4, &high);
    rope_f64(in, "original_max_position_embeddings", 8192, &old);
    if (!(theta > 0 && factor > 0 && low > 0 && high > 0 && old > 0))
        return err_set(e, ERR_INPUT, "config.json: a parameter of llama3's rotary scaling is not above 0");
    bool half = in->conversion->flags & CONVERT_ROPE_TWO;
    uint64_t n = in->f.v['D'] / 2, dim = half ? n : in->f.v['D'];
    *out = xcalloc(n ? n : 1, sizeof **out);
    for (uint64_t i = 0; i < n; i++) {
        (*out)[i] = 1;
        if (2 * i >= dim)
            continue;
        float freq = 1.0f / powf((float)theta, (float)(2 * i) / (float)dim);
        (*out)[i] = half ? slowed(freq, factor, low, high, old)
                         : slowed_f(freq, (float)factor, (float)low, (float)high, (float)old);
    }
    return true;
}

/* Whether a rule before `end` is of that name: the first counts, so that a record can begin with what it has otherwise than a list
 * that it shares. */
static bool is_named(const struct key_rule *r, const struct key_rule *end, const char *name)
{
    for (; r != end; r++)
        if (!strcmp(r->name, name))
            return true;
    return false;
}

bool layout_put_keys(const struct layout_in *in, struct buf *b, uint64_t *n, struct err *e)
{
    struct out_keys k = {in, b, 0};
    gg_put_str(b, "general.architecture", in->family->arch);
    gg_put_str(b, "general.type", "model");
    gg_put_str(b, "general.name", in->name);
    gg_put_str(b, "general.size_label", in->size_label);
    gg_put_u32(b, "general.file_type", in->file_type);
    gg_put_u32(b, "general.quantization_version", 2);
    k.n = 6;
    put_u32(&k, "block_count", in->n_blocks);
    if (in->f.v['B'] && in->conversion->flags & CONVERT_MTP_WRITTEN)
        put_u32(&k, "nextn_predict_layers", in->f.v['B']);
    const struct key_rule *own = in->conversion->keys, *end = own;
    for (; end && end->name; end++)
        if (!is_named(own, end, end->name) && !put_key(&k, end, e))
            return false;
    for (const struct key_rule *r = common_keys; r->name; r++)
        if (!is_named(own, end, r->name) && !put_key(&k, r, e))
            return false;
    if (!put_rope(&k, e))
        return false;
    *n += k.n;
    return true;
}

bool layout_put_sampling(const char *dir, struct buf *b, uint64_t *n, struct err *e)
{
    static const struct {
        const char *from, *key;
        bool integer;
    } known[] = {{"temperature", "general.sampling.temp", false},
                 {"top_k", "general.sampling.top_k", true},
                 {"top_p", "general.sampling.top_p", false},
                 {"min_p", "general.sampling.min_p", false},
                 {"repetition_penalty", "general.sampling.penalty_repeat", false}};
    json_t *j;
    bool ok = hf_file_json(dir, "generation_config.json", &j, e);
    for (size_t i = 0; j && i < sizeof known / sizeof *known; i++) {
        const json_t *v = json_object_get(j, known[i].from);
        json_int_t k = json_integer_value(v);
        if (known[i].integer ? !json_is_integer(v) || k < 0 || k > INT32_MAX : !json_is_number(v))
            continue;
        if (known[i].integer)
            gg_put_i32(b, known[i].key, (int32_t)k);
        else
            gg_put_f32(b, known[i].key, (float)json_number_value(v));
        ++*n;
    }
    json_decref(j);
    return ok;
}
