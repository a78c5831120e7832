/* told.c - what config.json says of quantised weights: the method, and bits and groups, which are held against the
 * tensors' shapes. A config that says something else than the tensors is of another checkpoint: the numbers would be
 * wrong without a word. */
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "convert/forms_part.h"
#include "hf/names.h"

#include <string.h>

/* ---- methods ---- */

/* quantization_config.quant_method: those of transformers 5.12 (utils/quantization_config.py) and of published
 * checkpoints. why: not decoded, because; NULL: decoded. */
static const struct forms_method methods[] = {
    {"awq", NULL},
    {"gptq", NULL},
    {"auto-round", NULL},
    {"intel/auto-round", NULL},
    {"compressed-tensors", NULL},
    {"bitsandbytes", NULL},
    {"fp8", NULL},
    {"fbgemm_fp8", NULL},
    {"mxfp8", NULL},
    {"mxfp4", NULL},
    {"metal", NULL},
    {"modelopt", NULL},
    {"quark", NULL},
    {"aqlm", "it holds sums of vectors out of learned codebooks"},
    {"vptq", "it holds vectors out of learned codebooks"},
    {"quip", "it holds vectors out of a lattice, turned"},
    {"higgs", "it holds points of a grid, turned by a Hadamard matrix"},
    {"fp_quant",
     "its weights are turned by a Hadamard matrix, with which their inputs must be turned as well"},
    {"fouroversix", "its scales follow rules of their own, without a layout that is written down"},
    {"hqq", "how its codes are packed depends on the kernels that it was saved for"},
    {"sinq", "how its codes are packed depends on the kernels that it was saved for"},
    {"quanto", "how its codes are packed depends on the version that saved it"},
    {"torchao", "it holds objects of PyTorch, not matrices"},
    {"eetq", "its codes stand in the order of the kernels of one GPU"},
    {"bitnet", "its layers are made for activations of 8 bits and weights of three values"},
    {"spqr", "it holds outliers as a sparse matrix beside codes in tiles"},
    {"gemma", "its layers round their inputs and outputs as well, which the engine does not"},
};

const struct forms_method *forms_method_at(uint32_t i)
{
    return i < sizeof methods / sizeof *methods ? &methods[i] : NULL;
}

#define WAY_OUT \
    "; give the checkpoint that it was made from, or one in a form that is read (docs/formats.md, Quantised weights)"

static uint32_t quantization(const struct finder *f)
{
    return conf_get(&f->conf, HF_KEYS_QUANTIZATION);
}

/* "'quantization_config.group_size' is 64". */
static void put_said(const struct finder *f, uint32_t node, struct buf *b)
{
    const struct jnode *v = &f->conf.d->nodes[node];
    buf_fmt(b, "%s: '", f->c->layout->config);
    jdoc_path(f->conf.d, node, b);
    buf_fmt(b, "' is %.*s", v->end - v->at < 40 ? (int)(v->end - v->at) : 40, f->conf.d->text + v->at);
}

bool told_method(const struct finder *f, struct err *e)
{
    const struct jdoc *d = f->conf.d;
    uint32_t node = form_member(d, quantization(f), "quant_method");
    const struct forms_method *known = NULL;
    struct buf name = {0}, said = {0};
    if (node == JSPAN_NONE || d->nodes[node].kind != J_STRING)
        return true;
    jdoc_str(d, node, &name);
    buf_char(&name, 0);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (!strcasecmp(name.s, methods[i].name))
            known = &methods[i];
    put_said(f, node, &said);
    if (!known)
        log_warn("%s, which is not known: weights are decoded by the names and types of their tensors",
                 said.s);
    else if (known->why)
        err_set(e, ERR_INPUT, "%s: such weights cannot be converted: %s" WAY_OUT, said.s, known->why);
    buf_clear(&name);
    buf_clear(&said);
    return !known || !known->why;
}

/* Whether a word of the quantization's is one of "a|b"; a missing one is `other`. */
static bool word_is(const struct finder *f, const char *key, const char *list, bool other)
{
    const struct jdoc *d = f->conf.d;
    uint32_t node = form_member(d, quantization(f), key);
    struct buf word = {0};
    char want[CONF_WORD];
    bool found = false;
    if (node == JSPAN_NONE || d->nodes[node].kind != J_STRING)
        return other;
    jdoc_str(d, node, &word);
    while (conf_next(&list, want))
        found = found || !strcasecmp(word.s, want);
    buf_clear(&word);
    return found;
}

/* Weights whose config names an order of codes that is not known. */
static bool other_order(const struct finder *f, const char *key, const char *want, struct err *e)
{
    struct buf said = {0};
    put_said(f, form_member(f->conf.d, quantization(f), key), &said);
    err_set(e, ERR_INPUT, "%s, expected %s: weights in another order cannot be converted" WAY_OUT, said.s,
            want);
    buf_clear(&said);
    return false;
}

bool told_awq_order(const struct finder *f, struct err *e)
{
    if (!word_is(f, "version", "gemm", true))
        return other_order(f, "version", "gemm", e);
    return word_is(f, "format", "gemm", true) || other_order(f, "format", "gemm", e);
}

bool told_gptq_zeros(const struct finder *f, enum zeros *zeros, struct err *e)
{
    if (!word_is(f, "checkpoint_format", "gptq|gptq_v2", true))
        return other_order(f, "checkpoint_format", "gptq or gptq_v2", e);
    /* AutoRound's own packing has the zero points as they are (auto_round_extension/torch/qlinear_torch.py) */
    bool whole = word_is(f, "checkpoint_format", "gptq_v2", false) ||
                 word_is(f, "packing_format", "auto_round", false);
    *zeros = whole ? ZEROS_ALONG : ZEROS_ALONG_1;
    return true;
}

/* ---- bits and groups ---- */

static void add(struct finder *f, uint32_t node, enum told_kind kind, uint64_t value)
{
    GROW(f->told, f->n_told, f->cap_told);
    f->told[f->n_told++] = (struct told){node, kind, value};
}

/* A strategy of compressed-tensors that has one scale for a row or for all. */
static bool is_whole(const struct jdoc *d, uint32_t object)
{
    uint32_t s = form_member(d, object, "strategy");
    return s != JSPAN_NONE && (jdoc_str_is(d, s, "channel") || jdoc_str_is(d, s, "tensor"));
}

/* All that an object and those in it say: tools state exceptions for some modules in several ways, and a weight must be
 * as one of them. What is said of activations is not of weights. */
static void collect(struct finder *f, uint32_t object)
{
    static const char *const bits[] = {"bits", "num_bits", "w_bit"}, *const groups[] = {"group_size",
                                                                                        "q_group_size"};
    static const char *const others[] = {"input_activations", "output_activations", "kv_cache_scheme",
                                         "input_tensors", "output_tensors"};
    const struct jdoc *d = f->conf.d;
    uint64_t v;
    if (object == JSPAN_NONE || d->nodes[object].kind != J_OBJECT)
        return;
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        uint32_t node = form_member(d, object, bits[i]);
        if (jdoc_u64(d, node, &v))
            add(f, node, TOLD_BITS, v);
    }
    if (is_whole(d, object))
        add(f, form_member(d, object, "strategy"), TOLD_WHOLE, 0);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        uint32_t node = form_member(d, object, groups[i]);
        double number;
        if (jdoc_u64(d, node, &v) && v)
            add(f, node, TOLD_GROUP, v);
        else if (node != JSPAN_NONE && jdoc_f64(d, node, &number) && number <= 0)
            add(f, node, TOLD_WHOLE, 0);
    }
    for (uint32_t k = d->nodes[object].first; k != JSPAN_NONE; k = d->nodes[k].next) {
        bool of_weights = d->nodes[k].kind == J_OBJECT;
        for (size_t i = 0; of_weights && i < sizeof others / sizeof *others; i++)
            of_weights = form_member(d, object, others[i]) != k;
        if (of_weights)
            collect(f, k);
    }
}

void told_read(struct finder *f)
{
    collect(f, quantization(f));
}

static const struct told *first_told(const struct finder *f, enum told_kind kind)
{
    for (size_t i = 0; i < f->n_told; i++)
        if (f->told[i].kind == kind)
            return &f->told[i];
    return NULL;
}

bool told_bits(const struct finder *f, const struct packed *p, struct err *e)
{
    const struct told *first = first_told(f, TOLD_BITS);
    struct buf said = {0};
    bool ok = !first;
    for (size_t i = 0; i < f->n_told; i++)
        ok = ok || (f->told[i].kind == TOLD_BITS && f->told[i].value == p->bits);
    if (ok)
        return true;
    put_said(f, first->node, &said);
    err_set(e, ERR_INPUT, "%s, but tensor '%.150s' holds codes of %u bits", said.s,
            p->parts[PART_CODES]->name, p->bits);
    buf_clear(&said);
    return false;
}

bool told_group(const struct finder *f, struct packed *p, bool short_last, struct err *e)
{
    const struct told *group = first_told(f, TOLD_GROUP), *whole = first_told(f, TOLD_WHOLE);
    const struct hf_tensor *scales = p->parts[PART_SCALE];
    uint64_t n = p->n_groups, even = n && p->cols % n == 0 ? p->cols / n : 0;
    struct buf said = {0};
    p->scale_cols = even;
    if (whole && n == 1)
        return true;
    for (size_t i = 0; i < f->n_told; i++) {
        uint64_t width = f->told[i].value;
        if (f->told[i].kind == TOLD_GROUP &&
            (even == width || (short_last && (p->cols - 1) / width + 1 == n))) {
            p->scale_cols = width;
            return true;
        }
    }
    if (!group && !whole)
        return even || p->parts[PART_ORDER] ||
               err_set(e, ERR_INPUT,
                       "tensor '%.150s' has %llu groups for %llu columns, and %s gives no 'group_size'",
                       scales->name, (unsigned long long)n, (unsigned long long)p->cols,
                       f->c->layout->config);
    put_said(f, (group ? group : whole)->node, &said);
    err_set(e, ERR_INPUT, "%s, but tensor '%.150s' has %llu group%s for %llu columns", said.s, scales->name,
            (unsigned long long)n, n == 1 ? "" : "s", (unsigned long long)p->cols);
    buf_clear(&said);
    return false;
}
