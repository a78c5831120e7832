/* watch.h - machines that do not answer. The engine waits for an RPC server without limit, in the middle of a call of ours, and what a
 * call left to be done is waited for in a later one, whichever that is: nothing unwinds from there. A thread looks at whom this
 * process waits for, as long as it is there; it says which server has been silent for some time, once for each time that it falls
 * silent, and lets a signal end the program meanwhile. */
#ifndef REAP_ENGINE_WATCH_H
#define REAP_ENGINE_WATCH_H

#include <stdint.h>

struct watch;
/* The one of this process: two would say everything twice. From one thread. servers: "host:port,...", as long as any engine has the
 * watch; NULL: there is no thread for it, and the engine waits as it does by itself. */
struct watch *watch_join(const char *servers, int64_t seconds);
void watch_leave(struct watch *w); /* NULL: nothing, as below */
/* Around what makes connections: signals are our thread's meanwhile, and never those that the engine makes. One would interrupt
 * its receiving, which it takes for a server that is lost. They do not nest. */
void watch_hold(struct watch *w);
void watch_release(struct watch *w);

#endif
