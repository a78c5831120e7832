/* fuzz_results.c - result files (src/results): whatever the bytes are, each reader succeeds exactly when there is no
 * error, and what was read prints as something that reads the same. Calls agree with themselves, whatever their
 * arguments and the schemas of their tools are. */
#include "fuzz.h"
#include "json_mutator.h"
#include "results/batch.h"
#include "results/compare.h"
#include "results/run.h"
#include "results/sweep.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_tell(bool ok, const struct err *e)
{
    fuzz_told(ok, e);
    MUST(ok || e->code == ERR_INPUT);
}

/* Prints doc, steals it, and gives the path of a file of that. */
static int printed(json_t *doc, char path[64])
{
    struct buf b = {0};
    MUST(doc);
    json_print(&b, doc);
    int fd = fuzz_file(b.s, b.n, path);
    buf_clear(&b);
    json_decref(doc);
    return fd;
}

static void try_eval(const char *path)
{
    struct eval_file f, g;
    struct err e = {0};
    char again[64];
    bool ok = eval_read(path, &f, &e);
    must_tell(ok, &e);
    for (uint32_t i = 0; ok && i < f.n_texts; i++)
        MUST(f.texts[i].name);
    if (ok) {
        int fd = printed(eval_json(&f), again);
        MUST(eval_read(again, &g, &e) || e.code == ERR_INPUT); /* a number may be null now */
        close(fd);
        eval_file_clear(&g);
    }
    eval_file_clear(&f);
}

static void try_sweep(const char *path)
{
    struct sweep_file f;
    struct err e = {0};
    bool ok = sweep_read(path, &f, &e);
    must_tell(ok, &e);
    for (uint32_t i = 0; ok && i < f.n_points; i++)
        MUST(f.points[i].criterion);
    MUST(!ok || (f.chosen >= -1 && f.chosen < (int64_t)f.n_points));
    sweep_file_clear(&f);
}

static void try_compare(const char *path)
{
    struct compare_file f;
    struct err e = {0};
    bool ok = compare_read(path, &f, &e);
    must_tell(ok, &e);
    for (uint64_t i = 0; ok && i < f.n_rows; i++)
        MUST(f.rows[i].id);
    compare_file_clear(&f);
}

static void try_batch(const char *path)
{
    struct batch_file f;
    struct batch_answer a;
    struct err e = {0};
    bool ok = batch_read(path, &f, &e);
    must_tell(ok, &e);
    for (uint64_t i = 0; ok && i < f.n; i++) {
        const struct batch_answer *x = &f.v[i];
        MUST(x->id && x->key && x->prompt_sha256 && x->messages && (!x->ok || (x->response && x->finish)));
        if (!x->ok && !x->error)
            continue;
        struct calls c;
        calls_read(&c, x->tool_calls, x->function_call);
        json_t *ignored = json_object();
        struct calls_check fit = calls_check(&c, x->parameters, ignored);
        struct calls_agreement g = calls_compare(&c, &c);
        MUST(g.equal && g.names && g.arguments);
        MUST(fit.n_no_json <= c.n && fit.n_unknown <= c.n && (c.n || fit.fit == CALLS_NOT_CHECKED));
        json_decref(ignored);
        calls_clear(&c);
        if (x->ok) { /* it can be text, whatever it is */
            json_t *row = batch_answer_row(&f, i);
            MUST(json_array_size(json_object_get(row, "messages")) ||
                 json_is_string(json_object_get(row, "text")));
            json_decref(row);
        }
        json_t *o = batch_answer_json(x);
        MUST(batch_answer_read(o, (size_t)i, &a, &e) && a.ok == x->ok && a.repeat == x->repeat);
        json_decref(o);
    }
    batch_file_clear(&f);
}

static void try_run(const char *path)
{
    struct run_record r;
    struct err e = {0};
    bool ok = run_record_read(path, &r, &e);
    must_tell(ok, &e);
    for (uint32_t i = 0; i < r.n; i++)
        MUST(ok && run_record_find(&r, r.steps[i].name) == &r.steps[i]);
    run_record_clear(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = fuzz_file(data, size, path);
    try_eval(path);
    try_sweep(path);
    try_compare(path);
    try_batch(path);
    try_run(path);
    close(fd);
    return 0;
}
