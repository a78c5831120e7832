/* curl_late.c - libcurl opened when it is needed, for a program that is carried to other machines (REAP_STATIC).
 *
 * Only commands that load models or ask servers need it, and it brings thirty libraries, certificates and the system's
 * own way to trust them. So it is neither linked in nor wanted at the start: the functions that reap calls stand here,
 * and the first call opens the system's library. Where there is none the program ends with a line that says so. */
#define CURL_DISABLE_TYPECHECK /* no macros in the place of the functions */
#include "base/sig.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo

#define OLDEST 0x075500 /* 7.85: CURLOPT_PROTOCOLS_STR, without which no protocol would be ruled out */

#if LIBCURL_VERSION_NUM < 0x080000
#define IN_URL CURLU /* of curl_url_get, which takes it for const since then */
#else
#define IN_URL const CURLU
#endif

/* Each: name, type of its result, its parameters, its arguments. */
#define FUNCTIONS(F)                                                                                        \
    F(curl_easy_cleanup, void, (CURL * c), (c))                                                             \
    F(curl_easy_init, CURL *, (void), ())                                                                   \
    F(curl_easy_perform, CURLcode, (CURL * c), (c))                                                         \
    F(curl_easy_reset, void, (CURL * c), (c))                                                               \
    F(curl_easy_strerror, const char *, (CURLcode code), (code))                                            \
    F(curl_free, void, (void *p), (p))                                                                      \
    F(curl_global_init, CURLcode, (long flags), (flags))                                                    \
    F(curl_slist_append, struct curl_slist *, (struct curl_slist * list, const char *s), (list, s))         \
    F(curl_slist_free_all, void, (struct curl_slist * list), (list))                                        \
    F(curl_url, CURLU *, (void), ())                                                                        \
    F(curl_url_cleanup, void, (CURLU * u), (u))                                                             \
    F(curl_url_get, CURLUcode, (IN_URL * u, CURLUPart part, char **s, unsigned flags), (u, part, s, flags)) \
    F(curl_url_set, CURLUcode, (CURLU * u, CURLUPart part, const char *s, unsigned flags),                  \
      (u, part, s, flags))

#define MEMBER(name, type, parameters, arguments) type(*name) parameters;
static struct {
    FUNCTIONS(MEMBER)
    CURLcode (*curl_easy_setopt)(CURL *c, CURLoption option, ...);
    CURLcode (*curl_easy_getinfo)(CURL *c, CURLINFO info, ...);
} lib;

static void *found(void *so, const char *name)
{
    void *f = dlsym(so, name);
    if (!f)
        sig_die("libcurl on this machine lacks a function that reap needs: it wants 7.85 or newer");
    return f;
}

static void load(void)
{
    static const char *const names[] = {"libcurl.so.4",
                                        "libcurl-gnutls.so.4"}; /* the second: Debian's other build */
    void *so = NULL;
    for (size_t i = 0; !so && i < sizeof names / sizeof *names; i++)
        so = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!so)
        sig_die(
            "loading models and asking servers needs libcurl, which is not on this machine: install it "
            "(libcurl4 on Debian 12, libcurl4t64 on Debian 13 and Ubuntu 24.04, libcurl on Fedora, curl on Arch)");
#define FIND(name, type, parameters, arguments) *(void **)&lib.name = found(so, #name);
    FUNCTIONS(FIND)
    *(void **)&lib.curl_easy_setopt = found(so, "curl_easy_setopt");
    *(void **)&lib.curl_easy_getinfo = found(so, "curl_easy_getinfo");
    curl_version_info_data *(*info)(CURLversion);
    *(void **)&info = found(so, "curl_version_info");
    if (info(CURLVERSION_FIRST)->version_num < OLDEST)
        sig_die("libcurl on this machine is too old: reap needs 7.85 or newer");
}

static void need(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
}

#define FORWARD(name, type, parameters, arguments) \
    type name parameters                           \
    {                                              \
        need();                                    \
        return lib.name arguments;                 \
    }
#pragma GCC diagnostic ignored "-Wpedantic" /* a void function that returns another's nothing */
FUNCTIONS(FORWARD)

/* What comes after the option is told by its number: a long, a curl_off_t, or some pointer. */
CURLcode curl_easy_setopt(CURL *c, CURLoption option, ...)
{
    CURLcode r;
    va_list ap;
    need();
    va_start(ap, option);
    if (option < CURLOPTTYPE_OBJECTPOINT)
        r = lib.curl_easy_setopt(c, option, va_arg(ap, long));
    else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB)
        r = lib.curl_easy_setopt(c, option, va_arg(ap, curl_off_t));
    else
        r = lib.curl_easy_setopt(c, option, va_arg(ap, void *));
    va_end(ap);
    return r;
}

CURLcode curl_easy_getinfo(CURL *c, CURLINFO info, ...)
{
    va_list ap;
    need();
    va_start(ap, info);
    void *where = va_arg(ap, void *);
    va_end(ap);
    return lib.curl_easy_getinfo(c, info, where);
}
