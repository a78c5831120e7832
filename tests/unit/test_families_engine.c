/* test_families_engine.c - the tiny models as GGUF files, run by the engine (families_engine.c). */
#include "engine/engine.h"
#include "families.h"

int main(int argc, char **argv)
{
    (void)argc;
    engine_begin(argv);
    return families_engine("families_engine", "model.gguf");
}
