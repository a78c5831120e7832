/* source.h - text from files and folders: which files, in which order, and what one of them is made of.
 * Calibration text (corpus.h) and the prompts of a batch (serve/prompts.h) are read through it; what a row
 * must hold is theirs.
 *
 * A source is a file, "-" for standard input, or a folder: all files in it, recursively, in the order of
 * their names (bytes), hidden ones left out. The first level of sub-folders are categories. A file is rows
 * (one JSON object a line, empty lines skipped) or one text, in UTF-8; a byte order mark in front is no part
 * of either. */
#ifndef REAP_CORPUS_SOURCE_H
#define REAP_CORPUS_SOURCE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include <stdint.h>

/* ---- files ---- */

struct source_file {
    const char *path;
    const char *
        name; /* from the named folder on: "sub/a.txt"; of a file that was named itself, its last component */
    const char *category; /* the first level of sub-folders; NULL: it lies in none */
    const char *folder;   /* as it was named, in which this was found; NULL: the file was named itself */
};
typedef bool source_visit(void *ud, const struct source_file *f, struct err *e);

/* Visits all files of a source; the first false ends it. What is neither file nor folder, and a link that
 * leads out of the folder (base/folder.h), is left out with a warning; what cannot be looked at, a link back
 * to a folder above it, and folders in folders without end, are errors. */
bool source_walk(const char *path, source_visit *fn, void *ud, struct err *e);

/* Reads a file whole, at most 1 GiB; one that was packed with gzip is unpacked, to no more than that. *bom:
 * bytes in front that do not count. folder: where it was found, and must lie; NULL: it was named itself.
 * sha256: of the file's bytes as they are; NULL: not wanted. */
bool source_read(const char *path, const char *folder, struct buf *b, size_t *bom, struct err *e);
bool source_read_hashed(const char *path, const char *folder, struct buf *b, size_t *bom, char sha256[65],
                        struct err *e);
/* Whether a path ends in one of these (".jsonl"; NULL behind the last), in any case, ".gz" apart. */
bool source_has_ending(const char *path, const char *const *endings);
/* Its name says that it holds rows: .jsonl, .ndjson or .json. */
bool source_is_rows(const char *path);
/* How many bytes a name has without its endings. */
size_t source_stem(const char *name);
/* Why these bytes are not one text: false with *e set (empty, a NUL, not UTF-8). */
bool source_check_text(const char *s, size_t n, struct err *e);

/* ---- rows ---- */

/* One line that is not blank: without white space at its end, and its number from 1. The first false ends it;
 * so does a signal. */
typedef bool source_line(void *ud, uint32_t line, const char *s, size_t n, struct err *e);
bool source_lines(const char *s, size_t n, source_line *fn, void *ud, struct err *e);

/* A member, or NULL when it is missing or null (tables exported to JSONL fill absent columns with null). */
json_t *source_member(const json_t *row, const char *key);
/* The row's "id" as a string, NULL without one (caller frees). An integer, or a string of 1 to max bytes; max
 * 0: any string. */
bool source_id(const json_t *row, size_t max, char **id, struct err *e);
/* Each of the row's "messages", of which there must be one: an object with a role. what: how errors call one;
 * where: that with its number. */
typedef bool source_message(void *ud, const json_t *message, const char *role, const char *where,
                            struct err *e);
bool source_messages(const json_t *row, const char *what, source_message *fn, void *ud, struct err *e);

#endif
