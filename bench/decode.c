/* decode.c - the decode calls that `reap profile` would make, and nothing else: nobody observes, and logits are wanted for the last
 * token of each call only. The yardstick for what observing costs.
 *
 *   decode MODEL.gguf CORPUS [--ctx N] [--ubatch N] [--threads N] [--sequences N] [--separate-streams] [--all-logits]
 *
 * Prints tokens, seconds and tokens per second. */
#include "base/log.h"
#include "base/mem.h"
#include "corpus/windows.h"
#include "engine/engine.h"

#include <string.h>

struct opts {
    struct engine_opts engine;
    uint32_t ctx, seqs;
    bool separate, all_logits;
};

static uint32_t max_tokens;

/* windows_decode without its observer's needs. */
static bool decode_batch(const struct windows *w, uint32_t batch, struct engine *g, bool *logits,
                         struct err *e)
{
    const struct window_batch *b = &w->batches[batch];
    uint32_t max = max_tokens, n = 0;
    int32_t *mem = xcalloc(3 * (size_t)max, sizeof *mem), *token = mem, *pos = mem + max,
            *seq = mem + 2 * (size_t)max;
    bool ok = true;
    engine_clear(g);
    for (uint32_t i = 0; ok && i < b->n; i++) {
        const struct window *x = &w->list[w->order[b->first + i]];
        for (uint32_t t = 0; ok && t < x->n; t++) {
            token[n] = x->tok[t];
            pos[n] = (int32_t)t;
            seq[n] = (int32_t)i;
            if (++n < max && !(i == b->n - 1 && t == x->n - 1))
                continue;
            if (logits)
                logits[n - 1] = true;
            ok = engine_decode(g, &(struct engine_batch){n, token, pos, seq, logits}, e);
            if (logits)
                logits[n - 1] = false;
            n = 0;
        }
    }
    free(mem);
    return ok;
}

static bool run(const char *model, const char *corpus, const struct opts *o, struct err *e)
{
    struct corpus c = {0};
    struct windows w = {0};
    struct engine *g = NULL;
    bool *logits = NULL;
    bool ok = corpus_load(&(struct corpus_opts){.specs = &corpus, .n_specs = 1, .seed = 42, .shuffle = true},
                          &c, e) &&
              (g = engine_open(model, &o->engine, e)) && windows_tokenize(&w, &c, g, e) &&
              windows_cut(&w, o->ctx, e);
    if (ok) {
        max_tokens = engine_ubatch(g);
        windows_pack(&w, max_tokens, o->seqs, 2);
        struct engine_run r = {.n_ctx = w.longest, .n_seq_max = w.max_seqs, .separate_streams = o->separate};
        if (r.separate_streams)
            r.n_ctx *= r.n_seq_max;
        ok = engine_start(g, &r, e);
    }
    if (ok && !o->all_logits)
        logits = xcalloc(max_tokens, sizeof *logits);
    /* the first decode allocates: outside of the time, as in a profile */
    ok = ok &&
         engine_decode(g, &(struct engine_batch){1, &(int32_t){0}, &(int32_t){0}, &(int32_t){0}, NULL}, e);
    double t = now_secs();
    for (uint32_t i = 0; ok && i < w.n_batches; i++)
        ok = decode_batch(&w, i, g, logits, e);
    t = now_secs() - t;
    if (ok)
        printf("%llu tokens %.6f s %.3f tokens/s\n", (unsigned long long)w.total, t, (double)w.total / t);
    free(logits);
    engine_free(g);
    windows_clear(&w);
    corpus_free(&c);
    return ok;
}

int main(int argc, char **argv)
{
    struct opts o = {.ctx = 2048, .seqs = 64};
    struct err e = {0};
    bool ok = argc >= 3;
    engine_begin(argv);
    engine_opts_default(&o.engine);
    for (int i = 3; ok && i < argc; i++) {
        long v = i + 1 < argc ? strtol(argv[i + 1], NULL, 10) : 0;
        if (!strcmp(argv[i], "--separate-streams")) {
            o.separate = true;
            continue;
        }
        if (!strcmp(argv[i], "--all-logits")) {
            o.all_logits = true;
            continue;
        }
        if (!strcmp(argv[i], "--ctx"))
            o.ctx = (uint32_t)v;
        else if (!strcmp(argv[i], "--sequences"))
            o.seqs = (uint32_t)v;
        else if (!strcmp(argv[i], "--ubatch"))
            o.engine.ubatch = v;
        else if (!strcmp(argv[i], "--threads"))
            o.engine.threads = v;
        else
            ok = false;
        ok = ok && v > 0;
        i++;
    }
    if (!ok) {
        fputs(
            "usage: decode MODEL.gguf CORPUS [--ctx N] [--ubatch N] [--threads N] [--sequences N] [--separate-streams] "
            "[--all-logits]\n",
            stderr);
        return 2;
    }
    if (!run(argv[1], argv[2], &o, &e)) {
        fprintf(stderr, "decode: %s\n", e.msg);
        return (int)e.code;
    }
    return 0;
}
