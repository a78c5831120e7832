/* gg_read.c - the parser of one GGUF header (versions 2 and 3, little-endian).
 *
 * The header is read whole into memory, in windows that grow while the parser asks for more, so that neither
 * the size of the file nor a number in it decides how much we allocate: only bytes that are there do. Every
 * length is compared with what is left of the file before it is used. The rules are those of
 * ggml/src/gguf.cpp and, for "data inside the file", of the engine's model loader. Stricter than the engine:
 * names hold no NUL and are UTF-8, a bool is 0 or 1, and the product of the sizes of a tensor must not
 * overflow even when one of them is 0. */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "gguf/gg_part.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define MAX_STRING   (1ull << 30) /* bytes, as the engine */
#define MAX_ELEMENTS (1ull << 30) /* of an array, as the engine */
#define MAX_HEADER \
    (256ull << 20)      /* real ones reach some 10 MB (a tokenizer); a sparse file must not fill our memory */
#define MAX_NAME     64 /* GGML_MAX_NAME, with the NUL */
#define MAX_DIMS     4  /* GGML_MAX_DIMS */
#define MIN_KEY      14 /* bytes: length, a name of one byte, kind, a value of one byte */
#define MIN_TENSOR   24 /* bytes: length, an empty name, no dims, type, offset */
#define FIRST_WINDOW (1u << 20)
#define NAME_CHUNK   (16u << 10)

struct chunk { /* names, NUL-terminated */
    struct chunk *next;
    size_t n, cap;
    char s[];
};

struct header {     /* gg_part.header */
    uint8_t *bytes; /* NULL: borrowed (gg_parse) */
    struct chunk *names;
};

/* A cursor over the first `size` bytes of a file of `file_size`. The first failure stays, later reads give
 * 0. */
struct cur {
    const uint8_t *p;
    uint64_t size, file_size, pos;
    uint64_t at; /* where the last thing read began: the position that messages name */
    bool ok;
    uint64_t
        want; /* more than size: the header goes on behind the window, and needs at least this much of it */
    const char *thing; /* "key", "tensor" or NULL, for messages */
    const char *name;  /* its name, once it is known */
    uint64_t index, count;
    struct gg_file *f;
    struct gg_part *part;
    struct header *h;
    uint64_t key_cap, tensor_cap;
    struct err *e;
};

static void fail(struct cur *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct cur *c, const char *fmt, ...)
{
    if (!c->ok)
        return;
    c->ok = false;
    char what[640], shown[TEXT_SHOWN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    unsigned long long at = c->at, index = c->index + 1, count = c->count;
    if (!c->thing)
        err_set(c->e, ERR_INPUT, "byte %llu: %s", at, what);
    else if (!c->name)
        err_set(c->e, ERR_INPUT, "byte %llu: %s %llu of %llu: %s", at, c->thing, index, count, what);
    else
        err_set(c->e, ERR_INPUT, "byte %llu: %s '%s': %s", at, c->thing,
                text_shown(shown, sizeof shown, c->name), what);
}

/* ---- reading ---- */

static const uint8_t *cur_take(struct cur *c, uint64_t n, const char *what)
{
    if (!c->ok)
        return NULL;
    c->at = c->pos;
    if (n > c->file_size - c->pos) {
        fail(c, "the file ends inside the header: %s needs %llu bytes, %llu are left", what,
             (unsigned long long)n, (unsigned long long)(c->file_size - c->pos));
        return NULL;
    }
    if (n > c->size - c->pos) {
        c->want = c->pos + n;
        fail(c, "the header goes on behind the %llu bytes of it that are read: %s needs %llu bytes",
             (unsigned long long)c->size, what, (unsigned long long)n);
        return NULL;
    }
    c->pos += n;
    return c->p + c->at;
}

static uint32_t cur_u32(struct cur *c, const char *what)
{
    const uint8_t *p = cur_take(c, 4, what);
    return p ? (uint32_t)gg_get_le(p, 4) : 0;
}

static uint64_t cur_u64(struct cur *c, const char *what)
{
    const uint8_t *p = cur_take(c, 8, what);
    return p ? gg_get_le(p, 8) : 0;
}

/* A string: u64 length and bytes. NULL on failure; an empty string is not NULL. */
static const uint8_t *cur_str(struct cur *c, uint64_t *len, const char *what)
{
    *len = cur_u64(c, what);
    if (*len > MAX_STRING)
        fail(c, "%s has %llu bytes, expected at most %llu", what, (unsigned long long)*len, MAX_STRING);
    return cur_take(c, *len, what);
}

static char *keep_name(struct cur *c, const uint8_t *s, uint64_t n)
{
    struct chunk *k = c->h->names;
    if (!k || n >= k->cap - k->n) {
        size_t cap = n < NAME_CHUNK ? NAME_CHUNK : (size_t)n + 1;
        if (!(k = mem_try(1, sizeof *k + cap, "names", c->e))) {
            c->ok = false;
            return NULL;
        }
        k->cap = cap;
        k->next = c->h->names;
        c->h->names = k;
    }
    char *dst = k->s + k->n;
    memcpy(dst, s, n);
    dst[n] = 0;
    k->n += (size_t)n + 1;
    return dst;
}

static const char *cur_name(struct cur *c, uint64_t max)
{
    uint64_t n;
    const uint8_t *s = cur_str(c, &n, "the name");
    if (!s)
        return NULL;
    if (n > max)
        fail(c, "the name has %llu bytes, expected at most %llu", (unsigned long long)n,
             (unsigned long long)max);
    else if (memchr(s, 0, n))
        fail(c, "the name holds a NUL byte");
    else if (!utf8_valid((const char *)s, n))
        fail(c, "the name is not valid UTF-8");
    return c->ok ? keep_name(c, s, n) : NULL;
}

/* ---- keys ---- */

static enum gg_kind cur_kind(struct cur *c, const char *what)
{
    uint32_t k = cur_u32(c, what);
    if (k >= GG_N_KINDS)
        fail(c, "%s is %u, expected 0 to %d", what, k, GG_N_KINDS - 1);
    return c->ok ? (enum gg_kind)k : GG_U8;
}

static void read_scalars(struct cur *c, struct gg_key *k, enum gg_kind kind)
{
    k->value = cur_take(c, k->n * gg_kind_bytes[kind], "the value");
    for (uint64_t i = 0; c->ok && kind == GG_BOOL && i < k->n; i++)
        if (k->value[i] > 1) {
            c->at += i;
            fail(c, "a bool is %u, expected 0 or 1", k->value[i]);
        }
}

static void read_array(struct cur *c, struct gg_key *k)
{
    k->elem = cur_kind(c, "the kind of the elements");
    if (k->elem == GG_ARR)
        fail(c, "an array of arrays, which no version of the engine reads");
    k->n = cur_u64(c, "the number of elements");
    if (k->n > MAX_ELEMENTS)
        fail(c, "the array has %llu elements, expected at most %llu", (unsigned long long)k->n, MAX_ELEMENTS);
    if (!c->ok)
        return;
    if (k->elem != GG_STR) {
        read_scalars(c, k, k->elem);
        return;
    }
    if (k->n > (c->file_size - c->pos) / 8)
        fail(c, "the file ends inside the header: the array has %llu strings, %llu bytes are left",
             (unsigned long long)k->n, (unsigned long long)(c->file_size - c->pos));
    k->value = c->p + c->pos;
    uint64_t len;
    for (uint64_t i = 0; c->ok && i < k->n; i++)
        cur_str(c, &len, "a string");
}

static bool read_key(struct cur *c, struct gg_key *k)
{
    uint64_t start = c->pos;
    c->name = NULL;
    k->name = cur_name(c, MAX_STRING);
    if (c->ok && !*k->name)
        fail(c, "the name is empty");
    c->name = k->name;
    k->elem = k->kind = cur_kind(c, "the kind");
    k->n = 1;
    if (!c->ok)
        return false;
    if (k->kind == GG_ARR)
        read_array(c, k);
    else if (k->kind == GG_STR)
        k->value = cur_str(c, &k->str_len, "the value");
    else
        read_scalars(c, k, k->kind);
    k->raw = c->p + start;
    k->raw_bytes = c->pos - start;
    return c->ok;
}

/* By name, equal ones in file order. */
static int cmp_keys(const void *a, const void *b)
{
    const struct gg_key *x = *(const struct gg_key *const *)a, *y = *(const struct gg_key *const *)b;
    int r = strcmp(x->name, y->name);
    return r ? r : x < y ? -1 : x > y;
}

static bool check_keys_unique(struct cur *c)
{
    uint64_t n = c->part->n_keys;
    const struct gg_key **sorted = mem_try(n, sizeof *sorted, "keys", c->e);
    if (!sorted)
        return c->ok = false;
    for (uint64_t i = 0; i < n; i++)
        sorted[i] = c->part->keys + i;
    qsort(sorted, n, sizeof *sorted, cmp_keys);
    for (uint64_t i = 1; i < n; i++)
        if (!strcmp(sorted[i - 1]->name, sorted[i]->name)) {
            c->at = (uint64_t)(sorted[i]->raw - c->p);
            c->name = sorted[i]->name;
            fail(c, "it is there twice, as key %llu and key %llu",
                 (unsigned long long)(sorted[i - 1] - c->part->keys) + 1,
                 (unsigned long long)(sorted[i] - c->part->keys) + 1);
            break;
        }
    free(sorted);
    return c->ok;
}

static bool read_alignment(struct cur *c)
{
    c->part->alignment = 32; /* GGUF_DEFAULT_ALIGNMENT */
    const struct gg_key *k = gg_part_find(c->part, "general.alignment");
    if (!k)
        return true;
    c->at = (uint64_t)(k->raw - c->p);
    c->name = k->name;
    if (k->kind != GG_U32) {
        fail(c, "it is %s, expected u32", gg_kind_name(k->kind));
        return false;
    }
    uint64_t a = gg_get_le(k->value, 4);
    if (a == 0 || (a & (a - 1)))
        fail(c, "%llu is not a power of two", (unsigned long long)a);
    c->part->alignment = a;
    return c->ok;
}

static bool read_keys(struct cur *c, uint64_t n)
{
    c->thing = "key";
    c->count = n;
    for (uint64_t i = 0; i < n; i++) {
        c->index = i;
        struct gg_key *k =
            grow_try(c->part->keys, i, &c->key_cap, n, sizeof *k, "the keys of a header", c->e);
        if (!k)
            return c->ok = false;
        c->part->keys = k;
        k += i;
        *k = (struct gg_key){0};
        if (!read_key(c, k))
            return false;
        c->part->n_keys++;
    }
    bool ok = check_keys_unique(c) && read_alignment(c);
    c->thing = c->name = NULL;
    return ok;
}

/* ---- tensors ---- */

/* How many elements it may have. The bound is the engine's: below INT64_MAX at every step. */
static void check_elements(struct cur *c, const struct gg_tensor *t)
{
    uint64_t n = 1;
    for (int j = 0; j < MAX_DIMS; j++) {
        if (t->ne[j] == 0)
            continue;
        if (j > 0 && INT64_MAX / t->ne[j] <= n)
            fail(c, "the shape %llu x %llu x %llu x %llu has too many elements, expected less than %lld",
                 (unsigned long long)t->ne[0], (unsigned long long)t->ne[1], (unsigned long long)t->ne[2],
                 (unsigned long long)t->ne[3], (long long)INT64_MAX);
        else
            n *= t->ne[j];
    }
}

static void read_shape(struct cur *c, struct gg_tensor *t)
{
    t->n_dims = cur_u32(c, "the number of dimensions");
    if (t->n_dims > MAX_DIMS)
        fail(c, "it has %u dimensions, expected at most %d", t->n_dims, MAX_DIMS);
    for (uint32_t j = 0; j < MAX_DIMS; j++) {
        t->ne[j] = 1;
        if (!c->ok || j >= t->n_dims)
            continue;
        t->ne[j] = cur_u64(c, "the shape");
        if (t->ne[j] > INT64_MAX)
            fail(c, "dimension %u has %lld elements, expected 0 or more", j, (long long)t->ne[j]);
    }
    if (t->n_dims == 0)
        t->n_dims = 1;
}

static void read_type(struct cur *c, struct gg_tensor *t)
{
    if (c->ok)
        check_elements(c, t);
    t->type = cur_u32(c, "the type");
    const struct gg_type *type = gg_type_get(t->type);
    if (!c->ok)
        return;
    if (!type) {
        fail(c, "tensor type %u is not known", t->type);
        return;
    }
    if (t->ne[0] % type->block)
        fail(c, "a row of %llu elements is not a multiple of the %u that a block of %s has",
             (unsigned long long)t->ne[0], type->block, type->name);
    else if (t->ne[1] % type->rows)
        fail(c, "%llu rows are not a multiple of the %u that %s weaves together",
             (unsigned long long)t->ne[1], type->rows, type->name);
    else if (!gg_type_size(type, t->ne, &t->bytes))
        fail(c, "the shape %llu x %llu x %llu x %llu of type %s is more bytes than a file can have",
             (unsigned long long)t->ne[0], (unsigned long long)t->ne[1], (unsigned long long)t->ne[2],
             (unsigned long long)t->ne[3], type->name);
}

/* t->off: relative to the data section. *next is the running sum of padded sizes, which offsets must equal
 * exactly. */
static void read_offset(struct cur *c, struct gg_tensor *t, uint64_t *next)
{
    t->off = cur_u64(c, "the offset");
    if (!c->ok)
        return;
    if (t->off != *next) {
        fail(c, "its data is at offset %llu, expected %llu (behind the tensor before it, without a gap)",
             (unsigned long long)t->off, (unsigned long long)*next);
        return;
    }
    uint64_t padded, a = c->part->alignment;
    if (!add_u64(t->bytes, a - 1, &padded) || !add_u64(*next, padded / a * a, next))
        fail(c, "its %llu bytes at offset %llu end behind what 64 bits can count",
             (unsigned long long)t->bytes, (unsigned long long)t->off);
}

static bool read_tensors(struct cur *c, uint64_t n)
{
    uint64_t next = 0, first = c->part->first_tensor;
    c->thing = "tensor";
    c->count = n;
    for (uint64_t i = 0; i < n; i++) {
        c->index = i;
        c->name = NULL;
        struct gg_tensor *t = grow_try(c->f->tensors, first + i, &c->tensor_cap, first + n, sizeof *t,
                                       "the tensors of a header", c->e);
        if (!t)
            return c->ok = false;
        c->f->tensors = t;
        t += first + i;
        *t = (struct gg_tensor){.part = (uint32_t)(c->part - c->f->parts)};
        c->name = t->name = cur_name(c, MAX_NAME - 1);
        read_shape(c, t);
        read_type(c, t);
        read_offset(c, t, &next);
        if (!c->ok)
            return false;
        c->part->n_tensors++;
    }
    c->thing = c->name = NULL;
    return true;
}

/* The offsets become positions in the file, and all data must lie inside it. The padding behind the last
 * tensor may be missing, as for the engine's loader. */
static bool place_data(struct cur *c)
{
    struct gg_part *p = c->part;
    struct gg_tensor *t = c->f->tensors ? c->f->tensors + p->first_tensor : NULL; /* a file without tensors */
    p->data_off = p->n_tensors ? gg_align(c->pos, p->alignment) : c->pos;
    c->at = c->pos;
    if (p->data_off > c->file_size)
        fail(c, "the file ends before the data section: it has %llu bytes, the data starts at byte %llu",
             (unsigned long long)c->file_size, (unsigned long long)p->data_off);
    const struct gg_tensor *cut = NULL;
    uint64_t end = p->data_off;
    for (uint64_t i = 0; c->ok && i < p->n_tensors; i++) {
        if (!add_u64(t[i].off, p->data_off, &t[i].off) || !add_u64(t[i].off, t[i].bytes, &end)) {
            fail(c, "the data section ends behind what 64 bits can count");
            break;
        }
        if (end > c->file_size && !cut)
            cut = &t[i];
    }
    if (c->ok && cut) {
        char shown[TEXT_SHOWN];
        c->ok = err_set(
            c->e, ERR_INPUT,
            "the file is truncated: %llu bytes are missing (it has %llu, the tensor data ends at byte "
            "%llu); the first tensor that is cut is '%s'",
            (unsigned long long)(end - c->file_size), (unsigned long long)c->file_size,
            (unsigned long long)end, text_shown(shown, sizeof shown, cut->name));
    }
    return c->ok;
}

/* ---- a whole header ---- */

static bool read_magic(struct cur *c)
{
    const uint8_t *m = cur_take(c, 4, "the magic");
    if (!m)
        return false;
    if (memcmp(m, "GGUF", 4) != 0) {
        char s[5] = {0};
        for (int i = 0; i < 4; i++)
            s[i] = m[i] >= 0x20 && m[i] < 0x7f ? (char)m[i] : '?';
        fail(c, "not a GGUF file: it begins with '%s', expected 'GGUF'", s);
        return false;
    }
    uint32_t v = c->part->version = cur_u32(c, "the version");
    if (!c->ok)
        return false;
    if (v && !(v & 0xffff)) /* the engine's test: the bytes of a small number, swapped */
        fail(c, "a big-endian GGUF file, expected little-endian");
    else if (v != 2 && v != 3)
        fail(c, "GGUF version %u, expected 2 or 3", v);
    return c->ok;
}

static uint64_t read_count(struct cur *c, const char *what, uint64_t each)
{
    uint64_t n = cur_u64(c, what);
    uint64_t room = (c->file_size - c->pos) / each;
    if (c->ok && n > room)
        fail(c, "%s is %llu, the file has room for at most %llu", what, (unsigned long long)n,
             (unsigned long long)room);
    return n;
}

static bool read_header(struct cur *c)
{
    if (!read_magic(c))
        return false;
    uint64_t n_tensors = read_count(c, "the number of tensors", MIN_TENSOR);
    uint64_t n_keys = read_count(c, "the number of keys", MIN_KEY);
    return c->ok && read_keys(c, n_keys) && read_tensors(c, n_tensors) && place_data(c);
}

static void header_free(struct header *h)
{
    if (!h)
        return;
    for (struct chunk *k = h->names, *next; k; k = next) {
        next = k->next;
        free(k);
    }
    free(h->bytes);
    free(h);
}

/* Forgets what was read of the last part; it can be parsed again. */
static void part_reset(struct gg_file *f, struct gg_part *p)
{
    header_free(p->header);
    free(p->keys);
    p->header = NULL;
    p->keys = NULL;
    p->n_keys = p->n_tensors = 0;
    f->n_tensors = p->first_tensor;
}

/* Parses p[0..size) into part, the last of f. bytes: what to free with it, or NULL. If it fails because the
 * window is too small, *want says how much is needed, else *want is 0. */
static bool parse(struct gg_file *f, struct gg_part *part, const uint8_t *p, uint64_t size, uint64_t *want,
                  struct err *e)
{
    struct header *h = part->header = xcalloc(1, sizeof *h);
    struct cur c = {
        .p = p, .size = size, .file_size = part->size, .ok = true, .f = f, .part = part, .h = h, .e = e};
    part->first_tensor = c.tensor_cap = f->n_tensors;
    bool ok = read_header(&c);
    *want = c.want;
    if (!ok)
        part_reset(f, part);
    else
        f->n_tensors += part->n_tensors;
    return ok;
}

static struct gg_part *part_add(struct gg_file *f)
{
    f->parts = xrealloc(f->parts, (size_t)f->n_parts + 1, sizeof *f->parts);
    struct gg_part *p = &f->parts[f->n_parts++];
    *p = (struct gg_part){.fd = -1};
    return p;
}

static void part_drop(struct gg_file *f)
{
    struct gg_part *p = &f->parts[--f->n_parts];
    part_reset(f, p);
    if (p->fd >= 0)
        close(p->fd);
    free(p->path);
}

/* Reads ever larger windows from the start of the file until the header fits. */
static bool read_windows(struct gg_file *f, struct gg_part *part, struct err *e)
{
    uint64_t most = part->size < MAX_HEADER ? part->size : MAX_HEADER;
    uint64_t size = most < FIRST_WINDOW ? most : FIRST_WINDOW, have = 0;
    uint8_t *bytes = NULL;
    for (;;) {
        uint8_t *p = realloc(bytes, size ? size : 1);
        if (!p) {
            err_set(e, ERR_FAILED, "cannot allocate %llu bytes for the header", (unsigned long long)size);
            break;
        }
        bytes = p;
        if (!file_pread(part->fd, bytes + have, size - have, have, e))
            break;
        have = size;
        struct err pe = {0};
        uint64_t want;
        if (parse(f, part, bytes, size, &want, &pe)) {
            ((struct header *)part->header)->bytes = bytes;
            return true;
        }
        if (want <= size || want > most) {
            err_set(e, pe.code, "%s", pe.msg);
            break;
        }
        size = size > most / 4 ? most : size * 4;
        if (size < want)
            size = want;
    }
    free(bytes);
    return false;
}

bool gg_part_read(struct gg_file *f, const char *path, struct err *e)
{
    struct gg_part *p = part_add(f);
    p->first_tensor = f->n_tensors;
    p->path = xstrdup(path);
    p->fd = file_open_read(path, &p->size, e);
    if (p->fd >= 0 && read_windows(f, p, e))
        return true;
    if (p->fd >= 0)
        err_ctx(e, "%s", path);
    part_drop(f);
    return false;
}

bool gg_parse(const uint8_t *p, uint64_t size, uint64_t file_size, struct gg_file *f, struct err *e)
{
    *f = (struct gg_file){0};
    struct gg_part *part = part_add(f);
    part->size = file_size;
    uint64_t want;
    if (size > file_size)
        BUG("%llu bytes of a file of %llu", (unsigned long long)size, (unsigned long long)file_size);
    if (parse(f, part, p, size, &want, e) && gg_index(f, e))
        return true;
    gg_clear(f);
    return false;
}

static int cmp_tensors(const void *a, const void *b)
{
    const struct gg_tensor *x = *(const struct gg_tensor *const *)a, *y = *(const struct gg_tensor *const *)b;
    int r = strcmp(x->name, y->name);
    return r ? r : x < y ? -1 : x > y;
}

bool gg_index(struct gg_file *f, struct err *e)
{
    f->by_name = mem_try(f->n_tensors, sizeof *f->by_name, "the index of tensors", e);
    if (!f->by_name)
        return false;
    for (uint64_t i = 0; i < f->n_tensors; i++)
        f->by_name[i] = f->tensors + i;
    qsort(f->by_name, f->n_tensors, sizeof *f->by_name, cmp_tensors);
    for (uint64_t i = 1; i < f->n_tensors; i++) {
        const struct gg_tensor *x = f->by_name[i - 1], *y = f->by_name[i];
        if (strcmp(x->name, y->name) != 0)
            continue;
        char shown[TEXT_SHOWN];
        text_shown(shown, sizeof shown, y->name);
        if (x->part != y->part)
            return err_set(e, ERR_INPUT, "tensor '%s' is there twice, in part %u and in part %u", shown,
                           x->part + 1, y->part + 1);
        uint64_t first = f->parts[y->part].first_tensor;
        return err_set(e, ERR_INPUT, "tensor '%s' is there twice, as tensor %llu and tensor %llu", shown,
                       (unsigned long long)((uint64_t)(x - f->tensors) - first + 1),
                       (unsigned long long)((uint64_t)(y - f->tensors) - first + 1));
    }
    return true;
}

void gg_clear(struct gg_file *f)
{
    while (f->n_parts)
        part_drop(f);
    free(f->parts);
    free(f->tensors);
    free((void *)f->by_name);
    *f = (struct gg_file){0};
}

void gg_free(struct gg_file *f)
{
    if (!f)
        return;
    gg_clear(f);
    free(f);
}
