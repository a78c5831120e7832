/* near.h - the nearest right name to a mistyped one, for "did you mean". */
#ifndef REAP_BASE_NEAR_H
#define REAP_BASE_NEAR_H

#include <stdint.h>

struct near {
    const char *typed;
    const char *best; /* the nearest so far; NULL: none is near */
    uint32_t distance;
};

/* How many letters are to be left out, added, changed or swapped with their neighbour to make b of a;
 * capitals are small letters. Of each the first 64 bytes count. */
uint32_t near_distance(const char *a, const char *b);

/* Offers a name. It is near when at most a third of its letters were left out, added, changed or swapped
 * with their neighbour, or when the typed one (three letters or more) is its beginning, which is the nearest.
 * Of equals the first stays. */
void near_try(struct near *n, const char *name);

#endif
