/* stats_exchange.c - see stats_exchange.h. */
#include "cmd/stats_exchange.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "engine/quantize.h"
#include "model/view.h"
#include "stats/criteria.h"

static struct stats *import_file(const struct stats_exchange *o, const char *path, const struct view *v,
                                 struct err *e)
{
    const struct import_opts io = {.path = path,
                                   .view = v,
                                   .architecture = o->architecture,
                                   .n_used = o->n_used,
                                   .force = cmd_force,
                                   .to_float = engine_dequantize};
    return o->form ? o->form->read(&io, e) : import_stats(&io, e);
}

/* Says what was found, and what it can be used for. */
static bool print_import(const struct stats_exchange *o, const struct stats *s, struct err *e)
{
    json_t *can = json_array(), *n = json_object_get(s->calibration, "n_tokens");
    struct buf b = {0};
    char t[32];
    const struct criterion *c;
    cmd_fmt(&b, "%s: %s tokens, from %s; can be ranked by", o->out,
            human_count((uint64_t)json_integer_value(n), t), stats_imported_from(s));
    for (uint32_t i = 0; (c = criterion_at(i)); i++)
        if (criterion_can(s, c)) {
            cmd_fmt(&b, "%s %s", json_array_size(can) ? "," : "", c->name);
            json_array_append_new(can, json_string(c->name));
        }
    buf_char(&b, '\n');
    if (cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "stats", json_text(o->out));
        json_object_set_new(j, "format", json_string(stats_imported_from(s)));
        json_object_set(j, "n_tokens", n);
        json_object_set_new(j, "criteria", can);
        buf_clear(&b);
        return cmd_print_json("stats", j, e);
    }
    json_decref(can);
    return cmd_print(&b, e);
}

bool cmd_stats_import(const struct stats_exchange *o, const char *path, struct err *e)
{
    if (!o->model && !o->architecture)
        return err_set(e, ERR_INPUT, "of which model is '%s'? --model MODEL or --architecture NAME says so",
                       path);
    if (o->model && (o->architecture || o->n_used))
        return err_set(e, ERR_INPUT, "--architecture and --experts-used are for imports without --model");
    struct view *v = o->model ? view_open(o->model, e) : NULL;
    struct stats *s = !o->model || (v && view_check_output(v, o->out, e) && view_hash(v, e))
                          ? import_file(o, path, v, e)
                          : NULL;
    bool ok = s && stats_save(s, o->out, cmd_force, e) && print_import(o, s, e);
    stats_free(s);
    view_free(v);
    return ok;
}

bool cmd_stats_export(const struct stats_exchange *o, const char *path, struct err *e)
{
    const struct import_form *form = o->form ? o->form : import_form_at(0);
    if (!form->write)
        return err_set(e, ERR_INPUT, "--format %s cannot be written, only %s", form->name,
                       import_form_name(0));
    struct stats *s = stats_load(path, e);
    json_t *doc = s ? form->write(s, e) : NULL;
    if (s && !doc)
        err_ctx(e, "%s", path);
    bool ok = doc && json_write(o->out, doc, cmd_force, e);
    if (ok && stats_unfinished(s))
        log_warn("'%s' is of a profile that has not ended", path);
    if (ok && s->n_mtp)
        log_note("note: the statistics of %u MTP block%s are not in it: %s runs none", s->n_mtp,
                 s->n_mtp == 1 ? "" : "s", form->name);
    if (ok && cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "file", json_text(o->out));
        json_object_set_new(j, "format", json_string(form->name));
        ok = cmd_print_json("stats", j, e);
    } else if (ok) {
        struct buf b = {0};
        cmd_fmt(&b, "%s: %u layers of %u experts, as %s writes them\n", o->out, s->n_layers, s->n_experts,
                form->name);
        ok = cmd_print(&b, e);
    }
    json_decref(doc);
    stats_free(s);
    return ok;
}
