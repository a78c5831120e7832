/* card_part.h - between the files of the model card: parts of a text, and what each file makes of it. */
#ifndef REAP_HF_CARD_PART_H
#define REAP_HF_CARD_PART_H

#include "hf/card.h"

#include <string.h>

#define CARD_BEGIN "<!-- reap:begin -->"
#define CARD_END   "<!-- reap:end -->"

/* ---- parts of a text ---- */

/* A part of a text, never NUL-terminated. */
struct span {
    const char *s;
    size_t n;
};

static inline struct span span_of(const char *from, const char *to)
{
    return (struct span){from, (size_t)(to - from)};
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline struct span trim(struct span t)
{
    while (t.n && is_space(t.s[t.n - 1]))
        t.n--;
    while (t.n && is_space(*t.s)) {
        t.s++;
        t.n--;
    }
    return t;
}

static inline bool span_is(struct span t, const char *s)
{
    return t.n == strlen(s) && memcmp(t.s, s, t.n) == 0;
}

/* Behind the line that begins at p. */
static inline const char *line_end(const char *p, const char *end)
{
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    return nl ? nl + 1 : end;
}

/* Ends the line if the text ended without. */
static inline void close_line(struct buf *b, const char *nl)
{
    if (b->n && b->s[b->n - 1] != '\n')
        buf_str(b, nl);
}

/* ---- front matter: card_front.c ---- */

struct front {
    const char *start, *end; /* of the lines between the two of --- */
    bool broken;             /* begins and does not end */
};

/* NULL start: there is none. The text may begin with a byte order mark and empty lines. */
struct front card_find_front(const char *text);
/* Adds the lines between the two of --- with the base model (NULL: as it is) and our tags. False: they are
 * written in a way that is not known, and stay as they are. nl: how lines end. */
bool card_put_front(struct buf *b, const struct front *f, const struct card_facts *facts, const char *nl);
/* The lines of a new one. */
void card_put_new_front(struct buf *b, const struct card_facts *facts, const char *nl);

/* ---- section: card_section.c ---- */

#define CARD_SHOWN 200 /* bytes of a text from a file */
#define CARD_TEXTS 50  /* evaluated ones, of which results are shown */

/* Text as plain text of Markdown. */
void card_put_title(struct buf *b, const char *s);
/* Adds it between its two comments, with the line ends of the text. */
void card_put_section(struct buf *b, const struct card_facts *f, const char *nl);

#endif
