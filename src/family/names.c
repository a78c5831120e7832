/* names.c - what a tensor is, by its name: in GGUF, where all families name them alike, and in a checkpoint,
 * by the family's record. Names and axes of GGUF: llama.cpp v0.5.0 (src/llama-arch.cpp, src/models/); which
 * tensors have which axis is described in docs/formats.md. */
#include "hf/names.h"
#include "family/family.h"
#include "family/rules.h"

#include <stdlib.h>
#include <string.h>

/* ---- GGUF ---- */

static const struct tensor_rule rules[] = {
    {"ffn_gate_exps.weight", ROLE_EXPERT, 2, "H, F, E", NULL},
    {"ffn_up_exps.weight", ROLE_EXPERT, 2, "H, F, E", NULL},
    {"ffn_down_exps.weight", ROLE_EXPERT, 2, "F, H, E", NULL},
    {"ffn_gate_up_exps.weight", ROLE_EXPERT, 2, "H, 2F, E", NULL},
    {"ffn_gate_exps.bias", ROLE_EXPERT, 1, "F, E", NULL},
    {"ffn_up_exps.bias", ROLE_EXPERT, 1, "F, E", NULL},
    {"ffn_down_exps.bias", ROLE_EXPERT, 1, "H, E", NULL},
    {"ffn_gate_up_exps.bias", ROLE_EXPERT, 1, "2F, E", NULL},
    {"ffn_gate_exps.scale", ROLE_EXPERT, 0, "E", NULL},
    {"ffn_up_exps.scale", ROLE_EXPERT, 0, "E", NULL},
    {"ffn_down_exps.scale", ROLE_EXPERT, 0, "E", NULL},
    {"ffn_gate_exps.input_scale", ROLE_EXPERT, 0, "E", NULL},
    {"ffn_up_exps.input_scale", ROLE_EXPERT, 0, "E", NULL},
    {"ffn_down_exps.input_scale", ROLE_EXPERT, 0, "E", NULL},
    {"ffn_gate_inp.weight", ROLE_ROUTER, 1, "H, E", NULL},
    {"ffn_gate_inp.bias", ROLE_SELECT, 0, "E", NULL},
    {"exp_probs_b.bias", ROLE_SELECT, 0, "E", NULL},
    {"exp_probs_b", ROLE_SELECT, 0, "E", NULL}, /* written without a suffix by some converters */
    {"exp_probs_b_vl.bias", ROLE_SELECT, 0, "E", NULL},
    {"ffn_gate_tid2eid.weight", ROLE_TABLE, -1, "K, V", NULL},
    {"ffn_gate_chexps.weight", ROLE_REFUSE, -1, NULL, "holds chunk experts, shared by groups of experts"},
    {"ffn_up_chexps.weight", ROLE_REFUSE, -1, NULL, "holds chunk experts, shared by groups of experts"},
    {"ffn_down_chexps.weight", ROLE_REFUSE, -1, NULL, "holds chunk experts, shared by groups of experts"},
};

const struct tensor_rule *family_rule_at(uint32_t i)
{
    return i < sizeof rules / sizeof *rules ? &rules[i] : NULL;
}

const struct tensor_rule *family_rule(const char *name, int32_t *layer, bool *suspect)
{
    static const struct tensor_rule old_form = {
        "ffn_{gate,up,down}.<expert>.weight", ROLE_REFUSE, -1, NULL,
        "is the old form with one tensor per expert, which no current engine loads; convert the model again"};
    *layer = -1;
    *suspect = false;
    if (strncmp(name, "blk.", 4) != 0 || name[4] < '0' || name[4] > '9')
        return NULL;
    char *end;
    unsigned long n = strtoul(name + 4, &end, 10);
    if (*end != '.' || n > INT32_MAX)
        return NULL;
    *layer = (int32_t)n;
    const char *rest = end + 1;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(rest, rules[i].suffix))
            return &rules[i];
    static const char *const per_expert[] = {"ffn_gate.", "ffn_up.", "ffn_down."};
    for (size_t i = 0; i < 3; i++) {
        size_t k = strlen(per_expert[i]);
        if (!strncmp(rest, per_expert[i], k) && rest[k] >= '0' && rest[k] <= '9')
            return &old_form;
    }
    *suspect = (strstr(rest, "exps") && strncmp(rest, "ffn_norm_exps", 13) != 0) || strstr(rest, "exp_probs");
    return NULL;
}

/* ---- in a checkpoint, by the record ---- */

/* Patterns for classes that no record knows: names that many families share. */
static const struct family_names usual[] = {
    {MLP, CORRECTION},
    {.block = "mlp", .experts = "experts", .router = "router", CORRECTION},
    {SPARSE, CORRECTION},
    {.block = "feed_forward", .experts = "experts", .router = "gate", CORRECTION},
    {.block = "feed_forward", .experts = "experts", .router = "router", CORRECTION},
    {.block = "mixer", .experts = "experts", .router = "gate", CORRECTION},
    {.block = "moe", .experts = "experts", .router = "gate", CORRECTION},
    {.block = "ffn", .experts = "experts", .router = "gate", CORRECTION},
};

const struct family_names *family_usual_names(uint32_t i)
{
    return i < sizeof usual / sizeof *usual ? &usual[i] : NULL;
}

/* The name in a list that `s` begins with (s is it, or goes on with a dot); *rest: what follows, "" or behind
 * the dot. */
static bool in_list(const char *list, const char *s, const char **rest)
{
    while (list && *list) {
        size_t n = strcspn(list, " ");
        if (!strncmp(list, s, n) && (s[n] == 0 || s[n] == '.')) {
            *rest = s[n] ? s + n + 1 : s + n;
            return true;
        }
        list += n + (list[n] == ' ');
    }
    return false;
}

/* How mlx-lm calls stacked experts of any family (mlx_lm/models/switch_layers.py, d78bf58e): weight, scales,
 * biases below them have the expert in dimension 0. */
const char family_switches[] = "switch_mlp switch_glu";

bool family_is_shared(const char *name)
{
    static const char *const words[] = {"_shexp", "shared_expert", "share_expert", "shared_mlp"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(name, words[i]))
            return true;
    return false;
}

bool family_looks_like_experts(const char *rest)
{
    return !strncmp(rest, "experts.", 8) || strstr(rest, ".experts.") || strstr(rest, "switch_mlp.") ||
           strstr(rest, "switch_glu.");
}

struct family_role family_role(const struct family_names *f, const char *rest)
{
    struct family_role r = {.role = ROLE_NONE, .axis = -1};
    const char *m = rest, *end;
    uint32_t n;
    if (*f->block && !in_list(f->block, rest, &m))
        return r;
    if (in_list(f->whole, m, &end))
        return r;
    if (in_list(f->experts, m, &end) || in_list(family_switches, m, &end)) {
        static const char numbered[] = "expert_"; /* of Switch Transformers and NLLB */
        r.role = ROLE_EXPERT;
        end += strncmp(end, numbered, strlen(numbered)) ? 0 : strlen(numbered);
        if (hf_take_number(end, &n, &r.part))
            r.number = end;
        else
            r.axis = 0;
    } else if (in_list(f->router, m, &end)) {
        r.role = ROLE_ROUTER;
        r.router = end;
        r.axis = 0;
        if (!strcmp(end, "tid2eid")) {
            r.role = ROLE_TABLE;
            r.axis = -1;
        }
    } else if (in_list(f->vectors, m, &end)) {
        r.role = ROLE_SELECT;
        r.axis = 0;
    }
    return r;
}
