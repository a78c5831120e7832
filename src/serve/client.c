/* client.c - see client.h. */
#include "serve/client.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "serve/secret.h"
#include "serve/sse.h"

#include <curl/curl.h>
#include <pthread.h>
#include <string.h>

#define MAX_KEY 4096

struct http {
    CURL *curl;
};

struct exchange { /* what the callbacks of one request share */
    const struct http_request *q;
    struct http_response *r;
    CURL *curl;
    struct sse sse;
    uint64_t n_bytes;
    bool began;
    struct err e; /* of on_event, or ours */
};

static void init_once(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        BUG("libcurl cannot be started");
}

struct http *http_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
    struct http *h = xcalloc(1, sizeof *h);
    h->curl = curl_easy_init();
    if (!h->curl)
        sig_die("out of memory");
    return h;
}

void http_free(struct http *h)
{
    if (h)
        curl_easy_cleanup(h->curl);
    free(h);
}

void http_response_clear(struct http_response *r)
{
    buf_clear(&r->body);
    *r = (struct http_response){0};
}

bool http_has_key(void)
{
    return secret_key() != NULL;
}

/* ---- callbacks ---- */

static bool is_event_stream(CURL *curl)
{
    const char *type = NULL;
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    return type && !strncasecmp(type, "text/event-stream", 17);
}

static size_t on_bytes(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    n *= size;
    if (!x->began) {
        x->began = true;
        curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &x->r->status);
        x->r->is_stream = x->q->on_event && x->r->status / 100 == 2 && is_event_stream(x->curl);
    }
    uint64_t max = x->r->is_stream ? x->q->max_stream : x->q->max_bytes;
    if (n > max - x->n_bytes) {
        err_set(&x->e, ERR_FAILED, "the server sends more than %llu bytes, which is no answer",
                (unsigned long long)max);
        return CURL_WRITEFUNC_ERROR;
    }
    x->n_bytes += n;
    if (!x->r->is_stream)
        buf_add(&x->r->body, p, n);
    else if (!sse_feed(&x->sse, p, n, x->q->on_event, x->q->ctx, &x->e))
        return CURL_WRITEFUNC_ERROR;
    return n;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    struct exchange *x = ctx;
    return sig_check(&x->e) ? 0 : 1;
}

/* ---- requests ---- */

/* Without memory the list would be lost, and the request another one. */
static struct curl_slist *with(struct curl_slist *list, const char *line)
{
    struct curl_slist *more = curl_slist_append(list, line);
    if (!more)
        sig_die("out of memory");
    return more;
}

static struct curl_slist *headers(const struct http_request *q, struct err *e)
{
    struct curl_slist *list = with(NULL, "Expect:"); /* no waiting for "100 Continue" */
    if (q->body)
        list = with(list, "Content-Type: application/json");
    const char *key = secret_key();
    if (!key)
        return list;
    if (strlen(key) > MAX_KEY || strpbrk(key, "\r\n")) {
        err_set(e, ERR_INPUT, "the key in REAP_API_KEY or OPENAI_API_KEY is not one line");
        curl_slist_free_all(list);
        return NULL;
    }
    char *line = xasprintf("Authorization: Bearer %s", key);
    list = with(list, line);
    free(line);
    return list;
}

static void set_options(CURL *c, const struct http_request *q, struct exchange *x, char *why)
{
    curl_easy_reset(c); /* the connection stays */
    curl_easy_setopt(c, CURLOPT_URL, q->url);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "reap/" REAP_VERSION);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
    if (http_is_local(q->url))
        curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(q->connect_timeout * 1000));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(q->timeout * 1000));
    if (q->body) {
        curl_easy_setopt(c, CURLOPT_POST, 1L);
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(q->body));
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body);
    }
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
}

static enum http_fault fault_of(CURLcode rc)
{
    switch (rc) {
    case CURLE_OK: return HTTP_FINE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return HTTP_NO_CONNECT;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return HTTP_BROKEN;
    case CURLE_OPERATION_TIMEDOUT: return HTTP_TIMEOUT;
    default: return HTTP_OTHER;
    }
}

static bool explain(CURLcode rc, const char *why, const struct http_request *q, struct err *e)
{
    struct buf b = {0};
    buf_str(&b, "");
    if (!*why)
        why = curl_easy_strerror(rc);
    buf_safe(&b, why, strlen(why));
    if (rc == CURLE_OPERATION_TIMEDOUT)
        err_set(e, ERR_FAILED, "no complete answer within %.15g s (%s)", q->timeout, b.s);
    else
        err_set(e, ERR_FAILED, "%s", b.s);
    buf_clear(&b);
    return false;
}

bool http_do(struct http *h, const struct http_request *q, struct http_response *r, struct err *e)
{
    char why[CURL_ERROR_SIZE] = "";
    struct exchange x = {.q = q, .r = r, .curl = h->curl};
    *r = (struct http_response){.fault = HTTP_OTHER};
    struct curl_slist *list = headers(q, e);
    if (!list)
        return false;
    set_options(h->curl, q, &x, why);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, list);
    CURLcode rc = curl_easy_perform(h->curl);
    curl_off_t wait = 0;
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &r->status);
    curl_easy_getinfo(h->curl, CURLINFO_RETRY_AFTER, &wait);
    r->retry_after = wait > 0 ? (uint64_t)wait : 0;
    r->fault = fault_of(rc);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(list);
    sse_clear(&x.sse);
    if (rc == CURLE_OK)
        return true;
    if (x.e.code != ERR_NONE) {
        r->fault = HTTP_OTHER;
        return err_set(e, x.e.code, "%s", x.e.msg);
    }
    return explain(rc, why, q, e);
}

/* ---- addresses ---- */

/* An address as people write it, without a scheme or with a port alone, as one that curl reads. */
static char *full_url(const char *url)
{
    if (strstr(url, "://"))
        return xstrdup(url);
    return xasprintf("http://%s%s", url[0] == ':' && url[1] >= '0' && url[1] <= '9' ? "127.0.0.1" : "", url);
}

static bool set_url(CURLU *u, const char *url)
{
    char *full = full_url(url);
    bool is_port = *url && strspn(url, "0123456789") == strlen(url), /* curl takes it for a host's number */
        is_half = strstr(url, ":/") && !strstr(url, "://"),          /* "http:/x": curl asks a host "http" */
        ok = !is_port && !is_half && curl_url_set(u, CURLUPART_URL, full, 0) == CURLUE_OK;
    free(full);
    return ok;
}

/* An address for a message, without what may be a secret: a name and a password, and what stands behind '?'. */
static char *shown_url(const char *url)
{
    struct buf b = {0};
    const char *scheme = strstr(url, "://"), *at = strrchr(url, '@');
    size_t n = strcspn(url, "?#");
    buf_str(&b, "");
    if (at && at > url + n) /* it may be meant to be in front of the host nevertheless */
        n = strlen(url);
    if (at && scheme && scheme < at)
        buf_add(&b, url, (size_t)(scheme + 3 - url));
    if (at) {
        buf_str(&b, "...");
        n = strcspn(at, "?#");
        url = at;
    }
    buf_add(&b, url, n);
    if (url[n])
        buf_fmt(&b, "%c...", url[n]);
    secret_hide(&b);
    return b.s;
}

static bool split_url(CURLU *u, const char *url, struct err *e)
{
    char *scheme = NULL, *user = NULL, *query = NULL, *shown = shown_url(url);
    bool ok = true;
    if (!set_url(u, url)) {
        err_set(e, ERR_INPUT,
                "'%s' is not the address of a server, such as http://127.0.0.1:8080, host:8080, :8080 or "
                "[::1]:8080",
                shown);
        free(shown);
        return false;
    }
    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
    curl_url_get(u, CURLUPART_USER, &user, 0);
    curl_url_get(u, CURLUPART_QUERY, &query, 0);
    if (!scheme || (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0))
        ok = err_set(e, ERR_INPUT, "'%s': only http:// and https:// can be used", shown);
    else if (user) /* not repeated in the message: it is a secret */
        ok = err_set(e, ERR_INPUT, "the server's address has a user name in it; give a key in REAP_API_KEY");
    else if (query)
        ok = err_set(e, ERR_INPUT, "'%s' has a query behind '?', expected the address alone", shown);
    free(shown);
    curl_free(scheme);
    curl_free(user);
    curl_free(query);
    return ok;
}

char *http_base_url(const char *url, struct err *e)
{
    CURLU *u = curl_url();
    char *full = NULL, *base = NULL;
    if (u && split_url(u, url, e) && curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_URL, &full, 0) == CURLUE_OK) {
        size_t n = strlen(full);
        while (n && full[n - 1] == '/')
            n--;
        if (n > 3 && !memcmp(full + n - 3, "/v1", 3))
            n -= 3;
        while (n && full[n - 1] == '/')
            n--;
        base = xstrndup(full, n);
    }
    curl_free(full);
    curl_url_cleanup(u);
    if (!base)
        err_set(e, ERR_FAILED, "libcurl has no memory for the address of the server");
    return base;
}

bool http_is_local(const char *base)
{
    CURLU *u = curl_url();
    char *host = NULL;
    bool local = false;
    if (u && curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        local = !strcasecmp(host, "localhost") || !strcmp(host, "[::1]") ||
                (!strncmp(host, "127.", 4) && strspn(host, "0123456789.") == strlen(host));
    curl_free(host);
    curl_url_cleanup(u);
    return local;
}
