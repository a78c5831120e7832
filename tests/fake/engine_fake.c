/* engine_fake.c - see engine_fake.h. */
#include "engine_fake.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/rng.h"
#include "engine/machine.h"
#include "engine/quantize.h"
#include "model/view.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define MAX_FAKE_SEQS 256
#define MAX_FAKE_GONE 64

struct engine {
    struct view *view;
    struct engine_opts o;
    struct engine_run run;
    bool started, step_given;
    uint32_t next_pos[MAX_FAKE_SEQS]; /* per sequence */
    uint32_t cells;                   /* tokens in memory */
    double damage;                    /* worth of the experts that are masked, */
    uint64_t gone[MAX_FAKE_GONE];     /* and which these are */
    uint32_t n_gone;
    double coarse;        /* the same of its type */
    int32_t *token, *pos; /* of the last batch, [ubatch] */
    float *logits;        /* of its tokens, made when asked for */
    bool *made;
    uint32_t n;
};

struct fake_engine fake;

void fake_reset(void)
{
    fake = (struct fake_engine){.bos = FAKE_BOS, .n_ctx_train = 4096};
}

/* ---- numbers out of nothing ---- */

static struct rng seeded(uint64_t a, uint64_t b, uint64_t c)
{
    struct rng r = {a * 0x9e3779b97f4a7c15u ^ (b + 1) * 0xc2b2ae3d27d4eb4fu ^ (c + 1) * 0x165667b19e3779f9u};
    rng_next(&r);
    return r;
}

static float unit(struct rng *r) /* above 0, up to 1 */
{
    return (float)((double)((rng_next(r) >> 40) + 1) / (double)(1u << 24));
}

static void route_by_hash(uint32_t il, int32_t token, uint32_t pos, uint32_t n_experts, uint32_t k,
                          struct routed *rows)
{
    struct rng r = seeded(il, (uint64_t)token, pos);
    for (uint32_t i = 0; i < k; i++) {
        bool again;
        do {
            rows[i].expert = (int32_t)rng_below(&r, n_experts);
            again = false;
            for (uint32_t j = 0; j < i; j++)
                again = again || rows[j].expert == rows[i].expert;
        } while (again);
        rows[i].gate = unit(&r);
        rows[i].f_norm = 4 * unit(&r);
        rows[i].c_norm = rows[i].gate * rows[i].f_norm;
        rows[i].f_max = rows[i].f_norm * unit(&r);
        rows[i].loo = rows[i].c_norm * unit(&r);
    }
}

/* ---- opening ---- */

bool engine_foresee(const char *path, uint64_t bytes, bool whole, const struct engine_opts *o, struct err *e)
{
    (void)path, (void)bytes, (void)whole, (void)o, (void)e;
    return true;
}

struct engine *engine_open(const char *path, const struct engine_opts *o, struct err *e)
{
    struct engine *g = xcalloc(1, sizeof *g);
    fake.n_open++;
    g->o = *o;
    g->step_given = o->ubatch > 0;
    if (!g->step_given)
        g->o.ubatch = 512;
    g->coarse = strcmp(path, fake.made) ? 0 : fake.coarse;
    if (!(g->view = view_open(path, e))) {
        engine_free(g);
        return NULL;
    }
    return g;
}

/* Reads all of it, as a load does, and forgets it. */
struct engine *engine_open_source(const struct engine_source *s, const char *name,
                                  const struct engine_opts *o, struct err *e)
{
    uint8_t *p = xmalloc(1u << 20);
    bool ok = true;
    for (uint64_t at = 0, n; ok && at < s->size && !o->vocab_only; at += n) {
        n = s->size - at < 1u << 20 ? s->size - at : 1u << 20;
        ok = s->read(s->ctx, at, n, p, e);
    }
    free(p);
    return ok ? engine_open(name, o, e) : NULL;
}

void engine_free(struct engine *g)
{
    if (!g)
        return;
    view_free(g->view);
    free(g->token);
    free(g->pos);
    free(g->logits);
    free(g->made);
    free(g);
}

/* ---- facts ---- */

uint32_t engine_n_vocab(const struct engine *g)
{
    (void)g;
    return FAKE_VOCAB;
}

uint32_t engine_n_ctx_train(const struct engine *g)
{
    (void)g;
    return fake.n_ctx_train;
}

bool engine_has_state(const struct engine *g)
{
    (void)g;
    return fake.has_state;
}

int32_t engine_bos(const struct engine *g)
{
    (void)g;
    return fake.bos;
}

const char *engine_token(const struct engine *g, int32_t id)
{
    static char text[FAKE_VOCAB][2];
    (void)g;
    if (id == FAKE_BOS)
        return "<bos>";
    text[id][0] = (char)id;
    return text[id];
}

void engine_piece(const struct engine *g, int32_t id, struct buf *out)
{
    buf_str(out, engine_token(g, id));
}

const char *engine_version(void)
{
    return "fake engine";
}

void engine_settle(struct engine *g, const struct engine_run *r, uint32_t usual)
{
    (void)r;
    if (!g->step_given)
        g->o.ubatch = usual;
}

bool engine_separates(const struct engine *g, uint32_t longest, const uint64_t passes[2])
{
    (void)g, (void)longest, (void)passes;
    return false;
}

uint32_t engine_ubatch(const struct engine *g)
{
    return (uint32_t)g->o.ubatch;
}

/* ---- text ---- */

bool engine_tokenize(const struct engine *g, const char *text, uint64_t n, bool add_special,
                     bool parse_special, int32_t **out, uint32_t *n_out, struct err *e)
{
    (void)g, (void)parse_special, (void)e;
    uint32_t k = 0;
    int32_t *t = xcalloc(n + 1, sizeof *t);
    if (add_special && fake.bos >= 0)
        t[k++] = fake.bos;
    for (uint64_t i = 0; i < n; i++)
        t[k++] = (uint8_t)text[i];
    *out = t;
    *n_out = k;
    return true;
}

/* "role: content" on a line each; what else a message has is not looked at. */
static void not_looked_at(json_t *unused, const char *key)
{
    json_object_set_new(unused, key, json_integer(json_integer_value(json_object_get(unused, key)) + 1));
}

bool engine_chat(const struct engine *g, const json_t *chat, struct buf *out, json_t *unused, struct err *e)
{
    const json_t *list = json_object_get(chat, "messages");
    if (unused && json_object_get(chat, "tools"))
        not_looked_at(unused, "tools");
    if (fake.no_template && !g->o.chat_template)
        return err_set(e, ERR_INPUT, "the model has no chat template");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i);
        const char *content = json_string_value(json_object_get(m, "content"));
        if (unused && json_object_get(m, "thinking"))
            not_looked_at(unused, "messages.thinking");
        buf_fmt(out, "%s: %s\n", json_string_value(json_object_get(m, "role")), content ? content : "");
    }
    return true;
}

json_t *engine_chat_info(const struct engine *g)
{
    struct tm day;
    time_t now = (time_t)g->o.now;
    char s[32] = "";
    if (now && localtime_r(&now, &day))
        strftime(s, sizeof s, "%Y-%m-%d", &day);
    return json_pack("{s:s, s:s*}", "from", "model", "date", fake.day && now ? s : fake.day);
}

/* ---- running ---- */

bool engine_start(struct engine *g, const struct engine_run *r, struct err *e)
{
    size_t n = (size_t)g->o.ubatch;
    (void)e;
    fake.n_start++;
    if (!r->n_seq_max || r->n_seq_max > MAX_FAKE_SEQS)
        BUG("%u sequences", r->n_seq_max);
    g->run = *r;
    g->started = true;
    g->token = xrealloc(g->token, n, sizeof *g->token);
    g->pos = xrealloc(g->pos, n, sizeof *g->pos);
    g->made = xrealloc(g->made, n, sizeof *g->made);
    g->logits = xrealloc(g->logits, n * FAKE_VOCAB, sizeof *g->logits);
    engine_clear(g);
    return true;
}

void engine_clear(struct engine *g)
{
    fake.n_clear++;
    memset(g->next_pos, 0, sizeof g->next_pos);
    g->cells = 0;
}

void engine_fork(struct engine *g, uint32_t from, uint32_t to)
{
    if (!g->started || g->run.separate_streams || fake.has_state || from >= g->run.n_seq_max ||
        to >= g->run.n_seq_max || g->next_pos[to])
        BUG("sequence %u cannot go on from %u", to, from);
    g->next_pos[to] = g->next_pos[from];
    fake.n_fork++;
}

static void take_batch(struct engine *g, const struct engine_batch *b)
{
    uint32_t room = g->run.n_ctx < g->o.ubatch ? (uint32_t)g->o.ubatch : g->run.n_ctx;
    if (!g->started || !b->n || b->n > g->o.ubatch)
        BUG("a batch of %u tokens in steps of %lld", b->n, (long long)g->o.ubatch);
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t s = (uint32_t)b->seq[i];
        if (s >= g->run.n_seq_max || (uint32_t)b->pos[i] != g->next_pos[s])
            BUG("position %d of sequence %u", b->pos[i], s);
        g->next_pos[s]++;
    }
    if ((g->cells += b->n) > room)
        BUG("%u tokens in a memory of %u", g->cells, room);
    memcpy(g->token, b->token, b->n * sizeof *b->token);
    memcpy(g->pos, b->pos, b->n * sizeof *b->pos);
    memset(g->made, 0, b->n * sizeof *g->made);
    g->n = b->n;
}

const char *engine_mtp_refusal(const struct engine *g)
{
    (void)g;
    return "it is made up";
}

enum router engine_router(const struct engine *g)
{
    return g->run.observe ? ROUTER_RENORMALISED : ROUTER_UNKNOWN;
}

static bool observe(const struct engine *g, const struct engine_batch *b, struct err *e)
{
    bool ok = true;
    for (uint32_t l = 0; ok && l < g->view->n_layers; l++) {
        uint32_t il = g->view->layers[l].il, k = g->view->layers[l].n_used;
        struct routed *rows = xcalloc((size_t)b->n * k, sizeof *rows);
        for (uint32_t t = 0; t < b->n; t++)
            (fake.route ? fake.route : route_by_hash)(il, b->token[t], (uint32_t)b->pos[t],
                                                      g->view->shape.n_experts, k, rows + (size_t)t * k);
        ok = g->run.observe(g->run.ud, il, b->n, k, rows, e);
        free(rows);
    }
    return ok;
}

/* One weight per layer, of rows of two: token t goes to expert t % n, with the squares t / 100 and 1. */
static bool inputs(const struct engine *g, const struct engine_batch *b, struct err *e)
{
    bool ok = true;
    uint32_t n = g->view->shape.n_experts;
    for (uint32_t l = 0; ok && l < g->view->n_layers; l++)
        for (uint32_t m = 0; ok && m < n; m++) {
            char name[64];
            float sums[2] = {0};
            uint32_t rows = 0;
            for (uint32_t t = 0; t < b->n; t++)
                if ((uint32_t)b->token[t] % n == m) {
                    sums[0] += (float)b->token[t] / 100;
                    sums[1] += 1;
                    rows++;
                }
            snprintf(name, sizeof name, "blk.%u.ffn_up_exps.weight", g->view->layers[l].il);
            ok = g->run.inputs(g->run.ud, name, n, 2, m, rows, sums, e);
        }
    return ok;
}

bool engine_decode(struct engine *g, const struct engine_batch *b, struct err *e)
{
    take_batch(g, b);
    fake.n_decode++;
    if (fake.on_decode)
        fake.on_decode(b);
    for (uint32_t i = 0; i < b->n; i++)
        if (b->token[i] < 0 || b->token[i] >= FAKE_VOCAB)
            return err_set(e, ERR_INPUT, "token id %d is outside the vocabulary", b->token[i]);
    if (fake.n_decode == fake.interrupt_at)
        raise(SIGINT);
    if (fake.n_decode == fake.fail_at)
        return err_set(e, ERR_FAILED, "the fake engine fails as it was told to");
    fake.n_tokens += b->n;
    return !g->run.observe || (observe(g, b, e) && (!g->run.inputs || inputs(g, b, e)));
}

/* Of the experts that are gone, at this place. */
static double noise_at(const struct engine *g, uint32_t i)
{
    double sum = 0;
    for (uint32_t k = 0; fake.noise > 0 && k < g->n_gone; k++) {
        struct rng r = seeded(g->gone[k], (uint64_t)g->token[i], (uint64_t)g->pos[i]);
        sum += sqrt(12) * (unit(&r) - 0.5);
    }
    return fake.noise * sum;
}

const float *engine_logits(struct engine *g, uint32_t i)
{
    if (!g->run.want_logits || i >= g->n)
        BUG("logits of token %u of %u", i, g->n);
    float *x = g->logits + (size_t)i * FAKE_VOCAB;
    struct rng r = seeded(1, (uint64_t)g->token[i], (uint64_t)g->pos[i]);
    double noise = noise_at(g, i);
    for (uint32_t v = 0; v < FAKE_VOCAB && !g->made[i]; v++) {
        float base = 4 * unit(&r), away = 2 * unit(&r) - 1;
        x[v] = base + (float)(g->damage + noise + g->coarse) * away;
    }
    g->made[i] = true;
    return x;
}

/* ---- masks ---- */

static double worth_of(uint32_t il, uint32_t expert)
{
    return fake.worth ? fake.worth(il, expert) : 0.01;
}

bool engine_mask(struct engine *g, const struct engine_mask *m, struct err *e)
{
    g->damage = 0;
    g->n_gone = 0;
    for (uint32_t l = 0; m && l < m->n_layers; l++) {
        const struct engine_mask_layer *x = &m->layers[l];
        uint32_t next = 0;
        for (uint32_t i = 0; i < m->n_experts; i++)
            if (next < x->n_keep && x->keep[next] == i)
                next++;
            else {
                g->damage += worth_of(x->il, i);
                if (g->n_gone < MAX_FAKE_GONE)
                    g->gone[g->n_gone++] = 2 + (uint64_t)x->il * m->n_experts + i;
            }
        if (!x->n_keep || next != x->n_keep)
            return err_set(e, ERR_INPUT, "mask: layer %u: expected ascending ids below %u", x->il,
                           m->n_experts);
    }
    return true;
}

bool engine_match(struct engine *g, const struct engine_batch *b, struct engine_match *m, uint32_t n,
                  struct err *e)
{
    (void)g, (void)b, (void)m, (void)n;
    return err_set(e, ERR_FAILED, "the fake engine has no outputs of experts");
}

/* ---- what it does not do ---- */

bool engine_quantize_rows(uint32_t type, const float *src, uint64_t rows, uint64_t cols, void *dst,
                          struct err *e)
{
    (void)src, (void)rows, (void)cols, (void)dst;
    return err_set(e, ERR_INPUT, "the fake engine cannot make type %u", type);
}

/* Two types; a file of one is a copy of the model, and an engine that opens it is as far off as fake.coarse says. */
static const char *const quantised[] = {"Q8_0", "Q4_K_M", NULL};

const char *engine_quantize_name(uint32_t i)
{
    return i < 2 ? quantised[i] : NULL;
}

bool engine_quantize_find(const char *name, uint32_t *i)
{
    for (*i = 0; *i < 2; ++*i)
        if (!strcasecmp(quantised[*i], name))
            return true;
    return false;
}

bool engine_quantize_needs_matrix(uint32_t i)
{
    (void)i;
    return false;
}

const char *engine_tensor_type(uint32_t i)
{
    return engine_quantize_name(i);
}

bool engine_quantize_forecast(const char *in, const struct quantize_opts *o, struct quantize_forecast *f,
                              struct err *e)
{
    *f = (struct quantize_forecast){0};
    return engine_quantize_size(in, o, &f->bytes, e);
}

void quantize_forecast_clear(struct quantize_forecast *f)
{
    (void)f;
}

bool engine_quantize_size(const char *in, const struct quantize_opts *o, uint64_t *bytes, struct err *e)
{
    struct buf b = {0};
    (void)o;
    bool ok = file_read_all(in, UINT64_MAX, &b, e);
    *bytes = b.n;
    buf_clear(&b);
    return ok;
}

bool engine_quantize(const char *in, const char *out, const struct quantize_opts *o, struct err *e)
{
    struct buf b = {0};
    fake.n_quantize++;
    if (fake.n_quantize == fake.fail_quantize)
        return err_set(e, ERR_FAILED, "%s: the fake engine fails to quantise", in);
    bool ok = file_read_all(in, UINT64_MAX, &b, e) && file_write_atomic(out, b.s, b.n, o->force, e);
    snprintf(fake.made, sizeof fake.made, "%s", ok ? out : "");
    fake.coarse = !strcmp(o->type, "Q8_0") ? 0.001 : 0.05;
    buf_clear(&b);
    return ok;
}

bool engine_dequantize(uint32_t type, const void *src, uint64_t n, float *dst, struct err *e)
{
    (void)src, (void)n, (void)dst;
    return err_set(e, ERR_INPUT, "type %u cannot be read as numbers", type);
}
