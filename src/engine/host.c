/* host.c - the part of engine.h that is about this machine and not about a library: defaults, processor
 * cores, how threads wait, and in what pages memory lies. */
#include "base/buf.h"
#include "base/file.h"
#include "engine/engine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

const char *const engine_flash_attn[] = {"on", "off", "auto", NULL};
const char *const engine_split_modes[] = {"none", "layer", NULL};

void engine_opts_default(struct engine_opts *o)
{
    *o = (struct engine_opts){.n_gpu_layers = -1,
                              .rpc_silence = ENGINE_RPC_SILENCE,
                              .flash_attn = ENGINE_FLASH_ATTN,
                              .cache_type_k = ENGINE_CACHE_TYPE,
                              .cache_type_v = ENGINE_CACHE_TYPE};
}

/* Measured with 2 threads while other programs kept both cores of a machine busy: 530 tokens/s with libgomp's
 * default, 3,500 with 2,000 rounds, 4,300 with none. */
#define SPIN_ROUNDS "2000"

static bool tame(void)
{
    return !getenv("GOMP_SPINCOUNT") && !getenv("OMP_WAIT_POLICY") &&
           setenv("GOMP_SPINCOUNT", SPIN_ROUNDS, 1) == 0;
}

#define HUGE_PAGES "glibc.malloc.hugetlb"

/* Whether a program has to ask the kernel for huge pages, where others get them or nobody does. */
static bool pages_on_request(void)
{
    char s[64] = "";
    FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    if (!f)
        return false;
    bool ok = fgets(s, sizeof s, f) && strstr(s, "[madvise]");
    fclose(f);
    return ok;
}

/* glibc asks for its large blocks, which all of the engine's buffers are. */
static bool ask_for_huge_pages(void)
{
    const char *now = getenv("GLIBC_TUNABLES");
    struct buf b = {0};
    if ((now && strstr(now, HUGE_PAGES)) || !pages_on_request())
        return false;
    buf_fmt(&b, "%s%s" HUGE_PAGES "=1", now ? now : "", now && *now ? ":" : "");
    bool ok = setenv("GLIBC_TUNABLES", b.s, 1) == 0;
    buf_clear(&b);
    return ok;
}

/* Not a program with more rights than its user has (set-id, file capabilities): glibc takes its settings out of the environment,
 * so it would find them missing each time and start without end. Nor one that ld.so was called with: the program that runs is
 * ld.so then, which would take our first argument for a program. */
static bool may_start_again(void)
{
    return !getauxval(AT_SECURE) && getauxval(AT_BASE);
}

void engine_begin(char **argv)
{
    bool tamed = tame(), asked = ask_for_huge_pages();
    char *self = NULL;
    if (argv && (tamed || asked) && may_start_again())
        self = path_own_program(); /* the real name, so that ps shows it */
    if (self)
        execv(self, argv); /* if that fails, go on as we are */
    free(self);
}

/* Physical cores among the CPUs that we may run on: two threads of one core share its arithmetic units. */
static int n_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return (int)sysconf(_SC_NPROCESSORS_ONLN);
    int n = 0;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        char path[96], s[64] = "";
        if (!CPU_ISSET((size_t)i, &set))
            continue;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", i);
        FILE *f = fopen(path, "r");
        bool first = true;
        if (f) {
            first = !fgets(s, sizeof s, f) || atoi(s) == i || !CPU_ISSET((size_t)atoi(s), &set);
            fclose(f);
        }
        n += first;
    }
    return n > 0 ? n : 1;
}

uint32_t engine_cores(void)
{
    return (uint32_t)n_cores();
}
