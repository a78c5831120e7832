/* cmd_gain.c - one gain per layer for a plan, where it helps. */
#include "base/file.h"
#include "base/out.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "sweep/gain.h"

static const char *plan, *out;
static double set_aside;
static int64_t tokens;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("plan", &plan, "FILE", "the plan that the model is pruned by", .alias = "-p", .required = true),
    OPT_PATH("output", &out, "FILE", "the gains to write, for reap prune --gain", .alias = "-o",
             .required = true),
    OPT_SHARE("set-aside", &set_aside, "SHARE", 0, 0.99,
              "this share of each category's samples is not measured on: half of it chooses, half decides",
              .dflt = OPT_TEXT(GAIN_SET_ASIDE)),
    OPT_INT("tokens", &tokens, "N", 1, 1e15, "measure on at most N tokens", .dflt = OPT_TEXT(GAIN_TOKENS)),
    OPT_FLAG("force", &cmd_force, "replace the output; accept a plan of another model", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_gain = {
    .name = "gain",
    .usage = "MODEL --plan PLAN --calib PATH[:N]... -o GAIN",
    .summary = "measure one gain per layer for a plan, and write it if the pruned model is better with it",
    .example = "  reap gain model.gguf --plan plan.json --calib prompts/ -o gain.json\n"
               "  reap prune model.gguf --plan plan.json --gain gain.json -o pruned.gguf\n",
    .opts = (const struct opt *const[]){opts, corpus_opt_table, engine_opt_table, NULL},
    .min_args = 1,
    .max_args = 1,
    .models = 1,
    .run = run,
};

static void print_layers(struct buf *b, const struct gain_result *r)
{
    cmd_fmt(b, "%8s %14s %24s\n", "layer", "least squares", "lost of its output");
    for (uint32_t i = 0; i < r->n_layers; i++)
        cmd_fmt(b, "%8u %14.4f %12.2f %% -> %5.2f %%\n", r->layers[i].il, r->layers[i].gain,
                100 * r->layers[i].error, 100 * r->layers[i].scaled);
    for (uint32_t i = 0; i < r->n_tries; i++)
        cmd_fmt(b, "%7.2f of the distance from 1: KL divergence %.6f%s\n", r->tries[i].share, r->tries[i].kl,
                i == r->best ? "  *" : "");
}

static bool print(const struct gain_opts *o, const struct gain_result *r, struct err *e)
{
    if (cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "helps", json_boolean(r->helps));
        json_object_set_new(j, "output", r->helps ? json_text(out) : json_null());
        json_object_set_new(j, "measured", gain_measured(o, r));
        return cmd_print_json("gain", j, e);
    }
    struct buf b = {0};
    print_layers(&b, r);
    if (r->best)
        cmd_fmt(
            &b,
            "on text that it was not found on: KL divergence %.6f -> %.6f, difference %.6f +/- %.6f over %u windows\n",
            r->kl_before, r->kl_after, r->check.mean, r->check.stderr_mean, r->check.n_windows);
    if (r->helps)
        cmd_fmt(&b, "%s: one gain for each of %u layers\n", out, r->n_layers);
    return cmd_print(&b, e);
}

static bool check_files(const char *model, struct err *e)
{
    struct view *v = NULL;
    bool ok = file_check_apart(out, plan, "an input", e) && (v = view_open(model, e)) &&
              view_check_output(v, out, e);
    view_free(v);
    return ok;
}

static bool measure(const struct gain_opts *o, struct gain_result *r, struct err *e)
{
    struct out_lock lock = {.fd = -1};
    bool ok = check_files(o->model, e) && corpus_check_sources(&o->corpus, out, e) &&
              out_hold(&lock, out, cmd_force, e) && gain_run(o, r, e);
    if (ok && r->helps) {
        json_t *measured = gain_measured(o, r);
        ok = gain_write(out, r->view, r->plan, measured, cmd_force, e);
        json_decref(measured);
    }
    out_unlock(&lock);
    return ok && print(o, r, e) &&
           (r->helps ||
            err_set(e, ERR_CHECK, "%s: a gain per layer does not help beyond %d errors; nothing is written",
                    o->plan, PAIRED_TIE));
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct gain_opts o = {
        .model = args[0], .plan = plan, .tokens = (uint64_t)tokens, .force = cmd_force, .engine = cmd_engine};
    struct gain_result r = {0};
    cmd_corpus(&o.corpus);
    o.corpus.set_aside = set_aside;
    if (!(set_aside > 0))
        return err_set(e, ERR_INPUT, "--set-aside %g: expected a share above 0 and below 1, such as %g",
                       set_aside, GAIN_SET_ASIDE);
    bool ok = measure(&o, &r, e);
    gain_result_clear(&r);
    return ok;
}
