/* id_table.c - see id_table.h. */
#include "model/id_table.h"
#include "base/mem.h"

#include <string.h>
#include <strings.h>

#define GONE UINT32_MAX

/* Bytes of an id; 0: the type is none of ids. */
static uint32_t width_of(const struct view_tensor *x)
{
    return !strcasecmp(x->type, "i32") ? 4 : !strcasecmp(x->type, "i64") ? 8 : 0;
}

/* Ids of a token: the dimension that is the fastest. */
static uint64_t row_of(const struct view_tensor *x)
{
    return x->dims[x->ggml_type >= 0 ? 0 : 1];
}

bool id_table_check(const struct view *v, const struct view_tensor *x, struct err *e)
{
    if (!width_of(x) || x->n_dims != 2)
        return err_set(e, ERR_INPUT,
                       "tensor '%s' is of type %s with %u dimensions, expected a table of expert ids (i32 or "
                       "i64, a row for each token)",
                       x->name, x->type, x->n_dims);
    if (row_of(x) < 1 || row_of(x) > v->shape.n_experts)
        return err_set(e, ERR_INPUT, "tensor '%s' has %llu ids in a row, expected 1 to %u, the experts",
                       x->name, (unsigned long long)row_of(x), v->shape.n_experts);
    return true;
}

static uint64_t get(const uint8_t *p, uint32_t width)
{
    uint64_t id = 0;
    for (uint32_t i = 0; i < width; i++)
        id |= (uint64_t)p[i] << (8 * i);
    return id;
}

static void put(uint8_t *p, uint32_t width, uint32_t id)
{
    for (uint32_t i = 0; i < width; i++)
        p[i] = (uint8_t)((uint64_t)id >> (8 * i));
}

static bool holds(const uint32_t *row, uint64_t k, uint32_t id)
{
    for (uint64_t s = 0; s < k; s++)
        if (row[s] == id)
            return true;
    return false;
}

/* Those that are gone get others; k <= n_keep, or a cut had been refused: one is always left. */
static void fill(uint32_t *row, uint64_t k, uint64_t token, uint32_t n_keep)
{
    for (uint64_t s = 0; s < k; s++) {
        if (row[s] != GONE)
            continue;
        uint32_t id = (uint32_t)((token * k + s) % n_keep);
        while (holds(row, k, id))
            id = id + 1 < n_keep ? id + 1 : 0;
        row[s] = id;
    }
}

static bool renumber(const struct view *v, const struct view_tensor *x, const uint32_t *number,
                     uint32_t n_keep, uint8_t *bytes, struct err *e)
{
    uint32_t width = width_of(x), *row = xcalloc(row_of(x), sizeof *row);
    uint64_t k = row_of(x), n = x->bytes / width / k;
    bool ok = true;
    for (uint64_t token = 0; ok && token < n; token++) {
        uint8_t *p = bytes + token * k * width;
        for (uint64_t s = 0; ok && s < k; s++) {
            uint64_t id = get(p + s * width, width);
            ok = id < v->shape.n_experts ||
                 err_set(e, ERR_INPUT, "tensor '%s': token %llu goes to expert %lld, expected 0 to %u",
                         x->name, (unsigned long long)token, (long long)id, v->shape.n_experts - 1);
            row[s] = ok ? number[id] : GONE;
        }
        if (ok)
            fill(row, k, token, n_keep);
        for (uint64_t s = 0; ok && s < k; s++)
            put(p + s * width, width, row[s]);
    }
    free(row);
    return ok;
}

uint8_t *id_table_cut(const struct view *v, const struct view_tensor *x, const uint32_t *keep,
                      uint32_t n_keep, struct err *e)
{
    uint32_t n = v->shape.n_experts;
    if (row_of(x) > n_keep) {
        err_set(e, ERR_INPUT, "tensor '%s' sends each token to %llu experts, more than the %u that stay",
                x->name, (unsigned long long)row_of(x), n_keep);
        return NULL;
    }
    uint8_t *bytes = mem_try(x->bytes, 1, x->name, e);
    if (!bytes)
        return NULL;
    uint32_t *number = xcalloc(n, sizeof *number);
    memset(number, 0xff, n * sizeof *number); /* GONE */
    for (uint32_t i = 0; i < n_keep; i++)
        number[keep[i]] = i;
    bool ok = view_read(v, x, bytes, x->bytes, x->off, e) && renumber(v, x, number, n_keep, bytes, e);
    free(number);
    if (ok)
        return bytes;
    free(bytes);
    return NULL;
}
