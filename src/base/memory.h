/* memory.h - how much memory this process may have, as the kernel and control groups say. */
#ifndef REAP_BASE_MEMORY_H
#define REAP_BASE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct memory {
    uint64_t total,
        free;     /* bytes; free: what programs can get without swapping, page cache counted as free */
    bool limited; /* by a control group, not by the machine */
};

/* root: "" for this machine (tests have another). From /proc/meminfo (MemTotal, MemAvailable) and the limits of the
 * control group of this process and of those above it: memory.max of version 2, memory.limit_in_bytes of version 1; in use
 * is what the group says, less the page cache of files in it. False: /proc/meminfo does not say it. */
bool memory_look(const char *root, struct memory *m);

#endif
