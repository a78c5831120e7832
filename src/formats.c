/* formats.c - the table of formats (model/format.h): the one place that names them all.
 *
 * A path is of the first format that knows it. */
#include "model/format.h"
#include "model/view_gguf.h"
#include "model/view_hf.h"
#include "prune/prune.h"

const struct format formats[] = {
    {
        .name = "a GGUF file",
        .view = &view_gguf_ops,
        .prune = &prune_gguf_ops,
    },
    {
        .name = "a checkpoint folder",
        .converts = true,
        .view = &view_hf_ops,
        .prune = &prune_hf_ops,
    },
};
const uint32_t n_formats = sizeof formats / sizeof *formats;
