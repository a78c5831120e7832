/* view_hf.c - a view of a Hugging Face checkpoint. The counts come from config.json, names are given their
 * meaning by the family's record (family/), and then everything is held against everything else: an
 * expert that is missing in one layer, a router with another number of rows or a count that a file does not
 * share is an error here and never a surprise in a pruned model. */
#include "model/view_hf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hf/conf.h"
#include "hf/config.h"
#include "hf/names.h"
#include "model/id_table.h"

#include <string.h>

struct part { /* a tensor of a single expert */
    const struct view_tensor *x;
    const char *part; /* "up_proj.weight" */
};

struct block { /* what a block has */
    const struct view_tensor *router;
    const char *stem; /* its name up to "layers.N.", of some tensor; stem_n bytes */
    int stem_n;
    bool experts;
};

struct folder { /* the reader of a view, and what it says */
    struct hf_checkpoint *c;
    struct family own; /* the view's when the engine has no such model, or names are not the record's */
    char *block;       /* .. in own.names */
    struct hf_counts counts;
    uint32_t n_idle;    /* entries of a router behind those of the experts */
    uint32_t n_encoder; /* blocks in front of those of a decoder, where there are two stacks */
};

static struct folder *folder(const struct view *v)
{
    return v->reader;
}

/* What the counts stand in: params.json, in Mistral's own layout. */
static const char *config_name(const struct view *v)
{
    return folder(v)->c->layout->config;
}

struct reading {
    struct view *v;
    struct part *parts;
    size_t n_parts, cap;
    struct block *blocks; /* LIMIT_LAYERS */
    uint32_t n_trunk;     /* blocks of the trunk */
    bool packed;          /* some weights hold more than one value per element */
};

/* ---- the family ---- */

/* Whether experts and a router are found under these names. */
static bool fits(const struct view *v, const struct family_names *f)
{
    bool experts = false, router = false;
    for (uint64_t i = 0; i < folder(v)->c->n_tensors; i++) {
        struct hf_place p = hf_place(folder(v)->c->tensors[i].name);
        struct family_role r = {0};
        if (p.rest)
            r = family_role(f, p.rest);
        experts = experts || r.role == ROLE_EXPERT;
        router = router || r.role == ROLE_ROUTER;
    }
    return experts && router;
}

static const struct family_names *guess(const struct view *v)
{
    const struct family_names *f;
    for (uint32_t k = 0; (f = family_usual_names(k)); k++)
        if (fits(v, f))
            return f;
    return NULL;
}

/* The family whose makers' own layout has these names, with them; NULL: none. */
static const struct family *find_own(const struct view *v)
{
    const struct family *f;
    for (uint32_t i = 0; folder(v)->c->layout->what && (f = family_at(i)); i++)
        if (f->own_names.block && fits(v, &f->own_names)) {
            folder(v)->own = *f;
            folder(v)->own.names = f->own_names;
            return &folder(v)->own;
        }
    return NULL;
}

static struct hf_place place_of(const struct view *v, const char *name)
{
    return v->family->names.two_stacks ? hf_place_in_stacks(name, folder(v)->n_encoder) : hf_place(name);
}

static bool guessed(const struct view *v)
{
    return !v->family->classes[0].name;
}

static bool any_experts(const struct hf_checkpoint *c)
{
    for (uint64_t i = 0; i < c->n_tensors; i++)
        if (family_looks_like_experts(c->tensors[i].name))
            return true;
    return false;
}

static bool read_family(struct view *v, struct err *e)
{
    const char *class_name = folder(v)->counts.architecture ? folder(v)->counts.architecture : "";
    const struct family *own = find_own(v), *f = own ? own : family_of_class(class_name);
    const struct family_names *usual = f ? NULL : guess(v);
    if (!folder(v)->counts.n_experts) {
        if (f || usual || any_experts(folder(v)->c))
            return err_set(e, ERR_INPUT,
                           "%s: the number of experts is missing (num_experts, num_local_experts, "
                           "n_routed_experts or another name for it)",
                           config_name(v));
        return err_set(e, ERR_INPUT,
                       "is a dense model (architecture '%s' without routed experts), there is "
                       "nothing to prune",
                       class_name);
    }
    if (!f && !usual)
        return err_set(
            e, ERR_INPUT,
            "architecture '%s' is not known, and its tensors do not follow a usual pattern of names",
            class_name);
    v->family = f;
    if (!f || !f->arch) { /* called by its class */
        struct family *u = &folder(v)->own;
        *u = f ? *f : (struct family){.names = *usual};
        u->arch = class_name;
        u->models = f ? f->models : class_name;
        u->gate = f && f->gate ? f->gate : "not known";
        v->family = u;
    }
    return true;
}

/* The stacked experts of mlx-lm stand in the record's module, but for families whose names it has changed
 * (Step-3.5, Kimi-Linear): then all of the block stands where they do. */
static void find_switches(struct view *v)
{
    struct folder *f = folder(v);
    for (uint64_t i = 0; i < f->c->n_tensors; i++) {
        struct hf_place p = hf_place(f->c->tensors[i].name);
        const char *at = p.rest && !p.mtp ? strstr(p.rest, ".switch_") : NULL;
        if (!at || !family_looks_like_experts(at) ||
            family_role(&v->family->names, p.rest).role == ROLE_EXPERT)
            continue;
        f->own = *v->family;
        f->own.names.block = f->block = xstrndup(p.rest, (size_t)(at - p.rest));
        f->own.names.experts = family_switches;
        v->family = &f->own;
        return;
    }
}

/* How many entries of a router are of experts that do nothing. */
static bool read_idle(struct view *v, struct err *e)
{
    const char *key = v->family->names.idle;
    const struct jdoc *d = &folder(v)->c->json[HF_CONFIG].doc;
    struct conf c = conf_of(d);
    uint32_t node = key ? conf_get(&c, key) : JSPAN_NONE;
    uint64_t n = 0;
    if (node != JSPAN_NONE && (!jdoc_u64(d, node, &n) || n > LIMIT_EXPERTS))
        return err_set(e, ERR_INPUT, "%s: '%s' is no whole number of at most %d", config_name(v), key,
                       LIMIT_EXPERTS);
    folder(v)->n_idle = (uint32_t)n;
    return true;
}

static bool read_counts(struct view *v, struct err *e)
{
    struct hf_counts *c = &folder(v)->counts;
    c->n_used = c->n_used ? c->n_used : v->family->used;
    if (c->n_experts > LIMIT_EXPERTS)
        return err_set(e, ERR_INPUT, "%s: %llu experts, expected at most %d", config_name(v),
                       (unsigned long long)c->n_experts, LIMIT_EXPERTS);
    if (!c->n_used)
        return err_set(e, ERR_INPUT,
                       "%s: the number of experts per token is missing "
                       "(num_experts_per_tok or another name for it)",
                       config_name(v));
    v->shape = (struct shape){(uint32_t)c->n_experts, (uint32_t)c->n_used, 1, 1};
    if (c->n_groups <= 1 || c->groups_ignored)
        return true;
    if (c->n_experts % c->n_groups || c->n_groups >= c->n_experts)
        return err_set(e, ERR_INPUT, "%s: n_group is %llu, which does not divide %llu experts into groups",
                       config_name(v), (unsigned long long)c->n_groups, (unsigned long long)c->n_experts);
    if (c->n_groups_used < 1 || c->n_groups_used > c->n_groups)
        return err_set(e, ERR_INPUT, "%s: topk_group is %llu, expected 1 to %llu", config_name(v),
                       (unsigned long long)c->n_groups_used, (unsigned long long)c->n_groups);
    v->shape.n_groups = (uint32_t)c->n_groups;
    v->shape.n_groups_used = (uint32_t)c->n_groups_used;
    return shape_check_groups(&v->shape, e) || err_ctx(e, "%s", config_name(v));
}

/* ---- the tensors ---- */

static const char *dims_text(const struct view_tensor *x, char dst[128])
{
    size_t n = 0;
    dst[0] = 0;
    for (uint32_t d = 0; d < x->n_dims && n < 100; d++)
        n += (size_t)snprintf(dst + n, 128 - n, "%s%llu", d ? "," : "", (unsigned long long)x->dims[d]);
    return dst;
}

/* The dimension that is the expert, of a stacked tensor. An unknown family's tensor must leave no doubt. */
static bool find_axis(struct reading *r, struct view_tensor *x, struct err *e)
{
    const struct view *v = r->v;
    uint64_t n = v->shape.n_experts;
    char s[128], idle[48] = "";
    if (x->idle)
        snprintf(idle, sizeof idle, " and %u that do nothing", x->idle);
    if (x->n_elements == 1 && n > 1) { /* one value for all experts */
        x->axis = -1;
        return true;
    }
    uint32_t same = 0;
    for (uint32_t d = 0; d < x->n_dims; d++)
        same += x->dims[d] == n;
    if (guessed(v) && (x->n_dims == 0 || x->dims[0] != n || same > 1))
        return err_set(
            e, ERR_INPUT,
            "tensor '%s' (shape %s): its expert axis cannot be known, because the architecture is not "
            "and %s; nothing is pruned by guess",
            x->name, dims_text(x, s),
            same > 1 ? "several axes have the length of the expert count"
                     : "the first axis has not the length of the expert count");
    if (x->n_dims == 2 && x->dims[0] == 1 && x->dims[1] == n && n > 1) /* Ernie's [1, E] */
        x->axis = 1;
    else if (x->n_dims >= 1 && x->dims[0] == n + x->idle)
        x->axis = 0;
    else if (v->family->names.rows && x->role == ROLE_EXPERT && x->n_dims == 2 && x->dims[0] % n == 0)
        x->axis = 0;
    else
        return err_set(e, ERR_INPUT,
                       "tensor '%s': its shape is [%s], but %s says %llu experts%s (expected in the first "
                       "dimension)",
                       x->name, dims_text(x, s), config_name(v), (unsigned long long)n, idle);
    return true;
}

static bool is_float(const char *type)
{
    return strchr("BF", type[0]) && type[1] != '4' && type[1] != '6' && type[1] != 'O'; /* not F4, F6, BOOL */
}

/* The router: rows of numbers are cut; one value for all stays; what quantisation made of the rows is not
 * touched, and then the model cannot be pruned. */
static bool read_router(struct reading *r, struct view_tensor *x, struct block *b, const char *part,
                        struct err *e)
{
    size_t n = strlen(part);
    bool weight = x->n_dims == 2 && n >= 6 && !strcmp(part + n - 6, "weight");
    if (weight)
        b->router = x;
    else
        x->role = ROLE_SELECT;
    x->idle = folder(r->v)->n_idle;
    bool rows = x->n_dims >= 1 && x->dims[0] == r->v->shape.n_experts + x->idle;
    if (x->n_elements == 1 && !rows) {
        x->axis = -1;
        x->role = ROLE_NONE;
        return true;
    }
    if (!rows && (!is_float(x->type) || !weight) && !(n >= 4 && !strcmp(part + n - 4, "bias"))) {
        x->axis = -1;
        x->role = ROLE_REFUSE;
        x->why = "is a router stored so that its rows cannot be cut apart";
        return true;
    }
    return find_axis(r, x, e);
}

static bool read_tensor(struct reading *r, uint64_t i, struct err *e)
{
    struct view *v = r->v;
    const struct hf_tensor *t = &folder(v)->c->tensors[i];
    struct view_tensor *x = &v->tensors[i];
    struct hf_place p = place_of(v, t->name);
    *x = (struct view_tensor){.name = t->name,
                              .type = t->dtype->name,
                              .n_dims = t->n_dims,
                              .ggml_type = -1,
                              .n_elements = 1,
                              .bytes = t->bytes,
                              .off = t->off,
                              .file = t->file,
                              .layer = -1,
                              .axis = -1,
                              .expert = -1,
                              .mtp = p.mtp};
    memcpy(x->dims, t->dims, sizeof x->dims);
    for (uint32_t d = 0; d < x->n_dims; d++)
        x->n_elements *= x->dims[d]; /* the reader has checked the product */
    v->bytes += x->bytes;
    uint64_t n_params = hf_is_scale(x->name, x->type) ? 0 : x->n_elements;
    v->n_params += n_params;
    if (!p.other && family_is_shared(x->name)) {
        v->shared_bytes += x->bytes;
        v->shared_params += n_params;
        r->packed = r->packed || (n_params > 1 && !is_float(x->type));
    }
    if (!p.rest) {
        if (!p.other && family_looks_like_experts(x->name))
            return err_set(e, ERR_INPUT,
                           "tensor '%s' looks like part of the experts, but stands in no known "
                           "place; nothing is pruned by guess",
                           x->name);
        return true;
    }
    uint32_t il = p.layer + (p.mtp ? r->n_trunk : 0);
    if (p.layer >= LIMIT_LAYERS || il >= LIMIT_LAYERS)
        return err_set(e, ERR_INPUT, "tensor '%s': layer %u is out of range", x->name, p.layer);
    x->layer = (int32_t)il;
    x->mtp = il >= r->n_trunk;
    if (il >= v->n_blocks)
        v->n_blocks = il + 1;
    struct family_role role = family_role(&v->family->names, p.rest);
    x->role = role.role;
    if (role.role == ROLE_NONE) {
        if (family_looks_like_experts(p.rest))
            return err_set(e, ERR_INPUT,
                           "tensor '%s' looks like part of the experts, but is not known to this "
                           "version; nothing is pruned by guess",
                           x->name);
        return true;
    }
    if (x->role == ROLE_TABLE)
        return id_table_check(v, x, e);
    struct block *b = &r->blocks[il];
    b->stem = x->name;
    b->stem_n = (int)(p.rest - x->name - 1);
    x->axis = role.axis;
    if (role.role == ROLE_ROUTER) {
        if (!read_router(r, x, b, role.router, e))
            return false;
    } else if (role.number) {
        x->number = (uint32_t)(role.number - x->name);
        x->expert = (int32_t)strtoul(role.number, NULL, 10);
        b->experts = true;
        GROW(r->parts, r->n_parts, r->cap);
        r->parts[r->n_parts++] = (struct part){x, role.part};
    } else {
        if (!find_axis(r, x, e))
            return false;
        b->experts = b->experts || (role.role == ROLE_EXPERT && x->axis >= 0 && x->n_dims >= 2);
    }
    if (view_has_experts(x)) {
        uint64_t bytes = x->bytes - x->idle * view_slice(x, v->shape.n_experts);
        v->expert_bytes += bytes;
        if (x->role == ROLE_EXPERT)
            v->expert_params += n_params;
        else
            v->router_bytes += bytes;
        r->packed = r->packed || !is_float(x->type);
    }
    return true;
}

/* ---- single experts: all there, all alike ---- */

/* "model.layers.0.mlp.experts" of a single expert's tensor: up to the dot before the number. */
static int stem_len(const struct view_tensor *x)
{
    return (int)x->number - 1;
}

/* Experts of a layer may be numbered in several modules ("experts.down_projs"). */
static int by_module(const struct view_tensor *a, const struct view_tensor *b)
{
    int n = stem_len(a) < stem_len(b) ? stem_len(a) : stem_len(b), c = memcmp(a->name, b->name, (size_t)n);
    return c ? c : stem_len(a) - stem_len(b);
}

static int by_place(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    if (x->x->layer != y->x->layer)
        return x->x->layer < y->x->layer ? -1 : 1;
    int c = by_module(x->x, y->x);
    c = c ? c : strcmp(x->part, y->part);
    return c ? c : (x->x->expert > y->x->expert) - (x->x->expert < y->x->expert);
}

/* Tensors of one matrix that are stored alike have one shape. (bitsandbytes writes the state as JSON text, of
 * any length.) */
static bool same_shape(const struct part *first, const struct part *p, struct err *e)
{
    const struct view_tensor *a = first->x, *b = p->x;
    char s[128], t[128];
    if (strcmp(a->type, b->type) != 0 || strstr(p->part, "quant_state"))
        return true;
    if (a->n_dims == b->n_dims && !memcmp(a->dims, b->dims, sizeof a->dims))
        return true;
    return err_set(e, ERR_INPUT, "tensor '%s' has the shape [%s], that of expert %d is [%s]", b->name,
                   dims_text(b, s), a->expert, dims_text(a, t));
}

/* How many tensors hold a matrix may differ between experts (mixed quantisation), which matrices there are
 * may not: parts[a, b) are the tensors of one matrix ("up_proj.") in one layer. */
static bool all_there(const struct reading *r, size_t a, size_t b, bool *seen, struct err *e)
{
    uint32_t n = r->v->shape.n_experts, there = 0;
    const struct view_tensor *x = r->parts[a].x;
    uint32_t most = 0;
    memset(seen, 0, n * sizeof *seen);
    for (size_t i = a; i < b; i++) {
        uint32_t j = (uint32_t)r->parts[i].x->expert;
        most = j > most ? j : most;
        if (j < n)
            seen[j] = true;
    }
    for (uint32_t j = 0; j < n; j++)
        there += seen[j];
    if (most >= n || there == most + 1)
        if (most + 1 != n)
            return err_set(e, ERR_INPUT, "'%.*s' holds %u experts, but %s says %u", stem_len(x), x->name,
                           most + 1, config_name(r->v), n);
    for (uint32_t j = 0; j < n; j++)
        if (!seen[j])
            return err_set(e, ERR_INPUT, "'%.*s.%u' has no '%.*s', but other experts have", stem_len(x),
                           x->name, j, (int)strcspn(r->parts[a].part, "."), r->parts[a].part);
    return true;
}

static bool check_parts(struct reading *r, struct err *e)
{
    bool ok = true, *seen = xcalloc(r->v->shape.n_experts, sizeof *seen);
    if (r->n_parts)
        qsort(r->parts, r->n_parts, sizeof *r->parts, by_place);
    /* first the shapes, then which are missing: a matrix is a run of parts, as '.' sorts before letters */
    for (size_t i = 1, first = 0; ok && i < r->n_parts; i++) {
        const struct part *p = &r->parts[i], *f = &r->parts[first];
        if (p->x->layer != f->x->layer || by_module(p->x, f->x) || strcmp(p->part, f->part) != 0)
            first = i;
        else
            ok = same_shape(f, p, e);
    }
    for (size_t a = 0, b; ok && a < r->n_parts; a = b) {
        size_t n = strcspn(r->parts[a].part, ".");
        for (b = a + 1; b < r->n_parts && r->parts[b].x->layer == r->parts[a].x->layer &&
                        !by_module(r->parts[b].x, r->parts[a].x) && strcspn(r->parts[b].part, ".") == n &&
                        !strncmp(r->parts[a].part, r->parts[b].part, n);)
            b++;
        ok = all_there(r, a, b, seen, e);
    }
    free(seen);
    return ok;
}

/* ---- the layers ---- */

static bool read_layers(struct reading *r, struct err *e)
{
    struct view *v = r->v;
    v->n_mtp = v->n_blocks > r->n_trunk ? v->n_blocks - r->n_trunk : 0;
    v->layers = xcalloc(v->n_blocks ? v->n_blocks : 1, sizeof *v->layers);
    for (uint32_t il = 0; il < v->n_blocks; il++) {
        const struct block *b = &r->blocks[il];
        if (!b->experts && !b->router)
            continue;
        if (!b->router || !b->experts)
            return err_set(e, ERR_INPUT, "layer '%.*s' has %s (%s%s%s)", b->stem_n, b->stem,
                           b->experts ? "experts but no router" : "a router but no experts",
                           v->family->names.block, *v->family->names.block ? "." : "",
                           b->experts ? v->family->names.router : v->family->names.experts);
        v->layers[v->n_layers + v->n_mtp_layers] =
            (struct view_layer){il, v->shape.n_used, (uint64_t)(b->router - v->tensors)};
        ++*(il < r->n_trunk ? &v->n_layers : &v->n_mtp_layers);
    }
    if (!v->n_layers)
        return err_set(e, ERR_INPUT, "%s says %u experts, but no tensor holds any", config_name(v),
                       v->shape.n_experts);
    return true;
}

/* One more than the highest number of a block. */
static uint32_t count_blocks(const struct view *v)
{
    uint32_t n = 0;
    for (uint64_t i = 0; i < folder(v)->c->n_tensors; i++) {
        struct hf_place p = place_of(v, folder(v)->c->tensors[i].name);
        if (p.rest && !p.mtp && p.layer < LIMIT_LAYERS && p.layer >= n)
            n = p.layer + 1;
    }
    return n;
}

/* Without the count in config.json: all layers are the trunk. */
static uint32_t trunk_blocks(const struct view *v)
{
    if (!v->family->names.two_stacks && folder(v)->counts.n_layers)
        return folder(v)->counts.n_layers < LIMIT_LAYERS ? (uint32_t)folder(v)->counts.n_layers
                                                         : LIMIT_LAYERS;
    return count_blocks(v);
}

/* How many blocks are the encoder's: as its tensors say. */
static uint32_t encoder_blocks(const struct view *v)
{
    uint32_t n = 0;
    for (uint64_t i = 0; v->family->names.two_stacks && i < folder(v)->c->n_tensors; i++) {
        struct hf_place p = hf_place_in_stacks(folder(v)->c->tensors[i].name, LIMIT_LAYERS);
        if (p.rest && p.layer < LIMIT_LAYERS && p.layer >= n)
            n = p.layer + 1;
    }
    return n;
}

static bool fill(struct reading *r, struct err *e)
{
    struct view *v = r->v;
    if (!read_family(v, e) || !read_counts(v, e) || !read_idle(v, e))
        return false;
    if (!v->family->names.block)
        return err_set(e, ERR_INPUT, "its experts are not read");
    find_switches(v);
    folder(v)->n_encoder = encoder_blocks(v);
    v->n_blocks = r->n_trunk = trunk_blocks(v);
    for (uint64_t i = 0; i < v->n_tensors; i++)
        if (!read_tensor(r, i, e))
            return false;
    if (r->packed)
        v->n_params = v->expert_params = v->shared_params = 0;
    return check_parts(r, e) && read_layers(r, e);
}

/* Of a model that is not pruned at all, that is said where it cannot be read, and not where reading it ended. Returns
 * false. */
static bool why_refused(const struct view *v, struct err *e)
{
    const char *name = folder(v)->counts.architecture;
    const struct family *f = name ? family_of_class(name) : NULL;
    const char *why = f ? family_refusal_checkpoint(f) : NULL;
    if (!why)
        return false;
    err_clear(e);
    return err_set(e, ERR_INPUT, "cannot be pruned: %s", why);
}

static void read_name(struct view *v)
{
    char *name = path_own_name(v->path);
    struct buf b = {0};
    buf_line(&b, name, strlen(name));
    v->name = b.s ? b.s : xstrdup("model");
    free(name);
}

static void say_guess(const struct view *v)
{
    const struct family_names *f = &v->family->names;
    const char *type = folder(v)->counts.model_type;
    log_note(
        "note: architecture '%s' (%s) is not known; its names follow the usual pattern and are taken as such "
        "(%s.%s, %s.%s)",
        v->family->arch, type ? type : "no model_type", f->block, f->experts, f->block, f->router);
}

static bool read_folder(struct view *v, struct err *e)
{
    struct folder *f = folder(v);
    struct reading r = {.v = v};
    if (!hf_counts(&f->c->json[HF_CONFIG].doc, &f->counts, e))
        return err_ctx(e, "%s", config_name(v));
    v->class_name = f->counts.architecture ? f->counts.architecture
                    : f->c->layout->what   ? f->c->layout->what
                                           : "";
    v->quant_method = f->counts.quant_method;
    v->n_files = f->c->n_files;
    v->files = xcalloc(v->n_files, sizeof *v->files);
    for (uint32_t i = 0; i < v->n_files; i++)
        v->files[i] = (struct view_file){f->c->files[i].path, f->c->files[i].fd, f->c->files[i].size};
    v->n_tensors = f->c->n_tensors;
    v->tensors = xcalloc(v->n_tensors ? v->n_tensors : 1, sizeof *v->tensors);
    r.blocks = xcalloc(LIMIT_LAYERS, sizeof *r.blocks);
    bool ok = fill(&r, e) || why_refused(v, e);
    free(r.blocks);
    free(r.parts);
    if (ok)
        read_name(v);
    if (ok && guessed(v))
        say_guess(v);
    return ok;
}

/* ---- the row of the table ---- */

static bool open_folder(struct view *v, struct err *e)
{
    struct hf_checkpoint *c = hf_open(v->path, e);
    if (!c)
        return false;
    struct folder *f = v->reader = xcalloc(1, sizeof *f);
    f->c = c;
    return read_folder(v, e) || err_ctx(e, "%s", v->path);
}

static void close_folder(struct view *v)
{
    struct folder *f = folder(v);
    if (!f)
        return;
    hf_free(f->c);
    hf_counts_clear(&f->counts);
    free(f->block);
    free(f);
}

static const struct view_tensor *find(const struct view *v, const char *name)
{
    const struct hf_checkpoint *c = view_hf(v);
    const struct hf_tensor *t = hf_find_tensor(c, name);
    return t ? &v->tensors[t - c->tensors] : NULL;
}

static const char *refusal(const struct view *v)
{
    return family_refusal_checkpoint(v->family);
}

static bool check_output(const struct view *v, const char *path, struct err *e)
{
    if (hf_files_hit(v->path, path))
        return err_set(e, ERR_INPUT, "the output '%s' is a file of the model '%s'", path, v->path);
    if (file_would_destroy(path, v->path))
        return err_set(e, ERR_INPUT, "the output '%s' is the model itself", path);
    return true;
}

static void stamp(const struct view *v, struct buf *b)
{
    hf_stamp(view_hf(v), b);
}

const struct view_ops view_hf_ops = {
    .knows = file_is_dir,
    .open = open_folder,
    .close = close_folder,
    .find = find,
    .refusal = refusal,
    .check_output = check_output,
    .stamp = stamp,
    .checkpoint = view_hf,
};

_Static_assert(VIEW_MAX_DIMS == HF_MAX_DIMS, "a view holds every tensor of a checkpoint");

const struct hf_checkpoint *view_hf(const struct view *v)
{
    if (v->format->view != &view_hf_ops)
        BUG("'%s' is %s", v->path, v->format->name);
    return folder(v)->c;
}
