/* settle.c - a model that does not fit into memory: how many tokens a compute step should have, and its weights through ahead.h. */
#include "base/disk.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/ahead.h"
#include "engine/engine_part.h"
#include "engine/machine.h"
#include "engine/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* What a thread computes, in flops a second, and the seconds that it looks at a masked cell, for each head and layer. Measured on
 * an EPYC: 5.3e10 (products of Q8_0 experts, 2 of 128 per token) and 1.25e-9 (8,192 tokens in steps of 4,096 and of 512). They bound
 * the step from above: a processor that is slower hides the disk's time all the more. */
#define PEAK   6e10
#define MASKED 1.2e-9

/* ---- models that are open at once ---- */

/* The engines of this process whose weights are mapped, which share its memory: opened, used and freed by one thread. */
static struct engine *engines;
static uint64_t given; /* bytes, to all of them that are streamed */

static bool maps(const struct engine_opts *o)
{
    return o->weights && !o->vocab_only && machine_maps(o);
}

/* Of its weights, in the memory of this machine. */
static double here(const struct engine *g)
{
    return (double)(g->o.weights - (g->cost.there < g->o.weights ? g->cost.there : g->o.weights));
}

bool settle_streams(const struct engine_opts *o)
{
    struct memory m;
    uint64_t there, bytes = o->weights;
    for (const struct engine *g = engines; g;
         g = g->next) /* what is mapped counts as free, and comes to be used */
        bytes += g->ahead ? 0 : (uint64_t)here(g);
    return maps(o) && !machine_fits(bytes, o, &m, &there);
}

void settle_begin(struct engine *g, bool streams)
{
    bool cold;
    if (maps(&g->o)) {
        g->next = engines;
        engines = g;
    }
    if (!streams)
        return;
    g->ahead = ahead_new(NULL);
    g->disk = g->o.largest_file ? disk_rate(g->o.largest_file, &cold) : 0;
}

/* Frees what all of them hold of their weights; they go on with settle_start. */
static uint64_t free_memory(const struct engine *g, uint64_t *there)
{
    struct memory m;
    for (struct engine *x = engines; x; x = x->next)
        if (x->ahead)
            ahead_stop(x->ahead);
    (void)machine_fits(g->o.weights, &g->o, &m, there);
    return m.free;
}

/* What g may have of `bytes`. */
static uint64_t share_of(const struct engine *g, uint64_t bytes)
{
    double mapped = 0, streamed = 0;
    for (const struct engine *x = engines; x; x = x->next)
        *(x->ahead ? &streamed : &mapped) += here(x);
    return step_share(bytes, here(g), streamed, mapped);
}

/* ---- the weights of a node ---- */

/* Rows of embeddings are few. */
static struct ggml_tensor *weight_of(const struct ggml_tensor *t, int i)
{
    struct ggml_tensor *w = t->src[i];
    if (!w || t->op == GGML_OP_GET_ROWS)
        return NULL;
    w = w->view_src ? w->view_src : w;
    return w->data && w->buffer && ggml_backend_buffer_is_host(w->buffer) &&
                   ggml_backend_buffer_get_usage(w->buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS
               ? w
               : NULL;
}

/* Zeros in place of weights, which take no memory: what a learning decode computes is of no interest, and it would read most of
 * the model. */
static const char *blank(struct engine *g)
{
    if (!g->blank) {
        char *p = mmap(NULL, g->o.weights, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        g->blank = p == MAP_FAILED ? NULL : p;
    }
    return g->blank;
}

static void unblank(struct engine *g)
{
    if (g->blank)
        munmap(g->blank, g->o.weights);
    g->blank = NULL;
}

/* A small weight is in memory for good. */
static void keep(struct engine *g, struct ggml_tensor *w)
{
    const void *bytes = ahead_keep(g->ahead, w->data, ggml_nbytes(w));
    if (!bytes)
        return;
    GROW(g->kept, g->n_kept, g->cap_kept);
    g->kept[g->n_kept++] = (struct moved){w, w->data};
    w->data = (void *)(uintptr_t)bytes;
}

bool settle_use(struct engine *g, const struct ggml_tensor *t)
{
    for (int i = 0; i < GGML_MAX_SRC; i++) {
        struct ggml_tensor *w = weight_of(t, i);
        const char *bytes = NULL;
        if (w && !g->learning)
            bytes = ahead_use(g->ahead, w->data);
        else if (w && ggml_nbytes(w) < AHEAD_LEAST)
            keep(g, w);
        else if (w && ggml_nbytes(w) <= g->o.weights && ahead_learn(g->ahead, w->data, ggml_nbytes(w)))
            bytes = blank(g);
        if (!bytes)
            continue;
        struct ggml_tensor *s = t->src[i]; /* the weight or a view of it */
        g->moved[g->n_moved++] = (struct moved){s, s->data};
        s->data = (void *)(uintptr_t)(bytes + ((const char *)s->data - (const char *)w->data));
    }
    return g->n_moved > 0;
}

void settle_done(struct engine *g)
{
    if (!g->n_moved)
        return;
    while (g->n_moved) {
        const struct moved *m = &g->moved[--g->n_moved];
        m->tensor->data = m->data;
    }
    if (!g->learning)
        ahead_done(g->ahead);
}

void settle_look(struct engine *g)
{
    uint64_t there;
    if (!g->ahead)
        return;
    g->memory = free_memory(g, &there);
    g->host = g->cost.host;
}

static void give(uint64_t bytes)
{
    given = bytes;
    for (struct engine *x = engines; x; x = x->next)
        if (x->ahead && x->started)
            ahead_start(x->ahead, share_of(x, given));
}

/* Logits of a step of n tokens, which the engine has memory for when they come, and what a caller keeps of them. */
static uint64_t logits_of(const struct engine *g, const struct engine_run *r, uint64_t n)
{
    return r->observe && !r->want_logits ? 0 : 2 * n * engine_n_vocab(g) * sizeof(float);
}

/* Memory that holds no whole weight is of no use to it: a node is computed with all of its weight. */
static void say_mapped(struct engine *g)
{
    struct ahead_plan p;
    char a[32], b[32], c[32];
    ahead_plan(g->ahead, &p);
    if (p.mapped && !g->mapped_said)
        log_warn(
            "streaming: %s of %s of weights are in matrices larger than the %s that are left for them: the system "
            "reads those, slowly; a smaller -ub or --ctx leaves more",
            human_bytes(p.mapped, a), human_bytes(p.bytes, b), human_bytes(p.window, c));
    g->mapped_said = g->mapped_said || p.mapped;
}

void settle_start(struct engine *g, const struct engine_run *r)
{
    unblank(g);
    g->started = true;
    if (!g->ahead)
        return;
    g->logits = logits_of(g, r, (uint64_t)g->o.ubatch) + r->keeps;
    uint64_t left = g->memory - g->memory / STEP_SLACK, context = g->cost.host - g->host;
    for (const struct engine *x = engines; x; x = x->next)
        context += x->logits;
    give(left > context ? left - context : 0);
    say_mapped(g);
}

void settle_breathe(struct engine *g)
{
    struct memory m;
    uint64_t slack = g->memory / STEP_SLACK;
    if (!g->ahead || g->o.memory || !memory_look("", &m) || m.free >= slack / 4)
        return;
    if (log_verbose)
        log_note("streaming: memory has become scarce, some of it is given back");
    give(given > slack ? given - slack : 0);
}

void settle_end(struct engine *g)
{
    struct ahead_plan p;
    char a[32], b[32], c[32], d[32];
    for (struct engine **x = &engines; *x; x = &(*x)->next)
        if (*x == g) {
            *x = g->next;
            break;
        }
    if (!g->ahead)
        return;
    ahead_plan(g->ahead, &p);
    if (log_verbose && p.fetched)
        log_note(
            "streaming: of %s of weights %s stayed in memory, the others went through %s of it; computing waited "
            "%.1f s, reading %s took %.1f s of its threads",
            human_bytes(p.bytes, a), human_bytes(p.stays, b), human_bytes(p.window, c), p.waited,
            human_bytes(p.fetched, d), p.reading);
    unblank(g);
    for (uint32_t i = 0; i < g->n_kept; i++)
        g->kept[i].tensor->data = g->kept[i].data;
    free(g->kept);
    ahead_free(g->ahead);
    g->ahead = NULL;
}

/* ---- the step ---- */

static double number(const struct llama_model *m, const char *arch, const char *key)
{
    char name[128], value[32];
    uint64_t n;
    snprintf(name, sizeof name, "%s.%s", arch, key);
    return llama_model_meta_val_str(m, name, value, sizeof value) > 0 && parse_u64(value, &n) ? (double)n : 0;
}

static double masked_of(const struct llama_model *m)
{
    return MASKED * (double)llama_model_n_head(m) * (double)llama_model_n_layer(m);
}

/* Of a token, at least: each parameter is multiplied and added once, of experts those that are used. */
static double flops_of(const struct llama_model *m)
{
    char arch[64] = "";
    double all = 2 * (double)llama_model_n_params(m);
    (void)llama_model_meta_val_str(m, "general.architecture", arch, sizeof arch);
    double n = number(m, arch, "expert_count"), used = number(m, arch, "expert_used_count");
    return n > 0 && used > 0 && used < n ? all * used / n : all;
}

/* Bytes of a context for steps of n tokens; 0: it cannot be made. */
static uint64_t try_context(struct engine *g, const struct engine_run *r, uint32_t n)
{
    struct engine_run one = {.n_ctx = n, .n_seq_max = 1};
    struct llama_context_params p;
    struct cost c = {0};
    struct err ignored = {0}; /* the run itself will say it */
    int64_t before = g->o.ubatch;
    g->o.ubatch = n;
    bool ok = engine_context_params(g, &one, &p, &ignored);
    g->o.ubatch = before;
    if (!ok)
        return 0;
    cost_try(&c);
    struct llama_context *ctx = llama_init_from_model(g->model, p);
    cost_end();
    if (!ctx)
        return 0;
    llama_free(ctx);
    return c.host + c.there + logits_of(g, r, n);
}

static bool facts_of(struct engine *g, const struct engine_run *r, uint32_t usual, struct step_facts *f)
{
    uint64_t there, left = share_of(g, free_memory(g, &there));
    *f = (struct step_facts){.weights = g->o.weights,
                             .largest = g->o.largest,
                             .memory =
                                 there && there < left ? there : left - (r->keeps < left ? r->keeps : left),
                             .disk = g->disk,
                             .flops = flops_of(g->model),
                             .peak = there ? 0 : PEAK * (double)g->o.threads,
                             .masked = masked_of(g->model) / (double)g->o.threads,
                             .sizes = {512, 1024, 2048},
                             .n_tokens = r->n_tokens,
                             .usual = usual,
                             .window = r->n_ctx};
    for (int i = 0; i < 3; i++)
        if (!(f->costs[i] = try_context(g, r, f->sizes[i])))
            return false;
    return true;
}

static void say(const struct engine *g, const struct step_facts *f, uint64_t n_tokens)
{
    char a[32], b[32], c[32], d[32], rest[160] = "";
    uint64_t step = (uint64_t)g->o.ubatch, steps = (n_tokens + step - 1) / step;
    double secs = g->disk > 0 ? (double)f->weights / g->disk : 0;
    if (secs > 0 && steps)
        snprintf(rest, sizeof rest, " (%s at %s/s); %s tokens take %llu, at least %s", human_secs(secs, a),
                 human_bytes((uint64_t)g->disk, b), human_count(n_tokens, c), (unsigned long long)steps,
                 human_secs(secs * (double)steps, d));
    else if (secs > 0)
        snprintf(rest, sizeof rest, " (%s at %s/s)", human_secs(secs, a), human_bytes((uint64_t)g->disk, b));
    log_note("streaming: the weights are read from the disk for each step of %s tokens%s",
             human_count(step, d), rest);
}

void engine_settle(struct engine *g, const struct engine_run *r, uint32_t usual)
{
    struct step_facts f;
    if (!g->step_given)
        g->o.ubatch = usual;
    if (!g->ahead || !facts_of(g, r, usual, &f))
        return;
    if (!g->step_given) {
        g->o.ubatch = step_choose(&f);
        g->facts = f;
    }
    say(g, &f, r->n_tokens);
}

bool engine_separates(const struct engine *g, uint32_t longest, const uint64_t passes[2])
{
    return !engine_has_state(g) && step_separate(&g->facts, engine_ubatch(g), longest, passes);
}
