/* cmd_plan.c - which experts stay. */
#include "base/file.h"
#include "base/log.h"
#include "base/out.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/plan_show.h"
#include "cmd/shared.h"
#include "model/advice.h"
#include "plan/sources.h"

#include <string.h>

static const char *out, *model, *from;
static uint32_t criterion;
static struct domains domains;
static int64_t seed;
static bool has_seed, has_criterion;

static const struct opt how_many[] = {
    OPT_HEADING("How many (one of)"),
    OPT_ENDS,
};

static const struct opt which[] = {
    OPT_HEADING("Which"),
    OPT_CHOICE("criterion", &criterion, "NAME", &cmd_criteria, "the score that ranks experts",
               .dflt = CRITERION_DEFAULT, .seen = &has_criterion),
    OPT_INT("seed", &seed, "N", 0, 9e15, "of the criterion random", .dflt = "0", .seen = &has_seed),
    OPT_ENDS,
};

static const struct opt opts[] = {
    OPT_PATH("from", &from, "FILE", "no stats, but a keep-list or ranking of another tool, made into a plan"),
    OPT_HEADING("Files"),
    OPT_PATH("output", &out, "FILE", "the plan to write", .alias = "-o", .required = true),
    OPT_MODEL("model", &model, "FILE", "the model that will be pruned: checked now, and its sizes are shown",
              .alias = "-m"),
    OPT_FLAG("force", &cmd_force, "replace the output; accept statistics of another model", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_plan = {
    .name = "plan",
    .usage = "STATS (--keep N | --keep-ratio R | --prune-ratio R | --fit SIZE) -o PLAN\n"
             "--stats STATS[:W] --stats STATS[:W]... (--keep N | ...) -o PLAN\n"
             "--from FILE [--keep N | ...] -o PLAN",
    .summary = "choose which experts stay, from a stats file",
    .example = "  reap plan stats.json --prune-ratio 0.25 -o plan.json\n"
               "  reap plan stats.json --fit 12GiB --model model.gguf --round-to 8 -o plan.json\n"
               "  reap plan --stats code.json:2 --stats chat.json --prune-ratio 0.5 -o plan.json\n"
               "  reap plan --from keep-list.json --model model.gguf -o plan.json\n",
    .opts = (const struct opt *const[]){how_many, count_opt_table, which, domains_opt_table, opts, NULL},
    .min_args = 0,
    .max_args = 1,
    .run = run,
};

/* ---- the two ways ---- */

/* The operand, if there is one, and all --stats. */
static bool load_sources(struct plan_sources *s, char const *const *args, uint32_t n_args, struct err *e)
{
    bool ok = !n_args || plan_sources_add(s, args[0], false, e);
    for (uint32_t i = 0; ok && i < domains.stats.n; i++)
        ok = plan_sources_add(s, domains.stats.v[i], true, e);
    return ok && plan_sources_load(s, out, e);
}

/* Who asks what fits is told of the other way to make it fit. */
static void advise(const struct view *v, const struct plan *p, const char *stats, uint64_t fit)
{
    struct buf why = {0}, cmd = {0};
    if (!advice_quantise(v, p->n_keep, &why))
        return;
    buf_str(&cmd, "reap sweep ");
    buf_shell(&cmd, v->path);
    buf_str(&cmd, " --stats ");
    buf_shell(&cmd, stats);
    buf_str(&cmd, " --text FILE ");
    advice_types(v, &cmd);
    log_warn("%s; this measures it: %s --fit %llu", why.s, cmd.s, (unsigned long long)fit);
    buf_clear(&why);
    buf_clear(&cmd);
}

static bool plan_stats(char const *const *args, uint32_t n_args, struct plan_opts *o, struct err *e)
{
    struct id_lists lists = {0};
    struct plan_sources s = {0};
    struct plan_summary sum = {0};
    struct plan *p = NULL;
    struct view *v = NULL;
    if (!file_check_apart(out, domains.protect, "an input", e) ||
        (domains.protect && !lists_read(domains.protect, &lists, e)))
        return false;
    o->protect = domains.protect ? &lists : NULL;
    bool ok = load_sources(&s, args, n_args, e) &&
              (!model || ((v = view_open(model, e)) && view_check_output(v, out, e) && view_hash(v, e)));
    if (ok)
        p = plan_blend(s.v, s.n, v, o, &sum, e);
    plan_summary_say(&sum, true);
    if (p && v && o->kind == FIT_BYTES)
        advise(v, p, s.v[0].path, o->fit);
    const struct shape shape = p ? shape_of_stats(s.v[0].stats) : (struct shape){0};
    ok = p && plan_removes(&shape, v, o, p->n_keep, true, e) && plan_write(out, p, cmd_force, e) &&
         plan_show(out, o, p, &sum, e);
    plan_summary_clear(&sum);
    plan_free(p);
    view_free(v);
    plan_sources_clear(&s);
    lists_clear(&lists);
    return ok;
}

static bool plan_lists(const struct plan_opts *o, bool counted, struct err *e)
{
    struct id_lists lists;
    if (!file_check_apart(out, from, "an input", e) || !lists_read(from, &lists, e))
        return false;
    struct view *v = model ? view_open(model, e) : NULL;
    struct plan *p = NULL;
    if (!model || (v && view_check_output(v, out, e) && view_hash(v, e)))
        p = plan_from_lists(&lists, from, counted, v, o, e);
    bool ok = p && plan_write(out, p, cmd_force, e);
    if (ok && cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "plan", json_text(out));
        json_object_set_new(j, "n_keep", json_integer(p->n_keep));
        json_object_set_new(j, "n_layers", json_integer(p->n_layers));
        ok = cmd_print_json("plan", j, e);
    } else if (ok) {
        struct buf b = {0};
        cmd_fmt(&b, "%s: %u experts stay in each of %u layers, as %s says%s\n", out, p->n_keep, p->n_layers,
                from, v ? "" : " (not checked against a model: --model)");
        ok = cmd_print(&b, e);
    }
    plan_free(p);
    view_free(v);
    lists_clear(&lists);
    return ok;
}

static bool check_options(uint32_t n_args, const struct plan_opts *o, bool counted, struct err *e)
{
    if (!from && !n_args && !domains.stats.n)
        return err_set(e, ERR_INPUT, "missing operand; usage: reap plan %.*s",
                       (int)strcspn(cmd_plan.usage, "\n"), cmd_plan.usage);
    if (from && (n_args || domains.stats.n || domains.any || has_criterion || has_seed))
        return err_set(e, ERR_INPUT, "--from takes no stats files, and no criterion, blend or protection");
    if (from && o->round_to && !counted)
        return err_set(e, ERR_INPUT, "--round-to goes with --keep and its like");
    if (has_seed && o->criterion->form != CRITERION_CHANCE)
        log_note("note: --seed matters only to --criterion random");
    if (!from && !counted)
        return opt_need_group(&(struct opt_spec){.tables = cmd_plan.opts}, CMD_COUNT, e);
    return file_check_output(out, cmd_force, e);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    struct plan_opts o = {.criterion = criterion_at(criterion), .seed = (uint64_t)seed, .force = cmd_force};
    bool counted = cmd_count(&o);
    cmd_domains(&domains, &o, n, false);
    if (!check_options(n, &o, counted, e))
        return false;
    return from ? plan_lists(&o, counted, e) : plan_stats(args, n, &o, e);
}
