/* hub_path.c - see hub_path.h. */
#include "base/hub_path.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ID 200

bool hub_is_id(const char *s)
{
    static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t org = strspn(s, ok);
    if (!org || *s == '-' || *s == '.' || s[org] != '/' || strstr(s, "--") || strstr(s, ".."))
        return false;
    const char *name = s + org + 1;
    size_t n = strspn(name, ok);
    return n && *name != '.' && name[n] == 0 && org + 1 + n <= MAX_ID;
}

struct part {
    const char *s;
    size_t n;
};

static bool is(struct part p, const char *s)
{
    return p.n == strlen(s) && !memcmp(p.s, s, p.n);
}

static char *id_of(const char *path)
{
    struct part part[3] = {0}; /* the last components, the last first */
    const char *end = path + strlen(path);
    for (int i = 0; i < 3; i++) {
        while (end > path && end[-1] == '/')
            end--;
        const char *start = end;
        while (start > path && start[-1] != '/')
            start--;
        part[i] = (struct part){start, (size_t)(end - start)};
        end = start;
    }
    size_t n = strlen(HUB_FOLDER);
    if (!part[0].n || !is(part[1], "snapshots") || part[2].n <= n || memcmp(part[2].s, HUB_FOLDER, n) != 0)
        return NULL;
    char *id = xstrndup(part[2].s + n, part[2].n - n), *sep = strstr(id, "--");
    if (sep) {
        *sep = '/';
        memmove(sep + 1, sep + 2, strlen(sep + 2) + 1);
        if (hub_is_id(id))
            return id;
    }
    free(id);
    return NULL;
}

char *hub_id_of_path(const char *path)
{
    char *id = id_of(path);
    if (id)
        return id;
    char *real = realpath(path, NULL);
    id = real ? id_of(real) : NULL;
    free(real);
    return id;
}
