/* fuzz_answer.c - any bytes as what an inference server sends.
 *
 * The stream gives the same events whether it comes in one piece or byte by byte. An event is taken exactly
 * when no error is set; the text that comes out is UTF-8 without NUL and within its limit. The same bytes as
 * a whole body, as an error, and as a row of prompts. */
#include "base/text.h"
#include "fuzz.h"
#include "json_mutator.h"
#include "serve/answer.h"
#include "serve/prompts.h"
#include "serve/sse.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sink {
    struct buf all;
    struct answer answer;
    bool failed;
};

static void check_text(const struct buf *b)
{
    MUST(b->n <= ANSWER_MAX_TEXT);
    MUST(!b->s || (utf8_valid(b->s, b->n) && !memchr(b->s, 0, b->n)));
}

static void check_answer(const struct answer *a)
{
    check_text(&a->text);
    check_text(&a->reasoning);
    check_text(&a->refusal);
    uint64_t n = a->text.n + a->reasoning.n + a->refusal.n;
    for (size_t i = 0; i < a->n_calls; i++) {
        const struct answer_call *c = &a->calls[i];
        check_text(&c->id);
        check_text(&c->name);
        check_text(&c->arguments);
        n += c->id.n + c->name.n + c->arguments.n;
    }
    MUST(n == a->n_bytes && n <= ANSWER_MAX_TEXT && a->n_calls <= ANSWER_MAX_CALLS);
    json_t *list = answer_tool_calls(a), *old = answer_function_call(a);
    MUST(json_array_size(list) + (old != NULL) == a->n_calls);
    json_decref(list);
    json_decref(old);
    MUST(memchr(a->finish, 0, sizeof a->finish));
    MUST(utf8_valid(a->finish, strlen(a->finish)));
}

static bool on_event(void *ctx, const char *s, size_t n, struct err *e)
{
    struct sink *k = ctx;
    struct err mine = {0};
    (void)e;
    MUST(s[n] == 0);
    buf_add(&k->all, s, n);
    buf_char(&k->all, 0);
    bool ok = answer_event(&k->answer, s, n, &mine);
    MUST(ok == (mine.code == ERR_NONE) && ok == !mine.msg[0]);
    check_answer(&k->answer);
    k->failed |= !ok;
    return true;
}

static void stream(const uint8_t *data, size_t size, size_t piece, struct sink *k)
{
    struct sse s = {0};
    struct err e = {0};
    for (size_t at = 0; at < size; at += piece)
        MUST(sse_feed(&s, data + at, size - at < piece ? size - at : piece, on_event, k, &e));
    sse_clear(&s);
}

static void one_body(const char *s, size_t n)
{
    struct answer a = {0};
    struct buf b = {0};
    struct err e = {0};
    bool ok = answer_body(&a, s, n, &e);
    MUST(ok == (e.code == ERR_NONE) && ok == a.done && (!ok || a.finish[0]));
    check_answer(&a);
    answer_clear(&a);
    answer_error_text(&b, s, n);
    MUST(b.n <= 303);
    for (size_t i = 0; i < b.n; i++)
        MUST((unsigned char)b.s[i] >= 32 && b.s[i] != 127);
    buf_clear(&b);
}

static void one_mend(const char *s, size_t n)
{
    struct mended m = {0}, none = {0};
    struct buf b = {0}, again = {0};
    json_mend(&b, s, n, &m);
    MUST(!b.n || utf8_valid(b.s, b.n));
    json_mend(&again, b.s, b.n, &none);
    MUST(!none.n_nul && !none.n_invalid && again.n == b.n && (!b.n || !memcmp(again.s, b.s, b.n)));
    MUST(m.n_nul || m.n_invalid || (b.n == n && (!n || !memcmp(b.s, s, n))));
    buf_clear(&b);
    buf_clear(&again);
}

static void one_row(const char *s, size_t n)
{
    struct prompt p;
    struct err e = {0};
    bool ok = prompts_parse_row(s, n, &p, &e);
    MUST(ok == (e.code == ERR_NONE) && (ok || e.code == ERR_INPUT));
    MUST(ok == (json_array_size(p.messages) > 0));
    if (ok)
        MUST(json_is_object(p.parameters) && prompt_text(&p));
    prompt_clear(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sink a = {0}, b = {0};
    stream(data, size, size ? size : 1, &a);
    stream(data, size, 1, &b);
    MUST(a.all.n == b.all.n && (!a.all.n || !memcmp(a.all.s, b.all.s, a.all.n)) && a.failed == b.failed);
    buf_clear(&a.all);
    buf_clear(&b.all);
    answer_clear(&a.answer);
    answer_clear(&b.answer);
    one_body((const char *)data, size);
    one_row((const char *)data, size);
    one_mend((const char *)data, size);
    return 0;
}
