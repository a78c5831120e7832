/* lib_stats.c - statistics of libreap; see reap.h. */
#include "base/mem.h"
#include "lib/lib_part.h"
#include "stats/criteria.h"
#include "stats/merge.h"

static reap_stats *wrap(struct stats *s, const char *path)
{
    reap_stats *x = s ? xmalloc(sizeof *x) : NULL;
    if (x)
        *x = (reap_stats){s, xstrdup(path)};
    return x;
}

reap_stats *reap_stats_open(const char *path, reap_error *error)
{
    struct call c;
    call_begin(&c);
    reap_stats *x = wrap(stats_load(path, &c.e), path);
    call_end(&c, x != NULL, error);
    return x;
}

void reap_stats_close(reap_stats *x)
{
    if (x) {
        stats_free(x->s);
        free(x->path);
    }
    free(x);
}

void reap_stats_get_info(const reap_stats *x, reap_stats_info *info)
{
    const struct stats *s = x->s;
    const reap_stats_info mine = {
        .model_name = json_string_value(json_object_get(s->model, "name")),
        .imported_from = stats_imported_from(s),
        .n_layers = s->n_layers,
        .n_experts = s->n_experts,
        .n_tokens = s->n_layers ? stats_tokens(&s->layers[0]) : 0,
        .unfinished = stats_unfinished(s),
    };
    give_struct(info, &mine, sizeof mine);
}

static bool check_layer(const struct stats *s, uint32_t i, struct err *e)
{
    return i < s->n_layers || err_set(e, ERR_INPUT, "layer %u of %u", i, s->n_layers);
}

int reap_stats_get_layer(const reap_stats *x, uint32_t i, uint32_t *block, uint64_t *counts,
                         reap_error *error)
{
    struct call c;
    call_begin(&c);
    bool ok = check_layer(x->s, i, &c.e);
    if (ok && block)
        *block = x->s->layers[i].il;
    for (uint32_t k = 0; ok && counts && k < x->s->n_experts; k++)
        counts[k] = stats_total(&x->s->layers[i], k).count;
    return call_end(&c, ok, error);
}

int reap_get_criterion(uint32_t i, reap_criterion *out)
{
    uint32_t n = 0;
    while (criterion_at(n))
        n++;
    const struct criterion *cr = i < n ? criterion_at(i) : NULL;
    if (!cr)
        return REAP_BAD_INPUT;
    const reap_criterion x = {
        .name = cr->name, .formula = cr->formula, .what = cr->what, .has_scores = criterion_has_scores(cr)};
    give_struct(out, &x, sizeof x);
    return REAP_OK;
}

int reap_stats_get_scores(const reap_stats *x, uint32_t i, const char *criterion, uint64_t seed,
                          double *scores, reap_error *error)
{
    struct call c;
    call_begin(&c);
    const struct criterion *cr = criterion ? criterion_find(criterion) : criterion_default();
    bool ok = (cr || err_set(&c.e, ERR_INPUT, "there is no criterion '%s'", criterion)) &&
              check_layer(x->s, i, &c.e) &&
              (criterion_scores(x->s, i, cr, seed, -1, scores, &c.e) || err_ctx(&c.e, "%s", x->path));
    return call_end(&c, ok, error);
}

int reap_stats_check(const reap_stats *x, reap_model *m, reap_error *error)
{
    struct call c;
    call_begin(&c);
    bool ok =
        model_check_trunk(m, &c.e) && view_hash(m->v, &c.e) && view_match(m->v, x->s->model, x->path, &c.e);
    return call_end(&c, ok, error);
}

reap_stats *reap_stats_merge(const reap_stats *const *stats, uint32_t n, int force, reap_error *error)
{
    struct call c;
    call_begin(&c);
    struct stats **s = xcalloc(n, sizeof *s);
    const char **path = xcalloc(n, sizeof *path);
    for (uint32_t i = 0; i < n; i++) {
        s[i] = stats[i]->s;
        path[i] = stats[i]->path;
    }
    reap_stats *x = NULL;
    if (n || err_set(&c.e, ERR_INPUT, "no statistics to merge"))
        x = wrap(stats_merge(s, path, n, force != 0, &c.e), "the merged statistics");
    free(s);
    free(path);
    call_end(&c, x != NULL, error);
    return x;
}

int reap_stats_save(const reap_stats *x, const char *path, int force, reap_error *error)
{
    struct call c;
    call_begin(&c);
    return call_end(&c, stats_recover(path, &c.e) && stats_save(x->s, path, force != 0, &c.e), error);
}
