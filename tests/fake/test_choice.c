/* test_choice.c - src/sweep/choice.c on the fake engine, where every expert has a worth and only that counts: which plan is
 * lowest is known beforehand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine_fake.h"
#include "profile/profile.h"
#include "results/choice.h"
#include "sweep/choice.h"
#include "sweeping.h"
#include "tempdir.h"

#include <math.h>
#include <string.h>

#define N_ROWS 60

static const char *specs[2];
static const struct criterion *two[2];

/* Rows of two files, two categories. */
static void put_rows(const char *name, uint32_t step)
{
    struct buf b = {0};
    for (uint32_t i = 0; i < N_ROWS; i++) {
        buf_str(&b, "{\"text\": \"");
        for (uint32_t k = 0; k < 20 + i * 13 % 60; k++)
            buf_char(&b, (char)('a' + (k * step + i) % 26));
        buf_str(&b, "\"}\n");
    }
    put_bytes(name, b.s, b.n);
    buf_clear(&b);
}

static double worth_nothing(uint32_t il, uint32_t expert)
{
    (void)il, (void)expert;
    return 0.01;
}

/* Of a layer, expert 0 is chosen by all tokens, 1 by half of them, ...; the gate goes the other way: so the criteria by
 * sums and those by means disagree. */
static void route(uint32_t il, int32_t token, uint32_t pos, uint32_t n_experts, uint32_t k,
                  struct routed *rows)
{
    uint32_t h = ((uint32_t)token * 31 + pos * 7 + il) % 61;
    for (uint32_t i = 0; i < k; i++) {
        uint32_t x = h < 40 ? (h + i * 3) % (n_experts / 2) : (h + i * 3) % n_experts;
        rows[i] = (struct routed){.expert = (int32_t)x,
                                  .gate = 0.1f + 0.05f * (float)x,
                                  .f_norm = 1,
                                  .c_norm = 0.1f + 0.05f * (float)x,
                                  .f_max = 1};
    }
}

static struct choice_opts options(void)
{
    struct choice_opts o = {.model = MODEL,
                            .stats = at("stats.json"),
                            .corpus = {.specs = specs, .n_specs = 2},
                            .plan = {.kind = KEEP_COUNT, .value = 8},
                            .n_ctx = 40};
    engine_opts_default(&o.engine);
    o.engine.ubatch = 100;
    return o;
}

static int setup(void **state)
{
    struct err e = {0};
    struct profile_result r;
    int rc = tempdir_setup(state);
    log_quiet = true;
    fake_reset();
    fake.route = route;
    put_rows("a.jsonl", 5);
    put_rows("b.jsonl", 11);
    specs[0] = at("a.jsonl"), specs[1] = at("b.jsonl");
    two[0] = criterion_find("reap"), two[1] = criterion_find("frequency");
    struct profile_opts o = {
        .model = MODEL,
        .corpus = {.specs = specs, .n_specs = 2, .set_aside = 0.2, .seed = 3, .shuffle = true},
        .n_ctx = 100,
        .out = at("stats.json")};
    engine_opts_default(&o.engine);
    if (!profile_run(&o, &r, &e))
        fail_msg("%s", e.msg);
    o.corpus.set_aside = 0;
    o.out = at("all.json");
    if (!profile_run(&o, &r, &e))
        fail_msg("%s", e.msg);
    fake_reset();
    fake.worth = worth_nothing;
    return rc;
}

static struct choice_result run_ok(const struct choice_opts *o)
{
    struct err e = {0};
    struct choice_result r;
    if (!choice_run(o, &r, &e))
        fail_msg("%s", e.msg);
    return r;
}

static void refused(const struct choice_opts *o, const char *says)
{
    struct err e = {0};
    struct choice_result r;
    assert_false(choice_run(o, &r, &e));
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, says))
        fail_msg("'%s' does not say '%s'", e.msg, says);
    choice_result_clear(&r);
}

/* ---- which are measured, on what ---- */

static bool equal_plans(const struct plan *a, const struct plan *b)
{
    for (uint32_t l = 0; l < N_LAYERS; l++)
        if (memcmp(a->layers[l].keep, b->layers[l].keep, a->n_keep * sizeof *a->layers[l].keep) != 0)
            return false;
    return true;
}

/* Each criterion but chance stands in one row, no two rows are the same plan, and only samples that were set aside for a
 * choice are decoded: the whole model once, each plan once. */
static void test_candidates(void **state)
{
    (void)state;
    struct choice_opts o = options();
    struct choice_result r = run_ok(&o);
    uint32_t n = 0, all = 0;
    for (uint32_t i = 0; i < r.n_rows; i++)
        for (uint32_t k = 0; k < r.rows[i].n_criteria; k++, n++)
            assert_int_not_equal(r.rows[i].criteria[k]->form, CRITERION_CHANCE);
    while (criterion_at(all))
        all++;
    assert_true(n >= 8 && n < all);
    assert_true(r.n_rows > 1 && r.n_rows < n); /* equal norms: a criterion by norms is one by gates */
    for (uint32_t i = 0; i < r.n_rows; i++)
        for (uint32_t k = 0; k < i; k++)
            assert_false(equal_plans(r.rows[i].plan, r.rows[k].plan));
    assert_int_equal(r.text.corpus.n_samples, 12); /* 6 of each category */
    for (uint64_t i = 0; i < r.text.corpus.n_samples; i++)
        assert_int_equal((r.text.corpus.samples[i].line - 1) % 10, 2);
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < r.text.n; i++)
        tokens += trial_text_tokens(&r.text, i);
    assert_int_equal(r.n_tokens, tokens * (r.n_rows + 1));
    assert_int_equal(r.n_windows, r.n_windows_of);
    assert_int_equal(fake.n_open, 1);
    choice_result_clear(&r);
}

/* ---- what is taken ---- */

/* By plans of two criteria: the experts that only the default's plan keeps are worth `ours`, those of the other `other`. */
static bool only_ours[N_LAYERS][N_EXPERT], only_other[N_LAYERS][N_EXPERT];
static double ours, other;

static double worth_of_plans(uint32_t il, uint32_t expert)
{
    return only_ours[il][expert] ? ours : only_other[il][expert] ? other : 0.01;
}

static void mark(const struct plan *p, bool (*in)[N_EXPERT])
{
    for (uint32_t l = 0; l < N_LAYERS; l++)
        for (uint32_t i = 0; i < p->n_keep; i++)
            in[l][p->layers[l].keep[i]] = true;
}

static void look_at_plans(void)
{
    struct choice_opts o = options();
    o.criteria = two, o.n_criteria = 2;
    struct choice_result r = run_ok(&o);
    assert_int_equal(r.n_rows, 2);
    memset(only_ours, 0, sizeof only_ours);
    memset(only_other, 0, sizeof only_other);
    mark(r.rows[0].plan, only_ours);
    mark(r.rows[1].plan, only_other);
    uint32_t n = 0;
    for (uint32_t l = 0; l < N_LAYERS; l++)
        for (uint32_t x = 0; x < N_EXPERT; x++) {
            bool both = only_ours[l][x] && only_other[l][x];
            only_ours[l][x] &= !both, only_other[l][x] &= !both;
            n += only_ours[l][x];
        }
    assert_true(n > 0);
    choice_result_clear(&r);
    fake.worth = worth_of_plans;
}

/* The lower one is taken where the difference is clear, and the default where it is none, whichever is lower. */
static void test_taken(void **state)
{
    (void)state;
    static const struct {
        double ours, other;
        uint32_t lowest, chosen;
        bool tie;
    } cases[] = {{0.3, 0.01, 0, 0, false}, {0.01, 0.3, 1, 1, false}, {0.05, 0.05 * (1 + 1e-9), 1, 0, true}};
    look_at_plans();
    for (int i = 0; i < 3; i++) {
        struct choice_opts o = options();
        o.criteria = two, o.n_criteria = 2;
        ours = cases[i].ours, other = cases[i].other;
        struct choice_result r = run_ok(&o);
        uint32_t high = 1 - r.lowest;
        if (i < 2) {
            assert_int_equal(r.lowest, cases[i].lowest);
            assert_true(r.rows[high].diff.mean > 2 * r.rows[high].diff.stderr_mean);
            assert_true(fabs(r.rows[high].diff.mean - (r.rows[high].kl.mean - r.rows[r.lowest].kl.mean)) <
                        1e-12);
        }
        assert_int_equal(r.chosen, cases[i].chosen);
        assert_int_equal(r.rows[high].tie, cases[i].tie);
        assert_true(r.rows[r.lowest].tie && r.rows[r.lowest].diff.mean == 0);
        assert_int_equal(r.rows[0].kl.n_categories, 2);
        choice_result_clear(&r);
    }
}

/* The plan says what was measured, and a reader gets it back. */
static void test_document(void **state)
{
    (void)state;
    struct err e = {0};
    struct choice_opts o = options();
    struct choice_result r = run_ok(&o);
    const struct plan *p = choice_plan(&r);
    struct choice_file f;
    assert_true(choice_read(p->measured, &f, &e));
    assert_int_equal(f.n_rows, r.n_rows);
    assert_int_equal(f.chosen, r.chosen);
    assert_int_equal(f.n_keep, 8);
    assert_int_equal(f.n_categories, 2);
    assert_string_equal(f.categories[0], "a");
    assert_string_equal(p->criterion, f.rows[f.chosen].criteria[0]);
    for (uint32_t i = 0; i < f.n_rows; i++) {
        assert_true(f.rows[i].kl.mean == r.rows[i].kl.mean && f.rows[i].diff.mean == r.rows[i].diff.mean);
        assert_true(f.rows[i].worst >= f.rows[i].kl.mean && f.rows[i].ppl_ratio > 0);
        assert_int_equal(f.rows[i].n_criteria, r.rows[i].n_criteria);
    }
    choice_file_clear(&f);
    choice_result_clear(&r);
}

/* The same figures from any size of a compute step; a budget measures two windows of each category and says so. */
static void test_steps_and_budget(void **state)
{
    (void)state;
    struct choice_opts o = options();
    struct choice_result a = run_ok(&o), b;
    o.engine.ubatch = 40;
    b = run_ok(&o);
    assert_int_equal(a.n_rows, b.n_rows);
    for (uint32_t i = 0; i < a.n_rows; i++)
        assert_memory_equal(a.rows[i].loss, b.rows[i].loss, a.n_windows * sizeof *a.rows[i].loss);
    choice_result_clear(&b);
    o.budget = 1e-9;
    b = run_ok(&o);
    assert_true(b.n_windows >= 4 && b.n_windows < a.n_windows);
    assert_int_equal(b.n_windows_of, a.n_windows);
    assert_memory_equal(a.rows[1].loss, b.rows[1].loss, b.n_windows * sizeof *b.rows[1].loss);
    choice_result_clear(&a);
    choice_result_clear(&b);
}

/* ---- what is refused ---- */

static size_t warnings(void)
{
    char **list;
    return log_warnings(&list);
}

static void test_refused(void **state)
{
    (void)state;
    struct choice_opts o = options();
    o.stats = at("all.json");
    refused(&o, "nothing of its text was set aside; reap profile --set-aside");
    o = options();
    o.corpus.n_specs = 1;
    refused(&o, "are others than those of its profile");
    o = options();
    o.plan.value = N_EXPERT;
    refused(&o, "all 16 experts of a layer would stay");
    put("stats.json", "{}");
    o = options();
    refused(&o, "schema");
}

/* Text that was given, and a warning where it is the profile's. */
static void test_text(void **state)
{
    (void)state;
    put("other.txt", "the quick brown fox jumps over the lazy dog, again and again and again");
    const char *texts[] = {at("other.txt"), at("a.jsonl")};
    struct choice_opts o = options();
    o.stats = at("all.json"), o.corpus = (struct corpus_opts){0};
    o.texts = texts, o.n_texts = 1;
    size_t before = warnings();
    struct choice_result r = run_ok(&o);
    assert_int_equal(warnings(), before + 1); /* of so few windows */
    assert_true(r.of_text && r.n_windows == 2);
    choice_result_clear(&r);
    o.n_texts = 2;
    r = run_ok(&o);
    assert_int_equal(warnings(), before + 2);
    assert_int_equal(r.rows[0].kl.n_categories, 2);
    choice_result_clear(&r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_candidates),       TEST(test_taken),   TEST(test_document),
        TEST(test_steps_and_budget), TEST(test_refused), TEST(test_text),
    };
    return cmocka_run_group_tests_name("choices on a fake engine", tests, NULL, NULL);
}
