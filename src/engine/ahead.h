/* ahead.h - weights that do not fit into memory, read from their file before they are used and let go of behind.
 *
 * A compute step uses the weights in one order, always the same. A cyclic sweep over a page cache that keeps what was used last
 * hits nothing, and what the cache reclaims costs as much processor time as computing, so this is not left to the kernel: there is
 * memory of our own, of which some weights keep a part for good, as many as the budget has room for, spread over the order. The
 * rest is a window: threads of ours read the others into it, some ahead of the one that is computed with, and those that were
 * used make room. They go on into the next step, whose first weights are there when it begins.
 *
 *   ahead_learn    once, for each weight in the order of its first use; those that lie in no file that is mapped shared and
 *                  read-only are left out, as are small ones, which are for ahead_keep
 *   ahead_start    divides the budget and starts the threads
 *   ahead_use      before a weight is used: waits until all of it is there, and says where
 *   ahead_done     everything that was used so far is computed
 *
 * All are called by one thread. A step begins when the weight that came first is used again; weights that a step did not use
 * are not read for the next. What goes wrong is never an error: where ahead_use says nothing the weight is read where it is
 * mapped, as if this was not there. */
#ifndef REAP_ENGINE_AHEAD_H
#define REAP_ENGINE_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How bytes come. p is at a multiple of AHEAD_PAGE, n need not be. */
struct ahead_io {
    bool (*is)(void *ud, const char *p, size_t n); /* a file's, so that `read` has them */
    /* Copies them to dst, which has room for whole pages; false: it cannot. Called by the threads, several at a time. */
    bool (*read)(void *ud, const char *p, size_t n, char *dst);
    void (*forget)(void *ud, const char *p,
                   size_t n); /* no memory need be kept for them where they are mapped */
    /* Of all that is mapped: only here and there some of it is used where it is, or all of it in order. */
    void (*scattered)(void *ud, bool yes);
    void *ud;
};
#define AHEAD_PAGE  4096
#define AHEAD_CHUNK (8u << 20)   /* bytes read at once, at most */
#define AHEAD_LEAST (256u << 10) /* weights smaller than this are kept, uncounted */

struct ahead;
struct ahead *ahead_new(const struct ahead_io *io); /* NULL: mapped.h */
void ahead_free(struct ahead *a);

/* True: it is one of those that are streamed, now or before. */
bool ahead_learn(struct ahead *a, const void *p, size_t n);
/* For a small one: its bytes in memory, until ahead_free. NULL: read them at p. A page that is touched where it is mapped may bring
 * megabytes around it, again in each step. */
const void *ahead_keep(struct ahead *a, const void *p, size_t n);
/* May be called again: with another budget, in bytes, but not between ahead_use and ahead_done. */
void ahead_start(struct ahead *a, uint64_t budget);
/* Gives all of the memory back; until ahead_start weights are read where they are mapped. What has come of it goes on to be counted. */
void ahead_stop(struct ahead *a);
/* The weight's bytes in memory, valid until ahead_done, which is wanted then. NULL: read them at p. */
const void *ahead_use(struct ahead *a, const void *p);
void ahead_done(struct ahead *a);

struct ahead_plan {
    uint64_t bytes;  /* of all weights */
    uint64_t stays;  /* of them in memory for good */
    uint64_t window; /* for the others */
    uint64_t mapped; /* of them, each larger than the window: used where they are mapped */
    /* and what has come of it */
    uint64_t fetched;       /* bytes read */
    double reading, waited; /* seconds, of all threads together; and of the one who computes */
};
void ahead_plan(struct ahead *a, struct ahead_plan *p); /* behind ahead_start */

#endif
