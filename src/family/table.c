/* table.c - the families without a conversion. GGUF: those of llama.cpp v0.5.0 that route tokens to experts
 * (src/llama-arch.cpp, src/models/). Names in checkpoints: the modelling code of transformers 5.12 (models/,
 * conversion_mapping.py) and the tensor map of llama.cpp v0.5.0 (gguf-py/gguf/tensor_mapping.py,
 * conversion/). */
#include "family/rules.h"

#include <stddef.h>

#define NOT_OF_THE_ENGINE "the engine has no such model; a plan for it comes from elsewhere"

const struct family family_table[] = {
    {.arch = "granite",
     .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
     .models = "Granite MoE",
     .gate = SOFTMAX_NORM,
     .tokenizers = {{.model_types = "granite", .pre = "refact", LLAMA_TOKENIZER}},
     .refuse_native = "no published class of checkpoints has experts with this architecture"},
    {.arch = "granite_swa",
     .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
     .models = "Granite MoE (sliding window)",
     .gate = SOFTMAX_NORM,
     .refuse_native =
         "llama.cpp's converter names no published checkpoint of its class, and transformers 5.12.1 has none"},
    {.arch = "grok",
     .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
     .models = "Grok",
     .gate = SOFTMAX_NORM,
     .tokenizers = {{.model_types = "grok*", .pre = "grok-2"}},
     /* llama.cpp v0.5.0, src/models/grok.cpp: no node of the graph uses it. */
     .refuse_native =
         "the engine reads router_logit_softcapping, which both published models have, but does not bound the router's logits by it"},
    {.arch = "grovemoe",
     .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE | ENGINE_FIRST_TOP_K,
     .models = "GroveMoE",
     .gate = SOFTMAX_NORM,
     /* llama-graph.cpp:2114: chunk expert j serves experts 2j and 2j + 1, with the score of expert j, whichever was
      * chosen. Neither holds with other numbers, however the groups are kept. */
     .refuse =
         "its chunk experts are shared by groups of neighbouring experts, and weighted by the scores of the experts "
         "that have their numbers: a cut would give both to others",
     .classes = {CLASS("GroveMoeForCausalLM")},
     NAMES(MLP, .whole = "chunk_experts")},
    {.arch = "minicpm",
     .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
     .models = "MiniCPM-MoE",
     .gate = SOFTMAX_NORM,
     .refuse_native =
         "neither transformers nor llama.cpp's converter knows experts in its class, so that nothing could check it"},
    {.arch = "mistral3",
     .engine = ENGINE_HEADS_EQUAL | ENGINE_ROPE_WHOLE,
     .down_scale = true,
     .models = "Mistral 3 MoE",
     .gate = SOFTMAX_NORM,
     .tokenizers = {{.model_types = "mistral3 ministral*", LLAMA_TOKENIZER}},
     .refuse_native = "no published class of checkpoints has experts with this architecture"},
    {.arch = "mistral4",
     .engine = ENGINE_ROPE_PART,
     .models = "Mistral 4",
     .gate = BY_KEYS,
     .classes = {CLASS("Mistral4ForCausalLM"), CLASS("Mistral3ForConditionalGeneration")},
     NAMES(MLP),
     /* transformers 5.12.1, Mistral4Attention: 1 / sqrt(head size); llama.cpp v0.5.0, src/models/deepseek2.cpp: times the square
      * of YaRN's mscale, 2.2 by the published keys. */
     .refuse_native = "the engine scales attention by the square of YaRN's mscale, transformers does not"},
    {.arch = "phimoe",
     .engine = ENGINE_HEADS_EQUAL,
     .models = "Phi-3.5-MoE",
     .gate = SOFTMAX_NORM,
     .classes = {CLASS("PhiMoEForCausalLM"), CLASS("PhimoeForCausalLM")},
     NAMES(SPARSE),
     /* transformers 5.12.1, sparsemixer: each of the two has the softmax over the experts near to it; llama.cpp v0.5.0,
      * src/models/phi3.cpp: both share one softmax. */
     .refuse_native =
         "the engine weights both experts by one softmax, the model each by one of its own (SparseMixer)"},
    /* ---- the engine has no such model: checkpoints are cut by a plan that comes from elsewhere, or refused ---- */
    {.models = "Aria",
     .gate = SOFTMAX_NORM,
     .classes = {CLASS("AriaForConditionalGeneration"), CLASS("AriaTextForCausalLM")},
     NAMES(.block = "mlp", .experts = "experts", .router = "router"),
     .refuse_native = NOT_OF_THE_ENGINE},
    {.models = "DiffusionGemma",
     .gate = SOFTMAX_NORM,
     .classes = {CLASS("DiffusionGemmaForBlockDiffusion")},
     NAMES(.block = "", .experts = "experts", .router = "router", .whole = "router.scale"),
     .refuse_native = NOT_OF_THE_ENGINE},
    {.models = "OpenAI's privacy filter",
     .gate = "softmax over the top-k of the logits (router bias included)",
     .classes = {CLASS("OpenAIPrivacyFilterForTokenClassification")},
     NAMES(.block = "mlp", .experts = "experts", .router = "router"),
     .refuse_native = NOT_OF_THE_ENGINE},
    {.models = "Doge",
     .classes = {CLASS("DogeForCausalLM")},
     .refuse = "its experts are the points of a grid of keys, of which none can be taken out alone"},
    {.models = "ERNIE-4.5-VL",
     .classes = {CLASS("Ernie4_5_VLMoeForConditionalGeneration"),
                 CLASS("Ernie4_5_VL_MoeForConditionalGeneration")},
     NAMES(MLP, .vectors = "moe_statics"),
     /* transformers 5.12.1, Ernie4_5_VLMoeMoeBlock: both sets have moe_num_experts; the published e_score_correction_bias is one
      * tensor of two rows. */
     .refuse =
         "its experts are two sets, for text and for images, which have to stay of one size: a plan names one set"},
    {.models = "FlexOlmo",
     .gate = SOFTMAX,
     .classes = {CLASS("FlexOlmoForCausalLM")},
     NAMES(MLP),
     .refuse_native = NOT_OF_THE_ENGINE},
    {.models = "JetMoE",
     .classes = {CLASS("JetMoeForCausalLM")},
     .refuse =
         "its attention has experts, too, which are chosen apart and counted by the same number: a plan names one "
         "set for each layer"},
    {.models = "LongCat-Flash",
     .gate = "softmax over the experts and those that do nothing, top-k, not renormalised, scaled",
     .classes = {CLASS("LongcatFlashForCausalLM")},
     NAMES(.block = "mlp", .experts = "experts", .router = "router", .idle = "zero_expert_num"),
     .refuse_native = NOT_OF_THE_ENGINE},
    {.models = "MiniMax-M3, its text as transformers saves it",
     .gate = BY_KEYS,
     .classes = {CLASS("MiniMaxM3VLForCausalLM")},
     NAMES(MLP),
     .refuse_native = "no checkpoint of this class is published, and llama.cpp's converter does not know it"},
    {.models = "NLLB-MoE",
     .gate = SOFTMAX_NORM,
     .used = 2,
     .classes = {CLASS("NllbMoeForConditionalGeneration"), CLASS("NllbMoeModel")},
     NAMES(.block = "ffn", .experts = "experts", .router = "router", .two_stacks = true),
     .refuse_native = NOT_OF_THE_ENGINE},
    {.models = "Switch Transformers",
     .gate = SOFTMAX,
     .used = 1,
     .classes = {CLASS("SwitchTransformersForConditionalGeneration"), CLASS("SwitchTransformersModel")},
     NAMES(.block = "layer.1.mlp layer.2.mlp", .experts = "experts", .router = "router", .two_stacks = true),
     .refuse_native = NOT_OF_THE_ENGINE},
    {.models = "ViTPose++",
     .classes = {CLASS("VitPoseForPoseEstimation"), CLASS("VitPoseBackbone")},
     .refuse = "it has no router: the caller says which expert it wants, one for each set of data"},
    {.arch = NULL},
};
