/* advice.c - see advice.h. */
#include "model/advice.h"

#include <math.h>
#include <strings.h>

/* Per weight, over all tensors. */
static double bits_of(const struct view *v)
{
    return v->n_params ? (double)v->bytes * 8 / (double)v->n_params : (double)NAN;
}

bool advice_quantise(const struct view *v, uint32_t n_keep, struct buf *b)
{
    double cut = 1 - (double)n_keep / v->shape.n_experts, bits = bits_of(v);
    if (!(cut > ADVICE_CUT) || !(bits > ADVICE_BITS))
        return false;
    buf_fmt(
        b,
        "%.3g %% of the experts go from a file of %.3g bits a weight, where a smaller type mostly loses less "
        "than pruning to the same size",
        100 * cut, bits);
    return true;
}

const struct view_tensor *advice_quantised(const struct view *v)
{
    for (uint64_t i = 0; i < v->n_tensors; i++) {
        const struct view_tensor *t = &v->tensors[i];
        if (view_has_experts(t) && t->n_dims > 2 && strcasecmp(t->type, "f32") != 0 &&
            strcasecmp(t->type, "f16") != 0 && strcasecmp(t->type, "bf16") != 0)
            return t;
    }
    return NULL;
}

void advice_types(const struct view *v, struct buf *b)
{
    /* about the bits a weight of each mixture (model/estimate.c) */
    static const struct {
        const char *name;
        double bits;
    } types[] = {{"q8_0", 8.5}, {"q6_k", 6.57}, {"q5_k_m", 5.7}, {"q4_k_m", 4.85}, {"q3_k_m", 3.9}};
    double bits = bits_of(v);
    const char *sep = "--types ";
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].bits < bits * 0.97 || i + 1 == sizeof types / sizeof *types) {
            buf_fmt(b, "%s%s", sep, types[i].name);
            sep = ",";
        }
    if (advice_quantised(v))
        buf_str(b, " --allow-requantize");
}
