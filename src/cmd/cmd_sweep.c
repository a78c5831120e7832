/* cmd_sweep.c - quality against size, without writing a model. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "sweep/sweep.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static struct opt_list texts;
static const char *stats, *ratios = "0.125,0.25,0.375,0.5", *criteria = "reap", *out, *state, *max_increase;
static int64_t ctx = 512, round_to, seed;
static double max_kl;
static bool has_max_kl;

static const struct opt opts[] = {
    {OPT_HEAD, "Options", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_STR, "stats", "-s", &stats, "FILE", "statistics of this model (reap profile)", 0, 0, NULL},
    {OPT_LIST, "text", NULL, &texts, "FILE", "text to evaluate on, not the calibration text (several times)",
     0, 0, NULL},
    {OPT_INT, "ctx", NULL, &ctx, "N", "window in tokens (default 512)", 4, 1 << 24, NULL},
    {OPT_HEAD, "Plans", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_STR, "ratios", "-r", &ratios, "LIST", "shares that go (default 0.125,0.25,0.375,0.5)", 0, 0, NULL},
    {OPT_STR, "criteria", NULL, &criteria, "LIST",
     "how experts are ranked (default reap; reap plan --help lists them)", 0, 0, NULL},
    {OPT_INT, "round-to", NULL, &round_to, "M", "counts that are multiples of M", 1, 65536, NULL},
    {OPT_INT, "seed", NULL, &seed, "N", "of the criterion random (default 0)", 0, 9e15, NULL},
    {OPT_HEAD, "The smallest good enough", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_STR, "max-ppl-increase", NULL, &max_increase, "X",
     "perplexity may rise by 2% or 0.02 of the model's; exit status 3 if no plan is within", 0, 0, NULL},
    {OPT_REAL, "max-kl", NULL, &max_kl, "X", "mean KL divergence at most X nats; the same", 0, 1e6,
     &has_max_kl},
    {OPT_STR, "output", "-o", &out, "FILE", "write the plan of the smallest model within the limits", 0, 0,
     NULL},
    {OPT_STR, "state", NULL, &state, "FILE",
     "keep what is done here, and go on from it (default: OUTPUT.state until the end)", 0, 0, NULL},
    {OPT_FLAG, "force", "-f", &cmd_force, NULL, "replace the output", 0, 0, NULL},
    {.kind = OPT_END},
};

/* ---- options ---- */

static bool parse_ratios(struct sweep_opts *o, double **list, struct err *e)
{
    char *s = xstrdup(ratios), *save = NULL;
    uint32_t cap = 0;
    bool ok = true;
    for (char *p = strtok_r(s, ",", &save); ok && p; p = strtok_r(NULL, ",", &save)) {
        double v;
        GROW(*list, o->n_ratios, cap);
        ok = (parse_f64(p, &v) && v >= 0 && v < 1) ||
             err_set(e, ERR_INPUT, "--ratios: '%s' is not a share from 0 to below 1", p);
        (*list)[o->n_ratios++] = v;
    }
    free(s);
    o->ratios = *list;
    return ok && (o->n_ratios || err_set(e, ERR_INPUT, "--ratios: the list is empty"));
}

static bool parse_criteria(struct sweep_opts *o, const struct criterion ***list, struct err *e)
{
    char *s = xstrdup(criteria), *save = NULL;
    uint32_t cap = 0;
    bool ok = true;
    for (char *p = strtok_r(s, ",", &save); ok && p; p = strtok_r(NULL, ",", &save)) {
        GROW(*list, o->n_criteria, cap);
        ok = ((*list)[o->n_criteria++] = criterion_find(p)) ||
             err_set(e, ERR_INPUT, "--criteria: '%s' is not known; reap plan --help lists them", p);
    }
    free(s);
    o->criteria = *list;
    return ok && (o->n_criteria || err_set(e, ERR_INPUT, "--criteria: the list is empty"));
}

/* "2%" or "0.02"; NAN when not given. */
static bool parse_increase(double *v, struct err *e)
{
    *v = NAN;
    if (!max_increase)
        return true;
    size_t n = strlen(max_increase);
    bool percent = n && max_increase[n - 1] == '%';
    char *s = xstrndup(max_increase, n - percent);
    bool ok = parse_f64(s, v) && *v >= 0;
    free(s);
    if (percent)
        *v /= 100;
    return ok || err_set(e, ERR_INPUT, "--max-ppl-increase '%s': expected 2%% or 0.02", max_increase);
}

static bool check_files(const struct sweep_opts *o, struct err *e)
{
    const char *const outs[] = {out, o->state};
    for (int i = 0; i < 2; i++) {
        if (!outs[i])
            continue;
        if (file_would_destroy(outs[i], o->stats))
            return err_set(e, ERR_INPUT, "the output '%s' is the stats file", outs[i]);
        for (uint32_t k = 0; k < o->n_texts; k++)
            if (file_would_destroy(outs[i], o->texts[k]))
                return err_set(e, ERR_INPUT, "the output '%s' is the text '%s' itself", outs[i], o->texts[k]);
        if (!file_check_output(outs[i], i == 1 || cmd_force, e))
            return false;
    }
    if (out && o->state && !strcmp(out, o->state))
        return err_set(e, ERR_INPUT, "--output and --state are both '%s'", out);
    struct view *v = out ? view_open(o->model, e) : NULL;
    bool ok = !out || (v && view_check_output(v, out, e));
    view_free(v);
    return ok;
}

/* ---- printing ---- */

static void print_table(struct buf *b, const struct sweep_result *r, int chosen)
{
    char s[32], n[32];
    const struct against_result *any = &r->points[0].r;
    buf_fmt(b, "%-16s %7s %7s %10s %22s %8s %21s %9s\n", "criterion", "pruned", "experts", "size",
            "perplexity", "ratio", "KL divergence", "same top");
    buf_fmt(b, "%-16s %7s %7u %10s %12.4f +/- %5.3f\n", "(whole model)", "", r->view->shape.n_experts,
            human_bytes(r->view->bytes, s), any->base.ppl, any->base.ppl_stderr);
    for (uint32_t i = 0; i < r->n_points; i++) {
        const struct sweep_point *p = &r->points[i];
        buf_fmt(b, "%-16s %5.1f %% %7u %10s %12.4f +/- %5.3f %8.4f %9.6f +/- %.6f %7.2f %%%s\n",
                p->criterion->name, 100 * (1 - (double)p->plan->n_keep / r->view->shape.n_experts),
                p->plan->n_keep, human_bytes(p->bytes, s), p->r.score.ppl, p->r.score.ppl_stderr,
                exp(p->r.ln_ratio), p->r.kl_mean, p->r.kl_stderr, 100 * p->r.top1,
                (int)i == chosen ? "  <-" : "");
    }
    buf_fmt(b, "%s tokens scored, each plan against the whole model\n", human_count(r->points[0].sums.n, n));
}

static bool report(const struct sweep_opts *o, struct sweep_result *r, double increase, struct err *e)
{
    double kl = has_max_kl ? max_kl : NAN;
    bool limits = max_increase || has_max_kl;
    int chosen = limits ? sweep_choose(r, increase, kl) : -1;
    if (out && chosen >= 0 && !json_write(out, sweep_plan(o, r, (uint32_t)chosen), cmd_force, e))
        return false;
    bool ok;
    if (cmd_json) {
        ok = cmd_print_json("sweep", sweep_report(o, r, increase, kl, chosen), e);
    } else {
        struct buf b = {0};
        print_table(&b, r, chosen);
        if (chosen >= 0)
            buf_fmt(&b, "the smallest within the limits: %u of %u experts, by %s%s%s\n",
                    r->points[chosen].plan->n_keep, r->view->shape.n_experts,
                    r->points[chosen].criterion->name, out ? " -> " : "", out ? out : "");
        ok = cmd_print(&b, e);
    }
    if (ok && limits && chosen < 0)
        ok = err_set(e, ERR_CHECK, "no plan is within the limits%s%s%s",
                     o->state ? "; with others the same call needs no new run, '" : "",
                     o->state ? o->state : "", o->state ? "' holds the figures" : "");
    return ok;
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct sweep_opts o = {.model = args[0],
                           .stats = stats,
                           .texts = texts.v,
                           .n_texts = texts.n,
                           .n_ctx = (uint32_t)ctx,
                           .round_to = (uint32_t)round_to,
                           .seed = (uint64_t)seed,
                           .state = state,
                           .engine = cmd_engine};
    struct sweep_result r = {0};
    double *ratio_list = NULL, increase;
    const struct criterion **criterion_list = NULL;
    if (!stats || !texts.n)
        return err_set(e, ERR_INPUT, "--%s is missing", stats ? "text" : "stats");
    if (out && !max_increase && !has_max_kl)
        return err_set(e, ERR_INPUT, "--output needs a limit: --max-ppl-increase or --max-kl");
    char *own_state = out && !state ? xasprintf("%s.state", out) : NULL;
    if (own_state)
        o.state = own_state;
    bool ok = parse_ratios(&o, &ratio_list, e) && parse_criteria(&o, &criterion_list, e) &&
              parse_increase(&increase, e) && check_files(&o, e) && sweep_run(&o, &r, e) &&
              report(&o, &r, increase, e);
    if (own_state && ok) /* other limits may be asked for when none is within these */
        unlink(own_state);
    sweep_result_clear(&r);
    free(own_state);
    free(ratio_list);
    free(criterion_list);
    return ok;
}

const struct cmd cmd_sweep = {
    .name = "sweep",
    .usage = "MODEL --stats STATS --text FILE...",
    .summary = "quality against size: many plans measured on one loaded model, none written",
    .example =
        "  reap sweep model.gguf --stats stats.json --text heldout.txt --criteria reap,frequency,random\n"
        "  reap sweep model.gguf --stats stats.json --text heldout.txt --max-ppl-increase 2% -o plan.json\n",
    .opts = (const struct opt *const[]){opts, engine_opt_table, NULL},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
