/* results_part.h - between the files of results/.
 *
 * Within a schema version keys are only added, so a file of an earlier version may lack some (json_opt_*); of a
 * wrong type they are errors that name the place. */
#ifndef REAP_RESULTS_PART_H
#define REAP_RESULTS_PART_H

#include "base/json.h"

/* Whether a file is of this schema. */
bool results_schema(const json_t *doc, const char *schema, struct err *e);

#endif
