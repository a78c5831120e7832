/* golden.c - see golden.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden.h"
#include "tempdir.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* ---- a folder of the running test ---- */

int golden_setup(void **state)
{
    log_quiet = true;
    return tempdir_setup(state);
}

int golden_teardown(void **state)
{
    return tempdir_teardown(state);
}

const char *golden_tmp(const char *name)
{
    return at(name);
}

/* ---- running ---- */

void golden_ok(bool ok, struct err *e, const char *what)
{
    if (!ok)
        fail_msg("%s: %s", what, e->code ? e->msg : "failed without an error");
    if (e->code)
        fail_msg("%s: succeeded, but left an error: %s", what, e->msg);
}

char *golden_edited(const char *text, const char *from, const char *to)
{
    const char *p = strstr(text, from);
    if (!p)
        fail_msg("there is no '%s' to edit", from);
    return xasprintf("%.*s%s%s", (int)(p - text), text, to, p + strlen(from));
}

struct engine_opts golden_engine(void)
{
    struct engine_opts o;
    engine_opts_default(&o);
    o.threads = 1;
    o.device = "none";
    o.flash_attn = "off";
    o.cache_type_k = o.cache_type_v = "f32";
    return o;
}

struct profile_opts golden_profile(const char *model, const char *const *texts, const char *out)
{
    return (struct profile_opts){
        .model = model,
        .corpus = {.specs = texts, .n_specs = 1},
        .engine = golden_engine(),
        .n_ctx = 2048,
        .out = golden_tmp(out),
    };
}

struct stats *golden_run(const struct profile_opts *o, struct profile_result *r)
{
    struct err e = {0};
    struct profile_result unused;
    golden_ok(profile_run(o, r ? r : &unused, &e), &e, o->out);
    struct stats *s = stats_load(o->out, &e);
    golden_ok(s != NULL, &e, o->out);
    assert_null(s->progress);
    return s;
}

void golden_same_file(const char *a, const char *b, const char *what)
{
    struct buf x = {0}, y = {0};
    struct err e = {0};
    golden_ok(file_read_all(a, 1 << 30, &x, &e) && file_read_all(b, 1 << 30, &y, &e), &e, what);
    size_t i = 0;
    while (i < x.n && i < y.n && x.s[i] == y.s[i])
        i++;
    if (i < x.n || i < y.n)
        fail_msg("%s: the files differ at byte %zu of %zu and %zu", what, i, x.n, y.n);
    buf_clear(&x);
    buf_clear(&y);
}

json_t *golden_json(const char *path)
{
    struct err e = {0};
    json_t *v = json_read(path, &e);
    golden_ok(v != NULL, &e, path);
    return v;
}

/* ---- comparing statistics ---- */

bool golden_near(double have, double want, double rel)
{
    return isfinite(have) && fabs(have - want) <= rel * fabs(want);
}

struct named { /* a number of an expert, and how close it must be */
    const char *key;
    double value, rel;
};
#define N_NAMED 12

static void name_sums(const struct sums *x, const struct golden_tol *tol, struct named n[N_NAMED])
{
    double count = x->count ? (double)x->count : 1;
    const struct named all[N_NAMED] = {
        {"gate_sum", x->gate_sum, tol->sum},
        {"gate_sq_sum", x->gate_sq_sum, tol->square},
        {"ean_sum", x->ean_sum, tol->sum},
        {"ean_sq_sum", x->ean_sq_sum, tol->square},
        {"reap_sum", x->reap_sum, tol->sum},
        {"reap_sq_sum", x->reap_sq_sum, tol->square},
        {"max_activation", x->max_activation, tol->max},
        {"reap", x->reap_sum / count, tol->sum},
        {"ean_mean", x->ean_sum / count, tol->sum},
        {"loo_sum", x->loo_sum, tol->sum},
        {"loo_sq_sum", x->loo_sq_sum, tol->square},
        {"gate_mass", x->gate_mass, tol->sum},
    };
    memcpy(n, all, sizeof all);
}

static void check_count(uint64_t have, uint64_t want, const struct golden_tol *tol, uint32_t *n_moved,
                        const char *where)
{
    uint64_t off = have > want ? have - want : want - have;
    *n_moved += off != 0;
    if (off > tol->moved || *n_moved > tol->n_moved)
        fail_msg("%s: count is %llu, expected %llu (%u counts differ so far)", where,
                 (unsigned long long)have, (unsigned long long)want, *n_moved);
}

static void check_named(const struct named *have, double want, const char *where)
{
    if (!golden_near(have->value, want, have->rel))
        fail_msg("%s: %s is %.9g, expected %.9g (relative difference %.2g, at most %.2g)", where, have->key,
                 have->value, want, fabs(have->value / want - 1), have->rel);
}

static struct sums half_sums(const struct stats_layer *l, int half, uint32_t j)
{
    return half < 0 ? stats_total(l, j) : l->half[half][j];
}

void golden_same_stats(const struct stats *a, const struct stats *b, const struct golden_tol *tol,
                       const char *what)
{
    uint32_t n_moved = 0;
    assert_int_equal(a->n_layers, b->n_layers);
    assert_int_equal(a->n_experts, b->n_experts);
    for (uint32_t i = 0; i < a->n_layers; i++)
        for (uint32_t k = 0; k < 2 * a->n_experts; k++) {
            char where[160];
            int half = (int)(k & 1);
            struct named x[N_NAMED], y[N_NAMED];
            struct sums p = half_sums(&a->layers[i], half, k / 2), q = half_sums(&b->layers[i], half, k / 2);
            snprintf(where, sizeof where, "%s: layer %u, expert %u, half %d", what, a->layers[i].il, k / 2,
                     half);
            check_count(p.count, q.count, tol, &n_moved, where);
            name_sums(&p, tol, x);
            name_sums(&q, tol, y);
            for (int f = 0; f < N_NAMED; f++)
                check_named(&x[f], y[f].value, where);
        }
}

void golden_lists(const struct stats *s, uint32_t i, int half, const json_t *want,
                  const struct golden_tol *tol, const char *what)
{
    for (uint32_t j = 0; j < s->n_experts; j++) {
        char where[160];
        struct named x[N_NAMED];
        struct sums have = half_sums(&s->layers[i], half, j);
        snprintf(where, sizeof where, "%s: layer %u, expert %u, half %d", what, s->layers[i].il, j, half);
        name_sums(&have, tol, x);
        for (int f = 0; f < N_NAMED; f++) {
            const json_t *list = json_object_get(want, x[f].key);
            if (list)
                check_named(&x[f], json_number_value(json_array_get(list, j)), where);
        }
    }
}

void golden_sums(const struct stats *s, uint32_t i, int half, const json_t *want,
                 const struct golden_tol *tol, uint32_t *n_moved, const char *what)
{
    const json_t *counts = json_object_get(want, "count");
    assert_int_equal(json_array_size(counts), s->n_experts);
    for (uint32_t j = 0; j < s->n_experts; j++) {
        char where[160];
        snprintf(where, sizeof where, "%s: layer %u, expert %u, half %d", what, s->layers[i].il, j, half);
        check_count(half_sums(&s->layers[i], half, j).count,
                    (uint64_t)json_integer_value(json_array_get(counts, j)), tol, n_moved, where);
    }
    golden_lists(s, i, half, want, tol, what);
}
