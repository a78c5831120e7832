/* sweep_part.h - between the files of sweep.h. */
#ifndef REAP_SWEEP_SWEEP_PART_H
#define REAP_SWEEP_SWEEP_PART_H

#include "sweep/sweep.h"

/* KL divergence summed over each window's scored tokens. */
struct sweep_windows {
    double *kl;
    uint32_t n;
};

/* Types and texts are gone through one by one, all texts under a type: step s is text s % n_texts under type
 * s / n_texts. Type 0 is the model as it is. */
struct sweep_job {
    const struct sweep_opts *o;
    struct sweep_result *r;
    char key[65];              /* of everything that the sums depend on */
    uint32_t n_types, n_plans; /* the points of type t are those from t * n_plans */
    uint32_t step, batches;    /* done: steps, and batches of the next one */
    struct against_sums *part; /* [n_points]: of these batches */
    struct sweep_windows *cut; /* [n_points]: of the windows of this text, 0 where they are not done */
};

/* ---- state.c: what is done, in a file ---- */
void sweep_state_key(struct sweep_job *j);
bool sweep_state_save(const struct sweep_job *j, struct err *e); /* nothing without o->state */
/* Takes over what is there; that nothing is, is no error. */
bool sweep_state_load(struct sweep_job *j, struct err *e);

/* ---- variant.c: the model in another type, while it is measured ---- */
struct variant {
    struct view *v;
    struct engine *g;
};
/* Quantises the model into the cache and loads it. The file has no name any more when this returns, so it goes with
 * the variant however the program ends. False: nothing is left. */
bool variant_open(struct variant *x, const struct view *model, const char *type, bool requantize,
                  const struct engine_opts *o, struct err *e);
void variant_close(struct variant *x);
/* Removes what an earlier run could not, of a type that is not made again. */
void variant_clean(const struct view *model, const char *type);

#endif
