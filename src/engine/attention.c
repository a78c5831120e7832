/* attention.c - see attention.h. */
#include "engine/attention.h"
#include "engine/lanes.h"
#include "engine/panels.h"
#include "engine/threads.h"

#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define CELLS  PANEL_COLS /* of a block */
#define TOKENS PANEL_ROWS
#define CHUNK  16 /* blocks whose products are kept at a time */

#define SHUT 0xfc00 /* -inf, in half precision */

enum seen { NOTHING, PART, ALL };

static size_t n_blocks(const struct ggml_tensor *t)
{
    return (size_t)t->src[1]->ne[1] / CELLS;
}

static size_t n_tiles(const struct ggml_tensor *t)
{
    return ((size_t)t->src[0]->ne[1] + TOKENS - 1) / TOKENS;
}

static size_t rounded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* ---- one row's softmax ---- */

#if defined(__x86_64__)

/* Adds what the mask has for a block, and gives back the greatest of it and of `most`. */
AVX512 static float add_mask(float *s, const uint16_t *mask, float most)
{
    __m512 m = _mm512_set1_ps(most);
    for (size_t i = 0; i < CELLS; i += LANES) {
        __m512 v = _mm512_loadu_ps(s + i);
        if (mask)
            v = _mm512_add_ps(v, _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(mask + i))));
        _mm512_storeu_ps(s + i, v);
        m = _mm512_max_ps(m, v);
    }
    return _mm512_reduce_max_ps(m);
}

/* s = e^(s - most); the sum of it. */
AVX512 static float exps(float *s, size_t n, float most)
{
    __m512 sum = _mm512_setzero_ps(), m = _mm512_set1_ps(most);
    for (size_t i = 0; i < n; i += LANES) {
        __m512 e = exp16(_mm512_sub_ps(_mm512_loadu_ps(s + i), m));
        _mm512_storeu_ps(s + i, e);
        sum = _mm512_add_ps(sum, e);
    }
    return _mm512_reduce_add_ps(sum);
}

AVX512 static enum seen look(const uint16_t *mask)
{
    __m512i v = _mm512_loadu_si512(mask);
    if (!_mm512_test_epi16_mask(v, _mm512_set1_epi16(0x7fff)))
        return ALL;
    return _mm512_cmpneq_epi16_mask(v, _mm512_set1_epi16((short)SHUT)) ? PART : NOTHING;
}

#else

static float add_mask(float *s, const uint16_t *mask, float most)
{
    (void)s, (void)mask;
    return most;
}

static float exps(float *s, size_t n, float most)
{
    (void)s, (void)n;
    return most;
}

static enum seen look(const uint16_t *mask)
{
    (void)mask;
    return ALL;
}

#endif

/* ---- the whole ---- */

bool attention_can(const struct ggml_tensor *t)
{
    const struct ggml_tensor *q = t->src[0], *k = t->src[1], *v = t->src[2], *mask = t->src[3],
                             *sinks = t->src[4];
    const float *params = (const float *)(const void *)t->op_params;
    return panels_here() && params[1] == 0 && params[2] == 0 && q->type == GGML_TYPE_F32 &&
           panels_take(k->type) && panels_take(v->type) && q->ne[1] >= TOKENS && k->ne[1] % CELLS == 0 &&
           v->ne[0] % (CELLS / 2) == 0 && q->ne[2] % k->ne[2] == 0 && v->ne[2] == k->ne[2] &&
           k->ne[3] == q->ne[3] && v->ne[3] == q->ne[3] && q->nb[0] == sizeof(float) &&
           k->nb[0] == ggml_type_size(k->type) && v->nb[0] == ggml_type_size(v->type) &&
           ggml_is_contiguous(t) &&
           (!mask || (mask->type == GGML_TYPE_F16 && mask->ne[2] == 1 && mask->ne[0] >= k->ne[1] &&
                      mask->ne[1] >= q->ne[1])) &&
           (!sinks || (sinks->type == GGML_TYPE_F32 && ggml_is_contiguous(sinks)));
}

/* What a node is computed with. */
struct work {
    const struct ggml_tensor *t, *q, *k, *v, *mask;
    float scale;
    uint8_t *seen;  /* enum seen [tiles][blocks] */
    uint8_t *used;  /* [blocks]: some tile sees it */
    float *kp, *vp; /* panels of one head: [blocks][columns of k][32], [columns of v / 32][cells][32] */
    int64_t stream; /* which sequence's cache, and which of its heads */
    int64_t head;
};

static size_t k_room(const struct ggml_tensor *t)
{
    return rounded((size_t)(t->src[1]->ne[0] * t->src[1]->ne[1]) * sizeof(float));
}

static size_t v_room(const struct ggml_tensor *t)
{
    return rounded((size_t)(t->src[2]->ne[0] * t->src[2]->ne[1]) * sizeof(float));
}

size_t attention_shared(const struct ggml_tensor *t)
{
    return rounded(n_tiles(t) * n_blocks(t)) + rounded(n_blocks(t)) + k_room(t) + v_room(t);
}

/* Of a thread: 12 rows of q, and their products with CHUNK blocks. */
size_t attention_own(const struct ggml_tensor *t)
{
    return ((size_t)t->src[1]->ne[0] + CHUNK * CELLS) * TOKENS * sizeof(float);
}

static const uint16_t *mask_row(const struct work *w, size_t token)
{
    const struct ggml_tensor *m = w->mask;
    return (const uint16_t *)(const void *)((const char *)m->data + token * m->nb[1] +
                                            (size_t)(w->stream % m->ne[3]) * m->nb[3]);
}

static size_t tokens_of(const struct work *w, size_t tile)
{
    size_t left = (size_t)w->q->ne[1] - tile * TOKENS;
    return left < TOKENS ? left : TOKENS;
}

static void look_at(const struct work *w, size_t tile)
{
    size_t blocks = n_blocks(w->t), n = tokens_of(w, tile);
    uint8_t *seen = w->seen + tile * blocks;
    if (!w->mask) {
        memset(seen, ALL, blocks);
        return;
    }
    for (size_t b = 0; b < blocks; b++) {
        size_t open = 0, shut = 0;
        for (size_t i = 0; i < n; i++) {
            enum seen s = look(mask_row(w, tile * TOKENS + i) + b * CELLS);
            open += s == ALL;
            shut += s == NOTHING;
        }
        seen[b] = open == n ? ALL : shut == n ? NOTHING : PART;
    }
}

static void make_panels(const struct work *w, size_t b)
{
    size_t cells = (size_t)w->k->ne[1], k_cols = (size_t)w->k->ne[0], v_cols = (size_t)w->v->ne[0];
    const char *k = (const char *)w->k->data + b * CELLS * w->k->nb[1] + (size_t)w->head * w->k->nb[2] +
                    (size_t)w->stream * w->k->nb[3],
               *v = (const char *)w->v->data + b * CELLS * w->v->nb[1] + (size_t)w->head * w->v->nb[2] +
                    (size_t)w->stream * w->v->nb[3];
    if (!w->used[b])
        return;
    panel_make(w->k->type, k, w->k->nb[1], CELLS, k_cols, w->kp + b * CELLS * k_cols);
    for (size_t c = 0; c < v_cols; c += CELLS) {
        size_t n = v_cols - c < CELLS ? v_cols - c : CELLS;
        panel_copy(w->v->type, v + c * ggml_type_size(w->v->type), w->v->nb[1], CELLS, n,
                   w->vp + c * cells + b * CELLS * n);
    }
}

/* Some of a tile's blocks: as many as fit, from *next on. */
struct chunk {
    size_t block[CHUNK], n;
};

static struct chunk chunk_of(const uint8_t *seen, size_t blocks, size_t *next)
{
    struct chunk c = {.n = 0};
    for (; *next < blocks && c.n < CHUNK; ++*next)
        if (seen[*next] != NOTHING)
            c.block[c.n++] = *next;
    return c;
}

/* The rows of a tile for one head of q. */
struct rows {
    const float *q[TOKENS], *p[TOKENS]; /* of q, and of products */
    float *s[TOKENS], *y[TOKENS], most[TOKENS], sum[TOKENS];
    size_t n, first; /* tokens, the first of which is */
};

/* s = e^(q k + mask - most), with what y and sum have so far brought to the same `most`. */
static void weights_of(const struct work *w, const uint8_t *seen, const struct chunk *c, struct rows *r)
{
    size_t k_cols = (size_t)w->k->ne[0], v_cols = (size_t)w->v->ne[0];
    for (size_t i = 0; i < c->n; i++)
        panel_multiply(w->kp + c->block[i] * CELLS * k_cols, CELLS, r->q, r->n, k_cols, r->s, i * CELLS,
                       false);
    for (size_t i = 0; i < r->n; i++) {
        float most = r->most[i];
        for (size_t j = 0; j < c->n; j++)
            most = add_mask(
                r->s[i] + j * CELLS,
                seen[c->block[j]] == PART ? mask_row(w, r->first + i) + c->block[j] * CELLS : NULL, most);
        if (most == -INFINITY) {
            memset(r->s[i], 0, c->n * CELLS * sizeof(float));
            continue;
        }
        float by = r->sum[i] > 0 ? expf(r->most[i] - most) : 0;
        if (by < 1)
            for (size_t j = 0; j < v_cols; j++)
                r->y[i][j] *= by;
        r->sum[i] = r->sum[i] * by + exps(r->s[i], c->n * CELLS, most);
        r->most[i] = most;
    }
}

/* y += s v, a run of blocks that lie side by side at a time. */
static void add_values(const struct work *w, const struct chunk *c, struct rows *r)
{
    size_t cells = (size_t)w->k->ne[1], v_cols = (size_t)w->v->ne[0];
    for (size_t i = 0, n; i < c->n; i += n) {
        for (n = 1; i + n < c->n && c->block[i + n] == c->block[i] + n; n++)
            ;
        for (size_t t = 0; t < r->n; t++)
            r->p[t] = r->s[t] + i * CELLS;
        for (size_t at = 0; at < v_cols; at += CELLS) {
            size_t cols = v_cols - at < CELLS ? v_cols - at : CELLS;
            panel_multiply(w->vp + at * cells + c->block[i] * CELLS * cols, cols, r->p, r->n, n * CELLS, r->y,
                           at, true);
        }
    }
}

static void tile(const struct work *w, size_t at, int64_t q_head, float *own)
{
    const struct ggml_tensor *q = w->q, *sinks = w->t->src[4];
    size_t k_cols = (size_t)q->ne[0], v_cols = (size_t)w->v->ne[0], blocks = n_blocks(w->t), next = 0;
    const uint8_t *seen = w->seen + at * blocks;
    struct rows r = {.n = tokens_of(w, at), .first = at * TOKENS};
    for (size_t i = 0; i < r.n; i++) {
        size_t token = r.first + i;
        const float *from =
            (const float *)(const void *)((const char *)q->data + token * q->nb[1] +
                                          (size_t)q_head * q->nb[2] + (size_t)w->stream * q->nb[3]);
        float *to = own + i * k_cols;
        for (size_t j = 0; j < k_cols; j++)
            to[j] = from[j] * w->scale;
        r.q[i] = to;
        r.s[i] = own + TOKENS * k_cols + i * CHUNK * CELLS;
        r.y[i] = (float *)(void *)((char *)w->t->data + (size_t)q_head * w->t->nb[1] + token * w->t->nb[2] +
                                   (size_t)w->stream * w->t->nb[3]);
        memset(r.y[i], 0, v_cols * sizeof(float));
        r.most[i] = sinks ? ((const float *)sinks->data)[q_head] : -INFINITY;
        r.sum[i] = sinks ? 1 : 0;
    }
    while (next < blocks) {
        struct chunk c = chunk_of(seen, blocks, &next);
        weights_of(w, seen, &c, &r);
        add_values(w, &c, &r);
    }
    for (size_t i = 0; i < r.n; i++) {
        float by = r.sum[i] == 0 ? 0 : 1 / r.sum[i];
        for (size_t j = 0; j < v_cols; j++)
            r.y[i][j] *= by;
    }
}

static void find_used(const struct work *w)
{
    size_t blocks = n_blocks(w->t);
    memset(w->used, 0, blocks);
    for (size_t i = 0; i < n_tiles(w->t); i++)
        for (size_t b = 0; b < blocks; b++)
            w->used[b] |= w->seen[i * blocks + b];
}

void attention(const struct ggml_tensor *t, void *shared, void *const *own, int n)
{
    struct work w = {.t = t, .q = t->src[0], .k = t->src[1], .v = t->src[2], .mask = t->src[3]};
    size_t tiles = n_tiles(t), blocks = n_blocks(t);
    int64_t each = w.q->ne[2] / w.k->ne[2];
    (void)n; /* without OpenMP */
    memcpy(&w.scale, t->op_params, sizeof w.scale);
    w.seen = shared;
    w.used = w.seen + rounded(tiles * blocks);
    w.kp = (float *)(void *)(w.used + rounded(blocks));
    w.vp = (float *)(void *)((char *)w.kp + k_room(t));
    for (w.stream = 0; w.stream < w.q->ne[3]; w.stream++) {
#pragma omp parallel for num_threads(n)
        for (size_t i = 0; i < tiles; i++)
            look_at(&w, i);
        find_used(&w);
        for (w.head = 0; w.head < w.k->ne[2]; w.head++) {
            atomic_size_t next = 0;
#pragma omp parallel num_threads(n)
            {
#pragma omp for schedule(dynamic, 1)
                for (size_t b = 0; b < blocks; b++)
                    make_panels(&w, b);
                /* the last ones first: they see most */
                for (size_t i; (i = atomic_fetch_add(&next, 1)) < tiles * (size_t)each;)
                    tile(&w, tiles - 1 - i / (size_t)each, w.head * each + (int64_t)(i % (size_t)each),
                         own[THREAD]);
            }
        }
    }
}
