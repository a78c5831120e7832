/* sweeping.c - see sweeping.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/sig.h"
#include "engine_fake.h"
#include "profile/profile.h"
#include "sweeping.h"
#include "tempdir.h"

#ifdef _OPENMP
#include <omp.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

static void put_text(const char *name, uint32_t n, uint32_t step)
{
    struct buf b = {0};
    for (uint32_t i = 0; i < n; i++)
        buf_fmt(&b, "%c", 'a' + (char)(i * step % 26));
    put_bytes(name, b.s, b.n);
    buf_clear(&b);
}

int sweeping_setup(void **state)
{
    struct err e = {0};
    struct profile_result r;
    int rc = tempdir_setup(state);
    log_quiet = true;
    fake_reset();
    put_text("a.txt", 900, 5);
    put_text("b.txt", 700, 11);
    const char *spec = at("a.txt");
    struct profile_opts o = {
        .model = MODEL, .corpus = {.specs = &spec, .n_specs = 1}, .n_ctx = 200, .out = at("stats.json")};
    engine_opts_default(&o.engine);
    if (!profile_run(&o, &r, &e))
        fail_msg("%s", e.msg);
    fake_reset();
    return rc;
}

int sweeping_apart(int (*fn)(void *arg), void *arg)
{
    int status;
#ifdef _OPENMP
    omp_pause_resource_all(omp_pause_hard); /* the threads of a team do not live on in a child */
#endif
    pid_t pid = fork();
    if (pid == 0) {
        sig_install();
        _exit(fn(arg));
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}
