/* config.c - see config.h.
 *
 * Nodes of a document lie in the order of the text, a parent before its children. So one loop over them is a
 * walk over the whole tree, and an object is left out by skipping what begins before its end. */
#include "hf/config.h"
#include "base/mem.h"
#include "base/text.h"
#include "hf/conf.h"
#include "hf/names.h"

#include <string.h>

#define MAX_COUNT 1000000u /* of experts, layers...: far above any model, far below an overflow */

/* Objects that say how weights are stored. */
static bool is_quantized(const char *key)
{
    return strstr(key, "quant") || strstr(key, "compression");
}

static bool key_in(const struct jdoc *d, uint32_t node, const char *keys)
{
    char key[CONF_WORD];
    while (conf_next(&keys, key))
        if (jdoc_key_is(d, node, key))
            return true;
    return false;
}

static char *path_of(const struct jdoc *d, uint32_t node)
{
    struct buf b = {0};
    jdoc_path(d, node, &b);
    return b.s;
}

/* ---- walking ---- */

struct walk {
    const struct jdoc *d;
    uint32_t i;
    size_t skip_to;
    struct buf key;
};

static bool is_foreign(struct walk *w, uint32_t i)
{
    const struct jnode *x = &w->d->nodes[i];
    if (x->kind != J_OBJECT || !x->key_end)
        return false;
    w->key.n = 0;
    jdoc_key(w->d, i, &w->key);
    return hf_is_foreign(w->key.s) || is_quantized(w->key.s);
}

/* The next member of an object of the language model, or JSPAN_NONE. Start with {.d = d}. */
static uint32_t next_member(struct walk *w)
{
    while (w->i < w->d->n_nodes) {
        uint32_t i = w->i++;
        const struct jnode *x = &w->d->nodes[i];
        if (!x->key_end || x->at < w->skip_to)
            continue;
        if (!is_foreign(w, i))
            return i;
        w->skip_to = x->end;
    }
    buf_clear(&w->key);
    return JSPAN_NONE;
}

/* ---- reading ---- */

static bool fail_number(const struct jdoc *d, uint32_t node, struct err *e)
{
    char *path = path_of(d, node);
    const struct jnode *x = &d->nodes[node];
    if (x->kind == J_NUMBER)
        err_set(e, ERR_INPUT, "%s is %.*s, expected a whole number of at most %u", path,
                (int)(x->end - x->at < 40 ? x->end - x->at : 40), d->text + x->at, MAX_COUNT);
    else
        err_set(e, ERR_INPUT, "%s is %s, expected a whole number", path, jdoc_kind_name(d, node));
    free(path);
    return false;
}

static bool number(const struct jdoc *d, uint32_t node, uint32_t *out, struct err *e)
{
    uint64_t v;
    if (!jdoc_u64(d, node, &v) || v > MAX_COUNT)
        return fail_number(d, node, e);
    *out = (uint32_t)v;
    return true;
}

/* The largest of a list's numbers, or the number. *none: null, or a list without a number. */
static bool largest(const struct jdoc *d, uint32_t node, uint32_t *out, bool *none, struct err *e)
{
    const struct jnode *x = &d->nodes[node];
    *none = x->kind == J_NULL || (x->kind == J_ARRAY && x->n == 0);
    *out = 0;
    if (*none)
        return true;
    if (x->kind != J_ARRAY)
        return number(d, node, out, e);
    for (uint32_t i = x->first; i != JSPAN_NONE; i = d->nodes[i].next) {
        uint32_t v = 0;
        if (!number(d, i, &v, e))
            return false;
        if (v > *out)
            *out = v;
    }
    return true;
}

struct reader {
    const struct jdoc *d;
    struct hf_counts *out;
    uint32_t count_node; /* the first key of the expert count; JSPAN_NONE */
    uint32_t n_used, n_mtp;
    struct err *e;
};

static bool fail_differ(struct reader *r, uint32_t node, uint32_t v)
{
    char *path = path_of(r->d, node);
    err_set(r->e, ERR_INPUT, "%s is %u, %s is %u: expected one number of experts", r->out->n_experts_path,
            r->out->n_experts, path, v);
    free(path);
    return false;
}

static bool read_count(struct reader *r, uint32_t node)
{
    const struct jdoc *d = r->d;
    uint32_t v;
    bool none;
    if (!largest(d, node, &v, &none, r->e))
        return false;
    if (none)
        return true;
    if (r->count_node == JSPAN_NONE) {
        r->count_node = node;
        r->out->n_experts = v;
        r->out->n_experts_path = path_of(d, node);
    }
    if (v != r->out->n_experts)
        return fail_differ(r, node, v);
    if (d->nodes[node].kind != J_ARRAY)
        return true;
    for (uint32_t i = d->nodes[node].first; i != JSPAN_NONE; i = d->nodes[i].next) {
        uint32_t x = 0;
        if (!number(d, i, &x, r->e))
            return false;
        if (x > 1 && x != v)
            return fail_differ(r, i, x);
    }
    return true;
}

/* Keeps the largest value and where it stands. */
static bool read_max(struct reader *r, uint32_t node, uint32_t *max, char **path)
{
    uint32_t v;
    bool none;
    if (!largest(r->d, node, &v, &none, r->e))
        return false;
    if (!none && v > *max) {
        *max = v;
        if (path) {
            free(*path);
            *path = path_of(r->d, node);
        }
    }
    return true;
}

static bool read_member(struct reader *r, uint32_t node)
{
    struct hf_counts *o = r->out;
    if (key_in(r->d, node, HF_KEYS_EXPERTS))
        return read_count(r, node);
    if (key_in(r->d, node, HF_KEYS_USED))
        return read_max(r, node, &o->n_used, &o->n_used_path);
    if (key_in(r->d, node, HF_KEYS_GROUPS))
        return read_max(r, node, &o->n_groups, NULL);
    if (key_in(r->d, node, HF_KEYS_GROUPS_USED))
        return read_max(r, node, &o->n_groups_used, NULL);
    if (key_in(r->d, node, HF_KEYS_MTP))
        return read_max(r, node, &o->n_mtp, &o->n_mtp_path);
    if (jdoc_key_is(r->d, node, "topk_method"))
        o->groups_ignored = jdoc_str_is(r->d, node, "greedy");
    return true;
}

static char *string_of(const struct jdoc *d, uint32_t node)
{
    if (node == JSPAN_NONE || d->nodes[node].kind != J_STRING)
        return NULL;
    struct buf b = {0};
    jdoc_str(d, node, &b);
    return b.s;
}

/* The number of layers stands beside the expert count or further out (DBRX); a copy at the root may be stale,
 * so the innermost counts. */
static bool read_layers(struct reader *r)
{
    const struct jdoc *d = r->d;
    uint32_t o = r->count_node == JSPAN_NONE ? 0 : d->nodes[r->count_node].parent;
    uint32_t text = hf_text_config(d);
    if (o == 0 && text != JSPAN_NONE)
        o = text;
    if (d->nodes[o].kind == J_OBJECT)
        r->out->text_model_type = string_of(d, jdoc_get(d, o, "model_type"));
    for (; o != JSPAN_NONE; o = d->nodes[o].parent) {
        char key[CONF_WORD];
        for (const char *keys = HF_KEYS_LAYERS; conf_next(&keys, key);) {
            uint32_t node = jdoc_get(d, o, key);
            if (node != JSPAN_NONE && d->nodes[node].kind != J_NULL)
                return number(d, node, &r->out->n_layers, r->e);
        }
    }
    return true;
}

static void read_quantization(const struct jdoc *d, struct hf_counts *out)
{
    for (uint32_t i = 0; i < d->n_nodes; i++) {
        if (d->nodes[i].kind != J_OBJECT || !d->nodes[i].key_end || !key_in(d, i, HF_KEYS_QUANTIZATION))
            continue;
        uint32_t method = jdoc_get(d, i, "quant_method"), four = jdoc_get(d, i, "load_in_4bit");
        if (!out->quant_method)
            out->quant_method = string_of(d, method);
        if (jdoc_str_is(d, method, "bitsandbytes") && four != JSPAN_NONE && d->nodes[four].kind == J_TRUE)
            out->bnb_4bit = true;
    }
}

static bool read_all(struct reader *r)
{
    struct hf_counts *o = r->out;
    if (r->d->nodes[0].kind != J_OBJECT)
        return err_set(r->e, ERR_INPUT, "the outermost value is %s, expected an object",
                       jdoc_kind_name(r->d, 0));
    struct walk w = {.d = r->d};
    bool ok = true;
    for (uint32_t i; ok && (i = next_member(&w)) != JSPAN_NONE;)
        ok = read_member(r, i);
    buf_clear(&w.key);
    if (!ok || !read_layers(r))
        return false;
    if (o->n_experts && o->n_used > o->n_experts)
        return err_set(r->e, ERR_INPUT, "%s is %u, expected at most the %u experts of %s", o->n_used_path,
                       o->n_used, o->n_experts, o->n_experts_path);
    if (o->n_groups == 0)
        o->n_groups = 1;
    if (o->n_groups_used == 0)
        o->n_groups_used = 1;
    o->model_type = string_of(r->d, jdoc_get(r->d, 0, "model_type"));
    uint32_t list = jdoc_get(r->d, 0, "architectures");
    if (list != JSPAN_NONE && r->d->nodes[list].kind == J_ARRAY)
        o->architecture = string_of(r->d, r->d->nodes[list].first);
    read_quantization(r->d, o);
    return true;
}

bool hf_counts(const struct jdoc *config, struct hf_counts *out, struct err *e)
{
    *out = (struct hf_counts){0};
    struct reader r = {.d = config, .out = out, .count_node = JSPAN_NONE, .e = e};
    if (read_all(&r))
        return true;
    hf_counts_clear(out);
    return false;
}

void hf_counts_clear(struct hf_counts *c)
{
    free(c->n_experts_path);
    free(c->n_used_path);
    free(c->n_mtp_path);
    free(c->model_type);
    free(c->text_model_type);
    free(c->architecture);
    free(c->quant_method);
    *c = (struct hf_counts){0};
}

/* ---- editing: counts ---- */

struct editor {
    const struct jdoc *d;
    const struct hf_edit_plan *plan;
    struct jedits edits;
    struct err *e;
};

/* all: every number; else those that are the old count (in a list 0 and 1 are dense layers, and moe_capacity may be
 * no count). */
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
    struct walk w = {.d = x->d};
    for (uint32_t i; (i = next_member(&w)) != JSPAN_NONE;) {
        if (key_in(x->d, i, HF_KEYS_EXPERTS))
            set_number(x, i, x->plan->n_keep, false);
        else if (jdoc_key_is(x->d, i, "moe_capacity"))
            set_number(x, i, x->plan->n_keep, false);
        else if (x->plan->drop_mtp && key_in(x->d, i, HF_KEYS_MTP))
            set_number(x, i, 0, true);
    }
}

/* ---- editing: names ---- */

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
    return renumber(x, m, m->mtp ? -1 : m->layer, number);
}

/* ---- editing: patterns ---- */

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
    char *path = path_of(x->d, node);
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

/* ---- for those who check ---- */

enum hf_key hf_key(const struct jdoc *d, uint32_t member)
{
    return key_in(d, member, HF_KEYS_EXPERTS) || jdoc_key_is(d, member, "moe_capacity") ? HF_KEY_COUNT
           : key_in(d, member, HF_KEYS_MTP)                                             ? HF_KEY_MTP
                                                                                        : HF_KEY_OTHER;
}

bool hf_is_foreign_object(const struct jdoc *d, uint32_t member)
{
    struct walk w = {.d = d};
    bool yes = is_foreign(&w, member);
    buf_clear(&w.key);
    return yes;
}
