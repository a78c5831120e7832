/* files.h - the files that a checkpoint folder may have, and what each is for: once, for all that ask.
 *
 * The files of weights that an index names are in hf_checkpoint.files (checkpoint.h); every other name is a
 * row here. Who reads a further file of a checkpoint adds its row, and outputs cannot land on it, a cached
 * conversion and the steps of a run are made anew when it changes. */
#ifndef REAP_HF_FILES_H
#define REAP_HF_FILES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include <stdbool.h>
#include <stdint.h>

#define HF_INDEX_NAME     "model.safetensors.index.json"
#define HF_WEIGHTS_NAME   "model.safetensors" /* where there is no index */
#define HF_CARD_NAME      "README.md"
#define HF_TEMPLATES_NAME "additional_chat_templates"

/* How the files of weights and what describes them are called. */
struct hf_layout {
    const char *config; /* what takes the place of config.json */
    const char *index;
    const char *weights; /* where there is no index */
    const char *shards;  /* what files begin with where there is neither, in any number; NULL: that is none */
    const char *what;    /* stands for a class, which such a config does not name; NULL: it does */
};
/* transformers' layout, then Mistral's own: of a folder with config.json the first. NULL behind the last. */
const struct hf_layout *hf_layout_at(uint32_t i);

enum hf_file_role {
    HF_FILE_JSON = 1,      /* JSON that names counts and experts: kept as text, edited by a cut */
    HF_FILE_WEIGHTS = 2,   /* weights and their index */
    HF_FILE_TOKENIZER = 4, /* read for the tokenizer */
    HF_FILE_HEADER = 8,    /* read for other keys of the engine's header: templates, sampling */
    HF_FILE_CARD = 16,     /* the model card */
    HF_FILE_COPIED = 32,   /* of the model, and read by nobody here */
};
/* What a model computes from a text depends on. */
#define HF_FILES_MODEL (HF_FILE_JSON | HF_FILE_WEIGHTS | HF_FILE_TOKENIZER | HF_FILE_HEADER)

/* The rows with the role HF_FILE_JSON, which come first. */
enum hf_json_file { HF_CONFIG, HF_QUANT_CONFIG, HF_QUANTIZE_CONFIG, HF_PARAMS, HF_N_JSON };
/* Whether it states how many experts there are; the others may only name them. */
bool hf_json_counts(uint32_t file);

struct hf_file_row {
    const char *name; /* in the folder */
    enum hf_file_role role;
    bool is_dir; /* a folder: stands for all files in it */
    bool bound;  /* any text would do, and goes into outputs: a link must not lead out of the checkpoint
                  * (base/folder.h). The others have a form that nothing else has, and may lie elsewhere. */
};
const struct hf_file_row *hf_files_at(uint32_t i); /* NULL behind the last */

/* Reads a file of the folder that has a row: *there says whether it is there. False: it is, or that cannot be
 * known, and cannot be read; *e names it. */
bool hf_file_read(const char *dir, const char *name, uint64_t max, bool *there, struct buf *b, struct err *e);
/* The same as JSON, kept by nobody: *json stays NULL when it is not there. */
bool hf_file_json(const char *dir, const char *name, json_t **json, struct err *e);

/* Adds a line "NAME SIZE TIME" or "NAME missing" for each row that has one of the roles, and for each file in
 * those that are folders. hf_stamp (checkpoint.h) is what a whole checkpoint depends on. */
void hf_files_stamp(const char *dir, unsigned roles, struct buf *b);

/* Whether writing `out` would destroy a file of the checkpoint: one with a row (file_would_destroy), or any other
 * that lies in the folder, for it is copied with the model, or read by others. Results of ours that were put
 * there, and GGUF files, are none: they may be replaced as anywhere. A new file may be put there. */
bool hf_files_hit(const char *dir, const char *out);

#endif
