/* matrix.c - see matrix.h. */
#include "profile/matrix.h"
#include "base/file.h"
#include "base/mem.h"

#include <string.h>

#define MAX_NAMED 100 /* files: a folder may hold thousands */

/* The texts by their names, not by where they lie: the names go into what is quantised with the matrix. */
struct imatrix *matrix_new(const struct corpus *c, uint32_t n_ctx)
{
    struct imatrix *m = xcalloc(1, sizeof *m);
    m->chunk_size = n_ctx;
    m->datasets = xcalloc(MAX_NAMED, sizeof *m->datasets);
    for (uint32_t i = 0; i < c->n_sources && m->n_datasets < MAX_NAMED; i++)
        if (c->sources[i].n_used)
            m->datasets[m->n_datasets++] = xstrdup(path_base(c->sources[i].path));
    return m;
}

struct imatrix *matrix_resume(const char *path, uint32_t done, uint32_t batches, struct err *e)
{
    if (!file_exists(path)) {
        err_set(e, ERR_INPUT,
                "cannot resume: '%s' is missing, and what its batches hold cannot be made up for; without "
                "--imatrix the statistics can go on",
                path);
        return NULL;
    }
    struct imatrix *m = imatrix_load(path, e);
    if (!m || (m->batches == batches && m->batches_done == done))
        return m;
    err_set(e, ERR_INPUT, "cannot resume: '%s' holds %u of %u batches, the statistics hold %u of %u", path,
            m->batches_done, m->batches, done, batches);
    imatrix_free(m);
    return NULL;
}
