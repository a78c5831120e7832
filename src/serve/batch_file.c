/* batch_file.c - an unfinished file of answers, saved and gone on with. */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "serve/batch_part.h"

#include <string.h>

bool batch_save(const struct batch *r, struct err *e)
{
    json_t *list = json_array(), *common = batch_parameters(r->o);
    const struct batch_head head = {.server = r->base,
                                    .endpoint = r->o->completions ? "completions" : "chat",
                                    .started = r->started,
                                    .model = r->about,
                                    .parameters = common,
                                    .n_prompts = r->n_jobs};
    for (uint64_t i = 0; i < r->n_jobs; i++)
        if (r->jobs[i].result)
            json_array_append(list, r->jobs[i].result);
    bool ok = batch_write(r->o->out, &head, list, e);
    json_decref(list);
    json_decref(common);
    return ok;
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(struct batch_job *const *)a)->key, (*(struct batch_job *const *)b)->key);
}

/* Gives the answers of the old file to their jobs; *lost counts those that have none. */
static void take_over(struct batch *r, const struct batch_file *old, struct batch_job **sorted,
                      uint64_t *lost)
{
    for (uint64_t i = 0; i < old->n; i++) {
        struct batch_job probe = {0}, *key = &probe;
        if (!old->v[i].ok || batch_answer_lost_call(&old->v[i])) /* these are asked again */
            continue;
        snprintf(probe.key, sizeof probe.key, "%s", old->v[i].key);
        struct batch_job **hit = bsearch(&key, sorted, r->n_jobs, sizeof *sorted, by_key);
        if (!hit || (*hit)->result) {
            ++*lost;
            continue;
        }
        (*hit)->result = batch_file_answer(old, i);
        (*hit)->kept = true;
        r->sum->n_kept++;
    }
}

static bool take_answers(struct batch *r, const struct batch_file *old, struct err *e)
{
    uint64_t lost = 0;
    struct batch_job **sorted = mem_try(r->n_jobs, sizeof *sorted, "the prompts", e);
    if (!sorted)
        return false;
    for (uint64_t i = 0; i < r->n_jobs; i++)
        sorted[i] = &r->jobs[i];
    qsort(sorted, r->n_jobs, sizeof *sorted, by_key);
    take_over(r, old, sorted, &lost);
    free(sorted);
    return !lost || r->o->force ||
           err_set(e, ERR_INPUT,
                   "'%s' holds %llu answers to other prompts or parameters, which would be lost; "
                   "choose another output, or --force",
                   r->o->out, (unsigned long long)lost);
}

bool batch_resume(struct batch *r, struct err *e)
{
    if (!file_exists(r->o->out))
        return true;
    struct err bad = {0};
    struct batch_file old;
    if (!batch_read(r->o->out, &old, &bad))
        return r->o->force || err_set(e, bad.code, "%s", bad.msg);
    const char *id = json_string_value(json_object_get(old.head.model, "id"));
    bool ok = true;
    if (old.head.model && json_equal(old.head.model, r->about))
        ok = take_answers(r, &old, e);
    else if (old.n && !r->o->force)
        ok = err_set(e, ERR_INPUT,
                     "'%s' holds answers of another model ('%s', the server has '%s'); choose another "
                     "output, or --force",
                     r->o->out, id ? id : "?", r->model);
    batch_file_clear(&old);
    return ok;
}
