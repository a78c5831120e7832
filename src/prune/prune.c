/* prune.c - see prune.h. The layout of a GGUF file is described in docs/formats.md. */
#include "prune/prune.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

struct job {
    struct view *v;
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
    const struct gg_part *g = &j->v->file->parts[i];
    *first = j->n_parts == 1 ? 0 : g->first_tensor;
    *end = j->n_parts == 1 ? j->v->n_tensors : g->first_tensor + g->n_tensors;
}

static uint64_t alignment(const struct job *j, uint32_t i)
{
    return j->v->file->parts[i].alignment;
}

static uint64_t bytes_out(const struct job *j, const struct view_tensor *x)
{
    return x->axis < 0 ? x->t->bytes : x->t->bytes / j->v->shape.n_experts * j->p->n_keep;
}

/* The ids that stay in a block: its own, or for an MTP block those of the last trunk layer. */
static const uint32_t *keep_of(const struct job *j, int32_t il)
{
    return j->p->layers[view_plan_layer(j->v, il)].keep;
}

/* ---- the header ---- */

static bool is_key(const struct gg_key *k, const char *name)
{
    return !strcmp(k->name, name);
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

/* Keys of output file i: as they were, but the expert count, the provenance of an earlier pruning, and the
 * split keys of a merge. */
static bool put_keys(struct buf *b, const struct job *j, uint32_t i, uint64_t *n, struct err *e)
{
    const struct gg_part *g = &j->v->file->parts[i];
    char count[160];
    snprintf(count, sizeof count, "%s.expert_count", j->v->family->arch);
    *n = 0;
    for (uint64_t k = 0; k < g->n_keys; k++) {
        const struct gg_key *x = &g->keys[k];
        if (!strncmp(x->name, "reap.", 5) && !j->o->no_provenance)
            continue;
        if (j->n_parts == 1 && j->v->file->n_parts > 1 && !strncmp(x->name, "split.", 6))
            continue;
        ++*n;
        if (is_key(x, count))
            gg_put_uint(b, x, j->p->n_keep, e);
        else
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
    gg_put_start(b, j->v->file->parts[i].version, end - first, n_keys);
    buf_add(b, keys.s, keys.n);
    buf_clear(&keys);
    for (uint64_t t = first; t < end; t++) {
        const struct view_tensor *x = &j->v->tensors[t];
        uint64_t ne[4];
        memcpy(ne, x->t->ne, sizeof ne);
        if (x->axis >= 0)
            ne[x->axis] = j->p->n_keep;
        gg_put_tensor(b, x->t->name, x->t->n_dims, ne, x->t->type, off);
        off += gg_align(bytes_out(j, x), align);
    }
    gg_pad(b, align);
    return ok;
}

/* ---- the data ---- */

/* Runs of neighbouring kept experts are one range of bytes each. */
static bool copy_kept(struct job *j, struct out *out, int fd, const struct view_tensor *x, struct err *e)
{
    const uint32_t *keep = keep_of(j, x->layer);
    uint64_t slice = x->t->bytes / j->v->shape.n_experts;
    for (uint32_t a = 0, b; a < j->p->n_keep; a = b) {
        for (b = a + 1; b < j->p->n_keep && keep[b] == keep[b - 1] + 1;)
            b++;
        if (!out_copy(out, fd, x->t->off + keep[a] * slice, (b - a) * slice, e))
            return false;
        progress_set(&j->progress, j->done + (b * slice));
    }
    return true;
}

static bool copy_data(struct job *j, uint32_t i, struct err *e)
{
    struct out *out = &j->outs[i];
    uint64_t first, end, align = alignment(j, i);
    part_range(j, i, &first, &end);
    for (uint64_t t = first; t < end; t++) {
        const struct view_tensor *x = &j->v->tensors[t];
        int fd = j->v->file->parts[x->t->part].fd;
        uint64_t n = bytes_out(j, x);
        if (!(x->axis < 0 ? out_copy(out, fd, x->t->off, n, e) : copy_kept(j, out, fd, x, e)) ||
            !out_zero(out, gg_align(n, align) - n, e))
            return err_ctx(e, "tensor '%s'", x->t->name);
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

char **prune_file_names(const struct view *v, const char *out, bool merge, uint32_t *n)
{
    uint32_t part, of;
    *n = merge ? 1 : v->file->n_parts;
    char **files = xcalloc(*n, sizeof *files);
    if (*n == 1) {
        files[0] = xstrdup(out);
        return files;
    }
    /* OUT-00001-of-00003.gguf or OUT.gguf or OUT: the engine wants the pattern */
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

static bool check_outputs(const struct job *j, const struct prune_result *r, struct err *e)
{
    for (uint32_t i = 0; i < r->n_files; i++)
        if (!view_check_output(j->v, r->files[i], e) || !file_check_output(r->files[i], j->o->force, e))
            return false;
    return file_check_space(r->files[0], r->bytes_out, e);
}

static bool measure(struct job *j, struct prune_result *r, struct err *e)
{
    for (uint32_t i = 0; i < j->v->file->n_parts; i++)
        r->bytes_in += j->v->file->parts[i].size;
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
            r->bytes_out += gg_align(bytes_out(j, x), alignment(j, i));
            *(x->axis < 0 ? &r->tensors_kept : &r->tensors_cut) += 1;
        }
    }
    return true;
}

bool prune_run(struct view *v, const struct plan *p, const struct prune_opts *o, struct prune_result *r,
               struct err *e)
{
    struct job j = {.v = v, .p = p, .o = o, .n_parts = o->merge ? 1 : v->file->n_parts};
    *r = (struct prune_result){0};
    r->files = prune_file_names(v, o->out, o->merge, &r->n_files);
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

void prune_result_clear(struct prune_result *r)
{
    for (uint32_t i = 0; i < r->n_files; i++)
        free(r->files[i]);
    free(r->files);
    *r = (struct prune_result){0};
}
