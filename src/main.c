/* main.c - finds the command, parses its options, prints an error, gives the exit status. The only place that
 * exits. */
#include "base/log.h"
#include "base/sig.h"
#include "cmd/cmd.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void usage(struct buf *b)
{
    buf_str(b, "reap " REAP_VERSION
               ": expert pruning for Mixture-of-Experts models (REAP)\n\nusage: reap COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; cmds[i]; i++)
        buf_fmt(b, "  %-10s %s\n", cmds[i]->name, cmds[i]->summary);
    buf_str(
        b,
        "\nreap COMMAND --help shows a command's options. Exit status: 0 done, 1 failed, 2 bad input or usage,\n"
        "3 a check did not hold, 130 interrupted.\n");
}

static void command_help(struct buf *b, const struct cmd *c)
{
    buf_fmt(b, "usage: reap %s %s\n\n%s\n", c->name, c->usage, c->summary);
    opt_help(b, c->opts);
    opt_help(b, (const struct opt *const[]){common_opts, NULL});
    buf_fmt(b, "\nExample:\n%s", c->example);
}

static const struct cmd *find(const char *name)
{
    for (size_t i = 0; cmds[i]; i++)
        if (!strcmp(cmds[i]->name, name))
            return cmds[i];
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
    const struct opt *tables[8];
    struct opt_list args = {0};
    size_t n = 0;
    for (; c->opts[n]; n++)
        tables[n] = c->opts[n];
    tables[n++] = common_opts;
    tables[n] = NULL;
    engine_opts_default(&cmd_engine);
    bool ok = opt_parse(argc, argv, tables, &args, e);
    if (ok && (args.n < c->min_args || args.n > c->max_args))
        ok = err_set(e, ERR_INPUT, "%s operand%s%s%s; usage: reap %s %s",
                     args.n < c->min_args ? "missing" : "unexpected", args.n > c->max_args ? " '" : "",
                     args.n > c->max_args ? args.v[c->max_args] : "", args.n > c->max_args ? "'" : "",
                     c->name, c->usage);
    cmd_finish_options();
    ok = ok && c->run(args.v, args.n, e);
    opt_list_clear(&args);
    return ok;
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

int main(int argc, char **argv)
{
    struct err e = {0};
    struct buf b = {0};
    engine_tame_threads(argv);
    hold_descriptors();
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
    } else if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        const struct cmd *c = argc > 2 ? find(argv[2]) : NULL;
        if (c)
            command_help(&b, c);
        else
            usage(&b);
        cmd_print(&b, &e);
    } else {
        const struct cmd *c = find(argv[1]);
        if (!c) {
            err_set(&e, ERR_INPUT, "'%s' is not a command; reap --help lists them", argv[1]);
        } else if (wants_help(argc - 2, argv + 2)) {
            command_help(&b, c);
            cmd_print(&b, &e);
        } else {
            run(c, argc - 2, argv + 2, &e);
        }
    }
    buf_clear(&b);
    if (e.code != ERR_NONE)
        fprintf(stderr, "reap: %s\n", e.msg);
    return (int)e.code;
}
