/* cmd_convert.c - a Hugging Face checkpoint as a GGUF file. */
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "convert/convert.h"

static const char *out, *type, *pretokenizer, *name;
static int64_t threads;

static const struct opt opts[] = {
    {OPT_HEAD, "Options", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_STR, "output", "-o", &out, "FILE", "the GGUF file to write", 0, 0, NULL},
    {OPT_STR, "type", NULL, &type, "TYPE",
     "of the matrices: auto (as stored), f32, f16, bf16, q8_0, q6_K, q5_K, q4_K, q4_0 (default auto)", 0, 0,
     NULL},
    {OPT_STR, "name", NULL, &name, "NAME", "general.name (default: the folder's name)", 0, 0, NULL},
    {OPT_STR, "pretokenizer", NULL, &pretokenizer, "NAME",
     "the engine's name of the pre-tokenizer (default: recognised)", 0, 0, NULL},
    {OPT_INT, "threads", "-t", &threads, "N", "threads (default: one per physical core)", 0, 1024, NULL},
    {OPT_FLAG, "force", "-f", &cmd_force, NULL, "replace the output", 0, 0, NULL},
    {.kind = OPT_END},
};

static bool print(const struct image *im, double secs, struct err *e)
{
    if (cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "file", json_text(out));
        json_object_set_new(j, "architecture", json_string(im->arch));
        json_object_set_new(j, "tensors", json_integer((json_int_t)im->n_tensors));
        json_object_set_new(j, "bytes", json_integer((json_int_t)im->size));
        json_object_set_new(j, "seconds", json_real(secs));
        return cmd_print_json("convert", j, e);
    }
    struct buf b = {0};
    char size[32], time[32];
    buf_fmt(&b, "%s: %s, %llu tensors, %s in %s\n", out, im->arch, (unsigned long long)im->n_tensors,
            human_bytes(im->size, size), human_secs(secs, time));
    return cmd_print(&b, e);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct convert_opts o = {.threads = threads ? (uint32_t)threads : engine_cores(),

                             .type = type,
                             .quantize = engine_quantize_rows,
                             .pretokenizer = pretokenizer,
                             .name = name};
    if (!out)
        return err_set(e, ERR_INPUT, "--output is missing; usage: reap convert HF_DIR -o OUT.gguf");
    if (!file_check_output(out, cmd_force, e))
        return false;
    double start = now_secs();
    struct hf_checkpoint *c = hf_open(args[0], e);
    struct image *im = c ? convert_open(c, args[0], &o, e) : NULL;
    bool ok = im && convert_write(im, out, cmd_force, e) && print(im, now_secs() - start, e);
    image_free(im);
    hf_free(c);
    return ok;
}

const struct cmd cmd_convert = {
    .name = "convert",
    .usage = "HF_DIR -o OUT.gguf",
    .summary = "write a Hugging Face checkpoint as a GGUF file",
    .example = "  reap convert Qwen3-30B-A3B/ -o qwen3.gguf\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
