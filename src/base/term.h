/* term.h - the terminal behind standard output or standard error: whether it takes colours, and how wide it is.
 *
 * Colours: what --color says. With auto, the default: none where NO_COLOR is set (https://no-color.org), all where
 * CLICOLOR_FORCE is (https://bixense.com/clicolors), else where the stream is a terminal and TERM is not "dumb". */
#ifndef REAP_BASE_TERM_H
#define REAP_BASE_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum term_when { TERM_AUTO, TERM_ALWAYS, TERM_NEVER };
extern const char *const term_whens[]; /* their words, ended by NULL */
extern uint32_t term_when;             /* --color */

enum term_style { TERM_ERROR, TERM_WARNING, TERM_HEADING };

/* What begins and ends a style on the stream of a descriptor: "" where it takes no colours. */
const char *term_on(int fd, enum term_style style);
const char *term_off(int fd);

/* Columns, asked anew each time: a window may have changed. 0: not a terminal, or it does not say. */
uint32_t term_columns(int fd);
/* How many bytes of the text fit into so many columns; whole characters. Those of three bytes and
 * more may be wide, and count as two columns. */
size_t term_fits(const char *s, uint32_t columns);

#endif
