/* run.c - see run.h. */
#include "run/run.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/mem.h"
#include "model/naming.h"
#include "prune/prune.h"
#include "report/report.h"
#include "results/eval.h"
#include "results/runs.h"
#include "run/run_part.h"

#include <math.h>
#include <string.h>
#include <time.h>

void run_result_clear(struct run_result *r)
{
    free(r->output);
    free(r->mtp);
    free(r->quantised);
    free(r->work);
    free(r->texts);
    free(r->times);
    free(r->foreseen);
    free(r->verdict);
    free(r->card);
    free(r->name);
    json_decref(r->choice);
    json_decref(r->refined);
    *r = (struct run_result){0};
}

/* ---- before the first step ---- */

static bool paths_exist(const char *option, const char *const *paths, uint32_t n, struct err *e)
{
    bool there;
    for (uint32_t i = 0; i < n; i++)
        if (!file_there(paths[i], &there, e))
            return err_ctx(e, "--%s", option);
        else if (!there)
            return err_set(e, ERR_INPUT, "--%s: '%s' does not exist", option, paths[i]);
    return true;
}

static bool check_opts(const struct run_opts *o, struct err *e)
{
    bool measures = o->choose || o->refine_budget > 0;
    if (o->n_stats && o->n_calib_prompts)
        return err_set(e, ERR_INPUT,
                       "--calib-prompts makes text for a profile, and with --stats none is made");
    if (o->n_stats > 1 && measures)
        return err_set(e, ERR_INPUT, "--%s takes one stats file, %u are given",
                       o->choose ? "criterion auto" : "refine", o->n_stats);
    if (o->n_stats && !measures && o->corpus.n_specs)
        return err_set(
            e, ERR_INPUT,
            "--calib and --stats exclude each other: text for a profile, or one that is there (with "
            "--criterion auto or --refine both are needed)");
    if (!o->corpus.n_specs && !o->n_calib_prompts && (!o->n_stats || measures))
        return err_set(e, ERR_INPUT,
                       o->n_stats ? "--calib is missing: the text of this profile, to measure on"
                                  : "--calib is missing, or --calib-prompts: text to calibrate "
                                    "on; see reap run --help");
    if (!o->corpus.n_specs && o->corpus.map)
        return err_set(e, ERR_INPUT, "--map is for rows of --calib, which is not given");
    for (uint32_t i = 0; i < o->corpus.n_specs; i++)
        if (!strcmp(o->corpus.specs[i], "-"))
            return err_set(e, ERR_INPUT, "--calib -: a run can be repeated, so its text must be a file");
    if (pass_any(&o->pass) && !o->n_texts)
        return err_set(e, ERR_INPUT, "--pass asks what the pruning costs on a text: --text FILE");
    if (o->prune.name && !naming_check(o->prune.name, e))
        return err_ctx(e, "--name");
    return paths_exist("text", o->texts, o->n_texts, e) &&
           paths_exist("prompts", o->prompts, o->n_prompts, e) &&
           paths_exist("calib-prompts", o->calib_prompts, o->n_calib_prompts, e);
}

static void set_corpus(struct run_job *j)
{
    const struct corpus_opts *o = &j->o->corpus;
    j->corpus = *o;
    j->specs = xcalloc((size_t)o->n_specs + 1, sizeof *j->specs);
    for (uint32_t i = 0; i < o->n_specs; i++)
        j->specs[i] = o->specs[i];
    j->corpus.specs = j->specs;
    if (j->o->n_calib_prompts)
        j->specs[j->corpus.n_specs++] = j->path[RUN_ANSWERS_CALIB];
}

/* The statistics that are planned from are read now, and held against the model: what does not fit is known
 * before the first step. */
static bool open_given(struct run_job *j, struct err *e)
{
    const struct run_opts *o = j->o;
    bool ok = true;
    j->given_files = xcalloc((size_t)o->n_stats + 1, sizeof *j->given_files);
    for (uint32_t i = 0; ok && i < o->n_stats; i++)
        ok = plan_sources_add(&j->given, o->stats[i], true, e);
    ok = ok && plan_sources_load(&j->given, NULL, e);
    for (uint32_t i = 0; ok && i < j->given.n; i++) {
        j->given_files[j->n_given_files++] = j->given.v[i].path;
        ok = view_match(j->v, j->given.v[i].stats->model, j->given.v[i].path, e);
    }
    if (o->protect)
        j->given_files[j->n_given_files++] = o->protect;
    j->stats = j->given.n ? j->given.v[0].path : j->path[RUN_STATS];
    return ok && (!o->protect || lists_read(o->protect, &j->protect, e));
}

static bool open_job(struct run_job *j, struct err *e)
{
    const struct run_opts *o = j->o;
    if (!(j->v = view_open(o->model, e)) || !view_check_prunable(j->v, e) || !view_hash(j->v, e))
        return false;
    j->files = prune_file_names(j->v, o->out, &o->prune, &j->n_files);
    j->out = j->n_files == 1 ? j->files[0] : o->out;
    j->dir = o->work ? xstrdup(o->work) : xasprintf("%s.work", j->out);
    for (uint32_t i = 0; i < N_RUN_FILES; i++)
        j->path[i] = path_join(j->dir, run_file_names[i]);
    j->typed = o->quantise ? run_type_path(o->out, o->quantise) : NULL;
    j->profile_files[0] = j->path[RUN_STATS];
    j->profile_files[1] = j->path[RUN_IMATRIX];
    set_corpus(j);
    return open_given(j, e);
}

static void close_job(struct run_job *j)
{
    view_free(j->v);
    view_free(j->w);
    view_free(j->t);
    free(j->typed);
    plan_free(j->plan);
    prompts_free(&j->prompts);
    prompts_free(&j->calib_prompts);
    plan_sources_clear(&j->given);
    lists_clear(&j->protect);
    free(j->given_files);
    free(j->specs);
    for (uint32_t i = 0; i < j->n_files; i++)
        free(j->files[i]);
    free(j->files);
    for (uint32_t i = 0; i < N_RUN_FILES; i++)
        free(j->path[i]);
    free(j->dir);
    out_unlock(&j->locks[0]);
    out_unlock(&j->locks[1]);
}

static bool load_prompts(struct prompts *p, const char *const *paths, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++)
        if (!prompts_load(p, paths[i], e))
            return false;
    return prompts_check(p, e);
}

/* Text that is read behind the first answers could not be read after hours. */
static bool check_text(const struct run_opts *o, struct err *e)
{
    struct corpus c = {0};
    bool ok = !o->n_calib_prompts || !o->corpus.n_specs || corpus_load(&o->corpus, &c, e);
    corpus_free(&c);
    return ok;
}

/* What is not set aside would be missed behind the profile. What the model's answers will be nobody knows. */
static bool check_aside(const struct run_opts *o, struct err *e)
{
    struct corpus c = {0};
    struct corpus_opts part = o->corpus;
    part.part = CORPUS_CHOICE;
    if (!o->choose || o->n_stats)
        return true;
    if (o->corpus.set_aside <= 0)
        return err_set(e, ERR_INPUT,
                       "a criterion can be chosen only where something is set aside (--set-aside)");
    bool ok = o->n_calib_prompts || corpus_load(&part, &c, e);
    corpus_free(&c);
    return ok;
}

/* The model that is written is none of what is read. (What goes into the folder of work is looked at by the
 * steps.) */
static bool check_apart(const struct run_job *j, struct err *e)
{
    const struct run_opts *o = j->o;
    bool ok = true;
    for (uint32_t i = 0; ok && i < j->n_files + (j->typed != NULL); i++) {
        const char *out = i < j->n_files ? j->files[i] : j->typed;
        for (uint32_t k = 0; ok && k < j->given.n; k++)
            ok = stats_check_apart(out, j->given.v[k].path, "a stats file", e);
        if (!ok)
            break;
        ok = file_check_texts(out, o->texts, o->n_texts, e) &&
             file_check_texts(out, o->prompts, o->n_prompts, e) &&
             file_check_texts(out, o->calib_prompts, o->n_calib_prompts, e) &&
             file_check_apart(out, o->protect, "a list of experts that stay", e) &&
             file_check_apart(out, o->engine.chat_template_file, "the chat template itself", e) &&
             corpus_check_sources(&o->corpus, out, e);
    }
    return ok;
}

/* The folder of work is none that is read, and not the model. */
static bool check_work(const struct run_job *j, struct err *e)
{
    const struct run_opts *o = j->o;
    const struct corpus_opts prompts = {.specs = o->prompts, .n_specs = o->n_prompts};
    const struct corpus_opts asked = {.specs = o->calib_prompts, .n_specs = o->n_calib_prompts};
    for (uint32_t i = 0; i < j->n_files + (j->typed != NULL); i++) {
        const char *out = i < j->n_files ? j->files[i] : j->typed;
        if (!strcmp(j->dir, out) || file_same(j->dir, out))
            return err_set(e, ERR_INPUT, "'%s' is the output, and the folder of work as well", j->dir);
    }
    return corpus_check_folder(&o->corpus, j->dir, e) && corpus_check_folder(&prompts, j->dir, e) &&
           corpus_check_folder(&asked, j->dir, e);
}

static bool check_card(const struct run_job *j, struct err *e)
{
    struct prune_opts o = j->o->prune;
    o.force = j->o->force;
    return !o.card || !j->v->format->prune->is_file || prune_card_check(&o, j->files[0], e);
}

/* What would fail late is found early. */
static bool preflight(struct run_job *j, const struct steps *s, struct err *e)
{
    struct plan_opts o = run_plan_opts(j);
    uint32_t n;
    struct prune_opts written = j->o->prune;
    written.out = j->out;
    if (!j->v->format->prune->check_opts(j->v, &written, e) || !cut_check_opts(j->v, &written.cut, e))
        return false;
    if (!plan_count(&j->v->shape, j->v, &o, &n, e))
        return err_ctx(e, "%s", j->o->model);
    if (!plan_removes(&j->v->shape, j->v, &o, n, false, e))
        return false;
    return load_prompts(&j->prompts, j->o->prompts, j->o->n_prompts, e) &&
           load_prompts(&j->calib_prompts, j->o->calib_prompts, j->o->n_calib_prompts, e) &&
           check_text(j->o, e) && check_aside(j->o, e) && check_card(j, e) && run_type_preflight(j, e) &&
           steps_check(s, e) && check_apart(j, e) && run_check_texts(j, e);
}

/* ---- behind the last step ---- */

/* The evaluation of step `file`, of as many texts as were asked for. */
static bool read_eval(const struct run_job *j, enum run_file file, struct eval_file *f, struct err *e)
{
    if (!eval_read(j->path[file], f, e))
        return false;
    return f->n_texts == j->o->n_texts ||
           err_set(e, ERR_INPUT, "%s: has %u texts, expected %u", j->path[file], f->n_texts, j->o->n_texts);
}

static bool add_texts(const struct run_job *j, struct err *e)
{
    struct eval_file a = {0}, b = {0}, t = {0};
    struct run_result *r = j->r;
    uint32_t n = j->o->n_texts;
    bool ok = read_eval(j, RUN_EVAL_BEFORE, &a, e) && read_eval(j, RUN_EVAL_AFTER, &b, e) &&
              (!j->o->quantise || read_eval(j, RUN_EVAL_TYPE, &t, e));
    r->texts = xcalloc(n, sizeof *r->texts);
    for (; ok && r->n_texts < n; r->n_texts++)
        r->texts[r->n_texts] = (struct run_text){
            path_base(j->o->texts[r->n_texts]), a.texts[r->n_texts].score.ppl, b.texts[r->n_texts].score.ppl,
            j->o->quantise ? t.texts[r->n_texts].score.ppl : (double)NAN};
    eval_file_clear(&a);
    eval_file_clear(&b);
    eval_file_clear(&t);
    return ok;
}

static bool add_answers(const struct run_job *j, struct err *e)
{
    struct runs *c = runs_open(j->path[RUN_ANSWERS_BEFORE], j->path[RUN_ANSWERS_AFTER], e);
    if (!c)
        return false;
    const struct compare_total *t = &c->result.total;
    j->r->answers = (struct run_answers){.n = t->n,
                                         .n_exact = t->exact.count,
                                         .endless_before = t->base.endless.count,
                                         .endless_after = t->pruned.endless.count,
                                         .loops_before = t->base.loops.count,
                                         .loops_after = t->pruned.loops.count,
                                         .similarity_mean = t->similarity_mean};
    bool ok = compare_write(j->path[RUN_COMPARE], &c->result, true, e);
    runs_free(c);
    return ok;
}

static bool add_halves(const struct run_job *j, struct err *e)
{
    j->r->halves = (struct halves){NAN, NAN};
    if (j->given.n > 1) /* each has its own: reap stats */
        return true;
    struct stats *s = stats_load(j->stats, e);
    const struct criterion *c = j->o->choose ? criterion_find(j->plan->criterion) : j->o->plan.criterion;
    bool ok = s && summary_halves(s, c ? c : criterion_default(), j->r->n_keep, &j->r->halves, e);
    stats_free(s);
    return ok;
}

static bool report(const struct run_job *j, struct err *e)
{
    struct report_result r;
    struct report_opts o = {.model = j->o->model, .stats = j->stats, .force = true};
    if (j->o->n_prompts)
        o.compare[0] = j->path[RUN_COMPARE];
    return report_work(j->dir, &o, j->path[RUN_REPORT], &r, e);
}

static bool add_verdict(const struct run_job *j, struct err *e)
{
    struct eval_file f = {0};
    struct buf b = {0};
    bool ok = read_eval(j, RUN_EVAL_AGAINST, &f, e);
    if (ok) {
        j->r->against = f.total.against;
        pass_verdict(1 - (double)j->r->n_keep / j->v->shape.n_experts, &f.total.against, f.n_texts,
                     &j->o->pass, &b);
        j->r->verdict = xstrdup(b.s);
    }
    buf_clear(&b);
    eval_file_clear(&f);
    return ok;
}

/* What was asked stands beside the steps, where the report finds it, this one and a later one. */
static bool note_asked(const struct run_job *j, struct steps *s, struct err *e)
{
    s->done.pass = j->o->pass;
    return run_record_write(s->record, &s->done, e);
}

static char *today(void)
{
    char s[16];
    time_t now = time(NULL);
    struct tm tm;
    strftime(s, sizeof s, "%Y-%m-%d", gmtime_r(&now, &tm));
    return xstrdup(s);
}

static bool note_outcome(const struct run_job *j, struct steps *s, struct err *e)
{
    run_outcome_clear(&s->done.outcome);
    s->done.outcome = (struct run_outcome){.date = today(),
                                           .model = path_absolute(j->o->model),
                                           .output = xstrdup(j->files[0]),
                                           .bytes_before = j->v->bytes,
                                           .bytes_after = j->w->bytes,
                                           .type = j->o->quantise ? xstrdup(j->o->quantise) : NULL,
                                           .bytes_type = j->r->bytes_quantised};
    return run_record_write(s->record, &s->done, e);
}

/* What was measured of the result, for its card. */
static void put_results(const struct run_job *j, struct card_result *texts, struct card_results *out)
{
    struct eval_file f = {0};
    struct err ignored = {0};
    bool against = pass_any(&j->o->pass) && read_eval(j, RUN_EVAL_AGAINST, &f, &ignored);
    for (uint32_t i = 0; i < j->r->n_texts; i++) {
        const struct run_text *t = &j->r->texts[i];
        const struct eval_against *a = against ? &f.texts[i].against : NULL;
        texts[i] = (struct card_result){t->name,
                                        t->ppl_before,
                                        t->ppl_after,
                                        a ? a->kl_mean : (double)NAN,
                                        a ? a->top1 : (double)NAN,
                                        t->ppl_quantised};
    }
    *out = (struct card_results){.texts = texts,
                                 .n_texts = j->r->n_texts,
                                 .type = j->o->quantise,
                                 .type_file = j->r->quantised,
                                 .bytes_type = j->r->bytes_quantised,
                                 .n_answers = j->r->answers.n,
                                 .alike = j->r->answers.similarity_mean,
                                 .verified = true}; /* a run that finds a difference does not come here */
    eval_file_clear(&f);
}

static bool write_card(const struct run_job *j, struct steps *s, struct err *e)
{
    struct card_result *texts = xcalloc((size_t)j->r->n_texts + 1, sizeof *texts);
    struct card_results results;
    struct buf command = {0};
    put_results(j, texts, &results);
    run_job_command(s->done.job, &command);
    results.command = command.s;
    results.date = s->done.outcome.date;
    const struct prune_card card = {.parent = j->v,
                                    .plan = j->plan,
                                    .opts = &j->o->prune,
                                    .file = j->files[0],
                                    .bytes_after = j->w->bytes,
                                    .results = &results};
    bool ok = prune_card_write(&card, &j->r->card, e);
    s->done.outcome.card = j->r->card ? path_absolute(j->r->card) : NULL;
    ok = ok && run_record_write(s->record, &s->done, e);
    free(texts);
    buf_clear(&command);
    return ok;
}

static bool finish(const struct run_job *j, struct steps *s, struct err *e)
{
    j->r->output = xstrdup(j->files[0]);
    j->r->mtp = j->o->prune.keep_mtp ? xstrdup(j->files[j->n_files - 1]) : NULL;
    j->r->quantised = j->typed ? xstrdup(j->typed) : NULL;
    j->r->work = xstrdup(j->dir);
    j->r->name = j->o->prune.name ? xstrdup(j->o->prune.name) : naming_pruned(j->v, j->plan->n_keep);
    j->r->n_experts = j->v->shape.n_experts;
    j->r->times = xcalloc((size_t)s->n_times + 1, sizeof *j->r->times);
    for (; j->r->n_times < s->n_times; j->r->n_times++) {
        const struct step_time *t = &s->times[j->r->n_times];
        j->r->times[j->r->n_times] = (struct run_time){t->name, t->secs, t->now};
    }
    return add_halves(j, e) && (!j->o->n_texts || add_texts(j, e)) &&
           (!pass_any(&j->o->pass) || add_verdict(j, e)) && (!j->o->n_prompts || add_answers(j, e)) &&
           note_asked(j, s, e) && note_outcome(j, s, e) && write_card(j, s, e) && report(j, e);
}

/* The steps say how they themselves would go on, which is no option of a run. */
static bool say_interrupted(struct err *e)
{
    if (e->code != ERR_INTERRUPTED)
        return false;
    err_clear(e);
    return err_set(e, ERR_INTERRUPTED, "interrupted; the same command goes on");
}

/* The job goes into the record with the first step that is done. */
static bool open_steps(const struct run_job *j, struct steps *s, struct err *e)
{
    s->record = j->path[RUN_RECORD];
    if (!steps_open(s, e))
        return false;
    json_decref(s->done.job);
    s->done.job = json_incref(j->o->job);
    free(s->done.stats);
    s->done.stats = j->given.n ? xstrdup(j->stats) : NULL;
    return true;
}

static bool do_all(struct run_job *j, struct steps *s, struct err *e)
{
    return out_lock(&j->locks[0], j->out, e) && out_lock(&j->locks[1], j->dir, e) && dir_make(j->dir, e) &&
           steps_run(s, e) && finish(j, s, e);
}

bool run_all(const struct run_opts *o, struct run_result *r, struct err *e)
{
    struct run_job j = {.o = o, .r = r};
    struct steps s = {.list = run_steps, .n = n_run_steps, .ctx = &j, .again = o->again};
    *r = (struct run_result){0};
    bool ok = check_opts(o, e) && open_job(&j, e);
    if (ok) {
        ok = (check_work(&j, e) && open_steps(&j, &s, e) && preflight(&j, &s, e) &&
              (o->dry_run ? run_foresee(&j, &s, e) : do_all(&j, &s, e))) ||
             say_interrupted(e);
    }
    steps_clear(&s);
    close_job(&j);
    return ok;
}
