/* cmd_eval.c - perplexity of texts and of samples, alone or against a base model. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "cmd/cmd.h"
#include "cmd/eval_questions.h"
#include "cmd/eval_show.h"
#include "convert/load.h"
#include "eval/plan_mask.h"
#include "eval/scores.h"
#include "model/view.h"

#include <string.h>

static struct opt_list texts, choices, plans;
static const char *logprobs, *out, *against, *pass_bounds;
static struct pass pass;
static int64_t ctx;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATHS("text", &texts, "FILE", "perplexity in llama-perplexity's windows"),
    OPT_INT("ctx", &ctx, "N", 4, 1 << 24, "window in tokens",
            .dflt_is = OPT_TEXT(EVAL_CTX) " for --text, the longest sample for --calib"),
    OPT_PATHS("choices", &choices, "FILE",
              "accuracy on questions with choices, by the likelihood of each choice"),
    OPT_PATHS(
        "plan", &plans, "FILE",
        "evaluate the model as this plan would leave it; nothing is written; several are compared with the first, on "
        "--choices or --against a base",
        .alias = "-p"),
    OPT_MODEL("against", &against, "BASE",
              "with --text: how far the model is from this one, in KL divergence and agreement"),
    OPT_STR("pass", &pass_bounds, "BOUNDS", CMD_PASS),
    OPT_PATH(
        "logprobs", &logprobs, "FILE",
        "with --calib: log-probability of every token, with --choices: of every choice; one JSON row per "
        "sample or question"),
    OPT_PATH("output", &out, "FILE", "write the result as reap.eval/1", .alias = "-o"),
    OPT_FLAG("force", &cmd_force, "replace output files; accept a plan of another model", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_eval = {
    .name = "eval",
    .usage = "MODEL [--plan PLAN]... [--against BASE] (--text FILE | --calib FILE)...\n"
             "MODEL [--plan PLAN]... --choices FILE...",
    .summary = "perplexity of a model on texts, the likelihood of samples, accuracy on questions",
    .example = "  reap eval pruned.gguf --text heldout.txt\n"
               "  reap eval model.gguf --plan plan.json --against model.gguf --text heldout.txt\n"
               "  reap eval model.gguf --plan a.json --plan b.json --against model.gguf --text heldout.txt\n"
               "  reap eval model.gguf --calib samples.jsonl --logprobs logprobs.jsonl\n"
               "  reap eval model.gguf --plan a.json --plan b.json --choices arc.jsonl\n",
    .opts = (const struct opt *const[]){opts, samples_opt_table, engine_opt_table, NULL},
    .min_args = 1,
    .max_args = 1,
    .models = 1,
    .run = run,
};

/* ---- what is loaded ---- */

/* Open from the start, so that no other program writes them, and put in place together. */
enum { RESULT, ROWS, N_OUTS };

struct models {
    struct view *v, *base; /* base NULL: nothing to compare with, or the model itself */
    struct plan **plans;   /* [n_plans] of v; none: whole */
    uint32_t n_plans;
    struct engine *g, *base_engine;
    bool compare;
    struct out outs[N_OUTS];
};

static void models_free(struct models *m)
{
    engine_free(m->g);
    engine_free(m->base_engine);
    for (int i = 0; i < N_OUTS; i++)
        out_abort(&m->outs[i]);
    for (uint32_t i = 0; i < m->n_plans; i++)
        plan_free(m->plans[i]);
    free(m->plans);
    view_free(m->v);
    view_free(m->base);
}

/* --type and --pretokenizer are for checkpoints; beside one, a GGUF file is no mistake. */
static struct engine *load(const struct view *v, const struct view *other, struct err *e)
{
    struct engine_opts o = cmd_engine;
    if (!v->format->converts && other && other->format->converts)
        o.type = o.pretokenizer = NULL;
    return load_engine(v, &o, e);
}

static bool check_output(const struct models *m, const char *path, struct err *e)
{
    for (uint32_t i = 0; i < plans.n; i++)
        if (!file_check_apart(path, plans.v[i], "the plan", e))
            return false;
    return file_check_texts(path, texts.v, texts.n, e) &&
           file_check_apart(path, cmd_engine.chat_template_file, "the chat template itself", e) &&
           view_check_output(m->v, path, e) && (!m->base || view_check_output(m->base, path, e)) &&
           file_check_output(path, cmd_force, e);
}

static bool open_outputs(struct models *m, struct err *e)
{
    const char *const paths[N_OUTS] = {out, logprobs};
    bool ok = !out || !logprobs || out_recover(paths, N_OUTS, e);
    for (int i = 0; ok && i < N_OUTS; i++)
        ok = !paths[i] || (check_output(m, paths[i], e) && out_open(&m->outs[i], paths[i], cmd_force, e));
    return ok;
}

static bool load_plans(struct models *m, struct err *e)
{
    m->plans = xcalloc((size_t)plans.n + 1, sizeof *m->plans);
    for (; m->n_plans < plans.n; m->n_plans++)
        if (!(m->plans[m->n_plans] = eval_plan(plans.v[m->n_plans], m->v, cmd_force, e)))
            return false;
    return true;
}

static bool load_models(struct models *m, const char *path, struct err *e)
{
    m->compare = against != NULL;
    if (!(m->v = view_open(path, e)) ||
        (against && !file_same(path, against) && !(m->base = view_open(against, e))))
        return false;
    if (!open_outputs(m, e) || !eval_scores_check(texts.v, texts.n, against != NULL, e) ||
        !view_hash(m->v, e) || (m->base && !view_hash(m->base, e)))
        return false;
    if (!load_plans(m, e))
        return false;
    if (m->compare && !m->base && !m->n_plans)
        log_warn("'%s' is compared with itself; --plan makes a difference", path);
    return (m->g = load(m->v, m->base, e)) && (!m->base || (m->base_engine = load(m->base, m->v, e)));
}

/* ---- evaluating ---- */

static bool samples(struct models *m, const struct corpus_opts *co, struct eval_scores *r, struct err *e)
{
    struct corpus c = {0};
    bool ok = corpus_load(co, &c, e) && (!out || corpus_check_output(&c, out, e)) &&
              (!logprobs || corpus_check_output(&c, logprobs, e)) &&
              eval_scores_samples(r, m->g, &c, (uint32_t)ctx, logprobs ? &m->outs[ROWS] : NULL, e);
    corpus_free(&c);
    return ok;
}

/* The model, or each of its plans; r holds as many. */
static uint32_t n_sides(const struct models *m)
{
    return m->n_plans ? m->n_plans : 1;
}

static bool compare(struct models *m, struct eval_scores *r, uint32_t n_ctx, struct err *e)
{
    const struct view *base = m->base ? m->base : m->v;
    struct against_side *sides = xcalloc((size_t)n_sides(m) + 1, sizeof *sides);
    bool ok = texts.n < 2 ||
              eval_check_texts(m->g, texts.v, texts.n, n_ctx, NULL, e); /* the last may be too short */
    sides[0] = (struct against_side){base->path, m->base ? m->base_engine : m->g, base, NULL};
    for (uint32_t i = 0; i < n_sides(m); i++)
        sides[i + 1] = (struct against_side){m->v->path, m->g, m->v, m->n_plans ? m->plans[i] : NULL};
    for (uint32_t i = 0; ok && i < texts.n; i++)
        ok = eval_scores_against(r, sides, n_sides(m), texts.v[i], n_ctx, e);
    free(sides);
    return ok;
}

static bool evaluate(struct models *m, const struct corpus_opts *co, struct eval_scores *r, struct err *e)
{
    uint32_t n_ctx = ctx ? (uint32_t)ctx : EVAL_CTX;
    bool ok = m->compare ? compare(m, r, n_ctx, e)
                         : (!m->n_plans || eval_mask(m->g, m->v, m->plans[0], e)) &&
                               eval_scores_texts(r, m->g, texts.v, texts.n, n_ctx, e) &&
                               (!co->n_specs || samples(m, co, r, e));
    for (uint32_t i = 0; i < n_sides(m); i++)
        eval_scores_end(&r[i]);
    return ok;
}

/* ---- printing ---- */

static bool print(struct models *m, const struct eval_scores *r, struct err *e)
{
    const struct view *base = r->compared ? m->base ? m->base : m->v : NULL;
    struct eval_shown x = {m->v, base, plans.v, (const struct plan *const *)m->plans, m->n_plans, &pass, r};
    struct eval_file f = eval_shown_file(&x);
    bool ok = (!out || eval_shown_write(&f, &m->outs[RESULT], e)) && out_commit_all(m->outs, N_OUTS, e) &&
              (cmd_json ? cmd_print_json("eval", eval_json(&f), e) : eval_show(&x, &f, e)) &&
              eval_shown_pass(&x, e);
    eval_shown_clear(&f);
    return ok;
}

static bool questions(const char *model, const struct corpus_opts *co, struct err *e)
{
    const struct eval_questions o = {model, &choices, &plans, out, logprobs};
    if (texts.n || co->n_specs || against)
        return err_set(e, ERR_INPUT, "--choices is evaluated alone, without --text, --calib and --against");
    if (logprobs && choices.n > 1)
        return err_set(e, ERR_INPUT, "--logprobs takes the rows of one --choices FILE, not of %u", choices.n);
    return eval_questions(&o, e);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct corpus_opts co;
    struct models m = {.outs = {[RESULT] = {.fd = -1}, [ROWS] = {.fd = -1}}};
    cmd_corpus(&co);
    co.shuffle = false; /* rows of --logprobs stand in the order of the file */
    if (!texts.n && !co.n_specs && !choices.n)
        return err_set(e, ERR_INPUT, "nothing to evaluate: give --text FILE, --calib FILE or --choices FILE");
    if (out && logprobs && !strcmp(out, logprobs))
        return err_set(e, ERR_INPUT, "--output and --logprobs are both '%s'", out);
    if (choices.n)
        return questions(args[0], &co, e);
    if (plans.n > 1 && !against)
        return err_set(
            e, ERR_INPUT,
            "--plan is given %u times; several are compared on --choices, or on --text with --against",
            plans.n);
    if (logprobs && !co.n_specs)
        return err_set(e, ERR_INPUT, "--logprobs needs --calib or --choices");
    if (against && (co.n_specs || !texts.n))
        return err_set(e, ERR_INPUT, "--against compares on --text FILE, not on --calib");
    if (pass_bounds && !against)
        return err_set(e, ERR_INPUT, "--pass bounds the distance from a base: --against BASE");
    if (pass_bounds && !pass_parse(pass_bounds, "--pass", &pass, e))
        return false;
    struct eval_scores *r = xcalloc((size_t)plans.n + 1, sizeof *r);
    bool ok = load_models(&m, args[0], e) && evaluate(&m, &co, r, e) && print(&m, r, e);
    for (uint32_t i = 0; i <= plans.n; i++)
        eval_scores_clear(&r[i]);
    free(r);
    models_free(&m);
    return ok;
}
