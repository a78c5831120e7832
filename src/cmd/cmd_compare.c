/* cmd_compare.c - the answers of the pruned model beside those of its parent. */
#include "base/file.h"
#include "cmd/cmd.h"
#include "serve/runs.h"

#include <string.h>

static const char *out;

static const struct opt opts[] = {
    {OPT_HEAD, "Options", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_STR, "output", "-o", &out, "FILE", "write reap.compare/1, with the prompts and both answers", 0, 0,
     NULL},
    {OPT_FLAG, "force", "-f", &cmd_force, NULL, "replace the output", 0, 0, NULL},
    {.kind = OPT_END},
};

static const char *marks(const struct runs_side *s)
{
    return s->endless ? s->loops.period ? "LR" : "L-" : s->loops.period ? "-R" : "--";
}

static void row(struct buf *b, const struct runs_row *r)
{
    char tag[32] = "";
    if (r->repeat)
        snprintf(tag, sizeof tag, " #%llu", (unsigned long long)r->repeat);
    buf_fmt(b, "%5.1f %%%s %13llu %7llu %13s %7s   %s%s\n", 100 * r->similarity, r->exact ? " =" : "  ",
            (unsigned long long)r->base.n_words, (unsigned long long)r->pruned.n_words, marks(&r->base),
            marks(&r->pruned), r->id, tag);
}

static void mean_row(struct buf *b, const char *what, const char *fmt, double scale,
                     const struct runs_mean *x, const struct runs_mean *y)
{
    char s[2][32] = {"-", "-"};
    const struct runs_mean *m[] = {x, y};
    if (!x->n && !y->n)
        return;
    for (int i = 0; i < 2; i++) {
        double v = runs_mean_of(m[i]) * scale;
        if (!m[i]->n)
            continue;
        if (!strcmp(fmt, "%"))
            snprintf(s[i], sizeof s[i], "%.1f %%", v);
        else
            snprintf(s[i], sizeof s[i], "%.2f", v);
    }
    buf_fmt(b, "%-34s %10s %24s\n", what, s[0], s[1]);
}

static void rate_cell(char s[64], uint64_t k, uint64_t n)
{
    struct interval w = wilson(k, n);
    snprintf(s, 64, "%.1f %% (%.1f-%.1f)", 100 * w.rate, 100 * w.low, 100 * w.high);
}

static void rate_row(struct buf *b, const char *what, uint64_t x, uint64_t y, uint64_t n)
{
    char s[2][64];
    rate_cell(s[0], x, n);
    rate_cell(s[1], y, n);
    buf_fmt(b, "%-24s %20s %24s\n", what, s[0], s[1]);
}

static void totals(struct buf *b, const struct runs_total *t)
{
    char s[64];
    rate_cell(s, t->n_exact, t->n);
    buf_fmt(b, "equal answers            %s of %llu\n", s, (unsigned long long)t->n);
    buf_fmt(b,
            "similarity               mean %.1f %%, median %.1f %% (longest common subsequence of words)\n\n",
            100 * t->similarity_mean, 100 * t->similarity_median);
    buf_fmt(b, "%-34s %10s %24s\n", "", "base", "pruned");
    rate_row(b, "never ended (length)", t->base.n_endless, t->pruned.n_endless, t->n);
    rate_row(b, "ends in a loop", t->base.n_loops, t->pruned.n_loops, t->n);
    mean_row(b, "in the most repeated 4-gram", "%", 100, &t->base.repeat_share, &t->pruned.repeat_share);
    mean_row(b, "words", "", 1, &t->base.words, &t->pruned.words);
    mean_row(b, "tokens", "", 1, &t->base.tokens, &t->pruned.tokens);
    mean_row(b, "tokens/s", "", 1, &t->base.tokens_per_second, &t->pruned.tokens_per_second);
    mean_row(b, "seconds to the first token", "", 1, &t->base.first_token, &t->pruned.first_token);
}

static void category_row(struct buf *b, const struct runs_total *t)
{
    double n = (double)t->n;
    buf_fmt(b, "%6llu %8.1f %% %7.1f %% %7.1f %% %7.1f %%   %s\n", (unsigned long long)t->n,
            100 * t->similarity_mean, 100 * (double)t->n_exact / n, 100 * (double)t->pruned.n_endless / n,
            100 * (double)t->pruned.n_loops / n, t->category ? t->category : "(none)");
}

static void to_text(struct buf *b, const struct runs *c)
{
    buf_str(b, "similar     words: base  pruned   ends: base  pruned   prompt\n");
    for (uint64_t i = 0; i < c->n_rows; i++)
        row(b, &c->rows[i]);
    buf_str(b, "(=: equal; L: never ended, stopped by the limit of tokens; R: ends in a loop)\n\n");
    if (c->n_categories > 1) {
        buf_str(b, "     n   similar     equal  endless     loops   category (endless, loops: pruned)\n");
        for (uint32_t i = 0; i < c->n_categories; i++)
            category_row(b, &c->categories[i]);
        buf_char(b, '\n');
    }
    totals(b, &c->total);
    if (c->n_only_base || c->n_only_pruned)
        buf_fmt(b, "\nnot compared: %llu answers of the base and %llu of the pruned model have no partner\n",
                (unsigned long long)c->n_only_base, (unsigned long long)c->n_only_pruned);
}

static bool check_output(const char *base, const char *pruned, struct err *e)
{
    if (file_would_destroy(out, base) || file_would_destroy(out, pruned))
        return err_set(e, ERR_INPUT, "the output '%s' is one of the inputs", out);
    return file_check_output(out, cmd_force, e);
}

static bool write_file(const struct runs *c, struct err *e)
{
    json_t *o = runs_json(c, true);
    bool ok = json_write(out, o, cmd_force, e);
    json_decref(o);
    return ok;
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    if (out && !check_output(args[0], args[1], e))
        return false;
    struct runs *c = runs_open(args[0], args[1], e);
    bool ok = c && (!out || write_file(c, e));
    if (ok && cmd_json) {
        ok = cmd_print_json("compare", runs_json(c, false), e);
    } else if (ok) {
        struct buf b = {0};
        to_text(&b, c);
        ok = cmd_print(&b, e);
    }
    runs_free(c);
    return ok;
}

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
