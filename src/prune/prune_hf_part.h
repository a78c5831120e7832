/* prune_hf_part.h - between the files that write pruned checkpoint folders. */
#ifndef REAP_PRUNE_PRUNE_HF_PART_H
#define REAP_PRUNE_PRUNE_HF_PART_H

#include "base/dir.h"
#include "base/folder.h"
#include "base/out.h"
#include "hf/checkpoint.h"
#include "prune/prune.h"

struct hf_job {
    const struct cut *c;
    const struct view *v;
    const struct hf_checkpoint *in;
    const struct prune_opts *o;
    struct prune_result *r;
    char **files; /* a name for each file of the cut; NULL: nothing goes into it, it is not written */
    uint32_t n_files;
    struct out_dir dir;
    struct folder_bounds bounds; /* of the model */
    uint32_t n_others;           /* files and folders beside the weights so far */
    struct buf outside;          /* names of the model's files that lead out of it: "NAME, NAME" */
    struct out *outs;            /* of the files */
    struct buf json[HF_N_JSON];  /* the edited texts; empty: there is no such file */
    struct progress progress;
    uint64_t done;
};

/* ---- all but the weights: prune_hf_files.c ---- */

/* The JSON files as they will be: they must be editable, and it is better to know that now than behind
 * gigabytes. */
bool prune_hf_edit_json(struct hf_job *j, struct err *e);
/* A text file of the folder that is filled. */
bool prune_hf_put_text(const struct hf_job *j, const char *name, const struct buf *b, struct err *e);
/* The JSON files, all others that are copied, the card, and where the folder comes from. */
bool prune_hf_put_others(struct hf_job *j, struct err *e);

#endif
