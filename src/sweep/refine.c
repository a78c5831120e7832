/* refine.c - see refine.h.
 *
 * The worth of each expert near the cut is measured alone, on a dozen windows at first (worth.h): that costs as many
 * measurements as there are experts, not pairs of them. More windows go to the experts that may change the best swap of
 * their layer, until more would tell little. Then the best swaps of all layers go into the plan together, when all of
 * them at once, on windows that are drawn anew, gain more than the stated number of errors: gains of different layers
 * nearly add up while errors do not, so a group needs fewer windows than one of its swaps alone. How many windows
 * decide is said before the first of them is seen: who looks after each one and stops when it pleases finds a gain
 * where there is none. A group that fails is tried once more with its better half. */
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "convert/load.h"
#include "results/choice.h"
#include "sweep/refine_part.h"

#include <math.h>
#include <string.h>

#define SAVE_EVERY    5.0 /* seconds */
#define TEXT_LEAST    8   /* windows */
#define ALONE_WINDOWS 12  /* on which an expert is measured alone at first .. */
#define MORE_WINDOWS  24  /* .. and each further time */
#define ALONE_SHARE   3   /* the first take at most one part in so many of the tokens or the time */
#define LEAST_NEAR    4
/* More windows tell enough when they are expected to raise the gain of a swap by this share of the plan's loss. Where
 * nothing is to be tried the half of it is enough, down to the last part. The more swaps wait, the sooner they are tried. */
#define ENOUGH      2e-4
#define ENOUGH_LAST (ENOUGH / 256)
#define ENOUGH_WAIT 3.0 /* swaps */
#define PROMISING   1.5 /* errors that a swap is to be expected to gain, at least */
/* A group stays or goes behind as many windows as it takes to tell a part of what its swaps promised: they were chosen
 * because they looked good, so they promise too much. It goes before that when it can hardly be told any more. */
#define LOOK_FIRST  12 /* windows */
#define GROUP_LEAST 40
#define GROUP_SHARE 0.5
#define GROUP_SURE  1.5   /* times the windows that would just tell it */
#define HARDLY      1.5   /* standard deviations of what the rest of the windows may bring */
#define NEARLY      0.9   /* of the budget: what waits is tried now */
#define FORECAST    600.0 /* seconds */

/* Without the whole model's: a run that goes on decodes these anew, and is to end where it would have. */
uint64_t refine_tokens(const struct job *j)
{
    return j->tokens_before + trial_judged(j->t.trial);
}

double refine_secs(const struct job *j)
{
    return j->secs_before + now_secs() - j->start;
}

/* How much of the tightest limit is used, 1: all. */
static double spent(const struct job *j)
{
    const struct refine_opts *o = j->o;
    double most = 0, x[] = {o->trials ? (double)j->r->n_trials / o->trials : 0,
                            o->tokens ? (double)refine_tokens(j) / (double)o->tokens : 0,
                            o->budget > 0 ? refine_secs(j) / o->budget : 0};
    for (int i = 0; i < 3; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

/* Of the limits that measuring alone counts for: trials do not. */
static double spent_alone(const struct job *j)
{
    const struct refine_opts *o = j->o;
    double a = o->tokens ? (double)refine_tokens(j) / (double)o->tokens : 0;
    double b = o->budget > 0 ? refine_secs(j) / o->budget : 0;
    return a > b ? a : b;
}

/* ---- experts alone ---- */

static bool keeps(const struct plan *p, uint32_t layer, uint32_t x)
{
    for (uint32_t i = 0; i < p->n_keep; i++)
        if (p->layers[layer].keep[i] == x)
            return true;
    return false;
}

static bool may_change(const struct job *j, uint32_t layer, uint32_t x, bool kept)
{
    const struct plan *p = j->r->plan;
    return keeps(p, layer, x) == kept && !(kept && plan_protects(p, p->layers[layer].il, x));
}

/* The nth of the kept experts of a group from the lowest score, or of the removed from the highest; -1: there
 * are fewer. A protected one is none of them. */
static int64_t nearest(const struct job *j, uint32_t layer, uint32_t group, bool kept, uint32_t nth)
{
    const struct shape *s = &j->r->view->shape;
    uint32_t size = s->n_experts / s->n_groups, *ids = xcalloc(size, sizeof *ids), n = 0;
    int64_t found = -1;
    criterion_rank(j->score[layer] + (size_t)group * size, size, ids);
    for (uint32_t i = 0; i < size && found < 0; i++) {
        uint32_t x = group * size + ids[kept ? size - 1 - i : i];
        if (may_change(j, layer, x, kept) && n++ == nth)
            found = x;
    }
    free(ids);
    return found;
}

/* One of these that was never measured: from the cut outwards, in each layer and group, one that stays and one that goes. */
static bool next_alone(struct job *j, struct duel *d)
{
    const struct view *v = j->r->view;
    uint32_t round = v->n_layers * v->shape.n_groups * 2;
    bool may_take = shape_keep_ok(&v->shape, j->r->plan->n_keep - v->shape.n_groups);
    for (; j->n_alone < j->near * round; j->n_alone++) {
        uint32_t i = j->n_alone;
        bool kept = i % 2 == 0;
        uint32_t group = i / 2 % v->shape.n_groups, layer = i / 2 / v->shape.n_groups % v->n_layers;
        if (i && i % round == 0 && !j->wider && spent_alone(j) * ALONE_SHARE >= 1)
            return false;
        int64_t x = nearest(j, layer, group, kept, i / round);
        if (x < 0 || worth_is_known(&j->worth, layer, (uint32_t)x))
            continue;
        if (kept && !may_take) {
            worth_set_nothing(&j->worth, layer, (uint32_t)x);
            continue;
        }
        *d = (struct duel){.kind = DUEL_ALONE, .but = {layer, (uint32_t)x}};
        return true;
    }
    return false;
}

static bool end_alone(struct job *j, const struct duel *d)
{
    if (duel_windows(j, d) < (j->measured ? MORE_WINDOWS : ALONE_WINDOWS) && d->n < j->t.n_packs)
        return false;
    struct paired r = duel_result(j, d);
    uint32_t layer = d->but.layer, x = d->but.expert;
    worth_measured(&j->worth, layer, x, keeps(j->r->plan, layer, x) ? -r.mean : r.mean, r.stderr_mean,
                   duel_windows(j, d));
    j->at[(size_t)layer * j->worth.n_experts + x] = d->n;
    if (!j->measured) {
        j->r->n_measured++;
        j->n_alone++;
    }
    return true;
}

/* Windows that no measurement of an expert had since the plan changed last. */
static double telling(const struct job *j, struct duel *d)
{
    size_t n = (size_t)j->worth.n_layers * j->worth.n_experts;
    bool *spent = xcalloc(n, sizeof *spent);
    for (size_t i = 0; i < n; i++)
        spent[i] = j->at[i] >= j->t.n_packs;
    *d = (struct duel){.kind = DUEL_ALONE};
    double most =
        worth_most_telling(&j->worth, j->r->plan, spent, MORE_WINDOWS, &d->but.layer, &d->but.expert);
    free(spent);
    return most;
}

/* ---- groups ---- */

/* What ten minutes more bring at most, by the later half of the race. Not a number before the race itself took that long:
 * the first gains are the largest, and a single one in a short time says nothing of the next. */
static double next_gain(const struct job *j)
{
    uint64_t now = refine_tokens(j), half = j->race_tokens + (now - j->race_tokens) / 2;
    double late = 0, rate = (double)trial_judged(j->t.trial) / (now_secs() - j->start);
    for (uint32_t i = 0; i < j->n_steps; i++)
        late += j->steps[i].tokens > half ? j->steps[i].gain : 0;
    return rate > 0 && (double)(now - j->race_tokens) >= rate * FORECAST
               ? late / (double)(now - half) * rate * FORECAST
               : NAN;
}

static void say(const struct job *j)
{
    char t[32], next[64] = "";
    const struct refine_result *r = j->r;
    if (isfinite(next_gain(j)))
        snprintf(next, sizeof next, "; ten minutes more: at most about %.4f", next_gain(j));
    log_note("%s: %u of %u swaps stay, KL divergence lower by %.4f +- %.4f%s", human_secs(refine_secs(j), t),
             r->n_swaps, r->n_trials, r->gain, r->gain_stderr, next);
}

static void take_group(struct job *j, struct duel *d, const struct paired *g)
{
    struct refine_result *r = j->r;
    r->swaps = xrealloc(r->swaps, r->n_swaps + d->n_swaps, sizeof *r->swaps);
    bool *moved = xcalloc(j->worth.n_layers, sizeof *moved);
    for (uint32_t i = 0; i < d->n_swaps; i++) {
        struct swap s = d->swap[i];
        r->swaps[r->n_swaps++] = (struct refine_swap){r->plan->layers[s.layer].il, s.out, s.in};
        moved[s.layer] = true;
    }
    worth_moved(&j->worth, moved);
    free(moved);
    memset(j->at, 0, (size_t)j->worth.n_layers * j->worth.n_experts * sizeof *j->at);
    struct plan *better = plan_with(r->plan, d->swap, d->n_swaps);
    for (uint32_t l = 0; l < better->n_layers; l++)
        memcpy(r->plan->layers[l].keep, better->layers[l].keep, better->n_keep * sizeof(uint32_t));
    plan_free(better);
    for (uint32_t w = 0; w < j->t.text.n; w++)
        j->loss[w] = -1;
    for (uint32_t i = 0; i < d->n; i++) {
        struct pack p = j->t.packs[d->order[i]];
        memcpy(j->loss + p.first, d->loss + p.first, p.n * sizeof *j->loss);
    }
    r->gain += g->mean;
    j->gain_var += g->stderr_mean * g->stderr_mean;
    r->gain_stderr = sqrt(j->gain_var);
    GROW(j->steps, j->n_steps, j->cap_steps);
    j->steps[j->n_steps++] = (struct gain_step){refine_tokens(j), g->mean};
    say(j);
}

/* Packs until a group can be told, by what its swaps promised. */
static uint32_t packs_that_decide(const struct job *j)
{
    double gain = 0, var = 0; /* of one window */
    for (uint32_t i = 0; i < j->n_hope; i++) {
        struct swap s = j->hope[i].swap;
        gain += j->hope[i].gain * GROUP_SHARE;
        var += worth_spread(&j->worth, s.layer, s.out) + worth_spread(&j->worth, s.layer, s.in);
    }
    double n = gain > 0 ? GROUP_SURE * var * (j->o->z / gain) * (j->o->z / gain) : 0;
    n = n > GROUP_LEAST ? n : GROUP_LEAST;
    n *= (double)j->t.n_packs / j->t.text.n;
    return n < j->t.n_packs ? (uint32_t)ceil(n) : j->t.n_packs;
}

/* Only the last look lets a group in: looks before it can but end it. */
static int verdict_of_group(const struct job *j, const struct duel *d, const struct paired *r)
{
    if (d->n >= d->n_decide)
        return r->mean > j->o->z * r->stderr_mean ? 1 : -1;
    if (duel_windows(j, d) < LOOK_FIRST)
        return 0;
    /* The mean at the end, if it is to be foretold from this part f of the windows, lies about the mean so far by
     * sqrt(1 - f) of today's errors, and its own error is sqrt(f) of today's. */
    double f = (double)d->n / d->n_decide;
    return r->mean + HARDLY * sqrt(1 - f) * r->stderr_mean < j->o->z * sqrt(f) * r->stderr_mean ? -1 : 0;
}

/* How far the group is from what its swaps promised, shared by what each of them left open. */
static void learn_group(struct job *j, const struct duel *d, const struct paired *r)
{
    double all = r->stderr_mean * r->stderr_mean, news = r->mean;
    for (uint32_t i = 0; i < d->n_swaps; i++) {
        all += j->hope[i].err * j->hope[i].err;
        news -= j->hope[i].gain;
    }
    for (uint32_t i = 0; all > 0 && i < d->n_swaps; i++)
        worth_shift(&j->worth, d->swap[i], j->hope[i].err * j->hope[i].err / all * news);
}

static bool end_group(struct job *j, struct duel *d)
{
    struct paired r = duel_result(j, d);
    int v = verdict_of_group(j, d, &r);
    if (!v)
        return false;
    learn_group(j, d, &r);
    j->n_hope = v > 0 ? 0 : d->n_swaps / 2;
    j->testing = j->n_hope > 0;
    for (uint32_t i = j->n_hope; v < 0 && i < d->n_swaps; i++)
        worth_set_tried(&j->worth, d->swap[i]);
    if (v > 0)
        take_group(j, d, &r);
    return true;
}

/* ---- one after the other ---- */

static int by_hope(const void *a, const void *b)
{
    const struct hope *x = a, *y = b;
    double p = x->gain * y->err, q = y->gain * x->err;
    if (p != q)
        return p > q ? -1 : 1;
    return x->swap.layer < y->swap.layer ? -1 : x->swap.layer > y->swap.layer;
}

/* The best swap of each layer, as far as it promises enough; the surest of them first. */
static void find_hopes(struct job *j)
{
    uint32_t most = MAX_GROUP, left = j->o->trials ? j->o->trials - j->r->n_trials : most, n = 0;
    struct hope *all = xcalloc(j->worth.n_layers, sizeof *all);
    for (uint32_t l = 0; l < j->worth.n_layers; l++) {
        struct hope *h = &all[n];
        double var;
        if (!worth_best(&j->worth, j->r->plan, l, &h->swap))
            continue;
        h->gain = worth_gain(&j->worth, h->swap, &var);
        h->err = sqrt(var);
        n += h->gain > PROMISING * h->err;
    }
    qsort(all, n, sizeof *all, by_hope);
    most = left < most ? left : most;
    j->n_hope = n < most ? n : most;
    memcpy(j->hope, all, j->n_hope * sizeof *all);
    free(all);
}

static void begin_group(struct job *j, struct duel *d)
{
    j->r->n_trials += j->testing ? 0 : j->n_hope;
    j->testing = true;
    *d = (struct duel){.kind = DUEL_GROUP, .n_swaps = j->n_hope, .n_decide = packs_that_decide(j)};
    for (uint32_t i = 0; i < j->n_hope; i++)
        d->swap[i] = j->hope[i].swap;
}

/* Every one was measured once. */
static void settle(struct job *j)
{
    double loss = 0, tokens = 0;
    for (uint32_t w = 0; w < j->t.text.n; w++)
        if (j->loss[w] >= 0) {
            loss += j->loss[w];
            tokens += j->t.n_scored[w];
        }
    worth_settle(&j->worth, j->r->plan);
    j->loss_first = tokens > 0 ? loss / tokens : 0;
    j->enough = ENOUGH;
    j->measured = true;
    if (!j->wider)
        j->race_tokens = refine_tokens(j);
}

/* Nothing near the cut is left, and nobody said what near is: twice as many are. False: that were all. */
static bool widen(struct job *j)
{
    const struct shape *s = &j->r->view->shape;
    if (j->o->near || j->near >= s->n_experts / s->n_groups)
        return false;
    j->near *= 2;
    j->wider = true;
    j->measured = false;
    j->n_alone = 0;
    return true;
}

/* More windows of an expert, or a group; false: neither is left. */
static bool next_measured(struct job *j, struct duel *d)
{
    while (!j->testing) {
        find_hopes(j);
        double more = telling(j, d), enough = j->enough * j->loss_first;
        bool now = j->n_hope && (more < enough * j->n_hope / ENOUGH_WAIT || spent(j) > NEARLY);
        if (!now && more > 0 && more >= enough) {
            j->n_hope = 0;
            return true;
        }
        if (j->n_hope)
            break;
        if (more <= 0 || j->enough < ENOUGH_LAST)
            return false;
        j->enough /= 2;
    }
    begin_group(j, d);
    return true;
}

/* False: nothing is left to try. */
static bool next_duel(struct job *j, struct duel *d)
{
    do {
        if (!j->measured && next_alone(j, d))
            return true;
        if (!j->measured)
            settle(j);
        if (next_measured(j, d))
            return true;
    } while (widen(j));
    *d = (struct duel){0};
    return false;
}

static bool ended(struct job *j, struct duel *d)
{
    switch (d->kind) {
    case DUEL_ALONE: return end_alone(j, d);
    case DUEL_GROUP: return end_group(j, d);
    default: return true;
    }
}

/* Trials are counted, and what they promise is still tried; tokens and time end it where it is. */
static bool over(const struct job *j)
{
    const struct refine_opts *o = j->o;
    bool trials = o->trials && j->r->n_trials >= o->trials && j->duel.kind != DUEL_GROUP && !j->testing;
    return trials || (o->tokens && refine_tokens(j) >= o->tokens) ||
           (o->budget > 0 && refine_secs(j) >= o->budget);
}

static bool save_now_and_then(struct job *j, struct err *e)
{
    if (now_secs() - j->saved < SAVE_EVERY)
        return true;
    j->saved = now_secs();
    return state_save(j, e);
}

static bool race(struct job *j, struct err *e)
{
    struct progress p;
    bool ok = true;
    progress_start(&p, "refining", "tokens", j->o->tokens, j->tokens_before);
    while (ok && !over(j)) {
        if (j->duel.kind == DUEL_NONE) {
            if (!next_duel(j, &j->duel)) {
                j->r->exhausted = true;
                break;
            }
            duel_begin(j, &j->duel);
        }
        ok = duel_step(j, &j->duel, e);
        if (ok && ended(j, &j->duel))
            duel_clear(&j->duel);
        progress_set(&p, refine_tokens(j));
        ok = ok && save_now_and_then(j, e);
    }
    progress_end(&p);
    return ok;
}

static bool race_and_save(struct job *j, struct err *e)
{
    bool ok = race(j, e);
    j->r->n_tokens = refine_tokens(j);
    j->r->secs = refine_secs(j);
    struct err other = {0};
    if (!ok && e->code != ERR_INTERRUPTED)
        return false;
    if (!state_save(j, &other))
        return ok ? err_set(e, other.code, "%s", other.msg) : err_ctx(e, "%s", other.msg);
    if (ok || !j->o->state)
        return ok;
    err_clear(e);
    return err_set(e, ERR_INTERRUPTED,
                   "interrupted; '%s' holds what is done, the same call goes on from there", j->o->state);
}

/* ---- the document ---- */

static json_t *texts_json(const struct corpus *c)
{
    json_t *texts = json_array();
    for (uint32_t i = 0; i < c->n_sources; i++) {
        json_t *x = json_object();
        json_object_set_new(x, "name", json_text(path_base(c->sources[i].path)));
        json_object_set_new(x, "sha256", json_string(c->sources[i].sha256));
        json_array_append_new(texts, x);
    }
    return texts;
}

static void write_doc(struct job *j)
{
    struct refine_result *r = j->r;
    json_t *o = json_object(), *swaps = json_array();
    for (uint32_t i = 0; i < r->n_swaps; i++) {
        json_t *s = json_object();
        json_object_set_new(s, "layer", json_integer(r->swaps[i].il));
        json_object_set_new(s, "out", json_integer(r->swaps[i].out));
        json_object_set_new(s, "in", json_integer(r->swaps[i].in));
        json_array_append_new(swaps, s);
    }
    json_object_set_new(o, "texts", texts_json(&j->t.text.corpus));
    json_object_set_new(o, "ctx", json_integer(j->o->n_ctx));
    json_object_set_new(o, "seed", json_integer((json_int_t)j->o->corpus.seed));
    json_object_set_new(o, "near", json_integer(j->near));
    json_object_set_new(o, "z", json_real(j->o->z));
    json_object_set_new(o, "trials", json_integer(r->n_trials));
    json_object_set_new(o, "tokens", json_integer((json_int_t)r->n_tokens));
    json_object_set_new(o, "swaps", swaps);
    json_object_set_new(o, "gain", json_real(r->gain));
    json_object_set_new(o, "gain_stderr", json_real(r->gain_stderr));
    if (r->checked)
        json_object_set_new(o, "check", refine_check_json(&r->check));
    plan_forget_lost(r->plan); /* of the plan as it was */
    json_decref(r->plan->measured);
    json_decref(r->plan->refined);
    r->plan->measured = NULL;
    r->plan->refined = o;
}

/* ---- all of it ---- */

static bool ranks(const struct criterion *c, const struct stats *s)
{
    return c && criterion_has_scores(c) && c->form != CRITERION_CHANCE && criterion_can(s, c);
}

/* See refine_opts.criterion. */
static const struct criterion *ranking(const struct plan *p, const struct stats *s)
{
    const struct criterion *best = p->criterion ? criterion_find(p->criterion) : NULL;
    struct choice_file f;
    struct err no = {0};
    if (ranks(best, s))
        return best;
    best = criterion_default();
    if (!choice_is(p->measured) || !choice_read(p->measured, &f, &no))
        return best;
    double least = INFINITY;
    for (uint32_t i = 0; i < f.n_rows; i++)
        for (uint32_t k = 0; k < f.rows[i].n_criteria; k++) {
            const struct criterion *c = criterion_find(f.rows[i].criteria[k]);
            if (ranks(c, s) && f.rows[i].kl.mean < least) {
                least = f.rows[i].kl.mean;
                best = c;
            }
        }
    choice_file_clear(&f);
    return best;
}

static bool load_scores(struct job *j, char hash[65], struct err *e)
{
    const struct view *v = j->r->view;
    struct stats *s = stats_load(j->o->stats, e);
    bool ok = s != NULL;
    if (ok && (s->n_experts != v->shape.n_experts || s->n_layers != v->n_layers))
        ok = err_set(e, ERR_INPUT, "%s: has %u layers of %u experts, the model has %u of %u", j->o->stats,
                     s->n_layers, s->n_experts, v->n_layers, v->shape.n_experts);
    ok = ok && view_match(v, s->model, j->o->stats, e);
    j->criterion = ok && !j->o->criterion ? ranking(j->r->plan, s) : j->o->criterion;
    j->score = xcalloc(v->n_layers, sizeof *j->score);
    for (uint32_t l = 0; ok && l < v->n_layers; l++) {
        j->score[l] = xcalloc(v->shape.n_experts, sizeof **j->score);
        ok = criterion_scores(s, l, j->criterion, j->o->corpus.seed, -1, j->score[l], e);
    }
    struct stats_aside aside = {0};
    ok = ok && (stats_aside(s, &aside, e) || err_ctx(e, "%s", j->o->stats));
    if (ok)
        memcpy(hash, s->sha256, 65);
    j->corpus = j->o->corpus;
    j->corpus.part = CORPUS_PROFILED;
    if (j->corpus.set_aside < 0)
        j->corpus.set_aside = aside.share > 0 ? aside.share : j->o->check ? 0 : REFINE_ASIDE;
    stats_free(s);
    return ok;
}

static bool load_text(struct job *j, struct err *e)
{
    if (!race_text_open(&j->t, &j->corpus, j->g, j->r->view, j->o->n_ctx, TRIAL_CACHE, e))
        return false;
    if (j->t.text.n < TEXT_LEAST)
        return err_set(e, ERR_INPUT,
                       "the text has %u windows of up to %u tokens, at least %d are needed; give more text, "
                       "or a smaller --ctx",
                       j->t.text.n, j->o->n_ctx, TEXT_LEAST);
    j->loss = xcalloc(j->t.text.n, sizeof *j->loss);
    for (uint32_t i = 0; i < j->t.text.n; i++)
        j->loss[i] = -1;
    return true;
}

static bool prepare(struct job *j, struct err *e)
{
    const struct refine_opts *o = j->o;
    struct refine_result *r = j->r;
    char stats_hash[65], plan_hash[65];
    if (!(r->view = view_open(o->model, e)) || !view_hash(r->view, e) ||
        (o->state && !view_check_output(r->view, o->state, e)) ||
        !(r->plan = eval_plan(o->plan, r->view, o->force, e)) || !load_scores(j, stats_hash, e) ||
        !sha256_file(o->plan, plan_hash, e))
        return false;
    const struct shape *s = &r->view->shape;
    if (r->plan->n_keep == s->n_experts)
        return err_set(e, ERR_INPUT, "%s: keeps all experts, there is nothing to swap", o->plan);
    uint32_t size = s->n_experts / s->n_groups;
    j->near = o->near ? o->near : size / 4;
    j->near = j->near < LEAST_NEAR && !o->near ? LEAST_NEAR : j->near;
    j->near = j->near < size ? j->near : size;
    j->rng.s = o->corpus.seed;
    j->at = xcalloc((size_t)r->view->n_layers * s->n_experts, sizeof *j->at);
    worth_init(&j->worth, r->view->n_layers, s->n_experts, s->n_groups);
    if (!(j->g = load_engine(r->view, &o->engine, e)) || !load_text(j, e))
        return false;
    state_key(j, stats_hash, plan_hash);
    return state_load(j, e);
}

static bool refine(struct job *j, struct err *e)
{
    const struct refine_opts *o = j->o;
    struct plan *before = plan_open(o->plan, j->r->view, true, e); /* the state may have changed ours */
    j->start = j->saved = now_secs();
    bool ok = before && race_and_save(j, e) && check_elsewhere(j, before, e);
    if (ok)
        write_doc(j);
    plan_free(before);
    return ok;
}

static void job_clear(struct job *j)
{
    duel_clear(&j->duel);
    race_text_clear(&j->t);
    engine_free(j->g);
    for (uint32_t l = 0; j->score && l < j->r->view->n_layers; l++)
        free(j->score[l]);
    free(j->score);
    free(j->loss);
    free(j->steps);
    free(j->at);
    worth_clear(&j->worth);
}

bool refine_run(const struct refine_opts *o, struct refine_result *r, struct err *e)
{
    struct job j = {.o = o, .r = r};
    *r = (struct refine_result){0};
    bool ok = prepare(&j, e) && refine(&j, e);
    job_clear(&j);
    return ok;
}

void refine_result_clear(struct refine_result *r)
{
    plan_free(r->plan);
    view_free(r->view);
    free(r->swaps);
    *r = (struct refine_result){0};
}
