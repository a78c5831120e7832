/* stats_show.c - see stats_show.h. Everything is computed first (struct row, struct pair), then printed. */
#include "cmd/stats_show.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "model/cut.h"
#include "plan/make.h"
#include "stats/merge.h"
#include "stats/summary.h"

#include <math.h>

static const double ratios[] = {0.125, 0.25, 0.375, 0.5, 0.75};
#define N_RATIOS (sizeof ratios / sizeof *ratios)
#define GOAL     0.95 /* of agreement, for the estimate of tokens */

struct row { /* a layer */
    uint32_t il;
    uint64_t tokens;
    double least, most; /* share of routed assignments of an expert */
    double gini;        /* of the counts */
    double correlation; /* of the halves' rankings */
    uint32_t n_low, n_super;
    double kept[N_RATIOS], agree[N_RATIOS], gap[N_RATIOS];
};

struct table { /* a file */
    const struct stats *s;
    struct shape shape;
    const struct criterion *c;
    uint32_t keep[N_RATIOS];
    bool halves; /* both have tokens */
    struct row *rows;
    uint8_t *low, *super; /* [n_layers][n_experts] */
    uint32_t n_super;
    double super_limit; /* NAN: the file does not have what it needs */
};

/* ---- computing ---- */

static void set_counts(const struct stats *s, struct shape *sh, uint32_t *keep)
{
    *sh = shape_of_stats(s);
    for (size_t k = 0; k < N_RATIOS; k++) {
        keep[k] = shape_next_ok(sh, shape_share(sh, 1 - ratios[k]));
        keep[k] = keep[k] ? keep[k] : sh->n_experts;
    }
}

static bool fill(struct table *t, uint32_t i, struct err *e)
{
    const struct stats *s = t->s;
    const struct stats_layer *l = &s->layers[i];
    uint32_t n = s->n_experts, g = t->shape.n_groups;
    double *score = xcalloc(4 * (size_t)n, sizeof *score), *even = score + n, *odd = even + n,
           *counts = odd + n;
    double routed = (double)stats_tokens(l) * l->n_used;
    struct row *r = &t->rows[i];
    *r = (struct row){.il = l->il, .tokens = stats_tokens(l), .least = 1, .correlation = NAN};
    bool ok = criterion_scores(s, i, t->c, 0, -1, score, e) &&
              criterion_scores(s, i, t->c, 0, EVEN, even, e) &&
              criterion_scores(s, i, t->c, 0, ODD, odd, e) &&
              summary_low(s, i, t->c, t->low + (size_t)i * n, &r->n_low, e);
    for (uint32_t j = 0; ok && j < n; j++) {
        counts[j] = (double)stats_total(l, j).count;
        double share = routed > 0 ? counts[j] / routed : 0;
        r->least = share < r->least ? share : r->least;
        r->most = share > r->most ? share : r->most;
        r->n_super += t->super[(size_t)i * n + j];
    }
    r->gini = summary_gini(counts, n);
    if (ok && t->halves)
        r->correlation = summary_rank_correlation(even, odd, n);
    for (size_t k = 0; ok && k < N_RATIOS; k++) {
        r->kept[k] = summary_share(score, n, g, t->keep[k]);
        r->agree[k] = t->halves ? summary_agreement(even, odd, n, g, t->keep[k]) : NAN;
        r->gap[k] = summary_gap(score, n, g, t->keep[k]);
    }
    free(score);
    return ok;
}

static void table_clear(struct table *t)
{
    free(t->rows);
    free(t->low);
    free(t->super);
}

static bool table_make(struct table *t, const struct stats *s, const struct criterion *c, struct err *e)
{
    struct err no = {0};
    size_t all = (size_t)s->n_layers * s->n_experts;
    *t = (struct table){.s = s, .c = c, .halves = s->layers[0].tokens[EVEN] && s->layers[0].tokens[ODD]};
    t->rows = xcalloc(s->n_layers, sizeof *t->rows);
    t->low = xcalloc(all, 1);
    t->super = xcalloc(all, 1);
    set_counts(s, &t->shape, t->keep);
    if (!summary_super(s, t->super, &t->n_super, &t->super_limit, &no))
        t->super_limit = NAN;
    for (uint32_t i = 0; i < s->n_layers; i++)
        if (!fill(t, i, e))
            return false;
    return true;
}

static double mean_over(const struct table *t, size_t off)
{
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->s->n_layers; i++) {
        double v = *(const double *)(const void *)((const char *)&t->rows[i] + off);
        if (!isnan(v)) {
            sum += v;
            n++;
        }
    }
    return n ? sum / n : NAN;
}
#define MEAN(t, field) mean_over(t, offsetof(struct row, field))

/* Tokens of a text of which another of its length would choose alike to GOAL. */
static double tokens_for(const struct table *t, size_t k)
{
    double half = (double)stats_tokens(&t->s->layers[0]) / 2;
    return t->halves ? summary_tokens_for(MEAN(t, agree[k]), half, GOAL) : NAN;
}

/* ---- sizes ---- */

/* Bits per weight, scales included. The two mixtures have half of ffn_down in q6_K and the rest of the
 * experts in q5_K or q4_K, as llama.cpp's quantiser does by default. */
static const struct {
    const char *name;
    double bits;
} types[] = {
    {"q8_0", 8.5},
    {"q6_K", 6.5625},
    {"q5_K_M", (5.5 + 5.5 + (5.5 + 6.5625) / 2) / 3},
    {"q4_K_M", (4.5 + 4.5 + (4.5 + 6.5625) / 2) / 3},
    {"mxfp4", 4.25},
};
#define N_TYPES (sizeof types / sizeof *types)

/* The experts in that type, the rest of the model as it is. */
static uint64_t bytes_as(const struct view *v, uint32_t n_keep, size_t type)
{
    double experts = (double)v->expert_params / v->shape.n_experts * n_keep * types[type].bits / 8;
    return v->bytes - v->expert_bytes + (uint64_t)experts;
}

static json_t *sizes_json(const struct view *v, const uint32_t *keep)
{
    json_t *a = json_array();
    for (size_t k = 0; k <= N_RATIOS; k++) {
        uint32_t n = k ? keep[k - 1] : v->shape.n_experts;
        json_t *o = json_object(), *as = json_object();
        json_object_set_new(o, "n_keep", json_integer(n));
        json_object_set_new(o, "bytes", json_integer((json_int_t)cut_bytes_at(v, n)));
        for (size_t t = 0; v->n_params && t < N_TYPES; t++)
            json_object_set_new(as, types[t].name, json_integer((json_int_t)bytes_as(v, n, t)));
        json_object_set_new(o, "estimated", as);
        json_array_append_new(a, o);
    }
    return a;
}

static void sizes_text(struct buf *b, const struct view *v, const uint32_t *keep)
{
    char s[32];
    buf_str(
        b,
        "\nTensor data of the pruned model, and about what it would be with the experts in other types:\n\n"
        "  pruned   experts   as it is");
    for (size_t t = 0; v->n_params && t < N_TYPES; t++)
        buf_fmt(b, "  %9s", types[t].name);
    buf_char(b, '\n');
    for (size_t k = 0; k <= N_RATIOS; k++) {
        uint32_t n = k ? keep[k - 1] : v->shape.n_experts, e = v->shape.n_experts;
        buf_fmt(b, "  %5.1f %%  %7u  %9s", 100.0 * (e - n) / e, n, human_bytes(cut_bytes_at(v, n), s));
        for (size_t t = 0; v->n_params && t < N_TYPES; t++)
            buf_fmt(b, "  %9s", human_bytes(bytes_as(v, n, t), s));
        buf_char(b, '\n');
    }
}

/* ---- one file, JSON ---- */

static json_t *real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *reals(const double *v)
{
    json_t *a = json_array();
    for (size_t k = 0; k < N_RATIOS; k++)
        json_array_append_new(a, real(v[k]));
    return a;
}

static json_t *ids_json(const uint8_t *in, uint32_t n)
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
    const struct row *r = &t->rows[i];
    uint32_t n = t->s->n_experts;
    json_t *l = json_object();
    json_object_set_new(l, "total_tokens", json_integer((json_int_t)r->tokens));
    json_object_set_new(l, "smallest_share", json_real(r->least));
    json_object_set_new(l, "largest_share", json_real(r->most));
    json_object_set_new(l, "never_routed", never_json(t->s, i));
    json_object_set_new(l, "score_kept", reals(r->kept));
    json_object_set_new(l, "halves_agree", reals(r->agree));
    json_object_set_new(l, "gap", reals(r->gap));
    json_object_set_new(l, "gini", real(r->gini));
    json_object_set_new(l, "max_min_ratio", r->least > 0 ? real(r->most / r->least) : json_null());
    json_object_set_new(l, "halves_rank_correlation", real(r->correlation));
    json_object_set_new(l, "consistently_low", ids_json(t->low + (size_t)i * n, n));
    json_object_set_new(l, "super_experts", ids_json(t->super + (size_t)i * n, n));
    return l;
}

static json_t *counts_json(const uint32_t *keep)
{
    json_t *a = json_array();
    for (size_t k = 0; k < N_RATIOS; k++)
        json_array_append_new(a, json_integer(keep[k]));
    return a;
}

static bool print_json(const struct table *t, const struct view *v, struct err *e)
{
    const struct stats *s = t->s;
    json_t *o = json_object(), *layers = json_object();
    double random[N_RATIOS], settled[N_RATIOS];
    json_object_set(o, "model", s->model);
    json_object_set(o, "calibration", s->calibration);
    json_object_set_new(o, "complete", json_boolean(!s->progress));
    json_object_set_new(o, "criterion", json_string(t->c->name));
    json_object_set_new(o, "prune_ratios", json_f64s(ratios, N_RATIOS));
    json_object_set_new(o, "n_keep", counts_json(t->keep));
    for (size_t k = 0; k < N_RATIOS; k++) {
        random[k] = (double)t->keep[k] / s->n_experts;
        settled[k] = tokens_for(t, k);
    }
    json_object_set_new(o, "random_kept", reals(random));
    json_object_set_new(o, "tokens_for_95_percent", reals(settled));
    json_object_set_new(o, "super_limit", real(t->super_limit));
    for (uint32_t i = 0; i < s->n_layers; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", t->rows[i].il);
        json_object_set_new(layers, key, layer_json(t, i));
    }
    json_object_set_new(o, "layers", layers);
    if (v)
        json_object_set_new(o, "sizes", sizes_json(v, t->keep));
    return cmd_print_json("stats", o, e);
}

/* ---- one file, text ---- */

static void header(struct buf *b, const struct stats *s)
{
    char n[32];
    uint64_t shard, of;
    struct err ignored = {0};
    const char *name = json_string_value(json_object_get(s->model, "name"));
    json_t *c = s->calibration;
    buf_fmt(b, "model        %s, %u layers with %u experts\n", name ? name : "?", s->n_layers, s->n_experts);
    buf_fmt(b, "calibration  %s tokens", human_count(stats_tokens(&s->layers[0]), n));
    if (json_is_integer(json_object_get(c, "n_samples")))
        buf_fmt(b, " of %lld samples", json_integer_value(json_object_get(c, "n_samples")));
    if (json_is_integer(json_object_get(c, "ctx")))
        buf_fmt(b, ", windows of %lld", json_integer_value(json_object_get(c, "ctx")));
    if (stats_shard(s, &shard, &of, &ignored) && of)
        buf_fmt(b, " (shard %llu of %llu)", (unsigned long long)shard, (unsigned long long)of);
    if (s->import)
        buf_fmt(b, ", imported from %s", stats_imported_from(s));
    buf_fmt(b, "%s\n", s->progress ? " (of a run that has not ended)" : "");
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

/* A number of `digits` decimals, or a dash; `width` columns. */
static void number(struct buf *b, int width, int digits, double v)
{
    if (isnan(v))
        buf_fmt(b, "%*s", width, "-");
    else
        buf_fmt(b, "%*.*f", width, digits, v);
}

static void kept_cell(struct buf *b, double kept, double agree)
{
    buf_fmt(b, "  %.3f ", kept);
    if (isnan(agree))
        buf_str(b, "( -  )");
    else
        buf_fmt(b, "(%.2f)", agree);
}

static void print_kept(struct buf *b, const struct table *t)
{
    buf_fmt(
        b,
        "\nShare of %s that stays when this share of the experts goes (a random choice keeps 1 - ratio),\n"
        "and in brackets how much the choices of the even and the odd samples agree:\n\n",
        t->c->name);
    buf_str(b, "  layer  least/most used ");
    for (size_t k = 0; k < N_RATIOS; k++)
        buf_fmt(b, "       %4.1f %%", 100 * ratios[k]);
    buf_char(b, '\n');
    for (uint32_t i = 0; i < t->s->n_layers; i++) {
        const struct row *r = &t->rows[i];
        buf_fmt(b, "  %5u  %6.2f %% %6.2f %% ", r->il, 100 * r->least, 100 * r->most);
        for (size_t k = 0; k < N_RATIOS; k++)
            kept_cell(b, r->kept[k], r->agree[k]);
        buf_char(b, '\n');
    }
    buf_fmt(b, "   mean  (uniform %5.2f %%)", 100.0 / t->s->n_experts);
    for (size_t k = 0; k < N_RATIOS; k++)
        kept_cell(b, MEAN(t, kept[k]), MEAN(t, agree[k]));
    buf_str(b, "\n random                  ");
    for (size_t k = 0; k < N_RATIOS; k++)
        buf_fmt(b, "  %.3f       ", (double)t->keep[k] / t->s->n_experts);
    buf_char(b, '\n');
}

static void print_spread(struct buf *b, const struct table *t)
{
    buf_str(
        b,
        "\nHow unequal the load is, how alike the halves rank, experts low in both halves, super experts, and how\n"
        "far the last expert that stays is above the first that goes:\n\n"
        "  layer   Gini  max/min  rank corr.   low  super");
    for (size_t k = 0; k < N_RATIOS; k++)
        buf_fmt(b, "   %4.1f %%", 100 * ratios[k]);
    buf_char(b, '\n');
    for (uint32_t i = 0; i < t->s->n_layers; i++) {
        const struct row *r = &t->rows[i];
        buf_fmt(b, "  %5u  ", r->il);
        number(b, 5, 3, r->gini);
        number(b, 9, 1, r->least > 0 ? r->most / r->least : NAN);
        number(b, 12, 3, r->correlation);
        buf_fmt(b, "  %4u  %5u", r->n_low, r->n_super);
        for (size_t k = 0; k < N_RATIOS; k++)
            number(b, 9, 3, r->gap[k]);
        buf_char(b, '\n');
    }
    buf_str(b, "   mean  ");
    number(b, 5, 3, MEAN(t, gini));
    buf_fmt(b, "%9s", "");
    number(b, 12, 3, MEAN(t, correlation));
    buf_fmt(b, "%13s", "");
    for (size_t k = 0; k < N_RATIOS; k++)
        number(b, 9, 3, MEAN(t, gap[k]));
    buf_char(b, '\n');
}

static void print_settled(struct buf *b, const struct table *t)
{
    char s[32];
    if (!t->halves)
        return;
    buf_fmt(
        b,
        "\nTokens of a text of which another of its length would choose %.0f %% alike (an estimate: disagreement falls\n"
        "with one over the square root of the tokens; each half here has %s):\n\n",
        100 * GOAL, human_count(stats_tokens(&t->s->layers[0]) / 2, s));
    for (size_t k = 0; k < N_RATIOS; k++)
        buf_fmt(b, "  %5.1f %%  %s\n", 100 * ratios[k], human_count((uint64_t)tokens_for(t, k), s));
}

static void print_super(struct buf *b, const struct table *t)
{
    if (isnan(t->super_limit) || !t->n_super)
        return;
    buf_fmt(b, "\nSuper experts (max_activation above %.4g; plan --protect-super keeps them):\n",
            t->super_limit);
    for (uint32_t i = 0; i < t->s->n_layers; i++) {
        if (!t->rows[i].n_super)
            continue;
        buf_fmt(b, "  layer %u:", t->rows[i].il);
        for (uint32_t j = 0; j < t->s->n_experts; j++)
            if (t->super[(size_t)i * t->s->n_experts + j])
                buf_fmt(b, " %u", j);
        buf_char(b, '\n');
    }
}

static bool show_one(const struct stats_show *o, struct err *e)
{
    struct table t;
    struct buf b = {0};
    bool ok = table_make(&t, o->s[0], o->criterion, e) || err_ctx(e, "%s", o->path[0]);
    if (ok && cmd_json) {
        ok = print_json(&t, o->view, e);
    } else if (ok) {
        header(&b, t.s);
        print_kept(&b, &t);
        print_spread(&b, &t);
        print_settled(&b, &t);
        if (o->view)
            sizes_text(&b, o->view, t.keep);
        print_super(&b, &t);
        print_never(&b, t.s);
        ok = cmd_print(&b, e);
    }
    table_clear(&t);
    return ok;
}

/* ---- several files ---- */

struct pair { /* means over the layers */
    double overlap[N_RATIOS], correlation;
};

static bool compare(const struct stats *x, const struct stats *y, const struct criterion *c,
                    const struct shape *sh, const uint32_t *keep, struct pair *p, struct err *e)
{
    uint32_t n = x->n_experts, n_corr = 0;
    double *a = xcalloc(2 * (size_t)n, sizeof *a), *b = a + n;
    bool ok = true;
    *p = (struct pair){0};
    for (uint32_t i = 0; ok && i < x->n_layers; i++) {
        ok = criterion_scores(x, i, c, 0, -1, a, e) && criterion_scores(y, i, c, 0, -1, b, e);
        if (!ok)
            break;
        double r = summary_rank_correlation(a, b, n);
        p->correlation += isnan(r) ? 0 : r;
        n_corr += isnan(r) ? 0 : 1;
        for (size_t k = 0; k < N_RATIOS; k++)
            p->overlap[k] += summary_agreement(a, b, n, sh->n_groups, keep[k]);
    }
    for (size_t k = 0; k < N_RATIOS; k++)
        p->overlap[k] /= x->n_layers;
    p->correlation = n_corr ? p->correlation / n_corr : NAN;
    free(a);
    return ok;
}

/* Experts that are low in every file; NULL with *e. */
static uint8_t *low_in_all(const struct stats_show *o, struct err *e)
{
    const struct stats *s = o->s[0];
    uint8_t *all = xcalloc(s->n_layers, s->n_experts), *one = xcalloc(s->n_experts, 1);
    bool ok = true;
    for (uint32_t f = 0; ok && f < o->n; f++)
        for (uint32_t i = 0; ok && i < s->n_layers; i++) {
            uint32_t n;
            ok = summary_low(o->s[f], i, o->criterion, one, &n, e) || err_ctx(e, "%s", o->path[f]);
            for (uint32_t j = 0; ok && j < s->n_experts; j++) {
                uint8_t *x = &all[(size_t)i * s->n_experts + j];
                *x = one[j] && (f == 0 || *x);
            }
        }
    free(one);
    if (ok)
        return all;
    free(all);
    return NULL;
}

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

static bool several_json(const struct stats_show *o, const struct pair *p, const uint32_t *keep,
                         const uint8_t *low, struct err *e)
{
    const struct stats *s = o->s[0];
    json_t *j = json_object(), *pairs = json_array(), *l = json_object();
    json_object_set(j, "model", s->model);
    json_object_set_new(j, "files", files_json(o));
    json_object_set_new(j, "criterion", json_string(o->criterion->name));
    json_object_set_new(j, "prune_ratios", json_f64s(ratios, N_RATIOS));
    json_object_set_new(j, "n_keep", counts_json(keep));
    for (uint32_t a = 0; a < o->n; a++)
        for (uint32_t b = a + 1; b < o->n; b++, p++) {
            json_t *x = json_object();
            json_object_set_new(x, "a", json_integer(a));
            json_object_set_new(x, "b", json_integer(b));
            json_object_set_new(x, "overlap", reals(p->overlap));
            json_object_set_new(x, "rank_correlation", real(p->correlation));
            json_array_append_new(pairs, x);
        }
    json_object_set_new(j, "pairs", pairs);
    for (uint32_t i = 0; i < s->n_layers; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", s->layers[i].il);
        json_object_set_new(l, key, ids_json(low + (size_t)i * s->n_experts, s->n_experts));
    }
    json_object_set_new(j, "consistently_low", l);
    if (o->view)
        json_object_set_new(j, "sizes", sizes_json(o->view, keep));
    return cmd_print_json("stats", j, e);
}

static void several_text(struct buf *b, const struct stats_show *o, const struct pair *p,
                         const uint32_t *keep, const uint8_t *low)
{
    const struct stats *s = o->s[0];
    const char *name = json_string_value(json_object_get(s->model, "name"));
    char t[32];
    uint32_t n_low = 0;
    buf_fmt(b, "model  %s, %u layers with %u experts\n\n", name ? name : "?", s->n_layers, s->n_experts);
    for (uint32_t f = 0; f < o->n; f++)
        buf_fmt(b, "  %2u  %12s tokens  %s%s\n", f + 1, human_count(stats_tokens(&o->s[f]->layers[0]), t),
                o->path[f], o->s[f]->progress ? " (of a run that has not ended)" : "");
    buf_fmt(
        b,
        "\nShare of the kept experts that two files have in common, by %s, when this share goes (mean over the\n"
        "layers; random choices share what stays), and the correlation of their rankings:\n\n"
        "  files    rank corr.",
        o->criterion->name);
    for (size_t k = 0; k < N_RATIOS; k++)
        buf_fmt(b, "   %4.1f %%", 100 * ratios[k]);
    buf_char(b, '\n');
    for (uint32_t x = 0; x < o->n; x++)
        for (uint32_t y = x + 1; y < o->n; y++, p++) {
            buf_fmt(b, "  %2u %2u   ", x + 1, y + 1);
            number(b, 11, 3, p->correlation);
            for (size_t k = 0; k < N_RATIOS; k++)
                number(b, 9, 3, p->overlap[k]);
            buf_char(b, '\n');
        }
    buf_str(b, "  random        0.000");
    for (size_t k = 0; k < N_RATIOS; k++)
        number(b, 9, 3, (double)keep[k] / s->n_experts);
    for (size_t i = 0; i < (size_t)s->n_layers * s->n_experts; i++)
        n_low += low[i] ? 1u : 0u;
    buf_fmt(
        b,
        "\n\n%u of %u experts are in the lowest quarter of their layer in every file (--json names them)\n",
        n_low, s->n_layers * s->n_experts);
    if (o->view)
        sizes_text(b, o->view, keep);
}

static bool show_several(const struct stats_show *o, struct err *e)
{
    struct shape sh;
    uint32_t keep[N_RATIOS];
    struct buf b = {0};
    set_counts(o->s[0], &sh, keep);
    for (uint32_t f = 1; f < o->n; f++)
        if (!stats_same_model(o->s[0], o->path[0], o->s[f], o->path[f], e))
            return false;
    struct pair *p = xcalloc((size_t)o->n * (o->n - 1) / 2, sizeof *p);
    uint8_t *low = low_in_all(o, e);
    bool ok = low != NULL;
    for (uint32_t x = 0, i = 0; x < o->n; x++)
        for (uint32_t y = x + 1; ok && y < o->n; y++)
            ok = compare(o->s[x], o->s[y], o->criterion, &sh, keep, &p[i++], e);
    if (ok && cmd_json) {
        ok = several_json(o, p, keep, low, e);
    } else if (ok) {
        several_text(&b, o, p, keep, low);
        ok = cmd_print(&b, e);
    }
    free(low);
    free(p);
    return ok;
}

bool stats_show(const struct stats_show *o, struct err *e)
{
    return o->n == 1 ? show_one(o, e) : show_several(o, e);
}
