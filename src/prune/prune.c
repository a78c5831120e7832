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
    if (!v->format->prune->check_opts(v, o, e))
        return false;
    if (o->drop_mtp && !v->n_mtp)
        return err_set(e, ERR_INPUT, "%s: has no blocks that predict further tokens (MTP), nothing to drop",
                       v->path);
    if (o->merge && o->max_shard)
        return err_set(e, ERR_INPUT, "--merge and --max-shard-size exclude each other");
    return true;
}

char **prune_file_names(const struct view *v, const char *out, bool merge, uint32_t *n)
{
    return v->format->prune->file_names(v, out, merge, n);
}

bool prune_run(struct view *v, const struct plan *p, const struct prune_opts *o, struct prune_result *r,
               struct err *e)
{
    *r = (struct prune_result){0};
    r->files = prune_file_names(v, o->out, o->merge, &r->n_files);
    return prune_check_opts(v, o, e) && v->format->prune->write(v, p, o, r, e);
}

void prune_result_clear(struct prune_result *r)
{
    for (uint32_t i = 0; i < r->n_files; i++)
        free(r->files[i]);
    free(r->files);
    *r = (struct prune_result){0};
}
