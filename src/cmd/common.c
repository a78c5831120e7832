/* common.c - options and printing that commands share; see cmd.h. */
#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"

#include <string.h>

bool cmd_json, cmd_force;
static bool help; /* looked for by main before options are parsed; here so that --help lists it */

const struct opt common_opts[] = {
    {OPT_HEAD, "Common", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_FLAG, "json", NULL, &cmd_json, NULL, "print the result as one JSON object", 0, 0, NULL},
    {OPT_FLAG, "quiet", "-q", &log_quiet, NULL, "no notes and no progress", 0, 0, NULL},
    {OPT_FLAG, "verbose", "-v", &log_verbose, NULL, "show the engine's own lines", 0, 0, NULL},
    {OPT_FLAG, "help", "-h", &help, NULL, "this text", 0, 0, NULL},
    {.kind = OPT_END},
};

struct engine_opts cmd_engine;
static bool no_mmap, mlock_model;

#define ENGINE(kind, name, alias, field, arg, text, lo, hi)           \
    {                                                                 \
        kind, name, alias, &cmd_engine.field, arg, text, lo, hi, NULL \
    }
const struct opt engine_opt_table[] = {
    {OPT_HEAD, "Engine (as in llama.cpp)", NULL, NULL, NULL, NULL, 0, 0, NULL},
    ENGINE(OPT_INT, "threads", "-t", threads, "N", "threads (default: one per physical core)", 0, 1024),
    ENGINE(OPT_INT, "ubatch-size", "-ub", ubatch, "N",
           "tokens per compute step (default 512; a profile of a model with many experts up to 2048)", 1,
           65536),
    ENGINE(OPT_INT, "ubatch", NULL, ubatch, "N", "the same", 1, 65536),
    ENGINE(OPT_INT, "n-gpu-layers", "-ngl", n_gpu_layers, "N", "layers on the GPU (default: all that fit)",
           -1, 100000),
    ENGINE(OPT_INT, "gpu-layers", NULL, n_gpu_layers, "N", "the same", -1, 100000),
    ENGINE(OPT_STR, "device", "-dev", device, "LIST", "devices to use, comma-separated, or none", 0, 0),
    ENGINE(OPT_STR, "split-mode", "-sm", split_mode, "MODE",
           "none or layer: how several GPUs share the model", 0, 0),
    ENGINE(OPT_STR, "tensor-split", "-ts", tensor_split, "LIST", "share of each GPU, for example 3,1", 0, 0),
    ENGINE(OPT_FLAG, "cpu-moe", "-cmoe", cpu_moe, NULL, "keep all expert weights in host memory", 0, 0),
    ENGINE(OPT_INT, "n-cpu-moe", "-ncmoe", n_cpu_moe, "N", "keep those of the first N blocks in host memory",
           0, 100000),
    ENGINE(OPT_STR, "flash-attn", "-fa", flash_attn, "WHEN", "on, off or auto (default auto)", 0, 0),
    ENGINE(OPT_STR, "cache-type-k", "-ctk", cache_type_k, "TYPE", "type of the K cache (default f16)", 0, 0),
    ENGINE(OPT_STR, "cache-type-v", "-ctv", cache_type_v, "TYPE", "type of the V cache (default f16)", 0, 0),
    ENGINE(OPT_STR, "rpc", NULL, rpc, "LIST", "RPC servers, host:port,...", 0, 0),
    ENGINE(OPT_STR, "load-mode", "-lm", load_mode, "MODE", "auto, none, mmap, mlock or mmap+mlock", 0, 0),
    {OPT_FLAG, "no-mmap", NULL, &no_mmap, NULL, "read the model into memory (load mode none)", 0, 0, NULL},
    {OPT_FLAG, "mlock", NULL, &mlock_model, NULL, "keep the model in memory (load mode mlock)", 0, 0, NULL},
    ENGINE(OPT_STR, "chat-template", NULL, chat_template, "NAME",
           "a built-in template, or none (default: the model's own)", 0, 0),
    ENGINE(OPT_STR, "type", NULL, type, "TYPE",
           "of a checkpoint's matrices in memory: auto (as stored), bf16, q8_0, ... (see reap convert)", 0,
           0),
    ENGINE(OPT_STR, "pretokenizer", NULL, pretokenizer, "NAME",
           "of a checkpoint: the engine's name of its pre-tokenizer (default: recognised)", 0, 0),
    ENGINE(OPT_FLAG, "device-norms", NULL, device_norms, NULL,
           "compute norms as on a GPU, even on the CPU (for tests)", 0, 0),
    {.kind = OPT_END},
};

static struct opt_list calib;
static int64_t per_category, max_samples, seed = 42;
static bool no_shuffle, skip_bad;

const struct opt corpus_opt_table[] = {
    {OPT_HEAD, "Calibration", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_LIST, "calib", "-c", &calib, "PATH[:N]",
     "text: a .jsonl file, a text file, a folder, or - (several times; at most N samples of it)", 0, 0, NULL},
    {OPT_INT, "samples-per-category", NULL, &per_category, "N",
     "at most N samples of each sub-folder or file", 1, 1e15, NULL},
    {OPT_INT, "max-samples", NULL, &max_samples, "N", "at most N samples in all", 1, 1e15, NULL},
    {OPT_INT, "seed", NULL, &seed, "N", "of the shuffle and of every choice (default 42)", 0, 9e15, NULL},
    {OPT_FLAG, "no-shuffle", NULL, &no_shuffle, NULL, "keep the order of files and lines", 0, 0, NULL},
    {OPT_FLAG, "skip-bad", NULL, &skip_bad, NULL, "leave malformed rows out instead of stopping", 0, 0, NULL},
    {.kind = OPT_END},
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
    };
}

static bool print_raw(struct buf *b, struct err *e)
{
    bool ok = (!b->n || fwrite(b->s, 1, b->n, stdout) == b->n) && fflush(stdout) == 0;
    buf_clear(b);
    return ok || err_sys(e, "cannot write to standard output");
}

bool cmd_print(struct buf *b, struct err *e)
{
    struct buf safe = {0};
    for (size_t at = 0; at < b->n;) {
        const char *line = b->s + at, *end = memchr(line, '\n', b->n - at);
        size_t n = end ? (size_t)(end - line) : b->n - at;
        buf_safe(&safe, line, n);
        if (end)
            buf_char(&safe, '\n');
        at += n + (end != NULL);
    }
    buf_clear(b);
    return print_raw(&safe, e);
}

bool cmd_print_json(const char *command, json_t *o, struct err *e)
{
    json_t *all = json_object(), *w = json_array();
    char **list;
    size_t n = log_warnings(&list);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(w, json_text(list[i]));
    json_object_set_new(all, "reap", json_string(REAP_VERSION));
    json_object_set_new(all, "command", json_string(command));
    json_object_update(all, o);
    json_object_set_new(all, "warnings", w);
    struct buf b = {0};
    json_print(&b, all);
    json_decref(all);
    json_decref(o);
    return print_raw(&b, e);
}
