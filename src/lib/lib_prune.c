/* lib_prune.c - cuts of libreap, and their check; see reap.h. */
#include "base/mem.h"
#include "lib/lib_part.h"
#include "prune/prune.h"

/* ---- writing ---- */

static bool take_options(const reap_prune_options *given, struct prune_opts *o, struct err *e)
{
    reap_prune_options x = {0};
    if (given && !take_struct(&x, sizeof x, given, "prune options", e))
        return false;
    if (x.drop_mtp && x.keep_mtp)
        return err_set(e, ERR_INPUT,
                       "prune options: drop_mtp and keep_mtp are both set, expected one of them");
    o->keep_mtp = x.keep_mtp != 0;
    o->cut = (struct cut_opts){
        .drop_mtp = x.drop_mtp || x.keep_mtp, .merge = x.merge != 0, .max_shard = x.max_shard};
    o->force = x.force != 0;
    o->dry_run = x.dry_run != 0;
    o->card = x.card != 0;
    o->no_card = x.no_card != 0;
    o->no_provenance = x.no_provenance != 0;
    o->count_aliases = x.count_aliases != 0;
    o->name = x.name;
    o->base_model = x.base_model;
    return true;
}

/* The card of a folder is in it already. */
static bool write_card(const struct view *v, const struct plan *p, const struct prune_opts *o,
                       const struct prune_result *r, struct err *e)
{
    const struct prune_card card = {
        .parent = v, .plan = p, .opts = o, .file = r->files[0], .bytes_after = r->tensor_bytes};
    char *path = NULL;
    bool ok = o->dry_run || !o->card || prune_card_write(&card, &path, e);
    free(path);
    return ok;
}

static bool prune(struct view *v, const reap_plan *plan, const struct prune_opts *o, struct prune_result *r,
                  struct err *e)
{
    const char *path = plan->path;
    return prune_check_apart(v, o, path, "the plan itself", e) && view_check_prunable(v, e) &&
           view_hash(v, e) && plan_check(plan->p, v, path ? path : "the plan", o->force, e) &&
           prune_run(v, plan->p, o, r, e) && write_card(v, plan->p, o, r, e);
}

int reap_prune(reap_model *model, const reap_plan *plan, const char *out, const reap_prune_options *options,
               reap_prune_result *result, reap_error *error)
{
    struct call c;
    struct prune_opts o = {.out = out};
    struct prune_result r = {0};
    call_begin(&c);
    bool ok = take_options(options, &o, &c.e) && prune(model->v, plan, &o, &r, &c.e);
    if (result && ok) {
        const reap_prune_result mine = {.bytes_in = r.bytes_in,
                                        .bytes_out = r.bytes_out,
                                        .tensor_bytes = r.tensor_bytes,
                                        .bytes_missing = r.bytes_missing,
                                        .tensors_cut = r.tensors_cut,
                                        .tensors_same = r.tensors_kept,
                                        .tensors_gone = r.tensors_gone,
                                        .n_files = r.n_files,
                                        .files = r.files};
        give_struct(result, &mine, sizeof mine);
    } else {
        prune_result_clear(&r);
    }
    return call_end(&c, ok, error);
}

static void free_list(char **list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

void reap_prune_result_clear(reap_prune_result *r)
{
    const reap_prune_result none = {0};
    free_list(r->files, r->n_files);
    give_struct(r, &none, sizeof none);
}

/* ---- comparing ---- */

static void tell(const struct verify_result *r, struct plan *found, reap_verify_result *out)
{
    reap_verify_result x = {.tensors_cut = r->tensors_cut,
                            .tensors_same = r->tensors_same,
                            .keys_same = r->keys_same,
                            .bytes = r->bytes,
                            .n_differences = r->n_diff,
                            .n_said = (uint32_t)json_array_size(r->diff)};
    x.said = xcalloc(x.n_said, sizeof *x.said);
    for (uint32_t i = 0; i < x.n_said; i++)
        x.said[i] = xstrdup(json_string_value(json_array_get(r->diff, i)));
    x.found = plan_wrap(found, NULL);
    give_struct(out, &x, sizeof x);
}

int reap_verify(reap_model *parent, reap_model *pruned, const reap_plan *plan, const char *name,
                reap_verify_result *result, reap_error *error)
{
    struct call c;
    struct verify_result r = {0};
    call_begin(&c);
    bool ok = model_check_trunk(parent, &c.e) &&
              (!plan || (view_hash(parent->v, &c.e) &&
                         plan_check(plan->p, parent->v, plan->path ? plan->path : "the plan", false, &c.e)));
    ok = ok && verify_run(parent->v, pruned->v, plan ? plan->p : NULL, name, &r, &c.e);
    if (ok && result) {
        tell(&r, r.found, result);
        r.found = NULL;
    }
    if (ok && r.n_diff)
        ok = err_set(&c.e, ERR_CHECK, "%s: %llu difference%s from %s: %s", pruned->v->path,
                     (unsigned long long)r.n_diff, r.n_diff == 1 ? "" : "s", parent->v->path,
                     json_string_value(json_array_get(r.diff, 0)));
    verify_result_clear(&r);
    return call_end(&c, ok, error);
}

void reap_verify_result_clear(reap_verify_result *r)
{
    const reap_verify_result none = {0};
    free_list(r->said, r->n_said);
    reap_plan_close(r->found);
    give_struct(r, &none, sizeof none);
}
