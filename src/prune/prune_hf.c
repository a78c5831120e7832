/* prune_hf.c - writing pruned checkpoint folders (see prune.h): the weights, and the order of it all.
 *
 * The folder is filled under another name and appears complete. Tensors keep the order of the input's bytes,
 * so that what was aligned stays so where it can. What lies beside the weights: prune_hf_files.c. */
#include "base/mem.h"
#include "hf/files.h"
#include "hf/index.h"
#include "model/view_hf.h"
#include "prune/prune_hf_part.h"

#include <string.h>

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
static char *name_like(const struct hf_job *j, uint32_t f, uint32_t number)
{
    const char *name = j->in->files[f].name, *after;
    int before, digits, of_digits;
    if (j->n_files < j->c->n_files && shard_pattern(name, &before, &digits, &of_digits, &after))
        return xasprintf("%.*s%0*u-of-%0*u%s", before, name, digits, number, of_digits, j->n_files, after);
    return xstrdup(name);
}

/* "model-00001-of-00003.safetensors" */
static char *shard_name(const struct hf_job *j, uint32_t number)
{
    const char *one = j->in->layout->weights;
    return xasprintf("%.*s-%05u-of-%05u.safetensors", (int)strcspn(one, "."), one, number, j->n_files);
}

static void name_files(struct hf_job *j)
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
                      : j->n_files == 1 ? xstrdup(j->in->layout->weights)
                                        : shard_name(j, number);
    }
}

static bool needs_index(const struct hf_job *j)
{
    if (j->n_files != 1 || (j->in->has_index && !j->c->opts.merge))
        return true;
    const struct cut_tensor *only = &j->c->tensors[0];
    return strcmp(j->files[only->file], j->in->layout->weights) != 0;
}

/* ---- the weights ---- */

static void put_header(struct buf *b, const struct hf_job *j, uint32_t f)
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

static bool write_file(struct hf_job *j, uint32_t f, struct err *e)
{
    struct out *out = &j->outs[f];
    char *path = path_join(j->dir.part, j->files[f]);
    struct buf h = {0};
    put_header(&h, j, f);
    bool ok = out_open(out, path, false, e) && out_write(out, h.s, h.n, e);
    buf_clear(&h);
    free(path);
    ok = ok && prune_copy(out, j->c, &j->c->files[f], 1, &j->progress, &j->done, e);
    if (ok)
        out_end(out);
    return ok;
}

/* Each is waited for when the next OPEN_FILES were written: the disk goes on meanwhile. */
#define OPEN_FILES 64

static bool commit_file(struct hf_job *j, uint32_t f, struct err *e)
{
    return !j->files[f] || out_commit(&j->outs[f], e);
}

static bool write_weights(struct hf_job *j, struct err *e)
{
    bool ok = true;
    uint32_t n = j->c->n_files;
    j->outs = xcalloc(n ? n : 1, sizeof *j->outs);
    for (uint32_t f = 0; f < n; f++)
        j->outs[f].fd = -1;
    for (uint32_t f = 0; ok && f < n; f++)
        ok = (!j->files[f] || write_file(j, f, e)) && (f < OPEN_FILES || commit_file(j, f - OPEN_FILES, e));
    for (uint32_t f = n < OPEN_FILES ? 0 : n - OPEN_FILES; ok && f < n; f++)
        ok = commit_file(j, f, e);
    for (uint32_t f = 0; f < n; f++)
        out_abort(&j->outs[f]);
    free(j->outs);
    return ok;
}

static void put_index(struct buf *b, const struct hf_job *j)
{
    const struct cut *c = j->c;
    struct hf_index_entry *map = xcalloc(c->n_tensors + 1, sizeof *map);
    for (uint64_t i = 0; i < c->n_tensors; i++)
        map[i] = (struct hf_index_entry){c->tensors[i].name, j->files[c->tensors[i].file]};
    hf_put_index(b, j->in->index_metadata, c->bytes, c->n_elements, map, c->n_tensors);
    free(map);
}

/* ---- all of it ---- */

/* A header is made again when it is written: to hold those of all files would cost more than making them. */
static bool measure(struct hf_job *j, struct err *e)
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
    return prune_hf_edit_json(j, e);
}

static bool write_all(struct hf_job *j, struct err *e)
{
    struct buf index = {0};
    bool ok = write_weights(j, e);
    if (ok && needs_index(j)) {
        put_index(&index, j);
        ok = prune_hf_put_text(j, j->in->layout->index, &index, e);
        buf_clear(&index);
    }
    return ok && prune_hf_put_others(j, e) && out_dir_commit(&j->dir, e);
}

static bool check_output(const char *path, bool force, struct err *e)
{
    return out_dir_check(path, PRUNE_OURS, force, e);
}

static bool write_folder(struct hf_job *j, struct err *e)
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
    struct hf_job j = {.c = c, .v = c->view, .in = view_hf(c->view), .o = o, .r = r, .dir = {.fd = -1}};
    name_files(&j);
    bool ok = measure(&j, e) && view_check_output(j.v, r->files[0], e) &&
              check_output(r->files[0], o->force, e) && prune_check_space(o, r, e) &&
              (o->dry_run || write_folder(&j, e));
    for (uint32_t f = 0; f < c->n_files; f++)
        free(j.files[f]);
    for (int i = 0; i < HF_N_JSON; i++)
        buf_clear(&j.json[i]);
    free(j.files);
    folder_bounds_clear(&j.bounds);
    buf_clear(&j.outside);
    return ok;
}

/* ---- the row of the table ---- */

static bool check_opts(const struct view *v, const struct prune_opts *o, struct err *e)
{
    size_t n = o->out ? strlen(o->out) : 0;
    if (o->keep_mtp)
        return err_set(
            e, ERR_INPUT,
            "%s: a checkpoint's config.json has one count of experts for all layers, so its MTP layers cannot "
            "keep more than the others: --mtp prune or drop (of a GGUF file they can be kept)",
            v->path);
    return n < 5 || strcmp(o->out + n - 5, ".gguf") != 0 ||
           err_set(
               e, ERR_INPUT,
               "'%s' is named like a file, and %s is a checkpoint, of which a folder comes: give a name without "
               ".gguf (reap convert makes a file of the folder then)",
               o->out, v->path);
}

/* The folder; "dir/" is "dir". */
static char **file_names(const struct view *v, const char *out, const struct prune_opts *o, uint32_t *n)
{
    (void)v, (void)o;
    size_t len = strlen(out);
    while (len > 1 && out[len - 1] == '/')
        len--;
    char **files = xcalloc(*n = 1, sizeof *files);
    files[0] = xstrndup(out, len);
    return files;
}

/* It stands in the card, which is kept. */
static char *license(const struct view *v)
{
    (void)v;
    return NULL;
}

const struct prune_ops prune_hf_ops = {
    .license = license,
    .check_opts = check_opts,
    .file_names = file_names,
    .check_output = check_output,
    .write = write_model,
    .verify = verify_hf,
};
