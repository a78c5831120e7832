/* driver.c - runs stored inputs through a fuzz target, without a fuzzer: part of the normal test run.
 *
 *   fuzz_X FILE|FOLDER...
 *
 * Folders are read one level deep. Each input gets its own allocation, so that a sanitizer sees reads behind
 * its end. It fails when there is no input, so that a lost folder does not pass as success. */
#include "base/file.h"

#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool run_file(const char *path, unsigned *n)
{
    struct buf b = {0};
    struct err e = {0};
    if (!file_read_all(path, MAX_BYTES, &b, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        return false;
    }
    uint8_t *p = malloc(b.n ? b.n : 1);
    if (!p)
        return false;
    memcpy(p, b.s, b.n);
    printf("%s (%zu bytes)\n", path, b.n);
    fflush(stdout); /* the last line before a crash names the input */
    LLVMFuzzerTestOneInput(p, b.n);
    free(p);
    buf_clear(&b);
    ++*n;
    return true;
}

static bool run_dir(const char *path, unsigned *n)
{
    struct dirent **list;
    int count = scandir(path, &list, NULL, alphasort);
    if (count < 0) {
        fprintf(stderr, "cannot read folder '%s'\n", path);
        return false;
    }
    bool ok = true;
    for (int i = 0; i < count; i++) {
        if (list[i]->d_name[0] != '.') {
            char *file = path_join(path, list[i]->d_name);
            ok = (file_is_dir(file) || run_file(file, n)) && ok;
            free(file);
        }
        free(list[i]);
    }
    free(list);
    return ok;
}

int main(int argc, char **argv)
{
    bool ok = true;
    unsigned n = 0;
    for (int i = 1; i < argc; i++)
        ok = (file_is_dir(argv[i]) ? run_dir(argv[i], &n) : run_file(argv[i], &n)) && ok;
    printf("%u inputs\n", n);
    if (n == 0)
        fprintf(stderr, "no input found\n");
    return ok && n ? 0 : 1;
}
