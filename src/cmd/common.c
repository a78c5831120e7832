/* common.c - options that commands share; see cmd.h. */
#include "base/limits.h"
#include "base/log.h"
#include "base/term.h"
#include "cmd/cmd.h"
#include "convert/convert.h"
#include "engine/quantize.h"
#include "plan/make.h"

#include <string.h>

bool cmd_json, cmd_force;
static const struct opt_choices whens = {.list = term_whens};
struct opt_kept cmd_kept;
static const char *config;
static bool help; /* looked for by main before options are parsed; here so that --help lists it */

const struct opt common_opts[] = {
    OPT_HEADING("Common"),
    OPT_CONFIG("config", &config, "FILE",
               "options from a JSON object: {\"prune-ratio\": 0.25, ...}; those given here win"),
    OPT_FLAG("json", &cmd_json, "print the result as one JSON object", .of_call = true),
    OPT_FLAG("quiet", &log_quiet, "no notes and no progress", .alias = "-q", .of_call = true),
    OPT_COUNT("verbose", &log_verbose, "show the engine's own lines; -vv all of them", .alias = "-v",
              .of_call = true),
    OPT_CHOICE("color", &term_when, "WHEN", &whens, "colours in messages and help", .dflt = "auto",
               .of_call = true),
    OPT_FLAG("help", &help, "this text", .alias = "-h", .of_call = true),
    OPT_ENDS,
};

/* ---- words ---- */

static bool find_criterion(const char *s, uint32_t *i)
{
    const struct criterion *c = criterion_find(s);
    for (*i = 0; c && criterion_at(*i) != c;)
        ++*i;
    return c != NULL;
}
const struct opt_choices cmd_criteria = {.at = criterion_name_at, .find = find_criterion};

const struct opt_choices cmd_types = {.at = convert_type_name, .any_case = true};

const struct opt_choices cmd_quantize_types = {
    .at = engine_quantize_name, .find = engine_quantize_find, .any_case = true};

static const struct opt_choices flash_attn = {.list = engine_flash_attn},
                                split_modes = {.list = engine_split_modes},
                                cache_types = {.at = engine_cache_type},
                                load_modes = {.at = engine_load_mode},
                                chat_templates = {.at = engine_chat_template};

/* ---- the engine ---- */

struct engine_opts cmd_engine;
static bool no_mmap, mlock_model;

const struct opt engine_opt_table[] = {
    OPT_HEADING("Engine (as in llama.cpp)"),
    CMD_THREADS(&cmd_engine.threads),
    OPT_INT(
        "ubatch-size", &cmd_engine.ubatch, "N", 1, ENGINE_UBATCH_MOST, "tokens per compute step",
        .alias = "-ub", .also = "ubatch",
        .dflt_is = OPT_TEXT(
            ENGINE_UBATCH) ", a profile of a model with many experts up to 2048, more where the model is larger "
                           "than memory"),
    OPT_INT("n-gpu-layers", &cmd_engine.n_gpu_layers, "N", -1, 100000, "layers on the GPU", .alias = "-ngl",
            .also = "gpu-layers", .dflt_is = "all that fit"),
    OPT_STR("device", &cmd_engine.device, "LIST", "devices to use, comma-separated, or none",
            .alias = "-dev"),
    OPT_WORD("split-mode", &cmd_engine.split_mode, "MODE", &split_modes, "how several GPUs share the model",
             .alias = "-sm", .dflt_is = "layer"),
    OPT_STR("tensor-split", &cmd_engine.tensor_split, "LIST", "share of each GPU, for example 3,1",
            .alias = "-ts"),
    OPT_FLAG("cpu-moe", &cmd_engine.cpu_moe, "keep all expert weights in host memory", .alias = "-cmoe"),
    OPT_INT("n-cpu-moe", &cmd_engine.n_cpu_moe, "N", 0, 100000,
            "keep those of the first N blocks in host memory", .alias = "-ncmoe"),
    OPT_WORD("flash-attn", &cmd_engine.flash_attn, "WHEN", &flash_attn, "flash attention", .alias = "-fa",
             .dflt = ENGINE_FLASH_ATTN),
    OPT_WORD("cache-type-k", &cmd_engine.cache_type_k, "TYPE", &cache_types, "type of the K cache",
             .alias = "-ctk", .dflt = ENGINE_CACHE_TYPE),
    OPT_WORD("cache-type-v", &cmd_engine.cache_type_v, "TYPE", &cache_types, "type of the V cache",
             .alias = "-ctv", .dflt = ENGINE_CACHE_TYPE),
    OPT_STR("rpc", &cmd_engine.rpc, "LIST", "RPC servers, host:port,..."),
    OPT_INT("rpc-silence", &cmd_engine.rpc_silence, "SECS", 1, 1000000,
            "say which of them has not answered for so long", .dflt_is = OPT_TEXT(ENGINE_RPC_SILENCE)),
    OPT_WORD("load-mode", &cmd_engine.load_mode, "MODE", &load_modes, "how the model gets into memory",
             .alias = "-lm", .dflt_is = "auto"),
    OPT_FLAG("no-mmap", &no_mmap, "read the model into memory (load mode none)"),
    OPT_FLAG("mlock", &mlock_model, "keep the model in memory (load mode mlock)"),
    OPT_WORD("chat-template", &cmd_engine.chat_template, "NAME", &chat_templates,
             "write chats in a built-in format, or none: the bare texts", .dflt_is = "the model's template"),
    OPT_PATH("chat-template-file", &cmd_engine.chat_template_file, "FILE",
             "write chats by this Jinja template"),
    OPT_STR("chat-template-kwargs", &cmd_engine.chat_template_kwargs, "JSON",
            "variables for the template: '{\"enable_thinking\": false}'"),
    OPT_WORD("type", &cmd_engine.type, "TYPE", &cmd_types, "type of a checkpoint's matrices in memory",
             .dflt_is = "auto, as stored"),
    OPT_STR("pretokenizer", &cmd_engine.pretokenizer, "NAME",
            "of a checkpoint: the engine's name of its pre-tokenizer", .dflt_is = "recognised"),
    OPT_FLAG("device-norms", &cmd_engine.device_norms,
             "compute norms as on a GPU, even on the CPU (for tests)"),
    OPT_ENDS,
};

/* ---- how many experts stay ---- */

static int64_t keep, round_to;
static double keep_ratio, prune_ratio;
static uint64_t fit;
static bool has_keep, has_keep_ratio, has_prune_ratio, has_fit;

const struct opt count_opt_table[] = {
    OPT_INT("keep", &keep, "N", 1, LIMIT_EXPERTS, "experts that stay in each layer", .seen = &has_keep,
            .group = CMD_COUNT),
    OPT_SHARE("keep-ratio", &keep_ratio, "R", 0, 1, "share that stays: 0.75 or 75% (rounded up)",
              .seen = &has_keep_ratio, .group = CMD_COUNT),
    OPT_SHARE("prune-ratio", &prune_ratio, "R", 0, 1, "share that goes: 0.25 or 25% (rounded down)",
              .alias = "-r", .seen = &has_prune_ratio, .group = CMD_COUNT),
    OPT_SIZE("fit", &fit, "SIZE", "as many as fit: tensor data of at most SIZE (9.5G, 12GiB)",
             .seen = &has_fit, .group = CMD_COUNT),
    /* the counts: ggml-cuda/topk-moe.cu, v0.5.0 */
    OPT_INT("round-to", &round_to, "M", 1, LIMIT_EXPERTS,
            "a multiple of M (llama.cpp on CUDA routes fastest with 2, 4, 8 ... 512, 288 or 576 experts)"),
    OPT_ENDS,
};

bool cmd_count(struct plan_opts *o)
{
    o->kind = has_keep ? KEEP_COUNT : has_keep_ratio ? KEEP_RATIO : has_fit ? FIT_BYTES : PRUNE_RATIO;
    o->value = has_keep ? (double)keep : has_keep_ratio ? keep_ratio : prune_ratio;
    o->fit = fit;
    o->round_to = (uint32_t)round_to;
    return has_keep || has_keep_ratio || has_prune_ratio || has_fit;
}

/* ---- calibration text ---- */

static struct opt_list calib;
static int64_t per_category, max_samples, seed;
static const char *map;
static bool no_shuffle, skip_bad, skip_media, join_parts;

#define CALIB(...)                                                                                          \
    OPT_PATHS("calib", &calib, "PATH[:N]",                                                                  \
              "text: a .jsonl file, a text file, a folder, or - (standard input); at most N samples of it", \
              .alias = "-c", __VA_ARGS__)
#define SAMPLES                                                                                          \
    OPT_INT("samples-per-category", &per_category, "N", 1, 1e15,                                         \
            "at most N samples of each sub-folder or file; not of a path with its own :N"),              \
        OPT_INT("max-samples", &max_samples, "N", 1, 1e15, "at most N samples in all"),                  \
        OPT_INT("seed", &seed, "N", 0, 9e15, "of the shuffle and of every choice", .dflt = "42"),        \
        OPT_FLAG("no-shuffle", &no_shuffle, "keep the order of files and lines"),                        \
        OPT_FLAG("skip-bad", &skip_bad, "leave malformed rows out instead of stopping"),                 \
        OPT_FLAG("join-parts", &join_parts, "make one text of the texts of a content in several parts"), \
        OPT_FLAG("skip-media", &skip_media,                                                              \
                 "leave images, audio and video out of chats instead of stopping"),                      \
        OPT_STR("map", &map, "NAME=KEY,...", "what the rows call it, for example user=Ask,assistant=Say")

const struct opt corpus_opt_table[] = {
    OPT_HEADING("Calibration"),
    CALIB(.required = true),
    SAMPLES,
    OPT_ENDS,
};
const struct opt samples_opt_table[] = {
    OPT_HEADING("Calibration"),
    CALIB(.required = false),
    SAMPLES,
    OPT_ENDS,
};

void cmd_finish_options(void)
{
    if (no_mmap)
        cmd_engine.load_mode = "none";
    if (mlock_model)
        cmd_engine.load_mode = "mlock";
}

void cmd_corpus(struct corpus_opts *o)
{
    *o = (struct corpus_opts){
        .specs = calib.v,
        .n_specs = calib.n,
        .per_category = (uint64_t)per_category,
        .max_samples = (uint64_t)max_samples,
        .seed = (uint64_t)seed,
        .shuffle = !no_shuffle,
        .skip_bad = skip_bad,
        .skip_media = skip_media,
        .join_parts = join_parts,
        .map = map,
    };
}

bool cmd_pass(const struct pass *p, const struct eval_against *a, struct err *e)
{
    struct buf b = {0};
    pass_misses(p, a, &b);
    bool ok = !b.n || err_set(e, ERR_CHECK, "does not pass: %s", b.s);
    buf_clear(&b);
    return ok;
}
