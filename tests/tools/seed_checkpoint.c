/* seed_checkpoint.c - writes the weights of a table (tests/unit/seed.h), for the scripts.
 *
 *   seed_checkpoint TABLE OUT.safetensors [SEED] */
#include "seed.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct err e = {0};
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: seed_checkpoint TABLE OUT.safetensors [SEED]\n");
        return 2;
    }
    if (seed_write(argv[1], argc > 3 ? strtoull(argv[3], NULL, 10) : 0, argv[2], &e))
        return 0;
    fprintf(stderr, "seed_checkpoint: %s\n", e.msg);
    return 1;
}
