/* threads.h - OpenMP where there is one: the engine's threads are ours then. Elsewhere loops run in one. */
#ifndef REAP_ENGINE_THREADS_H
#define REAP_ENGINE_THREADS_H

#ifdef _OPENMP
#include <omp.h>
#define THREAD ((size_t)omp_get_thread_num())
#else
#define THREAD ((size_t)0)
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#endif

#endif
