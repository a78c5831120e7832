/* map.h - what the files of convert/ that read a family's rules share; not for others. */
#ifndef REAP_CONVERT_MAP_H
#define REAP_CONVERT_MAP_H

#include "convert/image_part.h"
#include "family/conversion.h"
#include "family/family.h"
#include "hf/names.h"

struct facts {
    uint64_t v[128]; /* by letter; 0: not known */
};

/* What is being converted. */
struct plan_in {
    const struct hf_checkpoint *c;
    const struct family *family;
    const struct conversion *map; /* the rules */
    struct conf conf;
    struct facts f;
    uint64_t n_blocks; /* those that are written: f.v['L'], and MTP blocks where the family keeps them */
    uint8_t *kinds;    /* per block, B_... */
    const char *name;  /* general.name */
    const char *size_label;
    uint32_t file_type;
};

bool facts_load(struct plan_in *in, struct err *e);
bool musts_check(const struct plan_in *in, struct err *e);

/* The keys general.* and ARCH.*; their number is added to *n. */
bool keys_put(const struct plan_in *in, struct buf *b, uint64_t *n, struct err *e);
/* general.sampling.*: what generation_config.json of the folder proposes; nothing when there is none. */
bool sampling_put(const char *dir, struct buf *b, uint64_t *n, struct err *e);
/* rope_freqs.weight of rope type llama3: D/2 factors in a new array; NULL: the model has none. */
bool rope_freqs(const struct plan_in *in, float **out, struct err *e);

#endif
