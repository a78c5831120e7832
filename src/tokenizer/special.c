/* special.c - which tokens begin and end a text, and which of them the engine is to add: by what a
 * TemplateProcessing of tokenizer.json puts around a text, by tokenizer_config.json, and by config.json. What
 * the first says is put into the second's document, as the converter of llama.cpp v0.5.0 does. */
#include "base/log.h"
#include "base/text.h"
#include "gguf/gguf_file.h"
#include "hf/names.h"
#include "tokenizer/tok_part.h"

#include <string.h>

static const struct {
    const char *name;    /* <name>_token of tokenizer_config.json, <name>_token_id of config.json */
    const char *id_key;  /* NULL: GGUF has none */
    const char *add_key; /* likewise */
} specials[N_SPECIAL] = {
    [SP_BOS] = {"bos", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.add_bos_token"},
    [SP_EOS] = {"eos", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_eos_token"},
    [SP_UNK] = {"unk", "tokenizer.ggml.unknown_token_id", NULL},
    [SP_SEP] = {"sep", "tokenizer.ggml.seperator_token_id", "tokenizer.ggml.add_sep_token"},
    [SP_PAD] = {"pad", "tokenizer.ggml.padding_token_id", NULL},
    [SP_CLS] = {"cls", NULL, NULL},
    [SP_MASK] = {"mask", "tokenizer.ggml.mask_token_id", NULL},
    [SP_EOT] = {"eot", "tokenizer.ggml.eot_token_id", NULL},
    [SP_EOM] = {"eom", "tokenizer.ggml.eom_token_id", NULL},
};

bool tok_special_has(const struct tok_special *s, enum special_kind kind)
{
    for (size_t i = 0; i < s->n_ids; i++)
        if (s->ids[i].kind == kind)
            return true;
    return false;
}

void tok_special_set(struct tok_special *s, enum special_kind kind, uint64_t id)
{
    if (id >= s->n_vocab)
        log_warn("the %s token %llu is left out: the model has %llu tokens", specials[kind].name,
                 (unsigned long long)id, (unsigned long long)s->n_vocab);
    else if (!tok_special_has(s, kind)) {
        s->ids[s->n_ids].kind = kind;
        s->ids[s->n_ids++].id = id;
    }
}

void tok_special_replace(struct tok_special *s, enum special_kind kind, uint64_t id)
{
    for (size_t i = 0; i < s->n_ids && id < s->n_vocab; i++)
        if (s->ids[i].kind == kind) {
            s->ids[i].id = id;
            return;
        }
    tok_special_set(s, kind, id);
}

void tok_special_set_add(struct tok_special *s, enum special_kind kind, bool yes)
{
    for (size_t i = 0; i < s->n_adds; i++)
        if (s->adds[i].kind == kind) {
            s->adds[i].yes = yes;
            return;
        }
    s->adds[s->n_adds].kind = kind;
    s->adds[s->n_adds++].yes = yes;
}

bool tok_special_says_add(const struct tok_special *s, enum special_kind kind)
{
    for (size_t i = 0; i < s->n_adds; i++)
        if (s->adds[i].kind == kind)
            return true;
    return false;
}

/* The text of <name>_token: a string, or an object with a content. */
static const char *token_text(const json_t *v)
{
    const char *s = json_string_value(v);
    return s ? s : json_string_value(json_object_get(v, "content"));
}

static bool is_set(const json_t *v)
{
    return v && !json_is_null(v) && !(json_is_string(v) && !*json_string_value(v));
}

static bool equals(const json_t *v, const char *s)
{
    return json_is_string(v) && !strcmp(json_string_value(v), s);
}

static const char *part_id(const json_t *list, size_t i, const char *what)
{
    const char *s = json_string_value(json_object_get(json_object_get(json_array_get(list, i), what), "id"));
    return s && *s ? s : NULL;
}

/* ---- what a TemplateProcessing adds (single: one text, pair: two) ---- */

/* The token before the text. Where tokenizer_config.json names no BOS or CLS it becomes that. */
static void template_first(struct tok_special *s, json_t *config, const char *first)
{
    json_t *bos = json_object_get(config, "bos_token"), *cls = json_object_get(config, "cls_token");
    if (!config) {
        tok_special_set_add(s, SP_BOS, true);
        return;
    }
    if (!equals(bos, first) && !equals(cls, first)) {
        if (!is_set(bos))
            json_object_set_new(config, "bos_token", json_string(first));
        if (!is_set(cls))
            json_object_set_new(config, "cls_token", json_string(first));
    }
    bos = json_object_get(config, "bos_token");
    cls = json_object_get(config, "cls_token");
    bool known = equals(bos, first) || equals(cls, first);
    tok_special_set_add(s, SP_BOS, known);
    if (!known) {
        char t[TOK_SHOWN];
        log_warn("tokenizer.json puts '%s' before a text, which is not the BOS token; the engine will not",
                 text_shown(t, sizeof t, first));
    }
}

/* The token after the text becomes EOS; the EOS of tokenizer_config.json is then that of a turn. */
static void template_last(struct tok_special *s, json_t *config, const char *last)
{
    json_t *eos = json_object_get(config, "eos_token");
    if (config && !equals(eos, last)) {
        static const char *const key[] = {"eot_token", "eom_token"};
        if (s->n_kinds < N_SPECIAL) {
            if (eos)
                json_object_set(config, key[s->n_kinds - SP_EOT], eos);
            s->n_kinds++;
        }
        json_object_set_new(config, "eos_token", json_string(last));
    }
    tok_special_set_add(s, SP_EOS, true);
}

/* A [first] A sep [sep] B [last]: whether a separator stands between two texts. */
static void template_pair(struct tok_special *s, json_t *config, const json_t *pair, const char *first,
                          const char *last, const json_t *sep_token)
{
    size_t a = 0, b = json_array_size(pair);
    if (b == 0)
        return;
    const char *x = part_id(pair, 0, "SpecialToken"), *y = part_id(pair, b - 1, "SpecialToken");
    if (first && x && !strcmp(x, first))
        a++;
    if (last && y && !strcmp(y, last))
        b--;
    if (a + 2 >= b)
        return;
    const char *from = part_id(pair, a, "Sequence"), *to = part_id(pair, b - 1, "Sequence");
    if (!from || !to || strcmp(from, "A") != 0 || strcmp(to, "B") != 0)
        return;
    const json_t *eos = json_object_get(config, "eos_token");
    bool add = false;
    const char *middle = part_id(pair, a + 1, "SpecialToken");
    if (middle && (equals(sep_token, middle) || equals(eos, middle)) && !last)
        add = true;
    if (b - a == 4) {
        middle = part_id(pair, a + 2, "SpecialToken");
        if (middle && (equals(sep_token, middle) || equals(eos, middle)))
            add = true;
    }
    tok_special_set_add(s, SP_SEP, add);
    if (add && !is_set(sep_token) && eos)
        json_object_set(config, "sep_token", (json_t *)(uintptr_t)eos);
}

static void read_processor(struct tok_special *s, json_t *config, const json_t *p)
{
    const char *type = json_string_value(json_object_get(p, "type"));
    if (!type || strcmp(type, "TemplateProcessing") != 0)
        return;
    const json_t *single = json_object_get(p, "single");
    const json_t *sep = json_object_get(config, "sep_token");
    const char *first = NULL, *last = NULL;
    size_t n = json_array_size(single);
    if (n > 1) {
        first = part_id(single, 0, "SpecialToken");
        last = part_id(single, n - 1, "SpecialToken");
        if (first)
            template_first(s, config, first);
        if (last)
            template_last(s, config, last);
    }
    template_pair(s, config, json_object_get(p, "pair"), first, last, sep);
}

static void read_post_processor(struct tok_special *s, json_t *config, const json_t *post)
{
    static const char *const same[][2] = {{"bos_token", "cls_token"}, {"eos_token", "sep_token"}};
    for (size_t i = 0; config && i < 2; i++) { /* of encoders: CLS is what BOS is for others */
        json_t *other = json_object_get(config, same[i][1]);
        if (!is_set(json_object_get(config, same[i][0])) && is_set(other))
            json_object_set(config, same[i][0], other);
    }
    const json_t *list = json_object_get(post, "processors");
    if (!list)
        read_processor(s, config, post);
    for (size_t i = 0; i < json_array_size(list); i++)
        read_processor(s, config, json_array_get(list, i));
}

/* ---- ids ---- */

static void read_config_tokens(struct tok_special *s, const struct tok_files *f)
{
    const json_t *added = json_object_get(f->tokenizer, "added_tokens");
    for (size_t k = 0; k < s->n_kinds; k++) {
        char key[32];
        snprintf(key, sizeof key, "add_%s_token", specials[k].name);
        const json_t *yes = json_object_get(f->config, key);
        if (json_is_boolean(yes))
            tok_special_set_add(s, (enum special_kind)k, json_is_true(yes));
        const char *text = token_text(json_object_get(f->config, key + 4));
        for (size_t i = 0; text && i < json_array_size(added); i++) {
            const json_t *t = json_array_get(added, i), *id = json_object_get(t, "id");
            if (!equals(json_object_get(t, "content"), text))
                continue;
            if (json_is_integer(id) && json_integer_value(id) >= 0)
                tok_special_set(s, (enum special_kind)k, (uint64_t)json_integer_value(id));
            break;
        }
    }
}

/* <name>_token_id of config.json: of the root, else of the text model's object. A list of ids (of EOS,
 * mostly) gives none. */
static void read_model_config(struct tok_special *s, const struct jdoc *c)
{
    uint32_t text = hf_text_config(c);
    for (size_t k = 0; k < s->n_kinds; k++) {
        char key[32];
        snprintf(key, sizeof key, "%s_token_id", specials[k].name);
        uint32_t v = jdoc_get(c, 0, key);
        if ((v == JSPAN_NONE || c->nodes[v].kind == J_NULL) && text != JSPAN_NONE)
            v = jdoc_get(c, text, key);
        uint64_t id;
        if (jdoc_u64(c, v, &id))
            tok_special_set(s, (enum special_kind)k, id);
    }
}

void tok_special_find(struct tok_special *s, const struct tok_files *f, const struct jdoc *config, uint64_t n)
{
    *s = (struct tok_special){.n_kinds = SP_EOT, .n_vocab = n};
    if (f->tokenizer)
        read_post_processor(s, f->config, json_object_get(f->tokenizer, "post_processor"));
    if (f->config)
        read_config_tokens(s, f);
    read_model_config(s, config);
}

/* The number of a token that is more than text; v->n: there is none. */
static uint64_t find_named(const struct tok_vocab *v, const char *text)
{
    uint64_t i = text ? 0 : v->n;
    while (i < v->n && (v->type[i] == TOK_NORMAL || strcmp(v->text[i], text) != 0))
        i++;
    return i;
}

void tok_special_set_named(struct tok_special *s, struct tok_vocab *v, const struct family_tokenizer *family)
{
    const struct {
        enum special_kind kind;
        const char *text;
    } rows[] = {{SP_BOS, family->bos},
                {SP_EOS, family->eos},
                {SP_EOT, family->eot},
                {SP_UNK, family->unk},
                {SP_EOM, family->eom}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        uint64_t id = find_named(v, rows[r].text);
        if (id == v->n)
            continue;
        tok_special_set(s, rows[r].kind, id);
        if (rows[r].kind == SP_EOT) /* else the engine would write it as text, and go on */
            v->type[id] = TOK_CONTROL;
    }
}

void tok_special_set_eos_by_name(struct tok_special *s, const struct tok_vocab *v, const json_t *config)
{
    uint64_t id = find_named(v, token_text(json_object_get(config, "eos_token")));
    if (id < v->n)
        tok_special_replace(s, SP_EOS, id);
}

void tok_special_put(const struct tok_special *s, struct buf *b, uint64_t *n)
{
    for (size_t i = 0; i < s->n_ids; i++)
        if (specials[s->ids[i].kind].id_key) {
            gg_put_u32(b, specials[s->ids[i].kind].id_key, (uint32_t)s->ids[i].id);
            ++*n;
        }
    for (size_t i = 0; i < s->n_adds; i++)
        if (specials[s->adds[i].kind].add_key) {
            gg_put_bool(b, specials[s->adds[i].kind].add_key, s->adds[i].yes);
            ++*n;
        }
}
