/* image.c - makes the bytes of a laid out GGUF file, window by window.
 *
 * A tensor whose bytes are a plain run of a source (most are) is read straight into the caller's memory.
 * Everything else goes through a window: some rows of one matrix, for which one range of the source is read,
 * gathered by strides, scaled, and stored in the output type. The layout (match.c) has checked all shapes, so
 * no index here can leave its source. */
#include "convert/image_part.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/sig.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#define WINDOW          (1u << 20)
#define TURN            4u         /* windows in which rows become columns are so much larger: longer runs */
#define TURN_MOST       (8u << 20) /* but not above this, whatever the number of threads */
#define THREAD_ELEMENTS 16384u     /* the least that a thread is started for */
#define MX_BLOCK        16u        /* bytes of codes for 32 values in a checkpoint */
#define MX_OUT          17u        /* and in GGUF, with the scale in front */
#define MX_VALUES       32u

struct image_reader {
    const struct hf_checkpoint *c;
    convert_quantizer *quantize;
    const uint64_t *window;
    uint64_t threads;
    /* the window */
    const struct image_tensor *t; /* NULL: none */
    uint64_t slice, row, n_rows;
    uint8_t *bytes;
    uint64_t cap;
    /* what it is made of */
    uint8_t *raw;
    uint64_t raw_cap;
    float *line; /* a row for each thread */
    uint64_t line_cap;
    struct packed_reader packed;
};

void image_init_reader(struct image *im, const struct hf_checkpoint *c, const struct convert_opts *o)
{
    im->reader = xcalloc(1, sizeof *im->reader);
    im->reader->c = im->reader->packed.c = c;
    im->reader->quantize = o->quantize;
    im->reader->threads = o->threads ? o->threads : 1;
    im->window = WINDOW * (o->threads > 16 ? 16 : im->reader->threads);
    im->reader->window = &im->window;
}

void image_free(struct image *im)
{
    if (!im)
        return;
    for (uint64_t i = 0; i < im->n_tensors; i++)
        if (im->tensors[i].made) {
            free(im->tensors[i].made->sources);
            free(im->tensors[i].made->values);
            free(im->tensors[i].made);
        }
    free(im->tensors);
    if (im->reader) {
        free(im->reader->bytes);
        free(im->reader->raw);
        free(im->reader->line);
        packed_clear(&im->reader->packed);
        free(im->reader);
    }
    forms_free(im->forms);
    buf_clear(&im->header);
    free(im);
}

/* Room for n items of `size` bytes; the content is lost. */
static bool room(void *pp, uint64_t *cap, uint64_t n, uint64_t size, struct err *e)
{
    void *p;
    if (n <= *cap)
        return true;
    memcpy(&p, pp, sizeof p);
    free(p);
    p = NULL;
    *cap = 0;
    memcpy(pp, &p, sizeof p);
    p = mem_try(n, size, "the conversion", e);
    if (!p)
        return false;
    memcpy(pp, &p, sizeof p);
    *cap = n;
    return true;
}

bool image_read_tensor(const struct hf_checkpoint *c, const struct hf_tensor *t, uint64_t off, uint64_t n,
                       void *dst, struct err *e)
{
    if (off > t->bytes || n > t->bytes - off)
        BUG("tensor '%s': bytes %llu + %llu of %llu", t->name, (unsigned long long)off, (unsigned long long)n,
            (unsigned long long)t->bytes);
    const struct hf_file *f = &c->files[t->file];
    return file_pread(f->fd, dst, n, t->off + off, e) || err_ctx(e, "%s: tensor '%.200s'", f->name, t->name);
}

static bool read_source(const struct image_reader *r, const struct hf_tensor *t, uint64_t off, uint64_t n,
                        void *dst, struct err *e)
{
    return image_read_tensor(r->c, t, off, n, dst, e);
}

static const struct image_source *source_of(const struct made *m, uint64_t slice)
{
    return &m->sources[m->n_sources > 1 ? slice : 0];
}

static uint64_t first_of(const struct made *m, uint64_t slice)
{
    return m->base + slice * m->slice_step;
}

/* Where element i of what the parts make comes from, and how many behind it follow there. */
static uint64_t part_at(const struct made_part *p, uint64_t i, uint64_t *follow)
{
    while (i >= p->outer * p->inner * p->run) { /* the last part holds all that are behind the others */
        i -= p->outer * p->inner * p->run;
        p++;
    }
    uint64_t in = i % (p->inner * p->run);
    *follow = p->run - in % p->run;
    return p->base + i / (p->inner * p->run) * p->outer_step + in / p->run * p->inner_step + in % p->run;
}

static uint64_t source_row(const struct made *m, uint64_t r)
{
    uint64_t follow;
    if (m->n_row_parts)
        return part_at(m->row_parts, r, &follow);
    if (!m->head)
        return r;
    uint64_t in = r % m->head;
    return r - in + (in & 1) * (m->head / 2) + in / 2;
}

static uint64_t row_bytes(const struct image_tensor *t)
{
    const struct gg_type *type = gg_type_get(t->type);
    return t->ne[0] / type->block * type->bytes;
}

/* ---- windows ---- */

/* Rows are columns of the source, of which a window takes a piece of each row. Not of what must be decoded row by
 * row, or where rows change places: the window is then the whole matrix. */
static bool is_turned(const struct made *m, uint64_t slice)
{
    return m->col_step > m->row_step && !m->head && !m->n_row_parts && !source_of(m, slice)->packed;
}

/* How many rows are made at once: what fits a window. */
static uint64_t window_rows(const struct image_reader *r, const struct image_tensor *t, uint64_t slice)
{
    const struct made *m = t->made;
    bool turned = m->value != V_CONST && m->value != V_MXFP4 && m->col_step != 1;
    if (turned && !is_turned(m, slice))
        return m->rows;
    uint64_t bytes = row_bytes(t), window = *r->window;
    if (turned)
        window = window < TURN_MOST / TURN ? window * TURN : TURN_MOST;
    else if (m->value == V_AS_IS && m->row_step * 4 > bytes)
        bytes = m->row_step * 4;
    uint64_t n = window / (bytes ? bytes : 1);
    if (m->head)
        n -= n % m->head;
    if (!n)
        n = m->head ? m->head : 1;
    return n < m->rows ? n : m->rows;
}

/* The n blocks of a window as F32: of a byte the lower value comes first; a block's scale is 2^(byte - 127). */
static void decode_mxfp4(struct image_reader *r, const struct made *m, uint64_t n)
{
    float *out = (float *)(void *)r->bytes;
    for (uint64_t row = 0; row < r->n_rows; row++)
        for (uint64_t c = 0; c < m->cols; c++) {
            uint64_t block = row * m->row_step + c;
            const uint8_t *in = r->raw + block * MX_BLOCK;
            float scale;
            num_load(N_E8M0, r->raw + n * MX_BLOCK + block, 1, 1, &scale);
            for (uint32_t j = 0; j < MX_BLOCK; j++) {
                *out++ = packed_float4(in[j] & 15) * scale;
                *out++ = packed_float4(in[j] >> 4) * scale;
            }
        }
}

static bool make_mxfp4(struct image_reader *r, const struct image_tensor *t, struct err *e)
{
    const struct made *m = t->made;
    const struct image_source *s = source_of(m, r->slice);
    uint64_t first = first_of(m, r->slice) + r->row * m->row_step;
    uint64_t n = (r->n_rows - 1) * m->row_step + m->cols;
    if (!room(&r->raw, &r->raw_cap, n * MX_OUT, 1, e) ||
        !read_source(r, s->w, first * MX_BLOCK, n * MX_BLOCK, r->raw, e) ||
        !read_source(r, s->packed->parts[PART_SCALE], first, n, r->raw + n * MX_BLOCK, e))
        return false;
    if (t->type != T_MXFP4) {
        decode_mxfp4(r, m, n);
        return true;
    }
    uint8_t *out = r->bytes;
    for (uint64_t row = 0; row < r->n_rows; row++)
        for (uint64_t c = 0; c < m->cols; c++, out += MX_OUT) {
            const uint8_t *in = r->raw + (row * m->row_step + c) * MX_BLOCK;
            out[0] = r->raw[n * MX_BLOCK + row * m->row_step + c];
            /* from values 2j and 2j+1 in byte j to values j and j+16 */
            for (uint32_t j = 0; j < MX_BLOCK; j++) {
                uint32_t lo = in[j / 2] >> (j % 2 * 4) & 15, hi = in[8 + j / 2] >> (j % 2 * 4) & 15;
                out[1 + j] = (uint8_t)(lo | hi << 4);
            }
        }
    return true;
}

/* Ids that lie in a row in both. */
static bool make_ids(struct image_reader *r, const struct image_tensor *t, struct err *e)
{
    const struct made *m = t->made;
    const struct hf_tensor *w = source_of(m, r->slice)->w;
    uint64_t size = w->dtype->bits / 8, n = r->n_rows * m->cols;
    uint64_t first = first_of(m, r->slice) + r->row * m->row_step;
    if (!room(&r->raw, &r->raw_cap, n * size, 1, e) || !read_source(r, w, first * size, n * size, r->raw, e))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t id = 0;
        for (uint64_t b = 0; b < size; b++)
            id |= (uint64_t)r->raw[i * size + b] << (8 * b);
        if (id >= m->below)
            return err_set(e, ERR_INPUT, "tensor '%.200s': row %llu names expert %lld, expected 0 to %llu",
                           w->name, (unsigned long long)(r->row + i / m->cols), (long long)id,
                           (unsigned long long)m->below - 1);
        for (uint32_t b = 0; b < 4; b++)
            r->bytes[4 * i + b] = (uint8_t)(id >> (8 * b));
    }
    return true;
}

/* Two vectors, each widened, in float. */
static bool make_product(struct image_reader *r, const struct image_tensor *t, struct err *e)
{
    const struct made *m = t->made;
    float *out = (float *)(void *)r->bytes;
    for (uint64_t k = 0; k < m->n_sources; k++) {
        const struct hf_tensor *w = m->sources[k].w;
        enum num num = num_of(w->dtype);
        uint64_t bytes = m->cols * num_bytes(num);
        if (!room(&r->line, &r->line_cap, m->cols, sizeof(float), e) ||
            !room(&r->raw, &r->raw_cap, bytes, 1, e) || !read_source(r, w, 0, bytes, r->raw, e))
            return false;
        num_load(num, r->raw, 1, m->cols, r->line);
        for (uint64_t c = 0; c < m->cols; c++)
            out[c] = k ? out[c] * r->line[c] : r->line[c];
    }
    return true;
}

static bool same_number(uint32_t type, enum num num)
{
    return (type == T_F32 && num == N_F32) || (type == T_F16 && num == N_F16) ||
           (type == T_BF16 && num == N_BF16);
}

static enum num num_as_read(const struct image_source *s)
{
    return s->packed ? N_F32 : num_of(s->w->dtype);
}

/* Rows [from, to) of the window, made by one thread. */
struct job {
    const struct image_reader *r;
    const struct image_tensor *t;
    const struct image_source *s;
    enum num num;
    uint64_t start, first; /* elements of the source: of the slice, of raw */
    uint64_t run; /* raw holds runs of so many elements, one for each column; 0: the range as it is */
    uint64_t from, to;
    float *line; /* one row, and room for another where columns change places */
    struct err err;
    pthread_t thread;
    bool started;
};

/* The row's values in the order that the parts say, through `room`. */
static void turn_columns(const struct made *m, float *line, float *room)
{
    uint64_t follow;
    memcpy(room, line, m->cols * sizeof *line);
    for (uint64_t c = 0; c < m->cols; c += follow) {
        uint64_t from = part_at(m->col_parts, c, &follow);
        follow = follow < m->cols - c ? follow : m->cols - c;
        memcpy(line + c, room + from, follow * sizeof *line);
    }
}

static bool store_row(struct job *j, uint8_t *dst)
{
    const struct made *m = j->t->made;
    for (uint64_t c = 0; (m->value == V_NEG_EXP || m->value == V_EXP) && c < m->cols; c++)
        j->line[c] = (float)exp((double)j->line[c]); /* rounded once, whatever the C library */
    for (uint64_t c = 0; m->value == V_NEG_EXP && c < m->cols; c++)
        j->line[c] = -j->line[c];
    for (uint64_t c = 0; m->value == V_PLUS_ONE && c < m->cols; c++)
        j->line[c] += 1;
    for (uint64_t c = 0; m->value == V_TIMES && c < m->cols; c++)
        j->line[c] *= m->times;
    if (m->n_col_parts)
        turn_columns(m, j->line, j->line + m->cols);
    if (j->t->type == T_F32 || j->t->type == T_F16 || j->t->type == T_BF16) {
        num_store(j->t->type, j->line, m->cols, dst);
        return true;
    }
    return j->r->quantize(j->t->type, j->line, 1, m->cols, dst, &j->err) ||
           err_ctx(&j->err, "tensor '%s'", j->t->name);
}

static void *make_rows(void *arg)
{
    struct job *j = arg;
    const struct made *m = j->t->made;
    uint64_t size = num_bytes(j->num), bytes = row_bytes(j->t);
    bool copy = same_number(j->t->type, j->num) && m->col_step == 1 && !m->n_col_parts && m->value == V_AS_IS;
    for (uint64_t i = j->from; i < j->to; i++) {
        uint64_t at = j->start + source_row(m, j->r->row + i) * m->row_step;
        const uint8_t *p = j->r->raw + (m->n_row_parts || j->run ? i * m->row_step : at - j->first) * size;
        uint8_t *dst = j->r->bytes + i * bytes;
        if (copy) {
            memcpy(dst, p, bytes);
            continue;
        }
        num_load(j->num, p, j->run ? j->run : m->col_step, m->cols, j->line);
        if (!store_row(j, dst))
            break;
    }
    return NULL;
}

/* n_rows of some work in equal parts, each large enough to be worth a thread. */
static bool run_jobs(struct image_reader *r, const struct job *all, void *(*work)(void *), uint64_t n_rows,
                     uint64_t cols, struct err *e)
{
    uint64_t n = n_rows * cols / THREAD_ELEMENTS;
    n = n > r->threads ? r->threads : n;
    n = n > n_rows ? n_rows : n;
    n = n ? n : 1;
    if (!room(&r->line, &r->line_cap, n * cols, sizeof(float), e))
        return false;
    struct job *jobs = xcalloc(n, sizeof *jobs);
    for (uint64_t i = 0; i < n; i++) {
        jobs[i] = *all;
        jobs[i].from = n_rows * i / n;
        jobs[i].to = n_rows * (i + 1) / n;
        jobs[i].line = r->line + i * cols;
        jobs[i].started = i && pthread_create(&jobs[i].thread, NULL, work, &jobs[i]) == 0;
    }
    for (uint64_t i = 0; i < n; i++)
        if (!jobs[i].started)
            work(&jobs[i]);
    for (uint64_t i = 0; i < n; i++) {
        if (jobs[i].started)
            pthread_join(jobs[i].thread, NULL);
        if (jobs[i].err.code != ERR_NONE)
            err_set(e, jobs[i].err.code, "%s", jobs[i].err.msg);
    }
    free(jobs);
    return e->code == ERR_NONE;
}

/* Rows of the source that are stored in few bits, into raw as floats. */
static void *decode_rows(void *arg)
{
    const struct job *j = arg;
    const struct packed *p = j->s->packed;
    packed_decode(&j->r->packed, j->start + j->from, j->to - j->from,
                  (float *)(void *)j->r->raw + (j->first + j->from) * p->cols);
    return NULL;
}

/* The rows of the source that hold elements [from, from + n), as floats into raw, from its row `at` on; *first: the
 * first element of them. */
static bool read_packed(struct image_reader *r, const struct image_source *s, uint64_t from, uint64_t n,
                        uint64_t at, uint64_t *first, struct err *e)
{
    const struct packed *p = s->packed;
    uint64_t row = from / p->cols, end = (from + n + p->cols - 1) / p->cols;
    *first = row * p->cols;
    if (!room(&r->raw, &r->raw_cap, (at + end - row) * p->cols * sizeof(float), 1, e))
        return false;
    for (uint64_t done = 0; row < end;) { /* as many as one matrix has */
        uint64_t matrix = row / p->rows, in = row % p->rows, rows = p->rows - in;
        struct job j = {.r = r, .s = s, .start = in, .first = at + done};
        rows = rows < end - row ? rows : end - row;
        if (!packed_load(&r->packed, p, matrix, in, rows, e) ||
            !run_jobs(r, &j, decode_rows, rows, p->cols, e))
            return false;
        row += rows;
        done += rows;
    }
    return true;
}

/* The rows of the window, run after run, one behind the other. */
static bool read_parts(struct image_reader *r, const struct made *m, const struct image_source *s,
                       uint64_t start, uint64_t size, struct err *e)
{
    uint64_t follow, first, row_size = m->row_step * size;
    if (!room(&r->raw, &r->raw_cap, r->n_rows * row_size, 1, e))
        return false;
    for (uint64_t i = 0; i < r->n_rows; i += follow) {
        uint64_t from = start + part_at(m->row_parts, r->row + i, &follow) * m->row_step;
        follow = follow < r->n_rows - i ? follow : r->n_rows - i;
        if (s->packed ? !read_packed(r, s, from, follow * m->row_step, i, &first, e)
                      : !read_source(r, s->w, from * size, follow * row_size, r->raw + i * row_size, e))
            return false;
    }
    return true;
}

/* The rows of the window, which are columns of the source: a run of each of its rows. */
static bool read_turned(struct image_reader *r, const struct made *m, const struct image_source *s,
                        uint64_t start, uint64_t run, uint64_t size, struct err *e)
{
    bool ok = room(&r->raw, &r->raw_cap, m->cols * run * size, 1, e);
    for (uint64_t c = 0; ok && c < m->cols; c++)
        ok = read_source(r, s->w, (start + r->row * m->row_step + c * m->col_step) * size, run * size,
                         r->raw + c * run * size, e);
    return ok;
}

static bool make_numbers(struct image_reader *r, const struct image_tensor *t, struct err *e)
{
    const struct made *m = t->made;
    const struct image_source *s = source_of(m, r->slice);
    struct job j = {.r = r, .t = t, .s = s, .num = num_as_read(s), .start = first_of(m, r->slice)};
    uint64_t size = num_bytes(j.num);
    /* the range of the source that holds all rows: whole heads where rows change places inside them */
    uint64_t lo = r->row, hi = r->row + r->n_rows;
    if (m->head) {
        lo -= lo % m->head;
        hi = (hi + m->head - 1) / m->head * m->head;
    }
    j.first = j.start + lo * m->row_step;
    uint64_t n = (hi - lo - 1) * m->row_step + (m->cols - 1) * m->col_step + 1;
    if (m->col_step != 1 && r->n_rows < m->rows)
        j.run = (r->n_rows - 1) * m->row_step + 1;
    bool ok = j.run            ? read_turned(r, m, s, j.start, j.run, size, e)
              : m->n_row_parts ? read_parts(r, m, s, j.start, size, e)
              : s->packed      ? read_packed(r, s, j.first, n, 0, &j.first, e)
                               : room(&r->raw, &r->raw_cap, n * size, 1, e) &&
                                read_source(r, s->w, j.first * size, n * size, r->raw, e);
    return ok && run_jobs(r, &j, make_rows, r->n_rows, m->cols * (m->n_col_parts ? 2 : 1), e);
}

static bool make_window(struct image_reader *r, const struct image_tensor *t, uint64_t slice, uint64_t row,
                        struct err *e)
{
    const struct made *m = t->made;
    uint64_t per_window = window_rows(r, t, slice);
    row -= row % per_window;
    if (r->t == t && r->slice == slice && r->row == row)
        return true;
    r->t = NULL;
    r->slice = slice;
    r->row = row;
    r->n_rows = m->rows - row < per_window ? m->rows - row : per_window;
    if (!room(&r->bytes, &r->cap, r->n_rows * row_bytes(t), 1, e))
        return false;
    bool ok = true;
    if (m->value == V_CONST)
        num_store(T_F32, m->values + row * m->cols, r->n_rows * m->cols, r->bytes);
    else
        ok = m->value == V_MXFP4     ? make_mxfp4(r, t, e)
             : m->value == V_IDS     ? make_ids(r, t, e)
             : m->value == V_PRODUCT ? make_product(r, t, e)
                                     : make_numbers(r, t, e);
    if (ok)
        r->t = t;
    return ok;
}

/* Whether a slice's bytes are one run of its source. */
static bool is_run(const struct image_tensor *t)
{
    const struct made *m = t->made;
    const struct image_source *s = m->sources;
    return m->value == V_AS_IS && !m->head && !m->n_row_parts && !m->n_col_parts && m->col_step == 1 &&
           m->row_step == m->cols && !s->packed && same_number(t->type, num_of(s->w->dtype));
}

static bool same_dtype(const struct made *m) /* a stack may be made of several */
{
    for (uint64_t i = 1; i < m->n_sources; i++)
        if (m->sources[i].w->dtype != m->sources[0].w->dtype || m->sources[i].packed)
            return false;
    return true;
}

/* As many bytes of a tensor from `off` on as come from one place, at most n; their count in *done. */
static bool read_some(struct image_reader *r, const struct image_tensor *t, uint64_t off, uint64_t n,
                      void *dst, uint64_t *done, struct err *e)
{
    const struct made *m = t->made;
    uint64_t row_n = row_bytes(t), slice_n = m->rows * row_n, slice = off / slice_n, in = off % slice_n;
    if (is_run(t) && same_dtype(m)) {
        *done = slice_n - in < n ? slice_n - in : n;
        uint64_t size = num_bytes(num_of(m->sources->w->dtype));
        return read_source(r, source_of(m, slice)->w, first_of(m, slice) * size + in, *done, dst, e);
    }
    if (!make_window(r, t, slice, in / row_n, e))
        return false;
    uint64_t at = in - r->row * row_n, left = r->n_rows * row_n - at;
    *done = left < n ? left : n;
    memcpy(dst, r->bytes + at, *done);
    return true;
}

/* The last tensor that begins at or before off; NULL: none. */
static const struct image_tensor *tensor_at(const struct image *im, uint64_t off)
{
    uint64_t lo = 0, hi = im->n_tensors;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (im->tensors[mid].off <= off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? &im->tensors[lo - 1] : NULL;
}

bool image_read(struct image *im, uint64_t off, uint64_t n, void *dst, struct err *e)
{
    uint8_t *out = dst;
    if (off > im->size || n > im->size - off)
        return err_set(e, ERR_FAILED, "bytes %llu + %llu of a file of %llu", (unsigned long long)off,
                       (unsigned long long)n, (unsigned long long)im->size);
    while (n) {
        uint64_t done;
        const struct image_tensor *t = off < im->header.n ? NULL : tensor_at(im, off);
        if (off < im->header.n) {
            done = im->header.n - off < n ? im->header.n - off : n;
            memcpy(out, im->header.s + off, done);
        } else if (t && off - t->off < t->bytes) {
            if (!read_some(im->reader, t, off - t->off,
                           t->bytes - (off - t->off) < n ? t->bytes - (off - t->off) : n, out, &done, e))
                return false;
        } else { /* padding up to the next tensor or the end */
            const struct image_tensor *next = t ? t + 1 : im->tensors;
            uint64_t end = next < im->tensors + im->n_tensors ? next->off : im->size;
            done = end - off < n ? end - off : n;
            memset(out, 0, done);
        }
        off += done;
        out += done;
        n -= done;
    }
    return true;
}

/* Nothing that a conversion reads may be what it writes. */
static bool check_not_input(const struct hf_checkpoint *c, const char *path, struct err *e)
{
    bool hit = hf_files_hit(c->dir, path);
    for (uint32_t i = 0; i < c->n_files; i++)
        hit = hit || file_would_destroy(path, c->files[i].path);
    return !hit || err_set(e, ERR_INPUT, "the output '%s' is a file of the checkpoint", path);
}

bool convert_write(struct image *im, const char *path, bool force, struct err *e)
{
    struct out o;
    if (!check_not_input(im->reader->c, path, e) || !file_check_space(path, im->size, e) ||
        !out_open(&o, path, force, e))
        return false;
    struct progress p;
    uint8_t *buf = xmalloc(WINDOW);
    bool ok = true;
    progress_start(&p, "converting", "bytes", im->size, 0);
    for (uint64_t at = 0; ok && at < im->size;) {
        uint64_t n = im->size - at < WINDOW ? im->size - at : WINDOW;
        ok = sig_check(e) && image_read(im, at, n, buf, e) && out_write(&o, buf, n, e);
        at += n;
        progress_set(&p, at);
    }
    progress_end(&p);
    free(buf);
    if (ok && out_commit(&o, e))
        return true;
    out_abort(&o);
    return false;
}
