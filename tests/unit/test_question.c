/* test_question.c - src/corpus/question.c: every form of a question, the texts that become of it, and what is refused. In
 * the tables ' stands for ", so that JSON can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "corpus/question.h"
#include "golden.h"
#include "tempdir.h"

#include <stdlib.h>
#include <string.h>

static void put_rows(const char *rows)
{
    char *s = strdup(rows);
    for (char *c = s; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    put("q.jsonl", s);
    free(s);
}

/* "BEFORE>AFTER(n_chars)|..." with the right one in front marked by *; line ends as ~. */
static void expect_row(const char *row, const char *form, const char *want)
{
    struct question_file f;
    struct err e = {0};
    struct buf b = {0};
    put_rows(row);
    golden_ok(question_file_read(&f, at("q.jsonl"), &e), &e, row);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.form, form);
    for (uint32_t i = 0; i < f.rows[0].n; i++) {
        const struct choice *c = &f.rows[0].list[i];
        buf_fmt(&b, "%s%s%s>%s(%u)", i ? "|" : "", i == f.rows[0].answer ? "*" : "", c->before, c->after,
                c->n_chars);
    }
    for (char *c = b.s; *c; c++)
        *c = *c == '\n' ? '~' : *c;
    assert_string_equal(b.s, want);
    buf_clear(&b);
    question_file_clear(&f);
}

static void forms(void **state)
{
    static const struct {
        const char *row, *form, *want;
    } cases[] = {
        {"{'question':'Q','choices':['a','bc'],'answer':1}", "question",
         "Question: Q~Answer:> a(1)|*Question: Q~Answer:> bc(2)"},
        {"{'question':'Q','choices':['a','B'],'answer':'B'}", "question",
         "Question: Q~Answer:> a(1)|*Question: Q~Answer:> B(1)"}, /* its text comes before the letter */
        {"{'question':'Q','choices':['B','a'],'answer':'B'}", "question",
         "*Question: Q~Answer:> B(1)|Question: Q~Answer:> a(1)"},
        {"{'question':'Q','choices':['x','y'],'answer':'B'}", "question",
         "Question: Q~Answer:> x(1)|*Question: Q~Answer:> y(1)"},
        /* characters, not bytes */
        {"{'question':'Q','choices':['\xc3\xa4\xc3\xb6','\xe6\x97\xa5'],'answer':'0'}", "question",
         "*Question: Q~Answer:> \xc3\xa4\xc3\xb6(2)|Question: Q~Answer:> \xe6\x97\xa5(1)"},
        {"{'question':' Q? ','subject':'high_school_x','choices':['a','b'],'answer':0}", "mmlu",
         "*The following are multiple choice questions (with answers) about high school x.~~Q?~A. a~B. b~Answer:> A(1)"
         "|The following are multiple choice questions (with answers) about high school x.~~Q?~A. a~B. b~Answer:> B(1)"},
        {"{'id':'x','question':'Q','choices':{'text':['a','b'],'label':['1','2']},'answerKey':'2'}", "arc",
         "Question: Q~Answer:> a(1)|*Question: Q~Answer:> b(1)"},
        {"{'question_stem':'Q','choices':{'text':['a','b'],'label':['A','B']},'answerKey':'A'}", "openbookqa",
         "*Q> a(1)|Q> b(1)"},
        {"{'ctx':'c','endings':['e','f g'],'label':'1'}", "hellaswag", "c> e(1)|*c> f g(3)"},
        {"{'activity_label':'Act','ctx_a':'One [x]two.','ctx_b':'tHE','ctx':'n','endings':['[step] e  f [title] g','h'],"
         "'label':0}",
         "hellaswag", "*Act: One two. The>  e f. g(7)|Act: One two. The> h(1)"},
        {"{'activity_label':'Act','ctx_a':'One.','ctx_b':'','ctx':'n','endings':['e','h'],'label':0}",
         "hellaswag", "*Act: One.> e(1)|Act: One.> h(1)"},
        {"{'goal':'G','sol1':'a','sol2':'b','label':1}", "piqa",
         "Question: G~Answer:> a(1)|*Question: G~Answer:> b(1)"},
        {"{'sentence':'X _ y z.','option1':'a','option2':'b','answer':'1'}", "winogrande",
         "*X a> y z.(4)|X b> y z.(4)"},
        {"{'sentence':'_ y.','option1':'a ','option2':'b','answer':'2'}", "winogrande",
         "a>  y.(2)|*b> y.(2)"},
        {"{'passage':'P','question':'is it','answer':false}", "boolq",
         "*P~Question: is it?~Answer:> no(2)|P~Question: is it?~Answer:> yes(3)"},
        {"{'passage':'P','question':'is it','label':1}", "boolq",
         "P~Question: is it?~Answer:> no(2)|*P~Question: is it?~Answer:> yes(3)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_row(cases[i].row, cases[i].form, cases[i].want);
}

static void refused(void **state)
{
    static const struct {
        const char *rows, *want;
    } cases[] = {
        {"", "no rows in it"},
        {"[1,2]", "row is an integer, expected an object"},
        {"{'a':1}",
         "line 1: row has 'a', which is no form of a question; one is question/choices/answer/subject, "},
        {"{'question':'Q','choices':['a','b']}", "which is no form of a question"},
        {"{'question':'Q','choices':['a','b'],'answer':null}", "which is no form of a question"},
        {"\n{'question':'Q','choices':['a','b'],'answer':2}",
         "line 2: 'answer' is 2, expected the place of a choice, from 0, or its text or letter"},
        {"{'question':'Q','choices':['a','b'],'answer':'C'}", "'answer' is 'C', expected the place"},
        {"{'question':'Q','choices':['a','b'],'answer':-1}", "'answer' is -1"},
        {"{'question':' ','choices':['a','b'],'answer':0}", "'question' is ' ', expected a text"},
        {"{'question':7,'choices':['a','b'],'answer':0}", "'question' is 7, expected a text"},
        {"{'question':'Q','choices':['a'],'answer':0}", "'choices' has 1 choices, expected 2 to 64"},
        {"{'question':'Q','choices':['a',''],'answer':0}", "'choices': choice 2 is empty, expected a text"},
        {"{'question':'Q','choices':['a',3],'answer':0}",
         "'choices': choice 2 is an integer, expected a text"},
        {"{'question':'Q','choices':'ab','answer':0}", "'choices' is a string, expected a list of texts"},
        {"{'question':'Q','choices':['a','b'],'answerKey':'A'}", "'choices' is a list, expected an object"},
        {"{'question':'Q','choices':{'text':['a','b'],'label':['A']},'answerKey':'A'}",
         "'choices.label' has 1"},
        {"{'question':'Q','choices':{'text':['a','b'],'label':['A','B','C']},'answerKey':'A'}",
         "'choices' has 2 texts and 3 labels"},
        {"{'question':'Q','choices':{'text':['a','b'],'label':['A','B']},'answerKey':'E'}",
         "'answerKey' is 'E', expected one of choices.label"},
        {"{'ctx':'c','endings':['e','f'],'label':''}", "'label' is '', expected a number from 0 to 1"},
        {"{'ctx':'c','endings':['e','[x]'],'label':0}", "'endings': choice 2 is empty"},
        {"{'ctx':'[x]','endings':['e','f'],'label':0}", "nothing stands in front of the choice"},
        {"{'goal':'G','sol1':'a','sol2':'b','label':-1}", "'label' is -1, expected a number from 0 to 1"},
        {"{'sentence':'X y.','option1':'a','option2':'b','answer':'1'}", "expected a text with a gap (_)"},
        {"{'sentence':'X _ ','option1':'a','option2':'b','answer':'1'}", "something behind it"},
        {"{'sentence':'X _ y','option1':'a','option2':'b','answer':'0'}", "expected a number from 1 to 2"},
        {"{'passage':'P','question':'q','answer':'x'}", "'answer' is 'x', expected a number from 0 to 1"},
        {"{'id':[],'goal':'G','sol1':'a','sol2':'b','label':1}", "'id' is a list"},
        {"{'goal':'G','sol1':'a','sol2':'b','label':1}\n{'ctx':'c','endings':['e','f'],'label':0}",
         "line 2: row is of the form 'hellaswag', the rows before it are 'piqa'"},
        {"{'goal':'G','sol1':'a','sol2':'b','label':1", "line 1"},
        {"{'goal':'G','sol1':'a','sol2':'b','label':NaN}", "line 1: column"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct question_file f;
        struct err e = {0};
        put_rows(cases[i].rows);
        if (question_file_read(&f, at("q.jsonl"), &e))
            fail_msg("taken: %s", cases[i].rows);
        assert_int_equal(e.code, ERR_INPUT);
        assert_int_equal(f.n, 0);
        if (!strstr(e.msg, cases[i].want) || !strstr(e.msg, "q.jsonl"))
            fail_msg("'%s' lacks '%s'", e.msg, cases[i].want);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(forms), cmocka_unit_test(refused)};
    return cmocka_run_group_tests_name("question", tests, tempdir_setup, tempdir_teardown);
}
