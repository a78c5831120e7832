/* ids.h - what our files and those of other tools hold of layers and experts: layer numbers as keys of an
 * object, and lists of ids. */
#ifndef REAP_BASE_IDS_H
#define REAP_BASE_IDS_H

#include "base/json.h"

/* n characters that are a number in plain decimal, without sign and leading zeros, below 10^10. */
bool ids_number(const char *s, size_t n, uint64_t *out);
/* A key that is the number of a layer, up to 2^31 - 1. */
bool ids_layer(const char *key, uint32_t *il);
void ids_set_layer(json_t *o, uint32_t il, json_t *v);     /* steals v */
const json_t *ids_get_layer(const json_t *o, uint32_t il); /* borrowed, NULL: not there */

/* A list of ids up to max into out, which has room for all of it. False with the index of the first entry
 * that is none. */
bool ids_read(const json_t *list, uint32_t max, uint32_t *out, size_t *bad);
json_t *ids_json(const uint32_t *ids, size_t n); /* new reference */

/* For qsort and bsearch: ids, and structs that begin with a uint32_t (the layer's number), ascending. */
int ids_compare(const void *a, const void *b);

#endif
