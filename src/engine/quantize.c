/* quantize.c - see quantize.h. */
#include "engine/quantize.h"
#include "base/file.h"
#include "base/log.h"
#include "base/out.h"
#include "base/sig.h"
#include "engine/library.h"
#include "engine/uncaught.h"

#include <llama.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum llama_ftype ftype;
} types[] = {
    {"F32", LLAMA_FTYPE_ALL_F32},          {"F16", LLAMA_FTYPE_MOSTLY_F16},
    {"BF16", LLAMA_FTYPE_MOSTLY_BF16},     {"Q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
    {"Q6_K", LLAMA_FTYPE_MOSTLY_Q6_K},     {"Q5_K_M", LLAMA_FTYPE_MOSTLY_Q5_K_M},
    {"Q5_K_S", LLAMA_FTYPE_MOSTLY_Q5_K_S}, {"Q5_1", LLAMA_FTYPE_MOSTLY_Q5_1},
    {"Q5_0", LLAMA_FTYPE_MOSTLY_Q5_0},     {"Q4_K_M", LLAMA_FTYPE_MOSTLY_Q4_K_M},
    {"Q4_K_S", LLAMA_FTYPE_MOSTLY_Q4_K_S}, {"Q4_1", LLAMA_FTYPE_MOSTLY_Q4_1},
    {"Q4_0", LLAMA_FTYPE_MOSTLY_Q4_0},     {"IQ4_NL", LLAMA_FTYPE_MOSTLY_IQ4_NL},
    {"IQ4_XS", LLAMA_FTYPE_MOSTLY_IQ4_XS}, {"MXFP4_MOE", LLAMA_FTYPE_MOSTLY_MXFP4_MOE},
    {"Q3_K_L", LLAMA_FTYPE_MOSTLY_Q3_K_L}, {"Q3_K_M", LLAMA_FTYPE_MOSTLY_Q3_K_M},
    {"Q3_K_S", LLAMA_FTYPE_MOSTLY_Q3_K_S}, {"IQ3_M", LLAMA_FTYPE_MOSTLY_IQ3_M},
    {"IQ3_S", LLAMA_FTYPE_MOSTLY_IQ3_S},   {"Q2_K", LLAMA_FTYPE_MOSTLY_Q2_K},
    {"TQ2_0", LLAMA_FTYPE_MOSTLY_TQ2_0},   {"TQ1_0", LLAMA_FTYPE_MOSTLY_TQ1_0},
};
#define N_TYPES (sizeof types / sizeof *types)

const char *engine_quantize_name(uint32_t i)
{
    return i < N_TYPES ? types[i].name : NULL;
}

const char *engine_quantize_why_not(const char *name)
{
    /* tensor_requires_imatrix of llama.cpp v0.5.0, src/llama-quant.cpp */
    static const char *const need[] = {"IQ1_S", "IQ1_M",   "IQ2_XXS", "IQ2_XS", "IQ2_S",
                                       "IQ2_M", "IQ3_XXS", "IQ3_XS",  "Q2_K_S"};
    for (size_t i = 0; i < sizeof need / sizeof *need; i++)
        if (!strcasecmp(need[i], name))
            return "needs an importance matrix, which is not supported";
    return NULL;
}

static int find_type(const char *name)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (!strcasecmp(types[i].name, name))
            return (int)i;
    return -1;
}

struct talk {                  /* what the engine says while it works */
    struct progress *progress; /* NULL: nobody waits for it */
    bool stopped;              /* by a signal */
    double mib;                /* of the result */
    char error[512];
};

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
    const char *size = strstr(text, "quant size  =");
    if (size)
        (void)sscanf(size, "quant size  = %lf MiB", &t->mib);
    if (is_error && strncmp(text, "===", 3) != 0) {
        const char *reason = strstr(text, "failed to quantize: ");
        snprintf(t->error, sizeof t->error, "%s", reason ? reason + strlen("failed to quantize: ") : text);
        t->error[strcspn(t->error, "\n")] = 0;
    }
}

/* dry: to nowhere. */
static bool quantize(const char *in, const char *part, const struct quantize_opts *o, bool dry,
                     struct talk *talk, struct err *e)
{
    if (find_type(o->type) < 0)
        return err_set(e, ERR_INPUT, "type '%s' is not known", o->type);
    library_init();
    library_listen(on_line, talk);
    struct llama_model_quantize_params p = llama_model_quantize_default_params();
    p.ftype = types[find_type(o->type)].ftype;
    p.nthread = (int32_t)o->threads;
    p.allow_requantize = o->requantize;
    p.pure = o->pure;
    p.dry_run = dry;
    p.max_buf_size = 1u << 30;
    bool ok = llama_model_quantize(in, part, &p) == 0;
    library_listen(NULL, NULL);
    if (talk->stopped)
        return sig_check(e);
    return ok || err_set(e, ERR_FAILED, "%s: %s", in,
                         talk->error[0] ? talk->error : "the engine could not quantise it");
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

bool engine_quantize_size(const char *in, const struct quantize_opts *o, uint64_t *bytes, struct err *e)
{
    struct talk talk = {.mib = -1};
    *bytes = 0;
    if (!quantize(in, "", o, true, &talk, e))
        return false;
    if (!(talk.mib >= 0 && talk.mib < 1e12))
        return err_set(e, ERR_FAILED, "%s: the engine does not say how large it would be as %s", in, o->type);
    *bytes = (uint64_t)(talk.mib * 1048576);
    return true;
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
