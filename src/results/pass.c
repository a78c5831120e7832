/* pass.c - see pass.h. */
#include "results/pass.h"
#include "base/text.h"
#include "results/eval.h"

#include <math.h>
#include <string.h>

/* ---- the metrics ---- */

struct metric {
    const char *name;  /* as it is typed, and in files */
    const char *words; /* in a sentence */
    bool at_least;     /* more is better; else at most */
    double most;       /* the largest limit that makes sense */
    double (*of)(const struct eval_against *a);
};

static double top1(const struct eval_against *a)
{
    return a->top1;
}

static double kl(const struct eval_against *a)
{
    return a->kl_mean;
}

static double ppl(const struct eval_against *a)
{
    return exp(a->ln_ratio);
}

static double increase(const struct eval_against *a)
{
    return exp(a->ln_ratio) - 1;
}

static const struct metric metrics[N_PASS_METRICS] = {
    [PASS_TOP1] = {"top1", "top-1 agreement", true, 1, top1},
    [PASS_KL] = {"kl", "KL divergence", false, 1e6, kl},
    [PASS_PPL] = {"ppl", "perplexity \xc3\x97", false, 1e6, ppl},
    [PASS_PPL_INCREASE] = {"ppl-increase", "rise of perplexity", false, 1e6, increase},
};

void pass_ask(struct pass *p, enum pass_which i, double limit)
{
    p->asked[i] = true;
    p->limit[i] = limit;
}

double pass_limit(const struct pass *p, enum pass_which i)
{
    return p->asked[i] ? p->limit[i] : (double)NAN;
}

bool pass_any(const struct pass *p)
{
    for (int i = 0; i < N_PASS_METRICS; i++)
        if (p->asked[i])
            return true;
    return false;
}

static const char *sign(const struct metric *m)
{
    return m->at_least ? ">=" : "<=";
}

/* ---- reading one ---- */

static bool parse_limit(const char *s, double *out)
{
    char number[64];
    size_t n = strlen(s);
    bool percent = n && s[n - 1] == '%';
    if (n >= sizeof number)
        return false;
    snprintf(number, sizeof number, "%.*s", (int)(n - percent), s);
    if (!parse_f64(number, out))
        return false;
    *out /= percent ? 100 : 1;
    return true;
}

static bool bad(const char *what, const char *bound, const char *why, struct err *e)
{
    struct buf b = {0};
    for (int i = 0; i < N_PASS_METRICS; i++)
        buf_fmt(&b, "%s%s%sX", i ? ", " : "", metrics[i].name, sign(&metrics[i]));
    err_set(e, ERR_INPUT, "%s: '%s' %s; bounds are %s", what, bound, why, b.s);
    buf_clear(&b);
    return false;
}

static bool parse_bound(const char *bound, const char *what, struct pass *p, struct err *e)
{
    size_t n = strcspn(bound, "<>=");
    for (int i = 0; i < N_PASS_METRICS; i++) {
        const struct metric *m = &metrics[i];
        double v;
        if (strlen(m->name) != n || strncmp(m->name, bound, n) != 0)
            continue;
        if (strncmp(bound + n, sign(m), 2) != 0)
            return bad(what, bound, m->at_least ? "is not a lower bound" : "is not an upper bound", e);
        if (!parse_limit(bound + n + 2, &v) || v < 0 || v > m->most)
            return bad(what, bound,
                       m->most == 1 ? "wants a share from 0 to 1, such as 0.97 or 97%"
                                    : "wants a number of 0 or more",
                       e);
        if (p->asked[i])
            return bad(what, bound, "bounds what was bounded before", e);
        pass_ask(p, (enum pass_which)i, v);
        return true;
    }
    return bad(what, bound, "names no metric", e);
}

bool pass_parse(const char *text, const char *what, struct pass *p, struct err *e)
{
    char bound[96];
    for (const char *at = text;;) {
        size_t n = strcspn(at, ",");
        snprintf(bound, sizeof bound, "%.*s", n < sizeof bound ? (int)n : (int)sizeof bound - 1, at);
        if (!parse_bound(bound, what, p, e))
            return false;
        if (!at[n])
            return true;
        at += n + 1;
    }
}

/* ---- asking it ---- */

static bool misses(const struct pass *p, int i, const struct eval_against *a)
{
    if (!p->asked[i])
        return false;
    double v = metrics[i].of(a);
    return metrics[i].at_least ? !(v >= p->limit[i]) : !(v <= p->limit[i]);
}

bool pass_holds(const struct pass *p, const struct eval_against *a)
{
    for (int i = 0; i < N_PASS_METRICS; i++)
        if (misses(p, i, a))
            return false;
    return true;
}

void pass_misses(const struct pass *p, const struct eval_against *a, struct buf *b)
{
    const char *sep = "";
    for (int i = 0; i < N_PASS_METRICS; i++) {
        const struct metric *m = &metrics[i];
        if (!misses(p, i, a))
            continue;
        double v = m->of(a);
        if (isnan(v))
            buf_fmt(b, "%s%s is not known", sep, m->name);
        else /* as many digits as tell it from the limit, mostly */
            buf_fmt(b, "%s%s %.6g is %s %.6g", sep, m->name, v, m->at_least ? "below" : "above", p->limit[i]);
        sep = ", ";
    }
}

static void put_bounds(const struct pass *p, struct buf *b)
{
    const char *sep = "";
    for (int i = 0; i < N_PASS_METRICS; i++)
        if (p->asked[i]) {
            buf_fmt(b, "%s%s%s%.6g", sep, metrics[i].name, sign(&metrics[i]), p->limit[i]);
            sep = ",";
        }
}

/* ---- in files ---- */

json_t *pass_json(const struct pass *p)
{
    json_t *o = json_object();
    for (int i = 0; i < N_PASS_METRICS; i++)
        json_put_f64(o, metrics[i].name, pass_limit(p, (enum pass_which)i));
    return o;
}

bool pass_read(const json_t *o, const char *where, struct pass *p, struct err *e)
{
    *p = (struct pass){0};
    for (int i = 0; i < N_PASS_METRICS; i++) {
        if (!json_opt_f64(o, metrics[i].name, where, &p->limit[i], e))
            return false;
        p->asked[i] = !isnan(p->limit[i]);
    }
    return true;
}

/* ---- the verdict ---- */

void pass_verdict(double removed, const struct eval_against *a, uint32_t n_texts, const struct pass *p,
                  struct buf *b)
{
    static const int told[] = {PASS_KL, PASS_TOP1, PASS_PPL};
    const char *sep = "";
    if (removed > 0)
        buf_fmt(b, "%.3g %% of the experts removed: ", 100 * removed);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        const struct metric *m = &metrics[told[i]];
        double v = m->of(a);
        if (isnan(v))
            continue;
        buf_fmt(b, told[i] == PASS_KL ? "%s%s %.3g" : "%s%s %.3f", sep, m->words, v);
        sep = ", ";
    }
    buf_fmt(b, " on %u text%s", n_texts, n_texts == 1 ? "" : "s");
    if (!pass_any(p))
        return;
    struct buf why = {0};
    pass_misses(p, a, &why);
    buf_fmt(b, why.n ? ": does not pass (%s)" : ": passes", why.n ? why.s : "");
    if (!why.n) {
        buf_str(b, " (");
        put_bounds(p, b);
        buf_str(b, ")");
    }
    buf_clear(&why);
}
