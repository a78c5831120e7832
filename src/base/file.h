/* file.h - files: reading, and outputs that appear complete or not at all.
 *
 * An output is written to "NAME.part" beside NAME, locked against a second writer, synced, and renamed at the
 * end (out_commit). When the program fails or is interrupted the .part file is removed; when it is killed
 * outright the .part file may stay, NAME never appears half-written. An output that exists is refused unless
 * `force`; an output that is one of the inputs is always refused by the caller (file_same). */
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
/* "-" reads standard input. */
bool file_read_all(const char *path, uint64_t max, struct buf *out, struct err *e);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
void file_stamp(const char *path, struct buf *b); /* adds "SIZE TIME", or "missing": changes with the file */
bool file_same(const char *a, const char *b);     /* the same inode (false if one does not exist) */
/* Whether writing `out` would destroy `in`: the same file, or the name under which out is written until it is
 * complete. */
bool file_would_destroy(const char *out, const char *in);
/* Refuses an output (NULL: none) that would destroy this input (NULL: none): "the output 'OUT' is WHAT". */
bool file_check_apart(const char *out, const char *in, const char *what, struct err *e);
/* The same of n texts: "the output 'OUT' is the text 'TEXT' itself". */
bool file_check_texts(const char *out, const char *const *texts, uint32_t n, struct err *e);

/* ---- paths ---- */
const char *path_base(const char *path); /* last component, in place */
/* Last component of the real path, also of "." and "dir/"; caller frees. */
char *path_own_name(const char *path);
char *path_dir(const char *path);                   /* "." when there is none; caller frees */
char *path_join(const char *dir, const char *name); /* caller frees */
char *path_own_program(void); /* of the program that runs; NULL: the system does not say; caller frees */

/* ---- writing ---- */
struct out {
    int fd; /* -1 when not open */
    char *path, *part;
    uint64_t pos;    /* bytes written so far */
    uint64_t sent;   /* of these, bytes that the disk was asked to write */
    uint8_t *bounce; /* of out_copy */
};

/* Opens PATH.part. False: *e set, nothing open. */
bool out_open(struct out *o, const char *path, bool force, struct err *e);
bool out_write(struct out *o, const void *p, uint64_t n, struct err *e);
bool out_zero(struct out *o, uint64_t n, struct err *e);
/* Copies bytes [off, off+n) of fd behind what was written, through a small buffer; what is written is sent to
 * the disk early. (copy_file_range was measured: 20 % slower where the kernel has to copy, and ranges that
 * start at any byte are never shared.) Checks for an interruption now and then. */
bool out_copy(struct out *o, int fd, uint64_t off, uint64_t n, struct err *e);
/* Nothing more will be written: what is left goes to the disk while the caller does other things, and the
 * memory of out_copy is freed. */
void out_end(struct out *o);
/* fsync: the .part file is complete (and stays open and locked until it is renamed). For outputs of several
 * files: sync all, then rename all. */
bool out_sync(struct out *o, struct err *e);
/* Renames onto the final name (out_sync first if it is still open) and syncs the folder. */
bool out_commit(struct out *o, struct err *e);
/* Closes and removes the .part file; legal after commit (does nothing) and on a struct { .fd = -1 }. */
void out_abort(struct out *o);

/* The whole of a small file at once, with the same promise. */
bool file_write_atomic(const char *path, const void *p, uint64_t n, bool force, struct err *e);
/* Refuses early what out_open would refuse late: output exists without force, folder missing or not
 * writable. */
bool file_check_output(const char *path, bool force, struct err *e);
/* The part of it about the folder, for outputs that are folders. */
bool file_check_parent(const char *path, struct err *e);
/* Fails when the file system of `path` has less than n bytes free for us. */
bool file_check_space(const char *path, uint64_t n, struct err *e);
bool dir_make(const char *path, struct err *e); /* like mkdir -p */

#endif
