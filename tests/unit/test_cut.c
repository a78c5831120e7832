/* test_cut.c - what goes out when a model is cut (src/model/cut.c), and that nothing is cut without being asked
 * (src/prune/prune.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gguf/gguf_file.h"
#include "prune/prune.h"
#include "tempdir.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define E 6 /* experts of the handmade model */

static void expect_err(struct err *e, const char *part)
{
    if (e->code != ERR_INPUT || !strstr(e->msg, part))
        fail_msg("'%s' expected, got %d: %s", part, e->code, e->msg);
    err_clear(e);
}

/* ---- a model of one block with experts, the second of two ---- */

struct tensor {
    const char *name;
    uint32_t n_dims;
    uint64_t ne[4];
};

static void put_count(struct buf *b, const char *arch, const char *key, uint32_t v)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", arch, key);
    gg_put_u32(b, name, v);
}

/* m.gguf; stray: the dense block has a tensor that is cut with experts. Floats are numbered through. */
static struct view *make_model(const char *arch, bool stray)
{
    static const struct tensor list[] = {
        {"blk.1.ffn_gate_inp.weight", 2, {4, E, 1, 1}},  {"blk.1.ffn_up_exps.weight", 3, {4, 8, E, 1}},
        {"blk.1.ffn_down_exps.weight", 3, {8, 4, E, 1}}, {"output_norm.weight", 1, {8, 1, 1, 1}},
        {"blk.0.exp_probs_b.bias", 1, {E, 1, 1, 1}},
    };
    uint64_t n = stray ? 5 : 4, off = 0;
    struct buf b = {0};
    gg_put_start(&b, 3, n, 4);
    gg_put_str(&b, "general.architecture", arch);
    put_count(&b, arch, "block_count", 2);
    put_count(&b, arch, "expert_count", E);
    put_count(&b, arch, "expert_used_count", 2);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t elements = list[i].ne[0] * list[i].ne[1] * list[i].ne[2];
        gg_put_tensor(&b, list[i].name, list[i].n_dims, list[i].ne, 0, off);
        off += gg_align(4 * elements, 32);
    }
    gg_pad(&b, 32);
    for (uint32_t i = 0; i < off / 4; i++)
        buf_u32le(&b, i);
    put_bytes("m.gguf", b.s, b.n);
    buf_clear(&b);
    struct err e = {0};
    struct view *v = view_open(at("m.gguf"), &e);
    if (!v)
        fail_msg("%s", e.msg);
    return v;
}

static struct plan *make_plan(const char *text)
{
    struct err e = {0};
    put("plan.json", text);
    struct plan *p = plan_load(at("plan.json"), &e);
    if (!p)
        fail_msg("%s", e.msg);
    return p;
}

#define PLAN "{\"schema\": \"reap.plan/1\", \"n_keep\": 4, \"keep\": {\"1\": [0, 2, 3, 5]}}"

/* ---- what goes out ---- */

static void test_ranges(void **state)
{
    (void)state;
    struct err e = {0};
    struct view *v = make_model("qwen3moe", false);
    struct plan *p = make_plan(PLAN);
    struct cut *c = cut_make(v, p, &(struct cut_opts){0}, &e);
    assert_non_null(c);
    assert_int_equal(c->n_tensors, 4);
    assert_int_equal(c->n_cut, 3);
    assert_int_equal(c->n_same, 1);
    assert_int_equal(c->n_gone, 0);
    assert_int_equal(c->bytes, cut_bytes_at(v, 4));
    assert_int_equal(c->bytes, cut_bytes(v, p));
    const struct cut_tensor *up = &c->tensors[1], *norm = &c->tensors[3];
    assert_string_equal(up->name, "blk.1.ffn_up_exps.weight");
    assert_int_equal(up->bytes, 4 * 4 * 8 * 4);
    assert_int_equal(cut_dim(c, up, 1), 8);
    assert_int_equal(cut_dim(c, up, 2), 4);
    static const struct cut_run runs[] = {{0, 1}, {2, 2}, {5, 1}};
    assert_int_equal(cut_n_ranges(up), 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct cut_range r = cut_range(c, up, i);
        assert_int_equal(r.off, up->from->off + runs[i].first * 128);
        assert_int_equal(r.bytes, runs[i].n * 128);
    }
    assert_int_equal(cut_n_ranges(norm), 1);
    assert_int_equal(cut_range(c, norm, 0).bytes, norm->from->bytes);
    assert_ptr_equal(c->tensors[0].layer, c->tensors[2].layer); /* shared, not copied */
    cut_free(c);
    plan_free(p);
    view_free(v);
}

/* Experts with tensors of their own are counted anew, in any layer, and files hold no more than they may. */
static void test_names(void **state)
{
    (void)state;
    struct err e = {0};
    struct view *v = view_open(TEST_DATA_DIR "/structural/mixtral", &e);
    struct plan *p = plan_load(TEST_DATA_DIR "/structural/mixtral/pruned/plan.json", &e);
    assert_true(v && p);
    struct cut_opts o = {.max_shard = 4000};
    struct cut *c = cut_make(v, p, &o, &e);
    assert_non_null(c);
    assert_true(c->n_gone > 0 && c->n_files > 1);
    assert_int_equal(c->n_same + c->n_cut, c->n_tensors);
    assert_int_equal(c->n_tensors + c->n_gone, v->n_tensors);
    uint64_t bytes = 0, n = 0;
    for (uint32_t f = 0; f < c->n_files; f++) {
        assert_int_equal(c->files[f].first, n);
        assert_true(c->files[f].n == 1 || c->files[f].bytes <= o.max_shard);
        bytes += c->files[f].bytes;
        n += c->files[f].n;
    }
    assert_int_equal(n, c->n_tensors);
    assert_int_equal(bytes, c->bytes);
    assert_int_equal(bytes, cut_bytes(v, p));
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        const struct cut_tensor *t = &c->tensors[i];
        if (t->from->expert < 0) {
            assert_string_equal(t->name, t->from->name);
            continue;
        }
        const uint32_t *keep = p->layers[t->from->layer].keep;
        unsigned long number = strtoul(t->name + t->from->number, NULL, 10);
        assert_memory_equal(t->name, t->from->name, t->from->number);
        assert_true(number < p->n_keep);
        assert_int_equal(keep[number], t->from->expert);
    }
    cut_free(c);
    plan_free(p);
    view_free(v);
}

/* Experts of unequal size (mixed quantisation): which of them stay decides the size, to the byte. */
static void test_unequal(void **state)
{
    (void)state;
    struct err e = {0};
    struct view *v = view_open(TEST_DATA_DIR "/structural/qwen3moe-nvfp4-modelopt", &e);
    struct plan *p = plan_load(TEST_DATA_DIR "/structural/qwen3moe-nvfp4-modelopt/pruned/plan.json", &e);
    struct prune_opts o = {.out = at("out")};
    struct prune_result r = {0};
    bool ok = v && p && prune_run(v, p, &o, &r, &e);
    struct view *w = ok ? view_open(o.out, &e) : NULL;
    if (!w)
        fail_msg("%s", e.msg);
    assert_int_not_equal(w->bytes, cut_bytes_at(v, p->n_keep));
    assert_int_equal(w->bytes, cut_bytes(v, p));
    view_free(w);
    prune_result_clear(&r);
    plan_free(p);
    view_free(v);
}

/* ---- what is refused ---- */

static void test_refused_model(void **state)
{
    (void)state;
    struct err e = {0};
    struct view *v = make_model("grovemoe", false);
    struct plan *p = make_plan(PLAN);
    struct prune_result r;
    struct prune_opts o = {.out = at("out.gguf")};
    assert_non_null(v->refusal);
    assert_false(prune_run(v, p, &o, &r, &e));
    expect_err(&e, "cannot be pruned: its chunk experts");
    assert_false(file_exists(at("out.gguf")));
    assert_false(file_exists(at("out.gguf.part")));
    prune_result_clear(&r);
    o.dry_run = true;
    assert_false(prune_run(v, p, &o, &r, &e));
    prune_result_clear(&r);
    plan_free(p);
    view_free(v);
}

/* Whoever did not ask whether the plan fits is told so as well. */
static void test_refused_plans(void **state)
{
    (void)state;
    static const struct {
        const char *keep, *words;
    } cases[] = {
        {"{\"0\": [0, 1, 2, 3]}", "layer 0 is not a layer with experts"},
        {"{\"1\": [0, 1, 2, 6]}", "expert 6 is out of range"},
        {"{\"1\": [0, 1, 2, 3], \"7\": [0, 1, 2, 3]}", "layer 7 is not a layer with experts"},
    };
    struct view *v = make_model("qwen3moe", false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        char text[200];
        snprintf(text, sizeof text, "{\"schema\": \"reap.plan/1\", \"n_keep\": 4, \"keep\": %s}",
                 cases[i].keep);
        struct plan *p = make_plan(text);
        assert_null(cut_make(v, p, &(struct cut_opts){0}, &e));
        expect_err(&e, cases[i].words);
        plan_free(p);
    }
    view_free(v);
}

static void test_refused_options(void **state)
{
    (void)state;
    struct err e = {0};
    struct view *v = make_model("qwen3moe", false);
    struct plan *p = make_plan(PLAN);
    assert_null(cut_make(v, p, &(struct cut_opts){.drop_mtp = true}, &e));
    expect_err(&e, "none to drop or keep");
    assert_null(cut_make(v, p, &(struct cut_opts){.merge = true, .max_shard = 1}, &e));
    expect_err(&e, "exclude each other");
    plan_free(p);
    view_free(v);
}

/* A tensor that is cut with the experts of a block that has none: there is no choice to follow. */
static void test_stray_tensor(void **state)
{
    (void)state;
    struct err e = {0};
    struct view *v = make_model("qwen3moe", true);
    struct plan *p = make_plan(PLAN);
    assert_null(cut_make(v, p, &(struct cut_opts){0}, &e));
    expect_err(&e, "'blk.0.exp_probs_b.bias' is cut with the experts of its block, but block 0 has none");
    plan_free(p);
    view_free(v);
}

/* A model whose file lost its end after it was opened: the question is answered the same each time. */
static void test_lost_routers(void **state)
{
    (void)state;
    struct err e = {0};
    struct view *v = make_model("qwen3moe", false);
    assert_int_equal(truncate(at("m.gguf"), 64), 0);
    for (int i = 0; i < 2; i++) {
        assert_false(view_hash(v, &e));
        assert_int_not_equal(e.code, ERR_NONE);
        err_clear(&e);
    }
    view_free(v);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ranges),        TEST(test_names),         TEST(test_unequal),
        TEST(test_refused_model), TEST(test_refused_plans), TEST(test_refused_options),
        TEST(test_stray_tensor),  TEST(test_lost_routers),
    };
    return cmocka_run_group_tests_name("cut", tests, NULL, NULL);
}
