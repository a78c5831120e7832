/* page_part.h - between the files of report/: the inputs, read and joined, and the sections. */
#ifndef REAP_REPORT_PAGE_PART_H
#define REAP_REPORT_PAGE_PART_H

#include "model/plan.h"
#include "report/html.h"
#include "report/report.h"
#include "results/choice.h"
#include "results/compare.h"
#include "results/run.h"
#include "results/runs.h"
#include "results/sweep.h"
#include "stats/summary.h"

struct row { /* a layer with experts */
    uint32_t il, n_keep;
    uint8_t *kept;           /* [n_experts]; NULL: no plan */
    double *score;           /* [n_experts], of page.criterion; NULL: no statistics */
    uint32_t *rank;          /* experts, best first; NULL: no statistics */
    uint32_t n_never, n_low; /* never routed; consistently low */
    /* shares that go with the removed experts; not a number: not known */
    double tokens_lost, score_lost, reap_lost;
    double mass_kept; /* share of the router's softmax that stays; not a number: not known, or renormalised */
    struct halves halves; /* at this count; not a number: no statistics */
};

struct page_source { /* an input file */
    const char *what, *path;
    char sha256[65];
};
#define MAX_SOURCES 12

struct page {
    const struct report_opts *o;
    struct buf b;
    struct stats *stats;
    struct plan *plan;
    struct view *view;
    /* What was given; all that was not is zeroed. */
    struct eval_file before, after, against, typed; /* typed: the result in o->type */
    struct sweep_file sweep;
    struct choice_file choice; /* in the plan */
    struct compare_file compare;
    struct runs *runs;                  /* two files of answers that make a comparison; NULL: none */
    const struct compare_file *answers; /* whichever there is; NULL: none */
    struct run_record run;
    const json_t *model, *calibration; /* borrowed; NULL: not known */
    struct row *rows;
    uint32_t n_rows, n_experts, n_groups; /* n_groups: of the router, 1: none */
    bool guessed;                         /* n_experts is the highest id of the plan, plus one */
    uint32_t n_keep;                   /* of a layer: the plan's, else a half of the experts for the tables */
    const struct criterion *criterion; /* of the scores shown: the plan's, else reap */
    uint64_t bytes_before, bytes_after; /* 0: not known */
    struct page_source sources[MAX_SOURCES];
    uint32_t n_sources;
    char **remarks;
    uint32_t n_remarks, cap_remarks;
};

/* load.c: fills a zeroed page from the files. */
bool page_load(struct page *p, const struct report_opts *o, struct err *e);
void page_clear(struct page *p);

/* Members of JSON that may be anything. Not there or of another type: NULL, not a number, 0. */
const char *report_text(const json_t *o, const char *key);
double report_number(const json_t *o, const char *key);
uint64_t report_count(const json_t *o, const char *key);

/* A section: whether there is something to say, and saying it. The frame with heading and anchor is
 * around. */
struct section {
    const char *id, *title;
    bool (*has)(const struct page *p);
    void (*put)(struct page *p);
};
extern const struct section section_summary, section_remarks, section_made, section_text, section_map,
    section_layers, section_scores, section_stability, section_low, section_quality, section_sweep,
    section_answers, section_choice, section_questions;

/* ---- pieces ---- */
/* <td> with a number, right-aligned; not a number: empty. */
void put_td(struct buf *b, double v);
/* <td> with a share and a bar of that length; mark (a share, or not a number): a line to compare with. */
void put_td_bar(struct buf *b, double v, double mark);
/* The same with a text of ours behind the share. */
void put_td_bar_with(struct buf *b, double v, double mark, const char *more);
/* A table that scrolls by itself on a small screen: name is for screen readers, plain text of ours. head:
 * cells separated by '|'; a leading '<' aligns left. */
void put_table_open(struct buf *b, const char *name, const char *head);
void put_table_close(struct buf *b);
/* "1, 2, 5-9". of kept == want. */
void put_ids(struct buf *b, const uint8_t *flags, uint32_t n, uint8_t want);

/* diff.c: text (its first max bytes), with those words in the element tag that other (NULL: nothing) has not at
 * their place. */
void put_difference(struct buf *b, const char *text, const char *other, const char *tag, size_t max);

/* chart.c: one line chart as SVG. */
struct point {
    double x, y;
    uint32_t series;
};
struct chart {
    const char *label;     /* for screen readers, plain text of ours */
    const char *x, *y;     /* titles of the axes, ours */
    const struct point *v; /* finite; drawn in this order */
    uint32_t n, n_series;
    double base; /* a line across, with this name; not a number: none */
    const char *base_name;
    const struct point
        *front; /* a line through these of the points, from left to right; series does not matter */
    uint32_t n_front;
};
void put_chart(struct buf *b, const struct chart *c);
void put_marker(struct buf *b, double x, double y, uint32_t series); /* also for legends */

#endif
