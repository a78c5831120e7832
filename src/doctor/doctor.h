/* doctor.h - what this machine and this build make of a job, before it is begun: engine, devices, instructions, memory, disk,
 * and with a model whether it can be run and cut here, what would be slow, and what to do. Writes nothing. */
#ifndef REAP_DOCTOR_DOCTOR_H
#define REAP_DOCTOR_DOCTOR_H

#include "base/buf.h"
#include "base/json.h"
#include "engine/engine.h"

/* A new object (docs/commands/doctor.md). model: NULL for the machine alone. *n_fails: what would fail. A model that
 * cannot be opened is one of these, not an error. */
json_t *doctor_look(const char *model, const struct engine_opts *o, uint32_t *n_fails);
/* The same for people. */
void doctor_text(const json_t *o, struct buf *b);

/* ---- between the files of doctor ---- */
/* Instructions that the CPU has and the code of the engine does not use: names of the engine, separated by blanks.
 * cpuinfo: the text of /proc/cpuinfo; used: as engine_cpu_features. */
void doctor_cpu_lacks(const char *cpuinfo, const char *used, struct buf *b);

#endif
