/* server_port.c - a port to listen on, and the address that reaches it. */
#include "base/mem.h"
#include "serve/server_part.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

bool port_probe(const char *host, uint16_t *port, bool *taken, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
    int rc = getaddrinfo(host, NULL, &hints, &list), on = 1;
    *taken = false;
    if (rc != 0)
        return err_set(e, ERR_INPUT, "--host: '%s' is no address of this machine: %s", host,
                       gai_strerror(rc));
    struct sockaddr_storage got;
    socklen_t n = sizeof got;
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              set_port(list->ai_addr, *port) && bind(fd, list->ai_addr, list->ai_addrlen) == 0 &&
              listen(fd, 1) == 0 && getsockname(fd, (struct sockaddr *)&got, &n) == 0;
    *taken = !ok && errno == EADDRINUSE;
    if (ok)
        *port = get_port(&got);
    else if (*taken)
        err_set(e, ERR_FAILED, "port %u of %s is taken by another program", *port, host);
    else
        err_sys(e, "cannot listen on port %u of '%s'", *port, host);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(list);
    return ok;
}

char *port_url(const char *host, uint16_t port)
{
    if (!strcmp(host, "0.0.0.0"))
        host = "127.0.0.1";
    if (!strcmp(host, "::"))
        host = "::1";
    return strchr(host, ':') ? xasprintf("http://[%s]:%u", host, port)
                             : xasprintf("http://%s:%u", host, port);
}
