/* fuzz_pairs.c - any bytes as the pairs beside a stats file, which names their hash.
 *
 * They are taken exactly when no error is set; a stats file without them is as good as ever. What was taken holds the
 * invariants, is written again with the same bytes, added up with itself or refused, and chooses as many experts as
 * it is asked for. */
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "fuzz.h"
#include "stats/criteria.h"
#include "stats/merge.h"
#include "stats/pairs.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LAYERS  2
#define EXPERTS 4
#define USED    3

static char dir[64], json[80], other[80], pairs[96], other_pairs[96];

static void clean(void)
{
    const char *const files[] = {json, pairs, other, other_pairs};
    for (int i = 0; i < 4; i++)
        unlink(files[i]);
    rmdir(dir);
}

/* Three tokens in each layer: as tests/unit/test_pairs.c has them. The stored inputs are of this one. */
static struct stats *sample(void)
{
    static const struct routed tokens[3][USED] = {
        {{2, 1, 2, 2, 1, 1}, {0, 1, 4, 4, 1, 1}, {1, 1, 8, 8, 1, 1}},
        {{0, 1, 1, 1, 1, 1}, {2, 1, 16, 16, 1, 1}, {3, 1, 2, 2, 1, 1}},
        {{3, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}, {2, 1, 1, 1, 1, 1}},
    };
    struct stats *s = stats_new(LAYERS, EXPERTS);
    struct err e = {0};
    s->model = json_pack("{s:s, s:i}", "architecture", "test", "n_experts", EXPERTS);
    s->calibration = json_pack("{s:i}", "n_tokens", 3);
    for (uint32_t i = 0; i < LAYERS; i++) {
        s->layers[i].il = i + 1;
        s->layers[i].n_used = USED;
    }
    stats_set_router(s, ROUTER_RENORMALISED);
    stats_keep_pairs(s);
    for (uint32_t i = 0; i < LAYERS; i++)
        for (int t = 0; t < 3; t++)
            MUST(stats_add(s, i, t < 2 ? EVEN : ODD, tokens[t], USED, &e));
    return s;
}

static struct buf text; /* of a stats file whose hash is to be filled in */
static size_t hash_at;

static void prepare(void)
{
    if (!fuzz_dir(dir, clean))
        return;
    struct err e = {0};
    char hex[65];
    struct buf bytes = {0};
    snprintf(json, sizeof json, "%s/s.json", dir);
    snprintf(other, sizeof other, "%s/o.json", dir);
    snprintf(pairs, sizeof pairs, "%s" PAIRS_SUFFIX, json);
    snprintf(other_pairs, sizeof other_pairs, "%s" PAIRS_SUFFIX, other);
    log_quiet = true;
    struct stats *s = sample();
    MUST(stats_save(s, json, true, &e) && file_read_all(json, 1 << 20, &text, &e) &&
         file_read_all(pairs, 1 << 20, &bytes, &e));
    sha256_bytes(bytes.s, bytes.n, hex);
    char *at = strstr(text.s, hex);
    MUST(at);
    hash_at = (size_t)(at - text.s);
    buf_clear(&bytes);
    stats_free(s);
}

static void put(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    MUST(f && fwrite(p, 1, n, f) == n && fclose(f) == 0);
}

static void choose(const struct stats *s)
{
    const struct criterion *c = criterion_find("hope");
    for (uint32_t i = 0; i < LAYERS; i++)
        for (int which = -1; which < 2; which++)
            for (uint32_t n_keep = 1; n_keep <= EXPERTS; n_keep++) {
                struct merit w;
                struct err e = {0};
                uint8_t in[EXPERTS];
                uint32_t n = 0;
                bool ok = merit_of(&w, s, i, c, 0, which, &e);
                fuzz_told(ok, &e);
                if (ok) {
                    merit_choose(&w, 1, n_keep, NULL, in);
                    for (uint32_t j = 0; j < EXPERTS; j++)
                        n += in[j];
                    MUST(n == n_keep && isfinite(merit_kept(&w, in)));
                }
                merit_clear(&w);
            }
}

static void added_up(struct stats *s)
{
    struct err e = {0};
    struct stats *t = stats_load(json, &e);
    MUST(t);
    json_object_set_new(t->calibration, "seed", json_integer(1)); /* of another run */
    struct stats *all = stats_merge((struct stats *[]){s, t}, (const char *const[]){"a", "b"}, 2, true, &e);
    fuzz_told(all != NULL, &e);
    stats_free(all);
    stats_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    struct buf again = {0};
    prepare();
    sha256_bytes(data, size, text.s + hash_at);
    text.s[hash_at + 64] = '"'; /* where the hash was ended */
    put(json, text.s, text.n);
    put(pairs, data, size);
    struct stats *s = stats_load(json, &e);
    MUST(s);
    bool ok = stats_need_pairs(s, &e);
    fuzz_told(ok, &e);
    MUST(ok || e.code == ERR_INPUT);
    MUST(ok == (pairs_of(s, 0, EVEN) != NULL));
    err_clear(&e);
    if (ok) {
        choose(s);
        MUST(stats_save(s, other, true, &e) && file_read_all(other_pairs, 1 << 20, &again, &e));
        MUST(again.n == size && !memcmp(again.s, data, size));
        buf_clear(&again);
        added_up(s);
    }
    stats_free(s);
    return 0;
}
