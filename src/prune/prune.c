/* prune.c - see prune.h: what both formats share. */
#include "prune/prune.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/out.h"
#include "model/naming.h"

/* ---- the bytes ---- */

/* A step of copying, and how far reading is begun ahead of it: the disk then always has something to do, and reads what stays alone.
 * The kernel's own read-ahead fetches the experts between as well, where its window is larger than they are. */
#define STEP  (1u << 20)
#define AHEAD (32u << 20)

/* Bytes that go out one behind the other, as they lie in a file of the model, or `values`; then `pad` zeros. */
struct run {
    const struct cut_tensor *t; /* the first that has a part in it */
    const void *values;
    int fd;
    uint64_t off, bytes, pad;
};

/* The next run of a file of the cut. */
struct cursor {
    const struct cut *c;
    const struct cut_tensor *t, *end;
    uint32_t range; /* of *t */
    uint64_t alignment;
};

static struct cursor cursor_of(const struct cut *c, const struct cut_file *file, uint64_t alignment)
{
    const struct cut_tensor *t = &c->tensors[file->first];
    return (struct cursor){c, t, t + file->n, 0, alignment};
}

static uint64_t padding(const struct cursor *k, const struct cut_tensor *t)
{
    uint64_t over = t->bytes % k->alignment;
    return over ? k->alignment - over : 0;
}

/* The range behind the run belongs to it when it follows in both files. */
static bool goes_on(const struct cursor *k, const struct run *r, struct cut_range x)
{
    return !r->pad && k->t->from->file == r->t->from->file && x.off == r->off + r->bytes;
}

static bool next_run(struct cursor *k, struct run *r)
{
    *r = (struct run){.t = k->t};
    if (k->t == k->end)
        return false;
    if (k->t->values) {
        *r = (struct run){k->t, k->t->values, -1, 0, k->t->bytes, padding(k, k->t)};
        k->t++;
        return true;
    }
    while (k->t < k->end && !k->t->values) {
        struct cut_range x = cut_range(k->c, k->t, k->range);
        if (!r->bytes)
            *r = (struct run){.t = k->t, .fd = view_fd(k->c->view, k->t->from), .off = x.off};
        else if (!goes_on(k, r, x))
            break;
        r->bytes += x.bytes;
        if (++k->range == cut_n_ranges(k->t)) {
            r->pad = padding(k, k->t);
            k->t++;
            k->range = 0;
        }
    }
    return true;
}

/* What is being read ahead: a cursor in front of the one that copies. */
struct ahead {
    struct cursor at;
    struct run r; /* what is left of it */
    uint64_t begun;
};

/* Begins to read until AHEAD bytes behind `done`. */
static void read_ahead(struct ahead *a, uint64_t done)
{
    while (a->begun < done + AHEAD && (a->r.bytes || next_run(&a->at, &a->r))) {
        uint64_t n = a->r.bytes < STEP ? a->r.bytes : STEP;
        if (!a->r.values)
            file_read_ahead(a->r.fd, a->r.off, n);
        a->r.off += n;
        a->r.bytes -= n;
        a->begun += n;
    }
}

/* What lies behind the bytes of a file that are asked for is not read while it is copied from. */
static void read_from(int *fd, int next)
{
    if (*fd == next)
        return;
    if (*fd >= 0)
        file_read_as_told(*fd, false);
    if (next >= 0)
        file_read_as_told(next, true);
    *fd = next;
}

bool prune_copy(struct out *out, const struct cut *c, const struct cut_file *file, uint64_t alignment,
                struct progress *progress, uint64_t *done, struct err *e)
{
    struct cursor k = cursor_of(c, file, alignment);
    struct ahead a = {.at = k};
    struct run r;
    uint64_t copied = 0, n;
    int from = -1;
    bool ok = true;
    while (ok && next_run(&k, &r)) {
        read_from(&from, r.values ? from : r.fd);
        for (uint64_t at = 0; ok && at < r.bytes; at += n) {
            n = r.bytes - at < STEP ? r.bytes - at : STEP;
            read_ahead(&a, copied);
            ok = r.values ? out_write(out, (const uint8_t *)r.values + at, n, e)
                          : out_copy(out, r.fd, r.off + at, n, e);
            copied += n;
            progress_set(progress, *done += n);
        }
        ok = (ok && out_zero(out, r.pad, e)) ||
             err_ctx(e, "tensor '%s' of '%s'", r.t->from->name, c->view->files[r.t->from->file].path);
    }
    read_from(&from, -1);
    return ok;
}

bool prune_check_space(const struct prune_opts *o, struct prune_result *r, struct err *e)
{
    uint64_t room = o->dry_run ? file_free_space(r->files[0]) : 0;
    if (!o->dry_run)
        return file_check_space(r->files[0], r->bytes_out, e);
    r->bytes_missing = r->bytes_out > room ? r->bytes_out - room : 0;
    return true;
}

char **prune_file_names(const struct view *v, const char *out, const struct prune_opts *o, uint32_t *n)
{
    return v->format->prune->file_names(v, out, o, n);
}

bool prune_check_apart(const struct view *v, const struct prune_opts *o, const char *in, const char *what,
                       struct err *e)
{
    uint32_t n;
    char **files = prune_file_names(v, o->out, o, &n);
    bool ok = true;
    for (uint32_t i = 0; i < n; i++) {
        ok = ok && file_check_apart(files[i], in, what, e);
        free(files[i]);
    }
    free(files);
    return ok;
}

bool prune_run(struct view *v, const struct plan *p, const struct prune_opts *o, struct prune_result *r,
               struct err *e)
{
    *r = (struct prune_result){0};
    if ((o->name && !naming_check(o->name, e) && !err_ctx(e, "--name")) ||
        (o->base_model && !naming_check_id(o->base_model, e) && !err_ctx(e, "--base-model")))
        return false;
    r->files = prune_file_names(v, o->out, o, &r->n_files);
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
