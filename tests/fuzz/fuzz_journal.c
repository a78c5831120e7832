/* fuzz_journal.c - what a killed run left in its journal (base/journal.h, results/batch.h), whatever it is.
 *
 * Of the file only whole lines come out, from its beginning, without a zero byte, and it stays. As lines behind a right
 * first one they are folded into a file of answers exactly when there is no error; then all of it can be read, no
 * result is there twice, and the same lines once more change nothing. */
#include "base/file.h"
#include "base/hash.h"
#include "base/journal.h"
#include "fuzz.h"
#include "json_mutator.h"
#include "results/batch.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char old[] =
    "{\"schema\":\"reap.batch/1\",\"parameters\":{\"temperature\":0.1},\"results\":[{\"id\":\"a\",\"key\":\"k\","
    "\"prompt_sha256\":\"p\",\"repeat\":0,\"messages\":[],\"status\":\"failed\"}]}";

static void must_tell(bool ok, const struct err *e)
{
    MUST(ok == (e->code == ERR_NONE) && (ok || (e->code == ERR_INPUT && e->msg[0])));
}

static void try_file(const uint8_t *data, size_t size)
{
    static char dir[] = "/tmp/fuzz-journal.XXXXXX", out[64];
    struct journal j;
    struct buf left = {0};
    struct err e = {0};
    if (!out[0]) {
        MUST(mkdtemp(dir));
        snprintf(out, sizeof out, "%s/x", dir);
    }
    char path[96];
    snprintf(path, sizeof path, "%s" OUT_JOURNAL, out);
    FILE *f = fopen(path, "w");
    MUST(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
    MUST(journal_open(&j, out, &left, &e));
    MUST(left.n <= size && (!left.n || (!memcmp(left.s, data, left.n) && left.s[left.n - 1] == '\n')));
    MUST(!left.n || !memchr(left.s, 0, left.n));
    const uint8_t *rest = size > left.n ? memchr(data + left.n, '\n', size - left.n) : NULL;
    MUST(!rest || memchr(data, 0, (size_t)(rest - data))); /* no whole line is left out before a hole */
    struct journal second;
    struct buf none = {0};
    MUST(!journal_open(&second, out, &none, &e) && e.code == ERR_FAILED);
    bool stays = left.n > 0;
    journal_close(&j);
    MUST(file_exists(path) == stays);
    unlink(path);
    rmdir(dir);
    snprintf(dir, sizeof dir, "/tmp/fuzz-journal.XXXXXX");
    out[0] = 0;
    buf_clear(&left);
}

static void all_reads(const struct batch_file *f)
{
    const json_t *results = json_object_get(f->doc, "results");
    json_t *seen = json_object();
    for (size_t i = 0; i < json_array_size(results); i++) {
        struct batch_answer a;
        struct err e = {0};
        struct buf b = {0};
        MUST(batch_answer_read(json_array_get(results, i), i, &a, &e));
        buf_fmt(&b, "%s %s", a.key, a.id);
        MUST(!json_object_get(seen, b.s));
        json_object_set_new(seen, b.s, json_true());
        buf_clear(&b);
    }
    json_decref(seen);
}

static void try_fold(const char *s, size_t n)
{
    struct batch_file f;
    struct err e = {0};
    MUST(batch_parse(old, sizeof old - 1, &f, &e));
    bool ok = batch_journal_fold(&f, s, n, &e);
    must_tell(ok, &e);
    if (ok) {
        json_t *was = json_deep_copy(f.doc);
        struct buf b = {0};
        all_reads(&f);
        json_print(&b, f.doc);
        batch_file_clear(&f);
        MUST(batch_parse(b.s, b.n, &f, &e) && batch_journal_fold(&f, s, n, &e) && json_equal(was, f.doc));
        buf_clear(&b);
        json_decref(was);
    }
    batch_file_clear(&f);
}

/* The first line of a journal of `old`. */
static void add_head(struct buf *b)
{
    struct err e = {0};
    json_t *doc = json_parse(old, sizeof old - 1, &e);
    json_object_del(doc, "results");
    char of[65], *s = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
    sha256_bytes(s, strlen(s), of);
    batch_journal_head(b, of);
    free(s);
    json_decref(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b = {0};
    try_file(data, size);
    try_fold((const char *)data, size);
    add_head(&b);
    buf_add(&b, data, size);
    try_fold(b.s, b.n);
    buf_clear(&b);
    return 0;
}
