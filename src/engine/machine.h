/* machine.h - what the engine finds on this machine, and whether a model fits. Part of libllama's side of the fence: tests with
 * a fake engine have engine_foresee alone. */
#ifndef REAP_ENGINE_MACHINE_H
#define REAP_ENGINE_MACHINE_H

#include "base/buf.h"
#include "base/memory.h"
#include "engine/engine.h"

struct engine_device {
    char name[48];        /* "CUDA0", as --device takes it */
    char description[96]; /* of its maker */
    bool offload;         /* layers can be given to it: a GPU, with its own memory or the host's */
    uint64_t free, total; /* bytes of its memory; 0: it does not say */
};
/* Device i, false behind the last. */
bool engine_device(uint32_t i, struct engine_device *d);
bool engine_offloads(void); /* built with a backend for GPUs, whether there is one or not */
/* The names of backends, and of the instructions that the code for the CPU uses, separated by blanks. */
void engine_backends(struct buf *b);
void engine_cpu_features(struct buf *b);

/* Whether so many bytes of weights fit into what this process may have (*m) and GPUs have free (*there). True where that is not
 * known. */
bool machine_fits(uint64_t bytes, const struct engine_opts *o, struct memory *m, uint64_t *there);
bool machine_maps(const struct engine_opts *o); /* the load mode is one that maps the file */

/* Before a model of so many bytes of weights is loaded: warns of what the options ask for in vain, and of memory that is not
 * there. False with *e set where that would end the process: all of the weights become memory (`whole`), and no load mode was
 * asked for. */
bool engine_foresee(const char *path, uint64_t bytes, bool whole, const struct engine_opts *o, struct err *e);

#endif
