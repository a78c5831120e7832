/* fuzz_sweep_state.c - any bytes as the state that a sweep goes on from (sweep --state).
 *
 * Read exactly when there is no error; then it is within the sweep, its sums are numbers, and what is saved of it
 * reads the same. */
#include "fuzz.h"
#include "json_mutator.h"
#include "sweep/sweep_part.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N_TEXTS 2
#define N_TYPES 2
#define N_PLANS 2
#define N       (N_TYPES * N_PLANS)

static char dir[64], saved[96];

static void clean_up(void)
{
    unlink(saved);
    rmdir(dir);
}

/* Of a model as it is and in one type, each under two plans, over two texts; the key is "k". */
struct sweep {
    struct sweep_opts o;
    struct sweep_result r;
    struct sweep_point points[N];
    struct against_sums part[N];
    struct sweep_windows cut[N];
    struct sweep_job j;
};

static void begin(struct sweep *s, const char *state)
{
    memset(s, 0, sizeof *s);
    s->o = (struct sweep_opts){.n_texts = N_TEXTS, .n_types = N_TYPES - 1, .state = state};
    s->r = (struct sweep_result){.points = s->points, .n_points = N};
    for (uint32_t i = N_PLANS; i < N; i++)
        s->points[i].type = "q8_0";
    s->j = (struct sweep_job){.o = &s->o,
                              .r = &s->r,
                              .key = "k",
                              .n_types = N_TYPES,
                              .n_plans = N_PLANS,
                              .part = s->part,
                              .cut = s->cut};
}

static void end(struct sweep *s)
{
    for (uint32_t i = 0; i < N; i++) {
        free(s->points[i].window_kl);
        free(s->cut[i].kl);
    }
}

static void check_sums(const struct against_sums *s)
{
    MUST(s->same_top <= s->n && isfinite(s->nll) && isfinite(s->kl) && isfinite(s->kl2));
}

static void same_windows(const double *a, uint32_t n, const double *b, uint32_t m)
{
    MUST(n == m && (!n || !memcmp(a, b, n * sizeof *a)));
}

static void check_again(const struct sweep *s)
{
    struct sweep again;
    struct err e = {0};
    struct sweep_opts o = s->o;
    struct sweep_job j = s->j;
    o.state = saved;
    j.o = &o;
    MUST(sweep_state_save(&j, &e));
    begin(&again, saved);
    MUST(sweep_state_load(&again.j, &e));
    MUST(again.j.step == j.step && again.j.batches == j.batches && !again.r.no_windows);
    for (uint32_t i = 0; i < N; i++) {
        const struct sweep_point *p = &s->points[i], *q = &again.points[i];
        MUST(p->sums.n == q->sums.n && p->sums.kl == q->sums.kl && p->bytes == q->bytes);
        same_windows(p->window_kl, p->n_windows, q->window_kl, q->n_windows);
        same_windows(s->cut[i].kl, s->cut[i].n, again.cut[i].kl, again.cut[i].n);
    }
    end(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sweep s;
    struct err e = {0};
    char path[64];
    if (fuzz_dir(dir, clean_up))
        snprintf(saved, sizeof saved, "%s/state.json", dir);
    int fd = fuzz_file(data, size, path);
    begin(&s, path);
    bool ok = sweep_state_load(&s.j, &e);
    close(fd);
    fuzz_told(ok, &e);
    if (ok) {
        MUST(s.j.step <= N_TEXTS * N_TYPES && (s.j.step < N_TEXTS * N_TYPES || !s.j.batches));
        for (uint32_t i = 0; i < N; i++) {
            check_sums(&s.points[i].sums);
            check_sums(&s.part[i]);
        }
        check_again(&s);
    }
    end(&s);
    return 0;
}
