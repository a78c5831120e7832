/* fuzz_corpus.c - one row of a corpus, any bytes, read in several ways.
 *
 * Besides not crashing: success exactly when no error is set, an empty sample after a failure, and a sample
 * that keeps the promises of corpus.h after success (nothing empty, no NUL inside, token ids of 0 or
 * more). */
#include "corpus/row.h"
#include "fuzz.h"
#include "json_mutator.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sample(const struct sample *s)
{
    MUST((s->text != NULL) == (s->kind == SAMPLE_TEXT));
    MUST((s->chat != NULL) == (s->kind == SAMPLE_CHAT));
    MUST((s->tokens != NULL) == (s->kind == SAMPLE_TOKENS));
    if (s->text)
        MUST(s->n_text > 0 && strlen(s->text) == s->n_text);
    const json_t *list = json_object_get(s->chat, "messages");
    MUST(!s->chat || json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++)
        MUST(*json_string_value(json_object_get(json_array_get(list, i), "role")));
    MUST(!s->tokens || s->n_tokens > 0);
    for (uint32_t i = 0; i < s->n_tokens; i++)
        MUST(s->tokens[i] >= 0);
}

static void try_opts(const uint8_t *data, size_t size, const struct row_opts *o)
{
    static const struct sample empty;
    struct sample s;
    struct err e = {0};
    bool ok = row_parse((const char *)data, size, o, &s, &e);
    fuzz_told(ok, &e);
    if (ok)
        check_sample(&s);
    else
        MUST(memcmp(&s, &empty, sizeof s) == 0);
    sample_clear(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct row_map map;
    struct err e = {0};
    MUST(row_map_parse("user=text,assistant=content,messages=prompt,reasoning_content=thinking", &map, &e));
    try_opts(data, size, &(struct row_opts){0});
    try_opts(data, size, &(struct row_opts){.map = &map, .join_parts = true, .skip_media = true});
    try_opts(data, size, &(struct row_opts){.ask = true});
    row_map_clear(&map);
    return 0;
}
