/* test_term.c - what terminals are told: lines of progress in their width, colours where they belong. */
#include "base/buf.h"
#include "base/log.h"
#include "base/term.h"

#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

/* A terminal in the place of standard error, from begin to end. */
static int master, kept = -1;

static void resize(uint16_t columns)
{
    struct winsize w = {.ws_row = 24, .ws_col = columns};
    assert_int_equal(ioctl(master, TIOCSWINSZ, &w), 0);
}

static void begin(uint16_t columns)
{
    int slave;
    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    kept = dup(STDERR_FILENO);
    dup2(slave, STDERR_FILENO);
    close(slave);
    resize(columns);
}

/* What was written since; the terminal stays. */
static const char *written(void)
{
    static char s[4096];
    size_t n = 0;
    fflush(stderr);
    /* the kernel hands it over in pieces of its own and in its own time: a last byte says that it is all here */
    assert_int_equal(write(STDERR_FILENO, "\004", 1), 1);
    while (!n || s[n - 1] != '\004') {
        ssize_t more = read(master, s + n, sizeof s - 1 - n);
        assert_true(more > 0);
        n += (size_t)more;
    }
    s[n - 1] = 0;
    return s;
}

static void end(void)
{
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(master);
}

static const char *progress(const char *what)
{
    static char seen[4096];
    struct progress p;
    progress_start(&p, what, "tokens", 1000000000, 0);
    p.start -=
        100010; /* a day and more, of which what the test itself takes changes no digit that is shown */
    p.last -= 100;
    progress_set(&p, 250000000);
    snprintf(seen, sizeof seen, "%s", written());
    progress_end(&p);
    assert_string_equal(written(), "\r\033[K");
    return seen;
}

static void test_progress(void **state)
{
    (void)state;
    begin(100);
    const char *full = "profile  25.0 %  250,000,000 tokens  2,499/s  83 h 20 min left";
    assert_string_equal(progress("profile"), full);
    /* the window changes while the program runs: what there is no room for is left out, no number is cut */
    static const char *const fits[] = {"profile  25.0 %  250,000,000 tokens  2,499/s  83 h 20 min left",
                                       "profile  25.0 %  250,000,000 tokens  83 h 20 min left",
                                       "profile  25.0 %  83 h 20 min left", "profile  25.0 %"};
    for (uint16_t n = 80; n >= 2; n--) {
        size_t i = 0;
        resize(n);
        while (i < 3 && strlen(fits[i]) >= n)
            i++;
        const char *s = progress("profile");
        assert_int_equal(strlen(s), strlen(fits[i]) < n ? strlen(fits[i]) : n - 1u);
        assert_memory_equal(s, fits[i], strlen(s));
    }
    resize(9);
    assert_string_equal(progress("a\xc3\xa9\xe6\xbc\xa2\xe6\xbc\xa2x"),
                        "a\xc3\xa9\xe6\xbc\xa2\xe6\xbc\xa2x ");
    resize(6);
    assert_string_equal(progress("a\xc3\xa9\xe6\xbc\xa2\xe6\xbc\xa2x"), "a\xc3\xa9\xe6\xbc\xa2");
    resize(0); /* it does not say */
    assert_string_equal(progress("profile"), full);
    end();
}

/* The line of an error, as written on the terminal. */
static const char *error(void)
{
    log_error("no");
    return written();
}

static void test_colours(void **state)
{
    (void)state;
    static const struct {
        uint32_t when;
        const char *none, *force, *term;
        bool coloured;
    } cases[] = {
        {TERM_AUTO, NULL, NULL, "xterm", true}, {TERM_AUTO, "", NULL, "xterm", true},
        {TERM_AUTO, "1", NULL, "xterm", false}, {TERM_AUTO, "1", "1", "xterm", false},
        {TERM_AUTO, NULL, NULL, "dumb", false}, {TERM_AUTO, NULL, NULL, NULL, false},
        {TERM_AUTO, NULL, "1", "dumb", true},   {TERM_AUTO, NULL, "0", "dumb", false},
        {TERM_ALWAYS, "1", NULL, "dumb", true}, {TERM_NEVER, NULL, "1", "xterm", false},
    };
    begin(80);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *names[] = {"NO_COLOR", "CLICOLOR_FORCE", "TERM"};
        const char *values[] = {cases[i].none, cases[i].force, cases[i].term};
        for (size_t k = 0; k < 3; k++)
            values[k] ? setenv(names[k], values[k], 1) : unsetenv(names[k]);
        term_when = cases[i].when;
        const char *want = cases[i].coloured ? "\033[1;31mreap:\033[0m no\r\n" : "reap: no\r\n";
        if (strcmp(error(), want) != 0)
            fail_msg("case %zu", i);
    }
    term_when = TERM_ALWAYS;
    log_warn("odd \033[2J");
    assert_string_equal(written(), "\033[1;33mreap: warning:\033[0m odd ?[2J\r\n");
    log_note("plain");
    assert_string_equal(written(), "plain\r\n");
    end();
    term_when = TERM_AUTO;
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    unsetenv("CLICOLOR_FORCE");
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_string_equal(term_on(pipes[1], TERM_ERROR), "");
    assert_int_equal(term_columns(pipes[1]), 0);
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_progress), cmocka_unit_test(test_colours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
