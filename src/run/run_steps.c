/* run_steps.c - the steps of a run as records: what each is made from, what it writes, how it is done. */
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "convert/load.h"
#include "engine/opts.h"
#include "eval/scores.h"
#include "model/advice.h"
#include "model/format.h"
#include "model/naming.h"
#include "profile/profile.h"
#include "prune/prune.h"
#include "results/sweep.h"
#include "run/run_part.h"
#include "sweep/choice.h"
#include "sweep/refine.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- what keys have in common ---- */

void run_key_str(struct buf *b, const char *s)
{
    buf_fmt(b, "%s\n", s ? s : "-");
}

void run_key_json(struct buf *b, const json_t *v)
{
    char *s = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
    run_key_str(b, s);
    free(s);
}

struct view *run_subject(const struct run_job *j, uint32_t file)
{
    return file == RUN_EVAL_TYPE ? j->t : file == RUN_EVAL_AFTER || file == RUN_ANSWERS_AFTER ? j->w : j->v;
}

/* ---- files ---- */

static struct step_files work_file(const void *ctx, uint32_t file)
{
    const struct run_job *j = ctx;
    return (struct step_files){(const char *const *)&j->path[file], 1};
}

static struct step_files model_files(const void *ctx, uint32_t file) /* the pruned one's */
{
    (void)file;
    const struct run_job *j = ctx;
    return (struct step_files){(const char *const *)j->files, j->n_files};
}

static struct step_files given_files(const void *ctx, uint32_t file)
{
    (void)file;
    const struct run_job *j = ctx;
    return (struct step_files){j->given_files, j->n_given_files};
}

static struct step_files texts(const void *ctx, uint32_t file)
{
    (void)file;
    const struct run_job *j = ctx;
    return (struct step_files){j->o->texts, j->o->n_texts};
}

/* ---- profile ---- */

static bool is_profiled(const void *ctx, uint32_t file)
{
    (void)file;
    return !((const struct run_job *)ctx)->o->n_stats;
}

static struct step_files profile_files(const void *ctx, uint32_t file)
{
    const struct run_job *j = ctx;
    return (struct step_files){j->profile_files, run_has_matrix(ctx, file) ? 2 : 1};
}

/* Of the text what is in it, not the names or times of its files. */
static bool profile_key(const void *ctx, uint32_t file, struct buf *b, struct err *e)
{
    const struct run_job *j = ctx;
    const struct corpus_opts *o = &j->corpus;
    struct corpus c = {0};
    (void)file;
    view_stamp(j->v, b);
    if (!corpus_load(o, &c, e))
        return false;
    for (uint32_t i = 0; i < c.n_sources; i++)
        buf_fmt(b, "text %s %s %llu\n", c.sources[i].path, c.sources[i].sha256,
                (unsigned long long)c.sources[i].n_used);
    corpus_free(&c);
    buf_fmt(b, "%llu %llu %llu %d %d %d %d %s %u\n", (unsigned long long)o->per_category,
            (unsigned long long)o->max_samples, (unsigned long long)o->seed, o->shuffle, o->skip_bad,
            o->skip_media, o->join_parts, o->map ? o->map : "", j->o->n_ctx);
    if (o->set_aside > 0)
        buf_fmt(b, "set aside %.17g\n", o->set_aside);
    if (j->o->until_stable > 0)
        buf_fmt(b, "until stable %.17g\n", j->o->until_stable);
    if (run_has_matrix(j, 0))
        buf_str(b, "with an importance matrix\n");
    engine_opts_key(&j->o->engine, b);
    return true;
}

static bool profile(void *ctx, uint32_t file, bool go_on, struct err *e)
{
    struct run_job *j = ctx;
    struct profile_result r;
    struct profile_opts o = {.model = j->o->model,
                             .corpus = j->corpus,
                             .engine = j->o->engine,
                             .n_ctx = j->o->n_ctx,
                             .until_stable = j->o->until_stable,
                             .out = j->path[file],
                             .imatrix = run_has_matrix(j, 0) ? j->path[RUN_IMATRIX] : NULL,
                             .save_every = PROFILE_SAVE_EVERY,
                             .resume = go_on,
                             .force = !go_on};
    j->profiled = true;
    return profile_run(&o, &r, e);
}

/* What was found when it was done is said by each call. */
static bool profile_ready(void *ctx, uint32_t file, struct err *e)
{
    const struct run_job *j = ctx;
    struct stats *s = j->profiled ? NULL : stats_load(j->path[file], e);
    if (s)
        profile_warn(s);
    stats_free(s);
    return e->code == ERR_NONE;
}

/* ---- plan ---- */

static bool is_refined(const void *ctx, uint32_t file)
{
    (void)file;
    return ((const struct run_job *)ctx)->o->refine_budget > 0;
}

/* Where the plan goes that may be refined behind it. */
static uint32_t first_plan(const struct run_job *j)
{
    return is_refined(j, 0) ? RUN_PLAN_FIRST : RUN_PLAN;
}

static struct step_files plan_file(const void *ctx, uint32_t file)
{
    (void)file;
    return work_file(ctx, first_plan(ctx));
}

struct plan_opts run_plan_opts(const struct run_job *j)
{
    struct plan_opts o = j->o->plan;
    o.stats_path = j->stats;
    o.protect = j->o->protect ? &j->protect : NULL;
    o.cut = j->o->prune.cut;
    return o;
}

static bool plan_key(const void *ctx, uint32_t file, struct buf *b, struct err *e)
{
    const struct run_job *j = ctx;
    const struct plan_opts *o = &j->o->plan;
    (void)file, (void)e;
    buf_fmt(b, "%d %.17g %llu %u %s %llu\n", (int)o->kind, o->value, (unsigned long long)o->fit, o->round_to,
            o->criterion ? o->criterion->name : "measured", (unsigned long long)o->seed);
    if (o->kind == FIT_BYTES && j->o->prune.cut.drop_mtp)
        buf_str(b, "fits without MTP blocks\n");
    for (uint32_t i = 0; j->given.n > 1 && i < j->given.n; i++)
        buf_fmt(b, "weight %.17g of blend %d\n", j->given.v[i].weight, (int)o->blend);
    if (o->protect_super || o->protect_share > 0)
        buf_fmt(b, "protect %d %.17g\n", o->protect_super, o->protect_share);
    return true;
}

static bool plan(void *ctx, uint32_t file, bool go_on, struct err *e)
{
    struct run_job *j = ctx;
    struct plan_opts o = run_plan_opts(j);
    struct plan_summary sum = {0};
    struct stats *own = j->given.n ? NULL : stats_load(j->stats, e);
    const struct plan_source profile = {own, j->stats, 1};
    struct plan *p = NULL;
    if (j->given.n || own)
        p = plan_blend(own ? &profile : j->given.v, own ? 1 : j->given.n, j->v, &o, &sum, e);
    (void)go_on, (void)file;
    plan_summary_say(&sum, true);
    bool ok = p && plan_write(j->path[first_plan(j)], p, true, e);
    if (ok)
        log_note("          %u of %u experts stay in each of %u layers", sum.n_keep, sum.n_experts,
                 sum.n_layers);
    plan_summary_clear(&sum);
    plan_free(p);
    stats_free(own);
    return ok;
}

static struct prune_opts prune_opts(const struct run_job *j)
{
    struct prune_opts o = j->o->prune;
    o.out = j->out;
    o.force = true; /* checked file by file (prune_check) */
    return o;
}

/* The plan, and how large it makes the model. */
static bool plan_ready(void *ctx, uint32_t file, struct err *e)
{
    struct run_job *j = ctx;
    struct prune_opts o = prune_opts(j);
    o.dry_run = true;
    struct prune_result r = {0};
    plan_free(j->plan);
    j->plan = plan_open(j->path[file == RUN_PLAN_FIRST ? first_plan(j) : file], j->v, false, e);
    bool ok = j->plan && prune_run(j->v, j->plan, &o, &r, e);
    j->r->n_keep = j->plan ? j->plan->n_keep : 0;
    j->r->bytes_before = r.bytes_in;
    j->r->bytes_after = r.bytes_out - r.bytes_mtp;
    j->r->bytes_mtp = r.bytes_mtp;
    prune_result_clear(&r);
    return ok;
}

/* ---- choose: the plan of the criterion that loses least ---- */

static bool by_choice(const void *ctx, uint32_t file)
{
    (void)file;
    return ((const struct run_job *)ctx)->o->choose;
}

static bool by_criterion(const void *ctx, uint32_t file)
{
    return !by_choice(ctx, file);
}

static bool choose_key(const void *ctx, uint32_t file, struct buf *b, struct err *e)
{
    const struct run_opts *o = ((const struct run_job *)ctx)->o;
    buf_fmt(b, "%g\n", o->choose_budget);
    return plan_key(ctx, file, b, e);
}

static bool choose(void *ctx, uint32_t file, bool go_on, struct err *e)
{
    struct run_job *j = ctx;
    struct choice_result r = {0};
    struct choice_opts o = {.model = j->o->model,
                            .stats = j->stats,
                            .corpus = j->corpus,
                            .plan = run_plan_opts(j),
                            .n_ctx = TRIAL_CTX,
                            .budget = j->o->choose_budget,
                            .engine = j->o->engine};
    (void)go_on, (void)file;
    bool ok = choice_run(&o, &r, e) && plan_write(j->path[first_plan(j)], choice_plan(&r), true, e);
    choice_result_clear(&r);
    return ok;
}

static bool choose_ready(void *ctx, uint32_t file, struct err *e)
{
    struct run_job *j = ctx;
    bool ok = plan_ready(ctx, file, e);
    if (ok)
        j->r->choice = json_incref(j->plan->measured);
    return ok;
}

/* ---- refine: the plan bettered by trial ---- */

static bool refine_key(const void *ctx, uint32_t file, struct buf *b, struct err *e)
{
    const struct run_job *j = ctx;
    (void)file, (void)e;
    buf_fmt(b, "%g\n", j->o->refine_budget);
    json_t *keep = plan_keep_json(j->plan); /* one by measuring may come out otherwise another time */
    run_key_json(b, keep);
    json_decref(keep);
    return true;
}

/* What an earlier try left is of this plan, text and options, or is done away with. */
static bool refine_from(const struct refine_opts *o, struct refine_result *r, struct err *e)
{
    bool there = false, ok = refine_run(o, r, e);
    if (ok || e->code != ERR_INPUT || !file_there(o->state, &there, e) || !there)
        return ok;
    log_note("          %s: %s; begun anew", o->state, e->msg);
    err_clear(e);
    refine_result_clear(r);
    return unlink(o->state) == 0 ? refine_run(o, r, e) : err_sys(e, "cannot remove '%s'", o->state);
}

static bool refine(void *ctx, uint32_t file, bool go_on, struct err *e)
{
    struct run_job *j = ctx;
    char *state = xasprintf("%s.state", j->path[file]);
    struct refine_result r = {0};
    struct refine_opts o = {.model = j->o->model,
                            .plan = j->path[RUN_PLAN_FIRST],
                            .stats = j->stats,
                            .corpus = j->corpus,
                            .n_ctx = REFINE_CTX,
                            .z = REFINE_Z,
                            .budget = j->o->refine_budget,
                            .state = state,
                            .engine = j->o->engine};
    (void)go_on;
    bool ok = refine_from(&o, &r, e) && plan_write(j->path[file], r.plan, true, e);
    if (ok && unlink(state) != 0 && errno != ENOENT)
        log_warn("cannot remove '%s': %s; nothing needs it any more", state, strerror(errno));
    refine_result_clear(&r);
    free(state);
    return ok;
}

static bool refine_ready(void *ctx, uint32_t file, struct err *e)
{
    struct run_job *j = ctx;
    bool ok = plan_ready(ctx, file, e);
    if (ok)
        j->r->refined = json_incref(j->plan->refined);
    return ok;
}

/* ---- prune, or quantise? ---- */

/* The table of types that somebody made and put here. */
static bool has_table(const char *path)
{
    struct sweep_file f;
    struct err ignored = {0}; /* one that cannot be read is none; the report says why */
    if (!file_exists(path) || !sweep_read(path, &f, &ignored))
        return false;
    bool has = sweep_has_types(&f);
    sweep_file_clear(&f);
    return has;
}

/* Said by each call, with the command that makes the table where the report finds it. */
static void advise(const struct run_job *j)
{
    struct buf why = {0}, cmd = {0};
    char *table = path_join(j->dir, "sweep.json");
    if (!has_table(table) && advice_quantise(j->v, j->plan->n_keep, &why)) {
        buf_str(&cmd, "reap sweep ");
        buf_shell(&cmd, j->v->path);
        buf_str(&cmd, " --stats ");
        buf_shell(&cmd, j->stats);
        for (uint32_t i = 0; i < j->o->n_texts; i++) {
            buf_str(&cmd, " --text ");
            buf_shell(&cmd, j->o->texts[i]);
        }
        buf_str(&cmd, j->o->n_texts ? " " : " --text FILE ");
        advice_types(j->v, &cmd);
        buf_str(&cmd, " --json > ");
        buf_shell(&cmd, table);
        log_warn("%s; this measures it: %s", why.s, cmd.s);
    }
    buf_clear(&why);
    buf_clear(&cmd);
    free(table);
}

/* ---- prune ---- */

static bool prune_key(const void *ctx, uint32_t file, struct buf *b, struct err *e)
{
    const struct run_job *j = ctx;
    (void)file, (void)e;
    const struct prune_opts *o = &j->o->prune;
    char *name = o->name ? xstrdup(o->name) : naming_pruned(j->v, j->plan->n_keep);
    run_key_str(b, j->out);
    run_key_str(b, name);
    free(name);
    if (o->cut.drop_mtp || o->cut.merge || o->cut.max_shard || o->no_provenance || o->count_aliases ||
        o->no_card)
        buf_fmt(b, "%d %d %llu %d %d %d\n", o->cut.drop_mtp, o->cut.merge,
                (unsigned long long)o->cut.max_shard, o->no_provenance, o->count_aliases, o->no_card);
    if (o->keep_mtp)
        run_key_str(b, "mtp keep");
    if (o->base_model)
        run_key_str(b, o->base_model);
    if (j->plan->measured || j->plan->refined) { /* a plan by measuring may come out otherwise another time */
        json_t *keep = plan_keep_json(j->plan);
        run_key_json(b, keep);
        json_decref(keep);
    }
    return true;
}

static bool prune_check(const void *ctx, uint32_t file, const char *path, bool ours, struct err *e)
{
    const struct run_job *j = ctx;
    (void)file;
    return view_check_output(j->v, path, e) &&
           j->v->format->prune->check_output(path, j->o->force || ours, e);
}

static bool prune(void *ctx, uint32_t file, bool go_on, struct err *e)
{
    struct run_job *j = ctx;
    struct prune_opts o = prune_opts(j);
    struct prune_result r;
    (void)file, (void)go_on;
    bool ok = prune_run(j->v, j->plan, &o, &r, e);
    prune_result_clear(&r);
    return ok;
}

static bool prune_ready(void *ctx, uint32_t file, struct err *e)
{
    struct run_job *j = ctx;
    (void)file;
    advise(j);
    return (j->w = view_open(j->files[0], e)) && view_hash(j->w, e);
}

/* ---- verify ---- */

static bool verify_file(const struct run_job *j, struct view *w, struct err *e)
{
    struct verify_result r = {0};
    bool ok = verify_run(j->v, w, j->plan, j->o->prune.name, &r, e);
    if (ok && r.n_diff)
        ok = err_set(e, ERR_CHECK, "%s differs from its parent: %s", w->path,
                     json_string_value(json_array_get(r.diff, 0)));
    verify_result_clear(&r);
    return ok;
}

static bool verify(void *ctx, uint32_t file, bool go_on, struct err *e)
{
    struct run_job *j = ctx;
    struct view *mtp = NULL;
    (void)file, (void)go_on;
    bool ok = verify_file(j, j->w, e) &&
              (!j->o->prune.keep_mtp ||
               ((mtp = view_open_any(j->files[j->n_files - 1], e)) && verify_file(j, mtp, e)));
    view_free(mtp);
    return ok;
}

/* ---- measure the plan against the parent ---- */

static bool has_pass(const void *ctx, uint32_t file)
{
    (void)file;
    return pass_any(&((const struct run_job *)ctx)->o->pass);
}

static bool measure_key(const void *ctx, uint32_t file, struct buf *b, struct err *e)
{
    const struct run_job *j = ctx;
    json_t *keep = plan_keep_json(j->plan);
    (void)file, (void)e;
    view_stamp(j->v, b);
    run_key_json(b, keep);
    json_decref(keep);
    buf_fmt(b, "%u\n", j->o->eval_ctx);
    engine_opts_key(&j->o->engine, b);
    return true;
}

/* With one load: the plan is a mask. */
static bool measure(void *ctx, uint32_t file, bool go_on, struct err *e)
{
    const struct run_job *j = ctx;
    struct engine *g = load_engine(j->v, &j->o->engine, e);
    const struct against_side sides[] = {{j->v->path, g, j->v, NULL}, {j->v->path, g, j->v, j->plan}};
    struct eval_scores s = {0};
    (void)go_on;
    bool ok = g != NULL;
    for (uint32_t i = 0; ok && i < j->o->n_texts; i++)
        ok = eval_scores_against(&s, sides, 1, j->o->texts[i], j->o->eval_ctx, e);
    engine_free(g);
    if (ok) {
        eval_scores_end(&s);
        struct eval_file f = eval_scores_file(&s);
        json_t *model = view_identity(j->v);
        f.model = f.base = model;
        f.plan = (struct eval_plan){run_file_names[RUN_PLAN], j->plan->criterion, j->plan->n_keep};
        ok = eval_write(j->path[file], &f, true, e);
        json_decref(model);
    }
    eval_scores_clear(&s);
    return ok;
}

/* ---- evaluate, on one model and on the other ---- */

static bool has_texts(const void *ctx, uint32_t file)
{
    (void)file;
    return ((const struct run_job *)ctx)->o->n_texts > 0;
}

static bool has_typed_texts(const void *ctx, uint32_t file)
{
    return has_texts(ctx, file) && run_has_type(ctx, file);
}

static bool eval_key(const void *ctx, uint32_t file, struct buf *b, struct err *e)
{
    const struct run_job *j = ctx;
    (void)e;
    view_stamp(run_subject(j, file), b);
    buf_fmt(b, "%u\n", j->o->eval_ctx);
    engine_opts_key(&j->o->engine, b);
    return true;
}

static bool eval(void *ctx, uint32_t file, bool go_on, struct err *e)
{
    const struct run_job *j = ctx;
    const struct view *v = run_subject(j, file);
    struct engine *g = load_engine(v, &j->o->engine, e);
    struct eval_scores s = {0};
    (void)go_on;
    bool ok = g && eval_scores_texts(&s, g, j->o->texts, j->o->n_texts, j->o->eval_ctx, e);
    engine_free(g);
    if (ok) {
        eval_scores_end(&s);
        struct eval_file f = eval_scores_file(&s);
        json_t *model = view_identity(v);
        f.model = model;
        ok = eval_write(j->path[file], &f, true, e);
        json_decref(model);
    }
    eval_scores_clear(&s);
    return ok;
}

/* ---- the steps, in their order ---- */

const struct step run_steps[] = {
    {
        .name = "ask for calibration",
        .arg = RUN_ANSWERS_CALIB,
        .wanted = run_has_prompts,
        .key = run_ask_key,
        .basis = run_ask_basis,
        .outputs = work_file,
        .run = run_ask,
        .goes_on = true,
    },
    {
        .name = "profile",
        .arg = RUN_STATS,
        .wanted = is_profiled,
        .key = profile_key,
        .outputs = profile_files,
        .run = profile,
        .ready = profile_ready,
        .goes_on = true,
    },
    {
        .name = "plan",
        .arg = RUN_PLAN_FIRST,
        .chained = true,
        .wanted = by_criterion,
        .inputs = given_files,
        .key = plan_key,
        .outputs = plan_file,
        .run = plan,
        .ready = plan_ready,
    },
    {
        .name = "choose",
        .arg = RUN_PLAN_FIRST,
        .chained = true,
        .wanted = by_choice,
        .inputs = given_files,
        .key = choose_key,
        .outputs = plan_file,
        .run = choose,
        .ready = choose_ready,
    },
    {
        .name = "refine",
        .arg = RUN_PLAN,
        .chained = true,
        .wanted = is_refined,
        .key = refine_key,
        .outputs = work_file,
        .run = refine,
        .ready = refine_ready,
    },
    {
        .name = "prune",
        .chained = true,
        .key = prune_key,
        .outputs = model_files,
        .check = prune_check,
        .run = prune,
        .ready = prune_ready,
    },
    {
        .name = "verify",
        .chained = true,
        .inputs = model_files,
        .run = verify,
    },
    {
        .name = "cut the importance matrix",
        .arg = RUN_IMATRIX_CUT,
        .chained = true,
        .wanted = run_has_matrix,
        .outputs = work_file,
        .run = run_cut_matrix,
    },
    {
        .name = "quantise",
        .chained = true,
        .wanted = run_has_type,
        .key = run_type_key,
        .outputs = run_type_file,
        .check = run_type_check,
        .run = run_type,
        .ready = run_type_ready,
    },
    {
        .name = "measure the plan",
        .arg = RUN_EVAL_AGAINST,
        .wanted = has_pass,
        .inputs = texts,
        .key = measure_key,
        .outputs = work_file,
        .run = measure,
    },
    {
        .name = "evaluate the parent",
        .early = true,
        .arg = RUN_EVAL_BEFORE,
        .wanted = has_texts,
        .inputs = texts,
        .key = eval_key,
        .outputs = work_file,
        .run = eval,
    },
    {
        .name = "evaluate the result",
        .arg = RUN_EVAL_AFTER,
        .wanted = has_texts,
        .inputs = texts,
        .key = eval_key,
        .outputs = work_file,
        .run = eval,
    },
    {
        .name = "evaluate the quantised",
        .arg = RUN_EVAL_TYPE,
        .wanted = has_typed_texts,
        .inputs = texts,
        .key = eval_key,
        .outputs = work_file,
        .run = eval,
    },
    {
        .name = "ask the parent",
        .early = true,
        .arg = RUN_ANSWERS_BEFORE,
        .wanted = run_has_prompts,
        .key = run_ask_key,
        .basis = run_ask_basis,
        .outputs = work_file,
        .run = run_ask,
        .goes_on = true,
    },
    {
        .name = "ask the result",
        .arg = RUN_ANSWERS_AFTER,
        .wanted = run_has_prompts,
        .key = run_ask_key,
        .basis = run_ask_basis,
        .outputs = work_file,
        .run = run_ask,
        .goes_on = true,
    },
};
const uint32_t n_run_steps = sizeof run_steps / sizeof *run_steps;
