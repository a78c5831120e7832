/* geometry.c - how an output tensor follows from its source, in strides (struct made). The source's shape has
 * been compared with what the config makes it (match.c). */
#include "base/mem.h"
#include "convert/layout_part.h"

#include <math.h>
#include <string.h>

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

static bool rotate_heads(struct made *m, const struct view3 *v, uint64_t head, const struct hf_tensor *t,
                         struct err *e)
{
    m->head = head;
    return (head % 2 == 0 && v->rows % head == 0) ||
           err_set(e, ERR_INPUT, "tensor '%.200s': heads of %llu rows cannot be rotated", t->name,
                   (unsigned long long)head);
}

/* HOW_FIRST, HOW_SECOND */
static void take_rows(struct made *m, const struct view3 *v, enum how how)
{
    m->rows = v->rows / 2;
    m->base = how == HOW_SECOND ? m->rows * v->cols : 0;
}

/* HOW_ROWS_HEAD, HOW_ROWS_TAIL */
static void split_rows(struct made *m, const struct view3 *v, uint64_t head, enum how how)
{
    m->rows = how == HOW_ROWS_HEAD ? head : v->rows - head;
    m->base = how == HOW_ROWS_TAIL ? head * v->cols : 0;
}

/* HOW_EVEN_ROWS, HOW_ODD_ROWS */
static void skip_rows(struct made *m, const struct view3 *v, enum how how)
{
    m->rows = v->rows / 2;
    m->row_step = 2 * v->cols;
    m->base = how == HOW_ODD_ROWS ? v->cols : 0;
}

/* HOW_EVEN, HOW_ODD */
static void take_columns(struct made *m, const struct view3 *v, enum how how)
{
    m->cols = v->cols / 2;
    m->col_step = 2;
    m->base = how == HOW_ODD;
}

/* HOW_SWAP and its parts */
static void swap_axes(struct made *m, const struct view3 *v, enum how how)
{
    m->rows = how == HOW_SWAP ? v->cols : v->cols / 2;
    m->cols = v->rows;
    m->col_step = v->cols;
    m->row_step = how >= HOW_SWAP_EVEN ? 2 : 1;
    m->base = how == HOW_SWAP_ODD ? 1 : how == HOW_SWAP_SECOND ? m->rows : 0;
}

/* HOW_MXFP4 and its parts: [E, rows, blocks, 16], counted in blocks. */
static void take_mxfp4(struct made *m, const struct hf_tensor *t, enum how how)
{
    uint64_t rows = t->dims[1], blocks = t->dims[2], skip = how == HOW_MXFP4 ? 1 : 2;
    *m = (struct made){.n_slices = t->dims[0],
                       .rows = rows / skip,
                       .cols = blocks,
                       .slice_step = rows * blocks,
                       .row_step = skip * blocks,
                       .col_step = 1,
                       .base = how == HOW_MXFP4_ODD ? blocks : 0,
                       .value = V_MXFP4};
}

/* HOW_K_B, HOW_V_B */
static void split_kv(struct made *m, const struct view3 *v, const struct facts *f, int64_t block,
                     enum how how)
{
    uint64_t nope = facts_at(f, 'n', block), value = facts_at(f, 'v', block);
    m->n_slices = facts_at(f, 'N', block);
    m->slice_step = (nope + value) * v->cols;
    if (how == HOW_V_B) {
        m->rows = value;
        m->base = nope * v->cols;
    } else {
        m->rows = v->cols;
        m->cols = nope;
        m->row_step = 1;
        m->col_step = v->cols;
    }
}

/* HOW_SQUEEZE, HOW_COLUMN, HOW_NEG_EXP_COLUMN, HOW_EXP_COLUMN, HOW_GROUPS: one matrix. */
static void one_matrix(struct made *m, const struct hf_tensor *t, uint64_t groups, enum how how)
{
    uint64_t n = m->cols;
    *m = (struct made){.n_slices = 1, .row_step = 1, .col_step = 1};
    if (how == HOW_SQUEEZE) {
        m->rows = t->dims[0];
        m->cols = m->row_step = t->dims[2];
    } else if (how == HOW_GROUPS) {
        m->rows = groups;
        m->cols = m->row_step = n / groups;
    } else {
        m->rows = n;
        m->cols = 1;
        m->value = how == HOW_NEG_EXP_COLUMN ? V_NEG_EXP : how == HOW_EXP_COLUMN ? V_EXP : V_AS_IS;
    }
}

/* HOW_DELTA_QKV, HOW_DELTA_Z: for each of g key heads s rows of q, s of k, h / g heads of v, as many of z. */
static void split_delta(struct made *m, const uint64_t *f, enum how how)
{
    uint64_t s = f['s'], v = f['h'] / f['g'] * s, all = 2 * s + 2 * v;
    if (how == HOW_DELTA_Z) {
        m->row_parts[m->n_row_parts++] = (struct made_part){2 * s + v, f['g'], all, 1, 0, v};
        m->rows = f['g'] * v;
        return;
    }
    m->row_parts[m->n_row_parts++] = (struct made_part){0, f['g'], all, 1, 0, s};
    m->row_parts[m->n_row_parts++] = (struct made_part){s, f['g'], all, 1, 0, s};
    m->row_parts[m->n_row_parts++] = (struct made_part){2 * s, f['g'], all, 1, 0, v};
    m->rows = f['g'] * (2 * s + v);
}

/* Value heads of `width` rows, from h / g beside each other for each key head to one for each key head in turn. */
static struct made_part turns(const uint64_t *f, uint64_t base, uint64_t width)
{
    uint64_t n = f['h'] / f['g'];
    return (struct made_part){base, n, width, f['g'], n * width, width};
}

/* HOW_TURNS, HOW_TURNS_NEG_EXP, HOW_TURNS_COLUMNS */
static void take_turns(struct made *m, const struct hf_tensor *t, const uint64_t *f, enum how how)
{
    if (t->n_dims == 1 || how == HOW_TURNS_COLUMNS)
        m->col_parts[m->n_col_parts++] = turns(f, 0, m->cols / f['h']);
    else
        m->row_parts[m->n_row_parts++] = turns(f, 0, m->rows / f['h']);
    m->value = how == HOW_TURNS_NEG_EXP ? V_NEG_EXP : V_AS_IS;
}

/* HOW_TURNS_V: the rows of q and k as they are, then those of v in turns. */
static void turn_values(struct made *m, const struct hf_tensor *t, const uint64_t *f)
{
    uint64_t rows = t->dims[0], qk = 2 * f['g'] * f['s'], cols = t->dims[t->n_dims - 1];
    *m = (struct made){.n_slices = 1, .rows = rows, .cols = cols, .row_step = cols, .col_step = 1};
    m->row_parts[m->n_row_parts++] = (struct made_part){0, 1, 0, 1, 0, qk};
    m->row_parts[m->n_row_parts++] = turns(f, qk, f['s']);
}

/* HOW_PERM_Q, HOW_PERM_K, HOW_ROWS_V */
static bool split_qkv(struct made *m, struct view3 v, const struct facts *f, int64_t block,
                      const struct layout_slot *s, struct err *e)
{
    enum how how = s->rule->how;
    uint64_t q = facts_at(f, 'Q', block), k = facts_at(f, 'K', block);
    m->base = (how == HOW_PERM_Q ? 0 : how == HOW_PERM_K ? q : q + k) * v.cols;
    v.rows = m->rows = how == HOW_PERM_Q ? q : k;
    return how == HOW_ROWS_V || rotate_heads(m, &v, facts_at(f, 'D', block), s->sources[0].w, e);
}

/* HOW_RANKS */
static bool join_ranks(struct made *m, const struct facts *f, int64_t block, const struct layout_slot *s,
                       struct err *e)
{
    const struct packed *p = s->sources[0].packed;
    const uint64_t size[] = {facts_at(f, 'Q', block), facts_at(f, 'K', block), facts_at(f, 'k', block)};
    uint64_t n = p && p->rank_rows ? p->rows / p->rank_rows : 1, at = 0;
    for (int i = 0; i < 3 && n > 1; i++) {
        if (size[i] % n)
            return err_set(e, ERR_INPUT,
                           "tensor '%.200s' is of %llu parts, among which %llu rows cannot be divided",
                           s->sources[0].w->name, (unsigned long long)n, (unsigned long long)size[i]);
        m->row_parts[m->n_row_parts++] = (struct made_part){at, n, p->rank_rows, 1, 0, size[i] / n};
        at += size[i] / n;
    }
    return true;
}

/* HOW_STACKED, HOW_STACKED_SWAP */
static void unstack(struct made *m, const struct view3 *v, uint64_t n, enum how how)
{
    uint64_t rows = v->rows / n;
    m->n_slices = n;
    m->slice_step = rows * v->cols;
    m->rows = rows;
    if (how == HOW_STACKED_SWAP) {
        m->rows = v->cols;
        m->cols = rows;
        m->row_step = 1;
        m->col_step = v->cols;
    }
}

/* *n_dims: of the output, where it is not that of the source. */
static bool set_strides(const struct layout *l, int64_t block, const struct layout_slot *s, struct made *m,
                        uint32_t *n_dims, struct err *e)
{
    const struct hf_tensor *t = s->sources[0].w;
    const struct facts *f = &l->in.f;
    struct view3 v = view_of(t);
    enum how how = s->rule->how;
    *m = (struct made){.n_slices = v.n,
                       .rows = v.rows,
                       .cols = v.cols,
                       .slice_step = v.rows * v.cols,
                       .row_step = v.cols,
                       .col_step = 1};
    switch (how) {
    case HOW_COPY: break;
    case HOW_PERM: return rotate_heads(m, &v, facts_at(f, 'D', block), t, e);
    case HOW_FIRST:
    case HOW_SECOND: take_rows(m, &v, how); break;
    case HOW_ROWS_HEAD:
    case HOW_ROWS_TAIL: split_rows(m, &v, facts_at(f, 'U', block), how); break;
    case HOW_EVEN_ROWS:
    case HOW_ODD_ROWS: skip_rows(m, &v, how); break;
    case HOW_EVEN:
    case HOW_ODD: take_columns(m, &v, how); break;
    case HOW_SWAP:
    case HOW_SWAP_FIRST:
    case HOW_SWAP_SECOND:
    case HOW_SWAP_EVEN:
    case HOW_SWAP_ODD: swap_axes(m, &v, how); break;
    case HOW_MXFP4:
    case HOW_MXFP4_EVEN:
    case HOW_MXFP4_ODD:
        take_mxfp4(m, t, how);
        *n_dims = 3;
        break;
    case HOW_K_B:
    case HOW_V_B:
        split_kv(m, &v, f, block, how);
        *n_dims = 3;
        break;
    case HOW_PERM_Q:
    case HOW_PERM_K:
    case HOW_ROWS_V: return split_qkv(m, v, f, block, s, e);
    case HOW_RANKS: return join_ranks(m, f, block, s, e);
    case HOW_STACKED:
    case HOW_STACKED_SWAP:
        unstack(m, &v, facts_at(f, 'E', block), how);
        *n_dims = 3;
        break;
    case HOW_SQUEEZE:
    case HOW_COLUMN:
    case HOW_NEG_EXP_COLUMN:
    case HOW_EXP_COLUMN:
    case HOW_GROUPS:
        one_matrix(m, t, facts_at(f, 'g', block), how);
        *n_dims = 2;
        break;
    case HOW_CONV:
        *m = (struct made){.n_slices = v.n,
                           .rows = 1,
                           .cols = v.cols,
                           .slice_step = v.cols,
                           .row_step = v.cols,
                           .col_step = 1};
        *n_dims = 4;
        break;
    case HOW_PRODUCT:
        *m = (struct made){.n_slices = 1, .rows = 1, .cols = t->dims[t->n_dims - 1], .value = V_PRODUCT};
        *n_dims = 1;
        break;
    case HOW_IDS:
        m->value = V_IDS;
        m->below = facts_at(f, 'E', block);
        break;
    case HOW_NEG_EXP: m->value = V_NEG_EXP; break;
    case HOW_RESCALED:
        m->value = facts_at(f, 'Z', block) ? V_TIMES : V_AS_IS;
        m->times = (float)sqrt((double)f->v['H'] / (double)v.cols);
        break;
    case HOW_PLUS_ONE: m->value = V_PLUS_ONE; break;
    case HOW_DELTA_QKV:
    case HOW_DELTA_Z: split_delta(m, f->v, how); break;
    case HOW_TURNS:
    case HOW_TURNS_NEG_EXP:
    case HOW_TURNS_COLUMNS: take_turns(m, t, f->v, how); break;
    case HOW_TURNS_V:
        turn_values(m, t, f->v);
        *n_dims = 2;
        break;
    }
    return true;
}

bool layout_set_shape(const struct layout *l, int64_t block, const struct layout_slot *s, struct made *m,
                      struct image_tensor *o, struct err *e)
{
    const struct hf_tensor *t = s->sources[0].w;
    uint32_t n_dims = t->n_dims ? t->n_dims : 1;
    if (!set_strides(l, block, s, m, &n_dims, e))
        return false;
    bool pieces = strchr(s->rule->hf, '%') != NULL; /* one below the other */
    bool stack = strchr(s->rule->hf, '#') != NULL, vectors = stack && n_dims == 1;
    uint64_t parts = s->rule->how == HOW_PRODUCT ? 1 : layout_rule_parts(s->rule->hf);
    if (stack || pieces || parts > 1) { /* of each expert all parts, one after the other */
        m->n_slices = s->room;
        m->slice_step = 0;
        n_dims = vectors ? 2 : stack ? 3 : n_dims;
    }
    o->n_dims = n_dims;
    o->ne[0] = m->value == V_MXFP4 ? m->cols * 32 : m->cols; /* ggml's order */
    o->ne[1] = vectors ? m->n_slices : n_dims > 1 ? m->rows * (pieces ? s->room : parts) : 1;
    o->ne[2] = n_dims > 2 ? m->n_slices / parts : 1;
    o->ne[3] = 1;
    if (t->n_dims > 3 && t->dims[0] != 1 && m->value != V_MXFP4)
        BUG("rule '%s' has too many dimensions", s->rule->hf);
    return true;
}
