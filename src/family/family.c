/* family.c - all records in one list, and questions to them. */
#include "family/family.h"
#include "base/near.h"
#include "family/rules.h"

#include <string.h>

#define FAMILY_ADDRESS(x) &family_##x,
static const struct family *const with_files[] = {FAMILIES_WITH_FILES(FAMILY_ADDRESS)};
#define N_WITH_FILES (sizeof with_files / sizeof *with_files)

const struct family *family_at(uint32_t i)
{
    if (i < N_WITH_FILES)
        return with_files[i];
    const struct family *f = &family_table[i - N_WITH_FILES];
    return f->arch || f->classes[0].name ? f : NULL;
}

const struct family *family_find(const char *arch)
{
    const struct family *f;
    for (uint32_t i = 0; (f = family_at(i)); i++)
        if (f->arch && !strcmp(f->arch, arch))
            return f;
    return NULL;
}

const struct family *family_nearest(const char *arch)
{
    const struct family *f, *best = NULL;
    uint32_t best_d = UINT32_MAX;
    for (uint32_t i = 0; (f = family_at(i)); i++) {
        uint32_t d = f->arch ? near_distance(arch, f->arch) : UINT32_MAX;
        if (d < best_d || (best && d == best_d && f->arch && strcmp(f->arch, best->arch) < 0)) {
            best_d = d;
            best = f;
        }
    }
    return best;
}

static const struct family_class *find_class(const char *name, const struct family **f)
{
    for (uint32_t i = 0; *name && (*f = family_at(i)); i++)
        for (uint32_t k = 0; k < FAMILY_CLASSES && (*f)->classes[k].name; k++)
            if (!strcmp((*f)->classes[k].name, name))
                return &(*f)->classes[k];
    *f = NULL;
    return NULL;
}

const struct family *family_of_class(const char *class_name)
{
    const struct family *f;
    find_class(class_name, &f);
    return f;
}

const struct conversion *family_conversion(const char *class_name, const struct family **f)
{
    const struct family_class *c = find_class(class_name, f);
    return c ? c->convert : NULL;
}

/* How well the best of the words fits: its length without the star, a whole word above all; 0: none does. */
static size_t fits(const char *model_type, const char *words)
{
    size_t best = 0;
    while (*words) {
        size_t n = strcspn(words, " ");
        bool star = words[n - 1] == '*';
        size_t len = star ? n - 1 : n, fit = star ? len : SIZE_MAX;
        if (!strncmp(model_type, words, len) && (star || !model_type[len]) && fit > best)
            best = fit;
        words += n;
        words += strspn(words, " ");
    }
    return best;
}

const struct family_tokenizer *family_tokenizer(const char *model_type)
{
    static const struct family_tokenizer plain = {0};
    const struct family_tokenizer *best = &plain;
    const struct family *f;
    size_t best_fit = 0;
    for (uint32_t i = 0; (f = family_at(i)); i++)
        for (uint32_t k = 0; k < FAMILY_TOKENIZERS && f->tokenizers[k].model_types; k++) {
            size_t fit = fits(model_type, f->tokenizers[k].model_types);
            if (fit > best_fit) {
                best_fit = fit;
                best = &f->tokenizers[k];
            }
        }
    return best;
}

const char *family_refusal_gguf(const struct family *f, uint32_t n_experts)
{
    if (f->refuse)
        return f->refuse;
    return f->only_experts && n_experts == f->only_experts ? f->why_only : NULL;
}

const char *family_refusal_checkpoint(const struct family *f)
{
    return f->refuse ? f->refuse : f->refuse_checkpoint;
}

bool family_name_marks(const char *name, size_t n)
{
    static const char *const marks[] = {"phi-3", "phi3"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        for (size_t at = 0; at + strlen(marks[i]) <= n; at++)
            if (!strncasecmp(name + at, marks[i], strlen(marks[i])))
                return true;
    return false;
}
