/* opt.h - command-line options as records: a row says all that is known of an option, and parsing, --help,
 * the tables in docs/, the manual and the completions come from it (`reap --dump-options`, scripts/docs.sh).
 *
 * A table is an array of rows made by the macros below and ended by OPT_ENDS:
 *
 *     static const struct opt opts[] = {
 *         OPT_HEADING("Options"),
 *         OPT_PATH("output", &out, "FILE", "the plan to write", .alias = "-o", .required = true),
 *         OPT_INT("ctx", &ctx, "N", 4, 1 << 24, "window in tokens", .dflt = "512"),
 *         OPT_CHOICE("mtp", &mtp, "HOW", &mtp_ways, "what becomes of MTP blocks", .dflt = "prune"),
 *         OPT_ENDS,
 *     };
 *
 * Behind the help text any further field may be set. A default stands in its row alone: the parser sets it
 * before it looks at the command line, and help says it.
 *
 * Accepted: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, aliases such as -ngl, options and operands in any
 * order, "--" ends options. A value is read whole and held against its row.
 *
 * The file that a row of OPT_CONFIG names holds more of them: a JSON object (at most 1 MiB) of long names, without
 * dashes, and values: true, a number, a text as one would type it, or a list of these where an option takes
 * several. The first operand goes by its word in the usage, in small letters ("model"), unless an option has that
 * name. What the command line says wins, for an option, for a group that excludes each other, for a list as a
 * whole. An object with the member "job" is a record of a program's call, and stands for that member. Paths mean
 * what they mean on the command line. */
#ifndef REAP_BASE_OPT_H
#define REAP_BASE_OPT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include <stdint.h>

enum opt_kind {
    OPT_KIND_END,
    OPT_KIND_HEADING,
    OPT_KIND_FLAG,
    OPT_KIND_COUNT,
    OPT_KIND_INT,
    OPT_KIND_REAL,
    OPT_KIND_SHARE,
    OPT_KIND_SIZE,
    OPT_KIND_DURATION,
    OPT_KIND_STR,
    OPT_KIND_PATH,
    OPT_KIND_DIR,
    OPT_KIND_MODEL,
    OPT_KIND_OPERAND,
    OPT_KIND_PATHS,
    OPT_KIND_STRS,
    OPT_KIND_CONFIG,
    OPT_KIND_CHOICE,
    OPT_KIND_WORD,
    OPT_KIND_PICKS,
    OPT_KIND_RATIOS,
};

struct opt_list {
    const char **v;
    uint32_t n, cap;
};
struct opt_picks { /* places in the list of choices */
    uint32_t *v, n, cap;
};
struct opt_ratios {
    double *v;
    uint32_t n, cap;
};

/* The words that an option takes, from the table that owns them. */
struct opt_choices {
    const char *const *list;                  /* ended by NULL; or, when NULL, */
    const char *(*at)(uint32_t i);            /* word i in the order of help, NULL behind the last */
    bool (*find)(const char *s, uint32_t *i); /* other names, too; NULL: these words alone */
    bool any_case;                            /* capitals do not matter */
    const char *(*why_not)(const char *s);    /* the reason why a word is none of these, if one is known */
};
const char *opt_choice(const struct opt_choices *c, uint32_t i);
/* The place of a word; the error begins with `what` ("--mtp", "type"), names the nearest and all of them. */
bool opt_word(const char *what, const struct opt_choices *c, const char *v, uint32_t *out, struct err *e);

struct opt {
    enum opt_kind kind;
    const char *name;                  /* long name without dashes; the text of a heading */
    const char *alias;                 /* with its dash: "-o", "-ngl" */
    const char *also;                  /* a second long name */
    void *to;                          /* of the type that the macro asks for */
    const char *arg;                   /* how help calls the value; NULL for flags */
    const char *help;                  /* without what follows from the other fields */
    const char *dflt;                  /* as one would type it; set when the option is not given */
    const char *dflt_is;               /* the default in words, where no value stands for it */
    double min, max;                   /* numbers, shares and durations */
    const struct opt_choices *choices; /* words */
    bool *seen;                        /* set when the option was given */
    bool required;
    bool of_call;       /* says nothing about the job, only about this call: not kept (opt_kept) */
    const char *unless; /* but not with this option */
    char group;         /* options of one letter exclude each other */
};

/* A pointer of the wrong type does not compile. */
#define OPT_TO(type, p) _Generic((p), type * : (p))
#define OPT_ROW(k, long, type, p, value, ...)                                                            \
    {                                                                                                    \
        .kind = OPT_KIND_##k, .name = (long), .to = OPT_TO(type, p), .arg = (value), .help = __VA_ARGS__ \
    }
#define OPT_ENDS             \
    {                        \
        .kind = OPT_KIND_END \
    }
#define OPT_HEADING(text)                        \
    {                                            \
        .kind = OPT_KIND_HEADING, .name = (text) \
    }
#define OPT_FLAG(long, p, ...) OPT_ROW(FLAG, long, bool, p, NULL, __VA_ARGS__)
/* how many times it is given: -v, -vv, -v -v */
#define OPT_COUNT(long, p, ...) OPT_ROW(COUNT, long, int, p, NULL, __VA_ARGS__)
#define OPT_INT(long, p, value, lo, hi, ...) \
    OPT_ROW(INT, long, int64_t, p, value, __VA_ARGS__, .min = (lo), .max = (hi))
#define OPT_REAL(long, p, value, lo, hi, ...) \
    OPT_ROW(REAL, long, double, p, value, __VA_ARGS__, .min = (lo), .max = (hi))
/* "2%" or "0.02"; what is above 1 (200%) wants its sign */
#define OPT_SHARE(long, p, value, lo, hi, ...) \
    OPT_ROW(SHARE, long, double, p, value, __VA_ARGS__, .min = (lo), .max = (hi))
/* "9.5G", "12GiB" */
#define OPT_SIZE(long, p, value, ...) OPT_ROW(SIZE, long, uint64_t, p, value, __VA_ARGS__)
/* "600", "600s", "10m", "2h", in seconds */
#define OPT_DURATION(long, p, value, lo, hi, ...) \
    OPT_ROW(DURATION, long, double, p, value, __VA_ARGS__, .min = (lo), .max = (hi))
#define OPT_STR(long, p, value, ...)  OPT_ROW(STR, long, const char *, p, value, __VA_ARGS__)
#define OPT_PATH(long, p, value, ...) OPT_ROW(PATH, long, const char *, p, value, __VA_ARGS__)
#define OPT_DIR(long, p, value, ...)  OPT_ROW(DIR, long, const char *, p, value, __VA_ARGS__)
/* a path too, or what else names a model: the caller makes a path of it */
#define OPT_MODEL(long, p, value, ...) OPT_ROW(MODEL, long, const char *, p, value, __VA_ARGS__)
/* stands for the first operand, and is kept as well */
#define OPT_OPERAND(long, p, value, ...) OPT_ROW(OPERAND, long, const char *, p, value, __VA_ARGS__)
/* a file of options */
#define OPT_CONFIG(long, p, value, ...) OPT_ROW(CONFIG, long, const char *, p, value, __VA_ARGS__)
/* paths, or any texts, given several times */
#define OPT_PATHS(long, p, value, ...) OPT_ROW(PATHS, long, struct opt_list, p, value, __VA_ARGS__)
#define OPT_STRS(long, p, value, ...)  OPT_ROW(STRS, long, struct opt_list, p, value, __VA_ARGS__)
/* The word's place in the list of choices; the word itself; several places, "a,b"; several shares,
 * "0.25,50%". */
#define OPT_CHOICE(long, p, value, list, ...) \
    OPT_ROW(CHOICE, long, uint32_t, p, value, __VA_ARGS__, .choices = (list))
#define OPT_WORD(long, p, value, list, ...) \
    OPT_ROW(WORD, long, const char *, p, value, __VA_ARGS__, .choices = (list))
#define OPT_PICKS(long, p, value, list, ...) \
    OPT_ROW(PICKS, long, struct opt_picks, p, value, __VA_ARGS__, .choices = (list))
#define OPT_RATIOS(long, p, value, lo, hi, ...) \
    OPT_ROW(RATIOS, long, struct opt_ratios, p, value, __VA_ARGS__, .min = (lo), .max = (hi))

/* A macro's value as a string, for .dflt. */
#define OPT_TEXT(x)  OPT_TEXT_(x)
#define OPT_TEXT_(x) #x

/* What was given, by line and file. */
struct opt_kept {
    json_t *job;  /* a file of options that says the same, without those of the call alone */
    json_t *file; /* the texts that options point at lie in it */
};
void opt_kept_clear(struct opt_kept *k); /* texts of options are gone then */

/* What a command takes. */
struct opt_spec {
    const char *name;                /* "reap plan", for messages */
    const char *usage;               /* what follows the name; several forms stand on lines of their own */
    const struct opt *const *tables; /* NULL-terminated list of tables */
    uint32_t min_args, max_args;     /* operands */
    struct opt_kept *kept;           /* zeroed; may be NULL where no row is an OPT_CONFIG */
};

/* Sets the defaults, then parses argv[0..n-1] (without program and command). Operands go to `rest`. Then what
 * is required must be there, and what excludes each other not. --help is not special here: put it into a
 * table. False with *e set (ERR_INPUT). */
bool opt_parse(int n, char **argv, const struct opt_spec *s, struct opt_list *rest, struct err *e);
/* The place of the first argument that is none of the options of the tables and no value of one: a command, behind
 * options of all commands. n: there is none. */
int opt_first_operand(int n, char **argv, const struct opt *const *tables);
/* What follows an option by its long name in argv[0..n-1] up to "--", before anything is parsed: its value, if it
 * takes one; "" at the end. NULL: it is not given. */
const char *opt_peek(int n, char **argv, const char *name);
/* The error of a command that wants one of a group and was given none. */
bool opt_need_group(const struct opt_spec *s, char group, struct err *e);
void opt_list_clear(struct opt_list *l);

/* Row i of all tables, headings too; NULL behind the last. */
const struct opt *opt_at(const struct opt *const *tables, uint32_t i);
/* The help text and, in parentheses, what else the row says: words, whether it is required, the default. */
void opt_describe(struct buf *b, const struct opt *o);

/* Usage and options for `width` columns; headings are bold where standard output takes colours. */
void opt_usage(struct buf *b, const struct opt_spec *s, uint32_t width);
void opt_help(struct buf *b, const struct opt_spec *s, uint32_t width);
void opt_heading(struct buf *b, const char *before, const char *text); /* with its colon */
/* Words of text, set between columns `indent` and `width`; the first line begins at column `at`. */
void opt_wrap(struct buf *b, const char *text, uint32_t at, uint32_t indent, uint32_t width);
/* Columns of the terminal that standard output is: $COLUMNS, what it says itself, or 80. */
uint32_t opt_width(void);

#endif
