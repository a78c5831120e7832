/* view.c - see view.h: what both formats share. */
#include "model/view.h"
#include "base/file.h"
#include "base/float.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

bool shape_check_groups(const struct shape *s, struct err *e)
{
    uint64_t held = (uint64_t)s->n_groups_used * (s->n_experts / s->n_groups);
    return s->n_groups == 1 || held >= s->n_used ||
           err_set(e, ERR_INPUT, "%u of %u groups hold %llu experts, fewer than the %u that a token needs",
                   s->n_groups_used, s->n_groups, (unsigned long long)held, s->n_used);
}

static const struct format *format_of(const char *path)
{
    for (uint32_t i = 0; i < n_formats; i++)
        if (formats[i].view->knows(path))
            return &formats[i];
    return NULL;
}

#define MTP_ALONE                                                                 \
    "has experts in MTP blocks alone, as a file that is loaded beside its model " \
    "(llama-server --model-draft)"

/* Of the tensors that cannot be cut the first says why. */
static void find_refusal(struct view *v)
{
    const char *why = v->format->view->refusal(v);
    if (why)
        v->refusal = xstrdup(why);
    else if (!v->n_layers)
        v->refusal = xstrdup(MTP_ALONE);
    for (uint64_t i = 0; !v->refusal && i < v->n_tensors; i++)
        if (v->tensors[i].role == ROLE_REFUSE)
            v->refusal = xasprintf("tensor '%.190s' %s", v->tensors[i].name, v->tensors[i].why);
}

struct view *view_open_any(const char *path, struct err *e)
{
    struct view *v = xcalloc(1, sizeof *v);
    v->path = xstrdup(path);
    v->format = format_of(path);
    if (!v->format) /* what it was changed, or could not be told, between two looks at it */
        err_set(e, ERR_FAILED, "cannot tell whether '%s' is a file or a folder", path);
    else if (v->format->view->open(v, e)) {
        find_refusal(v);
        return v;
    }
    view_free(v);
    return NULL;
}

bool view_check_trunk(const struct view *v, struct err *e)
{
    return v->n_layers || err_set(e, ERR_INPUT, MTP_ALONE ": give the model itself");
}

struct view *view_open(const char *path, struct err *e)
{
    struct view *v = view_open_any(path, e);
    if (!v || view_check_trunk(v, e))
        return v;
    err_ctx(e, "%s", path);
    view_free(v);
    return NULL;
}

const char *view_largest_file(const struct view *v)
{
    const struct view_file *best = NULL;
    for (uint32_t i = 0; i < v->n_files; i++)
        if (!best || v->files[i].size > best->size)
            best = &v->files[i];
    return best ? best->path : v->path;
}

void view_free(struct view *v)
{
    if (!v)
        return;
    if (v->format)
        v->format->view->close(v);
    free(v->path);
    free(v->name);
    free(v->refusal);
    free(v->files);
    free(v->layers);
    free(v->tensors);
    free(v);
}

void view_stamp(const struct view *v, struct buf *b)
{
    for (uint32_t i = 0; i < v->n_files; i++) {
        buf_str(b, "file ");
        buf_line(b, v->files[i].path, strlen(v->files[i].path));
        buf_char(b, ' ');
        file_stamp(v->files[i].path, b);
        buf_char(b, '\n');
    }
    v->format->view->stamp(v, b);
}

bool view_check_output(const struct view *v, const char *path, struct err *e)
{
    if (!v->format->view->check_output(v, path, e))
        return false;
    for (uint32_t i = 0; i < v->n_files; i++)
        if (file_would_destroy(path, v->files[i].path))
            return err_set(e, ERR_INPUT, "the output '%s' is the model itself ('%s')", path,
                           v->files[i].path);
    return true;
}

const struct view_tensor *view_find(const struct view *v, const char *name)
{
    return v->format->view->find(v, name);
}

int view_fd(const struct view *v, const struct view_tensor *x)
{
    return v->files[x->file].fd;
}

bool view_read(const struct view *v, const struct view_tensor *x, void *dst, uint64_t n, uint64_t off,
               struct err *e)
{
    const struct view_file *f = &v->files[x->file];
    return file_pread(f->fd, dst, n, off, e) || err_ctx(e, "%s", f->path);
}

bool view_check_prunable(const struct view *v, struct err *e)
{
    return !v->refusal || err_set(e, ERR_INPUT, "%s: cannot be pruned: %s", v->path, v->refusal);
}

/* ---- the router hash ---- */

enum float_type { FLOAT_NONE, FLOAT_F32, FLOAT_F16, FLOAT_BF16 };

static enum float_type float_type(const char *type)
{
    return !strcasecmp(type, "f32")    ? FLOAT_F32
           : !strcasecmp(type, "f16")  ? FLOAT_F16
           : !strcasecmp(type, "bf16") ? FLOAT_BF16
                                       : FLOAT_NONE;
}

static void to_bf16(const uint8_t *p, uint64_t n, enum float_type type, uint8_t *out)
{
    for (uint64_t i = 0; i < n; i++) {
        uint16_t h;
        if (type == FLOAT_F32) {
            h = float_to_bf16(float_from_bits((uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 |
                                              (uint32_t)p[4 * i + 2] << 16 | (uint32_t)p[4 * i + 3] << 24));
        } else {
            h = (uint16_t)(p[2 * i] | p[2 * i + 1] << 8);
            if (type == FLOAT_F16)
                h = float_to_bf16(float_of_f16(h));
        }
        out[2 * i] = (uint8_t)h;
        out[2 * i + 1] = (uint8_t)(h >> 8);
    }
}

bool view_hash(struct view *v, struct err *e)
{
    if (v->hashed)
        return true;
    if (!v->n_layers)
        return v->hashed = true;
    for (uint32_t i = 0; i < v->n_layers; i++) {
        const struct view_tensor *t = &v->tensors[v->layers[i].router];
        if (float_type(t->type) == FLOAT_NONE) {
            log_warn(
                "router '%s' is stored as %s, which is not exact: the model is identified by its shape only",
                t->name, t->type);
            return v->hashed = true;
        }
    }
    struct sha256 *h = sha256_new();
    bool ok = true;
    for (uint32_t i = 0; ok && i < v->n_layers; i++) {
        const struct view_tensor *t = &v->tensors[v->layers[i].router];
        uint8_t *raw = mem_try(t->bytes, 1, t->name, e);
        uint8_t *bf = raw ? mem_try(t->n_elements, 2, t->name, e) : NULL;
        ok = bf && view_read(v, t, raw, t->bytes, t->off, e);
        if (ok) {
            to_bf16(raw, t->n_elements, float_type(t->type), bf);
            sha256_add(h, bf, 2 * t->n_elements);
        }
        free(raw);
        free(bf);
    }
    char hex[65];
    sha256_hex(h, hex);
    if (ok)
        memcpy(v->router_hash, hex, sizeof hex);
    v->hashed = ok;
    return ok;
}

/* ---- layers and counts ---- */

static int find_layer(const struct view *v, uint32_t n, uint32_t il)
{
    for (uint32_t i = 0; i < n; i++)
        if (v->layers[i].il == il)
            return (int)i;
    return -1;
}

int view_layer_index(const struct view *v, uint32_t il)
{
    return find_layer(v, v->n_layers, il);
}

int view_block_index(const struct view *v, uint32_t il)
{
    return find_layer(v, v->n_layers + v->n_mtp_layers, il);
}

bool shape_keep_ok(const struct shape *s, uint64_t n)
{
    uint64_t g = s->n_groups;
    if (n < 1 || n < s->n_used || n > s->n_experts)
        return false;
    return g == 1 || (n % g == 0 && n / g >= 2 && s->n_groups_used * (n / g) >= s->n_used);
}

uint32_t shape_share(const struct shape *s, double keep)
{
    double n = ceil(keep * s->n_experts - 1e-9); /* 0.7 * 10 is a little more than 7 in binary */
    return n < 1 ? 1 : n > s->n_experts ? s->n_experts : (uint32_t)n;
}

uint32_t shape_next_ok(const struct shape *s, uint32_t n)
{
    for (; n <= s->n_experts; n++)
        if (shape_keep_ok(s, n))
            return n;
    return 0;
}

uint32_t shape_at_ratio(const struct shape *s, double prune_ratio)
{
    uint32_t n = shape_next_ok(s, shape_share(s, 1 - prune_ratio));
    return n ? n : s->n_experts;
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
        return err_set(
            e, ERR_INPUT,
            "keeping %u of %u experts: must be a multiple of the %u expert groups (n_group %u); %s", n,
            s->n_experts, s->n_groups, s->n_groups, near);
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
