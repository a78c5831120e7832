/* test_tokenize.c - any text into token ids: the same as libllama's own for the whole text, where libllama has
 * stack and time enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/tokenize.h"
#include "golden.h"

#include <llama.h>
#include <pthread.h>
#include <string.h>

/* One name of each set of patterns that the engine has. */
static const char *const pres[] = {"default",    "llama-bpe",    "jais-2",
                                   "dbrx",       "deepseek-llm", "deepseek-v3",
                                   "spark2_5",   "youtu",        "deepseek-coder",
                                   "falcon",     "starcoder",    "gpt-2",
                                   "qwen2",      "qwen35",       "poro-chat",
                                   "glm4",       "viking",       "tekken",
                                   "chameleon",  "gpt-4o",       "granite-embed-multi-97m",
                                   "tiny_aya",   "kimi-k2",      "superbpe",
                                   "bailingmoe", "seed-coder",   "ufakzeka",
                                   "grok-2",     "afmoe",        "laguna",
                                   "exaone-moe", "minicpm5"};

#define N_PRES (sizeof pres / sizeof *pres)

/* What patterns tell apart. */
static const char *const units[] = {
    "a",
    "B",
    " the",
    "'s",
    "'LL",
    "-",
    "=",
    "(",
    "/",
    ",",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "7",
    "42",
    "\xc3\xa9",                 /* e acute */
    "\xc3\x89",                 /* and its capital */
    "\xd1\x84",                 /* Cyrillic ef */
    "\xe4\xb8\xad",             /* Han */
    "\xe3\x81\x82",             /* Hiragana */
    "\xea\xb0\x80",             /* Hangul */
    "\xf0\x9f\x8e\x89",         /* emoji */
    "\xcc\x81",                 /* combining acute */
    "\xe0\xa4\xa8\xe0\xa5\x8d", /* Devanagari na and virama */
    "\xd9\xa3",                 /* Arabic-Indic three */
    "\xc2\xa0",                 /* no-break space */
    "\xe3\x80\x80",             /* ideographic space */
    "\xe2\x80\x94",             /* dash */
    "\x01",
    "<|end|>",
};
#define N_UNITS (sizeof units / sizeof *units)

static struct llama_model *model;

static void quiet(enum ggml_log_level level, const char *text, void *ud)
{
    (void)level, (void)text, (void)ud;
}

static struct tokenizer open_pre(const char *pre)
{
    struct llama_model_kv_override over[2] = {
        {.tag = LLAMA_KV_OVERRIDE_TYPE_STR, .key = "tokenizer.ggml.pre"}};
    struct llama_model_params p = llama_model_default_params();
    snprintf(over[0].val_str, sizeof over[0].val_str, "%s", pre);
    p.kv_overrides = over;
    p.vocab_only = true;
    llama_log_set(quiet, NULL);
    model = llama_model_load_from_file(TEST_DATA_DIR "/families/gpt_oss/model.gguf", p);
    assert_non_null(model);
    struct tokenizer t;
    tokenize_init(&t, model);
    assert_true(t.words);
    assert_string_equal(t.pre, "gpt-4o"); /* what the file says */
    snprintf(t.pre, sizeof t.pre, "%s", pre);
    return t;
}

struct ids {
    const struct tokenizer *t;
    const struct buf *text;
    int32_t *id;
    int32_t n;
    bool add;
};

static void *libllama(void *ud)
{
    struct ids *x = ud;
    int32_t cap = (int32_t)x->text->n + 64;
    x->id = xcalloc((size_t)cap, sizeof *x->id);
    x->n = llama_tokenize(x->t->vocab, x->text->s, (int32_t)x->text->n, x->id, cap, x->add, true);
    return NULL;
}

/* On a stack that is large enough for anything here. */
static struct ids reference(const struct tokenizer *t, const struct buf *text, bool add)
{
    struct ids x = {.t = t, .text = text, .add = add};
    pthread_attr_t a;
    pthread_t id;
    pthread_attr_init(&a);
    assert_int_equal(pthread_attr_setstacksize(&a, 256u << 20), 0);
    assert_int_equal(pthread_create(&id, &a, libllama, &x), 0);
    pthread_attr_destroy(&a);
    pthread_join(id, NULL);
    assert_true(x.n >= 0);
    return x;
}

static void same(const struct tokenizer *t, const struct buf *text, bool add, const char *what)
{
    struct ids want = reference(t, text, add);
    struct err e = {0};
    int32_t *id;
    uint32_t n;
    golden_ok(tokenize_text(t, text->s, text->n, add, true, &id, &n, &e), &e, what);
    if ((int32_t)n != want.n || memcmp(id, want.id, n * sizeof *id) != 0)
        fail_msg("%s, %s: %u ids of %zu bytes differ from libllama's %d", t->pre, what, n, text->n, want.n);
    free(id);
    free(want.id);
}

static void add_run(struct buf *b, const char *unit, uint32_t n)
{
    while (n--)
        buf_str(b, unit);
}

/* Texts of runs up to 1,500, and one of a run that needs more than 8 MiB of stack. */
static void test_same_ids(void **state)
{
    (void)state;
    struct rng seed = {1};
    for (size_t i = 0; i < N_PRES; i++) {
        struct tokenizer t = open_pre(pres[i]);
        for (int round = 0; round < 2; round++) {
            struct buf b = {0};
            while (b.n < 8000) {
                uint64_t r = rng_next(&seed);
                uint64_t most = (r >> 8) % 4 ? 1 : (r >> 10) % 4 ? 20 : 1500;
                add_run(&b, units[(r >> 32) % N_UNITS], (uint32_t)((r >> 12) % most) + 1);
            }
            same(&t, &b, round, "random text");
            buf_clear(&b);
        }
        struct buf b = {0};
        const char *unit = units[i % N_UNITS];
        buf_str(&b, "Report\n");
        add_run(&b, unit, unit[0] == '<' ? 1000 : 30000); /* special tokens take quadratic time */
        buf_str(&b, "\nend\n");
        same(&t, &b, true, "a run of 30,000");
        buf_clear(&b);
        llama_model_free(model);
        tokenize_clear(&t);
    }
}

/* So many special tokens that the text is cut between them; beside them all that could be mistaken for one. */
static void test_specials(void **state)
{
    (void)state;
    static const char *const parts[] = {"<|end|>", "<|start|>", "<|", "|>",         "end",
                                        "<|end",   "\n",        " x", "<|message|>"};
    struct rng seed = {7};
    struct tokenizer t = open_pre("gpt-4o");
    for (int round = 0; round < 2; round++) {
        struct buf b = {0};
        while (b.n < 25000)
            buf_str(&b, parts[rng_below(&seed, round ? 9 : 2)]);
        same(&t, &b, true, "special tokens");
        buf_clear(&b);
    }
    llama_model_free(model);
    tokenize_clear(&t);
}

/* A vocabulary of SentencePiece: texts are cut where no token goes over, and a blank comes before each piece. */
static void test_sentencepiece(void **state)
{
    (void)state;
    struct llama_model_params p = llama_model_default_params();
    struct rng seed = {3};
    struct tokenizer t;
    p.vocab_only = true;
    model = llama_model_load_from_file(TEST_DATA_DIR "/families/mixtral/model.gguf", p);
    assert_non_null(model);
    tokenize_init(&t, model);
    assert_false(t.words);
    for (int round = 0; round < 8; round++) {
        struct buf b = {0};
        while (b.n < 40000)
            buf_str(&b, round == 6 && rng_below(&seed, 50) == 0 ? "\xe4"
                        : round % 4 == 3                        ? "\xf0\x9f\x8e\x89"
                        : rng_below(&seed, 9)                   ? units[rng_below(&seed, N_UNITS)]
                                                                : "<s>");
        same(&t, &b, round & 1, "SentencePiece");
        buf_clear(&b);
    }
    llama_model_free(model);
    tokenize_clear(&t);
}

static void refused(const struct tokenizer *t, const char *text, const char *words)
{
    struct err e = {0};
    int32_t *id;
    uint32_t n;
    assert_false(tokenize_text(t, text, strlen(text), false, true, &id, &n, &e));
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, words))
        fail_msg("'%s': %s, expected '%s'", text, e.msg, words);
}

/* libllama throws at what a vocabulary has no token for: here, anything but four words. */
static void test_no_bytes(void **state)
{
    (void)state;
    struct llama_model_params p = llama_model_default_params();
    struct tokenizer t;
    p.vocab_only = true;
    llama_log_set(quiet, NULL);
    model = llama_model_load_from_file(TEST_DATA_DIR "/fuzz/ggml/n_no-bytes.gguf", p);
    assert_non_null(model);
    tokenize_init(&t, model);
    refused(&t, "H", "no token for 'H', and none for its byte 0x48");
    refused(&t, "a \xc3\xb6", "no token for 'a', and none for its byte 0x61");
    llama_model_free(model);
    tokenize_clear(&t);
}

static void long_run(const struct tokenizer *t, const char *unit, const char *tail)
{
    struct buf b = {0};
    struct err e = {0};
    int32_t *id;
    uint32_t n;
    buf_str(&b, "x\n");
    add_run(&b, unit, 200000 / (uint32_t)strlen(unit));
    buf_str(&b, tail);
    golden_ok(tokenize_text(t, b.s, b.n, false, true, &id, &n, &e), &e, unit);
    assert_true(n > 1000);
    free(id);
    buf_clear(&b);
}

/* Those that took an hour, and the one that needs the most stack. */
static void test_long_run(void **state)
{
    (void)state;
    static const struct {
        const char *pre, *unit, *tail;
    } cases[] = {
        {"superbpe", "7", "b"}, {"jais-2", " ", "5"}, {"deepseek-llm", " ", "5"}, {"exaone-moe", "a ", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokenizer t = open_pre(cases[i].pre);
        long_run(&t, cases[i].unit, cases[i].tail);
        llama_model_free(model);
        tokenize_clear(&t);
    }
}

/* ---- where a text is cut ---- */

static struct tokenize_cuts cuts_of(const char *pre, const struct buf *b)
{
    struct tokenize_cuts c;
    tokenize_find_cuts(&c, pre, b->s, b->n);
    for (uint32_t i = 0; i < c.n; i++)
        assert_true(c.cut[i] > (i ? c.cut[i - 1] : 0) && c.cut[i] < b->n);
    return c;
}

static void test_stretches(void **state)
{
    (void)state;
    struct buf b = {0};
    /* lines are stretches, with the blanks that follow them */
    buf_str(&b, "aaaa\n  bb\n");
    struct tokenize_cuts c = cuts_of("gpt-4o", &b);
    assert_int_equal(c.n, 0);
    assert_int_equal(c.longest, 7);
    c = cuts_of(NULL, &b);
    assert_int_equal(c.longest, 0);
    /* one that is too long: between characters, */
    buf_clear(&b);
    add_run(&b, "\xe4\xb8\xad", TOKENIZE_STRETCH);
    c = cuts_of("gpt-2", &b);
    assert_int_equal(c.n, 3);
    assert_int_equal(c.cut[0], TOKENIZE_STRETCH / 3 * 3);
    assert_true(c.longest <= TOKENIZE_STRETCH);
    free(c.cut);
    /* or before the last word */
    buf_clear(&b);
    add_run(&b, "word ", TOKENIZE_STRETCH / 5 + 10);
    c = cuts_of("gpt-2", &b);
    assert_int_equal(c.n, 1);
    assert_memory_equal(b.s + c.cut[0], " word", 5);
    assert_true(c.cut[0] > TOKENIZE_STRETCH - 10);
    free(c.cut);
    buf_clear(&b);
}

static void test_runs(void **state)
{
    (void)state;
    struct buf b = {0};
    /* groups of three are counted from the end of the digits */
    buf_str(&b, "n ");
    add_run(&b, "7", TOKENIZE_DIGITS + 4);
    buf_str(&b, "x");
    struct tokenize_cuts c = cuts_of("superbpe", &b);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.cut[0], 2 + 4);
    free(c.cut);
    assert_int_equal(cuts_of("gpt-4o", &b).n, 0);
    /* blanks are counted from the start, one stays with what follows; those before a line end are whole */
    buf_clear(&b);
    add_run(&b, " ", 2 * TOKENIZE_BLANKS);
    c = cuts_of("jais-2", &b);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.cut[0], TOKENIZE_BLANKS);
    free(c.cut);
    assert_int_equal(cuts_of("deepseek-llm", &b).n, 0);
    buf_str(&b, "\nx");
    assert_int_equal(cuts_of("jais-2", &b).n, 0);
    /* a number is a word of its own */
    buf_clear(&b);
    buf_str(&b, "a");
    add_run(&b, "\xe2\x80\x83", TOKENIZE_BLANKS + 1);
    buf_str(&b, "5");
    c = cuts_of("deepseek-llm", &b);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.cut[0], b.n - 1);
    free(c.cut);
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_ids),      cmocka_unit_test(test_specials),
        cmocka_unit_test(test_sentencepiece), cmocka_unit_test(test_no_bytes),
        cmocka_unit_test(test_long_run),      cmocka_unit_test(test_stretches),
        cmocka_unit_test(test_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
