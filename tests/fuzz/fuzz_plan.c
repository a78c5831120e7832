/* fuzz_plan.c - any bytes as a plan file.
 *
 * Loading succeeds exactly when no error is set. In what was loaded layers and ids ascend and every layer has
 * n_keep ids; its document, printed, loads as the same plan. */
#include "base/buf.h"
#include "fuzz.h"
#include "json_mutator.h"
#include "model/plan.h"

#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The loader wants a path: one of a file in memory. */
static struct plan *load(const void *p, size_t n)
{
    char path[64];
    struct err e = {0};
    int fd = fuzz_file(p, n, path);
    struct plan *plan = plan_load(path, &e);
    close(fd);
    fuzz_told(plan != NULL, &e);
    MUST(plan || e.code == ERR_INPUT);
    return plan;
}

static void check(const struct plan *p)
{
    MUST(p->n_keep >= 1 && p->n_layers >= 1);
    for (uint32_t i = 0; i < p->n_layers + p->n_mtp; i++) {
        const struct plan_layer *l = &p->layers[i];
        MUST(i == 0 || l->il > p->layers[i - 1].il);
        for (uint32_t k = 1; k < p->n_keep; k++)
            MUST(l->keep[k] > l->keep[k - 1]);
    }
}

static void must_be_same(const struct plan *a, const struct plan *b)
{
    MUST(a->n_keep == b->n_keep && a->n_layers == b->n_layers && a->n_mtp == b->n_mtp);
    json_t *x = plan_json(a), *y = plan_json(b);
    MUST(json_equal(x, y));
    json_decref(x);
    json_decref(y);
    for (uint32_t i = 0; i < a->n_layers + a->n_mtp; i++) {
        MUST(a->layers[i].il == b->layers[i].il);
        MUST(memcmp(a->layers[i].keep, b->layers[i].keep, a->n_keep * sizeof(uint32_t)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan *p = load(data, size);
    if (!p)
        return 0;
    check(p);
    struct buf b = {0};
    json_t *doc = plan_json(p);
    json_print(&b, doc);
    json_decref(doc);
    struct plan *q = load(b.s, b.n);
    MUST(q);
    must_be_same(p, q);
    buf_clear(&b);
    plan_free(q);
    plan_free(p);
    return 0;
}
