/* prune_gguf.c - writing pruned GGUF files (see prune.h). Their layout is described in docs/formats.md. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/text.h"
#include "model/gain.h"
#include "model/naming.h"
#include "model/view_gguf.h"
#include "prune/prune.h"

#include <string.h>

struct job { /* a cut, and what becomes of it */
    const struct cut *c;
    const struct view *v;
    const struct gg_file *f;
    const struct prune_opts *o;
    struct buf *headers;             /* one for each file of the cut; made once, measured, then written */
    char *name, size[GG_SIZE_LABEL]; /* NULL and "": they stay as they are */
    struct naming_base base;         /* name NULL: as it is */
};

static uint64_t alignment(const struct job *j, uint32_t i)
{
    return j->f->parts[i].alignment;
}

/* ---- the header ---- */

static bool is_key(const struct gg_key *k, const char *suffix, size_t arch_len)
{
    return !strcmp(k->name + arch_len + 1, suffix);
}

static bool is_text_key(const struct gg_key *k, const char *name)
{
    return k->kind == GG_STR && !strcmp(k->name, name);
}

/* What others know the model by, in the place where the parent has it. */
static bool put_named(struct buf *b, const struct job *j, const struct gg_key *k)
{
    bool name = j->name && is_text_key(k, "general.name"),
         size = j->size[0] && is_text_key(k, "general.size_label");
    if (name || size)
        gg_put_str(b, k->name, name ? j->name : j->size);
    return name || size;
}

/* What it has not. */
static void put_new_names(struct buf *b, const struct job *j, uint64_t *n)
{
    if (j->name && !gg_find(j->f, "general.name")) {
        gg_put_str(b, "general.name", j->name);
        ++*n;
    }
    if (j->base.name) {
        gg_put_u32(b, "general.base_model.count", 1);
        gg_put_str(b, "general.base_model.0.name", j->base.name);
        gg_put_str(b, "general.base_model.0.organization", j->base.organization);
        gg_put_str(b, "general.base_model.0.repo_url", j->base.repo_url);
        *n += 4;
    }
}

static void provenance(struct buf *b, const struct job *j, uint64_t *n)
{
    json_t *keep = plan_keep_json(j->c->plan);
    char *s = json_dumps(keep, JSON_COMPACT);
    gg_put_str(b, "reap.version", REAP_VERSION);
    gg_put_str(b, "reap.source.name", j->v->name);
    gg_put_u32(b, "reap.source.expert_count", j->v->shape.n_experts);
    *n += 4;
    if (j->v->router_hash[0]) {
        gg_put_str(b, "reap.source.router_hash", j->v->router_hash);
        ++*n;
    }
    if (j->c->plan->criterion) {
        gg_put_str(b, "reap.criterion", j->c->plan->criterion);
        ++*n;
    }
    gg_put_str(b, "reap.keep", s ? s : "{}");
    free(s);
    json_decref(keep);
    if (j->c->plan->n_mtp && j->v->n_mtp_layers && !j->c->opts.drop_mtp) {
        keep = plan_keep_mtp_json(j->c->plan);
        s = json_dumps(keep, JSON_COMPACT);
        gg_put_str(b, "reap.keep_mtp", s ? s : "{}");
        ++*n;
        free(s);
        json_decref(keep);
    }
    if (j->c->plan->gain) {
        json_t *gain = gain_json(j->c->plan);
        s = json_dumps(gain, JSON_COMPACT | JSON_REAL_PRECISION(9));
        gg_put_str(b, "reap.gain", s ? s : "{}");
        ++*n;
        free(s);
        json_decref(gain);
    }
}

/* Without the MTP blocks: fewer blocks, lists with a value per block are shorter, none predict. */
static bool put_without_mtp(struct buf *b, const struct job *j, const struct gg_key *k, struct err *e)
{
    uint32_t n = j->v->n_blocks - j->v->n_mtp;
    size_t arch = strlen(j->v->family->arch);
    if (strncmp(k->name, j->v->family->arch, arch) != 0 || k->name[arch] != '.')
        return false;
    else if (is_key(k, "block_count", arch))
        gg_put_uint(b, k, n, e);
    else if (is_key(k, "nextn_predict_layers", arch))
        gg_put_uint(b, k, 0, e);
    else if (k->kind == GG_ARR && k->n == j->v->n_blocks)
        gg_put_first(b, k, n, e);
    else
        return false;
    return true;
}

/* Keys of output file i: as they were, but the expert count, what the model is named by, the provenance of an
 * earlier pruning, and the split keys of a merge, or those that were left over. */
static bool put_keys(struct buf *b, const struct job *j, uint32_t i, uint64_t *n, struct err *e)
{
    const struct gg_part *g = &j->f->parts[i];
    char count[160];
    snprintf(count, sizeof count, "%s.expert_count", j->v->family->arch);
    *n = 0;
    for (uint64_t k = 0; k < g->n_keys; k++) {
        const struct gg_key *x = &g->keys[k];
        if (!strncmp(x->name, "reap.", 5) && !j->o->no_provenance)
            continue;
        if ((j->c->n_files < j->f->n_parts || j->f->split_left) && !strncmp(x->name, "split.", 6))
            continue;
        if (j->base.name && !strncmp(x->name, "general.base_model.", 19))
            continue;
        ++*n;
        if (put_named(b, j, x))
            continue;
        if (!strcmp(x->name, count))
            gg_put_uint(b, x, j->c->n_keep, e);
        else if (j->c->n_tensors != j->v->n_tensors && !strcmp(x->name, "split.tensors.count"))
            gg_put_uint(b, x, j->c->n_tensors, e);
        else if (!j->c->opts.drop_mtp || !put_without_mtp(b, j, x, e))
            gg_put_raw(b, x);
    }
    if (i == 0)
        put_new_names(b, j, n);
    if (i == 0 && !j->o->no_provenance)
        provenance(b, j, n);
    return e->code == ERR_NONE;
}

/* How many keys there are is known when they are there: then the start is written again. */
static bool put_header(struct buf *b, const struct job *j, uint32_t i, struct err *e)
{
    const struct cut_file *file = &j->c->files[i];
    uint32_t version = j->f->parts[i].version;
    uint64_t n_keys, off = 0;
    struct buf start = {0};
    gg_put_start(b, version, file->n, 0);
    bool ok = put_keys(b, j, i, &n_keys, e);
    gg_put_start(&start, version, file->n, n_keys);
    memcpy(b->s, start.s, start.n);
    buf_clear(&start);
    for (uint64_t k = file->first; k < file->first + file->n; k++) {
        const struct cut_tensor *t = &j->c->tensors[k];
        uint64_t ne[4];
        for (uint32_t d = 0; d < 4; d++)
            ne[d] = cut_dim(j->c, t, d);
        gg_put_tensor(b, t->name, t->from->n_dims, ne, (uint32_t)t->from->ggml_type, off);
        off += gg_align(t->bytes, alignment(j, i));
    }
    gg_pad(b, alignment(j, i));
    return ok;
}

/* ---- the data ---- */

struct writing { /* the files of all cuts, put in place as one */
    struct out *outs;
    struct progress progress;
    uint64_t done;
};

static bool write_part(const struct job *j, uint32_t i, const char *path, struct writing *w, struct out *out,
                       struct err *e)
{
    bool ok = out_open(out, path, j->o->force, e) && out_write(out, j->headers[i].s, j->headers[i].n, e);
    buf_clear(&j->headers[i]);
    return ok && prune_copy(out, j->c, &j->c->files[i], alignment(j, i), &w->progress, &w->done, e) &&
           out_sync(out, e);
}

/* ---- all of it ---- */

static bool check_outputs(const struct job *j, struct prune_result *r, struct err *e)
{
    if (!j->o->dry_run && !out_recover((const char *const *)r->files, r->n_files, e))
        return false;
    for (uint32_t i = 0; i < r->n_files; i++)
        if (!view_check_output(j->v, r->files[i], e) || !file_check_output(r->files[i], j->o->force, e))
            return false;
    if (j->o->card && !prune_card_check(j->o, r->files[0], e))
        return false;
    return prune_check_space(j->o, r, e);
}

static bool measure(struct job *j, struct prune_result *r, struct err *e)
{
    for (uint32_t i = 0; i < j->c->n_files; i++) {
        const struct cut_file *file = &j->c->files[i];
        if (!put_header(&j->headers[i], j, i, e))
            return false;
        r->bytes_out += j->headers[i].n;
        for (uint64_t k = file->first; k < file->first + file->n; k++)
            r->bytes_out += gg_align(j->c->tensors[k].bytes, alignment(j, i));
    }
    return true;
}

static bool write_files(const struct job *jobs, uint32_t n_jobs, struct prune_result *r, struct err *e)
{
    struct writing w = {.outs = xcalloc(r->n_files, sizeof *w.outs)};
    bool ok = true;
    uint32_t n = 0;
    uint64_t bytes = 0;
    double start = now_secs();
    for (uint32_t i = 0; i < r->n_files; i++)
        w.outs[i].fd = -1;
    for (uint32_t k = 0; k < n_jobs; k++)
        bytes += jobs[k].c->bytes;
    progress_start(&w.progress, "pruning", "bytes", bytes, 0);
    for (uint32_t k = 0; k < n_jobs; k++)
        for (uint32_t i = 0; ok && i < jobs[k].c->n_files; i++, n++)
            ok = write_part(&jobs[k], i, r->files[n], &w, &w.outs[n], e);
    progress_end(&w.progress);
    ok = ok && out_commit_all(w.outs, r->n_files, e); /* the engine opens the first one first */
    for (uint32_t i = 0; i < r->n_files; i++)
        out_abort(&w.outs[i]);
    free(w.outs);
    r->secs = now_secs() - start;
    return ok;
}

/* A name decides how the engine reads the tokens of some models, and must not change that. */
static bool set_name(struct job *j, bool less, struct err *e)
{
    const char *old = "", *name = j->o->name;
    uint64_t n = 0;
    if (!less && !name)
        return true;
    (void)gg_key_str(gg_find(j->f, "general.name"), &old, &n);
    j->name = name ? xstrdup(name) : naming_pruned(j->v, j->c->n_keep);
    bool was = family_name_marks(old, n), is = family_name_marks(j->name, strlen(j->name));
    if (was == is)
        return true;
    if (name)
        return err_set(
            e, ERR_INPUT,
            "--name: the engine reads the tokens of models with Phi-3 in their name in another way, and "
            "the parent's name, '%.80s', %s",
            j->v->name, was ? "has it" : "has it not");
    free(j->name); /* told from the file's, where the parent has none */
    j->name = NULL;
    return true;
}

/* A model that keeps all its experts stays what it is, but for what somebody asks for. */
static bool set_names(struct job *j, struct err *e)
{
    const struct cut *c = j->c;
    bool less = c->n_keep < j->v->shape.n_experts;
    struct gg_size size = {0};
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        uint64_t ne[4];
        for (uint32_t d = 0; d < 4; d++)
            ne[d] = cut_dim(c, &c->tensors[i], d);
        gg_size_add(&size, c->tensors[i].name, c->tensors[i].from->n_dims, ne);
    }
    if (less)
        gg_size_label(&size, j->size);
    char *id = j->o->base_model               ? xstrdup(j->o->base_model)
               : less && !j->o->no_provenance ? naming_hub_id(j->v)
                                              : NULL;
    if (id)
        j->base = naming_base(id);
    free(id);
    return set_name(j, less, e);
}

static bool measure_job(struct job *j, const struct cut *c, const struct prune_opts *o,
                        struct prune_result *r, struct err *e)
{
    *j = (struct job){.c = c, .v = c->view, .f = view_gguf(c->view), .o = o};
    j->headers = xcalloc(c->n_files, sizeof *j->headers);
    return set_names(j, e) && measure(j, r, e);
}

static void clear_job(struct job *j)
{
    free(j->name);
    naming_base_clear(&j->base);
    for (uint32_t i = 0; j->headers && i < j->c->n_files; i++)
        buf_clear(&j->headers[i]);
    free(j->headers);
}

static struct plan *plan_of_all(const struct view *v)
{
    struct plan *p = plan_new(v->n_layers, v->shape.n_experts);
    for (uint32_t i = 0; i < v->n_layers; i++) {
        p->layers[i].il = v->layers[i].il;
        for (uint32_t k = 0; k < v->shape.n_experts; k++)
            p->layers[i].keep[k] = k;
    }
    return p;
}

/* The MTP blocks with all their experts and what belongs to no block, as llama.cpp's converter writes them with --mtp. */
static struct cut *mtp_cut(const struct view *v, struct err *e)
{
    struct plan *all = plan_of_all(v);
    const struct cut_opts o = {.only_mtp = true, .merge = true};
    struct cut *c = cut_make(v, all, &o, e);
    if (!c)
        plan_free(all);
    return c;
}

static void mtp_cut_free(struct cut *c)
{
    struct plan *all = c ? (struct plan *)(uintptr_t)c->plan : NULL;
    cut_free(c);
    plan_free(all);
}

/* They are not left out. */
static void count_kept(struct prune_result *r, const struct cut *c)
{
    for (uint64_t i = 0; i < c->n_tensors; i++)
        if (c->tensors[i].from->mtp) {
            r->tensors_gone--;
            r->tensors_kept++;
        }
}

static bool write_model(const struct cut *c, const struct prune_opts *o, struct prune_result *r,
                        struct err *e)
{
    struct job jobs[2] = {0};
    const struct prune_opts as_it_is = {.no_provenance = true, .force = o->force};
    struct cut *mtp = o->keep_mtp ? mtp_cut(c->view, e) : NULL;
    uint32_t n = mtp ? 2 : 1;
    uint64_t model;
    bool ok = (mtp || !o->keep_mtp) && measure_job(&jobs[0], c, o, r, e);
    model = r->bytes_out;
    ok = ok && (!mtp || measure_job(&jobs[1], mtp, &as_it_is, r, e));
    r->bytes_mtp = r->bytes_out - model;
    ok = ok && check_outputs(&jobs[0], r, e) && (o->dry_run || write_files(jobs, n, r, e));
    if (mtp)
        count_kept(r, mtp);
    for (uint32_t k = 0; k < 2; k++)
        clear_job(&jobs[k]);
    mtp_cut_free(mtp);
    return ok;
}

/* ---- the row of the table ---- */

static bool check_opts(const struct view *v, const struct prune_opts *o, struct err *e)
{
    const char *option = o->cut.max_shard   ? "max-shard-size"
                         : o->count_aliases ? "add-count-aliases"
                         : o->no_card       ? "no-card"
                                            : NULL;
    if (option)
        return err_set(e, ERR_INPUT, "%s: --%s is for checkpoint folders, this is a GGUF file", v->path,
                       option);
    return !o->keep_mtp || !v->n_mtp || v->family->engine & ENGINE_MTP_ALONE ||
           err_set(
               e, ERR_INPUT,
               "%s: '%s' has one count of experts for all blocks, and of this family the engine loads MTP blocks from "
               "no file of their own, so they cannot keep more than the others: --mtp prune or drop",
               v->path, v->family->arch);
}

/* Beside the model: the engine's own downloads find it by the beginning of its name. */
static char *mtp_path(const char *out)
{
    char *dir = path_dir(out), *name = xasprintf("mtp-%s", path_base(out));
    char *path = strchr(out, '/') ? path_join(dir, name) : xstrdup(name);
    free(dir);
    free(name);
    return path;
}

/* OUT-00001-of-00003.gguf or OUT.gguf or OUT: the engine wants the pattern. */
static char **file_names(const struct view *v, const char *out, const struct prune_opts *o, uint32_t *n)
{
    uint32_t part, of, n_parts = o->cut.merge ? 1 : v->n_files;
    *n = n_parts + o->keep_mtp;
    char **files = xcalloc(*n, sizeof *files);
    char *prefix = n_parts == 1 ? NULL : gg_split_prefix(out, &part, &of);
    if (n_parts > 1 && !prefix) {
        size_t len = strlen(out);
        prefix = xstrndup(out, len > 5 && !strcmp(out + len - 5, ".gguf") ? len - 5 : len);
    }
    for (uint32_t i = 0; i < n_parts; i++)
        files[i] = prefix ? gg_split_path(prefix, i, n_parts) : xstrdup(out);
    char *whole = prefix ? xasprintf("%s.gguf", prefix) : xstrdup(out);
    if (o->keep_mtp)
        files[n_parts] = mtp_path(whole);
    free(whole);
    free(prefix);
    return files;
}

static char *license(const struct view *v)
{
    const char *s;
    uint64_t n;
    return gg_key_str(gg_find(view_gguf(v), "general.license"), &s, &n) && n && n < 100 ? xstrndup(s, n)
                                                                                        : NULL;
}

const struct prune_ops prune_gguf_ops = {
    .is_file = true,
    .license = license,
    .check_opts = check_opts,
    .file_names = file_names,
    .check_output = file_check_output,
    .write = write_model,
    .verify = verify_gguf,
};
