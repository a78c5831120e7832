/* log_terminal.c - the listener of a program: standard error; see log.h. */
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/term.h"
#include "base/text.h"

#include <string.h>
#include <unistd.h>

bool log_quiet;
int log_verbose;
static char **warnings;
static size_t n_warnings, cap_warnings;
static bool line_open; /* a progress line stands on the terminal */

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

size_t log_warnings(char ***list)
{
    *list = warnings;
    return n_warnings;
}

/* What a line of progress says, in its order. */
enum { WHAT, COUNT, RATE, LEFT, N_PARTS };

/* All parts where they fit into so many columns; else without the rate, then the count, then the time left: a number
 * that is cut is another number. */
static void fit(struct buf part[N_PARTS], uint32_t columns)
{
    static const int goes[] = {RATE, COUNT, LEFT};
    for (size_t i = 0; i <= sizeof goes / sizeof *goes; i++) {
        size_t n = 0; /* only the first part may hold more than ASCII */
        for (int k = COUNT; k < N_PARTS; k++)
            n += part[k].n;
        if (n < columns && !part[WHAT].s[term_fits(part[WHAT].s, columns - (uint32_t)n)])
            return;
        if (i < sizeof goes / sizeof *goes)
            buf_clear(&part[goes[i]]);
    }
    part[WHAT].s[term_fits(part[WHAT].s, columns)] = 0;
}

static void show(const struct progress *p, double t)
{
    char a[32];
    struct buf part[N_PARTS] = {0};
    bool bytes = !strcmp(p->unit, "bytes");
    double secs = t - p->start, rate = secs > 0 ? (double)(p->done - p->first) / secs : 0;
    buf_safe(&part[WHAT], p->what, strlen(p->what));
    if (p->total) /* rounded down: 100 % means done */
        buf_fmt(&part[WHAT], "  %.1f %%", (double)(p->done * 1000 / p->total) / 10.0);
    buf_fmt(&part[COUNT], "  %s%s%s", bytes ? human_bytes(p->done, a) : human_count(p->done, a),
            bytes ? "" : " ", bytes ? "" : p->unit);
    buf_fmt(&part[RATE], "  %s/s", bytes ? human_bytes((uint64_t)rate, a) : human_count((uint64_t)rate, a));
    if (p->total > p->done && rate > 0)
        buf_fmt(&part[LEFT], "  %s left", human_secs((double)(p->total - p->done) / rate, a));
    if (p->tty) { /* in the last column some terminals begin a new line */
        uint32_t columns = term_columns(STDERR_FILENO);
        fit(part, columns > 1 ? columns - 1 : 79);
    }
    clear_line();
    for (int k = 0; k < N_PARTS; k++) {
        fputs(part[k].s ? part[k].s : "", stderr);
        buf_clear(&part[k]);
    }
    if (!p->tty)
        fputc('\n', stderr);
    line_open = p->tty;
    fflush(stderr);
}

static void progress(void *ud, struct progress *p)
{
    (void)ud;
    if (p->ended)
        clear_line();
    else if (p->last <= p->start)
        p->tty = isatty(STDERR_FILENO) == 1;
    if (p->ended || log_quiet)
        return;
    double t = now_secs();
    /* an estimate when a second was measured; without a terminal then a line now and then */
    if (t - p->start < 1 || (p->last > p->start && t - p->last < (p->tty ? 0.25 : 10)))
        return;
    p->last = t;
    show(p, t);
}

static void warn(const char *text)
{
    GROW(warnings, n_warnings, cap_warnings);
    warnings[n_warnings++] = xstrdup(text);
    line("reap: warning:", TERM_WARNING, text);
}

static void lines(const char *text, size_t n)
{
    struct buf b = {0};
    buf_safe_but(&b, text, n, "\n");
    clear_line();
    fwrite(b.s ? b.s : "", 1, b.n, stderr);
    buf_clear(&b);
}

static void say(void *ud, enum log_kind kind, const char *text, size_t n)
{
    (void)ud;
    if (kind == LOG_LINES)
        lines(text, n);
    else if (kind == LOG_WARNING)
        warn(text);
    else if (!log_quiet)
        line("", TERM_HEADING, text);
}

const struct listener log_terminal = {.say = say, .progress = progress};
