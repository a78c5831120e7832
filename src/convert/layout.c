/* layout.c - the tensors of the image, in their order: shape, type and size. */
#include "base/mem.h"
#include "base/text.h"
#include "convert/layout_part.h"

#include <string.h>

/* Vectors, norms, routers, and what the engine's kernels read as floats are never narrowed. */
static bool is_float(const struct image_tensor *t)
{
    static const char *const always[] = {
        "_norm.weight",           "ffn_gate_inp.weight",   "ffn_gate_inp_shexp.weight", "ssm_conv1d.weight",
        "shortconv.conv.weight",  "ssm_conv1d_q.weight",   "ssm_conv1d_k.weight",       "ssm_conv1d_v.weight",
        "hc_attn_fn.weight",      "hc_ffn_fn.weight",      "output_hc_fn.weight",       "ple_conv1d.weight",
        "_compressor_ape.weight", "indexer.q_proj.weight", "indexer.k_proj.weight"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (text_ends(t->name, always[i]))
            return true;
    return t->n_dims == 1 || !text_ends(t->name, ".weight");
}

static bool set_size(struct image_tensor *t, struct err *e)
{
    const struct gg_type *type = gg_type_get(t->type);
    uint64_t n = t->ne[0] / type->block;
    if (!mul_u64(n, type->bytes, &n) || !mul_u64(n, t->ne[1], &n) || !mul_u64(n, t->ne[2], &n) ||
        n > (uint64_t)1 << 60)
        return err_set(e, ERR_INPUT, "tensor '%s' is too large", t->name);
    t->bytes = n;
    return true;
}

static struct image_tensor *new_tensor(struct layout *l, int64_t block, const char *name)
{
    GROW(l->im->tensors, l->im->n_tensors, l->cap);
    struct image_tensor *t = &l->im->tensors[l->im->n_tensors++];
    *t = (struct image_tensor){.ne = {1, 1, 1, 1}, .n_dims = 1, .made = xcalloc(1, sizeof *t->made)};
    layout_tensor_name(t->name, block, name);
    return t;
}

static bool check_sources(const struct layout_slot *s, enum made_value value, struct err *e)
{
    for (uint64_t i = 0; i < s->room; i++) {
        const struct hf_tensor *t = s->sources[i].w;
        enum num num = num_of(t->dtype);
        const struct packed *p = s->sources[i].packed;
        if (value == V_IDS && strcmp(t->dtype->name, "I64") != 0 && strcmp(t->dtype->name, "I32") != 0)
            return err_set(e, ERR_INPUT, "tensor '%.200s' has type %s, expected ids of I64 or I32", t->name,
                           t->dtype->name);
        if (value == V_IDS)
            continue;
        if (value == V_MXFP4 && (!p || p->rows)) /* of another form: its blocks are no blocks of MXFP4 */
            return err_set(e, ERR_INPUT, "tensor '%.200s': no '_scales' of the same shape beside it",
                           t->name);
        if (p && value == V_PRODUCT)
            return err_set(e, ERR_INPUT, "tensor '%.200s' is quantised, expected a float type", t->name);
        if (p)
            continue;
        if (num == N_F8_E4M3 || num == N_F8_E5M2)
            return err_set(e, ERR_INPUT, "tensor '%.200s' is %s and has no '_scale_inv'", t->name,
                           t->dtype->name);
        if (num == N_NONE || num == N_E8M0)
            return err_set(e, ERR_INPUT, "tensor '%.200s' has type %s, expected a float type", t->name,
                           t->dtype->name);
    }
    return true;
}

#define MX_VALUES 32u /* of a block */

/* A matrix that is stored as the engine's blocks of MXFP4 are, codes and scales apart. */
static bool is_mxfp4(const struct packed *p)
{
    if (!p || p->values != VALUES_FLOAT4 || p->codes != CODES_ROWS || p->n != 1 || p->first || p->flat ||
        p->divide)
        return false;
    const char *codes = p->parts[PART_CODES]->dtype->name, *scale = p->parts[PART_SCALE]->dtype->name;
    return !p->parts[PART_GLOBAL] && p->scale_cols == MX_VALUES && p->scale_rows == 1 &&
           p->cols % MX_VALUES == 0 && (!strcmp(codes, "U8") || !strcmp(codes, "I8")) &&
           (!strcmp(scale, "U8") || !strcmp(scale, "F8_E8M0"));
}

/* Experts that all are stored so stay so. */
static void keep_blocks(const struct layout_slot *s, struct made *m)
{
    for (uint64_t i = 0; i < s->room; i++)
        if (!is_mxfp4(s->sources[i].packed))
            return;
    m->cols /= MX_VALUES;
    m->row_step = m->cols;
    m->value = V_MXFP4;
}

static bool add_output(struct layout *l, int64_t block, uint64_t rule, struct err *e)
{
    struct layout_slot *s = layout_slot_at(l, block, rule);
    if (!s->n)
        return true;
    struct image_tensor *t = new_tensor(l, block, s->rule->gguf);
    if (!layout_set_shape(l, block, s, t->made, t, e) || !check_sources(s, t->made->value, e))
        return false;
    if (strchr(s->rule->hf, '#') && layout_rule_parts(s->rule->hf) == 1 && s->rule->how == HOW_COPY &&
        l->type != T_F32)
        keep_blocks(s, t->made);
    t->made->sources = s->sources;
    t->made->n_sources = s->room;
    s->sources = NULL;
    bool blocks = t->made->value == V_MXFP4 && l->type != T_F32; /* the engine has them as they are */
    t->type = blocks ? T_MXFP4 : t->made->value == V_IDS ? T_I32 : is_float(t) ? T_F32 : l->type;
    if (t->type != T_MXFP4 && t->type != T_I32 && t->ne[0] % gg_type_get(t->type)->block)
        t->type = T_F16; /* as llama.cpp's converter does */
    return set_size(t, e);
}

static bool add_rope_freqs(struct layout *l, struct err *e)
{
    float *v;
    if (!layout_rope_freqs(&l->in, &v, e))
        return false;
    if (!v)
        return true;
    struct image_tensor *t = new_tensor(l, -1, "rope_freqs.weight");
    *t->made =
        (struct made){.n_slices = 1, .rows = 1, .cols = l->in.f.v['D'] / 2, .value = V_CONST, .values = v};
    t->ne[0] = t->made->cols;
    t->type = T_F32;
    return set_size(t, e);
}

bool layout_add_tensors(struct layout *l, struct err *e)
{
    for (uint64_t i = 0; i < l->n_globals; i++)
        if (!add_output(l, -1, i, e))
            return false;
    if (!add_rope_freqs(l, e))
        return false;
    for (uint64_t b = 0; b < l->in.n_blocks; b++)
        for (uint64_t i = 0; i < l->n_rules; i++)
            if (!add_output(l, (int64_t)b, i, e))
                return false;
    return true;
}
