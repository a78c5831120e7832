/* serve.c - see serve.h. */
#include "serve/serve.h"

bool serve_batch(const struct server_opts *o, const struct batch_opts *b, struct batch_summary *s,
                 struct err *e)
{
    struct server *server = server_start(o, e);
    if (!server)
        return false;
    struct batch_opts mine = *b;
    struct err why = {0};
    mine.server = server_url(server);
    bool ok = batch_run(&mine, s, e);
    if (!ok && e->code != ERR_INTERRUPTED && !server_alive(server, &why))
        err_ctx(e, "%s", why.msg);
    server_stop(server);
    return ok;
}
