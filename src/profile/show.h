/* show.h - what the model would be given: samples as a profile takes them, chosen, in its order, through the chat
 * template and the tokenizer, back into text. Of the model the vocabulary is read, and no tensor. */
#ifndef REAP_PROFILE_SHOW_H
#define REAP_PROFILE_SHOW_H

#include "profile/profile.h"

/* The first n samples, and what all of them make: "samples" (each "file", "line", "id", "category", "n_tokens",
 * "n_windows", "text", "tokens"), "n_samples", "n_tokens", "longest" (tokens of a sample), "n_windows", "ctx". Text is
 * complete, special tokens as the vocabulary writes them. NULL with *e set. */
json_t *profile_show(const struct profile_opts *o, uint64_t n, struct err *e);
/* The same for people, safe for a terminal. */
void profile_show_text(const json_t *shown, struct buf *b);

#endif
