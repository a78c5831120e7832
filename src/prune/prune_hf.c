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
#include "hf/config.h"
#include "hf/index.h"
#include "model/view_hf.h"
#include "prune/card.h"
#include "prune/prune.h"

#include <string.h>
#include <unistd.h>

#define MAX_DEPTH  8
#define MAX_README (16u << 20)

struct tensor_out {
    uint64_t x;    /* index of the view's tensor */
    uint32_t file; /* index into the output files */
};

struct job {
    struct view *v;
    const struct hf_checkpoint *c;
    const struct plan *p;
    const struct prune_opts *o;
    struct prune_result *r;
    struct tensor_out *tensors; /* in the order of writing, file by file */
    uint64_t n_tensors;
    char **files; /* names */
    uint32_t n_files;
    uint64_t data_bytes, n_elements; /* of all tensors */
    struct out_dir dir;
    struct out *outs;           /* of the files */
    struct buf json[HF_N_JSON]; /* the edited texts; empty: there is no such file */
    struct progress progress;
    uint64_t done;
};

static const struct view_tensor *source(const struct job *j, uint64_t i)
{
    return &j->v->tensors[j->tensors[i].x];
}

static uint64_t elements(const struct job *j, const struct view_tensor *x)
{
    return x->axis < 0 ? x->n_elements : x->n_elements / j->v->shape.n_experts * j->p->n_keep;
}

/* ---- which tensor goes into which file ---- */

static void choose_tensors(struct job *j)
{
    j->tensors = xcalloc(j->v->n_tensors ? j->v->n_tensors : 1, sizeof *j->tensors);
    for (uint64_t i = 0; i < j->v->n_tensors; i++) {
        const struct view_tensor *x = &j->v->tensors[i];
        bool gone = (x->mtp && j->o->drop_mtp) || (x->expert >= 0 && plan_number(j->p, j->v, x) < 0);
        prune_count(j->r, x, gone);
        if (gone)
            continue;
        j->tensors[j->n_tensors++] = (struct tensor_out){i, x->file};
        j->data_bytes += plan_bytes(j->p, j->v, x);
        j->n_elements += elements(j, x);
    }
}

/* Files of at most max_shard bytes of data; a tensor is never divided. */
static void cut_shards(struct job *j)
{
    uint64_t in_file = 0;
    uint32_t file = 0;
    for (uint64_t i = 0; i < j->n_tensors; i++) {
        uint64_t n = plan_bytes(j->p, j->v, source(j, i));
        if (in_file && (n > j->o->max_shard || in_file > j->o->max_shard - n)) {
            file++;
            in_file = 0;
        }
        in_file += n;
        j->tensors[i].file = file;
    }
    j->n_files = file + 1;
}

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

/* Like the input's files, without those that hold nothing any more; then the others are counted anew, where
 * their names count. */
static void keep_shards(struct job *j)
{
    uint32_t n_in = j->v->n_files, *map = xcalloc(n_in, sizeof *map);
    bool *used = xcalloc(n_in, sizeof *used);
    for (uint64_t i = 0; i < j->n_tensors; i++)
        used[j->tensors[i].file] = true;
    for (uint32_t f = 0; f < n_in; f++)
        if (used[f])
            map[f] = j->n_files++;
    for (uint64_t i = 0; i < j->n_tensors; i++)
        j->tensors[i].file = map[j->tensors[i].file];
    j->files = xcalloc(j->n_files ? j->n_files : 1, sizeof *j->files);
    for (uint32_t f = 0; f < n_in; f++) {
        const char *name = j->c->files[f].name, *after;
        int before, digits, of_digits;
        if (!used[f])
            continue;
        if (j->n_files < n_in && shard_pattern(name, &before, &digits, &of_digits, &after))
            j->files[map[f]] = xasprintf("%.*s%0*u-of-%0*u%s", before, name, digits, map[f] + 1, of_digits,
                                         j->n_files, after);
        else
            j->files[map[f]] = xstrdup(name);
    }
    free(map);
    free(used);
}

static void choose_files(struct job *j)
{
    if (!j->o->merge && !j->o->max_shard) {
        keep_shards(j);
        return;
    }
    if (j->o->merge) {
        for (uint64_t i = 0; i < j->n_tensors; i++)
            j->tensors[i].file = 0;
        j->n_files = 1;
    } else {
        cut_shards(j);
    }
    j->files = xcalloc(j->n_files, sizeof *j->files);
    for (uint32_t f = 0; f < j->n_files; f++)
        j->files[f] = j->n_files == 1 ? xstrdup(HF_WEIGHTS_NAME)
                                      : xasprintf("model-%05u-of-%05u.safetensors", f + 1, j->n_files);
}

static bool needs_index(const struct job *j)
{
    return j->n_files > 1 || strcmp(j->files[0], HF_WEIGHTS_NAME) != 0 || (j->c->has_index && !j->o->merge);
}

/* ---- the weights ---- */

/* The headers' entries of tensors [first, end); names and all in one block each, freed by the caller. */
static struct hf_tensor *entries(const struct job *j, uint64_t first, uint64_t end, struct buf *names)
{
    struct hf_tensor *t = xcalloc(end > first ? end - first : 1, sizeof *t);
    for (uint64_t i = first; i < end; i++) {
        const struct view_tensor *x = source(j, i);
        struct hf_tensor *y = &t[i - first];
        *y = j->c->tensors[j->tensors[i].x];
        for (uint32_t d = 0; d < x->n_dims; d++)
            y->dims[d] = plan_dim(j->v, x, d, j->p->n_keep);
        y->bytes = plan_bytes(j->p, j->v, x);
        plan_name(j->p, j->v, x, names);
        buf_char(names, 0);
    }
    const char *name = names->s; /* now that the text does not move any more */
    for (uint64_t i = 0; i < end - first; i++) {
        t[i].name = name;
        name += strlen(name) + 1;
    }
    return t;
}

static void put_header(struct buf *b, const struct job *j, uint64_t first, uint64_t end)
{
    struct buf names = {0};
    struct hf_tensor *t = entries(j, first, end, &names);
    const struct hf_tensor **list = xcalloc(end > first ? end - first : 1, sizeof *list);
    for (uint64_t i = 0; i < end - first; i++)
        list[i] = &t[i];
    uint32_t from = end > first ? source(j, first)->file : 0;
    st_put_header(b, list, end - first, j->c->files[from].metadata);
    free(list);
    free(t);
    buf_clear(&names);
}

/* Neighbours that stay whole are one range of bytes. */
static bool copy_data(struct job *j, struct out *out, uint64_t first, uint64_t end, struct err *e)
{
    for (uint64_t i = first, k; i < end; i = k) {
        const struct view_tensor *x = source(j, i);
        uint64_t n = x->bytes;
        k = i + 1;
        if (x->axis >= 0) {
            if (!prune_copy(out, j->v, j->p, x, &j->progress, j->done, e))
                return err_ctx(e, "tensor '%s'", x->name);
            n = plan_bytes(j->p, j->v, x);
        } else {
            for (; k < end && n < (64u << 20); k++) {
                const struct view_tensor *y = source(j, k);
                if (y->axis >= 0 || y->file != x->file || y->off != x->off + n)
                    break;
                n += y->bytes;
            }
            if (!out_copy(out, view_fd(j->v, x), x->off, n, e))
                return err_ctx(e, "tensor '%s'", x->name);
        }
        progress_set(&j->progress, j->done += n);
    }
    return true;
}

static uint64_t end_of_file(const struct job *j, uint64_t first)
{
    uint64_t end = first;
    while (end < j->n_tensors && j->tensors[end].file == j->tensors[first].file)
        end++;
    return end;
}

static bool write_file(struct job *j, uint64_t first, uint64_t end, struct err *e)
{
    uint32_t f = j->tensors[first].file;
    struct out *out = &j->outs[f];
    char *path = path_join(j->dir.part, j->files[f]);
    struct buf h = {0};
    put_header(&h, j, first, end);
    bool ok = out_open(out, path, false, e) && out_write(out, h.s, h.n, e);
    buf_clear(&h);
    free(path);
    ok = ok && copy_data(j, out, first, end, e);
    if (ok)
        out_end(out);
    return ok;
}

/* All are written before the first is waited for: the disk goes on meanwhile. */
static bool write_weights(struct job *j, struct err *e)
{
    bool ok = true;
    j->outs = xcalloc(j->n_files ? j->n_files : 1, sizeof *j->outs);
    for (uint32_t f = 0; f < j->n_files; f++)
        j->outs[f].fd = -1;
    for (uint64_t first = 0, end; ok && first < j->n_tensors; first = end) {
        end = end_of_file(j, first);
        ok = write_file(j, first, end, e);
    }
    for (uint32_t f = 0; ok && f < j->n_files; f++)
        ok = out_commit(&j->outs[f], e);
    for (uint32_t f = 0; f < j->n_files; f++)
        out_abort(&j->outs[f]);
    free(j->outs);
    return ok;
}

static void put_index(struct buf *b, const struct job *j)
{
    struct buf names = {0};
    struct hf_index_entry *map = xcalloc(j->n_tensors + 1, sizeof *map);
    for (uint64_t i = 0; i < j->n_tensors; i++) {
        plan_name(j->p, j->v, source(j, i), &names);
        buf_char(&names, 0);
    }
    const char *name = names.s;
    for (uint64_t i = 0; i < j->n_tensors; i++) {
        map[i] = (struct hf_index_entry){name, j->files[j->tensors[i].file]};
        name += strlen(name) + 1;
    }
    hf_put_index(b, j->c->index_metadata, j->data_bytes, j->n_elements, map, j->n_tensors);
    free(map);
    buf_clear(&names);
}

/* ---- the other files ---- */

static bool put_text(const struct job *j, const char *name, const struct buf *b, struct err *e)
{
    char *path = path_join(j->dir.part, name);
    bool ok = file_write_atomic(path, b->s ? b->s : "", b->n, false, e);
    free(path);
    return ok;
}

struct pruning {
    const struct view *v;
    const struct plan *p;
};

static const uint32_t *keep_of(void *ctx, int64_t layer)
{
    const struct pruning *x = ctx;
    int i = layer < 0           ? (int)x->v->n_layers - 1
            : layer > INT32_MAX ? -1
                                : view_plan_layer(x->v, (int32_t)layer);
    return i < 0 ? NULL : x->p->layers[i].keep;
}

bool prune_edit_json(const struct view *v, const struct plan *p, const struct hf_json *json, bool config,
                     bool drop_mtp, struct buf *out, struct err *e)
{
    struct pruning x = {v, p};
    struct hf_edit_plan plan = {.n_experts = v->shape.n_experts,
                                .n_keep = p->n_keep,
                                .n_layers = v->n_blocks - v->n_mtp,
                                .keep = keep_of,
                                .ctx = &x,
                                .drop_mtp = drop_mtp};
    return hf_edit_config(&json->doc, &plan, config, out, e);
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
    const struct hf_checkpoint *c = j->c;
    for (uint32_t i = 0; i < HF_N_JSON; i++) {
        bool config = i == HF_CONFIG;
        struct buf plain = {0}, *to = config && j->o->count_aliases ? &plain : &j->json[i];
        bool ok = !c->json[i].text || prune_edit_json(j->v, j->p, &c->json[i], config, j->o->drop_mtp, to, e);
        if (ok && to == &plain)
            ok = add_count_aliases(&plain, j->p->n_keep, &j->json[i], e);
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
    const struct hf_checkpoint *c = j->c;
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
    sha256_bytes(j->c->json[HF_CONFIG].text, j->c->json[HF_CONFIG].n, hex);
    json_object_set_new(s, "config_sha256", json_string(hex));
    json_object_set_new(s, "bytes", json_integer((json_int_t)j->v->bytes));
    json_object_set_new(o, "schema", json_string("reap.provenance/1"));
    json_object_set_new(o, "version", json_string(REAP_VERSION));
    json_object_set_new(o, "source", s);
    json_object_set_new(o, "n_keep", json_integer(j->p->n_keep));
    json_object_set_new(o, "bytes", json_integer((json_int_t)j->data_bytes));
    json_object_set_new(o, "mtp",
                        json_string(!j->v->n_mtp     ? "none"
                                    : j->o->drop_mtp ? "dropped"
                                                     : "pruned with the plan of the last layer"));
    json_object_set(o, "plan", j->p->doc);
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
    json_t *source = json_array_get(json_object_get(j->p->doc, "sources"), 0);
    struct card_facts f = {.n_experts = j->v->shape.n_experts,
                           .n_keep = j->p->n_keep,
                           .n_moe_layers = j->v->n_layers,
                           .source = j->v->name,
                           .base_id = id,
                           .bytes_before = j->v->bytes,
                           .bytes_after = j->data_bytes,
                           .calibration = json_object_get(source, "calibration"),
                           .plan = j->p->doc,
                           .mtp = !j->v->n_mtp ? NULL
                                  : j->o->drop_mtp
                                      ? "Its MTP layers were left out."
                                      : "Its MTP layers were pruned with the plan of the last layer."};
    bool ok = !file_exists(path) || file_read_all(path, MAX_README, &old, e);
    if (ok && !card_write(&b, old.s, &f))
        log_warn("the front matter of '%s' is written in a way that is not known, and is left as it is",
                 path);
    ok = ok && put_text(j, HF_CARD_NAME, &b, e);
    buf_clear(&old);
    buf_clear(&b);
    free(id);
    free(path);
    return ok;
}

/* ---- all of it ---- */

static bool measure(struct job *j, struct err *e)
{
    for (uint32_t f = 0; f < j->v->n_files; f++)
        j->r->bytes_in += j->v->files[f].size;
    for (uint64_t first = 0, end; first < j->n_tensors; first = end) {
        struct buf h = {0};
        end = end_of_file(j, first);
        put_header(&h, j, first, end);
        j->r->bytes_out += h.n;
        buf_clear(&h);
    }
    j->r->bytes_out += j->data_bytes;
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

static bool write_model(struct view *v, const struct plan *p, const struct prune_opts *o,
                        struct prune_result *r, struct err *e)
{
    struct job j = {.v = v, .c = view_hf(v), .p = p, .o = o, .r = r, .dir = {.fd = -1}};
    choose_tensors(&j);
    choose_files(&j);
    bool ok = measure(&j, e) && view_check_output(v, r->files[0], e) &&
              check_output(r->files[0], o->force, e) && file_check_space(r->files[0], r->bytes_out, e);
    if (ok && !o->dry_run) {
        double start = now_secs();
        progress_start(&j.progress, "pruning", "bytes", j.data_bytes, 0);
        ok = out_dir_open(&j.dir, r->files[0], PRUNE_OURS, o->force, e) && write_all(&j, e);
        progress_end(&j.progress);
        out_dir_abort(&j.dir);
        r->secs = now_secs() - start;
    }
    for (uint32_t f = 0; f < j.n_files; f++)
        free(j.files[f]);
    for (uint32_t i = 0; i < HF_N_JSON; i++)
        buf_clear(&j.json[i]);
    free(j.files);
    free(j.tensors);
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
