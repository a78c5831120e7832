/* prune.h - writing a model without the experts that a plan drops, and proving that it was done right.
 *
 * Weights are never decoded: an expert is a run of bytes, whatever its type, and the kept runs are copied.
 * Memory is that of the header. */
#ifndef REAP_PRUNE_PRUNE_H
#define REAP_PRUNE_PRUNE_H

#include "base/file.h"
#include "base/log.h"
#include "base/out.h"
#include "hf/card.h"
#include "model/cut.h"

/* The file in every checkpoint folder that we wrote. */
#define PRUNE_OURS "reap.json"

struct prune_opts {
    const char *out;
    struct cut_opts cut;
    /* GGUF: the MTP blocks go, with all their experts, into a file of their own, mtp-NAME beside `out`; cut.drop_mtp is set
     * as well. */
    bool keep_mtp;
    bool force, dry_run;
    bool card;              /* GGUF: README.md beside it; a checkpoint has one, unless no_card */
    bool no_provenance;     /* GGUF: leave the reap.* keys out; checkpoints: no reap.json */
    const char *name;       /* what the result is called (model/naming.h); NULL: after its parent */
    const char *base_model; /* the parent's name on the hub, "ORG/NAME"; NULL: told from the path */
    /* checkpoints only */
    bool count_aliases; /* add num_experts and n_experts to config.json */
    bool no_card;       /* leave README.md as it is */
};

struct prune_result {
    uint64_t bytes_in, bytes_out; /* of all files that hold weights */
    uint64_t bytes_mtp;           /* .. of which in the file of kept MTP blocks */
    uint64_t tensor_bytes;        /* of the model that goes out */
    uint64_t bytes_missing;       /* on the disk, after a dry run; else that is an error */
    uint64_t tensors_cut, tensors_kept, tensors_gone; /* cut along the experts; unchanged; left out */
    uint32_t n_files;
    char **
        files; /* written, or to be written, that of the MTP blocks last; owned by the caller: prune_result_clear */
    double secs;
};

/* What a card is made of. */
struct prune_card {
    const struct view *parent;
    const struct plan *plan;
    const struct prune_opts *opts;
    const char *file;                   /* a GGUF file that it lies beside; NULL: it is of a folder */
    uint64_t bytes_after;               /* of the tensors */
    const struct card_results *results; /* what was measured; NULL: nothing */
};
/* Adds the card; readme: the text that becomes it, of the file `path`, or NULL. */
void prune_card_text(struct buf *b, const struct prune_card *card, const char *path, const char *readme);
/* Writes the card of a model that was pruned: README.md in its folder, or beside the file, with what is there kept
 * but for our section. A folder that holds another README.md is refused, unless it may be changed (opts.force).
 * Nothing where there is to be no card. The path of the card in *path, owned by the caller; NULL: none. */
bool prune_card_write(const struct prune_card *card, char **path, struct err *e);
/* Refuses what prune_card_write would. */
bool prune_card_check(const struct prune_opts *o, const char *file, struct err *e);

struct verify_result;
struct verify_of;
/* What a format (model/format.h) brings for pruning. */
struct prune_ops {
    /* The options fit the format. */
    bool (*check_opts)(const struct view *v, const struct prune_opts *o, struct err *e);
    /* See prune_file_names. */
    char **(*file_names)(const struct view *v, const char *out, const struct prune_opts *o, uint32_t *n);
    /* A file, and not a folder that has its card within. */
    bool is_file;
    /* The licence that the model's header names; NULL: none. Caller frees. */
    char *(*license)(const struct view *v);
    /* Refuses an output that is there and may not be replaced. */
    bool (*check_output)(const char *path, bool force, struct err *e);
    /* Measures and, unless it is a dry run, writes. *r has its files and the counts of the cut. */
    bool (*write)(const struct cut *c, const struct prune_opts *o, struct prune_result *r, struct err *e);
    /* Compares what a model has besides tensors: keys, JSON files. */
    void (*verify)(const struct view *parent, const struct view *pruned, const struct verify_of *o,
                   struct verify_result *r);
};

/* Writes what a cut of the model by the plan is; whatever cannot be cut is refused (model/cut.h). */
bool prune_run(struct view *v, const struct plan *p, const struct prune_opts *o, struct prune_result *r,
               struct err *e);
/* The names of the files that prune_run writes for `out` (in the place of o->out): n of them, in an array of strings that
 * the caller frees; one, unless a GGUF model is split and not merged, and one more of kept MTP blocks. Of a checkpoint it is the
 * folder. */
char **prune_file_names(const struct view *v, const char *out, const struct prune_opts *o, uint32_t *n);
void prune_result_clear(struct prune_result *r);
/* None of those files is `in`, which is the `what`; in NULL: fine. False with *e set (ERR_INPUT). */
bool prune_check_apart(const struct view *v, const struct prune_opts *o, const char *in, const char *what,
                       struct err *e);

struct verify_result {
    uint64_t tensors_cut, tensors_same, keys_same, bytes; /* compared and equal */
    uint64_t n_gains;                                     /* layers that are scaled by the plan's gain */
    uint64_t n_diff;                                      /* differences found */
    json_t *diff;                                         /* the first 20, as strings; owned */
    struct plan *found; /* without a plan: which experts were kept; owned, NULL if they could not be told */
};

/* Compares a pruned model with its parent: every tensor, every kept expert, every key, or what is in the JSON
 * files of a checkpoint; the scales of p->gain, by what they should be. p NULL: finds the kept experts by their
 * bytes. name: what the result is called; NULL: as its parent, or as prune names it by itself. A file of MTP blocks
 * alone (view_open_any) is the parent's part whole, whatever p and name say. True when the check
 * could be made (n_diff says what it gave); false with *e set when a file cannot be read. */
bool verify_run(struct view *parent, struct view *pruned, const struct plan *p, const char *name,
                struct verify_result *r, struct err *e);
void verify_result_clear(struct verify_result *r);

/* ---- between the files of prune ---- */
extern const struct prune_ops prune_gguf_ops, prune_hf_ops;
/* Writes the tensors of a file of the cut behind what was written, each padded to a multiple of `alignment`; *done: bytes of
 * tensors so far, for the progress. */
bool prune_copy(struct out *out, const struct cut *c, const struct cut_file *file, uint64_t alignment,
                struct progress *progress, uint64_t *done, struct err *e);
/* Refuses an output for which there is no room; of a dry run it is said in the result. */
bool prune_check_space(const struct prune_opts *o, struct prune_result *r, struct err *e);
struct verify_of {
    const struct plan *plan; /* given or found; NULL: not known */
    const char *name;        /* as verify_run has it */
    bool dropped;            /* the MTP blocks are gone */
    bool alone;              /* all other blocks are */
};
void verify_gguf(const struct view *parent, const struct view *pruned, const struct verify_of *o,
                 struct verify_result *r);
void verify_hf(const struct view *parent, const struct view *pruned, const struct verify_of *o,
               struct verify_result *r);
/* One more difference. */
void verify_differ(struct verify_result *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
