/* term.c - see term.h. */
#include "base/term.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *const term_whens[] = {
    [TERM_AUTO] = "auto", [TERM_ALWAYS] = "always", [TERM_NEVER] = "never", NULL};
uint32_t term_when = TERM_AUTO;

static bool colours(int fd)
{
    if (term_when != TERM_AUTO)
        return term_when == TERM_ALWAYS;
    const char *none = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE"), *term = getenv("TERM");
    if (none && *none)
        return false;
    if (force && *force && strcmp(force, "0") != 0)
        return true;
    return isatty(fd) == 1 && term && *term && strcmp(term, "dumb") != 0;
}

const char *term_on(int fd, enum term_style style)
{
    static const char *const begins[] = {
        [TERM_ERROR] = "\033[1;31m", [TERM_WARNING] = "\033[1;33m", [TERM_HEADING] = "\033[1m"};
    return colours(fd) ? begins[style] : "";
}

const char *term_off(int fd)
{
    return colours(fd) ? "\033[0m" : "";
}

uint32_t term_columns(int fd)
{
    struct winsize w;
    return ioctl(fd, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

size_t term_fits(const char *s, uint32_t columns)
{
    size_t n = strlen(s), at = 0, k;
    for (uint32_t used = 0; at < n; at += k) {
        k = utf8_len(s + at, n - at);
        used += k >= 3 ? 2 : 1;
        if (used > columns)
            break;
        k += !k; /* not UTF-8 */
    }
    return at;
}
