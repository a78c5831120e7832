/* test_names.c - src/hf/names: a word that one reader of checkpoints knows all know. Each is put into a real
 * checkpoint, and the view and the conversion must see the same model as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tempdir.h"

#include "base/file.h"
#include "base/mem.h"
#include "convert/convert.h"
#include "hf/conf.h"
#include "hf/names.h"
#include "model/view.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER(name) TEST_DATA_DIR "/families/" name "/hf"

/* ---- what both sides see ---- */

struct seen {
    struct shape shape;
    uint32_t n_layers, n_blocks, n_mtp;
    struct buf header; /* of the conversion: keys and tensors */
    struct buf data;   /* all that follows it */
};

static void look(struct seen *s, bool data, const char *what)
{
    struct err e = {0};
    struct view *v = view_open(at("m"), &e);
    if (!v)
        fail_msg("%s: cannot be pruned: %s", what, e.msg);
    *s = (struct seen){v->shape, v->n_layers, v->n_blocks, v->n_mtp, {0}, {0}};
    view_free(v);
    struct hf_checkpoint *c = hf_open(at("m"), &e);
    struct image *im = c ? convert_open(c, at("m"), &(struct convert_opts){0}, &e) : NULL;
    if (!im)
        fail_msg("%s: cannot be converted: %s", what, e.msg);
    buf_add(&s->header, im->header.s, im->header.n);
    if (data) {
        uint64_t n = im->size - im->header.n;
        char *p = malloc(n);
        assert_true(p && image_read(im, im->header.n, n, p, &e));
        buf_add(&s->data, p, n);
        free(p);
    }
    image_free(im);
    hf_free(c);
}

static void forget(struct seen *s)
{
    buf_clear(&s->header);
    buf_clear(&s->data);
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
    return a->n == b->n && (!a->n || !memcmp(a->s, b->s, a->n));
}

static void check_same(const struct seen *was, bool data, const char *what)
{
    struct seen now;
    look(&now, data, what);
    if (memcmp(&was->shape, &now.shape, sizeof now.shape) != 0 || was->n_layers != now.n_layers ||
        was->n_blocks != now.n_blocks || was->n_mtp != now.n_mtp)
        fail_msg("%s: the view is another one", what);
    if (!same_bytes(&was->header, &now.header) || !same_bytes(&was->data, &now.data))
        fail_msg("%s: the conversion is another one", what);
    forget(&now);
}

/* ---- keys of config.json ---- */

static bool has_key(const struct buf *config, const char *name)
{
    char key[CONF_WORD + 4];
    snprintf(key, sizeof key, "\"%s\":", name);
    return strstr(config->s, key) != NULL;
}

/* config.json with another key instead of `name`. */
static void put_renamed(const struct buf *config, const char *name, const char *alias)
{
    struct jdoc d = {0};
    struct jedits x = {0};
    struct err e = {0};
    struct buf out = {0};
    assert_true(jdoc_parse(&d, config->s, config->n, 0, NULL, true, &e));
    for (uint32_t i = 0; i < d.n_nodes; i++)
        if (d.nodes[i].key_end && jdoc_key_is(&d, i, name))
            jedit_key(&x, &d, i, alias);
    jedits_apply(&x, &d, &out);
    put_bytes("m/config.json", out.s, out.n);
    buf_clear(&out);
    jdoc_clear(&d);
}

/* Every name of the list that the config does not have, instead of each that it has. How many were tried. */
static int try_names(const struct buf *config, const struct seen *was, const char *keys)
{
    char name[CONF_WORD], alias[CONF_WORD], what[2 * CONF_WORD + 16];
    int n = 0;
    for (const char *list = keys; conf_next(&list, name);)
        for (const char *all = keys; has_key(config, name) && conf_next(&all, alias);) {
            if (has_key(config, alias))
                continue;
            put_renamed(config, name, alias);
            snprintf(what, sizeof what, "'%s' for '%s'", alias, name);
            check_same(was, false, what);
            n++;
        }
    put_bytes("m/config.json", config->s, config->n);
    return n;
}

static void test_keys(void **state)
{
    (void)state;
    static const char *const folders[] = {
        FOLDER("qwen3_moe"), FOLDER("qwen2_moe"),   FOLDER("mixtral"),    FOLDER("gpt_oss"),
        FOLDER("llama4"),    FOLDER("deepseek_v3"), FOLDER("nemotron_h"), FOLDER("ernie4_5_moe"),
        FOLDER("glm4_moe"),  FOLDER("deepseek_v2"), FOLDER("olmoe")};
    static const char *const keys[] = {HF_KEYS_EXPERTS,     HF_KEYS_USED,   HF_KEYS_GROUPS,
                                       HF_KEYS_GROUPS_USED, HF_KEYS_LAYERS, HF_KEYS_MTP};
    int tried[sizeof keys / sizeof *keys] = {0};
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++) {
        struct seen was;
        struct buf config = {0};
        struct err e = {0};
        void *none = NULL;
        assert_int_equal(tempdir_teardown(&none) | tempdir_setup(&none), 0); /* nothing of the one before */
        put_files("m", folders[f]);
        assert_true(file_read_all(at("m/config.json"), 1u << 20, &config, &e));
        look(&was, false, folders[f]);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            tried[k] += try_names(&config, &was, keys[k]);
        forget(&was);
        buf_clear(&config);
    }
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        assert_true(tried[k] > 0 || !strchr(keys[k], '|'));
}

/* The text model's keys in an object of their own, by each of its names; what stands at the root is stale. */
static void test_text_object(void **state)
{
    (void)state;
    static const char *const names[] = {"text_config", "llm_config", "language_config"};
    struct seen was;
    struct buf config = {0};
    struct err e = {0};
    put_files("m", FOLDER("qwen3_moe"));
    assert_true(file_read_all(at("m/config.json"), 1u << 20, &config, &e));
    look(&was, false, "at the root");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct buf b = {0};
        buf_fmt(
            &b,
            "{\"architectures\": [\"Qwen3MoeForCausalLM\"], \"num_hidden_layers\": 99, \"vocab_size\": 7, \"%s\": ",
            names[i]);
        buf_add(&b, config.s, config.n);
        buf_str(&b, "}");
        put_bytes("m/config.json", b.s, b.n);
        check_same(&was, false, names[i]);
        buf_clear(&b);
    }
    forget(&was);
    buf_clear(&config);
}

/* ---- names of tensors ---- */

/* The weights of `folder` as one file, each name made anew by prefix and list, and `more` with it. */
static void put_weights(const char *folder, const char *prefix, const char *list, const char *more)
{
    struct err e = {0};
    struct hf_checkpoint *c = hf_open(folder, &e);
    assert_non_null(c);
    uint64_t n = c->n_tensors + (more ? 1 : 0);
    struct hf_tensor *t = xcalloc(n, sizeof *t);
    struct buf b = {0};
    for (uint64_t i = 0; i < n; i++) {
        t[i] = c->tensors[i < c->n_tensors ? i : 0];
        const char *rest = hf_strip_prefix(t[i].name);
        size_t layers = strncmp(rest, "layers.", 7) == 0 ? 6 : 0;
        t[i].name = i == c->n_tensors ? more
                    : !prefix         ? t[i].name
                                      : xasprintf("%s%s%s", prefix, layers ? list : "", rest + layers);
    }
    struct st_header header;
    st_header_begin(&header, &b, NULL);
    for (uint64_t i = 0; i < n; i++)
        st_header_add(&header, &t[i]);
    st_header_end(&header);
    for (uint64_t i = 0; i < n; i++) {
        char *p = malloc(t[i].bytes);
        assert_true(p && file_pread(c->files[t[i].file].fd, p, t[i].bytes, t[i].off, &e));
        buf_add(&b, p, t[i].bytes);
        free(p);
        if (prefix && i < c->n_tensors)
            free((void *)(uintptr_t)t[i].name);
    }
    put_bytes("m/model.safetensors", b.s, b.n);
    buf_clear(&b);
    free(t);
    hf_free(c);
}

static void test_tensors(void **state)
{
    (void)state;
    static const char *const lists[] = {"layers", "blocks", "h"};
    static const char folder[] = FOLDER("qwen3_moe");
    struct seen was;
    char what[256];
    put_files("m", folder);
    look(&was, true, folder);
    assert_int_equal(unlink(at("m/model.safetensors.index.json")), 0);
    for (uint32_t i = 0; i == 0 || hf_prefix_at(i - 1); i++)
        for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
            const char *prefix = hf_prefix_at(i) ? hf_prefix_at(i) : "";
            snprintf(what, sizeof what, "'%s%s.'", prefix, lists[k]);
            put_weights(folder, prefix, lists[k], NULL);
            check_same(&was, true, what);
        }
    forget(&was);
}

/* What is no part of the language model is in nobody's way, whatever it holds. */
static void test_others(void **state)
{
    (void)state;
    static const char folder[] = FOLDER("qwen3_moe");
    static const char *const mtp[] = {"mtp.fc.weight", "model.mtp.norm.weight", "mtp_block.norm.weight",
                                      "backbone.mtp_emb_norm.weight", "language_model.model.mtp.fc.weight"};
    struct seen was;
    char name[256];
    put_files("m", folder);
    look(&was, true, folder);
    assert_int_equal(unlink(at("m/model.safetensors.index.json")), 0);
    for (uint32_t i = 0; hf_foreign_at(i); i++)
        for (uint32_t k = 0; k == 0 || hf_prefix_at(k - 1); k++) {
            snprintf(name, sizeof name, "%s%s_tower.experts.0.weight", hf_prefix_at(k) ? hf_prefix_at(k) : "",
                     hf_foreign_at(i));
            put_weights(folder, NULL, "", name);
            check_same(&was, true, name);
        }
    for (size_t i = 0; i < sizeof mtp / sizeof *mtp; i++) {
        put_weights(folder, NULL, "", mtp[i]);
        check_same(&was, true, mtp[i]);
    }
    forget(&was);
}

static void test_place(void **state)
{
    (void)state;
    static const struct {
        const char *name, *rest; /* NULL: in no layer */
        uint32_t layer;
        bool mtp, other;
    } rows[] = {
        {"model.layers.12.mlp.gate.weight", "mlp.gate.weight", 12, false, false},
        {"layers.0.x", "x", 0, false, false},
        {"transformer.h.3.ffn", "ffn", 3, false, false},
        {"transformer.blocks.3.ffn", "ffn", 3, false, false},
        {"model.layers.01.x", NULL, 0, false, false},
        {"model.layers.1", NULL, 0, false, false},
        {"model.layers", NULL, 0, false, false},
        {"model.layersx.1.x", NULL, 0, false, false},
        {"model.norm.weight", NULL, 0, false, false},
        {"mtp.layers.1.x", "x", 1, true, false},
        {"mtp.2.x", "x", 2, true, false},
        {"model.mtp_block.0.x", "x", 0, true, false},
        {"model.mtp_layers.1.x", "x", 1, true, false},
        {"mtp_0.x", "x", 0, true, false},
        {"mtp_layers.x", NULL, 0, true, false},
        {"model.mtp_emb_norm.0.x", NULL, 0, true, false},
        {"mtp", NULL, 0, false, false},
        {"mtpx.layers.0.x", NULL, 0, false, false},
        {"model.visual.blocks.0.x", NULL, 0, false, true},
        {"thinker.audio_tower.layers.0.x", NULL, 0, false, true},
        {"", NULL, 0, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hf_place x = hf_place(rows[i].name);
        bool rest = rows[i].rest ? x.rest && !strcmp(x.rest, rows[i].rest) : !x.rest;
        if (!rest || x.layer != rows[i].layer || x.mtp != rows[i].mtp || x.other != rows[i].other)
            fail_msg("'%s' stands at '%s', layer %u, mtp %d, other %d", rows[i].name,
                     x.rest ? x.rest : "(none)", x.layer, x.mtp, x.other);
    }
}

static void places_in_two_stacks(void **state)
{
    static const struct {
        const char *name, *rest;
        uint32_t layer;
    } rows[] = {
        {"model.encoder.layers.3.ffn.experts.expert_0.fc1.weight", "ffn.experts.expert_0.fc1.weight", 3},
        {"model.decoder.layers.3.ffn.router.classifier.weight", "ffn.router.classifier.weight", 9},
        {"encoder.block.1.layer.1.mlp.router.classifier.weight", "layer.1.mlp.router.classifier.weight", 1},
        {"decoder.block.0.layer.2.mlp.wi.weight", "layer.2.mlp.wi.weight", 6},
        {"decoder.final_layer_norm.weight", NULL, 0},
        {"model.decoder.embed_tokens.weight", NULL, 0},
        {"lm_head.weight", NULL, 0},
        {"model.layers.3.mlp.gate.weight", NULL, 0}, /* of neither */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hf_place x = hf_place_in_stacks(rows[i].name, 6);
        bool rest = rows[i].rest ? x.rest && !strcmp(x.rest, rows[i].rest) : !x.rest;
        if (!rest || x.layer != rows[i].layer || x.mtp || x.other)
            fail_msg("'%s' stands at '%s', layer %u", rows[i].name, x.rest ? x.rest : "(none)", x.layer);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_place),
                                       cmocka_unit_test(places_in_two_stacks),
                                       T(test_keys),
                                       T(test_text_object),
                                       T(test_tensors),
                                       T(test_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
