/* test_opt.c - command lines read by records: forms, ranges, words, lists, what is required and what excludes each other,
 * the nearest name, and help set for a width. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/near.h"
#include "base/opt.h"
#include "tempdir.h"

#include <string.h>

static bool flag, again, has_n, has_m;
static int64_t n, m;
static double span, share, real;
static uint64_t size;
static const char *out, *word, *config;
static uint32_t choice;
static struct opt_list paths;
static struct opt_picks picks;
static struct opt_ratios ratios;

static const char *const words[] = {"prune", "drop", "keep", NULL};
static bool find_word(const char *s, uint32_t *i)
{
    *i = 2;
    if (!strcmp(s, "hold")) /* another word for keep */
        return true;
    for (*i = 0; words[*i]; ++*i)
        if (!strcmp(s, words[*i]))
            return true;
    return false;
}
static const struct opt_choices plain = {.list = words}, aliases = {.list = words, .find = find_word};

static const struct opt rows[] = {
    OPT_HEADING("Options"),
    OPT_FLAG("flag", &flag, "a flag", .alias = "-f"),
    OPT_INT("number", &n, "N", 1, 10, "a number", .alias = "-n", .also = "count", .seen = &has_n,
            .group = 'g'),
    OPT_INT("multiple", &m, "M", 1, 10, "another", .dflt = "4", .seen = &has_m, .group = 'g'),
    OPT_REAL("real", &real, "R", 0, 1, "a real", .dflt_is = "none"),
    OPT_DURATION("time", &span, "TIME", 0.5, 7200, "a time", .dflt = "5m"),
    OPT_SHARE("share", &share, "X", 0, 1e6, "a share"),
    OPT_SIZE("size", &size, "SIZE", "a size"),
    OPT_PATH("output", &out, "FILE", "the file to write", .alias = "-o", .required = true,
             .unless = "ratios"),
    OPT_PATHS("path", &paths, "FILE", "many"),
    OPT_CHOICE("choice", &choice, "HOW", &aliases, "a choice", .dflt = "drop"),
    OPT_WORD("word", &word, "HOW", &plain, "a word", .alias = "-ngl"),
    OPT_PICKS("picks", &picks, "LIST", &plain, "several words", .dflt = "prune,keep"),
    OPT_RATIOS("ratios", &ratios, "LIST", 0, 0.999, "several ratios", .dflt = "0.25,0.5"),
    OPT_CONFIG("config", &config, "FILE", "options from it"),
    OPT_FLAG("again", &again, "of this call", .of_call = true),
    OPT_ENDS,
};
static const struct opt *const tables[] = {rows, NULL};
static struct opt_kept kept;
static const struct opt_spec spec = {"reap test", "FILE -o OUT\nOTHER", tables, 1, 2, &kept};

static struct err e;

static const char *file_of; /* options, behind the line; NULL: none */

/* Parses a line of words; the number of operands, -1 with the error in e. */
static int parse(const char *line)
{
    static char store[512];
    char *argv[32], *save = NULL;
    struct opt_list rest = {0};
    int argc = 0;
    flag = has_n = has_m = false;
    n = 0;
    out = word = NULL;
    paths.n = 0;
    again = false;
    config = NULL;
    opt_kept_clear(&kept);
    e = (struct err){0};
    snprintf(store, sizeof store, "%s", line);
    for (char *w = strtok_r(store, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    if (file_of) {
        argv[argc++] = "--config";
        argv[argc++] = (char *)(uintptr_t)file_of;
    }
    int got = opt_parse(argc, argv, &spec, &rest, &e) ? (int)rest.n : -1;
    opt_list_clear(&rest);
    return got;
}

static void fails(const char *line, const char *message)
{
    if (parse(line) != -1)
        fail_msg("'%s' is accepted", line);
    assert_string_equal(e.msg, message);
    assert_int_equal(e.code, ERR_INPUT);
}

static void test_forms(void **state)
{
    (void)state;
    assert_int_equal(parse("x -o f --flag -n 3"), 1);
    assert_true(flag && has_n && !has_m);
    assert_string_equal(out, "f");
    assert_int_equal(n, 3);
    assert_int_equal(parse("-of -n7 x y"), 2);
    assert_string_equal(out, "f");
    assert_int_equal(n, 7);
    assert_int_equal(parse("--output=f --count=9 x"), 1);
    assert_int_equal(n, 9);
    assert_int_equal(parse("--output= x"), 1);
    assert_string_equal(out, "");
    assert_int_equal(parse("-o f -ngl keep x -- --flag"), 2);
    assert_string_equal(word, "keep");
    assert_false(flag);
    assert_int_equal(parse("-o f - --path a --path b"), 1); /* "-" is an operand */
    assert_int_equal(paths.n, 2);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse("x -o f"), 1);
    assert_int_equal(m, 4);
    assert_false(has_m);
    assert_true(span == 300);
    assert_int_equal(choice, 1);
    assert_int_equal(picks.n, 2);
    assert_int_equal(picks.v[1], 2);
    assert_int_equal(ratios.n, 2);
    assert_true(ratios.v[1] == 0.5);
    assert_null(word);
    /* what is given takes the place of a default, it is not added to it */
    assert_int_equal(parse("x -o f --picks drop --ratios 0,0.125,0.75 --choice hold"), 1);
    assert_int_equal(picks.n, 1);
    assert_int_equal(picks.v[0], 1);
    assert_int_equal(ratios.n, 3);
    assert_int_equal(choice, 2);
    assert_int_equal(parse("x -o f --picks drop,keep,drop,keep"), 1); /* twice is once */
    assert_int_equal(picks.n, 2);
    assert_int_equal(picks.v[1], 2);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        double *to, want;
    } good[] = {
        {"x -o f --time 90", &span, 90},       {"x -o f --time 90s", &span, 90},
        {"x -o f --time 10m", &span, 600},     {"x -o f --time 2h", &span, 7200},
        {"x -o f --time 0.5m", &span, 30},     {"x -o f --share 7%", &share, 7. / 100},
        {"x -o f --share 0.02", &share, 0.02}, {"x -o f --share 0", &share, 0},
        {"x -o f --share 200%", &share, 2},    {"x -o f --share .5%", &share, .005},
        {"x -o f --real 1", &real, 1},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (parse(good[i].line) != 1)
            fail_msg("%s: %s", good[i].line, e.msg);
        assert_true(*good[i].to == good[i].want);
    }
    fails("x -o f -n 0", "--number: 0 is out of range, expected 1 to 10");
    fails("x -o f -n 1e1", "--number: '1e1' is not a whole number");
    fails("x -o f --real 1.5", "--real: 1.5 is out of range, expected 0 to 1");
    fails("x -o f --real nan", "--real: 'nan' is not a number");
    fails("x -o f --time soon", "--time 'soon': expected a time such as 600, 10m or 2h");
    fails("x -o f --time m", "--time 'm': expected a time such as 600, 10m or 2h");
    fails("x -o f --time 1d", "--time '1d': expected a time such as 600, 10m or 2h");
    fails("x -o f --time 3h", "--time: 3h is out of range, expected 0.5 to 7200");
    fails("x -o f --share -1%", "--share: -1% is out of range, expected 0 to 1000000");
    fails("x -o f --share %", "--share: '%' is not a number, expected a share such as 0.25 or 25%");
    fails("x -o f --size 12Q", "--size: '12Q' is not a size such as 9.5G, 800M or 12GiB");
    fails("x -o f --share 25", "--share: 25 is 2500%: did you mean 25% or 0.25?");
    fails("x -o f --share 1000", "--share: 1000 is 100000%; a share above 1 wants its percent sign");
    fails("x -o f --ratios 0.5,1",
          "--ratios: 1 is out of range, expected 0 to 0.999: did you mean 1% or 0.01?");
    fails("x -o f --ratios 0.5,25",
          "--ratios: 25 is out of range, expected 0 to 0.999: did you mean 25% or 0.25?");
    fails("x -o f --ratios 120%", "--ratios: 120% is out of range, expected 0 to 0.999");
    fails("x -o f --ratios ,", "--ratios: the list is empty");
    fails("x -o f --flag=yes", "--flag takes no value");
    fails("x -o", "--output needs a value (FILE)");
}

static void test_words(void **state)
{
    (void)state;
    fails("x -o f --choice dorp",
          "--choice 'dorp' is not known: did you mean drop? it is one of prune, drop, keep");
    fails("x -o f --word hold", "--word 'hold' is not known: it is one of prune, drop, keep");
    fails("x -o f --picks drop,PRUNE",
          "--picks 'PRUNE' is not known: did you mean prune? it is one of prune, drop, keep");
    fails("x -o f --outptu f",
          "unknown option '--outptu': did you mean --output? reap test --help lists them");
    fails("x --outptu=f", "unknown option '--outptu=f': did you mean --output? reap test --help lists them");
    fails("x --mult 3", "unknown option '--mult': did you mean --multiple? reap test --help lists them");
    fails("x --zzz", "unknown option '--zzz'; reap test --help lists them");
    fails("x -Z", "unknown option '-Z'; reap test --help lists them");
}

static void test_whole_line(void **state)
{
    (void)state;
    fails("", "missing operand; usage: reap test FILE -o OUT");
    fails("-o f", "missing operand; usage: reap test FILE -o OUT");
    fails("a b c", "unexpected operand 'c'; usage: reap test FILE -o OUT");
    fails("a", "--output is missing: the file to write; usage: reap test FILE -o OUT");
    assert_int_equal(parse("a --ratios 0.5"), 1);
    fails("a -o f -n 1 --multiple 2", "--number and --multiple exclude each other");
    assert_int_equal(parse("a -o f --multiple 2 --multiple 3"), 1);
    e = (struct err){0};
    assert_false(opt_need_group(&spec, 'g', &e));
    assert_string_equal(e.msg, "give one of --number and --multiple");
}

static const char *nearest(const char *typed)
{
    static const char *const names[] = {"run", "stats", "plan", "prune", "verify", "prune-ratio"};
    struct near x = {.typed = typed};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        near_try(&x, names[i]);
    return x.best ? x.best : "none";
}

static void test_near(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"stat", "stats"},  {"sttas", "stats"},
        {"plna", "plan"},   {"PLAN", "plan"},
        {"prun", "prune"},  {"prnue", "prune"},
        {"vrfy", "verify"}, {"prune-rtaio", "prune-ratio"},
        {"runn", "run"},    {"prune-r", "prune-ratio"},
        {"p", "none"},      {"", "none"},
        {"report", "none"}, {"ru", "run"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(nearest(cases[i][0]), cases[i][1]);
    char longest[100];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_string_equal(nearest(longest), "none");
}

/* The longest line of help for a width. */
static size_t longest_line(uint32_t width)
{
    struct buf b = {0};
    size_t most = 0;
    opt_usage(&b, &spec, width);
    opt_help(&b, &spec, width);
    for (const char *s = b.s; *s;) {
        size_t len = strcspn(s, "\n");
        most = len > most ? len : most;
        assert_true(!len || s[len - 1] != ' ');
        s += len + (s[len] == '\n');
    }
    buf_clear(&b);
    return most;
}

static void test_help(void **state)
{
    (void)state;
    struct buf b = {0};
    opt_help(&b, &spec, 60);
    const char *wrapped = strstr(b.s, "  --choice HOW                  a choice (one of prune,\n"
                                      "                                drop, keep; default drop)\n");
    assert_non_null(wrapped);
    buf_clear(&b);
    opt_help(&b, &spec, 80);
    assert_non_null(strstr(b.s, "\nOptions:\n  -f, --flag                    a flag\n"));
    assert_non_null(strstr(b.s, "  -n, --number, --count N       a number\n"));
    assert_non_null(strstr(b.s, "  --real R                      a real (default: none)\n"));
    assert_non_null(strstr(b.s, "the file to write (required unless --ratios)"));
    assert_non_null(strstr(b.s, "many (several times)\n"));
    buf_clear(&b);
    opt_usage(&b, &spec, 80);
    assert_string_equal(b.s, "usage: reap test FILE -o OUT\n       reap test OTHER\n");
    buf_clear(&b);
    for (uint32_t width = 60; width <= 120; width += 7)
        assert_true(longest_line(width) < width);
}

/* ---- files of options ---- */

static int with(const char *line, const char *file)
{
    put("o.json", file);
    file_of = at("o.json");
    int got = parse(line);
    file_of = NULL;
    return got;
}

static void bad_file(const char *file, const char *message)
{
    char want[700];
    if (with("", file) != -1)
        fail_msg("'%s' is accepted", file);
    snprintf(want, sizeof want, "%s: %s", at("o.json"), message);
    assert_string_equal(e.msg, want);
    assert_int_equal(e.code, ERR_INPUT);
}

static void test_config(void **state)
{
    (void)state;
    assert_int_equal(
        with("", "{\"file\":\"x\",\"output\":\"f\",\"flag\":true,\"number\":3,\"real\":0.1,\"time\":\"2m\","
                 "\"size\":1000,\"path\":[\"a\",\"b\"],\"choice\":\"hold\",\"picks\":[\"drop\",\"keep\"],"
                 "\"ratios\":[0.125,\"0.5\"]}"),
        1);
    assert_true(flag && has_n && !has_m && n == 3 && real == 0.1 && span == 120 && size == 1000);
    assert_string_equal(out, "f");
    assert_int_equal(paths.n, 2);
    assert_string_equal(paths.v[1], "b");
    assert_int_equal(choice, 2);
    assert_true(picks.n == 2 && picks.v[0] == 1 && picks.v[1] == 2);
    assert_true(ratios.n == 2 && ratios.v[0] == 0.125 && ratios.v[1] == 0.5);
    /* a text where one may be, other names, what is not said keeps its default */
    assert_int_equal(
        with("x", "{\"output\":\"f\",\"count\":\"7\",\"path\":\"a\",\"picks\":\"keep\",\"flag\":false}"), 1);
    assert_true(n == 7 && paths.n == 1 && picks.n == 1 && !flag && m == 4 && span == 300);
}

/* The line wins: over an option, a whole list, a group, an operand. */
static void test_config_line(void **state)
{
    (void)state;
    assert_int_equal(with("y -o g --path c -n 2",
                          "{\"file\":\"x\",\"output\":\"f\",\"path\":[\"a\",\"b\"],\"multiple\":9}"),
                     1);
    assert_string_equal(out, "g");
    assert_int_equal(paths.n, 1);
    assert_string_equal(paths.v[0], "c");
    assert_true(has_n && n == 2 && !has_m && m == 4);
    /* but within the file they exclude each other */
    bad_file("{\"file\":\"x\",\"output\":\"f\",\"number\":1,\"multiple\":2,\"count\":3}",
             "'number' and 'count' are the same option");
    assert_int_equal(with("x -o f", "{\"number\":1,\"multiple\":2}"), -1);
    assert_string_equal(e.msg, "--number and --multiple exclude each other");
}

static void test_config_bad(void **state)
{
    (void)state;
    bad_file("{\"file\":\"x\",\"outptu\":\"f\"}",
             "unknown key 'outptu': did you mean output? reap test --help lists the options");
    bad_file("{\"zzzzzz\":1}", "unknown key 'zzzzzz'; reap test --help lists the options");
    bad_file("{\"number\":11}", "--number: 11 is out of range, expected 1 to 10");
    bad_file("{\"number\":1.5}", "--number: '1.5' is not a whole number");
    bad_file("{\"number\":[1]}", "'number' is a list, expected a number, or a text as on the command line");
    bad_file("{\"number\":null}", "'number' is null, expected a number, or a text as on the command line");
    bad_file("{\"output\":5}", "'output' is an integer, expected a text");
    bad_file("{\"flag\":\"yes\"}", "'flag' is a string, expected true or false");
    bad_file("{\"path\":[\"a\",{}]}", "'path' is an object, expected a text or a list of them");
    bad_file("{\"picks\":[]}", "--picks: the list is empty");
    bad_file("{\"file\":[\"x\"]}", "'file' is a list, expected a text");
    bad_file("{\"config\":\"o.json\"}", "'config' is for the command line");
    bad_file("[]", "is a list, expected an object of options");
    bad_file("{\"schema\":\"reap.plan/1\"}",
             "is a file of schema 'reap.plan/1' without a job, not one of options");
    bad_file("{", "line 1, column 1: not valid JSON: string or '}' expected near end of file");
    bad_file("{\"output\":\"a\",\"output\":\"b\"}",
             "line 1, column 22: not valid JSON: duplicate object key near '\"output\"'");
    assert_int_equal(parse("x -o f --config /dev/null/none"), -1);
    char *big = calloc(1, (1 << 20) + 2);
    memset(big, ' ', (1 << 20) + 1);
    assert_int_equal(with("x -o f", big), -1);
    assert_non_null(strstr(e.msg, "o.json"));
    free(big);
}

/* What was given is a file of options that gives it again, without what is of the call alone. */
static void test_kept(void **state)
{
    (void)state;
    assert_int_equal(
        parse("x -o f --flag --again -n 3 --real 0.1 --time 2m --path a --path b --picks drop,keep"), 1);
    json_t *job = json_incref(kept.job);
    struct buf b = {0};
    json_print_line(&b, job);
    assert_string_equal(
        b.s,
        "{\"output\":\"f\",\"flag\":true,\"number\":3,\"real\":0.10000000000000001,\"time\":\"2m\",\"path\":[\"a\",\"b\"],"
        "\"picks\":\"drop,keep\",\"file\":\"x\"}\n");
    assert_int_equal(with("", b.s), 1);
    assert_true(json_equal(job, kept.job) && real == 0.1 && !again);
    /* as part of a record, under what the line says */
    json_t *record = json_pack("{s:s, s:o}", "schema", "reap.run/1", "job", job);
    buf_clear(&b);
    json_print_line(&b, record);
    assert_int_equal(with("--path c", b.s), 1);
    assert_true(paths.n == 1 && n == 3 && picks.n == 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(kept.job, "path"), 0)), "c");
    json_decref(record);
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_whole_line),
        cmocka_unit_test(test_near),
        cmocka_unit_test(test_help),
        cmocka_unit_test_setup_teardown(test_config, tempdir_setup, tempdir_teardown),
        cmocka_unit_test_setup_teardown(test_config_line, tempdir_setup, tempdir_teardown),
        cmocka_unit_test_setup_teardown(test_config_bad, tempdir_setup, tempdir_teardown),
        cmocka_unit_test_setup_teardown(test_kept, tempdir_setup, tempdir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
