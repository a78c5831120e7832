/* packed.c - see packed.h. Sources of the formulas: docs/formats.md. */
#include "convert/packed.h"

#include "base/float.h"
#include "base/mem.h"
#include "convert/image_part.h"

#include <math.h>
#include <string.h>

/* Codes that are taken apart at once: what lies in columns gives some rows from the same bytes. */
#define ROWS  16u
#define CHUNK 512u

static const uint8_t awq_place[8] = {0, 4, 1, 5, 2, 6, 3, 7}; /* of row i of 8 */

static uint32_t word_at(const uint8_t *p)
{
    uint32_t u;
    memcpy(&u, p, sizeof u);
    return u;
}

/* A code of a run of 32-bit words that lie `step` bytes apart. */
static uint32_t code_of_words(const uint8_t *p, uint64_t step, uint64_t i, uint32_t bits)
{
    uint64_t at = i * bits, shift = at % 32;
    p += at / 32 * step;
    uint32_t v = word_at(p) >> shift;
    if (shift + bits > 32)
        v |= word_at(p + step) << (32 - shift);
    return v & ((1u << bits) - 1);
}

static uint32_t code_of_bytes(const uint8_t *p, uint64_t i, uint32_t bits)
{
    uint64_t at = i * bits, shift = at % 8;
    uint32_t v = p[at / 8];
    if (shift + bits > 8)
        v |= (uint32_t)p[at / 8 + 1] << 8;
    return v >> shift & ((1u << bits) - 1);
}

/* ---- what is loaded ---- */

/* Bytes [off, off + n) of a part, in new memory. */
static uint8_t *read_part(const struct packed_reader *x, const struct hf_tensor *t, uint64_t off, uint64_t n,
                          struct err *e)
{
    uint8_t *p = mem_try(n, 1, "scales", e);
    if (p && image_read_tensor(x->c, t, off, n, p, e))
        return p;
    free(p);
    return NULL;
}

static enum num num_of_scale(const struct hf_tensor *t)
{
    return strcmp(t->dtype->name, "U8") ? num_of(t->dtype) : N_E8M0; /* a byte is an exponent */
}

/* Numbers [at, at + n) of a part as floats. */
static float *read_floats(const struct packed_reader *x, const struct hf_tensor *t, uint64_t at, uint64_t n,
                          struct err *e)
{
    enum num num = num_of_scale(t);
    uint64_t size = num_bytes(num);
    float *v = mem_try(n, sizeof *v, "scales", e);
    uint8_t *raw = v ? read_part(x, t, at * size, n * size, e) : NULL;
    if (raw) {
        num_load(num, raw, 1, n, v);
    } else {
        free(v);
        v = NULL;
    }
    free(raw);
    return v;
}

/* Scales that are codes themselves: nested_map[code] * nested + offset. */
static float *read_nested(const struct packed_reader *x, const struct packed *p, uint64_t at, uint64_t n,
                          struct err *e)
{
    float *v = mem_try(n, sizeof *v, "scales", e), *map = NULL, *nested = NULL;
    uint8_t *raw = v ? read_part(x, p->parts[PART_SCALE], at, n, e) : NULL;
    uint64_t blocks = (n + p->nested_block - 1) / p->nested_block;
    bool ok = raw && (map = read_floats(x, p->parts[PART_NESTED_MAP], 0, 256, e)) &&
              (nested = read_floats(x, p->parts[PART_NESTED], 0, blocks, e));
    for (uint64_t i = 0; ok && i < n; i++)
        v[i] = map[raw[i]] * nested[i / p->nested_block] + p->nested_offset;
    free(map);
    free(nested);
    free(raw);
    if (!ok) {
        free(v);
        v = NULL;
    }
    return v;
}

static bool load_scales(struct packed_reader *x, const struct packed *p, uint64_t matrix, struct err *e)
{
    uint64_t at = matrix * p->scale_step;
    x->scale = p->parts[PART_NESTED] ? read_nested(x, p, at, p->n_scales, e)
                                     : read_floats(x, p->parts[PART_SCALE], at, p->n_scales, e);
    if (!x->scale || !p->parts[PART_GLOBAL])
        return x->scale != NULL;
    float *all = read_floats(x, p->parts[PART_GLOBAL], matrix * p->global_step, 1, e);
    for (uint64_t i = 0; all && i < p->n_scales; i++)
        x->scale[i] = p->divide ? x->scale[i] / *all : x->scale[i] * *all;
    free(all);
    return all != NULL;
}

/* The zero point of row r in group g, of those that are packed. */
static float zero_at(const struct packed *p, const uint8_t *raw, uint64_t r, uint64_t g)
{
    uint64_t words = p->rows * p->bits / 32;
    uint32_t v = 0;
    switch (p->zeros) {
    case ZEROS_DOWN: v = code_of_words(raw + g * 4, p->n_groups * 4, r, p->bits); break;
    case ZEROS_ALONG:
    case ZEROS_ALONG_1: v = code_of_words(raw + g * words * 4, 4, r, p->bits); break;
    case ZEROS_AWQ: v = word_at(raw + (g * (p->rows / 8) + r / 8) * 4) >> (4 * awq_place[r % 8]) & 15; break;
    case ZEROS_PLAIN: BUG("zero points are not packed");
    }
    return p->values == VALUES_CENTRED ? (float)v - (float)(1u << (p->bits - 1)) : (float)v;
}

/* Adds 1 to each code. 3 bits do not divide a word, and are counted alone (GPTQModel does so). */
static void add_one(uint8_t *raw, uint64_t bytes, uint32_t bits)
{
    uint32_t ones = bits == 2 ? 0x55555555u : bits == 4 ? 0x11111111u : 0x01010101u;
    for (uint64_t i = 0; i < bytes; i += 4) {
        uint32_t v = word_at(raw + i) + ones;
        memcpy(raw + i, &v, sizeof v);
    }
}

static bool load_zeros(struct packed_reader *x, const struct packed *p, uint64_t matrix, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_ZERO];
    uint64_t rows = (p->rows + p->scale_rows - 1) / p->scale_rows;
    if (p->zeros == ZEROS_PLAIN && num_of(t->dtype) != N_NONE) {
        x->zero = read_floats(x, t, matrix * p->scale_step, p->n_scales, e);
        return x->zero != NULL;
    }
    bool plain = p->zeros == ZEROS_PLAIN; /* packed ones are of one matrix alone (forms.c) */
    uint64_t bytes = plain ? p->n_scales : t->bytes;
    x->zero = mem_try(p->n_scales, sizeof *x->zero, "zero points", e);
    uint8_t *raw = x->zero ? read_part(x, t, plain ? matrix * p->scale_step : 0, bytes, e) : NULL;
    if (!raw)
        return false;
    if (p->zeros == ZEROS_ALONG_1 && p->bits != 3)
        add_one(raw, bytes, p->bits);
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t g = 0; g < p->n_groups; g++) {
            uint64_t i = r * p->row_step + g * p->col_step;
            float v = plain ? (float)(int8_t)raw[i] : zero_at(p, raw, r, g);
            if (p->zeros == ZEROS_ALONG_1 && p->bits == 3)
                v = (float)(((uint32_t)v + 1) & 7);
            x->zero[i] = v;
        }
    free(raw);
    return true;
}

/* The group of each column; a list of -1 says that columns stand in their order. */
static bool load_order(struct packed_reader *x, const struct packed *p, struct err *e)
{
    const struct hf_tensor *t = p->parts[PART_ORDER];
    uint8_t *raw = read_part(x, t, 0, p->cols * 4, e);
    x->order = raw ? mem_try(p->cols, sizeof *x->order, "the order of columns", e) : NULL;
    bool ok = x->order != NULL, none = false;
    for (uint64_t c = 0; ok && c < p->cols; c++) {
        x->order[c] = word_at(raw + c * 4);
        none = none || x->order[c] == UINT32_MAX;
        if (x->order[c] >= p->n_groups && x->order[c] != UINT32_MAX)
            ok = err_set(e, ERR_INPUT, "tensor '%.200s' names group %u of %llu", t->name, x->order[c],
                         (unsigned long long)p->n_groups);
    }
    free(raw);
    if (ok && none && !p->scale_cols)
        ok = err_set(e, ERR_INPUT, "tensor '%.200s' orders no columns, and groups are of unequal size",
                     t->name);
    if (none) {
        free(x->order);
        x->order = NULL;
    }
    return ok;
}

float packed_float4(uint32_t code)
{
    static const float v[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    return code & 8 ? -v[code & 7] : v[code & 7];
}

static bool load_values(struct packed_reader *x, const struct packed *p, struct err *e)
{
    uint32_t n = 1u << p->bits;
    if (p->values == VALUES_MAP) {
        float *map = read_floats(x, p->parts[PART_MAP], 0, n, e);
        if (map)
            memcpy(x->value, map, n * sizeof *map);
        free(map);
        return map != NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint8_t b = (uint8_t)i;
        switch (p->values) {
        case VALUES_UNSIGNED: x->value[i] = (float)i; break;
        case VALUES_CENTRED: x->value[i] = (float)i - (float)(n / 2); break;
        case VALUES_SIGNED: x->value[i] = (float)(int8_t)b; break;
        case VALUES_FLOAT4: x->value[i] = packed_float4(i); break;
        case VALUES_FLOAT8: num_load(num_of(p->parts[PART_CODES]->dtype), &b, 1, 1, &x->value[i]); break;
        case VALUES_MAP: break;
        }
    }
    return true;
}

static void drop_scales(struct packed_reader *x)
{
    free(x->scale);
    free(x->zero);
    free(x->bias);
    free(x->order);
    x->scale = x->zero = x->bias = NULL;
    x->order = NULL;
    x->of = NULL;
}

static bool load_companions(struct packed_reader *x, const struct packed *p, uint64_t matrix, struct err *e)
{
    if (x->of == p && x->matrix == matrix)
        return true;
    drop_scales(x);
    if (!load_values(x, p, e) || !load_scales(x, p, matrix, e))
        return false;
    if (p->parts[PART_BIAS]) {
        x->bias = read_floats(x, p->parts[PART_BIAS], matrix * p->scale_step, p->n_scales, e);
        if (!x->bias)
            return false;
    }
    if ((p->parts[PART_ZERO] && !load_zeros(x, p, matrix, e)) ||
        (p->parts[PART_ORDER] && !load_order(x, p, e)))
        return false;
    x->of = p;
    x->matrix = matrix;
    return true;
}

static bool by_rows(const struct packed *p)
{
    return p->codes == CODES_ROWS || p->codes == CODES_HIGH_FIRST;
}

bool packed_load(struct packed_reader *x, const struct packed *p, uint64_t matrix, uint64_t row, uint64_t n,
                 struct err *e)
{
    matrix += p->first;
    if (!load_companions(x, p, matrix, e))
        return false;
    if (!by_rows(p)) { /* of columns all are needed, and kept for the next rows */
        row = 0;
        n = p->rows;
        if (x->codes_of == p && x->codes_matrix == matrix && x->n_rows == n)
            return true;
    }
    uint64_t bytes = p->code_bytes / p->rows * n;
    if (!by_rows(p))
        bytes = p->code_bytes;
    x->codes_of = NULL;
    if (bytes > x->codes_cap) {
        free(x->codes);
        x->codes_cap = 0;
        x->codes = mem_try(bytes, 1, "a quantised matrix", e);
        if (!x->codes)
            return false;
        x->codes_cap = bytes;
    }
    if (!image_read_tensor(x->c, p->parts[PART_CODES],
                           matrix * p->code_bytes + row * (p->code_bytes / p->rows), bytes, x->codes, e))
        return false;
    x->codes_of = p;
    x->codes_matrix = matrix;
    x->first_row = row;
    x->n_rows = n;
    return true;
}

void packed_clear(struct packed_reader *x)
{
    drop_scales(x);
    free(x->codes);
    *x = (struct packed_reader){0};
}

/* ---- rows ---- */

/* Codes of words that go down the columns: a word has some of each row. */
static void take_columns(const struct packed *p, const uint8_t *words, uint64_t n_rows, uint64_t c,
                         uint64_t n, uint8_t out[ROWS][CHUNK])
{
    uint64_t per = 32 / p->bits, step = p->rows * 4;
    uint32_t mask = (1u << p->bits) - 1;
    if (32 % p->bits) {
        for (uint64_t r = 0; r < n_rows; r++)
            for (uint64_t i = 0; i < n; i++)
                out[r][i] = (uint8_t)code_of_words(words + r * 4, step, c + i, p->bits);
        return;
    }
    for (uint64_t i = 0; i < n; i += per) /* whole words: their number is how the columns were counted */
        for (uint64_t r = 0; r < n_rows; r++) {
            uint32_t v = word_at(words + (c + i) / per * step + r * 4);
            for (uint64_t k = 0; k < per; k++, v >>= p->bits & 31)
                out[r][i + k] = (uint8_t)(v & mask);
        }
}

static void take_awq(const struct packed *p, const uint8_t *words, uint64_t row, uint64_t n_rows, uint64_t c,
                     uint64_t n, uint8_t out[ROWS][CHUNK])
{
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t r = 0; r < n_rows; r++) {
            uint64_t at = (c + i) * (p->rows / 8) + (row + r) / 8;
            out[r][i] = word_at(words + at * 4) >> (4 * awq_place[(row + r) % 8]) & 15;
        }
}

static void take_line(const struct packed *p, const uint8_t *line, uint64_t c, uint64_t n, uint8_t *out)
{
    bool high_first = p->codes == CODES_HIGH_FIRST;
    if (p->bits == 8) {
        memcpy(out, line + c, n);
    } else if (p->bits == 4 && n % 2 == 0) { /* chunks begin with a byte */
        for (uint64_t i = 0; i < n; i += 2) {
            uint8_t b = line[(c + i) / 2];
            out[i] = high_first ? b >> 4 : b & 15;
            out[i + 1] = high_first ? b & 15 : b >> 4;
        }
    } else {
        for (uint64_t i = 0; i < n; i++)
            out[i] = (uint8_t)code_of_bytes(line, c + i, p->bits);
    }
}

/* Codes [c, c + n) of some rows. */
static void take_codes(const struct packed_reader *x, const struct packed *p, uint64_t row, uint64_t n_rows,
                       uint64_t c, uint64_t n, uint8_t out[ROWS][CHUNK])
{
    uint64_t bytes = p->code_bytes / p->rows;
    switch (p->codes) {
    case CODES_ROWS:
    case CODES_HIGH_FIRST:
        for (uint64_t r = 0; r < n_rows; r++)
            take_line(p, x->codes + (row + r - x->first_row) * bytes, c, n, out[r]);
        break;
    case CODES_COLUMNS: take_columns(p, x->codes + row * 4, n_rows, c, n, out); break;
    case CODES_AWQ: take_awq(p, x->codes, row, n_rows, c, n, out); break;
    }
}

/* To nearest, ties to even, as float_to_f16 and back. */
static void round_f16(float *v, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        float abs = fabsf(v[i]);
        uint32_t u = float_bits(abs);
        u = (u + 0xfff + (u >> 13 & 1)) & ~0x1fffu;
        float small = (abs + 0.75f) - 0.75f; /* below 2^-14 the last place is 2^-24 */
        float r = abs < 0x1p-14f ? small : u >= 0x47800000 ? INFINITY : float_from_bits(u);
        v[i] = copysignf(isnan(abs) ? abs : r, v[i]);
    }
}

static void round_bf16(float *v, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        v[i] = float_from_bits((uint32_t)float_to_bf16(v[i]) << 16);
}

static void round_all(const struct packed *p, float *v, uint64_t n)
{
    if (p->round_to == T_F16)
        round_f16(v, n);
    else
        round_bf16(v, n);
}

/* Numbers of one group. */
static void make_run(const struct packed_reader *x, const struct packed *p, uint64_t g, const uint8_t *codes,
                     uint64_t n, float *out)
{
    float scale = x->scale[g], zero = x->zero ? x->zero[g] : 0;
    for (uint64_t i = 0; i < n; i++)
        out[i] = (x->value[codes[i]] - zero) * scale;
    if (p->times != 1)
        for (uint64_t i = 0; i < n; i++)
            out[i] *= p->times;
    if (p->round == ROUND_EACH)
        round_all(p, out, n);
    for (uint64_t i = 0; x->bias && i < n; i++)
        out[i] += x->bias[g];
    if (p->round != ROUND_NOT)
        round_all(p, out, n);
}

static uint64_t scale_row(const struct packed *p, uint64_t row)
{
    uint64_t rank = p->rank_rows ? row / p->rank_rows : 0;
    return rank * ((p->rank_rows + p->scale_rows - 1) / p->scale_rows) +
           (row - rank * p->rank_rows) / p->scale_rows;
}

/* Columns [c, c + n) of a row. */
static void make_line(const struct packed_reader *x, const struct packed *p, uint64_t row, uint64_t c,
                      uint64_t n, const uint8_t *codes, float *out)
{
    for (uint64_t i = 0, run; i < n; i += run) {
        uint64_t at = p->flat ? row * p->cols + c + i : c + i, g = at / p->scale_cols;
        run = (g + 1) * p->scale_cols - at;
        if (x->order) {
            g = x->order[c + i];
            for (run = 1; i + run < n && x->order[c + i + run] == g;)
                run++;
        }
        run = run < n - i ? run : n - i;
        if (!p->flat)
            g = scale_row(p, row) * p->row_step + g * p->col_step;
        make_run(x, p, g, codes + i, run, out + i);
    }
}

void packed_decode(const struct packed_reader *x, uint64_t row, uint64_t n_rows, float *out)
{
    const struct packed *p = x->of;
    uint8_t codes[ROWS][CHUNK];
    for (uint64_t done = 0, rows; done < n_rows; done += rows) {
        rows = n_rows - done < ROWS ? n_rows - done : ROWS;
        for (uint64_t c = 0, n; c < p->cols; c += n) {
            n = p->cols - c < CHUNK ? p->cols - c : CHUNK;
            take_codes(x, p, row + done, rows, c, n, codes);
            for (uint64_t r = 0; r < rows; r++)
                make_line(x, p, row + done + r, c, n, codes[r], out + (done + r) * p->cols + c);
        }
    }
}
