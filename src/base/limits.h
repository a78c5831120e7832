/* limits.h - how large a model may be: the bounds that every reader of a file holds its numbers against,
 * before it makes tables of that size. */
#ifndef REAP_BASE_LIMITS_H
#define REAP_BASE_LIMITS_H

/* Far above any published model (a few hundred experts, some hundred layers), far below what would make a
 * table of experts x layers too large. */
#define LIMIT_EXPERTS 65536
#define LIMIT_LAYERS  4096

/* The engine ends the process at a model above these: LLAMA_MAX_EXPERTS and LLAMA_MAX_LAYERS of llama.cpp
 * v0.5.0 (src/llama-hparams.h). */
#define LIMIT_ENGINE_EXPERTS 1024
#define LIMIT_ENGINE_LAYERS  512

#endif
