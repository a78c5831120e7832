/* inputs.c - see inputs.h.
 *
 * Which products count, and what is summed up of them, is what llama-imatrix does (collect_imatrix of llama.cpp v0.5.0,
 * tools/imatrix/imatrix.cpp): every MUL_MAT_ID, and every MUL_MAT with a weight whose name begins with "blk."; of each row
 * that goes in the squares of its components, for MUL_MAT_ID to the expert that the row is for. It leaves out products of
 * fewer than 16 rows, which its own batches never have; ours may, and they count.
 *
 * Unlike there, a step is summed up by itself before it is added: less is lost to rounding, and the work is divided among
 * threads in a way that does not change a bit. Products of the same input (q, k and v; up and gate) are summed up once. */
#include "engine/inputs.h"
#include "base/mem.h"
#include "engine/tap.h"

#include <math.h>
#include <string.h>

#define COLUMNS 256 /* of a row, for one thread at a time */

struct inputs {
    engine_inputs *fn;
    void *ud;
    int threads;
    bool failed;
    struct err err;
    struct tap_room data, ids;
    struct tap_room sums;  /* float [n_mat][row] */
    struct tap_room order; /* uint32_t: rows by expert */
    struct tap_room first; /* uint32_t [n_mat + 1] */
    /* what `sums` holds */
    const struct ggml_tensor *of, *of_ids;
    uint32_t n_mat;
};

struct inputs *inputs_new(engine_inputs *fn, void *ud, int n_threads)
{
    struct inputs *in = xcalloc(1, sizeof *in);
    in->fn = fn;
    in->ud = ud;
    in->threads = n_threads;
    return in;
}

void inputs_free(struct inputs *in)
{
    if (!in)
        return;
    free(in->data.p);
    free(in->ids.p);
    free(in->sums.p);
    free(in->order.p);
    free(in->first.p);
    free(in);
}

/* "CUDA0#blk.0.attn_k.weight#0" where the engine copied it to a device: the name between the signs. */
static const char *weight_name(const struct ggml_tensor *t, char name[GGML_MAX_NAME])
{
    const char *from = strchr(t->name, '#');
    snprintf(name, GGML_MAX_NAME, "%s", from ? from + 1 : t->name);
    if (from)
        name[strcspn(name, "#")] = '\0';
    return name;
}

bool inputs_wants(const struct ggml_tensor *t)
{
    char name[GGML_MAX_NAME];
    if (t->op == GGML_OP_MUL_MAT_ID)
        return true;
    return t->op == GGML_OP_MUL_MAT && t->src[1]->type == GGML_TYPE_F32 &&
           !strncmp(weight_name(t->src[0], name), "blk.", 4);
}

/* ---- the rows of experts ---- */

/* Sorts the rows by the expert that each is for. */
static bool sort_rows(struct inputs *in, const struct ggml_tensor *ids, uint32_t n_mat)
{
    uint32_t k = (uint32_t)ids->ne[0], n_tok = (uint32_t)ids->ne[1];
    const uint8_t *p = tap_bytes(ids, &in->ids);
    uint32_t *first = tap_room(&in->first, (size_t)n_mat + 1, sizeof *first),
             *order = tap_room(&in->order, (size_t)k * n_tok, sizeof *order);
    memset(first, 0, ((size_t)n_mat + 1) * sizeof *first);
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t t = 0; t < n_tok; t++)
            for (uint32_t a = 0; a < k; a++) {
                int32_t x;
                memcpy(&x, p + t * ids->nb[1] + a * ids->nb[0], 4);
                if (x < 0 || (uint32_t)x >= n_mat)
                    return false;
                if (pass)
                    order[first[x]++] = t * k + a;
                else
                    first[x + 1]++;
            }
        for (uint32_t x = 0; !pass && x < n_mat; x++)
            first[x + 1] += first[x];
    }
    memmove(first + 1, first, n_mat * sizeof *first); /* they have moved on by one */
    first[0] = 0;
    return true;
}

static bool sum_experts(struct inputs *in, const struct ggml_tensor *t, const char *name)
{
    const struct ggml_tensor *w = t->src[0], *x = t->src[1], *ids = t->src[2];
    int64_t row = x->ne[0], k = ids->ne[0], n_tok = ids->ne[1];
    uint32_t n_mat = (uint32_t)w->ne[2];
    if (x->type != GGML_TYPE_F32 || x->nb[0] != sizeof(float) || ids->type != GGML_TYPE_I32 ||
        x->ne[2] != n_tok || x->ne[3] != 1 || row != w->ne[0])
        return err_set(&in->err, ERR_FAILED,
                       "'%s': the engine multiplies it in a form that cannot be observed", name);
    if (in->of == x && in->of_ids == ids && in->n_mat == n_mat)
        return true;
    if (!sort_rows(in, ids, n_mat))
        return err_set(&in->err, ERR_FAILED, "'%s': the engine chose an expert that does not exist", name);
    const uint8_t *data = tap_bytes(x, &in->data);
    const uint32_t *first = in->first.p, *order = in->order.p;
    float *sums = tap_room(&in->sums, (size_t)n_mat * (size_t)row, sizeof *sums);
    int64_t wide = x->ne[1];
    memset(sums, 0, (size_t)n_mat * (size_t)row * sizeof *sums);
#pragma omp parallel for schedule(dynamic) num_threads(in->threads)
    for (uint32_t m = 0; m < n_mat; m++)
        for (uint32_t r = first[m]; r < first[m + 1]; r++) {
            const float *v = (const float *)(const void *)(data + (size_t)(order[r] / k) * x->nb[2] +
                                                           (size_t)(order[r] % k % wide) * x->nb[1]);
            float *to = sums + (size_t)m * (size_t)row;
            for (int64_t j = 0; j < row; j++)
                to[j] += v[j] * v[j];
        }
    in->of = x;
    in->of_ids = ids;
    in->n_mat = n_mat;
    return true;
}

/* ---- all rows ---- */

/* A weight of several matrices (MLA) has its sums in one row, and one count. */
static bool sum_all(struct inputs *in, const struct ggml_tensor *t, const char *name)
{
    const struct ggml_tensor *w = t->src[0], *x = t->src[1];
    int64_t row = x->ne[0], n2 = w->ne[2], n3 = w->ne[3];
    uint32_t n_mat = (uint32_t)(n2 * n3);
    if (x->nb[0] != sizeof(float) || row != w->ne[0])
        return err_set(&in->err, ERR_FAILED,
                       "'%s': the engine multiplies it in a form that cannot be observed", name);
    if (in->of == x && !in->of_ids && in->n_mat == n_mat)
        return true;
    const uint8_t *data = tap_bytes(x, &in->data);
    float *sums = tap_room(&in->sums, (size_t)n_mat * (size_t)row, sizeof *sums);
    memset(sums, 0, (size_t)n_mat * (size_t)row * sizeof *sums);
#pragma omp parallel for schedule(static) num_threads(in->threads)
    for (int64_t j0 = 0; j0 < row; j0 += COLUMNS) {
        int64_t j1 = j0 + COLUMNS < row ? j0 + COLUMNS : row;
        for (int64_t i3 = 0; i3 < x->ne[3]; i3++)
            for (int64_t i2 = 0; i2 < x->ne[2]; i2++) {
                float *to = sums + ((i3 % n3) * n2 + i2 % n2) * row;
                for (int64_t i1 = 0; i1 < x->ne[1]; i1++) {
                    const float *v =
                        (const float *)(const void *)(data + (size_t)i1 * x->nb[1] + (size_t)i2 * x->nb[2] +
                                                      (size_t)i3 * x->nb[3]);
                    for (int64_t j = j0; j < j1; j++)
                        to[j] += v[j] * v[j];
                }
            }
    }
    in->of = x;
    in->of_ids = NULL;
    in->n_mat = n_mat;
    return true;
}

/* ---- the callback ---- */

bool inputs_node(struct inputs *in, const struct ggml_tensor *t)
{
    char name[GGML_MAX_NAME];
    const struct ggml_tensor *w = t->src[0], *x = t->src[1];
    weight_name(w, name);
    bool experts = t->op == GGML_OP_MUL_MAT_ID,
         ok = experts ? sum_experts(in, t, name) : sum_all(in, t, name);
    uint64_t row = (uint64_t)x->ne[0];
    const float *sums = in->sums.p;
    const uint32_t *first = in->first.p;
    if (ok && !experts)
        ok = in->fn(in->ud, name, 1, row * in->n_mat, 0, (uint64_t)ggml_nrows(x) / in->n_mat, sums, &in->err);
    for (uint32_t m = 0; ok && experts && m < in->n_mat; m++)
        ok = in->fn(in->ud, name, in->n_mat, row, m, first[m + 1] - first[m], sums + m * row, &in->err);
    in->failed = in->failed || !ok;
    return ok;
}

void inputs_begin(struct inputs *in)
{
    in->failed = false;
    in->of = NULL;
    err_clear(&in->err);
}

bool inputs_end(struct inputs *in, struct err *e)
{
    return !in->failed || err_set(e, in->err.code ? in->err.code : ERR_FAILED, "%s", in->err.msg);
}
