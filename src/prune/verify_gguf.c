/* verify_gguf.c - the keys of a pruned GGUF model against its parent's (see prune.h). */
#include "model/view_gguf.h"
#include "prune/prune.h"

#include <string.h>

struct check {
    const struct view *a, *b; /* parent, pruned */
    bool dropped;             /* the pruned model has no MTP blocks any more */
};

static bool same_raw(const struct gg_key *x, const struct gg_key *y)
{
    return x->raw_bytes == y->raw_bytes && !memcmp(x->raw, y->raw, x->raw_bytes);
}

static bool skip_key(const struct gg_key *k)
{
    return !strncmp(k->name, "reap.", 5) || !strncmp(k->name, "split.", 6);
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
    if (!strcmp(x->name, "general.size_label")) /* a name that converters make of the counts, "8x139K" */
        return x->kind == y->kind;
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

void verify_gguf(const struct view *parent, const struct view *pruned, const struct plan *p, bool dropped,
                 struct verify_result *r)
{
    (void)p;
    const struct check c = {parent, pruned, dropped};
    const struct gg_file *fa = view_gguf(parent), *fb = view_gguf(pruned);
    const struct gg_part *a = &fa->parts[0], *b = &fb->parts[0];
    for (uint64_t i = 0; i < a->n_keys; i++) {
        const struct gg_key *x = &a->keys[i], *y = gg_find(fb, x->name);
        if (skip_key(x))
            continue;
        if (!y)
            verify_differ(r, "key '%s' is missing", x->name);
        else if (!key_ok(&c, x, y))
            verify_differ(r, "key '%s' has another type or value", x->name);
        else
            r->keys_same++;
    }
    for (uint64_t i = 0; i < b->n_keys; i++)
        if (!skip_key(&b->keys[i]) && !gg_find(fa, b->keys[i].name))
            verify_differ(r, "key '%s' is not in the parent", b->keys[i].name);
}
