/* sig.c - see sig.h. */
#include "base/sig.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t pending;
#define MAX_PARTS 4096 /* shards of one output */
static const char *volatile parts[MAX_PARTS];

void sig_remove_parts(void)
{
    for (int i = 0; i < MAX_PARTS; i++) {
        const char *p = parts[i];
        if (p)
            unlink(p);
    }
}

static void on_signal(int no)
{
    if (pending) {
        sig_remove_parts();
        _exit(ERR_INTERRUPTED);
    }
    pending = no;
}

void sig_install(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    signal(SIGXFSZ, SIG_IGN); /* so is a file size limit */
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error like any other */
}

bool sig_pending(void)
{
    return pending != 0;
}

bool sig_check(struct err *e)
{
    return !pending || err_set(e, ERR_INTERRUPTED, "interrupted");
}

void sig_watch_part(const char *path)
{
    for (int i = 0; i < MAX_PARTS; i++)
        if (!parts[i]) {
            parts[i] = path;
            return;
        }
}

void sig_unwatch_part(const char *path)
{
    for (int i = 0; i < MAX_PARTS; i++)
        if (parts[i] == path)
            parts[i] = NULL;
}
