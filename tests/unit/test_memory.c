/* test_memory.c - memory as files of /proc and control groups say it, of machines that are made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "tempdir.h"

#define MIB (1024ull * 1024)

static const char meminfo[] =
    "MemTotal:        8388608 kB\nMemFree:          100 kB\nMemAvailable:    4194304 kB\n";

static struct memory look(bool want)
{
    struct memory m;
    assert_int_equal(memory_look(tmp, &m), want);
    return m;
}

static void test_machine(void **state)
{
    (void)state;
    (void)look(false); /* nothing is there */
    put("proc/meminfo", "MemTotal: what\n");
    (void)look(false);
    put("proc/meminfo", "MemTotal: 1 kB\nMemAvailable: 2 kB\n");
    (void)look(false);
    put("proc/meminfo", meminfo);
    struct memory m = look(true);
    assert_true(m.total == 8192 * MIB && m.free == 4096 * MIB && !m.limited);
}

static void test_version_2(void **state)
{
    (void)state;
    put("proc/meminfo", meminfo);
    put("proc/self/cgroup", "0::/user/one\n");
    put("sys/fs/cgroup/user/one/memory.max", "max\n");
    put("sys/fs/cgroup/user/one/memory.current", "1048576\n");
    assert_false(look(true).limited);
    /* a group above has a limit; page cache can be had back */
    put("sys/fs/cgroup/user/memory.max", "2147483648\n");
    put("sys/fs/cgroup/user/memory.current", "1073741824\n");
    put("sys/fs/cgroup/user/memory.stat", "anon 5\nactive_file 104857600\ninactive_file 419430400\n");
    struct memory m = look(true);
    assert_true(m.total == 2048 * MIB && m.free == (1024 + 500) * MIB && m.limited);
    /* more is in use than is allowed: nothing is free */
    put("sys/fs/cgroup/user/memory.current", "9999999999\n");
    assert_true(look(true).free == 0);
    /* in a container the path is that of outside */
    put("proc/self/cgroup", "0::/../../docker/x\n");
    put("sys/fs/cgroup/memory.max", "1073741824\n");
    put("sys/fs/cgroup/memory.current", "0\n");
    m = look(true);
    assert_true(m.total == 1024 * MIB && m.free == 1024 * MIB && m.limited);
}

static void test_version_1(void **state)
{
    (void)state;
    put("proc/meminfo", meminfo);
    put("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a\n");
    put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n"); /* no limit */
    put("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "1000\n");
    assert_false(look(true).limited);
    put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1073741824\n");
    put("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "1073741824\n");
    put("sys/fs/cgroup/memory/a/memory.stat", "cache 1\ntotal_inactive_file 1048576\n");
    struct memory m = look(true);
    assert_true(m.total == 1024 * MIB && m.free == MIB && m.limited);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_machine, tempdir_setup, tempdir_teardown),
        cmocka_unit_test_setup_teardown(test_version_2, tempdir_setup, tempdir_teardown),
        cmocka_unit_test_setup_teardown(test_version_1, tempdir_setup, tempdir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
