/* gain.c - see gain.h. */
#include "model/gain.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

#define SCHEMA "reap.gain/1"

/* SHA-256 of who stays, as compact JSON. */
static void keep_hash(const struct plan *p, char hex[65])
{
    json_t *keep = plan_keep_json(p);
    char *s = json_dumps(keep, JSON_COMPACT);
    sha256_bytes(s, s ? strlen(s) : 0, hex);
    free(s);
    json_decref(keep);
}

json_t *gain_json(const struct plan *p)
{
    json_t *o = json_object();
    for (uint32_t i = 0; i < p->n_layers; i++) {
        char s[32]; /* a float32 as short as it can be told from its neighbours */
        snprintf(s, sizeof s, "%.9g", (double)p->gain[i]);
        ids_set_layer(o, p->layers[i].il, json_real(strtod(s, NULL)));
    }
    return o;
}

json_t *gain_document(const struct view *v, const struct plan *p, json_t *measured)
{
    char hex[65];
    json_t *d = json_object();
    keep_hash(p, hex);
    json_object_set_new(d, "schema", json_string(SCHEMA));
    json_object_set_new(d, "version", json_string(REAP_VERSION));
    json_object_set_new(d, "model", view_identity(v));
    json_object_set_new(d, "n_keep", json_integer(p->n_keep));
    json_object_set_new(d, "keep_sha256", json_string(hex));
    json_object_set_new(d, "gain", gain_json(p));
    if (measured)
        json_object_set(d, "measured", measured);
    return d;
}

bool gain_write(const char *path, const struct view *v, const struct plan *p, json_t *measured, bool force,
                struct err *e)
{
    json_t *d = gain_document(v, p, measured);
    bool ok = json_write(path, d, force, e);
    json_decref(d);
    return ok;
}

/* ---- reading ---- */

static bool read_layers(const json_t *gain, struct plan *p, struct err *e)
{
    if (json_object_size(gain) != p->n_layers)
        return err_set(e, ERR_INPUT, "'gain' has %zu layers, the plan has %u", json_object_size(gain),
                       p->n_layers);
    for (uint32_t i = 0; i < p->n_layers; i++) {
        const json_t *x = ids_get_layer(gain, p->layers[i].il);
        double g = json_is_number(x) ? json_number_value(x) : (double)NAN;
        if (!x)
            return err_set(e, ERR_INPUT, "'gain' lacks layer %u", p->layers[i].il);
        if (!(g > 0 && g <= GAIN_MAX) || (float)g <= 0)
            return err_set(e, ERR_INPUT, "gain of layer %u: expected a number above 0 and at most %d",
                           p->layers[i].il, GAIN_MAX);
        p->gain[i] = (float)g;
    }
    return true;
}

static bool read_gain(const json_t *doc, struct view *v, struct plan *p, const char *path, bool force,
                      struct err *e)
{
    const char *schema, *hash;
    json_t *model, *gain;
    char hex[65], what[300];
    if (!json_is_object(doc))
        return err_set(e, ERR_INPUT, "expected a JSON object with \"schema\": \"%s\"", SCHEMA);
    if (!json_need_str(doc, "schema", "gain", &schema, e))
        return false;
    if (strcmp(schema, SCHEMA) != 0)
        return err_set(e, ERR_INPUT, "schema is '%.60s', expected '%s'", schema, SCHEMA);
    if (!json_need_obj(doc, "model", "gain", &model, e) || !json_need_obj(doc, "gain", "gain", &gain, e) ||
        !json_need_str(doc, "keep_sha256", "gain", &hash, e))
        return false;
    snprintf(what, sizeof what, "gain file '%.250s'", path);
    if (!view_hash(v, e))
        return false;
    if (!view_match(v, model, what, e)) {
        if (!force)
            return false;
        log_warn("%s (--force)", e->msg);
        err_clear(e);
    }
    keep_hash(p, hex);
    if (strcmp(hash, hex) != 0)
        return err_set(e, ERR_INPUT, "is of another plan: keep_sha256 is %.64s, this plan's is %s", hash,
                       hex);
    return read_layers(gain, p, e);
}

bool gain_open(const char *path, struct view *v, struct plan *p, bool force, struct err *e)
{
    free(p->gain);
    p->gain = NULL;
    json_t *doc = json_read(path, e);
    if (!doc)
        return false;
    p->gain = xcalloc(p->n_layers, sizeof *p->gain);
    bool ok = read_gain(doc, v, p, path, force, e) || err_ctx(e, "%s", path);
    json_decref(doc);
    if (!ok) {
        free(p->gain);
        p->gain = NULL;
    }
    return ok;
}

bool gain_check_family(const struct view *v, struct err *e)
{
    return v->family->down_scale ||
           err_set(
               e, ERR_INPUT,
               "the engine's graph of '%s' does not apply ffn_down_exps.scale: a gain would be without effect",
               v->family->arch ? v->family->arch : v->name);
}
