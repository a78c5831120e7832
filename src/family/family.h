/* family.h - what is known of a family of models before its files are opened: records, not code.
 *
 * A family is ONE record. It holds what the engine calls it, how its checkpoints are called and name their
 * tensors, how they become GGUF (conversion.h), what its tokenizers need beyond the common rules, and its
 * oddities, each as a field. Code asks for the field, never for the family's name. Everything that a file
 * states itself (counts, groups, scales) is read from the file.
 *
 * Families with a conversion have a file each; the others are rows of table.c. docs/adding-a-family.md is the
 * way to add one, tests/unit/test_family.c walks all of them. */
#ifndef REAP_FAMILY_FAMILY_H
#define REAP_FAMILY_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conversion;

/* What the engine's graph of a family takes for granted, and ends the process where a file says otherwise
 * (llama.cpp v0.5.0, src/models/; places in docs/formats.md). Checked in model/runs.c. */
enum family_engine {
    ENGINE_HEADS_EQUAL = 1,   /* heads of keys and of values are of one size */
    ENGINE_ROPE_WHOLE = 2,    /* .. and rotated as a whole */
    ENGINE_ROPE_NONE = 4,     /* no rotation: what the keys say of it is not read */
    ENGINE_ROPE_SECTIONS = 8, /* rotation by sections, of which one must be there */
    ENGINE_ROPE_PART = 16,    /* a part of each head is not rotated */
    ENGINE_GATE_KEY = 32,     /* the gating function is what the key says, without a default */
    ENGINE_MOE_STEP = 64,     /* divides by interleave_moe_layer_step */
    ENGINE_FIRST_TOP_K = 128, /* takes the top-k of the first block for that of all, or divides by it */
    ENGINE_SSM_TWICE = 256,   /* the inner size is twice the hidden size */
    ENGINE_SSM = 512,         /* states in groups: reads all keys of ssm */
    ENGINE_KDA = 1024,        /* states of Kimi: reads those of kda */
    ENGINE_SHORTCONV = 2048,  /* reads those of shortconv, */
    ENGINE_INDEXER = 4096,    /* attention.indexer, */
    ENGINE_INDEXER_BLOCK = 8192,
    ENGINE_HYPER = 16384,      /* hyper_connection, */
    ENGINE_RES = 32768,        /* attn_res_block_size */
    ENGINE_HEADS_FILL = 65536, /* all heads together are as wide as the model */
    ENGINE_INDEXER_TURN =
        131072, /* multiplies heads of the indexer by a Hadamard matrix: 64, 128, .. values */
    /* rotates whole heads by the base 10000, whatever the keys say, and keys have as many heads as queries */
    ENGINE_ROPE_FIXED = 262144,
    ENGINE_MTP_ALONE = 524288, /* loads MTP blocks from a file without the trunk */
    /* keys and values are one head of one size, outputs lie in groups, four streams are mixed by so many iterations */
    ENGINE_COMPRESS = 2097152,
    ENGINE_RATIOS = 4194304, /* keys of the indexer are of up to 64 tokens: attention.compress_ratios */
    ENGINE_MTP_RUNS =
        1048576, /* has a graph of the MTP block, and it was held against another implementation */
};

/* One of "architectures" in config.json. */
struct family_class {
    const char *name;
    const struct conversion *convert; /* NULL: such checkpoints are pruned, but not converted */
};

/* Tensors of a checkpoint: what follows "layers.N.". Lists are names separated by spaces. A name M stands for
 * the tensor M and for all tensors M.<anything>. */
struct family_names {
    /* The module that holds all below; "": the layer itself; NULL: no checkpoints, or such whose experts are not read,
     * as the family is refused. */
    const char *block;
    /* The modules with the experts' weights: <M>.<expert>.<anything>, <M>.expert_<expert>.<anything>, or stacked. What mlx-lm makes of any
     * family, <block>.switch_mlp, is known without. */
    const char *experts;
    const char *router;  /* the module of the router: what has one row per expert is cut, the rest stays */
    const char *vectors; /* further tensors with one value per expert: [E] or [1, E]; NULL: none */
    const char *whole;   /* tensors under these modules that have no expert axis; NULL: none */
    /* The key of config.json that says how many entries a router has behind those of the experts, for such as do
     * nothing: they stay; NULL: it has none. */
    const char *idle;
    bool rows;       /* stacked experts lie in the rows, [E * F, H], expert after expert */
    bool two_stacks; /* an encoder and a decoder, whose blocks are counted on behind the encoder's */
};

/* What tokenizers of a model_type (of config.json) need beyond the common rules of src/tokenizer/. */
enum family_prefix { PREFIX_UNSAID, PREFIX_FIRST, PREFIX_LAST };
struct family_tokenizer {
    const char *model_types; /* separated by spaces; a star at the end of a word stands for any ending */
    /* Pre-tokenizers, by the engine's names, that only who names them gets, as others split alike. Separated
     * by spaces; NULL: none. */
    const char *pre;
    enum family_prefix space_prefix; /* add_space_prefix as said: before all other keys, or behind them */
    uint32_t no_bos_vocab;           /* with so many tokens none is put before a text; 0: with any */
    uint32_t pad_vocab;              /* the vocabulary is filled up to a multiple of this; 0: it is not */
    bool
        added_as_pieces; /* SentencePiece: added tokens take the places of pieces; special ones have the score 0 */
    bool spaced_bpe; /* the engine's BPE over text in which a space is U+2581 */
    bool
        eos_by_name; /* EOS is the eos_token of tokenizer_config.json, whatever config.json's id says: so the code of
                       * the family's tiktoken file has it */
    /* Texts of special tokens that no file names: before a prompt, behind a text, behind the model's turn (never part of what it says,
     * though its file may not mark it as special), unknown, behind a call of a tool. NULL: none. */
    const char *bos, *eos, *eot, *unk, *eom;
};

#define FAMILY_CLASSES    4
#define FAMILY_TOKENIZERS 4

struct family {
    const char *arch;   /* general.architecture; NULL: the engine has no such model */
    const char *models; /* for people: what it is known as */
    const char *
        gate; /* the final weight g, as a formula in words; NULL: refused, and the engine has no such model */
    const char *refuse; /* why models of this family are not pruned; NULL: they are */

    /* ---- checkpoints ---- */
    struct family_class classes[FAMILY_CLASSES]; /* up to the first without a name */
    struct family_names names;
    struct family_names own_names; /* in the layout of the family's makers (params.json); block NULL: none */
    struct family_tokenizer tokenizers[FAMILY_TOKENIZERS]; /* up to the first without model_types */
    const char *refuse_checkpoint; /* why its checkpoints are not pruned, where GGUF files may be */
    const char *refuse_native;     /* why its checkpoints are not converted, where they may be pruned */

    /* ---- oddities ---- */
    uint32_t used;         /* experts per token, where no config says how many; 0: it does */
    bool gate_on_input;    /* the gate multiplies the expert's input, so c = f */
    uint32_t min_blocks;   /* the engine aborts on fewer */
    unsigned engine;       /* enum family_engine, added up */
    uint32_t only_experts; /* a GGUF file with this count of experts must keep it; 0: there is none */
    const char *why_only;  /* .. because */
    bool down_scale;       /* the graph multiplies experts by ffn_down_exps.scale (llama.cpp v0.5.0) */
    bool yarn_all_dim;     /* YaRN: the engine reads mscale_all_dim, in tenths */
};

/* ---- which family ---- */
const struct family *family_at(uint32_t i);                   /* NULL behind the last */
const struct family *family_find(const char *arch);           /* NULL if unknown */
const struct family *family_nearest(const char *arch);        /* whose arch looks most alike, for messages */
const struct family *family_of_class(const char *class_name); /* NULL if unknown */
/* How models of the class are converted, and their family; NULL: they are not. */
const struct conversion *family_conversion(const char *class_name, const struct family **f);

/* By model_type: of all records the one whose word fits best, a whole word before a star, a longer one before
 * a shorter. Where none fits, one without any quirk. */
const struct family_tokenizer *family_tokenizer(const char *model_type);

/* Names that many families share, tried for a class that has no record; NULL behind the last. */
const struct family_names *family_usual_names(uint32_t i);

/* Why a model of the family (with so many experts) cannot be pruned; NULL: it can. */
const char *family_refusal_gguf(const struct family *f, uint32_t n_experts);
const char *family_refusal_checkpoint(const struct family *f);
/* Whether the engine marks tokens because general.name, of any case, is this one (llama-vocab.cpp, "phi-3"). */
bool family_name_marks(const char *name, size_t n);

/* ---- what a tensor is, by its name ---- */
/* How mlx-lm calls stacked experts of any family: a list of modules. */
extern const char family_switches[];

enum role {
    ROLE_NONE,   /* no expert axis */
    ROLE_EXPERT, /* matrices and vectors of the experts */
    ROLE_ROUTER, /* ffn_gate_inp.weight */
    ROLE_SELECT, /* router bias, selection bias */
    ROLE_TABLE,  /* ids of experts for each token: no expert axis, but its values change (model/id_table.h) */
    ROLE_REFUSE, /* holds experts in a form that cannot be cut; .why says so */
};

/* GGUF names the tensors of all families alike (docs/formats.md). */
struct tensor_rule {
    const char *suffix; /* what follows "blk.N." */
    enum role role;
    int axis;          /* the dimension (ggml order) that is the expert; -1: none */
    const char *shape; /* for people: H hidden size, F expert width, E experts; NULL: refused */
    const char *why;   /* ROLE_REFUSE */
};
const struct tensor_rule *family_rule_at(uint32_t i); /* NULL behind the last */
/* The rule of a tensor name, with its layer; NULL when the name has no expert axis (then *layer is set if it
 * starts with blk.N., else -1). *suspect: the name looks like an expert tensor (contains "exps" or
 * "exp_probs") but no rule knows it. */
const struct tensor_rule *family_rule(const char *name, int32_t *layer, bool *suspect);

struct family_role {
    enum role role;
    int32_t axis;       /* stacked: 0, or 1 of [1, E]; -1 */
    const char *number; /* single: where the expert's number stands in the name; NULL */
    const char *part;   /* single: what follows the number: "up_proj.weight" */
    const char *router; /* in the router: what follows the module's name */
};
/* What a tensor of a checkpoint is, by the name behind "layers.N.". Shapes are the caller's business. */
struct family_role family_role(const struct family_names *f, const char *rest);
/* Whether a name, in GGUF or in a checkpoint, is of experts that every token passes through, or of their gate. */
bool family_is_shared(const char *name);
/* Whether a name, whole or behind "layers.N.", is that of experts in some family: what has no role then is
 * refused, and not left alone. */
bool family_looks_like_experts(const char *rest);

#endif
