/* chat_template.h - the chat templates of a checkpoint folder as tokenizer.chat_template* keys. */
#ifndef REAP_TOKENIZER_CHAT_TEMPLATE_H
#define REAP_TOKENIZER_CHAT_TEMPLATE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

/* Sources, in the order of transformers: chat_template.jinja and additional_chat_templates/NAME.jinja; where
 * they have no default, chat_template of tokenizer_config.json (config, may be NULL: then there are no
 * templates), a string or a list of {name, template}; else chat_template.json. Adds the keys and their number;
 * none where there is no template. False: *e set. */
bool chat_template_put_keys(const char *dir, const json_t *config, struct buf *keys, uint64_t *n_keys,
                            struct err *e);

#endif
