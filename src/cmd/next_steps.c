/* next_steps.c - see next_steps.h. The forms: https://docs.ollama.com/modelfile, https://lmstudio.ai/docs/cli/local-models/import,
 * https://huggingface.co/docs/huggingface_hub/guides/cli; mlx-lm's README; Mistral's own layout: the cards of its models. */
#include "cmd/next_steps.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "gguf/gguf_file.h"
#include "hf/checkpoint.h"

#include <ctype.h>
#include <string.h>

#define MAX_NAME 80 /* Ollama; the hub takes 96 with the owner */

/* A name of letters that repositories and Ollama take: the hub has no two points or dashes in a row. Of a long one the end,
 * which tells what was made of it. Caller frees. */
static char *plain_name(const char *s, bool lower)
{
    struct buf b = {0};
    for (; *s; s++) {
        char c = isalnum((unsigned char)*s) || *s == '.' || *s == '_' ? *s : '-',
             last = b.n ? b.s[b.n - 1] : '-';
        if (isalnum((unsigned char)c) || (b.n && (c == '_' || (last != '-' && last != '.'))))
            buf_char(&b, lower ? (char)tolower((unsigned char)c) : c);
    }
    size_t from = b.n > MAX_NAME ? b.n - MAX_NAME : 0;
    while (from < b.n && !isalnum((unsigned char)b.s[from]))
        from++;
    if (from) {
        memmove(b.s, b.s + from, b.n - from + 1);
        b.n -= from;
    }
    while (b.n && !isalnum((unsigned char)b.s[b.n - 1]))
        b.s[--b.n] = 0;
    return b.n ? b.s : xstrdup("model");
}

/* What needs no thought about quotes, neither in a Modelfile nor in a shell's string for printf. */
static bool is_plain(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] > '~' || strchr("'\"\\%`", s[i]))
            return false;
    return n > 0 && n <= 200;
}

/* The text of a token whose number is a key's value; NULL: there is none. */
static const char *token_of(const struct gg_file *f, const char *key, uint64_t *n)
{
    const struct gg_key *list = gg_find(f, "tokenizer.ggml.tokens");
    uint64_t id;
    const char *s = NULL;
    if (!list || list->kind != GG_ARR || list->elem != GG_STR || !gg_key_u64(gg_find(f, key), &id) ||
        id >= list->n)
        return NULL;
    const uint8_t *p = list->value;
    for (uint64_t i = 0; i <= id; i++)
        p = gg_next_str(p, &s, n);
    return s;
}

/* Where a turn or a text ends, each once. */
static void put_stops(struct buf *b, const struct gg_file *f)
{
    static const char *const keys[] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eos_token_id"};
    const char *before = NULL;
    uint64_t n, n_before = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *s = token_of(f, keys[i], &n);
        if (!s || !is_plain(s, n) || (before && n == n_before && !memcmp(s, before, n)))
            continue;
        buf_fmt(b, "\\nPARAMETER stop \"%.*s\"", (int)n, s);
        before = s;
        n_before = n;
    }
}

/* Ollama finds the chat template of a GGUF file among those that it knows. */
static void say_ollama(const char *name, const char *output, const struct gg_file *f)
{
    struct buf b = {0};
    if (!is_plain(output, strlen(output)))
        return;
    char *model = plain_name(name, true);
    buf_fmt(&b, "printf 'FROM %s%s", *output == '/' || *output == '.' ? "" : "./", output);
    put_stops(&b, f);
    buf_fmt(&b, "\\n' > Modelfile && ollama create %s -f Modelfile", model);
    log_note("  Ollama     %s", b.s);
    free(model);
    buf_clear(&b);
}

/* As a shell takes it, and no program for an option. */
static void put_path(struct buf *b, const char *path)
{
    buf_str(b, *path == '-' ? "./" : "");
    buf_shell(b, path);
}

/* `line` with the path behind it. */
static void say(const char *who, const char *line, const char *repo, const char *path)
{
    struct buf b = {0};
    put_path(&b, path);
    log_note("  %-10s %s%s %s", who, line, repo, b.s);
    buf_clear(&b);
}

/* These parts, and nothing else that lies beside them. */
static void say_parts(const char *repo, const char *output, const char *mtp, const char *card)
{
    uint32_t part, n_parts;
    struct buf b = {0};
    const char *beside[] = {mtp, card};
    char *folder = path_dir(output), *prefix = gg_split_prefix(path_base(output), &part, &n_parts),
         *parts = xasprintf("%s-*.gguf", prefix ? prefix : "");
    put_path(&b, folder);
    buf_str(&b, " . --include=");
    buf_shell(&b, parts);
    for (int i = 0; i < 2; i++)
        if (beside[i]) {
            buf_str(&b, " --include=");
            buf_shell(&b, path_base(beside[i]));
        }
    log_note("  %-10s hf upload YOU/%s %s", "the hub", repo, b.s);
    buf_clear(&b);
    free(parts);
    free(prefix);
    free(folder);
}

static void say_file(const char *name, const char *repo, const char *output, const char *mtp,
                     const char *typed, const char *card)
{
    struct err ignored = {0};
    const char *used = typed ? typed : output;
    struct gg_file *f = gg_open(used, &ignored);
    if (f && f->n_parts == 1) { /* these take one file */
        say_ollama(name, used, f);
        say("LM Studio", "lms import --copy --user-repo YOU/", repo, used);
        say("the hub", "hf upload YOU/", repo, used);
        if (typed)
            say("", "hf upload YOU/", repo, output);
        if (mtp)
            say("", "hf upload YOU/", repo, mtp);
        if (card)
            say("", "hf upload YOU/", repo, card);
    } else if (f)
        say_parts(repo, output, mtp, card);
    gg_free(f);
}

/* What runs a folder: of its layout's maker, or of what wrote its files (their metadata says so). */
static void say_folder(const char *repo, const char *output)
{
    struct err ignored = {0};
    struct hf_checkpoint *c = hf_open(output, &ignored);
    const char *metadata = c && c->n_files ? c->files[0].metadata : NULL;
    if (metadata && strstr(metadata, "\"mlx\""))
        say("MLX", "mlx_lm.generate --prompt Hello --model", "", output);
    else if (c && c->layout->what)
        say("vLLM", "vllm serve --tokenizer-mode mistral --config-format mistral --load-format mistral", "",
            output);
    else
        say("vLLM", "vllm serve", "", output);
    say("the hub", "hf upload YOU/", repo, output);
    hf_free(c);
}

void next_steps(const char *name, const char *output, const char *mtp, const char *typed, const char *card)
{
    char *repo = plain_name(name, false);
    if (!cmd_json && !log_quiet) {
        log_note("next (docs/recipes):");
        if (file_is_dir(output))
            say_folder(repo, output);
        else
            say_file(name, repo, output, mtp, typed, card);
    }
    free(repo);
}
