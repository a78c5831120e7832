/* names.c - see names.h. */
#include "hf/names.h"

#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- keys of config.json ---- */

static uint32_t object_in(const struct jdoc *config, uint32_t at, const char *name)
{
    uint32_t node = jdoc_get(config, at, name);
    return node != JSPAN_NONE && config->nodes[node].kind == J_OBJECT ? node : JSPAN_NONE;
}

uint32_t hf_text_config(const struct jdoc *config)
{
    static const char *const names[] = {"text_config", "llm_config", "language_config"};
    uint32_t thinker = object_in(config, 0, "thinker_config"); /* Qwen-Omni's */
    for (size_t i = 0; i < COUNT(names); i++) {
        uint32_t node = object_in(config, thinker == JSPAN_NONE ? 0 : thinker, names[i]);
        if (node != JSPAN_NONE)
            return node;
    }
    return JSPAN_NONE;
}

/* Qwen-Omni's talker has experts of its own; sam_model, qwen2_model and view_seperator are DeepSeek-OCR's. */
static const char *const foreign[] = {
    "vision",    "visual",    "vit_config",  "audio",          "speech",      "sound",
    "image",     "video",     "talker",      "code2wav",       "token2wav",   "multi_modal",
    "projector", "sam_model", "qwen2_model", "view_seperator", "patch_merge", "aligner"};

const char *hf_foreign_at(uint32_t i)
{
    return i < COUNT(foreign) ? foreign[i] : NULL;
}

bool hf_is_foreign(const char *name)
{
    const char *word;
    for (uint32_t i = 0; (word = hf_foreign_at(i)); i++)
        if (strstr(name, word))
            return true;
    return false;
}

/* ---- names of tensors and modules ---- */

bool hf_is_scale(const char *name, const char *dtype)
{
    static const char *const ends[] = {
        "_scale_inv",  "weight_scale",     "weight_scale_2", "proj_scale",
        "input_scale", "activation_scale", "global_scale",   "output_scale",
        ".k_scale",    ".v_scale",         ".q_scale",       ".weight_zero_point",
        ".qscale_act", ".absmax",          ".quant_map",     ".qscale_weight",
    };
    size_t n = strlen(name);
    for (size_t i = 0; i < COUNT(ends); i++) {
        size_t k = strlen(ends[i]);
        if (n >= k && !strcmp(name + n - k, ends[i]))
            return true;
    }
    return !strcmp(dtype, "F8_E8M0"); /* a power of two: stores nothing else */
}

/* One that begins like another one is before it. */
static const char *const prefixes[] = {
    "model.language_model.",
    "model.decoder.",
    "language_model.model.",
    "language_model.",
    "thinker.model.",
    "thinker.",
    "llm.model.",
    "llm.",
    "backbone.",
    "transformer.",
    "model.",
};

const char *hf_prefix_at(uint32_t i)
{
    return i < COUNT(prefixes) ? prefixes[i] : NULL;
}

const char *hf_strip_prefix(const char *name)
{
    const char *prefix;
    for (uint32_t i = 0; (prefix = hf_prefix_at(i)); i++)
        if (!strncmp(name, prefix, strlen(prefix)))
            return name + strlen(prefix);
    return name;
}

bool hf_is_layer_list(const char *s, size_t n)
{
    static const char *const lists[] = {"layers", "blocks", "block", "h"};
    for (size_t i = 0; i < COUNT(lists); i++)
        if (n == strlen(lists[i]) && !memcmp(s, lists[i], n))
            return true;
    return false;
}

bool hf_is_mtp(const char *s, size_t n)
{
    return (n == 3 && !memcmp(s, "mtp", 3)) || (n > 4 && !memcmp(s, "mtp_", 4));
}

bool hf_take_number(const char *s, uint32_t *n, const char **rest)
{
    uint32_t v = 0;
    const char *p = s;
    for (; *p >= '0' && *p <= '9' && p - s < 9; p++)
        v = v * 10 + (uint32_t)(*p - '0');
    if (p == s || *p != '.' || (s[0] == '0' && p - s > 1))
        return false;
    *n = v;
    *rest = p + 1;
    return true;
}

/* "mtp.layers.0.", "mtp.0.", "mtp_layers.0.", "mtp_block.0."; other modules of them have no number. */
static void place_mtp(struct hf_place *x, const char *s, size_t n)
{
    static const char list[] = "layers.";
    bool block = n == strlen("mtp_block") && !memcmp(s, "mtp_block", n);
    const char *t = s + (block ? n + 1 : strlen("mtp."));
    x->mtp = true;
    if (!strncmp(t, list, strlen(list)))
        t += strlen(list);
    hf_take_number(t, &x->layer, &x->rest);
}

struct hf_place hf_place(const char *name)
{
    struct hf_place x = {0};
    const char *s = hf_strip_prefix(name);
    size_t n = strcspn(s, ".");
    if (s[n] && hf_is_mtp(s, n))
        place_mtp(&x, s, n);
    else if (!s[n] || !hf_is_layer_list(s, n) || !hf_take_number(s + n + 1, &x.layer, &x.rest))
        x.other = hf_is_foreign(name);
    return x;
}

struct hf_place hf_place_in_stacks(const char *name, uint32_t n_encoder)
{
    static const char *const stacks[] = {"encoder.", "decoder."};
    const char *s = strncmp(name, "model.", strlen("model.")) ? name : name + strlen("model.");
    for (size_t i = 0; i < COUNT(stacks); i++) {
        if (strncmp(s, stacks[i], strlen(stacks[i])) != 0)
            continue;
        struct hf_place x = hf_place(s + strlen(stacks[i]));
        x.layer += i && x.rest ? n_encoder : 0;
        return x;
    }
    return (struct hf_place){.other = hf_is_foreign(name)};
}
