/* library.c - see library.h. */
#include "engine/library.h"
#include "base/err.h"
#include "base/log.h"
#include "base/sig.h"
#include "engine/expert_backend.h"
#include "engine/uncaught.h"

#include <ctype.h>
#include <fcntl.h>
#include <ggml-backend.h>
#include <llama.h>
#include <string.h>
#include <unistd.h>

static char first_error[512];
static library_listener *listener;
static void *listener_ud;

static enum ggml_log_level line_level;

static void on_log(enum ggml_log_level level, const char *text, void *ud)
{
    (void)ud;
    bool is_error = level == GGML_LOG_LEVEL_ERROR && *text && *text != '\n';
    if (level != GGML_LOG_LEVEL_CONT) /* else it goes on with the line before */
        line_level = level;
    if (log_verbose && (line_level != GGML_LOG_LEVEL_DEBUG || log_verbose > 1))
        log_lines(text, strlen(text));
    if (is_error && !first_error[0])
        snprintf(first_error, sizeof first_error, "%s", text);
    if (listener)
        listener(listener_ud, text, is_error);
}

void library_forget(void)
{
    first_error[0] = 0;
}

const char *library_said(void)
{
    char *s = first_error;
    size_t n = strlen(s);
    while (n && isspace((unsigned char)s[n - 1]))
        s[--n] = 0;
    if (!n)
        return "no reason given; --verbose shows the engine's own lines";
    for (char *p; (p = strstr(s, ": ")) && !memchr(s, ' ', (size_t)(p - s));)
        s = p + 2;
    return s;
}

void library_listen(library_listener *fn, void *ud)
{
    listener = fn;
    listener_ud = ud;
}

/* What the engine's client of RPC servers says when it gives up, from ggml-rpc.cpp, and what has happened to users of --rpc. */
static const struct {
    const char *says, *reason;
} rpc_reasons[] = {
    {"Failed to connect", "no server answers there"},
    {"RPC handshake failed",
     "the server speaks another version of the protocol; it must be of this engine's version"},
    {"Remote RPC server crashed",
     "a server has ended, was lost, or speaks another version; what was saved stays, and --resume goes on "
     "from it where the command has that"},
};

/* "FILE:LINE: text", the text alone, with its endpoint where it names one. */
static void rpc_reason(const char *message, char *dst, size_t size)
{
    const char *at = NULL;
    static const char *const before[] = {"connect to ", "failed for "};
    for (size_t i = 0; !at && i < sizeof before / sizeof *before; i++)
        if ((at = strstr(message, before[i])))
            at += strlen(before[i]);
    size_t n = at ? strcspn(at, "\n") : 0;
    for (size_t i = 0; i < sizeof rpc_reasons / sizeof *rpc_reasons; i++)
        if (strstr(message, rpc_reasons[i].says)) {
            snprintf(dst, size, "--rpc%s%.*s: %s%s%s%s", n ? " " : "", (int)n, n ? at : "",
                     rpc_reasons[i].reason, first_error[0] ? " (" : "", first_error[0] ? library_said() : "",
                     first_error[0] ? ")" : "");
            return;
        }
    snprintf(dst, size, "the engine gave up: %s", message);
}

/* An assertion inside the engine: nothing can be saved, but the user gets a line, an exit status, and no half-written
 * output. */
static void on_abort(const char *message)
{
    char reason[512];
    if (strstr(message, "ggml-rpc"))
        rpc_reason(message, reason, sizeof reason);
    else
        snprintf(reason, sizeof reason, "the engine gave up: %s", message);
    sig_die(reason);
}

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

/* The engine looks for shared libraries of its devices beside the program and in the current folder, and loads what it
 * finds there. The current folder may be a model from anywhere; so it is another one meanwhile. (Where it may not be
 * entered, nothing in it can be loaded.) */
static void load_devices(void)
{
    if (access(".", X_OK) != 0) {
        ggml_backend_load_all();
        return;
    }
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (here < 0 || chdir("/") != 0) {
        log_warn(
            "the current folder cannot be left: devices that the engine loads when it runs are not looked for");
    } else {
        ggml_backend_load_all();
        if (fchdir(here) != 0)
            sig_die("the current folder cannot be entered again");
    }
    if (here >= 0)
        close(here);
}

void library_init(void)
{
    static bool done;
    if (done)
        return;
    done = true;
    llama_log_set(on_log, NULL);
    ggml_set_abort_callback(on_abort);
    uncaught_install();
    load_devices();
    expert_backend_register();
    llama_backend_init();
}
