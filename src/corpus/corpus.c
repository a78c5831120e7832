/* corpus.c - see corpus.h: files into samples; source.c finds the files, row.c reads
 * rows, choose.c makes the choices.
 *
 * What is left out is always counted or named. In a folder a file that is no text (NUL, bad UTF-8, empty) is skipped with a warning; .txt,
 * .md, .rst and row files are not excused, nor is a file that was named directly. */
#include "corpus/corpus.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "corpus/choose.h"
#include "corpus/foreign.h"
#include "corpus/row.h"
#include "corpus/rowfile.h"
#include "corpus/source.h"
#include "results/batch.h"

#include <string.h>
#include <unistd.h>

#define SNIFF    4096
#define NO_LIMIT UINT64_MAX

/* ---- one file ---- */

struct loader {
    const struct corpus_opts *o;
    struct row_map map;
    struct row_opts row;
    struct corpus *c;
    struct err *e;
    size_t cap_samples, cap_sources, cap_categories;
    bool stdin_read, limited, row_failed;
    char *own_name; /* of the source: category of files that lie in no sub-folder */
    /* the file that is being read: */
    const char *path;
    uint32_t source, category;
    struct err first_bad;
};

static bool is_rows(const char *path)
{
    return !strcmp(path, "-") || source_is_rows(path);
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
static void source_add(struct loader *l, const char *sha256, const char *category)
{
    struct corpus *c = l->c;
    GROW(c->sources, c->n_sources, l->cap_sources);
    struct corpus_source *src = &c->sources[c->n_sources];
    *src = (struct corpus_source){.path = xstrdup(l->path), .limited = l->limited};
    memcpy(src->sha256, sha256, sizeof src->sha256);
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

/* Of a list the number of the row takes the place of the line. */
static bool read_row(void *ud, struct rowfile_place at, const char *s, size_t n, struct err *e)
{
    struct loader *l = ud;
    struct sample row;
    struct err bad = {0};
    (void)e; /* = l->e */
    if (row_parse(s, n, &l->row, &row, &bad)) {
        sample_add(l, &row, at.row ? at.row : at.line);
        return true;
    }
    if (at.row)
        err_ctx(&bad, "row %u of the list", at.row);
    err_ctx(&bad, "%s:%u", l->path, at.line);
    return row_bad(l, &bad) || (l->row_failed = true, false);
}

/* Takes the bytes of *b as one sample. `excused`: no text is a reason for a warning only. */
static bool read_text(struct loader *l, struct buf *b, size_t bom, const char *sha256, const char *category,
                      bool excused)
{
    struct err bad = {0};
    bool ok = source_check_text(b->s, b->n, &bad) && (b->n > bom || err_set(&bad, ERR_INPUT, "empty file"));
    err_ctx(&bad, "%s", l->path);
    if (!ok && excused) {
        log_warn("%s; left out", bad.msg);
        return true;
    }
    source_add(l, sha256, category);
    if (!ok)
        return row_bad(l, &bad);
    if (rowfile_is_likely(b->s + bom, b->n - bom))
        log_warn("%s: is read as one text, but it looks like rows; these want a name that ends in .jsonl",
                 l->path);
    struct sample s = {.kind = SAMPLE_TEXT, .n_text = b->n - bom};
    memmove(b->s, b->s + bom, s.n_text + 1);
    s.text = xrealloc(b->s, s.n_text + 1, 1);
    *b = (struct buf){0};
    sample_add(l, &s, 0);
    return true;
}

/* The answers of a `reap batch` run: prompt and answer of each is a sample, of the answer's own category where it
 * has one. */
static bool read_answers(struct loader *l, const char *s, size_t n, const char *category)
{
    struct batch_file f;
    if (!batch_parse(s, n, &f, l->e))
        return false;
    batch_warn_unfinished(l->path);
    uint64_t n_failed = 0;
    bool ok = true;
    for (uint64_t i = 0; ok && i < f.n; i++) {
        struct sample row;
        struct err bad = {0};
        bool whole = batch_answer_is_whole(&f.v[i]);
        n_failed += !whole;
        if (!whole)
            continue;
        json_t *o = batch_answer_row(&f, i);
        l->category = category_index(l, f.v[i].category ? f.v[i].category : category);
        if (row_read(o, &l->row, &row, &bad)) {
            sample_add(l, &row, (uint32_t)i + 1);
        } else {
            err_ctx(&bad, "%s: answer %llu", l->path, (unsigned long long)i + 1);
            ok = row_bad(l, &bad) || (l->row_failed = true, false);
        }
        json_decref(o);
    }
    char count[32];
    if (ok && n_failed)
        log_warn("%s: %s prompt%s without a whole answer left out", l->path, human_count(n_failed, count),
                 n_failed == 1 ? "" : "s");
    batch_file_clear(&f);
    return ok;
}

static bool read_rows(struct loader *l, const struct buf *b, size_t bom, const char *sha256,
                      const char *category, bool in_folder)
{
    source_add(l, sha256, category);
    l->row_failed = false;
    const char *s = b->s ? b->s + bom : "";
    size_t n = b->n - bom;
    if (!(batch_is(s, n) ? read_answers(l, s, n, category) : rowfile_each(s, n, read_row, l, l->e)))
        return l->row_failed || l->e->code == ERR_INTERRUPTED ? false : err_ctx(l->e, "%s", l->path);
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

/* A look at the first bytes, so that a model file or a picture in a folder is not read whole. False with
 * l->e set: data in a format that is not read, which is an error in a folder, too. */
static bool check_head(struct loader *l, const char *path, bool *is_binary)
{
    struct err cannot = {0}; /* left to the real reading */
    char head[SNIFF];
    *is_binary = false;
    int fd = !strcmp(path, "-") ? -1 : file_open_read(path, NULL, &cannot);
    if (fd < 0)
        return true;
    ssize_t n = read(fd, head, sizeof head);
    close(fd);
    size_t k = n > 0 ? (size_t)n : 0;
    *is_binary = memchr(head, 0, k) && !gzip_is(head, k);
    return foreign_check(path, head, k, l->e);
}

static bool read_file(struct loader *l, const char *path, const char *category, const char *folder)
{
    bool rows = is_rows(path), excused = folder && !rows && !is_named_text(path), is_binary;
    struct buf b = {0};
    size_t bom = 0;
    char sha256[65];
    l->path = !strcmp(path, "-") ? "standard input" : path;
    if (!sig_check(l->e) || !check_head(l, path, &is_binary))
        return false;
    if (excused && is_binary) {
        log_warn("%s: not a text file; left out", path);
        return true;
    }
    bool ok =
        source_read_hashed(path, folder, &b, &bom, sha256, l->e) && foreign_check(l->path, b.s, b.n, l->e);
    if (ok)
        ok = rows ? read_rows(l, &b, bom, sha256, category, folder != NULL)
                  : read_text(l, &b, bom, sha256, category, excused);
    if (ok && !rows && l->first_bad.code)
        log_warn("%s; left out", l->first_bad.msg);
    err_clear(&l->first_bad);
    buf_clear(&b);
    return ok;
}

/* ---- folders ---- */

/* What a folder holds: all is found before the first is read, because some files mean something else beside
 * rows than they do alone. */
struct found {
    struct {
        char *path, *category; /* category NULL: that of the source itself */
        const char *folder;    /* in which it was found; NULL: it was named itself */
    } * v;
    size_t n, cap;
    bool has_rows;
};

static bool find(void *ud, const struct source_file *f, struct err *e)
{
    struct found *x = ud;
    bool text;
    (void)e;
    GROW(x->v, x->n, x->cap);
    x->v[x->n].path = xstrdup(f->path);
    x->v[x->n].category = f->category ? xstrdup(f->category) : NULL;
    x->v[x->n++].folder = f->folder;
    x->has_rows |= f->folder && is_rows(f->path) && !foreign_is_about(path_base(f->path), &text);
    return true;
}

static bool read_found(struct loader *l, const struct found *x)
{
    bool is_binary;
    for (size_t i = 0; i < x->n; i++) /* before a long reading */
        if (!check_head(l, x->v[i].path, &is_binary))
            return false;
    for (size_t i = 0; i < x->n; i++) {
        bool text;
        if (x->v[i].folder && foreign_is_about(path_base(x->v[i].path), &text) && (!text || x->has_rows))
            log_note("%s: about a data set, not a part of it; left out", x->v[i].path);
        else if (!read_file(l, x->v[i].path, x->v[i].category ? x->v[i].category : l->own_name,
                            x->v[i].folder))
            return false;
    }
    return true;
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
    const char *base = !strcmp(path, "-") ? "stdin" : path_base(path);
    return xstrndup(base, source_stem(base));
}

/* Splits PATH:LIMIT. The suffix is a limit only when the whole is not the name of a file and the part before
 * it is. */
static bool split_spec(const char *spec, char **path, uint64_t *limit, struct err *e)
{
    *path = xstrdup(spec);
    *limit = NO_LIMIT;
    char *colon = strrchr(*path, ':');
    bool whole, there;
    if (!colon || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")])
        return true;
    if (!file_there(spec, &whole, e))
        return false;
    if (whole)
        return true;
    *colon = 0;
    if (!file_there(*path, &there, e))
        return false;
    if (strcmp(*path, "-") != 0 && !there) {
        *colon = ':';
        return true;
    }
    if (!parse_u64(colon + 1, limit) || *limit == NO_LIMIT)
        return err_set(e, ERR_INPUT, "'%s': the limit is too large", spec);
    return *limit || err_set(e, ERR_INPUT, "'%s': the limit is 0, expected 1 or more", spec);
}

static bool read_path(struct loader *l, const char *path)
{
    if (!*path)
        return err_set(l->e, ERR_INPUT, "a source has an empty name");
    if (!strcmp(path, "-") && l->stdin_read)
        return err_set(l->e, ERR_INPUT, "standard input is named twice");
    l->stdin_read |= !strcmp(path, "-");
    l->own_name = file_is_dir(path) ? folder_name(path) : file_category(path);
    struct found x = {0};
    bool ok = source_walk(path, find, &x, l->e) && read_found(l, &x);
    for (size_t i = 0; i < x.n; i++) {
        free(x.v[i].path);
        free(x.v[i].category);
    }
    free(x.v);
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

/* What the samples have and the model will not see. */
static void count_unused(struct corpus *c)
{
    uint64_t parts = 0, rows = 0;
    char n[2][32];
    c->unused = json_object();
    for (uint64_t i = 0; i < c->n_samples; i++) {
        const struct sample *s = &c->samples[i];
        parts += s->n_media;
        rows += s->n_media > 0;
        for (const char *at = s->unused; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
            char *key = xstrndup(at, strcspn(at, "\n"));
            json_int_t before = json_integer_value(json_object_get(c->unused, key));
            json_object_set_new(c->unused, key, json_integer(before + 1));
            free(key);
        }
    }
    if (parts)
        log_warn("%s part%s of %s chat%s left out: images, audio or video", human_count(parts, n[0]),
                 parts == 1 ? "" : "s", human_count(rows, n[1]), rows == 1 ? "" : "s");
}

bool corpus_load(const struct corpus_opts *o, struct corpus *c, struct err *e)
{
    *c = (struct corpus){.skip_bad = o->skip_bad};
    struct loader l = {.o = o,
                       .c = c,
                       .e = e,
                       .row = {.map = &l.map, .join_parts = o->join_parts, .skip_media = o->skip_media}};
    bool ok = row_map_parse(o->map, &l.map, e) &&
              (o->n_specs > 0 || err_set(e, ERR_INPUT, "no source of text was named"));
    for (uint32_t i = 0; ok && i < o->n_specs; i++)
        ok = load_spec(&l, i);
    if (ok && !c->n_samples)
        ok = err_set(e, ERR_INPUT, "no samples in '%s'%s", o->specs[0],
                     o->n_specs > 1 ? " and the other sources" : "");
    for (uint32_t i = 0; ok && i < l.map.n; i++)
        ok = l.map.v[i].seen ||
             err_set(e, ERR_INPUT, "--map %s=%s: no row has '%s', or none in a form that reads it",
                     l.map.v[i].name, l.map.v[i].key, l.map.v[i].key);
    row_map_clear(&l.map);
    if (!ok) {
        corpus_free(c);
        return false;
    }
    choose_samples(c, o);
    if (!c->n_samples) {
        err_set(e, ERR_INPUT, "%s",
                o->part == CORPUS_PROFILED ? "all samples are set aside, none is left"
                : o->part == CORPUS_CHOICE
                    ? "nothing is set aside: no category has enough samples for the share"
                    : "nothing is set aside for checks: no category has enough samples for the share");
        corpus_free(c);
        return false;
    }
    for (uint64_t i = 0; i < c->n_samples; i++)
        c->sources[c->samples[i].source].n_used++;
    count_unused(c);
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
    json_decref(c->unused);
    *c = (struct corpus){0};
}

bool corpus_check_sources(const struct corpus_opts *o, const char *out, struct err *e)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < o->n_specs; i++) {
        char *path;
        uint64_t limit;
        ok = split_spec(o->specs[i], &path, &limit, e) &&
             file_check_texts(out, (const char *const *)&path, 1, e);
        free(path);
    }
    return ok;
}

bool corpus_check_folder(const struct corpus_opts *o, const char *dir, struct err *e)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < o->n_specs; i++) {
        char *path;
        uint64_t limit;
        ok = split_spec(o->specs[i], &path, &limit, e) &&
             (!file_lies_in(dir, path) ||
              err_set(e, ERR_INPUT, "the folder '%s' is to be written, and lies in the folder of text '%s'",
                      dir, path));
        free(path);
    }
    return ok;
}

bool corpus_check_output(const struct corpus *c, const char *path, struct err *e)
{
    for (uint32_t i = 0; i < c->n_sources; i++)
        if (!file_check_texts(path, (const char *const *)&c->sources[i].path, 1, e))
            return false;
    return true;
}
