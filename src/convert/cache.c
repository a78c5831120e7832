/* cache.c - see cache.h. */
#include "convert/cache.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "convert/load.h"

#include <string.h>
#include <sys/stat.h>

static char *cache_dir(void)
{
    const char *own = getenv("REAP_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own && *own)
        return xasprintf("%s/converted", own);
    if (xdg && *xdg)
        return xasprintf("%s/reap/converted", xdg);
    return xasprintf("%s/.cache/reap/converted", home && *home ? home : "/tmp");
}

static void add_file(struct buf *b, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0)
        buf_fmt(b, "%s %lld %lld.%09ld\n", path_base(path), (long long)st.st_size,
                (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void add_named(struct buf *b, const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    add_file(b, path);
    free(path);
}

/* NAME-TYPE-HASH.gguf */
static char *file_name(const struct hf_checkpoint *c, const char *dir, const struct engine_opts *o)
{
    static const char *const others[] = {"tokenizer.json", "tokenizer.model", "tokenizer_config.json",
                                         "chat_template.jinja"};
    struct buf b = {0};
    char hex[65], *name = path_own_name(dir);
    const char *type = o->type ? o->type : "auto";
    buf_fmt(&b, "%s %s %s\n", REAP_VERSION, type, o->pretokenizer ? o->pretokenizer : "-");
    buf_add(&b, c->config.text, c->config.n);
    for (uint32_t i = 0; i < c->n_files; i++)
        add_file(&b, c->files[i].path);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        add_named(&b, dir, others[i]);
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
    bool ok = im && file_check_space(path, im->size, e) && convert_write(im, path, true, e);
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
    char *dir = cache_dir(), *name = file_name(c, model, o), *path = path_join(dir, name);
    bool ok = file_exists(path) || (dir_make(dir, e) && make(c, model, o, path, e));
    hf_free(c);
    free(dir);
    free(name);
    if (ok)
        return path;
    free(path);
    return NULL;
}
