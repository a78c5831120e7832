/* run.c - see run.h. */
#include "results/run.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "results/results_part.h"

#include <math.h>
#include <string.h>

#define SCHEMA "reap.run/1"

const char *const run_file_names[N_RUN_FILES] = {
    [RUN_STATS] = "stats.json",
    [RUN_PLAN] = "plan.json",
    [RUN_PLAN_FIRST] = "plan-first.json",
    [RUN_RECORD] = "run.json",
    [RUN_EVAL_BEFORE] = "eval-before.json",
    [RUN_EVAL_AFTER] = "eval-after.json",
    [RUN_EVAL_AGAINST] = "eval-against.json",
    [RUN_ANSWERS_CALIB] = "answers-calibration.json",
    [RUN_ANSWERS_BEFORE] = "answers-before.json",
    [RUN_ANSWERS_AFTER] = "answers-after.json",
    [RUN_COMPARE] = "compare.json",
    [RUN_IMATRIX] = "imatrix.gguf",
    [RUN_IMATRIX_CUT] = "imatrix-pruned.gguf",
    [RUN_EVAL_TYPE] = "eval-quantised.json",
    [RUN_REPORT] = "report.html",
};

static void step_clear(struct run_step *s)
{
    free(s->name);
    free(s->key);
    free(s->files);
    free(s->writing);
    free(s->basis);
    *s = (struct run_step){0};
}

void run_outcome_clear(struct run_outcome *x)
{
    free(x->date);
    free(x->model);
    free(x->output);
    free(x->card);
    free(x->type);
    *x = (struct run_outcome){0};
}

void run_record_clear(struct run_record *r)
{
    run_outcome_clear(&r->outcome);
    for (uint32_t i = 0; i < r->n; i++)
        step_clear(&r->steps[i]);
    free(r->steps);
    json_decref(r->job);
    free(r->stats);
    *r = (struct run_record){0};
}

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

/* An empty step of that name, in the place of one that was there. */
static struct run_step *step_new(struct run_record *r, const char *name)
{
    uint32_t i = 0;
    while (i < r->n && strcmp(r->steps[i].name, name) != 0)
        i++;
    if (i == r->n) {
        GROW(r->steps, r->n, r->cap);
        r->steps[r->n++] = (struct run_step){0};
    }
    step_clear(&r->steps[i]);
    r->steps[i].name = xstrdup(name);
    return &r->steps[i];
}

const struct run_step *run_record_find(const struct run_record *r, const char *name)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (!strcmp(r->steps[i].name, name))
            return &r->steps[i];
    return NULL;
}

void run_record_done(struct run_record *r, const char *name, const char *key, const char *files,
                     const char *basis, double secs)
{
    struct run_step *s = step_new(r, name);
    s->secs = secs;
    s->key = xstrdup(key);
    s->files = xstrdup(files);
    s->basis = copy(basis);
}

void run_record_writing(struct run_record *r, const char *name, const char *output, const char *basis,
                        double secs)
{
    struct run_step *s = step_new(r, name);
    s->secs = secs;
    s->writing = xstrdup(output);
    s->basis = copy(basis);
}

static bool read_outcome(struct run_outcome *x, const json_t *doc, struct err *e)
{
    json_t *o;
    const char *date, *model, *output, *card, *type;
    if (!json_opt_obj(doc, "outcome", "run", &o, e) || !o)
        return e->code == ERR_NONE;
    if (!json_opt_str(o, "date", "outcome", &date, e) || !json_opt_str(o, "model", "outcome", &model, e) ||
        !json_opt_str(o, "output", "outcome", &output, e) || !json_opt_str(o, "card", "outcome", &card, e) ||
        !json_opt_str(o, "type", "outcome", &type, e) ||
        !json_opt_u64(o, "bytes_type", "outcome", 0, &x->bytes_type, e) ||
        !json_opt_u64(o, "bytes_before", "outcome", 0, &x->bytes_before, e) ||
        !json_opt_u64(o, "bytes_after", "outcome", 0, &x->bytes_after, e))
        return false;
    x->date = copy(date);
    x->model = copy(model);
    x->output = copy(output);
    x->card = copy(card);
    x->type = copy(type);
    return true;
}

static json_t *outcome_json(const struct run_outcome *x)
{
    json_t *o = json_object();
    json_put_text(o, "date", x->date);
    json_put_text(o, "model", x->model);
    json_put_text(o, "output", x->output);
    json_put_text(o, "card", x->card);
    json_object_set_new(o, "bytes_before", json_integer((json_int_t)x->bytes_before));
    json_object_set_new(o, "bytes_after", json_integer((json_int_t)x->bytes_after));
    json_put_text(o, "type", x->type);
    if (x->type)
        json_object_set_new(o, "bytes_type", json_integer((json_int_t)x->bytes_type));
    return o;
}

static bool read_steps(struct run_record *r, const json_t *doc, struct err *e)
{
    json_t *steps, *pass, *job, *x;
    const char *stats;
    const char *name;
    if (!results_schema(doc, SCHEMA, e) || !json_need_obj(doc, "steps", "run", &steps, e) ||
        !json_opt_obj(doc, "pass", "run", &pass, e) || !pass_read(pass, "pass", &r->pass, e) ||
        !json_opt_obj(doc, "job", "run", &job, e) || !json_opt_str(doc, "stats", "run", &stats, e) ||
        !read_outcome(&r->outcome, doc, e))
        return false;
    r->job = json_incref(job);
    r->stats = copy(stats);
    json_object_foreach (steps, name, x) {
        const char *key, *files, *writing, *basis;
        double secs;
        if (!json_is_object(x))
            return err_set(e, ERR_INPUT, "step '%.60s' is %s, expected an object", name, json_type_name(x));
        if (!json_opt_str(x, "key", "step", &key, e) || !json_opt_str(x, "files", "step", &files, e) ||
            !json_opt_str(x, "writing", "step", &writing, e) ||
            !json_opt_str(x, "basis", "step", &basis, e) || !json_opt_f64(x, "seconds", "step", &secs, e))
            return false;
        struct run_step *s = step_new(r, name);
        s->key = copy(key);
        s->files = copy(files);
        s->writing = copy(writing);
        s->basis = copy(basis);
        s->secs = secs > 0 ? secs : 0;
    }
    return true;
}

bool run_record_read(const char *path, struct run_record *r, struct err *e)
{
    *r = (struct run_record){0};
    json_t *doc = json_read(path, e);
    bool ok = doc && (read_steps(r, doc, e) || err_ctx(e, "%s", path));
    if (!ok)
        run_record_clear(r);
    json_decref(doc);
    return ok;
}

bool run_record_write(const char *path, const struct run_record *r, struct err *e)
{
    json_t *doc = json_object(), *steps = json_object();
    json_object_set_new(doc, "schema", json_string(SCHEMA));
    for (uint32_t i = 0; i < r->n; i++) {
        const struct run_step *s = &r->steps[i];
        json_t *x = json_object();
        json_put_text(x, "key", s->key);
        json_put_text(x, "files", s->files);
        json_put_text(x, "writing", s->writing);
        json_put_text(x, "basis", s->basis);
        json_put_f64(x, "seconds", s->secs > 0 ? s->secs : (double)NAN);
        json_object_set_new(steps, s->name, x);
    }
    json_object_set_new(doc, "steps", steps);
    if (pass_any(&r->pass))
        json_object_set_new(doc, "pass", pass_json(&r->pass));
    if (r->outcome.date)
        json_object_set_new(doc, "outcome", outcome_json(&r->outcome));
    if (r->job)
        json_object_set(doc, "job", r->job);
    json_put_text(doc, "stats", r->stats);
    bool ok = json_write(path, doc, true, e);
    json_decref(doc);
    return ok;
}

/* ---- the command ---- */

static void put_word(struct buf *b, const char *s)
{
    buf_char(b, ' ');
    buf_shell(b, *s == '/' ? path_base(s) : s); /* folders say who works where */
}

static void put_value(struct buf *b, const json_t *v)
{
    if (json_is_string(v)) {
        put_word(b, json_string_value(v));
        return;
    }
    char *s = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (s)
        put_word(b, s);
    free(s);
}

/* Letters, digits and dashes, as names of options are. */
static bool is_option(const char *key)
{
    return *key && strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(key);
}

void run_job_command(const json_t *job, struct buf *b)
{
    const char *key;
    const json_t *v = json_object_get(job, "model");
    if (!json_is_string(v))
        return;
    buf_str(b, "reap run");
    put_value(b, v);
    json_object_foreach ((json_t *)(uintptr_t)job, key, v) {
        bool many = json_is_array(v);
        if (!strcmp(key, "model") || !is_option(key) || json_is_false(v))
            continue;
        for (size_t i = 0; i < (many ? json_array_size(v) : 1); i++) {
            buf_fmt(b, " --%s", key);
            if (!json_is_true(v))
                put_value(b, many ? json_array_get(v, i) : v);
        }
    }
}
