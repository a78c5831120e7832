/* safetensors_mutator.h - the mutator of the target of safetensors headers (safetensors_mutator.c), when it is built
 * for libFuzzer (cmake/tests.cmake looks for the line). Stored inputs run without it. */
#ifndef REAP_TESTS_FUZZ_SAFETENSORS_MUTATOR_H
#define REAP_TESTS_FUZZ_SAFETENSORS_MUTATOR_H

#include <stddef.h>
#include <stdint.h>

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

#endif
