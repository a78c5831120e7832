/* run_type.c - the steps of a run that make the pruned model in another type: an importance matrix cut by the plan, where the
 * type needs one (it comes with the profile), the model in the type, and whether it is that model. */
#include "base/file.h"
#include "base/mem.h"
#include "model/format.h"
#include "quant/imatrix_cut.h"
#include "quant/quantise.h"
#include "run/run_part.h"

#include <string.h>

static struct quantise_opts quantise_options(const struct run_job *j)
{
    return (struct quantise_opts){
        .q = {.type = j->o->quantise,
              .threads = j->o->engine.threads > 0 ? (uint32_t)j->o->engine.threads : engine_cores(),
              .requantize = j->o->requantise,
              .force = true}, /* checked by run_type_check */
    };
}

bool run_has_type(const void *ctx, uint32_t file)
{
    (void)file;
    return ((const struct run_job *)ctx)->o->quantise != NULL;
}

bool run_has_matrix(const void *ctx, uint32_t file)
{
    const struct run_job *j = ctx;
    uint32_t type;
    (void)file;
    return j->o->quantise && engine_quantize_find(j->o->quantise, &type) &&
           engine_quantize_needs_matrix(type);
}

/* "OUT-Q4_K_M.gguf" */
char *run_type_path(const char *out, const char *type)
{
    size_t n = strlen(out);
    bool gguf = n > 5 && !strcmp(out + n - 5, ".gguf");
    return xasprintf("%.*s-%s.gguf", (int)(gguf ? n - 5 : n), out, type);
}

/* What would be refused after hours. The parent's tensors are those of the pruned model, in other lengths. */
bool run_type_preflight(const struct run_job *j, struct err *e)
{
    struct quantise_opts o = quantise_options(j);
    struct quantise_result r;
    o.ahead = o.dry_run = true;
    if (!j->o->quantise)
        return true;
    if (j->v->format->converts)
        return err_set(
            e, ERR_INPUT,
            "%s: is %s, and so is what is written; --quantize is for GGUF: reap convert makes one of the result",
            j->v->path, j->v->format->name);
    if (run_has_matrix(j, 0) && j->o->n_stats)
        return err_set(
            e, ERR_INPUT,
            "--quantize %s needs an importance matrix, which is made with the profile, and with --stats none is "
            "made; reap quantize --imatrix makes it of the result",
            j->o->quantise);
    return quantise(j->v, NULL, &o, &r, e);
}

/* ---- the matrix ---- */

bool run_cut_matrix(void *ctx, uint32_t file, bool go_on, struct err *e)
{
    struct run_job *j = ctx;
    struct imatrix_cut r;
    (void)go_on;
    return imatrix_cut(j->path[RUN_IMATRIX], j->plan, j->path[file], true, false, &r, e);
}

/* ---- the model ---- */

struct step_files run_type_file(const void *ctx, uint32_t file)
{
    const struct run_job *j = ctx;
    (void)file;
    return (struct step_files){(const char *const *)&j->typed, 1};
}

bool run_type_key(const void *ctx, uint32_t file, struct buf *b, struct err *e)
{
    const struct run_job *j = ctx;
    (void)file, (void)e;
    run_key_str(b, j->o->quantise);
    buf_fmt(b, "%d\n", j->o->requantise);
    return true;
}

bool run_type_check(const void *ctx, uint32_t file, const char *path, bool ours, struct err *e)
{
    const struct run_job *j = ctx;
    (void)file;
    return view_check_output(j->v, path, e) && file_check_output(path, j->o->force || ours, e);
}

bool run_type(void *ctx, uint32_t file, bool go_on, struct err *e)
{
    struct run_job *j = ctx;
    struct quantise_opts o = quantise_options(j);
    struct quantise_result r;
    (void)file, (void)go_on;
    if (run_has_matrix(j, 0))
        o.imatrix = j->path[RUN_IMATRIX_CUT];
    return quantise(j->w, j->typed, &o, &r, e);
}

/* Its bytes are others by intent. Its routers are not: nothing quantises them, so their hash says which model it is. */
bool run_type_ready(void *ctx, uint32_t file, struct err *e)
{
    struct run_job *j = ctx;
    (void)file;
    if (!(j->t = view_open(j->typed, e)) || !view_hash(j->t, e))
        return false;
    j->r->bytes_quantised = 0;
    for (uint32_t i = 0; i < j->t->n_files; i++)
        j->r->bytes_quantised += j->t->files[i].size;
    if (j->t->n_tensors != j->w->n_tensors || strcmp(j->t->router_hash, j->w->router_hash) != 0)
        return err_set(e, ERR_CHECK, "%s: is not the pruned model in another type: its %s", j->typed,
                       j->t->n_tensors != j->w->n_tensors ? "tensors are others" : "routers are others");
    return true;
}
