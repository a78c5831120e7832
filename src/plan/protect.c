/* protect.c - which experts stay in any case; see make.h. */
#include "base/ids.h"
#include "base/mem.h"
#include "plan/make_part.h"
#include "stats/summary.h"

#include <math.h>

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

/* The best ceil(S x places) of each group by source d alone; who scores nothing there needs no place. */
static void best_of(const struct job *j, const double *score, uint8_t *in)
{
    uint32_t n = j->shape.n_experts, groups = j->shape.n_groups, each = j->n_keep / groups;
    uint32_t take = (uint32_t)ceil(j->o->protect_share * each - 1e-9); /* 0.28 * 25 is a little above 7 */
    criterion_choose(score, n, groups, (take ? take : 1) * groups, in);
    for (uint32_t k = 0; k < n; k++)
        in[k] = in[k] && score[k] > 0;
}

static bool fix_share(struct job *j, struct err *e)
{
    uint32_t n = j->shape.n_experts, n_layers = j->src[0].stats->n_layers;
    double *share = xcalloc(((size_t)j->n_src + 1) * n, sizeof *share);
    bool ok = true;
    j->best = xcalloc((size_t)j->n_src * n_layers, n);
    for (uint32_t i = 0; ok && i < n_layers; i++) {
        ok = plan_layer_scores(j, i, share, share + (size_t)j->n_src * n, e);
        for (uint32_t d = 0; ok && d < j->n_src; d++) {
            uint8_t *in = j->best + ((size_t)d * n_layers + i) * n;
            best_of(j, share + (size_t)d * n, in);
            for (uint32_t k = 0; k < n; k++)
                j->fixed[(size_t)i * n + k] |= in[k];
        }
    }
    free(share);
    return ok;
}

static bool check_fixed(struct job *j, struct err *e)
{
    const struct stats *s = j->src[0].stats;
    uint32_t groups = j->shape.n_groups, size = s->n_experts / groups, each = j->n_keep / groups;
    const char *less = j->best ? "; a smaller --protect-share protects fewer" : "";
    for (uint32_t i = 0; i < s->n_layers; i++)
        for (uint32_t g = 0; g < groups; g++) {
            uint32_t n = 0;
            for (uint32_t k = 0; k < size; k++)
                n += j->fixed[(size_t)i * s->n_experts + g * size + k];
            j->sum->n_protected += n;
            if (n > each && groups > 1)
                return err_set(e, ERR_INPUT,
                               "layer %u: %u experts of group %u are protected, but only %u stay of each%s",
                               s->layers[i].il, n, g, each, less);
            if (n > each)
                return err_set(e, ERR_INPUT, "layer %u: %u experts are protected, but only %u stay%s",
                               s->layers[i].il, n, each, less);
        }
    return true;
}

bool plan_protect(struct job *j, struct err *e)
{
    const struct plan_opts *o = j->o;
    return (!o->protect_super || fix_super(j, e)) && (!o->protect || fix_lists(j, o->protect, e)) &&
           (o->protect_share <= 0 || fix_share(j, e)) && check_fixed(j, e);
}

/* ---- in the plan ---- */

/* in[n_layers][n_experts] as block number -> ids. */
static json_t *ids_by_layer(const struct stats *s, const uint8_t *in)
{
    json_t *o = json_object();
    uint32_t *ids = xcalloc(s->n_experts, sizeof *ids);
    for (uint32_t i = 0; i < s->n_layers; i++) {
        uint32_t n = 0;
        for (uint32_t k = 0; k < s->n_experts; k++)
            if (in[(size_t)i * s->n_experts + k])
                ids[n++] = k;
        if (n)
            ids_set_layer(o, s->layers[i].il, ids_json(ids, n));
    }
    free(ids);
    return o;
}

void plan_set_protected(const struct job *j, struct plan *p)
{
    const struct stats *s = j->src[0].stats;
    if (j->sum->n_protected)
        p->fixed = ids_by_layer(s, j->fixed);
    if (!j->best)
        return;
    p->protect_share = j->o->protect_share;
    for (uint32_t d = 0; d < j->n_src; d++)
        p->origins[d].fixed = ids_by_layer(s, j->best + (size_t)d * s->n_layers * s->n_experts);
}
