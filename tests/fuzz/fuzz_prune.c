/* fuzz_prune.c - any bytes as a model that is pruned: a GGUF header, or the JSON of a checkpoint folder with lines "%%"
 * between config.json, the header of model.safetensors, README.md and generation_config.json. What stands behind a
 * header is made up.
 *
 * A model that is taken, can be pruned and is pruned without an error opens again, has the size that was said, and
 * `verify` finds no difference. When pruning fails, nothing is left. */
#include "base/log.h"
#include "base/mem.h"
#include "fuzz.h"
#include "json_mutator.h"
#include "prune/prune.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MAX_DATA (2u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64], in[80], out[80];
static uint8_t filling[MAX_DATA];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static void remove_all(const char *path)
{
    if (access(path, F_OK) == 0)
        nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void cleanup(void)
{
    remove_all(dir);
}

static void make_dir(void)
{
    if (!fuzz_dir(dir, cleanup))
        return;
    log_quiet = true;
    for (size_t i = 0; i < MAX_DATA; i++) /* no two experts alike */
        filling[i] = (uint8_t)(i * 2654435761u >> 13);
}

static void put_file(const char *path, const void *head, size_t n, size_t n_filling)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, head, n) == (ssize_t)n);
    MUST(!n_filling || write(fd, filling, n_filling) == (ssize_t)n_filling);
    close(fd);
}

/* The bytes behind a header of safetensors: up to the last end that it names. */
static size_t data_of(const char *s, size_t n)
{
    json_t *o = json_loadb(s, n, 0, NULL), *t;
    const char *name;
    json_int_t most = 0;
    json_object_foreach (o, name, t) {
        json_int_t end = json_integer_value(json_array_get(json_object_get(t, "data_offsets"), 1));
        most = end > most ? end : most;
    }
    json_decref(o);
    return most > MAX_DATA ? 0 : (size_t)most;
}

static void put_header(const char *s, size_t n)
{
    char path[128];
    struct buf b = {0};
    size_t pad = (8 - n % 8) % 8;
    buf_u64le(&b, n + pad);
    buf_add(&b, s, n);
    for (size_t i = 0; i < pad; i++)
        buf_char(&b, ' ');
    snprintf(path, sizeof path, "%s/model.safetensors", in);
    put_file(path, b.s, b.n, data_of(s, n));
    buf_clear(&b);
}

static void put_folder(const char *s, size_t n)
{
    static const char *const names[] = {"config.json", NULL, "README.md", "generation_config.json"};
    MUST(mkdir(in, 0700) == 0);
    for (size_t i = 0; i < sizeof names / sizeof *names && n; i++) {
        const char *end = memmem(s, n, "\n%%\n", 4);
        size_t len = end ? (size_t)(end - s) : n;
        char path[128];
        snprintf(path, sizeof path, "%s/%s", in, names[i] ? names[i] : "");
        if (!names[i])
            put_header(s, len);
        else if (len)
            put_file(path, s, len, 0);
        s += end ? len + 4 : len;
        n -= end ? len + 4 : len;
    }
}

/* Of each group the last ones go, so that groups stay equal. */
static struct plan *some_plan(const struct view *v)
{
    uint32_t n = shape_at_ratio(&v->shape, 0.5), groups = v->shape.n_groups;
    uint32_t of_group = v->shape.n_experts / groups;
    if (n == v->shape.n_experts || n % groups || v->n_layers > 64 || v->shape.n_experts > 1024)
        return NULL;
    struct plan *p = plan_new(v->n_layers, n);
    for (uint32_t i = 0; i < v->n_layers; i++) {
        p->layers[i].il = v->layers[i].il;
        for (uint32_t k = 0; k < n; k++) {
            uint32_t group = k / (n / groups), at = k % (n / groups);
            p->layers[i].keep[k] = group * of_group + at + (i % 2 ? of_group - n / groups : 0);
        }
    }
    return p;
}

static void must_be_gone(void)
{
    static const char *const ends[] = {"", OUT_PART};
    char path[128];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s%s", out, ends[i]);
        MUST(access(path, F_OK) != 0);
    }
}

static void check_pruned(struct view *v, const struct plan *p, const struct prune_result *r)
{
    struct err e = {0};
    struct verify_result x = {0};
    struct view *w = view_open(out, &e);
    if (!w)
        BUG("fuzz: the pruned model: %s", e.msg);
    MUST(w->shape.n_experts == p->n_keep && w->n_layers == v->n_layers && w->bytes == cut_bytes(v, p));
    MUST(r->bytes_out >= w->bytes && r->bytes_in >= v->bytes);
    bool ok = verify_run(v, w, p, NULL, &x, &e);
    fuzz_told(ok, &e);
    if (!ok || x.n_diff)
        BUG("fuzz: verify: %s%s", e.msg, x.n_diff ? json_string_value(json_array_get(x.diff, 0)) : "");
    verify_result_clear(&x);
    view_free(w);
}

static void prune(struct view *v)
{
    struct plan *p = some_plan(v);
    struct prune_result r = {0};
    struct err e = {0};
    if (!p)
        return;
    bool ok = plan_fits(p, v, &e) && prune_run(v, p, &(struct prune_opts){.out = out}, &r, &e);
    fuzz_told(ok, &e);
    if (ok)
        check_pruned(v, p, &r);
    else
        must_be_gone();
    prune_result_clear(&r);
    plan_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_dir();
    bool gguf = size > 4 && !memcmp(data, "GGUF", 4);
    snprintf(in, sizeof in, "%s/in%s", dir, gguf ? ".gguf" : "");
    snprintf(out, sizeof out, "%s/out%s", dir, gguf ? ".gguf" : "");
    if (gguf)
        put_file(in, data, size, MAX_DATA);
    else
        put_folder((const char *)data, size);
    struct err e = {0};
    struct view *v = view_open(in, &e);
    fuzz_told(v != NULL, &e);
    if (v && !v->refusal && v->n_layers)
        prune(v);
    view_free(v);
    remove_all(in);
    remove_all(out);
    return 0;
}
