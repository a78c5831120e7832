/* cmd_prune.c - writes the model without the experts that a plan drops. */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/next_steps.h"
#include "cmd/shared.h"
#include "model/gain.h"
#include "model/naming.h"
#include "prune/prune.h"
#include "quant/imatrix.h"
#include "quant/imatrix_cut.h"

#include <string.h>

static const char *out, *plan_path, *gain_path;
static bool dry_run;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("plan", &plan_path, "FILE", "which experts stay (reap plan, or written by hand)", .alias = "-p",
             .required = true),
    OPT_PATH("output", &out, "FILE",
             "the model to write: a GGUF file, or a folder; a split model gives files of the same number",
             .alias = "-o", .required = true),
    CMD_DRY_RUN(&dry_run, "check everything, say what would be written, write nothing"),
    OPT_PATH(
        "gain", &gain_path, "FILE",
        "one gain per layer for this plan (reap gain), written as ffn_down_exps.scale: no longer the parent's function"),
    OPT_FLAG("force", &cmd_force, "replace the output; accept a plan of another model", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_prune = {
    .name = "prune",
    .usage = "MODEL --plan PLAN -o OUT\n"
             "IMATRIX --plan PLAN -o OUT",
    .summary = "write the model without the experts that a plan drops, bytes unchanged",
    .example = "  reap prune model.gguf --plan plan.json -o pruned.gguf\n"
               "  reap prune gpt-oss-20b/ --plan plan.json -o gpt-oss-15b/\n"
               "  reap prune imatrix.gguf --plan plan.json -o pruned-imatrix.gguf\n",
    .opts = (const struct opt *const[]){opts, written_opt_table, NULL},
    .min_args = 1,
    .max_args = 1,
    .models = 1,
    .run = run,
};

static bool print(const struct view *v, const struct plan *p, const struct prune_opts *o,
                  const struct prune_result *r, const char *name, const char *card, struct err *e)
{
    const char *mtp = o->keep_mtp ? r->files[r->n_files - 1] : NULL;
    if (cmd_json) {
        json_t *j = json_object(), *files = json_array();
        for (uint32_t i = 0; i < r->n_files; i++)
            json_array_append_new(files, json_text(r->files[i]));
        json_object_set_new(j, "files", files);
        json_object_set_new(j, "name", json_text(name));
        if (mtp)
            json_object_set_new(j, "mtp_file", json_text(mtp));
        if (mtp)
            json_object_set_new(j, "mtp_bytes", json_integer((json_int_t)r->bytes_mtp));
        if (card)
            json_object_set_new(j, "card", json_text(card));
        json_object_set_new(j, "dry_run", json_boolean(dry_run));
        json_object_set_new(j, "n_experts", json_integer(v->shape.n_experts));
        json_object_set_new(j, "n_keep", json_integer(p->n_keep));
        json_object_set_new(j, "tensors_cut", json_integer((json_int_t)r->tensors_cut));
        json_object_set_new(j, "tensors_kept", json_integer((json_int_t)r->tensors_kept));
        json_object_set_new(j, "tensors_left_out", json_integer((json_int_t)r->tensors_gone));
        json_object_set_new(j, "bytes_in", json_integer((json_int_t)r->bytes_in));
        json_object_set_new(j, "bytes_out", json_integer((json_int_t)r->bytes_out));
        if (dry_run)
            json_object_set_new(j, "bytes_missing", json_integer((json_int_t)r->bytes_missing));
        json_object_set_new(j, "seconds", json_real(r->secs));
        if (p->gain)
            json_object_set_new(j, "gain", json_text(gain_path));
        return cmd_print_json("prune", j, e);
    }
    struct buf b = {0};
    char x[32], y[32], s[32];
    cmd_fmt(&b, "%s%s", dry_run ? "would write " : "", r->files[0]);
    uint32_t n_more = r->n_files - 1 - (mtp != NULL);
    if (n_more)
        cmd_fmt(&b, " and %u more", n_more);
    cmd_fmt(&b, ": %u -> %u experts, %s -> %s", v->shape.n_experts, p->n_keep, human_bytes(r->bytes_in, x),
            human_bytes(r->bytes_out - r->bytes_mtp, y));
    cmd_fmt(&b, "%s%s\n", dry_run ? "" : " in ", dry_run ? "" : human_secs(r->secs, s));
    if (r->bytes_missing)
        cmd_fmt(&b, "the disk has too little room for it: %s are missing\n",
                human_bytes(r->bytes_missing, x));
    cmd_mtp_kept(&b, mtp, v->shape.n_experts, r->bytes_mtp, dry_run);
    if (p->gain)
        cmd_fmt(
            &b,
            "with a gain for each of %u layers (%s): it does not compute what its parent computes with these experts\n",
            p->n_layers, gain_path);
    return cmd_print(&b, e);
}

/* The card of a folder is in it already. */
static bool write_card(const struct view *v, const struct plan *p, const struct prune_opts *o,
                       const struct prune_result *r, char **path, struct err *e)
{
    const struct prune_card card = {
        .parent = v, .plan = p, .opts = o, .file = r->files[0], .bytes_after = r->tensor_bytes};
    return dry_run || !o->card || prune_card_write(&card, path, e);
}

/* ---- an importance matrix ---- */

static bool print_matrix(const struct imatrix_cut *r, struct err *e)
{
    if (cmd_json) {
        json_t *j = json_object(), *files = json_array();
        json_array_append_new(files, json_text(out));
        json_object_set_new(j, "files", files);
        json_object_set_new(j, "dry_run", json_boolean(dry_run));
        json_object_set_new(j, "n_experts", json_integer(r->n_experts));
        json_object_set_new(j, "n_keep", json_integer(r->n_keep));
        json_object_set_new(j, "tensors_cut", json_integer((json_int_t)r->tensors_cut));
        json_object_set_new(j, "tensors_kept", json_integer((json_int_t)r->tensors_kept));
        json_object_set_new(j, "bytes_in", json_integer((json_int_t)r->bytes_in));
        json_object_set_new(j, "bytes_out", json_integer((json_int_t)r->bytes_out));
        return cmd_print_json("prune", j, e);
    }
    struct buf b = {0};
    char x[32], y[32];
    cmd_fmt(&b, "%s%s: importance matrix, %u -> %u experts, %s -> %s\n", dry_run ? "would write " : "", out,
            r->n_experts, r->n_keep, human_bytes(r->bytes_in, x), human_bytes(r->bytes_out, y));
    return cmd_print(&b, e);
}

static bool cut_matrix(const char *path, const struct prune_opts *o, struct err *e)
{
    const char *option = gain_path                              ? "gain"
                         : o->cut.merge                         ? "merge"
                         : o->keep_mtp                          ? "mtp keep"
                         : o->cut.drop_mtp                      ? "mtp drop"
                         : o->name                              ? "name"
                         : o->card                              ? "card"
                         : o->cut.max_shard || o->count_aliases ? "max-shard-size, --add-count-aliases"
                         : o->base_model || o->no_card          ? "base-model, --no-card"
                                                                : NULL;
    if (option)
        return err_set(e, ERR_INPUT, "%s: is an importance matrix, with which --%s does not go", path,
                       option);
    struct imatrix_cut r;
    struct plan *p = file_check_apart(out, path, "the importance matrix itself", e) &&
                             file_check_apart(out, plan_path, "the plan itself", e)
                         ? plan_load(plan_path, e)
                         : NULL;
    bool ok = p && imatrix_cut(path, p, out, cmd_force, dry_run, &r, e) && print_matrix(&r, e);
    plan_free(p);
    return ok;
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct prune_opts o = {.out = out, .force = cmd_force, .dry_run = dry_run};
    cmd_written(&o);
    if (imatrix_is(args[0]))
        return cut_matrix(args[0], &o, e);
    struct view *v = view_open(args[0], e);
    struct plan *p = v && prune_check_apart(v, &o, plan_path, "the plan itself", e) &&
                             prune_check_apart(v, &o, gain_path, "the gain file itself", e) &&
                             view_check_prunable(v, e)
                         ? plan_open(plan_path, v, cmd_force, e)
                         : NULL;
    struct prune_result r = {0};
    char *card = NULL, *called = NULL;
    bool ok = p && (!gain_path || gain_open(gain_path, v, p, cmd_force, e)) && prune_run(v, p, &o, &r, e) &&
              write_card(v, p, &o, &r, &card, e);
    if (ok) {
        called = o.name ? xstrdup(o.name) : naming_pruned(v, p->n_keep);
        ok = print(v, p, &o, &r, called, card, e);
    }
    if (ok && !dry_run)
        next_steps(called, r.files[0], o.keep_mtp ? r.files[r.n_files - 1] : NULL, NULL, card);
    free(called);
    free(card);
    prune_result_clear(&r);
    plan_free(p);
    view_free(v);
    return ok;
}
