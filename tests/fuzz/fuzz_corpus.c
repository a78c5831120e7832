/* fuzz_corpus.c - one JSONL row of a corpus, any bytes.
 *
 * Besides not crashing: success exactly when no error is set, an empty sample after a failure, and a sample
 * that keeps the promises of corpus.h after success (nothing empty, no NUL inside, token ids of 0 or
 * more). */
#include "corpus/corpus.h"
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sample(const struct sample *s)
{
    MUST((s->text != NULL) == (s->kind == SAMPLE_TEXT));
    MUST((s->messages != NULL) == (s->kind == SAMPLE_MESSAGES));
    MUST((s->tokens != NULL) == (s->kind == SAMPLE_TOKENS));
    if (s->text)
        MUST(s->n_text > 0 && strlen(s->text) == s->n_text);
    size_t total = 0;
    for (uint32_t i = 0; i < s->n_messages; i++) {
        MUST(*s->messages[i].role);
        total += strlen(s->messages[i].content);
    }
    MUST(!s->messages || total > 0);
    MUST(!s->tokens || s->n_tokens > 0);
    for (uint32_t i = 0; i < s->n_tokens; i++)
        MUST(s->tokens[i] >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sample empty;
    struct sample s;
    struct err e = {0};
    bool ok = corpus_parse_row((const char *)data, size, &s, &e);
    MUST(ok == (e.code == ERR_NONE));
    MUST(ok == (e.msg[0] == 0));
    if (ok)
        check_sample(&s);
    else
        MUST(memcmp(&s, &empty, sizeof s) == 0);
    sample_clear(&s);
    return 0;
}
