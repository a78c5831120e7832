/* test_engine_opts.c - no option of the engine is forgotten: when llama-server runs the model, and when it is
 * asked whether a result was computed with the same ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cmd/cmd.h"
#include "engine/opts.h"

#include <string.h>

/* What llama-server has no word for. */
static const char *const ours[] = {"type", "pretokenizer", "device-norms", "rpc-silence"};

/* What says where it is computed, and not what. */
static const char *const where[] = {"threads",      "n-gpu-layers", "device",     "split-mode",
                                    "tensor-split", "cpu-moe",      "n-cpu-moe",  "rpc",
                                    "load-mode",    "device-norms", "rpc-silence"};
#define IS_IN(name, list) is_in(name, list, sizeof list / sizeof *list)

static bool is_in(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(name, list[i]))
            return true;
    return false;
}

static char *joined(const struct server_args *a)
{
    struct buf b = {0};
    buf_str(&b, "");
    for (uint32_t i = 0; i < a->n; i++)
        buf_fmt(&b, "%s%s", i ? " " : "", a->v[i]);
    return b.s;
}

static void expect_args(const struct engine_opts *o, const char *want)
{
    struct server_args a = {0};
    server_args_make(&a, o);
    char *got = joined(&a);
    assert_string_equal(got, want);
    free(got);
    server_args_clear(&a);
    assert_int_equal(a.n, 0);
}

/* A value that is not the default. */
static const char *give(const struct opt *x)
{
    switch (x->kind) {
    case OPT_KIND_FLAG: *(bool *)x->to = true; return NULL;
    case OPT_KIND_INT: *(int64_t *)x->to = 7; return "7";
    default: *(const char **)x->to = "word"; return "word";
    }
}

static void expect_key(const char *name, const struct engine_opts *usual, bool other)
{
    struct buf a = {0}, b = {0};
    engine_opts_key(usual, &a);
    engine_opts_key(&cmd_engine, &b);
    if (!strcmp(a.s, b.s) == other)
        fail_msg("--%s: results %s on it", name, other ? "depend" : "do not depend");
    buf_clear(&a);
    buf_clear(&b);
}

/* Each option of the table, alone: the server gets it under its long name there, the first of those that mean
 * the same, with the same value; and it is part of the key, or one of those that do not matter. */
static void test_table(void **state)
{
    (void)state;
    uint32_t n = 0;
    struct engine_opts usual;
    engine_opts_default(&usual);
    for (const struct opt *x = engine_opt_table; x->kind != OPT_KIND_END; x++) {
        const char *at = x->to, *first = (const char *)&cmd_engine;
        if (x->kind == OPT_KIND_HEADING || at < first || at >= first + sizeof cmd_engine)
            continue;
        engine_opts_default(&cmd_engine);
        const char *value = give(x);
        struct server_args a = {0};
        server_args_make(&a, &cmd_engine);
        if (!a.n != IS_IN(x->name, ours))
            fail_msg("--%s: llama-server gets %u arguments", x->name, a.n);
        if (a.n && value)
            assert_string_equal(a.v[a.n - 1], value);
        server_args_clear(&a);
        expect_key(x->name, &usual, !IS_IN(x->name, where));
        n++;
    }
    engine_opts_default(&cmd_engine);
    assert_true(n > 15);
}

static void test_words(void **state)
{
    (void)state;
    struct engine_opts o;
    engine_opts_default(&o);
    expect_args(&o, "");
    o.threads = 3;
    o.ubatch = 64;
    o.n_gpu_layers = 0;
    o.device = "none";
    o.split_mode = "layer";
    o.tensor_split = "3,1";
    o.cpu_moe = true;
    o.n_cpu_moe = 2;
    expect_args(&o, "--threads 3 --ubatch-size 64 --n-gpu-layers 0 --device none --split-mode layer "
                    "--tensor-split 3,1 --cpu-moe --n-cpu-moe 2");
    engine_opts_default(&o);
    o.flash_attn = "off";
    o.cache_type_k = "q8_0";
    o.cache_type_v = "bf16";
    o.rpc = "a:1,b:2";
    o.load_mode = "mlock";
    o.chat_template = "llama3"; /* a name, which the server is not to read as a template */
    expect_args(&o, "--flash-attn off --cache-type-k q8_0 --cache-type-v bf16 --rpc a:1,b:2 "
                    "--load-mode mlock --no-jinja --chat-template llama3");
    engine_opts_default(&o);
    o.type = "q8_0";
    o.pretokenizer = "gpt-2";
    o.device_norms = true;
    o.flash_attn = "auto"; /* as it is anyway */
    expect_args(&o, "");
    o.chat_template = "none";
    struct server_args a = {0};
    server_args_make(&a, &o);
    assert_int_equal(a.n, 3);
    assert_string_equal(a.v[0], "--jinja");
    assert_non_null(strstr(a.v[2], "m['content']"));
    server_args_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
