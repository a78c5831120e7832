/* gguf_edit.c - makes the odd files that the tests need: copies a GGUF while changing it, splits one, or writes a large sparse one.
 *
 *   gguf_edit IN OUT [EDIT...]
 *       set KEY KIND VALUE     KIND: u16 u32 i32 u64 bool f32 str, or u32s / i32s with VALUE 1,2,3; added if absent
 *       item KEY N TEXT        element N (from 0) of a list of strings
 *       del KEY                drop a key
 *       rename OLD NEW         a tensor
 *       drop NAME              a tensor
 *       add NAME TYPE N,N,..   a tensor of zeros, TYPE by name ("f32", "q4_0")
 *       type NAME TYPE         another type over the same bytes, cut, or filled up with zeros
 *       dim NAME D N           dimension D (from 1) becomes N: data cut, or filled up with zeros
 *       flip NAME BYTE         inverts one byte of the data
 *       f32 NAME INDEX VALUE   one number of an f32 tensor ("nan" is one, too)
 *       i32 NAME INDEX VALUE   one of an i32 tensor
 *       version N, align N
 *   gguf_edit --keys IN               "KEY = VALUE" of each key that is a number or a string
 *   gguf_edit --cases IN              hostile edits of this model, one a line, \\037 between the words
 *   gguf_edit --split N IN PREFIX     parts PREFIX-00001-of-0000N.gguf, tensors dealt out in order
 *   gguf_edit --big OUT BLOCKS EXPERTS BYTES   qwen3moe of about BYTES of experts, all zero and sparse
 *
 * NAME and KEY may hold \xNN. No edit is checked: the point is to make files that are wrong. */
#include "base/mem.h"
#include "base/text.h"
#include "gguf/gguf_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tensor {
    char *name;
    uint32_t type, n_dims;
    uint64_t ne[4], bytes;
    uint8_t *data;
};

struct key {
    char *name;
    struct buf raw; /* the whole entry */
};

struct model {
    uint32_t version;
    uint64_t align;
    struct key *keys;
    size_t n_keys, cap_keys;
    struct tensor *tensors;
    size_t n_tensors, cap_tensors;
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("gguf_edit: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t number(const char *s)
{
    uint64_t n;
    if (!parse_u64(s, &n))
        die("'%s' is not a number", s);
    return n;
}

/* \xNN becomes a byte. */
static char *unescape(const char *s)
{
    char *d = xstrdup(s), *w = d;
    for (const char *p = d; *p;) {
        unsigned v;
        if (p[0] == '\\' && p[1] == 'x' && sscanf(p + 2, "%2x", &v) == 1) {
            *w++ = (char)v;
            p += 4;
        } else {
            *w++ = *p++;
        }
    }
    *w = 0;
    return d;
}

static uint64_t bytes_of(const struct tensor *t)
{
    uint64_t n;
    return gg_type_size(gg_type_get(t->type), t->ne, &n) ? n : 0;
}

/* ---- reading ---- */

static void load(struct model *m, const char *path)
{
    struct err e = {0};
    struct gg_file *f = gg_open(path, &e);
    if (!f)
        die("%s", e.msg);
    m->version = f->parts[0].version;
    m->align = f->parts[0].alignment;
    for (uint64_t i = 0; i < f->parts[0].n_keys; i++) {
        const struct gg_key *k = &f->parts[0].keys[i];
        GROW(m->keys, m->n_keys, m->cap_keys);
        struct key *x = &m->keys[m->n_keys++];
        *x = (struct key){.name = xstrdup(k->name)};
        buf_add(&x->raw, k->raw, k->raw_bytes);
    }
    for (uint64_t i = 0; i < f->n_tensors; i++) {
        const struct gg_tensor *t = &f->tensors[i];
        GROW(m->tensors, m->n_tensors, m->cap_tensors);
        struct tensor *x = &m->tensors[m->n_tensors++];
        *x = (struct tensor){
            .name = xstrdup(t->name), .type = t->type, .n_dims = t->n_dims, .bytes = t->bytes};
        memcpy(x->ne, t->ne, sizeof x->ne);
        x->data = xmalloc(t->bytes);
        if (pread(f->parts[t->part].fd, x->data, t->bytes, (off_t)t->off) != (ssize_t)t->bytes)
            die("cannot read '%s'", t->name);
    }
    gg_free(f);
}

/* ---- keys ---- */

static size_t key_at(const struct model *m, const char *name)
{
    size_t i = 0;
    while (i < m->n_keys && strcmp(m->keys[i].name, name) != 0)
        i++;
    return i;
}

static void put_name(struct buf *b, const char *name, enum gg_kind kind)
{
    buf_u64le(b, strlen(name));
    buf_str(b, name);
    buf_u32le(b, (uint32_t)kind);
}

static void put_le(struct buf *b, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        buf_char(b, (char)(unsigned char)(v >> (8 * i)));
}

static void put_list(struct buf *b, const char *list)
{
    struct buf items = {0};
    uint64_t n = 0;
    char *copy = xstrdup(list), *save = NULL;
    for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save), n++)
        put_le(&items, (uint64_t)strtoll(p, NULL, 10), 4);
    buf_u64le(b, n);
    if (items.n)
        buf_add(b, items.s, items.n);
    buf_clear(&items);
    free(copy);
}

static void set_key(struct model *m, const char *name, const char *kind, const char *value)
{
    static const struct {
        const char *name;
        enum gg_kind kind;
        int bytes;
    } kinds[] = {
        {"u16", GG_U16, 2}, {"u32", GG_U32, 4}, {"i32", GG_I32, 4}, {"u64", GG_U64, 8}, {"bool", GG_BOOL, 1}};
    size_t i = key_at(m, name);
    if (i == m->n_keys) {
        GROW(m->keys, m->n_keys, m->cap_keys);
        m->keys[m->n_keys++] = (struct key){.name = xstrdup(name)};
    }
    struct buf *b = &m->keys[i].raw;
    buf_clear(b);
    if (!strcmp(kind, "str")) {
        put_name(b, name, GG_STR);
        buf_u64le(b, strlen(value));
        buf_str(b, value);
        return;
    }
    if (!strcmp(kind, "u32s") || !strcmp(kind, "i32s")) {
        put_name(b, name, GG_ARR);
        buf_u32le(b, kind[0] == 'u' ? GG_U32 : GG_I32);
        put_list(b, value);
        return;
    }
    if (!strcmp(kind, "f32")) {
        float x = strtof(value, NULL);
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        put_name(b, name, GG_F32);
        put_le(b, bits, 4);
        return;
    }
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (!strcmp(kind, kinds[k].name)) {
            put_name(b, name, kinds[k].kind);
            put_le(b, (uint64_t)strtoll(value, NULL, 10), kinds[k].bytes);
            return;
        }
    die("kind '%s' is not known", kind);
}

static void set_item(struct model *m, const char *name, uint64_t at, const char *text)
{
    size_t i = key_at(m, name);
    if (i == m->n_keys)
        die("no key '%s'", name);
    struct buf old = m->keys[i].raw, b = {0};
    size_t head = 8 + strlen(name) + 4; /* the element's kind and the count follow, then the strings */
    const uint8_t *p = (const uint8_t *)old.s + head + 12, *end = (const uint8_t *)old.s + old.n;
    const char *s;
    uint64_t n;
    for (; at && p < end; at--)
        p = gg_next_str(p, &s, &n);
    if (at || p >= end)
        die("'%s' has fewer elements", name);
    buf_add(&b, old.s, (size_t)(p - (const uint8_t *)old.s));
    buf_u64le(&b, strlen(text));
    buf_str(&b, text);
    p = gg_next_str(p, &s, &n);
    if (p < end)
        buf_add(&b, p, (size_t)(end - p));
    buf_clear(&old);
    m->keys[i].raw = b;
}

static void del_key(struct model *m, const char *name)
{
    size_t i = key_at(m, name);
    if (i == m->n_keys)
        die("no key '%s'", name);
    memmove(m->keys + i, m->keys + i + 1, (m->n_keys - i - 1) * sizeof *m->keys);
    m->n_keys--;
}

/* ---- tensors ---- */

static struct tensor *tensor(struct model *m, const char *name)
{
    for (size_t i = 0; i < m->n_tensors; i++)
        if (!strcmp(m->tensors[i].name, name))
            return &m->tensors[i];
    die("no tensor '%s'", name);
}

static void resize(struct tensor *t)
{
    uint64_t n = bytes_of(t);
    t->data = xrealloc(t->data, n, 1);
    if (n > t->bytes)
        memset(t->data + t->bytes, 0, n - t->bytes);
    t->bytes = n;
}

static uint32_t type_of(const char *name)
{
    for (uint32_t i = 0; i <= GG_LAST_TYPE; i++)
        if (gg_type_get(i) && !strcmp(gg_type_get(i)->name, name))
            return i;
    die("type '%s' is not known", name);
}

static void add_tensor(struct model *m, const char *name, const char *type, const char *shape)
{
    struct tensor t = {.name = xstrdup(name), .ne = {1, 1, 1, 1}, .type = type_of(type)};
    char *copy = xstrdup(shape), *save = NULL;
    for (char *p = strtok_r(copy, ",", &save); p && t.n_dims < 4; p = strtok_r(NULL, ",", &save))
        t.ne[t.n_dims++] = number(p);
    free(copy);
    resize(&t);
    GROW(m->tensors, m->n_tensors, m->cap_tensors);
    m->tensors[m->n_tensors++] = t;
}

static void drop_tensor(struct model *m, const char *name)
{
    struct tensor *t = tensor(m, name);
    size_t i = (size_t)(t - m->tensors);
    memmove(t, t + 1, (m->n_tensors - i - 1) * sizeof *t);
    m->n_tensors--;
}

static void set_dim(struct model *m, const char *name, const char *dim, const char *n)
{
    struct tensor *t = tensor(m, name);
    uint64_t d = number(dim);
    if (d < 1 || d > 4)
        die("dimension '%s'", dim);
    t->ne[d - 1] = number(n);
    if (d > t->n_dims)
        t->n_dims = (uint32_t)d;
    resize(t);
}

/* ---- edits ---- */

static int edit(struct model *m, int n, char **v)
{
    char *a = n > 1 ? unescape(v[1]) : NULL, *b = n > 2 ? unescape(v[2]) : NULL;
    int used = 0;
    if (!strcmp(v[0], "set") && n > 3) {
        set_key(m, a, v[2], v[3]);
        used = 4;
    } else if (!strcmp(v[0], "item") && n > 3) {
        set_item(m, a, number(v[2]), v[3]);
        used = 4;
    } else if (!strcmp(v[0], "del") && n > 1) {
        del_key(m, a);
        used = 2;
    } else if (!strcmp(v[0], "rename") && n > 2) {
        tensor(m, a)->name = xstrdup(b);
        used = 3;
    } else if (!strcmp(v[0], "drop") && n > 1) {
        drop_tensor(m, a);
        used = 2;
    } else if (!strcmp(v[0], "add") && n > 3) {
        add_tensor(m, a, v[2], v[3]);
        used = 4;
    } else if (!strcmp(v[0], "type") && n > 2) {
        tensor(m, a)->type = type_of(v[2]);
        resize(tensor(m, a));
        used = 3;
    } else if (!strcmp(v[0], "dim") && n > 3) {
        set_dim(m, a, v[2], v[3]);
        used = 4;
    } else if (!strcmp(v[0], "flip") && n > 2) {
        struct tensor *t = tensor(m, a);
        if (number(v[2]) >= t->bytes)
            die("'%s' has %llu bytes", a, (unsigned long long)t->bytes);
        t->data[number(v[2])] ^= 0xff;
        used = 3;
    } else if (!strcmp(v[0], "i32") && n > 3) {
        struct tensor *t = tensor(m, a);
        uint64_t i = number(v[2]);
        int32_t value = (int32_t)strtol(v[3], NULL, 10);
        if (t->type != type_of("i32") || i >= t->bytes / 4)
            die("'%s' is not i32, or smaller", a);
        memcpy(t->data + 4 * i, &value, 4);
        used = 4;
    } else if (!strcmp(v[0], "f32") && n > 3) {
        struct tensor *t = tensor(m, a);
        float x = strtof(v[3], NULL);
        if (t->type != 0 || number(v[2]) >= t->bytes / 4)
            die("'%s' is not f32, or smaller", a);
        memcpy(t->data + 4 * number(v[2]), &x, 4);
        used = 4;
    } else if (!strcmp(v[0], "version") && n > 1) {
        m->version = (uint32_t)number(v[1]);
        used = 2;
    } else if (!strcmp(v[0], "align") && n > 1) {
        m->align = number(v[1]);
        set_key(m, "general.alignment", "u32", v[1]);
        used = 2;
    } else {
        die("edit '%s' is not known or incomplete", v[0]);
    }
    free(a);
    free(b);
    return used;
}

/* ---- writing ---- */

/* sparse: no data is written, the file just gets its size. */
static void save(const struct model *m, size_t first, size_t end, const char *path, bool sparse)
{
    struct buf b = {0};
    uint64_t off = 0;
    gg_put_start(&b, m->version, end - first, m->n_keys);
    for (size_t i = 0; i < m->n_keys; i++)
        buf_add(&b, m->keys[i].raw.s, m->keys[i].raw.n);
    for (size_t i = first; i < end; i++) {
        const struct tensor *t = &m->tensors[i];
        gg_put_tensor(&b, t->name, t->n_dims, t->ne, t->type, off);
        off += gg_align(t->bytes, m->align);
    }
    if (end > first)
        gg_pad(&b, m->align);
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(b.s, 1, b.n, f) == b.n;
    for (size_t i = first; ok && !sparse && i < end; i++) {
        const struct tensor *t = &m->tensors[i];
        ok = fwrite(t->data, 1, t->bytes, f) == t->bytes;
        for (uint64_t k = t->bytes; ok && k < gg_align(t->bytes, m->align); k++)
            ok = fputc(0, f) != EOF;
    }
    if (ok && sparse)
        ok = fflush(f) == 0 && ftruncate(fileno(f), (off_t)(b.n + off)) == 0;
    if (!ok || fclose(f) != 0)
        die("cannot write '%s'", path);
    buf_clear(&b);
}

static void split(struct model *m, uint32_t n, const char *prefix)
{
    char text[32];
    size_t first = 0;
    struct model rest = {
        .version = m->version, .align = m->align, .tensors = m->tensors, .n_tensors = m->n_tensors};
    for (uint32_t i = 0; i < n; i++) {
        struct model *x = i ? &rest : m;
        char *path = gg_split_path(prefix, i, n);
        size_t end = m->n_tensors * (i + 1) / n;
        snprintf(text, sizeof text, "%u", i);
        set_key(x, "split.no", "u16", text);
        snprintf(text, sizeof text, "%u", n);
        set_key(x, "split.count", "u16", text);
        snprintf(text, sizeof text, "%zu", m->n_tensors);
        set_key(x, "split.tensors.count", "i32", text);
        save(x, first, end, path, false);
        free(path);
        first = end;
    }
}

/* ---- hostile edits ---- */

static bool text_suits(const struct gg_key *k)
{
    return k->kind != GG_ARR && strcmp(k->name, "general.architecture") != 0;
}

/* What a number of each kind may hold that nobody meant. */
static void number_cases(const char *key)
{
    static const char *const u32s[] = {"0",  "1",   "2",          "3",          "7",
                                       "64", "100", "2147483647", "2147483648", "4294967295"};
    static const char *const f32s[] = {"0", "-1", "nan", "inf", "1e38"};
    for (size_t i = 0; i < sizeof u32s / sizeof *u32s; i++)
        printf("set\037%s\037u32\037%s\n", key, u32s[i]);
    for (size_t i = 0; i < sizeof f32s / sizeof *f32s; i++)
        printf("set\037%s\037f32\037%s\n", key, f32s[i]);
    printf("set\037%s\037i32\037-1\n", key);
    printf("set\037%s\037u32s\0370,0,0\n", key);
    printf("set\037%s\037u32s\0373,1,2\n", key);
    printf("set\037%s\037i32s\037-1,0,1,2147483647\n", key);
    printf("set\037%s\037bool\0371\n", key);
}

static void key_cases(const struct model *m, const struct gg_file *f)
{
    /* keys of the engine that few files have: behind the architecture's name */
    static const char *const more[] = {"vocab_size",
                                       "attention.key_length",
                                       "attention.value_length",
                                       "attention.key_length_mla",
                                       "attention.value_length_mla",
                                       "attention.kv_lora_rank",
                                       "attention.q_lora_rank",
                                       "attention.sliding_window",
                                       "attention.sliding_window_pattern",
                                       "attention.temperature_scale",
                                       "attention.temperature_length",
                                       "attention.scale",
                                       "attention.clamp_kqv",
                                       "attention.causal",
                                       "attention.logit_softcapping",
                                       "attention.max_alibi_bias",
                                       "rope.dimension_count",
                                       "rope.dimension_sections",
                                       "rope.freq_base",
                                       "rope.freq_base_swa",
                                       "rope.scaling.factor",
                                       "rope.scaling.attn_factor",
                                       "rope.scaling.original_context_length",
                                       "rope.scaling.yarn_ext_factor",
                                       "rope.scaling.yarn_log_multiplier",
                                       "rope.scaling.yarn_beta_fast",
                                       "expert_gating_func",
                                       "expert_weights_scale",
                                       "expert_weights_norm",
                                       "expert_group_count",
                                       "expert_group_used_count",
                                       "expert_feed_forward_length",
                                       "expert_shared_count",
                                       "expert_shared_feed_forward_length",
                                       "leading_dense_block_count",
                                       "interleave_moe_layer_step",
                                       "nextn_predict_layers",
                                       "full_attention_interval",
                                       "pooling_type",
                                       "embedding_length_out",
                                       "logit_scale",
                                       "residual_scale",
                                       "embedding_scale",
                                       "swiglu_clamp_exp",
                                       "ssm.conv_kernel",
                                       "ssm.inner_size",
                                       "ssm.state_size",
                                       "ssm.time_step_rank",
                                       "ssm.group_count",
                                       "moe_latent_size"};
    char key[160];
    const char *arch;
    uint64_t n;
    for (uint64_t i = 0; i < f->parts[0].n_keys; i++) {
        const struct gg_key *k = &f->parts[0].keys[i];
        if (k->kind == GG_ARR && (k->elem == GG_STR || k->n > 100))
            continue;
        printf("del\037%s\n", k->name);
        if (k->kind != GG_STR)
            number_cases(k->name);
        if (text_suits(k))
            printf("set\037%s\037str\037\nset\037%s\037str\037odd\nset\037%s\037str\037%%s%%n\xff\n", k->name,
                   k->name, k->name);
    }
    if (!gg_key_str(gg_find(f, "general.architecture"), &arch, &n))
        return;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        snprintf(key, sizeof key, "%.*s.%s", (int)n, arch, more[i]);
        if (key_at(m, key) == m->n_keys)
            number_cases(key);
    }
    printf("set\037%.*s.rope.scaling.type\037str\037odd\n", (int)n, arch);
    printf("align\0378\n");
}

static void vocab_cases(const struct gg_file *f)
{
    static const char *const models[] = {"llama",  "gpt2", "bert",     "t5",        "rwkv",       "plamo2",
                                         "gemma4", "none", "no_vocab", "hybriddna", "whitespace", "test"};
    static const char *const pres[] = {"glm4", "chatglm-bpe", "gemma4", "llama-bpe", "tekken", "default"};
    static const char *const ids[] = {"bos", "eos", "unknown", "seperator", "padding", "mask", "eot"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        printf("set\037tokenizer.ggml.model\037str\037%s\n", models[i]);
    for (size_t i = 0; i < sizeof pres / sizeof *pres; i++)
        for (int k = 0; k < 2; k++)
            printf(
                "set\037tokenizer.ggml.pre\037str\037%s\037set\037tokenizer.ggml.add_%s_token\037bool\0371\037set\037"
                "tokenizer.ggml.%s_token_id\037u32\0374294967295\n",
                pres[i], ids[k], ids[k]);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        printf(
            "set\037tokenizer.ggml.%s_token_id\037u32\0374294967295\037set\037tokenizer.ggml.add_%s_token\037bool\0371\n",
            ids[i], i == 3 ? "sep" : ids[i]);
    if (!gg_find(f, "tokenizer.ggml.tokens"))
        return;
    printf("item\037tokenizer.ggml.tokens\0377\037twice\037item\037tokenizer.ggml.tokens\0379\037twice\n");
    for (int i = 0; i < 4; i++)
        printf("item\037tokenizer.ggml.tokens\037%d\037\n", 3 + 70 * i);
    printf("del\037tokenizer.ggml.tokens\ndel\037tokenizer.ggml.token_type\n");
}

/* Of the tensors that blocks have alike the first one. */
static bool is_first(const struct model *m, size_t at)
{
    const char *name = m->tensors[at].name, *end = strncmp(name, "blk.", 4) ? NULL : strchr(name + 4, '.');
    for (size_t i = 0; end && i < at; i++) {
        const char *other =
            strncmp(m->tensors[i].name, "blk.", 4) ? NULL : strchr(m->tensors[i].name + 4, '.');
        if (other && !strcmp(other, end))
            return false;
    }
    return true;
}

static void tensor_cases(const struct model *m)
{
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct tensor *t = &m->tensors[i];
        if (!is_first(m, i))
            continue;
        printf("drop\037%s\n", t->name);
        for (uint32_t y = 0; y < GG_N_TYPES; y++)
            if (gg_type_get(y) && y != t->type && t->ne[0] % gg_type_get(y)->block == 0)
                printf("type\037%s\037%s\n", t->name, gg_type_get(y)->name);
        for (uint32_t d = 0; d < t->n_dims; d++)
            for (int k = 0; k < 3; k++)
                if (d || gg_type_get(t->type)->block == 1)
                    printf("dim\037%s\037%u\037%llu\n", t->name, d + 1,
                           (unsigned long long)(k ? t->ne[d] + (k == 1 ? 1 : t->ne[d]) : 0));
    }
}

static void cases(const char *path)
{
    struct err e = {0};
    struct model m = {0};
    load(&m, path);
    struct gg_file *f = gg_open(path, &e);
    if (!f)
        die("%s", e.msg);
    key_cases(&m, f);
    vocab_cases(f);
    tensor_cases(&m);
    gg_free(f);
}

static void print_keys(const char *path)
{
    struct err e = {0};
    struct gg_file *f = gg_open(path, &e);
    if (!f)
        die("%s", e.msg);
    for (uint64_t i = 0; i < f->parts[0].n_keys; i++) {
        const struct gg_key *k = &f->parts[0].keys[i];
        const char *s;
        uint64_t n;
        if (k->kind != GG_ARR && gg_key_u64(k, &n))
            printf("%s = %llu\n", k->name, (unsigned long long)n);
        else if (gg_key_str(k, &s, &n))
            printf("%s = %.*s\n", k->name, (int)n, s);
    }
    gg_free(f);
}

static void big(const char *path, const char *blocks, const char *experts, const char *bytes)
{
    struct model m = {.version = 3, .align = 32};
    uint64_t n = number(blocks), e = number(experts), width = 1024;
    uint64_t f = (number(bytes) / (n * e * 3 * 2 * width) + 31) / 32 * 32;
    set_key(&m, "general.architecture", "str", "qwen3moe");
    set_key(&m, "general.name", "str", "sparse");
    set_key(&m, "qwen3moe.block_count", "u32", blocks);
    set_key(&m, "qwen3moe.expert_count", "u32", experts);
    set_key(&m, "qwen3moe.expert_used_count", "u32", "2");
    for (uint64_t il = 0; il < n; il++) {
        static const char *const names[] = {"ffn_gate_inp", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"};
        for (int k = 0; k < 4; k++) {
            struct tensor t = {.type = k ? 1 : 0,
                               .n_dims = k ? 3 : 2,
                               .ne = {k == 3 ? f : width,
                                      k == 0   ? e
                                      : k == 3 ? width
                                               : f,
                                      k ? e : 1, 1}};
            t.name = xasprintf("blk.%llu.%s.weight", (unsigned long long)il, names[k]);
            t.bytes = bytes_of(&t);
            GROW(m.tensors, m.n_tensors, m.cap_tensors);
            m.tensors[m.n_tensors++] = t;
        }
    }
    save(&m, 0, m.n_tensors, path, true);
}

/* A short program that leaves its memory to the system. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(int argc, char **argv)
{
    struct model m = {0};
    if (argc == 5 && !strcmp(argv[1], "--split")) {
        load(&m, argv[3]);
        split(&m, (uint32_t)number(argv[2]), argv[4]);
    } else if (argc == 3 && !strcmp(argv[1], "--keys")) {
        print_keys(argv[2]);
    } else if (argc == 3 && !strcmp(argv[1], "--cases")) {
        cases(argv[2]);
    } else if (argc == 6 && !strcmp(argv[1], "--big")) {
        big(argv[2], argv[3], argv[4], argv[5]);
    } else if (argc >= 3 && argv[1][0] != '-') {
        load(&m, argv[1]);
        for (int i = 3; i < argc;)
            i += edit(&m, argc - i, argv + i);
        save(&m, 0, m.n_tensors, argv[2], false);
    } else {
        fputs(
            "usage: gguf_edit IN OUT [EDIT...] | --keys IN | --cases IN | --split N IN PREFIX | --big OUT BLOCKS EXPERTS BYTES\n",
            stderr);
        return 2;
    }
    return 0; /* memory goes with the process */
}
