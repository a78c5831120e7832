/* opt.h - command-line options as records: name, kind, range, help. Parsing and --help come from the same
 * table.
 *
 * Accepted: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, aliases such as -ngl, options and operands in any
 * order, "--" ends options. A number is parsed whole and checked against the range in its record. */
#ifndef REAP_BASE_OPT_H
#define REAP_BASE_OPT_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

enum opt_kind { OPT_END, OPT_HEAD, OPT_FLAG, OPT_INT, OPT_REAL, OPT_STR, OPT_LIST, OPT_SIZE };

struct opt_list {
    const char **v;
    uint32_t n, cap;
};

struct opt {
    enum opt_kind kind;
    const char *name;  /* long name without dashes; OPT_HEAD: a heading for --help */
    const char *alias; /* with its dash: "-o", "-ngl"; or NULL */
    void *to;          /* bool, int64_t, double, const char *, struct opt_list, uint64_t */
    const char *arg;   /* how --help calls the value; NULL for flags */
    const char *help;
    double min, max; /* OPT_INT, OPT_REAL */
    bool *seen;      /* set when the option was given; or NULL */
};

/* Parses argv[0..n-1] (without program and command). tables: NULL-terminated list of option tables, each
 * ended by OPT_END. Operands go to `rest`.
 * --help is not special here: put it into a table. False with *e set (ERR_INPUT). */
bool opt_parse(int n, char **argv, const struct opt *const *tables, struct opt_list *rest, struct err *e);
void opt_help(struct buf *b, const struct opt *const *tables);
void opt_list_add(struct opt_list *l, const char *s);
void opt_list_clear(struct opt_list *l);

#endif
