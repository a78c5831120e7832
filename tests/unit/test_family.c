/* The families' records: complete, without contradiction, and as the fixtures and the engine's names have them.
 * What a record says is held against models in test_families_*, test_convert and test_tokenizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "families.h"
#include "family/conversion.h"
#include "family/family.h"
#include "tokenizer/tok_part.h"

#include <dirent.h>
#include <string.h>

static char *text_of(const char *path)
{
    struct buf b = {0};
    struct err e = {0};
    golden_ok(file_read_all(path, 1 << 20, &b, &e), &e, path);
    buf_char(&b, 0);
    return b.s;
}

/* Calls f for each word of a list; what it is of: for messages. */
static void each_word(const char *words, const char *of, void (*f)(const char *word, const char *of))
{
    char *s = xstrdup(words ? words : "");
    for (char *p = s, *w; (w = strsep(&p, " "));) {
        if (!*w)
            fail_msg("%s: '%s' has an empty word", of, words);
        f(w, of);
    }
    free(s);
}

static const char *name_of(const struct family *f)
{
    return f->arch ? f->arch : f->classes[0].name;
}

static uint32_t n_families(void)
{
    uint32_t n = 0;
    while (family_at(n))
        n++;
    return n;
}

/* ---- one record ---- */

static void complete(const struct family *f)
{
    const char *name = name_of(f);
    bool folder = f->classes[0].name != NULL;
    if (!name || !*name)
        fail_msg("a record without arch and class");
    if (f->arch && (!f->models || !f->gate))
        fail_msg("%s: no name for people, or no gate", name);
    if (!f->arch && (!f->models || f->refuse_checkpoint || !f->refuse != (f->gate != NULL)))
        fail_msg("%s: unknown to the engine: it has a name for people, and a gate unless it is refused",
                 name);
    bool named = f->names.block && f->names.experts && f->names.router;
    if (named ? !folder : folder && !f->refuse)
        fail_msg("%s: classes and names of tensors belong together", name);
    if (f->refuse_checkpoint && (!folder || f->refuse))
        fail_msg("%s: refuse_checkpoint is for checkpoints alone", name);
    bool run = f->classes[0].name;
    for (int i = 0; i < FAMILY_CLASSES && f->classes[i].name; i++)
        run = run && f->classes[i].convert;
    if ((run || f->refuse || f->refuse_checkpoint) == (f->refuse_native != NULL))
        fail_msg("%s: it is converted or refused as a whole, or else refuse_native says why it is not", name);
    if ((f->only_experts != 0) != (f->why_only != NULL))
        fail_msg("%s: only_experts and why_only belong together", name);
    for (int i = 0; i < FAMILY_CLASSES; i++)
        if (f->classes[i].convert && (!f->classes[i].name || !f->arch))
            fail_msg("%s: a conversion without a class or an arch", name);
}

static void pre_is_known(const char *word, const char *of)
{
    if (!tok_pre_find(word))
        fail_msg("%s: the engine has no pre-tokenizer '%s'", of, word);
}

static void pattern_is_sound(const char *word, const char *of)
{
    const char *star = strchr(word, '*');
    if (star && (star == word || star[1]))
        fail_msg("%s: model_type '%s': a star stands at the end of a word", of, word);
}

static void records_are_complete(void **state)
{
    const struct family *f;
    (void)state;
    assert_true(n_families() > 50);
    for (uint32_t i = 0; (f = family_at(i)); i++) {
        complete(f);
        for (int k = 0; k < FAMILY_TOKENIZERS && f->tokenizers[k].model_types; k++) {
            const struct family_tokenizer *t = &f->tokenizers[k];
            each_word(t->model_types, name_of(f), pattern_is_sound);
            if (t->pre)
                each_word(t->pre, name_of(f), pre_is_known);
        }
    }
}

/* ---- all records ---- */

static char **seen;
static size_t n_seen, cap_seen;

static void see(const char *word, const char *of)
{
    for (size_t i = 0; i < n_seen; i++)
        if (!strcmp(seen[i], word))
            fail_msg("%s: '%s' stands in two records", of, word);
    GROW(seen, n_seen, cap_seen);
    seen[n_seen++] = xstrdup(word);
}

static void forget(void)
{
    while (n_seen)
        free(seen[--n_seen]);
    free(seen);
    seen = NULL;
    cap_seen = 0;
}

static void nothing_stands_twice(void **state)
{
    const struct family *f;
    (void)state;
    for (uint32_t i = 0; (f = family_at(i)); i++)
        if (f->arch)
            see(f->arch, f->arch);
    forget();
    for (uint32_t i = 0; (f = family_at(i)); i++)
        for (int k = 0; k < FAMILY_CLASSES && f->classes[k].name; k++)
            see(f->classes[k].name, name_of(f));
    forget();
    for (uint32_t i = 0; (f = family_at(i)); i++)
        for (int k = 0; k < FAMILY_TOKENIZERS && f->tokenizers[k].model_types; k++)
            each_word(f->tokenizers[k].model_types, name_of(f), see);
    forget();
}

static void every_record_is_found(void **state)
{
    const struct family *f, *g;
    (void)state;
    for (uint32_t i = 0; (f = family_at(i)); i++) {
        if (f->arch) {
            assert_ptr_equal(family_find(f->arch), f);
            assert_ptr_equal(family_nearest(f->arch), f);
        }
        for (int k = 0; k < FAMILY_CLASSES && f->classes[k].name; k++) {
            assert_ptr_equal(family_of_class(f->classes[k].name), f);
            assert_ptr_equal(family_conversion(f->classes[k].name, &g), f->classes[k].convert);
            assert_ptr_equal(g, f);
        }
    }
    assert_null(family_find("zebra"));
    assert_null(family_find(""));
    assert_null(family_of_class("ZebraForCausalLM"));
    assert_null(family_of_class(""));
    assert_null(family_conversion("ZebraForCausalLM", &g));
    assert_null(g);
    assert_string_equal(family_nearest("qwen4moe")->arch,
                        "qwen2moe"); /* the first of three by the alphabet */
    assert_string_equal(family_nearest("lalma4")->arch, "llama4");
    char longest[200]; /* longer than any name */
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_non_null(family_nearest(longest));
    assert_non_null(family_nearest(""));
    assert_string_equal(family_of_class("Ernie4_5_MoEForCausalLM")->arch,
                        "ernie4_5-moe"); /* an older spelling */
}

static void best_model_type_counts(void **state)
{
    static const struct {
        const char *model_type, *pre;
        enum family_prefix prefix;
    } cases[] = {
        {"llama", "smollm", PREFIX_FIRST},
        {"llama_x", "smollm", PREFIX_UNSAID},
        {"llama4", "llama4 smollm", PREFIX_UNSAID},
        {"mixtral", NULL, PREFIX_FIRST},
        {"granitemoehybrid", "refact", PREFIX_UNSAID},
        {"granitemoe", "refact", PREFIX_FIRST},
        {"ernie4_5_moe", NULL, PREFIX_LAST},
        {"glm4_moe", "glm4", PREFIX_UNSAID},
        {"ministral3", NULL, PREFIX_FIRST},
        {"qwen3_moe", NULL, PREFIX_UNSAID},
        {"", NULL, PREFIX_UNSAID},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct family_tokenizer *t = family_tokenizer(cases[i].model_type);
        assert_non_null(t);
        assert_string_equal(t->pre ? t->pre : "", cases[i].pre ? cases[i].pre : "");
        assert_int_equal(t->space_prefix, cases[i].prefix);
    }
    assert_non_null(family_tokenizer("glm_moe_dsa")->bos);
    assert_null(family_tokenizer("glm")->bos);
}

/* ---- refusals ---- */

static void oddities_refuse(void **state)
{
    const struct family *llama4 = family_find("llama4"), *grove = family_find("grovemoe"),
                        *v4 = family_find("deepseek4");
    (void)state;
    assert_non_null(strstr(family_refusal_gguf(llama4, 128), "Maverick"));
    assert_null(family_refusal_gguf(llama4, 16));
    assert_null(
        family_refusal_checkpoint(llama4)); /* its config.json has a key for what the engine guesses */
    assert_non_null(family_refusal_gguf(grove, 8));
    assert_ptr_equal(family_refusal_gguf(grove, 8), family_refusal_checkpoint(grove));
    assert_null(family_refusal_gguf(v4, 256)); /* its tables of expert ids are renumbered */
    assert_null(family_refusal_checkpoint(v4));
    struct family_role table = family_role(&v4->names, "ffn.gate.tid2eid");
    assert_int_equal(table.role, ROLE_TABLE);
    assert_int_equal(table.axis, -1);
}

/* ---- a conversion and what is cut ---- */

/* What the converter makes a tensor with an expert axis of, pruning the checkpoint cuts, and nothing else. */
static void check_rule(const struct family *f, const struct name_rule *r)
{
    char hf[128], gguf[96];
    int32_t layer;
    bool suspect;
    if (!*r->gguf)
        return;
    size_t n = strcspn(r->hf, "+*");
    const char *number = memchr(r->hf, '#', n);
    if (r->hf[n]) { /* all parts are alike */
        struct name_rule rest = *r;
        rest.hf += n + 1;
        check_rule(f, &rest);
    }
    if (number)
        snprintf(hf, sizeof hf, "%.*s3%.*s", (int)(number - r->hf), r->hf, (int)(r->hf + n - number - 1),
                 number + 1);
    else
        snprintf(hf, sizeof hf, "%.*s", (int)n, r->hf);
    snprintf(gguf, sizeof gguf, "blk.1.%s", r->gguf);
    const struct tensor_rule *out = family_rule(gguf, &layer, &suspect);
    struct family_role in = family_role(&f->names, hf);
    if (suspect || (out != NULL) != (in.role != ROLE_NONE) || (out && out->role == ROLE_REFUSE))
        fail_msg("%s: '%s' becomes '%s', but only one of them has an expert axis", f->arch, r->hf, r->gguf);
    if ((number != NULL) != (in.number != NULL))
        fail_msg("%s: '%s' is of one expert to one side, of all to the other", f->arch, r->hf);
    if ((r->how == HOW_IDS) != (in.role == ROLE_TABLE))
        fail_msg("%s: '%s' is a table of ids to one side alone", f->arch, r->hf);
    if (out && in.role != ROLE_TABLE && !number && !f->names.rows && !strchr(r->shape, 'E'))
        fail_msg("%s: '%s' has an expert axis, but the shape '%s' has none", f->arch, r->hf, r->shape);
}

static void conversions_agree_with_cuts(void **state)
{
    const struct family *f;
    (void)state;
    for (uint32_t i = 0; (f = family_at(i)); i++)
        for (int k = 0; k < FAMILY_CLASSES && f->classes[k].name; k++) {
            const struct conversion *c = f->classes[k].convert;
            for (const struct name_rule *const *list = c ? c->names : NULL; list && *list; list++)
                for (const struct name_rule *r = *list; r->hf; r++)
                    check_rule(f, r);
        }
}

/* ---- fixtures ---- */

static const struct conversion *conversion_of(const struct family_case *c)
{
    char *config = text_of(family_file(c, "hf/config.json"));
    const struct family *f;
    const struct conversion *found = NULL;
    for (uint32_t i = 0; (f = family_at(i)); i++)
        for (int k = 0; k < FAMILY_CLASSES && f->classes[k].name; k++) {
            char *quoted = xasprintf("\"%s\"", f->classes[k].name);
            if (strstr(config, quoted))
                found = f->classes[k].convert;
            free(quoted);
        }
    free(config);
    return found;
}

static bool has_numbers(const struct family_case *c)
{
    return !c->seeded || file_exists(family_file(c, "golden_logprobs.json"));
}

/* How a conversion is said to be checked is how its fixtures check it. */
static void check_said(const struct family_class *c, const struct family_case *list, uint32_t n, bool *found,
                       bool *numbers)
{
    for (uint32_t i = 0; i < n; i++)
        if (conversion_of(&list[i]) == c->convert) {
            *found = true;
            *numbers = *numbers || has_numbers(&list[i]);
        }
}

/* tests/data/families or tests/data/seeded has a model of each conversion. */
static void every_conversion_has_a_fixture(void **state)
{
    const struct family *f;
    uint32_t n_seeded;
    const struct family_case *seeded = family_seeded(&n_seeded);
    (void)state;
    for (uint32_t i = 0; i < n_family_cases; i++)
        if (!conversion_of(&family_cases[i]))
            fail_msg("tests/data/families/%s is of no conversion", family_cases[i].name);
    for (uint32_t i = 0; i < n_seeded; i++)
        if (!conversion_of(&seeded[i]) == file_exists(family_file(&seeded[i], "gguf.tsv")))
            fail_msg(
                "tests/data/seeded/%s: a class is converted and has what the converter writes, or neither",
                seeded[i].name);
    for (uint32_t i = 0; (f = family_at(i)); i++)
        for (int k = 0; k < FAMILY_CLASSES && f->classes[k].name; k++) {
            const struct family_class *c = &f->classes[k];
            bool has = false, numbers = false;
            if (!c->convert)
                continue;
            check_said(c, family_cases, n_family_cases, &has, &numbers);
            check_said(c, seeded, n_seeded, &has, &numbers);
            if (!has)
                fail_msg("%s: tests/data has no model of its conversion", c->name);
            if (numbers == !!(c->convert->flags & CONVERT_FILE_ONLY))
                fail_msg("%s: CONVERT_FILE_ONLY is for what transformers does not have, and its fixtures %s",
                         c->name, numbers ? "have its numbers" : "lack its numbers");
        }
}

/* Whether a folder below `where` has a config.json that names the class; at: where in the folder. */
static bool names_class(const char *where, const char *at, const char *class_name)
{
    char *quoted = xasprintf("\"%s\"", class_name);
    struct dirent *d;
    bool found = false;
    DIR *dir = opendir(where);
    assert_non_null(dir);
    while (!found && (d = readdir(dir))) {
        char *path = xasprintf("%s/%s/%sconfig.json", where, d->d_name, at);
        if (d->d_name[0] != '.' && file_exists(path)) {
            char *text = text_of(path);
            found = strstr(text, quoted) != NULL;
            free(text);
        }
        free(path);
    }
    closedir(dir);
    free(quoted);
    return found;
}

/* A family whose checkpoints are cut has one that is: in tests/data/structural, with the result to the byte, or in
 * tests/data/seeded, which `make interop` loads in transformers. */
static void every_cut_family_has_a_fixture(void **state)
{
    const struct family *f;
    (void)state;
    for (uint32_t i = 0; (f = family_at(i)); i++) {
        bool found = !f->classes[0].name || family_refusal_checkpoint(f);
        for (int k = 0; k < FAMILY_CLASSES && f->classes[k].name; k++)
            found = found || names_class(TEST_DATA_DIR "/structural", "", f->classes[k].name) ||
                    names_class(TEST_DATA_DIR "/seeded", "hf/", f->classes[k].name) ||
                    names_class(TEST_DATA_DIR "/families", "hf/", f->classes[k].name);
        if (!found)
            fail_msg("%s: tests/data has no checkpoint of it", name_of(f));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_complete),
        cmocka_unit_test(nothing_stands_twice),
        cmocka_unit_test(every_record_is_found),
        cmocka_unit_test(best_model_type_counts),
        cmocka_unit_test(oddities_refuse),
        cmocka_unit_test(conversions_agree_with_cuts),
        cmocka_unit_test(every_conversion_has_a_fixture),
        cmocka_unit_test(every_cut_family_has_a_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
