/* program.c - what a program of ours does with its process, and a library (src/lib/) may not: messages go to standard error, crashes
 * and the end of memory are its end. Linked into programs alone, the tests' included. */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"

/* From the start: objects of the engine are made before main, and may run out of memory. */
__attribute__((constructor(101))) static void begin(void)
{
    sig_own_process();
    json_set_alloc_funcs(xmalloc, free);
    log_listen_all(&log_terminal);
}
