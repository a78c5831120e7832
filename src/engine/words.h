/* words.h - the words of a text as the model's own tokenizer has them, where the engine's are others.
 *
 * Byte-level tokenizers merge within words, and a regular expression says what a word is. Under some names of
 * tokenizer.ggml.pre the engine has an expression that is only near the model's, because std::regex knows neither \p{Lu}
 * nor \p{Ll}. There a letter that is not a-z counts as a capital, one that is not A-Z as a small letter, and a
 * combining mark as punctuation (gpt-4o, tekken); or all letters count as both (tiny_aya, youtu). */
#ifndef REAP_ENGINE_WORDS_H
#define REAP_ENGINE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The engine's expression of this name is near the model's and not the same. */
bool words_near(const char *pre);

bool words_apart(const char *pre, const char *s,
                 uint64_t n); /* the engine has other words than the model, here */
/* A text without special tokens, cut so that the engine's words are the model's: into stretches that both split alike,
 * and into single words, those that the engine would split otherwise and a few beside them. No number is single. */
struct words;
struct words *words_open(const char *pre, const char *s, uint64_t n); /* words_near(pre); borrows s */
void words_close(struct words *w);
struct words_part {
    uint64_t at, n;
    bool alone; /* one word, to be tokenised as a whole */
};
bool words_next(struct words *w, struct words_part *p); /* false: the text has ended */

/* Classes of Unicode 17.0 (unicode.c): what \p{..} matches. */
enum unicode_class {
    UNICODE_NONE,
    UNICODE_UPPER, /* Lu, Lt */
    UNICODE_LOWER, /* Ll */
    UNICODE_OTHER, /* Lm, Lo */
    UNICODE_MARK,  /* M */
    UNICODE_NUMBER /* N */
};
enum unicode_class unicode_class_of(uint32_t c);

#endif
