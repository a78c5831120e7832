/* http.c - requests to the hub (libcurl); see hub_part.h.
 *
 * http and https only, certificates and host names verified, no cookies, no .netrc. Redirects are followed here and not
 * by libcurl, one request at a time: so the token goes with a request exactly when its scheme, host and port are those of
 * the endpoint, and from https there is no way to http. */
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sig.h"
#include "hub/hub_part.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#define ENDPOINT  "https://huggingface.co"
#define MAX_HOPS  8
#define MAX_WASTE (1u << 20) /* of a body that nobody wants */
#define MAX_TOKEN 512
#define CONNECT_S 20L
#define STALLED_S 60L /* without a byte */

struct hub_http {
    CURL *curl;
    char *endpoint; /* without a slash at the end */
    char *token;    /* NULL: none */
};

struct exchange {
    CURL *curl;
    hub_bytes_fn *fn;
    void *ctx;
    struct hub_answer *a;
    uint64_t from, waste;
    bool from_seen;
    struct err e; /* of fn, or ours */
};

/* ---- the token ---- */

static char *token_file(void)
{
    const char *path = getenv("HF_TOKEN_PATH"), *home = getenv("HF_HOME"), *xdg = getenv("XDG_CACHE_HOME"),
               *user = getenv("HOME");
    if (path && *path)
        return xstrdup(path);
    if (home && *home)
        return path_join(home, "token");
    if (xdg && *xdg)
        return path_join(xdg, "huggingface/token");
    return user && *user ? path_join(user, ".cache/huggingface/token") : NULL;
}

static char *trimmed(const char *s)
{
    s += strspn(s, " \t\r\n");
    size_t n = strlen(s);
    while (n && strchr(" \t\r\n", s[n - 1]))
        n--;
    return n ? xstrndup(s, n) : NULL;
}

/* HF_TOKEN, else the file in which `hf auth login` keeps it. NULL without *e: there is none. */
static char *find_token(struct err *e)
{
    const char *env = getenv("HF_TOKEN");
    if (!env || !*env)
        env = getenv("HUGGING_FACE_HUB_TOKEN");
    char *token = env ? trimmed(env) : NULL, *path = token ? NULL : token_file();
    if (path && file_exists(path)) {
        struct buf b = {0};
        if (file_read_all(path, 4096, &b, e) && b.n)
            token = trimmed(b.s);
        buf_clear(&b);
    }
    free(path);
    for (const char *s = token; s && *s; s++)
        if (*s <= 0x20 || *s >= 0x7f || s - token > MAX_TOKEN) { /* it is not repeated: it is a secret */
            err_set(e, ERR_INPUT,
                    "the token of the hub (HF_TOKEN, or the file of 'hf auth login') is not one word");
            break;
        }
    return token;
}

/* ---- addresses ---- */

static char *part_of(const char *url, CURLUPart part)
{
    CURLU *u = curl_url();
    char *s = NULL, *copy = NULL;
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, part, &s, CURLU_DEFAULT_PORT) == CURLUE_OK)
        copy = xstrdup(s);
    curl_free(s);
    curl_url_cleanup(u);
    return copy;
}

static bool same_part(const char *a, const char *b, CURLUPart part)
{
    char *x = part_of(a, part), *y = part_of(b, part);
    bool same = x && y && !strcasecmp(x, y);
    free(x);
    free(y);
    return same;
}

static bool same_origin(const char *a, const char *b)
{
    return same_part(a, b, CURLUPART_SCHEME) && same_part(a, b, CURLUPART_HOST) &&
           same_part(a, b, CURLUPART_PORT);
}

static bool is_http(const char *url, bool secure)
{
    char *scheme = part_of(url, CURLUPART_SCHEME);
    bool is = scheme && (!strcasecmp(scheme, "https") || (!secure && !strcasecmp(scheme, "http")));
    free(scheme);
    return is;
}

static char *find_endpoint(struct err *e)
{
    const char *env = getenv("HF_ENDPOINT");
    char *url = xstrdup(env && *env ? env : ENDPOINT);
    for (size_t n = strlen(url); n && url[n - 1] == '/'; n--)
        url[n - 1] = 0;
    char *user = part_of(url, CURLUPART_USER), *query = part_of(url, CURLUPART_QUERY);
    if (user || query || !is_http(url, false)) /* not repeated: it may hold a password */
        err_set(e, ERR_INPUT, "HF_ENDPOINT is not the address of a hub, such as " ENDPOINT);
    free(user);
    free(query);
    return url;
}

/* ---- one request ---- */

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    n *= size;
    unsigned long long from;
    char line[4096];
    snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line - 1), p);
    line[strcspn(line, "\r\n")] = 0;
    if (!strncasecmp(line, "link:", 5) && n < sizeof line) {
        free(x->a->link);
        x->a->link = xstrdup(line + 5);
    } else if (!strncasecmp(line, "x-error-code:", 13)) {
        const char *s = line + 13;
        snprintf(x->a->code, sizeof x->a->code, "%s", s + strspn(s, " "));
    } else if (!strncasecmp(line, "content-range:", 14) && sscanf(line + 14, " bytes %llu-", &from) == 1) {
        x->a->from = from;
        x->from_seen = true;
    }
    return n;
}

static size_t on_bytes(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    n *= size;
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &x->a->status);
    if (x->a->status != 200 && x->a->status != 206) {
        x->waste += n;
        return x->waste <= MAX_WASTE ? n : CURL_WRITEFUNC_ERROR;
    }
    if (x->a->status == 200)
        x->a->from = 0;
    else if (!x->from_seen || x->a->from != x->from) {
        err_set(&x->e, ERR_FAILED, "the server sends another part of the file than the one asked for");
        return CURL_WRITEFUNC_ERROR;
    }
    bool ok = x->fn(x->ctx, x->a, p, n, &x->e);
    x->a->n_bytes += n;
    return ok ? n : CURL_WRITEFUNC_ERROR;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    struct exchange *x = ctx;
    return sig_check(&x->e) ? 0 : 1;
}

static struct curl_slist *with(struct curl_slist *list, const char *line)
{
    struct curl_slist *more = curl_slist_append(list, line);
    if (!more)
        sig_die("out of memory");
    return more;
}

static void set_options(CURL *c, const char *url, struct exchange *x, char *why)
{
    curl_easy_reset(c); /* connections stay */
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "reap/" REAP_VERSION);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALLED_S);
    if (x->from) { /* not CURLOPT_RESUME_FROM: a server that sends all of it instead would be an error */
        char range[32];
        snprintf(range, sizeof range, "%llu-", (unsigned long long)x->from);
        curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
}

static enum hub_fault fault_of(CURLcode rc)
{
    switch (rc) {
    case CURLE_OK: return HUB_FINE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return HUB_NO_CONNECT;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_OPERATION_TIMEDOUT: return HUB_BROKEN;
    default: return HUB_OTHER;
    }
}

/* One request; *to: where it is redirected to, the caller's, NULL: nowhere. */
static bool get_once(struct hub_http *h, const char *url, struct exchange *x, char **to, struct err *e)
{
    char why[CURL_ERROR_SIZE] = "", *next = NULL;
    struct curl_slist *list = with(NULL, "Accept: */*");
    x->a->ours = same_origin(url, h->endpoint);
    x->a->had_token = h->token && x->a->ours;
    if (x->a->had_token) {
        char *line = xasprintf("Authorization: Bearer %s", h->token);
        list = with(list, line);
        explicit_bzero(line, strlen(line));
        free(line);
    }
    set_options(h->curl, url, x, why);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, list);
    CURLcode rc = curl_easy_perform(h->curl);
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &x->a->status);
    curl_easy_getinfo(h->curl, CURLINFO_REDIRECT_URL, &next);
    *to = rc == CURLE_OK && next && x->a->status / 100 == 3 ? xstrdup(next) : NULL;
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(list);
    x->a->fault = fault_of(rc);
    if (x->e.code != ERR_NONE) {
        x->a->fault = HUB_OTHER;
        return err_set(e, x->e.code, "%s", x->e.msg);
    }
    if (rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && x->waste > MAX_WASTE))
        return true;
    return err_set(e, ERR_FAILED, "%s", *why ? why : curl_easy_strerror(rc));
}

bool hub_http_get(struct hub_http *h, const char *url, uint64_t from, hub_bytes_fn *fn, void *ctx,
                  struct hub_answer *a, struct err *e)
{
    char *at = xstrdup(url);
    bool ok = true;
    for (int hop = 0; ok && at; hop++) {
        char *next = NULL;
        bool secure = is_http(at, true);
        hub_answer_clear(a);
        *a = (struct hub_answer){.fault = HUB_OTHER};
        struct exchange x = {.curl = h->curl, .fn = fn, .ctx = ctx, .a = a, .from = from};
        ok = get_once(h, at, &x, &next, e);
        if (next && hop == MAX_HOPS)
            ok = err_set(e, ERR_FAILED, "the server redirects more than %d times", MAX_HOPS);
        else if (next && !is_http(next, secure))
            ok = err_set(e, ERR_FAILED, "the server redirects to an address that is not %s",
                         secure ? "https" : "http(s)");
        if (!ok)
            a->fault = a->fault == HUB_FINE ? HUB_OTHER : a->fault;
        free(at);
        at = next;
    }
    free(at);
    return ok;
}

void hub_answer_clear(struct hub_answer *a)
{
    free(a->link);
    *a = (struct hub_answer){0};
}

/* ---- the whole ---- */

struct hub_http *hub_http_new(struct err *e)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        BUG("libcurl cannot be started");
    struct hub_http *h = xcalloc(1, sizeof *h);
    h->curl = curl_easy_init();
    if (!h->curl)
        sig_die("out of memory");
    h->endpoint = find_endpoint(e);
    if (e->code == ERR_NONE)
        h->token = find_token(e);
    if (e->code == ERR_NONE)
        return h;
    hub_http_free(h);
    return NULL;
}

void hub_http_free(struct hub_http *h)
{
    if (!h)
        return;
    curl_easy_cleanup(h->curl);
    if (h->token)
        explicit_bzero(h->token, strlen(h->token));
    free(h->token);
    free(h->endpoint);
    free(h);
}

const char *hub_http_endpoint(const struct hub_http *h)
{
    return h->endpoint;
}

bool hub_http_is_ours(const struct hub_http *h, const char *url)
{
    return same_origin(url, h->endpoint);
}

void hub_put_escaped(struct buf *b, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    for (; *path; path++) {
        if (strchr(plain, *path))
            buf_char(b, *path);
        else
            buf_fmt(b, "%%%02X", (unsigned char)*path);
    }
}
