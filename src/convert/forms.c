/* forms.c - the forms in which checkpoints store weights in few bits, as records: which tensors one weight is
 * made of, and what its codes are worth (packed.h). A form is known by names and types, as loaders know it;
 * config.json says what these leave open. Sources of the formulas: docs/formats.md. */
#include "convert/forms_part.h"

#include "base/mem.h"
#include "base/text.h"
#include "convert/image_part.h"
#include "hf/names.h"

#include <string.h>

#define MAX_WITH    8
#define MAX_EXPERTS 4096u /* in a stack; the engine takes 1024 */

struct form {
    const char *name;
    const char *end, *weight; /* what the name of the codes ends in, and that of the weight instead */
    const char *types;        /* of the codes */
    struct {
        const char *end;
        enum part part; /* the first that is there */
    } with[MAX_WITH];
    unsigned needs; /* parts, as bits */
    enum codes codes;
    enum values values;
    uint32_t bits; /* 0: fit finds them */
    enum rounding round;
    bool divide;
    double times;
    bool (*is)(const struct packed *p); /* what names and types do not tell; NULL */
    form_fit *fit;
};

/* ---- what the config says ---- */

static bool is_kind(const struct jdoc *d, uint32_t node, enum jkind kind)
{
    return node != JSPAN_NONE && d->nodes[node].kind == kind;
}

/* "actorder" of compressed-tensors: "group", or true; by any other the columns stand in their order. */
static bool orders_columns(const struct jdoc *d, uint32_t node)
{
    return is_kind(d, node, J_TRUE) || (is_kind(d, node, J_STRING) && jdoc_str_is(d, node, "group"));
}

/* The block of one FP8 scale: weight_block_size, or compressed-tensors' block_structure, else 128 x 128; and
 * num_bits of compressed-tensors' packed integers; which parts all weights must have. */
static void read_config(struct finder *f)
{
    const struct jdoc *d = f->conf.d;
    uint32_t q = conf_get(&f->conf, HF_KEYS_QUANTIZATION), groups = form_member(d, q, "config_groups");
    uint64_t a, b, bits;
    uint32_t n_ints = 0, n_zeros = 0, n_orders = 0;
    bool differ = false;
    f->block_rows = f->block_cols = 128;
    if (groups != JSPAN_NONE && d->nodes[groups].kind == J_OBJECT)
        for (uint32_t g = d->nodes[groups].first; g != JSPAN_NONE; g = d->nodes[g].next) {
            uint32_t w = form_member(d, g, "weights"), type = form_member(d, w, "type");
            if (form_pair(d, form_member(d, w, "block_structure"), &a, &b)) {
                f->told_block = true;
                f->block_rows = a;
                f->block_cols = b;
            }
            if (type != JSPAN_NONE && jdoc_str_is(d, type, "int")) {
                n_ints++;
                n_zeros += is_kind(d, form_member(d, w, "symmetric"), J_FALSE);
                n_orders += orders_columns(d, form_member(d, w, "actorder"));
            }
            if ((type != JSPAN_NONE && !jdoc_str_is(d, type, "int")) ||
                !jdoc_u64(d, form_member(d, w, "num_bits"), &bits) || !bits || bits > 8)
                continue;
            differ = differ || (f->bits && f->bits != bits);
            f->bits = (uint32_t)bits;
        }
    if (differ)
        f->bits = 0;
    f->needs_zeros = n_zeros && n_zeros == n_ints;
    f->needs_order = (n_orders && n_orders == n_ints) || is_kind(d, form_member(d, q, "desc_act"), J_TRUE);
    if (form_pair(d, form_member(d, q, "weight_block_size"), &a, &b)) {
        f->told_block = true;
        f->block_rows = a;
        f->block_cols = b;
    }
}

/* ---- the forms ---- */

#define NEED(x)   (1u << PART_##x)
#define FLOAT8    "F8_E4M3 F8_E5M2"
#define BNB_QUANT ".weight.quant_state.bitsandbytes__"

static const struct form forms[] = {
    {.name = "FP8",
     .types = FLOAT8,
     .with = {{"_scale_inv", PART_SCALE}, {"_scale", PART_SCALE}},
     .needs = NEED(SCALE),
     .values = VALUES_FLOAT8,
     .bits = 8,
     .fit = form_fit_floats},
    {.name = "FP8 of Mistral and DeepSeek-V4",
     .end = ".weight",
     .weight = ".weight",
     .types = FLOAT8,
     .with = {{".qscale_weight", PART_SCALE}, {".scale", PART_SCALE}},
     .needs = NEED(SCALE),
     .values = VALUES_FLOAT8,
     .bits = 8,
     .fit = form_fit_floats},
    {.name = "NVFP4 of compressed-tensors",
     .end = "_packed",
     .types = "U8",
     .with = {{"_scale", PART_SCALE}, {"_global_scale", PART_GLOBAL}},
     .needs = NEED(SCALE) | NEED(GLOBAL),
     .values = VALUES_FLOAT4,
     .bits = 4,
     .divide = true,
     .fit = form_fit_floats},
    {.name = "MXFP4 of compressed-tensors",
     .end = "_packed",
     .types = "U8",
     .with = {{"_scale", PART_SCALE}},
     .needs = NEED(SCALE),
     .values = VALUES_FLOAT4,
     .bits = 4,
     .is = form_is_mxfp4,
     .fit = form_fit_floats},
    {.name = "NVFP4 of ModelOpt",
     .types = "U8",
     .with = {{"_scale", PART_SCALE}, {"_scale_2", PART_GLOBAL}},
     .needs = NEED(SCALE) | NEED(GLOBAL),
     .values = VALUES_FLOAT4,
     .bits = 4,
     .fit = form_fit_floats},
    {.name = "MXFP4",
     .types = "U8 I8",
     .with = {{"_scale", PART_SCALE}},
     .needs = NEED(SCALE),
     .values = VALUES_FLOAT4,
     .bits = 4,
     .is = form_is_mxfp4,
     .fit = form_fit_floats},
    {.name = "MXFP4 of DeepSeek-V4",
     .end = ".weight",
     .weight = ".weight",
     .types = "U8 I8",
     .with = {{".scale", PART_SCALE}},
     .needs = NEED(SCALE),
     .values = VALUES_FLOAT4,
     .bits = 4,
     .is = form_is_mxfp4,
     .fit = form_fit_floats},
    {.name = "packed integers of compressed-tensors",
     .end = "_packed",
     .types = "I32",
     .with =
         {{"_scale", PART_SCALE}, {"_zero_point", PART_ZERO}, {"_g_idx", PART_ORDER}, {"_shape", PART_STATE}},
     .needs = NEED(SCALE),
     .values = VALUES_CENTRED,
     .round = ROUND_ONCE,
     .fit = form_fit_packed_ints},
    {.name = "INT8 of compressed-tensors",
     .types = "I8",
     .with = {{"_scale", PART_SCALE}, {"_zero_point", PART_ZERO}},
     .needs = NEED(SCALE),
     .values = VALUES_SIGNED,
     .bits = 8,
     .round = ROUND_ONCE,
     .fit = form_fit_ints},
    {.name = "INT8 of bitsandbytes",
     .end = ".weight",
     .weight = ".weight",
     .types = "I8",
     .with = {{".SCB", PART_SCALE}},
     .needs = NEED(SCALE),
     .values = VALUES_SIGNED,
     .bits = 8,
     .times = 7.874015718698502e-3, /* 1 / 127, as bitsandbytes has it */
     .fit = form_fit_int8},
    {.name = "4 bits of bitsandbytes",
     .end = ".weight",
     .weight = ".weight",
     .types = "U8 BF16 F16 F32", /* the same bytes by another name */
     .with = {{".weight.absmax", PART_SCALE},
              {".weight.quant_map", PART_MAP},
              {".weight.nested_absmax", PART_NESTED},
              {".weight.nested_quant_map", PART_NESTED_MAP},
              {BNB_QUANT "nf4", PART_STATE},
              {BNB_QUANT "fp4", PART_STATE}},
     .needs = NEED(SCALE) | NEED(MAP) | NEED(STATE),
     .codes = CODES_HIGH_FIRST,
     .values = VALUES_MAP,
     .bits = 4,
     .fit = form_fit_bnb4},
    {.name = "GPTQ",
     .end = ".qweight",
     .weight = ".weight",
     .types = "I32",
     .with = {{".scales", PART_SCALE}, {".qzeros", PART_ZERO}, {".g_idx", PART_ORDER}},
     .needs = NEED(SCALE) | NEED(ZERO),
     .codes = CODES_COLUMNS,
     .round = ROUND_ONCE,
     .is = form_is_gptq,
     .fit = form_fit_gptq},
    {.name = "AWQ",
     .end = ".qweight",
     .weight = ".weight",
     .types = "I32",
     .with = {{".scales", PART_SCALE}, {".qzeros", PART_ZERO}},
     .needs = NEED(SCALE) | NEED(ZERO),
     .codes = CODES_AWQ,
     .round = ROUND_ONCE,
     .is = form_is_awq,
     .fit = form_fit_awq},
    {.name = "MLX",
     .end = ".weight",
     .weight = ".weight",
     .types = "U32",
     .with = {{".scales", PART_SCALE}, {".biases", PART_BIAS}},
     .needs = NEED(SCALE) | NEED(BIAS),
     .round = ROUND_EACH,
     .fit = form_fit_mlx},
    {.name = "MLX, as transformers writes it", /* integrations/metal_quantization.py */
     .end = ".weight",
     .weight = ".weight",
     .types = "U32",
     .with = {{".scales", PART_SCALE}, {".qbiases", PART_BIAS}},
     .needs = NEED(SCALE) | NEED(BIAS),
     .round = ROUND_ONCE,
     .fit = form_fit_mlx},
    {.name = "MXFP4 of MLX",
     .end = ".weight",
     .weight = ".weight",
     .types = "U32",
     .with = {{".scales", PART_SCALE}},
     .needs = NEED(SCALE),
     .values = VALUES_FLOAT4,
     .bits = 4,
     .is = form_is_mxfp4,
     .fit = form_fit_mlx},
    {.name = "MXFP4 of gpt-oss",
     .end = "_blocks",
     .weight = "_blocks",
     .types = "U8",
     .with = {{"_scales", PART_SCALE}},
     .needs = NEED(SCALE),
     .values = VALUES_FLOAT4,
     .bits = 4,
     .fit = form_fit_blocks},
};

/* ---- finding them ---- */

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = strstr(list, word); p; p = strstr(p + 1, word))
        if ((p == list || p[-1] == ' ') && (!p[n] || p[n] == ' '))
            return true;
    return false;
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

/* Whether a tensor holds codes of the form: the parts that are beside it. */
static bool find_parts(const struct finder *f, const struct form *r, const struct hf_tensor *t,
                       struct packed *p)
{
    unsigned found = 0;
    if (!text_ends(t->name, or_empty(r->end)) || !has_word(r->types, t->dtype->name))
        return false;
    *p = (struct packed){.parts = {[PART_CODES] = t}};
    size_t base = strlen(t->name) - strlen(or_empty(r->end));
    for (size_t i = 0; i < MAX_WITH && r->with[i].end; i++) {
        char *name = xasprintf("%.*s%s", (int)base, t->name, r->with[i].end);
        const struct hf_tensor *other = p->parts[r->with[i].part] ? NULL : hf_find_tensor(f->c, name);
        free(name);
        if (!other)
            continue;
        p->parts[r->with[i].part] = other;
        found |= 1u << r->with[i].part;
    }
    return (found & r->needs) == r->needs && (!r->is || r->is(p));
}

static char *keep_name(struct forms *out, char *name)
{
    GROW(out->names, out->n_names, out->cap_names);
    out->names[out->n_names++] = name;
    return name;
}

static void add(struct finder *f, const struct hf_tensor *t, struct packed *p)
{
    struct hf_checkpoint *c = &f->out->c;
    uint64_t cap = f->cap;
    GROW(c->tensors, c->n_tensors, f->cap);
    if (f->cap != cap)
        f->out->packed = xrealloc(f->out->packed, f->cap, sizeof *f->out->packed);
    f->out->packed[c->n_tensors] = p;
    c->tensors[c->n_tensors++] = *t;
}

/* MLX's names of what lies in a stack of experts, where they are not those of the checkpoints (mlx-lm, models). */
static const char *unstacked_name(const char *block, const char *name, char dst[64])
{
    static const struct {
        const char *block, *mlx, *own;
    } known[] = {{".block_sparse_moe", "gate_proj.", "w1."},
                 {".block_sparse_moe", "down_proj.", "w2."},
                 {".block_sparse_moe", "up_proj.", "w3."},
                 {".mixer", "fc1.", "up_proj."},
                 {".mixer", "fc2.", "down_proj."}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i].mlx);
        if (!text_ends(block, known[i].block) || strncmp(name, known[i].mlx, n) != 0)
            continue;
        snprintf(dst, 64, "%s%.40s", known[i].own, name + n);
        return dst;
    }
    return name;
}

/* MLX stacks experts under a name of its own: here they are single, as in the checkpoints that it is made of. Its
 * convolutions have the axis of length 1 last: the same bytes. */
static void add_stack(struct finder *f, const struct hf_tensor *t, const struct packed *p)
{
    static const char word[] = ".switch_mlp.";
    const char *at = strstr(t->name, word);
    uint64_t n = at && t->n_dims == 3 && t->bytes && t->dims[0] <= MAX_EXPERTS ? t->dims[0] : 0;
    if (!n) {
        struct packed *own = p ? xcalloc(1, sizeof *own) : NULL;
        struct hf_tensor one = *t;
        if (own)
            *own = *p;
        if (text_ends(t->name, ".conv1d.weight") && t->n_dims == 3 && t->dims[2] == 1) {
            one.dims[2] = t->dims[1];
            one.dims[1] = 1;
        }
        add(f, &one, own);
        return;
    }
    char *block = xstrndup(t->name, (size_t)(at - t->name)), own_name[64];
    const char *rest = unstacked_name(block, at + strlen(word), own_name);
    for (uint64_t i = 0; i < n; i++) {
        struct hf_tensor one = *t;
        one.n_dims = 2;
        memmove(one.dims, t->dims + 1, 2 * sizeof *t->dims);
        one.bytes = t->bytes / n;
        one.off = t->off + (p ? 0 : i * one.bytes);
        one.name = keep_name(f->out, xasprintf("%s.experts.%llu.%s", block, (unsigned long long)i, rest));
        struct packed *own = p ? xcalloc(1, sizeof *own) : NULL;
        if (own) {
            *own = *p;
            own->n = 1;
            own->first = i;
        }
        add(f, &one, own);
    }
    free(block);
}

/* All dimensions but the last two count matrices: as many as the parts hold. */
static bool check_count(const struct packed *p, const struct hf_tensor *t, struct err *e)
{
    uint64_t n = 1; /* those of the codes, whose product fits */
    for (uint32_t i = 0; i + 2 < t->n_dims; i++)
        n *= t->dims[i];
    return n == p->n || err_set(e, ERR_INPUT, "tensor '%.200s' has %u dimensions, but belongs to %llu %s",
                                p->parts[PART_CODES]->name, t->n_dims, (unsigned long long)p->n,
                                p->n == 1 ? "matrix" : "matrices");
}

/* A weight in the place of its codes, with its own shape and name. */
static bool add_packed(struct finder *f, const struct form *r, struct packed *p, struct err *e)
{
    struct hf_tensor t = *p->parts[PART_CODES];
    char *name =
        xasprintf("%.*s%s", (int)(strlen(t.name) - strlen(or_empty(r->end))), t.name, or_empty(r->weight));
    t.name = keep_name(f->out, name);
    p->codes = r->codes;
    p->values = r->values;
    p->bits = r->bits;
    p->round = r->round;
    p->divide = r->divide;
    p->times = r->times != 0 ? (float)r->times : 1;
    if (!r->fit(f, name, p, e))
        return err_ctx(e, "weights in the form %s", r->name);
    for (uint32_t i = 0; i < PACKED_PARTS; i++)
        if (p->parts[i]) {
            f->taken[p->parts[i] - f->c->tensors] = true;
            t.bytes += i ? p->parts[i]->bytes : 0;
        }
    if (p->rows) {
        t.n_dims = p->n > 1 ? t.n_dims : p->parts[PART_CODES]->n_dims > 2 ? t.n_dims : 2;
        t.dims[t.n_dims - 2] = p->rows;
        t.dims[t.n_dims - 1] = p->cols;
        t.dtype = hf_dtype_find(p->round != ROUND_NOT && p->round_to == T_F16 ? "F16" : "BF16");
        if (!check_count(p, &t, e))
            return err_ctx(e, "weights in the form %s", r->name);
    }
    add_stack(f, &t, p);
    return true;
}

/* Endings of names that only forms have: what is left of them belongs to nothing. */
static bool check_left(const struct finder *f, struct err *e)
{
    static const struct {
        const char *end, *form;
    } known[] = {{".qweight", "AWQ or GPTQ"},      {"_packed", "compressed-tensors"},
                 {"_scale_2", "ModelOpt's NVFP4"}, {".weight.absmax", "bitsandbytes"},
                 {".SCB", "bitsandbytes"},         {".qscale_weight", "Mistral's FP8"}};
    for (uint64_t i = 0; i < f->c->n_tensors; i++)
        for (size_t k = 0; !f->taken[i] && k < sizeof known / sizeof *known; k++)
            if (text_ends(f->c->tensors[i].name, known[k].end) && !hf_place(f->c->tensors[i].name).other)
                return err_set(
                    e, ERR_INPUT,
                    "tensor '%.200s': of weights in the form of %s, but not all that belongs to them is "
                    "beside it",
                    f->c->tensors[i].name, known[k].form);
    return true;
}

static bool find_all(struct finder *f, struct err *e)
{
    for (uint64_t i = 0; i < f->c->n_tensors; i++) {
        const struct hf_tensor *t = &f->c->tensors[i];
        struct packed p;
        if (num_of(t->dtype) != N_NONE && num_of(t->dtype) < N_F8_E4M3 && !text_ends(t->name, ".weight"))
            continue; /* the most of a checkpoint that is not quantised */
        if (hf_place(t->name).other)
            continue;
        for (size_t k = 0; k < sizeof forms / sizeof *forms; k++)
            if (find_parts(f, &forms[k], t, &p)) {
                if (!add_packed(f, &forms[k], &p, e))
                    return false;
                break;
            }
    }
    if (!check_left(f, e))
        return false;
    for (uint64_t i = 0; i < f->c->n_tensors; i++)
        if (!f->taken[i])
            add_stack(f, &f->c->tensors[i], NULL);
    return true;
}

struct forms *forms_open(const struct hf_checkpoint *c, bool ranks, struct err *e)
{
    struct forms *out = xcalloc(1, sizeof *out);
    struct finder f = {.c = c, .conf = conf_of(&c->json[HF_CONFIG].doc), .ranks = ranks, .out = out};
    out->c = *c;
    out->c.tensors = NULL;
    out->c.n_tensors = out->c.cap_tensors = 0;
    out->c.by_name = NULL;
    f.taken = xcalloc(c->n_tensors ? c->n_tensors : 1, sizeof *f.taken);
    read_config(&f);
    told_read(&f);
    bool ok = told_method(&f, e) && find_all(&f, e);
    free(f.taken);
    free(f.told);
    if (ok)
        return out;
    forms_free(out);
    return NULL;
}

void forms_free(struct forms *f)
{
    if (!f)
        return;
    for (uint64_t i = 0; i < f->c.n_tensors; i++)
        free(f->packed[i]);
    for (uint64_t i = 0; i < f->n_names; i++)
        free(f->names[i]);
    free(f->names);
    free(f->packed);
    free(f->c.tensors);
    free(f);
}

const struct packed *forms_packed(const struct forms *f, const struct hf_tensor *t)
{
    return f->packed[t - f->c.tensors];
}

bool forms_of_activations(const char *name)
{
    static const char *const ends[] = {".input_scale",      "_input_scale",
                                       ".activation_scale", "_activation_scale",
                                       ".qscale_act",       ".k_scale",
                                       ".v_scale",          ".q_scale",
                                       ".output_scale",     ".input_global_scale",
                                       ".input_zero_point", ".output_zero_point",
                                       ".weight_format"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (text_ends(name, ends[i]))
            return true;
    return false;
}

bool forms_all_zero(const struct forms *f, const struct hf_tensor *t, bool *zero, struct err *e)
{
    *zero = false;
    if (t->bytes > 1u << 20 || !t->bytes || forms_packed(f, t))
        return true;
    uint8_t *p = xmalloc(t->bytes);
    bool ok = image_read_tensor(&f->c, t, 0, t->bytes, p, e);
    *zero = ok && !p[0] && !memcmp(p, p + 1, t->bytes - 1);
    free(p);
    return ok;
}
