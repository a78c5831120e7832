/* foreign.h - files beside texts and rows: data in formats that are not read, each with the command that makes
 * rows of it, and what a data set has besides its data. */
#ifndef REAP_CORPUS_FOREIGN_H
#define REAP_CORPUS_FOREIGN_H

#include "base/err.h"
#include <stddef.h>

/* Refuses a file that is known, by its first n bytes or by its name, to hold data in another format. */
bool foreign_check(const char *path, const char *head, size_t n, struct err *e);
/* A file about a data set, of the name that it has in a folder of one. about_text: what people may have
 * written, no text only where rows are. */
bool foreign_is_about(const char *name, bool *about_text);

#endif
