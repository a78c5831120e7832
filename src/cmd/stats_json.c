/* stats_json.c - stats files as one JSON object; see stats_part.h. */
#include "base/ids.h"
#include "cmd/stats_part.h"
#include "model/cut.h"
#include "model/estimate.h"

#include <math.h>

static json_t *sizes_json(const struct view *v, const uint32_t *keep)
{
    json_t *a = json_array();
    for (size_t k = 0; k <= TABLE_RATIOS; k++) {
        uint32_t n = k ? keep[k - 1] : v->shape.n_experts;
        json_t *o = json_object(), *as = json_object();
        json_object_set_new(o, "n_keep", json_integer(n));
        json_object_set_new(o, "bytes", json_integer((json_int_t)cut_bytes_at(v, n)));
        for (uint32_t t = 0; v->n_params && estimate_type(t); t++)
            json_object_set_new(as, estimate_type(t), json_integer((json_int_t)estimate_bytes(v, n, t)));
        json_object_set_new(o, "estimated", as);
        json_array_append_new(a, o);
    }
    return a;
}

/* ---- one file ---- */

static json_t *reals(const double *v)
{
    json_t *a = json_array();
    for (size_t k = 0; k < TABLE_RATIOS; k++)
        json_array_append_new(a, json_finite(v[k]));
    return a;
}

static json_t *marked_json(const uint8_t *in, uint32_t n)
{
    json_t *a = json_array();
    for (uint32_t j = 0; j < n; j++)
        if (in[j])
            json_array_append_new(a, json_integer(j));
    return a;
}

static json_t *never_json(const struct stats *s, uint32_t i)
{
    json_t *a = json_array();
    for (uint32_t j = 0; j < s->n_experts; j++)
        if (!stats_total(&s->layers[i], j).count)
            json_array_append_new(a, json_integer(j));
    return a;
}

static json_t *layer_json(const struct table *t, uint32_t i)
{
    const struct table_row *r = &t->rows[i];
    uint32_t n = t->s->n_experts;
    json_t *l = json_object();
    json_object_set_new(l, "total_tokens", json_integer((json_int_t)r->tokens));
    json_object_set_new(l, "smallest_share", json_real(r->least));
    json_object_set_new(l, "largest_share", json_real(r->most));
    json_object_set_new(l, "never_routed", never_json(t->s, i));
    json_object_set_new(l, "score_kept", reals(r->kept));
    json_object_set_new(l, "halves_agree", reals(r->agree));
    json_object_set_new(l, "halves_score_kept", reals(r->held));
    json_object_set_new(l, "gap", reals(r->gap));
    if (!isnan(r->mass[0]))
        json_object_set_new(l, "gate_mass_kept", reals(r->mass));
    json_object_set_new(l, "gini", json_finite(r->gini));
    json_object_set_new(l, "max_min_ratio", r->least > 0 ? json_finite(r->most / r->least) : json_null());
    json_object_set_new(l, "halves_rank_correlation", json_finite(r->correlation));
    json_object_set_new(l, "consistently_low", marked_json(t->low + (size_t)i * n, n));
    json_object_set_new(l, "super_experts", marked_json(t->super + (size_t)i * n, n));
    return l;
}

static json_t *counts_json(const uint32_t *keep)
{
    return ids_json(keep, TABLE_RATIOS);
}

json_t *stats_one_json(const struct table *t, const struct view *v)
{
    const struct stats *s = t->s;
    json_t *o = json_object(), *layers = json_object();
    double random[TABLE_RATIOS], settled[TABLE_RATIOS], by_score[TABLE_RATIOS];
    json_object_set(o, "model", s->model);
    json_object_set(o, "calibration", s->calibration);
    json_object_set_new(o, "complete", json_boolean(!s->progress));
    if (s->n_mtp) {
        json_t *blocks = json_array();
        for (uint32_t i = s->n_layers; i < s->n_layers + s->n_mtp; i++)
            json_array_append_new(blocks, json_integer(s->layers[i].il));
        json_object_set_new(o, "mtp_blocks", blocks);
    }
    json_object_set_new(o, "criterion", json_string(t->c->name));
    json_object_set_new(o, "prune_ratios", json_f64s(table_ratios, TABLE_RATIOS));
    json_object_set_new(o, "n_keep", counts_json(t->keep));
    for (size_t k = 0; k < TABLE_RATIOS; k++) {
        random[k] = (double)t->keep[k] / s->n_experts;
        settled[k] = table_tokens_for(t, k);
        by_score[k] = table_tokens_for_score(t, k);
    }
    json_object_set_new(o, "random_kept", reals(random));
    json_object_set_new(o, "tokens_for_95_percent", reals(settled));
    json_object_set_new(o, "tokens_for_99_percent_of_score", reals(by_score));
    json_object_set_new(o, "super_limit", json_finite(t->super_limit));
    for (uint32_t i = 0; i < s->n_layers; i++)
        ids_set_layer(layers, t->rows[i].il, layer_json(t, i));
    json_object_set_new(o, "layers", layers);
    if (v)
        json_object_set_new(o, "sizes", sizes_json(v, t->keep));
    return o;
}

/* ---- several files ---- */

static json_t *files_json(const struct stats_show *o)
{
    json_t *files = json_array();
    for (uint32_t f = 0; f < o->n; f++) {
        json_t *x = json_object();
        json_object_set_new(x, "file", json_text(o->path[f]));
        json_object_set_new(x, "total_tokens", json_integer((json_int_t)stats_tokens(&o->s[f]->layers[0])));
        json_object_set_new(x, "complete", json_boolean(!o->s[f]->progress));
        json_object_set(x, "calibration", o->s[f]->calibration);
        json_array_append_new(files, x);
    }
    return files;
}

json_t *stats_several_json(const struct stats_several *several)
{
    const struct stats_show *o = several->o;
    const struct table_pair *p = several->pairs;
    const struct stats *s = o->s[0];
    json_t *j = json_object(), *pairs = json_array(), *l = json_object();
    json_object_set(j, "model", s->model);
    json_object_set_new(j, "files", files_json(o));
    json_object_set_new(j, "criterion", json_string(o->criterion->name));
    json_object_set_new(j, "prune_ratios", json_f64s(table_ratios, TABLE_RATIOS));
    json_object_set_new(j, "n_keep", counts_json(several->keep));
    for (uint32_t a = 0; a < o->n; a++)
        for (uint32_t b = a + 1; b < o->n; b++, p++) {
            json_t *x = json_object();
            json_object_set_new(x, "a", json_integer(a));
            json_object_set_new(x, "b", json_integer(b));
            json_object_set_new(x, "overlap", reals(p->overlap));
            json_object_set_new(x, "score_of_b_kept_by_a", reals(p->by_first));
            json_object_set_new(x, "score_of_a_kept_by_b", reals(p->by_second));
            json_object_set_new(x, "rank_correlation", json_finite(p->correlation));
            json_array_append_new(pairs, x);
        }
    json_object_set_new(j, "pairs", pairs);
    for (uint32_t i = 0; i < s->n_layers; i++)
        ids_set_layer(l, s->layers[i].il, marked_json(several->low + (size_t)i * s->n_experts, s->n_experts));
    json_object_set_new(j, "consistently_low", l);
    if (o->view)
        json_object_set_new(j, "sizes", sizes_json(o->view, several->keep));
    return j;
}
