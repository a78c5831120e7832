/* questions.c - see questions.h. */
#include "results/questions.h"
#include "base/mem.h"

/* ---- writing ---- */

static json_t *paired_json(const struct questions_paired *p)
{
    json_t *o = json_object();
    json_object_set_new(o, "lost", json_integer((json_int_t)p->lost));
    json_object_set_new(o, "won", json_integer((json_int_t)p->won));
    json_put_f64(o, "diff", p->diff);
    json_put_f64(o, "low", p->low);
    json_put_f64(o, "high", p->high);
    json_put_f64(o, "p", p->p);
    return o;
}

static json_t *side_json(const struct questions_side *s)
{
    json_t *o = json_object();
    if (s->plan) {
        json_object_set_new(o, "plan", json_text(s->plan));
        json_object_set_new(o, "n_keep", json_integer((json_int_t)s->n_keep));
        json_put_text(o, "criterion", s->criterion);
    }
    json_put_f64(o, "acc", s->acc);
    json_put_f64(o, "acc_stderr", s->acc_stderr);
    json_put_f64(o, "acc_norm", s->acc_norm);
    json_put_f64(o, "acc_norm_stderr", s->acc_norm_stderr);
    if (s->plan) {
        json_object_set_new(o, "acc_paired", paired_json(&s->paired));
        json_object_set_new(o, "acc_norm_paired", paired_json(&s->paired_norm));
    }
    return o;
}

json_t *questions_json(const struct questions_scores *c)
{
    json_t *o = json_object(), *list = json_array();
    for (uint32_t i = 0; i < c->n_sides; i++)
        json_array_append_new(list, side_json(&c->sides[i]));
    json_object_set_new(o, "name", json_text(c->name));
    json_put_text(o, "form", c->form);
    json_object_set_new(o, "n_questions", json_integer((json_int_t)c->n_questions));
    json_object_set_new(o, "n_tokens", json_integer((json_int_t)c->n_tokens));
    json_object_set_new(o, "results", list);
    return o;
}

/* ---- reading ---- */

static bool read_paired(const json_t *o, const char *key, const char *where, struct questions_paired *p,
                        struct err *e)
{
    json_t *x;
    char at[96];
    snprintf(at, sizeof at, "%.60s.%s", where, key);
    return json_opt_obj(o, key, where, &x, e) && json_opt_u64(x, "lost", at, 0, &p->lost, e) &&
           json_opt_u64(x, "won", at, 0, &p->won, e) && json_opt_f64(x, "diff", at, &p->diff, e) &&
           json_opt_f64(x, "low", at, &p->low, e) && json_opt_f64(x, "high", at, &p->high, e) &&
           json_opt_f64(x, "p", at, &p->p, e);
}

static bool read_side(const json_t *o, const char *where, struct questions_side *s, struct err *e)
{
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(o));
    return json_opt_str(o, "plan", where, &s->plan, e) &&
           json_opt_str(o, "criterion", where, &s->criterion, e) &&
           json_opt_u64(o, "n_keep", where, 0, &s->n_keep, e) && json_opt_f64(o, "acc", where, &s->acc, e) &&
           json_opt_f64(o, "acc_stderr", where, &s->acc_stderr, e) &&
           json_opt_f64(o, "acc_norm", where, &s->acc_norm, e) &&
           json_opt_f64(o, "acc_norm_stderr", where, &s->acc_norm_stderr, e) &&
           read_paired(o, "acc_paired", where, &s->paired, e) &&
           read_paired(o, "acc_norm_paired", where, &s->paired_norm, e);
}

bool questions_read(const json_t *o, const char *where, struct questions_scores *c, struct err *e)
{
    json_t *list;
    *c = (struct questions_scores){0};
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(o));
    if (!json_need_str(o, "name", where, &c->name, e) || !json_opt_str(o, "form", where, &c->form, e) ||
        !json_opt_u64(o, "n_questions", where, 0, &c->n_questions, e) ||
        !json_opt_u64(o, "n_tokens", where, 0, &c->n_tokens, e) ||
        !json_need_arr(o, "results", where, &list, e) ||
        !(c->sides = mem_try(json_array_size(list), sizeof *c->sides, "the results", e)))
        return false;
    for (; c->n_sides < json_array_size(list); c->n_sides++) {
        char at[80];
        snprintf(at, sizeof at, "%.40s, result %u", where, c->n_sides);
        if (!read_side(json_array_get(list, c->n_sides), at, &c->sides[c->n_sides], e)) {
            free(c->sides);
            *c = (struct questions_scores){0};
            return false;
        }
    }
    return true;
}
