/* stats_text.c - stats files for people; see stats_part.h. */
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/stats_part.h"
#include "corpus/unused.h"
#include "model/cut.h"
#include "model/estimate.h"

#include <math.h>

static void sizes_text(struct buf *b, const struct view *v, const uint32_t *keep)
{
    char s[32];
    buf_str(
        b,
        "\nTensor data of the pruned model, and about what it would be with the experts in other types:\n\n"
        "  pruned   experts   as it is");
    for (uint32_t t = 0; v->n_params && estimate_type(t); t++)
        cmd_fmt(b, "  %9s", estimate_type(t));
    cmd_head(b);
    for (size_t k = 0; k <= TABLE_RATIOS; k++) {
        uint32_t n = k ? keep[k - 1] : v->shape.n_experts, e = v->shape.n_experts;
        cmd_fmt(b, "  %5.1f %%  %7u  %9s", 100.0 * (e - n) / e, n, human_bytes(cut_bytes_at(v, n), s));
        for (uint32_t t = 0; v->n_params && estimate_type(t); t++)
            cmd_fmt(b, "  %9s", human_bytes(estimate_bytes(v, n, t), s));
        buf_char(b, '\n');
    }
}

/* ---- one file ---- */

static void header(struct buf *b, const struct stats *s)
{
    char n[32];
    uint64_t shard, of;
    struct err ignored = {0};
    const char *name = json_string_value(json_object_get(s->model, "name"));
    json_t *c = s->calibration;
    cmd_fmt(b, "model        %s, %u layers with %u experts\n", name ? name : "?", s->n_layers, s->n_experts);
    cmd_fmt(b, "calibration  %s tokens", human_count(stats_tokens(&s->layers[0]), n));
    if (json_is_integer(json_object_get(c, "n_samples")))
        cmd_fmt(b, " of %lld samples", json_integer_value(json_object_get(c, "n_samples")));
    if (json_is_integer(json_object_get(c, "ctx")))
        cmd_fmt(b, ", windows of %lld", json_integer_value(json_object_get(c, "ctx")));
    if (stats_shard(s, &shard, &of, &ignored) && of)
        cmd_fmt(b, " (shard %llu of %llu)", (unsigned long long)shard, (unsigned long long)of);
    if (s->import)
        cmd_fmt(b, ", imported from %s", stats_imported_from(s));
    cmd_fmt(b, "%s\n", s->progress ? " (of a run that has not ended)" : "");
    for (uint32_t i = s->n_layers; i < s->n_layers + s->n_mtp; i++)
        cmd_fmt(b, "MTP block    %u, by statistics of its own\n", s->layers[i].il);
    struct buf unused = {0};
    if (unused_text(json_object_get(c, "unused"), json_object_get(c, "chat"), &unused))
        cmd_fmt(b, "not used     %s\n", unused.s);
    buf_clear(&unused);
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
                cmd_fmt(b, "  layer %u:", s->layers[i].il);
            cmd_fmt(b, " %u", j);
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
        cmd_fmt(b, "%*s", width, "-");
    else
        cmd_fmt(b, "%*.*f", width, digits, v);
}

static void kept_cell(struct buf *b, double kept, double agree)
{
    cmd_fmt(b, "  %.3f ", kept);
    if (isnan(agree))
        buf_str(b, "( -  )");
    else
        cmd_fmt(b, "(%.2f)", agree);
}

static void print_kept(struct buf *b, const struct table *t)
{
    cmd_fmt(
        b,
        "\nShare of %s that stays when this share of the experts goes (a random choice keeps 1 - ratio),\n",
        t->c->name);
    buf_str(b, "and in brackets how much the choices of the even and the odd samples agree:\n\n"
               "  layer  least/most used ");
    for (size_t k = 0; k < TABLE_RATIOS; k++)
        cmd_fmt(b, "       %4.1f %%", 100 * table_ratios[k]);
    cmd_head(b);
    for (uint32_t i = 0; i < t->s->n_layers; i++) {
        const struct table_row *r = &t->rows[i];
        cmd_fmt(b, "  %5u  %6.2f %% %6.2f %% ", r->il, 100 * r->least, 100 * r->most);
        for (size_t k = 0; k < TABLE_RATIOS; k++)
            kept_cell(b, r->kept[k], r->agree[k]);
        buf_char(b, '\n');
    }
    cmd_fmt(b, "   mean  (uniform %5.2f %%)", 100.0 / t->s->n_experts);
    for (size_t k = 0; k < TABLE_RATIOS; k++)
        kept_cell(b, TABLE_MEAN(t, kept[k]), TABLE_MEAN(t, agree[k]));
    buf_str(b, "\n random                  ");
    for (size_t k = 0; k < TABLE_RATIOS; k++)
        cmd_fmt(b, "  %.3f       ", (double)t->keep[k] / t->s->n_experts);
    buf_char(b, '\n');
}

static void print_spread(struct buf *b, const struct table *t)
{
    buf_str(
        b,
        "\nHow unequal the load is, how alike the halves rank, experts low in both halves, super experts, and how\n"
        "far the last expert that stays is above the first that goes:\n\n"
        "  layer   Gini  max/min  rank corr.   low  super");
    for (size_t k = 0; k < TABLE_RATIOS; k++)
        cmd_fmt(b, "   %4.1f %%", 100 * table_ratios[k]);
    cmd_head(b);
    for (uint32_t i = 0; i < t->s->n_layers; i++) {
        const struct table_row *r = &t->rows[i];
        cmd_fmt(b, "  %5u  ", r->il);
        number(b, 5, 3, r->gini);
        number(b, 9, 1, r->least > 0 ? r->most / r->least : NAN);
        number(b, 12, 3, r->correlation);
        cmd_fmt(b, "  %4u  %5u", r->n_low, r->n_super);
        for (size_t k = 0; k < TABLE_RATIOS; k++)
            number(b, 9, 3, r->gap[k]);
        buf_char(b, '\n');
    }
    buf_str(b, "   mean  ");
    number(b, 5, 3, TABLE_MEAN(t, gini));
    cmd_fmt(b, "%9s", "");
    number(b, 12, 3, TABLE_MEAN(t, correlation));
    cmd_fmt(b, "%13s", "");
    for (size_t k = 0; k < TABLE_RATIOS; k++)
        number(b, 9, 3, TABLE_MEAN(t, gap[k]));
    buf_char(b, '\n');
}

static void print_settled(struct buf *b, const struct table *t)
{
    char s[32];
    uint64_t half = stats_tokens(&t->s->layers[0]) / 2;
    if (!t->halves)
        return;
    cmd_fmt(b, "\nSame choice from each half (even and odd samples, %s tokens each): the share of the\n",
            human_count(half, s));
    buf_str(b, "experts that both keep, of the score that one half could keep at best what the choice by\n"
               "the other keeps, and of how many tokens two texts would keep ");
    cmd_fmt(b, "%.1f %% of it for each other (an\n", 100 * TABLE_GOAL_SCORE);
    buf_str(b, "estimate: what is lost falls with one over the tokens):\n\n");
    buf_str(b, "  pruned     experts       score      tokens");
    cmd_head(b);
    for (size_t k = 0; k < TABLE_RATIOS; k++) {
        uint64_t n =
            (uint64_t)table_tokens_for_score(t, k); /* below a tenth of what was seen nothing can be told */
        cmd_fmt(b, "  %5.1f %%  %7.1f %%  %8.2f %%  %10s\n", 100 * table_ratios[k],
                100 * TABLE_MEAN(t, agree[k]), 100 * TABLE_MEAN(t, held[k]),
                n < half / 10 ? "far fewer" : human_count(n, s));
    }
}

static void print_super(struct buf *b, const struct table *t)
{
    if (isnan(t->super_limit) || !t->n_super)
        return;
    cmd_fmt(b, "\nSuper experts (max_activation above %.4g; plan --protect-super keeps them):\n",
            t->super_limit);
    for (uint32_t i = 0; i < t->s->n_layers; i++) {
        if (!t->rows[i].n_super)
            continue;
        cmd_fmt(b, "  layer %u:", t->rows[i].il);
        for (uint32_t j = 0; j < t->s->n_experts; j++)
            if (t->super[(size_t)i * t->s->n_experts + j])
                cmd_fmt(b, " %u", j);
        buf_char(b, '\n');
    }
}

void stats_one_text(struct buf *b, const struct table *t, const struct view *v)
{
    header(b, t->s);
    print_kept(b, t);
    print_spread(b, t);
    print_settled(b, t);
    stats_gates_text(b, t);
    if (v)
        sizes_text(b, v, t->keep);
    print_super(b, t);
    print_never(b, t->s);
}

/* ---- several files ---- */

void stats_several_text(struct buf *b, const struct stats_several *several)
{
    const struct stats_show *o = several->o;
    const struct table_pair *p = several->pairs;
    const struct stats *s = o->s[0];
    const char *name = json_string_value(json_object_get(s->model, "name"));
    char t[32];
    uint32_t n_low = 0;
    cmd_fmt(b, "model  %s, %u layers with %u experts\n\n", name ? name : "?", s->n_layers, s->n_experts);
    for (uint32_t f = 0; f < o->n; f++)
        cmd_fmt(b, "  %2u  %12s tokens  %s%s\n", f + 1, human_count(stats_tokens(&o->s[f]->layers[0]), t),
                o->path[f], o->s[f]->progress ? " (of a run that has not ended)" : "");
    cmd_fmt(
        b,
        "\nShare of the kept experts that two files have in common, by %s, when this share goes (mean over the\n",
        o->criterion->name);
    buf_str(b, "layers; random choices share what stays), and the correlation of their rankings:\n\n"
               "  files    rank corr.");
    for (size_t k = 0; k < TABLE_RATIOS; k++)
        cmd_fmt(b, "   %4.1f %%", 100 * table_ratios[k]);
    cmd_head(b);
    for (uint32_t x = 0; x < o->n; x++)
        for (uint32_t y = x + 1; y < o->n; y++, p++) {
            cmd_fmt(b, "  %2u %2u   ", x + 1, y + 1);
            number(b, 11, 3, p->correlation);
            for (size_t k = 0; k < TABLE_RATIOS; k++)
                number(b, 9, 3, p->overlap[k]);
            buf_char(b, '\n');
        }
    buf_str(b, "  random        0.000");
    for (size_t k = 0; k < TABLE_RATIOS; k++)
        number(b, 9, 3, (double)several->keep[k] / s->n_experts);
    for (size_t i = 0; i < (size_t)s->n_layers * s->n_experts; i++)
        n_low += several->low[i] ? 1u : 0u;
    cmd_fmt(
        b,
        "\n\n%u of %u experts are in the lowest quarter of their layer in every file (--json names them)\n",
        n_low, s->n_layers * s->n_experts);
    if (o->view)
        sizes_text(b, o->view, several->keep);
}
