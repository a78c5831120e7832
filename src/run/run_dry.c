/* run_dry.c - what a run would do: the steps that are not done, with sizes, tokens and an estimate of the time. Nothing is
 * written. The rate is measured: the model is loaded and decodes for about a second. */
#include "base/disk.h"
#include "base/log.h"
#include "base/mem.h"
#include "convert/load.h"
#include "corpus/windows.h"
#include "eval/eval.h"
#include "model/cut.h"
#include "run/run_part.h"

#include <math.h>
#include <string.h>

#define STEP_TOKENS 512

struct amounts {
    uint64_t profile, texts; /* tokens */
    double rate, disk;       /* tokens and bytes a second; 0: not known */
    uint64_t bytes, mtp;     /* of the result, and of the file of kept MTP blocks */
};

/* Tokens a second of decoding without logits; 0: it cannot be told. */
static double measure(struct engine *g, struct err *e)
{
    struct engine_run r = {.n_ctx = STEP_TOKENS, .n_seq_max = 1};
    int32_t token[STEP_TOKENS], pos[STEP_TOKENS], seq[STEP_TOKENS] = {0};
    bool logits[STEP_TOKENS] = {0};
    uint32_t n = engine_ubatch(g) < STEP_TOKENS ? engine_ubatch(g) : STEP_TOKENS, vocab = engine_n_vocab(g);
    uint64_t done = 0;
    double begun = 0, secs = 0;
    for (uint32_t i = 0; i < n; i++) {
        token[i] = (int32_t)(i * 31 % vocab);
        pos[i] = (int32_t)i;
    }
    logits[n - 1] = true;
    if (!engine_start(g, &r, e))
        return 0;
    for (int step = 0; step < 64 && secs < 1; step++) {
        engine_clear(g);
        if (!engine_decode(g, &(struct engine_batch){n, token, pos, seq, logits}, e))
            return 0;
        (void)engine_logits(g, n - 1); /* waits until it is computed */
        if (step)                      /* the first one makes ready */
            done += n;
        else
            begun = now_secs();
        secs = now_secs() - begun;
    }
    return secs > 0 ? (double)done / secs : 0;
}

static bool count_profile(const struct run_job *j, const struct engine *g, uint64_t *n, struct err *e)
{
    struct corpus c = {0};
    struct windows w = {0};
    bool ok = corpus_load(&j->o->corpus, &c, e) && windows_tokenize(&w, &c, g, e);
    *n = w.total;
    windows_clear(&w);
    corpus_free(&c);
    return ok;
}

static bool amounts_of(const struct run_job *j, struct amounts *a, struct err *e)
{
    bool cold;
    const struct run_result *r = j->r;
    struct plan_opts po = run_plan_opts(j);
    uint32_t n_keep = 0;
    struct engine *g = load_engine(j->v, &j->o->engine, e);
    bool ok = g && plan_count(&j->v->shape, j->v, &po, &n_keep, e) &&
              (!j->o->corpus.n_specs || j->o->n_stats || count_profile(j, g, &a->profile, e)) &&
              eval_check_texts(g, j->o->texts, j->o->n_texts, j->o->eval_ctx, &a->texts, e);
    if (ok) {
        a->rate = measure(g, e);
        ok = e->code == ERR_NONE;
        a->bytes = cut_bytes_with(j->v, n_keep, &j->o->prune.cut);
        if (j->o->prune.keep_mtp)
            a->mtp = cut_bytes_with(j->v, r->n_experts, &(const struct cut_opts){.only_mtp = true});
        a->disk = disk_rate(view_largest_file(j->v), &cold);
        j->r->n_keep = n_keep;
    }
    engine_free(g);
    return ok;
}

static void foresee(const struct run_job *j, const struct amounts *a, const char *name, bool done,
                    struct run_foreseen *f)
{
    *f = (struct run_foreseen){.name = name, .done = done, .secs = NAN};
    if (!strcmp(name, "profile"))
        f->tokens = a->profile;
    else if (!strncmp(name, "evaluate", 8))
        f->tokens = a->texts;
    else if (!strcmp(name, "measure the plan"))
        f->tokens = 2 * a->texts;
    else if (!strcmp(name, "prune") || !strcmp(name, "verify"))
        f->bytes = a->bytes + a->mtp;
    else if (!strcmp(name, "plan"))
        f->secs = 0;
    else if (!strcmp(name, "choose") && j->o->choose_budget > 0)
        f->secs = j->o->choose_budget;
    else if (!strcmp(name, "refine"))
        f->secs = j->o->refine_budget;
    if (f->tokens && a->rate > 0)
        f->secs = (double)f->tokens / a->rate;
    if (f->bytes && a->disk > 0) /* each byte twice: read and written, or read of both */
        f->secs = 2 * (double)f->bytes / a->disk;
}

bool run_foresee(const struct run_job *j, struct steps *s, struct err *e)
{
    struct amounts a = {0};
    struct run_result *r = j->r;
    r->n_experts = j->v->shape.n_experts;
    r->output = xstrdup(j->files[0]);
    r->work = xstrdup(j->dir);
    bool any = false;
    if (!steps_foresee(s, e))
        return false;
    for (uint32_t i = 0; i < s->n_times; i++)
        any = any || s->times[i].now;
    if (any && !amounts_of(j, &a, e))
        return false;
    r->bytes_before = j->v->bytes;
    r->bytes_after = a.bytes;
    r->bytes_mtp = a.mtp;
    r->mtp = j->o->prune.keep_mtp ? xstrdup(j->files[j->n_files - 1]) : NULL;
    r->foreseen = xcalloc((size_t)s->n_times + 1, sizeof *r->foreseen);
    for (; r->n_foreseen < s->n_times; r->n_foreseen++)
        foresee(j, &a, s->times[r->n_foreseen].name, !s->times[r->n_foreseen].now,
                &r->foreseen[r->n_foreseen]);
    return true;
}
