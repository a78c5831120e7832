/* download.c - a model of the hub into its cache: which revision, which files, whether there is room, file by file; see
 * hub_part.h. refs/main is written last: what it names is whole, so a model that was there before stays the one that is
 * found until the new one is. */
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/text.h"
#include "hf/files.h"
#include "hub/hub_part.h"

#include <string.h>
#include <unistd.h>

#define MAX_ANSWER (64u << 20)
#define MAX_INDEX  (256u << 20)
#define MAX_PAGES  1000
#define MAX_TRIES  3

/* ---- what the hub says ---- */

bool hub_refused(const struct hub_fetch *x, const char *what, const struct hub_answer *a, struct err *e)
{
    const char *at = hub_http_endpoint(x->http);
    if (!a->ours)
        return err_set(e, ERR_FAILED, "the host that %s sends us to answers with status %ld", at, a->status);
    bool unknown = !strcmp(a->code, "RepoNotFound") || !strcmp(a->code, "EntryNotFound");
    if (!strcmp(a->code, "GatedRepo") || (a->status == 403 && !unknown))
        return err_set(e, ERR_INPUT, "'%s' is gated: accept its terms at %s/%s, %s", x->id, at, x->id,
                       a->had_token ? "with the account of the token that was sent (HF_TOKEN)"
                                    : "then set HF_TOKEN to a token of that account");
    if (a->status == 401 && !unknown)
        return err_set(e, ERR_INPUT, "'%s': %s (status 401)", x->id,
                       a->had_token ? "the token in HF_TOKEN is not accepted"
                                    : "there is no such model, or it is private: then set HF_TOKEN");
    if (a->status == 401 || a->status == 404)
        return err_set(e, ERR_INPUT, "%s has no %s%s'%s'%s", at, what ? what : "", what ? " of " : "model ",
                       x->id, a->had_token ? "" : ", or it is private: then set HF_TOKEN");
    if (a->status == 429)
        return err_set(e, ERR_FAILED,
                       "%s answers that there were too many requests (status 429): try again later", at);
    return err_set(e, ERR_FAILED, "%s answers with status %ld", at, a->status);
}

static bool keep(void *ctx, const struct hub_answer *a, const char *p, size_t n, struct err *e)
{
    struct buf *b = ctx;
    (void)a;
    if (n > MAX_ANSWER - b->n)
        return err_set(e, ERR_FAILED, "the server sends more than %u MiB, which is no answer",
                       MAX_ANSWER >> 20);
    buf_add(b, p, n);
    return true;
}

/* An answer of the interface. link: that of the next page, the caller's. */
static bool ask(struct hub_fetch *x, const char *url, struct buf *b, char **link, struct err *e)
{
    bool ok = false, again = true;
    for (int i = 0; again; i++) {
        struct hub_answer a = {0};
        buf_clear(b);
        err_clear(e);
        ok = hub_http_get(x->http, url, 0, keep, b, &a, e);
        again = i + 1 < MAX_TRIES && (ok ? a.status / 100 == 5 : a.fault == HUB_BROKEN);
        if (!again && !ok && e->code == ERR_FAILED)
            err_ctx(e, a.fault == HUB_NO_CONNECT ? "%s cannot be reached" : "%s", hub_http_endpoint(x->http));
        if (!again && ok && a.status != 200)
            ok = hub_refused(x, NULL, &a, e);
        if (ok && link) {
            *link = a.link;
            a.link = NULL;
        }
        x->no_network = a.fault == HUB_NO_CONNECT;
        hub_answer_clear(&a);
    }
    buf_str(b, "");
    return ok;
}

static bool ask_revision(struct hub_fetch *x, struct err *e)
{
    struct buf b = {0};
    char *url = xasprintf("%s/api/models/%s/revision/main", hub_http_endpoint(x->http), x->id);
    bool ok = ask(x, url, &b, NULL, e) &&
              (hub_parse_revision(b.s, b.n, x->commit, e) || err_ctx(e, "the answer to %s", url));
    buf_clear(&b);
    free(url);
    return ok;
}

static bool ask_files(struct hub_fetch *x, struct hub_list *l, struct err *e)
{
    char *url =
        xasprintf("%s/api/models/%s/tree/%s?recursive=true", hub_http_endpoint(x->http), x->id, x->commit);
    bool ok = true;
    for (int page = 0; ok && url; page++) {
        struct buf b = {0};
        char *link = NULL;
        ok = ask(x, url, &b, &link, e) &&
             (hub_parse_tree(b.s, b.n, l, e) || err_ctx(e, "the answer to %s", url));
        free(url);
        url = ok && link ? hub_next_link(link) : NULL;
        if (url && (page == MAX_PAGES || !hub_http_is_ours(x->http, url)))
            ok = err_set(e, ERR_FAILED, "the hub's list of files goes on %s",
                         page == MAX_PAGES ? "without an end" : "on another host");
        free(link);
        buf_clear(&b);
    }
    free(url);
    hub_list_sort(l);
    return ok;
}

char *hub_file_url(const struct hub_fetch *x, const struct hub_file *f)
{
    struct buf b = {0};
    buf_fmt(&b, "%s/%s/resolve/%s/", hub_http_endpoint(x->http), x->id, x->commit);
    hub_put_escaped(&b, f->path);
    return b.s;
}

/* ---- the files ---- */

static bool nothing(const struct hub_fetch *x, const struct hub_list *l, const char *tag, const char *file,
                    struct err *e)
{
    char *offers = hub_pick_offers(l);
    if (file)
        err_set(e, ERR_INPUT, "'%s' has no file '%s'; there is %s", x->id, file, offers);
    else if (tag)
        err_set(e, ERR_INPUT, "'%s' has no GGUF file with '%s' in its name; there is %s", x->id, tag, offers);
    else
        err_set(e, ERR_INPUT,
                "'%s' has neither GGUF files nor config.json or params.json: it is no model that can be read",
                x->id);
    free(offers);
    return false;
}

/* The index, which tells what else belongs to it, is loaded first. */
static bool add_weights(struct hub_fetch *x, const struct hub_list *l, struct hub_pick *p, struct err *e)
{
    const struct hub_file *f = hub_list_find(l, p->layout->index);
    struct buf b = {0};
    char *path = path_join(x->snapshot, p->layout->index);
    bool ok = !f || (hub_fetch_file(x, f, e) && file_read_all(path, MAX_INDEX, &b, e));
    ok = ok && hub_pick_weights(l, f ? b.s : NULL, b.n, p, e);
    buf_clear(&b);
    free(path);
    return ok && (p->whole || err_set(e, ERR_INPUT, "'%s' has no '%s', and is no checkpoint in safetensors",
                                      x->id, p->lacks));
}

static bool fetch_all(struct hub_fetch *x, const struct hub_list *l, const struct hub_pick *p, struct err *e)
{
    uint64_t missing = 0;
    size_t n = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < p->n; i++) {
        uint64_t k = hub_fetch_missing(x, hub_list_find(l, p->files[i]));
        n += k > 0;
        ok = add_u64(missing, k, &missing) ||
             err_set(e, ERR_FAILED, "the hub's list says sizes that no disk has");
    }
    char *blobs = path_join(x->root, "blobs"), s[32];
    ok = ok && dir_make(blobs, e);
    free(blobs);
    char *inside = path_join(x->root, "blobs/x");
    ok = ok && file_check_space(inside, missing, e);
    free(inside);
    if (ok && missing)
        log_note("downloading %s in %zu file%s of %s into %s", human_bytes(missing, s), n, n == 1 ? "" : "s",
                 x->id, x->root);
    x->done = 0;
    progress_start(&x->bar, "download", "bytes", missing, 0);
    for (size_t i = 0; ok && i < p->n; i++)
        ok = hub_fetch_file(x, hub_list_find(l, p->files[i]), e);
    progress_end(&x->bar);
    return ok;
}

static bool write_ref(const struct hub_fetch *x, struct err *e)
{
    char *path = path_join(x->root, "refs/main"), *dir = path_dir(path);
    struct out o = {.fd = -1};
    int fd = -1; /* two that waited for the same file get here together */
    bool ok = dir_make(dir, e) && hub_lock(x, "main", NULL, &fd, e) && out_open(&o, path, true, e) &&
              out_write(&o, x->commit, 40, e) && out_commit(&o, e);
    out_abort(&o);
    if (fd >= 0)
        close(fd);
    free(dir);
    free(path);
    return ok;
}

static char *fetch(struct hub_fetch *x, const char *tag, const char *file, struct err *e)
{
    struct hub_list l = {0};
    struct hub_pick p = {0};
    char *path = NULL;
    bool ok = ask_revision(x, e) && ask_files(x, &l, e);
    if (ok) {
        x->snapshot = xasprintf("%s/snapshots/%s", x->root, x->commit);
        progress_start(&x->bar, "download", "bytes", 0, 0); /* of the index */
        enum hub_kind kind = hub_pick(&l, tag, file, &p);
        ok = kind == HUB_NOTHING ? nothing(x, &l, tag, file, e)
                                 : kind == HUB_GGUF || add_weights(x, &l, &p, e);
        if (ok && !p.whole)
            ok = err_set(e, ERR_INPUT, "'%s' lacks '%s'", x->id, p.lacks);
    }
    ok = ok && fetch_all(x, &l, &p, e) && write_ref(x, e);
    if (ok)
        path = p.first ? path_join(x->snapshot, p.first) : xstrdup(x->snapshot);
    hub_pick_clear(&p);
    hub_list_clear(&l);
    return path;
}

char *hub_download(const char *id, const char *tag, const char *file, bool *no_network, struct err *e)
{
    struct hub_fetch x = {.id = id, .cache = hub_cache_dir()};
    char *path = NULL;
    if (!x.cache) {
        err_set(e, ERR_INPUT, "there is no place for the hub's cache: neither HF_HUB_CACHE nor HOME is set");
        return NULL;
    }
    x.root = hub_cache_root(x.cache, id);
    if ((x.http = hub_http_new(e)))
        path = fetch(&x, tag, file, e);
    *no_network = x.no_network;
    hub_http_free(x.http);
    free(x.snapshot);
    free(x.root);
    free(x.cache);
    return path;
}
