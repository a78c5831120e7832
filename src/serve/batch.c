/* batch.c - see batch.h. Asking: batch_ask.c; what is asked: batch_jobs.c; the file: batch_file.c.
 *
 * Threads: each worker has a connection of its own and takes the next job; everything else (the list of
 * results, the file, messages) is touched with the lock held. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/sig.h"
#include "base/text.h"
#include "serve/batch_part.h"
#include "serve/secret.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define MAX_STREAM (1u << 30) /* an answer as a stream: some 300 bytes around each token */

void batch_defaults(struct batch_opts *o)
{
    *o = (struct batch_opts){.max_tokens = BATCH_MAX_TOKENS,
                             .seed = BATCH_SEED,
                             .top_k = -1,
                             .top_p = -1,
                             .repeat = 1,
                             .parallel = 1,
                             .retries = BATCH_RETRIES,
                             .timeout = BATCH_TIMEOUT,
                             .connect_timeout = BATCH_CONNECT_TIMEOUT,
                             .retry_wait = BATCH_RETRY_WAIT};
}

/* ---- one prompt ---- */

struct stream { /* a request in flight */
    struct answer answer;
    double first, last; /* when something of it came */
};

static bool on_event(void *ctx, const char *data, size_t n, struct err *e)
{
    struct stream *s = ctx;
    uint64_t before = s->answer.n_bytes;
    if (!answer_event(&s->answer, data, n, e))
        return false;
    if (s->answer.n_bytes > before) {
        s->last = now_secs();
        if (!before)
            s->first = s->last;
    }
    return true;
}

static const char *text_of(const struct buf *b)
{
    return b->s ? b->s : "";
}

static void fill_answer(struct batch *r, struct http *h, struct batch_answer *o, const struct stream *s,
                        double start, double end)
{
    const struct answer *a = &s->answer;
    o->ok = true;
    o->response = text_of(&a->text);
    o->reasoning = a->reasoning.n ? a->reasoning.s : NULL;
    o->refusal = a->refusal.n ? a->refusal.s : NULL;
    o->tool_calls = answer_tool_calls(a);
    o->function_call = answer_function_call(a);
    o->n_nul = a->mended.n_nul;
    o->n_invalid = a->mended.n_invalid;
    o->n_key = a->mended.n_key;
    o->finish = a->finish[0] ? a->finish : "unknown";
    if (a->has_usage) {
        o->prompt_tokens = (int64_t)a->prompt_tokens;
        o->completion_tokens = (int64_t)a->completion_tokens;
    }
    if (r->tokenizes)
        o->response_tokens = batch_count_tokens(r, h, o->response);
    o->seconds = end - start;
    if (s->first > 0)
        o->first_token = s->first - start;
    double made = (double)(a->has_usage ? o->completion_tokens : o->response_tokens);
    if (made > 1 && s->last > s->first)
        o->tokens_per_second = (made - 1) / (s->last - s->first);
}

static json_t *job_result(struct batch *r, struct http *h, const struct batch_job *j, const struct stream *s,
                          const struct tries *t, double end, const char *error)
{
    struct batch_answer a = {.id = j->prompt->id,
                             .category = j->prompt->category,
                             .repeat = j->repeat,
                             .key = j->key,
                             .prompt_sha256 = j->sha256,
                             .messages = j->messages,
                             .attempts = t->n,
                             .error = error,
                             .prompt_tokens = -1,
                             .completion_tokens = -1,
                             .response_tokens = -1,
                             .seconds = NAN,
                             .first_token = NAN,
                             .tokens_per_second = NAN};
    json_t *parameters = secret_hide_json(j->prompt->parameters);
    if (json_object_size(parameters))
        a.parameters = parameters;
    if (!error)
        fill_answer(r, h, &a, s, t->began, end);
    json_t *o = batch_answer_json(&a);
    json_decref((json_t *)(uintptr_t)a.tool_calls); /* o has them now */
    json_decref((json_t *)(uintptr_t)a.function_call);
    json_decref(parameters);
    return o;
}

/* The result of a job, failed or not; NULL when it was interrupted. */
static json_t *do_job(struct batch *r, struct http *h, const struct batch_job *j, bool *gone)
{
    struct stream s = {0};
    struct http_request q = {.url = r->url,
                             .body = j->body,
                             .connect_timeout = r->o->connect_timeout,
                             .timeout = r->o->timeout,
                             .max_bytes = MAX_BODY,
                             .max_stream = MAX_STREAM,
                             .on_event = on_event,
                             .ctx = &s};
    struct http_response x;
    struct err bad = {0};
    struct tries tries;
    bool ok = batch_ask(r, h, &q, &s.answer, &x, &tries, j->prompt->id, &bad);
    double end = now_secs();
    json_t *o = NULL;
    if (ok && !x.is_stream && !s.answer.malformed)
        ok = answer_body(&s.answer, text_of(&x.body), x.body.n, &bad);
    answer_hide(&s.answer);
    secret_hide_err(&bad);
    *gone = !ok && x.fault == HTTP_NO_CONNECT;
    if (bad.code != ERR_INTERRUPTED)
        o = job_result(r, h, j, &s, &tries, end, ok ? NULL : bad.msg);
    http_response_clear(&x);
    answer_clear(&s.answer);
    return o;
}

/* ---- the run ---- */

void batch_stop(struct batch *r, enum err_code code, const char *msg)
{
    r->stop = true;
    err_set(&r->e, code, "%s", msg);
}

static void account(struct batch *r, const struct batch_answer *a)
{
    if (a->ok) {
        r->sum->n_answered++;
        r->sum->completion_tokens += a->completion_tokens > 0 ? (uint64_t)a->completion_tokens : 0;
        r->sum->n_replaced += a->n_nul || a->n_invalid;
        r->sum->n_told_key += a->n_key > 0;
    } else {
        r->sum->n_failed++;
    }
}

static void finish_job(struct batch *r, struct batch_job *j, json_t *o, bool gone)
{
    struct err e = {0};
    struct batch_answer a;
    if (!batch_answer_read(o, 0, &a, &e))
        BUG("an answer that cannot be read again: %s", e.msg);
    j->result = o;
    if (gone)
        batch_stop(r, ERR_FAILED, a.error);
    if (!batch_keep(r, o))
        return;
    account(r, &a);
    r->n_ready++;
    if (r->o->on_result && !r->o->on_result(r->o->ctx, r->n_ready, r->n_jobs, &a, &e))
        batch_stop(r, e.code, e.msg);
}

static void *worker(void *ctx)
{
    struct batch *r = ctx;
    struct http *h = http_new();
    pthread_mutex_lock(&r->lock);
    while (!r->stop && !sig_pending() && r->next < r->n_jobs) {
        struct batch_job *j = &r->jobs[r->next++];
        if (j->result)
            continue;
        pthread_mutex_unlock(&r->lock);
        bool gone;
        json_t *o = do_job(r, h, j, &gone);
        pthread_mutex_lock(&r->lock);
        if (o)
            finish_job(r, j, o, gone);
    }
    pthread_mutex_unlock(&r->lock);
    http_free(h);
    return NULL;
}

static void run_workers(struct batch *r)
{
    uint64_t todo = r->n_jobs - r->sum->n_kept;
    uint32_t n = todo < r->o->parallel ? (uint32_t)todo : r->o->parallel, started = 0;
    pthread_t *t = xcalloc(n ? n : 1, sizeof *t);
    while (started < n && pthread_create(&t[started], NULL, worker, r) == 0)
        started++;
    if (!started && n)
        worker(r);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(t[i], NULL);
    free(t);
}

/* unsaved: why the file could not be written at the end. */
static bool verdict(struct batch *r, const struct err *unsaved, struct err *e)
{
    struct batch_summary *s = r->sum;
    unsigned long long left = s->n_left, failed = s->n_failed, all = s->n_prompts;
    if (unsaved->code != ERR_NONE)
        return err_set(e, unsaved->code,
                       "%s; %llu of %llu prompts are answered and safe in '%s', the same command goes on",
                       unsaved->msg, s->n_kept + s->n_answered + 0ull, all,
                       r->journal.is_needed ? r->journal.path : r->o->out);
    if (!sig_check(&r->e) || r->e.code == ERR_INTERRUPTED)
        return err_set(e, ERR_INTERRUPTED,
                       "interrupted; %llu of %llu prompts are not answered yet, the same "
                       "command goes on",
                       left + failed, all);
    if (r->stop)
        return err_set(e, r->e.code, "%s; %llu of %llu prompts are not answered, the same command goes on",
                       r->e.msg, left + failed, all);
    if (failed)
        return err_set(e, ERR_FAILED,
                       "%llu of %llu prompts failed (see 'error' in '%s'); the same command "
                       "tries them again",
                       failed, all, r->o->out);
    return true;
}

static bool ask_all(struct batch *r, struct err *e)
{
    struct err unsaved = {0};
    double start = now_secs();
    time_t now = time(NULL);
    struct tm tm;
    strftime(r->started, sizeof r->started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    r->sum->n_prompts = r->n_jobs;
    r->n_ready = r->sum->n_kept;
    if (r->sum->n_kept)
        log_note("%llu of %llu prompts are answered already", (unsigned long long)r->sum->n_kept,
                 (unsigned long long)r->n_jobs);
    if (!batch_save(r, false, e)) /* before the server works for nothing */
        return false;
    run_workers(r);
    batch_save(r, true, &unsaved);
    r->sum->n_left = r->n_jobs - r->sum->n_kept - r->sum->n_answered - r->sum->n_failed;
    r->sum->seconds = now_secs() - start;
    if (r->sum->n_replaced)
        log_warn("%llu answers held characters that a text cannot hold (U+0000, bytes that are no UTF-8): "
                 "they were replaced, and are counted under 'replaced'",
                 (unsigned long long)r->sum->n_replaced);
    if (r->sum->n_told_key)
        log_warn("%llu answers held the key of the interface: it was replaced, and is counted under "
                 "'replaced'",
                 (unsigned long long)r->sum->n_told_key);
    return verdict(r, &unsaved, e);
}

static bool check_completion(const struct prompt *p, struct err *e)
{
    static const char *const chats[] = {"tools", "functions"};
    for (size_t i = 0; i < sizeof chats / sizeof *chats; i++)
        if (json_object_get(p->parameters, chats[i]))
            return err_set(e, ERR_INPUT, "%s: '%s' cannot go to /v1/completions", p->id, chats[i]);
    return p->is_text ||
           err_set(e, ERR_INPUT, "%s: messages cannot go to /v1/completions, only a bare 'prompt'", p->id);
}

static bool check_prompts(const struct batch_opts *o, const struct prompts *p, struct err *e)
{
    for (uint64_t i = 0; o->completions && i < p->n; i++)
        if (!check_completion(&p->v[i], e))
            return false;
    if (o->completions && o->system)
        return err_set(e, ERR_INPUT, "--system cannot go to /v1/completions, which has no messages");
    return true;
}

/* What the rows hold and the server does not see, and what it may take otherwise than meant; each once. */
static void note_prompts(const struct prompts *p)
{
    struct buf b = {0};
    uint64_t n_open = 0;
    const char *key;
    json_t *n;
    json_object_foreach (p->unused, key, n) {
        char shown[TEXT_SHOWN];
        buf_fmt(&b, "%s'%s' (%lld)", b.n ? ", " : "", text_shown(shown, sizeof shown, key),
                (long long)json_integer_value(n));
    }
    if (secret_hide(&b) || b.n)
        log_note(
            "not sent, with the number of rows: %.1000s; what a request is to hold goes into 'parameters'",
            b.s);
    for (uint64_t i = 0; i < p->n; i++) {
        const json_t *last = json_array_get(p->v[i].messages, json_array_size(p->v[i].messages) - 1);
        const char *role = json_string_value(json_object_get(last, "role"));
        n_open += role && !strcmp(role, "assistant");
    }
    if (n_open)
        log_note(
            "%llu prompts end with a turn of the assistant, as they are sent: most servers go on with it",
            (unsigned long long)n_open);
    buf_clear(&b);
}

static bool check_output(const struct batch_opts *o, struct err *e)
{
    for (uint32_t i = 0; i < o->n_prompts; i++)
        if (!file_check_apart(o->out, o->prompts[i], "the file of prompts itself", e))
            return false;
    return file_check_output(o->out, true, e);
}

static void batch_free(struct batch *r)
{
    for (uint64_t i = 0; i < r->n_jobs; i++) {
        json_decref(r->jobs[i].messages);
        json_decref(r->jobs[i].result);
        free(r->jobs[i].body);
    }
    free(r->jobs);
    free(r->base);
    free(r->url);
    free(r->server);
    free(r->model);
    json_decref(r->about);
    journal_close(&r->journal);
    buf_clear(&r->waiting);
}

bool batch_run(const struct batch_opts *o, struct batch_summary *s, struct err *e)
{
    struct prompts p = {.out = o->out};
    struct batch r = {.o = o, .sum = s, .journal = {.fd = -1}};
    bool ok = check_output(o, e);
    *s = (struct batch_summary){0};
    for (uint32_t i = 0; ok && i < o->n_prompts; i++)
        ok = prompts_load(&p, o->prompts[i], e);
    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.written, NULL);
    ok = ok && prompts_check(&p, e) && check_prompts(o, &p, e) && batch_open(&r, e) &&
         batch_meet_server(&r, e) && batch_make_jobs(&r, &p, e) && batch_resume(&r, e);
    if (ok)
        note_prompts(&p);
    ok = ok && ask_all(&r, e);
    pthread_cond_destroy(&r.written);
    pthread_mutex_destroy(&r.lock);
    batch_free(&r);
    prompts_free(&p);
    return ok;
}
