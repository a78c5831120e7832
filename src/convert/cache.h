/* cache.h - GGUF files made of checkpoint folders, kept for programs that read nothing else; and the place of others. */
#ifndef REAP_CONVERT_CACHE_H
#define REAP_CONVERT_CACHE_H

#include "engine/engine.h"

/* The GGUF file that stands for a model: the path itself, or for a checkpoint folder a file in the cache
 * ($REAP_CACHE, else $XDG_CACHE_HOME/reap, else ~/.cache/reap; below it converted/), which is made when it is
 * not there. Its name holds a hash over config.json, over size and time of every file that a conversion reads
 * (hf_stamp), and the type. o->type and o->pretokenizer as for load_engine. Caller frees; NULL with *e. */
char *convert_cached(const char *model, const struct engine_opts *o, struct err *e);

/* A path in a folder of the cache, which need not be there; caller frees. */
char *convert_cache_path(const char *folder, const char *name);

#endif
