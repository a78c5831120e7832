/* hub_part.h - between the files of hub/. */
#ifndef REAP_HUB_HUB_PART_H
#define REAP_HUB_HUB_PART_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

/* ---- files of a repository ---- */

struct hub_file {
    char *path;    /* in the repository: checked (hub_path_ok) */
    uint64_t size; /* of the hub's list */
    char oid[65];  /* SHA-256 of a file of LFS, else git's SHA-1: the name of its blob; "" in a cache */
};
struct hub_list {
    struct hub_file *v; /* sorted by path (bytes) once hub_list_sort was called; no path twice */
    size_t n, cap;
};
void hub_list_add(struct hub_list *l, const char *path, uint64_t size, const char *oid);
void hub_list_sort(struct hub_list *l);
const struct hub_file *hub_list_find(const struct hub_list *l, const char *path);
void hub_list_clear(struct hub_list *l);
/* Whether a path from elsewhere stays in its folder and is a plain name: components without "." and "..", no control
 * characters, no backslash. */
bool hub_path_ok(const char *path);

/* ---- which of them are the model: pick.c ---- */

struct hub_pick {
    char *first;        /* the GGUF file to open, a path of the list; NULL: the folder is the model */
    const char **files; /* all that belong to it, borrowed from the list */
    size_t n, cap;
    bool whole;  /* none of them is missing in the list */
    char *lacks; /* else: one that is */
};
enum hub_kind { HUB_NOTHING, HUB_GGUF, HUB_CHECKPOINT };
/* What `tag` (NULL: none) or `file` (NULL) means among the files; of a checkpoint without its weights, which
 * hub_pick_weights adds. HUB_NOTHING: none is meant. */
enum hub_kind hub_pick(const struct hub_list *l, const char *tag, const char *file, struct hub_pick *p);
void hub_pick_clear(struct hub_pick *p);
/* Files of weights of a checkpoint that belong to it: those that its index names (text, changed in place, n bytes), or
 * without (NULL) the single one. */
bool hub_pick_weights(const struct hub_list *l, char *index, size_t n, struct hub_pick *p, struct err *e);
/* ---- caches: cache.c ---- */

char *hub_cache_dir(void);   /* where downloads go; NULL: there is no home folder; caller frees */
char *hub_cache_other(void); /* llama.cpp's, NULL: the same or none; caller frees */
char *hub_cache_root(const char *cache, const char *id); /* CACHE/models--ORG--NAME; caller frees */
/* The folder of a model in a cache that a path leads to: itself or its snapshots/. NULL: it is none. Caller frees. */
char *hub_root_of_path(const char *path);
/* The snapshot that refs/main names, or the only one. NULL: none; *others then says which there are, if there are some
 * (NULL: none), the caller's. Caller frees. */
char *hub_snapshot(const char *root, char **others);
/* What is in it, links followed; links to nothing are not there. */
bool hub_snapshot_files(const char *dir, struct hub_list *l, struct err *e);

#endif
