/* hf_family.h - what is known of the families of Hugging Face checkpoints: records, not code.
 *
 * Where GGUF names the tensors of all families alike, a checkpoint has its family's own names. A record says
 * which modules of a layer hold experts; docs/adding-a-family.md explains it. What the numbers are (experts,
 * top-k, groups) is read from config.json, the same for all (hf/config.h). */
#ifndef REAP_FAMILY_HF_FAMILY_H
#define REAP_FAMILY_HF_FAMILY_H

#include "family/family.h"

enum hf_family_flags {
    HF_ROWS = 1, /* stacked experts lie in the rows, [E * F, H], expert after expert */
};

/* Lists are names separated by spaces. A name M stands for the tensor M and for all tensors M.<anything>. */
struct hf_family {
    const char *classes; /* "architectures" of config.json */
    const char *arch;    /* the family's name in GGUF, a record of family.c; NULL: it has none */
    const char *block;   /* the module that holds all below, behind "layers.N."; "": the layer itself */
    const char *experts; /* the modules with the experts' weights: <M>.<expert>.<anything>, or stacked */
    const char *router;  /* the module of the router: what has one row per expert is cut, the rest stays */
    const char *vectors; /* further tensors with one value per expert: [E] or [1, E]; NULL: none */
    const char *whole;   /* tensors under these modules that have no expert axis; NULL: none */
    unsigned flags;
    const char *refuse; /* why checkpoints of this family are not pruned; NULL: they are */
};

/* The record of a class name, NULL if unknown. */
const struct hf_family *hf_family_find(const char *class_name);
const struct hf_family *hf_family_at(uint32_t i); /* NULL behind the last */
/* Names that many families share, tried for a class that has no record; NULL behind the last. */
const struct hf_family *hf_family_usual(uint32_t i);

/* Where a tensor stands in its model. */
struct hf_place {
    const char *rest; /* behind "layers.N."; NULL: in no layer of the language model */
    uint32_t layer;   /* N */
    bool mtp;         /* of the blocks that predict further tokens by their name ("mtp.") */
    bool other;       /* in a tower that is not the language model (vision, audio) */
};
struct hf_place hf_place(const char *name);

struct hf_role {
    enum role role;
    int32_t axis;       /* stacked: 0, or 1 of [1, E]; -1 */
    const char *number; /* single: where the expert's number stands in the name; NULL */
    const char *part;   /* single: what follows the number: "up_proj.weight" */
    const char *router; /* in the router: what follows the module's name */
};
/* What a tensor is in a family, by the name behind "layers.N.". Shapes are the caller's business. */
struct hf_role hf_family_role(const struct hf_family *f, const char *rest);

#endif
