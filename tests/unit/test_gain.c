/* test_gain.c - one gain per layer (src/model/gain.c): a plan with gains is the same thing as a mask and as a file
 * (ffn_down_exps.scale), in every family of tests/data/families whose graph applies it. The file itself, what prune and verify
 * make of it: cli/gain.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "convert/load.h"
#include "eval/plan_mask.h"
#include "families.h"
#include "model/gain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_TOKENS 24

static struct engine *open_engine(struct view *v)
{
    struct err e = {0};
    struct engine_opts o = golden_engine();
    struct engine *g = load_engine(v, &o, &e);
    golden_ok(g != NULL, &e, v->path);
    return g;
}

/* Logits of all tokens, under the mask that is set. */
static float *logits_of(struct engine *g)
{
    struct err e = {0};
    int32_t token[N_TOKENS], pos[N_TOKENS], seq[N_TOKENS] = {0};
    size_t vocab = engine_n_vocab(g);
    float *all = calloc(N_TOKENS * vocab, sizeof *all);
    const struct engine_run r = {.n_ctx = 64, .n_seq_max = 1, .want_logits = true};
    for (int i = 0; i < N_TOKENS; i++) {
        token[i] = 11 * i % 200;
        pos[i] = i;
    }
    golden_ok(engine_start(g, &r, &e), &e, "start");
    golden_ok(engine_decode(g, &(struct engine_batch){N_TOKENS, token, pos, seq, NULL}, &e), &e, "decode");
    for (uint32_t i = 0; i < N_TOKENS; i++)
        memcpy(all + i * vocab, engine_logits(g, i), vocab * sizeof *all);
    return all;
}

static double farthest(const float *a, const float *b, size_t n)
{
    double d = 0;
    for (size_t i = 0; i < n; i++)
        d = fmax(d, fabs((double)a[i] - (double)b[i]));
    return d;
}

/* Gains that no layer shares, none of them a power of two. */
static void set_gains(struct plan *p)
{
    free(p->gain);
    p->gain = calloc(p->n_layers, sizeof *p->gain);
    for (uint32_t i = 0; i < p->n_layers; i++)
        p->gain[i] = 0.7f + 0.11f * (float)i;
}

static float *logits_of_file(const char *path)
{
    struct err e = {0};
    struct view *v = view_open(path, &e);
    golden_ok(v != NULL, &e, path);
    struct engine *g = open_engine(v);
    float *x = logits_of(g);
    engine_free(g);
    view_free(v);
    return x;
}

static char *prune(struct view *v, const struct plan *p, const char *name)
{
    struct err e = {0};
    struct prune_result r;
    char *path = strdup(golden_tmp(name));
    const struct prune_opts o = {.out = path, .force = true};
    golden_ok(prune_run(v, p, &o, &r, &e), &e, v->path);
    prune_result_clear(&r);
    return path;
}

/* The file that was written holds the parent's experts and these gains; without them it does not. */
static void check_verify(struct view *v, const char *path, const struct plan *p)
{
    struct err e = {0};
    struct verify_result r;
    struct view *w = view_open(path, &e);
    golden_ok(w != NULL && verify_run(v, w, p, NULL, &r, &e), &e, "verify");
    if (r.n_diff)
        fail_msg("%s", json_string_value(json_array_get(r.diff, 0)));
    assert_int_equal(r.n_gains, p->n_layers);
    verify_result_clear(&r);
    struct plan without = *p;
    without.gain = NULL;
    golden_ok(verify_run(v, w, &without, NULL, &r, &e), &e, "verify");
    assert_int_equal(r.n_diff, p->n_layers);
    verify_result_clear(&r);
    view_free(w);
}

/* Gains into a file that has them already are multiplied. */
static void check_again(const char *path, struct plan *p)
{
    struct err e = {0};
    struct view *w = view_open(path, &e), *x;
    golden_ok(w != NULL, &e, path);
    struct plan *all = plan_new(p->n_layers, p->n_keep);
    for (uint32_t i = 0; i < p->n_layers; i++) {
        all->layers[i].il = p->layers[i].il;
        for (uint32_t k = 0; k < p->n_keep; k++)
            all->layers[i].keep[k] = k;
    }
    set_gains(all);
    char *again = prune(w, all, "again.gguf");
    golden_ok((x = view_open(again, &e)) != NULL, &e, again);
    for (uint32_t i = 0; i < p->n_layers; i++) {
        char name[64];
        float values[64];
        snprintf(name, sizeof name, "blk.%u.ffn_down_exps.scale", p->layers[i].il);
        const struct view_tensor *t = view_find(x, name);
        assert_non_null(t);
        assert_int_equal(t->n_elements, p->n_keep);
        golden_ok(view_read(x, t, values, t->bytes, t->off, &e), &e, name);
        for (uint32_t k = 0; k < p->n_keep; k++)
            assert_true(values[k] == p->gain[i] * all->gain[i]);
    }
    assert_int_equal(x->n_tensors, w->n_tensors);
    struct verify_result r;
    golden_ok(verify_run(w, x, all, NULL, &r, &e), &e, "verify");
    assert_int_equal(r.n_diff, 0);
    assert_int_equal(r.n_gains, p->n_layers);
    verify_result_clear(&r);
    plan_free(all);
    view_free(w);
    view_free(x);
    free(again);
}

static uint32_t n_scaled;

static void test_family(void **state)
{
    const struct family_case *f = *state;
    struct err e = {0};
    struct view *v = family_view(family_file(f, "model.gguf"));
    struct plan *p = eval_plan(family_file(f, "plan.json"), v, false, &e);
    golden_ok(p != NULL, &e, f->name);
    set_gains(p);
    if (!v->family->down_scale) {
        assert_null(cut_make(v, p, &(struct cut_opts){0}, &e));
        assert_non_null(strstr(e.msg, "does not apply ffn_down_exps.scale"));
    } else {
        n_scaled++;
        struct engine *g = open_engine(v);
        size_t n = (size_t)N_TOKENS * engine_n_vocab(g);
        golden_ok(eval_mask(g, v, p, &e), &e, f->name);
        float *masked = logits_of(g), *plain;
        char *path = prune(v, p, "gain.gguf");
        float *cut = logits_of_file(path);
        double d = farthest(masked, cut, n);
        if (!(d < 2e-5)) /* 0 on one machine; the order of additions may differ */
            fail_msg("%s: logits differ by %g", f->name, d);
        float *gain = p->gain;
        p->gain = NULL;
        golden_ok(eval_mask(g, v, p, &e), &e, f->name);
        plain = logits_of(g);
        p->gain = gain;
        if (!((d = farthest(masked, plain, n)) > 1e-3))
            fail_msg("%s: the gains change logits by %g only", f->name, d);
        check_verify(v, path, p);
        check_again(path, p);
        engine_free(g);
        free(masked);
        free(plain);
        free(cut);
        free(path);
    }
    plan_free(p);
    view_free(v);
}

int main(int argc, char **argv)
{
    (void)argc;
    engine_begin(argv);
    int failed = family_run("gain", test_family);
    if (n_scaled < 3) { /* qwen3moe, mixtral, nemotron_h */
        fprintf(stderr, "%u families with gains\n", n_scaled);
        failed++;
    }
    return failed;
}
