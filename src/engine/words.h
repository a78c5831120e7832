/* words.h - where the engine splits a text into other words than the model's own tokenizer.
 *
 * Byte-level tokenizers merge within words, and a regular expression says what a word is. Under some names of
 * tokenizer.ggml.pre the engine has an expression that is only near the model's, because std::regex knows neither \p{Lu}
 * nor \p{Ll}. There a letter that is not a-z counts as a capital, one that is not A-Z as a small letter, and a
 * combining mark as punctuation (gpt-4o, tekken); or all letters count as both (tiny_aya, youtu, and kimi-k2, where it also
 * takes fewer characters for Han). */
#ifndef REAP_ENGINE_WORDS_H
#define REAP_ENGINE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The engine's expression of this name is near the model's and not the same. */
bool words_near(const char *pre);

/* The first word of n bytes of text that the engine splits otherwise: where it begins, and *end where it ends; n:
 * there is none. Special tokens that are written in the text are taken for text. */
uint64_t words_differ(const char *pre, const char *s, uint64_t n, uint64_t *end);

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
bool unicode_is_space(uint32_t c); /* White_Space, line ends too */

#endif
