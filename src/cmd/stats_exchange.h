/* stats_exchange.h - stats import and stats export: files of other tools, read and written. */
#ifndef REAP_CMD_STATS_EXCHANGE_H
#define REAP_CMD_STATS_EXCHANGE_H

#include "import/import.h"

struct stats_exchange {
    const char *out;
    const char *model, *architecture; /* import: one of them says of which model the file is */
    uint32_t n_used;                  /* import without model: experts per token, 0: told by the file */
    const struct import_form *form;   /* NULL: import is told from the file, export takes the first */
};

bool cmd_stats_import(const struct stats_exchange *o, const char *path, struct err *e);
bool cmd_stats_export(const struct stats_exchange *o, const char *path, struct err *e);

#endif
