/* serve.h - a batch on a model of our own: the server is started, asked, and stopped. */
#ifndef REAP_SERVE_SERVE_H
#define REAP_SERVE_SERVE_H

#include "serve/batch.h"
#include "serve/server.h"

/* b->server is set here. Whatever happens, no server is left; when it ended in the middle, *e says so with
 * its last lines. */
bool serve_batch(const struct server_opts *o, const struct batch_opts *b, struct batch_summary *s,
                 struct err *e);

#endif
