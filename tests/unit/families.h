/* families.h - the tiny models of tests/data/families and tests/data/seeded, one test each. */
#ifndef REAP_TESTS_FAMILIES_H
#define REAP_TESTS_FAMILIES_H

#include "golden.h"
#include "model/plan.h"
#include "prune/prune.h"

struct family_case {
    const char *name;   /* folder */
    const char *suffix; /* of the goldens that the engine must match */
    bool other_plan;    /* plan.json is not what the engine's own routing gives */
    bool harmony;       /* the engine recognises special tokens even where they are to be text */
    double token;       /* largest difference of one log-probability that was seen */
    double nll;         /* bound, relative, of the mean negative log-likelihood */
    const struct golden_tol *tol;
    bool seeded; /* of tests/data/seeded: there are no weights and no texts, tests make and borrow them */
};
extern const struct family_case family_cases[];
extern const uint32_t n_family_cases;
/* One for each folder of tests/data/seeded, by name. */
const struct family_case *family_seeded(uint32_t *n);
const struct family_case *family_named(const char *name); /* of either kind */
/* The case when all its weights are floats. */
const struct family_case *family_in_floats(const struct family_case *f);

/* Path of a file in the folder; the last 64 results are valid. */
const char *family_file(const struct family_case *f, const char *name);
/* Of texts.jsonl and golden_tokens.json: all seeded models have one tokenizer. */
const char *family_texts(const struct family_case *f, const char *name);
/* "golden_stats": with the suffix and .json. */
/* The checkpoint in the running test's folder as "hf"; of a seeded one weights and tokenizer, too. */
const char *family_folder(const struct family_case *f);
json_t *family_golden(const struct family_case *f, const char *name);
struct plan *family_plan(const struct family_case *f); /* plan.json */
struct view *family_view(const char *path);            /* with its router hash */
/* golden_tmp(out): the model (a path) pruned by plan.json. */
void family_prune(const struct family_case *f, const char *model, const char *out, bool no_provenance);
/* One cmocka test per family. */
int family_run(const char *group, void (*test)(void **state));
int family_run_seeded(const char *group, void (*test)(void **state));
/* Everything that the engine computes with a model, against the goldens; model: its name in each folder. */
int families_engine(const char *group, const char *model);
/* The same of a seeded checkpoint, once: profiled, scored, masked, pruned and scored again. Without goldens: it runs,
 * and so does what is left of it. */
void families_engine_seeded(const struct family_case *f, const char *folder);

#endif
