/* imatrix.c - see imatrix.h. */
#include "quant/imatrix.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/text.h"
#include "gguf/gguf_file.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define SUMS       ".in_sum2"
#define COUNTS     ".counts"
#define MAX_NAME   64 /* as tensors have them, with the end */
#define MAX_OLD    100000
#define GGUF_ALIGN 32
#define DONE       "reap.batches_done"
#define BATCHES    "reap.batches"

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
                           x->counts[i]);
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
    float *v = NULL;
    if (!(x->sums = read_f32(f, sums, e)) || !(v = read_f32(f, counts, e)))
        return false;
    x->counts = xcalloc(counts->bytes / 4, sizeof *x->counts);
    for (uint64_t i = 0; i < counts->bytes / 4; i++)
        x->counts[i] = (double)v[i];
    free(v);
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
    if (gg_key_u64(gg_find(f, DONE), &count) && gg_key_u64(gg_find(f, BATCHES), &size) && count < size &&
        size <= UINT32_MAX) {
        m->batches_done = (uint32_t)count;
        m->batches = (uint32_t)size;
    }
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
    uint8_t b[4] = {0};
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
    x->counts[0] = calls;
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
            float *v = x->sums + k * x->row, count = (float)round(x->counts[k]);
            for (uint64_t j = 0; j < x->row; j++)
                if (count > 0)
                    v[j] /= count;
                else if (!m->old_form) /* there it holds ones already */
                    v[j] = 1;
        }
    }
}

/* ---- writing ---- */

/* Of tensor i, two for each entry: sums, counts. */
static uint64_t tensor_bytes(const struct imatrix *m, uint64_t i)
{
    const struct imatrix_entry *x = &m->entries[i / 2];
    return 4 * x->n_mat * (i % 2 ? 1 : x->row);
}

/* As llama-imatrix counts them: by the weight with the most rows. */
static uint32_t n_chunks(const struct imatrix *m)
{
    double most = 0;
    for (uint64_t i = 0; i < m->n; i++)
        for (uint64_t k = 0; k < m->entries[i].n_mat; k++)
            most = m->entries[i].counts[k] > most ? m->entries[i].counts[k] : most;
    double n = m->chunk_size ? floor(most / m->chunk_size) : 0;
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static void put_header(const struct imatrix *m, struct buf *b)
{
    uint64_t off = 0;
    gg_put_start(b, 3, 2 * m->n, m->batches ? 6 : 4);
    gg_put_str(b, "general.type", "imatrix");
    gg_put_strs(b, "imatrix.datasets", (const char *const *)m->datasets, m->n_datasets);
    gg_put_u32(b, "imatrix.chunk_count", n_chunks(m));
    gg_put_u32(b, "imatrix.chunk_size", m->chunk_size);
    if (m->batches) {
        gg_put_u32(b, DONE, m->batches_done);
        gg_put_u32(b, BATCHES, m->batches);
    }
    for (uint64_t i = 0; i < 2 * m->n; i++) {
        const struct imatrix_entry *x = &m->entries[i / 2];
        char name[2 * MAX_NAME];
        snprintf(name, sizeof name, "%s%s", x->name, i % 2 ? COUNTS : SUMS);
        /* one that has a single matrix is written as a row, as ggml writes it */
        gg_put_tensor(b, name, x->n_mat > 1 ? 2 : 1, (uint64_t[]){i % 2 ? 1 : x->row, x->n_mat}, 0, off);
        off += gg_align(tensor_bytes(m, i), GGUF_ALIGN);
    }
    gg_pad(b, GGUF_ALIGN);
}

static bool put_counts(const struct imatrix_entry *x, struct out *o, struct err *e)
{
    bool ok = true;
    for (uint64_t k = 0; ok && k < x->n_mat; k++) {
        float count = (float)x->counts[k];
        ok = out_write(o, &count, sizeof count, e);
    }
    return ok;
}

bool imatrix_put(struct imatrix *m, struct out *o, struct err *e)
{
    struct buf header = {0};
    sort(m);
    put_header(m, &header);
    bool ok = out_write(o, header.s, header.n, e);
    for (uint64_t i = 0; ok && i < 2 * m->n; i++) {
        const struct imatrix_entry *x = &m->entries[i / 2];
        uint64_t n = tensor_bytes(m, i);
        ok = (i % 2 ? put_counts(x, o, e) : out_write(o, x->sums, n, e)) &&
             out_zero(o, gg_align(n, GGUF_ALIGN) - n, e);
    }
    buf_clear(&header);
    return ok;
}

/* ---- summing up ---- */

/* The one that was asked for last, or the next one: a graph asks in the same order each time. */
static struct imatrix_entry *entry_of(struct imatrix *m, const char *name)
{
    for (uint64_t i = 0; i < m->n; i++) {
        uint64_t k = (m->at + i) % m->n;
        if (!strcmp(m->entries[k].name, name)) {
            m->at = k;
            return &m->entries[k];
        }
    }
    return NULL;
}

static struct imatrix_entry *new_entry(struct imatrix *m, const char *name, uint32_t n_mat, uint64_t row,
                                       struct err *e)
{
    float *sums =
        mem_try(n_mat * row, sizeof *sums, name, e); /* as many as the weight has experts and columns */
    if (!sums)
        return NULL;
    m->entries = xrealloc(m->entries, m->n + 1, sizeof *m->entries);
    m->at = m->n;
    m->entries[m->n] = (struct imatrix_entry){.name = xstrdup(name),
                                              .n_mat = n_mat,
                                              .row = row,
                                              .sums = sums,
                                              .counts = xcalloc(n_mat, sizeof(double))};
    return &m->entries[m->n++];
}

bool imatrix_add(struct imatrix *m, const char *name, uint32_t n_mat, uint64_t row, uint32_t mat, uint64_t n,
                 const float *sums, struct err *e)
{
    struct imatrix_entry *x = entry_of(m, name);
    if (!x && !(x = new_entry(m, name, n_mat, row, e)))
        return false;
    if (x->n_mat != n_mat || x->row != row || mat >= n_mat)
        return err_set(
            e, ERR_INPUT, "'%s' has %llu matrices of %llu columns in one place and %u of %llu in another",
            name, (unsigned long long)x->n_mat, (unsigned long long)x->row, n_mat, (unsigned long long)row);
    float *to = x->sums + mat * row;
    bool finite = true;
    if (!n)
        return true;
    for (uint64_t j = 0; j < row; j++) {
        to[j] += sums[j];
        finite = finite && isfinite(to[j]);
    }
    x->counts[mat] += (double)n;
    return finite || err_set(e, ERR_FAILED, "'%s': what goes into it is not finite", name);
}

uint64_t imatrix_bytes(const struct imatrix *m)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < m->n; i++)
        n += m->entries[i].n_mat * (4 * m->entries[i].row + 8);
    return n;
}
