/* merge.c - see merge.h.
 *
 * Files whose calibration is equal but for `shard` are of one run. Each run must be whole: one file without
 * shard, or all shards. Then the runs are added up. */
#include "stats/merge.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "stats/pairs.h"

#include <string.h>

/* Options of which a change moves the last digits (docs/score.md). */
static const char *const digit_keys[] = {"ctx",        "ubatch",       "max_sequences", "separate_streams",
                                         "flash_attn", "cache_type_k", "cache_type_v",  "chat_template",
                                         "engine"};

struct part {
    struct stats *s;
    const char *path;
    json_t *run;         /* calibration without shard and samples; owned */
    uint64_t shard, of;  /* from 1; of 0: not a shard */
    uint32_t run_number; /* index of the first part of its run */
    uint32_t given;      /* place among the operands */
};

static bool read_shard(struct part *p, struct err *e)
{
    p->run = p->s->calibration ? json_copy(p->s->calibration) : json_object();
    json_object_del(p->run, "shard");
    json_object_del(p->run, "samples");
    return stats_shard(p->s, &p->shard, &p->of, e) || err_ctx(e, "%s", p->path);
}

static bool json_equal_or_none(const json_t *a, const json_t *b)
{
    return a == b || (a && b && json_equal(a, b));
}

/* " (found 512, expected 1024)", where there is room for it. */
static const char *values(char dst[JSON_TWO + 4], const json_t *found, const json_t *expected)
{
    char two[JSON_TWO];
    json_two(two, found, expected);
    snprintf(dst, JSON_TWO + 4, *two ? " (%s)" : "%s", two);
    return dst;
}

/* ---- one model, one set of options ---- */

bool stats_same_model(const struct stats *a, const char *path_a, const struct stats *b, const char *path_b,
                      struct err *e)
{
    static const char *const keys[] = {"architecture",   "n_layers",        "n_experts",
                                       "n_experts_used", "n_expert_groups", "n_expert_groups_used",
                                       "moe_layers",     "router_hash"};
    char v[JSON_TWO + 4];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *x = json_object_get(a->model, keys[i]), *y = json_object_get(b->model, keys[i]);
        if (!json_equal_or_none(x, y))
            return err_set(e, ERR_INPUT, "%s is of another model than %s: '%s' differs%s", path_b, path_a,
                           keys[i], values(v, y, x));
    }
    if (a->n_experts != b->n_experts || a->n_layers != b->n_layers)
        return err_set(e, ERR_INPUT, "%s has %u layers of %u experts, %s %u of %u", path_b, b->n_layers,
                       b->n_experts, path_a, a->n_layers, a->n_experts);
    for (uint32_t i = 0; i < a->n_layers; i++)
        if (a->layers[i].il != b->layers[i].il || a->layers[i].n_used != b->layers[i].n_used)
            return err_set(e, ERR_INPUT, "%s has layer %u with top-%u, %s layer %u with top-%u", path_b,
                           b->layers[i].il, b->layers[i].n_used, path_a, a->layers[i].il,
                           a->layers[i].n_used);
    return true;
}

static bool same_options(const struct part *a, const struct part *b, bool force, struct err *e)
{
    char v[JSON_TWO + 4];
    for (size_t i = 0; i < sizeof digit_keys / sizeof *digit_keys; i++) {
        json_t *x = json_object_get(a->run, digit_keys[i]), *y = json_object_get(b->run, digit_keys[i]);
        if (json_equal_or_none(x, y))
            continue;
        if (!force)
            return err_set(
                e, ERR_INPUT,
                "%s was made with another '%s' than %s%s, which changes last digits; --force merges "
                "them nevertheless",
                b->path, digit_keys[i], a->path, values(v, y, x));
        log_warn("%s was made with another '%s' than %s%s", b->path, digit_keys[i], a->path, values(v, y, x));
    }
    return true;
}

/* ---- whole runs ---- */

/* Parts of one run, which may have other options that change digits if that was forced. */
static bool same_run(const struct part *a, const struct part *b, bool force)
{
    if (json_equal(a->run, b->run))
        return json_object_size(a->run) || a->of;
    if (!force || !a->of || a->of != b->of)
        return false;
    json_t *x = json_copy(a->run), *y = json_copy(b->run);
    for (size_t i = 0; i < sizeof digit_keys / sizeof *digit_keys; i++) {
        json_object_del(x, digit_keys[i]);
        json_object_del(y, digit_keys[i]);
    }
    bool same = json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

static int by_run(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    if (x->run_number != y->run_number)
        return x->run_number < y->run_number ? -1 : 1;
    if (x->shard != y->shard)
        return x->shard < y->shard ? -1 : 1;
    return (x->given > y->given) - (x->given < y->given);
}

/* Shard number `shard` of p's run is missing: another file may be meant for it, but was made otherwise. */
static bool missing(const struct part *p, uint64_t shard, const struct part *all, uint32_t n_all,
                    struct err *e)
{
    char v[JSON_TWO + 4];
    unsigned long long i = shard, of = p->of;
    for (uint32_t k = 0; k < n_all; k++) {
        const char *key =
            all[k].shard == shard && all[k].of == p->of ? json_difference(p->run, all[k].run, NULL) : NULL;
        key =
            key && json_equal_or_none(json_object_get(p->run, "files"), json_object_get(all[k].run, "files"))
                ? key
                : NULL;
        if (!key)
            continue;
        const json_t *x = json_object_get(p->run, key), *y = json_object_get(all[k].run, key);
        const char *day = json_string_value(json_object_get(y, "date"));
        if (day && !json_equal_or_none(json_object_get(x, "date"), json_object_get(y, "date")))
            return err_set(
                e, ERR_INPUT,
                "shard %llu of %llu is missing (of the run of %s): %s was made on another day, %s, which its "
                "chat template writes; SOURCE_DATE_EPOCH gives all shards one day",
                i, of, p->path, all[k].path, day);
        return err_set(e, ERR_INPUT,
                       "shard %llu of %llu is missing (of the run of %s): %s was made with another '%s'%s", i,
                       of, p->path, all[k].path, key, values(v, y, x));
    }
    return err_set(e, ERR_INPUT, "shard %llu of %llu is missing (of the run of %s)", i, of, p->path);
}

/* p[0..n-1], among all, are the files of one run, by shard. */
static bool run_is_whole(const struct part *p, uint32_t n, const struct part *all, uint32_t n_all,
                         struct err *e)
{
    uint64_t tokens = 0, want;
    if (!p[0].of && n > 1)
        return err_set(e, ERR_INPUT, "%s and %s are of the same run, its text would count twice", p[0].path,
                       p[1].path);
    for (uint32_t i = 0; i < n; i++) {
        if (p[i].of != p[0].of)
            return err_set(e, ERR_INPUT, "%s and %s are of one run, cut differently (%llu and %llu shards)",
                           p[0].path, p[i].path, (unsigned long long)p[0].of, (unsigned long long)p[i].of);
        if (i && p[i].shard == p[i - 1].shard)
            return err_set(e, ERR_INPUT, "shard %llu of %llu is there twice: %s and %s",
                           (unsigned long long)p[i].shard, (unsigned long long)p[i].of, p[i - 1].path,
                           p[i].path);
        tokens += stats_tokens(&p[i].s->layers[0]);
    }
    for (uint32_t i = 0; p[0].of && i < p[0].of; i++)
        if (i >= n || p[i].shard != i + 1)
            return missing(&p[0], i + 1, all, n_all, e);
    if (!p[0].of || !json_object_get(p[0].run, "n_tokens"))
        return true;
    return (json_need_u64(p[0].run, "n_tokens", "calibration", &want, e) || err_ctx(e, "%s", p[0].path)) &&
           (tokens == want ||
            err_set(e, ERR_INPUT, "%s: the shards hold %llu tokens together, the run has %llu", p[0].path,
                    (unsigned long long)tokens, (unsigned long long)want));
}

/* ---- adding up ---- */

static bool add_counts(uint64_t *a, uint64_t b)
{
    return !__builtin_add_overflow(*a, b, a) && *a <= INT64_MAX;
}

static bool add_part(struct stats *sum, const struct part *p, struct err *e)
{
    bool ok = true;
    for (uint32_t i = 0; i < sum->n_layers + sum->n_mtp; i++)
        for (int h = 0; h < 2; h++) {
            const struct stats_layer *l = &p->s->layers[i];
            ok = add_counts(&sum->layers[i].tokens[h], l->tokens[h]) && ok;
            for (uint32_t j = 0; j < sum->n_experts; j++) {
                struct sums *x = &sum->layers[i].half[h][j];
                const struct sums *y = &l->half[h][j];
                ok = add_counts(&x->count, y->count) && ok;
                sums_add(x, y);
            }
        }
    return ok || err_set(e, ERR_INPUT, "%s: the counts are too large to be added up", p->path);
}

/* A file whose sums over pairs are lost can be added up with the others, but for these. */
static bool all_have_pairs(const struct part *p, uint32_t n, bool *all, struct err *e)
{
    const struct part *with = NULL, *without = NULL;
    for (uint32_t i = 0; i < n; i++) {
        bool there;
        if (!stats_pairs_there(p[i].s, &there, e))
            return false;
        *(there ? &with : &without) = &p[i];
    }
    if (with && without)
        log_warn("%s comes without sums over pairs of experts: the sum has none", without->path);
    *all = !without;
    return true;
}

/* One after the other: they may be large. */
static bool add_pairs(struct stats *sum, const struct part *p, struct err *e)
{
    const struct stats *s = p->s;
    bool ok = stats_need_pairs(s, e) &&
              (pairs_add(sum, s) ||
               err_set(e, ERR_INPUT, "%s: the counts of pairs are too large to be added up", p->path));
    stats_drop_pairs(s);
    return ok;
}

/* A text in two runs counts twice: possible (another choice of samples), but seldom meant. */
static void warn_same_text(const struct part *a, const struct part *b)
{
    json_t *x, *y;
    size_t i, k;
    json_array_foreach (json_object_get(a->run, "files"), i, x)
        json_array_foreach (json_object_get(b->run, "files"), k, y) {
            const char *sx = json_string_value(json_object_get(x, "sha256"));
            const char *sy = json_string_value(json_object_get(y, "sha256"));
            const char *file = json_string_value(json_object_get(x, "file"));
            if (sx && sy && !strcmp(sx, sy))
                log_warn("%s and %s were both made with '%s': its samples may count twice", a->path, b->path,
                         file ? file : "?");
        }
}

static void add_number(json_t *o, const json_t *from, const char *key)
{
    json_int_t a = json_integer_value(json_object_get(o, key)),
               b = json_integer_value(json_object_get(from, key));
    if (json_object_get(from, key) && !__builtin_add_overflow(a, b, &a))
        json_object_set_new(o, key, json_integer(a));
}

static bool is_joined(const char *key)
{
    static const char *const keys[] = {"n_samples", "n_tokens", "unused"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i]))
            return true;
    return false;
}

/* What the texts of one and of the other hold and nobody looked at. */
static void add_unused(json_t *c, const json_t *run)
{
    const char *key;
    json_t *v, *from = json_object_get(run, "unused"), *to = json_object_get(c, "unused");
    if (!json_is_object(from))
        return;
    if (!json_is_object(to))
        json_object_set_new(c, "unused", to = json_object());
    json_object_foreach (from, key, v)
        add_number(to, from, key);
}

/* Options that parts of one run do not have in common. */
static void forget_options(json_t *c, const json_t *run)
{
    for (size_t i = 0; i < sizeof digit_keys / sizeof *digit_keys; i++)
        if (!json_equal_or_none(json_object_get(c, digit_keys[i]), json_object_get(run, digit_keys[i])))
            json_object_set_new(c, digit_keys[i], json_null());
}

/* What several runs have in common stays; files are listed one after the other. */
static void join_calibration(json_t *c, const json_t *run)
{
    json_t *files = json_array(), *v, *other;
    const char *key;
    void *next;
    json_array_extend(files, json_object_get(c, "files"));
    json_array_extend(files, json_object_get(run, "files"));
    json_object_foreach_safe(c, next, key, v)
    {
        other = json_object_get(run, key);
        if (!is_joined(key) && !(other && json_equal(v, other)))
            json_object_set_new(c, key, json_null());
    }
    json_object_set_new(c, "files", files);
    add_number(c, run, "n_samples");
    add_number(c, run, "n_tokens");
    add_unused(c, run);
}

bool stats_same_mtp(const struct stats *a, const struct stats *b)
{
    bool same = a->n_mtp == b->n_mtp;
    for (uint32_t i = 0; same && i < a->n_mtp; i++)
        same = a->layers[a->n_layers + i].il == b->layers[b->n_layers + i].il &&
               a->layers[a->n_layers + i].n_used == b->layers[b->n_layers + i].n_used;
    return same;
}

/* What all have. */
static void add_mtp(struct stats *sum, const struct part *p, uint32_t n)
{
    const struct stats *s = p[0].s;
    for (uint32_t i = 1; i < n; i++)
        if (!stats_same_mtp(s, p[i].s)) {
            log_warn("%s and %s have statistics of other MTP blocks: the sum has none of them", p[0].path,
                     p[i].path);
            return;
        }
    for (uint32_t i = s->n_layers; i < s->n_layers + s->n_mtp; i++)
        stats_new_mtp(sum, s->layers[i].il, s->layers[i].n_used);
}

static struct stats *sum_up(const struct part *p, uint32_t n, struct err *e)
{
    const struct stats *first = p[0].s;
    struct stats *s = stats_new(first->n_layers, first->n_experts);
    bool ok = true;
    uint32_t last = 0; /* the first file of the run before */
    s->model = json_incref(first->model);
    s->calibration = json_deep_copy(p[0].run);
    s->import = json_incref(first->import);
    s->unknown = first->unknown;
    s->router = first->router;
    for (uint32_t i = 1; i < n; i++) {
        s->unknown |= p[i].s->unknown;
        s->router = p[i].s->router == s->router ? s->router : ROUTER_UNKNOWN;
    }
    s->n_groups = first->n_groups;
    s->n_groups_used = first->n_groups_used;
    for (uint32_t i = 0; i < s->n_layers; i++) {
        s->layers[i].il = first->layers[i].il;
        s->layers[i].n_used = first->layers[i].n_used;
    }
    add_mtp(s, p, n);
    bool pairs = false;
    ok = all_have_pairs(p, n, &pairs, e);
    if (pairs)
        stats_keep_pairs(s);
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = add_part(s, &p[i], e) && (!pairs || add_pairs(s, &p[i], e));
        if (p[i].run_number == p[last].run_number) {
            forget_options(s->calibration, p[i].run);
            continue;
        }
        for (uint32_t k = 0; k < i; k++)
            if (!k || p[k].run_number != p[k - 1].run_number)
                warn_same_text(&p[k], &p[i]);
        join_calibration(s->calibration, p[i].run);
        last = i;
    }
    json_t *samples = json_object_get(first->calibration, "samples"); /* of all, those of one will do */
    if (samples)
        json_object_set(s->calibration, "samples", samples);
    ok = ok && stats_check(s, e);
    if (ok)
        return s;
    stats_free(s);
    return NULL;
}

static bool prepare(struct part *p, uint32_t n, bool force, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        if (p[i].s->progress)
            return err_set(e, ERR_INPUT, "%s is of a run that has not ended; profile --resume ends it",
                           p[i].path);
        if (!read_shard(&p[i], e))
            return false;
        if (!stats_same_model(p[0].s, p[0].path, p[i].s, p[i].path, e))
            return false;
        if (!json_equal_or_none(p[0].s->import, p[i].s->import))
            return err_set(e, ERR_INPUT,
                           "%s and %s were not measured by the same tool: their sums mean different things",
                           p[0].path, p[i].path);
        p[i].run_number = i;
        for (uint32_t k = 0; k < i; k++)
            if (same_run(&p[k], &p[i], force)) {
                p[i].run_number = p[k].run_number;
                break;
            }
        if (!same_options(&p[0], &p[i], force, e))
            return false;
    }
    qsort(p, n, sizeof *p, by_run);
    for (uint32_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && p[k].run_number == p[i].run_number;)
            k++;
        if (!run_is_whole(p + i, k - i, p, n, e))
            return false;
    }
    return true;
}

struct stats *stats_merge(struct stats *const *s, const char *const *path, uint32_t n, bool force,
                          struct err *e)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < i; k++)
            if (file_same(path[i], path[k])) {
                err_set(e, ERR_INPUT, "'%s' is given twice", path[i]);
                return NULL;
            }
    struct part *p = xcalloc(n, sizeof *p);
    for (uint32_t i = 0; i < n; i++)
        p[i] = (struct part){.s = s[i], .path = path[i], .given = i};
    struct stats *sum = prepare(p, n, force, e) ? sum_up(p, n, e) : NULL;
    for (uint32_t i = 0; i < n; i++)
        json_decref(p[i].run);
    free(p);
    return sum;
}
