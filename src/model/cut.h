/* cut.h - what goes out when a model is cut by a plan: the tensors, in the order in which they are written.
 *
 * A cut is made from a view, a plan and the options that decide what goes out, and making it is the only way
 * to cut a model. So everything is checked there, once: that this model can be pruned at all (view.refusal),
 * that the plan is one of its layers and experts (plan_fits), that each tensor can be divided. Whoever holds
 * a cut may write it. Sizes are those of a cut as well: of one that is made, or by cut_bytes, cut_bytes_at.
 *
 * A plan with gains (gain.h) changes or adds one tensor in each layer: blk.N.ffn_down_exps.scale, behind the
 * matrices that it belongs to.
 *
 * It costs a few dozen bytes for each tensor that goes out. Which experts stay is looked up once for each
 * layer, and shared by its tensors. */
#ifndef REAP_MODEL_CUT_H
#define REAP_MODEL_CUT_H

#include "model/plan.h"

struct cut_opts {
    bool drop_mtp; /* leave out the blocks that predict further tokens, instead of cutting them */
    bool only_mtp; /* leave out all other blocks; what belongs to no block stays */
    bool merge;    /* several files become one */
    /* Bytes of tensor data in a file, a tensor is never divided; 0: files like the input's. */
    uint64_t max_shard;
};

struct cut_run { /* neighbours that stay: n experts, from number `first` of the model */
    uint32_t first, n;
};

/* Which of a block's experts stay; those of an MTP block without an entry in the plan are those of the last layer of the trunk. */
struct cut_layer {
    const uint32_t *keep; /* of the plan: n_keep ids, ascending; NULL: the block has no experts */
    struct cut_run *runs; /* the same as runs */
    uint32_t n_runs;
};

struct cut_tensor {
    const struct view_tensor *from;
    const char *name;              /* as it is called afterwards */
    uint64_t bytes;                /* that go out */
    const struct cut_layer *layer; /* stacked experts, of which some stay; NULL: it goes out whole */
    uint32_t file;                 /* index into cut.files */
    const void *values;            /* bytes that go out instead of those of `from`; NULL: those */
};

struct cut_file { /* tensors[first .. first + n - 1]; n is 0 where all of an input's file goes */
    uint64_t first, n;
    uint64_t bytes; /* of their data */
};

struct cut {
    const struct view *view; /* both are borrowed */
    const struct plan *plan;
    struct cut_opts opts;
    uint32_t n_keep;
    struct cut_tensor *tensors; /* file by file, in the order of the view */
    uint64_t n_tensors;
    struct cut_file *files; /* like the view's, unless the options say otherwise */
    uint32_t n_files;
    uint64_t bytes, n_elements; /* of all tensors */
    uint64_t n_cut, n_same,
        n_gone;               /* tensors cut along the experts, or with other ids; unchanged; left out */
    struct cut_layer *blocks; /* one for each block of the view */
    char *names;              /* owns those that changed */
    uint8_t **tables;         /* of ids of experts, counted anew (id_table.h) */
    uint32_t n_tables;
    /* With gains (plan.gain), per layer: the scales as they go out, n_keep each; and the tensor that holds
     * them, where the model has none. */
    float *scales;
    struct view_tensor *added; /* names owned */
};

/* NULL with *e set (ERR_INPUT). */
struct cut *cut_make(const struct view *v, const struct plan *p, const struct cut_opts *o, struct err *e);
void cut_free(struct cut *c);
/* What of it needs no plan: whether the options fit the model and one another. False with *e set (ERR_INPUT). */
bool cut_check_opts(const struct view *v, const struct cut_opts *o, struct err *e);

/* Length of dimension d afterwards. */
uint64_t cut_dim(const struct cut *c, const struct cut_tensor *t, uint32_t d);

/* The bytes that go out, as ranges of the file that holds them now: range i of cut_n_ranges, in order. */
struct cut_range {
    uint64_t off, bytes;
};
uint32_t cut_n_ranges(const struct cut_tensor *t);
struct cut_range cut_range(const struct cut *c, const struct cut_tensor *t, uint32_t i);

/* Bytes of tensor data (padding between tensors not counted) that a cut by this plan, which fits, would have,
 * MTP blocks included. For those who only want to say so: nothing is made, and nothing refused. */
uint64_t cut_bytes(const struct view *v, const struct plan *p);
/* The same when there is no plan yet, for n_keep experts in every layer: single experts of unequal size, as
 * mixed quantisation has them, are counted by their mean. */
uint64_t cut_bytes_at(const struct view *v, uint32_t n_keep);
uint64_t cut_bytes_with(const struct view *v, uint32_t n_keep,
                        const struct cut_opts *o); /* .. without the blocks that the options leave out */

#endif
