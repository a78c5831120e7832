/* fuzz_card.c - any text as the README.md of a checkpoint, and any JSON as what its card says of the calibration
 * (behind a line "%%").
 *
 * The card of a card is the same text; our section stands in it once more than foreign marks do; what is added is
 * UTF-8 when the text was, and holds nothing that misleads. */
#include "base/json.h"
#include "fuzz.h"
#include "hf/card.h"
#include "json_mutator.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Once as prune writes it, once as run does beside a GGUF file. */
static void one(const char *readme, const json_t *calibration, const char *name, bool measured)
{
    double lost[] = {0.25};
    const struct card_result texts[] = {{name ? name : "t", 2, 3, NAN, NAN, 4}};
    const struct card_results results = {.texts = texts,
                                         .n_texts = 1,
                                         .type = name,
                                         .type_file = name,
                                         .verified = true,
                                         .date = name,
                                         .command = name};
    const struct card_facts f = {
        .file = measured ? "m.gguf" : NULL,
        .name = measured ? name : NULL,
        .license = measured ? name : NULL,
        .results = measured ? &results : NULL,
        .n_experts = 8,
        .n_keep = 6,
        .n_moe_layers = 1,
        .criterion = name,
        .source = name,
        .base_id = name,
        .calibration = calibration,
        .from_stats = true,
        .n_tokens = 7,
        .tokens_lost = lost,
        .mtp = "They go.",
    };
    struct buf a = {0}, b = {0}, none = {0};
    bool known = card_write(&a, readme, &f);
    MUST(a.s && strlen(a.s) == a.n && strstr(a.s, "reap:begin"));
    MUST(card_write(&b, a.s, &f) == known);
    MUST(a.n == b.n && !memcmp(a.s, b.s, a.n));
    MUST(card_write(&none, NULL, &f));
    fuzz_fit(none.s, none.n, "\n");
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&none);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf readme = {0};
    const char *cut = memmem(data, size, "\n%%\n", 4);
    size_t n = cut ? (size_t)(cut - (const char *)data) : size;
    buf_add(&readme, data, n);
    json_t *calibration = cut ? json_loadb(cut + 4, size - n - 4, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *name = json_string_value(json_object_get(calibration, "name"));
    if (strlen(readme.s) == readme.n)
        for (int i = 0; i < 2; i++)
            one(readme.s, calibration, name, i == 1);
    json_decref(calibration);
    buf_clear(&readme);
    return 0;
}
