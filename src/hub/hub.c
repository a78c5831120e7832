/* hub.c - see hub.h: local paths, then caches, then the hub. */
#include "hub/hub.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/hub_path.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hf/files.h"
#include "hub/hub_part.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_INDEX (256u << 20)

/* ---- what is in a snapshot ---- */

/* Adds the weights of the checkpoint in `dir`. */
static bool add_weights(const char *dir, const struct hub_list *l, struct hub_pick *p, struct err *e)
{
    struct buf b = {0};
    bool has = hub_list_find(l, p->layout->index) != NULL;
    char *path = path_join(dir, p->layout->index);
    bool ok = !has || file_read_all(path, MAX_INDEX, &b, e);
    ok = ok && (hub_pick_weights(l, has ? b.s : NULL, b.n, p, e) || err_ctx(e, "%s", dir));
    buf_clear(&b);
    free(path);
    return ok;
}

/* The model that is meant in a snapshot, if all of it is there: its path. NULL: it is not (*lacks, the caller's: what is
 * missing, or NULL), or *e. */
static char *in_snapshot(const char *dir, const char *tag, const char *file, char **lacks, struct err *e)
{
    struct hub_list l = {0};
    struct hub_pick p = {0};
    char *path = NULL;
    enum hub_kind kind = HUB_NOTHING;
    bool ok = hub_snapshot_files(dir, &l, e);
    if (ok)
        kind = hub_pick(&l, tag, file, &p);
    if (kind == HUB_CHECKPOINT)
        ok = add_weights(dir, &l, &p, e);
    if (ok && kind != HUB_NOTHING && p.whole)
        path = p.first ? path_join(dir, p.first) : xstrdup(dir);
    *lacks = p.lacks;
    p.lacks = NULL;
    hub_pick_clear(&p);
    hub_list_clear(&l);
    return path;
}

/* ---- local paths ---- */

/* A folder of a cache that was given as a path: the snapshot in it. */
static char *follow(const char *root, const char *given, struct err *e)
{
    char *others, *lacks = NULL, *dir = hub_snapshot(root, &others), *path = NULL;
    if (!dir)
        err_set(e, ERR_INPUT,
                "'%s' is a folder of the hub's cache, and its refs/main names no snapshot%s%s%s", given,
                others ? ": give one of those in snapshots/ (" : ", nor is there one", others ? others : "",
                others ? ")" : "");
    else
        path = in_snapshot(dir, NULL, NULL, &lacks, e);
    if (dir && !path && e->code == ERR_NONE) { /* who opens it says what is wrong with it */
        path = dir;
        dir = NULL;
    }
    free(dir);
    free(lacks);
    free(others);
    return path;
}

/* ---- names ---- */

struct name {
    char *id, *tag; /* tag NULL: none */
};

static void name_clear(struct name *n)
{
    free(n->id);
    free(n->tag);
}

static bool parse_name(const char *s, struct name *n)
{
    size_t k = strcspn(s, ":");
    *n = (struct name){.id = xstrndup(s, k), .tag = s[k] ? xstrdup(s + k + 1) : NULL};
    static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (hub_is_id(n->id) &&
        (!n->tag || (*n->tag && strlen(n->tag) <= 64 && strspn(n->tag, ok) == strlen(n->tag))))
        return true;
    name_clear(n);
    return false;
}

/* A path that is not there and looks like a name of the hub: a folder of the first part, or an ending of a file. */
static bool looks_local(const char *s)
{
    static const char *const ends[] = {".gguf", ".safetensors", ".json", ".bin", ".txt", ".jsonl"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (text_ends(s, ends[i]))
            return true;
    char *dir = xstrndup(s, strcspn(s, "/"));
    bool is = file_is_dir(dir);
    free(dir);
    return is;
}

/* ---- caches ---- */

static char *in_cache(const char *cache, const struct name *n, const char *file, char **lacks, struct err *e)
{
    char *root = hub_cache_root(cache, n->id), *others = NULL,
         *dir = file_is_dir(root) ? hub_snapshot(root, &others) : NULL,
         *path = dir ? in_snapshot(dir, n->tag, file, lacks, e) : NULL;
    free(others);
    free(dir);
    free(root);
    return path;
}

/* In one of them. NULL without *e: in none; *lacks as in in_snapshot. */
static char *in_caches(const struct name *n, const char *file, char **lacks, struct err *e)
{
    char *cache[] = {hub_cache_dir(), hub_cache_other()}, *path = NULL;
    for (size_t i = 0; i < 2; i++) {
        char *less = NULL;
        if (!path && cache[i] && e->code == ERR_NONE)
            path = in_cache(cache[i], n, file, &less, e);
        if (less && !*lacks)
            *lacks = less;
        else
            free(less);
        free(cache[i]);
    }
    return path;
}

static bool is_yes(const char *s) /* as huggingface_hub reads its switches */
{
    return s &&
           (!strcasecmp(s, "1") || !strcasecmp(s, "on") || !strcasecmp(s, "yes") || !strcasecmp(s, "true"));
}

/* Adds where it was looked for, and what makes it local: for a message. */
static void put_where(struct buf *b, const struct hub_want *w, const char *lacks)
{
    char *cache = hub_cache_dir();
    if (lacks)
        buf_fmt(b, "'%s' is in the hub's cache without '%s'", w->model, lacks);
    else
        buf_fmt(b, "'%s' is neither a local path nor in the hub's cache (%s)", w->model,
                cache ? cache : "no HOME");
    free(cache);
}

static void put_command(struct buf *b, const struct hub_want *w, const struct name *n)
{
    buf_fmt(b, "'hf download %s", n->id);
    if (w->file) {
        buf_char(b, ' ');
        buf_shell(b, w->file);
    } else if (n->tag) { /* not all types of it */
        buf_fmt(b, " --include \"*%s*\"", n->tag);
    }
    buf_char(b, '\'');
}

static char *load(const struct hub_want *w, const struct name *n, const char *lacks, struct err *e)
{
    struct buf where = {0}, how = {0};
    bool no_network = false;
    char *path = NULL;
    put_where(&where, w, lacks);
    put_command(&how, w, n);
    if (w->offline || is_yes(getenv("HF_HUB_OFFLINE"))) {
        err_set(e, ERR_INPUT, "%s, and %s forbids a connection: %s gets it", where.s,
                w->offline ? "--offline" : "HF_HUB_OFFLINE", how.s);
    } else if (!(path = hub_download(n->id, n->tag, w->file, &no_network, e)) && no_network) {
        struct err why = *e;
        err_clear(e);
        err_set(e, ERR_FAILED, "%s, and %s; where there is a network, %s gets it", where.s, why.msg, how.s);
    }
    buf_clear(&where);
    buf_clear(&how);
    return path;
}

static char *by_name(const struct hub_want *w, const struct name *n, struct err *e)
{
    char *lacks = NULL, *path = in_caches(n, w->file, &lacks, e);
    if (!path && e->code == ERR_NONE)
        path = load(w, n, lacks, e);
    if (path)
        log_note("%s is %s", w->model, path);
    free(lacks);
    return path;
}

char *hub_resolve(const struct hub_want *w, struct err *e)
{
    struct name n;
    bool there = false;
    if (!w->on_hub && !file_there(w->model, &there, e)) {
        err_clear(e); /* who opens it says so */
        return xstrdup(w->model);
    }
    if (there && w->file) {
        err_set(e, ERR_INPUT, "--hf-file '%s' is for a model of the hub, and '%s' is a local path", w->file,
                w->model);
        return NULL;
    }
    if (there) {
        char *root = file_is_dir(w->model) ? hub_root_of_path(w->model) : NULL,
             *path = root ? follow(root, w->model, e) : xstrdup(w->model);
        free(root);
        return path;
    }
    if (!parse_name(w->model, &n)) {
        if (!w->on_hub)
            return xstrdup(w->model);
        err_set(e, ERR_INPUT, "--hf-repo '%s': expected ORG/REPO or ORG/REPO:QUANT", w->model);
        return NULL;
    }
    char *path = NULL;
    if (!w->on_hub && looks_local(w->model))
        err_set(e, ERR_INPUT,
                "cannot open '%s': No such file or directory; for a model of this name on the hub: -hf %s",
                w->model, w->model);
    else
        path = by_name(w, &n, e);
    name_clear(&n);
    return path;
}
