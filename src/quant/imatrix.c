/* imatrix.c - see imatrix.h. */
#include "quant/imatrix.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "gguf/gguf_file.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define SUMS     ".in_sum2"
#define COUNTS   ".counts"
#define MAX_NAME 64 /* as tensors have them, with the end */
#define MAX_OLD  100000

/* ---- memory ---- */

void imatrix_free(struct imatrix *m)
{
    if (!m)
        return;
    for (uint64_t i = 0; i < m->n; i++) {
        free(m->entries[i].name);
        free(m->entries[i].sums);
        free(m->entries[i].counts);
    }
    for (uint32_t i = 0; i < m->n_datasets; i++)
        free(m->datasets[i]);
    free(m->datasets);
    free(m->entries);
    free(m);
}

static int by_name(const void *a, const void *b)
{
    const struct imatrix_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void sort(struct imatrix *m)
{
    if (m->n)
        qsort(m->entries, m->n, sizeof *m->entries, by_name);
}

const struct imatrix_entry *imatrix_find(const struct imatrix *m, const char *name)
{
    struct imatrix_entry key = {.name = (char *)(uintptr_t)name};
    return m->n ? bsearch(&key, m->entries, m->n, sizeof *m->entries, by_name) : NULL;
}

/* ---- what must hold of either form ---- */

static bool check_numbers(const struct imatrix_entry *x, struct err *e)
{
    for (uint64_t i = 0; i < x->n_mat; i++)
        if (!isfinite(x->counts[i]) || x->counts[i] < 0)
            return err_set(e, ERR_INPUT, "'%s': count %llu is %g", x->name, (unsigned long long)i,
                           (double)x->counts[i]);
    for (uint64_t i = 0; i < x->n_mat * x->row; i++)
        if (!isfinite(x->sums[i]) || x->sums[i] < 0)
            return err_set(e, ERR_INPUT, "'%s': the sum of squares %llu is %g", x->name,
                           (unsigned long long)i, (double)x->sums[i]);
    return true;
}

static bool check_all(struct imatrix *m, struct err *e)
{
    sort(m);
    for (uint64_t i = 0; i < m->n; i++) {
        if (i && !strcmp(m->entries[i - 1].name, m->entries[i].name))
            return err_set(e, ERR_INPUT, "'%s' stands there twice", m->entries[i].name);
        if (!check_numbers(&m->entries[i], e))
            return false;
    }
    return m->n || err_set(e, ERR_INPUT, "is an importance matrix of nothing");
}

/* ---- GGUF ---- */

static float *read_f32(const struct gg_file *f, const struct gg_tensor *t, struct err *e)
{
    if (strcmp(gg_type_get(t->type)->name, "f32") != 0 || t->ne[2] != 1 || t->ne[3] != 1 || !t->bytes) {
        err_set(e, ERR_INPUT, "tensor '%s' is %s [%llu, %llu, %llu], expected f32 of two dimensions", t->name,
                gg_type_get(t->type)->name, (unsigned long long)t->ne[0], (unsigned long long)t->ne[1],
                (unsigned long long)t->ne[2]);
        return NULL;
    }
    float *v = mem_try(t->bytes, 1, t->name, e);
    if (v && file_pread(f->parts[t->part].fd, v, t->bytes, t->off, e))
        return v;
    free(v);
    return NULL;
}

static bool read_pair(const struct gg_file *f, const struct gg_tensor *sums, struct imatrix_entry *x,
                      struct err *e)
{
    char name[2 * MAX_NAME];
    x->name = xstrndup(sums->name, strlen(sums->name) - strlen(SUMS));
    snprintf(name, sizeof name, "%s" COUNTS, x->name);
    const struct gg_tensor *counts = gg_find_tensor(f, name);
    if (!counts)
        return err_set(e, ERR_INPUT, "tensor '%s' is missing", name);
    if (!(x->sums = read_f32(f, sums, e)) || !(x->counts = read_f32(f, counts, e)))
        return false;
    if (counts->ne[0] != 1 || counts->ne[1] != sums->ne[1])
        return err_set(e, ERR_INPUT, "tensor '%s' is [%llu, %llu], expected [1, %llu] as '%s' has", name,
                       (unsigned long long)counts->ne[0], (unsigned long long)counts->ne[1],
                       (unsigned long long)sums->ne[1], sums->name);
    x->row = sums->ne[0];
    x->n_mat = sums->ne[1];
    return true;
}

static bool read_pairs(const struct gg_file *f, struct imatrix *m, struct err *e)
{
    char name[2 * MAX_NAME];
    m->entries = mem_try(f->n_tensors, sizeof *m->entries, "the entries", e);
    for (uint64_t i = 0; m->entries && i < f->n_tensors; i++) {
        const struct gg_tensor *t = &f->tensors[i];
        if (text_ends(t->name, SUMS) && !read_pair(f, t, &m->entries[m->n++], e))
            return false;
        if (text_ends(t->name, COUNTS)) {
            snprintf(name, sizeof name, "%.*s" SUMS, (int)(strlen(t->name) - strlen(COUNTS)), t->name);
            if (!gg_find_tensor(f, name))
                return err_set(e, ERR_INPUT, "tensor '%s' is missing", name);
        }
    }
    return m->entries != NULL;
}

bool imatrix_check_type(const struct gg_file *f, struct err *e)
{
    const char *s = "";
    uint64_t n = 0;
    if (gg_key_str(gg_find(f, "general.type"), &s, &n) && n == 7 && !memcmp(s, "imatrix", 7))
        return true;
    return err_set(e, ERR_INPUT, "is no importance matrix: general.type is '%.*s', expected 'imatrix'",
                   (int)(n < 40 ? n : 40), s);
}

/* The three keys that llama-quantize insists on. */
static bool read_keys(const struct gg_file *f, struct imatrix *m, struct err *e)
{
    const struct gg_key *sets = gg_find(f, "imatrix.datasets");
    const char *s = "";
    uint64_t n = 0, count, size;
    if (!imatrix_check_type(f, e))
        return false;
    if (!sets || sets->kind != GG_ARR || sets->elem != GG_STR || sets->n > 100000)
        return err_set(e, ERR_INPUT, "key 'imatrix.datasets' is missing, or no list of names");
    if (!gg_key_u64(gg_find(f, "imatrix.chunk_count"), &count) || count > UINT32_MAX ||
        !gg_key_u64(gg_find(f, "imatrix.chunk_size"), &size) || size > UINT32_MAX)
        return err_set(e, ERR_INPUT,
                       "key 'imatrix.chunk_count' or 'imatrix.chunk_size' is missing, or no count");
    m->chunk_count = (uint32_t)count;
    m->chunk_size = (uint32_t)size;
    m->datasets = xcalloc(sets->n, sizeof *m->datasets);
    const uint8_t *p = sets->value;
    for (uint64_t i = 0; i < sets->n; i++) {
        p = gg_next_str(p, &s, &n);
        m->datasets[m->n_datasets++] = xstrndup(s, n);
    }
    return true;
}

static bool read_gguf(const char *path, struct imatrix *m, struct err *e)
{
    struct gg_file *f = gg_open(path, e);
    if (!f)
        return false;
    bool ok = (read_keys(f, m, e) && read_pairs(f, m, e) && check_all(m, e)) || err_ctx(e, "%s", path);
    gg_free(f);
    return ok;
}

/* ---- the old form ----
 *
 * int32 entries; for each: int32 length, name, int32 calls, int32 n, f32 x n (means x calls); then, if it goes on, int32
 * chunks, int32 length, name of the text. All little-endian. */

struct old {
    const uint8_t *p;
    uint64_t n, at;
};

static bool take(struct old *o, void *to, uint64_t n, struct err *e)
{
    if (n > o->n - o->at)
        return err_set(e, ERR_INPUT, "ends at byte %llu, %llu more were expected", (unsigned long long)o->n,
                       (unsigned long long)(n - (o->n - o->at)));
    memcpy(to, o->p + o->at, n);
    o->at += n;
    return true;
}

static bool take_count(struct old *o, const char *what, uint32_t lo, uint32_t hi, uint32_t *v, struct err *e)
{
    uint8_t b[4];
    uint64_t at = o->at;
    if (!take(o, b, 4, e))
        return false;
    *v = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    return (*v >= lo && *v <= hi) || err_set(e, ERR_INPUT, "byte %llu: %s is %d, expected %u to %u",
                                             (unsigned long long)at, what, (int)*v, lo, hi);
}

static bool take_name(struct old *o, const char *what, uint32_t most, char **name, struct err *e)
{
    uint32_t n;
    if (!take_count(o, what, 0, most, &n, e))
        return false;
    *name = xcalloc(n + 1, 1);
    if (!take(o, *name, n, e))
        return false;
    return (utf8_valid(*name, n) && !memchr(*name, 0, n)) ||
           err_set(e, ERR_INPUT, "byte %llu: a name is no text", (unsigned long long)(o->at - n));
}

static bool take_entry(struct old *o, struct imatrix_entry *x, struct err *e)
{
    uint32_t calls, n;
    if (!take_name(o, "the length of a name", MAX_NAME - 1, &x->name, e) ||
        !take_count(o, "a number of calls", 0, INT32_MAX, &calls, e) ||
        !take_count(o, "a number of values", 1, INT32_MAX, &n, e))
        return false;
    if (n > (o->n - o->at) / 4)
        return err_set(e, ERR_INPUT, "'%s' has %u values, and %llu bytes are left", x->name, n,
                       (unsigned long long)(o->n - o->at));
    x->n_mat = 1;
    x->row = n;
    x->counts = xcalloc(1, sizeof *x->counts);
    x->counts[0] = (float)calls;
    return (x->sums = mem_try(n, sizeof *x->sums, x->name, e)) && take(o, x->sums, (uint64_t)n * 4, e);
}

static bool read_old_bytes(struct old *o, struct imatrix *m, struct err *e)
{
    uint32_t n;
    m->old_form = true;
    if (!take_count(o, "the number of entries", 1, MAX_OLD, &n, e))
        return err_ctx(e, "is no importance matrix, neither as GGUF nor in the old form");
    m->entries = xcalloc(n, sizeof *m->entries);
    while (m->n < n)
        if (!take_entry(o, &m->entries[m->n++], e))
            return false;
    if (o->at == o->n)
        return check_all(m, e);
    m->datasets = xcalloc(1, sizeof *m->datasets);
    if (!take_count(o, "the number of chunks", 0, INT32_MAX, &m->chunk_count, e))
        return false;
    if (o->at < o->n) {
        m->n_datasets = 1;
        if (!take_name(o, "the length of a name", 1 << 20, &m->datasets[0], e))
            return false;
        if (!*m->datasets[0]) {
            free(m->datasets[0]);
            m->n_datasets = 0;
        }
    }
    return check_all(m, e);
}

static bool read_old(const char *path, struct imatrix *m, struct err *e)
{
    struct buf b = {0};
    bool ok = file_read_all(path, 1ull << 34, &b, e);
    struct old o = {(const uint8_t *)b.s, b.n, 0};
    ok = ok && (read_old_bytes(&o, m, e) || err_ctx(e, "%s", path));
    buf_clear(&b);
    return ok;
}

/* ---- either ---- */

static bool is_gguf(const char *path, bool *yes, struct err *e)
{
    uint64_t size;
    char magic[4] = "";
    int fd = file_open_read(path, &size, e);
    if (fd < 0)
        return false;
    bool ok = size < 4 || file_pread(fd, magic, 4, 0, e);
    close(fd);
    *yes = !memcmp(magic, "GGUF", 4);
    return ok;
}

bool imatrix_is(const char *path)
{
    struct err e = {0};
    bool gguf;
    struct gg_file *f = is_gguf(path, &gguf, &e) && gguf ? gg_open(path, &e) : NULL;
    bool is = f && imatrix_check_type(f, &e);
    gg_free(f);
    return is;
}

struct imatrix *imatrix_load(const char *path, struct err *e)
{
    struct imatrix *m = xcalloc(1, sizeof *m);
    bool gguf;
    if (is_gguf(path, &gguf, e) && (gguf ? read_gguf(path, m, e) : read_old(path, m, e)))
        return m;
    imatrix_free(m);
    return NULL;
}

void imatrix_to_means(struct imatrix *m)
{
    for (uint64_t i = 0; i < m->n; i++) {
        struct imatrix_entry *x = &m->entries[i];
        for (uint64_t k = 0; k < x->n_mat; k++) {
            float *v = x->sums + k * x->row, count = (float)lroundf(x->counts[k]);
            for (uint64_t j = 0; j < x->row; j++)
                if (count > 0)
                    v[j] /= count;
                else if (!m->old_form) /* there it holds ones already */
                    v[j] = 1;
        }
    }
}
