/* fuzz_json.c - any bytes as JSON of ours (src/base/json.h).
 *
 * What is read strictly is read the same in the other ways. Printed it may go to a terminal, and reads as the same
 * value; printed again it is the same text. The canonical form is one of itself. */
#include "base/json.h"
#include "fuzz.h"
#include "json_mutator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void printed(const json_t *v)
{
    struct buf a = {0}, b = {0};
    struct err e = {0};
    json_print(&a, v);
    fuzz_fit(a.s, a.n, "\n");
    json_t *again = json_parse(a.s, a.n, &e);
    MUST(again && json_equal(again, v));
    json_print(&b, again);
    MUST(a.n == b.n && !memcmp(a.s, b.s, a.n));
    json_decref(again);
    buf_clear(&a);
    buf_clear(&b);
}

static void canonical(const json_t *v)
{
    struct buf a = {0}, b = {0};
    struct err e = {0};
    json_canonical(&a, v);
    json_t *again = json_parse(a.s, a.n, &e);
    MUST(again);
    json_canonical(&b, again);
    MUST(a.n == b.n && !memcmp(a.s, b.s, a.n));
    json_decref(again);
    buf_clear(&a);
    buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data;
    struct err e = {0}, row = {0}, soft = {0};
    bool odd = false, rounded = false;
    json_t *v = json_parse(s, size, &e), *w = json_parse_row(s, size, &row);
    json_t *x = json_parse_data(s, size, &odd, &soft), *y = json_parse_loose(s, size, &rounded);
    fuzz_told(v != NULL, &e);
    fuzz_told(w != NULL, &row);
    fuzz_told(x != NULL, &soft);
    MUST(!v == !w && (!v || json_equal(v, w)));
    if (v) {
        MUST(json_equal(v, x) && !odd && json_equal(v, y) && !rounded);
        printed(v);
        canonical(v);
    } else if (x) {
        MUST(odd && json_find_odd(x));
        printed(x);
    }
    json_decref(v);
    json_decref(w);
    json_decref(x);
    json_decref(y);
    return 0;
}
