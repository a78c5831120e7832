/* stats_show.c - see stats_show.h. Everything is computed first (stats/tables.h), then printed
 * (stats_part.h). */
#include "cmd/stats_show.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/stats_part.h"
#include "plan/make.h"
#include "stats/merge.h"

static void set_counts(const struct stats *s, uint32_t keep[TABLE_RATIOS])
{
    struct shape sh = shape_of_stats(s);
    for (size_t k = 0; k < TABLE_RATIOS; k++)
        keep[k] = shape_at_ratio(&sh, table_ratios[k]);
}

static bool show_one(const struct stats_show *o, struct err *e)
{
    struct table t;
    struct buf b = {0};
    uint32_t keep[TABLE_RATIOS];
    set_counts(o->s[0], keep);
    bool ok = table_make(&t, o->s[0], o->criterion, keep, e) || err_ctx(e, "%s", o->path[0]);
    if (ok && cmd_json) {
        ok = cmd_print_json("stats", stats_one_json(&t, o->view), e);
    } else if (ok) {
        stats_one_text(&b, &t, o->view);
        ok = cmd_print(&b, e);
    }
    table_clear(&t);
    return ok;
}

static bool show_several(const struct stats_show *o, struct err *e)
{
    uint32_t keep[TABLE_RATIOS];
    struct buf b = {0};
    set_counts(o->s[0], keep);
    for (uint32_t f = 1; f < o->n; f++)
        if (!stats_same_model(o->s[0], o->path[0], o->s[f], o->path[f], e))
            return false;
    struct table_pair *pairs = xcalloc((size_t)o->n * (o->n - 1) / 2, sizeof *pairs);
    uint8_t *low = table_low_in_all(o->s, o->path, o->n, o->criterion, e);
    const struct stats_several x = {o, keep, pairs, low};
    bool ok = low != NULL;
    for (uint32_t f = 0, i = 0; f < o->n; f++)
        for (uint32_t g = f + 1; ok && g < o->n; g++)
            ok = table_pair(o->s[f], o->s[g], o->criterion, keep, &pairs[i++], e);
    if (ok && cmd_json) {
        ok = cmd_print_json("stats", stats_several_json(&x), e);
    } else if (ok) {
        stats_several_text(&b, &x);
        ok = cmd_print(&b, e);
    }
    free(low);
    free(pairs);
    return ok;
}

bool stats_show(const struct stats_show *o, struct err *e)
{
    return o->n == 1 ? show_one(o, e) : show_several(o, e);
}
