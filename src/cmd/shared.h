/* shared.h - options of single commands that the whole job takes as well: their rows, and what they say. Rows without a
 * heading; a command has its own. */
#ifndef REAP_CMD_SHARED_H
#define REAP_CMD_SHARED_H

#include "base/opt.h"
#include "plan/make.h"
#include "prune/prune.h"

/* Stats files to plan from, and what of several: --stats --blend --protect-super --protect --protect-share. */
extern const struct opt domains_opt_table[];
struct domains {
    struct opt_list stats; /* with their weights, as given */
    const char *protect;   /* a file of ids; NULL: none */
    bool any;              /* one of these was given, but for --stats */
};
/* From the options given; the plan gets all but the files. n_operands: stats files that are given besides; makes_one: without any, one is made. */
void cmd_domains(struct domains *d, struct plan_opts *o, uint32_t n_operands, bool makes_one);

/* How the pruned model is written: --merge --mtp --no-provenance, and those of checkpoint folders. */
extern const struct opt written_opt_table[];
void cmd_written(struct prune_opts *o); /* sets these, leaves the others */
/* The line of the file that --mtp keep writes; file NULL: there is none. */
void cmd_mtp_kept(struct buf *b, const char *file, uint32_t n_experts, uint64_t bytes, bool dry_run);

#define CMD_UNTIL_STABLE(to)                        \
    OPT_SHARE("until-stable", to, "RATIO", 0, 0.99, \
              "stop the profile when the choice of experts has settled, this share of which will be pruned")
#define CMD_DRY_RUN(to, help) OPT_FLAG("dry-run", to, help, .alias = "-n", .of_call = true)

#endif
