/* fuzz_report.c - any bytes as the files of a report, lines "%%" between them: statistics, plan, evaluation, sweep,
 * comparison (or answers, then a second file of answers), record of a run; an empty one is not there.
 *
 * A page is made exactly when there is no error. Every tag of it is one of ours, none has a handler or leads out of the
 * page, and nothing in it misleads. */
#include "base/file.h"
#include "base/log.h"
#include "fuzz.h"
#include "json_mutator.h"
#include "report/report.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>

#define N_PARTS 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64], page[80];

static void cleanup(void)
{
    unlink(page);
    rmdir(dir);
}

static void make_dir(void)
{
    if (!fuzz_dir(dir, cleanup))
        return;
    snprintf(page, sizeof page, "%s/page.html", dir);
    log_quiet = true;
}

/* Names of elements that a page has; an attribute's value is quoted, so a '<' in one would be a reference. */
static bool is_ours(const char *tag, size_t n)
{
    static const char *const ours =
        " !DOCTYPE html head meta link title style body a header h1 h2 h3 h4 nav ul li main section footer p script table "
        "thead tbody tr th td div span i b bdi small code pre del ins article svg defs use path text img figure figcaption "
        "details summary dl dt dd ";
    char name[24];
    if (n + 3 > sizeof name)
        return false;
    snprintf(name, sizeof name, " %.*s ", (int)n, tag);
    return strstr(ours, name) != NULL;
}

static void check_tag(const char *s, const char *end)
{
    const char *name = s + 1 + (s[1] == '/');
    size_t n = 0;
    while (name + n < end && (isalnum((unsigned char)name[n]) || name[n] == '!'))
        n++;
    MUST(is_ours(name, n));
    for (const char *p = name; p < end;
         p++) { /* attributes: no on..., no address but of the page and of data */
        MUST(strncmp(p, " on", 3) || !memchr(p, '=', (size_t)(end - p)) || memchr(s, '"', (size_t)(p - s)));
        if (!strncmp(p, " href=\"", 7))
            MUST(p[7] == '#' || !strncmp(p + 7, "data:", 5));
        if (!strncmp(p, " src=\"", 6))
            MUST(!strncmp(p + 6, "data:", 5));
    }
}

static void check_page(void)
{
    struct buf b = {0};
    struct err e = {0};
    MUST(file_read_all(page, 1u << 30, &b, &e));
    fuzz_fit(b.s, b.n, "\n\t");
    uint32_t n_scripts = 0;
    for (const char *s = b.s, *end; (s = strchr(s, '<')); s = end) {
        end = strchr(s, '>');
        MUST(end);
        check_tag(s, end);
        n_scripts += !strncmp(s, "<script", 7);
        if (!strncmp(s, "<script", 7))
            MUST((end = strstr(s, "</script>")));
        else if (!strncmp(s, "<style", 6))
            MUST((end = strstr(s, "</style>")));
    }
    MUST(n_scripts >= 1 && n_scripts <= 2);
    buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[N_PARTS][64];
    int fd[N_PARTS];
    const char *in[N_PARTS] = {NULL}, *s = (const char *)data, *all = s + size;
    for (int i = 0; i < N_PARTS; i++) {
        const char *end = i == N_PARTS - 1 ? NULL : memmem(s, (size_t)(all - s), "\n%%\n", 4);
        size_t n = (size_t)((end ? end : all) - s);
        fd[i] = n ? fuzz_file(s, n, path[i]) : -1;
        in[i] = n ? path[i] : NULL;
        s = end ? end + 4 : all;
    }
    make_dir();
    const struct report_opts o = {
        .stats = in[0],
        .plan = in[1],
        .eval_after = size % 2 ? in[2] : NULL,
        .against = size % 2 ? NULL : in[2],
        .sweep = in[3],
        .compare = {in[4], in[5]},
        .run = in[6],
        .force = true,
    };
    struct report_result r = {0};
    struct err e = {0};
    bool ok = report_write(&o, page, &r, &e);
    fuzz_told(ok, &e);
    if (ok) {
        MUST(r.n_sections && r.bytes);
        check_page();
        unlink(page);
    }
    for (int i = 0; i < N_PARTS; i++)
        if (fd[i] >= 0)
            close(fd[i]);
    return 0;
}
