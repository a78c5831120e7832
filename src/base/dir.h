/* dir.h - an output folder that appears complete or not at all. (Reading folders: folder.h.)
 *
 * An output folder is filled under the name "NAME.reap-part" beside NAME, locked against a second writer, and gets
 * its name at the end (out_dir_commit); the folder above is synced behind that. What an end of the program leaves:
 *
 * - It fails, is interrupted, crashes, or memory is gone: NAME is as it was, NAME.reap-part is removed.
 * - It is killed outright, or the power goes: NAME is as it was or complete. NAME.reap-part may stay, unfinished or what
 *   was replaced, and the next run with this output clears it away. No other program has folders of such names.
 * - With `force` the old folder is exchanged for the new one in one step, and removed when the exchange is on the disk.
 *   Where the file system cannot exchange (NFS, vfat, some FUSE file systems), two renames do it, and a kill between
 *   them leaves the old one as NAME.reap-old: the next run with this output gives it its name again.
 *
 * Locks: as in out.h. */
#ifndef REAP_BASE_DIR_H
#define REAP_BASE_DIR_H

#include "base/err.h"
#include <stdint.h>

struct out_dir {
    char *path, *part; /* part: where it is filled */
    int fd;            /* -1 when not open */
    const char *ours;
    bool force;
};
/* Refuses early what out_dir_open would refuse late. A folder that exists must be empty (a link to one is replaced with
 * force only) or, with force, hold the file `ours`, which only we write: nothing else is ever replaced. `ours` is
 * borrowed. */
bool out_dir_check(const char *path, const char *ours, bool force, struct err *e);
/* Makes the unfinished folder, empty. False: *e set, nothing open. */
bool out_dir_open(struct out_dir *o, const char *path, const char *ours, bool force, struct err *e);
/* Gives it its name. With force an old folder of ours is exchanged for it, and then removed. */
bool out_dir_commit(struct out_dir *o, struct err *e);
/* Removes the unfinished folder; legal after commit (does nothing) and on a struct { .fd = -1 }. */
void out_dir_abort(struct out_dir *o);

#endif
