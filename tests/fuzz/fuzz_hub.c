/* fuzz_hub.c - the hub's answers: a list of files, a revision, a Link header.
 *
 * Whatever is taken stays in its folder and has a hash that is a plain name; a choice among the files names files of the
 * list. */
#include "fuzz.h"
#include "hub/hub_part.h"
#include "json_mutator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(struct hub_list *l)
{
    static const char *const tags[] = {NULL, "Q4_K_M", "x"};
    hub_list_sort(l);
    for (size_t i = 0; i < l->n; i++) {
        const struct hub_file *f = &l->v[i];
        size_t n = strlen(f->oid);
        MUST(hub_path_ok(f->path) && f->path[0] != '/' && strcmp(f->path, "..") != 0 &&
             !strstr(f->path, "/../"));
        MUST(strncmp(f->path, "../", 3) != 0 && !text_ends(f->path, "/.."));
        MUST((n == 40 || n == 64) && strspn(f->oid, "0123456789abcdef") == n);
        MUST(hub_list_find(l, f->path) == f && (!i || strcmp(f[-1].path, f->path) < 0));
    }
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        struct hub_pick p;
        enum hub_kind kind = hub_pick(l, tags[i], NULL, &p);
        MUST((kind == HUB_GGUF) == (p.first != NULL) && p.whole == (p.lacks == NULL));
        for (size_t k = 0; k < p.n; k++)
            MUST(hub_list_find(l, p.files[k]));
        hub_pick_clear(&p);
    }
    free(hub_pick_offers(l));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hub_list l = {0};
    struct err e = {0};
    char commit[41] = "", *text = malloc(size + 1), *next;
    MUST(text);
    memcpy(text, data, size);
    text[size] = 0;
    bool ok = hub_parse_tree(text, size, &l, &e);
    fuzz_told(ok, &e);
    MUST(ok || e.code == ERR_FAILED);
    check_list(&l);
    hub_list_clear(&l);
    err_clear(&e);
    ok = hub_parse_revision(text, size, commit, &e);
    fuzz_told(ok, &e);
    MUST(ok ? strlen(commit) == 40 && strspn(commit, "0123456789abcdef") == 40 : e.code == ERR_FAILED);
    next = hub_next_link(text);
    MUST(!next || strstr(text, next));
    free(next);
    free(text);
    return 0;
}
