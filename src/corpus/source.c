/* source.c - see source.h. */
#include "corpus/source.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_FILE  (1ull << 30)
#define MAX_DEPTH 16

/* ---- folders ---- */

struct walk {
    source_visit *fn;
    void *ud;
    struct {
        dev_t dev;
        ino_t ino;
    } up[MAX_DEPTH + 1]; /* the folders above, to see a link that leads back */
};

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, hidden ones not, sorted; all of them, because what is left out is named (dir_list
 * drops what is no file). Caller frees each and the list. */
static bool list_names(const char *dir, char ***names, size_t *n, struct err *e)
{
    size_t cap = 0;
    *names = NULL;
    *n = 0;
    DIR *d = opendir(dir);
    if (!d)
        return err_sys(e, "cannot open folder '%s'", dir);
    struct dirent *ent;
    while ((errno = 0, ent = readdir(d))) {
        if (ent->d_name[0] == '.')
            continue;
        GROW(*names, *n, cap);
        (*names)[(*n)++] = xstrdup(ent->d_name);
    }
    bool ok = errno == 0 || err_sys(e, "cannot read folder '%s'", dir);
    closedir(d);
    if (*n)
        qsort(*names, *n, sizeof **names, by_bytes);
    return ok;
}

static bool walk_folder(struct walk *w, const struct source_file *dir, unsigned depth, struct err *e);

static bool walk_entry(struct walk *w, const struct source_file *f, const char *last, unsigned depth,
                       struct err *e)
{
    struct stat st;
    if (stat(f->path, &st) != 0)
        return err_sys(e, "cannot stat '%s'", f->path);
    if (S_ISDIR(st.st_mode)) {
        struct source_file sub = *f;
        sub.category = f->category ? f->category : last;
        return walk_folder(w, &sub, depth + 1, e);
    }
    if (S_ISREG(st.st_mode))
        return w->fn(w->ud, f, e);
    log_warn("%s: not a regular file; left out", f->path);
    return true;
}

/* dir->name: "" for the folder that was named itself. */
static bool walk_folder(struct walk *w, const struct source_file *dir, unsigned depth, struct err *e)
{
    struct stat st;
    if (depth > MAX_DEPTH)
        return err_set(e, ERR_INPUT, "folder '%s' lies more than %d deep", dir->path, MAX_DEPTH);
    if (stat(dir->path, &st) != 0)
        return err_sys(e, "cannot stat '%s'", dir->path);
    for (unsigned i = 0; i < depth; i++)
        if (w->up[i].dev == st.st_dev && w->up[i].ino == st.st_ino)
            return err_set(e, ERR_INPUT, "'%s' is a link back to a folder above it", dir->path);
    w->up[depth].dev = st.st_dev;
    w->up[depth].ino = st.st_ino;

    char **names;
    size_t n;
    bool ok = list_names(dir->path, &names, &n, e);
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(dir->path, names[i]),
             *name = *dir->name ? path_join(dir->name, names[i]) : xstrdup(names[i]);
        struct source_file f = {path, name, dir->category, true};
        ok = ok && walk_entry(w, &f, names[i], depth, e);
        free(path);
        free(name);
        free(names[i]);
    }
    free(names);
    return ok;
}

bool source_walk(const char *path, source_visit *fn, void *ud, struct err *e)
{
    struct walk w = {.fn = fn, .ud = ud};
    struct source_file f = {path, path_base(path), NULL, false};
    if (!file_is_dir(path))
        return fn(ud, &f, e);
    f.name = "";
    return walk_folder(&w, &f, 0, e);
}

/* ---- files ---- */

bool source_read_hashed(const char *path, struct buf *b, size_t *bom, char sha256[65], struct err *e)
{
    if (!file_read_all(path, MAX_FILE, b, e))
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

bool source_read(const char *path, struct buf *b, size_t *bom, struct err *e)
{
    return source_read_hashed(path, b, bom, NULL, e);
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
