/* rpc_peer.c - a server of the engine's RPC that is none: of another version, one that hangs up, one that is silent, or one that falls
 * silent at a given request.
 *
 *     rpc_peer FILE MAJOR             the port goes into FILE; HELLO is answered with version MAJOR.0.0
 *     rpc_peer FILE hangup            a connection is closed at once
 *     rpc_peer FILE silent            a request is taken and never answered
 *     rpc_peer FILE PORT LOG N        each request goes on to the server at PORT, a letter for it into LOG (its command, 0 is 'a'); the
 *                                     N-th, counted from 1, and all behind it are kept back (0: none is)
 *
 * A request is a byte of command, eight bytes of size, and the data; a response eight bytes of size and the data. HELLO, command 14,
 * gives three bytes of version, one of padding and 24 of capabilities (llama.cpp v0.5.0, ggml/src/ggml-rpc/ggml-rpc.cpp).
 * It serves until it is ended, or two minutes. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD  9  /* bytes of a request before its data */
#define HELLO 33 /* bytes of that request */

static void serve(int fd, const char *what)
{
    unsigned char in[HELLO], out[36] = {28}; /* 8 bytes of size, low byte first; 28 of data */
    if (!strcmp(what, "hangup") || recv(fd, in, sizeof in, MSG_WAITALL) != HELLO || in[0] != 14)
        return;
    out[8] = (unsigned char)atoi(what);
    if (!strcmp(what, "silent") || send(fd, out, sizeof out, MSG_NOSIGNAL) == sizeof out)
        (void)recv(fd, in, 1, 0); /* until the other side is gone */
}

/* ---- to a real one ---- */

static int port, requests; /* under the lock: */
static long last;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct link {
    int from, to;
    bool counts; /* what passes is requests */
};

static bool pass(const struct link *l, uint64_t n)
{
    char b[65536];
    while (n) {
        ssize_t got = recv(l->from, b, n < sizeof b ? (size_t)n : sizeof b, 0);
        if (got <= 0 || send(l->to, b, (size_t)got, MSG_NOSIGNAL) != got)
            return false;
        n -= (uint64_t)got;
    }
    return true;
}

static bool goes_on(unsigned char command)
{
    static long n;
    char letter = (char)('a' + command);
    pthread_mutex_lock(&lock);
    n++;
    bool on = !last || n < last;
    if (on && write(requests, &letter, 1) != 1)
        exit(1);
    pthread_mutex_unlock(&lock);
    return on;
}

static void pass_requests(const struct link *l)
{
    unsigned char head[HEAD];
    while (recv(l->from, head, HEAD, MSG_WAITALL) == HEAD) {
        uint64_t n = 0;
        for (int i = HEAD - 1; i > 0; i--)
            n = n << 8 | head[i];
        while (!goes_on(head[0]))
            pause();
        if (send(l->to, head, HEAD, MSG_NOSIGNAL) != HEAD || !pass(l, n))
            return;
    }
}

static void *one_way(void *ud)
{
    struct link *l = ud;
    if (l->counts)
        pass_requests(l);
    else
        (void)pass(l, UINT64_MAX);
    shutdown(l->to, SHUT_WR);
    free(l);
    return NULL;
}

static void begin(int from, int to, bool counts)
{
    struct link *l = malloc(sizeof *l);
    pthread_t t;
    if (!l)
        exit(1);
    *l = (struct link){from, to, counts};
    if (pthread_create(&t, NULL, one_way, l) || pthread_detach(t))
        exit(1);
}

static void link_up(int fd)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_STREAM, 0), at_once = 1;
    if (s < 0 || connect(s, (struct sockaddr *)&a, sizeof a) ||
        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once))
        exit(1);
    begin(fd, s, true);
    begin(s, fd, false);
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if ((argc != 3 && argc != 5) || s < 0 || bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 8) ||
        getsockname(s, (struct sockaddr *)&a, &n))
        return 1;
    if (argc == 5) {
        port = atoi(argv[2]);
        last = atol(argv[4]);
        requests = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0666);
        if (requests < 0)
            return 1;
    }
    FILE *f = fopen(argv[1], "w");
    if (!f || fprintf(f, "%d\n", ntohs(a.sin_port)) < 0 || fclose(f))
        return 1;
    alarm(120);
    for (;;) {
        int fd = accept(s, NULL, NULL);
        if (fd < 0)
            return 1;
        if (argc == 5) {
            link_up(fd);
            continue;
        }
        serve(fd, argv[2]);
        close(fd);
    }
}
