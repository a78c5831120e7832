/* test_windows.c - src/corpus/windows.c without an engine: cutting and packing, as properties of samples of
 * random length (seeded). Token t of sample i is the number i * 10000 + t, so that a token in the wrong place
 * is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "corpus/windows.h"

#include <string.h>

static struct windows samples(const uint32_t *n, uint32_t n_samples)
{
    struct windows w = {.n_samples = n_samples};
    w.tokens = xcalloc(n_samples, sizeof *w.tokens);
    w.n_tokens = xcalloc(n_samples, sizeof *w.n_tokens);
    for (uint32_t i = 0; i < n_samples; i++) {
        w.n_tokens[i] = n[i];
        w.total += n[i];
        w.tokens[i] = xcalloc(n[i], sizeof **w.tokens);
        for (uint32_t t = 0; t < n[i]; t++)
            w.tokens[i][t] = (int32_t)(i * 10000 + t);
    }
    return w;
}

static struct windows random_samples(struct rng *r, uint32_t n_samples, uint32_t least, uint32_t most)
{
    uint32_t *n = xcalloc(n_samples, sizeof *n);
    for (uint32_t i = 0; i < n_samples; i++)
        n[i] = least + (uint32_t)rng_below(r, most - least + 1);
    struct windows w = samples(n, n_samples);
    free(n);
    return w;
}

static void cut(struct windows *w, uint32_t n_ctx)
{
    struct err e = {0};
    assert_true(windows_cut(w, n_ctx, &e));
    assert_int_equal(e.code, ERR_NONE);
}

/* Windows in the order of the samples; those of a long sample follow each other and leave nothing out. */
static void check_cut(const struct windows *w, uint32_t n_ctx)
{
    uint32_t k = 0, longest = 0;
    for (uint32_t i = 0; i < w->n_samples; i++)
        for (uint32_t at = 0; at < w->n_tokens[i]; at += w->list[k - 1].n) {
            const struct window *x = &w->list[k++];
            assert_in_range(k, 1, w->n);
            assert_int_equal(x->sample, i);
            assert_int_equal(x->at, at);
            assert_in_range(x->n, 1, n_ctx);
            assert_true(x->n == n_ctx || at + x->n == w->n_tokens[i]); /* only the last one is short */
            for (uint32_t t = 0; t < x->n; t++)
                assert_int_equal(x->tok[t], i * 10000 + at + t);
            longest = x->n > longest ? x->n : longest;
        }
    assert_int_equal(k, w->n);
    assert_int_equal(w->longest, longest);
}

static void check_pack(const struct windows *w, uint32_t n_batch, uint32_t n_seqs, uint32_t n_groups)
{
    uint8_t *seen = xcalloc(w->n, 1);
    uint32_t at = 0, max_seqs = 0;
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < w->n_batches; i++) {
        const struct window_batch *b = &w->batches[i];
        uint32_t n = 0;
        assert_int_equal(b->first, at);
        assert_in_range(b->n, 1, n_seqs);
        for (uint32_t k = 0; k < b->n; k++) {
            uint32_t j = w->order[at++];
            assert_in_range(j, 0, w->n - 1);
            assert_int_equal(seen[j]++, 0);
            n += w->list[j].n;
            if (n_groups == 2)
                assert_int_equal(w->list[j].sample & 1, w->list[w->order[b->first]].sample & 1);
        }
        assert_int_equal(b->n_tokens, n);
        assert_true(n <= n_batch || b->n == 1);
        max_seqs = b->n > max_seqs ? b->n : max_seqs;
        tokens += n;
    }
    assert_int_equal(at, w->n); /* each window once, so each token once: check_cut */
    assert_true(tokens == w->total);
    assert_int_equal(w->max_seqs, max_seqs);
    free(seen);
}

static void expect_same_packing(const struct windows *a, const struct windows *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->n_batches, b->n_batches);
    assert_int_equal(a->max_seqs, b->max_seqs);
    assert_memory_equal(a->order, b->order, a->n * sizeof *a->order);
    assert_memory_equal(a->batches, b->batches, a->n_batches * sizeof *a->batches);
}

static void test_properties(void **state)
{
    (void)state;
    struct rng r = {2024};
    for (int round = 0; round < 200; round++) {
        uint32_t n = 1 + (uint32_t)rng_below(&r, round % 10 ? 40 : 2000);
        uint32_t most = 1 + (uint32_t)rng_below(&r, round % 3 ? 60 : 500);
        uint32_t n_ctx = 1 + (uint32_t)rng_below(&r, 300), n_batch = 1 + (uint32_t)rng_below(&r, 300);
        uint32_t n_seqs = 1 + (uint32_t)rng_below(&r, 12), n_groups = 1 + (uint32_t)rng_below(&r, 2);
        struct rng again = r;
        struct windows w = random_samples(&r, n, 1, most), v = random_samples(&again, n, 1, most);
        cut(&w, n_ctx);
        check_cut(&w, n_ctx);
        windows_pack(&w, n_batch, n_seqs, n_groups);
        check_pack(&w, n_batch, n_seqs, n_groups);

        cut(&v, n_ctx);
        windows_pack(&v, n_batch + 7, n_seqs + 1, 1); /* packing anew leaves nothing of the one before */
        windows_pack(&v, n_batch, n_seqs, n_groups);
        expect_same_packing(&w, &v);
        windows_clear(&w);
        windows_clear(&v);
    }
}

/* The packing goes by the lengths and the numbers given alone, not by what the tokens are or where they
 * lie. */
static void test_tokens_do_not_matter(void **state)
{
    (void)state;
    struct rng r = {8};
    struct windows w = random_samples(&r, 700, 1, 90), v = {.n_samples = w.n_samples, .total = w.total};
    v.tokens = xcalloc(v.n_samples, sizeof *v.tokens);
    v.n_tokens = xcalloc(v.n_samples, sizeof *v.n_tokens);
    for (uint32_t i = v.n_samples; i-- > 0;) {
        v.n_tokens[i] = w.n_tokens[i];
        v.tokens[i] = xcalloc(w.n_tokens[i], sizeof **v.tokens);
    }
    cut(&w, 64);
    cut(&v, 64);
    windows_pack(&w, 256, 8, 2);
    windows_pack(&v, 256, 8, 2);
    expect_same_packing(&w, &v);
    windows_clear(&w);
    windows_clear(&v);
}

static void test_long_sample_continues(void **state)
{
    (void)state;
    static const struct {
        uint32_t n, n_ctx, windows, last;
    } cases[] = {
        {1, 1, 1, 1},     {7, 1, 7, 1},       {99, 100, 1, 99},  {100, 100, 1, 100},
        {101, 100, 2, 1}, {200, 100, 2, 100}, {250, 100, 3, 50}, {5, UINT32_MAX / 2, 1, 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t *tok = xcalloc(cases[i].n, sizeof *tok);
        for (uint32_t t = 0; t < cases[i].n; t++)
            tok[t] = (int32_t)t;
        struct windows w;
        windows_from_tokens(&w, tok, cases[i].n);
        assert_int_equal(w.n_samples, 1);
        assert_true(w.total == cases[i].n);
        cut(&w, cases[i].n_ctx);
        check_cut(&w, cases[i].n_ctx);
        assert_int_equal(w.n, cases[i].windows);
        assert_int_equal(w.list[w.n - 1].n, cases[i].last);
        assert_ptr_equal(w.list[0].tok, tok); /* borrowed, not copied */
        windows_pack(&w, 64, 4, 1);
        check_pack(&w, 64, 4, 1);
        windows_clear(&w);
        assert_null(w.tokens);
    }
}

/* A window that is longer than the batch gets one of its own, and a batch is never padded for it. */
static void test_longer_than_batch(void **state)
{
    (void)state;
    static const uint32_t n[] = {10, 150, 100, 90, 101};
    struct windows w = samples(n, 5);
    cut(&w, 1000);
    windows_pack(&w, 100, 4, 1);
    check_pack(&w, 100, 4, 1);
    static const uint32_t want[] = {150, 101, 100, 100}; /* 90 + 10 */
    assert_int_equal(w.n_batches, 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(w.batches[i].n_tokens, want[i]);
    assert_int_equal(w.max_seqs, 2);
    windows_clear(&w);
}

/* A memory for each sequence costs a pass for each length, unless a batch is one window. */
static void test_passes(void **state)
{
    (void)state;
    static const uint32_t n[] = {10, 150, 100, 90, 101}, equal[] = {50, 30, 30, 50, 30};
    struct windows w = samples(n, 5), v = samples(equal, 5);
    cut(&w, 1000);
    windows_pack(&w, 100, 4, 1);
    assert_int_equal(windows_passes(&w, 100, false), 2 + 2 + 1 + 1);
    assert_int_equal(windows_passes(&w, 100, true), 2 + 2 + 1 + 2);
    windows_clear(&w);
    cut(&v, 1000);
    windows_pack(&v, 100, 4, 1);
    assert_int_equal(windows_passes(&v, 100, false), 2);
    assert_int_equal(windows_passes(&v, 100, true), 2);
    windows_clear(&v);
}

static void test_no_samples(void **state)
{
    (void)state;
    struct windows w = {0};
    cut(&w, 10);
    windows_pack(&w, 10, 1, 2);
    assert_int_equal(w.n, 0);
    assert_int_equal(w.n_batches, 0);
    windows_clear(&w);
}

/* Share of the room in the batches that holds tokens. */
static double fill(struct windows *w, uint32_t n_batch, uint32_t n_seqs, uint32_t n_groups)
{
    windows_pack(w, n_batch, n_seqs, n_groups);
    check_pack(w, n_batch, n_seqs, n_groups);
    return (double)w->total / ((double)w->n_batches * n_batch);
}

static void test_fill(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rng r = {seed};
        struct windows w = random_samples(&r, 1000 + 300 * (uint32_t)seed, 64, 200);
        cut(&w, 512);
        for (uint32_t groups = 1; groups <= 2; groups++) {
            double share = fill(&w, 512, 8, groups);
            if (share <= 0.85)
                fail_msg("seed %d, %u groups: batches are full to %.3f", (int)seed, groups, share);
        }
        windows_clear(&w);
    }
}

/* Parity costs at most one batch per block of windows that are packed together, and each block is a fair
 * sample: the first half of the batches holds about half of the tokens of each parity. */
static void test_groups_are_mixed(void **state)
{
    (void)state;
    struct rng r = {77};
    struct windows w = random_samples(&r, 8000, 10, 100);
    cut(&w, 128);
    windows_pack(&w, 256, 16, 2);
    check_pack(&w, 256, 16, 2);
    double n[2] = {0}, early[2] = {0};
    for (uint32_t i = 0; i < w.n_batches; i++) {
        uint32_t g = w.list[w.order[w.batches[i].first]].sample & 1;
        n[g] += w.batches[i].n_tokens;
        if (i < w.n_batches / 2)
            early[g] += w.batches[i].n_tokens;
    }
    for (int g = 0; g < 2; g++)
        assert_true(early[g] / n[g] > 0.4 && early[g] / n[g] < 0.6);
    windows_clear(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_tokens_do_not_matter),
        cmocka_unit_test(test_long_sample_continues),
        cmocka_unit_test(test_longer_than_batch),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_no_samples),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_groups_are_mixed),
    };
    return cmocka_run_group_tests_name("windows", tests, NULL, NULL);
}
