/* jspan.h - JSON as text with places: for files that we must edit without touching what we do not mean.
 *
 * A document is parsed strictly (RFC 8259; UTF-8, no duplicate keys, bounded depth) into nodes that say where
 * in the text each value stands. Values are not converted: a number keeps its spelling, whatever its size. An
 * edit replaces or cuts spans; everything else comes out byte for byte, so 1e-06 stays 1e-06 and keys keep
 * their order. Python's NaN, Infinity and -Infinity are taken for numbers when asked for (Python's json
 * writes them). Our own files go through json.h. */
#ifndef REAP_BASE_JSPAN_H
#define REAP_BASE_JSPAN_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

#define JSPAN_MAX_DEPTH 64
#define JSPAN_NONE      UINT32_MAX

enum jkind { J_NULL, J_FALSE, J_TRUE, J_NUMBER, J_STRING, J_ARRAY, J_OBJECT };

struct jnode {
    enum jkind kind;
    uint32_t n;                   /* members or elements */
    size_t at, end;               /* the value is text[at, end): quotes and brackets included */
    size_t key_at, key_end;       /* a member's key with its quotes; 0, 0 for others */
    uint32_t parent, first, next; /* indices of nodes; JSPAN_NONE */
};

struct jdoc {
    const char *text; /* borrowed; stays unchanged while the document is used */
    size_t n;
    struct jnode *nodes; /* 0 is the root; a parent comes before its children, in the order of the text */
    uint32_t n_nodes, cap;
};

/* Parses one value that begins at text[at] (white space before it is skipped). end NULL: nothing but white
 * space may follow; else *end is the place behind the value. A document may be reused: its memory is kept.
 * Errors (ERR_INPUT): "line L, column C: what was found, what was expected". python: NaN and Infinity are
 * numbers. */
bool jdoc_parse(struct jdoc *d, const char *text, size_t n, size_t at, size_t *end, bool python,
                struct err *e);
void jdoc_clear(struct jdoc *d); /* frees the nodes */

uint32_t jdoc_get(const struct jdoc *d, uint32_t object, const char *key); /* member, or JSPAN_NONE */
/* A string value (or key) decoded: escapes resolved, UTF-8. Added to b. */
void jdoc_str(const struct jdoc *d, uint32_t node, struct buf *b);
void jdoc_key(const struct jdoc *d, uint32_t node, struct buf *b);
bool jdoc_str_is(const struct jdoc *d, uint32_t node, const char *s);
bool jdoc_key_is(const struct jdoc *d, uint32_t node, const char *s);
/* A whole number 0..2^64-1 written without sign, fraction or exponent; false otherwise (or node
 * JSPAN_NONE). */
bool jdoc_u64(const struct jdoc *d, uint32_t node, uint64_t *out);
bool jdoc_f64(const struct jdoc *d, uint32_t node, double *out); /* any number */
/* "a string", ...; JSPAN_NONE is "missing" */
const char *jdoc_kind_name(const struct jdoc *d, uint32_t node);
/* Where a node is, for messages: "text_config.num_experts", "ignore[3]". Added to b, safe for a terminal. */
void jdoc_path(const struct jdoc *d, uint32_t node, struct buf *b);

/* ---- edits (jedit.c) ---- */
struct jedit {
    size_t at, end; /* the span to replace */
    char *with;     /* NULL: cut */
};
struct jedits {
    struct jedit *v;
    size_t n, cap;
};
/* New text of a value; a new string as value; a new name of a member. Strings and names unescaped. */
void jedit_value(struct jedits *x, const struct jdoc *d, uint32_t node, const char *json);
void jedit_string(struct jedits *x, const struct jdoc *d, uint32_t node, const char *s);
void jedit_key(struct jedits *x, const struct jdoc *d, uint32_t node, const char *key);
/* Removes an element or member, with its comma. */
void jedit_cut(struct jedits *x, const struct jdoc *d, uint32_t node);
/* A new member behind the existing member `after` of the same object, in the same style of white space. */
void jedit_add_after(struct jedits *x, const struct jdoc *d, uint32_t after, const char *key,
                     const char *json);
/* The text with all edits made. Cuts of neighbouring elements, of all elements and of a last element give
 * valid JSON, and a list that was written one element a line stays so. Clears x. */
void jedits_apply(struct jedits *x, const struct jdoc *d, struct buf *out);
void jedits_clear(struct jedits *x);

/* "a\"b" with quotes, as Python's json.dumps(ensure_ascii=False) writes it. */
void buf_json_str(struct buf *b, const char *s);

#endif
