/* card_section.c - what a model card says about the pruning (see card.h). Texts come from files and are
 * escaped. */
#include "base/file.h"
#include "base/text.h"
#include "hf/card_part.h"

#include <math.h>

#define MAX_FILES 10 /* calibration files in the table */

/* Text from a file as plain text of Markdown, also inside a table and between HTML. */
static void add_text(struct buf *b, const char *s)
{
    struct buf safe = {0};
    size_t n = strnlen(s, CARD_SHOWN);
    buf_safe(&safe, s, n);
    for (size_t i = 0; i < safe.n; i++) {
        char c = safe.s[i];
        bool word = i && i + 1 < safe.n && !is_space(safe.s[i - 1]) && !is_space(safe.s[i + 1]);
        if (strchr("<>&|`*[]\\~$#", c) || (c == '_' && !word))
            buf_fmt(b, "&#%d;", c);
        else
            buf_char(b, c);
    }
    if (s[n])
        buf_str(b, "...");
    buf_clear(&safe);
}

void card_put_title(struct buf *b, const char *s)
{
    add_text(b, s);
}

/* The last part of a path, for a command: a name that a shell takes as it is, or the placeholder. */
static const char *in_command(const char *path, const char *placeholder)
{
    static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *s = path ? path_base(path) : "";
    size_t n = strlen(s);
    return n && n <= CARD_SHOWN && *s != '-' && *s != '.' && strspn(s, ok) == n ? s : placeholder;
}

static const char *string_in(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static bool count_in(const json_t *o, const char *key, uint64_t *out)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) <= 0)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static void put_sizes(struct buf *b, const struct card_facts *f)
{
    char x[32], y[32];
    buf_fmt(b, "| experts per layer | %u -> %u |\n", f->n_experts, f->n_keep);
    if (f->n_moe_layers)
        buf_fmt(b, "| layers with experts | %u |\n", f->n_moe_layers);
    if (f->bytes_before && f->bytes_after)
        buf_fmt(b, "| size of the weights | %s -> %s |\n", human_bytes(f->bytes_before, x),
                human_bytes(f->bytes_after, y));
}

static void put_calibration(struct buf *b, const struct card_facts *f)
{
    const json_t *files = json_object_get(f->calibration, "files");
    size_t n = json_array_size(files);
    uint64_t v;
    char s[32];
    if (n) {
        buf_str(b, "| calibration text | ");
        for (size_t i = 0; i < n && i < MAX_FILES; i++) {
            const char *name = string_in(json_array_get(files, i), "file");
            buf_str(b, i ? ", " : "");
            add_text(b, name ? path_base(name) : "?");
            if (count_in(json_array_get(files, i), "n_used", &v))
                buf_fmt(b, " (%s)", human_count(v, s));
        }
        if (n > MAX_FILES)
            buf_fmt(b, " and %zu more", n - MAX_FILES);
        buf_str(b, " |\n");
    }
    if (count_in(f->calibration, "n_samples", &v))
        buf_fmt(b, "| calibration samples | %s |\n", human_count(v, s));
    if (count_in(f->calibration, "n_tokens", &v) || (v = f->n_tokens))
        buf_fmt(b, "| calibration tokens | %s |\n", human_count(v, s));
}

static void put_commands(struct buf *b, const struct card_facts *f)
{
    const char *model = in_command(f->source, "MODEL");
    buf_str(b, "```\n");
    if (f->calibration) {
        const json_t *files = json_object_get(f->calibration, "files");
        const char *text = json_array_size(files) == 1 ? string_in(json_array_get(files, 0), "file") : NULL;
        buf_fmt(b, "reap profile %s --calib %s -o stats.json\n", model, in_command(text, "TEXT"));
    }
    if (f->calibration || f->from_stats) {
        const char *name = in_command(f->criterion, "reap");
        bool usual = strcmp(name, "reap") == 0; /* the default */
        buf_fmt(b, "reap plan stats.json --keep %u%s%s -o plan.json\n", f->n_keep,
                usual ? "" : " --criterion ", usual ? "" : name);
    }
    buf_fmt(b, "reap prune %s --plan plan.json -o PRUNED\n```\n", model);
}

static void put_number(struct buf *b, double v, const char *unit)
{
    if (isfinite(v))
        buf_fmt(b, "%.4g%s", v, unit);
    buf_str(b, " | ");
}

/* The same model in a type, whose weights are others. */
static void put_type(struct buf *b, const struct card_results *r)
{
    char s[32];
    if (!r->type)
        return;
    buf_str(b, "The same experts with rounded weights, in ");
    add_text(b, r->type);
    buf_str(b, ": ");
    add_text(b, path_base(r->type_file ? r->type_file : ""));
    buf_fmt(b, ", %s.\n\n", human_bytes(r->bytes_type, s));
}

static void put_measured_head(struct buf *b, const struct card_results *r, bool against)
{
    buf_str(b, "| text | perplexity of the original | of this model | ratio |");
    if (r->type) {
        buf_str(b, " in ");
        add_text(b, r->type);
        buf_str(b, " | ratio |");
    }
    buf_fmt(b, "%s\n|---|---|---|---|%s%s\n", against ? " KL divergence | same first token |" : "",
            r->type ? "---|---|" : "", against ? "---|---|" : "");
}

/* Perplexity of both, and what else was measured, by text. */
static void put_measured(struct buf *b, const struct card_results *r)
{
    bool against = false;
    for (uint32_t i = 0; i < r->n_texts; i++)
        against = against || isfinite(r->texts[i].kl);
    put_type(b, r);
    if (r->n_texts)
        put_measured_head(b, r, against);
    for (uint32_t i = 0; i < r->n_texts && i < CARD_TEXTS; i++) {
        const struct card_result *x = &r->texts[i];
        buf_str(b, "| ");
        add_text(b, x->text);
        buf_str(b, " | ");
        put_number(b, x->ppl_before, "");
        put_number(b, x->ppl_after, "");
        put_number(b, x->ppl_after / x->ppl_before, "");
        if (r->type) {
            put_number(b, x->ppl_type, "");
            put_number(b, x->ppl_type / x->ppl_before, "");
        }
        if (against) {
            put_number(b, x->kl, "");
            put_number(b, 100 * x->top1, " %");
        }
        b->n -= b->s[b->n - 1] == ' ';
        buf_char(b, '\n');
    }
    if (r->n_texts)
        buf_char(b, '\n');
    if (r->n_answers && isfinite(r->alike))
        buf_fmt(
            b,
            "Asked %llu prompts, its answers are %.1f %% like those of the original (100 %%: the same words in the same order).\n\n",
            (unsigned long long)r->n_answers, 100 * r->alike);
    if (r->verified)
        buf_str(b, "Verified: every byte that stays was compared with the original's.\n\n");
}

/* One line in a block of code. */
static void put_command(struct buf *b, const char *command)
{
    struct buf safe = {0};
    buf_safe(&safe, command, strnlen(command, 4096));
    buf_fmt(b, "```\n%s\n```\n", safe.s ? safe.s : "");
    buf_clear(&safe);
}

static void put_section(struct buf *b, const struct card_facts *f)
{
    const char *source = f->source ? path_base(f->source) : "";
    buf_str(b, CARD_BEGIN "\n## Expert pruning (reap)\n\nThis model is ");
    if (f->base_id)
        add_text(b, f->base_id);
    else if (*source)
        add_text(b, source);
    else
        buf_str(b, "a mixture-of-experts model");
    buf_fmt(
        b,
        " with %u of %u experts left in each mixture-of-experts layer. The weights that stay are bit for bit"
        " those of the original: nothing was trained or quantised again.%s\n\n| | |\n|---|---|\n",
        f->n_keep, f->n_experts,
        f->gain
            ? " Each layer is scaled by a gain of its own, so that it computes something else than these weights did."
            : "");
    if (f->file) {
        buf_str(b, "| file | ");
        add_text(b, path_base(f->file));
        buf_str(b, " |\n");
    }
    put_sizes(b, f);
    if (f->criterion) {
        buf_str(b, "| criterion | ");
        add_text(b, f->criterion);
        buf_str(b, " |\n");
    }
    put_calibration(b, f);
    if (f->tokens_lost && *f->tokens_lost >= 0 && *f->tokens_lost <= 1)
        buf_fmt(b, "| share of the routing that went to removed experts | %.1f %% |\n",
                100 * *f->tokens_lost);
    buf_str(b, "| made with | reap " REAP_VERSION);
    if (f->results && f->results->date) {
        buf_str(b, ", ");
        add_text(b, f->results->date);
    }
    buf_str(b, " |\n\n");
    if (f->mtp) {
        add_text(b, f->mtp);
        buf_str(b, "\n\n");
    }
    if (f->results)
        put_measured(b, f->results);
    if (f->results && f->results->command)
        put_command(b, f->results->command);
    else
        put_commands(b, f);
    buf_fmt(b, "\nWhich experts stay, and where this comes from, is in %s.\n" CARD_END "\n",
            f->file ? "the keys `reap.*` of the file" : "[reap.json](reap.json)");
}

void card_put_section(struct buf *b, const struct card_facts *f, const char *nl)
{
    struct buf s = {0};
    put_section(&s, f);
    for (size_t i = 0; i < s.n; i++) {
        if (s.s[i] == '\n')
            buf_str(b, nl);
        else
            buf_char(b, s.s[i]);
    }
    buf_clear(&s);
}
