/* engine_fake.h - engine.h without libllama, for tests of what stands on it: a small, deterministic engine.
 *
 * A model is a file that view_open takes: layers, experts and top-k are those of its header, its weights are
 * not read. A text is one token per byte. Which experts a token goes to, with which gate and norms, depends
 * on (layer, token, position) alone; logits depend on (token, position) and on what a mask took away: the
 * more `worth` is gone, the farther they are from those of the whole model. Both can be scripted.
 *
 * It holds its callers to the contract of engine.h: batches that fit, sequences that go on where they were,
 * no more of them and no more tokens than engine_start was told. A breach ends the test. */
#ifndef REAP_TESTS_ENGINE_FAKE_H
#define REAP_TESTS_ENGINE_FAKE_H

#include "engine/engine.h"

#define FAKE_BOS   256
#define FAKE_VOCAB 257

struct fake_engine {
    /* ---- what it is: set before engine_open ---- */
    int32_t bos; /* FAKE_BOS, or -1: no token comes first */
    uint32_t n_ctx_train;
    bool has_state;
    bool no_template; /* of chats */
    const char *day;  /* YYYY-MM-DD that the chat template writes; NULL: it writes none */

    /* ---- what it does ---- */
    /* The k rows of a token at a layer; NULL: by a hash, k different experts. */
    void (*route)(uint32_t il, int32_t token, uint32_t pos, uint32_t n_experts, uint32_t k,
                  struct routed *rows);
    /* How far the logits go when this expert is masked; NULL: 0.01 each. */
    double (*worth)(uint32_t il, uint32_t expert);
    /* .. and how much farther or nearer at each place, one standard deviation, of each expert by itself. */
    double noise;
    uint64_t fail_at;                                /* the decode that fails, from 1; 0: none */
    uint64_t interrupt_at;                           /* the decode during which SIGINT comes; 0: none */
    uint64_t fail_quantize;                          /* the quantisation that fails, from 1; 0: none */
    void (*on_decode)(const struct engine_batch *b); /* looks on; NULL: nobody */

    /* ---- what was done ---- */
    uint64_t n_open, n_start, n_clear, n_decode, n_tokens, n_quantize, n_fork;
    char made[4096]; /* the last quantised file */
    double coarse;   /* what its type costs */
};
extern struct fake_engine fake;

void fake_reset(void); /* a fake with a BOS token, trained for 4096 tokens, that has done nothing */

#endif
