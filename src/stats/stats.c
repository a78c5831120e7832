/* stats.c - the sums and their invariants; see stats.h. */
#include "stats/stats.h"
#include "base/mem.h"
#include "stats/pairs.h"

#include <math.h>
#include <string.h>

const struct sum_info sum_infos[N_SUMS] = {
    [SUM_GATE] = {.key = "gate_sum", .off = offsetof(struct sums, gate_sum), .any_sign = true},
    [SUM_GATE_SQ] = {.key = "gate_sq_sum", .off = offsetof(struct sums, gate_sq_sum)},
    [SUM_EAN] = {.key = "ean_sum", .off = offsetof(struct sums, ean_sum)},
    [SUM_EAN_SQ] = {.key = "ean_sq_sum", .off = offsetof(struct sums, ean_sq_sum)},
    [SUM_REAP] = {.key = "reap_sum", .off = offsetof(struct sums, reap_sum)},
    [SUM_REAP_SQ] = {.key = "reap_sq_sum", .off = offsetof(struct sums, reap_sq_sum)},
    [SUM_MAX] = {.key = "max_activation", .off = offsetof(struct sums, max_activation), .is_max = true},
    [SUM_LOO] = {.key = "loo_sum", .off = offsetof(struct sums, loo_sum), .optional = true},
    [SUM_LOO_SQ] = {.key = "loo_sq_sum", .off = offsetof(struct sums, loo_sq_sum), .optional = true},
    [SUM_GATE_MASS] = {.key = "gate_mass",
                       .off = offsetof(struct sums, gate_mass),
                       .optional = true,
                       .unrouted = true},
};
_Static_assert(sizeof(struct sums) == N_SUMS * sizeof(double) + sizeof(uint64_t), "every sum has a row");

double *sum_of(struct sums *x, enum sum k)
{
    return (double *)(void *)((char *)x + sum_infos[k].off);
}

double sum_value(const struct sums *x, enum sum k)
{
    return *(const double *)(const void *)((const char *)x + sum_infos[k].off);
}

void sums_add(struct sums *x, const struct sums *y)
{
    for (int k = 0; k < N_SUMS; k++) {
        double *to = sum_of(x, (enum sum)k), v = sum_value(y, (enum sum)k);
        if (!sum_infos[k].is_max)
            *to += v;
        else if (v > *to)
            *to = v;
    }
}

struct stats *stats_new(uint32_t n_layers, uint32_t n_experts)
{
    struct stats *s = xcalloc(1, sizeof *s);
    s->n_layers = n_layers;
    s->n_experts = n_experts;
    s->n_groups = s->n_groups_used = 1;
    s->unknown = SUM_BIT(SUM_GATE_MASS);
    s->layers = xcalloc(n_layers, sizeof *s->layers);
    for (uint32_t i = 0; i < n_layers; i++)
        for (int h = 0; h < 2; h++)
            s->layers[i].half[h] = xcalloc(n_experts, sizeof(struct sums));
    return s;
}

struct stats_layer *stats_new_mtp(struct stats *s, uint32_t il, uint32_t n_used)
{
    uint32_t n = s->n_layers + s->n_mtp++;
    s->layers = xrealloc(s->layers, n + 1, sizeof *s->layers);
    s->layers[n] = (struct stats_layer){.il = il, .n_used = n_used};
    for (int h = 0; h < 2; h++)
        s->layers[n].half[h] = xcalloc(s->n_experts, sizeof(struct sums));
    return &s->layers[n];
}

bool stats_unfinished(const struct stats *s)
{
    return s->progress && isnan(s->progress->settled_at);
}

void stats_free(struct stats *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n_layers + s->n_mtp; i++)
        for (int h = 0; h < 2; h++)
            free(s->layers[i].half[h]);
    free(s->layers);
    json_decref(s->model);
    json_decref(s->calibration);
    free(s->progress);
    pairs_free(s->pairs);
    json_decref(s->import);
    free(s);
}

#define SUM_BITS_LOO (SUM_BIT(SUM_LOO) | SUM_BIT(SUM_LOO_SQ))

static bool chooses_one(const struct stats *s)
{
    for (uint32_t i = 0; i < s->n_layers; i++)
        if (s->layers[i].n_used < 2)
            return true;
    return false;
}

void stats_set_router(struct stats *s, enum router r)
{
    s->router = r;
    s->unknown = r == ROUTER_RENORMALISED && !chooses_one(s) ? 0 : SUM_BITS_LOO;
    s->unknown |= r == ROUTER_SOFTMAX ? 0 : SUM_BIT(SUM_GATE_MASS);
}

void stats_why_unknown(const struct stats *s, enum sum k, char out[200])
{
    static const char *const why[] = {
        [ROUTER_RENORMALISED] = "its router divides the weights by their sum over the chosen experts",
        [ROUTER_SOFTMAX] = "its router takes the weights from a softmax over all experts and does not "
                           "renormalise them over the chosen ones",
        [ROUTER_UNNORMALISED] = "its router weights each expert by itself and does not renormalise",
        [ROUTER_INPUT] = "its router multiplies the experts' input",
    };
    if (s->import)
        snprintf(out, 200, "imported from %.40s", stats_imported_from(s));
    else if (s->router == ROUTER_UNKNOWN)
        snprintf(out, 200, "an earlier version wrote it, or the routers of its layers differ");
    else if ((SUM_BIT(k) & SUM_BITS_LOO) && s->router == ROUTER_RENORMALISED)
        snprintf(out, 200,
                 chooses_one(s) ? "its router chooses one expert alone in some layer"
                                : "it was added up with a file of an earlier version");
    else
        snprintf(out, 200, "%s", why[s->router]);
}

static bool routed_ok(const struct stats *s, uint32_t il, const struct routed *r, uint32_t k, struct err *e)
{
    for (uint32_t a = 0; a < k; a++) {
        if (r[a].expert < 0 || (uint32_t)r[a].expert >= s->n_experts)
            return err_set(e, ERR_FAILED, "layer %u: a token was routed to expert %d of %u", il, r[a].expert,
                           s->n_experts);
        if (!isfinite(r[a].gate) || !isfinite(r[a].f_norm) || !isfinite(r[a].c_norm) ||
            !isfinite(r[a].f_max) || (!(s->unknown & SUM_BITS_LOO) && !isfinite(r[a].loo)))
            return err_set(e, ERR_FAILED,
                           "layer %u: the output or the weight of expert %d is not finite (%g, norm %g)", il,
                           r[a].expert, (double)r[a].gate, (double)r[a].f_norm);
        for (uint32_t b = 0; b < a; b++)
            if (r[b].expert == r[a].expert)
                return err_set(e, ERR_FAILED, "layer %u: a token was routed to expert %d twice", il,
                               r[a].expert);
    }
    return true;
}

bool stats_add(struct stats *s, uint32_t i, enum half h, const struct routed *r, uint32_t k, struct err *e)
{
    struct stats_layer *l = &s->layers[i];
    if (!routed_ok(s, l->il, r, k, e))
        return false;
    bool loo = !(s->unknown & SUM_BITS_LOO);
    for (uint32_t a = 0; a < k; a++) {
        struct sums *x = &l->half[h][r[a].expert];
        double g = (double)r[a].gate, f = (double)r[a].f_norm, c = (double)r[a].c_norm;
        x->count++;
        x->gate_sum += g;
        x->gate_sq_sum += g * g;
        x->ean_sum += f;
        x->ean_sq_sum += f * f;
        x->reap_sum += c;
        x->reap_sq_sum += c * c;
        if ((double)r[a].f_max > x->max_activation)
            x->max_activation = (double)r[a].f_max;
        if (loo) {
            x->loo_sum += (double)r[a].loo;
            x->loo_sq_sum += (double)r[a].loo * (double)r[a].loo;
        }
    }
    if (s->pairs && i < s->n_layers)
        pairs_add_token(s->pairs, i, h, r, k);
    l->tokens[h]++;
    return true;
}

bool stats_add_gates(struct stats *s, uint32_t i, enum half h, uint32_t n_tokens, const float *p,
                     struct err *e)
{
    struct sums *x = s->layers[i].half[h];
    for (uint32_t t = 0; t < n_tokens; t++)
        for (uint32_t j = 0; j < s->n_experts; j++) {
            float v = p[(size_t)t * s->n_experts + j];
            if (!(v >= 0 && v <= 1.001f))
                return err_set(e, ERR_FAILED,
                               "layer %u: the router gives expert %u a share of %g, expected 0 to 1",
                               s->layers[i].il, j, (double)v);
            x[j].gate_mass += (double)v;
        }
    return true;
}

struct sums stats_total(const struct stats_layer *l, uint32_t j)
{
    struct sums x = l->half[EVEN][j];
    x.count += l->half[ODD][j].count;
    sums_add(&x, &l->half[ODD][j]);
    return x;
}

uint64_t stats_tokens(const struct stats_layer *l)
{
    return l->tokens[EVEN] + l->tokens[ODD];
}

bool stats_read_groups(struct stats *s, struct err *e)
{
    uint64_t groups = 1, used = 1;
    if (json_object_get(s->model, "n_expert_groups") &&
        (!json_need_u64(s->model, "n_expert_groups", "model", &groups, e) ||
         !json_need_u64(s->model, "n_expert_groups_used", "model", &used, e)))
        return false;
    if (groups < 1 || groups >= s->n_experts + (groups == 1) || s->n_experts % groups || used < 1 ||
        used > groups)
        return err_set(e, ERR_INPUT, "model: %llu of %llu expert groups do not fit %u experts",
                       (unsigned long long)used, (unsigned long long)groups, s->n_experts);
    s->n_groups = (uint32_t)groups;
    s->n_groups_used = (uint32_t)used;
    return true;
}

bool stats_shard(const struct stats *s, uint64_t *index, uint64_t *of, struct err *e)
{
    const json_t *shard = json_object_get(s->calibration, "shard");
    *index = *of = 0;
    if (!shard)
        return true;
    if (!json_is_object(shard))
        return err_set(e, ERR_INPUT, "calibration.shard is %s, expected an object", json_type_name(shard));
    return json_need_u64(shard, "index", "calibration.shard", index, e) &&
           json_need_u64(shard, "of", "calibration.shard", of, e) &&
           ((*index >= 1 && *index <= *of) || err_set(e, ERR_INPUT, "is shard %llu of %llu",
                                                      (unsigned long long)*index, (unsigned long long)*of));
}

bool stats_aside(const struct stats *s, struct stats_aside *a, struct err *e)
{
    static const char where[] = "calibration.set_aside";
    const json_t *o = json_object_get(s->calibration, "set_aside");
    *a = (struct stats_aside){0};
    if (!o || json_is_null(o))
        return true;
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "%s is %s, expected an object", where, json_type_name(o));
    return json_opt_f64(o, "share", where, &a->share, e) &&
           json_need_u64(o, "n_choice", where, &a->n_choice, e) &&
           json_need_u64(o, "n_check", where, &a->n_check, e) &&
           json_need_str(o, "sha256", where, &a->sha256, e) &&
           ((a->share > 0 && a->share < 1) ||
            err_set(e, ERR_INPUT, "%s.share is %g, expected above 0 and below 1", where, a->share));
}

const char *stats_imported_from(const struct stats *s)
{
    const char *from = json_string_value(json_object_get(s->import, "format"));
    return from ? from : s->import ? "another tool" : NULL;
}

static bool check_sums(const struct sums *x, uint32_t il, uint32_t expert, struct err *e)
{
    for (int k = 0; k < N_SUMS; k++) {
        double v = sum_value(x, (enum sum)k);
        if (sum_infos[k].any_sign && !isfinite(v))
            return err_set(e, ERR_INPUT, "layer %u, expert %u: %s is not finite", il, expert,
                           sum_infos[k].key);
        if (!sum_infos[k].any_sign && (!isfinite(v) || v < 0))
            return err_set(e, ERR_INPUT,
                           "layer %u, expert %u: a sum is %g, expected a finite number of 0 or more", il,
                           expert, v);
    }
    return !(x->count == 0 && (x->ean_sum > 0 || x->reap_sum > 0 || x->loo_sum > 0)) ||
           err_set(e, ERR_INPUT, "layer %u, expert %u: sums without a single token", il, expert);
}

/* A softmax gives each token to all experts together once. */
static bool check_mass(const struct stats *s, const struct stats_layer *l, int h, struct err *e)
{
    double mass = 0, tokens = (double)l->tokens[h];
    for (uint32_t j = 0; j < s->n_experts; j++)
        mass += l->half[h][j].gate_mass;
    return (s->unknown & SUM_BIT(SUM_GATE_MASS)) || fabs(mass - tokens) <= 1e-3 * tokens ||
           err_set(e, ERR_INPUT, "layer %u: '%s' adds up to %g, expected the %llu tokens", l->il,
                   sum_infos[SUM_GATE_MASS].key, mass, (unsigned long long)l->tokens[h]);
}

static bool check_half(const struct stats *s, const struct stats_layer *l, int h, struct err *e)
{
    uint64_t sum = 0;
    for (uint32_t j = 0; j < s->n_experts; j++) {
        const struct sums *x = &l->half[h][j];
        if (__builtin_add_overflow(sum, x->count, &sum))
            return err_set(e, ERR_INPUT, "layer %u: the counts are too large", l->il);
        if (!check_sums(x, l->il, j, e))
            return false;
    }
    uint64_t want;
    if (!mul_u64(l->tokens[h], l->n_used, &want))
        return err_set(e, ERR_INPUT, "layer %u: %llu tokens are too many, the counts add up to %llu", l->il,
                       (unsigned long long)l->tokens[h], (unsigned long long)sum);
    if (sum != want)
        return err_set(
            e, ERR_INPUT, "layer %u: the counts add up to %llu, expected %llu tokens x top-%u = %llu", l->il,
            (unsigned long long)sum, (unsigned long long)l->tokens[h], l->n_used, (unsigned long long)want);
    return check_mass(s, l, h, e);
}

bool stats_check(const struct stats *s, struct err *e)
{
    for (uint32_t i = 0; i < s->n_layers + s->n_mtp; i++) {
        const struct stats_layer *l = &s->layers[i];
        for (int h = 0; h < 2; h++) {
            if (!s->import && l->tokens[h] != s->layers[0].tokens[h])
                return err_set(e, ERR_INPUT, "layer %u has seen %llu tokens, layer %u %llu", l->il,
                               (unsigned long long)l->tokens[h], s->layers[0].il,
                               (unsigned long long)s->layers[0].tokens[h]);
            if (!check_half(s, l, h, e))
                return false;
        }
    }
    return true;
}
