/* map.h - how a family of checkpoints becomes GGUF: records, read by convert.c and keys.c.
 *
 * Numbers of the config that shapes depend on have a letter ("facts"): upper case where every family has
 * them, others where the family's record says so. A tensor rule gives the shape that a tensor must have as a
 * string of letters in the checkpoint's order, "XH" for [moe_intermediate_size, hidden_size]; so a record can
 * be read beside the model's code, and no transform ever sees a shape that it does not expect.
 *
 * Letters of all families: V vocabulary, H hidden size, L layers, N heads, M KV heads, D head size, Q = N D,
 * K = M D, F dense FFN, X one expert, G = 2 X (gate and up in one), S all shared experts, E experts, T chosen
 * experts, B MTP layers behind the last, 1 one. */
#ifndef REAP_CONVERT_MAP_H
#define REAP_CONVERT_MAP_H

#include "convert/image_part.h"

/* ---- config.json ---- */
struct conf {
    const struct jdoc *d;
    uint32_t text; /* the object with the text model's keys, tried before the root; JSPAN_NONE */
};
/* keys: "a|b|c", the first that is there and not null; JSPAN_NONE. */
uint32_t conf_get(const struct conf *c, const char *keys);
/* The same among the rotary parameters: rope_parameters (transformers 5; of full attention, where there are
 * two kinds) or rope_scaling, then where conf_get looks. */
uint32_t conf_rope(const struct conf *c, const char *keys);

/* ---- facts ---- */
struct facts {
    uint64_t v[128]; /* by letter; 0: not known */
};
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
    B_SSM = 16,
    B_MTP = 32,
    B_Q_LORA = 64, /* q through a rank, or directly */
    B_Q_FULL = 128,
};

/* What is being converted. */
struct plan_in {
    const struct hf_checkpoint *c;
    const struct map *map;
    struct conf conf;
    struct facts f;
    uint64_t n_blocks; /* those that are written: f.v['L'], and MTP blocks where the family keeps them */
    uint8_t *kinds;    /* per block, B_... */
    const char *name;  /* general.name */
    const char *size_label;
    uint32_t file_type;
};

/* ---- tensors ---- */
enum how {
    HOW_COPY,
    HOW_PERM, /* rows of each head from halves to pairs (rotary order of ggml's NORM) */
    /* half of the rows */
    HOW_FIRST,
    HOW_SECOND,
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
    HOW_SQUEEZE, /* [a, 1, b] -> [a, b] */
    HOW_COLUMN,  /* [a] -> [a, 1] */
    HOW_NEG_EXP, /* the same of -exp(x) */
    HOW_GROUPS,  /* [i] -> [g, i / g] */
};

struct name_rule {
    const char *hf;    /* behind "layers.N."; "#" is an expert's number: those are stacked in its order */
    const char *gguf;  /* behind "blk.N." */
    const char *shape; /* in letters */
    enum how how;
    uint32_t blocks; /* kinds of block that have it; 0: every one */
    bool optional;   /* may be missing where it could be. Rules with the same gguf are alternatives */
};

/* ---- keys ---- */
enum key_kind { KEY_U32, KEY_F32, KEY_BOOL, KEY_GATING /* softmax, sigmoid, .. */ };
struct key_rule {
    const char *name; /* behind "ARCH." */
    enum key_kind kind;
    const char *from;  /* "=H" a fact; else config keys "a|b" */
    const char *other; /* when the config has none: the value; NULL: the key is left out; "!": an error */
};

/* What the engine's graph takes for granted. */
struct must_rule {
    const char *keys;
    const char *want;  /* JSON values "true|null" */
    const char *other; /* what a missing key means */
    const char *why;
};

enum {
    MAP_MTP_KEPT = 1,     /* blocks behind the last one are written (num_nextn_predict_layers of them) */
    MAP_ROPE_FREQS = 2,   /* the graph reads rope_freqs.weight */
    MAP_NEEDS_OUTPUT = 4, /* the graph has no tied embeddings */
    MAP_HEADS_FILL = 8,   /* the graph takes heads x head size for the hidden size */
    MAP_NO_ROPE = 16,     /* the graph does not rotate */
};

struct map {
    const char *const *classes; /* "architectures" of config.json */
    const char *arch;           /* general.architecture */
    unsigned flags;
    const struct name_rule *const *names; /* lists that end with hf NULL */
    const struct fact_rule *facts;        /* before the common ones */
    const struct key_rule *keys;          /* before the common ones */
    const struct must_rule *musts;
    bool (*derive)(struct plan_in *in, struct err *e); /* further facts, kinds of blocks, checks; NULL */
};

const struct map *map_find(const char *class_name);
void map_list(struct buf *b); /* the classes, comma-separated */

extern const struct name_rule map_globals[]; /* of all families, outside of blocks */

bool facts_load(struct plan_in *in, struct err *e);
bool musts_check(const struct plan_in *in, struct err *e);

/* The keys general.* and ARCH.*; their number is added to *n. */
bool keys_put(const struct plan_in *in, struct buf *b, uint64_t *n, struct err *e);
/* general.sampling.*: what generation_config.json of the folder proposes; nothing when there is none. */
bool sampling_put(const char *dir, struct buf *b, uint64_t *n, struct err *e);
/* rope_freqs.weight of rope type llama3: D/2 factors in a new array; NULL: the model has none. */
bool rope_freqs(const struct plan_in *in, float **out, struct err *e);

#endif
