/* forms_part.h - what finding quantised weights (forms.c) and checking them (fit.c) share; not for others. */
#ifndef REAP_CONVERT_FORMS_PART_H
#define REAP_CONVERT_FORMS_PART_H

#include "convert/forms.h"

/* What config.json says of weights, somewhere in quantization_config. */
enum told_kind {
    TOLD_BITS,
    TOLD_GROUP, /* columns that share a scale */
    TOLD_WHOLE, /* all columns share one */
};
struct told {
    uint32_t node; /* that says it */
    enum told_kind kind;
    uint64_t value;
};

struct finder {
    const struct hf_checkpoint *c;
    struct conf conf;
    uint64_t block_rows, block_cols; /* of FP8 scales */
    uint32_t bits; /* of packed integers, in all groups of the config; 0: not said, or several */
    bool needs_zeros, needs_order; /* the config says that weights of integers have zero points, an order */
    bool told_block;               /* block_rows and block_cols stand in the config */
    bool ranks;                    /* CONVERT_QKV_RANKS */
    struct told *told;
    size_t n_told, cap_told;
    bool *taken; /* per tensor: part of a weight */
    struct forms *out;
    uint64_t cap;
};

/* ---- told.c: all of them set ERR_INPUT with what the config says and what the tensors are ---- */
void told_read(struct finder *f);
/* Whether weights of the config's quant_method are decoded at all; a warning where it is not known. */
bool told_method(const struct finder *f, struct err *e);
bool told_awq_order(const struct finder *f, struct err *e);
bool told_gptq_zeros(const struct finder *f, enum zeros *zeros, struct err *e);
/* Whether the config says so of some weights, or nothing of any: p->bits; p->n_groups along p->cols columns, of which the
 * last may be short where the form allows it. Sets p->scale_cols (0: of groups that only their order tells). */
bool told_bits(const struct finder *f, const struct packed *p, struct err *e);
bool told_group(const struct finder *f, struct packed *p, bool short_last, struct err *e);

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
