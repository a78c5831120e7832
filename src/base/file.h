/* file.h - files and their paths. Outputs: out.h. */
#ifndef REAP_BASE_FILE_H
#define REAP_BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>
#include <sys/types.h>

/* ---- reading ---- */
/* fd or -1; a folder or a pipe is refused. */
int file_open_read(const char *path, uint64_t *size, struct err *e);
/* Exactly n bytes, or an error that says where the file ends. */
bool file_pread(int fd, void *dst, uint64_t n, uint64_t off, struct err *e);
/* Begins to read these bytes, so that they are there when they are asked for; a hint. */
void file_read_ahead(int fd, uint64_t off, uint64_t n);
/* From here on nothing is read but what is asked for, by file_read_ahead too; false: as usual, which is to read on behind
 * what is asked for. A hint. */
void file_read_as_told(int fd, bool as_told);
/* "-" reads standard input. On failure *out is empty. */
bool file_read_all(const char *path, uint64_t max, struct buf *out, struct err *e);
/* What is left to read of an open file, whose name errors say. */
bool file_read_fd(int fd, const char *path, uint64_t max, struct buf *out, struct err *e);
/* Whether something has this name; a link to nothing is something. False: it cannot be known (a folder that
 * may not be searched, a disk that fails), and *e says why. */
bool file_there(const char *path, bool *there, struct err *e);
bool file_exists(const char *path); /* file_there, where not to know it changes nothing */
bool file_is_dir(const char *path);
void file_stamp(const char *path, struct buf *b); /* adds "SIZE TIME", or "missing": changes with the file */
bool file_same(const char *a, const char *b);     /* the same inode (false if one does not exist) */
/* Whether writing `out` would destroy `in`: the same file, or the name under which out is written until it is
 * complete. */
bool file_would_destroy(const char *out, const char *in);
/* Whether a path, which need not exist, is a folder or lies in it; links are followed. False if there is no such folder. */
bool file_lies_in(const char *path, const char *folder);
/* Refuses an output (NULL: none) that would destroy this input (NULL: none): "the output 'OUT' is WHAT". */
bool file_check_apart(const char *out, const char *in, const char *what, struct err *e);
/* The same of n texts: "the output 'OUT' is the text 'TEXT' itself". */
bool file_check_texts(const char *out, const char *const *texts, uint32_t n, struct err *e);

/* ---- paths ---- */
const char *path_base(const char *path); /* last component, in place */
/* How a model at this path is called: a folder by the last component of its real path, also "." and "dir/"; a snapshot
 * of the hub's cache by the name that its path holds (hub_path.h); a file as it was named, wherever a link leads. Caller
 * frees. */
char *path_own_name(const char *path);
char *path_absolute(const char *path);              /* nothing is resolved; caller frees */
char *path_dir(const char *path);                   /* "." when there is none; caller frees */
char *path_join(const char *dir, const char *name); /* caller frees */
char *path_own_program(void); /* of the program that runs; NULL: the system does not say; caller frees */

bool dir_make(const char *path, struct err *e); /* like mkdir -p */

#endif
