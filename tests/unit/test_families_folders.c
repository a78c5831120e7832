/* test_families_folders.c - the tiny models as checkpoint folders, run by the engine without a file in
 * between (families_engine.c). */
#include "engine/engine.h"
#include "families.h"

int main(int argc, char **argv)
{
    (void)argc;
    engine_begin(argv);
    return families_engine("families_folders", "hf");
}
