/* measure.h - how alike two texts are, and whether a text runs in circles.
 *
 * Words: maximal runs of characters that are not white space (ASCII); a character of a script that is written
 * without spaces (Chinese, Japanese, Korean) is a word of its own. Texts are UTF-8; other bytes count as
 * characters. Of each text the first MEASURE_MAX_WORDS words are looked at. */
#ifndef REAP_RESULTS_MEASURE_H
#define REAP_RESULTS_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEASURE_MAX_WORDS 100000

struct words {
    uint64_t *hash; /* XXH3 of each word; two words of equal hash are taken for the same */
    uint64_t n;
    uint64_t n_all; /* n, or more when the text has more than MEASURE_MAX_WORDS */
    uint64_t cap;
};
void words_split(struct words *w, const char *text);
/* Adds those of another text; of texts of different kinds (0: as words_split) no word is the same. */
void words_add(struct words *w, const char *text, uint64_t kind);
void words_clear(struct words *w);
/* The word at *at or behind it in a text of n bytes: moves *at to its start and returns its length; 0: there is
 * none. */
size_t word_next(const char *text, size_t n, size_t *at);

/* Similarity: 2 L / (n_a + n_b) with L the length of the longest common subsequence of words. 1: the same
 * words in the same order, 0: none in common. Two empty texts: 1. */
double measure_similarity(const struct words *a, const struct words *b);
/* Which words stand in a longest common subsequence: in_a has a flag for each of a, in_b of b. False: too much to
 * compute, and nothing is set. */
bool measure_common(const struct words *a, const struct words *b, uint8_t *in_a, uint8_t *in_b);
uint64_t measure_common_prefix(const struct words *a, const struct words *b); /* words at the start */

struct loops {
    /* Words covered by the occurrences of the most frequent 4-gram that occurs at least twice (overlaps
     * counted once), as a share of all words; 0 below 8 words. */
    double repeat_share;
    uint64_t period; /* the end repeats: a unit of this many words (or characters), else 0 */
    uint64_t copies; /* full copies of it at the end */
    bool by_characters;
};
/* The end of a text repeats when its last 24 words or more consist of at least 3 full copies of a unit of at
 * most 200 words; or, for text without spaces, its last 100 characters or more of at least 4 copies of a unit
 * of at most 200 characters. cut: the text was stopped from outside, so its last word may be half a word,
 * which need not fit. */
struct loops measure_loops(const struct words *w, const char *text, bool cut);

struct interval {
    double rate, low, high;
};
/* k of n, with the 95 % interval of Wilson (1927), z = 1.959964; n = 0: 0, 0, 1.
 *
 *     ( p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2) ) / (1 + z^2/n) */
struct interval wilson(uint64_t k, uint64_t n);

#endif
