/* family.c - the records. Architectures: those of llama.cpp v0.5.0 that route tokens to experts
 * (src/llama-arch.cpp, src/models/). Tensor names and axes: the same sources; which tensors have which axis
 * is described in docs/formats.md. */
#include "family/family.h"

#include <stdlib.h>
#include <string.h>

#define SOFTMAX_NORM     "softmax, top-k, renormalised"
#define SOFTMAX          "softmax, top-k, not renormalised"
#define FUNC_BY_KEY_NORM "softmax or sigmoid by the file's key, top-k, renormalised"
#define BY_KEYS          "by the file's keys: softmax or sigmoid, top-k, renormalised and scaled where set"

static const struct family families[] = {
    {.arch = "afmoe", .models = "AFMoE (Trinity)", .gate = BY_KEYS},
    {.arch = "arctic", .models = "Snowflake Arctic", .gate = SOFTMAX_NORM},
    {.arch = "bailingmoe",
     .models = "Ling 1",
     .gate = "softmax, top-k, renormalised and scaled where the keys say so"},
    {.arch = "bailingmoe2", .models = "Ling 2, Ring 2", .gate = BY_KEYS},
    {.arch = "bailingmoe3", .models = "Ling 3", .gate = BY_KEYS},
    {.arch = "cohere2moe", .models = "Command MoE", .gate = BY_KEYS},
    {.arch = "dbrx", .models = "DBRX", .gate = SOFTMAX_NORM},
    {.arch = "deepseek", .models = "DeepSeek-MoE", .gate = SOFTMAX},
    {.arch = "deepseek2", .models = "DeepSeek-V2, V3, R1, Kimi-K2", .gate = BY_KEYS},
    {.arch = "deepseek2-ocr", .models = "DeepSeek-OCR", .gate = BY_KEYS},
    {.arch = "deepseek32", .models = "DeepSeek-V3.2", .gate = BY_KEYS},
    {.arch = "deepseek4", .models = "DeepSeek-V4", .gate = BY_KEYS},
    {.arch = "dots1", .models = "dots.llm1", .gate = BY_KEYS},
    {.arch = "dots3note", .models = "dots.note", .gate = BY_KEYS},
    {.arch = "ernie4_5-moe", .models = "Ernie-4.5-MoE", .gate = SOFTMAX_NORM},
    {.arch = "exaone-moe", .models = "EXAONE-MoE", .gate = BY_KEYS},
    {.arch = "gemma4", .models = "Gemma-4 MoE", .gate = SOFTMAX_NORM},
    {.arch = "glm-dsa", .models = "GLM-5", .gate = BY_KEYS},
    {.arch = "glm4moe", .models = "GLM-4.5, 4.6, Air", .gate = BY_KEYS},
    {.arch = "gpt-oss",
     .models = "gpt-oss",
     .gate = "softmax over the top-k of the logits (router bias included)"},
    {.arch = "granite", .models = "Granite MoE", .gate = SOFTMAX_NORM},
    {.arch = "granite_swa", .models = "Granite MoE (sliding window)", .gate = SOFTMAX_NORM},
    {.arch = "granitehybrid", .models = "Granite 4 hybrid", .gate = SOFTMAX_NORM},
    {.arch = "granitemoe", .models = "Granite MoE", .gate = SOFTMAX_NORM},
    {.arch = "grok", .models = "Grok", .gate = SOFTMAX_NORM},
    {.arch = "grovemoe",
     .models = "GroveMoE",
     .gate = SOFTMAX_NORM,
     .refuse =
         "its chunk experts are shared by groups of neighbouring experts, which a cut would tear apart"},
    {.arch = "hunyuan-moe", .models = "Hunyuan-MoE", .gate = SOFTMAX_NORM},
    {.arch = "hy_v3", .models = "Hunyuan v3", .gate = BY_KEYS},
    {.arch = "hy_v4", .models = "Hunyuan v4", .gate = BY_KEYS},
    {.arch = "jamba", .models = "Jamba", .gate = SOFTMAX},
    {.arch = "kimi-k3", .models = "Kimi-K3", .gate = BY_KEYS},
    {.arch = "kimi-linear", .models = "Kimi-Linear", .gate = FUNC_BY_KEY_NORM ", scaled"},
    {.arch = "laguna", .models = "Laguna", .gate = BY_KEYS},
    {.arch = "lfm2moe", .models = "LFM2-MoE", .gate = FUNC_BY_KEY_NORM},
    {.arch = "llada-moe", .models = "LLaDA-MoE", .gate = SOFTMAX},
    {.arch = "llama", .models = "Mixtral", .gate = SOFTMAX_NORM},
    {.arch = "llama4",
     .models = "Llama-4",
     .gate = "sigmoid, multiplies the expert's input",
     .flags = FAM_ONE_FACTOR_IN_INPUT | FAM_MIN_4_LAYERS},
    {.arch = "maple", .models = "Maple", .gate = SOFTMAX_NORM},
    {.arch = "mellum", .models = "Mellum MoE", .gate = SOFTMAX_NORM},
    {.arch = "mimo2", .models = "MiMo-V2", .gate = "sigmoid, top-k, renormalised"},
    {.arch = "minicpm", .models = "MiniCPM-MoE", .gate = SOFTMAX_NORM},
    {.arch = "minimax-01", .models = "MiniMax-01", .gate = SOFTMAX_NORM},
    {.arch = "minimax-m2", .models = "MiniMax-M2", .gate = FUNC_BY_KEY_NORM},
    {.arch = "minimax-m3", .models = "MiniMax-M3", .gate = BY_KEYS},
    {.arch = "mistral3", .models = "Mistral 3 MoE", .gate = SOFTMAX_NORM},
    {.arch = "mistral4", .models = "Mistral 4", .gate = BY_KEYS},
    {.arch = "nemotron_h_moe",
     .models = "Nemotron 3 (Nemotron-H)",
     .gate = "sigmoid, top-k, renormalised and scaled where the keys say so"},
    {.arch = "olmoe", .models = "OLMoE", .gate = SOFTMAX},
    {.arch = "phimoe", .models = "Phi-3.5-MoE", .gate = SOFTMAX_NORM},
    {.arch = "qwen2moe", .models = "Qwen1.5-MoE, Qwen2-MoE", .gate = SOFTMAX},
    {.arch = "qwen35moe", .models = "Qwen3.5-MoE", .gate = SOFTMAX_NORM},
    {.arch = "qwen3moe", .models = "Qwen3-MoE", .gate = SOFTMAX_NORM},
    {.arch = "qwen3next", .models = "Qwen3-Next", .gate = SOFTMAX_NORM},
    {.arch = "qwen3vlmoe", .models = "Qwen3-VL-MoE", .gate = SOFTMAX_NORM},
    {.arch = "qwen4exp", .models = "Qwen4 (experimental)", .gate = SOFTMAX_NORM},
    {.arch = "rnd1", .models = "RND1", .gate = SOFTMAX_NORM},
    {.arch = "smallthinker", .models = "SmallThinker", .gate = FUNC_BY_KEY_NORM},
    {.arch = "step35", .models = "Step-3.5", .gate = BY_KEYS},
};

static const struct tensor_rule rules[] = {
    {"ffn_gate_exps.weight", ROLE_EXPERT, 2, NULL},
    {"ffn_up_exps.weight", ROLE_EXPERT, 2, NULL},
    {"ffn_down_exps.weight", ROLE_EXPERT, 2, NULL},
    {"ffn_gate_up_exps.weight", ROLE_EXPERT, 2, NULL},
    {"ffn_gate_exps.bias", ROLE_EXPERT, 1, NULL},
    {"ffn_up_exps.bias", ROLE_EXPERT, 1, NULL},
    {"ffn_down_exps.bias", ROLE_EXPERT, 1, NULL},
    {"ffn_gate_up_exps.bias", ROLE_EXPERT, 1, NULL},
    {"ffn_gate_exps.scale", ROLE_EXPERT, 0, NULL},
    {"ffn_up_exps.scale", ROLE_EXPERT, 0, NULL},
    {"ffn_down_exps.scale", ROLE_EXPERT, 0, NULL},
    {"ffn_gate_exps.input_scale", ROLE_EXPERT, 0, NULL},
    {"ffn_up_exps.input_scale", ROLE_EXPERT, 0, NULL},
    {"ffn_down_exps.input_scale", ROLE_EXPERT, 0, NULL},
    {"ffn_gate_inp.weight", ROLE_ROUTER, 1, NULL},
    {"ffn_gate_inp.bias", ROLE_SELECT, 0, NULL},
    {"exp_probs_b.bias", ROLE_SELECT, 0, NULL},
    {"exp_probs_b", ROLE_SELECT, 0, NULL}, /* written without a suffix by some converters */
    {"exp_probs_b_vl.bias", ROLE_SELECT, 0, NULL},
    {"ffn_gate_tid2eid.weight", ROLE_REFUSE, -1,
     "routes tokens by a table of expert ids; removing an expert leaves its tokens without a route"},
    {"ffn_gate_chexps.weight", ROLE_REFUSE, -1, "holds chunk experts, shared by groups of experts"},
    {"ffn_up_chexps.weight", ROLE_REFUSE, -1, "holds chunk experts, shared by groups of experts"},
    {"ffn_down_chexps.weight", ROLE_REFUSE, -1, "holds chunk experts, shared by groups of experts"},
};

const struct family *family_at(uint32_t i)
{
    return i < sizeof families / sizeof *families ? &families[i] : NULL;
}

const struct family *family_find(const char *arch)
{
    for (uint32_t i = 0; family_at(i); i++)
        if (!strcmp(families[i].arch, arch))
            return &families[i];
    return NULL;
}

/* Levenshtein distance of short names. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (n >= 64)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diag = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t best = diag + (a[i] != b[j]);
            diag = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[n];
}

const struct family *family_nearest(const char *arch)
{
    const struct family *best = NULL;
    size_t best_d = SIZE_MAX;
    for (uint32_t i = 0; family_at(i); i++) {
        size_t d = distance(arch, families[i].arch);
        if (d < best_d) {
            best_d = d;
            best = &families[i];
        }
    }
    return best;
}

const struct tensor_rule *family_rule(const char *name, int32_t *layer, bool *suspect)
{
    static const struct tensor_rule old_form = {
        "ffn_{gate,up,down}.<expert>.weight", ROLE_REFUSE, -1,
        "is the old form with one tensor per expert, which no current engine loads; convert the model again"};
    *layer = -1;
    *suspect = false;
    if (strncmp(name, "blk.", 4) != 0 || name[4] < '0' || name[4] > '9')
        return NULL;
    char *end;
    unsigned long n = strtoul(name + 4, &end, 10);
    if (*end != '.' || n > INT32_MAX)
        return NULL;
    *layer = (int32_t)n;
    const char *rest = end + 1;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(rest, rules[i].suffix))
            return &rules[i];
    static const char *const per_expert[] = {"ffn_gate.", "ffn_up.", "ffn_down."};
    for (size_t i = 0; i < 3; i++) {
        size_t k = strlen(per_expert[i]);
        if (!strncmp(rest, per_expert[i], k) && rest[k] >= '0' && rest[k] <= '9')
            return &old_form;
    }
    *suspect = (strstr(rest, "exps") && strncmp(rest, "ffn_norm_exps", 13) != 0) || strstr(rest, "exp_probs");
    return NULL;
}
