/* naming.h - what a pruned model is called, and what it is said to be made of.
 *
 * Others show a model by general.name (llama-server, LM Studio) and group it by its base model (the hub): a
 * pruned one under its parent's name would be taken for it. The keys of the base model are those that
 * llama.cpp's converter writes (gguf-py v0.5.0, metadata.py). */
#ifndef REAP_MODEL_NAMING_H
#define REAP_MODEL_NAMING_H

#include "base/err.h"
#include "model/view.h"

/* "NAME-REAP-24x": 24 experts stay in every layer. Such an end of the parent's name is replaced, and a model
 * that keeps all its experts keeps its name. Caller frees. */
char *naming_pruned(const struct view *parent, uint32_t n_keep);
/* Refuses what is no name: nothing, bad UTF-8, control characters, more than 200 bytes. */
bool naming_check(const char *name, struct err *e);

/* The model's id on the hub, by its place in the hub's cache: "ORG/NAME". Caller frees; NULL: it has none. */
char *naming_hub_id(const struct view *v);
/* Refuses what is no "ORG/NAME". */
bool naming_check_id(const char *id, struct err *e);

/* An id as the keys general.base_model.0.* say it: "openai/gpt-oss-20b" is "Gpt Oss 20b" of "Openai", at
 * https://huggingface.co/openai/gpt-oss-20b. */
#define NAMING_HUB "https://huggingface.co/"
struct naming_base {
    char *name, *organization, *repo_url;
};
struct naming_base naming_base(const char *id);
void naming_base_clear(struct naming_base *b);

#endif
