/* cache.c - the caches in which models of the hub lie; see hub_part.h. Variables as huggingface_hub reads them, and
 * LLAMA_CACHE as llama.cpp v0.5.0 (common/hf-cache.cpp), which keeps its files in the same layout. */
#include "base/buf.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/hub_path.h"
#include "base/mem.h"
#include "hub/hub_part.h"

#include <string.h>
#include <sys/stat.h>

#define MAX_FILES 100000 /* of a snapshot */
#define MAX_DEPTH 16

static char *with(const char *dir, const char *name)
{
    return dir && *dir ? path_join(dir, name) : NULL;
}

char *hub_cache_dir(void)
{
    const char *dir = getenv("HF_HUB_CACHE");
    if (!dir || !*dir)
        dir = getenv("HUGGINGFACE_HUB_CACHE");
    if (dir && *dir)
        return xstrdup(dir);
    char *path = with(getenv("HF_HOME"), "hub");
    if (!path)
        path = with(getenv("XDG_CACHE_HOME"), "huggingface/hub");
    return path ? path : with(getenv("HOME"), ".cache/huggingface/hub");
}

char *hub_cache_other(void)
{
    const char *dir = getenv("LLAMA_CACHE");
    return dir && *dir ? xstrdup(dir) : NULL;
}

char *hub_cache_root(const char *cache, const char *id)
{
    size_t org = strcspn(id, "/");
    char *name = xasprintf(HUB_FOLDER "%.*s--%s", (int)org, id, id + org + 1), *root = path_join(cache, name);
    free(name);
    return root;
}

char *hub_root_of_path(const char *path)
{
    char *root = realpath(path, NULL);
    if (root && !strcmp(path_base(root), "snapshots")) {
        char *up = path_dir(root);
        free(root);
        root = up;
    }
    char *snapshots = root ? path_join(root, "snapshots") : NULL;
    bool is = root && !strncmp(path_base(root), HUB_FOLDER, strlen(HUB_FOLDER)) && file_is_dir(snapshots);
    free(snapshots);
    if (!is) {
        free(root);
        root = NULL;
    }
    return root;
}

/* ---- snapshots ---- */

/* The revision that refs/main holds: one plain name; NULL: none. */
static char *main_of(const char *root)
{
    char *path = path_join(root, "refs/main"), *rev = NULL;
    struct buf b = {0};
    struct err ignored = {0};
    if (file_exists(path) && file_read_all(path, 256, &b, &ignored)) {
        size_t n = b.n ? strcspn(b.s, " \r\n") : 0;
        rev = xstrndup(b.n ? b.s : "", n);
        if (!hub_path_ok(rev) || strchr(rev, '/')) {
            free(rev);
            rev = NULL;
        }
    }
    buf_clear(&b);
    free(path);
    return rev;
}

static char *only_of(const char *dir, char **others)
{
    char **names;
    size_t n;
    struct err ignored = {0};
    if (!folder_names(dir, &names, &n, &ignored))
        return NULL;
    char *only = n == 1 ? path_join(dir, names[0]) : NULL;
    struct buf b = {0};
    for (size_t i = 0; n > 1 && i < n && i < 8; i++)
        buf_fmt(&b, "%s%s", i ? ", " : "", names[i]);
    *others = b.s;
    folder_names_free(names, n);
    return only;
}

char *hub_snapshot(const char *root, char **others)
{
    char *dir = path_join(root, "snapshots"), *rev = main_of(root), *path = rev ? path_join(dir, rev) : NULL;
    *others = NULL;
    if (!path || !file_is_dir(path)) {
        free(path);
        path = only_of(dir, others);
        if (path && !file_is_dir(path)) {
            free(path);
            path = NULL;
        }
    }
    free(rev);
    free(dir);
    return path;
}

static bool list_dir(const char *dir, const char *prefix, int depth, struct hub_list *l, struct err *e)
{
    char **names;
    size_t n;
    if (!folder_names(dir, &names, &n, e))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        char *path = path_join(dir, names[i]), *name = xasprintf("%s%s", prefix, names[i]);
        struct stat st;
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            hub_list_add(l, name, (uint64_t)st.st_size, "");
        } else if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && depth < MAX_DEPTH) {
            char *below = xasprintf("%s/", name);
            ok = list_dir(path, below, depth + 1, l, e);
            free(below);
        }
        if (ok && l->n > MAX_FILES)
            ok = err_set(e, ERR_INPUT, "'%s' holds more than %d files", dir, MAX_FILES);
        free(path);
        free(name);
    }
    folder_names_free(names, n);
    return ok;
}

bool hub_snapshot_files(const char *dir, struct hub_list *l, struct err *e)
{
    bool ok = list_dir(dir, "", 0, l, e);
    hub_list_sort(l);
    return ok;
}
