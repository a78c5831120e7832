/* load.h - a model on its way into the engine, whatever its files. */
#ifndef REAP_CONVERT_LOAD_H
#define REAP_CONVERT_LOAD_H

#include "convert/convert.h"
#include "engine/engine.h"
#include "model/view.h"

/* How a checkpoint is converted for the engine: types made by the engine's own code. */
struct convert_opts load_convert_opts(const struct engine_opts *o);

/* Refuses a GGUF model at which the engine would end the process (model/runs.h, tokenizer/vocab.h): for who
 * hands the file to the engine in another way than load_engine. False with *e set. */
bool load_check(const struct view *v, struct err *e);
/* The same of what a conversion makes. path: what was converted, for messages. */
bool load_check_image(const struct image *im, const char *path, struct err *e);

/* Loads the model of a view: a GGUF file by its path, a checkpoint folder by converting it while it is read
 * (convert.h), without a file in between; o->type and o->pretokenizer say how. What the conversion makes is
 * checked as a GGUF file is, because the engine aborts on some broken ones. NULL with *e set. */
struct engine *load_engine(const struct view *v, const struct engine_opts *o, struct err *e);

#endif
