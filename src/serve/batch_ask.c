/* batch_ask.c - requests of a batch, with retries, and what is asked of a server before the prompts. */
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "serve/batch_part.h"
#include "serve/secret.h"

#include <string.h>
#include <time.h>

#define MAX_WAIT      60.0 /* seconds between two attempts, when the server names none */
#define PROBE_TIMEOUT 60.0

/* ---- requests, with retries ---- */

static bool is_stopped(struct batch *r)
{
    pthread_mutex_lock(&r->lock);
    bool stop = r->stop;
    pthread_mutex_unlock(&r->lock);
    return stop || sig_pending();
}

static void sleep_secs(struct batch *r, double s)
{
    for (double end = now_secs() + s; now_secs() < end && !is_stopped(r);)
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL);
}

static bool status_error(const struct http_response *x, struct err *e)
{
    struct buf b = {0};
    buf_str(&b, "");
    answer_error_text(&b, x->body.s, x->body.n);
    const char *hint = x->status == 401 || x->status == 403
                           ? (http_has_key() ? " (the key in REAP_API_KEY or OPENAI_API_KEY was sent)"
                                             : " (set REAP_API_KEY or OPENAI_API_KEY)")
                           : "";
    err_set(e, ERR_FAILED, "the server answers with status %ld%s%s%s", x->status, b.n ? ": " : "", b.s, hint);
    buf_clear(&b);
    return false;
}

static bool may_try_again(const struct http_response *x)
{
    if (x->fault == HTTP_NO_CONNECT || x->fault == HTTP_BROKEN)
        return true;
    return x->fault == HTTP_FINE &&
           (x->status == 429 || (x->status >= 500 && x->status != 501 && x->status != 505));
}

/* One attempt; a stream that ended without the end of the answer counts as broken. */
static bool attempt(struct http *h, const struct http_request *q, struct answer *a, struct http_response *x,
                    struct err *e)
{
    if (!http_do(h, q, x, e))
        return false;
    if (x->status / 100 != 2)
        return answer_malformed(a, x->body.s, x->body.n) || status_error(x, e);
    if (x->is_stream && !a->done && !a->finish[0]) {
        x->fault = HTTP_BROKEN;
        return err_set(e, ERR_FAILED, "the stream ended before the answer was complete");
    }
    return true;
}

/* Seconds until the next attempt; false: longer than anybody would wait. */
static bool wait_of(const struct batch *r, const struct http_response *x, uint32_t tries, double *wait,
                    struct err *e)
{
    *wait = r->o->retry_wait;
    for (uint32_t i = 1; i < tries && *wait < MAX_WAIT; i++)
        *wait *= 2;
    if (*wait > MAX_WAIT)
        *wait = MAX_WAIT;
    if (!x->retry_after)
        return true;
    *wait = (double)x->retry_after;
    return *wait <= r->o->timeout ||
           err_ctx(e, "it asks to wait %llu s, longer than --timeout", (unsigned long long)x->retry_after);
}

bool batch_ask(struct batch *r, struct http *h, const struct http_request *q, struct answer *a,
               struct http_response *x, struct tries *t, const char *what, struct err *e)
{
    for (t->n = 1;; t->n++) {
        struct err bad = {0};
        double wait;
        answer_clear(a);
        t->began = now_secs();
        if (attempt(h, q, a, x, &bad))
            return true;
        secret_hide_err(&bad);
        if (bad.code == ERR_INTERRUPTED || !may_try_again(x) || t->n > r->o->retries ||
            !wait_of(r, x, t->n, &wait, &bad))
            return err_set(e, bad.code, "%s", bad.msg);
        pthread_mutex_lock(&r->lock);
        log_note("%s: %s; again in %.3g s", what, bad.msg, wait);
        pthread_mutex_unlock(&r->lock);
        http_response_clear(x);
        sleep_secs(r, wait);
        if (!sig_check(e))
            return false;
        if (is_stopped(r))
            return err_set(e, ERR_FAILED, "%s", bad.msg);
    }
}

/* ---- the server ---- */

/* A short question about the server; its answer is small and soon there. */
static struct http_request probe(const struct batch *r, char *url, char *body)
{
    return (struct http_request){.url = url,
                                 .body = body,
                                 .connect_timeout = r->o->connect_timeout,
                                 .timeout = r->o->timeout < PROBE_TIMEOUT ? r->o->timeout : PROBE_TIMEOUT,
                                 .max_bytes = MAX_BODY};
}

static json_t *get_json(struct batch *r, struct http *h, const char *path, char *body, struct err *e)
{
    char *url = xasprintf("%s%s", r->base, path);
    struct http_request q = probe(r, url, body);
    struct http_response x;
    struct answer none = {0};
    struct tries tries;
    struct err bad = {0};
    json_t *v = NULL;
    if (batch_ask(r, h, &q, &none, &x, &tries, r->server, &bad))
        v = json_parse(x.body.s ? x.body.s : "", x.body.n, &bad);
    secret_hide_err(&bad);
    if (!v) /* a server that is not there is no bad input, nor is one that talks nonsense */
        err_set(e, bad.code == ERR_INTERRUPTED ? bad.code : ERR_FAILED, "%s%s: %s", r->server, path, bad.msg);
    http_response_clear(&x);
    free(url);
    return v;
}

/* What tells two models of one name apart; the length of the context, for example, is the server's choice. */
static json_t *describe(const char *id, const json_t *entry)
{
    static const char *const keys[] = {"n_params", "size", "n_vocab", "ftype"};
    json_t *o = json_object();
    const json_t *meta = json_object_get(entry, "meta");
    json_object_set_new(o, "id", json_string(id));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(meta, keys[i]);
        if (json_is_integer(v) || json_is_string(v))
            json_object_set(o, keys[i], v);
    }
    return o;
}

json_t *batch_pick_model(const json_t *models, const char *wanted)
{
    const json_t *list = json_object_get(models, "data"),
                 *entry = json_array_size(list) == 1 || !wanted ? json_array_get(list, 0) : NULL;
    for (size_t i = 0; wanted && i < json_array_size(list); i++) {
        const char *s = json_string_value(json_object_get(json_array_get(list, i), "id"));
        if (s && !strcmp(s, wanted))
            entry = json_array_get(list, i);
    }
    const char *id = wanted ? wanted : json_string_value(json_object_get(entry, "id"));
    return id && *id ? describe(id, entry) : NULL;
}

static bool find_model(struct batch *r, struct http *h, struct err *e)
{
    struct err bad = {0};
    json_t *v = get_json(r, h, "/v1/models", NULL, &bad);
    json_t *about = bad.code == ERR_INTERRUPTED ? NULL : batch_pick_model(v, r->o->model);
    bool ok = about != NULL;
    if (ok) {
        r->model = xstrdup(json_string_value(json_object_get(about, "id")));
        r->about = secret_hide_json(about);
        r->shown = json_string_value(json_object_get(r->about, "id"));
    } else if (bad.code != ERR_NONE) {
        err_set(e, bad.code, "%s", bad.msg);
    } else {
        err_set(e, ERR_FAILED, "%s/v1/models names no model; give --model NAME", r->server);
    }
    json_decref(about);
    json_decref(v);
    return ok;
}

/* llama-server wants "content", vLLM and SGLang "prompt"; each ignores what it does not know. */
int64_t batch_count_tokens(struct batch *r, struct http *h, const char *text)
{
    json_t *o = json_object();
    json_object_set_new(o, "model", json_string(r->model));
    json_object_set_new(o, "content", json_string(text));
    json_object_set_new(o, "prompt", json_string(text));
    json_object_set_new(o, "add_special", json_false());
    json_object_set_new(o, "add_special_tokens", json_false());
    char *body = json_dumps(o, JSON_COMPACT), *url = xasprintf("%s/tokenize", r->base);
    struct http_request q = probe(r, url, body);
    struct http_response x;
    struct err ignored = {0};
    json_t *v = NULL;
    if (http_do(h, &q, &x, &ignored) && x.status == 200 && x.body.n)
        v = json_parse(x.body.s, x.body.n, &ignored);
    const json_t *tokens = json_object_get(v, "tokens");
    int64_t n = json_is_array(tokens) ? (int64_t)json_array_size(tokens) : -1;
    json_decref(v);
    json_decref(o);
    http_response_clear(&x);
    free(body);
    free(url);
    return n;
}

bool batch_meet_server(struct batch *r, struct err *e)
{
    r->base = http_base_url(r->o->server, e);
    if (!r->base)
        return false;
    struct buf b = {0};
    buf_str(&b, r->base);
    secret_hide(&b); /* of one that has it in its path */
    r->server = b.s;
    r->url = xasprintf("%s%s", r->base, r->o->completions ? "/v1/completions" : "/v1/chat/completions");
    if (http_has_key() && !http_is_local(r->base) && !strncmp(r->base, "http://", 7))
        log_warn("the key goes to %s without encryption", r->server);
    struct http *h = http_new();
    bool ok = find_model(r, h, e);
    if (ok)
        r->tokenizes = batch_count_tokens(r, h, "a") > 0;
    http_free(h);
    return ok;
}
