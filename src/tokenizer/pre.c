/* pre.c - which of the engine's pre-tokenizers a tokenizer.json asks for.
 *
 * tokenizer.json says how text is split before it is merged: regular expressions and fixed steps. GGUF has a
 * name instead (tokenizer.ggml.pre), under which the engine has its own expressions; a wrong name gives
 * plausible but different tokens. So the steps must be equal to those of a row below, character by character,
 * and nothing is guessed. Rows: the forms in which published tokenizers have the rule that the engine
 * implements under the name (src/llama-vocab.cpp of llama.cpp v0.5.0 has most of them as comments). */
#include "base/text.h"
#include "tokenizer/tok_part.h"
#include "tokenizer/tokenizer.h"

#include <string.h>

/* ---- the names that the engine knows ---- */

static const struct tok_pre engine_pres[] = {
    {"a.x-4.0", false, false, false, false},
    {"afmoe", false, false, false, false},
    {"bailingmoe", false, false, false, false},
    {"bailingmoe2", false, false, false, false},
    {"bloom", false, false, false, false},
    {"chameleon", false, true, false, false},
    {"chatglm-bpe", false, false, false, true},
    {"codeshell", false, false, false, false},
    {"cohere2moe", false, false, false, false},
    {"command-r", false, false, false, false},
    {"dbrx", false, false, false, false},
    {"deepseek-coder", false, false, false, false},
    {"deepseek-llm", false, false, false, false},
    {"deepseek-r1-qwen", false, false, false, false},
    {"deepseek-v3", false, false, false, false},
    {"default", false, false, false, false},
    {"exaone", false, false, false, false},
    {"exaone-moe", false, false, false, false},
    {"exaone4", false, false, false, false},
    {"f2llmv2", false, false, false, false},
    {"falcon", false, false, false, false},
    {"falcon-h1", true, true, false, false},
    {"falcon3", true, true, false, false},
    {"gemma4", false, true, true, false},
    {"gigachat", false, false, false, false},
    {"glm4", false, false, false, true},
    {"gpt-2", false, false, false, false},
    {"gpt-4o", false, false, false, false},
    {"gpt3-finnish", false, false, false, false},
    {"granite-docling", false, false, false, false},
    {"granite-embed-multi-311m", false, true, true, false},
    {"granite-embed-multi-97m", true, false, false, false},
    {"grok-2", false, false, false, false},
    {"hunyuan", false, false, false, false},
    {"hunyuan-dense", false, false, false, false},
    {"hy_v4", false, false, false, false},
    {"jais", false, false, false, false},
    {"jais-2", false, false, false, false},
    {"jina-de", false, false, false, false},
    {"jina-es", false, false, false, false},
    {"jina-v1-en", false, false, false, false},
    {"jina-v2-code", false, false, false, false},
    {"jina-v2-de", false, false, false, false},
    {"jina-v2-es", false, false, false, false},
    {"jina-v5-nano", true, true, false, false},
    {"joyai-llm", false, false, false, false},
    {"kanana2", false, false, false, false},
    {"kimi-k2", false, false, false, false},
    {"kormo", false, false, false, false},
    {"laguna", false, false, false, false},
    {"lfm2", true, true, false, false},
    {"llada-moe", false, false, false, false},
    {"llama-bpe", true, true, false, false},
    {"llama-v3", true, true, false, false},
    {"llama3", true, true, false, false},
    {"llama4", false, false, false, false},
    {"megrez", false, false, false, false},
    {"mellum", false, false, false, false},
    {"mellum2", false, false, false, false},
    {"midm-2.0", true, true, false, false},
    {"minerva-7b", false, false, false, false},
    {"minicpm5", true, false, false, false},
    {"minimax-m2", false, false, false, false},
    {"modern-bert", false, false, false, false},
    {"mpt", false, false, false, false},
    {"olmo", false, false, false, false},
    {"phi-2", false, false, false, false},
    {"pixtral", true, true, false, false},
    {"poro-chat", false, false, false, false},
    {"qwen2", false, false, false, false},
    {"qwen35", false, false, false, false},
    {"refact", false, false, false, false},
    {"roberta-bpe", false, false, false, false},
    {"sarvam-moe", false, false, false, false},
    {"seed-coder", false, false, false, false},
    {"smaug-bpe", false, false, false, false},
    {"smollm", false, false, false, false},
    {"solar-open", false, false, false, false},
    {"spark2_5", false, false, false, false},
    {"stablelm2", false, false, false, false},
    {"starcoder", false, false, false, false},
    {"superbpe", false, false, false, false},
    {"talkie", false, false, false, false},
    {"tekken", true, true, false, false},
    {"tiny_aya", false, false, false, false},
    {"trillion", false, false, false, false},
    {"ufakzeka", false, false, false, false},
    {"viking", false, false, false, false},
    {"whitespace", false, false, false, false},
    {"youtu", true, false, false, false},
};
#define N_ENGINE_PRES (sizeof engine_pres / sizeof *engine_pres)

const struct tok_pre *tok_pre_find(const char *name)
{
    for (size_t i = 0; i < N_ENGINE_PRES; i++)
        if (!strcmp(engine_pres[i].name, name))
            return &engine_pres[i];
    return NULL;
}

/* ---- the rules ---- */

/* Steps that are no regular expression begin with a byte that no expression has (canonical() escapes it). */
#define STEP    "\1"
#define GPT2    STEP "ByteLevel" /* the expression of GPT-2, inside ByteLevel */
#define DIGITS1 STEP "Digits, one by one"

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES      "|\\s+(?!\\S)|\\s+"
#define PUNCT_LINES "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+" SPACES
#define WORD        "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define UPPER       "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER       "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define OTHER       "[^\\r\\n\\p{L}\\p{N}]?"
#define HAN_UPPER   "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define HAN_LOWER   "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"

#define DIGITS3 "\\p{N}{1,3}"
#define LLAMA3  CONTRACTION "|" WORD "|\\p{N}{1,3}" PUNCT_LINES
#define QWEN2   CONTRACTION "|" WORD "|\\p{N}" PUNCT_LINES
#define QWEN35                                                  \
    CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}" \
                "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+" SPACES
#define O200K                                                                        \
    OTHER UPPER "*" LOWER "+" CONTRACTION "?|" OTHER UPPER "+" LOWER "*" CONTRACTION \
                "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+" SPACES
#define TEKKEN                                       \
    OTHER UPPER "*" LOWER "+|" OTHER UPPER "+" LOWER \
                "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+" SPACES
#define KIMI                                                                                        \
    "[\\p{Han}]+|" OTHER HAN_UPPER "*" HAN_LOWER "+" CONTRACTION "?|" OTHER HAN_UPPER "+" HAN_LOWER \
    "*" CONTRACTION "?|\\p{N}{1,3}" PUNCT_LINES
#define BAILING_END \
    "|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]" SPACES
#define SEED_CODER CONTRACTION "|" WORD "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+" SPACES
#define EXAONE_MOE                                                                    \
    CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}" \
                "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]" SPACES
#define CJK_KANA "[一-龥぀-ゟ゠-ヿ]+"
#define DEEPSEEK3                                                                                       \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+" \
    "| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+" SPACES
#define CJK_HANGUL "[一-龥ࠀ-一가-퟿]+"
/* The letters of DeepSeek's first tokenizers, and the same list cut short (Latin to Armenian). */
#define DEEPSEEK_LETTERS                                                                                                                                   \
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ"                                                     \
    "-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐ"       \
    "ῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯ" \
    "ꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
#define DEEPSEEK_LETTERS_SHORT \
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+"
#define DEEPSEEK_PUNCT "\\s?[!-/:-~！-／：-～‘-‟　-。]+"

/* In the order in which they are tried. ignore_merges: 0 or 1 if it decides, -1 if not. */
#define MAX_STEPS 8
static const struct row {
    const char *name;
    const char *steps[MAX_STEPS];
    bool asked; /* only for a family whose record names it; else for all that no row above takes */
    int ignore_merges;
} rows[] = {
    {"lfm2", {LLAMA3}, true, -1},
    {"chatglm-bpe", {LLAMA3}, true, -1},
    {"glm4", {LLAMA3}, true, -1},
    {"llama-bpe", {LLAMA3}, false, 1},
    {"dbrx", {LLAMA3}, false, 0},
    {"hunyuan", {QWEN2}, true, -1},
    {"grok-2", {QWEN2}, true, -1},
    {"solar-open", {QWEN2}, true, -1},
    {"qwen2", {QWEN2}, false, -1},
    {"qwen35", {QWEN35}, false, -1},
    {"llama4", {O200K}, true, -1},
    {"minimax-m2", {O200K}, true, -1},
    {"gpt-4o", {O200K}, false, -1},
    {"cohere2moe", {"\\d{1,3}(?=(?:\\d{3})*\\b)", O200K}, true, -1},
    {"tiny_aya", {"\\d{1,3}(?=(?:\\d{3})*\\b)", O200K}, false, -1},
    {"tekken", {TEKKEN}, false, -1},
    {"kimi-k2", {KIMI}, false, -1},
    {"hunyuan-dense", {DIGITS3, CJK_KANA, DEEPSEEK3}, true, -1},
    {"hy_v4", {DIGITS3, CJK_KANA, DEEPSEEK3}, true, -1},
    {"deepseek-v3", {DIGITS3, CJK_KANA, DEEPSEEK3}, false, -1},
    {"deepseek-llm", {"[\\r\\n]", DEEPSEEK_LETTERS, DEEPSEEK_PUNCT, "\\s+$", CJK_HANGUL, DIGITS1}, false, -1},
    {"deepseek-llm",
     {"[\\r\\n]", DEEPSEEK_LETTERS_SHORT, DEEPSEEK_PUNCT, "\\s+$", CJK_HANGUL, DIGITS1},
     false,
     -1},
    {"deepseek-coder", {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK_HANGUL, DIGITS1}, false, -1},
    {"bailingmoe2", {"'(?i:[sdmt]|ll|ve|re)" BAILING_END}, true, -1},
    {"llada-moe", {"'(?i:[sdmt]|ll|ve|re)" BAILING_END}, true, -1},
    {"bailingmoe", {"'(?i:[sdmt]|ll|ve|re)" BAILING_END}, false, -1},
    {"bailingmoe2", {CONTRACTION BAILING_END}, false, -1},
    {"seed-coder", {SEED_CODER}, false, -1},
    {"exaone-moe", {EXAONE_MOE}, false, -1},
    {"minicpm5", {DIGITS3, CONTRACTION "|" WORD "|\\p{N}+" PUNCT_LINES}, false, -1},
    {"olmo", {GPT2}, true, -1},
    {"exaone4", {GPT2}, true, -1},
    {"gpt-2", {GPT2}, false, -1},
    {"refact", {DIGITS1, GPT2}, true, -1},
    {"command-r", {DIGITS1, GPT2}, true, -1},
    {"smollm", {DIGITS1, GPT2}, true, -1},
    {"exaone", {DIGITS1, GPT2}, true, -1},
    {"starcoder", {DIGITS1, GPT2}, false, -1},
};

static bool names(const char *words, const char *name)
{
    size_t len = strlen(name);
    while (words && *words) {
        size_t n = strcspn(words, " ");
        if (n == len && !memcmp(words, name, n))
            return true;
        words += n;
        words += strspn(words, " ");
    }
    return false;
}

/* ---- the steps of a tokenizer.json ---- */

struct steps {
    char *step[MAX_STEPS + 1];
    size_t n;
    bool byte_level;
};

static void steps_clear(struct steps *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->step[i]);
    *s = (struct steps){0};
}

/* Spellings that mean the same are made one: a line break and its escape, a quote and its escape. Other
 * control characters are escaped. */
static void canonical(struct buf *b, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '\\' && (s[1] == '"' || s[1] == '\''))
            buf_char(b, *++s);
        else if (c == '\\' && s[1])
            buf_add(b, s++, 2);
        else if (c == '\r' || c == '\n' || c == '\t')
            buf_str(b, c == '\r' ? "\\r" : c == '\n' ? "\\n" : "\\t");
        else if (c < ' ')
            buf_fmt(b, "\\x%02x", c);
        else
            buf_char(b, *s);
    }
}

/* Takes b over. */
static void add_step(struct steps *s, struct buf *b)
{
    if (s->n <= MAX_STEPS)
        s->step[s->n++] = b->s;
    else
        buf_clear(b);
    *b = (struct buf){0};
}

static const char *str_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static void add_split(struct steps *s, const json_t *p)
{
    const json_t *pattern = json_object_get(p, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const char *behavior = str_of(p, "behavior");
    bool invert = json_is_true(json_object_get(p, "invert"));
    struct buf b = {0};
    /* The expressions of the rows match every character: then it is the same whether the matches are kept and
     * the rest dropped, or both kept. */
    if (regex && (!strcmp(behavior, "Isolated") || (!strcmp(behavior, "Removed") && invert))) {
        canonical(&b, regex);
        if (!b.s)
            buf_str(&b, "");
    } else {
        buf_fmt(&b, STEP "Split %s%s of \"", invert ? "inverted " : "", behavior);
        canonical(&b, regex ? regex : str_of(pattern, "String"));
        buf_char(&b, '"');
    }
    add_step(s, &b);
}

static void add_steps(struct steps *s, const json_t *p, int depth)
{
    const char *type = str_of(p, "type");
    struct buf b = {0};
    if (!strcmp(type, "Sequence") && depth < 4) {
        const json_t *list = json_object_get(p, "pretokenizers");
        for (size_t i = 0; i < json_array_size(list) && s->n <= MAX_STEPS; i++)
            add_steps(s, json_array_get(list, i), depth + 1);
    } else if (!strcmp(type, "Split")) {
        add_split(s, p);
    } else if (!strcmp(type, "Digits") && json_is_true(json_object_get(p, "individual_digits"))) {
        buf_str(&b, DIGITS1);
        add_step(s, &b);
    } else if (!strcmp(type, "ByteLevel") && json_is_false(json_object_get(p, "add_prefix_space"))) {
        s->byte_level = true;
        if (!json_is_false(json_object_get(p, "use_regex"))) { /* true if it is not said */
            buf_str(&b, GPT2);
            add_step(s, &b);
        }
    } else {
        buf_str(&b, STEP);
        canonical(&b, *type ? type : "(none)");
        buf_str(&b, strcmp(type, "ByteLevel") ? "" : " with add_prefix_space");
        add_step(s, &b);
    }
}

static bool same_steps(const struct row *r, const struct steps *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (i >= MAX_STEPS || !r->steps[i] || strcmp(r->steps[i], s->step[i]) != 0)
            return false;
    return s->n == MAX_STEPS || !r->steps[s->n];
}

/* The text is normalised by the tokenizer, never by the engine. NFC changes hardly any text (what is typed
 * and stored is NFC nearly always), and the engine's users accept that for all Qwen models. */
static const char *bad_normalizer(const json_t *n, int depth)
{
    const char *type = str_of(n, "type");
    if (!n || json_is_null(n) || !strcmp(type, "NFC"))
        return NULL;
    if (strcmp(type, "Sequence") != 0 || depth > 3)
        return *type ? type : "(none)";
    const json_t *list = json_object_get(n, "normalizers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *bad = bad_normalizer(json_array_get(list, i), depth + 1);
        if (bad)
            return bad;
    }
    return NULL;
}

/* "Split "[^\r\n...", ByteLevel": at most 160 bytes, safe for a terminal. */
static void describe(struct buf *b, const struct steps *s)
{
    struct buf all = {0};
    for (size_t i = 0; i < s->n; i++) {
        bool step = s->step[i][0] == STEP[0];
        buf_fmt(&all, step ? "%s%s" : "%s\"%s\"", i ? ", " : "", s->step[i] + step);
    }
    if (!s->byte_level)
        buf_fmt(&all, "%swithout ByteLevel", all.n ? ", " : "");
    size_t n = all.n < 160 ? all.n : 160;
    n = utf8_good(all.s ? all.s : "", n);
    buf_safe(b, all.s ? all.s : "", n);
    buf_str(b, n < all.n ? ".." : "");
    buf_clear(&all);
}

const struct tok_pre *tok_pre_recognise(const json_t *tokenizer, const struct family_tokenizer *family,
                                        struct err *e)
{
    const char *bad = bad_normalizer(json_object_get(tokenizer, "normalizer"), 0);
    if (bad) {
        char t[TOK_SHOWN];
        err_set(e, ERR_INPUT, "the normalizer '%s' is none that the engine does (expected none, or NFC)",
                text_shown(t, sizeof t, bad));
        return NULL;
    }
    struct steps s = {0};
    add_steps(&s, json_object_get(tokenizer, "pre_tokenizer"), 0);
    int ignore = tok_bpe_ignores_merges(tokenizer);
    const char *name = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && s.byte_level && !name; i++)
        if (same_steps(&rows[i], &s) && (rows[i].ignore_merges < 0 || rows[i].ignore_merges == ignore) &&
            (!rows[i].asked || names(family->pre, rows[i].name)))
            name = rows[i].name;
    if (!name) {
        struct buf b = {0};
        describe(&b, &s);
        err_set(e, ERR_INPUT, "the pre-tokenizer is none that is known here: %s", b.s ? b.s : "");
        buf_clear(&b);
    }
    steps_clear(&s);
    return name ? tok_pre_find(name) : NULL;
}
