/* tempdir.c - see tempdir.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tempdir.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *tmp;

int tempdir_setup(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    if (asprintf(&tmp, "%s/reap test \xc3\xa4 XXXXXX", base && *base ? base : "/tmp") < 0)
        return -1;
    return mkdtemp(tmp) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st, (void)flag, (void)f;
    return remove(path);
}

int tempdir_teardown(void **state)
{
    (void)state;
    int rc = nftw(tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(tmp);
    tmp = NULL;
    return rc;
}

const char *at(const char *name)
{
    static char ring[64][512];
    static unsigned next;
    char *s = ring[next++ % 64];
    int n = snprintf(s, sizeof ring[0], "%s/%s", tmp, name);
    assert_in_range(n, 1, sizeof ring[0] - 1);
    return s;
}

void put_bytes(const char *name, const void *p, size_t n)
{
    char path[512];
    memcpy(path, at(name), sizeof path);
    for (char *s = path + strlen(tmp) + 1; (s = strchr(s, '/')); s++) {
        *s = 0;
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            fail_msg("cannot make folder '%s': %s", path, strerror(errno));
        *s = '/';
    }
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0)
        fail_msg("cannot write '%s': %s", path, strerror(errno));
}

void put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

void put_files(const char *name, const char *folder)
{
    char from[512], to[512];
    static char data[1 << 22];
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *x; (x = readdir(d));) {
        struct stat st;
        snprintf(from, sizeof from, "%s/%s", folder, x->d_name);
        snprintf(to, sizeof to, "%s/%s", name, x->d_name);
        if (stat(from, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        FILE *f = fopen(from, "rb");
        assert_non_null(f);
        size_t n = fread(data, 1, sizeof data, f);
        if (n == sizeof data || fclose(f) != 0)
            fail_msg("cannot read '%s'", from);
        put_bytes(to, data, n);
    }
    closedir(d);
}
