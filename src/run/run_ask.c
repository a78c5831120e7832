/* run_ask.c - steps of a run that put prompts to a model through llama-server: the whole model for calibration text, one and
 * the other to compare. */
#include "base/log.h"
#include "convert/cache.h"
#include "engine/opts.h"
#include "run/run_part.h"
#include "serve/serve.h"

/* The prompts of a step. */
struct asked {
    const struct prompts *read;
    const char *const *paths;
    uint32_t n;
    int64_t max_tokens;
    double temperature; /* of rows that have none of their own */
};

/* Answers that are compared are the likeliest ones. Text to calibrate on is drawn: the likeliest goes round in circles, and a
 * plan by it cost 15 to 20 % more KL divergence than one by drawn answers (docs/calibration.md). */
#define CALIB_TEMPERATURE 1

static struct asked asked(const struct run_job *j, uint32_t file)
{
    const struct run_opts *o = j->o;
    if (file == RUN_ANSWERS_CALIB)
        return (struct asked){&j->calib_prompts, o->calib_prompts, o->n_calib_prompts, o->calib_max_tokens,
                              CALIB_TEMPERATURE};
    return (struct asked){&j->prompts, o->prompts, o->n_prompts, o->max_tokens, 0};
}

bool run_has_prompts(const void *ctx, uint32_t file)
{
    return asked(ctx, file).n > 0;
}

/* What a batch cannot see: a model that was pruned anew to the same size, other options of the engine. */
void run_ask_basis(const void *ctx, uint32_t file, struct buf *b)
{
    const struct run_job *j = ctx;
    view_stamp(run_subject(j, file), b);
    engine_opts_key(&j->o->engine, b);
}

/* Of the prompts what is in them, as of the text. */
bool run_ask_key(const void *ctx, uint32_t file, struct buf *b, struct err *e)
{
    struct asked a = asked(ctx, file);
    (void)e;
    run_ask_basis(ctx, file, b);
    for (uint64_t i = 0; i < a.read->n; i++) {
        const struct prompt *p = &a.read->v[i];
        run_key_str(b, p->id);
        run_key_str(b, p->category);
        run_key_json(b, p->messages);
        run_key_json(b, p->parameters);
    }
    buf_fmt(b, "%lld\n", (long long)a.max_tokens);
    if (a.temperature > 0)
        buf_fmt(b, "%g\n", a.temperature);
    return true;
}

static bool on_answer(void *unused, uint64_t done, uint64_t total, const struct batch_answer *a,
                      struct err *e)
{
    (void)unused;
    (void)e;
    log_note("          [%llu/%llu] %s%s%s", (unsigned long long)done, (unsigned long long)total, a->id,
             a->ok ? "" : ": ", a->ok ? "" : a->error);
    return true;
}

/* All prompts through llama-server with the engine's options of this run. */
bool run_ask(void *ctx, uint32_t file, bool go_on, struct err *e)
{
    const struct run_job *j = ctx;
    (void)go_on; /* a batch sees it */
    struct asked a = asked(j, file);
    struct server_args args = {0};
    struct batch_summary sum;
    struct batch_opts bo;
    char *model = convert_cached(run_subject(j, file)->path, &j->o->engine, e);
    server_args_make(&args, &j->o->engine);
    struct server_opts so = {.model = model,
                             .host = "127.0.0.1",
                             .args = (const char *const *)args.v,
                             .n_args = args.n,
                             .load_timeout = SERVER_LOAD_TIMEOUT};
    batch_defaults(&bo);
    bo.out = j->path[file];
    bo.prompts = a.paths;
    bo.n_prompts = a.n;
    bo.max_tokens = a.max_tokens;
    bo.temperature = a.temperature;
    bo.force = true; /* it is in our folder */
    bo.on_result = on_answer;
    bool ok = model && serve_batch(&so, &bo, &sum, e);
    server_args_clear(&args);
    free(model);
    return ok;
}
