/* watch.c - see watch.h. */
#include "engine/watch.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"

#include <dirent.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#define LOOKS 0.25 /* seconds from one look to the next */

/* A socket that a thread waits for. */
struct wait {
    int fd;
    double since; /* the first of the looks that all saw it */
    bool seen;    /* in this look */
};

struct watch {
    const char *servers;
    double seconds;
    uint32_t users;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop, said;
    struct wait *waits;
    uint32_t n, cap;
    bool held; /* between hold and release; who holds has these signals: */
    sigset_t before;
};

/* ---- whom it waits for ---- */

/* The socket that a thread of this process waits for, -1: it waits for none. */
static int socket_of(const char *task)
{
    char path[300];
    long call = -1;
    unsigned long fd = 0;
    int type;
    socklen_t n = sizeof type;
    snprintf(path, sizeof path, "/proc/self/task/%s/syscall", task);
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    bool ok = fscanf(f, "%ld 0x%lx", &call, &fd) == 2 &&
              (call == SYS_recvfrom || call == SYS_sendto || call == SYS_recvmsg || call == SYS_sendmsg ||
               call == SYS_connect) &&
              fd < 1u << 20 && getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
              type == SOCK_STREAM;
    fclose(f);
    return ok ? (int)fd : -1;
}

/* Seconds in which nothing was heard of the other side. */
static double silence_of(int fd)
{
    struct tcp_info i;
    socklen_t n = sizeof i;
    memset(&i, 0, sizeof i);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &n) != 0)
        return 0;
    if (i.tcpi_state == TCP_SYN_SENT)
        return 1e9; /* since ever */
    /* while it takes what we send, acknowledgements come without data */
    uint32_t ms = i.tcpi_last_data_recv < i.tcpi_last_ack_recv ? i.tcpi_last_data_recv : i.tcpi_last_ack_recv;
    return ms / 1e3;
}

static bool name_of(int fd, char *dst, size_t size)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getpeername(fd, (struct sockaddr *)&a, &n) != 0 ||
        getnameinfo((struct sockaddr *)&a, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    snprintf(dst, size, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

/* For how long a socket has been waited for. Silence alone says nothing: nobody may have asked. */
static double waited(struct watch *w, int fd)
{
    uint32_t i = 0;
    while (i < w->n && w->waits[i].fd != fd)
        i++;
    if (i == w->n) {
        GROW(w->waits, w->n, w->cap);
        w->waits[w->n++] = (struct wait){.fd = fd, .since = now_secs()};
    }
    w->waits[i].seen = true;
    return now_secs() - w->waits[i].since;
}

static void forget_the_others(struct watch *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n; i++)
        if (w->waits[i].seen) {
            w->waits[n] = w->waits[i];
            w->waits[n++].seen = false;
        }
    w->n = n;
}

/* The most silent of those that are waited for, and for how long; 0: none is. A connection that is not there yet has the name of all. */
static double silent(struct watch *w, char *name, size_t size)
{
    double most = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *t; d && (t = readdir(d));) {
        int fd = t->d_name[0] == '.' ? -1 : socket_of(t->d_name);
        if (fd < 0)
            continue;
        double asked = waited(w, fd), s = silence_of(fd);
        if (s > asked)
            s = asked;
        if (s > most) {
            most = s;
            if (!name_of(fd, name, size))
                snprintf(name, size, "%s", w->servers);
        }
    }
    if (d)
        closedir(d);
    forget_the_others(w);
    return most;
}

/* ---- the thread ---- */

static void look(struct watch *w)
{
    char name[512], time[32];
    double s = silent(w, name, sizeof name);
    if (s < w->seconds)
        w->said = false;
    else if (!w->said) {
        w->said = true;
        log_warn("--rpc: %s has not answered for %s; waiting for it, Ctrl-C ends this", name,
                 human_secs(s, time));
    }
    if (w->said && sig_pending()) /* a server that computes is heard of before, and the work ends well */
        sig_insist();
}

static void *watching(void *ud)
{
    struct watch *w = ud;
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        t.tv_nsec += (long)(LOOKS * 1e9);
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&w->changed, &w->lock, &t);
        if (!w->stop)
            look(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void clear(struct watch *w)
{
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w->waits);
    free(w);
}

static struct watch *of_process;

struct watch *watch_join(const char *servers, int64_t seconds)
{
    struct watch *w = of_process;
    if (!w) {
        w = xcalloc(1, sizeof *w);
        *w = (struct watch){.servers = servers, .seconds = (double)seconds};
        pthread_mutex_init(&w->lock, NULL);
        pthread_cond_init(&w->changed, NULL);
        if (pthread_create(&w->thread, NULL, watching, w) != 0) {
            clear(w);
            return NULL;
        }
        of_process = w;
    }
    w->users++;
    return w;
}

void watch_leave(struct watch *w)
{
    if (!w)
        return;
    watch_release(w);
    if (--w->users)
        return;
    of_process = NULL;
    pthread_mutex_lock(&w->lock); /* which the thread has while it speaks */
    w->stop = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    clear(w);
}

void watch_hold(struct watch *w)
{
    sigset_t noted;
    if (!w)
        return;
    sigemptyset(&noted);
    sigaddset(&noted, SIGINT);
    sigaddset(&noted, SIGTERM);
    sigaddset(&noted, SIGHUP);
    w->held = pthread_sigmask(SIG_BLOCK, &noted, &w->before) == 0;
}

void watch_release(struct watch *w)
{
    if (!w || !w->held)
        return;
    w->held = false;
    pthread_sigmask(SIG_SETMASK, &w->before, NULL);
}
