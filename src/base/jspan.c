/* jspan.c - see jspan.h.
 *
 * The parser keeps its own stack, so that depth costs nothing and its limit is one comparison. Memory grows
 * with the values that are there, at most one node for each two bytes of text. The duplicate check of a long
 * object sorts hashes of its keys and compares keys only where hashes are equal: n log n for any input. */
#include "base/jspan.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>
#include <xxhash.h>

#define FEW_KEYS 8   /* up to here keys are compared in pairs */
#define SHOWN    100 /* bytes of a key in a message */

/* ---- messages ---- */

struct parser {
    struct jdoc *d;
    const char *s;
    size_t n, pos;
    bool python;
    struct err *e;
    uint32_t depth;
    uint32_t open[JSPAN_MAX_DEPTH],
        last[JSPAN_MAX_DEPTH]; /* containers around pos; their last child so far */
};

/* Columns are characters, not bytes. */
static bool fail_at(struct parser *p, size_t at, const char *what, const char *expected)
{
    size_t line = 1, start = 0, column = 1;
    for (size_t i = 0; i < at; i++) {
        if (p->s[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    for (size_t i = start; i < at; i++)
        column += ((unsigned char)p->s[i] & 0xc0) != 0x80;
    return err_set(p->e, ERR_INPUT, "line %zu, column %zu: found %s, expected %s", line, column, what,
                   expected);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What stands at p->pos: a word, a character, a byte, or nothing. */
static bool fail_here(struct parser *p, const char *expected)
{
    char what[64];
    size_t left = p->n - p->pos, k = 0;
    const char *s = p->s ? p->s + p->pos : "";
    while (k < left && k < 24 && is_letter(s[k]))
        k++;
    if (!left)
        snprintf(what, sizeof what, "the end of the text");
    else if (k)
        snprintf(what, sizeof what, "'%.*s'", (int)k, s);
    else if ((k = utf8_len(s, left)) == 0)
        snprintf(what, sizeof what, "the byte 0x%02x, which is not UTF-8", (unsigned char)*s);
    else if (k == 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
        snprintf(what, sizeof what, "a byte order mark");
    else if ((unsigned char)*s < 0x20 || *s == 0x7f)
        snprintf(what, sizeof what, "the control character 0x%02x", (unsigned char)*s);
    else
        snprintf(what, sizeof what, "'%.*s'", (int)k, s);
    return fail_at(p, p->pos, what, expected);
}

/* ---- strings ---- */

static int hex4(const char *s)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int x = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (x < 0)
            return -1;
        v = v * 16 + x;
    }
    return v;
}

static void add_utf8(struct buf *b, unsigned v)
{
    if (v < 0x80) {
        buf_char(b, (char)v);
    } else if (v < 0x800) {
        buf_char(b, (char)(0xc0 | v >> 6));
        buf_char(b, (char)(0x80 | (v & 63)));
    } else if (v < 0x10000) {
        buf_char(b, (char)(0xe0 | v >> 12));
        buf_char(b, (char)(0x80 | (v >> 6 & 63)));
        buf_char(b, (char)(0x80 | (v & 63)));
    } else {
        buf_char(b, (char)(0xf0 | v >> 18));
        buf_char(b, (char)(0x80 | (v >> 12 & 63)));
        buf_char(b, (char)(0x80 | (v >> 6 & 63)));
        buf_char(b, (char)(0x80 | (v & 63)));
    }
}

/* s: behind the backslash, of a string that was parsed. Returns the bytes read. */
static size_t add_escape(struct buf *b, const char *s)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    if (*s != 'u') {
        const char *at = strchr(from, *s);
        buf_char(b, at ? to[at - from] : *s);
        return 1;
    }
    unsigned v = (unsigned)hex4(s + 1);
    if (v < 0xd800 || v > 0xdfff) {
        add_utf8(b, v);
        return 5;
    }
    /* behind s there is at least the closing quote; a pair is complete or its second half is no \u */
    if (v < 0xdc00 && s[5] == '\\' && s[6] == 'u') {
        unsigned low = (unsigned)hex4(s + 7);
        if (low >= 0xdc00 && low <= 0xdfff) {
            add_utf8(b, 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00));
            return 11;
        }
    }
    add_utf8(b, 0xfffd);
    return 5;
}

/* text[at, end) with its quotes. */
static void add_decoded(struct buf *b, const struct jdoc *d, size_t at, size_t end)
{
    const char *s = d->text + at + 1, *stop = d->text + end - 1;
    buf_add(b, "", 0); /* an empty string is a string */
    while (s < stop) {
        const char *back = memchr(s, '\\', (size_t)(stop - s));
        buf_add(b, s, (size_t)((back ? back : stop) - s));
        if (!back)
            break;
        s = back + 1;
        s += add_escape(b, s);
    }
}

static bool fail_escape(struct parser *p)
{
    char what[24];
    size_t left = p->n - p->pos;
    if (left < 2) {
        p->pos = p->n;
        return fail_here(p, "an escape");
    }
    char c = p->s[p->pos + 1];
    snprintf(what, sizeof what, c > 0x20 && c < 0x7f ? "'\\%c'" : "a backslash", c);
    return fail_at(p, p->pos, what,
                   c == 'u' ? "four hexadecimal digits behind \\u"
                            : "one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u");
}

static bool parse_escape(struct parser *p)
{
    const char *s = p->s + p->pos;
    size_t left = p->n - p->pos;
    if (left < 2 || !s[1] || !strchr("\"\\/bfnrtu", s[1]))
        return fail_escape(p);
    if (s[1] != 'u') {
        p->pos += 2;
        return true;
    }
    int v = left < 6 ? -1 : hex4(s + 2);
    if (v < 0)
        return fail_escape(p);
    if (v == 0)
        return fail_at(p, p->pos, "\\u0000 in a string", "text without NUL");
    p->pos += 6;
    return true;
}

/* pos: at the opening quote; afterwards behind the closing one. */
static bool parse_string(struct parser *p)
{
    p->pos++;
    for (;;) {
        while (p->pos < p->n) {
            unsigned char c = (unsigned char)p->s[p->pos];
            if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
                break;
            p->pos++;
        }
        if (p->pos == p->n)
            return fail_here(p, "'\"' at the end of the string");
        unsigned char c = (unsigned char)p->s[p->pos];
        if (c == '"') {
            p->pos++;
            return true;
        }
        if (c == '\\') {
            if (!parse_escape(p))
                return false;
            continue;
        }
        size_t k = c < 0x20 ? 0 : utf8_len(p->s + p->pos, p->n - p->pos);
        if (!k)
            return fail_here(p, c < 0x20 ? "an escape for it" : "UTF-8");
        p->pos += k;
    }
}

/* ---- keys ---- */

static bool plain(const struct jdoc *d, const struct jnode *x)
{
    return !memchr(d->text + x->key_at, '\\', x->key_end - x->key_at);
}

static int compare_bytes(const char *a, size_t na, const char *b, size_t nb)
{
    int c = memcmp(a, b, na < nb ? na : nb);
    return c ? c : na < nb ? -1 : na > nb;
}

/* Order of two keys as they are meant: \u0061 is a. */
static int compare_keys(const struct jdoc *d, uint32_t a, uint32_t b)
{
    const struct jnode *x = &d->nodes[a], *y = &d->nodes[b];
    if (plain(d, x) && plain(d, y))
        return compare_bytes(d->text + x->key_at, x->key_end - x->key_at, d->text + y->key_at,
                             y->key_end - y->key_at);
    struct buf s = {0}, t = {0};
    jdoc_key(d, a, &s);
    jdoc_key(d, b, &t);
    /* with the quotes, as above: one order for both kinds */
    buf_char(&s, '"');
    buf_char(&t, '"');
    int c = compare_bytes(s.s, s.n, t.s, t.n);
    buf_clear(&s);
    buf_clear(&t);
    return c;
}

struct keyref {
    uint64_t hash;
    const struct jdoc *d;
    uint32_t node;
};

static uint64_t key_hash(const struct jdoc *d, uint32_t node)
{
    const struct jnode *x = &d->nodes[node];
    if (plain(d, x))
        return XXH3_64bits(d->text + x->key_at + 1, x->key_end - x->key_at - 2);
    struct buf b = {0};
    jdoc_key(d, node, &b);
    uint64_t h = XXH3_64bits(b.s, b.n);
    buf_clear(&b);
    return h;
}

static int by_key(const void *pa, const void *pb)
{
    const struct keyref *a = pa, *b = pb;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    int c = compare_keys(a->d, a->node, b->node);
    return c ? c : a->node < b->node ? -1 : a->node > b->node;
}

static bool fail_twice(struct parser *p, uint32_t node)
{
    struct buf b = {0}, key = {0};
    jdoc_key(p->d, node, &key);
    buf_str(&b, "the key '");
    buf_safe(&b, key.s, key.n < SHOWN ? key.n : SHOWN);
    buf_str(&b, key.n < SHOWN ? "' a second time" : "...' a second time");
    fail_at(p, p->d->nodes[node].key_at, b.s, "each key once in an object");
    buf_clear(&key);
    buf_clear(&b);
    return false;
}

static bool check_many_keys(struct parser *p, const struct jnode *o)
{
    struct keyref *v = mem_try(o->n, sizeof *v, "the keys of a JSON object", p->e);
    if (!v)
        return false;
    uint32_t n = 0, twice = JSPAN_NONE;
    for (uint32_t i = o->first; i != JSPAN_NONE; i = p->d->nodes[i].next)
        v[n++] = (struct keyref){key_hash(p->d, i), p->d, i};
    qsort(v, n, sizeof *v, by_key);
    for (uint32_t i = 1; i < n; i++) /* the first in the text of those that stand twice */
        if (v[i].hash == v[i - 1].hash && v[i].node < twice &&
            compare_keys(p->d, v[i].node, v[i - 1].node) == 0)
            twice = v[i].node;
    free(v);
    return twice == JSPAN_NONE || fail_twice(p, twice);
}

static bool check_keys(struct parser *p, const struct jnode *o)
{
    if (o->n > FEW_KEYS)
        return check_many_keys(p, o);
    for (uint32_t i = o->first; i != JSPAN_NONE; i = p->d->nodes[i].next)
        for (uint32_t k = o->first; k != i; k = p->d->nodes[k].next)
            if (compare_keys(p->d, i, k) == 0)
                return fail_twice(p, i);
    return true;
}

/* ---- values ---- */

static void skip_space(struct parser *p)
{
    while (p->pos < p->n) {
        char c = p->s[p->pos];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            break;
        p->pos++;
    }
}

static bool here(const struct parser *p, char c)
{
    return p->pos < p->n && p->s[p->pos] == c;
}

static bool take_word(struct parser *p, const char *word)
{
    size_t n = strlen(word);
    if (p->n - p->pos < n || memcmp(p->s + p->pos, word, n) != 0)
        return false;
    if (p->pos + n < p->n && is_letter(p->s[p->pos + n]))
        return false; /* "nullx" is one thing */
    p->pos += n;
    return true;
}

static bool digits(struct parser *p)
{
    size_t start = p->pos;
    while (p->pos < p->n && p->s[p->pos] >= '0' && p->s[p->pos] <= '9')
        p->pos++;
    return p->pos > start || fail_here(p, "a digit");
}

static bool parse_number(struct parser *p)
{
    if (here(p, '-'))
        p->pos++;
    if (p->python && take_word(p, "Infinity"))
        return true;
    if (here(p, '0'))
        p->pos++;
    else if (!digits(p))
        return false;
    if (here(p, '.')) {
        p->pos++;
        if (!digits(p))
            return false;
    }
    if (here(p, 'e') || here(p, 'E')) {
        p->pos++;
        if (here(p, '+') || here(p, '-'))
            p->pos++;
        return digits(p);
    }
    return true;
}

/* A value that holds no other. */
static bool parse_scalar(struct parser *p, enum jkind *kind)
{
    char c = p->pos < p->n ? p->s[p->pos] : 0;
    if (c == '"') {
        *kind = J_STRING;
        return parse_string(p);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        *kind = J_NUMBER;
        return parse_number(p);
    }
    if (take_word(p, "true"))
        *kind = J_TRUE;
    else if (take_word(p, "false"))
        *kind = J_FALSE;
    else if (take_word(p, "null"))
        *kind = J_NULL;
    else if (p->python && (take_word(p, "NaN") || take_word(p, "Infinity")))
        *kind = J_NUMBER;
    else
        return fail_here(p, "a value");
    return true;
}

static bool add_node(struct parser *p, struct jnode x, uint32_t *index)
{
    struct jdoc *d = p->d;
    if (d->n_nodes == d->cap) {
        uint64_t cap = d->cap;
        void *v =
            grow_try(d->nodes, cap, &cap, JSPAN_NONE, sizeof *d->nodes, "the values of a JSON text", p->e);
        if (!v)
            return false;
        d->nodes = v;
        d->cap = (uint32_t)cap;
    }
    uint32_t i = d->n_nodes++;
    if (p->depth) {
        uint32_t *last = &p->last[p->depth - 1];
        x.parent = p->open[p->depth - 1];
        if (*last == JSPAN_NONE)
            d->nodes[x.parent].first = i;
        else
            d->nodes[*last].next = i;
        d->nodes[x.parent].n++;
        *last = i;
    }
    d->nodes[i] = x;
    *index = i;
    return true;
}

/* A key and its colon, for the value that follows. */
static bool parse_key(struct parser *p, struct jnode *x)
{
    skip_space(p);
    if (!here(p, '"'))
        return fail_here(p, "a key in quotes");
    x->key_at = p->pos;
    if (!parse_string(p))
        return false;
    x->key_end = p->pos;
    skip_space(p);
    if (!here(p, ':'))
        return fail_here(p, "':'");
    p->pos++;
    return true;
}

static bool is_object(const struct parser *p)
{
    return p->depth && p->d->nodes[p->open[p->depth - 1]].kind == J_OBJECT;
}

/* Behind a value: closes what ends here. *more: a comma, another value follows. */
static bool after_value(struct parser *p, bool *more)
{
    *more = false;
    while (p->depth) {
        struct jnode *c = &p->d->nodes[p->open[p->depth - 1]];
        bool object = c->kind == J_OBJECT;
        skip_space(p);
        if (here(p, ',')) {
            p->pos++;
            *more = true;
            return true;
        }
        if (!here(p, object ? '}' : ']'))
            return fail_here(p, object ? "',' or '}'" : "',' or ']'");
        c->end = ++p->pos;
        p->depth--;
        if (object && !check_keys(p, c))
            return false;
    }
    return true;
}

/* A value up to the first that is complete: containers are entered. */
static bool enter_value(struct parser *p)
{
    static const struct jnode fresh = {.parent = JSPAN_NONE, .first = JSPAN_NONE, .next = JSPAN_NONE};
    for (;;) {
        struct jnode x = fresh;
        uint32_t i;
        if (is_object(p) && !parse_key(p, &x))
            return false;
        skip_space(p);
        x.at = p->pos;
        bool object = here(p, '{');
        if (!object && !here(p, '[')) {
            if (!parse_scalar(p, &x.kind))
                return false;
            x.end = p->pos;
            return add_node(p, x, &i);
        }
        x.kind = object ? J_OBJECT : J_ARRAY;
        if (p->depth == JSPAN_MAX_DEPTH)
            return fail_here(p, "at most 64 lists and objects inside each other");
        if (!add_node(p, x, &i))
            return false;
        p->pos++;
        skip_space(p);
        if (here(p, object ? '}' : ']')) {
            p->d->nodes[i].end = ++p->pos;
            return true;
        }
        p->open[p->depth] = i;
        p->last[p->depth++] = JSPAN_NONE;
    }
}

static bool parse(struct parser *p, size_t *end)
{
    bool more = true;
    skip_space(p);
    while (more)
        if (!enter_value(p) || !after_value(p, &more))
            return false;
    if (end) {
        *end = p->pos;
        return true;
    }
    skip_space(p);
    return p->pos == p->n || fail_here(p, "the end of the text");
}

bool jdoc_parse(struct jdoc *d, const char *text, size_t n, size_t at, size_t *end, bool python,
                struct err *e)
{
    _Static_assert(JSPAN_MAX_DEPTH == 64, "the message in enter_value says 64");
    if (at > n)
        BUG("JSON at byte %zu of %zu", at, n);
    struct parser p = {.d = d, .s = text, .n = n, .pos = at, .python = python, .e = e};
    d->text = text;
    d->n = n;
    d->n_nodes = 0;
    if (parse(&p, end))
        return true;
    d->n_nodes = 0;
    return false;
}

void jdoc_clear(struct jdoc *d)
{
    free(d->nodes);
    *d = (struct jdoc){0};
}

/* ---- questions ---- */

static bool span_is(const struct jdoc *d, size_t at, size_t end, const char *s)
{
    size_t n = strlen(s);
    if (!memchr(d->text + at, '\\', end - at))
        return end - at - 2 == n && memcmp(d->text + at + 1, s, n) == 0;
    struct buf b = {0};
    add_decoded(&b, d, at, end);
    bool same = b.n == n && memcmp(b.s, s, n) == 0;
    buf_clear(&b);
    return same;
}

uint32_t jdoc_get(const struct jdoc *d, uint32_t object, const char *key)
{
    if (object >= d->n_nodes || d->nodes[object].kind != J_OBJECT)
        return JSPAN_NONE;
    for (uint32_t i = d->nodes[object].first; i != JSPAN_NONE; i = d->nodes[i].next)
        if (jdoc_key_is(d, i, key))
            return i;
    return JSPAN_NONE;
}

static bool is_string(const struct jdoc *d, uint32_t node)
{
    return node < d->n_nodes && d->nodes[node].kind == J_STRING;
}

static bool has_key(const struct jdoc *d, uint32_t node)
{
    return node < d->n_nodes && d->nodes[node].key_end > 0;
}

void jdoc_str(const struct jdoc *d, uint32_t node, struct buf *b)
{
    if (!is_string(d, node))
        BUG("JSON node %u is not a string", node);
    add_decoded(b, d, d->nodes[node].at, d->nodes[node].end);
}

void jdoc_key(const struct jdoc *d, uint32_t node, struct buf *b)
{
    if (!has_key(d, node))
        BUG("JSON node %u has no key", node);
    add_decoded(b, d, d->nodes[node].key_at, d->nodes[node].key_end);
}

bool jdoc_str_is(const struct jdoc *d, uint32_t node, const char *s)
{
    return is_string(d, node) && span_is(d, d->nodes[node].at, d->nodes[node].end, s);
}

bool jdoc_key_is(const struct jdoc *d, uint32_t node, const char *s)
{
    return has_key(d, node) && span_is(d, d->nodes[node].key_at, d->nodes[node].key_end, s);
}

bool jdoc_u64(const struct jdoc *d, uint32_t node, uint64_t *out)
{
    if (node >= d->n_nodes || d->nodes[node].kind != J_NUMBER)
        return false;
    uint64_t v = 0;
    for (size_t i = d->nodes[node].at; i < d->nodes[node].end; i++) {
        char c = d->text[i];
        if (c < '0' || c > '9' || !mul_u64(v, 10, &v) || !add_u64(v, (uint64_t)(c - '0'), &v))
            return false;
    }
    *out = v;
    return true;
}

bool jdoc_f64(const struct jdoc *d, uint32_t node, double *out)
{
    if (node >= d->n_nodes || d->nodes[node].kind != J_NUMBER)
        return false;
    char *s = xstrndup(d->text + d->nodes[node].at, d->nodes[node].end - d->nodes[node].at);
    *out = strtod(s, NULL); /* reads NaN and Infinity as Python spells them, too */
    free(s);
    return true;
}

const char *jdoc_kind_name(const struct jdoc *d, uint32_t node)
{
    static const char *const names[] = {
        [J_NULL] = "null",       [J_FALSE] = "false",  [J_TRUE] = "true",       [J_NUMBER] = "a number",
        [J_STRING] = "a string", [J_ARRAY] = "a list", [J_OBJECT] = "an object"};
    return node < d->n_nodes ? names[d->nodes[node].kind] : "missing";
}

static bool is_name(const struct buf *b)
{
    for (size_t i = 0; i < b->n; i++) {
        char c = b->s[i];
        if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return b->n > 0;
}

static void add_step(struct buf *b, const struct jdoc *d, uint32_t node, bool first)
{
    const struct jnode *x = &d->nodes[node];
    if (!has_key(d, node)) {
        uint32_t i = d->nodes[x->parent].first, k = 0;
        for (; i != node; i = d->nodes[i].next)
            k++;
        buf_fmt(b, "[%u]", k);
        return;
    }
    struct buf key = {0};
    jdoc_key(d, node, &key);
    if (is_name(&key) && key.n <= SHOWN) {
        buf_str(b, first ? "" : ".");
        buf_str(b, key.s);
    } else {
        buf_str(b, "[\"");
        buf_safe(b, key.s, key.n < SHOWN ? key.n : SHOWN);
        buf_str(b, key.n <= SHOWN ? "\"]" : "...\"]");
    }
    buf_clear(&key);
}

void jdoc_path(const struct jdoc *d, uint32_t node, struct buf *b)
{
    uint32_t way[JSPAN_MAX_DEPTH + 1], n = 0;
    if (node >= d->n_nodes)
        BUG("JSON node %u of %u", node, d->n_nodes);
    for (; d->nodes[node].parent != JSPAN_NONE; node = d->nodes[node].parent)
        way[n++] = node;
    if (!n)
        buf_str(b, "the outermost value");
    for (uint32_t i = n; i-- > 0;)
        add_step(b, d, way[i], i + 1 == n);
}
