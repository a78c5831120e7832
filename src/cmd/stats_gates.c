/* stats_gates.c - how far gates grow, as a table of stats; see stats_part.h. */
#include "cmd/cmd.h"
#include "cmd/stats_part.h"

#include <math.h>

void stats_gates_text(struct buf *b, const struct table *t)
{
    if (isnan(t->rows[0].mass[0]))
        return;
    buf_str(
        b,
        "\nThe router does not renormalise: by what factor the gates of the experts that stay grow (one over the\n"
        "share of its softmax that they hold) when this share of the experts goes:\n\n"
        "  layer  ");
    for (size_t k = 0; k < TABLE_RATIOS; k++)
        cmd_fmt(b, "   %4.1f %%", 100 * table_ratios[k]);
    buf_char(b, '\n');
    for (uint32_t i = 0; i <= t->s->n_layers; i++) {
        bool last = i == t->s->n_layers;
        if (last)
            buf_str(b, "   mean  ");
        else
            cmd_fmt(b, "  %5u  ", t->rows[i].il);
        for (size_t k = 0; k < TABLE_RATIOS; k++)
            cmd_fmt(b, "%9.3f", 1 / (last ? TABLE_MEAN(t, mass[k]) : t->rows[i].mass[k]));
        buf_char(b, '\n');
    }
}
