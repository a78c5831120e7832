/* gg_split.c - models in one file or in several, as llama.cpp's gguf-split and the Python writer make them.
 *
 * NAME-00001-of-0000N.gguf, counted from 1. Every part has split.no (from 0), split.count and
 * split.tensors.count (the tensors of all parts); the keys of the model are in the first part. The engine
 * wants the first part and finds the others by name; it checks split.no of each part and the sum of the
 * tensors, and takes only the kinds below. */
#include "base/file.h"
#include "base/mem.h"
#include "gguf/gg_part.h"

#include <ctype.h>
#include <string.h>

#define TAIL "-00001-of-00001.gguf"

char *gg_split_path(const char *prefix, uint32_t part, uint32_t n_parts)
{
    return xasprintf("%s-%05u-of-%05u.gguf", prefix, part + 1, n_parts);
}

static bool five_digits(const char *s, uint32_t *v)
{
    *v = 0;
    for (int i = 0; i < 5; i++) {
        if (!isdigit((unsigned char)s[i]))
            return false;
        *v = *v * 10 + (uint32_t)(s[i] - '0');
    }
    return true;
}

char *gg_split_prefix(const char *path, uint32_t *part, uint32_t *n_parts)
{
    size_t n = strlen(path), tail = strlen(TAIL);
    if (n <= tail)
        return NULL;
    const char *s = path + n - tail;
    uint32_t no, count;
    if (s[0] != '-' || !five_digits(s + 1, &no) || memcmp(s + 6, "-of-", 4) != 0 ||
        !five_digits(s + 10, &count) || strcmp(s + 15, ".gguf") != 0 || no == 0 || no > count)
        return NULL;
    *part = no - 1;
    *n_parts = count;
    return xstrndup(path, n - tail);
}

/* A key of the split in the kind that the engine takes. *out is left alone if an optional key is absent. */
static bool split_key(const struct gg_part *p, const char *name, enum gg_kind kind, bool needed,
                      uint64_t *out, struct err *e)
{
    const struct gg_key *k = gg_part_find(p, name);
    if (!k)
        return !needed ||
               err_set(e, ERR_INPUT, "%s: key '%s' is missing in a part of a split model", p->path, name);
    if (k->kind != kind)
        return err_set(e, ERR_INPUT, "%s: key '%s' is %s, expected %s", p->path, name, gg_kind_name(k->kind),
                       gg_kind_name(kind));
    if (!gg_key_u64(k, out))
        return err_set(e, ERR_INPUT, "%s: key '%s' is negative", p->path, name);
    return true;
}

/* `path` was opened and is part `no`: say which file to give instead. */
static bool not_first(const char *path, uint64_t no, uint64_t count, struct err *e)
{
    uint32_t part, n_parts;
    char *prefix = gg_split_prefix(path, &part, &n_parts),
         *first = prefix ? gg_split_path(prefix, 0, n_parts) : NULL;
    if (first && part != 0)
        err_set(e, ERR_INPUT, "%s: this is part %llu of %llu of a split model, give the first part: %s", path,
                (unsigned long long)no + 1, (unsigned long long)count, first);
    else
        err_set(e, ERR_INPUT, "%s: key 'split.no' is %llu, expected 0 (the first part of a split model)",
                path, (unsigned long long)no);
    free(first);
    free(prefix);
    return false;
}

static bool read_part(struct gg_file *f, const char *path, uint32_t i, uint32_t n_parts, struct err *e)
{
    bool there;
    if (!file_there(path, &there, e))
        return false;
    if (!there)
        return err_set(e, ERR_INPUT, "part %u of %u is missing: %s", i + 1, n_parts, path);
    if (!gg_part_read(f, path, e))
        return false;
    const struct gg_part *p = &f->parts[i];
    uint64_t no = 0, count = n_parts;
    if (!split_key(p, "split.no", GG_U16, true, &no, e) ||
        !split_key(p, "split.count", GG_U16, false, &count, e))
        return false;
    if (no != i)
        return err_set(e, ERR_INPUT, "%s: key 'split.no' is %llu, expected %u", path, (unsigned long long)no,
                       i);
    if (count != n_parts)
        return err_set(e, ERR_INPUT, "%s: key 'split.count' is %llu, expected %u as in the first part", path,
                       (unsigned long long)count, n_parts);
    return true;
}

/* The first part is open: whether it holds all tensors, and there is no second. */
static bool is_whole(const struct gg_file *f, uint32_t n_parts, bool *whole, struct err *e)
{
    const struct gg_part *p = &f->parts[0];
    uint64_t n;
    uint32_t part, in_name;
    *whole = gg_key_u64(gg_part_find(p, "split.tensors.count"), &n) && n == p->n_tensors;
    char *prefix = *whole ? gg_split_prefix(p->path, &part, &in_name) : NULL;
    bool ok = true, there = false;
    if (prefix && part == 0 && in_name == n_parts) {
        char *second = gg_split_path(prefix, 1, n_parts);
        ok = file_there(second, &there, e);
        free(second);
    }
    *whole = *whole && !there;
    free(prefix);
    return ok;
}

/* The first part is open; opens the others. */
static bool read_others(struct gg_file *f, uint32_t n_parts, struct err *e)
{
    const char *path = f->parts[0].path;
    char *first = xstrdup(path);
    uint32_t part = 0, in_name = 0;
    char *prefix = gg_split_prefix(first, &part, &in_name);
    bool ok = true;
    if (!prefix || part != 0 || in_name != n_parts)
        ok = err_set(e, ERR_INPUT,
                     "%s: part 1 of a model split in %u, expected a name that ends in -00001-of-%05u.gguf",
                     first, n_parts, n_parts);
    for (uint32_t i = 1; ok && i < n_parts; i++) {
        char *name = gg_split_path(prefix, i, n_parts);
        ok = read_part(f, name, i, n_parts, e);
        free(name);
    }
    uint64_t n = 0;
    ok = ok && split_key(&f->parts[0], "split.tensors.count", GG_I32, true, &n, e);
    if (ok && n != f->n_tensors)
        ok = err_set(e, ERR_INPUT, "%s: key 'split.tensors.count' is %llu, the %u parts hold %llu tensors",
                     first, (unsigned long long)n, n_parts, (unsigned long long)f->n_tensors);
    free(prefix);
    free(first);
    return ok;
}

static bool open_all(struct gg_file *f, const char *path, struct err *e)
{
    if (!gg_part_read(f, path, e))
        return false;
    uint64_t count = 0, no = 0;
    if (!split_key(&f->parts[0], "split.count", GG_U16, false, &count, e))
        return false;
    if (count > 1) {
        if (!split_key(&f->parts[0], "split.no", GG_U16, true, &no, e))
            return false;
        if (no != 0)
            return not_first(path, no, count, e);
        if (!is_whole(f, (uint32_t)count, &f->split_left, e) ||
            (!f->split_left && !read_others(f, (uint32_t)count, e)))
            return false;
    }
    return gg_index(f, e) || err_ctx(e, "%s", path);
}

struct gg_file *gg_open(const char *path, struct err *e)
{
    struct gg_file *f = xcalloc(1, sizeof *f);
    if (open_all(f, path, e))
        return f;
    gg_free(f);
    return NULL;
}
