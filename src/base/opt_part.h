/* opt_part.h - between the files of opt.h. */
#ifndef REAP_BASE_OPT_PART_H
#define REAP_BASE_OPT_PART_H

#include "base/opt.h"

#define OPT_MAX_ROWS 128u /* of all tables of a command */

struct parser {
    const struct opt_spec *spec;
    const char *operand;      /* that an option stands for */
    bool given[OPT_MAX_ROWS]; /* rows, by line or file */
};

/* Sets what a row points at from a value as it is typed; texts are borrowed. NULL for flags. */
bool opt_set(const struct opt *o, const char *v, struct err *e);

void opt_list_add(struct opt_list *l, const char *s);

/* opt_config.c */
/* What is given is kept, where somebody wants it: an option behind opt_set, operands behind all options. */
void opt_keep_begin(struct parser *p);
void opt_keep(struct parser *p, const struct opt *o, const char *v);
void opt_keep_operand(struct parser *p, const struct opt_list *operands);
/* Behind the whole line: takes from the file that a row of OPT_KIND_CONFIG names, if any, what the line does not
 * say. */
bool opt_config(struct parser *p, struct opt_list *operands, struct err *e);

#endif
