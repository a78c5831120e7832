/* sweeping.h - what the tests of src/sweep/ share: a model, statistics of it, texts, and a process of its own
 * for what is interrupted. */
#ifndef REAP_TESTS_SWEEPING_H
#define REAP_TESTS_SWEEPING_H

#include <stdint.h>

#define MODEL    TEST_DATA_DIR "/families/olmoe/model.gguf" /* 2 layers of 16 experts, 4 per token */
#define N_LAYERS 2
#define N_EXPERT 16

int sweeping_setup(void **state); /* a folder (tempdir.h) with "stats.json", "a.txt" and "b.txt" */

/* What fn makes of arg, as exit status, in a process with handlers for signals. */
int sweeping_apart(int (*fn)(void *arg), void *arg);

#endif
