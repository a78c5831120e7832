/* hub_server.c - the hub's interface over files of a folder, for tests of downloads; it also misbehaves on purpose.
 *
 *   hub_server PORTFILE LOG ROOT
 *
 * Listens on a free port of 127.0.0.1 and writes its number to PORTFILE. ROOT/ORG/REPO/... are the files of a model: those
 * of 1,000 bytes and more are of LFS, with SHA-256. Answered are /api/models/ORG/REPO/revision/main, .../tree/REVISION and
 * /ORG/REPO/resolve/REVISION/PATH, which for LFS redirects to /cdn/ORG/REPO/PATH, of the server that the variable OTHER
 * names if it is set. ORG says what is wrong (see `is` below). Each request is a line of LOG: method, path, range, token.
 * Runs until it is killed. */
#include "base/buf.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REVISION "0123456789abcdef0123456789abcdef01234567"
#define LFS      1000

static FILE *request_log;
static const char *root;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct request {
    int fd;
    char path[2048], org[64], repo[64], rest[1024]; /* rest: behind ORG/REPO/ */
    bool token;
    unsigned long long from;
};

static bool is(const struct request *r, const char *org)
{
    return !strcmp(r->org, org);
}

static bool put(int fd, const void *p, size_t n)
{
    const char *s = p;
    while (n) {
        ssize_t k = send(fd, s, n, MSG_NOSIGNAL);
        if (k <= 0)
            return false;
        s += k;
        n -= (size_t)k;
    }
    return true;
}

static void answer(int fd, const char *status, const char *headers, const char *body)
{
    char *s = xasprintf("HTTP/1.1 %s\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s", status,
                        headers, strlen(body), body);
    put(fd, s, strlen(s));
    free(s);
}

/* How often this was asked before. */
static int count(const char *what)
{
    static char *seen[512];
    static int n[512];
    pthread_mutex_lock(&mutex);
    size_t i = 0;
    while (i < 511 && seen[i] && strcmp(seen[i], what) != 0)
        i++;
    if (!seen[i])
        seen[i] = xstrdup(what);
    int k = n[i]++;
    pthread_mutex_unlock(&mutex);
    return k;
}

/* ---- the list ---- */

static void put_file(struct buf *b, const struct request *r, const char *path, const char *name)
{
    struct err e = {0};
    struct buf text = {0};
    char hex[65];
    if (!file_read_all(path, 1u << 30, &text, &e))
        exit(1);
    size_t size = text.n;
    if (is(r, "liesmall"))
        size -= size > 600 ? 500 : 0;
    if (is(r, "lieslarge"))
        size += 500;
    if (text.n < LFS) {
        struct git_sha1 *h = git_sha1_new(text.n);
        git_sha1_add(h, text.s, text.n);
        git_sha1_hex(h, hex);
        buf_fmt(b, "{\"type\":\"file\",\"oid\":\"%s\",\"size\":%zu,\"path\":\"%s\"},", hex, size, name);
    } else {
        sha256_bytes(text.s, text.n, hex);
        buf_fmt(b,
                "{\"type\":\"file\",\"oid\":\"%040d\",\"size\":%zu,\"lfs\":{\"oid\":\"%s\",\"size\":%zu,"
                "\"pointerSize\":134},\"path\":\"%s\"},",
                0, size, hex, is(r, "huge") ? (size_t)1 << 60 : size, name);
    }
    buf_clear(&text);
}

static void put_files(struct buf *b, const struct request *r, const char *dir, const char *prefix)
{
    struct err e = {0};
    char **names;
    size_t n;
    if (!folder_names(dir, &names, &n, &e))
        return;
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(dir, names[i]), *name = xasprintf("%s%s", prefix, names[i]);
        if (file_is_dir(path)) {
            char *below = xasprintf("%s/", name);
            buf_fmt(b, "{\"type\":\"directory\",\"oid\":\"x\",\"size\":0,\"path\":\"%s\"},", name);
            put_files(b, r, path, below);
            free(below);
        } else {
            put_file(b, r, path, name);
        }
        free(path);
        free(name);
    }
    folder_names_free(names, n);
}

static void tree(const struct request *r)
{
    struct buf b = {0};
    char *dir = xasprintf("%s/%s/%s", root, r->org, r->repo), *link = xstrdup("");
    bool second = strstr(r->path, "cursor") != NULL;
    buf_str(&b, "[");
    if (is(r, "outside"))
        buf_fmt(&b, "{\"type\":\"file\",\"oid\":\"%040d\",\"size\":2,\"path\":\"../../../evil.json\"},", 1);
    if (is(r, "badsize"))
        buf_fmt(&b, "{\"type\":\"file\",\"oid\":\"%040d\",\"size\":-2,\"path\":\"x.json\"},", 1);
    if (is(r, "badhash40"))
        buf_str(&b, "{\"type\":\"file\",\"oid\":\"../../x\",\"size\":2,\"path\":\"x.json\"},");
    if (is(r, "pages") && !second) { /* the first page holds one file only */
        free(link);
        buf_fmt(&b, "{\"type\":\"file\",\"oid\":\"%040d\",\"size\":7,\"path\":\"notes.other\"},", 1);
        link = xasprintf("Link: <http://%s/api/models/%s/%s/tree/" REVISION
                         "?recursive=true&cursor=x>; rel=\"next\"\r\n",
                         getenv("SELF"), r->org, r->repo);
    } else {
        put_files(&b, r, dir, "");
    }
    if (b.s[b.n - 1] == ',')
        b.s[b.n - 1] = ']';
    else
        buf_str(&b, "]");
    answer(r->fd, "200 OK", link, is(r, "badjson") ? "[{\"type\":" : b.s);
    free(link);
    free(dir);
    buf_clear(&b);
}

static void endless(int fd)
{
    static char s[1 << 16];
    memset(s, ' ', sizeof s);
    put(fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
    while (put(fd, s, sizeof s))
        ;
}

/* ---- a file ---- */

static bool part(const struct request *r, const char *p, size_t n)
{
    while (n) {
        size_t k = is(r, "slow") && n > 10000 ? 10000 : n;
        if (!put(r->fd, p, k))
            return false;
        p += k;
        n -= k;
        if (is(r, "slow")) /* some seconds in all: a test looks in the middle */
            nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    }
    return true;
}

static void file(const struct request *r)
{
    struct err e = {0};
    struct buf b = {0};
    char *path = xasprintf("%s/%s/%s/%s", root, r->org, r->repo, r->rest);
    bool range = r->from > 0 && !is(r, "norange");
    if (!file_read_all(path, 1u << 30, &b, &e) || (range && r->from >= b.n)) {
        answer(r->fd, b.n ? "416 Range Not Satisfiable" : "404 Not Found", "X-Error-Code: EntryNotFound\r\n",
               "");
    } else {
        size_t from = range ? (size_t)r->from : 0, n = b.n - from;
        if (is(r, "wrong"))
            b.s[b.n / 2] ^= 1;
        char *head = xasprintf(
            "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\nContent-Range: bytes %zu-%zu/%zu"
            "\r\n\r\n",
            range ? "206 Partial Content" : "200 OK", n, is(r, "elsewhere") ? from + 1 : from, b.n - 1, b.n);
        bool cut = b.n >= LFS && ((is(r, "cut") && n > 3000) ||
                                  ((is(r, "norange") || is(r, "elsewhere")) && !count(r->path)) ||
                                  (is(r, "dead") && n > 1));
        put(r->fd, head, strlen(head));
        part(r, b.s + from, is(r, "dead") ? 0 : cut ? n / 2 : n);
        free(head);
    }
    buf_clear(&b);
    free(path);
}

static void resolve(struct request *r)
{
    char *path = xasprintf("%s/%s/%s/%s", root, r->org, r->repo, r->rest), *to = NULL;
    const char *other = getenv("OTHER");
    struct buf size = {0};
    file_stamp(path, &size);
    if (is(r, "gated") && !r->token)
        answer(r->fd, "403 Forbidden", "X-Error-Code: GatedRepo\r\n",
               "Access to model is restricted, hf_secret");
    else if (is(r, "scheme"))
        to = xasprintf("file://%s", path);
    else if (is(r, "round"))
        to = xasprintf("%s", r->path);
    else if (size.s && atol(size.s) >= LFS)
        to =
            xasprintf("%s/cdn/%s/%s/%s", other ? other : "", r->org, r->repo, strstr(r->path, REVISION) + 41);
    else
        file(r);
    if (to) {
        char *h = xasprintf("Location: %s\r\n", to);
        answer(r->fd, "302 Found", h, "Found. Redirecting");
        free(h);
    }
    buf_clear(&size);
    free(to);
    free(path);
}

/* ---- requests ---- */

static void decode(char *s) /* %20, in place */
{
    char *to = s;
    for (unsigned c; *s; to++) {
        if (*s == '%' && sscanf(s + 1, "%2x", &c) == 1) {
            *to = (char)c;
            s += 3;
        } else {
            *to = *s++;
        }
    }
    *to = 0;
}

static bool split(struct request *r, const char *prefix)
{
    size_t n = strlen(prefix);
    r->rest[0] = 0;
    bool ok = !strncmp(r->path, prefix, n) &&
              sscanf(r->path + n, "%63[^/]/%63[^/]/%1023[^?]", r->org, r->repo, r->rest) >= 2;
    decode(r->rest);
    return ok;
}

static void respond(struct request *r)
{
    static const char at[] = "resolve/" REVISION "/";
    if (split(r, "/api/models/")) {
        char *dir = xasprintf("%s/%s/%s", root, r->org, r->repo);
        bool there = file_is_dir(dir);
        free(dir);
        if (!there)
            answer(r->fd, r->token ? "404 Not Found" : "401 Unauthorized", "X-Error-Code: RepoNotFound\r\n",
                   "");
        else if (is(r, "private") && !r->token)
            answer(r->fd, "401 Unauthorized", "X-Error-Code: RepoNotFound\r\n", "");
        else if (is(r, "busy") && count(r->path) < 2)
            answer(r->fd, "503 Service Unavailable", "", "");
        else if (is(r, "endless"))
            endless(r->fd);
        else if (!strncmp(r->rest, "revision/main", 13))
            answer(r->fd, "200 OK", "",
                   is(r, "nosha") ? "{\"sha\": \"../../x\"}" : "{\"sha\": \"" REVISION "\"}");
        else
            tree(r);
    } else if (split(r, "/cdn/")) {
        if (is(r, "forbidden") || (is(r, "expired") && !count(r->path)))
            answer(r->fd, "403 Forbidden", "", "Request has expired");
        else
            file(r);
    } else if (split(r, "/") && !strncmp(r->rest, at, strlen(at))) {
        memmove(r->rest, r->rest + strlen(at), strlen(r->rest + strlen(at)) + 1);
        resolve(r);
    } else {
        answer(r->fd, "404 Not Found", "", "");
    }
}

static void *serve(void *ctx)
{
    struct request r = {.fd = *(int *)ctx};
    char s[16384];
    size_t n = 0;
    ssize_t k;
    free(ctx);
    s[0] = 0;
    while (!strstr(s, "\r\n\r\n") && n < sizeof s - 1 && (k = recv(r.fd, s + n, sizeof s - 1 - n, 0)) > 0)
        s[n += (size_t)k] = 0;
    const char *range = strcasestr(s, "\nrange: bytes="), *auth = strcasestr(s, "\nauthorization: ");
    if (range)
        r.from = strtoull(range + 14, NULL, 10);
    r.token = auth && !strncasecmp(auth, "\nauthorization: bearer hf_secret\r", 33);
    if (sscanf(s, "GET %2047s", r.path) == 1) {
        pthread_mutex_lock(&mutex);
        fprintf(request_log, "GET %s from %llu %s\n", r.path, r.from,
                r.token ? "token"
                : auth  ? "other"
                        : "-");
        fflush(request_log);
        pthread_mutex_unlock(&mutex);
        respond(&r);
    }
    shutdown(r.fd, SHUT_WR);
    close(r.fd);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 4) {
        fprintf(stderr, "usage: hub_server PORTFILE LOG ROOT\n");
        return 2;
    }
    root = argv[3];
    signal(SIGPIPE, SIG_IGN);
    request_log = fopen(argv[2], "a");
    if (s < 0 || !request_log || bind(s, (struct sockaddr *)&a, n) != 0 || listen(s, 100) != 0 ||
        getsockname(s, (struct sockaddr *)&a, &n) != 0) {
        perror("hub_server");
        return 1;
    }
    char *tmp = xasprintf("%s.new", argv[1]), self[64];
    snprintf(self, sizeof self, "127.0.0.1:%d", ntohs(a.sin_port));
    setenv("SELF", self, 1);
    FILE *f = fopen(tmp, "w");
    if (!f || fprintf(f, "%d\n", ntohs(a.sin_port)) < 0 || fclose(f) != 0 || rename(tmp, argv[1]) != 0) {
        perror(argv[1]);
        return 1;
    }
    free(tmp);
    for (;;) {
        int *fd = xmalloc(sizeof *fd);
        pthread_t t;
        *fd = accept(s, NULL, NULL);
        if (*fd < 0 || pthread_create(&t, NULL, serve, fd) != 0) {
            free(fd);
            continue;
        }
        pthread_detach(t);
    }
}
