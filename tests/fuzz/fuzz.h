/* fuzz.h - what the fuzz targets share: a property that must hold for every input. */
#ifndef REAP_TESTS_FUZZ_H
#define REAP_TESTS_FUZZ_H

#include "base/err.h"

#define MUST(cond)                  \
    do {                            \
        if (!(cond))                \
            BUG("fuzz: %s", #cond); \
    } while (0)

#endif
