/* gg_part.h - what the files of src/gguf share: the parser of one file (gg_read.c), used by gg_split.c. */
#ifndef REAP_GGUF_GG_PART_H
#define REAP_GGUF_GG_PART_H

#include "gguf/gguf_file.h"

/* Opens `path`, reads its header and adds it to f as its next part. False: *e set, f as before. */
bool gg_part_read(struct gg_file *f, const char *path, struct err *e);
/* Builds f->by_name; false if two tensors have one name. Called once, when all parts are there. */
bool gg_index(struct gg_file *f, struct err *e);
const struct gg_key *gg_part_find(const struct gg_part *p, const char *name);
/* Bytes of a value of a kind; 0 for strings and arrays. */
extern const uint8_t gg_kind_bytes[GG_N_KINDS];

/* n bytes, little-endian, at any address */
static inline uint64_t gg_get_le(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

#endif
