/* gain.h - one gain per layer of a plan: the file reap.gain/1 (docs/formats.md). What the experts of a layer
 * give is multiplied by it, in a pruned GGUF file as ffn_down_exps.scale, under a mask by the engine. It makes
 * the model another function than its parent, so it is never written unless somebody names the file. */
#ifndef REAP_MODEL_GAIN_H
#define REAP_MODEL_GAIN_H

#include "model/plan.h"

#define GAIN_MAX 1000

/* Reads a file and makes it p->gain: it must be of this model (force: a warning instead) and of these experts
 * that stay, and have a gain above 0 and at most GAIN_MAX for every layer of p and for no other. p: checked
 * against v (plan_check). */
bool gain_open(const char *path, struct view *v, struct plan *p, bool force, struct err *e);
/* Writes p->gain. measured: how it was found, borrowed; NULL: not said. */
bool gain_write(const char *path, const struct view *v, const struct plan *p, json_t *measured, bool force,
                struct err *e);
json_t *gain_document(const struct view *v, const struct plan *p,
                      json_t *measured); /* the whole file; new reference */
json_t *gain_json(const struct plan *p); /* block number -> gain, of p->gain; new reference */

/* Whether the engine's graph of the family applies a gain. */
bool gain_check_family(const struct view *v, struct err *e);

#endif
