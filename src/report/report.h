/* report.h - one HTML file that says what was pruned and what it cost, from the files of the other commands.
 *
 * The page needs nothing but itself: no network, no library; a content security policy in it forbids the
 * rest. What it says is in tables, text and pictures that need no script; the script adds the read-out of the
 * heat map, other criteria and the tables of single layers. Same inputs, same bytes: the date is that of the
 * record of the run, and no path stands in it but the names of files. */
#ifndef REAP_REPORT_REPORT_H
#define REAP_REPORT_REPORT_H

#include "base/err.h"
#include "results/pass.h"
#include <stdint.h>

/* Paths of inputs; NULL: there is none. stats or plan is needed. */
struct report_opts {
    const char *stats, *plan;           /* reap.stats/1, reap.plan/1 */
    const char *eval_base, *eval_after; /* reap.eval/1 of the parent and of the result */
    const char *against;                /* reap.eval/1 of the result, made with --against */
    const char *eval_type, *type;       /* reap.eval/1 of the result in another type, and which */
    const char *sweep;                  /* reap.sweep/1 */
    const char *compare[2];             /* reap.compare/1, or two reap.batch/1: parent, result */
    const char *run;                    /* reap.run/1: which steps were done */
    const char *model;                  /* the parent: checked against stats and plan, gives the sizes */
    const struct pass *pass;            /* asked of `against`; NULL: what that file says */
    const char
        *card; /* address of the model's card, from the page; NULL: there is none, or it lies elsewhere */
    const char *title;                  /* NULL: from the model and the plan */
    uint64_t bytes_before, bytes_after; /* sizes that the caller knows; 0: does not */
    bool force;                         /* replace the output; files of different models */
};

struct report_result {
    uint64_t bytes;
    uint32_t n_sections;
};

/* Writes the page. Files that are not what they should be, that contradict each other (other layers, other
 * numbers of experts, another router without force), and an output that is an input, are errors (ERR_INPUT).
 * What is only odd is a remark in the page. */
bool report_write(const struct report_opts *o, const char *out, struct report_result *r, struct err *e);

/* The same for a folder of `reap run`: what o does not name is taken from there, if it is there. */
bool report_work(const char *dir, const struct report_opts *o, const char *out, struct report_result *r,
                 struct err *e);

#endif
