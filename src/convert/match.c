/* match.c - which tensor of the checkpoint goes where.
 *
 * Every tensor must be used by a rule of the family's record or be one that is known to be left out, and
 * every tensor that the engine needs must come out. A shape is compared with what the config says before
 * anything is derived from it. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "convert/layout_part.h"
#include "hf/names.h"

#include <string.h>

static void mark(struct layout *l, const struct hf_tensor *t)
{
    l->used[t - l->in.c->tensors] = true;
}

struct layout_slot *layout_slot_at(const struct layout *l, int64_t block, uint64_t rule)
{
    return &l->slots[block < 0 ? rule : l->n_globals + (uint64_t)block * l->n_rules + rule];
}

static const struct name_rule *rule_at(const struct layout *l, int64_t block, uint64_t i)
{
    return block < 0 ? &l->globals[i] : l->rules[i];
}

static bool is_used(const struct layout *l, const struct hf_tensor *t)
{
    return l->used[t - l->in.c->tensors];
}

/* ---- from the checkpoint into slots ---- */

/* Whether a name is that of n bytes; *expert is the number in the place of '#' or '%'. */
static bool name_matches(const char *rule, size_t n, const char *name, uint32_t *expert)
{
    const char *end = rule + n;
    while (rule < end) {
        if (*rule == '#' || *rule == '%') {
            if (!hf_take_number(name, expert, &name))
                return false;
            rule += 2; /* the point is taken */
            continue;
        }
        if (*rule++ != *name++)
            return false;
    }
    return !*name;
}

/* Whether a name is one of the rule's; *source: which of the slot's sources it is then. */
static bool rule_matches(const char *rule, const char *name, uint64_t *source)
{
    uint64_t parts = layout_rule_parts(rule);
    for (uint64_t i = 0; i < parts; i++) {
        uint32_t expert = 0;
        size_t n = strcspn(rule, "+*");
        if (name_matches(rule, n, name, &expert)) {
            *source = expert * parts + i;
            return true;
        }
        rule += n + 1;
    }
    return false;
}

uint64_t layout_rule_parts(const char *hf)
{
    uint64_t n = 1;
    for (; *hf; hf++)
        n += *hf == '+' || *hf == '*';
    return n;
}

/* Why a tensor is left out of every conversion; NULL: it is not. */
static const char *why_left_out(const struct layout *l, const struct hf_place *at, const char *name)
{
    if (at->other)
        return "not part of the language model";
    if (at->mtp && !(l->in.conversion->flags & CONVERT_MTP_NAMED))
        return "MTP in a form that the engine cannot use";
    if (text_ends(name, ".rotary_emb.inv_freq"))
        return "computed by the engine";
    uint64_t il = at->layer;
    return at->rest && il >= l->in.n_blocks && il - l->in.f.v['L'] < l->in.f.v['B']
               ? "MTP, which the engine cannot use in this family"
               : NULL;
}

/* The letters of a part's shape, *n of them: one shape for all parts, or "H*1H". */
static const char *part_shape(const struct name_rule *r, uint64_t part, size_t *n)
{
    const char *s = r->shape;
    for (; part && strchr(s, '*'); part--)
        s = strchr(s, '*') + 1;
    *n = strcspn(s, "*");
    return s;
}

static bool has_shape(const struct layout *l, int64_t block, const struct name_rule *r, uint64_t part,
                      const struct hf_tensor *t)
{
    size_t n;
    const char *shape = part_shape(r, part, &n);
    bool ok = t->n_dims == n;
    for (uint32_t i = 0; ok && i < n; i++)
        ok = t->dims[i] && (shape[i] == '?' || t->dims[i] == facts_at(&l->in.f, shape[i], block));
    return ok;
}

static bool check_shape(const struct layout *l, int64_t block, const struct name_rule *r, uint64_t part,
                        const struct hf_tensor *t, struct err *e)
{
    size_t n;
    const char *shape = part_shape(r, part, &n);
    bool ok = has_shape(l, block, r, part, t);
    struct buf want = {0}, got = {0};
    for (uint32_t i = 0; i < n; i++) {
        buf_str(&want, i ? ", " : "");
        if (shape[i] == '?')
            buf_str(&want, "any");
        else
            buf_fmt(&want, "%llu", (unsigned long long)facts_at(&l->in.f, shape[i], block));
    }
    for (uint32_t i = 0; i < t->n_dims; i++)
        buf_fmt(&got, "%s%llu", i ? ", " : "", (unsigned long long)t->dims[i]);
    if (!ok)
        err_set(e, ERR_INPUT, "tensor '%.200s' has shape [%s], but the config makes it [%s]", t->name,
                got.s ? got.s : "", want.s);
    buf_clear(&want);
    buf_clear(&got);
    return ok;
}

/* How many tensors, or groups of parts, a rule is of: experts, or pieces. */
static uint64_t counted(const struct layout *l, const struct name_rule *r)
{
    return strchr(r->hf, '#') ? l->in.f.v['E'] : strchr(r->hf, '%') ? l->in.f.v['%'] : 1;
}

static bool put_source(struct layout *l, int64_t block, struct layout_slot *s, const struct name_rule *r,
                       const struct hf_tensor *t, uint64_t source, struct err *e)
{
    uint64_t parts = layout_rule_parts(r->hf), n = parts * counted(l, r);
    if (source >= n)
        return err_set(e, ERR_INPUT, "tensor '%.200s' is of %s %llu, but the config has %llu %ss", t->name,
                       strchr(r->hf, '#') ? "expert" : "piece", (unsigned long long)(source / parts),
                       (unsigned long long)(n / parts), strchr(r->hf, '#') ? "expert" : "piece");
    if (!check_shape(l, block, r, source % parts, t, e))
        return false;
    if (!s->sources) {
        s->rule = r;
        s->room = n;
        s->sources = mem_try(n, sizeof *s->sources, "experts", e);
        if (!s->sources)
            return false;
    }
    if (s->sources[source].w)
        return err_set(e, ERR_INPUT, "tensors '%.150s' and '%.150s' are the same to the engine",
                       s->sources[source].w->name, t->name);
    for (uint64_t i = 0; i < n; i++) /* what "?" left open is the same in all pieces */
        if (s->sources[i].w && strchr(r->shape, '?') && s->sources[i].w->dims[0] != t->dims[0])
            return err_set(e, ERR_INPUT, "tensor '%.200s' has %llu rows, '%.200s' %llu", t->name,
                           (unsigned long long)t->dims[0], s->sources[i].w->name,
                           (unsigned long long)s->sources[i].w->dims[0]);
    s->sources[source].w = t;
    s->sources[source].packed = forms_packed(l->im->forms, t);
    s->n++;
    mark(l, t);
    return true;
}

/* Whether another rule than i makes the same output of the same tensor and is the one to use: the first whose
 * shape the tensor has, or the first at all. */
static bool is_other_form(const struct layout *l, int64_t block, uint64_t i, uint64_t part,
                          const struct hf_tensor *t)
{
    const struct name_rule *r = rule_at(l, block, i);
    uint64_t n = block < 0 ? l->n_globals : l->n_rules, first = n, fits = n;
    for (uint64_t k = 0; k < n; k++) {
        const struct name_rule *other = rule_at(l, block, k);
        if (strcmp(other->hf, r->hf) != 0 || strcmp(other->gguf, r->gguf) != 0 ||
            (block >= 0 && other->blocks && !(other->blocks & l->in.kinds[block])))
            continue;
        first = first == n ? k : first;
        fits = fits == n && has_shape(l, block, other, part, t) ? k : fits;
    }
    return i != (fits == n ? first : fits);
}

/* Uses a tensor by all rules that match; by none, it stays unused (check_used). */
static bool place(struct layout *l, const struct hf_tensor *t, int64_t block, const char *rest, struct err *e)
{
    uint64_t n = block < 0 ? l->n_globals : l->n_rules;
    for (uint64_t i = 0; i < n; i++) {
        const struct name_rule *r = rule_at(l, block, i);
        uint64_t source;
        if (!rule_matches(r->hf, rest, &source))
            continue;
        if (block >= 0 && r->blocks && !(r->blocks & l->in.kinds[block]))
            continue;
        if (is_other_form(l, block, i, source % layout_rule_parts(r->hf), t))
            continue;
        if (!strlen(r->gguf)) {
            left_out_add(&l->left, t, "not read by the engine in such a block");
            mark(l, t);
        } else if (!put_source(l, block, layout_slot_at(l, block, i), r, t, source, e))
            return false;
    }
    return true;
}

static bool place_tensor(struct layout *l, const struct hf_tensor *t, struct err *e)
{
    struct hf_place at = hf_place(t->name);
    uint64_t il = at.layer;
    const char *why = why_left_out(l, &at, t->name);
    if (why) {
        left_out_add(&l->left, t, why);
        mark(l, t);
        return true;
    }
    if (at.mtp) {
        il += l->in.f.v['L'];
        at.rest = at.rest ? at.rest : strchr(hf_strip_prefix(t->name), '.') + 1;
    }
    if (!at.rest)
        return place(l, t, -1, hf_strip_prefix(t->name), e);
    if (il >= l->in.n_blocks)
        return err_set(e, ERR_INPUT, "tensor '%.200s' is of layer %llu, but the config has %llu layers",
                       t->name, (unsigned long long)il, (unsigned long long)l->in.n_blocks);
    return place(l, t, (int64_t)il, at.rest, e);
}

static struct layout_slot *global_slot(const struct layout *l, const char *gguf)
{
    for (uint64_t i = 0; i < l->n_globals; i++)
        if (!strcmp(l->globals[i].gguf, gguf) && layout_slot_at(l, -1, i)->n)
            return layout_slot_at(l, -1, i);
    return NULL;
}

/* A config that ties input and output embeddings makes lm_head a copy that nobody reads. Not said: tied when
 * there is none. */
static bool is_tied(const struct layout *l)
{
    uint32_t n = conf_get(&l->in.conf, "tie_word_embeddings");
    if (n != JSPAN_NONE)
        return l->in.conf.d->nodes[n].kind == J_TRUE;
    return !global_slot(l, "output.weight");
}

#define COMPARE (1u << 20) /* bytes at once */

/* Whether two tensors hold the same bytes; read until they differ. */
static bool same_data(const struct hf_checkpoint *c, const struct hf_tensor *a, const struct hf_tensor *b,
                      bool *same, struct err *e)
{
    uint8_t *buf = xcalloc(2, COMPARE);
    bool ok = true;
    *same = a->dtype == b->dtype && a->bytes == b->bytes;
    for (uint64_t at = 0; ok && *same && at < a->bytes; at += COMPARE) {
        uint64_t n = a->bytes - at < COMPARE ? a->bytes - at : COMPARE;
        ok = file_pread(c->files[a->file].fd, buf, n, a->off + at, e) &&
             file_pread(c->files[b->file].fd, buf + COMPARE, n, b->off + at, e);
        *same = ok && !memcmp(buf, buf + COMPARE, n);
    }
    free(buf);
    return ok || err_ctx(e, "%s: tensors '%.100s' and '%.100s'", c->dir, a->name, b->name);
}

/* The config may be wrong: a head with values of its own was trained, and a model without it says nothing of use. */
static bool drop_tied_output(struct layout *l, struct err *e)
{
    struct layout_slot *head = global_slot(l, "output.weight"), *embd = global_slot(l, "token_embd.weight");
    bool same = false;
    if (!head || !embd || !is_tied(l) || l->in.conversion->flags & CONVERT_NEEDS_OUTPUT)
        return true;
    const struct hf_tensor *a = head->sources[0].w, *b = embd->sources[0].w;
    if (!head->sources[0].packed && !embd->sources[0].packed && !same_data(l->in.c, a, b, &same, e))
        return false;
    if (same) {
        head->n = 0;
        left_out_add(&l->left, a, "the input embeddings again, as the config says");
        return true;
    }
    log_warn("config.json ties the embeddings, but '%s' holds other values than '%s': it is kept", a->name,
             b->name);
    return true;
}

static bool is_key(const struct layout *l, const struct hf_tensor *t)
{
    for (const struct key_rule *r = l->in.conversion->keys; r && r->name; r++)
        if (r->kind == KEY_TENSOR && text_ends(t->name, r->from))
            return true;
    return false;
}

/* Of a tensor that has no place: why it may be left out nevertheless; NULL: it may not. */
static bool why_unused(const struct layout *l, const struct hf_tensor *t, const char **why, struct err *e)
{
    bool zero = false;
    *why = forms_of_activations(t->name)
               ? "scales of activations and of the cache, for engines that quantise them"
           : is_key(l, t) ? "numbers that are keys of the file"
                          : NULL;
    if (*why || !text_ends(t->name, ".bias"))
        return true;
    if (!forms_all_zero(l->im->forms, t, &zero, e))
        return false;
    *why = zero ? "biases of zeros, which some quantisers write for every matrix" : NULL;
    return true;
}

static bool check_used(struct layout *l, struct err *e)
{
    for (uint64_t i = 0; i < l->in.c->n_tensors; i++) {
        const struct hf_tensor *t = &l->in.c->tensors[i];
        const char *why = NULL;
        if (is_used(l, t))
            continue;
        if (!why_unused(l, t, &why, e))
            return false;
        if (why)
            left_out_add(&l->left, t, why);
        else
            return err_set(e, ERR_INPUT, "tensor '%.200s' has no place in a %s model (or not in this layer)",
                           t->name, l->in.family->arch);
    }
    return true;
}

/* ---- what must be there ---- */

void layout_tensor_name(char dst[64], int64_t block, const char *name)
{
    if (block < 0 || *name == '^')
        snprintf(dst, 64, "%s", name + (*name == '^'));
    else
        snprintf(dst, 64, "blk.%llu.%s", (unsigned long long)block, name);
}

/* All experts of a stack, no number left out. */
static bool check_stack(const struct layout *l, const struct layout_slot *s, int64_t block, struct err *e)
{
    for (uint64_t i = 0; i < s->room; i++)
        if (!s->sources[i].w && !strchr(s->rule->hf, '#'))
            return err_set(e, ERR_INPUT, "the checkpoint has no tensor %llu of the %llu for '%s'",
                           (unsigned long long)i, (unsigned long long)s->room, s->rule->hf);
        else if (!s->sources[i].w)
            return err_set(
                e, ERR_INPUT, "layer %lld has no tensor '%s' of expert %llu; the config has %llu experts",
                (long long)block, s->rule->hf, (unsigned long long)(i / layout_rule_parts(s->rule->hf)),
                (unsigned long long)l->in.f.v['E']);
    return true;
}

static bool is_made(const struct layout *l, int64_t block, const char *gguf)
{
    uint64_t n = block < 0 ? l->n_globals : l->n_rules;
    for (uint64_t i = 0; i < n; i++) {
        const struct name_rule *r = rule_at(l, block, i);
        if (!strcmp(r->gguf, gguf) && layout_slot_at(l, block, i)->n)
            return true;
    }
    return false;
}

/* The engine takes q, k and v apart or in one, by which of them is there. Of either, what is there instead of it. */
static const char *instead_of(const char *gguf)
{
    static const char *const apart[] = {"attn_q.weight", "attn_k.weight", "attn_v.weight"},
                             one[] = "attn_qkv.weight";
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
        if (!strcmp(gguf, apart[i]))
            return one;
    return !strcmp(gguf, one) ? apart[0] : NULL;
}

/* Exactly one rule of those that make an output has made it. */
static bool check_output(const struct layout *l, int64_t block, uint64_t rule, struct err *e)
{
    uint64_t n = block < 0 ? l->n_globals : l->n_rules, made = 0;
    const struct name_rule *r = rule_at(l, block, rule);
    bool optional = r->optional;
    if (block >= 0 && r->blocks && !(r->blocks & l->in.kinds[block]))
        return true;
    if (block < 0 && !strcmp(r->gguf, "output.weight"))
        optional = is_tied(l) && !(l->in.conversion->flags & CONVERT_NEEDS_OUTPUT);
    for (uint64_t i = 0; i < n; i++) {
        const struct name_rule *other = rule_at(l, block, i);
        if (!strcmp(other->gguf, r->gguf) && layout_slot_at(l, block, i)->n) {
            made++;
            if (!check_stack(l, layout_slot_at(l, block, i), block, e))
                return false;
        }
    }
    char name[64];
    layout_tensor_name(name, block, r->gguf);
    bool other = instead_of(r->gguf) && is_made(l, block, instead_of(r->gguf));
    if (made + other > 1)
        return err_set(e, ERR_INPUT, "the checkpoint holds '%s' in two forms", name);
    if (!made && !other && !optional)
        return err_set(e, ERR_INPUT, "the checkpoint has no tensor for '%s' ('%s')%s", name, r->hf,
                       block < 0 && is_tied(l) ? "; the engine has no tied embeddings in this family" : "");
    return true;
}

static bool check_outputs(const struct layout *l, struct err *e)
{
    for (uint64_t i = 0; i < l->n_globals; i++)
        if (!check_output(l, -1, i, e))
            return false;
    for (uint64_t b = 0; b < l->in.n_blocks; b++)
        for (uint64_t i = 0; i < l->n_rules; i++)
            if (!check_output(l, (int64_t)b, i, e))
                return false;
    return true;
}

static bool make_slots(struct layout *l, struct err *e)
{
    l->globals = l->in.conversion->globals ? l->in.conversion->globals : conversion_globals;
    while (l->globals[l->n_globals].hf)
        l->n_globals++;
    for (const struct name_rule *const *list = l->in.conversion->names; *list; list++)
        for (const struct name_rule *r = *list; r->hf; r++)
            l->n_rules++;
    l->rules = xcalloc(l->n_rules, sizeof *l->rules);
    uint64_t n = 0;
    for (const struct name_rule *const *list = l->in.conversion->names; *list; list++)
        for (const struct name_rule *r = *list; r->hf; r++)
            l->rules[n++] = r;
    l->slots = mem_try(l->n_globals + l->in.n_blocks * l->n_rules, sizeof *l->slots, "the layout", e);
    return l->slots != NULL;
}

bool layout_match(struct layout *l, struct err *e)
{
    if (!make_slots(l, e))
        return false;
    for (uint64_t i = 0; i < l->in.c->n_tensors; i++)
        if (!place_tensor(l, &l->in.c->tensors[i], e))
            return false;
    if (!drop_tied_output(l, e) || !check_used(l, e) || !check_outputs(l, e))
        return false;
    left_out_say(&l->left);
    return true;
}
