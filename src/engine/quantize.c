/* quantize.c - see quantize.h. */
#include "engine/quantize.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/sig.h"
#include "engine/library.h"
#include "engine/uncaught.h"

#include <ctype.h>
#include <llama.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum llama_ftype ftype;
} types[] = {
    {"F32", LLAMA_FTYPE_ALL_F32},
    {"F16", LLAMA_FTYPE_MOSTLY_F16},
    {"BF16", LLAMA_FTYPE_MOSTLY_BF16},
    {"Q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
    {"Q6_K", LLAMA_FTYPE_MOSTLY_Q6_K},
    {"Q5_K_M", LLAMA_FTYPE_MOSTLY_Q5_K_M},
    {"Q5_K_S", LLAMA_FTYPE_MOSTLY_Q5_K_S},
    {"Q5_1", LLAMA_FTYPE_MOSTLY_Q5_1},
    {"Q5_0", LLAMA_FTYPE_MOSTLY_Q5_0},
    {"Q4_K_M", LLAMA_FTYPE_MOSTLY_Q4_K_M},
    {"Q4_K_S", LLAMA_FTYPE_MOSTLY_Q4_K_S},
    {"Q4_1", LLAMA_FTYPE_MOSTLY_Q4_1},
    {"Q4_0", LLAMA_FTYPE_MOSTLY_Q4_0},
    {"IQ4_NL", LLAMA_FTYPE_MOSTLY_IQ4_NL},
    {"IQ4_XS", LLAMA_FTYPE_MOSTLY_IQ4_XS},
    {"MXFP4_MOE", LLAMA_FTYPE_MOSTLY_MXFP4_MOE},
    {"Q3_K_L", LLAMA_FTYPE_MOSTLY_Q3_K_L},
    {"Q3_K_M", LLAMA_FTYPE_MOSTLY_Q3_K_M},
    {"Q3_K_S", LLAMA_FTYPE_MOSTLY_Q3_K_S},
    {"IQ3_M", LLAMA_FTYPE_MOSTLY_IQ3_M},
    {"IQ3_S", LLAMA_FTYPE_MOSTLY_IQ3_S},
    {"IQ3_XS", LLAMA_FTYPE_MOSTLY_IQ3_XS},
    {"IQ3_XXS", LLAMA_FTYPE_MOSTLY_IQ3_XXS},
    {"Q2_K", LLAMA_FTYPE_MOSTLY_Q2_K},
    {"Q2_K_S", LLAMA_FTYPE_MOSTLY_Q2_K_S},
    {"IQ2_M", LLAMA_FTYPE_MOSTLY_IQ2_M},
    {"IQ2_S", LLAMA_FTYPE_MOSTLY_IQ2_S},
    {"IQ2_XS", LLAMA_FTYPE_MOSTLY_IQ2_XS},
    {"Q2_0", LLAMA_FTYPE_MOSTLY_Q2_0},
    {"IQ2_XXS", LLAMA_FTYPE_MOSTLY_IQ2_XXS},
    {"TQ2_0", LLAMA_FTYPE_MOSTLY_TQ2_0},
    {"IQ1_M", LLAMA_FTYPE_MOSTLY_IQ1_M},
    {"TQ1_0", LLAMA_FTYPE_MOSTLY_TQ1_0},
    {"IQ1_S", LLAMA_FTYPE_MOSTLY_IQ1_S},
    {"Q1_0", LLAMA_FTYPE_MOSTLY_Q1_0},
};
#define N_TYPES (sizeof types / sizeof *types)

const char *engine_quantize_name(uint32_t i)
{
    return i < N_TYPES ? types[i].name : NULL;
}

bool engine_quantize_find(const char *name, uint32_t *i)
{
    static const char *const other[][2] = {{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}};
    for (size_t k = 0; k < sizeof other / sizeof *other; k++)
        if (!strcasecmp(other[k][0], name))
            name = other[k][1];
    for (*i = 0; *i < N_TYPES; ++*i)
        if (!strcasecmp(types[*i].name, name))
            return true;
    return false;
}

bool engine_quantize_needs_matrix(uint32_t i)
{
    switch ((int)types[i].ftype) {
    case LLAMA_FTYPE_MOSTLY_IQ1_S:
    case LLAMA_FTYPE_MOSTLY_IQ1_M:
    case LLAMA_FTYPE_MOSTLY_IQ2_XXS:
    case LLAMA_FTYPE_MOSTLY_IQ2_XS:
    case LLAMA_FTYPE_MOSTLY_IQ2_S:
    case LLAMA_FTYPE_MOSTLY_IQ2_M:
    case LLAMA_FTYPE_MOSTLY_IQ3_XXS:
    case LLAMA_FTYPE_MOSTLY_IQ3_XS:
    case LLAMA_FTYPE_MOSTLY_Q2_K_S: return true;
    default: return false;
    }
}

/* ggml_quantize_chunk (ggml.c) ends the process for any other. */
static const enum ggml_type tensor_types[] = {
    GGML_TYPE_F32,    GGML_TYPE_F16,   GGML_TYPE_BF16,   GGML_TYPE_Q8_0, GGML_TYPE_Q6_K,    GGML_TYPE_Q5_K,
    GGML_TYPE_Q5_1,   GGML_TYPE_Q5_0,  GGML_TYPE_Q4_K,   GGML_TYPE_Q4_1, GGML_TYPE_Q4_0,    GGML_TYPE_IQ4_NL,
    GGML_TYPE_IQ4_XS, GGML_TYPE_MXFP4, GGML_TYPE_NVFP4,  GGML_TYPE_Q3_K, GGML_TYPE_IQ3_S,   GGML_TYPE_IQ3_XXS,
    GGML_TYPE_Q2_K,   GGML_TYPE_IQ2_S, GGML_TYPE_IQ2_XS, GGML_TYPE_Q2_0, GGML_TYPE_IQ2_XXS, GGML_TYPE_TQ2_0,
    GGML_TYPE_IQ1_M,  GGML_TYPE_TQ1_0, GGML_TYPE_IQ1_S,  GGML_TYPE_Q1_0,
};
#define N_TENSOR_TYPES (sizeof tensor_types / sizeof *tensor_types)

const char *engine_tensor_type(uint32_t i)
{
    return i < N_TENSOR_TYPES ? ggml_type_name(tensor_types[i]) : NULL;
}

/* GGML_TYPE_COUNT: none of them. */
static enum ggml_type find_tensor_type(const char *name)
{
    for (uint32_t i = 0; i < N_TENSOR_TYPES; i++)
        if (!strcasecmp(name, engine_tensor_type(i)))
            return tensor_types[i];
    return GGML_TYPE_COUNT;
}

/* tensor_requires_imatrix of llama.cpp v0.5.0, src/llama-quant.cpp */
static bool needs_matrix(const char *name, enum ggml_type to, enum llama_ftype ftype)
{
    static const char *const never[] = {"token_embd.weight", "per_layer_token_embd.weight", "output.weight"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (!strcmp(name, never[i]))
            return false;
    switch ((int)to) {
    case GGML_TYPE_IQ3_XXS:
    case GGML_TYPE_IQ2_XXS:
    case GGML_TYPE_IQ2_XS:
    case GGML_TYPE_IQ2_S:
    case GGML_TYPE_IQ1_M:
    case GGML_TYPE_IQ1_S: return true;
    case GGML_TYPE_Q2_K: return ftype == LLAMA_FTYPE_MOSTLY_Q2_K_S;
    default: return false;
    }
}

/* ---- what the engine says while it works ---- */

struct fallback {
    char name[GGML_MAX_NAME];
    const char *wanted;
};

struct talk {
    struct progress *progress; /* NULL: nobody waits for it */
    bool stopped;              /* by a signal */
    double mib;                /* of the result */
    char error[512];
    /* of a forecast */
    struct quantize_forecast *f;
    enum llama_ftype ftype;
    struct fallback *fallbacks; /* in the order of the tensors */
    uint32_t n_fallbacks, cap, at;
};

/* A type by the word at p, however it is set. */
static enum ggml_type type_at(const char *p)
{
    char word[16] = "";
    if (sscanf(p, " %15[A-Za-z0-9_]", word) == 1)
        for (int i = 0; i < GGML_TYPE_COUNT; i++) {
            const char *name = ggml_type_name((enum ggml_type)i);
            if (name && !strcmp(name, word))
                return (enum ggml_type)i;
        }
    return GGML_TYPE_COUNT;
}

/* "[  12/ 456] NAME - [  32, 64, 8, 1], type =   q8_0, " and then "size = 1.00 MiB -> 0.50 MiB (q4_0)", or
 * without the arrow where nothing changes. */
static void on_tensor(struct talk *t, const char *text)
{
    const char *name = strchr(text, ']'), *shape = strstr(text, " - ["), *type = strstr(text, ", type =");
    enum ggml_type from = type ? type_at(type + strlen(", type =")) : GGML_TYPE_COUNT;
    if (!name || !shape || from == GGML_TYPE_COUNT || shape < name + 2)
        return;
    GROW(t->f->v, t->f->n, t->f->cap);
    struct quantize_tensor *x = &t->f->v[t->f->n++];
    *x = (struct quantize_tensor){
        .from = ggml_type_name(from), .to = ggml_type_name(from), .quantised = ggml_is_quantized(from)};
    snprintf(x->name, sizeof x->name, "%.*s", (int)strcspn(name + 2, " "), name + 2);
    if (t->at < t->n_fallbacks && !strcmp(t->fallbacks[t->at].name, x->name))
        x->wanted = t->fallbacks[t->at++].wanted;
}

static void on_change(struct talk *t, const char *text)
{
    const char *arrow = strstr(text, " -> "), *paren = arrow ? strchr(arrow, '(') : NULL;
    enum ggml_type to = paren ? type_at(paren + 1) : GGML_TYPE_COUNT;
    if (!t->f->n || to == GGML_TYPE_COUNT)
        return;
    struct quantize_tensor *x = &t->f->v[t->f->n - 1];
    x->to = ggml_type_name(to);
    x->needs_matrix = needs_matrix(x->name, to, t->ftype);
}

/* "warning: NAME - ncols 96 not divisible by 256 (required for type q4_K) " */
static void on_fallback(struct talk *t, const char *text)
{
    const char *name = text + strlen("warning: "), *type = strstr(text, "(required for type");
    enum ggml_type wanted = type ? type_at(type + strlen("(required for type")) : GGML_TYPE_COUNT;
    if (wanted == GGML_TYPE_COUNT)
        return;
    GROW(t->fallbacks, t->n_fallbacks, t->cap);
    struct fallback *x = &t->fallbacks[t->n_fallbacks++];
    x->wanted = ggml_type_name(wanted);
    snprintf(x->name, sizeof x->name, "%.*s", (int)strcspn(name, " "), name);
}

static void on_forecast(struct talk *t, const char *text, bool is_tensor)
{
    if (is_tensor)
        on_tensor(t, text);
    else if (!strncmp(text, "size =", 6))
        on_change(t, text);
    else if (!strncmp(text, "warning: ", 9))
        on_fallback(t, text);
}

/* "[  12/ 456] blk.0..." is progress; the last error line is the reason when it fails. Called between
 * tensors, on the thread that called us. */
static void on_line(void *ud, const char *text, bool is_error)
{
    struct talk *t = ud;
    unsigned i, n;
    bool is_tensor = sscanf(text, "[%u/%u]", &i, &n) == 2;
    if (is_tensor && sig_pending() && !t->stopped) {
        t->stopped = true; /* it says that it failed, too */
        uncaught_stop();
    }
    if (is_tensor && t->progress) {
        t->progress->total = n;
        progress_set(t->progress, i);
    }
    if (t->f)
        on_forecast(t, text, is_tensor);
    const char *size = strstr(text, "quant size  =");
    if (size)
        (void)sscanf(size, "quant size  = %lf MiB", &t->mib);
    if (is_error && strncmp(text, "===", 3) != 0) {
        const char *reason = strstr(text, "failed to quantize: ");
        snprintf(t->error, sizeof t->error, "%s", reason ? reason + strlen("failed to quantize: ") : text);
        t->error[strcspn(t->error, "\n")] = 0;
    }
}

/* ---- in the engine's words ---- */

struct given {
    struct llama_model_imatrix_data *weights;
    struct llama_model_tensor_override *overrides;
    char **patterns;
    struct llama_model_kv_override keys[5];
};

static void add_key(struct given *g, const char *key, const char *text, int64_t n)
{
    struct llama_model_kv_override *k = g->keys;
    while (k->key[0])
        k++;
    snprintf(k->key, sizeof k->key, "%s", key);
    k->tag = text ? LLAMA_KV_OVERRIDE_TYPE_STR : LLAMA_KV_OVERRIDE_TYPE_INT;
    if (text) /* cut as llama-quantize cuts it */
        snprintf(k->val_str, sizeof k->val_str, "%s", text);
    else
        k->val_i64 = n;
}

/* The keys are those that llama-quantize writes, in its order. */
static void give_matrix(struct given *g, const struct quantize_matrix *m)
{
    g->weights = xcalloc((size_t)m->n + 1, sizeof *g->weights);
    for (uint32_t i = 0; i < m->n; i++)
        g->weights[i] =
            (struct llama_model_imatrix_data){m->weights[i].name, m->weights[i].v, m->weights[i].n};
    add_key(g, "quantize.imatrix.file", m->file, 0);
    if (m->dataset)
        add_key(g, "quantize.imatrix.dataset", m->dataset, 0);
    add_key(g, "quantize.imatrix.entries_count", NULL, m->n);
    if (m->n_chunks)
        add_key(g, "quantize.imatrix.chunks_count", NULL, m->n_chunks);
}

static bool give_type(const char *name, enum ggml_type *to, struct err *e)
{
    if (!name)
        return true;
    *to = find_tensor_type(name);
    return *to != GGML_TYPE_COUNT || err_set(e, ERR_INPUT, "type '%s' of a tensor is not known", name);
}

static bool give_overrides(struct given *g, const struct quantize_opts *o, struct err *e)
{
    g->overrides = xcalloc((size_t)o->n_overrides + 1, sizeof *g->overrides);
    g->patterns = xcalloc((size_t)o->n_overrides + 1, sizeof *g->patterns);
    for (uint32_t i = 0; i < o->n_overrides; i++) {
        char *p = g->patterns[i] = xstrdup(o->overrides[i].pattern);
        for (; *p; p++) /* as llama-quantize does */
            *p = (char)tolower((unsigned char)*p);
        g->overrides[i].pattern = g->patterns[i];
        if (!give_type(o->overrides[i].type, &g->overrides[i].type, e))
            return false;
    }
    g->overrides[o->n_overrides].type = GGML_TYPE_COUNT;
    return true;
}

static void given_clear(struct given *g)
{
    for (char **p = g->patterns; p && *p; p++)
        free(*p);
    free(g->patterns);
    free(g->overrides);
    free(g->weights);
}

static bool params(struct given *g, const struct quantize_opts *o, struct llama_model_quantize_params *p,
                   struct err *e)
{
    uint32_t type;
    if (!engine_quantize_find(o->type, &type))
        return err_set(e, ERR_INPUT, "type '%s' is not known", o->type);
    *p = llama_model_quantize_default_params();
    p->ftype = types[type].ftype;
    p->nthread = (int32_t)o->threads;
    p->allow_requantize = o->requantize;
    p->pure = o->pure;
    p->quantize_output_tensor = !o->keep_output;
    p->max_buf_size = 1u << 30;
    if (!give_type(o->output_type, &p->output_tensor_type, e) ||
        !give_type(o->embedding_type, &p->token_embedding_type, e) || !give_overrides(g, o, e))
        return false;
    if (o->n_overrides)
        p->tt_overrides = g->overrides;
    if (o->matrix && o->matrix->n) {
        give_matrix(g, o->matrix);
        p->imatrix = g->weights;
        p->kv_overrides = g->keys;
    }
    return true;
}

/* dry: to nowhere. */
static bool quantize(const char *in, const char *part, const struct quantize_opts *o, bool dry,
                     struct talk *talk, struct err *e)
{
    struct given given = {0};
    struct llama_model_quantize_params p;
    library_init();
    bool ok = params(&given, o, &p, e);
    if (ok) {
        p.dry_run = dry;
        talk->ftype = p.ftype;
        library_listen(on_line, talk);
        ok = llama_model_quantize(in, part, &p) == 0;
        library_listen(NULL, NULL);
        if (talk->stopped)
            ok = sig_check(e);
        else if (!ok)
            err_set(e, dry ? ERR_INPUT : ERR_FAILED, "%s: %s", in,
                    talk->error[0] ? talk->error : "the engine could not quantise it");
    }
    given_clear(&given);
    return ok;
}

bool engine_quantize(const char *in, const char *out, const struct quantize_opts *o, struct err *e)
{
    struct out file;
    struct progress progress;
    struct talk talk = {.progress = &progress};
    if (!out_open(&file, out, o->force, e))
        return false;
    progress_start(&progress, "quantising", "tensors", 0, 0);
    bool ok = quantize(in, file.part, o, false, &talk, e);
    progress_end(&progress);
    ok = ok && sig_check(e) && out_commit(&file, e);
    out_abort(&file);
    return ok;
}

void quantize_forecast_clear(struct quantize_forecast *f)
{
    free(f->v);
    *f = (struct quantize_forecast){0};
}

bool engine_quantize_forecast(const char *in, const struct quantize_opts *o, struct quantize_forecast *f,
                              struct err *e)
{
    struct talk talk = {.mib = -1, .f = f};
    *f = (struct quantize_forecast){0};
    bool ok = quantize(in, "", o, true, &talk, e);
    free(talk.fallbacks);
    if (ok && !(talk.mib >= 0 && talk.mib < 1e12))
        ok = err_set(e, ERR_FAILED, "%s: the engine does not say how large it would be as %s", in, o->type);
    if (ok)
        f->bytes = (uint64_t)(talk.mib * 1048576);
    else
        quantize_forecast_clear(f);
    return ok;
}

bool engine_quantize_size(const char *in, const struct quantize_opts *o, uint64_t *bytes, struct err *e)
{
    struct quantize_forecast f;
    bool ok = engine_quantize_forecast(in, o, &f, e);
    *bytes = ok ? f.bytes : 0;
    if (ok)
        quantize_forecast_clear(&f);
    return ok;
}

bool engine_dequantize(uint32_t type, const void *src, uint64_t n, float *dst, struct err *e)
{
    enum ggml_type t = (enum ggml_type)type;
    if (t == GGML_TYPE_F32) {
        memcpy(dst, src, n * sizeof *dst);
        return true;
    }
    const struct ggml_type_traits *traits = type < GGML_TYPE_COUNT ? ggml_get_type_traits(t) : NULL;
    if (!traits || !traits->to_float || n > INT64_MAX || n % (uint64_t)traits->blck_size)
        return err_set(e, ERR_INPUT, "type %u cannot be read as numbers", type);
    traits->to_float(src, dst, (int64_t)n);
    return true;
}
