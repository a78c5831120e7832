/* tokenize.c - see tokenize.h. */
#include "engine/tokenize.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "engine/uncaught.h"
#include "engine/words.h"

#include <llama.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* libstdc++ takes 320 bytes a character, 464 with the pattern of exaone-moe, and on 64-bit ARM no more; twice that
 * for other builds. Memory is taken for what is used of it. */
#define STACK_CHAR    1024u
#define STACK_BASE    (8u << 20)
#define SHORT_STRETCH 1024u       /* for the caller's own stack */
#define SHORT_TEXT    (64u << 10) /* takes a tenth of a second at most */

/* ---- where to cut ---- */

enum run { RUN_NONE, RUN_DIGITS, RUN_BLANKS };

/* Patterns that try each end of a run from each of its characters. */
static const struct rule {
    const char *pre;
    enum run run;
    uint32_t step;
    bool from_end;  /* steps are counted from the end of the run */
    bool at_number; /* parted from a number behind it anyway, and slow only before that or beyond ASCII */
} rules[] = {
    {"superbpe", RUN_DIGITS, TOKENIZE_DIGITS, true, false},     /* (?=(\d{3})+(?!\d)) */
    {"jais-2", RUN_BLANKS, TOKENIZE_BLANKS, false, false},      /* \s*[\r\n]+, then \s{512} and less */
    {"deepseek-llm", RUN_BLANKS, TOKENIZE_BLANKS, false, true}, /* \s+$ */
};

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_plain(unsigned char c)
{
    return c > ' ' && c < 0x7F;
}

static bool is_letter(unsigned char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* Bytes of the blank at s (what \s matches beyond ASCII too), 0 if there is none; line ends are none. */
static uint32_t blank_at(const unsigned char *s, uint64_t n)
{
    if (n && s[0] < 0x80)
        return is_space(s[0]) && s[0] != '\n' && s[0] != '\r';
    if (n >= 2 && s[0] == 0xC2)
        return (s[1] & 0x80) && unicode_is_space(s[1]) ? 2 : 0;
    if (n < 3 || (s[0] & 0xF0) != 0xE0)
        return 0;
    uint32_t u = (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
    return u > 0xFF && unicode_is_space(u) ? 3 : 0;
}

static uint32_t run_at(enum run r, const unsigned char *s, uint64_t n)
{
    if (r == RUN_DIGITS)
        return n && is_digit(s[0]);
    return r == RUN_BLANKS ? blank_at(s, n) : 0;
}

static void add_cut(struct tokenize_cuts *c, uint64_t at)
{
    GROW(c->cut, c->n, c->cap);
    c->cut[c->n++] = at;
}

/* Cuts the run at s[i], if it is long; its end. */
static uint64_t cut_run(struct tokenize_cuts *c, const struct rule *r, const unsigned char *s, uint64_t i,
                        uint64_t n)
{
    uint64_t chars = 0, end = i;
    for (uint32_t k; (k = run_at(r->run, s + end, n - end)); end += k)
        chars++;
    unsigned char before = i ? s[i - 1] : '\n', behind = end < n ? s[end] : 0;
    if (chars <= r->step || (r->run == RUN_BLANKS && (behind == '\n' || behind == '\r')))
        return end; /* blanks and a line end are one match */
    if (r->at_number && (end == n || (is_plain(behind) && !is_digit(behind))))
        return end; /* it is found at once */
    if (r->at_number && is_digit(behind) && (before == '\n' || is_plain(before))) {
        add_cut(c, end);
        return end;
    }
    uint64_t next = r->from_end && chars % r->step ? chars % r->step : r->step, at = 0;
    for (uint64_t p = i; p < end; p += run_at(r->run, s + p, n - p), at++)
        if (at == next) {
            add_cut(c, p);
            next += r->step;
        }
    return end;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* No match of any pattern goes from a line into the next beyond its blanks. So a stretch begins behind a line
 * end and the blanks that follow it, and a match is no longer than the longest stretch and one character. */
static void cut_stretches(struct tokenize_cuts *c, const unsigned char *s, uint64_t n)
{
    uint64_t begin = 0, word = 0; /* of the stretch, and of a word in it */
    bool line_end = false;
    for (uint64_t i = 0; i < n; i++) {
        if (!is_space(s[i]) && line_end)
            begin = word = i;
        line_end = is_space(s[i]) && (line_end || s[i] == '\n');
        if (s[i] == ' ' && i && i + 1 < n && !is_space(s[i - 1]) && is_letter(s[i + 1]))
            word = i;
        if (i - begin == TOKENIZE_STRETCH) {
            uint64_t at = word > begin ? word : i;
            while (at > i - 3 && (s[at] & 0xC0) == 0x80)
                at--; /* to the start of a character */
            add_cut(c, at);
            begin = at;
        }
        if (i + 1 - begin > c->longest)
            c->longest = (uint32_t)(i + 1 - begin);
    }
}

void tokenize_find_cuts(struct tokenize_cuts *c, const char *pre, const char *text, uint64_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    *c = (struct tokenize_cuts){0};
    if (!pre)
        return;
    cut_stretches(c, s, n);
    const struct rule *r = NULL;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(pre, rules[i].pre))
            r = &rules[i];
    if (!r)
        return;
    for (uint64_t i = 0; i < n; i++)
        if (run_at(r->run, s + i, n - i))
            i = cut_run(c, r, s, i, n) - 1;
    if (c->n)
        qsort(c->cut, c->n, sizeof *c->cut, ascending);
}

/* ---- by the vocabulary ---- */

struct special {
    const char *text;
    uint32_t n;
    bool always; /* even where special tokens are not looked for */
};

#define BLANK "\xe2\x96\x81" /* a space in a SentencePiece vocabulary */

static int by_byte_and_length(const void *a, const void *b)
{
    const struct special *x = a, *y = b;
    if (x->text[0] != y->text[0])
        return (unsigned char)x->text[0] < (unsigned char)y->text[0] ? -1 : 1;
    return (x->n < y->n) - (x->n > y->n);
}

static void add_pairs(struct tokenizer *t, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s && s[1]; s++)
        t->pairs[s[0]][s[1] / 8] |= (uint8_t)(1u << s[1] % 8);
}

static bool is_pair(const struct tokenizer *t, unsigned char a, unsigned char b)
{
    return t->pairs[a][b / 8] >> b % 8 & 1;
}

/* The one character of a text, or of n bytes at its start with *k set to its length; bad UTF-8 is characters of a byte. */
static uint32_t char_at(const char *s, uint64_t n, uint64_t *k)
{
    size_t len = utf8_len(s, n);
    *k = len ? len : 1;
    uint32_t c = (unsigned char)*s & (len < 2 ? 0xFFu : 0xFFu >> (len + 1));
    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((unsigned char)s[i] & 0x3Fu);
    return c;
}

static int ascending_chars(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* "<0xF0>" spells a byte. */
static void learn_spelling(struct tokenizer *t, const char *text, uint32_t *cap)
{
    unsigned byte;
    char again[8];
    uint64_t n = strlen(text), k;
    if (sscanf(text, "<0x%2X>", &byte) == 1) {
        snprintf(again, sizeof again, "<0x%02X>", byte);
        if (!strcmp(text, again))
            t->bytes[byte / 8] |= (uint8_t)(1u << byte % 8);
    }
    uint32_t c = n ? char_at(text, n, &k) : 0;
    if (!n || k != n)
        return;
    GROW(t->chars, t->n_chars, *cap);
    t->chars[t->n_chars++] = c;
}

static uint64_t joint(uint32_t a, uint32_t b)
{
    return (uint64_t)a << 32 | b;
}

static void learn_joints(struct tokenizer *t, const char *text, uint32_t *cap)
{
    uint64_t n = strlen(text), k;
    uint32_t before = n ? char_at(text, n, &k) : 0;
    for (uint64_t i = n ? k : 0; i < n; i += k) {
        uint32_t c = char_at(text + i, n - i, &k);
        GROW(t->joints, t->n_joints, *cap);
        t->joints[t->n_joints++] = joint(before, c);
        before = c;
    }
}

static bool is_joint(const struct tokenizer *t, uint32_t a, uint32_t b)
{
    uint64_t x = joint(a, b);
    return t->n_joints && bsearch(&x, t->joints, t->n_joints, sizeof x, ascending);
}

static bool is_char(const struct tokenizer *t, uint32_t c)
{
    return t->n_chars && bsearch(&c, t->chars, t->n_chars, sizeof c, ascending_chars);
}

static bool spells(const struct tokenizer *t, unsigned char byte)
{
    return t->bytes[byte / 8] >> byte % 8 & 1;
}

static void learn_vocab(struct tokenizer *t, bool spm)
{
    uint32_t n = 0, cap = 0, chars = 0, joints = 0;
    for (int32_t id = 0; id < llama_vocab_n_tokens(t->vocab); id++) {
        enum llama_token_attr a = llama_vocab_get_attr(t->vocab, id);
        const char *text = llama_vocab_get_text(t->vocab, id);
        bool unseen = a & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN),
             special = unseen || a & LLAMA_TOKEN_ATTR_USER_DEFINED;
        if (special)
            add_pairs(t, text);
        if (spm && !strcmp(text, BLANK))
            t->blank = id;
        if (spm) {
            learn_spelling(t, text, &chars);
            learn_joints(t, text, &joints);
        }
        if (!special || !*text)
            continue;
        GROW(t->specials, n, cap);
        t->specials[n++] = (struct special){text, (uint32_t)strlen(text), !unseen};
        t->strips_left = t->strips_left || a & LLAMA_TOKEN_ATTR_LSTRIP;
        t->strips = t->strips || a & (LLAMA_TOKEN_ATTR_LSTRIP | LLAMA_TOKEN_ATTR_RSTRIP);
    }
    if (n)
        qsort(t->specials, n, sizeof *t->specials, by_byte_and_length);
    for (uint32_t c = 0, i = 0; c <= 256; c++) {
        while (i < n && (unsigned char)t->specials[i].text[0] < c)
            i++;
        t->special_from[c] = i;
    }
    t->spells = spm;
    if (t->n_chars)
        qsort(t->chars, t->n_chars, sizeof *t->chars, ascending_chars);
    if (t->n_joints)
        qsort(t->joints, t->n_joints, sizeof *t->joints, ascending);
}

void tokenize_init(struct tokenizer *t, const struct llama_model *m)
{
    *t = (struct tokenizer){.vocab = llama_model_get_vocab(m), .blank = -1};
    enum llama_vocab_type type = llama_vocab_type(t->vocab);
    t->words = type == LLAMA_VOCAB_TYPE_BPE;
    if (llama_model_meta_val_str(m, "tokenizer.ggml.pre", t->pre, sizeof t->pre) < 0)
        t->pre[0] = 0;
    if (type == LLAMA_VOCAB_TYPE_BPE || type == LLAMA_VOCAB_TYPE_SPM)
        learn_vocab(t, type == LLAMA_VOCAB_TYPE_SPM);
}

void tokenize_clear(struct tokenizer *t)
{
    free(t->specials);
    free(t->chars);
    free(t->joints);
}

/* The special token that is written at s, the longest; NULL: none. */
static const struct special *special_at(const struct tokenizer *t, const char *s, uint64_t n, bool parse)
{
    unsigned char c = (unsigned char)*s;
    for (uint32_t i = t->special_from[c]; i < t->special_from[c + 1]; i++) {
        const struct special *x = &t->specials[i];
        if (x->n <= n && (x->always || parse) && !memcmp(x->text, s, x->n))
            return x;
    }
    return NULL;
}

/* Why the engine threw: a character has no token, nor has one of its bytes. False, as it is an error. */
static bool fail_spelling(const struct tokenizer *t, const char *s, uint64_t n, bool parse, const char *why,
                          struct err *e)
{
    uint64_t k;
    char shown[TEXT_SHOWN], one[8];
    for (uint64_t i = 0; t->spells && i < n; i += k) {
        const struct special *x = special_at(t, s + i, n - i, parse);
        uint32_t c = char_at(s + i, n - i, &k), blank = 0x2581;
        const char *p = c == ' ' ? BLANK : s + i;
        bool known = x || is_char(t, c == ' ' ? blank : c);
        if (x)
            k = x->n;
        for (uint64_t b = 0; !known && b < (c == ' ' ? 3 : k); b++)
            if (!spells(t, (unsigned char)p[b])) {
                snprintf(one, sizeof one, "%.*s", (int)k, s + i);
                return err_set(e, ERR_INPUT,
                               "the model's tokenizer has no token for '%s', and none for its byte 0x%02X",
                               text_shown(shown, sizeof shown, one), (unsigned char)p[b]);
            }
    }
    return err_set(e, ERR_INPUT, "the model's tokenizer cannot take a text of %llu bytes: %s",
                   (unsigned long long)n, why);
}

/* x, which is written at s[i], is a token in any case: none goes over its start, and none within it comes before it,
 * as the longer ones do. */
static bool certain(const struct tokenizer *t, const char *s, uint64_t i, uint64_t n, const struct special *x,
                    bool parse)
{
    if (is_pair(t, (unsigned char)s[i - 1], (unsigned char)s[i]))
        return false;
    for (uint64_t k = i + 1; k < i + x->n; k++) {
        const struct special *y = special_at(t, s + k, n - k, parse);
        if (y && y != x && y->n >= x->n)
            return false;
    }
    return true;
}

static bool behind_special(const struct tokenizer *t, const char *s, uint64_t i)
{
    for (uint32_t k = 0; k < t->special_from[256]; k++)
        if (t->specials[k].n <= i && !memcmp(s + i - t->specials[k].n, t->specials[k].text, t->specials[k].n))
            return true;
    return false;
}

/* SentencePiece: nothing joins the characters at s[i - 1] and s[i], nor a blank and the latter; so the blank that the
 * tokenizer may put before a text is a token of its own, and known. */
static bool apart(const struct tokenizer *t, const char *s, uint64_t i, uint64_t n)
{
    uint64_t from = i - 1, k;
    while (from && i - from < 4 && (s[from] & 0xC0) == 0x80)
        from--;
    if ((s[i] & 0xC0) == 0x80)
        return false;
    uint32_t a = char_at(s + from, i - from, &k), b = char_at(s + i, n - i, &k), blank = 0x2581;
    return b != ' ' && b != blank && !is_joint(t, a == ' ' ? blank : a, b) && !is_joint(t, blank, b) &&
           !behind_special(t, s, i);
}

/* A cut at s[i] would part blanks from a special token that may take them. */
static bool parts_blanks(const struct tokenizer *t, const char *s, uint64_t i, uint64_t n, bool parse)
{
    uint64_t from = i, to = i;
    while (from && is_space((unsigned char)s[from - 1]))
        from--;
    while (t->strips_left && to < n && is_space((unsigned char)s[to]))
        to++;
    return (from < i && behind_special(t, s, from)) ||
           (t->strips_left && to < n && special_at(t, s + to, n - to, parse));
}

static bool may_cut(const struct tokenizer *t, const char *s, uint64_t i, uint64_t n, const struct special *x,
                    bool parse)
{
    if (!x)
        return apart(t, s, i, n);
    return strcmp(x->text, BLANK) != 0 && certain(t, s, i, n, x, parse) &&
           (!t->strips_left || !is_space((unsigned char)s[i - 1]));
}

static void cut_by_vocab(struct tokenize_cuts *c, const struct tokenizer *t, const char *s, uint64_t n,
                         bool parse)
{
    uint32_t found = 0;
    uint64_t from = 0;
    bool chars = t->blank >= 0 && utf8_valid(s, n); /* libllama goes by first bytes alone */
    for (uint64_t i = 0; i < n;) {
        const struct special *x = special_at(t, s + i, n - i, parse);
        bool due = x ? ++found > TOKENIZE_SPECIALS : chars && i - from >= TOKENIZE_PIECE;
        bool cut = due && i && may_cut(t, s, i, n, x, parse);
        if (cut && !x && t->strips && parts_blanks(t, s, i, n, parse)) {
            from = i; /* not at once again: the blanks may be many */
        } else if (cut) {
            add_cut(c, i);
            from = i;
            found = 0;
        }
        i += x ? x->n : 1;
    }
    if (c->n)
        qsort(c->cut, c->n, sizeof *c->cut, ascending);
}

/* ---- tokenising ---- */

struct job {
    const struct tokenizer *t;
    const char *s;
    uint64_t n;
    bool add_special, parse_special;
    struct tokenize_cuts cuts;
    int32_t *ids;
    uint64_t n_ids, cap;
    struct err err;
    bool ok, done;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    char *crash_stack; /* for what TOKENIZE_STRETCH does not foresee */
};

static bool room_for(struct job *j, uint64_t more)
{
    if (j->n_ids + more <= j->cap)
        return true;
    uint64_t cap = j->n_ids + more;
    if (j->cap && cap < 2 * j->cap)
        cap = 2 * j->cap;
    if (cap > INT32_MAX)
        cap = INT32_MAX;
    if (j->n_ids + more > cap)
        return err_set(&j->err, ERR_INPUT, "a text of %llu bytes has too many tokens",
                       (unsigned long long)j->n);
    int32_t *ids = mem_try(cap, sizeof *ids, "tokens", &j->err);
    if (!ids)
        return false;
    if (j->n_ids)
        memcpy(ids, j->ids, j->n_ids * sizeof *ids);
    free(j->ids);
    j->ids = ids;
    j->cap = cap;
    return true;
}

static bool piece(struct job *j, uint64_t from, uint64_t to, bool add_special)
{
    uint64_t n = to - from, want = n / 2 + 64;
    for (;;) {
        if (!room_for(j, want))
            return false;
        int32_t cap = (int32_t)(j->cap - j->n_ids);
        char why[128] = "";
        int32_t r = uncaught_tokenize(j->t->vocab, j->s + from, (int32_t)n, j->ids + j->n_ids, cap,
                                      add_special, j->parse_special, why, sizeof why);
        if (r >= 0) {
            j->n_ids += (uint32_t)r;
            return true;
        }
        if (why[0])
            return fail_spelling(j->t, j->s + from, n, j->parse_special, why, &j->err);
        if (r == INT32_MIN || -r <= cap)
            return err_set(&j->err, ERR_FAILED, "the engine cannot tokenise a text of %llu bytes",
                           (unsigned long long)j->n);
        want = (uint64_t)-r;
    }
}

static bool put(struct job *j, bool add, int32_t id)
{
    if (!add || id < 0)
        return true;
    if (!room_for(j, 1))
        return false;
    j->ids[j->n_ids++] = id;
    return true;
}

/* Tokens that the model adds stand around the whole text, not around each piece. */
static bool pieces(struct job *j)
{
    const struct llama_vocab *v = j->t->vocab;
    if (!j->cuts.n)
        return piece(j, 0, j->n, j->add_special);
    uint64_t from = 0;
    bool ok = put(j, j->add_special && llama_vocab_get_add_bos(v), llama_vocab_bos(v));
    for (uint32_t i = 0; ok && i <= j->cuts.n; i++) {
        uint64_t to = i < j->cuts.n ? j->cuts.cut[i] : j->n;
        uint64_t first = j->n_ids;
        ok = sig_check(&j->err) && piece(j, from, to, false);
        if (ok && from && j->t->blank >= 0 && j->n_ids > first && j->ids[first] == j->t->blank)
            memmove(j->ids + first, j->ids + first + 1, (--j->n_ids - first) * sizeof *j->ids);
        from = to;
    }
    return ok && put(j, j->add_special && llama_vocab_get_add_eos(v), llama_vocab_eos(v));
}

static void *run(void *ud)
{
    struct job *j = ud;
    sig_own_stack(j->crash_stack);
    bool ok = pieces(j);
    pthread_mutex_lock(&j->lock);
    j->ok = ok;
    j->done = true;
    pthread_cond_signal(&j->ended);
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* Waits for the thread. One that a signal does not let end in good time ends with the program: nothing in
 * libllama can be stopped. */
static void wait_for(struct job *j)
{
    int left = 20; /* tenths of a second behind a signal */
    pthread_mutex_lock(&j->lock);
    while (!j->done) {
        struct timespec at;
        clock_gettime(CLOCK_REALTIME, &at);
        at.tv_nsec += 100 * 1000 * 1000;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&j->ended, &j->lock, &at);
        if (!j->done && sig_pending() && left-- == 0) {
            sig_remove_parts();
            _exit(ERR_INTERRUPTED);
        }
    }
    pthread_mutex_unlock(&j->lock);
}

static bool on_thread(struct job *j)
{
    uint64_t stack = STACK_BASE + (uint64_t)j->cuts.longest * STACK_CHAR;
    pthread_attr_t a;
    pthread_t id;
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->ended, NULL);
    j->crash_stack = xmalloc(SIG_STACK);
    bool started = pthread_attr_init(&a) == 0;
    if (started) {
        started = pthread_attr_setstacksize(&a, stack) == 0 && pthread_create(&id, &a, run, j) == 0;
        pthread_attr_destroy(&a);
    }
    if (started) {
        wait_for(j);
        pthread_join(id, NULL);
    }
    free(j->crash_stack);
    pthread_cond_destroy(&j->ended);
    pthread_mutex_destroy(&j->lock);
    return started || err_set(&j->err, ERR_FAILED,
                              "no memory for a stack of %llu MiB, which the engine needs for a text with a "
                              "line of %u bytes",
                              (unsigned long long)(stack >> 20), j->cuts.longest);
}

/* Says once that a text is touched by it. */
static void warn_words(const struct tokenizer *t, const char *s, uint64_t n)
{
    static atomic_bool said;
    uint64_t end, at;
    if (!t->words || !words_near(t->pre) || atomic_load(&said) ||
        (at = words_differ(t->pre, s, n, &end)) == n)
        return;
    char shown[TEXT_SHOWN], *word = xstrndup(s + at, end - at);
    if (!atomic_exchange(&said, true))
        log_warn(
            "the text has words such as '%s' that the engine splits otherwise than the model's own tokenizer "
            "(its pre-tokenizer '%s' is only near): they take more tokens",
            text_shown(shown, sizeof shown, word + strspn(word, " ")), t->pre);
    free(word);
}

bool tokenize_text(const struct tokenizer *t, const char *s, uint64_t n, bool add_special, bool parse_special,
                   int32_t **out, uint32_t *n_out, struct err *e)
{
    if (n > INT32_MAX - 64)
        return err_set(e, ERR_INPUT, "a text of %llu bytes is too long for the tokenizer",
                       (unsigned long long)n);
    warn_words(t, s, n);
    struct job j = {.t = t, .s = s, .n = n, .add_special = add_special, .parse_special = parse_special};
    tokenize_find_cuts(&j.cuts, t->words ? t->pre : NULL, s, n);
    cut_by_vocab(&j.cuts, t, s, n, parse_special);
    if (n <= SHORT_TEXT && j.cuts.longest <= SHORT_STRETCH)
        j.ok = pieces(&j);
    else if (!on_thread(&j))
        j.ok = false;
    free(j.cuts.cut);
    if (!j.ok) {
        free(j.ids);
        return err_set(e, j.err.code, "%s", j.err.msg);
    }
    *out = j.ids;
    *n_out = (uint32_t)j.n_ids;
    return true;
}
