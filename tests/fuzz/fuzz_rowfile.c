/* fuzz_rowfile.c - the bytes of a file with rows.
 *
 * Besides not crashing: success exactly when no error is set, also where another format is looked for; rows follow each other inside of the bytes, none
 * is empty or begins with white space, lines and numbers go up, and a text that looks like rows is read as
 * such. */
#include "corpus/foreign.h"
#include "corpus/rowfile.h"
#include "fuzz.h"
#include "json_mutator.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    const char *s, *end; /* what is left */
    struct rowfile_place last;
    size_t n;
};

static bool row(void *ud, struct rowfile_place at, const char *s, size_t n, struct err *e)
{
    struct seen *x = ud;
    (void)e;
    MUST(n > 0 && s >= x->s && s <= x->end && n <= (size_t)(x->end - s));
    MUST(at.line >= x->last.line && at.line > 0);
    MUST(!at.row || at.row == 1 || at.row == x->last.row + 1);
    x->s = s + n;
    x->last = at;
    x->n++;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen x = {(const char *)data, (const char *)data + size, {0, 0}, 0};
    struct err e = {0};
    bool ok = rowfile_each((const char *)data, size, row, &x, &e);
    fuzz_told(ok, &e);
    struct err other = {0};
    fuzz_told(foreign_check("a.txt", (const char *)data, size, &other), &other);
    if (rowfile_is_likely((const char *)data, size))
        MUST(x.n > 0);
    return 0;
}
