/* fetch.c - a file of a repository into the cache; see hub_part.h.
 *
 * As huggingface_hub does, so that both wait for each other: the lock is CACHE/.locks/models--ORG--NAME/HASH.lock
 * (flock). The unfinished file is blobs/HASH.incomplete, which stays when the program ends, however it ends;
 * huggingface_hub before 1.18 goes on from it and leaves such ones, later ones load into files of random names, which
 * are not looked at. It gets its name only when size and hash are those of the hub's list; its link in the
 * snapshot, by which everybody finds it, is made behind that. */
#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/sig.h"
#include "base/text.h"
#include "hub/hub_part.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_TRIES 5 /* in a row without a byte */
#define WINDOW    (1u << 20)

/* ---- the hash of a file that grows ---- */

struct sum { /* one of them */
    struct sha256 *lfs;
    struct git_sha1 *git;
};

static void sum_start(struct sum *s, const struct hub_file *f)
{
    bool lfs = strlen(f->oid) == 64;
    *s = (struct sum){lfs ? sha256_new() : NULL, lfs ? NULL : git_sha1_new(f->size)};
}

static void sum_add(struct sum *s, const void *p, size_t n)
{
    if (s->lfs)
        sha256_add(s->lfs, p, n);
    else
        git_sha1_add(s->git, p, n);
}

static void sum_hex(struct sum *s, char hex[65])
{
    if (s->lfs)
        sha256_hex(s->lfs, hex);
    else
        git_sha1_hex(s->git, hex);
}

/* ---- the unfinished file ---- */

struct load {
    struct hub_fetch *x;
    const struct hub_file *f;
    char *part;
    int fd;
    uint64_t pos; /* bytes in the file, all of them in the sum */
    uint64_t had; /* of them at the start, which the bar does not count */
    struct sum sum;
    bool resumed; /* some bytes are of another run */
    bool broken;  /* the file cannot be written: trying again does not help */
};

static void show(struct load *l)
{
    progress_set(&l->x->bar, l->x->done + (l->pos > l->had ? l->pos - l->had : 0));
}

static bool begin_anew(struct load *l, struct err *e)
{
    char unused[65];
    sum_hex(&l->sum, unused);
    sum_start(&l->sum, l->f);
    l->pos = 0;
    l->resumed = false;
    if (ftruncate(l->fd, 0) != 0) {
        l->broken = true;
        return err_sys(e, "cannot cut '%s'", l->part);
    }
    return true;
}

/* What a run before has left goes into the sum. */
static bool take_over(struct load *l, struct err *e)
{
    struct stat st;
    sum_start(&l->sum, l->f);
    if (fstat(l->fd, &st) != 0)
        return err_sys(e, "cannot stat '%s'", l->part);
    if ((uint64_t)st.st_size > l->f->size)
        return begin_anew(l, e);
    uint8_t *b = xmalloc(WINDOW);
    bool ok = true;
    while (ok && l->pos < (uint64_t)st.st_size) {
        uint64_t left = (uint64_t)st.st_size - l->pos, n = left < WINDOW ? left : WINDOW;
        ok = sig_check(e) && (file_pread(l->fd, b, n, l->pos, e) || err_ctx(e, "%s", l->part));
        if (ok)
            sum_add(&l->sum, b, (size_t)n);
        l->pos += ok ? n : 0;
    }
    free(b);
    l->resumed = l->pos > 0;
    return ok;
}

static bool on_bytes(void *ctx, const struct hub_answer *a, const char *p, size_t n, struct err *e)
{
    struct load *l = ctx;
    if (a->status == 200 && a->n_bytes == 0 && l->pos && !begin_anew(l, e)) /* it sends all of it */
        return false;
    if (n > l->f->size - l->pos) {
        l->broken = true;
        return err_set(e, ERR_FAILED, "the server sends more than the %llu bytes that its list says",
                       (unsigned long long)l->f->size);
    }
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(l->fd, p + done, n - done, (off_t)(l->pos + done));
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            l->broken = true;
            return err_sys(e, "cannot write '%s'", l->part);
        }
        done += (size_t)k;
    }
    sum_add(&l->sum, p, n);
    l->pos += n;
    show(l);
    return true;
}

/* ---- until it is there ---- */

static bool wait_a_little(uint32_t tries, struct err *e)
{
    double until = now_secs() + 0.1 * (double)(1u << tries);
    while (now_secs() < until) {
        if (!sig_check(e))
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return true;
}

static bool interrupted(const struct load *l, struct err *e)
{
    char a[32], b[32];
    err_clear(e);
    return err_set(e, ERR_INTERRUPTED,
                   "interrupted; %s of the %s of '%s' are loaded, the same command goes on from there",
                   human_bytes(l->pos, a), human_bytes(l->f->size, b), l->f->path);
}

/* Whether another try may help, behind a request that did not bring all. */
static bool may_retry(struct load *l, const struct hub_answer *a, bool came, struct err *e)
{
    if (e->code == ERR_INTERRUPTED || l->broken)
        return false;
    if (!came)
        return a->fault == HUB_BROKEN || (a->fault == HUB_NO_CONNECT && l->pos);
    if (a->status == 416 && l->resumed) /* what was there was not of this file */
        return begin_anew(l, e);
    if (a->status == 416)
        return err_set(e, ERR_FAILED, "the server has %llu bytes of it, its list says %llu",
                       (unsigned long long)l->pos, (unsigned long long)l->f->size);
    if (!a->ours &&
        a->status ==
            403) /* the address that the hub gave for it holds for some time only: it gives another */
        return true;
    return a->status == 200 || a->status == 206 || a->status == 429 || a->status / 100 == 5;
}

static bool load_all(struct load *l, struct err *e)
{
    char *url = hub_file_url(l->x, l->f);
    bool ok = true;
    for (uint32_t tries = 0; ok && l->pos < l->f->size;) {
        struct hub_answer a = {0};
        uint64_t before = l->pos;
        bool came = hub_http_get(l->x->http, url, l->pos, on_bytes, l, &a, e);
        if (l->pos < l->f->size) {
            tries = l->pos > before ? 0 : tries + 1;
            ok = may_retry(l, &a, came, e) && tries < MAX_TRIES;
            if (ok) {
                err_clear(e);
                ok = wait_a_little(tries, e);
            } else if (came && e->code == ERR_NONE) {
                hub_refused(l->x, l->f->path, &a, e);
            }
        } else {
            err_clear(e);
        }
        hub_answer_clear(&a);
    }
    free(url);
    if (!ok && e->code == ERR_INTERRUPTED)
        return interrupted(l, e);
    return ok || err_ctx(e, "%s", l->f->path);
}

static bool check(struct load *l, bool *again, struct err *e)
{
    char hex[65];
    sum_hex(&l->sum, hex);
    sum_start(&l->sum, l->f);
    if (!strcmp(hex, l->f->oid))
        return true;
    *again = l->resumed; /* what was there may have been another's */
    if (*again)
        return begin_anew(l, e);
    unlink(l->part);
    return err_set(
        e, ERR_FAILED,
        "%s: the %s of what came is %.12s..., the hub's list says %.12s...: the download is damaged and was "
        "removed, try again",
        l->f->path, strlen(l->f->oid) == 64 ? "SHA-256" : "git hash", hex, l->f->oid);
}

static bool load(struct load *l, const char *blob, struct err *e)
{
    l->fd = open(l->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (l->fd < 0)
        return err_sys(e, "cannot open '%s'", l->part);
    bool ok = take_over(l, e), again = true;
    while (ok && again) {
        again = false;
        ok = load_all(l, e) && check(l, &again, e);
    }
    char unused[65];
    sum_hex(&l->sum, unused);
    if (ok && (fsync(l->fd) != 0 || rename(l->part, blob) != 0))
        ok = err_sys(e, "cannot put '%s' in place", blob);
    close(l->fd);
    return ok;
}

/* ---- locks and links ---- */

/* Some versions of filelock, and who clears the cache, remove the file while others wait for it: a lock of a file
 * without a name holds nobody back. */
bool hub_lock(const struct hub_fetch *x, const char *name, const char *file, int *fd, struct err *e)
{
    char *path = xasprintf("%s/.locks/%s/%s.lock", x->cache, path_base(x->root), name), *dir = path_dir(path);
    bool ok = dir_make(dir, e), told = !file, held = false;
    free(dir);
    while (ok && !held) {
        *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (*fd < 0) {
            ok = err_sys(e, "cannot open '%s'", path);
            break;
        }
        bool taken = out_try_lock(*fd) == OUT_TAKEN;
        held = !taken && out_still_there(*fd, path);
        if (held)
            break;
        close(*fd);
        *fd = -1;
        if (taken && !told)
            log_note("another program downloads '%s': waiting for it ...", file);
        told = told || taken;
        ok = !taken || wait_a_little(0, e);
    }
    free(path);
    return ok;
}

static bool is_whole(const char *path, const struct hub_file *f)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == f->size;
}

static bool is_linked(const struct hub_fetch *x, const struct hub_file *f)
{
    char *path = path_join(x->snapshot, f->path);
    bool is = is_whole(path, f);
    free(path);
    return is;
}

/* snapshots/REVISION/PATH -> blobs/HASH, relative, so that a cache can be moved. */
static bool link_file(struct hub_fetch *x, const struct hub_file *f, const char *blob, struct err *e)
{
    char *path = path_join(x->snapshot, f->path), *dir = path_dir(path);
    struct buf to = {0};
    buf_str(&to, "../../");
    for (const char *p = f->path; (p = strchr(p, '/')); p++)
        buf_str(&to, "../");
    buf_fmt(&to, "blobs/%s", f->oid);
    bool ok = dir_make(dir, e);
    if (ok && !is_linked(x, f)) {
        if (unlink(path) != 0 && errno != ENOENT)
            ok = err_sys(e, "cannot replace '%s'", path);
        else if (symlink(to.s, path) != 0 && errno != EEXIST && rename(blob, path) != 0) /* no links here */
            ok = err_sys(e, "cannot make '%s'", path);
    }
    buf_clear(&to);
    free(dir);
    free(path);
    return ok;
}

static char *blob_path(const struct hub_fetch *x, const char *oid, const char *end)
{
    return xasprintf("%s/blobs/%s%s", x->root, oid, end);
}

uint64_t hub_fetch_missing(const struct hub_fetch *x, const struct hub_file *f)
{
    char *blob = blob_path(x, f->oid, ""), *part = blob_path(x, f->oid, ".incomplete");
    struct stat st;
    uint64_t n = f->size;
    if (is_linked(x, f) || is_whole(blob, f))
        n = 0;
    else if (stat(part, &st) == 0 && (uint64_t)st.st_size <= f->size)
        n -= (uint64_t)st.st_size;
    free(part);
    free(blob);
    return n;
}

bool hub_fetch_file(struct hub_fetch *x, const struct hub_file *f, struct err *e)
{
    if (is_linked(x, f))
        return true;
    struct load l = {.x = x, .f = f, .part = blob_path(x, f->oid, ".incomplete"), .fd = -1};
    char *blob = blob_path(x, f->oid, ""), *blobs = path_dir(blob);
    int fd = -1;
    uint64_t missing = hub_fetch_missing(x, f);
    l.had = f->size - missing;
    bool ok = dir_make(blobs, e) && hub_lock(x, f->oid, f->path, &fd, e);
    if (ok && !is_whole(blob, f)) /* the other program may have brought it */
        ok = load(&l, blob, e);
    ok = ok && link_file(x, f, blob, e);
    x->done += missing;
    if (fd >= 0)
        close(fd);
    free(blobs);
    free(blob);
    free(l.part);
    return ok;
}
