/* fuzz_import.c - any bytes as another tool's statistics (JSON or GGUF, told by the first bytes).
 *
 * Importing succeeds exactly when no error is set, and what was imported holds the invariants, ranks by what
 * it holds and refuses the rest. */
#include "fuzz.h"
#include "import/import.h"
#include "json_mutator.h"
#include "stats/criteria.h"

#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct stats *s)
{
    struct err e = {0};
    double *score = calloc(s->n_experts, sizeof *score);
    MUST(score && stats_check(s, &e) && s->import);
    for (uint32_t k = 0; criterion_at(k); k++) {
        const struct criterion *c = criterion_at(k);
        bool can = !(criterion_needs(c) & s->unknown);
        MUST(criterion_check(s, c, &e) == can);
        err_clear(&e);
        bool ok = criterion_scores(s, 0, c, 0, -1, score, &e);
        MUST(can || !ok);
        err_clear(&e);
    }
    json_t *o = export_expert_profile(s, &e);
    fuzz_told(o != NULL, &e);
    json_decref(o);
    free(score);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = fuzz_file(data, size, path);
    for (uint32_t used = 0; used < 3; used++) {
        struct err e = {0};
        const struct import_opts o = {
            .path = path, .architecture = "test", .n_used = used, .force = used == 2};
        struct stats *s = import_stats(&o, &e);
        fuzz_told(s != NULL, &e);
        if (s)
            check(s);
        stats_free(s);
    }
    close(fd);
    return 0;
}
