/* fuzz_gain.c - any bytes as a file of gains, for a model and a plan of tests/data.
 *
 * Reading succeeds exactly when no error is set; then every layer has a gain within the bounds, and what is written of them
 * is read as the same. After a failure the plan has none. */
#include "base/log.h"
#include "fuzz.h"
#include "json_mutator.h"
#include "model/gain.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct view *view;
static struct plan *plan;

static void load_model(void)
{
    struct err e = {0};
    log_quiet = true; /* of a model without an identity to compare */
    view = view_open(TEST_DATA_DIR "/families/qwen3_moe/model.gguf", &e);
    MUST(view && (plan = plan_open(TEST_DATA_DIR "/families/qwen3_moe/plan.json", view, false, &e)));
}

/* The reader wants a path: one of a file in memory. */
static bool read_bytes(const void *p, size_t n)
{
    char path[64];
    struct err e = {0};
    int fd = fuzz_file(p, n, path);
    bool ok = gain_open(path, view, plan, false, &e);
    close(fd);
    fuzz_told(ok, &e);
    MUST(ok == (plan->gain != NULL) && (ok || e.code == ERR_INPUT));
    return ok;
}

static void must_read_again(void)
{
    float *was = malloc(plan->n_layers * sizeof *was);
    struct buf b = {0};
    MUST(was);
    memcpy(was, plan->gain, plan->n_layers * sizeof *was);
    json_t *doc = gain_document(view, plan, NULL);
    json_print(&b, doc);
    json_decref(doc);
    MUST(read_bytes(b.s, b.n));
    MUST(!memcmp(was, plan->gain, plan->n_layers * sizeof *was));
    buf_clear(&b);
    free(was);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!view)
        load_model();
    if (!read_bytes(data, size))
        return 0;
    for (uint32_t i = 0; i < plan->n_layers; i++)
        MUST(plan->gain[i] > 0 && plan->gain[i] <= GAIN_MAX);
    must_read_again();
    return 0;
}
