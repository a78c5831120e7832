/* foreign.c - see foreign.h. A format is a row of the table. */
#include "corpus/foreign.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"
#include "corpus/source.h"

#include <string.h>
#include <strings.h>

#define COUNT(a)     (sizeof(a) / sizeof *(a))
#define ENDINGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PYTHON(what) "python3 -c 'import sys, " what "' IN OUT.jsonl"
#define PANDAS(read) \
    PYTHON("pandas as p; p." read ".to_json(sys.argv[2], orient=\"records\", lines=True, force_ascii=False)")

static const struct {
    const char *what;
    const char *magic;
    size_t n_magic;             /* 0: known by its ending alone */
    const char *const *endings; /* NULL: any */
    const char *how;            /* IN and OUT: the file, and its name without the ending */
} formats[] = {
    {"a Parquet file", "PAR1", 4, NULL, PANDAS("read_parquet(sys.argv[1])")},
    {"an Arrow file", "ARROW1", 6, NULL, PANDAS("read_feather(sys.argv[1])")},
    {"an Arrow stream", "\xff\xff\xff\xff", 4, NULL,
     PYTHON("datasets; datasets.Dataset.from_file(sys.argv[1]).to_json(sys.argv[2], force_ascii=False)")},
    {"a table of comma-separated values", "", 0, ENDINGS(".csv"), PANDAS("read_csv(sys.argv[1])")},
    {"a table of tab-separated values", "", 0, ENDINGS(".tsv"), PANDAS("read_csv(sys.argv[1], sep=\"\\t\")")},
    {"an Excel file", "PK\x03\x04", 4, ENDINGS(".xlsx", ".xlsm"), PANDAS("read_excel(sys.argv[1])")},
    {"a NumPy archive", "PK\x03\x04", 4, ENDINGS(".npz"),
     PYTHON(
         "json, numpy; z = numpy.load(sys.argv[1]); open(sys.argv[2], \"w\").writelines(json.dumps({\"tokens\": "
         "r.tolist()}) + \"\\n\" for k in z for r in numpy.atleast_2d(z[k]))")},
    {"a zip archive", "PK\x03\x04", 4, NULL, "unzip IN"},
    {"a NumPy array", "\x93NUMPY", 6, NULL,
     PYTHON(
         "json, numpy; open(sys.argv[2], \"w\").writelines(json.dumps({\"tokens\": r.tolist()}) + \"\\n\" for r in "
         "numpy.atleast_2d(numpy.load(sys.argv[1])))")},
    {"a Python pickle", "\x80", 1, ENDINGS(".pkl", ".pickle"), PANDAS("read_pickle(sys.argv[1])")},
    {"a text in UTF-16", "\xff\xfe", 2, NULL, "iconv -f UTF-16 -t UTF-8 IN >OUT.utf8"},
    {"a text in UTF-16", "\xfe\xff", 2, NULL, "iconv -f UTF-16 -t UTF-8 IN >OUT.utf8"},
    {"packed with zstd", "\x28\xb5\x2f\xfd", 4, NULL, "unzstd IN"},
    {"packed with xz",
     "\xfd"
     "7zXZ",
     5, NULL, "unxz -k IN"},
    {"packed with bzip2", "BZh", 3, ENDINGS(".bz2"), "bunzip2 -k IN"},
};

/* A path as a shell takes it. */
static void add_quoted(struct buf *b, const char *s, size_t n)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+:,@%";
    if (n && strspn(s, plain) >= n) {
        buf_add(b, s, n);
        return;
    }
    buf_char(b, '\'');
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\'')
            buf_str(b, "'\\''");
        else
            buf_char(b, s[i]);
    }
    buf_char(b, '\'');
}

/* The command with the names of this file. */
static void add_command(struct buf *b, const char *how, const char *path)
{
    const char *base = path_base(path), *dot = strrchr(base, '.');
    size_t stem = dot && dot != base ? (size_t)(dot - path) : strlen(path);
    struct buf rows = {0}, utf8 = {0};
    buf_fmt(&rows, "%.*s.jsonl", (int)stem, path);
    buf_fmt(&utf8, "%.*s.utf8%s", (int)stem, path, path + stem);
    const struct {
        const char *word, *name;
    } names[] = {{"IN", path}, {"OUT.jsonl", rows.s}, {"OUT.utf8", utf8.s}};
    while (*how) {
        size_t i = 0, n = 0;
        for (; i < COUNT(names) && !n; i++)
            n = strncmp(how, names[i].word, strlen(names[i].word)) ? 0 : strlen(names[i].word);
        if (n)
            add_quoted(b, names[i - 1].name, strlen(names[i - 1].name));
        else
            buf_char(b, *how);
        how += n ? n : 1;
    }
    buf_clear(&rows);
    buf_clear(&utf8);
}

bool foreign_check(const char *path, const char *head, size_t n, struct err *e)
{
    for (size_t i = 0; i < COUNT(formats); i++) {
        if (n < formats[i].n_magic || memcmp(head, formats[i].magic, formats[i].n_magic) != 0 ||
            (formats[i].endings && !source_has_ending(path, formats[i].endings)))
            continue;
        struct buf how = {0};
        add_command(&how, formats[i].how, path);
        err_set(e, ERR_INPUT, "%s: %s, which is not read; this makes a file of it that is: %s", path,
                formats[i].what, how.s);
        buf_clear(&how);
        return false;
    }
    return true;
}

bool foreign_is_about(const char *name, bool *about_text)
{
    static const char *const ours[] = {"dataset_infos.json", "dataset_info.json", "dataset_dict.json",
                                       "state.json"};
    static const char *const texts[] = {"README", "LICENSE", "LICENCE", "CITATION", "NOTICE", "CHANGELOG"};
    *about_text = false;
    for (size_t i = 0; i < COUNT(ours); i++)
        if (!strcmp(name, ours[i]))
            return true;
    size_t stem = strcspn(name, ".");
    for (size_t i = 0; i < COUNT(texts); i++)
        if (stem == strlen(texts[i]) && !strncasecmp(name, texts[i], stem))
            return *about_text = true;
    return false;
}
