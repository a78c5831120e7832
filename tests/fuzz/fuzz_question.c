/* fuzz_question.c - a file of questions with choices, any bytes.
 *
 * Success exactly when there is no error; after it every row keeps the promises of question.h: two choices or more, the
 * right one among them, nothing empty, no white space at the end of what stands in front. */
#include "corpus/question.h"
#include "fuzz.h"
#include "json_mutator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(const struct question_row *r)
{
    MUST(r->line > 0 && r->n >= 2 && r->n <= QUESTION_MAX_CHOICES && r->answer < r->n);
    for (uint32_t i = 0; i < r->n; i++) {
        const struct choice *c = &r->list[i];
        size_t n = strlen(c->before);
        MUST(n && !strchr(" \t\r\n\v\f", c->before[n - 1]));
        MUST(c->after[0] && c->n_chars > 0 && c->n_chars <= strlen(c->after));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct question_file f;
    struct err e = {0};
    char path[64];
    int fd = fuzz_file(data, size, path);
    bool ok = question_file_read(&f, path, &e);
    fuzz_told(ok, &e);
    MUST(ok ? f.n > 0 && f.form : !f.n && !f.rows);
    for (uint32_t i = 0; i < f.n; i++)
        check_row(&f.rows[i]);
    question_file_clear(&f);
    close(fd);
    return 0;
}
