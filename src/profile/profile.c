/* profile.c - see profile.h. */
#include "profile/profile.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/sig.h"
#include "base/text.h"
#include "convert/load.h"
#include "corpus/windows.h"
#include "model/view.h"
#include "profile/calibration.h"
#include "profile/matrix.h"
#include "stats/merge.h"
#include "stats/pairs.h"
#include "stats/summary.h"

#include <math.h>
#include <string.h>

/* More sequences than this gain nothing, and each costs a recurrent model a state of its own. */
#define MAX_SEQS       64
#define MAX_SEQS_STATE 16

struct job {
    const struct profile_opts *o;
    bool resumes; /* there is a file to go on from */
    struct view *view;
    struct corpus corpus;
    struct engine *engine;
    struct windows win;
    struct stats *stats;
    struct imatrix *matrix; /* NULL: nobody wants it */
    enum half half;         /* of the batch that runs now */
    bool mtp;               /* the MTP block is profiled, too */
    int64_t ubatch;         /* tokens per compute step */
    bool separate;          /* one KV memory per sequence */
    int32_t *index;         /* block number -> layer of the stats, -1 */
    uint32_t n_index;
    uint32_t n_batches;    /* that this process decodes: all, or those of its shard */
    uint32_t *order;       /* of the batches: even and odd samples in turn */
    struct halves settled; /* at which the run was stopped; 0: it was not */
    struct out_lock lock;  /* of the output, which is saved many times */
};

static void job_clear(struct job *j)
{
    stats_free(j->stats);
    imatrix_free(j->matrix);
    windows_clear(&j->win);
    engine_free(j->engine);
    corpus_free(&j->corpus);
    view_free(j->view);
    free(j->index);
    free(j->order);
    out_unlock(&j->lock);
}

/* ---- how it was made: goes into the file, and decides whether a run may go on ---- */

static struct calibration calibration_of(const struct job *j)
{
    return (struct calibration){j->o, &j->corpus, &j->win, j->engine, j->ubatch, j->separate};
}

static json_t *made_from(const struct job *j)
{
    const struct calibration c = calibration_of(j);
    return calibration_json(&c);
}

/* ---- shards ---- */

/* The packing is that of the whole run, so a batch gives the same numbers whichever shard it falls to. */
static void set_shard(struct job *j)
{
    uint32_t all = j->win.n_batches, of = j->o->n_shards;
    j->n_batches = !of ? all : all < j->o->shard ? 0 : (all - j->o->shard) / of + 1;
    if (!j->n_batches)
        log_warn("the text makes %u batches only: shard %u of %u is empty", all, j->o->shard, of);
}

static uint32_t parity(const struct job *j, uint32_t batch)
{
    const struct windows *w = &j->win;
    return w->list[w->order[w->batches[batch].first]].sample & 1;
}

/* Batches of even and of odd samples in turn, each kind in its order: so the halves grow alike, and the sums
 * are the same as in any other turn, because a half is summed up by itself. */
static void set_order(struct job *j)
{
    uint32_t n = j->win.n_batches, at[2] = {0};
    j->order = xcalloc(n ? n : 1, sizeof *j->order);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t want = k & 1;
        for (int tries = 0; tries < 2; tries++, want ^= 1) {
            while (at[want] < n && parity(j, at[want]) != want)
                at[want]++;
            if (at[want] < n)
                break;
        }
        j->order[k] = at[want]++;
    }
}

/* The k-th batch of this process. */
static uint32_t batch_at(const struct job *j, uint32_t k)
{
    return j->order[j->o->n_shards ? j->o->shard - 1 + k * j->o->n_shards : k];
}

/* ---- observing ---- */

static bool on_rows(void *ud, uint32_t il, uint32_t n_tokens, uint32_t k, const struct routed *rows,
                    struct err *e)
{
    struct job *j = ud;
    if (il >= j->n_index || j->index[il] < 0)
        return err_set(e, ERR_FAILED, "the engine runs experts in layer %u, where the file has none", il);
    struct stats_layer *l = &j->stats->layers[j->index[il]];
    if (k != l->n_used)
        return err_set(e, ERR_FAILED,
                       "layer %u: the engine routes each token to %u experts, the file says %u", il, k,
                       l->n_used);
    for (uint32_t t = 0; t < n_tokens; t++)
        if (!stats_add(j->stats, (uint32_t)j->index[il], j->half, rows + (size_t)t * k, k, e))
            return false;
    return true;
}

static bool on_gates(void *ud, uint32_t il, uint32_t n_tokens, uint32_t n_experts, const float *p,
                     struct err *e)
{
    struct job *j = ud;
    if (il >= j->n_index || j->index[il] < 0 || n_experts != j->stats->n_experts)
        return err_set(e, ERR_FAILED,
                       "the engine routes to %u experts in layer %u, which is not what the file has",
                       n_experts, il);
    return (j->stats->unknown & SUM_BIT(SUM_GATE_MASS)) ||
           stats_add_gates(j->stats, (uint32_t)j->index[il], j->half, n_tokens, p, e);
}

static bool on_inputs(void *ud, const char *weight, uint32_t n_mat, uint64_t row, uint32_t mat, uint64_t n,
                      const float *sums, struct err *e)
{
    struct job *j = ud;
    return imatrix_add(j->matrix, weight, n_mat, row, mat, n, sums, e);
}

const char *const profile_pairs_words[] = {"auto", "on", "off", NULL};

static bool wants_pairs(const struct job *j)
{
    const struct view *v = j->view;
    return j->o->pairs == PAIRS_ON ||
           (j->o->pairs == PAIRS_AUTO && pairs_bytes(v->n_layers, v->shape.n_experts) <= PROFILE_PAIRS_MAX);
}

static void note_pairs(const struct job *j)
{
    char size[32];
    if (j->o->pairs == PAIRS_AUTO && !wants_pairs(j))
        log_note("note: no sums over pairs of experts, which would take %s; --pairs on keeps them (for the "
                 "criterion hope)",
                 human_bytes(pairs_bytes(j->view->n_layers, j->view->shape.n_experts), size));
}

static void new_stats(struct job *j)
{
    const struct view *v = j->view;
    j->stats = stats_new(v->n_layers, v->shape.n_experts);
    for (uint32_t i = 0; i < v->n_layers; i++) {
        j->stats->layers[i].il = v->layers[i].il;
        j->stats->layers[i].n_used = v->layers[i].n_used;
    }
    for (uint32_t i = v->n_layers; j->mtp && i < v->n_layers + v->n_mtp_layers; i++)
        stats_new_mtp(j->stats, v->layers[i].il, v->layers[i].n_used);
    j->stats->n_groups = v->shape.n_groups;
    j->stats->n_groups_used = v->shape.n_groups_used;
    j->stats->model = view_identity(v);
    j->stats->calibration = made_from(j);
    if (wants_pairs(j))
        stats_keep_pairs(j->stats);
}

static void set_index(struct job *j)
{
    const struct view *v = j->view;
    j->n_index = v->n_blocks;
    j->index = xcalloc(j->n_index, sizeof *j->index);
    for (uint32_t il = 0; il < j->n_index; il++)
        j->index[il] = j->mtp ? view_block_index(v, il) : view_layer_index(v, il);
}

/* ---- the block that predicts further tokens ---- */

/* Such a block is loaded where it may be run; behind the load the engine says whether it can. */
static void settle_mtp(struct job *j)
{
    const char *why =
        j->view->n_mtp > 1 ? "the engine runs several of them in turn" : engine_mtp_refusal(j->engine);
    if (!j->view->n_mtp_layers)
        return;
    j->mtp = !why;
    if (why)
        log_note("note: no statistics of the MTP block%s, which will follow the last layer: %s",
                 j->view->n_mtp > 1 ? "s" : "", why);
}

/* ---- resuming ---- */

static uint64_t tokens_of(const struct job *j, uint32_t n_batches)
{
    uint64_t n = 0;
    for (uint32_t k = 0; k < n_batches; k++)
        n += j->win.batches[batch_at(j, k)].n_tokens;
    return n;
}

/* The sums are of the batches that the file says are in them: it has the tokens of these. A file that stopped
 * when the choice had settled holds fewer than all, and says so. */
static bool check_progress(const struct job *j, const struct stats *s, uint32_t done, struct err *e)
{
    uint64_t want = tokens_of(j, done);
    for (uint32_t i = 0; i < s->n_layers + s->n_mtp; i++) {
        uint64_t have = stats_tokens(&s->layers[i]);
        if (have != want)
            return err_set(
                e, ERR_INPUT,
                "%s: cannot resume: it says %u of %u batches, which have %llu tokens, and layer %u "
                "has %llu",
                j->o->out, done, j->n_batches, (unsigned long long)want, s->layers[i].il,
                (unsigned long long)have);
    }
    return true;
}

/* What the file keeps goes on; it cannot begin now. */
static bool resume_pairs(const struct job *j, const struct stats *s, struct err *e)
{
    bool has = stats_has_pairs(s);
    if (j->o->pairs != PAIRS_AUTO && has != (j->o->pairs == PAIRS_ON))
        return err_set(e, ERR_INPUT, "%s: cannot resume: it was made %s sums over pairs of experts (--pairs)",
                       j->o->out, has ? "with" : "without");
    return !has || stats_need_pairs(s, e) || err_ctx(e, "%s: cannot resume", j->o->out);
}

/* The same of the MTP block. */
static bool resume_mtp(struct job *j, const struct stats *s, struct err *e)
{
    if (s->n_mtp && !stats_same_mtp(s, j->stats))
        return err_set(e, ERR_INPUT,
                       "%s: cannot resume: it has statistics of an MTP block that cannot be run here",
                       j->o->out);
    j->mtp = s->n_mtp > 0;
    return true;
}

/* done 0: of a finished file. What it was not asked for then cannot be had from it. */
static bool resume_matrix(struct job *j, uint32_t done, struct err *e)
{
    if (!j->matrix)
        return true;
    if (!done && !file_exists(j->o->imatrix))
        return err_set(
            e, ERR_INPUT,
            "%s: is complete, and was made without an importance matrix, which cannot be had from it; --force "
            "begins again",
            j->o->out);
    struct imatrix *m =
        done ? matrix_resume(j->o->imatrix, done, j->n_batches, e) : imatrix_load(j->o->imatrix, e);
    if (!m)
        return false;
    imatrix_free(j->matrix);
    j->matrix = m;
    return true;
}

/* The batches that an unfinished file already holds; *done = all for a finished one. */
static bool load_progress(struct job *j, uint32_t *done, bool *finished, struct err *e)
{
    struct stats *s = stats_load(j->o->out, e);
    if (!s)
        return false;
    json_t *cal = made_from(j), *id = view_identity(j->view);
    const char *other = calibration_difference(cal, s->calibration);
    uint64_t n = s->progress ? s->progress->batches_done : j->n_batches,
             of = s->progress ? s->progress->batches : j->n_batches;
    const char *model = json_difference(id, s->model, NULL);
    struct buf b = {0};
    bool ok = true;
    if (model)
        calibration_tell(model, s->model, id, &b);
    else if (other)
        calibration_tell(other, s->calibration, cal, &b);
    if (b.n)
        ok = err_set(e, ERR_INPUT, "%s: cannot resume: it was made with %s (%s)", j->o->out,
                     model ? "another model" : "other calibration text or options", b.s);
    buf_clear(&b);
    if (ok && (n > of || of != j->n_batches))
        ok = err_set(e, ERR_INPUT, "%s: cannot resume: it says %llu of %llu batches, this run has %u",
                     j->o->out, (unsigned long long)n, (unsigned long long)of, j->n_batches);
    ok = ok && resume_mtp(j, s, e) && check_progress(j, s, (uint32_t)n, e) &&
         (!s->progress || resume_pairs(j, s, e)) && resume_matrix(j, s->progress ? (uint32_t)n : 0, e);
    json_decref(id);
    if (!ok) {
        json_decref(cal);
        stats_free(s);
        return false;
    }
    json_decref(s->calibration);
    s->calibration = cal;
    *finished = !s->progress;
    *done = (uint32_t)n;
    free(s->progress);
    s->progress = NULL;
    stats_free(j->stats);
    j->stats = s;
    return true;
}

static bool put_matrix(void *ud, struct out *o, struct err *e)
{
    return imatrix_put(ud, o, e);
}

static bool save(struct job *j, uint32_t done, struct err *e)
{
    struct stats *s = j->stats;
    free(s->progress);
    s->progress = NULL;
    if (done < j->n_batches) {
        s->progress = xcalloc(1, sizeof *s->progress);
        *s->progress =
            (struct stats_progress){.batches_done = done,
                                    .batches = j->n_batches,
                                    .settled_at = j->settled.kept > 0 ? j->settled.same : (double)NAN,
                                    .settled_score = j->settled.kept,
                                    .prune_ratio = j->o->until_stable};
    }
    if (j->matrix) {
        j->matrix->batches_done = done;
        j->matrix->batches = done < j->n_batches ? j->n_batches : 0;
    }
    const struct stats_more more = {j->o->imatrix, put_matrix, j->matrix};
    return stats_check(s, e) && stats_save_with(s, j->o->out, j->matrix ? &more : NULL, true, e);
}

/* ---- when the choice has settled ---- */

/* What the choices by the even and by the odd samples alone keep of each other's score. The choice by both has
 * seen twice the text, and loses a fourth to a sixth of what is missing here (docs/calibration.md). */
#define SETTLED    0.99
#define MIN_TOKENS 4096 /* less says nothing */
#define MIN_EACH   600  /* nor does less for each expert of a layer */

/* Asked when a tenth more text has been seen since the last time; twice in a row must hold. */
struct settling {
    uint64_t next;
    bool before;
};

static bool settled(struct job *j, struct settling *s, uint64_t tokens, bool *stop, struct err *e)
{
    struct halves h;
    const struct shape *sh = &j->view->shape;
    uint32_t n = shape_share(sh, 1 - j->o->until_stable);
    if (j->o->until_stable <= 0 || tokens < s->next || tokens < MIN_TOKENS ||
        tokens * sh->n_used < (uint64_t)MIN_EACH * sh->n_experts)
        return true;
    s->next = tokens + tokens / 10;
    if (!summary_halves(j->stats, criterion_default(), n, &h, e))
        return false;
    *stop = h.kept >= SETTLED && s->before;
    s->before = h.kept >= SETTLED;
    if (*stop)
        j->settled = h;
    return true;
}

/* ---- the run ---- */

static uint64_t windows_of(const struct job *j)
{
    uint64_t n = 0;
    for (uint32_t k = 0; k < j->n_batches; k++)
        n += j->win.batches[batch_at(j, k)].n;
    return n;
}

/* A batch counts whole or not at all: an interruption in its middle must not leave half of it in the sums. */
static bool decode_all(struct job *j, uint32_t done, struct err *e)
{
    struct windows *w = &j->win;
    struct progress p;
    uint64_t tokens = tokens_of(j, done), total = tokens_of(j, j->n_batches);
    double saved = now_secs();
    bool ok = true, stop = false;
    struct settling settling = {0};
    progress_start(&p, "profiling", "tokens", total, tokens);
    while (ok && !stop && done < j->n_batches) {
        uint32_t b = batch_at(j, done);
        j->half = (enum half)parity(j, b);
        if (sig_pending())
            break;
        if (!windows_decode(w, b, j->engine, NULL, NULL, e)) {
            ok = false;
            break;
        }
        tokens += w->batches[b].n_tokens;
        done++;
        progress_set(&p, tokens);
        ok = done == j->n_batches || settled(j, &settling, tokens, &stop, e);
        if (ok && j->o->save_every > 0 && now_secs() - saved >= j->o->save_every && done < j->n_batches) {
            ok = save(j, done, e);
            saved = now_secs();
        }
    }
    progress_end(&p);
    if (!ok)
        return false;
    if (!save(j, done, e))
        return false;
    if (done == j->n_batches || stop)
        return true;
    char a[32], c[32];
    return err_set(e, ERR_INTERRUPTED, "interrupted; '%s' holds %s of %s tokens, --resume goes on from there",
                   j->o->out, human_count(tokens, a), human_count(total, c));
}

static struct engine_run run_of(struct job *j)
{
    return (struct engine_run){
        .n_ctx = j->win.longest,
        .n_seq_max = j->win.max_seqs,
        .separate_streams = j->separate,
        .observe = on_rows,
        .gates = on_gates,
        .inputs = j->matrix ? on_inputs : NULL,
        .ud = j,
        .c_is_f = j->view->family->gate_on_input,
        .mtp = j->mtp,
        .n_tokens = j->win.total,
    };
}

static bool start_engine(struct job *j, struct err *e)
{
    struct engine_run run = run_of(j);
    run.n_tokens = tokens_of(j, j->n_batches);
    if (run.separate_streams)
        run.n_ctx *= run.n_seq_max;
    if (!engine_start(j->engine, &run, e))
        return false;
    if (!j->resumes) /* else the file says what it keeps */
        stats_set_router(j->stats, engine_router(j->engine));
    return true;
}

/* In a compute step each expert's weights are read once, for all its tokens together: about 128 of them should
 * share that (with 32 a core that multiplies F32 waits for memory, with 64 still a little: docs/benchmarks.md). So a
 * model with many experts and few per token gets larger steps. Not above 2048: attention looks at the whole step, and
 * the engine keeps room for the logits of all its tokens. */
static int64_t default_ubatch(const struct shape *s)
{
    int64_t n = 512;
    while (n < 2048 && n * s->n_used < 128 * (int64_t)s->n_experts)
        n *= 2;
    return n;
}

/* The files that are written are none of those that are read. */
static bool check_apart(const struct job *j, struct err *e)
{
    char *pairs = xasprintf("%s" PAIRS_SUFFIX, j->o->out);
    const char *const out[] = {j->o->out, j->o->imatrix, wants_pairs(j) ? pairs : NULL};
    bool ok = file_check_apart(j->o->imatrix, j->o->out, "the stats file", e) &&
              file_check_apart(j->o->imatrix, pairs, "the file of the pairs", e);
    for (int i = 0; ok && i < 3; i++)
        ok = !out[i] ||
             (view_check_output(j->view, out[i], e) && corpus_check_output(&j->corpus, out[i], e) &&
              file_check_apart(out[i], j->o->engine.chat_template_file, "the chat template itself", e));
    free(pairs);
    return ok;
}

static bool prepare(struct job *j, struct err *e)
{
    const struct profile_opts *o = j->o;
    if (!(j->view = view_open(o->model, e)))
        return false;
    if (!view_check_prunable(j->view, e) || !check_apart(j, e) ||
        !stats_recover_with(o->out, o->imatrix, e) || !out_hold(&j->lock, o->out, o->force || o->resume, e) ||
        !stats_check_output(o->out, wants_pairs(j), o->force || o->resume, e) ||
        (o->imatrix && !file_check_output(o->imatrix, o->force || o->resume, e)) ||
        !file_there(o->out, &j->resumes, e) || !corpus_load(&o->corpus, &j->corpus, e) ||
        !check_apart(j, e) || !view_hash(j->view, e))
        return false;
    if (o->corpus.set_aside > 0 && !j->corpus.aside.n_choice)
        log_warn("nothing is set aside: no category has enough samples for a share of %g",
                 o->corpus.set_aside);
    note_pairs(j);
    j->resumes = j->resumes && o->resume;
    j->separate = o->separate_streams;
    struct engine_opts eo = o->engine;
    if (j->resumes)
        calibration_resume(o->out, &eo, &j->separate);
    if (o->n_shards && !eo.ubatch) /* one step for all, whatever their machines */
        eo.ubatch = default_ubatch(&j->view->shape);
    eo.mtp = j->view->n_mtp_layers == 1 && j->view->n_mtp == 1;
    j->engine = load_engine(j->view, &eo, e);
    if (j->engine)
        settle_mtp(j);
    if (!j->engine || !windows_tokenize(&j->win, &j->corpus, j->engine, e) ||
        !windows_cut(&j->win, o->n_ctx, e))
        return false;
    uint32_t trained = engine_n_ctx_train(j->engine);
    if (trained && j->win.longest > trained)
        log_warn(
            "samples run in windows of up to %u tokens, but the model was trained for %u; --ctx %u cuts them there",
            j->win.longest, trained, trained);
    uint32_t seqs = o->n_seqs ? o->n_seqs : engine_has_state(j->engine) ? MAX_SEQS_STATE : MAX_SEQS;
    const struct engine_run run = run_of(j);
    windows_settle(&j->win, j->engine, &run, (uint32_t)default_ubatch(&j->view->shape), seqs, 2);
    j->ubatch = engine_ubatch(j->engine);
    j->separate = j->separate || j->win.separate;
    set_order(j);
    if (o->until_stable > 0 && j->corpus.n_samples < 2)
        log_warn(
            "the text is a single sample: without a second half it cannot be seen when the choice settles");
    set_shard(j);
    set_index(j);
    new_stats(j);
    j->matrix = o->imatrix ? matrix_new(&j->corpus, o->n_ctx) : NULL;
    return true;
}

static uint32_t count_never(const struct stats *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_layers; i++)
        for (uint32_t x = 0; x < s->n_experts; x++)
            n += stats_total(&s->layers[i], x).count == 0;
    return n;
}

/* A shard is as good as its whole run; what was stopped because it had settled is enough. */
static void warn_short(const struct stats *s)
{
    const json_t *c = s->calibration, *all = json_object_get(c, "n_tokens");
    bool shard = json_object_get(c, "shard") && json_is_integer(all) && json_integer_value(all) >= 0;
    uint64_t n = shard ? (uint64_t)json_integer_value(all) : stats_tokens(&s->layers[0]);
    uint32_t n_used = 1;
    for (uint32_t i = 0; i < s->n_layers; i++)
        n_used = s->layers[i].n_used > n_used ? s->layers[i].n_used : n_used;
    if (!s->progress)
        calibration_warn_short(n, s->n_experts, n_used);
}

void profile_warn(const struct stats *s)
{
    calibration_warn_unused(s->calibration);
    warn_short(s);
}

bool profile_run(const struct profile_opts *o, struct profile_result *r, struct err *e)
{
    struct job j = {.o = o, .lock = {.fd = -1}};
    uint32_t done = 0;
    bool finished = false, ok = prepare(&j, e);
    *r = (struct profile_result){0};
    if (ok && j.resumes)
        ok = load_progress(&j, &done, &finished, e);
    if (ok) {
        const struct calibration c = calibration_of(&j);
        calibration_warn(&c);
    }
    if (ok && !finished)
        ok = start_engine(&j, e);
    if (ok) {
        r->done_before = tokens_of(&j, done);
        double t = now_secs();
        if (!finished)
            ok = decode_all(&j, done, e);
        r->secs = now_secs() - t;
    }
    if (ok) {
        warn_short(j.stats);
        r->already_done = finished;
        r->settled = j.settled;
        r->n_samples = j.corpus.n_samples;
        r->n_tokens = j.settled.kept > 0 ? stats_tokens(&j.stats->layers[0]) : tokens_of(&j, j.n_batches);
        r->n_windows = windows_of(&j);
        r->n_batches = j.n_batches;
        r->n_weights = j.matrix ? j.matrix->n : 0;
        r->matrix_bytes = j.matrix ? imatrix_bytes(j.matrix) : 0;
        r->n_layers = j.stats->n_layers;
        r->n_experts = j.stats->n_experts;
        r->n_never = count_never(j.stats);
    }
    job_clear(&j);
    return ok;
}
