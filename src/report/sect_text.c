/* sect_text.c - the calibration text as the model was given it: what wrote its chats, what was not used, two samples. */
#include "base/mem.h"
#include "base/text.h"
#include "corpus/unused.h"
#include "report/page_part.h"

#include <string.h>

#define MAX_SAMPLES     4
#define MAX_SAMPLE_TEXT 2000

static const json_t *samples(const struct page *p)
{
    return json_object_get(p->calibration, "samples");
}

static bool has_text(const struct page *p)
{
    struct buf unused = {0};
    bool any = unused_text(json_object_get(p->calibration, "unused"), NULL, &unused);
    buf_clear(&unused);
    return any || json_array_size(samples(p)) || json_is_object(json_object_get(p->calibration, "chat"));
}

/* A JSON value on one line. */
static void put_json(struct buf *b, const json_t *v)
{
    char *s = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    buf_str(b, "<code>");
    html_clip(b, s, 400);
    buf_str(b, "</code>");
    free(s);
}

static void put_template(struct buf *b, const json_t *chat)
{
    const char *name = report_text(chat, "name"), *from = report_text(chat, "from"),
               *sha = report_text(chat, "sha256"), *tools = report_text(chat, "tool_use_sha256"),
               *date = report_text(chat, "date");
    const json_t *kwargs = json_object_get(chat, "kwargs");
    buf_str(b, "<p>Chats were written by ");
    if (name) {
        buf_str(b, "the engine's format <b>");
        html_clip(b, name, 60);
        buf_str(b, "</b>");
    } else {
        buf_str(b, from && !strcmp(from, "file") ? "a template given as a file"
                                                 : "the model's own chat template");
    }
    if (sha) {
        buf_str(b, " (SHA-256 <code>");
        html_clip(b, sha, 16);
        buf_str(b, "</code>");
        if (tools) {
            buf_str(b, ", for rows with tools <code>");
            html_clip(b, tools, 16);
            buf_str(b, "</code>");
        }
        buf_str(b, ")");
    }
    if (json_is_object(kwargs) && json_object_size(kwargs)) {
        buf_str(b, ", with ");
        put_json(b, kwargs);
    }
    if (date) {
        buf_str(b, ", on ");
        html_clip(b, date, 10);
    }
    buf_str(b, ".</p>\n");
}

static void put_unused(struct buf *b, const json_t *unused, const json_t *chat)
{
    struct buf text = {0};
    if (unused_text(unused, chat, &text)) {
        buf_str(b, "<p>Not used: ");
        html_clip(b, text.s, 1000);
        buf_str(b, ".</p>\n");
    }
    buf_clear(&text);
}

static void put_sample(struct buf *b, const json_t *s)
{
    char n[32];
    uint64_t line = report_count(s, "line"), tokens = report_count(s, "n_tokens");
    if (!report_text(s, "text"))
        return;
    buf_str(b, "<details class=\"sample\" open><summary><bdi>");
    html_clip(b, report_text(s, "file"), 300);
    buf_str(b, "</bdi>");
    if (line)
        buf_fmt(b, ", line %s", human_count(line, n));
    buf_fmt(b, ", %s tokens%s</summary>\n<pre>", human_count(tokens, n),
            json_is_true(json_object_get(s, "cut")) ? ", the beginning" : "");
    html_clip(b, report_text(s, "text"), MAX_SAMPLE_TEXT);
    buf_str(b, "</pre></details>\n");
}

static void put_text(struct page *p)
{
    struct buf *b = &p->b;
    const json_t *chat = json_object_get(p->calibration, "chat"), *list = samples(p);
    if (json_is_object(chat))
        put_template(b, chat);
    put_unused(b, json_object_get(p->calibration, "unused"), chat);
    if (json_array_size(list))
        buf_str(
            b,
            "<p>Two of the samples as the model was given them, special tokens as they are written. In use the model "
            "should be asked in the same form.</p>\n");
    for (size_t i = 0; i < json_array_size(list) && i < MAX_SAMPLES; i++)
        put_sample(b, json_array_get(list, i));
}

const struct section section_text = {"text", "Calibration text", has_text, put_text};
