/* runs.h - whether the engine can run a GGUF model without ending the process.
 *
 * The engine asserts, divides, loops and allocates by what a file says, and an assertion that does not hold
 * ends the process. What a view says (view.h) is enough to prune; who runs a model asks here as well, before
 * the engine is started. The engine's own refusals, which come back as an error, are not repeated. Each row
 * of the tables has its place in the engine's sources in docs/formats.md#what-the-engine-takes-for-granted.
 * The vocabulary: tokenizer/vocab.h. */
#ifndef REAP_MODEL_RUNS_H
#define REAP_MODEL_RUNS_H

#include "family/family.h"
#include "gguf/gguf_file.h"

/* Keys and tensors of a GGUF file that a view was made of, which knows its family and the number of its blocks.
 * False with *e set (ERR_INPUT), which names key or tensor. */
bool runs_check(const struct gg_file *f, const struct family *family, uint32_t n_blocks, struct err *e);
/* Whether the engine can run its block that predicts further tokens: there is one, its graph is known, and what that asserts is
 * there. Behind runs_check. */
bool runs_mtp(const struct gg_file *f, const struct family *family, uint32_t n_blocks);
/* Whether it may also be mapped: the data of a file whose general.alignment is 8 or 16 may not. */
bool runs_mapped(const struct gg_file *f);

#endif
