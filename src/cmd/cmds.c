/* cmds.c - the table of commands, from the list in cmd.h. */
#include "cmd/cmd.h"

#define CMD_ROW(name) &cmd_##name,
const struct cmd *const cmds[] = {CMD_LIST(CMD_ROW) NULL};
