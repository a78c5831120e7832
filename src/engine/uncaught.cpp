/* uncaught.cpp - see uncaught.h. */
#include "engine/uncaught.h"

#include <exception>

static void (*told_to)(const char *what);

static void on_terminate()
{
    try {
        if (std::current_exception())
            std::rethrow_exception(std::current_exception());
        told_to("it ended itself");
    } catch (const std::exception &x) {
        told_to(x.what());
    } catch (...) {
        told_to("it threw something unknown");
    }
}

void uncaught_to(void (*fn)(const char *what))
{
    told_to = fn;
    std::set_terminate(on_terminate);
}
