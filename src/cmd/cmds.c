/* cmds.c - the table of commands, in the order in which people use them. */
#include "cmd/cmd.h"

const struct cmd *const cmds[] = {
    &cmd_run,      &cmd_inspect, &cmd_profile, &cmd_stats,   &cmd_plan,   &cmd_prune,
    &cmd_verify,   &cmd_eval,    &cmd_sweep,   &cmd_refine,  &cmd_report, &cmd_convert,
    &cmd_quantize, &cmd_serve,   &cmd_batch,   &cmd_compare, NULL,
};
