/* prune.c - see prune.h: what both formats share. */
#include "prune/prune.h"
#include "base/mem.h"
#include "base/out.h"
#include "model/naming.h"

bool prune_copy(struct out *out, const struct cut *c, const struct cut_tensor *t, struct progress *progress,
                uint64_t *done, struct err *e)
{
    if (t->values) {
        progress_set(progress, *done += t->bytes);
        return out_write(out, t->values, t->bytes, e);
    }
    int fd = view_fd(c->view, t->from);
    for (uint32_t i = 0; i < cut_n_ranges(t); i++) {
        struct cut_range r = cut_range(c, t, i);
        if (!out_copy(out, fd, r.off, r.bytes, e))
            return false;
        progress_set(progress, *done += r.bytes);
    }
    return true;
}

bool prune_check_space(const struct prune_opts *o, struct prune_result *r, struct err *e)
{
    uint64_t room = o->dry_run ? file_free_space(r->files[0]) : 0;
    if (!o->dry_run)
        return file_check_space(r->files[0], r->bytes_out, e);
    r->bytes_missing = r->bytes_out > room ? r->bytes_out - room : 0;
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
    if ((o->name && !naming_check(o->name, e) && !err_ctx(e, "--name")) ||
        (o->base_model && !naming_check_id(o->base_model, e) && !err_ctx(e, "--base-model")))
        return false;
    r->files = prune_file_names(v, o->out, o->cut.merge, &r->n_files);
    struct cut *c = v->format->prune->check_opts(v, o, e) ? cut_make(v, p, &o->cut, e) : NULL;
    if (!c)
        return false;
    r->tensor_bytes = c->bytes;
    r->tensors_cut = c->n_cut;
    r->tensors_kept = c->n_same;
    r->tensors_gone = c->n_gone;
    for (uint32_t f = 0; f < v->n_files; f++)
        r->bytes_in += v->files[f].size;
    bool ok = v->format->prune->write(c, o, r, e);
    cut_free(c);
    return ok;
}

void prune_result_clear(struct prune_result *r)
{
    for (uint32_t i = 0; i < r->n_files; i++)
        free(r->files[i]);
    free(r->files);
    *r = (struct prune_result){0};
}
