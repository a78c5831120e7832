/* pick.c - files of a repository, and which of them are the model that is meant; see hub_part.h.
 *
 * GGUF files: as common/download.cpp of llama.cpp v0.5.0 chooses (find_best_model, gguf_filename_is_model). Of a
 * checkpoint what hf/files.h knows and what its kind may need elsewhere (code, licences), from the top folder: its
 * weights in safetensors, never the same ones again in another form (original/, metal/, pickles, ONNX, those of Mistral's
 * own layout beside config.json). */
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "gguf/gguf_file.h"
#include "hf/index.h"
#include "hub/hub_part.h"

#include <string.h>
#include <strings.h>

/* ---- lists ---- */

void hub_list_add(struct hub_list *l, const char *path, uint64_t size, const char *oid)
{
    GROW(l->v, l->n, l->cap);
    struct hub_file *f = &l->v[l->n++];
    *f = (struct hub_file){.path = xstrdup(path), .size = size};
    snprintf(f->oid, sizeof f->oid, "%s", oid);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct hub_file *)a)->path, ((const struct hub_file *)b)->path);
}

void hub_list_sort(struct hub_list *l)
{
    size_t n = 0;
    if (l->n)
        qsort(l->v, l->n, sizeof *l->v, by_path);
    for (size_t i = 0; i < l->n; i++) {
        if (n && !strcmp(l->v[n - 1].path, l->v[i].path))
            free(l->v[i].path);
        else
            l->v[n++] = l->v[i];
    }
    l->n = n;
}

const struct hub_file *hub_list_find(const struct hub_list *l, const char *path)
{
    struct hub_file key = {.path = (char *)path};
    return l->n ? bsearch(&key, l->v, l->n, sizeof *l->v, by_path) : NULL;
}

void hub_list_clear(struct hub_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].path);
    free(l->v);
    *l = (struct hub_list){0};
}

bool hub_path_ok(const char *path)
{
    size_t len = strlen(path);
    if (!len || len > 1000 || !utf8_valid(path, len) || strchr(path, '\\'))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
            return false;
    for (const char *p = path;; p++) {
        size_t n = strcspn(p, "/");
        if (!n || n > 255 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += n;
        if (!*p)
            return true;
    }
}

/* ---- GGUF ---- */

static const char *base_of(const char *path)
{
    const char *s = strrchr(path, '/');
    return s ? s + 1 : path;
}

/* A GGUF file that can be opened as a model: no companion of one, and of several parts the first. */
static bool is_model(const char *path)
{
    static const char *const others[] = {"mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-"};
    uint32_t part = 0, n_parts;
    if (!text_ends(path, ".gguf"))
        return false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strstr(base_of(path), others[i]))
            return false;
    free(gg_split_prefix(path, &part, &n_parts));
    return part == 0;
}

/* The tag with '.' or '-' behind it, capitals or not. */
static bool has_tag(const char *path, const char *tag)
{
    size_t n = strlen(tag);
    for (const char *p = path; *p; p++)
        if (!strncasecmp(p, tag, n) && (p[n] == '.' || p[n] == '-'))
            return true;
    return false;
}

static const struct hub_file *first_with(const struct hub_list *l, const char *tag) /* NULL: any */
{
    for (size_t i = 0; i < l->n; i++)
        if (is_model(l->v[i].path) && (!tag || has_tag(l->v[i].path, tag)))
            return &l->v[i];
    return NULL;
}

static void add(struct hub_pick *p, const struct hub_list *l, const char *path)
{
    const struct hub_file *f = hub_list_find(l, path);
    if (!f) {
        p->whole = false;
        p->lacks = p->lacks ? p->lacks : xstrdup(path);
        return;
    }
    GROW(p->files, p->n, p->cap);
    p->files[p->n++] = f->path;
}

static enum hub_kind pick_gguf(const struct hub_list *l, const char *path, struct hub_pick *p)
{
    uint32_t part = 0, n_parts = 1;
    char *prefix = gg_split_prefix(path, &part, &n_parts);
    p->first = xstrdup(path);
    if (!prefix)
        add(p, l, path);
    for (uint32_t i = 0; prefix && i < n_parts; i++) {
        char *name = gg_split_path(prefix, i, n_parts);
        add(p, l, name);
        free(name);
    }
    free(prefix);
    return HUB_GGUF;
}

char *hub_pick_offers(const struct hub_list *l)
{
    struct buf b = {0};
    size_t n = 0;
    for (size_t i = 0; i < l->n && n < 8; i++)
        if (is_model(l->v[i].path))
            buf_fmt(&b, "%s%s", n++ ? ", " : "", l->v[i].path);
    if (n == 8)
        buf_str(&b, ", ...");
    return b.s ? b.s : xstrdup("no GGUF file");
}

/* ---- checkpoints ---- */

/* A file beside the weights that is wanted. */
static bool is_beside(const char *path)
{
    static const char *const ends[] = {".json", ".jinja", ".txt", ".model", ".tiktoken", ".md", ".py"},
                             *const starts[] = {"LICENSE", "LICENCE", "NOTICE", "USE_POLICY"};
    const char *slash = strchr(path, '/');
    if (slash)
        return !strncmp(path, HF_TEMPLATES_NAME "/", strlen(HF_TEMPLATES_NAME "/")) &&
               text_ends(path, ".jinja");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (text_ends(path, ends[i]))
            return true;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (!strncmp(path, starts[i], strlen(starts[i])))
            return true;
    return false;
}

/* The layout whose config is there, as a folder of these files is read; NULL: none. */
static const struct hf_layout *layout_of(const struct hub_list *l)
{
    const struct hf_layout *x;
    for (uint32_t i = 0; (x = hf_layout_at(i)); i++)
        if (hub_list_find(l, x->config))
            return x;
    return NULL;
}

static enum hub_kind pick_folder(const struct hub_list *l, struct hub_pick *p)
{
    p->layout = layout_of(l);
    if (!p->layout)
        return HUB_NOTHING;
    for (size_t i = 0; i < l->n; i++)
        if (is_beside(l->v[i].path))
            add(p, l, l->v[i].path);
    return HUB_CHECKPOINT;
}

static int by_file(const void *a, const void *b)
{
    return strcmp(((const struct hf_index_entry *)a)->file, ((const struct hf_index_entry *)b)->file);
}

/* Without an index: the one file, or where the layout has them, all that are called so. */
static void add_unlisted(const struct hub_list *l, struct hub_pick *p)
{
    const char *shards = hub_list_find(l, p->layout->weights) ? NULL : p->layout->shards;
    size_t n = p->n;
    for (size_t i = 0; shards && i < l->n; i++)
        if (!strncmp(l->v[i].path, shards, strlen(shards)) && text_ends(l->v[i].path, ".safetensors") &&
            !strchr(l->v[i].path, '/'))
            add(p, l, l->v[i].path);
    if (p->n == n)
        add(p, l, p->layout->weights);
}

bool hub_pick_weights(const struct hub_list *l, char *index, size_t n, struct hub_pick *p, struct err *e)
{
    struct hf_index x = {0};
    if (!index) {
        add_unlisted(l, p);
        return true;
    }
    if (!hf_index_parse(index, n, &x, e))
        return err_ctx(e, "%s", p->layout->index);
    qsort(x.map, x.n, sizeof *x.map, by_file);
    for (uint64_t i = 0; i < x.n; i++)
        if (!i || strcmp(x.map[i].file, x.map[i - 1].file) != 0)
            add(p, l, x.map[i].file);
    hf_index_clear(&x);
    return true;
}

/* ---- the choice ---- */

enum hub_kind hub_pick(const struct hub_list *l, const char *tag, const char *file, struct hub_pick *p)
{
    const struct hub_file *f = NULL;
    *p = (struct hub_pick){.whole = true};
    if (file)
        f = hub_list_find(l, file);
    else if (tag)
        f = first_with(l, tag);
    else if (!(f = first_with(l, "Q4_K_M")) && !(f = first_with(l, "Q8_0")))
        f = first_with(l, NULL);
    if (f)
        return pick_gguf(l, f->path, p);
    return !file && !tag ? pick_folder(l, p) : HUB_NOTHING;
}

void hub_pick_clear(struct hub_pick *p)
{
    free(p->first);
    free(p->files);
    free(p->lacks);
    *p = (struct hub_pick){0};
}
