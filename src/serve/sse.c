/* sse.c - see sse.h. */
#include "serve/sse.h"

#include <string.h>

/* Ends the event: hands it out if it had data, also empty data ("data:"). */
static bool dispatch(struct sse *s, sse_fn *fn, void *ctx, struct err *e)
{
    if (!s->has_data)
        return true;
    bool ok = fn(ctx, s->data.n ? s->data.s : "", s->data.n, e);
    s->data.n = 0;
    s->has_data = false;
    return ok;
}

static void take_line(struct sse *s)
{
    const char *p = s->line.s;
    size_t n = s->line.n;
    if (n < 4 || memcmp(p, "data", 4) != 0 || (n > 4 && p[4] != ':'))
        return; /* a comment or another field */
    p += 4;
    n -= 4;
    if (n) {
        p++;
        n--;
    }
    if (n && *p == ' ') { /* one space belongs to the format */
        p++;
        n--;
    }
    if (s->has_data)
        buf_char(&s->data, '\n');
    buf_add(&s->data, p, n);
    s->has_data = true;
}

static bool end_line(struct sse *s, sse_fn *fn, void *ctx, struct err *e)
{
    bool ok = true;
    if (s->line.n)
        take_line(s);
    else
        ok = dispatch(s, fn, ctx, e);
    s->line.n = 0;
    return ok;
}

/* The bytes of a byte order mark are eaten one by one, as they may come in pieces. */
static bool is_bom(const struct sse *s, char c)
{
    static const char bom[] = "\xef\xbb\xbf";
    return s->n_seen < 3 && s->line.n == s->n_seen && c == bom[s->n_seen] &&
           (!s->n_seen || !memcmp(s->line.s, bom, s->n_seen));
}

bool sse_feed(struct sse *s, const void *p, size_t n, sse_fn *fn, void *ctx, struct err *e)
{
    const char *c = p;
    for (size_t i = 0; i < n; i++, s->n_seen++) {
        bool bom = is_bom(s, c[i]), after_cr = s->after_cr;
        s->after_cr = c[i] == '\r';
        if (c[i] == '\n' && after_cr)
            continue; /* the second half of CRLF */
        if (c[i] == '\n' || c[i] == '\r') {
            if (!end_line(s, fn, ctx, e))
                return false;
            continue;
        }
        if (s->line.n + s->data.n >= SSE_MAX_EVENT)
            return err_set(e, ERR_FAILED, "the stream has an event of more than %u bytes", SSE_MAX_EVENT);
        buf_char(&s->line, c[i]);
        if (bom && s->n_seen == 2)
            s->line.n = 0;
    }
    return true;
}

void sse_clear(struct sse *s)
{
    buf_clear(&s->line);
    buf_clear(&s->data);
    *s = (struct sse){0};
}
