/* cmd_quantize.c - a GGUF file in another type. */
#include "base/file.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "convert/load.h"
#include "model/view.h"
#include "quant/quantise.h"

#include <sys/stat.h>

static const char *out;
static struct quantise_opts o;
static int64_t threads;

static const struct opt_choices tensor_types = {.at = engine_tensor_type, .any_case = true};

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("output", &out, "FILE", "the GGUF file to write", .alias = "-o", .required = true,
             .unless = "dry-run"),
    OPT_PATH("imatrix", &o.imatrix, "FILE",
             "importance matrix of this model: which columns matter (reap profile --imatrix, llama-imatrix)"),
    OPT_FLAG("allow-requantize", &o.q.requantize, CMD_REQUANTIZE),
    OPT_FLAG("dry-run", &o.dry_run, "check everything, say what would be written, write nothing",
             .alias = "-n"),
    CMD_THREADS(&threads),
    OPT_FLAG("force", &cmd_force, "replace the output", .alias = "-f"),
    OPT_HEADING("Types of single tensors"),
    OPT_FLAG("pure", &o.q.pure, "all matrices in this type, not in the mixture that the name stands for"),
    OPT_STRS("tensor-type", &o.tensor_types, "PATTERN=TYPE",
             "tensors whose name holds this regular expression; the first that matches counts"),
    OPT_PATH("tensor-type-file", &o.tensor_types_file, "FILE", "the same, separated by blanks or line ends"),
    OPT_WORD("output-tensor-type", &o.q.output_type, "TYPE", &tensor_types, "output.weight"),
    OPT_WORD("token-embedding-type", &o.q.embedding_type, "TYPE", &tensor_types, "token_embd.weight"),
    OPT_FLAG("leave-output-tensor", &o.q.keep_output, "output.weight stays as it is"),
    OPT_STRS("include-weights", &o.include, "NAME", "use the matrix for weights whose name holds this alone",
             .group = 'w'),
    OPT_STRS("exclude-weights", &o.exclude, "NAME", "do not use it for these", .group = 'w'),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_quantize = {
    .name = "quantize",
    .usage = "MODEL.gguf TYPE -o OUT.gguf",
    .summary = "write a GGUF file in another type (Q8_0, Q4_K_M, ...)",
    .example =
        "  reap quantize qwen3-bf16.gguf Q4_K_M -o qwen3-q4_k_m.gguf\n"
        "  reap quantize pruned.gguf IQ2_M --imatrix pruned-imatrix.gguf -o pruned-iq2_m.gguf\n"
        "  reap quantize gpt-oss.gguf Q4_K_M --allow-requantize --tensor-type exps=mxfp4 -o out.gguf\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 2,
    .max_args = 2,
    .models = 1,
    .words = &cmd_quantize_types,
    .run = run,
};

static uint64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static bool print(const struct view *v, const struct quantise_result *r, struct err *e)
{
    uint64_t before = 0, after = o.dry_run ? r->bytes : size_of(out);
    for (uint32_t i = 0; i < v->n_files; i++)
        before += v->files[i].size;
    if (cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "file", o.dry_run ? json_null() : json_text(out));
        json_object_set_new(j, "bytes_in", json_integer((json_int_t)before));
        json_object_set_new(j, "bytes_out", json_integer((json_int_t)after));
        json_object_set_new(j, "n_tensors", json_integer(r->n_tensors));
        json_object_set_new(j, "n_changed", json_integer(r->n_changed));
        json_object_set_new(j, "n_fallbacks", json_integer(r->n_fallbacks));
        json_object_set_new(j, "never_hit", json_integer(r->n_never));
        json_object_set_new(j, "seconds", json_real(r->secs));
        return cmd_print_json("quantize", j, e);
    }
    struct buf b = {0};
    char x[32], y[32], s[32];
    if (o.dry_run)
        cmd_fmt(&b, "would write %s from %s: %u of %u tensors change\n", human_bytes(after, y),
                human_bytes(before, x), r->n_changed, r->n_tensors);
    else
        cmd_fmt(&b, "%s: %s -> %s in %s\n", out, human_bytes(before, x), human_bytes(after, y),
                human_secs(r->secs, s));
    return cmd_print(&b, e);
}

/* The files that are read are none of those that are written. */
static bool check_apart(const struct view *v, struct err *e)
{
    return !out || (view_check_output(v, out, e) &&
                    file_check_apart(out, o.imatrix, "the importance matrix itself", e) &&
                    file_check_apart(out, o.tensor_types_file, "the file of types itself", e));
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    uint32_t type;
    if (!opt_word("type", &cmd_quantize_types, args[1], &type, e))
        return false;
    o.q.type = engine_quantize_name(type);
    o.q.threads = threads ? (uint32_t)threads : engine_cores();
    o.q.force = cmd_force;
    struct quantise_result r;
    struct view *v = view_open(args[0], e);
    bool ok = v != NULL;
    if (ok && v->format->converts)
        ok = err_set(e, ERR_INPUT, "%s: is %s; reap convert --type makes a GGUF file of it", args[0],
                     v->format->name);
    ok = ok && check_apart(v, e) && load_check(v, e) && quantise(v, out, &o, &r, e) && print(v, &r, e);
    view_free(v);
    return ok;
}
