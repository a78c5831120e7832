/* tokenizer.h - the tokenizer of a Hugging Face checkpoint as the tokenizer.* keys of a GGUF file.
 *
 * Read are tokenizer.json (byte-level BPE, or a BPE with byte fallback), tokenizer.model (SentencePiece BPE),
 * tiktoken.model and hy.tiktoken (by the rules of Kimi-K2 and Hunyuan-A13B), tokenizer_config.json, added_tokens.json, chat_template.jinja, chat_template.json and
 * additional_chat_templates/NAME.jinja of the checkpoint's folder; no other file, whatever they name. The
 * keys, their kinds, values and order are those of llama.cpp v0.5.0's converter; where it would write tokens
 * that differ from the model's own (said at each place), the right ones are written. Refused: WordPiece,
 * Unigram, other tiktoken files, and a pre-tokenizer that the engine does not know. */
#ifndef REAP_TOKENIZER_TOKENIZER_H
#define REAP_TOKENIZER_TOKENIZER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/jspan.h"
#include <stdint.h>

struct tokenizer_opts {
    const char *pretokenizer; /* a name of the engine's for tokenizer.ggml.pre; NULL: recognised */
    /* Rows of the embedding; 0: vocab_size of config.json, rounded up where the family's converter does. */
    uint64_t vocab_size;
};

/* Adds the keys to *keys and their number to *n_keys. config: config.json of the folder `dir`. False:
 * ERR_INPUT with the file in the message, *keys may hold some keys. Doubts are warnings (log.h). */
bool tokenizer_put_keys(const char *dir, const struct jdoc *config, const struct tokenizer_opts *o,
                        struct buf *keys, uint64_t *n_keys, struct err *e);

#endif
