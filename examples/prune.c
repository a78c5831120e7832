/* prune.c - a model without the experts that matter least, by libreap: what `reap plan`, `reap prune` and `reap verify` do.
 *
 *   cc prune.c $(pkg-config --cflags --libs reap) -o prune
 *   ./prune MODEL STATS OUT PRUNE_RATIO
 *
 * MODEL is a GGUF file or a checkpoint folder, STATS what `reap profile` measured of it. */
#include <reap.h>

#include <stdio.h>
#include <stdlib.h>

static void say(void *user, enum reap_message kind, const char *text)
{
    (void)user;
    fprintf(stderr, "%s%s\n", kind == REAP_WARNING ? "warning: " : "", text);
}

/* Anything but 0 would cancel the work. */
static int progress(void *user, const char *what, uint64_t done, uint64_t total)
{
    int *shown = (int *)user, percent = total ? (int)(100.0 * (double)done / (double)total) : 0;
    if (percent / 25 != *shown / 25)
        fprintf(stderr, "%s: %d %%\n", what, percent);
    *shown = percent;
    return 0;
}

/* REAP_OK, or why not in *e. */
static int make(reap_model *model, reap_stats *stats, const char *out, double ratio, reap_error *e)
{
    const reap_stats *sources[1] = {stats};
    reap_plan_options how;
    REAP_INIT(&how);
    how.prune_ratio = ratio;
    reap_plan *plan = reap_plan_make(sources, NULL, 1, model, &how, e);
    if (!plan)
        return e->code;
    reap_prune_result r;
    REAP_INIT(&r);
    reap_model *pruned = NULL;
    int code = reap_prune(model, plan, out, NULL, &r, e);
    if (code == REAP_OK && (pruned = reap_model_open(r.files[0], e)) == NULL)
        code = e->code;
    if (code == REAP_OK)
        code = reap_verify(model, pruned, plan, NULL, NULL, e);
    if (code == REAP_OK)
        printf("%s: %.1f MB of %.1f MB\n", r.files[0], (double)r.bytes_out / 1e6, (double)r.bytes_in / 1e6);
    reap_model_close(pruned);
    reap_prune_result_clear(&r);
    reap_plan_close(plan);
    return code;
}

int main(int argc, char **argv)
{
    reap_error e;
    int shown = 0;
    reap_listener listener;
    REAP_INIT(&listener);
    listener.user = &shown;
    listener.message = say;
    listener.progress = progress;
    if (argc != 5) {
        fprintf(stderr, "usage: %s MODEL STATS OUT PRUNE_RATIO\n", argv[0]);
        return REAP_BAD_INPUT;
    }
    reap_listen(&listener);
    reap_model *model = reap_model_open(argv[1], &e);
    reap_stats *stats = model ? reap_stats_open(argv[2], &e) : NULL;
    int code = stats ? make(model, stats, argv[3], atof(argv[4]), &e) : e.code;
    if (code != REAP_OK)
        fprintf(stderr, "%s\n", e.message);
    reap_stats_close(stats);
    reap_model_close(model);
    return code;
}
