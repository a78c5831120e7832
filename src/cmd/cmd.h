/* cmd.h - a command is a record: what --help says, which options it takes, the function that runs it.
 *
 * To add one: write cmd_NAME.c with its record, name it in CMD_LIST, run `make docs`, write the prose of the
 * page and the manual that this has begun, and add a case to tests/cli. The function gets the operands, calls
 * a feature, and prints; results go to standard output (text, or one JSON object with --json), all else to
 * standard error. */
#ifndef REAP_CMD_CMD_H
#define REAP_CMD_CMD_H

#include "base/json.h"
#include "base/opt.h"
#include "corpus/corpus.h"
#include "engine/engine.h"
#include "results/eval.h"

/* All commands, in the order in which people use them. */
#define CMD_LIST(X) \
    X(run)          \
    X(doctor)       \
    X(inspect)      \
    X(families)     \
    X(profile)      \
    X(stats)        \
    X(plan)         \
    X(choose)       \
    X(prune)        \
    X(verify)       \
    X(eval)         \
    X(sweep)        \
    X(refine)       \
    X(gain)         \
    X(report)       \
    X(convert)      \
    X(quantize)     \
    X(serve)        \
    X(batch)        \
    X(compare)

struct cmd {
    const char *name;
    const char *usage; /* what follows the name; several forms stand on lines of their own */
    const char *summary;
    const char *example;           /* one or more lines for --help */
    const struct opt *const *opts; /* NULL-terminated tables, without the common ones */
    uint32_t min_args, max_args;   /* operands */
    uint32_t models; /* so many of them, the first ones, are models: paths, or names of the hub */
    const struct opt_choices *words; /* that the last operand takes; NULL: any */
    const struct opt_choices *first; /* that the first operand may be as well: sub-commands */
    bool (*run)(char const *const *args, uint32_t n, struct err *e);
};
#define CMD_TABLES 16 /* of a command at most, with the common ones and the NULL behind them */
extern const struct cmd *const cmds[]; /* NULL-terminated, in the order of --help */

#define CMD_DECLARE(name) extern const struct cmd cmd_##name;
CMD_LIST(CMD_DECLARE)
#undef CMD_DECLARE

/* All tables of a command, NULL-terminated: its own, those of models by name where it takes a model, and the common. */
void cmd_tables(const struct cmd *c, const struct opt *tables[CMD_TABLES]);
/* Puts the paths of models in the place of what was given for them: operands and options (models.c). */
bool cmd_models(const struct cmd *c, struct opt_list *args, struct err *e);

/* Options that every command has: --config --json --quiet --verbose --color --help. */
extern const struct opt common_opts[];
extern bool cmd_json;            /* --json */
extern struct opt_kept cmd_kept; /* what was given */

/* Engine options, passed through, spelled as in llama.cpp. */
extern const struct opt engine_opt_table[];
extern struct engine_opts cmd_engine;
/* A row of commands that compute; 0: not given. */
#define CMD_THREADS(to) \
    OPT_INT("threads", to, "N", 0, 1024, "threads", .alias = "-t", .dflt_is = "one per physical core")
void cmd_finish_options(void); /* behind the parser: what one option means for another */
/* Calibration text: --calib is required, or may be left out. */
extern const struct opt corpus_opt_table[], samples_opt_table[];
void cmd_corpus(struct corpus_opts *o); /* from the options given */
/* How many experts stay: one of four, and a rounding. No heading, a command has its own. cmd_count: from the
 * options given; false: none of the four. */
enum { CMD_COUNT = 'c' }; /* their group */
extern const struct opt count_opt_table[];
struct plan_opts;
bool cmd_count(struct plan_opts *o);
/* A pass mark: help of the option, and the error (exit status 3) that says what does not hold. */
#define CMD_PASS \
    "exit status 3 unless it keeps to these, for example top1>=0.97,kl<=0.05 (and ppl<=1.05, a ratio)"
bool cmd_pass(const struct pass *p, const struct eval_against *a, struct err *e);
/* Words of options. */
extern const struct opt_choices cmd_criteria; /* criterion_at gives the record of a place */
extern const struct opt_choices cmd_types;    /* of a conversion */
extern const struct opt_choices cmd_quantize_types;
#define CMD_REQUANTIZE "also tensors that are quantised already (worse than from the original)"
extern bool cmd_force;

/* Prints the object with "reap" (version), "command" and "warnings" added; takes the reference. */
bool cmd_print_json(const char *command, json_t *o, struct err *e);
/* What --json prints where a command fails: {"reap", "command", "error": {"message", "status"}, "warnings"}. Nothing where
 * its result was printed already (a check that did not hold). */
bool cmd_print_error(const char *command, const struct err *e);
/* buf_fmt for results: line ends are those with which fmt begins and ends, none comes from a name or a text of others,
 * so nobody writes lines in our place. */
void cmd_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Ends the line: it is the head of a table, bold where standard output takes colours. */
void cmd_head(struct buf *b);
/* Prints text to standard output, names from files made safe for a terminal, and clears it; a failed write
 * (closed pipe, full disk) is an error. */
bool cmd_print(struct buf *b, struct err *e);
bool cmd_print_raw(struct buf *b, struct err *e); /* as it is */

/* What all records say, for the script that fills pages, manual and completions. */
void cmd_dump(struct buf *b);

#endif
