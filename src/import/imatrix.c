/* imatrix.c - importance matrices of llama.cpp (tools/imatrix, v0.5.0), in GGUF form.
 *
 * For each weight W two F32 tensors: W.counts [1, experts], how many rows were routed to each, and W.in_sum2
 * [row length, experts], the sums of the squares of what went in. The old .dat form has no counts per expert.
 * Counts are float32, exact up to 2^24. */
#include "quant/imatrix.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gguf/gguf_file.h"
#include "import/import.h"

#include <math.h>
#include <string.h>

#define FORMAT "imatrix"

/* down first: its input is what the estimate needs; the counts of all are the same. */
static const char *const weights[] = {"ffn_down_exps", "ffn_up_exps", "ffn_gate_up_exps", "ffn_gate_exps"};
#define N_WEIGHTS (sizeof weights / sizeof *weights)

static const struct gg_tensor *find(const struct gg_file *f, uint32_t il, const char *weight,
                                    const char *what)
{
    char name[96];
    snprintf(name, sizeof name, "blk.%u.%s.weight.%s", il, weight, what);
    return gg_find_tensor(f, name);
}

static const struct gg_tensor *find_counts(const struct gg_file *f, uint32_t il)
{
    for (size_t w = 0; w < N_WEIGHTS; w++) {
        const struct gg_tensor *t = find(f, il, weights[w], "counts");
        if (t)
            return t;
    }
    return NULL;
}

/* rows x cols floats of a tensor; caller frees; NULL with *e. */
static float *read_f32(const struct gg_file *f, const struct gg_tensor *t, uint64_t cols, uint64_t rows,
                       struct err *e)
{
    if (strcmp(gg_type_get(t->type)->name, "f32") != 0 || t->ne[0] != cols || t->ne[1] != rows ||
        t->ne[2] != 1 || t->ne[3] != 1) {
        err_set(e, ERR_INPUT, "tensor '%s' is %s [%llu, %llu], expected f32 [%llu, %llu]", t->name,
                gg_type_get(t->type)->name, (unsigned long long)t->ne[0], (unsigned long long)t->ne[1],
                (unsigned long long)cols, (unsigned long long)rows);
        return NULL;
    }
    float *v = mem_try(cols * rows, sizeof *v, t->name, e); /* the reader has checked the product */
    if (v && file_pread(f->parts[t->part].fd, v, t->bytes, t->off, e))
        return v;
    free(v);
    return NULL;
}

static bool read_counts(const struct gg_file *f, struct stats *s, struct stats_layer *l, struct err *e)
{
    const struct gg_tensor *t = find_counts(f, l->il);
    float *v = read_f32(f, t, 1, s->n_experts, e);
    uint64_t sum = 0;
    bool ok = v != NULL;
    for (uint32_t j = 0; ok && j < s->n_experts; j++) {
        if (!(v[j] >= 0) || v[j] > 0x1p53f || floorf(v[j]) != v[j])
            ok = err_set(e, ERR_INPUT, "tensor '%s': the count of expert %u is %g", t->name, j, (double)v[j]);
        else
            sum += l->half[EVEN][j].count = (uint64_t)v[j]; /* at most LIMIT_EXPERTS x 2^53 */
        if (ok && v[j] >= 0x1p24f)
            log_warn("tensor '%s': the count of expert %u is only exact to 24 bits", t->name, j);
    }
    free(v);
    if (ok && sum % l->n_used)
        return err_set(e, ERR_INPUT,
                       "tensor '%s': the counts add up to %llu, which is no multiple of %u experts per token",
                       t->name, (unsigned long long)sum, l->n_used);
    l->tokens[EVEN] = ok ? sum / l->n_used : 0;
    return ok;
}

/* ---- the estimate: sum over t of ||W x(t)||^2, without the products of different components of x ---- */

/* The layer's ffn_down if the estimate can be made with it; NULL: not. Biases and scales would be missing in
 * it. */
static const struct view_tensor *down_of(const struct view *v, uint32_t il)
{
    char name[64];
    static const char *const extra[] = {"bias", "scale"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "blk.%u.ffn_down_exps.%s", il, extra[i]);
        if (view_find(v, name))
            return NULL;
    }
    snprintf(name, sizeof name, "blk.%u.ffn_down_exps.weight", il);
    const struct view_tensor *t = view_find(v, name);
    return t && t->ggml_type >= 0 && t->axis == 2 && t->n_dims == 3 ? t : NULL;
}

struct rows {
    uint8_t *raw;
    float *v;
};

/* Row by row of W [F, H] of one expert: sum_j in_sum2[j] * W[h][j]^2. */
static bool estimate_expert(const struct import_opts *o, const struct view_tensor *t, uint32_t expert,
                            const float *in2, const struct rows *row, double *out, struct err *e)
{
    const struct view *v = o->view;
    uint64_t cols = t->dims[0], rows = t->dims[1], bytes = t->bytes / t->dims[2] / rows;
    uint32_t type = (uint32_t)t->ggml_type;
    *out = 0;
    for (uint64_t h = 0; h < rows; h++) {
        if (!view_read(v, t, row->raw, bytes, t->off + (expert * rows + h) * bytes, e) ||
            !o->to_float(type, row->raw, cols, row->v, e))
            return false;
        for (uint64_t j = 0; j < cols; j++)
            *out += (double)in2[j] * (double)row->v[j] * (double)row->v[j];
    }
    return (isfinite(*out) && *out >= 0) ||
           err_set(e, ERR_INPUT, "tensor '%s', expert %u: the estimate is %g", t->name, expert, *out);
}

static bool estimate_layer(const struct gg_file *f, const struct import_opts *o, struct stats *s,
                           struct stats_layer *l, struct err *e)
{
    const struct view_tensor *t = down_of(o->view, l->il);
    float *in2 = read_f32(f, find(f, l->il, weights[0], "in_sum2"), t->dims[0], s->n_experts, e);
    struct rows row = {in2 ? mem_try(t->bytes / t->dims[2] / t->dims[1], 1, t->name, e) : NULL, NULL};
    row.v = row.raw ? mem_try(t->dims[0], sizeof *row.v, t->name, e) : NULL;
    bool ok = row.v != NULL;
    for (uint32_t j = 0; ok && j < s->n_experts; j++)
        if (l->half[EVEN][j].count)
            ok = estimate_expert(o, t, j, in2 + j * t->dims[0], &row, &l->half[EVEN][j].ean_sq_sum, e);
    free(row.raw);
    free(row.v);
    free(in2);
    return ok;
}

static bool estimate(const struct gg_file *f, const struct import_opts *o, struct stats *s, struct err *e)
{
    const struct view *v = o->to_float ? o->view : NULL;
    for (uint32_t i = 0; v && i < s->n_layers; i++)
        if (!down_of(v, s->layers[i].il) || !find(f, s->layers[i].il, weights[0], "in_sum2")) {
            log_note(
                "note: output norms are not estimated: that needs a GGUF model with ffn_down without biases and "
                "scales, in all layers");
            return true;
        }
    for (uint32_t i = 0; v && i < s->n_layers; i++)
        if (!estimate_layer(f, o, s, &s->layers[i], e))
            return false;
    if (v) {
        json_t *a = json_array();
        json_array_append_new(a, json_string("ean_sq_sum"));
        json_object_set_new(s->import, "estimated", a);
        s->unknown &= ~SUM_BIT(SUM_EAN_SQ);
    }
    return true;
}

/* ---- the file ---- */

/* Block numbers that have counts of experts, ascending; those of MTP blocks of the model are left out. */
static uint32_t *list_layers(const struct gg_file *f, const struct view *v, uint32_t *n, struct err *e)
{
    uint32_t *il = xcalloc(512, sizeof *il); /* as many blocks as the engine knows */
    *n = 0;
    for (uint32_t i = 0; i < 512; i++)
        if (find_counts(f, i) && !(v && i < v->n_blocks && i + v->n_mtp >= v->n_blocks))
            il[(*n)++] = i;
    if (*n)
        return il;
    free(il);
    err_set(e, ERR_INPUT, "holds no counts of experts (blk.N.ffn_down_exps.weight.counts)");
    return NULL;
}

static struct stats *read_all(const struct gg_file *f, const struct import_opts *o, struct err *e)
{
    uint32_t n, *il = imatrix_check_type(f, e) ? list_layers(f, o->view, &n, e) : NULL;
    if (!il)
        return NULL;
    uint64_t experts = find_counts(f, il[0])->ne[1];
    struct stats *s = NULL;
    if (experts < 2 || experts > LIMIT_EXPERTS)
        err_set(e, ERR_INPUT, "tensor '%s' holds %llu counts, expected one for each expert",
                find_counts(f, il[0])->name, (unsigned long long)experts);
    else if (!o->view && (o->n_used < 1 || o->n_used > experts))
        err_set(e, ERR_INPUT,
                "how many experts does a token use (1 to %llu)? --model or --experts-used says so",
                (unsigned long long)experts);
    else
        s = import_begin(o, FORMAT, il, n, (uint32_t)experts, e);
    free(il);
    if (!s)
        return NULL;
    s->unknown = SUM_ALL;
    bool ok = true;
    for (uint32_t i = 0; ok && i < s->n_layers; i++)
        ok = read_counts(f, s, &s->layers[i], e);
    if (ok && estimate(f, o, s, e))
        return import_end(s, e);
    stats_free(s);
    return NULL;
}

struct stats *import_imatrix(const struct import_opts *o, struct err *e)
{
    struct gg_file *f = gg_open(o->path, e);
    if (!f)
        return NULL;
    struct stats *s = read_all(f, o, e);
    gg_free(f);
    if (!s)
        err_ctx(e, "%s", o->path);
    return s;
}

const struct import_form import_form_imatrix = {.name = FORMAT, .read = import_imatrix};
