/* uncaught.cpp - see uncaught.h. */
#include "engine/uncaught.h"

#include <cstdio>
#include <exception>
#include <llama.h>
#include <new>
#include <stdexcept>

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

int32_t uncaught_tokenize(const struct llama_vocab *v, const char *s, int32_t n, int32_t *ids, int32_t cap,
                          bool add_special, bool parse_special, char *why, size_t n_why)
{
    try {
        return llama_tokenize(v, s, n, ids, cap, add_special, parse_special);
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::out_of_range &) {
        std::snprintf(why, n_why, "a byte of it, or of the blank before it, has no token");
    } catch (const std::exception &x) {
        std::snprintf(why, n_why, "%s", x.what());
    }
    return INT32_MIN;
}

void uncaught_stop(void)
{
    throw std::runtime_error("interrupted");
}

__attribute__((constructor(101))) static void first_of_all()
{
    uncaught_install();
}
