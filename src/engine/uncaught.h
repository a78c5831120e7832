/* uncaught.h - exceptions of C++ that nobody catches: the engine throws, and its C interface lets some through. */
#ifndef REAP_ENGINE_UNCAUGHT_H
#define REAP_ENGINE_UNCAUGHT_H

#ifdef __cplusplus
extern "C" {
#endif

/* Calls fn, which does not return, with what the exception says. */
void uncaught_to(void (*fn)(const char *what));

#ifdef __cplusplus
}
#endif

#endif
