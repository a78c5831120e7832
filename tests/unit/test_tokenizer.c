/* test_tokenizer.c - tokenizers of checkpoints as GGUF keys.
 *
 * The reference is tests/data/families/NAME/model.gguf, which llama.cpp's converter wrote from the checkpoint
 * whose tokenizer files lie in NAME/hf. Every tokenizer.* key must come out with the same bytes, in the same
 * order. Where there is no such reference (a SentencePiece tokenizer given as tokenizer.json only) the engine
 * tokenizes with our keys and must give the ids that transformers gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "engine/engine.h"
#include "families.h"
#include "gguf/gguf_file.h"
#include "tempdir.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tok_part.h"
#include "tokenizer/tokenizer.h"

#include <string.h>
#include <unistd.h>

/* ---- running ---- */

struct result {
    struct buf keys;
    uint64_t n;
    struct gg_file f; /* the keys as read back */
    struct buf header;
};

static void result_clear(struct result *r)
{
    gg_clear(&r->f);
    buf_clear(&r->keys);
    buf_clear(&r->header);
}

/* The keys of a folder with this config.json; false with *e set. */
static bool convert(const char *dir, const char *config, const struct tokenizer_opts *o, struct result *r,
                    struct err *e)
{
    struct jdoc d = {0};
    *r = (struct result){0};
    if (!jdoc_parse(&d, config, strlen(config), 0, NULL, true, e))
        fail_msg("%s", e->msg);
    bool ok = tokenizer_put_keys(dir, &d, o, &r->keys, &r->n, e);
    jdoc_clear(&d);
    assert_int_equal(ok, e->code == ERR_NONE);
    if (!ok) {
        buf_clear(&r->keys);
        return false;
    }
    gg_put_start(&r->header, 3, 0, r->n);
    buf_add(&r->header, r->keys.s, r->keys.n);
    gg_pad(&r->header, 32);
    if (!gg_parse((const uint8_t *)r->header.s, r->header.n, r->header.n, &r->f, e))
        fail_msg("the keys do not read back: %s", e->msg);
    return true;
}

static size_t n_warnings(void)
{
    char **list;
    return log_warnings(&list);
}

static char *text_of(const char *path)
{
    struct buf b = {0};
    struct err e = {0};
    if (!file_read_all(path, 1 << 26, &b, &e))
        fail_msg("%s", e.msg);
    buf_str(&b, "");
    return b.s;
}

static void convert_family(const struct family_case *f, const char *dir, struct result *r)
{
    struct err e = {0};
    char *config = text_of(family_file(f, "hf/config.json"));
    if (!convert(dir, config, &(struct tokenizer_opts){0}, r, &e))
        fail_msg("%s: %s", f->name, e.msg);
    free(config);
}

static bool is_tokenizer_key(const struct gg_key *k)
{
    return !strncmp(k->name, "tokenizer.", 10);
}

/* ---- families ---- */

static void same_keys(const struct gg_file *have, const struct gg_file *want, const char *what)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < want->parts[0].n_keys; i++) {
        const struct gg_key *w = &want->parts[0].keys[i];
        if (!is_tokenizer_key(w))
            continue;
        if (n >= have->parts[0].n_keys)
            fail_msg("%s: '%s' is missing", what, w->name);
        const struct gg_key *h = &have->parts[0].keys[n++];
        if (strcmp(h->name, w->name) != 0)
            fail_msg("%s: '%s' where '%s' is expected", what, h->name, w->name);
        if (h->raw_bytes != w->raw_bytes || memcmp(h->raw, w->raw, w->raw_bytes) != 0)
            fail_msg("%s: '%s' differs: %s of %llu in %llu bytes, expected %s of %llu in %llu bytes", what,
                     h->name, gg_kind_name(h->kind), (unsigned long long)h->n,
                     (unsigned long long)h->raw_bytes, gg_kind_name(w->kind), (unsigned long long)w->n,
                     (unsigned long long)w->raw_bytes);
    }
    assert_true(n >= 7);
    assert_int_equal(n, have->parts[0].n_keys);
}

static void test_family(void **state)
{
    const struct family_case *f = *state;
    struct err e = {0};
    struct gg_file *want = gg_open(family_file(f, "model.gguf"), &e);
    golden_ok(want != NULL, &e, f->name);
    struct result r;
    size_t warnings = n_warnings();
    convert_family(f, family_file(f, "hf"), &r);
    assert_int_equal(n_warnings(), warnings);
    same_keys(&r.f, want, f->name);
    result_clear(&r);
    gg_free(want);
}

/* The checkpoints of tests/data/tokenizers, whose tokenizers are tiktoken files, against the converter's keys. */
static void test_tiktoken(void **state)
{
    static const char *const names[] = {"kimi_k2", "hunyuan"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char dir[512], path[640];
        struct err e = {0};
        struct result r;
        snprintf(dir, sizeof dir, "%s/tokenizers/%s", TEST_DATA_DIR, names[i]);
        snprintf(path, sizeof path, "%s/vocab.gguf", dir);
        struct gg_file *want = gg_open(path, &e);
        golden_ok(want != NULL, &e, names[i]);
        snprintf(path, sizeof path, "%s/config.json", dir);
        char *config = text_of(path);
        size_t warnings = n_warnings();
        golden_ok(convert(dir, config, &(struct tokenizer_opts){0}, &r, &e), &e, names[i]);
        assert_int_equal(n_warnings(), warnings);
        same_keys(&r.f, want, names[i]);
        result_clear(&r);
        gg_free(want);
        free(config);
    }
}

/* ---- the engine with our keys ---- */

/* The family's model with the tokenizer keys of r instead of its own. */
static void write_model(const struct family_case *f, const struct result *r, const char *path)
{
    struct err e = {0};
    struct gg_file *m = gg_open(family_file(f, "model.gguf"), &e);
    golden_ok(m != NULL, &e, f->name);
    const struct gg_part *p = &m->parts[0];
    struct buf b = {0};
    uint64_t n = r->n;
    for (uint64_t i = 0; i < p->n_keys; i++)
        n += !is_tokenizer_key(&p->keys[i]);
    gg_put_start(&b, p->version, p->n_tensors, n);
    for (uint64_t i = 0; i < p->n_keys; i++)
        if (!is_tokenizer_key(&p->keys[i]))
            gg_put_raw(&b, &p->keys[i]);
    buf_add(&b, r->keys.s, r->keys.n);
    for (uint64_t i = 0; i < m->n_tensors; i++) {
        const struct gg_tensor *t = &m->tensors[i];
        gg_put_tensor(&b, t->name, t->n_dims, t->ne, t->type, t->off - p->data_off);
    }
    gg_pad(&b, p->alignment);
    struct out o = {.fd = -1};
    golden_ok(out_open(&o, path, false, &e) && out_write(&o, b.s, b.n, &e) &&
                  out_copy(&o, p->fd, p->data_off, p->size - p->data_off, &e) && out_commit(&o, &e),
              &e, path);
    buf_clear(&b);
    gg_free(m);
}

static void check_ids(const struct engine *g, const char *text, const json_t *want, bool add, bool special,
                      const char *what)
{
    struct err e = {0};
    int32_t *ids;
    uint32_t n;
    golden_ok(engine_tokenize(g, text, strlen(text), add, special, &ids, &n, &e), &e, what);
    if (n != json_array_size(want))
        fail_msg("%s: %u tokens, expected %zu", what, n, json_array_size(want));
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] != json_integer_value(json_array_get(want, i)))
            fail_msg("%s: token %u is %d, expected %lld", what, i, ids[i],
                     (long long)json_integer_value(json_array_get(want, i)));
    free(ids);
}

static void copy_file(const struct family_case *f, const char *name)
{
    char from[64];
    snprintf(from, sizeof from, "hf/%s", name);
    char *s = text_of(family_file(f, from));
    put(name, s);
    free(s);
}

/* Without tokenizer.model the scores come from the merges of tokenizer.json. */
static void test_spm_from_json(void **state)
{
    static const char *const names[] = {"mixtral", "ernie4_5_moe"};
    (void)state;
    struct engine_opts o = golden_engine();
    for (size_t i = 0; i < 2; i++) {
        const struct family_case *f = family_cases;
        while (strcmp(f->name, names[i]) != 0)
            f++;
        copy_file(f, "tokenizer.json");
        copy_file(f, "tokenizer_config.json");
        struct result r;
        convert_family(f, tmp, &r);
        const char *model = at(names[i]);
        write_model(f, &r, model);
        struct err e = {0};
        struct engine *g = engine_open(model, &o, &e);
        golden_ok(g != NULL, &e, model);
        json_t *golden = golden_json(family_file(f, "golden_tokens.json"));
        char *texts = text_of(family_file(f, "texts.jsonl"));
        const json_t *samples = json_object_get(golden, "samples");
        char *line = texts, *next;
        for (size_t k = 0; k < json_array_size(samples); k++, line = next + 1) {
            next = strchr(line, '\n');
            json_t *sample = json_parse(line, (size_t)(next - line), &e);
            const json_t *want = json_array_get(samples, k);
            const char *text = json_string_value(json_object_get(sample, "text"));
            check_ids(g, text, json_object_get(want, "ids"), true, true, names[i]);
            check_ids(g, text, json_object_get(want, "ids_no_added"), false, true, names[i]);
            json_decref(sample);
        }
        assert_int_equal(json_array_size(samples), 8);
        free(texts);
        json_decref(golden);
        engine_free(g);
        result_clear(&r);
    }
}

/* ---- pre-tokenizers ---- */

#define WORDS3                                                                                               \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" \
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define WORDS1                                                                                          \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" \
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define O200K_1   "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
#define O200K_2   "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
#define O200K_3   "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CONTR     "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define O200K_ALL O200K_1 CONTR "?" O200K_2 CONTR "?|\\p{N}{1,3}" O200K_3
#define DS3                                                                                            \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|" \
    " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
#define LING \
    "|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"

/* Steps of a Sequence: a regular expression, "#digits", "#gpt2" (ByteLevel with its expression). */
struct pre_case {
    const char *want, *model_type;
    int ignore_merges;
    const char *steps[6];
};
static const struct pre_case pre_cases[] = {
    {"llama-bpe", "mllama", 1, {WORDS3}},
    {"dbrx", "phi3", 0, {WORDS3}},
    {"glm4", "glm4_moe", 0, {WORDS3}},
    {"glm4", "glm4_moe_lite", 0, {WORDS3}},
    {"lfm2", "lfm2_moe", 1, {WORDS3}},
    {"qwen2", "qwen3_moe", 0, {WORDS1}},
    {"qwen2", "", 0, {WORDS1}},
    {"hunyuan", "hunyuan_v1_moe", 0, {WORDS1}},
    {"qwen35",
     "qwen3_5_moe",
     0,
     {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| "
      "?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"gpt-4o", "gpt_oss", 1, {O200K_ALL}},
    {"llama4", "llama4", 0, {O200K_ALL}},
    {"minimax-m2", "minimax_m2", 0, {O200K_ALL}},
    {"tekken", "mistral", 1, {O200K_1 O200K_2 "|\\p{N}" O200K_3}},
    {"deepseek-v3", "deepseek_v3", 0, {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DS3}},
    {"hunyuan-dense", "hunyuan_v1_dense", 0, {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DS3}},
    {"deepseek-coder",
     "llama",
     0,
     {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "#digits"}},
    {"bailingmoe", "bailing_moe", 0, {"'(?i:[sdmt]|ll|ve|re)" LING}},
    {"bailingmoe2", "bailing_moe_v2", 0, {"'(?i:[sdmt]|ll|ve|re)" LING}},
    {"bailingmoe2", "bailing_hybrid", 0, {CONTR LING}},
    {"exaone-moe",
     "exaone_moe",
     0,
     {CONTR
      "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|"
      "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"kimi-k2",
     "kimi_k2",
     0,
     {"[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*"
      "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+" CONTR
      "?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+"
      "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*" CONTR
      "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"gpt-2", "gpt2", 0, {"#gpt2"}},
    {"olmo", "olmoe", 0, {"#gpt2"}},
    {"refact", "granitemoe", 0, {"#digits", "#gpt2"}},
    {"smollm", "llama", 0, {"#digits", "#gpt2"}},
    {"starcoder", "starcoder2", 0, {"#digits", "#gpt2"}},
};
#define N_PRE (sizeof pre_cases / sizeof *pre_cases)

/* A tokenizer.json with the steps. broken >= 0: that step is not quite what it should be. */
static json_t *pre_json(const struct pre_case *c, int broken, const char *behavior, bool invert)
{
    json_t *list = json_array();
    bool gpt2 = false;
    for (int i = 0; i < 6 && c->steps[i]; i++) {
        bool other = i == broken;
        if (!strcmp(c->steps[i], "#gpt2")) {
            gpt2 = !other;
        } else if (!strcmp(c->steps[i], "#digits")) {
            json_array_append_new(list,
                                  json_pack("{s:s,s:b}", "type", "Digits", "individual_digits", !other));
        } else {
            char *s = xasprintf("%s%s", c->steps[i], other ? "?" : "");
            json_array_append_new(list, json_pack("{s:s,s:{s:s},s:s,s:b}", "type", "Split", "pattern",
                                                  "Regex", s, "behavior", behavior, "invert", invert));
            free(s);
        }
    }
    json_array_append_new(
        list, json_pack("{s:s,s:b,s:b}", "type", "ByteLevel", "add_prefix_space", 0, "use_regex", gpt2));
    return json_pack("{s:n,s:{s:s,s:o},s:{s:s,s:b}}", "normalizer", "pre_tokenizer", "type", "Sequence",
                     "pretokenizers", list, "model", "type", "BPE", "ignore_merges", c->ignore_merges);
}

static void expect_pre(const struct pre_case *c, json_t *t, const char *want)
{
    struct err e = {0};
    const struct tok_pre *p = tok_pre_recognise(t, family_tokenizer(c->model_type), &e);
    if (want && (!p || strcmp(p->name, want) != 0))
        fail_msg("%s of %s: %s", want, c->model_type, p ? p->name : e.msg);
    if (!want && p)
        fail_msg("a broken %s of %s is taken for %s", c->want, c->model_type, p->name);
    if (!want) {
        assert_int_equal(e.code, ERR_INPUT);
        assert_true(strstr(e.msg, "none that the engine does") || strstr(e.msg, "none that is known here"));
    }
    json_decref(t);
}

static void test_pre(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PRE; i++) {
        const struct pre_case *c = &pre_cases[i];
        expect_pre(c, pre_json(c, -1, "Isolated", false), c->want);
        expect_pre(c, pre_json(c, -1, "Removed", true), c->want);
        assert_non_null(tok_pre_find(c->want));
        for (int k = 0; k < 6 && c->steps[k]; k++)
            expect_pre(c, pre_json(c, k, "Isolated", false), NULL);
        if (c->steps[0][0] != '#') {
            expect_pre(c, pre_json(c, -1, "Removed", false), NULL);
            expect_pre(c, pre_json(c, -1, "MergedWithPrevious", false), NULL);
        }
    }
    json_t *t = pre_json(&pre_cases[0], -1, "Isolated", false);
    json_object_set_new(t, "normalizer", json_pack("{s:s}", "type", "Lowercase"));
    expect_pre(&pre_cases[0], t, NULL);
    t = pre_json(&pre_cases[0], -1, "Isolated", false);
    json_object_set_new(t, "normalizer",
                        json_pack("{s:s,s:[{s:s}]}", "type", "Sequence", "normalizers", "type", "NFC"));
    expect_pre(&pre_cases[0], t, "llama-bpe");
    t = pre_json(&pre_cases[0], -1, "Isolated", false); /* no ByteLevel */
    json_array_remove(json_object_get(json_object_get(t, "pre_tokenizer"), "pretokenizers"), 1);
    expect_pre(&pre_cases[0], t, NULL);
    t = pre_json(&pre_cases[0], -1, "Isolated", false); /* with a step too many */
    json_array_insert_new(json_object_get(json_object_get(t, "pre_tokenizer"), "pretokenizers"), 1,
                          json_pack("{s:s}", "type", "WhitespaceSplit"));
    expect_pre(&pre_cases[0], t, NULL);
}

/* ---- small tokenizers ---- */

static const char config_json[] = "{\"model_type\":\"qwen3_moe\",\"vocab_size\":10}";

/* A byte-level tokenizer.json: vocabulary and merges as given, members added to the root. */
static void put_bpe_json(const char *vocab, const char *merges, const char *model, const char *more)
{
    char *s = xasprintf("{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
                        "\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?"
                        "\\\\p{L}+|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|"
                        "\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},"
                        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]},"
                        "\"model\":{\"type\":\"BPE\",\"vocab\":{%s},\"merges\":[%s]%s}%s}",
                        vocab, merges, model, more);
    put("tokenizer.json", s);
    free(s);
}

#define VOCAB  "\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"abc\":4"
#define MERGES "\"a b\",[\"ab\",\"c\"]"

static const char *str_at(const struct gg_file *f, const char *key, uint64_t i)
{
    static char s[256];
    const struct gg_key *k = gg_find(f, key);
    if (!k || k->elem != GG_STR || i >= k->n)
        fail_msg("no element %llu of '%s'", (unsigned long long)i, key);
    const uint8_t *p = k->value;
    for (;; i--) {
        uint64_t n = 0;
        for (int b = 7; b >= 0; b--)
            n = n << 8 | p[b];
        if (i == 0) {
            snprintf(s, sizeof s, "%.*s", (int)n, (const char *)p + 8);
            return s;
        }
        p += 8 + n;
    }
}

static uint64_t u64_at(const struct gg_file *f, const char *key, uint64_t i)
{
    uint64_t v = 0;
    if (!gg_key_u64_at(gg_find(f, key), i, &v))
        fail_msg("no number '%s'", key);
    return v;
}

static void ok(const char *config, struct result *r)
{
    struct err e = {0};
    if (!convert(tmp, config, &(struct tokenizer_opts){0}, r, &e))
        fail_msg("%s", e.msg);
}

static void refused(const char *config, const char *want)
{
    struct err e = {0};
    struct result r;
    if (convert(tmp, config, &(struct tokenizer_opts){0}, &r, &e))
        fail_msg("taken, expected: %s", want);
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, want))
        fail_msg("'%s', expected: %s", e.msg, want);
}

static void test_bpe_tokens(void **state)
{
    (void)state;
    struct result r;
    put_bpe_json(
        VOCAB ",\"Ġ\":5,\"x y\":6,\"x\":7,\" y\":8", "\"a b\",[\"ab\",\"c\"],[\"x\",\" y\"]", "",
        ",\"added_tokens\":[{\"id\":9,\"content\":\"<|end|>\",\"special\":false},"
        "{\"id\":10,\"content\":\"x▁\",\"special\":false},{\"id\":12,\"content\":\"<s>\",\"special\":true}]");
    put("tokenizer_config.json",
        "{\"added_tokens_decoder\":{\"12\":{\"content\":\"<s>\",\"special\":true},"
        "\"13\":{\"content\":\"late\",\"special\":false}},\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":\"<|end|>\"}");
    ok("{\"model_type\":\"nemotron_h\",\"vocab_size\":12,\"bos_token_id\":3,\"pad_token_id\":5,"
       "\"unk_token_id\":99,\"eos_token_id\":[1,2]}",
       &r);
    assert_int_equal(gg_find(&r.f, "tokenizer.ggml.tokens")->n, 16); /* a multiple of 8 */
    assert_string_equal(str_at(&r.f, "tokenizer.ggml.tokens", 4), "abc");
    assert_string_equal(str_at(&r.f, "tokenizer.ggml.tokens", 10), "x ");
    assert_string_equal(str_at(&r.f, "tokenizer.ggml.tokens", 11), "[PAD11]");
    assert_string_equal(str_at(&r.f, "tokenizer.ggml.tokens", 13), "late");
    static const int types[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 4, 5, 3, 4, 5, 5};
    for (uint64_t i = 0; i < 16; i++)
        assert_int_equal(u64_at(&r.f, "tokenizer.ggml.token_type", i), types[i]);
    assert_string_equal(str_at(&r.f, "tokenizer.ggml.merges", 1), "ab c");
    assert_string_equal(str_at(&r.f, "tokenizer.ggml.merges", 2), "x Ġy");
    assert_int_equal(u64_at(&r.f, "tokenizer.ggml.bos_token_id", 0), 12); /* its text comes first */
    assert_int_equal(u64_at(&r.f, "tokenizer.ggml.eos_token_id", 0), 9);
    assert_int_equal(u64_at(&r.f, "tokenizer.ggml.padding_token_id", 0), 5);
    assert_null(gg_find(&r.f, "tokenizer.ggml.unknown_token_id")); /* out of range */
    assert_null(gg_find(&r.f, "tokenizer.chat_template"));
    result_clear(&r);
}

static void test_bpe_refused(void **state)
{
    (void)state;
    static const struct {
        const char *vocab, *merges, *model, *more, *want;
    } rows[] = {
        {"\"a\":0,\"b\":0", MERGES, "", "", "two tokens with the id 0"},
        {"\"a\":-1", MERGES, "", "", "the id of token 'a' is out of range"},
        {"\"a\":\"x\"", MERGES, "", "", "the id of token 'a' is a string"},
        {"\"a\":10", MERGES, "", "", "has a token 10, but the model has only 10 tokens"},
        {VOCAB, "", "", "", "'merges' is empty"},
        {VOCAB, "\"ab\"", "", "", "merge 0 is not two parts"},
        {VOCAB, "\"a b c\"", "", "", "merge 0 is not two parts"},
        {VOCAB, "[\"a\",\"b\",\"c\"]", "", "", "merge 0 is not two parts"},
        {VOCAB, "7", "", "", "merge 0 is not two parts"},
        {VOCAB, "\"b a\"", "", "", "merge 0 makes 'ba'"},
        {VOCAB, MERGES, ",\"end_of_word_suffix\":\"</w>\"", "", "end_of_word_suffix"},
        {VOCAB, MERGES, "", ",\"added_tokens\":[{\"id\":4,\"content\":\"x\"}]",
         "token 4 is 'abc' and also the added token 'x'"},
        {VOCAB, MERGES, "", ",\"added_tokens\":[{\"id\":7,\"content\":\"abc\"}]",
         "'abc' has the ids 4 and 7"},
        {VOCAB, MERGES, "", ",\"added_tokens\":[{\"id\":10,\"content\":\"x\"}]", "has the id 10"},
        {VOCAB, MERGES, "", ",\"added_tokens\":[{\"id\":5}]", "an added token has missing as its content"},
        {VOCAB, MERGES, "", ",\"added_tokens\":[{\"id\":5,\"content\":\"[PAD6]\"}]",
         "the same text '[PAD6]'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_bpe_json(rows[i].vocab, rows[i].merges, rows[i].model, rows[i].more);
        refused(config_json, rows[i].want);
    }
    put_bpe_json(VOCAB, MERGES, "", "");
    refused("{\"vocab_size\":99999999}", "a vocabulary of 99999999 tokens");
    struct result r;
    ok("{}", &r); /* as many tokens as there are */
    assert_int_equal(gg_find(&r.f, "tokenizer.ggml.tokens")->n, 5);
    result_clear(&r);
}

static void take_away(const char *name)
{
    char *path = xasprintf("%s/%s", tmp, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void test_tiktoken_bad(void)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "tiktoken.model: no tokens"},
        {"\n\n", "tiktoken.model: no tokens"},
        {"x", "line 1: expected a token in base64, a space and its rank"},
        {"YQ== 0\nYg==\n", "line 2: expected a token"},
        {"YQ== 0\r\nYg== -1\r\n", "line 2: the rank is no number from 0 to 4194303"},
        {"YQ== 4194304", "line 1: the rank is no number"},
        {"YQ== 0 ", "line 1: the rank is no number"},
        {"Y!== 0", "line 1: no token in base64"},
        {"YQ= 0", "line 1: no token in base64"},
        {" 0", "line 1: no token in base64"},
        {"==== 0", "line 1: no token in base64"},
        {"YQ== 0\nYQ== 1", "line 2: the token was there before"},
        {"YQ== 0\nYg== 0", "line 2: the rank 0 was there before"},
        {"YQ== 0\nYg== 1\nYWI= 2\nYWJi 3", "the model has only 2 tokens"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put("tiktoken.model", rows[i].text);
        refused("{\"vocab_size\":2}", rows[i].want);
    }
    put("tiktoken.model", "YQ== 0\n");
    refused(config_json, "'merges' is empty");
    take_away("tiktoken.model");
}

static void test_form(void **state)
{
    (void)state;
    refused(config_json, "no tokenizer: expected tokenizer.json, tokenizer.model or tiktoken.model");
    put("qwen.tiktoken", "x");
    refused(config_json, "only qwen.tiktoken or tekken.json, which are not supported");
    take_away("qwen.tiktoken");
    test_tiktoken_bad();
    put("tokenizer.json", "{\"model\":{\"type\":\"WordPiece\"}}");
    refused(config_json, "model type 'WordPiece', expected BPE");
    put("tokenizer.json", "{\"model\":{\"type\":\"Unigram\"}}");
    refused(config_json, "model type 'Unigram', expected BPE");
    put("tokenizer.json", "{\"model\":{\"type\":\"BPE\"}}");
    refused(config_json, "neither byte-level nor has a byte fallback");
    put("tokenizer.json", "[]");
    refused(config_json, "holds a list, expected an object");
    put("tokenizer.json", "{");
    refused(config_json, "not valid JSON");
    put("tokenizer.json", "{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true},"
                          "\"normalizer\":{\"type\":\"NFKC\"}}");
    refused(config_json, "is not that of a SentencePiece model");
}

static void test_pretokenizer_option(void **state)
{
    (void)state;
    struct err e = {0};
    struct result r;
    const char *s;
    uint64_t n;
    put("tokenizer.json", "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true},\"model\":{"
                          "\"type\":\"BPE\",\"vocab\":{" VOCAB "},\"merges\":[" MERGES "]}}");
    refused(config_json,
            "known here: ByteLevel with add_prefix_space, without ByteLevel; if the engine has it "
            "under a name give --pretokenizer NAME");
    size_t before = n_warnings();
    assert_true(convert(tmp, config_json, &(struct tokenizer_opts){.pretokenizer = "gpt-2"}, &r, &e));
    assert_int_equal(n_warnings(), before + 1);
    assert_true(gg_key_str(gg_find(&r.f, "tokenizer.ggml.pre"), &s, &n) && n == 5 && !memcmp(s, "gpt-2", 5));
    result_clear(&r);
    assert_false(convert(tmp, config_json, &(struct tokenizer_opts){.pretokenizer = "gpt-3"}, &r, &e));
    assert_non_null(strstr(e.msg, "'gpt-3': the engine has no pre-tokenizer of this name"));
}

/* ignore_merges is warned of only where it changes a token: "abc" cannot be merged in the second case. */
static void test_ignore_merges(void **state)
{
    (void)state;
    struct result r;
    size_t before = n_warnings();
    put_bpe_json(VOCAB, MERGES, ",\"ignore_merges\":true", "");
    ok(config_json, &r);
    assert_int_equal(n_warnings(), before);
    result_clear(&r);
    put_bpe_json(VOCAB ",\"bc\":5", "\"b c\",\"a b\",\"ab c\"", ",\"ignore_merges\":true", "");
    ok(config_json, &r);
    char **list;
    assert_int_equal(log_warnings(&list), before + 1);
    assert_non_null(strstr(list[before], "1 tokens (the first is 4, 'abc')"));
    result_clear(&r);
}

static bool key_bool(const struct gg_key *k, bool *v)
{
    if (!k || k->kind != GG_BOOL)
        return false;
    *v = k->value[0] != 0;
    return true;
}

/* Without a word on it the engine would put BOS first for this pre-tokenizer; tokenizer.json does not. */
static void test_add_bos(void **state)
{
    (void)state;
    struct result r;
    bool v;
    struct err e = {0};
    put_bpe_json(VOCAB, MERGES, "", "");
    put("tokenizer_config.json", "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"}");
    assert_true(convert(tmp, config_json, &(struct tokenizer_opts){.pretokenizer = "llama-bpe"}, &r, &e));
    assert_true(key_bool(gg_find(&r.f, "tokenizer.ggml.add_bos_token"), &v) && !v);
    result_clear(&r);
    put("tokenizer_config.json", "{\"tokenizer_class\":\"LlamaTokenizer\"}");
    assert_true(convert(tmp, config_json, &(struct tokenizer_opts){.pretokenizer = "llama-bpe"}, &r, &e));
    assert_null(gg_find(&r.f, "tokenizer.ggml.add_bos_token"));
    result_clear(&r);
}

/* Python's json writes numbers that JSON, or jansson, does not have. */
static void test_numbers(void **state)
{
    (void)state;
    struct result r;
    bool v;
    put_bpe_json(VOCAB, MERGES, "", "");
    put("tokenizer_config.json",
        "{\"model_max_length\":1000000000000000019884624838656,\"a\":-1000000000000000019884624838656,"
        "\"b\":[NaN,-Infinity,Infinity,1e5,-0.5,123456789012345678,9223372036854775808],\"c\":null,"
        "\"d\":\"\\\"1000000000000000019884624838656\",\"add_bos_token\":true,"
        "\"chat_template\":\"1000000000000000019884624838656\"}");
    ok(config_json, &r);
    assert_true(key_bool(gg_find(&r.f, "tokenizer.ggml.add_bos_token"), &v) && v);
    const char *s;
    uint64_t n;
    assert_true(gg_key_str(gg_find(&r.f, "tokenizer.chat_template"), &s, &n) && n == 31 && s[0] == '1');
    result_clear(&r);
    put("tokenizer_config.json", "{\"a\":00000000000000000000001}");
    refused(config_json, "not valid JSON");
    put("tokenizer_config.json", "{\"a\":Infinit}");
    refused(config_json, "not valid JSON");
}

/* A template that ends a text with another token than the EOS of tokenizer_config.json. */
/* Kimi-Linear has Kimi-K2's file; its code takes the EOS that tokenizer_config.json names (conversion/kimi_linear.py). */
static void test_eos_by_name(void **state)
{
    static const struct {
        const char *model_type;
        uint64_t eos;
    } rows[] = {{"kimi_k2", 597}, {"kimi_linear", 598}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct err e = {0};
        struct result r;
        char *config = xasprintf("{\"model_type\":\"%s\",\"vocab_size\":%u,\"eos_token_id\":597}",
                                 rows[i].model_type, 1000);
        golden_ok(convert(TEST_DATA_DIR "/tokenizers/kimi_k2", config, &(struct tokenizer_opts){0}, &r, &e),
                  &e, rows[i].model_type);
        assert_int_equal(u64_at(&r.f, "tokenizer.ggml.eos_token_id", 0), rows[i].eos);
        result_clear(&r);
        free(config);
    }
}

/* Laguna's end of a turn is marked by nobody; said as text it would go on (conversion/laguna.py). */
static void test_end_of_turn_is_control(void **state)
{
    static const char *const types[] = {"qwen3_moe", "laguna"};
    (void)state;
    put_bpe_json(VOCAB, MERGES, "",
                 ",\"added_tokens\":[{\"id\":5,\"content\":\"</assistant>\",\"special\":false}]");
    for (size_t i = 0; i < 2; i++) {
        struct result r;
        char *config =
            xasprintf("{\"model_type\":\"%s\",\"vocab_size\":10,\"eos_token_id\":[2, 5]}", types[i]);
        ok(config, &r);
        assert_int_equal(u64_at(&r.f, "tokenizer.ggml.token_type", 5), i ? TOK_CONTROL : TOK_USER_DEFINED);
        if (i)
            assert_int_equal(u64_at(&r.f, "tokenizer.ggml.eot_token_id", 0), 5);
        result_clear(&r);
        free(config);
    }
}

/* The ends of Solar's texts and turns are one token, if no file says otherwise (conversion/glm.py). */
static void test_end_that_no_file_names(void **state)
{
    static const struct {
        const char *model_type, *more;
        uint64_t eos; /* 0: none */
    } rows[] = {{"solar_open", "", 5}, {"solar_open", ",\"eos_token_id\":6", 6}, {"qwen3_moe", "", 0}};
    (void)state;
    put_bpe_json(VOCAB, MERGES, "",
                 ",\"added_tokens\":[{\"id\":5,\"content\":\"<|endoftext|>\",\"special\":true},"
                 "{\"id\":6,\"content\":\"<|flush|>\",\"special\":true}]");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct result r;
        char *config =
            xasprintf("{\"model_type\":\"%s\",\"vocab_size\":10%s}", rows[i].model_type, rows[i].more);
        ok(config, &r);
        if (rows[i].eos)
            assert_int_equal(u64_at(&r.f, "tokenizer.ggml.eos_token_id", 0), rows[i].eos);
        else
            assert_null(gg_find(&r.f, "tokenizer.ggml.eos_token_id"));
        result_clear(&r);
        free(config);
    }
}

static void has_list(const struct gg_file *f, const char *key, const char *sha256)
{
    const struct gg_key *k = gg_find(f, key);
    char hex[65];
    assert_non_null(k);
    sha256_bytes(k->value, (size_t)(k->raw + k->raw_bytes - k->value), hex);
    if (strcmp(hex, sha256) != 0)
        fail_msg("'%s' has other bytes than the converter's", key);
}

/* Pieces that tokenizer_config.json makes other tokens. The hashes are of what the converter's own code for Arctic makes of these
 * files (conversion/arctic.py of llama.cpp v0.5.0, ArcticModel.set_vocab). */
static void test_pieces_that_are_redefined(void **state)
{
    struct err e = {0};
    struct buf model = {0};
    struct result r;
    (void)state;
    golden_ok(file_read_all(TEST_DATA_DIR "/families/mixtral/hf/tokenizer.model", 1u << 22, &model, &e), &e,
              "tokenizer.model");
    put_bytes("tokenizer.model", model.s, model.n);
    put("added_tokens.json", "{\"<|early|>\": 304}");
    put("tokenizer_config.json",
        "{\"bos_token\":\"<|im_start|>\",\"eos_token\":\"<|im_end|>\",\"unk_token\":\"<unk>\",\"added_tokens_decoder\":{"
        "\"0\":{\"content\":\"<unk>\",\"special\":true},\"1\":{\"content\":\"<s>\",\"special\":true},"
        "\"2\":{\"content\":\"</s>\",\"special\":true},\"300\":{\"content\":\"<|im_start|>\",\"special\":true},"
        "\"301\":{\"content\":\"<|im_end|>\",\"special\":true},\"302\":{\"content\":\"<|plain|>\",\"special\":false},"
        "\"303\":{\"content\":\"a▁b\",\"special\":false}}}");
    ok("{\"model_type\":\"arctic\",\"vocab_size\":620,\"bos_token_id\":300,\"eos_token_id\":301}", &r);
    has_list(&r.f, "tokenizer.ggml.tokens",
             "d5a222b3e4ec3666926673e03eb3e1d845df531613baa38802ea2846f0af8ff3");
    has_list(&r.f, "tokenizer.ggml.scores",
             "beb12a4d516254ea36859288669a6b784136a22efc9ce2471e39283873541be1");
    has_list(&r.f, "tokenizer.ggml.token_type",
             "cb61575b09b880cafd5ebb9f92ed00a202f574e6ac53138650c2df3748aa9de8");
    assert_int_equal(u64_at(&r.f, "tokenizer.ggml.bos_token_id", 0), 300);
    assert_int_equal(u64_at(&r.f, "tokenizer.ggml.eos_token_id", 0), 301);
    result_clear(&r);
    buf_clear(&model);
}

static void test_template_processing(void **state)
{
    (void)state;
    struct result r;
    bool v;
    put_bpe_json(
        VOCAB, MERGES, "",
        ",\"added_tokens\":[{\"id\":5,\"content\":\"<s>\",\"special\":true},{\"id\":6,\"content\":\"</s>\","
        "\"special\":true},{\"id\":7,\"content\":\"<turn>\",\"special\":true}],\"post_processor\":{\"type\":"
        "\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}},"
        "{\"SpecialToken\":{\"id\":\"</s>\"}}],\"pair\":[]}");
    put("tokenizer_config.json", "{\"eos_token\":\"<turn>\"}");
    ok(config_json, &r);
    assert_int_equal(u64_at(&r.f, "tokenizer.ggml.bos_token_id", 0), 5);
    assert_int_equal(u64_at(&r.f, "tokenizer.ggml.eos_token_id", 0), 6);
    assert_int_equal(u64_at(&r.f, "tokenizer.ggml.eot_token_id", 0), 7);
    assert_true(key_bool(gg_find(&r.f, "tokenizer.ggml.add_bos_token"), &v) && v);
    assert_true(key_bool(gg_find(&r.f, "tokenizer.ggml.add_eos_token"), &v) && v);
    assert_null(gg_find(&r.f, "tokenizer.ggml.add_sep_token"));
    result_clear(&r);
}

/* Tokens, types and keys as in llama.cpp's models/ggml-vocab-gemma-4.gguf, of which these are some. */
static void test_gemma4(void **state)
{
    (void)state;
    static const char json[] =
        "{\"added_tokens\":[{\"id\":0,\"content\":\"<pad>\",\"special\":true},{\"id\":1,\"content\":\"<bos>\","
        "\"special\":true},{\"id\":2,\"content\":\"<unused0>\",\"special\":false},{\"id\":3,\"content\":"
        "\"<|turn>\",\"special\":true},{\"id\":4,\"content\":\"<|channel>\",\"special\":true}],"
        "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"▁\"},"
        "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"MergedWithPrevious\","
        "\"invert\":false},\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"<pad>\":0,\"<bos>\":1,"
        "\"<unused0>\":2,\"<|turn>\":3,\"<|channel>\":4,\"<0x00>\":5,\"\\n\":6,\"\\n\\n\":7},"
        "\"merges\":[[\"\\n\",\"\\n\"]]}}";
    static const char config[] = "{\"model_type\":\"gemma4\",\"text_config\":{\"vocab_size\":8}}";
    static const int types[8] = {3, 3, 1, 3, 4, 6, 1, 1};
    struct result r;
    const char *s;
    uint64_t n;
    bool v;
    put("tokenizer.json", json);
    put("tokenizer_config.json", "{\"bos_token\":\"<bos>\",\"pad_token\":\"<pad>\",\"sot_token\":\"<|turn>\","
                                 "\"extra_special_tokens\":[\"<|channel>\"],\"chat_template\":\"t\"}");
    ok(config, &r);
    assert_true(gg_key_str(gg_find(&r.f, "tokenizer.ggml.model"), &s, &n) && n == 6 &&
                !memcmp(s, "gemma4", 6));
    assert_null(gg_find(&r.f, "tokenizer.ggml.pre"));
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(u64_at(&r.f, "tokenizer.ggml.token_type", i), types[i]);
    float score[8];
    memcpy(score, gg_find(&r.f, "tokenizer.ggml.scores")->value, sizeof score);
    assert_true(score[0] == -1000 && score[7] == -1000);
    assert_string_equal(str_at(&r.f, "tokenizer.ggml.merges", 0), "\n \n");
    assert_int_equal(u64_at(&r.f, "tokenizer.ggml.bos_token_id", 0), 1);
    const struct gg_part *p = &r.f.parts[0];
    assert_string_equal(p->keys[p->n_keys - 3].name, "tokenizer.chat_template");
    assert_string_equal(p->keys[p->n_keys - 2].name, "tokenizer.ggml.add_space_prefix");
    assert_true(key_bool(&p->keys[p->n_keys - 2], &v) && !v);
    assert_string_equal(p->keys[p->n_keys - 1].name, "tokenizer.ggml.add_bos_token");
    assert_true(key_bool(&p->keys[p->n_keys - 1], &v) && v);
    result_clear(&r);
    refused("{\"model_type\":\"other\",\"vocab_size\":8}", "is not that of a SentencePiece model");
}

/* ---- chat templates ---- */

static void expect_template(const char *config, const char *key, const char *want, uint64_t n_keys)
{
    struct err e = {0};
    json_t *c = json_parse(config, strlen(config), &e);
    struct buf b = {0};
    uint64_t n = 0, len;
    struct gg_file f;
    const char *s;
    assert_non_null(c);
    struct buf keys = {0};
    if (!chat_template_put_keys(tmp, c, &keys, &n, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(n, n_keys);
    gg_put_start(&b, 3, 0, n);
    buf_add(&b, keys.s ? keys.s : "", keys.n);
    gg_pad(&b, 32);
    assert_true(gg_parse((const uint8_t *)b.s, b.n, b.n, &f, &e));
    if (want) {
        assert_true(gg_key_str(gg_find(&f, key), &s, &len));
        if (len != strlen(want) || memcmp(s, want, len) != 0)
            fail_msg("%s: '%.*s', expected '%s'", key, (int)len, s, want);
    }
    if (n_keys > 2)
        assert_int_equal(gg_find(&f, "tokenizer.chat_templates")->n, n_keys - 2);
    gg_clear(&f);
    buf_clear(&b);
    buf_clear(&keys);
    json_decref(c);
}

static void test_chat_template(void **state)
{
    static const char main_key[] = "tokenizer.chat_template";
    (void)state;
    expect_template("{}", main_key, NULL, 0);
    expect_template("{\"chat_template\":\"x\"}", main_key, "x", 1);
    expect_template(
        "{\"chat_template\":[{\"name\":\"default\",\"template\":\"d\"},{\"name\":\"tool use\","
        "\"template\":\"t\"},{\"name\":\"r\",\"template\":\"u\"},{\"name\":\"\",\"template\":\"v\"}]}",
        "tokenizer.chat_template.tool_use", "t", 4);
    put("chat_template.json", "{\"chat_template\":\"of json\"}");
    expect_template("{}", main_key, "of json", 1);
    put("chat_template.jinja", "a\r\nb\rc\n");
    expect_template("{}", main_key, "a\nb\nc\n", 1);
    expect_template("{\"chat_template\":null}", main_key, "a\nb\nc\n", 1);
    /* transformers takes the file, whatever the config says */
    expect_template("{\"chat_template\":\"x\"}", main_key, "a\nb\nc\n", 1);
    put("additional_chat_templates/rag.jinja", "r");
    put("additional_chat_templates/tool-use.jinja", "t");
    put("additional_chat_templates/readme.txt", "no");
    expect_template("{}", "tokenizer.chat_template.tool_use", "t", 4);
    expect_template("{}", main_key, "a\nb\nc\n", 4);
    struct err e = {0};
    struct buf b = {0};
    uint64_t n = 0;
    put_bytes("chat_template.jinja", "\xff", 1);
    json_t *c = json_object();
    assert_false(chat_template_put_keys(tmp, c, &b, &n, &e));
    assert_non_null(strstr(e.msg, "chat_template.jinja: not UTF-8 text"));
    json_decref(c);
    buf_clear(&b);
}

/* 101 templates are not 100 of them, whichever these are. */
static void test_many_templates(void **state)
{
    (void)state;
    struct err e = {0};
    struct buf b = {0};
    uint64_t n = 0;
    json_t *c = json_object();
    put("chat_template.jinja", "a");
    for (int i = 1; i <= 101; i++) {
        char name[64];
        snprintf(name, sizeof name, "additional_chat_templates/t%03d.jinja", i);
        put(name, "t");
        bool ok = i < 100 || chat_template_put_keys(tmp, c, &b, &n, &e);
        assert_true(ok == (i <= 100));
        assert_int_equal(n, i < 100 ? 0 : 102); /* with the default and the list of names */
    }
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.msg, "additional_chat_templates: more than 100 chat templates"));
    json_decref(c);
    buf_clear(&b);
}

/* ---- SentencePiece ---- */

static void test_spm_parse(void **state)
{
    (void)state;
    struct err e = {0};
    struct spm m;
    /* pieces "a" (score 1.5) and <0x41> (a byte); BPE, BOS 7; no prefix; then fields of other numbers */
    static const char good[] = "\x0a\x08\x0a\x01"
                               "a\x15\x00\x00\xc0\x3f"
                               "\x0a\x0a\x0a\x06<0x41>\x18\x06"
                               "\x12\x05\x18\x02\xc8\x02\x07"
                               "\x1a\x02\x18\x00"
                               "\x22\x00\x29zzzzzzzz\x35xxxx";
    assert_true(spm_parse((const uint8_t *)good, sizeof good - 1, &m, &e));
    assert_int_equal(m.n, 2);
    assert_string_equal(m.pieces[0].text, "a");
    assert_true(m.pieces[0].score == 1.5f);
    assert_int_equal(m.pieces[0].type, TOK_NORMAL);
    assert_int_equal(m.pieces[1].type, TOK_BYTE);
    assert_int_equal(m.model_type, SPM_BPE);
    assert_int_equal(m.bos_id, 7);
    assert_int_equal(m.eos_id, 2);
    assert_false(m.dummy_prefix);
    spm_clear(&m);
    /* cut anywhere but between two fields it is refused */
    for (size_t n = 0; n < sizeof good - 1; n++) {
        bool between = n == 10 || n == 22 || n == 29 || n == 33 || n == 35 || n == 44;
        if (spm_parse((const uint8_t *)good, n, &m, &e) != between)
            fail_msg("cut at %zu: %s", n, e.msg);
        spm_clear(&m);
        err_clear(&e);
    }
}

static void test_spm_refused(void **state)
{
    (void)state;
#define ROW(bytes, want)              \
    {                                 \
        bytes, sizeof bytes - 1, want \
    }
    static const struct {
        const char *bytes;
        size_t n;
        const char *want;
    } rows[] = {
        ROW("", "no pieces"),
        ROW("\x22\x00", "no pieces"),
        ROW("\x00\x00", "no such field number"),
        ROW("\x0b", "no such kind of field"),
        ROW("\x0a\x05\x0a\x01", "longer than what is left"),
        ROW("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", "longer than what is left"),
        ROW("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x00", "more than 64 bits"),
        ROW("\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "more than 64 bits"),
        ROW("\x08\x01", "another kind"),
        ROW("\x0a\x00", "a piece without text"),
        ROW("\x0a\x02\x0a\x00", "is empty, has a NUL"),
        ROW("\x0a\x03\x0a\x01\x00", "is empty, has a NUL"),
        ROW("\x0a\x03\x0a\x01\xff", "is not UTF-8"),
        ROW("\x0a\x02\x08\x01", "another kind"),
        ROW("\x0a\x05\x0a\x01"
            "a\x10\x01",
            "another kind"),
        ROW("\x0a\x08\x0a\x01"
            "a\x15\x00\x00\x80\x7f",
            "a score is not finite"),
        ROW("\x0a\x05\x0a\x01"
            "a\x18\x00",
            "a piece of no known type"),
        ROW("\x0a\x05\x0a\x01"
            "a\x18\x07",
            "a piece of no known type"),
        ROW("\x12\x02\x1a\x00", "another kind"),
        ROW("\x1a\x02\x1a\x00", "another kind"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = {0};
        struct spm m;
        if (spm_parse((const uint8_t *)rows[i].bytes, rows[i].n, &m, &e))
            fail_msg("row %zu is taken, expected: %s", i, rows[i].want);
        if (e.code != ERR_INPUT || !strstr(e.msg, rows[i].want))
            fail_msg("row %zu: '%s', expected: %s", i, e.msg, rows[i].want);
        spm_clear(&m);
    }
}

static void test_spm_tokens(void **state)
{
    (void)state;
    /* <unk> (unknown), ab (user-defined), and 9 as BOS, 0 as unk, no EOS; a prefix */
    static const char model[] =
        "\x0a\x09\x0a\x05<unk>\x18\x02"
        "\x0a\x06\x0a\x02"
        "ab\x18\x04"
        "\x12\x11\x18\x02\xc8\x02\x09\xd0\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    struct result r;
    bool v;
    put_bytes("tokenizer.model", model, sizeof model - 1);
    put("added_tokens.json", "{\"<x>\": 2, \"<far>\": 99}");
    put("tokenizer_config.json",
        "{\"add_prefix_space\":true,\"added_tokens_decoder\":{\"3\":{\"content\":\"<s>\","
        "\"special\":true},\"4\":{\"content\":\"▁y\"}}}");
    ok("{\"model_type\":\"mixtral\",\"vocab_size\":10}", &r);
    static const int types[10] = {2, 1, 4, 3, 4, 5, 5, 5, 5, 5};
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(u64_at(&r.f, "tokenizer.ggml.token_type", i), types[i]);
    assert_string_equal(str_at(&r.f, "tokenizer.ggml.tokens", 2), "<x>");
    assert_string_equal(str_at(&r.f, "tokenizer.ggml.tokens", 4), " y");
    assert_string_equal(str_at(&r.f, "tokenizer.ggml.tokens", 9), "[PAD9]");
    float score[10];
    memcpy(score, gg_find(&r.f, "tokenizer.ggml.scores")->value, sizeof score);
    assert_true(score[0] == 0 && score[2] == -1000 && score[4] == -1000 && score[9] == -10000);
    assert_int_equal(u64_at(&r.f, "tokenizer.ggml.bos_token_id", 0), 9);
    assert_null(gg_find(&r.f, "tokenizer.ggml.eos_token_id"));
    assert_string_equal(r.f.parts[0].keys[0].name, "tokenizer.ggml.add_space_prefix");
    assert_true(key_bool(&r.f.parts[0].keys[0], &v) && v);
    result_clear(&r);

    static const char unigram[] = "\x0a\x09\x0a\x05<unk>\x18\x02";
    put_bytes("tokenizer.model", unigram, sizeof unigram - 1);
    refused("{\"vocab_size\":10}", "model type Unigram, expected BPE");
    static const char bare[] = "\x0a\x09\x0a\x05<unk>\x18\x02\x12\x02\x18\x02\x1a\x02\x18\x00";
    put_bytes("tokenizer.model", bare, sizeof bare - 1);
    put("tokenizer_config.json", "{}");
    ok("{\"vocab_size\":10}", &r);
    assert_true(key_bool(gg_find(&r.f, "tokenizer.ggml.add_space_prefix"), &v) && !v);
    result_clear(&r);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, tempdir_setup, tempdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiktoken),
        cmocka_unit_test(test_eos_by_name),
        IN_FOLDER(test_end_of_turn_is_control),
        IN_FOLDER(test_end_that_no_file_names),
        IN_FOLDER(test_pieces_that_are_redefined),
        cmocka_unit_test(test_pre),
        IN_FOLDER(test_spm_from_json),
        IN_FOLDER(test_bpe_tokens),
        IN_FOLDER(test_bpe_refused),
        IN_FOLDER(test_form),
        IN_FOLDER(test_pretokenizer_option),
        IN_FOLDER(test_ignore_merges),
        IN_FOLDER(test_add_bos),
        IN_FOLDER(test_numbers),
        IN_FOLDER(test_gemma4),
        IN_FOLDER(test_template_processing),
        IN_FOLDER(test_chat_template),
        IN_FOLDER(test_many_templates),
        cmocka_unit_test(test_spm_parse),
        cmocka_unit_test(test_spm_refused),
        IN_FOLDER(test_spm_tokens),
    };
    int failed = family_run("tokenizers of the families", test_family);
    return failed + cmocka_run_group_tests_name("tokenizers", tests, NULL, NULL);
}
