/* choice_table.c - see choice_table.h. */
#include "cmd/choice_table.h"
#include "base/text.h"
#include "cmd/cmd.h"

#include <math.h>

static void names(struct buf *b, const struct choice_file_row *r)
{
    for (uint32_t i = 0; i < r->n_criteria; i++)
        buf_fmt(b, "%s%s", i ? ", " : "", r->criteria[i]);
}

/* One window tells no error. */
static void error_of(struct buf *b, double stderr_mean)
{
    if (isfinite(stderr_mean))
        buf_fmt(b, " +/- %.6f", stderr_mean);
}

static void row(struct buf *b, const struct choice_file *f, uint32_t i)
{
    const struct choice_file_row *r = &f->rows[i];
    struct buf n = {0}, kl = {0}, diff = {0};
    names(&n, r);
    buf_fmt(&kl, "%9.6f", r->kl.mean);
    error_of(&kl, r->kl.stderr_mean);
    buf_fmt(&diff, i == f->lowest ? "lowest" : "+%.6f", r->diff.mean);
    if (i != f->lowest) {
        error_of(&diff, r->diff.stderr_mean);
        buf_str(&diff, r->tie ? ", a tie" : "");
    }
    cmd_fmt(b, "%-20s %-22s %9.6f %-12s %8.4f  %s%s\n", n.s, kl.s, r->worst,
            r->worst_category ? r->worst_category : "", r->ppl_ratio, diff.s, i == f->chosen ? "  <-" : "");
    buf_clear(&n);
    buf_clear(&kl);
    buf_clear(&diff);
}

void choice_table(struct buf *b, const struct choice_file *f)
{
    char n[32];
    struct buf taken = {0};
    cmd_fmt(b, "%-20s %22s %-22s %8s  %s", "criterion", "KL divergence", "    worst category", "ppl x",
            "KL above the lowest");
    cmd_head(b);
    for (uint32_t i = 0; i < f->n_rows; i++)
        row(b, f, i);
    cmd_fmt(b, "%s tokens scored in %llu of %llu windows, %u categor%s of equal weight, %s\n",
            human_count(f->n_scored, n), (unsigned long long)f->n_windows,
            (unsigned long long)f->n_windows_of, f->n_categories, f->n_categories == 1 ? "y" : "ies",
            f->text ? "on text that was given" : "on text that was set aside");
    names(&taken, &f->rows[f->chosen]);
    cmd_fmt(b, "%llu of %llu experts stay, chosen by %s%s\n", (unsigned long long)f->n_keep,
            (unsigned long long)f->n_experts, taken.s,
            f->chosen == f->lowest ? ""
            : !isfinite(f->rows[f->chosen].diff.stderr_mean)
                ? ": one window tells no error of the difference "
                  "to the lowest, and the default wins ties"
                : ": the difference to the lowest is below two of its errors, and the default "
                  "wins ties");
    buf_clear(&taken);
}
