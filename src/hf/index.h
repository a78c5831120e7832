/* index.h - the index of a checkpoint in several files, from memory.
 *
 * model.safetensors.index.json: {"metadata": {"total_size": N, ...}, "weight_map": {"tensor": "file", ...}},
 * as huggingface_hub and transformers write it. */
#ifndef REAP_HF_INDEX_H
#define REAP_HF_INDEX_H

#include "base/buf.h"
#include "base/err.h"
#include "hf/files.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hf_index_entry {
    const char *name, *file; /* in the text */
};

struct hf_index {
    struct hf_index_entry *map; /* sorted by name; each name once, at least one */
    uint64_t n, cap;
    char *metadata; /* text of the object; NULL: none */
};

/* `text` are n bytes that are changed (strings are decoded in place) and must outlive the index. Checks names
 * and that each file name stays in the folder. False: *e set (ERR_INPUT), nothing to clear. */
bool hf_index_parse(char *text, size_t n, struct hf_index *out, struct err *e);
void hf_index_clear(struct hf_index *x);

/* The text of an index: metadata as text (NULL: only total_size; total_size and, where it was there,
 * total_parameters get the new values, other keys stay), then the map, which is sorted by tensor name in
 * place. */
void hf_put_index(struct buf *b, const char *metadata, uint64_t total_size, uint64_t total_parameters,
                  struct hf_index_entry *map, uint64_t n);

#endif
