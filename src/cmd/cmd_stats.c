/* cmd_stats.c - stats files: what they say, and several made into one.
 *
 * The first operand may be the name of a sub-command (a row of `subs`); otherwise all operands are files to
 * show. A file of such a name is given as ./merge. */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/stats_show.h"
#include "stats/merge.h"

#include <string.h>

static const char *criterion = "reap", *out, *model;
static bool has_criterion, has_out, has_force, has_model;

static const struct opt opts[] = {
    {OPT_HEAD, "Showing", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_STR, "criterion", NULL, &criterion, "NAME",
     "the score of the tables (default reap; see reap plan --help)", 0, 0, &has_criterion},
    {OPT_STR, "model", "-m", &model, "MODEL", "the model, for sizes at each ratio", 0, 0, &has_model},
    {OPT_HEAD, "merge", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_STR, "output", "-o", &out, "FILE", "the file to write", 0, 0, &has_out},
    {OPT_FLAG, "force", "-f", &cmd_force, NULL,
     "replace the output; merge although options differ that change last digits", 0, 0, &has_force},
    {.kind = OPT_END},
};

static void free_all(struct stats **s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        stats_free(s[i]);
    free(s);
}

/* All of them, or NULL with *e. */
static struct stats **load_all(char const *const *paths, uint32_t n, struct err *e)
{
    struct stats **s = xcalloc(n, sizeof *s);
    for (uint32_t i = 0; i < n; i++)
        if (!(s[i] = stats_load(paths[i], e))) {
            free_all(s, n);
            return NULL;
        }
    return s;
}

static bool check_output(const char *input, struct err *e)
{
    return !file_would_destroy(out, input) || err_set(e, ERR_INPUT, "the output '%s' is an input", out);
}

static bool show(char const *const *args, uint32_t n, struct err *e)
{
    enum criterion c;
    if (!criterion_parse(criterion, &c))
        return err_set(e, ERR_INPUT, "--criterion '%s' is not known; reap plan --help lists them", criterion);
    struct stats **s = load_all(args, n, e);
    struct view *v = s && model ? view_open(model, e) : NULL;
    bool ok = s && (!model || (v && view_hash(v, e)));
    for (uint32_t i = 0; ok && v && i < n; i++)
        ok = view_match(v, s[i]->model, args[i], e);
    const struct stats_show o = {.s = s, .path = args, .n = n, .criterion = c, .view = v};
    ok = ok && stats_show(&o, e);
    view_free(v);
    if (s)
        free_all(s, n);
    return ok;
}

static bool merge(char const *const *args, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!check_output(args[i], e))
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (file_same(args[i], args[k]))
                return err_set(e, ERR_INPUT, "'%s' is given twice", args[i]);
    }
    struct stats **s = load_all(args, n, e);
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
        buf_fmt(&b, "%s: %s tokens of %u files\n", out, human_count(stats_tokens(&sum->layers[0]), t), n);
        ok = cmd_print(&b, e);
    }
    stats_free(sum);
    if (s)
        free_all(s, n);
    return ok;
}

static const struct sub {
    const char *name;
    uint32_t max_args;
    bool (*run)(char const *const *args, uint32_t n, struct err *e);
} subs[] = {
    {"merge", UINT32_MAX, merge},
};

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    for (size_t i = 0; i < sizeof subs / sizeof *subs; i++) {
        if (strcmp(args[0], subs[i].name) != 0)
            continue;
        if (n < 2 || n - 1 > subs[i].max_args)
            return err_set(e, ERR_INPUT, "stats %s: %s operand; usage: reap stats %s", args[0],
                           n < 2 ? "missing" : "unexpected", cmd_stats.usage);
        if (!out)
            return err_set(e, ERR_INPUT, "--output is missing: where shall the file go?");
        if (has_criterion || has_model)
            return err_set(e, ERR_INPUT, "--%s does not go with stats %s",
                           has_criterion ? "criterion" : "model", args[0]);
        return file_check_output(out, cmd_force, e) && subs[i].run(args + 1, n - 1, e);
    }
    if (has_out || has_force)
        return err_set(e, ERR_INPUT, "--%s goes with merge, not with tables", has_out ? "output" : "force");
    return show(args, n, e);
}

const struct cmd cmd_stats = {
    .name = "stats",
    .usage = "STATS... [--criterion NAME] [--model MODEL] [--json] | merge STATS... -o STATS",
    .summary = "what a stats file says: load of the experts, share kept at each ratio, stability",
    .example = "  reap stats stats.json\n"
               "  reap stats code.json chat.json prose.json --model model.gguf\n"
               "  reap stats merge part-1.json part-2.json part-3.json -o stats.json\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 1,
    .max_args = 100000,
    .run = run,
};
