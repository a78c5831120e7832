/* stats_file.c - reap.stats/1, read and written; the fields are described in docs/formats.md.
 *
 * The file holds the sums of both halves exactly (numbers read back equal). The totals and means beside them
 * are for readers and other programs; when reading, they are checked against the halves, so that an edited
 * file is noticed. */
#include "base/file.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "stats/pairs.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define MAX_FILE (1ull << 30)

#define SCHEMA "reap.stats/1"

/* How the router weights; in the order of enum router. */
static const char *const router_words[] = {NULL, "renormalised", "softmax", "unnormalised", "input"};

/* unknown: of the optional ones those are not written. */
static void put_sums(json_t *o, const struct sums *x, uint32_t n, unsigned unknown)
{
    json_t *a = json_array();
    for (uint32_t j = 0; j < n; j++)
        json_array_append_new(a, json_integer((json_int_t)x[j].count));
    json_object_set_new(o, "count", a);
    for (int k = 0; k < N_SUMS; k++) {
        if (sum_infos[k].optional && (unknown & SUM_BIT(k)))
            continue;
        a = json_array();
        for (uint32_t j = 0; j < n; j++)
            json_array_append_new(a, json_real(sum_value(&x[j], (enum sum)k)));
        json_object_set_new(o, sum_infos[k].key, a);
    }
}

static double nine_digits(double v)
{
    char s[40];
    snprintf(s, sizeof s, "%.9g", v);
    return strtod(s, NULL);
}

/* A mean, for readers: 9 digits; 0 for an expert that no token reached. */
static void put_mean(json_t *o, const char *key, const struct sums *x, uint32_t n, enum sum k)
{
    json_t *a = json_array();
    for (uint32_t j = 0; j < n; j++)
        json_array_append_new(
            a, json_real(x[j].count ? nine_digits(sum_value(&x[j], k) / (double)x[j].count) : 0));
    json_object_set_new(o, key, a);
}

static json_t *layer_json(const struct stats *s, const struct stats_layer *l)
{
    static const char *const names[] = {"even", "odd"};
    json_t *o = json_object(), *halves = json_object();
    struct sums *total = xcalloc(s->n_experts, sizeof *total);
    for (uint32_t j = 0; j < s->n_experts; j++)
        total[j] = stats_total(l, j);
    json_object_set_new(o, "total_tokens", json_integer((json_int_t)stats_tokens(l)));
    json_object_set_new(o, "n_experts_used", json_integer(l->n_used));
    put_sums(o, total, s->n_experts, s->unknown);
    put_mean(o, "reap", total, s->n_experts, SUM_REAP);
    put_mean(o, "ean_mean", total, s->n_experts, SUM_EAN);
    for (int h = 0; h < 2; h++) {
        json_t *x = json_object();
        json_object_set_new(x, "total_tokens", json_integer((json_int_t)l->tokens[h]));
        put_sums(x, l->half[h], s->n_experts, s->unknown);
        json_object_set_new(halves, names[h], x);
    }
    json_object_set_new(o, "halves", halves);
    free(total);
    return o;
}

static json_t *progress_json(const struct stats_progress *p)
{
    json_t *o = json_object();
    json_object_set_new(o, "batches_done", json_integer((json_int_t)p->batches_done));
    json_object_set_new(o, "batches", json_integer((json_int_t)p->batches));
    if (!isnan(p->settled_at)) {
        json_object_set_new(o, "settled_at", json_real(p->settled_at));
        json_put_f64(o, "settled_score", p->settled_score);
        json_object_set_new(o, "prune_ratio", json_real(p->prune_ratio));
    }
    return o;
}

static json_t *import_json(const struct stats *s)
{
    json_t *o = json_copy(s->import), *unknown = json_array();
    for (int k = 0; k < N_SUMS; k++)
        if ((s->unknown & SUM_BIT(k)) && !sum_infos[k].optional)
            json_array_append_new(unknown, json_string(sum_infos[k].key));
    json_object_set_new(o, "unknown", unknown);
    return o;
}

static json_t *stats_json(const struct stats *s)
{
    json_t *o = json_object(), *layers = json_object();
    json_object_set_new(o, "schema", json_string(SCHEMA));
    json_object_set_new(o, "version", json_string(REAP_VERSION));
    json_object_set(o, "model", s->model);
    json_object_set(o, "calibration", s->calibration);
    if (router_words[s->router])
        json_object_set_new(o, "gate", json_string(router_words[s->router]));
    if (s->progress)
        json_object_set_new(o, "progress", progress_json(s->progress));
    if (s->import)
        json_object_set_new(o, "import", import_json(s));
    if (s->pairs)
        json_object_set_new(o, "pairs", pairs_json(s));
    for (uint32_t i = 0; i < s->n_layers; i++)
        ids_set_layer(layers, s->layers[i].il, layer_json(s, &s->layers[i]));
    json_object_set_new(o, "layers", layers);
    if (s->n_mtp) {
        json_object_set_new(o, "mtp_layers", layers = json_object());
        for (uint32_t i = s->n_layers; i < s->n_layers + s->n_mtp; i++)
            ids_set_layer(layers, s->layers[i].il, layer_json(s, &s->layers[i]));
    }
    return o;
}

/* Sums over pairs without a stats file: it was moved or removed, and they may be all that is left of hours. They get
 * another name, so that they neither stop what is written now nor are lost. */
static bool set_pairs_aside(const char *path, const char *pairs, struct err *e)
{
    char *to = NULL;
    bool orphans, ok = pairs_are_orphans(path, pairs, &orphans, e);
    if (ok && orphans)
        ok = out_set_aside(pairs, &to, e);
    if (to)
        log_warn("'%s' lay there without '%s', the statistics that it belongs to: it is '%s' now", pairs,
                 path, to);
    free(to);
    return ok;
}

static bool write_stats(const struct stats *s, struct out *o, struct err *e)
{
    struct buf text = {0};
    json_t *j = stats_json(s);
    json_print(&text, j);
    json_decref(j);
    bool ok = out_write(o, text.s, text.n, e);
    buf_clear(&text);
    return ok;
}

/* The pairs are written first, since the other file names their hash; put in place are all as one. */
static bool save_all(const struct stats *s, const char *path, const char *pairs,
                     const struct stats_more *more, bool force, struct err *e)
{
    struct out v[] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
    bool ok = (!pairs || (stats_need_pairs(s, e) && set_pairs_aside(path, pairs, e))) &&
              out_open(&v[0], path, force, e) &&
              (!pairs || (out_open(&v[1], pairs, force, e) && pairs_write(s, &v[1], e))) &&
              (!more || (out_open(&v[2], more->path, force, e) && more->write(more->ud, &v[2], e))) &&
              write_stats(s, &v[0], e) && out_commit_all(v, 3, e);
    for (int i = 0; i < 3; i++)
        out_abort(&v[i]);
    return ok;
}

bool stats_save_with(const struct stats *s, const char *path, const struct stats_more *more, bool force,
                     struct err *e)
{
    char *pairs = s->pairs ? xasprintf("%s" PAIRS_SUFFIX, path) : NULL;
    bool ok = save_all(s, path, pairs, more, force, e);
    free(pairs);
    return ok;
}

bool stats_save(const struct stats *s, const char *path, bool force, struct err *e)
{
    return stats_save_with(s, path, NULL, force, e);
}

bool stats_recover_with(const char *path, const char *more, struct err *e)
{
    char *pairs = xasprintf("%s" PAIRS_SUFFIX, path);
    const char *const all[] = {path, pairs, more};
    bool ok = out_recover(all, more ? 3 : 2, e);
    free(pairs);
    return ok;
}

bool stats_recover(const char *path, struct err *e)
{
    return stats_recover_with(path, NULL, e);
}

bool stats_check_output(const char *path, bool with_pairs, bool force, struct err *e)
{
    char *pairs = xasprintf("%s" PAIRS_SUFFIX, path);
    bool orphans = false, ok = file_check_output(path, force, e);
    if (ok && with_pairs)
        ok = pairs_are_orphans(path, pairs, &orphans, e) && file_check_output(pairs, force || orphans, e);
    free(pairs);
    return ok;
}

bool stats_check_apart(const char *out, const char *path, const char *what, struct err *e)
{
    char *pairs = path ? xasprintf("%s" PAIRS_SUFFIX, path) : NULL;
    bool ok = file_check_apart(out, path, what, e) &&
              file_check_apart(out, pairs, "the sums over pairs of the stats file", e);
    free(pairs);
    return ok;
}

/* ---- reading ---- */

/* n sums, caller frees; NULL with *e. Nothing is allocated that the file does not hold: the counts come
 * first. *unknown: the optional ones that it lacks are added. */
static struct sums *read_sums(const json_t *o, const char *where, uint32_t n, unsigned *unknown,
                              struct err *e)
{
    json_t *a;
    if (!json_need_arr(o, "count", where, &a, e))
        return NULL;
    if (json_array_size(a) != n) {
        err_set(e, ERR_INPUT, "%s: 'count' has %zu entries, expected %u", where, json_array_size(a), n);
        return NULL;
    }
    struct sums *x = xcalloc(n, sizeof *x);
    double *v = xcalloc(n, sizeof *v);
    bool ok = true;
    for (uint32_t j = 0; ok && j < n; j++) {
        json_t *c = json_array_get(a, j);
        x[j].count = (uint64_t)json_integer_value(c);
        if (!json_is_integer(c) || json_integer_value(c) < 0)
            ok = err_set(e, ERR_INPUT, "%s: 'count' entry %u is not an integer of 0 or more", where, j);
    }
    for (int k = 0; ok && k < N_SUMS; k++) {
        if (sum_infos[k].optional && !json_object_get(o, sum_infos[k].key)) {
            *unknown |= SUM_BIT(k);
            continue;
        }
        ok = json_need_f64s(o, sum_infos[k].key, where, v, n, e);
        for (uint32_t j = 0; ok && j < n; j++)
            *sum_of(&x[j], (enum sum)k) = v[j];
    }
    free(v);
    if (ok)
        return x;
    free(x);
    return NULL;
}

/* The totals must be what the halves give, within the rounding of a reader that printed fewer digits. */
static bool totals_agree(const struct stats_layer *l, struct sums *t, uint32_t n, unsigned unknown,
                         const char *where, struct err *e)
{
    for (uint32_t j = 0; j < n; j++) {
        struct sums want = stats_total(l, j);
        if (t[j].count != want.count)
            return err_set(e, ERR_INPUT, "%s: 'count' of expert %u is %llu, but the halves add up to %llu",
                           where, j, (unsigned long long)t[j].count, (unsigned long long)want.count);
        for (int k = 0; k < N_SUMS; k++) {
            double a = sum_value(&t[j], (enum sum)k), b = sum_value(&want, (enum sum)k);
            if (unknown & SUM_BIT(k))
                continue;
            if (!isfinite(b) || !(fabs(a - b) <= 1e-6 * fabs(b)))
                return err_set(e, ERR_INPUT, "%s: '%s' of expert %u is %g, but the halves give %g", where,
                               sum_infos[k].key, j, a, b);
        }
    }
    return true;
}

static bool read_layer(struct stats *s, struct stats_layer *l, const char *key, const json_t *o,
                       struct err *e)
{
    static const char *const names[] = {"even", "odd"};
    char where[64];
    uint64_t k, total;
    unsigned unknown = 0;
    json_t *halves, *h;
    snprintf(where, sizeof where, "layers.%.20s", key);
    if (!ids_layer(key, &l->il))
        return err_set(e, ERR_INPUT, "%s: a layer's key must be its number", where);
    if (!json_is_object(o))
        return err_set(e, ERR_INPUT, "%s: expected an object", where);
    if (!json_need_u64(o, "total_tokens", where, &total, e) ||
        !json_need_u64(o, "n_experts_used", where, &k, e) || !json_need_obj(o, "halves", where, &halves, e))
        return false;
    if (k < 1 || k > s->n_experts)
        return err_set(e, ERR_INPUT, "%s: 'n_experts_used' is %llu, expected 1 to %u", where,
                       (unsigned long long)k, s->n_experts);
    l->n_used = (uint32_t)k;
    for (int i = 0; i < 2; i++) {
        char at[96];
        snprintf(at, sizeof at, "%s.halves.%s", where, names[i]);
        if (!json_need_obj(halves, names[i], where, &h, e) ||
            !json_need_u64(h, "total_tokens", at, &l->tokens[i], e))
            return false;
        free(l->half[i]); /* made for 0 experts */
        if (!(l->half[i] = read_sums(h, at, s->n_experts, &s->unknown, e)))
            return false;
    }
    if (total != stats_tokens(l))
        return err_set(e, ERR_INPUT, "%s: 'total_tokens' is %llu, but the halves add up to %llu", where,
                       (unsigned long long)total, (unsigned long long)stats_tokens(l));
    struct sums *t = read_sums(o, where, s->n_experts, &unknown, e);
    bool ok = t && totals_agree(l, t, s->n_experts, s->unknown | unknown, where, e);
    free(t);
    return ok;
}

/* Those behind the trunk's. */
static bool read_mtp(struct stats *s, const json_t *o, struct err *e)
{
    json_t *layers, *x;
    const char *key;
    if (!json_opt_obj(o, "mtp_layers", "stats", &layers, e) || !layers)
        return e->code == ERR_NONE;
    if (json_object_size(layers) > LIMIT_LAYERS)
        return err_set(e, ERR_INPUT, "%zu MTP layers, expected at most %d", json_object_size(layers),
                       LIMIT_LAYERS);
    uint32_t last = s->layers[s->n_layers - 1].il;
    json_object_foreach (layers, key, x) {
        struct stats_layer *l = stats_new_mtp(s, 0, 0);
        if (!read_layer(s, l, key, x, e))
            return err_ctx(e, "mtp_layers");
        if (l->il <= last)
            return err_set(e, ERR_INPUT, "mtp_layers: layer %u is none behind the last of 'layers', %u",
                           l->il, last);
    }
    qsort(s->layers + s->n_layers, s->n_mtp, sizeof *s->layers, ids_compare);
    return true;
}

static bool read_import(struct stats *s, const json_t *o, struct err *e)
{
    json_t *unknown, *v;
    size_t i;
    if (!json_object_get(o, "import"))
        return true;
    if (!json_need_obj(o, "import", "stats", &s->import, e))
        return false;
    json_incref(s->import);
    if (!json_need_arr(s->import, "unknown", "import", &unknown, e))
        return false;
    json_array_foreach (unknown, i, v)
        for (int k = 0; k < N_SUMS; k++)
            if (json_is_string(v) && !strcmp(json_string_value(v), sum_infos[k].key))
                s->unknown |= SUM_BIT(k);
    return true;
}

static bool read_router(struct stats *s, const json_t *o, struct err *e)
{
    const json_t *gate = json_object_get(o, "gate");
    const char *word = json_string_value(gate);
    if (!gate)
        return true;
    for (size_t r = ROUTER_UNKNOWN + 1; word && r < sizeof router_words / sizeof *router_words; r++)
        if (!strcmp(word, router_words[r])) {
            s->router = (enum router)r;
            return true;
        }
    return err_set(e, ERR_INPUT, "'gate' is %s, expected renormalised, softmax, unnormalised or input",
                   word ? "another word" : json_type_name(gate));
}

static bool read_progress(struct stats *s, const json_t *o, struct err *e)
{
    json_t *p;
    if (!json_opt_obj(o, "progress", "stats", &p, e) || !p)
        return e->code == ERR_NONE;
    struct stats_progress *x = s->progress = xcalloc(1, sizeof *x);
    return json_need_u64(p, "batches_done", "progress", &x->batches_done, e) &&
           json_need_u64(p, "batches", "progress", &x->batches, e) &&
           json_opt_f64(p, "settled_at", "progress", &x->settled_at, e) &&
           json_opt_f64(p, "settled_score", "progress", &x->settled_score, e) &&
           json_opt_f64(p, "prune_ratio", "progress", &x->prune_ratio, e);
}

static struct stats *read_stats(const json_t *o, const char *path, struct err *e)
{
    const char *schema, *key;
    json_t *model, *layers, *x;
    uint64_t n_experts;
    if (!json_is_object(o)) {
        err_set(e, ERR_INPUT, "expected a JSON object with \"schema\": \"%s\"", SCHEMA);
        return NULL;
    }
    if (!json_need_str(o, "schema", "stats", &schema, e))
        return NULL;
    if (strcmp(schema, SCHEMA) != 0) {
        err_set(e, ERR_INPUT, "schema is '%.60s', expected '%s'", schema, SCHEMA);
        return NULL;
    }
    if (!json_need_obj(o, "model", "stats", &model, e) || !json_need_obj(o, "layers", "stats", &layers, e) ||
        !json_need_u64(model, "n_experts", "model", &n_experts, e))
        return NULL;
    if (n_experts < 1 || n_experts > LIMIT_EXPERTS || json_object_size(layers) < 1 ||
        json_object_size(layers) > LIMIT_LAYERS) {
        err_set(e, ERR_INPUT, "%llu experts in %zu layers: expected 1 to %d in 1 to %d",
                (unsigned long long)n_experts, json_object_size(layers), LIMIT_EXPERTS, LIMIT_LAYERS);
        return NULL;
    }
    struct stats *s = stats_new((uint32_t)json_object_size(layers), 0);
    s->n_experts = (uint32_t)n_experts;
    s->unknown = 0;
    s->model = json_incref(model);
    s->calibration = json_incref(json_object_get(o, "calibration"));
    uint32_t i = 0;
    if (!stats_read_groups(s, e) || !read_router(s, o, e) || !read_progress(s, o, e) ||
        !read_import(s, o, e) || !pairs_read_json(s, o, path, e)) {
        stats_free(s);
        return NULL;
    }
    json_object_foreach (layers, key, x) {
        if (!read_layer(s, &s->layers[i++], key, x, e)) {
            stats_free(s);
            return NULL;
        }
    }
    qsort(s->layers, s->n_layers, sizeof *s->layers, ids_compare);
    if (!read_mtp(s, o, e)) {
        stats_free(s);
        return NULL;
    }
    return s;
}

struct stats *stats_load(const char *path, struct err *e)
{
    struct buf b = {0};
    char hex[65] = "";
    json_t *o = NULL;
    if (file_read_all(path, MAX_FILE, &b, e)) {
        sha256_bytes(b.s, b.n,
                     hex); /* of what was read: the file may be another by the time that it is asked */
        o = json_parse(b.s, b.n, e);
        if (!o)
            err_ctx(e, "%s", path);
    }
    buf_clear(&b);
    if (!o)
        return NULL;
    struct stats *s = read_stats(o, path, e);
    if (s && !stats_check(s, e)) {
        stats_free(s);
        s = NULL;
    }
    if (s)
        memcpy(s->sha256, hex, sizeof hex);
    else
        err_ctx(e, "%s", path);
    json_decref(o);
    return s;
}

struct stats **stats_load_all(char const *const *paths, uint32_t n, struct err *e)
{
    struct stats **s = xcalloc(n, sizeof *s);
    for (uint32_t i = 0; i < n; i++)
        if (!(s[i] = stats_load(paths[i], e))) {
            stats_free_all(s, n);
            return NULL;
        }
    return s;
}

void stats_free_all(struct stats **s, uint32_t n)
{
    for (uint32_t i = 0; s && i < n; i++)
        stats_free(s[i]);
    free(s);
}
