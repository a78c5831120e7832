/* view_hf.h - a checkpoint folder behind a view: for the code of this format alone. */
#ifndef REAP_MODEL_VIEW_HF_H
#define REAP_MODEL_VIEW_HF_H

#include "hf/checkpoint.h"
#include "model/view.h"

extern const struct view_ops view_hf_ops;

/* The folder of a view of this format. Tensor i of the view is its tensor i. */
const struct hf_checkpoint *view_hf(const struct view *v);

#endif
