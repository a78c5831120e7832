/* cmd_convert.c - a Hugging Face checkpoint as a GGUF file. */
#include "base/file.h"
#include "base/log.h"
#include "base/out.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "convert/convert.h"
#include "convert/load.h"
#include "engine/words.h"
#include "gguf/gguf_file.h"

static const char *out, *type, *pretokenizer, *name;
static int64_t threads;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("output", &out, "FILE", "the GGUF file to write", .alias = "-o", .required = true),
    OPT_WORD("type", &type, "TYPE", &cmd_types, "type of the matrices", .dflt_is = "auto, as stored"),
    OPT_STR("name", &name, "NAME", "general.name", .dflt_is = "the folder's name"),
    OPT_STR("pretokenizer", &pretokenizer, "NAME", "the engine's name of the pre-tokenizer",
            .dflt_is = "recognised"),
    CMD_THREADS(&threads),
    OPT_FLAG("force", &cmd_force, "replace the output", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_convert = {
    .name = "convert",
    .usage = "HF_DIR -o OUT.gguf",
    .summary = "write a Hugging Face checkpoint as a GGUF file",
    .example = "  reap convert Qwen3-30B-A3B/ -o qwen3.gguf\n"
               "  reap convert gpt-oss-20b/ -o gpt-oss.gguf\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 1,
    .max_args = 1,
    .models = 1,
    .run = run,
};

/* Other programs on the same library have the words that its expression makes. */
static void warn_words(const struct image *im)
{
    struct gg_file f;
    struct err ignored = {0};
    const char *s;
    char pre[64];
    uint64_t n;
    if (!gg_parse((const uint8_t *)im->header.s, im->header.n, im->size, &f, &ignored))
        return;
    const struct gg_key *k = gg_find(&f, "tokenizer.ggml.pre");
    if (k && gg_key_str(k, &s, &n) && n < sizeof pre) {
        snprintf(pre, sizeof pre, "%.*s", (int)n, s);
        if (words_near(pre))
            log_warn(
                "the engine splits words with combining marks, and capitals beyond ASCII, otherwise than this "
                "model's own tokenizer (its pre-tokenizer '%s' is only near)",
                pre);
    }
    gg_clear(&f);
}

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
    cmd_fmt(&b, "%s: %s, %llu tensors, %s in %s\n", out, im->arch, (unsigned long long)im->n_tensors,
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
    if (!file_check_output(out, cmd_force, e))
        return false;
    double start = now_secs();
    struct hf_checkpoint *c = hf_open(args[0], e);
    struct image *im = c ? convert_open(c, args[0], &o, e) : NULL;
    if (im)
        warn_words(im);
    bool ok = im && load_check_image(im, args[0], e) && convert_write(im, out, cmd_force, e) &&
              print(im, now_secs() - start, e);
    image_free(im);
    hf_free(c);
    return ok;
}
