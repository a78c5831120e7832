/* prune.c - see prune.h: what both formats share. */
#include "prune/prune.h"
#include "base/mem.h"

#include <string.h>

/* Runs of neighbouring kept experts are one range of bytes each. */
bool prune_copy(struct out *out, const struct view *v, const struct plan *p, const struct view_tensor *x,
                struct progress *progress, uint64_t done, struct err *e)
{
    int fd = view_fd(v, x);
    if (x->axis < 0)
        return out_copy(out, fd, x->off, x->bytes, e);
    const uint32_t *keep = plan_keep(p, v, x);
    uint64_t slice = x->bytes / v->shape.n_experts;
    for (uint32_t a = 0, b; a < p->n_keep; a = b) {
        for (b = a + 1; b < p->n_keep && keep[b] == keep[b - 1] + 1;)
            b++;
        if (!out_copy(out, fd, x->off + keep[a] * slice, (b - a) * slice, e))
            return false;
        progress_set(progress, done + b * slice);
    }
    return true;
}

void prune_count(struct prune_result *r, const struct view_tensor *x, bool gone)
{
    ++*(gone ? &r->tensors_gone : x->axis >= 0 ? &r->tensors_cut : &r->tensors_kept);
}

bool prune_check_opts(const struct view *v, const struct prune_opts *o, struct err *e)
{
    if (v->gguf && (o->max_shard || o->count_aliases || o->no_card || o->base_model))
        return err_set(e, ERR_INPUT, "%s: --%s is for checkpoint folders, this is a GGUF file", v->path,
                       o->max_shard       ? "max-shard-size"
                       : o->count_aliases ? "add-count-aliases"
                       : o->no_card       ? "no-card"
                                          : "base-model");
    if (o->drop_mtp && !v->n_mtp)
        return err_set(e, ERR_INPUT, "%s: has no blocks that predict further tokens (MTP), nothing to drop",
                       v->path);
    if (o->merge && o->max_shard)
        return err_set(e, ERR_INPUT, "--merge and --max-shard-size exclude each other");
    return true;
}

char **prune_file_names(const struct view *v, const char *out, bool merge, uint32_t *n)
{
    uint32_t part, of;
    *n = merge ? 1 : v->gguf ? v->gguf->n_parts : 1;
    char **files = xcalloc(*n, sizeof *files);
    if (*n == 1) {
        size_t len = strlen(out);
        while (v->hf && len > 1 && out[len - 1] == '/')
            len--;
        files[0] = xstrndup(out, len);
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

bool prune_run(struct view *v, const struct plan *p, const struct prune_opts *o, struct prune_result *r,
               struct err *e)
{
    *r = (struct prune_result){0};
    r->files = prune_file_names(v, o->out, o->merge, &r->n_files);
    return prune_check_opts(v, o, e) && (v->gguf ? prune_gguf : prune_hf)(v, p, o, r, e);
}

void prune_result_clear(struct prune_result *r)
{
    for (uint32_t i = 0; i < r->n_files; i++)
        free(r->files[i]);
    free(r->files);
    *r = (struct prune_result){0};
}
