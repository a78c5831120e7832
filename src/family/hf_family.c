/* hf_family.c - the records. Names: the modelling code of transformers 5.12 (models/, conversion_mapping.py)
 * and the tensor map of llama.cpp v0.5.0 (gguf-py/gguf/tensor_mapping.py, conversion/). */
#include "family/hf_family.h"

#include <string.h>

#define MLP        .block = "mlp", .experts = "experts", .router = "gate"
#define SPARSE     .block = "block_sparse_moe", .experts = "experts", .router = "gate"
#define CORRECTION .vectors = "e_score_correction_bias expert_bias"

static const struct hf_family families[] = {
    {.classes = "Qwen3MoeForCausalLM", .arch = "qwen3moe", MLP},
    {.classes = "Qwen2MoeForCausalLM", .arch = "qwen2moe", MLP},
    {.classes = "Qwen3NextForCausalLM", .arch = "qwen3next", MLP},
    {.classes = "Qwen3_5MoeForConditionalGeneration Qwen3_5MoeForCausalLM", .arch = "qwen35moe", MLP},
    {.classes = "Qwen3VLMoeForConditionalGeneration", .arch = "qwen3vlmoe", MLP},
    {.classes = "OlmoeForCausalLM", .arch = "olmoe", MLP},
    {.classes = "MixtralForCausalLM", .arch = "llama", SPARSE},
    {.classes = "PhiMoEForCausalLM PhimoeForCausalLM", .arch = "phimoe", SPARSE},
    {.classes = "MiniMaxM2ForCausalLM", .arch = "minimax-m2", SPARSE, CORRECTION},
    {.classes = "GptOssForCausalLM",
     .arch = "gpt-oss",
     .block = "mlp",
     .experts = "experts",
     .router = "router"},
    {.classes = "Llama4ForConditionalGeneration Llama4ForCausalLM",
     .arch = "llama4",
     .block = "feed_forward",
     .experts = "experts",
     .router = "router"},
    {.classes = "DeepseekV2ForCausalLM DeepseekV3ForCausalLM KimiK25ForConditionalGeneration",
     .arch = "deepseek2",
     MLP},
    {.classes = "DeepseekV32ForCausalLM", .arch = "deepseek32", MLP},
    {.classes = "DeepseekForCausalLM", .arch = "deepseek", MLP},
    {.classes = "DeepseekV4ForCausalLM",
     .arch = "deepseek4",
     .block = "ffn",
     .experts = "experts",
     .router = "gate",
     .refuse = "its first layers route tokens by a table of expert ids; removing an expert leaves its tokens "
               "without a route"},
    {.classes = "Ernie4_5_MoeForCausalLM", .arch = "ernie4_5-moe", MLP, .vectors = "moe_statics"},
    {.classes = "Ernie4_5_VLMoeForConditionalGeneration",
     .arch = NULL,
     MLP,
     .vectors = "moe_statics",
     .refuse = "its experts are two sets, for text and for images, in one numbering"},
    {.classes = "Glm4MoeForCausalLM", .arch = "glm4moe", MLP},
    {.classes = "GlmMoeDsaForCausalLM", .arch = "glm-dsa", MLP},
    {.classes = "Glm4MoeLiteForCausalLM", .arch = "deepseek2", MLP},
    {.classes = "SolarOpenForCausalLM", .arch = "glm4moe", MLP},
    {.classes = "Dots1ForCausalLM", .arch = "dots1", MLP},
    {.classes = "NemotronHForCausalLM",
     .arch = "nemotron_h_moe",
     .block = "mixer",
     .experts = "experts",
     .router = "gate"},
    {.classes = "KimiLinearForCausalLM", .arch = "kimi-linear", SPARSE},
    {.classes = "GraniteMoeForCausalLM GraniteMoeSharedForCausalLM",
     .arch = "granitemoe",
     .block = "block_sparse_moe",
     .experts = "input_linear output_linear",
     .router = "router"},
    {.classes = "GraniteMoeHybridForCausalLM",
     .arch = "granitehybrid",
     .block = "block_sparse_moe",
     .experts = "input_linear output_linear",
     .router = "router"},
    {.classes = "Lfm2MoeForCausalLM",
     .arch = "lfm2moe",
     .block = "feed_forward",
     .experts = "experts",
     .router = "gate",
     CORRECTION},
    {.classes = "Gemma4ForConditionalGeneration Gemma4ForCausalLM",
     .arch = "gemma4",
     .block = "",
     .experts = "experts",
     .router = "router",
     .whole = "router.scale"},
    {.classes = "HunYuanMoEV1ForCausalLM", .arch = "hunyuan-moe", MLP},
    {.classes = "JambaForCausalLM",
     .arch = "jamba",
     .block = "feed_forward",
     .experts = "experts",
     .router = "router"},
    {.classes = "DbrxForCausalLM",
     .arch = "dbrx",
     .block = "ffn",
     .experts = "experts",
     .router = "router",
     .flags = HF_ROWS},
    {.classes = "AfmoeForCausalLM",
     .arch = "afmoe",
     .block = "mlp",
     .experts = "experts",
     .router = "router",
     CORRECTION},
    {.classes = "BailingMoeForCausalLM", .arch = "bailingmoe", MLP},
    {.classes = "BailingMoeV2ForCausalLM", .arch = "bailingmoe2", MLP, CORRECTION},
    {.classes = "ExaoneMoEForCausalLM ExaoneMoeForCausalLM", .arch = "exaone-moe", MLP, CORRECTION},
    {.classes = "Step3p5ForCausalLM",
     .arch = "step35",
     .block = "moe",
     .experts = "gate_proj up_proj down_proj",
     .router = "gate",
     .vectors = "router_bias"},
    {.classes = "LagunaForCausalLM", .arch = "laguna", MLP},
    {.classes = "SmallThinkerForCausalLM",
     .arch = "smallthinker",
     .block = "block_sparse_moe",
     .experts = "experts",
     .router = "primary_router"},
    {.classes = "GroveMoeForCausalLM",
     .arch = "grovemoe",
     MLP,
     .whole = "chunk_experts",
     .refuse =
         "its chunk experts are shared by groups of neighbouring experts, which a cut would tear apart"},
    {.classes = "LongcatFlashForCausalLM",
     .arch = NULL,
     .block = "mlp",
     .experts = "experts",
     .router = "router",
     .refuse = "its router counts experts that do nothing behind the real ones"},
};

/* Patterns for classes that no record knows: names that many families share. */
static const struct hf_family usual[] = {
    {.classes = "", .block = "mlp", .experts = "experts", .router = "gate", CORRECTION},
    {.classes = "", .block = "mlp", .experts = "experts", .router = "router", CORRECTION},
    {.classes = "", .block = "block_sparse_moe", .experts = "experts", .router = "gate", CORRECTION},
    {.classes = "", .block = "feed_forward", .experts = "experts", .router = "gate", CORRECTION},
    {.classes = "", .block = "feed_forward", .experts = "experts", .router = "router", CORRECTION},
    {.classes = "", .block = "mixer", .experts = "experts", .router = "gate", CORRECTION},
    {.classes = "", .block = "moe", .experts = "experts", .router = "gate", CORRECTION},
    {.classes = "", .block = "ffn", .experts = "experts", .router = "gate", CORRECTION},
};

const struct hf_family *hf_family_at(uint32_t i)
{
    return i < sizeof families / sizeof *families ? &families[i] : NULL;
}

const struct hf_family *hf_family_usual(uint32_t i)
{
    return i < sizeof usual / sizeof *usual ? &usual[i] : NULL;
}

/* The name in a list that `s` begins with (s is it, or goes on with a dot); *rest: what follows, "" or behind
 * the dot. */
static bool in_list(const char *list, const char *s, const char **rest)
{
    while (list && *list) {
        size_t n = strcspn(list, " ");
        if (!strncmp(list, s, n) && (s[n] == 0 || s[n] == '.')) {
            *rest = s[n] ? s + n + 1 : s + n;
            return true;
        }
        list += n + (list[n] == ' ');
    }
    return false;
}

const struct hf_family *hf_family_find(const char *class_name)
{
    const char *rest;
    for (uint32_t i = 0; *class_name && hf_family_at(i); i++)
        if (in_list(families[i].classes, class_name, &rest) && !*rest)
            return &families[i];
    return NULL;
}

/* ---- names ---- */

/* What may stand before "layers.N." in the language model. */
static const char *const prefixes[] = {
    "",
    "model.",
    "model.language_model.",
    "language_model.model.",
    "language_model.",
    "backbone.",
    "transformer.",
    "thinker.model.",
    "llm.model.",
};
static const char *const lists[] = {"layers.", "blocks.", "h."};
static const char *const mtp_prefixes[] = {"mtp.", "model.mtp.", "model.mtp_block.", "model.mtp_"};

static const char *skip(const char *s, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(s, prefix, n) ? NULL : s + n;
}

/* "12.rest": false unless a number and a dot */
static bool number(const char *s, uint32_t *n, const char **rest)
{
    uint64_t v = 0;
    const char *p = s;
    for (; *p >= '0' && *p <= '9' && p - s < 9; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    if (p == s || *p != '.' || (s[0] == '0' && p - s > 1))
        return false;
    *n = (uint32_t)v;
    *rest = p + 1;
    return true;
}

struct hf_place hf_place(const char *name)
{
    struct hf_place x = {0};
    const char *s, *t;
    for (size_t i = 0; i < sizeof mtp_prefixes / sizeof *mtp_prefixes; i++)
        if ((s = skip(name, mtp_prefixes[i]))) {
            x.mtp = true;
            t = skip(s, "layers.");
            if (!number(t ? t : s, &x.layer, &x.rest))
                x.rest = NULL;
            return x;
        }
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!(s = skip(name, prefixes[i])))
            continue;
        for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
            if ((t = skip(s, lists[k])) && number(t, &x.layer, &x.rest))
                return x;
    }
    x.other =
        strstr(name, "vision") || strstr(name, "visual") || strstr(name, "audio") || strstr(name, "talker");
    return x;
}

struct hf_role hf_family_role(const struct hf_family *f, const char *rest)
{
    struct hf_role r = {.role = ROLE_NONE, .axis = -1};
    const char *m, *end;
    uint32_t n;
    if (*f->block && (!(m = skip(rest, f->block)) || *m++ != '.'))
        return r;
    if (!*f->block)
        m = rest;
    if (in_list(f->whole, m, &end))
        return r;
    if (in_list(f->experts, m, &end)) {
        r.role = ROLE_EXPERT;
        if (number(end, &n, &r.part))
            r.number = end;
        else
            r.axis = 0;
    } else if (in_list(f->router, m, &end)) {
        r.role = ROLE_ROUTER;
        r.router = end;
        r.axis = 0;
    } else if (in_list(f->vectors, m, &end)) {
        r.role = ROLE_SELECT;
        r.axis = 0;
    }
    return r;
}
