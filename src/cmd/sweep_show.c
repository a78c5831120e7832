/* sweep_show.c - see sweep_show.h. */
#include "cmd/sweep_show.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"

#include <math.h>
#include <string.h>

/* ---- the table ---- */

#define AS_IT_IS "as it is"

static void show_point(struct buf *b, const struct sweep_file *f, uint32_t i, bool types, bool to_best)
{
    const struct sweep_file_point *p = &f->points[i];
    char s[32];
    bool whole = p->n_keep == f->n_experts;
    if (types)
        cmd_fmt(b, "%-9s ", p->type ? p->type : AS_IT_IS);
    cmd_fmt(b, "%-16s %5.1f %% %7u %10s %12.4f +/- %5.3f %8.4f %9.6f +/- %.6f %7.2f %%",
            whole && types ? "(whole model)" : p->criterion,
            100 * (1 - (double)p->n_keep / (double)f->n_experts), (uint32_t)p->n_keep,
            human_bytes(p->bytes, s), p->r.score.ppl, p->r.score.ppl_stderr, exp(p->r.ln_ratio), p->r.kl_mean,
            p->r.kl_stderr, 100 * p->r.top1);
    if (to_best && isnan(p->to_best))
        cmd_fmt(b, " %21s", "");
    else if (to_best && p->to_best_stderr == 0)
        cmd_fmt(b, " %21s", "best");
    else if (to_best)
        cmd_fmt(b, " %+9.6f +/- %.6f", p->to_best, p->to_best_stderr);
    cmd_fmt(b, "%s%s\n", types && sweep_on_front(f, i) ? " *" : "", (int64_t)i == f->chosen ? "  <-" : "");
}

void sweep_show(struct buf *b, const struct sweep_file *f)
{
    bool types = sweep_has_types(f), to_best = false;
    char s[32];
    for (uint32_t i = 0; i < f->n_points; i++)
        to_best = to_best || !isnan(f->points[i].to_best);
    if (types)
        cmd_fmt(b, "%-9s ", "type");
    cmd_fmt(b, "%-16s %7s %7s %10s %22s %8s %21s %9s", "criterion", "pruned", "experts", "size", "perplexity",
            "ratio", "KL divergence", "same top");
    cmd_fmt(b, to_best ? " %21s" : "%s", to_best ? "KL less the best's" : "");
    cmd_head(b);
    if (!types) /* else it is a row */
        cmd_fmt(b, "%-16s %7s %7llu %10s %12.4f +/- %5.3f\n", "(whole model)", "",
                (unsigned long long)f->n_experts, human_bytes(f->bytes, s), f->ppl, f->ppl_stderr);
    for (uint32_t i = 0; i < f->n_points; i++)
        show_point(b, f, i, types, to_best);
    cmd_fmt(b, "%s tokens scored, each %s against the %s\n", human_count(f->n_scored, s),
            types ? "variant" : "plan", types ? "model as it is" : "whole model");
    if (!types)
        return;
    buf_str(b, "* nothing measured is smaller and nearer to the model\n\n");
    sweep_put_verdict(f, b);
}

/* ---- the choice ---- */

/* NAME-WHAT.gguf, of the model's name without its folder. */
static char *made_name(const char *model, const char *what)
{
    char *name = path_own_name(model);
    size_t n = strlen(name);
    n -= text_ends(name, ".gguf") ? strlen(".gguf") : 0;
    char *made = xasprintf("%.*s-%s.gguf", (int)n, name, what);
    free(name);
    return made;
}

/* "  reap VERB FROM MIDDLE TO" */
static void put_command(struct buf *b, const char *verb, const char *from, const char *middle, const char *to)
{
    buf_fmt(b, "  reap %s ", verb);
    buf_shell(b, from);
    buf_fmt(b, " %s ", middle);
    buf_shell(b, to);
    buf_char(b, '\n');
}

void sweep_show_choice(struct buf *b, const struct sweep_file *f, const char *model, const char *plan,
                       bool folder, bool requantize)
{
    const struct sweep_file_point *p = &f->points[f->chosen];
    char s[32], *from = xstrdup(model);
    buf_str(b, f->fit ? "the best that fits: " : "the smallest within the limits: ");
    if (f->fit || p->type) {
        sweep_put_name(f, (uint32_t)f->chosen, b);
        cmd_fmt(b, ", %s", human_bytes(p->bytes, s));
    } else {
        cmd_fmt(b, "%llu of %llu experts", (unsigned long long)p->n_keep, (unsigned long long)f->n_experts);
    }
    bool pruned = p->n_keep < f->n_experts;
    if (pruned)
        cmd_fmt(b, ", by %s", p->criterion);
    cmd_fmt(b, "%s%s\n", plan ? " -> " : "", plan ? plan : "");
    if (folder && p->type) {
        char *to = made_name(model, "converted");
        put_command(b, "convert", from, "-o", to);
        free(from);
        from = to;
    }
    if (p->type) {
        char *to = made_name(model, p->type),
             *how = xasprintf("%s%s -o", p->type, requantize ? " --allow-requantize" : "");
        put_command(b, "quantize", from, how, to);
        free(how);
        free(from);
        from = to;
    }
    if (pruned && plan) {
        struct buf how = {0};
        char *to = made_name(from, "pruned");
        buf_str(&how, "--plan ");
        buf_shell(&how, plan);
        buf_str(&how, " -o");
        put_command(b, "prune", from, how.s, to);
        buf_clear(&how);
        free(to);
    }
    if (pruned && !plan)
        buf_str(b, "with -o PLAN its plan is written, for reap prune\n");
    free(from);
}
