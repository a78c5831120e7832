/* checkpoint.c - see checkpoint.h: the folder, its JSON files, the index against the files. */
#include "hf/checkpoint.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/text.h"
#include "hf/index.h"
#include "hf/members.h"

#include <string.h>
#include <unistd.h>

#define MAX_CONFIG (64u << 20)
#define MAX_INDEX  (256u << 20) /* bytes; 100,000 tensors need 10 MB */
#define FIRST_STEP (1u << 20)   /* of a header */

/* ---- JSON files ---- */

/* The text is kept; a file that is not there leaves *j empty. */
static bool read_json(const char *dir, const char *name, struct hf_json *j, struct err *e)
{
    struct buf b = {0};
    bool there, ok = hf_file_read(dir, name, MAX_CONFIG, &there, &b, e);
    if (there && ok) {
        j->text = b.s;
        j->n = b.n;
        ok = jdoc_parse(&j->doc, j->text, j->n, 0, NULL, true, e);
        if (ok && j->doc.nodes[0].kind != J_OBJECT)
            ok = err_set(e, ERR_INPUT, "it is %s, expected an object", jdoc_kind_name(&j->doc, 0));
        if (!ok)
            err_ctx(e, "%s/%s", dir, name);
    } else {
        buf_clear(&b);
    }
    return ok;
}

static void clear_json(struct hf_json *j)
{
    free(j->text);
    jdoc_clear(&j->doc);
    *j = (struct hf_json){0};
}

/* ---- one file ---- */

static bool read_start(struct hf_file *f, uint64_t *header_bytes, struct err *e)
{
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1";
    unsigned char s[sizeof lfs - 1];
    uint64_t have = f->size < sizeof s ? f->size : sizeof s, n = 0;
    if (!file_pread(f->fd, s, have, 0, e))
        return false;
    if (have == sizeof s && !memcmp(s, lfs, sizeof s))
        return err_set(e, ERR_INPUT,
                       "this is a pointer of Git LFS, not the weights: run 'git lfs pull' in the folder");
    if (f->size == 0)
        return err_set(e, ERR_INPUT, "the file is empty");
    if (f->size < 8)
        return err_set(e, ERR_INPUT,
                       "the file has %llu bytes, expected at least the 8 of the header's length",
                       (unsigned long long)f->size);
    for (int i = 7; i >= 0; i--)
        n = n << 8 | s[i];
    if (n > f->size - 8)
        return err_set(e, ERR_INPUT,
                       "the header's length is %llu bytes, %llu follow: no safetensors file, or incomplete",
                       (unsigned long long)n, (unsigned long long)(f->size - 8));
    if (n > HF_MAX_HEADER)
        return err_set(e, ERR_INPUT, "the header's length is %llu bytes, expected at most %u",
                       (unsigned long long)n, HF_MAX_HEADER);
    if (n == 0)
        return err_set(e, ERR_INPUT, "the header's length is 0");
    *header_bytes = n;
    return true;
}

/* In steps, up to the first NUL, which no JSON holds: a sparse file claims any length and holds nothing.
 * *header is the caller's, also after a failure. */
static bool read_header(const struct hf_file *f, uint64_t n, char **header, struct err *e)
{
    for (uint64_t have = 0, step = FIRST_STEP; have < n; step *= 4) {
        uint64_t end = n - have < step ? n : have + step;
        char *p = realloc(*header, end);
        if (!p)
            return err_set(e, ERR_FAILED, "cannot allocate %llu bytes for the header",
                           (unsigned long long)end);
        *header = p;
        if (!file_pread(f->fd, p + have, end - have, 8 + have, e))
            return false;
        const char *nul = memchr(p + have, 0, end - have);
        if (nul)
            return err_set(e, ERR_INPUT, "header: byte %llu is NUL, expected JSON",
                           (unsigned long long)(nul - p));
        have = end;
    }
    return true;
}

/* Into memory of their own, so that the header, which is twice as long, can go. */
static bool take_names(struct hf_file *f, struct hf_tensor *list, uint64_t n, struct err *e)
{
    uint64_t all = 0;
    for (uint64_t i = 0; i < n; i++)
        all += strlen(list[i].name) + 1;
    char *p = f->names = mem_try(all, 1, "the names of tensors", e);
    for (uint64_t i = 0; p && i < n; i++) {
        const char *name = list[i].name;
        list[i].name = p;
        p = stpcpy(p, name) + 1;
    }
    return f->names != NULL;
}

static bool add_tensors(struct hf_checkpoint *c, struct hf_tensor *list, uint64_t n, struct err *e)
{
    if (c->n_tensors == 0) {
        free(c->tensors);
        c->tensors = list;
        c->cap_tensors = c->n_tensors = n;
        return true;
    }
    struct hf_tensor *all = n ? grow_try(c->tensors, c->n_tensors + n - 1, &c->cap_tensors, UINT64_MAX,
                                         sizeof *all, "the tensors of a checkpoint", e)
                              : c->tensors;
    if (all) {
        memcpy(all + c->n_tensors, list, n * sizeof *all);
        c->tensors = all;
        c->n_tensors += n;
    }
    free(list);
    return all != NULL;
}

static bool read_file(struct hf_checkpoint *c, struct hf_file *f, struct err *e)
{
    struct hf_tensor *list = NULL;
    char *header = NULL;
    uint64_t n;
    f->path = path_join(c->dir, f->name);
    f->fd = file_open_read(f->path, &f->size, e);
    if (f->fd < 0)
        return false;
    bool ok = read_start(f, &n, e) && read_header(f, n, &header, e) &&
              st_parse(header, n, n + 8, f->size - n - 8, &list, &n, &f->metadata, e) &&
              take_names(f, list, n, e);
    free(header);
    if (!ok) {
        free(list);
        return err_ctx(e, "%s", f->path);
    }
    for (uint64_t i = 0; i < n; i++)
        list[i].file = (uint32_t)(f - c->files);
    f->first_tensor = c->n_tensors;
    f->n_tensors = n;
    return add_tensors(c, list, n, e);
}

/* ---- the files of a checkpoint ---- */

static void add_file(struct hf_checkpoint *c, const char *name, uint32_t *cap)
{
    GROW(c->files, c->n_files, *cap);
    c->files[c->n_files++] = (struct hf_file){.name = xstrdup(name), .fd = -1};
}

static int cmp_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The files that the index names, each once; all must be there. */
static bool list_files(struct hf_checkpoint *c, const struct hf_index *x, struct err *e)
{
    const char **names = mem_try(x->n, sizeof *names, "the files of the index", e);
    if (!names)
        return false;
    for (uint64_t i = 0; i < x->n; i++)
        names[i] = x->map[i].file;
    qsort(names, x->n, sizeof *names, cmp_strings);
    bool ok = true;
    uint32_t cap = 0;
    for (uint64_t i = 0, next; ok && i < x->n; i = next) {
        for (next = i + 1; next < x->n && !strcmp(names[next], names[i]);)
            next++;
        char *path = path_join(c->dir, names[i]);
        bool there;
        ok = file_there(path, &there, e);
        if (ok && there)
            add_file(c, names[i], &cap);
        else if (ok)
            ok = err_set(e, ERR_INPUT, "%s: file '%s' is missing (the index names it for %llu tensors)",
                         c->dir, names[i], (unsigned long long)(next - i));
        free(path);
    }
    free(names);
    return ok;
}

static const char *file_of(const struct hf_checkpoint *c, const struct hf_tensor *t)
{
    return c->files[t->file].name;
}

static int cmp_tensors(const void *a, const void *b)
{
    const struct hf_tensor *x = *(const struct hf_tensor *const *)a, *y = *(const struct hf_tensor *const *)b;
    int r = strcmp(x->name, y->name);
    return r ? r : (x > y) - (x < y);
}

static bool sort_tensors(struct hf_checkpoint *c, struct err *e)
{
    c->by_name = mem_try(c->n_tensors, sizeof *c->by_name, "the index of tensors", e);
    if (!c->by_name)
        return false;
    for (uint64_t i = 0; i < c->n_tensors; i++)
        c->by_name[i] = c->tensors + i;
    qsort(c->by_name, c->n_tensors, sizeof *c->by_name, cmp_tensors);
    for (uint64_t i = 1; i < c->n_tensors; i++) {
        const struct hf_tensor *a = c->by_name[i - 1], *b = c->by_name[i];
        char shown[2 * TEXT_SHOWN];
        if (!strcmp(a->name, b->name))
            return err_set(e, ERR_INPUT, "%s: tensor '%s' is in two files, '%s' and '%s'", c->dir,
                           text_shown(shown, sizeof shown, a->name), file_of(c, a), file_of(c, b));
    }
    return true;
}

/* Both are sorted by name: one pass finds what is in one only, and what is in another file. */
static bool check_index(const struct hf_checkpoint *c, const struct hf_index *x, struct err *e)
{
    char shown[2 * TEXT_SHOWN];
    for (uint64_t i = 0, k = 0; i < x->n || k < c->n_tensors; i++, k++) {
        const struct hf_index_entry *want = i < x->n ? &x->map[i] : NULL;
        const struct hf_tensor *t = k < c->n_tensors ? c->by_name[k] : NULL;
        int r = !want ? 1 : !t ? -1 : strcmp(want->name, t->name);
        const char *name = r < 0 ? want->name : t->name;
        if (r == 0 && !strcmp(want->file, file_of(c, t)))
            continue;
        text_shown(shown, sizeof shown, name);
        if (r < 0)
            return err_set(e, ERR_INPUT, "%s/%s: tensor '%s' is not in '%s', the file that the index names",
                           c->dir, c->layout->index, shown, want->file);
        if (r > 0)
            return err_set(e, ERR_INPUT, "%s/%s: tensor '%s' of '%s' is missing in the index", c->dir,
                           c->layout->index, shown, file_of(c, t));
        return err_set(e, ERR_INPUT, "%s/%s: tensor '%s' is in '%s', the index says '%s'", c->dir,
                       c->layout->index, shown, file_of(c, t), want->file);
    }
    return true;
}

static bool read_files(struct hf_checkpoint *c, struct err *e)
{
    for (uint32_t i = 0; i < c->n_files; i++)
        if (!read_file(c, &c->files[i], e))
            return false;
    return sort_tensors(c, e);
}

static bool open_indexed(struct hf_checkpoint *c, const char *path, struct err *e)
{
    struct buf text = {0};
    struct hf_index x = {0};
    bool ok = file_read_all(path, MAX_INDEX, &text, e);
    if (ok && !hf_index_parse(text.s, text.n, &x, e))
        ok = err_ctx(e, "%s", path);
    ok = ok && list_files(c, &x, e) && read_files(c, e) && check_index(c, &x, e);
    if (ok) {
        c->has_index = true;
        c->index_metadata = x.metadata;
        x.metadata = NULL;
    }
    hf_index_clear(&x);
    buf_clear(&text);
    return ok;
}

/* ---- the folder ---- */

/* What else may be meant, for a folder that is not what we expect: a name in it, NULL if there is none. */
static char *find_other(const char *dir, const char *prefix, const char *suffix)
{
    char **names;
    struct err ignored = {0}; /* it is for an advice only */
    size_t n, k = strlen(suffix);
    char *found = NULL;
    if (!folder_names(dir, &names, &n, &ignored))
        return NULL;
    for (size_t i = 0; !found && i < n; i++) { /* sorted: the first */
        size_t len = strlen(names[i]);
        if (len >= k && !strncmp(names[i], prefix, strlen(prefix)) && !strcmp(names[i] + len - k, suffix))
            found = xstrdup(names[i]);
    }
    folder_names_free(names, n);
    return found;
}

static bool fail_missing(const char *dir, const char *what, struct err *e)
{
    static const struct {
        const char *prefix, *suffix, *advice;
    } others[] = {
        {"", ".gguf", "give that file instead of the folder"},
        {"pytorch_model", ".bin", "pickled weights are not read, convert them to safetensors"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char *name = find_other(dir, others[i].prefix, others[i].suffix);
        if (!name)
            continue;
        err_set(e, ERR_INPUT, "%s: %s is missing; there is '%s': %s", dir, what, name, others[i].advice);
        free(name);
        return false;
    }
    return err_set(e, ERR_INPUT,
                   "%s: %s is missing, expected a folder with config.json and safetensors files", dir, what);
}

/* All files whose names begin as the layout says, in their order. */
static bool add_shards(struct hf_checkpoint *c, bool *any, struct err *e)
{
    char **names;
    size_t n, k = c->layout->shards ? strlen(c->layout->shards) : 0, tail = strlen(".safetensors");
    uint32_t cap = 0;
    if (!folder_names(c->dir, &names, &n, e))
        return false;
    for (size_t i = 0; k && i < n; i++) {
        size_t len = strlen(names[i]);
        if (len > k + tail && !strncmp(names[i], c->layout->shards, k) &&
            !strcmp(names[i] + len - tail, ".safetensors"))
            add_file(c, names[i], &cap);
    }
    folder_names_free(names, n);
    *any = c->n_files > 0;
    return true;
}

static bool fail_no_weights(const struct hf_checkpoint *c, struct err *e)
{
    char *part = find_other(c->dir, "", ".safetensors");
    bool ok = part ? err_set(e, ERR_INPUT, "%s: %s is missing; there is '%s'", c->dir, c->layout->index, part)
                   : fail_missing(c->dir, c->layout->weights, e);
    free(part);
    return ok;
}

static bool open_weights(struct hf_checkpoint *c, struct err *e)
{
    char *index = path_join(c->dir, c->layout->index), *one = path_join(c->dir, c->layout->weights);
    bool is_indexed, is_one, any, ok = file_there(index, &is_indexed, e) && file_there(one, &is_one, e);
    if (ok && is_indexed) {
        ok = open_indexed(c, index, e);
    } else if (ok && is_one) {
        uint32_t cap = 0;
        add_file(c, c->layout->weights, &cap);
        ok = read_files(c, e);
    } else if (ok && (ok = add_shards(c, &any, e))) {
        ok = any ? read_files(c, e) : fail_no_weights(c, e);
    }
    free(index);
    free(one);
    return ok;
}

/* By what describes the model: the first that is there. */
static bool choose_layout(struct hf_checkpoint *c, struct err *e)
{
    const struct hf_layout *l;
    c->layout = hf_layout_at(0);
    for (uint32_t i = 0; (l = hf_layout_at(i)); i++) {
        char *path = path_join(c->dir, l->config);
        bool there, ok = file_there(path, &there, e);
        free(path);
        if (!ok)
            return false;
        if (there) {
            c->layout = l;
            break;
        }
    }
    return true;
}

const char *hf_json_name(const struct hf_checkpoint *c, uint32_t file)
{
    return file == HF_CONFIG ? c->layout->config : hf_files_at(file)->name;
}

/* What another layout has in the place of config.json is there once when that layout is the folder's. Beside
 * config.json it may be anything of that name: without an object in it nobody states a count there, and it is copied. */
static bool read_other_config(struct hf_checkpoint *c, uint32_t file, struct err *e)
{
    if (!strcmp(hf_files_at(file)->name, c->layout->config) ||
        read_json(c->dir, hf_json_name(c, file), &c->json[file], e))
        return true;
    if (e->code != ERR_INPUT)
        return false;
    err_clear(e);
    clear_json(&c->json[file]);
    return true;
}

static bool open_folder(struct hf_checkpoint *c, struct err *e)
{
    bool there;
    if (!file_there(c->dir, &there, e))
        return false;
    if (!file_is_dir(c->dir))
        return err_set(e, ERR_INPUT, "'%s' %s, expected a folder with config.json and safetensors files",
                       c->dir, there ? "is a file" : "does not exist");
    if (!choose_layout(c, e))
        return false;
    for (uint32_t i = 0; i < HF_N_JSON; i++) {
        if (!(i == HF_PARAMS ? read_other_config(c, i, e)
                             : read_json(c->dir, hf_json_name(c, i), &c->json[i], e)))
            return false;
        if (!c->json[HF_CONFIG].text)
            return fail_missing(c->dir, c->layout->config, e);
    }
    return open_weights(c, e);
}

struct hf_checkpoint *hf_open(const char *dir, struct err *e)
{
    struct hf_checkpoint *c = xcalloc(1, sizeof *c);
    c->dir = xstrdup(dir);
    if (open_folder(c, e))
        return c;
    hf_free(c);
    return NULL;
}

void hf_free(struct hf_checkpoint *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < c->n_files; i++) {
        struct hf_file *f = &c->files[i];
        if (f->fd >= 0)
            close(f->fd);
        free(f->name);
        free(f->path);
        free(f->metadata);
        free(f->names);
    }
    free(c->files);
    free(c->tensors);
    free((void *)c->by_name);
    free(c->index_metadata);
    for (uint32_t i = 0; i < HF_N_JSON; i++)
        clear_json(&c->json[i]);
    free(c->dir);
    free(c);
}

const struct hf_tensor *hf_find_tensor(const struct hf_checkpoint *c, const char *name)
{
    uint64_t lo = 0, hi = c->n_tensors;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        int r = strcmp(c->by_name[mid]->name, name);
        if (r == 0)
            return c->by_name[mid];
        if (r < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

void hf_stamp(const struct hf_checkpoint *c, struct buf *b)
{
    hf_files_stamp(c->dir, HF_FILES_MODEL, b);
    for (uint32_t i = 0; i < c->n_files; i++) {
        buf_fmt(b, "%s ", c->files[i].name);
        file_stamp(c->files[i].path, b);
        buf_char(b, '\n');
    }
}
