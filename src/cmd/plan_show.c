/* plan_show.c - what plan says of a plan that it made from statistics. */
#include "cmd/plan_show.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"

static uint32_t count_protected(const struct plan_origin *o)
{
    const char *layer;
    const json_t *ids;
    size_t n = 0;
    json_object_foreach (o->fixed, layer, ids)
        n += json_array_size(ids);
    return (uint32_t)n;
}

static void print_source(struct buf *b, const struct plan_origin *o)
{
    cmd_fmt(b, "  %5.1f %% of %s", 100 * o->score_kept, o->stats);
    if (o->fixed)
        cmd_fmt(b, ", %u protected as its best", count_protected(o));
    buf_char(b, '\n');
}

/* What each of several files keeps of its score. */
static void print_sources(struct buf *b, const struct plan *p)
{
    for (uint32_t i = 0; p->n_origins > 1 && i < p->n_origins; i++)
        print_source(b, &p->origins[i]);
}

/* What becomes of the gates where the router does not renormalise; --verbose: layer by layer. */
static void print_gates(struct buf *b, const struct plan *p, const struct plan_summary *s)
{
    if (!(s->gate_mass > 0))
        return;
    cmd_fmt(
        b,
        "the router gives them %.1f %% of its softmax: their gates grow by a factor of %.2f (%.2f in layer %u)\n",
        100 * s->gate_mass, 1 / s->gate_mass, 1 / s->gate_mass_least, s->gate_mass_layer);
    for (uint32_t i = 0; log_verbose && i < p->n_layers; i++)
        cmd_fmt(b, "  layer %u: %.1f %%, %.2f\n", p->layers[i].il, 100 * (1 - p->lost[i].gate_mass),
                1 / (1 - p->lost[i].gate_mass));
}

/* What becomes of the blocks that predict further tokens. */
static void print_mtp(struct buf *b, const struct plan *p, const struct plan_summary *s)
{
    for (uint32_t i = p->n_layers; i < p->n_layers + p->n_mtp; i++)
        cmd_fmt(b, "MTP block %u: by statistics of its own\n", p->layers[i].il);
    if (s->n_mtp_follow)
        cmd_fmt(b, "%u MTP block%s the choice of layer %u\n", s->n_mtp_follow,
                s->n_mtp_follow == 1 ? " has" : "s have", p->layers[p->n_layers - 1].il);
}

static void mtp_json(json_t *j, const struct plan *p, const struct plan_summary *s)
{
    if (p->n_mtp) {
        json_t *own = json_array();
        for (uint32_t i = p->n_layers; i < p->n_layers + p->n_mtp; i++)
            json_array_append_new(own, json_integer(p->layers[i].il));
        json_object_set_new(j, "mtp_blocks", own);
    }
    if (s->n_mtp_follow)
        json_object_set_new(j, "n_mtp_follow", json_integer(s->n_mtp_follow));
}

static json_t *sources_json(const struct plan *p)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < p->n_origins; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "stats", json_text(p->origins[i].stats));
        json_object_set_new(o, "weight", json_real(p->origins[i].weight));
        json_object_set_new(o, "score_kept", json_real(p->origins[i].score_kept));
        if (p->origins[i].fixed)
            json_object_set(o, "protected", p->origins[i].fixed);
        json_array_append_new(all, o);
    }
    return all;
}

bool plan_show(const char *out, const struct plan_opts *o, const struct plan *p, const struct plan_summary *s,
               struct err *e)
{
    double ratio = 1 - (double)s->n_keep / s->n_experts;
    if (cmd_json) {
        json_t *j = json_object();
        json_object_set_new(j, "plan", json_text(out));
        json_object_set_new(j, "criterion", json_string(o->criterion->name));
        json_object_set_new(j, "n_keep", json_integer(s->n_keep));
        json_object_set_new(j, "n_experts", json_integer(s->n_experts));
        json_object_set_new(j, "n_layers", json_integer(s->n_layers));
        json_object_set_new(j, "score_kept", json_real(s->score_kept));
        json_object_set_new(j, "tokens_kept", json_real(s->tokens_kept));
        json_object_set_new(j, "never_routed", json_integer(s->n_never));
        json_object_set_new(j, "never_routed_kept", json_integer(s->n_never_kept));
        json_object_set_new(j, "n_protected", json_integer(s->n_protected));
        json_put_f64(j, "gate_mass_kept", s->gate_mass);
        mtp_json(j, p, s);
        if (p->blend) {
            json_object_set_new(j, "blend", json_string(p->blend));
            json_object_set_new(j, "sources", sources_json(p));
        }
        if (s->bytes_before) {
            json_object_set_new(j, "bytes_before", json_integer((json_int_t)s->bytes_before));
            json_object_set_new(j, "bytes_after", json_integer((json_int_t)s->bytes_after));
        }
        return cmd_print_json("plan", j, e);
    }
    struct buf b = {0};
    char x[32], y[32];
    cmd_fmt(&b, "%s: %u of %u experts stay in each of %u layers (%.1f %% pruned), by %s\n", out, s->n_keep,
            s->n_experts, s->n_layers, 100 * ratio, o->criterion->name);
    cmd_fmt(&b, "they hold %.1f %% of the score and were given %.1f %% of the routed tokens\n",
            100 * s->score_kept, 100 * s->tokens_kept);
    print_sources(&b, p);
    print_gates(&b, p, s);
    print_mtp(&b, p, s);
    if (s->n_protected)
        cmd_fmt(&b, "%u protected expert%s among them\n", s->n_protected,
                s->n_protected == 1 ? " is" : "s are");
    if (s->bytes_before)
        cmd_fmt(&b, "tensor data: %s -> %s\n", human_bytes(s->bytes_before, x),
                human_bytes(s->bytes_after, y));
    if (s->n_never)
        cmd_fmt(&b, "%u expert%s never routed to, %u of them stay; the plan names them (never_routed)\n",
                s->n_never, s->n_never == 1 ? " was" : "s were", s->n_never_kept);
    return cmd_print(&b, e);
}
