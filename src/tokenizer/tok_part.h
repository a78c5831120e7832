/* tok_part.h - what the files of tokenizer/ share. */
#ifndef REAP_TOKENIZER_TOK_PART_H
#define REAP_TOKENIZER_TOK_PART_H

#include "base/err.h"
#include "base/json.h"
#include "base/jspan.h"
#include "family/family.h"
#include <stdbool.h>
#include <stdint.h>

/* tokenizer.ggml.token_type */
enum tok_type { TOK_NORMAL = 1, TOK_UNKNOWN, TOK_CONTROL, TOK_USER_DEFINED, TOK_UNUSED, TOK_BYTE };

/* The largest vocabulary that is believed; the largest published ones have a quarter of a million tokens. */
#define TOK_MAX (1u << 22)

#define TOK_SHOWN 64 /* of a token in a message (text_shown) */

struct tok_vocab {
    char **text; /* n of them, owned; NULL: no token has this id yet */
    int32_t *type;
    float *score;
    uint64_t n;
    char **merge; /* "left right", owned */
    uint64_t n_merges;
};
bool tok_vocab_init(struct tok_vocab *v, uint64_t n, struct err *e);
void tok_vocab_clear(struct tok_vocab *v);
void tok_vocab_set(struct tok_vocab *v, uint64_t id, const char *text, enum tok_type type, float score);
/* A token that the tokenizer matches before it splits the text: the type that it gets, and its text as the
 * engine expects it. */
void tok_vocab_set_added(struct tok_vocab *v, uint64_t id, const char *text, bool special, float score);
/* Ids without a token become [PAD<id>], unused. Then no text may stand twice: the engine would abort. */
bool tok_vocab_finish(struct tok_vocab *v, float pad_score, struct err *e);

/* The files of the folder; the documents may be changed, they are ours. */
struct tok_files {
    const char *dir;
    /* tokenizer.json, tokenizer_config.json, added_tokens.json; NULL: absent */
    json_t *tokenizer, *config, *added;
    const struct family_tokenizer *family; /* what its model_type needs */
    uint64_t vocab_size;                   /* wanted number of tokens; 0: not said */
};

/* ---- special tokens (special.c) ---- */
enum special_kind { SP_BOS, SP_EOS, SP_UNK, SP_SEP, SP_PAD, SP_CLS, SP_MASK, SP_EOT, SP_EOM, N_SPECIAL };

/* What is known, in the order in which it was found: that is the order of the keys. */
struct tok_special {
    struct {
        enum special_kind kind;
        uint64_t id;
    } ids[N_SPECIAL];
    struct {
        enum special_kind kind;
        bool yes;
    } adds[N_SPECIAL];
    size_t n_ids, n_adds;
    size_t n_kinds;   /* kinds that are looked for: up to cls and mask, then eot, then eom */
    uint64_t n_vocab; /* ids from here on are no tokens */
};
/* Reads the files and config.json; n: size of the vocabulary. */
void tok_special_find(struct tok_special *s, const struct tok_files *f, const struct jdoc *config,
                      uint64_t n);
/* Tokens that the family's record names because no file does; what ends a turn becomes a control token. */
void tok_special_set_named(struct tok_special *s, struct tok_vocab *v, const struct family_tokenizer *family);
/* EOS as the eos_token of tokenizer_config.json has it, over an id in config.json. */
void tok_special_set_eos_by_name(struct tok_special *s, const struct tok_vocab *v, const json_t *config);
bool tok_special_has(const struct tok_special *s, enum special_kind kind);
/* The first id that is set for a kind stays. */
void tok_special_set(struct tok_special *s, enum special_kind kind, uint64_t id);
/* The id counts, whatever was set before. */
void tok_special_replace(struct tok_special *s, enum special_kind kind, uint64_t id);
/* Whether the engine adds it to a text. The last answer counts, at the place of the first. */
bool tok_special_says_add(const struct tok_special *s, enum special_kind kind);
void tok_special_set_add(struct tok_special *s, enum special_kind kind, bool yes);
/* Adds the keys and their number. */
void tok_special_put(const struct tok_special *s, struct buf *b, uint64_t *n);

/* ---- byte-level BPE (bpe.c) ---- */
bool tok_bpe_is_byte_level(const json_t *tokenizer);
bool tok_bpe_load(struct tok_files *f, struct tok_vocab *v, struct err *e);
/* Scores under which merging by score is merging by rank: the first merge that makes a token has the highest
 * one. The merges themselves are dropped from v. */
void tok_bpe_scores_of_merges(const json_t *tokenizer, struct tok_vocab *v);
bool tok_bpe_ignores_merges(const json_t *tokenizer);
/* How many tokens of the vocabulary do not come out as themselves when their characters are merged. *first:
 * the lowest such id. Where there is none it does not matter whether a tokenizer looks up whole words before
 * it merges. */
bool tok_bpe_unreachable(const json_t *tokenizer, const struct tok_vocab *v, uint64_t *count, uint64_t *first,
                         struct err *e);

/* ---- tiktoken files (tiktoken.c) ---- */
struct tok_tiktoken { /* what the model's own code says beside the file */
    const char *pre;  /* the engine's name for how text is split */
    const char *bos;  /* the token before a text, whatever config.json says; NULL: what that says */
};
/* tiktoken.model or hy.tiktoken of the folder as a tokenizer.json with model and added_tokens: a new reference. NULL
 * without *e set: there is none. */
json_t *tok_tiktoken_read(const struct tok_files *f, struct tok_tiktoken *t, struct err *e);

/* ---- SentencePiece (spm.c) ---- */
enum { SPM_UNIGRAM = 1, SPM_BPE = 2 };
struct spm_piece {
    char *text;
    float score;
    int type; /* as tok_type */
};
struct spm { /* what is needed of a ModelProto */
    struct spm_piece *pieces;
    uint32_t n, cap;
    uint32_t model_type;
    int64_t unk_id, bos_id, eos_id; /* -1: none */
    bool dummy_prefix;              /* a space is put before the text */
};
/* Reads n bytes of tokenizer.model. *m is overwritten; spm_clear() it, also after an error. */
bool spm_parse(const uint8_t *p, uint64_t n, struct spm *m, struct err *e);
void spm_clear(struct spm *m);
/* Fills v from tokenizer.model and the added tokens. *m says what else the file tells (pieces gone). */
bool tok_spm_load(const struct tok_files *f, struct tok_vocab *v, struct spm *m, struct err *e);
/* The same from a tokenizer.json with byte fallback, where there is no tokenizer.model. */
bool tok_spm_from_json(struct tok_files *f, struct tok_vocab *v, struct spm *m, struct err *e);

/* Gemma-4: a BPE over text in which a space is U+2581, with byte fallback; it has merges, no scores. */
bool tok_is_gemma4(const json_t *tokenizer);
bool tok_gemma4_load(struct tok_files *f, struct tok_vocab *v, struct err *e);

/* ---- pre-tokenizers (pre.c) ---- */
struct tok_pre { /* what the engine does under a name of tokenizer.ggml.pre */
    const char *name;
    bool ignore_merges;
    bool add_bos;    /* unless a key says otherwise */
    bool always_bos; /* whatever a key says */
    bool no_bos;     /* there is no such token unless a key names it */
};
const struct tok_pre *tok_pre_find(const char *name); /* NULL: the engine does not know it */
/* The name for the pre_tokenizer of a tokenizer.json. The family decides between names for the same rule.
 * NULL with *e set if it is not known (to be said then: --pretokenizer gives a name). */
const struct tok_pre *tok_pre_recognise(const json_t *tokenizer, const struct family_tokenizer *family,
                                        struct err *e);

#endif
