/* cmd_batch.c - prompts through a server, prompts and answers on the terminal and in a file. */
#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "serve/batch.h"

#include <math.h>
#include <string.h>

static const char *server, *out, *model, *system_text;
static struct opt_list prompts;
static int64_t repeat, parallel, retries, max_tokens, seed, top_k;
static double temperature, top_p, timeout, connect_timeout, retry_wait;
static bool completions, has_top_k, has_top_p, brief;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_STR("server", &server, "URL", "the server: http://127.0.0.1:8080, host:8080, :8080", .alias = "-s",
            .required = true),
    OPT_PATHS("prompts", &prompts, "PATH", "a folder of text files, a .jsonl file, or a text file",
              .alias = "-p", .required = true),
    OPT_PATH("output", &out, "FILE", "the answers; an unfinished file is gone on with", .alias = "-o",
             .required = true),
    OPT_STR("model", &model, "NAME", "the model's name in requests", .alias = "-m",
            .dflt_is = "the server's first"),
    OPT_FLAG("completions", &completions, "send the bare text to /v1/completions, without a chat template"),
    OPT_INT("parallel", &parallel, "N", 1, 1024, "requests at a time", .dflt = "1"),
    OPT_INT("repeat", &repeat, "N", 1, 1e6, "ask each prompt N times, with seeds that follow each other",
            .dflt = "1"),
    OPT_FLAG("brief", &brief, "one line per prompt instead of its text"),
    OPT_FLAG("force", &cmd_force, "replace answers of another model, prompts or parameters", .alias = "-f"),
    OPT_HEADING("Sampling (a JSONL row may have its own)"),
    OPT_STR("system", &system_text, "TEXT", "message of the system for prompts that have none"),
    OPT_INT("max-tokens", &max_tokens, "N", 1, 1e9, "an answer ends here at the latest",
            .dflt = OPT_TEXT(BATCH_MAX_TOKENS)),
    OPT_REAL("temperature", &temperature, "T", 0, 100, "0: always the likeliest token", .dflt = "0"),
    OPT_SHARE("top-p", &top_p, "P", 0, 1, "the likeliest tokens that have the share P",
              .dflt_is = "the server's", .seen = &has_top_p),
    OPT_INT("top-k", &top_k, "K", 0, 1e9, "the K likeliest tokens", .dflt_is = "the server's",
            .seen = &has_top_k),
    OPT_INT("seed", &seed, "N", 0, 2e9, "of the sampling", .dflt = OPT_TEXT(BATCH_SEED)),
    OPT_HEADING("Waiting"),
    OPT_DURATION("timeout", &timeout, "TIME", 0.001, 1e6, "longest time that one answer may take in all",
                 .dflt = OPT_TEXT(BATCH_TIMEOUT) "s"),
    OPT_DURATION("connect-timeout", &connect_timeout, "TIME", 0.001, 1e6,
                 "longest time that connecting may take", .dflt = OPT_TEXT(BATCH_CONNECT_TIMEOUT) "s"),
    OPT_INT("retries", &retries, "N", 0, 1000,
            "further tries after status 429 or 5xx, or a broken connection", .dflt = OPT_TEXT(BATCH_RETRIES)),
    OPT_DURATION("retry-wait", &retry_wait, "TIME", 0, 3600,
                 "before the first of them, doubled each time, at most a minute",
                 .dflt = OPT_TEXT(BATCH_RETRY_WAIT) "s"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_batch = {
    .name = "batch",
    .usage = "--server URL --prompts PATH... -o RUN.json [OPTIONS]",
    .summary = "ask a server all prompts of a folder or file, and keep the answers",
    .example =
        "  reap batch --server http://127.0.0.1:8080 --prompts prompts/ -o base.json\n"
        "  reap batch --server http://127.0.0.1:8000/v1 --prompts coding.jsonl -o run.json --parallel 8\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 0,
    .max_args = 0,
    .run = run,
};

/* Lines as they are, tabs as spaces; cmd_print makes all else safe. */
static void add_text(struct buf *b, const char *s)
{
    for (; *s; s++) {
        if (*s == '\t')
            buf_str(b, "    ");
        else if (*s != '\r' || s[1] != '\n')
            buf_char(b, *s);
    }
    buf_char(b, '\n');
}

static const char *str(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void add_call(struct buf *b, const json_t *f)
{
    const char *name = str(f, "name"), *arguments = str(f, "arguments");
    cmd_fmt(b, "[call] %s ", name ? name : "?");
    add_text(b, arguments ? arguments : "");
}

/* Of a message or of an answer. */
static void add_calls(struct buf *b, const json_t *tool_calls, const json_t *function_call)
{
    for (size_t i = 0; i < json_array_size(tool_calls); i++)
        add_call(b, json_object_get(json_array_get(tool_calls, i), "function"));
    if (json_is_object(function_call))
        add_call(b, function_call);
}

static void add_messages(struct buf *b, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i), *parts = json_object_get(m, "content");
        const char *role = str(m, "role"), *text = json_string_value(parts);
        cmd_fmt(b, "[%s]\n", role ? role : "?");
        if (text)
            add_text(b, text);
        for (size_t k = 0; k < json_array_size(parts); k++) {
            text = str(json_array_get(parts, k), "text");
            add_text(b, text ? text : "(a part that is no text)");
        }
        add_calls(b, json_object_get(m, "tool_calls"), json_object_get(m, "function_call"));
    }
}

static void add_numbers(struct buf *b, const struct batch_answer *a)
{
    cmd_fmt(b, "%s", a->finish);
    if (a->prompt_tokens >= 0)
        cmd_fmt(b, "; %lld tokens in, %lld out", (long long)a->prompt_tokens,
                (long long)a->completion_tokens);
    if (!isnan(a->first_token))
        cmd_fmt(b, "; first after %.2f s", a->first_token);
    if (!isnan(a->tokens_per_second))
        cmd_fmt(b, "; %.1f tokens/s", a->tokens_per_second);
    if (a->n_nul + a->n_invalid)
        cmd_fmt(b, "; %llu characters replaced", (unsigned long long)(a->n_nul + a->n_invalid));
    if (a->n_key)
        cmd_fmt(b, "; the key replaced %llu times", (unsigned long long)a->n_key);
}

static void add_part(struct buf *b, const char *what, const char *text)
{
    if (!text)
        return;
    cmd_fmt(b, "[%s]\n", what);
    add_text(b, text);
}

static void add_answer(struct buf *b, const struct batch_answer *a)
{
    add_part(b, "reasoning", a->reasoning);
    if (*a->response || (!a->tool_calls && !a->function_call && !a->refusal))
        add_part(b, "answer", a->response);
    add_part(b, "refusal", a->refusal);
    add_calls(b, a->tool_calls, a->function_call);
}

static bool show(void *ctx, uint64_t done, uint64_t total, const struct batch_answer *a, struct err *e)
{
    (void)ctx;
    struct buf b = {0};
    if (cmd_json) {
        if (!a->ok)
            log_note("%s: %s", a->id, a->error);
        return true;
    }
    cmd_fmt(&b, "%s[%llu/%llu] %s%s", brief ? "" : "==== ", (unsigned long long)done,
            (unsigned long long)total, a->id, brief ? ": " : "\n");
    if (!brief) {
        add_messages(&b, a->messages);
        if (a->ok)
            add_answer(&b, a);
        buf_str(&b, "---- ");
    }
    if (a->ok)
        add_numbers(&b, a);
    else
        cmd_fmt(&b, "failed: %s", a->error);
    buf_char(&b, '\n');
    return cmd_print(&b, e);
}

static bool summary(const struct batch_summary *s, struct err *e)
{
    if (cmd_json) {
        json_t *o = json_object();
        json_object_set_new(o, "file", json_text(out));
        json_object_set_new(o, "n_prompts", json_integer((json_int_t)s->n_prompts));
        json_object_set_new(o, "n_kept", json_integer((json_int_t)s->n_kept));
        json_object_set_new(o, "n_answered", json_integer((json_int_t)s->n_answered));
        json_object_set_new(o, "n_failed", json_integer((json_int_t)s->n_failed));
        json_object_set_new(o, "n_left", json_integer((json_int_t)s->n_left));
        json_object_set_new(o, "completion_tokens", json_integer((json_int_t)s->completion_tokens));
        json_object_set_new(o, "seconds", json_real(s->seconds));
        return cmd_print_json("batch", o, e);
    }
    struct buf b = {0};
    char t[32];
    cmd_fmt(&b, "%s: %llu of %llu prompts answered, %llu of them before", out,
            (unsigned long long)(s->n_kept + s->n_answered), (unsigned long long)s->n_prompts,
            (unsigned long long)s->n_kept);
    if (s->n_failed)
        cmd_fmt(&b, ", %llu failed", (unsigned long long)s->n_failed);
    cmd_fmt(&b, "; %llu tokens in %s\n", (unsigned long long)s->completion_tokens, human_secs(s->seconds, t));
    return cmd_print(&b, e);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)args;
    (void)n;
    struct batch_opts o;
    struct batch_summary s;
    batch_defaults(&o);
    o.server = server;
    o.out = out;
    o.prompts = prompts.v;
    o.n_prompts = prompts.n;
    o.model = model;
    o.system = system_text;
    o.completions = completions;
    o.max_tokens = max_tokens;
    o.temperature = temperature;
    o.seed = seed;
    o.top_p = has_top_p ? top_p : -1;
    o.top_k = has_top_k ? top_k : -1;
    o.repeat = (uint32_t)repeat;
    o.parallel = (uint32_t)parallel;
    o.retries = (uint32_t)retries;
    o.timeout = timeout;
    o.connect_timeout = connect_timeout;
    o.retry_wait = retry_wait;
    o.force = cmd_force;
    o.on_result = show;
    if (system_text && !utf8_valid(system_text, strlen(system_text)))
        return err_set(e, ERR_INPUT, "--system is not UTF-8 text");
    if (model && (!*model || !utf8_valid(model, strlen(model))))
        return err_set(e, ERR_INPUT, "--model is not a name in UTF-8");
    bool ok = batch_run(&o, &s, e);
    /* what was reached is told, too, when some failed */
    struct err closed = {0};
    if (s.n_prompts && !summary(&s, &closed))
        ok = err_set(e, closed.code, "%s", closed.msg);
    return ok;
}
