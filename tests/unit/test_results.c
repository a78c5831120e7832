/* test_results.c - src/results: what is written is read back, and what is not right is refused with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "results/batch.h"
#include "results/choice.h"
#include "results/compare.h"
#include "results/run.h"
#include "results/sweep.h"
#include "tempdir.h"

#include <math.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void expect_ok(bool ok, const struct err *e)
{
    if (!ok || e->code != ERR_NONE)
        fail_msg("%s", e->msg);
}

static void expect_err(struct err *e, const char *part)
{
    if (e->code != ERR_INPUT || !strstr(e->msg, part))
        fail_msg("'%s' expected, got %d: %s", part, e->code, e->msg);
    err_clear(e);
}

static void expect_file(const char *path, const char *want)
{
    struct err e = {0};
    struct buf b = {0};
    expect_ok(file_read_all(path, 1 << 20, &b, &e), &e);
    assert_string_equal(b.s, want);
    buf_clear(&b);
}

/* ---- reap.run/1 ---- */

static void run_comes_back(void **state)
{
    (void)state;
    struct err e = {0};
    struct run_record r = {0}, back;
    assert_null(run_record_find(&r, "plan"));
    run_record_done(&r, "profile", "k1", "a 1 2\n", "b1", 1);
    run_record_writing(&r, "prune", "out.gguf", "b2", 0.5);
    run_record_done(&r, "profile", "k2", "a 3 4\n", NULL, 2.5); /* in the place of the first */
    r.job = json_pack("{s:i}", "keep", 24);
    r.stats = xstrdup("s.json");
    expect_ok(run_record_write(at("run.json"), &r, &e), &e);
    expect_file(
        at("run.json"),
        "{\n \"schema\": \"reap.run/1\",\n \"steps\": {\n  \"profile\": {\n   \"key\": \"k2\",\n"
        "   \"files\": \"a 3 4\\n\",\n   \"seconds\": 2.5\n  },\n  \"prune\": {\n   \"writing\": \"out.gguf\",\n"
        "   \"basis\": \"b2\",\n   \"seconds\": 0.5\n  }\n },\n \"job\": {\n  \"keep\": 24\n },\n \"stats\": \"s.json\"\n}\n");
    expect_ok(run_record_read(at("run.json"), &back, &e), &e);
    assert_int_equal(back.n, 2);
    assert_string_equal(run_record_find(&back, "profile")->key, "k2");
    assert_true(json_equal(back.job, r.job));
    assert_string_equal(back.stats, "s.json");
    assert_true(run_record_find(&back, "profile")->secs == 2.5 &&
                run_record_find(&back, "prune")->secs == 0.5);
    assert_string_equal(run_record_find(&back, "profile")->files, "a 3 4\n");
    assert_null(run_record_find(&back, "prune")->key);
    assert_string_equal(run_record_find(&back, "prune")->writing, "out.gguf");
    assert_string_equal(run_record_find(&back, "prune")->basis, "b2");
    assert_false(pass_any(&back.pass));
    run_record_done(&back, "prune", "k3", "", NULL, 0);
    assert_null(run_record_find(&back, "prune")->writing);
    assert_null(run_record_find(&back, "prune")->basis);
    run_record_clear(&back);
    pass_ask(&r.pass, PASS_KL, 0.125);
    expect_ok(run_record_write(at("run.json"), &r, &e), &e);
    expect_ok(run_record_read(at("run.json"), &back, &e), &e);
    assert_true(pass_limit(&back.pass, PASS_KL) == 0.125);
    assert_true(isnan(pass_limit(&back.pass, PASS_TOP1)));
    run_record_clear(&r);
    run_record_clear(&back);
}

static void run_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[]", "schema is missing"},
        {"{\"schema\":\"reap.plan/1\"}", "run.json: schema is 'reap.plan/1', expected 'reap.run/1'"},
        {"{\"schema\":\"reap.run/1\"}", "'steps' is missing"},
        {"{\"schema\":\"reap.run/1\",\"steps\":{\"plan\":7}}", "step 'plan' is an integer"},
        {"{\"schema\":\"reap.run/1\",\"steps\":{},\"pass\":7}", "'pass' is an integer"},
        {"{\"schema\":\"reap.run/1\",\"steps\":{\"plan\":{\"key\":7}}}", "'key' is an integer"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        struct run_record r;
        put("run.json", cases[i][0]);
        assert_false(run_record_read(at("run.json"), &r, &e));
        expect_err(&e, cases[i][1]);
        assert_int_equal(r.n, 0);
    }
}

/* ---- reap.batch/1 ---- */

static void batch_comes_back(void **state)
{
    (void)state;
    struct err e = {0};
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", "hi"),
           *own = json_pack("{s:i}", "n", 1), *model = json_pack("{s:s}", "id", "m"), *list = json_array(),
           *f1 = json_pack("{s:s, s:s}", "name", "f", "arguments", "{}"),
           *calls = json_pack("[{s:s, s:O}]", "type", "function", "function", f1);
    const struct batch_answer a[] = {{.id = "one",
                                      .category = "c",
                                      .repeat = 1,
                                      .key = "k",
                                      .prompt_sha256 = "p",
                                      .messages = messages,
                                      .parameters = own,
                                      .attempts = 2,
                                      .ok = true,
                                      .response = "r",
                                      .reasoning = "t",
                                      .refusal = "no",
                                      .tool_calls = calls,
                                      .function_call = f1,
                                      .n_nul = 1,
                                      .n_invalid = 2,
                                      .finish = "stop",
                                      .prompt_tokens = 3,
                                      .completion_tokens = 4,
                                      .response_tokens = -1,
                                      .seconds = 0.5,
                                      .first_token = NAN,
                                      .tokens_per_second = 8},
                                     {.id = "two",
                                      .key = "k2",
                                      .prompt_sha256 = "p2",
                                      .messages = messages,
                                      .attempts = 1,
                                      .error = "no"}};
    const struct batch_head head = {.server = "http://x",
                                    .endpoint = "chat",
                                    .started = "now",
                                    .model = model,
                                    .parameters = own,
                                    .n_prompts = 3};
    for (size_t i = 0; i < 2; i++)
        json_array_append_new(list, batch_answer_json(&a[i]));
    char of[65];
    expect_ok(batch_write(at("b.json"), &head, list, of, &e), &e);
    struct batch_file f;
    expect_ok(batch_read(at("b.json"), &f, &e), &e);
    assert_int_equal(f.n, 2);
    assert_string_equal(f.head.endpoint, "chat");
    assert_true(json_equal(f.head.model, model) && json_equal(f.head.parameters, own));
    assert_int_equal(f.head.n_prompts, 3);
    for (uint64_t i = 0; i < 2; i++) { /* printed again it is the same */
        json_t *was = batch_file_answer(&f, i), *again = batch_answer_json(&f.v[i]);
        assert_true(json_equal(was, again));
        json_decref(was);
        json_decref(again);
    }
    assert_true(f.v[0].ok && !f.v[1].ok);
    assert_int_equal(f.v[0].response_tokens, -1);
    assert_true(isnan(f.v[0].first_token));
    assert_string_equal(f.v[0].refusal, "no");
    assert_true(json_equal(f.v[0].tool_calls, calls) && json_equal(f.v[0].function_call, f1));
    assert_true(f.v[0].n_nul == 1 && f.v[0].n_invalid == 2);
    assert_null(f.v[1].category);
    assert_string_equal(f.v[1].error, "no");
    batch_file_clear(&f);
    json_decref(messages);
    json_decref(own);
    json_decref(model);
    json_decref(list);
    json_decref(f1);
    json_decref(calls);
}

/* What a journal holds comes into the file: in the place of the same request and id, else behind the others. */
static void batch_journal_comes_in(void **state)
{
    (void)state;
    struct err e = {0};
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", "hi"), *list = json_array();
    /* 0.1 and 1e22: numbers that are printed in another way than they are hashed */
    json_t *model = json_pack("{s:s, s:f, s:f}", "id", "m", "x", 0.1, "y", 1e22);
    const struct batch_head head = {
        .server = "s", .endpoint = "chat", .started = "now", .model = model, .parameters = model};
    struct batch_answer a = {.key = "k", .prompt_sha256 = "p", .messages = messages};
    a.id = "one";
    a.error = "failed at first";
    json_array_append_new(list, batch_answer_json(&a));
    a.id = "two";
    json_array_append_new(list, batch_answer_json(&a));
    char of[65];
    expect_ok(batch_write(at("b.json"), &head, list, of, &e), &e);
    struct buf b = {0};
    batch_journal_head(&b, of);
    assert_false(batch_journal_has_results(b.s, b.n));
    a.ok = true;
    a.finish = "stop";
    static const char *const ids[] = {"three", "two", "three"}, *const texts[] = {"first", "b", "again"};
    for (size_t i = 0; i < 3; i++) {
        a.id = ids[i];
        a.response = texts[i];
        json_t *o = batch_answer_json(&a);
        batch_journal_line(&b, o);
        json_decref(o);
    }
    assert_true(batch_journal_has_results(b.s, b.n));
    struct batch_file f;
    for (int twice = 0; twice < 2; twice++) { /* a kill behind the writing: the same again */
        expect_ok(batch_read(at("b.json"), &f, &e), &e);
        expect_ok(batch_journal_fold(&f, b.s, b.n, &e), &e);
        expect_ok(json_write(at("b.json"), f.doc, true, &e), &e);
        batch_file_clear(&f);
    }
    expect_ok(batch_read(at("b.json"), &f, &e), &e);
    assert_int_equal(f.n, 3);
    assert_true(!f.v[0].ok && f.v[1].ok && f.v[2].ok);
    assert_string_equal(f.v[0].id, "one");
    assert_string_equal(f.v[1].response, "b");
    assert_string_equal(f.v[2].response, "again");
    /* of another file, and broken */
    b.s[b.n - 3] = 'x';
    assert_false(batch_journal_fold(&f, b.s, b.n, &e));
    assert_non_null(strstr(e.msg, "line 4: column "));
    err_clear(&e);
    json_object_set_new(f.doc, "started", json_string("later"));
    assert_false(batch_journal_fold(&f, b.s, b.n, &e));
    assert_string_equal(e.msg, "line 1: belongs to another file of answers");
    batch_file_clear(&f);
    buf_clear(&b);
    json_decref(messages);
    json_decref(model);
    json_decref(list);
}

static void batch_refused(void **state)
{
    (void)state;
#define HEAD   "{\"schema\":\"reap.batch/1\",\"results\":["
#define RESULT "\"id\":\"x\",\"key\":\"k\",\"prompt_sha256\":\"p\",\"repeat\":0,\"messages\":[]"
    static const char *const cases[][2] = {
        {"{\"schema\":\"reap.eval/1\"}", "b.json: schema is 'reap.eval/1', expected 'reap.batch/1'"},
        {"{\"schema\":\"reap.batch/1\"}", "'results' is missing"},
        {HEAD "7]}", "result 0 is an integer"},
        {HEAD "{\"id\":\"x\"}]}", "result 0: 'key' is missing"},
        {HEAD "{" RESULT ",\"status\":\"ok\"}]}", "'response' is missing"},
        {HEAD "{" RESULT ",\"status\":\"ok\",\"response\":\"\"}]}", "'finish_reason' is missing"},
        {HEAD "{" RESULT
              ",\"status\":\"ok\",\"response\":\"\",\"finish_reason\":\"stop\",\"seconds\":\"1\"}]}",
         "'seconds' is a string, expected a number"},
        {HEAD "{" RESULT ",\"status\":\"failed\",\"error\":7}]}", "'error' is an integer"},
#define OK "{" RESULT ",\"status\":\"ok\",\"response\":\"\",\"finish_reason\":\"tool_calls\","
        {HEAD OK "\"tool_calls\":{}}]}", "'tool_calls' is an object, expected a list"},
        {HEAD OK "\"tool_calls\":[1]}]}", "result 0: call 0 is an integer, expected an object"},
        {HEAD OK "\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}}]}]}",
         "result 0: call 0: 'arguments' is an object, expected a string"},
        {HEAD OK "\"function_call\":{\"arguments\":\"\"}}]}", "'name' is missing"},
        {HEAD OK "\"replaced\":{\"nul\":\"\"}}]}", "'nul' is a string"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        struct batch_file f;
        put("b.json", cases[i][0]);
        assert_false(batch_read(at("b.json"), &f, &e));
        expect_err(&e, cases[i][1]);
    }
}

/* ---- reap.compare/1 ---- */

static struct compare_side side(const char *text)
{
    return (struct compare_side){.response = text,
                                 .finish = "length",
                                 .n_words = 5,
                                 .tokens = NAN,
                                 .tokens_per_second = 2.5,
                                 .first_token = NAN,
                                 .endless = true,
                                 .repeat_share = 0.25,
                                 .loop_period = 3,
                                 .loop_copies = 4,
                                 .loop_by_characters = true};
}

static void compare_comes_back(void **state)
{
    (void)state;
    struct err e = {0};
    struct compare_row row = {.id = "one",
                              .prompt = "why?",
                              .repeat = 2,
                              .base = side("a"),
                              .pruned = side("b"),
                              .similarity = 0.5,
                              .common_prefix = 1};
    struct compare_sums sums = {.endless = {1, 1, 0.2, 1}, .repeat_share = 0.25, .words = 5, .tokens = NAN};
    struct compare_file f = {.base.file = "a", .pruned.file = "b", .rows = &row, .n_rows = 1}, back;
    json_t *calls = json_pack("[{s:{s:s, s:s}}]", "function", "name", "f", "arguments", "{}");
    row.pruned.refusal = "no";
    row.pruned.tool_calls = calls;
    row.pruned.function_call = json_object_get(json_array_get(calls, 0), "function");
    row.pruned.n_calls = 2;
    row.pruned.n_no_json = row.pruned.n_unknown = 1;
    row.pruned.fit = CALLS_UNFIT;
    row.same_names = true;
    sums.fit = sums.calling = (struct compare_rate){1, 0.5, 0.25, 0.75};
    sums.n_checked = 2;
    sums.n_calls = 3;
    f.total = (struct compare_total){.n = 1, .similarity_mean = 0.5, .base = sums, .pruned = sums};
    f.total.n_calling = 1;
    f.total.same_names = (struct compare_rate){1, 1, 0.2, 1};
    f.ignored = json_pack("{s:i}", "pattern", 2);
    expect_ok(compare_write(at("c.json"), &f, true, &e), &e);
    expect_ok(compare_read(at("c.json"), &back, &e), &e);
    assert_int_equal(back.n_rows, 1);
    const struct compare_row *r = &back.rows[0];
    assert_string_equal(r->id, "one");
    assert_string_equal(r->prompt, "why?");
    assert_null(r->category);
    assert_int_equal(r->repeat, 2);
    assert_string_equal(r->pruned.response, "b");
    assert_true(r->base.endless && r->base.loop_by_characters && isnan(r->base.tokens));
    assert_int_equal(r->base.loop_period, 3);
    assert_true(back.total.base.endless.low > 0.19 && isnan(back.total.base.tokens));
    assert_string_equal(r->pruned.refusal, "no");
    assert_true(json_equal(r->pruned.tool_calls, calls) && json_is_object(r->pruned.function_call));
    assert_true(r->pruned.n_calls == 2 && r->pruned.n_no_json == 1 && r->pruned.n_unknown == 1);
    assert_true(r->pruned.fit == CALLS_UNFIT && r->base.fit == CALLS_NOT_CHECKED && !r->base.tool_calls);
    assert_true(r->same_names && !r->same_arguments);
    assert_true(back.total.n_calling == 1 && back.total.same_names.low > 0.19);
    assert_true(back.total.pruned.fit.count == 1 && back.total.pruned.n_checked == 2);
    json_t *with = compare_json(&f, true), *without = compare_json(&f, false);
    assert_non_null(json_object_get(json_array_get(json_object_get(with, "rows"), 0), "prompt"));
    assert_null(json_object_get(json_array_get(json_object_get(without, "rows"), 0), "prompt"));
    json_decref(with);
    json_decref(without);
    compare_file_clear(&back);
    json_decref(f.ignored);
    json_decref(calls);
}

static void compare_refused(void **state)
{
    (void)state;
#define TOTAL "{\"schema\":\"reap.compare/1\",\"total\":{\"n\":1},\"rows\":["
    static const char *const cases[][2] = {
        {"{\"schema\":\"reap.compare/1\"}", "'total' is missing"},
        {"{\"schema\":\"reap.compare/1\",\"total\":{\"n\":\"1\"}}", "total: 'n' is a string"},
        {TOTAL "9]}", "c.json: row 0 is an integer, expected an object"},
        {TOTAL "{\"id\":\"x\",\"base\":\"text\"}]}", "row 0: 'base' is a string, expected an object"},
        {TOTAL "{\"id\":\"x\",\"base\":{},\"pruned\":{\"response\":7}}]}",
         "row 0.pruned: 'response' is an integer"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        struct compare_file f;
        put("c.json", cases[i][0]);
        assert_false(compare_read(at("c.json"), &f, &e));
        expect_err(&e, cases[i][1]);
    }
}

/* ---- reap.eval/1 ---- */

static const struct eval_against figures = {.score = {.ppl = 5, .ppl_stderr = 0.5},
                                            .base = {.ppl = 4, .ppl_stderr = 0.25},
                                            .ln_ratio = 0.2,
                                            .ln_ratio_stderr = 0.02,
                                            .kl_mean = 0.1,
                                            .kl_stderr = 0.01,
                                            .kl_median = NAN,
                                            .kl_p90 = NAN,
                                            .kl_p99 = NAN,
                                            .kl_max = NAN,
                                            .top1 = 0.75,
                                            .top1_stderr = 0.05,
                                            .dp_rms = 0.125,
                                            .dp_rms_stderr = 0.0625};

static void eval_comes_back(void **state)
{
    (void)state;
    struct err e = {0};
    json_t *model = json_pack("{s:s}", "architecture", "x");
    struct eval_score s = {
        .n_tokens = 9, .n_scored = 4, .n_windows = 2, .nll = 1.5, .ppl = 5, .ppl_stderr = 0.5};
    struct eval_text texts[] = {{.name = "a", .score = s},
                                {.name = "b", .score = s, .compared = true, .against = figures}};
    struct eval_file f = {.model = model,
                          .base = model,
                          .plan = {"plan.json", "reap", 3},
                          .texts = texts,
                          .n_texts = 2,
                          .total = texts[1]},
                     back;
    texts[1].against.kl_median = 0.05;
    texts[1].against.kl_p90 = 0.5;
    texts[1].against.kl_p99 = 0.75;
    texts[1].against.kl_max = 1;
    expect_ok(eval_write(at("e.json"), &f, false, &e), &e);
    expect_ok(eval_read(at("e.json"), &back, &e), &e);
    assert_int_equal(back.n_texts, 2);
    assert_string_equal(back.texts[1].name, "b");
    assert_memory_equal(&back.texts[0].score, &s, sizeof s);
    assert_true(!back.texts[0].compared && isnan(back.texts[0].against.kl_mean));
    assert_true(back.texts[1].compared && back.texts[1].against.kl_max == 1);
    assert_true(isnan(back.total.against.kl_max) && back.total.against.base.ppl == 4);
    assert_string_equal(back.plan.file, "plan.json");
    assert_int_equal(back.plan.n_keep, 3);
    json_t *x = eval_json(&f), *y = eval_json(&back);
    assert_true(json_equal(x, y));
    json_decref(x);
    json_decref(y);
    eval_file_clear(&back);
    json_decref(model);
}

static void questions_come_back(void **state)
{
    (void)state;
    struct err e = {0};
    struct questions_side sides[] = {
        {.acc = 0.5, .acc_stderr = 0.1, .acc_norm = 0.25, .acc_norm_stderr = 0.2},
        {.plan = "p.json",
         .criterion = "reap",
         .n_keep = 3,
         .acc = 0.75,
         .paired = {.lost = 1, .won = 2, .diff = 0.25, .low = -0.5, .high = 0.75, .p = 1},
         .paired_norm = {.lost = 3, .p = 0.25}}};
    struct questions_scores c[] = {
        {.name = "arc.jsonl", .form = "arc", .n_questions = 4, .n_tokens = 99, .sides = sides, .n_sides = 2}};
    struct eval_file f = {.questions = c, .n_questions = 1}, back;
    expect_ok(eval_write(at("e.json"), &f, false, &e), &e);
    expect_ok(eval_read(at("e.json"), &back, &e), &e);
    assert_int_equal(back.n_questions, 1);
    assert_int_equal(back.n_texts, 0);
    assert_true(isnan(back.total.score.ppl));
    assert_string_equal(back.questions[0].form, "arc");
    assert_int_equal(back.questions[0].n_tokens, 99);
    assert_null(back.questions[0].sides[0].plan);
    assert_string_equal(back.questions[0].sides[1].criterion, "reap");
    assert_memory_equal(&back.questions[0].sides[1].paired, &sides[1].paired, sizeof sides[1].paired);
    assert_int_equal(back.questions[0].sides[1].paired_norm.lost, 3);
    json_t *x = eval_json(&f), *y = eval_json(&back);
    assert_true(json_equal(x, y));
    json_decref(x);
    json_decref(y);
    eval_file_clear(&back);
    static const struct {
        const char *text, *want;
    } bad[] = {
        {"[7]", "e.json: questions 0 is an integer, expected an object"},
        {"{}", "'questions' is an object, expected a list"},
        {"[{\"name\":\"a\"}]", "e.json: questions 0: 'results' is missing"},
        {"[{\"name\":\"a\",\"results\":[{\"acc\":\"x\"}]}]", "questions 0, result 0"},
        {"[{\"name\":\"a\",\"results\":[{},{\"acc_paired\":{\"lost\":-1}}]}]",
         "questions 0, result 1.acc_paired"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b = {0};
        buf_fmt(&b, "{\"schema\":\"reap.eval/1\",\"texts\":[],\"total\":{},\"questions\":%s}", bad[i].text);
        put("e.json", b.s);
        buf_clear(&b);
        struct err why = {0};
        assert_false(eval_read(at("e.json"), &back, &why));
        assert_int_equal(why.code, ERR_INPUT);
        if (!strstr(why.msg, bad[i].want))
            fail_msg("'%s' lacks '%s'", why.msg, bad[i].want);
    }
}

/* ---- reap.sweep/1 ---- */

static void sweep_comes_back(void **state)
{
    (void)state;
    struct err e = {0};
    json_t *model = json_pack("{s:s}", "architecture", "x");
    const struct sweep_text text = {"t", "00"};
    struct sweep_file_point points[] = {{.criterion = "reap",
                                         .ratio = 0.25,
                                         .n_keep = 6,
                                         .bytes = 700,
                                         .r = figures,
                                         .to_best = NAN,
                                         .to_best_stderr = NAN},
                                        {.type = "Q4_K_M",
                                         .criterion = "random",
                                         .ratio = 0.5,
                                         .n_keep = 4,
                                         .bytes = 500,
                                         .r = figures,
                                         .to_best = 0.5,
                                         .to_best_stderr = 0.25}};
    struct sweep_file f = {.model = model,
                           .stats = "s.json",
                           .stats_sha256 = "11",
                           .texts = &text,
                           .n_texts = 1,
                           .n_ctx = 512,
                           .n_scored = 4,
                           .n_experts = 8,
                           .bytes = 900,
                           .ppl = 4,
                           .ppl_stderr = 0.25,
                           .points = points,
                           .n_points = 2,
                           .fit = 600,
                           .chosen = 1},
                      back;
    pass_ask(&f.pass, PASS_PPL_INCREASE, 0.02);
    pass_ask(&f.pass, PASS_TOP1, 0.9);
    json_t *doc = sweep_json(&f);
    expect_ok(json_write(at("s.json"), doc, false, &e), &e);
    expect_ok(sweep_read(at("s.json"), &back, &e), &e);
    assert_int_equal(back.n_points, 2);
    assert_int_equal(back.chosen, 1);
    assert_int_equal(back.fit, 600);
    assert_null(back.points[0].type);
    assert_string_equal(back.points[1].type, "Q4_K_M");
    assert_true(isnan(back.points[0].to_best) && back.points[1].to_best_stderr == 0.25);
    assert_true(!back.pass.asked[PASS_KL] && pass_limit(&back.pass, PASS_PPL_INCREASE) == 0.02);
    back.texts = &text; /* which are not read */
    back.n_texts = 1;
    json_t *again = sweep_json(&back);
    assert_true(json_equal(doc, again));
    json_object_set_new(doc, "chosen", json_null());
    json_object_del(doc, "pass"); /* as files were before it: the limits alone */
    assert_true(json_write(at("s.json"), doc, true, &e));
    sweep_file_clear(&back);
    expect_ok(sweep_read(at("s.json"), &back, &e), &e);
    assert_int_equal(back.chosen, -1);
    assert_true(!back.pass.asked[PASS_TOP1] && pass_limit(&back.pass, PASS_PPL_INCREASE) == 0.02);
    sweep_file_clear(&back);
    json_decref(doc);
    json_decref(again);
    json_decref(model);
}

/* ---- prune, or quantise ---- */

/* A point of a model of 8 experts; its error is a tenth of the divergence. */
static struct sweep_file_point point(const char *type, uint64_t n_keep, uint64_t bytes, double kl)
{
    struct sweep_file_point p = {.type = type, .criterion = "reap", .n_keep = n_keep, .bytes = bytes};
    p.r.kl_mean = kl, p.r.kl_stderr = kl / 10, p.r.top1 = 1 - kl;
    return p;
}

static void says(const struct sweep_file *f, const char *want)
{
    struct buf b = {0};
    sweep_put_verdict(f, &b);
    assert_string_equal(b.n ? b.s : "", want);
    buf_clear(&b);
}

static void front(void **state)
{
    (void)state;
    struct sweep_file_point p[] = {
        point(NULL, 8, 1000, 0),         point(NULL, 6, 800, 0.05),       point(NULL, 4, 600, 0.2),
        point("Q8_0", 8, 550, 0.001),    point("Q8_0", 6, 450, 0.051),    point("Q4_K_M", 8, 300, 0.03),
        point("Q4_K_M", 6, 250, 0.0801), point("Q4_K_M", 4, 300, 0.0300),
    };
    struct sweep_file f = {.points = p, .n_points = 8, .n_experts = 8, .bytes = 1000};
    static const bool on[] = {true,  false, false, true,
                              false, true,  true,  true}; /* equal ones do not beat each other */
    for (uint32_t i = 0; i < f.n_points; i++)
        assert_int_equal(sweep_on_front(&f, i), on[i]);
    says(&f,
         "at 800 B: Q8_0 of the whole model (550 B, KL 0.001) is better than 25 % pruned as it is (KL 0.05)\n"
         "at 600 B: Q8_0 of the whole model (550 B, KL 0.001) is better than 50 % pruned as it is (KL 0.2)\n"
         "quantising alone is better than pruning alone at every size measured\n");
    p[3].r.kl_mean = 0.045; /* nearer by less than two errors */
    p[3].r.kl_stderr = 0.01;
    p[5].r.kl_mean = p[7].r.kl_mean = 0.3;
    says(
        &f,
        "at 800 B: Q8_0 of the whole model (550 B, KL 0.045) and 25 % pruned as it is (KL 0.05) are not told "
        "apart by this text\n"
        "at 600 B: Q8_0 of the whole model (550 B, KL 0.045) is better than 50 % pruned as it is (KL 0.2)\n"
        "pruning alone is beaten at 1 of 2 sizes measured\n");
    p[3].bytes = 850; /* as below 3 bits a weight */
    p[4].r.kl_mean = p[6].r.kl_mean = 0.5;
    says(&f, "at 800 B: 25 % pruned as it is (KL 0.05) is the best measured\n"
             "at 600 B: 50 % pruned as it is (KL 0.2) is the best measured\n"
             "pruning alone is not beaten at any size measured\n");
    f.n_points = 3; /* no types: nothing to say */
    says(&f, "");
}

static void choice(void **state)
{
    (void)state;
    struct sweep_file_point p[] = {point(NULL, 8, 1000, 0), point(NULL, 4, 600, 0.2),
                                   point("Q8_0", 8, 550, 0.001), point("Q4_K_M", 6, 250, 0.09),
                                   point("Q4_K_M", 4, 250, 0.08)};
    struct sweep_file f = {.points = p, .n_points = 5, .n_experts = 8, .bytes = 1000};
    assert_int_equal(sweep_choose(&f), 4); /* the smallest; of equal sizes the nearer one */
    pass_ask(&f.pass, PASS_KL, 0.05);
    assert_int_equal(sweep_choose(&f), 2); /* the model itself is no answer */
    f.pass = (struct pass){0};
    f.fit = 1000;
    assert_int_equal(sweep_choose(&f), 0); /* here it is */
    f.fit = 999;
    assert_int_equal(sweep_choose(&f), 2);
    f.fit = 549;
    assert_int_equal(sweep_choose(&f), 4);
    pass_ask(&f.pass, PASS_KL, 0.05);
    assert_int_equal(sweep_choose(&f), -1);
    f.pass = (struct pass){0};
    f.fit = 249;
    assert_int_equal(sweep_choose(&f), -1);
}

/* ---- pass marks ---- */

static const char *misses_of(const char *bounds, const struct eval_against *a, char out[200])
{
    struct err e = {0};
    struct pass p = {0};
    struct buf b = {0};
    expect_ok(pass_parse(bounds, "--pass", &p, &e), &e);
    pass_misses(&p, a, &b);
    snprintf(out, 200, "%s", b.n ? b.s : "");
    assert_true(pass_holds(&p, a) == !b.n);
    buf_clear(&b);
    return out;
}

static void pass_marks(void **state)
{
    (void)state;
    char s[200];
    /* ln 1.06 */
    const struct eval_against a = {.ln_ratio = 0.058268908123975775, .kl_mean = 0.0571, .top1 = 0.931};
    assert_string_equal(misses_of("top1>=0.93,kl<=0.0571,ppl<=1.0601,ppl-increase<=7%", &a, s), "");
    assert_string_equal(misses_of("top1>=93.1%", &a, s), "");
    assert_string_equal(misses_of("kl<=0.05,top1>=0.97", &a, s),
                        "top1 0.931 is below 0.97, kl 0.0571 is above 0.05");
    assert_string_equal(misses_of("ppl<=1.05", &a, s), "ppl 1.06 is above 1.05");
    assert_string_equal(misses_of("ppl-increase<=0.05", &a, s), "ppl-increase 0.06 is above 0.05");
    const struct eval_against unknown = {.ln_ratio = NAN, .kl_mean = NAN, .top1 = NAN};
    assert_string_equal(misses_of("kl<=9", &unknown, s), "kl is not known");
}

static void pass_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "--pass: '' names no metric"},
        {"kl", "'kl' is not an upper bound"},
        {"kl>=0.1", "'kl>=0.1' is not an upper bound"},
        {"kl<0.1", "'kl<0.1' is not an upper bound"},
        {"top1<=0.9", "'top1<=0.9' is not a lower bound"},
        {"top1>=97", "'top1>=97' wants a share from 0 to 1, such as 0.97 or 97%"},
        {"kl<=", "'kl<=' wants a number of 0 or more"},
        {"kl<=-1", "wants a number"},
        {"kl<=nan", "wants a number"},
        {"kl<=1,", "'' names no metric"},
        {"kl<=1,kl<=2", "'kl<=2' bounds what was bounded before"},
        {"quality>=1", "names no metric; bounds are top1>=X, kl<=X, ppl<=X, ppl-increase<=X"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        struct pass p = {0};
        if (pass_parse(cases[i][0], "--pass", &p, &e) || !strstr(e.msg, cases[i][1]))
            fail_msg("'%s': '%s' does not say '%s'", cases[i][0], e.msg, cases[i][1]);
        assert_int_equal(e.code, ERR_INPUT);
    }
}

static void verdict(void **state)
{
    (void)state;
    const struct eval_against a = {.ln_ratio = 0.058268908123975775, .kl_mean = 0.0571, .top1 = 0.931};
    struct pass p = {0};
    struct buf b = {0};
    pass_verdict(0.25, &a, 5, &p, &b);
    assert_string_equal(b.s, "25 % of the experts removed: KL divergence 0.0571, top-1 agreement 0.931, "
                             "perplexity \xc3\x97 1.060 on 5 texts");
    pass_ask(&p, PASS_KL, 0.05);
    pass_verdict(NAN, &(struct eval_against){.ln_ratio = NAN, .kl_mean = 0.04, .top1 = NAN}, 1, &p, &b);
    assert_non_null(strstr(b.s, "5 textsKL divergence 0.04 on 1 text: passes (kl<=0.05)"));
    pass_verdict(NAN, &a, 2, &p, &b);
    assert_non_null(strstr(b.s, "on 2 texts: does not pass (kl 0.0571 is above 0.05)"));
    buf_clear(&b);
}

/* ---- reap.choice/1 ---- */

static void choice_comes_back(void **state)
{
    (void)state;
    static const char *const categories[] = {"code", "prose"}, *const one[] = {"reap"},
                             *const two[] = {"a", "b"};
    struct choice_file_row rows[] = {{one, 1, {0.25, 0.01}, 0.5, "code", 1.125, {0, NAN}, true},
                                     {two, 2, {0.5, 0.02}, 0.75, "prose", 1.25, {0.25, 0.125}, false}};
    const struct choice_file f = {.text = true,
                                  .n_ctx = 512,
                                  .n_scored = 1000,
                                  .n_windows = 4,
                                  .n_windows_of = 6,
                                  .n_keep = 16,
                                  .n_experts = 32,
                                  .categories = categories,
                                  .n_categories = 2,
                                  .rows = rows,
                                  .n_rows = 2,
                                  .lowest = 0,
                                  .chosen = 0};
    struct choice_file g;
    struct err e = {0};
    json_t *doc = choice_json(&f);
    assert_true(choice_is(doc) && !choice_is(NULL));
    assert_true(choice_read(doc, &g, &e));
    assert_true(g.text && g.n_ctx == 512 && g.n_windows == 4 && g.n_windows_of == 6 && g.n_scored == 1000);
    assert_true(g.n_keep == 16 && g.n_experts == 32 && g.n_rows == 2 && !g.lowest && !g.chosen);
    assert_string_equal(g.categories[1], "prose");
    assert_string_equal(g.rows[1].criteria[1], "b");
    assert_true(isnan(g.rows[0].diff.stderr_mean) && g.rows[0].tie && !g.rows[1].tie);
    assert_true(g.rows[1].kl.mean == 0.5 && g.rows[1].diff.stderr_mean == 0.125 &&
                g.rows[1].ppl_ratio == 1.25);
    assert_string_equal(g.rows[1].worst_category, "prose");
    json_t *again = choice_json(&g);
    assert_true(json_equal(doc, again));
    json_decref(again);
    choice_file_clear(&g);

    static const struct {
        const char *path, *value, *says;
    } bad[] = {
        {"chosen", "2", "'chosen' 2, there are 2 rows"},
        {"rows", "[{}]", "row 0"},
        {"rows", "[1]", "row 0 is an integer"},
        {"categories", "[1]", "'categories' has an integer"},
        {"schema", "\"reap.plan/1\"", "schema is 'reap.plan/1'"},
        {"n_scored", "-1", "n_scored"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *x = json_deep_copy(doc);
        json_object_set_new(x, bad[i].path, json_loads(bad[i].value, JSON_DECODE_ANY, NULL));
        err_clear(&e);
        assert_false(choice_read(x, &g, &e));
        assert_int_equal(e.code, ERR_INPUT);
        if (!strstr(e.msg, bad[i].says))
            fail_msg("'%s' does not say '%s'", e.msg, bad[i].says);
        json_decref(x);
    }
    json_decref(doc);
}

/* Several plans: what is behind the first comes back, and is refused with its place. */
static void eval_others_come_back(void **state)
{
    (void)state;
    struct eval_text texts[] = {
        {.name = "a.txt", .score = {.n_scored = 5, .nll = 2, .ppl = 7}, .compared = true}};
    struct eval_other others[] = {{.plan = {"b.json", "reap", 12},
                                   .texts = texts,
                                   .total = texts[0],
                                   .n_texts = 1,
                                   .diff = {.n_windows = 9,
                                            .kl = 0.25,
                                            .kl_stderr = 0.125,
                                            .kl_differs = true,
                                            .nll = -0.5,
                                            .nll_stderr = NAN}}};
    struct eval_file f = {.plan = {"a.json", NULL, 16},
                          .texts = texts,
                          .n_texts = 1,
                          .total = texts[0],
                          .others = others,
                          .n_others = 1},
                     g;
    struct err e = {0};
    assert_true(eval_write(at("eval.json"), &f, true, &e));
    assert_true(eval_read(at("eval.json"), &g, &e));
    assert_int_equal(g.n_others, 1);
    const struct eval_other *x = &g.others[0];
    assert_string_equal(x->plan.file, "b.json");
    assert_true(x->n_texts == 1 && x->texts[0].score.n_scored == 5 && x->total.score.ppl == 7);
    assert_true(x->diff.n_windows == 9 && x->diff.kl == 0.25 && x->diff.kl_stderr == 0.125 &&
                x->diff.kl_differs);
    assert_true(x->diff.nll == -0.5 && isnan(x->diff.nll_stderr) && !x->diff.nll_differs);
    eval_file_clear(&g);
    static const char *const bad[][2] = {{"[{\"texts\": [], \"total\": {}}]", "difference"},
                                         {"[3]", "other 0 is an integer"},
                                         {"{}", "others"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *o = eval_json(&f);
        json_object_set_new(o, "others", json_loads(bad[i][0], 0, NULL));
        assert_true(json_write(at("bad.json"), o, true, &e));
        json_decref(o);
        assert_false(eval_read(at("bad.json"), &g, &e));
        if (e.code != ERR_INPUT || !strstr(e.msg, bad[i][1]))
            fail_msg("'%s' does not say '%s'", e.msg, bad[i][1]);
        err_clear(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)
        T(run_comes_back),
        T(run_refused),
        T(batch_comes_back),
        T(batch_refused),
        T(batch_journal_comes_in),
        T(compare_comes_back),
        T(compare_refused),
        T(eval_comes_back),
        T(questions_come_back),
        T(sweep_comes_back),
        T(pass_marks),
        T(pass_refused),
        T(front),
        T(choice),
        T(verdict),
        T(choice_comes_back),
        T(eval_others_come_back),
    };
    return cmocka_run_group_tests_name("results", tests, NULL, NULL);
}
