/* memory.c - see memory.h. */
#include "base/memory.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL 8192 /* of the files here; what lies behind is not looked at */

/* False: there is none. dst is a string. */
static bool slurp(const char *path, char dst[SMALL])
{
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(dst, 1, SMALL - 1, f) : 0;
    if (f)
        fclose(f);
    dst[n] = 0;
    return n > 0;
}

/* The number behind a name at the beginning of a line. */
static bool field(const char *text, const char *name, uint64_t *out)
{
    size_t n = strlen(name);
    for (const char *s = text; s; s = (s = strchr(s, '\n')) ? s + 1 : NULL)
        if (!strncmp(s, name, n)) {
            char *end;
            s += n + strspn(s + n, " \t");
            *out = strtoull(s, &end, 10);
            return end != s;
        }
    return false;
}

/* One group: the limit and what is in use. cache: names of the page cache of files in memory.stat. */
static void group(const char *dir, const char *limit_name, const char *used_name, const char *const cache[2],
                  struct memory *m)
{
    char *limit_path = xasprintf("%s/%s", dir, limit_name), *used_path = xasprintf("%s/%s", dir, used_name),
         *stat_path = xasprintf("%s/memory.stat", dir), text[SMALL];
    uint64_t limit = 0, used = 0, files = 0, n;
    bool known = slurp(limit_path, text) && field(text, "", &limit) && slurp(used_path, text) &&
                 field(text, "", &used);
    if (known && slurp(stat_path, text))
        for (int i = 0; i < 2; i++)
            files += field(text, cache[i], &n) ? n : 0;
    used = used > files ? used - files : 0;
    if (known && limit < m->total) {
        m->total = limit;
        m->limited = true;
    }
    if (known && limit < UINT64_MAX / 2) { /* version 1 says so large a number where there is no limit */
        uint64_t free = limit > used ? limit - used : 0;
        if (free < m->free) {
            m->free = free;
            m->limited = true;
        }
    }
    free(limit_path);
    free(used_path);
    free(stat_path);
}

/* The group at `path` below `mount` and all above it; in a container the path may be of outside, then the mount
 * itself is the group. */
static void groups(const char *mount, const char *path, const char *limit, const char *used,
                   const char *const cache[2], struct memory *m)
{
    char *dir = xasprintf("%s%s", mount, path);
    size_t least = strlen(mount);
    for (;;) {
        group(dir, limit, used, cache, m);
        char *slash = strrchr(dir, '/');
        if (!slash || (size_t)(slash - dir) < least)
            break;
        *slash = 0;
    }
    free(dir);
}

bool memory_look(const char *root, struct memory *m)
{
    static const char *const cache2[2] = {"inactive_file ", "active_file "}, *const cache1[2] = {
                                                                                 "total_inactive_file ",
                                                                                 "total_active_file "};
    char text[SMALL], *path = xasprintf("%s/proc/meminfo", root);
    uint64_t total = 0, avail = 0;
    *m = (struct memory){0};
    bool ok = slurp(path, text) && field(text, "MemTotal:", &total) && field(text, "MemAvailable:", &avail);
    free(path);
    if (!ok || total > UINT64_MAX / 1024 || avail > total)
        return false;
    m->total = total * 1024;
    m->free = avail * 1024;
    path = xasprintf("%s/proc/self/cgroup", root);
    char *v2 = xasprintf("%s/sys/fs/cgroup", root), *v1 = xasprintf("%s/sys/fs/cgroup/memory", root);
    if (slurp(path, text))
        for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save)) {
            char *kinds = strchr(line, ':'), *at = kinds ? strchr(kinds + 1, ':') : NULL;
            if (!at)
                continue;
            *at++ = 0;
            if (!kinds[1])
                groups(v2, at, "memory.max", "memory.current", cache2, m);
            else if (strstr(kinds, "memory"))
                groups(v1, at, "memory.limit_in_bytes", "memory.usage_in_bytes", cache1, m);
        }
    free(path);
    free(v2);
    free(v1);
    return true;
}
