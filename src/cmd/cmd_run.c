/* cmd_run.c - the whole job in one command; what it does is in run/. */
#include "base/text.h"
#include "cmd/choice_table.h"
#include "cmd/cmd.h"
#include "cmd/next_steps.h"
#include "cmd/run_show.h"
#include "cmd/shared.h"
#include "engine/quantize.h"
#include "eval/eval.h"
#include "profile/profile.h"
#include "run/run.h"
#include "stats/criteria.h"

#include <string.h>

static const char *out, *work, *pass_bounds, *quantise;
static uint32_t criterion;
static struct opt_list texts, prompts, calib_prompts;
static int64_t max_tokens, calib_max_tokens, ctx, eval_ctx, plan_seed;
static double choose_budget, refine_budget, set_aside, until_stable;
static struct pass pass;
static bool again, resume, dry_run, has_set_aside, requantise;

#define USUAL_RATIO 0.25

/* The criteria, and behind them the word for a choice among them. */
static const char *criterion_word(uint32_t i)
{
    return criterion_at(i) ? criterion_name_at(i) : !i || criterion_at(i - 1) ? "auto" : NULL;
}

static bool find_word(const char *s, uint32_t *i)
{
    if (cmd_criteria.find(s, i))
        return true;
    while (criterion_at(*i))
        ++*i;
    return !strcmp(s, criterion_word(*i));
}

static const struct opt_choices criteria = {.at = criterion_word, .find = find_word};

static const struct opt how_many[] = {
    OPT_HEADING("How many experts stay (default: --prune-ratio " OPT_TEXT(USUAL_RATIO) ")"),
    OPT_ENDS,
};

static const struct opt which[] = {
    OPT_HEADING("Which"),
    OPT_CHOICE(
        "criterion", &criterion, "NAME", &criteria,
        "the score that ranks experts; auto: that whose plan changes the model least, by measurement (reap choose)",
        .dflt = CRITERION_DEFAULT),
    OPT_DURATION("choose-budget", &choose_budget, "TIME", 0.001, 1e9,
                 "with auto: measure no further window after this time: 600, 10m, 2h"),
    OPT_DURATION("refine", &refine_budget, "TIME", 0.001, 1e9,
                 "make the plan better by trial for this time (reap refine): 15m, 2h"),
    OPT_SHARE("set-aside", &set_aside, "SHARE", 0, 0.99,
              "leave this share of each category's samples out of the profile, to choose on",
              .dflt_is = OPT_TEXT(RUN_SET_ASIDE_CHOICE) " with auto, " OPT_TEXT(RUN_SET_ASIDE) " to refine",
              .seen = &has_set_aside),
    OPT_INT("plan-seed", &plan_seed, "N", 0, 9e15, "seed of the criterion random", .dflt = "0"),
    OPT_ENDS,
};

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("output", &out, "FILE", "the pruned model", .alias = "-o", .required = true),
    OPT_DIR("work", &work, "DIR", "folder of stats, plan and results", .alias = "-w", .dflt_is = "FILE.work"),
    OPT_WORD(
        "quantize", &quantise, "TYPE", &cmd_quantize_types,
        "also the pruned model in this type, as OUT-TYPE.gguf (with an importance matrix where it needs one)"),
    OPT_FLAG("allow-requantize", &requantise, "with --quantize: " CMD_REQUANTIZE),
    OPT_PATHS("text", &texts, "FILE", "text to evaluate on, before and after; not calibration text"),
    OPT_INT("ctx", &ctx, "N", 1, 1 << 24, "window of the profile in tokens", .dflt = OPT_TEXT(PROFILE_CTX)),
    CMD_UNTIL_STABLE(&until_stable),
    OPT_INT("eval-ctx", &eval_ctx, "N", 4, 1 << 24, "window of the evaluation", .dflt = OPT_TEXT(EVAL_CTX)),
    OPT_STR("pass", &pass_bounds, "BOUNDS", CMD_PASS ", on --text, against the parent"),
    OPT_FLAG("force", &cmd_force, "replace the output of another run", .alias = "-f", .of_call = true),
    OPT_PATHS("prompts", &prompts, "PATH",
              "prompts to ask both models through llama-server: a folder, .jsonl or text file"),
    OPT_INT("max-tokens", &max_tokens, "N", 1, 1 << 24, "longest answer to a prompt", .dflt = "512"),
    OPT_PATHS("calib-prompts", &calib_prompts, "PATH",
              "prompts to ask the model first: its answers are calibration text, beside --calib or alone"),
    OPT_INT("calib-max-tokens", &calib_max_tokens, "N", 1, 1 << 24, "longest of these answers",
            .dflt = "2048"),
    CMD_DRY_RUN(&dry_run, "say what would be done, how large and how long it would be, and write nothing"),
    OPT_FLAG("again", &again, "do all steps again", .group = 'a', .of_call = true),
    OPT_FLAG("resume", &resume, "go on where an earlier call ended, as is done without it", .group = 'a',
             .of_call = true),
    OPT_ENDS,
};

static struct plan_opts plan_options(void)
{
    struct plan_opts o = {.criterion = criterion_at(criterion), .seed = (uint64_t)plan_seed};
    if (!cmd_count(&o))
        o.value = USUAL_RATIO;
    return o;
}

static bool print_choice(struct buf *b, const struct run_result *r, struct err *e)
{
    struct choice_file f;
    if (!r->choice)
        return true;
    if (!choice_read(r->choice, &f, e))
        return false;
    buf_char(b, '\n');
    choice_table(b, &f);
    choice_file_clear(&f);
    return true;
}

static double number_of(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static void print_refined(struct buf *b, const json_t *r)
{
    const json_t *c = json_object_get(r, "check");
    if (!r)
        return;
    cmd_fmt(b, "\nrefined: %zu swaps of %lld tried stayed", json_array_size(json_object_get(r, "swaps")),
            (long long)json_integer_value(json_object_get(r, "trials")));
    if (c)
        cmd_fmt(b, "; on text that chose nothing KL divergence %.6f -> %.6f, lower by %.6f +/- %.6f",
                number_of(json_object_get(c, "before"), "kl"), number_of(json_object_get(c, "after"), "kl"),
                number_of(c, "gain"), number_of(c, "gain_stderr"));
    buf_char(b, '\n');
}

static bool print(const struct run_result *r, struct err *e)
{
    struct buf b = {0};
    run_show_table(r, quantise, &b);
    if (r->answers.n) {
        const struct run_answers *a = &r->answers;
        cmd_fmt(&b, "%-24s %12llu %12llu  of %llu\n", "answers stopped by limit",
                (unsigned long long)a->endless_before, (unsigned long long)a->endless_after,
                (unsigned long long)a->n);
        cmd_fmt(&b, "%-24s %12llu %12llu\n", "answers ending in a loop", (unsigned long long)a->loops_before,
                (unsigned long long)a->loops_after);
        cmd_fmt(&b, "%-24s %24.1f %%, %llu equal\n", "answers alike", 100 * a->similarity_mean,
                (unsigned long long)a->n_exact);
    }
    if (!print_choice(&b, r, e)) {
        buf_clear(&b);
        return false;
    }
    print_refined(&b, r->refined);
    if (r->verdict)
        cmd_fmt(&b, "\n%s\n", r->verdict);
    buf_char(&b, '\n');
    run_show_times(r, &b);
    if (summary_halves_text(&r->halves, &b))
        buf_char(&b, '\n');
    cmd_fmt(&b, "%s holds the parent's bytes (verified); stats, plan, results and report.html are in %s\n",
            r->output, r->work);
    cmd_mtp_kept(&b, r->mtp, r->n_experts, r->bytes_mtp, false);
    if (r->quantised)
        cmd_fmt(&b, "%s is the same in %s: its routers are the same (verified), its weights are rounded\n",
                r->quantised, quantise);
    if (!r->n_texts)
        buf_str(&b, "give --text FILE (not calibration text) to see what the pruning costs\n");
    return cmd_print(&b, e);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    uint32_t type;
    (void)n;
    if (quantise && engine_quantize_find(quantise, &type))
        quantise = engine_quantize_name(type);
    struct run_opts o = {.model = args[0],
                         .out = out,
                         .work = work,
                         .engine = cmd_engine,
                         .plan = plan_options(),
                         .n_ctx = (uint32_t)ctx,
                         .until_stable = until_stable,
                         .quantise = quantise,
                         .requantise = requantise,
                         .texts = texts.v,
                         .n_texts = texts.n,
                         .eval_ctx = (uint32_t)eval_ctx,
                         .prompts = prompts.v,
                         .n_prompts = prompts.n,
                         .max_tokens = max_tokens,
                         .calib_prompts = calib_prompts.v,
                         .n_calib_prompts = calib_prompts.n,
                         .calib_max_tokens = calib_max_tokens,
                         .force = cmd_force,
                         .job = cmd_kept.job,
                         .dry_run = dry_run,
                         .again = again};
    struct run_result r;
    struct domains domains;
    cmd_corpus(&o.corpus);
    cmd_written(&o.prune);
    cmd_domains(&domains, &o.plan, 0, true);
    o.stats = domains.stats.v;
    o.n_stats = domains.stats.n;
    o.protect = domains.protect;
    if (pass_bounds && !pass_parse(pass_bounds, "--pass", &pass, e))
        return false;
    o.pass = pass;
    o.choose = !o.plan.criterion;
    o.choose_budget = choose_budget;
    o.refine_budget = refine_budget;
    double usual = o.choose ? RUN_SET_ASIDE_CHOICE : refine_budget > 0 ? RUN_SET_ASIDE : 0;
    o.corpus.set_aside = has_set_aside ? set_aside : o.n_stats ? -1 : usual; /* -1: as the statistics say */
    if (requantise && !quantise)
        return err_set(e, ERR_INPUT, "--allow-requantize is for --quantize, which is not given");
    if (choose_budget > 0 && !o.choose)
        return err_set(e, ERR_INPUT, "--choose-budget is for --criterion auto");
    if (o.n_stats && (has_set_aside || until_stable > 0))
        return err_set(e, ERR_INPUT, "--%s is for a profile, and with --stats none is made",
                       has_set_aside ? "set-aside" : "until-stable");
    bool ok = run_all(&o, &r, e);
    if (dry_run) {
        ok = ok && run_show_foreseen(&r, e);
        run_result_clear(&r);
        return ok;
    }
    ok = ok && (cmd_json ? run_show_json(args[0], &r, &pass, e) : print(&r, e));
    if (ok)
        next_steps(r.name, r.output, r.mtp, r.quantised, r.card);
    ok = ok && (!r.verdict || cmd_pass(&pass, &r.against, e));
    run_result_clear(&r);
    return ok;
}

const struct cmd cmd_run = {
    .name = "run",
    .usage = "MODEL (--calib PATH | --calib-prompts PATH)... -o OUT [--prune-ratio R] [--text FILE]...\n"
             "MODEL --stats STATS[:W]... -o OUT [--prune-ratio R] [--text FILE]...",
    .summary = "the whole job: profile, plan, prune, verify, evaluate; restartable",
    .example =
        "  reap run model.gguf --calib prompts/ --prune-ratio 0.25 --text heldout.txt -o pruned.gguf\n"
        "  reap run model.gguf --calib prompts/ --quantize IQ3_XXS --text heldout.txt -o pruned.gguf\n"
        "  reap run model.gguf --stats code.json:2 --stats chat.json --keep 24 --protect-super -o pruned.gguf\n",
    .opts = (const struct opt *const[]){how_many, count_opt_table, which, domains_opt_table, opts,
                                        written_opt_table, samples_opt_table, engine_opt_table, NULL},
    .min_args = 1,
    .max_args = 1,
    .models = 1,
    .run = run,
};
