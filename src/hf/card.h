/* card.h - the model card: README.md of a pruned checkpoint folder, with its YAML front matter.
 *
 * The text of the original stays, but for what is said here. Format of the front matter:
 * https://huggingface.co/docs/hub/model-cards (a YAML mapping between two lines of ---, at the top). */
#ifndef REAP_HF_CARD_H
#define REAP_HF_CARD_H

#include "base/buf.h"
#include "base/json.h"
#include <stdbool.h>
#include <stdint.h>

/* What was measured on one text; not a number: it was not. */
struct card_result {
    const char *text; /* its name */
    double ppl_before, ppl_after, kl, top1, ppl_type;
};

/* What a run measured. */
struct card_results {
    const struct card_result *texts;
    uint32_t n_texts;
    const char *type; /* the model was made in it as well, beside the one of the card; NULL: it was not */
    const char *type_file; /* which is this file */
    uint64_t bytes_type, n_answers;
    double alike;        /* mean similarity of the answers of both models */
    bool verified;       /* every byte that stays was compared with the parent's */
    const char *date;    /* "2026-11-28" */
    const char *command; /* that made it all, in one line for a shell */
};

/* All strings are borrowed and may come from files: they are escaped. NULL or 0: not known, not mentioned. */
struct card_facts {
    uint32_t n_experts, n_keep; /* per layer, before and after */
    uint32_t n_moe_layers;      /* of the trunk */
    const char *criterion;      /* of the plan */
    const char *source;         /* name of the original's folder; of a path only the last part is shown */
    const char *base_id;        /* "org/name" on the hub */
    uint64_t bytes_before, bytes_after; /* of the weights */
    const json_t *calibration;          /* `calibration` of reap.stats/1 */
    bool from_stats;                    /* the plan names what it was made of */
    uint64_t n_tokens;                  /* of its statistics, where calibration does not say it */
    const double *tokens_lost; /* share of the routing that went to removed experts, mean over the layers */
    const char *mtp;           /* what happened to the MTP layers, one sentence */
    bool gain;                 /* each layer is scaled by a gain of its own */
    const char
        *file; /* the model's, of a GGUF file that the card lies beside; NULL: it is a checkpoint folder's */
    const char *name;    /* what the model is called, for a card that is new */
    const char *license; /* for a card that is new */
    const struct card_results *results;
};

/* Adds to out: the text of the card. readme: README.md of the original, or NULL.
 *   Front matter: base_model becomes base_id if that is known (in the place of one that is there); tags get
 *   `reap` and `expert-pruning`. Where the base changes, base_model_relation goes, because it was said of another
 *   one, and so does model-index, the results of the original: it becomes what was measured here. A text without
 *   front matter gets one; a new card of a GGUF file has name, license, relation and library, too. Front matter that does not end or that
 *   is written in a way we do not know (anchors, block scalars, flow mappings at these keys) stays as it is:
 *   then false is returned, and the caller should say so. The result is complete in both cases.
 *   Section: "Expert pruning (reap)" between the comments <!-- reap:begin --> and <!-- reap:end -->, in the
 *   place of an earlier one, else behind the first heading, else at the top (behind the front matter).
 * Line ends are those of the text. Writing the card of a card changes nothing but the section. */
bool card_write(struct buf *out, const char *readme, const struct card_facts *f);

#endif
