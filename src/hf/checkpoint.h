/* checkpoint.h - reading a Hugging Face checkpoint: a folder with config.json and safetensors files.
 *
 * The reader is strict: it accepts no file that the safetensors library refuses, and refuses a name that
 * stands twice and names with control characters as well. Messages name file and tensor. Weights are never
 * read. The format: https://github.com/huggingface/safetensors (README, "Format"); the index is that of
 * huggingface_hub's sharded checkpoints. What makes these tensors a model is model/'s business. */
#ifndef REAP_HF_CHECKPOINT_H
#define REAP_HF_CHECKPOINT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/jspan.h"
#include "hf/files.h"
#include <stdbool.h>
#include <stdint.h>

#define HF_MAX_DIMS   8
#define HF_MAX_HEADER 100000000u /* bytes of one header, the library's limit */

struct hf_dtype {
    const char *name; /* "BF16", as in the header */
    uint32_t bits;    /* of one element: 4 to 64 */
};
const struct hf_dtype *hf_dtype_find(const char *name); /* NULL if unknown */

struct hf_tensor {
    const char *name; /* NUL-terminated, UTF-8, no control characters */
    const struct hf_dtype *dtype;
    uint32_t n_dims;            /* 0: a scalar */
    uint32_t file;              /* index into hf_checkpoint.files */
    uint64_t dims[HF_MAX_DIMS]; /* in the file's order, slowest first */
    uint64_t bytes, off;        /* off: from the start of its file */
};

struct hf_file {
    char *name; /* inside the folder: "model-00001-of-00003.safetensors" */
    char *path;
    int fd;
    uint64_t size;
    uint64_t first_tensor, n_tensors; /* tensors[first .. first + n - 1], in the order of their bytes */
    char *metadata;                   /* the text of "__metadata__"; NULL: none */
    char *names;                      /* of its tensors */
};

struct hf_json { /* a JSON file of the folder, as text with places */
    char *text;  /* NULL: the file is not there */
    size_t n;
    struct jdoc doc;
};

struct hf_checkpoint {
    char *dir;
    struct hf_file *files; /* in the order of their names */
    uint32_t n_files;
    struct hf_tensor *tensors; /* file by file, in the order of their bytes */
    uint64_t n_tensors, cap_tensors;
    const struct hf_tensor **by_name; /* sorted */
    struct hf_json json[HF_N_JSON];   /* objects; that of HF_CONFIG is always there */
    const struct hf_layout *layout;
    bool has_index;       /* an index names the files; else they are what the layout says */
    char *index_metadata; /* the text of the index's "metadata" object; NULL: none */
};

/* Name of one of the files in c->json. */
const char *hf_json_name(const struct hf_checkpoint *c, uint32_t file);

/* Opens config.json, or what stands for it, the index if there is one, and the headers of all files. Checks: JSON (depth, duplicate
 * keys), every rule of the format (header length, offsets that cover the data exactly, sizes, dtypes, names),
 * the index against the files both ways, no tensor in two files, file names that stay in the folder. NULL
 * with *e set (ERR_INPUT). Symbolic links inside the folder are followed (the hub's cache is made of
 * them). */
struct hf_checkpoint *hf_open(const char *dir, struct err *e);
void hf_free(struct hf_checkpoint *c);

const struct hf_tensor *hf_find_tensor(const struct hf_checkpoint *c, const char *name);

/* Adds size and time of every file that what the model computes from a text depends on: what is made of the
 * model is to be made anew when these lines change. */
void hf_stamp(const struct hf_checkpoint *c, struct buf *b);

/* Parses the header of one safetensors file from memory (fuzzing, tests; hf_open uses it): `header` are the n
 * bytes behind the length field, in memory of the caller that is changed (names are decoded in place) and
 * must outlive the tensors. data_bytes: size of what follows the header; off counts from data_off. The
 * tensors, in the order of their bytes, are put into *out (caller frees), *metadata as above (caller
 * frees). */
bool st_parse(char *header, size_t n, uint64_t data_off, uint64_t data_bytes, struct hf_tensor **out,
              uint64_t *n_out, char **metadata, struct err *e);

/* ---- writing ---- */
/* The first bytes of a file, added to *b: length field and header, padded with spaces to a multiple of 8. The
 * tensors' data must follow without gaps, in the order in which they are added; of a tensor name, dtype, dims
 * and bytes are taken, off is not. metadata: text of an object; NULL: none. */
struct st_header {
    struct buf *b;
    size_t start;
    uint64_t n, off;
    bool metadata;
};
void st_header_begin(struct st_header *h, struct buf *b, const char *metadata);
void st_header_add(struct st_header *h, const struct hf_tensor *t);
void st_header_end(struct st_header *h);

#endif
