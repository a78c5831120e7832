/* prune_hf_files.c - all that lies beside the weights of a pruned checkpoint folder (see prune.h).
 *
 * Everything that is not weights, index or one of the JSON files that name experts is copied as it is;
 * weights that the checkpoint does not name (another form of the same model) are not, because they would not
 * be pruned. */
#include "base/hash.h"
#include "base/hub_path.h"
#include "base/mem.h"
#include "base/text.h"
#include "hf/card.h"
#include "hf/config.h"
#include "hf/files.h"
#include "prune/prune_hf_part.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH  8
#define MAX_OTHERS 1000000 /* links make many of few */
#define MAX_README (16u << 20)

/* Nothing is there yet. Otherwise two names of the checkpoint are one in the output: it lies on a file system that
 * does not tell a from A, or one form of an accent from the other. */
static bool check_free(const struct hf_job *j, const char *path, struct err *e)
{
    bool there;
    return file_there(path, &there, e) &&
           (!there ||
            err_set(e, ERR_INPUT,
                    "'%s' cannot be written into '%s': the file system there takes its name for that of "
                    "another file of the checkpoint, from which it differs by case or accents only",
                    path_base(path), j->dir.path));
}

bool prune_hf_put_text(const struct hf_job *j, const char *name, const struct buf *b, struct err *e)
{
    char *path = path_join(j->dir.part, name);
    bool ok = check_free(j, path, e) && file_write_atomic(path, b->s ? b->s : "", b->n, false, e);
    free(path);
    return ok;
}

/* ---- JSON ---- */

static const uint32_t *keep_of(void *ctx, int64_t layer)
{
    const struct cut *c = ctx;
    if (layer < 0 || layer >= c->view->n_blocks) /* an MTP block that is in no file */
        layer = c->view->layers[c->view->n_layers - 1].il;
    return layer < c->view->n_blocks ? c->blocks[layer].keep : NULL;
}

/* The text of a JSON file as the cut changes it. */
static bool edit_text(const struct hf_job *j, uint32_t file, struct buf *out, struct err *e)
{
    const struct cut *c = j->c;
    struct hf_edit_plan plan = {.n_experts = c->view->shape.n_experts,
                                .n_keep = c->n_keep,
                                .n_layers = c->view->n_blocks - c->view->n_mtp,
                                .keep = keep_of,
                                .ctx = (void *)c,
                                .drop_mtp = c->opts.drop_mtp};
    return hf_edit_config(&j->in->json[file].doc, &plan, hf_json_counts(file), out, e);
}

/* num_experts and n_experts beside the key that states the count, for loaders that look for those names. */
static bool add_count_aliases(const struct buf *text, uint32_t n_keep, struct buf *out, struct err *e)
{
    static const char *const names[] = {"num_experts", "n_experts"};
    struct jdoc d = {0};
    struct hf_counts c = {0};
    struct jedits x = {0};
    char count[16];
    snprintf(count, sizeof count, "%u", n_keep);
    bool ok = jdoc_parse(&d, text->s, text->n, 0, NULL, true, e) && hf_counts(&d, &c, e);
    uint32_t node = 0, object = 0;
    for (char *key = ok ? c.n_experts_path : NULL, *next; key; key = next) {
        if ((next = strchr(key, '.')))
            *next++ = 0;
        object = node;
        node = jdoc_get(&d, object, key);
    }
    for (size_t i = 0; ok && node != JSPAN_NONE && i < sizeof names / sizeof *names; i++)
        if (jdoc_get(&d, object, names[i]) == JSPAN_NONE)
            jedit_add_after(&x, &d, node, names[i], count);
    if (ok)
        jedits_apply(&x, &d, out);
    jedits_clear(&x);
    hf_counts_clear(&c);
    jdoc_clear(&d);
    return ok;
}

bool prune_hf_edit_json(struct hf_job *j, struct err *e)
{
    const struct hf_checkpoint *c = j->in;
    for (uint32_t i = 0; i < HF_N_JSON; i++) {
        bool config = i == HF_CONFIG;
        struct buf plain = {0}, *to = config && j->o->count_aliases ? &plain : &j->json[i];
        bool ok = !c->json[i].text || edit_text(j, i, to, e);
        if (ok && to == &plain)
            ok = add_count_aliases(&plain, j->c->n_keep, &j->json[i], e);
        buf_clear(&plain);
        if (!ok)
            return err_ctx(e, "%s", hf_json_name(c, i)) || err_ctx(e, "%s", j->v->path);
    }
    return true;
}

static bool write_json(const struct hf_job *j, struct err *e)
{
    for (uint32_t i = 0; i < HF_N_JSON; i++)
        if (j->json[i].n && !prune_hf_put_text(j, hf_json_name(j->in, i), &j->json[i], e))
            return err_ctx(e, "%s", hf_json_name(j->in, i));
    return true;
}

/* ---- what is copied ---- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcasecmp(s + n - k, end);
}

/* Weights, in whatever form, and what goes with them. */
static bool is_weights(const char *name)
{
    static const char *const ends[] = {".safetensors", ".gguf", ".ggml",       ".pt",
                                       ".pth",         ".ckpt", ".h5",         ".msgpack",
                                       ".onnx",        ".nemo", ".index.json", ".imatrix"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(name, ends[i]))
            return true;
    return ends_with(name, ".bin") &&
           (!strncmp(name, "pytorch_model", 13) || !strncmp(name, "model", 5) ||
            !strncmp(name, "consolidated", 12) || !strncmp(name, "adapter_model", 13));
}

/* What the job writes itself. */
static bool is_ours(const struct hf_job *j, const char *name)
{
    const struct hf_checkpoint *c = j->in;
    for (uint32_t f = 0; f < c->n_files; f++)
        if (!strcmp(name, c->files[f].name))
            return true;
    for (uint32_t i = 0; i < HF_N_JSON; i++)
        if (c->json[i].text && !strcmp(name, hf_json_name(c, i)))
            return true;
    return !strcmp(name, c->layout->index) || !strcmp(name, PRUNE_OURS) ||
           (!strcmp(name, HF_CARD_NAME) && !j->o->no_card);
}

/* What to do with an entry of a folder: "name" at the path "from". */
typedef bool entry_visit(struct hf_job *j, const char *from, const char *name, const struct folder_entry *x,
                         const struct folder_level *l, void *ud, struct err *e);

/* Visits what is in a folder; the first false ends it. */
static bool each_entry(struct hf_job *j, const char *dir, const struct folder_level *l, entry_visit *visit,
                       void *ud, struct err *e)
{
    char **names;
    size_t n;
    if (l->depth > MAX_DEPTH)
        return err_set(e, ERR_INPUT, "'%s' is nested more than %d folders deep", dir, MAX_DEPTH);
    if (!folder_names(dir, &names, &n, e))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        struct folder_entry x = {0};
        char *path = path_join(dir, names[i]);
        ok = ++j->n_others <= MAX_OTHERS ||
             err_set(e, ERR_INPUT, "'%s' holds more than %d files and folders", j->v->path, MAX_OTHERS);
        ok = ok && ((l->depth == 0 && is_ours(j, names[i])) ||
                    (folder_look(&j->bounds, l, path, &x, e) && visit(j, path, names[i], &x, l, ud, e)));
        folder_entry_clear(&x);
        free(path);
    }
    folder_names_free(names, n);
    return ok;
}

static bool see_weights(struct hf_job *j, const char *from, const char *name, const struct folder_entry *x,
                        const struct folder_level *l, void *ud, struct err *e)
{
    const struct folder_level below = {l, x->end, l->depth + 1};
    bool *found = ud;
    *found = *found || (x->kind == FOLDER_FILE && is_weights(name));
    return *found || x->kind != FOLDER_SUB || each_entry(j, from, &below, see_weights, ud, e);
}

/* In all that is copied a file may be read by those who may read the one it is copied from. */
static bool narrow(int from, int to, const char *path, struct err *e)
{
    struct stat a, b;
    return (fstat(from, &a) == 0 && fstat(to, &b) == 0 &&
            fchmod(to, b.st_mode & 0777 & (a.st_mode | S_IRUSR | S_IWUSR)) == 0) ||
           err_sys(e, "cannot set the rights of '%s'", path);
}

/* One that grows while it is copied would be cut somewhere. */
static bool check_size(int fd, const char *path, uint64_t was, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_sys(e, "cannot look at '%s'", path);
    return (uint64_t)st.st_size == was ||
           err_set(e, ERR_INPUT, "'%s' has grown from %llu to %llu bytes while it was copied", path,
                   (unsigned long long)was, (unsigned long long)st.st_size);
}

static bool copy_file(const struct hf_job *j, const char *from, const char *to, struct err *e)
{
    uint64_t size;
    struct out out = {.fd = -1};
    int fd = folder_open_file(&j->bounds, from, &size, e);
    bool ok = fd >= 0 && out_open(&out, to, false, e) && narrow(fd, out.fd, to, e);
    ok = ok && (out_copy(&out, fd, 0, size, e) || err_ctx(e, "%s", from)) && check_size(fd, from, size, e) &&
         out_commit(&out, e);
    out_abort(&out);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool make_folder(const char *path, unsigned mode, struct err *e)
{
    return mkdir(path, 0777 & (mode | S_IRWXU)) == 0 || err_sys(e, "cannot make folder '%s'", path);
}

/* The path of an entry from the model's folder on. */
static const char *inside(const struct hf_job *j, const char *path)
{
    path += strlen(j->v->path);
    return path + strspn(path, "/");
}

/* A file without which the model is no whole one: of the tokenizer above all. */
static bool is_needed(const char *name)
{
    const struct hf_file_row *row;
    for (uint32_t i = 0; (row = hf_files_at(i)); i++)
        if (!strcmp(row->name, name))
            return row->role != HF_FILE_CARD;
    return false;
}

static bool copy_entry(struct hf_job *j, const char *from, const char *name, const struct folder_entry *x,
                       const struct folder_level *l, void *ud, struct err *e)
{
    const struct folder_level below = {l, x->end, l->depth + 1};
    const char *dir = ud;
    bool has_weights = x->kind == FOLDER_FILE && is_weights(name), is_hidden = name[0] == '.';
    if (x->kind == FOLDER_OUTSIDE && l->depth == 0 && is_needed(name))
        buf_fmt(&j->outside, "%s%s", j->outside.n ? ", " : "", name);
    if (folder_left_out(x, from) || file_same(from, j->dir.part) || file_same(from, j->dir.path))
        return true; /* the output inside of the input */
    if (x->kind == FOLDER_SUB && is_hidden)
        return true; /* .git, .cache: of the folder's history, not of the model */
    if (x->kind == FOLDER_SUB && !each_entry(j, from, &below, see_weights, &has_weights, e))
        return false;
    if (has_weights) {
        log_note(
            "note: '%s' is not copied: %s weights that the checkpoint does not name, and that are not pruned",
            inside(j, from), x->kind == FOLDER_SUB ? "it holds" : "it has to do with");
        return true;
    }
    char *to = path_join(dir, name);
    bool ok = check_free(j, to, e);
    if (ok && x->kind == FOLDER_SUB)
        ok = make_folder(to, x->mode, e) && each_entry(j, from, &below, copy_entry, to, e);
    else if (ok)
        ok = copy_file(j, from, to, e);
    free(to);
    return ok;
}

static bool copy_others(struct hf_job *j, struct err *e)
{
    if (!folder_bounds(j->v->path, &j->bounds, e))
        return false;
    const struct folder_level top = {NULL, j->bounds.root, 0};
    if (!each_entry(j, j->v->path, &top, copy_entry, j->dir.part, e))
        return false;
    if (j->outside.n)
        log_warn(
            "the output lacks files that the model needs, because they are links out of '%s': %s; if they are "
            "its own, copy them to '%s' (cp -L)",
            j->v->path, j->outside.s, j->dir.path);
    return true;
}

/* ---- what is new ---- */

/* reap.json: where the folder comes from. */
static bool write_provenance(const struct hf_job *j, struct err *e)
{
    char hex[65];
    json_t *o = json_object(), *s = view_identity(j->v);
    sha256_bytes(j->in->json[HF_CONFIG].text, j->in->json[HF_CONFIG].n, hex);
    json_object_set_new(s, "config_sha256", json_string(hex));
    json_object_set_new(s, "bytes", json_integer((json_int_t)j->v->bytes));
    json_object_set_new(o, "schema", json_string("reap.provenance/1"));
    json_object_set_new(o, "version", json_string(REAP_VERSION));
    json_object_set_new(o, "source", s);
    json_object_set_new(o, "n_keep", json_integer(j->c->n_keep));
    json_object_set_new(o, "bytes", json_integer((json_int_t)j->c->bytes));
    json_object_set_new(o, "mtp",
                        json_string(!j->v->n_mtp          ? "none"
                                    : j->c->opts.drop_mtp ? "dropped"
                                    : j->c->plan->n_mtp   ? "pruned by statistics of their own"
                                                          : "pruned with the plan of the last layer"));
    json_object_set_new(o, "plan", plan_json(j->c->plan));
    char *path = path_join(j->dir.part, PRUNE_OURS);
    bool ok = check_free(j, path, e) && json_write(path, o, false, e);
    free(path);
    json_decref(o);
    return ok;
}

static bool read_card(const struct hf_job *j, const char *path, struct buf *b, struct err *e)
{
    struct folder_entry x;
    bool there;
    if (!file_there(path, &there, e) || !there)
        return e->code == ERR_NONE;
    bool ok = folder_look(&j->bounds, NULL, path, &x, e) &&
              (folder_left_out(&x, path) || folder_read_file(&j->bounds, path, MAX_README, b, e));
    folder_entry_clear(&x);
    return ok;
}

static bool write_card(const struct hf_job *j, struct err *e)
{
    char *path = path_join(j->v->path, HF_CARD_NAME);
    struct buf old = {0}, b = {0};
    bool ok = read_card(j, path, &old, e);
    if (ok) {
        const struct prune_card card = {
            .parent = j->v, .plan = j->c->plan, .opts = j->o, .bytes_after = j->c->bytes};
        prune_card_text(&b, &card, path, old.s);
    }
    ok = ok && prune_hf_put_text(j, HF_CARD_NAME, &b, e);
    buf_clear(&old);
    buf_clear(&b);
    free(path);
    return ok;
}

bool prune_hf_put_others(struct hf_job *j, struct err *e)
{
    return write_json(j, e) && copy_others(j, e) && (j->o->no_card || write_card(j, e)) &&
           (j->o->no_provenance || write_provenance(j, e));
}
