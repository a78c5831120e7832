/* gain.c - see gain.h. */
#include "sweep/gain.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "convert/load.h"
#include "eval/plan_mask.h"
#include "eval/trial.h"

#include <math.h>
#include <string.h>

struct job {
    const struct gain_opts *o;
    struct gain_result *r;
    struct engine *g;
    uint32_t n_ctx; /* of a window: it fits into a compute step */
};

static const double shares[] = {0, 0.25, 0.5, 0.75, 1};
#define N_SHARES (sizeof shares / sizeof *shares)

/* ---- text ---- */

static bool open_part(const struct job *j, enum corpus_part part, struct trial_text *t, struct err *e)
{
    struct corpus_opts o = j->o->corpus;
    o.part = part;
    return trial_text_open(t, &o, j->g, j->n_ctx, e);
}

/* Known before the work: whether the part that decides can, which takes an error, and so two windows. */
static bool check_parts(const struct job *j, struct err *e)
{
    struct trial_text t;
    if (!open_part(j, CORPUS_CHOICE, &t, e))
        return false;
    trial_text_clear(&t);
    if (!open_part(j, CORPUS_CHECK, &t, e))
        return err_ctx(e, "the part that decides");
    uint32_t n = t.n;
    trial_text_clear(&t);
    return n > 1 ||
           err_set(e, ERR_INPUT,
                   "one window of text is set aside to decide, which tells no error of a difference: more "
                   "text or a larger --set-aside is needed");
}

/* ---- least squares ---- */

static bool match_window(struct job *j, const struct window *w, struct engine_match *m, struct err *e)
{
    int32_t *pos = xcalloc(w->n, sizeof *pos), *seq = xcalloc(w->n, sizeof *seq);
    for (uint32_t i = 0; i < w->n; i++)
        pos[i] = (int32_t)i;
    bool ok = sig_check(e) &&
              engine_match(j->g, &(struct engine_batch){w->n, w->tok, pos, seq, NULL}, m, j->r->n_layers, e);
    free(pos);
    free(seq);
    return ok;
}

static bool set_layers(struct gain_result *r, const struct engine_match *m, struct err *e)
{
    for (uint32_t i = 0; i < r->n_layers; i++) {
        double g = m[i].mm > 0 ? m[i].ym / m[i].mm : (double)NAN;
        if (!isfinite(g) || !isfinite(m[i].yy))
            return err_set(e, ERR_FAILED, "layer %u: what its experts give is zero or not finite", m[i].il);
        r->layers[i] = (struct gain_layer){.il = m[i].il,
                                           .gain = g,
                                           .error = (m[i].yy - 2 * m[i].ym + m[i].mm) / m[i].yy,
                                           .scaled = (m[i].yy - g * m[i].ym) / m[i].yy};
    }
    return true;
}

static bool fit(struct job *j, struct err *e)
{
    struct gain_result *r = j->r;
    struct trial_text t;
    if (!open_part(j, CORPUS_PROFILED, &t, e))
        return false;
    struct engine_match *m = xcalloc(r->n_layers, sizeof *m);
    struct progress p;
    uint64_t all = 0;
    for (uint32_t i = 0; i < r->n_layers; i++)
        m[i].il = r->layers[i].il;
    for (uint32_t i = 0; i < t.n; i++)
        all += trial_text_tokens(&t, i);
    progress_start(&p, "matching layers", "tokens", all < j->o->tokens ? all : j->o->tokens, 0);
    const struct engine_run run = {.n_ctx = engine_ubatch(j->g), .n_seq_max = 1, .want_logits = true};
    bool ok = eval_mask(j->g, r->view, r->plan, e) && engine_start(j->g, &run, e);
    for (uint32_t i = 0; ok && i < t.n && r->n_matched < j->o->tokens; i++) {
        const struct window *w = &t.w.list[t.order[i]];
        ok = match_window(j, w, m, e);
        progress_set(&p, r->n_matched += w->n);
    }
    progress_end(&p);
    ok = ok && set_layers(r, m, e);
    free(m);
    trial_text_clear(&t);
    return ok;
}

/* ---- what it does to the whole ---- */

/* The plan with a share of the way to each layer's gain; borrows its layers. */
static void with_gain(const struct gain_result *r, double share, struct plan *out)
{
    *out = *r->plan;
    out->gain = xcalloc(r->n_layers, sizeof *out->gain);
    for (uint32_t i = 0; i < r->n_layers; i++) {
        double g = 1 + share * (r->layers[i].gain - 1);
        out->gain[i] = (float)(g > 0.01 ? g : 0.01);
    }
}

/* The KL divergence of n plans on each window of a part: kl[plan * windows + window]. */
struct losses {
    struct trial_text t;
    double *kl;
    uint32_t *n; /* scored tokens */
};

static void losses_clear(struct losses *l)
{
    trial_text_clear(&l->t);
    free(l->kl);
    free(l->n);
}

static bool measure(struct job *j, enum corpus_part part, const char *what, const struct plan *plans,
                    uint32_t n_plans, struct losses *l, struct err *e)
{
    *l = (struct losses){0};
    if (!open_part(j, part, &l->t, e))
        return false;
    struct trial *t = trial_open(j->g, j->r->view, &l->t, 0, e);
    uint32_t n = l->t.n;
    l->kl = xcalloc((size_t)n * n_plans, sizeof *l->kl);
    l->n = xcalloc(n, sizeof *l->n);
    struct trial_ask *ask = xcalloc((size_t)n * n_plans, sizeof *ask);
    struct trial_loss *out = xcalloc((size_t)n * n_plans, sizeof *out);
    struct progress p;
    progress_start(&p, what, "windows", n, 0);
    bool ok = t != NULL;
    for (uint32_t w = 0, k; ok && w < n && (k = trial_fit(t, w)); w += k) {
        for (uint32_t a = 0; a < n_plans; a++)
            for (uint32_t i = 0; i < k; i++)
                ask[a * k + i] = (struct trial_ask){w + i, &plans[a], NULL};
        ok = trial_losses(t, ask, n_plans * k, out, e);
        for (uint32_t a = 0; ok && a < n_plans; a++)
            for (uint32_t i = 0; i < k; i++) {
                l->kl[(size_t)a * n + w + i] = out[a * k + i].kl;
                l->n[w + i] = out[a * k + i].n;
            }
        progress_set(&p, w + k);
    }
    progress_end(&p);
    trial_free(t);
    free(ask);
    free(out);
    return ok;
}

static struct paired difference(const struct losses *l, uint32_t a, int64_t b)
{
    return paired_of(l->kl + (size_t)a * l->t.n, b < 0 ? NULL : l->kl + (size_t)b * l->t.n, l->n,
                     l->t.category, l->t.n);
}

static bool choose_share(struct job *j, struct err *e)
{
    struct gain_result *r = j->r;
    struct plan plans[N_SHARES];
    struct losses l;
    for (uint32_t i = 0; i < N_SHARES; i++)
        with_gain(r, shares[i], &plans[i]);
    bool ok = measure(j, CORPUS_CHOICE, "trying gains", plans, N_SHARES, &l, e);
    r->tries = xcalloc(N_SHARES, sizeof *r->tries);
    for (uint32_t i = 0; ok && i < N_SHARES; i++) {
        r->tries[i] = (struct gain_try){shares[i], difference(&l, i, -1).mean};
        r->best = r->tries[i].kl < r->tries[r->best].kl ? i : r->best;
    }
    r->n_tries = N_SHARES;
    for (uint32_t i = 0; i < N_SHARES; i++)
        free(plans[i].gain);
    losses_clear(&l);
    return ok;
}

static bool check(struct job *j, struct err *e)
{
    struct gain_result *r = j->r;
    struct plan plans[2] = {*r->plan};
    struct losses l;
    with_gain(r, r->tries[r->best].share, &plans[1]);
    bool ok = measure(j, CORPUS_CHECK, "checking", plans, 2, &l, e);
    if (ok) {
        r->check = difference(&l, 1, 0);
        r->kl_before = difference(&l, 0, -1).mean;
        r->kl_after = difference(&l, 1, -1).mean;
        r->n_check = l.t.n_scored;
        r->helps = r->check.mean < 0 && paired_differs(&r->check);
    }
    if (r->helps)
        r->plan->gain = plans[1].gain;
    else
        free(plans[1].gain);
    losses_clear(&l);
    return ok;
}

/* ---- all of it ---- */

static bool prepare(struct job *j, struct err *e)
{
    const struct gain_opts *o = j->o;
    struct gain_result *r = j->r;
    if (!(r->view = view_open(o->model, e)) || !gain_check_family(r->view, e) || !view_hash(r->view, e) ||
        !(r->plan = eval_plan(o->plan, r->view, o->force, e)) ||
        !(j->g = load_engine(r->view, &o->engine, e)))
        return false;
    j->n_ctx = engine_ubatch(j->g) < TRIAL_CTX ? engine_ubatch(j->g) : TRIAL_CTX;
    r->n_layers = r->plan->n_layers;
    r->layers = xcalloc(r->n_layers, sizeof *r->layers);
    for (uint32_t i = 0; i < r->n_layers; i++)
        r->layers[i].il = r->plan->layers[i].il;
    return true;
}

bool gain_run(const struct gain_opts *o, struct gain_result *r, struct err *e)
{
    struct job j = {.o = o, .r = r};
    *r = (struct gain_result){0};
    bool ok = prepare(&j, e) && check_parts(&j, e) && fit(&j, e) && choose_share(&j, e) &&
              (!r->best || check(&j, e));
    engine_free(j.g);
    return ok;
}

json_t *gain_measured(const struct gain_opts *o, const struct gain_result *r)
{
    json_t *d = json_object(), *layers = json_object(), *tries = json_array(), *check;
    for (uint32_t i = 0; i < r->n_layers; i++) {
        const struct gain_layer *l = &r->layers[i];
        char key[16];
        snprintf(key, sizeof key, "%u", l->il);
        json_object_set_new(layers, key,
                            json_pack("{s:f, s:f, s:f}", "least_squares", l->gain, "error", l->error,
                                      "error_scaled", l->scaled));
    }
    for (uint32_t i = 0; i < r->n_tries; i++)
        json_array_append_new(tries,
                              json_pack("{s:f, s:f}", "share", r->tries[i].share, "kl", r->tries[i].kl));
    json_object_set_new(d, "n_tokens", json_integer((json_int_t)r->n_matched));
    json_object_set_new(d, "set_aside", json_real(o->corpus.set_aside));
    json_object_set_new(d, "layers", layers);
    json_object_set_new(d, "tries", tries);
    json_object_set_new(d, "share", json_real(r->tries[r->best].share));
    if (!r->best) /* nothing to check */
        return d;
    json_object_set_new(d, "check", check = json_object());
    json_object_set_new(check, "n_windows", json_integer(r->check.n_windows));
    json_object_set_new(check, "n_scored", json_integer((json_int_t)r->n_check));
    json_object_set_new(check, "kl_before", json_real(r->kl_before));
    json_object_set_new(check, "kl_after", json_real(r->kl_after));
    json_object_set_new(check, "difference", json_real(r->check.mean));
    json_object_set_new(check, "stderr", json_finite(r->check.stderr_mean));
    return d;
}

void gain_result_clear(struct gain_result *r)
{
    plan_free(r->plan);
    view_free(r->view);
    free(r->layers);
    free(r->tries);
    *r = (struct gain_result){0};
}
