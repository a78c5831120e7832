/* fuzz_opt.c - any words as a command line: the command, then what follows it, a NUL or a line end between them; and
 * the small languages of options: names of rows (--map). Behind "config" and a line end the input is a file of options,
 * for every command. (--config of a command line is not followed: it would read what lies on this machine.)
 *
 * Taken exactly when there is no error, which may be printed; a number is in the range of its row, a word one of its
 * words; help can be set for any width. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "corpus/row.h"
#include "fuzz.h"

#include <unistd.h>

#define MAX_WORDS  64
#define MAX_TABLES 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void forget(const struct opt_spec *s)
{
    const struct opt *o;
    for (uint32_t i = 0; (o = opt_at(s->tables, i)); i++) {
        if (o->kind == OPT_KIND_PATHS)
            opt_list_clear(o->to);
        if (o->kind == OPT_KIND_FLAG)
            *(bool *)o->to = false;
        if (o->kind == OPT_KIND_INT && !o->dflt)
            *(int64_t *)o->to = (int64_t)o->min;
        if (o->kind == OPT_KIND_WORD && !o->dflt)
            *(const char **)o->to = NULL;
        if (o->seen)
            *o->seen = false;
    }
}

static void check(const struct opt_spec *s)
{
    const struct opt *o;
    for (uint32_t i = 0; (o = opt_at(s->tables, i)); i++) {
        if (o->kind == OPT_KIND_INT)
            MUST((double)*(int64_t *)o->to >= o->min && (double)*(int64_t *)o->to <= o->max);
        if (o->kind == OPT_KIND_CHOICE)
            MUST(opt_choice(o->choices, *(uint32_t *)o->to));
        if (o->kind == OPT_KIND_PICKS)
            for (uint32_t k = 0; k < ((struct opt_picks *)o->to)->n; k++)
                MUST(opt_choice(o->choices, ((struct opt_picks *)o->to)->v[k]));
        if (o->kind == OPT_KIND_RATIOS)
            for (uint32_t k = 0; k < ((struct opt_ratios *)o->to)->n; k++)
                MUST(((struct opt_ratios *)o->to)->v[k] >= 0 && ((struct opt_ratios *)o->to)->v[k] < 1);
    }
}

static void one_command(const struct cmd *c, int n, char **words)
{
    const struct opt *tables[MAX_TABLES];
    struct opt_kept kept = {0};
    size_t k = 0;
    for (; c->opts[k]; k++)
        tables[k] = c->opts[k];
    tables[k++] = common_opts;
    tables[k] = NULL;
    const struct opt_spec s = {"reap", c->usage, tables, c->min_args, c->max_args, &kept};
    struct opt_list rest = {0};
    struct err e = {0};
    forget(&s);
    bool ok = opt_parse(n, words, &s, &rest, &e);
    fuzz_told(ok, &e);
    MUST(ok || e.code == ERR_INPUT);
    if (ok) {
        MUST(rest.n >= s.min_args && rest.n <= s.max_args);
        check(&s);
    }
    opt_list_clear(&rest);
    opt_kept_clear(&kept);
    struct buf b = {0};
    uint32_t width = 40 + (uint32_t)n;
    opt_usage(&b, &s, width);
    opt_help(&b, &s, width);
    fuzz_fit(b.s, b.n, "\n");
    buf_clear(&b);
}

static void one_file(const struct cmd *c, const char *path)
{
    char *words[] = {"--config", (char *)(uintptr_t)path};
    one_command(c, 2, words);
}

static void one_map(const char *s)
{
    struct row_map map;
    struct err e = {0};
    bool ok = row_map_parse(s, &map, &e);
    fuzz_told(ok, &e);
    row_map_clear(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b = {0};
    char *words[MAX_WORDS];
    int n = 0;
    buf_add(&b, data, size);
    for (char *s = b.s; n < MAX_WORDS && s < b.s + b.n; s += strlen(s) + 1) {
        s[strcspn(s, "\n")] = 0;
        if (strncmp(s, "--config", 8) != 0)
            words[n++] = s;
    }
    for (size_t i = 0; n && cmds[i]; i++)
        if (!strcmp(cmds[i]->name, words[0]))
            one_command(cmds[i], n - 1, words + 1);
    if (n)
        one_map(words[0]);
    if (size > 7 && !memcmp(data, "config\n", 7)) {
        char path[64];
        int fd = fuzz_file(data + 7, size - 7, path);
        for (size_t i = 0; cmds[i]; i++)
            one_file(cmds[i], path);
        close(fd);
    }
    buf_clear(&b);
    return 0;
}
