/* foreign.h - files that are given for a model and are something else, by the beginning of the file or by what a GGUF
 * file says of itself: what they are, and what to give instead. */
#ifndef REAP_MODEL_FOREIGN_H
#define REAP_MODEL_FOREIGN_H

#include "gguf/gguf_file.h"

/* Each: true when nothing is known against it. False: *e (ERR_INPUT) names the file and what it is, or it cannot be
 * read. */
bool foreign_file(const char *path, struct err *e);
/* The caller puts the path in front. */
bool foreign_gguf(const struct gg_file *f, struct err *e);
/* Both, of a path whose other faults are somebody else's to find (a folder, a file that is no GGUF file at all). */
bool foreign_model(const char *path, struct err *e);

#endif
