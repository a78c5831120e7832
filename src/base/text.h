/* text.h - small text helpers: sizes for people, strict numbers, UTF-8, terminal-safe output. */
#ifndef REAP_BASE_TEXT_H
#define REAP_BASE_TEXT_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>
#include <stdio.h>

/* "13.1 GB" (decimal, as disks and the hub count). dst holds at least 32 bytes; returns dst. */
const char *human_bytes(uint64_t n, char dst[32]);
const char *human_secs(double s, char dst[32]);    /* "42 s", "3 min 07 s", "2 h 05 min" */
const char *human_count(uint64_t n, char dst[32]); /* 1234567 -> "1,234,567" */

/* The whole string is one number, or false. */
bool parse_u64(const char *s, uint64_t *out);
bool parse_i64(const char *s, int64_t *out);
bool parse_f64(const char *s, double *out); /* finite */
/* "9.75G", "800MiB", "1200": K M G T = powers of 1000, Ki.. = powers of 1024, optional B */
bool parse_size(const char *s, uint64_t *bytes);

/* Of the sequence that s begins with: 1..4, 0 if it is not valid UTF-8 (n > 0). */
size_t utf8_len(const char *s, size_t n);
/* How many bytes at the start are valid UTF-8: n, or the place of the first fault. */
size_t utf8_good(const char *s, size_t n);
bool utf8_valid(const char *s, size_t n);
bool text_ends(const char *s, const char *end); /* s ends with `end` */

/* What comes from a file, a model, a server or a command line must not drive the terminal, turn what stands around
 * it, or hide in it. Whether the character (k = utf8_len(s, n) > 0) would: the list is in text.c. */
bool text_misleads(const char *s, size_t k);
/* Adds s with such characters and bad UTF-8 as '?', in one line. All that is printed goes through it: messages
 * (err.c, log_terminal.c), results (cmd_print), lines of the engine and of servers. */
void buf_safe(struct buf *b, const char *s, size_t n);
/* The same, but these (of "\n\t") stay. */
void buf_safe_but(struct buf *b, const char *s, size_t n, const char *keep);
/* Adds s as text of a JSON string: such characters as \u, which are the same values. Nothing else is escaped. */
void buf_escape(struct buf *b, const char *s, size_t n);
/* A name as it is kept in records and ids, in one line: control characters and bad UTF-8 as '?', all else as it
 * is. Not for the terminal. */
void buf_line(struct buf *b, const char *s, size_t n);
/* A name as one word of a command that a shell takes: quoted where that needs it. */
void buf_shell(struct buf *b, const char *s);
/* A name from a file for a message: what misleads is escaped, so that it can be seen, and it is cut to what fits
 * in `size` bytes, with "..." then. Returns dst. */
#define TEXT_SHOWN 100 /* enough for most names */
const char *text_shown(char *dst, size_t size, const char *s);

#endif
