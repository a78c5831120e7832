/* corpus.h - calibration and evaluation text: files and folders in (source.h), a list of samples out.
 *
 * A source is PATH or PATH:LIMIT. PATH is
 *   a .jsonl / .ndjson / .json file:
 *                  rows of any form that row.c knows;
 *   any other file:
 *                  plain UTF-8 text, the whole file is one sample;
 *   a folder:      all such files in it (not hidden ones), recursively, in order of their names; the first
 *                  level of sub-folders are categories (files directly in it belong to the category of the
 *                  folder's own name);
 *   "-":           standard input, JSONL.
 * LIMIT takes at most that many samples of the source (chosen by the seed, not the first ones). What is not
 * plain text is kept as a chat: the engine renders it with the model's chat template. */
#ifndef REAP_CORPUS_CORPUS_H
#define REAP_CORPUS_CORPUS_H

#include "base/err.h"
#include "base/json.h"
#include <stdint.h>

enum sample_kind { SAMPLE_TEXT, SAMPLE_CHAT, SAMPLE_TOKENS };

struct sample {
    enum sample_kind kind;
    char *text; /* SAMPLE_TEXT: n_text bytes, NUL-terminated, may not hold NUL inside */
    uint64_t n_text;
    json_t *chat;    /* SAMPLE_CHAT: what the chat template gets, see engine_chat; owned */
    int32_t *tokens; /* SAMPLE_TOKENS */
    uint32_t n_tokens;
    char *id;          /* of the row, or NULL */
    char *unused;      /* members of the row that hold text and are not used, a line each, or NULL */
    bool has_parts;    /* a content of the chat is a list */
    uint64_t n_media;  /* images, audio, video left out of it */
    uint32_t source;   /* index into corpus.sources */
    uint32_t category; /* index into corpus.categories */
    uint32_t line;     /* 1-based line of a JSONL row, 0 for a text file */
};

struct corpus_source { /* one file that samples came from */
    char *path;
    char sha256[65]; /* of the file's bytes as read */
    uint64_t n_rows; /* samples found in it */
    uint64_t n_used; /* samples taken */
    uint64_t n_bad;  /* rows skipped with skip_bad */
    bool limited;    /* named with a limit of its own */
};

/* A part of the samples may be set aside: a profile never sees it, so what is chosen by a profile can be measured on it.
 * The same sources and options give the same split, whoever asks and in whatever order the samples are used. */
enum corpus_part {
    CORPUS_PROFILED, /* all that is not set aside */
    CORPUS_CHOICE, /* every other sample that is, of each category, from the first: plans are chosen on it */
    CORPUS_CHECK,  /* the others: nothing is ever chosen on it */
};
struct corpus_aside {
    double share; /* of each category's samples; 0: there is no such part */
    uint64_t n_choice, n_check;
    char sha256[65]; /* over its samples: of each the SHA-256 of its file and the line in it */
};

struct corpus {
    struct sample *samples; /* in the order in which they are to be used */
    uint64_t n_samples;
    struct corpus_source *sources;
    uint32_t n_sources;
    char **categories;
    uint32_t n_categories;
    bool skip_bad; /* of the options: who finds later that a sample is bad leaves it out, too */
    struct corpus_aside aside;
    json_t *unused; /* of the samples: how many have text under a key that is not used; {} */
};

struct corpus_opts {
    const char *const *specs; /* PATH or PATH:LIMIT */
    uint32_t n_specs;
    uint64_t per_category; /* 0: all; else at most that many of each category, sources with a LIMIT apart */
    uint64_t max_samples;  /* 0: all; after shuffling */
    uint64_t seed;         /* of the shuffle and of every choice */
    bool shuffle;          /* false: order of the files and lines */
    bool skip_bad;         /* a malformed row is counted and left out with a warning, instead of an error */
    bool skip_media;  /* images, audio and video in a chat are left out with a warning, instead of an error */
    bool join_parts;  /* the texts of a content in parts become one */
    double set_aside; /* share of each category's samples, below 1; 0: none */
    enum corpus_part part; /* which samples are taken; of a corpus where something is set aside */
    const char *map;       /* which key of the rows is what, see row_map_parse; NULL */
};

/* Reads all of it. Errors (ERR_INPUT) name file and line: "calib.jsonl:17: ...". An empty result is an
 * error. */
bool corpus_load(const struct corpus_opts *o, struct corpus *c, struct err *e);
/* Refuses an output that is one of the files that were read. */
/* Refuses an output that is one of the sources, before they are read. */
bool corpus_check_sources(const struct corpus_opts *o, const char *out, struct err *e);
/* Refuses a folder of outputs that is one of the options' folders of text, or lies in it: what is written there would be
 * read as text the next time. */
bool corpus_check_folder(const struct corpus_opts *o, const char *dir, struct err *e);
bool corpus_check_output(const struct corpus *c, const char *path, struct err *e);
void sample_clear(struct sample *s);
void corpus_free(struct corpus *c); /* frees what it holds, not c itself */

#endif
