/* unused.h - what calibration rows hold and no model gets to see: keys of rows that no form takes (corpus.unused), keys
 * that the chat template does not look at (windows.unused). Counted by name: "rejected": 20 rows, "messages.thinking":
 * 12 messages. */
#ifndef REAP_CORPUS_UNUSED_H
#define REAP_CORPUS_UNUSED_H

#include "base/buf.h"
#include "base/json.h"

/* Adds the counts of one object to those of another. What is no count of 1 or more is left out. */
void unused_add(json_t *to, const json_t *from);
/* "'rejected' (20 rows), 'messages.thinking' (12 messages)"; of very many keys the first. Nothing when there is none:
 * false. chat: what wrote the chats (engine_chat_info), or NULL: where it reads thoughts under another name than one that
 * is left, that name follows. Both may be of a file, and anything. */
bool unused_text(const json_t *unused, const json_t *chat, struct buf *b);

#endif
