/* lists.c - see lists.h. */
#include "plan/lists.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"

#include <string.h>

#define MAX_BYTES (64ull << 20)
#define MAX_ID    (LIMIT_EXPERTS - 1)

void lists_clear(struct id_lists *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        free(l->l[i].ids);
    free(l->l);
    *l = (struct id_lists){0};
}

/* A new, empty list of a layer. */
static struct id_list *add_layer(struct id_lists *out, uint64_t il, struct err *e)
{
    if (il > INT32_MAX || out->n == LIMIT_LAYERS) {
        err_set(e, ERR_INPUT, "layer %llu: expected at most %u layers with numbers below 2^31",
                (unsigned long long)il, LIMIT_LAYERS);
        return NULL;
    }
    out->l = xrealloc(out->l, (size_t)out->n + 1, sizeof *out->l);
    out->l[out->n] = (struct id_list){.il = (uint32_t)il};
    return &out->l[out->n++];
}

/* ---- JSON ---- */

static bool read_array(struct id_lists *out, const char *key, const json_t *a, struct err *e)
{
    uint64_t il;
    size_t bad;
    if (!ids_number(key, strlen(key), &il))
        return err_set(e, ERR_INPUT, "'%.40s' is not a layer number", key);
    if (!json_is_array(a))
        return err_set(e, ERR_INPUT, "layer %.20s: expected a list of expert ids, found %s", key,
                       json_type_name(a));
    if (json_array_size(a) > MAX_ID + 1)
        return err_set(e, ERR_INPUT, "layer %.20s: %zu ids are too many", key, json_array_size(a));
    struct id_list *l = add_layer(out, il, e);
    if (!l)
        return false;
    l->ids = xcalloc(json_array_size(a), sizeof *l->ids);
    l->n = (uint32_t)json_array_size(a);
    return ids_read(a, MAX_ID, l->ids, &bad) ||
           err_set(e, ERR_INPUT, "layer %.20s: entry %zu is not an expert id (0 to %d)", key, bad, MAX_ID);
}

static bool read_object(struct id_lists *out, json_t *o, struct err *e)
{
    const char *key;
    json_t *a;
    json_object_foreach (o, key, a)
        if (!read_array(out, key, a, e))
            return false;
    return true;
}

static bool read_document(struct id_lists *out, json_t *doc, struct err *e)
{
    uint64_t n = 0;
    json_t *keep = json_object_get(doc, "keep");
    if (!json_is_object(doc))
        return err_set(e, ERR_INPUT, "expected an object of layers, found %s", json_type_name(doc));
    if (!keep)
        return read_object(out, doc, e);
    out->is_keep = true;
    const char *const names[] = {"n_expert", "n_experts"};
    for (size_t i = 0; i < 2; i++)
        if (json_object_get(doc, names[i])) {
            if (!json_need_u64(doc, names[i], "keep-list", &n, e))
                return false;
            if (n < 1 || n > MAX_ID + 1)
                return err_set(e, ERR_INPUT, "%s is %llu, expected 1 to %d", names[i], (unsigned long long)n,
                               MAX_ID + 1);
            out->n_experts = (uint32_t)n;
        }
    return json_is_object(keep)
               ? read_object(out, keep, e)
               : err_set(e, ERR_INPUT, "'keep' is %s, expected an object of layers", json_type_name(keep));
}

/* ---- lines ---- */

static bool read_line(struct id_lists *out, const char *s, size_t n, struct err *e)
{
    const char *colon = memchr(s, ':', n), *end = s + n;
    uint64_t il, id;
    size_t k = colon ? (size_t)(colon - s) : 0;
    while (k && s[k - 1] == ' ')
        k--;
    if (!colon || !ids_number(s, k, &il))
        return err_set(e, ERR_INPUT, "expected 'LAYER: IDS', found '%.*s'", (int)(n < 40 ? n : 40), s);
    struct id_list *l = add_layer(out, il, e);
    uint32_t cap = 0;
    for (const char *p = colon + 1; l && p < end;) {
        size_t skip = strspn(p, " ,\t"), len;
        p += skip;
        len = strcspn(p, " ,\t\n\r");
        if (p >= end || !len)
            break;
        if (!ids_number(p, len, &id) || id > MAX_ID || l->n > MAX_ID)
            return err_set(e, ERR_INPUT, "layer %llu: '%.*s' is not an expert id (0 to %d)",
                           (unsigned long long)il, (int)(len < 40 ? len : 40), p, MAX_ID);
        GROW(l->ids, l->n, cap);
        l->ids[l->n++] = (uint32_t)id;
        p += len;
    }
    return l != NULL;
}

static bool read_lines(struct id_lists *out, const struct buf *b, struct err *e)
{
    uint32_t number = 0;
    for (size_t at = 0; at < b->n;) {
        const char *s = b->s + at, *nl = memchr(s, '\n', b->n - at);
        size_t n = nl ? (size_t)(nl - s) : b->n - at;
        at += n + 1;
        number++;
        const char *hash = memchr(s, '#', n);
        n = hash ? (size_t)(hash - s) : n;
        while (n && (s[n - 1] == ' ' || s[n - 1] == '\r' || s[n - 1] == '\t'))
            n--;
        while (n && (*s == ' ' || *s == '\t'))
            s++, n--;
        if (!n)
            continue;
        bool ok;
        if (*s == '{') {
            json_t *o = json_parse_row(s, n, e);
            ok = o && read_object(out, o, e);
            json_decref(o);
        } else {
            ok = read_line(out, s, n, e);
        }
        if (!ok)
            return err_ctx(e, "line %u", number);
    }
    return true;
}

/* ---- both ---- */

static bool no_doubles(struct id_lists *out, struct err *e)
{
    uint8_t *seen = xcalloc(MAX_ID + 1, 1);
    bool ok = true;
    qsort(out->l, out->n, sizeof *out->l, ids_compare);
    for (uint32_t i = 0; ok && i < out->n; i++) {
        const struct id_list *l = &out->l[i];
        if (i && l->il == l[-1].il)
            ok = err_set(e, ERR_INPUT, "layer %u is there twice", l->il);
        memset(seen, 0, MAX_ID + 1);
        for (uint32_t k = 0; ok && k < l->n; k++)
            if (seen[l->ids[k]]++)
                ok = err_set(e, ERR_INPUT, "layer %u: expert %u is listed twice", l->il, l->ids[k]);
    }
    free(seen);
    return ok;
}

bool lists_read(const char *path, struct id_lists *out, struct err *e)
{
    struct buf b = {0};
    struct err no = {0};
    *out = (struct id_lists){0};
    if (!file_read_all(path, MAX_BYTES, &b, e))
        return false;
    bool ok = !memchr(b.s ? b.s : "", 0, b.n) || err_set(e, ERR_INPUT, "holds a NUL character");
    json_t *doc = ok && b.n ? json_parse(b.s, b.n, &no) : NULL;
    const char *first = b.s ? b.s + strspn(b.s, " \t\r\n") : "";
    if (ok && doc)
        ok = read_document(out, doc, e);
    else if (ok && *first == '{' && !strchr(first, '\n'))
        ok = err_set(e, ERR_INPUT, "%s", no.msg); /* one line of JSON that is none */
    else if (ok)
        ok = read_lines(out, &b, e);
    if (ok && !out->n)
        ok = err_set(e, ERR_INPUT, "holds no layer");
    ok = ok && no_doubles(out, e);
    json_decref(doc);
    buf_clear(&b);
    if (ok)
        return true;
    lists_clear(out);
    return err_ctx(e, "%s", path);
}
