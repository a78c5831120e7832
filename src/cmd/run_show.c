/* run_show.c - see run_show.h. */
#include "cmd/run_show.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/shared.h"

#include <math.h>

static double ratio(const struct run_text *t)
{
    return t->ppl_before > 0 ? t->ppl_after / t->ppl_before : 0;
}

void run_show_times(const struct run_result *r, struct buf *b)
{
    char s[32];
    double all = 0;
    for (uint32_t i = 0; i < r->n_times; i++) {
        const struct run_time *t = &r->times[i];
        if (!(t->secs > 0))
            continue;
        all += t->secs;
        cmd_fmt(b, "%s%s %s%s", i ? ", " : "time: ", t->name, human_secs(t->secs, s),
                t->now ? "" : " (before)");
    }
    if (all > 0)
        cmd_fmt(b, "; all %s\n", human_secs(all, s));
}

void run_show_table(const struct run_result *r, const char *type, struct buf *b)
{
    char s[32], t[32];
    cmd_fmt(b, "\n%-24s %12s %12s", "", "before", "after");
    cmd_fmt(b, r->quantised ? "  %12s\n" : "%s\n", r->quantised ? type : "");
    cmd_fmt(b, "%-24s %12u %12u\n", "experts per layer", r->n_experts, r->n_keep);
    cmd_fmt(b, "%-24s %12s %12s", "file size", human_bytes(r->bytes_before, s),
            human_bytes(r->bytes_after, t));
    cmd_fmt(b, r->quantised ? "  %12s\n" : "%s\n", r->quantised ? human_bytes(r->bytes_quantised, s) : "");
    for (uint32_t i = 0; i < r->n_texts; i++) {
        cmd_fmt(b, "perplexity %-13.60s %12.4f %12.4f", r->texts[i].name, r->texts[i].ppl_before,
                r->texts[i].ppl_after);
        if (r->quantised)
            cmd_fmt(b, "  %12.4f", r->texts[i].ppl_quantised);
        cmd_fmt(b, "  x%.3f", ratio(&r->texts[i]));
        if (r->quantised)
            cmd_fmt(b, ", x%.3f", r->texts[i].ppl_quantised / r->texts[i].ppl_before);
        buf_char(b, '\n');
    }
}

static void foreseen_text(const struct run_result *r, struct buf *b)
{
    char s[32], t[32];
    double all = 0;
    bool whole = true, any = false;
    for (uint32_t i = 0; i < r->n_foreseen; i++) {
        const struct run_foreseen *f = &r->foreseen[i];
        cmd_fmt(b, "%-24s ", f->name);
        if (f->done) {
            cmd_fmt(b, "already done\n");
            continue;
        }
        any = true;
        if (f->tokens)
            cmd_fmt(b, "%s tokens, ", human_count(f->tokens, s));
        if (f->bytes)
            cmd_fmt(b, "%s, ", human_bytes(f->bytes, s));
        if (isnan(f->secs))
            cmd_fmt(b, "time not known\n");
        else
            cmd_fmt(b, "about %s\n", human_secs(f->secs, s));
        whole = whole && !isnan(f->secs);
        all += isnan(f->secs) ? 0 : f->secs;
    }
    if (any) {
        cmd_fmt(b, "\nwould write %s, %u of %u experts in each layer, tensors %s -> %s, and %s; about %s%s\n",
                r->output, r->n_keep, r->n_experts, human_bytes(r->bytes_before, s),
                human_bytes(r->bytes_after, t), r->work, human_secs(all, (char[32]){0}),
                whole ? "" : " and what is not known");
        cmd_mtp_kept(b, r->mtp, r->n_experts, r->bytes_mtp, true);
    } else
        cmd_fmt(b, "\nnothing would be done\n");
}

static void mtp_json(const struct run_result *r, json_t *o)
{
    if (!r->mtp)
        return;
    json_object_set_new(o, "mtp_file", json_text(r->mtp));
    json_object_set_new(o, "mtp_bytes", json_integer((json_int_t)r->bytes_mtp));
}

static json_t *foreseen_json(const struct run_result *r)
{
    json_t *o = json_object(), *list = json_array();
    for (uint32_t i = 0; i < r->n_foreseen; i++) {
        const struct run_foreseen *f = &r->foreseen[i];
        json_t *x = json_object();
        json_object_set_new(x, "step", json_string(f->name));
        json_object_set_new(x, "done", json_boolean(f->done));
        json_object_set_new(x, "tokens", json_integer((json_int_t)f->tokens));
        json_object_set_new(x, "bytes", json_integer((json_int_t)f->bytes));
        json_object_set_new(x, "seconds", json_finite(f->secs));
        json_array_append_new(list, x);
    }
    json_object_set_new(o, "dry_run", json_true());
    json_object_set_new(o, "steps", list);
    json_object_set_new(o, "output", json_text(r->output));
    json_object_set_new(o, "work", json_text(r->work));
    json_object_set_new(o, "n_experts", json_integer(r->n_experts));
    json_object_set_new(o, "n_keep", json_integer(r->n_keep));
    json_object_set_new(o, "bytes_before", json_integer((json_int_t)r->bytes_before));
    json_object_set_new(o, "bytes_after", json_integer((json_int_t)r->bytes_after));
    mtp_json(r, o);
    return o;
}

bool run_show_foreseen(const struct run_result *r, struct err *e)
{
    struct buf b = {0};
    if (cmd_json)
        return cmd_print_json("run", foreseen_json(r), e);
    foreseen_text(r, &b);
    return cmd_print(&b, e);
}

bool run_show_json(const char *model, const struct run_result *r, const struct pass *pass, struct err *e)
{
    json_t *o = json_object();
    json_object_set_new(o, "bytes_before", json_integer((json_int_t)r->bytes_before));
    json_object_set_new(o, "bytes_after", json_integer((json_int_t)r->bytes_after));
    if (r->n_texts) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < r->n_texts; i++) {
            const struct run_text *t = &r->texts[i];
            json_t *x = json_object();
            json_object_set_new(x, "name", json_text(t->name));
            json_object_set_new(x, "ppl_before", json_real(t->ppl_before));
            json_object_set_new(x, "ppl_after", json_real(t->ppl_after));
            json_object_set_new(x, "ratio", json_real(ratio(t)));
            if (r->quantised)
                json_object_set_new(x, "ppl_quantised", json_real(t->ppl_quantised));
            json_array_append_new(list, x);
        }
        json_object_set_new(o, "texts", list);
    }
    if (r->answers.n) {
        const struct run_answers *a = &r->answers;
        json_t *x = json_object();
        json_object_set_new(x, "n", json_integer((json_int_t)a->n));
        json_object_set_new(x, "n_exact", json_integer((json_int_t)a->n_exact));
        json_object_set_new(x, "similarity_mean", json_real(a->similarity_mean));
        json_object_set_new(x, "endless_before", json_integer((json_int_t)a->endless_before));
        json_object_set_new(x, "endless_after", json_integer((json_int_t)a->endless_after));
        json_object_set_new(x, "loops_before", json_integer((json_int_t)a->loops_before));
        json_object_set_new(x, "loops_after", json_integer((json_int_t)a->loops_after));
        json_object_set_new(o, "answers", x);
    }
    json_object_set_new(o, "model", json_text(model));
    json_object_set_new(o, "output", json_text(r->output));
    if (r->quantised) {
        json_object_set_new(o, "quantised", json_text(r->quantised));
        json_object_set_new(o, "bytes_quantised", json_integer((json_int_t)r->bytes_quantised));
    }
    mtp_json(r, o);
    json_object_set_new(o, "name", json_text(r->name));
    if (r->card)
        json_object_set_new(o, "card", json_text(r->card));
    json_object_set_new(o, "work", json_text(r->work));
    json_object_set_new(o, "n_experts", json_integer(r->n_experts));
    json_object_set_new(o, "n_keep", json_integer(r->n_keep));
    if (r->choice)
        json_object_set(o, "choice", r->choice);
    if (r->refined)
        json_object_set(o, "refined", r->refined);
    if (r->verdict) {
        json_object_set_new(o, "verdict", json_text(r->verdict));
        json_object_set_new(o, "passes", json_boolean(pass_holds(pass, &r->against)));
    }
    json_t *times = json_array();
    for (uint32_t i = 0; i < r->n_times; i++) {
        json_t *x = json_object();
        json_object_set_new(x, "step", json_string(r->times[i].name));
        json_object_set_new(x, "seconds", json_finite(r->times[i].secs > 0 ? r->times[i].secs : (double)NAN));
        json_object_set_new(x, "now", json_boolean(r->times[i].now));
        json_array_append_new(times, x);
    }
    json_object_set_new(o, "steps", times);
    json_t *halves = json_object();
    json_object_set_new(halves, "same_experts", json_finite(r->halves.same));
    json_object_set_new(halves, "score_kept", json_finite(r->halves.kept));
    json_object_set_new(o, "halves", halves);
    return cmd_print_json("run", o, e);
}
