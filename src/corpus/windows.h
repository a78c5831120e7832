/* windows.h - samples as the model sees them: token ids, cut into windows of the context size, packed into
 * batches.
 *
 * A sample longer than the context goes on in a next window, from position 0; nothing is thrown away. Windows
 * are packed several to a batch as sequences that do not see each other. A batch holds windows of one group
 * only (profile: of the even or of the odd samples), so that nobody needs to know which row of a compute step
 * belongs to which sample. The packing depends on the samples and the numbers below, on nothing else: the
 * same input gives the same batches. */
#ifndef REAP_CORPUS_WINDOWS_H
#define REAP_CORPUS_WINDOWS_H

#include "corpus/corpus.h"
#include "engine/engine.h"

struct window {
    const int32_t *tok; /* borrowed from its sample */
    uint32_t n;
    uint32_t sample; /* number of the sample */
    uint32_t at;     /* position of its first token in the sample */
};

struct window_batch { /* windows order[first .. first + n - 1] */
    uint32_t first, n;
    uint32_t n_tokens;
};

struct windows {
    int32_t **tokens; /* per sample, owned */
    uint32_t *n_tokens;
    uint32_t n_samples;
    uint64_t total;   /* tokens of all samples */
    uint32_t longest; /* window */
    struct window *list;
    uint32_t n;
    uint32_t *order; /* indices into list, as packed */
    struct window_batch *batches;
    uint32_t n_batches;
    uint32_t max_seqs; /* the most windows in one batch */
    bool separate;     /* each should have a memory of its own (windows_settle) */
    json_t *unused; /* what the chat template did not look at, see engine_chat; NULL: nothing was tokenised */
};

/* Token ids of all samples: text with the special tokens that the model adds, special tokens in it parsed;
 * messages through the chat template; rows of tokens as they are. Errors name file and line. Samples without
 * a token are an error, as chats that the template refuses. With c->skip_bad such samples are left out of the
 * corpus, with a warning. */
bool windows_tokenize(struct windows *w, struct corpus *c, const struct engine *g, struct err *e);
/* Takes over one array of tokens as a single sample (evaluation of a text). */
void windows_from_tokens(struct windows *w, int32_t *tok, uint32_t n);

/* The text of sample i as the model is given it, special tokens as they are written, at most `max` bytes of it,
 * whole characters. NUL becomes '?'. True: that is all of it. */
bool windows_text(const struct windows *w, uint32_t i, const struct engine *g, uint64_t max, struct buf *b);

/* Cuts into windows of at most n_ctx tokens. */
bool windows_cut(struct windows *w, uint32_t n_ctx, struct err *e);

/* Packs: at most n_batch tokens and n_seqs windows in a batch; a longer window is alone. n_groups 2: even and
 * odd samples apart. */
void windows_pack(struct windows *w, uint32_t n_batch, uint32_t n_seqs, uint32_t n_groups);
/* The same into compute steps of the engine, whose size is chosen before (engine_settle: r, usual). */
void windows_settle(struct windows *w, struct engine *g, const struct engine_run *r, uint32_t usual,
                    uint32_t n_seqs, uint32_t n_groups);
/* How often the engine passes over the weights for all of it in steps of so many tokens. separate: with a memory for each
 * sequence, where a pass takes as many tokens of each as the shortest has left. */
uint64_t windows_passes(const struct windows *w, uint32_t step, bool separate);

/* Decodes one batch from an empty memory, in compute steps of the engine's ubatch. After each step fn (may be
 * NULL) gets the tokens of the step: token i of the step is token at[i] of window win[i]. A batch is never
 * left in its middle because of a signal: whoever adds things up gets all of it or an error. */
typedef bool windows_step(void *ud, const struct windows *w, const uint32_t *win, const uint32_t *at,
                          uint32_t n, struct err *e);
bool windows_decode(const struct windows *w, uint32_t batch, struct engine *g, windows_step *fn, void *ud,
                    struct err *e);

void windows_clear(struct windows *w);

#endif
