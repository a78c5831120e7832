/* cmd_verify.c - proves that a pruned model holds its parent's bytes. */
#include "base/file.h"
#include "base/log.h"
#include "base/out.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "model/gain.h"
#include "prune/prune.h"

static const char *plan_path, *found_path, *gain_path, *name;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_PATH("plan", &plan_path, "FILE",
             "the plan it was made with; without it the kept experts are found by their bytes", .alias = "-p",
             .group = 'p'),
    OPT_PATH("gain", &gain_path, "FILE", "with --plan: the gains that it was made with (reap prune --gain)"),
    OPT_STR("name", &name, "NAME", "the name that it was given (reap prune --name), where it is a GGUF file",
            .dflt_is = "its parent's, or that with -REAP-24x"),
    OPT_PATH("write-plan", &found_path, "FILE", "without --plan: write the plan that was found",
             .group = 'p'),
    OPT_FLAG("force", &cmd_force, "replace the plan file; accept a plan of another model", .alias = "-f"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_verify = {
    .name = "verify",
    .usage = "PARENT PRUNED [--plan PLAN]",
    .summary = "prove that a pruned model holds its parent's bytes; exit status 3 if not",
    .example = "  reap verify model.gguf pruned.gguf --plan plan.json\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 2,
    .max_args = 2,
    .models = 2,
    .run = run,
};

static bool print(const char *pruned, bool alone, const struct verify_result *r, struct err *e)
{
    if (cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "ok", json_boolean(r->n_diff == 0));
        json_object_set_new(j, "plan_found", json_boolean(r->found != NULL));
        json_object_set_new(j, "tensors_cut", json_integer((json_int_t)r->tensors_cut));
        json_object_set_new(j, "tensors_same", json_integer((json_int_t)r->tensors_same));
        json_object_set_new(j, "layers_with_gain", json_integer((json_int_t)r->n_gains));
        json_object_set_new(j, "keys_same", json_integer((json_int_t)r->keys_same));
        json_object_set_new(j, "bytes_compared", json_integer((json_int_t)r->bytes));
        json_object_set_new(j, "n_differences", json_integer((json_int_t)r->n_diff));
        json_object_set(j, "differences", r->diff);
        return cmd_print_json("verify", j, e);
    }
    struct buf b = {0};
    char s[32];
    if (!r->n_diff && alone) {
        cmd_fmt(
            &b,
            "%s: the MTP blocks with all their experts, every byte is the parent's: %llu tensors, %llu keys; %s "
            "compared\n",
            pruned, (unsigned long long)r->tensors_same, (unsigned long long)r->keys_same,
            human_bytes(r->bytes, s));
        return cmd_print(&b, e);
    }
    if (!r->n_diff) {
        cmd_fmt(
            &b,
            "%s: every byte%s is the parent's: %llu tensors cut along their experts, %llu unchanged, %llu keys; %s compared\n",
            pruned, r->n_gains ? " but those of the gains" : "", (unsigned long long)r->tensors_cut,
            (unsigned long long)r->tensors_same, (unsigned long long)r->keys_same, human_bytes(r->bytes, s));
        if (r->n_gains)
            cmd_fmt(
                &b,
                "%llu layers are scaled as %s says: it does not compute what its parent computes with these experts\n",
                (unsigned long long)r->n_gains, gain_path);
        if (r->found)
            cmd_fmt(&b, "the kept experts were found by their bytes: %u per layer\n", r->found->n_keep);
        return cmd_print(&b, e);
    }
    cmd_fmt(&b, "%s differs from its parent:\n", pruned);
    for (size_t i = 0; i < json_array_size(r->diff); i++)
        cmd_fmt(&b, "  %s\n", json_string_value(json_array_get(r->diff, i)));
    if (r->n_diff > json_array_size(r->diff))
        cmd_fmt(&b, "  and %llu more\n", (unsigned long long)(r->n_diff - json_array_size(r->diff)));
    return cmd_print(&b, e);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct plan *p = NULL;
    struct verify_result r = {0};
    if (gain_path && !plan_path)
        return err_set(e, ERR_INPUT, "--gain goes with --plan");
    if (found_path && !file_check_output(found_path, cmd_force, e))
        return false;
    struct view *a = view_open(args[0], e), *b = a ? view_open_any(args[1], e) : NULL;
    bool ok = a && b, alone = b && !b->n_layers;
    if (alone && found_path)
        ok = err_set(e, ERR_INPUT,
                     "%s: has MTP blocks alone, with all their experts: there is no plan to find", args[1]);
    if (alone && name)
        log_note("note: --name has no say in a file of MTP blocks, which is called what the parent is");
    if (ok && plan_path)
        ok = (p = plan_open(plan_path, a, cmd_force, e)) != NULL;
    ok = ok && (!gain_path || gain_open(gain_path, a, p, cmd_force, e));
    ok = ok && (!found_path || (view_check_output(a, found_path, e) && view_check_output(b, found_path, e)));
    ok = ok && verify_run(a, b, p, name, &r, e);
    if (ok && found_path && r.found)
        ok = plan_write(found_path, r.found, cmd_force, e);
    ok = ok && print(args[1], alone, &r, e);
    if (ok && r.n_diff)
        ok = err_set(e, ERR_CHECK, "%s: %llu difference%s from %s", args[1], (unsigned long long)r.n_diff,
                     r.n_diff == 1 ? "" : "s", args[0]);
    verify_result_clear(&r);
    plan_free(p);
    view_free(a);
    view_free(b);
    return ok;
}
