/* verify.c - see prune.h. Reads both files anew: what is compared is what lies on the disk. */
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "prune/prune.h"

#include <stdarg.h>
#include <string.h>

#define WINDOW    (1u << 20)
#define MAX_SHOWN 20

struct check {
    struct view *a, *b; /* parent, pruned */
    const struct plan *p;
    struct verify_result *r;
    uint8_t *buf; /* two windows */
    struct progress progress;
    uint64_t done;
};

static void differ(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void differ(struct check *c, const char *fmt, ...)
{
    char s[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s, sizeof s, fmt, ap);
    va_end(ap);
    c->r->n_diff++;
    if (json_array_size(c->r->diff) < MAX_SHOWN)
        json_array_append_new(c->r->diff, json_text(s));
}

/* ---- keys ---- */

static bool same_raw(const struct gg_key *x, const struct gg_key *y)
{
    return x->raw_bytes == y->raw_bytes && !memcmp(x->raw, y->raw, x->raw_bytes);
}

static bool skip_key(const struct gg_key *k)
{
    return !strncmp(k->name, "reap.", 5) || !strncmp(k->name, "split.", 6);
}

static void check_keys(struct check *c)
{
    char count[160];
    snprintf(count, sizeof count, "%s.expert_count", c->a->family->arch);
    const struct gg_part *a = &c->a->file->parts[0], *b = &c->b->file->parts[0];
    for (uint64_t i = 0; i < a->n_keys; i++) {
        const struct gg_key *x = &a->keys[i], *y = gg_find(c->b->file, x->name);
        if (skip_key(x))
            continue;
        uint64_t n;
        if (!y)
            differ(c, "key '%s' is missing", x->name);
        else if (!strcmp(x->name, count) &&
                 (x->kind != y->kind || !gg_key_u64(y, &n) || n != c->b->shape.n_experts))
            differ(c, "key '%s' does not hold the number of experts", x->name);
        else if (strcmp(x->name, count) != 0 && !same_raw(x, y))
            differ(c, "key '%s' has another type or value", x->name);
        else
            c->r->keys_same++;
    }
    for (uint64_t i = 0; i < b->n_keys; i++)
        if (!skip_key(&b->keys[i]) && !gg_find(c->a->file, b->keys[i].name))
            differ(c, "key '%s' is not in the parent", b->keys[i].name);
}

/* ---- bytes ---- */

/* Compares n bytes; *at: how many are equal from the start. */
static bool same_bytes(struct check *c, int fa, uint64_t oa, int fb, uint64_t ob, uint64_t n, uint64_t *at,
                       struct err *e)
{
    for (*at = 0; *at < n;) {
        uint64_t k = n - *at < WINDOW ? n - *at : WINDOW;
        if (!sig_check(e) || !file_pread(fa, c->buf, k, oa + *at, e) ||
            !file_pread(fb, c->buf + WINDOW, k, ob + *at, e))
            return false;
        if (memcmp(c->buf, c->buf + WINDOW, k) != 0) {
            for (uint64_t i = 0; i < k && c->buf[i] == c->buf[WINDOW + i]; i++)
                ++*at;
            return true;
        }
        *at += k;
        progress_set(&c->progress, c->done += k);
    }
    return true;
}

static int fd_of(const struct view *v, const struct gg_tensor *t)
{
    return v->file->parts[t->part].fd;
}

static bool same_shape(struct check *c, const struct view_tensor *x, const struct gg_tensor *y)
{
    if (x->t->type != y->type) {
        differ(c, "tensor '%s' is of type %s, the parent's is %s", y->name, gg_type_get(y->type)->name,
               gg_type_get(x->t->type)->name);
        return false;
    }
    bool ok = x->t->n_dims == y->n_dims;
    for (int d = 0; d < 4; d++)
        ok = ok && y->ne[d] == (d == x->axis ? c->b->shape.n_experts : x->t->ne[d]);
    if (!ok)
        differ(c, "tensor '%s' has another shape", y->name);
    return ok;
}

static bool check_tensor(struct check *c, const struct view_tensor *x, const struct gg_tensor *y,
                         struct err *e)
{
    uint64_t at;
    int fa = fd_of(c->a, x->t), fb = fd_of(c->b, y);
    if (!same_shape(c, x, y))
        return true;
    if (x->axis < 0) {
        if (!same_bytes(c, fa, x->t->off, fb, y->off, y->bytes, &at, e))
            return false;
        if (at < y->bytes)
            differ(c, "tensor '%s' differs at byte %llu", y->name, (unsigned long long)at);
        else
            c->r->tensors_same++;
        c->r->bytes += at;
        return true;
    }
    const uint32_t *keep = c->p->layers[view_plan_layer(c->a, x->layer)].keep;
    uint64_t slice = y->bytes / c->p->n_keep;
    bool equal = true;
    for (uint32_t k = 0; k < c->p->n_keep; k++) {
        if (!same_bytes(c, fa, x->t->off + keep[k] * slice, fb, y->off + k * slice, slice, &at, e))
            return false;
        c->r->bytes += at;
        if (at == slice)
            continue;
        equal = false;
        differ(c, "tensor '%s': expert %u (number %u of the parent) differs at byte %llu", y->name, k,
               keep[k], (unsigned long long)at);
    }
    c->r->tensors_cut += equal;
    return true;
}

static bool check_tensors(struct check *c, struct err *e)
{
    for (uint64_t i = 0; i < c->a->n_tensors; i++) {
        const struct view_tensor *x = &c->a->tensors[i];
        const struct gg_tensor *y = gg_find_tensor(c->b->file, x->t->name);
        if (!y)
            differ(c, "tensor '%s' is missing", x->t->name);
        else if (x->axis >= 0 && !c->p)
            continue; /* nobody knows which experts to compare; said before */
        else if (!check_tensor(c, x, y, e))
            return err_ctx(e, "tensor '%s'", x->t->name);
    }
    for (uint64_t i = 0; i < c->b->n_tensors; i++)
        if (!gg_find_tensor(c->a->file, c->b->tensors[i].t->name))
            differ(c, "tensor '%s' is not in the parent", c->b->tensors[i].t->name);
    return true;
}

/* ---- finding out which experts were kept ---- */

/* One hash per expert over all its slices in a block. */
static struct hash128 *hash_experts(struct check *c, const struct view *v, uint32_t il, struct err *e)
{
    struct hash128 *h = xcalloc(v->shape.n_experts, sizeof *h);
    for (uint64_t i = 0; i < c->a->n_tensors; i++) { /* in the parent's order, so that both sides mix alike */
        const struct view_tensor *x = &c->a->tensors[i];
        const struct gg_tensor *t = v == c->a ? x->t : gg_find_tensor(v->file, x->t->name);
        if (x->axis < 0 || (uint32_t)x->layer != il || !t)
            continue;
        uint64_t slice = t->bytes / v->shape.n_experts;
        for (uint32_t j = 0; j < v->shape.n_experts; j++) {
            struct hash128 one;
            if (!hash128_range(fd_of(v, t), t->off + j * slice, slice, &one, e)) {
                free(h);
                return NULL;
            }
            h[j].lo = h[j].lo * 0x9e3779b97f4a7c15u + one.lo;
            h[j].hi = h[j].hi * 0xc2b2ae3d27d4eb4fu + one.hi;
            progress_set(&c->progress, c->done += slice);
        }
    }
    return h;
}

/* The parent's expert for each of the pruned one's, ascending. Equal experts (all zero, say) are matched in
 * order. */
static bool match_layer(struct check *c, uint32_t il, uint32_t *keep, struct err *e)
{
    struct hash128 *ha = hash_experts(c, c->a, il, e), *hb = ha ? hash_experts(c, c->b, il, e) : NULL;
    bool *used = xcalloc(c->a->shape.n_experts, sizeof *used);
    bool order = true;
    for (uint32_t k = 0; hb && k < c->b->shape.n_experts; k++) {
        uint32_t j = 0;
        while (j < c->a->shape.n_experts && (used[j] || ha[j].lo != hb[k].lo || ha[j].hi != hb[k].hi))
            j++;
        if (j == c->a->shape.n_experts) {
            differ(c, "layer %u: expert %u has the bytes of no expert of the parent", il, k);
            order = false;
            continue;
        }
        used[j] = true;
        keep[k] = j;
        if (k && order && j < keep[k - 1]) {
            differ(c, "layer %u: experts are not in the parent's order (%u behind %u)", il, j, keep[k - 1]);
            order = false;
        }
    }
    free(used);
    free(ha);
    free(hb);
    return e->code == ERR_NONE;
}

static bool find_plan(struct check *c, struct err *e)
{
    struct plan *p = xcalloc(1, sizeof *p);
    uint64_t before = c->r->n_diff;
    p->n_keep = c->b->shape.n_experts;
    p->n_layers = c->a->n_layers;
    p->layers = xcalloc(p->n_layers, sizeof *p->layers);
    json_t *keep = json_object();
    bool ok = true;
    for (uint32_t i = 0; ok && i < p->n_layers; i++) {
        char key[16];
        p->layers[i].il = c->a->layers[i].il;
        p->layers[i].keep = xcalloc(p->n_keep, sizeof(uint32_t));
        ok = match_layer(c, p->layers[i].il, p->layers[i].keep, e);
        json_t *ids = json_array();
        for (uint32_t k = 0; k < p->n_keep; k++)
            json_array_append_new(ids, json_integer(p->layers[i].keep[k]));
        snprintf(key, sizeof key, "%u", p->layers[i].il);
        json_object_set_new(keep, key, ids);
    }
    p->doc = json_object();
    json_object_set_new(p->doc, "schema", json_string("reap.plan/1"));
    json_object_set_new(p->doc, "n_keep", json_integer(p->n_keep));
    json_object_set_new(p->doc, "keep", keep);
    if (ok && c->r->n_diff == before) {
        c->p = c->r->found = p;
        return true;
    }
    plan_free(p);
    return ok;
}

bool verify_run(struct view *parent, struct view *pruned, const struct plan *p, struct verify_result *r,
                struct err *e)
{
    *r = (struct verify_result){.diff = json_array()};
    struct check c = {.a = parent, .b = pruned, .p = p, .r = r};
    if (strcmp(parent->family->arch, pruned->family->arch) != 0) {
        differ(&c, "its architecture is '%s', the parent's is '%s'", pruned->family->arch,
               parent->family->arch);
        return true;
    }
    if (pruned->shape.n_experts > parent->shape.n_experts || (p && p->n_keep != pruned->shape.n_experts)) {
        differ(&c, "it has %u experts, expected %u", pruned->shape.n_experts,
               p ? p->n_keep : parent->shape.n_experts);
        return true;
    }
    c.buf = xmalloc(2 * (size_t)WINDOW);
    uint64_t hashed = p ? 0 : parent->expert_bytes + pruned->expert_bytes;
    progress_start(&c.progress, "verifying", "bytes", pruned->bytes + hashed, 0);
    bool ok = p || find_plan(&c, e);
    if (ok) {
        check_keys(&c);
        ok = check_tensors(&c, e);
    }
    progress_end(&c.progress);
    free(c.buf);
    return ok;
}

void verify_result_clear(struct verify_result *r)
{
    json_decref(r->diff);
    plan_free(r->found);
    *r = (struct verify_result){0};
}
