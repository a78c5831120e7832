/* forms_part.h - what finding quantised weights (forms.c) and checking them (fit.c) share; not for others. */
#ifndef REAP_CONVERT_FORMS_PART_H
#define REAP_CONVERT_FORMS_PART_H

#include "convert/forms.h"

struct finder {
    const struct hf_checkpoint *c;
    struct conf conf;
    uint64_t block_rows, block_cols; /* of FP8 scales */
    uint32_t bits; /* of packed integers, in all groups of the config; 0: not said, or several */
    bool needs_zeros, needs_order; /* the config says that weights of integers have zero points, an order */
    bool *taken;                   /* per tensor: part of a weight */
    struct forms *out;
    uint64_t cap;
};

/* ---- fit.c ---- */
/* A member of an object that need not be there; a list of two sizes, 1 to 2^28. */
uint32_t form_member(const struct jdoc *d, uint32_t object, const char *key);
bool form_pair(const struct jdoc *d, uint32_t list, uint64_t *a, uint64_t *b);

/* Completes a weight whose parts were found, or says which of them does not fit (ERR_INPUT). name: of the weight. */
typedef bool form_fit(const struct finder *f, const char *name, struct packed *p, struct err *e);
form_fit form_fit_floats;
form_fit form_fit_ints;
form_fit form_fit_packed_ints;
form_fit form_fit_gptq;
form_fit form_fit_awq;
form_fit form_fit_mlx;
form_fit form_fit_int8;
form_fit form_fit_bnb4;
form_fit form_fit_blocks;
/* What names and types alone do not tell. */
bool form_is_gptq(const struct packed *p);
bool form_is_awq(const struct packed *p);
bool form_is_mxfp4(const struct packed *p);

#endif
