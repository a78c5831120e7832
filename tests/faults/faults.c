/* faults.c - the promises about outputs, under every fault: a call of libc fails, is cut short, is the last that happens.
 *
 *   faults [--quick] [--jobs N] [--seed N] [SCENARIO...]
 *   faults --one "CALLS N HOW" [--from OBJECT] SCENARIO      one fault, as a line of a violation names it; the folder stays
 *
 * REAP, SRC and BIN as for the tests of the command line. Each scenario (scenarios.h) is run as it is, twice; then, for each row of
 * `faults` and each call N, with that fault (shim.c) in an empty folder; then once more as it is. What must hold:
 *
 *   - status 0 to 3, no signal, no hanging;
 *   - status 0: the outputs of the undisturbed run, to the byte (but for times);
 *   - else one line "reap: ..." besides warnings; every output is as it was or complete, all of them or none;
 *   - nothing else lies in the folder; the inputs are what they were;
 *   - the same command once more puts it right: the same outputs, nothing else (or it says that they exist, complete).
 *
 * Behind a SIGKILL the outputs are as they were or complete, what lies beside them is gone behind the next run, and several outputs count
 * as absent as long as the first is: no order of renames is one step. And what an undisturbed run does to the disk must stand a loss of
 * power (order.c). A line for each violation, then "N passed, N failed". Where a row has many calls, some are drawn by the seed. */
#include "base/buf.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "order.h"
#include "scenarios.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define MAX_OUTS 3
#define PATIENCE 60 /* seconds */

struct fault {
    const char *calls, *how;
    const char *from; /* NULL: from anywhere */
};
/* clang-format off */
static const struct fault faults[] = {
    {"open", "fail:24", NULL}, {"open", "from:24", NULL}, {"create", "from:28", NULL}, {"create", "from:122", NULL}, {"openat", "fail:24", NULL}, {"openat", "fail:13", NULL}, {"close", "fail:5", NULL},
    {"read", "fail:5", NULL}, {"read", "short", NULL}, {"pread", "fail:5", NULL}, {"pread", "short", NULL},
    {"write", "fail:28", NULL}, {"write", "from:28", NULL}, {"write", "fail:122", NULL}, {"write", "short", NULL}, {"write", "fail:4", NULL},
    {"fsync,fdatasync", "fail:5", NULL}, {"fsync,fdatasync", "from:5", NULL},
    {"rename,renameat,renameat2", "fail:5", NULL}, {"rename,renameat,renameat2", "from:28", NULL},
    {"link,linkat", "fail:1", NULL}, {"unlink", "fail:5", NULL}, {"unlinkat", "fail:5", NULL}, {"unlink,unlinkat,rmdir", "from:13", NULL},
    {"mkdir", "fail:28", NULL}, {"rmdir", "fail:5", NULL}, {"ftruncate", "fail:5", NULL}, {"flock", "fail:37", NULL}, {"flock", "from:95", NULL},
    {"renameat2,link,linkat", "from:22", NULL}, {"mmap", "fail:12", NULL}, {"opendir", "fail:24", NULL}, {"fdopendir", "fail:12", NULL},
    {"readdir", "fail:5", NULL}, {"fstat", "fail:5", NULL}, {"stat", "fail:5", NULL}, {"stat", "fail:13", NULL}, {"lstat", "fail:5", NULL},
    {"fstatat", "fail:5", NULL}, {"statvfs", "fail:5", NULL}, {"dup", "fail:24", NULL}, {"sync_file_range", "fail:5", NULL},
    {"access", "fail:13", NULL}, {"realpath", "fail:5", NULL}, {"readlink", "fail:22", NULL}, {"fopen", "fail:24", NULL}, {"fread", "fail:5", NULL},
    {"fread", "short", NULL}, {"fwrite", "fail:28", NULL}, {"fflush", "fail:28", NULL}, {"fclose", "fail:28", NULL}, {"lseek", "fail:5", NULL},
    {"pthread_create", "fail:11", NULL}, {"pipe2", "fail:24", NULL}, {"fork", "fail:11", NULL},
    {"malloc", "fail:12", "main"}, {"calloc", "fail:12", "main"}, {"realloc", "fail:12", "main"}, {"posix_memalign", "fail:12", NULL},
    {"strdup", "fail:12", "main"}, {"vasprintf", "fail:12", NULL}, {"malloc", "from:12", "main"},
    {"malloc", "fail:12", "libstdc++"}, {"malloc", "from:12", "libstdc++"},
    {"open", "before", NULL}, {"open", "behind", NULL}, {"openat", "behind", NULL}, {"close", "behind", NULL}, {"write", "before", NULL},
    {"write", "behind", NULL}, {"fsync,fdatasync", "before", NULL}, {"fsync,fdatasync", "behind", NULL},
    {"rename,renameat,renameat2,link,linkat", "before", NULL}, {"rename,renameat,renameat2,link,linkat", "behind", NULL},
    {"unlink,unlinkat,rmdir", "before", NULL}, {"unlink,unlinkat,rmdir", "behind", NULL}, {"mkdir", "before", NULL}, {"mkdir", "behind", NULL},
    {"ftruncate", "behind", NULL}, {"flock", "before", NULL}, {"flock", "behind", NULL},
};
/* clang-format on */

static const char *reap, *bin, *src;
static char top[PATH_MAX], in[PATH_MAX + 8], address[64];
static bool quick;
static uint64_t seed = 1;
static struct shared {
    uint32_t next, passed, failed;
} * shared; /* of all worker processes */

/* A place to run in: a folder, and beside it what the program says. */
#define CACHE "cache" /* in the folder of a run; what is quantised there does not stay */
struct place {
    char dir[PATH_MAX + 32], out[PATH_MAX + 32], err[PATH_MAX + 32], counts[PATH_MAX + 32],
        log[PATH_MAX + 32];
};

/* What an undisturbed run gives, and what there was before. */
struct state {
    char out[MAX_OUTS][65]; /* hashes; "": absent */
};
static const char *const froms[] = {NULL, "main", "libstdc++"}; /* of the rows in `faults` */
struct reference {
    struct state old, want;
    char inputs[65];
    char *counts[COUNT(froms)]; /* how often each function is called, from there */
};

static void die(const char *what)
{
    fprintf(stderr, "faults: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- files ---- */

static int remove_one(const char *p, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)type, (void)f;
    return remove(p);
}

static void remove_all(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void spawn_wait(const char *const argv[])
{
    pid_t p = fork();
    if (p == 0) {
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    int st;
    if (p < 0 || waitpid(p, &st, 0) < 0 || st)
        die(argv[0]);
}

/* Times and rates, which no two runs have alike, and what run.json makes of them: the values of such keys are taken out. */
static bool is_time(const char *key, size_t n)
{
    static const char *const ends[] = {"seconds\"", "per_second\"", "created\"", "started\"", "ended\"",
                                       "time\"",    "date\"",       "\"key\"",   "\"files\""};
    for (size_t i = 0; i < COUNT(ends); i++)
        if (n >= strlen(ends[i]) && !memcmp(key + n - strlen(ends[i]), ends[i], strlen(ends[i])))
            return true;
    return false;
}

static void hash_text(struct sha256 *h, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        const char *colon = memchr(s + i, ':', n - i);
        size_t k = colon ? (size_t)(colon - s) : n;
        sha256_add(h, s + i, k - i);
        i = k;
        if (i < n && is_time(s, i))
            while (i < n && !strchr(",}\n", s[i]))
                i++;
        else if (i < n)
            sha256_add(h, s + i++, 1);
    }
}

/* The page of a report says in words how long things took and when. */
static void hash_page(struct sha256 *h, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9')
            sha256_add(h, s + i, 1);
}

static bool broken_json; /* one that was met was none */

static void hash_file(struct sha256 *h, const char *path)
{
    struct err e = {0};
    struct buf b = {0};
    bool json = text_ends(path, ".json");
    if (!file_read_all(path, 1 << 28, &b, &e))
        sha256_add(h, "unreadable", 10);
    else if (text_ends(path, ".html"))
        hash_page(h, b.s, b.n);
    else if (json || text_ends(path, ".jsonl") || text_ends(path, ".md"))
        hash_text(h, b.s, b.n);
    else if (b.n)
        sha256_add(h, b.s, b.n);
    if (json) {
        json_t *v = json_parse(b.s ? b.s : "", b.n, &e);
        broken_json |= !v;
        json_decref(v);
    }
    buf_clear(&b);
}

static void hash_tree(struct sha256 *h, const char *path, const char *name)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return;
    sha256_add(h, name, strlen(name) + 1);
    if (!S_ISDIR(st.st_mode)) {
        hash_file(h, path);
        return;
    }
    char **names;
    size_t n;
    struct err e = {0};
    if (!folder_names(path, &names, &n, &e))
        return;
    for (size_t i = 0; i < n; i++) {
        if (strstr(names[i], ".reap-")) /* not a part of it; see litter */
            continue;
        char *p = path_join(path, names[i]);
        hash_tree(h, p, names[i]);
        free(p);
    }
    folder_names_free(names, n);
}

static void hash_of(const char *path, char hex[65])
{
    struct stat st;
    hex[0] = 0;
    if (lstat(path, &st) != 0)
        return;
    struct sha256 *h = sha256_new();
    hash_tree(h, path, "");
    sha256_hex(h, hex);
}

/* Of every file below a folder: inode, size and the time of its last change, which nobody can set. */
static struct sha256 *picture_hash;

static int picture_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)type, (void)f;
    const struct {
        uint64_t ino, size;
        int64_t s, ns;
    } x = {st->st_ino, (uint64_t)st->st_size, st->st_ctim.tv_sec, st->st_ctim.tv_nsec};
    sha256_add(picture_hash, path, strlen(path) + 1);
    sha256_add(picture_hash, &x, sizeof x);
    return 0;
}

static void picture(const char *path, char hex[65])
{
    picture_hash = sha256_new();
    nftw(path, picture_one, 16, FTW_PHYS);
    sha256_hex(picture_hash, hex);
}

/* ---- words ---- */

/* The i-th word of a list parted by spaces, or false. */
static bool word(const char *list, size_t i, char *dst, size_t size)
{
    for (const char *s = list; s && *s;) {
        size_t n = strcspn(s, " ");
        if (!i--) {
            snprintf(dst, size, "%.*s", (int)n, s);
            return true;
        }
        s += n + (s[n] == ' ');
    }
    return false;
}

static size_t n_outs(const struct scenario *s)
{
    char w[128];
    size_t n = 0;
    while (n < MAX_OUTS && word(s->outs, n, w, sizeof w))
        n++;
    return n;
}

static char *expand(const char *w)
{
    return *w == '@'   ? xasprintf("%s%s", in, w + 1)
           : *w == '%' ? xasprintf("%s%s", address, w + 1)
                       : xstrdup(w);
}

/* ---- a run ---- */

/* Of a process: its exit status, or minus the signal. */
static int run(const struct place *p, const char *cmd, const char *fault, const char *from, bool log)
{
    char *argv[40], w[PATH_MAX];
    int n = 0;
    argv[n++] = xstrdup(reap);
    for (size_t i = 0; word(cmd, i, w, sizeof w); i++)
        argv[n++] = expand(w);
    argv[n] = NULL;
    unlink(p->counts);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char cache[sizeof p->dir + sizeof CACHE];
        snprintf(cache, sizeof cache, "%s/" CACHE, p->dir);
        setenv("REAP_CACHE", cache, 1);
        if (fault || log) {
            char shim[PATH_MAX + 16];
            snprintf(shim, sizeof shim, "%s/libshim.so", top);
            setenv("LD_PRELOAD", shim, 1);
            setenv("SHIM_COUNTS", p->counts, 1);
        }
        if (fault)
            setenv("SHIM_FAULT", fault, 1);
        if (from)
            setenv("SHIM_FROM", from, 1);
        if (log)
            setenv("SHIM_LOG", p->log, 1);
        int nul = open("/dev/null", O_RDONLY), out = open(p->out, O_WRONLY | O_CREAT | O_TRUNC, 0666),
            err = open(p->err, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (chdir(p->dir) || dup2(nul, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
            _exit(126);
        close(nul);
        close(out);
        close(err);
        alarm(PATIENCE); /* stays behind the exec */
        execv(reap, argv);
        _exit(127);
    }
    for (int i = 0; i < n; i++)
        free(argv[i]);
    int st;
    if (pid < 0 || waitpid(pid, &st, 0) < 0)
        die("cannot run the program");
    return WIFSIGNALED(st) ? -WTERMSIG(st) : WEXITSTATUS(st);
}

static void reset(const struct place *p, const struct scenario *s)
{
    remove_all(p->dir);
    if (mkdir(p->dir, 0777) != 0)
        die(p->dir);
    char w[256];
    for (size_t i = 0; word(s->before, i, w, sizeof w); i++) {
        char *to = strchr(w, '>');
        *to++ = 0;
        char *a = expand(w), *b = path_join(p->dir, to);
        spawn_wait((const char *const[]){"cp", "-r", a, b, NULL});
        free(a);
        free(b);
    }
}

static void look(const struct place *p, const struct scenario *s, struct state *st)
{
    char w[128];
    *st = (struct state){0};
    broken_json = false;
    for (size_t i = 0; i < n_outs(s); i++) {
        word(s->outs, i, w, sizeof w);
        char *path = strcmp(w, "-") ? path_join(p->dir, w) : xstrdup(p->out);
        hash_of(path, st->out[i]);
        free(path);
    }
}

static bool among(const char *list, const char *name)
{
    char w[128];
    for (size_t i = 0; word(list, i, w, sizeof w); i++)
        if (!strcmp(w, name))
            return true;
    return false;
}

static struct buf *litter_found;
static const struct scenario *litter_of;
static bool litter_done; /* what may be kept until the end must be gone */

static int litter_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)type;
    const char *name = path + f->base;
    bool mine =
        f->level == 1 && (among(litter_of->outs, name) || (!litter_done && among(litter_of->kept, name)));
    bool odd = strstr(name, ".reap-") || text_ends(name, ".part") || text_ends(name, ".old") ||
               strstr(path, "/" CACHE "/quantised/");
    if (f->level == 0 || mine || (f->level == 1 && !strcmp(name, CACHE)) || (f->level > 1 && !odd))
        return 0;
    buf_fmt(litter_found, "%s%s", litter_found->n ? ", " : "", path + strlen(top));
    return 0;
}

/* What lies in the folder and is none of the outputs; inside of these only unfinished ones. */
static void litter(const struct place *p, const struct scenario *s, bool done, struct buf *b)
{
    litter_found = b;
    litter_of = s;
    litter_done = done;
    nftw(p->dir, litter_one, 16, FTW_PHYS);
}

static bool same(const struct state *a, const struct state *b)
{
    return !memcmp(a, b, sizeof *a);
}

/* ---- what must hold ---- */

static void bad(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void bad(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char s[1024];
    vsnprintf(s, sizeof s, fmt, ap);
    va_end(ap);
    buf_fmt(b, "%s%s", b->n ? "; " : "", s);
}

/* One line "reap: ..." besides warnings, and no others. The last one is put into `last`. */
static void check_lines(const struct place *p, bool failed, struct buf *b, char last[300])
{
    struct err e = {0};
    struct buf t = {0};
    int ours = 0, others = 0;
    *last = 0;
    if (!file_read_all(p->err, 1 << 20, &t, &e))
        return;
    char *save = NULL;
    for (char *l = t.s ? strtok_r(t.s, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save)) {
        bool reaps = !strncmp(l, "reap: ", 6);
        ours += reaps && strncmp(l, "reap: warning: ", 15) != 0;
        others += !reaps;
        snprintf(last, 300, "%s", l);
    }
    if (failed && ours != 1)
        bad(b, "%d lines instead of one", ours);
    if (failed && others)
        bad(b, "%d lines that are not ours", others);
    buf_clear(&t);
}

static bool exists_line(const struct place *p)
{
    char last[300];
    struct buf none = {0};
    check_lines(p, false, &none, last);
    buf_clear(&none);
    return strstr(last, "exists") != NULL;
}

/* Outputs that are neither as they were nor complete; some of several. `kill`: as far as the first one is there. */
static void check_outputs(const struct scenario *s, const struct reference *r, const struct state *now,
                          bool kill, struct buf *b)
{
    size_t n = n_outs(s), old = 0, done = 0;
    if (!strcmp(s->outs, "-"))
        return;
    if (s->goes_on) {
        if (broken_json)
            bad(b, "half of a JSON file");
        return;
    }
    bool apart = kill && n > 1; /* between renames: the first says which */
    for (size_t i = 0; i < n; i++) {
        bool is_old = !strcmp(now->out[i], r->old.out[i]), is_new = !strcmp(now->out[i], r->want.out[i]);
        old += is_old;
        done += is_new;
        if (!is_old && !is_new && !(apart && !now->out[i][0]))
            bad(b, "output %zu is neither as it was nor complete", i + 1);
    }
    if (old < n && done < n && !(apart && !now->out[0][0]))
        bad(b, "of %zu outputs %zu are as they were, %zu complete", n, old, done);
}

/* The same command again. `locks`: those of steps that are done may stay, which nothing could remove. */
static void check_again(const struct place *p, const struct scenario *s, const struct reference *r,
                        const struct state *now, bool locks, struct buf *b)
{
    struct state then;
    struct buf left = {0}, lines = {0};
    char last[300];
    int rc = run(p, s->again ? s->again : s->cmd, NULL, NULL, false);
    check_lines(p, rc != 0, &lines, last);
    look(p, s, &then);
    bool refused = rc == 2 && same(now, &r->want) && exists_line(p); /* it was done */
    if (rc != 0 && !refused)
        bad(b, "again: status %d: %s", rc, last);
    else if (!same(&then, &r->want))
        bad(b, "again: another output");
    litter(p, s, !refused, &left);
    if (left.n && !locks)
        bad(b, "again: left %s", left.s);
    buf_clear(&left);
    buf_clear(&lines);
}

static bool one_only; /* --one */

/* Whether what the program said names each of what is left ("/w/a, /w/b"). */
static bool names_all(const struct place *p, char *left)
{
    struct err e = {0};
    struct buf t = {0};
    bool all = file_read_all(p->err, 1 << 20, &t, &e);
    char *save = NULL;
    for (const char *l = strtok_r(left, ", ", &save); l && all; l = strtok_r(NULL, ", ", &save))
        all = t.s && strstr(t.s, path_base(l));
    buf_clear(&t);
    return all;
}

/* What could not be removed must be named, and go with the next run. Where no folder can be opened to look what is
 * in it, a word about that is enough. */
static bool may_leave(const struct place *p, const struct fault *f, const char *last, const char *left)
{
    if (!strcmp(f->how, "from:24"))
        return *last;
    if (!strstr(f->calls, "unlink") && !strstr(f->calls, "rmdir"))
        return false;
    char *copy = xstrdup(left ? left : "");
    bool named = names_all(p, copy);
    free(copy);
    return named;
}

/* One fault. Returns how often it came to pass. */
static void try(const struct place *p, const struct scenario *s, const struct reference *r,
                const struct fault *f, long n)
{
    char fault[128], last[300], ins[65];
    struct buf b = {0}, left = {0};
    struct state now;
    bool kill = !strcmp(f->how, "before") || !strcmp(f->how, "behind");
    snprintf(fault, sizeof fault, "%s %ld %s", f->calls, n, f->how);
    reset(p, s);
    int rc = run(p, s->cmd, fault, f->from, false);
    look(p, s, &now);
    check_lines(p, rc > 0, &b, last);
    if (one_only)
        printf("%s: status %d: %s\n", s->name, rc, last);
    if (rc == -SIGALRM)
        bad(&b, "does not end");
    else if (rc < 0 && !(kill && rc == -SIGKILL))
        bad(&b, "signal %d", -rc);
    else if (rc > 3)
        bad(&b, "status %d", rc);
    if (rc == 0 && !same(&now, &r->want))
        bad(&b, "status 0 and another output");
    if (rc != 0)
        check_outputs(s, r, &now, rc == -SIGKILL, &b);
    if (rc != -SIGKILL)
        litter(p, s, rc == 0, &left);
    bool may = may_leave(p, f, last, left.s);
    if (left.n && !may)
        bad(&b, "left %s", left.s);
    picture(in, ins);
    if (strcmp(ins, r->inputs) != 0)
        bad(&b, "an input was changed");
    if (rc != 0 || left.n)
        check_again(p, s, r, &now, may && s->goes_on, &b);
    if (b.n) {
        printf("FAIL %s \"%s\"%s%s: status %d: %s | %s\n", s->name, fault, f->from ? " --from " : "",
               f->from ? f->from : "", rc, b.s, last);
        fflush(stdout);
    }
    __atomic_add_fetch(b.n ? &shared->failed : &shared->passed, 1, __ATOMIC_SEQ_CST);
    buf_clear(&b);
    buf_clear(&left);
}

/* ---- which ---- */

/* How often the calls of a row come. */
static long calls_of(const struct reference *r, const struct fault *f)
{
    size_t from = 0;
    while (froms[from] != f->from && (!froms[from] || !f->from || strcmp(froms[from], f->from) != 0))
        from++;
    long n = 0;
    char w[64], *end;
    for (const char *l = r->counts[from]; *l; l = strchr(l, '\n') + 1) {
        size_t k = strcspn(l, " ");
        snprintf(w, sizeof w, ",%.*s,", (int)k, l);
        char *list = xasprintf(",%s,", f->calls);
        if (strstr(list, w))
            n += strtol(l + k, &end, 10);
        free(list);
    }
    return n;
}

static void row(const struct place *p, const struct scenario *s, const struct reference *r,
                const struct fault *f)
{
    long n = calls_of(r, f), most = quick ? 1 + (s->cost < 20) : s->cost > 100 ? 12 : s->cost > 20 ? 40 : 120;
    struct rng g = {seed ^ (uint64_t)(f - faults) << 32 ^ (uint64_t)(s - scenarios)};
    for (long i = 0; i < (n < most ? n : most); i++) {
        long first = i * n / most, past = (i + 1) * n / most; /* one of this part of the calls */
        try(p, s, r, f, n <= most ? i + 1 : first + 1 + (long)rng_below(&g, (uint64_t)(past - first)));
    }
}

/* ---- undisturbed ---- */

static void count(const struct place *p, const struct scenario *s, struct reference *r)
{
    for (size_t i = 0; i < COUNT(froms); i++) {
        struct err e = {0};
        struct buf t = {0};
        reset(p, s);
        (void)run(p, s->cmd, "open 0 fail:5", froms[i], false);
        if (!file_read_all(p->counts, 1 << 16, &t, &e) || !t.s)
            die("no counts: is libshim.so there?");
        r->counts[i] = t.s; /* until the end */
    }
}

static bool reference(const struct place *p, const struct scenario *s, struct reference *r)
{
    struct state twice;
    struct buf b = {0}, lines = {0};
    char last[300];
    picture(in, r->inputs);
    for (int i = 0; i < 2; i++) {
        reset(p, s);
        look(p, s, &r->old);
        int rc = run(p, s->cmd, NULL, NULL, i == 1);
        check_lines(p, rc != 0, &lines, last);
        if (rc != 0)
            bad(&b, "status %d: %s", rc, last);
        look(p, s, i ? &twice : &r->want);
        litter(p, s, true, &b);
    }
    if (!same(&twice, &r->want))
        bad(&b, "two runs differ");
    for (size_t i = 0; i < n_outs(s); i++)
        if (!r->want.out[i][0])
            bad(&b, "no output %zu", i + 1);
    if (!strcmp(s->outs, "-"))
        r->old = r->want; /* printed or not */
    order_check(p->log, &b);
    if (b.n)
        printf("FAIL %s undisturbed: %s\n", s->name, b.s);
    __atomic_add_fetch(b.n ? &shared->failed : &shared->passed, 1, __ATOMIC_SEQ_CST);
    bool ok = !b.n || same(&twice, &r->want);
    count(p, s, r);
    buf_clear(&b);
    buf_clear(&lines);
    return ok;
}

static void place_at(struct place *p, unsigned i)
{
    snprintf(p->dir, sizeof p->dir, "%s/w%u", top, i);
    snprintf(p->out, sizeof p->out, "%s/w%u.out", top, i);
    snprintf(p->err, sizeof p->err, "%s/w%u.err", top, i);
    snprintf(p->counts, sizeof p->counts, "%s/w%u.counts", top, i);
    snprintf(p->log, sizeof p->log, "%s/w%u.log", top, i);
}

static void copy_input(const char *from, const char *to)
{
    char *a = path_join(src, from), *b = path_join(in, to);
    spawn_wait((const char *const[]){"cp", "-r", a, b, NULL});
    free(a);
    free(b);
}

static void put_input(const char *name, const char *text)
{
    char *p = path_join(in, name);
    FILE *f = fopen(p, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        die(p);
    free(p);
}

static void make_inputs(const struct place *p)
{
    struct err e = {0};
    if (!dir_make(in, &e) || !dir_make(p->dir, &e))
        die(e.msg);
#define FAM "tests/data/families/qwen3_moe/"
    copy_input(FAM "model.gguf", "m.gguf");
    copy_input("tests/data/imatrix/qwen3_moe.gguf", "im.gguf");
    copy_input(FAM "plan.json", "plan.json");
    copy_input(FAM "texts.jsonl", "texts.jsonl");
    copy_input(FAM "hf", "ckpt");
#define MTP "tests/data/families/glm4_moe/"
    copy_input(MTP "model.gguf", "mtp.gguf");
    copy_input(MTP "plan.json", "mtp-plan.json");
    char *extra = path_join(in, "ckpt/pruned"), *m = path_join(in, "m.gguf"), *s = path_join(in, "s"),
         *edit = path_join(bin, "gguf_edit");
    remove_all(extra);
    spawn_wait((const char *const[]){edit, "--split", "3", m, s, NULL});
    put_input(
        "other.json",
        "{\"schema\":\"reap.plan/1\",\"n_keep\":6,\"keep\":{\"0\":[0,1,2,3,4,5],\"1\":[0,1,2,3,4,5],\"2\":[0,1,2,3,4,5]}}\n");
    put_input(
        "prompts.jsonl",
        "{\"id\":\"a\",\"prompt\":\"one\"}\n{\"id\":\"b\",\"prompt\":\"two\"}\n{\"id\":\"c\",\"prompt\":\"three\"}\n");
    struct buf b = {0};
    for (int i = 0; i < 40; i++)
        buf_str(&b, "a few words that make a text, again and again: ");
    put_input("held.txt", b.s);
    buf_clear(&b);
    for (size_t i = 0; i < COUNT(inputs); i++)
        if (run(p, inputs[i], NULL, NULL, false) != 0) {
            char last[300];
            check_lines(p, true, &b, last);
            fprintf(stderr, "faults: cannot make the inputs: %s: %s\n", inputs[i], last);
            exit(1);
        }
    free(extra);
    free(m);
    free(s);
    free(edit);
}

/* LD_PRELOAD takes a path apart at blanks and colons. */
static void link_shim(void)
{
    char *name = path_join(bin, "libshim.so"), *real = realpath(name, NULL),
         *link = path_join(top, "libshim.so");
    if (strpbrk(top, " :"))
        die("TMPDIR has a blank or a colon");
    if (!real || symlink(real, link) != 0)
        die(name);
    free(name);
    free(real);
    free(link);
}

static pid_t server;

static void start_server(void)
{
    char *port = path_join(top, "port"), *log = path_join(top, "asked"), *prog = path_join(bin, "bad_server");
    server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* whoever waits for our output would wait for it */
        execl(prog, prog, port, log, NULL);
        _exit(127);
    }
    struct err e = {0};
    struct buf b = {0};
    for (int i = 0; i < 500 && !b.n; i++) {
        usleep(10000);
        buf_clear(&b);
        if (file_exists(port))
            (void)file_read_all(port, 64, &b, &e);
    }
    if (!b.n)
        die("the test server does not start");
    snprintf(address, sizeof address, "http://127.0.0.1:%d/good", atoi(b.s));
    buf_clear(&b);
    free(port);
    free(log);
    free(prog);
}

/* ---- all of them ---- */

struct item {
    const struct scenario *s;
    const struct reference *r;
    const struct fault *f;
};

static void work(struct item *items, uint32_t n, unsigned jobs)
{
    for (unsigned j = 0; j < jobs; j++) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (pid)
            continue;
        struct place p;
        place_at(&p, j);
        for (uint32_t i; (i = __atomic_fetch_add(&shared->next, 1, __ATOMIC_SEQ_CST)) < n;)
            row(&p, items[i].s, items[i].r, items[i].f);
        fflush(stdout);
        _exit(0);
    }
    for (unsigned j = 0; j < jobs; j++)
        for (int st; wait(&st) == server;)
            server = 0;
}

static bool chosen(const struct scenario *s, char **names, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(names[i], s->name))
            return true;
    return n == 0;
}

static void set_up(void)
{
    const char *tmp = getenv("TMPDIR");
    reap = getenv("REAP");
    bin = getenv("BIN");
    src = getenv("SRC");
    if (!reap || !bin || !src) {
        fputs("faults: REAP, BIN and SRC are not set\n", stderr);
        exit(2);
    }
    snprintf(top, sizeof top - 8, "%s/reap-faults.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(top))
        die(top);
    snprintf(in, sizeof in, "%s/in", top);
    link_shim();
    setenv("LC_ALL", "C", 1);
    setenv("GOMP_SPINCOUNT", "300", 0); /* it would start itself again */
    setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0", 0);
    setenv("OMP_THREAD_LIMIT", "1", 1);
    setenv("SOURCE_DATE_EPOCH", "0", 1);
    char *cache = path_join(top, "cache");
    setenv("REAP_CACHE", cache, 1);
    free(cache);
    unsetenv("REAP_API_KEY");
    unsetenv("http_proxy");
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("mmap");
}

/* --one "CALLS N HOW" */
static void only(const char *one, const char *from, const struct place *p, const struct scenario *s,
                 const struct reference *r)
{
    char calls[128], how[64];
    long n;
    if (sscanf(one, "%127s %ld %63s", calls, &n, how) != 3)
        die(one);
    one_only = true;
    struct fault f = {calls, how, from};
    try(p, s, r, &f, n);
    printf("the folder is %s\n", top);
}

int main(int argc, char **argv)
{
    static struct reference refs[COUNT(scenarios)];
    static struct item items[COUNT(scenarios) * COUNT(faults)];
    unsigned jobs = 1;
    const char *one = NULL, *from = NULL;
    uint32_t n = 0;
    int a = 1;
    for (; a < argc && !strncmp(argv[a], "--", 2); a++) {
        if (!strcmp(argv[a], "--quick"))
            quick = true;
        else if (!strcmp(argv[a], "--jobs") && a + 1 < argc)
            jobs = (unsigned)atoi(argv[++a]);
        else if (!strcmp(argv[a], "--seed") && a + 1 < argc)
            seed = strtoull(argv[++a], NULL, 10);
        else if (!strcmp(argv[a], "--one") && a + 1 < argc)
            one = argv[++a];
        else if (!strcmp(argv[a], "--from") && a + 1 < argc)
            from = argv[++a];
        else {
            fputs(
                "usage: faults [--quick] [--jobs N] [--seed N] [SCENARIO...] | --one FAULT [--from OBJECT] SCENARIO\n",
                stderr);
            return 2;
        }
    }
    set_up();
    struct place p;
    place_at(&p, 99);
    start_server();
    make_inputs(&p);
    printf("seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        bool wanted = a == argc && quick ? scenarios[i].quick : chosen(&scenarios[i], argv + a, argc - a);
        if (!wanted || !reference(&p, &scenarios[i], &refs[i]))
            continue;
        if (one)
            only(one, from, &p, &scenarios[i], &refs[i]);
        for (size_t k = 0; !one && k < COUNT(faults); k++)
            items[n++] = (struct item){&scenarios[i], &refs[i], &faults[k]};
    }
    char before[65], after[65];
    hash_of(in, before);
    work(items, n, jobs);
    hash_of(in, after);
    if (strcmp(before, after) != 0)
        die("the inputs are not what they were");
    if (server)
        kill(server, SIGTERM);
    if (!one)
        remove_all(top);
    printf("%u passed, %u failed\n", shared->passed, shared->failed);
    return shared->failed != 0 || shared->passed == 0;
}
