/* fuzz_chat.c - a chat template and a conversation, any bytes: the template up to the first NUL, behind it the
 * variables as JSON.
 *
 * Besides not crashing and ending in good time: success exactly when no error is set, and nothing written after
 * a failure. */
#include "engine/chat.h"
#include "fuzz.h"
#include "json_mutator.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t n = nul ? (size_t)(nul - data) : size;
    struct err e = {0};
    struct chat_template *t = chat_template_parse((const char *)data, n, &e);
    fuzz_told(t != NULL, &e);
    if (!t)
        return 0;
    json_t *vars = nul ? json_loadb((const char *)nul + 1, size - n - 1, JSON_ALLOW_NUL, NULL) : NULL;
    if (!json_is_object(vars)) {
        json_decref(vars);
        vars = json_object();
    }
    json_t *unused = json_object();
    struct buf out = {0};
    bool ok = chat_template_render(t, vars, 1785340805, &out, unused, &e);
    fuzz_told(ok, &e);
    MUST(ok || !out.n);
    buf_clear(&out);
    json_decref(unused);
    json_decref(vars);
    chat_template_free(t);
    return 0;
}
