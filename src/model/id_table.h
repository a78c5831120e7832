/* id_table.h - layers that route by a table of expert ids instead of by scores (the hash layers of DeepSeek-V4).
 *
 * The table has a row of k ids for each token of the vocabulary: ffn_gate_tid2eid.weight [k, V] in GGUF,
 * gate.tid2eid [V, k] in a checkpoint; in both the ids of a token lie side by side. The router's rows give
 * the weights of the experts that are named there (llama.cpp v0.5.0, src/models/deepseek4.cpp).
 *
 * A cut leaves every token k experts: ids that stay get their new numbers; then, from left to right, the one
 * in place s of the row of token t that is gone becomes number (t * k + s) mod n_keep, or the next behind it
 * (0 behind the last) that the row does not hold yet. So the tokens of removed experts spread evenly over those
 * that stay. That an expert suits a token better than another is known to nobody: no score chose them. */
#ifndef REAP_MODEL_ID_TABLE_H
#define REAP_MODEL_ID_TABLE_H

#include "model/view.h"

/* Whether a tensor with the role ROLE_TABLE has the type and the shape of one. False: *e names it. */
bool id_table_check(const struct view *v, const struct view_tensor *x, struct err *e);
/* The bytes of the table after a cut, x->bytes of them (caller frees). keep: n_keep ids, ascending. NULL with *e
 * set: it cannot be read, or holds what is no id of an expert. */
uint8_t *id_table_cut(const struct view *v, const struct view_tensor *x, const uint32_t *keep,
                      uint32_t n_keep, struct err *e);

#endif
