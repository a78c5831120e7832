/* fuzz.h - what the fuzz targets share: a property that must hold for every input. */
#ifndef REAP_TESTS_FUZZ_H
#define REAP_TESTS_FUZZ_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define MUST(cond)                  \
    do {                            \
        if (!(cond))                \
            BUG("fuzz: %s", #cond); \
    } while (0)

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
