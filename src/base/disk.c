/* disk.c - see disk.h. */
#include "base/disk.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (8ul << 20)
#define HUGE  (2ul << 20)
#define MOST  (256ul << 20)
#define LEAST (4ul << 20) /* less says nothing of a rate */

/* Reads from `at` on, for a second at most. */
static double read_rate(int fd, off_t at, off_t end, char *chunk)
{
    double begun = now_secs(), secs = 0;
    size_t done = 0;
    while (done < MOST && secs < 1 && at + (off_t)CHUNK <= end) {
        ssize_t n = pread(fd, chunk, CHUNK, at);
        if (n <= 0)
            break;
        done += (size_t)n;
        at += n;
        secs = now_secs() - begun;
    }
    return done >= LEAST && secs > 0 ? (double)done / secs : 0;
}

double disk_rate(const char *path, bool *cold)
{
    struct stat st;
    void *chunk = NULL;
    double rate = 0;
    *cold = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= (off_t)CHUNK &&
        posix_memalign(&chunk, HUGE, CHUNK) == 0) {
        (void)madvise(chunk, CHUNK, MADV_HUGEPAGE); /* a request has so many pieces of memory at most */
        /* from the middle: the beginning of a model was read for its header */
        off_t at = st.st_size / 2 / 4096 * 4096, end = st.st_size;
        at = end - at >= (off_t)MOST || at < (off_t)CHUNK ? at : 0;
        at = end - at >= (off_t)CHUNK ? at : 0;
        int direct = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
        if (direct >= 0) {
            rate = read_rate(direct, at, end, chunk);
            *cold = rate > 0;
            close(direct);
        }
        if (!(rate > 0)) { /* no such reads here: the cache is asked to forget, which it need not do */
            (void)posix_fadvise(fd, at, (off_t)MOST, POSIX_FADV_DONTNEED);
            rate = read_rate(fd, at, end, chunk);
        }
    }
    free(chunk);
    close(fd);
    return rate;
}
