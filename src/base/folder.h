/* folder.h - folders that come from elsewhere: a checkpoint, a data set. What is in them, and what of it may
 * be read.
 *
 * Nothing is passed over in silence: an entry that cannot be looked at (a link to nothing, a folder without
 * the right to search it, a disk that fails) is an error that names it, and what is neither file nor folder
 * is for the caller to name.
 *
 * Links are somebody else's word for where to read, so they are followed only to where that somebody's files
 * are: inside of the folder that the user named, and, when that is a snapshot of a hub's cache (.../snapshots/
 * REVISION), in the folder `blobs` beside `snapshots`. All that counts is where a link ends, over how many
 * other links it may go, and `blobs` itself must be no link. A hard link cannot be told from a file. */
#ifndef REAP_BASE_FOLDER_H
#define REAP_BASE_FOLDER_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

/* The names in a folder without "." and "..", sorted (bytes); what they are is not known yet. Caller:
 * folder_names_free. */
bool folder_names(const char *path, char ***names, size_t *n, struct err *e);
void folder_names_free(char **names, size_t n);

/* Where its links may end: real paths; blobs NULL: it is no snapshot. Caller: folder_bounds_clear. */
struct folder_bounds {
    char *root, *blobs;
};
bool folder_bounds(const char *path, struct folder_bounds *b, struct err *e);
bool folder_holds(const struct folder_bounds *b, const char *real_path);
void folder_bounds_clear(struct folder_bounds *b);

enum folder_kind {
    FOLDER_FILE,
    FOLDER_SUB,     /* a folder */
    FOLDER_SPECIAL, /* a pipe, a socket, a device */
    FOLDER_OUTSIDE, /* a link that leads out of the bounds */
};
struct folder_entry {
    enum folder_kind kind;
    char *end;     /* its real path */
    unsigned mode; /* who may read it */
};
/* A folder on the way down from the one that was named. */
struct folder_level {
    const struct folder_level *above;
    const char *end;
    unsigned depth;
};
/* What an entry is, links followed. False: it cannot be known, or it is a link back to a folder above it
 * (NULL: that is not asked). Caller: folder_entry_clear. */
bool folder_look(const struct folder_bounds *b, const struct folder_level *above, const char *path,
                 struct folder_entry *x, struct err *e);
void folder_entry_clear(struct folder_entry *x);
/* Warns of an entry that is neither file nor folder, or leads out; true: it was one. */
bool folder_left_out(const struct folder_entry *x, const char *path);

/* Like file_open_read and file_read_all, of a file within the bounds: asked of what was opened, so that a
 * link that changes meanwhile leads nowhere. */
int folder_open_file(const struct folder_bounds *b, const char *path, uint64_t *size, struct err *e);
bool folder_read_file(const struct folder_bounds *b, const char *path, uint64_t max, struct buf *out,
                      struct err *e);

#endif
