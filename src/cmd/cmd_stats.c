/* cmd_stats.c - stats files: what they say, and several made into one.
 *
 * The first operand may be the name of a sub-command (a row of `subs`); otherwise all operands are files to
 * show. A file of such a name is given as ./merge. */
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/near.h"
#include "base/out.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/stats_exchange.h"
#include "cmd/stats_hot.h"
#include "cmd/stats_show.h"
#include "stats/merge.h"
#include "stats/pairs.h"

#include <string.h>

static const char *out, *model, *architecture;
static uint32_t criterion, format;
static int64_t n_used, hot;
static bool has_criterion, has_out, has_force, has_model, has_format, has_architecture, has_used, has_hot;

/* Of other tools' statistics, then of the hottest experts. */
static uint32_t n_import_forms(void)
{
    uint32_t n = 0;
    while (import_form_name(n))
        n++;
    return n;
}

static const char *form_name(uint32_t i)
{
    uint32_t n = n_import_forms();
    return i < n ? import_form_name(i) : stats_hot_form(i - n);
}

static const struct opt_choices forms = {.at = form_name};

static const struct opt opts[] = {
    OPT_HEADING("Showing"),
    OPT_CHOICE("criterion", &criterion, "NAME", &cmd_criteria, "the score of the tables",
               .dflt = CRITERION_DEFAULT, .seen = &has_criterion),
    OPT_MODEL("model", &model, "MODEL",
              "the model, for sizes at each ratio; with import, the model that was measured", .alias = "-m",
              .seen = &has_model),
    OPT_INT("hot", &hot, "N", 1, LIMIT_EXPERTS,
            "the N experts of each layer that get most of the tokens, for placing them", .seen = &has_hot),
    OPT_HEADING("merge, import, export"),
    OPT_PATH("output", &out, "FILE", "the file to write", .alias = "-o", .seen = &has_out),
    OPT_FLAG(
        "force", &cmd_force,
        "replace the output; merge although options differ that change last digits; import scrambled counts",
        .alias = "-f", .seen = &has_force),
    OPT_CHOICE("format", &format, "NAME", &forms,
               "form of the other tool's file; with --hot text, llama.cpp, json or csv",
               .dflt_is = "import is told from the file, --hot text", .seen = &has_format),
    OPT_STR("architecture", &architecture, "NAME",
            "import without --model: general.architecture of the model", .seen = &has_architecture),
    OPT_INT("experts-used", &n_used, "K", 1, LIMIT_EXPERTS, "import without --model: experts per token",
            .seen = &has_used),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);
static const char *sub_at(uint32_t i);
static const struct opt_choices sub_names = {.at = sub_at};

const struct cmd cmd_stats = {
    .name = "stats",
    .usage = "STATS... [--criterion NAME] [--model MODEL] [--json]\n"
             "merge STATS... -o STATS\n"
             "STATS --hot N [--format llama.cpp|json|csv]\n"
             "import FILE (--model MODEL | --architecture NAME) -o STATS\n"
             "export STATS -o FILE",
    .summary = "what a stats file says: load of the experts, share kept at each ratio, stability",
    .example = "  reap stats stats.json\n"
               "  reap stats stats.json --hot 32 --format llama.cpp > hot.csv\n"
               "  reap stats code.json chat.json prose.json --model model.gguf\n"
               "  reap stats merge part-1.json part-2.json part-3.json -o stats.json\n"
               "  reap stats import imatrix.gguf --model model-bf16.gguf -o stats.json\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 1,
    .max_args = 100000,
    .first = &sub_names,
    .run = run,
};

static bool check_inputs(char const *const *args, uint32_t n, struct err *e)
{
    char *pairs = xasprintf("%s" PAIRS_SUFFIX, out);
    bool ok = true;
    for (uint32_t i = 0; ok && i < n; i++)
        ok = stats_check_apart(out, args[i], "an input", e) &&
             stats_check_apart(pairs, args[i], "an input", e);
    free(pairs);
    return ok;
}

static bool show_hot(char const *const *args, uint32_t n, struct err *e)
{
    if (n > 1)
        return err_set(e, ERR_INPUT,
                       "--hot is of one stats file (reap stats merge adds several up), %u are given", n);
    struct stats *s = stats_load(args[0], e);
    bool ok = s && stats_hot(s, (uint32_t)hot, has_format ? format - n_import_forms() : 0, e);
    stats_free(s);
    return ok;
}

static bool show(char const *const *args, uint32_t n, struct err *e)
{
    struct stats **s = stats_load_all(args, n, e);
    struct view *v = s && model ? view_open(model, e) : NULL;
    bool ok = s && (!model || (v && view_hash(v, e)));
    for (uint32_t i = 0; ok && v && i < n; i++)
        ok = view_match(v, s[i]->model, args[i], e);
    const struct stats_show o = {
        .s = s, .path = args, .n = n, .criterion = criterion_at(criterion), .view = v};
    ok = ok && stats_show(&o, e);
    view_free(v);
    stats_free_all(s, n);
    return ok;
}

static bool merge(char const *const *args, uint32_t n, struct err *e)
{
    if (!check_inputs(args, n, e))
        return false;
    struct stats **s = stats_load_all(args, n, e);
    struct stats *sum = s ? stats_merge(s, args, n, cmd_force, e) : NULL;
    bool ok = sum && stats_save(sum, out, cmd_force, e);
    if (ok && cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "stats", json_text(out));
        json_object_set_new(j, "n_files", json_integer(n));
        json_object_set_new(j, "n_tokens", json_integer((json_int_t)stats_tokens(&sum->layers[0])));
        ok = cmd_print_json("stats", j, e);
    } else if (ok) {
        struct buf b = {0};
        char t[32];
        cmd_fmt(&b, "%s: %s tokens of %u files\n", out, human_count(stats_tokens(&sum->layers[0]), t), n);
        ok = cmd_print(&b, e);
    }
    stats_free(sum);
    stats_free_all(s, n);
    return ok;
}

static struct stats_exchange exchange_opts(void)
{
    return (struct stats_exchange){.out = out,
                                   .model = model,
                                   .architecture = architecture,
                                   .n_used = (uint32_t)n_used,
                                   .form = has_format ? import_form_at(format) : NULL};
}

static bool import(char const *const *args, uint32_t n, struct err *e)
{
    struct stats_exchange o = exchange_opts();
    return check_inputs(args, n, e) && cmd_stats_import(&o, args[0], e);
}

static bool export(char const *const *args, uint32_t n, struct err *e)
{
    struct stats_exchange o = exchange_opts();
    return check_inputs(args, n, e) && cmd_stats_export(&o, args[0], e);
}

static const struct sub {
    const char *name;
    uint32_t max_args;
    bool (*run)(char const *const *args, uint32_t n, struct err *e);
} subs[] = {
    {"merge", UINT32_MAX, merge},
    {"import", 1, import},
    {"export", 1, export},
};

static const char *sub_at(uint32_t i)
{
    return i < sizeof subs / sizeof *subs ? subs[i].name : NULL;
}

/* What goes with which sub-command; "FILE" is showing. */
static const struct {
    const char *option;
    const bool *given;
    const char *with;
} limits[] = {
    {"criterion", &has_criterion, "FILE"},         {"model", &has_model, "FILE import"},
    {"format", &has_format, "import export FILE"}, {"hot", &has_hot, "FILE"},
    {"architecture", &has_architecture, "import"}, {"experts-used", &has_used, "import"},
    {"output", &has_out, "merge import export"},   {"force", &has_force, "merge import export"},
};

static bool check_limits(const struct sub *sub, struct err *e)
{
    const char *what = sub ? sub->name : "FILE";
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (*limits[i].given && !strstr(limits[i].with, what))
            return err_set(e, ERR_INPUT, "--%s does not go with stats %s", limits[i].option, what);
    if (has_format && !sub && !has_hot)
        return err_set(e, ERR_INPUT, "--format does not go with stats FILE without --hot");
    if (has_format && (format >= n_import_forms()) != (!sub && has_hot))
        return err_set(e, ERR_INPUT, "--format %s goes with %s alone", form_name(format),
                       format >= n_import_forms() ? "--hot" : "stats import and export");
    if (has_hot && (has_criterion || has_model))
        return err_set(e, ERR_INPUT, "--%s does not go with --hot", has_criterion ? "criterion" : "model");
    return true;
}

/* NULL: files are shown. */
static const struct sub *find_sub(const char *name, struct err *e)
{
    struct near near = {.typed = name};
    for (size_t i = 0; i < sizeof subs / sizeof *subs; i++) {
        near_try(&near, subs[i].name);
        if (!strcmp(name, subs[i].name))
            return &subs[i];
    }
    if (near.best && !file_exists(name))
        err_set(e, ERR_INPUT, "'%s' does not exist: did you mean stats %s? see reap stats --help", name,
                near.best);
    return NULL;
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    const struct sub *sub = find_sub(args[0], e);
    if (e->code != ERR_NONE)
        return false;
    if (!check_limits(sub, e))
        return false;
    if (!sub)
        return has_hot ? show_hot(args, n, e) : show(args, n, e);
    if (n < 2 || n - 1 > sub->max_args)
        return err_set(e, ERR_INPUT, "stats %s: %s operand; see reap stats --help", args[0],
                       n < 2 ? "missing" : "unexpected");
    if (!out)
        return err_set(e, ERR_INPUT, "--output is missing: the file to write; see reap stats --help");
    return stats_recover(out, e) && stats_check_output(out, false, cmd_force, e) &&
           sub->run(args + 1, n - 1, e);
}
