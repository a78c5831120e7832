/* refine_check.c - the plan before and after, on text that no swap was chosen by. See refine_part.h. */
#include "base/mem.h"
#include "sweep/refine_part.h"

#include <math.h>

struct side_sums {
    double *kl;
    double nll, base_nll;
    uint64_t n, same_top;
};

static struct refine_side side_of(const struct race_text *t, const struct side_sums *s)
{
    double n = (double)s->n;
    return (struct refine_side){
        .kl = paired_of(s->kl, NULL, t->n_scored, t->text.category, t->text.n).mean,
        .ppl = exp(s->nll / n),
        .base_ppl = exp(s->base_nll / n),
        .top1 = (double)s->same_top / n,
    };
}

static bool check_pack(const struct race_text *t, struct pack p, const struct plan *const plans[2],
                       struct side_sums s[2], struct err *e)
{
    struct trial_ask *ask = xcalloc(2 * (size_t)p.n, sizeof *ask);
    struct trial_loss *l = xcalloc(2 * (size_t)p.n, sizeof *l);
    for (uint32_t i = 0; i < 2 * p.n; i++)
        ask[i] = (struct trial_ask){p.first + i % p.n, plans[i / p.n], NULL};
    bool ok = trial_losses(t->trial, ask, 2 * p.n, l, e);
    for (uint32_t i = 0; ok && i < 2 * p.n; i++) {
        struct side_sums *x = &s[i / p.n];
        x->kl[ask[i].window] = l[i].kl;
        x->nll += l[i].nll;
        x->base_nll += l[i].base_nll;
        x->same_top += l[i].same_top;
        x->n += l[i].n;
    }
    free(ask);
    free(l);
    return ok;
}

bool check_elsewhere(struct job *j, const struct plan *before, struct err *e)
{
    struct corpus_opts text = j->corpus;
    text.part = CORPUS_CHECK;
    if (j->o->check)
        text = (struct corpus_opts){.specs = &j->o->check, .n_specs = 1};
    else if (!j->t.text.corpus.aside.n_check)
        return true;
    struct race_text t;
    struct refine_check *c = &j->r->check;
    const struct plan *const plans[2] = {before, j->r->plan};
    struct side_sums s[2] = {0};
    bool ok = race_text_open(&t, &text, j->g, j->r->view, j->o->n_ctx, 0, e);
    for (int i = 0; i < 2; i++)
        s[i].kl = xcalloc(ok ? t.text.n : 1, sizeof *s[i].kl);
    for (uint32_t i = 0; ok && i < t.n_packs; i++)
        ok = check_pack(&t, t.packs[i], plans, s, e);
    if (ok) {
        struct paired p = paired_of(s[0].kl, s[1].kl, t.n_scored, t.text.category, t.text.n);
        *c = (struct refine_check){.n_windows = p.n_windows,
                                   .n_categories = p.n_categories,
                                   .n_scored = s[0].n,
                                   .before = side_of(&t, &s[0]),
                                   .after = side_of(&t, &s[1]),
                                   .gain = p.mean,
                                   .gain_stderr = p.stderr_mean};
        j->r->checked = true;
    }
    for (int i = 0; i < 2; i++)
        free(s[i].kl);
    race_text_clear(&t);
    return ok;
}

static json_t *side_json(const struct refine_side *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "kl", json_real(s->kl));
    json_object_set_new(o, "ppl", json_real(s->ppl));
    json_object_set_new(o, "base_ppl", json_real(s->base_ppl));
    json_object_set_new(o, "top1_agreement", json_real(s->top1));
    return o;
}

json_t *refine_check_json(const struct refine_check *c)
{
    json_t *o = json_object();
    json_object_set_new(o, "n_windows", json_integer(c->n_windows));
    json_object_set_new(o, "n_categories", json_integer(c->n_categories));
    json_object_set_new(o, "n_scored", json_integer((json_int_t)c->n_scored));
    json_object_set_new(o, "before", side_json(&c->before));
    json_object_set_new(o, "after", side_json(&c->after));
    json_object_set_new(o, "gain", json_real(c->gain));
    json_object_set_new(o, "gain_stderr", json_finite(c->gain_stderr));
    return o;
}
