/* cache.c - see cache.h. */
#include "convert/cache.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "convert/load.h"

#include <stdlib.h>
#include <string.h>

char *convert_cache_path(const char *folder, const char *name)
{
    const char *own = getenv("REAP_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own && *own)
        return xasprintf("%s/%s/%s", own, folder, name);
    if (xdg && *xdg)
        return xasprintf("%s/reap/%s/%s", xdg, folder, name);
    return xasprintf("%s/.cache/reap/%s/%s", home && *home ? home : "/tmp", folder, name);
}

/* NAME-TYPE-HASH.gguf */
static char *file_name(const struct hf_checkpoint *c, const char *dir, const struct engine_opts *o)
{
    struct buf b = {0};
    char hex[65], *name = path_own_name(dir);
    const char *type = o->type ? o->type : "auto";
    buf_fmt(&b, "%s %s %s\n", REAP_VERSION, type, o->pretokenizer ? o->pretokenizer : "-");
    buf_add(&b, c->json[HF_CONFIG].text, c->json[HF_CONFIG].n);
    hf_stamp(c, &b);
    sha256_bytes(b.s, b.n, hex);
    char *file = xasprintf("%.80s-%.20s-%.16s.gguf", name, type, hex);
    buf_clear(&b);
    free(name);
    return file;
}

static bool make(const struct hf_checkpoint *c, const char *dir, const struct engine_opts *o,
                 const char *path, struct err *e)
{
    struct convert_opts co = load_convert_opts(o);
    log_note("converting %s into %s ...", dir, path);
    struct image *im = convert_open(c, dir, &co, e);
    bool ok = im && load_check_image(im, dir, e) && file_check_space(path, im->size, e) &&
              convert_write(im, path, true, e);
    image_free(im);
    return ok;
}

char *convert_cached(const char *model, const struct engine_opts *o, struct err *e)
{
    if (!file_is_dir(model))
        return xstrdup(model);
    struct hf_checkpoint *c = hf_open(model, e);
    if (!c)
        return NULL;
    char *name = file_name(c, model, o), *path = convert_cache_path("converted", name), *dir = path_dir(path);
    bool there,
        ok = file_there(path, &there, e) && (there || (dir_make(dir, e) && make(c, model, o, path, e)));
    hf_free(c);
    free(dir);
    free(name);
    if (ok)
        return path;
    free(path);
    return NULL;
}
