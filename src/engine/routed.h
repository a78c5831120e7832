/* routed.h - what the engine reports of one token at one expert, and of its router. */
#ifndef REAP_ENGINE_ROUTED_H
#define REAP_ENGINE_ROUTED_H

#include <stdint.h>

struct routed {
    int32_t expert;
    float gate, f_norm, c_norm, f_max; /* final weight g, ||f||2, ||c||2, max |f| */
    /* What the layer's routed output changes when this expert goes and the others of the token take its weight:
     * |g| ||f - m||2, m the mean of the others' outputs by their weights. (That is w/(1-w) ||f - c|| |sum of g|
     * with c the mean of all by w = g / sum of g, without the cancellation near w = 1.) Not a number where the
     * router is not ROUTER_RENORMALISED, or chooses one expert alone. */
    float loo;
};

/* How the final weights of the chosen experts come about. */
enum router {
    ROUTER_UNKNOWN,
    ROUTER_RENORMALISED, /* divided by their sum, or a softmax over the chosen alone; then scaled */
    ROUTER_SOFTMAX,      /* of a softmax over all experts, as they are but for a scale */
    ROUTER_UNNORMALISED, /* each of its own, as a sigmoid gives them */
    ROUTER_INPUT,        /* they multiply the expert's input, not its output */
};

#endif
