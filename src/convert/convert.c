/* convert.c - opens a checkpoint as the image of a GGUF file: finds the family's rules, has the tensors
 * matched with them (match.c) and laid out (layout.c), and writes the header. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "convert/layout_part.h"
#include "hf/config.h"
#include "tokenizer/tokenizer.h"

#include <string.h>

#define ALIGNMENT 32u

/* ---- output types ---- */

static const struct type_info {
    const char *name;
    uint32_t id, file_type; /* ggml type, enum llama_ftype */
} types[] = {{"f32", 0, 0},    {"f16", 1, 1},    {"bf16", 30, 32}, {"q8_0", 8, 7},
             {"q6_K", 14, 18}, {"q5_K", 13, 16}, {"q4_K", 12, 14}, {"q4_0", 2, 2}};

const char *convert_type_name(uint32_t i)
{
    return !i ? "auto" : i <= sizeof types / sizeof *types ? types[i - 1].name : NULL;
}

/* "auto": the type in which most bytes of the checkpoint's matrices are stored; of quantised ones that of their
 * scales, F16 or else BF16. */
static uint32_t stored_type(const struct layout *l)
{
    uint64_t f32 = 0, f16 = 0, bf16 = 0;
    for (uint64_t i = 0; i < l->in.c->n_tensors; i++) {
        const struct hf_tensor *t = &l->in.c->tensors[i];
        enum num num = num_of(t->dtype);
        if (t->n_dims < 2)
            continue;
        if (num == N_F32 || num == N_F64)
            f32 += t->bytes;
        else if (num == N_F16)
            f16 += t->bytes;
        else if (num != N_NONE)
            bf16 += t->bytes;
    }
    return f32 > f16 && f32 > bf16 ? T_F32 : f16 > bf16 ? T_F16 : T_BF16;
}

static bool choose_type(struct layout *l, struct err *e)
{
    const char *want = l->o->type ? l->o->type : "auto";
    uint32_t stored = stored_type(l);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(want, "auto") ? types[i].id == stored : !strcasecmp(want, types[i].name)) {
            bool plain = types[i].id == T_F32 || types[i].id == T_F16 || types[i].id == T_BF16;
            if (!plain && !l->o->quantize)
                break;
            l->type = types[i].id;
            l->in.file_type = types[i].file_type;
            return true;
        }
    return err_set(e, ERR_INPUT, "type '%.40s' is not known", want);
}

/* ---- the header ---- */

static bool build_header(struct layout *l, const char *dir, struct err *e)
{
    struct buf keys = {0}, b = {0};
    uint64_t n_keys = 0, off = 0;
    struct gg_size size = {0};
    char label[GG_SIZE_LABEL];
    char *name = l->o->name ? xstrdup(l->o->name) : path_own_name(dir);
    for (uint64_t i = 0; i < l->im->n_tensors; i++)
        gg_size_add(&size, l->im->tensors[i].name, l->im->tensors[i].n_dims, l->im->tensors[i].ne);
    gg_size_label(&size, label);
    l->in.name = name;
    l->in.size_label = label;
    for (uint64_t i = 0; i < l->im->n_tensors; i++)
        if (l->im->tensors[i].type == T_MXFP4)
            l->in.file_type = 38; /* LLAMA_FTYPE_MOSTLY_MXFP4_MOE */
    struct tokenizer_opts tok = {l->o->pretokenizer, l->in.f.v['V']};
    bool ok = layout_put_keys(&l->in, &keys, &n_keys, e) && layout_put_sampling(dir, &keys, &n_keys, e) &&
              tokenizer_put_keys(dir, l->in.conf.d, &tok, &keys, &n_keys, e);
    free(name);
    if (ok) {
        gg_put_start(&b, 3, l->im->n_tensors, n_keys);
        buf_add(&b, keys.s, keys.n);
        for (uint64_t i = 0; ok && i < l->im->n_tensors; i++) {
            struct image_tensor *t = &l->im->tensors[i];
            gg_put_tensor(&b, t->name, t->n_dims, t->ne, t->type, off);
            t->off = off;
            ok = add_u64(off, gg_align(t->bytes, ALIGNMENT), &off) && off < (uint64_t)1 << 60;
            if (!ok)
                err_set(e, ERR_INPUT, "the model is too large");
        }
        gg_pad(&b, ALIGNMENT);
    }
    for (uint64_t i = 0; i < l->im->n_tensors; i++)
        l->im->tensors[i].off += b.n;
    l->im->header = b;
    l->im->size = b.n + off;
    buf_clear(&keys);
    return ok;
}

/* ---- the whole file ---- */

#define WORTH_A_WORD 1.5 /* times as large as it is stored */

/* Numbers of few bits become whole ones where no type was asked for: exact, and often more than memory holds. */
static void tell_growth(const struct layout *l)
{
    uint64_t stored = 0, becomes = l->im->size - l->im->header.n;
    char from[32], to[32];
    if (l->o->type && strcasecmp(l->o->type, "auto") != 0)
        return;
    for (uint64_t i = 0; i < l->in.c->n_tensors; i++)
        stored += l->in.c->tensors[i].bytes;
    for (uint32_t i = 0; i < l->left.n; i++)
        stored -= l->left.kinds[i].bytes;
    if ((double)becomes > WORTH_A_WORD * (double)stored)
        log_note(
            "note: weights of %s in few bits become %s of %s, every value as it is; --type q8_0 takes about "
            "half of that, q4_K about a quarter, and rounds them anew",
            human_bytes(stored, from), human_bytes(becomes, to), gg_type_get(l->type)->name);
}

static bool find_conversion(struct layout *l, struct err *e)
{
    const struct jdoc *d = &l->in.c->json[HF_CONFIG].doc;
    char *name = hf_class_name(d);
    l->in.conf = conf_of(d);
    l->in.conversion = name ? family_conversion(name, &l->in.family) : NULL;
    if (!l->in.conversion && l->in.family && l->in.family->refuse_native)
        err_set(e, ERR_INPUT, "%s: models of the class '%.60s' cannot be converted: %s",
                l->in.c->layout->config, name, l->in.family->refuse_native);
    else if (!l->in.conversion) {
        const char *what = l->in.c->layout->what;
        err_set(e, ERR_INPUT,
                "%s: models of %s%.60s%s cannot be converted; `reap families` lists those that can",
                l->in.c->layout->config, what ? "" : "the class '",
                what            ? what
                : name && *name ? name
                                : "(none)",
                what ? "" : "'");
    }
    free(name);
    return l->in.conversion != NULL;
}

static bool find_forms(struct layout *l, struct err *e)
{
    const struct hf_checkpoint *c = l->in.c;
    l->im->forms = forms_open(c, l->in.conversion->flags & CONVERT_QKV_RANKS, e);
    if (!l->im->forms)
        return false;
    l->in.c = &l->im->forms->c;
    l->used = xcalloc(l->in.c->n_tensors ? l->in.c->n_tensors : 1, sizeof *l->used);
    return true;
}

static bool lay_out(struct layout *l, const char *dir, struct err *e)
{
    return find_conversion(l, e) && find_forms(l, e) && layout_load_facts(&l->in, e) &&
           layout_check_musts(&l->in, e) && choose_type(l, e) && layout_match(l, e) &&
           layout_add_tensors(l, e) && build_header(l, dir, e);
}

struct image *convert_open(const struct hf_checkpoint *c, const char *dir, const struct convert_opts *o,
                           struct err *e)
{
    struct layout l = {.in = {.c = c}, .o = o, .im = xcalloc(1, sizeof *l.im)};
    bool ok = lay_out(&l, dir, e);
    if (ok) {
        tell_growth(&l);
        l.im->arch = l.in.family->arch;
        image_init_reader(l.im, c, o);
    }
    if (!ok)
        err_ctx(e, "%s", dir);
    for (uint64_t i = 0; l.slots && i < l.n_globals + l.in.n_blocks * l.n_rules; i++)
        free(l.slots[i].sources);
    free(l.slots);
    free(l.rules);
    free(l.used);
    left_out_clear(&l.left);
    free(l.in.kinds);
    for (size_t i = 0; i < sizeof l.in.f.by_block / sizeof *l.in.f.by_block; i++)
        free(l.in.f.by_block[i]);
    if (ok)
        return l.im;
    image_free(l.im);
    return NULL;
}
