#ifndef REAP_PRUNE_CARD_H
#define REAP_PRUNE_CARD_H
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
struct card_facts {
    uint32_t n_experts, n_keep, n_moe_layers;
    const char *source_name, *base_id, *mtp;
    uint64_t bytes_before, bytes_after;
    json_t *plan;
};
bool card_write(struct buf *out, const char *readme, const struct card_facts *f);
char *card_hub_id(const char *model_dir);
#endif
