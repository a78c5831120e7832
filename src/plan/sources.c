/* sources.c - see sources.h. */
#include "plan/sources.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

bool plan_sources_add(struct plan_sources *s, const char *arg, bool weighted, struct err *e)
{
    double weight = 1;
    const char *colon = weighted ? strrchr(arg, ':') : NULL;
    size_t n = strlen(arg);
    if (colon && parse_f64(colon + 1, &weight))
        n = (size_t)(colon - arg);
    else
        weight = 1;
    if (!(weight > 0 && weight <= 1e9))
        return err_set(e, ERR_INPUT, "--stats '%s': the weight must be above 0 (and at most 1e9)", arg);
    GROW(s->v, s->n, s->cap);
    s->v[s->n++] = (struct plan_source){.path = xstrndup(arg, n), .weight = weight};
    return true;
}

bool plan_sources_load(struct plan_sources *s, const char *out, struct err *e)
{
    for (uint32_t i = 0; i < s->n; i++) {
        const char *path = s->v[i].path;
        for (uint32_t k = 0; k < i; k++)
            if (file_same(s->v[k].path, path))
                return err_set(e, ERR_INPUT, "'%s' is given twice; --stats %s:2 gives it a weight", path,
                               path);
        if (!stats_check_apart(out, path, "an input", e) || !(s->v[i].stats = stats_load(path, e)))
            return false;
    }
    return true;
}

void plan_sources_clear(struct plan_sources *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        free((void *)s->v[i].path);
        stats_free((void *)s->v[i].stats);
    }
    free(s->v);
    *s = (struct plan_sources){0};
}
