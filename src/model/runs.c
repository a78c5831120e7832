/* runs.c - see runs.h. What is true of all families is a row of a table; what only some graphs take for
 * granted is a bit of the family's record (family.h, enum family_engine). */
#include "model/runs.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/text.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MAX_WIDTH      (1u << 20) /* of one head, one state: far above any model */
#define MAX_WINDOW     (1u << 22) /* tokens; times 256 sequences it still fits 32 bits */
#define MAX_TOKENS     (1u << 24)
#define MAX_ITERATIONS 1000 /* published: 20; the engine takes as long as they are many */

struct model { /* what the checks ask for again and again */
    const struct gg_file *f;
    const struct family *family;
    const char *arch;
    uint32_t n_blocks;
};

static const struct gg_key *arch_key(const struct model *m, const char *suffix)
{
    char name[160];
    snprintf(name, sizeof name, "%s.%s", m->arch, suffix);
    return gg_find(m->f, name);
}

/* Element i of a key, or its one number; def where there is none. */
static uint64_t number(const struct model *m, const char *suffix, uint32_t i, uint64_t def)
{
    uint64_t n;
    return gg_key_u64_at(arch_key(m, suffix), i, &n) ? n : def;
}

static bool wants(const struct model *m, unsigned bit)
{
    return (m->family->engine & bit) != 0;
}

/* ---- whole numbers ---- */

/* The engine writes every key that it knows into what it saves, 0 for what a model does not have: only families
 * that read a key are asked for more. */

struct number_rule {
    const char *key; /* behind the architecture's name */
    uint64_t min, max;
    unsigned only; /* for families with one of these bits; 0: for all */
    bool needed;   /* without the key it is 0 */
};

static const struct number_rule number_rules[] = {
    {"embedding_length", 1, MAX_TOKENS, 0, false},
    {"vocab_size", 0, MAX_TOKENS, 0, false},
    {"attention.head_count", 0, MAX_WIDTH, 0, false},
    {"attention.head_count_kv", 0, MAX_WIDTH, 0, false},
    {"attention.key_length", 0, MAX_WIDTH, 0, false},
    {"attention.value_length", 0, MAX_WIDTH, 0, false},
    {"attention.key_length_swa", 0, MAX_WIDTH, 0, false},
    {"attention.value_length_swa", 0, MAX_WIDTH, 0, false},
    {"attention.key_length_mla", 0, MAX_WIDTH, 0, false},
    {"attention.value_length_mla", 0, MAX_WIDTH, 0, false},
    {"attention.sliding_window", 0, MAX_WINDOW, 0, false},
    {"attention.compress_ratios", 0, 64, ENGINE_RATIOS, false},
    {"attention.indexer.head_count", 1, MAX_WIDTH, ENGINE_INDEXER, false},
    {"attention.indexer.key_length", 1, MAX_WIDTH, ENGINE_INDEXER, false},
    {"attention.indexer.top_k", 1, MAX_TOKENS, ENGINE_INDEXER, false},
    {"attention.indexer.block_size", 1, MAX_WIDTH, ENGINE_INDEXER_BLOCK, false},
    {"expert_gating_func", 0, 4, 0, false},
    {"expert_gating_func", 1, 4, ENGINE_GATE_KEY, true},
    {"interleave_moe_layer_step", 1, UINT32_MAX, ENGINE_MOE_STEP, false},
    {"full_attention_interval", 1, UINT32_MAX, 0, false},
    {"attn_res.block_size", 1, UINT32_MAX, ENGINE_RES, false},
    {"hyper_connection.count", 1, MAX_WIDTH, ENGINE_HYPER, false},
    {"hyper_connection.count", 4, 4, ENGINE_COMPRESS, true},
    {"hyper_connection.sinkhorn_iterations", 1, MAX_ITERATIONS, ENGINE_COMPRESS, true},
    {"attention.output_group_count", 1, MAX_WIDTH, ENGINE_COMPRESS, true},
    {"attention.head_count_kv", 1, 1, ENGINE_COMPRESS, true},
    {"n_deepstack_layers", 0, LIMIT_ENGINE_LAYERS, 0, false},
    {"shortconv.l_cache", 2, MAX_WIDTH, ENGINE_SHORTCONV, false},
    {"kda.head_dim", 1, MAX_WIDTH, ENGINE_KDA, false},
    {"ssm.conv_kernel", 2, MAX_WIDTH, ENGINE_KDA | ENGINE_SSM | ENGINE_SSM_TWICE, false},
    {"ssm.inner_size", 1, MAX_WIDTH, ENGINE_SSM | ENGINE_SSM_TWICE, false},
    {"ssm.state_size", 1, MAX_WIDTH, ENGINE_SSM | ENGINE_SSM_TWICE, false},
    {"ssm.time_step_rank", 1, MAX_WIDTH, ENGINE_SSM | ENGINE_SSM_TWICE, false},
    {"ssm.group_count", 1, MAX_WIDTH, ENGINE_SSM, false},
};

static bool number_ok(const struct number_rule *r, const struct gg_key *k, struct err *e)
{
    uint64_t n;
    for (uint64_t i = 0; i < k->n; i++)
        if (gg_key_u64_at(k, i, &n) && (n < r->min || n > r->max))
            return err_set(e, ERR_INPUT, "key '%s' is %" PRIu64 ", expected %" PRIu64 " to %" PRIu64, k->name,
                           n, r->min, r->max);
    return true;
}

static bool check_numbers(const struct model *m, struct err *e)
{
    for (size_t i = 0; i < sizeof number_rules / sizeof *number_rules; i++) {
        const struct number_rule *r = &number_rules[i];
        const struct gg_key *k = arch_key(m, r->key);
        if (r->only && !wants(m, r->only))
            continue;
        if (!k && r->needed)
            return err_set(e, ERR_INPUT, "key '%s.%s' is missing, expected %" PRIu64 " to %" PRIu64, m->arch,
                           r->key, r->min, r->max);
        if (k && !number_ok(r, k, e))
            return false;
    }
    return true;
}

/* ---- fractions ---- */

/* Every fraction of the architecture's keys is a finite number; those whose names end so are more. */
struct fraction_rule {
    const char *end;
    double min, max;
    const char *expected;
};

static const struct fraction_rule fraction_rules[] = {
    {"epsilon", 0, DBL_MAX, "a finite number that is not negative"},        /* added to a variance */
    {"kda.gate_lower_bound", -INFINITY, -DBL_TRUE_MIN, "a number below 0"}, /* -inf: there is none */
    {"", -DBL_MAX, DBL_MAX, "a finite number"},
};

static bool fraction_ok(const struct gg_key *k, struct err *e)
{
    const struct fraction_rule *r = fraction_rules;
    double x;
    while (!text_ends(k->name, r->end))
        r++;
    for (uint64_t i = 0; gg_key_f64_at(k, i, &x) && i < k->n; i++)
        if (!(x >= r->min && x <= r->max))
            return err_set(e, ERR_INPUT, "key '%s' is %g, expected %s", k->name, x, r->expected);
    return true;
}

static bool check_fractions(const struct model *m, struct err *e)
{
    const struct gg_part *p = &m->f->parts[0];
    size_t n = strlen(m->arch);
    for (uint64_t i = 0; i < p->n_keys; i++) {
        const struct gg_key *k = &p->keys[i];
        if (!strncmp(k->name, m->arch, n) && k->name[n] == '.' && !fraction_ok(k, e))
            return false;
    }
    return true;
}

/* What the engine rotates by powers of. What it saves has the second of the keys for all, 0 where it does not read it. */
static bool check_bases(const struct model *m, struct err *e)
{
    static const struct {
        const char *key;
        unsigned only; /* families with this bit; 0: all */
    } bases[] = {{"rope.freq_base", 0},
                 {"attention.compress_rope_freq_base", ENGINE_COMPRESS},
                 {"rope.freq_base_swa", 0}};
    double x;
    for (size_t i = 0; !wants(m, ENGINE_ROPE_NONE) && i < sizeof bases / sizeof *bases; i++)
        if ((!bases[i].only || wants(m, bases[i].only)) && gg_key_f64_at(arch_key(m, bases[i].key), 0, &x) &&
            !(x > 0))
            return err_set(e, ERR_INPUT, "key '%s.%s' is %g, expected a number above 0", m->arch,
                           bases[i].key, x);
    return true;
}

/* ---- n-grams ---- */

#define MAX_NGRAM       8  /* LLAMA_MAX_PLE_NGRAM, */
#define MAX_NGRAM_HEADS 64 /* LLAMA_MAX_PLE_HEADS */

static bool long_enough(const struct model *m, const char *key, uint64_t n, struct err *e)
{
    const struct gg_key *k = arch_key(m, key);
    uint64_t have = k && k->kind == GG_ARR ? k->n : 0;
    return have >= n ||
           err_set(e, ERR_INPUT, "key '%s.%s' has %" PRIu64 " numbers, expected at least %" PRIu64, m->arch,
                   key, have, n);
}

/* The lists of a table that is asked by hashes of n-grams (Qwen4): a number for each token, and for each head. */
static bool check_ngrams(const struct model *m, struct err *e)
{
    const struct gg_key *layers = arch_key(m, "ple.layers");
    uint64_t size = number(m, "ple.ngram_size", 0, 0), heads = number(m, "ple.heads_per_ngram", 0, 0);
    if (!wants(m, ENGINE_RATIOS) || !layers || layers->kind != GG_ARR || !layers->n)
        return true;
    if (size < 2 || size > MAX_NGRAM)
        return err_set(e, ERR_INPUT, "key '%s.ple.ngram_size' is %" PRIu64 ", expected 2 to %d", m->arch,
                       size, MAX_NGRAM);
    if (!heads || heads > MAX_NGRAM_HEADS / (size - 1))
        return err_set(e, ERR_INPUT, "key '%s.ple.heads_per_ngram' is %" PRIu64 ", expected 1 to %" PRIu64,
                       m->arch, heads, MAX_NGRAM_HEADS / (size - 1));
    heads *= size - 1;
    return long_enough(m, "ple.layer_multipliers", size, e) && long_enough(m, "ple.head_offsets", heads, e) &&
           long_enough(m, "ple.head_vocab_sizes", heads, e);
}

/* ---- words ---- */

static bool check_words(const struct model *m, struct err *e)
{
    static const char *const scalings[] = {"none", "linear", "yarn", "longrope"};
    const struct gg_key *k = arch_key(m, "rope.scaling.type");
    const char *s;
    uint64_t n;
    if (!gg_key_str(k, &s, &n))
        return true;
    for (size_t i = 0; i < sizeof scalings / sizeof *scalings; i++)
        if (n == strlen(scalings[i]) && !memcmp(s, scalings[i], n))
            return true;
    struct buf safe = {0};
    buf_safe(&safe, s, n < 40 ? n : 40);
    err_set(e, ERR_INPUT, "key '%s' is '%s', expected none, linear, yarn or longrope", k->name,
            safe.s ? safe.s : "");
    buf_clear(&safe);
    return false;
}

/* ---- what keys say together ---- */

static bool check_heads(const struct model *m, struct err *e)
{
    for (uint32_t il = 0; il < m->n_blocks; il++) {
        uint64_t q = number(m, "attention.head_count", il, 0);
        uint64_t kv = number(m, "attention.head_count_kv", il, q);
        if (q && kv && q % kv)
            return err_set(e, ERR_INPUT,
                           "key '%s.attention.head_count_kv' is %" PRIu64 " in block %u, which does not "
                           "divide the %" PRIu64 " heads",
                           m->arch, kv, il, q);
        uint64_t groups = number(m, "attention.output_group_count", il, 1);
        if (wants(m, ENGINE_COMPRESS) && q % groups)
            return err_set(e, ERR_INPUT,
                           "key '%s.attention.output_group_count' is %" PRIu64 ", which does not divide the "
                           "%" PRIu64 " heads",
                           m->arch, groups, q);
    }
    return true;
}

/* Attention over one latent vector per token, that all heads share. */
static bool check_latent(const struct model *m, struct err *e)
{
    uint64_t n_head = number(m, "attention.head_count", 0, 0);
    uint64_t n_kv = number(m, "attention.head_count_kv", 0, n_head);
    bool latent = number(m, "attention.key_length_mla", 0, 0) != 0;
    if (!wants(m, ENGINE_ROPE_PART | ENGINE_ROPE_FIXED | ENGINE_KDA))
        return true;
    if (!wants(m, ENGINE_KDA) && n_kv != (latent ? 1 : n_head))
        return err_set(e, ERR_INPUT, "key '%s.attention.head_count_kv' is %" PRIu64 ", expected %" PRIu64,
                       m->arch, n_kv, latent ? 1 : n_head);
    uint64_t rank = number(m, "attention.kv_lora_rank", 0, 0), k = number(m, "attention.key_length", 0, 0);
    uint64_t rope = number(m, "rope.dimension_count", 0, k);
    if (latent && k != rank + rope)
        return err_set(e, ERR_INPUT,
                       "key '%s.attention.key_length' is %" PRIu64 ", expected %" PRIu64
                       " (kv_lora_rank and the %" PRIu64 " rotated values)",
                       m->arch, k, rank + rope, rope);
    rank = number(m, "attention.kv_lora_rank_swa", 0, 0);
    k = number(m, "attention.key_length_swa", 0, k);
    return !latent || !rank || k == rank + rope ||
           err_set(e, ERR_INPUT,
                   "key '%s.attention.key_length_swa' is %" PRIu64 ", expected %" PRIu64
                   " (kv_lora_rank_swa and the %" PRIu64 " rotated values)",
                   m->arch, k, rank + rope, rope);
}

struct heads { /* sizes of a head, as the engine works them out */
    uint64_t k, v, rope;
};

static bool rope_ok(const struct model *m, const struct heads *h, const char *key, struct err *e)
{
    uint64_t mla = number(m, "attention.key_length_mla", 0, 0);
    uint64_t room = wants(m, ENGINE_ROPE_PART) ? (mla ? mla : h->k) - 1 : h->k;
    double base;
    if (wants(m, ENGINE_ROPE_NONE))
        return true;
    if (wants(m, ENGINE_ROPE_FIXED))
        return !gg_key_f64_at(arch_key(m, "rope.freq_base"), 0, &base) || base == 10000 ||
               err_set(e, ERR_INPUT, "key '%s.rope.freq_base' is %g, expected 10000", m->arch, base);
    if (h->rope < 2 || h->rope % 2 || h->rope > room)
        return err_set(e, ERR_INPUT,
                       "key '%s.%s': %" PRIu64 " of %" PRIu64 " values of a head are rotated, expected an "
                       "even number, 2 to %" PRIu64,
                       m->arch, key, h->rope, h->k, room);
    if (wants(m, ENGINE_ROPE_WHOLE) && h->rope != h->k)
        return err_set(e, ERR_INPUT, "key '%s.%s' is %" PRIu64 ", expected %" PRIu64 ", the size of a head",
                       m->arch, key, h->rope, h->k);
    return true;
}

static bool check_head_sizes(const struct model *m, struct err *e)
{
    uint64_t n_head = number(m, "attention.head_count", 0, 0);
    if (!n_head) /* no attention in the first block: the engine takes all sizes for 0 */
        return true;
    uint64_t width = number(m, "embedding_length", 0, 0), size = width / n_head;
    struct heads h = {.k = number(m, "attention.key_length", 0, size),
                      .v = number(m, "attention.value_length", 0, size)};
    if (!h.k || !h.v)
        return err_set(e, ERR_INPUT, "key '%s.attention.head_count' is %" PRIu64 ", more than the width",
                       m->arch, n_head);
    if (wants(m, ENGINE_HEADS_EQUAL) && h.k != h.v)
        return err_set(e, ERR_INPUT,
                       "heads have keys of %" PRIu64 " and values of %" PRIu64
                       ", expected one size ('%s.attention.key_length', 'value_length')",
                       h.k, h.v, m->arch);
    if (wants(m, ENGINE_HEADS_FILL) && n_head * h.k != width)
        return err_set(e, ERR_INPUT,
                       "key '%s.attention.head_count': %" PRIu64 " heads of %" PRIu64
                       ", expected that they are %" PRIu64 " together, the width",
                       m->arch, n_head, h.k, width);
    uint64_t mla_k = number(m, "attention.key_length_mla", 0, 0);
    uint64_t mla_v = number(m, "attention.value_length_mla", 0, 0);
    if (!mla_k != !mla_v)
        return err_set(e, ERR_INPUT,
                       "of the keys '%s.attention.key_length_mla' and 'value_length_mla' one is set, "
                       "expected both or none",
                       m->arch);
    h.rope = number(m, "rope.dimension_count", 0, h.k);
    if (!rope_ok(m, &h, "rope.dimension_count", e))
        return false;
    if (!arch_key(m, "rope.dimension_count_swa"))
        return true;
    h.k = number(m, "attention.key_length_swa", 0, h.k);
    h.rope = number(m, "rope.dimension_count_swa", 0, h.rope);
    return rope_ok(m, &h, "rope.dimension_count_swa", e);
}

/* The sections add up to a divisor and to no more than a head. */
static bool check_sections(const struct model *m, struct err *e)
{
    const struct gg_key *k = arch_key(m, "rope.dimension_sections");
    uint64_t sum = 0, n;
    if (!k)
        return true;
    for (uint64_t i = 0; i < k->n && i < 4; i++) {
        if (!gg_key_u64_at(k, i, &n) || n > MAX_WIDTH)
            return err_set(e, ERR_INPUT, "key '%s': number %" PRIu64 " is not one of 0 to %u", k->name, i + 1,
                           MAX_WIDTH);
        sum += n;
    }
    uint64_t head = number(m, "embedding_length", 0, 0);
    uint64_t n_head = number(m, "attention.head_count", 0, 1);
    head = number(m, "attention.key_length", 0, n_head ? head / n_head : head);
    if (sum > head || (!sum && wants(m, ENGINE_ROPE_SECTIONS)))
        return err_set(e, ERR_INPUT, "key '%s' adds up to %" PRIu64 ", expected 1 to %" PRIu64, k->name, sum,
                       head);
    return true;
}

/* Windows without a block that has one, or the reverse. */
static bool check_pattern(const struct model *m, struct err *e)
{
    const struct gg_key *k = arch_key(m, "attention.sliding_window_pattern");
    uint64_t n, window = number(m, "attention.sliding_window", 0, 1);
    if (!k || !window)
        return true;
    bool any = k->kind != GG_ARR && !(gg_key_u64(k, &n) && n == 1); /* one of each 1 blocks has none */
    for (uint64_t i = 0; k->kind == GG_ARR && i < k->n && i < m->n_blocks; i++)
        any = any || gg_key_true_at(k, i);
    return any || err_set(e, ERR_INPUT, "key '%s' gives no block a window, but the model has one", k->name);
}

static bool check_indexer(const struct model *m, struct err *e)
{
    uint64_t n = number(m, "attention.indexer.key_length", 0, 0);
    uint64_t rope = number(m, "rope.dimension_count", 0, 0);
    if (!wants(m, ENGINE_INDEXER_TURN))
        return true;
    if (n < 64 || n & (n - 1))
        return err_set(e, ERR_INPUT,
                       "key '%s.attention.indexer.key_length' is %" PRIu64
                       ", expected 64, 128 or another power of two: "
                       "the engine turns these heads by a Hadamard matrix",
                       m->arch, n);
    return rope <= n || err_set(e, ERR_INPUT,
                                "key '%s.rope.dimension_count' is %" PRIu64 ", expected at most %" PRIu64
                                ", the size of a head of the indexer",
                                m->arch, rope, n);
}

static bool check_temperature(const struct model *m, struct err *e)
{
    double scale;
    return !wants(m, ENGINE_ROPE_PART) || number(m, "attention.temperature_length", 0, 0) ||
           !gg_key_f64_at(arch_key(m, "attention.temperature_scale"), 0, &scale) || scale == 0 ||
           err_set(e, ERR_INPUT, "key '%s.attention.temperature_scale' needs 'temperature_length'", m->arch);
}

static bool check_state(const struct model *m, struct err *e)
{
    uint64_t inner = number(m, "ssm.inner_size", 0, 0), groups = number(m, "ssm.group_count", 0, 0);
    uint64_t heads = number(m, "ssm.time_step_rank", 0, 0), width = number(m, "embedding_length", 0, 0);
    if (wants(m, ENGINE_SSM_TWICE) && inner != 2 * width)
        return err_set(e, ERR_INPUT, "key '%s.ssm.inner_size' is %" PRIu64 ", expected %" PRIu64, m->arch,
                       inner, 2 * width);
    if (groups && heads && (inner % heads || inner % groups || heads % groups))
        return err_set(e, ERR_INPUT,
                       "keys '%s.ssm.*': %" PRIu64 " values, %" PRIu64 " heads and %" PRIu64
                       " groups, expected that each divides what stands before it",
                       m->arch, inner, heads, groups);
    return true;
}

static bool check_top_k(const struct model *m, struct err *e)
{
    return !wants(m, ENGINE_FIRST_TOP_K) || number(m, "expert_used_count", 0, 1) ||
           err_set(e, ERR_INPUT, "key '%s.expert_used_count' is 0 in block 0, expected at least 1", m->arch);
}

/* ---- tensors ---- */

/* Has a dot product in ggml-cpu; the types without one are those of intermediate results and of numbers that
 * are no weights. */
static bool multiplies(const char *type)
{
    static const char *const none[] = {"q8_1", "q8_K", "i8", "i16", "i32", "i64", "f64"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (!strcmp(type, none[i]))
            return false;
    return true;
}

struct tensor_kind {
    const char *word; /* in the name */
    bool exact;       /* must be f32, whatever its shape; else a matrix, whatever its shape */
};

/* The first that fits. Others: a matrix with two dimensions and more, f32 with one. */
static const struct tensor_kind tensor_kinds[] = {
    {"ffn_gate_inp_shexp.weight", false}, /* a matrix with one row */
    {"ssm_alpha.weight", false},          /* is not ssm_a */
    {"ssm_dt.weight", false},             /* is not ssm_d, and ssm_dt.bias is no matrix */
    {".bias", true},
    {"norm.weight", true},
    {"exp_probs_b", true},
    {"ssm_conv1d", true},
    {"ssm_a", true},
    {"ssm_d", true},
    {"ple_norm", true},
    {"shortconv.conv", true},
    {"attn_sinks", true},
    {"rope_f", true},
    {".scale", true},
    {"_scale", true},
};

static bool is_exact(const struct gg_tensor *t)
{
    for (size_t i = 0; i < sizeof tensor_kinds / sizeof *tensor_kinds; i++)
        if (strstr(t->name, tensor_kinds[i].word))
            return tensor_kinds[i].exact;
    return t->ne[1] == 1 && t->ne[2] == 1 && t->ne[3] == 1;
}

static bool tensor_ok(const struct gg_tensor *t, struct err *e)
{
    const char *type = gg_type_get(t->type)->name;
    if (t->type >= GG_N_TYPES)
        return err_set(e, ERR_INPUT,
                       "tensor '%s' is of type %s, which ik_llama.cpp alone can run: such a model is pruned, "
                       "but not run here",
                       t->name, type);
    for (int d = 0; d < 4; d++)
        if (!t->ne[d])
            return err_set(e, ERR_INPUT, "tensor '%s': dimension %d is 0", t->name, d + 1);
    if (strstr(t->name, "tid2eid")) /* a table of ids */
        return true;
    if (is_exact(t))
        return !strcmp(type, "f32") ||
               err_set(e, ERR_INPUT, "tensor '%s' is of type %s, expected f32", t->name, type);
    return multiplies(type) ||
           err_set(e, ERR_INPUT,
                   "tensor '%s' is of type %s, expected one that the engine can multiply by (f32, f16, bf16 "
                   "or a quantised one)",
                   t->name, type);
}

static bool check_tensors(const struct model *m, struct err *e)
{
    for (uint64_t i = 0; i < m->f->n_tensors; i++)
        if (!tensor_ok(&m->f->tensors[i], e))
            return false;
    return true;
}

/* Tensors of a block that the loader does not ask for, and the graph takes without a look. */
static const struct {
    const char *with, *needs;
} partners[] = {
    {"ssm_d", "ssm_conv1d.bias"},
    {"ffn_latent_down.weight", "ffn_latent_up.weight"},
    {"ffn_latent_up.weight", "ffn_latent_down.weight"},
};

static const struct gg_tensor *of_block(const struct model *m, uint32_t il, const char *name)
{
    char full[96];
    snprintf(full, sizeof full, "blk.%u.%s", il, name);
    return gg_find_tensor(m->f, full);
}

static bool check_partners(const struct model *m, struct err *e)
{
    for (uint32_t il = 0; il < m->n_blocks; il++)
        for (size_t i = 0; i < sizeof partners / sizeof *partners; i++)
            if (of_block(m, il, partners[i].with) && !of_block(m, il, partners[i].needs))
                return err_set(e, ERR_INPUT, "tensor 'blk.%u.%s' is missing, which goes with '%s'", il,
                               partners[i].needs, partners[i].with);
    return true;
}

/* ---- a block that predicts further tokens ---- */

static const struct {
    const char *tensor;
    unsigned only; /* families with this bit; 0: all */
} mtp_needs[] = {
    {"nextn.eh_proj.weight", 0},
    {"nextn.enorm.weight", 0},
    {"nextn.hnorm.weight", 0},
    {"nextn.shared_head_norm.weight", 0},
    {"ffn_gate_inp.weight", 0},
    {"ffn_gate_shexp.weight", ENGINE_ROPE_PART},
    {"ffn_up_shexp.weight", ENGINE_ROPE_PART},
    {"ffn_down_shexp.weight", ENGINE_ROPE_PART},
};

/* GLM-4.5V's graph rotates by sections where the keys have any, and that of its MTP block does not: the engine ends the process. */
static bool mtp_turns(const struct model *m)
{
    const struct gg_key *k = arch_key(m, "rope.dimension_sections");
    uint64_t n;
    for (uint64_t i = 0; k && !wants(m, ENGINE_ROPE_SECTIONS) && i < k->n; i++)
        if (!gg_key_u64_at(k, i, &n) || n)
            return false;
    return true;
}

bool runs_mtp(const struct gg_file *f, const struct family *family, uint32_t n_blocks)
{
    struct model m = {f, family, family->arch, n_blocks};
    double scale;
    if (!wants(&m, ENGINE_MTP_RUNS) || number(&m, "nextn_predict_layers", 0, 0) != 1 || !mtp_turns(&m))
        return false;
    for (size_t i = 0; i < sizeof mtp_needs / sizeof *mtp_needs; i++)
        if ((!mtp_needs[i].only || wants(&m, mtp_needs[i].only)) &&
            !of_block(&m, n_blocks - 1, mtp_needs[i].tensor))
            return false;
    return !wants(&m, ENGINE_ROPE_PART) ||
           (number(&m, "attention.key_length_mla", 0, 0) &&
            number(&m, "leading_dense_block_count", 0, 0) < n_blocks &&
            (!gg_key_f64_at(arch_key(&m, "attention.temperature_scale"), 0, &scale) || scale == 0));
}

/* ---- */

#define ENGINE_ALIGNMENT 32 /* of what ggml-cpu computes with, and so of what is mapped */

bool runs_mapped(const struct gg_file *f)
{
    for (uint32_t i = 0; i < f->n_parts; i++)
        if (f->parts[i].alignment % ENGINE_ALIGNMENT)
            return false;
    return true;
}

static bool (*const checks[])(const struct model *, struct err *) = {
    check_numbers,  check_fractions, check_words,       check_heads,  check_head_sizes, check_latent,
    check_sections, check_pattern,   check_temperature, check_state,  check_top_k,      check_indexer,
    check_tensors,  check_partners,  check_bases,       check_ngrams,
};

bool runs_check(const struct gg_file *f, const struct family *family, uint32_t n_blocks, struct err *e)
{
    struct model m = {f, family, family->arch, n_blocks};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (!checks[i](&m, e))
            return false;
    return true;
}
