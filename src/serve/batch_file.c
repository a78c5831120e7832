/* batch_file.c - the file of answers and its journal: saved, and gone on with.
 *
 * An answer is safe when its line is in the journal and synced. The file itself is written when it would take less than
 * a twentieth of the time since it was last written: after each answer of a model that takes its time, and rarely when
 * thousands come at once, so that saving costs the same part of a run however many there are. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "serve/batch_part.h"
#include "serve/secret.h"

#include <string.h>

#define SAVE_SHARE 20 /* of the time, at most one of so many parts goes into writing the file anew */

/* ---- writing ---- */

static bool write_file(const struct batch *r, char of[65], struct err *e)
{
    json_t *list = json_array(), *common = batch_parameters(r->o);
    const struct batch_head head = {.server = r->server,
                                    .endpoint = r->o->completions ? "completions" : "chat",
                                    .started = r->started,
                                    .model = r->about,
                                    .parameters = common,
                                    .n_prompts = r->n_jobs};
    for (uint64_t i = 0; i < r->n_jobs; i++)
        if (r->jobs[i].result)
            json_array_append(list, r->jobs[i].result);
    bool ok = batch_write(r->o->out, &head, list, of, e);
    json_decref(list);
    json_decref(common);
    return ok;
}

bool batch_save(struct batch *r, bool is_last, struct err *e)
{
    char of[65];
    struct buf b = {0};
    double began = now_secs();
    if (!r->journal.n && r->journal.is_needed && !journal_restart(&r->journal, "", 0, e))
        return false; /* what --force gives up must not stand beside the new file */
    bool ok = write_file(r, of, e);
    if (ok && is_last) {
        r->journal.is_needed = false;
    } else if (ok) {
        batch_journal_head(&b, of);
        ok = journal_restart(&r->journal, b.s, b.n, e);
        buf_clear(&b);
    }
    r->saved = now_secs();
    r->save_seconds = r->saved - began;
    return ok;
}

/* Writes all waiting lines, for all who wait for them. */
static void write_waiting(struct batch *r)
{
    struct err e = {0};
    struct buf lines = r->waiting;
    uint64_t group = r->group++;
    r->waiting = (struct buf){0};
    r->writing = true;
    pthread_mutex_unlock(&r->lock);
    bool safe = journal_add(&r->journal, lines.s, lines.n, &e);
    buf_clear(&lines);
    pthread_mutex_lock(&r->lock);
    if (safe)
        r->n_groups = group + 1;
    if (!safe || (now_secs() - r->saved > SAVE_SHARE * r->save_seconds && !batch_save(r, false, &e)))
        batch_stop(r, e.code, e.msg);
    r->cannot_write = !safe || !r->journal.n; /* half a line, or none that says whose it is */
    r->writing = false;
    pthread_cond_broadcast(&r->written);
}

bool batch_keep(struct batch *r, const json_t *result)
{
    uint64_t group = r->group;
    batch_journal_line(&r->waiting, result);
    while (r->n_groups <= group && !r->cannot_write) {
        if (r->writing)
            pthread_cond_wait(&r->written, &r->lock);
        else
            write_waiting(r);
    }
    return r->n_groups > group;
}

/* ---- going on ---- */

/* The file and what the journal has beyond it. */
static bool join(struct batch *r, const struct buf *left, struct err *e)
{
    struct batch_file f = {0};
    bool ok =
        (file_exists(r->o->out) || err_set(e, ERR_INPUT, "'%s' is not there, of which '%s' holds answers",
                                           r->o->out, r->journal.path)) &&
        batch_read(r->o->out, &f, e) &&
        (batch_journal_fold(&f, left->s, left->n, e) || err_ctx(e, "%s", r->journal.path)) &&
        json_write(r->o->out, f.doc, true, e) && journal_restart(&r->journal, "", 0, e);
    batch_file_clear(&f);
    return ok;
}

bool batch_open(struct batch *r, struct err *e)
{
    struct buf left = {0};
    struct err bad = {0};
    bool ok = journal_open(&r->journal, r->o->out, &left, e);
    if (ok && !batch_journal_has_results(left.s, left.n)) {
        r->journal.is_needed = false;
    } else if (ok && join(r, &left, &bad)) {
        log_note("'%s': the answers that a killed run left in its journal are taken in", r->o->out);
    } else if (ok && !(r->o->force && bad.code == ERR_INPUT)) {
        ok = err_set(e, bad.code,
                     bad.code == ERR_INPUT ? "%s; put right what was changed, or move the journal away and "
                                             "lose its answers (so does --force)"
                                           : "%s",
                     bad.msg);
    }
    buf_clear(&left);
    return ok;
}

/* Requests may be the same under several ids. */
static int by_key(const void *a, const void *b)
{
    const struct batch_job *x = *(struct batch_job *const *)a, *y = *(struct batch_job *const *)b;
    int order = strcmp(x->key, y->key);
    return order ? order : strcmp(x->prompt->id, y->prompt->id);
}

/* The job of this answer: the same request, and if it can be the same id; NULL: there is none that lacks one. */
static struct batch_job *job_of(const struct batch *r, struct batch_job **sorted,
                                const struct batch_answer *a)
{
    struct prompt prompt = {.id = (char *)(uintptr_t)a->id};
    struct batch_job probe = {.prompt = &prompt}, *key = &probe;
    snprintf(probe.key, sizeof probe.key, "%s", a->key);
    struct batch_job **hit = bsearch(&key, sorted, r->n_jobs, sizeof *sorted, by_key);
    if (hit && !(*hit)->result)
        return *hit;
    prompt.id = (char *)(uintptr_t) "";
    uint64_t lo = 0;
    for (uint64_t hi = r->n_jobs; lo < hi;) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (by_key(&sorted[mid], &key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < r->n_jobs && !strcmp(sorted[lo]->key, probe.key); lo++)
        if (!sorted[lo]->result)
            return sorted[lo];
    return NULL;
}

/* Gives the answers of the old file to their jobs; *lost counts those that have none. */
static void take_over(struct batch *r, const struct batch_file *old, struct batch_job **sorted,
                      uint64_t *lost)
{
    for (uint64_t i = 0; i < old->n; i++) {
        if (!old->v[i].ok || batch_answer_lost_call(&old->v[i])) /* these are asked again */
            continue;
        struct batch_job *j = job_of(r, sorted, &old->v[i]);
        if (!j) {
            ++*lost;
            continue;
        }
        json_t *was = batch_file_answer(old, i);
        j->result = secret_hide_json(was); /* earlier versions left keys in it */
        json_decref(was);
        j->kept = true;
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
                     r->o->out, id ? id : "?", r->shown);
    batch_file_clear(&old);
    return ok;
}
