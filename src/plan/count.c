/* count.c - how many experts stay; see make.h. */
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/cut.h"
#include "plan/make_part.h"

/* The nearest possible count from n upwards (step 1) or downwards (-1) that is a multiple of m; 0: none. */
static uint32_t possible(const struct shape *s, uint32_t n, uint32_t m, int step)
{
    for (int64_t k = n; k >= 1 && k <= s->n_experts; k += step)
        if (k % m == 0 && shape_keep_ok(s, (uint64_t)k))
            return (uint32_t)k;
    return 0;
}

uint32_t plan_asked_count(const struct shape *s, const struct plan_opts *o)
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
        if (cut_bytes_with(v, n, &o->cut) <= o->fit) {
            *out = n;
            return true;
        }
    uint32_t least = possible(s, 1, m, 1);
    return err_set(e, ERR_INPUT, "--fit %s: even with %u of %u experts the model has %s",
                   human_bytes(o->fit, a), least, s->n_experts,
                   human_bytes(cut_bytes_with(v, least, &o->cut), b));
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
    uint32_t n = plan_asked_count(s, o);
    *out = possible(s, n, m, 1);
    if (!*out)
        return err_set(e, ERR_INPUT,
                       "no count of experts from %u to %u is a multiple of %u that the router allows", n,
                       s->n_experts, m);
    return true;
}

/* The least share that can go, in per cent. */
static double least_share(const struct shape *s)
{
    uint32_t n = s->n_experts > 1 ? possible(s, s->n_experts - 1, 1, -1) : 0;
    return n ? 100.0 * (s->n_experts - n) / s->n_experts : 100;
}

bool plan_removes(const struct shape *s, const struct view *v, const struct plan_opts *o, uint32_t n_keep,
                  bool only_warns, struct err *e)
{
    char a[32], b[32], why[160];
    double goes = o->kind == KEEP_COUNT ? 0 : o->kind == KEEP_RATIO ? 1 - o->value : o->value;
    if (n_keep < s->n_experts)
        return true;
    if (o->kind == FIT_BYTES)
        snprintf(why, sizeof why, "the model fits into %s %s (%s of tensors)", human_bytes(o->fit, a),
                 o->cut.drop_mtp ? "without its MTP blocks" : "as it is",
                 human_bytes(v ? cut_bytes_with(v, n_keep, &o->cut) : 0, b));
    else if (goes > 0)
        snprintf(why, sizeof why, "%.4g %% of %u experts is less than can go, the least is %.4g %%",
                 100 * goes, s->n_experts, least_share(s));
    else
        snprintf(why, sizeof why, "all %u experts stay", s->n_experts);
    if (!only_warns)
        return err_set(e, ERR_INPUT, "nothing would be removed: %s", why);
    log_warn("nothing is removed: %s", why);
    return true;
}

struct shape shape_of_stats(const struct stats *s)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < s->n_layers; i++)
        if (s->layers[i].n_used > used)
            used = s->layers[i].n_used;
    return (struct shape){s->n_experts, used, s->n_groups, s->n_groups_used};
}

void plan_note_counts(struct job *j)
{
    uint32_t n = j->n_keep;
    const struct shape *s = &j->shape;
    if (j->sum->n_asked != n && !j->o->round_to)
        plan_note(j->sum, false,
                  xasprintf("note: %u experts asked for, %u stay: the router needs at least %u, and equal "
                            "numbers in %u group%s",
                            j->sum->n_asked, n, s->n_used, s->n_groups, s->n_groups == 1 ? "" : "s"));
}
