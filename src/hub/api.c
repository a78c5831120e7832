/* api.c - answers of the hub's interface, which are foreign bytes; see hub_part.h. The interface: huggingface_hub
 * (HfApi.model_info, list_repo_tree), huggingface.co/docs/hub/api. */
#include "base/json.h"
#include "base/mem.h"
#include "hub/hub_part.h"

#include <string.h>

#define MAX_FILES 100000 /* of a repository */

static bool is_hex(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

bool hub_parse_revision(const char *s, size_t n, char commit[41], struct err *e)
{
    json_t *o = json_parse(s, n, e);
    const char *sha = json_string_value(json_object_get(o, "sha"));
    bool ok = o != NULL;
    if (ok && (!sha || !is_hex(sha, 40)))
        ok = err_set(e, ERR_FAILED, "'sha' is not a revision of 40 hexadecimal digits");
    if (ok)
        memcpy(commit, sha, 41);
    json_decref(o);
    if (!ok)
        e->code = ERR_FAILED; /* the fault of the server */
    return ok;
}

static bool add_file(const json_t *x, struct hub_list *l, struct err *e)
{
    const char *type = json_string_value(json_object_get(x, "type")),
               *path = json_string_value(json_object_get(x, "path"));
    const json_t *lfs = json_object_get(x, "lfs");
    const json_t *from = json_is_object(lfs) ? lfs : x;
    const char *oid = json_string_value(json_object_get(from, "oid"));
    json_int_t size = json_integer_value(json_object_get(from, "size"));
    if (type && strcmp(type, "file") != 0)
        return true;
    if (!type || !path)
        return err_set(e, ERR_FAILED, "an entry lacks 'type' or 'path'");
    if (!hub_path_ok(path))
        return err_set(e, ERR_FAILED, "'%.200s' is no name of a file that stays in the folder", path);
    if (!json_is_integer(json_object_get(from, "size")) || size < 0)
        return err_set(e, ERR_FAILED, "the size of '%.200s' is %s, expected a number of bytes", path,
                       json_type_name(json_object_get(from, "size")));
    if (!oid || !is_hex(oid, from == lfs ? 64 : 40))
        return err_set(e, ERR_FAILED, "the hash of '%.200s' is not %d hexadecimal digits", path,
                       from == lfs ? 64 : 40);
    if (l->n >= MAX_FILES)
        return err_set(e, ERR_FAILED, "more than %d files", MAX_FILES);
    hub_list_add(l, path, (uint64_t)size, oid);
    return true;
}

bool hub_parse_tree(const char *s, size_t n, struct hub_list *l, struct err *e)
{
    json_t *a = json_parse(s, n, e);
    const json_t *x;
    size_t i;
    bool ok = a != NULL;
    if (ok && !json_is_array(a))
        ok = err_set(e, ERR_FAILED, "it is %s, expected a list of files", json_type_name(a));
    json_array_foreach (a, i, x)
        if (ok)
            ok = add_file(x, l, e);
    json_decref(a);
    if (!ok)
        e->code = ERR_FAILED;
    return ok;
}

char *hub_next_link(const char *header)
{
    for (const char *p = header; (p = strchr(p, '<'));) {
        const char *end = strchr(++p, '>');
        if (!end)
            return NULL;
        const char *rel = end + 1;
        size_t n = strcspn(rel, "<");
        const char *next = memmem(rel, n, "rel=\"next\"", 10);
        if (next)
            return xstrndup(p, (size_t)(end - p));
        p = end;
    }
    return NULL;
}
