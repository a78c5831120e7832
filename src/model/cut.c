/* cut.c - see cut.h. */
#include "model/cut.h"
#include "base/mem.h"
#include "model/gain.h"
#include "model/id_table.h"

#include <string.h>

/* ---- which experts stay ---- */

static void make_runs(struct cut_layer *l, const uint32_t *keep, uint32_t n_keep)
{
    l->keep = keep;
    for (uint32_t i = 0; i < n_keep; i++)
        l->n_runs += !i || keep[i] != keep[i - 1] + 1;
    l->runs = xcalloc(l->n_runs, sizeof *l->runs);
    struct cut_run *r = l->runs - 1;
    for (uint32_t i = 0; i < n_keep; i++) {
        if (!i || keep[i] != keep[i - 1] + 1)
            *++r = (struct cut_run){keep[i], 0};
        r->n++;
    }
}

static void make_blocks(struct cut *c, const struct plan *p)
{
    const struct view *v = c->view;
    c->blocks = xcalloc(v->n_blocks, sizeof *c->blocks);
    for (uint32_t i = 0; i < v->n_layers; i++)
        make_runs(&c->blocks[v->layers[i].il], p->layers[i].keep, c->n_keep);
    for (uint32_t il = v->n_blocks - v->n_mtp; il < v->n_blocks; il++)
        make_runs(&c->blocks[il], plan_keep_of(p, v, il), c->n_keep);
}

/* An expert's new number; -1: it goes. */
static int64_t number_of(const struct cut *c, const struct cut_layer *l, uint32_t expert)
{
    uint32_t at = 0, end = c->n_keep;
    while (at < end) {
        uint32_t mid = at + (end - at) / 2;
        if (l->keep[mid] < expert)
            at = mid + 1;
        else
            end = mid;
    }
    return at < c->n_keep && l->keep[at] == expert ? (int64_t)at : -1;
}

/* ---- which tensors go out ---- */

/* A tensor with experts can be cut: its block has a choice of them, and they are equal runs of its bytes. */
static bool check_block(const struct cut *c, const struct view_tensor *x, struct err *e)
{
    uint32_t n = c->view->shape.n_experts;
    if (x->layer < 0 || !c->blocks[x->layer].keep)
        return err_set(e, ERR_INPUT,
                       "tensor '%s' is cut with the experts of its block, but block %d has none", x->name,
                       x->layer);
    return x->axis < 0 || x->bytes % (n + x->idle) == 0 ||
           err_set(e, ERR_INPUT, "tensor '%s': its %llu bytes cannot be divided among %u experts", x->name,
                   (unsigned long long)x->bytes, n);
}

/* What stays of n bytes, or elements, of a tensor that does not go. */
static uint64_t part_of(const struct cut *c, const struct view_tensor *x, uint64_t n)
{
    return x->axis >= 0 ? n / (c->view->shape.n_experts + x->idle) * (c->n_keep + x->idle) : n;
}

static bool goes(const struct cut *c, const struct view_tensor *x)
{
    return x->expert >= 0 && number_of(c, &c->blocks[x->layer], (uint32_t)x->expert) < 0;
}

static void add(struct cut *c, const struct view_tensor *x)
{
    struct cut_tensor *t = &c->tensors[c->n_tensors++];
    *t = (struct cut_tensor){.from = x,
                             .name = x->name,
                             .bytes = part_of(c, x, x->bytes),
                             .layer = x->axis >= 0 ? &c->blocks[x->layer] : NULL,
                             .file = x->file};
    c->bytes += t->bytes;
    c->n_elements += part_of(c, x, x->n_elements);
    ++*(t->layer ? &c->n_cut : &c->n_same);
}

/* ---- gains ---- */

/* The tensor of a layer that its gain is written into; NULL with *e. Read: its values of all experts, 1 where
 * the model has no such tensor; *down: the matrices that it belongs to. */
static struct view_tensor *read_scale(const struct cut *c, uint32_t i, float *values,
                                      const struct view_tensor **down, struct err *e)
{
    const struct view *v = c->view;
    uint32_t n = v->shape.n_experts, il = v->layers[i].il;
    char *name = xasprintf("blk.%u.ffn_down_exps.weight", il);
    *down = view_find(v, name);
    free(name);
    struct view_tensor *x = &c->added[i];
    *x = (struct view_tensor){.type = "F32",
                              .n_dims = 1,
                              .dims = {n, 1, 1, 1},
                              .n_elements = n,
                              .bytes = 4ull * n,
                              .layer = (int32_t)il,
                              .axis = 0,
                              .expert = -1,
                              .role = ROLE_EXPERT,
                              .name = xasprintf("blk.%u.ffn_down_exps.scale", il)};
    if (!*down) {
        err_set(
            e, ERR_INPUT,
            "layer %u has no tensor 'blk.%u.ffn_down_exps.weight': only a GGUF file holds a gain, in the scale beside it",
            il, il);
        return NULL;
    }
    x->file = (*down)->file;
    const struct view_tensor *was = view_find(v, x->name);
    for (uint32_t k = 0; k < n; k++)
        values[k] = 1;
    if (was && (was->ggml_type != 0 || was->bytes != x->bytes)) {
        err_set(e, ERR_INPUT, "tensor '%s' is no float32 row of %u: a gain cannot be multiplied in",
                was->name, n);
        return NULL;
    }
    return !was || view_read(v, was, values, was->bytes, was->off, e) ? x : NULL;
}

static bool make_gains(struct cut *c, struct err *e)
{
    const struct view *v = c->view;
    const struct view_tensor *down;
    if (!gain_check_family(v, e))
        return false;
    float *all = xcalloc(v->shape.n_experts, sizeof *all);
    c->added = xcalloc(v->n_layers, sizeof *c->added);
    c->scales = xcalloc((size_t)v->n_layers * c->n_keep, sizeof *c->scales);
    bool ok = true;
    for (uint32_t i = 0; ok && i < v->n_layers; i++) {
        const uint32_t *keep = c->plan->layers[i].keep;
        ok = read_scale(c, i, all, &down, e) != NULL;
        for (uint32_t k = 0; ok && k < c->n_keep; k++)
            c->scales[(size_t)i * c->n_keep + k] = all[keep[k]] * c->plan->gain[i];
    }
    free(all);
    return ok;
}

/* Behind x, the last tensor so far: its scale, when x is one or what one belongs to. */
static void add_gain(struct cut *c, const struct view_tensor *x)
{
    int i = c->plan->gain && x->layer >= 0 ? view_layer_index(c->view, (uint32_t)x->layer) : -1;
    if (i < 0)
        return;
    const float *values = c->scales + (size_t)i * c->n_keep;
    const char *scale = c->added[i].name;
    size_t n = strlen(scale) - strlen("scale");
    if (!strcmp(x->name, scale)) {
        c->tensors[c->n_tensors - 1].values = values;
    } else if (!strncmp(x->name, scale, n) && !strcmp(x->name + n, "weight") && !view_find(c->view, scale)) {
        add(c, &c->added[i]);
        c->tensors[c->n_tensors - 1].values = values;
    }
}

/* The last tensor so far names experts by number: its values as they go out. */
static bool add_table(struct cut *c, const struct view_tensor *x, struct err *e)
{
    const struct cut_layer *l = x->layer >= 0 ? &c->blocks[x->layer] : NULL;
    if (!l || !l->keep)
        return err_set(e, ERR_INPUT, "tensor '%s' names experts of its block, but block %d has none", x->name,
                       x->layer);
    uint8_t *ids = id_table_cut(c->view, x, l->keep, c->n_keep, e);
    if (!ids)
        return false;
    c->tables = xrealloc(c->tables, c->n_tables + 1, sizeof *c->tables);
    c->tables[c->n_tables++] = ids;
    c->tensors[c->n_tensors - 1].values = ids;
    c->n_same--;
    c->n_cut++;
    return true;
}

static bool is_dropped(const struct view_tensor *x, const struct cut_opts *o)
{
    return x->mtp ? o->drop_mtp : o->only_mtp && x->layer >= 0;
}

static bool choose(struct cut *c, const struct cut_opts *o, struct err *e)
{
    const struct view *v = c->view;
    uint64_t more = c->plan->gain ? v->n_layers : 0;
    if ((more && !make_gains(c, e)) ||
        !(c->tensors = mem_try(v->n_tensors + more, sizeof *c->tensors, "the tensors of a cut", e)))
        return false;
    for (uint64_t i = 0; i < v->n_tensors; i++) {
        const struct view_tensor *x = &v->tensors[i];
        bool dropped = is_dropped(x, o);
        if (!dropped && view_has_experts(x) && !check_block(c, x, e))
            return false;
        if (dropped || goes(c, x))
            c->n_gone++;
        else {
            add(c, x);
            add_gain(c, x);
            if (x->role == ROLE_TABLE && !add_table(c, x, e))
                return false;
        }
    }
    return true;
}

/* ---- what they are called ---- */

static int64_t new_number(const struct cut *c, const struct view_tensor *x)
{
    return x->expert < 0 ? -1 : number_of(c, &c->blocks[x->layer], (uint32_t)x->expert);
}

/* Experts that stay are counted anew. A new number is no longer than the old one, which bounds the memory. */
static bool name(struct cut *c, struct err *e)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        const struct view_tensor *x = c->tensors[i].from;
        if (new_number(c, x) != x->expert)
            n += strlen(x->name) + 1;
    }
    char *at = c->names = mem_try(n, 1, "the names of a cut", e);
    if (!at)
        return false;
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        const struct view_tensor *x = c->tensors[i].from;
        int64_t number = new_number(c, x);
        if (number == x->expert)
            continue;
        const char *rest = x->name + x->number;
        rest += strspn(rest, "0123456789");
        c->tensors[i].name = at;
        at += sprintf(at, "%.*s%lld%s", (int)x->number, x->name, (long long)number, rest) + 1;
    }
    return true;
}

/* ---- which files they go into ---- */

static void cut_shards(struct cut *c, uint64_t max)
{
    uint64_t in_file = 0;
    uint32_t file = 0;
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        uint64_t n = c->tensors[i].bytes;
        if (in_file && (n > max || in_file > max - n)) {
            file++;
            in_file = 0;
        }
        in_file += n;
        c->tensors[i].file = file;
    }
    c->n_files = file + 1;
}

static void divide(struct cut *c, const struct cut_opts *o)
{
    c->n_files = c->view->n_files;
    if (o->max_shard)
        cut_shards(c, o->max_shard);
    if (o->merge)
        c->n_files = 1;
    c->files = xcalloc(c->n_files ? c->n_files : 1, sizeof *c->files);
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        struct cut_tensor *t = &c->tensors[i];
        if (o->merge)
            t->file = 0;
        c->files[t->file].n++;
        c->files[t->file].bytes += t->bytes;
    }
    for (uint32_t f = 1; f < c->n_files; f++)
        c->files[f].first = c->files[f - 1].first + c->files[f - 1].n;
}

/* ---- all of it ---- */

bool cut_check_opts(const struct view *v, const struct cut_opts *o, struct err *e)
{
    if ((o->drop_mtp || o->only_mtp) && !v->n_mtp)
        return err_set(e, ERR_INPUT,
                       "%s: has no blocks that predict further tokens (MTP), there is none to drop or keep",
                       v->path);
    return !o->merge || !o->max_shard ||
           err_set(e, ERR_INPUT, "--merge and --max-shard-size exclude each other");
}

struct cut *cut_make(const struct view *v, const struct plan *p, const struct cut_opts *o, struct err *e)
{
    if (!cut_check_opts(v, o, e) || !view_check_prunable(v, e) || !plan_fits(p, v, e))
        return NULL;
    struct cut *c = xcalloc(1, sizeof *c);
    c->view = v;
    c->plan = p;
    c->opts = *o;
    c->n_keep = p->n_keep;
    make_blocks(c, p);
    if (choose(c, o, e) && name(c, e)) {
        divide(c, o);
        return c;
    }
    err_ctx(e, "%s", v->path);
    cut_free(c);
    return NULL;
}

static void free_blocks(struct cut *c)
{
    for (uint32_t il = 0; il < c->view->n_blocks; il++)
        free(c->blocks[il].runs);
    free(c->blocks);
}

void cut_free(struct cut *c)
{
    if (!c)
        return;
    free_blocks(c);
    free(c->tensors);
    free(c->files);
    free(c->names);
    for (uint32_t i = 0; c->added && i < c->view->n_layers; i++)
        free((char *)(uintptr_t)c->added[i].name);
    for (uint32_t i = 0; i < c->n_tables; i++)
        free(c->tables[i]);
    free(c->tables);
    free(c->added);
    free(c->scales);
    free(c);
}

uint64_t cut_dim(const struct cut *c, const struct cut_tensor *t, uint32_t d)
{
    return (int32_t)d == t->from->axis ? part_of(c, t->from, t->from->dims[d]) : t->from->dims[d];
}

uint32_t cut_n_ranges(const struct cut_tensor *t)
{
    return t->layer ? t->layer->n_runs + (t->from->idle != 0) : 1;
}

struct cut_range cut_range(const struct cut *c, const struct cut_tensor *t, uint32_t i)
{
    const struct view_tensor *x = t->from;
    if (!t->layer)
        return (struct cut_range){x->off, x->bytes};
    uint32_t n = c->view->shape.n_experts;
    uint64_t slice = view_slice(x, n);
    if (i == t->layer->n_runs)
        return (struct cut_range){x->off + n * slice, x->idle * slice};
    const struct cut_run *r = &t->layer->runs[i];
    return (struct cut_range){x->off + r->first * slice, r->n * slice};
}

uint64_t cut_bytes(const struct view *v, const struct plan *p)
{
    struct cut c = {.view = v, .plan = p, .n_keep = p->n_keep};
    make_blocks(&c, p);
    for (uint64_t i = 0; i < v->n_tensors; i++) {
        const struct view_tensor *x = &v->tensors[i];
        bool followed = view_has_experts(x) && x->layer >= 0 && c.blocks[x->layer].keep;
        c.bytes += !followed ? x->bytes : goes(&c, x) ? 0 : part_of(&c, x, x->bytes);
    }
    free_blocks(&c);
    return c.bytes;
}

uint64_t cut_bytes_with(const struct view *v, uint32_t n_keep, const struct cut_opts *o)
{
    uint64_t experts = v->expert_bytes, others = v->bytes - v->expert_bytes;
    for (uint64_t i = 0; i < v->n_tensors; i++) {
        const struct view_tensor *x = &v->tensors[i];
        if (!is_dropped(x, o))
            continue;
        uint64_t stays = view_has_experts(x) ? x->idle * view_slice(x, v->shape.n_experts) : x->bytes;
        experts -= x->bytes - stays;
        others -= stays;
    }
    return others + experts / v->shape.n_experts * n_keep;
}

uint64_t cut_bytes_at(const struct view *v, uint32_t n_keep)
{
    return cut_bytes_with(v, n_keep, &(const struct cut_opts){0});
}
