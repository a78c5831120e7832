/* server_part.h - between the files of server.h. */
#ifndef REAP_SERVE_SERVER_PART_H
#define REAP_SERVE_SERVER_PART_H

#include "serve/server.h"

#define NAME "llama-server"

/* Where llama-server is: $REAP_LLAMA_SERVER, beside the reap program, among the tools of the engine's build,
 * in PATH. In a source checkout it is built when it is nowhere: that takes some minutes, once, runs a
 * compiler and may need the network. Caller frees; NULL with *e, which says how to get it. */
char *server_find(struct err *e);

/* Looks whether a port of `host` can be had; *port 0 becomes a free one. Nothing stays open. False: *e says
 * why, *taken whether another program listens there. */
bool port_probe(const char *host, uint16_t *port, bool *taken, struct err *e);
/* The address under which we reach it: a host that means "all" is this machine. Caller frees. */
char *port_url(const char *host, uint16_t port);

/* In a child that was just forked by `parent`: it dies with us, also when we are killed outright. */
void server_die_with(pid_t parent, int sig);

#endif
