/* make.c - see make.h. How many stay: count.c; who stays in any case: protect.c; what that
 * costs: losses.c; lists of other tools: from_lists.c. */
#include "plan/make.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/cut.h"
#include "plan/blend.h"
#include "plan/make_part.h"
#include "stats/merge.h"

#include <math.h>
#include <string.h>

/* ---- what is said ---- */

void plan_note(struct plan_summary *sum, bool warning, char *text)
{
    GROW(sum->notes, sum->n_notes, sum->cap_notes);
    sum->notes[sum->n_notes++] = (struct plan_note){warning, text};
}

void plan_summary_say(const struct plan_summary *sum, bool notes)
{
    for (uint32_t i = 0; i < sum->n_notes; i++) {
        if (sum->notes[i].warning)
            log_warn("%s", sum->notes[i].text);
        else if (notes)
            log_note("%s", sum->notes[i].text);
    }
}

void plan_summary_clear(struct plan_summary *sum)
{
    for (uint32_t i = 0; i < sum->n_notes; i++)
        free(sum->notes[i].text);
    free(sum->notes);
    *sum = (struct plan_summary){0};
}

/* ---- the sources ---- */

/* What --force cannot help: other layers or another number of experts. */
static bool same_layers(const struct stats *s, const struct view *v, const char *what, struct err *e)
{
    if (s->n_experts != v->shape.n_experts || s->n_layers != v->n_layers)
        return err_set(e, ERR_INPUT, "%s: has %u layers of %u experts, the model has %u of %u", what,
                       s->n_layers, s->n_experts, v->n_layers, v->shape.n_experts);
    for (uint32_t i = 0; i < s->n_layers; i++)
        if (s->layers[i].il != v->layers[i].il)
            return err_set(e, ERR_INPUT, "%s: has layer %u where the model's next layer with experts is %u",
                           what, s->layers[i].il, v->layers[i].il);
    for (uint32_t i = 0; i < s->n_mtp && v->n_mtp_layers; i++)
        if (i >= v->n_mtp_layers || s->layers[s->n_layers + i].il != v->layers[v->n_layers + i].il)
            return err_set(e, ERR_INPUT, "%s: has MTP block %u, which is none with experts of the model",
                           what, s->layers[s->n_layers + i].il);
    return true;
}

/* Each source alone, and against the model and the first one. */
static bool check_sources(const struct job *j, const struct view *v, struct err *e)
{
    uint64_t shard, of;
    const struct plan_source *src = j->src;
    for (uint32_t d = 0; d < j->n_src; d++) {
        const struct stats *s = src[d].stats;
        if (stats_tokens(&s->layers[0]) == 0)
            return err_set(e, ERR_INPUT, "%s: holds no token at all, nothing can be ranked", src[d].path);
        if (stats_unfinished(s))
            plan_note(j->sum, true, xasprintf("'%s' is of a profile that has not ended", src[d].path));
        if (!stats_shard(s, &shard, &of, e))
            return err_ctx(e, "%s", src[d].path);
        if (of)
            plan_note(j->sum, true,
                      xasprintf("'%s' is one shard of a run; reap stats merge adds them up", src[d].path));
        if (v) {
            char what[300];
            snprintf(what, sizeof what, "stats file '%.250s'", src[d].path);
            if (!view_match(v, s->model, what, e)) {
                if (!j->o->force)
                    return false;
                plan_note(j->sum, true, xasprintf("%s (--force)", e->msg));
                err_clear(e);
            }
            if (!same_layers(s, v, what, e))
                return false;
        }
        if (d && !stats_same_model(src[0].stats, src[0].path, s, src[d].path, e))
            return false;
        if (j->o->blend == BLEND_MAXMIN && src[d].weight != src[0].weight)
            return err_set(e, ERR_INPUT,
                           "%s: weights mean nothing to --blend maxmin, where the worst source decides",
                           src[d].path);
    }
    return true;
}

/* ---- which ---- */

bool plan_layer_scores(const struct job *j, uint32_t i, double *share, double *score, struct err *e)
{
    uint32_t n = j->shape.n_experts;
    double weights = 0;
    memset(score, 0, n * sizeof *score);
    for (uint32_t d = 0; d < j->n_src; d++)
        weights += j->src[d].weight;
    for (uint32_t d = 0; d < j->n_src; d++) {
        double *x = share + (size_t)d * n, total = 0;
        if (!criterion_scores(j->src[d].stats, i, j->criterion, j->o->seed, -1, x, e))
            return err_ctx(e, "%s", j->src[d].path);
        for (uint32_t k = 0; k < n; k++)
            total += x[k];
        for (uint32_t k = 0; k < n; k++) {
            if (j->n_src == 1)
                score[k] = x[k];
            x[k] = total > 0 ? x[k] / total : 0;
            if (j->n_src > 1)
                score[k] += x[k] * j->src[d].weight / weights;
        }
    }
    return true;
}

/* The same for a criterion of sets. */
static bool layer_costs(const struct job *j, uint32_t i, struct layer_merit *w, struct err *e)
{
    size_t n = j->shape.n_experts;
    double weights = 0;
    for (uint32_t d = 0; d < j->n_src; d++)
        weights += j->src[d].weight;
    w->mean.n = j->shape.n_experts;
    w->mean.cost = xcalloc(n * n, sizeof *w->mean.cost);
    for (uint32_t d = 0; d < j->n_src; d++) {
        if (!merit_of(&w->cost[d], j->src[d].stats, i, j->criterion, j->o->seed, -1, e))
            return err_ctx(e, "%s", j->src[d].path);
        double *x = w->cost[d].cost, total = merit_total(&w->cost[d]);
        for (size_t k = 0; k < n * n; k++) {
            x[k] = total > 0 ? x[k] / total : 0;
            w->mean.cost[k] += x[k] * j->src[d].weight / weights;
        }
    }
    return true;
}

static bool layer_merit(const struct job *j, uint32_t i, struct layer_merit *w, struct err *e)
{
    uint32_t n = j->shape.n_experts;
    if (!criterion_has_scores(j->criterion)) {
        w->cost = xcalloc(j->n_src, sizeof *w->cost);
        return layer_costs(j, i, w, e);
    }
    w->share = xcalloc(((size_t)j->n_src + 1) * n, sizeof *w->share);
    w->score = w->share + (size_t)j->n_src * n;
    return plan_layer_scores(j, i, w->share, w->score, e);
}

static void layer_clear(const struct job *j, struct layer_merit *w)
{
    for (uint32_t d = 0; w->cost && d < j->n_src; d++)
        merit_clear(&w->cost[d]);
    free(w->cost);
    merit_clear(&w->mean);
    free(w->share);
}

static void choose(const struct job *j, uint32_t i, const struct layer_merit *w, uint32_t *keep)
{
    uint32_t n = j->shape.n_experts, at = 0;
    const uint8_t *fixed = j->fixed + (size_t)i * n;
    const struct merit scores = {.n = n, .score = w->score};
    uint8_t *in = xcalloc(n, 1);
    if (j->n_src > 1 && j->o->blend == BLEND_MAXMIN)
        blend_maxmin(w->share, j->n_src, fixed, &j->shape, j->n_keep, in);
    else
        merit_choose(w->cost ? &w->mean : &scores, j->shape.n_groups, j->n_keep, fixed, in);
    for (uint32_t k = 0; k < n && at < j->n_keep; k++)
        if (in[k])
            keep[at++] = k;
    free(in);
}

/* ---- the plan ---- */

static void say_what(const struct job *j, struct plan *p)
{
    const struct stats *s = j->src[0].stats;
    p->version = xstrdup(REAP_VERSION);
    p->n_experts = s->n_experts;
    p->criterion = xstrdup(j->criterion->name);
    if (j->criterion->form == CRITERION_CHANCE)
        p->seed = (int64_t)j->o->seed;
    if (j->n_src > 1)
        p->blend = xstrdup(j->o->blend == BLEND_MAXMIN ? "maxmin" : "mean");
    p->model = json_incref(s->model);
    plan_set_origins(j, p);
    plan_set_protected(j, p);
}

/* MTP blocks by their own statistics, where all sources have them, and the model such blocks; else they follow the last layer. */
static bool choose_mtp(const struct job *j, struct plan *p, struct err *e)
{
    const struct stats *s = j->src[0].stats;
    bool ok = true, have = criterion_has_scores(j->criterion) && !j->no_mtp;
    for (uint32_t d = 1; have && d < j->n_src; d++)
        have = stats_same_mtp(s, j->src[d].stats);
    for (uint32_t i = s->n_layers; ok && have && i < s->n_layers + s->n_mtp; i++) {
        struct layer_merit w = {0};
        uint32_t *keep = plan_new_mtp(p, s->layers[i].il);
        if ((ok = layer_merit(j, i, &w, e)))
            choose(j, i, &w, keep);
        layer_clear(j, &w);
    }
    return ok;
}

static struct plan *build(struct job *j, struct err *e)
{
    const struct stats *s = j->src[0].stats;
    struct plan *p = plan_new(s->n_layers, j->n_keep);
    bool ok = true;
    p->lost = xcalloc(s->n_layers, sizeof *p->lost);
    for (uint32_t i = 0; ok && i < s->n_layers; i++) {
        struct plan_layer *l = &p->layers[i];
        struct layer_merit w = {0};
        l->il = s->layers[i].il;
        if ((ok = layer_merit(j, i, &w, e))) {
            choose(j, i, &w, l->keep);
            plan_layer_loss(j, i, &w, l, &p->lost[i]);
        }
        layer_clear(j, &w);
    }
    if (ok && choose_mtp(j, p, e)) {
        say_what(j, p);
        return p;
    }
    plan_free(p);
    return NULL;
}

struct plan *plan_blend(const struct plan_source *src, uint32_t n_src, const struct view *v,
                        const struct plan_opts *o, struct plan_summary *sum, struct err *e)
{
    const struct stats *s = src[0].stats;
    struct job j = {.src = src,
                    .n_src = n_src,
                    .o = o,
                    .criterion = o->criterion ? o->criterion : criterion_default(),
                    .no_mtp = v && !v->n_mtp_layers,
                    .sum = sum};
    *sum = (struct plan_summary){
        .n_experts = s->n_experts, .n_layers = s->n_layers, .gate_mass_least = (double)NAN};
    if ((v && !view_check_prunable(v, e)) || !check_sources(&j, v, e))
        return NULL;
    if (n_src > 1 && o->blend == BLEND_MAXMIN && !criterion_has_scores(j.criterion)) {
        err_set(
            e, ERR_INPUT,
            "--blend maxmin needs a score of each expert, and the criterion %s chooses a set; use --blend mean",
            j.criterion->name);
        return NULL;
    }
    j.shape = v ? v->shape : shape_of_stats(s);
    if (!plan_count(&j.shape, v, o, &j.n_keep, e)) {
        err_ctx(e, "%s", src[0].path);
        return NULL;
    }
    sum->n_keep = j.n_keep;
    sum->n_asked = o->kind == FIT_BYTES ? j.n_keep : plan_asked_count(&j.shape, o);
    j.fixed = xcalloc((size_t)s->n_layers + s->n_mtp, s->n_experts);
    j.kept = xcalloc(n_src, sizeof *j.kept);
    struct plan *p = NULL;
    if (plan_protect(&j, e))
        p = build(&j, e);
    if (p && v) {
        sum->bytes_before = v->bytes;
        sum->bytes_after = cut_bytes(v, p);
        sum->n_mtp_follow = v->n_mtp_layers - p->n_mtp;
    }
    if (p) {
        plan_note_counts(&j);
        plan_note_gates(&j);
    }
    free(j.kept);
    free(j.fixed);
    free(j.best);
    return p;
}

struct plan *plan_make(const struct stats *s, const struct view *v, const struct plan_opts *o,
                       struct plan_summary *sum, struct err *e)
{
    const struct plan_source src = {s, o->stats_path, 1};
    return plan_blend(&src, 1, v, o, sum, e);
}
