/* gzip.h - bytes that were packed with gzip. */
#ifndef REAP_BASE_GZIP_H
#define REAP_BASE_GZIP_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

bool gzip_is(const char *s, size_t n); /* begins as such a file does */
/* Unpacks all members, one behind the other, into *out (added): at most `max` bytes of it. Errors (ERR_INPUT)
 * name no file; what was unpacked until then is in *out. Checked: the sums and lengths that the format has. */
bool gzip_unpack(const char *s, size_t n, uint64_t max, struct buf *out, struct err *e);

#endif
