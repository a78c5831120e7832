/* imatrix_cut.c - see imatrix_cut.h. */
#include "quant/imatrix_cut.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "family/family.h"
#include "gguf/gguf_file.h"
#include "quant/imatrix.h"

#include <string.h>

struct piece { /* what becomes of a tensor */
    uint64_t ne[4], bytes;
    const uint32_t *keep; /* NULL: it stays as it is */
    uint64_t run;         /* bytes of an expert */
};

struct job {
    const struct gg_file *f;
    const struct plan *p;
    struct piece *pieces;
    struct imatrix_cut *r;
    bool noted;
};

/* Those of layer il that stay; NULL with *e. */
static const uint32_t *kept(struct job *j, uint32_t il, struct err *e)
{
    const struct plan *p = j->p;
    const struct plan_layer *last = &p->layers[p->n_layers - 1];
    const uint32_t *keep = plan_entry(p, il);
    if (keep)
        return keep;
    if (il > last->il) {
        if (!j->noted)
            log_note(
                "note: layers behind %u have its choice, as blocks that predict further tokens have in a model",
                last->il);
        j->noted = true;
        return last->keep;
    }
    err_set(e, ERR_INPUT, "layer %u has experts in the matrix, and none in the plan", il);
    return NULL;
}

/* The rule of the weight that a tensor is of, "WEIGHT.in_sum2"; NULL: its rows are not those of experts. */
static bool is_of_experts(const struct gg_tensor *t, int32_t *il, bool *is, struct err *e)
{
    char weight[64];
    bool suspect;
    const char *dot = strrchr(t->name, '.');
    snprintf(weight, sizeof weight, "%.*s", dot ? (int)(dot - t->name) : 0, t->name);
    const struct tensor_rule *rule = family_rule(weight, il, &suspect);
    if (suspect || (rule && rule->role == ROLE_REFUSE))
        return err_set(e, ERR_INPUT, "tensor '%s': %s", t->name,
                       suspect ? "looks like one of experts, and no rule knows it" : rule->why);
    *is = rule && rule->role == ROLE_EXPERT && rule->axis == 2;
    return true;
}

/* Along which dimension the experts stand; -1: one row stands for all of them; -2: neither. */
static int axis_of(const struct gg_tensor *t, uint32_t n_experts)
{
    if (t->ne[2] != 1 || t->ne[3] != 1)
        return -2;
    if (t->ne[1] == n_experts)
        return 1;
    if (t->ne[1] != 1)
        return -2;
    return t->ne[0] == 1 ? -1 : t->ne[0] % n_experts ? -2 : 0; /* made of the old form */
}

static bool plan_piece(struct job *j, uint64_t i, struct err *e)
{
    const struct gg_tensor *t = &j->f->tensors[i];
    struct piece *x = &j->pieces[i];
    struct imatrix_cut *r = j->r;
    int32_t il;
    bool experts = false;
    memcpy(x->ne, t->ne, sizeof x->ne);
    x->bytes = t->bytes;
    if (!is_of_experts(t, &il, &experts, e))
        return false;
    r->tensors_kept += !experts;
    if (!experts)
        return true;
    if (strcmp(gg_type_get(t->type)->name, "f32") != 0)
        return err_set(e, ERR_INPUT, "tensor '%s' is %s, expected f32", t->name, gg_type_get(t->type)->name);
    if (!r->n_experts)
        r->n_experts = t->ne[1] > 1 && t->ne[1] <= UINT32_MAX ? (uint32_t)t->ne[1] : 0;
    int axis = r->n_experts ? axis_of(t, r->n_experts) : -2;
    if (axis == -2 && !j->p->n_experts && !r->n_experts)
        return err_set(e, ERR_INPUT,
                       "tensor '%s' has one row for all experts, and the plan does not say of how many",
                       t->name);
    if (axis == -2)
        return err_set(e, ERR_INPUT, "tensor '%s' is [%llu, %llu], expected %u experts%s", t->name,
                       (unsigned long long)t->ne[0], (unsigned long long)t->ne[1], r->n_experts,
                       j->p->n_experts ? " as the plan has" : "");
    if (!(x->keep = kept(j, (uint32_t)il, e)))
        return false;
    if (axis == -1) {
        x->keep = NULL;
        r->tensors_kept++;
        return true;
    }
    for (uint32_t k = 0; k < j->p->n_keep; k++)
        if (x->keep[k] >= r->n_experts)
            return err_set(e, ERR_INPUT, "the plan keeps expert %u of layer %d, and there are %u", x->keep[k],
                           il, r->n_experts);
    x->run = t->bytes / r->n_experts;
    x->ne[axis] = t->ne[axis] / r->n_experts * j->p->n_keep;
    x->bytes = x->run * j->p->n_keep;
    r->tensors_cut++;
    return true;
}

static bool plan_all(struct job *j, struct err *e)
{
    j->pieces = mem_try(j->f->n_tensors, sizeof *j->pieces, "the tensors", e);
    j->r->n_experts = j->p->n_experts;
    j->r->n_keep = j->p->n_keep;
    for (uint64_t i = 0; j->pieces && i < j->f->n_tensors; i++)
        if (!plan_piece(j, i, e))
            return false;
    return j->pieces && (j->r->tensors_cut || err_set(e, ERR_INPUT, "holds nothing of experts"));
}

static void put_header(const struct job *j, struct buf *b)
{
    const struct gg_part *g = &j->f->parts[0];
    uint64_t off = 0;
    gg_put_start(b, g->version, j->f->n_tensors, g->n_keys);
    for (uint64_t k = 0; k < g->n_keys; k++)
        gg_put_raw(b, &g->keys[k]);
    for (uint64_t i = 0; i < j->f->n_tensors; i++) {
        const struct gg_tensor *t = &j->f->tensors[i];
        gg_put_tensor(b, t->name, t->n_dims, j->pieces[i].ne, t->type, off);
        off += gg_align(j->pieces[i].bytes, g->alignment);
    }
    gg_pad(b, g->alignment);
    j->r->bytes_in = g->size;
    j->r->bytes_out = b->n + off;
}

static bool copy_piece(const struct job *j, uint64_t i, struct out *o, struct err *e)
{
    const struct gg_tensor *t = &j->f->tensors[i];
    const struct piece *x = &j->pieces[i];
    const struct gg_part *g = &j->f->parts[0];
    bool ok = x->keep || out_copy(o, g->fd, t->off, t->bytes, e);
    for (uint32_t k = 0; ok && x->keep && k < j->p->n_keep; k++)
        ok = out_copy(o, g->fd, t->off + x->keep[k] * x->run, x->run, e);
    return (ok && out_zero(o, gg_align(x->bytes, g->alignment) - x->bytes, e)) ||
           err_ctx(e, "tensor '%s'", t->name);
}

static bool write_all(const struct job *j, const char *path, bool force, const struct buf *header,
                      struct err *e)
{
    struct out o;
    bool ok = file_check_space(path, j->r->bytes_out, e) && out_open(&o, path, force, e);
    if (!ok)
        return false;
    ok = out_write(&o, header->s, header->n, e);
    for (uint64_t i = 0; ok && i < j->f->n_tensors; i++)
        ok = copy_piece(j, i, &o, e);
    ok = ok && out_commit(&o, e);
    out_abort(&o);
    return ok;
}

bool imatrix_cut(const char *path, const struct plan *p, const char *out, bool force, bool dry,
                 struct imatrix_cut *r, struct err *e)
{
    *r = (struct imatrix_cut){0};
    struct gg_file *f = gg_open(path, e);
    if (!f)
        return false;
    struct job j = {.f = f, .p = p, .r = r};
    struct buf header = {0};
    bool ok = imatrix_check_type(f, e) &&
              (f->n_parts == 1 || err_set(e, ERR_INPUT, "is split, which importance matrices are not")) &&
              plan_all(&j, e);
    if (!ok)
        err_ctx(e, "%s", path);
    if (ok)
        put_header(&j, &header);
    ok = ok && (dry ? file_check_output(out, force, e) : write_all(&j, out, force, &header, e));
    buf_clear(&header);
    free(j.pieces);
    gg_free(f);
    return ok;
}
