/* load.c - the files of a report, read and joined.
 *
 * Each is read by the reader of its format. What contradicts is refused here, so that no section needs to ask
 * again: same layers, ids in range, one model. */
#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/advice.h"
#include "model/cut.h"
#include "report/page_part.h"
#include "stats/summary.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

static __attribute__((format(printf, 2, 3))) void remark(struct page *p, const char *fmt, ...)
{
    va_list ap;
    char *s;
    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        BUG("a remark that cannot be printed: %s", fmt);
    va_end(ap);
    GROW(p->remarks, p->n_remarks, p->cap_remarks);
    p->remarks[p->n_remarks++] = s;
}

const char *report_text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

double report_number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

uint64_t report_count(const json_t *o, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(o, key));
    return v > 0 ? (uint64_t)v : 0;
}

/* ---- reading ---- */

static bool add_source(struct page *p, const char *what, const char *path, struct err *e)
{
    struct page_source *s = &p->sources[p->n_sources];
    if (p->n_sources == MAX_SOURCES)
        BUG("more than %d inputs", MAX_SOURCES);
    *s = (struct page_source){.what = what, .path = path};
    p->n_sources++;
    return sha256_file(path, s->sha256, e);
}

static bool read_stats_plan(struct page *p, struct err *e)
{
    const struct report_opts *o = p->o;
    if (o->stats && (!(p->stats = stats_load(o->stats, e)) || !add_source(p, "statistics", o->stats, e)))
        return false;
    if (o->plan && (!(p->plan = plan_load(o->plan, e)) || !add_source(p, "plan", o->plan, e)))
        return false;
    const json_t *measured = p->plan ? p->plan->measured : NULL;
    if (choice_is(measured) && !choice_read(measured, &p->choice, e))
        return err_ctx(e, "%s: measured", o->plan);
    const json_t *a = p->stats ? p->stats->model : NULL, *b = p->plan ? p->plan->model : NULL;
    p->model = json_is_object(a) ? a : json_is_object(b) ? b : NULL;
    p->calibration = p->stats ? p->stats->calibration : NULL;
    return true;
}

static bool read_eval(struct page *p, const char *what, const char *path, struct eval_file *f, struct err *e)
{
    return !path || (eval_read(path, f, e) && add_source(p, what, path, e));
}

static bool read_compare(struct page *p, struct err *e)
{
    const char *const *path = p->o->compare;
    if (!path[0])
        return true;
    if (path[1] ? !(p->runs = runs_open(path[0], path[1], e)) : !compare_read(path[0], &p->compare, e))
        return false;
    p->answers = path[1] ? &p->runs->result : &p->compare;
    if (!path[1])
        return add_source(p, "comparison of answers", path[0], e);
    return add_source(p, "answers of the parent", path[0], e) &&
           add_source(p, "answers of the result", path[1], e);
}

static bool read_others(struct page *p, struct err *e)
{
    const struct report_opts *o = p->o;
    return read_eval(p, "evaluation of the parent", o->eval_base, &p->before, e) &&
           read_eval(p, "evaluation of the result", o->eval_after, &p->after, e) &&
           read_eval(p, "evaluation of the result in a type", o->eval_type, &p->typed, e) &&
           read_eval(p, "evaluation against the parent", o->against, &p->against, e) &&
           (!o->sweep || (sweep_read(o->sweep, &p->sweep, e) && add_source(p, "sweep", o->sweep, e))) &&
           read_compare(p, e) &&
           (!o->run || run_record_read(o->run, &p->run, e)); /* not named: it changes with times */
}

/* ---- do they belong together? ---- */

/* false: two hashes that differ, and no force */
static bool same_router(const struct page *p, const json_t *a, const json_t *b, const char *x, const char *y,
                        struct err *e)
{
    const char *g = report_text(a, "router_hash"), *h = report_text(b, "router_hash");
    if (!g || !h || !strcmp(g, h))
        return true;
    if (p->o->force) {
        log_warn("%s and %s are of different models (--force)", x, y);
        remark((struct page *)(uintptr_t)p, "%s and %s are of different models: their router hashes differ.",
               path_base(x), path_base(y));
        return true;
    }
    return err_set(
        e, ERR_INPUT,
        "%s and %s are of different models: router_hash is %.16s... and %.16s...; --force takes them", x, y,
        g, h);
}

static bool check_plan(struct page *p, struct err *e)
{
    const struct plan *q = p->plan;
    const struct stats *s = p->stats;
    uint64_t n = s ? s->n_experts : report_count(p->model, "n_experts");
    uint32_t top = 0;
    n = n ? n : q->n_experts;
    for (uint32_t i = 0; i < q->n_layers; i++) {
        const struct plan_layer *l = &q->layers[i];
        if (s && (i >= s->n_layers || s->layers[i].il != l->il))
            return err_set(e, ERR_INPUT, "%s: layer %u is not a layer of %s", p->o->plan, l->il, p->o->stats);
        top = l->keep[q->n_keep - 1] > top ? l->keep[q->n_keep - 1] : top;
    }
    if (s && q->n_layers != s->n_layers)
        return err_set(e, ERR_INPUT, "%s has %u layers, %s has %u", p->o->plan, q->n_layers, p->o->stats,
                       s->n_layers);
    if (!q->n_layers || q->n_layers > LIMIT_LAYERS)
        return err_set(e, ERR_INPUT, "%s: keep has %u layers, expected 1 to %d", p->o->plan, q->n_layers,
                       LIMIT_LAYERS);
    p->guessed = !n;
    n = n ? n : (uint64_t)top + 1;
    if (top >= n || n > LIMIT_EXPERTS)
        return err_set(e, ERR_INPUT, "%s: expert %u is out of range, there are %llu experts", p->o->plan, top,
                       (unsigned long long)n);
    p->n_experts = (uint32_t)n;
    return !s || same_router(p, s->model, q->model, p->o->stats, p->o->plan, e);
}

/* Evaluations name their model; the parent's must be this one. The result's router is another one by
 * nature. */
static void check_eval(struct page *p, const struct eval_file *f, const char *path, bool result)
{
    const json_t *m = f->model;
    const char *arch = report_text(m, "architecture"), *ours = report_text(p->model, "architecture");
    uint64_t n = report_count(m, "n_experts"), want = p->n_experts;
    if (!f->doc)
        return;
    if (result && p->plan && !f->plan.file) /* else: the parent under a plan */
        want = p->plan->n_keep;
    if (arch && ours && strcmp(arch, ours) != 0)
        remark(p, "%s evaluates a model of the architecture %s, the statistics are of %s.", path_base(path),
               arch, ours);
    if (n && n != want && (p->plan || !result))
        remark(p, "%s evaluates a model with %llu experts per layer, expected %llu.", path_base(path),
               (unsigned long long)n, (unsigned long long)want);
    const char *h = report_text(m, "router_hash"), *g = report_text(p->model, "router_hash");
    if (!result && h && g && n == want && strcmp(h, g) != 0)
        remark(p, "%s evaluates another model: its router hash is not that of the parent.", path_base(path));
}

/* The plan names the statistics it was made from by their hash. */
static void check_sources(struct page *p)
{
    bool found = false, named = false;
    for (uint32_t i = 0; p->plan && i < p->plan->n_origins; i++) {
        const char *h = p->plan->origins[i].sha256;
        named |= h != NULL;
        found |= h && p->stats && !strcmp(h, p->sources[0].sha256);
    }
    if (p->stats && named && !found)
        remark(p, "The plan was made from another file than %s: the hash that it names is a different one.",
               path_base(p->o->stats));
}

static bool check_model(struct page *p, struct err *e)
{
    if (!p->o->model)
        return true;
    if (!(p->view = view_open(p->o->model, e)) || !view_hash(p->view, e))
        return false;
    if (p->plan) {
        if (!plan_check(p->plan, p->view, p->o->plan, p->o->force, e))
            return false;
        p->bytes_after = cut_bytes(p->view, p->plan);
    }
    p->bytes_before = p->view->bytes;
    if (p->stats && !view_match(p->view, p->stats->model, p->o->stats, e)) {
        if (!p->o->force)
            return false;
        log_warn("%s (--force)", e->msg);
        remark(p, "%s is of another model than %s.", path_base(p->o->stats), path_base(p->o->model));
        err_clear(e);
    }
    return true;
}

/* ---- joining ---- */

static bool score_row(struct page *p, uint32_t i, struct err *e)
{
    struct row *r = &p->rows[i];
    uint32_t n = p->n_experts;
    r->score = xcalloc(n, sizeof *r->score);
    r->rank = xcalloc(n, sizeof *r->rank);
    bool ok = criterion_scores(p->stats, i, p->criterion, 0, -1, r->score, e) &&
              summary_halves_of(p->stats, i, p->criterion, r->n_keep, &r->halves, e);
    if (ok)
        criterion_rank(r->score, n, r->rank);
    for (uint32_t j = 0; j < n; j++)
        r->n_never += stats_total(&p->stats->layers[i], j).count == 0;
    return ok;
}

/* What goes with the removed experts, from the statistics where there are some, else as the plan says it. */
static void row_losses(const struct page *p, uint32_t i)
{
    struct row *r = &p->rows[i];
    if (p->plan->lost) {
        const struct plan_loss *l = &p->plan->lost[i];
        r->tokens_lost = l->tokens;
        r->score_lost = l->score;
        r->reap_lost = l->reap_sum;
        r->mass_kept = 1 - l->gate_mass;
        r->n_never = p->stats ? r->n_never : l->n_never;
    }
    if (!p->stats)
        return;
    double all[3] = {0}, gone[3] = {0};
    for (uint32_t j = 0; j < p->n_experts; j++) {
        struct sums x = stats_total(&p->stats->layers[i], j);
        double v[3] = {(double)x.count, r->score[j], x.reap_sum};
        for (int k = 0; k < 3; k++) {
            all[k] += v[k];
            gone[k] += r->kept[j] ? 0 : v[k];
        }
    }
    r->tokens_lost = all[0] > 0 ? gone[0] / all[0] : 0;
    r->score_lost = all[1] > 0 ? gone[1] / all[1] : 0;
    r->reap_lost = all[2] > 0 ? gone[2] / all[2] : 0;
    r->mass_kept = summary_gate_mass(p->stats, i, r->kept);
}

static void choose_criterion(struct page *p)
{
    const char *name = p->plan ? p->plan->criterion : NULL;
    p->criterion = name ? criterion_find(name) : NULL;
    if (!p->criterion || p->criterion->form == CRITERION_CHANCE || !criterion_has_scores(p->criterion))
        p->criterion = criterion_default(); /* one that we do not know, or that has no scores */
}

static bool join(struct page *p, struct err *e)
{
    p->n_rows = p->stats ? p->stats->n_layers : p->plan->n_layers;
    p->rows = xcalloc(p->n_rows, sizeof *p->rows);
    p->n_keep = p->plan ? p->plan->n_keep : (p->n_experts + 1) / 2;
    for (uint32_t i = 0; i < p->n_rows; i++) {
        struct row *r = &p->rows[i];
        *r = (struct row){.il = p->stats ? p->stats->layers[i].il : p->plan->layers[i].il,
                          .n_keep = p->n_keep,
                          .tokens_lost = NAN,
                          .score_lost = NAN,
                          .reap_lost = NAN,
                          .mass_kept = NAN,
                          .halves = {NAN, NAN}};
        if (p->stats && !score_row(p, i, e))
            return false;
        if (!p->plan)
            continue;
        r->kept = xcalloc(p->n_experts, 1);
        for (uint32_t k = 0; k < p->plan->n_keep; k++)
            r->kept[p->plan->layers[i].keep[k]] = 1;
        row_losses(p, i);
    }
    return true;
}

/* Of a plan alone as its identity says it, if that can be. */
static uint32_t groups_of(const struct page *p)
{
    uint64_t n = p->stats ? p->stats->n_groups : report_count(p->model, "n_expert_groups");
    return n > 1 && n < p->n_experts && p->n_experts % n == 0 ? (uint32_t)n : 1;
}

/* A cut where quantising is worth a look, and no table that looked. */
static void check_advice(struct page *p)
{
    struct buf why = {0}, cmd = {0};
    if (!p->view || !p->plan || sweep_has_types(&p->sweep) || !advice_quantise(p->view, p->n_keep, &why))
        return;
    buf_str(&cmd, "reap sweep ");
    buf_shell(&cmd, path_base(p->o->model));
    buf_str(&cmd, " --stats ");
    buf_shell(&cmd, p->o->stats ? path_base(p->o->stats) : "STATS");
    buf_str(&cmd, " --text FILE ");
    advice_types(p->view, &cmd);
    remark(p, "Prune, or quantise? %s. Whether that is so here was not measured: %s --json > sweep.json",
           why.s, cmd.s);
    buf_clear(&why);
    buf_clear(&cmd);
}

bool page_load(struct page *p, const struct report_opts *o, struct err *e)
{
    p->o = o;
    p->bytes_before = o->bytes_before;
    p->bytes_after = o->bytes_after;
    if (!read_stats_plan(p, e) || !read_others(p, e))
        return false;
    choose_criterion(p);
    p->n_experts = p->stats ? p->stats->n_experts : 0;
    p->n_groups = groups_of(p);
    if ((p->plan && !check_plan(p, e)) || !check_model(p, e) || !join(p, e))
        return false;
    check_sources(p);
    check_eval(p, &p->before, o->eval_base, false);
    check_eval(p, &p->after, o->eval_after, true);
    check_eval(p, &p->typed, o->eval_type, true);
    check_eval(p, &p->against, o->against, true);
    check_advice(p);
    if (p->stats && stats_unfinished(p->stats))
        remark(p, "The statistics are of a run that has not ended.");
    if (p->guessed)
        remark(p,
               "The plan does not say how many experts the model had; the highest id that stays is taken for "
               "the last one.");
    return true;
}

void page_clear(struct page *p)
{
    for (uint32_t i = 0; i < p->n_rows; i++) {
        free(p->rows[i].kept);
        free(p->rows[i].score);
        free(p->rows[i].rank);
    }
    for (uint32_t i = 0; i < p->n_remarks; i++)
        free(p->remarks[i]);
    free(p->remarks);
    free(p->rows);
    eval_file_clear(&p->before);
    eval_file_clear(&p->after);
    eval_file_clear(&p->typed);
    eval_file_clear(&p->against);
    sweep_file_clear(&p->sweep);
    choice_file_clear(&p->choice);
    compare_file_clear(&p->compare);
    runs_free(p->runs);
    run_record_clear(&p->run);
    view_free(p->view);
    plan_free(p->plan);
    stats_free(p->stats);
    buf_clear(&p->b);
}
