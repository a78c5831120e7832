/* cmd_eval.c - perplexity of texts and of samples. */
#include "base/file.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "convert/load.h"
#include "eval/eval.h"
#include "eval/mask.h"
#include "model/view.h"

#include <string.h>

static struct opt_list texts;
static const char *logprobs, *out, *plan_path;
static int64_t ctx;

static const struct opt opts[] = {
    {OPT_HEAD, "Options", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_LIST, "text", NULL, &texts, "FILE", "perplexity in llama-perplexity's windows (several times)", 0, 0,
     NULL},
    {OPT_INT, "ctx", NULL, &ctx, "N",
     "window in tokens (default 512 for --text, the longest sample for --calib)", 4, 1 << 24, NULL},
    {OPT_STR, "plan", "-p", &plan_path, "FILE",
     "evaluate the model as this plan would leave it; nothing is written", 0, 0, NULL},
    {OPT_STR, "logprobs", NULL, &logprobs, "FILE",
     "with --calib: log-probability of every token, one JSON row per sample", 0, 0, NULL},
    {OPT_STR, "output", "-o", &out, "FILE", "write the result as reap.eval/1", 0, 0, NULL},
    {OPT_FLAG, "force", "-f", &cmd_force, NULL, "replace output files; accept a plan of another model", 0, 0,
     NULL},
    {.kind = OPT_END},
};

static void row(struct buf *b, const char *name, const struct eval_score *s)
{
    char n[32];
    buf_fmt(b, "%-28s %10.4f +/- %.4f   nll %.6f   %s tokens scored\n", name, s->ppl, s->ppl_stderr, s->nll,
            human_count(s->n_scored, n));
}

struct result {
    json_t *texts;
    struct buf text;
    struct eval_score total;
    uint32_t n;
};

static void note(struct result *r, const char *name, const struct eval_score *s)
{
    json_array_append_new(r->texts, eval_score_json(name, s));
    row(&r->text, name, s);
    eval_add(&r->total, s);
    r->n++;
}

static bool evaluate(struct engine *g, const struct corpus_opts *co, struct result *r, struct err *e)
{
    struct eval_score s;
    for (uint32_t i = 0; i < texts.n; i++) {
        if (!eval_text(g, texts.v[i], ctx ? (uint32_t)ctx : 512, &s, e))
            return false;
        note(r, path_base(texts.v[i]), &s);
    }
    if (!co->n_specs)
        return true;
    struct corpus c = {0};
    bool ok = corpus_load(co, &c, e) && (!out || corpus_check_output(&c, out, e)) &&
              (!logprobs || corpus_check_output(&c, logprobs, e)) &&
              eval_samples(g, &c, (uint32_t)ctx, logprobs, cmd_force, &s, e);
    if (ok)
        note(r, c.n_sources == 1 ? path_base(c.sources[0].path) : "samples", &s);
    corpus_free(&c);
    return ok;
}

/* Which plan the model was evaluated under. */
static json_t *plan_json(const struct plan *p)
{
    json_t *o = json_object(), *criterion = json_object_get(p->doc, "criterion");
    json_object_set_new(o, "file", json_text(path_base(plan_path)));
    json_object_set_new(o, "n_keep", json_integer(p->n_keep));
    if (criterion)
        json_object_set(o, "criterion", criterion);
    return o;
}

static bool print(struct view *v, const struct plan *p, struct result *r, struct err *e)
{
    json_t *o = eval_report(view_identity(v), r->texts, &r->total);
    if (p)
        json_object_set_new(o, "plan", plan_json(p));
    bool ok = !out || json_write(out, o, cmd_force, e);
    if (ok && cmd_json)
        return cmd_print_json("eval", o, e);
    json_decref(o);
    if (r->n > 1)
        row(&r->text, "all", &r->total);
    return ok && cmd_print(&r->text, e);
}

static bool check_output(const struct view *v, const char *path, struct err *e)
{
    for (uint32_t i = 0; i < texts.n; i++)
        if (file_would_destroy(path, texts.v[i]))
            return err_set(e, ERR_INPUT, "the output '%s' is the text '%s' itself", path, texts.v[i]);
    return view_check_output(v, path, e) && file_check_output(path, cmd_force, e);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct corpus_opts co;
    struct result r = {0};
    cmd_corpus(&co);
    co.shuffle = false; /* rows of --logprobs stand in the order of the file */
    if (!texts.n && !co.n_specs)
        return err_set(e, ERR_INPUT, "nothing to evaluate: give --text FILE or --calib FILE");
    if (logprobs && !co.n_specs)
        return err_set(e, ERR_INPUT, "--logprobs needs --calib");
    if (plan_path && out && file_would_destroy(out, plan_path))
        return err_set(e, ERR_INPUT, "the output '%s' is the plan", out);
    if (out && logprobs && !strcmp(out, logprobs))
        return err_set(e, ERR_INPUT, "--output and --logprobs are both '%s'", out);
    struct view *v = view_open(args[0], e);
    bool ready = v && (!out || check_output(v, out, e)) && (!logprobs || check_output(v, logprobs, e)) &&
                 view_hash(v, e);
    struct plan *p = ready && plan_path ? eval_plan(plan_path, v, cmd_force, e) : NULL;
    ready = ready && (p || !plan_path);
    struct engine *g = ready ? load_engine(v, &cmd_engine, e) : NULL;
    r.texts = json_array();
    bool ok = g && (!p || eval_mask(g, v, p, e)) && evaluate(g, &co, &r, e) && print(v, p, &r, e);
    json_decref(r.texts);
    buf_clear(&r.text);
    engine_free(g);
    plan_free(p);
    view_free(v);
    return ok;
}

const struct cmd cmd_eval = {
    .name = "eval",
    .usage = "MODEL [--plan PLAN] (--text FILE | --calib FILE)...",
    .summary = "perplexity of a model on texts, or the likelihood of each sample",
    .example = "  reap eval model.gguf --plan plan.json --text heldout.txt\n"
               "  reap eval pruned.gguf --text heldout.txt\n"
               "  reap eval model.gguf --calib samples.jsonl --logprobs logprobs.jsonl\n",
    .opts = (const struct opt *const[]){opts, corpus_opt_table, engine_opt_table, NULL},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
