/* bad_server.c - an inference server that misbehaves on purpose, for the tests of reap batch.
 *
 *   bad_server PORTFILE LOG [PORT [mute]]
 *
 * Listens on a free port of 127.0.0.1, or on PORT, and writes its number to PORTFILE. mute: takes no request. The
 * first component of a request's path says how to answer POST .../v1/chat/completions; GET .../v1/models and
 * POST .../tokenize work as they should where the scenario does not say otherwise. Each request is a line of LOG:
 * method, path, whether it carried "Authorization: Bearer secret-key", and the body. Runs until it is killed. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_STREAM \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n"
#define HEAD_JSON "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
#define CHUNKED   "Transfer-Encoding: chunked\r\n\r\n"
#define DELTA(s) \
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" s "\"},\"finish_reason\":null}]}\n\n"
#define CALLS(s) \
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[" s "]},\"finish_reason\":null}]}\n\n"
#define NO_MATCH "The model produced output that does not match the expected peg-native format"
#define STOP     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define USAGE    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n"
#define DONE     "data: [DONE]\n\n"

static FILE *request_log;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void __attribute__((noreturn)) die(const char *what)
{
    perror(what);
    exit(1);
}

static bool put(int fd, const char *s, size_t n)
{
    while (n) {
        ssize_t k = send(fd, s, n, MSG_NOSIGNAL);
        if (k <= 0)
            return false;
        s += k;
        n -= (size_t)k;
    }
    return true;
}

static bool puts_to(int fd, const char *s)
{
    return put(fd, s, strlen(s));
}

static bool chunk(int fd, const char *s, size_t n)
{
    char head[32];
    snprintf(head, sizeof head, "%zx\r\n", n);
    return puts_to(fd, head) && put(fd, s, n) && puts_to(fd, "\r\n");
}

static bool chunks(int fd, const char *s) /* in one piece */
{
    return chunk(fd, s, strlen(s));
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void status(int fd, const char *line, const char *headers, const char *body)
{
    char s[8192]; /* of a body of 4096 bytes at most */
    snprintf(
        s, sizeof s,
        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s",
        line, headers, strlen(body), body);
    puts_to(fd, s);
}

/* Terminal codes wherever a server has a say; those of the body by the variable BAD_STRING, which is JSON. */
static void hostile(int fd, const char *line)
{
    const char *what = getenv("BAD_STRING");
    char body[4096];
    what = what ? what : "pwn";
    snprintf(
        body, sizeof body,
        "{\"error\":{\"message\":\"%s\"},\"data\":[{\"id\":\"%s\"}],\"choices\":[{\"message\":{\"content\":\"%s\"},"
        "\"finish_reason\":\"%s\"}]}",
        what, what, what, what);
    status(fd, line, "X-Pwn: pwn\x1b[31m\xe2\x80\xae\r\nServer: \x1b]0;pwn\a\r\n", body);
}

static void reset(int fd)
{
    struct linger l = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l); /* closing now sends RST */
}

/* How often this path was asked before. */
static int count(const char *path)
{
    static struct {
        char path[256];
        int n;
    } seen[256];
    pthread_mutex_lock(&lock);
    size_t i = 0;
    while (i < 255 && seen[i].path[0] && strcmp(seen[i].path, path) != 0)
        i++;
    snprintf(seen[i].path, sizeof seen[i].path, "%s", path);
    int n = seen[i].n++;
    pthread_mutex_unlock(&lock);
    return n;
}

/* ---- scenarios ---- */

static void good(int fd)
{
    puts_to(fd, HEAD_STREAM CHUNKED);
    chunks(fd, DELTA("Hello"));
    chunks(fd, DELTA(", "));
    chunks(fd, DELTA("world"));
    chunks(fd, STOP USAGE);
    chunks(fd, DONE);
    chunk(fd, "", 0);
}

static void odd(int fd) /* a byte a chunk, CR LF, comments, other fields, and data of two lines */
{
    static const char s[] =
        "\xef\xbb\xbf: a comment\r\nevent: x\r\nid:1\r\n"
        "data:{\"choices\":[{\"delta\":{\"content\":\"gr\xc3\xbc\xc3\x9f\"}}]}\r\n\r\n"
        "data: {\"choices\":[{\"delta\":\r\ndata: {\"content\":\" \xf0\x9f\x8c\x8d\"}}]}\r\n\r\n"
        "retry: 10\r\n\r\n\r\n" STOP DONE;
    puts_to(fd, HEAD_STREAM CHUNKED);
    for (size_t i = 0; i + 1 < sizeof s; i++) {
        chunk(fd, s + i, 1);
        if (i % 50 == 0)
            pause_ms(1);
    }
    chunk(fd, "", 0);
}

static void endless(int fd, const char *unit)
{
    char *s = malloc(1 << 16);
    size_t n = 0, k = strlen(unit);
    if (!s)
        die("malloc");
    for (; n + k <= 1 << 16; n += k)
        memcpy(s + n, unit, k);
    while (chunk(fd, s, n))
        ;
    free(s);
}

static void endless_text(int fd)
{
    static char s[8192];
    int n = snprintf(s, sizeof s, "data: {\"choices\":[{\"delta\":{\"content\":\"%04000d\"}}]}\n\n", 0);
    puts_to(fd, HEAD_STREAM CHUNKED);
    while (chunk(fd, s, (size_t)n))
        ;
}

static void drip(int fd)
{
    puts_to(fd, HEAD_STREAM CHUNKED);
    while (chunks(fd, ": still here\n"))
        pause_ms(20);
}

static void drip_head(int fd)
{
    puts_to(fd, "HTTP/1.1 200 OK\r\n");
    while (puts_to(fd, "X-Still: here\r\n"))
        pause_ms(20);
}

/* To the server that OTHER names, with all that the request has. */
static void redirect(int fd, const char *path)
{
    char s[512];
    const char *other = getenv("OTHER");
    snprintf(s, sizeof s, "Location: %s/good/%s\r\n", other ? other : "", path);
    status(fd, "307 Temporary Redirect", s, "");
}

static void stream(int fd, const char *events)
{
    puts_to(fd, HEAD_STREAM CHUNKED);
    chunks(fd, events);
    chunk(fd, "", 0);
}

static void whole(int fd, const char *body)
{
    status(fd, "200 OK", "", body);
}

#define IS(name) (!strcmp(scenario, name))

static void complete(int fd, const char *scenario, const char *path)
{
    int before = count(path);
    if (IS("good"))
        good(fd);
    else if (IS("paced"))
        pause_ms(150), good(fd);
    else if (IS("six")) /* the others hang */
        pause_ms(before < 6 ? 150 : 60000), good(fd);
    else if (IS("odd"))
        odd(fd);
    else if (IS("whole"))
        whole(
            fd,
            "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"whole\"},\"finish_reason\":\"stop\"}],"
            "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}");
    else if (IS("reasoning"))
        stream(
            fd,
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"let me think\",\"content\":null}}]}\n\n" DELTA(
                "42") STOP DONE);
    else if (IS("nodone"))
        stream(fd, DELTA("no done") STOP);
    else if (IS("cut"))
        stream(fd, DELTA("half an ans"));
    else if (IS("reset") || (IS("reset-once") && !before))
        puts_to(fd, HEAD_STREAM CHUNKED), chunks(fd, DELTA("half")), pause_ms(50), reset(fd);
    else if (IS("500") || (IS("500-once") && !before))
        status(fd, "500 Internal Server Error", "",
               "{\"error\":{\"message\":\"out of \\u001b[31mluck\\nhere\"}}");
    else if (IS("hostile"))
        hostile(fd, before ? "200 OK" : "500 pwn\x1b[31m\xe2\x80\xae");
    else if (IS("503-once") && !before)
        status(fd, "503 Service Unavailable", "", "busy");
    else if (IS("429-once") && !before)
        status(fd, "429 Too Many Requests", "Retry-After: 1\r\n", "{\"error\":\"slow down\"}");
    else if (IS("429-long"))
        status(fd, "429 Too Many Requests", "Retry-After: 20000\r\n", "{\"message\":\"slow down\"}");
    else if (IS("400"))
        status(fd, "400 Bad Request", "",
               "{\"error\":{\"code\":400,\"message\":\"the prompt is too long\"}}");
    else if (IS("401"))
        status(fd, "401 Unauthorized", "", "{\"detail\":\"no key\"}");
    else if (IS("302"))
        status(fd, "302 Found", "Location: /good/v1/chat/completions\r\n", "");
    else if (IS("307"))
        redirect(fd, "v1/chat/completions");
    else if (IS("drip"))
        drip(fd);
    else if (IS("drip-head"))
        drip_head(fd);
    else if (IS("notjson"))
        stream(fd, DELTA("x") "data: {oops\n\n" STOP DONE);
    else if (IS("html"))
        whole(fd, "<html>it works</html>");
    else if (IS("types"))
        stream(fd, "data: {\"choices\":[{\"delta\":{\"content\":5}}]}\n\n" STOP DONE);
    else if (IS("nochoices"))
        stream(fd, "data: {\"hello\":1}\n\n" DONE);
    else if (IS("error"))
        stream(fd, DELTA("x") "data: {\"error\":{\"message\":\"kaput\"}}\n\n" DONE);
    else if (IS("escape"))
        stream(fd, DELTA("a\\u001b[2Jb\\u0007c\\nd") STOP DONE);
    else if (IS("call"))
        stream(
            fd,
            CALLS(
                "{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"arguments\":\"\"}}")
                CALLS("{\"index\":0,\"function\":{\"arguments\":\"{\\\"city\\\":\"}}") CALLS(
                    "{\"index\":0,\"function\":{\"arguments\":\" \\\"Rome\\\"}\"}}") "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n" USAGE
                    DONE);
    else if (IS("call-cut"))
        stream(fd, CALLS("{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}"));
    else if (IS("call-whole"))
        whole(
            fd,
            "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":null,\"refusal\":\"not that\","
            "\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"}},\"finish_reason\":\"function_call\"}]}");
    else if (IS("malformed"))
        stream(
            fd,
            DELTA("so ") CALLS(
                "{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}") "data: {\"error\":{\"code\":500,\"message\":\"" NO_MATCH
                                                                                                 "\",\"type\":\"server_error\"}}\n\n" DONE);
    else if (IS("malformed-500"))
        status(fd, "500 Internal Server Error", "",
               "{\"error\":{\"code\":500,\"message\":\"" NO_MATCH "\"}}");
    else if (IS("key-error"))
        status(fd, "401 Unauthorized", "", "{\"error\":{\"message\":\"bad key: Bearer \\u0073ecret-key\"}}");
    else if (IS("key-plain"))
        status(fd, "500 Internal Server Error", "", "no such key: secret-key");
    else if (IS("key-cut")) { /* where messages are cut */
        char s[400];
        snprintf(s, sizeof s, "{\"error\":{\"message\":\"%0295dsecret-key, and more\"}}", 0);
        status(fd, "400 Bad Request", "", s);
    } else if (IS("key-event"))
        stream(fd, DELTA("x") "data: {\"error\":{\"message\":\"not secret-key\"}}\n\n" DONE);
    else if (IS("key-near"))
        stream(fd, "data: {\"x\":\"secret-key\" \"secret-key\"}\n\n" DONE);
    else if (IS("key-type"))
        stream(fd, CALLS("{\"type\":\"secret-key\"}") DONE);
    else if (IS("key-status"))
        puts_to(fd, "HTTP/secret-key 200 secret-key\r\n\r\n");
    else if (IS("key-answer")) /* in pieces, and with escapes */
        stream(
            fd,
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"it is sec\"}}]}\n\n"
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"ret-key!\"}}]}\n\n" DELTA(
                "Your key is Bearer s") DELTA("ecr") DELTA("\\u0065t\\u002Dkey, secret-") DELTA("key.")
                CALLS("{\"index\":0,\"id\":\"secret-key\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}")
                    CALLS("{\"index\":0,\"function\":{\"arguments\":\"{\\\"k\\\":\\\"\\\\u0073ecr\"}}")
                        CALLS("{\"index\":0,\"function\":{\"arguments\":\"et-key\\\"}\"}}") STOP DONE);
    else if (IS("nul"))
        stream(fd, DELTA("a\\u0000b") DELTA("\xff\\ud800") STOP DONE);
    else if (IS("empty"))
        stream(fd, STOP DONE);
    else if (IS("endless-text"))
        endless_text(fd);
    else if (IS("endless-line"))
        puts_to(fd, HEAD_STREAM CHUNKED), endless(fd, "data: xxxxxxxxxxxxxxxx");
    else if (IS("endless-body"))
        puts_to(fd, HEAD_JSON CHUNKED), endless(fd, "[");
    else if (IS("slow"))
        pause_ms(1500), good(fd);
    else if (IS("hang"))
        pause_ms(60000);
    else if (IS("journal")) /* the fourth one hangs */
        before < 3 ? good(fd) : pause_ms(60000);
    else if (IS("short"))
        puts_to(fd, HEAD_JSON "Content-Length: 1000\r\n\r\n{\"choices\":");
    else if (IS("long"))
        puts_to(fd, HEAD_STREAM "Content-Length: 20\r\n\r\n" DELTA("longer") STOP DONE);
    else if (IS("nothing"))
        return;
    else if (IS("garbage"))
        puts_to(fd, "\x01\x02\x03 what is this\r\n\r\n");
    else if (IS("exit") && before >= 2)
        _exit(0);
    else
        good(fd);
}

/* ---- requests ---- */

static size_t body_length(const char *head)
{
    const char *p = strcasestr(head, "\r\ncontent-length:");
    return p ? strtoul(p + 17, NULL, 10) : 0;
}

/* The whole request; NULL when the client goes away. */
static char *read_request(int fd, char **body)
{
    size_t n = 0, cap = 1 << 20;
    char *s = malloc(cap + 1);
    if (!s)
        die("malloc");
    for (;;) {
        ssize_t k = n < cap ? recv(fd, s + n, cap - n, 0) : 0;
        if (k <= 0) {
            free(s);
            return NULL;
        }
        n += (size_t)k;
        s[n] = 0;
        char *end = strstr(s, "\r\n\r\n");
        if (!end || n - (size_t)(end + 4 - s) < body_length(s))
            continue;
        *body = end + 4;
        return s;
    }
}

static void answer(int fd, char *request, const char *body)
{
    char method[8] = "", path[256] = "", scenario[64] = "";
    bool key = strcasestr(request, "\r\nAuthorization: Bearer secret-key\r\n") != NULL;
    sscanf(request, "%7s %255s", method, path);
    sscanf(path, "/%63[^/]", scenario);
    pthread_mutex_lock(&lock);
    fprintf(request_log, "%s %s %s %s\n", method, path, key ? "key" : "nokey", body);
    fflush(request_log);
    pthread_mutex_unlock(&lock);
    if (strstr(path, "/v1/models") && IS("key-models"))
        whole(fd, "{\"data\":[{\"id\":\"m-secret-key\",\"meta\":{\"ftype\":\"secret-key\"}}]}");
    else if (strstr(path, "/v1/models") && IS("307-models"))
        redirect(fd, "v1/models");
    else if (strstr(path, "/v1/models") && IS("nomodels"))
        status(fd, "404 Not Found", "", "");
    else if (strstr(path, "/v1/models") && IS("hostile"))
        hostile(fd, "200 OK");
    else if (strstr(path, "/v1/models"))
        whole(fd, "{\"object\":\"list\",\"data\":[{\"id\":\"bad-model\",\"meta\":{\"n_params\":5}}]}");
    else if (strstr(path, "/tokenize") && IS("good"))
        whole(fd, "{\"tokens\":[1,2,3]}");
    else if (strstr(path, "/tokenize"))
        status(fd, "404 Not Found", "", "");
    else
        complete(fd, scenario, path);
}

static void *serve(void *p)
{
    int fd = *(int *)p;
    char *body, *request = read_request(fd, &body);
    free(p);
    if (request)
        answer(fd, request, body);
    shutdown(fd, SHUT_WR);
    close(fd);
    free(request);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: bad_server PORTFILE LOG [PORT [mute]]\n");
        return 2;
    }
    a.sin_port = htons(argc > 3 ? (in_port_t)atoi(argv[3]) : 0);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    signal(SIGPIPE, SIG_IGN);
    request_log = fopen(argv[2], "a");
    if (s < 0 || !request_log || bind(s, (struct sockaddr *)&a, n) != 0 || listen(s, 100) != 0 ||
        getsockname(s, (struct sockaddr *)&a, &n) != 0)
        die("bad_server");
    char tmp[4096];
    snprintf(tmp, sizeof tmp, "%s.new", argv[1]);
    FILE *f = fopen(tmp, "w");
    if (!f || fprintf(f, "%d\n", ntohs(a.sin_port)) < 0 || fclose(f) != 0 || rename(tmp, argv[1]) != 0)
        die(argv[1]);
    while (argc > 4)
        pause();
    for (;;) {
        int *fd = malloc(sizeof *fd);
        pthread_t t;
        if (!fd)
            die("malloc");
        *fd = accept(s, NULL, NULL);
        if (*fd < 0 || pthread_create(&t, NULL, serve, fd) != 0) {
            free(fd);
            continue;
        }
        pthread_detach(t);
    }
}
