/* prune_gguf.c - writing pruned GGUF files (see prune.h). Their layout is described in docs/formats.md. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/view_gguf.h"
#include "prune/prune.h"

#include <string.h>

struct job {
    struct view *v;
    const struct gg_file *f;
    const struct plan *p;
    const struct prune_opts *o;
    uint32_t n_parts; /* files to write */
    struct out *outs;
    struct progress progress;
    uint64_t done;
};

/* The tensors and keys of output file i: [first, end) of the view's tensors. */
static void part_range(const struct job *j, uint32_t i, uint64_t *first, uint64_t *end)
{
    const struct gg_part *g = &j->f->parts[i];
    *first = j->n_parts == 1 ? 0 : g->first_tensor;
    *end = j->n_parts == 1 ? j->v->n_tensors : g->first_tensor + g->n_tensors;
}

static uint64_t alignment(const struct job *j, uint32_t i)
{
    return j->f->parts[i].alignment;
}

static bool gone(const struct job *j, const struct view_tensor *x)
{
    return x->mtp && j->o->drop_mtp;
}

static uint64_t tensors_out(const struct job *j, uint64_t first, uint64_t end)
{
    uint64_t n = 0;
    for (uint64_t t = first; t < end; t++)
        n += !gone(j, &j->v->tensors[t]);
    return n;
}

/* ---- the header ---- */

static bool is_key(const struct gg_key *k, const char *suffix, size_t arch_len)
{
    return !strcmp(k->name + arch_len + 1, suffix);
}

static void provenance(struct buf *b, const struct job *j, uint64_t *n)
{
    const char *criterion = json_string_value(json_object_get(j->p->doc, "criterion"));
    json_t *keep = json_object_get(j->p->doc, "keep");
    char *s = json_dumps(keep, JSON_COMPACT);
    gg_put_str(b, "reap.version", REAP_VERSION);
    gg_put_str(b, "reap.source.name", j->v->name);
    gg_put_u32(b, "reap.source.expert_count", j->v->shape.n_experts);
    *n += 4;
    if (j->v->router_hash[0]) {
        gg_put_str(b, "reap.source.router_hash", j->v->router_hash);
        ++*n;
    }
    if (criterion) {
        gg_put_str(b, "reap.criterion", criterion);
        ++*n;
    }
    gg_put_str(b, "reap.keep", s ? s : "{}");
    free(s);
}

/* Without the MTP blocks: fewer blocks, lists with a value per block are shorter, none predict. */
static bool put_without_mtp(struct buf *b, const struct job *j, const struct gg_key *k, struct err *e)
{
    uint32_t n = j->v->n_blocks - j->v->n_mtp;
    size_t arch = strlen(j->v->family->arch);
    if (!strcmp(k->name, "split.tensors.count"))
        gg_put_uint(b, k, tensors_out(j, 0, j->v->n_tensors), e);
    else if (strncmp(k->name, j->v->family->arch, arch) != 0 || k->name[arch] != '.')
        return false;
    else if (is_key(k, "block_count", arch))
        gg_put_uint(b, k, n, e);
    else if (is_key(k, "nextn_predict_layers", arch))
        gg_put_uint(b, k, 0, e);
    else if (k->kind == GG_ARR && k->n == j->v->n_blocks)
        gg_put_first(b, k, n, e);
    else
        return false;
    return true;
}

/* Keys of output file i: as they were, but the expert count, the provenance of an earlier pruning, and the
 * split keys of a merge. */
static bool put_keys(struct buf *b, const struct job *j, uint32_t i, uint64_t *n, struct err *e)
{
    const struct gg_part *g = &j->f->parts[i];
    char count[160];
    snprintf(count, sizeof count, "%s.expert_count", j->v->family->arch);
    *n = 0;
    for (uint64_t k = 0; k < g->n_keys; k++) {
        const struct gg_key *x = &g->keys[k];
        if (!strncmp(x->name, "reap.", 5) && !j->o->no_provenance)
            continue;
        if (j->n_parts == 1 && j->f->n_parts > 1 && !strncmp(x->name, "split.", 6))
            continue;
        ++*n;
        if (!strcmp(x->name, count))
            gg_put_uint(b, x, j->p->n_keep, e);
        else if (!j->o->drop_mtp || !put_without_mtp(b, j, x, e))
            gg_put_raw(b, x);
    }
    if (i == 0 && !j->o->no_provenance)
        provenance(b, j, n);
    return e->code == ERR_NONE;
}

static bool put_header(struct buf *b, const struct job *j, uint32_t i, struct err *e)
{
    uint64_t first, end, n_keys, off = 0, align = alignment(j, i);
    struct buf keys = {0};
    part_range(j, i, &first, &end);
    bool ok = put_keys(&keys, j, i, &n_keys, e);
    gg_put_start(b, j->f->parts[i].version, tensors_out(j, first, end), n_keys);
    buf_add(b, keys.s, keys.n);
    buf_clear(&keys);
    for (uint64_t t = first; t < end; t++) {
        const struct view_tensor *x = &j->v->tensors[t];
        uint64_t ne[4];
        if (gone(j, x))
            continue;
        for (uint32_t d = 0; d < 4; d++)
            ne[d] = plan_dim(j->v, x, d, j->p->n_keep);
        gg_put_tensor(b, x->name, x->n_dims, ne, j->f->tensors[t].type, off);
        off += gg_align(plan_bytes(j->p, j->v, x), align);
    }
    gg_pad(b, align);
    return ok;
}

/* ---- the data ---- */

static bool copy_data(struct job *j, uint32_t i, struct err *e)
{
    struct out *out = &j->outs[i];
    uint64_t first, end, align = alignment(j, i);
    part_range(j, i, &first, &end);
    for (uint64_t t = first; t < end; t++) {
        const struct view_tensor *x = &j->v->tensors[t];
        uint64_t n = plan_bytes(j->p, j->v, x);
        if (gone(j, x))
            continue;
        if (!prune_copy(out, j->v, j->p, x, &j->progress, j->done, e) ||
            !out_zero(out, gg_align(n, align) - n, e))
            return err_ctx(e, "tensor '%s'", x->name);
        progress_set(&j->progress, j->done += n);
    }
    return true;
}

static bool write_part(struct job *j, uint32_t i, const char *path, struct err *e)
{
    struct buf h = {0};
    bool ok = put_header(&h, j, i, e) && out_open(&j->outs[i], path, j->o->force, e) &&
              out_write(&j->outs[i], h.s, h.n, e) && copy_data(j, i, e) && out_sync(&j->outs[i], e);
    buf_clear(&h);
    return ok;
}

/* ---- all of it ---- */

static bool check_outputs(const struct job *j, const struct prune_result *r, struct err *e)
{
    for (uint32_t i = 0; i < r->n_files; i++)
        if (!view_check_output(j->v, r->files[i], e) || !file_check_output(r->files[i], j->o->force, e))
            return false;
    return file_check_space(r->files[0], r->bytes_out, e);
}

static bool measure(struct job *j, struct prune_result *r, struct err *e)
{
    for (uint32_t i = 0; i < j->f->n_parts; i++)
        r->bytes_in += j->f->parts[i].size;
    for (uint32_t i = 0; i < j->n_parts; i++) {
        struct buf h = {0};
        uint64_t first, end;
        bool ok = put_header(&h, j, i, e);
        r->bytes_out += h.n;
        buf_clear(&h);
        if (!ok)
            return false;
        part_range(j, i, &first, &end);
        for (uint64_t t = first; t < end; t++) {
            const struct view_tensor *x = &j->v->tensors[t];
            prune_count(r, x, gone(j, x));
            if (!gone(j, x))
                r->bytes_out += gg_align(plan_bytes(j->p, j->v, x), alignment(j, i));
        }
    }
    return true;
}

static bool write_model(struct view *v, const struct plan *p, const struct prune_opts *o,
                        struct prune_result *r, struct err *e)
{
    const struct gg_file *f = view_gguf(v);
    struct job j = {.v = v, .f = f, .p = p, .o = o, .n_parts = o->merge ? 1 : f->n_parts};
    if (!measure(&j, r, e))
        return false;
    if (!check_outputs(&j, r, e))
        return false;
    if (o->dry_run)
        return true;
    double start = now_secs();
    j.outs = xcalloc(j.n_parts, sizeof *j.outs);
    for (uint32_t i = 0; i < j.n_parts; i++)
        j.outs[i].fd = -1;
    progress_start(&j.progress, "pruning", "bytes", r->bytes_out, 0);
    bool ok = true;
    for (uint32_t i = 0; ok && i < j.n_parts; i++)
        ok = write_part(&j, i, r->files[i], e);
    progress_end(&j.progress);
    for (uint32_t i = 0; ok && i < j.n_parts; i++)
        ok = out_commit(&j.outs[i], e);
    for (uint32_t i = 0; i < j.n_parts; i++)
        out_abort(&j.outs[i]);
    free(j.outs);
    r->secs = now_secs() - start;
    return ok;
}

/* ---- the row of the table ---- */

static bool check_opts(const struct view *v, const struct prune_opts *o, struct err *e)
{
    const char *option = o->max_shard       ? "max-shard-size"
                         : o->count_aliases ? "add-count-aliases"
                         : o->no_card       ? "no-card"
                         : o->base_model    ? "base-model"
                                            : NULL;
    return !option ||
           err_set(e, ERR_INPUT, "%s: --%s is for checkpoint folders, this is a GGUF file", v->path, option);
}

/* OUT-00001-of-00003.gguf or OUT.gguf or OUT: the engine wants the pattern. */
static char **file_names(const struct view *v, const char *out, bool merge, uint32_t *n)
{
    uint32_t part, of;
    *n = merge ? 1 : v->n_files;
    char **files = xcalloc(*n, sizeof *files);
    if (*n == 1) {
        files[0] = xstrdup(out);
        return files;
    }
    char *prefix = gg_split_prefix(out, &part, &of);
    if (!prefix) {
        size_t len = strlen(out);
        prefix = xstrndup(out, len > 5 && !strcmp(out + len - 5, ".gguf") ? len - 5 : len);
    }
    for (uint32_t i = 0; i < *n; i++)
        files[i] = gg_split_path(prefix, i, *n);
    free(prefix);
    return files;
}

const struct prune_ops prune_gguf_ops = {
    .check_opts = check_opts,
    .file_names = file_names,
    .check_output = file_check_output,
    .write = write_model,
    .verify = verify_gguf,
};
