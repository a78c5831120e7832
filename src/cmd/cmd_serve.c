/* cmd_serve.c - llama-server on a model, until it ends or is told to. */
#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "convert/cache.h"
#include "model/foreign.h"
#include "model/view.h"
#include "serve/server.h"

#include <string.h>

static const char *host;
static int64_t port;
static double load_timeout;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_INT("port", &port, "P", 0, 65535, "port to listen on", .alias = "-p", .dflt_is = "a free one"),
    OPT_STR("host", &host, "H", "address to listen on; the default is this machine only",
            .dflt = "127.0.0.1"),
    OPT_DURATION("load-timeout", &load_timeout, "TIME", 1, 1e6,
                 "longest time that loading the model may take", .dflt = OPT_TEXT(SERVER_LOAD_TIMEOUT) "s"),
    OPT_WORD("type", &cmd_engine.type, "TYPE", &cmd_types,
             "type of a checkpoint's matrices in the file made of it", .dflt_is = "auto, as stored"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_serve = {
    .name = "serve",
    .usage = "MODEL [OPTIONS] [-- LLAMA-SERVER-OPTIONS]",
    .summary = "run llama-server on a model until it is told to end",
    .example = "  reap serve pruned.gguf --port 8080\n"
               "  reap serve pruned.gguf -- -ngl 99 -c 8192\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 1,
    .max_args = 1000,
    .models = 1,
    .run = run,
};

/* What is served; a model that we cannot prune may be served all the same. */
static json_t *facts(const char *model)
{
    struct err ignored = {0};
    struct view *v = view_open(model, &ignored);
    json_t *o = json_object();
    json_object_set_new(o, "file", json_text(model));
    if (v) {
        json_object_set_new(o, "name", json_text(v->name));
        json_object_set_new(o, "architecture", json_text(v->family->arch));
        json_object_set_new(o, "bytes", json_integer((json_int_t)v->bytes));
        json_object_set_new(o, "n_blocks", json_integer(v->n_blocks));
        json_object_set_new(o, "n_experts", json_integer(v->shape.n_experts));
        json_object_set_new(o, "n_experts_used", json_integer(v->shape.n_used));
    }
    view_free(v);
    return o;
}

static void facts_text(struct buf *b, const json_t *o)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    char s[32];
    if (!name) {
        cmd_fmt(b, "model   %s\n", json_string_value(json_object_get(o, "file")));
        return;
    }
    cmd_fmt(b, "model   %s (%s, %s; %lld experts per layer, %lld used)\n", name,
            json_string_value(json_object_get(o, "architecture")),
            human_bytes((uint64_t)json_integer_value(json_object_get(o, "bytes")), s),
            (long long)json_integer_value(json_object_get(o, "n_experts")),
            (long long)json_integer_value(json_object_get(o, "n_experts_used")));
}

static bool announce(const struct server *s, const char *model, struct err *e)
{
    json_t *o = facts(model);
    if (cmd_json) {
        json_object_set_new(o, "url", json_string(server_url(s)));
        json_object_set_new(o, "pid", json_integer(server_pid(s)));
        return cmd_print_json("serve", o, e);
    }
    struct buf b = {0};
    cmd_fmt(&b, "url     %s\n", server_url(s));
    facts_text(&b, o);
    json_decref(o);
    return cmd_print(&b, e);
}

static bool is_ours(const char *arg)
{
    static const char *const names[] = {"-m", "--model", "--host", "--port"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(arg, names[i]))
            return true;
    return false;
}

static bool check_args(char const *const *args, uint32_t n, struct err *e)
{
    if (n && args[0][0] != '-')
        return err_set(e, ERR_INPUT, "unexpected operand '%s'; options of llama-server stand behind '--'",
                       args[0]);
    for (uint32_t i = 0; i < n; i++)
        if (is_ours(args[i]))
            return err_set(e, ERR_INPUT, "'%s' is given to llama-server by reap: use MODEL, --host, --port",
                           args[i]);
    return true;
}

static bool wait_end(struct server *s, struct err *e)
{
    bool by_signal;
    int status = server_wait(s, &by_signal);
    if (by_signal)
        log_note("llama-server has ended");
    if (!status)
        return true;
    return err_set(e, (enum err_code)status, "llama-server ended with status %d", status);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    if (!check_args(args + 1, n - 1, e) || !foreign_model(args[0], e))
        return false;
    char *gguf = convert_cached(args[0], &cmd_engine, e), *model = gguf ? server_model(gguf, e) : NULL;
    free(gguf);
    if (!model)
        return false;
    struct server_opts o = {.model = model,
                            .host = host,
                            .port = (uint16_t)port,
                            .args = args + 1,
                            .n_args = n - 1,
                            .load_timeout = load_timeout};
    log_note("starting llama-server on %s ...", model);
    struct server *s = server_start(&o, e);
    bool ok = s != NULL;
    if (s && !announce(s, model, e)) {
        ok = false;
        server_stop(s);
    } else if (s) {
        log_note("Ctrl-C ends it.");
        ok = wait_end(s, e);
    }
    free(model);
    return ok;
}
