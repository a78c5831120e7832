/* hub.h - models by name: from what a user gives for a model to a path.
 *
 * A local path wins. Else "ORG/REPO" and "ORG/REPO:QUANT" are models of the Hugging Face hub, which are looked for in
 * its cache ($HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub), then in llama.cpp's ($LLAMA_CACHE, the same
 * layout), and then downloaded into the first. Of a repository with GGUF files one file is meant, chosen as llama.cpp
 * v0.5.0 does (common/download.cpp): the first with QUANT in its path, without QUANT Q4_K_M, Q8_0, then the first; of
 * one without, the checkpoint folder. What is in a cache is taken as it is, without a connection.
 *
 * The engine's own download is not used: it is in none of the libraries that it installs, keeps a file unchecked
 * against its hash, drops what was loaded when it is interrupted, and knows GGUF files alone. */
#ifndef REAP_HUB_HUB_H
#define REAP_HUB_HUB_H

#include "base/err.h"

struct hub_want {
    const char *model; /* as it was given */
    bool on_hub;       /* -hf: the hub's, whatever lies here */
    const char *file;  /* --hf-file; NULL: by QUANT */
    bool offline;      /* --offline; HF_HUB_OFFLINE is asked too */
};

/* The path of the model, the caller's. What is no name of a model on the hub comes back as it is, so that who opens it
 * says what is wrong with it. NULL with *e: it cannot be had, and why (ERR_INPUT; ERR_FAILED when the network, the
 * server or the disk is at fault, ERR_INTERRUPTED behind a signal, what was loaded kept). */
char *hub_resolve(const struct hub_want *w, struct err *e);

#endif
