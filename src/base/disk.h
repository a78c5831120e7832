/* disk.h - how fast a disk reads. */
#ifndef REAP_BASE_DISK_H
#define REAP_BASE_DISK_H

#include <stdbool.h>

/* Bytes a second of reading a file for at most a second and 256 MiB, past the page cache where the file system allows it
 * (*cold). 0: too small, or not to be read. */
double disk_rate(const char *path, bool *cold);

#endif
