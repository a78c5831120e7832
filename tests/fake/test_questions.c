/* test_questions.c - src/eval/questions on the fake engine: what is decoded once, what plans change, what ends a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/sig.h"
#include "engine_fake.h"
#include "eval/questions.h"
#include "golden.h"
#include "tempdir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MODEL  TEST_DATA_DIR "/families/olmoe/model.gguf"
#define N_ROWS 40

static struct view *v;
static struct engine *g;
static struct question_file file;

static int setup(void **state)
{
    int rc = tempdir_setup(state);
    struct engine_opts o;
    struct err e = {0};
    struct buf b = {0};
    log_quiet = true;
    fake_reset();
    for (int i = 0; i < N_ROWS; i++)
        buf_fmt(&b, "{\"goal\":\"number %d\",\"sol1\":\"ab%dqq\",\"sol2\":\"abxyz\",\"label\":%d}\n", i,
                i % 7, i % 2);
    put("piqa.jsonl", b.s);
    buf_clear(&b);
    engine_opts_default(&o);
    o.ubatch = 128; /* a batch holds two or three questions */
    golden_ok((v = view_open(MODEL, &e)) != NULL, &e, MODEL);
    golden_ok((g = engine_open(MODEL, &o, &e)) != NULL, &e, MODEL);
    golden_ok(question_file_read(&file, at("piqa.jsonl"), &e), &e, "piqa.jsonl");
    return rc;
}

static int teardown(void **state)
{
    question_file_clear(&file);
    engine_free(g);
    view_free(v);
    return tempdir_teardown(state);
}

/* The rows of a run as text. Caller frees. */
static char *score(const struct questions_plan *plans, uint32_t n, struct questions_scores *c)
{
    struct err e = {0};
    struct out o;
    golden_ok(out_open(&o, at("rows.jsonl"), true, &e), &e, "rows");
    golden_ok(questions_score(&file, g, v, plans, n, &o, c, &e), &e, "score");
    golden_ok(out_commit_all(&o, 1, &e), &e, "commit");
    FILE *f = fopen(at("rows.jsonl"), "rb");
    char *text = calloc(1, 1 << 16);
    assert_true(f && fread(text, 1, (1 << 16) - 1, f) > 0);
    fclose(f);
    return text;
}

/* A token is a byte, and BOS is in front: what both choices have ends with " ab", and of the three
 * that follow all but the last is decoded. */
static void question_is_decoded_once(void **state)
{
    struct questions_scores c, alone;
    uint64_t want = 0, apart = 0;
    (void)state;
    for (int i = 0; i < N_ROWS; i++) {
        uint32_t digits = i > 9 ? 2 : 1,
                 trunk = 1 + (uint32_t)strlen("Question: number \nAnswer: ab") + digits;
        want += trunk + 2 * 2;
        apart += 2 * (trunk + 2);
    }
    char *shared = score(NULL, 0, &c);
    assert_int_equal(c.n_tokens, want);
    assert_int_equal(fake.n_tokens, want);
    assert_int_equal(fake.n_fork, N_ROWS);
    fake_reset();
    fake.has_state = true;
    char *each = score(NULL, 0, &alone);
    assert_int_equal(fake.n_fork, 0);
    assert_int_equal(fake.n_tokens, apart);
    assert_string_equal(shared, each); /* the fake's logits depend on token and position alone */
    assert_true(c.sides[0].acc == alone.sides[0].acc);
    free(shared);
    free(each);
    questions_scores_clear(&c);
    questions_scores_clear(&alone);
}

/* Sums worked out from the engine's logits of one sequence. */
static void sums_are_of_the_choice_alone(void **state)
{
    struct questions_scores c;
    struct err e = {0};
    (void)state;
    char *rows = score(NULL, 0, &c);
    json_t *row = json_loads(rows, JSON_DISABLE_EOF_CHECK, NULL);
    const char *before = file.rows[0].list[1].before, *after = file.rows[0].list[1].after;
    char text[128];
    int32_t token[128] = {FAKE_BOS}, pos[128], seq[128] = {0};
    snprintf(text, sizeof text, "%s%s", before, after);
    uint32_t n = 1 + (uint32_t)strlen(text), from = 1 + (uint32_t)strlen(before);
    for (uint32_t i = 0; i < n; i++) {
        pos[i] = (int32_t)i;
        if (i)
            token[i] = (unsigned char)text[i - 1];
    }
    engine_clear(g);
    golden_ok(engine_decode(g, &(struct engine_batch){n, token, pos, seq, NULL}, &e), &e, "decode");
    double want = 0;
    for (uint32_t i = from; i < n; i++) {
        const float *x = engine_logits(g, i - 1);
        double sum = 0;
        for (int k = 0; k < FAKE_VOCAB; k++)
            sum += exp((double)x[k]);
        want += (double)x[token[i]] - log(sum);
    }
    double got =
        json_real_value(json_array_get(json_array_get(json_object_get(row, "loglikelihoods"), 0), 1));
    assert_true(fabs(got - want) < 1e-4);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(row, "n_chars"), 1)), 5);
    json_decref(row);
    free(rows);
    questions_scores_clear(&c);
}

static struct plan *make_plan(uint32_t n_keep)
{
    struct plan *p = plan_new(v->n_layers, n_keep);
    for (uint32_t l = 0; l < p->n_layers; l++) {
        p->layers[l].il = v->layers[l].il;
        for (uint32_t i = 0; i < n_keep; i++)
            p->layers[l].keep[i] = i;
    }
    return p;
}

static double much(uint32_t il, uint32_t expert)
{
    (void)il, (void)expert;
    return 1;
}

static void plans_are_paired(void **state)
{
    struct plan *all = make_plan(v->shape.n_experts), *few = make_plan(v->shape.n_experts / 2);
    const struct questions_plan plans[] = {{"all.json", all}, {"few.json", few}};
    struct questions_scores c;
    uint64_t whole_right = 0, lost = 0, won = 0;
    (void)state;
    fake.worth = much;
    char *rows = score(plans, 2, &c), *at_row = rows;
    assert_int_equal(c.n_sides, 3);
    assert_null(c.sides[0].plan);
    assert_string_equal(c.sides[2].plan, "few.json");
    assert_true(c.sides[1].acc == c.sides[0].acc);
    assert_true(c.sides[1].paired.lost + c.sides[1].paired.won == 0 && c.sides[1].paired.p == 1);
    for (int i = 0; i < N_ROWS; i++) {
        size_t used = strcspn(at_row, "\n");
        json_t *row = json_loadb(at_row, used, 0, NULL), *ll = json_object_get(row, "loglikelihoods");
        bool right[3];
        for (size_t s = 0; s < 3; s++) {
            const json_t *x = json_array_get(ll, s);
            int best = json_real_value(json_array_get(x, 1)) > json_real_value(json_array_get(x, 0));
            right[s] = best == json_integer_value(json_object_get(row, "answer"));
        }
        whole_right += right[0];
        lost += right[0] && !right[2];
        won += !right[0] && right[2];
        json_decref(row);
        at_row += used + 1;
    }
    assert_true(c.sides[0].acc == (double)whole_right / N_ROWS);
    assert_int_equal(c.sides[2].paired.lost, lost);
    assert_int_equal(c.sides[2].paired.won, won);
    assert_true(lost + won > 0);
    assert_true(fabs(c.sides[2].acc - c.sides[0].acc - c.sides[2].paired.diff) < 1e-12);
    free(rows);
    questions_scores_clear(&c);
    plan_free(all);
    plan_free(few);
}

/* Worked out with exact integers (p) and by hand (interval). */
static void the_test_is_exact(void **state)
{
    (void)state;
    struct questions_paired p = questions_paired_of(50, 10, 2);
    assert_true(fabs(p.p - 158.0 / 4096) < 1e-12);
    assert_true(fabs(p.diff + 0.16) < 1e-12);
    assert_true(fabs(p.low + 0.288534) < 1e-5 && fabs(p.high + 0.019159) < 1e-5);
    p = questions_paired_of(50, 2, 10);
    assert_true(fabs(p.low - 0.019159) < 1e-5 && fabs(p.p - 158.0 / 4096) < 1e-12);
    p = questions_paired_of(10000, 600, 500);
    assert_true(fabs(p.p - 0.002819545) < 1e-8);
    p = questions_paired_of(20, 0, 0);
    assert_true(p.p == 1 && p.diff == 0 && p.low < 0 && p.high > 0); /* nothing seen is not nothing there */
    p = questions_paired_of(20, 3, 3);
    assert_true(p.p == 1);
    p = questions_paired_of(1, 1, 0);
    assert_true(p.p == 1 && p.low == -1);
}

static void what_ends_a_run(void **state)
{
    struct questions_scores c;
    struct err e = {0};
    (void)state;
    fake.fail_at = 3;
    assert_false(questions_score(&file, g, v, NULL, 0, NULL, &c, &e));
    assert_int_equal(e.code, ERR_FAILED);
    assert_null(c.sides);
    err_clear(&e);
    fake_reset();
    fake.n_ctx_train = 20;
    assert_false(questions_score(&file, g, v, NULL, 0, NULL, &c, &e));
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(
        e.msg, "piqa.jsonl: line 1: the question with choice 1 has 33 tokens, the model was trained for 20"));
    err_clear(&e);
    fake_reset();
    sig_install();
    fake.interrupt_at = 2;
    assert_false(questions_score(&file, g, v, NULL, 0, NULL, &c, &e));
    assert_int_equal(e.code, ERR_INTERRUPTED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    static const struct CMUnitTest tests[] = {T(question_is_decoded_once), T(sums_are_of_the_choice_alone),
                                              T(plans_are_paired), T(the_test_is_exact), T(what_ends_a_run)};
    return cmocka_run_group_tests_name("questions", tests, NULL, NULL);
}
