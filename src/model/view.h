/* view.h - one view of a model, whatever its files: layers x experts, over tensors that know their expert
 * axis.
 *
 * A view is made from the headers alone and checked completely before it is handed out: the architecture is
 * known, the counts agree with the shapes of all tensors in all layers, the groups are consistent. So whoever
 * holds a view may slice it. Limits that the engine enforces by aborting are checked here as well (llama.cpp
 * v0.5.0, src/llama-model.cpp). */
#ifndef REAP_MODEL_VIEW_H
#define REAP_MODEL_VIEW_H

#include "base/json.h"
#include "gguf/gguf_file.h"
#include "model/family.h"

struct view_tensor {
    const struct gg_tensor *t; /* name, type, shape, place of the bytes */
    int32_t layer;             /* block number, -1: none */
    enum role role;
    int axis; /* dimension that is the expert; -1: none */
};

struct view_layer {  /* one MoE layer of the trunk */
    uint32_t il;     /* block number in the model */
    uint32_t n_used; /* top-k here */
    uint64_t router; /* index of its router tensor */
};

struct shape { /* the counts that decide what may be kept */
    uint32_t n_experts, n_used /* largest top-k */, n_groups /* 1: none */, n_groups_used;
};

struct view {
    struct gg_file *file; /* owned */
    const struct family *family;
    char *path, *name; /* general.name or the file's name */
    uint32_t n_blocks; /* block_count, MTP blocks included */
    uint32_t n_mtp; /* the last n_mtp blocks predict further tokens; they have no statistics of their own */
    struct shape shape;
    struct view_layer *layers; /* trunk MoE layers, ascending il */
    uint32_t n_layers;
    struct view_tensor *tensors; /* as file->tensors */
    uint64_t n_tensors;
    uint64_t bytes;        /* of all tensor data */
    uint64_t expert_bytes; /* of what is cut: tensors with an expert axis, MTP blocks included */
    uint64_t n_params, expert_params;
    char router_hash[65]; /* "" when routers are stored in a type that is not exact (see view_router_note) */
};

/* Opens and checks a model. NULL with *e set. */
struct view *view_open(const char *path, struct err *e);
void view_free(struct view *v);

/* Refuses an output that is one of the model's own files. */
bool view_check_output(const struct view *v, const char *path, struct err *e);

/* Why this file cannot be pruned although it can be read (and inspected); NULL: it can. */
const char *view_refusal(const struct view *v);

/* SHA-256 over all router weights of the trunk in layer order, rounded to bfloat16 (nearest even,
 * little-endian): equal for a Q4 GGUF, an F16 GGUF and the BF16 checkpoint of one model. Routers of quantised
 * types: the hash stays "" and a warning is given. Reads the routers. */
bool view_hash(struct view *v, struct err *e);

/* Index into v->layers, or -1. */
int view_layer_index(const struct view *v, uint32_t il);
/* The trunk layer whose choice of experts a block follows: itself, or for an MTP block the last trunk layer.
 * Index into layers, -1: not a MoE block. */
int view_plan_layer(const struct view *v, int32_t il);

/* Bytes of the tensor data when n_keep experts stay in every layer (padding between tensors not counted). */
uint64_t view_bytes_kept(const struct view *v, uint32_t n_keep);

/* Whether n_keep experts per layer can be routed by the engines; shape_check_keep says why not, and the
 * nearest counts that can. */
bool shape_keep_ok(const struct shape *s, uint64_t n_keep);
bool shape_check_keep(const struct shape *s, uint32_t n_keep, struct err *e);

/* The identity that all our files carry: architecture, name, n_layers, n_experts, n_experts_used,
 * expert groups where there are any, moe_layers, router_hash. */
json_t *view_identity(const struct view *v);
/* Compares an identity of a file of ours with the model. Different: false with *e (ERR_INPUT) saying what
 * differs. Without a hash on one side only shapes are compared, and a warning says so. what: "stats file
 * 'x'". */
bool view_match(const struct view *v, const json_t *identity, const char *what, struct err *e);

#endif
