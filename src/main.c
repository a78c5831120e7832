/* main.c - finds the command, parses its options, prints an error, gives the exit status. Other ways out:
 * docs/ARCHITECTURE.md, "How it ends". */
#include "base/near.h"
#include "base/sig.h"
#include "cmd/cmd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* What a command takes, with the options of all commands behind its own. */
struct command {
    char name[32];
    const struct opt *tables[CMD_TABLES];
    struct opt_spec spec;
};

static const struct opt_spec *spec_of(struct command *x, const struct cmd *c)
{
    size_t n = 0;
    for (; c->opts[n]; n++)
        x->tables[n] = c->opts[n];
    x->tables[n++] = common_opts;
    x->tables[n] = NULL;
    snprintf(x->name, sizeof x->name, "reap %s", c->name);
    x->spec = (struct opt_spec){x->name, c->usage, x->tables, c->min_args, c->max_args};
    return &x->spec;
}

static void usage(struct buf *b)
{
    uint32_t width = opt_width();
    opt_wrap(b, "reap " REAP_VERSION ": expert pruning for Mixture-of-Experts models (REAP)", 0, 0, width);
    buf_str(b, "\nusage: reap COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; cmds[i]; i++) {
        buf_fmt(b, "  %-10s ", cmds[i]->name);
        opt_wrap(b, cmds[i]->summary, 13, 13, width);
    }
    buf_char(b, '\n');
    opt_wrap(
        b,
        "reap COMMAND --help shows a command's options. Exit status: 0 done, 1 failed, 2 bad input or usage, "
        "3 a check did not hold, 130 interrupted.",
        0, 0, width);
}

static void command_help(struct buf *b, const struct cmd *c)
{
    struct command x;
    uint32_t width = opt_width();
    const struct opt_spec *s = spec_of(&x, c);
    opt_usage(b, s, width);
    buf_char(b, '\n');
    opt_wrap(b, c->summary, 0, 0, width);
    opt_help(b, s, width);
    buf_fmt(b, "\nExample:\n%s", c->example);
}

/* NULL with *e. */
static const struct cmd *find(const char *name, struct err *e)
{
    struct near n = {.typed = name};
    for (size_t i = 0; cmds[i]; i++) {
        if (!strcmp(cmds[i]->name, name))
            return cmds[i];
        near_try(&n, cmds[i]->name);
    }
    near_try(&n, "--help");
    near_try(&n, "--version");
    err_set(e, ERR_INPUT, "'%s' is not a command%s%s%s reap --help lists them", name,
            n.best ? ": did you mean " : ";", n.best ? n.best : "", n.best ? "?" : "");
    return NULL;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

static bool run(const struct cmd *c, int argc, char **argv, struct err *e)
{
    struct command x;
    struct opt_list args = {0};
    engine_opts_default(&cmd_engine);
    bool ok = opt_parse(argc, argv, spec_of(&x, c), &args, e);
    cmd_finish_options();
    ok = ok && c->run(args.v, args.n, e);
    opt_list_clear(&args);
    return ok || err_set(e, ERR_FAILED, "failed, and the reason was not told"); /* never status 0 */
}

/* Started with closed standard streams, the next file that is opened would become one of them, and a message
 * would be written into a model. A read-only /dev/null takes their places: writing to it fails, as writing to
 * a closed stream should. */
static void hold_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY | O_NOCTTY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* A checkpoint may have more shards than the 1,024 files that a process may have open at first. */
static void open_many_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

int main(int argc, char **argv)
{
    struct err e = {0};
    struct buf b = {0};
    engine_tame_threads(argv);
    hold_descriptors();
    open_many_files();
    sig_install();
    if (argc < 2) {
        usage(&b);
        fputs(b.s, stderr);
        buf_clear(&b);
        return ERR_INPUT;
    }
    if (!strcmp(argv[1], "--version")) {
        buf_fmt(&b, "reap %s (%s)\n", REAP_VERSION, engine_version());
        cmd_print(&b, &e);
    } else if (!strcmp(argv[1], "--dump-options")) { /* hidden: for scripts/docs.sh */
        cmd_dump(&b);
        cmd_print_raw(&b, &e);
    } else if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        const struct cmd *c = argc > 2 ? find(argv[2], &e) : NULL;
        if (c)
            command_help(&b, c);
        else if (argc == 2)
            usage(&b);
        if (b.n)
            cmd_print(&b, &e);
    } else {
        const struct cmd *c = find(argv[1], &e);
        if (c && wants_help(argc - 2, argv + 2)) {
            command_help(&b, c);
            cmd_print(&b, &e);
        } else if (c) {
            run(c, argc - 2, argv + 2, &e);
        }
    }
    buf_clear(&b);
    if (e.code != ERR_NONE)
        fprintf(stderr, "reap: %s\n", e.msg);
    return (int)e.code;
}
