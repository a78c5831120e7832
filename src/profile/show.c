/* show.c - see show.h. */
#include "profile/show.h"
#include "base/text.h"
#include "convert/load.h"
#include "corpus/windows.h"
#include "model/view.h"
#include "profile/calibration.h"

#include <string.h>

struct show {
    struct view *view;
    struct corpus corpus;
    struct engine *engine;
    struct windows win;
};

static json_t *sample_json(const struct show *x, uint32_t i, uint32_t n_ctx)
{
    const struct sample *s = &x->corpus.samples[i];
    uint32_t n = x->win.n_tokens[i];
    struct buf text = {0};
    json_t *o = json_object(), *ids = json_array();
    json_object_set_new(o, "file", json_text(x->corpus.sources[s->source].path));
    if (s->line)
        json_object_set_new(o, "line", json_integer(s->line));
    json_put_text(o, "id", s->id);
    json_object_set_new(o, "category", json_text(x->corpus.categories[s->category]));
    json_object_set_new(o, "n_tokens", json_integer(n));
    json_object_set_new(o, "n_windows", json_integer((n + n_ctx - 1) / n_ctx));
    windows_text(&x->win, i, x->engine, UINT64_MAX, &text);
    json_object_set_new(o, "text", json_text(text.s));
    for (uint32_t t = 0; t < n; t++)
        json_array_append_new(ids, json_integer(x->win.tokens[i][t]));
    json_object_set_new(o, "tokens", ids);
    buf_clear(&text);
    return o;
}

static json_t *shown(const struct show *x, uint64_t n, uint32_t n_ctx)
{
    const struct windows *w = &x->win;
    uint32_t longest = 0;
    json_t *o = json_object(), *samples = json_array();
    for (uint32_t i = 0; i < w->n_samples; i++)
        longest = w->n_tokens[i] > longest ? w->n_tokens[i] : longest;
    for (uint32_t i = 0; i < w->n_samples && i < n; i++)
        json_array_append_new(samples, sample_json(x, i, n_ctx));
    json_object_set_new(o, "samples", samples);
    json_object_set_new(o, "n_samples", json_integer(w->n_samples));
    json_object_set_new(o, "n_tokens", json_integer((json_int_t)w->total));
    json_object_set_new(o, "longest", json_integer(longest));
    json_object_set_new(o, "n_windows", json_integer(w->n));
    json_object_set_new(o, "ctx", json_integer(n_ctx));
    return o;
}

json_t *profile_show(const struct profile_opts *o, uint64_t n, struct err *e)
{
    struct show x = {0};
    struct engine_opts eo = o->engine;
    json_t *result = NULL;
    eo.vocab_only = true;
    x.view = view_open(o->model, e);
    if (x.view && corpus_load(&o->corpus, &x.corpus, e) && (x.engine = load_engine(x.view, &eo, e)) &&
        windows_tokenize(&x.win, &x.corpus, x.engine, e) && windows_cut(&x.win, o->n_ctx, e)) {
        calibration_warn(&(struct calibration){o, &x.corpus, &x.win, x.engine, 0, false});
        calibration_warn_short(x.win.total, x.view->shape.n_experts, x.view->shape.n_used);
        result = shown(&x, n, o->n_ctx);
    }
    windows_clear(&x.win);
    engine_free(x.engine);
    corpus_free(&x.corpus);
    view_free(x.view);
    return result;
}

static uint64_t number(const json_t *o, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(o, key));
}

static void add_name(struct buf *b, const char *before, const char *name)
{
    buf_str(b, before);
    buf_safe(b, name, strlen(name));
}

static void sample_text(const json_t *s, uint64_t at, struct buf *b)
{
    char n[32];
    const char *id = json_string_value(json_object_get(s, "id")),
               *text = json_string_value(json_object_get(s, "text"));
    buf_fmt(b, "--- %llu", (unsigned long long)at);
    add_name(b, ": ", json_string_value(json_object_get(s, "file")));
    if (number(s, "line"))
        buf_fmt(b, ":%llu", (unsigned long long)number(s, "line"));
    if (id)
        add_name(b, ", id ", id);
    add_name(b, ", category ", json_string_value(json_object_get(s, "category")));
    buf_fmt(b, ", %s token%s", human_count(number(s, "n_tokens"), n), number(s, "n_tokens") == 1 ? "" : "s");
    if (number(s, "n_windows") > 1)
        buf_fmt(b, " in %s windows", human_count(number(s, "n_windows"), n));
    buf_char(b, '\n');
    buf_safe_but(b, text, strlen(text), "\n\t");
    buf_str(b, text_ends(text, "\n") ? "" : "\n");
}

void profile_show_text(const json_t *shown, struct buf *b)
{
    char n[32], t[32], m[32], l[32], w[32], c[32];
    size_t i;
    json_t *s;
    json_array_foreach (json_object_get(shown, "samples"), i, s)
        sample_text(s, i + 1, b);
    uint64_t samples = number(shown, "n_samples"), tokens = number(shown, "n_tokens"),
             windows = number(shown, "n_windows");
    buf_fmt(b, "--- %s sample%s, %s tokens, %s in the mean, %s at most; %s window%s of up to %s\n",
            human_count(samples, n), samples == 1 ? "" : "s", human_count(tokens, t),
            human_count((tokens + samples / 2) / samples, m), human_count(number(shown, "longest"), l),
            human_count(windows, w), windows == 1 ? "" : "s", human_count(number(shown, "ctx"), c));
}
