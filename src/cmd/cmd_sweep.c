/* cmd_sweep.c - quality against size, without writing a model. */
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "sweep/sweep.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static struct opt_list texts;
static struct opt_ratios ratios;
static struct opt_picks criteria;
static const char *stats, *out, *state, *pass_bounds;
static struct pass pass;
static int64_t ctx, round_to, seed;
static double max_kl, max_increase;
static bool has_max_kl, has_max_increase;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("stats", &stats, "FILE", "statistics of this model (reap profile)", .alias = "-s",
             .required = true),
    OPT_PATHS("text", &texts, "FILE", "text to evaluate on, not the calibration text", .required = true),
    OPT_INT("ctx", &ctx, "N", 4, 1 << 24, "window in tokens", .dflt = OPT_TEXT(EVAL_CTX)),
    OPT_HEADING("Plans"),
    OPT_RATIOS("ratios", &ratios, "LIST", "shares that go", .alias = "-r", .dflt = "0.125,0.25,0.375,0.5"),
    OPT_PICKS("criteria", &criteria, "LIST", &cmd_criteria, "how experts are ranked, by each of a list",
              .dflt = CRITERION_DEFAULT),
    OPT_INT("round-to", &round_to, "M", 1, LIMIT_EXPERTS, "counts that are multiples of M"),
    OPT_INT("seed", &seed, "N", 0, 9e15, "of the criterion random", .dflt = "0"),
    OPT_HEADING("The smallest good enough"),
    OPT_SHARE("max-ppl-increase", &max_increase, "X",
              "perplexity may rise by 2% or 0.02 of the model's; exit status 3 if no plan is within",
              .seen = &has_max_increase),
    OPT_REAL("max-kl", &max_kl, "X", 0, 1e6, "mean KL divergence at most X nats; the same",
             .seen = &has_max_kl),
    OPT_STR("pass", &pass_bounds, "BOUNDS", CMD_PASS),
    OPT_PATH("output", &out, "FILE", "write the plan of the smallest model within the limits", .alias = "-o"),
    OPT_PATH("state", &state, "FILE", "keep what is done here, and go on from it",
             .dflt_is = "OUTPUT.state until the end"),
    OPT_FLAG("force", &cmd_force, "replace the output", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

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

/* The limits are bounds of the pass mark by names of their own. */
static bool read_pass(struct err *e)
{
    if (has_max_increase)
        pass_ask(&pass, PASS_PPL_INCREASE, max_increase);
    if (has_max_kl)
        pass_ask(&pass, PASS_KL, max_kl);
    return !pass_bounds || pass_parse(pass_bounds, "--pass", &pass, e);
}

static bool check_files(const struct sweep_opts *o, struct err *e)
{
    const char *const outs[] = {out, o->state};
    for (int i = 0; i < 2; i++) {
        if (!outs[i])
            continue;
        if (!file_check_apart(outs[i], o->stats, "the stats file", e) ||
            !file_check_texts(outs[i], o->texts, o->n_texts, e))
            return false;
    }
    if (out && o->state && !strcmp(out, o->state))
        return err_set(e, ERR_INPUT, "--output and --state are both '%s'", out);
    struct view *v = out || o->state ? view_open(o->model, e) : NULL;
    bool ok = (v || (!out && !o->state)) && (!out || view_check_output(v, out, e)) &&
              (!o->state || view_check_output(v, o->state, e));
    view_free(v);
    return ok;
}

/* ---- printing ---- */

static void print_table(struct buf *b, const struct sweep_result *r, int chosen)
{
    char s[32], n[32];
    const struct eval_against *any = &r->points[0].r;
    cmd_fmt(b, "%-16s %7s %7s %10s %22s %8s %21s %9s\n", "criterion", "pruned", "experts", "size",
            "perplexity", "ratio", "KL divergence", "same top");
    cmd_fmt(b, "%-16s %7s %7u %10s %12.4f +/- %5.3f\n", "(whole model)", "", r->view->shape.n_experts,
            human_bytes(r->view->bytes, s), any->base.ppl, any->base.ppl_stderr);
    for (uint32_t i = 0; i < r->n_points; i++) {
        const struct sweep_point *p = &r->points[i];
        cmd_fmt(b, "%-16s %5.1f %% %7u %10s %12.4f +/- %5.3f %8.4f %9.6f +/- %.6f %7.2f %%%s\n",
                p->criterion->name, 100 * (1 - (double)p->plan->n_keep / r->view->shape.n_experts),
                p->plan->n_keep, human_bytes(p->bytes, s), p->r.score.ppl, p->r.score.ppl_stderr,
                exp(p->r.ln_ratio), p->r.kl_mean, p->r.kl_stderr, 100 * p->r.top1,
                (int)i == chosen ? "  <-" : "");
    }
    cmd_fmt(b, "%s tokens scored, each plan against the whole model\n", human_count(r->points[0].sums.n, n));
}

static bool report(const struct sweep_opts *o, struct sweep_result *r, struct err *e)
{
    bool limits = pass_any(&pass);
    int chosen = limits ? sweep_choose(r, &pass) : -1;
    if (out && chosen >= 0 && !plan_write(out, sweep_plan(o, r, (uint32_t)chosen), cmd_force, e))
        return false;
    bool ok;
    if (cmd_json) {
        ok = cmd_print_json("sweep", sweep_report(o, r, &pass, chosen), e);
    } else {
        struct buf b = {0};
        print_table(&b, r, chosen);
        if (chosen >= 0)
            cmd_fmt(&b, "the smallest within the limits: %u of %u experts, by %s%s%s\n",
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
    if (!read_pass(e))
        return false;
    if (out && !pass_any(&pass))
        return err_set(e, ERR_INPUT, "--output needs a limit: --max-ppl-increase, --max-kl or --pass");
    const struct criterion **list = xcalloc(criteria.n, sizeof *list);
    for (uint32_t i = 0; i < criteria.n; i++)
        list[i] = criterion_at(criteria.v[i]);
    struct sweep_opts o = {.model = args[0],
                           .stats = stats,
                           .texts = texts.v,
                           .n_texts = texts.n,
                           .ratios = ratios.v,
                           .n_ratios = ratios.n,
                           .criteria = list,
                           .n_criteria = criteria.n,
                           .n_ctx = (uint32_t)ctx,
                           .round_to = (uint32_t)round_to,
                           .seed = (uint64_t)seed,
                           .state = state,
                           .engine = cmd_engine};
    struct sweep_result r = {0};
    char *own_state = out && !state ? xasprintf("%s.state", out) : NULL;
    if (own_state)
        o.state = own_state;
    /* The output last: a run that it refuses has cleared what a killed one left of the state's lock. */
    struct out_lock of_state = {.fd = -1}, of_out = {.fd = -1};
    bool ok = check_files(&o, e) && (!o.state || out_hold(&of_state, o.state, true, e)) &&
              (!out || out_hold(&of_out, out, cmd_force, e)) && sweep_run(&o, &r, e) && report(&o, &r, e);
    if (own_state && ok && unlink(own_state) != 0 && errno != ENOENT)
        /* it stays when no plan is within the limits: others may be asked for */
        log_warn("cannot remove '%s': %s; nothing needs it any more", own_state, strerror(errno));
    out_unlock(&of_out);
    out_unlock(&of_state);
    sweep_result_clear(&r);
    free(own_state);
    free(list);
    return ok;
}
