/* fit.c - whether the tensors of a quantised weight fit together, by their shapes, and what follows: bits, groups,
 * where scales and zero points lie. Nothing is decoded before all of it is known to be there. */
#include "base/mem.h"
#include "base/text.h"
#include "convert/forms_part.h"
#include "convert/image_part.h"
#include "hf/names.h"

#include <string.h>

uint32_t form_member(const struct jdoc *d, uint32_t object, const char *key)
{
    return object == JSPAN_NONE || d->nodes[object].kind != J_OBJECT ? JSPAN_NONE : jdoc_get(d, object, key);
}

/* A list of two sizes. */
bool form_pair(const struct jdoc *d, uint32_t list, uint64_t *a, uint64_t *b)
{
    return list != JSPAN_NONE && d->nodes[list].kind == J_ARRAY && d->nodes[list].n == 2 &&
           jdoc_u64(d, d->nodes[list].first, a) && jdoc_u64(d, d->nodes[d->nodes[list].first].next, b) &&
           *a && *b && *a <= 1u << 28 && *b <= 1u << 28;
}

/* ---- shapes ---- */

static uint64_t count_of(const struct hf_tensor *t)
{
    uint64_t n = 1; /* the reader has checked that it fits */
    for (uint32_t i = 0; i < t->n_dims; i++)
        n *= t->dims[i];
    return n;
}

static bool wrong_shape(const struct hf_tensor *t, struct err *e)
{
    return err_set(e, ERR_INPUT, "tensor '%.200s' does not fit the weight that it belongs to", t->name);
}

static bool has_shape(const struct hf_tensor *t, uint64_t a, uint64_t b)
{
    return t->n_dims == 2 && t->dims[0] == a && t->dims[1] == b;
}

static bool is_number(const struct hf_tensor *t)
{
    return num_of(t->dtype) != N_NONE || !strcmp(t->dtype->name, "U8");
}

/* Codes in rows: all dimensions but the last two count matrices. */
static bool fit_rows(struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_CODES];
    uint64_t n = 1, cols, bits;
    if (t->n_dims < 2)
        return err_set(e, ERR_INPUT, "tensor '%.200s' is %s and has no second dimension", t->name,
                       t->dtype->name);
    for (uint32_t i = 0; i + 2 < t->n_dims; i++)
        n *= t->dims[i];
    p->n = n;
    p->rows = t->dims[t->n_dims - 2];
    cols = t->dims[t->n_dims - 1];
    if (!n || !p->rows || !cols || !mul_u64(cols, t->dtype->bits, &bits) || bits % 8)
        return wrong_shape(t, e);
    p->cols = bits / p->bits;
    p->code_bytes = bits / 8 * p->rows;
    return true;
}

static bool bad_scales(const struct finder *f, const struct hf_tensor *t, struct err *e)
{
    return err_set(e, ERR_INPUT, "tensor '%.200s' has %llu scales, expected blocks of %llu x %llu", t->name,
                   (unsigned long long)count_of(t), (unsigned long long)f->block_rows,
                   (unsigned long long)f->block_cols);
}

/* How wide the blocks are when n of them lie side by side: as the config says, if that is so many. */
static uint64_t block_of(uint64_t size, uint64_t n, uint64_t said)
{
    if (n == 1)
        return size;
    if ((size + said - 1) / said == n)
        return said;
    return n && size % n == 0 ? size / n : 0;
}

/* The scales of one matrix as rows and columns of blocks: one for all, one for each row, or a grid. */
static bool grid_of(const struct packed *p, const struct hf_tensor *t, uint64_t *rows, uint64_t *cols)
{
    uint64_t n = count_of(t), per = n / p->n;
    if (n == 1 || (n == p->n && t->n_dims <= 1)) {
        *rows = *cols = 1;
        return true;
    }
    if (n % p->n)
        return false;
    *cols = 1;
    *rows = per;
    if (t->n_dims == 4 && p->n == 1 && t->dims[1] == 1 && t->dims[3] == 1) { /* ModelOpt: [a, 1, b, 1] */
        *rows = t->dims[0];
        *cols = t->dims[2];
    } else if (t->n_dims == p->parts[PART_CODES]->n_dims) {
        *rows = t->dims[t->n_dims - 2];
        *cols = t->dims[t->n_dims - 1];
    } else if (t->n_dims + 1 != p->parts[PART_CODES]->n_dims || per != p->rows) {
        return false;
    }
    return *rows && *cols && per % *rows == 0 && per / *rows == *cols;
}

/* Blocks that the config tells of are those of every grid of scales; one for all, for each row or each column is none. */
static bool is_told_grid(const struct finder *f, const struct packed *p, uint64_t rows, uint64_t cols)
{
    bool lines = (cols == 1 && (rows == 1 || rows == p->rows)) || (rows == 1 && cols == p->cols);
    return !f->told_block || p->values != VALUES_FLOAT8 || lines ||
           ((p->rows - 1) / f->block_rows + 1 == rows && (p->cols - 1) / f->block_cols + 1 == cols);
}

static bool fit_grid(const struct finder *f, struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_SCALE];
    uint64_t rows, cols;
    if (!is_number(t) || !grid_of(p, t, &rows, &cols))
        return wrong_shape(t, e);
    if ((rows == 1 && cols > 1 && cols != p->cols && p->rows > f->block_rows) ||
        (cols == 1 && rows > 1 && rows != p->rows && p->cols > f->block_cols))
        return bad_scales(f, t, e); /* neither of columns or rows, nor blocks */
    if (!is_told_grid(f, p, rows, cols))
        return bad_scales(f, t, e);
    p->scale_rows = block_of(p->rows, rows, f->block_rows);
    p->scale_cols = block_of(p->cols, cols, f->block_cols);
    if (!p->scale_rows || !p->scale_cols)
        return bad_scales(f, t, e);
    p->row_step = cols;
    p->col_step = 1;
    p->n_groups = cols;
    p->n_scales = rows * cols;
    p->scale_step = count_of(t) == 1 && p->n > 1 ? 0 : p->n_scales;
    return true;
}

/* FP8 as the devices of a server had it, one below the other: each has its own blocks of scales, the last of them cut off by
 * its rows. How many they were, only the number of blocks says (conversion/mimo.py of llama.cpp v0.5.0, _tp_aware_qkv_dequant, which
 * tries as many). */
static bool fit_ranks(const struct finder *f, struct packed *p, struct err *e)
{
    static const uint64_t ranks[] = {8, 4};
    const struct hf_tensor *t = p->parts[PART_SCALE];
    uint64_t cols = (p->cols - 1) / f->block_cols + 1;
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        uint64_t rows = p->rows / ranks[i], n = ranks[i] * ((rows + f->block_rows - 1) / f->block_rows);
        if (p->n != 1 || p->rows % ranks[i] || !is_number(t) || !has_shape(t, n, cols))
            continue;
        p->rank_rows = rows;
        p->scale_rows = f->block_rows;
        p->scale_cols = f->block_cols;
        p->row_step = p->n_groups = cols;
        p->col_step = 1;
        p->n_scales = p->scale_step = n * cols;
        return true;
    }
    return err_set(
        e, ERR_INPUT,
        "tensor '%.200s' has %llu scales, expected those of 8 or 4 parts of %llu rows, in blocks of %llu x "
        "%llu",
        t->name, (unsigned long long)count_of(t), (unsigned long long)p->rows,
        (unsigned long long)f->block_rows, (unsigned long long)f->block_cols);
}

static void round_as(struct packed *p, const struct hf_tensor *t)
{
    enum num num = num_of(t->dtype);
    p->round_to = num == N_F16 ? T_F16 : T_BF16;
    if (num != N_F16 && num != N_BF16)
        p->round = ROUND_NOT;
}

static bool fit_global(struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_GLOBAL];
    if (!t)
        return true;
    uint64_t n = count_of(t);
    if (!is_number(t) || (n != 1 && n != p->n))
        return wrong_shape(t, e);
    p->global_step = n == 1 ? 0 : 1;
    return true;
}

bool form_fit_floats(const struct finder *f, const char *name, struct packed *p, struct err *e)
{
    if (!fit_rows(p, e))
        return false;
    if (f->ranks && p->values == VALUES_FLOAT8 && text_ends(name, ".qkv_proj.weight"))
        return fit_ranks(f, p, e);
    if (!fit_grid(f, p, e) || !fit_global(p, e))
        return false;
    const struct hf_tensor *s = p->parts[PART_SCALE];
    if (p->values != VALUES_FLOAT4)
        return true;
    uint64_t group = p->parts[PART_GLOBAL] ? 16 : 32; /* what NVFP4 and MXFP4 are */
    if (p->parts[PART_GLOBAL] && !strcmp(s->dtype->name, "U8"))
        return err_set(e, ERR_INPUT, "tensor '%.200s' is U8, expected F8_E4M3, as scales of NVFP4 are",
                       s->name);
    return (p->scale_rows == 1 && p->scale_cols == group) ||
           err_set(e, ERR_INPUT, "tensor '%.200s' has scales for groups of %llu x %llu, expected 1 x %llu",
                   s->name, (unsigned long long)p->scale_rows, (unsigned long long)p->scale_cols,
                   (unsigned long long)group);
}

/* ---- integers of compressed-tensors ---- */

/* What the config says that there is must be there: without it the numbers would be others. */
static bool gone(const struct packed *p, const char *what, struct err *e)
{
    return err_set(e, ERR_INPUT, "tensor '%.200s' has no %s beside it, which config.json tells of",
                   p->parts[PART_CODES]->name, what);
}

static bool fit_zeros(const struct finder *f, struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_ZERO];
    if (!t)
        return !f->needs_zeros || gone(p, "zero points", e);
    uint64_t words = (p->rows / p->scale_rows * p->bits + 31) / 32;
    if (!strcmp(t->dtype->name, "I32") && p->n == 1 && p->scale_rows == 1 && has_shape(t, words, p->n_groups))
        p->zeros = ZEROS_DOWN;
    else if (count_of(t) != count_of(p->parts[PART_SCALE]) ||
             (strcmp(t->dtype->name, "I8") != 0 && num_of(t->dtype) == N_NONE))
        return wrong_shape(t, e);
    return true;
}

static bool fit_order(const struct finder *f, struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_ORDER];
    if (!t)
        return !f->needs_order || gone(p, "order of columns ('g_idx')", e);
    return (!strcmp(t->dtype->name, "I32") && t->n_dims == 1 && t->dims[0] == p->cols && p->n == 1) ||
           wrong_shape(t, e);
}

/* A scale for each row and group of columns: as wide as the config says. */
static bool fit_groups(const struct finder *f, struct packed *p, struct err *e)
{
    if (!fit_grid(f, p, e) || p->scale_rows != 1)
        return e->code == ERR_NONE;
    return told_group(f, p, false, e);
}

bool form_fit_ints(const struct finder *f, const char *name, struct packed *p, struct err *e)
{
    (void)name;
    if (!fit_rows(p, e) || !told_bits(f, p, e) || !fit_groups(f, p, e) || !fit_zeros(f, p, e))
        return false;
    round_as(p, p->parts[PART_SCALE]);
    return true;
}

/* weight_shape: rows and the true number of columns. */
static bool read_shape(const struct finder *f, const struct hf_tensor *t, uint64_t *rows, uint64_t *cols,
                       struct err *e)
{
    uint8_t raw[16] = {0};
    bool wide = !strcmp(t->dtype->name, "I64");
    if (t->n_dims != 1 || t->dims[0] != 2 || (!wide && strcmp(t->dtype->name, "I32") != 0))
        return wrong_shape(t, e);
    if (!image_read_tensor(f->c, t, 0, t->bytes, raw, e))
        return false;
    *rows = *cols = 0;
    memcpy(rows, raw, t->bytes / 2);
    memcpy(cols, raw + t->bytes / 2, t->bytes / 2);
    return (*cols && *cols <= 1u << 30) || wrong_shape(t, e);
}

/* Whether rows end in codes that belong to no column: not if groups as the config tells fill all words. Of a large model
 * thousands of shapes need not be read then. */
static bool may_be_padded(const struct finder *f, const struct packed *p, uint64_t words)
{
    const struct hf_tensor *s = p->parts[PART_SCALE];
    uint64_t n = s->n_dims ? s->dims[s->n_dims - 1] : 0;
    for (size_t i = 0; i < f->n_told; i++)
        if (f->told[i].kind == TOLD_GROUP && n * f->told[i].value * p->bits == words * 32)
            return false;
    return true;
}

/* The bits are in the config, where all groups have the same, else they follow from the shape. */
static bool set_bits_and_columns(const struct finder *f, struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_CODES], *shape = p->parts[PART_STATE];
    uint64_t rows = 0, cols = 0, words = t->n_dims ? t->dims[t->n_dims - 1] : 0;
    p->bits = f->bits;
    bool known = p->bits && 32 % p->bits == 0;
    if (!known && !shape)
        return err_set(
            e, ERR_INPUT,
            "tensor '%.200s': no 'weight_shape' beside it, and config.json gives no 'num_bits' for all "
            "weights",
            t->name);
    if (shape && (!known || may_be_padded(f, p, words)) && !read_shape(f, shape, &rows, &cols, e))
        return false;
    if (!known)
        p->bits = words && words <= cols ? (uint32_t)(words * 32 / cols) : 0;
    if (!p->bits || p->bits > 8)
        return err_set(e, ERR_INPUT, "tensor '%.200s': codes of %u bits", t->name, p->bits);
    if (!fit_rows(p, e))
        return false;
    if (!cols)
        return true;
    if (rows != p->rows || (cols * p->bits + 31) / 32 != words)
        return err_set(
            e, ERR_INPUT,
            "tensor '%.200s' says [%llu, %llu], but there are %llu rows of %llu words with codes of %u bits%s",
            shape->name, (unsigned long long)rows, (unsigned long long)cols, (unsigned long long)p->rows,
            (unsigned long long)words, p->bits, known ? ", as 'num_bits' of config.json says" : "");
    p->cols = cols; /* what is behind them is padding */
    return true;
}

bool form_fit_packed_ints(const struct finder *f, const char *name, struct packed *p, struct err *e)
{
    (void)name;
    if (!set_bits_and_columns(f, p, e) || !told_bits(f, p, e) || !fit_groups(f, p, e) ||
        !fit_zeros(f, p, e) || !fit_order(f, p, e))
        return false;
    round_as(p, p->parts[PART_SCALE]);
    return true;
}

/* ---- GPTQ and AWQ: [in, out], packed along one or the other ---- */

static bool words_along(const struct hf_tensor *t, const struct hf_tensor *scale)
{
    return t->n_dims == 2 && scale->n_dims == 2 && t->dims[1] == scale->dims[1];
}

bool form_is_gptq(const struct packed *p)
{
    return words_along(p->parts[PART_CODES], p->parts[PART_SCALE]);
}

bool form_is_awq(const struct packed *p)
{
    return !form_is_gptq(p);
}

static bool fit_columns(const struct finder *f, struct packed *p, uint64_t cols, bool short_last,
                        struct err *e)
{
    const struct hf_tensor *s = p->parts[PART_SCALE], *z = p->parts[PART_ZERO];
    if (!is_number(s) || s->n_dims != 2 || !s->dims[0] || !s->dims[1] || s->dims[0] > cols)
        return wrong_shape(s, e);
    p->n = 1;
    p->rows = s->dims[1];
    p->cols = cols;
    p->n_groups = s->dims[0];
    p->n_scales = p->rows * p->n_groups;
    p->scale_rows = p->row_step = 1;
    p->col_step = p->rows;
    p->code_bytes = p->parts[PART_CODES]->bytes;
    if (strcmp(z->dtype->name, "I32") != 0 || p->rows * p->bits % 32 ||
        !has_shape(z, p->n_groups, p->rows * p->bits / 32))
        return wrong_shape(z, e);
    if (!told_bits(f, p, e) || !told_group(f, p, short_last, e))
        return false;
    round_as(p, s);
    return true;
}

bool form_fit_gptq(const struct finder *f, const char *name, struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_CODES], *z = p->parts[PART_ZERO];
    (void)name;
    uint64_t bits = z->n_dims == 2 && t->dims[1] ? z->dims[1] * 32 / t->dims[1] : 0;
    if (z->n_dims == 2 && z->dims[1] > t->dims[1])
        bits = 0;
    if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
        return err_set(e, ERR_INPUT,
                       "tensor '%.200s': GPTQ with %llu bits cannot be converted (2, 3, 4 and 8 can)",
                       t->name, (unsigned long long)bits);
    p->bits = (uint32_t)bits;
    if (!told_gptq_zeros(f, &p->zeros, e))
        return false;
    if (t->dims[0] > 1u << 28 || t->dims[0] * 32 % bits)
        return wrong_shape(t, e);
    return fit_columns(f, p, t->dims[0] * 32 / bits, true, e) && fit_order(f, p, e);
}

bool form_fit_awq(const struct finder *f, const char *name, struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_CODES], *s = p->parts[PART_SCALE];
    (void)name;
    if (!told_awq_order(f, e))
        return false;
    p->bits = 4;
    p->zeros = ZEROS_AWQ;
    if (t->n_dims != 2 || s->n_dims != 2 || t->dims[1] > 1u << 28 || t->dims[1] * 8 != s->dims[1])
        return wrong_shape(t, e);
    return fit_columns(f, p, t->dims[0], false, e);
}

/* ---- MLX ---- */

/* "quantization" of the config: for all, or for one module by its name. */
static bool mlx_u64(const struct finder *f, const char *name, const char *key, uint64_t *out)
{
    const struct jdoc *d = f->conf.d;
    uint32_t q = conf_get(&f->conf, "quantization|quantization_config");
    char *module = xstrndup(name, strlen(name) - strlen(".weight"));
    uint32_t own = form_member(d, q, module);
    free(module);
    return jdoc_u64(d, form_member(d, own, key), out) || jdoc_u64(d, form_member(d, q, key), out);
}

bool form_fit_mlx(const struct finder *f, const char *name, struct packed *p, struct err *e)
{
    uint64_t bits = 4, group = 64;
    if (p->values == VALUES_FLOAT4)
        group = 32;
    else if (!mlx_u64(f, name, "bits", &bits) || !mlx_u64(f, name, "group_size", &group) || !bits ||
             bits > 8 || !group)
        return err_set(e, ERR_INPUT,
                       "tensor '%.200s': config.json gives no 'quantization' with 'bits' and "
                       "'group_size'",
                       name);
    p->bits = (uint32_t)bits;
    if (!fit_rows(p, e) || !fit_grid(f, p, e))
        return false;
    if (p->scale_rows != 1 || p->scale_cols != group)
        return err_set(e, ERR_INPUT, "tensor '%.200s' has scales for groups of %llu, expected %llu", name,
                       (unsigned long long)p->scale_cols, (unsigned long long)group);
    const struct hf_tensor *s = p->parts[PART_SCALE], *b = p->parts[PART_BIAS];
    if (b && (s->n_dims != b->n_dims || b->dtype != s->dtype ||
              memcmp(b->dims, s->dims, s->n_dims * sizeof *s->dims) != 0))
        return wrong_shape(b, e);
    round_as(p, s);
    return true;
}

/* ---- bitsandbytes ---- */

bool form_fit_int8(const struct finder *f, const char *name, struct packed *p, struct err *e)
{
    const struct hf_tensor *s = p->parts[PART_SCALE];
    if (!form_fit_ints(f, name, p, e))
        return false;
    return (p->scale_rows == 1 && p->scale_cols == p->cols && !strcmp(s->dtype->name, "F32")) ||
           wrong_shape(s, e);
}

/* quant_state.bitsandbytes__*: JSON as bytes. */
static bool read_state(const struct finder *f, struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_STATE];
    struct jdoc d = {0};
    uint64_t block = 0, nested = 256;
    double offset = 0;
    char *text = t->bytes && t->bytes <= 1u << 16 ? xmalloc(t->bytes) : NULL;
    bool ok = text && image_read_tensor(f->c, t, 0, t->bytes, text, e) &&
              jdoc_parse(&d, text, t->bytes, 0, NULL, true, e) && d.nodes[0].kind == J_OBJECT;
    if (ok) {
        uint32_t type = jdoc_get(&d, 0, "dtype"), at = jdoc_get(&d, 0, "nested_offset");
        ok = form_pair(&d, jdoc_get(&d, 0, "shape"), &p->rows, &p->cols) &&
             jdoc_u64(&d, jdoc_get(&d, 0, "blocksize"), &block) && block && block <= 1u << 16;
        if (p->parts[PART_NESTED])
            ok = ok && at != JSPAN_NONE && jdoc_f64(&d, at, &offset) &&
                 jdoc_u64(&d, jdoc_get(&d, 0, "nested_blocksize"), &nested) && nested && nested <= 1u << 16;
        p->round = type != JSPAN_NONE && jdoc_str_is(&d, type, "float32") ? ROUND_NOT : ROUND_ONCE;
        p->round_to = type != JSPAN_NONE && jdoc_str_is(&d, type, "float16") ? T_F16 : T_BF16;
    }
    p->scale_cols = block;
    p->nested_block = (uint32_t)nested;
    p->nested_offset = (float)offset;
    jdoc_clear(&d);
    free(text);
    return ok || e->code != ERR_NONE ||
           err_set(e, ERR_INPUT, "tensor '%.200s' does not say 'shape' and 'blocksize' of a matrix", t->name);
}

bool form_fit_bnb4(const struct finder *f, const char *name, struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_CODES], *s = p->parts[PART_SCALE], *map = p->parts[PART_MAP];
    const struct hf_tensor *nested = p->parts[PART_NESTED], *nested_map = p->parts[PART_NESTED_MAP];
    (void)name;
    if (!read_state(f, p, e))
        return false;
    if (p->cols % 2 || t->bytes != p->rows * p->cols / 2)
        return wrong_shape(t, e);
    p->n = p->scale_rows = p->col_step = 1;
    p->flat = true;
    p->code_bytes = t->bytes;
    p->n_scales = p->scale_step = (p->rows * p->cols + p->scale_cols - 1) / p->scale_cols;
    if (count_of(s) != p->n_scales ||
        (nested ? strcmp(s->dtype->name, "U8") != 0 : num_of(s->dtype) == N_NONE))
        return wrong_shape(s, e);
    if (num_of(map->dtype) == N_NONE || count_of(map) != 16)
        return wrong_shape(map, e);
    if (!nested)
        return true;
    if (num_of(nested->dtype) == N_NONE ||
        count_of(nested) != (p->n_scales + p->nested_block - 1) / p->nested_block)
        return wrong_shape(nested, e);
    return (nested_map && num_of(nested_map->dtype) != N_NONE && count_of(nested_map) == 256) ||
           wrong_shape(nested, e);
}

/* ---- gpt-oss ---- */

/* The family's rules take blocks and scales as they are (HOW_MXFP4). */
bool form_fit_blocks(const struct finder *f, const char *name, struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_CODES], *s = p->parts[PART_SCALE];
    (void)f;
    (void)name;
    return (t->n_dims == 4 && s->n_dims == 3 && t->dims[3] == 16 && s->dtype->bits == 8 &&
            !memcmp(t->dims, s->dims, 3 * sizeof *t->dims)) ||
           wrong_shape(s, e);
}

bool form_is_mxfp4(const struct packed *p)
{
    const char *type = p->parts[PART_SCALE]->dtype->name;
    return !strcmp(type, "U8") || !strcmp(type, "F8_E8M0");
}
