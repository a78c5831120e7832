/* format.h - the forms in which a model may lie on the disk: a row for each in one table (src/formats.c).
 *
 * What a format is to the program is what its row points at: how it is read (struct view_ops, defined in
 * model/view_X.c) and how a cut of it is written and compared (struct prune_ops, in prune/prune_X.c). All
 * other code asks the row of a view, and never which format it is. The table stands above all that it points
 * at; here it is only declared. */
#ifndef REAP_MODEL_FORMAT_H
#define REAP_MODEL_FORMAT_H

#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct hf_checkpoint;
struct prune_ops;
struct view;
struct view_tensor;

struct view_ops {
    /* Whether a path is of this format, by what it is and not by what is in it. */
    bool (*knows)(const char *path);
    /* Opens the reader at v->path, puts it into v->reader and fills the view. False with *e set, which names
     * the path; close is called all the same, with what there is. */
    bool (*open)(struct view *v, struct err *e);
    void (*close)(struct view *v); /* v->reader may be NULL */
    const struct view_tensor *(*find)(const struct view *v, const char *name);
    /* Why this model cannot be pruned, beyond what its tensors say (ROLE_REFUSE). NULL: it can. */
    const char *(*refusal)(const struct view *v);
    /* Refuses an output that is one of the model's files besides those of weights. */
    bool (*check_output)(const struct view *v, const char *path, struct err *e);
    /* view_stamp, for the files besides those of weights. */
    void (*stamp)(const struct view *v, struct buf *b);
    /* What is converted on the way into the engine; NULL: nothing is, or nobody knows how. */
    const struct hf_checkpoint *(*checkpoint)(const struct view *v);
};

struct format {
    const char *name; /* "a GGUF file" */
    bool converts;    /* the engine cannot read it: it is converted on its way there (convert/load.h) */
    const struct view_ops *view;
    const struct prune_ops *prune;
};

extern const struct format formats[];
extern const uint32_t n_formats;

#endif
