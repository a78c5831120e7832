/* test_hf_config.c - src/hf/config: what config.json says about experts, and what pruning changes in it.
 *
 * The files in tests/data/structural were written by another program: FORM/config.json is what a checkpoint
 * has, FORM/pruned/ what must come out of pruning by FORM/pruned/plan.json. The rest are texts made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "hf/config.h"

#include <dirent.h>
#include <string.h>

static void parse(struct jdoc *d, const char *text)
{
    struct err e = {0};
    *d = (struct jdoc){0};
    if (!jdoc_parse(d, text, strlen(text), 0, NULL, true, &e))
        fail_msg("%s: %s", text, e.msg);
}

static void read_text(const char *text, struct hf_counts *c)
{
    struct jdoc d;
    struct err e = {0};
    parse(&d, text);
    if (!hf_counts(&d, c, &e))
        fail_msg("%s: %s", text, e.msg);
    jdoc_clear(&d);
}

static void expect_refused(const char *text, const char *message)
{
    struct jdoc d;
    struct err e = {0};
    struct hf_counts c;
    parse(&d, text);
    if (hf_counts(&d, &c, &e))
        fail_msg("accepted: %s", text);
    assert_int_equal(e.code, ERR_INPUT);
    assert_string_equal(e.msg, message);
    assert_null(c.n_experts_path);
    jdoc_clear(&d);
}

/* ---- reading ---- */

static void test_counts(void **state)
{
    (void)state;
    struct hf_counts c;
    read_text(
        "{\"architectures\": [\"DeepseekV3ForCausalLM\"], \"model_type\": \"deepseek_v3\", \"n_group\": 8,"
        " \"topk_group\": 4, \"n_routed_experts\": 256, \"num_experts_per_tok\": 8, \"num_hidden_layers\": 61,"
        " \"num_nextn_predict_layers\": 1, \"topk_method\": \"noaux_tc\", \"n_groups\": 3}",
        &c);
    assert_int_equal(c.n_experts, 256);
    assert_string_equal(c.n_experts_path, "n_routed_experts");
    assert_int_equal(c.n_used, 8);
    assert_string_equal(c.n_used_path, "num_experts_per_tok");
    assert_int_equal(c.n_groups, 8);
    assert_int_equal(c.n_groups_used, 4);
    assert_false(c.groups_ignored);
    assert_int_equal(c.n_layers, 61);
    assert_int_equal(c.n_mtp, 1);
    assert_string_equal(c.n_mtp_path, "num_nextn_predict_layers");
    assert_string_equal(c.model_type, "deepseek_v3");
    assert_string_equal(c.architecture, "DeepseekV3ForCausalLM");
    assert_null(c.quant_method);
    hf_counts_clear(&c);
}

/* Every alias of the count and of the top-k is known. */
static void test_aliases(void **state)
{
    (void)state;
    static const char *const counts[] = {"num_experts",     "num_local_experts", "n_routed_experts",
                                         "moe_num_experts", "n_experts",         "moe_num_primary_experts"};
    static const char *const used[] = {
        "num_experts_per_tok", "experts_per_token", "num_experts_per_token",         "moe_k", "moe_topk",
        "moe_top_k",           "top_k_experts",     "moe_num_active_primary_experts"};
    struct hf_counts c;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char *text = xasprintf("{\"a\": {\"%s\": 9}}", counts[i]);
        read_text(text, &c);
        assert_int_equal(c.n_experts, 9);
        hf_counts_clear(&c);
        free(text);
    }
    for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
        char *text = xasprintf("{\"%s\": 9}", used[i]);
        read_text(text, &c);
        assert_int_equal(c.n_used, 9);
        hf_counts_clear(&c);
        free(text);
    }
}

static void test_nested(void **state)
{
    (void)state;
    struct hf_counts c;
    /* a stale number of layers at the root, and parts that are not the language model */
    read_text(
        "{\"num_hidden_layers\": 99, \"model_type\": \"omni\", \"num_experts\": null,"
        " \"vision_config\": {\"num_experts\": 3, \"num_hidden_layers\": 5},"
        " \"talker_config\": {\"text_config\": {\"num_experts\": 7, \"num_experts_per_tok\": 6}},"
        " \"thinker_config\": {\"text_config\": {\"num_experts\": 128, \"num_experts_per_tok\": 8,"
        "   \"model_type\": \"omni_text\", \"num_hidden_layers\": 48}, \"audio_config\": {\"n_experts\": 2}},"
        " \"quantization_config\": {\"quant_method\": \"fp8\", \"num_experts\": 4}}",
        &c);
    assert_int_equal(c.n_experts, 128);
    assert_string_equal(c.n_experts_path, "thinker_config.text_config.num_experts");
    assert_int_equal(c.n_used, 8);
    assert_int_equal(c.n_layers, 48);
    assert_int_equal(c.n_groups, 1);
    assert_int_equal(c.n_groups_used, 1);
    assert_string_equal(c.model_type, "omni");
    assert_string_equal(c.text_model_type, "omni_text");
    assert_string_equal(c.quant_method, "fp8");
    assert_false(c.bnb_4bit);
    hf_counts_clear(&c);
    /* nor do modules that have a name of their own say what the model is */
    read_text("{\"model.layers.3.mlp.experts.1\": {\"num_experts\": 9, \"num_layers\": 5}, \"num_layers\": 2,"
              " \"mtp.head\": {\"num_local_experts\": 7}, \"num_experts\": 8}",
              &c);
    assert_int_equal(c.n_experts, 8);
    assert_int_equal(c.n_layers, 2);
    hf_counts_clear(&c);
    /* the count may stand at the root alone */
    read_text("{\"num_experts\": 8, \"num_layers\": 3, \"text_config\": {\"num_hidden_layers\": 4}}", &c);
    assert_int_equal(c.n_layers, 4);
    hf_counts_clear(&c);
}

static void test_lists_and_silence(void **state)
{
    (void)state;
    struct hf_counts c;
    read_text(
        "{\"num_experts\": [1, 64, 0, 64], \"moe_topk\": [1, 8, 4], \"n_group\": 0, \"topk_group\": null}",
        &c);
    assert_int_equal(c.n_experts, 64);
    assert_int_equal(c.n_used, 8);
    assert_string_equal(c.n_used_path, "moe_topk");
    assert_int_equal(c.n_groups, 1);
    hf_counts_clear(&c);
    read_text("{}", &c);
    assert_int_equal(c.n_experts, 0);
    assert_null(c.n_experts_path);
    assert_int_equal(c.n_groups, 1);
    assert_null(c.architecture);
    hf_counts_clear(&c);
    read_text(
        "{\"num_expert_group\": 4, \"topk_group\": 2, \"topk_method\": \"greedy\", \"architectures\": [],"
        " \"num_experts_per_tok\": 4}",
        &c);
    assert_int_equal(c.n_groups, 4);
    assert_int_equal(c.n_groups_used, 2);
    assert_true(c.groups_ignored);
    hf_counts_clear(&c);
    read_text("{\"quantization_config\": {\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true}}", &c);
    assert_true(c.bnb_4bit);
    hf_counts_clear(&c);
    read_text("{\"quantization_config\": {\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": false}}", &c);
    assert_false(c.bnb_4bit);
    hf_counts_clear(&c);
}

static void test_counts_refused(void **state)
{
    (void)state;
    expect_refused("[]", "the outermost value is a list, expected an object");
    expect_refused("{\"num_experts\": \"8\"}", "num_experts is a string, expected a whole number");
    expect_refused("{\"text_config\": {\"num_experts\": -8}}",
                   "text_config.num_experts is -8, expected a whole number of at most 1000000");
    expect_refused("{\"num_experts\": 8.0}",
                   "num_experts is 8.0, expected a whole number of at most 1000000");
    expect_refused("{\"num_experts\": 99999999999999999999}",
                   "num_experts is 99999999999999999999, expected a whole number of at most 1000000");
    expect_refused("{\"num_experts\": [8, true]}", "num_experts[1] is true, expected a whole number");
    expect_refused("{\"num_experts\": {}}", "num_experts is an object, expected a whole number");
    expect_refused("{\"num_experts\": 8, \"text_config\": {\"num_local_experts\": 6}}",
                   "num_experts is 8, text_config.num_local_experts is 6: expected one number of experts");
    expect_refused("{\"num_experts\": [8, 6]}",
                   "num_experts is 8, num_experts[1] is 6: expected one number of experts");
    expect_refused("{\"num_experts\": 8, \"num_experts_per_tok\": 9}",
                   "num_experts_per_tok is 9, expected at most the 8 experts of num_experts");
    expect_refused("{\"moe_topk\": \"2\"}", "moe_topk is a string, expected a whole number");
    expect_refused("{\"n_group\": 1.5}", "n_group is 1.5, expected a whole number of at most 1000000");
    expect_refused("{\"num_hidden_layers\": []}", "num_hidden_layers is a list, expected a whole number");
}

/* ---- editing: texts ---- */

/* Layer 0 keeps 1 3 5, layer 2 keeps 0 2 5, MTP layers keep 3 4 5, layer 1 has no experts. */
static const uint32_t *keep_few(void *ctx, int64_t layer)
{
    static const uint32_t keep[3][3] = {{1, 3, 5}, {0, 2, 5}, {3, 4, 5}};
    (void)ctx;
    return layer == 0 ? keep[0] : layer == 2 ? keep[1] : layer >= 3 ? keep[2] : NULL;
}

static const struct hf_edit_plan few = {.n_experts = 6, .n_keep = 3, .n_layers = 3, .keep = keep_few};

static void expect_edit(const struct hf_edit_plan *plan, const char *text, const char *result)
{
    struct jdoc d;
    struct buf out = {0};
    struct err e = {0};
    parse(&d, text);
    if (!hf_edit_config(&d, plan, true, &out, &e))
        fail_msg("%s: %s", text, e.msg);
    assert_string_equal(out.s, result);
    buf_clear(&out);
    jdoc_clear(&d);
}

static void test_edit_counts(void **state)
{
    (void)state;
    expect_edit(
        &few,
        "{\"num_experts\" :6 , \"x\": 1e-06, \"text_config\": {\"num_local_experts\": 6, \"n_experts\": null},"
        " \"moe_num_experts\": [6, 1, 6, 0], \"moe_capacity\": [6, 12.0, \"6\", 6], \"num_shared_experts\": 6,"
        " \"vision_config\": {\"num_experts\": 6}, \"num_experts_per_tok\": 2, \"mtp_num_hidden_layers\": 2}\n",
        "{\"num_experts\" :3 , \"x\": 1e-06, \"text_config\": {\"num_local_experts\": 3, \"n_experts\": null},"
        " \"moe_num_experts\": [3, 1, 3, 0], \"moe_capacity\": [3, 12.0, \"6\", 3], \"num_shared_experts\": 6,"
        " \"vision_config\": {\"num_experts\": 6}, \"num_experts_per_tok\": 2, \"mtp_num_hidden_layers\": 2}\n");
    /* what is said of one module is none of the model's: it may go with an expert, as here */
    expect_edit(&few,
                "{\"num_experts\": 6, \"mlp.experts.5\": {\"num_experts\": 6, \"num_layers\": 3},"
                " \"mlp.experts.1\": {\"num_experts\": 6}}",
                "{\"num_experts\": 3, \"mlp.experts.1\": {\"num_experts\": 6}}");
    struct jdoc d;
    struct buf out = {0};
    struct err e = {0};
    parse(&d, "{\"num_experts\": 6}");
    assert_true(hf_edit_config(&d, &few, false, &out, &e));
    assert_string_equal(out.s, "{\"num_experts\": 6}");
    buf_clear(&out);
    jdoc_clear(&d);
}

static void test_edit_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *result; /* NULL: cut */
    } rows[] = {
        {"model.layers.0.mlp.experts.3.up_proj", "model.layers.0.mlp.experts.1.up_proj"},
        {"model.layers.0.mlp.experts.0.up_proj", NULL},
        {"model.layers.0.mlp.experts.1", "model.layers.0.mlp.experts.0"},
        {"model.layers.2.mlp.experts.0.w", "model.layers.2.mlp.experts.0.w"},
        {"model.layers.2.mlp.experts.5.layers.0.experts.5",
         "model.layers.2.mlp.experts.2.layers.0.experts.5"},
        {"model.layers.1.mlp.experts.3.up_proj", "model.layers.1.mlp.experts.3.up_proj"}, /* no plan */
        {"layers.0.experts.5.w1", "layers.0.experts.2.w1"},
        {"a/b@c.blocks.2.ffn.experts.2.w1", "a/b@c.blocks.2.ffn.experts.1.w1"},
        {"transformer.h.0.mlp.experts.5.w1", "transformer.h.0.mlp.experts.2.w1"},
        {"model.layers.0.mlp.experts.13.up_proj", NULL}, /* no such expert: it is not among those that stay */
        {"model.layers.0.mlp.experts.up_proj", "model.layers.0.mlp.experts.up_proj"},
        {"model.layers.0.mlp.experts", "model.layers.0.mlp.experts"},
        {"model.layers.0.mlp.shared_experts.0.up_proj", "model.layers.0.mlp.shared_experts.0.up_proj"},
        {"model.layers.0.mlp.shared_expert", "model.layers.0.mlp.shared_expert"},
        {"mlp.experts.2.up_proj", "mlp.experts.2.up_proj"}, /* all layers */
        {"mlp.experts.3.up_proj", NULL},
        {"mtp.layers.0.mlp.experts.4.up_proj", "mtp.layers.0.mlp.experts.1.up_proj"},
        {"mtp.layers.0.mlp.experts.1.up_proj", NULL},
        {"model.mtp.0.mlp.experts.3.w", "model.mtp.0.mlp.experts.0.w"},
        {"model.layers.3.mlp.experts.5.w", "model.layers.3.mlp.experts.2.w"}, /* behind the trunk */
        {"model.visual.layers.0.experts.0.w", "model.visual.layers.0.experts.0.w"},
        {"talker.model.layers.0.mlp.experts.0.w", "talker.model.layers.0.mlp.experts.0.w"},
        {"re:.*mlp\\\\.experts\\\\..*", "re:.*mlp\\\\.experts\\\\..*"}, /* patterns for all experts */
        {"re:.*experts\\\\.\\\\d+\\\\.w", "re:.*experts\\\\.\\\\d+\\\\.w"},
        {"-:.*experts[.][0-9]+[.]w", "-:.*experts[.][0-9]+[.]w"},
        {"re:.*experts.[^.]+.w", "re:.*experts.[^.]+.w"},
        {"re:.*shared_experts.0.w", "re:.*shared_experts.0.w"},
        {"model.layers.*.mlp.experts.*.w", "model.layers.*.mlp.experts.*.w"},
        {"re:.*layers\\\\.0\\\\.mlp.*", "re:.*layers\\\\.0\\\\.mlp.*"},
        {"a text (of experts 3)", "a text (of experts 3)"},
        {"", ""},
    };
    struct buf text = {0}, want = {0};
    for (int as_key = 0; as_key < 2; as_key++) {
        const char *value = as_key ? ": {\"a\": 1}" : "";
        buf_str(&text, as_key ? "{\n  \"first\": 0" : "[\n  \"first\"");
        buf_str(&want, text.s);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            buf_fmt(&text, ",\n  \"%s\"%s", rows[i].name, value);
            if (rows[i].result)
                buf_fmt(&want, ",\n  \"%s\"%s", rows[i].result, value);
        }
        buf_str(&text, as_key ? "\n}" : "\n]");
        buf_str(&want, as_key ? "\n}" : "\n]");
        expect_edit(&few, text.s, want.s);
        buf_clear(&text);
        buf_clear(&want);
    }
    /* a string that is neither element nor key */
    expect_edit(&few, "{\"a\": \"model.layers.0.mlp.experts.3.up_proj\"}",
                "{\"a\": \"model.layers.0.mlp.experts.3.up_proj\"}");
}

static void test_edit_drop_mtp(void **state)
{
    (void)state;
    struct hf_edit_plan drop = few;
    drop.drop_mtp = true;
    expect_edit(
        &drop,
        "{\"num_nextn_predict_layers\": 1, \"mtp_num_hidden_layers\": null, \"mtp_use\": true, \"ignore\":"
        " [\"mtp.fc\", \"mtp*\", \"model.layers.3.eh_proj\", \"model.layers.2.mlp.gate\", \"model.mtp_block.0.x\","
        " \"mtp.layers.0.mlp.experts.4.up_proj\", \"lm_head\"]}",
        "{\"num_nextn_predict_layers\": 0, \"mtp_num_hidden_layers\": null, \"mtp_use\": true, \"ignore\":"
        " [\"mtp*\", \"model.layers.2.mlp.gate\", \"lm_head\"]}");
}

static void test_edit_patterns_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "re:model.layers.0.mlp.experts.3.up_proj",
        "re:.*experts\\\\.7\\\\..*",
        "+:.*experts.(1|2).*",
        "-:.*experts\\\\.(?:10|11)\\\\.",
        "re:.*experts\\\\.(?!3)",
        ".*\\\\.experts\\\\.[0-3]\\\\.w",
        ".*\\\\.experts\\\\.\\\\d\\\\.w",
        "re:.*experts[._]12",
        "re:.*experts[\\\\.]12",
        "re:.*(experts)\\\\.5",
        "re:.*experts\\\\.[^5]",
        "re:.*experts\\\\.[",
        "re:.*shared_experts\\\\.0|.*mlp\\\\.experts\\\\.0",
        "model.layers.*.mlp.experts.3.up_proj",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (int as_key = 0; as_key < 2; as_key++) {
            char *text = xasprintf(as_key ? "{\"q\": {\"%s\": {}}}" : "{\"q\": [[\"%s\"]]}", bad[i]);
            struct jdoc d;
            struct buf out = {0};
            struct err e = {0};
            parse(&d, text);
            if (hf_edit_config(&d, &few, true, &out, &e))
                fail_msg("accepted: %s", text);
            assert_int_equal(e.code, ERR_INPUT);
            assert_non_null(strstr(e.msg, "is a pattern that spells an expert number"));
            if (!as_key)
                assert_int_equal(strncmp(e.msg, "q[0][0]: '", 10), 0);
            assert_int_equal(out.n, 0);
            buf_clear(&out);
            jdoc_clear(&d);
            free(text);
        }
    }
}

/* ---- whole configs ---- */

struct form {
    uint32_t n_experts, n_keep, keep[16][64];
    int64_t layer[16];
    uint32_t n;
};

static const uint32_t *keep_form(void *ctx, int64_t layer)
{
    struct form *f = ctx;
    for (uint32_t i = 0; i < f->n; i++)
        if (f->layer[i] == layer || (layer == -1 && i + 1 == f->n))
            return f->keep[i];
    return NULL;
}

static void load_plan(struct form *f, const char *path)
{
    struct err e = {0};
    const char *layer;
    json_t *list, *plan = json_read(path, &e);
    if (!plan)
        fail_msg("%s", e.msg);
    *f = (struct form){.n_keep = (uint32_t)json_integer_value(json_object_get(plan, "n_keep"))};
    json_object_foreach (json_object_get(plan, "keep"), layer, list) {
        assert_true(f->n < 16 && json_array_size(list) <= 64);
        f->layer[f->n] = atoi(layer);
        for (size_t i = 0; i < json_array_size(list); i++)
            f->keep[f->n][i] = (uint32_t)json_integer_value(json_array_get(list, i));
        f->n++;
    }
    json_decref(plan);
}

static bool load(const char *dir, const char *name, struct buf *text)
{
    struct err e = {0};
    char *path = path_join(dir, name);
    bool there = file_exists(path);
    if (there && !file_read_all(path, 1 << 24, text, &e))
        fail_msg("%s", e.msg);
    free(path);
    return there;
}

/* Prunes dir/name and compares every byte. */
static void check_file(const char *dir, const char *name, struct form *f)
{
    struct buf text = {0}, want = {0}, out = {0};
    struct jdoc d = {0};
    struct err e = {0};
    char *pruned = path_join(dir, "pruned");
    bool config = strcmp(name, "config.json") == 0;
    if (load(dir, name, &text)) {
        assert_true(load(pruned, name, &want));
        assert_true(jdoc_parse(&d, text.s, text.n, 0, NULL, true, &e));
        struct hf_counts c = {0};
        if (config) {
            if (!hf_counts(&d, &c, &e))
                fail_msg("%s: %s", dir, e.msg);
            f->n_experts = c.n_experts;
        }
        struct hf_edit_plan plan = {
            .n_experts = f->n_experts, .n_keep = f->n_keep, .keep = keep_form, .ctx = f};
        if (!hf_edit_config(&d, &plan, config, &out, &e))
            fail_msg("%s/%s: %s", dir, name, e.msg);
        if (out.n != want.n || memcmp(out.s, want.s, out.n) != 0)
            fail_msg("%s/%s: the result differs:\n%s", dir, name, out.s);
        if (config) {
            hf_counts_clear(&c);
            assert_true(jdoc_parse(&d, out.s, out.n, 0, NULL, true, &e));
            assert_true(hf_counts(&d, &c, &e));
            assert_int_equal(c.n_experts, f->n_keep);
            hf_counts_clear(&c);
        }
        buf_clear(&want);
        buf_clear(&out);
    }
    free(pruned);
    buf_clear(&text);
    jdoc_clear(&d);
}

static void test_forms(void **state)
{
    (void)state;
    struct dirent **list;
    int found = 0, n = scandir(TEST_DATA_DIR "/structural", &list, NULL, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        struct form f;
        char *dir = path_join(TEST_DATA_DIR "/structural", list[i]->d_name);
        char *plan = path_join(dir, "pruned/plan.json"), *want = path_join(dir, "pruned/config.json");
        if (list[i]->d_name[0] != '.' && file_exists(plan) && file_exists(want)) {
            load_plan(&f, plan);
            check_file(dir, "config.json", &f);
            check_file(dir, "hf_quant_config.json", &f);
            check_file(dir, "quantize_config.json", &f);
            found++;
        }
        free(want);
        free(plan);
        free(dir);
        free(list[i]);
    }
    free(list);
    assert_true(found >= 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_lists_and_silence),
        cmocka_unit_test(test_counts_refused),
        cmocka_unit_test(test_edit_counts),
        cmocka_unit_test(test_edit_names),
        cmocka_unit_test(test_edit_drop_mtp),
        cmocka_unit_test(test_edit_patterns_refused),
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
