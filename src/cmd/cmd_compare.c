/* cmd_compare.c - the answers of the pruned model beside those of its parent. */
#include "base/file.h"
#include "base/out.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "results/runs.h"

#include <math.h>
#include <string.h>

static const char *out;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("output", &out, "FILE", "write reap.compare/1, with the prompts and both answers",
             .alias = "-o"),
    OPT_FLAG("force", &cmd_force, "replace the output", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_compare = {
    .name = "compare",
    .usage = "BASE.json PRUNED.json [OPTIONS]",
    .summary = "how the answers of two models to the same prompts differ",
    .example = "  reap compare base.json pruned.json\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 2,
    .max_args = 2,
    .run = run,
};

static const char *marks(const struct compare_side *s, char m[5])
{
    const bool is[] = {s->endless, s->loop_period > 0, s->n_calls > 0, s->malformed};
    for (int i = 0; i < 4; i++)
        m[i] = is[i] ? "LRCX"[i] : '-';
    m[4] = 0;
    return m;
}

static void row(struct buf *b, const struct compare_row *r)
{
    char tag[32] = "", m[2][5];
    if (r->repeat)
        snprintf(tag, sizeof tag, " #%llu", (unsigned long long)r->repeat);
    cmd_fmt(b, "%5.1f %%%s %13llu %7llu %13s %7s   %s%s\n", 100 * r->similarity, r->exact ? " =" : "  ",
            (unsigned long long)r->base.n_words, (unsigned long long)r->pruned.n_words, marks(&r->base, m[0]),
            marks(&r->pruned, m[1]), r->id, tag);
}

static void mean_row(struct buf *b, const char *what, const char *fmt, double scale, double x, double y)
{
    char s[2][32] = {"-", "-"};
    const double m[] = {x, y};
    if (isnan(x) && isnan(y))
        return;
    for (int i = 0; i < 2; i++) {
        if (isnan(m[i]))
            continue;
        if (!strcmp(fmt, "%"))
            snprintf(s[i], sizeof s[i], "%.1f %%", m[i] * scale);
        else
            snprintf(s[i], sizeof s[i], "%.2f", m[i] * scale);
    }
    cmd_fmt(b, "%-34s %10s %24s\n", what, s[0], s[1]);
}

static void rate_cell(char s[64], const struct compare_rate *r)
{
    snprintf(s, 64, "%.1f %% (%.1f-%.1f)", 100 * r->rate, 100 * r->low, 100 * r->high);
}

static void rate_row(struct buf *b, const char *what, const struct compare_rate *x,
                     const struct compare_rate *y)
{
    char s[2][64];
    rate_cell(s[0], x);
    rate_cell(s[1], y);
    cmd_fmt(b, "%-24s %20s %24s\n", what, s[0], s[1]);
}

static void count_row(struct buf *b, const char *what, uint64_t x, uint64_t y)
{
    if (x || y)
        cmd_fmt(b, "%-34s %10llu %24llu\n", what, (unsigned long long)x, (unsigned long long)y);
}

static void totals(struct buf *b, const struct compare_total *t)
{
    const struct compare_sums *x = &t->base, *y = &t->pruned;
    char s[64];
    rate_cell(s, &t->exact);
    cmd_fmt(b, "equal answers            %s of %llu\n", s, (unsigned long long)t->n);
    cmd_fmt(b,
            "similarity               mean %.1f %%, median %.1f %% (longest common subsequence of words)\n\n",
            100 * t->similarity_mean, 100 * t->similarity_median);
    cmd_fmt(b, "%-34s %10s %24s\n", "", "base", "pruned");
    rate_row(b, "stopped by the limit", &x->endless, &y->endless);
    rate_row(b, "ends in a loop", &x->loops, &y->loops);
    count_row(b, "malformed", x->n_malformed, y->n_malformed);
    mean_row(b, "in the most repeated 4-gram", "%", 100, x->repeat_share, y->repeat_share);
    mean_row(b, "words", "", 1, x->words, y->words);
    mean_row(b, "tokens", "", 1, x->tokens, y->tokens);
    mean_row(b, "tokens/s", "", 1, x->tokens_per_second, y->tokens_per_second);
    mean_row(b, "seconds to the first token", "", 1, x->first_token, y->first_token);
}

/* Calls of tools, where there are any. */
static void calls(struct buf *b, const struct compare_total *t, const json_t *ignored)
{
    const struct compare_sums *x = &t->base, *y = &t->pruned;
    char s[64];
    const char *key;
    json_t *n;
    if (!t->n_calling)
        return;
    cmd_fmt(b, "\ncalls of tools           in %llu of %llu pairs\n", (unsigned long long)t->n_calling,
            (unsigned long long)t->n);
    rate_cell(s, &t->same_names);
    cmd_fmt(b, "same functions           %s\n", s);
    rate_cell(s, &t->same_arguments);
    cmd_fmt(b, "and the same arguments   %s\n\n", s);
    rate_row(b, "answers with a call", &x->calling, &y->calling);
    if (x->n_checked || y->n_checked) {
        rate_row(b, "arguments fit the tool", &x->fit, &y->fit);
        cmd_fmt(b, "%-24s %20s %24s\n", "  of answers", human_count(x->n_checked, s),
                human_count(y->n_checked, s + 32));
    }
    count_row(b, "calls", x->n_calls, y->n_calls);
    count_row(b, "  with arguments that are no JSON", x->n_no_json, y->n_no_json);
    count_row(b, "  of a tool that there is not", x->n_unknown, y->n_unknown);
    if (!ignored)
        return;
    buf_str(b, "not checked in the schemas: ");
    bool first = true;
    json_object_foreach ((json_t *)(uintptr_t)ignored, key, n) {
        cmd_fmt(b, "%s%s (%lld)", first ? "" : ", ", key, (long long)json_integer_value(n));
        first = false;
    }
    buf_char(b, '\n');
}

static void category_row(struct buf *b, const struct compare_total *t)
{
    double n = (double)t->n;
    cmd_fmt(b, "%6llu %8.1f %% %7.1f %% %7.1f %% %7.1f %%   %s\n", (unsigned long long)t->n,
            100 * t->similarity_mean, 100 * (double)t->exact.count / n,
            100 * (double)t->pruned.endless.count / n, 100 * (double)t->pruned.loops.count / n,
            t->category ? t->category : "(none)");
}

static void to_text(struct buf *b, const struct compare_file *c)
{
    buf_str(b, "similar     words: base  pruned   ends: base  pruned   prompt\n");
    for (uint64_t i = 0; i < c->n_rows; i++)
        row(b, &c->rows[i]);
    buf_str(b, "(=: equal; L: stopped by the limit; R: ends in a loop; C: calls a tool; X: malformed)\n\n");
    if (c->n_categories > 1) {
        buf_str(
            b,
            "     n   similar     equal      cut     loops   category (stopped by the limit, ends in a loop: pruned)\n");
        for (uint32_t i = 0; i < c->n_categories; i++)
            category_row(b, &c->categories[i]);
        buf_char(b, '\n');
    }
    totals(b, &c->total);
    calls(b, &c->total, c->ignored);
    if (c->n_only_base || c->n_only_pruned)
        cmd_fmt(b, "\nnot compared: %llu answers of the base and %llu of the pruned model have no partner\n",
                (unsigned long long)c->n_only_base, (unsigned long long)c->n_only_pruned);
}

static bool check_output(const char *base, const char *pruned, struct err *e)
{
    return file_check_apart(out, base, "one of the inputs", e) &&
           file_check_apart(out, pruned, "one of the inputs", e) && file_check_output(out, cmd_force, e);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    if (out && !check_output(args[0], args[1], e))
        return false;
    struct runs *c = runs_open(args[0], args[1], e);
    bool ok = c && (!out || compare_write(out, &c->result, cmd_force, e));
    if (ok && cmd_json) {
        ok = cmd_print_json("compare", compare_json(&c->result, false), e);
    } else if (ok) {
        struct buf b = {0};
        to_text(&b, &c->result);
        ok = cmd_print(&b, e);
    }
    runs_free(c);
    return ok;
}
