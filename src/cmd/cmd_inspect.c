/* cmd_inspect.c - what a model is, and what a ratio would leave. Never reaches the engine. */
#include "base/mem.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "model/cut.h"
#include "stats/tables.h"

#include <string.h>

static bool show_tensors;

static const struct opt opts[] = {
    OPT_HEADING("Options"),
    OPT_FLAG("tensors", &show_tensors, "list all tensors, with their expert axis"),
    OPT_ENDS,
};

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_inspect = {
    .name = "inspect",
    .usage = "MODEL [--tensors] [--json]",
    .summary = "what a model is: family, layers, experts, sizes, what a ratio would leave",
    .example = "  reap inspect qwen3-30b-a3b-q4_k_m.gguf\n"
               "  reap inspect openai/gpt-oss-20b\n"
               "  reap inspect -hf unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M\n",
    .opts = (const struct opt *const[]){opts, NULL},
    .min_args = 1,
    .max_args = 1,
    .models = 1,
    .run = run,
};

/* Bytes by type, the most first seen first. */
static json_t *types_json(const struct view *v, bool experts)
{
    json_t *o = json_object();
    for (uint64_t i = 0; i < v->n_tensors; i++) {
        const struct view_tensor *x = &v->tensors[i];
        uint64_t idle = x->idle * view_slice(x, v->shape.n_experts);
        bool has = view_has_experts(x);
        uint64_t bytes = experts ? (has ? x->bytes - idle : 0) : (has ? idle : x->bytes);
        json_int_t n = json_integer_value(json_object_get(o, x->type));
        if (bytes)
            json_object_set_new(o, x->type, json_integer(n + (json_int_t)bytes));
    }
    return o;
}

static json_t *to_json(const struct view *v)
{
    json_t *o = json_object(), *r = json_array();
    json_object_set_new(o, "file", json_text(v->path));
    json_object_set_new(o, "model", view_identity(v));
    json_object_set_new(o, "family", json_string(v->family->models));
    json_object_set_new(o, "gate", json_string(v->family->gate));
    if (v->class_name) {
        json_object_set_new(o, "class", json_text(v->class_name));
        json_object_set_new(o, "quant_method", v->quant_method ? json_text(v->quant_method) : json_null());
    }
    json_object_set_new(o, "n_files", json_integer(v->n_files));
    json_object_set_new(o, "n_tensors", json_integer((json_int_t)v->n_tensors));
    json_object_set_new(o, "n_mtp_blocks", json_integer(v->n_mtp));
    json_object_set_new(o, "bytes", json_integer((json_int_t)v->bytes));
    json_object_set_new(o, "expert_bytes", json_integer((json_int_t)v->expert_bytes));
    json_object_set_new(o, "router_bytes", json_integer((json_int_t)v->router_bytes));
    json_object_set_new(o, "shared_expert_bytes", json_integer((json_int_t)v->shared_bytes));
    json_object_set_new(o, "parameters", v->n_params ? json_integer((json_int_t)v->n_params) : json_null());
    json_object_set_new(o, "expert_parameters",
                        v->n_params ? json_integer((json_int_t)v->expert_params) : json_null());
    json_object_set_new(o, "shared_expert_parameters",
                        v->n_params ? json_integer((json_int_t)v->shared_params) : json_null());
    json_object_set_new(o, "expert_types", types_json(v, true));
    json_object_set_new(o, "other_types", types_json(v, false));
    json_object_set_new(o, "refused", v->refusal ? json_text(v->refusal) : json_null());
    for (size_t i = 0; i < TABLE_RATIOS; i++) {
        uint32_t n = shape_at_ratio(&v->shape, table_ratios[i]);
        json_t *x = json_object();
        json_object_set_new(x, "prune_ratio", json_real(table_ratios[i]));
        json_object_set_new(x, "n_keep", json_integer(n));
        json_object_set_new(x, "bytes", json_integer((json_int_t)cut_bytes_at(v, n)));
        json_array_append_new(r, x);
    }
    json_object_set_new(o, "ratios", r);
    return o;
}

static void types_text(struct buf *b, const char *what, json_t *types)
{
    const char *key;
    json_t *n;
    char s[32];
    cmd_fmt(b, "%-14s", what);
    const char *sep = "";
    json_object_foreach (types, key, n) {
        cmd_fmt(b, "%s%s %s", sep, key, human_bytes((uint64_t)json_integer_value(n), s));
        sep = ", ";
    }
    buf_char(b, '\n');
    json_decref(types);
}

/* "0-2, 5, 7-9" */
static void layers_text(struct buf *b, const struct view *v)
{
    for (uint32_t i = 0, k; i < v->n_layers; i = k) {
        for (k = i + 1; k < v->n_layers && v->layers[k].il == v->layers[k - 1].il + 1;)
            k++;
        cmd_fmt(b, "%s%u", i ? ", " : "", v->layers[i].il);
        if (k > i + 1)
            cmd_fmt(b, "-%u", v->layers[k - 1].il);
    }
}

static void to_text(struct buf *b, const struct view *v)
{
    char s[32], t[32];
    cmd_fmt(b, "%-14s%s\n", "model", v->name);
    cmd_fmt(b, "%-14s%s (%s)\n", "architecture", v->family->arch, v->family->models);
    if (v->class_name)
        cmd_fmt(b, "%-14s%s%s%s\n", "checkpoint", *v->class_name ? v->class_name : "no class named",
                v->quant_method ? ", quantised: " : "", v->quant_method ? v->quant_method : "");
    if (v->n_layers) {
        cmd_fmt(b, "%-14s%u, with experts: %u (", "blocks", v->n_blocks, v->n_layers);
        layers_text(b, v);
        buf_str(b, ")\n");
    } else {
        cmd_fmt(b, "%-14sof %u the last %u alone, which predict%s further tokens (MTP)\n", "blocks",
                v->n_blocks, v->n_mtp, v->n_mtp == 1 ? "s" : "");
    }
    if (v->n_mtp && v->n_layers)
        cmd_fmt(
            b,
            "%-14sthe last %u predict%s further tokens (MTP); pruned by own statistics, else like the last "
            "layer\n",
            "", v->n_mtp, v->n_mtp == 1 ? "s" : "");
    cmd_fmt(b, "%-14s%u per layer, %u per token", "experts", v->shape.n_experts, v->shape.n_used);
    if (v->shape.n_groups > 1)
        cmd_fmt(b, ", in %u groups of which %u are used", v->shape.n_groups, v->shape.n_groups_used);
    buf_char(b, '\n');
    if (v->shared_bytes)
        cmd_fmt(b, "%-14sshared experts beside them, %s, of every token; they stay\n", "",
                human_bytes(v->shared_bytes, s));
    cmd_fmt(b, "%-14s%s\n", "gate", v->family->gate);
    cmd_fmt(b, "%-14s%s in %u file%s; experts %s (%.1f %%)\n", "size", human_bytes(v->bytes, s), v->n_files,
            v->n_files == 1 ? "" : "s", human_bytes(v->expert_bytes, t),
            v->bytes ? 100.0 * (double)v->expert_bytes / (double)v->bytes : 0.0);
    if (v->n_params) {
        cmd_fmt(b, "%-14s%s", "parameters", human_count(v->n_params, s));
        cmd_fmt(b, ", in experts %s", human_count(v->expert_params, s));
        if (v->shared_params)
            cmd_fmt(b, ", in shared experts %s", human_count(v->shared_params, s));
        buf_char(b, '\n');
    }
    types_text(b, "expert types", types_json(v, true));
    types_text(b, "other types", types_json(v, false));
    cmd_fmt(b, "%-14s%s\n", "router hash",
            v->router_hash[0] ? v->router_hash
            : v->n_layers     ? "none (routers are quantised)"
                              : "none (it is of the model's layers)");
    if (v->refusal) {
        cmd_fmt(b, "\nThis model cannot be pruned: %s.\n", v->refusal);
        return;
    }
    buf_str(b, "\n  pruned   experts     size");
    cmd_head(b);
    for (size_t i = 0; i < TABLE_RATIOS; i++) {
        uint32_t n = shape_at_ratio(&v->shape, table_ratios[i]);
        if (n == v->shape.n_experts || (i && n == shape_at_ratio(&v->shape, table_ratios[i - 1])))
            continue;
        cmd_fmt(b, "  %5.1f %%  %7u  %9s\n", 100.0 * (v->shape.n_experts - n) / v->shape.n_experts, n,
                human_bytes(cut_bytes_at(v, n), s));
    }
}

static void tensors_text(struct buf *b, const struct view *v)
{
    buf_char(b, '\n');
    for (uint64_t i = 0; i < v->n_tensors; i++) {
        const struct view_tensor *x = &v->tensors[i];
        struct buf name = {0};
        buf_safe(&name, x->name, strlen(x->name));
        cmd_fmt(b, "  %-40s %-8s [", name.s ? name.s : "", x->type);
        for (uint32_t d = 0; d < x->n_dims; d++) {
            bool axis = (int32_t)d == x->axis;
            cmd_fmt(b, "%s%llu%s", d ? ", " : "", (unsigned long long)x->dims[d] - (axis ? x->idle : 0),
                    axis ? " experts" : "");
            if (axis && x->idle)
                cmd_fmt(b, " and %u idle", x->idle);
        }
        buf_str(b, "]");
        if (x->expert >= 0)
            cmd_fmt(b, " of expert %d", x->expert);
        buf_str(b, "\n");
        buf_clear(&name);
    }
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    (void)n;
    struct view *v = view_open_any(args[0], e);
    if (!v || !view_hash(v, e)) {
        view_free(v);
        return false;
    }
    struct buf b = {0};
    bool ok;
    if (cmd_json) {
        ok = cmd_print_json("inspect", to_json(v), e);
    } else {
        to_text(&b, v);
        if (show_tensors)
            tensors_text(&b, v);
        ok = cmd_print(&b, e);
    }
    view_free(v);
    return ok;
}
