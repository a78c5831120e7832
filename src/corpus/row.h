/* row.h - a row of somebody's data as a sample: the forms in which people have chats and texts.
 *
 * A form is a row of a table in row.c: the member by which it is known, and what becomes of it. A row is of
 * the first form that it has the members of (null counts as missing). What a chat template gets is as the row
 * has it: content, tool calls, thoughts, any key of a message; only the forms with other names (from and
 * value, instruction and output, ...) are written anew. What holds text and is not used is named in
 * sample.unused; lists of names that hold no text of the user (id, source, category, ...) apart. */
#ifndef REAP_CORPUS_ROW_H
#define REAP_CORPUS_ROW_H

#include "corpus/corpus.h"

/* Which key of the rows is what, as the user says: "user=Question,assistant=Answer". A row that has none of
 * these keys is read by its form. */
#define ROW_MAP_MAX 16
struct row_map {
    struct {
        const char *name; /* what it is: user, assistant, ...; a constant */
        char *key;        /* how the rows call it */
        bool seen;        /* a row or a message has it */
    } v[ROW_MAP_MAX];
    uint32_t n;
};
/* False with *e set (ERR_INPUT), the map is empty then. NULL: an empty map. */
bool row_map_parse(const char *s, struct row_map *m, struct err *e);
void row_map_clear(struct row_map *m);

struct row_opts {
    struct row_map *map; /* NULL: none */
    bool join_parts;     /* the texts of a content in parts become one, for templates that know no lists */
    bool ask;            /* the prompt without its answer */
    bool skip_media;     /* images, audio and video are left out and counted, else they refuse a row */
};

/* One JSON row of n bytes. On false *s is empty. */
bool row_parse(const char *row, uint64_t n, const struct row_opts *o, struct sample *s, struct err *e);
/* The same of a row that is no text: what we have ourselves, without odd numbers. */
bool row_read(const json_t *row, const struct row_opts *o, struct sample *s, struct err *e);
/* What a row asks a model, without the answer that it may have: messages, tools and all that a chat holds (new
 * reference). *unused: as in a sample, the caller's; the answer is among them. Rows of a text or of tokens ask
 * nothing. */
bool row_prompt(const json_t *row, json_t **chat, char **unused, struct err *e);
/* Whether these bytes are a message, of which a chat is a list; whether an object has the members of a form. */
bool row_is_message(const char *s, uint64_t n);
bool row_has_form(const json_t *row);

#endif
