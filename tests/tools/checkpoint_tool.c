/* checkpoint_tool.c - looks into Hugging Face checkpoint folders and makes them, for the tests. Reads
 * safetensors with code of its own, so that a mistake of src/hf/ cannot hide itself.
 *
 *   checkpoint_tool compare EXPECTED OUT [PREFIX]
 *                                          OUT is what EXPECTED (tests/data/structural/FORM/pruned) says,
 *                                          without the tensors whose names begin with PREFIX: prints "ok", or
 *                                          a line for each difference
 *   checkpoint_tool list DIR               NAME DTYPE SHAPE SHA256 FILE of every tensor, sorted by name
 *   checkpoint_tool flip FILE TENSOR BYTE  inverts one byte of a tensor
 *   checkpoint_tool make DIR [OPTION N]... a Qwen3-MoE of random weights, the same for the same options:
 *       --layers 2 --experts 8 --hidden 16 --ffn 8 --vocab 32 --shards 1 --seed 1
 *       --tensors N     as many layers as it takes for N tensors
 *       --fused 1       the experts of a layer stacked in one tensor
 *       --sparse 1      weights are holes: nothing but zeros, and no room on the disk
 *
 * Exit status 0, or 1: different, or it cannot be done. */
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX "model.safetensors.index.json"

/* Of the folder that is looked at: Mistral's own layout has other names. */
static const char *index_name = INDEX, *weights_name = "model.safetensors";

static int differences;

static void __attribute__((format(printf, 1, 2))) differ(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    differences++;
}

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("checkpoint_tool: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static char *join(const char *dir, const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

static bool exists(const char *dir, const char *name)
{
    char *path = join(dir, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        die("cannot open %s", path);
    struct buf b = {0};
    char part[65536];
    size_t got;
    buf_str(&b, "");
    while ((got = fread(part, 1, sizeof part, f)) > 0)
        buf_add(&b, part, got);
    fclose(f);
    *n = b.n;
    return b.s;
}

static json_t *load(const char *dir, const char *name)
{
    char *path = join(dir, name);
    json_error_t e;
    json_t *v = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (!v)
        die("%s: line %d: %s", path, e.line, e.text);
    free(path);
    return v;
}

/* ---- reading a folder ---- */
static const struct {
    const char *name;
    uint64_t bytes;
} dtypes[] = {
    {"F64", 8},     {"I64", 8},     {"U64", 8},     {"F32", 4}, {"I32", 4}, {"U32", 4},
    {"F16", 2},     {"BF16", 2},    {"I16", 2},     {"U16", 2}, {"I8", 1},  {"BOOL", 1},
    {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"U8", 1},
};

struct tensor {
    const char *name, *dtype, *file;
    const json_t *shape;
    uint64_t begin, end; /* in the data of its file */
    char sha[65];
};

struct folder {
    struct tensor *v; /* sorted by name */
    size_t n, cap;
    char **files;
    size_t n_files, cap_files;
    json_t *index; /* NULL: none */
    uint64_t bytes;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    int d = (x->begin > y->begin) - (x->begin < y->begin);
    return d ? d : (x->end > y->end) - (x->end < y->end);
}

static uint64_t size_of(const struct tensor *t)
{
    uint64_t n = 0;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (!strcmp(dtypes[i].name, t->dtype))
            n = dtypes[i].bytes;
    if (!n)
        differ("%s: %s: type %s", t->file, t->name, t->dtype);
    for (size_t i = 0; i < json_array_size(t->shape); i++)
        n *= (uint64_t)json_integer_value(json_array_get(t->shape, i));
    return n;
}

static json_t *read_header(int fd, const char *path, uint64_t *data_at)
{
    uint8_t length[8];
    if (pread(fd, length, 8, 0) != 8)
        die("%s: no header", path);
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | length[i];
    if (n > 1u << 30)
        die("%s: a header of %" PRIu64 " bytes", path, n);
    char *text = xmalloc(n + 1);
    if (pread(fd, text, n, 8) != (ssize_t)n)
        die("%s: the header ends too early", path);
    json_error_t e;
    json_t *head = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    if (!json_is_object(head))
        die("%s: the header: %s", path, head ? "not an object" : e.text);
    free(text);
    *data_at = 8 + n;
    return head; /* owns the names */
}

static void hash_range(int fd, uint64_t at, uint64_t n, char sha[65])
{
    struct sha256 *h = sha256_new();
    static uint8_t part[1 << 20];
    while (n) {
        ssize_t got = pread(fd, part, n < sizeof part ? n : sizeof part, (off_t)at);
        if (got <= 0)
            die("cannot read at %" PRIu64, at);
        sha256_add(h, part, (size_t)got);
        at += (uint64_t)got;
        n -= (uint64_t)got;
    }
    sha256_hex(h, sha);
}

/* Every byte of the data belongs to exactly one tensor. */
static void check_places(struct tensor *v, size_t n, const char *file, uint64_t data_bytes)
{
    uint64_t at = 0;
    qsort(v, n, sizeof *v, by_place);
    for (size_t i = 0; i < n; i++) {
        if (v[i].begin != at)
            differ("%s: %s begins at %" PRIu64 ", expected %" PRIu64, file, v[i].name, v[i].begin, at);
        at = v[i].end;
    }
    if (at != data_bytes)
        differ("%s: tensors end at %" PRIu64 ", the file at %" PRIu64, file, at, data_bytes);
}

static void read_file(struct folder *d, const char *dir, const char *file)
{
    char *path = join(dir, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        differ("%s: cannot be opened", file);
        free(path);
        return;
    }
    uint64_t data_at, size = (uint64_t)st.st_size;
    json_t *head = read_header(fd, path, &data_at), *t;
    size_t first = d->n;
    const char *name;
    json_object_foreach (head, name, t) {
        if (!strcmp(name, "__metadata__"))
            continue;
        struct tensor x = {.name = name, .file = file, .shape = json_object_get(t, "shape")};
        x.dtype = json_string_value(json_object_get(t, "dtype"));
        json_t *place = json_object_get(t, "data_offsets");
        if (!x.dtype || !json_is_array(x.shape) || json_array_size(place) != 2)
            die("%s: %s: not a tensor's entry", path, name);
        x.begin = (uint64_t)json_integer_value(json_array_get(place, 0));
        x.end = (uint64_t)json_integer_value(json_array_get(place, 1));
        if (x.begin > x.end || x.end > size - data_at)
            die("%s: %s: bytes %" PRIu64 " to %" PRIu64, path, name, x.begin, x.end);
        if (x.end - x.begin != size_of(&x))
            differ("%s: %s has %" PRIu64 " bytes, its shape %" PRIu64, file, name, x.end - x.begin,
                   size_of(&x));
        hash_range(fd, data_at + x.begin, x.end - x.begin, x.sha);
        d->bytes += x.end - x.begin;
        GROW(d->v, d->n, d->cap);
        d->v[d->n++] = x;
    }
    if (d->n > first) /* else v may be NULL */
        check_places(d->v + first, d->n - first, file, size - data_at);
    close(fd);
    free(path);
}

static bool add_file(struct folder *d, const char *name)
{
    for (size_t i = 0; i < d->n_files; i++)
        if (!strcmp(d->files[i], name))
            return false;
    GROW(d->files, d->n_files, d->cap_files);
    d->files[d->n_files++] = xstrdup(name);
    return true;
}

/* Tensors are in one file each, the index and the files agree both ways, no file is left over. */
static void check_index(struct folder *d, const char *dir)
{
    const json_t *map = json_object_get(d->index, "weight_map");
    for (size_t i = 0; i < d->n; i++) {
        const struct tensor *t = &d->v[i];
        if (i && !strcmp(t->name, d->v[i - 1].name))
            differ("%s is in %s and in %s", t->name, d->v[i - 1].file, t->file);
        const char *file = map ? json_string_value(json_object_get(map, t->name)) : NULL;
        if (map && (!file || strcmp(file, t->file) != 0))
            differ("%s is in %s, which the index does not say", t->name, t->file);
    }
    const char *name;
    json_t *file;
    json_object_foreach ((json_t *)(uintptr_t)map, name, file) {
        struct tensor key = {.name = name};
        if (!d->n || !bsearch(&key, d->v, d->n, sizeof *d->v, by_name))
            differ("the index names %s, which no file holds", name);
    }
    DIR *list = opendir(dir);
    const struct dirent *entry;
    while (list && (entry = readdir(list)))
        if (strstr(entry->d_name, ".safetensors") && strcmp(entry->d_name, index_name) != 0 &&
            add_file(d, entry->d_name))
            differ("%s belongs to nothing", entry->d_name);
    if (list)
        closedir(list);
}

static struct folder read_folder(const char *dir)
{
    struct folder d = {0};
    bool own = !exists(dir, "config.json") && exists(dir, "params.json");
    index_name = own ? "consolidated.safetensors.index.json" : INDEX;
    weights_name = own ? "consolidated.safetensors" : "model.safetensors";
    if (exists(dir, index_name)) {
        d.index = load(dir, index_name);
        json_t *map = json_object_get(d.index, "weight_map"), *file;
        const char *name, *last = "";
        if (!json_is_object(map))
            die("%s has no weight_map", index_name);
        json_object_foreach (map, name, file) {
            const char *s = json_string_value(file);
            if (!s || !*s || strchr(s, '/'))
                die("%s: the file of %s", index_name, name);
            if (strcmp(s, last) != 0)
                add_file(&d, s);
            last = s;
        }
    } else {
        add_file(&d, weights_name);
    }
    size_t n = d.n_files;
    for (size_t i = 0; i < n; i++)
        read_file(&d, dir, d.files[i]);
    if (d.n)
        qsort(d.v, d.n, sizeof *d.v, by_name);
    check_index(&d, dir);
    return d;
}

/* ---- compare ---- */
/* The next mark of a JSON text: a string with its quotes, a word or number, a bracket, comma or colon.
 * False at the end. */
static bool next_mark(const char **at, const char **mark, size_t *n)
{
    const char *s = *at + strspn(*at, " \t\r\n");
    const char *e = s;
    if (*s == '"') {
        for (e++; *e && *e != '"'; e++)
            if (*e == '\\' && e[1])
                e++;
        e += *e == '"';
    } else {
        e += strcspn(s, " \t\r\n\",:[]{}");
        if (e == s && *s)
            e++;
    }
    *mark = s;
    *n = (size_t)(e - s);
    *at = e;
    return e > s;
}

static bool same_mark(const char *a, size_t na, const char *b, size_t nb)
{
    if (na == nb && !memcmp(a, b, na))
        return true;
    if (*a != '"' || *b != '"')
        return false;
    json_t *x = json_loadb(a, na, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *y = json_loadb(b, nb, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool same = x && y && json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

/* Mark by mark: white space is free; the order of keys, the spelling of numbers and what strings say are
 * not. */
static void compare_json(const char *expected, const char *out, const char *name)
{
    if (!exists(expected, name))
        return;
    if (!exists(out, name)) {
        differ("%s is missing", name);
        return;
    }
    char *pa = join(expected, name), *pb = join(out, name);
    size_t na, nb;
    char *a = slurp(pa, &na), *b = slurp(pb, &nb);
    const char *x = a, *y = b, *m, *k;
    bool more, more_b;
    do {
        more = next_mark(&x, &m, &na);
        more_b = next_mark(&y, &k, &nb);
        if (more != more_b || !same_mark(m, na, k, nb)) {
            int line = 1;
            for (const char *p = b; p < k; p++)
                line += *p == '\n';
            differ("%s: line %d: '%.*s', expected '%.*s'", name, line, (int)nb, k, (int)na, m);
            break;
        }
    } while (more);
    free(a);
    free(b);
    free(pa);
    free(pb);
}

static void compare_tensors(const json_t *want, const struct folder *d, const char *without)
{
    size_t i, at = 0;
    json_t *t, *names = json_object();
    json_array_foreach (want, i, t) {
        const char *name = json_string_value(json_object_get(t, "name"));
        if (!*without || strncmp(name, without, strlen(without)) != 0)
            json_object_set(names, name, t);
    }
    if (!json_object_size(names))
        die("tensors.json has no tensors");
    for (at = 0; at < d->n; at++) {
        const struct tensor *x = &d->v[at];
        t = json_object_get(names, x->name);
        if (!t) {
            differ("unexpected tensor %s", x->name);
            continue;
        }
        const char *dtype = json_string_value(json_object_get(t, "dtype"));
        json_t *shape = json_object_get(t, "shape");
        if (strcmp(x->dtype, dtype) != 0)
            differ("%s is %s, expected %s", x->name, x->dtype, dtype);
        if (!json_equal(x->shape, shape)) {
            char *a = json_dumps(x->shape, JSON_COMPACT), *b = json_dumps(shape, JSON_COMPACT);
            differ("%s has shape %s, expected %s", x->name, a, b);
            free(a);
            free(b);
        } else if (strcmp(x->sha, json_string_value(json_object_get(t, "sha256"))) != 0) {
            differ("%s has other bytes", x->name);
        }
        json_object_del(names, x->name);
    }
    const char *name;
    json_object_foreach (names, name, t) {
        differ("missing tensor %s", name);
    }
    json_decref(names);
}

static void compare_totals(const json_t *expected, const struct folder *d)
{
    const json_t *size = json_object_get(expected, "total_size");
    const json_t *parameters = json_object_get(expected, "total_parameters");
    if (size && (uint64_t)json_integer_value(size) != d->bytes)
        differ("%" PRIu64 " bytes of tensors, expected %lld", d->bytes, json_integer_value(size));
    if (!d->index) {
        if (json_is_true(json_object_get(expected, "index")))
            differ("%s is missing", index_name);
        return;
    }
    const json_t *meta = json_object_get(d->index, "metadata");
    const json_t *got = json_object_get(meta, "total_size");
    if (!json_is_integer(got) || (uint64_t)json_integer_value(got) != d->bytes)
        differ("the index: total_size is %lld, expected %" PRIu64, json_integer_value(got), d->bytes);
    got = json_object_get(meta, "total_parameters");
    if (parameters && (!json_is_integer(got) || !json_equal(got, parameters)))
        differ("the index: total_parameters is %lld, expected %lld", json_integer_value(got),
               json_integer_value(parameters));
}

static void compare_copied(const json_t *expected, const char *out)
{
    size_t i;
    json_t *c;
    json_array_foreach (json_object_get(expected, "copied"), i, c) {
        const char *name = json_string_value(json_object_get(c, "path"));
        char *path = join(out, name), hex[65] = "";
        struct err e = {0};
        if (!sha256_file(path, hex, &e) || strcmp(hex, json_string_value(json_object_get(c, "sha256"))) != 0)
            differ("%s is not what it was", name);
        free(path);
    }
}

static int compare(const char *expected, const char *out, const char *without)
{
    json_t *want = load(expected, "tensors.json");
    struct folder d = read_folder(out);
    compare_tensors(json_object_get(want, "tensors"), &d, without);
    if (*without) { /* the totals are those of all */
        json_object_del(want, "total_size");
        json_object_del(want, "total_parameters");
    }
    compare_totals(want, &d);
    compare_json(expected, out, "config.json");
    compare_json(expected, out, "params.json");
    compare_json(expected, out, "hf_quant_config.json");
    compare_json(expected, out, "quantize_config.json");
    compare_copied(want, out);
    if (!differences)
        puts("ok");
    return differences != 0;
}

static int list(const char *dir)
{
    struct folder d = read_folder(dir);
    for (size_t i = 0; i < d.n; i++) {
        const struct tensor *t = &d.v[i];
        char *shape = json_dumps(t->shape, JSON_COMPACT);
        printf("%s %s %s %s %s\n", t->name, t->dtype, shape, t->sha, t->file);
        free(shape);
    }
    return differences != 0;
}

/* ---- flip ---- */
static int flip(const char *path, const char *name, const char *byte)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die("cannot open %s", path);
    uint64_t at;
    json_t *head = read_header(fd, path, &at);
    json_t *place = json_object_get(json_object_get(head, name), "data_offsets");
    uint64_t begin = (uint64_t)json_integer_value(json_array_get(place, 0));
    uint64_t end = (uint64_t)json_integer_value(json_array_get(place, 1));
    uint64_t i = strtoull(byte, NULL, 10);
    uint8_t b;
    if (i >= end - begin)
        die("%s: no byte %s of %s", path, byte, name);
    at += begin + i;
    if (pread(fd, &b, 1, (off_t)at) != 1)
        die("cannot read %s", path);
    b = (uint8_t)~b;
    if (pwrite(fd, &b, 1, (off_t)at) != 1 || close(fd) != 0)
        die("cannot write %s", path);
    json_decref(head);
    return 0;
}

/* ---- make ---- */
struct made {
    char *name;
    uint64_t dims[3];
    uint32_t n_dims;
    uint64_t bytes;
};

struct recipe {
    uint64_t layers, experts, hidden, ffn, vocab, shards, seed, tensors, fused, sparse;
    uint64_t head_dim, heads, kv_heads;
    struct made *v;
    size_t n, cap;
};

static void __attribute__((format(printf, 5, 6)))
add(struct recipe *r, uint64_t a, uint64_t b, uint64_t c, const char *fmt, ...)
{
    char name[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    struct made t = {.name = xstrdup(name), .bytes = 2};
    uint64_t dims[3] = {a, b, c};
    for (int i = 0; i < 3; i++)
        if (dims[i]) {
            t.dims[t.n_dims++] = dims[i];
            t.bytes *= dims[i];
        }
    GROW(r->v, r->n, r->cap);
    r->v[r->n++] = t;
}

static void add_layer(struct recipe *r, uint64_t l)
{
    char p[60];
    snprintf(p, sizeof p, "model.layers.%" PRIu64, l);
    add(r, r->hidden, 0, 0, "%s.input_layernorm.weight", p);
    for (uint64_t e = 0; e < r->experts && !r->fused; e++) {
        add(r, r->hidden, r->ffn, 0, "%s.mlp.experts.%" PRIu64 ".down_proj.weight", p, e);
        add(r, r->ffn, r->hidden, 0, "%s.mlp.experts.%" PRIu64 ".gate_proj.weight", p, e);
        add(r, r->ffn, r->hidden, 0, "%s.mlp.experts.%" PRIu64 ".up_proj.weight", p, e);
    }
    if (r->fused) {
        add(r, r->experts, r->hidden, r->ffn, "%s.mlp.experts.down_proj", p);
        add(r, r->experts, 2 * r->ffn, r->hidden, "%s.mlp.experts.gate_up_proj", p);
    }
    add(r, r->experts, r->hidden, 0, "%s.mlp.gate.weight", p);
    add(r, r->hidden, 0, 0, "%s.post_attention_layernorm.weight", p);
    add(r, r->head_dim, 0, 0, "%s.self_attn.k_norm.weight", p);
    add(r, r->kv_heads * r->head_dim, r->hidden, 0, "%s.self_attn.k_proj.weight", p);
    add(r, r->hidden, r->heads * r->head_dim, 0, "%s.self_attn.o_proj.weight", p);
    add(r, r->head_dim, 0, 0, "%s.self_attn.q_norm.weight", p);
    add(r, r->heads * r->head_dim, r->hidden, 0, "%s.self_attn.q_proj.weight", p);
    add(r, r->kv_heads * r->head_dim, r->hidden, 0, "%s.self_attn.v_proj.weight", p);
}

static FILE *create(const char *dir, const char *name)
{
    char *path = join(dir, name);
    FILE *f = fopen(path, "wb");
    if (!f)
        die("cannot create %s", path);
    free(path);
    return f;
}

static void make_config(const struct recipe *r, const char *dir)
{
    FILE *f = create(dir, "config.json");
    fprintf(f,
            "{\n  \"architectures\": [\n    \"Qwen3MoeForCausalLM\"\n  ],\n  \"attention_bias\": false,\n");
    fprintf(f, "  \"decoder_sparse_step\": 1,\n  \"head_dim\": %" PRIu64 ",\n  \"hidden_act\": \"silu\",\n",
            r->head_dim);
    fprintf(f,
            "  \"hidden_size\": %" PRIu64 ",\n  \"intermediate_size\": %" PRIu64
            ",\n  \"max_position_embeddings\": 32768,\n",
            r->hidden, 3 * r->ffn);
    fprintf(f,
            "  \"mlp_only_layers\": [],\n  \"model_type\": \"qwen3_moe\",\n  \"moe_intermediate_size\": "
            "%" PRIu64 ",\n",
            r->ffn);
    fprintf(f,
            "  \"norm_topk_prob\": true,\n  \"num_attention_heads\": %" PRIu64
            ",\n  \"num_experts\": %" PRIu64 ",\n  \"num_experts_per_tok\": 2,\n",
            r->heads, r->experts);
    fprintf(f, "  \"num_hidden_layers\": %" PRIu64 ",\n  \"num_key_value_heads\": %" PRIu64 ",\n", r->layers,
            r->kv_heads);
    fprintf(f,
            "  \"rms_norm_eps\": 1e-06,\n  \"rope_theta\": 1000000.0,\n  \"tie_word_embeddings\": false,\n");
    fprintf(f, "  \"torch_dtype\": \"bfloat16\",\n  \"vocab_size\": %" PRIu64 "\n}\n", r->vocab);
    fclose(f);
}

/* BF16 numbers of 0.016 to 0.031 with a random sign: no NaN among them. */
static void put_weights(FILE *f, uint64_t n, uint64_t *x)
{
    static uint64_t part[1 << 14];
    while (n) {
        uint64_t m = n < sizeof part ? n : sizeof part;
        for (uint64_t i = 0; i < (m + 7) / 8; i++) {
            *x ^= *x << 13;
            *x ^= *x >> 7;
            *x ^= *x << 17;
            part[i] = (*x & 0x807f807f807f807f) | 0x3c803c803c803c80;
        }
        if (fwrite(part, 1, m, f) != m)
            die("cannot write");
        n -= m;
    }
}

static void make_file(const struct recipe *r, const char *dir, const char *name, size_t from, size_t to,
                      uint64_t *x)
{
    struct buf h = {0};
    uint64_t at = 0;
    buf_str(&h, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = from; i < to; i++) {
        const struct made *t = &r->v[i];
        buf_fmt(&h, ",\"%s\":{\"dtype\":\"BF16\",\"shape\":[", t->name);
        for (uint32_t k = 0; k < t->n_dims; k++)
            buf_fmt(&h, "%s%" PRIu64, k ? "," : "", t->dims[k]);
        buf_fmt(&h, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + t->bytes);
        at += t->bytes;
    }
    buf_str(&h, "}");
    while (h.n % 8)
        buf_char(&h, ' ');
    struct buf length = {0};
    buf_u64le(&length, h.n);
    FILE *f = create(dir, name);
    if (fwrite(length.s, 1, 8, f) != 8 || fwrite(h.s, 1, h.n, f) != h.n)
        die("cannot write %s", name);
    if (!r->sparse)
        put_weights(f, at, x);
    else if (fflush(f) != 0 || ftruncate(fileno(f), (off_t)(8 + h.n + at)) != 0)
        die("cannot write %s", name);
    if (fclose(f) != 0)
        die("cannot write %s", name);
    buf_clear(&length);
    buf_clear(&h);
}

static void make_files(const struct recipe *r, const char *dir)
{
    uint64_t total = 0, done = 0, x = r->seed * 0x9e3779b97f4a7c15u | 1;
    for (size_t i = 0; i < r->n; i++)
        total += r->v[i].bytes;
    FILE *index = r->shards > 1 ? create(dir, INDEX) : NULL;
    if (index)
        fprintf(index, "{\n  \"metadata\": {\n    \"total_size\": %" PRIu64 "\n  },\n  \"weight_map\": {",
                total);
    size_t from = 0;
    for (uint64_t s = 1; s <= r->shards; s++) { /* shares of about the same size */
        char name[80] = "model.safetensors";
        if (index)
            snprintf(name, sizeof name, "model-%05" PRIu64 "-of-%05" PRIu64 ".safetensors", s, r->shards);
        size_t to = from;
        while (to < r->n && (s == r->shards || done < total / r->shards * s)) {
            if (index)
                fprintf(index, "%s\n    \"%s\": \"%s\"", to ? "," : "", r->v[to].name, name);
            done += r->v[to++].bytes;
        }
        if (to == from)
            die("more files than tensors");
        make_file(r, dir, name, from, to, &x);
        from = to;
    }
    if (index) {
        fprintf(index, "\n  }\n}\n");
        fclose(index);
    }
}

static int make(const char *dir, char **options)
{
    struct recipe r = {
        .layers = 2, .experts = 8, .hidden = 16, .ffn = 8, .vocab = 32, .shards = 1, .seed = 1};
    const struct {
        const char *name;
        uint64_t *to;
    } known[] = {
        {"--layers", &r.layers}, {"--experts", &r.experts}, {"--hidden", &r.hidden},
        {"--ffn", &r.ffn},       {"--vocab", &r.vocab},     {"--shards", &r.shards},
        {"--seed", &r.seed},     {"--tensors", &r.tensors}, {"--fused", &r.fused},
        {"--sparse", &r.sparse},
    };
    size_t n_known = sizeof known / sizeof *known;
    for (; options[0]; options += 2) {
        size_t i = 0;
        while (i < n_known && strcmp(known[i].name, options[0]) != 0)
            i++;
        if (i == n_known || !options[1])
            die("make: option %s", options[0]);
        *known[i].to = strtoull(options[1], NULL, 10);
    }
    r.head_dim = r.hidden >= 256 ? 128 : r.hidden / 2;
    r.heads = r.hidden / (r.head_dim ? r.head_dim : 1);
    r.kv_heads = r.heads >= 8 ? r.heads / 4 : 1;
    if (!r.heads || !r.experts || !r.ffn || !r.vocab || !r.shards)
        die("make: too small");
    if (r.tensors) {
        uint64_t each = 9 + (r.fused ? 2 : 3 * r.experts);
        r.layers = (r.tensors + each - 1) / each;
    }
    add(&r, r.vocab, r.hidden, 0, "lm_head.weight");
    add(&r, r.vocab, r.hidden, 0, "model.embed_tokens.weight");
    for (uint64_t l = 0; l < r.layers; l++)
        add_layer(&r, l);
    add(&r, r.hidden, 0, 0, "model.norm.weight");
    if (mkdir(dir, 0777) != 0)
        die("cannot create the folder %s", dir);
    make_config(&r, dir);
    make_files(&r, dir);
    return 0;
}

/* A short program that leaves its memory to the system. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(int argc, char **argv)
{
    if ((argc == 4 || argc == 5) && !strcmp(argv[1], "compare"))
        return compare(argv[2], argv[3], argc == 5 ? argv[4] : "");
    if (argc == 3 && !strcmp(argv[1], "list"))
        return list(argv[2]);
    if (argc == 5 && !strcmp(argv[1], "flip"))
        return flip(argv[2], argv[3], argv[4]);
    if (argc >= 3 && !strcmp(argv[1], "make"))
        return make(argv[2], argv + 3);
    die("usage: see the head of checkpoint_tool.c");
}
