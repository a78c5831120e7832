/* view_gguf.c - a view of GGUF files: block_count, expert_count and the rest are keys, tensor names are the
 * same in all families (rules in family/names.c). */
#include "model/view_gguf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/foreign.h"
#include "model/id_table.h"

#include <string.h>

/* A key of the architecture: "<arch>.<suffix>". */
static const struct gg_key *arch_key(const struct view *v, const char *suffix)
{
    char name[160];
    snprintf(name, sizeof name, "%s.%s", v->family->arch, suffix);
    return gg_find(view_gguf(v), name);
}

/* A count that must be there (or, with def >= 0, may be absent), 0..max. */
static bool count_key(const struct view *v, const char *suffix, int64_t def, uint64_t max, uint32_t *out,
                      struct err *e)
{
    const struct gg_key *k = arch_key(v, suffix);
    uint64_t n;
    if (!k) {
        if (def < 0)
            return err_set(e, ERR_INPUT, "key '%s.%s' is missing", v->family->arch, suffix);
        *out = (uint32_t)def;
        return true;
    }
    if (k->kind == GG_ARR || !gg_key_u64(k, &n))
        return err_set(e, ERR_INPUT, "key '%s.%s' is of type %s, expected one unsigned integer",
                       v->family->arch, suffix, gg_kind_name(k->kind));
    if (n > max)
        return err_set(e, ERR_INPUT, "key '%s.%s' is %llu, expected at most %llu", v->family->arch, suffix,
                       (unsigned long long)n, (unsigned long long)max);
    *out = (uint32_t)n;
    return true;
}

static bool read_family(struct view *v, struct err *e)
{
    const char *s;
    uint64_t n;
    char arch[128];
    if (!gg_key_str(gg_find(view_gguf(v), "general.architecture"), &s, &n))
        return err_set(e, ERR_INPUT, "key 'general.architecture' is missing or not a string");
    struct buf safe = {0};
    buf_line(&safe, s, n < sizeof arch - 1 ? n : sizeof arch - 1);
    snprintf(arch, sizeof arch, "%s", safe.s ? safe.s : "");
    buf_clear(&safe);
    v->family = family_find(arch);
    if (v->family)
        return true;
    char key[160];
    snprintf(key, sizeof key, "%s.expert_count", arch);
    uint64_t experts = 0;
    gg_key_u64(gg_find(view_gguf(v), key), &experts);
    if (!experts)
        return err_set(e, ERR_INPUT,
                       "is a dense model (architecture '%s' has no experts), there is nothing to prune",
                       arch);
    return err_set(e, ERR_INPUT, "architecture '%s' is not supported (the nearest that is: '%s')", arch,
                   family_nearest(arch)->arch);
}

static bool read_counts(struct view *v, struct err *e)
{
    const char *a = v->family->arch;
    if (!count_key(v, "expert_count", 0, UINT32_MAX, &v->shape.n_experts, e))
        return false;
    if (v->shape.n_experts == 0)
        return err_set(e, ERR_INPUT,
                       "is a dense model (key '%s.expert_count' is absent or 0), there is nothing to prune",
                       a);
    if (v->shape.n_experts > LIMIT_ENGINE_EXPERTS)
        return err_set(e, ERR_INPUT, "key '%s.expert_count' is %u, the engine knows at most %d", a,
                       v->shape.n_experts, LIMIT_ENGINE_EXPERTS);
    if (!count_key(v, "block_count", -1, LIMIT_ENGINE_LAYERS, &v->n_blocks, e) ||
        !count_key(v, "nextn_predict_layers", 0, v->n_blocks, &v->n_mtp, e))
        return false;
    if (v->n_blocks == 0)
        return err_set(e, ERR_INPUT, "key '%s.block_count' is 0", a);
    if (v->n_blocks < v->family->min_blocks)
        return err_set(e, ERR_INPUT,
                       "key '%s.block_count' is %u, the engine needs at least %u for this architecture", a,
                       v->n_blocks, v->family->min_blocks);
    if (!count_key(v, "expert_group_count", 1, LIMIT_ENGINE_EXPERTS, &v->shape.n_groups, e) ||
        !count_key(v, "expert_group_used_count", 0, LIMIT_ENGINE_EXPERTS, &v->shape.n_groups_used, e))
        return false;
    if (v->shape.n_groups == 0)
        v->shape.n_groups = 1;
    if (v->shape.n_groups == 1)
        v->shape.n_groups_used = 1;
    if (v->shape.n_groups > 1 &&
        (v->shape.n_experts % v->shape.n_groups || v->shape.n_groups >= v->shape.n_experts))
        return err_set(e, ERR_INPUT,
                       "key '%s.expert_group_count' is %u, which does not divide %u experts into groups", a,
                       v->shape.n_groups, v->shape.n_experts);
    if (v->shape.n_groups > 1 && (v->shape.n_groups_used == 0 || v->shape.n_groups_used >= v->shape.n_groups))
        return err_set(e, ERR_INPUT, "key '%s.expert_group_used_count' is %u, expected 1 to %u", a,
                       v->shape.n_groups_used, v->shape.n_groups - 1);
    return true;
}

/* top-k of block il: one number, or a list per block (Nemotron Puzzle). */
static bool used_of(const struct view *v, uint32_t il, uint32_t *out, struct err *e)
{
    const struct gg_key *k = arch_key(v, "expert_used_count");
    uint64_t n;
    if (!k || !gg_key_u64_at(k, il, &n))
        return err_set(e, ERR_INPUT, "key '%s.expert_used_count' is missing or has no integer for block %u",
                       v->family->arch, il);
    if (n < 1 || n > v->shape.n_experts)
        return err_set(
            e, ERR_INPUT,
            "key '%s.expert_used_count' is %llu in block %u, expected 1 to %u (the number of experts)",
            v->family->arch, (unsigned long long)n, il, v->shape.n_experts);
    *out = (uint32_t)n;
    return true;
}

static bool read_tensor(struct view *v, uint64_t i, struct err *e)
{
    struct view_tensor *x = &v->tensors[i];
    const struct gg_tensor *t = &view_gguf(v)->tensors[i];
    bool suspect;
    const struct tensor_rule *r = family_rule(t->name, &x->layer, &suspect);
    *x = (struct view_tensor){.name = t->name,
                              .type = gg_type_get(t->type)->name,
                              .n_dims = t->n_dims,
                              .ggml_type = (int32_t)t->type,
                              .dims = {t->ne[0], t->ne[1], t->ne[2], t->ne[3]},
                              .n_elements = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3],
                              .bytes = t->bytes,
                              .off = t->off,
                              .file = t->part,
                              .layer = x->layer,
                              .axis = -1,
                              .expert = -1};
    v->bytes += t->bytes;
    v->n_params += x->n_elements;
    if (family_is_shared(t->name)) {
        v->shared_bytes += t->bytes;
        v->shared_params += x->n_elements;
    }
    if (x->layer >= 0 && (uint32_t)x->layer >= v->n_blocks)
        return err_set(e, ERR_INPUT, "tensor '%s' belongs to block %d, but the model has %u blocks", t->name,
                       x->layer, v->n_blocks);
    x->mtp = x->layer >= 0 && (uint32_t)x->layer + v->n_mtp >= v->n_blocks;
    if (suspect)
        return err_set(
            e, ERR_INPUT,
            "tensor '%s' looks like part of the experts, but is not known to this version; nothing is pruned by guess",
            t->name);
    if (!r)
        return true;
    x->role = r->role;
    x->why = r->why;
    if (r->role == ROLE_REFUSE)
        return true;
    if (r->role == ROLE_TABLE)
        return id_table_check(v, x, e);
    if (t->ne[r->axis] != v->shape.n_experts)
        return err_set(e, ERR_INPUT, "tensor '%s': dimension %d is %llu, but the model has %u experts",
                       t->name, r->axis + 1, (unsigned long long)t->ne[r->axis], v->shape.n_experts);
    /* slices must be whole runs of rows; no known file has more (Ernie's bias is {E, 1}) */
    for (int d = r->axis + 1; d < 4; d++)
        if (t->ne[d] != 1)
            return err_set(e, ERR_INPUT,
                           "tensor '%s': dimension %d is %llu behind the expert axis, expected 1", t->name,
                           d + 1, (unsigned long long)t->ne[d]);
    if (r->axis == 1 && gg_type_get(t->type)->rows > 1) {
        x->role = ROLE_REFUSE;
        x->why = "holds the experts' rows woven into each other";
        return true;
    }
    if (r->axis == 0 && gg_type_get(t->type)->block != 1)
        return err_set(e, ERR_INPUT, "tensor '%s' is of type %s, expected one value per expert", t->name,
                       x->type);
    x->axis = r->axis;
    v->expert_bytes += t->bytes;
    if (r->role == ROLE_EXPERT)
        v->expert_params += x->n_elements;
    else
        v->router_bytes += t->bytes;
    return true;
}

/* What a MoE block must have: a router, a down projection and an up projection (alone or fused with the
 * gate). */
struct block_seen {
    bool router, gate, up, gate_up, down;
    uint64_t router_at;
};

static void see(struct block_seen *s, const char *name, uint64_t i)
{
    const char *rest = strchr(name + 4, '.') + 1; /* behind "blk.N." */
    if (!strcmp(rest, "ffn_gate_inp.weight")) {
        s->router = true;
        s->router_at = i;
    }
    s->gate = s->gate || !strcmp(rest, "ffn_gate_exps.weight");
    s->up = s->up || !strcmp(rest, "ffn_up_exps.weight");
    s->gate_up = s->gate_up || !strcmp(rest, "ffn_gate_up_exps.weight");
    s->down = s->down || !strcmp(rest, "ffn_down_exps.weight");
}

static bool block_complete(const struct block_seen *s, uint32_t il, const struct block_seen *first,
                           struct err *e)
{
    const char *missing = !s->router              ? "ffn_gate_inp.weight"
                          : !s->up && !s->gate_up ? "ffn_up_exps.weight"
                          : !s->down              ? "ffn_down_exps.weight"
                                                  : NULL;
    if (missing)
        return err_set(e, ERR_INPUT, "block %u has experts but no '%s'", il, missing);
    const char *odd = s->gate != first->gate         ? "ffn_gate_exps.weight"
                      : s->up != first->up           ? "ffn_up_exps.weight"
                      : s->gate_up != first->gate_up ? "ffn_gate_up_exps.weight"
                                                     : NULL;
    return !odd ||
           err_set(e, ERR_INPUT, "'%s' is in block %u or in the first block with experts, but not in both",
                   odd, il);
}

static bool read_layers(struct view *v, struct err *e)
{
    struct block_seen *b = xcalloc(v->n_blocks, sizeof *b);
    for (uint64_t i = 0; i < v->n_tensors; i++) {
        const struct view_tensor *x = &v->tensors[i];
        if (x->role != ROLE_NONE)
            see(&b[x->layer], x->name, i);
    }
    const struct block_seen *first = NULL;
    bool ok = true;
    for (uint32_t il = 0; ok && il < v->n_blocks; il++) {
        const struct block_seen *s = &b[il];
        uint32_t used = 0;
        if (!s->router && !s->gate && !s->up && !s->gate_up && !s->down)
            continue;
        if (!first)
            first = s;
        if (!(ok = block_complete(s, il, first, e) && used_of(v, il, &used, e)))
            break;
        if (used > v->shape.n_used)
            v->shape.n_used = used;
        v->layers[v->n_layers + v->n_mtp_layers] = (struct view_layer){il, used, s->router_at};
        ++*(il + v->n_mtp < v->n_blocks ? &v->n_layers : &v->n_mtp_layers);
    }
    free(b);
    return ok && (v->n_layers || v->n_mtp_layers ||
                  err_set(e, ERR_INPUT, "key '%s.expert_count' is %u, but no block has experts",
                          v->family->arch, v->shape.n_experts));
}

static void read_name(struct view *v)
{
    const char *s;
    uint64_t n;
    if (!gg_key_str(gg_find(view_gguf(v), "general.name"), &s, &n) || !n) {
        v->name = xstrdup(path_base(v->path));
        return;
    }
    struct buf b = {0};
    buf_line(&b, s, n < 200 ? n : 200);
    v->name = b.s;
}

static bool fill(struct view *v, struct err *e)
{
    const struct gg_file *f = view_gguf(v);
    if (!read_family(v, e) || !read_counts(v, e))
        return false;
    v->n_files = f->n_parts;
    v->files = xcalloc(v->n_files, sizeof *v->files);
    for (uint32_t i = 0; i < v->n_files; i++)
        v->files[i] = (struct view_file){f->parts[i].path, f->parts[i].fd, f->parts[i].size};
    v->n_tensors = f->n_tensors;
    v->tensors = xcalloc(v->n_tensors, sizeof *v->tensors);
    v->layers = xcalloc(v->n_blocks, sizeof *v->layers);
    for (uint64_t i = 0; i < v->n_tensors; i++)
        if (!read_tensor(v, i, e))
            return false;
    /* the old form has no fused tensors: say that before "no block has experts" */
    for (uint64_t i = 0; i < v->n_tensors; i++)
        if (v->tensors[i].role == ROLE_REFUSE && strstr(v->tensors[i].name, "ffn_down."))
            return err_set(e, ERR_INPUT, "tensor '%s' %s", v->tensors[i].name, v->tensors[i].why);
    if (!read_layers(v, e))
        return false;
    read_name(v);
    return shape_check_groups(&v->shape, e);
}

/* ---- the row of the table ---- */

static bool knows(const char *path)
{
    return !file_is_dir(path);
}

static bool open_files(struct view *v, struct err *e)
{
    if (!foreign_file(v->path, e) || !(v->reader = gg_open(v->path, e)))
        return false;
    if (!foreign_gguf(v->reader, e) || !fill(v, e))
        return err_ctx(e, "%s", v->path);
    if (view_gguf(v)->split_left)
        log_note(
            "note: %s is the whole model in one file: its keys of a split ('split.count' and others) are "
            "left over and not followed, prune leaves them out",
            v->path);
    return true;
}

static void close_files(struct view *v)
{
    gg_free(v->reader);
}

static const struct view_tensor *find(const struct view *v, const char *name)
{
    const struct gg_file *f = view_gguf(v);
    const struct gg_tensor *t = gg_find_tensor(f, name);
    return t ? &v->tensors[t - f->tensors] : NULL;
}

static const char *refusal(const struct view *v)
{
    return family_refusal_gguf(v->family, v->shape.n_experts);
}

static bool check_output(const struct view *v, const char *path, struct err *e)
{
    (void)v, (void)path, (void)e; /* there are no files but those of weights */
    return true;
}

static void stamp(const struct view *v, struct buf *b)
{
    (void)v, (void)b;
}

const struct view_ops view_gguf_ops = {
    .knows = knows,
    .open = open_files,
    .close = close_files,
    .find = find,
    .refusal = refusal,
    .check_output = check_output,
    .stamp = stamp,
};

const struct gg_file *view_gguf(const struct view *v)
{
    if (v->format->view != &view_gguf_ops)
        BUG("'%s' is %s", v->path, v->format->name);
    return v->reader;
}

struct view *view_of_header(const uint8_t *p, uint64_t n, uint64_t file_size, const char *path, struct err *e)
{
    const struct format *format = formats;
    while (format->view != &view_gguf_ops)
        format++;
    struct view *v = xcalloc(1, sizeof *v);
    struct gg_file *f = xcalloc(1, sizeof *f);
    v->format = format;
    v->path = xstrdup(path);
    if (gg_parse(p, n, file_size, f, e))
        v->reader = f;
    else
        free(f);
    if (v->reader && fill(v, e) && view_check_trunk(v, e))
        return v;
    err_ctx(e, "%s, converted", path);
    view_free(v);
    return NULL;
}
