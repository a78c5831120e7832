/* fuzz.h - what the fuzz targets share: a property that must hold for every input. */
#ifndef REAP_TESTS_FUZZ_H
#define REAP_TESTS_FUZZ_H

#include "base/err.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MUST(cond)                  \
    do {                            \
        if (!(cond))                \
            BUG("fuzz: %s", #cond); \
    } while (0)

/* What may be printed: one line (keep: "") of UTF-8 in which nothing drives the terminal or hides. */
static inline void fuzz_fit(const char *s, size_t n, const char *keep)
{
    for (size_t i = 0, k; i < n; i += k) {
        k = utf8_len(s + i, n - i);
        MUST(k && (!text_misleads(s + i, k) || (s[i] && strchr(keep, s[i]))));
    }
}

/* Done exactly when there is no error; an error has its words, which may be printed. */
static inline void fuzz_told(bool ok, const struct err *e)
{
    MUST(ok == (e->code == ERR_NONE) && ok == !e->msg[0]);
    fuzz_fit(e->msg, strlen(e->msg), "");
}

/* At the first call: makes a folder of the target's own, in memory if it can be, which `cleanup` removes at the end. */
static inline bool fuzz_dir(char dir[64], void (*cleanup)(void))
{
    if (dir[0])
        return false;
    strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/reap-fuzz-XXXXXX" : "/tmp/reap-fuzz-XXXXXX");
    MUST(mkdtemp(dir));
    atexit(cleanup);
    return true;
}

/* A file in memory with these bytes, for readers that want a path; the descriptor is the caller's to
 * close. */
static inline int fuzz_file(const void *data, size_t size, char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

#endif
