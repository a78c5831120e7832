/* questions.c - see questions.h. */
#include "eval/questions.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sig.h"
#include "eval/eval_part.h"
#include "eval/plan_mask.h"

#include <math.h>
#include <string.h>

#define MAX_SEQS QUESTION_MAX_CHOICES /* choices that are decoded together */
#define Z95      1.959963984540054

/* A choice as the model sees it, with what stands in front of it. */
struct tokens {
    int32_t *v;
    uint32_t n, from; /* token `from` is the first that is scored, 1 or later */
};
struct question {
    struct tokens *list; /* per choice */
    uint32_t n, trunk; /* so many tokens in front are the same in all and decoded once; fewer than any has */
    uint32_t first;    /* its first choice among those of all questions */
};
struct batch {
    uint32_t first, n; /* questions */
    uint32_t n_seqs;
};
struct job {
    const struct question_file *f;
    struct engine *g;
    struct question *list; /* per row */
    uint32_t n_choices;
    struct batch *batches;
    uint32_t n_batches, cap;
    uint32_t most_cells, most_seqs; /* of a batch */
    uint64_t n_tokens;              /* that one pass decodes */
    double *ll;                     /* [n_choices] of the side that runs */
};

/* ---- tokens ---- */

static bool tokenize(const struct engine *g, const struct choice *c, struct tokens *t, struct err *e)
{
    int32_t *before = NULL, *whole = NULL, bos = engine_bos(g);
    uint32_t n_before = 0, n_whole = 0, n_bos = bos >= 0;
    char *text = xasprintf("%s%s", c->before, c->after);
    bool ok = engine_tokenize(g, c->before, strlen(c->before), false, false, &before, &n_before, e) &&
              engine_tokenize(g, text, strlen(text), false, false, &whole, &n_whole, e);
    if (ok && (n_before + n_bos < 1 || n_whole <= n_before))
        ok = err_set(e, ERR_INPUT, "the choice '%s' adds no token to its question", c->after);
    if (ok) {
        *t = (struct tokens){xcalloc((size_t)n_whole + 1, sizeof *t->v), n_whole + n_bos, n_before + n_bos};
        t->v[0] = bos;
        memcpy(t->v + n_bos, whole, n_whole * sizeof *whole);
    }
    free(before);
    free(whole);
    free(text);
    return ok;
}

static uint32_t common(const struct question *q)
{
    uint32_t n = 0;
    for (;; n++)
        for (uint32_t c = 0; c < q->n; c++)
            if (n + 1 >= q->list[c].n || q->list[c].v[n] != q->list[0].v[n])
                return n;
}

/* Tokens that are decoded: nobody asks what follows the last. */
static uint32_t cells_of(const struct question *q)
{
    uint32_t n = q->trunk;
    for (uint32_t c = 0; c < q->n; c++)
        n += q->list[c].n - 1 - q->trunk;
    return n;
}

static bool read_question(struct job *j, uint32_t i, struct err *e)
{
    const struct question_row *r = &j->f->rows[i];
    struct question *q = &j->list[i];
    uint32_t trained = engine_n_ctx_train(j->g);
    q->list = xcalloc(r->n, sizeof *q->list);
    q->first = j->n_choices;
    for (; q->n < r->n; q->n++) {
        struct tokens *t = &q->list[q->n];
        if (!tokenize(j->g, &r->list[q->n], t, e))
            return false;
        if (trained && t->n > trained)
            return err_set(e, ERR_INPUT,
                           "the question with choice %u has %u tokens, the model was trained for %u",
                           q->n + 1, t->n, trained);
    }
    q->trunk = engine_has_state(j->g) ? 0 : common(q);
    j->n_choices += q->n;
    return true;
}

static bool read_questions(struct job *j, struct err *e)
{
    j->list = xcalloc(j->f->n, sizeof *j->list);
    for (uint32_t i = 0; i < j->f->n; i++)
        if (!sig_check(e) || !read_question(j, i, e))
            return e->code != ERR_INTERRUPTED && err_ctx(e, "%s: line %u", j->f->path, j->f->rows[i].line);
    return true;
}

/* In the order of the file, as many as fit. */
static void pack(struct job *j)
{
    struct engine_run r = {.n_seq_max = MAX_SEQS, .want_logits = true};
    for (uint32_t i = 0; i < j->f->n; i++)
        r.n_tokens += cells_of(&j->list[i]);
    engine_settle(j->g, &r, ENGINE_UBATCH);
    uint32_t cells = 0, room = engine_ubatch(j->g);
    for (uint32_t i = 0; i < j->f->n; i++) {
        const struct question *q = &j->list[i];
        uint32_t n = cells_of(q);
        struct batch *b = j->n_batches ? &j->batches[j->n_batches - 1] : NULL;
        if (!b || cells + n > room || b->n_seqs + q->n > MAX_SEQS) {
            GROW(j->batches, j->n_batches, j->cap);
            b = &j->batches[j->n_batches++];
            *b = (struct batch){.first = i};
            cells = 0;
        }
        b->n++;
        b->n_seqs += q->n;
        cells += n;
        j->n_tokens += n;
        j->most_cells = cells > j->most_cells ? cells : j->most_cells;
        j->most_seqs = b->n_seqs > j->most_seqs ? b->n_seqs : j->most_seqs;
    }
}

/* ---- decoding ---- */

/* A compute step while it is filled: for each token whose it is. choice n: of all choices of the question. */
struct step {
    int32_t *token, *pos, *seq;
    uint32_t *question, *choice;
    uint32_t n, max;
    uint64_t left; /* tokens of this part of the batch that have not come yet */
};

static bool add_logprob(struct job *j, uint32_t i, uint32_t c, uint32_t at, const float *x, struct lse l,
                        struct err *e)
{
    const struct question *q = &j->list[i];
    const struct tokens *t = &q->list[c];
    if (at + 1 < t->from)
        return true;
    double v = logprob(x, l, t->v[at + 1]);
    if (!isfinite(v))
        return err_set(
            e, ERR_FAILED,
            "%s: line %u: the model gives a log-probability that is not finite at token %u of choice %u",
            j->f->path, j->f->rows[i].line, at + 1, c + 1);
    j->ll[q->first + c] += v;
    return true;
}

static bool run_step(struct job *j, struct step *s, struct err *e)
{
    struct engine_batch b = {s->n, s->token, s->pos, s->seq, NULL};
    bool ok = engine_decode(j->g, &b, e);
    for (uint32_t k = 0; ok && k < s->n; k++) {
        const struct question *q = &j->list[s->question[k]];
        uint32_t at = (uint32_t)s->pos[k], c = s->choice[k], end = c < q->n ? c + 1 : q->n;
        bool wanted = false;
        for (uint32_t d = c < q->n ? c : 0; d < end; d++)
            wanted = wanted || at + 1 >= q->list[d].from;
        if (!wanted)
            continue;
        const float *x = engine_logits(j->g, k);
        struct lse l = lse_of(x, engine_n_vocab(j->g));
        for (uint32_t d = c < q->n ? c : 0; ok && d < end; d++)
            ok = add_logprob(j, s->question[k], d, at, x, l, e);
    }
    s->n = 0;
    return ok;
}

/* Tokens [from, to) of a choice; choice q->n: what all have in common. */
static bool put(struct job *j, struct step *s, uint32_t i, uint32_t choice, uint32_t seq, uint32_t from,
                uint32_t to, struct err *e)
{
    const struct question *q = &j->list[i];
    const struct tokens *t = &q->list[choice < q->n ? choice : 0];
    bool ok = true;
    for (uint32_t at = from; ok && at < to; at++) {
        s->token[s->n] = t->v[at];
        s->pos[s->n] = (int32_t)at;
        s->seq[s->n] = (int32_t)seq;
        s->question[s->n] = i;
        s->choice[s->n++] = choice;
        s->left--;
        /* not one token alone behind others: windows.c says why */
        if (s->n == s->max || (s->n + 1 == s->max && s->left == 2))
            ok = run_step(j, s, e);
    }
    return ok;
}

/* First what the choices of each question have in common, then the choices. */
static bool decode_batch(struct job *j, const struct batch *b, struct step *s, struct err *e)
{
    bool ok = true;
    uint32_t seq = 0;
    uint64_t trunks = 0, all = 0;
    for (uint32_t i = b->first; i < b->first + b->n; i++) {
        trunks += j->list[i].trunk;
        all += cells_of(&j->list[i]);
    }
    engine_clear(j->g);
    s->left = trunks;
    for (uint32_t i = b->first; ok && i < b->first + b->n; seq += j->list[i++].n)
        ok = put(j, s, i, j->list[i].n, seq, 0, j->list[i].trunk, e);
    ok = ok && (!s->n || run_step(j, s, e));
    s->left = all - trunks;
    seq = 0;
    for (uint32_t i = b->first; ok && i < b->first + b->n;
         seq += j->list[i++].n) /* before the first goes on */
        for (uint32_t c = 1; j->list[i].trunk && c < j->list[i].n; c++)
            engine_fork(j->g, seq, seq + c);
    seq = 0;
    for (uint32_t i = b->first; ok && i < b->first + b->n; i++)
        for (uint32_t c = 0; ok && c < j->list[i].n; c++, seq++)
            ok = put(j, s, i, c, seq, j->list[i].trunk, j->list[i].list[c].n - 1, e);
    return ok && (!s->n || run_step(j, s, e));
}

static bool decode_all(struct job *j, struct progress *p, uint64_t *done, struct err *e)
{
    uint32_t max = engine_ubatch(j->g), *mem = xcalloc(5 * (size_t)max, sizeof *mem);
    struct step s = {.token = (int32_t *)mem,
                     .pos = (int32_t *)mem + max,
                     .seq = (int32_t *)mem + 2 * (size_t)max,
                     .question = mem + 3 * (size_t)max,
                     .choice = mem + 4 * (size_t)max,
                     .max = max};
    bool ok = true;
    memset(j->ll, 0, j->n_choices * sizeof *j->ll);
    for (uint32_t i = 0; ok && i < j->n_batches; i++) {
        ok = sig_check(e) && decode_batch(j, &j->batches[i], &s, e);
        for (uint32_t k = j->batches[i].first; ok && k < j->batches[i].first + j->batches[i].n; k++)
            *done += cells_of(&j->list[k]);
        progress_set(p, *done);
    }
    free(mem);
    return ok;
}

/* ---- scores ---- */

struct verdict {
    bool right, right_norm;
};

static void judge(const struct job *j, struct verdict *v)
{
    for (uint32_t i = 0; i < j->f->n; i++) {
        const struct question_row *r = &j->f->rows[i];
        const double *ll = j->ll + j->list[i].first;
        uint32_t best = 0, best_norm = 0;
        for (uint32_t c = 1; c < r->n; c++) {
            if (ll[c] > ll[best])
                best = c;
            if (ll[c] / r->list[c].n_chars > ll[best_norm] / r->list[best_norm].n_chars)
                best_norm = c;
        }
        v[i] = (struct verdict){best == r->answer, best_norm == r->answer};
    }
}

/* P(X <= k) of Binomial(m, 1/2). */
static double half_tail(uint64_t m, uint64_t k)
{
    double sum = 0, all = lgamma((double)m + 1) - (double)m * log(2);
    for (uint64_t i = 0; i <= k; i++)
        sum += exp(all - lgamma((double)i + 1) - lgamma((double)(m - i) + 1));
    return sum;
}

struct questions_paired questions_paired_of(uint64_t n, uint64_t lost, uint64_t won)
{
    double a = (double)(lost + 1) / (double)(n + 2), b = (double)(won + 1) / (double)(n + 2);
    double half = Z95 * sqrt((a + b - (b - a) * (b - a)) / (double)(n + 2));
    double p = 2 * half_tail(lost + won, lost < won ? lost : won);
    return (struct questions_paired){
        .lost = lost,
        .won = won,
        .diff = n ? ((double)won - (double)lost) / (double)n : 0,
        .low = b - a - half > -1 ? b - a - half : -1,
        .high = b - a + half < 1 ? b - a + half : 1,
        .p = p < 1 ? p : 1,
    };
}

static struct questions_side side_of(const struct verdict *v, const struct verdict *whole, uint32_t n)
{
    uint64_t right = 0, right_norm = 0, lost = 0, won = 0, lost_norm = 0, won_norm = 0;
    for (uint32_t i = 0; i < n; i++) {
        right += v[i].right;
        right_norm += v[i].right_norm;
        lost += whole[i].right && !v[i].right;
        won += !whole[i].right && v[i].right;
        lost_norm += whole[i].right_norm && !v[i].right_norm;
        won_norm += !whole[i].right_norm && v[i].right_norm;
    }
    double k = n;
    return (struct questions_side){
        .acc = (double)right / k,
        .acc_stderr = error_of_mean((double)right, (double)right, k),
        .acc_norm = (double)right_norm / k,
        .acc_norm_stderr = error_of_mean((double)right_norm, (double)right_norm, k),
        .paired = questions_paired_of(n, lost, won),
        .paired_norm = questions_paired_of(n, lost_norm, won_norm),
    };
}

/* ---- rows ---- */

static bool write_rows(const struct job *j, json_t *const *rows, struct out *out, struct err *e)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < j->f->n; i++) {
        struct buf line = {0};
        json_print_line(&line, rows[i]);
        ok = out_write(out, line.s, line.n, e);
        buf_clear(&line);
    }
    return ok;
}

static json_t *begin_row(const struct question_row *r)
{
    json_t *o = json_object(), *chars = json_array();
    for (uint32_t c = 0; c < r->n; c++)
        json_array_append_new(chars, json_integer(r->list[c].n_chars));
    json_object_set_new(o, r->id ? "id" : "line", r->id ? json_text(r->id) : json_integer(r->line));
    json_object_set_new(o, "answer", json_integer(r->answer));
    json_object_set_new(o, "n_chars", chars);
    json_object_set_new(o, "loglikelihoods", json_array());
    return o;
}

static void add_to_rows(const struct job *j, json_t *const *rows)
{
    for (uint32_t i = 0; i < j->f->n; i++)
        json_array_append_new(json_object_get(rows[i], "loglikelihoods"),
                              json_f64s(j->ll + j->list[i].first, j->list[i].n));
}

/* ---- the whole ---- */

static void job_clear(struct job *j)
{
    for (uint32_t i = 0; j->list && i < j->f->n; i++) {
        for (uint32_t c = 0; j->list[i].list && c < j->f->rows[i].n; c++)
            free(j->list[i].list[c].v);
        free(j->list[i].list);
    }
    free(j->list);
    free(j->batches);
    free(j->ll);
}

static bool start(struct job *j, const struct view *v, uint32_t n_plans, struct err *e)
{
    struct engine_run r = {.n_ctx = j->most_cells, .n_seq_max = j->most_seqs, .want_logits = true};
    return (!n_plans || eval_mask(j->g, v, NULL, e)) && engine_start(j->g, &r, e);
}

static bool score_sides(struct job *j, const struct view *v, const struct questions_plan *plans,
                        uint32_t n_plans, json_t *const *rows, struct questions_scores *out, struct err *e)
{
    struct verdict *whole = xcalloc(j->f->n, sizeof *whole), *mine = xcalloc(j->f->n, sizeof *mine);
    struct progress p;
    uint64_t done = 0;
    bool ok = true;
    progress_start(&p, "answering", "tokens", j->n_tokens * (n_plans + 1), 0);
    for (uint32_t i = 0; ok && i <= n_plans; i++) {
        const struct questions_plan *x = i ? &plans[i - 1] : NULL;
        ok = (!x || eval_mask(j->g, v, x->plan, e)) && decode_all(j, &p, &done, e);
        if (!ok)
            break;
        judge(j, x ? mine : whole);
        if (rows)
            add_to_rows(j, rows);
        struct questions_side *s = &out->sides[out->n_sides++];
        *s = side_of(x ? mine : whole, whole, j->f->n);
        if (x) {
            s->plan = x->name;
            s->criterion = x->plan->criterion;
            s->n_keep = x->plan->n_keep;
        }
    }
    progress_end(&p);
    free(whole);
    free(mine);
    return ok;
}

bool questions_score(const struct question_file *f, struct engine *g, const struct view *v,
                     const struct questions_plan *plans, uint32_t n_plans, struct out *rows,
                     struct questions_scores *out, struct err *e)
{
    struct job j = {.f = f, .g = g};
    json_t **list = rows ? xcalloc(f->n, sizeof *list) : NULL;
    *out = (struct questions_scores){.name = path_base(f->path), .form = f->form, .n_questions = f->n};
    out->sides = xcalloc(n_plans + 1, sizeof *out->sides);
    bool ok = read_questions(&j, e);
    if (ok) {
        pack(&j);
        out->n_tokens = j.n_tokens;
        ok = (j.ll = mem_try(j.n_choices, sizeof *j.ll, "the likelihood of every choice", e)) != NULL;
    }
    for (uint32_t i = 0; rows && i < f->n; i++)
        list[i] = begin_row(&f->rows[i]);
    ok = ok && start(&j, v, n_plans, e) && score_sides(&j, v, plans, n_plans, list, out, e) &&
         (!rows || write_rows(&j, list, rows, e));
    for (uint32_t i = 0; rows && i < f->n; i++)
        json_decref(list[i]);
    free(list);
    job_clear(&j);
    if (!ok)
        questions_scores_clear(out);
    return ok;
}

void questions_scores_clear(struct questions_scores *c)
{
    free(c->sides);
    *c = (struct questions_scores){0};
}
