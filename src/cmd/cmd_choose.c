/* cmd_choose.c - the criterion whose plan changes the model least. */
#include "base/file.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/text.h"
#include "cmd/choice_table.h"
#include "cmd/cmd.h"
#include "sweep/choice.h"

#include <string.h>

static struct opt_list texts;
static struct opt_picks criteria;
static const char *stats, *out;
static double budget;
static int64_t ctx;

static const struct opt how_many[] = {
    OPT_HEADING("How many experts stay (one of)"),
    OPT_ENDS,
};

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("stats", &stats, "FILE", "statistics of this model (reap profile --set-aside)", .alias = "-s",
             .required = true),
    OPT_PATH("output", &out, "FILE", "the plan to write", .alias = "-o", .required = true),
    OPT_PICKS("criteria", &criteria, "LIST", &cmd_criteria, "the candidates",
              .dflt_is = "all that the statistics can serve, but random"),
    OPT_PATHS(
        "text", &texts, "FILE",
        "instead of --calib: other text to measure on, a category for each file; not the calibration text"),
    OPT_INT("ctx", &ctx, "N", 4, 1 << 24, "window in tokens", .dflt = OPT_TEXT(TRIAL_CTX)),
    OPT_DURATION("budget", &budget, "TIME", 0.001, 1e9,
                 "begin no further window after this time: 600, 10m, 2h; two of each category are measured"),
    OPT_FLAG("force", &cmd_force, "replace the output; accept statistics of another model", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_choose = {
    .name = "choose",
    .usage =
        "MODEL --stats STATS (--calib PATH... | --text FILE...) (--keep N | --prune-ratio R | ...) -o PLAN",
    .summary =
        "measure the plan of every criterion without cutting, and take the one that changes the model least",
    .example =
        "  reap profile model.gguf --calib prompts/ --set-aside 0.1 -o stats.json\n"
        "  reap choose model.gguf --stats stats.json --calib prompts/ --prune-ratio 0.25 -o plan.json\n"
        "  reap choose model.gguf --stats stats.json --text dev.txt --keep 16 --budget 10m -o plan.json\n",
    .opts = (const struct opt *const[]){how_many, count_opt_table, opts, samples_opt_table, engine_opt_table,
                                        NULL},
    .min_args = 1,
    .max_args = 1,
    .models = 1,
    .run = run,
};

static bool check_files(const struct choice_opts *o, struct err *e)
{
    if (!stats_check_apart(out, o->stats, "the stats file", e) ||
        !file_check_texts(out, o->texts, o->n_texts, e) ||
        !file_check_apart(out, o->engine.chat_template_file, "the chat template itself", e) ||
        !corpus_check_sources(&o->corpus, out, e))
        return false;
    struct view *v = view_open(o->model, e);
    bool ok = v && view_check_output(v, out, e);
    view_free(v);
    return ok;
}

static bool print(const struct choice_result *r, struct err *e)
{
    json_t *doc = choice_report(r);
    struct choice_file f;
    struct buf b = {0};
    if (cmd_json) {
        json_object_set_new(doc, "plan", json_text(out));
        json_object_set_new(doc, "seconds", json_real(r->secs));
        json_object_set_new(doc, "n_decoded", json_integer((json_int_t)r->n_tokens));
        return cmd_print_json("choose", doc, e);
    }
    bool ok = choice_read(doc, &f, e);
    if (ok) {
        choice_table(&b, &f);
        choice_file_clear(&f);
    }
    json_decref(doc);
    return ok && cmd_print(&b, e);
}

static bool choose(const struct choice_opts *o, struct err *e)
{
    struct out_lock lock = {.fd = -1};
    struct choice_result r = {0};
    bool ok = check_files(o, e) && out_hold(&lock, out, cmd_force, e) && choice_run(o, &r, e) &&
              plan_write(out, choice_plan(&r), cmd_force, e);
    out_unlock(&lock);
    ok = ok && print(&r, e);
    choice_result_clear(&r);
    return ok;
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct choice_opts o = {.model = args[0],
                            .stats = stats,
                            .texts = texts.v,
                            .n_texts = texts.n,
                            .plan = {.force = cmd_force},
                            .n_criteria = criteria.n,
                            .n_ctx = (uint32_t)ctx,
                            .budget = budget,
                            .engine = cmd_engine};
    cmd_corpus(&o.corpus);
    if (!cmd_count(&o.plan))
        return opt_need_group(&(struct opt_spec){.tables = cmd_choose.opts}, CMD_COUNT, e);
    if (!o.corpus.n_specs == !texts.n)
        return err_set(
            e, ERR_INPUT,
            texts.n ? "--calib and --text exclude each other: one text is measured on"
                    : "give the --calib of the profile, of which a part was set aside, or --text FILE");
    const struct criterion **list = xcalloc((size_t)criteria.n + 1, sizeof *list);
    for (uint32_t i = 0; i < criteria.n; i++)
        list[i] = criterion_at(criteria.v[i]);
    o.criteria = list;
    bool ok = choose(&o, e);
    free(list);
    return ok;
}
