/* server_find.c - where llama-server is, or how it is made. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "serve/secret.h"
#include "serve/server_part.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* From cmake/engine.cmake: the folder of the engine's programs; what builds them (or ""), and its options. */
#ifndef REAP_ENGINE_TOOLS
#define REAP_ENGINE_TOOLS  ""
#define REAP_ENGINE_SCRIPT ""
#define REAP_ENGINE_FLAGS  ""
#endif

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0 && !file_is_dir(path);
}

/* PATH as execvp would search it. */
static char *in_path(void)
{
    const char *path = getenv("PATH");
    for (const char *p = path; p && *p;) {
        size_t n = strcspn(p, ":");
        char *dir = n ? xstrndup(p, n) : xstrdup("."), *file = path_join(dir, NAME);
        free(dir);
        if (is_program(file))
            return file;
        free(file);
        p += n + (p[n] == ':');
    }
    return NULL;
}

static char *own_folder(void)
{
    char *exe = path_own_program(), *dir = exe ? path_dir(exe) : NULL;
    free(exe);
    return dir;
}

/* In our own folder, or where an installed one is: bin/reap, lib/reap/llama-server. */
static char *beside_us(void)
{
    static const char *const places[] = {NAME, "../lib/reap/" NAME};
    char *dir = own_folder(), *file = NULL;
    for (size_t i = 0; dir && !file && i < sizeof places / sizeof *places; i++) {
        file = path_join(dir, places[i]);
        if (!is_program(file)) {
            free(file);
            file = NULL;
        }
    }
    free(dir);
    return file;
}

/* Where the build of this program has the engine's programs; nowhere, if it was built for other machines. */
static char *in_tools(void)
{
    return *REAP_ENGINE_TOOLS && is_program(REAP_ENGINE_TOOLS "/" NAME) ? xstrdup(REAP_ENGINE_TOOLS "/" NAME)
                                                                        : NULL;
}

/* This program lies in the checkout (its build folder) that it was built from. */
static bool in_checkout(void)
{
    char *scripts = path_dir(REAP_ENGINE_SCRIPT), *top = path_dir(scripts), *dir = own_folder();
    size_t n = strlen(top);
    bool yes = *REAP_ENGINE_SCRIPT && file_exists(REAP_ENGINE_SCRIPT) && dir && !strncmp(dir, top, n) &&
               dir[n] == '/';
    free(scripts);
    free(top);
    free(dir);
    return yes;
}

static bool build(struct err *e)
{
    pid_t parent = getpid();
    log_note(NAME " is not built yet: building it once with scripts/engine.sh (about 6 minutes on 2 cores)");
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(e, "cannot start scripts/engine.sh");
    if (pid == 0) {
        server_die_with(parent, SIGTERM);
        secret_forget();
        dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO); /* its answer, the folder, is known */
        for (const char *const *v = (const char *const[]){"CC", "CXX", "CFLAGS", "CXXFLAGS", NULL}; *v; v++)
            unsetenv(*v); /* the engine is one for all builds, see cmake/engine.cmake */
        execlp("bash", "bash", "-c", "exec bash \"$0\" " REAP_ENGINE_FLAGS " --tools " NAME,
               REAP_ENGINE_SCRIPT, (char *)NULL);
        _exit(127);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (sig_pending())
            kill(pid, SIGTERM);
    return sig_check(e) && (status == 0 || err_set(e, ERR_FAILED, "scripts/engine.sh could not build " NAME));
}

/* llama-server runs what it finds in the current folder under the name of a device; the folder may be a model from anywhere. */
static bool folder_has_no_device(struct err *e)
{
    DIR *d = opendir(".");
    bool ok = true;
    for (struct dirent *f; ok && d && (f = readdir(d)) != NULL;)
        if (!strncmp(f->d_name, "libggml-", 8) && strstr(f->d_name, ".so"))
            ok = err_set(e, ERR_INPUT,
                         "the current folder has a '%s', which " NAME
                         " would load and run: start reap in another "
                         "folder, or remove it",
                         f->d_name);
    if (d)
        closedir(d);
    return ok;
}

char *server_find(struct err *e)
{
    if (!folder_has_no_device(e))
        return NULL;
    const char *named = getenv("REAP_LLAMA_SERVER");
    if (named && *named) {
        if (is_program(named))
            return xstrdup(named);
        err_set(e, ERR_INPUT, "REAP_LLAMA_SERVER: '%s' is no program", named);
        return NULL;
    }
    char *file = beside_us();
    if (file || (file = in_tools()) != NULL || (file = in_path()) != NULL)
        return file;
    if (!in_checkout()) {
        bool tools = *REAP_ENGINE_TOOLS;
        err_set(e, ERR_FAILED,
                NAME " is not found (beside reap, in ../lib/reap, %s%s%sin PATH): install llama.cpp, or run "
                     "'bash scripts/engine.sh --tools " NAME "' in reap's source folder, or set "
                     "REAP_LLAMA_SERVER",
                tools ? "in '" : "", REAP_ENGINE_TOOLS, tools ? "', " : "");
        return NULL;
    }
    return build(e) ? xstrdup(REAP_ENGINE_TOOLS "/" NAME) : NULL;
}

char *server_model(const char *model, struct err *e)
{
    if (file_is_dir(model)) {
        err_set(e, ERR_INPUT,
                "'%s' is a checkpoint folder, " NAME " reads GGUF files: run 'reap convert' on it first",
                model);
        return NULL;
    }
    uint64_t size;
    int fd = file_open_read(model, &size, e); /* a clear message, before anything is started */
    if (fd < 0)
        return NULL;
    close(fd);
    return xstrdup(model);
}
