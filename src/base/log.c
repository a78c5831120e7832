/* log.c - see log.h. */
#include "base/log.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool log_quiet, log_verbose;
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

static void __attribute__((format(printf, 2, 0))) say(const char *prefix, const char *fmt, va_list ap)
{
    char s[2048];
    vsnprintf(s, sizeof s, fmt, ap);
    struct buf b = {0};
    buf_safe(&b, s, strlen(s));
    clear_line();
    fprintf(stderr, "%s%s\n", prefix, b.s ? b.s : "");
    buf_clear(&b);
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
    va_list ap;
    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
}

void log_warn(const char *fmt, ...)
{
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    char s[2048];
    vsnprintf(s, sizeof s, fmt, ap2);
    va_end(ap2);
    GROW(warnings, n_warnings, cap_warnings);
    warnings[n_warnings++] = xstrdup(s);
    say("reap: warning: ", fmt, ap);
    va_end(ap);
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
    char a[32], b[32], c[32];
    double secs = t - p->start, rate = secs > 0 ? (double)(p->done - p->first) / secs : 0;
    bool bytes = !strcmp(p->unit, "bytes");
    clear_line();
    fprintf(stderr, "%s", p->what);
    if (p->total) /* rounded down: 100 % means done */
        fprintf(stderr, "  %.1f %%", (double)(p->done * 1000 / p->total) / 10.0);
    if (bytes)
        fprintf(stderr, "  %s  %s/s", human_bytes(p->done, a), human_bytes((uint64_t)rate, b));
    else
        fprintf(stderr, "  %s %s  %s/s", human_count(p->done, a), p->unit, human_count((uint64_t)rate, b));
    if (p->total > p->done && rate > 0)
        fprintf(stderr, "  %s left", human_secs((double)(p->total - p->done) / rate, c));
    if (p->tty)
        line_open = true;
    else
        fputc('\n', stderr);
    fflush(stderr);
}

void progress_set(struct progress *p, uint64_t done)
{
    p->done = done;
    if (log_quiet)
        return;
    double t = now_secs();
    if (t - p->start < 1 || t - p->last < (p->tty ? 0.25 : 10))
        return;
    p->last = t;
    show(p, t);
}

void progress_end(struct progress *p)
{
    (void)p;
    clear_line();
}
