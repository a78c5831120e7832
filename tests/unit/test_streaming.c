/* test_streaming.c - a model larger than the memory that the process is told of (engine_opts.memory): eval and sweep compute what they
 * compute in memory, a block that predicts further tokens is left to a model that fits, and logits are part of what a step takes.
 * Profiles: test_tinymoe.c. What is read and when: test_ahead.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "convert/load.h"
#include "eval/eval.h"
#include "gguf/gguf_file.h"
#include "golden.h"
#include "sweep/sweep.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODEL  TEST_DATA_DIR "/../../models/tinymoe-Q8_0.gguf" /* 13 MB */
#define GLM    TEST_DATA_DIR "/families/glm4_moe/"
#define TEXT   TEST_DATA_DIR "/text/code/lexer.txt"
#define MEMORY (11u << 20)
#define CTX    128
#define STEP   128 /* tokens; a context of more leaves nothing of MEMORY */

/* ---- what is said of it ---- */

static struct said {
    bool streamed;                      /* something was read anew */
    double weights, stay, window, read; /* bytes */
    char *text;
} said;

static double bytes_of(double n, const char *unit)
{
    return n * (*unit == 'k' ? 1e3 : *unit == 'M' ? 1e6 : *unit == 'G' ? 1e9 : 1);
}

static int before_stderr;

static void listen(void)
{
    int fd = open(golden_tmp("said.txt"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    before_stderr = dup(2);
    assert_true(fd >= 0 && before_stderr >= 0 && dup2(fd, 2) == 2);
    close(fd);
    log_verbose = 1;
    log_quiet = false;
}

static void listened(void)
{
    struct err e = {0};
    struct buf b = {0};
    double n[4];
    char unit[4][8];
    log_verbose = 0;
    log_quiet = true;
    assert_true(dup2(before_stderr, 2) == 2);
    close(before_stderr);
    golden_ok(file_read_all(golden_tmp("said.txt"), 1 << 24, &b, &e), &e, "said.txt");
    free(said.text);
    said = (struct said){.text = xstrndup(b.n ? b.s : "", b.n)};
    buf_clear(&b);
    const char *line = strstr(said.text, "streaming: of ");
    said.streamed =
        line && sscanf(line,
                       "streaming: of %lf %7s of weights %lf %7s stayed in memory, the others went "
                       "through %lf %7s of it; computing waited %*f s, reading %lf %7s",
                       &n[0], unit[0], &n[1], unit[1], &n[2], unit[2], &n[3], unit[3]) == 8;
    if (!said.streamed)
        return;
    said.weights = bytes_of(n[0], unit[0]);
    said.stay = bytes_of(n[1], unit[1]);
    said.window = bytes_of(n[2], unit[2]);
    said.read = bytes_of(n[3], unit[3]);
}

/* Most of the weights were read anew in each step, or nothing was said of it. */
static void was_streamed(bool wanted)
{
    assert_true(said.streamed == wanted);
    assert_true(!wanted || strstr(said.text, "read from the disk again and again"));
    if (wanted)
        assert_true(said.weights > 1e7 && said.stay < 0.8 * said.weights && said.window > 0 &&
                    said.read > 2 * said.weights);
}

static struct engine_opts engine(uint64_t memory)
{
    struct engine_opts o = golden_engine();
    o.memory = memory;
    o.ubatch = STEP;
    return o;
}

static struct profile_opts profile(const char *model, const char *const *texts, const char *out,
                                   uint64_t memory)
{
    struct profile_opts o = golden_profile(model, texts, out);
    o.engine = engine(memory);
    o.n_ctx = CTX;
    return o;
}

/* ---- eval ---- */

static struct eval_score eval(uint64_t memory, bool streamed)
{
    struct err e = {0};
    struct eval_score s;
    struct engine_opts o = engine(memory);
    listen();
    struct view *v = view_open(MODEL, &e);
    struct engine *g = v ? load_engine(v, &o, &e) : NULL;
    bool ok = g && eval_score_text(g, TEXT, CTX, &s, &e);
    engine_free(g);
    view_free(v);
    listened();
    golden_ok(ok, &e, TEXT);
    was_streamed(streamed);
    return s;
}

/* Rounding may be another: in memory the engine keeps some weights in an order of its own, where it multiplies by itself. */
static void test_eval(void **state)
{
    (void)state;
    struct eval_score a = eval(0, false), b = eval(MEMORY, true);
    assert_true(a.n_windows > 5 && a.n_windows == b.n_windows && a.n_scored == b.n_scored);
    assert_true(golden_near(b.nll, a.nll, 1e-3));
}

/* ---- sweep ---- */

static struct sweep_result sweep(const char *stats, uint64_t memory)
{
    static const double ratios[] = {0.25, 0.5};
    static const char *const texts[] = {TEXT};
    const struct criterion *criterion = criterion_default();
    struct err e = {0};
    struct sweep_opts o = {.model = MODEL,
                           .stats = stats,
                           .texts = texts,
                           .n_texts = 1,
                           .n_ctx = CTX,
                           .ratios = ratios,
                           .n_ratios = 2,
                           .criteria = &criterion,
                           .n_criteria = 1,
                           .engine = engine(memory)};
    struct sweep_result r;
    listen();
    bool ok = sweep_run(&o, &r, &e);
    listened();
    golden_ok(ok, &e, "sweep");
    was_streamed(memory != 0);
    return r;
}

static void test_sweep(void **state)
{
    (void)state;
    const char *text = TEXT;
    struct profile_opts o = profile(MODEL, &text, "stats.json", 0);
    stats_free(golden_run(&o, NULL));
    struct sweep_result a = sweep(golden_tmp("stats.json"), 0), b = sweep(golden_tmp("stats.json"), MEMORY);
    assert_int_equal(a.n_points, 2);
    assert_int_equal(b.n_points, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct eval_against *x = &a.points[i].r, *y = &b.points[i].r;
        assert_true(x->kl_mean > 1e-3 && x->score.n_scored == y->score.n_scored);
        assert_true(golden_near(y->score.nll, x->score.nll, 1e-3) &&
                    golden_near(y->base.nll, x->base.nll, 1e-3));
        assert_true(golden_near(y->kl_mean, x->kl_mean, 2e-2));
    }
    sweep_result_clear(&a);
    sweep_result_clear(&b);
}

/* ---- what is left for weights ---- */

/* In a profile, which has no logits. */
static double left_without_logits(double *logits)
{
    struct err e = {0};
    const char *text = TEXT;
    struct profile_opts o = profile(MODEL, &text, "streamed.json", MEMORY);
    struct engine_opts vocab = o.engine;
    vocab.vocab_only = true;
    struct view *v = view_open(MODEL, &e);
    struct engine *g = v ? load_engine(v, &vocab, &e) : NULL;
    golden_ok(g != NULL, &e, MODEL);
    *logits = 2.0 * STEP * engine_n_vocab(g) * sizeof(float);
    engine_free(g);
    view_free(v);
    listen();
    stats_free(golden_run(&o, NULL));
    listened();
    was_streamed(true);
    return said.stay + said.window;
}

/* The engine has memory for the logits of a step only when they come, and a caller keeps as many: they are not given to weights. */
static void test_logits(void **state)
{
    (void)state;
    double logits, without = left_without_logits(&logits);
    (void)eval(MEMORY, true);
    assert_true(said.stay + said.window < without - 0.9 * logits);
    assert_null(strstr(said.text, "are in matrices larger"));
}

#define LARGEST (32 * 96 * 192 / 32 * 34) /* of the experts' matrices: q8_0 */

/* Memory for half of the largest matrix: those that are so large are read where they are mapped, and that is said. */
static void test_too_large(void **state)
{
    (void)state;
    struct eval_score a = eval(MEMORY, true);
    double too_much = said.stay + said.window - LARGEST / 2;
    assert_true(too_much > 0);
    struct eval_score b = eval(MEMORY - (uint64_t)(too_much * 8 / 7), false);
    assert_non_null(strstr(said.text, "12.1 MB of 12.1 MB of weights are in matrices larger than the "));
    assert_true(golden_near(b.nll, a.nll, 1e-3));
}

/* ---- a block that predicts further tokens ---- */

#define WIDE 1024 /* of an expert, for 32: the others are zeros, which add nothing */

static bool is_expert(const char *name)
{
    return strstr(name, "_exps.weight") || strstr(name, "_shexp.weight");
}

/* Rows of `row` numbers, `rows` of them for each of n experts, into larger ones. */
static void put_wide(struct buf *b, const float *from, const uint64_t *ne, const uint64_t *wide)
{
    uint64_t n = ne[0] * ne[1] * ne[2], many = wide[0] * wide[1] * wide[2];
    float *to = xcalloc(many, sizeof *to);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t x = i % ne[0], y = i / ne[0] % ne[1], z = i / ne[0] / ne[1];
        to[(z * wide[1] + y) * wide[0] + x] = from[i];
    }
    buf_add(b, to, many * sizeof *to);
    free(to);
}

/* The same model with wider experts: 22 MB, which compute what they computed. */
static void make_wide(const char *path)
{
    struct err e = {0};
    struct gg_file *f = gg_open(GLM "model.gguf", &e);
    golden_ok(f != NULL, &e, GLM);
    const struct gg_part *p = &f->parts[0];
    struct buf b = {0}, data = {0};
    uint64_t old = 0;
    assert_true(gg_key_u64(gg_find(f, "glm4moe.expert_feed_forward_length"), &old) && old < WIDE);
    gg_put_start(&b, p->version, p->n_tensors, p->n_keys);
    for (uint64_t i = 0; i < p->n_keys; i++) {
        if (!strcmp(p->keys[i].name, "glm4moe.expert_feed_forward_length"))
            gg_put_uint(&b, &p->keys[i], WIDE, &e);
        else
            gg_put_raw(&b, &p->keys[i]);
    }
    for (uint64_t i = 0; i < f->n_tensors; i++) {
        const struct gg_tensor *t = &f->tensors[i];
        uint64_t ne[4];
        memcpy(ne, t->ne, sizeof ne);
        for (int d = 0; d < 2; d++)
            ne[d] = is_expert(t->name) && ne[d] == old ? WIDE : ne[d];
        gg_put_tensor(&b, t->name, t->n_dims, ne, t->type, data.n);
        char *bytes = xmalloc(t->bytes);
        golden_ok(file_pread(p->fd, bytes, t->bytes, t->off, &e), &e, t->name);
        if (is_expert(t->name))
            put_wide(&data, (const float *)(const void *)bytes, t->ne, ne);
        else
            buf_add(&data, bytes, t->bytes);
        free(bytes);
        while (data.n % p->alignment)
            buf_char(&data, 0);
    }
    gg_pad(&b, p->alignment);
    buf_add(&b, data.s, data.n);
    golden_ok(e.code == ERR_NONE && file_write_atomic(path, b.s, b.n, false, &e), &e, path);
    buf_clear(&b);
    buf_clear(&data);
    gg_free(f);
}

static void test_mtp(void **state)
{
    (void)state;
    static const struct golden_tol tol = {.sum = 1e-5, .square = 1e-5, .max = 1e-5};
    const char *texts = GLM "texts.jsonl", *wide = golden_tmp("wide.gguf");
    make_wide(wide);
    struct profile_opts o = profile(GLM "model.gguf", &texts, "fits.json", 0);
    struct stats *a = golden_run(&o, NULL);
    o = profile(wide, &texts, "wide.json", 14u << 20);
    listen();
    struct stats *b = golden_run(&o, NULL);
    listened();
    was_streamed(true);
    assert_non_null(strstr(said.text,
                           "no statistics of the MTP block, which will follow the last layer: the model is "
                           "larger than memory"));
    assert_int_equal(a->n_mtp, 1);
    assert_int_equal(b->n_mtp, 0);
    a->n_mtp = 0; /* the layers alone */
    golden_same_stats(a, b, &tol, "streamed");
    a->n_mtp = 1;
    stats_free(a);
    stats_free(b);
}

int main(int argc, char **argv)
{
    (void)argc;
    engine_begin(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eval),      cmocka_unit_test(test_sweep), cmocka_unit_test(test_logits),
        cmocka_unit_test(test_too_large), cmocka_unit_test(test_mtp),
    };
    return cmocka_run_group_tests_name("streaming", tests, golden_setup, golden_teardown);
}
