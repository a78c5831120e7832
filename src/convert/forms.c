/* forms.c - weights that are stored with scales: FP8 in blocks, rows or whole matrices, and MXFP4. Refused:
 * every other quantised form. */
#include "base/mem.h"
#include "base/text.h"
#include "convert/layout_part.h"
#include "hf/names.h"

#include <string.h>

static const struct hf_tensor *find_beside(const struct layout *l, const char *name, const char *end)
{
    char *s = xasprintf("%s%s", name, end);
    const struct hf_tensor *t = hf_find_tensor(l->in.c, s);
    free(s);
    return t;
}

static bool refuse_form(const struct hf_tensor *t, const char *form, struct err *e)
{
    return err_set(
        e, ERR_INPUT,
        "tensor '%.200s': weights in the form of %s cannot be converted (FP8 and gpt-oss's MXFP4 can)",
        t->name, form);
}

/* The block of one FP8 scale: weight_block_size, or compressed-tensors' block_structure, else 128 x 128. */
static void find_fp8_block(struct layout *l)
{
    const struct jdoc *d = l->in.conf.d;
    uint32_t list = JSPAN_NONE, q = conf_get(&l->in.conf, HF_KEYS_QUANTIZATION);
    l->fp8_rows = l->fp8_cols = 128;
    if (q == JSPAN_NONE || d->nodes[q].kind != J_OBJECT)
        return;
    list = jdoc_get(d, q, "weight_block_size");
    uint32_t groups = jdoc_get(d, q, "config_groups");
    if (list == JSPAN_NONE && groups != JSPAN_NONE && d->nodes[groups].kind == J_OBJECT &&
        d->nodes[groups].n) {
        uint32_t group = d->nodes[groups].first;
        uint32_t w = d->nodes[group].kind == J_OBJECT ? jdoc_get(d, group, "weights") : JSPAN_NONE;
        if (w != JSPAN_NONE && d->nodes[w].kind == J_OBJECT)
            list = jdoc_get(d, w, "block_structure");
    }
    uint64_t a, b;
    if (list != JSPAN_NONE && d->nodes[list].kind == J_ARRAY && d->nodes[list].n == 2 &&
        jdoc_u64(d, d->nodes[list].first, &a) && jdoc_u64(d, d->nodes[d->nodes[list].first].next, &b) && a &&
        b && a <= 1u << 28 && b <= 1u << 28) {
        l->fp8_rows = a;
        l->fp8_cols = b;
    }
}

bool layout_check_forms(struct layout *l, struct err *e)
{
    static const struct {
        const char *end, *form;
    } forms[] = {{".qweight", "AWQ or GPTQ"},
                 {".weight_packed", "compressed-tensors' packed integers or NVFP4"},
                 {".weight_scale_2", "ModelOpt's NVFP4"},
                 {".weight.absmax", "bitsandbytes"},
                 {".qscale_weight", "Mistral's FP8"}};
    for (uint64_t i = 0; i < l->in.c->n_tensors; i++)
        for (size_t k = 0; k < sizeof forms / sizeof *forms; k++)
            if (text_ends(l->in.c->tensors[i].name, forms[k].end))
                return refuse_form(&l->in.c->tensors[i], forms[k].form, e);
    find_fp8_block(l);
    return true;
}

static uint64_t blocks_of(uint64_t n, uint64_t block)
{
    return (n + block - 1) / block;
}

/* Finds the scale of an FP8 weight and the shape of its blocks. */
static bool fp8_scale(struct layout *l, struct image_source *s, struct made *m, struct err *e)
{
    const struct hf_tensor *w = s->w, *t = find_beside(l, w->name, "_scale_inv");
    if (!t)
        t = find_beside(l, w->name, "_scale");
    if (!t || w->n_dims < 2)
        return err_set(e, ERR_INPUT, "tensor '%.200s' is %s and has no '%s'", w->name, w->dtype->name,
                       w->n_dims < 2 ? "second dimension" : "_scale_inv");
    uint64_t rows = w->dims[w->n_dims - 2], cols = w->dims[w->n_dims - 1], n = 1;
    for (uint32_t i = 0; i < t->n_dims; i++)
        n *= t->dims[i];
    for (uint32_t i = 0; i + 2 < w->n_dims; i++)
        n = n % w->dims[i] ? 0 : n / w->dims[i]; /* scales of one matrix */
    enum num num = num_of(t->dtype);
    if (num == N_NONE || !n || (t->n_dims > 1 && t->n_dims != w->n_dims))
        return err_set(e, ERR_INPUT, "tensor '%.200s' does not fit the weight that it scales", t->name);
    m->scale_rows = l->fp8_rows;
    m->scale_cols = l->fp8_cols;
    uint64_t last = t->n_dims ? t->dims[t->n_dims - 1] : 1;
    if (n == 1) { /* of the whole matrix */
        m->scale_rows = rows;
        m->scale_cols = cols;
    } else if (n == rows && (t->n_dims == 1 || last == 1)) { /* of each row */
        m->scale_rows = 1;
        m->scale_cols = cols;
    } else if (n != blocks_of(rows, l->fp8_rows) * blocks_of(cols, l->fp8_cols) ||
               last != blocks_of(cols, l->fp8_cols))
        return err_set(e, ERR_INPUT, "tensor '%.200s' has %llu scales, expected blocks of %llu x %llu",
                       t->name, (unsigned long long)n, (unsigned long long)l->fp8_rows,
                       (unsigned long long)l->fp8_cols);
    s->scale = t;
    return true;
}

/* What belongs to a weight that is stored with scales; those of activations are not needed. */
void layout_mark_companions(struct layout *l, const struct hf_tensor *t)
{
    static const struct {
        const char *end, *companion; /* what the name ends in, and what stands there instead */
    } known[] = {{"", "_scale_inv"},          {"", "_scale"},          {".weight", ".activation_scale"},
                 {".weight", ".input_scale"}, {".weight", ".k_scale"}, {".weight", ".v_scale"},
                 {"_blocks", "_scales"}};
    enum num num = num_of(t->dtype);
    bool fp8 = num == N_F8_E4M3 || num == N_F8_E5M2;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!text_ends(t->name, known[i].end) || fp8 == !strcmp(known[i].end, "_blocks"))
            continue;
        char *base = xstrndup(t->name, strlen(t->name) - strlen(known[i].end));
        const struct hf_tensor *other = find_beside(l, base, known[i].companion);
        if (other)
            layout_mark(l, other);
        free(base);
    }
}

bool layout_add_scales(struct layout *l, struct layout_slot *s, struct made *m, struct err *e)
{
    for (uint64_t i = 0; i < s->room; i++) {
        struct image_source *src = &s->sources[i];
        enum num num = num_of(src->w->dtype);
        uint64_t rows = m->scale_rows, cols = m->scale_cols;
        if (m->value == V_MXFP4) {
            char *base = xstrndup(src->w->name, strlen(src->w->name) - strlen("_blocks"));
            src->scale = find_beside(l, base, "_scales");
            free(base);
            const struct hf_tensor *t = src->scale;
            if (!t || t->n_dims != 3 || memcmp(t->dims, src->w->dims, 3 * sizeof *t->dims) != 0 ||
                t->dtype->bits != 8 || src->w->dtype->bits != 8)
                return err_set(e, ERR_INPUT, "tensor '%.200s': no '_scales' of the same shape beside it",
                               src->w->name);
            continue;
        }
        if (num == N_NONE || num == N_E8M0)
            return err_set(e, ERR_INPUT, "tensor '%.200s' has type %s, expected a float type", src->w->name,
                           src->w->dtype->name);
        if (num != N_F8_E4M3 && num != N_F8_E5M2)
            continue;
        if (!fp8_scale(l, src, m, e))
            return false;
        if (i && (rows != m->scale_rows || cols != m->scale_cols) && rows)
            return err_set(e, ERR_INPUT,
                           "tensor '%.200s' is scaled in another way than the experts before it",
                           src->w->name);
    }
    return true;
}
