/* layout_part.h - what the files of convert/ that lay out an image by a family's rules share; not for
 * others. */
#ifndef REAP_CONVERT_LAYOUT_PART_H
#define REAP_CONVERT_LAYOUT_PART_H

#include "convert/image_part.h"
#include "family/conversion.h"
#include "family/family.h"
#include "hf/names.h"

struct facts {
    uint64_t v[128];         /* by letter; 0: not known */
    bool read[128];          /* a rule has been asked for it */
    uint64_t *by_block[128]; /* of those that differ from block to block; NULL: the same in all */
};
/* A fact in a block; block -1: outside of blocks. */
static inline uint64_t facts_at(const struct facts *f, char letter, int64_t block)
{
    const uint64_t *v = f->by_block[(unsigned char)letter];
    return v && block >= 0 ? v[block] : f->v[(unsigned char)letter];
}

/* What is being converted. */
struct layout_in {
    const struct hf_checkpoint *c; /* with quantised weights as matrices: of im->forms */
    const struct family *family;
    const struct conversion *conversion; /* the rules */
    struct conf conf;
    struct facts f;
    uint64_t n_blocks; /* those that are written: f.v['L'], and MTP blocks where the family keeps them */
    uint32_t *kinds;   /* per block, B_... */
    const char *name;  /* general.name */
    const char *size_label;
    uint32_t file_type;
};

struct layout_slot { /* one output tensor of a block, or outside of blocks */
    const struct name_rule *rule;
    struct image_source *sources; /* room for all experts where they are stacked, and all parts of each */
    uint64_t n, room;
};

/* What is left out of the image: tensors whose names differ in numbers alone are one kind. */
struct left_kind {
    char *name; /* numbers as '#' */
    const char *why;
    uint64_t n, bytes;
};
struct left_out {
    struct left_kind *kinds;
    uint32_t n, cap;
};

struct layout {
    struct layout_in in;
    const struct convert_opts *o;
    const struct name_rule **rules; /* of the family, all lists */
    const struct name_rule *globals;
    uint64_t n_rules, n_globals;
    struct layout_slot *slots; /* n_globals, then n_rules per block */
    bool *used;                /* per tensor of the checkpoint */
    struct left_out left;
    uint32_t type; /* of matrices */
    struct image *im;
    uint64_t cap;
};

/* ---- the config (facts.c) ---- */
bool layout_load_facts(struct layout_in *in, struct err *e);
bool layout_check_musts(const struct layout_in *in, struct err *e);

/* ---- tensors into slots (match.c) ---- */
/* Makes the slots and puts every tensor into its own, or leaves it out; nothing that is needed is missing. */
bool layout_match(struct layout *l, struct err *e);
/* The slot of a rule in a block; block -1: of a rule outside of blocks. */
struct layout_slot *layout_slot_at(const struct layout *l, int64_t block, uint64_t rule);
void layout_tensor_name(char dst[64], int64_t block, const char *name);
/* Of how many tensors, for each expert, an output is made: "a+b" of two. */
uint64_t layout_rule_parts(const char *hf);

/* ---- what is left out (left.c) ---- */
void left_out_add(struct left_out *x, const struct hf_tensor *t, const char *why); /* why: static */
void left_out_say(const struct left_out *x); /* in a line for each reason; every kind with --verbose */
void left_out_clear(struct left_out *x);

/* ---- shapes (geometry.c) ---- */
/* How the output of a block follows from the slot's sources (see struct made), and its dimensions. */
bool layout_set_shape(const struct layout *l, int64_t block, const struct layout_slot *s, struct made *m,
                      struct image_tensor *o, struct err *e);

/* ---- the image's tensors (layout.c) ---- */
bool layout_add_tensors(struct layout *l, struct err *e);

/* ---- keys (keys.c) ---- */
/* The keys general.* and ARCH.*; their number is added to *n. */
bool layout_put_keys(const struct layout_in *in, struct buf *b, uint64_t *n, struct err *e);
/* general.sampling.*: what generation_config.json of the folder proposes; nothing when there is none. */
bool layout_put_sampling(const char *dir, struct buf *b, uint64_t *n, struct err *e);
/* rope_freqs.weight of rope types llama3 and proportional: D/2 factors in a new array; NULL: the model has none. */
bool layout_rope_freqs(const struct layout_in *in, float **out, struct err *e);

#endif
