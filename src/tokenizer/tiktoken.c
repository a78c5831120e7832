/* tiktoken.c - a tiktoken file as the tokenizer.json that says the same.
 *
 * Such a file has a line "BASE64 RANK" for each token: its bytes, and its id, by which it is merged as well. The
 * expression that splits a text, and the special tokens, are in code that comes with the model, so they stand here, by
 * the name of the file (tokenization_kimi.py of Kimi-K2, tokenization_hy.py of Hunyuan-A13B). Read by rules as hard
 * as those of a tokenizer.json: each line two words, no rank twice. */
#include "base/mem.h"
#include "base/text.h"
#include "hf/files.h"
#include "tokenizer/tok_part.h"

#include <openssl/evp.h>
#include <string.h>

#define MAX_FILE  (64u << 20) /* the largest published ones have 3 MB */
#define MAX_BYTES 512         /* of a token: the work grows with the square of it */

static const struct tiktoken {
    const char *file;
    struct tok_tiktoken says;
    bool by_order;            /* ranks are the order of the lines, without those that come again */
    const char *const *names; /* of the first special tokens; NULL: added_tokens_decoder names them */
    const char *rest; /* the others, with a number behind: their id, or how many without a name came before */
    uint32_t n_special;
} rows[] = {
    {.file = "tiktoken.model", .says = {.pre = "kimi-k2"}, .rest = "<|reserved_token_", .n_special = 256 + 2},
    {.file = "hy.tiktoken",
     .says = {.pre = "hunyuan", .bos = "<|bos|>"},
     .by_order = true,
     .names =
         (const char *const[]){"<|endoftext|>", "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>", NULL},
     .rest = "<|extra_",
     .n_special = 5 + 205},
};

/* ---- the file ---- */

/* As the byte-level alphabet writes a byte (GPT-2's bytes_to_unicode). */
static void put_byte(struct buf *b, unsigned c)
{
    bool plain = (c > ' ' && c < 0x7F) || (c > 0xA0 && c != 0xAD);
    unsigned u = plain ? c : c <= ' ' ? 256 + c : c == 0xAD ? 256 + 67 : 256 + 33 + c - 0x7F;
    if (u >= 0x80)
        buf_char(b, (char)(0xC0 | u >> 6));
    buf_char(b, (char)(u < 0x80 ? u : 0x80 | (u & 0x3F)));
}

/* The n characters of a word in base64 as bytes of the alphabet. */
static bool decode(const char *s, size_t n, struct buf *out, struct err *e)
{
    unsigned char bytes[MAX_BYTES + 8], word[(MAX_BYTES + 2) / 3 * 4];
    if (n > sizeof word)
        return err_set(e, ERR_INPUT, "a token of more than %d bytes", MAX_BYTES);
    memcpy(word, s, n);
    size_t pad = 0;
    while (pad < 2 && pad < n && s[n - 1 - pad] == '=')
        pad++;
    bool whole = n && n % 4 == 0 && !memchr(s, '=', n - pad);
    int got = whole ? EVP_DecodeBlock(bytes, word, (int)n) : -1;
    if (got <= (int)pad)
        return err_set(e, ERR_INPUT, "no token in base64");
    out->n = 0;
    for (size_t i = 0; i < (size_t)got - pad; i++)
        put_byte(out, bytes[i]);
    return true;
}

/* Adds the token of a line of n bytes to vocab. */
static bool read_line(const struct tiktoken *t, const char *s, size_t n, json_t *vocab, bool *taken,
                      struct err *e)
{
    const char *space = memchr(s, ' ', n);
    char number[24];
    uint64_t rank;
    struct buf text = {0};
    if (!space || (size_t)(s + n - space - 1) >= sizeof number)
        return err_set(e, ERR_INPUT, "expected a token in base64, a space and its rank");
    snprintf(number, sizeof number, "%.*s", (int)(s + n - space - 1), space + 1);
    if (!parse_u64(number, &rank) || rank >= TOK_MAX)
        return err_set(e, ERR_INPUT, "the rank is no number from 0 to %u", TOK_MAX - 1);
    bool ok = decode(s, (size_t)(space - s), &text, e);
    bool again = ok && json_object_get(vocab, text.s);
    if (t->by_order)
        rank = json_object_size(vocab);
    if (again && !t->by_order) {
        ok = err_set(e, ERR_INPUT, "the token was there before");
    } else if (ok && !again && (rank >= TOK_MAX || taken[rank])) {
        ok = err_set(e, ERR_INPUT, "the rank %llu was there before", (unsigned long long)rank);
    } else if (ok && !again) {
        taken[rank] = true;
        json_object_set_new(vocab, text.s, json_integer((json_int_t)rank));
    }
    buf_clear(&text);
    return ok;
}

static json_t *read_vocab(const struct tiktoken *t, const struct buf *file, struct err *e)
{
    json_t *vocab = json_object();
    const char *p = file->s, *end = file->s + file->n;
    bool *taken = mem_try(TOK_MAX, sizeof *taken, "tokens", e), ok = taken != NULL;
    for (uint64_t line = 1; ok && p < end; line++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop ? stop : end) - p);
        size_t bare = n && p[n - 1] == '\r' ? n - 1 : n;
        ok = !bare || read_line(t, p, bare, vocab, taken, e) ||
             err_ctx(e, "line %llu", (unsigned long long)line);
        p += n + 1;
    }
    free(taken);
    if (ok && json_object_size(vocab) == 0)
        ok = err_set(e, ERR_INPUT, "no tokens");
    if (ok)
        return vocab;
    json_decref(vocab);
    return NULL;
}

/* ---- merges ---- */

#define NO_RANK UINT32_MAX

/* A token in parts: part i is the bytes [at[i], at[i + 1]) of its text, rank[i] that of parts i and i + 1 together. */
struct parts {
    const json_t *vocab;
    const char *text;
    uint32_t at[MAX_BYTES + 1], rank[MAX_BYTES];
    uint32_t n;
};

static void find_rank(struct parts *p, uint32_t i)
{
    char pair[2 * MAX_BYTES + 1];
    if (i + 1 >= p->n)
        return;
    size_t len = p->at[i + 2] - p->at[i];
    memcpy(pair, p->text + p->at[i], len);
    pair[len] = 0;
    const json_t *v = json_object_get(p->vocab, pair);
    p->rank[i] = v ? (uint32_t)json_integer_value(v) : NO_RANK;
}

/* The parts of which tiktoken makes a token: it merges the pair of the lowest rank, the first of several, as long as
 * there is one below the token's own. Within a text it comes to the same two parts, as what is merged inside of a token
 * does not depend on what stands beside it; so this one merge is enough. */
static void divide(struct parts *p, uint32_t rank)
{
    uint32_t len = (uint32_t)strlen(p->text);
    p->n = 0;
    for (uint32_t at = 0; at < len; at += (uint32_t)utf8_len(p->text + at, len - at))
        p->at[p->n++] = at;
    p->at[p->n] = len;
    for (uint32_t i = 0; i + 1 < p->n; i++)
        find_rank(p, i);
    while (p->n > 2) {
        uint32_t best = 0;
        for (uint32_t i = 1; i + 1 < p->n; i++)
            if (p->rank[i] < p->rank[best])
                best = i;
        if (p->rank[best] >= rank)
            return;
        memmove(&p->at[best + 1], &p->at[best + 2], (p->n - best - 1) * sizeof *p->at);
        if (best + 2 < p->n)
            memmove(&p->rank[best + 1], &p->rank[best + 2], (p->n - best - 2) * sizeof *p->rank);
        p->n--;
        find_rank(p, best);
        if (best > 0)
            find_rank(p, best - 1);
    }
}

/* *whole: there is a token that no merge makes, so only who looks up whole words first finds it, as tiktoken does. */
static json_t *make_merges(json_t *vocab, bool *whole)
{
    const char *text;
    json_t *rank, *merges = json_array();
    struct parts p = {.vocab = vocab};
    json_object_foreach (vocab, text, rank) {
        p.text = text;
        divide(&p, (uint32_t)json_integer_value(rank));
        *whole = *whole || p.n > 2;
        if (p.n == 2)
            json_array_append_new(merges, json_pack("[s#s]", text, (int)p.at[1], text + p.at[1]));
    }
    return merges;
}

/* ---- special tokens ---- */

static json_t *make_added(const struct tiktoken *t, const struct tok_files *f, uint64_t n_base)
{
    const json_t *decoder = json_object_get(f->config, "added_tokens_decoder");
    json_t *list = json_array();
    uint32_t n_names = 0;
    while (t->names && t->names[n_names])
        n_names++;
    for (uint32_t i = 0; i < t->n_special; i++) {
        unsigned long long id = n_base + i;
        char key[24], name[64];
        if (f->vocab_size && id >= f->vocab_size)
            break;
        snprintf(key, sizeof key, "%llu", id);
        const char *text = t->names
                               ? i < n_names ? t->names[i] : NULL
                               : json_string_value(json_object_get(json_object_get(decoder, key), "content"));
        snprintf(name, sizeof name, "%s%llu|>", t->rest, t->names ? (unsigned long long)i - n_names : id);
        json_array_append_new(
            list, json_pack("{sI ss sb}", "id", (json_int_t)id, "content", text ? text : name, "special", 1));
    }
    return list;
}

/* ---- all ---- */

static json_t *document(const struct tiktoken *t, const struct tok_files *f, const struct buf *file,
                        struct err *e)
{
    json_t *vocab = read_vocab(t, file, e);
    if (!vocab)
        return NULL;
    bool whole = false;
    json_t *added = make_added(t, f, json_object_size(vocab)), *merges = make_merges(vocab, &whole);
    return json_pack("{s{ss sb so so} so}", "model", "type", "BPE", "ignore_merges", whole, "vocab", vocab,
                     "merges", merges, "added_tokens", added);
}

json_t *tok_tiktoken_read(const struct tok_files *f, struct tok_tiktoken *t, struct err *e)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = {0};
        bool there;
        if (!hf_file_read(f->dir, rows[i].file, MAX_FILE, &there, &b, e))
            return NULL;
        if (!there)
            continue;
        json_t *d = document(&rows[i], f, &b, e);
        buf_clear(&b);
        *t = rows[i].says;
        if (!d)
            err_ctx(e, "%s/%s", f->dir, rows[i].file);
        return d;
    }
    return NULL;
}
