/* profile.h - running calibration text through a model and adding up what each expert does. */
#ifndef REAP_PROFILE_PROFILE_H
#define REAP_PROFILE_PROFILE_H

#include "corpus/corpus.h"
#include "engine/engine.h"
#include "stats/summary.h"

/* If nobody says otherwise: tokens of a window, seconds between saves. */
#define PROFILE_CTX        2048
#define PROFILE_SAVE_EVERY 300

/* Whether sums over pairs of experts are kept: all that are not too large, or as one says. */
enum profile_pairs { PAIRS_AUTO, PAIRS_ON, PAIRS_OFF };
#define PROFILE_PAIRS     "auto"
#define PROFILE_PAIRS_MAX (256ull << 20)        /* bytes, to be kept by themselves */
extern const char *const profile_pairs_words[]; /* of enum profile_pairs, ended by NULL */

struct profile_opts {
    const char *model;
    struct corpus_opts corpus;
    struct engine_opts engine;
    uint32_t n_ctx;  /* window size */
    uint32_t n_seqs; /* windows in a batch, at most; 0: chosen */
    bool separate_streams;
    uint32_t shard, n_shards; /* shard 1 to n_shards: every n_shards-th batch from there; n_shards 0: all */
    const char *out;          /* stats file */
    const char *imatrix;      /* an importance matrix, of the same decodes; NULL: none */
    bool force, resume;
    enum profile_pairs pairs;
    /* Share of the experts that will go: stop when the choice has settled; 0: run all text. */
    double until_stable;
    double save_every; /* seconds between saves of the unfinished file; 0: only when interrupted */
};

struct profile_result { /* for the last line and for --json */
    uint64_t n_samples; /* of the whole run; the others are of the shard, if it is one */
    uint64_t n_tokens, n_windows, n_batches;
    uint64_t done_before; /* tokens that a resumed file already held */
    double secs;          /* of decoding */
    bool already_done;
    uint64_t n_weights, matrix_bytes;      /* of the importance matrix: how many weights, bytes of memory */
    struct halves settled;                 /* at which --until-stable stopped; 0: it did not */
    uint32_t n_layers, n_experts, n_never; /* n_never: expert-layer pairs without a token */
};

/* The whole run: checks, loads, observes, writes o->out. An interrupted run leaves a usable o->out marked as
 * unfinished, and returns ERR_INTERRUPTED; the same call with resume goes on and ends with the same bytes as
 * a run that was not interrupted. */
bool profile_run(const struct profile_opts *o, struct profile_result *r, struct err *e);
/* The warnings of the run that a file is of, for whoever did not run it now. */
void profile_warn(const struct stats *s);

#endif
