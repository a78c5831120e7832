/* shared.c - see shared.h. */
#include "cmd/shared.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"

/* ---- several domains, and who stays in any case ---- */

static struct opt_list stats_list;
static const char *protect;
static uint32_t blend;
static bool protect_super, has_blend, has_share;
static double protect_share;

static const struct opt_choices blends = {
    .list = (const char *const[]){[BLEND_MEAN] = "mean", [BLEND_MAXMIN] = "maxmin", NULL}};

const struct opt domains_opt_table[] = {
    OPT_PATHS("stats", &stats_list, "STATS[:W]",
              "plan from this stats file; one of several has the weight W, without it 1"),
    OPT_CHOICE(
        "blend", &blend, "HOW", &blends,
        "several stats files: by the mean of their scores, or (maxmin) so that what loses most loses least",
        .dflt = "mean", .seen = &has_blend),
    OPT_FLAG("protect-super", &protect_super, "super experts stay (reap stats lists them)"),
    OPT_PATH("protect", &protect, "FILE", "experts that stay: JSON {\"LAYER\": [IDS]}, or lines LAYER: IDS"),
    OPT_SHARE("protect-share", &protect_share, "S", 0, 1,
              "of several stats files: the best of each, for S of the places, stay whatever the blend says",
              .dflt = "0", .seen = &has_share),
    OPT_ENDS,
};

void cmd_domains(struct domains *d, struct plan_opts *o, uint32_t n_operands, bool makes_one)
{
    bool one = n_operands + stats_list.n == 1 || (makes_one && !stats_list.n);
    *d = (struct domains){stats_list, protect, has_blend || has_share || protect || protect_super};
    o->blend = (enum blend)blend;
    o->protect_super = protect_super;
    o->protect_share = protect_share;
    if (has_blend && one)
        log_note("note: --blend matters only with several stats files");
    if (has_share && one)
        log_note("note: --protect-share matters only with several stats files: the best of one stay anyway");
}

/* ---- how the pruned model is written ---- */

static const char *base_model, *name;
static uint32_t mtp;
static bool merge, no_provenance, count_aliases, card, no_card;
static uint64_t max_shard;

enum { MTP_PRUNE, MTP_DROP, MTP_KEEP };
static const struct opt_choices mtp_ways = {
    .list = (const char *const[]){[MTP_PRUNE] = "prune", [MTP_DROP] = "drop", [MTP_KEEP] = "keep", NULL}};

const struct opt written_opt_table[] = {
    OPT_HEADING("The model that is written"),
    OPT_FLAG("merge", &merge, "write a split model as one file"),
    OPT_CHOICE(
        "mtp", &mtp, "HOW", &mtp_ways,
        "blocks that predict further tokens: pruned by the plan (like the last layer where it does not name them), left out, or kept whole as a GGUF file of their own",
        .dflt = "prune"),
    OPT_STR("name", &name, "NAME", "what the model is called: general.name of a GGUF file, the card's title",
            .dflt_is = "PARENT-REAP-24x, where 24 experts stay"),
    OPT_STR(
        "base-model", &base_model, "ID",
        "the parent's name on the hub, ORG/NAME: general.base_model.* of a GGUF file, base_model of a card",
        .dflt_is = "told from a path in the hub's cache"),
    OPT_FLAG("card", &card,
             "of a GGUF file: write README.md beside it, the card that the hub shows (folders have theirs)"),
    OPT_FLAG("no-provenance", &no_provenance,
             "do not say where the model comes from (reap.* keys, reap.json)"),
    OPT_HEADING("The model that is written, if it is a checkpoint folder"),
    OPT_SIZE("max-shard-size", &max_shard, "SIZE", "largest file of weights, e.g. 5G"),
    OPT_FLAG("add-count-aliases", &count_aliases,
             "add num_experts and n_experts to config.json, for loaders that look for them"),
    OPT_FLAG("no-card", &no_card, "leave README.md as it is"),
    OPT_ENDS,
};

void cmd_written(struct prune_opts *o)
{
    o->keep_mtp = mtp == MTP_KEEP;
    o->cut = (struct cut_opts){.drop_mtp = mtp != MTP_PRUNE, .merge = merge, .max_shard = max_shard};
    o->no_provenance = no_provenance;
    o->count_aliases = count_aliases;
    o->card = card;
    o->no_card = no_card;
    o->name = name;
    o->base_model = base_model;
}

void cmd_mtp_kept(struct buf *b, const char *file, uint32_t n_experts, uint64_t bytes, bool dry_run)
{
    char s[32];
    if (file)
        cmd_fmt(b, "%s%s: the MTP blocks with all %u experts, %s, for llama-server's --model-draft\n",
                dry_run ? "would write " : "", file, n_experts, human_bytes(bytes, s));
}
