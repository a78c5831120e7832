/* losses.c - what a plan costs by the statistics, and what these are of; see make.h. */
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "plan/make_part.h"
#include "stats/summary.h"

#include <math.h>
#include <string.h>

struct sums_kept {                            /* of one layer, while its sources are gone through */
    double tokens_kept, reap_kept, mass_kept; /* shares, means over the sources by weight */
};

static double part(double kept, double total, double otherwise)
{
    return total > 0 ? kept / total : otherwise;
}

/* The share of the score that stays; 1 of none. */
static double kept_of(const struct merit *w, const uint8_t *in)
{
    return part(merit_kept(w, in), merit_total(w), 1);
}

/* The shares of source d that stay; returns that of its score. */
static double source_loss(struct job *j, uint32_t d, uint32_t i, const struct merit *w, const uint8_t *in,
                          struct sums_kept *l)
{
    const struct stats *s = j->src[d].stats;
    double routed = 0, routed_kept = 0, reap = 0, reap_kept = 0, weights = 0;
    for (uint32_t k = 0; k < s->n_experts; k++) {
        struct sums t = stats_total(&s->layers[i], k);
        routed += (double)t.count;
        reap += t.reap_sum;
        if (in[k]) {
            routed_kept += (double)t.count;
            reap_kept += t.reap_sum;
        }
    }
    for (uint32_t k = 0; k < j->n_src; k++)
        weights += j->src[k].weight;
    double weight = j->src[d].weight / weights, score = kept_of(w, in);
    l->tokens_kept += weight * part(routed_kept, routed, 1);
    l->reap_kept += weight * part(reap_kept, reap, 1);
    l->mass_kept += weight * summary_gate_mass(s, i, in);
    j->kept[d] += score / s->n_layers;
    return score;
}

/* Experts without a token in any source. */
static void find_never(struct job *j, uint32_t i, const uint8_t *in, struct plan_loss *l)
{
    uint32_t n = j->shape.n_experts;
    l->never = xcalloc(n, sizeof *l->never);
    for (uint32_t k = 0; k < n; k++) {
        uint64_t count = 0;
        for (uint32_t d = 0; d < j->n_src; d++)
            count |= stats_total(&j->src[d].stats->layers[i], k).count;
        if (count)
            continue;
        l->never[l->n_never++] = k;
        j->sum->n_never++;
        j->sum->n_never_kept += in[k];
    }
}

static void add_mass(struct plan_summary *sum, double kept, uint32_t n_layers, uint32_t il)
{
    sum->gate_mass += kept / n_layers; /* not a number in one layer: in all */
    if (kept < sum->gate_mass_least || isnan(sum->gate_mass_least)) {
        sum->gate_mass_least = kept;
        sum->gate_mass_layer = il;
    }
}

void plan_note_gates(struct job *j)
{
    const struct plan_summary *s = j->sum;
    if (s->gate_mass > 0 && 1 / s->gate_mass > PLAN_GATES_GROW)
        plan_note(j->sum, true,
                  xasprintf("the router does not renormalise: the gates of the experts that stay grow by a "
                            "factor of %.2f (%.2f in layer %u), which the model was not trained for",
                            1 / s->gate_mass, 1 / s->gate_mass_least, s->gate_mass_layer));
}

/* The scores at the cut; where there are none, not a number. */
static void at_the_cut(const double *score, uint32_t n, const uint8_t *in, struct plan_loss *l)
{
    uint32_t gone = 0;
    double least = INFINITY, most = 0;
    for (uint32_t k = 0; k < n; k++) {
        gone += !in[k];
        if (!score)
            continue;
        least = in[k] && score[k] < least ? score[k] : least;
        most = !in[k] && score[k] > most ? score[k] : most;
    }
    l->lowest_kept = score ? least : (double)NAN;
    l->highest_removed = score && gone ? most : (double)NAN;
}

void plan_layer_loss(struct job *j, uint32_t i, const struct layer_merit *w, const struct plan_layer *layer,
                     struct plan_loss *l)
{
    const struct stats *s = j->src[0].stats;
    uint32_t n = s->n_experts;
    struct sums_kept x = {0};
    const struct merit all = {.n = n, .score = w->score, .cost = w->mean.cost};
    uint8_t *in = xcalloc(n, 1);
    for (uint32_t k = 0; k < j->n_keep; k++)
        in[layer->keep[k]] = 1;
    at_the_cut(w->score, n, in, l);
    find_never(j, i, in, l);
    l->by_source = j->n_src > 1 ? xcalloc(j->n_src, sizeof *l->by_source) : NULL;
    l->n_by_source = j->n_src > 1 ? j->n_src : 0;
    for (uint32_t d = 0; d < j->n_src; d++) {
        const struct merit one = {.n = n, .score = w->share ? w->share + (size_t)d * n : NULL};
        double kept = source_loss(j, d, i, w->cost ? &w->cost[d] : &one, in, &x);
        if (l->by_source)
            l->by_source[d] = kept;
    }
    double stays = kept_of(&all, in);
    l->score = 1 - stays;
    l->tokens = 1 - x.tokens_kept;
    l->reap_sum = s->unknown & SUM_BIT(SUM_REAP) ? (double)NAN : 1 - x.reap_kept;
    l->gate_mass = 1 - x.mass_kept;
    free(in);
    j->sum->score_kept += stays / s->n_layers;
    j->sum->tokens_kept += x.tokens_kept / s->n_layers;
    add_mass(j->sum, x.mass_kept, s->n_layers, s->layers[i].il);
}

/* What a profile was made from, to be published with the plan: names of files, not where they lay. */
/* What may go with a model that is given away: no folders, no text of whoever made it. */
static json_t *without_private(const json_t *calibration)
{
    json_t *c = json_deep_copy(calibration), *file;
    size_t i;
    json_object_del(c, "samples");
    json_array_foreach (json_object_get(c, "files"), i, file) {
        const char *path = json_string_value(json_object_get(file, "file"));
        if (path)
            json_object_set_new(file, "file", json_text(path_base(path)));
    }
    return c;
}

void plan_set_origins(const struct job *j, struct plan *p)
{
    p->origins = xcalloc(j->n_src, sizeof *p->origins);
    p->n_origins = j->n_src;
    for (uint32_t d = 0; d < j->n_src; d++) {
        const struct stats *s = j->src[d].stats;
        struct plan_origin *x = &p->origins[d];
        bool several = j->n_src > 1;
        *x = (struct plan_origin){.stats = xstrdup(path_base(j->src[d].path)),
                                  .weight = several ? j->src[d].weight : (double)NAN,
                                  .score_kept = several ? j->kept[d] : (double)NAN,
                                  .n_tokens = -1};
        if (*s->sha256)
            x->sha256 = xstrdup(s->sha256);
        if (json_object_get(s->calibration, "n_tokens"))
            x->n_tokens = (int64_t)stats_tokens(&s->layers[0]);
        if (s->calibration)
            x->calibration = without_private(s->calibration);
    }
}
