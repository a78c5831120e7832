/* main.c - finds the command, parses its options, prints an error, gives the exit status. Other ways out:
 * docs/ARCHITECTURE.md, "How it ends". */
#include "base/log.h"
#include "base/near.h"
#include "base/sig.h"
#include "base/term.h"
#include "cmd/cmd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* What a command takes. */
struct command {
    char name[32];
    const struct opt *tables[CMD_TABLES];
    struct opt_spec spec;
};

static const struct opt_spec *spec_of(struct command *x, const struct cmd *c)
{
    cmd_tables(c, x->tables);
    snprintf(x->name, sizeof x->name, "reap %s", c->name);
    x->spec = (struct opt_spec){x->name, c->usage, x->tables, c->min_args, c->max_args, &cmd_kept};
    return &x->spec;
}

static const struct opt *const common[] = {common_opts, NULL};

static void usage(struct buf *b)
{
    uint32_t width = opt_width();
    const struct opt_spec s = {.name = "reap", .usage = "COMMAND [OPTIONS]", .tables = common};
    opt_wrap(b, "reap " REAP_VERSION ": expert pruning for Mixture-of-Experts models (REAP)", 0, 0, width);
    buf_char(b, '\n');
    opt_usage(b, &s, width);
    opt_heading(b, "\n", "Commands");
    buf_char(b, '\n');
    for (size_t i = 0; cmds[i]; i++) {
        buf_fmt(b, "  %-10s ", cmds[i]->name);
        opt_wrap(b, cmds[i]->summary, 13, 13, width);
    }
    opt_help(b, &s, width);
    buf_str(b, "  -V, --version                 ");
    opt_wrap(b, "version of reap and of its engine", 32, 32, width);
    buf_char(b, '\n');
    opt_wrap(
        b,
        "reap COMMAND --help shows a command's options. Exit status: 0 done, 1 failed, 2 bad input or usage, "
        "3 a check did not hold, 130 interrupted.",
        0, 0, width);
}

/* The commands of the example, a line that is too long broken where a shell goes on reading. */
static void example(struct buf *b, const char *text, uint32_t width)
{
    for (const char *s = text; *s;) {
        uint32_t at = 0;
        for (size_t n = strcspn(s, "\n"), k; n; s += k, n -= k) {
            size_t word = strspn(s, " ");
            k = word + strcspn(s + word, " \n");
            if (s[word] == '-' && s[k] == ' ' && s[k + 1] != '-') /* an option and its value stay together */
                k += 1 + strcspn(s + k + 1, " \n");
            if (at > 2 && at + k + (k < n ? 2 : 0) >= width) {
                buf_str(b, " \\\n     ");
                at = 5;
            }
            buf_add(b, s, k);
            at += (uint32_t)k;
        }
        buf_char(b, '\n');
        s += *s == '\n';
    }
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
    opt_heading(b, "\n", "Example");
    buf_char(b, '\n');
    example(b, c->example, width);
}

/* NULL: none. */
static const struct cmd *cmd_named(const char *name)
{
    size_t i = 0;
    while (cmds[i] && strcmp(cmds[i]->name, name) != 0)
        i++;
    return cmds[i];
}

/* NULL with *e. */
static const struct cmd *find(const char *name, struct err *e)
{
    struct near n = {.typed = name};
    const struct cmd *c = cmd_named(name);
    if (c)
        return c;
    for (size_t i = 0; cmds[i]; i++)
        near_try(&n, cmds[i]->name);
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
    ok = ok && cmd_models(c, &args, e) && c->run(args.v, args.n, e);
    opt_list_clear(&args);
    opt_kept_clear(&cmd_kept);
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

/* Before anything is parsed, as its errors are coloured, too. */
static void peek_colours(int argc, char **argv)
{
    const char *when = opt_peek(argc, argv, "color");
    for (uint32_t i = 0; when && term_whens[i]; i++)
        if (!strcmp(when, term_whens[i]))
            term_when = i;
}

/* argv[at] comes first. */
static void to_front(char **argv, int at)
{
    char *x = argv[at];
    memmove(argv + 1, argv, (size_t)at * sizeof *argv);
    argv[0] = x;
}

static bool is_one(const char *s, const char *a, const char *b, const char *c)
{
    return !strcmp(s, a) || !strcmp(s, b) || !strcmp(s, c);
}

/* Whether its threads compute, of which one may say how many. */
static bool computes(const struct cmd *c)
{
    struct command x;
    const struct opt *o;
    spec_of(&x, c);
    for (uint32_t i = 0; (o = opt_at(x.tables, i)); i++)
        if (o->kind != OPT_KIND_HEADING && !strcmp(o->name, "threads"))
            return true;
    return false;
}

/* argv as of obey. Before any signal is noted: the program may start itself again, and would lose it. */
static void begin(int argc, char **argv)
{
    const struct cmd *c = cmd_named(argv[0]);
    if (c && !wants_help(argc, argv))
        engine_begin(computes(c) ? argv - 1 : NULL);
}

/* argv[0] is the command, or what stands for one; in front of it is the name of the program. */
static void obey(int argc, char **argv, struct err *e)
{
    struct buf b = {0};
    const struct cmd *c = NULL;
    if (is_one(argv[0], "--version", "-V", "version")) {
        buf_fmt(&b, "reap %s (%s)\n", REAP_VERSION, engine_version());
    } else if (!strcmp(argv[0], "--dump-options")) { /* hidden: for scripts/docs.sh */
        cmd_dump(&b);
    } else if (!strcmp(argv[0], "help")) {
        int at = 1 + opt_first_operand(argc - 1, argv + 1, common);
        if (at == argc)
            usage(&b);
        else if ((c = find(argv[at], e)))
            command_help(&b, c);
    } else if ((c = find(argv[0], e)) && wants_help(argc, argv)) {
        command_help(&b, c);
    } else if (c) {
        run(c, argc - 1, argv + 1, e);
    }
    if (e->code != ERR_NONE && (cmd_json || opt_peek(argc, argv, "json")))
        cmd_print_error(c ? c->name : "reap", e);
    if (b.n)
        cmd_print_raw(&b, e);
    buf_clear(&b);
}

int main(int argc, char **argv)
{
    struct err e = {0};
    hold_descriptors();
    open_many_files();
    argc--;
    argv++;
    peek_colours(argc, argv);
    int at =
        opt_first_operand(argc, argv, common); /* options of all commands may stand before it, as in git */
    if (at < argc) {
        to_front(argv, at);
        begin(argc, argv);
    }
    sig_install();
    if (at < argc) {
        obey(argc, argv, &e);
    } else {
        struct buf b = {0};
        bool asked = wants_help(argc, argv);
        usage(&b);
        if (asked)
            cmd_print_raw(&b, &e);
        else
            fputs(b.s, stderr);
        buf_clear(&b);
        if (!asked)
            return ERR_INPUT;
    }
    if (e.code != ERR_NONE && e.code != ERR_PIPE)
        log_error(e.msg);
    return (int)e.code;
}
