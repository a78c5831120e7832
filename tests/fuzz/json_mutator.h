/* json_mutator.h - a target whose input holds JSON includes this, and gets the mutator of json_mutator.c when it is
 * built for libFuzzer (cmake/tests.cmake looks for the line). Stored inputs run without it. */
#ifndef REAP_TESTS_FUZZ_JSON_MUTATOR_H
#define REAP_TESTS_FUZZ_JSON_MUTATOR_H

#include <stddef.h>
#include <stdint.h>

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t na, const uint8_t *b, size_t nb, uint8_t *out,
                                 size_t max, unsigned seed);

#endif
