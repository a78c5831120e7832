/* test_ahead.c - weights that are streamed: which ranges are asked for and let go of, and how many tokens a step has. Pages are a
 * fake's here: a table of what is there, made by what the threads ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/ahead.h"
#include "engine/step.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB  (1u << 20)
#define SIZE (24u * MIB) /* of a weight: three chunks */
#define N    10

static char *const base = (char *)(uintptr_t)(1u << 30); /* never touched */

/* ---- pages ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool there[N * SIZE / MIB];
    uint64_t fetched, held, most; /* bytes asked for; there now, and at most */
    bool outside;                 /* something was asked for that is no weight */
} pages;

static void set(const char *p, size_t n, bool there)
{
    pthread_mutex_lock(&lock);
    if (p < base || p + n > base + N * SIZE || (p - base) % MIB || n % MIB)
        pages.outside = true;
    else
        for (size_t i = 0; i < n / MIB; i++) {
            bool *x = &pages.there[(size_t)(p - base) / MIB + i];
            pages.fetched += there && !*x ? MIB : 0;
            pages.held += there && !*x ? MIB : 0;
            pages.held -= !there && *x ? MIB : 0;
            *x = there;
        }
    pages.most = pages.held > pages.most ? pages.held : pages.most;
    pthread_mutex_unlock(&lock);
}

static bool mapped(void *ud, const char *p, size_t n)
{
    (void)ud, (void)n;
    return p < base + N * SIZE;
}

static void fetch(void *ud, char *p, size_t n)
{
    (void)ud;
    set(p, n, true);
}

static void drop(void *ud, char *p, size_t n)
{
    (void)ud;
    set(p, n, false);
}

static const struct ahead_io io = {mapped, fetch, drop, NULL};

static uint64_t there(uint32_t weight)
{
    uint64_t n = 0;
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < SIZE / MIB; i++)
        n += pages.there[weight * (SIZE / MIB) + i] ? MIB : 0;
    pthread_mutex_unlock(&lock);
    return n;
}

static uint64_t held(void)
{
    pthread_mutex_lock(&lock);
    uint64_t n = pages.held;
    pthread_mutex_unlock(&lock);
    return n;
}

/* The threads are done when there is no more room: waits until nothing has changed for a while. */
static void settle(void)
{
    for (uint64_t last = UINT64_MAX; last != held();) {
        last = held();
        usleep(20000);
    }
}

static struct ahead *begin(uint64_t budget)
{
    struct ahead *a = ahead_new(&io);
    memset(&pages, 0, sizeof pages);
    for (int twice = 0; twice < 2; twice++)
        for (uint32_t i = 0; i < N; i++)
            ahead_learn(a, base + i * SIZE, SIZE);
    ahead_learn(a, base + N * SIZE, SIZE);     /* not a file's */
    ahead_learn(a, base + 1, AHEAD_LEAST - 1); /* small */
    ahead_start(a, budget);
    return a;
}

static void use(struct ahead *a, uint32_t i)
{
    assert_true(ahead_use(a, base + i * SIZE));
    assert_int_equal(there(i), SIZE); /* all of it, before it is computed with */
}

static void end(struct ahead *a)
{
    ahead_free(a);
    assert_false(pages.outside);
}

/* ---- tests ---- */

static void test_steps(void **state)
{
    (void)state;
    const uint64_t budget = 5 * SIZE; /* of ten */
    struct ahead_plan p;
    struct ahead *a = begin(budget);
    ahead_plan(a, &p);
    assert_true(p.bytes == (uint64_t)N * SIZE && p.window + p.stays == budget && p.window >= 2 * SIZE);
    for (int step = 0; step < 3; step++) {
        for (uint32_t i = 0; i < N; i++) {
            use(a, i);
            ahead_done(a);
        }
        settle();
        /* The first ones of the next step are there already, of the last ones what stays. */
        assert_int_equal(there(0), SIZE);
        assert_true(there(N - 2) < SIZE);
        assert_true(pages.most <= budget + SIZE);
    }
    /* What stays is read once, the others in each step, and those that are ahead once more. */
    uint64_t streamed = p.bytes - p.stays,
             most = p.stays + 3 * streamed + p.window + (uint64_t)N * AHEAD_CHUNK;
    assert_true(pages.fetched <= most);
    assert_true(pages.fetched >= p.bytes + 2 * (streamed - (uint64_t)N * AHEAD_CHUNK));
    end(a);
}

static void test_all_fit(void **state)
{
    (void)state;
    struct ahead *a = begin(20ull * SIZE);
    for (int step = 0; step < 2; step++)
        for (uint32_t i = 0; i < N; i++) {
            use(a, i);
            ahead_done(a);
        }
    settle();
    assert_true(pages.fetched == (uint64_t)N * SIZE && held() == (uint64_t)N * SIZE);
    end(a);
}

/* A step that ends early is what the next ones are like. */
static void test_ends_early(void **state)
{
    (void)state;
    struct ahead *a = begin(4 * SIZE);
    for (int step = 0; step < 3; step++)
        for (uint32_t i = 0; i < 6; i++) {
            use(a, i);
            ahead_done(a);
        }
    settle();
    for (uint32_t i = 6; i < N; i++)
        assert_true(there(i) <= AHEAD_CHUNK); /* what stays of it */
    assert_int_equal(there(0), SIZE);
    /* and one that goes further again is not left waiting */
    for (int step = 0; step < 2; step++)
        for (uint32_t i = 0; i < N; i++) {
            use(a, i);
            ahead_done(a);
        }
    end(a);
}

/* Other orders, the same weight twice, several before they are computed: slower, never stuck, never more than is used. */
static void test_odd_orders(void **state)
{
    (void)state;
    static const uint32_t orders[][N] = {
        {0, 2, 1, 3, 4, 4, 9, 8, 7, 6}, {0, 9, 1, 2, 3, 4, 5, 6, 7, 8}, {0, 0, 0, 5, 5, 5, 9, 9, 9, 9}};
    struct ahead *a = begin(3 * SIZE);
    assert_false(ahead_use(a, base + 1));
    for (int round = 0; round < 3; round++)
        for (uint32_t o = 0; o < 3; o++)
            for (uint32_t i = 0; i < N; i++) {
                assert_true(ahead_use(a, base + orders[o][i] * SIZE));
                if (i % 3 != 1)
                    ahead_done(a);
            }
    end(a);
    a = begin(SIZE / 2); /* less than one weight: whatever is there is read when it is touched */
    for (uint32_t i = 0; i < N; i++) {
        assert_true(ahead_use(a, base + i * SIZE));
        ahead_done(a);
    }
    ahead_learn(a, base + (N - 1) * SIZE + MIB, MIB); /* while the threads are at work */
    ahead_start(a, 4 * SIZE);                         /* again, with more */
    for (uint32_t i = 0; i < N; i++) {
        use(a, i);
        ahead_done(a);
    }
    end(a);
    ahead_free(NULL);
}

/* Memory that is no file's keeps what it holds. */
static void test_own_memory(void **state)
{
    (void)state;
    size_t n = 4u * MIB;
    char *p = malloc(n);
    assert_non_null(p);
    memset(p, 'x', n);
    struct ahead *a = ahead_new(NULL);
    ahead_learn(a, p, n);
    ahead_start(a, 0);
    assert_false(ahead_use(a, p));
    ahead_done(a);
    ahead_free(a);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], 'x');
    free(p);
}

/* ---- the step ---- */

static const struct step_facts some = {.weights = 8000000000,
                                       .memory = 2000000000,
                                       .disk = 1e9,
                                       .flops = 4e8,
                                       .peak = 2e11,
                                       .sizes = {512, 1024, 2048},
                                       .costs = {60u << 20, 100u << 20, 180u << 20},
                                       .usual = 512};

static void test_step(void **state)
{
    (void)state;
    struct step_facts f = some;
    /* 8 s of reading are worth 8 s * 2e11 / 4e8 = 4000 tokens of computing */
    assert_int_equal(step_choose(&f), 4096);
    f.disk = 4e9; /* a fast disk needs fewer */
    assert_int_equal(step_choose(&f), 1024);
    f.disk = 1e11; /* never fewer than usual */
    assert_int_equal(step_choose(&f), 512);
    f = some, f.masked = 1e-7; /* n (2 ms + 0.1 us n) = 8 s */
    assert_int_equal(step_choose(&f), 3584);
    f = some, f.n_tokens = 1500; /* not more than there are */
    assert_int_equal(step_choose(&f), 1536);
    f = some, f.memory = 400u << 20; /* half of it, at the 90 KiB that each of 2048 takes */
    assert_int_equal(step_choose(&f), 2048);
    f.memory = 1; /* as if it did fit: the user has --ubatch-size */
    assert_int_equal(step_choose(&f), 512);
    f = some, f.usual = 300; /* a GPU, or a disk that nobody knows */
    f.peak = 0;
    f.memory = UINT64_MAX;
    assert_int_equal(step_choose(&f), STEP_MOST);
    f = some, f.disk = 0, f.memory = UINT64_MAX;
    assert_int_equal(step_choose(&f), STEP_MOST);
}

static void test_separate(void **state)
{
    (void)state;
    struct step_facts f = some;
    f.n_tokens = 100000, f.masked = 1e-7; /* 2 ms for a token, 0.4 more with 4096 in a step; 8 s to read */
    static const uint64_t equal[2] = {25, 25}, some_more[2] = {25, 27}, many[2] = {25, 80};
    assert_true(step_separate(&f, 4096, 512, equal));
    assert_true(step_separate(&f, 4096, 512, some_more));
    assert_false(step_separate(&f, 4096, 512, many));
    assert_false(step_separate(&f, 4096, 3900, equal)); /* the windows are the step */
    f.disk = 0;
    assert_false(step_separate(&f, 4096, 512, equal));
    f = some, f.n_tokens = 100000, f.peak = 0;
    assert_false(step_separate(&f, 4096, 512, equal));
    memset(&f, 0, sizeof f); /* the model fits */
    assert_false(step_separate(&f, 512, 512, equal));
}

static void test_step_cost(void **state)
{
    (void)state;
    struct step_facts f = some;
    for (int i = 0; i < 3; i++) /* 7 + 3 n + n^2 / 1000 */
        f.costs[i] = 7000 + 3000ull * f.sizes[i] + (uint64_t)f.sizes[i] * f.sizes[i];
    for (uint32_t n = 512; n <= 65536; n *= 2)
        assert_true(fabs(step_cost(&f, n) - (7000 + 3000.0 * n + (double)n * n)) < 1);
    f.costs[2] = f.costs[1] = f.costs[0]; /* what cannot be is not believed: no step is free */
    assert_true(step_cost(&f, 65536) >= 32 * (double)f.costs[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),      cmocka_unit_test(test_all_fit),
        cmocka_unit_test(test_ends_early), cmocka_unit_test(test_odd_orders),
        cmocka_unit_test(test_own_memory), cmocka_unit_test(test_step),
        cmocka_unit_test(test_step_cost),  cmocka_unit_test(test_separate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
