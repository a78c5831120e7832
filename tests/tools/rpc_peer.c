/* rpc_peer.c - a server of the engine's RPC that is none: of another version, one that hangs up, or one that is silent.
 *
 *     rpc_peer FILE MAJOR     the port goes into FILE; HELLO is answered with version MAJOR.0.0
 *     rpc_peer FILE hangup    a connection is closed at once
 *     rpc_peer FILE silent    a request is taken and never answered
 *
 * A request is a byte of command, eight bytes of size, and the data; a response eight bytes of size and the data. HELLO, command 14,
 * gives three bytes of version, one of padding and 24 of capabilities (llama.cpp v0.5.0, ggml/src/ggml-rpc/ggml-rpc.cpp).
 * It serves until it is ended, or half a minute. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO 33 /* bytes of the request: 1 + 8 + 24 */

static void serve(int fd, const char *what)
{
    unsigned char in[HELLO], out[36] = {28}; /* 8 bytes of size, low byte first; 28 of data */
    if (!strcmp(what, "hangup") || recv(fd, in, sizeof in, MSG_WAITALL) != HELLO || in[0] != 14)
        return;
    out[8] = (unsigned char)atoi(what);
    if (!strcmp(what, "silent") || send(fd, out, sizeof out, MSG_NOSIGNAL) == sizeof out)
        (void)recv(fd, in, 1, 0); /* until the other side is gone */
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 3 || s < 0 || bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 8) ||
        getsockname(s, (struct sockaddr *)&a, &n))
        return 1;
    FILE *f = fopen(argv[1], "w");
    if (!f || fprintf(f, "%d\n", ntohs(a.sin_port)) < 0 || fclose(f))
        return 1;
    alarm(30);
    for (;;) {
        int fd = accept(s, NULL, NULL);
        if (fd < 0)
            return 1;
        serve(fd, argv[2]);
        close(fd);
    }
}
