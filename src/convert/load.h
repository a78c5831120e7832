/* load.h - a model on its way into the engine, whatever its files. */
#ifndef REAP_CONVERT_LOAD_H
#define REAP_CONVERT_LOAD_H

#include "convert/convert.h"
#include "engine/engine.h"
#include "model/view.h"

/* How a checkpoint is converted for the engine: types made by the engine's own code. */
struct convert_opts load_convert_opts(const struct engine_opts *o);

/* Loads the model of a view: a GGUF file by its path, a checkpoint folder by converting it while it is read
 * (convert.h), without a file in between; o->type and o->pretokenizer say how. What the conversion makes is
 * checked as a GGUF file is, because the engine aborts on some broken ones. NULL with *e set. */
struct engine *load_engine(const struct view *v, const struct engine_opts *o, struct err *e);

#endif
