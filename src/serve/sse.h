/* sse.h - server-sent events (text/event-stream), as inference servers stream their answers.
 *
 * The format is that of the HTML standard, section "Server-sent events": lines end with CR, LF or CRLF; an
 * empty line ends an event; "data: x" lines of an event are joined by LF; a BOM at the start and lines that
 * begin with a colon are ignored; an event that the stream ends in is dropped. Other fields (event, id,
 * retry) are not needed here. A pure parser: bytes go in in any pieces, events come out. */
#ifndef REAP_SERVE_SSE_H
#define REAP_SERVE_SSE_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

#define SSE_MAX_EVENT (16u << 20) /* bytes of one event: far above what a token, or a whole answer, needs */

struct sse {
    struct buf line, data; /* the line and the event that are not complete yet */
    uint64_t n_seen;       /* bytes so far */
    bool has_data, after_cr;
};

/* data: n bytes, NUL-terminated, valid during the call. False stops the parser; *e must then be set. */
typedef bool sse_fn(void *ctx, const char *data, size_t n, struct err *e);

/* Takes the next n bytes. False with *e set: an event is larger than SSE_MAX_EVENT, or the callback
 * stopped. */
bool sse_feed(struct sse *s, const void *p, size_t n, sse_fn *fn, void *ctx, struct err *e);
void sse_clear(struct sse *s); /* frees, ready for another stream */

#endif
