/* eval.c - see eval.h. */
#include "results/eval.h"
#include "base/mem.h"
#include "results/results_part.h"

#include <math.h>
#include <string.h>

#define SCHEMA "reap.eval/1"

/* ---- writing ---- */

void eval_put_against(json_t *o, const struct eval_against *a)
{
    json_t *kl = json_object();
    json_object_set_new(o, "base_ppl", json_real(a->base.ppl));
    json_object_set_new(o, "base_ppl_stderr", json_real(a->base.ppl_stderr));
    json_object_set_new(o, "ln_ppl_ratio", json_real(a->ln_ratio));
    json_object_set_new(o, "ln_ppl_ratio_stderr", json_real(a->ln_ratio_stderr));
    json_object_set_new(kl, "mean", json_real(a->kl_mean));
    json_object_set_new(kl, "stderr", json_real(a->kl_stderr));
    if (!isnan(a->kl_max)) {
        json_object_set_new(kl, "median", json_real(a->kl_median));
        json_object_set_new(kl, "p90", json_real(a->kl_p90));
        json_object_set_new(kl, "p99", json_real(a->kl_p99));
        json_object_set_new(kl, "max", json_real(a->kl_max));
    }
    json_object_set_new(o, "kl", kl);
    json_object_set_new(o, "top1_agreement", json_real(a->top1));
    json_object_set_new(o, "top1_stderr", json_real(a->top1_stderr));
    json_object_set_new(o, "dp_rms", json_real(a->dp_rms));
    json_object_set_new(o, "dp_rms_stderr", json_real(a->dp_rms_stderr));
}

static json_t *text_json(const struct eval_text *t)
{
    const struct eval_score *s = &t->score;
    json_t *o = json_object();
    json_object_set_new(o, "name", json_text(t->name));
    json_object_set_new(o, "n_tokens", json_integer((json_int_t)s->n_tokens));
    json_object_set_new(o, "n_windows", json_integer((json_int_t)s->n_windows));
    json_object_set_new(o, "n_scored", json_integer((json_int_t)s->n_scored));
    if (s->n_scored) {
        json_object_set_new(o, "nll", json_real(s->nll));
        json_object_set_new(o, "ppl", json_real(s->ppl));
        json_object_set_new(o, "ppl_stderr", json_real(s->ppl_stderr));
    }
    if (t->compared)
        eval_put_against(o, &t->against);
    return o;
}

static json_t *plan_json(const struct eval_plan *p)
{
    json_t *o = json_object();
    json_object_set_new(o, "file", json_text(p->file));
    json_object_set_new(o, "n_keep", json_integer((json_int_t)p->n_keep));
    if (p->criterion)
        json_object_set_new(o, "criterion", json_string(p->criterion));
    return o;
}

static void put_texts(json_t *o, const struct eval_text *texts, uint32_t n, struct eval_text total)
{
    json_t *a = json_array();
    total.name = "total";
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(a, text_json(&texts[i]));
    json_object_set_new(o, "texts", a);
    json_object_set_new(o, "total", text_json(&total));
}

static json_t *difference_value(double mean, double error, bool differs)
{
    json_t *o = json_object();
    json_object_set_new(o, "mean", json_finite(mean));
    json_object_set_new(o, "stderr", json_finite(error));
    json_object_set_new(o, "differs", json_boolean(differs));
    return o;
}

static json_t *other_json(const struct eval_other *x)
{
    const struct eval_difference *d = &x->diff;
    json_t *o = json_object(), *diff = json_object();
    json_object_set_new(o, "plan", plan_json(&x->plan));
    put_texts(o, x->texts, x->n_texts, x->total);
    json_object_set_new(diff, "n_windows", json_integer((json_int_t)d->n_windows));
    json_object_set_new(diff, "kl", difference_value(d->kl, d->kl_stderr, d->kl_differs));
    json_object_set_new(diff, "nll", difference_value(d->nll, d->nll_stderr, d->nll_differs));
    json_object_set_new(o, "difference", diff);
    return o;
}

json_t *eval_json(const struct eval_file *f)
{
    json_t *o = json_object(), *others = json_array();
    for (uint32_t i = 0; i < f->n_others; i++)
        json_array_append_new(others, other_json(&f->others[i]));
    json_object_set_new(o, "schema", json_string(SCHEMA));
    json_object_set_new(o, "version", json_string(REAP_VERSION));
    json_object_set(o, "model", (json_t *)(uintptr_t)f->model);
    put_texts(o, f->texts, f->n_texts, f->total);
    json_t *questions = f->n_questions ? json_array() : NULL;
    for (uint32_t i = 0; i < f->n_questions; i++)
        json_array_append_new(questions, questions_json(&f->questions[i]));
    if (questions)
        json_object_set_new(o, "questions", questions);
    if (f->plan.file)
        json_object_set_new(o, "plan", plan_json(&f->plan));
    if (f->base)
        json_object_set(o, "base", (json_t *)(uintptr_t)f->base);
    if (f->n_others)
        json_object_set(o, "others", others);
    json_decref(others);
    if (pass_any(&f->pass)) {
        json_object_set_new(o, "pass", pass_json(&f->pass));
        json_object_set_new(o, "passes", json_boolean(pass_holds(&f->pass, &f->total.against)));
    }
    return o;
}

bool eval_write(const char *path, const struct eval_file *f, bool force, struct err *e)
{
    json_t *o = eval_json(f);
    bool ok = json_write(path, o, force, e);
    json_decref(o);
    return ok;
}

/* ---- reading ---- */

bool eval_get_against(const json_t *o, const char *where, struct eval_against *a, struct err *e)
{
    json_t *kl;
    char at[96];
    snprintf(at, sizeof at, "%.80s.kl", where);
    return json_opt_f64(o, "ppl", where, &a->score.ppl, e) &&
           json_opt_f64(o, "ppl_stderr", where, &a->score.ppl_stderr, e) &&
           json_opt_f64(o, "base_ppl", where, &a->base.ppl, e) &&
           json_opt_f64(o, "base_ppl_stderr", where, &a->base.ppl_stderr, e) &&
           json_opt_f64(o, "ln_ppl_ratio", where, &a->ln_ratio, e) &&
           json_opt_f64(o, "ln_ppl_ratio_stderr", where, &a->ln_ratio_stderr, e) &&
           json_opt_obj(o, "kl", where, &kl, e) && json_opt_f64(kl, "mean", at, &a->kl_mean, e) &&
           json_opt_f64(kl, "stderr", at, &a->kl_stderr, e) &&
           json_opt_f64(kl, "median", at, &a->kl_median, e) && json_opt_f64(kl, "p90", at, &a->kl_p90, e) &&
           json_opt_f64(kl, "p99", at, &a->kl_p99, e) && json_opt_f64(kl, "max", at, &a->kl_max, e) &&
           json_opt_f64(o, "top1_agreement", where, &a->top1, e) &&
           json_opt_f64(o, "top1_stderr", where, &a->top1_stderr, e) &&
           json_opt_f64(o, "dp_rms", where, &a->dp_rms, e) &&
           json_opt_f64(o, "dp_rms_stderr", where, &a->dp_rms_stderr, e);
}

static bool read_text(const json_t *o, const char *where, struct eval_text *t, struct err *e)
{
    struct eval_score *s = &t->score;
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(o));
    t->compared = json_object_get(o, "base_ppl") != NULL;
    return json_opt_u64(o, "n_tokens", where, 0, &s->n_tokens, e) &&
           json_opt_u64(o, "n_windows", where, 0, &s->n_windows, e) &&
           json_opt_u64(o, "n_scored", where, 0, &s->n_scored, e) &&
           json_opt_f64(o, "nll", where, &s->nll, e) && json_opt_f64(o, "ppl", where, &s->ppl, e) &&
           json_opt_f64(o, "ppl_stderr", where, &s->ppl_stderr, e) &&
           eval_get_against(o, where, &t->against, e);
}

static bool read_plan(const json_t *doc, struct eval_plan *p, struct err *e)
{
    json_t *o;
    if (!json_opt_obj(doc, "plan", "file", &o, e) || !o)
        return e->code == ERR_NONE;
    return json_need_str(o, "file", "plan", &p->file, e) &&
           json_opt_u64(o, "n_keep", "plan", 0, &p->n_keep, e) &&
           json_opt_str(o, "criterion", "plan", &p->criterion, e);
}

/* "texts" and "total"; *list owned. */
static bool read_texts(const json_t *o, const char *what, struct eval_text **list, uint32_t *n,
                       struct eval_text *total, struct err *e)
{
    json_t *texts, *all;
    if (!json_need_arr(o, "texts", what, &texts, e) || !json_need_obj(o, "total", what, &all, e) ||
        !read_text(all, "total", total, e) ||
        !(*list = mem_try(json_array_size(texts), sizeof **list, "the texts", e)))
        return false;
    for (; *n < json_array_size(texts); ++*n) {
        char where[40];
        const json_t *x = json_array_get(texts, *n);
        snprintf(where, sizeof where, "text %u", *n);
        if (!read_text(x, where, &(*list)[*n], e) || !json_need_str(x, "name", where, &(*list)[*n].name, e))
            return false;
    }
    return true;
}

static bool read_difference(const json_t *o, const char *where, struct eval_difference *d, struct err *e)
{
    json_t *diff, *kl, *nll;
    return json_need_obj(o, "difference", where, &diff, e) &&
           json_opt_u64(diff, "n_windows", where, 0, &d->n_windows, e) &&
           json_need_obj(diff, "kl", where, &kl, e) && json_need_obj(diff, "nll", where, &nll, e) &&
           json_opt_f64(kl, "mean", where, &d->kl, e) &&
           json_opt_f64(kl, "stderr", where, &d->kl_stderr, e) &&
           json_opt_bool(kl, "differs", where, &d->kl_differs, e) &&
           json_opt_f64(nll, "mean", where, &d->nll, e) &&
           json_opt_f64(nll, "stderr", where, &d->nll_stderr, e) &&
           json_opt_bool(nll, "differs", where, &d->nll_differs, e);
}

static bool read_others(struct eval_file *f, struct err *e)
{
    json_t *list;
    if (!json_opt_arr(f->doc, "others", "file", &list, e) ||
        !(f->others = mem_try(json_array_size(list), sizeof *f->others, "the plans", e)))
        return false;
    for (; f->n_others < json_array_size(list);) {
        char where[40];
        const json_t *o = json_array_get(list, f->n_others);
        struct eval_other *x = &f->others[f->n_others++]; /* what it has so far is cleared in any case */
        snprintf(where, sizeof where, "other %u", f->n_others - 1);
        if (!json_is_object(o))
            return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(o));
        if (!read_plan(o, &x->plan, e) || !read_texts(o, where, &x->texts, &x->n_texts, &x->total, e) ||
            !read_difference(o, where, &x->diff, e))
            return false;
    }
    return true;
}

static bool read_questions(struct eval_file *f, struct err *e)
{
    json_t *list;
    if (!json_opt_arr(f->doc, "questions", "file", &list, e) ||
        !(f->questions = mem_try(json_array_size(list), sizeof *f->questions, "the questions", e)))
        return false;
    for (; f->n_questions < json_array_size(list); f->n_questions++) {
        char where[40];
        snprintf(where, sizeof where, "questions %u", f->n_questions);
        if (!questions_read(json_array_get(list, f->n_questions), where, &f->questions[f->n_questions], e))
            return false;
    }
    return true;
}

static bool read_file(struct eval_file *f, struct err *e)
{
    json_t *model, *base, *pass;
    if (!results_schema(f->doc, SCHEMA, e) || !json_opt_obj(f->doc, "model", "file", &model, e) ||
        !json_opt_obj(f->doc, "base", "file", &base, e) || !json_opt_obj(f->doc, "pass", "file", &pass, e) ||
        !pass_read(pass, "pass", &f->pass, e) || !read_plan(f->doc, &f->plan, e) ||
        !read_texts(f->doc, "file", &f->texts, &f->n_texts, &f->total, e))
        return false;
    f->model = model;
    f->base = base;
    return read_others(f, e) && read_questions(f, e);
}

bool eval_read(const char *path, struct eval_file *f, struct err *e)
{
    *f = (struct eval_file){.doc = json_read(path, e)};
    if (!f->doc)
        return false;
    if (read_file(f, e))
        return true;
    eval_file_clear(f);
    return err_ctx(e, "%s", path);
}

void eval_file_clear(struct eval_file *f)
{
    for (uint32_t i = 0; i < f->n_questions; i++)
        free(f->questions[i].sides);
    for (uint32_t i = 0; i < f->n_others; i++)
        free(f->others[i].texts);
    free(f->questions);
    free(f->others);
    free(f->texts);
    json_decref(f->doc);
    *f = (struct eval_file){0};
}
