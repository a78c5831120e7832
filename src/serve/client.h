/* client.h - HTTP requests to an inference server (libcurl).
 *
 * http and https only; certificates and host names are verified; no redirects, no cookies, no files read but
 * the system's certificates. Proxies as curl takes them from the environment, never for addresses of this
 * machine. The key of the interface comes from the environment (REAP_API_KEY, else OPENAI_API_KEY) and is
 * written nowhere (secret.h). */
#ifndef REAP_SERVE_CLIENT_H
#define REAP_SERVE_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

struct http_request {
    const char *url;
    const char *body;                /* JSON to POST; NULL: GET */
    double connect_timeout, timeout; /* seconds; timeout bounds the whole exchange */
    uint64_t max_bytes;              /* of an answer that is not streamed */
    uint64_t max_stream;             /* of one that is */
    bool (*on_event)(void *ctx, const char *data, size_t n, struct err *e); /* sse_fn; NULL: no stream */
    void *ctx;
};

enum http_fault {
    HTTP_FINE,       /* an answer came, whatever its status */
    HTTP_NO_CONNECT, /* nothing listens there, or its name is not known */
    HTTP_BROKEN,     /* the connection ended in the middle of the answer */
    HTTP_TIMEOUT,
    HTTP_OTHER, /* what trying again does not help: certificates, sizes, what on_event said */
};

struct http_response {
    enum http_fault fault;
    long status;          /* 200, ... */
    uint64_t retry_after; /* seconds, 0: not said */
    bool is_stream;       /* it was text/event-stream, and went to on_event */
    struct buf body;      /* else, and when the status is not 2xx */
};

struct http; /* a connection that is kept between requests; one thread at a time */
struct http *http_new(void);
void http_free(struct http *h);
/* Whether an answer came (HTTP_FINE). False: *e says why not (ERR_INTERRUPTED after a signal). r is
 * overwritten in every case and wants http_response_clear. */
bool http_do(struct http *h, const struct http_request *q, struct http_response *r, struct err *e);
void http_response_clear(struct http_response *r);

/* Checks the address of a server and brings it to one form, with which requests begin: with a scheme ("host:8080"
 * and ":8080" are http), without a slash at the end, without "/v1". Caller frees; NULL with *e (ERR_INPUT). */
char *http_base_url(const char *url, struct err *e);
bool http_is_local(const char *base);
bool http_has_key(void);

#endif
