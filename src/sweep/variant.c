/* variant.c - see sweep_part.h.
 *
 * The quantiser wants files at both ends. The one that it writes lies in the cache under a name of the model and the
 * type, locked, so that what a killed run left is taken over by the next one. As soon as it is open and loaded its name is
 * removed: the system keeps what is mapped or open. */
#include "base/dir.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/sig.h"
#include "convert/cache.h"
#include "convert/load.h"
#include "engine/quantize.h"
#include "sweep/sweep_part.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* NAME-TYPE-HASH.gguf, the hash over the model's files. */
static char *file_path(const struct view *model, const char *type)
{
    struct buf b = {0};
    char hex[65], *name = path_own_name(model->path);
    view_stamp(model, &b);
    sha256_bytes(b.s, b.n, hex);
    char *file = xasprintf("%.80s-%s-%.16s.gguf", name, type, hex),
         *path = convert_cache_path("quantised", file);
    buf_clear(&b);
    free(name);
    free(file);
    return path;
}

static bool make(const struct view *model, const char *path, const char *type, bool requantize,
                 const struct engine_opts *o, struct err *e)
{
    struct quantize_opts q = {.type = type,
                              .threads = o->threads ? (uint32_t)o->threads : engine_cores(),
                              .requantize = requantize,
                              .force = true};
    uint64_t bytes;
    char *source = convert_cached(model->path, o, e);
    bool ok = source && engine_quantize_size(source, &q, &bytes, e) && file_check_space(path, bytes, e);
    if (ok)
        log_note("quantising to %s in the cache ...", type);
    ok = ok && engine_quantize(source, path, &q, e);
    free(source);
    return ok;
}

static bool load(struct variant *x, const char *path, const struct engine_opts *o, struct err *e)
{
    struct engine_opts own = *o;
    own.type = own.pretokenizer = NULL; /* the conversion's, if there was one */
    return (x->v = view_open(path, e)) && (x->g = load_engine(x->v, &own, e));
}

static void drop(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT)
        log_warn("cannot remove '%s': %s; nothing needs it any more", path, strerror(errno));
}

void variant_clean(const struct view *model, const char *type)
{
    struct out_lock lock = {.fd = -1};
    struct err none = {0}; /* another run has it */
    char *path = file_path(model, type), *of_lock = xasprintf("%s.reap-lock", path);
    if ((file_exists(path) || file_exists(of_lock)) && out_lock(&lock, path, &none))
        drop(path);
    out_unlock(&lock);
    free(path);
    free(of_lock);
}

bool variant_open(struct variant *x, const struct view *model, const char *type, bool requantize,
                  const struct engine_opts *o, struct err *e)
{
    struct out_lock lock = {.fd = -1};
    char *path = file_path(model, type), *dir = path_dir(path);
    *x = (struct variant){0};
    bool ok = dir_make(dir, e) && out_lock(&lock, path, e);
    if (ok) {
        sig_watch_part(path);
        ok = make(model, path, type, requantize, o, e) && load(x, path, o, e);
        drop(path);
        sig_unwatch_part(path);
    }
    out_unlock(&lock);
    free(path);
    free(dir);
    if (!ok)
        variant_close(x);
    return ok || err_ctx(e, "%s", type);
}

void variant_close(struct variant *x)
{
    engine_free(x->g);
    view_free(x->v);
    *x = (struct variant){0};
}
