/* tokenizer.c - the files, which of the engine's tokenizers they are for, and all keys in order; see
 * tokenizer.h. */
#include "tokenizer/tokenizer.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gguf/gguf_file.h"
#include "hf/config.h"
#include "hf/files.h"
#include "hf/names.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tok_part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

#define MAX_JSON (512u << 20) /* the largest published tokenizer.json has 34 MB */

/* NaN, Infinity, or a whole number beyond 64 bits. */
static bool is_wild(const char *s, size_t n)
{
    if (s[n - 1] < '0' || s[n - 1] > '9')
        return true;
    errno = 0;
    return strspn(s, "-0123456789") >= n && (strtoll(s, NULL, 10), errno == ERANGE);
}

/* What Python's json writes and reads but jansson does not: integers beyond 64 bits (model_max_length is
 * 1000000000000000019884624838656 in half of all tokenizer_config.json) and NaN and Infinity. Nothing here
 * needs such numbers: they become 0. */
static json_t *parse_python(struct buf *b, struct err *e)
{
    struct jdoc d = {0};
    struct err ignored = {0};
    json_t *v = json_parse(b->s, b->n, e);
    bool again = !v && jdoc_parse(&d, b->s, b->n, 0, NULL, true, &ignored);
    for (uint32_t i = 0; again && i < d.n_nodes; i++) {
        size_t at = d.nodes[i].at, n = d.nodes[i].end - at;
        if (d.nodes[i].kind == J_NUMBER && is_wild(b->s + at, n)) {
            memset(b->s + at, ' ', n);
            b->s[at] = '0';
        }
    }
    jdoc_clear(&d);
    if (!again)
        return v;
    err_clear(e);
    return json_parse(b->s, b->n, e);
}

/* A file that may be absent (then *out stays NULL). It must hold an object. */
static bool read_optional(const char *dir, const char *name, json_t **out, struct err *e)
{
    struct buf b = {0};
    bool there;
    if (hf_file_read(dir, name, MAX_JSON, &there, &b, e) && there) {
        buf_str(&b, "");
        *out = parse_python(&b, e);
        if (!*out) {
            err_ctx(e, "%s/%s", dir, name);
        } else if (!json_is_object(*out)) {
            err_set(e, ERR_INPUT, "%s/%s: holds %s, expected an object", dir, name, json_type_name(*out));
            json_decref(*out);
            *out = NULL;
        }
    }
    buf_clear(&b);
    return e->code == ERR_NONE;
}

static uint64_t config_vocab_size(const struct jdoc *c, uint32_t pad)
{
    uint64_t n = 0;
    uint32_t text = hf_text_config(c);
    /* the text model's object counts more than the root */
    if (text == JSPAN_NONE || !jdoc_u64(c, jdoc_get(c, text, "vocab_size"), &n))
        jdoc_u64(c, jdoc_get(c, 0, "vocab_size"), &n);
    if (pad && n <= TOK_MAX)
        n = (n + pad - 1) / pad * pad;
    return n;
}

static void files_clear(struct tok_files *f)
{
    json_decref(f->tokenizer);
    json_decref(f->config);
    json_decref(f->added);
}

static bool files_open(struct tok_files *f, const char *dir, const struct jdoc *config, struct err *e)
{
    char *type = hf_model_type(config);
    *f = (struct tok_files){.dir = dir, .family = family_tokenizer(type ? type : "")};
    free(type);
    return read_optional(dir, "tokenizer.json", &f->tokenizer, e) &&
           read_optional(dir, "tokenizer_config.json", &f->config, e) &&
           read_optional(dir, "added_tokens.json", &f->added, e);
}

/* ---- keys ---- */

struct keys {
    struct buf *b;
    uint64_t n;
};

static void key_bool(struct keys *k, const char *name, bool v)
{
    gg_put_bool(k->b, name, v);
    k->n++;
}

static void put_vocab(struct keys *k, const char *model, const char *pre, const struct tok_vocab *v,
                      bool scores)
{
    gg_put_str(k->b, "tokenizer.ggml.model", model);
    if (pre)
        gg_put_str(k->b, "tokenizer.ggml.pre", pre);
    gg_put_strs(k->b, "tokenizer.ggml.tokens", (const char *const *)v->text, v->n);
    if (scores)
        gg_put_f32s(k->b, "tokenizer.ggml.scores", v->score, v->n);
    gg_put_i32s(k->b, "tokenizer.ggml.token_type", v->type, v->n);
    if (v->n_merges)
        gg_put_strs(k->b, "tokenizer.ggml.merges", (const char *const *)v->merge, v->n_merges);
    k->n += 3u + (pre ? 1 : 0) + (scores ? 1 : 0) + (v->n_merges ? 1 : 0);
}

/* Without the key some pre-tokenizers of the engine, and SentencePiece, put BOS first. A tokenizer of the
 * general class does what tokenizer.json says, and nothing more; the converter leaves the key out. */
static void settle_add_bos(struct tok_special *s, const struct tok_files *f, bool engine_adds)
{
    const char *class = json_string_value(json_object_get(f->config, "tokenizer_class"));
    if (engine_adds && !tok_special_says_add(s, SP_BOS) && f->tokenizer && class &&
        (!strcmp(class, "PreTrainedTokenizerFast") || !strcmp(class, "TokenizersBackend")))
        tok_special_set_add(s, SP_BOS, false);
}

/* The engine looks up whole words before it merges, or not, by the name alone; tokenizer.json has a switch.
 * Where every token is reached by merging that is the same. */
static bool check_ignore_merges(const struct tok_files *f, const struct tok_vocab *v,
                                const struct tok_pre *pre, struct err *e)
{
    if (tok_bpe_ignores_merges(f->tokenizer) == pre->ignore_merges)
        return true;
    uint64_t n, first;
    if (!tok_bpe_unreachable(f->tokenizer, v, &n, &first, e))
        return false;
    char t[TOK_SHOWN];
    if (n)
        log_warn(
            "tokenizer.json has ignore_merges %s, the engine's pre-tokenizer '%s' the opposite: %llu tokens "
            "(the first is %llu, '%s') will be used differently",
            pre->ignore_merges ? "false" : "true", pre->name, (unsigned long long)n,
            (unsigned long long)first, text_shown(t, sizeof t, v->text[first]));
    return true;
}

/* known: the name where it is known already, of a form that says it otherwise; else NULL. */
static const struct tok_pre *find_pre(const struct tok_files *f, const char *known, const char *asked,
                                      struct err *e)
{
    struct err why = {0};
    char t[TOK_SHOWN];
    const struct tok_pre *found =
        known ? tok_pre_find(known) : tok_pre_recognise(f->tokenizer, f->family, &why);
    if (!asked) {
        if (!found)
            err_set(e, why.code,
                    "%s/tokenizer.json: %s; if the engine has it under a name give --pretokenizer NAME",
                    f->dir, why.msg);
        return found;
    }
    const struct tok_pre *pre = tok_pre_find(asked);
    if (!pre)
        err_set(e, ERR_INPUT, "--pretokenizer '%s': the engine has no pre-tokenizer of this name",
                text_shown(t, sizeof t, asked));
    else if (!found)
        log_warn("tokenizer.json: %s; '%s' is used as asked", why.msg, pre->name);
    else if (found != pre)
        log_warn("the tokenizer has the pre-tokenizer '%s', '%s' is used as asked", found->name, pre->name);
    return pre;
}

static bool put_bpe(struct tok_files *f, const struct jdoc *config, const struct tokenizer_opts *o,
                    const struct tok_tiktoken *t, struct keys *k, struct tok_special *s, struct err *e)
{
    const struct tok_pre *pre = find_pre(f, t->pre, o->pretokenizer, e);
    struct tok_vocab v = {0};
    bool ok = pre && tok_bpe_load(f, &v, e) && check_ignore_merges(f, &v, pre, e);
    if (ok) {
        if (t->pre) { /* such a checkpoint has no tokenizer.json: ids stand in config.json */
            json_decref(f->tokenizer);
            f->tokenizer = NULL;
        }
        tok_special_find(s, f, config, v.n);
        tok_special_set_named(s, &v, f->family);
        if (t->pre && f->family->eos_by_name)
            tok_special_set_eos_by_name(s, &v, f->config);
        for (uint64_t i = 0; t->bos && i < v.n; i++)
            if (!strcmp(v.text[i], t->bos))
                tok_special_replace(s, SP_BOS, i);
        if (f->family->no_bos_vocab && v.n == f->family->no_bos_vocab)
            tok_special_set_add(s, SP_BOS, false);
        settle_add_bos(s, f, pre->add_bos);
        put_vocab(k, "gpt2", pre->name, &v, false);
        tok_special_put(s, k->b, &k->n);
    }
    tok_vocab_clear(&v);
    return ok;
}

/* The engine's ids for a SentencePiece model without keys are 1, 2 and 0. */
static void set_spm_ids(struct tok_special *s, const struct spm *m)
{
    const struct {
        enum special_kind kind;
        int64_t id, engine;
    } rows[] = {{SP_BOS, m->bos_id, 1}, {SP_EOS, m->eos_id, 2}, {SP_UNK, m->unk_id, 0}};
    for (size_t i = 0; i < 3; i++)
        if (rows[i].id >= 0 && rows[i].id != rows[i].engine && !tok_special_has(s, rows[i].kind))
            tok_special_set(s, rows[i].kind, (uint64_t)rows[i].id);
}

static bool put_spm(struct tok_files *f, const struct jdoc *config, bool from_json, struct keys *k,
                    struct tok_special *s, struct spm *m, struct err *e)
{
    struct tok_vocab v = {0};
    bool ok = from_json ? tok_spm_from_json(f, &v, m, e) : tok_spm_load(f, &v, m, e);
    if (ok) {
        tok_special_find(s, f, config, v.n);
        set_spm_ids(s, m);
        settle_add_bos(s, f, true);
        put_vocab(k, "llama", "default", &v, true);
        tok_special_put(s, k->b, &k->n);
    }
    tok_vocab_clear(&v);
    return ok;
}

/* The engine knows the pre-tokenizer from the model's name, and puts BOS first whatever the key says. */
static bool put_gemma4(struct tok_files *f, const struct jdoc *config, struct keys *k, struct tok_special *s,
                       struct err *e)
{
    struct tok_vocab v = {0};
    bool ok = tok_gemma4_load(f, &v, e);
    if (ok) {
        tok_special_find(s, f, config, v.n);
        if (tok_special_says_add(s, SP_BOS))
            tok_special_set_add(s, SP_BOS, true);
        put_vocab(k, "gemma4", NULL, &v, true);
        tok_special_put(s, k->b, &k->n);
    }
    tok_vocab_clear(&v);
    return ok;
}

/* ---- which tokenizer ---- */

enum form { FORM_NONE, FORM_BPE, FORM_TIKTOKEN, FORM_SPM, FORM_SPM_JSON, FORM_GEMMA4 };

static bool has_file(const char *dir, const char *name, struct err *e)
{
    char *path = path_join(dir, name);
    bool there, known = file_there(path, &there, e);
    free(path);
    return known && there;
}

/* A byte-level tokenizer.json is complete by itself. Otherwise tokenizer.model, which tokenizer.json was made
 * from, says it better: it has scores. */
static enum form find_form(struct tok_files *f, struct tok_tiktoken *tik, struct err *e)
{
    const json_t *model = json_object_get(f->tokenizer, "model");
    const char *type = json_string_value(json_object_get(model, "type"));
    bool bpe =
        f->tokenizer && (type ? !strcmp(type, "BPE") : json_is_array(json_object_get(model, "merges")));
    char t[TOK_SHOWN];
    if (bpe && tok_bpe_is_byte_level(f->tokenizer))
        return FORM_BPE;
    if (has_file(f->dir, "tokenizer.model", e))
        return FORM_SPM;
    if (!f->tokenizer && !e->code)
        f->tokenizer = tok_tiktoken_read(f, tik, e);
    if (tik->pre || e->code)
        return e->code ? FORM_NONE : FORM_TIKTOKEN;
    if (bpe && tok_is_gemma4(f->tokenizer) && f->family->spaced_bpe)
        return FORM_GEMMA4;
    if (bpe && json_is_true(json_object_get(model, "byte_fallback")))
        return FORM_SPM_JSON;
    if (bpe)
        err_set(e, ERR_INPUT,
                "%s/tokenizer.json: a BPE that is neither byte-level nor has a byte fallback, which "
                "the engine does not have",
                f->dir);
    else if (f->tokenizer)
        err_set(e, ERR_INPUT, "%s/tokenizer.json: model type '%s', expected BPE: others are not supported",
                f->dir, text_shown(t, sizeof t, type ? type : ""));
    else if (has_file(f->dir, "qwen.tiktoken", e) || has_file(f->dir, "tekken.json", e))
        err_set(e, ERR_INPUT,
                "only qwen.tiktoken or tekken.json, which are not supported: expected tokenizer.json, "
                "tokenizer.model or tiktoken.model");
    else
        err_set(e, ERR_INPUT, "no tokenizer: expected tokenizer.json, tokenizer.model or tiktoken.model");
    return FORM_NONE;
}

/* Flags of a normalizer that GGUF has keys for. */
static void find_normalizer(const json_t *n, int depth, bool set[2], bool value[2])
{
    const char *type = json_string_value(json_object_get(n, "type"));
    static const char *const names[2] = {"Lowercase", "StripAccents"}, *const opts[2] = {"lowercase",
                                                                                         "strip_accents"};
    for (size_t i = 0; type && i < 2; i++) {
        const json_t *v = json_object_get(n, opts[i]);
        bool bert = !strcmp(type, "BertNormalizer") && json_is_boolean(v);
        if (bert || !strcmp(type, names[i])) {
            set[i] = true;
            value[i] = !bert || json_is_true(v);
        }
    }
    const json_t *list =
        type && !strcmp(type, "Sequence") && depth < 4 ? json_object_get(n, "normalizers") : NULL;
    for (size_t i = 0; i < json_array_size(list); i++)
        find_normalizer(json_array_get(list, i), depth + 1, set, value);
}

static void put_normalizer(struct keys *k, const struct tok_files *f)
{
    bool set[2] = {false, false}, value[2] = {false, false};
    find_normalizer(json_object_get(f->tokenizer, "normalizer"), 0, set, value);
    if (set[0])
        key_bool(k, "tokenizer.ggml.normalizer.lowercase", value[0]);
    if (set[1])
        key_bool(k, "tokenizer.ggml.normalizer.strip_accents", value[1]);
}

static bool put_all(struct tok_files *f, const struct jdoc *config, const struct tokenizer_opts *o,
                    struct keys *k, struct err *e)
{
    static const char prefix_key[] = "tokenizer.ggml.add_space_prefix";
    const json_t *prefix = json_object_get(f->config, "add_prefix_space");
    struct tok_tiktoken tik = {0};
    enum form form = find_form(f, &tik, e);
    if (form == FORM_NONE)
        return false;
    enum family_prefix where = f->family->space_prefix;
    bool say_prefix = where != PREFIX_UNSAID && json_is_boolean(prefix);
    if (say_prefix && where == PREFIX_FIRST)
        key_bool(k, prefix_key, json_is_true(prefix));
    struct tok_special s;
    struct spm m = {.dummy_prefix = true};
    if (o->pretokenizer && form != FORM_BPE && form != FORM_TIKTOKEN)
        log_warn("--pretokenizer is not used: this tokenizer is no byte-level BPE");
    bool ok = form == FORM_BPE || form == FORM_TIKTOKEN ? put_bpe(f, config, o, &tik, k, &s, e)
              : form == FORM_GEMMA4                     ? put_gemma4(f, config, k, &s, e)
                                    : put_spm(f, config, form == FORM_SPM_JSON, k, &s, &m, e);
    if (!ok || !chat_template_put_keys(f->dir, f->config, k->b, &k->n, e))
        return false;
    put_normalizer(k, f);
    if (say_prefix && where == PREFIX_LAST)
        key_bool(k, prefix_key, json_is_true(prefix));
    else if (!say_prefix && (!m.dummy_prefix || form == FORM_GEMMA4))
        key_bool(k, prefix_key, false); /* the engine's SentencePiece puts a space first unless told */
    if (form == FORM_GEMMA4 && !tok_special_says_add(&s, SP_BOS))
        key_bool(k, "tokenizer.ggml.add_bos_token", true);
    return true;
}

bool tokenizer_put_keys(const char *dir, const struct jdoc *config, const struct tokenizer_opts *o,
                        struct buf *keys, uint64_t *n_keys, struct err *e)
{
    struct tok_files f;
    struct keys k = {keys, 0};
    bool ok = files_open(&f, dir, config, e);
    if (ok) {
        f.vocab_size = o->vocab_size ? o->vocab_size : config_vocab_size(config, f.family->pad_vocab);
        ok = put_all(&f, config, o, &k, e);
    }
    files_clear(&f);
    if (ok)
        *n_keys += k.n;
    return ok;
}
