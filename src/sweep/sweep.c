/* sweep.c - see sweep.h. */
#include "sweep/sweep.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "convert/load.h"
#include "eval/eval.h"
#include "eval/paired.h"
#include "eval/plan_mask.h"
#include "model/advice.h"
#include "model/cut.h"
#include "plan/make.h"
#include "sweep/sweep_part.h"

#include <math.h>
#include <string.h>

#define SAVE_EVERY 2.0 /* seconds */

/* ---- plans ---- */

/* The whole model is the same by any criterion. */
static bool has_point(const struct sweep_job *j, const struct sweep_point *x)
{
    const struct sweep_result *r = j->r;
    for (uint32_t i = 0; i < r->n_points; i++) {
        const struct sweep_point *p = &r->points[i];
        if (p->type == x->type && p->plan->n_keep == x->plan->n_keep &&
            (p->criterion == x->criterion || x->plan->n_keep == r->view->shape.n_experts))
            return true;
    }
    return false;
}

/* The first plan is checked against the model, and what it has to say is said; the others differ in nothing
 * that matters for that. */
static bool add_point(struct sweep_job *j, const struct stats *s, struct sweep_point p, struct err *e)
{
    struct sweep_result *r = j->r;
    struct plan_opts po = {.stats_path = j->o->stats,
                           .kind = PRUNE_RATIO,
                           .value = p.ratio,
                           .round_to = j->o->round_to,
                           .criterion = p.criterion,
                           .seed = j->o->seed};
    struct plan_summary sum = {0};
    p.plan = plan_make(s, r->n_points ? NULL : r->view, &po, &sum, e);
    if (!r->n_points) /* no notes on each of many counts; the table shows the counts */
        plan_summary_say(&sum, false);
    plan_summary_clear(&sum);
    if (!p.plan)
        return false;
    if (has_point(j, &p)) {
        plan_free(p.plan);
        return true;
    }
    p.bytes = p.type ? 0 : cut_bytes(r->view, p.plan); /* of another type: when it is there */
    r->points[r->n_points++] = p;
    return true;
}

/* Every type as a whole, too: else there would be nothing to compare pruning with. */
static bool add_points(struct sweep_job *j, const struct stats *s, const char *type, struct err *e)
{
    const struct sweep_opts *o = j->o;
    bool ok =
        !o->n_types || add_point(j, s, (struct sweep_point){.type = type, .criterion = o->criteria[0]}, e);
    for (uint32_t c = 0; ok && c < o->n_criteria; c++)
        for (uint32_t i = 0; ok && i < o->n_ratios; i++)
            ok = add_point(
                j, s, (struct sweep_point){.type = type, .criterion = o->criteria[c], .ratio = o->ratios[i]},
                e);
    return ok;
}

static bool make_plans(struct sweep_job *j, struct err *e)
{
    const struct sweep_opts *o = j->o;
    struct stats *s = stats_load(o->stats, e);
    bool ok = s != NULL;
    if (ok)
        memcpy(j->r->stats_hash, s->sha256, sizeof s->sha256);
    j->r->points =
        xcalloc((size_t)j->n_types * ((size_t)o->n_criteria * o->n_ratios + 1), sizeof *j->r->points);
    for (uint32_t t = 0; ok && t < j->n_types; t++)
        ok = add_points(j, s, t ? o->types[t - 1] : NULL, e);
    j->n_plans = j->r->n_points / j->n_types;
    stats_free(s);
    return ok;
}

/* ---- a text under a type ---- */

/* Takes the sums of the batches so far, or gives them to a text that goes on. */
static void copy_part(struct sweep_job *j, struct against *c, uint32_t first, bool give)
{
    for (uint32_t i = 0; i < j->n_plans; i++) {
        struct sweep_windows *w = &j->cut[first + i];
        struct against_sums *to = give ? &c->sums[i] : &j->part[first + i];
        *to = give ? j->part[first + i] : c->sums[i];
        for (uint32_t k = 0; k < w->n; k++) {
            double *kl = give ? &c->windows[i][k].kl : &w->kl[k];
            *kl = give ? w->kl[k] : c->windows[i][k].kl;
        }
    }
}

/* Room for the windows of the text; those of a state are there already. */
static bool make_windows(struct sweep_job *j, const struct against *c, uint32_t first, struct err *e)
{
    for (uint32_t i = first; i < first + j->n_plans; i++) {
        struct sweep_windows *w = &j->cut[i];
        if (j->batches && w->n != c->n_windows && !j->r->no_windows)
            return err_set(e, ERR_INPUT, "%s: says %u windows of '%s', there are %llu", j->o->state, w->n,
                           j->o->texts[j->step % j->o->n_texts], (unsigned long long)c->n_windows);
        if (w->n == c->n_windows)
            continue;
        free(w->kl);
        w->n = (uint32_t)c->n_windows;
        w->kl = xcalloc(w->n, sizeof *w->kl);
    }
    return true;
}

static struct against *open_text(struct sweep_job *j, const struct against_side *sides, uint32_t first,
                                 struct err *e)
{
    const char *path = j->o->texts[j->step % j->o->n_texts];
    struct against *c = against_open(sides, j->n_plans + 1, path, j->o->n_ctx, false, e);
    bool ok =
        c && (j->batches <= c->n_batches || err_set(e, ERR_INPUT, "%s: says %u batches of '%s', there are %u",
                                                    j->o->state, j->batches, path, c->n_batches));
    if (ok && make_windows(j, c, first, e)) {
        copy_part(j, c, first, true);
        return c;
    }
    against_free(c);
    return NULL;
}

static bool sweep_text(struct sweep_job *j, const struct against_side *sides, uint32_t first, struct err *e)
{
    uint32_t n = j->n_plans;
    const char *type = j->r->points[first].type;
    struct against *c = open_text(j, sides, first, e);
    if (!c)
        return false;
    struct progress p;
    uint64_t total = 0, done = 0;
    double saved = now_secs();
    bool ok = true;
    for (uint32_t b = 0; b < c->n_batches; b++) {
        total += (uint64_t)against_tokens(c, b) * (n + 1);
        done += b < j->batches ? (uint64_t)against_tokens(c, b) * (n + 1) : 0;
    }
    j->r->done_before += done;
    char what[96];
    snprintf(what, sizeof what, "%u plans%s%s, text %u of %u", n, type ? " as " : "", type ? type : "",
             j->step % j->o->n_texts + 1, j->o->n_texts);
    progress_start(&p, what, "tokens", total, done);
    while (ok && j->batches < c->n_batches) {
        if (!(ok = against_batch(c, j->batches, e)))
            break;
        uint64_t tokens = (uint64_t)against_tokens(c, j->batches++) * (n + 1);
        copy_part(j, c, first, false);
        j->r->n_tokens += tokens;
        progress_set(&p, done += tokens);
        if (now_secs() - saved >= SAVE_EVERY) {
            ok = sweep_state_save(j, e);
            saved = now_secs();
        }
    }
    progress_end(&p);
    against_free(c);
    return ok;
}

/* The sums of a text count when all of it is done, so that they are added up in one order whatever
 * interrupts. */
static void text_is_done(struct sweep_job *j, uint32_t first)
{
    for (uint32_t i = first; i < first + j->n_plans; i++) {
        struct sweep_point *p = &j->r->points[i];
        struct sweep_windows *w = &j->cut[i];
        against_add(&p->sums, &j->part[i]);
        j->part[i] = (struct against_sums){0};
        p->window_kl = xrealloc(p->window_kl, (size_t)p->n_windows + w->n, sizeof *p->window_kl);
        memcpy(p->window_kl + p->n_windows, w->kl, w->n * sizeof *w->kl);
        p->n_windows += w->n;
        free(w->kl);
        *w = (struct sweep_windows){0};
    }
    j->step++;
    j->batches = 0;
}

/* ---- the run ---- */

/* x: the model in this type; NULL: as it is. */
static bool sweep_texts(struct sweep_job *j, struct engine *g, const struct variant *x, struct err *e)
{
    struct sweep_result *r = j->r;
    uint32_t n_texts = j->o->n_texts, type = j->step / n_texts, first = type * j->n_plans;
    struct against_side *sides = xcalloc((size_t)j->n_plans + 1, sizeof *sides);
    bool ok = true, masked = false;
    sides[0] = (struct against_side){r->view->path, g, r->view, NULL};
    for (uint32_t i = 0; i < j->n_plans; i++) {
        struct sweep_point *p = &r->points[first + i];
        const struct plan *plan = p->plan->n_keep < r->view->shape.n_experts ? p->plan : NULL;
        sides[i + 1] = x ? (struct against_side){p->type, x->g, x->v, plan}
                         : (struct against_side){r->view->path, g, r->view, plan};
        masked = masked || (!x && plan);
        p->bytes = x ? cut_bytes(x->v, p->plan) : p->bytes;
    }
    ok = eval_check_texts(g, j->o->texts + j->step % n_texts, n_texts - j->step % n_texts, j->o->n_ctx, NULL,
                          e);
    while (ok && j->step / n_texts == type) {
        ok = sweep_text(j, sides, first, e);
        if (ok)
            text_is_done(j, first);
        ok = ok && sweep_state_save(j, e);
    }
    free(sides);
    return ok && (!masked || eval_mask(g, r->view, NULL, e)); /* it is the base of the types to come */
}

static bool sweep_types(struct sweep_job *j, struct engine *g, struct err *e)
{
    const struct sweep_opts *o = j->o;
    while (j->step < o->n_texts * j->n_types) {
        uint32_t type = j->step / o->n_texts;
        struct variant x = {0};
        if (type && !variant_open(&x, j->r->view, o->types[type - 1], o->requantize, &o->engine, e))
            return false;
        bool ok = sweep_texts(j, g, type ? &x : NULL, e);
        variant_close(&x);
        if (!ok)
            return false;
    }
    return true;
}

/* The quantiser finds it as well, behind all that is measured before it. */
static bool check_types(const struct sweep_job *j, struct err *e)
{
    const struct view *v = j->r->view;
    const struct view_tensor *t = j->o->n_types && !j->o->requantize ? advice_quantised(v) : NULL;
    return !t ||
           err_set(e, ERR_INPUT,
                   "%s: is quantised already ('%s' is %s); --allow-requantize makes other types of it, which "
                   "is worse than from the original, so give that one if you have it",
                   v->path, t->name, t->type);
}

static bool prepare(struct sweep_job *j, struct err *e)
{
    const struct sweep_opts *o = j->o;
    struct sweep_result *r = j->r;
    j->n_types = o->n_types + 1;
    if (!(r->view = view_open(o->model, e)) || !view_hash(r->view, e) || !check_types(j, e))
        return false;
    if (o->state && !view_check_output(r->view, o->state, e))
        return false;
    r->text_hash = xcalloc(o->n_texts, sizeof *r->text_hash);
    for (uint32_t i = 0; i < o->n_texts; i++)
        if (!sha256_file(o->texts[i], r->text_hash[i], e))
            return false;
    if (!make_plans(j, e))
        return false;
    j->part = xcalloc(r->n_points, sizeof *j->part);
    j->cut = xcalloc(r->n_points, sizeof *j->cut);
    sweep_state_key(j);
    return sweep_state_load(j, e);
}

static bool run(struct sweep_job *j, struct err *e)
{
    const struct sweep_opts *o = j->o;
    struct sweep_result *r = j->r;
    for (uint32_t t = 1; t <= o->n_types && j->step >= o->n_texts * (t + 1); t++)
        variant_clean(r->view, o->types[t - 1]);
    if (j->step == o->n_texts * j->n_types) /* another look at what is done */
        return true;
    struct engine *g = load_engine(r->view, &o->engine, e);
    if (!g)
        return false;
    double t = now_secs();
    bool ok = sweep_types(j, g, e);
    r->secs = now_secs() - t;
    engine_free(g);
    if (ok || !o->state || e->code != ERR_INTERRUPTED)
        return ok;
    struct err other = {0};
    if (!sweep_state_save(j, &other))
        return err_ctx(e, "%s", other.msg);
    err_clear(e);
    return err_set(e, ERR_INTERRUPTED,
                   "interrupted; '%s' holds what is done, the same call goes on from there", o->state);
}

bool sweep_run(const struct sweep_opts *o, struct sweep_result *r, struct err *e)
{
    struct sweep_job j = {.o = o, .r = r};
    *r = (struct sweep_result){0};
    bool ok = prepare(&j, e) && run(&j, e);
    for (uint32_t i = 0; ok && i < r->n_points; i++)
        r->points[i].r = against_result(&r->points[i].sums, NULL);
    for (uint32_t i = 0; j.cut && i < r->n_points; i++)
        free(j.cut[i].kl);
    free(j.cut);
    free(j.part);
    return ok;
}

void sweep_result_clear(struct sweep_result *r)
{
    for (uint32_t i = 0; i < r->n_points; i++) {
        plan_free(r->points[i].plan);
        free(r->points[i].window_kl);
    }
    free(r->points);
    free(r->text_hash);
    view_free(r->view);
    *r = (struct sweep_result){0};
}

/* ---- what comes of it ---- */

/* Caller frees the list. */
static struct sweep_text *texts_of(const struct sweep_opts *o, const struct sweep_result *r)
{
    struct sweep_text *t = xcalloc(o->n_texts, sizeof *t);
    for (uint32_t i = 0; i < o->n_texts; i++)
        t[i] = (struct sweep_text){path_base(o->texts[i]), r->text_hash[i]};
    return t;
}

const struct plan *sweep_plan(const struct sweep_opts *o, struct sweep_result *r, uint32_t i)
{
    const struct sweep_point *p = &r->points[i];
    struct sweep_text *texts = texts_of(o, r);
    json_t *m = json_object();
    json_object_set_new(m, "texts", sweep_texts_json(texts, o->n_texts));
    json_object_set_new(m, "ctx", json_integer(o->n_ctx));
    json_put_text(m, "type", p->type);
    json_object_set_new(m, "n_scored", json_integer((json_int_t)p->sums.n));
    json_object_set_new(m, "ppl", json_real(p->r.score.ppl));
    json_object_set_new(m, "ppl_stderr", json_real(p->r.score.ppl_stderr));
    eval_put_against(m, &p->r);
    json_decref(p->plan->measured);
    p->plan->measured = m;
    free(texts);
    return p->plan;
}

/* The difference of its KL divergence to that of the best of the same type and count, window by window. All windows
 * of a sweep have the same number of scored tokens. */
static void compare_to_best(const struct sweep_result *r, uint32_t i, struct sweep_file_point *to)
{
    const struct sweep_point *p = &r->points[i], *best = p;
    uint32_t n_others = 0;
    for (uint32_t k = 0; k < r->n_points; k++) {
        const struct sweep_point *q = &r->points[k];
        if (k == i || q->type != p->type || q->plan->n_keep != p->plan->n_keep)
            continue;
        n_others++;
        best = q->sums.kl < best->sums.kl ? q : best;
    }
    to->to_best = to->to_best_stderr = NAN;
    if (!n_others || r->no_windows || best->n_windows != p->n_windows || !p->n_windows)
        return;
    uint32_t *n = xcalloc(p->n_windows, sizeof *n);
    for (uint32_t w = 0; w < p->n_windows; w++)
        n[w] = (uint32_t)(p->sums.n / p->n_windows);
    struct paired d = paired_of(p->window_kl, best->window_kl, n, NULL, p->n_windows);
    to->to_best = d.mean;
    to->to_best_stderr = best == p ? 0 : d.stderr_mean;
    free(n);
}

void sweep_file_make(const struct sweep_opts *o, const struct sweep_result *r, struct sweep_file *f)
{
    const struct eval_score *base = &r->points[0].r.base;
    *f = (struct sweep_file){.model = view_identity(r->view),
                             .stats = path_base(o->stats),
                             .stats_sha256 = r->stats_hash,
                             .texts = texts_of(o, r),
                             .n_texts = o->n_texts,
                             .n_ctx = o->n_ctx,
                             .n_scored = r->points[0].sums.n,
                             .n_experts = r->view->shape.n_experts,
                             .bytes = r->view->bytes,
                             .ppl = base->ppl,
                             .ppl_stderr = base->ppl_stderr,
                             .points = xcalloc(r->n_points, sizeof *f->points),
                             .n_points = r->n_points,
                             .chosen = -1};
    for (uint32_t i = 0; i < r->n_points; i++) {
        const struct sweep_point *p = &r->points[i];
        f->points[i] = (struct sweep_file_point){.type = p->type,
                                                 .criterion = p->criterion->name,
                                                 .ratio = p->ratio,
                                                 .n_keep = p->plan->n_keep,
                                                 .bytes = p->bytes,
                                                 .r = p->r};
        compare_to_best(r, i, &f->points[i]);
    }
}

void sweep_file_unmake(struct sweep_file *f)
{
    json_decref((json_t *)(uintptr_t)f->model);
    free((struct sweep_text *)(uintptr_t)f->texts);
    free(f->points);
    *f = (struct sweep_file){0};
}
