/* fuzz_prompt.c - any bytes as rows of prompts (src/serve/prompts.h).
 *
 * A row is taken exactly when there is no error; then there is something to ask, every message has a role, and the
 * same messages as a row of their own are read as the same prompt, or refused. */
#include "corpus/rowfile.h"
#include "fuzz.h"
#include "json_mutator.h"
#include "serve/prompts.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct prompt *p)
{
    struct prompt q;
    struct err e = {0};
    json_t *o = json_pack("{s:O}", "messages", p->messages);
    char *s = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17));
    MUST(s);
    bool ok = prompts_parse_row(s, strlen(s), &q, &e);
    fuzz_told(ok, &e);
    MUST(!ok || json_equal(p->messages, q.messages)); /* a chat may hold what prompts do not: content null */
    prompt_clear(&q);
    json_decref(o);
    free(s);
}

static void one(const char *s, size_t n)
{
    struct prompt p;
    struct err e = {0};
    bool ok = prompts_parse_row(s, n, &p, &e);
    fuzz_told(ok, &e);
    MUST(ok || (e.code == ERR_INPUT && !p.messages && !p.parameters && !p.id && !p.category));
    MUST(ok == (json_array_size(p.messages) > 0));
    if (ok) {
        MUST(json_is_object(p.parameters) && prompt_text(&p));
        again(&p);
    }
    prompt_clear(&p);
}

static bool row(void *ud, struct rowfile_place at, const char *s, size_t n, struct err *e)
{
    (void)ud;
    (void)at;
    (void)e;
    one(s, n);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    bool ok = rowfile_each((const char *)data, size, row, NULL, &e);
    fuzz_told(ok, &e);
    return 0;
}
