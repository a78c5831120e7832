/* fuzz_config.c - any text as config.json: counting, and pruning it.
 *
 * What hf_counts accepts and hf_edit_config prunes is JSON again, with the new count wherever there was one
 * (unless the key went with an expert's entry); pruned to all experts it is the same text. */
#include "hf/config.h"
#include "json_mutator.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MANY 4096

static uint32_t ids[MANY];

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* Of 8 experts and 7: even layers lose the first, odd layers the last, MTP layers the second. */
static const uint32_t *keep(void *ctx, int64_t layer)
{
    static uint32_t second[MANY];
    if (ctx) /* all stay */
        return ids;
    if (layer >= 0)
        return layer % 5 == 3 ? NULL : layer % 2 ? ids : ids + 1;
    for (uint32_t i = 1; i < MANY; i++)
        second[i] = i + 1;
    return second;
}

static void check_pruned(const struct jdoc *d, const struct hf_counts *c, struct hf_edit_plan *p)
{
    struct buf out = {0};
    struct jdoc r = {0};
    struct err e = {0};
    struct hf_counts c2;
    if (!hf_edit_config(d, p, true, &out, &e)) {
        must(e.code == ERR_INPUT && strstr(e.msg, "pattern") && out.n == 0);
        return;
    }
    if (!jdoc_parse(&r, out.s, out.n, 0, NULL, true, &e))
        abort();
    if (!hf_counts(&r, &c2, &e))
        abort();
    must(c2.n_experts == p->n_keep || c2.n_experts == 0);
    must(c2.n_used <= c->n_used);
    must(!p->drop_mtp || c2.n_mtp == 0);
    hf_counts_clear(&c2);
    jdoc_clear(&r);
    buf_clear(&out);
}

/* With all experts kept nothing changes, names of experts that there are not and moe_capacity apart. */
static void check_same(const struct jdoc *d, const struct hf_edit_plan *p)
{
    struct buf out = {0};
    struct err e = {0};
    bool apart = memmem(d->text, d->n, "experts.", 8) || memmem(d->text, d->n, "moe_capacity", 12) ||
                 memchr(d->text, '\\', d->n);
    if (hf_edit_config(d, p, true, &out, &e) && !apart)
        must(out.n == d->n && memcmp(out.s, d->text, d->n) == 0);
    buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jdoc d = {0};
    struct err e = {0};
    struct hf_counts c;
    for (uint32_t i = 0; i < MANY; i++)
        ids[i] = i;
    if (!jdoc_parse(&d, (const char *)data, size, 0, NULL, true, &e)) {
        jdoc_clear(&d);
        return 0;
    }
    bool ok = hf_counts(&d, &c, &e);
    must(ok == (e.code == ERR_NONE) && ok == !e.msg[0]);
    if (ok && c.n_experts > 2 && c.n_experts < MANY - 1 && c.n_used < c.n_experts) {
        struct hf_edit_plan p = {c.n_experts, c.n_experts - 1, c.n_layers, size % 2 == 1, keep, NULL};
        check_pruned(&d, &c, &p);
        p = (struct hf_edit_plan){c.n_experts, c.n_experts, c.n_layers, false, keep, &p};
        check_same(&d, &p);
    }
    hf_counts_clear(&c);
    jdoc_clear(&d);
    return 0;
}
