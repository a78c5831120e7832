/* make.c - see make.h. */
#include "plan/make.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

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
        if (view_bytes_kept(v, n) <= o->fit) {
            *out = n;
            return true;
        }
    uint32_t least = possible(s, 1, m, 1);
    return err_set(e, ERR_INPUT, "--fit %s: even with %u of %u experts the model has %s",
                   human_bytes(o->fit, a), least, s->n_experts, human_bytes(view_bytes_kept(v, least), b));
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

/* ---- the file ---- */

static json_t *layer_loss(const struct stats *s, uint32_t i, const double *score, const struct plan_layer *l,
                          uint32_t n_keep, struct plan_summary *sum)
{
    double total = 0, kept = 0, routed = 0, routed_kept = 0, reap = 0, reap_kept = 0, least = INFINITY,
           most = 0;
    json_t *never = json_array(), *o = json_object();
    uint32_t next = 0;
    for (uint32_t j = 0; j < s->n_experts; j++) {
        struct sums t = stats_total(&s->layers[i], j);
        bool stays = next < n_keep && l->keep[next] == j;
        next += stays;
        total += score[j];
        kept += stays ? score[j] : 0;
        routed += (double)t.count;
        routed_kept += stays ? (double)t.count : 0;
        reap += t.reap_sum;
        reap_kept += stays ? t.reap_sum : 0;
        least = stays && score[j] < least ? score[j] : least;
        most = !stays && score[j] > most ? score[j] : most;
        if (!t.count) {
            json_array_append_new(never, json_integer(j));
            sum->n_never++;
            sum->n_never_kept += stays;
        }
    }
    double share = total > 0 ? kept / total : 1, tokens = routed > 0 ? routed_kept / routed : 1;
    json_object_set_new(o, "score_lost", json_real(1 - share));
    json_object_set_new(o, "tokens_lost", json_real(1 - tokens));
    if (!(s->unknown & SUM_REAP))
        json_object_set_new(o, "reap_sum_lost", json_real(reap > 0 ? 1 - reap_kept / reap : 0));
    json_object_set_new(o, "lowest_kept", json_real(least));
    json_object_set_new(o, "highest_removed", n_keep < s->n_experts ? json_real(most) : json_null());
    if (json_array_size(never))
        json_object_set(o, "never_routed", never);
    json_decref(never);
    sum->score_kept += share / s->n_layers;
    sum->tokens_kept += tokens / s->n_layers;
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

static json_t *sources(const struct plan_opts *o, const struct stats *s)
{
    char hex[65];
    struct err ignore = {0};
    json_t *a = json_array(), *x = json_object();
    json_object_set_new(x, "stats", json_text(path_base(o->stats_path)));
    if (sha256_file(o->stats_path, hex, &ignore))
        json_object_set_new(x, "sha256", json_string(hex));
    json_t *n = json_object_get(s->calibration, "n_tokens");
    if (n)
        json_object_set(x, "n_tokens", n);
    if (s->calibration)
        json_object_set_new(x, "calibration", without_paths(s->calibration));
    json_array_append_new(a, x);
    return a;
}

static struct plan *build(const struct stats *s, const struct shape *sh, const struct plan_opts *o,
                          uint32_t n_keep, struct plan_summary *sum, struct err *e)
{
    struct plan *p = xcalloc(1, sizeof *p);
    json_t *keep = json_object(), *lost = json_object();
    double *score = xcalloc(s->n_experts, sizeof *score);
    bool ok = true;
    p->n_keep = n_keep;
    p->layers = xcalloc(s->n_layers, sizeof *p->layers);
    for (uint32_t i = 0; ok && i < s->n_layers; i++) {
        struct plan_layer *l = &p->layers[p->n_layers++];
        char key[16];
        l->il = s->layers[i].il;
        l->keep = xcalloc(n_keep, sizeof *l->keep);
        if (!(ok = criterion_scores(s, i, o->criterion, o->seed, -1, score, e)))
            break;
        plan_choose(score, sh, n_keep, l->keep);
        json_t *ids = json_array();
        for (uint32_t k = 0; k < n_keep; k++)
            json_array_append_new(ids, json_integer(l->keep[k]));
        snprintf(key, sizeof key, "%u", l->il);
        json_object_set_new(keep, key, ids);
        json_object_set_new(lost, key, layer_loss(s, i, score, l, n_keep, sum));
    }
    free(score);
    json_t *d = p->doc = json_object();
    json_object_set_new(d, "schema", json_string("reap.plan/1"));
    json_object_set_new(d, "version", json_string(REAP_VERSION));
    json_object_set_new(d, "n_keep", json_integer(n_keep));
    json_object_set_new(d, "n_experts", json_integer(s->n_experts));
    json_object_set_new(d, "criterion", json_string(criterion_info(o->criterion)->name));
    if (o->criterion == CRIT_RANDOM)
        json_object_set_new(d, "seed", json_integer((json_int_t)o->seed));
    json_object_set(d, "model", s->model);
    json_object_set_new(d, "sources", sources(o, s));
    json_object_set_new(d, "keep", keep);
    json_object_set_new(d, "lost", lost);
    if (ok)
        return p;
    plan_free(p);
    return NULL;
}

struct plan *plan_make(const struct stats *s, const struct view *v, const struct plan_opts *o,
                       struct plan_summary *sum, struct err *e)
{
    struct shape sh;
    uint32_t n = 0;
    *sum = (struct plan_summary){.n_experts = s->n_experts, .n_layers = s->n_layers};
    const char *no = v ? view_refusal(v) : NULL;
    if (no) {
        err_set(e, ERR_INPUT, "%s: cannot be pruned: %s", v->path, no);
        return NULL;
    }
    if (stats_tokens(&s->layers[0]) == 0) {
        err_set(e, ERR_INPUT, "%s: holds no token at all, nothing can be ranked", o->stats_path);
        return NULL;
    }
    if (s->progress)
        log_warn("'%s' is of a profile that has not ended", o->stats_path);
    if (v) {
        char what[300];
        snprintf(what, sizeof what, "stats file '%.250s'", o->stats_path);
        if (!view_match(v, s->model, what, e)) {
            if (!o->force)
                return NULL;
            log_warn("%s (--force)", e->msg);
            err_clear(e);
        }
        if (!same_layers(s, v, what, e))
            return NULL;
    }
    if (!shape_of_stats(s, &sh, e) || !plan_count(v ? &v->shape : &sh, v, o, &n, e)) {
        err_ctx(e, "%s", o->stats_path);
        return NULL;
    }
    sum->n_keep = n;
    sum->n_asked = o->kind == FIT_BYTES ? n : asked_count(v ? &v->shape : &sh, o);
    if (sum->n_asked != n && !o->round_to)
        log_note(
            "note: %u experts asked for, %u stay: the router needs at least %u, and equal numbers in %u group%s",
            sum->n_asked, n, sh.n_used, sh.n_groups, sh.n_groups == 1 ? "" : "s");
    if (v) {
        sum->bytes_before = v->bytes;
        sum->bytes_after = view_bytes_kept(v, n);
    }
    struct plan *p = build(s, v ? &v->shape : &sh, o, n, sum, e);
    if (!p)
        err_ctx(e, "%s", o->stats_path);
    else if (!fused_count(n) && fused_count(s->n_experts))
        log_note(
            "note: with %u experts the CUDA backend of llama.cpp routes unfused (same result, some speed); powers of two up to 512, "
            "288 and 576 are fused",
            n);
    return p;
}
