/* eval_questions.c - see eval_questions.h. */
#include "cmd/eval_questions.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "convert/load.h"
#include "eval/plan_mask.h"
#include "eval/questions.h"
#include "results/eval.h"

#include <stdlib.h>
#include <string.h>

/* Open from the start, so that no other program writes them, and put in place together. */
enum { RESULT, ROWS, N_OUTS };

struct work {
    const struct eval_questions *o;
    struct view *v;
    struct engine *g;
    struct plan **plans;           /* as in o */
    struct questions_plan *named;  /* the same with the names of their files */
    struct question_file *files;   /* as in o */
    struct questions_scores *done; /* of each file */
    struct out outs[N_OUTS];
};

static void work_clear(struct work *w)
{
    engine_free(w->g);
    for (uint32_t i = 0; i < w->o->plans->n; i++)
        plan_free(w->plans[i]);
    for (uint32_t i = 0; i < w->o->files->n; i++) {
        question_file_clear(&w->files[i]);
        questions_scores_clear(&w->done[i]);
    }
    for (int i = 0; i < N_OUTS; i++)
        out_abort(&w->outs[i]);
    free(w->plans);
    free(w->named);
    free(w->files);
    free(w->done);
    view_free(w->v);
}

/* ---- what is loaded ---- */

static bool check_output(const struct work *w, const char *path, struct err *e)
{
    for (uint32_t i = 0; i < w->o->plans->n; i++)
        if (!file_check_apart(path, w->o->plans->v[i], "the plan", e))
            return false;
    return file_check_texts(path, w->o->files->v, w->o->files->n, e) && view_check_output(w->v, path, e) &&
           file_check_output(path, cmd_force, e);
}

static bool open_outputs(struct work *w, struct err *e)
{
    const char *const paths[N_OUTS] = {w->o->out, w->o->rows};
    bool ok = !paths[RESULT] || !paths[ROWS] || out_recover(paths, N_OUTS, e);
    for (int i = 0; ok && i < N_OUTS; i++)
        ok = !paths[i] || (check_output(w, paths[i], e) && out_open(&w->outs[i], paths[i], cmd_force, e));
    return ok;
}

/* What may be wrong with the inputs is said before the model is loaded. */
static bool load(struct work *w, struct err *e)
{
    if (!(w->v = view_open(w->o->model, e)) || !open_outputs(w, e))
        return false;
    for (uint32_t i = 0; i < w->o->files->n; i++)
        if (!question_file_read(&w->files[i], w->o->files->v[i], e))
            return false;
    if (!view_hash(w->v, e))
        return false;
    for (uint32_t i = 0; i < w->o->plans->n; i++) {
        if (!(w->plans[i] = eval_plan(w->o->plans->v[i], w->v, cmd_force, e)))
            return false;
        w->named[i] = (struct questions_plan){path_base(w->o->plans->v[i]), w->plans[i]};
    }
    return (w->g = load_engine(w->v, &cmd_engine, e)) != NULL;
}

/* ---- printing ---- */

static void show_share(struct buf *b, double share, double err)
{
    cmd_fmt(b, "   %6.2f %% +/- %4.2f", 100 * share, 100 * err);
}

static void print_paired(struct buf *b, const char *name, const struct questions_paired *p)
{
    cmd_fmt(b, "    %-9s %+6.2f %% (%+.2f to %+.2f)   lost %llu, won %llu   p %.2g\n", name, 100 * p->diff,
            100 * p->low, 100 * p->high, (unsigned long long)p->lost, (unsigned long long)p->won, p->p);
}

static void print_scores(struct buf *b, const struct questions_scores *c)
{
    char n[32];
    cmd_fmt(b, "%s: %s question%s of the form '%s'\n", c->name, human_count(c->n_questions, n),
            c->n_questions == 1 ? "" : "s", c->form);
    cmd_fmt(b, "  %-28s %18s   %17s", "", "acc", "acc_norm");
    cmd_head(b);
    for (uint32_t i = 0; i < c->n_sides; i++) {
        const struct questions_side *s = &c->sides[i];
        cmd_fmt(b, "  %-28s", s->plan ? s->plan : "whole model");
        show_share(b, s->acc, s->acc_stderr);
        show_share(b, s->acc_norm, s->acc_norm_stderr);
        buf_char(b, '\n');
        if (!s->plan)
            continue;
        print_paired(b, "acc", &s->paired);
        print_paired(b, "acc_norm", &s->paired_norm);
    }
}

static bool print(struct work *w, struct err *e)
{
    json_t *model = view_identity(w->v);
    struct eval_file f = {.model = model, .questions = w->done, .n_questions = w->o->files->n};
    json_t *doc = eval_json(&f);
    struct buf b = {0};
    json_print(&b, doc);
    bool ok = (!w->o->out || out_write(&w->outs[RESULT], b.s, b.n, e)) && out_commit_all(w->outs, N_OUTS, e);
    buf_clear(&b);
    json_decref(model);
    if (ok && cmd_json)
        return cmd_print_json("eval", doc, e);
    json_decref(doc);
    for (uint32_t i = 0; ok && i < w->o->files->n; i++)
        print_scores(&b, &w->done[i]);
    return ok && cmd_print(&b, e);
}

bool eval_questions(const struct eval_questions *o, struct err *e)
{
    struct work w = {.o = o, .outs = {[RESULT] = {.fd = -1}, [ROWS] = {.fd = -1}}};
    w.plans = xcalloc(o->plans->n + 1, sizeof *w.plans);
    w.named = xcalloc(o->plans->n + 1, sizeof *w.named);
    w.files = xcalloc(o->files->n, sizeof *w.files);
    w.done = xcalloc(o->files->n, sizeof *w.done);
    bool ok = load(&w, e);
    for (uint32_t i = 0; ok && i < o->files->n; i++)
        ok = questions_score(&w.files[i], w.g, w.v, w.named, o->plans->n, o->rows ? &w.outs[ROWS] : NULL,
                             &w.done[i], e);
    ok = ok && print(&w, e);
    work_clear(&w);
    return ok;
}
