/* mapped.c - see mapped.h.
 *
 * O_DIRECT into huge pages is the fastest way to read that was found, by far (docs/benchmarks.md): a request to the disk has so
 * many pieces of memory at most, and of pages of 4 KiB those are used up at once. It costs a hundredth of a second of processor
 * time for a gigabyte, leaves nothing behind that the kernel has to find and reclaim, and no page fault is taken. */
#include "engine/mapped.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct map {
    uintptr_t begin, end;
    uint64_t off;
    int fd, direct; /* direct: -1 where the file system has no such reads */
    bool ours;      /* mapped_is has said so of a part of it */
};

struct mapped {
    struct map *v;
    uint32_t n, cap;
    bool looked;
};

static struct map *map_of(const struct mapped *m, const char *p, size_t n)
{
    for (uint32_t i = 0; i < m->n; i++)
        if ((uintptr_t)p >= m->v[i].begin && (uintptr_t)p + n <= m->v[i].end)
            return &m->v[i];
    return NULL;
}

static off_t offset_of(const struct map *m, const char *p)
{
    return (off_t)(m->off + ((uintptr_t)p - m->begin));
}

/* "7f0-7f1 r--s 00000000 fe:00 131 /path"; a path with a line end has \012 there, and is not opened. */
static void add_map(struct mapped *m, const char *line)
{
    unsigned long begin, end, off;
    char rights[5];
    int path = 0;
    if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %n", &begin, &end, rights, &off, &path) != 4 || !path ||
        line[path] != '/' || strcmp(rights, "r--s") != 0)
        return;
    int fd = open(line + path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* nothing beyond what is asked for */
    GROW(m->v, m->n, m->cap);
    m->v[m->n++] = (struct map){
        begin, end, off, fd, open(line + path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT), false};
}

static void look(struct mapped *m)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    m->looked = true;
    while (f && (n = getline(&line, &cap, f)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        add_map(m, line);
    }
    free(line);
    if (f)
        fclose(f);
}

struct mapped *mapped_new(void)
{
    return xcalloc(1, sizeof(struct mapped));
}

void mapped_free(struct mapped *m)
{
    for (uint32_t i = 0; m && i < m->n; i++) {
        close(m->v[i].fd);
        if (m->v[i].direct >= 0)
            close(m->v[i].direct);
    }
    if (m)
        free(m->v);
    free(m);
}

bool mapped_is(void *ud, const char *p, size_t n)
{
    struct mapped *m = ud;
    char page[MAPPED_PAGE];
    if (!m->looked)
        look(m);
    struct map *map = map_of(m, p, n);
    size_t some = n < sizeof page ? n : sizeof page;
    if (!map || pread(map->fd, page, some, offset_of(map, p)) != (ssize_t)some)
        return false;
    (void)madvise((void *)(uintptr_t)p, MAPPED_PAGE, MADV_RANDOM); /* its neighbours are not read for it */
    bool same = !memcmp(page, p, some);
    (void)madvise((void *)(uintptr_t)p, MAPPED_PAGE, MADV_NORMAL);
    map->ours = map->ours || same;
    return same;
}

/* Whole pages, or up to the end of the file; false: fewer than n. */
static bool read_all(int fd, off_t at, size_t n, char *dst)
{
    size_t done = 0, all = (n + MAPPED_PAGE - 1) / MAPPED_PAGE * MAPPED_PAGE;
    while (done < n) {
        ssize_t got = pread(fd, dst + done, all - done, at + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

bool mapped_read(void *ud, const char *p, size_t n, char *dst)
{
    const struct map *m = map_of(ud, p, n);
    if (!m)
        return false;
    off_t at = offset_of(m, p);
    if (m->direct >= 0 && read_all(m->direct, at, n, dst))
        return true;
    bool ok = read_all(m->fd, at, n, dst);
    (void)posix_fadvise(m->fd, at, (off_t)n, POSIX_FADV_DONTNEED);
    return ok;
}

void mapped_forget(void *ud, const char *p, size_t n)
{
    const struct map *m = map_of(ud, p, n);
    if (!m) /* what is not a file's must never be told that it is not needed */
        return;
    (void)madvise((void *)(uintptr_t)p, n, MADV_DONTNEED);
    (void)posix_fadvise(m->fd, offset_of(m, p), (off_t)n, POSIX_FADV_DONTNEED);
}

void mapped_scattered(void *ud, bool yes)
{
    const struct mapped *m = ud;
    for (uint32_t i = 0; i < m->n; i++)
        if (m->v[i].ours)
            (void)madvise((void *)m->v[i].begin, m->v[i].end - m->v[i].begin,
                          yes ? MADV_RANDOM : MADV_NORMAL);
}
