/* near.c - see near.h. */
#include "base/near.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define MAX_NAME 64u /* longer ones are not names */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The optimal string alignment of Damerau and Levenshtein. */
uint32_t near_distance(const char *a, const char *b)
{
    uint32_t d[MAX_NAME + 1][MAX_NAME + 1];
    uint32_t n = (uint32_t)strnlen(a, MAX_NAME), m = (uint32_t)strnlen(b, MAX_NAME);
    for (uint32_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (uint32_t k = 0; k <= m; k++)
        d[0][k] = k;
    for (uint32_t i = 1; i <= n; i++)
        for (uint32_t k = 1; k <= m; k++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[k - 1]);
            d[i][k] = least(least(d[i - 1][k], d[i][k - 1]) + 1, d[i - 1][k - 1] + (x != y));
            if (i > 1 && k > 1 && x == tolower((unsigned char)b[k - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                d[i][k] = least(d[i][k], d[i - 2][k - 2] + 1);
        }
    return d[n][m];
}

void near_try(struct near *n, const char *name)
{
    size_t typed = strlen(n->typed), len = strlen(name);
    if (!typed || typed > MAX_NAME || !len || len > MAX_NAME)
        return;
    uint32_t d = near_distance(n->typed, name);
    uint32_t longer = (uint32_t)(typed > len ? typed : len);
    bool near = 3 * d <= longer;
    if (typed >= 3 && !strncasecmp(n->typed, name, typed)) { /* a beginning is what was meant */
        near = true;
        d = 0;
    }
    if (near && (!n->best || d < n->distance)) {
        n->best = name;
        n->distance = d;
    }
}
