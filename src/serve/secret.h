/* secret.h - the keys of the environment, taken out of what is kept and shown.
 *
 * A server may repeat the key that it got in an error, or tell it to the model, which then says it. So texts of others
 * go through here before they are cut, kept or shown: "[REAP_API_KEY]", "[OPENAI_API_KEY]" stand in the place of the
 * value, also of one that is spelled with JSON's escapes, as in the arguments of a call. */
#ifndef REAP_SERVE_SECRET_H
#define REAP_SERVE_SECRET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

/* The value that is sent to servers: REAP_API_KEY, else OPENAI_API_KEY; NULL: none. */
const char *secret_key(void);
/* How often one stood there. */
uint64_t secret_hide(struct buf *b);
void secret_hide_err(struct err *e);
void secret_hide_str(char **s); /* one of the heap; NULL stays */
/* The value with all its strings so: itself when there is nothing to do, else a copy. New reference. */
json_t *secret_hide_json(const json_t *v);
/* In a child between fork and exec, which has no use for them. */
void secret_forget(void);

#endif
