/* mtp.c - see mtp.h. */
#include "engine/mtp.h"
#include "base/mem.h"
#include "engine/library.h"
#include "engine/nextn.h"
#include "engine/observe.h"

#include <string.h>

struct mtp {
    struct llama_context *trunk, *ctx;
    struct observer *observer;
    struct llama_batch batch;
    uint32_t width, n_seqs;
    float *before;   /* [n_seqs][width] the hidden state of a sequence's last token; zeros: it has none */
    int32_t *last;   /* [n_seqs] while a batch is filled: where the sequence's last token is in it, -1 */
    int32_t n_batch; /* tokens */
};

const char *mtp_refusal(const struct llama_model *m)
{
    int32_t n = llama_model_n_layer_nextn(m);
    return n < 1            ? "the conversion leaves it out"
           : n > 1          ? "the engine runs several of them in turn"
           : !nextn_known() ? "this build of the engine does not give the hidden states that it needs"
                            : NULL;
}

static bool decode(struct mtp *x, struct err *e)
{
    library_forget();
    int32_t r = llama_decode(x->ctx, x->batch);
    return r == 0 ||
           err_set(e, ERR_FAILED, "the engine cannot decode a batch of %d tokens in the MTP block (%d): %s",
                   x->batch.n_tokens, r, library_said());
}

static void put(struct mtp *x, const struct llama_batch *b, int32_t i, const float *row)
{
    x->batch.token[i] = b->token[i];
    x->batch.pos[i] = b->pos[i];
    x->batch.n_seq_id[i] = 1;
    x->batch.seq_id[i][0] = b->seq_id[i][0];
    x->batch.logits[i] = true; /* else graphs drop the token before the experts */
    memcpy(x->batch.embd + (size_t)i * x->width, row, x->width * sizeof *row);
}

/* A short decode during which names are noted. */
static bool learn(struct mtp *x, struct err *e)
{
    int32_t token[4] = {0}, pos[4] = {0, 1, 2, 3}, seq = 0;
    llama_seq_id *seqs[4] = {&seq, &seq, &seq, &seq};
    const struct llama_batch b = {.token = token, .pos = pos, .seq_id = seqs};
    x->batch.n_tokens = x->n_batch < 4 ? x->n_batch : 4;
    for (int32_t i = 0; i < x->batch.n_tokens; i++)
        put(x, &b, i, x->before);
    observer_learn_begin(x->observer);
    bool ok = decode(x, e);
    llama_synchronize(x->ctx);
    mtp_clear(x);
    return ok && observer_learn_end(x->observer, e);
}

struct mtp *mtp_new(struct llama_model *m, struct llama_context *trunk, const struct llama_context_params *p,
                    const struct engine_run *r, const struct engine_opts *o, struct err *e)
{
    struct llama_context_params own = *p;
    struct engine_run run = *r;
    struct mtp *x = xcalloc(1, sizeof *x);
    run.mtp = run.want_logits = false;
    x->trunk = trunk;
    x->width = (uint32_t)llama_model_n_embd_out(m);
    x->n_seqs = p->n_seq_max;
    x->before = xcalloc((size_t)x->n_seqs * x->width, sizeof *x->before);
    x->last = xcalloc(x->n_seqs, sizeof *x->last);
    x->n_batch = (int32_t)p->n_batch;
    x->observer = observer_new(&run, o->device_norms, (int)o->threads);
    x->batch = llama_batch_init(x->n_batch, (int32_t)x->width, 1);
    x->batch.token = xcalloc(p->n_batch, sizeof *x->batch.token); /* llama_batch_init makes one of both */
    own.ctx_type = LLAMA_CONTEXT_TYPE_MTP;
    own.cb_eval = observer_callback;
    own.cb_eval_user_data = x->observer;
    library_forget();
    x->ctx = llama_init_from_model(m, own);
    bool ok = x->ctx ||
              err_set(e, ERR_FAILED, "the engine cannot make a context of %u tokens for the MTP block: %s",
                      own.n_ctx, library_said());
    if (ok && learn(x, e)) {
        nextn_take(trunk);
        return x;
    }
    mtp_free(x);
    return NULL;
}

void mtp_free(struct mtp *x)
{
    if (!x)
        return;
    llama_batch_free(x->batch); /* the tokens as well */
    llama_free(x->ctx);
    observer_free(x->observer);
    free(x->before);
    free(x->last);
    free(x);
}

void mtp_clear(struct mtp *x)
{
    llama_memory_t memory = llama_get_memory(x->ctx);
    if (memory)
        llama_memory_clear(memory, true);
    memset(x->before, 0, (size_t)x->n_seqs * x->width * sizeof *x->before);
}

bool mtp_decode(struct mtp *x, const struct llama_batch *b, struct err *e)
{
    const float *rows = nextn_rows(x->trunk);
    if (!rows)
        return err_set(e, ERR_FAILED, "the engine gives no hidden states for the MTP block");
    for (uint32_t s = 0; s < x->n_seqs; s++)
        x->last[s] = -1;
    for (int32_t i = 0; i < b->n_tokens; i++) {
        uint32_t s = (uint32_t)b->seq_id[i][0];
        put(x, b, i,
            x->last[s] < 0 ? x->before + (size_t)s * x->width : rows + (size_t)x->last[s] * x->width);
        x->last[s] = i;
    }
    for (uint32_t s = 0; s < x->n_seqs; s++)
        if (x->last[s] >= 0)
            memcpy(x->before + (size_t)s * x->width, rows + (size_t)x->last[s] * x->width,
                   x->width * sizeof *rows);
    x->batch.n_tokens = b->n_tokens;
    observer_begin(x->observer);
    bool ok = decode(x, e);
    return observer_end(x->observer, (uint32_t)b->n_tokens, e) && ok;
}
