/* run.h - the whole job: ask for calibration text, profile, plan, prune, verify, evaluate, ask, with a folder of its results.
 *
 * Restartable (steps.h): the folder's run.json says which steps are done and from what. A second call does
 * those that are not, or whose options or inputs are others now; an interrupted profile goes on from its
 * unfinished file, and prompts that this model answered with these options of the engine are not asked
 * again. */
#ifndef REAP_RUN_RUN_H
#define REAP_RUN_RUN_H

#include "corpus/corpus.h"
#include "engine/engine.h"
#include "plan/make.h"
#include "prune/prune.h"
#include "results/eval.h"
#include "stats/summary.h"
#include "sweep/choice.h"

/* Set aside where nobody says otherwise: to check a plan that is bettered by trial, and to choose a criterion on half of it. The
 * windows of a tenth did not tell the better criteria apart on the model that ships here, twice as many did
 * (docs/commands/choose.md). */
#define RUN_SET_ASIDE        0.1
#define RUN_SET_ASIDE_CHOICE 0.2

struct run_opts {
    const char *model, *out;
    const char *work;          /* folder of stats, plan and results; NULL: OUT.work */
    struct corpus_opts corpus; /* with what is set aside; may have no sources if there are prompts for it: */
    const char *const *calib_prompts;
    uint32_t
        n_calib_prompts; /* the model is asked these, and its answers are calibration text too; 0: none */
    int64_t calib_max_tokens; /* of such an answer */
    struct engine_opts engine;
    struct plan_opts plan; /* how many stay, and by what; stats_path is set here */
    bool choose; /* by the criterion whose plan loses least on what is set aside, not plan.criterion */
    double choose_budget; /* seconds, choice_opts.budget */
    double refine_budget; /* seconds that the plan is refined for, refine_opts.budget; 0: it is not */
    uint32_t n_ctx;       /* window of the profile */
    double until_stable; /* the profile ends when the choice has settled, profile_opts.until_stable; 0: not */
    /* Statistics that are there, with weights (plan/sources.h), instead of a profile; 0: one is made. They are
     * planned from where they are; with a choice of the criterion or a refinement it is one, and the corpus is
     * that of its profile, of which set_aside is -1 then. */
    const char *const *stats;
    uint32_t n_stats;
    const char *protect; /* experts that stay (plan/lists.h); NULL: none named */
    const char
        *quantise;   /* type that the pruned model is made in as well (engine_quantize_name); NULL: none */
    bool requantise; /* though it is quantised already */
    struct prune_opts prune; /* how the model is written; its output and force are set here */
    const char *const *texts;
    uint32_t n_texts, eval_ctx; /* evaluated on before and after; 0: none */
    struct pass
        pass; /* asked of the plan on these texts; nothing asked: it is not measured against the parent */
    const char *const *prompts;
    uint32_t n_prompts; /* paths of serve/prompts.h, asked before and after; 0: none */
    int64_t max_tokens; /* of an answer */
    json_t *job;        /* these options as a file of them, for the record (opt.h); borrowed, may be NULL */
    bool force;         /* an output that another run wrote is replaced */
    bool dry_run;       /* says what would be done, writes nothing */
    bool again;         /* all steps are done again */
};

struct run_text {
    const char *name; /* of its file; borrowed from the options */
    double ppl_before, ppl_after;
    double ppl_quantised; /* not a number: there is no such model */
};

struct run_answers { /* of both models to the same prompts */
    uint64_t n, n_exact, endless_before, endless_after, loops_before, loops_after;
    double similarity_mean;
};

struct run_time { /* of a step */
    const char *name;
    double secs; /* in all calls that worked on it; 0: not known, an earlier version did it */
    bool now;    /* done in this call */
};

struct run_foreseen { /* a step, by a dry run */
    const char *name;
    bool done;              /* already */
    uint64_t tokens, bytes; /* that are decoded, written or compared; 0: none */
    double secs;            /* estimate; not a number: not known */
};

struct run_result {
    char *output, *work; /* the first file of the pruned model; the folder */
    char *name;          /* of the pruned model */
    char *card;          /* that was written; NULL: none */
    uint32_t n_experts, n_keep;
    json_t *refined;      /* what refine says of the plan; NULL: it was not */
    json_t *choice;       /* reap.choice/1 of the criterion that was chosen; NULL: none was */
    struct halves halves; /* would each half of the text choose these; not a number: it has one sample */
    uint64_t bytes_before, bytes_after;
    char *mtp; /* the file of the MTP blocks that were kept; NULL: it was not asked for */
    uint64_t bytes_mtp;
    char *quantised; /* the pruned model in another type; NULL: it was not asked for */
    uint64_t bytes_quantised;
    struct run_text *texts; /* one for each of the options */
    uint32_t n_texts;
    struct run_foreseen *foreseen; /* with dry_run, and nothing else but the output, counts and sizes then */
    uint32_t n_foreseen;
    struct run_time *times; /* of the steps, in their order */
    uint32_t n_times;
    char *verdict; /* with a pass mark: what was measured, and whether it passes, in a sentence; else NULL */
    struct eval_against against; /* what it is about */
    struct run_answers answers;  /* n 0: none were asked */
};

/* Does what is not done. What can be known before the first step is said before it (a count that the router
 * does not allow, an output in the way, prompts that cannot be read), and leaves no folder behind. The result
 * is whole when true was returned, and is cleared by the caller in any case. */
bool run_all(const struct run_opts *o, struct run_result *r, struct err *e);
void run_result_clear(struct run_result *r);

#endif
