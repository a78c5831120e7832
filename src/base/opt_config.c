/* opt_config.c - options from a file, and a file of what was given; see opt.h. */
#include "base/file.h"
#include "base/mem.h"
#include "base/near.h"
#include "base/opt_part.h"
#include "base/text.h"

#include <string.h>

#define MAX_FILE (1u << 20)

void opt_kept_clear(struct opt_kept *k)
{
    json_decref(k->job);
    json_decref(k->file);
    *k = (struct opt_kept){0};
}

/* ---- names ---- */

/* The first word of the usage, in small letters, unless it names an option: what the first operand is called;
 * empty: it has no name. */
static void operand_name(const struct opt_spec *s, char name[32])
{
    size_t n = strspn(s->usage, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    const struct opt *o;
    name[0] = 0;
    if (n < 2 || n >= 32 || !s->max_args)
        return;
    for (size_t i = 0; i < n; i++)
        name[i] = (char)(s->usage[i] - 'A' + 'a');
    name[n] = 0;
    for (uint32_t i = 0; (o = opt_at(s->tables, i)); i++)
        if (o->kind != OPT_KIND_HEADING && !strcmp(o->name, name))
            name[0] = 0;
}

static const struct opt *row_of(const struct opt_spec *s, const char *key, uint32_t *row)
{
    const struct opt *o;
    for (*row = 0; (o = opt_at(s->tables, *row)); ++*row)
        if (o->kind != OPT_KIND_HEADING && (!strcmp(o->name, key) || (o->also && !strcmp(o->also, key))))
            return o;
    return NULL;
}

static bool unknown(const struct opt_spec *s, const char *key, struct err *e)
{
    struct near n = {.typed = key};
    const struct opt *o;
    char operand[32];
    for (uint32_t i = 0; (o = opt_at(s->tables, i)); i++)
        if (o->kind != OPT_KIND_HEADING)
            near_try(&n, o->name);
    operand_name(s, operand);
    if (operand[0])
        near_try(&n, operand);
    return err_set(e, ERR_INPUT, "unknown key '%.60s'%s%s%s %s --help lists the options", key,
                   n.best ? ": did you mean " : ";", n.best ? n.best : "", n.best ? "?" : "", s->name);
}

/* ---- keeping ---- */

static bool is_several(const struct opt *o) /* of values, each on its own */
{
    return o->kind == OPT_KIND_PATHS || o->kind == OPT_KIND_STRS;
}

void opt_keep_begin(struct parser *p)
{
    struct opt_kept *k = p->spec->kept;
    if (k && !k->job)
        k->job = json_object();
}

static json_t *as_value(const struct opt *o, const char *v)
{
    double plain;
    switch (o->kind) {
    case OPT_KIND_FLAG:
    case OPT_KIND_COUNT: return json_true();
    case OPT_KIND_INT: return json_integer(*(const int64_t *)o->to);
    case OPT_KIND_REAL: return json_real(*(const double *)o->to);
    case OPT_KIND_SHARE: return parse_f64(v, &plain) ? json_real(plain) : json_text(v);
    default: return json_text(v);
    }
}

void opt_keep(struct parser *p, const struct opt *o, const char *v)
{
    struct opt_kept *k = p->spec->kept;
    if (!k || o->of_call || o->kind == OPT_KIND_CONFIG)
        return;
    json_t *list = is_several(o) ? json_object_get(k->job, o->name) : NULL;
    if (list)
        json_array_append_new(list, as_value(o, v));
    else if (is_several(o))
        json_object_set_new(k->job, o->name, json_pack("[o]", as_value(o, v)));
    else
        json_object_set_new(k->job, o->name, as_value(o, v));
}

void opt_keep_operand(struct parser *p, const struct opt_list *operands)
{
    char name[32];
    operand_name(p->spec, name);
    if (p->spec->kept && name[0] && operands->n)
        json_object_set_new(p->spec->kept->job, name, json_text(operands->v[0]));
}

/* ---- values of the file ---- */

static bool is_flag(const struct opt *o)
{
    return o->kind == OPT_KIND_FLAG || o->kind == OPT_KIND_COUNT;
}

static bool is_list(const struct opt *o)
{
    return is_several(o) || o->kind == OPT_KIND_PICKS || o->kind == OPT_KIND_RATIOS;
}

static bool is_number(const struct opt *o)
{
    return o->kind == OPT_KIND_INT || o->kind == OPT_KIND_REAL || o->kind == OPT_KIND_SHARE ||
           o->kind == OPT_KIND_SIZE || o->kind == OPT_KIND_DURATION || o->kind == OPT_KIND_RATIOS;
}

static bool wrong(const struct opt *o, const json_t *v, struct err *e)
{
    const char *want = is_flag(o)     ? "true or false"
                       : is_list(o)   ? "a text or a list of them"
                       : is_number(o) ? "a number, or a text as on the command line"
                                      : "a text";
    return err_set(e, ERR_INPUT, "'%s' is %s, expected %s", o->name, json_type_name(v), want);
}

/* A number as one would type it; false: the option takes none, or the value is none. */
static bool number_text(const struct opt *o, const json_t *v, char text[40])
{
    if (!is_number(o) || !json_is_number(v))
        return false;
    if (json_is_integer(v)) {
        snprintf(text, 40, "%lld", (long long)json_integer_value(v));
        return true;
    }
    for (int digits = 6; digits <= 17; digits++) { /* the shortest that is the same */
        double back;
        snprintf(text, 40, "%.*g", digits, json_real_value(v));
        if (parse_f64(text, &back) && back >= json_real_value(v) && back <= json_real_value(v))
            break;
    }
    return true;
}

static bool set_one(struct parser *p, const struct opt *o, const json_t *v, struct err *e)
{
    char number[40];
    const char *s = json_string_value(v);
    if (!s && number_text(o, v, number))
        s = number;
    if (!s)
        return wrong(o, v, e);
    if (!opt_set(o, s, e))
        return false;
    opt_keep(p, o, s);
    return true;
}

/* "a,b" of a list, as it is typed. */
static bool set_joined(struct parser *p, const struct opt *o, const json_t *v, struct err *e)
{
    struct buf b = {0};
    size_t i;
    json_t *x;
    bool ok = true;
    json_array_foreach (v, i, x) {
        char number[40];
        const char *s = json_string_value(x);
        if (!s && number_text(o, x, number))
            s = number;
        ok = ok && (s || wrong(o, x, e));
        buf_fmt(&b, "%s%s", i ? "," : "", s ? s : "");
    }
    buf_str(&b, "");
    ok = ok && opt_set(o, b.s, e);
    if (ok)
        opt_keep(p, o, b.s);
    buf_clear(&b);
    return ok;
}

static bool set_value(struct parser *p, const struct opt *o, const json_t *v, struct err *e)
{
    size_t i;
    json_t *x;
    if (is_flag(o)) {
        if (!json_is_boolean(v))
            return wrong(o, v, e);
        if (!json_is_true(v))
            return true;
        opt_keep(p, o, NULL);
        return opt_set(o, NULL, e);
    }
    if (!is_list(o) || !json_is_array(v))
        return set_one(p, o, v, e);
    if (!is_several(o))
        return set_joined(p, o, v, e);
    json_array_foreach (v, i, x) {
        if (!set_one(p, o, x, e))
            return false;
    }
    return true;
}

/* ---- the file ---- */

/* Given on the line, or another of its group. */
static bool is_overruled(const struct parser *p, const bool *line, uint32_t row, const struct opt *o)
{
    const struct opt *x;
    for (uint32_t i = 0; (x = opt_at(p->spec->tables, i)); i++)
        if (line[i] && (i == row || (o->group && x->group == o->group)))
            return true;
    return false;
}

static bool take(struct parser *p, const bool *line, const char *key, const json_t *v,
                 struct opt_list *operands, struct err *e)
{
    char operand[32];
    uint32_t row;
    const struct opt *o = row_of(p->spec, key, &row);
    operand_name(p->spec, operand);
    if (!o && operand[0] && !strcmp(key, operand)) {
        if (!json_is_string(v))
            return err_set(e, ERR_INPUT, "'%s' is %s, expected a text", operand, json_type_name(v));
        if (!operands->n && !p->operand)
            opt_list_add(operands, json_string_value(v));
        return true;
    }
    if (!o)
        return unknown(p->spec, key, e);
    if (o->kind == OPT_KIND_CONFIG || !strcmp(o->name, "help"))
        return err_set(e, ERR_INPUT, "'%s' is for the command line", key);
    if (is_overruled(p, line, row, o) || (o->kind == OPT_KIND_OPERAND && operands->n))
        return true;
    if (p->given[row])
        return err_set(e, ERR_INPUT, "'%s' and '%s' are the same option", o->name, o->also);
    p->given[row] = !is_flag(o) || json_is_true(v);
    if (o->seen)
        *o->seen = p->given[row];
    if (!set_value(p, o, v, e))
        return false;
    if (o->kind == OPT_KIND_OPERAND)
        p->operand = *(const char **)o->to;
    return true;
}

/* What the file says; a record of a call stands for its job. */
static const json_t *options_of(const json_t *doc, struct err *e)
{
    const json_t *job = json_object_get(doc, "job");
    const char *schema = json_string_value(json_object_get(doc, "schema"));
    if (json_is_object(job))
        return job;
    if (!json_is_object(doc))
        err_set(e, ERR_INPUT, "is %s, expected an object of options", json_type_name(doc));
    else if (schema)
        err_set(e, ERR_INPUT, "is a file of schema '%.60s' without a job, not one of options", schema);
    return e->code == ERR_NONE ? doc : NULL;
}

bool opt_config(struct parser *p, struct opt_list *operands, struct err *e)
{
    const struct opt *o;
    const char *path = NULL, *key;
    json_t *v;
    struct buf b = {0};
    bool line[OPT_MAX_ROWS];
    for (uint32_t i = 0; (o = opt_at(p->spec->tables, i)); i++)
        if (o->kind == OPT_KIND_CONFIG && p->given[i])
            path = *(const char **)o->to;
    if (!path)
        return true;
    struct opt_kept *k = p->spec->kept;
    if (!k)
        BUG("nobody keeps the texts of a file of options");
    memcpy(line, p->given, sizeof line);
    if (!file_read_all(path, MAX_FILE, &b, e))
        return false;
    k->file = json_parse(b.s ? b.s : "", b.n, e);
    buf_clear(&b);
    const json_t *options = k->file ? options_of(k->file, e) : NULL;
    bool ok = options != NULL;
    if (ok)
        json_object_foreach ((json_t *)(uintptr_t)options, key, v) {
            if (ok)
                ok = take(p, line, key, v, operands, e);
        }
    return ok || err_ctx(e, "%s", path);
}
