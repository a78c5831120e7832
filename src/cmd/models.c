/* models.c - models given by name: the options for them, and their paths in the place of names, for every operand and
 * option of every command that takes a model; see cmd.h. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "hub/hub.h"

static const char *repo, *file;
static bool offline;
static struct opt_list paths; /* of the heap, to the end of the program */

#define OFFLINE                                                                                \
    OPT_FLAG("offline", &offline, "no connection to the hub: local files and its cache alone", \
             .dflt_is = "off, or HF_HUB_OFFLINE", .of_call = true)

static const struct opt operand_table[] = {
    OPT_HEADING("Model by name (as in llama.cpp)"),
    OPT_OPERAND("hf-repo", &repo, "ORG/REPO[:QUANT]",
                "the model of this name on the hub, in the place of MODEL", .alias = "-hf"),
    OPT_STR("hf-file", &file, "FILE", "this GGUF file of it, whatever QUANT says", .alias = "-hff"),
    OFFLINE,
    OPT_ENDS,
};
static const struct opt option_table[] = {
    OFFLINE,
    OPT_ENDS,
};

static bool takes_option(const struct cmd *c)
{
    const struct opt *o;
    for (uint32_t i = 0; (o = opt_at(c->opts, i)); i++)
        if (o->kind == OPT_KIND_MODEL)
            return true;
    return false;
}

void cmd_tables(const struct cmd *c, const struct opt *tables[CMD_TABLES])
{
    size_t n = 0;
    for (; c->opts[n]; n++)
        tables[n] = c->opts[n];
    if (n + 3 > CMD_TABLES)
        BUG("too many tables");
    if (c->models)
        tables[n++] = operand_table;
    else if (takes_option(c))
        tables[n++] = option_table;
    tables[n++] = common_opts;
    tables[n] = NULL;
}

static bool find(const char **model, bool on_hub, const char *file_of_it, struct err *e)
{
    struct hub_want w = {.model = *model, .on_hub = on_hub, .file = file_of_it, .offline = offline};
    char *path = hub_resolve(&w, e);
    if (!path)
        return false;
    GROW(paths.v, paths.n, paths.cap);
    paths.v[paths.n++] = *model = path;
    return true;
}

bool cmd_models(const struct cmd *c, struct opt_list *args, struct err *e)
{
    const struct opt *o;
    for (uint32_t i = 0; i < c->models && i < args->n; i++)
        if (!find(&args->v[i], i == 0 && repo, i == 0 ? file : NULL, e))
            return false;
    for (uint32_t i = 0; (o = opt_at(c->opts, i)); i++)
        if (o->kind == OPT_KIND_MODEL && *(const char **)o->to && !find(o->to, false, NULL, e))
            return false;
    return true;
}
