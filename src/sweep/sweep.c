/* sweep.c - see sweep.h. */
#include "sweep/sweep.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "convert/load.h"
#include "model/cut.h"
#include "plan/make.h"
#include "results/sweep.h"

#include <math.h>
#include <string.h>

#define STATE_SCHEMA "reap.sweep-state/1"
#define SAVE_EVERY   2.0 /* seconds */

struct job {
    const struct sweep_opts *o;
    struct sweep_result *r;
    struct engine *g;
    struct against_side *sides; /* the whole model, then the points */
    char key[65];               /* of everything that the sums depend on */
    uint32_t text, batches;     /* done: texts, and batches of the next one */
    struct against_sums *part;  /* [n_points]: of these batches */
};

/* ---- plans ---- */

static bool has_point(const struct sweep_result *r, const struct criterion *c, uint32_t n_keep)
{
    for (uint32_t i = 0; i < r->n_points; i++)
        if (r->points[i].criterion == c && r->points[i].plan->n_keep == n_keep)
            return true;
    return false;
}

/* The first plan is checked against the model, and what it has to say is said; the others differ in nothing
 * that matters for that. */
static bool add_point(struct job *j, const struct stats *s, const struct criterion *c, double ratio,
                      struct err *e)
{
    struct sweep_result *r = j->r;
    struct plan_opts po = {.stats_path = j->o->stats,
                           .kind = PRUNE_RATIO,
                           .value = ratio,
                           .round_to = j->o->round_to,
                           .criterion = c,
                           .seed = j->o->seed};
    struct plan_summary sum = {0};
    struct plan *p = plan_make(s, r->n_points ? NULL : r->view, &po, &sum, e);
    if (!r->n_points) /* no notes on each of many counts; the table shows the counts */
        plan_summary_say(&sum, false);
    plan_summary_clear(&sum);
    if (!p)
        return false;
    if (has_point(r, c, p->n_keep)) {
        plan_free(p);
        return true;
    }
    r->points[r->n_points++] =
        (struct sweep_point){.criterion = c, .ratio = ratio, .plan = p, .bytes = cut_bytes(r->view, p)};
    return true;
}

static bool make_plans(struct job *j, struct err *e)
{
    const struct sweep_opts *o = j->o;
    struct stats *s = stats_load(o->stats, e);
    bool ok = s != NULL;
    if (ok)
        memcpy(j->r->stats_hash, s->sha256, sizeof s->sha256);
    j->r->points = xcalloc((size_t)o->n_criteria * o->n_ratios, sizeof *j->r->points);
    for (uint32_t c = 0; ok && c < o->n_criteria; c++)
        for (uint32_t i = 0; ok && i < o->n_ratios; i++)
            ok = add_point(j, s, o->criteria[c], o->ratios[i], e);
    stats_free(s);
    return ok;
}

/* ---- the state ---- */

/* All that decides what the sums are, but for the machine. */
static void make_key(struct job *j)
{
    const struct sweep_opts *o = j->o;
    const struct engine_opts *eo = &o->engine;
    json_t *k = json_object(), *plans = json_array(), *texts = json_array();
    struct buf b = {0};
    json_object_set_new(k, "model", view_identity(j->r->view));
    json_object_set_new(k, "bytes", json_integer((json_int_t)j->r->view->bytes));
    for (uint32_t i = 0; i < j->r->n_points; i++)
        json_array_append_new(plans, plan_keep_json(j->r->points[i].plan));
    for (uint32_t i = 0; i < o->n_texts; i++)
        json_array_append_new(texts, json_string(j->r->text_hash[i]));
    json_object_set_new(k, "plans", plans);
    json_object_set_new(k, "texts", texts);
    json_object_set_new(k, "ctx", json_integer(o->n_ctx));
    json_object_set_new(k, "ubatch", json_integer(eo->ubatch));
    json_object_set_new(k, "flash_attn", json_text(eo->flash_attn));
    json_object_set_new(k, "cache_type_k", json_text(eo->cache_type_k));
    json_object_set_new(k, "cache_type_v", json_text(eo->cache_type_v));
    json_object_set_new(k, "type", json_text(eo->type ? eo->type : "auto"));
    json_object_set_new(k, "pretokenizer", json_text(eo->pretokenizer ? eo->pretokenizer : ""));
    json_object_set_new(k, "engine", json_string(engine_version()));
    json_print(&b, k);
    sha256_bytes(b.s, b.n, j->key);
    buf_clear(&b);
    json_decref(k);
}

#define N_STATE_SUMS 9
static void sums_to(const struct against_sums *s, double v[N_STATE_SUMS])
{
    const double x[N_STATE_SUMS] = {s->nll, s->nll2, s->base_nll, s->base_nll2, s->cross,
                                    s->kl,  s->kl2,  s->dp2,      s->dp4};
    memcpy(v, x, sizeof x);
}

static json_t *sums_json(const struct against_sums *s)
{
    double v[N_STATE_SUMS];
    json_t *o = json_object();
    sums_to(s, v);
    json_object_set_new(o, "n", json_integer((json_int_t)s->n));
    json_object_set_new(o, "same_top", json_integer((json_int_t)s->same_top));
    json_object_set_new(o, "sums", json_f64s(v, N_STATE_SUMS));
    return o;
}

static bool sums_read(const json_t *a, size_t i, struct against_sums *s, struct err *e)
{
    const json_t *o = json_array_get(a, i);
    double v[N_STATE_SUMS];
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "expected the sums of %zu plans", i + 1);
    if (!json_need_u64(o, "n", "sums", &s->n, e) || !json_need_u64(o, "same_top", "sums", &s->same_top, e) ||
        !json_need_f64s(o, "sums", "sums", v, N_STATE_SUMS, e))
        return false;
    if (s->same_top > s->n)
        return err_set(e, ERR_INPUT, "same_top is more than n");
    s->nll = v[0], s->nll2 = v[1], s->base_nll = v[2], s->base_nll2 = v[3], s->cross = v[4];
    s->kl = v[5], s->kl2 = v[6], s->dp2 = v[7], s->dp4 = v[8];
    return true;
}

static bool save(const struct job *j, struct err *e)
{
    if (!j->o->state)
        return true;
    json_t *o = json_object(), *all = json_array(), *part = json_array();
    for (uint32_t i = 0; i < j->r->n_points; i++) {
        json_array_append_new(all, sums_json(&j->r->points[i].sums));
        json_array_append_new(part, sums_json(&j->part[i]));
    }
    json_object_set_new(o, "schema", json_string(STATE_SCHEMA));
    json_object_set_new(o, "key", json_string(j->key));
    json_object_set_new(o, "texts_done", json_integer(j->text));
    json_object_set_new(o, "batches_done", json_integer(j->batches));
    json_object_set_new(o, "sums", all);
    json_object_set_new(o, "sums_of_next_text", part);
    bool ok = json_write(j->o->state, o, true, e);
    json_decref(o);
    return ok;
}

static bool read_state(struct job *j, const json_t *o, struct err *e)
{
    const char *schema, *key;
    json_t *all, *part;
    uint64_t texts, batches;
    if (!json_is_object(o) || !json_need_str(o, "schema", "state", &schema, e) ||
        strcmp(schema, STATE_SCHEMA) != 0)
        return err_set(e, ERR_INPUT, "is not the state of a sweep");
    if (!json_need_str(o, "key", "state", &key, e))
        return false;
    if (strcmp(key, j->key) != 0)
        return err_set(
            e, ERR_INPUT,
            "is of a sweep over another model, text, plans or options; remove it, or give another --state");
    if (!json_need_u64(o, "texts_done", "state", &texts, e) ||
        !json_need_u64(o, "batches_done", "state", &batches, e) ||
        !json_need_arr(o, "sums", "state", &all, e) ||
        !json_need_arr(o, "sums_of_next_text", "state", &part, e))
        return false;
    if (texts > j->o->n_texts || batches > UINT32_MAX || (texts == j->o->n_texts && batches))
        return err_set(e, ERR_INPUT, "has %llu texts, of %u", (unsigned long long)texts, j->o->n_texts);
    for (uint32_t i = 0; i < j->r->n_points; i++) {
        if (!sums_read(all, i, &j->r->points[i].sums, e) || !sums_read(part, i, &j->part[i], e))
            return false;
        if ((texts && !j->r->points[i].sums.n) || (batches && !j->part[i].n))
            return err_set(e, ERR_INPUT, "has texts without a token");
    }
    j->text = (uint32_t)texts;
    j->batches = (uint32_t)batches;
    return true;
}

static bool load_state(struct job *j, struct err *e)
{
    bool there = false;
    if ((j->o->state && !file_there(j->o->state, &there, e)) || !there)
        return e->code == ERR_NONE;
    json_t *o = json_read(j->o->state, e);
    bool ok = o && (read_state(j, o, e) || err_ctx(e, "%s", j->o->state));
    json_decref(o);
    return ok;
}

/* ---- the run ---- */

static bool sweep_text(struct job *j, struct err *e)
{
    const char *path = j->o->texts[j->text];
    uint32_t n = j->r->n_points;
    struct against *c = against_open(j->sides, n + 1, path, j->o->n_ctx, false, e);
    if (!c)
        return false;
    if (j->batches > c->n_batches) {
        against_free(c);
        return err_set(e, ERR_INPUT, "%s: says %u batches of '%s', there are %u", j->o->state, j->batches,
                       path, c->n_batches);
    }
    struct progress p;
    uint64_t total = 0, done = 0;
    double saved = now_secs();
    bool ok = true;
    for (uint32_t b = 0; b < c->n_batches; b++) {
        total += (uint64_t)against_tokens(c, b) * (n + 1);
        done += b < j->batches ? (uint64_t)against_tokens(c, b) * (n + 1) : 0;
    }
    j->r->done_before += done;
    memcpy(c->sums, j->part, n * sizeof *c->sums);
    char what[96];
    snprintf(what, sizeof what, "%u plans, text %u of %u", n, j->text + 1, j->o->n_texts);
    progress_start(&p, what, "tokens", total, done);
    while (ok && j->batches < c->n_batches) {
        if (!(ok = against_batch(c, j->batches, e)))
            break;
        uint64_t tokens = (uint64_t)against_tokens(c, j->batches++) * (n + 1);
        memcpy(j->part, c->sums, n * sizeof *c->sums);
        j->r->n_tokens += tokens;
        progress_set(&p, done += tokens);
        if (now_secs() - saved >= SAVE_EVERY) {
            ok = save(j, e);
            saved = now_secs();
        }
    }
    progress_end(&p);
    against_free(c);
    return ok;
}

/* The sums of a text count when all of it is done, so that they are added up in one order whatever
 * interrupts. */
static bool sweep_texts(struct job *j, struct err *e)
{
    while (j->text < j->o->n_texts) {
        if (!sweep_text(j, e))
            return false;
        for (uint32_t i = 0; i < j->r->n_points; i++)
            against_add(&j->r->points[i].sums, &j->part[i]);
        memset(j->part, 0, j->r->n_points * sizeof *j->part);
        j->text++;
        j->batches = 0;
        if (!save(j, e))
            return false;
    }
    return true;
}

static bool prepare(struct job *j, struct err *e)
{
    const struct sweep_opts *o = j->o;
    struct sweep_result *r = j->r;
    if (!(r->view = view_open(o->model, e)) || !view_hash(r->view, e))
        return false;
    if (o->state && !view_check_output(r->view, o->state, e))
        return false;
    r->text_hash = xcalloc(o->n_texts, sizeof *r->text_hash);
    for (uint32_t i = 0; i < o->n_texts; i++)
        if (!sha256_file(o->texts[i], r->text_hash[i], e))
            return false;
    if (!make_plans(j, e))
        return false;
    j->part = xcalloc(r->n_points, sizeof *j->part);
    make_key(j);
    return load_state(j, e);
}

static bool run(struct job *j, struct err *e)
{
    const struct sweep_opts *o = j->o;
    struct sweep_result *r = j->r;
    if (j->text == o->n_texts) /* another look at what is done */
        return true;
    if (!(j->g = load_engine(r->view, &o->engine, e)))
        return false;
    j->sides = xcalloc(r->n_points + 1, sizeof *j->sides);
    for (uint32_t i = 0; i <= r->n_points; i++)
        j->sides[i] = (struct against_side){r->view->path, j->g, r->view, i ? r->points[i - 1].plan : NULL};
    double t = now_secs();
    bool ok = sweep_texts(j, e);
    r->secs = now_secs() - t;
    if (ok || !o->state || e->code != ERR_INTERRUPTED)
        return ok;
    struct err other = {0};
    if (!save(j, &other))
        return err_ctx(e, "%s", other.msg);
    err_clear(e);
    return err_set(e, ERR_INTERRUPTED,
                   "interrupted; '%s' holds what is done, the same call goes on from there", o->state);
}

bool sweep_run(const struct sweep_opts *o, struct sweep_result *r, struct err *e)
{
    struct job j = {.o = o, .r = r};
    *r = (struct sweep_result){0};
    bool ok = prepare(&j, e) && run(&j, e);
    for (uint32_t i = 0; ok && i < r->n_points; i++)
        r->points[i].r = against_result(&r->points[i].sums, NULL);
    engine_free(j.g);
    free(j.sides);
    free(j.part);
    return ok;
}

void sweep_result_clear(struct sweep_result *r)
{
    for (uint32_t i = 0; i < r->n_points; i++)
        plan_free(r->points[i].plan);
    free(r->points);
    free(r->text_hash);
    view_free(r->view);
    *r = (struct sweep_result){0};
}

/* ---- what comes of it ---- */

int sweep_choose(const struct sweep_result *r, const struct pass *pass)
{
    int best = -1;
    for (uint32_t i = 0; i < r->n_points; i++) {
        const struct sweep_point *p = &r->points[i], *b = best >= 0 ? &r->points[best] : NULL;
        if (p->plan->n_keep == r->view->shape.n_experts || !pass_holds(pass, &p->r))
            continue;
        if (!b || p->bytes < b->bytes || (p->bytes == b->bytes && p->r.kl_mean < b->r.kl_mean))
            best = (int)i;
    }
    return best;
}

/* Caller frees the list. */
static struct sweep_text *texts_of(const struct sweep_opts *o, const struct sweep_result *r)
{
    struct sweep_text *t = xcalloc(o->n_texts, sizeof *t);
    for (uint32_t i = 0; i < o->n_texts; i++)
        t[i] = (struct sweep_text){path_base(o->texts[i]), r->text_hash[i]};
    return t;
}

const struct plan *sweep_plan(const struct sweep_opts *o, struct sweep_result *r, uint32_t i)
{
    const struct sweep_point *p = &r->points[i];
    struct sweep_text *texts = texts_of(o, r);
    json_t *m = json_object();
    json_object_set_new(m, "texts", sweep_texts_json(texts, o->n_texts));
    json_object_set_new(m, "ctx", json_integer(o->n_ctx));
    json_object_set_new(m, "n_scored", json_integer((json_int_t)p->sums.n));
    json_object_set_new(m, "ppl", json_real(p->r.score.ppl));
    json_object_set_new(m, "ppl_stderr", json_real(p->r.score.ppl_stderr));
    eval_put_against(m, &p->r);
    json_decref(p->plan->measured);
    p->plan->measured = m;
    free(texts);
    return p->plan;
}

json_t *sweep_report(const struct sweep_opts *o, const struct sweep_result *r, const struct pass *pass,
                     int chosen)
{
    const struct eval_score *base = &r->points[0].r.base;
    struct sweep_text *texts = texts_of(o, r);
    struct sweep_file_point *points = xcalloc(r->n_points, sizeof *points);
    json_t *model = view_identity(r->view);
    for (uint32_t i = 0; i < r->n_points; i++) {
        const struct sweep_point *p = &r->points[i];
        points[i] = (struct sweep_file_point){p->criterion->name, p->ratio, p->plan->n_keep, p->bytes, p->r};
    }
    json_t *doc = sweep_json(&(struct sweep_file){.model = model,
                                                  .stats = path_base(o->stats),
                                                  .stats_sha256 = r->stats_hash,
                                                  .texts = texts,
                                                  .n_texts = o->n_texts,
                                                  .n_ctx = o->n_ctx,
                                                  .n_scored = r->points[0].sums.n,
                                                  .n_experts = r->view->shape.n_experts,
                                                  .bytes = r->view->bytes,
                                                  .ppl = base->ppl,
                                                  .ppl_stderr = base->ppl_stderr,
                                                  .points = points,
                                                  .n_points = r->n_points,
                                                  .pass = *pass,
                                                  .chosen = chosen});
    json_decref(model);
    free(points);
    free(texts);
    return doc;
}
