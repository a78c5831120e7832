/* bpe.c - the vocabulary and the merges of a tokenizer.json with a byte-level BPE. */
#include "base/mem.h"
#include "base/text.h"
#include "tokenizer/tok_part.h"

#include <string.h>

/* ---- a vocabulary ---- */

bool tok_vocab_init(struct tok_vocab *v, uint64_t n, struct err *e)
{
    *v = (struct tok_vocab){0};
    if (n == 0 || n > TOK_MAX)
        return err_set(e, ERR_INPUT, "a vocabulary of %llu tokens, expected 1 to %u", (unsigned long long)n,
                       TOK_MAX);
    v->text = mem_try(n, sizeof *v->text, "tokens", e);
    v->type = mem_try(n, sizeof *v->type, "token types", e);
    v->score = mem_try(n, sizeof *v->score, "token scores", e);
    if (!v->text || !v->type || !v->score) {
        tok_vocab_clear(v);
        return false;
    }
    v->n = n;
    return true;
}

void tok_vocab_clear(struct tok_vocab *v)
{
    for (uint64_t i = 0; i < v->n; i++)
        free(v->text[i]);
    for (uint64_t i = 0; i < v->n_merges; i++)
        free(v->merge[i]);
    free(v->text);
    free(v->type);
    free(v->score);
    free(v->merge);
    *v = (struct tok_vocab){0};
}

void tok_vocab_set(struct tok_vocab *v, uint64_t id, const char *text, enum tok_type type, float score)
{
    if (id >= v->n)
        BUG("token %llu of %llu", (unsigned long long)id, (unsigned long long)v->n);
    free(v->text[id]);
    v->text[id] = xstrdup(text);
    v->type[id] = (int32_t)type;
    v->score[id] = score;
}

static bool between(const char *s, const char *first, const char *last)
{
    size_t n = strlen(s), a = strlen(first), b = strlen(last);
    return n >= a && n >= b && !memcmp(s, first, a) && !memcmp(s + n - b, last, b);
}

/* Some models do not mark as special what only a chat template writes. The same list as the converter's. */
static bool looks_special(const char *s)
{
    static const char *const whole[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (!strcmp(s, whole[i]))
            return true;
    return between(s, "<|", "|>") || between(s, "<｜", "｜>") || between(s, "<unused", ">");
}

void tok_vocab_set_added(struct tok_vocab *v, uint64_t id, const char *text, bool special, float score)
{
    if (special || looks_special(text)) {
        tok_vocab_set(v, id, text, TOK_CONTROL, score);
        return;
    }
    /* The engine compares such a token with the text as it is, where a space is a space. */
    struct buf b = {0};
    for (const char *p = text; *p;) {
        bool mark = !strncmp(p, "▁", 3);
        buf_char(&b, mark ? ' ' : *p);
        p += mark ? 3 : 1;
    }
    tok_vocab_set(v, id, b.s ? b.s : "", TOK_USER_DEFINED, score);
    buf_clear(&b);
}

struct named {
    const char *text;
    uint64_t id;
};

static int by_text(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int c = strcmp(x->text, y->text);
    return c ? c : x->id < y->id ? -1 : 1;
}

static bool check_unique(const struct tok_vocab *v, struct err *e)
{
    struct named *all = mem_try(v->n, sizeof *all, "tokens", e);
    if (!all)
        return false;
    for (uint64_t i = 0; i < v->n; i++)
        all[i] = (struct named){v->text[i], i};
    qsort(all, v->n, sizeof *all, by_text);
    bool ok = true;
    for (uint64_t i = 1; ok && i < v->n; i++)
        if (!strcmp(all[i - 1].text, all[i].text)) {
            struct buf b = {0};
            buf_safe(&b, all[i].text, strnlen(all[i].text, 60));
            ok = err_set(e, ERR_INPUT,
                         "tokens %llu and %llu have the same text '%s', which the engine refuses",
                         (unsigned long long)all[i - 1].id, (unsigned long long)all[i].id, b.s ? b.s : "");
            buf_clear(&b);
        }
    free(all);
    return ok;
}

bool tok_vocab_finish(struct tok_vocab *v, float pad_score, struct err *e)
{
    for (uint64_t i = 0; i < v->n; i++)
        if (!v->text[i]) {
            char name[32];
            snprintf(name, sizeof name, "[PAD%llu]", (unsigned long long)i);
            tok_vocab_set(v, i, name, TOK_UNUSED, pad_score);
        }
    return check_unique(v, e);
}

/* ---- tokens ---- */

static bool has_byte_level(const json_t *p, const char *list_key, int depth)
{
    const char *type = json_string_value(json_object_get(p, "type"));
    if (type && !strcmp(type, "ByteLevel"))
        return true;
    const json_t *list = json_object_get(p, list_key);
    for (size_t i = 0; i < json_array_size(list) && depth < 4; i++)
        if (has_byte_level(json_array_get(list, i), list_key, depth + 1))
            return true;
    return false;
}

bool tok_bpe_is_byte_level(const json_t *tokenizer)
{
    return has_byte_level(json_object_get(tokenizer, "pre_tokenizer"), "pretokenizers", 0) ||
           has_byte_level(json_object_get(tokenizer, "decoder"), "decoders", 0);
}

bool tok_bpe_ignores_merges(const json_t *tokenizer)
{
    return json_is_true(json_object_get(json_object_get(tokenizer, "model"), "ignore_merges"));
}

/* An id below TOK_MAX, or an error that names the token. */
static bool id_of(const json_t *v, const char *text, uint64_t *id, struct err *e)
{
    json_int_t x = json_is_integer(v) ? json_integer_value(v) : -1;
    if (x >= 0 && x < (json_int_t)TOK_MAX) {
        *id = (uint64_t)x;
        return true;
    }
    char t[TOK_SHOWN];
    return err_set(e, ERR_INPUT, "the id of token '%s' is %s, expected an integer from 0 to %u",
                   text_shown(t, sizeof t, text), json_is_integer(v) ? "out of range" : json_type_name(v),
                   TOK_MAX - 1);
}

struct added {
    const char *text;
    uint64_t id;
    bool special;
};

/* Adds {id, content, special}; id_text: the id where it is the key of an object ("151643"), else NULL. */
static bool add_added(struct added **list, size_t *n, size_t *cap, const json_t *t, const char *id_text,
                      struct err *e)
{
    struct added a = {0};
    char text[TOK_SHOWN], key[TOK_SHOWN];
    a.text = json_string_value(json_object_get(t, "content"));
    if (!a.text || !*a.text)
        return err_set(e, ERR_INPUT, "an added token has %s as its content, expected a string",
                       a.text ? "nothing" : json_type_name(json_object_get(t, "content")));
    if (id_text) {
        if (!parse_u64(id_text, &a.id) || a.id >= TOK_MAX)
            return err_set(e, ERR_INPUT, "added token '%s': '%s' is no token id",
                           text_shown(text, sizeof text, a.text), text_shown(key, sizeof key, id_text));
    } else if (!id_of(json_object_get(t, "id"), a.text, &a.id, e)) {
        return false;
    }
    a.special = json_is_true(json_object_get(t, "special"));
    GROW(*list, *n, *cap);
    (*list)[(*n)++] = a;
    return true;
}

/* The added tokens of tokenizer.json, then those of tokenizer_config.json: transformers adds the latter when
 * the former lacks them. */
static bool collect_added(const struct tok_files *f, struct added **list, size_t *n, struct err *e)
{
    size_t cap = 0;
    const json_t *a = json_object_get(f->tokenizer, "added_tokens");
    for (size_t i = 0; i < json_array_size(a); i++)
        if (!add_added(list, n, &cap, json_array_get(a, i), NULL, e))
            return err_ctx(e, "tokenizer.json");
    json_t *t, *decoder = json_object_get(f->config, "added_tokens_decoder");
    const char *id;
    json_object_foreach (decoder, id, t)
        if (!add_added(list, n, &cap, t, id, e))
            return err_ctx(e, "tokenizer_config.json");
    return true;
}

/* Checks one added token against what is known of its text (the id it has elsewhere, or NULL) and its id. */
static bool added_fits(const struct tok_vocab *v, const struct added *a, const json_t *known, struct err *e)
{
    char t[TOK_SHOWN], o[TOK_SHOWN];
    unsigned long long id = a->id;
    if (known && (uint64_t)json_integer_value(known) != a->id)
        return err_set(e, ERR_INPUT, "the added token '%s' has the ids %llu and %llu",
                       text_shown(t, sizeof t, a->text), (unsigned long long)json_integer_value(known), id);
    if (a->id >= v->n)
        return err_set(e, ERR_INPUT,
                       "the added token '%s' has the id %llu, but the model has only %llu tokens",
                       text_shown(t, sizeof t, a->text), id, (unsigned long long)v->n);
    if (!known && v->text[a->id])
        return err_set(e, ERR_INPUT, "token %llu is '%s' and also the added token '%s'", id,
                       text_shown(o, sizeof o, v->text[a->id]), text_shown(t, sizeof t, a->text));
    return true;
}

static bool put_added(struct tok_vocab *v, const json_t *vocab, const struct added *a, size_t n,
                      struct err *e)
{
    json_t *seen = json_object(); /* text -> id of the added tokens so far */
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        const json_t *before = json_object_get(seen, a[i].text), *plain = json_object_get(vocab, a[i].text);
        ok = added_fits(v, &a[i], before ? before : plain, e);
        if (ok && !before) {
            tok_vocab_set_added(v, a[i].id, a[i].text, a[i].special, 0);
            json_object_set_new(seen, a[i].text, json_integer((json_int_t)a[i].id));
        }
    }
    json_decref(seen);
    return ok;
}

static bool put_plain(struct tok_vocab *v, json_t *vocab, struct err *e)
{
    const char *text;
    json_t *id_value;
    json_object_foreach (vocab, text, id_value) {
        uint64_t id = 0;
        if (!id_of(id_value, text, &id, e))
            return false;
        if (id >= v->n)
            return err_set(e, ERR_INPUT,
                           "tokenizer.json has a token %llu, but the model has only %llu tokens",
                           (unsigned long long)id, (unsigned long long)v->n);
        if (v->text[id])
            return err_set(e, ERR_INPUT, "tokenizer.json has two tokens with the id %llu",
                           (unsigned long long)id);
        tok_vocab_set(v, id, text, TOK_NORMAL, 0);
    }
    return true;
}

/* One more than the largest id: the size of a vocabulary of which config.json does not say it. */
static uint64_t size_of(json_t *vocab, const struct added *a, size_t n)
{
    uint64_t size = 0;
    const char *text;
    json_t *id;
    json_object_foreach (vocab, text, id) {
        json_int_t x = json_integer_value(id);
        if (x >= 0 && (uint64_t)x >= size)
            size = (uint64_t)x + 1;
    }
    for (size_t i = 0; i < n; i++)
        size = a[i].id >= size ? a[i].id + 1 : size;
    return size;
}

/* ---- merges ---- */

/* A part as GGUF has it: there a space separates the two, so a space inside is written as the byte-level
 * alphabet does. */
static void put_part(struct buf *b, const char *s)
{
    for (; *s; s++)
        if (*s == ' ')
            buf_str(b, "Ġ");
        else
            buf_char(b, *s);
}

/* The two parts of a merge: ["a", "b"], or "a b" with one space. Both point into b or the value. */
static bool merge_parts(const json_t *m, struct buf *b, const char **left, const char **right)
{
    b->n = 0;
    if (json_is_array(m) && json_array_size(m) == 2) {
        *left = json_string_value(json_array_get(m, 0));
        *right = json_string_value(json_array_get(m, 1));
        return *left && *right && **left && **right;
    }
    const char *s = json_string_value(m);
    const char *space = s ? strchr(s, ' ') : NULL;
    if (!space || space == s || !space[1] || strchr(space + 1, ' '))
        return false;
    buf_add(b, s, strlen(s));
    b->s[space - s] = 0;
    *left = b->s;
    *right = b->s + (space - s) + 1;
    return true;
}

/* A merge of what is not in the vocabulary never happens, and transformers refuses it. */
static bool merge_known(const json_t *vocab, const char *left, const char *right, struct buf *joined)
{
    joined->n = 0;
    buf_str(joined, left);
    buf_str(joined, right);
    return json_object_get(vocab, left) && json_object_get(vocab, right) && json_object_get(vocab, joined->s);
}

static bool load_merges(const json_t *model, struct tok_vocab *v, struct err *e)
{
    const json_t *vocab = json_object_get(model, "vocab"), *list = json_object_get(model, "merges");
    size_t n = json_array_size(list);
    if (n == 0)
        return err_set(e, ERR_INPUT, "'merges' is %s, expected a list of merges",
                       json_is_array(list) ? "empty" : json_type_name(list));
    v->merge = mem_try(n, sizeof *v->merge, "merges", e);
    if (!v->merge)
        return false;
    struct buf tmp = {0}, joined = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        const char *left, *right;
        if (!merge_parts(json_array_get(list, i), &tmp, &left, &right)) {
            ok = err_set(e, ERR_INPUT, "merge %zu is not two parts", i);
        } else if (!merge_known(vocab, left, right, &joined)) {
            struct buf b = {0};
            buf_safe(&b, joined.s, strnlen(joined.s, 60));
            ok = err_set(e, ERR_INPUT,
                         "merge %zu makes '%s', which or whose parts the vocabulary does not have", i, b.s);
            buf_clear(&b);
        } else {
            struct buf b = {0};
            put_part(&b, left);
            buf_char(&b, ' ');
            put_part(&b, right);
            v->merge[v->n_merges++] = b.s;
        }
    }
    buf_clear(&tmp);
    buf_clear(&joined);
    return ok;
}

static uint64_t vocab_id(const json_t *vocab, const char *s)
{
    return (uint64_t)json_integer_value(json_object_get(vocab, s));
}

void tok_bpe_scores_of_merges(const json_t *tokenizer, struct tok_vocab *v)
{
    const json_t *model = json_object_get(tokenizer, "model"), *vocab = json_object_get(model, "vocab");
    const json_t *list = json_object_get(model, "merges");
    struct buf tmp = {0}, joined = {0};
    for (uint64_t i = 0; i < v->n; i++)
        v->score[i] = -(float)v->n_merges;           /* of what no merge makes: never looked at */
    for (size_t i = (size_t)v->n_merges; i-- > 0;) { /* backwards: the first merge of a token stays */
        const char *left, *right;
        if (merge_parts(json_array_get(list, i), &tmp, &left, &right) &&
            merge_known(vocab, left, right, &joined))
            v->score[vocab_id(vocab, joined.s)] = -(float)i;
        free(v->merge[i]);
    }
    v->n_merges = 0;
    buf_clear(&tmp);
    buf_clear(&joined);
}

/* ---- ignore_merges ---- */

/* Rank and result of every pair of ids that may be merged. Open addressing, at most half full. */
struct pair {
    uint64_t key; /* left << 32 | right, plus 1; 0: free */
    uint32_t rank, id;
};
struct pairs {
    struct pair *slot;
    uint64_t mask;
};

static struct pair *pair_slot(const struct pairs *p, uint64_t left, uint64_t right)
{
    uint64_t key = (left << 32 | right) + 1;
    uint64_t h = key * 0x9E3779B97F4A7C15u;
    for (uint64_t i = h ^ h >> 32;; i++) {
        struct pair *s = &p->slot[i & p->mask];
        if (s->key == key || !s->key)
            return s;
    }
}

static bool pairs_make(const json_t *model, struct pairs *p, struct err *e)
{
    const json_t *vocab = json_object_get(model, "vocab"), *list = json_object_get(model, "merges");
    size_t n = json_array_size(list);
    uint64_t cap = 16;
    while (cap < 2 * (uint64_t)n)
        cap *= 2;
    p->mask = cap - 1;
    p->slot = mem_try(cap, sizeof *p->slot, "merges", e);
    if (!p->slot)
        return false;
    struct buf tmp = {0}, joined = {0};
    for (size_t i = 0; i < n; i++) {
        const char *left, *right;
        if (!merge_parts(json_array_get(list, i), &tmp, &left, &right) ||
            !merge_known(vocab, left, right, &joined))
            continue;
        uint64_t l = vocab_id(vocab, left), r = vocab_id(vocab, right);
        struct pair *s = pair_slot(p, l, r);
        if (!s->key)
            *s = (struct pair){(l << 32 | r) + 1, (uint32_t)i, (uint32_t)vocab_id(vocab, joined.s)};
    }
    buf_clear(&tmp);
    buf_clear(&joined);
    return true;
}

/* Longer tokens are counted as unreachable: the work grows with the square of the length. */
#define MAX_SYMBOLS 512

/* Merges the characters of a token as the tokenizer would; true if the token itself is what is left. */
static bool reaches_itself(const json_t *vocab, const struct pairs *p, const char *text, uint64_t id)
{
    uint32_t sym[MAX_SYMBOLS];
    size_t n = 0, len = strlen(text);
    for (size_t at = 0; at < len;) {
        char one[5] = {0};
        size_t k = utf8_len(text + at, len - at);
        if (!k || n == MAX_SYMBOLS)
            return false;
        memcpy(one, text + at, k);
        const json_t *v = json_object_get(vocab, one);
        if (!v)
            return false;
        sym[n++] = (uint32_t)json_integer_value(v);
        at += k;
    }
    while (n > 1) {
        const struct pair *best = NULL;
        size_t where = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const struct pair *s = pair_slot(p, sym[i], sym[i + 1]);
            if (s->key && (!best || s->rank < best->rank)) {
                best = s;
                where = i;
            }
        }
        if (!best)
            return false;
        sym[where] = best->id;
        memmove(&sym[where + 1], &sym[where + 2], (n - where - 2) * sizeof *sym);
        n--;
    }
    return n == 1 && sym[0] == id;
}

bool tok_bpe_unreachable(const json_t *tokenizer, const struct tok_vocab *v, uint64_t *count, uint64_t *first,
                         struct err *e)
{
    const json_t *model = json_object_get(tokenizer, "model"), *vocab = json_object_get(model, "vocab");
    struct pairs p = {0};
    *count = 0;
    *first = 0;
    if (!pairs_make(model, &p, e))
        return false;
    for (uint64_t i = 0; i < v->n; i++)
        if (v->type[i] == TOK_NORMAL && !reaches_itself(vocab, &p, v->text[i], i))
            if ((*count)++ == 0)
                *first = i;
    free(p.slot);
    return true;
}

/* ---- loading ---- */

/* Options of a BPE that the engine does not have. */
static bool check_options(const json_t *model, struct err *e)
{
    static const char *const affix[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < sizeof affix / sizeof *affix; i++) {
        const char *s = json_string_value(json_object_get(model, affix[i]));
        if (s && *s)
            return err_set(e, ERR_INPUT, "'model' has the %s '%.20s', which the engine does not have",
                           affix[i], s);
    }
    return true;
}

bool tok_bpe_load(struct tok_files *f, struct tok_vocab *v, struct err *e)
{
    json_t *model, *vocab;
    struct added *added = NULL;
    size_t n_added = 0;
    bool ok = json_need_obj(f->tokenizer, "model", "tokenizer.json", &model, e) &&
              json_need_obj(model, "vocab", "tokenizer.json: model", &vocab, e) && check_options(model, e) &&
              collect_added(f, &added, &n_added, e) &&
              tok_vocab_init(v, f->vocab_size ? f->vocab_size : size_of(vocab, added, n_added), e);
    if (ok && !(put_plain(v, vocab, e) && put_added(v, vocab, added, n_added, e) &&
                tok_vocab_finish(v, 0, e) && load_merges(model, v, e))) {
        err_ctx(e, "tokenizer.json");
        tok_vocab_clear(v);
        ok = false;
    }
    free(added);
    return ok;
}
