/* test_ahead.c - weights that are streamed: what is read and when, that what is computed with is all there, and how many tokens a step
 * has. The file is a fake's here but in one test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/ahead.h"
#include "engine/step.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB  (1u << 20)
#define SIZE (24u * MIB) /* of a weight: three chunks */
#define N    10

static char *const base = (char *)(uintptr_t)(1u << 30); /* never touched */

/* ---- the file: each page begins with its address ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    uint32_t read[N * SIZE / MIB]; /* how often */
    uint64_t bytes;
    bool outside;          /* something was asked for that is no weight */
    _Atomic uint32_t fail; /* a weight that cannot be read, N: none */
    _Atomic useconds_t slow;
} file;

static bool is(void *ud, const char *p, size_t n)
{
    (void)ud, (void)n;
    return p < base + N * SIZE;
}

static bool read_file(void *ud, const char *p, size_t n, char *dst)
{
    size_t at = (size_t)(p - base);
    (void)ud;
    usleep(file.slow);
    pthread_mutex_lock(&lock);
    bool ok = p >= base && at + n <= (size_t)N * SIZE && at % MIB == 0 && n % MIB == 0;
    file.outside = file.outside || !ok;
    for (size_t i = 0; ok && i < n / MIB; i++)
        file.read[at / MIB + i]++;
    file.bytes += n;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; ok && i < n; i += AHEAD_PAGE) {
        const char *page = p + i;
        memcpy(dst + i, &page, sizeof page);
    }
    return ok && at / SIZE != file.fail;
}

static void forget(void *ud, const char *p, size_t n)
{
    (void)ud, (void)p, (void)n;
}

static bool is_scattered;

static void scattered(void *ud, bool yes)
{
    (void)ud;
    is_scattered = yes;
}

static const struct ahead_io io = {is, read_file, forget, scattered, NULL};

static uint64_t bytes_read(void)
{
    pthread_mutex_lock(&lock);
    uint64_t n = file.bytes;
    pthread_mutex_unlock(&lock);
    return n;
}

static uint32_t times_read(uint32_t weight)
{
    pthread_mutex_lock(&lock);
    uint32_t n = file.read[weight * (SIZE / MIB)];
    pthread_mutex_unlock(&lock);
    return n;
}

/* The threads are done when there is no more room: waits until nothing has changed for a while. */
static void settle(void)
{
    for (uint64_t last = UINT64_MAX; last != bytes_read();) {
        last = bytes_read();
        usleep(20000);
    }
}

static struct ahead *begin(uint64_t budget)
{
    struct ahead *a = ahead_new(&io);
    memset(&file, 0, sizeof file);
    file.fail = N;
    for (int twice = 0; twice < 2; twice++)
        for (uint32_t i = 0; i < N; i++)
            assert_true(ahead_learn(a, base + i * SIZE, SIZE));
    assert_false(ahead_learn(a, base + N * SIZE, SIZE));     /* not a file's */
    assert_false(ahead_learn(a, base + 1, AHEAD_LEAST - 1)); /* small */
    ahead_start(a, budget);
    return a;
}

/* All of it, where it is said to be. */
static void holds(const char *bytes, uint32_t i)
{
    for (size_t k = 0; k < SIZE; k += AHEAD_PAGE) {
        const char *page;
        memcpy(&page, bytes + k, sizeof page);
        assert_ptr_equal(page, base + i * SIZE + k);
    }
}

static void use(struct ahead *a, uint32_t i)
{
    const char *bytes = ahead_use(a, base + i * SIZE);
    assert_non_null(bytes);
    holds(bytes, i);
}

static void use_all(struct ahead *a, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        use(a, i);
        ahead_done(a);
    }
}

static void end(struct ahead *a)
{
    ahead_free(a);
    assert_false(file.outside);
}

/* ---- tests ---- */

static void test_steps(void **state)
{
    (void)state;
    const uint64_t budget = 5 * SIZE; /* of ten */
    struct ahead_plan p;
    struct ahead *a = begin(budget);
    ahead_plan(a, &p);
    assert_true(is_scattered && p.bytes == (uint64_t)N * SIZE && p.stays == 2 * SIZE && p.window == 3 * SIZE);
    for (uint32_t step = 1; step <= 3; step++) {
        use_all(a, N);
        settle();
        /* Of each weight either all stays and is read once, or it is read in each step; the first ones of the next are there. */
        uint32_t kept = 0, ahead = 0, each = 0;
        for (uint32_t i = 0; i < N; i++) {
            kept += times_read(i) == 1;
            each += times_read(i) == step;
            ahead += times_read(i) == step + 1;
        }
        if (step > 1)
            assert_true(kept == 2 && each == N - 5 && ahead == 3);
        assert_true(times_read(0) == step + 1 && times_read(N - 1) == 1);
    }
    ahead_plan(a, &p);
    assert_true(p.fetched == bytes_read() && bytes_read() == (2 + 3 * (N - 2) + 3) * (uint64_t)SIZE);
    end(a);
}

static void test_all_fit(void **state)
{
    (void)state;
    struct ahead *a = begin(10ull * SIZE);
    use_all(a, N);
    use_all(a, N);
    settle();
    assert_true(bytes_read() == (uint64_t)N * SIZE && is_scattered);
    end(a);
}

/* A step that ends early is what the next ones are like. */
static void test_ends_early(void **state)
{
    (void)state;
    struct ahead *a = begin(4 * SIZE);
    use_all(a, 6);
    settle();
    uint32_t before = times_read(7);
    use_all(a, 6);
    use_all(a, 6);
    settle();
    assert_int_equal(times_read(7), before);
    assert_int_equal(times_read(0), 4);
    /* and one that goes further again is not left waiting */
    use_all(a, N);
    use_all(a, N);
    end(a);
}

/* Other orders, the same weight twice, several before they are computed: slower, never stuck, never other bytes. */
static void test_odd_orders(void **state)
{
    (void)state;
    static const uint32_t orders[][N] = {
        {0, 2, 1, 3, 4, 4, 9, 8, 7, 6}, {0, 9, 1, 2, 3, 4, 5, 6, 7, 8}, {0, 0, 0, 5, 5, 5, 9, 9, 9, 9}};
    struct ahead *a = begin(3 * SIZE);
    assert_null(ahead_use(a, base + 1));
    for (int round = 0; round < 3; round++)
        for (uint32_t o = 0; o < 3; o++)
            for (uint32_t i = 0; i < N; i++) {
                use(a, orders[o][i]);
                if (i % 3 != 1)
                    ahead_done(a);
            }
    /* more at once than there is room for: the one too many is used where it is mapped */
    ahead_done(a);
    const char *held[3];
    for (uint32_t i = 0; i < 3; i++)
        assert_non_null(held[i] = ahead_use(a, base + i * SIZE));
    assert_null(ahead_use(a, base + 5 * SIZE));
    for (uint32_t i = 0; i < 3; i++)
        holds(held[i], i);
    ahead_done(a);
    use(a, 5);
    end(a);
}

/* Less than one weight, or a weight that cannot be read: the others are not held up. */
static void test_cannot(void **state)
{
    (void)state;
    struct ahead *a = begin(SIZE / 2);
    assert_false(is_scattered);
    for (uint32_t i = 0; i < N; i++) {
        assert_null(ahead_use(a, base + i * SIZE));
        ahead_done(a);
    }
    ahead_learn(a, base + (N - 1) * SIZE + MIB, MIB); /* while the threads are at work */
    ahead_start(a, 4 * SIZE);                         /* again, with more */
    use_all(a, N);
    file.fail = 3;
    for (int step = 0; step < 2; step++) {
        use_all(a, 3);
        if (step) /* it was there already */
            assert_null(ahead_use(a, base + 3 * SIZE));
        else
            (void)ahead_use(a, base + 3 * SIZE);
        for (uint32_t i = 4; i < N; i++) {
            use(a, i);
            ahead_done(a);
        }
    }
    end(a);
    ahead_free(NULL);
}

/* A disk that is slow, and steps that are given up: what is on its way to memory that is needed for another never gets there. */
static void test_slow(void **state)
{
    (void)state;
    struct ahead *a = begin(3 * SIZE);
    file.slow = 2000;
    for (uint32_t i = 0; i < 3 * N; i++) {
        use(a, i * 7 % N);
        ahead_done(a);
    }
    end(a);
}

/* Files and other memory of this process: bytes of the file behind a mapping, wherever it begins; nothing of what is no file's,
 * is private, or has become another file. */
static void test_mapped(void **state)
{
    (void)state;
    const size_t n = 3u * MIB + 777;
    char path[] = "ahead-XXXXXX", *bytes = malloc(n);
    int fd = mkstemp(path);
    assert_true(fd >= 0 && bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    assert_true(write(fd, bytes, n) == (ssize_t)n);
    char *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0),
         *own = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(p != MAP_FAILED && own != MAP_FAILED);
    struct ahead *a = ahead_new(NULL);
    ahead_learn(a, bytes, n);
    ahead_learn(a, own, n);
    const char *small = ahead_keep(a, p + 5000, 1234);
    assert_true(small && (small < p || small >= p + n) && !memcmp(small, bytes + 5000, 1234));
    assert_true((small = ahead_keep(a, p + n - 3, 3)) && !memcmp(small, bytes + n - 3, 3));
    assert_null(ahead_keep(a, bytes, 1000));
    assert_null(ahead_keep(a, own, 1000));
    assert_null(ahead_keep(a, p, MIB));
    ahead_learn(a, p + 100, MIB);
    ahead_learn(a, p + MIB + 100, n - MIB - 100); /* to the file's end */
    ahead_start(a, 8u * MIB);
    for (int step = 0; step < 2; step++) {
        assert_null(ahead_use(a, bytes));
        assert_null(ahead_use(a, own));
        const char *got = ahead_use(a, p + 100);
        assert_true(got && got != p + 100 && !memcmp(got, bytes + 100, MIB));
        assert_true((got = ahead_use(a, p + MIB + 100)) && !memcmp(got, bytes + MIB + 100, n - MIB - 100));
        ahead_done(a);
    }
    ahead_free(a);
    a = ahead_new(NULL);
    assert_true(unlink(path) == 0);
    int other = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(other >= 0 && ftruncate(other, (off_t)n) == 0);
    ahead_learn(a, p, MIB);
    ahead_start(a, 8u * MIB);
    assert_null(ahead_use(a, p));
    ahead_free(a);
    for (size_t i = 0; i < n; i++)
        assert_true(p[i] == bytes[i] && own[i] == bytes[i]);
    munmap(p, n), munmap(own, n), close(fd), close(other), unlink(path), free(bytes);
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
    /* 12 s of reading, which 8 s may come to be, are worth 12 s * 2e11 / 4e8 = 6000 tokens of computing */
    assert_int_equal(step_choose(&f), 6144);
    f.disk = 4e9; /* a fast disk needs fewer */
    assert_int_equal(step_choose(&f), 1536);
    f.disk = 1e11; /* never fewer than usual */
    assert_int_equal(step_choose(&f), 512);
    f = some, f.masked = 1e-7; /* n (2 ms + 0.1 us n) = 12 s */
    assert_int_equal(step_choose(&f), 4864);
    f = some, f.n_tokens = 1500; /* not more than there are */
    assert_int_equal(step_choose(&f), 1536);
    f = some, f.memory = 400u << 20; /* half of it, at the 90 KiB that each of 2048 takes */
    assert_int_equal(step_choose(&f), 2048);
    f.largest = 100u << 20; /* 350 MiB less two and a half of them: 100 MiB */
    assert_int_equal(step_choose(&f), 1024);
    f.largest = 200u << 20;
    assert_int_equal(step_choose(&f), 512);
    f = some, f.disk = 1e10, f.window = 512; /* 600: two windows, not one and a part */
    assert_int_equal(step_choose(&f), 1024);
    f.window = 320; /* 640 */
    assert_int_equal(step_choose(&f), 768);
    f.window = 4000; /* none fits */
    assert_int_equal(step_choose(&f), 768);
    f = some, f.memory = 1; /* as if it did fit: the user has --ubatch-size */
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

static void test_share(void **state)
{
    (void)state;
    assert_int_equal(step_share(1000, 8e3, 8e3, 0), 1000); /* alone */
    assert_int_equal(step_share(1000, 2e3, 8e3, 0), 250);  /* two of 2,000 and 6,000 */
    assert_int_equal(step_share(1000, 6e3, 8e3, 0), 750);
    assert_int_equal(step_share(1000, 8e3, 8e3, 300),
                     963); /* the mapped one is small beside it: its share, not all of it */
    assert_int_equal(step_share(1000, 8e2, 8e2, 600), 571);
    assert_int_equal(step_share(1000, 8e2, 8e2, 300), 727);
    assert_int_equal(step_share(1000, 5e2, 9e2, 100), 500);
    assert_int_equal(step_share(1000, 0, 0, 600), 1000); /* all of it on a GPU */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),      cmocka_unit_test(test_all_fit), cmocka_unit_test(test_ends_early),
        cmocka_unit_test(test_odd_orders), cmocka_unit_test(test_cannot),  cmocka_unit_test(test_slow),
        cmocka_unit_test(test_mapped),     cmocka_unit_test(test_step),    cmocka_unit_test(test_step_cost),
        cmocka_unit_test(test_separate),   cmocka_unit_test(test_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
