/* forms.h - a checkpoint as the conversion sees it: quantised weights stand in it as matrices of numbers, in the
 * place of the tensors that they are stored in. */
#ifndef REAP_CONVERT_FORMS_H
#define REAP_CONVERT_FORMS_H

#include "convert/packed.h"
#include "hf/conf.h"

struct forms {
    struct hf_checkpoint c; /* files and JSON of the real one, tensors of our own; not for hf_find_tensor */
    struct packed **packed; /* per tensor of c; NULL: stored as it is */
    char **names;           /* that were made */
    uint64_t n_names, cap_names;
};

/* NULL with *e set (ERR_INPUT) when tensors of a known form do not fit together. Borrows the checkpoint. ranks:
 * CONVERT_QKV_RANKS. */
struct forms *forms_open(const struct hf_checkpoint *c, bool ranks, struct err *e);
void forms_free(struct forms *f); /* NULL is fine */
/* What is known of a quant_method of config.json. */
struct forms_method {
    const char *name;
    const char *why; /* it is not decoded; NULL: it is, where its tensors are in a form of docs/formats.md */
};
const struct forms_method *forms_method_at(uint32_t i); /* NULL behind the last */
/* How a tensor of f->c is stored; NULL: as it is. */
const struct packed *forms_packed(const struct forms *f, const struct hf_tensor *t);
/* A tensor that has to do with activations or the cache, by its name: such are for other engines. */
bool forms_of_activations(const char *name);
/* Whether a tensor of f->c that is stored as it is holds zeros alone (of at most 1 MiB; a larger one does not). */
bool forms_all_zero(const struct forms *f, const struct hf_tensor *t, bool *zero, struct err *e);

#endif
