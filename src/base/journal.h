/* journal.h - what a long run has made so far, a line each, safe as soon as it was added.
 *
 * An output that is written anew for each of n results costs n * n. So results go to the end of "OUT.reap-journal"
 * beside OUT, each a line of text, and OUT is written now and then with all of them. What a killed run leaves there is
 * read by the next one, which brings it into OUT before all else. The file is locked while it is open, that is for the
 * whole run: a second writer of OUT is refused. Where a file system has no locks it works without.
 *
 * Order of things, so that every moment may be the last: journal_open gives what was left; OUT is written with it;
 * journal_restart, OUT holding everything; journal_add for each result; OUT is written, journal_restart, and so on;
 * at the end OUT is written, and journal_close removes the file. */
#ifndef REAP_BASE_JOURNAL_H
#define REAP_BASE_JOURNAL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/out.h"
#include <stdint.h>

struct journal {
    int fd; /* -1: not open */
    char *path;
    uint64_t n;     /* bytes of lines that are in it */
    bool is_needed; /* it holds what OUT does not: it stays when it is closed */
};

/* Opens and locks the journal of `out`; *left gets the whole lines that an earlier run left. A last line that is not
 * whole, and what stands behind a byte of zero, never reached the disk before that run ended, and nobody was told
 * of it. False: *e says who holds it, or what is there instead. */
bool journal_open(struct journal *j, const char *out, struct buf *left, struct err *e);
/* OUT holds all that is here, and was put in place behind journal_open, which synced the folder for both: begins anew
 * with these lines. */
bool journal_restart(struct journal *j, const char *lines, size_t n, struct err *e);
/* Whole lines, by one write, on the disk when this returns. False: none of them is there. */
bool journal_add(struct journal *j, const char *lines, size_t n, struct err *e);
/* Removes it unless it is needed. Legal on a struct { .fd = -1 }. */
void journal_close(struct journal *j);
/* Whether one lies beside this file: a run that has not ended, or was killed. */
bool journal_exists(const char *out);

#endif
