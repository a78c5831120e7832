/* reap.h - libreap: the experts of mixture-of-experts models counted, chosen, and cut out of the files.
 *
 *   model   a GGUF file (or the first of several) or a Hugging Face checkpoint folder, seen as layers x experts
 *   stats   what `reap profile` measured of each expert, and the scores that criteria make of it
 *   plan    which experts stay in each layer
 *
 * A plan is made from statistics or from scores of your own, and applied to a model by reap_prune, which copies the bytes that stay.
 * Nothing here runs a model. What the files are: docs/formats.md; what the scores are: docs/score.md.
 *
 * Errors. A function that can fail returns NULL, or an int that is REAP_OK (0) or the code of the error. `error` may be NULL;
 * else it is filled: its code, and one line that names the file, what was found and what was expected (in valid UTF-8, without
 * characters that drive a terminal). It is REAP_OK and "" after success. Messages speak of the options of the program `reap`;
 * the members here are called as they are. No argument may be NULL but those of which it is said.
 *
 * Outputs appear complete or not at all: an error or a cancelled call leaves what was there as it was. Kill -9 may leave a file or
 * folder NAME.reap-part, which the next call with this output takes over.
 *
 * Ownership. What a function returns is freed by the function named there; strings and arrays in an object live as long as the
 * object. Inputs are only borrowed for the time of the call, but what is said otherwise.
 *
 * Threads. An object may be used by one thread at a time, different objects by different threads at once. reap_listen is of a
 * thread, reap_set_last_words of the process.
 *
 * The process. The library prints nothing, handles no signals, reads no variables of the environment, does not depend on the
 * locale, and keeps nothing but what you hold. A file may be larger than RLIMIT_FSIZE allows: then SIGXFSZ comes, unless it is
 * ignored, when it is an error. A checkpoint needs a descriptor for each of its files (RLIMIT_NOFILE). It ends the process in two
 * cases, see reap_set_last_words.
 *
 * Versions. Structs that you fill begin with their size, set by REAP_INIT, which makes all else 0: the defaults. Later versions add
 * members at the end. Until 1.0 a new minor version may change what is here. */
#ifndef REAP_H
#define REAP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REAP_VERSION_MAJOR 0
#define REAP_VERSION_MINOR 1
#define REAP_VERSION_PATCH 0

#if defined __GNUC__
#define REAP_API __attribute__((visibility("default")))
#else
#define REAP_API
#endif

/* A struct before it is filled or given: REAP_INIT(&options). */
#define REAP_INIT(p) (memset((p), 0, sizeof *(p)), (void)((p)->size = sizeof *(p)))

/* Of the library that is loaded: "0.1.0". */
REAP_API const char *reap_version(void);

/* ---- errors, and what is heard meanwhile ---- */

/* As the exit status of `reap`. */
enum reap_code {
    REAP_OK = 0,
    REAP_FAILED = 1,    /* disk, memory */
    REAP_BAD_INPUT = 2, /* a file or an argument */
    REAP_DIFFERS = 3,   /* reap_verify: a check did not hold */
    REAP_CANCELLED = 130
};

typedef struct reap_error {
    int code; /* enum reap_code */
    char message[1024];
} reap_error;

enum reap_message { REAP_NOTE, REAP_WARNING };

typedef struct reap_listener {
    size_t size;
    void *user; /* given to both; NULL is fine */
    /* One line, made safe as the messages of errors are; it lives as long as the call. NULL: nobody. */
    void (*message)(void *user, enum reap_message kind, const char *text);
    /* Called often, from the loops of the work: done of total bytes of `what` ("pruning", "verifying"), or 0 of 0 and "" while there
     * is nothing to count. Anything but 0 cancels the call, which ends with REAP_CANCELLED and leaves nothing behind; where its
     * work is done already, it succeeds. NULL: nobody, nothing is cancelled. */
    int (*progress)(void *user, const char *what, uint64_t done, uint64_t total);
} reap_listener;

/* Who hears the calls of this thread from now on; copied. NULL: nobody, as at the start. The functions of a listener may not call
 * the library, but for reap_version, nor throw. */
REAP_API void reap_listen(const reap_listener *listener);

/* Two things cannot come back as an error: memory is gone for a small thing (what a file asks for is an error), and an invariant of
 * the library does not hold (a bug). Then unfinished outputs of all threads are removed, `say` is called with the reason, and
 * the process is aborted; `say` must not return by longjmp or an exception. NULL, as at the start: nothing is called. */
REAP_API void reap_set_last_words(void (*say)(const char *reason));
/* Removes the unfinished outputs of all threads; for a handler of signals that then ends the process (async-signal-safe). */
REAP_API void reap_remove_unfinished(void);

/* ---- models ---- */

typedef struct reap_model reap_model;

typedef struct reap_model_info {
    size_t size;
    const char *name;                 /* general.name, or that of the file or folder */
    const char *format;               /* "a GGUF file", "a checkpoint folder" */
    const char *architecture;         /* of the family, as the engine calls it: "qwen3moe" */
    const char *class_name;           /* of a checkpoint: "Qwen3MoeForCausalLM"; NULL: it has none */
    const char *quant_method;         /* of a checkpoint that says how it is quantised; NULL */
    const char *refusal;              /* why it cannot be pruned although it can be read; NULL: it can */
    uint32_t n_layers;                /* with experts, MTP blocks not counted */
    uint32_t n_experts, n_used;       /* in each of them; routed to at once (the most, where layers differ) */
    uint32_t n_groups, n_groups_used; /* of experts, as the router sees them; 1: none */
    uint32_t n_blocks, n_mtp;         /* all blocks; the last n_mtp of them predict further tokens */
    uint64_t bytes;                   /* of all tensors */
    uint64_t expert_bytes, router_bytes,
        shared_bytes; /* of what is cut; of that: routers; of shared experts, which stay */
    uint64_t n_params, expert_params, shared_params; /* weights; 0: not known, as they are packed */
} reap_model_info;

/* Reads and checks the headers; weights are not read. NULL with the error. A file of MTP blocks alone, which `reap prune --mtp keep`
 * writes beside a model, is one with n_layers 0 and a refusal: to look at, and to verify. */
REAP_API reap_model *reap_model_open(const char *path, reap_error *error);
REAP_API void reap_model_close(reap_model *model); /* NULL is fine */
REAP_API void reap_model_get_info(const reap_model *model, reap_model_info *info);
/* Layer i of n_layers: its block number and how many experts a token is routed to there (NULL is fine). */
REAP_API int reap_model_get_layer(const reap_model *model, uint32_t i, uint32_t *block, uint32_t *n_used,
                                  reap_error *error);
/* SHA-256 over the router weights, in hex, by which files recognise their model: the same for a model in different types. "" when the
 * routers are quantised. Reads the routers the first time. NULL with the error. */
REAP_API const char *reap_model_hash(reap_model *model, reap_error *error);
/* REAP_OK when n_keep experts can stay in each layer; else the message says why not, and which counts can. */
REAP_API int reap_model_can_keep(const reap_model *model, uint32_t n_keep, reap_error *error);
/* Bytes of all tensors when n_keep experts stay. (Exact, but for checkpoints whose experts differ in size; exact for a plan, and with
 * headers: reap_prune with dry_run.) */
REAP_API uint64_t reap_model_bytes_at(const reap_model *model, uint32_t n_keep);

/* ---- statistics ---- */

typedef struct reap_stats reap_stats;

typedef struct reap_stats_info {
    size_t size;
    const char *model_name;    /* of the model that was profiled; NULL: not said */
    const char *imported_from; /* the tool that it is from; NULL: of ours */
    uint32_t n_layers, n_experts;
    uint64_t n_tokens; /* that each layer saw (the first one, where an import differs) */
    int unfinished;    /* 1: of a profile that has not ended */
} reap_stats_info;

typedef struct reap_criterion {
    size_t size;
    const char *name, *formula, *what; /* "reap", "reap_sum / count", the same in words */
    int has_scores;                    /* 0: it chooses sets, and has no score of an expert */
} reap_criterion;

REAP_API reap_stats *reap_stats_open(const char *path, reap_error *error); /* NULL with the error */
REAP_API void reap_stats_close(reap_stats *stats);                         /* NULL is fine */
REAP_API void reap_stats_get_info(const reap_stats *stats, reap_stats_info *info);
/* Layer i of n_layers: its block number (NULL is fine), and how many tokens went to each expert: counts[n_experts] (NULL is fine). */
REAP_API int reap_stats_get_layer(const reap_stats *stats, uint32_t i, uint32_t *block, uint64_t *counts,
                                  reap_error *error);
/* Criterion i, from 0 (the default), in a table that is the same for all files; REAP_BAD_INPUT behind the last. */
REAP_API int reap_get_criterion(uint32_t i, reap_criterion *criterion);
/* scores[n_experts] of layer i, higher: keep. criterion NULL: the default. seed: of the criterion "random". */
REAP_API int reap_stats_get_scores(const reap_stats *stats, uint32_t i, const char *criterion, uint64_t seed,
                                   double *scores, reap_error *error);
/* Whether they are of this model. */
REAP_API int reap_stats_check(const reap_stats *stats, reap_model *model, reap_error *error);
/* Adds up n files of one model, n above 0: shards of one run (all of them), or runs over different texts. force: 1: options that
 * change last digits may differ. To be closed. NULL with the error. */
REAP_API reap_stats *reap_stats_merge(const reap_stats *const *stats, uint32_t n, int force,
                                      reap_error *error);
/* force: 1: replaces a file. With sums over pairs of experts a second file, PATH.pairs, or none of both. */
REAP_API int reap_stats_save(const reap_stats *stats, const char *path, int force, reap_error *error);

/* ---- plans ---- */

typedef struct reap_plan reap_plan;

/* An expert by its place. */
typedef struct reap_expert {
    uint32_t block, expert;
} reap_expert;

typedef struct reap_plan_options {
    size_t size;
    /* How many stay, exactly one of these (the others 0): experts in each layer; a share of them that stays; a share that goes; the
     * bytes that the tensors may have. Shares are above 0 and below 1, and never more goes than was asked for. */
    uint32_t keep;
    double keep_ratio, prune_ratio;
    uint64_t fit;
    uint32_t round_to;     /* the count becomes a multiple of it; 0: it does not */
    const char *criterion; /* NULL: the default */
    uint64_t seed;         /* of the criterion "random" */
    int force;             /* 1: statistics of another model with the same layers are a warning */
    int maxmin; /* of several statistics: 1: the set whose worst source keeps most; 0: the mean by weight */
    int protect_super;          /* 1: experts with extreme activations stay */
    double protect_share;       /* of each source the best of this share of the places stay; 0: nobody */
    const reap_expert *protect; /* n_protect that stay in any case; NULL: none */
    size_t n_protect;
} reap_plan_options;

typedef struct reap_plan_info {
    size_t size;
    uint32_t n_layers, n_keep;
    uint32_t n_experts;    /* of the model; 0: not said */
    const char *criterion; /* NULL: not said */
} reap_plan_info;

/* From n statistics of one model, n above 0. weights[n], above 0; NULL: equal. model: the one that will be pruned, checked now; NULL:
 * the counts in the statistics decide, and `fit` is an error. In each layer those of the highest score stay, ties go to the lower
 * number; where the router works by groups, equally many of each. NULL with the error. */
REAP_API reap_plan *reap_plan_make(const reap_stats *const *stats, const double *weights, uint32_t n,
                                   reap_model *model, const reap_plan_options *options, reap_error *error);
/* From scores of your own: scores[n_layers * n_experts], layer by layer, higher: keep; not NaN. INFINITY: stays in any case. Of the
 * options those of how many, and protect. NULL with the error. */
REAP_API reap_plan *reap_plan_from_scores(reap_model *model, const double *scores,
                                          const reap_plan_options *options, reap_error *error);
/* From a choice of your own: keep[n_layers * n_keep], layer by layer, n_keep different experts each, in any order. NULL with the error. */
REAP_API reap_plan *reap_plan_from_keep(reap_model *model, const uint32_t *keep, uint32_t n_keep,
                                        reap_error *error);
REAP_API reap_plan *reap_plan_open(const char *path, reap_error *error); /* NULL with the error */
REAP_API void reap_plan_close(reap_plan *plan);                          /* NULL is fine */
REAP_API int reap_plan_save(const reap_plan *plan, const char *path, int force, reap_error *error);
REAP_API void reap_plan_get_info(const reap_plan *plan, reap_plan_info *info);
/* Layer i of n_layers: its block number (NULL is fine) and who stays, n_keep experts, ascending. NULL with the error. */
REAP_API const uint32_t *reap_plan_get_layer(const reap_plan *plan, uint32_t i, uint32_t *block,
                                             reap_error *error);
/* Whether it is a plan of this model: its identity, its layers, its experts. force: 1: another identity is a warning. reap_prune and
 * reap_verify ask it themselves. */
REAP_API int reap_plan_check(const reap_plan *plan, reap_model *model, int force, reap_error *error);

/* ---- cutting ---- */

typedef struct reap_prune_options {
    size_t size;
    int force; /* 1: replaces an output (a folder only if it is one of ours); a plan of another model is a warning */
    int dry_run;  /* 1: checks and measures everything, writes nothing */
    int drop_mtp; /* 1: leaves the blocks out that predict further tokens, instead of cutting them */
    int merge;    /* 1: several files become one */
    int card; /* of a GGUF file, 1: a model card, README.md, beside it; a checkpoint has one unless no_card */
    int no_card, no_provenance, count_aliases; /* as the options of `reap prune` */
    uint64_t max_shard;     /* of a checkpoint: bytes of tensors in a file; 0: files like the input's */
    const char *name;       /* what the result is called; NULL: after its parent, with -REAP-24x */
    const char *base_model; /* the parent's name on the hub, "ORG/NAME"; NULL: told from the path */
    /* Of a GGUF file, 1: the blocks that predict further tokens go, with all their experts, into a file of their own, mtp-NAME
     * beside the output. Not with drop_mtp. */
    int keep_mtp;
} reap_prune_options;

/* Filled by the library; freed by reap_prune_result_clear, which is needed after success alone. */
typedef struct reap_prune_result {
    size_t size;
    uint64_t bytes_in, bytes_out; /* of the files that hold weights */
    uint64_t tensor_bytes;        /* of what goes out */
    uint64_t bytes_missing;       /* dry_run: on the disk; else that is an error */
    uint64_t tensors_cut, tensors_same, tensors_gone;
    uint32_t n_files;
    char **files; /* that were, or would be, written, that of keep_mtp last; of a checkpoint the folder */
} reap_prune_result;

/* Writes the model without the experts that the plan drops; the same bytes as `reap prune` writes. out: a GGUF file, or a folder for a
 * checkpoint. options NULL: the defaults. result may be NULL. Memory is that of the headers. */
REAP_API int reap_prune(reap_model *model, const reap_plan *plan, const char *out,
                        const reap_prune_options *options, reap_prune_result *result, reap_error *error);
REAP_API void reap_prune_result_clear(reap_prune_result *result);

/* Filled by the library; freed by reap_verify_result_clear. */
typedef struct reap_verify_result {
    size_t size;
    uint64_t tensors_cut, tensors_same, keys_same, bytes; /* compared and equal */
    uint64_t n_differences;
    uint32_t n_said;
    char **said;      /* the first of them, in words */
    reap_plan *found; /* without a plan: who was kept, by the bytes; NULL: it cannot be told */
} reap_verify_result;

/* Compares every tensor, every expert that stays, every key or JSON file of a pruned model with its parent. plan NULL: the kept experts
 * are found by their bytes. name: what the result was called; NULL: as reap_prune does by itself. (Of a file of MTP blocks alone both do
 * not matter, and no plan is found.) REAP_DIFFERS when something
 * differs; the result (NULL is fine) is filled then as well. */
REAP_API int reap_verify(reap_model *parent, reap_model *pruned, const reap_plan *plan, const char *name,
                         reap_verify_result *result, reap_error *error);
REAP_API void reap_verify_result_clear(reap_verify_result *result);

#ifdef __cplusplus
}
#endif

#endif
