/* family.h - what is known of a model family before its file is opened: records, not code.
 *
 * GGUF names the tensors of all families alike (docs/formats.md), so a GGUF family is little more than its
 * name and the reasons why it cannot be pruned, if there are any. Everything that a file states itself
 * (counts, groups, scales) is read from the file. */
#ifndef REAP_FAMILY_FAMILY_H
#define REAP_FAMILY_FAMILY_H

#include <stdbool.h>
#include <stdint.h>

enum family_flags {
    FAM_ONE_FACTOR_IN_INPUT = 1, /* llama4: the gate multiplies the expert's input, so c = f */
    FAM_MIN_4_LAYERS = 2,        /* the engine aborts on fewer layers */
};

struct family {
    const char *arch;   /* general.architecture */
    const char *models; /* for people: what it is known as */
    const char *gate;   /* the final weight g, as a formula in words */
    unsigned flags;
    const char *refuse; /* why files of this family are not pruned; NULL: they are */
};

const struct family *family_find(const char *arch); /* NULL if unknown */
const struct family *family_nearest(
    const char *arch);                      /* the known name that looks most alike, for messages */
const struct family *family_at(uint32_t i); /* NULL behind the last */

/* ---- tensors with an expert axis (GGUF names behind "blk.N.") ---- */
enum role {
    ROLE_NONE,   /* no expert axis */
    ROLE_EXPERT, /* matrices and vectors of the experts */
    ROLE_ROUTER, /* ffn_gate_inp.weight */
    ROLE_SELECT, /* router bias, selection bias */
    ROLE_REFUSE, /* holds experts in a form that cannot be cut; .why says so */
};

struct tensor_rule {
    const char *suffix; /* what follows "blk.N." */
    enum role role;
    int axis;        /* the dimension (ggml order) that is the expert */
    const char *why; /* ROLE_REFUSE */
};

/* The rule of a tensor name, with its layer; NULL when the name has no expert axis (then *layer is set if it
 * starts with blk.N., else -1). *suspect: the name looks like an expert tensor (contains "exps" or
 * "exp_probs") but no rule knows it. */
const struct tensor_rule *family_rule(const char *name, int32_t *layer, bool *suspect);

#endif
