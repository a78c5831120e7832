/* verify_gguf.c - the keys of a pruned GGUF model against its parent's (see prune.h). */
#include "base/file.h"
#include "base/hub_path.h"
#include "base/mem.h"
#include "model/naming.h"
#include "model/view_gguf.h"
#include "prune/prune.h"

#include <string.h>

struct check {
    const struct view *a, *b; /* parent, pruned */
    bool dropped;             /* the pruned model has no MTP blocks any more */
    bool alone;               /* it has nothing else, and stays what the parent is */
    const char *name;         /* that it was given; NULL: none */
    char *named;              /* that prune gives by itself */
    char size[GG_SIZE_LABEL];
    struct verify_result *r;
};

#define BASE "general.base_model."

static bool same_raw(const struct gg_key *x, const struct gg_key *y)
{
    return x->raw_bytes == y->raw_bytes && !memcmp(x->raw, y->raw, x->raw_bytes);
}

static bool is_base(const struct gg_key *k)
{
    return !strncmp(k->name, BASE, sizeof BASE - 1);
}

static bool skip_key(const struct gg_key *k)
{
    return !strncmp(k->name, "reap.", 5) || !strncmp(k->name, "split.", 6) || is_base(k);
}

static bool is_text(const struct gg_key *k, const char *want)
{
    const char *s;
    uint64_t n;
    return k && gg_key_str(k, &s, &n) && n == strlen(want) && !memcmp(s, want, n);
}

/* Its name is the one it was given; without one its parent's, or what prune makes of that. x NULL: the parent has
 * none. */
static bool name_ok(const struct check *c, const struct gg_key *x, const struct gg_key *y)
{
    return c->name ? is_text(y, c->name) : (x && same_raw(x, y)) || is_text(y, c->named);
}

static bool is_number(const struct gg_key *x, const struct gg_key *y, uint64_t want)
{
    uint64_t n;
    return x->kind == y->kind && gg_key_u64(y, &n) && n == want;
}

/* A list with a value per block has lost those of the MTP blocks. */
static bool is_shorter(const struct gg_key *x, const struct gg_key *y, uint64_t n)
{
    uint64_t bytes = y->raw_bytes - (uint64_t)(y->value - y->raw);
    return x->kind == GG_ARR && y->kind == GG_ARR && x->elem == y->elem && y->n == n &&
           !memcmp(x->value, y->value, bytes);
}

/* Whether y is what pruning makes of the parent's key x. */
static bool key_ok(const struct check *c, const struct gg_key *x, const struct gg_key *y)
{
    size_t arch = strlen(c->a->family->arch);
    const char *suffix =
        !strncmp(x->name, c->a->family->arch, arch) && x->name[arch] == '.' ? x->name + arch + 1 : "";
    if (c->alone)
        return same_raw(x, y);
    if (!strcmp(x->name, "general.name"))
        return name_ok(c, x, y);
    if (!strcmp(x->name, "general.size_label"))
        return same_raw(x, y) || is_text(y, c->size);
    if (!strcmp(suffix, "expert_count"))
        return is_number(x, y, c->b->shape.n_experts);
    if (c->dropped && !strcmp(suffix, "block_count"))
        return is_number(x, y, c->b->n_blocks);
    if (c->dropped && !strcmp(suffix, "nextn_predict_layers"))
        return is_number(x, y, 0);
    if (c->dropped && *suffix && x->kind == GG_ARR && x->n == c->a->n_blocks)
        return is_shorter(x, y, c->b->n_blocks);
    return same_raw(x, y);
}

static void check_keys(const struct check *c, const struct gg_file *fa, const struct gg_file *fb)
{
    const struct gg_part *a = &fa->parts[0], *b = &fb->parts[0];
    for (uint64_t i = 0; i < a->n_keys; i++) {
        const struct gg_key *x = &a->keys[i], *y = gg_find(fb, x->name);
        if (skip_key(x))
            continue;
        if (!y)
            verify_differ(c->r, "key '%s' is missing", x->name);
        else if (key_ok(c, x, y))
            c->r->keys_same++;
        else if (!c->alone && !strcmp(x->name, "general.name"))
            verify_differ(c->r, "key 'general.name' is not '%s'%s", c->name ? c->name : c->named,
                          c->name ? "" : ", nor the parent's (another? --name NAME)");
        else
            verify_differ(c->r, "key '%s' has another type or value", x->name);
    }
    for (uint64_t i = 0; i < b->n_keys; i++) {
        const struct gg_key *y = &b->keys[i];
        bool named = !c->alone && !strcmp(y->name, "general.name") && name_ok(c, NULL, y);
        if (!skip_key(y) && !gg_find(fa, y->name) && !named)
            verify_differ(c->r, "key '%s' is not in the parent", y->name);
    }
}

/* The keys of the base model are the parent's. */
static bool same_base(const struct gg_file *fa, const struct gg_file *fb, uint64_t *n)
{
    const struct gg_part *a = &fa->parts[0], *b = &fb->parts[0];
    *n = 0;
    for (uint64_t i = 0; i < b->n_keys; i++)
        *n += is_base(&b->keys[i]);
    uint64_t left = *n;
    for (uint64_t i = 0; i < a->n_keys; i++) {
        const struct gg_key *y = is_base(&a->keys[i]) ? gg_find(fb, a->keys[i].name) : NULL;
        if (is_base(&a->keys[i]) && (!y || !same_raw(&a->keys[i], y)))
            return false;
        left -= y != NULL;
    }
    return !left;
}

/* They name one model of the hub, as prune writes it. */
static bool one_base(const struct gg_file *fb, uint64_t n)
{
    const char *s;
    uint64_t len, count, hub = sizeof NAMING_HUB - 1;
    if (n != 4 || !gg_key_u64(gg_find(fb, BASE "count"), &count) || count != 1 ||
        !gg_key_str(gg_find(fb, BASE "0.repo_url"), &s, &len) || len <= hub ||
        memcmp(s, NAMING_HUB, hub) != 0)
        return false;
    char *id = xstrndup(s + hub, len - hub);
    bool ok = strlen(id) == len - hub && hub_is_id(id);
    struct naming_base base = ok ? naming_base(id) : (struct naming_base){0};
    ok = ok && is_text(gg_find(fb, BASE "0.name"), base.name) &&
         is_text(gg_find(fb, BASE "0.organization"), base.organization);
    naming_base_clear(&base);
    free(id);
    return ok;
}

/* What pads the last tensor may be there or not; more bytes come from nowhere. */
static void check_ends(const struct check *c, const struct gg_file *f)
{
    for (uint32_t i = 0; i < f->n_parts; i++) {
        const struct gg_part *p = &f->parts[i];
        const struct gg_tensor *last = p->n_tensors ? &f->tensors[p->first_tensor + p->n_tensors - 1] : NULL;
        uint64_t end = last ? last->off + last->bytes : p->data_off;
        if (p->size > gg_align(end, p->alignment))
            verify_differ(c->r, "'%s' goes on behind its last tensor: it has %llu bytes, expected %llu",
                          path_base(p->path), (unsigned long long)p->size, (unsigned long long)end);
    }
}

void verify_gguf(const struct view *parent, const struct view *pruned, const struct verify_of *o,
                 struct verify_result *r)
{
    struct check c = {.a = parent,
                      .b = pruned,
                      .dropped = o->dropped,
                      .alone = o->alone,
                      .name = o->name,
                      .named = naming_pruned(parent, pruned->shape.n_experts),
                      .r = r};
    const struct gg_file *fa = view_gguf(parent), *fb = view_gguf(pruned);
    uint64_t n;
    gg_size_of(fb, c.size);
    check_keys(&c, fa, fb);
    check_ends(&c, fb);
    if (same_base(fa, fb, &n) || (!o->alone && one_base(fb, n)))
        r->keys_same += n;
    else
        verify_differ(r, "keys '" BASE "*' are %s",
                      o->alone ? "not the parent's"
                               : "neither the parent's nor those of one model of the hub");
    free(c.named);
}
