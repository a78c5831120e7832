/* ahead.h - weights that do not fit into memory, fetched from their file before they are used and let go of behind.
 *
 * A compute step uses the weights in one order, always the same. A cyclic sweep over a page cache that keeps what was used last
 * hits nothing, so this is not left to the kernel: of each weight a share stays in memory, as much as the budget has, and the
 * rest is streamed: threads of ours map its pages some weights ahead of the one that is computed with, and those that were used
 * are dropped. They go on into the next step, whose first weights are there when it begins.
 *
 *   ahead_learn    once, for each weight in the order of its first use; those that lie in no file that is mapped shared and
 *                  read-only are left out, as are small ones
 *   ahead_start    divides the budget and starts the threads
 *   ahead_use      before a weight is used: waits until all of it is there
 *   ahead_done     everything that was used so far is computed
 *
 * All are called by one thread. A step begins when the weight that came first is used again; weights that a step did not use
 * are not fetched for the next. What goes wrong is never an error: a page that is not there is read when it is touched. */
#ifndef REAP_ENGINE_AHEAD_H
#define REAP_ENGINE_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How pages come and go. p is at a multiple of AHEAD_PAGE, n need not be. Called by the threads, several at a time. */
struct ahead_io {
    bool (*mapped)(void *ud, const char *p, size_t n); /* a file's, shared and read-only: may be dropped */
    void (*fetch)(void *ud, char *p, size_t n);        /* returns when they are there */
    void (*drop)(void *ud, char *p, size_t n);
    void *ud;
};
#define AHEAD_PAGE  4096
#define AHEAD_CHUNK (8u << 20)   /* bytes fetched at once */
#define AHEAD_LEAST (256u << 10) /* weights smaller than this stay in memory, uncounted */

struct ahead;
struct ahead *ahead_new(const struct ahead_io *io); /* NULL: the kernel's */
void ahead_free(struct ahead *a);

void ahead_learn(struct ahead *a, const void *p, size_t n);
/* May be called again: with another budget, in bytes. */
void ahead_start(struct ahead *a, uint64_t budget);
/* True: it is one of those that were learned, and ahead_done is wanted when it is computed. */
bool ahead_use(struct ahead *a, const void *p);
void ahead_done(struct ahead *a);

struct ahead_plan {
    uint64_t bytes;  /* of all weights */
    uint64_t stays;  /* of them in memory */
    uint64_t window; /* fetched ahead, at most */
    /* and what has come of it */
    uint64_t fetched;       /* bytes asked for, those that were there included */
    double reading, waited; /* seconds, of all threads together; and of the one who computes */
};
void ahead_plan(struct ahead *a, struct ahead_plan *p); /* behind ahead_start */

#endif
