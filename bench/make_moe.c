/* make_moe.c - writes a synthetic MoE model (qwen3moe, a token for each byte) of any size, quickly and in little memory: random quantised
 * blocks with scales that keep activations around 1, so that the engine computes with it as with a real one.
 *
 *   make_moe OUT.gguf [layers=8] [experts=128] [used=8] [embd=1024] [ffn=512] [vocab=4096] [type=q8_0|q4_0|f16|f32] */
#include "base/err.h"
#include "gguf/gguf_file.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define ALIGNMENT 32
#define TYPE_F32  0
#define TYPE_F16  1
#define TYPE_Q4_0 2
#define TYPE_Q8_0 8

static uint64_t layers = 8, experts = 128, used = 8, embd = 1024, ffn = 512, vocab = 4096;
static uint32_t type = TYPE_Q8_0;

struct tensor {
    char name[64];
    uint32_t type, n_dims;
    uint64_t ne[3];
};

static struct tensor *tensors;
static size_t n_tensors;

static void add(uint32_t t, uint64_t a, uint64_t b, uint64_t c, const char *name)
{
    struct tensor *x = &tensors[n_tensors++];
    *x = (struct tensor){.type = t, .n_dims = c ? 3 : b ? 2 : 1, .ne = {a, b ? b : 1, c ? c : 1}};
    snprintf(x->name, sizeof x->name, "%s", name);
}

static void add_block(uint64_t il, uint32_t t, uint64_t a, uint64_t b, uint64_t c, const char *suffix)
{
    char name[64];
    snprintf(name, sizeof name, "blk.%" PRIu64 ".%s.weight", il, suffix);
    add(t, a, b, c, name);
}

static void list_tensors(void)
{
    tensors = calloc(16 * layers + 8, sizeof *tensors);
    if (!tensors)
        exit(1);
    add(type, embd, vocab, 0, "token_embd.weight");
    add(TYPE_F32, embd, 0, 0, "output_norm.weight");
    add(type, embd, vocab, 0, "output.weight");
    for (uint64_t i = 0; i < layers; i++) {
        add_block(i, TYPE_F32, embd, 0, 0, "attn_norm");
        add_block(i, type, embd, embd, 0, "attn_q");
        add_block(i, type, embd, embd / 4, 0, "attn_k");
        add_block(i, type, embd, embd / 4, 0, "attn_v");
        add_block(i, type, embd, embd, 0, "attn_output");
        add_block(i, TYPE_F32, 64, 0, 0, "attn_q_norm");
        add_block(i, TYPE_F32, 64, 0, 0, "attn_k_norm");
        add_block(i, TYPE_F32, embd, 0, 0, "ffn_norm");
        add_block(i, TYPE_F32, embd, experts, 0, "ffn_gate_inp");
        add_block(i, type, embd, ffn, experts, "ffn_gate_exps");
        add_block(i, type, embd, ffn, experts, "ffn_up_exps");
        add_block(i, type, ffn, embd, experts, "ffn_down_exps");
    }
}

static uint64_t bytes_of(const struct tensor *t)
{
    const struct gg_type *g = gg_type_get(t->type);
    return t->ne[0] / g->block * g->bytes * t->ne[1] * t->ne[2];
}

/* ---- data ---- */

static uint64_t rng_state = 0x9e3779b97f4a7c15u;

static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    return rng_state ^= rng_state << 17;
}

/* Normal numbers of half precision only, which is all that is needed here. */
static uint16_t half(float v)
{
    uint32_t u;
    memcpy(&u, &v, 4);
    return (uint16_t)((((u >> 23) - 112) << 10) | (u >> 13 & 0x3ff));
}

static uint8_t chunk[34 * 32768]; /* whole blocks of all types used */

static void fill(const struct tensor *t, size_t n)
{
    if (t->type == TYPE_F32) {
        float scale = t->n_dims == 1 ? 0 : 1.7f / sqrtf((float)t->ne[0]);
        for (size_t i = 0; i < n; i += 4) {
            float v = t->n_dims == 1 ? 1 : scale * ((float)(rng() >> 40) / 8388608.0f - 1);
            memcpy(chunk + i, &v, 4);
        }
        return;
    }
    if (t->type == TYPE_F16) {
        for (size_t i = 0; i < n; i += 2) { /* uniform, away from 0, where half() has no numbers */
            float v = 1.7f / sqrtf((float)t->ne[0]) * ((float)(rng() >> 40 | 0x8000) / 8388608.0f - 1);
            uint16_t h = (uint16_t)(half(v < 0 ? -v : v) | (v < 0 ? 0x8000 : 0));
            memcpy(chunk + i, v > -1e-4f && v < 1e-4f ? (uint16_t[]){0} : &h, 2);
        }
        return;
    }
    const struct gg_type *g = gg_type_get(t->type);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = rng();
        if (t->type == TYPE_Q4_0) /* 0 becomes 8: -7..7 without a mean, which would make all tokens alike */
            v |= (~(v | v >> 1 | v >> 2 | v >> 3) & 0x1111111111111111u) << 3;
        memcpy(chunk + i, &v, n - i < 8 ? n - i : 8);
    }
    if (t->type == TYPE_Q8_0)
        for (size_t i = 0; i < n; i++)
            chunk[i] = chunk[i] == 0x80 ? 0 : chunk[i];
    /* deviation: 73 of -127..127, 4.3 of -7..7; embeddings have 1, so that tokens stay different through all
     * layers */
    float gain = strcmp(t->name, "token_embd.weight") ? 1 / sqrtf((float)t->ne[0]) : 1;
    uint16_t d = half(gain / (t->type == TYPE_Q8_0 ? 73 : 4.3f));
    for (size_t i = 0; i < n; i += g->bytes)
        memcpy(chunk + i, &d, 2);
}

static void put(FILE *f, const void *p, size_t n)
{
    if (fwrite(p, 1, n, f) != n) {
        perror("make_moe: cannot write");
        exit(1);
    }
}

static void write_data(FILE *f)
{
    static const uint8_t zero[ALIGNMENT];
    for (size_t i = 0; i < n_tensors; i++) {
        const struct gg_type *g = gg_type_get(tensors[i].type);
        uint64_t left = bytes_of(&tensors[i]), pad = gg_align(left, ALIGNMENT) - left;
        size_t most = sizeof chunk / g->bytes * g->bytes;
        while (left) {
            size_t n = left < most ? (size_t)left : most;
            fill(&tensors[i], n);
            put(f, chunk, n);
            left -= n;
        }
        put(f, zero, (size_t)pad);
    }
}

/* ---- header ---- */

static uint64_t n_keys;

static void key_u32(struct buf *b, const char *name, uint64_t v)
{
    char s[96];
    snprintf(s, sizeof s, "qwen3moe.%s", name);
    gg_put_u32(b, s, (uint32_t)v);
    n_keys++;
}

static void put_name(struct buf *b, const char *s)
{
    buf_u64le(b, strlen(s));
    buf_str(b, s);
}

static void begin_array(struct buf *b, const char *name, uint32_t of, uint64_t n)
{
    put_name(b, name);
    buf_u32le(b, GG_ARR);
    buf_u32le(b, of);
    buf_u64le(b, n);
    n_keys++;
}

/* GPT-2's way to write a byte: itself where it is visible, else the next code point from 256 on. */
static void byte_name(char s[8], uint32_t byte)
{
    uint32_t c = 256;
    for (uint32_t i = 0; i <= byte; i++) {
        bool visible = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;
        if (i < byte)
            c += !visible;
        else if (visible)
            c = byte;
    }
    if (c < 128)
        snprintf(s, 8, "%c", (char)c);
    else
        snprintf(s, 8, "%c%c", (char)(0xc0 | c >> 6), (char)(0x80 | (c & 63)));
}

/* A token for each byte, and no text makes the others. */
static void tokenizer(struct buf *b)
{
    char s[32];
    gg_put_str(b, "tokenizer.ggml.model", "gpt2");
    gg_put_str(b, "tokenizer.ggml.pre", "gpt-2");
    n_keys += 2;
    begin_array(b, "tokenizer.ggml.tokens", GG_STR, vocab);
    for (uint32_t i = 0; i < vocab; i++) {
        if (i < 256)
            byte_name(s, i);
        else
            snprintf(s, sizeof s, "<%u>", i);
        put_name(b, s);
    }
    begin_array(b, "tokenizer.ggml.token_type", GG_I32, vocab);
    for (uint32_t i = 0; i < vocab; i++)
        buf_u32le(b, i < 256 ? 1 : 5); /* normal, unused */
    begin_array(b, "tokenizer.ggml.merges", GG_STR, 1);
    put_name(b, "< 2");
}

static void keys(struct buf *b)
{
    float eps = 1e-6f;
    uint32_t u;
    gg_put_str(b, "general.architecture", "qwen3moe");
    gg_put_str(b, "general.name", "synthetic");
    buf_u64le(b, strlen("qwen3moe.attention.layer_norm_rms_epsilon"));
    buf_str(b, "qwen3moe.attention.layer_norm_rms_epsilon");
    buf_u32le(b, GG_F32);
    memcpy(&u, &eps, 4);
    buf_u32le(b, u);
    n_keys += 3;
    key_u32(b, "block_count", layers);
    key_u32(b, "context_length", 32768);
    key_u32(b, "embedding_length", embd);
    key_u32(b, "feed_forward_length", ffn * used);
    key_u32(b, "expert_feed_forward_length", ffn);
    key_u32(b, "expert_count", experts);
    key_u32(b, "expert_used_count", used);
    key_u32(b, "attention.head_count", embd / 64);
    key_u32(b, "attention.head_count_kv", embd / 256);
    key_u32(b, "attention.key_length", 64);
    key_u32(b, "attention.value_length", 64);
    tokenizer(b);
}

static void write_header(FILE *f)
{
    struct buf k = {0}, b = {0};
    uint64_t off = 0;
    keys(&k);
    gg_put_start(&b, 3, n_tensors, n_keys);
    buf_add(&b, k.s, k.n);
    for (size_t i = 0; i < n_tensors; i++) {
        gg_put_tensor(&b, tensors[i].name, tensors[i].n_dims, tensors[i].ne, tensors[i].type, off);
        off += gg_align(bytes_of(&tensors[i]), ALIGNMENT);
    }
    gg_pad(&b, ALIGNMENT);
    put(f, b.s, b.n);
    buf_clear(&k);
    buf_clear(&b);
}

static bool option(const char *s)
{
    static const struct {
        const char *name;
        uint64_t *v;
    } names[] = {{"layers=", &layers}, {"experts=", &experts}, {"used=", &used},
                 {"embd=", &embd},     {"ffn=", &ffn},         {"vocab=", &vocab}};
    static const struct {
        const char *name;
        uint32_t type;
    } types[] = {
        {"type=q8_0", TYPE_Q8_0}, {"type=q4_0", TYPE_Q4_0}, {"type=f16", TYPE_F16}, {"type=f32", TYPE_F32}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(s, types[i].name)) {
            type = types[i].type;
            return true;
        }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(s, names[i].name, strlen(names[i].name)))
            return (*names[i].v = strtoull(s + strlen(names[i].name), NULL, 10)) > 0;
    return false;
}

int main(int argc, char **argv)
{
    bool ok = argc > 1;
    for (int i = 2; ok && i < argc; i++)
        ok = option(argv[i]);
    if (!ok || embd % 256 || ffn % 32) {
        fputs(
            "usage: make_moe OUT.gguf [layers=N] [experts=N] [used=N] [embd=N, of 256] [ffn=N, of 32] [vocab=N] "
            "[type=q8_0|q4_0|f16|f32]\n",
            stderr);
        return 2;
    }
    FILE *f = fopen(argv[1], "wb");
    if (!f) {
        perror(argv[1]);
        return 1;
    }
    list_tensors();
    write_header(f);
    write_data(f);
    free(tensors);
    if (fclose(f) != 0) {
        perror(argv[1]);
        return 1;
    }
    return 0;
}
