/* cmd_refine.c - a plan made better by trial. */
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "sweep/refine.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct opt_list texts;
static const char *plan, *stats, *out, *check, *state;
static uint32_t criterion;
static bool has_criterion;
static double budget, z, set_aside;
static bool has_set_aside;
static int64_t ctx, trials, tokens, near_cut;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("plan", &plan, "FILE", "the plan to begin with", .alias = "-p", .required = true),
    OPT_PATH("stats", &stats, "FILE", "statistics of this model: which experts are near the cut",
             .alias = "-s", .required = true),
    OPT_PATHS("text", &texts, "FILE", "as --calib"),
    OPT_SHARE("set-aside", &set_aside, "SHARE", 0, 0.99,
              "leave this share of each category's samples out, and measure half of it before and after",
              .seen = &has_set_aside, .dflt_is = "as the statistics say, else 0.1"),
    OPT_PATH("check", &check, "FILE", "another text, measured before and after instead"),
    OPT_PATH("output", &out, "FILE", "the plan to write", .alias = "-o", .required = true),
    OPT_INT("ctx", &ctx, "N", 4, 1 << 24, "window in tokens; longer samples go on in a next window",
            .dflt = OPT_TEXT(REFINE_CTX)),
    OPT_DURATION("budget", &budget, "TIME", 0.001, 1e9, "begin nothing new after this time: 600, 10m, 2h",
                 .dflt_is = "15m, if there is no other limit"),
    OPT_INT("trials", &trials, "N", 1, 1e6, "swaps that are tried, at most"),
    OPT_INT("tokens", &tokens, "N", 1, 1e15, "tokens that are decoded, about"),
    OPT_INT("near", &near_cut, "N", 1, LIMIT_EXPERTS,
            "swap among the N lowest that stay and the N highest that go",
            .dflt_is = "a quarter of the experts, more when nothing is left there"),
    OPT_REAL("z", &z, "Z", 0.5, 10, "a gain must exceed Z errors", .dflt = "2"),
    OPT_CHOICE("criterion", &criterion, "NAME", &cmd_criteria, "the score that ranks experts",
               .dflt_is = "the plan's, or the best measured for it", .seen = &has_criterion),
    OPT_PATH("state", &state, "FILE", "where it goes on from; stays, so that another budget goes on",
             .dflt_is = "OUTPUT.state, removed at the end"),
    OPT_FLAG("force", &cmd_force, "replace the output; accept a plan of another model", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_refine = {
    .name = "refine",
    .usage = "MODEL --plan PLAN --stats STATS --calib PATH[:N]... -o PLAN",
    .summary =
        "make a plan better: swap experts near the cut, keep what brings the model nearer to the whole one",
    .example =
        "  reap refine model.gguf --plan plan.json --stats stats.json --calib prompts/ --budget 15m -o better.json\n",
    .opts = (const struct opt *const[]){opts, samples_opt_table, engine_opt_table, NULL},
    .min_args = 1,
    .max_args = 1,
    .models = 1,
    .run = run,
};

static bool check_files(const struct refine_opts *o, struct err *e)
{
    const char *const inputs[] = {o->plan, o->check}, *const outputs[] = {out, o->state};
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 2; i++)
            if (!file_check_apart(outputs[k], inputs[i], "an input", e))
                return false;
        if (!stats_check_apart(outputs[k], o->stats, "an input", e) ||
            !corpus_check_sources(&o->corpus, outputs[k], e))
            return false;
    }
    if (!file_check_apart(o->state, out, "the output", e))
        return false;
    for (uint32_t i = 0; i < o->corpus.n_specs; i++)
        if (o->check && file_same(o->check, o->corpus.specs[i]))
            return err_set(e, ERR_INPUT,
                           "--check is one of the texts that swaps are tried on: it would show nothing");
    struct view *v = view_open(o->model, e);
    bool ok = v && view_check_output(v, out, e);
    view_free(v);
    return ok;
}

static json_t *result_json(const struct refine_result *r)
{
    json_t *j = json_object();
    json_object_set_new(j, "plan", json_text(out));
    json_object_set_new(j, "measured", json_integer(r->n_measured));
    json_object_set_new(j, "trials", json_integer(r->n_trials));
    json_object_set_new(j, "swaps", json_integer(r->n_swaps));
    json_object_set_new(j, "tokens", json_integer((json_int_t)r->n_tokens));
    json_object_set_new(j, "seconds", json_real(r->secs));
    json_object_set_new(j, "gain", json_real(r->gain));
    json_object_set_new(j, "gain_stderr", json_real(r->gain_stderr));
    json_object_set_new(j, "exhausted", json_boolean(r->exhausted));
    if (r->checked)
        json_object_set_new(j, "check", refine_check_json(&r->check));
    return j;
}

static void check_text(struct buf *b, const struct refine_check *c)
{
    cmd_fmt(b, "check: KL divergence %.6f -> %.6f, lower by %.6f +/- %.6f (%u windows that chose nothing)\n",
            c->before.kl, c->after.kl, c->gain, c->gain_stderr, c->n_windows);
    cmd_fmt(b, "       perplexity %.4f -> %.4f (whole model %.4f)   same top %.2f %% -> %.2f %%\n",
            c->before.ppl, c->after.ppl, c->before.base_ppl, 100 * c->before.top1, 100 * c->after.top1);
}

static bool print(const struct refine_result *r, struct err *e)
{
    struct buf b = {0};
    char t[32], n[32];
    if (cmd_json)
        return cmd_print_json("refine", result_json(r), e);
    cmd_fmt(&b, "%s: %u swap%s of %u tried stayed; %s tokens in %s%s\n", out, r->n_swaps,
            r->n_swaps == 1 ? "" : "s", r->n_trials, human_count(r->n_tokens, n), human_secs(r->secs, t),
            r->exhausted ? "; nothing is left to try" : "");
    cmd_fmt(&b, "gain:  KL divergence lower by %.6f +/- %.6f, on the text that chose\n", r->gain,
            r->gain_stderr);
    if (r->checked)
        check_text(&b, &r->check);
    return cmd_print(&b, e);
}

static bool refine(const struct refine_opts *o, struct refine_result *r, struct err *e)
{
    struct out_lock of_state = {.fd = -1}, of_out = {.fd = -1};
    bool ok = check_files(o, e) && out_hold(&of_state, o->state, true, e) &&
              out_hold(&of_out, out, cmd_force, e) && refine_run(o, r, e) &&
              plan_write(out, r->plan, cmd_force, e);
    if (ok && !state && unlink(o->state) != 0 && errno != ENOENT)
        log_warn("cannot remove '%s': %s; nothing needs it any more", o->state, strerror(errno));
    out_unlock(&of_out);
    out_unlock(&of_state);
    return ok && print(r, e);
}

/* Text of both options. */
static const char **all_text(struct corpus_opts *c)
{
    const char **all = xcalloc((size_t)c->n_specs + texts.n, sizeof *all);
    for (uint32_t i = 0; i < c->n_specs; i++)
        all[i] = c->specs[i];
    for (uint32_t i = 0; i < texts.n; i++)
        all[c->n_specs + i] = texts.v[i];
    c->specs = all;
    c->n_specs += texts.n;
    return all;
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    char *own_state = state ? NULL : xasprintf("%s.state", out);
    struct refine_opts o = {.model = args[0],
                            .plan = plan,
                            .stats = stats,
                            .check = check,
                            .criterion = has_criterion ? criterion_at(criterion) : NULL,
                            .n_ctx = (uint32_t)ctx,
                            .near = (uint32_t)near_cut,
                            .z = z,
                            .trials = (uint32_t)trials,
                            .tokens = (uint64_t)tokens,
                            .budget = budget > 0 || trials || tokens ? budget : REFINE_BUDGET,
                            .state = state ? state : own_state,
                            .force = cmd_force,
                            .engine = cmd_engine};
    struct refine_result r = {0};
    cmd_corpus(&o.corpus);
    o.corpus.set_aside = has_set_aside ? set_aside : -1;
    const char **all = all_text(&o.corpus);
    bool ok = true;
    if (!o.corpus.n_specs)
        ok = err_set(e, ERR_INPUT, "text is missing: --calib PATH");
    ok = ok && refine(&o, &r, e);
    refine_result_clear(&r);
    free(own_state);
    free(all);
    return ok;
}
