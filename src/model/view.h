/* view.h - one view of a model, whatever its files: layers x experts, over tensors that know their experts.
 *
 * A model is a GGUF file (or the first of several) or a Hugging Face checkpoint folder: its format is a row
 * of a table (model/format.h), and nothing outside of that row's files knows which. A view is made from the
 * headers alone and checked completely before it is handed out: the counts agree with the shapes of all
 * tensors in all layers, every layer has all its parts, the groups are consistent. What goes out of it under
 * a plan is a cut (model/cut.h). Limits of counts that the engine enforces by aborting are checked here
 * as well (llama.cpp v0.5.0, src/llama-model.cpp), all others before it is started (model/runs.h). How each
 * format is read: view_gguf.c, view_hf.c. */
#ifndef REAP_MODEL_VIEW_H
#define REAP_MODEL_VIEW_H

#include "base/json.h"
#include "family/family.h"
#include "model/format.h"

#define VIEW_MAX_DIMS 8

struct view_file { /* borrowed from the reader */
    const char *path;
    int fd;
    uint64_t size;
};

/* A tensor with experts is of one of two kinds. Stacked: one of its dimensions (axis) is the expert, or holds
 * the experts' rows one expert after the other; the experts are equal runs of its bytes, in order (no
 * dimension but those of length 1 lies outside of the axis), with `idle` further ones behind them. Single: it belongs to one expert, whose number
 * is in its name. */
struct view_tensor {
    const char *name, *type; /* as in the file */
    uint32_t n_dims;
    int32_t ggml_type;            /* ggml's number of the type; -1: the format has types of its own */
    uint64_t dims[VIEW_MAX_DIMS]; /* in the file's order: GGUF fastest first, safetensors slowest first */
    uint64_t n_elements, bytes, off;
    uint32_t file;  /* index into view.files; off is from the start of that file */
    int32_t layer;  /* block number, -1: none */
    int32_t axis;   /* stacked: the dimension of the experts; -1: not stacked */
    int32_t expert; /* single: the expert it belongs to; -1: not single */
    uint32_t idle;  /* stacked: entries behind the experts', which stay whatever is cut (family_names.idle) */
    uint32_t number; /* single: where the expert's number begins in the name */
    enum role role;
    bool mtp;        /* part of a block that predicts further tokens */
    const char *why; /* ROLE_REFUSE: why it cannot be cut */
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
    const struct format *format;
    void *reader; /* of the format; owned */
    const struct family *family;
    char *path, *name; /* name: general.name, or that of the file or folder */
    char *refusal;     /* why it cannot be pruned although it can be read; NULL: it can */
    /* What a checkpoint says of itself, borrowed from the reader: its class, "" for none (NULL: the format
     * has no classes), and how it is quantised (NULL: it does not say). */
    const char *class_name, *quant_method;
    struct view_file *files;
    uint32_t n_files;
    uint32_t n_blocks; /* MTP blocks included */
    uint32_t n_mtp;    /* the last n_mtp blocks predict further tokens */
    struct shape shape;
    struct view_layer
        *layers; /* MoE layers of the trunk, ascending il; behind them n_mtp_layers of the MTP blocks */
    uint32_t n_layers, n_mtp_layers;
    struct view_tensor *tensors; /* file by file, in the order of the reader */
    uint64_t n_tensors;
    uint64_t bytes;        /* of all tensor data */
    uint64_t expert_bytes; /* of what is cut: all tensors with experts, MTP blocks included */
    uint64_t router_bytes; /* of that: routers, and what takes part in the selection */
    uint64_t shared_bytes; /* experts that every token passes through; not cut */
    /* Weights, without the scales that they are stored with; those of experts without routers. 0: not known,
     * because weights are packed. */
    uint64_t n_params, expert_params, shared_params;
    char router_hash[65]; /* "" until view_hash, and when routers are stored in a type that is not exact */
    bool hashed;          /* view_hash was asked */
};

/* Opens and checks a model, which has layers with experts in its trunk. NULL with *e set. */
struct view *view_open(const char *path, struct err *e);
/* The same, and a GGUF file that has experts in MTP blocks alone (n_layers 0), as prune --mtp keep writes it: for those who look at
 * it or compare it. It cannot be pruned. */
struct view *view_open_any(const char *path, struct err *e);
void view_free(struct view *v);
const char *view_largest_file(const struct view *v); /* its path; of a folder without any, the folder */
/* Adds size and time of the model's files, those that its tokenizer and templates are read from as well: what
 * is made of the model is to be made anew when these lines change. */
void view_stamp(const struct view *v, struct buf *b);

/* Refuses an output that is one of the model's own files, or its folder. */
bool view_check_output(const struct view *v, const char *path, struct err *e);

/* Refuses a model that cannot be pruned, with v->refusal. Who cuts a model is refused anyway (model/cut.h);
 * this is for those who would learn it late. */
bool view_check_prunable(const struct view *v, struct err *e);

/* SHA-256 over all router weights of the trunk in layer order, rounded to bfloat16 (nearest even,
 * little-endian): equal for a Q4 GGUF, an F16 GGUF and the BF16 checkpoint of one model. Routers of quantised
 * types: the hash stays "" and a warning is given. Reads the routers, the first time that it is asked. */
bool view_hash(struct view *v, struct err *e);

/* A tensor by its name; NULL if there is none. */
const struct view_tensor *view_find(const struct view *v, const char *name);
int view_fd(const struct view *v, const struct view_tensor *x);
/* Reads n bytes at `off` of the file that the tensor is in; an error names the file. */
bool view_read(const struct view *v, const struct view_tensor *x, void *dst, uint64_t n, uint64_t off,
               struct err *e);
/* Index into v->layers of a layer of the trunk, or -1; and of one of those or of an MTP block. */
int view_layer_index(const struct view *v, uint32_t il);
int view_block_index(const struct view *v, uint32_t il);
static inline bool view_is_mtp(const struct view *v, uint32_t il)
{
    return il < v->n_blocks && il + v->n_mtp >= v->n_blocks;
}

static inline bool view_has_experts(const struct view_tensor *x)
{
    return x->axis >= 0 || x->expert >= 0;
}

/* The bytes of one expert in a stacked tensor of a model with so many. */
static inline uint64_t view_slice(const struct view_tensor *x, uint32_t n_experts)
{
    return x->bytes / (n_experts + x->idle);
}

/* Whether n_keep experts per layer can be routed by the engines; shape_check_keep says why not, and the
 * nearest counts that can. */
bool shape_keep_ok(const struct shape *s, uint64_t n_keep);
bool shape_check_keep(const struct shape *s, uint32_t n_keep, struct err *e);
/* How many experts a share of them (0 to 1) is: rounded up, so that no more is pruned than asked; 1 to
 * n_experts. */
uint32_t shape_share(const struct shape *s, double keep);
/* The smallest count of at least n that can be routed; 0: none. */
uint32_t shape_next_ok(const struct shape *s, uint32_t n);
/* The smallest count that can be routed and prunes at most this share; all experts when there is none. */
uint32_t shape_at_ratio(const struct shape *s, double prune_ratio);

/* The identity that all our files carry: architecture, name, n_layers, n_experts, n_experts_used,
 * expert groups where there are any, moe_layers, router_hash. */
json_t *view_identity(const struct view *v);
/* Compares an identity of a file of ours with the model. Different: false with *e (ERR_INPUT) saying what
 * differs. Without a hash on one side only shapes are compared, and a warning says so. what: "stats file
 * 'x'". */
bool view_match(const struct view *v, const json_t *identity, const char *what, struct err *e);

/* ---- between the files of view ---- */
bool view_check_trunk(const struct view *v, struct err *e); /* what view_open asks beyond view_open_any */
/* The groups hold enough experts for the top-k; the keys are named by the caller's context. */
bool shape_check_groups(const struct shape *s, struct err *e);

#endif
