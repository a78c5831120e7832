/* cmd_sweep.c - quality against size, without writing a model. */
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/sweep_show.h"
#include "engine/quantize.h"
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
static struct opt_picks types;
static double max_kl, max_increase;
static uint64_t fit;
static bool has_max_kl, has_max_increase, has_fit, requantize;

/* Those that need no importance matrix, for what makes types without one. */
static bool find_plain(const char *name, uint32_t *i)
{
    uint32_t k, at = 0;
    if (!engine_quantize_find(name, &k) || engine_quantize_needs_matrix(k))
        return false;
    for (uint32_t n = 0; n < k; n++)
        at += !engine_quantize_needs_matrix(n);
    *i = at;
    return true;
}

static const char *plain_name(uint32_t i)
{
    for (uint32_t n = 0; engine_quantize_name(n); n++)
        if (!engine_quantize_needs_matrix(n) && !i--)
            return engine_quantize_name(n);
    return NULL;
}

static const char *why_not_plain(const char *name)
{
    uint32_t i;
    return engine_quantize_find(name, &i)
               ? "needs an importance matrix, which a sweep has not (reap quantize --imatrix)"
               : NULL;
}

static const struct opt_choices plain_types = {
    .at = plain_name, .find = find_plain, .any_case = true, .why_not = why_not_plain};
static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("stats", &stats, "FILE", "statistics of this model (reap profile)", .alias = "-s",
             .required = true),
    OPT_PATHS("text", &texts, "FILE", "text to evaluate on, not the calibration text", .required = true),
    OPT_INT("ctx", &ctx, "N", 4, 1 << 24, "window in tokens", .dflt = OPT_TEXT(EVAL_CTX)),
    OPT_HEADING("Plans"),
    OPT_RATIOS("ratios", &ratios, "LIST", 0, 0.999, "shares that go", .alias = "-r",
               .dflt = "0.125,0.25,0.375,0.5"),
    OPT_PICKS("criteria", &criteria, "LIST", &cmd_criteria, "how experts are ranked, by each of a list",
              .dflt = CRITERION_DEFAULT),
    OPT_INT("round-to", &round_to, "M", 1, LIMIT_EXPERTS, "counts that are multiples of M"),
    OPT_INT("seed", &seed, "N", 0, 9e15, "of the criterion random", .dflt = "0"),
    OPT_HEADING("Prune, or quantise"),
    OPT_PICKS(
        "types", &types, "LIST", &plain_types,
        "also the model in each of these types, whole and by each plan (a temporary file in the cache)"),
    OPT_FLAG("allow-requantize", &requantize, CMD_REQUANTIZE),
    OPT_SIZE("fit", &fit, "SIZE",
             "of all that is measured name the nearest to the model with tensor data of at most SIZE (9.5G, "
             "12GiB); exit status 3 if none is",
             .seen = &has_fit),
    OPT_HEADING("The smallest good enough"),
    OPT_SHARE("max-ppl-increase", &max_increase, "X", 0, 1e6,
              "perplexity may rise by 2% or 0.02 of the model's; exit status 3 if no plan is within",
              .seen = &has_max_increase),
    OPT_REAL("max-kl", &max_kl, "X", 0, 1e6, "mean KL divergence at most X nats; the same",
             .seen = &has_max_kl),
    OPT_STR("pass", &pass_bounds, "BOUNDS", CMD_PASS),
    OPT_PATH("output", &out, "FILE",
             "write the plan of what is chosen: by --fit, or the smallest model within the limits",
             .alias = "-o"),
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
        "  reap sweep model.gguf --stats stats.json --text heldout.txt --max-ppl-increase 2% -o plan.json\n"
        "  reap sweep model.gguf --stats stats.json --text heldout.txt --types q8_0,q5_k_m,q4_k_m --fit 13GiB -o plan.json\n",
    .opts = (const struct opt *const[]){opts, engine_opt_table, NULL},
    .min_args = 1,
    .max_args = 1,
    .models = 1,
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
        if (!stats_check_apart(outs[i], o->stats, "the stats file", e) ||
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

static bool no_choice(const struct sweep_opts *o, struct err *e)
{
    return err_set(e, ERR_CHECK, "no %s is within the limits%s%s%s", types.n ? "variant" : "plan",
                   o->state ? "; with others the same call needs no new run, '" : "",
                   o->state ? o->state : "", o->state ? "' holds the figures" : "");
}

static bool report(const struct sweep_opts *o, struct sweep_result *r, struct err *e)
{
    struct sweep_file f;
    bool limits = pass_any(&pass) || fit;
    sweep_file_make(o, r, &f);
    f.pass = pass;
    f.fit = fit;
    f.chosen = limits ? sweep_choose(&f) : -1;
    bool ok = !out || f.chosen < 0 || plan_write(out, sweep_plan(o, r, (uint32_t)f.chosen), cmd_force, e);
    if (ok && cmd_json) {
        ok = cmd_print_json("sweep", sweep_json(&f), e);
    } else if (ok) {
        struct buf b = {0};
        sweep_show(&b, &f);
        if (f.chosen >= 0)
            sweep_show_choice(&b, &f, o->model, out, r->view->format->converts, requantize);
        ok = cmd_print(&b, e);
    }
    ok = ok && (!limits || f.chosen >= 0 || no_choice(o, e));
    sweep_file_unmake(&f);
    return ok;
}

/* Each once. */
static const char **type_names(uint32_t *n)
{
    const char **list = xcalloc(types.n + 1, sizeof *list);
    *n = 0;
    for (uint32_t i = 0; i < types.n; i++) {
        bool again = false;
        for (uint32_t k = 0; k < i; k++)
            again = again || types.v[k] == types.v[i];
        if (!again)
            list[(*n)++] = opt_choice(&plain_types, types.v[i]);
    }
    return list;
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    if (!read_pass(e))
        return false;
    if (has_fit && !fit)
        return err_set(e, ERR_INPUT, "--fit 0: nothing is that small");
    if (out && !pass_any(&pass) && !fit)
        return err_set(e, ERR_INPUT, "--output needs a limit: --max-ppl-increase, --max-kl, --pass or --fit");
    if (requantize && !types.n)
        log_note("note: --allow-requantize matters only with --types");
    const struct criterion **list = xcalloc(criteria.n, sizeof *list);
    for (uint32_t i = 0; i < criteria.n; i++)
        list[i] = criterion_at(criteria.v[i]);
    uint32_t n_types;
    const char **names = type_names(&n_types);
    struct sweep_opts o = {.model = args[0],
                           .stats = stats,
                           .texts = texts.v,
                           .n_texts = texts.n,
                           .ratios = ratios.v,
                           .n_ratios = ratios.n,
                           .criteria = list,
                           .n_criteria = criteria.n,
                           .types = names,
                           .n_types = n_types,
                           .requantize = requantize,
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
    free(names);
    return ok;
}
