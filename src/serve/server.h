/* server.h - llama-server as a child process: found, started, watched, stopped, never left behind.
 *
 * The child has a process group of its own, gets SIGKILL when reap dies however it dies (Linux), and what it
 * prints goes to standard error with log_verbose, else only its last lines are kept for messages. */
#ifndef REAP_SERVE_SERVER_H
#define REAP_SERVE_SERVER_H

#include "base/err.h"
#include <stdint.h>

#define SERVER_LOAD_TIMEOUT 1800 /* seconds, if nobody says otherwise */

struct server_opts {
    const char *model;       /* a GGUF file, or the first of a split one */
    const char *host;        /* address to listen on */
    uint16_t port;           /* 0: a free one */
    const char *const *args; /* for llama-server, behind ours */
    uint32_t n_args;
    double load_timeout; /* seconds until it must be ready */
};

struct server; /* a child that runs */

/* The GGUF that serves a model: the path itself, after a look at it. A checkpoint folder is refused: the
 * caller makes a file of it first. Caller frees; NULL with *e. */
char *server_model(const char *model, struct err *e);

/* Finds it ($REAP_LLAMA_SERVER, beside the reap program, among the tools of the engine's build, in PATH),
 * starts it and waits until it is healthy. In a source checkout where it is nowhere it is built first: that
 * takes some minutes, once, runs a compiler and may need the network. NULL with *e: the port is taken, it
 * ended (with its last lines), the time is over, or a signal came; nothing runs then. */
struct server *server_start(const struct server_opts *o, struct err *e);
const char *server_url(const struct server *s); /* http://127.0.0.1:PORT */
int server_pid(const struct server *s);

/* Waits until it ends by itself or by a signal: SIGINT, SIGTERM and SIGHUP of ours are passed on. Frees s.
 * Returns its exit status (128 + N after signal N, as shells do); `by_signal`: after a signal of ours. */
int server_wait(struct server *s, bool *by_signal);
/* Still there? False: *e says how it ended, with its last lines. */
bool server_alive(struct server *s, struct err *e);
/* Ends it: SIGTERM, and SIGKILL if that does not help. Frees s; NULL is legal. */
void server_stop(struct server *s);

#endif
