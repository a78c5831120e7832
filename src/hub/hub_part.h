/* hub_part.h - between the files of hub/. */
#ifndef REAP_HUB_HUB_PART_H
#define REAP_HUB_HUB_PART_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
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
    bool whole;                     /* none of them is missing in the list */
    char *lacks;                    /* else: one that is */
    const struct hf_layout *layout; /* of a checkpoint; NULL: it is none */
};
enum hub_kind { HUB_NOTHING, HUB_GGUF, HUB_CHECKPOINT };
/* What `tag` (NULL: none) or `file` (NULL) means among the files; of a checkpoint without its weights, which
 * hub_pick_weights adds. HUB_NOTHING: none is meant. */
enum hub_kind hub_pick(const struct hub_list *l, const char *tag, const char *file, struct hub_pick *p);
void hub_pick_clear(struct hub_pick *p);
/* Files of weights of a checkpoint that belong to it: those that its index names (text, changed in place, n bytes), or
 * without (NULL) the single one. */
bool hub_pick_weights(const struct hub_list *l, char *index, size_t n, struct hub_pick *p, struct err *e);
/* The GGUF files of models, a few, for a message; the caller's. */
char *hub_pick_offers(const struct hub_list *l);

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

/* ---- the hub's answers: api.c. Foreign bytes: false with *e (ERR_FAILED) ---- */

/* {"sha": "40 hexadecimal digits", ...} */
bool hub_parse_revision(const char *s, size_t n, char commit[41], struct err *e);
/* Adds the files of one page of a tree: [{"type": "file", "path": ..., "size": ..., "oid": ..., "lfs": {"oid", "size"}}].
 * Whatever is added has a path that is hub_path_ok, and a hash of 40 or 64 digits. */
bool hub_parse_tree(const char *s, size_t n, struct hub_list *l, struct err *e);
/* The address with rel="next" in a Link header; NULL: none. Caller frees. */
char *hub_next_link(const char *header);

/* ---- requests: http.c ---- */

enum hub_fault {
    HUB_FINE,       /* an answer came, whatever its status */
    HUB_NO_CONNECT, /* nobody listens there, or the name is not known */
    HUB_BROKEN,     /* the connection ended or stood still in the middle */
    HUB_OTHER,      /* what trying again does not help */
};
struct hub_answer {
    enum hub_fault fault;
    long status;
    uint64_t from;    /* of the file: where the bytes that came begin */
    uint64_t n_bytes; /* that were given to the function before this call */
    char *link;       /* Link, NULL: none */
    char code[64];    /* X-Error-Code, "" */
    bool ours;        /* it came from the endpoint, and not from a host that it redirects to */
    bool had_token;   /* the request that was answered carried it */
};
void hub_answer_clear(struct hub_answer *a);

struct hub_http; /* connections, the endpoint (HF_ENDPOINT), the token (HF_TOKEN, or its file) */
struct hub_http *hub_http_new(struct err *e);
void hub_http_free(struct hub_http *h); /* may be NULL */
const char *hub_http_endpoint(const struct hub_http *h);
bool hub_http_is_ours(const struct hub_http *h,
                      const char *url); /* scheme, host and port are the endpoint's */

/* Takes the bytes of an answer with status 200 or 206. */
typedef bool hub_bytes_fn(void *ctx, const struct hub_answer *a, const char *p, size_t n, struct err *e);
/* GET, from byte `from` on where the server can, redirects followed. Whether an answer came whole; a is overwritten in
 * every case and wants hub_answer_clear. */
bool hub_http_get(struct hub_http *h, const char *url, uint64_t from, hub_bytes_fn *fn, void *ctx,
                  struct hub_answer *a, struct err *e);
void hub_put_escaped(struct buf *b, const char *path); /* as part of an address */

/* ---- a download: fetch.c, download.c ---- */

struct hub_fetch {
    struct hub_http *http;
    const char *id;
    char commit[41];
    char *cache, *root, *snapshot; /* snapshot: .../snapshots/COMMIT, once the commit is known */
    struct progress bar;
    uint64_t done; /* of the bar, at the end of a file */
    bool no_network;
};
/* Waits until no other program of this cache holds the lock of that name; *fd holds it until it is closed, and is -1 before. file: what
 * somebody is told to wait for, NULL for what takes a moment. False with *e set (ERR_FAILED; a signal). */
bool hub_lock(const struct hub_fetch *x, const char *name, const char *file, int *fd, struct err *e);
/* Brings a file into the snapshot, unless it is there. */
bool hub_fetch_file(struct hub_fetch *x, const struct hub_file *f, struct err *e);
uint64_t hub_fetch_missing(const struct hub_fetch *x, const struct hub_file *f); /* bytes to load for that */
char *hub_file_url(const struct hub_fetch *x, const struct hub_file *f);         /* caller frees */
/* Sets the error of an answer that brings nothing. what: of which file, NULL: the model. */
bool hub_refused(const struct hub_fetch *x, const char *what, const struct hub_answer *a, struct err *e);

/* The model, loaded: its path in the cache, the caller's. no_network: the hub could not be reached at all. */
char *hub_download(const char *id, const char *tag, const char *file, bool *no_network, struct err *e);

#endif
