/* spm.c - SentencePiece: tokenizer.model, or a tokenizer.json that was made from one.
 *
 * tokenizer.model is a protobuf message ModelProto (sentencepiece_model.proto): tags and values, without a
 * magic number. The reader takes what is needed, skips other fields, and refuses what no writer makes:
 * groups, a known field of another wire type, an empty piece, one with a NUL or bad UTF-8, a score that is
 * not finite. Only BPE models: the engine merges by score, which is not what a Unigram model does. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "tokenizer/tok_part.h"

#include <math.h>
#include <string.h>

#define SPM_MAX_FILE (256u << 20) /* the largest published ones have 16 MB */

/* ---- protobuf ---- */

struct pb {
    const uint8_t *p, *end;
    const uint8_t *start; /* of the file, for places in messages */
};

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct field {
    uint32_t number;
    enum wire wire;
    uint64_t v;      /* WIRE_VARINT, WIRE_64, WIRE_32 */
    struct pb bytes; /* WIRE_BYTES */
};

static bool pb_err(const struct pb *b, const char *what, struct err *e)
{
    return err_set(e, ERR_INPUT, "byte %llu: %s", (unsigned long long)(b->p - b->start), what);
}

static bool pb_varint(struct pb *b, uint64_t *v, struct err *e)
{
    *v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (b->p == b->end)
            return pb_err(b, "a number is cut off", e);
        uint8_t c = *b->p++;
        if (shift == 63 && c > 1)
            break;
        *v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return true;
    }
    return pb_err(b, "a number of more than 64 bits", e);
}

static bool pb_fixed(struct pb *b, unsigned n, uint64_t *v, struct err *e)
{
    if ((uint64_t)(b->end - b->p) < n)
        return pb_err(b, "a number is cut off", e);
    *v = 0;
    for (unsigned i = 0; i < n; i++)
        *v |= (uint64_t)*b->p++ << (8 * i);
    return true;
}

static bool pb_next(struct pb *b, struct field *f, struct err *e)
{
    uint64_t tag, n;
    if (!pb_varint(b, &tag, e))
        return false;
    if (tag >> 3 == 0 || tag >> 3 >= 1u << 29)
        return pb_err(b, "no such field number: not a SentencePiece model, or a damaged one", e);
    *f = (struct field){.number = (uint32_t)(tag >> 3), .wire = (enum wire)(tag & 7)};
    switch (f->wire) {
    case WIRE_VARINT: return pb_varint(b, &f->v, e);
    case WIRE_64: return pb_fixed(b, 8, &f->v, e);
    case WIRE_32: return pb_fixed(b, 4, &f->v, e);
    case WIRE_BYTES:
        if (!pb_varint(b, &n, e))
            return false;
        if (n > (uint64_t)(b->end - b->p))
            return pb_err(b, "a field is longer than what is left", e);
        f->bytes = (struct pb){b->p, b->p + n, b->start};
        b->p += n;
        return true;
    default: return pb_err(b, "no such kind of field: not a SentencePiece model, or a damaged one", e);
    }
}

static bool want(const struct pb *b, const struct field *f, enum wire wire, struct err *e)
{
    return f->wire == wire || pb_err(b, "a field of another kind than SentencePiece writes", e);
}

/* ---- ModelProto ---- */

static float f32_of(uint64_t bits)
{
    uint32_t u = (uint32_t)bits;
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

static bool piece_text(const struct pb *b, struct spm_piece *p, struct err *e)
{
    size_t n = (size_t)(b->end - b->p);
    const char *s = (const char *)b->p;
    if (n == 0 || memchr(s, 0, n) || !utf8_valid(s, n))
        return pb_err(b, "a piece that is empty, has a NUL or is not UTF-8", e);
    free(p->text);
    p->text = xstrndup(s, n);
    return true;
}

/* SentencePiece { piece = 1; score = 2; type = 3 } */
static bool parse_piece(struct pb b, struct spm *m, struct err *e)
{
    if (m->n >= TOK_MAX)
        return pb_err(&b, "more pieces than any vocabulary has", e);
    GROW(m->pieces, m->n, m->cap);
    struct spm_piece *p = &m->pieces[m->n++];
    *p = (struct spm_piece){.type = TOK_NORMAL};
    struct field f;
    while (b.p < b.end) {
        if (!pb_next(&b, &f, e))
            return false;
        if (f.number == 1 && !(want(&b, &f, WIRE_BYTES, e) && piece_text(&f.bytes, p, e)))
            return false;
        if (f.number == 2) {
            p->score = f32_of(f.v);
            if (!want(&b, &f, WIRE_32, e) || (!isfinite(p->score) && !pb_err(&b, "a score is not finite", e)))
                return false;
        }
        if (f.number == 3) {
            if (!want(&b, &f, WIRE_VARINT, e) ||
                ((f.v < TOK_NORMAL || f.v > TOK_BYTE) && !pb_err(&b, "a piece of no known type", e)))
                return false;
            p->type = (int)f.v;
        }
    }
    return p->text || pb_err(&b, "a piece without text", e);
}

/* TrainerSpec { model_type = 3; unk_id = 40; bos_id = 41; eos_id = 42 } */
static bool parse_trainer(struct pb b, struct spm *m, struct err *e)
{
    struct field f;
    while (b.p < b.end) {
        if (!pb_next(&b, &f, e))
            return false;
        int64_t *id = f.number == 40   ? &m->unk_id
                      : f.number == 41 ? &m->bos_id
                      : f.number == 42 ? &m->eos_id
                                       : NULL;
        if (f.number != 3 && !id)
            continue;
        if (!want(&b, &f, WIRE_VARINT, e))
            return false;
        if (id)
            *id = f.v < TOK_MAX ? (int64_t)f.v : -1; /* -1 is written as 2^64 - 1 */
        else
            m->model_type = f.v < 100 ? (uint32_t)f.v : 100;
    }
    return true;
}

/* NormalizerSpec { add_dummy_prefix = 3 } */
static bool parse_normalizer(struct pb b, struct spm *m, struct err *e)
{
    struct field f;
    while (b.p < b.end) {
        if (!pb_next(&b, &f, e))
            return false;
        if (f.number == 3) {
            if (!want(&b, &f, WIRE_VARINT, e))
                return false;
            m->dummy_prefix = f.v != 0;
        }
    }
    return true;
}

/* ModelProto { pieces = 1; trainer_spec = 2; normalizer_spec = 3 }; the defaults are those of the schema. */
bool spm_parse(const uint8_t *p, uint64_t n, struct spm *m, struct err *e)
{
    *m = (struct spm){.model_type = SPM_UNIGRAM, .unk_id = 0, .bos_id = 1, .eos_id = 2, .dummy_prefix = true};
    struct pb b = {p, p + n, p};
    struct field f;
    while (b.p < b.end) {
        if (!pb_next(&b, &f, e))
            return false;
        if (f.number > 3)
            continue;
        if (!want(&b, &f, WIRE_BYTES, e))
            return false;
        bool ok = f.number == 1   ? parse_piece(f.bytes, m, e)
                  : f.number == 2 ? parse_trainer(f.bytes, m, e)
                                  : parse_normalizer(f.bytes, m, e);
        if (!ok)
            return false;
    }
    return m->n > 0 || err_set(e, ERR_INPUT, "no pieces: not a SentencePiece model");
}

void spm_clear(struct spm *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        free(m->pieces[i].text);
    free(m->pieces);
    m->pieces = NULL;
    m->n = m->cap = 0;
}

/* ---- tokens ---- */

#define ADDED_SCORE (-1000.0f) /* of the converter */
#define PAD_SCORE   (-10000.0f)

static void put_pieces(const struct spm *m, struct tok_vocab *v)
{
    if (m->n > v->n)
        log_warn("tokenizer.model: %llu pieces behind the model's vocabulary of %llu are left out",
                 (unsigned long long)(m->n - v->n), (unsigned long long)v->n);
    for (uint32_t i = 0; i < m->n && i < v->n; i++) {
        const struct spm_piece *p = &m->pieces[i];
        /* the converter does not ask whether a piece is user-defined */
        enum tok_type type = p->type == TOK_USER_DEFINED ? TOK_NORMAL : (enum tok_type)p->type;
        tok_vocab_set(v, i, p->text, type, p->score);
    }
}

static void out_of_range(const char *file, uint64_t id, uint64_t n)
{
    log_warn("%s: token %llu is left out: the model has %llu tokens", file, (unsigned long long)id,
             (unsigned long long)n);
}

/* added_tokens.json: {text: id} */
static bool put_added_file(const struct tok_files *f, struct tok_vocab *v, struct err *e)
{
    const char *text;
    json_t *id;
    json_object_foreach (f->added, text, id) {
        json_int_t x = json_is_integer(id) ? json_integer_value(id) : -1;
        if (x < 0)
            return err_set(e, ERR_INPUT, "added_tokens.json: an id is %s, expected an integer of 0 or more",
                           json_type_name(id));
        if ((uint64_t)x >= v->n)
            out_of_range("added_tokens.json", (uint64_t)x, v->n);
        else
            tok_vocab_set(v, (uint64_t)x, text, TOK_USER_DEFINED, ADDED_SCORE);
    }
    return true;
}

/* Arctic's, which redefines the last pieces of its file as BOS and EOS (conversion/arctic.py of llama.cpp v0.5.0). */
static void put_as_piece(const struct tok_files *f, struct tok_vocab *v, uint64_t id, const char *text,
                         bool special)
{
    const char *unknown = json_string_value(json_object_get(f->config, "unk_token"));
    enum tok_type type = !special                            ? TOK_USER_DEFINED
                         : unknown && !strcmp(text, unknown) ? TOK_UNKNOWN
                                                             : TOK_CONTROL;
    tok_vocab_set(v, id, text, type, special ? 0 : PAD_SCORE);
}

/* added_tokens_decoder of tokenizer_config.json: {"id": {content, special}} */
static bool put_decoder(const struct tok_files *f, struct tok_vocab *v, struct err *e)
{
    const char *key;
    json_t *t;
    json_object_foreach (json_object_get(f->config, "added_tokens_decoder"), key, t) {
        const char *text = json_string_value(json_object_get(t, "content"));
        uint64_t id;
        char s[TOK_SHOWN];
        if (!parse_u64(key, &id) || !text || !*text)
            return err_set(e, ERR_INPUT, "tokenizer_config.json: added token '%s' is not an id with a text",
                           text_shown(s, sizeof s, key));
        if (id >= v->n)
            out_of_range("tokenizer_config.json", id, v->n);
        else if (f->family->added_as_pieces)
            put_as_piece(f, v, id, text, json_is_true(json_object_get(t, "special")));
        else
            tok_vocab_set_added(v, id, text, json_is_true(json_object_get(t, "special")), ADDED_SCORE);
    }
    return true;
}

/* Added tokens that only tokenizer.json has (transformers 5 writes no added_tokens_decoder). The converter
 * loses them; here they take ids that have no token. */
static void put_json_added(const struct tok_files *f, struct tok_vocab *v)
{
    const json_t *list = json_object_get(f->tokenizer, "added_tokens");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i), *id = json_object_get(t, "id");
        const char *text = json_string_value(json_object_get(t, "content"));
        json_int_t x = json_is_integer(id) ? json_integer_value(id) : -1;
        if (text && *text && x >= 0 && (uint64_t)x < v->n && !v->text[x])
            tok_vocab_set_added(v, (uint64_t)x, text, json_is_true(json_object_get(t, "special")),
                                ADDED_SCORE);
    }
}

static bool read_model(const struct tok_files *f, struct spm *m, struct err *e)
{
    char *path = path_join(f->dir, "tokenizer.model");
    struct buf b = {0};
    bool ok = file_read_all(path, SPM_MAX_FILE, &b, e);
    if (ok && !spm_parse((const uint8_t *)b.s, b.n, m, e))
        ok = err_ctx(e, "%s", path);
    if (ok && m->model_type != SPM_BPE)
        ok = err_set(e, ERR_INPUT,
                     "%s: model type %s, expected BPE: other SentencePiece models are not supported", path,
                     m->model_type == SPM_UNIGRAM ? "Unigram" : "word or character");
    buf_clear(&b);
    free(path);
    return ok;
}

bool tok_spm_load(const struct tok_files *f, struct tok_vocab *v, struct spm *m, struct err *e)
{
    *m = (struct spm){0};
    bool ok = read_model(f, m, e) && tok_vocab_init(v, f->vocab_size ? f->vocab_size : m->n, e);
    if (ok) {
        put_pieces(m, v);
        ok = (f->family->added_as_pieces || put_added_file(f, v, e)) && put_decoder(f, v, e);
        put_json_added(f, v);
        if (!(ok && tok_vocab_finish(v, PAD_SCORE, e))) {
            ok = false;
            tok_vocab_clear(v);
        }
    }
    spm_clear(m);
    return ok;
}

/* ---- from tokenizer.json ---- */

static const char *str_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static bool is_byte(const char *s)
{
    unsigned v;
    char end;
    return strlen(s) == 6 && sscanf(s, "<0x%2x%c", &v, &end) == 2 && end == '>';
}

/* A normalizer as SentencePiece models have it: a space becomes U+2581, perhaps one is put first. */
static bool plain_normalizer(const json_t *n, int depth, bool *prefix, bool *replaces)
{
    const char *type = str_of(n, "type");
    if (!n || json_is_null(n))
        return true;
    if (!strcmp(type, "Prepend") && !strcmp(str_of(n, "prepend"), "▁"))
        return *prefix = true;
    if (!strcmp(type, "Replace") && !strcmp(str_of(json_object_get(n, "pattern"), "String"), " ") &&
        !strcmp(str_of(n, "content"), "▁"))
        return *replaces = true;
    if (strcmp(type, "Sequence") != 0 || depth > 3)
        return false;
    const json_t *list = json_object_get(n, "normalizers");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!plain_normalizer(json_array_get(list, i), depth + 1, prefix, replaces))
            return false;
    return true;
}

static bool plain_pre_tokenizer(const json_t *p, bool *prefix, bool *replaces)
{
    if (!p || json_is_null(p))
        return true;
    if (strcmp(str_of(p, "type"), "Metaspace") != 0 || strcmp(str_of(p, "replacement"), "▁") != 0 ||
        !json_is_false(json_object_get(p, "split")))
        return false;
    *replaces = true;
    *prefix = strcmp(str_of(p, "prepend_scheme"), "never") != 0;
    return true;
}

/* The converter writes -1000 as the score of every token here, with which the engine merges in a wrong order.
 * The merges have the right order. */
bool tok_spm_from_json(struct tok_files *f, struct tok_vocab *v, struct spm *m, struct err *e)
{
    bool replaces = false;
    *m = (struct spm){.unk_id = -1, .bos_id = -1, .eos_id = -1};
    if (!plain_normalizer(json_object_get(f->tokenizer, "normalizer"), 0, &m->dummy_prefix, &replaces) ||
        !plain_pre_tokenizer(json_object_get(f->tokenizer, "pre_tokenizer"), &m->dummy_prefix, &replaces) ||
        !replaces)
        return err_set(
            e, ERR_INPUT,
            "tokenizer.json: a BPE with byte fallback whose normalizer or pre-tokenizer is not that "
            "of a SentencePiece model; with tokenizer.model it could be used");
    if (!tok_bpe_load(f, v, e))
        return false;
    tok_bpe_scores_of_merges(f->tokenizer, v);
    const char *unk = str_of(json_object_get(f->tokenizer, "model"), "unk_token");
    for (uint64_t i = 0; i < v->n; i++) {
        if (v->type[i] == TOK_NORMAL && is_byte(v->text[i]))
            v->type[i] = TOK_BYTE;
        if (!strcmp(v->text[i], unk)) {
            m->unk_id = (int64_t)i;
            v->type[i] = TOK_UNKNOWN;
        }
    }
    return true;
}

/* ---- Gemma-4 ---- */

bool tok_is_gemma4(const json_t *tokenizer)
{
    bool prefix = false, replaces = false;
    const json_t *pre = json_object_get(tokenizer, "pre_tokenizer");
    return json_is_true(json_object_get(json_object_get(tokenizer, "model"), "byte_fallback")) &&
           plain_normalizer(json_object_get(tokenizer, "normalizer"), 0, &prefix, &replaces) && replaces &&
           !prefix && !strcmp(str_of(pre, "type"), "Split") &&
           !strcmp(str_of(json_object_get(pre, "pattern"), "String"), " ") &&
           !strcmp(str_of(pre, "behavior"), "MergedWithPrevious") &&
           !json_is_true(json_object_get(pre, "invert"));
}

/* The texts that tokenizer_config.json names: its members NAME_token, and the two lists. New reference. */
static json_t *named_tokens(const json_t *config)
{
    json_t *set = json_object(), *v;
    const char *key;
    json_object_foreach ((json_t *)(uintptr_t)config, key, v) {
        size_t n = strlen(key), i;
        const char *s = json_is_object(v) ? str_of(v, "content") : json_string_value(v);
        if (n > 6 && !strcmp(key + n - 6, "_token") && s)
            json_object_set_new(set, s, json_true());
        if (strcmp(key, "additional_special_tokens") != 0 && strcmp(key, "extra_special_tokens") != 0)
            continue;
        const char *name;
        json_t *x;
        json_array_foreach (v, i, x) {
            s = json_is_object(x) ? str_of(x, "content") : json_string_value(x);
            if (s)
                json_object_set_new(set, s, json_true());
        }
        json_object_foreach (v, name, x)
            if (json_is_string(x))
                json_object_set_new(set, json_string_value(x), json_true());
    }
    return set;
}

/* Types as the converter gives them: what has a name is special, other added tokens are text like any other.
 * The tokens of a tool call are special for the tokenizer, but to be seen in the model's answer. */
bool tok_gemma4_load(struct tok_files *f, struct tok_vocab *v, struct err *e)
{
    static const char *const visible[] = {"<|channel>",   "<channel|>",       "<|tool_call>",
                                          "<tool_call|>", "<|tool_response>", "<tool_response|>",
                                          "<|\"|>"};
    if (!tok_bpe_load(f, v, e))
        return false;
    const json_t *vocab = json_object_get(json_object_get(f->tokenizer, "model"), "vocab");
    json_t *named = named_tokens(f->config);
    for (uint64_t i = 0; i < v->n; i++) {
        v->score[i] = v->type[i] == TOK_UNUSED ? PAD_SCORE : ADDED_SCORE;
        if (json_object_get(vocab, v->text[i]))
            v->type[i] = is_byte(v->text[i])                  ? TOK_BYTE
                         : json_object_get(named, v->text[i]) ? TOK_CONTROL
                                                              : TOK_NORMAL;
        for (size_t k = 0; k < sizeof visible / sizeof *visible; k++)
            if (!strcmp(v->text[i], visible[k]))
                v->type[i] = TOK_USER_DEFINED;
    }
    json_decref(named);
    return true;
}
