/* test_attention.c - src/engine/attention.c against the same in double: sequences packed with others, heads that share a
 * cache, sinks, streams, types of the cache, tokens that see nothing; and what is left to the engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/attention.h"
#include "engine/panels.h"

#include <math.h>
#include <string.h>

struct shape {
    int64_t tokens, cells, heads, kv_heads, k, v, streams;
    enum ggml_type type;
    int64_t sequence; /* tokens of each that is packed; 0: no mask */
    bool sinks;
};

static const struct shape shapes[] = {
    {40, 64, 4, 2, 64, 64, 1, GGML_TYPE_F16, 17, false},
    {12, 32, 1, 1, 16, 16, 1, GGML_TYPE_F32, 12, false},
    {25, 96, 6, 1, 40, 48, 1, GGML_TYPE_BF16, 0, true},
    {31, 64, 2, 2, 33, 80, 3, GGML_TYPE_F16, 9, true},
    {90, 1280, 2, 1, 32, 32, 1, GGML_TYPE_F16, 70, false},
    {90, 1280, 2, 1, 32, 32, 1, GGML_TYPE_F32, 0, true},
    {13, 2048, 1, 1, 128, 128, 1, GGML_TYPE_F16, 13, true},
};

#define EVERY 5 /* of the tokens one sees nothing at all */

struct made {
    struct ggml_context *c;
    struct ggml_tensor *t, *q, *k, *v, *mask, *sinks;
};

/* As uneven as real ones: some products are far above the others. */
static void fill(struct ggml_tensor *t, struct rng *r, float by)
{
    size_t n = (size_t)t->ne[0], rows = (size_t)ggml_nrows(t);
    float *v = xmalloc(n * sizeof *v + 1);
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++)
            v[j] = by * ((float)rng_below(r, 20001) / 10000 - 1) * (1 + (float)(i % 7));
        if (t->type == GGML_TYPE_F32)
            memcpy((char *)t->data + i * t->nb[1], v, n * sizeof *v);
        else
            ggml_quantize_chunk(t->type, v, (char *)t->data + i * t->nb[1], 0, 1, (int64_t)n, NULL);
    }
    free(v);
}

static bool sees(const struct shape *s, int64_t token, int64_t cell)
{
    if (!s->sequence)
        return true;
    int64_t behind = s->cells - s->tokens; /* cells of sequences of before */
    cell -= behind;
    return token % EVERY && cell >= 0 && cell <= token && cell / s->sequence == token / s->sequence;
}

/* As the engine's graph has them: heads lie side by side in a token's row. */
static struct made make(const struct shape *s, float cap, float alibi)
{
    struct rng r = {(uint64_t)s->cells};
    struct ggml_init_params p = {.mem_size = 1 << 24};
    struct made m = {.c = ggml_init(p)};
    struct ggml_tensor *q = ggml_new_tensor_4d(m.c, GGML_TYPE_F32, s->k, s->heads, s->tokens, s->streams),
                       *k = ggml_new_tensor_4d(m.c, s->type, s->k, s->kv_heads, s->cells, s->streams),
                       *v = ggml_new_tensor_4d(m.c, s->type, s->v, s->kv_heads, s->cells, s->streams);
    fill(q, &r, 1);
    fill(k, &r, 0.3f);
    fill(v, &r, 1);
    if (s->sequence) {
        m.mask = ggml_new_tensor_4d(m.c, GGML_TYPE_F16, s->cells, s->tokens, 1, s->streams);
        ggml_fp16_t *at = m.mask->data;
        for (int64_t st = 0; st < s->streams; st++)
            for (int64_t i = 0; i < s->tokens; i++)
                for (int64_t j = 0; j < s->cells; j++)
                    *at++ = ggml_fp32_to_fp16(sees(s, i, j) ? (float)(j % 3 == 1) / 4 : -INFINITY);
    }
    m.q = ggml_permute(m.c, q, 0, 2, 1, 3);
    m.k = ggml_permute(m.c, k, 0, 2, 1, 3);
    m.v = ggml_permute(m.c, v, 0, 2, 1, 3);
    m.t = ggml_flash_attn_ext(m.c, m.q, m.k, m.v, m.mask, 0.5f, alibi, cap);
    if (s->sinks) {
        m.sinks = ggml_new_tensor_1d(m.c, GGML_TYPE_F32, s->heads);
        fill(m.sinks, &r, 2);
        ggml_flash_attn_ext_add_sinks(m.t, m.sinks);
    }
    return m;
}

static void compute(const struct ggml_tensor *t, int threads)
{
    void *own[4], *shared = xmalloc(attention_shared(t) + 64);
    for (int i = 0; i < threads; i++)
        own[i] = xmalloc(attention_own(t) + 64);
    attention(t, (void *)(((uintptr_t)shared + 63) / 64 * 64), own, threads);
    for (int i = 0; i < threads; i++)
        free(own[i]);
    free(shared);
}

static double at(const struct ggml_tensor *t, int64_t i, int64_t row, int64_t head, int64_t stream)
{
    float v;
    const char *p = (const char *)t->data + row * (int64_t)t->nb[1] + head * (int64_t)t->nb[2] +
                    stream * (int64_t)t->nb[3] + i * (int64_t)t->nb[0];
    if (t->type == GGML_TYPE_F32)
        return (double)*(const float *)(const void *)p;
    ggml_get_type_traits(t->type)->to_float(p, &v, 1);
    return (double)v;
}

static void check_token(const struct shape *s, const struct made *m, int64_t stream, int64_t head,
                        int64_t token)
{
    double *e = xcalloc((size_t)s->cells, sizeof *e),
           most = s->sinks ? at(m->sinks, head, 0, 0, 0) : -INFINITY, sum = 0;
    int64_t from = head / (s->heads / s->kv_heads);
    for (int64_t j = 0; j < s->cells; j++) {
        double dot = 0;
        for (int64_t i = 0; i < s->k; i++)
            dot += at(m->q, i, token, head, stream) * at(m->k, i, j, from, stream);
        e[j] = !sees(s, token, j) ? -INFINITY : dot / 2 + (s->sequence && j % 3 == 1 ? 0.25 : 0);
        most = fmax(most, e[j]);
    }
    if (s->sinks)
        sum = exp(at(m->sinks, head, 0, 0, 0) - most);
    for (int64_t j = 0; j < s->cells; j++)
        sum += e[j] = e[j] == -INFINITY ? 0 : exp(e[j] - most);
    for (int64_t i = 0; i < s->v; i++) {
        double want = 0;
        for (int64_t j = 0; j < s->cells; j++)
            want += e[j] == 0 ? 0 : e[j] * at(m->v, i, j, from, stream);
        want = sum == 0 ? 0 : want / sum;
        double got = (double)*(
            const float *)(const void *)((const char *)m->t->data + i * 4 + head * (int64_t)m->t->nb[1] +
                                         token * (int64_t)m->t->nb[2] + stream * (int64_t)m->t->nb[3]);
        assert_true(fabs(got - want) <= 5e-5);
    }
    free(e);
}

static void test_values(void **state)
{
    (void)state;
    if (!panels_here())
        skip();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *s = &shapes[i];
        struct made m = make(s, 0, 0);
        assert_true(attention_can(m.t));
        for (int threads = 1; threads < 4; threads += 2) {
            memset(m.t->data, 0xff, ggml_nbytes(m.t));
            compute(m.t, threads);
            for (int64_t st = 0; st < s->streams; st++)
                for (int64_t h = 0; h < s->heads; h++)
                    for (int64_t t = 0; t < s->tokens; t++)
                        check_token(s, &m, st, h, t);
        }
        ggml_free(m.c);
    }
}

/* What no token sees is not looked at, not even where there are no numbers. */
static void test_cells_of_others(void **state)
{
    (void)state;
    if (!panels_here())
        skip();
    const struct shape s = {40, 96, 2, 1, 32, 32, 1, GGML_TYPE_F32, 40, false};
    struct made m = make(&s, 0, 0);
    float *k = m.k->data, *v = m.v->data;
    for (int64_t i = 0; i < 32 * 32; i++) /* 56 cells lie before the sequence */
        k[i] = v[i] = NAN;
    compute(m.t, 1);
    for (int64_t t = 0; t < s.tokens; t++)
        check_token(&s, &m, 0, 1, t);
    ggml_free(m.c);
}

static bool can(struct shape s, float cap, float alibi)
{
    struct made m = make(&s, cap, alibi);
    bool yes = attention_can(m.t);
    ggml_free(m.c);
    return yes;
}

static void test_left_to_the_engine(void **state)
{
    (void)state;
    const struct shape s = {40, 64, 4, 2, 64, 64, 1, GGML_TYPE_F16, 17, false};
    struct shape few = s, odd = s, narrow = s, small = s;
    few.tokens = 11;
    odd.cells = 65;
    narrow.v = 40;
    small.type = GGML_TYPE_Q8_0;
    assert_int_equal(can(s, 0, 0), panels_here());
    assert_false(can(s, 30, 0));
    assert_false(can(s, 0, 8));
    assert_false(can(few, 0, 0) || can(odd, 0, 0) || can(narrow, 0, 0) || can(small, 0, 0));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_values),
                                              cmocka_unit_test(test_cells_of_others),
                                              cmocka_unit_test(test_left_to_the_engine)};
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
