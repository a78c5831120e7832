/* cmd_quantize.c - a GGUF file in another type. */
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "convert/load.h"
#include "engine/quantize.h"
#include "model/view.h"

#include <sys/stat.h>

static const char *out;
static bool requantize, pure;
static int64_t threads;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("output", &out, "FILE", "the GGUF file to write", .alias = "-o", .required = true),
    OPT_FLAG("allow-requantize", &requantize, CMD_REQUANTIZE),
    OPT_FLAG("pure", &pure, "all matrices in this type, not in the mixture that the name stands for"),
    CMD_THREADS(&threads),
    OPT_FLAG("force", &cmd_force, "replace the output", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_quantize = {
    .name = "quantize",
    .usage = "MODEL.gguf TYPE -o OUT.gguf",
    .summary = "write a GGUF file in another type (Q8_0, Q4_K_M, ...)",
    .example = "  reap quantize qwen3-bf16.gguf Q4_K_M -o qwen3-q4_k_m.gguf\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 2,
    .max_args = 2,
    .words = &cmd_quantize_types,
    .run = run,
};

static uint64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static bool print(const struct view *v, double secs, struct err *e)
{
    uint64_t before = 0, after = size_of(out);
    for (uint32_t i = 0; i < v->n_files; i++)
        before += v->files[i].size;
    if (cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "file", json_text(out));
        json_object_set_new(j, "bytes_in", json_integer((json_int_t)before));
        json_object_set_new(j, "bytes_out", json_integer((json_int_t)after));
        json_object_set_new(j, "seconds", json_real(secs));
        return cmd_print_json("quantize", j, e);
    }
    struct buf b = {0};
    char x[32], y[32], s[32];
    cmd_fmt(&b, "%s: %s -> %s in %s\n", out, human_bytes(before, x), human_bytes(after, y),
            human_secs(secs, s));
    return cmd_print(&b, e);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    uint32_t type;
    struct quantize_opts o = {.type = args[1],
                              .threads = threads ? (uint32_t)threads : engine_cores(),
                              .requantize = requantize,
                              .pure = pure,
                              .force = cmd_force};
    if (!opt_word("type", &cmd_quantize_types, args[1], &type, e))
        return false;
    struct view *v = view_open(args[0], e);
    bool ok = v != NULL;
    if (ok && v->format->converts)
        ok = err_set(e, ERR_INPUT, "%s: is %s; reap convert --type makes a GGUF file of it", args[0],
                     v->format->name);
    double start = now_secs();
    ok = ok && view_check_output(v, out, e) && load_check(v, e) && engine_quantize(args[0], out, &o, e) &&
         print(v, now_secs() - start, e);
    view_free(v);
    return ok;
}
