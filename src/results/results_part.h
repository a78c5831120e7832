/* results_part.h - between the files of results/: members of a file that may be absent.
 *
 * Within a schema version keys are only added, so a file of an earlier version may lack some. What is not there, or
 * null, is NULL, not a number, or as the function says; of a wrong type it is an error that names the place. */
#ifndef REAP_RESULTS_PART_H
#define REAP_RESULTS_PART_H

#include "base/json.h"

/* Whether a file is of this schema. */
bool results_schema(const json_t *doc, const char *schema, struct err *e);

bool results_str(const json_t *o, const char *key, const char *where, const char **out, struct err *e);
bool results_f64(const json_t *o, const char *key, const char *where, double *out, struct err *e);
bool results_u64(const json_t *o, const char *key, const char *where, uint64_t otherwise, uint64_t *out,
                 struct err *e);
bool results_obj(const json_t *o, const char *key, const char *where, const json_t **out, struct err *e);
bool results_bool(const json_t *o, const char *key, const char *where, bool *out,
                  struct err *e); /* else false */

/* null where v is not a number */
json_t *results_real(double v);

#endif
