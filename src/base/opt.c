/* opt.c - parses a command line by its records; see opt.h. */
#include "base/opt.h"
#include "base/mem.h"
#include "base/near.h"
#include "base/opt_part.h"
#include "base/text.h"

#include <math.h>
#include <string.h>
#include <strings.h>

void opt_list_add(struct opt_list *l, const char *s)
{
    GROW(l->v, l->n, l->cap);
    l->v[l->n++] = s;
}

static void list_put_first(struct opt_list *l, const char *s)
{
    opt_list_add(l, s);
    memmove(l->v + 1, l->v, (l->n - 1) * sizeof *l->v);
    l->v[0] = s;
}

void opt_list_clear(struct opt_list *l)
{
    free(l->v);
    *l = (struct opt_list){0};
}

/* ---- names ---- */

static bool is_long(const char *arg, const char *name, const char **glued)
{
    size_t n = name ? strlen(name) : 0;
    if (!n || strncmp(arg, "--", 2) != 0 || strncmp(arg + 2, name, n) != 0 ||
        (arg[2 + n] && arg[2 + n] != '='))
        return false;
    *glued = arg[2 + n] ? arg + 3 + n : NULL;
    return true;
}

static bool takes_value(const struct opt *o)
{
    return o->kind != OPT_KIND_FLAG && o->kind != OPT_KIND_COUNT;
}

/* "-v", "-vv": how many; 0: it is another option. */
static int letters(const struct opt *o, const char *arg)
{
    if (o->kind != OPT_KIND_COUNT || !o->alias || arg[0] != '-' || arg[1] != o->alias[1])
        return 0;
    size_t n = strspn(arg + 1, o->alias + 1);
    return arg[1 + n] ? 0 : (int)n;
}

/* The row that `arg` (with its dashes) names, and the value that is glued to it ("--a=v", "-ov"), if any. */
static const struct opt *find(const struct opt *const *tables, const char *arg, uint32_t *row,
                              const char **glued)
{
    const struct opt *o, *prefix = NULL;
    *glued = NULL;
    for (uint32_t i = 0; (o = opt_at(tables, i)); i++) {
        if (o->kind == OPT_KIND_HEADING)
            continue;
        if (is_long(arg, o->name, glued) || is_long(arg, o->also, glued) ||
            (o->alias && !strcmp(arg, o->alias)) || letters(o, arg)) {
            *row = i;
            return o;
        }
        if (o->alias && strlen(o->alias) == 2 && !strncmp(arg, o->alias, 2) && arg[1] != '-' &&
            takes_value(o)) {
            prefix = o;
            *row = i;
        }
    }
    if (prefix)
        *glued = arg + 2;
    return prefix;
}

static int usage_len(const struct opt_spec *s) /* of the first form */
{
    return (int)strcspn(s->usage, "\n");
}

static bool unknown(const struct parser *p, const char *arg, struct err *e)
{
    struct buf typed = {0};
    const struct opt *o;
    if (!strncmp(p->spec->usage, "MODEL", 5) && (!strcmp(arg, "-m") || !strcmp(arg, "--model")))
        return err_set(e, ERR_INPUT, "unknown option '%s': the model stands without one; usage: %s %.*s", arg,
                       p->spec->name, usage_len(p->spec), p->spec->usage);
    const char *name = arg + strspn(arg, "-");
    buf_add(&typed, name, strcspn(name, "="));
    struct near n = {.typed = typed.s ? typed.s : ""};
    for (uint32_t i = 0; (o = opt_at(p->spec->tables, i)); i++) {
        if (o->kind == OPT_KIND_HEADING)
            continue;
        near_try(&n, o->name);
        if (o->also)
            near_try(&n, o->also);
    }
    err_set(e, ERR_INPUT, "unknown option '%s'%s%s%s %s --help lists them", arg,
            n.best ? ": did you mean --" : ";", n.best ? n.best : "", n.best ? "?" : "", p->spec->name);
    buf_clear(&typed);
    return false;
}

/* ---- values ---- */

static bool out_of_range(const struct opt *o, const char *v, struct err *e)
{
    return err_set(e, ERR_INPUT, "--%s: %s is out of range, expected %.15g to %.15g", o->name, v, o->min,
                   o->max);
}

static bool set_int(const struct opt *o, const char *v, struct err *e)
{
    int64_t i;
    if (!parse_i64(v, &i))
        return err_set(e, ERR_INPUT, "--%s: '%s' is not a whole number", o->name, v);
    if ((double)i < o->min || (double)i > o->max)
        return out_of_range(o, v, e);
    *(int64_t *)o->to = i;
    return true;
}

static bool set_real(const struct opt *o, const char *v, struct err *e)
{
    double d;
    if (!parse_f64(v, &d))
        return err_set(e, ERR_INPUT, "--%s: '%s' is not a number", o->name, v);
    if (d < o->min || d > o->max)
        return out_of_range(o, v, e);
    *(double *)o->to = d;
    return true;
}

/* A number with one of the units (letters) behind it, or without; *unit: its place, -1 without. */
static bool with_unit(const char *v, const char *units, double *out, int *unit)
{
    char number[40];
    size_t n = strlen(v);
    const char *u = n ? strchr(units, v[n - 1]) : NULL;
    if (n >= sizeof number)
        return false;
    snprintf(number, sizeof number, "%.*s", (int)(u ? n - 1 : n), v);
    *unit = u ? (int)(u - units) : -1;
    return parse_f64(number, out);
}

/* "25" where a share is wanted is 25 % to some and a mistake to others, so it is asked about. */
static bool share_range(const struct opt *o, const char *v, double d, bool percent, struct err *e)
{
    char hint[80] = "";
    if (d >= o->min && d <= o->max && (percent || d <= 1))
        return true;
    if (!percent && d >= 1 && d <= 100 && d / 100 >= o->min && d / 100 <= o->max)
        snprintf(hint, sizeof hint, ": did you mean %.6g%% or %.6g?", d, d / 100);
    if (!percent && d > 1 && d <= o->max)
        return err_set(e, ERR_INPUT, "--%s: %s is %.6g%%%s", o->name, v, 100 * d,
                       *hint ? hint : "; a share above 1 wants its percent sign");
    return err_set(e, ERR_INPUT, "--%s: %s is out of range, expected %.15g to %.15g%s", o->name, v, o->min,
                   o->max, hint);
}

static bool read_share(const struct opt *o, const char *v, double *out, struct err *e)
{
    int unit;
    if (!with_unit(v, "%", out, &unit))
        return err_set(e, ERR_INPUT, "--%s: '%s' is not a number, expected a share such as 0.25 or 25%%",
                       o->name, v);
    *out /= unit < 0 ? 1 : 100;
    return share_range(o, v, *out, unit >= 0, e);
}

static bool set_share(const struct opt *o, const char *v, struct err *e)
{
    double d;
    if (!read_share(o, v, &d, e))
        return false;
    *(double *)o->to = d;
    return true;
}

static bool set_duration(const struct opt *o, const char *v, struct err *e)
{
    static const double secs[] = {1, 60, 3600};
    double d;
    int unit;
    if (!with_unit(v, "smh", &d, &unit))
        return err_set(e, ERR_INPUT, "--%s '%s': expected a time such as 600, 10m or 2h", o->name, v);
    d *= unit < 0 ? 1 : secs[unit];
    if (d < o->min || d > o->max)
        return out_of_range(o, v, e);
    *(double *)o->to = d;
    return true;
}

static bool not_known(const char *what, const struct opt_choices *c, const char *v, struct err *e)
{
    struct near n = {.typed = v};
    struct buf all = {0};
    const char *why = c->why_not ? c->why_not(v) : NULL;
    if (why)
        return err_set(e, ERR_INPUT, "%s '%s' %s", what, v, why);
    for (uint32_t i = 0; opt_choice(c, i); i++) {
        near_try(&n, opt_choice(c, i));
        buf_fmt(&all, "%s%s", i ? ", " : "", opt_choice(c, i));
    }
    err_set(e, ERR_INPUT, "%s '%s' is not known: %s%s%sit is one of %s", what, v,
            n.best ? "did you mean " : "", n.best ? n.best : "", n.best ? "? " : "", all.s);
    buf_clear(&all);
    return false;
}

bool opt_word(const char *what, const struct opt_choices *c, const char *v, uint32_t *out, struct err *e)
{
    if (c->find)
        return c->find(v, out) || not_known(what, c, v, e);
    for (uint32_t i = 0; opt_choice(c, i); i++)
        if (!(c->any_case ? strcasecmp : strcmp)(v, opt_choice(c, i))) {
            *out = i;
            return true;
        }
    return not_known(what, c, v, e);
}

static bool choose(const struct opt *o, const char *v, uint32_t *out, struct err *e)
{
    char what[64];
    snprintf(what, sizeof what, "--%s", o->name);
    return opt_word(what, o->choices, v, out, e);
}

static bool set_word(const struct opt *o, const char *v, struct err *e)
{
    uint32_t i;
    if (!choose(o, v, &i, e))
        return false;
    *(const char **)o->to = opt_choice(o->choices, i);
    return true;
}

static bool add_pick(const struct opt *o, const char *v, struct err *e)
{
    struct opt_picks *l = o->to;
    uint32_t pick = 0;
    if (!choose(o, v, &pick, e))
        return false;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->v[i] == pick)
            return true; /* named twice, and wanted once */
    GROW(l->v, l->n, l->cap);
    l->v[l->n++] = pick;
    return true;
}

static bool add_ratio(const struct opt *o, const char *v, struct err *e)
{
    struct opt_ratios *l = o->to;
    GROW(l->v, l->n, l->cap);
    return read_share(o, v, &l->v[l->n++], e);
}

/* "a,b,c"; the list before is forgotten. */
static bool set_list(const struct opt *o, const char *v, uint32_t *n,
                     bool (*add)(const struct opt *o, const char *v, struct err *e), struct err *e)
{
    char *s = xstrdup(v), *save = NULL;
    bool ok = true;
    *n = 0;
    for (char *x = strtok_r(s, ",", &save); ok && x; x = strtok_r(NULL, ",", &save))
        ok = add(o, x, e);
    free(s);
    return ok && (*n || err_set(e, ERR_INPUT, "--%s: the list is empty", o->name));
}

bool opt_set(const struct opt *o, const char *v, struct err *e)
{
    switch (o->kind) {
    case OPT_KIND_FLAG: *(bool *)o->to = true; return true;
    case OPT_KIND_COUNT: ++*(int *)o->to; return true;
    case OPT_KIND_INT: return set_int(o, v, e);
    case OPT_KIND_REAL: return set_real(o, v, e);
    case OPT_KIND_SHARE: return set_share(o, v, e);
    case OPT_KIND_DURATION: return set_duration(o, v, e);
    case OPT_KIND_SIZE:
        return parse_size(v, o->to) ||
               err_set(e, ERR_INPUT, "--%s: '%s' is not a size such as 9.5G, 800M or 12GiB", o->name, v);
    case OPT_KIND_STR:
    case OPT_KIND_PATH:
    case OPT_KIND_DIR:
    case OPT_KIND_CONFIG:
    case OPT_KIND_MODEL:
    case OPT_KIND_OPERAND: *(const char **)o->to = v; return true;
    case OPT_KIND_PATHS:
    case OPT_KIND_STRS: opt_list_add(o->to, v); return true;
    case OPT_KIND_CHOICE: return choose(o, v, o->to, e);
    case OPT_KIND_WORD: return set_word(o, v, e);
    case OPT_KIND_PICKS: return set_list(o, v, &((struct opt_picks *)o->to)->n, add_pick, e);
    case OPT_KIND_RATIOS: return set_list(o, v, &((struct opt_ratios *)o->to)->n, add_ratio, e);
    case OPT_KIND_HEADING:
    case OPT_KIND_END: break;
    }
    BUG("an option of no kind");
}

/* ---- the whole line ---- */

static void set_defaults(const struct opt_spec *s)
{
    struct err e = {0};
    const struct opt *o;
    for (uint32_t i = 0; (o = opt_at(s->tables, i)); i++) {
        if (i >= OPT_MAX_ROWS)
            BUG("too many options");
        if (o->dflt && !opt_set(o, o->dflt, &e))
            BUG("a default that its own row does not take");
    }
}

static bool parse_one(struct parser *p, int n, char **argv, int *at, struct err *e)
{
    const char *v;
    uint32_t row = 0;
    const struct opt *o = find(p->spec->tables, argv[*at], &row, &v);
    if (!o)
        return unknown(p, argv[*at], e);
    if (!takes_value(o) && v)
        return err_set(e, ERR_INPUT, "--%s takes no value", o->name);
    if (o->kind == OPT_KIND_COUNT)
        *(int *)o->to += letters(o, argv[*at]) > 1 ? letters(o, argv[*at]) - 1 : 0;
    if (takes_value(o) && !v) {
        if (++*at == n)
            return err_set(e, ERR_INPUT, "--%s needs a value (%s)", o->name, o->arg);
        v = argv[*at];
    }
    p->given[row] = true;
    if (o->seen)
        *o->seen = true;
    if (!opt_set(o, v, e))
        return false;
    opt_keep(p, o, v);
    if (o->kind == OPT_KIND_OPERAND)
        p->operand = v;
    return true;
}

static bool check_operands(const struct opt_spec *s, const struct opt_list *args, struct err *e)
{
    if (args->n >= s->min_args && args->n <= s->max_args)
        return true;
    bool few = args->n < s->min_args;
    return err_set(e, ERR_INPUT, "%s operand%s%s%s; usage: %s %.*s", few ? "missing" : "unexpected",
                   few ? "" : " '", few ? "" : args->v[s->max_args], few ? "" : "'", s->name, usage_len(s),
                   s->usage);
}

/* "--a, --b and --c" */
static void list_group(struct buf *b, const struct opt_spec *s, char group)
{
    const struct opt *o, *last = NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; (o = opt_at(s->tables, i)); i++) {
        if (o->group != group)
            continue;
        if (last)
            buf_fmt(b, "%s--%s", n++ ? ", " : "", last->name);
        last = o;
    }
    if (last)
        buf_fmt(b, "%s--%s", n ? " and " : "", last->name);
}

bool opt_need_group(const struct opt_spec *s, char group, struct err *e)
{
    struct buf b = {0};
    list_group(&b, s, group);
    err_set(e, ERR_INPUT, "give one of %s", b.s);
    buf_clear(&b);
    return false;
}

static bool check_group(const struct parser *p, uint32_t row, const struct opt *o, struct err *e)
{
    const struct opt *x;
    uint32_t n = 0;
    const struct opt *other = NULL;
    for (uint32_t i = 0; (x = opt_at(p->spec->tables, i)); i++) {
        if (x->group != o->group)
            continue;
        n++;
        if (i > row && p->given[i] && !other)
            other = x;
    }
    if (!other)
        return true;
    struct buf b = {0};
    if (n > 2) {
        buf_str(&b, ": give one of ");
        list_group(&b, p->spec, o->group);
    }
    err_set(e, ERR_INPUT, "--%s and --%s exclude each other%s", o->name, other->name, b.s ? b.s : "");
    buf_clear(&b);
    return false;
}

static bool is_given(const struct parser *p, const char *name)
{
    const struct opt *o;
    for (uint32_t i = 0; (o = opt_at(p->spec->tables, i)); i++)
        if (p->given[i] && !strcmp(o->name, name))
            return true;
    return false;
}

static bool check_rows(const struct parser *p, struct err *e)
{
    const struct opt *o;
    for (uint32_t i = 0; (o = opt_at(p->spec->tables, i)); i++) {
        if (o->required && !p->given[i] && !(o->unless && is_given(p, o->unless)))
            return err_set(e, ERR_INPUT, "--%s is missing: %s; usage: %s %.*s", o->name, o->help,
                           p->spec->name, usage_len(p->spec), p->spec->usage);
        if (o->group && p->given[i] && !check_group(p, i, o, e))
            return false;
    }
    return true;
}

int opt_first_operand(int n, char **argv, const struct opt *const *tables)
{
    uint32_t row;
    const char *v;
    for (int i = 0; i < n; i++) {
        const struct opt *o = argv[i][0] == '-' ? find(tables, argv[i], &row, &v) : NULL;
        if (!o)
            return i;
        i += takes_value(o) && !v;
    }
    return n;
}

const char *opt_peek(int n, char **argv, const char *name)
{
    const char *v;
    for (int i = 0; i < n && strcmp(argv[i], "--") != 0; i++)
        if (is_long(argv[i], name, &v))
            return v ? v : i + 1 < n ? argv[i + 1] : "";
    return NULL;
}

bool opt_parse(int n, char **argv, const struct opt_spec *s, struct opt_list *rest, struct err *e)
{
    struct parser p = {.spec = s};
    opt_keep_begin(&p);
    set_defaults(s);
    for (int i = 0; i < n; i++) {
        const char *a = argv[i];
        if (a[0] != '-' || !a[1]) {
            opt_list_add(rest, a);
        } else if (!strcmp(a, "--")) {
            while (++i < n)
                opt_list_add(rest, argv[i]);
        } else if (!parse_one(&p, n, argv, &i, e)) {
            return false;
        }
    }
    if (!opt_config(&p, rest, e))
        return false;
    if (p.operand)
        list_put_first(rest, p.operand);
    else
        opt_keep_operand(&p, rest);
    return check_operands(s, rest, e) && check_rows(&p, e);
}
