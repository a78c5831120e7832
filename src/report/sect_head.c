/* sect_head.c - what the result is in a few numbers, what is odd, and what was done with which files. */
#include "base/file.h"
#include "base/text.h"
#include "report/page_part.h"

#include <math.h>
#include <string.h>

static bool always(const struct page *p)
{
    (void)p;
    return true;
}

/* ---- headline numbers ---- */

/* One card: what, the number, a line below. All are ours. */
static void card(struct buf *b, const char *what, const char *number, const char *below)
{
    buf_fmt(b, "<div class=\"card\"><dt>%s</dt><dd><b>%s</b>", what, number);
    if (below[0])
        buf_fmt(b, "<small>%s</small>", below);
    buf_str(b, "</dd></div>\n");
}

#define MAX_COLUMNS 6

static double mean_of(const struct page *p, size_t off)
{
    double sum = 0;
    for (uint32_t i = 0; i < p->n_rows; i++)
        sum += *(const double *)(const void *)((const char *)&p->rows[i] + off);
    return sum / p->n_rows;
}

static void card_experts(struct page *p)
{
    char number[80], below[160];
    if (p->plan)
        snprintf(number, sizeof number, "%u <span>of %u</span>", p->n_keep, p->n_experts);
    else
        snprintf(number, sizeof number, "%u", p->n_experts);
    snprintf(below, sizeof below, p->plan ? "stay in each of %u layers" : "in each of %u layers", p->n_rows);
    card(&p->b, "Experts", number, below);
    if (!p->plan)
        return;
    percent_text(1 - (double)p->n_keep / p->n_experts, number);
    uint64_t gone = (uint64_t)p->n_rows * (p->n_experts - p->n_keep),
             all = (uint64_t)p->n_rows * p->n_experts;
    char x[32], y[32];
    snprintf(below, sizeof below, "%s of %s in all", human_count(gone, x), human_count(all, y));
    card(&p->b, "Removed", number, below);
}

static void card_size(struct page *p)
{
    char a[32], c[32], below[80] = "";
    if (!p->bytes_before && !p->bytes_after)
        return;
    if (p->bytes_before && p->bytes_after) {
        char x[32];
        snprintf(below, sizeof below, "from %s, %s", human_bytes(p->bytes_before, a),
                 percent_text((double)p->bytes_after / (double)p->bytes_before - 1, x));
    }
    card(&p->b, p->bytes_after ? "Size" : "Size of the parent",
         human_bytes(p->bytes_after ? p->bytes_after : p->bytes_before, c), below);
}

static void card_quality(struct page *p)
{
    const bool against = p->against.doc != NULL;
    const struct eval_text *t = against ? &p->against.total : &p->after.total;
    double after = against || p->after.doc ? t->score.ppl : (double)NAN;
    double before = against ? t->against.base.ppl : p->before.doc ? p->before.total.score.ppl : (double)NAN;
    char s[32], x[32], below[80] = "";
    if (isfinite(after)) {
        if (isfinite(before) && before > 0)
            snprintf(below, sizeof below, "from %s, \xc3\x97 %.3f", html_number(before, x), after / before);
        card(&p->b, "Perplexity", html_number(after, s), below);
    } else if (isfinite(before)) {
        card(&p->b, "Perplexity of the parent", html_number(before, s), "");
    }
    double kl = against ? t->against.kl_mean : (double)NAN, top = against ? t->against.top1 : (double)NAN;
    if (isfinite(kl))
        card(&p->b, "KL divergence", html_number(kl, s), "mean over tokens, nats");
    if (isfinite(top))
        card(&p->b, "Same first token", percent_text(top, s), "as the parent would choose");
}

/* What the server said of the answers. */
static void card_speed(struct page *p)
{
    char s[32], x[32], below[80] = "";
    if (!p->answers || !isfinite(p->answers->total.pruned.tokens_per_second))
        return;
    double before = p->answers->total.base.tokens_per_second,
           after = p->answers->total.pruned.tokens_per_second;
    if (isfinite(before))
        snprintf(below, sizeof below, "from %s, when answering", html_number(before, x));
    card(&p->b, "Tokens per second", html_number(after, s), below);
}

static void card_routing(struct page *p)
{
    double lost = mean_of(p, offsetof(struct row, tokens_lost)),
           reap = mean_of(p, offsetof(struct row, reap_lost));
    double same = mean_of(p, offsetof(struct row, halves.same)),
           kept = mean_of(p, offsetof(struct row, halves.kept));
    char s[32], x[32], below[96] = "";
    if (isfinite(lost)) {
        if (isfinite(reap))
            snprintf(below, sizeof below, "and %s of the summed contributions", percent_text(reap, x));
        card(&p->b, "Routing removed", percent_text(lost, s), below);
    }
    if (isfinite(same)) {
        snprintf(below, sizeof below, "of the %u experts, %s of the score", p->n_keep, percent_text(kept, x));
        card(&p->b, "Same choice from each half", percent_text(same, s), below);
    }
    double mass = mean_of(p, offsetof(struct row, mass_kept));
    if (mass > 0)
        card(&p->b, "Gates grow by", html_number(1 / mass, s), "the router does not renormalise");
    uint64_t tokens = report_count(p->calibration, "n_tokens");
    if (tokens) {
        snprintf(below, sizeof below, "of %s samples",
                 human_count(report_count(p->calibration, "n_samples"), x));
        card(&p->b, "Calibration tokens", human_count(tokens, s), below);
    }
}

/* What all texts say of the result, and whether it is good enough, where somebody said what that is. */
static bool step_done(const struct page *p, const char *name)
{
    const struct run_step *s = run_record_find(&p->run, name);
    return s && s->key;
}

/* "12.3 % smaller", "27.1 % higher" of a ratio to 1. */
static void put_change(struct buf *b, double ratio, const char *more, const char *less)
{
    char s[32];
    double by = fabs(ratio - 1);
    if (by < 0.0005)
        buf_str(b, "the same");
    else
        buf_fmt(b, "%s %s", percent_text(by, s), ratio > 1 ? more : less);
}

static bool is_date(const char *s)
{
    size_t n = s ? strlen(s) : 0;
    return n == 10 && strspn(s, "0123456789-") == n;
}

/* The perplexity of both on the same texts; false: not known. */
static bool perplexities(const struct page *p, double *before, double *after, const struct eval_file **f)
{
    bool against = p->against.doc && p->against.total.compared;
    *f = against ? &p->against : &p->after;
    *before = against         ? p->against.total.against.base.ppl
              : p->before.doc ? p->before.total.score.ppl
                              : (double)NAN;
    *after = (*f)->doc ? (*f)->total.score.ppl : (double)NAN;
    return isfinite(*before) && isfinite(*after) && *before > 0;
}

/* All of it in a sentence for people who read one. */
static void put_lead(struct page *p)
{
    struct buf *b = &p->b;
    const struct eval_file *f;
    double before, after;
    char s[32];
    if (!p->plan)
        return;
    buf_str(b, "<p class=\"lead\">");
    if (p->bytes_before && p->bytes_after)
        put_change(b, (double)p->bytes_after / (double)p->bytes_before, "larger", "smaller");
    else
        buf_fmt(b, "%s of the experts removed", percent_text(1 - (double)p->n_keep / p->n_experts, s));
    if (perplexities(p, &before, &after, &f)) {
        buf_str(b, ", perplexity ");
        put_change(b, after / before, "higher", "lower");
        if (f->n_texts == 1) {
            buf_str(b, " on <bdi>");
            html_clip(b, f->texts[0].name, 100);
            buf_str(b, "</bdi>");
        } else
            buf_fmt(b, " on %u texts", f->n_texts);
    } else
        buf_str(b, "; what that costs was not measured");
    if (step_done(p, "verify"))
        buf_str(b, ", every kept byte is the parent\xe2\x80\x99s (verified)");
    buf_str(b, ".");
    if (is_date(p->run.outcome.date)) {
        buf_str(b, " <small class=\"date\">");
        html_clip(b, p->run.outcome.date, 10);
        buf_str(b, "</small>");
    }
    buf_str(b, "</p>\n");
}

static void put_verdict(struct page *p)
{
    const bool against = p->against.doc && p->against.total.compared;
    const struct eval_file *f = against ? &p->against : &p->after;
    double before = p->before.doc ? p->before.total.score.ppl : (double)NAN;
    struct eval_against a = {.ln_ratio = log(p->after.total.score.ppl / before), .kl_mean = NAN, .top1 = NAN};
    struct buf line = {0};
    const struct pass *pass = p->o->pass ? p->o->pass : &f->pass;
    if (!f->doc || !(against || (p->after.doc && isfinite(a.ln_ratio) && pass_any(pass))))
        return;
    if (against)
        a = p->against.total.against;
    pass_verdict(p->plan ? 1 - (double)p->n_keep / p->n_experts : (double)NAN, &a, f->n_texts, pass, &line);
    buf_str(&p->b, "<p class=\"verdict\">");
    html_clip(&p->b, line.s, 600);
    buf_str(&p->b, ".</p>\n");
    buf_clear(&line);
}

/* On a wide screen: rows of equal length, as nearly as it goes, so that none stands alone. */
static unsigned columns_for(const char *cards)
{
    unsigned n = 0;
    for (const char *s = cards; (s = strstr(s, "<div class=\"card\">")); s++)
        n++;
    unsigned rows = (n + MAX_COLUMNS - 1) / MAX_COLUMNS;
    return rows ? (n + rows - 1) / rows : 1;
}

static void put_summary(struct page *p)
{
    put_lead(p);
    put_verdict(p);
    buf_str(&p->b, "<dl class=\"cards\" style=\"--n:0\">\n");
    size_t from = p->b.n;
    card_experts(p);
    card_size(p);
    card_quality(p);
    card_speed(p);
    card_routing(p);
    p->b.s[from - 4] = (char)('0' + columns_for(p->b.s + from));
    buf_str(&p->b, "</dl>\n");
}

const struct section section_summary = {"summary", "At a glance", always, put_summary};

/* ---- remarks ---- */

static bool has_remarks(const struct page *p)
{
    return p->n_remarks > 0;
}

static void put_remarks(struct page *p)
{
    buf_str(&p->b, "<ul class=\"remarks\">\n");
    for (uint32_t i = 0; i < p->n_remarks; i++) {
        buf_str(&p->b, "<li>");
        html_clip(&p->b, p->remarks[i], 1000);
        buf_str(&p->b, "</li>\n");
    }
    buf_str(&p->b, "</ul>\n");
}

const struct section section_remarks = {"remarks", "Remarks", has_remarks, put_remarks};

/* ---- what was done ---- */

static void line(struct buf *b, const char *what)
{
    buf_fmt(b, "<tr><th scope=\"row\" class=\"left\">%s</th><td class=\"left\">", what);
}

static void line_text(struct buf *b, const char *what, const char *s)
{
    if (!s)
        return;
    line(b, what);
    buf_str(b, "<bdi>");
    html_clip(b, s, 400);
    buf_str(b, "</bdi></td></tr>\n");
}

static void line_count(struct buf *b, const char *what, const json_t *o, const char *key)
{
    char s[32];
    if (!json_is_integer(json_object_get(o, key)))
        return;
    line(b, what);
    buf_fmt(b, "%s</td></tr>\n", human_count(report_count(o, key), s));
}

static void line_hash(struct buf *b, const char *what, const char *s)
{
    if (!s)
        return;
    line(b, what);
    buf_str(b, "<code>");
    html_clip(b, s, 128);
    buf_str(b, "</code></td></tr>\n");
}

static void put_model(struct page *p)
{
    struct buf *b = &p->b;
    buf_str(b, "<div><h3>Model</h3>\n<table class=\"facts\"><tbody>\n");
    line_text(b, "name", report_text(p->model, "name"));
    line_text(b, "file", p->o->model ? path_base(p->o->model) : NULL);
    line_text(b, "architecture", report_text(p->model, "architecture"));
    line_count(b, "blocks", p->model, "n_layers");
    line(b, "layers with experts");
    buf_fmt(b, "%u (blocks %u to %u)</td></tr>\n", p->n_rows, p->rows[0].il, p->rows[p->n_rows - 1].il);
    line(b, "experts per layer");
    buf_fmt(b, "%u</td></tr>\n", p->n_experts);
    line_count(b, "experts per token", p->model, "n_experts_used");
    line_count(b, "groups of experts", p->model, "n_expert_groups");
    line_hash(b, "router hash", report_text(p->model, "router_hash"));
    if (p->o->card) {
        line(b, "card of the result");
        buf_str(b, "<a href=\"");
        html_clip(b, p->o->card, 2000);
        buf_str(b, "\">README.md</a></td></tr>\n");
    }
    buf_str(b, "</tbody></table></div>\n");
}

/* Of a run, those that were completed. */
static void put_steps(struct page *p)
{
    int n = 0;
    for (uint32_t i = 0; i < p->run.n && n < 20; i++) {
        if (!p->run.steps[i].key)
            continue;
        if (n++)
            buf_str(&p->b, ", ");
        else
            line(&p->b, "steps done");
        html_clip(&p->b, p->run.steps[i].name, 60);
    }
    if (n)
        buf_str(&p->b, "</td></tr>\n");
}

static void put_choice(struct page *p)
{
    struct buf *b = &p->b;
    const struct plan *q = p->plan;
    char seed[32];
    buf_str(b, "<div><h3>Choice</h3>\n<table class=\"facts\"><tbody>\n");
    if (q) {
        const struct criterion *c = q->criterion ? criterion_find(q->criterion) : NULL;
        line_text(b, "criterion",
                  q->criterion ? q->criterion : "not said (a plan by hand, or found in a pruned model)");
        if (c)
            line_text(b, "formula", c->what);
        if (q->seed >= 0) {
            line(b, "seed");
            buf_fmt(b, "%s</td></tr>\n", human_count((uint64_t)q->seed, seed));
        }
        line(b, "experts that stay");
        buf_fmt(b, "%u in each layer</td></tr>\n", p->n_keep);
        line_text(b, "plan by reap", q->version);
    } else {
        buf_str(b, "<tr><td class=\"left\">No plan was given: nothing is marked as removed.</td></tr>\n");
    }
    put_steps(p);
    buf_str(b, "</tbody></table></div>\n");
}

static void put_calibration(struct page *p)
{
    static const struct {
        const char *what, *key;
    } counts[] = {{"samples", "n_samples"},
                  {"tokens", "n_tokens"},
                  {"window", "ctx"},
                  {"seed", "seed"},
                  {"tokens per step", "ubatch"}},
      texts[] = {{"engine", "engine"},
                 {"flash attention", "flash_attn"},
                 {"K cache", "cache_type_k"},
                 {"V cache", "cache_type_v"},
                 {"chat template", "chat_template"}};
    struct buf *b = &p->b;
    const json_t *c = p->calibration;
    if (!json_is_object(c))
        return;
    buf_str(b, "<div><h3>Calibration</h3>\n<table class=\"facts\"><tbody>\n");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        line_count(b, counts[i].what, c, counts[i].key);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        line_text(b, texts[i].what, report_text(c, texts[i].key));
    buf_str(b, "</tbody></table></div>\n");
}

#define MAX_FILES 500

static void put_calibration_files(struct page *p)
{
    struct buf *b = &p->b;
    const json_t *files = json_object_get(p->calibration, "files");
    size_t n = json_array_size(files);
    if (!n)
        return;
    buf_fmt(b, "<details><summary>Calibration files (%zu)</summary>\n", n);
    put_table_open(b, "Calibration files", "<file|rows|used|left out|<SHA-256");
    for (size_t i = 0; i < n && i < MAX_FILES; i++) {
        const json_t *f = json_array_get(files, i);
        buf_str(b, "<tr><th scope=\"row\" class=\"left\"><bdi>");
        html_clip(b, report_text(f, "file"), 300);
        buf_str(b, "</bdi></th>");
        put_td(b, report_number(f, "n_rows"));
        put_td(b, report_number(f, "n_used"));
        put_td(b, report_number(f, "n_bad"));
        buf_str(b, "<td class=\"left\"><code>");
        html_clip(b, report_text(f, "sha256"), 64);
        buf_str(b, "</code></td></tr>\n");
    }
    put_table_close(b);
    if (n > MAX_FILES)
        buf_fmt(b, "<p>%zu more are not shown.</p>\n", n - MAX_FILES);
    buf_str(b, "</details>\n");
}

/* What does it again. */
static void put_command(struct page *p)
{
    struct buf command = {0};
    run_job_command(p->run.job, &command);
    if (command.n) {
        buf_str(&p->b, "<h3>Command to repeat</h3>\n<pre class=\"command\"><code>");
        html_clip(&p->b, command.s, 4000);
        buf_str(&p->b, "</code></pre>\n");
    }
    buf_clear(&command);
}

static void put_made(struct page *p)
{
    struct buf *b = &p->b;
    buf_str(b, "<div class=\"columns\">\n");
    put_model(p);
    put_choice(p);
    put_calibration(p);
    buf_str(b, "</div>\n");
    put_command(p);
    put_calibration_files(p);
    buf_fmt(b, "<details><summary>Files of this report (%u)</summary>\n", p->n_sources);
    put_table_open(b, "Files of this report", "<what|<file|<SHA-256");
    for (uint32_t i = 0; i < p->n_sources; i++) {
        buf_fmt(b, "<tr><th scope=\"row\" class=\"left\">%s</th><td class=\"left\"><bdi>",
                p->sources[i].what);
        html_clip(b, path_base(p->sources[i].path), 300);
        buf_fmt(b, "</bdi></td><td class=\"left\"><code>%s</code></td></tr>\n", p->sources[i].sha256);
    }
    put_table_close(b);
    buf_str(b, "</details>\n");
}

const struct section section_made = {"made", "What was done", always, put_made};
