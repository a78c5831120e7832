/* uncaught.cpp - see uncaught.h. */
#include "engine/uncaught.h"

#include <cstdio>
#include <exception>
#include <new>

extern "C" {
#include "base/sig.h"
}

static void gave_up(const char *what)
{
    char reason[512];
    std::snprintf(reason, sizeof reason, "the engine gave up: %s", what);
    sig_die(reason);
}

static void on_terminate()
{
    try {
        if (std::current_exception())
            std::rethrow_exception(std::current_exception());
        gave_up("it ended itself");
    } catch (const std::bad_alloc &) {
        sig_die("out of memory");
    } catch (const std::exception &x) {
        gave_up(x.what());
    } catch (...) {
        gave_up("it threw something unknown");
    }
}

void uncaught_install(void)
{
    std::set_terminate(on_terminate);
}

__attribute__((constructor(101))) static void first_of_all()
{
    uncaught_install();
}
