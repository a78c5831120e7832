/* watch.h - machines that do not answer. The engine waits for an RPC server without limit, in the middle of a call of ours: nothing
 * unwinds from there. A thread looks at whom this process waits for; it says which server has been silent for some time, once for
 * each time that it falls silent, and lets a signal end the program meanwhile. */
#ifndef REAP_ENGINE_WATCH_H
#define REAP_ENGINE_WATCH_H

#include <stdint.h>

struct watch;
/* servers: "host:port,..."; borrowed. */
struct watch *watch_new(const char *servers, int64_t seconds);
void watch_free(struct watch *w); /* NULL: nothing, as below */
/* Around each call of the engine that may wait. They do not nest. */
void watch_begin(struct watch *w);
void watch_end(struct watch *w);

#endif
