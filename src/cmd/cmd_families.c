/* cmd_families.c - what works with which family, as their records have it. */
#include "cmd/cmd.h"
#include "family/conversion.h"
#include "family/family.h"

#include <string.h>
#include <strings.h>

static bool run(char const *const *args, uint32_t n, struct err *e);

const struct cmd cmd_families = {
    .name = "families",
    .usage = "[TEXT]",
    .summary =
        "the families of models: what works with each as GGUF and as a checkpoint, and how it was checked",
    .example = "  reap families\n"
               "  reap families qwen3             # those with it in any of their names\n"
               "  reap families Glm4MoeForCausalLM --json\n",
    .opts = (const struct opt *const[]){NULL},
    .max_args = 1,
    .run = run,
};

static bool names(const char *s, const char *text)
{
    for (size_t n = strlen(text); s && strlen(s) >= n; s++)
        if (!strncasecmp(s, text, n))
            return true;
    return false;
}

static bool is_asked(const struct family *f, const char *text)
{
    bool yes = !text || names(f->arch, text) || names(f->models, text);
    for (int i = 0; !yes && i < FAMILY_CLASSES && f->classes[i].name; i++)
        yes = names(f->classes[i].name, text);
    return yes;
}

/* The three columns. How each is checked: docs/commands/families.md. */
static const char *as_gguf(const struct family *f)
{
    return !f->arch ? "-" : f->refuse ? "refused" : "cut";
}

static const char *as_checkpoint(const struct family *f)
{
    return family_refusal_checkpoint(f) ? "refused" : "cut";
}

static const char *natively(const struct family_class *c)
{
    return !c->convert ? "no" : c->convert->flags & CONVERT_FILE_ONLY ? "file" : "numbers";
}

static const char *checked(const struct family *f)
{
    const char *best = "no";
    for (int i = 0; i < FAMILY_CLASSES && f->classes[i].name; i++)
        best = strcmp(best, "numbers") ? natively(&f->classes[i]) : best;
    return !strcmp(best, "numbers") ? "numbers of transformers, and the file of llama.cpp's converter"
           : !strcmp(best, "file")  ? "the file of llama.cpp's converter"
           : f->refuse              ? "refused before any work"
           : f->arch                ? "the whole job on a small GGUF file of random weights"
                                    : "the cut checkpoint in transformers";
}

static json_t *in_json(const struct family *f)
{
    json_t *o = json_object(), *classes = json_array();
    const char *no = family_refusal_checkpoint(f);
    json_object_set_new(o, "architecture", f->arch ? json_string(f->arch) : json_null());
    json_object_set_new(o, "models", json_string(f->models));
    json_object_set_new(o, "gate", f->gate ? json_string(f->gate) : json_null());
    json_object_set_new(o, "gguf", json_boolean(f->arch && !f->refuse));
    if (no)
        json_object_set_new(o, "reason", json_string(no));
    if (f->refuse_native)
        json_object_set_new(o, "reason_native", json_string(f->refuse_native));
    for (int i = 0; i < FAMILY_CLASSES && f->classes[i].name; i++) {
        json_t *c = json_object();
        json_object_set_new(c, "name", json_string(f->classes[i].name));
        json_object_set_new(c, "prunes", json_boolean(!no));
        json_object_set_new(c, "runs", json_boolean(f->classes[i].convert != NULL));
        json_object_set_new(c, "checked_by", json_string(natively(&f->classes[i])));
        json_array_append_new(classes, c);
    }
    json_object_set_new(o, "classes", classes);
    json_object_set_new(o, "checked", json_string(checked(f)));
    return o;
}

#define COLUMNS "%-15s %-46s %-8s %-14s %s"

static void in_text(struct buf *b, const struct family *f)
{
    const char *no = family_refusal_checkpoint(f);
    char name[64];
    buf_fmt(b, "%-15s %-46s %s\n", f->arch ? f->arch : "-", f->models ? f->models : "-", as_gguf(f));
    for (int i = 0; i < FAMILY_CLASSES && f->classes[i].name; i++) {
        snprintf(name, sizeof name, "  %s", f->classes[i].name);
        buf_fmt(b, COLUMNS "\n", "", name, "", as_checkpoint(f), natively(&f->classes[i]));
    }
    if (no)
        buf_fmt(b, "%18s%s: %s\n", "", f->arch && !f->refuse ? "as a checkpoint" : "refused", no);
    if (f->refuse_native)
        buf_fmt(b, "%18snot natively: %s\n", "", f->refuse_native);
}

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    const char *text = n ? args[0] : NULL;
    const struct family *f;
    struct buf b = {0};
    json_t *list = json_array();
    uint32_t found = 0;
    for (uint32_t i = 0; (f = family_at(i)); i++) {
        if (!is_asked(f, text))
            continue;
        found++;
        in_text(&b, f);
        json_array_append_new(list, in_json(f));
    }
    if (!found) {
        json_decref(list);
        buf_clear(&b);
        return err_set(
            e, ERR_INPUT,
            "no family has '%.100s' in its names; reap families lists all of them (a checkpoint of an "
            "unknown class is tried by usual names of tensors)",
            text);
    }
    if (cmd_json) {
        buf_clear(&b);
        json_t *o = json_object();
        json_object_set_new(o, "families", list);
        return cmd_print_json("families", o, e);
    }
    json_decref(list);
    struct buf all = {0};
    buf_fmt(&all, COLUMNS "\n\n", "architecture", "models, classes of checkpoints", "as GGUF",
            "as checkpoint", "runs natively");
    buf_add(&all, b.s, b.n);
    buf_str(
        &all,
        "\ncut: profile, plan, prune, verify, eval of its GGUF files; prune and verify of its checkpoints.\n"
        "runs natively: its checkpoints are also profiled and evaluated without a file in between, and converted.\n"
        "numbers: statistics and log-probabilities of transformers, before and after a cut, and the file of\n"
        "llama.cpp's converter; file: the latter alone, as transformers has no such class.\n");
    buf_clear(&b);
    return cmd_print(&all, e);
}
