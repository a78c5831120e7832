/* fuzz_imatrix.c - any bytes as an importance matrix, in either form.
 *
 * It is read exactly when no error is set; then every number is finite and not negative, each weight is found by its name, and
 * the means are finite. It is cut by a plan exactly when no error is set; then the result is a GGUF file, read as a matrix
 * whenever its parent was, of the plan's number of experts. */
#include "fuzz.h"
#include "gguf/gguf_file.h"
#include "gguf_mutator.h"
#include "quant/imatrix.h"
#include "quant/imatrix_cut.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64], out[96];

static void clean(void)
{
    unlink(out);
    rmdir(dir);
}

static bool take(const char *path)
{
    struct err e = {0};
    struct imatrix *m = imatrix_load(path, &e);
    fuzz_told(m != NULL, &e);
    for (uint64_t i = 0; m && i < m->n; i++) {
        const struct imatrix_entry *x = &m->entries[i];
        MUST(imatrix_find(m, x->name) == x);
        for (uint64_t k = 0; k < x->n_mat; k++)
            MUST(x->counts[k] >= 0);
        for (uint64_t k = 0; k < x->n_mat * x->row; k++)
            MUST(x->sums[k] >= 0 && isfinite(x->sums[k]));
    }
    if (m)
        imatrix_to_means(m);
    for (uint64_t i = 0; m && i < m->n; i++)
        for (uint64_t k = 0; k < m->entries[i].n_mat * m->entries[i].row; k++)
            MUST(isfinite(m->entries[i].sums[k]));
    bool ok = m != NULL;
    imatrix_free(m);
    return ok;
}

/* Experts 0 and 3 of layers 0 to 2. n_experts 0: the plan does not say of how many. */
static void cut(const char *path, uint32_t n_experts, bool was_read)
{
    struct err e = {0};
    struct plan *p = plan_new(3, 2);
    struct imatrix_cut r;
    p->n_experts = n_experts;
    for (uint32_t i = 0; i < 3; i++) {
        p->layers[i].il = i;
        p->layers[i].keep[0] = 0;
        p->layers[i].keep[1] = 3;
    }
    bool ok = imatrix_cut(path, p, out, true, false, &r, &e);
    fuzz_told(ok, &e);
    if (ok) {
        struct gg_file *f = gg_open(out, &e);
        MUST(f && f->n_tensors == r.tensors_cut + r.tensors_kept && r.n_keep == 2 && r.n_experts > 3);
        MUST(!n_experts || r.n_experts == n_experts);
        MUST(f->parts[0].size == r.bytes_out && r.bytes_out <= r.bytes_in + 64);
        gg_free(f);
        MUST(!was_read || take(out));
    }
    plan_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    if (fuzz_dir(dir, clean))
        snprintf(out, sizeof out, "%s/out.gguf", dir);
    int fd = fuzz_file(data, size, path);
    bool ok = take(path);
    cut(path, 0, ok);
    cut(path, 8, ok);
    close(fd);
    return 0;
}
