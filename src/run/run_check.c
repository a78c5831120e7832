/* run_check.c - what would be found out behind hours of work is looked at before the first step, with the vocabulary of the model
 * and none of its weights. */
#include "base/log.h"
#include "base/mem.h"
#include "convert/load.h"
#include "eval/eval.h"
#include "run/run_part.h"

#include <stdlib.h>

/* A prompt as the server's template writes it. */
static bool write_prompt(const struct engine *g, const struct prompt *p, uint32_t *n, struct err *e)
{
    json_t *chat = json_object(), *tools = json_object_get(p->parameters, "tools");
    struct buf b = {0};
    int32_t *tok = NULL;
    json_object_set(chat, "messages", p->messages);
    if (tools)
        json_object_set(chat, "tools", tools);
    bool ok =
        engine_chat(g, chat, &b, NULL, e) && engine_tokenize(g, b.s ? b.s : "", b.n, false, true, &tok, n, e);
    free(tok);
    buf_clear(&b);
    json_decref(chat);
    return ok;
}

/* The server may know better (it has a format for models without a template), so this is no more than a warning. */
static void check_prompts(const struct engine *g, const struct prompts *list)
{
    uint64_t n_bad = 0, n_long = 0, first_bad = 0, first_long = 0;
    uint32_t most = engine_n_ctx_train(g), n = 0;
    struct err first = {0};
    for (uint64_t i = 0; i < list->n; i++) {
        struct err e = {0};
        if (!write_prompt(g, &list->v[i], &n, &e)) {
            if (!n_bad++) {
                first = e;
                first_bad = i;
            }
        } else if (most && n >= most && !n_long++) {
            first_long = i;
        }
    }
    if (n_bad)
        log_warn("%llu of %llu prompts will fail, first '%s': %s", (unsigned long long)n_bad,
                 (unsigned long long)list->n, list->v[first_bad].id, first.msg);
    if (n_long)
        log_warn("%llu of %llu prompts are longer than the %u tokens of the model, first '%s'",
                 (unsigned long long)n_long, (unsigned long long)list->n, most, list->v[first_long].id);
}

bool run_check_texts(const struct run_job *j, struct err *e)
{
    const struct run_opts *o = j->o;
    struct engine_opts eo = o->engine;
    if (!o->n_texts && !j->prompts.n && !j->calib_prompts.n)
        return true;
    eo.vocab_only = true;
    struct engine *g = load_engine(j->v, &eo, e);
    bool ok = g && eval_check_texts(g, o->texts, o->n_texts, o->eval_ctx, NULL, e);
    if (ok) {
        check_prompts(g, &j->calib_prompts);
        check_prompts(g, &j->prompts);
    }
    engine_free(g);
    return ok;
}
