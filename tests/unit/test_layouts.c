/* test_layouts.c - models whose own checkpoints hold experts stacked, as quantisers write them: one by one. The same
 * weights must become the same GGUF file, before a cut and behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "convert/image_part.h"
#include "engine/engine.h"
#include "families.h"
#include "tempdir.h"

#include <string.h>

/* ---- stacks taken apart ---- */

/* What one expert's tensor is of a stack [E, a, b]: rows from `from` on, every `step`-th of them, so many that `parts`
 * such tensors make up all; turned: of [E, b, a]. Vectors are columns of a matrix: [E, a], turned, b = 1. */
struct single {
    const char *end, *name; /* of the stack; of the tensor, '#' the expert */
    bool turned;
    uint32_t parts, first, step; /* first: in rows, or in parts of all rows where step is 1 */
};

static const struct single rows[] = {
    {"experts.gate_up_proj", "experts.#.gate_proj.weight", false, 2, 0, 1},
    {"experts.gate_up_proj", "experts.#.up_proj.weight", false, 2, 1, 1},
    {"experts.down_proj", "experts.#.down_proj.weight", false, 1, 0, 1},
    {0},
};
static const struct single turned[] = {
    {"experts.gate_up_proj", "experts.#.gate_proj.weight", true, 2, 0, 1},
    {"experts.gate_up_proj", "experts.#.up_proj.weight", true, 2, 1, 1},
    {"experts.down_proj", "experts.#.down_proj.weight", true, 1, 0, 1},
    {0},
};
static const struct single in_turns[] = {
    {"experts.gate_up_proj", "experts.#.gate_proj.weight", true, 2, 0, 2},
    {"experts.gate_up_proj", "experts.#.up_proj.weight", true, 2, 1, 2},
    {"experts.down_proj", "experts.#.down_proj.weight", true, 1, 0, 1},
    {"experts.gate_up_proj_bias", "experts.#.gate_proj.bias", true, 2, 0, 2},
    {"experts.gate_up_proj_bias", "experts.#.up_proj.bias", true, 2, 1, 2},
    {"experts.down_proj_bias", "experts.#.down_proj.bias", true, 1, 0, 1},
    {0},
};
static const struct single unsloth[] = {
    {"experts.gate_up_proj", "experts.gate_up_projs.#.weight", true, 1, 0, 1},
    {"experts.down_proj", "experts.down_projs.#.weight", true, 1, 0, 1},
    {"experts.gate_up_proj_bias", "experts.gate_up_projs.#.bias", true, 1, 0, 1},
    {"experts.down_proj_bias", "experts.down_projs.#.bias", true, 1, 0, 1},
    {0},
};

static const struct {
    const char *family;
    const struct single *parts;
} layouts[] = {
    {"qwen3_5_moe", rows}, {"qwen3_vl_moe", turned}, {"gemma4", rows},
    {"llama4", turned},    {"gpt_oss", in_turns},    {"gpt_oss", unsloth},
};
#define N_LAYOUTS (sizeof layouts / sizeof *layouts)

struct file {
    struct st_header h;
    struct buf head, data;
};

static void add(struct file *f, const struct hf_tensor *t, const void *p)
{
    st_header_add(&f->h, t);
    buf_add(&f->data, p, t->bytes);
}

static void add_expert(struct file *f, const struct hf_tensor *t, const uint8_t *p, const struct single *x,
                       uint32_t expert)
{
    bool vector = t->n_dims == 2;
    uint64_t size = t->dtype->bits / 8, n = t->dims[0], a = t->dims[1], b = vector ? 1 : t->dims[2];
    uint64_t all = x->turned && !vector ? b : a, cols = x->turned && !vector ? a : b;
    struct hf_tensor one = {.dtype = t->dtype, .n_dims = vector ? 1 : 2, .dims = {all / x->parts, cols}};
    struct buf out = {0};
    size_t stem = strlen(t->name) - strlen(x->end), number = strcspn(x->name, "#");
    char *name =
        xasprintf("%.*s%.*s%u%s", (int)stem, t->name, (int)number, x->name, expert, x->name + number + 1);
    assert_true(expert < n && t->n_dims <= 3);
    for (uint64_t r = 0; r < all / x->parts; r++)
        for (uint64_t c = 0; c < cols; c++) {
            uint64_t row = r * x->step + (x->step > 1 ? x->first : x->first * (all / x->parts));
            uint64_t i = x->turned && !vector ? c * b + row : row * b + c;
            buf_add(&out, p + (expert * a * b + i) * size, size);
        }
    one.name = name;
    one.bytes = out.n;
    add(f, &one, out.s);
    buf_clear(&out);
    free(name);
}

/* The checkpoint `from` with its stacks taken apart, in the place of its weights. */
static void take_apart(const char *dir, const struct single *parts)
{
    struct err e = {0};
    struct file f = {0};
    struct hf_checkpoint *c = hf_open(dir, &e);
    uint32_t n_stacks = 0;
    golden_ok(c != NULL, &e, dir);
    st_header_begin(&f.h, &f.head, NULL);
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        const struct hf_tensor *t = &c->tensors[i];
        uint8_t *p = xmalloc(t->bytes);
        bool stack = false;
        golden_ok(file_pread(c->files[t->file].fd, p, t->bytes, t->off, &e), &e, t->name);
        for (const struct single *x = parts; x->end; x++)
            if (text_ends(t->name, x->end)) {
                stack = true;
                for (uint32_t k = 0; k < t->dims[0]; k++)
                    add_expert(&f, t, p, x, k);
            }
        if (!stack)
            add(&f, t, p);
        n_stacks += stack;
        free(p);
    }
    assert_true(n_stacks >= 2);
    st_header_end(&f.h);
    hf_free(c);
    buf_add(&f.head, f.data.s, f.data.n);
    golden_ok(file_write_atomic(at("hf/model.safetensors"), f.head.s, f.head.n, true, &e), &e, dir);
    buf_clear(&f.head);
    buf_clear(&f.data);
}

/* ---- what they become ---- */

/* The whole GGUF file. */
static struct buf converted(const char *dir, const char *type)
{
    struct err e = {0};
    struct convert_opts o = {.type = type, .quantize = engine_quantize_rows, .threads = 2, .name = "x"};
    struct buf b = {0};
    struct hf_checkpoint *c = hf_open(dir, &e);
    golden_ok(c != NULL, &e, dir);
    struct image *im = convert_open(c, dir, &o, &e);
    golden_ok(im != NULL, &e, dir);
    buf_zero(&b, im->size);
    golden_ok(image_read(im, 0, im->size, b.s, &e), &e, dir);
    image_free(im);
    hf_free(c);
    return b;
}

static void same(const struct buf *a, const struct buf *b, const char *what)
{
    if (a->n != b->n || memcmp(a->s, b->s, a->n) != 0)
        fail_msg("%s: other bytes than from the stacked checkpoint (%zu and %zu)", what, b->n, a->n);
}

static void experts_one_by_one(void **state)
{
    static const char *const types[] = {"f32", "bf16", "q8_0"};
    size_t i = *(const size_t *)*state;
    const struct family_case *f = family_named(layouts[i].family);
    const char *dir = family_folder(f);
    struct buf whole[3], cut, other;
    for (int k = 0; k < 3; k++)
        whole[k] = converted(dir, types[k]);
    family_prune(f, dir, "stacked", true);
    cut = converted(at("stacked"), "f32");
    take_apart(dir, layouts[i].parts);
    for (int k = 0; k < 3; k++) {
        other = converted(dir, types[k]);
        same(&whole[k], &other, types[k]);
        buf_clear(&other);
        buf_clear(&whole[k]);
    }
    family_prune(f, dir, "single", true);
    other = converted(at("single"), "f32");
    same(&cut, &other, "the cut");
    buf_clear(&other);
    buf_clear(&cut);
}

int main(int argc, char **argv)
{
    static size_t number[N_LAYOUTS];
    struct CMUnitTest tests[N_LAYOUTS];
    (void)argc;
    engine_begin(argv);
    for (size_t i = 0; i < N_LAYOUTS; i++) {
        number[i] = i;
        tests[i] = (struct CMUnitTest){layouts[i].family, experts_one_by_one, golden_setup, golden_teardown,
                                       &number[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
