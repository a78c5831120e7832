/* test_scores.c - src/eval/scores on the fake engine: several texts, alone and against a base, and what they add up
 * to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine_fake.h"
#include "eval/scores.h"
#include "golden.h"
#include "tempdir.h"

#include <math.h>
#include <string.h>

#define MODEL TEST_DATA_DIR "/families/olmoe/model.gguf"
#define CTX   32

static struct view *v;
static struct engine *g;
static const char *paths[2]; /* 128 and 320 bytes: the second has more windows */

static int setup(void **state)
{
    int rc = tempdir_setup(state);
    struct engine_opts o;
    struct err e = {0};
    char text[321];
    log_quiet = true;
    fake_reset();
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = (char)('a' + i * i % 23);
    text[sizeof text - 1] = 0;
    put("long.txt", text);
    text[128] = 0;
    put("short.txt", text);
    paths[0] = at("short.txt");
    paths[1] = at("long.txt");
    engine_opts_default(&o);
    golden_ok((v = view_open(MODEL, &e)) != NULL, &e, MODEL);
    golden_ok((g = engine_open(MODEL, &o, &e)) != NULL, &e, MODEL);
    return rc;
}

static int teardown(void **state)
{
    engine_free(g);
    view_free(v);
    return tempdir_teardown(state);
}

/* The total is over all scored tokens alike: not the mean of the rows, which have 4 and 10 windows. */
static void check_total(const struct eval_scores *r)
{
    const struct eval_score *a = &r->rows[0].score, *b = &r->rows[1].score, *t = &r->all.score;
    assert_int_equal(r->n, 2);
    assert_string_equal(r->rows[0].name, "short.txt");
    assert_string_equal(r->rows[1].name, "long.txt");
    assert_true(b->n_scored > 2 * a->n_scored && a->n_scored > 0);
    assert_int_equal(t->n_scored, a->n_scored + b->n_scored);
    assert_int_equal(t->n_windows, a->n_windows + b->n_windows);
    double nll = (a->nll * (double)a->n_scored + b->nll * (double)b->n_scored) / (double)t->n_scored;
    assert_true(fabs(t->nll - nll) < 1e-12 * nll);
    assert_true(fabs(t->nll - (a->nll + b->nll) / 2) > 1e-6);
}

static void keys_are(const json_t *o, const char *want)
{
    char got[256] = "";
    const char *key;
    json_t *x;
    json_object_foreach ((json_t *)o, key, x)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", *got ? " " : "", key);
    assert_string_equal(got, want);
}

static void alone(void **state)
{
    struct eval_scores r = {0};
    struct err e = {0};
    (void)state;
    golden_ok(eval_scores_texts(&r, g, paths, 2, CTX, &e), &e, "texts");
    eval_scores_end(&r);
    assert_false(r.compared);
    check_total(&r);
    struct eval_file f = eval_scores_file(&r);
    json_t *id = view_identity(v);
    f.model = id;
    f.plan.file = "plan.json";
    json_t *o = eval_json(&f);
    keys_are(o, "schema version model texts total plan");
    assert_int_equal(json_array_size(json_object_get(o, "texts")), 2);
    assert_null(json_object_get(json_object_get(o, "total"), "kl"));
    json_decref(o);
    json_decref(id);
    eval_scores_clear(&r);
}

static void against_itself(void **state)
{
    const struct against_side sides[] = {{MODEL, g, v, NULL}, {MODEL, g, v, NULL}};
    struct eval_scores r = {0};
    struct err e = {0};
    (void)state;
    for (int i = 0; i < 2; i++)
        golden_ok(eval_scores_against(&r, sides, 1, paths[i], CTX, &e), &e, "against");
    eval_scores_end(&r);
    assert_true(r.compared);
    check_total(&r);
    assert_int_equal(r.sums.n, r.all.score.n_scored);
    assert_true(r.all.against.kl_max == 0 && r.all.against.top1 == 1);
    assert_true(r.all.score.ppl_stderr == r.all.against.score.ppl_stderr);
    struct eval_file f = eval_scores_file(&r);
    json_t *id = view_identity(v);
    f.model = f.base = id;
    json_t *o = eval_json(&f);
    keys_are(o, "schema version model texts total base");
    json_decref(o);
    json_decref(id);
    eval_scores_clear(&r);
}

static struct plan *plan_of(uint32_t n_keep)
{
    struct plan *p = plan_new(v->n_layers, n_keep);
    for (uint32_t l = 0; l < v->n_layers; l++) {
        p->layers[l].il = v->layers[l].il;
        for (uint32_t i = 0; i < n_keep; i++)
            p->layers[l].keep[i] = i;
    }
    return p;
}

/* Plans together give what each gives alone; their difference is that of the means over the texts, which have equal
 * weight, with an error from the windows; the other way round it has the other sign; of a plan to itself it is none. */
static void plans_together(void **state)
{
    (void)state;
    struct plan *p[] = {plan_of(12), plan_of(6)};
    const struct against_side sides[] = {{MODEL, g, v, NULL}, {MODEL, g, v, p[0]}, {MODEL, g, v, p[1]}};
    struct eval_scores both[2] = {{0}}, one = {0};
    struct err e = {0};
    for (int i = 0; i < 2; i++)
        golden_ok(eval_scores_against(both, sides, 2, paths[i], CTX, &e), &e, "together");
    const struct against_side alone_sides[] = {sides[0], sides[2]};
    for (int i = 0; i < 2; i++)
        golden_ok(eval_scores_against(&one, alone_sides, 1, paths[i], CTX, &e), &e, "alone");
    eval_scores_end(&both[0]);
    eval_scores_end(&both[1]);
    eval_scores_end(&one);
    assert_memory_equal(&both[1].sums, &one.sums, sizeof one.sums);
    assert_true(both[1].all.against.kl_p99 == one.all.against.kl_p99);
    assert_int_equal(both[0].n_windows, both[0].all.score.n_windows);
    struct eval_difference d = eval_scores_difference(&both[1], &both[0]),
                           r = eval_scores_difference(&both[0], &both[1]),
                           same = eval_scores_difference(&both[1], &one);
    double kl = 0, nll = 0;
    for (int i = 0; i < 2; i++) {
        kl += (both[1].rows[i].against.kl_mean - both[0].rows[i].against.kl_mean) / 2;
        nll += (both[1].rows[i].score.nll - both[0].rows[i].score.nll) / 2;
    }
    assert_true(kl > 0 && fabs(d.kl - kl) < 1e-12 && fabs(d.nll - nll) < 1e-12);
    assert_true(d.kl_differs && d.kl_stderr > 0 && d.kl > 2 * d.kl_stderr);
    assert_true(fabs(d.kl + r.kl) < 1e-15 && fabs(d.kl_stderr - r.kl_stderr) < 1e-15);
    assert_true(same.kl == 0 && same.nll == 0 && !same.kl_differs && !same.nll_differs);
    assert_int_equal(d.n_windows, both[0].n_windows);
    for (int i = 0; i < 2; i++) {
        eval_scores_clear(&both[i]);
        plan_free(p[i]);
    }
    eval_scores_clear(&one);
}

static void a_failure_is_told(void **state)
{
    struct eval_scores r = {0};
    struct err e = {0};
    (void)state;
    fake.fail_at = 2; /* in the second text */
    assert_false(eval_scores_texts(&r, g, paths, 2, CTX, &e));
    assert_true(e.code == ERR_FAILED);
    assert_int_equal(r.n, 0);
    eval_scores_clear(&r);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    static const struct CMUnitTest tests[] = {T(alone), T(against_itself), T(plans_together),
                                              T(a_failure_is_told)};
    return cmocka_run_group_tests_name("scores", tests, NULL, NULL);
}
