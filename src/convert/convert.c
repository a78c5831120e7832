/* convert.c - plans a conversion: which tensor of the checkpoint goes where, in which shape and type.
 *
 * Every tensor of the checkpoint must be used by a rule of the family's record or be one that is known to be
 * left out, and every tensor that the engine needs must come out. A shape is compared with what the config
 * says before anything is derived from it. Refused: quantised forms other than FP8 and MXFP4. */
#include "convert/map.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "tokenizer/tokenizer.h"

#include <string.h>

#define ALIGNMENT 32u

/* ---- output types ---- */

static const struct type_info {
    const char *name;
    uint32_t id, file_type; /* ggml type, enum llama_ftype */
} types[] = {{"f32", 0, 0},    {"f16", 1, 1},    {"bf16", 30, 32}, {"q8_0", 8, 7},
             {"q6_K", 14, 18}, {"q5_K", 13, 16}, {"q4_K", 12, 14}, {"q4_0", 2, 2}};

const char *convert_type_name(uint32_t i)
{
    return !i ? "auto" : i <= sizeof types / sizeof *types ? types[i - 1].name : NULL;
}

/* ---- the plan ---- */

struct slot { /* one output tensor of a block, or outside of blocks */
    const struct name_rule *rule;
    struct source *sources; /* room for all experts where they are stacked */
    uint64_t n, room;
};

struct planner {
    struct plan_in in;
    const struct convert_opts *o;
    const struct name_rule **rules; /* of the family, all lists */
    uint64_t n_rules, n_globals;
    struct slot *slots; /* n_globals, then n_rules per block */
    bool *used;         /* per tensor of the checkpoint */
    uint64_t fp8_rows, fp8_cols;
    uint64_t n_mtp_dropped;
    uint32_t type; /* of matrices */
    struct image *im;
    uint64_t cap;
};

static const struct hf_tensor *find2(const struct planner *p, const char *name, const char *end)
{
    char *s = xasprintf("%s%s", name, end);
    const struct hf_tensor *t = hf_find_tensor(p->in.c, s);
    free(s);
    return t;
}

static void mark(struct planner *p, const struct hf_tensor *t)
{
    p->used[t - p->in.c->tensors] = true;
}

static bool is_used(const struct planner *p, const struct hf_tensor *t)
{
    return p->used[t - p->in.c->tensors];
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcmp(s + n - k, end);
}

/* ---- names ---- */

/* Whether a name is the rule's; *expert is the number in the place of '#'. */
static bool rule_matches(const char *rule, const char *name, uint32_t *expert, bool *stacked)
{
    *stacked = false;
    while (*rule) {
        if (*rule == '#') {
            if (!hf_take_number(name, expert, &name))
                return false;
            *stacked = true;
            rule += 2; /* the point is taken */
            continue;
        }
        if (*rule++ != *name++)
            return false;
    }
    return !*name;
}

/* Left out of every conversion: not part of the text model, or computed by the engine itself. */
static bool is_dropped(const struct hf_place *at, const char *name)
{
    return at->mtp || at->other || ends_with(name, ".rotary_emb.inv_freq");
}

/* ---- quantised forms ---- */

static bool refuse_form(const struct hf_tensor *t, const char *form, struct err *e)
{
    return err_set(
        e, ERR_INPUT,
        "tensor '%.200s': weights in the form of %s cannot be converted (FP8 and gpt-oss's MXFP4 can)",
        t->name, form);
}

static bool check_forms(const struct planner *p, struct err *e)
{
    static const struct {
        const char *end, *form;
    } forms[] = {{".qweight", "AWQ or GPTQ"},
                 {".weight_packed", "compressed-tensors' packed integers or NVFP4"},
                 {".weight_scale_2", "ModelOpt's NVFP4"},
                 {".weight.absmax", "bitsandbytes"},
                 {".qscale_weight", "Mistral's FP8"}};
    for (uint64_t i = 0; i < p->in.c->n_tensors; i++)
        for (size_t k = 0; k < sizeof forms / sizeof *forms; k++)
            if (ends_with(p->in.c->tensors[i].name, forms[k].end))
                return refuse_form(&p->in.c->tensors[i], forms[k].form, e);
    return true;
}

/* The block of one FP8 scale: weight_block_size, or compressed-tensors' block_structure, else 128 x 128. */
static void fp8_block(struct planner *p)
{
    const struct jdoc *d = p->in.conf.d;
    uint32_t list = JSPAN_NONE, q = conf_get(&p->in.conf, HF_KEYS_QUANTIZATION);
    p->fp8_rows = p->fp8_cols = 128;
    if (q == JSPAN_NONE || d->nodes[q].kind != J_OBJECT)
        return;
    list = jdoc_get(d, q, "weight_block_size");
    uint32_t groups = jdoc_get(d, q, "config_groups");
    if (list == JSPAN_NONE && groups != JSPAN_NONE && d->nodes[groups].kind == J_OBJECT &&
        d->nodes[groups].n) {
        uint32_t group = d->nodes[groups].first;
        uint32_t w = d->nodes[group].kind == J_OBJECT ? jdoc_get(d, group, "weights") : JSPAN_NONE;
        if (w != JSPAN_NONE && d->nodes[w].kind == J_OBJECT)
            list = jdoc_get(d, w, "block_structure");
    }
    uint64_t a, b;
    if (list != JSPAN_NONE && d->nodes[list].kind == J_ARRAY && d->nodes[list].n == 2 &&
        jdoc_u64(d, d->nodes[list].first, &a) && jdoc_u64(d, d->nodes[d->nodes[list].first].next, &b) && a &&
        b && a <= 1u << 28 && b <= 1u << 28) {
        p->fp8_rows = a;
        p->fp8_cols = b;
    }
}

static uint64_t blocks_of(uint64_t n, uint64_t block)
{
    return (n + block - 1) / block;
}

/* Finds the scale of an FP8 weight and the shape of its blocks. */
static bool fp8_scale(struct planner *p, struct source *s, struct made *m, struct err *e)
{
    const struct hf_tensor *w = s->w, *t = find2(p, w->name, "_scale_inv");
    if (!t)
        t = find2(p, w->name, "_scale");
    if (!t || w->n_dims < 2)
        return err_set(e, ERR_INPUT, "tensor '%.200s' is %s and has no '%s'", w->name, w->dtype->name,
                       w->n_dims < 2 ? "second dimension" : "_scale_inv");
    uint64_t rows = w->dims[w->n_dims - 2], cols = w->dims[w->n_dims - 1], n = 1;
    for (uint32_t i = 0; i < t->n_dims; i++)
        n *= t->dims[i];
    for (uint32_t i = 0; i + 2 < w->n_dims; i++)
        n = n % w->dims[i] ? 0 : n / w->dims[i]; /* scales of one matrix */
    enum num num = num_of(t->dtype);
    if (num == N_NONE || !n || (t->n_dims > 1 && t->n_dims != w->n_dims))
        return err_set(e, ERR_INPUT, "tensor '%.200s' does not fit the weight that it scales", t->name);
    m->scale_rows = p->fp8_rows;
    m->scale_cols = p->fp8_cols;
    uint64_t last = t->n_dims ? t->dims[t->n_dims - 1] : 1;
    if (n == 1) { /* of the whole matrix */
        m->scale_rows = rows;
        m->scale_cols = cols;
    } else if (n == rows && (t->n_dims == 1 || last == 1)) { /* of each row */
        m->scale_rows = 1;
        m->scale_cols = cols;
    } else if (n != blocks_of(rows, p->fp8_rows) * blocks_of(cols, p->fp8_cols) ||
               last != blocks_of(cols, p->fp8_cols))
        return err_set(e, ERR_INPUT, "tensor '%.200s' has %llu scales, expected blocks of %llu x %llu",
                       t->name, (unsigned long long)n, (unsigned long long)p->fp8_rows,
                       (unsigned long long)p->fp8_cols);
    s->scale = t;
    return true;
}

/* ---- from the checkpoint into slots ---- */

/* What belongs to a weight that is stored with scales; those of activations are not needed. */
static void mark_companions(struct planner *p, const struct hf_tensor *t)
{
    static const struct {
        const char *end, *companion; /* what the name ends in, and what stands there instead */
    } known[] = {{"", "_scale_inv"},          {"", "_scale"},          {".weight", ".activation_scale"},
                 {".weight", ".input_scale"}, {".weight", ".k_scale"}, {".weight", ".v_scale"},
                 {"_blocks", "_scales"}};
    enum num num = num_of(t->dtype);
    bool fp8 = num == N_F8_E4M3 || num == N_F8_E5M2;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!ends_with(t->name, known[i].end) || fp8 == !strcmp(known[i].end, "_blocks"))
            continue;
        char *base = xstrndup(t->name, strlen(t->name) - strlen(known[i].end));
        const struct hf_tensor *other = find2(p, base, known[i].companion);
        if (other)
            mark(p, other);
        free(base);
    }
}

static bool check_shape(const struct planner *p, const struct name_rule *r, const struct hf_tensor *t,
                        struct err *e)
{
    bool ok = t->n_dims == strlen(r->shape);
    struct buf want = {0}, got = {0};
    for (uint32_t i = 0; r->shape[i]; i++) {
        uint64_t v = p->in.f.v[(unsigned char)r->shape[i]];
        ok = ok && v && t->dims[i] == v;
        buf_fmt(&want, "%s%llu", i ? ", " : "", (unsigned long long)v);
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

static struct slot *slot_at(const struct planner *p, int64_t block, uint64_t rule)
{
    return &p->slots[block < 0 ? rule : p->n_globals + (uint64_t)block * p->n_rules + rule];
}

static bool put_source(struct planner *p, struct slot *s, const struct name_rule *r,
                       const struct hf_tensor *t, uint64_t expert, bool stacked, struct err *e)
{
    uint64_t n = stacked ? p->in.f.v['E'] : 1;
    if (stacked && expert >= n)
        return err_set(e, ERR_INPUT, "tensor '%.200s' is of expert %llu, but the config has %llu experts",
                       t->name, (unsigned long long)expert, (unsigned long long)n);
    if (!check_shape(p, r, t, e))
        return false;
    if (!s->sources) {
        s->rule = r;
        s->room = n;
        s->sources = mem_try(n, sizeof *s->sources, "experts", e);
        if (!s->sources)
            return false;
    }
    if (s->sources[expert].w)
        return err_set(e, ERR_INPUT, "tensors '%.150s' and '%.150s' are the same to the engine",
                       s->sources[expert].w->name, t->name);
    s->sources[expert].w = t;
    s->n++;
    mark(p, t);
    mark_companions(p, t);
    return true;
}

/* Uses a tensor by all rules that match; by none, it stays unused (check_used). */
static bool place(struct planner *p, const struct hf_tensor *t, int64_t block, const char *rest,
                  struct err *e)
{
    uint64_t n = block < 0 ? p->n_globals : p->n_rules;
    for (uint64_t i = 0; i < n; i++) {
        const struct name_rule *r = block < 0 ? &conversion_globals[i] : p->rules[i];
        uint32_t expert = 0;
        bool stacked;
        if (!rule_matches(r->hf, rest, &expert, &stacked))
            continue;
        if (block >= 0 && r->blocks && !(r->blocks & p->in.kinds[block]))
            continue;
        if (!put_source(p, slot_at(p, block, i), r, t, stacked ? expert : 0, stacked, e))
            return false;
    }
    return true;
}

static bool place_tensor(struct planner *p, const struct hf_tensor *t, struct err *e)
{
    struct hf_place at = hf_place(t->name);
    uint64_t il = at.layer;
    if (is_dropped(&at, t->name)) {
        mark(p, t);
        return true;
    }
    if (!at.rest)
        return place(p, t, -1, hf_strip_prefix(t->name), e);
    if (il >= p->in.n_blocks && il - p->in.f.v['L'] < p->in.f.v['B']) { /* MTP that the engine cannot use */
        p->n_mtp_dropped++;
        mark(p, t);
        return true;
    }
    if (il >= p->in.n_blocks)
        return err_set(e, ERR_INPUT, "tensor '%.200s' is of layer %llu, but the config has %llu layers",
                       t->name, (unsigned long long)il, (unsigned long long)p->in.n_blocks);
    return place(p, t, (int64_t)il, at.rest, e);
}

/* A config that ties input and output embeddings makes lm_head a copy that nobody reads. Not said: tied when
 * there is none. */
static bool is_tied(const struct planner *p)
{
    uint32_t n = conf_get(&p->in.conf, "tie_word_embeddings");
    if (n != JSPAN_NONE)
        return p->in.conf.d->nodes[n].kind == J_TRUE;
    for (uint64_t i = 0; i < p->n_globals; i++)
        if (!strcmp(conversion_globals[i].gguf, "output.weight") && slot_at(p, -1, i)->n)
            return false;
    return true;
}

static void drop_tied_output(struct planner *p)
{
    bool drop = is_tied(p) && !(p->in.map->flags & CONVERT_NEEDS_OUTPUT);
    for (uint64_t i = 0; i < p->n_globals; i++)
        if (!strcmp(conversion_globals[i].gguf, "output.weight") && drop)
            slot_at(p, -1, i)->n = 0;
}

static bool check_used(const struct planner *p, struct err *e)
{
    for (uint64_t i = 0; i < p->in.c->n_tensors; i++) {
        const struct hf_tensor *t = &p->in.c->tensors[i];
        if (!is_used(p, t))
            return err_set(e, ERR_INPUT, "tensor '%.200s' has no place in a %s model (or not in this layer)",
                           t->name, p->in.family->arch);
    }
    return true;
}

/* ---- what must be there ---- */

static void block_name(char dst[64], int64_t block, const char *name)
{
    if (block < 0)
        snprintf(dst, 64, "%s", name);
    else
        snprintf(dst, 64, "blk.%llu.%s", (unsigned long long)block, name);
}

/* All experts of a stack, no number left out. */
static bool check_stack(const struct planner *p, const struct slot *s, int64_t block, struct err *e)
{
    for (uint64_t i = 0; i < s->room; i++)
        if (!s->sources[i].w)
            return err_set(
                e, ERR_INPUT, "layer %lld has no tensor '%s' of expert %llu; the config has %llu experts",
                (long long)block, s->rule->hf, (unsigned long long)i, (unsigned long long)p->in.f.v['E']);
    return true;
}

/* Exactly one rule of those that make an output has made it. */
static bool check_output(const struct planner *p, int64_t block, uint64_t rule, struct err *e)
{
    uint64_t n = block < 0 ? p->n_globals : p->n_rules, made = 0;
    const struct name_rule *r = block < 0 ? &conversion_globals[rule] : p->rules[rule];
    bool optional = r->optional;
    if (block >= 0 && r->blocks && !(r->blocks & p->in.kinds[block]))
        return true;
    if (block < 0 && !strcmp(r->gguf, "output.weight"))
        optional = is_tied(p) && !(p->in.map->flags & CONVERT_NEEDS_OUTPUT);
    for (uint64_t i = 0; i < n; i++) {
        const struct name_rule *other = block < 0 ? &conversion_globals[i] : p->rules[i];
        if (!strcmp(other->gguf, r->gguf) && slot_at(p, block, i)->n) {
            made++;
            if (!check_stack(p, slot_at(p, block, i), block, e))
                return false;
        }
    }
    char name[64];
    block_name(name, block, r->gguf);
    if (made > 1)
        return err_set(e, ERR_INPUT, "the checkpoint holds '%s' in two forms", name);
    if (!made && !optional)
        return err_set(e, ERR_INPUT, "the checkpoint has no tensor for '%s' ('%s')%s", name, r->hf,
                       block < 0 && is_tied(p) ? "; the engine has no tied embeddings in this family" : "");
    return true;
}

static bool check_outputs(const struct planner *p, struct err *e)
{
    for (uint64_t i = 0; i < p->n_globals; i++)
        if (!check_output(p, -1, i, e))
            return false;
    for (uint64_t b = 0; b < p->in.n_blocks; b++)
        for (uint64_t i = 0; i < p->n_rules; i++)
            if (!check_output(p, (int64_t)b, i, e))
                return false;
    return true;
}

/* ---- geometry ---- */

/* A source as matrices: all dimensions but the last two count them. */
struct view3 {
    uint64_t n, rows, cols;
};

static struct view3 view_of(const struct hf_tensor *t)
{
    struct view3 v = {1, 1, t->n_dims ? t->dims[t->n_dims - 1] : 1};
    if (t->n_dims > 1)
        v.rows = t->dims[t->n_dims - 2];
    for (uint32_t i = 0; i + 2 < t->n_dims; i++)
        v.n *= t->dims[i];
    return v;
}

/* How the output follows from the source (see struct made); ne in ggml's order. */
static bool geometry(const struct planner *p, const struct slot *s, struct made *m, struct image_tensor *o,
                     struct err *e)
{
    const struct hf_tensor *t = s->sources[0].w;
    const uint64_t *f = p->in.f.v;
    struct view3 v = view_of(t);
    uint32_t nd = t->n_dims ? t->n_dims : 1;
    *m = (struct made){.n_slices = v.n,
                       .rows = v.rows,
                       .cols = v.cols,
                       .slice_step = v.rows * v.cols,
                       .row_step = v.cols,
                       .col_step = 1};
    switch (s->rule->how) {
    case HOW_COPY: break;
    case HOW_PERM:
        m->head = f['D'];
        if (m->head % 2 || v.rows % m->head)
            return err_set(e, ERR_INPUT, "tensor '%.200s': heads of %llu rows cannot be rotated", t->name,
                           (unsigned long long)m->head);
        break;
    case HOW_FIRST:
    case HOW_SECOND:
        m->rows = v.rows / 2;
        m->base = s->rule->how == HOW_SECOND ? m->rows * v.cols : 0;
        break;
    case HOW_EVEN:
    case HOW_ODD:
        m->cols = v.cols / 2;
        m->col_step = 2;
        m->base = s->rule->how == HOW_ODD;
        break;
    case HOW_SWAP:
    case HOW_SWAP_FIRST:
    case HOW_SWAP_SECOND:
    case HOW_SWAP_EVEN:
    case HOW_SWAP_ODD:
        m->rows = s->rule->how == HOW_SWAP ? v.cols : v.cols / 2;
        m->cols = v.rows;
        m->col_step = v.cols;
        m->row_step = s->rule->how >= HOW_SWAP_EVEN ? 2 : 1;
        m->base = s->rule->how == HOW_SWAP_ODD ? 1 : s->rule->how == HOW_SWAP_SECOND ? m->rows : 0;
        break;
    case HOW_MXFP4:
    case HOW_MXFP4_EVEN:
    case HOW_MXFP4_ODD: { /* [E, rows, blocks, 16], counted in blocks */
        uint64_t rows = t->dims[1], blocks = t->dims[2], skip = s->rule->how == HOW_MXFP4 ? 1 : 2;
        *m = (struct made){.n_slices = t->dims[0],
                           .rows = rows / skip,
                           .cols = blocks,
                           .slice_step = rows * blocks,
                           .row_step = skip * blocks,
                           .col_step = 1,
                           .base = s->rule->how == HOW_MXFP4_ODD ? blocks : 0,
                           .value = V_MXFP4};
        nd = 3;
        break;
    }
    case HOW_K_B:
    case HOW_V_B:
        m->n_slices = f['N'];
        m->slice_step = (f['n'] + f['v']) * v.cols;
        nd = 3;
        if (s->rule->how == HOW_V_B) {
            m->rows = f['v'];
            m->base = f['n'] * v.cols;
        } else {
            m->rows = v.cols;
            m->cols = f['n'];
            m->row_step = 1;
            m->col_step = v.cols;
        }
        break;
    case HOW_SQUEEZE:
        *m = (struct made){
            .n_slices = 1, .rows = t->dims[0], .cols = t->dims[2], .row_step = t->dims[2], .col_step = 1};
        nd = 2;
        break;
    case HOW_COLUMN:
    case HOW_NEG_EXP:
        *m = (struct made){.n_slices = 1,
                           .rows = v.cols,
                           .cols = 1,
                           .row_step = 1,
                           .col_step = 1,
                           .value = s->rule->how == HOW_NEG_EXP ? V_NEG_EXP : V_AS_IS};
        nd = 2;
        break;
    case HOW_GROUPS:
        m->rows = f['g'];
        m->cols = v.cols / f['g'];
        m->row_step = m->cols;
        nd = 2;
        break;
    }
    if (s->room > 1 || strchr(s->rule->hf, '#')) { /* experts, one after the other */
        m->n_slices = s->room;
        m->slice_step = 0;
        nd = 3;
    }
    o->n_dims = nd;
    o->ne[0] = m->value == V_MXFP4 ? m->cols * 32 : m->cols;
    o->ne[1] = nd > 1 ? m->rows : 1;
    o->ne[2] = nd > 2 ? m->n_slices : 1;
    o->ne[3] = 1;
    if (t->n_dims > 3 && m->value != V_MXFP4)
        BUG("rule '%s' has too many dimensions", s->rule->hf);
    return true;
}

/* Vectors, norms, routers, and what the engine's kernels read as floats are never narrowed. */
static bool is_float(const struct image_tensor *t)
{
    static const char *const always[] = {"_norm.weight", "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight",
                                         "ssm_conv1d.weight"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (ends_with(t->name, always[i]))
            return true;
    return t->n_dims == 1 || !ends_with(t->name, ".weight");
}

static bool set_size(struct image_tensor *t, struct err *e)
{
    const struct gg_type *type = gg_type_get(t->type);
    uint64_t n = t->ne[0] / type->block;
    if (!mul_u64(n, type->bytes, &n) || !mul_u64(n, t->ne[1], &n) || !mul_u64(n, t->ne[2], &n) ||
        n > (uint64_t)1 << 60)
        return err_set(e, ERR_INPUT, "tensor '%s' is too large", t->name);
    t->bytes = n;
    return true;
}

static struct image_tensor *new_tensor(struct planner *p, int64_t block, const char *name)
{
    GROW(p->im->tensors, p->im->n_tensors, p->cap);
    struct image_tensor *t = &p->im->tensors[p->im->n_tensors++];
    *t = (struct image_tensor){.ne = {1, 1, 1, 1}, .n_dims = 1, .made = xcalloc(1, sizeof *t->made)};
    block_name(t->name, block, name);
    return t;
}

static bool add_scales(struct planner *p, struct slot *s, struct made *m, struct err *e)
{
    for (uint64_t i = 0; i < s->room; i++) {
        struct source *src = &s->sources[i];
        enum num num = num_of(src->w->dtype);
        uint64_t rows = m->scale_rows, cols = m->scale_cols;
        if (m->value == V_MXFP4) {
            char *base = xstrndup(src->w->name, strlen(src->w->name) - strlen("_blocks"));
            src->scale = find2(p, base, "_scales");
            free(base);
            const struct hf_tensor *t = src->scale;
            if (!t || t->n_dims != 3 || memcmp(t->dims, src->w->dims, 3 * sizeof *t->dims) != 0 ||
                t->dtype->bits != 8 || src->w->dtype->bits != 8)
                return err_set(e, ERR_INPUT, "tensor '%.200s': no '_scales' of the same shape beside it",
                               src->w->name);
            continue;
        }
        if (num == N_NONE || num == N_E8M0)
            return err_set(e, ERR_INPUT, "tensor '%.200s' has type %s, expected a float type", src->w->name,
                           src->w->dtype->name);
        if (num != N_F8_E4M3 && num != N_F8_E5M2)
            continue;
        if (!fp8_scale(p, src, m, e))
            return false;
        if (i && (rows != m->scale_rows || cols != m->scale_cols) && rows)
            return err_set(e, ERR_INPUT,
                           "tensor '%.200s' is scaled in another way than the experts before it",
                           src->w->name);
    }
    return true;
}

static bool add_output(struct planner *p, int64_t block, uint64_t rule, struct err *e)
{
    struct slot *s = slot_at(p, block, rule);
    if (!s->n)
        return true;
    struct image_tensor *t = new_tensor(p, block, s->rule->gguf);
    if (!geometry(p, s, t->made, t, e) || !add_scales(p, s, t->made, e))
        return false;
    t->made->sources = s->sources;
    t->made->n_sources = s->room;
    s->sources = NULL;
    t->type = t->made->value == V_MXFP4 ? T_MXFP4 : is_float(t) ? T_F32 : p->type;
    if (t->type != T_MXFP4 && t->ne[0] % gg_type_get(t->type)->block)
        t->type = T_F16; /* as llama.cpp's converter does */
    return set_size(t, e);
}

static bool add_rope_freqs(struct planner *p, struct err *e)
{
    float *v;
    if (!rope_freqs(&p->in, &v, e))
        return false;
    if (!v)
        return true;
    struct image_tensor *t = new_tensor(p, -1, "rope_freqs.weight");
    *t->made =
        (struct made){.n_slices = 1, .rows = 1, .cols = p->in.f.v['D'] / 2, .value = V_CONST, .values = v};
    t->ne[0] = t->made->cols;
    t->type = T_F32;
    return set_size(t, e);
}

/* ---- types ---- */

/* "auto": the type in which most bytes of the checkpoint's matrices are stored; FP8 becomes BF16. */
static uint32_t stored_type(const struct planner *p)
{
    uint64_t f32 = 0, f16 = 0, bf16 = 0;
    for (uint64_t i = 0; i < p->in.c->n_tensors; i++) {
        const struct hf_tensor *t = &p->in.c->tensors[i];
        enum num num = num_of(t->dtype);
        if (t->n_dims < 2)
            continue;
        if (num == N_F32 || num == N_F64)
            f32 += t->bytes;
        else if (num == N_F16)
            f16 += t->bytes;
        else if (num != N_NONE)
            bf16 += t->bytes;
    }
    return f32 > f16 && f32 > bf16 ? T_F32 : f16 > bf16 ? T_F16 : T_BF16;
}

static bool choose_type(struct planner *p, struct err *e)
{
    const char *want = p->o->type ? p->o->type : "auto";
    uint32_t stored = stored_type(p);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(want, "auto") ? types[i].id == stored : !strcasecmp(want, types[i].name)) {
            bool plain = types[i].id == T_F32 || types[i].id == T_F16 || types[i].id == T_BF16;
            if (!plain && !p->o->quantize)
                break;
            p->type = types[i].id;
            p->in.file_type = types[i].file_type;
            return true;
        }
    return err_set(e, ERR_INPUT, "type '%.40s' is not known", want);
}

/* ---- the whole file ---- */

/* "8x1.5B": experts and the parameters that are not experts plus one expert, as llama.cpp names sizes. */
static void size_label(const struct planner *p, char dst[64])
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < p->im->n_tensors; i++) {
        const struct image_tensor *t = &p->im->tensors[i];
        uint64_t k = t->ne[0] * t->ne[1] * t->ne[2];
        n += strstr(t->name, "_exps.") && t->n_dims == 3 ? k / p->in.f.v['E'] : k;
    }
    static const struct {
        double above, scale;
        char letter;
    } units[] = {{1e12, 1e-12, 'T'}, {1e9, 1e-9, 'B'}, {1e6, 1e-6, 'M'}, {-1, 1e-3, 'K'}};
    size_t u = 0;
    while ((double)n <= units[u].above)
        u++;
    double v = (double)n * units[u].scale;
    snprintf(dst, 64, "%llux%.*f%c", (unsigned long long)p->in.f.v['E'], v < 9.5 ? 1 : 0, v, units[u].letter);
}

static bool build_header(struct planner *p, const char *dir, struct err *e)
{
    struct buf keys = {0}, b = {0};
    uint64_t n_keys = 0, off = 0;
    char label[64];
    char *name = p->o->name ? xstrdup(p->o->name) : path_own_name(dir);
    size_label(p, label);
    p->in.name = name;
    p->in.size_label = label;
    for (uint64_t i = 0; i < p->im->n_tensors; i++)
        if (p->im->tensors[i].type == T_MXFP4)
            p->in.file_type = 38; /* LLAMA_FTYPE_MOSTLY_MXFP4_MOE */
    struct tokenizer_opts tok = {p->o->pretokenizer, p->in.f.v['V']};
    bool ok = keys_put(&p->in, &keys, &n_keys, e) && sampling_put(dir, &keys, &n_keys, e) &&
              tokenizer_put_keys(dir, p->in.conf.d, &tok, &keys, &n_keys, e);
    free(name);
    if (ok) {
        gg_put_start(&b, 3, p->im->n_tensors, n_keys);
        buf_add(&b, keys.s, keys.n);
        for (uint64_t i = 0; ok && i < p->im->n_tensors; i++) {
            struct image_tensor *t = &p->im->tensors[i];
            gg_put_tensor(&b, t->name, t->n_dims, t->ne, t->type, off);
            t->off = off;
            ok = add_u64(off, gg_align(t->bytes, ALIGNMENT), &off) && off < (uint64_t)1 << 60;
            if (!ok)
                err_set(e, ERR_INPUT, "the model is too large");
        }
        gg_pad(&b, ALIGNMENT);
    }
    for (uint64_t i = 0; i < p->im->n_tensors; i++)
        p->im->tensors[i].off += b.n;
    p->im->header = b;
    p->im->size = b.n + off;
    buf_clear(&keys);
    return ok;
}

static bool find_map(struct planner *p, struct err *e)
{
    const struct jdoc *d = &p->in.c->json[HF_CONFIG].doc;
    uint32_t list = jdoc_get(d, 0, "architectures");
    struct buf name = {0}, all = {0};
    p->in.conf = conf_of(d);
    if (list != JSPAN_NONE && d->nodes[list].kind == J_ARRAY && d->nodes[list].n &&
        d->nodes[d->nodes[list].first].kind == J_STRING)
        jdoc_str(d, d->nodes[list].first, &name);
    p->in.map = name.n ? family_conversion(name.s, &p->in.family) : NULL;
    if (!p->in.map) {
        family_list_converted(&all);
        err_set(e, ERR_INPUT, "config.json: models of the class '%.60s' cannot be converted; known are: %s",
                name.n ? name.s : "(none)", all.s);
    }
    buf_clear(&name);
    buf_clear(&all);
    return p->in.map != NULL;
}

static bool make_slots(struct planner *p, struct err *e)
{
    while (conversion_globals[p->n_globals].hf)
        p->n_globals++;
    for (const struct name_rule *const *list = p->in.map->names; *list; list++)
        for (const struct name_rule *r = *list; r->hf; r++)
            p->n_rules++;
    p->rules = xcalloc(p->n_rules, sizeof *p->rules);
    uint64_t n = 0;
    for (const struct name_rule *const *list = p->in.map->names; *list; list++)
        for (const struct name_rule *r = *list; r->hf; r++)
            p->rules[n++] = r;
    p->slots = mem_try(p->n_globals + p->in.n_blocks * p->n_rules, sizeof *p->slots, "the plan", e);
    return p->slots != NULL;
}

static bool plan(struct planner *p, const char *dir, struct err *e)
{
    if (!find_map(p, e) || !check_forms(p, e) || !facts_load(&p->in, e) || !musts_check(&p->in, e) ||
        !choose_type(p, e) || !make_slots(p, e))
        return false;
    fp8_block(p);
    for (uint64_t i = 0; i < p->in.c->n_tensors; i++)
        if (!place_tensor(p, &p->in.c->tensors[i], e))
            return false;
    drop_tied_output(p);
    if (!check_used(p, e) || !check_outputs(p, e))
        return false;
    for (uint64_t i = 0; i < p->n_globals; i++)
        if (!add_output(p, -1, i, e))
            return false;
    if (!add_rope_freqs(p, e))
        return false;
    for (uint64_t b = 0; b < p->in.n_blocks; b++)
        for (uint64_t i = 0; i < p->n_rules; i++)
            if (!add_output(p, (int64_t)b, i, e))
                return false;
    if (p->n_mtp_dropped)
        log_note("%llu tensors of MTP layers are left out: the engine cannot use them in this family",
                 (unsigned long long)p->n_mtp_dropped);
    return build_header(p, dir, e);
}

struct image *convert_open(const struct hf_checkpoint *c, const char *dir, const struct convert_opts *o,
                           struct err *e)
{
    struct planner p = {.in = {.c = c}, .o = o, .im = xcalloc(1, sizeof *p.im)};
    p.used = xcalloc(c->n_tensors ? c->n_tensors : 1, sizeof *p.used);
    bool ok = plan(&p, dir, e);
    if (ok) {
        p.im->arch = p.in.family->arch;
        reader_init(p.im, c, o);
    }
    if (!ok)
        err_ctx(e, "%s", dir);
    for (uint64_t i = 0; p.slots && i < p.n_globals + p.in.n_blocks * p.n_rules; i++)
        free(p.slots[i].sources);
    free(p.slots);
    free(p.rules);
    free(p.used);
    free(p.in.kinds);
    if (ok)
        return p.im;
    image_free(p.im);
    return NULL;
}
