/* ahead.c - see ahead.h. */
#include "engine/ahead.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/mapped.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define THREADS \
    2 /* more read no faster: the requests of one keep a disk busy, and two leave no gap between them */
#define HUGE (2u << 20)

struct weight {
    const char *p; /* where it is mapped */
    size_t n;
    const char *begin; /* its pages; the first and the last may be its neighbour's as well */
    size_t all;
    bool stays;       /* once it is there */
    bool failed;      /* not to be read; it is used where it is mapped */
    bool used;        /* in the last step, or in this one */
    uint32_t step;    /* the last one that used it */
    char *at;         /* room for its pages; NULL: none */
    size_t asked;     /* of `all`, by the threads */
    uint32_t reading; /* threads that do it now */
    bool in_use;      /* between ahead_use and ahead_done */
    bool unwanted;    /* to be dropped when nobody reads it any more */
};

struct ahead {
    struct ahead_io io;
    struct weight *weights; /* in the order of use */
    uint32_t n, cap;
    struct ahead_plan plan;
    char **kept;
    uint32_t n_kept, cap_kept;
    char *area, *window; /* what stays, and the window behind it */
    size_t area_n;

    pthread_t threads[THREADS];
    uint32_t n_threads;
    pthread_mutex_t lock; /* of all below, and of the states above */
    pthread_cond_t work, there;
    bool stop;
    uint32_t step;
    int64_t at;        /* the weight of this step that was used and is last in the order, -1: none */
    int64_t done;      /* weights below are done with in this step */
    int64_t waits_for; /* weight, -1: none, or it cannot come */
};

/* ---- begin and end ---- */

struct ahead *ahead_new(const struct ahead_io *io)
{
    struct ahead *a = xcalloc(1, sizeof *a);
    if (io)
        a->io = *io;
    else
        a->io = (struct ahead_io){mapped_is, mapped_read, mapped_forget, mapped_scattered, mapped_new()};
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->work, NULL);
    pthread_cond_init(&a->there, NULL);
    return a;
}

static void join(struct ahead *a)
{
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    pthread_cond_broadcast(&a->work);
    pthread_mutex_unlock(&a->lock);
    while (a->n_threads)
        pthread_join(a->threads[--a->n_threads], NULL);
    a->stop = false;
}

static void release(struct ahead *a)
{
    if (a->area)
        munmap(a->area, a->area_n);
    a->area = NULL;
}

void ahead_free(struct ahead *a)
{
    if (!a)
        return;
    join(a);
    release(a);
    if (a->io.is == mapped_is)
        mapped_free(a->io.ud);
    pthread_cond_destroy(&a->work);
    pthread_cond_destroy(&a->there);
    pthread_mutex_destroy(&a->lock);
    for (uint32_t i = 0; i < a->n_kept; i++)
        free(a->kept[i]);
    free(a->kept);
    free(a->weights);
    free(a);
}

/* ---- what there is ---- */

static int64_t find(const struct ahead *a, const void *p)
{
    for (uint32_t i = 0; i < a->n; i++) /* some hundreds, asked some hundred times a step of seconds */
        if (a->weights[i].p == p)
            return i;
    return -1;
}

static const char *page_of(const void *p)
{
    return (const char *)((uintptr_t)p / AHEAD_PAGE * AHEAD_PAGE);
}

const void *ahead_keep(struct ahead *a, const void *p, size_t n)
{
    const char *begin = page_of(p);
    size_t all = (size_t)((const char *)p - begin) + n;
    void *pages = NULL;
    if (n >= AHEAD_LEAST || !a->io.is(a->io.ud, begin, all) ||
        posix_memalign(&pages, AHEAD_PAGE, (all + AHEAD_PAGE - 1) / AHEAD_PAGE * AHEAD_PAGE) != 0)
        return NULL;
    if (!a->io.read(a->io.ud, begin, all, pages)) {
        free(pages);
        return NULL;
    }
    GROW(a->kept, a->n_kept, a->cap_kept);
    a->kept[a->n_kept++] = pages;
    return (char *)pages + ((const char *)p - begin);
}

bool ahead_learn(struct ahead *a, const void *p, size_t n)
{
    const char *begin = page_of(p);
    size_t all = (size_t)((const char *)p - begin) + n;
    if (n >= AHEAD_LEAST && find(a, p) >= 0)
        return true;
    if (n < AHEAD_LEAST || !a->io.is(a->io.ud, begin, all))
        return false;
    join(a); /* they look at what grows now */
    GROW(a->weights, a->n, a->cap);
    a->weights[a->n++] = (struct weight){.p = p, .n = n, .begin = begin, .all = all};
    return true;
}

/* ---- the budget ---- */

static size_t room_of(const struct weight *w)
{
    return (w->all + AHEAD_PAGE - 1) / AHEAD_PAGE * AHEAD_PAGE;
}

/* The window has room for three of the largest weight: one that is computed with, one that is next, and one that a disk and a
 * processor that do not keep their pace may be apart. Of what is left weights stay, spread evenly. */
static void divide(struct ahead *a, uint64_t budget)
{
    struct ahead_plan *p = &a->plan;
    uint64_t largest = 0, kept = 0, left;
    double share, owed = 0;
    *p = (struct ahead_plan){.fetched = p->fetched, .reading = p->reading, .waited = p->waited};
    for (uint32_t i = 0; i < a->n; i++) {
        size_t room = room_of(&a->weights[i]);
        p->bytes += a->weights[i].n;
        kept += room;
        largest = room > largest ? room : largest;
    }
    if (kept <= budget)
        largest = 0;
    left = budget > 3 * largest ? budget - 3 * largest : 0;
    share = kept ? (double)left / (double)kept : 0;
    kept = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        struct weight *w = &a->weights[i];
        size_t room = room_of(w);
        owed += share * (double)room;
        w->stays = owed >= (double)room && room <= left - kept;
        kept += w->stays ? room : 0;
        owed -= w->stays ? (double)room : 0;
        p->stays += w->stays ? w->n : 0;
    }
    a->area_n = (size_t)kept;
    p->window = largest ? (budget - kept) / AHEAD_PAGE * AHEAD_PAGE : 0;
}

/* Memory for both, in huge pages; the kernel gives it when it is read into. */
static bool acquire(struct ahead *a)
{
    size_t stay = a->area_n, n = stay + (size_t)a->plan.window;
    char *p =
        n ? mmap(NULL, n + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
          : MAP_FAILED;
    if (p == MAP_FAILED)
        return false;
    a->area = p;
    a->area_n = n + HUGE;
    (void)madvise(p, n + HUGE, MADV_HUGEPAGE);
    p = (char *)(((uintptr_t)p + HUGE - 1) / HUGE * HUGE);
    a->window = p + stay;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->weights[i].stays) {
            a->weights[i].at = p;
            p += room_of(&a->weights[i]);
        }
    return true;
}

void ahead_plan(struct ahead *a, struct ahead_plan *p)
{
    pthread_mutex_lock(&a->lock);
    *p = a->plan;
    pthread_mutex_unlock(&a->lock);
}

/* ---- the window, under the lock ---- */

static void drop(struct weight *w)
{
    w->unwanted = w->reading > 0;
    if (!w->reading && !w->stays) {
        w->at = NULL;
        w->asked = 0;
    }
}

static bool is_there(const struct weight *w)
{
    return w->at && w->asked == w->all && !w->reading && !w->failed;
}

/* What lies in the window between p and p + n, NULL: nothing. */
static const struct weight *in_the_way(const struct ahead *a, const char *p, size_t n)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const struct weight *w = &a->weights[i];
        if (w->at && !w->stays && w->at < p + n && p < w->at + room_of(w))
            return w;
    }
    return NULL;
}

/* The first gap that is large enough. */
static bool place(struct ahead *a, struct weight *w)
{
    const struct weight *other;
    char *p = a->window;
    size_t n = room_of(w);
    while ((other = in_the_way(a, p, n)))
        p = other->at + room_of(other);
    if ((size_t)(p - a->window) + n > a->plan.window)
        return false;
    w->at = p;
    return true;
}

/* Takes the room of the one that is wanted last; of one that is being read, when it is there. False: there is none. */
static bool evict(struct ahead *a)
{
    for (uint32_t k = a->n; k-- > 0;) {
        struct weight *w = &a->weights[((uint64_t)a->at + k) % a->n];
        if (!w->at || w->stays || w->in_use || w->unwanted)
            continue;
        drop(w);
        return true;
    }
    return false;
}

/* ---- the threads ---- */

static bool to_read(const struct weight *w)
{
    return w->used && !w->failed && !w->unwanted && w->asked < w->all;
}

/* Room for what is waited for. False: it is not free yet, or never will be, which the one who waits is told. */
static bool make_room(struct ahead *a, struct weight *w)
{
    bool coming = false;
    while (!w->at && !place(a, w))
        if (!evict(a)) {
            for (uint32_t i = 0; i < a->n; i++)
                coming = coming || a->weights[i].unwanted;
            if (!coming) {
                a->waits_for = -1;
                pthread_cond_broadcast(&a->there);
            }
            return false;
        }
    return true;
}

/* The one to read from now, NULL: none. What is waited for goes first, then in the order of use. */
static struct weight *choose(struct ahead *a)
{
    struct weight *w = a->waits_for >= 0 ? &a->weights[a->waits_for] : NULL;
    if (w && to_read(w))
        return make_room(a, w) ? w : NULL;
    for (uint32_t k = 0; k < a->n; k++) {
        w = &a->weights[((uint64_t)(a->at + 1) + k) % a->n];
        if (to_read(w))
            return w->at || place(a, w) ? w : NULL;
    }
    return NULL;
}

static void *fetch_ahead(void *ud)
{
    struct ahead *a = ud;
    pthread_mutex_lock(&a->lock);
    while (!a->stop) {
        struct weight *w = choose(a);
        if (!w) {
            pthread_cond_wait(&a->work, &a->lock);
            continue;
        }
        size_t at = w->asked, n = w->all - at < AHEAD_CHUNK ? w->all - at : AHEAD_CHUNK;
        w->asked += n;
        w->reading++;
        pthread_mutex_unlock(&a->lock);
        double began = now_secs();
        bool ok = a->io.read(a->io.ud, w->begin + at, n, w->at + at);
        pthread_mutex_lock(&a->lock);
        a->plan.reading += now_secs() - began;
        a->plan.fetched += n;
        w->failed = w->failed || !ok;
        if (!--w->reading && (w->unwanted || w->failed)) {
            drop(w);
            pthread_cond_broadcast(&a->work);
        }
        pthread_cond_broadcast(&a->there);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

void ahead_stop(struct ahead *a)
{
    join(a);
    release(a);
}

void ahead_start(struct ahead *a, uint64_t budget)
{
    sigset_t signals, before;
    bool all;
    ahead_stop(a);
    divide(a, budget);
    a->at = a->waits_for = -1;
    a->done = 0;
    a->step = 1;
    for (uint32_t i = 0; i < a->n; i++) {
        struct weight *w = &a->weights[i];
        w->used = true;
        w->step = w->reading = 0;
        w->asked = 0;
        w->at = NULL;
        w->in_use = w->unwanted = false;
        w->failed = !w->stays && room_of(w) > a->plan.window;
        a->plan.mapped += w->failed ? w->n : 0;
        a->io.forget(a->io.ud, w->begin, w->all); /* what loading left */
    }
    all = acquire(a);
    for (uint32_t i = 0; i < a->n; i++)
        all = all && !a->weights[i].failed;
    a->io.scattered(a->io.ud, all);
    if (!a->area)
        return;
    sigfillset(&signals); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &signals, &before);
    while (a->n_threads < THREADS && pthread_create(&a->threads[a->n_threads], NULL, fetch_ahead, a) == 0)
        a->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the one who computes ---- */

/* What the last step did not use, this one will not either. */
static void begin_step(struct ahead *a)
{
    for (uint32_t i = 0; i < a->n; i++) {
        struct weight *w = &a->weights[i];
        w->used = w->step == a->step;
        if (!w->used)
            drop(w);
    }
    a->step++;
    a->done = 0;
    a->at = -1;
}

const void *ahead_use(struct ahead *a, const void *p)
{
    int64_t i = find(a, p);
    if (i < 0 || !a->n_threads)
        return NULL;
    struct weight *w = &a->weights[i];
    pthread_mutex_lock(&a->lock);
    if (i == 0 && w->step == a->step && !w->in_use)
        begin_step(a);
    a->at = i > a->at ? i : a->at;
    w->step = a->step;
    w->used = true;
    double began = now_secs();
    a->waits_for = i;
    pthread_cond_broadcast(&a->work);
    while (!is_there(w) && !w->failed && a->waits_for == i)
        pthread_cond_wait(&a->there, &a->lock);
    a->waits_for = -1;
    a->plan.waited += now_secs() - began;
    w->in_use = is_there(w);
    const char *bytes = w->in_use ? w->at + (w->p - w->begin) : NULL;
    pthread_mutex_unlock(&a->lock);
    return bytes;
}

void ahead_done(struct ahead *a)
{
    if (!a->n_threads)
        return;
    pthread_mutex_lock(&a->lock);
    for (int64_t i = 0; i <= a->at; i++)
        if (i >= a->done || a->weights[i].in_use) {
            a->weights[i].in_use = false;
            drop(&a->weights[i]);
        }
    a->done = a->at + 1;
    pthread_cond_broadcast(&a->work);
    pthread_mutex_unlock(&a->lock);
}
