/* cmd_profile.c - calibration text through the model, sums of every expert into a stats file. */
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/shared.h"
#include "profile/profile.h"
#include "profile/show.h"

#include <string.h>

static const char *out, *shard, *imatrix;
static int64_t ctx, seqs, show;
static double save_every, until_stable, set_aside;
static uint32_t pairs;
static bool resume, separate, has_show;

static const char *pairs_word(uint32_t i)
{
    return profile_pairs_words[i];
}

static const struct opt_choices pair_words = {.at = pairs_word};

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("output", &out, "FILE", "the stats file to write", .alias = "-o", .required = true,
             .unless = "show-samples"),
    OPT_PATH("imatrix", &imatrix, "FILE",
             "also an importance matrix of the same text, for reap quantize and llama-quantize"),
    OPT_INT("ctx", &ctx, "N", 1, 1 << 24, "window size in tokens; longer samples go on in a next window",
            .dflt = OPT_TEXT(PROFILE_CTX)),
    OPT_DURATION("save-every", &save_every, "TIME", 0, 1e9,
                 "save the unfinished file this often; 0: only when interrupted",
                 .dflt = OPT_TEXT(PROFILE_SAVE_EVERY) "s"),
    CMD_UNTIL_STABLE(&until_stable),
    OPT_SHARE("set-aside", &set_aside, "SHARE", 0, 0.99,
              "leave this share of each category's samples out, to choose a criterion on (reap choose)"),
    OPT_FLAG("resume", &resume, "go on from the unfinished output file of the same run", .group = 'r'),
    OPT_FLAG("force", &cmd_force, "replace the output", .alias = "-f", .group = 'r'),
    OPT_STR("shard", &shard, "I/N",
            "only part I of N of the work, 1 to N; reap stats merge adds the parts up"),
    OPT_CHOICE(
        "pairs", &pairs, "WORD", &pair_words,
        "keep sums over pairs of experts as well, in a second file STATS.pairs (for the criterion hope); auto: up to 256 MiB",
        .dflt = PROFILE_PAIRS),
    OPT_INT("sequences", &seqs, "N", 1, 256, "samples packed into a batch, at most", .dflt_is = "chosen"),
    OPT_INT("show-samples", &show, "N", 0, 1e15,
            "print N samples as the model is given them, and what all make, and end", .seen = &has_show),
    OPT_FLAG("separate-streams", &separate, "one KV memory per sequence instead of one for all"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_profile = {
    .name = "profile",
    .usage = "MODEL --calib PATH[:N]... -o STATS\n"
             "MODEL --calib PATH[:N]... --show-samples N",
    .summary = "run calibration text through a model and measure every expert",
    .example = "  reap profile model.gguf --calib prompts/ --samples-per-category 75 -o stats.json\n"
               "  reap profile model.gguf --calib code.jsonl:2000 --calib chat.jsonl:500 -o stats.json\n"
               "  reap profile model.gguf --calib prompts/ --shard 2/8 -o part-2.json\n"
               "  reap profile model.gguf --calib prompts/ -o stats.json --imatrix imatrix.gguf\n",
    .opts = (const struct opt *const[]){opts, corpus_opt_table, engine_opt_table, NULL},
    .min_args = 1,
    .max_args = 1,
    .models = 1,
    .run = run,
};

static bool show_samples(const struct profile_opts *o, struct err *e)
{
    json_t *shown = profile_show(o, (uint64_t)show, e);
    if (!shown || cmd_json)
        return shown && cmd_print_json("profile", shown, e);
    struct buf b = {0};
    profile_show_text(shown, &b);
    json_decref(shown);
    return cmd_print_raw(&b, e);
}

/* "2/8" */
static bool parse_shard(struct profile_opts *o, struct err *e)
{
    uint64_t i, n;
    char first[24];
    const char *slash = strchr(shard, '/');
    if (slash && (size_t)(slash - shard) < sizeof first) {
        snprintf(first, sizeof first, "%.*s", (int)(slash - shard), shard);
        if (parse_u64(first, &i) && parse_u64(slash + 1, &n) && i >= 1 && i <= n && n <= 1000000) {
            o->shard = (uint32_t)i;
            o->n_shards = (uint32_t)n;
            return true;
        }
    }
    return err_set(e, ERR_INPUT, "--shard '%s' is not I/N with I from 1 to N, such as 2/8", shard);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct profile_opts o = {
        .model = args[0],
        .out = out,
        .imatrix = imatrix,
        .n_ctx = (uint32_t)ctx,
        .n_seqs = (uint32_t)seqs,
        .separate_streams = separate,
        .force = cmd_force,
        .resume = resume,
        .until_stable = until_stable,
        .save_every = save_every,
        .pairs = (enum profile_pairs)pairs,
    };
    cmd_corpus(&o.corpus);
    o.corpus.set_aside = set_aside;
    o.engine = cmd_engine;
    if (has_show)
        return show_samples(&o, e);
    if (shard && !parse_shard(&o, e))
        return false;
    if (shard && until_stable > 0)
        return err_set(e, ERR_INPUT,
                       "--shard and --until-stable exclude each other: a shard does not know the others");
    struct profile_result r;
    if (!profile_run(&o, &r, e))
        return false;
    double rate = r.secs > 0 ? (double)(r.n_tokens - r.done_before) / r.secs : 0;
    if (cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "stats", json_text(out));
        json_object_set_new(j, "n_samples", json_integer((json_int_t)r.n_samples));
        json_object_set_new(j, "n_tokens", json_integer((json_int_t)r.n_tokens));
        json_object_set_new(j, "n_windows", json_integer((json_int_t)r.n_windows));
        json_object_set_new(j, "n_batches", json_integer((json_int_t)r.n_batches));
        json_object_set_new(j, "tokens_resumed", json_integer((json_int_t)r.done_before));
        if (imatrix) {
            json_object_set_new(j, "imatrix", json_text(imatrix));
            json_object_set_new(j, "imatrix_weights", json_integer((json_int_t)r.n_weights));
            json_object_set_new(j, "imatrix_memory", json_integer((json_int_t)r.matrix_bytes));
        }
        if (shard)
            json_object_set_new(j, "shard", json_string(shard));
        json_object_set_new(j, "seconds", json_real(r.secs));
        json_object_set_new(j, "tokens_per_second", json_real(rate));
        bool settled = r.settled.kept > 0;
        json_object_set_new(j, "settled_at", settled ? json_real(r.settled.same) : json_null());
        json_object_set_new(j, "settled_score", settled ? json_real(r.settled.kept) : json_null());
        json_object_set_new(j, "never_routed", json_integer(r.n_never));
        return cmd_print_json("profile", j, e);
    }
    struct buf b = {0};
    char s[32], t[32], u[32], part[64] = "";
    if (shard)
        snprintf(part, sizeof part, "shard %u of %u of ", o.shard, o.n_shards);
    if (r.already_done)
        cmd_fmt(&b, "%s is complete: %s tokens of %s%llu samples\n", out, human_count(r.n_tokens, s), part,
                (unsigned long long)r.n_samples);
    else
        cmd_fmt(&b, "%s: %s tokens of %s%llu samples in %s, %s tokens/s\n", out, human_count(r.n_tokens, s),
                part, (unsigned long long)r.n_samples, human_secs(r.secs, t), human_count((uint64_t)rate, u));
    if (imatrix)
        cmd_fmt(&b, "%s: importance matrix of %llu weights (%s of memory)\n", imatrix,
                (unsigned long long)r.n_weights, human_bytes(r.matrix_bytes, s));
    if (r.settled.kept > 0) {
        cmd_fmt(&b, "stopped: with %.1f %% pruned, ", 100 * until_stable);
        summary_halves_text(&r.settled, &b);
        buf_char(&b, '\n');
    }
    if (r.n_never)
        cmd_fmt(&b, "%u of %u experts were never routed to (reap stats %s names them)\n", r.n_never,
                r.n_layers * r.n_experts, out);
    return cmd_print(&b, e);
}
