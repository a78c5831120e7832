/* test_told.c - what config.json says and cannot be: of quantised weights, otherwise than their tensors; forms that are
 * known only by name; of hybrid families, otherwise than the engine computes. Refused with file, key, found and expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "convert/convert.h"
#include "convert/forms.h"
#include "engine/engine.h"
#include "families.h"
#include "tempdir.h"

#include <string.h>

/* config.json of "hf" with the first `from` as `to`. */
static void edit(const char *config, const char *from, const char *to)
{
    char *text = golden_edited(config, from, to);
    put("hf/config.json", text);
    free(text);
}

/* What a conversion of "hf" says; "": it goes. The last text is valid. */
static const char *answer(void)
{
    static struct err e;
    struct convert_opts o = {.type = "f32", .threads = 1};
    memset(&e, 0, sizeof e);
    struct hf_checkpoint *c = hf_open(at("hf"), &e);
    struct image *im = c ? convert_open(c, at("hf"), &o, &e) : NULL;
    if (!im)
        assert_int_equal(e.code, ERR_INPUT);
    image_free(im);
    hf_free(c);
    return e.msg;
}

static char *config_of(const char *folder)
{
    struct err e = {0};
    struct buf b = {0};
    const char *dir = family_folder(family_named(folder));
    golden_ok(file_read_all(at("hf/config.json"), 1u << 20, &b, &e), &e, dir);
    buf_char(&b, 0);
    return b.s;
}

struct edited {
    const char *folder, *from, *to, *answer; /* what it says; "": it goes */
};
static const struct edited told[] = {
    {"qwen3_moe_awq", "\"group_size\": 32", "\"group_size\": 64",
     "config.json: 'quantization_config.group_size' is 64, but tensor 'model.layers.0."},
    {"qwen3_moe_awq", "\"group_size\": 32", "\"group_size\": 48", "has 1 group for 32 columns"},
    {"qwen3_moe_awq", "\"group_size\": 32", "\"group_size\": -1",
     "'quantization_config.group_size' is -1, but"},
    {"qwen3_moe_awq", "\"group_size\": 32", "\"other\": {\"group_size\": 32}, \"group_size\": 64", ""},
    {"qwen3_moe_awq", "\"group_size\": 32,", "", ""},
    {"qwen3_moe_awq", "\"bits\": 4", "\"bits\": 8",
     "config.json: 'quantization_config.bits' is 8, but tensor 'model.layers.0."},
    {"qwen3_moe_awq", "\"bits\": 4", "\"bits\": \"four\"", ""},
    {"qwen3_moe_awq", "\"gemm\"", "\"gemv\"",
     "config.json: 'quantization_config.version' is \"gemv\", expected gemm: weights in another order cannot be "
     "converted; give the checkpoint that it was made from"},
    {"qwen3_moe_awq", "\"gemm\"", "\"GEMM\"", ""},
    {"qwen3_moe_awq", "\"version\": \"gemm\"", "\"format\": \"gemv_fast\"",
     "'quantization_config.format' is \"gemv_fast\""},
    {"qwen3_5_moe_gptq", "\"bits\": 4", "\"bits\": 8", "'quantization_config.bits' is 8, but tensor '"},
    {"qwen3_5_moe_gptq", "\"group_size\": 32", "\"group_size\": 128",
     "'quantization_config.group_size' is 128, but tensor '"},
    {"qwen3_5_moe_gptq", "\"checkpoint_format\": \"gptq\"", "\"checkpoint_format\": \"marlin\"",
     "'quantization_config.checkpoint_format' is \"marlin\", expected gptq or gptq_v2"},
    {"gemma4_w4a16", "\"group_size\": 4", "\"group_size\": 16",
     "'quantization_config.config_groups.group_0.weights.group_size' is 16, but tensor '"},
    {"gemma4_w4a16", "\"num_bits\": 4", "\"num_bits\": 8",
     "rows of 3 words with codes of 8 bits, as 'num_bits' of config.json says"},
    {"gemma4_w4a16", "\"input_activations\": null",
     "\"input_activations\": {\"num_bits\": 8, \"group_size\": 64}", ""},
    {"qwen3_moe_mlx", "\"bits\": 4", "\"bits\": 8", "has scales for groups of 16, expected 32"},
    {"mimo2_fp8", "\"weight_block_size\": [\n      128", "\"weight_block_size\": [\n      64",
     "self_attn.qkv_proj.weight_scale_inv' has 12 scales, expected those of 8 or 4 parts of 1088 rows"},
    {"mimo2_fp8", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 1",
     "self_attn.qkv_proj.weight' has shape [1088, 48], but the config makes it [928, 48]"},
};

/* Of families whose blocks are not all alike: what kinds there are, and what each is made of. */
static const struct edited hybrids[] = {
    {"qwen3_next", "\"linear_value_head_dim\": 16", "\"linear_value_head_dim\": 8",
     "config.json: 'linear_value_head_dim' is 8, expected 16 as 'linear_key_head_dim'"},
    {"qwen3_next", "\"linear_num_value_heads\": 4", "\"linear_num_value_heads\": 3",
     "3 value heads of 16 do not share 2 key heads"},
    {"qwen3_next", "\"linear_num_key_heads\": 2", "\"linear_num_key_heads\": 0", "do not share 0 key heads"},
    {"qwen3_next", "\"full_attention_interval\": 4", "\"full_attention_interval\": 0",
     "'full_attention_interval' is 0"},
    {"qwen3_next", "\"full_attention_interval\": 4", "\"full_attention_interval\": 2",
     "has no place in a qwen3next model"},
    {"qwen3_next", "\"norm_topk_prob\": true", "\"norm_topk_prob\": false",
     "'norm_topk_prob' is false, expected true"},
    {"qwen3_next", "\"decoder_sparse_step\": 1", "\"decoder_sparse_step\": 2",
     "'decoder_sparse_step' is 2, expected 1"},
    {"qwen3_next", "\"partial_rotary_factor\": 0.25", "\"partial_rotary_factor\": 1.5",
     "'partial_rotary_factor' is not between 0 and 1"},
    {"qwen3_5_moe", "\"linear_attention\"", "\"mamba\"",
     "layer 0 is of kind 'mamba', expected one of: linear_attention, full_attention"},
    {"qwen3_5_moe", "\"linear_attention\",", "", "'layer_types' names 3 layers, expected 4"},
    {"jamba", "\"attn_layer_period\": 4", "\"attn_layer_period\": 0",
     "config.json: 'attn_layer_period' is 0"},
    {"jamba", "\"expert_layer_period\": 2", "\"expert_layer_period\": 0",
     "config.json: 'expert_layer_period' is 0"},
    {"jamba", "\"mamba_expand\": 2", "\"mamba_expand\": 3", "'mamba_expand' is 3, expected 2"},
    {"jamba", "\"mamba_conv_bias\": true", "\"mamba_conv_bias\": false",
     "'mamba_conv_bias' is false, expected true"},
    {"granite_hybrid", "\"mamba_n_heads\": 6", "\"mamba_n_heads\": 5",
     "5 Mamba heads of 16; the engine expects them to make up twice the hidden size, 96"},
    {"granite_hybrid", "\"mamba_n_groups\": 1", "\"mamba_n_groups\": 5",
     "'mamba_n_groups' is 5, expected a divisor of 96"},
    {"granite_hybrid", "\"attention\"", "\"conv\"", "layer 1 is of kind 'conv'"},
    {"deepseek_v4", "[0, 4, 128", "[0, 8, 128", "'compress_ratios[1]' is not 0, 4 or 128"},
    {"deepseek_v4", "\"num_key_value_heads\": 1,", "", ""},
    {"dots3note", "\"apply_mla_qkv_lora_rescale\": true", "\"apply_mla_qkv_lora_rescale\": 1",
     "'apply_mla_qkv_lora_rescale' is 1, expected true|false"},
    {"hy_v4", "\"index_topk\"", "\"index_other\"", "'index_topk' is missing or 0, but there are indexers"},
    {"deepseek_v4", "\"hc_mult\": 4", "\"hc_mult\": 2", "'hc_mult' is 2, expected 4"},
    {"deepseek_v4", "\"o_groups\": 2", "\"o_groups\": 3", "4 heads do not lie in 3 groups"},
    {"deepseek_v4", "\"num_hash_layers\": 2", "\"num_hash_layers\": 5",
     "'num_hash_layers' is larger than the model"},
    {"deepseek_v4", "\"num_hash_layers\": 2", "\"num_hash_layers\": 1",
     "'layers.1.ffn.gate.tid2eid' has no place"},
    {"deepseek_v4", "\"swiglu_limit\": 10.0", "\"swiglu_limit\": \"10\"",
     "'swiglu_limit' is a string, expected a number"},
    {"deepseek_v4", "\"sqrtsoftplus\"", "\"sigmoid\"",
     "'scoring_func' is \"sigmoid\", expected sqrtsoftplus"},
    {"qwen4exp", "\"split_ngram_parts\": 2", "\"split_ngram_parts\": 3",
     "the checkpoint has no tensor 2 of the 3 for"},
    {"qwen4exp", "\"split_ngram_parts\": 2", "\"split_ngram_parts\": 1",
     "is of piece 1, but the config has 1 pieces"},
    {"qwen4exp", "\"ngram_size\": 2", "\"ngram_size\": 3", "but the config makes it [any, 12]"},
    {"qwen4exp", "\"heads_per_ngram\": 2", "\"heads_per_ngram\": 5", "make no heads of 'hidden_size', 48"},
    {"qwen4exp", "\"hc_count\": 4", "\"hc_count\": 1", "'hc_count' is below 2"},
    {"qwen4exp", "\"eos_token_id\": 597", "\"eos_token_id\": 6000", "'eos_token_id' is missing or no token"},
    {"qwen4exp", "\"ngram_size\": 2", "\"ngram_size\": [2]",
     "ngram_size' is a list, expected a whole number"},
    {"qwen4exp", "\"rope_theta\": 10000000", "\"rope_theta\": 0",
     "('rope_theta') is 0, expected a number above"},
    {"jamba", "\"mamba_dt_rank\": 4", "\"mamba_dt_rank\": \"all\"",
     "'mamba_dt_rank' is a string, expected a whole number"},
    {"jamba", "\"attn_layer_period\": ", "\"attn_layer_period\": -",
     "'attn_layer_period' is a number, expected a"},
    {"granite_hybrid", "\"mamba_d_head\": 16", "\"mamba_d_head\": false",
     "'mamba_d_head' is false, expected a whole number"},
    {"step35", "\"num_attention_groups\": ", "\"num_attention_groups\": 1.5, \"groups\": ",
     "num_attention_groups' is a number, expected"},
    {"dots3note", "\"swa_q_lora_rank\": 40", "\"swa_q_lora_rank\": 24",
     "'swa_q_lora_rank' are not those without 'swa_'"},
    {"dots3note", "\"sliding_attention\"", "\"local_attention\"", "layer 1 is of kind 'local_attention'"},
    {"dots3note", "\"scoring_func\": \"sigmoid\"", "\"scoring_func\": \"softmax\"",
     "'scoring_func' is \"softmax\", expected sigmoid"},
    {"dots3note", "\"swa_rope_theta\"", "\"other_theta\"", "'swa_rope_theta' is missing"},
    {"dots3note", "\"swa_num_attention_heads\": 2", "\"swa_num_attention_heads\": 4",
     "but the config makes it [4, 48]"},
    {"hy_v4", "\"index_head_dim\": 16", "\"index_head_dim\": 8",
     "'index_head_dim' is 8, expected more than 'qk_rope_head_dim', 8"},
    {"hy_v4", "\"indexer_types\"", "\"indexer_kinds\"", "'index_n_heads' without 'indexer_types'"},
    {"hy_v4", "\"full\",", "\"shared\",", "the first layer has no indexer of its own"},
    {"hy_v4", "\"n_group\": 1", "\"n_group\": 2", "'n_group' is 2, expected 1"},
    {"kimi_k3", "\"hidden_act\": \"situ\"", "\"hidden_act\": \"silu\"",
     "'hidden_act' is \"silu\", expected situ"},
    {"kimi_k3", "\"gate_lower_bound\": -5.0", "\"gate_lower_bound\": 5.0",
     "'linear_attn_config.gate_lower_bound' is 5, expected a number below 0"},
    {"kimi_k3", "\"routed_expert_hidden_size\": 32", "\"routed_expert_hidden_size\": 48",
     "but the config makes it [24, 48]"},
    {"kimi_k3", "\"mla_use_nope\": true", "\"mla_use_nope\": false",
     "'mla_use_nope' is false, expected true"},
    {"minimax_m3", "\"moe_layer_freq\": [0, 1, 1]", "\"moe_layer_freq\": [0, 1, 0]",
     "'moe_layer_freq' is no list of zeros, then ones, of 3 layers"},
    {"minimax_m3", "\"sparse_attention_freq\": [0, 1, 1]", "\"sparse_attention_freq\": [0, 0, 1]",
     "'sparse_attention_config.sparse_attention_freq' is another list"},
    {"minimax_m3", "\"sparse_num_index_heads\": 2", "\"sparse_num_index_heads\": 4",
     "4 heads of the indexer for 2 KV heads"},
    {"minimax_m3", "\"shared_intermediate_size\": 24", "\"shared_intermediate_size\": 48",
     "'shared_intermediate_size' is 48"},
    {"minimax_m3", "\"swiglu_limit\": 7.0", "\"swiglu_limit\": 10.0", "'swiglu_limit' is 10.0, expected 7"},
    {"minimax01", "\"rotary_dim\": 8", "\"rotary_dim\": 32", "'rotary_dim' is larger than a head"},
    {"minimax01", "\"layernorm_mlp_alpha\": 3.5", "\"layernorm_mlp_alpha\": 2.5",
     "the engine has one weight for both"},
    {"minimax01", "\"layernorm_linear_attention_beta\": 1.0", "\"layernorm_linear_attention_beta\": 0.5",
     "the engine has no weight here"},
    {"minimax01", "    0,", "    2,", "'attn_type_list[0]' is neither 0 nor 1"},
    {"minimax01", "\"postnorm\": true", "\"postnorm\": false", "'postnorm' is false, expected true"},
    {"granite_hybrid", "\"nope\"", "\"rope\"", "'position_embedding_type' is \"rope\", expected nope"},
    {"kimi_linear", "\"linear_attn_config\"", "\"linear\"", "'linear_attn_config' is missing or no object"},
    {"kimi_linear", "\"num_heads\": 4", "\"num_heads\": 2",
     "'linear_attn_config.num_heads' is 2, expected 4"},
    {"kimi_linear", "\"short_conv_kernel_size\": 4", "\"short_conv_kernel_size\": 0",
     "lacks head_dim or short_conv_kernel_size"},
    {"kimi_linear", "\"full_attn_layers\"", "\"full\"",
     "'linear_attn_config.full_attn_layers' is missing or no list"},
    {"kimi_linear", "\"mla_use_nope\": true", "\"mla_use_nope\": false",
     "'mla_use_nope' is false, expected true"},
    {"lfm2_moe", "\"conv_bias\": false", "\"conv_bias\": true", "'conv_bias' is true, expected false"},
    {"lfm2_moe", "\"full_attention\"", "\"attention\"", "layer 1 is of kind 'attention'"},
    {"laguna", "\"gating\": true", "\"gating\": \"other\"", "'gating' is neither per-head nor per-element"},
    {"laguna", "\"moe_apply_router_weight_on_input\": false", "\"moe_apply_router_weight_on_input\": true",
     "'moe_apply_router_weight_on_input' is true"},
    {"mellum", "\"sparse\"", "\"dense\"", "'mlp_layer_types' has dense layers"},
    {"gemma4", "\"sliding_attention\"", "\"local\"",
     "'layer_types' of layer 0 is not sliding_attention or full_attention"},
    {"gemma4", "\"enable_moe_block\": true", "\"enable_moe_block\": false",
     "'enable_moe_block' is false, expected true"},
};

static void each_answers(const struct edited *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *config = config_of(list[i].folder);
        edit(config, list[i].from, list[i].to);
        const char *got = answer();
        if (*list[i].answer ? !strstr(got, list[i].answer) : *got)
            fail_msg("%s with %s: '%s', expected '%s'", list[i].folder, list[i].to, got, list[i].answer);
        free(config);
    }
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    each_answers(told, sizeof told / sizeof *told);
}

static void hybrids_are_as_the_engine_has_them(void **state)
{
    (void)state;
    each_answers(hybrids, sizeof hybrids / sizeof *hybrids);
}

/* All of transformers 5.12.1 (utils/quantization_config.py, QuantizationMethod). */
static const char *const methods[] = {
    "bitsandbytes", "gptq",        "awq",        "aqlm",  "vptq",
    "quanto",       "eetq",        "higgs",      "hqq",   "compressed-tensors",
    "fbgemm_fp8",   "torchao",     "bitnet",     "spqr",  "fp8",
    "quark",        "fp_quant",    "auto-round", "mxfp4", "mxfp8",
    "metal",        "fouroversix", "sinq",       "gemma"};

static const struct forms_method *method_of(const char *name)
{
    const struct forms_method *m;
    for (uint32_t i = 0; (m = forms_method_at(i)); i++)
        if (!strcmp(m->name, name))
            return m;
    fail_msg("quant_method '%s' has no row", name);
    return NULL;
}

static void every_method_has_a_row(void **state)
{
    char *config = config_of("qwen3_moe_awq");
    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct forms_method *m = method_of(methods[i]);
        char *to = xasprintf("\"quant_method\": \"%s\"", methods[i]),
             *want = xasprintf(
                 "config.json: 'quantization_config.quant_method' is \"%s\": such weights cannot be "
                 "converted: %s; give the checkpoint that it was made from",
                 methods[i], m->why ? m->why : "");
        edit(config, "\"quant_method\": \"awq\"", to);
        const char *got = answer();
        if (m->why ? !strstr(got, want) : *got)
            fail_msg("%s: '%s'", methods[i], got);
        free(to);
        free(want);
    }
    assert_null(method_of("fp8")->why);
    assert_non_null(method_of("hqq")->why);
    free(config);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(contradictions_are_refused, golden_setup, golden_teardown),
        cmocka_unit_test_setup_teardown(hybrids_are_as_the_engine_has_them, golden_setup, golden_teardown),
        cmocka_unit_test_setup_teardown(every_method_has_a_row, golden_setup, golden_teardown),
    };
    (void)argc;
    engine_begin(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
