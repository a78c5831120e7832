/* members.h - walks through a JSON object member by member, in memory that it changes (inside src/hf/).
 *
 * Headers and indexes name a hundred thousand tensors; a tree of all of them would be many times the text.
 * So one value at a time is parsed, by jspan's rules, and names are decoded where they stand: a decoded
 * string is never longer than its text, and the quotes leave room for the NUL. What is refused as well:
 * control characters in names, and one value larger than the caller expects. */
#ifndef REAP_HF_MEMBERS_H
#define REAP_HF_MEMBERS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/jspan.h"
#include <stdbool.h>

struct members {
    char *text;
    size_t n, pos; /* of the text; pos is behind what was read */
    struct jdoc *doc;
    struct buf *scratch;
    bool ok;
    uint64_t count; /* members so far */
    char *key;      /* of the current member, decoded; it lives in the text */
    struct err *e;
};

/* Begins at the object at text[at], white space before it skipped; m->ok says whether there is one. doc and
 * scratch are working memory that the caller clears. */
void members_open(struct members *m, char *text, size_t n, size_t at, struct jdoc *doc, struct buf *scratch,
                  struct err *e);
/* No escape in the whole text is half of a surrogate pair: jspan reads those as U+FFFD (a vocabulary may hold
 * them), Rust's JSON refuses them. */
bool members_check_escapes(struct members *m);
/* Moves to the next member: true with m->key set and m->pos at its value. The caller then takes the value by
 * one of the two functions below, or by a walk of its own whose end it puts into m->pos. False at the end
 * (m->pos behind the brace) and on an error (m->ok false, *e set). */
bool members_next(struct members *m);
/* The value as a string, decoded in place, without control characters; NULL on error. `what` for messages. */
char *members_str(struct members *m, const char *what);
/* Parses the value into m->doc. An error if its text is longer than max bytes. */
bool members_value(struct members *m, size_t max);
/* Nothing but white space may follow m->pos. */
bool members_end(struct members *m);

#endif
