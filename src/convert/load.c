/* load.c - see load.h. */
#include "convert/load.h"
#include "base/log.h"
#include "engine/machine.h"
#include "model/runs.h"
#include "model/view_gguf.h"
#include "tokenizer/vocab.h"

#include <string.h>

struct convert_opts load_convert_opts(const struct engine_opts *o)
{
    return (struct convert_opts){.type = o->type,
                                 .quantize = engine_quantize_rows,
                                 .threads = o->threads ? (uint32_t)o->threads : engine_cores(),
                                 .pretokenizer = o->pretokenizer};
}

static bool read_image(void *ctx, uint64_t off, uint64_t n, void *dst, struct err *e)
{
    return image_read(ctx, off, n, dst, e);
}

/* *mtp: whether the block that predicts further tokens is wanted; false where the engine cannot run it. */
static bool check(const struct view *v, bool *mtp, struct err *e)
{
    const struct gg_file *f = view_gguf(v);
    if (!runs_check(f, v->family, v->n_blocks, e) || !vocab_check(f, e))
        return err_ctx(e, "%s", v->path);
    *mtp = *mtp && runs_mtp(f, v->family, v->n_blocks);
    return true;
}

bool load_check(const struct view *v, struct err *e)
{
    if (view_gguf(v)->split_left) /* load_engine tells the engine otherwise */
        return err_set(e, ERR_INPUT,
                       "%s: its keys of a split are left over, and the engine looks for parts that are not "
                       "there: reap prune writes the model without them",
                       v->path);
    return check(v, &(bool){false}, e);
}

static bool check_image(const struct image *im, const char *path, bool *mtp, struct err *e)
{
    struct view *v = view_of_header((const uint8_t *)im->header.s, im->header.n, im->size, path, e);
    bool ok = v && check(v, mtp, e);
    view_free(v);
    return ok;
}

bool load_check_image(const struct image *im, const char *path, struct err *e)
{
    return check_image(im, path, &(bool){false}, e);
}

static bool foresee(const char *path, uint64_t bytes, bool whole, const struct engine_opts *o, struct err *e)
{
    return o->vocab_only || engine_foresee(path, bytes, whole, o, e);
}

static struct engine *load_checkpoint(const struct view *v, const struct engine_opts *o, struct err *e)
{
    struct convert_opts co = load_convert_opts(o);
    if (!v->format->view->checkpoint) {
        err_set(e, ERR_INPUT, "%s: is %s, which neither the engine reads nor a conversion is known for",
                v->path, v->format->name);
        return NULL;
    }
    struct image *im = convert_open(v->format->view->checkpoint(v), v->path, &co, e);
    struct engine *g = NULL;
    struct engine_opts own = *o;
    if (im && check_image(im, v->path, &own.mtp, e) && foresee(v->path, im->size, true, o, e)) {
        struct engine_source s = {im->size, read_image, im};
        g = engine_open_source(&s, v->path, &own, e);
    }
    image_free(im);
    return g;
}

/* The engine asserts on data that is mapped and does not lie at multiples of 32 bytes; read into memory it does. */
static bool choose_mode(const struct view *v, struct engine_opts *o, struct err *e)
{
    if (runs_mapped(view_gguf(v)))
        return true;
    if (o->load_mode && strstr(o->load_mode, "mmap"))
        return err_set(
            e, ERR_INPUT,
            "%s: its 'general.alignment' is no multiple of 32, such data cannot be mapped: --no-mmap "
            "reads it into memory",
            v->path);
    if (!o->load_mode || !strcmp(o->load_mode, "auto")) {
        log_note(
            "note: %s is read into memory: its 'general.alignment' is no multiple of 32, such data cannot be "
            "mapped",
            v->path);
        o->load_mode = "none";
    }
    return true;
}

struct engine *load_engine(const struct view *v, const struct engine_opts *o, struct err *e)
{
    if (v->format->converts)
        return load_checkpoint(v, o, e);
    if (o->type || o->pretokenizer) {
        err_set(e, ERR_INPUT, "%s: --%s is for checkpoint folders, this is a GGUF file", v->path,
                o->type ? "type" : "pretokenizer");
        return NULL;
    }
    struct engine_opts own = *o;
    if (!check(v, &own.mtp, e) || !choose_mode(v, &own, e))
        return NULL;
    own.whole = view_gguf(v)->split_left;
    own.weights = v->bytes;
    for (uint64_t i = 0; i < v->n_tensors; i++)
        if (v->tensors[i].layer >= 0 && v->tensors[i].bytes > own.largest)
            own.largest = v->tensors[i].bytes;
    own.largest_file = view_largest_file(v);
    return foresee(v->path, v->bytes, false, &own, e) ? engine_open(v->path, &own, e) : NULL;
}
