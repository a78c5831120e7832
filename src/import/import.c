/* import.c - see import.h: what all formats share. */
#include "import/import.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>
#include <unistd.h>

static json_t *identity(const struct import_opts *o, const uint32_t *il, uint32_t n, uint32_t n_experts)
{
    if (o->view)
        return view_identity(o->view);
    json_t *m = json_object(), *layers = json_array();
    json_object_set_new(m, "architecture", json_text(o->architecture));
    json_object_set_new(m, "name", json_text(path_base(o->path)));
    json_object_set_new(m, "n_experts", json_integer(n_experts));
    if (o->n_used)
        json_object_set_new(m, "n_experts_used", json_integer(o->n_used));
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(layers, json_integer(il[i]));
    json_object_set_new(m, "moe_layers", layers);
    json_object_set_new(m, "router_hash", json_null());
    return m;
}

static bool fits_model(const struct view *v, const uint32_t *il, uint32_t n, uint32_t n_experts,
                       struct err *e)
{
    if (n_experts != v->shape.n_experts)
        return err_set(e, ERR_INPUT, "has %u experts, the model '%s' has %u", n_experts, path_base(v->path),
                       v->shape.n_experts);
    for (uint32_t i = 0; i < n || i < v->n_layers; i++)
        if (i >= n || i >= v->n_layers || il[i] != v->layers[i].il)
            return err_set(e, ERR_INPUT, "%s layer %u, the model '%s' %s", i < n ? "has" : "lacks",
                           i < n ? il[i] : v->layers[i].il, path_base(v->path),
                           i < n ? "has no experts there" : "has experts there");
    return true;
}

struct stats *import_begin(const struct import_opts *o, const char *format, const uint32_t *il, uint32_t n,
                           uint32_t n_experts, struct err *e)
{
    char hex[65];
    if (o->view && !fits_model(o->view, il, n, n_experts, e))
        return NULL;
    if (!sha256_file(o->path, hex, e))
        return NULL;
    struct stats *s = stats_new(n, n_experts);
    for (uint32_t i = 0; i < n; i++) {
        s->layers[i].il = il[i];
        s->layers[i].n_used = o->view ? o->view->layers[i].n_used : o->n_used;
    }
    json_t *file = json_object(), *files = json_array();
    json_object_set_new(file, "file", json_text(o->path));
    json_object_set_new(file, "sha256", json_string(hex));
    json_array_append_new(files, file);
    if (o->view) {
        s->n_groups = o->view->shape.n_groups;
        s->n_groups_used = o->view->shape.n_groups_used;
    }
    s->model = identity(o, il, n, n_experts);
    s->calibration = json_object();
    json_object_set_new(s->calibration, "files", files);
    s->import = json_object();
    json_object_set_new(s->import, "format", json_string(format));
    return s;
}

struct stats *import_end(struct stats *s, struct err *e)
{
    uint64_t most = 0;
    uint32_t used = 0;
    for (uint32_t i = 0; i < s->n_layers; i++) {
        uint64_t t = stats_tokens(&s->layers[i]);
        most = t > most ? t : most;
        used = s->layers[i].n_used > used ? s->layers[i].n_used : used;
    }
    if (!most)
        err_set(e, ERR_INPUT, "holds no token");
    if (!most || !stats_check(s, e)) {
        stats_free(s);
        return NULL;
    }
    for (uint32_t i = 0; i < s->n_layers; i++)
        if (stats_tokens(&s->layers[i]) < most)
            log_warn("layer %u has seen %llu tokens, another one %llu", s->layers[i].il,
                     (unsigned long long)stats_tokens(&s->layers[i]), (unsigned long long)most);
    if (!json_object_get(s->model, "n_experts_used"))
        json_object_set_new(s->model, "n_experts_used", json_integer(used));
    json_object_set_new(s->calibration, "n_tokens", json_integer((json_int_t)most));
    return s;
}

struct stats *import_stats(const struct import_opts *o, struct err *e)
{
    char magic[4] = {0};
    uint64_t size;
    int fd = file_open_read(o->path, &size, e);
    if (fd < 0)
        return NULL;
    bool ok = size < sizeof magic || file_pread(fd, magic, sizeof magic, 0, e);
    close(fd);
    if (!ok)
        return NULL;
    return memcmp(magic, "GGUF", 4) ? import_expert_profile(o, e) : import_imatrix(o, e);
}

const struct import_form *import_form_at(uint32_t i)
{
    static const struct import_form *const forms[] = {&import_form_profile, &import_form_imatrix};
    return i < sizeof forms / sizeof *forms ? forms[i] : NULL;
}

const char *import_form_name(uint32_t i)
{
    const struct import_form *f = import_form_at(i);
    return f ? f->name : NULL;
}
