/* prune_hf.c - writing pruned checkpoint folders (see prune.h).
 *
 * The folder is filled under another name and appears complete. Tensors keep the order of the input's bytes,
 * so that what was aligned stays so where it can. Everything that is not weights, index or one of the three
 * JSON files that name experts is copied as it is; weights that the checkpoint does not name (another form of
 * the same model) are not, because they would not be pruned. */
#include "base/dir.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "hf/card.h"
#include "hf/config.h"
#include "hf/index.h"
#include "model/view_hf.h"
#include "prune/prune.h"

#include <string.h>
#include <unistd.h>

#define MAX_DEPTH  8
#define MAX_README (16u << 20)

struct job {
    const struct cut *c;
    const struct view *v;
    const struct hf_checkpoint *in;
    const struct prune_opts *o;
    struct prune_result *r;
    char **files; /* a name for each file of the cut; NULL: nothing goes into it, it is not written */
    uint32_t n_files;
    struct out_dir dir;
    struct out *outs;           /* of the files */
    struct buf json[HF_N_JSON]; /* the edited texts; empty: there is no such file */
    struct progress progress;
    uint64_t done;
};

/* ---- what the files are called ---- */

/* The place of "00001-of-00003" in a name: two numbers; false if there is none. */
static bool shard_pattern(const char *name, int *before, int *digits, int *of_digits, const char **after)
{
    const char *of = strstr(name, "-of-");
    if (!of)
        return false;
    const char *a = of;
    while (a > name && a[-1] >= '0' && a[-1] <= '9')
        a--;
    size_t n = strspn(of + 4, "0123456789");
    *before = (int)(a - name);
    *digits = (int)(of - a);
    *of_digits = (int)n;
    *after = of + 4 + n;
    return a < of && n > 0;
}

/* Like the input's; when some hold nothing any more the others are counted anew, where their names count. */
static char *name_like(const struct job *j, uint32_t f, uint32_t number)
{
    const char *name = j->in->files[f].name, *after;
    int before, digits, of_digits;
    if (j->n_files < j->c->n_files && shard_pattern(name, &before, &digits, &of_digits, &after))
        return xasprintf("%.*s%0*u-of-%0*u%s", before, name, digits, number, of_digits, j->n_files, after);
    return xstrdup(name);
}

static void name_files(struct job *j)
{
    bool like = !j->c->opts.merge && !j->c->opts.max_shard;
    uint32_t n = j->c->n_files, number = 0;
    j->files = xcalloc(n ? n : 1, sizeof *j->files);
    for (uint32_t f = 0; f < n; f++)
        j->n_files += j->c->files[f].n > 0;
    for (uint32_t f = 0; f < n; f++) {
        if (!j->c->files[f].n)
            continue;
        number++;
        j->files[f] = like              ? name_like(j, f, number)
                      : j->n_files == 1 ? xstrdup(HF_WEIGHTS_NAME)
                                        : xasprintf("model-%05u-of-%05u.safetensors", number, j->n_files);
    }
}

static bool needs_index(const struct job *j)
{
    if (j->n_files != 1 || (j->in->has_index && !j->c->opts.merge))
        return true;
    const struct cut_tensor *only = &j->c->tensors[0];
    return strcmp(j->files[only->file], HF_WEIGHTS_NAME) != 0;
}

/* ---- the weights ---- */

static void put_header(struct buf *b, const struct job *j, uint32_t f)
{
    const struct cut_file *file = &j->c->files[f];
    const struct cut_tensor *t = &j->c->tensors[file->first];
    struct st_header h;
    st_header_begin(&h, b, j->in->files[t->from->file].metadata);
    for (uint64_t i = 0; i < file->n; i++) {
        struct hf_tensor y = j->in->tensors[t[i].from - j->v->tensors];
        y.name = t[i].name;
        y.bytes = t[i].bytes;
        for (uint32_t d = 0; d < y.n_dims; d++)
            y.dims[d] = cut_dim(j->c, &t[i], d);
        st_header_add(&h, &y);
    }
    st_header_end(&h);
}

/* Neighbours that stay whole are one range of bytes. */
static bool copy_data(struct job *j, struct out *out, const struct cut_file *file, struct err *e)
{
    const struct cut_tensor *t = &j->c->tensors[file->first], *end = t + file->n;
    for (const struct cut_tensor *next; t < end; t = next) {
        const struct view_tensor *x = t->from;
        uint64_t n = t->bytes;
        next = t + 1;
        if (t->layer) {
            if (!prune_copy(out, j->c, t, &j->progress, &j->done, e))
                return err_ctx(e, "tensor '%s'", x->name);
            continue;
        }
        for (; next < end && n < (64u << 20); next++) {
            const struct view_tensor *y = next->from;
            if (next->layer || y->file != x->file || y->off != x->off + n)
                break;
            n += y->bytes;
        }
        if (!out_copy(out, view_fd(j->v, x), x->off, n, e))
            return err_ctx(e, "tensor '%s'", x->name);
        progress_set(&j->progress, j->done += n);
    }
    return true;
}

static bool write_file(struct job *j, uint32_t f, struct err *e)
{
    struct out *out = &j->outs[f];
    char *path = path_join(j->dir.part, j->files[f]);
    struct buf h = {0};
    put_header(&h, j, f);
    bool ok = out_open(out, path, false, e) && out_write(out, h.s, h.n, e);
    buf_clear(&h);
    free(path);
    ok = ok && copy_data(j, out, &j->c->files[f], e);
    if (ok)
        out_end(out);
    return ok;
}

/* All are written before the first is waited for: the disk goes on meanwhile. */
static bool write_weights(struct job *j, struct err *e)
{
    bool ok = true;
    uint32_t n = j->c->n_files;
    j->outs = xcalloc(n ? n : 1, sizeof *j->outs);
    for (uint32_t f = 0; f < n; f++)
        j->outs[f].fd = -1;
    for (uint32_t f = 0; ok && f < n; f++)
        ok = !j->files[f] || write_file(j, f, e);
    for (uint32_t f = 0; ok && f < n; f++)
        ok = !j->files[f] || out_commit(&j->outs[f], e);
    for (uint32_t f = 0; f < n; f++)
        out_abort(&j->outs[f]);
    free(j->outs);
    return ok;
}

static void put_index(struct buf *b, const struct job *j)
{
    const struct cut *c = j->c;
    struct hf_index_entry *map = xcalloc(c->n_tensors + 1, sizeof *map);
    for (uint64_t i = 0; i < c->n_tensors; i++)
        map[i] = (struct hf_index_entry){c->tensors[i].name, j->files[c->tensors[i].file]};
    hf_put_index(b, j->in->index_metadata, c->bytes, c->n_elements, map, c->n_tensors);
    free(map);
}

/* ---- the other files ---- */

static bool put_text(const struct job *j, const char *name, const struct buf *b, struct err *e)
{
    char *path = path_join(j->dir.part, name);
    bool ok = file_write_atomic(path, b->s ? b->s : "", b->n, false, e);
    free(path);
    return ok;
}

static const uint32_t *keep_of(void *ctx, int64_t layer)
{
    const struct cut *c = ctx;
    if (layer < 0) /* MTP blocks, in the files or not */
        layer = c->view->layers[c->view->n_layers - 1].il;
    return layer < c->view->n_blocks ? c->blocks[layer].keep : NULL;
}

/* The text of a JSON file as the cut changes it. */
static bool edit_text(const struct job *j, uint32_t file, struct buf *out, struct err *e)
{
    const struct cut *c = j->c;
    struct hf_edit_plan plan = {.n_experts = c->view->shape.n_experts,
                                .n_keep = c->n_keep,
                                .n_layers = c->view->n_blocks - c->view->n_mtp,
                                .keep = keep_of,
                                .ctx = (void *)c,
                                .drop_mtp = c->opts.drop_mtp};
    return hf_edit_config(&j->in->json[file].doc, &plan, file == HF_CONFIG, out, e);
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

/* The JSON files as they will be: they must be editable, and it is better to know that now than behind
 * gigabytes. */
static bool edit_json(struct job *j, struct err *e)
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
            return err_ctx(e, "%s", hf_files_at(i)->name) || err_ctx(e, "%s", j->v->path);
    }
    return true;
}

static bool write_json(const struct job *j, struct err *e)
{
    for (uint32_t i = 0; i < HF_N_JSON; i++)
        if (j->json[i].n && !put_text(j, hf_files_at(i)->name, &j->json[i], e))
            return err_ctx(e, "%s", hf_files_at(i)->name);
    return true;
}

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
static bool is_ours(const struct job *j, const char *name)
{
    const struct hf_checkpoint *c = j->in;
    for (uint32_t f = 0; f < c->n_files; f++)
        if (!strcmp(name, c->files[f].name))
            return true;
    for (uint32_t i = 0; i < HF_N_JSON; i++)
        if (c->json[i].text && !strcmp(name, hf_files_at(i)->name))
            return true;
    return !strcmp(name, HF_INDEX_NAME) || !strcmp(name, PRUNE_OURS) ||
           (!strcmp(name, HF_CARD_NAME) && !j->o->no_card);
}

static bool holds_weights(const char *dir, int depth, struct err *e)
{
    struct dir_entry *list;
    size_t n;
    if (depth > MAX_DEPTH || !dir_list(dir, &list, &n, e))
        return false;
    bool found = false;
    for (size_t i = 0; !found && i < n; i++) {
        char *path = path_join(dir, list[i].name);
        found = list[i].is_dir ? holds_weights(path, depth + 1, e) : is_weights(list[i].name);
        free(path);
    }
    dir_list_free(list, n);
    return found;
}

static bool copy_file(const char *from, const char *to, struct err *e)
{
    uint64_t size;
    struct out out = {.fd = -1};
    int fd = file_open_read(from, &size, e);
    bool ok =
        fd >= 0 && out_open(&out, to, false, e) && out_copy(&out, fd, 0, size, e) && out_commit(&out, e);
    out_abort(&out);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool copy_others(const struct job *j, const char *from, const char *to, int depth, struct err *e)
{
    struct dir_entry *list;
    size_t n;
    if (depth > MAX_DEPTH)
        return err_set(e, ERR_INPUT, "'%s' is nested more than %d folders deep", from, MAX_DEPTH);
    if (!dir_list(from, &list, &n, e))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        const char *name = list[i].name;
        char *a = path_join(from, name), *b = path_join(to, name);
        if ((depth == 0 && is_ours(j, name)) || file_same(a, j->dir.part) || file_same(a, j->dir.path)) {
            /* written by us, or the output inside of the input */
        } else if (list[i].is_dir && name[0] == '.') {
            /* .git, .cache: of the folder's history, not of the model */
        } else if (list[i].is_dir ? holds_weights(a, 0, e) : is_weights(name)) {
            log_note(
                "note: '%s' is not copied: %s weights that the checkpoint does not name, and that are not pruned",
                name, list[i].is_dir ? "it holds" : "it has to do with");
        } else if (list[i].is_dir) {
            ok = dir_make(b, e) && copy_others(j, a, b, depth + 1, e);
        } else {
            ok = copy_file(a, b, e);
        }
        free(a);
        free(b);
    }
    dir_list_free(list, n);
    return ok && e->code == ERR_NONE;
}

/* reap.json: where the folder comes from. */
static bool write_provenance(const struct job *j, struct err *e)
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
                                                          : "pruned with the plan of the last layer"));
    json_object_set_new(o, "plan", plan_json(j->c->plan));
    char *path = path_join(j->dir.part, PRUNE_OURS);
    bool ok = json_write(path, o, false, e);
    free(path);
    json_decref(o);
    return ok;
}

static bool write_card(const struct job *j, struct err *e)
{
    char *path = path_join(j->v->path, HF_CARD_NAME),
         *id = j->o->base_model ? xstrdup(j->o->base_model) : card_hub_id(j->v->path);
    struct buf old = {0}, b = {0};
    const struct plan *p = j->c->plan;
    json_t *plan = plan_json(p);
    struct card_facts f = {.n_experts = j->v->shape.n_experts,
                           .n_keep = j->c->n_keep,
                           .n_moe_layers = j->v->n_layers,
                           .source = j->v->name,
                           .base_id = id,
                           .bytes_before = j->v->bytes,
                           .bytes_after = j->c->bytes,
                           .calibration = p->n_origins ? p->origins[0].calibration : NULL,
                           .plan = plan,
                           .mtp = !j->v->n_mtp ? NULL
                                  : j->c->opts.drop_mtp
                                      ? "Its MTP layers were left out."
                                      : "Its MTP layers were pruned with the plan of the last layer."};
    bool ok = !file_exists(path) || file_read_all(path, MAX_README, &old, e);
    if (ok && !card_write(&b, old.s, &f))
        log_warn("the front matter of '%s' is written in a way that is not known, and is left as it is",
                 path);
    ok = ok && put_text(j, HF_CARD_NAME, &b, e);
    json_decref(plan);
    buf_clear(&old);
    buf_clear(&b);
    free(id);
    free(path);
    return ok;
}

/* ---- all of it ---- */

/* A header is made again when it is written: to hold those of all files would cost more than making them. */
static bool measure(struct job *j, struct err *e)
{
    struct buf h = {0};
    for (uint32_t f = 0; f < j->c->n_files; f++) {
        h.n = 0;
        if (j->files[f])
            put_header(&h, j, f);
        j->r->bytes_out += h.n;
    }
    buf_clear(&h);
    j->r->bytes_out += j->c->bytes;
    return edit_json(j, e);
}

static bool write_all(struct job *j, struct err *e)
{
    struct buf index = {0};
    bool ok = write_weights(j, e);
    if (ok && needs_index(j)) {
        put_index(&index, j);
        ok = put_text(j, HF_INDEX_NAME, &index, e);
        buf_clear(&index);
    }
    return ok && write_json(j, e) && copy_others(j, j->v->path, j->dir.part, 0, e) &&
           (j->o->no_card || write_card(j, e)) && (j->o->no_provenance || write_provenance(j, e)) &&
           out_dir_commit(&j->dir, e);
}

static bool check_output(const char *path, bool force, struct err *e)
{
    return out_dir_check(path, PRUNE_OURS, force, e);
}

static bool write_folder(struct job *j, struct err *e)
{
    double start = now_secs();
    progress_start(&j->progress, "pruning", "bytes", j->c->bytes, 0);
    bool ok = out_dir_open(&j->dir, j->r->files[0], PRUNE_OURS, j->o->force, e) && write_all(j, e);
    progress_end(&j->progress);
    out_dir_abort(&j->dir);
    j->r->secs = now_secs() - start;
    return ok;
}

static bool write_model(const struct cut *c, const struct prune_opts *o, struct prune_result *r,
                        struct err *e)
{
    struct job j = {.c = c, .v = c->view, .in = view_hf(c->view), .o = o, .r = r, .dir = {.fd = -1}};
    name_files(&j);
    bool ok = measure(&j, e) && view_check_output(j.v, r->files[0], e) &&
              check_output(r->files[0], o->force, e) && file_check_space(r->files[0], r->bytes_out, e) &&
              (o->dry_run || write_folder(&j, e));
    for (uint32_t f = 0; f < c->n_files; f++)
        free(j.files[f]);
    for (int i = 0; i < HF_N_JSON; i++)
        buf_clear(&j.json[i]);
    free(j.files);
    return ok;
}

/* ---- the row of the table ---- */

static bool check_opts(const struct view *v, const struct prune_opts *o, struct err *e)
{
    (void)v, (void)o, (void)e; /* they were made for this format */
    return true;
}

/* The folder; "dir/" is "dir". */
static char **file_names(const struct view *v, const char *out, bool merge, uint32_t *n)
{
    (void)v, (void)merge;
    size_t len = strlen(out);
    while (len > 1 && out[len - 1] == '/')
        len--;
    char **files = xcalloc(*n = 1, sizeof *files);
    files[0] = xstrndup(out, len);
    return files;
}

const struct prune_ops prune_hf_ops = {
    .check_opts = check_opts,
    .file_names = file_names,
    .check_output = check_output,
    .write = write_model,
    .verify = verify_hf,
};
