/* cmd_report.c - one HTML file for people, from the files of the other commands. */
#include "base/file.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "report/report.h"

static const char *out, *stats, *plan, *against, *sweep, *model, *title;
static struct opt_list evals, compares;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("output", &out, "FILE", "the HTML file to write", .alias = "-o", .required = true),
    OPT_PATH("stats", &stats, "FILE", "statistics (reap profile)"),
    OPT_PATH("plan", &plan, "FILE", "which experts stay (reap plan)", .alias = "-p"),
    OPT_PATHS("eval", &evals, "FILE", "evaluation (reap eval -o), first of the parent, then of the result"),
    OPT_PATH("against", &against, "FILE", "evaluation of the result by reap eval --against the parent"),
    OPT_PATH("sweep", &sweep, "FILE", "quality at several sizes (reap sweep --json)"),
    OPT_PATHS(
        "compare", &compares, "FILE",
        "answers side by side (reap compare -o), or first the answers of the parent, then of the result"),
    OPT_MODEL("model", &model, "FILE", "the parent: checked against the other files, gives the sizes",
              .alias = "-m"),
    OPT_STR("title", &title, "TEXT", "title of the page", .dflt_is = "from model and plan"),
    OPT_FLAG("force", &cmd_force, "replace the output; accept files of different models", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_report = {
    .name = "report",
    .usage = "WORKDIR -o OUT.html\n-o OUT.html --stats STATS [--plan PLAN] [--eval BASE --eval AFTER] ...",
    .summary = "one HTML page of what was pruned and what it cost, without network",
    .example =
        "  reap report pruned.gguf.work -o report.html\n"
        "  reap report --stats stats.json --plan plan.json --eval before.json --eval after.json -o report.html\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 0,
    .max_args = 1,
    .run = run,
};

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    if (evals.n > 2)
        return err_set(e, ERR_INPUT, "--eval is given %u times, expected at most 2: parent, result", evals.n);
    if (compares.n > 2)
        return err_set(e, ERR_INPUT, "--compare is given %u times, expected at most 2: parent, result",
                       compares.n);
    struct report_opts o = {
        .stats = stats,
        .plan = plan,
        .eval_base = evals.n > 0 ? evals.v[0] : NULL,
        .eval_after = evals.n > 1 ? evals.v[1] : NULL,
        .against = against,
        .sweep = sweep,
        .compare = {compares.n > 0 ? compares.v[0] : NULL, compares.n > 1 ? compares.v[1] : NULL},
        .model = model,
        .title = title,
        .force = cmd_force};
    struct report_result r;
    if (n ? !report_work(args[0], &o, out, &r, e) : !report_write(&o, out, &r, e))
        return false;
    if (cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "report", json_text(out));
        json_object_set_new(j, "bytes", json_integer((json_int_t)r.bytes));
        json_object_set_new(j, "n_sections", json_integer(r.n_sections));
        return cmd_print_json("report", j, e);
    }
    struct buf b = {0};
    char s[32];
    cmd_fmt(&b, "%s: %u sections, %s\n", out, r.n_sections, human_bytes(r.bytes, s));
    return cmd_print(&b, e);
}
