/* choice.c - see choice.h. */
#include "sweep/choice.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "convert/load.h"
#include "results/choice.h"
#include "stats/pairs.h"

#include <math.h>
#include <string.h>

struct job {
    const struct choice_opts *o;
    struct choice_result *r;
    struct engine *g;
    struct trial *t;
    struct stats_aside aside;
    struct stats *stats;
};

/* ---- plans ---- */

static bool same_plan(const struct plan *a, const struct plan *b)
{
    bool same = a->n_layers == b->n_layers && a->n_keep == b->n_keep;
    for (uint32_t l = 0; same && l < a->n_layers; l++)
        same = !memcmp(a->layers[l].keep, b->layers[l].keep, a->n_keep * sizeof *a->layers[l].keep);
    return same;
}

/* Criteria that make the same plan share a row. What the first plan has to say is said; the others differ in nothing
 * that matters for that. */
static bool add_plan(struct job *j, const struct criterion *c, struct err *e)
{
    struct choice_result *r = j->r;
    struct plan_opts po = j->o->plan;
    struct plan_summary sum;
    po.criterion = c;
    po.stats_path = j->o->stats;
    struct plan *p = plan_make(j->stats, r->view, &po, &sum, e);
    if (!r->n_rows)
        plan_summary_say(&sum, true);
    plan_summary_clear(&sum);
    if (!p)
        return false;
    uint32_t i = 0;
    while (i < r->n_rows && !same_plan(p, r->rows[i].plan))
        i++;
    struct choice_row *row = &r->rows[i];
    if (i == r->n_rows) {
        r->n_rows++;
        *row = (struct choice_row){.plan = p};
    } else {
        plan_free(p);
    }
    row->criteria = xrealloc(row->criteria, row->n_criteria + 1, sizeof *row->criteria);
    row->criteria[row->n_criteria++] = c;
    return true;
}

/* All that the file can serve; chance is a control, no candidate. What it says that it holds and cannot be read is
 * told, since nobody would miss it. */
static bool add_all(struct job *j, struct err *e)
{
    bool ok = true;
    const struct criterion *c;
    for (uint32_t i = 0; ok && (c = criterion_at(i)); i++) {
        struct err cannot = {0};
        if (c->form == CRITERION_CHANCE)
            continue;
        if (criterion_check(j->stats, c, &cannot))
            ok = add_plan(j, c, e);
        else if (c->form == CRITERION_SET && stats_has_pairs(j->stats))
            log_warn("%s: left out: %s", j->o->stats, cannot.msg);
    }
    return ok;
}

static bool make_plans(struct job *j, struct err *e)
{
    const struct choice_opts *o = j->o;
    struct choice_result *r = j->r;
    uint32_t n = o->n_criteria;
    while (!o->n_criteria && criterion_at(n))
        n++;
    r->rows = xcalloc(n, sizeof *r->rows);
    bool ok = o->n_criteria || add_all(j, e);
    for (uint32_t i = 0; ok && i < o->n_criteria; i++)
        ok = add_plan(j, o->criteria[i], e);
    if (ok && r->rows[0].plan->n_keep == r->view->shape.n_experts)
        ok = err_set(e, ERR_INPUT, "all %u experts of a layer would stay, there is nothing to choose",
                     r->view->shape.n_experts);
    return ok;
}

/* ---- text ---- */

static struct corpus_opts corpus_of(const struct job *j)
{
    struct corpus_opts c = j->o->corpus;
    c.set_aside = j->aside.share;
    c.part = CORPUS_CHOICE;
    if (j->o->n_texts)
        c = (struct corpus_opts){.specs = j->o->texts, .n_specs = j->o->n_texts};
    return c;
}

static bool check_aside(struct job *j, struct err *e)
{
    if (j->o->n_texts)
        return true;
    if (!stats_aside(j->stats, &j->aside, e))
        return err_ctx(e, "%s", j->o->stats);
    return j->aside.share > 0 ||
           err_set(
               e, ERR_INPUT,
               "%s: nothing of its text was set aside; reap profile --set-aside 0.1 does it, or give --text",
               j->o->stats);
}

static bool was_profiled(const struct stats *s, const char *sha256)
{
    size_t i;
    json_t *f;
    json_array_foreach (json_object_get(s->calibration, "files"), i, f) {
        const char *x = json_string_value(json_object_get(f, "sha256"));
        if (x && !strcmp(x, sha256))
            return true;
    }
    return false;
}

/* A text that counts twice makes every error too small. */
static bool check_twice(const struct corpus *c, struct err *e)
{
    for (uint32_t i = 0; i < c->n_sources; i++)
        for (uint32_t k = 0; k < i; k++)
            if (!strcmp(c->sources[i].sha256, c->sources[k].sha256))
                return err_set(e, ERR_INPUT,
                               "--text: '%s' and '%s' are the same text, its windows would count twice",
                               c->sources[k].path, c->sources[i].path);
    return true;
}

/* The split is that of the profile; other texts had better not be its. */
static bool check_corpus(const struct job *j, const struct corpus *c, struct err *e)
{
    if (!j->o->n_texts && strcmp(c->aside.sha256, j->aside.sha256) != 0)
        return err_set(
            e, ERR_INPUT,
            "%s: the samples that are set aside of this text are others than those of its profile; give the same "
            "--calib, limits and --seed",
            j->o->stats);
    if (j->o->n_texts && !check_twice(c, e))
        return false;
    for (uint32_t i = 0; j->o->n_texts && i < c->n_sources; i++)
        if (was_profiled(j->stats, c->sources[i].sha256))
            log_warn(
                "%s: is text of the profile, too: the scores know it, and what is chosen on it looks better "
                "than it is",
                c->sources[i].path);
    return true;
}

/* Before the model is loaded. */
static bool check_text(const struct job *j, struct err *e)
{
    struct corpus c;
    struct corpus_opts o = corpus_of(j);
    if (!corpus_load(&o, &c, e))
        return false;
    bool ok = check_corpus(j, &c, e);
    corpus_free(&c);
    return ok;
}

/* ---- measuring ---- */

static uint64_t tokens_from(const struct job *j, uint32_t first)
{
    uint64_t n = 0;
    for (uint32_t i = first; i < j->r->text.n; i++)
        n += trial_text_tokens(&j->r->text, i);
    return n * (j->r->n_rows + 1);
}

static void say_cost(const struct job *j)
{
    char w[32], t[32], all[32];
    log_note("%u plan%s and the whole model on %s windows of %s tokens: %s tokens to decode", j->r->n_rows,
             j->r->n_rows == 1 ? "" : "s", human_count(j->r->text.n, w),
             human_count(tokens_from(j, 0) / (j->r->n_rows + 1), t), human_count(tokens_from(j, 0), all));
}

/* Windows first to first + n - 1 under all plans. */
static bool measure(struct job *j, uint32_t first, uint32_t n, struct err *e)
{
    struct choice_result *r = j->r;
    struct trial_ask *ask = xcalloc((size_t)n * r->n_rows, sizeof *ask);
    struct trial_loss *out = xcalloc((size_t)n * r->n_rows, sizeof *out);
    for (uint32_t p = 0; p < r->n_rows; p++)
        for (uint32_t i = 0; i < n; i++)
            ask[p * n + i] = (struct trial_ask){first + i, r->rows[p].plan, NULL};
    bool ok = trial_losses(j->t, ask, n * r->n_rows, out, e);
    for (uint32_t p = 0; ok && p < r->n_rows; p++)
        memcpy(r->rows[p].loss + first, out + (size_t)p * n, n * sizeof *out);
    free(ask);
    free(out);
    return ok;
}

/* Two windows of each category are measured whatever the budget: without them there is no error to go by. */
static bool spent(const struct job *j, double start, uint32_t done, uint64_t tokens)
{
    double secs = now_secs() - start,
           next = tokens ? secs / (double)tokens * engine_ubatch(j->g) * (j->r->n_rows + 1) : 0;
    return j->o->budget > 0 && done >= 2 * j->r->text.corpus.n_categories && secs + next > j->o->budget;
}

static bool measure_all(struct job *j, struct err *e)
{
    struct choice_result *r = j->r;
    struct progress p;
    uint64_t total = tokens_from(j, 0);
    double start = now_secs();
    bool ok = true;
    char s[32];
    progress_start(&p, "measuring plans", "tokens", total, 0);
    while (ok && r->n_windows < r->text.n && !spent(j, start, r->n_windows, trial_decoded(j->t))) {
        uint32_t n = trial_fit(j->t, r->n_windows);
        ok = measure(j, r->n_windows, n, e);
        r->n_windows += ok ? n : 0;
        if (ok && r->n_windows == n && n < r->text.n)
            log_note("all of it takes about %s",
                     human_secs((now_secs() - start) * (double)total / (double)trial_decoded(j->t), s));
        progress_set(&p, trial_decoded(j->t));
    }
    progress_end(&p);
    r->secs = now_secs() - start;
    r->n_tokens = trial_decoded(j->t);
    if (ok && r->n_windows < r->text.n)
        log_note("the time is up: %u of %u windows were measured", r->n_windows, r->text.n);
    return ok;
}

/* ---- choosing ---- */

enum figure { KL, NLL };

/* Caller frees. */
static double *values(const struct choice_result *r, const struct choice_row *row, enum figure what)
{
    double *v = xcalloc(r->n_windows, sizeof *v);
    for (uint32_t i = 0; i < r->n_windows; i++)
        v[i] = what == KL ? row->loss[i].kl : row->loss[i].nll - row->loss[i].base_nll;
    return v;
}

static struct paired compare(const struct choice_result *r, const struct choice_row *a,
                             const struct choice_row *b, enum figure what)
{
    double *x = values(r, a, what), *y = b ? values(r, b, what) : NULL;
    uint32_t *n = xcalloc(r->n_windows, sizeof *n);
    for (uint32_t i = 0; i < r->n_windows; i++)
        n[i] = a->loss[i].n;
    struct paired p = paired_of(x, y, n, r->text.category, r->n_windows);
    free(x);
    free(y);
    free(n);
    return p;
}

static bool is_lower(const struct paired *a, const struct paired *b)
{
    return a->mean != b->mean ? a->mean < b->mean : a->worst < b->worst;
}

static bool has_default(const struct choice_row *row)
{
    for (uint32_t i = 0; i < row->n_criteria; i++)
        if (row->criteria[i] == criterion_default())
            return true;
    return false;
}

/* Windows beyond one for each category, below which an error is hardly known itself: with 8 the 95 % point of Student's t
 * is 2.3, with 4 it is 2.8. */
#define FEW 8

static void warn_few(const struct choice_result *r)
{
    uint32_t n = r->rows[r->lowest].kl.n_categories;
    if (r->n_rows > 1 && r->n_windows < n + FEW)
        log_warn(
            "%u window%s in %u categor%s: errors of so few are rough; more text, or a larger share set aside, tells "
            "criteria apart",
            r->n_windows, r->n_windows == 1 ? "" : "s", n, n == 1 ? "y" : "ies");
}

static void choose(struct choice_result *r)
{
    for (uint32_t i = 0; i < r->n_windows; i++)
        r->n_scored += r->rows[0].loss[i].n;
    for (uint32_t i = 0; i < r->n_rows; i++) {
        r->rows[i].kl = compare(r, &r->rows[i], NULL, KL);
        r->rows[i].nll = compare(r, &r->rows[i], NULL, NLL);
        if (is_lower(&r->rows[i].kl, &r->rows[r->lowest].kl))
            r->lowest = i;
    }
    r->chosen = r->lowest;
    for (uint32_t i = 0; i < r->n_rows; i++) {
        struct choice_row *x = &r->rows[i];
        x->diff = compare(r, x, &r->rows[r->lowest], KL);
        x->tie = !paired_differs(&x->diff);
        if (x->tie && has_default(x))
            r->chosen = i;
    }
}

/* ---- all of it ---- */

static bool prepare(struct job *j, struct err *e)
{
    const struct choice_opts *o = j->o;
    struct choice_result *r = j->r;
    return (r->view = view_open(o->model, e)) && view_hash(r->view, e) &&
           (j->stats = stats_load(o->stats, e)) && check_aside(j, e) && make_plans(j, e) && check_text(j, e);
}

static bool run(struct job *j, struct err *e)
{
    const struct choice_opts *o = j->o;
    struct choice_result *r = j->r;
    struct corpus_opts co = corpus_of(j);
    if (!(j->g = load_engine(r->view, &o->engine, e)) || !trial_text_open(&r->text, &co, j->g, o->n_ctx, e) ||
        !(j->t = trial_open(j->g, r->view, &r->text, 0, e)))
        return false;
    r->n_windows_of = r->text.n;
    for (uint32_t i = 0; i < r->n_rows; i++)
        r->rows[i].loss = xcalloc(r->text.n, sizeof *r->rows[i].loss);
    say_cost(j);
    return measure_all(j, e);
}

bool choice_run(const struct choice_opts *o, struct choice_result *r, struct err *e)
{
    struct job j = {.o = o, .r = r};
    *r = (struct choice_result){.n_ctx = o->n_ctx, .of_text = o->n_texts > 0};
    bool ok = prepare(&j, e) && run(&j, e);
    if (ok) {
        choose(r);
        warn_few(r);
    }
    trial_free(j.t);
    engine_free(j.g);
    stats_free(j.stats);
    return ok;
}

void choice_result_clear(struct choice_result *r)
{
    for (uint32_t i = 0; i < r->n_rows; i++) {
        plan_free(r->rows[i].plan);
        free(r->rows[i].criteria);
        free(r->rows[i].loss);
    }
    free(r->rows);
    trial_text_clear(&r->text);
    view_free(r->view);
    *r = (struct choice_result){0};
}

/* ---- what comes of it ---- */

/* Caller frees the lists: rows[].criteria and rows. */
static struct choice_file file_of(const struct choice_result *r)
{
    struct choice_file f = {.text = r->of_text,
                            .n_ctx = r->n_ctx,
                            .n_scored = r->n_scored,
                            .n_windows = r->n_windows,
                            .n_windows_of = r->n_windows_of,
                            .n_keep = r->rows[0].plan->n_keep,
                            .n_experts = r->view->shape.n_experts,
                            .categories = (const char *const *)r->text.corpus.categories,
                            .n_categories = r->text.corpus.n_categories,
                            .n_rows = r->n_rows,
                            .lowest = r->lowest,
                            .chosen = r->chosen};
    f.rows = xcalloc(r->n_rows, sizeof *f.rows);
    for (uint32_t i = 0; i < r->n_rows; i++) {
        const struct choice_row *x = &r->rows[i];
        const char **names = xcalloc(x->n_criteria, sizeof *names);
        for (uint32_t k = 0; k < x->n_criteria; k++)
            names[k] = x->criteria[k]->name;
        f.rows[i] = (struct choice_file_row){.criteria = names,
                                             .n_criteria = x->n_criteria,
                                             .kl = {x->kl.mean, x->kl.stderr_mean},
                                             .worst = x->kl.worst,
                                             .worst_category = f.categories[x->kl.worst_category],
                                             .ppl_ratio = exp(x->nll.mean),
                                             .diff = {x->diff.mean, x->diff.stderr_mean},
                                             .tie = x->tie};
    }
    return f;
}

json_t *choice_report(const struct choice_result *r)
{
    struct choice_file f = file_of(r);
    json_t *o = choice_json(&f);
    for (uint32_t i = 0; i < f.n_rows; i++)
        free((void *)(uintptr_t)f.rows[i].criteria);
    free(f.rows);
    return o;
}

const struct plan *choice_plan(struct choice_result *r)
{
    struct plan *p = r->rows[r->chosen].plan;
    json_decref(p->measured);
    p->measured = choice_report(r);
    return p;
}
