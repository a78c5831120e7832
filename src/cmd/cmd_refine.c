/* cmd_refine.c - a plan made better by trial. */
#include "base/file.h"
#include "base/limits.h"
#include "base/out.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "sweep/refine.h"

#include <math.h>
#include <string.h>

static struct opt_list texts;
static const char *plan, *stats, *out, *check;
static uint32_t criterion;
static double budget;
static int64_t ctx, trials, near_cut, seed;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("plan", &plan, "FILE", "the plan to begin with", .alias = "-p", .required = true),
    OPT_PATH("stats", &stats, "FILE", "statistics of this model: which experts are near the cut",
             .alias = "-s", .required = true),
    OPT_PATHS("text", &texts, "FILE", "text to measure on, not that of the final figure", .required = true),
    OPT_PATH("check", &check, "FILE", "another text, measured before and after"),
    OPT_PATH("output", &out, "FILE", "the plan to write", .alias = "-o", .required = true),
    OPT_INT("ctx", &ctx, "N", 4, 1 << 24, "window in tokens", .dflt = OPT_TEXT(EVAL_CTX)),
    OPT_INT("trials", &trials, "N", 1, 1e6, "swaps that are measured", .dflt = "64"),
    OPT_DURATION("budget", &budget, "TIME", 0.001, 1e9, "begin nothing new after this time: 600, 10m, 2h"),
    OPT_INT("near", &near_cut, "N", 1, LIMIT_EXPERTS,
            "swap among the N lowest that stay and the N highest that go",
            .dflt_is = "an eighth of the experts"),
    OPT_CHOICE("criterion", &criterion, "NAME", &cmd_criteria, "the score that ranks experts",
               .dflt = CRITERION_DEFAULT),
    OPT_INT("seed", &seed, "N", 0, 9e15, "of the draws", .dflt = "0"),
    OPT_FLAG("force", &cmd_force, "replace the output; accept a plan of another model", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_refine = {
    .name = "refine",
    .usage = "MODEL --plan PLAN --stats STATS --text FILE... -o PLAN",
    .summary =
        "make a plan better: swap experts near the cut, keep what brings the model nearer to the whole one",
    .example =
        "  reap refine model.gguf --plan plan.json --stats stats.json --text dev.txt --check other.txt -o better.json\n",
    .opts = (const struct opt *const[]){opts, engine_opt_table, NULL},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};

static bool check_files(const struct refine_opts *o, struct err *e)
{
    const char *const inputs[] = {o->plan, o->stats, o->check};
    for (int i = 0; i < 3; i++)
        if (!file_check_apart(out, inputs[i], "an input", e))
            return false;
    if (!file_check_texts(out, o->texts, o->n_texts, e))
        return false;
    for (uint32_t i = 0; i < o->n_texts; i++)
        if (o->check && file_same(o->check, o->texts[i]))
            return err_set(e, ERR_INPUT,
                           "--check is one of the texts that are measured on: it would show nothing");
    struct view *v = view_open(o->model, e);
    bool ok = v && view_check_output(v, out, e);
    view_free(v);
    return ok;
}

static void row(struct buf *b, const char *name, const struct eval_against *x, const struct eval_against *y)
{
    cmd_fmt(
        b,
        "%-18s KL divergence %.6f -> %.6f   perplexity %.4f -> %.4f (whole model %.4f)   same top %.2f %% -> %.2f %%\n",
        name, x->kl_mean, y->kl_mean, x->score.ppl, y->score.ppl, x->base.ppl, 100 * x->top1, 100 * y->top1);
}

static json_t *pair(const struct eval_against *x, const struct eval_against *y)
{
    json_t *o = json_object(), *a = json_object(), *b = json_object();
    json_object_set_new(a, "ppl", json_real(x->score.ppl));
    eval_put_against(a, x);
    json_object_set_new(b, "ppl", json_real(y->score.ppl));
    eval_put_against(b, y);
    json_object_set_new(o, "before", a);
    json_object_set_new(o, "after", b);
    return o;
}

static bool print(const struct refine_opts *o, const struct refine_result *r, struct err *e)
{
    if (cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "plan", json_text(out));
        json_object_set_new(j, "trials", json_integer(r->n_trials));
        json_object_set_new(j, "swaps", json_integer(r->n_swaps));
        json_object_set_new(j, "text", pair(&r->before, &r->after));
        if (o->check && !r->interrupted)
            json_object_set_new(j, "check", pair(&r->check_before, &r->check_after));
        return cmd_print_json("refine", j, e);
    }
    struct buf b = {0};
    row(&b, "measured on", &r->before, &r->after);
    if (o->check && !r->interrupted)
        row(&b, "check", &r->check_before, &r->check_after);
    cmd_fmt(&b, "%s: %u swap%s of %u tried stayed%s\n", out, r->n_swaps, r->n_swaps == 1 ? "" : "s",
            r->n_trials, r->exhausted ? "; nothing near the cut is left to try (--near widens it)" : "");
    return cmd_print(&b, e);
}

static bool refine(const struct refine_opts *o, struct refine_result *r, struct err *e)
{
    struct out_lock lock = {.fd = -1};
    bool ok = check_files(o, e) && out_hold(&lock, out, cmd_force, e) && refine_run(o, r, e) &&
              plan_write(out, r->plan, cmd_force, e);
    out_unlock(&lock);
    return ok && print(o, r, e);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct refine_opts o = {.model = args[0],
                            .plan = plan,
                            .stats = stats,
                            .texts = texts.v,
                            .n_texts = texts.n,
                            .check = check,
                            .criterion = criterion_at(criterion),
                            .budget = budget,
                            .n_ctx = (uint32_t)ctx,
                            .near = (uint32_t)near_cut,
                            .trials = (uint32_t)trials,
                            .seed = (uint64_t)seed,
                            .force = cmd_force,
                            .engine = cmd_engine};
    struct refine_result r = {0};
    bool ok = refine(&o, &r, e);
    if (ok && r.interrupted)
        ok = err_set(e, ERR_INTERRUPTED, "interrupted; '%s' is the best plan so far, --plan goes on from it",
                     out);
    refine_result_clear(&r);
    return ok;
}
