/* hub_path.h - what a path in a hub's cache says of the model that lies there.
 *
 * The cache of huggingface_hub, and of llama.cpp since it shares it: CACHE/models--ORG--NAME with refs/main (the
 * revision's hash), snapshots/HASH/FILE (links) and blobs/HASH. No name on the hub has "--" in it, so the id can be
 * read back. Format: huggingface.co/docs/hub/local-cache. */
#ifndef REAP_BASE_HUB_PATH_H
#define REAP_BASE_HUB_PATH_H

#include <stdbool.h>

#define HUB_FOLDER "models--" /* with which the folder of a model begins */

/* "ORG/NAME", of letters, digits and "._-", neither with "--" or ".." in it; at most 200 bytes. */
bool hub_is_id(const char *s);
/* Of .../models--ORG--NAME/snapshots/HASH, as given or with links resolved: "ORG/NAME". Caller frees. NULL: the path
 * is none of these. */
char *hub_id_of_path(const char *path);

#endif
