/* verify.c - see prune.h. Reads both models anew: what is compared is what lies on the disk.
 *
 * What the result should be called, and how large it should be, comes from rules here and not from a cut, so
 * that a mistake of that is noticed. */
#include "base/file.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "prune/prune.h"

#include <stdarg.h>
#include <string.h>

#define WINDOW    (1u << 20)
#define MAX_SHOWN 20
#define SCALE     ".ffn_down_exps.scale" /* of a GGUF file: what gains are written as */

struct check {
    struct view *a, *b; /* parent, pruned */
    const struct plan *p;
    const uint32_t **keep; /* by block of the parent: the experts that stay; NULL without a plan */
    struct verify_result *r;
    bool dropped; /* the pruned model has no MTP blocks any more */
    bool alone;   /* it has nothing else, with all their experts (cut_opts.only_mtp) */
    uint8_t *buf; /* two windows */
    struct progress progress;
    uint64_t done;
};

void verify_differ(struct verify_result *r, const char *fmt, ...)
{
    char s[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s, sizeof s, fmt, ap);
    va_end(ap);
    r->n_diff++;
    if (json_array_size(r->diff) < MAX_SHOWN)
        json_array_append_new(r->diff, json_text(s));
}

/* ---- bytes ---- */

/* Compares n bytes; *at: how many are equal from the start. */
static bool same_bytes(struct check *c, const struct view_tensor *x, uint64_t oa, const struct view_tensor *y,
                       uint64_t ob, uint64_t n, uint64_t *at, struct err *e)
{
    for (*at = 0; *at < n;) {
        uint64_t k = n - *at < WINDOW ? n - *at : WINDOW;
        if (!sig_check(e) || !view_read(c->a, x, c->buf, k, oa + *at, e) ||
            !view_read(c->b, y, c->buf + WINDOW, k, ob + *at, e))
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

/* ---- names, shapes and places of what stays, by rule ---- */

/* Which experts stay in each block of the parent; NULL: it has none. */
static const uint32_t **keep_by_block(const struct view *v, const struct plan *p)
{
    const uint32_t **keep = xcalloc(v->n_blocks, sizeof *keep);
    for (uint32_t il = 0; il < v->n_blocks; il++)
        keep[il] = plan_keep_of(p, v, il);
    return keep;
}

static const uint32_t *keep_of(const struct check *c, const struct view_tensor *x)
{
    return c->keep && x->layer >= 0 && (uint32_t)x->layer < c->a->n_blocks ? c->keep[x->layer] : NULL;
}

/* The name with another expert's number. */
static char *name_of_expert(const struct view_tensor *x, uint32_t expert)
{
    const char *rest = x->name + x->number;
    return xasprintf("%.*s%u%s", (int)x->number, x->name, expert, rest + strspn(rest, "0123456789"));
}

static bool same_shape(struct check *c, const struct view_tensor *x, const struct view_tensor *y)
{
    if (strcmp(x->type, y->type) != 0) {
        verify_differ(c->r, "tensor '%s' is of type %s, the parent's is %s", y->name, y->type, x->type);
        return false;
    }
    uint64_t was = c->a->shape.n_experts + x->idle, is = c->b->shape.n_experts + x->idle;
    bool ok =
        x->n_dims == y->n_dims && (x->axis < 0 ? x->bytes == y->bytes : x->bytes / was * is == y->bytes);
    for (uint32_t d = 0; ok && d < x->n_dims; d++)
        ok = (int32_t)d == x->axis ? x->dims[d] * is == y->dims[d] * was : x->dims[d] == y->dims[d];
    if (!ok)
        verify_differ(c->r, "tensor '%s' has another shape", y->name);
    return ok;
}

static bool check_whole(struct check *c, const struct view_tensor *x, const struct view_tensor *y,
                        struct err *e)
{
    uint64_t at;
    if (!same_bytes(c, x, x->off, y, y->off, y->bytes, &at, e))
        return false;
    c->r->bytes += at;
    if (at == y->bytes)
        c->r->tensors_same++;
    else if (x->expert >= 0)
        verify_differ(c->r, "tensor '%s' (expert %d of the parent) differs at byte %llu", y->name, x->expert,
                      (unsigned long long)at);
    else
        verify_differ(c->r, "tensor '%s' differs at byte %llu", y->name, (unsigned long long)at);
    return true;
}

static bool check_stacked(struct check *c, const struct view_tensor *x, const struct view_tensor *y,
                          struct err *e)
{
    const uint32_t *keep = keep_of(c, x);
    uint32_t n = c->p->n_keep, n_all = n + (x->idle != 0);
    uint64_t at, one = view_slice(y, n);
    bool equal = true;
    for (uint32_t k = 0; k < n_all; k++) { /* at last those that do nothing, in one */
        uint64_t slice = k < n ? one : x->idle * one, from = k < n ? keep[k] : c->a->shape.n_experts;
        if (!same_bytes(c, x, x->off + from * one, y, y->off + k * one, slice, &at, e))
            return false;
        c->r->bytes += at;
        if (at == slice)
            continue;
        equal = false;
        if (k < n)
            verify_differ(c->r, "tensor '%s': expert %u (number %u of the parent) differs at byte %llu",
                          y->name, k, keep[k], (unsigned long long)at);
        else
            verify_differ(c->r, "tensor '%s': what is behind the experts differs at byte %llu", y->name,
                          (unsigned long long)at);
    }
    c->r->tensors_cut += equal;
    return true;
}

/* ---- tables of expert ids ---- */

static int64_t id_at(const uint8_t *p, uint64_t width)
{
    return width == 8 ? (int64_t)((uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
                                  (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
                                  (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56)
                      : (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                                  (uint32_t)p[3] << 24);
}

/* What stays has its new number, in its place; in the place of what went stands, of the experts that the token has
 * not, the first from (number of the place in the table) mod n_keep on. a, b: a row of k ids of each model. */
static bool ids_follow(const struct check *c, const uint32_t *keep, uint64_t token, uint64_t k,
                       uint64_t width, const uint8_t *a, const uint8_t *b)
{
    bool *has = xcalloc(c->p->n_keep, sizeof *has), ok = true;
    for (uint64_t s = 0; s < k; s++) {
        int64_t was = id_at(a + s * width, width);
        uint32_t id = (uint32_t)was;
        const uint32_t *at =
            was < 0 || was > UINT32_MAX ? NULL : bsearch(&id, keep, c->p->n_keep, sizeof *keep, ids_compare);
        if (at) {
            has[at - keep] = true;
            ok = ok && id_at(b + s * width, width) == at - keep;
        }
    }
    for (uint64_t s = 0; ok && s < k; s++) {
        uint32_t id = (uint32_t)id_at(a + s * width, width), n = (uint32_t)((token * k + s) % c->p->n_keep);
        if (bsearch(&id, keep, c->p->n_keep, sizeof *keep, ids_compare))
            continue;
        for (uint32_t tries = 0; has[n] && tries < c->p->n_keep; tries++)
            n = (n + 1) % c->p->n_keep;
        has[n] = true;
        ok = id_at(b + s * width, width) == n;
    }
    free(has);
    return ok;
}

static bool check_table(struct check *c, const struct view_tensor *x, const struct view_tensor *y,
                        struct err *e)
{
    const uint32_t *keep = keep_of(c, x);
    uint64_t width = x->bytes / (x->n_elements ? x->n_elements : 1);
    uint64_t k = x->dims[x->ggml_type >= 0 ? 0 : 1], row = k * width, n_rows = row ? x->bytes / row : 0;
    uint64_t step = row && row < WINDOW ? WINDOW / row : 0;
    for (uint64_t t = 0; keep && step && t < n_rows; t += step) {
        uint64_t n = n_rows - t < step ? n_rows - t : step;
        if (!sig_check(e) || !view_read(c->a, x, c->buf, n * row, x->off + t * row, e) ||
            !view_read(c->b, y, c->buf + WINDOW, n * row, y->off + t * row, e))
            return false;
        for (uint64_t i = 0; i < n; i++)
            if (!ids_follow(c, keep, t + i, k, width, c->buf + i * row, c->buf + WINDOW + i * row)) {
                verify_differ(c->r, "tensor '%s': token %llu goes to other experts than it should", y->name,
                              (unsigned long long)(t + i));
                return true;
            }
        c->r->bytes += n * row;
        progress_set(&c->progress, c->done += n * row);
    }
    c->r->tensors_cut += keep != NULL;
    return true;
}

/* ---- gains ---- */

/* Which layer's scale a tensor of either model is, when there are gains; -1: none. */
static int64_t gain_of(const struct check *c, const struct view_tensor *x)
{
    char name[64];
    for (uint32_t i = 0; c->p && c->p->gain && i < c->p->n_layers; i++) {
        snprintf(name, sizeof name, "blk.%u" SCALE, c->p->layers[i].il);
        if (!strcmp(x->name, name))
            return i;
    }
    return -1;
}

/* The values of a scale, n of them; false: it is no such tensor, which was said, or *e. */
static bool read_scale(struct check *c, const struct view *v, const struct view_tensor *x, uint32_t n,
                       float *values, struct err *e)
{
    if (x->ggml_type == 0 && x->n_dims == 1 && x->dims[0] == n)
        return view_read(v, x, values, 4ull * n, x->off, e);
    verify_differ(c->r, "tensor '%s' of '%s' is no row of %u float32", x->name, v->path, n);
    return false;
}

static bool check_gain(struct check *c, uint32_t i, struct err *e)
{
    const struct plan_layer *l = &c->p->layers[i];
    uint32_t n = c->a->shape.n_experts, n_keep = c->p->n_keep;
    char name[64];
    snprintf(name, sizeof name, "blk.%u" SCALE, l->il);
    const struct view_tensor *x = view_find(c->a, name), *y = view_find(c->b, name);
    if (!y) {
        verify_differ(c->r, "tensor '%s', the gain of layer %u, is missing", name, l->il);
        return true;
    }
    float *was = xcalloc(n, sizeof *was), *is = xcalloc(n_keep, sizeof *is);
    bool read = (!x || read_scale(c, c->a, x, n, was, e)) && read_scale(c, c->b, y, n_keep, is, e);
    uint64_t before = c->r->n_diff;
    for (uint32_t k = 0; read && k < n_keep; k++) {
        float want = (x ? was[l->keep[k]] : 1) * c->p->gain[i];
        if (memcmp(&want, &is[k], sizeof want) != 0) {
            verify_differ(c->r,
                          "tensor '%s': expert %u is scaled by %.9g, by the gain of %.9g it should be %.9g",
                          name, k, (double)is[k], (double)c->p->gain[i], (double)want);
            break;
        }
    }
    c->r->n_gains += read && c->r->n_diff == before;
    free(was);
    free(is);
    return e->code == ERR_NONE;
}

/* A tensor of the parent against what became of it. */
static bool check_tensor(struct check *c, const struct view_tensor *x, struct err *e)
{
    if ((x->mtp && c->dropped) || gain_of(c, x) >= 0 || (c->alone && x->layer >= 0 && !x->mtp))
        return true;
    const uint32_t *keep = keep_of(c, x), expert = (uint32_t)x->expert, *at = NULL;
    if (view_has_experts(x) && !keep && !c->alone)
        return true; /* nobody knows which experts to compare, which was said before */
    if (x->expert >= 0 && keep && !(at = bsearch(&expert, keep, c->p->n_keep, sizeof *keep, ids_compare)))
        return true; /* it has to be gone */
    char *name = at ? name_of_expert(x, (uint32_t)(at - keep)) : xstrdup(x->name);
    const struct view_tensor *y = view_find(c->b, name);
    bool ok = true;
    if (!y)
        verify_differ(c->r, "tensor '%s' is missing", name);
    else if (same_shape(c, x, y))
        ok = c->alone                ? check_whole(c, x, y, e)
             : x->role == ROLE_TABLE ? check_table(c, x, y, e)
             : x->axis < 0           ? check_whole(c, x, y, e)
                                     : check_stacked(c, x, y, e);
    free(name);
    return ok || err_ctx(e, "tensor '%s'", x->name);
}

static bool is_scale(const struct view_tensor *x)
{
    size_t n = strlen(x->name), k = sizeof SCALE - 1;
    return n > k && !strcmp(x->name + n - k, SCALE);
}

/* Whether a tensor of the pruned model comes from one of the parent. */
static bool has_parent(const struct check *c, const struct view_tensor *y)
{
    if (c->alone && y->layer >= 0 && !y->mtp)
        return false;
    if (y->expert < 0)
        return view_find(c->a, y->name) != NULL || gain_of(c, y) >= 0;
    if (!c->p)
        return true;
    const uint32_t *keep = keep_of(c, y);
    if (!keep || (uint32_t)y->expert >= c->p->n_keep)
        return false;
    char *name = name_of_expert(y, keep[y->expert]);
    bool found = view_find(c->a, name) != NULL;
    free(name);
    return found;
}

static bool check_tensors(struct check *c, struct err *e)
{
    for (uint64_t i = 0; i < c->a->n_tensors; i++)
        if (!check_tensor(c, &c->a->tensors[i], e))
            return false;
    for (uint32_t i = 0; c->p && c->p->gain && i < c->p->n_layers; i++)
        if (!check_gain(c, i, e))
            return false;
    for (uint64_t i = 0; i < c->b->n_tensors; i++)
        if (!has_parent(c, &c->b->tensors[i]))
            verify_differ(c->r, "tensor '%s' is not in the parent%s", c->b->tensors[i].name,
                          is_scale(&c->b->tensors[i]) ? " (a gain? --plan PLAN --gain GAIN)" : "");
    return true;
}

/* ---- finding out which experts were kept ---- */

static uint64_t hash_name(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (uint8_t)*s) * 0x100000001b3u;
    return h | 1;
}

static bool hash_slice(struct check *c, const struct view *v, const struct view_tensor *x, uint64_t off,
                       uint64_t n, const char *part, struct hash128 *h, struct err *e)
{
    struct hash128 one;
    if (!hash128_range(view_fd(v, x), off, n, &one, e))
        return err_ctx(e, "%s", v->files[x->file].path);
    /* a sum, because files hold their tensors in any order */
    h->lo += (one.lo ^ hash_name(part)) * 0x9e3779b97f4a7c15u;
    h->hi += (one.hi ^ hash_name(part)) * 0xc2b2ae3d27d4eb4fu;
    progress_set(&c->progress, c->done += n);
    return true;
}

/* One hash per expert over all that it has in a block; a scale that the other model has not is a gain, or a lost one,
 * and says nothing of which expert it is. */
static struct hash128 *hash_experts(struct check *c, const struct view *v, uint32_t il, struct err *e)
{
    struct hash128 *h = xcalloc(v->shape.n_experts, sizeof *h);
    bool ok = true;
    for (uint64_t i = 0; ok && i < v->n_tensors; i++) {
        const struct view_tensor *x = &v->tensors[i];
        if (!view_has_experts(x) || (uint32_t)x->layer != il ||
            (is_scale(x) && !view_find(v == c->a ? c->b : c->a, x->name)))
            continue;
        if (x->expert >= 0) {
            const char *rest = x->name + x->number;
            ok = hash_slice(c, v, x, x->off, x->bytes, rest + strspn(rest, "0123456789"), &h[x->expert], e);
            continue;
        }
        uint64_t slice = view_slice(x, v->shape.n_experts);
        for (uint32_t j = 0; ok && j < v->shape.n_experts; j++)
            ok = hash_slice(c, v, x, x->off + j * slice, slice, x->name, &h[j], e);
    }
    if (ok)
        return h;
    free(h);
    return NULL;
}

static bool has_scale(const struct view *v, uint32_t il)
{
    char name[64];
    snprintf(name, sizeof name, "blk.%u" SCALE, il);
    return view_find(v, name) != NULL;
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
            verify_differ(c->r, "layer %u: expert %u has the bytes of no expert of the parent%s", il, k,
                          has_scale(c->b, il) ? " (gains? --plan PLAN --gain GAIN)" : "");
            order = false;
            continue;
        }
        used[j] = true;
        keep[k] = j;
        if (k && order && j < keep[k - 1]) {
            verify_differ(c->r, "layer %u: experts are not in the parent's order (%u behind %u)", il, j,
                          keep[k - 1]);
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
    struct plan *p = plan_new(c->a->n_layers, c->b->shape.n_experts);
    uint64_t before = c->r->n_diff;
    bool ok = true;
    for (uint32_t i = 0; ok && i < p->n_layers; i++) {
        p->layers[i].il = c->a->layers[i].il;
        ok = match_layer(c, p->layers[i].il, p->layers[i].keep, e);
    }
    for (uint32_t i = c->a->n_layers; ok && !c->dropped && i < c->a->n_layers + c->a->n_mtp_layers; i++) {
        uint32_t *keep = plan_new_mtp(p, c->a->layers[i].il);
        ok = match_layer(c, c->a->layers[i].il, keep, e);
    }
    if (ok && c->r->n_diff == before) {
        c->p = c->r->found = p;
        return true;
    }
    plan_free(p);
    return ok;
}

bool verify_run(struct view *parent, struct view *pruned, const struct plan *p, const char *name,
                struct verify_result *r, struct err *e)
{
    *r = (struct verify_result){.diff = json_array()};
    struct check c = {.a = parent,
                      .b = pruned,
                      .p = pruned->n_layers ? p : NULL,
                      .r = r,
                      .dropped = parent->n_mtp > 0 && pruned->n_mtp == 0,
                      .alone = !pruned->n_layers};
    const struct format *x = parent->format, *y = pruned->format;
    if (x != y)
        return err_set(e, ERR_INPUT, "one of '%s' and '%s' is %s, the other %s", parent->path, pruned->path,
                       x < y ? x->name : y->name, x < y ? y->name : x->name);
    if (strcmp(parent->family->arch, pruned->family->arch) != 0) {
        verify_differ(r, "its architecture is '%s', the parent's is '%s'", pruned->family->arch,
                      parent->family->arch);
        return true;
    }
    if (pruned->shape.n_experts > parent->shape.n_experts ||
        (c.p && c.p->n_keep != pruned->shape.n_experts) ||
        (c.alone && pruned->shape.n_experts != parent->shape.n_experts)) {
        verify_differ(r, "it has %u experts, expected %u", pruned->shape.n_experts,
                      c.p ? c.p->n_keep : parent->shape.n_experts);
        return true;
    }
    c.buf = xmalloc(2 * (size_t)WINDOW);
    uint64_t hashed = c.p || c.alone ? 0 : parent->expert_bytes + pruned->expert_bytes;
    progress_start(&c.progress, "verifying", "bytes", pruned->bytes + hashed, 0);
    bool ok = c.p || c.alone || find_plan(&c, e);
    if (ok) {
        c.keep = c.p ? keep_by_block(parent, c.p) : NULL;
        const struct verify_of of = {c.p, name, c.dropped, c.alone};
        parent->format->prune->verify(parent, pruned, &of, r);
        ok = check_tensors(&c, e);
    }
    progress_end(&c.progress);
    free(c.keep);
    free(c.buf);
    return ok;
}

void verify_result_clear(struct verify_result *r)
{
    json_decref(r->diff);
    plan_free(r->found);
    *r = (struct verify_result){0};
}
