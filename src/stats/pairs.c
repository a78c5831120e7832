/* pairs.c - see pairs.h. */
#include "stats/pairs.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

#include <endian.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define MAGIC   "reappair"
#define VERSION 1

struct pairs {
    uint32_t n_experts, n_layers;
    struct pair_sums *half; /* [n_layers][2]; NULL: not in memory */
    char *path;             /* of their file; NULL: they were not read */
    char sha256[65];        /* of it; "" before it was written */
};

static size_t n_pairs(uint32_t n_experts)
{
    return (size_t)n_experts * (n_experts - 1) / 2;
}

/* ---- in memory ---- */

static void make_room(struct pairs *p)
{
    size_t n = n_pairs(p->n_experts);
    p->half = xcalloc(2 * (size_t)p->n_layers, sizeof *p->half);
    for (uint32_t x = 0; x < 2 * p->n_layers; x++)
        p->half[x] = (struct pair_sums){xcalloc(n + 1, sizeof(uint64_t)), xcalloc(n + 1, sizeof(double))};
}

static void free_room(struct pairs *p)
{
    for (uint32_t x = 0; p->half && x < 2 * p->n_layers; x++) {
        free(p->half[x].count);
        free(p->half[x].sum);
    }
    free(p->half);
    p->half = NULL;
}

void pairs_free(struct pairs *p)
{
    if (!p)
        return;
    free_room(p);
    free(p->path);
    free(p);
}

static struct pairs *pairs_new(const struct stats *s)
{
    struct pairs *p = xcalloc(1, sizeof *p);
    p->n_experts = s->n_experts;
    p->n_layers = s->n_layers;
    return p;
}

void stats_keep_pairs(struct stats *s)
{
    s->pairs = pairs_new(s);
    make_room(s->pairs);
}

uint64_t pairs_bytes(uint32_t n_layers, uint32_t n_experts)
{
    return 2 * (uint64_t)n_layers * n_pairs(n_experts) * (sizeof(uint64_t) + sizeof(double));
}

bool stats_has_pairs(const struct stats *s)
{
    return s->pairs != NULL;
}

bool stats_pairs_there(const struct stats *s, bool *there, struct err *e)
{
    *there = s->pairs && s->pairs->half;
    return *there || !s->pairs || !s->pairs->path || file_there(s->pairs->path, there, e);
}

const struct pair_sums *pairs_of(const struct stats *s, uint32_t i, enum half h)
{
    return s->pairs && s->pairs->half ? &s->pairs->half[2 * (size_t)i + h] : NULL;
}

void stats_drop_pairs(const struct stats *s)
{
    if (s->pairs && s->pairs->path)
        free_room(s->pairs);
}

void pairs_add_token(struct pairs *p, uint32_t i, enum half h, const struct routed *r, uint32_t k)
{
    struct pair_sums *x = &p->half[2 * (size_t)i + h];
    for (uint32_t a = 0; a + 1 < k; a++)
        for (uint32_t b = a + 1; b < k; b++) {
            uint32_t u = (uint32_t)r[a].expert, v = (uint32_t)r[b].expert;
            size_t at = u < v ? pair_at(p->n_experts, u, v) : pair_at(p->n_experts, v, u);
            x->count[at]++;
            x->sum[at] += (double)r[a].c_norm * (double)r[b].c_norm;
        }
}

bool pairs_add(struct stats *x, const struct stats *y)
{
    size_t n = n_pairs(x->n_experts);
    for (uint32_t l = 0; l < 2 * x->n_layers; l++) {
        struct pair_sums *to = &x->pairs->half[l];
        const struct pair_sums *from = &y->pairs->half[l];
        for (size_t a = 0; a < n; a++) {
            if (!add_u64(to->count[a], from->count[a], &to->count[a]) || to->count[a] > INT64_MAX)
                return false;
            to->sum[a] += from->sum[a];
        }
    }
    return true;
}

/* ---- the file ---- */

/* 64-bit words, little-endian, hashed as they pass. */
#define WORDS 8192
struct words {
    struct sha256 *sha;
    uint64_t word[WORDS];
    struct out *out; /* writing */
    int fd;          /* reading */
    uint64_t pos;
};

static bool put_words(struct words *w, const void *from, size_t n, struct err *e)
{
    for (size_t done = 0, now; done < n; done += now) {
        now = n - done < WORDS ? n - done : WORDS;
        memcpy(w->word, (const char *)from + 8 * done, 8 * now);
        for (size_t i = 0; i < now; i++)
            w->word[i] = htole64(w->word[i]);
        sha256_add(w->sha, w->word, 8 * now);
        if (!out_write(w->out, w->word, 8 * now, e))
            return false;
    }
    return true;
}

static bool get_words(struct words *w, void *to, size_t n, struct err *e)
{
    for (size_t done = 0, now; done < n; done += now) {
        now = n - done < WORDS ? n - done : WORDS;
        if (!file_pread(w->fd, w->word, 8 * now, w->pos, e))
            return false;
        w->pos += 8 * now;
        sha256_add(w->sha, w->word, 8 * now);
        for (size_t i = 0; i < now; i++)
            w->word[i] = le64toh(w->word[i]);
        memcpy((char *)to + 8 * done, w->word, 8 * now);
    }
    return true;
}

/* Magic, version, experts, layers; per layer: number, top-k, tokens of each half. */
#define HEAD 4
#define EACH 4

static size_t head_words(const struct stats *s)
{
    return HEAD + EACH * (size_t)s->n_layers;
}

static uint64_t *make_head(const struct stats *s)
{
    uint64_t *h = xcalloc(head_words(s), sizeof *h);
    memcpy(h, MAGIC, 8);
    h[0] = le64toh(h[0]); /* these bytes, whatever the machine */
    h[1] = VERSION;
    h[2] = s->n_experts;
    h[3] = s->n_layers;
    for (uint32_t i = 0; i < s->n_layers; i++) {
        const struct stats_layer *l = &s->layers[i];
        const uint64_t each[EACH] = {l->il, l->n_used, l->tokens[EVEN], l->tokens[ODD]};
        memcpy(h + HEAD + EACH * (size_t)i, each, sizeof each);
    }
    return h;
}

static uint64_t file_size(const struct stats *s)
{
    return 8 * (uint64_t)head_words(s) + pairs_bytes(s->n_layers, s->n_experts);
}

bool pairs_write(const struct stats *s, struct out *o, struct err *e)
{
    struct pairs *p = s->pairs;
    size_t n = n_pairs(p->n_experts);
    struct words *w = xcalloc(1, sizeof *w);
    *w = (struct words){.sha = sha256_new(), .out = o};
    uint64_t *head = make_head(s);
    bool ok = put_words(w, head, head_words(s), e);
    for (uint32_t x = 0; ok && x < 2 * p->n_layers; x++)
        ok = put_words(w, p->half[x].count, n, e) && put_words(w, p->half[x].sum, n, e);
    sha256_hex(w->sha, p->sha256);
    free(head);
    free(w);
    return ok;
}

/* ---- checked ---- */

static bool bad(struct err *e, const struct stats_layer *l, uint32_t i, uint32_t j, const char *what)
{
    return err_set(e, ERR_INPUT, "layer %u, experts %u and %u: %s", l->il, i, j, what);
}

/* A token of an expert has k - 1 others with it; and no sum of products is above what the sums of squares allow. */
static bool check_half(const struct stats *s, uint32_t l, int h, struct err *e)
{
    const struct stats_layer *x = &s->layers[l];
    const struct pair_sums *p = pairs_of(s, l, (enum half)h);
    uint32_t n = s->n_experts;
    uint64_t *with = xcalloc(n, sizeof *with); /* others, over the tokens of an expert */
    bool ok = true, squares = !(s->unknown & SUM_BIT(SUM_REAP_SQ));
    for (uint32_t i = 0; ok && i < n; i++)
        for (uint32_t j = i + 1; ok && j < n; j++) {
            size_t at = pair_at(n, i, j);
            const struct sums *a = &x->half[h][i], *b = &x->half[h][j];
            double sum = p->sum[at];
            if (p->count[at] > a->count || p->count[at] > b->count)
                ok = bad(e, x, i, j, "more tokens together than alone");
            else if (!(isfinite(sum) && sum >= 0) || (!p->count[at] && sum > 0))
                ok = bad(e, x, i, j, "the sum is not a finite number of 0 or more, or is of no token");
            else if (squares && sum > sqrt(a->reap_sq_sum) * sqrt(b->reap_sq_sum) * (1 + 1e-6))
                ok = bad(e, x, i, j, "the sum is larger than the sums of squares allow");
            else if (!add_u64(with[i], p->count[at], &with[i]) || !add_u64(with[j], p->count[at], &with[j]))
                ok = bad(e, x, i, j, "the counts are too large");
        }
    for (uint32_t i = 0; ok && i < n; i++) {
        uint64_t want;
        if (!mul_u64(x->half[h][i].count, x->n_used - 1, &want) || with[i] != want)
            ok = err_set(e, ERR_INPUT,
                         "layer %u, expert %u: the pairs hold %llu others for %llu tokens, expected %u each",
                         x->il, i, (unsigned long long)with[i], (unsigned long long)x->half[h][i].count,
                         x->n_used - 1);
    }
    free(with);
    return ok;
}

static bool check_head(const struct stats *s, const uint64_t *have, struct err *e)
{
    uint64_t *want = make_head(s);
    bool ok = true;
    for (size_t i = 0; ok && i < head_words(s); i++) {
        if (have[i] == want[i])
            continue;
        ok = false;
        if (!i)
            err_set(e, ERR_INPUT, "it does not begin with " MAGIC);
        else if (i < HEAD)
            err_set(e, ERR_INPUT,
                    i == 1   ? "its version is %llu, expected %llu"
                    : i == 2 ? "it has %llu experts, the stats file %llu"
                             : "it has %llu layers, the stats file %llu",
                    (unsigned long long)have[i], (unsigned long long)want[i]);
        else
            err_set(e, ERR_INPUT, "layer %u: its number, top-k or tokens are not those of the stats file",
                    s->layers[(i - HEAD) / EACH].il);
    }
    free(want);
    return ok;
}

/* Behind the magic, the version and the counts of the file are known to fit its size. */
static bool read_all(const struct stats *s, int fd, struct err *e)
{
    struct pairs *p = s->pairs;
    size_t n = n_pairs(p->n_experts);
    struct words *w = xcalloc(1, sizeof *w);
    *w = (struct words){.sha = sha256_new(), .fd = fd};
    uint64_t *head = xcalloc(head_words(s), sizeof *head);
    char hex[65];
    bool ok = get_words(w, head, head_words(s), e) && check_head(s, head, e);
    if (ok)
        make_room(p);
    for (uint32_t x = 0; ok && x < 2 * p->n_layers; x++)
        ok = get_words(w, p->half[x].count, n, e) && get_words(w, p->half[x].sum, n, e);
    sha256_hex(w->sha, hex);
    if (ok && strcmp(hex, p->sha256) != 0)
        ok = err_set(e, ERR_INPUT,
                     "its SHA-256 is %.16s..., the stats file wants %.16s...: it belongs to another", hex,
                     p->sha256);
    for (uint32_t i = 0; ok && i < s->n_layers; i++)
        ok = check_half(s, i, EVEN, e) && check_half(s, i, ODD, e);
    free(head);
    free(w);
    return ok;
}

bool stats_need_pairs(const struct stats *s, struct err *e)
{
    struct pairs *p = s->pairs;
    uint64_t size;
    if (!p && s->import)
        return err_set(e, ERR_INPUT, "holds no sums over pairs of experts (imported from %.40s)",
                       stats_imported_from(s));
    if (!p)
        return err_set(
            e, ERR_INPUT,
            "holds no sums over pairs of experts: an earlier version wrote it, or they were left out; "
            "profile --pairs on keeps them");
    if (p->half)
        return true;
    bool there;
    if (!file_there(p->path, &there, e))
        return false;
    if (!there)
        return err_set(
            e, ERR_INPUT,
            "the sums over pairs of experts are missing: '%s' is not there; it comes with reap profile, or "
            "reap run --again",
            p->path);
    int fd = file_open_read(p->path, &size, e);
    if (fd < 0)
        return false;
    bool ok = size == file_size(s)
                  ? read_all(s, fd, e)
                  : err_set(e, ERR_INPUT, "has %llu bytes, sums over the pairs of this stats file take %llu",
                            (unsigned long long)size, (unsigned long long)file_size(s));
    close(fd);
    if (!ok)
        free_room(p);
    return ok || err_ctx(e, "%s", p->path);
}

bool pairs_are_orphans(const char *path, const char *pairs, bool *are, struct err *e)
{
    bool there, stats;
    uint64_t size;
    char magic[8];
    *are = false;
    if (!file_there(pairs, &there, e) || !file_there(path, &stats, e))
        return false;
    if (!there || stats)
        return true;
    struct err other = {0}; /* no file of sums, whatever it is */
    int fd = file_open_read(pairs, &size, &other);
    *are = fd >= 0 && file_pread(fd, magic, sizeof magic, 0, &other) && !memcmp(magic, MAGIC, sizeof magic);
    if (fd >= 0)
        close(fd);
    return true;
}

/* ---- what the stats file says of it ---- */

json_t *pairs_json(const struct stats *s)
{
    return s->pairs ? json_sure(json_pack("{s:s}", "sha256", s->pairs->sha256)) : NULL;
}

bool pairs_read_json(struct stats *s, const json_t *o, const char *path, struct err *e)
{
    json_t *p;
    const char *sha256;
    if (!json_opt_obj(o, "pairs", "stats", &p, e) || !p)
        return e->code == ERR_NONE;
    if (!json_need_str(p, "sha256", "pairs", &sha256, e))
        return false;
    if (strlen(sha256) != 64 || strspn(sha256, "0123456789abcdef") != 64)
        return err_set(e, ERR_INPUT, "pairs: 'sha256' is not 64 hexadecimal digits");
    s->pairs = pairs_new(s);
    s->pairs->path = xasprintf("%s" PAIRS_SUFFIX, path);
    memcpy(s->pairs->sha256, sha256, 65);
    return true;
}
