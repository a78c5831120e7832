/* row_part.h - what the files of row.h share: a row while it is read. */
#ifndef REAP_CORPUS_ROW_PART_H
#define REAP_CORPUS_ROW_PART_H

#include "corpus/row.h"

#define ROW_MAX_USED 24

struct row_reader {
    const json_t *row;
    const struct row_opts *o;
    bool odd;                       /* there may be numbers of json_parse_data in it */
    const char *used[ROW_MAX_USED]; /* members that were taken */
    uint32_t n_used;
    json_t *messages; /* the chat so far, owned */
    bool any;         /* a message says something */
    bool has_parts;   /* a content of it is a list */
    bool renamed;     /* messages had from and value */
    uint64_t n_media; /* parts left out */
    struct err *e;
};

/* A form, a row of the table in row.c. Lists of names end with NULL; the first that a row has counts. */
struct row_form {
    const char *key; /* the member by which it is known */
    bool (*read)(struct row_reader *r, const struct row_form *f, struct sample *s);
    const char *const *answer; /* pairs: names of the answer; NULL: there need be none */
    const char *const *behind; /* pairs: names of a text that is put behind the prompt */
};
bool row_read_messages(struct row_reader *r, const struct row_form *f, struct sample *s);
bool row_read_pair(struct row_reader *r, const struct row_form *f, struct sample *s);
bool row_read_text(struct row_reader *r, const struct row_form *f, struct sample *s);
bool row_read_tokens(struct row_reader *r, const struct row_form *f, struct sample *s);

/* ---- members (row_read.c) ---- */

/* How the rows call what is named so: by the map, else by the name itself. */
const char *row_key(const struct row_reader *r, const char *name);
/* A member that is not null; NULL: missing. Names are constants. */
json_t *row_member(const struct row_reader *r, const char *name);
const char *row_first(const struct row_reader *r, const char *const *names); /* NULL: has none of them */

/* ---- chats (row_chat.c) ---- */

/* Adds a turn of a text. */
void chat_add(struct row_reader *r, const char *role, const char *text);
json_t *chat_message(const char *role, json_t *content); /* new; takes the reference to content */
/* Adds each message of a list: role and content as they are, from and value written anew. what: its key. */
bool chat_add_list(struct row_reader *r, const json_t *list, const char *what);
/* Whether it looks like a list of messages. */
bool chat_is_list(const json_t *v);
/* {"name", "arguments"}, or a list of such, as tool_calls of a message. NULL: it is neither. New reference.
 */
json_t *chat_calls(const json_t *v);
/* Definitions of tools as templates want them: {"name", "input_schema"} becomes {"type": "function", "function":
 * ...}; all: every {"name", ...} does. New reference. */
json_t *chat_tools(const json_t *list, bool all);

#endif
