/* routed.h - what the engine reports of one token at one expert. */
#ifndef REAP_ENGINE_ROUTED_H
#define REAP_ENGINE_ROUTED_H

#include <stdint.h>

struct routed {
    int32_t expert;
    float gate, f_norm, c_norm, f_max; /* final weight g, ||f||2, ||c||2, max |f| */
};

#endif
