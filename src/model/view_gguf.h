/* view_gguf.h - GGUF files behind a view: for the code of this format alone. */
#ifndef REAP_MODEL_VIEW_GGUF_H
#define REAP_MODEL_VIEW_GGUF_H

#include "gguf/gguf_file.h"
#include "model/view.h"

extern const struct view_ops view_gguf_ops;

/* The files of a view of this format. Tensor i of the view is their tensor i. */
const struct gg_file *view_gguf(const struct view *v);

/* A view of the header of a GGUF file in memory (n bytes of a file of file_size, which stay the caller's), if
 * view_open would take it; NULL with *e set. */
struct view *view_of_header(const uint8_t *p, uint64_t n, uint64_t file_size, const char *path,
                            struct err *e);

#endif
