/* lib_model.c - models of libreap; see reap.h. */
#include "base/mem.h"
#include "lib/lib_part.h"
#include "model/cut.h"

reap_model *reap_model_open(const char *path, reap_error *error)
{
    struct call c;
    call_begin(&c);
    struct view *v = view_open_any(path, &c.e);
    reap_model *m = v ? xmalloc(sizeof *m) : NULL;
    if (m)
        m->v = v;
    call_end(&c, m != NULL, error);
    return m;
}

bool model_check_trunk(const reap_model *m, struct err *e)
{
    return view_check_trunk(m->v, e) || err_ctx(e, "%s", m->v->path);
}

void reap_model_close(reap_model *m)
{
    if (m)
        view_free(m->v);
    free(m);
}

void reap_model_get_info(const reap_model *m, reap_model_info *info)
{
    const struct view *v = m->v;
    const reap_model_info x = {
        .name = v->name,
        .format = v->format->name,
        .architecture = v->family->arch,
        .class_name = v->class_name && *v->class_name ? v->class_name : NULL,
        .quant_method = v->quant_method,
        .refusal = v->refusal,
        .n_layers = v->n_layers,
        .n_experts = v->shape.n_experts,
        .n_used = v->shape.n_used,
        .n_groups = v->shape.n_groups,
        .n_groups_used = v->shape.n_groups_used,
        .n_blocks = v->n_blocks,
        .n_mtp = v->n_mtp,
        .bytes = v->bytes,
        .expert_bytes = v->expert_bytes,
        .router_bytes = v->router_bytes,
        .shared_bytes = v->shared_bytes,
        .n_params = v->n_params,
        .expert_params = v->expert_params,
        .shared_params = v->shared_params,
    };
    give_struct(info, &x, sizeof x);
}

int reap_model_get_layer(const reap_model *m, uint32_t i, uint32_t *block, uint32_t *n_used,
                         reap_error *error)
{
    struct call c;
    call_begin(&c);
    bool ok = i < m->v->n_layers || err_set(&c.e, ERR_INPUT, "layer %u of %u", i, m->v->n_layers);
    if (ok && block)
        *block = m->v->layers[i].il;
    if (ok && n_used)
        *n_used = m->v->layers[i].n_used;
    return call_end(&c, ok, error);
}

const char *reap_model_hash(reap_model *m, reap_error *error)
{
    struct call c;
    call_begin(&c);
    bool ok = view_hash(m->v, &c.e) || err_ctx(&c.e, "%s", m->v->path);
    return call_end(&c, ok, error) == REAP_OK ? m->v->router_hash : NULL;
}

int reap_model_can_keep(const reap_model *m, uint32_t n_keep, reap_error *error)
{
    struct call c;
    call_begin(&c);
    bool ok = view_check_prunable(m->v, &c.e) &&
              (shape_check_keep(&m->v->shape, n_keep, &c.e) || err_ctx(&c.e, "%s", m->v->path));
    return call_end(&c, ok, error);
}

uint64_t reap_model_bytes_at(const reap_model *m, uint32_t n_keep)
{
    return cut_bytes_at(m->v, n_keep);
}
