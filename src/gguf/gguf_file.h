/* gguf_file.h - reading and writing GGUF files (versions 2 and 3, little-endian), single or split.
 *
 * The reader is strict: it accepts nothing that the engine's reader refuses, and refuses in one line that
 * names file, key or tensor. It also refuses what no writer makes: names with a NUL or bad UTF-8, a bool
 * other than 0 and 1, sizes whose product wraps, headers over 256 MiB. It never reads tensor data. The writer
 * makes a header from the raw bytes of another file's keys, so that a key that nobody meant to change comes
 * out bit for bit (types, empty arrays, order). Layout: ggml/include/gguf.h of llama.cpp v0.5.0. No name here
 * begins with gguf_: the engine's library would call ours. */
#ifndef REAP_GGUF_FILE_H
#define REAP_GGUF_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

/* ---- tensor types (ggml 0.25.1; from GG_N_TYPES on: of ik_llama.cpp, which the engine does not run) ---- */
struct gg_type {
    const char *name;   /* "q4_K"; NULL: no such type */
    uint32_t block;     /* elements per block */
    uint32_t bytes;     /* bytes per block */
    uint32_t row_bytes; /* of each row besides its blocks: a scale of the whole row */
    uint32_t rows;      /* so many rows are woven into each other; 1: each stands alone */
};
#define GG_N_TYPES   48
#define GG_LAST_TYPE 399
const struct gg_type *gg_type_get(uint32_t id); /* NULL if unknown */
/* The bytes of a tensor of whole blocks; false: more than 64 bits count. ne: four sizes. */
bool gg_type_size(const struct gg_type *t, const uint64_t *ne, uint64_t *bytes);

/* ---- keys ---- */
enum gg_kind {
    GG_U8,
    GG_I8,
    GG_U16,
    GG_I16,
    GG_U32,
    GG_I32,
    GG_F32,
    GG_BOOL,
    GG_STR,
    GG_ARR,
    GG_U64,
    GG_I64,
    GG_F64,
    GG_N_KINDS
};
const char *gg_kind_name(enum gg_kind k); /* "u32" */

struct gg_key {
    const char *name;  /* NUL-terminated, valid UTF-8 */
    enum gg_kind kind; /* GG_ARR: elem and n hold */
    enum gg_kind elem;
    uint64_t n;         /* elements of an array, else 1 */
    const uint8_t *raw; /* the whole entry as in the file: name, type, value */
    uint64_t raw_bytes;
    const uint8_t *value; /* inside raw: the value, an array's first element, a string's bytes */
    uint64_t str_len;     /* GG_STR only */
};

struct gg_tensor {
    const char *name; /* NUL-terminated, < 64 bytes, valid UTF-8 */
    uint32_t type;    /* ggml type id, known */
    uint32_t n_dims;  /* 1..4 as in the file (0 is read as 1 with ne[0] = 1) */
    uint64_t ne[4];   /* ggml order, ne[0] fastest; unused: 1; each >= 0 */
    uint64_t bytes;   /* size of the data */
    uint64_t off;     /* where the data starts in its file, from the start of that file */
    uint32_t part;    /* index of the file in gg_file.parts */
};

struct gg_part { /* one file of a split model; a single file has one */
    char *path;
    int fd;
    uint64_t size;    /* of the file */
    uint32_t version; /* 2 or 3 */
    uint64_t alignment, data_off;
    struct gg_key *keys; /* in file order */
    uint64_t n_keys;
    uint64_t first_tensor; /* its tensors are gg_file.tensors[first .. first + n - 1], in file order */
    uint64_t n_tensors;
    void *header; /* owns what keys and names point to */
};

struct gg_file {
    struct gg_part *parts;
    uint32_t n_parts;
    struct gg_tensor *tensors; /* of all parts, in order */
    uint64_t n_tensors;
    bool split_left; /* one whole file whose keys say that it is the first of several: they are left over */
    const struct gg_tensor **by_name; /* the same, sorted by name; for gg_find_tensor */
};

/* Opens `path` and, when it is the first part of a split model (key split.count > 1), all other parts, found
 * beside it by the name pattern NAME-00001-of-0000N.gguf. A file that says so, but holds all tensors and has no
 * second part, is whole (split_left): tools of early 2024 copied the keys of a split parent. Checks everything that the engine's reader would
 * (magic, version, counts against the file size, string lengths, UTF-8, duplicate keys and names, alignment,
 * dims and byte products, exact offsets, data inside the file, split.* keys). NULL with *e set (ERR_INPUT;
 * the file is named in the message). */
struct gg_file *gg_open(const char *path, struct err *e);
void gg_free(struct gg_file *f);

/* Parses a header from memory as one part (fuzzing, tests): `size` bytes are there, the file as a whole has
 * `file_size` bytes, at least `size`. The keys borrow p. *f is overwritten; gg_clear() it after success, on
 * failure it is empty. */
bool gg_parse(const uint8_t *p, uint64_t size, uint64_t file_size, struct gg_file *f, struct err *e);
void gg_clear(struct gg_file *f); /* frees what *f owns, not f itself */

const struct gg_key *gg_find(const struct gg_file *f, const char *name); /* in part 0; NULL if absent */
const struct gg_tensor *gg_find_tensor(const struct gg_file *f, const char *name);

/* Values. The getters take any integer kind; false (*e untouched) if the key is absent, has another kind or
 * the value does not fit. */
bool gg_key_u64(const struct gg_key *k, uint64_t *out); /* k may be NULL: false */
/* Element i of an integer array, or the scalar for any i. */
bool gg_key_u64_at(const struct gg_key *k, uint64_t i, uint64_t *out);
/* The same of fractions, f32 or f64. */
bool gg_key_f64_at(const struct gg_key *k, uint64_t i, double *out);
/* Whether element i (or the scalar) is a bool or a number other than 0. */
bool gg_key_true_at(const struct gg_key *k, uint64_t i);
bool gg_key_str(const struct gg_key *k, const char **s, uint64_t *n); /* not NUL-terminated */
/* The string at p of a list of strings: from k->value on, k->n times. Where the next one begins. */
const uint8_t *gg_next_str(const uint8_t *p, const char **s, uint64_t *n);

/* ---- the size that a model is named by ---- */
/* Zeroed, then every tensor of the model. */
struct gg_size {
    uint64_t n;                  /* parameters: all but the experts', and one expert's */
    uint64_t experts, n_stacked; /* experts of all tensors that hold some; how many those are */
};
#define GG_SIZE_LABEL 64
void gg_size_add(struct gg_size *s, const char *name, uint32_t n_dims, const uint64_t *ne);
/* "8x1.5B": how many experts, and n; "1.5B" without experts. */
void gg_size_label(const struct gg_size *s, char dst[GG_SIZE_LABEL]);
void gg_size_of(const struct gg_file *f, char dst[GG_SIZE_LABEL]);

/* ---- writing ---- */
/* Building blocks of a header; the caller assembles: gg_put_start, keys, tensor infos, then zero padding to
 * the alignment. */
void gg_put_start(struct buf *b, uint32_t version, uint64_t n_tensors, uint64_t n_keys);
void gg_put_raw(struct buf *b, const struct gg_key *k); /* unchanged */
/* Same name and integer kind, another value. If that does not fit or k is no integer: *e set, nothing
 * added. */
void gg_put_uint(struct buf *b, const struct gg_key *k, uint64_t v, struct err *e);
/* The first n elements of a list of numbers. If k is none, or is shorter: *e set, nothing added. */
void gg_put_first(struct buf *b, const struct gg_key *k, uint64_t n, struct err *e);
void gg_put_u32(struct buf *b, const char *name, uint32_t v);
void gg_put_i32(struct buf *b, const char *name, int32_t v);
void gg_put_f32(struct buf *b, const char *name, float v);
void gg_put_bool(struct buf *b, const char *name, bool v);
void gg_put_str(struct buf *b, const char *name, const char *s);
/* Arrays of n values. The engine's reader takes an empty array, but not every key may be one. */
void gg_put_i32s(struct buf *b, const char *name, const int32_t *v, uint64_t n);
void gg_put_bools(struct buf *b, const char *name, const int32_t *v, uint64_t n); /* 0: false */
void gg_put_u64s(struct buf *b, const char *name, const uint64_t *v, uint64_t n);
void gg_put_f32s(struct buf *b, const char *name, const float *v, uint64_t n);
void gg_put_strs(struct buf *b, const char *name, const char *const *v, uint64_t n);
/* off: relative to the start of the data section */
void gg_put_tensor(struct buf *b, const char *name, uint32_t n_dims, const uint64_t *ne, uint32_t type,
                   uint64_t off);
void gg_pad(struct buf *b, uint64_t alignment);
static inline uint64_t gg_align(uint64_t n, uint64_t alignment)
{
    return (n + alignment - 1) / alignment * alignment;
}
/* "NAME-00002-of-00005.gguf" for part 1 of 5; caller frees */
char *gg_split_path(const char *prefix, uint32_t part, uint32_t n_parts);
/* If path ends in -%05d-of-%05d.gguf: the prefix (caller frees), the part counted from 0 and the count; else
 * NULL. */
char *gg_split_prefix(const char *path, uint32_t *part, uint32_t *n_parts);

#endif
