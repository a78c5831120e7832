/* gg_size.c - general.size_label as llama.cpp's converter makes it (gguf-py v0.5.0: get_total_parameter_count of
 * gguf_writer.py, size_label of utility.py). */
#include "gguf/gguf_file.h"

#include <stdio.h>
#include <string.h>

void gg_size_add(struct gg_size *s, const char *name, uint32_t n_dims, const uint64_t *ne)
{
    uint64_t n = 1;
    for (uint32_t d = 0; d < n_dims; d++)
        n *= ne[d];
    bool stacked = n_dims >= 3 && strstr(name, "_exps.") && ne[2];
    s->n += stacked ? n / ne[2] : n;
    s->experts += stacked ? ne[2] : 0;
    s->n_stacked += stacked;
}

/* Digits of the number rounded to a whole one, half to even; none of 0. */
static int whole_digits(double v)
{
    return v <= 0.5 ? 0 : v < 9.5 ? 1 : 2;
}

void gg_size_label(const struct gg_size *s, char dst[GG_SIZE_LABEL])
{
    static const struct {
        double above, scale;
        char letter;
    } units[] = {{1e12, 1e-12, 'T'}, {1e9, 1e-9, 'B'}, {1e6, 1e-6, 'M'}, {-1, 1e-3, 'K'}};
    size_t u = 0;
    while ((double)s->n <= units[u].above)
        u++;
    double v = (double)s->n * units[u].scale;
    int k = s->n_stacked
                ? snprintf(dst, GG_SIZE_LABEL, "%llux", (unsigned long long)(s->experts / s->n_stacked))
                : 0;
    snprintf(dst + k, GG_SIZE_LABEL - (size_t)k, "%.*f%c", 2 - whole_digits(v), v, units[u].letter);
}

void gg_size_of(const struct gg_file *f, char dst[GG_SIZE_LABEL])
{
    struct gg_size s = {0};
    for (uint64_t i = 0; i < f->n_tensors; i++)
        gg_size_add(&s, f->tensors[i].name, f->tensors[i].n_dims, f->tensors[i].ne);
    gg_size_label(&s, dst);
}
