/* rowfile.h - the rows in the bytes of a file, whatever its ending is: one JSON object a line, one list of
 * them, {"data": [...]} or {"rows": [...]}, or objects of several lines one behind the other.
 *
 * Only where rows begin and end is looked at, so a list of 1 GiB needs no more memory than its largest row.
 * What is in a row, good JSON or not, is for the caller. */
#ifndef REAP_CORPUS_ROWFILE_H
#define REAP_CORPUS_ROWFILE_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct rowfile_place {
    uint32_t line; /* in which it begins, from 1 */
    uint32_t row;  /* of a list: its number from 1; 0: it stands in no list */
};
/* The first false ends it; so does a signal. */
typedef bool rowfile_row(void *ud, struct rowfile_place at, const char *s, size_t n, struct err *e);
/* Errors of its own (ERR_INPUT): "line L, column C: ..." where the brackets of a list do not fit. */
bool rowfile_each(const char *s, size_t n, rowfile_row *fn, void *ud, struct err *e);
/* Whether a text looks like rows: its first line is a whole JSON object, and what follows begins as one. */
bool rowfile_is_likely(const char *s, size_t n);

#endif
