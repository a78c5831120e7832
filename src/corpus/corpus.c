/* corpus.c - see corpus.h: what a row must hold; source.c finds the files, choose.c makes the choices.
 *
 * A row is strict: exactly one of the four forms, right types, nothing empty, no NUL; a null member counts as
 * missing. What is left out is always counted or named. In a folder a file that is no text (NUL, bad UTF-8, empty) is skipped with a warning; .txt,
 * .md, .rst and row files are not excused, nor is a file that was named directly. */
#include "corpus/corpus.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "corpus/choose.h"
#include "corpus/source.h"

#include <string.h>
#include <unistd.h>

#define SNIFF    4096
#define NO_LIMIT UINT64_MAX

/* ---- rows ---- */

void sample_clear(struct sample *s)
{
    free(s->text);
    json_decref(s->chat);
    free(s->tokens);
    free(s->id);
    *s = (struct sample){0};
}

static bool row_text(const json_t *o, struct sample *s, struct err *e)
{
    const char *t;
    if (!json_need_str(o, "text", "row", &t, e))
        return false;
    if (!*t)
        return err_set(e, ERR_INPUT, "row: 'text' is empty");
    s->kind = SAMPLE_TEXT;
    s->text = xstrdup(t);
    s->n_text = strlen(t);
    return true;
}

static bool row_tokens(const json_t *o, struct sample *s, struct err *e)
{
    json_t *list;
    if (!json_need_arr(o, "tokens", "row", &list, e))
        return false;
    size_t n = json_array_size(list);
    if (!n)
        return err_set(e, ERR_INPUT, "row: 'tokens' is empty");
    if (n > INT32_MAX)
        return err_set(e, ERR_INPUT, "row: 'tokens' has %zu entries, at most %d are read", n, INT32_MAX);
    s->kind = SAMPLE_TOKENS;
    s->tokens = xcalloc(n, sizeof *s->tokens);
    s->n_tokens = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v))
            return err_set(e, ERR_INPUT, "row: 'tokens' entry %zu is %s, expected an integer", i + 1,
                           json_type_name(v));
        json_int_t id = json_integer_value(v);
        if (id < 0 || id > INT32_MAX)
            return err_set(e, ERR_INPUT, "row: 'tokens' entry %zu is %lld, expected 0..%d", i + 1,
                           (long long)id, INT32_MAX);
        s->tokens[i] = (int32_t)id;
    }
    return true;
}

static void add_turn(json_t *messages, const char *role, const char *content)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", json_string(content));
    json_array_append_new(messages, m);
}

static bool row_prompt(const json_t *o, struct sample *s, struct err *e)
{
    const char *prompt, *response = NULL;
    if (!json_need_str(o, "prompt", "row", &prompt, e))
        return false;
    if (source_member(o, "response") && !json_need_str(o, "response", "row", &response, e))
        return false;
    if (!*prompt)
        return err_set(e, ERR_INPUT, "row: 'prompt' is empty");
    if (response && !*response)
        return err_set(e, ERR_INPUT, "row: 'response' is empty (leave it out for a prompt alone)");
    s->kind = SAMPLE_CHAT;
    json_t *list = json_array();
    add_turn(list, "user", prompt);
    if (response)
        add_turn(list, "assistant", response);
    s->chat = json_object();
    json_object_set_new(s->chat, "messages", list);
    return true;
}

/* Whether a content says anything: a text, a list with a part. False with *e set: it is neither. */
static bool check_content(const json_t *v, const char *where, bool *any, struct err *e)
{
    if (!v || json_is_null(v))
        return true;
    if (json_is_string(v)) {
        *any |= *json_string_value(v) != 0;
        return true;
    }
    if (!json_is_array(v))
        return err_set(e, ERR_INPUT, "%s: 'content' is %s, expected a string or a list of parts", where,
                       json_type_name(v));
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *part = json_array_get(v, i);
        const char *type, *text;
        char at[96];
        snprintf(at, sizeof at, "%s, part %zu", where, i + 1);
        if (!json_is_object(part))
            return err_set(e, ERR_INPUT, "%s is %s, expected an object", at, json_type_name(part));
        if (!json_need_str(part, "type", at, &type, e))
            return false;
        if (strcmp(type, "text") != 0)
            return err_set(e, ERR_INPUT, "%s: 'type' is '%.60s', only 'text' parts can be used", at, type);
        if (!json_need_str(part, "text", at, &text, e))
            return false;
        *any |= *text != 0;
    }
    return true;
}

static bool check_message(void *ud, const json_t *m, const char *role, const char *where, struct err *e)
{
    bool *any = ud;
    if (!*role)
        return err_set(e, ERR_INPUT, "%s: 'role' is empty", where);
    *any |= json_array_size(json_object_get(m, "tool_calls")) > 0;
    return check_content(json_object_get(m, "content"), where, any, e);
}

static bool row_messages(const json_t *o, struct sample *s, struct err *e)
{
    bool any = false;
    if (!source_messages(o, "message", check_message, &any, e))
        return false;
    if (!any)
        return err_set(e, ERR_INPUT, "row: 'messages' is empty");
    s->kind = SAMPLE_CHAT;
    s->chat = json_object();
    json_object_set(s->chat, "messages", json_object_get(o, "messages"));
    if (source_member(o, "tools"))
        json_object_set(s->chat, "tools", source_member(o, "tools"));
    return true;
}

static const struct {
    const char *key;
    bool (*read)(const json_t *o, struct sample *s, struct err *e);
} forms[] = {{"text", row_text}, {"prompt", row_prompt}, {"messages", row_messages}, {"tokens", row_tokens}};
#define N_FORMS (sizeof forms / sizeof *forms)

/* On false *s is empty. */
static bool row_read(const json_t *o, struct sample *s, struct err *e)
{
    *s = (struct sample){0};
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "row is %s, expected an object", json_type_name(o));
    size_t form = N_FORMS;
    for (size_t i = 0; i < N_FORMS; i++) {
        if (!source_member(o, forms[i].key))
            continue;
        if (form < N_FORMS)
            return err_set(e, ERR_INPUT, "row has both '%s' and '%s', expected one of them", forms[form].key,
                           forms[i].key);
        form = i;
    }
    if (form == N_FORMS)
        return err_set(e, ERR_INPUT, "row has none of 'text', 'prompt', 'messages', 'tokens'");
    if (source_member(o, "response") && strcmp(forms[form].key, "prompt") != 0)
        return err_set(e, ERR_INPUT, "row has '%s' and 'response', expected 'prompt' with a response",
                       forms[form].key);
    if (forms[form].read(o, s, e) && source_id(o, 0, &s->id, e))
        return true;
    sample_clear(s);
    return false;
}

bool corpus_parse_row(const char *row, uint64_t n, struct sample *s, struct err *e)
{
    *s = (struct sample){0};
    json_t *o = json_parse_row(row, n, e);
    if (!o)
        return false;
    bool ok = row_read(o, s, e);
    json_decref(o);
    return ok;
}

/* ---- one file ---- */

struct loader {
    const struct corpus_opts *o;
    struct corpus *c;
    struct err *e;
    size_t cap_samples, cap_sources, cap_categories;
    bool stdin_read, limited;
    char *own_name; /* of the source: category of files that lie in no sub-folder */
    /* the file that is being read: */
    const char *path;
    uint32_t source, category;
    struct err first_bad;
};

/* A .json file, which may hold one list of rows instead of a row a line. */
static bool is_json(const char *path)
{
    static const char *const endings[] = {".json", NULL};
    return source_has_ending(path, endings);
}

static bool is_rows(const char *path)
{
    return !strcmp(path, "-") || source_is_rows(path) || is_json(path);
}

static bool is_named_text(const char *path)
{
    static const char *const endings[] = {".txt", ".md", ".rst", NULL};
    return source_has_ending(path, endings);
}

static uint32_t category_index(struct loader *l, const char *name)
{
    struct corpus *c = l->c;
    for (uint32_t i = 0; i < c->n_categories; i++)
        if (!strcmp(c->categories[i], name))
            return i;
    GROW(c->categories, c->n_categories, l->cap_categories);
    c->categories[c->n_categories] = xstrdup(name);
    return c->n_categories++;
}

/* Begins the source l->path with these bytes. */
static void source_add(struct loader *l, const struct buf *bytes, const char *category)
{
    struct corpus *c = l->c;
    GROW(c->sources, c->n_sources, l->cap_sources);
    struct corpus_source *src = &c->sources[c->n_sources];
    *src = (struct corpus_source){.path = xstrdup(l->path), .limited = l->limited};
    sha256_bytes(bytes->s, bytes->n, src->sha256);
    l->source = c->n_sources++;
    l->category = category_index(l, category);
    err_clear(&l->first_bad);
}

static void sample_add(struct loader *l, struct sample *s, uint32_t line)
{
    struct corpus *c = l->c;
    s->source = l->source;
    s->category = l->category;
    s->line = line;
    GROW(c->samples, c->n_samples, l->cap_samples);
    c->samples[c->n_samples++] = *s;
    c->sources[l->source].n_rows++;
}

/* A bad row: false with *l->e set, or counted. *bad has the reason and the place. */
static bool row_bad(struct loader *l, const struct err *bad)
{
    if (!l->o->skip_bad)
        return err_set(l->e, bad->code, "%s", bad->msg);
    if (!l->c->sources[l->source].n_bad++)
        l->first_bad = *bad;
    return true;
}

static bool read_line(void *ud, uint32_t line, const char *s, size_t n, struct err *e)
{
    struct loader *l = ud;
    struct sample row;
    struct err bad = {0};
    (void)e; /* = l->e */
    if (corpus_parse_row(s, n, &row, &bad)) {
        sample_add(l, &row, line);
        return true;
    }
    err_ctx(&bad, "%s:%u", l->path, line);
    return row_bad(l, &bad);
}

/* One JSON list of rows; the number of the row takes the place of the line. */
static bool read_list(struct loader *l, const char *s, size_t n)
{
    json_t *list = json_parse(s, n, l->e);
    if (!list)
        return err_ctx(l->e, "%s", l->path);
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(list); i++) {
        struct sample row;
        struct err bad = {0};
        if (row_read(json_array_get(list, i), &row, &bad)) {
            sample_add(l, &row, (uint32_t)(i + 1));
        } else {
            err_ctx(&bad, "%s: row %zu of the list", l->path, i + 1);
            ok = row_bad(l, &bad);
        }
    }
    json_decref(list);
    return ok;
}

/* Takes the bytes of *b as one sample. `excused`: no text is a reason for a warning only. */
static bool read_text(struct loader *l, struct buf *b, size_t bom, const char *category, bool excused)
{
    struct err bad = {0};
    bool ok = source_check_text(b->s, b->n, &bad) && (b->n > bom || err_set(&bad, ERR_INPUT, "empty file"));
    err_ctx(&bad, "%s", l->path);
    if (!ok && excused) {
        log_warn("%s; left out", bad.msg);
        return true;
    }
    source_add(l, b, category);
    if (!ok)
        return row_bad(l, &bad);
    struct sample s = {.kind = SAMPLE_TEXT, .n_text = b->n - bom};
    memmove(b->s, b->s + bom, s.n_text + 1);
    s.text = xrealloc(b->s, s.n_text + 1, 1);
    *b = (struct buf){0};
    sample_add(l, &s, 0);
    return true;
}

static bool read_rows(struct loader *l, const struct buf *b, size_t bom, const char *category, bool in_folder)
{
    source_add(l, b, category);
    const char *s = b->s + bom;
    size_t n = b->n - bom, at = 0;
    while (at < n && strchr(" \t\r\n", s[at]) && s[at])
        at++;
    bool list = at < n && s[at] == '[' && is_json(l->path);
    if (!(list ? read_list(l, s, n) : source_lines(s, n, read_line, l, l->e)))
        return false;
    const struct corpus_source *src = &l->c->sources[l->source];
    char count[32];
    if (src->n_bad)
        log_warn("%s: %s malformed row%s left out, the first: %s", l->path, human_count(src->n_bad, count),
                 src->n_bad == 1 ? "" : "s", l->first_bad.msg);
    else if (!src->n_rows && in_folder)
        log_warn("%s: no rows in it", l->path);
    else if (!src->n_rows)
        return err_set(l->e, ERR_INPUT, "%s: no rows in it", l->path);
    return true;
}

/* A look at the first bytes: a model file or a picture in a folder is not read whole. Errors are left to the
 * real reading. */
static bool begins_with_nul_bytes(const char *path)
{
    struct err e = {0};
    int fd = file_open_read(path, NULL, &e);
    if (fd < 0)
        return false;
    char head[SNIFF];
    ssize_t n = read(fd, head, sizeof head);
    close(fd);
    return n > 0 && memchr(head, 0, (size_t)n);
}

static bool read_file(struct loader *l, const char *path, const char *category, bool in_folder)
{
    bool rows = is_rows(path), excused = in_folder && !rows && !is_named_text(path);
    struct buf b = {0};
    size_t bom = 0;
    l->path = !strcmp(path, "-") ? "standard input" : path;
    if (!sig_check(l->e))
        return false;
    if (excused && begins_with_nul_bytes(path)) {
        log_warn("%s: not a text file; left out", path);
        return true;
    }
    bool ok = source_read(path, &b, &bom, l->e);
    if (ok)
        ok = rows ? read_rows(l, &b, bom, category, in_folder) : read_text(l, &b, bom, category, excused);
    if (ok && !rows && l->first_bad.code)
        log_warn("%s; left out", l->first_bad.msg);
    err_clear(&l->first_bad);
    buf_clear(&b);
    return ok;
}

/* ---- sources as the user names them ---- */

/* The name that a folder is known by: the last component, of the real path for ".", ".." and "/". Caller
 * frees. */
static char *folder_name(const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    char *cut = xstrndup(dir, n), *name = xstrdup(path_base(cut));
    if (!strcmp(name, ".") || !strcmp(name, "..") || !*name) {
        char *real = realpath(dir, NULL);
        if (real && *path_base(real)) {
            free(name);
            name = xstrdup(path_base(real));
        }
        free(real);
    }
    free(cut);
    return name;
}

/* "a/b.jsonl" -> "b", "-" -> "stdin". Caller frees. */
static char *file_category(const char *path)
{
    const char *base = !strcmp(path, "-") ? "stdin" : path_base(path), *dot = strrchr(base, '.');
    return dot && dot > base ? xstrndup(base, (size_t)(dot - base)) : xstrdup(base);
}

/* Splits PATH:LIMIT. The suffix is a limit only when the whole is not the name of a file and the part before
 * it is. */
static bool split_spec(const char *spec, char **path, uint64_t *limit, struct err *e)
{
    *path = xstrdup(spec);
    *limit = NO_LIMIT;
    char *colon = strrchr(*path, ':');
    if (!colon || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")] || file_exists(spec))
        return true;
    *colon = 0;
    if (strcmp(*path, "-") != 0 && !file_exists(*path)) {
        *colon = ':';
        return true;
    }
    if (!parse_u64(colon + 1, limit) || *limit == NO_LIMIT)
        return err_set(e, ERR_INPUT, "'%s': the limit is too large", spec);
    return *limit || err_set(e, ERR_INPUT, "'%s': the limit is 0, expected 1 or more", spec);
}

static bool visit(void *ud, const struct source_file *f, struct err *e)
{
    struct loader *l = ud;
    (void)e; /* = l->e */
    return read_file(l, f->path, f->category ? f->category : l->own_name, f->in_folder);
}

static bool read_path(struct loader *l, const char *path)
{
    if (!*path)
        return err_set(l->e, ERR_INPUT, "a source has an empty name");
    if (!strcmp(path, "-") && l->stdin_read)
        return err_set(l->e, ERR_INPUT, "standard input is named twice");
    l->stdin_read |= !strcmp(path, "-");
    l->own_name = file_is_dir(path) ? folder_name(path) : file_category(path);
    bool ok = source_walk(path, visit, l, l->e);
    free(l->own_name);
    return ok;
}

/* ---- the whole ---- */

static bool load_spec(struct loader *l, uint32_t i)
{
    char *path;
    uint64_t limit, first = l->c->n_samples;
    bool ok = split_spec(l->o->specs[i], &path, &limit, l->e);
    l->limited = limit != NO_LIMIT;
    ok = ok && read_path(l, path);
    if (ok)
        choose_of_source(l->c, first, limit, l->o->seed, i);
    free(path);
    return ok;
}

bool corpus_load(const struct corpus_opts *o, struct corpus *c, struct err *e)
{
    *c = (struct corpus){0};
    struct loader l = {.o = o, .c = c, .e = e};
    bool ok = o->n_specs > 0 || err_set(e, ERR_INPUT, "no source of text was named");
    for (uint32_t i = 0; ok && i < o->n_specs; i++)
        ok = load_spec(&l, i);
    if (ok && !c->n_samples)
        ok = err_set(e, ERR_INPUT, "no samples in '%s'%s", o->specs[0],
                     o->n_specs > 1 ? " and the other sources" : "");
    if (!ok) {
        corpus_free(c);
        return false;
    }
    choose_samples(c, o);
    for (uint64_t i = 0; i < c->n_samples; i++)
        c->sources[c->samples[i].source].n_used++;
    return true;
}

void corpus_free(struct corpus *c)
{
    for (uint64_t i = 0; i < c->n_samples; i++)
        sample_clear(&c->samples[i]);
    for (uint32_t i = 0; i < c->n_sources; i++)
        free(c->sources[i].path);
    for (uint32_t i = 0; i < c->n_categories; i++)
        free(c->categories[i]);
    free(c->samples);
    free(c->sources);
    free(c->categories);
    *c = (struct corpus){0};
}

bool corpus_check_output(const struct corpus *c, const char *path, struct err *e)
{
    for (uint32_t i = 0; i < c->n_sources; i++)
        if (!file_check_texts(path, (const char *const *)&c->sources[i].path, 1, e))
            return false;
    return true;
}
