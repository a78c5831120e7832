/* question.h - questions with choices, of which one is right: rows of the usual public sets as texts whose
 * likelihood a model can be asked for.
 *
 * A form is a row of a table in question.c: the members by which a row is known, and the texts that become of it.
 * These are the prompts of lm-evaluation-harness without examples in front (its tasks arc_easy, openbookqa,
 * hellaswag, piqa, winogrande, mmlu, boolq), so that accuracies can be compared. All rows of a file are of one
 * form. */
#ifndef REAP_CORPUS_QUESTION_H
#define REAP_CORPUS_QUESTION_H

#include "base/err.h"
#include <stdint.h>

#define QUESTION_MAX_CHOICES 64 /* of a question */

/* What is scored is `after` behind `before`. Owned, never empty; `after` begins with the white space between
 * them. */
struct choice {
    char *before, *after;
    uint32_t n_chars; /* of the choice, by which acc_norm divides: characters, without the space in front */
};
struct question_row {
    char *id; /* the row's own, or NULL */
    uint32_t line;
    struct choice *list;
    uint32_t n, answer; /* answer: its place in the list */
};
struct question_file { /* zeroed at first */
    const char *path;
    const char *form; /* its name; a constant */
    struct question_row *rows;
    uint32_t n, cap;
};

/* Reads a file of rows (rowfile.h), packed or not; "-" is standard input. False with *e set (ERR_INPUT): the
 * path, the line, what was expected. *f is empty then. path is borrowed. */
bool question_file_read(struct question_file *f, const char *path, struct err *e);
void question_file_clear(struct question_file *f);

#endif
