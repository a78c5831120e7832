/* left.c - the tensors of a checkpoint that the engine has no use for: none goes without a word. */
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "convert/layout_part.h"

#include <string.h>

/* Numbers between points only: "conv1" is a name. Caller frees. */
static char *kind_of(const char *name)
{
    struct buf b = {0};
    while (*name) {
        size_t n = strcspn(name, "."), digits = strspn(name, "0123456789");
        if (n && digits == n)
            buf_str(&b, "#");
        else
            buf_add(&b, name, n);
        name += n;
        if (*name)
            buf_add(&b, name++, 1);
    }
    return b.s ? b.s : xstrdup("");
}

void left_out_add(struct left_out *x, const struct hf_tensor *t, const char *why)
{
    char *kind = kind_of(t->name);
    uint32_t i = 0;
    while (i < x->n && (x->kinds[i].why != why || strcmp(x->kinds[i].name, kind) != 0))
        i++;
    if (i == x->n) {
        GROW(x->kinds, x->n, x->cap);
        x->kinds[x->n++] = (struct left_kind){.name = kind, .why = why};
    } else {
        free(kind);
    }
    x->kinds[i].n++;
    x->kinds[i].bytes += t->bytes;
}

static void say(const char *what, const struct left_kind *k)
{
    char s[32], n[32];
    log_note("%s: %s tensor%s, %s: %s", what, human_count(k->n, n), k->n == 1 ? "" : "s",
             human_bytes(k->bytes, s), k->why);
}

void left_out_say(const struct left_out *x)
{
    for (uint32_t i = 0; i < x->n; i++) {
        struct left_kind all = {.why = x->kinds[i].why};
        bool said = false;
        for (uint32_t k = 0; k < x->n; k++) {
            if (x->kinds[k].why != all.why)
                continue;
            said = said || k < i;
            all.n += x->kinds[k].n;
            all.bytes += x->kinds[k].bytes;
        }
        if (!said)
            say("not converted", &all);
    }
    for (uint32_t i = 0; log_verbose && i < x->n; i++)
        say(x->kinds[i].name, &x->kinds[i]);
}

void left_out_clear(struct left_out *x)
{
    for (uint32_t i = 0; i < x->n; i++)
        free(x->kinds[i].name);
    free(x->kinds);
    *x = (struct left_out){0};
}
