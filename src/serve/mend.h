/* mend.h - JSON of strangers with what our files cannot hold replaced, so that an answer is kept whatever a
 * model writes.
 *
 * A broken model may answer with U+0000, which JSON allows and C strings do not, with half a surrogate pair, or
 * with bytes that are no UTF-8. U+0000 becomes U+2400 (its visible sign), everything else U+FFFD, and both are
 * counted. The rest stays byte for byte; whether it is JSON at all is the parser's question. */
#ifndef REAP_SERVE_MEND_H
#define REAP_SERVE_MEND_H

#include "base/buf.h"
#include <stdint.h>

struct mended {
    uint64_t n_nul, n_invalid; /* characters, bytes that were none */
    uint64_t n_key;            /* keys of the interface, see secret.h */
};

/* Adds the text of s to b; counts are added to m. */
void json_mend(struct buf *b, const char *s, size_t n, struct mended *m);

#endif
