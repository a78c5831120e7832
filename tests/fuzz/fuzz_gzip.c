/* fuzz_gzip.c - bytes that may be packed with gzip.
 *
 * Besides not crashing: success exactly when no error is set, never more bytes than the limit, and what a
 * larger limit unpacks begins with what a smaller one does. */
#include "base/gzip.h"
#include "base/mem.h"
#include "fuzz.h"

#include <string.h>

#define SMALL 1000
#define LARGE (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf few = {0}, many = {0};
    struct err e = {0};
    gzip_unpack((const char *)data, size, SMALL, &few, &e);
    MUST(few.n <= SMALL);
    err_clear(&e);
    bool ok = gzip_unpack((const char *)data, size, LARGE, &many, &e);
    fuzz_told(ok, &e);
    MUST(many.n <= LARGE && few.n <= many.n);
    MUST(!few.n || memcmp(few.s, many.s, few.n) == 0);
    buf_clear(&few);
    buf_clear(&many);
    return 0;
}
