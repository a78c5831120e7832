/* refine_state.c - how far a refinement is, as a file (reap.refine-state/2): the plan as it is, what was measured, and
 * the duel that goes on. Numbers come back equal, so a run that goes on from it ends as one that was not disturbed. */
#include "base/file.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/mem.h"
#include "base/out.h"
#include "engine/opts.h"
#include "sweep/refine_part.h"

#include <math.h>
#include <string.h>

#define SCHEMA "reap.refine-state/2"

/* ---- what the result depends on ---- */

void state_key(struct job *j, const char *stats_hash, const char *plan_hash)
{
    const struct refine_opts *o = j->o;
    const struct corpus *c = &j->t.text.corpus;
    struct buf b = {0};
    view_stamp(j->r->view, &b);
    buf_fmt(&b, "%s %s %s\n", stats_hash, plan_hash, j->criterion->name);
    for (uint32_t i = 0; i < c->n_sources; i++)
        buf_fmt(&b, "%s %llu\n", c->sources[i].sha256, (unsigned long long)c->sources[i].n_used);
    buf_fmt(&b, "%llu %llu %llu %d %d %s\n", (unsigned long long)o->corpus.per_category,
            (unsigned long long)o->corpus.max_samples, (unsigned long long)o->corpus.seed, o->corpus.shuffle,
            o->corpus.join_parts, o->corpus.map ? o->corpus.map : "");
    buf_fmt(&b, "%u %u %u %.17g\n", j->t.text.n, o->n_ctx, j->near, o->z);
    buf_fmt(&b, "%s\n", c->aside.sha256);
    engine_opts_key(&o->engine, &b);
    sha256_bytes(b.s, b.n, j->key);
    buf_clear(&b);
}

/* ---- writing ---- */

static json_t *swap_json(struct swap s)
{
    const uint32_t v[] = {s.layer, s.out, s.in};
    return ids_json(v, 3);
}

static json_t *tried_json(const struct job *j)
{
    const struct worth *w = &j->worth;
    json_t *all = json_array();
    for (uint32_t l = 0; l < w->n_layers; l++)
        for (uint32_t o = 0; o < w->n_experts; o++)
            for (uint32_t i = 0; i < w->n_experts; i++)
                if (worth_was_tried(w, (struct swap){l, o, i}))
                    json_array_append_new(all, swap_json((struct swap){l, o, i}));
    return all;
}

static json_t *duel_json(const struct job *j, const struct duel *d)
{
    json_t *o = json_object(), *swaps = json_array();
    json_object_set_new(o, "kind", json_integer(d->kind));
    if (d->kind == DUEL_NONE) {
        json_decref(swaps);
        return o;
    }
    for (uint32_t i = 0; i < d->n_swaps; i++)
        json_array_append_new(swaps, swap_json(d->swap[i]));
    json_object_set_new(o, "layer", json_integer(d->but.layer));
    json_object_set_new(o, "expert", json_integer(d->but.expert));
    json_object_set_new(o, "swaps", swaps);
    json_object_set_new(o, "order", ids_json(d->order, j->t.n_packs));
    json_object_set_new(o, "n", json_integer(d->n));
    json_object_set_new(o, "n_decide", json_integer(d->n_decide));
    json_object_set_new(o, "loss", json_f64s(d->loss, j->t.text.n));
    return o;
}

static json_t *kept_json(const struct plan *p)
{
    json_t *a = json_array();
    for (uint32_t l = 0; l < p->n_layers; l++)
        json_array_append_new(a, ids_json(p->layers[l].keep, p->n_keep));
    return a;
}

static json_t *swaps_json(const struct refine_result *r)
{
    json_t *a = json_array();
    for (uint32_t i = 0; i < r->n_swaps; i++) {
        const uint32_t v[] = {r->swaps[i].il, r->swaps[i].out, r->swaps[i].in};
        json_array_append_new(a, ids_json(v, 3));
    }
    return a;
}

static json_t *hopes_json(const struct job *j)
{
    json_t *a = json_array();
    for (uint32_t i = 0; i < j->n_hope; i++) {
        const struct hope *h = &j->hope[i];
        json_t *x = json_object();
        json_object_set_new(x, "swap", swap_json(h->swap));
        json_object_set_new(x, "gain", json_real(h->gain));
        json_object_set_new(x, "error", json_real(h->err));
        json_array_append_new(a, x);
    }
    return a;
}

static json_t *steps_json(const struct job *j)
{
    json_t *a = json_array();
    for (uint32_t i = 0; i < j->n_steps; i++) {
        const double v[] = {(double)j->steps[i].tokens, j->steps[i].gain};
        json_array_append_new(a, json_f64s(v, 2));
    }
    return a;
}

bool state_save(struct job *j, struct err *e)
{
    const struct refine_result *r = j->r;
    if (!j->o->state)
        return true;
    json_t *o = json_object();
    size_t n = (size_t)j->worth.n_layers * j->worth.n_experts;
    char rng[24];
    snprintf(rng, sizeof rng, "%016llx", (unsigned long long)j->rng.s);
    json_object_set_new(o, "schema", json_string(SCHEMA));
    json_object_set_new(o, "key", json_string(j->key));
    json_object_set_new(o, "rng", json_string(rng));
    json_object_set_new(o, "keep", kept_json(r->plan));
    json_object_set_new(o, "swaps", swaps_json(r));
    json_object_set_new(o, "n_measured", json_integer(r->n_measured));
    json_object_set_new(o, "n_trials", json_integer(r->n_trials));
    json_object_set_new(o, "tokens", json_integer((json_int_t)refine_tokens(j)));
    json_object_set_new(o, "seconds", json_real(refine_secs(j)));
    json_object_set_new(o, "gain", json_real(r->gain));
    json_object_set_new(o, "gain_variance", json_real(j->gain_var));
    json_object_set_new(o, "loss", json_f64s(j->loss, j->t.text.n));
    json_object_set_new(o, "worth", json_f64s(j->worth.mean, n));
    json_object_set_new(o, "worth_variance", json_f64s(j->worth.var, n));
    json_object_set_new(o, "worth_spread", json_f64s(j->worth.spread, n));
    json_object_set_new(o, "worth_windows", json_f64s(j->worth.windows, n));
    json_object_set_new(o, "layer_spread", json_f64s(j->worth.of_layer, j->worth.n_layers));
    json_object_set_new(o, "at", ids_json(j->at, (uint32_t)n));
    json_object_set_new(o, "loss_first", json_real(j->loss_first));
    json_object_set_new(o, "enough", json_real(j->enough));
    json_object_set_new(o, "tried", tried_json(j));
    json_object_set_new(o, "n_alone", json_integer(j->n_alone));
    json_object_set_new(o, "near", json_integer(j->near));
    json_object_set_new(o, "wider", json_boolean(j->wider));
    json_object_set_new(o, "measured", json_boolean(j->measured));
    json_object_set_new(o, "race_tokens", json_integer((json_int_t)j->race_tokens));
    json_object_set_new(o, "hopes", hopes_json(j));
    json_object_set_new(o, "testing", json_boolean(j->testing));
    json_object_set_new(o, "steps", steps_json(j));
    json_object_set_new(o, "duel", duel_json(j, &j->duel));
    bool ok = json_write(j->o->state, o, true, e);
    json_decref(o);
    return ok;
}

/* ---- reading: the file may be anybody's ---- */

static bool read_u32(const json_t *o, const char *key, uint32_t most, uint32_t *out, struct err *e)
{
    uint64_t v;
    if (!json_need_u64(o, key, "state", &v, e))
        return false;
    if (v > most)
        return err_set(e, ERR_INPUT, "%s: expected at most %u, found %llu", key, most, (unsigned long long)v);
    *out = (uint32_t)v;
    return true;
}

static bool read_ids(const json_t *a, uint32_t n, uint32_t below, uint32_t *out, const char *what,
                     struct err *e)
{
    size_t bad = 0;
    if (!json_is_array(a) || json_array_size(a) != n || !ids_read(a, below - 1, out, &bad))
        return err_set(e, ERR_INPUT, "%s: expected %u numbers below %u", what, n, below);
    return true;
}

static bool read_swap(const struct job *j, const json_t *a, struct swap *s, struct err *e)
{
    uint32_t v[3], n = j->worth.n_experts;
    if (!read_ids(a, 3, n > j->worth.n_layers ? n : j->worth.n_layers, v, "a swap", e))
        return false;
    if (v[0] >= j->worth.n_layers || v[1] >= n || v[2] >= n)
        return err_set(e, ERR_INPUT, "a swap is of no layer or no expert of the model");
    *s = (struct swap){v[0], v[1], v[2]};
    return true;
}

static bool read_list(const json_t *o, const char *key, size_t most, json_t **out, struct err *e)
{
    if (!json_need_arr(o, key, "state", out, e))
        return false;
    return json_array_size(*out) <= most ||
           err_set(e, ERR_INPUT, "%s: expected at most %zu of them", key, most);
}

static bool read_kept(struct job *j, const json_t *o, struct err *e)
{
    struct plan *p = j->r->plan;
    json_t *a;
    if (!read_list(o, "keep", p->n_layers, &a, e))
        return false;
    for (uint32_t l = 0; l < p->n_layers; l++) {
        if (!read_ids(json_array_get(a, l), p->n_keep, j->worth.n_experts, p->layers[l].keep, "keep", e))
            return false;
        for (uint32_t i = 1; i < p->n_keep; i++)
            if (p->layers[l].keep[i] <= p->layers[l].keep[i - 1])
                return err_set(e, ERR_INPUT, "keep: expected ascending ids");
    }
    return plan_fits(p, j->r->view, e);
}

static bool read_swaps(struct job *j, const json_t *o, struct err *e)
{
    json_t *a;
    if (!read_list(o, "swaps", 1u << 24, &a, e))
        return false;
    uint32_t n = (uint32_t)json_array_size(a), v[3];
    j->r->swaps = xcalloc(n, sizeof *j->r->swaps);
    for (; j->r->n_swaps < n; j->r->n_swaps++) {
        if (!read_ids(json_array_get(a, j->r->n_swaps), 3, UINT32_MAX, v, "swaps", e))
            return false;
        j->r->swaps[j->r->n_swaps] = (struct refine_swap){v[0], v[1], v[2]};
    }
    return true;
}

static bool read_worth(struct job *j, const json_t *o, struct err *e)
{
    size_t n = (size_t)j->worth.n_layers * j->worth.n_experts;
    json_t *a;
    struct swap s;
    if (!json_need_f64s(o, "worth", "state", j->worth.mean, n, e) ||
        !json_need_f64s(o, "worth_variance", "state", j->worth.var, n, e) ||
        !json_need_f64s(o, "worth_spread", "state", j->worth.spread, n, e) ||
        !json_need_f64s(o, "worth_windows", "state", j->worth.windows, n, e) ||
        !json_need_f64s(o, "layer_spread", "state", j->worth.of_layer, j->worth.n_layers, e) ||
        !json_need_arr(o, "at", "state", &a, e) ||
        !read_ids(a, (uint32_t)n, j->t.n_packs + 1, j->at, "at", e) ||
        !read_list(o, "tried", n * j->worth.n_experts, &a, e))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (!read_swap(j, json_array_get(a, i), &s, e))
            return false;
        worth_set_tried(&j->worth, s);
    }
    return true;
}

/* A swap that can be made with the plan as it is, in a layer of its own. */
static bool check_swaps(const struct job *j, const struct swap *s, uint32_t n, struct err *e)
{
    const struct plan *p = j->r->plan;
    uint32_t size = j->worth.n_experts / j->worth.n_groups;
    for (uint32_t k = 0; k < n; k++) {
        bool out = false, in = false, twice = false;
        for (uint32_t i = 0; i < p->n_keep; i++) {
            out = out || p->layers[s[k].layer].keep[i] == s[k].out;
            in = in || p->layers[s[k].layer].keep[i] == s[k].in;
        }
        for (uint32_t i = 0; i < k; i++)
            twice = twice || s[i].layer == s[k].layer;
        if (!out || in || twice || s[k].out / size != s[k].in / size)
            return err_set(e, ERR_INPUT, "a swap cannot be made in the plan");
    }
    return true;
}

static bool read_hopes(struct job *j, const json_t *o, struct err *e)
{
    json_t *a;
    struct swap s[MAX_GROUP];
    if (!read_list(o, "hopes", MAX_GROUP, &a, e))
        return false;
    uint32_t n = (uint32_t)json_array_size(a);
    for (uint32_t i = 0; i < n; i++) {
        json_t *x = json_array_get(a, i), *ids = json_object_get(x, "swap");
        if (!read_swap(j, ids, &s[i], e) || !json_opt_f64(x, "gain", "hopes", &j->hope[i].gain, e) ||
            !json_opt_f64(x, "error", "hopes", &j->hope[i].err, e))
            return false;
        if (!isfinite(j->hope[i].gain) || !(j->hope[i].err >= 0))
            return err_set(e, ERR_INPUT, "hopes: expected a gain, and an error of 0 or more");
        j->hope[i].swap = s[i];
    }
    j->n_hope = n;
    return check_swaps(j, s, n, e);
}

static bool read_steps(struct job *j, const json_t *o, struct err *e)
{
    json_t *a;
    if (!read_list(o, "steps", 1u << 24, &a, e))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++) {
        const json_t *x = json_array_get(a, i);
        double tokens = json_number_value(json_array_get(x, 0));
        GROW(j->steps, j->n_steps, j->cap_steps);
        j->steps[j->n_steps++] = (struct gain_step){tokens >= 0 && tokens < 1e18 ? (uint64_t)tokens : 0,
                                                    json_number_value(json_array_get(x, 1))};
    }
    return true;
}

/* The packs in some order, each once. */
static bool read_order(struct job *j, struct duel *d, const json_t *o, struct err *e)
{
    uint32_t n = j->t.n_packs;
    json_t *a;
    if (!json_need_arr(o, "order", "duel", &a, e) || !read_ids(a, n, n, d->order, "order", e))
        return false;
    uint8_t *seen = xcalloc(n, 1);
    bool ok = true;
    for (uint32_t i = 0; i < n; i++)
        ok = ok && !seen[d->order[i]]++;
    free(seen);
    return ok || err_set(e, ERR_INPUT, "order: a number stands twice");
}

static bool read_duel(struct job *j, const json_t *state, struct err *e)
{
    struct duel *d = &j->duel;
    json_t *o, *swaps;
    uint32_t kind = DUEL_NONE;
    if (!json_need_obj(state, "duel", "state", &o, e) || !read_u32(o, "kind", DUEL_GROUP, &kind, e))
        return false;
    if (kind == DUEL_NONE)
        return true;
    if (!read_u32(o, "layer", j->worth.n_layers - 1, &d->but.layer, e) ||
        !read_u32(o, "expert", j->worth.n_experts - 1, &d->but.expert, e) ||
        !read_list(o, "swaps", MAX_GROUP, &swaps, e))
        return false;
    for (; d->n_swaps < json_array_size(swaps); d->n_swaps++)
        if (!read_swap(j, json_array_get(swaps, d->n_swaps), &d->swap[d->n_swaps], e))
            return false;
    if (!check_swaps(j, d->swap, d->n_swaps, e) || (kind == DUEL_GROUP) != (d->n_swaps > 0))
        return e->code ? false : err_set(e, ERR_INPUT, "duel: swaps do not fit its kind");
    d->kind = (enum duel_kind)kind;
    struct rng rng = j->rng; /* as it is behind the draws of this duel */
    duel_begin(j, d);
    j->rng = rng;
    return read_order(j, d, o, e) && read_u32(o, "n", j->t.n_packs - 1, &d->n, e) &&
           (d->n >= d->first || err_set(e, ERR_INPUT, "n: expected at least %u", d->first)) &&
           read_u32(o, "n_decide", j->t.n_packs, &d->n_decide, e) &&
           json_need_f64s(o, "loss", "duel", d->loss, j->t.text.n, e);
}

static bool read_numbers(struct job *j, const json_t *o, struct err *e)
{
    const char *rng;
    char *end;
    if (!json_need_str(o, "rng", "state", &rng, e))
        return false;
    j->rng.s = strtoull(rng, &end, 16);
    if (strlen(rng) != 16 || *end)
        return err_set(e, ERR_INPUT, "rng: expected 16 hex digits");
    double secs, gain, var;
    if (!json_opt_f64(o, "loss_first", "state", &j->loss_first, e) ||
        !json_opt_f64(o, "enough", "state", &j->enough, e) ||
        !json_opt_f64(o, "seconds", "state", &secs, e) || !json_opt_f64(o, "gain", "state", &gain, e) ||
        !json_opt_f64(o, "gain_variance", "state", &var, e) ||
        !json_opt_bool(o, "measured", "state", &j->measured, e) ||
        !json_opt_bool(o, "wider", "state", &j->wider, e) ||
        !read_u32(o, "near", 2 * j->worth.n_experts, &j->near, e) ||
        !json_opt_bool(o, "testing", "state", &j->testing, e) ||
        !json_need_u64(o, "tokens", "state", &j->tokens_before, e) ||
        !json_need_u64(o, "race_tokens", "state", &j->race_tokens, e) ||
        !read_u32(o, "n_measured", UINT32_MAX, &j->r->n_measured, e) ||
        !read_u32(o, "n_trials", UINT32_MAX, &j->r->n_trials, e) ||
        !read_u32(o, "n_alone", UINT32_MAX, &j->n_alone, e))
        return false;
    if (!j->near)
        return err_set(e, ERR_INPUT, "near: expected at least 1");
    if (!(j->loss_first >= 0 && j->enough >= 0))
        return err_set(e, ERR_INPUT, "loss_first, enough: expected numbers of 0 or more");
    j->secs_before = secs >= 0 ? secs : 0;
    j->r->gain = isnan(gain) ? 0 : gain;
    j->gain_var = var >= 0 ? var : 0;
    j->r->gain_stderr = sqrt(j->gain_var);
    return true;
}

static bool read_state(struct job *j, const json_t *o, struct err *e)
{
    const char *schema, *key;
    if (!json_is_object(o) || !json_need_str(o, "schema", "state", &schema, e) || strcmp(schema, SCHEMA) != 0)
        return err_set(e, ERR_INPUT, "is not the state of a refinement");
    if (!json_need_str(o, "key", "state", &key, e))
        return false;
    if (strcmp(key, j->key) != 0)
        return err_set(e, ERR_INPUT,
                       "is of a refinement of another model, plan, text or options; remove it, or give "
                       "another --state");
    return read_numbers(j, o, e) && read_kept(j, o, e) && read_swaps(j, o, e) && read_worth(j, o, e) &&
           json_need_f64s(o, "loss", "state", j->loss, j->t.text.n, e) && read_hopes(j, o, e) &&
           read_steps(j, o, e) && read_duel(j, o, e);
}

bool state_load(struct job *j, struct err *e)
{
    bool there = false;
    if ((j->o->state && !file_there(j->o->state, &there, e)) || !there)
        return e->code == ERR_NONE;
    json_t *o = json_read(j->o->state, e);
    bool ok = o && (read_state(j, o, e) || err_ctx(e, "%s", j->o->state));
    json_decref(o);
    return ok;
}
