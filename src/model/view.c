/* view.c - see view.h. */
#include "model/view.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

#define MAX_EXPERTS 1024 /* LLAMA_MAX_EXPERTS */
#define MAX_BLOCKS  512  /* LLAMA_MAX_LAYERS */

/* A key of the architecture: "<arch>.<suffix>". */
static const struct gg_key *arch_key(const struct view *v, const char *suffix)
{
    char name[160];
    snprintf(name, sizeof name, "%s.%s", v->family->arch, suffix);
    return gg_find(v->file, name);
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
    if (!gg_key_str(gg_find(v->file, "general.architecture"), &s, &n))
        return err_set(e, ERR_INPUT, "key 'general.architecture' is missing or not a string");
    struct buf safe = {0};
    buf_safe(&safe, s, n < sizeof arch - 1 ? n : sizeof arch - 1);
    snprintf(arch, sizeof arch, "%s", safe.s ? safe.s : "");
    buf_clear(&safe);
    v->family = family_find(arch);
    if (v->family)
        return true;
    char key[160];
    snprintf(key, sizeof key, "%s.expert_count", arch);
    uint64_t experts = 0;
    gg_key_u64(gg_find(v->file, key), &experts);
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
    if (v->shape.n_experts > MAX_EXPERTS)
        return err_set(e, ERR_INPUT, "key '%s.expert_count' is %u, the engine knows at most %d", a,
                       v->shape.n_experts, MAX_EXPERTS);
    if (!count_key(v, "block_count", -1, MAX_BLOCKS, &v->n_blocks, e) ||
        !count_key(v, "nextn_predict_layers", 0, v->n_blocks, &v->n_mtp, e))
        return false;
    if (v->n_blocks == 0)
        return err_set(e, ERR_INPUT, "key '%s.block_count' is 0", a);
    if ((v->family->flags & FAM_MIN_4_LAYERS) && v->n_blocks < 4)
        return err_set(e, ERR_INPUT,
                       "key '%s.block_count' is %u, the engine needs at least 4 for this architecture", a,
                       v->n_blocks);
    if (!count_key(v, "expert_group_count", 1, MAX_EXPERTS, &v->shape.n_groups, e) ||
        !count_key(v, "expert_group_used_count", 1, MAX_EXPERTS, &v->shape.n_groups_used, e))
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
    const struct gg_tensor *t = x->t = &v->file->tensors[i];
    bool suspect;
    const struct tensor_rule *r = family_rule(t->name, &x->layer, &suspect);
    x->axis = -1;
    uint64_t elements = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
    v->bytes += t->bytes;
    v->n_params += elements;
    if (x->layer >= 0 && (uint32_t)x->layer >= v->n_blocks)
        return err_set(e, ERR_INPUT, "tensor '%s' belongs to block %d, but the model has %u blocks", t->name,
                       x->layer, v->n_blocks);
    if (suspect)
        return err_set(
            e, ERR_INPUT,
            "tensor '%s' looks like part of the experts, but is not known to this version; nothing is pruned by guess",
            t->name);
    if (!r)
        return true;
    x->role = r->role;
    if (r->role == ROLE_REFUSE)
        return true;
    if (t->ne[r->axis] != v->shape.n_experts)
        return err_set(e, ERR_INPUT, "tensor '%s': dimension %d is %llu, but the model has %u experts",
                       t->name, r->axis + 1, (unsigned long long)t->ne[r->axis], v->shape.n_experts);
    for (int d = r->axis + 1; d < 4; d++)
        if (t->ne[d] !=
            1) /* slices must be whole runs of rows; no known file has more (Ernie's bias is {E, 1}) */
            return err_set(e, ERR_INPUT,
                           "tensor '%s': dimension %d is %llu behind the expert axis, expected 1", t->name,
                           d + 1, (unsigned long long)t->ne[d]);
    if (r->axis == 0 && gg_type_get(t->type)->block != 1)
        return err_set(e, ERR_INPUT, "tensor '%s' is of type %s, expected one value per expert", t->name,
                       gg_type_get(t->type)->name);
    x->axis = r->axis;
    v->expert_bytes += t->bytes;
    v->expert_params += elements;
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
        if (x->axis >= 0)
            see(&b[x->layer], x->t->name, i);
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
        if (il + v->n_mtp < v->n_blocks)
            v->layers[v->n_layers++] = (struct view_layer){il, used, s->router_at};
    }
    free(b);
    if (ok && v->n_layers == 0)
        ok = err_set(e, ERR_INPUT,
                     "key '%s.expert_count' is %u, but no block outside the MTP blocks has experts",
                     v->family->arch, v->shape.n_experts);
    return ok;
}

static bool fill(struct view *v, struct err *e)
{
    if (!read_family(v, e) || !read_counts(v, e))
        return false;
    v->n_tensors = v->file->n_tensors;
    v->tensors = xcalloc(v->n_tensors, sizeof *v->tensors);
    v->layers = xcalloc(v->n_blocks, sizeof *v->layers);
    for (uint64_t i = 0; i < v->n_tensors; i++)
        if (!read_tensor(v, i, e))
            return false;
    for (uint64_t i = 0; i < v->n_tensors;
         i++) /* the old form has no fused tensors: say that before "no block has experts" */
        if (v->tensors[i].role == ROLE_REFUSE && strstr(v->tensors[i].t->name, "ffn_down."))
            return err_set(e, ERR_INPUT, "tensor '%s' %s", v->tensors[i].t->name,
                           family_rule(v->tensors[i].t->name, &(int32_t){0}, &(bool){0})->why);
    if (!read_layers(v, e))
        return false;
    if (v->shape.n_groups > 1 &&
        (uint64_t)v->shape.n_groups_used * (v->shape.n_experts / v->shape.n_groups) < v->shape.n_used)
        return err_set(e, ERR_INPUT, "%u of %u groups hold %u experts, fewer than the %u that a token needs",
                       v->shape.n_groups_used, v->shape.n_groups,
                       v->shape.n_groups_used * (v->shape.n_experts / v->shape.n_groups), v->shape.n_used);
    return true;
}

struct view *view_open(const char *path, struct err *e)
{
    struct gg_file *f = gg_open(path, e);
    if (!f)
        return NULL;
    struct view *v = xcalloc(1, sizeof *v);
    v->file = f;
    v->path = xstrdup(path);
    if (!fill(v, e)) {
        err_ctx(e, "%s", path);
        view_free(v);
        return NULL;
    }
    const char *s;
    uint64_t n;
    if (gg_key_str(gg_find(f, "general.name"), &s, &n) && n) {
        struct buf b = {0};
        buf_safe(&b, s, n < 200 ? n : 200);
        v->name = b.s;
    } else {
        v->name = xstrdup(path_base(path));
    }
    return v;
}

void view_free(struct view *v)
{
    if (!v)
        return;
    gg_free(v->file);
    free(v->path);
    free(v->name);
    free(v->layers);
    free(v->tensors);
    free(v);
}

bool view_check_output(const struct view *v, const char *path, struct err *e)
{
    for (uint32_t i = 0; i < v->file->n_parts; i++)
        if (file_would_destroy(path, v->file->parts[i].path))
            return err_set(e, ERR_INPUT, "the output '%s' is the model itself ('%s')", path,
                           v->file->parts[i].path);
    return true;
}

const char *view_refusal(const struct view *v)
{
    static char why[256];
    if (v->family->refuse)
        return v->family->refuse;
    for (uint64_t i = 0; i < v->n_tensors; i++)
        if (v->tensors[i].role == ROLE_REFUSE) {
            int32_t il;
            bool suspect;
            snprintf(why, sizeof why, "tensor '%s' %s", v->tensors[i].t->name,
                     family_rule(v->tensors[i].t->name, &il, &suspect)->why);
            return why;
        }
    /* src/models/llama4.cpp: 128 experts mean Maverick, and Maverick has no QK norm; any other count switches
     * it on. */
    if (!strcmp(v->family->arch, "llama4") && v->shape.n_experts == 128)
        return "the engine takes a Llama-4 model with another number of experts than 128 for one with QK norm, "
               "so a pruned Maverick would compute something else";
    return NULL;
}

/* ---- the router hash ---- */

static uint16_t bf16_of_f32(uint32_t x)
{
    if ((x & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(x >> 16 | 64); /* NaN stays NaN */
    return (uint16_t)((x + 0x7fffu + (x >> 16 & 1)) >> 16);
}

static uint32_t f32_of_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exp = h >> 10 & 31, man = h & 1023;
    if (exp == 31)
        return sign | 0x7f800000u | man << 13;
    if (exp == 0) {
        if (!man)
            return sign;
        exp = 1;
        while (!(man & 1024)) {
            man <<= 1;
            exp--;
        }
        man &= 1023;
        return sign | (exp + 112) << 23 | man << 13;
    }
    return sign | (exp + 112) << 23 | man << 13;
}

static void to_bf16(const uint8_t *p, uint64_t n, uint32_t type, uint8_t *out)
{
    for (uint64_t i = 0; i < n; i++) {
        uint16_t h;
        if (type == 0)
            h = bf16_of_f32((uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 | (uint32_t)p[4 * i + 2] << 16 |
                            (uint32_t)p[4 * i + 3] << 24);
        else {
            h = (uint16_t)(p[2 * i] | p[2 * i + 1] << 8);
            if (type == 1)
                h = bf16_of_f32(f32_of_f16(h));
        }
        out[2 * i] = (uint8_t)h;
        out[2 * i + 1] = (uint8_t)(h >> 8);
    }
}

bool view_hash(struct view *v, struct err *e)
{
    for (uint32_t i = 0; i < v->n_layers; i++) {
        const struct gg_tensor *t = v->tensors[v->layers[i].router].t;
        if (t->type != 0 && t->type != 1 && t->type != 30) {
            log_warn(
                "router '%s' is stored as %s, which is not exact: the model is identified by its shape only",
                t->name, gg_type_get(t->type)->name);
            return true;
        }
    }
    struct sha256 *h = sha256_new();
    bool ok = true;
    for (uint32_t i = 0; ok && i < v->n_layers; i++) {
        const struct gg_tensor *t = v->tensors[v->layers[i].router].t;
        uint64_t n = t->ne[0] * t->ne[1];
        uint8_t *raw = mem_try(t->bytes, 1, t->name, e), *bf = raw ? mem_try(n, 2, t->name, e) : NULL;
        ok = bf && file_pread(v->file->parts[t->part].fd, raw, t->bytes, t->off, e);
        if (ok) {
            to_bf16(raw, n, t->type, bf);
            sha256_add(h, bf, 2 * n);
        }
        free(raw);
        free(bf);
    }
    char hex[65];
    sha256_hex(h, hex);
    if (ok)
        memcpy(v->router_hash, hex, sizeof hex);
    return ok || err_ctx(e, "%s", v->path);
}

/* ---- layers and counts ---- */

int view_layer_index(const struct view *v, uint32_t il)
{
    for (uint32_t i = 0; i < v->n_layers; i++)
        if (v->layers[i].il == il)
            return (int)i;
    return -1;
}

int view_plan_layer(const struct view *v, int32_t il)
{
    if (il < 0)
        return -1;
    if ((uint32_t)il + v->n_mtp >= v->n_blocks)
        return (int)v->n_layers - 1;
    return view_layer_index(v, (uint32_t)il);
}

uint64_t view_bytes_kept(const struct view *v, uint32_t n_keep)
{
    return v->bytes - v->expert_bytes + v->expert_bytes / v->shape.n_experts * n_keep;
}

bool shape_keep_ok(const struct shape *s, uint64_t n)
{
    uint64_t g = s->n_groups;
    if (n < 1 || n < s->n_used || n > s->n_experts)
        return false;
    return g == 1 || (n % g == 0 && n / g >= 2 && s->n_groups_used * (n / g) >= s->n_used);
}

bool shape_check_keep(const struct shape *s, uint32_t n, struct err *e)
{
    if (shape_keep_ok(s, n))
        return true;
    if (n > s->n_experts)
        return err_set(e, ERR_INPUT, "keeping %u experts: the model has %u", n, s->n_experts);
    uint32_t below = n, above = n;
    while (below > 0 && !shape_keep_ok(s, below))
        below--;
    while (above < s->n_experts && !shape_keep_ok(s, above))
        above++;
    char near[64];
    if (below)
        snprintf(near, sizeof near, "nearest %u or %u", below, above);
    else
        snprintf(near, sizeof near, "the smallest possible is %u", above);
    if (n < s->n_used)
        return err_set(
            e, ERR_INPUT,
            "keeping %u of %u experts: a token is routed to %u (top-k), so at least that many must stay; %s",
            n, s->n_experts, s->n_used, near);
    if (n % s->n_groups)
        return err_set(e, ERR_INPUT,
                       "keeping %u of %u experts: must be a multiple of the %u expert groups; %s", n,
                       s->n_experts, s->n_groups, near);
    return err_set(
        e, ERR_INPUT,
        "keeping %u of %u experts: each of the %u groups must keep at least 2, and %u groups must hold the top-k of %u; %s",
        n, s->n_experts, s->n_groups, s->n_groups_used, s->n_used, near);
}

/* ---- identity ---- */

json_t *view_identity(const struct view *v)
{
    json_t *o = json_object(), *l = json_array();
    json_object_set_new(o, "architecture", json_string(v->family->arch));
    json_object_set_new(o, "name", json_string(v->name));
    json_object_set_new(o, "n_layers", json_integer(v->n_blocks));
    json_object_set_new(o, "n_experts", json_integer(v->shape.n_experts));
    json_object_set_new(o, "n_experts_used", json_integer(v->shape.n_used));
    if (v->shape.n_groups > 1) {
        json_object_set_new(o, "n_expert_groups", json_integer(v->shape.n_groups));
        json_object_set_new(o, "n_expert_groups_used", json_integer(v->shape.n_groups_used));
    }
    for (uint32_t i = 0; i < v->n_layers; i++)
        json_array_append_new(l, json_integer(v->layers[i].il));
    json_object_set_new(o, "moe_layers", l);
    json_object_set_new(o, "router_hash", v->router_hash[0] ? json_string(v->router_hash) : json_null());
    return o;
}

static bool match_count(const json_t *id, const char *key, uint64_t have, const char *what, struct err *e)
{
    uint64_t n;
    if (!json_object_get(id, key))
        return true;
    if (!json_need_u64(id, key, what, &n, e))
        return false;
    return n == have ||
           err_set(e, ERR_INPUT, "%s belongs to another model: its %s is %llu, the model's is %llu", what,
                   key, (unsigned long long)n, (unsigned long long)have);
}

bool view_match(const struct view *v, const json_t *id, const char *what, struct err *e)
{
    const char *arch = json_string_value(json_object_get(id, "architecture"));
    const char *hash = json_string_value(json_object_get(id, "router_hash"));
    if (arch && strcmp(arch, v->family->arch) != 0)
        return err_set(e, ERR_INPUT,
                       "%s belongs to another model: its architecture is '%s', the model's is '%s'", what,
                       arch, v->family->arch);
    if (!match_count(id, "n_experts", v->shape.n_experts, what, e) ||
        !match_count(id, "n_experts_used", v->shape.n_used, what, e))
        return false;
    if (hash && v->router_hash[0])
        return !strcmp(hash, v->router_hash) ||
               err_set(e, ERR_INPUT,
                       "%s belongs to another model: its router_hash is %.12s..., the model's is %.12s...",
                       what, hash, v->router_hash);
    log_warn("%s has no router hash to compare with '%s': only architecture and counts were checked", what,
             path_base(v->path));
    return true;
}
