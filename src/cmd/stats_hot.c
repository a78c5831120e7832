/* stats_hot.c - see stats_hot.h.
 *
 * Hot is who is chosen most often; ties go to the lower number. A share is of all that the router chose in a layer, so the
 * shares of a layer add up to 1 over its experts.
 *
 * The form "llama.cpp" is that of a routing profile as llama-moe-trace writes it (tools/moe-trace/moe-trace.cpp of
 * github.com/thecodacus/llama.cpp, commit 0bc799a0), which that fork's --moe-cache-profile takes: rows
 * "position,layer,id,id,...", positions below 0 for prompts. llama.cpp itself has no such file (its pull requests 22694 and 26414
 * count while they run). A profile says how often by repeating itself: here the hottest of a layer stands in REPEATS rows, another
 * in as many as its count is of that. */
#include "cmd/stats_hot.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"

#define REPEATS 100

struct hot {
    uint32_t expert;
    uint64_t count;
};

struct layer {
    const struct stats_layer *l;
    struct hot *v; /* all experts, hottest first */
    uint32_t n;    /* of them are asked for */
    uint64_t all;  /* choices in the layer */
};

static int hotter(const void *a, const void *b)
{
    const struct hot *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1)
                                : (x->expert > y->expert) - (x->expert < y->expert);
}

static struct layer layer_of(const struct stats *s, uint32_t i, uint32_t n)
{
    struct layer x = {.l = &s->layers[i], .n = n < s->n_experts ? n : s->n_experts};
    x.v = xcalloc(s->n_experts, sizeof *x.v);
    for (uint32_t k = 0; k < s->n_experts; k++) {
        x.v[k] = (struct hot){k, stats_total(x.l, k).count};
        x.all += x.v[k].count;
    }
    qsort(x.v, s->n_experts, sizeof *x.v, hotter);
    return x;
}

static double share(const struct layer *x, uint32_t k)
{
    return x->all ? (double)x->v[k].count / (double)x->all : 0;
}

static double covered(const struct layer *x)
{
    double sum = 0;
    for (uint32_t k = 0; k < x->n; k++)
        sum += share(x, k);
    return sum;
}

/* ---- the forms ---- */

static void text(struct buf *b, const struct layer *x)
{
    cmd_fmt(b, "layer %-3u %5.1f %%:", x->l->il, 100 * covered(x));
    for (uint32_t k = 0; k < x->n; k++)
        cmd_fmt(b, " %u", x->v[k].expert);
    buf_char(b, '\n');
}

static void csv(struct buf *b, const struct layer *x)
{
    for (uint32_t k = 0; k < x->n; k++)
        buf_fmt(b, "%u,%u,%u,%llu,%.6f\n", x->l->il, k + 1, x->v[k].expert, (unsigned long long)x->v[k].count,
                share(x, k));
}

static void trace(struct buf *b, const struct layer *x)
{
    uint64_t most = x->v[0].count;
    for (uint32_t k = 0; k < x->n && x->v[k].count; k++) {
        uint32_t rows = (uint32_t)((double)x->v[k].count / (double)most * REPEATS + 0.5);
        for (uint32_t r = 0; r < (rows ? rows : 1); r++)
            buf_fmt(b, "%u,%u,%u\n", r, x->l->il, x->v[k].expert);
    }
}

static json_t *layer_json(const struct layer *x)
{
    json_t *o = json_object(), *experts = json_array(), *counts = json_array(), *shares = json_array();
    for (uint32_t k = 0; k < x->n; k++) {
        json_array_append_new(experts, json_integer(x->v[k].expert));
        json_array_append_new(counts, json_integer((json_int_t)x->v[k].count));
        json_array_append_new(shares, json_real(share(x, k)));
    }
    json_object_set_new(o, "layer", json_integer(x->l->il));
    json_object_set_new(o, "covered", json_real(covered(x)));
    json_object_set_new(o, "experts", experts);
    json_object_set_new(o, "counts", counts);
    json_object_set_new(o, "shares", shares);
    return o;
}

static json_t *hot_json(const struct stats *s, uint32_t n)
{
    json_t *o = json_object(), *layers = json_array();
    for (uint32_t i = 0; i < s->n_layers; i++) {
        struct layer x = layer_of(s, i, n);
        json_array_append_new(layers, layer_json(&x));
        free(x.v);
    }
    json_object_set(o, "model", s->model);
    json_object_set_new(o, "tokens", json_integer((json_int_t)stats_tokens(&s->layers[0])));
    json_object_set_new(o, "hot", json_integer(n < s->n_experts ? n : s->n_experts));
    json_object_set_new(o, "layers", layers);
    return o;
}

static const struct form {
    const char *name, *head;
    void (*put)(struct buf *b, const struct layer *x); /* NULL: JSON */
} forms[] = {
    {"text", "share of what the router chose that goes to the hottest, and who they are, hottest first\n",
     text},
    {"llama.cpp", "", trace},
    {"json", "", NULL},
    {"csv", "layer,rank,expert,count,share\n", csv},
};

const char *stats_hot_form(uint32_t i)
{
    return i < sizeof forms / sizeof *forms ? forms[i].name : NULL;
}

bool stats_hot(const struct stats *s, uint32_t n, uint32_t form, struct err *e)
{
    struct buf b = {0};
    const struct form *f = &forms[form];
    if (cmd_json)
        return cmd_print_json("stats", hot_json(s, n), e);
    buf_str(&b, f->head);
    for (uint32_t i = 0; f->put && i < s->n_layers; i++) {
        struct layer x = layer_of(s, i, n);
        f->put(&b, &x);
        free(x.v);
    }
    if (!f->put) {
        json_t *o = hot_json(s, n);
        json_print(&b, o);
        json_decref(o);
    }
    return cmd_print_raw(&b, e);
}
