/* stats_show.c - see stats_show.h. */
#include "cmd/stats_show.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "model/view.h"
#include "stats/summary.h"

static const double ratios[] = {0.125, 0.25, 0.375, 0.5, 0.75};
#define N_RATIOS (sizeof ratios / sizeof *ratios)

struct row {
    uint32_t il;
    uint64_t tokens;
    double least, mean, most; /* share of routed assignments of an expert */
    uint32_t n_never;
    double kept[N_RATIOS], agree[N_RATIOS];
};

static uint32_t count_at(uint32_t n, double ratio)
{
    const struct shape s = {n, 1, 1, 1};
    return shape_share(&s, 1 - ratio);
}

static bool fill(const struct stats *s, uint32_t i, enum criterion c, struct row *r, struct err *e)
{
    const struct stats_layer *l = &s->layers[i];
    uint32_t n = s->n_experts;
    double *score = xcalloc(3 * (size_t)n, sizeof *score), *even = score + n, *odd = even + n;
    double routed = (double)stats_tokens(l) * l->n_used;
    bool ok = criterion_scores(s, i, c, 0, -1, score, e) && criterion_scores(s, i, c, 0, EVEN, even, e) &&
              criterion_scores(s, i, c, 0, ODD, odd, e);
    *r = (struct row){.il = l->il, .tokens = stats_tokens(l), .least = 1, .mean = 1.0 / n};
    for (uint32_t j = 0; ok && j < n; j++) {
        double share = routed > 0 ? (double)stats_total(l, j).count / routed : 0;
        r->least = share < r->least ? share : r->least;
        r->most = share > r->most ? share : r->most;
        r->n_never += stats_total(l, j).count == 0;
    }
    for (size_t k = 0; ok && k < N_RATIOS; k++) {
        r->kept[k] = summary_share(score, n, count_at(n, ratios[k]));
        r->agree[k] = summary_agreement(even, odd, n, count_at(n, ratios[k]));
    }
    free(score);
    return ok;
}

static json_t *never_json(const struct stats *s, uint32_t i)
{
    json_t *a = json_array();
    for (uint32_t j = 0; j < s->n_experts; j++)
        if (!stats_total(&s->layers[i], j).count)
            json_array_append_new(a, json_integer(j));
    return a;
}

static json_t *reals(const double *v)
{
    return json_f64s(v, N_RATIOS);
}

static bool print_json(const struct stats *s, const struct row *rows, enum criterion c, struct err *e)
{
    json_t *o = json_object(), *layers = json_object();
    json_object_set(o, "model", s->model);
    json_object_set(o, "calibration", s->calibration);
    json_object_set_new(o, "complete", json_boolean(!s->progress));
    json_object_set_new(o, "criterion", json_string(criterion_info(c)->name));
    json_object_set_new(o, "prune_ratios", reals(ratios));
    for (uint32_t i = 0; i < s->n_layers; i++) {
        json_t *l = json_object();
        char key[16];
        json_object_set_new(l, "total_tokens", json_integer((json_int_t)rows[i].tokens));
        json_object_set_new(l, "smallest_share", json_real(rows[i].least));
        json_object_set_new(l, "largest_share", json_real(rows[i].most));
        json_object_set_new(l, "never_routed", never_json(s, i));
        json_object_set_new(l, "score_kept", reals(rows[i].kept));
        json_object_set_new(l, "halves_agree", reals(rows[i].agree));
        snprintf(key, sizeof key, "%u", rows[i].il);
        json_object_set_new(layers, key, l);
    }
    json_object_set_new(o, "layers", layers);
    return cmd_print_json("stats", o, e);
}

static void header(struct buf *b, const struct stats *s)
{
    char n[32];
    const char *name = json_string_value(json_object_get(s->model, "name"));
    json_t *c = s->calibration;
    buf_fmt(b, "model        %s, %u layers with %u experts\n", name ? name : "?", s->n_layers, s->n_experts);
    buf_fmt(b, "calibration  %s tokens of %lld samples, windows of %lld%s\n",
            human_count(stats_tokens(&s->layers[0]), n), json_integer_value(json_object_get(c, "n_samples")),
            json_integer_value(json_object_get(c, "ctx")),
            s->progress ? " (of a run that has not ended)" : "");
}

static void print_never(struct buf *b, const struct stats *s)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < s->n_layers; i++) {
        uint32_t n = 0;
        for (uint32_t j = 0; j < s->n_experts; j++) {
            if (stats_total(&s->layers[i], j).count)
                continue;
            if (!total++)
                buf_str(b, "\nExperts that no token was routed to (they score 0 and go first):\n");
            if (!n++)
                buf_fmt(b, "  layer %u:", s->layers[i].il);
            buf_fmt(b, " %u", j);
        }
        if (n)
            buf_char(b, '\n');
    }
    if (!total)
        buf_str(b, "\nEvery expert was routed to.\n");
}

static void print_text(struct buf *b, const struct stats *s, const struct row *rows, enum criterion c)
{
    struct row mean = {0};
    header(b, s);
    buf_fmt(
        b,
        "\nShare of %s that stays when this share of the experts goes (a random choice keeps 1 - ratio),\n"
        "and in brackets how much the choices of the even and the odd samples agree:\n\n",
        criterion_info(c)->name);
    buf_str(b, "  layer  least/most used ");
    for (size_t k = 0; k < N_RATIOS; k++)
        buf_fmt(b, "       %4.1f %%", 100 * ratios[k]);
    buf_char(b, '\n');
    for (uint32_t i = 0; i < s->n_layers; i++) {
        buf_fmt(b, "  %5u  %6.2f %% %6.2f %% ", rows[i].il, 100 * rows[i].least, 100 * rows[i].most);
        for (size_t k = 0; k < N_RATIOS; k++) {
            buf_fmt(b, "  %.3f (%.2f)", rows[i].kept[k], rows[i].agree[k]);
            mean.kept[k] += rows[i].kept[k] / s->n_layers;
            mean.agree[k] += rows[i].agree[k] / s->n_layers;
        }
        buf_char(b, '\n');
    }
    buf_fmt(b, "   mean  (uniform %5.2f %%)", 100 * rows[0].mean);
    for (size_t k = 0; k < N_RATIOS; k++)
        buf_fmt(b, "  %.3f (%.2f)", mean.kept[k], mean.agree[k]);
    buf_str(b, "\n random                  ");
    for (size_t k = 0; k < N_RATIOS; k++)
        buf_fmt(b, "  %.3f       ", (double)count_at(s->n_experts, ratios[k]) / s->n_experts);
    buf_char(b, '\n');
    print_never(b, s);
}

bool stats_show(struct stats *const *all, const char *const *path, uint32_t n, enum criterion c,
                struct err *e)
{
    const struct stats *s = all[0];
    struct buf b = {0};
    struct row *rows = xcalloc(s->n_layers, sizeof *rows);
    bool ok = true;
    (void)n;
    for (uint32_t i = 0; ok && i < s->n_layers; i++)
        ok = fill(s, i, c, &rows[i], e) || err_ctx(e, "%s", path[0]);
    if (ok && cmd_json) {
        ok = print_json(s, rows, c, e);
    } else if (ok) {
        print_text(&b, s, rows, c);
        ok = cmd_print(&b, e);
    }
    free(rows);
    return ok;
}
