/* server.c - see server.h.
 *
 * One thread, no handlers of our own while the child starts: the signals are noted by base/sig.c. In
 * server_wait a handler passes them on at once. */
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "serve/client.h"
#include "serve/secret.h"
#include "serve/server_part.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#define TAIL       4096  /* bytes of its output that are kept */
#define TAIL_LINES 3     /* and shown */
#define MAX_LINE   200   /* bytes of each */
#define MAX_HELD   65536 /* bytes of a line that has no end */
#define GRACE      15.0  /* seconds between the first signal and SIGKILL */
#define MAX_TRIES  5     /* of ports that somebody takes between our look and its */

struct server {
    pid_t pid; /* 0: has ended */
    int status;
    int out; /* its standard output and error */
    uint16_t port;
    char *url;
    char tail[TAIL]; /* the last n_tail bytes */
    size_t n_tail;
    struct buf line; /* what has come of a line, while a key may stand in it */
};

/* ---- the child ---- */

void server_die_with(pid_t parent, int sig)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, sig);
#endif
    if (getppid() != parent) /* it has died already */
        _exit(127);
}

static void __attribute__((noreturn))
become(const char *program, const struct server_opts *o, uint16_t port, int out, pid_t parent)
{
    char number[16];
    const char **argv = xcalloc(o->n_args + 16, sizeof *argv);
    uint32_t n = 0;
    snprintf(number, sizeof number, "%u", port);
    const char *ours[] = {program,  "--model", o->model, "--alias", path_base(o->model),
                          "--host", o->host,   "--port", number};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        argv[n++] = ours[i];
    for (uint32_t i = 0; i < o->n_args; i++)
        argv[n++] = o->args[i];
    setpgid(0, 0); /* the terminal's Ctrl-C comes to us, and we pass it on */
    server_die_with(parent, SIGKILL);
    secret_forget();
    /* no pages of foreign web sites, no downloads; by variables, which older servers ignore */
    setenv("LLAMA_ARG_CORS_ORIGINS", "localhost", 0);
    setenv("LLAMA_ARG_OFFLINE", "1", 0);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(program, (char *const *)(uintptr_t)argv);
    dprintf(STDERR_FILENO, "cannot start '%s': %s\n", program, strerror(errno));
    _exit(127);
}

static bool spawn(struct server *s, const char *program, const struct server_opts *o, struct err *e)
{
    int fds[2];
    pid_t parent = getpid();
    if (pipe2(fds, O_CLOEXEC) != 0)
        return err_sys(e, "cannot make a pipe");
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0)
        become(program, o, s->port, fds[1], parent);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return err_sys(e, "cannot start " NAME);
    }
    setpgid(pid, pid); /* here too, so that a signal passed on right now reaches it */
    s->pid = pid;
    s->out = fds[0];
    return true;
}

static void take(struct server *s, const char *p, size_t n)
{
    if (log_verbose)
        log_lines(p, n);
    if (n > TAIL) {
        p += n - TAIL;
        n = TAIL;
    }
    size_t drop = s->n_tail + n > TAIL ? s->n_tail + n - TAIL : 0;
    memmove(s->tail, s->tail + drop, s->n_tail - drop);
    memcpy(s->tail + s->n_tail - drop, p, n);
    s->n_tail += n - drop;
}

/* Whole lines, so that a key is seen that comes in two reads; all, where there is none to be seen. */
static void keep(struct server *s, const char *p, size_t n, bool is_all)
{
    buf_add(&s->line, p, n);
    const char *end = s->line.n ? memrchr(s->line.s, '\n', s->line.n) : NULL;
    size_t whole = is_all || !secret_key() || s->line.n > MAX_HELD ? s->line.n
                   : end                                           ? (size_t)(end + 1 - s->line.s)
                                                                   : 0;
    if (!whole)
        return;
    struct buf b = {0}, rest = {0};
    buf_add(&b, s->line.s, whole);
    buf_add(&rest, s->line.s + whole, s->line.n - whole);
    secret_hide(&b);
    take(s, b.s, b.n);
    buf_clear(&b);
    buf_clear(&s->line);
    s->line = rest;
}

/* Takes what it printed; waits at most `ms` for something. */
static void drain(struct server *s, int ms)
{
    char b[4096];
    struct pollfd p = {.fd = s->out, .events = POLLIN};
    if (s->out < 0) {
        poll(NULL, 0, ms);
        return;
    }
    if (poll(&p, 1, ms) <= 0)
        return;
    ssize_t n;
    while ((n = read(s->out, b, sizeof b)) > 0)
        keep(s, b, (size_t)n, false);
    if (n == 0) { /* it has closed it, most likely by ending */
        keep(s, "", 0, true);
        close(s->out);
        s->out = -1;
    }
}

static bool has_ended(struct server *s)
{
    if (s->pid && waitpid(s->pid, &s->status, WNOHANG) == s->pid) {
        drain(s, 0);
        keep(s, "", 0, true);
        s->pid = 0;
    }
    return !s->pid;
}

static int exit_status(const struct server *s)
{
    return WIFSIGNALED(s->status) ? 128 + WTERMSIG(s->status) : WEXITSTATUS(s->status);
}

static bool is_complaint(const char *line, size_t n)
{
    static const char *const words[] = {"error", "fail", "couldn't", "cannot", "invalid", "unknown"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memmem(line, n, words[i], strlen(words[i])))
            return true;
    return false;
}

/* The lines that say why it ended, in one: the first that complain, else the last ones. What a server prints
 * last is often that it cleans up. */
static void why_it_ended(const struct server *s, struct buf *b)
{
    const char *line[TAIL / 2 + 1];
    size_t len[TAIL / 2 + 1], n_lines = 0, n_shown = 0;
    for (size_t at = 0; at < s->n_tail;) {
        const char *p = s->tail + at, *end = memchr(p, '\n', s->n_tail - at);
        size_t n = end ? (size_t)(end - p) : s->n_tail - at;
        if (n) {
            line[n_lines] = p;
            len[n_lines++] = n;
        }
        at += n + 1;
    }
    bool complaints = false;
    for (size_t i = 0; i < n_lines; i++)
        complaints |= is_complaint(line[i], len[i]);
    for (size_t i = 0; i < n_lines && n_shown < TAIL_LINES; i++) {
        if (complaints ? !is_complaint(line[i], len[i]) : i + TAIL_LINES < n_lines)
            continue;
        buf_str(b, n_shown++ ? " / " : "");
        buf_safe(b, line[i], len[i] < MAX_LINE ? len[i] : MAX_LINE);
    }
    if (!n_shown)
        buf_str(b, "it printed nothing");
}

static bool ended_error(struct server *s, struct err *e)
{
    struct buf b = {0};
    why_it_ended(s, &b);
    if (WIFSIGNALED(s->status))
        err_set(e, ERR_FAILED, NAME " was ended by signal %d: %s", WTERMSIG(s->status), b.s);
    else
        err_set(e, ERR_FAILED, NAME " ended with status %d: %s", WEXITSTATUS(s->status), b.s);
    buf_clear(&b);
    return false;
}

bool server_alive(struct server *s, struct err *e)
{
    drain(s, 0);
    return !has_ended(s) || ended_error(s, e);
}

static void server_free(struct server *s)
{
    if (s->out >= 0)
        close(s->out);
    buf_clear(&s->line);
    free(s->url);
    free(s);
}

void server_stop(struct server *s)
{
    if (!s)
        return;
    int sig = SIGTERM;
    for (double end = now_secs() + GRACE; !has_ended(s); drain(s, 20)) {
        if (now_secs() > end)
            sig = SIGKILL;
        if (sig) {
            kill(-s->pid, sig);
            sig = 0;
        }
    }
    server_free(s);
}

/* ---- start ---- */

static bool is_healthy(struct http *h, const char *url)
{
    char *health = xasprintf("%s/health", url);
    struct http_request q = {.url = health, .connect_timeout = 2, .timeout = 2, .max_bytes = 1 << 16};
    struct http_response x;
    struct err ignored = {0};
    bool ok = http_do(h, &q, &x, &ignored) && x.status == 200;
    http_response_clear(&x);
    free(health);
    return ok;
}

static bool wait_ready(struct server *s, const struct server_opts *o, struct err *e)
{
    struct http *h = http_new();
    double end = now_secs() + o->load_timeout;
    bool ok = true, ready = false;
    while (ok && !ready) {
        drain(s, 50);
        if (!sig_check(e) || !server_alive(s, e))
            ok = false;
        else if (is_healthy(h, s->url))
            ready = true;
        else if (now_secs() > end)
            ok = err_set(e, ERR_FAILED, NAME " is not ready after %.15g s (--load-timeout)", o->load_timeout);
    }
    http_free(h);
    return ok && server_alive(s, e); /* or was it another program that answered? */
}

/* *taken: somebody has the port. */
static struct server *start_once(const char *program, const struct server_opts *o, bool *taken, struct err *e)
{
    uint16_t port = o->port;
    if (!port_probe(o->host, &port, taken, e))
        return NULL;
    struct server *s = xcalloc(1, sizeof *s);
    s->out = -1;
    s->port = port;
    s->url = port_url(o->host, port);
    if (spawn(s, program, o, e) && wait_ready(s, o, e))
        return s;
    bool ended = !s->pid;
    struct err ignored = {0};
    server_stop(s);
    if (ended) /* by itself: is the port that was free when we looked so no more? */
        port_probe(o->host, &port, taken, &ignored);
    return NULL;
}

struct server *server_start(const struct server_opts *o, struct err *e)
{
    char *program = server_find(e);
    struct server *s = NULL;
    for (int i = 1; program && !s; i++) {
        struct err bad = {0};
        bool taken;
        s = start_once(program, o, &taken, &bad);
        /* between our look at a free port and its own somebody may take it */
        if (!s && (o->port || i == MAX_TRIES || !taken)) {
            err_set(e, bad.code, "%s", bad.msg);
            break;
        }
    }
    free(program);
    return s;
}

const char *server_url(const struct server *s)
{
    return s->url;
}

int server_pid(const struct server *s)
{
    return s->pid;
}

/* ---- until it ends ---- */

static volatile pid_t passing_to;
static volatile sig_atomic_t n_passed;

static void pass_on(int sig)
{
    int was = errno;
    n_passed++;
    if (passing_to)
        kill(-passing_to, sig);
    errno = was;
}

int server_wait(struct server *s, bool *by_signal)
{
    static const int sigs[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa = {.sa_handler = pass_on}, old[3];
    double end = 0;
    passing_to = s->pid;
    n_passed = 0;
    sigemptyset(&sa.sa_mask);
    for (int i = 0; i < 3; i++)
        sigaction(sigs[i], &sa, &old[i]);
    if (sig_pending()) /* came just before */
        pass_on(SIGINT);
    while (!has_ended(s)) {
        drain(s, 100);
        if (n_passed && end == 0)
            end = now_secs() + GRACE;
        if (end > 0 && now_secs() > end)
            kill(-s->pid, SIGKILL);
    }
    passing_to = 0;
    for (int i = 0; i < 3; i++)
        sigaction(sigs[i], &old[i], NULL);
    *by_signal = n_passed > 0;
    int status = exit_status(s);
    server_free(s);
    return status;
}
