/* engine_llama.c - engine.h on libllama v0.5.0. */
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "engine/engine_part.h"
#include "engine/library.h"

#include <errno.h>
#include <ggml-backend.h>
#include <llama.h>
#include <string.h>
#include <unistd.h>

#define EXPERTS_PATTERN "ffn_(up|down|gate|gate_up)_(ch|)exps" /* as llama.cpp's --cpu-moe */

const char *engine_version(void)
{
    return "llama.cpp v" REAP_ENGINE_VERSION;
}

/* ---- options ---- */

static const enum ggml_type cache_types[] = {GGML_TYPE_F32,    GGML_TYPE_F16,  GGML_TYPE_BF16,
                                             GGML_TYPE_Q8_0,   GGML_TYPE_Q4_0, GGML_TYPE_Q4_1,
                                             GGML_TYPE_IQ4_NL, GGML_TYPE_Q5_0, GGML_TYPE_Q5_1};

const char *engine_cache_type(uint32_t i)
{
    return i < sizeof cache_types / sizeof *cache_types ? ggml_type_name(cache_types[i]) : NULL;
}

const char *engine_load_mode(uint32_t i)
{
    enum llama_load_mode m = (enum llama_load_mode)((int)i + LLAMA_LOAD_MODE_AUTO);
    return m <= LLAMA_LOAD_MODE_MMAP_MLOCK ? llama_load_mode_name(m) : NULL;
}

static bool cache_type(const char *s, enum ggml_type *out, struct err *e)
{
    for (uint32_t i = 0; engine_cache_type(i); i++)
        if (!strcmp(s, engine_cache_type(i))) {
            *out = cache_types[i];
            return true;
        }
    return err_set(e, ERR_INPUT, "cache type '%s' is not known", s);
}

static bool load_mode(const char *s, enum llama_load_mode *out, struct err *e)
{
    for (uint32_t i = 0; engine_load_mode(i); i++)
        if (!strcmp(s, engine_load_mode(i))) {
            *out = (enum llama_load_mode)((int)i + LLAMA_LOAD_MODE_AUTO);
            return true;
        }
    return err_set(e, ERR_INPUT, "load mode '%s' is not known", s);
}

struct load {
    struct llama_model_params p;
    ggml_backend_dev_t devices[64];
    uint32_t n_devices;
    float split[128];
    struct llama_model_tensor_buft_override *over;
    char **patterns;
    uint32_t n_over;
};

static bool add_device(struct load *l, ggml_backend_dev_t d, struct err *e)
{
    if (l->n_devices + 1 >= sizeof l->devices / sizeof *l->devices)
        return err_set(e, ERR_INPUT, "too many devices");
    l->devices[l->n_devices++] = d;
    return true;
}

/* host:port with a port of 1 to 65535: the engine ends the program at anything else. */
static bool is_endpoint(const char *s)
{
    const char *colon = strchr(s, ':');
    uint64_t port;
    return colon && colon > s && parse_u64(colon + 1, &port) && port >= 1 && port <= 65535;
}

typedef ggml_backend_reg_t (*rpc_add_server)(const char *endpoint);

static bool add_rpc(struct load *l, const char *list, bool use, struct err *e)
{
    ggml_backend_reg_t rpc = ggml_backend_reg_by_name("RPC");
    rpc_add_server add = NULL;
    if (rpc) {
        void *p = ggml_backend_reg_get_proc_address(rpc, "ggml_backend_rpc_add_server");
        memcpy(&add, &p, sizeof add); /* ISO C has no cast from a data pointer to a function pointer */
    }
    if (!add)
        return err_set(e, ERR_INPUT, "--rpc: this build of the engine has no RPC backend");
    char *s = xstrdup(list), *save = NULL;
    bool ok = true;
    for (char *p = strtok_r(s, ",", &save); ok && p; p = strtok_r(NULL, ",", &save)) {
        if (!is_endpoint(p)) {
            ok = err_set(e, ERR_INPUT, "--rpc '%s': expected host:port, with a port of 1 to 65535", p);
            break;
        }
        library_forget();
        ggml_backend_reg_t r = add(p);
        if (!r) {
            ok = err_set(e, ERR_FAILED, "--rpc: no answer from '%s'", p);
            break;
        }
        ggml_backend_register(r);
        for (size_t i = 0; ok && use && i < ggml_backend_reg_dev_count(r); i++)
            ok = add_device(l, ggml_backend_reg_dev_get(r, i), e);
    }
    free(s);
    return ok;
}

static bool set_devices(struct load *l, const struct engine_opts *o, struct err *e)
{
    bool named = o->device && strcmp(o->device, "none") != 0;
    if (o->rpc && !add_rpc(l, o->rpc, !o->device, e))
        return false;
    if (o->rpc && !o->device) /* the local GPUs as well, behind the servers */
        for (size_t i = 0; i < ggml_backend_dev_count(); i++)
            if (ggml_backend_dev_type(ggml_backend_dev_get(i)) == GGML_BACKEND_DEVICE_TYPE_GPU) {
                bool known = false;
                for (uint32_t j = 0; j < l->n_devices; j++)
                    known = known || l->devices[j] == ggml_backend_dev_get(i);
                if (!known && !add_device(l, ggml_backend_dev_get(i), e))
                    return false;
            }
    if (named) {
        char *s = xstrdup(o->device), *save = NULL;
        bool ok = true;
        for (char *p = strtok_r(s, ",", &save); ok && p; p = strtok_r(NULL, ",", &save)) {
            ggml_backend_dev_t d = ggml_backend_dev_by_name(p);
            ok = d ? add_device(l, d, e) : err_set(e, ERR_INPUT, "--device: there is no device '%s'", p);
        }
        free(s);
        if (!ok)
            return false;
    }
    if (l->n_devices || (o->device && !named))
        l->p.devices = l->devices; /* an empty list: no offload */
    return true;
}

static bool set_split(struct load *l, const struct engine_opts *o, struct err *e)
{
    if (o->split_mode) {
        if (!strcmp(o->split_mode, "none"))
            l->p.split_mode = LLAMA_SPLIT_MODE_NONE;
        else if (!strcmp(o->split_mode, "layer"))
            l->p.split_mode = LLAMA_SPLIT_MODE_LAYER;
        else /* row and tensor split matrices over devices: what would be observed there is a part */
            return err_set(e, ERR_INPUT, "--split-mode '%s': use none or layer", o->split_mode);
    }
    if (!o->tensor_split)
        return true;
    size_t n = 0, max = llama_max_devices() < 128 ? llama_max_devices() : 128;
    char *s = xstrdup(o->tensor_split), *save = NULL;
    bool ok = true;
    for (char *p = strtok_r(s, ",/", &save); ok && p; p = strtok_r(NULL, ",/", &save)) {
        double v;
        if (n == max || !parse_f64(p, &v) || v < 0)
            ok = err_set(e, ERR_INPUT, "--tensor-split '%s': expected up to %zu proportions", o->tensor_split,
                         max);
        else
            l->split[n++] = (float)v;
    }
    free(s);
    l->p.tensor_split = l->split;
    return ok;
}

static void set_cpu_moe(struct load *l, const struct engine_opts *o)
{
    uint32_t n = o->cpu_moe ? 1 : (uint32_t)(o->n_cpu_moe > 0 ? o->n_cpu_moe : 0);
    if (!n)
        return;
    l->over = xcalloc(n + 1, sizeof *l->over);
    l->patterns = xcalloc(n, sizeof *l->patterns);
    l->n_over = n;
    for (uint32_t i = 0; i < n; i++) {
        l->patterns[i] =
            o->cpu_moe ? xstrdup("\\." EXPERTS_PATTERN) : xasprintf("blk\\.%u\\." EXPERTS_PATTERN, i);
        l->over[i].pattern = l->patterns[i];
        l->over[i].buft = ggml_backend_cpu_buffer_type();
    }
    l->p.tensor_buft_overrides = l->over;
}

static void load_clear(struct load *l)
{
    for (uint32_t i = 0; i < l->n_over; i++)
        free(l->patterns[i]);
    free(l->patterns);
    free(l->over);
}

static bool on_load(float part, void *ud)
{
    struct engine *g = ud;
    progress_set(&g->load, (uint64_t)((double)part * 1000));
    return !sig_pending();
}

/* ---- a model that is read from a source ---- */

#define STREAM_BUFFER (1u << 20)

struct stream {
    const struct engine_source *s;
    uint64_t pos;
    struct err err; /* of the first read that failed: the engine only sees a short file */
};

static ssize_t stream_read(void *ud, char *dst, size_t n)
{
    struct stream *st = ud;
    uint64_t left = st->pos < st->s->size ? st->s->size - st->pos : 0;
    if (n > left)
        n = (size_t)left;
    if (n && !st->s->read(st->s->ctx, st->pos, n, dst, &st->err)) {
        errno = EIO;
        return -1;
    }
    st->pos += n;
    return (ssize_t)n;
}

static int stream_seek(void *ud, off64_t *off, int whence)
{
    struct stream *st = ud;
    int64_t from = whence == SEEK_SET ? 0 : (int64_t)(whence == SEEK_CUR ? st->pos : st->s->size);
    if (__builtin_add_overflow(from, *off, &from) || from < 0) {
        errno = EINVAL;
        return -1;
    }
    st->pos = (uint64_t)from;
    *off = from;
    return 0;
}

static struct llama_model *load_stream(struct stream *st, struct load *l, struct err *e)
{
    cookie_io_functions_t io = {.read = stream_read, .seek = stream_seek};
    FILE *f = fopencookie(st, "rb", io);
    if (!f) {
        err_sys(e, "cannot open a stream");
        return NULL;
    }
    char *buf = xmalloc(STREAM_BUFFER);
    setvbuf(f, buf, _IOFBF, STREAM_BUFFER);
    struct llama_model *m = llama_model_load_from_file_ptr(f, l->p);
    fclose(f);
    free(buf);
    return m;
}

/* A stream cannot be mapped. */
static bool stream_mode(struct load *l, const char *name, struct err *e)
{
    switch (l->p.load_mode) {
    case LLAMA_LOAD_MODE_AUTO: l->p.load_mode = LLAMA_LOAD_MODE_NONE; return true;
    case LLAMA_LOAD_MODE_NONE:
    case LLAMA_LOAD_MODE_MLOCK: return true;
    default:
        return err_set(e, ERR_INPUT,
                       "%s: is converted while it is loaded and cannot be mapped; use --load-mode none",
                       name);
    }
}

/* What the loader reads instead of the file's split.count; the row behind the last has no key. */
static const struct llama_model_kv_override one_part[] = {
    {.tag = LLAMA_KV_OVERRIDE_TYPE_INT, .key = "split.count", .val_i64 = 1},
    {.key = ""},
};

static struct engine *open_model(const char *path, const struct engine_source *s, const struct engine_opts *o,
                                 struct err *e)
{
    library_init();
    struct load l = {.p = llama_model_default_params()};
    struct engine *g = xcalloc(1, sizeof *g);
    struct stream st = {.s = s};
    enum ggml_type unused;
    g->o = *o;
    if (g->o.threads <= 0)
        g->o.threads = engine_cores();
    g->step_given = g->o.ubatch > 0;
    if (!g->step_given)
        g->o.ubatch = ENGINE_UBATCH;
    if (o->rpc)
        g->watch = watch_join(o->rpc, o->rpc_silence);
    watch_hold(g->watch);
    if (!(g->chat = chat_new(o, e)) || !cache_type(o->cache_type_k, &unused, e) ||
        !cache_type(o->cache_type_v, &unused, e) || !set_devices(&l, o, e) || !set_split(&l, o, e))
        goto fail;
    set_cpu_moe(&l, o);
    l.p.vocab_only = o->vocab_only;
    l.p.load_mtp = o->mtp;
    if (o->whole)
        l.p.kv_overrides = one_part;
    l.p.n_gpu_layers = (int32_t)o->n_gpu_layers;
    if ((o->load_mode && !load_mode(o->load_mode, &l.p.load_mode, e)) || (s && !stream_mode(&l, path, e)))
        goto fail;
    settle_begin(g, !s && settle_streams(&g->o));
    if (g->ahead)
        l.p.use_extra_bufts = false; /* copies of the weights in another order, all of them in memory */
    cost_begin(&g->cost, &g->o);
    progress_start(&g->load, "loading the model", "permille", 1000, 0);
    l.p.progress_callback = on_load;
    l.p.progress_callback_user_data = g;
    library_forget();
    g->model = s ? load_stream(&st, &l, e) : llama_model_load_from_file(path, l.p);
    watch_release(g->watch);
    progress_end(&g->load);
    cost_end();
    if (!g->model) {
        if (st.err.code != ERR_NONE)
            err_set(e, st.err.code, "%s", st.err.msg);
        if (sig_check(e))
            err_set(e, ERR_FAILED, "%s: the engine cannot load it: %s", path, library_said());
        goto fail;
    }
    g->vocab = llama_model_get_vocab(g->model);
    tokenize_init(&g->tokenizer, g->model);
    load_clear(&l);
    return g;
fail:
    load_clear(&l);
    engine_free(g);
    return NULL;
}

struct engine *engine_open(const char *path, const struct engine_opts *o, struct err *e)
{
    return open_model(path, NULL, o, e);
}

struct engine *engine_open_source(const struct engine_source *s, const char *name,
                                  const struct engine_opts *o, struct err *e)
{
    return open_model(name, s, o, e);
}

bool engine_quantize_rows(uint32_t type, const float *src, uint64_t rows, uint64_t cols, void *dst,
                          struct err *e)
{
    enum ggml_type t = (enum ggml_type)type;
    if (type >= GGML_TYPE_COUNT || !ggml_type_name(t) || ggml_quantize_requires_imatrix(t))
        return err_set(e, ERR_INPUT, "type %u cannot be made without an importance matrix", type);
    if (cols % (uint64_t)ggml_blck_size(t) || rows > INT64_MAX || cols > INT64_MAX)
        return err_set(e, ERR_INPUT, "rows of %llu do not fill blocks of %s", (unsigned long long)cols,
                       ggml_type_name(t));
    ggml_quantize_chunk(t, src, dst, 0, (int64_t)rows, (int64_t)cols, NULL);
    return true;
}

void engine_free(struct engine *g)
{
    if (!g)
        return;
    if (g->has_batch)
        llama_batch_free(g->batch);
    settle_end(g);
    mtp_free(g->mtp);
    llama_free(g->ctx);
    chat_free(g->chat);
    observer_free(g->observer);
    masker_free(g->masker);
    inputs_free(g->inputs);
    tokenize_clear(&g->tokenizer);
    llama_model_free(g->model);
    watch_leave(g->watch);
    free(g);
}

/* ---- facts ---- */

uint32_t engine_n_vocab(const struct engine *g)
{
    return (uint32_t)llama_vocab_n_tokens(g->vocab);
}

uint32_t engine_n_ctx_train(const struct engine *g)
{
    int32_t n = llama_model_n_ctx_train(g->model);
    return n > 0 ? (uint32_t)n : 0;
}

bool engine_has_state(const struct engine *g)
{
    return llama_model_is_recurrent(g->model) || llama_model_is_hybrid(g->model);
}

int32_t engine_bos(const struct engine *g)
{
    return llama_vocab_get_add_bos(g->vocab) ? llama_vocab_bos(g->vocab) : -1;
}

const char *engine_token(const struct engine *g, int32_t id)
{
    const char *s =
        llama_vocab_type(g->vocab) == LLAMA_VOCAB_TYPE_NONE ? NULL : llama_vocab_get_text(g->vocab, id);
    return s ? s : "";
}

void engine_piece(const struct engine *g, int32_t id, struct buf *out)
{
    char piece[256], *p = piece;
    if (llama_vocab_type(g->vocab) == LLAMA_VOCAB_TYPE_NONE)
        return;
    int32_t n = llama_token_to_piece(g->vocab, id, p, (int32_t)sizeof piece, 0, true);
    if (n < 0) { /* how many it needs */
        p = xmalloc((size_t)-n);
        n = llama_token_to_piece(g->vocab, id, p, -n, 0, true);
    }
    if (n > 0)
        buf_add(out, p, (size_t)n);
    if (p != piece)
        free(p);
}

uint32_t engine_ubatch(const struct engine *g)
{
    return (uint32_t)g->o.ubatch;
}

/* ---- text ---- */

bool engine_tokenize(const struct engine *g, const char *text, uint64_t n, bool add_special,
                     bool parse_special, int32_t **out, uint32_t *n_out, struct err *e)
{
    if (llama_vocab_type(g->vocab) == LLAMA_VOCAB_TYPE_NONE)
        return err_set(e, ERR_INPUT,
                       "the model has no tokenizer; calibrate with rows of {\"tokens\": [...]}");
    return tokenize_text(&g->tokenizer, text, n, add_special, parse_special, out, n_out, e);
}

/* ---- running ---- */

/* The evaluation callback: asks all, and remembers who wanted the node. */
static bool on_node(struct ggml_tensor *t, bool ask, void *ud)
{
    struct engine *g = ud;
    if (ask) {
        g->streaming = g->ahead && settle_use(g, t);
        if (g->learning && g->masker)
            masker_learn(g->masker, t);
        g->masking = !g->learning && g->masker && masker_wants(g->masker, t);
        g->observing = g->observer && observer_callback(t, true, g->observer);
        g->summing = g->inputs && inputs_wants(t);
        if (g->learning && g->summing)
            observer_needs_rest(g->observer);
        g->summing = g->summing && !g->learning;
        return g->masking || g->observing || g->summing || g->streaming;
    }
    settle_done(g);
    return (!g->masking || masker_node(g->masker, t)) && (!g->summing || inputs_node(g->inputs, t)) &&
           (!g->observing || observer_callback(t, false, g->observer));
}

/* A short decode during which names are noted. */
static bool learn(struct engine *g, uint32_t n_ctx, struct err *e)
{
    uint32_t n = 4, vocab = engine_n_vocab(g);
    if (n > g->n_batch)
        n = g->n_batch;
    if (n > n_ctx)
        n = n_ctx;
    int32_t token[4], pos[4], seq[4] = {0};
    for (uint32_t i = 0; i < n; i++) {
        token[i] = (int32_t)(i % vocab);
        pos[i] = (int32_t)i;
    }
    if (g->observer)
        observer_learn_begin(g->observer);
    g->learning = true;
    bool ok = engine_decode(g, &(struct engine_batch){n, token, pos, seq, NULL}, e);
    g->learning = false;
    llama_synchronize(g->ctx);
    engine_clear(g);
    return ok && (!g->observer || observer_learn_end(g->observer, e)) &&
           (!g->masker || masker_learned(g->masker) || masker_learn_end(g->masker, e));
}

bool engine_mask(struct engine *g, const struct engine_mask *m, struct err *e)
{
    if (!g->masker) {
        if (g->ctx)
            BUG("the first engine_mask comes behind engine_start");
        g->masker = masker_new();
    }
    return masker_set(g->masker, m, e);
}

bool engine_context_params(struct engine *g, const struct engine_run *r, struct llama_context_params *p,
                           struct err *e)
{
    uint32_t n = (uint32_t)g->o.ubatch;
    *p = llama_context_default_params();
    p->n_ctx = r->n_ctx < n ? n : r->n_ctx;
    p->n_batch = p->n_ubatch = n;
    p->n_seq_max = r->n_seq_max;
    p->kv_unified = !r->separate_streams;
    p->n_threads = p->n_threads_batch = (int32_t)g->o.threads;
    p->no_perf = true;
    if (!strcmp(g->o.flash_attn, "on"))
        p->flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    else if (!strcmp(g->o.flash_attn, "off"))
        p->flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    else if (strcmp(g->o.flash_attn, "auto") != 0)
        return err_set(e, ERR_INPUT, "--flash-attn '%s': expected on, off or auto", g->o.flash_attn);
    return cache_type(g->o.cache_type_k, &p->type_k, e) && cache_type(g->o.cache_type_v, &p->type_v, e);
}

const char *engine_mtp_refusal(const struct engine *g)
{
    return !g->o.mtp  ? "its graph in the engine is not known here, or a part of it is left out"
           : g->ahead ? "the model is larger than memory"
                      : mtp_refusal(g->model);
}

bool engine_start(struct engine *g, const struct engine_run *r, struct err *e)
{
    mtp_free(g->mtp);
    g->mtp = NULL;
    llama_free(g->ctx);
    g->ctx = NULL;
    observer_free(g->observer);
    g->observer = r->observe ? observer_new(r, g->o.device_norms, (int)g->o.threads) : NULL;
    inputs_free(g->inputs);
    g->inputs = r->observe && r->inputs ? inputs_new(r->inputs, r->ud, (int)g->o.threads) : NULL;
    struct llama_context_params p;
    g->n_batch = (uint32_t)g->o.ubatch;
    if (!engine_context_params(g, r, &p, e))
        return false;
    if (g->observer || g->masker || g->ahead) {
        p.cb_eval = on_node;
        p.cb_eval_user_data = g;
    }
    library_forget();
    settle_look(g);
    cost_go_on(&g->cost);
    watch_hold(g->watch);
    g->ctx = llama_init_from_model(g->model, p);
    bool ok = g->ctx || err_set(e, ERR_FAILED, "the engine cannot make a context of %u tokens: %s", p.n_ctx,
                                library_said());
    if (ok && r->mtp && r->observe)
        ok = (g->mtp = mtp_new(g->model, g->ctx, &p, r, &g->o, e)) != NULL;
    watch_release(g->watch);
    cost_end();
    if (!ok)
        return false;
    if (g->has_batch)
        llama_batch_free(g->batch);
    g->batch = llama_batch_init((int32_t)g->n_batch, 0, 1);
    g->has_batch = true;
    cost_say(&g->cost, &g->o, r->n_tokens, g->ahead != NULL);
    bool known = !g->observer && (!g->masker || masker_learned(g->masker)) && !g->ahead;
    if (!known && !learn(g, p.n_ctx, e))
        return false;
    settle_start(g, r);
    return true;
}

enum router engine_router(const struct engine *g)
{
    return g->observer ? observer_router(g->observer) : ROUTER_UNKNOWN;
}

void engine_clear(struct engine *g)
{
    llama_memory_t m = llama_get_memory(g->ctx);
    if (m)
        llama_memory_clear(m, true);
    if (g->mtp)
        mtp_clear(g->mtp);
}

void engine_fork(struct engine *g, uint32_t from, uint32_t to)
{
    llama_memory_t m = llama_get_memory(g->ctx);
    if (m)
        llama_memory_seq_cp(m, (llama_seq_id)from, (llama_seq_id)to, -1, -1);
}

bool engine_decode(struct engine *g, const struct engine_batch *b, struct err *e)
{
    if (b->n == 0 || b->n > g->n_batch)
        BUG("a batch of %u tokens, room for %u", b->n, g->n_batch);
    uint32_t vocab = engine_n_vocab(g);
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->token[i] < 0 || (uint32_t)b->token[i] >= vocab)
            return err_set(e, ERR_INPUT, "token id %d is outside the vocabulary (0 to %u)", b->token[i],
                           vocab - 1);
        g->batch.token[i] = b->token[i];
        g->batch.pos[i] = b->pos[i];
        g->batch.n_seq_id[i] = 1;
        g->batch.seq_id[i][0] = b->seq[i];
        /* observed: all, always; most graphs drop the others before the last layer's experts */
        g->batch.logits[i] = !b->logits || b->logits[i];
    }
    g->batch.n_tokens = (int32_t)b->n;
    struct observer *o = g->learning ? NULL : g->observer;
    struct masker *m = g->learning ? NULL : g->masker;
    if (o)
        observer_begin(o);
    if (m)
        masker_begin(m);
    if (g->inputs)
        inputs_begin(g->inputs);
    if (!g->learning)
        settle_breathe(g);
    library_forget();
    int32_t r = llama_decode(g->ctx, g->batch);
    settle_done(g); /* of a node that failed */
    if ((g->inputs && !inputs_end(g->inputs, e)) || (m && r == 0 && !masker_end(m, e)) ||
        (o && !observer_end(o, b->n, e)))
        return false;
    if (r != 0)
        return err_set(e, ERR_FAILED, "the engine cannot decode a batch of %u tokens (%d): %s", b->n, r,
                       library_said());
    return g->learning || !g->mtp || mtp_decode(g->mtp, &g->batch, e);
}

bool engine_match(struct engine *g, const struct engine_batch *b, struct engine_match *m, uint32_t n,
                  struct err *e)
{
    if (!g->masker || g->observer)
        BUG("engine_match %s", g->masker ? "under an observer" : "without a mask");
    static const enum masker_outputs passes[] = {OUTPUTS_TAKE, OUTPUTS_MATCH};
    bool ok = true;
    for (int i = 0; ok && i < 2; i++) {
        masker_outputs(g->masker, passes[i]);
        engine_clear(g);
        ok = engine_decode(g, b, e);
    }
    masker_outputs(g->masker, OUTPUTS_LEAVE);
    engine_clear(g);
    for (uint32_t i = 0; ok && i < n; i++)
        if (!masker_matched(g->masker, &m[i]))
            ok = err_set(e, ERR_FAILED,
                         "layer %u: the engine's graph has no sum of its experts that could be compared",
                         m[i].il);
    return ok;
}

const float *engine_logits(struct engine *g, uint32_t i)
{
    return llama_get_logits_ith(g->ctx, (int32_t)i);
}
