/* opt.c - see opt.h. */
#include "base/opt.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

void opt_list_add(struct opt_list *l, const char *s)
{
    GROW(l->v, l->n, l->cap);
    l->v[l->n++] = s;
}

void opt_list_clear(struct opt_list *l)
{
    free(l->v);
    *l = (struct opt_list){0};
}

/* The option that `arg` (with its dashes) names, and the value that is glued to it ("--a=v", "-ov"), if
 * any. */
static const struct opt *find(const char *arg, const struct opt *const *tables, const char **glued)
{
    const struct opt *prefix = NULL;
    *glued = NULL;
    for (size_t t = 0; tables[t]; t++)
        for (const struct opt *o = tables[t]; o->kind != OPT_END; o++) {
            size_t n = strlen(o->name);
            if (o->kind == OPT_HEAD)
                continue;
            if (!strncmp(arg, "--", 2) && !strncmp(arg + 2, o->name, n) &&
                (!arg[2 + n] || arg[2 + n] == '=')) {
                *glued = arg[2 + n] ? arg + 3 + n : NULL;
                return o;
            }
            if (!o->alias)
                continue;
            if (!strcmp(arg, o->alias))
                return o;
            if (strlen(o->alias) == 2 && !strncmp(arg, o->alias, 2) && arg[1] != '-' && o->kind != OPT_FLAG)
                prefix = o;
        }
    if (prefix)
        *glued = arg + 2;
    return prefix;
}

static bool set_number(const struct opt *o, const char *v, struct err *e)
{
    double d;
    int64_t i;
    bool ok = o->kind == OPT_INT ? parse_i64(v, &i) : parse_f64(v, &d);
    if (!ok)
        return err_set(e, ERR_INPUT, "--%s: '%s' is not %s", o->name, v,
                       o->kind == OPT_INT ? "a whole number" : "a number");
    if (o->kind == OPT_INT)
        d = (double)i;
    if (d < o->min || d > o->max)
        return err_set(e, ERR_INPUT, "--%s: %s is out of range, expected %.15g to %.15g", o->name, v, o->min,
                       o->max);
    if (o->kind == OPT_INT)
        *(int64_t *)o->to = i;
    else
        *(double *)o->to = d;
    return true;
}

static bool set(const struct opt *o, const char *v, struct err *e)
{
    if (o->seen)
        *o->seen = true;
    switch (o->kind) {
    case OPT_FLAG: *(bool *)o->to = true; return true;
    case OPT_STR: *(const char **)o->to = v; return true;
    case OPT_LIST: opt_list_add(o->to, v); return true;
    case OPT_SIZE:
        return parse_size(v, o->to) ||
               err_set(e, ERR_INPUT, "--%s: '%s' is not a size such as 9.5G, 800M or 12GiB", o->name, v);
    case OPT_INT:
    case OPT_REAL: return set_number(o, v, e);
    case OPT_HEAD:
    case OPT_END: break;
    }
    return false;
}

bool opt_parse(int n, char **argv, const struct opt *const *tables, struct opt_list *rest, struct err *e)
{
    for (int i = 0; i < n; i++) {
        const char *a = argv[i], *v;
        if (a[0] != '-' || !a[1]) {
            opt_list_add(rest, a);
            continue;
        }
        if (!strcmp(a, "--")) {
            while (++i < n)
                opt_list_add(rest, argv[i]);
            break;
        }
        const struct opt *o = find(a, tables, &v);
        if (!o)
            return err_set(e, ERR_INPUT, "unknown option '%s'", a);
        if (o->kind == OPT_FLAG && v)
            return err_set(e, ERR_INPUT, "--%s takes no value", o->name);
        if (o->kind != OPT_FLAG && !v) {
            if (++i == n)
                return err_set(e, ERR_INPUT, "--%s needs a value (%s)", o->name, o->arg);
            v = argv[i];
        }
        if (!set(o, v, e))
            return false;
    }
    return true;
}

void opt_help(struct buf *b, const struct opt *const *tables)
{
    for (size_t t = 0; tables[t]; t++)
        for (const struct opt *o = tables[t]; o->kind != OPT_END; o++) {
            if (o->kind == OPT_HEAD) {
                buf_fmt(b, "\n%s:\n", o->name);
                continue;
            }
            char left[80];
            snprintf(left, sizeof left, "%s%s--%s%s%s", o->alias ? o->alias : "", o->alias ? ", " : "",
                     o->name, o->arg ? " " : "", o->arg ? o->arg : "");
            buf_fmt(b, "  %-32s%s%s\n", left, strlen(left) > 31 ? "\n                                  " : "",
                    o->help);
        }
}
