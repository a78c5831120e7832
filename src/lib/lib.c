/* lib.c - what all calls of libreap share; see reap.h. */
#include "base/mem.h"
#include "base/sig.h"
#include "base/text.h"
#include "lib/lib_part.h"

#include <stdatomic.h>

static _Thread_local reap_listener heard_by;

const char *reap_version(void)
{
    return REAP_VERSION;
}

void reap_listen(const reap_listener *l)
{
    struct err ignored = {0};
    heard_by = (reap_listener){0};
    if (l)
        take_struct(&heard_by, sizeof heard_by, l, "the listener", &ignored);
}

void reap_set_last_words(void (*say)(const char *reason))
{
    sig_last_words(say);
}

void reap_remove_unfinished(void)
{
    sig_remove_parts();
}

/* ---- a call ---- */

/* Numbers are read and written as in the C locale, whatever the process has. */
static locale_t plain(void)
{
    static _Atomic(locale_t) made;
    locale_t l = made, none = (locale_t)0;
    if (l)
        return l;
    l = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (l && !atomic_compare_exchange_strong(&made, &none, l)) { /* another thread was faster */
        freelocale(l);
        l = none;
    }
    return l;
}

static void say(void *ud, enum log_kind kind, const char *text, size_t n)
{
    struct call *c = ud;
    struct buf b = {0};
    if (!heard_by.message || kind == LOG_LINES)
        return;
    buf_safe(&b, text, n);
    locale_t ours = uselocale(c->locale);
    heard_by.message(heard_by.user, kind == LOG_WARNING ? REAP_WARNING : REAP_NOTE, b.s ? b.s : "");
    uselocale(ours);
    buf_clear(&b);
}

static bool go_on(void *ud)
{
    struct call *c = ud;
    if (heard_by.progress && !c->cancelled) {
        locale_t ours = uselocale(c->locale);
        c->cancelled = heard_by.progress(heard_by.user, c->what, c->done, c->total) != 0;
        uselocale(ours);
    }
    return !c->cancelled;
}

static void progress(void *ud, struct progress *p)
{
    struct call *c = ud;
    c->what = p->ended ? "" : p->what;
    c->done = p->ended ? 0 : p->done;
    c->total = p->ended ? 0 : p->total;
    if (!p->ended)
        go_on(c);
}

void call_begin(struct call *c)
{
    *c = (struct call){.listener = {.say = say, .progress = progress, .go_on = go_on}, .what = ""};
    c->listener.ud = c;
    c->locale = uselocale(plain());
    c->before = log_listen(&c->listener);
}

int call_end(struct call *c, bool ok, reap_error *error)
{
    if (!ok)
        err_set(&c->e, ERR_FAILED, "failed, and the reason was not told");
    log_listen(c->before);
    uselocale(c->locale);
    if (error) {
        *error = (reap_error){.code = ok ? REAP_OK : (int)c->e.code};
        if (!ok)
            memcpy(error->message, c->e.msg, sizeof error->message);
    }
    return ok ? REAP_OK : (int)c->e.code;
}

/* ---- structs of the caller's version ---- */

static size_t size_of(const void *theirs)
{
    size_t n;
    memcpy(&n, theirs, sizeof n);
    return n;
}

bool take_struct(void *ours, size_t n, const void *theirs, const char *what, struct err *e)
{
    size_t given = size_of(theirs);
    const uint8_t *p = theirs;
    if (given < sizeof given || given > 1u << 16)
        return err_set(e, ERR_INPUT, "%s: size is %zu; REAP_INIT sets it", what, given);
    for (size_t i = n; i < given; i++)
        if (p[i])
            return err_set(e, ERR_INPUT, "%s: a member is set that this version of the library does not know",
                           what);
    memset(ours, 0, n);
    memcpy(ours, theirs, given < n ? given : n);
    return true;
}

void give_struct(void *theirs, const void *ours, size_t n)
{
    size_t given = size_of(theirs), first = sizeof given;
    if (given < first || given > 1u << 16)
        return;
    memset((uint8_t *)theirs + first, 0, given - first);
    memcpy((uint8_t *)theirs + first, (const uint8_t *)ours + first, (given < n ? given : n) - first);
}
