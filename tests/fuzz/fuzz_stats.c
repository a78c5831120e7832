/* fuzz_stats.c - any bytes as a stats file.
 *
 * Loading succeeds exactly when no error is set. What was loaded holds the invariants, has its layers in
 * order, and gives scores or an error that names one; saved again it loads equal, to the last bit of the
 * sums, can be shown as tables, and is added up with itself or refused. */
#include "base/log.h"
#include "cmd/stats_part.h"
#include "fuzz.h"
#include "json_mutator.h"
#include "stats/criteria.h"
#include "stats/merge.h"
#include "stats/pairs.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stats *load(const char *path)
{
    struct err e = {0};
    struct stats *s = stats_load(path, &e);
    fuzz_told(s != NULL, &e);
    MUST(s || e.code == ERR_INPUT);
    return s;
}

/* An output is renamed into place, so it needs a folder: one in memory, where there is one. */
static char dir[64], saved[80];

static void remove_dir(void)
{
    rmdir(dir);
}

static void make_dir(void)
{
    if (dir[0])
        return;
    static const char *const bases[] = {"/dev/shm", "/tmp"};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        snprintf(dir, sizeof dir, "%s/reap-fuzz.XXXXXX", bases[i]);
        if (mkdtemp(dir)) {
            snprintf(saved, sizeof saved, "%s/stats.json", dir);
            atexit(remove_dir);
            return;
        }
    }
    BUG("fuzz: no folder for the output");
}

static bool same_json(const json_t *a, const json_t *b)
{
    return a == b || json_equal(a, b); /* which does not take NULL for equal to NULL */
}

static void must_be_same(const struct stats *a, const struct stats *b)
{
    MUST(a->n_experts == b->n_experts && a->n_layers == b->n_layers && a->n_mtp == b->n_mtp);
    MUST(same_json(a->model, b->model) && same_json(a->calibration, b->calibration));
    MUST(!a->progress == !b->progress && a->unknown == b->unknown && a->router == b->router &&
         a->n_groups == b->n_groups);
    MUST(!a->progress || (a->progress->batches == b->progress->batches &&
                          a->progress->batches_done == b->progress->batches_done));
    for (uint32_t i = 0; i < a->n_layers + a->n_mtp; i++) {
        const struct stats_layer *x = &a->layers[i], *y = &b->layers[i];
        MUST(x->il == y->il && x->n_used == y->n_used);
        for (int h = 0; h < 2; h++) {
            MUST(x->tokens[h] == y->tokens[h]);
            MUST(memcmp(x->half[h], y->half[h], a->n_experts * sizeof(struct sums)) == 0);
        }
    }
}

static void check(const struct stats *s)
{
    struct err e = {0};
    double *score = calloc(s->n_experts, sizeof *score);
    MUST(score && stats_check(s, &e));
    for (uint32_t i = 0; i < s->n_layers + s->n_mtp; i++) {
        MUST(i == 0 || s->layers[i].il > s->layers[i - 1].il);
        for (uint32_t c = 0; criterion_at(c); c++)
            for (int which = -1; which < 2; which++) {
                bool ok = criterion_scores(s, i, criterion_at(c), 1, which, score, &e);
                fuzz_told(ok, &e);
                for (uint32_t j = 0; ok && j < s->n_experts; j++)
                    MUST(isfinite(score[j]));
                err_clear(&e);
            }
    }
    free(score);
}

/* As tables, and the parts of a run over other texts added up. */
static void shown(struct stats *s)
{
    struct err e = {0};
    struct table t;
    uint32_t keep[TABLE_RATIOS];
    for (int i = 0; i < TABLE_RATIOS; i++)
        keep[i] = s->n_experts > 1 ? s->n_experts - 1 - (uint32_t)i % (s->n_experts - 1) : 1;
    bool ok = table_make(&t, s, criterion_at(0), keep, &e);
    fuzz_told(ok, &e);
    if (ok) {
        struct buf b = {0};
        stats_one_text(&b, &t, NULL);
        json_t *o = stats_one_json(&t, NULL);
        MUST(b.n && json_is_object(o));
        json_decref(o);
        buf_clear(&b);
    }
    table_clear(&t);
}

static void added_up(struct stats *s, struct stats *t)
{
    struct err e = {0};
    struct stats *all = stats_merge((struct stats *[]){s, t}, (const char *const[]){"a", "b"}, 2, true, &e);
    fuzz_told(all != NULL, &e);
    if (all)
        MUST(stats_check(all, &e) && all->n_layers == s->n_layers && all->n_experts == s->n_experts &&
             (all->n_mtp == s->n_mtp || !all->n_mtp));
    stats_free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = fuzz_file(data, size, path);
    struct stats *s = load(path);
    close(fd);
    if (!s)
        return 0;
    check(s);
    make_dir();
    struct err e = {0};
    bool kept = false; /* without them it is not written again */
    MUST(stats_pairs_there(s, &kept, &e));
    kept = kept || !stats_has_pairs(s);
    bool ok = stats_save(s, saved, true, &e);
    fuzz_told(ok, &e);
    MUST(ok == kept);
    if (!ok) {
        stats_free(s);
        return 0;
    }
    struct stats *t = load(saved);
    unlink(saved);
    MUST(t);
    must_be_same(s, t);
    log_quiet = true;
    shown(s);
    added_up(s, t);
    stats_free(t);
    stats_free(s);
    return 0;
}
