/* choose.c - see choose.h: a partial Fisher-Yates for each choice, linear in the number of samples. */
#include "corpus/choose.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdio.h>

enum choice { CHOOSE_LIMIT, CHOOSE_CATEGORY, CHOOSE_MAX, CHOOSE_ORDER };

static struct rng stream(uint64_t seed, enum choice what, uint64_t index)
{
    struct rng r = {seed};
    r.s = rng_next(&r) + (uint64_t)what;
    r.s = rng_next(&r) + index;
    return r;
}

/* Moves k of the n numbers, chosen by r, to the front, in random order. */
static void choose(uint64_t *v, uint64_t n, uint64_t k, struct rng *r)
{
    for (uint64_t i = 0; i < k && i + 1 < n; i++) {
        uint64_t j = i + rng_below(r, n - i), t = v[i];
        v[i] = v[j];
        v[j] = t;
    }
}

/* Keeps the samples of [first, n_samples) that are marked, in their order. */
static void keep_marked(struct corpus *c, uint64_t first, const bool *keep)
{
    uint64_t n = first;
    for (uint64_t i = first; i < c->n_samples; i++) {
        if (keep[i - first])
            c->samples[n++] = c->samples[i];
        else
            sample_clear(&c->samples[i]);
    }
    c->n_samples = n;
}

/* At most k of the samples from `first` on stay, in their order. */
static void limit_samples(struct corpus *c, uint64_t first, uint64_t k, struct rng r)
{
    uint64_t n = c->n_samples - first;
    if (n <= k)
        return;
    uint64_t *v = xcalloc(n, sizeof *v);
    bool *keep = xcalloc(n, sizeof *keep);
    for (uint64_t i = 0; i < n; i++)
        v[i] = i;
    choose(v, n, k, &r);
    for (uint64_t i = 0; i < k; i++)
        keep[v[i]] = true;
    keep_marked(c, first, keep);
    free(v);
    free(keep);
}

/* At most k samples of each category stay, in their order, and all of sources with a limit of their own.
 * Sorted into one list by category first, so it stays linear. */
static void limit_categories(struct corpus *c, uint64_t k, uint64_t seed)
{
    uint64_t *v = xcalloc(c->n_samples, sizeof *v), *end = xcalloc(c->n_categories + 1, sizeof *end);
    bool *keep = xcalloc(c->n_samples, sizeof *keep);
    for (uint64_t i = 0; i < c->n_samples; i++) {
        keep[i] = c->sources[c->samples[i].source].limited;
        end[c->samples[i].category + 1] += !keep[i];
    }
    for (uint32_t g = 0; g < c->n_categories; g++)
        end[g + 1] += end[g];
    for (uint64_t i = 0; i < c->n_samples; i++) /* end[g] moves from the start of group g to its end */
        if (!keep[i])
            v[end[c->samples[i].category]++] = i;
    for (uint32_t g = 0; g < c->n_categories; g++) {
        uint64_t first = g ? end[g - 1] : 0, n = end[g] - first;
        struct rng r = stream(seed, CHOOSE_CATEGORY, g);
        choose(v + first, n, k < n ? k : n, &r);
        for (uint64_t i = 0; i < n && i < k; i++)
            keep[v[first + i]] = true;
    }
    keep_marked(c, 0, keep);
    free(v);
    free(end);
    free(keep);
}

/* ---- what is set aside ---- */

/* Sample k of a category, from 0: the share is met as nearly as whole samples allow, from the middle of the first stretch
 * on. */
static bool is_aside(double share, uint64_t k)
{
    return (uint64_t)((double)(k + 1) * share + 0.5) > (uint64_t)((double)k * share + 0.5);
}

static void add_sample(struct sha256 *h, const struct corpus *c, const struct sample *s)
{
    char place[128];
    int n = snprintf(place, sizeof place, "%s %u\n", c->sources[s->source].sha256, s->line);
    sha256_add(h, place, (size_t)n);
}

/* Only one part stays. */
static void take_part(struct corpus *c, double share, enum corpus_part part)
{
    uint64_t *seen = xcalloc(c->n_categories + 1, sizeof *seen),
             *aside = xcalloc(c->n_categories + 1, sizeof *aside);
    bool *keep = xcalloc(c->n_samples + 1, sizeof *keep);
    struct sha256 *h = sha256_new();
    c->aside.share = share;
    for (uint64_t i = 0; i < c->n_samples; i++) {
        const struct sample *s = &c->samples[i];
        enum corpus_part in = CORPUS_PROFILED;
        if (is_aside(share, seen[s->category]++)) {
            in = aside[s->category]++ & 1 ? CORPUS_CHECK : CORPUS_CHOICE;
            c->aside.n_choice += in == CORPUS_CHOICE;
            c->aside.n_check += in == CORPUS_CHECK;
            add_sample(h, c, s);
        }
        keep[i] = in == part;
    }
    sha256_hex(h, c->aside.sha256);
    keep_marked(c, 0, keep);
    free(seen);
    free(aside);
    free(keep);
}

static void shuffle(struct corpus *c, struct rng r)
{
    for (uint64_t i = 0; i + 1 < c->n_samples; i++) {
        uint64_t j = i + rng_below(&r, c->n_samples - i);
        struct sample t = c->samples[i];
        c->samples[i] = c->samples[j];
        c->samples[j] = t;
    }
}

void choose_of_source(struct corpus *c, uint64_t first, uint64_t limit, uint64_t seed, uint32_t spec)
{
    limit_samples(c, first, limit, stream(seed, CHOOSE_LIMIT, spec));
}

void choose_samples(struct corpus *c, const struct corpus_opts *o)
{
    if (o->per_category)
        limit_categories(c, o->per_category, o->seed);
    if (o->max_samples)
        limit_samples(c, 0, o->max_samples, stream(o->seed, CHOOSE_MAX, 0));
    if (o->set_aside > 0)
        take_part(c, o->set_aside, o->part);
    if (o->shuffle)
        shuffle(c, stream(o->seed, CHOOSE_ORDER, 0));
}
