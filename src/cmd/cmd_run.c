/* cmd_run.c - the whole job: profile, plan, prune, verify, evaluate, with a folder of its results.
 *
 * Restartable: the folder's run.json says for each step what it was made from (a hash over the options and
 * inputs of the step and the result of the one before) and what came out (size and time of the file). A step
 * whose record still holds is not done again; an interrupted profile goes on from its unfinished file. */
#include "base/dir.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "convert/cache.h"
#include "convert/load.h"
#include "engine/server_args.h"
#include "eval/eval.h"
#include "plan/make.h"
#include "profile/profile.h"
#include "prune/prune.h"
#include "report/report.h"
#include "serve/runs.h"
#include "serve/serve.h"

#include <string.h>

static const char *out, *work;
static uint32_t criterion;
static struct opt_list texts, prompts;
static int64_t max_tokens, ctx, eval_ctx, keep, round_to, plan_seed;
static double keep_ratio, prune_ratio;
static uint64_t fit;
static bool has_keep, has_keep_ratio, has_prune_ratio, has_fit, again;

static const struct opt opts[] = {
    OPT_HEADING("How many experts stay (default: --prune-ratio 0.25)"),
    OPT_REAL("prune-ratio", &prune_ratio, "R", 0, 1, "share that goes, 0 to 1", .alias = "-r",
             .seen = &has_prune_ratio, .group = 'c'),
    OPT_REAL("keep-ratio", &keep_ratio, "R", 0, 1, "share that stays", .seen = &has_keep_ratio, .group = 'c'),
    OPT_INT("keep", &keep, "N", 1, 65536, "experts that stay in each layer", .seen = &has_keep, .group = 'c'),
    OPT_SIZE("fit", &fit, "SIZE", "as many as fit into SIZE of tensor data", .seen = &has_fit, .group = 'c'),
    OPT_INT("round-to", &round_to, "M", 1, 65536, "a multiple of M"),
    OPT_CHOICE("criterion", &criterion, "NAME", &cmd_criteria, "the score that ranks experts",
               .dflt = "reap"),
    OPT_INT("plan-seed", &plan_seed, "N", 0, 9e15, "seed of the criterion random", .dflt = "0"),
    OPT_HEADING("Options"),
    OPT_PATH("output", &out, "FILE", "the pruned model", .alias = "-o", .required = true),
    OPT_DIR("work", &work, "DIR", "folder of stats, plan and results", .alias = "-w", .dflt_is = "FILE.work"),
    OPT_PATHS("text", &texts, "FILE", "text to evaluate on, before and after; not calibration text"),
    OPT_INT("ctx", &ctx, "N", 1, 1 << 24, "window of the profile in tokens", .dflt = "2048"),
    OPT_INT("eval-ctx", &eval_ctx, "N", 4, 1 << 24, "window of the evaluation", .dflt = "512"),
    OPT_FLAG("force", &cmd_force, "replace the output of another run", .alias = "-f"),
    OPT_PATHS("prompts", &prompts, "PATH",
              "prompts to ask both models through llama-server: a folder, .jsonl or text file"),
    OPT_INT("max-tokens", &max_tokens, "N", 1, 1 << 24, "longest answer to a prompt", .dflt = "512"),
    OPT_FLAG("again", &again, "do all steps again"),
    OPT_ENDS,
};

struct job {
    const char *model;
    char *dir, *stats, *plan, *record, *eval_base, *eval_pruned;
    char *answers_base, *answers_pruned, *compare, *report;
    char **files; /* the pruned model's */
    uint32_t n_files;
    json_t *steps;  /* of run.json */
    json_t *result; /* for --json and the table */
    struct corpus_opts corpus;
    struct engine_opts engine;
};

/* ---- what a step was made from ---- */

static void key_file(struct buf *b, const char *path)
{
    buf_str(b, "file ");
    buf_safe(b, path, strlen(path)); /* it stands in run.json */
    buf_char(b, ' ');
    file_stamp(path, b);
    buf_char(b, '\n');
}

static void key_files(struct buf *b, char *const *files, uint32_t n)
{
    buf_str(b, ""); /* none is an empty string */
    for (uint32_t i = 0; i < n; i++)
        key_file(b, files[i]);
}

static void key_str(struct buf *b, const char *s)
{
    buf_fmt(b, "%s\n", s ? s : "-");
}

/* A step is still valid when its key and all its output files are what the record says. */
static bool is_done(const struct job *j, const char *step, const char *key, char *const *files, uint32_t n)
{
    const json_t *r = json_object_get(j->steps, step);
    const char *k = json_string_value(json_object_get(r, "key")),
               *was = json_string_value(json_object_get(r, "files"));
    struct buf now = {0};
    key_files(&now, files, n);
    bool ok = !again && k && !strcmp(k, key) && was && !strcmp(was, now.s);
    for (uint32_t i = 0; ok && i < n; i++)
        ok = file_exists(files[i]);
    buf_clear(&now);
    return ok;
}

static bool write_record(const struct job *j, struct err *e)
{
    json_t *doc = json_object();
    json_object_set_new(doc, "schema", json_string("reap.run/1"));
    json_object_set(doc, "steps", j->steps);
    bool ok = json_write(j->record, doc, true, e);
    json_decref(doc);
    return ok;
}

static bool record(struct job *j, const char *step, const char *key, char *const *files, uint32_t n,
                   struct err *e)
{
    struct buf now = {0};
    json_t *r = json_object();
    key_files(&now, files, n);
    json_object_set_new(r, "key", json_string(key));
    json_object_set_new(r, "files", json_text(now.s));
    json_object_set_new(j->steps, step, r);
    buf_clear(&now);
    return write_record(j, e);
}

/* The text itself, not the names or times of its files. */
static bool key_corpus(struct buf *b, const struct job *j, struct err *e)
{
    struct corpus c = {0};
    bool ok = corpus_load(&j->corpus, &c, e);
    for (uint32_t i = 0; ok && i < c.n_sources; i++)
        buf_fmt(b, "text %s %s %llu\n", c.sources[i].path, c.sources[i].sha256,
                (unsigned long long)c.sources[i].n_used);
    corpus_free(&c);
    return ok;
}

static void finish_key(struct buf *b, char hex[65])
{
    sha256_bytes(b->s, b->n, hex);
    buf_clear(b);
}

static void engine_key(struct buf *b, const struct job *j)
{
    const struct engine_opts *o = &j->engine;
    buf_fmt(b, "%s %lld\n", engine_version(), (long long)o->ubatch);
    key_str(b, o->flash_attn);
    key_str(b, o->cache_type_k);
    key_str(b, o->cache_type_v);
    key_str(b, o->chat_template);
    key_str(b, o->type);
    key_str(b, o->pretokenizer);
}

/* ---- steps ---- */

static void say_step(const char *what, bool done)
{
    log_note("%-9s %s", what, done ? "already done" : "...");
}

static bool do_profile(struct job *j, const struct view *v, char key[65], struct err *e)
{
    struct buf b = {0};
    key_str(&b, "profile");
    view_stamp(v, &b);
    if (!key_corpus(&b, j, e)) {
        buf_clear(&b);
        return false;
    }
    buf_fmt(&b, "%llu %llu %llu %d %d %lld\n", (unsigned long long)j->corpus.per_category,
            (unsigned long long)j->corpus.max_samples, (unsigned long long)j->corpus.seed, j->corpus.shuffle,
            j->corpus.skip_bad, (long long)ctx);
    engine_key(&b, j);
    finish_key(&b, key);
    bool done = is_done(j, "profile", key, &j->stats, 1);
    say_step("profile", done);
    if (done)
        return true;
    struct profile_opts o = {.model = j->model,
                             .corpus = j->corpus,
                             .engine = j->engine,
                             .n_ctx = (uint32_t)ctx,
                             .out = j->stats,
                             .save_every = 300};
    /* an unfinished file of the same run is gone on with; of another one, replaced */
    struct profile_result r;
    o.resume = !again && file_exists(j->stats);
    o.force = again;
    if (!profile_run(&o, &r, e)) {
        if (!o.resume || e->code != ERR_INPUT)
            return false;
        err_clear(e);
        o.resume = false;
        o.force = true;
        if (!profile_run(&o, &r, e))
            return false;
    }
    return record(j, "profile", key, &j->stats, 1, e);
}

static void plan_options(const struct job *j, struct plan_opts *o)
{
    *o = (struct plan_opts){.criterion = criterion_at(criterion),
                            .stats_path = j->stats,
                            .fit = fit,
                            .round_to = (uint32_t)round_to,
                            .seed = (uint64_t)plan_seed};
    o->kind = has_keep ? KEEP_COUNT : has_keep_ratio ? KEEP_RATIO : has_fit ? FIT_BYTES : PRUNE_RATIO;
    o->value = has_keep ? (double)keep : has_keep_ratio ? keep_ratio : has_prune_ratio ? prune_ratio : 0.25;
}

static bool do_plan(struct job *j, struct view *v, char key[65], struct err *e)
{
    struct plan_opts o;
    plan_options(j, &o);
    struct buf b = {0};
    buf_fmt(&b, "plan %s %d %.17g %llu %u %s %llu\n", key, (int)o.kind, o.value, (unsigned long long)o.fit,
            o.round_to, o.criterion->name, (unsigned long long)o.seed);
    finish_key(&b, key);
    bool done = is_done(j, "plan", key, &j->plan, 1);
    say_step("plan", done);
    if (done)
        return true;
    struct plan_summary sum;
    struct stats *s = stats_load(j->stats, e);
    struct plan *p = s ? plan_make(s, v, &o, &sum, e) : NULL;
    bool ok = p && json_write(j->plan, p->doc, true, e);
    if (ok)
        log_note("          %u of %u experts stay in each of %u layers", sum.n_keep, sum.n_experts,
                 sum.n_layers);
    plan_free(p);
    stats_free(s);
    return ok && record(j, "plan", key, &j->plan, 1, e);
}

/* What an earlier call of this run wrote, or was about to write when it was killed, may be replaced; a file
 * of somebody else's only with --force. */
static bool is_ours(const struct job *j, const char *path)
{
    const json_t *r = json_object_get(j->steps, "prune");
    const char *was = json_string_value(json_object_get(r, "files")),
               *writing = json_string_value(json_object_get(r, "writing"));
    struct buf now = {0};
    key_file(&now, path);
    json_t *name = json_text(out);
    bool ours = (was && strstr(was, now.s)) || (writing && !strcmp(writing, json_string_value(name)));
    json_decref(name);
    buf_clear(&now);
    return ours;
}

static bool check_outputs(const struct job *j, const struct view *v, struct err *e)
{
    for (uint32_t i = 0; i < j->n_files; i++)
        if (!view_check_output(v, j->files[i], e) ||
            !v->format->prune->check_output(j->files[i], cmd_force || is_ours(j, j->files[i]), e))
            return false;
    return true;
}

static bool do_prune(struct job *j, struct view *v, const struct plan *p, char key[65], struct err *e)
{
    struct buf b = {0};
    buf_fmt(&b, "prune %s\n", key);
    key_str(&b, out);
    finish_key(&b, key);
    struct prune_opts o = {.out = out, .dry_run = true, .force = true};
    struct prune_result r;
    bool ok = prune_run(v, p, &o, &r, e); /* for the sizes */
    json_object_set_new(j->result, "bytes_before", json_integer((json_int_t)r.bytes_in));
    json_object_set_new(j->result, "bytes_after", json_integer((json_int_t)r.bytes_out));
    prune_result_clear(&r);
    if (!ok)
        return false;
    bool done = is_done(j, "prune", key, j->files, j->n_files);
    say_step("prune", done);
    if (done)
        return true;
    if (!check_outputs(j, v, e))
        return false;
    o.dry_run = false; /* force: checked file by file above */
    json_t *writing = json_object();
    json_object_set_new(writing, "writing", json_text(out));
    json_object_set_new(j->steps, "prune", writing);
    ok = write_record(j, e) && prune_run(v, p, &o, &r, e);
    prune_result_clear(&r);
    return ok && record(j, "prune", key, j->files, j->n_files, e);
}

static bool do_verify(struct job *j, struct view *v, struct view *w, const struct plan *p, char key[65],
                      struct err *e)
{
    struct verify_result r = {0};
    struct buf b = {0};
    buf_fmt(&b, "verify %s\n", key);
    key_files(&b, j->files, j->n_files);
    finish_key(&b, key);
    bool done = is_done(j, "verify", key, NULL, 0);
    say_step("verify", done);
    if (done)
        return true;
    bool ok = verify_run(v, w, p, &r, e);
    if (ok && r.n_diff)
        ok = err_set(e, ERR_CHECK, "%s differs from its parent: %s", w->path,
                     json_string_value(json_array_get(r.diff, 0)));
    verify_result_clear(&r);
    return ok && record(j, "verify", key, NULL, 0, e);
}

/* Evaluates one model on all texts into `file` (reap.eval/1). */
static bool do_eval(struct job *j, const char *step, struct view *v, char *file, struct err *e)
{
    struct buf b = {0};
    char key[65];
    key_str(&b, step);
    view_stamp(v, &b);
    for (uint32_t i = 0; i < texts.n; i++)
        key_file(&b, texts.v[i]);
    buf_fmt(&b, "%lld\n", (long long)eval_ctx);
    engine_key(&b, j);
    finish_key(&b, key);
    bool done = is_done(j, step, key, &file, 1);
    say_step(step, done);
    if (done)
        return true;
    struct engine *g = load_engine(v, &j->engine, e);
    json_t *list = json_array();
    struct eval_score total = {0};
    bool ok = g != NULL;
    for (uint32_t i = 0; ok && i < texts.n; i++) {
        struct eval_score s;
        ok = eval_text(g, texts.v[i], (uint32_t)eval_ctx, &s, e);
        if (!ok)
            break;
        json_array_append_new(list, eval_score_json(path_base(texts.v[i]), &s));
        eval_add(&total, &s);
    }
    engine_free(g);
    json_t *doc = eval_report(view_identity(v), list, &total);
    ok = ok && json_write(file, doc, true, e);
    json_decref(doc);
    json_decref(list);
    return ok && record(j, step, key, &file, 1, e);
}

static bool add_results(struct job *j, struct err *e)
{
    json_t *a = json_read(j->eval_base, e), *b = a ? json_read(j->eval_pruned, e) : NULL;
    if (!b) {
        json_decref(a);
        return false;
    }
    json_t *list = json_array();
    for (uint32_t i = 0; i < texts.n; i++) {
        double x = json_real_value(json_object_get(json_array_get(json_object_get(a, "texts"), i), "ppl"));
        double y = json_real_value(json_object_get(json_array_get(json_object_get(b, "texts"), i), "ppl"));
        json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:f}", "name", path_base(texts.v[i]),
                                              "ppl_before", x, "ppl_after", y, "ratio", x > 0 ? y / x : 0.0));
    }
    json_object_set_new(j->result, "texts", list);
    json_decref(a);
    json_decref(b);
    return true;
}

/* ---- real prompts ---- */

/* Size and time of all files of prompts. */
static bool key_prompts(struct buf *b, const char *path, int depth, struct err *e)
{
    struct dir_entry *list;
    size_t n;
    if (!file_is_dir(path)) {
        key_file(b, path);
        return true;
    }
    if (depth > 4)
        return true;
    if (!dir_list(path, &list, &n, e))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        char *sub = path_join(path, list[i].name);
        ok = key_prompts(b, sub, depth + 1, e);
        free(sub);
    }
    dir_list_free(list, n);
    return ok;
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

/* All prompts through one model; the file keeps what was answered (reap batch). */
static bool do_ask(struct job *j, const char *step, const struct view *v, char *file, struct err *e)
{
    struct buf b = {0};
    char key[65];
    bool ok = true;
    key_str(&b, step);
    view_stamp(v, &b);
    for (uint32_t i = 0; ok && i < prompts.n; i++)
        ok = key_prompts(&b, prompts.v[i], 0, e);
    buf_fmt(&b, "%lld\n", (long long)max_tokens);
    engine_key(&b, j);
    finish_key(&b, key);
    if (!ok)
        return false;
    bool done = is_done(j, step, key, &file, 1);
    say_step(step, done);
    if (done)
        return true;
    char *model = convert_cached(v->path, &j->engine, e);
    struct server_args args = {0};
    server_args_make(&args, &j->engine);
    struct server_opts so = {.model = model,
                             .host = "127.0.0.1",
                             .args = (const char *const *)args.v,
                             .n_args = args.n,
                             .load_timeout = 1800};
    struct batch_opts bo;
    struct batch_summary sum;
    batch_defaults(&bo);
    bo.out = file;
    bo.prompts = prompts.v;
    bo.n_prompts = prompts.n;
    bo.max_tokens = max_tokens;
    bo.force = true; /* it is in our folder */
    bo.on_result = on_answer;
    ok = model && serve_batch(&so, &bo, &sum, e);
    server_args_clear(&args);
    free(model);
    return ok && record(j, step, key, &file, 1, e);
}

static bool do_prompts(struct job *j, const struct view *v, const struct view *w, struct err *e)
{
    if (!prompts.n)
        return true;
    if (!do_ask(j, "ask the parent", v, j->answers_base, e) ||
        !do_ask(j, "ask the result", w, j->answers_pruned, e))
        return false;
    struct runs *c = runs_open(j->answers_base, j->answers_pruned, e);
    if (!c)
        return false;
    json_t *x = json_object();
    const struct compare_total *t = &c->result.total;
    json_object_set_new(x, "n", json_integer((json_int_t)t->n));
    json_object_set_new(x, "n_exact", json_integer((json_int_t)t->exact.count));
    json_object_set_new(x, "similarity_mean", json_real(t->similarity_mean));
    json_object_set_new(x, "endless_before", json_integer((json_int_t)t->base.endless.count));
    json_object_set_new(x, "endless_after", json_integer((json_int_t)t->pruned.endless.count));
    json_object_set_new(x, "loops_before", json_integer((json_int_t)t->base.loops.count));
    json_object_set_new(x, "loops_after", json_integer((json_int_t)t->pruned.loops.count));
    json_object_set_new(j->result, "answers", x);
    bool ok = compare_write(j->compare, &c->result, true, e);
    runs_free(c);
    return ok;
}

static bool do_report(const struct job *j, struct err *e)
{
    struct report_result r;
    struct report_opts o = {.model = j->model, .force = true};
    if (prompts.n)
        o.compare[0] = j->compare;
    return report_work(j->dir, &o, j->report, &r, e);
}

static uint64_t result_u64(const struct job *j, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(j->result, key));
}

static bool print(struct job *j, const struct view *v, const struct plan *p, const char *first, struct err *e)
{
    json_object_set_new(j->result, "model", json_text(j->model));
    json_object_set_new(j->result, "output", json_text(first));
    json_object_set_new(j->result, "work", json_text(j->dir));
    json_object_set_new(j->result, "n_experts", json_integer(v->shape.n_experts));
    json_object_set_new(j->result, "n_keep", json_integer(p->n_keep));
    if (cmd_json)
        return cmd_print_json("run", json_incref(j->result), e);
    struct buf b = {0};
    char s[32], t[32];
    buf_fmt(&b, "\n%-24s %12s %12s\n", "", "before", "after");
    buf_fmt(&b, "%-24s %12u %12u\n", "experts per layer", v->shape.n_experts, p->n_keep);
    buf_fmt(&b, "%-24s %12s %12s\n", "file size", human_bytes(result_u64(j, "bytes_before"), s),
            human_bytes(result_u64(j, "bytes_after"), t));
    json_t *list = json_object_get(j->result, "texts"), *x;
    size_t i;
    json_array_foreach (list, i, x) {
        buf_fmt(
            &b, "perplexity %-13.60s %12.4f %12.4f  x%.3f\n", json_string_value(json_object_get(x, "name")),
            json_real_value(json_object_get(x, "ppl_before")),
            json_real_value(json_object_get(x, "ppl_after")), json_real_value(json_object_get(x, "ratio")));
    }
    const json_t *a = json_object_get(j->result, "answers");
    if (a) {
        long long n = json_integer_value(json_object_get(a, "n"));
        buf_fmt(&b, "%-24s %12lld %12lld  of %lld\n", "answers without an end",
                (long long)json_integer_value(json_object_get(a, "endless_before")),
                (long long)json_integer_value(json_object_get(a, "endless_after")), n);
        buf_fmt(&b, "%-24s %12lld %12lld\n", "answers that loop",
                (long long)json_integer_value(json_object_get(a, "loops_before")),
                (long long)json_integer_value(json_object_get(a, "loops_after")));
        buf_fmt(&b, "%-24s %24.1f %%, %lld equal\n", "answers alike",
                100 * json_real_value(json_object_get(a, "similarity_mean")),
                (long long)json_integer_value(json_object_get(a, "n_exact")));
    }
    buf_fmt(&b, "\n%s holds the parent's bytes (verified); stats, plan, results and report.html are in %s\n",
            first, j->dir);
    if (!texts.n)
        buf_str(&b, "give --text FILE (not calibration text) to see what the pruning costs\n");
    return cmd_print(&b, e);
}

/* What would fail late is found early: a count that the router does not allow, an output in the way. */
static bool preflight(const struct job *j, const struct view *v, struct err *e)
{
    struct plan_opts o;
    uint32_t n;
    plan_options(j, &o);
    return (plan_count(&v->shape, v, &o, &n, e) || err_ctx(e, "%s", j->model)) && check_outputs(j, v, e);
}

static bool steps(struct job *j, struct view *v, struct err *e)
{
    char key[65];
    struct plan *p = NULL;
    struct view *w = NULL;
    bool ok = dir_make(j->dir, e) && do_profile(j, v, key, e) && do_plan(j, v, key, e) &&
              (p = plan_load(j->plan, e)) && plan_check(p, v, j->plan, false, e) &&
              do_prune(j, v, p, key, e) && (w = view_open(j->files[0], e)) && view_hash(w, e) &&
              do_verify(j, v, w, p, key, e);
    if (ok && texts.n)
        ok = do_eval(j, "evaluate the parent", v, j->eval_base, e) &&
             do_eval(j, "evaluate the result", w, j->eval_pruned, e) && add_results(j, e);
    ok = ok && do_prompts(j, v, w, e) && do_report(j, e) && print(j, v, p, j->files[0], e);
    plan_free(p);
    view_free(w);
    return ok;
}

static bool check_args(struct job *j, struct err *e)
{
    for (uint32_t i = 0; i < j->corpus.n_specs; i++)
        if (!strcmp(j->corpus.specs[i], "-"))
            return err_set(e, ERR_INPUT, "--calib -: a run can be repeated, so its text must be a file");
    for (uint32_t i = 0; i < texts.n; i++)
        if (!file_exists(texts.v[i]))
            return err_set(e, ERR_INPUT, "--text: '%s' does not exist", texts.v[i]);
    for (uint32_t i = 0; i < prompts.n; i++)
        if (!file_exists(prompts.v[i]))
            return err_set(e, ERR_INPUT, "--prompts: '%s' does not exist", prompts.v[i]);
    return true;
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct job j = {.model = args[0], .result = json_object()};
    cmd_corpus(&j.corpus);
    j.engine = cmd_engine;
    struct view *v = NULL;
    bool ok = check_args(&j, e) && (v = view_open(args[0], e));
    ok = ok && view_check_prunable(v, e) && view_hash(v, e);
    if (ok) {
        j.files = prune_file_names(v, out, false, &j.n_files);
        if (j.n_files == 1)
            out = j.files[0]; /* "dir/" is "dir" */
        j.dir = work ? xstrdup(work) : xasprintf("%s.work", out);
        j.stats = path_join(j.dir, "stats.json");
        j.plan = path_join(j.dir, "plan.json");
        j.record = path_join(j.dir, "run.json");
        j.eval_base = path_join(j.dir, "eval-before.json");
        j.eval_pruned = path_join(j.dir, "eval-after.json");
        j.answers_base = path_join(j.dir, "answers-before.json");
        j.answers_pruned = path_join(j.dir, "answers-after.json");
        j.compare = path_join(j.dir, "compare.json");
        j.report = path_join(j.dir, "report.html");
        json_t *doc = file_exists(j.record) ? json_read(j.record, e) : NULL;
        if (e->code != ERR_NONE) {
            log_warn("%s; all steps are done again", e->msg);
            err_clear(e);
        }
        json_t *old = json_object_get(doc, "steps");
        j.steps = json_is_object(old) ? json_incref(old) : json_object();
        json_decref(doc);
        ok = preflight(&j, v, e) && steps(&j, v, e);
    }
    view_free(v);
    free(j.dir);
    free(j.stats);
    free(j.plan);
    free(j.record);
    free(j.eval_base);
    free(j.eval_pruned);
    free(j.answers_base);
    free(j.answers_pruned);
    free(j.compare);
    free(j.report);
    for (uint32_t i = 0; i < j.n_files; i++)
        free(j.files[i]);
    free(j.files);
    json_decref(j.steps);
    json_decref(j.result);
    return ok;
}

const struct cmd cmd_run = {
    .name = "run",
    .usage = "MODEL --calib PATH... -o OUT [--prune-ratio R] [--text FILE]...",
    .summary = "the whole job: profile, plan, prune, verify, evaluate; restartable",
    .example =
        "  reap run model.gguf --calib prompts/ --prune-ratio 0.25 --text heldout.txt -o pruned.gguf\n",
    .opts = (const struct opt *const[]){opts, corpus_opt_table, engine_opt_table, NULL},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
