/* tempdir.h - a folder of the running test below TMPDIR, removed when the test ends.
 *
 * Its name holds a space and a letter outside ASCII, so that every test of a path is one of those too. The
 * functions end the running test (cmocka) when something does not work. */
#ifndef REAP_TESTS_TEMPDIR_H
#define REAP_TESTS_TEMPDIR_H

#include <stddef.h>

int tempdir_setup(void **state); /* for cmocka; *state stays as it is */
int tempdir_teardown(void **state);

extern char *tmp; /* the folder of the running test */

const char *at(const char *name); /* path of a name in it; the last 64 results are valid */
/* Writes a file of that name, with the folders above it; not through src/base/file.c, which is tested so. */
void put(const char *name, const char *text);
void put_bytes(const char *name, const void *p, size_t n);
/* Copies the files of a folder (not what is in folders of it) into one of that name. */
void put_files(const char *name, const char *folder);

#endif
