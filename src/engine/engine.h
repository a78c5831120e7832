/* engine.h - the engine (libllama) as the rest of the program sees it: open a model, tokenise, decode
 * batches, read logits, observe what the experts do. The files of this folder are the only ones that know
 * libllama, and of these host.c, opts.c, words.c and unicode.c do not; no type of its headers appears in ours. What stands on
 * engine.h and quantize.h is linked apart from the engine, so that tests can put another one there
 * (tests/fake/). */
#ifndef REAP_ENGINE_ENGINE_H
#define REAP_ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "engine/routed.h"
#include <stdbool.h>
#include <stdint.h>

/* Options that are passed on to the engine; names as in llama.cpp's tools. Set by engine_opts_default first.
 * What is known of each besides stands in opts.c. */
struct engine_opts {
    int64_t threads;                         /* 0: one per physical core that we may use */
    int64_t ubatch;                          /* tokens per compute step; 0: ENGINE_UBATCH */
    int64_t n_gpu_layers;                    /* -1: as many as the engine likes */
    const char *device;                      /* comma-separated device names, "none": no offload; NULL: all */
    const char *split_mode;                  /* none, layer; NULL: layer */
    const char *tensor_split;                /* "3,1" */
    bool cpu_moe;                            /* expert weights stay in host memory */
    int64_t n_cpu_moe;                       /* those of the first n blocks */
    const char *flash_attn;                  /* on, off, auto */
    const char *cache_type_k, *cache_type_v; /* f32, f16, bf16, q8_0, ... */
    const char *rpc;                         /* host:port,... */
    int64_t rpc_silence;              /* seconds without an answer of a server, after which that is said */
    const char *load_mode;            /* auto, none, mmap, mlock, ...; NULL: auto */
    const char *chat_template;        /* a word of engine_chat_template; NULL: the model's own */
    const char *chat_template_file;   /* a Jinja template instead of the model's own; NULL: none */
    const char *chat_template_kwargs; /* variables for templates, a JSON object; NULL: none */
    int64_t now;      /* Unix time in seconds that templates are told; 0: SOURCE_DATE_EPOCH, or the clock's */
    const char *type; /* checkpoints: type of the matrices (convert/); NULL: as stored */
    const char *pretokenizer; /* checkpoints: the engine's name of the pre-tokenizer; NULL: recognised */
    bool whole;               /* GGUF: one file holds the model, whatever its keys of a split say */
    bool
        mtp; /* loads the block that predicts further tokens as well, for engine_run.mtp, if it can be run (model/runs.h) */
    bool vocab_only;   /* the tokenizer and the chat template alone; nothing can be computed */
    bool device_norms; /* compute norms by the device even when the tensor is in host memory (tests) */
    uint64_t weights;  /* bytes of the model's weights, known to who opens it; 0: they fit into memory */
    uint64_t largest;  /* of the weights of its blocks, in bytes; 0: not known */
    const char *largest_file; /* of the model's; NULL: not known */
    uint64_t memory;          /* that the process may have, in bytes; 0: what the system says (tests) */
};
void engine_opts_default(struct engine_opts *o);
#define ENGINE_UBATCH      512
#define ENGINE_UBATCH_MOST 65536
#define ENGINE_FLASH_ATTN  "auto"
#define ENGINE_CACHE_TYPE  "f16"
#define ENGINE_RPC_SILENCE 60
/* The words that they may be, in the order of help; ended by NULL, or NULL behind the last. */
extern const char *const engine_flash_attn[], *const engine_split_modes[];
const char *engine_cache_type(uint32_t i);
const char *engine_load_mode(uint32_t i);
const char *engine_chat_template(uint32_t i);

/* Called before the work begins, and before signals are listened to: one that was noted would be lost. Makes the engine's waiting
 * threads sleep soon instead of spinning, which costs nothing on an idle machine and saves a factor on a busy one, unless the user
 * has set GOMP_SPINCOUNT or OMP_WAIT_POLICY; and has glibc ask for huge pages, unless GLIBC_TUNABLES says something of them:
 * weights and buffers in pages of 4 KiB cost a factor where finding a page is dear. Both are read before main, so the program
 * starts itself again, once, with these arguments (not where it has more rights than its user, and not where ld.so was called with
 * it); argv NULL: it does not compute, and only programs that it starts are told. */
void engine_begin(char **argv);

struct engine;

/* What an observer gets: layer il, n_tokens x k rows in the order of the compute step (k rows per token).
 * Returns false to end the decode with *e set. The rows are valid during the call. */
typedef bool engine_observer(void *ud, uint32_t il, uint32_t n_tokens, uint32_t k, const struct routed *rows,
                             struct err *e);

/* The same of a router that is ROUTER_SOFTMAX: what it gives to each of all experts, chosen or not.
 * p[n_tokens][n_experts], each row adds up to 1. Comes before the rows of the same layer and tokens. */
typedef bool engine_gates(void *ud, uint32_t il, uint32_t n_tokens, uint32_t n_experts, const float *p,
                          struct err *e);

/* What goes into the products with weights, for one weight and, of experts, one of its n_mat matrices: of n rows the squares
 * summed up, sums[row], in one compute step. n may be 0: no row went to that expert. (engine/inputs.c says which products
 * and why.) */
typedef bool engine_inputs(void *ud, const char *weight, uint32_t n_mat, uint64_t row, uint32_t mat,
                           uint64_t n, const float *sums, struct err *e);

/* Loads the model. The file must have been checked (view_open): the engine aborts on some broken files. NULL
 * with *e set. */
struct engine *engine_open(const char *path, const struct engine_opts *o, struct err *e);
/* A GGUF file that is not a file: bytes [off, off + n) of `size`, in any order, each tensor once from its
 * start to its end. One thread at a time. Used only while it is loaded. */
struct engine_source {
    uint64_t size;
    bool (*read)(void *ctx, uint64_t off, uint64_t n, void *dst, struct err *e);
    void *ctx;
};
/* Loads a model from a source: the whole of it into memory, as load mode none does (or mlock). `name` stands
 * for it in messages. */
struct engine *engine_open_source(const struct engine_source *s, const char *name,
                                  const struct engine_opts *o, struct err *e);
void engine_free(struct engine *g);

uint32_t engine_cores(void); /* physical cores that we may run on */

/* rows x cols floats in the blocks of a ggml type, without an importance matrix. False: the type needs one,
 * or cols is no multiple of its block. */
bool engine_quantize_rows(uint32_t type, const float *src, uint64_t rows, uint64_t cols, void *dst,
                          struct err *e);

uint32_t engine_n_vocab(const struct engine *g);
uint32_t engine_n_ctx_train(const struct engine *g);
/* Recurrent or hybrid: a sequence has a state besides the KV cache. */
bool engine_has_state(const struct engine *g);
int32_t engine_bos(const struct engine *g); /* the token that the tokenizer puts first, -1: none */
const char *engine_token(const struct engine *g, int32_t id); /* its text in the vocabulary; borrowed */
const char *engine_version(void);                             /* "llama.cpp v0.5.0" */
/* Adds the bytes that a token stands for, special ones as they are written. They may be part of a character. */
void engine_piece(const struct engine *g, int32_t id, struct buf *out);

/* Token ids of n bytes of text, in a new array (caller frees). add_special: the tokens that the model's
 * tokenizer adds (BOS, EOS); parse_special: special tokens written in the text are recognised. */
bool engine_tokenize(const struct engine *g, const char *text, uint64_t n, bool add_special,
                     bool parse_special, int32_t **out, uint32_t *n_out, struct err *e);

/* A conversation as the model's chat template writes it. chat is an object with what transformers'
 * apply_chat_template takes: "messages" (a list of objects with a role; everything else as the row has it), and
 * where it has them "tools" (a list) and "chat_template_kwargs" (an object). What holds text and was not looked
 * at is counted in `unused` (an object; NULL: nobody wants to know): "tools", or "messages.KEY". ERR_INPUT: the
 * model has no template, or the template refuses the conversation. */
bool engine_chat(const struct engine *g, const json_t *chat, struct buf *out, json_t *unused, struct err *e);
/* What chats were written by so far, a new object: "name" of a built-in format, or "from" ("model", "file"); the
 * "sha256" of the template's text and of the one for rows with tools ("tool_use_sha256"); "kwargs"; under
 * which name it reads the "thoughts" of a message, if it does; the "date" (YYYY-MM-DD) where a template may ask for the time. */
json_t *engine_chat_info(const struct engine *g);

struct engine_run {
    uint32_t n_ctx;        /* cells of memory for all sequences together */
    uint32_t n_seq_max;    /* sequences in a batch */
    bool separate_streams; /* one memory per sequence instead of one for all */
    engine_observer *observe;
    engine_gates *gates; /* NULL: nobody wants them; costs one more node per layer of such a router */
    engine_inputs
        *inputs; /* NULL: nobody wants them; with an observer. Every product becomes a step of its own, and
                            * no part of the graph that holds one is left out */
    void *ud;
    bool c_is_f; /* the contribution is the expert's output itself (llama4) */
    /* With an observer, where engine_mtp_refusal has nothing to say: the block that predicts further tokens runs behind the
     * model, and the observer gets its experts too. */
    bool mtp;
    /* false with an observer: the graph ends behind the last layer's experts where that is safe */
    bool want_logits;
    uint64_t n_tokens; /* to be decoded, for the line that says what this will cost; 0: not known */
    uint64_t keeps; /* bytes that the caller comes to hold of what it is given, beside the logits of a step */
};
/* Makes the context for a kind of run; may be called again. With an observer a first short decode finds out
 * what to observe, and fails when the model has no experts that can be seen. */
bool engine_start(struct engine *g, const struct engine_run *r, struct err *e);
/* Why the model's block that predicts further tokens cannot be run (options.mtp); NULL: it can. */
const char *engine_mtp_refusal(const struct engine *g);
/* For a model whose weights do not fit into memory and are read from the disk for each compute step: chooses the tokens of a
 * step (engine_ubatch), unless the options do, and says what the work will take. `usual`: the step of this work if the model
 * did fit. Of the run n_ctx (of one sequence), observe, want_logits, n_tokens and keeps are looked at. Nothing happens where the model
 * fits. Before texts are packed. */
void engine_settle(struct engine *g, const struct engine_run *r, uint32_t usual);
/* Behind it, for texts that are packed: whether a memory for each sequence pays, where all take passes[1] passes over the
 * weights, or passes[0] with one memory. False where the model fits, or the options say how many tokens a step has. */
bool engine_separates(const struct engine *g, uint32_t longest, const uint64_t passes[2]);
/* How the router weights, as the graph has it; behind an engine_start with an observer. */
enum router engine_router(const struct engine *g);

struct engine_batch {
    uint32_t n; /* tokens, at most ubatch */
    const int32_t *token, *pos, *seq;
    const bool *logits; /* NULL: all */
};
/* Decodes. Logits of the tokens that asked for them follow by engine_logits. Observed: every layer must have
 * seen n tokens. */
bool engine_decode(struct engine *g, const struct engine_batch *b, struct err *e);
/* n_vocab floats of token i of the batch; valid until the next decode. */
const float *engine_logits(struct engine *g, uint32_t i);
void engine_clear(struct engine *g); /* forget all sequences */
/* Sequence `to`, of which nothing was decoded, goes on behind what `from` has seen; nothing is computed or copied.
 * Only with one memory for all sequences, and not where a sequence has a state. */
void engine_fork(struct engine *g, uint32_t from, uint32_t to);

/* ---- a plan without cutting ---- */
struct engine_mask_layer {
    uint32_t il;
    const uint32_t *keep; /* n_keep ids, ascending */
    uint32_t n_keep;
    float gain; /* what the outputs of the experts are multiplied by, before their biases; 0: by nothing */
};
struct engine_mask {
    uint32_t n_experts; /* in every layer */
    const struct engine_mask_layer *layers;
    uint32_t n_layers;
};
/* From now on the router of these layers reaches only the experts in `keep`, as if the others were cut out of
 * the model (what is computed is the same, but for the order of additions). NULL: all experts again. The mask
 * is copied; it stays over engine_start, and may be changed between decodes (clear the sequences: what they
 * remember was computed under the old one). The first call must come before engine_start, which then learns
 * where the graph can be masked. An error of either names a layer that cannot; no mask is set then. The first
 * decode under a mask checks that no other expert was chosen, and fails otherwise. */
bool engine_mask(struct engine *g, const struct engine_mask *m, struct err *e);

/* ---- a layer under a mask against the same layer whole, on the same inputs ---- */
/* Sums over all components of all tokens: y what the experts of the layer give together, m the same under the
 * mask. */
struct engine_match {
    uint32_t il;
    double yy, ym, mm;
};
/* Decodes the batch twice: whole, then under the mask that is set, where every layer that has one is given
 * what came before it in the whole model: its output is taken, compared and replaced by the whole one's. The
 * sums are added to those of the layer in `m`, n layers, all that the mask has; they take hidden size x tokens
 * floats for each of them while it runs. One step: at most engine_ubatch tokens. Forgets all sequences. The
 * first engine_mask and engine_start come before; an observer sees nothing. */
bool engine_match(struct engine *g, const struct engine_batch *b, struct engine_match *m, uint32_t n,
                  struct err *e);

uint32_t engine_ubatch(const struct engine *g);

#endif
