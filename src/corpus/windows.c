/* windows.c - see windows.h. */
#include "corpus/windows.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"

#include <string.h>

/* Windows packed together: enough to fill batches well, few enough that a partial run is a fair sample. */
#define PACK_BLOCK 512

/* Templates that know strings alone refuse lists of parts, or write them as Python shows them: *printed. */
static bool tokenize_chat(const struct sample *s, const struct engine *g, json_t *unused, int32_t **tok,
                          uint32_t *n, bool *printed, struct err *e)
{
    struct buf text = {0};
    bool ok = engine_chat(g, s->chat, &text, unused, e);
    if (!ok && s->has_parts && e->code == ERR_INPUT) {
        struct err why = *e;
        err_clear(e);
        err_set(e, why.code, "%s; the row has contents in several parts, --join-parts makes one text of each",
                why.msg);
    }
    ok = ok && engine_tokenize(g, text.s ? text.s : "", text.n, true, true, tok, n, e);
    *printed |=
        ok && s->has_parts && text.s && (strstr(text.s, "[{'type': '") || strstr(text.s, "[{'text': '"));
    buf_clear(&text);
    return ok;
}

static bool tokenize_one(const struct sample *s, const struct engine *g, json_t *unused, int32_t **tok,
                         uint32_t *n, bool *printed, struct err *e)
{
    if (s->kind == SAMPLE_CHAT)
        return tokenize_chat(s, g, unused, tok, n, printed, e);
    if (s->kind == SAMPLE_TEXT)
        return engine_tokenize(g, s->text, s->n_text, true, true, tok, n, e);
    uint32_t vocab = engine_n_vocab(g);
    for (uint32_t i = 0; i < s->n_tokens; i++)
        if ((uint32_t)s->tokens[i] >= vocab)
            return err_set(e, ERR_INPUT, "token id %d is outside the model's vocabulary (0 to %u)",
                           s->tokens[i], vocab - 1);
    *tok = xcalloc(s->n_tokens, sizeof **tok);
    memcpy(*tok, s->tokens, s->n_tokens * sizeof **tok);
    *n = s->n_tokens;
    return true;
}

/* A sample that has no tokens: false with *e set, or left out as a bad row. */
static bool leave_out(struct corpus *c, uint64_t i, struct err *first, struct err *e)
{
    const struct sample *s = &c->samples[i];
    struct corpus_source *from = &c->sources[s->source];
    if (e->code == ERR_INTERRUPTED)
        return false;
    if (s->line)
        err_ctx(e, "%s:%u", from->path, s->line);
    else
        err_ctx(e, "%s", from->path);
    if (!c->skip_bad || e->code != ERR_INPUT)
        return false;
    if (!first->code)
        *first = *e;
    err_clear(e);
    from->n_used--;
    from->n_bad++;
    sample_clear(&c->samples[i]);
    return true;
}

bool windows_tokenize(struct windows *w, struct corpus *c, const struct engine *g, struct err *e)
{
    *w = (struct windows){0};
    if (c->n_samples > INT32_MAX)
        return err_set(e, ERR_INPUT, "%llu samples are too many", (unsigned long long)c->n_samples);
    w->n_samples = (uint32_t)c->n_samples;
    w->unused = json_object();
    w->tokens = xcalloc(w->n_samples, sizeof *w->tokens);
    w->n_tokens = xcalloc(w->n_samples, sizeof *w->n_tokens);
    struct progress p;
    struct err first = {0};
    bool ok = true, printed = false;
    uint32_t n = 0; /* that stay */
    progress_start(&p, "tokenising", "samples", w->n_samples, 0);
    for (uint32_t i = 0; ok && i < w->n_samples; i++) {
        int32_t *tok = NULL;
        uint32_t n_tok = 0;
        ok = sig_check(e) && tokenize_one(&c->samples[i], g, w->unused, &tok, &n_tok, &printed, e) &&
             (n_tok > 0 || err_set(e, ERR_INPUT, "the sample has no tokens"));
        if (ok) {
            c->samples[n] = c->samples[i];
            w->tokens[n] = tok;
            w->n_tokens[n++] = n_tok;
            w->total += n_tok;
        } else {
            free(tok);
            ok = leave_out(c, i, &first, e);
        }
        if (ok && n <= i)
            c->samples[i] = (struct sample){0}; /* has moved, or is gone */
        progress_set(&p, i + 1);
    }
    progress_end(&p);
    char count[32];
    if (ok && n < w->n_samples)
        log_warn("%s row%s left out, the first: %s", human_count(w->n_samples - n, count),
                 w->n_samples - n == 1 ? "" : "s", first.msg);
    if (ok && !n)
        ok = err_set(e, ERR_INPUT, "no samples are left");
    if (printed)
        log_warn(
            "the chat template writes a content of several parts as a list of Python; --join-parts makes "
            "one text of it");
    if (ok)
        c->n_samples = w->n_samples = n;
    return ok;
}

bool windows_text(const struct windows *w, uint32_t i, const struct engine *g, uint64_t max, struct buf *b)
{
    uint64_t from = b->n;
    uint32_t t = 0;
    buf_str(b, "");
    for (; t < w->n_tokens[i] && b->n - from <= max; t++)
        engine_piece(g, w->tokens[i][t], b);
    bool whole = b->n - from <= max;
    if (!whole) {
        uint64_t n = from + max;
        while (n > from && n > from + max - 4 && (b->s[n] & 0xc0) == 0x80)
            n--;
        b->s[b->n = n] = 0;
    }
    for (uint64_t k = from; k < b->n; k++) /* tokens of bytes may stand for anything */
        b->s[k] = b->s[k] ? b->s[k] : '?';
    return whole && t == w->n_tokens[i];
}

void windows_from_tokens(struct windows *w, int32_t *tok, uint32_t n)
{
    *w = (struct windows){.n_samples = 1, .total = n};
    w->tokens = xcalloc(1, sizeof *w->tokens);
    w->n_tokens = xcalloc(1, sizeof *w->n_tokens);
    w->tokens[0] = tok;
    w->n_tokens[0] = n;
}

bool windows_cut(struct windows *w, uint32_t n_ctx, struct err *e)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < w->n_samples; i++)
        n += (w->n_tokens[i] + n_ctx - 1) / n_ctx;
    if (n > INT32_MAX)
        return err_set(e, ERR_INPUT, "the text makes %llu windows, which is too many", (unsigned long long)n);
    w->list = xcalloc(n, sizeof *w->list);
    w->n = 0;
    for (uint32_t i = 0; i < w->n_samples; i++)
        for (uint32_t at = 0; at < w->n_tokens[i]; at += n_ctx) {
            uint32_t left = w->n_tokens[i] - at, k = left < n_ctx ? left : n_ctx;
            w->list[w->n++] = (struct window){w->tokens[i] + at, k, i, at};
            if (k > w->longest)
                w->longest = k;
        }
    return true;
}

/* ---- packing: first fit, longest first, within blocks of windows ---- */

struct item {
    uint32_t window, n, bin;
};

static int longer_first(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->n != y->n)
        return x->n < y->n ? 1 : -1;
    return (x->window > y->window) - (x->window < y->window);
}

static int by_bin(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->bin != y->bin)
        return x->bin < y->bin ? -1 : 1;
    return longer_first(a, b);
}

static void pack_block(struct windows *w, struct item *it, uint32_t n, uint32_t n_batch, uint32_t n_seqs,
                       uint32_t *cap)
{
    uint32_t room[PACK_BLOCK], seqs[PACK_BLOCK], bins = 0;
    qsort(it, n, sizeof *it, longer_first);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t b = 0;
        while (b < bins && (room[b] < it[i].n || seqs[b] == n_seqs))
            b++;
        if (b == bins) {
            room[bins] = it[i].n < n_batch ? n_batch : it[i].n;
            seqs[bins++] = 0;
        }
        room[b] -= it[i].n;
        seqs[b]++;
        it[i].bin = b;
    }
    qsort(it, n, sizeof *it, by_bin);
    uint32_t at = w->n_batches ? w->batches[w->n_batches - 1].first + w->batches[w->n_batches - 1].n : 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || it[i].bin != it[i - 1].bin) {
            GROW(w->batches, w->n_batches, *cap);
            w->batches[w->n_batches++] = (struct window_batch){.first = at};
        }
        struct window_batch *b = &w->batches[w->n_batches - 1];
        b->n++;
        b->n_tokens += it[i].n;
        if (b->n > w->max_seqs)
            w->max_seqs = b->n;
        w->order[at++] = it[i].window;
    }
}

void windows_pack(struct windows *w, uint32_t n_batch, uint32_t n_seqs, uint32_t n_groups)
{
    struct item block[2][PACK_BLOCK];
    uint32_t n[2] = {0}, cap = 0;
    free(w->order);
    free(w->batches);
    w->batches = NULL;
    w->n_batches = w->max_seqs = 0;
    w->order = xcalloc(w->n, sizeof *w->order);
    for (uint32_t i = 0; i < w->n; i++) {
        uint32_t g = n_groups == 2 ? w->list[i].sample & 1 : 0;
        block[g][n[g]++] = (struct item){i, w->list[i].n, 0};
        if (n[g] == PACK_BLOCK) {
            pack_block(w, block[g], n[g], n_batch, n_seqs, &cap);
            n[g] = 0;
        }
    }
    for (uint32_t g = 0; g < 2; g++)
        if (n[g])
            pack_block(w, block[g], n[g], n_batch, n_seqs, &cap);
}

uint64_t windows_passes(const struct windows *w, uint32_t step, bool separate)
{
    uint64_t n = 0;
    for (uint32_t b = 0; b < w->n_batches; b++) {
        const struct window_batch *x = &w->batches[b];
        if (!separate || x->n == 1) {
            n += (x->n_tokens + step - 1) / step;
            continue;
        }
        for (uint32_t i = 0; i < x->n; i++) { /* the longest comes first */
            const uint32_t *at = &w->order[x->first + i];
            n += !i || w->list[at[0]].n != w->list[at[-1]].n;
        }
    }
    return n;
}

#define CELLS 256 /* a sequence's memory is a multiple */

void windows_settle(struct windows *w, struct engine *g, const struct engine_run *r, uint32_t usual,
                    uint32_t n_seqs, uint32_t n_groups)
{
    engine_settle(g, r, usual);
    uint32_t step = engine_ubatch(g);
    windows_pack(w, step, n_seqs, n_groups);
    uint64_t cells = ((uint64_t)w->longest + CELLS - 1) / CELLS * CELLS * w->max_seqs,
             passes[2] = {windows_passes(w, step, false), windows_passes(w, step, true)};
    w->separate = cells <= step + step / 4 && engine_separates(g, w->longest, passes);
}

/* ---- decoding ---- */

struct step {
    int32_t *token, *pos, *seq;
    uint32_t *win, *at, n;
};

static bool run_step(const struct windows *w, struct step *s, struct engine *g, windows_step *fn, void *ud,
                     struct err *e)
{
    struct engine_batch b = {s->n, s->token, s->pos, s->seq, NULL};
    bool ok = engine_decode(g, &b, e) && (!fn || fn(ud, w, s->win, s->at, s->n, e));
    s->n = 0;
    return ok;
}

bool windows_decode(const struct windows *w, uint32_t batch, struct engine *g, windows_step *fn, void *ud,
                    struct err *e)
{
    const struct window_batch *b = &w->batches[batch];
    uint32_t max = engine_ubatch(g);
    uint32_t *mem = xcalloc(5 * (size_t)max, sizeof *mem);
    uint32_t left = b->n_tokens;
    struct step s = {.token = (int32_t *)mem,
                     .pos = (int32_t *)mem + max,
                     .seq = (int32_t *)mem + 2 * (size_t)max,
                     .win = mem + 3 * (size_t)max,
                     .at = mem + 4 * (size_t)max};
    bool ok = true;
    engine_clear(g);
    for (uint32_t i = 0; ok && i < b->n; i++) {
        uint32_t wi = w->order[b->first + i];
        const struct window *x = &w->list[wi];
        for (uint32_t t = 0; ok && t < x->n; t++) {
            s.token[s.n] = x->tok[t];
            s.pos[s.n] = (int32_t)t;
            s.seq[s.n] = (int32_t)i;
            s.win[s.n] = wi;
            s.at[s.n] = t;
            s.n++;
            left--;
            /* A step of one token is computed in another way, whose sums depend on the number of threads
             * (flash attention splits the cells among them): leave two for the last step instead. */
            if (s.n == max || (s.n + 1 == max && left == 2))
                ok = run_step(w, &s, g, fn, ud, e);
        }
    }
    if (ok && s.n)
        ok = run_step(w, &s, g, fn, ud, e);
    free(mem);
    return ok;
}

void windows_clear(struct windows *w)
{
    for (uint32_t i = 0; i < w->n_samples; i++)
        free(w->tokens[i]);
    free(w->tokens);
    free(w->n_tokens);
    free(w->list);
    free(w->order);
    free(w->batches);
    json_decref(w->unused);
    *w = (struct windows){0};
}
