/* eval_show.c - see eval_show.h. */
#include "cmd/eval_show.h"
#include "base/text.h"
#include "cmd/cmd.h"

#include <math.h>

void eval_show(struct buf *b, const struct eval_text *x)
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
