/* source.c - see source.h. */
#include "corpus/source.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/gzip.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#define MAX_FILE    (1ull << 30)
#define MAX_DEPTH   16
#define MAX_ENTRIES (1u << 24) /* links make many of few */

/* ---- folders ---- */

struct walk {
    source_visit *fn;
    void *ud;
    const char *root; /* as it was named */
    struct folder_bounds bounds;
    uint64_t n; /* entries so far */
};

static bool walk_folder(struct walk *w, const struct source_file *dir, const struct folder_level *l,
                        struct err *e);

static bool walk_entry(struct walk *w, const struct source_file *f, const char *last,
                       const struct folder_level *above, struct err *e)
{
    struct folder_entry x;
    if (++w->n > MAX_ENTRIES)
        return err_set(e, ERR_INPUT, "'%s' holds more than %u files and folders", w->root, MAX_ENTRIES);
    if (!folder_look(&w->bounds, above, f->path, &x, e))
        return false;
    struct source_file sub = *f;
    if (x.kind == FOLDER_SUB && !f->category)
        sub.category = last;
    const struct folder_level l = {above, x.end, above->depth + 1};
    bool ok = folder_left_out(&x, f->path) ||
              (x.kind == FOLDER_SUB ? walk_folder(w, &sub, &l, e) : w->fn(w->ud, f, e));
    folder_entry_clear(&x);
    return ok;
}

/* dir->name: "" for the folder that was named itself. Hidden names are none of a source. */
static bool walk_folder(struct walk *w, const struct source_file *dir, const struct folder_level *l,
                        struct err *e)
{
    char **names;
    size_t n;
    if (l->depth > MAX_DEPTH)
        return err_set(e, ERR_INPUT, "folder '%s' lies more than %d deep", dir->path, MAX_DEPTH);
    if (!folder_names(dir->path, &names, &n, e))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        char *path = path_join(dir->path, names[i]),
             *name = *dir->name ? path_join(dir->name, names[i]) : xstrdup(names[i]);
        struct source_file f = {path, name, dir->category, w->root};
        ok = names[i][0] == '.' || walk_entry(w, &f, names[i], l, e);
        free(path);
        free(name);
    }
    folder_names_free(names, n);
    return ok;
}

bool source_walk(const char *path, source_visit *fn, void *ud, struct err *e)
{
    struct walk w = {.fn = fn, .ud = ud, .root = path};
    struct source_file f = {path, path_base(path), NULL, NULL};
    if (!file_is_dir(path))
        return fn(ud, &f, e);
    f.name = "";
    if (!folder_bounds(path, &w.bounds, e))
        return false;
    const struct folder_level top = {NULL, w.bounds.root, 0};
    bool ok = walk_folder(&w, &f, &top, e);
    folder_bounds_clear(&w.bounds);
    return ok;
}

/* ---- files ---- */

static bool read_whole(const char *path, const char *folder, struct buf *b, struct err *e)
{
    struct folder_bounds bounds;
    if (!folder)
        return file_read_all(path, MAX_FILE, b, e);
    if (!folder_bounds(folder, &bounds, e))
        return false;
    bool ok = folder_read_file(&bounds, path, MAX_FILE, b, e);
    folder_bounds_clear(&bounds);
    return ok;
}

bool source_read_hashed(const char *path, const char *folder, struct buf *b, size_t *bom, char sha256[65],
                        struct err *e)
{
    if (!read_whole(path, folder, b, e))
        return false;
    if (sha256)
        sha256_bytes(b->s, b->n, sha256);
    if (gzip_is(b->s, b->n)) {
        struct buf packed = *b;
        *b = (struct buf){0};
        bool ok = gzip_unpack(packed.s, packed.n, MAX_FILE, b, e);
        buf_clear(&packed);
        if (!ok)
            return err_ctx(e, "%s", path);
    }
    *bom = b->n >= 3 && !memcmp(b->s, "\xef\xbb\xbf", 3) ? 3 : 0;
    return true;
}

bool source_read(const char *path, const char *folder, struct buf *b, size_t *bom, struct err *e)
{
    return source_read_hashed(path, folder, b, bom, NULL, e);
}

/* Behind the last dot of name[0..n), n without one; a dot in front begins a name. */
static size_t last_dot(const char *name, size_t n)
{
    for (size_t i = n; i-- > 1;)
        if (name[i] == '.')
            return i;
    return n;
}

static size_t without_gz(const char *name)
{
    size_t n = strlen(name), dot = last_dot(name, n);
    return strcasecmp(name + dot, ".gz") ? n : dot;
}

size_t source_stem(const char *name)
{
    return last_dot(name, without_gz(name));
}

bool source_has_ending(const char *path, const char *const *endings)
{
    const char *name = path_base(path);
    size_t n = without_gz(name), dot = last_dot(name, n);
    for (; *endings; endings++)
        if (n - dot == strlen(*endings) && !strncasecmp(name + dot, *endings, n - dot))
            return true;
    return false;
}

bool source_is_rows(const char *path)
{
    static const char *const endings[] = {".jsonl", ".ndjson", ".json", NULL};
    return source_has_ending(path, endings);
}

bool source_check_text(const char *s, size_t n, struct err *e)
{
    const char *nul = n ? memchr(s, 0, n) : NULL;
    if (!n)
        return err_set(e, ERR_INPUT, "empty file");
    if (nul)
        return err_set(e, ERR_INPUT, "NUL at byte %zu, not a text file", (size_t)(nul - s));
    size_t good = utf8_good(s, n);
    return good == n || err_set(e, ERR_INPUT, "not valid UTF-8 at byte %zu", good);
}

/* ---- rows ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool source_lines(const char *s, size_t n, source_line *fn, void *ud, struct err *e)
{
    uint32_t line = 0;
    for (size_t at = 0, end; at < n; at = end + 1) {
        const char *nl = memchr(s + at, '\n', n - at);
        end = nl ? (size_t)(nl - s) : n;
        line++;
        size_t z = end;
        while (z > at && is_space(s[z - 1]))
            z--;
        if (z > at && (!sig_check(e) || !fn(ud, line, s + at, z - at, e)))
            return false;
    }
    return true;
}

json_t *source_member(const json_t *row, const char *key)
{
    json_t *v = json_object_get(row, key);
    return json_is_null(v) ? NULL : v;
}

bool source_id(const json_t *row, size_t max, char **id, struct err *e)
{
    const json_t *v = source_member(row, "id");
    size_t n = json_string_length(v);
    *id = NULL;
    if (!v)
        return true;
    double d = json_real_value(v);
    if (json_is_integer(v))
        *id = xasprintf("%lld", (long long)json_integer_value(v));
    else if (json_is_real(v) && d == floor(d)) /* a table on the way has made it of an integer */
        *id = xasprintf("%.17g", d);
    else if (json_is_string(v) && (!max || (n >= 1 && n <= max)))
        *id = xstrdup(json_string_value(v));
    else if (max)
        return err_set(e, ERR_INPUT, "row: 'id' is %s, expected an integer or a string of 1 to %zu bytes",
                       json_type_name(v), max);
    else
        return err_set(e, ERR_INPUT, "row: 'id' is %s, expected a string or an integer", json_type_name(v));
    return true;
}

bool source_messages(const json_t *row, const char *what, source_message *fn, void *ud, struct err *e)
{
    json_t *list;
    if (!json_need_arr(row, "messages", "row", &list, e))
        return false;
    if (!json_array_size(list))
        return err_set(e, ERR_INPUT, "row: 'messages' is empty");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i);
        const char *role;
        char where[64];
        snprintf(where, sizeof where, "%s %zu", what, i + 1);
        if (!json_is_object(m))
            return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(m));
        if (!json_need_str(m, "role", where, &role, e) || !fn(ud, m, role, where, e))
            return false;
    }
    return true;
}
