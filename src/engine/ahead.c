/* ahead.c - see ahead.h.
 *
 * Weights are cut into chunks. The first ones of a weight stay, the others are streamed; both are fetched in the order of use, which
 * for those that stay is nothing once they are there, and reads them again, in time, where the system took them.
 *
 * Pages come by touching them through a mapping that is said to be used in sequence. Measured on ext4 and Linux 6.18 against
 * posix_fadvise and madvise with WILLNEED: 1.2 against 0.3 GB/s with one thread, 0.01 against 0.45 s of processor time for a
 * gigabyte (the kernel takes large pages for the one, single ones for the other); two threads 2.2 GB/s. pread into a buffer costs a
 * copy, 0.1 to 0.3 s. Of the ways to drop pages (MADV_DONTNEED with POSIX_FADV_DONTNEED, MADV_PAGEOUT, MADV_COLD) none was
 * faster; the first needs no right to write the file. */
#include "engine/ahead.h"
#include "base/log.h"
#include "base/mem.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 2

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

enum chunk_state { OUT, READING, IN };

struct chunk {
    char *p;
    size_t n;
    uint32_t weight;
    bool stays;
    enum chunk_state state;
};

struct weight {
    const void *p;
    size_t n;
    uint32_t first, end; /* chunks */
    bool used;           /* in the last step */
};

struct ahead {
    struct ahead_io io;
    struct weight *weights; /* in the order of use */
    uint32_t n, cap;
    struct chunk *chunks;
    uint32_t n_chunks;
    struct ahead_plan plan;

    pthread_t threads[THREADS];
    uint32_t n_threads;
    pthread_mutex_t lock; /* of all below, and of states and `used` above */
    pthread_cond_t work, there;
    bool stop;
    uint32_t next;     /* chunk that is fetched next, if nobody waits for another */
    uint64_t held;     /* bytes of streamed chunks that are there or come */
    int64_t at;        /* the weight that is used now, -1: none */
    uint32_t dropped;  /* weights below are done with in this step */
    int64_t waits_for; /* weight, -1 */
};

/* ---- the kernel's pages ---- */

/* The files of this process's mappings, as /proc/self/maps has them: for each an own descriptor, because dropping goes by file. */
struct maps {
    struct map {
        uintptr_t begin, end;
        uint64_t off;
        int fd;
    } * v;
    uint32_t n, cap;
};

static struct map *map_of(struct maps *m, const char *p, size_t n)
{
    for (uint32_t i = 0; i < m->n; i++)
        if ((uintptr_t)p >= m->v[i].begin && (uintptr_t)p + n <= m->v[i].end)
            return &m->v[i];
    return NULL;
}

/* "7f0-7f1 r--s 00000000 fe:00 131 /path"; a path with a line end has \012 there, and is not opened. */
static void add_map(struct maps *m, const char *line)
{
    unsigned long begin, end, off;
    char rights[5];
    int path = 0;
    if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %n", &begin, &end, rights, &off, &path) != 4 || !path ||
        line[path] != '/' || strcmp(rights, "r--s") != 0)
        return;
    int fd = open(line + path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    GROW(m->v, m->n, m->cap);
    m->v[m->n++] = (struct map){begin, end, off, fd};
    (void)madvise((void *)begin, end - begin, MADV_SEQUENTIAL);
}

static void maps_read(struct maps *m)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while (f && (n = getline(&line, &cap, f)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        add_map(m, line);
    }
    free(line);
    if (f)
        fclose(f);
}

static bool kernel_mapped(void *ud, const char *p, size_t n)
{
    struct maps *m = ud;
    if (!m->n)
        maps_read(m);
    return map_of(m, p, n) != NULL;
}

static void kernel_fetch(void *ud, char *p, size_t n)
{
    (void)ud;
    if (madvise(p, n, MADV_POPULATE_READ) == 0)
        return;
    for (size_t i = 0; i < n; i += AHEAD_PAGE)
        (void)*(volatile char *)(p + i);
}

static void kernel_drop(void *ud, char *p, size_t n)
{
    const struct map *m = map_of(ud, p, n);
    if (!m) /* what is not a file's must never be told that it is not needed */
        return;
    (void)madvise(p, n, MADV_DONTNEED);
    (void)posix_fadvise(m->fd, (off_t)(m->off + ((uintptr_t)p - m->begin)), (off_t)n, POSIX_FADV_DONTNEED);
}

static void maps_free(struct maps *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        close(m->v[i].fd);
    free(m->v);
    free(m);
}

/* ---- begin and end ---- */

struct ahead *ahead_new(const struct ahead_io *io)
{
    struct ahead *a = xcalloc(1, sizeof *a);
    if (io)
        a->io = *io;
    else
        a->io = (struct ahead_io){kernel_mapped, kernel_fetch, kernel_drop, xcalloc(1, sizeof(struct maps))};
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

void ahead_free(struct ahead *a)
{
    if (!a)
        return;
    join(a);
    if (a->io.drop == kernel_drop)
        maps_free(a->io.ud);
    pthread_cond_destroy(&a->work);
    pthread_cond_destroy(&a->there);
    pthread_mutex_destroy(&a->lock);
    free(a->weights);
    free(a->chunks);
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

/* The pages of a weight; the first and the last may be its neighbour's as well, which does no harm. */
static char *begin_of(const struct weight *w)
{
    return (char *)((uintptr_t)w->p / AHEAD_PAGE * AHEAD_PAGE);
}

static size_t pages_of(const struct weight *w)
{
    return (size_t)((const char *)w->p + w->n - begin_of(w));
}

void ahead_learn(struct ahead *a, const void *p, size_t n)
{
    struct weight w = {.p = p, .n = n, .used = true};
    if (n < AHEAD_LEAST || find(a, p) >= 0 || !a->io.mapped(a->io.ud, begin_of(&w), pages_of(&w)))
        return;
    join(a); /* they look at what grows now */
    GROW(a->weights, a->n, a->cap);
    a->weights[a->n++] = w;
}

/* ---- the budget ---- */

/* The window has room for the weight that is computed with, the next one, and half of one against a disk and a processor that
 * do not keep their pace; what is left stays. */
static void divide(struct ahead *a, uint64_t budget)
{
    struct ahead_plan *p = &a->plan;
    uint64_t largest = 0;
    *p = (struct ahead_plan){0};
    for (uint32_t i = 0; i < a->n; i++) {
        p->bytes += a->weights[i].n;
        largest = a->weights[i].n > largest ? a->weights[i].n : largest;
    }
    p->window = largest * 5 / 2;
    if (p->window > budget)
        p->window = budget;
    p->stays = budget - p->window < p->bytes ? budget - p->window : p->bytes;
}

/* The first chunks of each weight stay, by the same share of all; what rounding leaves goes to the next weight. */
static void cut(struct ahead *a)
{
    uint32_t n = 0;
    uint64_t owed = 0;
    double share = a->plan.bytes ? (double)a->plan.stays / (double)a->plan.bytes : 0;
    for (uint32_t i = 0; i < a->n; i++)
        n += (uint32_t)((pages_of(&a->weights[i]) + AHEAD_CHUNK - 1) / AHEAD_CHUNK);
    free(a->chunks);
    a->chunks = xcalloc(n ? n : 1, sizeof *a->chunks);
    a->n_chunks = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        struct weight *w = &a->weights[i];
        size_t all = pages_of(w);
        w->first = a->n_chunks;
        owed += (uint64_t)(share * (double)w->n);
        for (size_t at = 0; at < all; at += AHEAD_CHUNK) {
            struct chunk *c = &a->chunks[a->n_chunks++];
            *c = (struct chunk){.p = begin_of(w) + at, .n = all - at, .weight = i};
            c->n = c->n < AHEAD_CHUNK ? c->n : AHEAD_CHUNK;
            c->stays = owed >= c->n;
            owed -= c->stays ? c->n : 0;
        }
        w->end = a->n_chunks;
    }
}

void ahead_plan(struct ahead *a, struct ahead_plan *p)
{
    pthread_mutex_lock(&a->lock);
    *p = a->plan;
    pthread_mutex_unlock(&a->lock);
}

/* ---- the threads ---- */

/* The first chunk of a weight that is not there, -1: all are. */
static int64_t lacking(const struct ahead *a, int64_t weight)
{
    for (uint32_t i = a->weights[weight].first; i < a->weights[weight].end; i++)
        if (a->chunks[i].state == OUT)
            return i;
    return -1;
}

/* The chunk to fetch now, -1: none. What is waited for goes first, whatever room there is. */
static int64_t choose(struct ahead *a)
{
    int64_t first = a->waits_for >= 0 ? lacking(a, a->waits_for) : -1;
    if (first >= 0) {
        a->next += first == a->next;
        return first;
    }
    for (uint32_t k = 0; k < a->n_chunks; k++) {
        uint32_t i = (a->next + k) % a->n_chunks;
        const struct chunk *c = &a->chunks[i];
        if (!a->weights[c->weight].used || c->state != OUT)
            continue;
        if (!c->stays && a->held && a->held + c->n > a->plan.window)
            return -1;
        a->next = i + 1;
        return i;
    }
    return -1;
}

static void *fetch_ahead(void *ud)
{
    struct ahead *a = ud;
    pthread_mutex_lock(&a->lock);
    while (!a->stop) {
        int64_t i = choose(a);
        if (i < 0) {
            pthread_cond_wait(&a->work, &a->lock);
            continue;
        }
        struct chunk *c = &a->chunks[i];
        c->state = READING;
        a->held += c->stays ? 0 : c->n;
        pthread_mutex_unlock(&a->lock);
        double began = now_secs();
        a->io.fetch(a->io.ud, c->p, c->n);
        pthread_mutex_lock(&a->lock);
        a->plan.reading += now_secs() - began;
        a->plan.fetched += c->n;
        c->state = IN;
        pthread_cond_broadcast(&a->there);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

void ahead_start(struct ahead *a, uint64_t budget)
{
    sigset_t all, before;
    join(a);
    divide(a, budget);
    cut(a);
    a->next = a->dropped = 0;
    a->held = 0;
    a->at = a->waits_for = -1;
    for (uint32_t i = 0; i < a->n; i++)
        a->weights[i].used = true;
    for (uint32_t i = 0; i < a->n_chunks; i++) /* what loading left is in nobody's order */
        a->io.drop(a->io.ud, a->chunks[i].p, a->chunks[i].n);
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (a->n && a->n_threads < THREADS &&
           pthread_create(&a->threads[a->n_threads], NULL, fetch_ahead, a) == 0)
        a->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the one who computes ---- */

/* Under the lock. A chunk that is on its way is dropped when it is there, by whoever comes next. */
static void drop(struct ahead *a, uint32_t weight)
{
    for (uint32_t i = a->weights[weight].first; i < a->weights[weight].end; i++) {
        struct chunk *c = &a->chunks[i];
        if (c->state == READING)
            continue;
        if (!c->stays) {
            a->held -= c->state == IN ? c->n : 0;
            a->io.drop(a->io.ud, c->p, c->n);
        }
        c->state = OUT;
    }
}

static bool is_there(const struct ahead *a, const struct weight *w)
{
    for (uint32_t i = w->first; i < w->end; i++)
        if (a->chunks[i].state != IN)
            return false;
    return true;
}

/* What the last step did not use, this one will not either. */
static void begin_step(struct ahead *a)
{
    for (uint32_t i = a->dropped; i < a->n; i++) {
        a->weights[i].used = (int64_t)i <= a->at;
        drop(a, i);
    }
    a->dropped = 0;
    a->at = -1;
}

bool ahead_use(struct ahead *a, const void *p)
{
    int64_t i = find(a, p);
    if (i < 0 || !a->n_threads)
        return false;
    pthread_mutex_lock(&a->lock);
    if (i == 0 && a->at >= 0 && a->dropped)
        begin_step(a);
    if (i > a->at) {
        a->at = i;
        a->weights[i].used = true;
        if (a->weights[i].n <= a->plan.window) { /* more than that is never there as a whole */
            double began = now_secs();
            a->waits_for = i;
            pthread_cond_broadcast(&a->work);
            while (!is_there(a, &a->weights[i]))
                pthread_cond_wait(&a->there, &a->lock);
            a->waits_for = -1;
            a->plan.waited += now_secs() - began;
        }
    }
    pthread_mutex_unlock(&a->lock);
    return true;
}

void ahead_done(struct ahead *a)
{
    if (!a->n_threads)
        return;
    pthread_mutex_lock(&a->lock);
    for (; (int64_t)a->dropped <= a->at; a->dropped++)
        drop(a, a->dropped);
    pthread_cond_broadcast(&a->work);
    pthread_mutex_unlock(&a->lock);
}
