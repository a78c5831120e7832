/* estimate.c - see estimate.h. */
#include "model/estimate.h"

/* Bits per weight, scales included. The two mixtures have half of ffn_down in q6_K and the rest of the
 * experts in q5_K or q4_K, as llama.cpp's quantiser does by default. */
static const struct {
    const char *name;
    double bits;
} types[] = {
    {"q8_0", 8.5},
    {"q6_K", 6.5625},
    {"q5_K_M", (5.5 + 5.5 + (5.5 + 6.5625) / 2) / 3},
    {"q4_K_M", (4.5 + 4.5 + (4.5 + 6.5625) / 2) / 3},
    {"mxfp4", 4.25},
};
#define N_TYPES (sizeof types / sizeof *types)

const char *estimate_type(uint32_t i)
{
    return i < N_TYPES ? types[i].name : NULL;
}

uint64_t estimate_bytes(const struct view *v, uint32_t n_keep, uint32_t i)
{
    double experts = (double)v->expert_params / v->shape.n_experts * n_keep * types[i].bits / 8;
    return v->bytes - v->expert_bytes + v->router_bytes / v->shape.n_experts * n_keep + (uint64_t)experts;
}
