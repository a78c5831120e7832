/* uncaught.h - exceptions of C++ that nobody catches: the engine throws, and its C interface lets some through. */
#ifndef REAP_ENGINE_UNCAUGHT_H
#define REAP_ENGINE_UNCAUGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct llama_vocab;

#ifdef __cplusplus
extern "C" {
#endif

/* They end the program as a crash does (sig_die), with what the exception says. Whoever calls this, or links it: it is
 * done before the engine's own objects are made, which may run out of memory, too. */
void uncaught_install(void);

/* llama_tokenize; INT32_MIN and its words in `why` when it throws, which it does where the vocabulary lacks what the
 * text needs (a byte of SentencePiece) or contradicts itself (the table of characters of t5). */
int32_t uncaught_tokenize(const struct llama_vocab *v, const char *s, int32_t n, int32_t *ids, int32_t cap,
                          bool add_special, bool parse_special, char *why, size_t n_why);

/* Throws out of a callback of the engine that has no other way to end what calls it. The C functions in between are
 * compiled with -fexceptions (CMakeLists.txt) and hold nothing. */
__attribute__((noreturn)) void uncaught_stop(void);

#ifdef __cplusplus
}
#endif

#endif
