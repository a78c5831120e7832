/* eval_show.c - see eval_show.h. */
#include "cmd/eval_show.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"

#include <math.h>

static void show_row(struct buf *b, const struct eval_text *x)
{
    char n[32];
    const struct eval_score *s = &x->score;
    const struct eval_against *r = &x->against;
    cmd_fmt(b, "%-28s %10.4f +/- %.4f   nll %.6f   %s tokens scored\n", x->name, s->ppl, s->ppl_stderr,
            s->nll, human_count(s->n_scored, n));
    if (!x->compared)
        return;
    cmd_fmt(b, "  base                       %10.4f +/- %.4f   ratio %.5f +/- %.5f\n", r->base.ppl,
            r->base.ppl_stderr, exp(r->ln_ratio), exp(r->ln_ratio) * r->ln_ratio_stderr);
    cmd_fmt(b,
            "  KL divergence (nats)       %10.6f +/- %.6f   median %.6f   p90 %.6f   p99 %.6f   max %.6f\n",
            r->kl_mean, r->kl_stderr, r->kl_median, r->kl_p90, r->kl_p99, r->kl_max);
    cmd_fmt(b, "  same top token             %9.3f %% +/- %.3f %%\n", 100 * r->top1, 100 * r->top1_stderr);
    cmd_fmt(b, "  RMS of probability change  %9.3f %% +/- %.3f %%\n", 100 * r->dp_rms,
            100 * r->dp_rms_stderr);
}

static uint32_t n_sides(const struct eval_shown *x)
{
    return x->n_plans ? x->n_plans : 1;
}

/* ---- the result file ---- */

static struct eval_plan plan_of(const struct eval_shown *x, uint32_t i)
{
    return (struct eval_plan){path_base(x->paths[i]), x->plans[i]->criterion, x->plans[i]->n_keep};
}

struct eval_file eval_shown_file(const struct eval_shown *x)
{
    const struct eval_scores *r = x->r;
    struct eval_file f = eval_scores_file(&r[0]);
    f.model = view_identity(x->v);
    f.base = x->base ? view_identity(x->base) : NULL;
    f.pass = *x->pass;
    f.others = xcalloc(n_sides(x), sizeof *f.others);
    if (x->n_plans)
        f.plan = plan_of(x, 0);
    for (uint32_t i = 1; i < x->n_plans; i++)
        f.others[f.n_others++] = (struct eval_other){.plan = plan_of(x, i),
                                                     .texts = r[i].rows,
                                                     .n_texts = r[i].n,
                                                     .total = r[i].all,
                                                     .diff = eval_scores_difference(&r[i], &r[0])};
    return f;
}

void eval_shown_clear(struct eval_file *f)
{
    json_decref((json_t *)(uintptr_t)f->model);
    json_decref((json_t *)(uintptr_t)f->base);
    free(f->others);
}

bool eval_shown_write(const struct eval_file *f, struct out *to, struct err *e)
{
    struct buf b = {0};
    json_t *o = eval_json(f);
    json_print(&b, o);
    bool ok = out_write(to, b.s, b.n, e);
    buf_clear(&b);
    json_decref(o);
    return ok;
}

/* ---- for people ---- */

static void show_difference(struct buf *b, const char *name, double mean, double error, bool differs)
{
    cmd_fmt(b, "  %-26s %+10.6f +/- %.6f%s\n", name, mean, error,
            differs ? "" : "   below two errors: not told apart");
}

static void show_side(struct buf *b, const struct eval_shown *x, uint32_t i)
{
    const struct eval_scores *r = &x->r[i];
    if (x->n_plans > 1)
        cmd_fmt(b, "%s\n", x->paths[i]);
    for (uint32_t k = 0; k < r->n; k++)
        show_row(b, &r->rows[k]);
    if (r->n > 1)
        show_row(b, &r->all);
}

static void show_other(struct buf *b, const struct eval_shown *x, uint32_t i, const struct eval_difference *d)
{
    cmd_fmt(b, "%s minus %s, over %llu windows, paired%s\n", x->paths[i], x->paths[0],
            (unsigned long long)d->n_windows, x->r->n > 1 ? ", each text of equal weight" : "");
    show_difference(b, "KL divergence (nats)", d->kl, d->kl_stderr, d->kl_differs);
    show_difference(b, "nll (nats)", d->nll, d->nll_stderr, d->nll_differs);
}

static void show_verdict(struct buf *b, const struct eval_shown *x, uint32_t i)
{
    double has = x->n_plans ? x->plans[i]->n_keep : x->v->shape.n_experts;
    pass_verdict(1 - has / (x->base ? x->base : x->v)->shape.n_experts, &x->r[i].all.against, x->r[i].n,
                 x->pass, b);
    buf_char(b, '\n');
}

bool eval_show(const struct eval_shown *x, const struct eval_file *f, struct err *e)
{
    struct buf b = {0};
    for (uint32_t i = 0; i < n_sides(x); i++)
        show_side(&b, x, i);
    for (uint32_t i = 0; i < f->n_others; i++)
        show_other(&b, x, i + 1, &f->others[i].diff);
    for (uint32_t i = 0; pass_any(x->pass) && i < n_sides(x); i++)
        show_verdict(&b, x, i);
    return cmd_print(&b, e);
}

bool eval_shown_pass(const struct eval_shown *x, struct err *e)
{
    bool ok = true;
    for (uint32_t i = 0; ok && pass_any(x->pass) && i < n_sides(x); i++)
        ok = cmd_pass(x->pass, &x->r[i].all.against, e) ||
             (x->n_plans > 1 ? err_ctx(e, "%s", x->paths[i]) : false);
    return ok;
}
