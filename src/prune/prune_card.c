/* prune_card.c - the card of a pruned model (see prune.h): README.md in a folder, or beside a GGUF file. */
#include "base/file.h"
#include "base/mem.h"
#include "base/out.h"
#include "hf/files.h"
#include "model/naming.h"
#include "prune/prune.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_README (16u << 20)

static const char *mtp_words(const struct prune_card *x)
{
    return !x->parent->n_mtp ? NULL
           : x->opts->keep_mtp
               ? "Its MTP layers have all their experts and are a file of their own, whose name begins with mtp-."
           : x->opts->cut.drop_mtp ? "Its MTP layers were left out."
           : x->plan->n_mtp        ? "Its MTP layers were pruned by statistics of their own."
                                   : "Its MTP layers were pruned with the plan of the last layer.";
}

void prune_card_text(struct buf *b, const struct prune_card *x, const char *path, const char *readme)
{
    const struct plan *p = x->plan;
    const struct plan_origin *from = p->n_origins ? &p->origins[0] : NULL;
    char *id = x->opts->base_model ? xstrdup(x->opts->base_model) : naming_hub_id(x->parent),
         *name = x->opts->name ? xstrdup(x->opts->name) : naming_pruned(x->parent, p->n_keep),
         *license = x->parent->format->prune->license(x->parent);
    double lost = plan_tokens_lost(p);
    struct card_facts f = {.n_experts = x->parent->shape.n_experts,
                           .n_keep = p->n_keep,
                           .n_moe_layers = x->parent->n_layers,
                           .source = x->parent->name,
                           .base_id = id,
                           .bytes_before = x->parent->bytes,
                           .bytes_after = x->bytes_after,
                           .criterion = p->criterion,
                           .calibration = from ? from->calibration : NULL,
                           .from_stats = from != NULL,
                           .n_tokens = from && from->n_tokens > 0 ? (uint64_t)from->n_tokens : 0,
                           .tokens_lost = &lost,
                           .mtp = mtp_words(x),
                           .gain = p->gain != NULL,
                           .file = x->file,
                           .name = name,
                           .license = license,
                           .results = x->results};
    if (!card_write(b, readme, &f))
        log_warn("the front matter of '%s' is written in a way that is not known, and is left as it is",
                 path);
    free(id);
    free(name);
    free(license);
}

/* ---- beside a file, or in a folder that is there ---- */

static bool read_readme(const char *path, struct buf *b, struct err *e)
{
    bool there;
    return file_there(path, &there, e) && (!there || file_read_all(path, MAX_README, b, e));
}

static bool is_ours(const char *text)
{
    return strstr(text, "<!-- reap:begin -->") != NULL;
}

static char *card_path(const char *file, bool is_folder)
{
    if (!is_folder && !strchr(file, '/'))
        return xstrdup(HF_CARD_NAME);
    char *dir = is_folder ? xstrdup(file) : path_dir(file), *path = path_join(dir, HF_CARD_NAME);
    free(dir);
    return path;
}

static bool check_readme(const char *path, const struct buf *old, bool force, struct err *e)
{
    return !old->n || force || is_ours(old->s) ||
           err_set(e, ERR_INPUT, "--card: '%s' is there, and no card of reap; --force puts a section into it",
                   path);
}

bool prune_card_check(const struct prune_opts *o, const char *file, struct err *e)
{
    char *path = card_path(file, false);
    struct buf old = {0};
    bool ok = read_readme(path, &old, e) && check_readme(path, &old, o->force, e);
    buf_clear(&old);
    free(path);
    return ok;
}

/* A folder keeps its time, by which others tell whether somebody touched the model. */
static bool write_text(const char *path, const struct buf *b, bool in_model, struct err *e)
{
    struct stat st;
    char *dir = path_dir(path);
    bool known = in_model && stat(dir, &st) == 0;
    bool ok = file_write_atomic(path, b->s, b->n, true, e);
    if (ok && known)
        (void)utimensat(AT_FDCWD, dir, (const struct timespec[]){st.st_atim, st.st_mtim}, 0);
    free(dir);
    return ok;
}

bool prune_card_write(const struct prune_card *x, char **path, struct err *e)
{
    bool is_file = x->parent->format->prune->is_file;
    *path = NULL;
    if (is_file ? !x->opts->card : x->opts->no_card)
        return true;
    char *to = card_path(x->file, !is_file);
    struct buf old = {0}, b = {0};
    struct prune_card card = *x;
    card.file = is_file ? x->file : NULL;
    bool ok = read_readme(to, &old, e) && (!is_file || check_readme(to, &old, x->opts->force, e));
    if (ok)
        prune_card_text(&b, &card, to, old.s);
    ok = ok && write_text(to, &b, !is_file, e);
    buf_clear(&old);
    buf_clear(&b);
    if (ok)
        *path = to;
    else
        free(to);
    return ok;
}
