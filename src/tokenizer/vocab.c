/* vocab.c - see vocab.h. */
#include "tokenizer/vocab.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "tokenizer/tok_part.h"

#include <stdlib.h>
#include <string.h>

/* ---- tokenizers of the engine ---- */

enum { NONE = -1 };
enum add { NEVER, IF_SAID, UNLESS_SAID, ALWAYS }; /* said: by the key tokenizer.ggml.add_X_token */

/* A model of tokenizers, as tokenizer.ggml.model says it, with what the engine takes where no key says more:
 * ids of special tokens, and which it adds to a text. */
struct tokenizer {
    const char *name;
    int bos, eos, unk, sep;
    enum add add_bos, add_eos, add_sep;
    bool needs_unk; /* it stands for what no token stands for */
    bool no_bytes;  /* a token for a byte has no text */
};

static const struct tokenizer tokenizers[] = {
    {"gpt2", 11, 11, NONE, NONE, IF_SAID, IF_SAID, NEVER, false, false},
    {"llama", 1, 2, 0, NONE, UNLESS_SAID, IF_SAID, NEVER, false, false},
    {"gemma4", NONE, NONE, NONE, NONE, ALWAYS, IF_SAID, NEVER, false, false},
    {"t5", NONE, 1, 2, NONE, IF_SAID, UNLESS_SAID, NEVER, true, false},
    {"bert", 101, NONE, 100, 102, ALWAYS, NEVER, ALWAYS, true, true},
    {"plamo2", 1, 2, 0, NONE, NEVER, NEVER, NEVER, false, false},
    {"hybriddna", 11, 11, NONE, NONE, IF_SAID, IF_SAID, NEVER, false, false},
    {"whitespace", 11, 11, NONE, NONE, IF_SAID, IF_SAID, NEVER, false, false},
    {"test", NONE, NONE, NONE, NONE, NEVER, NEVER, NEVER, false, false},
};

static bool is_text(const struct gg_key *k, const char *text)
{
    const char *s;
    uint64_t n;
    return gg_key_str(k, &s, &n) && n == strlen(text) && !memcmp(s, text, n);
}

static const struct tokenizer *tokenizer_of(const struct gg_file *f)
{
    const struct gg_key *k = gg_find(f, "tokenizer.ggml.model");
    for (size_t i = 0; i < sizeof tokenizers / sizeof *tokenizers; i++)
        if (is_text(k, tokenizers[i].name))
            return &tokenizers[i];
    return NULL; /* it has no tokens, or the engine refuses it */
}

/* What the name of a pre-tokenizer changes. */
static void apply_pre(const struct gg_file *f, struct tokenizer *t)
{
    const struct gg_key *k = gg_find(f, "tokenizer.ggml.pre");
    const char *s;
    uint64_t n;
    if (strcmp(t->name, "gpt2") != 0 || !gg_key_str(k, &s, &n))
        return;
    char *name = xmalloc(n + 1);
    memcpy(name, s, n);
    name[n] = 0;
    const struct tok_pre *pre = tok_pre_find(name);
    if (pre && pre->add_bos)
        t->add_bos = pre->always_bos ? ALWAYS : UNLESS_SAID;
    if (pre && pre->no_bos)
        t->bos = NONE;
    free(name);
}

/* ---- special tokens ---- */

static bool has(const struct gg_file *f, const char *key, int id, uint64_t n_tokens)
{
    uint64_t said;
    bool by_default = id >= 0 && (uint64_t)id < n_tokens;
    return by_default || (gg_key_u64(gg_find(f, key), &said) && said < n_tokens);
}

static bool adds(const struct gg_file *f, const char *key, enum add add)
{
    const struct gg_key *k = gg_find(f, key);
    bool said = k && k->kind == GG_BOOL && add != NEVER && add != ALWAYS;
    return said ? gg_key_true_at(k, 0) : add == UNLESS_SAID || add == ALWAYS;
}

static bool check_special(const struct gg_file *f, const struct tokenizer *t, uint64_t n, struct err *e)
{
    const struct {
        const char *id_key, *add_key;
        int id;
        enum add add;
    } rows[] = {
        {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.add_bos_token", t->bos, t->add_bos},
        {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_eos_token", t->eos, t->add_eos},
        {"tokenizer.ggml.seperator_token_id", "tokenizer.ggml.add_sep_token", t->sep, t->add_sep},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (adds(f, rows[i].add_key, rows[i].add) && !has(f, rows[i].id_key, rows[i].id, n))
            return err_set(e, ERR_INPUT,
                           "key '%s' is missing or not one of %llu tokens, but the engine adds this token to "
                           "each text",
                           rows[i].id_key, (unsigned long long)n);
    return !t->needs_unk || has(f, "tokenizer.ggml.unknown_token_id", t->unk, n) ||
           err_set(e, ERR_INPUT,
                   "key 'tokenizer.ggml.unknown_token_id' is missing or not one of %llu tokens, but the "
                   "engine writes it for what it does not know",
                   (unsigned long long)n);
}

#define TYPE_BYTE 6 /* in tokenizer.ggml.token_type */

static bool check_bytes(const struct gg_file *f, const struct tokenizer *t, uint64_t n_tokens, struct err *e)
{
    const struct gg_key *k = gg_find(f, "tokenizer.ggml.token_type");
    uint64_t type;
    for (uint64_t i = 0; t->no_bytes && i < n_tokens; i++)
        if (gg_key_u64_at(k, i, &type) && type == TYPE_BYTE)
            return err_set(
                e, ERR_INPUT,
                "key 'tokenizer.ggml.token_type': token %llu stands for a byte, which tokenizer '%s' "
                "has none for",
                (unsigned long long)i, t->name);
    return true;
}

/* ---- the list of tokens ---- */

struct token {
    const char *s; /* not NUL-terminated */
    uint64_t n, id;
};

static int compare(const void *a, const void *b)
{
    const struct token *x = a, *y = b;
    int r = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);
    return r ? r : (x->n > y->n) - (x->n < y->n);
}

#define MADE_UP "[EMPTY_%llu]" /* what the engine calls token N when it has no text */

/* Sorted by text, as the engine reads them: up to the first NUL, and with a name for those without text.
 * *names holds these. */
static struct token *sorted_tokens(const struct gg_key *k, struct buf *names)
{
    struct token *v = xcalloc(k->n + 1, sizeof *v);
    const uint8_t *p = k->value;
    for (uint64_t i = 0; i < k->n; i++) {
        v[i].id = i;
        p = gg_next_str(p, &v[i].s, &v[i].n);
        v[i].n = strnlen(v[i].s, v[i].n);
        if (!v[i].n)
            buf_fmt(names, MADE_UP, (unsigned long long)i);
    }
    const char *name = names->s;
    for (uint64_t i = 0; i < k->n; i++)
        if (!v[i].n) {
            v[i].s = name;
            v[i].n = (uint64_t)(strchr(name, ']') + 1 - name);
            name += v[i].n;
        }
    qsort(v, k->n, sizeof *v, compare);
    return v;
}

static bool check_unique(const struct token *v, uint64_t n, struct err *e)
{
    char shown[TOK_SHOWN], text[TOK_SHOWN];
    for (uint64_t i = 1; i < n; i++)
        if (!compare(&v[i - 1], &v[i])) {
            uint64_t one = v[i - 1].id, other = v[i].id;
            snprintf(text, sizeof text, "%.*s", (int)(v[i].n < sizeof text ? v[i].n : sizeof text), v[i].s);
            return err_set(
                e, ERR_INPUT, "key 'tokenizer.ggml.tokens': '%s' is there twice, as token %llu and %llu",
                text_shown(shown, sizeof shown, text), (unsigned long long)(one < other ? one : other),
                (unsigned long long)(one < other ? other : one));
        }
    return true;
}

static bool has_token(const struct token *v, uint64_t n, const char *text)
{
    struct token want = {text, strlen(text), 0};
    return n && bsearch(&want, v, n, sizeof *v, compare);
}

/* The engine marks these in every model of such a name, and throws where one is missing. */
static bool check_named(const struct gg_file *f, const struct token *v, uint64_t n, struct err *e)
{
    static const char *const tokens[] = {"</s>", "<unk>", "<s>", "<|endoftext|>"};
    const char *s;
    uint64_t len;
    if (!gg_key_str(gg_find(f, "general.name"), &s, &len))
        return true;
    bool named = family_name_marks(s, len);
    for (size_t i = 0; named && i < sizeof tokens / sizeof *tokens; i++)
        if (!has_token(v, n, tokens[i]))
            return err_set(e, ERR_INPUT,
                           "key 'general.name' says Phi-3, for which the engine wants the token '%s' in "
                           "'tokenizer.ggml.tokens', and it is not there",
                           tokens[i]);
    return true;
}

bool vocab_check(const struct gg_file *f, struct err *e)
{
    const struct tokenizer *known = tokenizer_of(f);
    if (is_text(gg_find(f, "tokenizer.ggml.model"), "rwkv"))
        return err_set(
            e, ERR_INPUT,
            "key 'tokenizer.ggml.model' is 'rwkv': the engine does not come back from a text that begins "
            "like one of its tokens and is none; no Mixture-of-Experts model has it");
    const struct gg_key *k = gg_find(f, "tokenizer.ggml.tokens");
    if (!known || !k || k->kind != GG_ARR || k->elem != GG_STR)
        return true;
    struct tokenizer t = *known;
    apply_pre(f, &t);
    struct buf names = {0};
    struct token *v = sorted_tokens(k, &names);
    bool ok = check_unique(v, k->n, e) && check_special(f, &t, k->n, e) && check_bytes(f, &t, k->n, e) &&
              check_named(f, v, k->n, e);
    free(v);
    buf_clear(&names);
    return ok;
}
