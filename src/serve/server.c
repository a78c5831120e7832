/* server.c - see server.h.
 *
 * One thread, no handlers of our own while the child starts: the signals are noted by base/sig.c. In
 * server_wait a handler passes them on at once. */
#include "serve/server.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "serve/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* From cmake/engine.cmake: the folder of the engine's programs; what builds them (or ""), and its options. */
#ifndef REAP_ENGINE_TOOLS
#define REAP_ENGINE_TOOLS  ""
#define REAP_ENGINE_SCRIPT ""
#define REAP_ENGINE_FLAGS  ""
#endif

#define NAME       "llama-server"
#define TAIL       4096 /* bytes of its output that are kept */
#define TAIL_LINES 3    /* and shown */
#define MAX_LINE   200  /* bytes of each */
#define GRACE      15.0 /* seconds between the first signal and SIGKILL */
#define MAX_TRIES  5    /* of ports that somebody takes between our look and its */

struct server {
    pid_t pid; /* 0: has ended */
    int status;
    int out; /* its standard output and error */
    uint16_t port;
    char *url;
    char tail[TAIL]; /* the last n_tail bytes */
    size_t n_tail;
};

/* ---- where it is ---- */

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0 && !file_is_dir(path);
}

/* PATH as execvp would search it. */
static char *in_path(void)
{
    const char *path = getenv("PATH");
    for (const char *p = path; p && *p;) {
        size_t n = strcspn(p, ":");
        char *dir = n ? xstrndup(p, n) : xstrdup("."), *file = path_join(dir, NAME);
        free(dir);
        if (is_program(file))
            return file;
        free(file);
        p += n + (p[n] == ':');
    }
    return NULL;
}

static char *own_folder(void)
{
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0)
        return NULL;
    exe[n] = 0;
    return path_dir(exe);
}

static char *beside_us(void)
{
    char *dir = own_folder(), *file = dir ? path_join(dir, NAME) : NULL;
    free(dir);
    if (file && is_program(file))
        return file;
    free(file);
    return NULL;
}

/* This program lies in the checkout (its build folder) that it was built from. */
static bool in_checkout(void)
{
    char *scripts = path_dir(REAP_ENGINE_SCRIPT), *top = path_dir(scripts), *dir = own_folder();
    size_t n = strlen(top);
    bool yes = *REAP_ENGINE_SCRIPT && file_exists(REAP_ENGINE_SCRIPT) && dir && !strncmp(dir, top, n) &&
               dir[n] == '/';
    free(scripts);
    free(top);
    free(dir);
    return yes;
}

/* Dies with us, also when we are killed outright. parent: who started it. */
static void die_with(pid_t parent, int sig)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, sig);
#endif
    if (getppid() != parent) /* it has died already */
        _exit(127);
}

static bool build(struct err *e)
{
    pid_t parent = getpid();
    log_note(NAME " is not built yet: building it once with scripts/engine.sh (about 6 minutes on 2 cores)");
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(e, "cannot start scripts/engine.sh");
    if (pid == 0) {
        die_with(parent, SIGTERM);
        dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO); /* its answer, the folder, is known */
        for (const char *const *v = (const char *const[]){"CC", "CXX", "CFLAGS", "CXXFLAGS", NULL}; *v; v++)
            unsetenv(*v); /* the engine is one for all builds, see cmake/engine.cmake */
        execlp("bash", "bash", "-c", "exec bash \"$0\" " REAP_ENGINE_FLAGS " --tools " NAME,
               REAP_ENGINE_SCRIPT, (char *)NULL);
        _exit(127);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (sig_pending())
            kill(pid, SIGTERM);
    return sig_check(e) && (status == 0 || err_set(e, ERR_FAILED, "scripts/engine.sh could not build " NAME));
}

char *server_find(struct err *e)
{
    const char *named = getenv("REAP_LLAMA_SERVER");
    if (named && *named) {
        if (is_program(named))
            return xstrdup(named);
        err_set(e, ERR_INPUT, "REAP_LLAMA_SERVER: '%s' is no program", named);
        return NULL;
    }
    char *file = beside_us();
    if (file)
        return file;
    if (is_program(REAP_ENGINE_TOOLS "/" NAME))
        return xstrdup(REAP_ENGINE_TOOLS "/" NAME);
    if ((file = in_path()) != NULL)
        return file;
    if (!in_checkout()) {
        err_set(e, ERR_FAILED,
                NAME " is not found (beside reap, in '%s', in PATH): install llama.cpp, or run "
                     "'bash scripts/engine.sh --tools " NAME "' in reap's source folder, or set "
                     "REAP_LLAMA_SERVER",
                REAP_ENGINE_TOOLS);
        return NULL;
    }
    return build(e) ? xstrdup(REAP_ENGINE_TOOLS "/" NAME) : NULL;
}

char *server_model(const char *model, struct err *e)
{
    if (file_is_dir(model)) {
        err_set(e, ERR_INPUT,
                "'%s' is a checkpoint folder, " NAME " reads GGUF files: run 'reap convert' on it first",
                model);
        return NULL;
    }
    uint64_t size;
    int fd = file_open_read(model, &size, e); /* a clear message, before anything is started */
    if (fd < 0)
        return NULL;
    close(fd);
    return xstrdup(model);
}

/* ---- ports ---- */

static bool set_port(struct sockaddr *a, uint16_t port)
{
    /* both families have it at the same place, but the types differ */
    if (a->sa_family == AF_INET)
        ((struct sockaddr_in *)(void *)a)->sin_port = htons(port);
    else if (a->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)a)->sin6_port = htons(port);
    else
        return false;
    return true;
}

static uint16_t get_port(const struct sockaddr_storage *a)
{
    return ntohs(a->ss_family == AF_INET ? ((const struct sockaddr_in *)(const void *)a)->sin_port
                                         : ((const struct sockaddr_in6 *)(const void *)a)->sin6_port);
}

/* Looks whether a port can be had; *port 0 becomes a free one. Nothing stays open. */
static bool probe_port(const char *host, uint16_t *port, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
    int rc = getaddrinfo(host, NULL, &hints, &list), on = 1;
    if (rc != 0)
        return err_set(e, ERR_INPUT, "--host: '%s' is no address of this machine: %s", host,
                       gai_strerror(rc));
    struct sockaddr_storage got;
    socklen_t n = sizeof got;
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              set_port(list->ai_addr, *port) && bind(fd, list->ai_addr, list->ai_addrlen) == 0 &&
              listen(fd, 1) == 0 && getsockname(fd, (struct sockaddr *)&got, &n) == 0;
    if (ok)
        *port = get_port(&got);
    else if (errno == EADDRINUSE)
        err_set(e, ERR_FAILED, "port %u of %s is taken by another program", *port, host);
    else
        err_sys(e, "cannot listen on port %u of '%s'", *port, host);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(list);
    return ok;
}

/* The address under which we reach it: one that means "all" is this machine. */
static char *make_url(const char *host, uint16_t port)
{
    if (!strcmp(host, "0.0.0.0"))
        host = "127.0.0.1";
    if (!strcmp(host, "::"))
        host = "::1";
    return strchr(host, ':') ? xasprintf("http://[%s]:%u", host, port)
                             : xasprintf("http://%s:%u", host, port);
}

/* ---- the child ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void __attribute__((noreturn))
become(const char *program, const struct server_opts *o, uint16_t port, int out, pid_t parent)
{
    char number[16];
    const char **argv = xcalloc(o->n_args + 16, sizeof *argv);
    uint32_t n = 0;
    snprintf(number, sizeof number, "%u", port);
    const char *ours[] = {program,  "--model", o->model, "--alias", base_name(o->model),
                          "--host", o->host,   "--port", number};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        argv[n++] = ours[i];
    for (uint32_t i = 0; i < o->n_args; i++)
        argv[n++] = o->args[i];
    setpgid(0, 0); /* the terminal's Ctrl-C comes to us, and we pass it on */
    die_with(parent, SIGKILL);
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

static void show(const char *p, size_t n)
{
    struct buf b = {0};
    for (size_t at = 0; at < n;) {
        const char *end = memchr(p + at, '\n', n - at);
        size_t k = end ? (size_t)(end - p) - at : n - at;
        buf_safe(&b, p + at, k);
        if (end)
            buf_char(&b, '\n');
        at += k + (end != NULL);
    }
    (void)!write(STDERR_FILENO, b.s, b.n);
    buf_clear(&b);
}

static void keep(struct server *s, const char *p, size_t n)
{
    if (log_verbose)
        show(p, n);
    if (n > TAIL) {
        p += n - TAIL;
        n = TAIL;
    }
    size_t drop = s->n_tail + n > TAIL ? s->n_tail + n - TAIL : 0;
    memmove(s->tail, s->tail + drop, s->n_tail - drop);
    memcpy(s->tail + s->n_tail - drop, p, n);
    s->n_tail += n - drop;
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
        keep(s, b, (size_t)n);
    if (n == 0) { /* it has closed it, most likely by ending */
        close(s->out);
        s->out = -1;
    }
}

static bool has_ended(struct server *s)
{
    if (s->pid && waitpid(s->pid, &s->status, WNOHANG) == s->pid) {
        drain(s, 0);
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

static struct server *start_once(const char *program, const struct server_opts *o, struct err *e)
{
    uint16_t port = o->port;
    if (!probe_port(o->host, &port, e))
        return NULL;
    struct server *s = xcalloc(1, sizeof *s);
    s->out = -1;
    s->port = port;
    s->url = make_url(o->host, port);
    if (spawn(s, program, o, e) && wait_ready(s, o, e))
        return s;
    server_stop(s);
    return NULL;
}

struct server *server_start(const struct server_opts *o, struct err *e)
{
    char *program = server_find(e);
    struct server *s = NULL;
    for (int i = 1; program && !s; i++) {
        struct err bad = {0};
        s = start_once(program, o, &bad);
        /* between our look at a free port and its own somebody may take it */
        if (!s && (o->port || i == MAX_TRIES || !strstr(bad.msg, "couldn't bind"))) {
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
