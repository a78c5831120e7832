/* cmd_plan.c - which experts stay. */
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "plan/make.h"

static const char *out, *criterion = "reap", *model;
static int64_t keep, round_to, seed;
static double keep_ratio, prune_ratio;
static uint64_t fit;
static bool has_keep, has_keep_ratio, has_prune_ratio, has_fit, has_seed;

static const struct opt opts[] = {
    {OPT_HEAD, "How many (one of)", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_INT, "keep", NULL, &keep, "N", "experts that stay in each layer", 1, 65536, &has_keep},
    {OPT_REAL, "keep-ratio", NULL, &keep_ratio, "R", "share that stays, 0 to 1 (rounded up)", 0, 1,
     &has_keep_ratio},
    {OPT_REAL, "prune-ratio", "-r", &prune_ratio, "R", "share that goes, 0 to 1 (rounded down)", 0, 1,
     &has_prune_ratio},
    {OPT_SIZE, "fit", NULL, &fit, "SIZE",
     "as many as fit: tensor data of at most SIZE (9.5G, 12GiB); needs --model", 0, 0, &has_fit},
    {OPT_INT, "round-to", NULL, &round_to, "M", "a multiple of M", 1, 65536, NULL},
    {OPT_HEAD, "Which", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_STR, "criterion", NULL, &criterion, "NAME",
     "reap (default), reap_sum, ean_mean, ean_sum, frequency, gate_mean, gate_sum, reap_l2, ean_l2, max_activation, random",
     0, 0, NULL},
    {OPT_INT, "seed", NULL, &seed, "N", "of the criterion random (default 0)", 0, 9e15, &has_seed},
    {OPT_HEAD, "Files", NULL, NULL, NULL, NULL, 0, 0, NULL},
    {OPT_STR, "output", "-o", &out, "FILE", "the plan to write", 0, 0, NULL},
    {OPT_STR, "model", "-m", &model, "FILE",
     "the model that will be pruned: checked now, and its sizes are shown", 0, 0, NULL},
    {OPT_FLAG, "force", "-f", &cmd_force, NULL, "replace the output; accept statistics of another model", 0,
     0, NULL},
    {.kind = OPT_END},
};

static bool set_count(struct plan_opts *o, struct err *e)
{
    if (has_keep + has_keep_ratio + has_prune_ratio + has_fit != 1)
        return err_set(e, ERR_INPUT, "give one of --keep, --keep-ratio, --prune-ratio and --fit");
    o->kind = has_keep ? KEEP_COUNT : has_keep_ratio ? KEEP_RATIO : has_prune_ratio ? PRUNE_RATIO : FIT_BYTES;
    o->value = has_keep ? (double)keep : has_keep_ratio ? keep_ratio : prune_ratio;
    o->fit = fit;
    o->round_to = (uint32_t)round_to;
    return true;
}

static bool print(const struct plan_opts *o, const struct plan_summary *s, struct err *e)
{
    double ratio = 1 - (double)s->n_keep / s->n_experts;
    if (cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "plan", json_text(out));
        json_object_set_new(j, "criterion", json_string(criterion_info(o->criterion)->name));
        json_object_set_new(j, "n_keep", json_integer(s->n_keep));
        json_object_set_new(j, "n_experts", json_integer(s->n_experts));
        json_object_set_new(j, "n_layers", json_integer(s->n_layers));
        json_object_set_new(j, "score_kept", json_real(s->score_kept));
        json_object_set_new(j, "tokens_kept", json_real(s->tokens_kept));
        json_object_set_new(j, "never_routed", json_integer(s->n_never));
        json_object_set_new(j, "never_routed_kept", json_integer(s->n_never_kept));
        if (s->bytes_before) {
            json_object_set_new(j, "bytes_before", json_integer((json_int_t)s->bytes_before));
            json_object_set_new(j, "bytes_after", json_integer((json_int_t)s->bytes_after));
        }
        return cmd_print_json("plan", j, e);
    }
    struct buf b = {0};
    char x[32], y[32];
    buf_fmt(&b, "%s: %u of %u experts stay in each of %u layers (%.1f %% pruned), by %s\n", out, s->n_keep,
            s->n_experts, s->n_layers, 100 * ratio, criterion_info(o->criterion)->name);
    buf_fmt(&b, "they hold %.1f %% of the score and were given %.1f %% of the routed tokens\n",
            100 * s->score_kept, 100 * s->tokens_kept);
    if (s->bytes_before)
        buf_fmt(&b, "tensor data: %s -> %s\n", human_bytes(s->bytes_before, x),
                human_bytes(s->bytes_after, y));
    if (s->n_never)
        buf_fmt(&b, "%u expert%s never routed to, %u of them stay; the plan names them (never_routed)\n",
                s->n_never, s->n_never == 1 ? " was" : "s were", s->n_never_kept);
    return cmd_print(&b, e);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct plan_opts o = {.stats_path = args[0], .seed = (uint64_t)seed, .force = cmd_force};
    struct plan_summary sum;
    if (!out)
        return err_set(e, ERR_INPUT, "--output is missing: where shall the plan go?");
    if (!criterion_parse(criterion, &o.criterion))
        return err_set(e, ERR_INPUT, "--criterion '%s' is not known; reap plan --help lists them", criterion);
    if (!set_count(&o, e) || !file_check_output(out, cmd_force, e))
        return false;
    if (file_would_destroy(out, args[0]))
        return err_set(e, ERR_INPUT, "the output '%s' is an input", out);
    if (has_seed && o.criterion != CRIT_RANDOM)
        log_note("note: --seed matters only to --criterion random");
    struct stats *s = stats_load(args[0], e);
    struct view *v = s && model ? view_open(model, e) : NULL;
    struct plan *p = NULL;
    if (s && (!model || (v && view_check_output(v, out, e) && view_hash(v, e))))
        p = plan_make(s, v, &o, &sum, e);
    bool ok = p && json_write(out, p->doc, cmd_force, e) && print(&o, &sum, e);
    plan_free(p);
    view_free(v);
    stats_free(s);
    return ok;
}

const struct cmd cmd_plan = {
    .name = "plan",
    .usage = "STATS (--keep N | --keep-ratio R | --prune-ratio R | --fit SIZE) -o PLAN",
    .summary = "choose which experts stay, from a stats file",
    .example = "  reap plan stats.json --prune-ratio 0.25 -o plan.json\n"
               "  reap plan stats.json --fit 12GiB --model model.gguf --round-to 8 -o plan.json\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
