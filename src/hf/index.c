/* index.c - see index.h. */
#include "hf/index.h"
#include "base/mem.h"
#include "base/text.h"
#include "hf/checkpoint.h"
#include "hf/members.h"

#include <string.h>

#define MAX_VALUE (16u << 20) /* bytes of the metadata, or of a member that we do not know */

struct parser {
    struct members m;
    struct jdoc doc;
    struct buf scratch;
    struct hf_index *x;
    bool has_map;
    struct err *e;
};

/* ---- reading ---- */

/* The name comes from a stranger: it must not lead out of the folder, nor to another kind of file. */
static bool check_file_name(const char *name, struct err *e)
{
    static const char suffix[] = ".safetensors";
    size_t n = strlen(name), k = sizeof suffix - 1;
    char shown[2 * TEXT_SHOWN];
    if (strpbrk(name, "/\\") || strstr(name, ".."))
        return err_set(e, ERR_INPUT, "the file name '%s' may lead out of the folder, expected a plain name",
                       text_shown(shown, sizeof shown, name));
    if (name[0] == '.' || n <= k || strcmp(name + n - k, suffix) != 0)
        return err_set(e, ERR_INPUT,
                       "the file name '%s' is not that of a safetensors file (NAME.safetensors)",
                       text_shown(shown, sizeof shown, name));
    return true;
}

static bool add_entry(struct parser *p, const char *name, const char *file)
{
    struct hf_index *x = p->x;
    void *map = grow_try(x->map, x->n, &x->cap, UINT64_MAX, sizeof *x->map, "the entries of an index", p->e);
    if (!map)
        return false;
    x->map = map;
    x->map[x->n++] = (struct hf_index_entry){name, file};
    return true;
}

static bool read_map(struct parser *p)
{
    struct members m;
    if (p->has_map)
        return err_set(p->e, ERR_INPUT, "weight_map is there twice");
    p->has_map = true;
    members_open(&m, p->m.text, p->m.n, p->m.pos, &p->doc, &p->scratch, p->e);
    while (members_next(&m)) {
        const char *name = m.key, *file = members_str(&m, "the name of a file");
        char shown[2 * TEXT_SHOWN];
        if (!file || !check_file_name(file, p->e))
            return err_ctx(p->e, "weight_map: tensor '%s'", text_shown(shown, sizeof shown, name));
        if (!add_entry(p, name, file))
            return false;
    }
    p->m.pos = m.pos;
    return m.ok || err_ctx(p->e, "weight_map");
}

static bool read_other(struct parser *p)
{
    bool metadata = !strcmp(p->m.key, "metadata");
    char shown[2 * TEXT_SHOWN];
    if (!members_value(&p->m, MAX_VALUE))
        return err_ctx(p->e, "'%s'", text_shown(shown, sizeof shown, p->m.key));
    const struct jnode *v = &p->doc.nodes[0];
    if (!metadata)
        return true;
    if (p->x->metadata)
        return err_set(p->e, ERR_INPUT, "metadata is there twice");
    if (v->kind != J_OBJECT)
        return err_set(p->e, ERR_INPUT, "metadata is %s, expected an object", jdoc_kind_name(&p->doc, 0));
    p->x->metadata = xstrndup(p->doc.text + v->at, v->end - v->at);
    return true;
}

static bool read_index(struct parser *p)
{
    members_check_escapes(&p->m);
    while (members_next(&p->m))
        if (!(strcmp(p->m.key, "weight_map") ? read_other(p) : read_map(p)))
            return false;
    if (!members_end(&p->m))
        return false;
    if (!p->has_map)
        return err_set(p->e, ERR_INPUT, "weight_map is missing, expected an object of tensor and file names");
    return p->x->n || err_set(p->e, ERR_INPUT, "weight_map names no tensor");
}

static int cmp_entries(const void *a, const void *b)
{
    return strcmp(((const struct hf_index_entry *)a)->name, ((const struct hf_index_entry *)b)->name);
}

static bool sort_entries(struct parser *p)
{
    struct hf_index *x = p->x;
    char shown[2 * TEXT_SHOWN];
    qsort(x->map, x->n, sizeof *x->map, cmp_entries);
    for (uint64_t i = 1; i < x->n; i++)
        if (!strcmp(x->map[i - 1].name, x->map[i].name))
            return err_set(p->e, ERR_INPUT, "weight_map: tensor '%s' stands twice, in '%s' and in '%s'",
                           text_shown(shown, sizeof shown, x->map[i].name), x->map[i - 1].file,
                           x->map[i].file);
    return true;
}

bool hf_index_parse(char *text, size_t n, struct hf_index *out, struct err *e)
{
    struct parser p = {.x = out, .e = e};
    *out = (struct hf_index){0};
    members_open(&p.m, text, n, 0, &p.doc, &p.scratch, e);
    bool ok = read_index(&p) && sort_entries(&p);
    jdoc_clear(&p.doc);
    buf_clear(&p.scratch);
    if (!ok)
        hf_index_clear(out);
    return ok;
}

void hf_index_clear(struct hf_index *x)
{
    free(x->map);
    free(x->metadata);
    *x = (struct hf_index){0};
}

/* ---- writing ---- */

static void put_total(struct buf *b, bool first, const char *key, uint64_t v)
{
    buf_fmt(b, "%s\n    \"%s\": %llu", first ? "" : ",", key, (unsigned long long)v);
}

/* The members as they were spelled, each on a line of its own, with the new totals. */
static void put_metadata(struct buf *b, const char *metadata, uint64_t total_size, uint64_t total_parameters)
{
    struct jdoc d = {0};
    struct err e = {0};
    bool has_size = false, first = true;
    if (!jdoc_parse(&d, metadata, strlen(metadata), 0, NULL, false, &e) || d.nodes[0].kind != J_OBJECT)
        BUG("metadata of an index: %s", e.msg);
    for (uint32_t i = d.nodes[0].first; i != JSPAN_NONE; i = d.nodes[i].next, first = false) {
        const struct jnode *v = &d.nodes[i];
        if (jdoc_key_is(&d, i, "total_size")) {
            put_total(b, first, "total_size", total_size);
            has_size = true;
        } else if (jdoc_key_is(&d, i, "total_parameters")) {
            put_total(b, first, "total_parameters", total_parameters);
        } else {
            buf_fmt(b, "%s\n    %.*s: ", first ? "" : ",", (int)(v->key_end - v->key_at),
                    metadata + v->key_at);
            buf_add(b, metadata + v->at, v->end - v->at);
        }
    }
    if (!has_size)
        put_total(b, first, "total_size", total_size);
    jdoc_clear(&d);
}

void hf_put_index(struct buf *b, const char *metadata, uint64_t total_size, uint64_t total_parameters,
                  struct hf_index_entry *map, uint64_t n)
{
    qsort(map, n, sizeof *map, cmp_entries);
    buf_str(b, "{\n  \"metadata\": {");
    put_metadata(b, metadata ? metadata : "{}", total_size, total_parameters);
    buf_str(b, "\n  },\n  \"weight_map\": {");
    for (uint64_t i = 0; i < n; i++) {
        buf_str(b, i ? ",\n    " : "\n    ");
        buf_json_str(b, map[i].name);
        buf_str(b, ": ");
        buf_json_str(b, map[i].file);
    }
    buf_str(b, n ? "\n  }\n}\n" : "}\n}\n");
}
