/* fuzz_models.c - any bytes as what a server says at /v1/models: which model is asked for, and what is kept of it.
 *
 * It has an id, which is the one that was wanted; what else is kept is known by name, and is a number or a text. A
 * model that is found under its id is the one that was described. The key of the interface is in none of it. */
#include "fuzz.h"
#include "json_mutator.h"
#include "serve/batch_part.h"
#include "serve/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "sk-0123456789"

static void check(const json_t *about, const char *wanted)
{
    const char *id = json_string_value(json_object_get(about, "id")), *key;
    json_t *v, *hidden = secret_hide_json(about);
    struct buf b = {0};
    MUST(id && *id && (!wanted || !strcmp(id, wanted)));
    json_object_foreach ((json_t *)(uintptr_t)about, key, v)
        MUST((json_is_string(v) || json_is_integer(v)) && strstr("id n_params size n_vocab ftype", key));
    json_print(&b, hidden);
    fuzz_fit(b.s, b.n, "\n");
    MUST(!strstr(b.s, SECRET));
    buf_clear(&b);
    json_decref(hidden);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    setenv("REAP_API_KEY", SECRET, 1);
    json_t *models = json_parse((const char *)data, size, &e), *first = batch_pick_model(models, NULL),
           *mine = batch_pick_model(models, "m");
    fuzz_told(models != NULL, &e);
    MUST(models || !first);
    if (first) {
        const char *id = json_string_value(json_object_get(first, "id"));
        json_t *again = batch_pick_model(models, id);
        check(first, NULL);
        check(again, id);
        json_decref(again);
    }
    check(mine, "m");
    json_decref(first);
    json_decref(mine);
    json_decref(models);
    return 0;
}
