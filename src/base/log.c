/* log.c - see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct listener *of_all;
static _Thread_local const struct listener *of_thread;

void log_listen_all(const struct listener *l)
{
    of_all = l;
}

const struct listener *log_listen(const struct listener *l)
{
    const struct listener *before = of_thread;
    of_thread = l;
    return before;
}

static const struct listener *listener(void)
{
    return of_thread ? of_thread : of_all;
}

bool log_go_on(void)
{
    const struct listener *l = listener();
    return !l || !l->go_on || l->go_on(l->ud);
}

double now_secs(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void log_lines(const char *text, size_t n)
{
    const struct listener *l = listener();
    if (l && l->say)
        l->say(l->ud, LOG_LINES, text, n);
}

static void say(enum log_kind kind, const char *fmt, va_list ap)
{
    const struct listener *l = listener();
    char s[2048];
    if (!l || !l->say)
        return;
    vsnprintf(s, sizeof s, fmt, ap);
    l->say(l->ud, kind, s, strlen(s));
}

void log_note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(LOG_NOTE, fmt, ap);
    va_end(ap);
}

void log_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(LOG_WARNING, fmt, ap);
    va_end(ap);
}

static void tell(struct progress *p)
{
    const struct listener *l = listener();
    if (l && l->progress)
        l->progress(l->ud, p);
}

void progress_start(struct progress *p, const char *what, const char *unit, uint64_t total, uint64_t first)
{
    *p = (struct progress){.what = what, .unit = unit, .total = total, .done = first, .first = first};
    p->start = p->last = now_secs();
    tell(p);
}

void progress_set(struct progress *p, uint64_t done)
{
    p->done = done;
    tell(p);
}

void progress_end(struct progress *p)
{
    p->ended = true;
    tell(p);
}
