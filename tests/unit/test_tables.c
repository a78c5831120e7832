/* test_tables.c - src/stats/tables.h: rows, means and pairs by hand. Numbers are exact in binary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stats/tables.h"

#include <math.h>
#include <string.h>

/* Layers 1 and 3 of 8 experts, top-1. In layer i expert j gets n[i][j] tokens of each half, all of reap j + 1 in the
 * even half; in the odd half too, but for layer 3, where the order is turned round. */
static struct stats *sample(void)
{
    static const uint64_t n[2][8] = {{1, 1, 1, 1, 1, 1, 1, 1}, {8, 0, 0, 0, 0, 0, 0, 0}};
    struct stats *s = stats_new(2, 8);
    for (uint32_t i = 0; i < 2; i++) {
        s->layers[i].il = 1 + 2 * i;
        s->layers[i].n_used = 1;
        for (int h = 0; h < 2; h++) {
            s->layers[i].tokens[h] = 8;
            for (uint32_t j = 0; j < 8; j++) {
                struct sums *x = &s->layers[i].half[h][j];
                x->count = n[i][j];
                x->reap_sum = (double)n[i][j] * (j + 1);
                x->max_activation = n[i][j] ? 1 : 0;
            }
        }
    }
    s->layers[0].half[EVEN][2].max_activation = 100;
    return s;
}

static const uint32_t keep[TABLE_RATIOS] = {7, 6, 5, 4, 2};

static void rows_of_one_file(void **state)
{
    (void)state;
    struct stats *s = sample();
    struct table t;
    struct err e = {0};
    if (!table_make(&t, s, criterion_find("reap"), keep, &e))
        fail_msg("%s", e.msg);
    const struct table_row *a = &t.rows[0], *b = &t.rows[1];
    assert_true(t.halves);
    assert_int_equal(a->il, 1);
    assert_int_equal(b->il, 3);
    assert_int_equal(a->tokens, 16);
    assert_true(a->least == 0.125 && a->most == 0.125 && a->gini == 0);
    assert_true(b->least == 0 && b->most == 1 && b->gini == 0.875);
    assert_true(a->kept[0] == 35.0 / 36 && a->kept[4] == 15.0 / 36); /* 1 to 8, the lowest first out */
    assert_true(a->gap[3] == 0.2);                                   /* 5 stays, 4 goes */
    assert_true(a->agree[0] == 1 && a->correlation == 1);
    assert_true(b->kept[4] == 1 && isnan(b->gap[0]) == false);
    assert_int_equal(a->n_low, 2); /* a quarter of 8 */
    assert_int_equal(t.low[0] + t.low[1], 2);
    assert_int_equal(a->n_super, 1);
    assert_true(t.super[2] && !isnan(t.super_limit));
    assert_true(TABLE_MEAN(&t, gini) == 0.4375);
    assert_true(table_tokens_for(&t, 0) == 0); /* the halves agree already */
    table_clear(&t);

    memset(s->layers[0].half[ODD], 0, 8 * sizeof(struct sums)); /* without one of the halves */
    memset(s->layers[1].half[ODD], 0, 8 * sizeof(struct sums));
    s->layers[0].tokens[ODD] = s->layers[1].tokens[ODD] = 0;
    assert_true(table_make(&t, s, criterion_find("reap"), keep, &e));
    assert_false(t.halves);
    assert_true(isnan(t.rows[0].agree[0]) && isnan(t.rows[0].correlation) && isnan(TABLE_MEAN(&t, agree[0])));
    assert_true(isnan(table_tokens_for(&t, 0)));
    assert_int_equal(t.rows[0].n_low, 2); /* by both together */
    table_clear(&t);

    s->unknown = SUM_BIT(SUM_MAX); /* no super experts can be told */
    assert_true(table_make(&t, s, criterion_find("reap"), keep, &e));
    assert_true(isnan(t.super_limit) && !t.n_super);
    table_clear(&t);
    assert_false(table_make(&t, s, criterion_find("max_activation"), keep, &e));
    assert_int_equal(e.code, ERR_INPUT);
    table_clear(&t);
    stats_free(s);
}

static void pairs_of_two_files(void **state)
{
    (void)state;
    struct stats *s[2] = {sample(), sample()};
    static const char *const path[2] = {"a", "b"};
    struct table_pair p;
    struct err e = {0};
    const struct criterion *c = criterion_find("reap");
    assert_true(table_pair(s[0], s[1], c, keep, &p, &e));
    assert_true(p.overlap[0] == 1 && p.overlap[4] == 1 && p.correlation == 1);
    for (uint32_t j = 0; j < 8; j++) /* layer 1 the other way round */
        for (int h = 0; h < 2; h++)
            s[1]->layers[0].half[h][j].reap_sum = 8 - j;
    assert_true(table_pair(s[0], s[1], c, keep, &p, &e));
    assert_true(p.correlation == 0);       /* -1 and 1 */
    assert_true(p.overlap[3] == 0.5);      /* none and all of 4 */
    assert_true(p.overlap[0] == 13. / 14); /* 6 of 7, and 7 of 7 */
    /* layer 1 at 4: 8 7 6 5 by the one, the other keeps 1 2 3 4 of them; layer 3 has one expert */
    assert_true(p.by_first[3] == (10. / 26 + 1) / 2 && p.by_second[3] == (10. / 26 + 1) / 2);
    uint8_t *low = table_low_in_all(s, path, 2, c, &e);
    assert_non_null(low);
    for (uint32_t j = 0; j < 8;
         j++) { /* layer 1: 0 and 1, or 6 and 7; layer 3: of those without a token the last */
        assert_int_equal(low[j], 0);
        assert_int_equal(low[8 + j], j >= 6);
    }
    free(low);
    s[1]->unknown = SUM_BIT(SUM_REAP);
    assert_null(table_low_in_all(s, path, 2, c, &e));
    assert_true(!strncmp(e.msg, "b: ", 3));
    stats_free(s[0]);
    stats_free(s[1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_one_file),
        cmocka_unit_test(pairs_of_two_files),
    };
    return cmocka_run_group_tests_name("tables", tests, NULL, NULL);
}
