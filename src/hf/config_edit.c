/* config_edit.c - see config.h: what pruning changes in config.json and its companions. */
#include "base/mem.h"
#include "base/text.h"
#include "hf/config.h"
#include "hf/config_part.h"
#include "hf/names.h"

#include <string.h>

/* ---- counts ---- */

struct editor {
    const struct jdoc *d;
    const struct hf_edit_plan *plan;
    struct jedits edits;
    struct err *e;
};

/* all: every number; else those that are the old count (in a list 0 and 1 are dense layers, and moe_capacity
 * may be no count). */
static void set_number(struct editor *x, uint32_t node, uint32_t value, bool all)
{
    const struct jnode *v = &x->d->nodes[node];
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    uint64_t old;
    if (v->kind == J_NUMBER && (all || (jdoc_u64(x->d, node, &old) && old == x->plan->n_experts)))
        jedit_value(&x->edits, x->d, node, text);
    if (v->kind != J_ARRAY)
        return;
    for (uint32_t i = v->first; i != JSPAN_NONE; i = x->d->nodes[i].next) {
        if (x->d->nodes[i].kind == J_NUMBER &&
            (all || (jdoc_u64(x->d, i, &old) && old == x->plan->n_experts)))
            jedit_value(&x->edits, x->d, i, text);
    }
}

static void edit_counts(struct editor *x)
{
    struct hf_walk w = {.d = x->d};
    for (uint32_t i; (i = hf_walk_next(&w)) != JSPAN_NONE;) {
        if (hf_key_in(x->d, i, HF_KEYS_EXPERTS))
            set_number(x, i, x->plan->n_keep, false);
        else if (jdoc_key_is(x->d, i, "moe_capacity"))
            set_number(x, i, x->plan->n_keep, false);
        else if (x->plan->drop_mtp && hf_key_in(x->d, i, HF_KEYS_MTP))
            set_number(x, i, 0, true);
    }
}

/* ---- names ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A name of a module: words between dots, without signs of a pattern. */
static bool is_module_name(const char *s)
{
    static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./@";
    return s[strspn(s, ok)] == 0;
}

/* One segment of a name; a number has no leading zeros. */
struct segment {
    const char *s;
    size_t n;
};

static bool next_segment(const char **at, struct segment *g)
{
    if (!*at)
        return false;
    const char *dot = strchr(*at, '.');
    *g = (struct segment){*at, dot ? (size_t)(dot - *at) : strlen(*at)};
    *at = dot ? dot + 1 : NULL;
    return true;
}

static bool segment_is(struct segment g, const char *word)
{
    return g.n == strlen(word) && memcmp(g.s, word, g.n) == 0;
}

static bool segment_number(struct segment g, int64_t *out)
{
    if (g.n == 0 || g.n > 9 || (g.s[0] == '0' && g.n > 1))
        return false;
    int64_t v = 0;
    for (size_t i = 0; i < g.n; i++) {
        if (!is_digit(g.s[i]))
            return false;
        v = v * 10 + (g.s[i] - '0');
    }
    *out = v;
    return true;
}

/* What a name of a module says. */
struct module {
    int64_t layer;         /* -1: none is named */
    bool mtp;              /* a segment mtp, or mtp_block... */
    int64_t expert;        /* -1 */
    struct segment number; /* the expert's, in the name */
};

static struct module parse_module(const char *name)
{
    struct module m = {.layer = -1, .expert = -1};
    struct segment g, last = {"", 0};
    for (const char *at = name; next_segment(&at, &g); last = g) {
        int64_t v;
        if (strchr(name, '.') && hf_is_mtp(g.s, g.n))
            m.mtp = true;
        if (!segment_number(g, &v))
            continue;
        if (m.layer < 0 && hf_is_layer_list(last.s, last.n)) {
            m.layer = v;
        } else if (segment_is(last, "experts")) {
            m.expert = v;
            m.number = g;
            break; /* what follows is inside of the expert */
        }
    }
    return m;
}

bool hf_names_module(const char *key)
{
    struct module m = parse_module(key);
    return m.layer >= 0 || m.expert >= 0 || m.mtp;
}

enum fate { STAYS, CHANGES, GOES };

static enum fate renumber(const struct editor *x, const struct module *m, int64_t layer, uint32_t *number)
{
    const struct hf_edit_plan *p = x->plan;
    const uint32_t *keep = p->keep(p->ctx, layer);
    if (!keep)
        return STAYS;
    uint32_t lo = 0, hi = p->n_keep;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (keep[mid] < m->expert)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == p->n_keep || keep[lo] != m->expert)
        return GOES;
    *number = lo;
    return lo == m->expert ? STAYS : CHANGES;
}

static enum fate fate_of(const struct editor *x, const char *name, struct module *m, uint32_t *number)
{
    const struct hf_edit_plan *p = x->plan;
    *m = parse_module(name);
    if (hf_is_foreign(name))
        return STAYS;
    if (p->n_layers && m->layer >= p->n_layers)
        m->mtp = true;
    if (m->mtp && p->drop_mtp)
        return GOES;
    if (m->expert < 0)
        return STAYS;
    if (!m->mtp && m->layer < 0) /* GPTQ: an expert of all layers */
        return m->expert < p->n_keep ? STAYS : GOES;
    int64_t layer = m->layer;
    if (m->mtp) /* "mtp.layers.0" and "mtp" are the first behind the trunk */
        layer = !p->n_layers ? -1 : layer >= p->n_layers ? layer : p->n_layers + (layer < 0 ? 0 : layer);
    return renumber(x, m, layer, number);
}

/* ---- patterns ---- */

/* Behind a digit class: any number, or a part of one? */
static bool any_number(const char *s)
{
    return *s == 0 || *s == '+' || *s == '*' || *s == '{';
}

/* A class of characters that are signs only, [._] or [\\.]: its length, else 0. */
static size_t sign_class(const char *s)
{
    size_t n = *s == '[' && s[1] != '^' ? strcspn(s, "]") : 0;
    for (size_t i = 1; i < n; i++)
        if (is_digit(s[i]) || ((s[i] | 32) >= 'a' && (s[i] | 32) <= 'z'))
            return 0;
    return n && s[n] ? n + 1 : 0;
}

/* s: behind "experts" in a pattern. Whether what follows names experts by number. Says yes when in doubt. */
static bool spells_number(const char *s)
{
    for (;;) {
        size_t n = sign_class(s);
        if (strncmp(s, "\\.", 2) == 0)
            s += 2;
        else if (n)
            s += n;
        else if (*s && strchr(".*+?()|:!=<^", *s))
            s++;
        else
            break;
    }
    if (strncmp(s, "\\d", 2) == 0)
        return !any_number(s + 2);
    if (strncmp(s, "[0-9]", 5) == 0)
        return !any_number(s + 5);
    if (*s != '[')
        return is_digit(*s);
    for (s++; *s != ']'; s++)
        if (!*s || is_digit(*s)) /* [1-3], [^5], a class without an end */
            return true;
    return false;
}

/* Marked as one (compressed-tensors, GPTQModel), or with signs of one and no space, which is prose. */
static bool is_pattern(const char *s)
{
    return strncmp(s, "re:", 3) == 0 || strncmp(s, "+:", 2) == 0 || strncmp(s, "-:", 2) == 0 ||
           (strpbrk(s, "\\^$+?()[]{}|*") && !strchr(s, ' '));
}

static bool names_expert(const char *pattern)
{
    for (const char *s = pattern; (s = strstr(s, "experts")); s += strlen("experts")) {
        bool shared = s - pattern >= 7 && memcmp(s - 7, "shared_", 7) == 0;
        if (!shared && spells_number(s + strlen("experts")))
            return true;
    }
    return false;
}

bool hf_is_expert_pattern(const char *s)
{
    return !is_module_name(s) && is_pattern(s) && names_expert(s);
}

static bool fail_pattern(struct editor *x, uint32_t node, const char *text)
{
    struct buf shown = {0};
    char *path = hf_node_path(x->d, node);
    size_t n = strlen(text);
    buf_safe(&shown, text, n < 200 ? n : 200);
    err_set(
        x->e, ERR_INPUT,
        "%s: '%s' is a pattern that spells an expert number, which cannot be renumbered: expected names of "
        "modules or a pattern for all experts",
        path, shown.s);
    buf_clear(&shown);
    free(path);
    return false;
}

/* The element of a list (or the key of a member) with this text. */
static bool edit_name(struct editor *x, uint32_t node, const char *text, bool key)
{
    struct module m;
    uint32_t number = 0;
    if (is_module_name(text)) {
        enum fate fate = fate_of(x, text, &m, &number);
        if (fate == GOES)
            jedit_cut(&x->edits, x->d, node);
        if (fate != CHANGES)
            return true;
        char *s = xasprintf("%.*s%u%s", (int)(m.number.s - text), text, number, m.number.s + m.number.n);
        (key ? jedit_key : jedit_string)(&x->edits, x->d, node, s);
        free(s);
        return true;
    }
    if (hf_is_expert_pattern(text))
        return fail_pattern(x, node, text);
    return true;
}

static bool is_element(const struct jdoc *d, uint32_t i)
{
    const struct jnode *x = &d->nodes[i];
    return x->kind == J_STRING && x->parent != JSPAN_NONE && d->nodes[x->parent].kind == J_ARRAY;
}

static bool edit_names(struct editor *x)
{
    struct buf b = {0};
    bool ok = true;
    for (uint32_t i = 0; ok && i < x->d->n_nodes; i++) {
        bool key = x->d->nodes[i].key_end > 0;
        if (!key && !is_element(x->d, i))
            continue;
        b.n = 0;
        (key ? jdoc_key : jdoc_str)(x->d, i, &b);
        ok = edit_name(x, i, b.s, key);
    }
    buf_clear(&b);
    return ok;
}

bool hf_edit_config(const struct jdoc *doc, const struct hf_edit_plan *plan, bool counts, struct buf *out,
                    struct err *e)
{
    struct editor x = {.d = doc, .plan = plan, .e = e};
    if (counts)
        edit_counts(&x);
    if (!edit_names(&x)) {
        jedits_clear(&x.edits);
        return false;
    }
    jedits_apply(&x.edits, doc, out);
    return true;
}
