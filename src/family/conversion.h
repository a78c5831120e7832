/* conversion.h - how checkpoints of a family become GGUF: rules, carried out by src/convert/.
 *
 * Numbers of the config that shapes depend on have a letter ("facts"): upper case where every family has
 * them, others where the family's record says so. A tensor rule gives the shape that a tensor must have as a
 * string of letters in the checkpoint's order, "XH" for [moe_intermediate_size, hidden_size]; so a record can
 * be read beside the model's code, and no transform ever sees a shape that it does not expect.
 *
 * Letters of all families: V vocabulary, H hidden size, L layers, N heads, M KV heads, D head size, Q = N D,
 * K = M D, F dense FFN, X one expert, G = 2 X (gate and up in one), S all shared experts, E experts, T chosen
 * experts, B MTP layers behind the last, Y = 2 H, 1 one. */
#ifndef REAP_FAMILY_CONVERSION_H
#define REAP_FAMILY_CONVERSION_H

#include "base/err.h"
#include "hf/conf.h"
#include <stdbool.h>
#include <stdint.h>

/* ---- facts ---- */
struct fact_rule {
    char letter;
    const char *keys;  /* of the config */
    const char *other; /* when none is there: "=N" the same as N, or a number; NULL: an error */
};

/* ---- blocks ---- */
/* What a block has. */
enum {
    B_ATTN = 1,
    B_DENSE = 2,
    B_MOE = 4,
    B_SHARED = 8, /* shared experts, in families where there may be none */
    B_SSM = 16,   /* a state in the place of attention */
    B_MTP = 32,
    B_Q_LORA = 64, /* q through a rank, or directly */
    B_Q_FULL = 128,
    B_INDEXER = 256,   /* chooses the tokens that attention sees */
    B_WINDOW = 512,    /* attention to a window of the last tokens */
    B_VALUES = 1024,   /* attention has values besides its keys */
    B_COMPRESS = 2048, /* .. sees what lies behind its window in a compressed form */
    B_SCORES = 4096,   /* experts are chosen by scores, .. */
    B_TABLE = 8192,    /* .. or by a table of their ids for each token */
    B_LATENT = 16384,  /* experts work in a smaller space */
    B_NGRAM = 32768,   /* adds what a table has for the last tokens */
};

/* ---- tensors ---- */
enum how {
    HOW_COPY,
    HOW_PERM, /* rows of each head from halves to pairs (rotary order of ggml's NORM) */
    /* half of the rows; every other one */
    HOW_FIRST,
    HOW_SECOND,
    HOW_ROWS_HEAD, /* the first U rows, .. */
    HOW_ROWS_TAIL, /* .. and those behind them */
    HOW_EVEN_ROWS,
    HOW_ODD_ROWS,
    /* every other column: [E, 2X] -> [E, X] */
    HOW_EVEN,
    HOW_ODD,
    /* [E, a, b] -> [E, b, a]; of [E, H, 2X] half of the columns, or every other one: [E, X, H] */
    HOW_SWAP,
    HOW_SWAP_FIRST,
    HOW_SWAP_SECOND,
    HOW_SWAP_EVEN,
    HOW_SWAP_ODD,
    /* blocks [E, rows, n, 16] with *_scales [E, rows, n]: all rows, or every other one */
    HOW_MXFP4,
    HOW_MXFP4_EVEN,
    HOW_MXFP4_ODD,
    /* kv_b_proj [N (n + v), c] -> [N, c, n] and [N, v, c] */
    HOW_K_B,
    HOW_V_B,
    HOW_SQUEEZE,        /* [a, 1, b] -> [a, b] */
    HOW_CONV,           /* [a, 1, b] -> [1, a, 1, b] */
    HOW_COLUMN,         /* [a] -> [a, 1] */
    HOW_NEG_EXP_COLUMN, /* the same of -exp(x) */
    HOW_EXP_COLUMN,     /* .. of exp(x) */
    HOW_NEG_EXP,        /* -exp(x) */
    HOW_PLUS_ONE,       /* 1 + x: norms that are stored as what they add to one */
    HOW_RESCALED,       /* times the root of H / its size, if the fact Z says so: what follows expects that */
    HOW_GROUPS,         /* [i] -> [g, i / g] */
    /* of the rows of q, k and v in one, Q + 2 K: the first Q as HOW_PERM, the next K so, the last K */
    HOW_PERM_Q,
    HOW_PERM_K,
    HOW_ROWS_V,
    HOW_RANKS, /* .. of the parts that a kernel's devices had, of each q, k and v: all q, then all k, then all v */
    /* experts one below the other, [E a, b] -> [E, a, b]; .. -> [E, b, a] */
    HOW_STACKED,
    HOW_STACKED_SWAP,
    /* Linear attention of g key heads and h value heads of size s. Rows that hold for each key head its q, k,
     * v and z: all q, then all k, then all v; all z. */
    HOW_DELTA_QKV,
    HOW_DELTA_Z,
    /* The value heads from those of one key head side by side to turns, as ggml repeats keys: all rows (or the
     * values of a vector), and of -exp(x); the rows behind q and k, [z, 1, k] -> [z, k]; columns. */
    HOW_TURNS,
    HOW_TURNS_NEG_EXP,
    HOW_TURNS_V,
    HOW_TURNS_COLUMNS,
    HOW_PRODUCT, /* of the rule's "a*b", vectors (or matrices of one row), element by element */
    HOW_IDS,     /* whole numbers below E, as I32 */
};

/* Published checkpoints of one model may have several layouts: a rule for each output in each of them. Quantisers,
 * whose kernels want matrices, write experts singly that the model's own checkpoint holds stacked. */
struct name_rule {
    /* Behind "layers.N."; "#" is an expert's number: those are stacked in its order. "a+b": matrices of one shape, the
     * rows of b below those of a, of each expert. "a*b": HOW_PRODUCT, whose shape may be two, "H*1H". "%": the number of a
     * piece, as many as the fact % says: the rows of one below those of the one before. */
    const char *hf;
    const char *gguf; /* behind "blk.N."; "^name" is outside of blocks; "" is left out, as nothing reads it */
    const char *shape; /* in letters; "?" any number of rows */
    enum how how;
    uint32_t blocks; /* kinds of block that have it; 0: every one */
    bool optional;   /* may be missing where it could be. Rules with the same gguf are alternatives; with
                      * the same hf, too, they are told apart by the shape, the first of those that fit */
};

/* ---- keys ---- */
enum key_kind {
    KEY_U32,
    KEY_F32,
    KEY_BOOL,
    KEY_BOOL_TRUNK, /* of each block but those of MTP */
    KEY_F32_BLOCKS, /* one for each block: a list of the config (0 where it has null, or ends), a number, or `other` */
    KEY_LIST,     /* a list of whole numbers, as the config has it; a list of the fact "=H" alone */
    KEY_GATING,   /* softmax, sigmoid, .. */
    KEY_SECTIONS, /* of rotation, four; `from` among the rotary parameters; `other` "11|11|10" */
    KEY_TENSOR,   /* 64-bit numbers, those of the tensor whose name ends in `from` */
    KEY_TEXT,     /* `other` alone */
};
struct key_rule {
    const char *name; /* behind "ARCH."; "diffusion.*" as it is */
    enum key_kind kind;
    const char *from; /* "=H" a fact, an array where it differs from block to block; else config keys "a|b" */
    const char *other; /* when the config has none: the value; NULL: the key is left out; "!": an error */
};

/* What the engine's graph takes for granted. */
struct must_rule {
    const char *keys;
    const char *want;  /* JSON values "true|null" */
    const char *other; /* what a missing key means */
    const char *why;
};

/* ---- a conversion ---- */
enum {
    CONVERT_MTP_KEPT = 1, /* blocks behind the last one are written (num_nextn_predict_layers of them) */
    CONVERT_MTP_NAMED =
        128, /* .. as many as the checkpoint has below "mtp.", whatever the config says: names without a
                              * number are of the first. A record's rules for B_MTP are of what follows "mtp." */
    CONVERT_MTP_UNSAID =
        1024, /* as many blocks of MTP as the checkpoint has behind the last one: the config does not tell of them */
    CONVERT_ROPE_FREQS = 2,   /* the graph reads rope_freqs.weight */
    CONVERT_NEEDS_OUTPUT = 4, /* the graph has no tied embeddings */
    CONVERT_HEADS_FILL = 8,   /* the graph takes heads x head size for the hidden size */
    CONVERT_ROPE_PART = 256,  /* rotation of type "proportional": a part of each head, by rope_freqs.weight */
    CONVERT_NO_ROPE = 16,     /* the graph does not rotate */
    CONVERT_ROPE_ALPHA = 32,  /* the rotary base is raised by the scaling's alpha, as Hunyuan's is */
    CONVERT_ROPE_TWO =
        512, /* two ways of rotation, as Step-3.5: a base for each block, half of a head where attention is whole */
    CONVERT_ROPE_UNSAID =
        2048, /* a config without rope_theta means the engine's 10000, and no key is written */
    /* q, k and v in one FP8 matrix are of 8 or 4 devices, whose scales begin anew */
    CONVERT_QKV_RANKS = 16384,
    CONVERT_FILE_ONLY = 64, /* checked by the converter's file alone: transformers lacks the class */
};

#define CONVERT_MTP_WRITTEN (CONVERT_MTP_KEPT | CONVERT_MTP_NAMED)

/* A model by its config, for derive: read, and what of it the family decides. */
struct family_model {
    const struct conf *conf;
    uint64_t *f;         /* facts, by letter; 0: not known */
    uint64_t **by_block; /* those that differ: by letter NULL, or n_blocks numbers (model_set_block) */
    uint64_t n_blocks;   /* those that are written: f['L'], and MTP blocks where the family keeps them */
    uint32_t *kinds;     /* per block, B_...; at first attention and experts in all */
    struct err *e;       /* set where model_number found something else: refused behind derive */
};

struct conversion {
    unsigned flags;
    const struct name_rule *const *names; /* lists that end with hf NULL */
    const struct name_rule *globals;      /* outside of blocks; NULL: conversion_globals */
    const struct fact_rule *facts;        /* before the common ones */
    const struct key_rule *keys;          /* before the common ones */
    const struct must_rule *musts;
    bool (*derive)(struct family_model *m, struct err *e); /* further facts, kinds of blocks, checks; NULL */
};

extern const struct name_rule conversion_globals[]; /* outside of blocks, of most families */

#endif
