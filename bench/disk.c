/* disk.c - how fast a file can be read: bytes a second of `threads` readers that take turns, past the page cache, from `at` on.
 *
 *   disk FILE THREADS CHUNK_MIB AT TOTAL huge|small|populate
 *
 * huge: each into a buffer of its own in huge pages; small: in pages of 4 KiB, as dd has; populate: the pages of a mapping are
 * asked for in sequence, and dropped 256 MiB behind. Prints bytes a second and the seconds of processor time for 10^9 bytes. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BEHIND (256ul << 20)

static int fd;
static size_t chunk, total, at;
static atomic_size_t next;
static const char *way;
static char *mapping;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *reader(void *ud)
{
    char *p = NULL;
    (void)ud;
    if (!mapping && posix_memalign((void **)&p, 2u << 20, chunk))
        exit(1);
    if (p) {
        madvise(p, chunk, strcmp(way, "huge") ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
        memset(p, 1, chunk);
    }
    for (size_t i; (i = atomic_fetch_add(&next, chunk)) < total;)
        if (p && pread(fd, p, chunk, (off_t)(at + i)) != (ssize_t)chunk) {
            perror("disk: cannot read");
            exit(1);
        } else if (mapping) {
            madvise(mapping + i, chunk, MADV_POPULATE_READ);
            if (i >= BEHIND) {
                madvise(mapping + i - BEHIND, chunk, MADV_DONTNEED);
                posix_fadvise(fd, (off_t)(at + i - BEHIND), (off_t)chunk, POSIX_FADV_DONTNEED);
            }
        }
    free(p);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t t[64];
    int n = argc == 7 ? atoi(argv[2]) : 0;
    if (n < 1 || n > 64)
        return 2;
    way = argv[6];
    chunk = strtoull(argv[3], NULL, 10) << 20;
    at = strtoull(argv[4], NULL, 10) / 4096 * 4096;
    total = strtoull(argv[5], NULL, 10) / chunk * chunk;
    int populate = !strcmp(way, "populate");
    fd = open(argv[1], O_RDONLY | (populate ? 0 : O_DIRECT));
    if (fd < 0)
        return 1;
    if (populate) {
        mapping = mmap(NULL, total, PROT_READ, MAP_SHARED, fd, (off_t)at);
        if (mapping == MAP_FAILED)
            return 1;
        madvise(mapping, total, MADV_SEQUENTIAL);
    }
    double began = now();
    for (int i = 0; i < n; i++)
        if (pthread_create(&t[i], NULL, reader, NULL))
            return 1;
    for (int i = 0; i < n; i++)
        pthread_join(t[i], NULL);
    double secs = now() - began;
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    double cpu = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
                 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    printf("%.0f %.3f\n", (double)total / secs, cpu / (double)total * 1e9);
    return 0;
}
