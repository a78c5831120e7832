/* dir.h - folders: reading them, and an output folder that appears complete or not at all.
 *
 * An output folder is filled under the name "NAME.part" beside NAME, locked against a second writer, and gets
 * its name at the end (out_dir_commit). When the program fails or is interrupted NAME.part is removed; when
 * it is killed NAME.part may stay, and the next run with the same output clears it away (it knows its own by
 * a file in it). */
#ifndef REAP_BASE_DIR_H
#define REAP_BASE_DIR_H

#include "base/err.h"
#include <stdint.h>

struct dir_entry {
    char *name;
    bool is_dir; /* else a regular file; symbolic links count as what they lead to */
    uint64_t size;
};
/* The files and folders in `path`, sorted by name (bytes); what is neither is left out. Caller:
 * dir_list_free. */
bool dir_list(const char *path, struct dir_entry **list, size_t *n, struct err *e);
void dir_list_free(struct dir_entry *list, size_t n);

struct out_dir {
    char *path, *part;
    int fd; /* -1 when not open */
};
/* Refuses early what out_dir_open would refuse late. A folder that exists must be empty or, with force, hold
 * the file `ours`, which only we write: nothing else is ever replaced. */
bool out_dir_check(const char *path, const char *ours, bool force, struct err *e);
/* Makes PATH.part, empty. False: *e set, nothing open. */
bool out_dir_open(struct out_dir *o, const char *path, const char *ours, bool force, struct err *e);
/* Gives it its name. With force an old folder of ours is exchanged for it, and then removed. */
bool out_dir_commit(struct out_dir *o, struct err *e);
/* Removes PATH.part; legal after commit (does nothing) and on a struct { .fd = -1 }. */
void out_dir_abort(struct out_dir *o);

#endif
