/* out.h - outputs that appear complete or not at all.
 *
 * An output is written to "NAME.reap-part" beside NAME, locked against a second writer, synced, and renamed at
 * the end; the folder is synced behind that. What an end of the program leaves:
 *
 * - It fails, is interrupted, crashes, or memory is gone: NAME is as it was, NAME.reap-part is removed.
 * - It is killed outright, or the power goes: NAME is as it was or complete. NAME.reap-part may stay, and the next
 *   run with this output takes it over. No other program has files of such names, so no file of somebody else is
 *   taken for ours.
 * - Several outputs (out_commit_all): a failure leaves all as they were. Several renames are no single step, so a
 *   kill between them is undone by the next run with these outputs (out_recover). Until then the first of them, by
 *   which readers find the others, is absent: nobody takes a part for the whole, or a mixture of old and new. A file
 *   that somebody put under one of the names meanwhile stays, and is named when it stands in the way.
 *
 * This needs of the file system: rename, which all have. What else there is makes more of it:
 *
 * - flock (not on some network and FUSE file systems): a second writer is refused. Without it the
 *   writer that begins last takes the name of the unfinished file; the other fails when it ends, and nothing is half-written.
 * - RENAME_NOREPLACE (not on NFS, vfat, some FUSE file systems): a file that somebody else puts under NAME while we write is never
 *   replaced without `force`. Without it there is a moment between look and rename.
 * - link (not on vfat, some FUSE file systems): of several outputs, those that a killed run put in place are told from what others
 *   put there. Without it what has the name of one counts as ours when no unfinished file of it is left.
 * - fsync of a folder (not on some network file systems): NAME is there after a loss of power, too.
 *
 * A link under the name of an output counts as what it leads to when it is asked whether the output exists; what `force` replaces is
 * the link, and what it leads to is left alone. Links among the folders above are followed.
 *
 * An output that exists is refused unless `force`; one that is an input is always refused by the caller
 * (file_check_apart). */
#ifndef REAP_BASE_OUT_H
#define REAP_BASE_OUT_H

#include "base/err.h"
#include <stdint.h>

#define OUT_PART    ".reap-part"    /* unfinished */
#define OUT_READY   ".reap-ready"   /* the first of several: all are complete and are being put in place */
#define OUT_OLD     ".reap-old"     /* what is being replaced */
#define OUT_LOCK    ".reap-lock"    /* somebody works on this output */
#define OUT_JOURNAL ".reap-journal" /* what it will hold (journal.h) */

struct out {
    int fd; /* -1 when not open */
    char *path, *part;
    bool force;
    bool synced;     /* nothing was written since out_sync */
    uint64_t pos;    /* bytes written so far */
    uint64_t sent;   /* of these, bytes that the disk was asked to write */
    uint8_t *bounce; /* of out_copy */
};

/* Opens the unfinished file. False: *e set, nothing open. */
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
/* fsync; the file stays open and locked. */
bool out_sync(struct out *o, struct err *e);
/* Gives it its name (out_sync first, if that is due) and syncs the folder. False: the caller's out_abort is due. */
bool out_commit(struct out *o, struct err *e);
/* Several as one, with the promise above: v[0] is the one by which readers find the others. Those that are not open
 * are passed over. False: all names are as they were; out_abort of each is due. */
bool out_commit_all(struct out *v, uint32_t n, struct err *e);
/* Closes and removes the unfinished file; legal after commit (does nothing) and on a struct { .fd = -1 }. */
void out_abort(struct out *o);

/* The whole of a small file at once, with the same promise. */
bool file_write_atomic(const char *path, const void *p, uint64_t n, bool force, struct err *e);

/* ---- before the work ---- */

/* Undoes what a killed out_commit_all of these outputs began, in this order of paths; most often there is nothing
 * to do. False: another program is at it, or the disk refuses. */
bool out_recover(const char *const *paths, uint32_t n, struct err *e);
/* Refuses early what out_open would refuse late: output exists without force, folder missing or not
 * writable. */
bool file_check_output(const char *path, bool force, struct err *e);
/* The part of it about the folder, for outputs that are folders. */
bool file_check_parent(const char *path, struct err *e);
/* How many bytes the file system of `path` has free for us; all there are where that cannot be known. */
uint64_t file_free_space(const char *path);
/* Fails when those are less than n. */
bool file_check_space(const char *path, uint64_t n, struct err *e);

/* What lies under the name of an output and is not to be lost: renamed to "NAME.old", "NAME.old2", ..., never over
 * another file. *to: its new name, the caller's. */
bool out_set_aside(const char *path, char **to, struct err *e);

/* An output that is saved several times, or at the end of hours: held by this program until out_unlock, so that a
 * second one is refused at once ("is being written by another program"). Look at the output behind it (does it exist?):
 * another program may have just ended, and what a killed one left goes that way. But look before whether it can be an
 * output at all, so that a bad name gets no lock beside it. out_hold does all of that for a file. */
struct out_lock {
    int fd; /* -1: nothing is held */
    char *path;
};
bool out_lock(struct out_lock *l, const char *path, struct err *e);
bool out_hold(struct out_lock *l, const char *path, bool force, struct err *e);
void out_unlock(struct out_lock *l); /* legal twice, and on a struct { .fd = -1 } */

/* ---- what other kinds of output share ---- */

/* Takes the lock of an open file or folder: 1 taken, or the file system has none; 0 another program has it. */
bool out_flock(int fd);
enum out_got { OUT_LOCKED, OUT_TAKEN, OUT_NO_LOCKS };
enum out_got out_try_lock(int fd);              /* the same, told apart */
bool out_still_there(int fd, const char *path); /* the path leads to what fd is, and is no link */
bool out_is_anothers(int fd, const char *path); /* the path leads to something else than what fd is */
/* The folder that holds path; a warning if the disk refuses. */
void out_sync_folder(const char *path);

#endif
