/* test_corpus.c - files, folders, limits and order of src/corpus.
 *
 * Expected orders are written down as numbers: they must be the same on every machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "corpus/corpus.h"
#include "tempdir.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Rows {"text":"0"} ... {"text":"n-1"}, each with a prefix. */
static void put_rows(const char *name, const char *prefix, unsigned n)
{
    struct buf b = {0};
    for (unsigned i = 0; i < n; i++)
        buf_fmt(&b, "{\"text\":\"%s%u\"}\n", prefix, i);
    put_bytes(name, b.s, b.n);
    buf_clear(&b);
}

#define SPECS(...) \
    (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static bool load(struct corpus *c, struct err *e, const char *const *specs, uint32_t n, struct corpus_opts o)
{
    o.specs = specs;
    o.n_specs = n;
    err_clear(e);
    bool ok = corpus_load(&o, c, e);
    assert_int_equal(ok, e->code == ERR_NONE);
    if (!ok) {
        assert_null(c->samples);
        assert_null(c->sources);
    }
    return ok;
}

/* The texts of all samples, with commas. Caller frees. */
static char *texts(const struct corpus *c)
{
    struct buf b = {0};
    for (uint64_t i = 0; i < c->n_samples; i++)
        buf_fmt(&b, "%s%s", i ? "," : "", c->samples[i].text);
    return b.s;
}

static void expect_texts(const char *const *specs, uint32_t n, struct corpus_opts o, const char *expected)
{
    struct corpus c;
    struct err e = {0};
    if (!load(&c, &e, specs, n, o))
        fail_msg("%s", e.msg);
    char *got = texts(&c);
    assert_string_equal(got, expected);
    free(got);
    corpus_free(&c);
}

static void expect_error(const char *const *specs, uint32_t n, struct corpus_opts o, const char *part)
{
    struct corpus c;
    struct err e = {0};
    assert_false(load(&c, &e, specs, n, o));
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, part))
        fail_msg("'%s' expected in: %s", part, e.msg);
}

static const char *last_warning(void)
{
    char **list;
    size_t n = log_warnings(&list);
    return n ? list[n - 1] : "";
}

/* ---- files ---- */

static void test_lines(void **state)
{
    (void)state;
    put("a.jsonl",
        "\xef\xbb\xbf{\"text\":\"a\"}\r\n\r\n  \t\n{\"text\":\"b\",\"id\":\"x\"}\n{\"tokens\":[3]}");
    struct corpus c;
    struct err e = {0};
    assert_true(load(&c, &e, SPECS(at("a.jsonl")), (struct corpus_opts){0}));
    assert_int_equal(c.n_samples, 3);
    assert_int_equal(c.samples[0].line, 1);
    assert_int_equal(c.samples[1].line, 4);
    assert_string_equal(c.samples[1].id, "x");
    assert_int_equal(c.samples[2].line, 5);
    assert_int_equal(c.samples[2].kind, SAMPLE_TOKENS);
    assert_int_equal(c.n_sources, 1);
    assert_string_equal(c.sources[0].path, at("a.jsonl"));
    assert_int_equal(c.sources[0].n_rows, 3);
    assert_int_equal(c.sources[0].n_used, 3);
    assert_int_equal(c.sources[0].n_bad, 0);
    assert_int_equal(c.n_categories, 1);
    assert_string_equal(c.categories[0], "a");
    char hex[65];
    assert_true(sha256_file(at("a.jsonl"), hex, &e)); /* of the bytes as they are, byte order mark included */
    assert_string_equal(c.sources[0].sha256, hex);
    corpus_free(&c);
}

static void test_line_errors(void **state)
{
    (void)state;
    put("a.jsonl", "{\"text\":\"a\"}\n\n{\"text\":\"\"}\n{\"txt\":\"c\"}\n{\"text\":\"d\"}\n");
    expect_error(SPECS(at("a.jsonl")), (struct corpus_opts){0}, "a.jsonl:3: row: 'text' is empty");
    put("b.ndjson", "[\"a\"]\n");
    expect_error(SPECS(at("b.ndjson")), (struct corpus_opts){0},
                 "b.ndjson:1: row 1 of the list: row is a string");
    put("c.jsonl", "\n \r\n");
    expect_error(SPECS(at("c.jsonl")), (struct corpus_opts){0}, "c.jsonl: no rows");
    expect_error(SPECS(at("none.jsonl")), (struct corpus_opts){0}, "none.jsonl");
    expect_error(SPECS(""), (struct corpus_opts){0}, "empty name");
    expect_error(NULL, 0, (struct corpus_opts){0}, "no source");

    struct corpus c;
    struct err e = {0};
    assert_true(load(&c, &e, SPECS(at("a.jsonl")), (struct corpus_opts){.skip_bad = true}));
    assert_int_equal(c.n_samples, 2);
    assert_int_equal(c.sources[0].n_rows, 2);
    assert_int_equal(c.sources[0].n_bad, 2);
    assert_non_null(strstr(last_warning(), "2 malformed rows left out"));
    assert_non_null(strstr(last_warning(), "a.jsonl:3: row: 'text' is empty"));
    corpus_free(&c);
    put("d.jsonl", "{}\n");
    expect_error(SPECS(at("d.jsonl")), (struct corpus_opts){.skip_bad = true}, "no samples in");
}

static void test_json_list(void **state)
{
    (void)state;
    put("a.json", "\n [ {\"text\":\"a\"},\n {\"text\":\n\"b\"} ]\n");
    put("b.json", "{\"text\":\"c\"}\n{\"text\":\"d\"}\n");
    put("c.json", "[{\"text\":\"a\"},{\"x\":1},3]");
    put("d.json", "[{\"text\":\"a\"},\n{]");
    put("e.json", "[]");
    expect_texts(SPECS(at("a.json"), at("b.json")), (struct corpus_opts){0}, "a,b,c,d");
    expect_error(SPECS(at("c.json")), (struct corpus_opts){0},
                 "c.json:1: row 2 of the list: row has 'x', which is no form");
    expect_texts(SPECS(at("c.json")), (struct corpus_opts){.skip_bad = true}, "a");
    expect_error(SPECS(at("d.json")), (struct corpus_opts){.skip_bad = true}, "d.json: line 2, column 2");
    expect_error(SPECS(at("e.json")), (struct corpus_opts){0}, "e.json: no rows");
}

/* Rows are found by what is in a file, not by its name; packed or not. */
static void test_json_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"[{\"text\":\"a\"},\n{\"text\":\"b\"}]", "a,b"},
        {"{\n \"text\": \"a\"\n}\n{\n \"text\":\n \"b\"\n}", "a,b"},
        {"{\"data\":[{\"text\":\"a\"}, {\"text\":\"b\"}],\"version\":\"1\"}", "a,b"},
        {"{\"features\":[{\"name\":\"text\"}],\"rows\":[{\"row_idx\":0,\"row\":{\"text\":\"a\"}}]}", "a"},
        {"{\"text\":\"a\",\"data\":[{\"text\":\"b\"}]}", "a"}, /* a row with data of its own */
        {"[{\"text\":\"a\"}]\n[{\"text\":\"b\"}]\n", "a,b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("s.json", cases[i].text);
        put("s.jsonl", cases[i].text);
        expect_texts(SPECS(at("s.json")), (struct corpus_opts){0}, cases[i].expected);
        expect_texts(SPECS(at("s.jsonl")), (struct corpus_opts){0}, cases[i].expected);
    }
    put("c.jsonl", "[{\"role\":\"user\",\"content\":\"a\"}]\n[{\"role\":\"user\",\"content\":\"b\"}]\n");
    struct corpus c;
    struct err e = {0};
    assert_true(load(&c, &e, SPECS(at("c.jsonl")), (struct corpus_opts){0}));
    assert_int_equal(c.n_samples, 2);
    assert_int_equal(c.samples[1].line, 2);
    corpus_free(&c);
}

/* gzip -n of {"text":"a"} and a line break */
static const unsigned char packed[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab,
                                       0x56, 0x2a, 0x49, 0xad, 0x28, 0x51, 0xb2, 0x52, 0x4a, 0x54, 0xaa,
                                       0xe5, 0x02, 0x00, 0x77, 0x4c, 0xc2, 0x38, 0x0d, 0x00, 0x00, 0x00};

static void test_packed(void **state)
{
    (void)state;
    put_bytes("p.jsonl.gz", packed, sizeof packed);
    put_bytes("p.json", packed, sizeof packed); /* known by its bytes */
    struct corpus c;
    struct err e = {0};
    assert_true(load(&c, &e, SPECS(at("p.jsonl.gz"), at("p.json")), (struct corpus_opts){0}));
    assert_int_equal(c.n_samples, 2);
    assert_string_equal(c.samples[0].text, "a");
    assert_string_equal(c.categories[0], "p");
    char hex[65];
    assert_true(sha256_file(at("p.jsonl.gz"), hex, &e)); /* of the file as it lies there */
    assert_string_equal(c.sources[0].sha256, hex);
    corpus_free(&c);
    put_bytes("cut.jsonl.gz", packed, sizeof packed - 9);
    expect_error(SPECS(at("cut.jsonl.gz")), (struct corpus_opts){0},
                 "cut.jsonl.gz: the gzip file is cut off at byte");
}

static void test_foreign(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bytes;
        size_t n;
        const char *says, *how;
    } cases[] = {
        {"a.parquet", "PAR1\x15\x04\0\0", 8, "a Parquet file, which is not read",
         "read_parquet(sys.argv[1]).to_json"},
        {"a.jsonl", "PAR1\x15\x04\0\0", 8, "a Parquet file", "a.jsonl"},
        {"b.arrow", "ARROW1\0\0", 8, "an Arrow file", "read_feather"},
        {"c.arrow", "\xff\xff\xff\xff\x10\0\0\0", 8, "an Arrow stream",
         "Dataset.from_file(sys.argv[1]).to_json"},
        {"d.csv", "text,label\na,1\n", 15, "comma-separated", "read_csv(sys.argv[1]).to_json"},
        {"d.TSV", "text\tlabel\na\t1\n", 15, "tab-separated", "sep=\"\\t\""},
        {"e.xlsx", "PK\x03\x04\0\0", 6, "an Excel file", "read_excel"},
        {"e.zip", "PK\x03\x04\0\0", 6, "a zip archive", "unzip "},
        {"f.npy", "\x93NUMPY\x01\0", 8, "a NumPy array", "\"tokens\": r.tolist()"},
        {"g.pkl", "\x80\x04\x95", 3, "a Python pickle", "read_pickle"},
        {"h.jsonl.zst", "\x28\xb5\x2f\xfd\0", 5, "packed with zstd", "unzstd "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *in_folder = xasprintf("f%zu/%s", i, cases[i].name), *folder = xasprintf("f%zu", i);
        put_bytes(in_folder, cases[i].bytes, cases[i].n);
        expect_error(SPECS(at(in_folder)), (struct corpus_opts){.skip_bad = true}, cases[i].says);
        expect_error(SPECS(at(in_folder)), (struct corpus_opts){0}, cases[i].how);
        expect_error(SPECS(at(folder)), (struct corpus_opts){0}, cases[i].says); /* an error there, too */
        free(in_folder);
        free(folder);
    }
    put_bytes("w.jsonl", "\xff\xfe{\0", 4);
    expect_error(SPECS(at("w.jsonl")), (struct corpus_opts){0}, "a text in UTF-16");
    expect_error(SPECS(at("w.jsonl")), (struct corpus_opts){0}, "w.utf8.jsonl'");
    put("it's.csv", "a,b\n");
    expect_error(SPECS(at("it's.csv")), (struct corpus_opts){0}, "it'\\''s.csv'");
    expect_error(SPECS(at("it's.csv")), (struct corpus_opts){0}, "it'\\''s.jsonl'");
}

/* A data set as it is cloned: rows, and what is about them. */
static void test_folder_of_a_data_set(void **state)
{
    (void)state;
    put("d/README.md", "# About");
    put("d/LICENSE", "MIT");
    put("d/dataset_infos.json", "{\"default\": {\"description\": \"x\"}}");
    put("d/.gitattributes", "*.parquet filter=lfs");
    put("d/data/train.jsonl", "{\"text\":\"a\"}\n");
    put("d/data/notes.txt", "kept");
    log_quiet = true;
    expect_texts(SPECS(at("d")), (struct corpus_opts){0}, "kept,a");
    put("t/README.md", "a text");
    put("t/x.txt", "b");
    expect_texts(SPECS(at("t")), (struct corpus_opts){0}, "a text,b");
    expect_texts(SPECS(at("d/README.md")), (struct corpus_opts){0}, "# About"); /* named itself */
    log_quiet = false;
    put("u/rows.txt", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
    expect_texts(SPECS(at("u")), (struct corpus_opts){0}, "{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
    assert_non_null(strstr(last_warning(), "rows.txt: is read as one text, but it looks like rows"));
}

/* The answers of a model to prompts, as `reap batch` keeps them. */
static void test_answers(void **state)
{
    (void)state;
    static const char file[] =
        "{\"schema\": \"reap.batch/1\", \"endpoint\": \"%s\", \"results\": ["
        "{\"id\": \"a\", \"category\": \"code\", \"repeat\": 0, \"key\": \"k\", \"prompt_sha256\": \"p\","
        " \"messages\": [{\"role\": \"user\", \"content\": \"u\"}], \"parameters\": {\"tools\": [{\"type\": \"function\"}],"
        " \"temperature\": 0}, \"status\": \"ok\", \"response\": \"r\", \"reasoning\": \"hm\", \"tool_calls\": [{\"id\": "
        "\"c\", \"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": \"{}\"}}], \"finish_reason\": \"length\"},"
        "{\"id\": \"b\", \"category\": null, \"repeat\": 0, \"key\": \"k\", \"prompt_sha256\": \"p\","
        " \"messages\": [{\"role\": \"user\", \"content\": \"u\"}], \"status\": \"failed\", \"error\": \"x\"},"
        "{\"id\": \"d\", \"repeat\": 0, \"key\": \"k\", \"prompt_sha256\": \"p\", \"messages\": [{\"role\": \"user\", "
        "\"content\": \"w\"}], \"status\": \"ok\", \"response\": \"\", \"finish_reason\": \"tool_calls\"},"
        "{\"id\": \"e\", \"repeat\": 0, \"key\": \"k\", \"prompt_sha256\": \"p\", \"messages\": [{\"role\": \"user\", "
        "\"content\": \"w\"}], \"status\": \"ok\", \"response\": \"x\", \"finish_reason\": \"malformed\"},"
        "{\"id\": \"c\", \"category\": null, \"repeat\": 0, \"key\": \"k\", \"prompt_sha256\": \"p\","
        " \"messages\": [{\"role\": \"user\", \"content\": \"v\"}], \"status\": \"ok\", \"response\": \"s\","
        " \"finish_reason\": \"stop\"}]}";
    char *chats = xasprintf(file, "chat"), *texts_of = xasprintf(file, "completions");
    put("run.json", chats);
    put("bare.json", texts_of);
    struct corpus c;
    struct err e = {0};
    assert_true(load(&c, &e, SPECS(at("run.json")), (struct corpus_opts){0}));
    assert_int_equal(c.n_samples, 2);
    char *got = json_dumps(c.samples[0].chat, JSON_COMPACT);
    assert_string_equal(
        got, "{\"messages\":[{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":\"r\","
             "\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":"
             "{\"name\":\"f\",\"arguments\":\"{}\"}}]}],\"tools\":[{\"type\":\"function\"}]}");
    free(got);
    assert_string_equal(c.samples[0].id, "a");
    assert_string_equal(c.categories[c.samples[0].category], "code");
    assert_string_equal(c.categories[c.samples[1].category], "run");
    assert_int_equal(c.samples[1].line, 5);
    assert_non_null(strstr(last_warning(), "run.json: 3 prompts without a whole answer left out"));
    corpus_free(&c);
    expect_texts(SPECS(at("bare.json")), (struct corpus_opts){0}, "ur,vs"); /* as the model went on */
    put("bad.json", "{\"schema\": \"reap.batch/9\", \"results\": []}");
    expect_error(SPECS(at("bad.json")), (struct corpus_opts){0}, "bad.json: ");
    free(chats);
    free(texts_of);
}

/* What the samples have and is not used is counted of those that are taken. */
static void test_unused(void **state)
{
    (void)state;
    put("a.jsonl", "{\"prompt\":\"p\",\"chosen\":\"c\",\"rejected\":\"r\"}\n"
                   "{\"prompt\":\"p\",\"chosen\":\"c\",\"rejected\":\"r\",\"why\":\"w\"}\n"
                   "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"t\"},"
                   "{\"type\":\"image\"}]}],\"prompt\":\"t\"}\n");
    struct corpus c;
    struct err e = {0};
    assert_true(load(&c, &e, SPECS(at("a.jsonl")), (struct corpus_opts){.skip_media = true}));
    char *unused = json_dumps(c.unused, JSON_COMPACT);
    assert_string_equal(unused, "{\"rejected\":2,\"why\":1,\"prompt\":1}");
    free(unused);
    corpus_free(&c);
    assert_non_null(strstr(last_warning(), "1 part of 1 chat left out: images, audio or video"));
    expect_error(SPECS(at("a.jsonl")), (struct corpus_opts){0},
                 "a.jsonl:3: message 1, part 2: 'type' is 'image'");
    assert_true(load(&c, &e, SPECS(at("a.jsonl")),
                     (struct corpus_opts){.max_samples = 1, .skip_media = true, .map = "text=why"}));
    assert_int_equal(c.n_samples, 1);
    corpus_free(&c);
    expect_error(SPECS(at("a.jsonl")), (struct corpus_opts){.map = "x"}, "--map: 'x' is not NAME=KEY");
    expect_error(SPECS(at("a.jsonl")), (struct corpus_opts){.map = "text=wy", .skip_media = true},
                 "--map text=wy: no row has 'wy'");
    expect_error(SPECS(at("a.jsonl")),
                 (struct corpus_opts){.map = "text=chosen,tools=why", .skip_media = true},
                 "--map tools=why: no row has 'why', or none in a form that reads it");
}

static void test_text_files(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bytes;
        size_t n;
        const char *text, *error;
    } cases[] = {
        {"a.txt", "one\r\ntwo\n", 9, "one\r\ntwo\n", NULL},
        {"bom.md", "\xef\xbb\xbfx", 4, "x", NULL},
        {"README", "plain", 5, "plain", NULL},
        {"prog.c", "int x;\n", 7, "int x;\n", NULL},
        {"empty.txt", "", 0, NULL, "empty.txt: empty file"},
        {"bom.txt", "\xef\xbb\xbf", 3, NULL, "bom.txt: empty file"},
        {"nul.txt", "ab\0c", 4, NULL, "nul.txt: NUL at byte 2"},
        {"latin.txt", "gr\xfcn", 4, NULL, "latin.txt: not valid UTF-8 at byte 2"},
        {"cut.txt",
         "\xef\xbb\xbf"
         "ab\xe2\x82",
         7, NULL, "cut.txt: not valid UTF-8 at byte 5"},
        {"surrogate.txt", "\xed\xa0\x80", 3, NULL, "not valid UTF-8 at byte 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_bytes(cases[i].name, cases[i].bytes, cases[i].n);
        if (cases[i].text)
            expect_texts(SPECS(at(cases[i].name)), (struct corpus_opts){0}, cases[i].text);
        else
            expect_error(SPECS(at(cases[i].name)), (struct corpus_opts){0}, cases[i].error);
    }
    struct corpus c;
    struct err e = {0};
    assert_true(load(&c, &e, SPECS(at("latin.txt"), at("a.txt")), (struct corpus_opts){.skip_bad = true}));
    assert_int_equal(c.n_samples, 1);
    assert_int_equal(c.samples[0].line, 0);
    assert_int_equal(c.sources[0].n_bad, 1);
    assert_non_null(strstr(last_warning(), "latin.txt: not valid UTF-8 at byte 2"));
    corpus_free(&c);
}

static void test_stdin(void **state)
{
    (void)state;
    put_rows("rows", "s", 5);
    int keep = dup(STDIN_FILENO);
    for (int pass = 0; pass < 2; pass++) {
        struct err e = {0};
        int fd = file_open_read(at("rows"), NULL, &e);
        assert_true(fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
        close(fd);
        struct corpus c;
        assert_true(load(&c, &e, SPECS(pass ? "-:2" : "-"), (struct corpus_opts){0}));
        assert_int_equal(c.n_samples, pass ? 2 : 5);
        assert_string_equal(c.categories[0], "stdin");
        corpus_free(&c);
    }
    lseek(STDIN_FILENO, 0, SEEK_SET);
    expect_error(SPECS("-", "-"), (struct corpus_opts){0}, "named twice");
    dup2(keep, STDIN_FILENO);
    close(keep);
}

/* ---- limits ---- */

static void test_spec_suffix(void **state)
{
    (void)state;
    put_rows("a.jsonl", "a", 9);
    put("b.txt:12", "whole");
    put("b.txt", "other");
    put_rows("c:d.jsonl", "c", 2);
    struct corpus c;
    struct err e = {0};
    assert_true(load(&c, &e, SPECS(at("a.jsonl:4")), (struct corpus_opts){0}));
    assert_int_equal(c.n_samples, 4);
    assert_int_equal(c.sources[0].n_rows, 9);
    assert_int_equal(c.sources[0].n_used, 4);
    corpus_free(&c);
    expect_texts(SPECS(at("b.txt:12")), (struct corpus_opts){0}, "whole");
    expect_texts(SPECS(at("b.txt:3")), (struct corpus_opts){0}, "other");
    expect_texts(SPECS(at("c:d.jsonl")), (struct corpus_opts){0}, "c0,c1");
    expect_texts(SPECS(at("c:d.jsonl:99")), (struct corpus_opts){0}, "c0,c1");
    expect_error(SPECS(at("a.jsonl:0")), (struct corpus_opts){0}, "the limit is 0");
    expect_error(SPECS(at("a.jsonl:99999999999999999999")), (struct corpus_opts){0}, "too large");
    expect_error(SPECS(at("a.jsonl:")), (struct corpus_opts){0}, "a.jsonl:'");
    expect_error(SPECS(at("a.jsonl:4x")), (struct corpus_opts){0}, "a.jsonl:4x");
    expect_error(SPECS(at("a.jsonl:-4")), (struct corpus_opts){0}, "a.jsonl:-4");
    expect_error(SPECS(at("no.jsonl:4")), (struct corpus_opts){0}, "no.jsonl:4");
}

/* The numbers behind these lists are SplitMix64's; a change here changes every user's calibration set. */
static void test_choices_fixed(void **state)
{
    (void)state;
    put_rows("a.jsonl", "", 10);
    expect_texts(SPECS(at("a.jsonl:4")), (struct corpus_opts){.seed = 1}, "5,7,8,9");
    expect_texts(SPECS(at("a.jsonl:5")), (struct corpus_opts){.seed = 1}, "2,5,7,8,9");
    expect_texts(SPECS(at("a.jsonl:4")), (struct corpus_opts){.seed = 2}, "2,4,5,7");
    expect_texts(SPECS(at("a.jsonl")), (struct corpus_opts){.seed = 1, .max_samples = 4}, "3,6,7,9");
    expect_texts(SPECS(at("a.jsonl")), (struct corpus_opts){.seed = 1, .per_category = 4}, "1,3,7,8");
    expect_texts(SPECS(at("a.jsonl")), (struct corpus_opts){.seed = 1, .shuffle = true},
                 "9,6,3,1,7,5,0,8,2,4");
    expect_texts(SPECS(at("a.jsonl")), (struct corpus_opts){.seed = 7, .shuffle = true, .max_samples = 6},
                 "4,5,8,3,9,1");
    expect_texts(SPECS(at("a.jsonl")), (struct corpus_opts){.seed = 9}, "0,1,2,3,4,5,6,7,8,9");
}

static void test_choice_is_fair(void **state)
{
    (void)state;
    put_rows("a.jsonl", "", 10);
    unsigned hits[10] = {0};
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct corpus c;
        struct err e = {0};
        assert_true(load(&c, &e, SPECS(at("a.jsonl:3")), (struct corpus_opts){.seed = seed}));
        assert_int_equal(c.n_samples, 3);
        for (unsigned i = 0; i < 3; i++) {
            hits[c.samples[i].text[0] - '0']++;
            assert_true(i == 0 || c.samples[i - 1].line < c.samples[i].line); /* the order stays */
        }
        corpus_free(&c);
    }
    for (unsigned i = 0; i < 10; i++) /* 600 expected, standard deviation 20 */
        assert_in_range(hits[i], 500, 700);
}

static void test_more_sources_same_choice(void **state)
{
    (void)state;
    put_rows("a.jsonl", "a", 50);
    put_rows("b.jsonl", "b", 50);
    struct corpus one, two;
    struct err e = {0};
    struct corpus_opts o = {.seed = 5};
    assert_true(load(&one, &e, SPECS(at("a.jsonl:9")), o));
    assert_true(load(&two, &e, SPECS(at("a.jsonl:9"), at("b.jsonl:9")), o));
    assert_int_equal(two.n_samples, 18);
    unsigned same_rows = 0;
    for (unsigned i = 0; i < 9; i++) {
        assert_string_equal(one.samples[i].text, two.samples[i].text);
        same_rows += one.samples[i].line == two.samples[9 + i].line;
    }
    assert_true(same_rows < 9); /* two sources do not share their stream of numbers */
    corpus_free(&one);
    corpus_free(&two);
}

/* Every category is used, not the last one alone, and the counts say so. */
static void test_per_category(void **state)
{
    (void)state;
    put_rows("set/code/a.jsonl", "c", 30);
    put_rows("set/code/deep/b.jsonl", "d", 30);
    put_rows("set/prose/a.jsonl", "p", 3);
    put_rows("set/top.jsonl", "t", 20);
    struct corpus c;
    struct err e = {0};
    struct corpus_opts o = {.per_category = 8, .seed = 3, .shuffle = true};
    assert_true(load(&c, &e, SPECS(at("set")), o));
    assert_int_equal(c.n_categories, 3);
    assert_string_equal(c.categories[0], "code");
    assert_string_equal(c.categories[1], "prose");
    assert_string_equal(c.categories[2], "set");
    assert_int_equal(c.n_samples, 19);
    unsigned used[3] = {0};
    uint64_t total = 0;
    for (uint64_t i = 0; i < c.n_samples; i++)
        used[c.samples[i].category]++;
    assert_int_equal(used[0], 8);
    assert_int_equal(used[1], 3);
    assert_int_equal(used[2], 8);
    for (uint32_t i = 0; i < c.n_sources; i++)
        total += c.sources[i].n_used;
    assert_int_equal(total, c.n_samples);
    assert_int_equal(c.sources[0].n_used + c.sources[1].n_used, 8);
    corpus_free(&c);
}

/* ---- what is set aside ---- */

static struct corpus part(struct corpus_opts o, double share, enum corpus_part which)
{
    struct corpus c;
    struct err e = {0};
    o.set_aside = share, o.part = which;
    if (!load(&c, &e, SPECS(at("a.jsonl"), at("b.jsonl")), o))
        fail_msg("%s", e.msg);
    return c;
}

/* How often each row is in a part: 100 x category + number. */
static void count_rows(const struct corpus *c, uint8_t *seen)
{
    for (uint64_t i = 0; i < c->n_samples; i++)
        seen[100 * c->samples[i].category + c->samples[i].line - 1]++;
}

/* The three parts are all of the text, each sample once; of each category the share, choice and check in turn; the same
 * whatever the order of use is, and told by the hash. */
static void test_set_aside(void **state)
{
    (void)state;
    put_rows("a.jsonl", "a", 40);
    put_rows("b.jsonl", "b", 23);
    static const struct corpus_opts orders[] = {
        {0}, {.shuffle = true, .seed = 1}, {.shuffle = true, .seed = 2}};
    uint8_t first[3][200] = {{0}};
    char hash[65] = "";
    for (int k = 0; k < 3; k++) {
        uint8_t all[200] = {0};
        for (int p = 0; p < 3; p++) {
            struct corpus c = part(orders[k], 0.2, (enum corpus_part)p);
            uint8_t seen[200] = {0};
            count_rows(&c, seen);
            count_rows(&c, all);
            assert_int_equal(c.aside.n_choice, 4 + 3); /* of 8 and of 5 */
            assert_int_equal(c.aside.n_check, 4 + 2);
            assert_int_equal(c.n_samples, p == CORPUS_CHOICE ? 7 : p == CORPUS_CHECK ? 6 : 63 - 13);
            if (!k)
                memcpy(first[p], seen, sizeof seen);
            assert_memory_equal(first[p], seen, sizeof seen);
            assert_true(!*hash || !strcmp(hash, c.aside.sha256));
            memcpy(hash, c.aside.sha256, sizeof hash);
            corpus_free(&c);
        }
        for (uint32_t i = 0; i < 200; i++)
            assert_int_equal(all[i], i < 40 || (i >= 100 && i < 123));
    }
    /* every fifth, from the middle of the first five */
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(first[CORPUS_CHOICE][i], i % 10 == 2);
        assert_int_equal(first[CORPUS_CHECK][i], i % 10 == 7);
    }
    struct corpus c = part((struct corpus_opts){.max_samples = 50, .seed = 5}, 0.2, CORPUS_CHOICE);
    assert_string_not_equal(c.aside.sha256, hash); /* of other samples */
    corpus_free(&c);
    c = part((struct corpus_opts){0}, 0, CORPUS_CHOICE); /* no such part: all samples, as ever */
    assert_int_equal(c.n_samples, 63);
    assert_true(c.aside.share == 0 && !*c.aside.sha256);
    corpus_free(&c);
}

static void test_nothing_set_aside(void **state)
{
    (void)state;
    put_rows("a.jsonl", "a", 4);
    expect_error(SPECS(at("a.jsonl")), (struct corpus_opts){.set_aside = 0.1, .part = CORPUS_CHOICE},
                 "nothing is set aside: no category has enough samples");
    put_rows("b.jsonl", "a", 1);
    expect_error(SPECS(at("b.jsonl")), (struct corpus_opts){.set_aside = 0.9}, "all samples are set aside");
}

/* A limit that a source was given itself wins, also over the limit of the category that it shares. */
static void test_own_limit_wins(void **state)
{
    (void)state;
    put_rows("a/code.jsonl", "a", 9);
    put_rows("b/code.jsonl", "b", 9);
    put_rows("c.jsonl", "c", 9);
    struct corpus c;
    struct err e = {0};
    assert_true(load(&c, &e, SPECS(at("a/code.jsonl:6"), at("b/code.jsonl"), at("c.jsonl")),
                     (struct corpus_opts){.per_category = 2, .seed = 3}));
    assert_int_equal(c.sources[0].n_used, 6);
    assert_int_equal(c.sources[1].n_used, 2);
    assert_int_equal(c.sources[2].n_used, 2);
    corpus_free(&c);
    assert_true(load(&c, &e, SPECS(at("a/code.jsonl:1")), (struct corpus_opts){.per_category = 2}));
    assert_int_equal(c.n_samples, 1);
    corpus_free(&c);
}

/* A choice by rejection would need minutes here. */
static void test_large_limit(void **state)
{
    (void)state;
    put_rows("a.jsonl", "", 200000);
    struct corpus c;
    struct err e = {0};
    double t = now_secs();
    assert_true(load(&c, &e, SPECS(at("a.jsonl:199999")), (struct corpus_opts){.shuffle = true}));
    assert_int_equal(c.n_samples, 199999);
    assert_true(now_secs() - t < 60);
    bool *seen = xcalloc(200001, 1);
    for (uint64_t i = 0; i < c.n_samples; i++) {
        assert_false(seen[c.samples[i].line]);
        seen[c.samples[i].line] = true;
    }
    free(seen);
    corpus_free(&c);
}

/* ---- folders ---- */

static void test_folder_order(void **state)
{
    (void)state;
    put("f/b.txt", "b");
    put("f/B.txt", "B");
    put("f/a b.txt", "a b");
    put("f/\xc3\xa4.txt", "ae");
    put("f/dir/z.txt", "z");
    put("f/dir/sub/y.txt", "y");
    put("f/dir-2/x.txt", "x");
    put("f/.hidden", "no");
    put("f/.git/config", "no");
    put("f/m.jsonl", "{\"text\":\"m1\"}\n{\"text\":\"m2\"}\n");
    struct corpus c;
    struct err e = {0};
    char *slash = xasprintf("%s//", at("f"));
    assert_true(load(&c, &e, SPECS(slash), (struct corpus_opts){0}));
    char *got = texts(&c);
    assert_string_equal(got, "B,a b,b,y,z,x,m1,m2,ae");
    free(got);
    assert_string_equal(c.categories[c.samples[0].category], "f");
    assert_string_equal(c.categories[c.samples[3].category], "dir");
    assert_string_equal(c.categories[c.samples[4].category], "dir");
    assert_string_equal(c.categories[c.samples[5].category], "dir-2");
    assert_int_equal(c.samples[0].category, c.samples[8].category);
    corpus_free(&c);
    expect_texts(SPECS(at("f/dir:1")), (struct corpus_opts){.seed = 2}, "z");
    free(slash);
}

static void test_folder_dot(void **state)
{
    (void)state;
    put("here/x.txt", "x");
    char *old = getcwd(NULL, 0);
    assert_int_equal(chdir(at("here")), 0);
    struct corpus c;
    struct err e = {0};
    bool ok = load(&c, &e, SPECS("."), (struct corpus_opts){0});
    assert_int_equal(chdir(old), 0);
    free(old);
    assert_true(ok);
    assert_string_equal(c.categories[0], "here");
    corpus_free(&c);
}

static void test_folder_skips(void **state)
{
    (void)state;
    static const char *const names[] = {"f/late", "f/nul.bin", "f/latin.c", "f/empty.py", "f/rows.jsonl"};
    put("f/ok.txt", "ok");
    put_bytes("f/nul.bin",
              "\x7f"
              "ELF\0",
              5);
    put("f/latin.c", "/* gr\xfcn */");
    put("f/empty.py", "");
    put("f/rows.jsonl", "\n");
    struct buf b = {0};
    for (int i = 0; i < 3000; i++)
        buf_str(&b, "abc ");
    buf_char(&b, 0);
    put_bytes("f/late", b.s, b.n);
    buf_clear(&b);
    assert_int_equal(mkfifo(at("f/pipe"), 0600), 0);
    char **list;
    size_t before = log_warnings(&list);
    expect_texts(SPECS(at("f")), (struct corpus_opts){0}, "ok");
    size_t after = log_warnings(&list);
    assert_int_equal(after - before, 6);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool named = false;
        for (size_t k = before; k < after; k++)
            named |= strstr(list[k], names[i]) != NULL;
        assert_true(named);
    }
    expect_error(SPECS(at("f/nul.bin")), (struct corpus_opts){0}, "nul.bin: NUL at byte 4");
    put("f/bad.txt", "gr\xfcn");
    expect_error(SPECS(at("f")), (struct corpus_opts){0}, "bad.txt: not valid UTF-8 at byte 2");
    put("g/empty.py", "");
    expect_error(SPECS(at("g")), (struct corpus_opts){0}, "no samples in");
}

static void test_folder_depth(void **state)
{
    (void)state;
    put("f/a/x.txt", "x");
    assert_int_equal(symlink("../a/x.txt", at("f/a/link.txt")), 0);
    expect_texts(SPECS(at("f")), (struct corpus_opts){0}, "x,x");
    assert_int_equal(symlink("..", at("f/a/up")), 0);
    assert_int_equal(symlink("..", at("f/a/up2")), 0);
    expect_error(SPECS(at("f")), (struct corpus_opts){0}, "a/up' is a link back");
    put("d/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/x.txt", "deep");
    expect_texts(SPECS(at("d")), (struct corpus_opts){0}, "deep");
    put("d/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/x.txt", "deeper");
    expect_error(SPECS(at("d")), (struct corpus_opts){0}, "16/17' lies more than 16 deep");
    put("l/x.txt", "x");
    assert_int_equal(symlink("nowhere", at("l/dangling")), 0);
    expect_error(SPECS(at("l")), (struct corpus_opts){0}, "dangling");
}

static void test_same_category_name(void **state)
{
    (void)state;
    put_rows("a/code.jsonl", "a", 2);
    put_rows("b/code.jsonl", "b", 2);
    struct corpus c;
    struct err e = {0};
    assert_true(load(&c, &e, SPECS(at("a/code.jsonl"), at("b/code.jsonl")), (struct corpus_opts){0}));
    assert_int_equal(c.n_categories, 1);
    assert_int_equal(c.n_sources, 2);
    assert_int_equal(c.samples[3].source, 1);
    corpus_free(&c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)
    static const struct CMUnitTest tests[] = {
        T(test_lines),
        T(test_line_errors),
        T(test_json_list),
        T(test_json_shapes),
        T(test_packed),
        T(test_foreign),
        T(test_folder_of_a_data_set),
        T(test_answers),
        T(test_unused),
        T(test_text_files),
        T(test_stdin),
        T(test_spec_suffix),
        T(test_choices_fixed),
        T(test_choice_is_fair),
        T(test_more_sources_same_choice),
        T(test_per_category),
        T(test_set_aside),
        T(test_nothing_set_aside),
        T(test_own_limit_wins),
        T(test_large_limit),
        T(test_folder_order),
        T(test_folder_dot),
        T(test_folder_skips),
        T(test_folder_depth),
        T(test_same_category_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
