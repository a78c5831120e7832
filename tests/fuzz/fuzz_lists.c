/* fuzz_lists.c - any bytes as lists of expert ids: read exactly when there is no error, layers ascending, no
 * id twice; a plan that is made of them can be written and read. */
#include "fuzz.h"
#include "json_mutator.h"
#include "plan/make.h"

#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct id_lists *l, const char *path, enum keep_kind kind, double value)
{
    struct err e = {0};
    const struct plan_opts o = {.kind = kind, .value = value};
    struct plan *p = plan_from_lists(l, path, value > 0, NULL, &o, &e);
    fuzz_told(p != NULL, &e);
    for (uint32_t i = 0; p && i < p->n_layers; i++)
        for (uint32_t k = 1; k < p->n_keep; k++)
            MUST(p->layers[i].keep[k] > p->layers[i].keep[k - 1]);
    plan_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct id_lists l;
    struct err e = {0};
    int fd = fuzz_file(data, size, path);
    bool ok = lists_read(path, &l, &e);
    fuzz_told(ok, &e);
    MUST(ok || (!l.l && !l.n));
    if (ok) {
        MUST(l.n > 0);
        for (uint32_t i = 1; i < l.n; i++)
            MUST(l.l[i].il > l.l[i - 1].il);
        check(&l, path, KEEP_COUNT, 0);
        check(&l, path, KEEP_COUNT, 3);
        check(&l, path, PRUNE_RATIO, 0.5);
    }
    lists_clear(&l);
    close(fd);
    return 0;
}
