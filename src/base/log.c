/* log.c - see log.h. */
#include "base/log.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/term.h"
#include "base/text.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool log_quiet;
int log_verbose;
static char **warnings;
static size_t n_warnings, cap_warnings;
static bool line_open; /* a progress line stands on the terminal */

double now_secs(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void clear_line(void)
{
    if (line_open)
        fputs("\r\033[K", stderr);
    line_open = false;
}

/* The lead in its style, then the text. */
static void line(const char *lead, enum term_style style, const char *text)
{
    struct buf b = {0};
    buf_safe(&b, text, strlen(text));
    clear_line();
    fprintf(stderr, "%s%s%s%s%s\n", *lead ? term_on(STDERR_FILENO, style) : "", lead,
            *lead ? term_off(STDERR_FILENO) : "", *lead ? " " : "", b.s ? b.s : "");
    buf_clear(&b);
}

void log_error(const char *message)
{
    line("reap:", TERM_ERROR, message);
}

void log_lines(const char *text, size_t n)
{
    struct buf b = {0};
    buf_safe_but(&b, text, n, "\n");
    clear_line();
    fwrite(b.s ? b.s : "", 1, b.n, stderr);
    buf_clear(&b);
}

void log_note(const char *fmt, ...)
{
    if (log_quiet)
        return;
    char s[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s, sizeof s, fmt, ap);
    va_end(ap);
    line("", TERM_HEADING, s);
}

void log_warn(const char *fmt, ...)
{
    char s[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s, sizeof s, fmt, ap);
    va_end(ap);
    GROW(warnings, n_warnings, cap_warnings);
    warnings[n_warnings++] = xstrdup(s);
    line("reap: warning:", TERM_WARNING, s);
}

size_t log_warnings(char ***list)
{
    *list = warnings;
    return n_warnings;
}

void progress_start(struct progress *p, const char *what, const char *unit, uint64_t total, uint64_t first)
{
    *p = (struct progress){.what = what, .unit = unit, .total = total, .done = first, .first = first};
    p->start = p->last = now_secs();
    p->tty = isatty(STDERR_FILENO) == 1;
}

static void show(const struct progress *p, double t)
{
    char a[32], c[32];
    struct buf b = {0};
    double secs = t - p->start, rate = secs > 0 ? (double)(p->done - p->first) / secs : 0;
    buf_safe(&b, p->what, strlen(p->what));
    if (p->total) /* rounded down: 100 % means done */
        buf_fmt(&b, "  %.1f %%", (double)(p->done * 1000 / p->total) / 10.0);
    if (!strcmp(p->unit, "bytes"))
        buf_fmt(&b, "  %s  %s/s", human_bytes(p->done, a), human_bytes((uint64_t)rate, c));
    else
        buf_fmt(&b, "  %s %s  %s/s", human_count(p->done, a), p->unit, human_count((uint64_t)rate, c));
    if (p->total > p->done && rate > 0)
        buf_fmt(&b, "  %s left", human_secs((double)(p->total - p->done) / rate, a));
    clear_line();
    if (p->tty) { /* in the last column some terminals begin a new line */
        uint32_t columns = term_columns(STDERR_FILENO);
        b.s[term_fits(b.s, columns > 1 ? columns - 1 : 79)] = 0;
    }
    fprintf(stderr, "%s%s", b.s, p->tty ? "" : "\n");
    line_open = p->tty;
    fflush(stderr);
    buf_clear(&b);
}

void progress_set(struct progress *p, uint64_t done)
{
    p->done = done;
    if (log_quiet)
        return;
    double t = now_secs();
    /* an estimate when a second was measured; without a terminal then a line now and then */
    if (t - p->start < 1 || (p->last > p->start && t - p->last < (p->tty ? 0.25 : 10)))
        return;
    p->last = t;
    show(p, t);
}

void progress_end(struct progress *p)
{
    (void)p;
    clear_line();
}
