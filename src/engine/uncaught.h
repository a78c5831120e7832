/* uncaught.h - exceptions of C++ that nobody catches: the engine throws, and its C interface lets some through. */
#ifndef REAP_ENGINE_UNCAUGHT_H
#define REAP_ENGINE_UNCAUGHT_H

#ifdef __cplusplus
extern "C" {
#endif

/* They end the program as a crash does (sig_die), with what the exception says. Whoever calls this, or links it: it is
 * done before the engine's own objects are made, which may run out of memory, too. */
void uncaught_install(void);

#ifdef __cplusplus
}
#endif

#endif
