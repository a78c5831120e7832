/* tokenize.h - text into token ids, whatever the text is. Used by engine_llama.c only.
 *
 * libllama splits text into words by regular expressions, and for most of its pre-tokenizers it runs them by
 * std::regex, which goes one call deeper for each character of a match: some 26,000 letters, blanks or dashes in
 * a row end a program on a stack of 8 MiB. Three of its patterns take quadratic time. So a long text is
 * tokenised on a thread whose stack fits its longest stretch, and what would take too long is cut:
 *
 * - The ids are those of libllama for the whole text, but for stretches (a line, mostly) of more than
 *   TOKENIZE_STRETCH bytes: these are cut, before a word where there is one.
 * - Special tokens take quadratic time, too, because libllama walks over all that were found for each one. A text is
 *   cut before one in TOKENIZE_SPECIALS, where no other can be written over the place.
 * - So do characters that a SentencePiece vocabulary spells by bytes. Its texts are cut every TOKENIZE_PIECE bytes or
 *   more, between characters that stand side by side in no token, so that no merge could join them.
 * - superbpe, jais-2: runs of digits, of blanks, are cut where the pattern cuts them, too.
 * - deepseek-llm: runs of blanks are cut at multiples of TOKENIZE_BLANKS, of which its tokens of blanks are parts. */
#ifndef REAP_ENGINE_TOKENIZE_H
#define REAP_ENGINE_TOKENIZE_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

#define TOKENIZE_STRETCH  (1u << 20)
#define TOKENIZE_DIGITS   99
#define TOKENIZE_BLANKS   1024
#define TOKENIZE_SPECIALS 1000
#define TOKENIZE_PIECE    4096

struct llama_model;
struct llama_vocab;

struct tokenizer {
    const struct llama_vocab *vocab;
    bool words;                 /* text is split into words first */
    char pre[64];               /* by the pre-tokenizer of this name */
    struct special *specials;   /* tokens that are looked for in text before all else */
    uint32_t special_from[257]; /* the first that begins with this byte; the longest first */
    bool strips, strips_left;   /* one of them takes the blanks beside it; those before it */
    uint8_t pairs[256][32];     /* bits: bytes that stand side by side in one of them */
    /* SentencePiece: characters that stand side by side in a token, first << 32 | second, ascending; */
    uint64_t *joints;
    uint32_t n_joints;
    bool spells;              /* SentencePiece: characters without a token by their bytes' tokens; */
    uint8_t bytes[32];        /* bits: bytes that have one */
    uint32_t *chars, n_chars; /* characters that have one, ascending */
    int32_t blank;            /* the token of a blank alone, -1: none */
};
void tokenize_init(struct tokenizer *t, const struct llama_model *m);
void tokenize_clear(struct tokenizer *t);

/* As engine_tokenize. ERR_INPUT: the vocabulary lacks what a character of the text needs, or contradicts itself;
 * libllama throws then. ERR_INTERRUPTED: a signal came while a long text was tokenised. */
bool tokenize_text(const struct tokenizer *t, const char *s, uint64_t n, bool add_special, bool parse_special,
                   int32_t **out, uint32_t *n_out, struct err *e);

/* Where a text is cut, and how deep the regular expressions may go in what lies between. Offsets ascend; each
 * is the start of a character. The caller frees cut. */
struct tokenize_cuts {
    uint64_t *cut;
    uint32_t n, cap;
    uint32_t longest; /* bytes of the longest stretch */
};
/* pre NULL: nothing is cut. */
void tokenize_find_cuts(struct tokenize_cuts *c, const char *pre, const char *s, uint64_t n);

#endif
