/* make.c - see make.h. */
#include "plan/make.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/cut.h"
#include "plan/blend.h"
#include "stats/merge.h"
#include "stats/summary.h"

#include <math.h>
#include <string.h>

bool shape_of_stats(const struct stats *s, struct shape *sh, struct err *e)
{
    uint64_t used = 0, groups = 1, groups_used = 1;
    for (uint32_t i = 0; i < s->n_layers; i++)
        if (s->layers[i].n_used > used)
            used = s->layers[i].n_used;
    if (json_object_get(s->model, "n_expert_groups") &&
        (!json_need_u64(s->model, "n_expert_groups", "model", &groups, e) ||
         !json_need_u64(s->model, "n_expert_groups_used", "model", &groups_used, e)))
        return false;
    if (groups < 1 || groups >= s->n_experts + (groups == 1) || s->n_experts % groups || groups_used < 1 ||
        groups_used > groups)
        return err_set(e, ERR_INPUT, "model: %llu of %llu expert groups do not fit %u experts",
                       (unsigned long long)groups_used, (unsigned long long)groups, s->n_experts);
    *sh = (struct shape){s->n_experts, (uint32_t)used, (uint32_t)groups, (uint32_t)groups_used};
    return true;
}

/* ---- how many ---- */

/* The nearest possible count from n upwards (step 1) or downwards (-1) that is a multiple of m; 0: none. */
static uint32_t possible(const struct shape *s, uint32_t n, uint32_t m, int step)
{
    for (int64_t k = n; k >= 1 && k <= s->n_experts; k += step)
        if (k % m == 0 && shape_keep_ok(s, (uint64_t)k))
            return (uint32_t)k;
    return 0;
}

/* What a ratio alone gives. */
static uint32_t asked_count(const struct shape *s, const struct plan_opts *o)
{
    if (o->kind != KEEP_COUNT)
        return shape_share(s, o->kind == KEEP_RATIO ? o->value : 1 - o->value);
    return o->value < 1 ? 1 : o->value > s->n_experts ? s->n_experts : (uint32_t)o->value;
}

static bool fit_count(const struct shape *s, const struct view *v, const struct plan_opts *o, uint32_t m,
                      uint32_t *out, struct err *e)
{
    char a[32], b[32];
    if (!v)
        return err_set(e, ERR_INPUT,
                       "--fit needs the model (--model FILE), whose tensors decide how large the result is");
    for (uint32_t n = possible(s, s->n_experts, m, -1); n; n = n > 1 ? possible(s, n - 1, m, -1) : 0)
        if (cut_bytes_at(v, n) <= o->fit) {
            *out = n;
            return true;
        }
    uint32_t least = possible(s, 1, m, 1);
    return err_set(e, ERR_INPUT, "--fit %s: even with %u of %u experts the model has %s",
                   human_bytes(o->fit, a), least, s->n_experts, human_bytes(cut_bytes_at(v, least), b));
}

bool plan_count(const struct shape *s, const struct view *v, const struct plan_opts *o, uint32_t *out,
                struct err *e)
{
    uint32_t m = o->round_to ? o->round_to : 1;
    if (m > s->n_experts)
        return err_set(e, ERR_INPUT, "--round-to %u: the model has only %u experts", m, s->n_experts);
    if (o->kind == FIT_BYTES)
        return fit_count(s, v, o, m, out, e);
    if (o->kind == KEEP_COUNT && (m == 1 || o->value > s->n_experts)) {
        *out = (uint32_t)o->value;
        return shape_check_keep(s, *out, e);
    }
    uint32_t n = asked_count(s, o);
    *out = possible(s, n, m, 1);
    if (!*out)
        return err_set(e, ERR_INPUT,
                       "no count of experts from %u to %u is a multiple of %u that the router allows", n,
                       s->n_experts, m);
    return true;
}

/* llama.cpp's CUDA backend fuses the router for these counts (ggml-cuda/topk-moe.cu, v0.5.0); others run
 * unfused, with the same result. */
static bool fused_count(uint32_t n)
{
    return (n <= 512 && !(n & (n - 1))) || n == 288 || n == 576;
}

/* ---- which ---- */

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void plan_choose(const double *score, const struct shape *s, uint32_t n_keep, uint32_t *keep)
{
    uint8_t *in = xcalloc(s->n_experts, 1);
    uint32_t n = 0;
    criterion_choose(score, s->n_experts, s->n_groups, n_keep, in);
    for (uint32_t j = 0; j < s->n_experts; j++)
        if (in[j])
            keep[n++] = j;
    free(in);
}

/* What --force cannot help: other layers or another number of experts. */
static bool same_layers(const struct stats *s, const struct view *v, const char *what, struct err *e)
{
    if (s->n_experts != v->shape.n_experts || s->n_layers != v->n_layers)
        return err_set(e, ERR_INPUT, "%s: has %u layers of %u experts, the model has %u of %u", what,
                       s->n_layers, s->n_experts, v->n_layers, v->shape.n_experts);
    for (uint32_t i = 0; i < s->n_layers; i++)
        if (s->layers[i].il != v->layers[i].il)
            return err_set(e, ERR_INPUT, "%s: has layer %u where the model's next layer with experts is %u",
                           what, s->layers[i].il, v->layers[i].il);
    return true;
}

/* ---- several sources, protected experts ---- */

struct job {
    const struct plan_source *src;
    uint32_t n_src;
    const struct plan_opts *o;
    const struct criterion *criterion;
    struct shape shape;
    uint32_t n_keep;
    uint8_t *fixed; /* [n_layers][n_experts] */
    double *kept;   /* [n_src] mean over the layers: share of the source's score that stays */
    struct plan_summary *sum;
};

/* share[n_src][n]: what each source gives; score[n]: what ranks, or for maxmin what reports. One source: its
 * scores as they are. */
static bool layer_scores(const struct job *j, uint32_t i, double *share, double *score, struct err *e)
{
    uint32_t n = j->shape.n_experts;
    double weights = 0;
    memset(score, 0, n * sizeof *score);
    for (uint32_t d = 0; d < j->n_src; d++)
        weights += j->src[d].weight;
    for (uint32_t d = 0; d < j->n_src; d++) {
        double *x = share + (size_t)d * n, total = 0;
        if (!criterion_scores(j->src[d].stats, i, j->criterion, j->o->seed, -1, x, e))
            return err_ctx(e, "%s", j->src[d].path);
        for (uint32_t k = 0; k < n; k++)
            total += x[k];
        for (uint32_t k = 0; k < n; k++) {
            if (j->n_src == 1)
                score[k] = x[k];
            x[k] = total > 0 ? x[k] / total : 0;
            if (j->n_src > 1)
                score[k] += x[k] * j->src[d].weight / weights;
        }
    }
    return true;
}

static void choose(const struct job *j, uint32_t i, const double *share, const double *score, uint32_t *keep)
{
    uint32_t n = j->shape.n_experts, at = 0;
    const uint8_t *fixed = j->fixed + (size_t)i * n;
    uint8_t *in = xcalloc(n, 1);
    double *rank = xcalloc(n, sizeof *rank);
    for (uint32_t k = 0; k < n; k++)
        rank[k] = fixed[k] ? INFINITY : score[k];
    if (j->n_src > 1 && j->o->blend == BLEND_MAXMIN)
        blend_maxmin(share, j->n_src, fixed, &j->shape, j->n_keep, in);
    else
        criterion_choose(rank, n, j->shape.n_groups, j->n_keep, in);
    for (uint32_t k = 0; k < n; k++)
        if (in[k])
            keep[at++] = k;
    free(rank);
    free(in);
}

static bool fix_super(struct job *j, struct err *e)
{
    const struct stats *s = j->src[0].stats;
    size_t all = (size_t)s->n_layers * s->n_experts;
    uint8_t *in = xcalloc(all, 1);
    bool ok = true;
    for (uint32_t d = 0; ok && d < j->n_src; d++) {
        uint32_t n;
        double limit;
        ok = summary_super(j->src[d].stats, in, &n, &limit, e) || err_ctx(e, "%s", j->src[d].path);
        for (size_t k = 0; ok && k < all; k++)
            j->fixed[k] |= in[k];
    }
    free(in);
    return ok;
}

static bool fix_lists(struct job *j, const struct id_lists *p, struct err *e)
{
    const struct stats *s = j->src[0].stats;
    for (uint32_t a = 0; a < p->n; a++) {
        uint32_t i = 0;
        while (i < s->n_layers && s->layers[i].il != p->l[a].il)
            i++;
        if (i == s->n_layers)
            return err_set(e, ERR_INPUT, "--protect: layer %u has no experts", p->l[a].il);
        for (uint32_t k = 0; k < p->l[a].n; k++) {
            if (p->l[a].ids[k] >= s->n_experts)
                return err_set(e, ERR_INPUT, "--protect: layer %u: expert %u of %u", p->l[a].il,
                               p->l[a].ids[k], s->n_experts);
            j->fixed[(size_t)i * s->n_experts + p->l[a].ids[k]] = 1;
        }
    }
    return true;
}

static bool check_fixed(struct job *j, struct err *e)
{
    const struct stats *s = j->src[0].stats;
    uint32_t size = s->n_experts / j->shape.n_groups, each = j->n_keep / j->shape.n_groups;
    for (uint32_t i = 0; i < s->n_layers; i++)
        for (uint32_t g = 0; g < j->shape.n_groups; g++) {
            uint32_t n = 0;
            for (uint32_t k = 0; k < size; k++)
                n += j->fixed[(size_t)i * s->n_experts + g * size + k];
            j->sum->n_protected += n;
            if (n > each && j->shape.n_groups > 1)
                return err_set(e, ERR_INPUT,
                               "layer %u: %u experts of group %u are protected, but only %u stay of each",
                               s->layers[i].il, n, g, each);
            if (n > each)
                return err_set(e, ERR_INPUT, "layer %u: %u experts are protected, but only %u stay",
                               s->layers[i].il, n, each);
        }
    return true;
}

/* ---- the file ---- */

struct loss {
    double score, score_kept, tokens_kept,
        reap_kept; /* the last two: shares, means over the sources by weight */
    double least, most;
};

static double part(double kept, double total, double otherwise)
{
    return total > 0 ? kept / total : otherwise;
}

/* The shares of one source that stay. */
static void source_loss(struct job *j, uint32_t d, uint32_t i, const double *share, const uint8_t *in,
                        json_t *kept, struct loss *l)
{
    const struct stats *s = j->src[d].stats;
    double routed = 0, routed_kept = 0, reap = 0, reap_kept = 0, score = 0, all = 0, weights = 0;
    for (uint32_t k = 0; k < s->n_experts; k++) {
        struct sums t = stats_total(&s->layers[i], k);
        routed += (double)t.count;
        reap += t.reap_sum;
        all += share[k];
        if (in[k]) {
            routed_kept += (double)t.count;
            reap_kept += t.reap_sum;
            score += share[k];
        }
    }
    for (uint32_t k = 0; k < j->n_src; k++)
        weights += j->src[k].weight;
    double w = j->src[d].weight / weights;
    l->tokens_kept += w * part(routed_kept, routed, 1);
    l->reap_kept += w * part(reap_kept, reap, 1);
    score = part(score, all, 1);
    j->kept[d] += score / s->n_layers;
    json_array_append_new(kept, json_real(score));
}

static json_t *layer_loss(struct job *j, uint32_t i, const double *share, const double *score,
                          const struct plan_layer *l)
{
    const struct stats *s = j->src[0].stats;
    uint32_t n = s->n_experts;
    struct loss x = {.least = INFINITY};
    uint8_t *in = xcalloc(n, 1);
    json_t *never = json_array(), *o = json_object(), *kept = json_array();
    for (uint32_t k = 0; k < j->n_keep; k++)
        in[l->keep[k]] = 1;
    for (uint32_t k = 0; k < n; k++) {
        uint64_t count = 0;
        for (uint32_t d = 0; d < j->n_src; d++)
            count |= stats_total(&j->src[d].stats->layers[i], k).count;
        x.score += score[k];
        x.score_kept += in[k] ? score[k] : 0;
        x.least = in[k] && score[k] < x.least ? score[k] : x.least;
        x.most = !in[k] && score[k] > x.most ? score[k] : x.most;
        if (!count) {
            json_array_append_new(never, json_integer(k));
            j->sum->n_never++;
            j->sum->n_never_kept += in[k];
        }
    }
    for (uint32_t d = 0; d < j->n_src; d++)
        source_loss(j, d, i, share + (size_t)d * n, in, kept, &x);
    double stays = part(x.score_kept, x.score, 1);
    json_object_set_new(o, "score_lost", json_real(1 - stays));
    json_object_set_new(o, "tokens_lost", json_real(1 - x.tokens_kept));
    if (!(s->unknown & SUM_BIT(SUM_REAP)))
        json_object_set_new(o, "reap_sum_lost", json_real(1 - x.reap_kept));
    json_object_set_new(o, "lowest_kept", json_real(x.least));
    json_object_set_new(o, "highest_removed", j->n_keep < n ? json_real(x.most) : json_null());
    if (j->n_src > 1)
        json_object_set(o, "score_kept_by_source", kept);
    if (json_array_size(never))
        json_object_set(o, "never_routed", never);
    json_decref(kept);
    json_decref(never);
    free(in);
    j->sum->score_kept += stays / s->n_layers;
    j->sum->tokens_kept += x.tokens_kept / s->n_layers;
    return o;
}

/* What a profile was made from, to be published with the plan: names of files, not where they lay. */
static json_t *without_paths(const json_t *calibration)
{
    json_t *c = json_deep_copy(calibration), *file;
    size_t i;
    json_array_foreach (json_object_get(c, "files"), i, file) {
        const char *path = json_string_value(json_object_get(file, "file"));
        if (path)
            json_object_set_new(file, "file", json_text(path_base(path)));
    }
    return c;
}

static json_t *sources(const struct job *j)
{
    json_t *a = json_array();
    for (uint32_t d = 0; d < j->n_src; d++) {
        char hex[65];
        struct err ignore = {0};
        json_t *x = json_object(), *cal = j->src[d].stats->calibration, *n = json_object_get(cal, "n_tokens");
        json_object_set_new(x, "stats", json_text(path_base(j->src[d].path)));
        if (sha256_file(j->src[d].path, hex, &ignore))
            json_object_set_new(x, "sha256", json_string(hex));
        if (j->n_src > 1) {
            json_object_set_new(x, "weight", json_real(j->src[d].weight));
            json_object_set_new(x, "score_kept", json_real(j->kept[d]));
        }
        if (n)
            json_object_set_new(x, "n_tokens",
                                json_integer((json_int_t)stats_tokens(&j->src[d].stats->layers[0])));
        if (cal)
            json_object_set_new(x, "calibration", without_paths(cal));
        json_array_append_new(a, x);
    }
    return a;
}

static void put_ids(json_t *o, uint32_t il, const uint32_t *ids, uint32_t n)
{
    char key[16];
    json_t *a = json_array();
    for (uint32_t k = 0; k < n; k++)
        json_array_append_new(a, json_integer(ids[k]));
    snprintf(key, sizeof key, "%u", il);
    json_object_set_new(o, key, a);
}

static json_t *fixed_json(const struct job *j)
{
    const struct stats *s = j->src[0].stats;
    json_t *o = json_object();
    uint32_t *ids = xcalloc(s->n_experts, sizeof *ids);
    for (uint32_t i = 0; i < s->n_layers; i++) {
        uint32_t n = 0;
        for (uint32_t k = 0; k < s->n_experts; k++)
            if (j->fixed[(size_t)i * s->n_experts + k])
                ids[n++] = k;
        if (n)
            put_ids(o, s->layers[i].il, ids, n);
    }
    free(ids);
    return o;
}

static json_t *doc_start(uint32_t n_keep, uint32_t n_experts)
{
    json_t *d = json_object();
    json_object_set_new(d, "schema", json_string("reap.plan/1"));
    json_object_set_new(d, "version", json_string(REAP_VERSION));
    json_object_set_new(d, "n_keep", json_integer(n_keep));
    if (n_experts)
        json_object_set_new(d, "n_experts", json_integer(n_experts));
    return d;
}

static struct plan *build(struct job *j, struct err *e)
{
    const struct stats *s = j->src[0].stats;
    struct plan *p = xcalloc(1, sizeof *p);
    json_t *keep = json_object(), *lost = json_object();
    double *share = xcalloc(((size_t)j->n_src + 1) * s->n_experts, sizeof *share);
    double *score = share + (size_t)j->n_src * s->n_experts;
    bool ok = true;
    p->n_keep = j->n_keep;
    p->layers = xcalloc(s->n_layers, sizeof *p->layers);
    for (uint32_t i = 0; ok && i < s->n_layers; i++) {
        struct plan_layer *l = &p->layers[p->n_layers++];
        char key[16];
        l->il = s->layers[i].il;
        l->keep = xcalloc(j->n_keep, sizeof *l->keep);
        if (!(ok = layer_scores(j, i, share, score, e)))
            break;
        choose(j, i, share, score, l->keep);
        put_ids(keep, l->il, l->keep, j->n_keep);
        snprintf(key, sizeof key, "%u", l->il);
        json_object_set_new(lost, key, layer_loss(j, i, share, score, l));
    }
    free(share);
    json_t *d = p->doc = doc_start(j->n_keep, s->n_experts);
    json_object_set_new(d, "criterion", json_string(j->criterion->name));
    if (j->criterion->form == CRITERION_CHANCE)
        json_object_set_new(d, "seed", json_integer((json_int_t)j->o->seed));
    if (j->n_src > 1)
        json_object_set_new(d, "blend", json_string(j->o->blend == BLEND_MAXMIN ? "maxmin" : "mean"));
    json_object_set(d, "model", s->model);
    json_object_set_new(d, "sources", sources(j));
    if (j->sum->n_protected)
        json_object_set_new(d, "protected", fixed_json(j));
    json_object_set_new(d, "keep", keep);
    json_object_set_new(d, "lost", lost);
    if (ok)
        return p;
    plan_free(p);
    return NULL;
}

/* Each source alone, and against the model and the first one. */
static bool check_sources(const struct plan_source *src, uint32_t n, const struct view *v,
                          const struct plan_opts *o, struct err *e)
{
    for (uint32_t d = 0; d < n; d++) {
        const struct stats *s = src[d].stats;
        if (stats_tokens(&s->layers[0]) == 0)
            return err_set(e, ERR_INPUT, "%s: holds no token at all, nothing can be ranked", src[d].path);
        if (stats_unfinished(s))
            log_warn("'%s' is of a profile that has not ended", src[d].path);
        if (json_object_get(s->calibration, "shard"))
            log_warn("'%s' is one shard of a run; reap stats merge adds them up", src[d].path);
        if (v) {
            char what[300];
            snprintf(what, sizeof what, "stats file '%.250s'", src[d].path);
            if (!view_match(v, s->model, what, e)) {
                if (!o->force)
                    return false;
                log_warn("%s (--force)", e->msg);
                err_clear(e);
            }
            if (!same_layers(s, v, what, e))
                return false;
        }
        if (d && !stats_same_model(src[0].stats, src[0].path, s, src[d].path, e))
            return false;
        if (o->blend == BLEND_MAXMIN && src[d].weight != src[0].weight)
            return err_set(e, ERR_INPUT,
                           "%s: weights mean nothing to --blend maxmin, where the worst source decides",
                           src[d].path);
    }
    return true;
}

static void say_counts(const struct job *j, uint32_t n_experts, const struct plan_opts *o)
{
    uint32_t n = j->n_keep;
    if (j->sum->n_asked != n && !o->round_to)
        log_note(
            "note: %u experts asked for, %u stay: the router needs at least %u, and equal numbers in %u group%s",
            j->sum->n_asked, n, j->shape.n_used, j->shape.n_groups, j->shape.n_groups == 1 ? "" : "s");
    if (!fused_count(n) && fused_count(n_experts))
        log_note(
            "note: with %u experts the CUDA backend of llama.cpp routes unfused (same result, some speed); powers of two up to 512, "
            "288 and 576 are fused",
            n);
}

struct plan *plan_blend(const struct plan_source *src, uint32_t n_src, const struct view *v,
                        const struct plan_opts *o, struct plan_summary *sum, struct err *e)
{
    const struct stats *s = src[0].stats;
    struct job j = {.src = src,
                    .n_src = n_src,
                    .o = o,
                    .criterion = o->criterion ? o->criterion : criterion_default(),
                    .sum = sum};
    *sum = (struct plan_summary){.n_experts = s->n_experts, .n_layers = s->n_layers};
    if ((v && !view_check_prunable(v, e)) || !check_sources(src, n_src, v, o, e))
        return NULL;
    if (!shape_of_stats(s, &j.shape, e) || !plan_count(v ? &v->shape : &j.shape, v, o, &j.n_keep, e)) {
        err_ctx(e, "%s", src[0].path);
        return NULL;
    }
    j.shape = v ? v->shape : j.shape;
    sum->n_keep = j.n_keep;
    sum->n_asked = o->kind == FIT_BYTES ? j.n_keep : asked_count(&j.shape, o);
    if (v) {
        sum->bytes_before = v->bytes;
        sum->bytes_after = cut_bytes_at(v, j.n_keep);
    }
    j.fixed = xcalloc((size_t)s->n_layers, s->n_experts);
    j.kept = xcalloc(n_src, sizeof *j.kept);
    struct plan *p = NULL;
    if ((!o->protect_super || fix_super(&j, e)) && (!o->protect || fix_lists(&j, o->protect, e)) &&
        check_fixed(&j, e))
        p = build(&j, e);
    if (p)
        say_counts(&j, s->n_experts, o);
    free(j.kept);
    free(j.fixed);
    return p;
}

struct plan *plan_make(const struct stats *s, const struct view *v, const struct plan_opts *o,
                       struct plan_summary *sum, struct err *e)
{
    const struct plan_source src = {s, o->stats_path, 1};
    return plan_blend(&src, 1, v, o, sum, e);
}

/* ---- from somebody else's lists ---- */

/* Experts per layer: by the model, by the file, or by lists that rank all of them. 0: not known. */
static uint32_t experts_of(const struct id_lists *l, const struct view *v)
{
    uint32_t n = l->l[0].n;
    if (v)
        return v->shape.n_experts;
    if (l->n_experts || l->is_keep)
        return l->n_experts;
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->l[i].n != n)
            return 0;
        for (uint32_t k = 0; k < n; k++)
            if (l->l[i].ids[k] >= n)
                return 0;
    }
    return n;
}

static bool list_count(const struct id_lists *l, bool counted, const struct view *v, uint32_t n_experts,
                       const struct plan_opts *o, uint32_t *out, struct err *e)
{
    const struct shape guess = {n_experts, 1, 1, 1};
    *out = l->l[0].n;
    if (counted && l->is_keep)
        return err_set(e, ERR_INPUT, "already says who stays; --keep and its like are for rankings");
    if (counted && !n_experts && o->kind != KEEP_COUNT)
        return err_set(e, ERR_INPUT, "does not rank all experts, so a ratio says nothing without --model");
    if (counted && n_experts)
        return plan_count(v ? &v->shape : &guess, v, o, out, e);
    if (counted)
        *out = (uint32_t)o->value;
    return *out > 0 || err_set(e, ERR_INPUT, "layer %u keeps no expert", l->l[0].il);
}

static bool take_list(const struct id_list *l, bool counted, uint32_t n_keep, uint32_t n_experts,
                      struct plan_layer *out, struct err *e)
{
    if (counted ? l->n < n_keep : l->n != n_keep)
        return err_set(e, ERR_INPUT, "layer %u lists %u experts, expected %s%u%s", l->il, l->n,
                       counted ? "at least " : "", n_keep, counted ? "" : " as in the first layer");
    out->il = l->il;
    out->keep = xcalloc(n_keep, sizeof *out->keep);
    for (uint32_t k = 0; k < n_keep; k++) {
        out->keep[k] = l->ids[k];
        if (n_experts && l->ids[k] >= n_experts)
            return err_set(e, ERR_INPUT, "layer %u: expert %u of %u", l->il, l->ids[k], n_experts);
    }
    qsort(out->keep, n_keep, sizeof *out->keep, by_id);
    return true;
}

struct plan *plan_from_lists(const struct id_lists *l, const char *path, bool counted, const struct view *v,
                             const struct plan_opts *o, struct err *e)
{
    uint32_t n_experts = experts_of(l, v);
    char hex[65];
    struct plan *p = xcalloc(1, sizeof *p);
    json_t *keep = json_object(), *source = json_object(), *list = json_array();
    bool ok = (!v || view_check_prunable(v, e)) &&
              (list_count(l, counted, v, n_experts, o, &p->n_keep, e) || err_ctx(e, "%s", path));
    p->layers = xcalloc(l->n, sizeof *p->layers);
    for (uint32_t i = 0; ok && i < l->n; i++) {
        ok = take_list(&l->l[i], counted, p->n_keep, n_experts, &p->layers[p->n_layers++], e) ||
             err_ctx(e, "%s", path);
        if (ok)
            put_ids(keep, p->layers[i].il, p->layers[i].keep, p->n_keep);
    }
    ok = ok && sha256_file(path, hex, e);
    p->doc = doc_start(p->n_keep, n_experts);
    if (ok) {
        json_object_set_new(source, "keep_list", json_text(path_base(path)));
        json_object_set_new(source, "sha256", json_string(hex));
    }
    json_array_append_new(list, source);
    if (v)
        json_object_set_new(p->doc, "model", view_identity(v));
    json_object_set_new(p->doc, "sources", list);
    json_object_set_new(p->doc, "keep", keep);
    if (ok && (!v || plan_check(p, v, path, false, e)))
        return p;
    plan_free(p);
    return NULL;
}
