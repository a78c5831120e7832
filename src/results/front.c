/* front.c - what comes of the points of a sweep: which are worth having, and in words whether pruning is. See sweep.h. */
#include "base/text.h"
#include "results/sweep.h"

#include <math.h>
#include <string.h>

static bool whole(const struct sweep_file *f, uint32_t i)
{
    return f->points[i].n_keep >= f->n_experts;
}

bool sweep_has_types(const struct sweep_file *f)
{
    for (uint32_t i = 0; i < f->n_points; i++)
        if (f->points[i].type)
            return true;
    return false;
}

/* Nearer to the base, or as near and smaller. */
static bool better(const struct sweep_file_point *a, const struct sweep_file_point *b)
{
    return a->r.kl_mean < b->r.kl_mean || (a->r.kl_mean == b->r.kl_mean && a->bytes < b->bytes);
}

static bool smaller(const struct sweep_file_point *a, const struct sweep_file_point *b)
{
    return a->bytes < b->bytes || (a->bytes == b->bytes && a->r.kl_mean < b->r.kl_mean);
}

int sweep_choose(const struct sweep_file *f)
{
    int best = -1;
    for (uint32_t i = 0; i < f->n_points; i++) {
        const struct sweep_file_point *p = &f->points[i];
        if (!pass_holds(&f->pass, &p->r) || (f->fit ? p->bytes > f->fit : p->bytes >= f->bytes))
            continue;
        if (best < 0 || (f->fit ? better : smaller)(p, &f->points[best]))
            best = (int)i;
    }
    return best;
}

bool sweep_on_front(const struct sweep_file *f, uint32_t i)
{
    const struct sweep_file_point *p = &f->points[i];
    if (!p->bytes || isnan(p->r.kl_mean))
        return false;
    for (uint32_t k = 0; k < f->n_points; k++) {
        const struct sweep_file_point *q = &f->points[k];
        if (q->bytes && q->bytes <= p->bytes && q->r.kl_mean <= p->r.kl_mean &&
            (q->bytes < p->bytes || q->r.kl_mean < p->r.kl_mean))
            return false;
    }
    return true;
}

/* ---- in words ---- */

void sweep_put_name(const struct sweep_file *f, uint32_t i, struct buf *b)
{
    const struct sweep_file_point *p = &f->points[i];
    if (whole(f, i)) {
        buf_fmt(b, p->type ? "%.40s of the whole model" : "the model as it is", p->type);
        return;
    }
    buf_fmt(b, "%.3g %% pruned ", 100 * (1 - (double)p->n_keep / (double)f->n_experts));
    buf_fmt(b, p->type ? "in %.40s" : "as it is", p->type);
}

static void put_point(const struct sweep_file *f, uint32_t i, bool size, struct buf *b)
{
    char s[32];
    sweep_put_name(f, i, b);
    buf_str(b, " (");
    if (size)
        buf_fmt(b, "%s, ", human_bytes(f->points[i].bytes, s));
    buf_fmt(b, "KL %.3g)", f->points[i].r.kl_mean);
}

/* Of the pruned points of one type and count the best one; -1: point i is not it. */
static bool best_of_its_count(const struct sweep_file *f, uint32_t i)
{
    const struct sweep_file_point *p = &f->points[i];
    for (uint32_t k = 0; k < f->n_points; k++) {
        const struct sweep_file_point *q = &f->points[k];
        bool same = (!p->type && !q->type) || (p->type && q->type && !strcmp(p->type, q->type));
        if (k != i && same && q->n_keep == p->n_keep &&
            (q->r.kl_mean < p->r.kl_mean || (q->r.kl_mean == p->r.kl_mean && k < i)))
            return false;
    }
    return true;
}

/* The nearest to the base of those that take no more than point i; that may be i itself. */
static uint32_t best_at(const struct sweep_file *f, uint32_t i)
{
    uint32_t best = i;
    for (uint32_t k = 0; k < f->n_points; k++)
        if (f->points[k].bytes && f->points[k].bytes <= f->points[i].bytes &&
            better(&f->points[k], &f->points[best]))
            best = k;
    return best;
}

static bool differ(const struct eval_against *a, const struct eval_against *b)
{
    double error = hypot(a->kl_stderr, b->kl_stderr);
    return fabs(a->kl_mean - b->kl_mean) > 2 * (isnan(error) ? 0 : error);
}

void sweep_put_verdict(const struct sweep_file *f, struct buf *b)
{
    uint32_t n = 0, n_lost = 0, n_quantised = 0;
    for (uint32_t i = 0; sweep_has_types(f) && i < f->n_points; i++) {
        const struct sweep_file_point *p = &f->points[i];
        char s[32];
        if (p->type || whole(f, i) || !p->bytes || isnan(p->r.kl_mean) || !best_of_its_count(f, i))
            continue;
        uint32_t k = best_at(f, i);
        bool differs = k != i && differ(&f->points[k].r, &p->r);
        n++;
        n_lost += differs;
        n_quantised += differs && whole(f, k);
        buf_fmt(b, "at %s: ", human_bytes(p->bytes, s));
        put_point(f, k == i ? i : k, k != i, b);
        if (k == i) {
            buf_str(b, " is the best measured\n");
        } else {
            buf_str(b, differs ? " is better than " : " and ");
            put_point(f, i, false, b);
            buf_str(b, differs ? "\n" : " are not told apart by this text\n");
        }
    }
    if (!n)
        return;
    if (n_lost == n && n_quantised == n)
        buf_str(b, "quantising alone is better than pruning alone at every size measured\n");
    else if (n_lost)
        buf_fmt(b, "pruning alone is beaten at %u of %u sizes measured\n", n_lost, n);
    else
        buf_str(b, "pruning alone is not beaten at any size measured\n");
}
