/* vocab.h - whether the engine can tokenise with the tokenizer.* keys of a GGUF file without ending the
 * process: tokens that stand twice, tokens that it puts before and behind a text without having them. What it
 * refuses itself is not repeated, and a text that has a byte without a token is refused with its place
 * (engine/tokenize.h). Places in its sources: docs/formats.md#what-the-engine-takes-for-granted; the rest of a
 * model: model/runs.h. */
#ifndef REAP_TOKENIZER_VOCAB_H
#define REAP_TOKENIZER_VOCAB_H

#include "gguf/gguf_file.h"

/* False with *e set (ERR_INPUT), which names the key. */
bool vocab_check(const struct gg_file *f, struct err *e);

#endif
