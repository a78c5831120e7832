/* chat.h - a chat template (Jinja, as models carry it) and what it makes of a conversation.
 *
 * A template is run as Hugging Face transformers runs it (utils/chat_template_utils.py of 5.12.1): blocks
 * trimmed, loop controls, raise_exception, strftime_now, a tojson that escapes no HTML. The interpreter is the
 * engine's own (common/jinja of its sources); chat.cpp says where it differs from Jinja2 and mends that. */
#ifndef REAP_ENGINE_CHAT_H
#define REAP_ENGINE_CHAT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include <stdint.h>

struct chat_template;

/* Parses n bytes of UTF-8. NULL with *e set: not valid Jinja, with its line; or a build without the
 * interpreter. */
struct chat_template *chat_template_parse(const char *text, size_t n, struct err *e);
void chat_template_free(struct chat_template *t);

/* Renders with the members of `vars` (an object) as variables; now: seconds of Unix time for strftime_now.
 * `unused` (an object, or NULL) counts members of vars that hold text and were not looked at: its own, and
 * those of the objects of "messages" as "messages.KEY", and those of the parts of their "content" as
 * "messages.content.KEY". False with ERR_INPUT: the template refuses, in its own
 * words; *out is as it was. */
bool chat_template_render(const struct chat_template *t, const json_t *vars, int64_t now, struct buf *out,
                          json_t *unused, struct err *e);
/* Whether it may ask for the time (strftime_now). */
bool chat_template_asks_time(const struct chat_template *t);
/* Whether a member is or holds a text that is not empty; roles and ids are none. */
bool chat_holds_text(const char *key, const json_t *v);

#endif
