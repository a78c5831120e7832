/* quantise.c - see quantise.h. */
#include "quant/quantise.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/text.h"
#include "quant/imatrix.h"

#include <ctype.h>
#include <string.h>

#define MAX_TYPES_FILE (1u << 20)

struct job {
    const struct view *v;
    const struct quantise_opts *o;
    struct quantise_result *r;
    struct quantize_opts q;
    struct imatrix *m;
    struct quantize_weights *weights;
    struct quantize_matrix matrix;
    struct quantize_override *overrides;
    char **patterns;
    uint32_t n_overrides, cap;
    struct buf types; /* of the file of types */
};

static void job_clear(struct job *j)
{
    for (uint32_t i = 0; i < j->n_overrides; i++)
        free(j->patterns[i]);
    free(j->patterns);
    free(j->overrides);
    free(j->weights);
    imatrix_free(j->m);
    buf_clear(&j->types);
}

/* ---- types of single tensors ---- */

static bool is_tensor_type(const char *s)
{
    for (uint32_t i = 0; engine_tensor_type(i); i++)
        if (!strcasecmp(s, engine_tensor_type(i)))
            return true;
    return false;
}

/* "PATTERN=TYPE" apart, into *pattern (the caller's) and *type (borrowed). */
static bool parse_type(const char *s, char **pattern, const char **type, struct err *e)
{
    const char *sep = strchr(s, '='); /* the first, as llama-quantize has it */
    *pattern = NULL;
    if (!sep || sep == s || !sep[1])
        return err_set(e, ERR_INPUT, "'%s' is not PATTERN=TYPE, such as attn_v=q8_0", s);
    *type = sep + 1;
    if (!is_tensor_type(*type))
        return err_set(e, ERR_INPUT,
                       "'%s': '%s' is no type of tensors (q8_0, q6_K, q4_K, iq4_nl, mxfp4, f16, ...)", s,
                       *type);
    *pattern = xstrndup(s, (size_t)(sep - s));
    return true;
}

static bool add_type(struct job *j, const char *s, struct err *e)
{
    struct quantize_override x = {0};
    char *pattern;
    if (!parse_type(s, &pattern, &x.type, e))
        return false;
    if (j->n_overrides == j->cap) {
        j->cap = j->cap ? 2 * j->cap : 16;
        j->overrides = xrealloc(j->overrides, j->cap, sizeof *j->overrides);
        j->patterns = xrealloc(j->patterns, j->cap, sizeof *j->patterns);
    }
    x.pattern = j->patterns[j->n_overrides] = pattern;
    j->overrides[j->n_overrides++] = x;
    return true;
}

static bool add_types_file(struct job *j, const char *path, struct err *e)
{
    char *save = NULL;
    if (!file_read_all(path, MAX_TYPES_FILE, &j->types, e))
        return false;
    if (j->types.n && memchr(j->types.s, 0, j->types.n))
        return err_set(e, ERR_INPUT, "%s: is no text", path);
    buf_char(&j->types, '\0');
    for (char *s = strtok_r(j->types.s, " \t\r\n\v\f", &save); s; s = strtok_r(NULL, " \t\r\n\v\f", &save))
        if (!add_type(j, s, e))
            return err_ctx(e, "%s", path);
    return true;
}

static bool add_types(struct job *j, struct err *e)
{
    for (uint32_t i = 0; i < j->o->tensor_types.n; i++)
        if (!add_type(j, j->o->tensor_types.v[i], e))
            return err_ctx(e, "--tensor-type");
    if (j->o->tensor_types_file && !add_types_file(j, j->o->tensor_types_file, e))
        return false;
    j->q.overrides = j->overrides;
    j->q.n_overrides = j->n_overrides;
    return true;
}

/* ---- the importance matrix ---- */

static bool holds_one_of(const char *name, const struct opt_list *parts)
{
    for (uint32_t i = 0; i < parts->n; i++)
        if (strstr(name, parts->v[i]))
            return true;
    return false;
}

static bool is_used(const struct job *j, const char *name)
{
    return !holds_one_of(name, &j->o->exclude) && (!j->o->include.n || holds_one_of(name, &j->o->include));
}

/* What the engine would find out tensor by tensor: whether the matrix is of this model. Weights that one of both lacks
 * are nothing wrong. */
static bool check_entry(const struct job *j, const struct imatrix_entry *x, struct err *e)
{
    const struct view_tensor *t = view_find(j->v, x->name);
    uint64_t want = t ? t->dims[0] * (t->n_dims > 2 ? t->dims[2] : 1) : 0;
    if (!t || want == x->n_mat * x->row || !strcmp(x->name, "token_embd.weight"))
        return true;
    if (t->axis == 2 && x->n_mat > 1 && x->row == t->dims[0])
        return err_set(
            e, ERR_INPUT,
            "%s: '%s' is of %llu experts, and the model has %llu; a matrix of the whole model is cut by reap "
            "prune %s --plan PLAN -o FILE",
            j->o->imatrix, x->name, (unsigned long long)x->n_mat, (unsigned long long)t->dims[2],
            j->o->imatrix);
    return err_set(e, ERR_INPUT,
                   "%s: '%s' has %llu values, and the model's needs %llu: it is another model's",
                   j->o->imatrix, x->name, (unsigned long long)(x->n_mat * x->row), (unsigned long long)want);
}

/* One line: how many experts, and in which layers. Weights of the same layer have the same counts. */
static void warn_never(const struct job *j)
{
    struct buf b = {0};
    for (uint32_t i = 0; i < j->v->n_layers; i++) {
        uint32_t most = 0;
        for (uint64_t k = 0; k < j->v->n_tensors; k++) {
            const struct view_tensor *t = &j->v->tensors[k];
            const struct imatrix_entry *x =
                t->layer == (int32_t)j->v->layers[i].il && t->axis == 2 ? imatrix_find(j->m, t->name) : NULL;
            uint32_t n = 0;
            for (uint64_t c = 0; x && x->n_mat > 1 && c < x->n_mat; c++)
                n += x->counts[c] == 0;
            most = n > most ? n : most;
        }
        j->r->n_never += most;
        if (most)
            buf_fmt(&b, "%s%u of layer %u", b.n ? ", " : "", most, j->v->layers[i].il);
    }
    if (j->r->n_never)
        log_warn("%s: %u of %u experts were never hit (%.400s%s): all columns of theirs count alike",
                 j->o->imatrix, j->r->n_never, j->v->n_layers * j->v->shape.n_experts, b.s,
                 b.n > 400 ? " ..." : "");
    buf_clear(&b);
}

static bool take_matrix(struct job *j, struct err *e)
{
    if (!j->o->imatrix) {
        if (j->o->include.n || j->o->exclude.n)
            return err_set(e, ERR_INPUT,
                           "--include-weights and --exclude-weights are of --imatrix, which is not given");
        return true;
    }
    if (!(j->m = imatrix_load(j->o->imatrix, e)))
        return false;
    for (uint64_t i = 0; i < j->m->n; i++)
        if (is_used(j, j->m->entries[i].name) && !check_entry(j, &j->m->entries[i], e))
            return false;
    warn_never(j);
    imatrix_to_means(j->m);
    j->weights = xcalloc(j->m->n, sizeof *j->weights);
    for (uint64_t i = 0; i < j->m->n; i++) {
        const struct imatrix_entry *x = &j->m->entries[i];
        if (is_used(j, x->name))
            j->weights[j->matrix.n++] = (struct quantize_weights){x->name, x->sums, x->n_mat * x->row};
    }
    j->matrix.weights = j->weights;
    j->matrix.file = j->o->imatrix;
    j->matrix.dataset = j->m->n_datasets ? j->m->datasets[0] : NULL;
    j->matrix.n_chunks = j->m->chunk_count;
    j->q.matrix = &j->matrix;
    return true;
}

static bool has_weights(const struct job *j, const char *name)
{
    for (uint32_t i = 0; i < j->matrix.n; i++) /* sorted, but few and asked seldom */
        if (!strcmp(j->matrix.weights[i].name, name))
            return true;
    return false;
}

/* ---- before the work ---- */

static bool changes(const struct quantize_tensor *t)
{
    return strcmp(t->from, t->to) != 0;
}

static bool check_needs(const struct job *j, const struct quantize_forecast *f, struct err *e)
{
    for (uint32_t i = 0; i < f->n; i++) {
        const struct quantize_tensor *t = &f->v[i];
        if (!t->needs_matrix || has_weights(j, t->name))
            continue;
        if (j->o->imatrix)
            return err_set(
                e, ERR_INPUT,
                "%s: knows nothing of '%s', which cannot be %s without; --tensor-type '%s=q4_K' gives it "
                "a type that needs nothing",
                j->o->imatrix, t->name, t->to, t->name);
        return err_set(
            e, ERR_INPUT,
            "%s: %s needs an importance matrix; reap profile %s --calib TEXT -o stats.json --imatrix "
            "imatrix.gguf makes one (or llama-imatrix), and --imatrix imatrix.gguf gives it",
            j->v->path, j->q.type, j->v->path);
    }
    return true;
}

static bool check_again(const struct job *j, const struct quantize_forecast *f, struct err *e)
{
    uint32_t n = 0;
    const char *type = NULL;
    bool mxfp4 = false;
    if (j->q.requantize)
        return true;
    for (uint32_t i = 0; i < f->n; i++)
        if (f->v[i].quantised && changes(&f->v[i])) {
            mxfp4 = mxfp4 || !strcmp(f->v[i].from, "mxfp4");
            type = mxfp4 ? "mxfp4" : type ? type : f->v[i].from;
            n++;
        }
    return !n ||
           err_set(
               e, ERR_INPUT,
               "%s: %u of %u tensors are quantised already (%s); --allow-requantize quantises them again, which is "
               "worse than from the original%s",
               j->v->path, n, f->n, type,
               mxfp4 ? "; MXFP4 experts are better left alone: with --tensor-type exps=mxfp4 as well" : "");
}

/* "12 to q5_0, 1 to q8_0" */
static void warn_fallbacks(const struct job *j, const struct quantize_forecast *f)
{
    struct buf b = {0};
    for (uint32_t i = 0; i < f->n; i++) {
        const struct quantize_tensor *t = &f->v[i];
        uint32_t n = 0;
        bool first = t->wanted != NULL;
        for (uint32_t k = 0; first && k < f->n; k++)
            if (f->v[k].wanted && !strcmp(f->v[k].wanted, t->wanted) && !strcmp(f->v[k].to, t->to)) {
                first = k >= i;
                n++;
            }
        if (first)
            buf_fmt(&b, "%s%u %s instead of %s", b.n ? ", " : "", n, t->to, t->wanted);
    }
    if (j->r->n_fallbacks)
        log_warn(
            "%s: %u of %u tensors get another type, because their rows do not fill blocks of the one in the mixture: "
            "%.300s",
            j->q.type, j->r->n_fallbacks, f->n, b.s);
    buf_clear(&b);
}

static bool forecast(struct job *j, struct err *e)
{
    struct quantize_forecast f;
    if (!engine_quantize_forecast(j->v->path, &j->q, &f, e))
        return false;
    for (uint32_t i = 0; i < f.n; i++) {
        j->r->n_changed += changes(&f.v[i]);
        j->r->n_fallbacks += f.v[i].wanted != NULL;
    }
    j->r->n_tensors = f.n;
    j->r->bytes = f.bytes;
    bool ok = (j->o->ahead || check_needs(j, &f, e)) && check_again(j, &f, e);
    if (ok && !j->o->ahead)
        warn_fallbacks(j, &f);
    quantize_forecast_clear(&f);
    return ok;
}

bool quantise(const struct view *v, const char *out, const struct quantise_opts *o, struct quantise_result *r,
              struct err *e)
{
    struct job j = {.v = v, .o = o, .r = r, .q = o->q};
    *r = (struct quantise_result){0};
    double start = now_secs();
    bool ok = add_types(&j, e) && take_matrix(&j, e) && forecast(&j, e);
    if (ok && !o->dry_run)
        ok = file_check_output(out, o->q.force, e) && file_check_space(out, r->bytes, e) &&
             engine_quantize(v->path, out, &j.q, e);
    r->secs = now_secs() - start;
    job_clear(&j);
    return ok;
}
