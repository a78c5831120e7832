/* test_row.c - src/corpus/row*.c: every form of a row, what becomes of it, what of it is not used, and what is
 * refused. In the tables ' stands for ", so that JSON can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "corpus/row.h"

#include <string.h>

/* Caller frees. */
static char *quoted(const char *s)
{
    char *t = strdup(s);
    for (char *c = t; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    return t;
}

/* A sample as JSON text: its chat, "text", or [tokens]; then #id. Caller frees. */
static char *describe(const struct sample *s)
{
    struct buf b = {0};
    char *chat;
    switch (s->kind) {
    case SAMPLE_TEXT:
        assert_int_equal(s->n_text, strlen(s->text));
        buf_fmt(&b, "text:%s", s->text);
        break;
    case SAMPLE_CHAT:
        assert_true(json_array_size(json_object_get(s->chat, "messages")) > 0);
        chat = json_dumps(s->chat, JSON_COMPACT);
        for (char *c = chat; *c; c++) /* as the tables write it */
            *c = *c == '"' ? '\'' : *c;
        buf_str(&b, chat);
        free(chat);
        break;
    case SAMPLE_TOKENS:
        buf_str(&b, "tokens:");
        for (uint32_t i = 0; i < s->n_tokens; i++)
            buf_fmt(&b, "%s%d", i ? "," : "", s->tokens[i]);
        break;
    }
    if (s->id)
        buf_fmt(&b, "#%s", s->id);
    return b.s;
}

static void expect_row(const char *row, const struct row_opts *o, const char *expected, const char *unused)
{
    struct sample s;
    struct err e = {0};
    char *json = quoted(row);
    if (!row_parse(json, strlen(json), o, &s, &e))
        fail_msg("%s: %s", row, e.msg);
    assert_int_equal(e.code, ERR_NONE);
    char *got = describe(&s);
    if (strcmp(got, expected) != 0)
        fail_msg("%s\n  is       %s\n  expected %s", row, got, expected);
    if (strcmp(s.unused ? s.unused : "", unused) != 0)
        fail_msg("%s\n  unused %s\n  expected %s", row, s.unused, unused);
    free(got);
    free(json);
    sample_clear(&s);
}

static void expect_refusal(const char *row, const struct row_opts *o, const char *part)
{
    static const struct sample empty;
    struct sample s;
    struct err e = {0};
    char *json = quoted(row);
    if (row_parse(json, strlen(json), o, &s, &e))
        fail_msg("accepted: %s", row);
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, part) || strstr(e.msg, "line 1"))
        fail_msg("%s: '%s' expected in: %s", row, part, e.msg);
    assert_memory_equal(&s, &empty, sizeof s);
    free(json);
}

#define M(...)   "{'messages':[" __VA_ARGS__ "]"
#define U(t)     "{'role':'user','content':'" t "'}"
#define A(t)     "{'role':'assistant','content':'" t "'}"
#define S(t)     "{'role':'system','content':'" t "'}"
#define UA(u, a) M(U(u) "," A(a)) "}"
#define F        "{'type':'function','function':{'name':'f'}}"

struct row_case {
    const char *row, *expected, *unused;
};

static void test_texts(void **state)
{
    (void)state;
    static const struct row_case cases[] = {
        {"{'text':'a'}", "text:a", ""},
        {" { 'text' : 'a' } \r", "text:a", ""},
        {"{'text':' '}", "text: ", ""},
        {"{'text':'tab\\t \\u00e4 \\ud83c\\udf31'}", "text:tab\t \xc3\xa4 \xf0\x9f\x8c\xb1", ""},
        {"{'text':'a','timestamp':'2019-04-25T12:57:54Z','url':'https://example.org'}", "text:a", ""},
        {"{'text':'a','meta':{'text':'no'},'lang':'de'}", "text:a", ""},
        {"{'text':'a','summary':'b c','notes':[['d']],'more':{'x':{'y':'z'}},'n':1,'e':' ','l':[1,2]}",
         "text:a", "summary\nnotes\nmore"},
        {"{'text':'a','prompt':'b'}", "text:a", "prompt"}, /* the text that came of a prompt */
        {"{'text':'a','tokens':17}", "text:a", ""},
        {"{'content':'int x;','repo_name':'r','path':'a.c','license':'mit'}", "text:int x;", ""},
        {"{'chosen':'Human: a','rejected':'Human: b'}", "text:Human: a", "rejected"},
        {"{'tokens':[0,1,2147483647]}", "tokens:0,1,2147483647", ""},
        {"{'input_ids':[5,6],'attention_mask':[1,1]}", "tokens:5,6", ""},
        /* bookkeeping */
        {"{'id':'r1','text':'a'}", "text:a#r1", ""},
        {"{'id':17,'text':'a'}", "text:a#17", ""},
        {"{'id':7.0,'text':'a'}", "text:a#7", ""},
        {"{'id':1.5,'text':'a'}", "text:a#1.5", ""},
        {"{'id':123456789012345678901234567890,'text':'a'}", "text:a#123456789012345678901234567890", ""},
        {"{'id':null,'text':'a'}", "text:a", ""},
        {"{'id':[],'parameters':{'stop':'x'},'text':'a'}", "text:a", ""},
        /* numbers that nobody uses */
        {"{'text':'a','score':NaN,'b':[Infinity,-Infinity],'c':1e999,'d':-98765432109876543210}", "text:a",
         ""},
        {"{'text':'a NaN \\' 1e999','score':NaN}", "text:a NaN \" 1e999", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_row(cases[i].row, &(struct row_opts){0}, cases[i].expected, cases[i].unused);
}

static void test_pairs(void **state)
{
    (void)state;
    static const struct row_case cases[] = {
        {"{'prompt':'p'}", M(U("p")) "}", ""},
        {"{'prompt':'p','response':null}", M(U("p")) "}", ""},
        {"{'prompt':'p','response':'r'}", UA("p", "r"), ""},
        {"{'response':'r','prompt':'p'}", UA("p", "r"), ""},
        {"{'prompt':'p','completion':'r'}", UA("p", "r"), ""},
        {"{'prompt':'p','answer':'r'}", UA("p", "r"), ""},
        {"{'prompt':'p','body':'r','post_title':'t'}", UA("p", "r"), ""},
        {"{'prompt':'p','chosen':'r','rejected':'no'}", UA("p", "r"), "rejected"},
        {"{'text':null,'messages':null,'prompt':'p','response':'r'}", UA("p", "r"), ""},
        /* lists of messages */
        {"{'prompt':[" S("s") "," U("p") "],'completion':[" A("r") "]}", M(S("s") "," U("p") "," A("r")) "}",
         ""},
        {"{'prompt':'p','completion':[" A("r") "]}", UA("p", "r"), ""},
        {"{'prompt':'p','chosen':[" U("p") "," A("r") "],'rejected':[" U("p") "," A(
             "n") "],'score_chosen':8.0}",
         UA("p", "r"), "rejected"},
        {"{'chosen':[" U("p") "," A("r") "],'rejected':[" A("n") "]}", UA("p", "r"), "rejected"},
        /* instructions */
        {"{'instruction':'i','output':'o'}", UA("i", "o"), ""},
        {"{'instruction':'i','input':'','output':'o','text':'rendered i o'}", UA("i", "o"), "text"},
        {"{'instruction':'i','input':'x','output':'o'}", UA("i\\n\\nx", "o"), ""},
        {"{'instruction':'i','response':'o'}", UA("i", "o"), ""},
        {"{'instruction':'i','context':'c','response':'o','category':'open_qa'}", UA("i\\n\\nc", "o"), ""},
        {"{'instruction':'i','output':'o','history':[['q','a']],'system':'s'}",
         M(S("s") "," U("q") "," A("a") "," U("i") "," A("o")) "}", ""},
        {"{'input':'i','output':'o'}", UA("i", "o"), ""},
        /* questions */
        {"{'question':'q','answer':'a'}", UA("q", "a"), ""},
        {"{'system_prompt':'s','question':'q','response':'a'}", M(S("s") "," U("q") "," A("a")) "}", ""},
        {"{'system_prompt':'','question':'q','response':'a'}", UA("q", "a"), ""},
        {"{'query':'q','answer':'a','resource':'r','lang':'c'}", UA("q", "a"), ""},
        {"{'problem':'q','solution':'s','answer':'34'}", UA("q", "s"), "answer"},
        {"{'problem':'q','answer':34}", UA("q", "34"), ""},
        {"{'user':'q','assistant':'a'}", UA("q", "a"), ""},
        {"{'question':'q','choices':['x','y'],'answer':1,'subject':'s'}", UA("q\\n\\nA. x\\nB. y", "B. y"),
         ""},
        {"{'context':'c','question':'q','answers':{'text':['a','b'],'answer_start':[1]}}",
         UA("q\\n\\nc", "a"), ""},
        {"{'question':'q','reasoning':'on','answer':'a'}", UA("q", "a"), "reasoning"},
        {"{'question':'q','reasoning':'hm','answer':'a'}",
         M(U("q") ",{'role':'assistant','content':'a','reasoning':'hm'}") "}", ""},
        /* the calls that answer a query */
        {"{'id':0,'query':'q','answers':'[{\\'name\\':\\'f\\',\\'arguments\\':{\\'x\\':1}}]',"
         "'tools':'[{\\'name\\':\\'f\\'}]'}",
         M(U("q") ",{'role':'assistant','content':'','tool_calls':[{'id':'call00001','type':'function',"
                  "'function':{'name':'f','arguments':{'x':1}}}]}") ",'tools':[{'type':'function','function':{'name':'f'}}]}#0",
         ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_row(cases[i].row, &(struct row_opts){0}, cases[i].expected, cases[i].unused);
}

static void test_messages(void **state)
{
    (void)state;
    static const struct row_case cases[] = {
        {"{'messages':[" S("") "," U("u") "]}", M(S("") "," U("u")) "}", ""},
        {"[" U("u") "," A("a") "]", UA("u", "a"), ""},
        {"{'prompt':'p','prompt_id':'x','messages':[" U("u") "]}", M(U("u")) "}", "prompt"},
        {"{'messages':'[{\\'role\\':\\'user\\',\\'content\\':\\'u\\'}]','instance_id':'x'}", M(U("u")) "}",
         ""},
        {"{'trajectory':[" U("u") "," A("a") "]}", UA("u", "a"), ""},
        /* messages are kept as they are */
        {"{'messages':[{'role':'user','content':[{'type':'text','text':'a'},{'text':'b','type':'text'}],'name':'x'}]}",
         M("{'role':'user','content':[{'type':'text','text':'a'},{'text':'b','type':'text'}],'name':'x'}") "}",
         ""},
        {"{'messages':[" U(
             "u") ",{'role':'assistant','content':null,'tool_calls':[{'id':'c','type':'function',"
                  "'function':{'name':'f','arguments':'{}'}}]},{'role':'tool','tool_call_id':'c','content':'3'}],"
                  "'tools':[{'name':'f'}],'parallel_tool_calls':false}",
         M(U("u") ",{'role':'assistant','content':null,'tool_calls':[{'id':'c','type':'function',"
                  "'function':{'name':'f','arguments':'{}'}}]},{'role':'tool','tool_call_id':'c','content':'3'}") ",'tools':[{'name':'f'}]}",
         ""},
        {"{'messages':[{'role':'assistant','function_call':{'name':'f'}},{'role':'function','content':'3'}],"
         "'functions':[{'name':'f'}]}",
         M("{'role':'assistant','function_call':{'name':'f'}},{'role':'function','content':'3'}") ",'tools':[{'type':'function','function':{'name':'f'}}]}",
         ""},
        {"{'messages':[{'role':'developer','content':'d'},{'role':'assistant','reasoning_content':'h','thinking':'i'}]}",
         M("{'role':'developer','content':'d'},{'role':'assistant','reasoning_content':'h','thinking':'i'}") "}",
         ""},
        {"{'messages':[" U(
             "u") "],'tools':'[]','chat_template_kwargs':{'enable_thinking':false},'documents':[{'t':'d'}]}",
         M(U("u")) ",'documents':[{'t':'d'}],'chat_template_kwargs':{'enable_thinking':false}}", ""},
        {"{'messages':[" U("u") "],'chat_template_kwargs':'{\\'a\\':1}'}",
         M(U("u")) ",'chat_template_kwargs':{'a':1}}", ""},
        {"{'messages':[" U("u") "],'system':'s'}", M(S("s") "," U("u")) "}", ""},
        {"{'messages':[" S("t") "," U("u") "],'system':'s'}", M(S("t") "," U("u")) "}", "system"},
        {"{'messages':[" U("u") "," A("a") "],'chosen':[" A("a") "],'rejected':[" A(
             "b") "],'score_chosen':1.0}",
         UA("u", "a"), "chosen\nrejected"},
        /* parts that are calls and results of tools, texts under other names */
        {"{'messages':[" U(
             "u") ",{'role':'assistant','content':[{'type':'text','text':'I look.'},{'type':'tool_use',"
                  "'id':'t','name':'add','input':{'a':1}}]},{'role':'user','content':[{'type':'tool_result','tool_use_id':'t',"
                  "'content':'3'},{'type':'text','text':'so?'}]},{'role':'user','content':[{'type':'tool_result',"
                  "'tool_use_id':'v','content':[{'type':'text','text':'4'}]}]}],'tools':[{'name':'add','input_schema':{'type':"
                  "'object'}}]}",
         M(U("u") ",{'role':'assistant','content':[{'type':'text','text':'I look.'}],'tool_calls':[{'type':'function',"
                  "'id':'t','function':{'name':'add','arguments':{'a':1}}}]},{'role':'tool','content':'3',"
                  "'tool_call_id':'t'},{'role':'user','content':[{'type':'text','text':'so?'}]},{'role':'tool',"
                  "'content':[{'type':'text','text':'4'}],'tool_call_id':'v'}") ",'tools':[{'type':'function','function':{'name':'add','parameters':{'type':'object'}}}]}",
         ""},
        {"{'messages':[{'role':'user','content':[{'type':'input_text','text':'a'},{'type':'thinking','thinking':'h'}]}]}",
         M("{'role':'user','content':[{'type':'text','text':'a'},{'type':'thinking','thinking':'h'}]}") "}",
         ""},
        /* from and value */
        {"{'id':'a_0','conversations':[{'from':'human','value':'u'},{'from':'gpt','value':'a'}]}",
         UA("u", "a") "#a_0", ""},
        {"{'conversations':[{'from':'system','value':'s','weight':null},{'from':'User','value':'u','weight':0},"
         "{'from':'chatgpt','value':'a','weight':1}]}",
         M("{'role':'system','content':'s','weight':null},{'role':'user','content':'u','weight':0},"
           "{'role':'assistant','content':'a','weight':1}") "}",
         ""},
        {"{'system':'s','tools':'[{\\'name\\':\\'f\\'}]','conversations':[{'from':'human','value':'u'},"
         "{'from':'function_call','value':'{\\'name\\':\\'f\\',\\'arguments\\':{\\'x\\':1}}'},"
         "{'from':'observation','value':'3'},{'from':'bing','value':'a'},{'from':'critic','value':'c'}]}",
         M(S("s") "," U(
             "u") ",{'role':'assistant','content':'','tool_calls':[{'id':'call00001','type':'function',"
                  "'function':{'name':'f','arguments':{'x':1}}}]},{'role':'tool','content':'3'}," A(
                      "a") ",{'role':'critic','content':'c'}") ",'tools':[" F "]}",
         ""},
        {"{'conversations':[" U("u") "," A("a") "]}", UA("u", "a"), ""},
        {"{'conversations':[" U("u") "],'tools':[{'name':'f'}]}", M(U("u")) ",'tools':[{'name':'f'}]}", ""},
        {"{'conversations':[{'from':'user','value':'u'},{'from':'function','value':'3'}]}",
         M(U("u") ",{'role':'tool','content':'3'}") "}", ""},
        {"{'conversations':[" U("u") "],'tools':['{\\'name\\':\\'f\\'}','x','[1]']}",
         M(U("u")) ",'tools':[{'name':'f'},'x','[1]']}", ""},
        {"{'conversations':['u','a','v'],'source':'stackexchange'}", M(U("u") "," A("a") "," U("v")) "}", ""},
        {"{'conversation':[{'human':'u','assistant':'a'},{'human':'v','assistant':'b'}],'conversation_id':1}",
         M(U("u") "," A("a") "," U("v") "," A("b")) "}", ""},
        {"{'conversation':[{'system':'s','input':'u','output':'a'}]}", M(S("s") "," U("u") "," A("a")) "}",
         ""},
        /* rows in rows */
        {"{'row_idx':0,'row':{'text':'a','x':'y'},'truncated_cells':[]}", "text:a", "x"},
        {"{'custom_id':'r-1','method':'POST','url':'/v1/chat/completions','body':{'model':'m','messages':[" U(
             "u") "],'tools':[{'type':'function'}],'tool_choice':'auto','temperature':0}}",
         M(U("u")) ",'tools':[{'type':'function'}]}#r-1", ""},
        {"{'custom_id':'r-2','method':'POST','url':'/v1/completions','body':{'model':'m','prompt':'p'}}",
         M(U("p")) "}#r-2", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_row(cases[i].row, &(struct row_opts){0}, cases[i].expected, cases[i].unused);
}

static void test_media(void **state)
{
    (void)state;
    static const char row[] =
        "{'messages':[{'role':'user','content':[{'type':'image_url','image_url':{'url':'x'}},"
        "{'type':'text','text':'q'}]},{'role':'user','content':[{'type':'audio'}]}]}";
    expect_refusal(row, &(struct row_opts){0},
                   "message 1, part 1: 'type' is 'image_url', which is not read; --skip-media");
    expect_row(row, &(struct row_opts){.skip_media = true},
               M("{'role':'user','content':[{'type':'text','text':'q'}]}," U("")) "}", "");
    struct sample s;
    struct err e = {0};
    char *json = quoted(row);
    assert_true(row_parse(json, strlen(json), &(struct row_opts){.skip_media = true}, &s, &e));
    assert_int_equal(s.n_media, 2);
    sample_clear(&s);
    free(json);
}

static void test_join_parts(void **state)
{
    (void)state;
    static const struct row_case cases[] = {
        {"{'messages':[{'role':'user','content':[{'type':'text','text':'a'},{'type':'text','text':'b'}],'n':1}]}",
         M("{'role':'user','content':'ab','n':1}") "}", ""},
        {"{'messages':[{'role':'tool','content':[{'type':'image'},{'type':'text','text':'b'}]}," U("c") "]}",
         M("{'role':'tool','content':'b'}," U("c")) "}", ""},
        {"{'messages':[{'role':'user','content':[{'type':'thinking','thinking':'h'},{'type':'text','text':'b'}]}]}",
         M("{'role':'user','content':[{'type':'thinking','thinking':'h'},{'type':'text','text':'b'}]}") "}",
         ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_row(cases[i].row, &(struct row_opts){.join_parts = true, .skip_media = true},
                   cases[i].expected, cases[i].unused);
}

static void test_prompts(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{'instruction':'i','input':'x','output':'o'}", M(U("i\\n\\nx")) "}"},
        {"{'instruction':'i'}", M(U("i")) "}"},
        {"{'question':'q','answer':'a','system_prompt':'s'}", M(S("s") "," U("q")) "}"},
        {"{'conversations':[{'from':'human','value':'u'},{'from':'gpt','value':'a'},{'from':'human','value':'v'},"
         "{'from':'gpt','value':'b'}],'tools':'[{\\'name\\':\\'f\\'}]'}",
         M(U("u") "," A("a") "," U("v")) ",'tools':[" F "]}"},
        {"{'messages':[" U("u") "," A("a") "," A("b") "]}", M(U("u")) "}"},
        {"{'text':'t'}", NULL},
        {"{'conversations':[" A("a") "]}", NULL},
        {"{'words':'t'}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *json = quoted(cases[i][0]);
        struct err e = {0};
        char *unused;
        json_t *row = json_loads(json, 0, NULL), *chat;
        assert_non_null(row);
        assert_int_equal(row_prompt(row, &chat, &unused, &e), cases[i][1] != NULL);
        assert_int_equal(chat == NULL, cases[i][1] == NULL);
        if (chat) {
            char *got = describe(&(struct sample){.kind = SAMPLE_CHAT, .chat = chat});
            assert_string_equal(got, cases[i][1]);
            free(got);
        }
        assert_true(i > 2 || !unused == (i == 1) /* the answer is left */);
        free(unused);
        json_decref(chat);
        json_decref(row);
        free(json);
    }
}

static void test_map(void **state)
{
    (void)state;
    static const struct {
        const char *map;
        struct row_case c;
    } cases[] = {
        {"user=Q,assistant=A", {"{'Q':'q','A':'a','text':'t'}", UA("q", "a"), "text"}},
        {"user=Q", {"{'Q':'q'}", M(U("q")) "}", ""}},
        {"user=Q,assistant=A",
         {"{'prompt':'q','response':'a'}", UA("q", "a"), ""}}, /* a row of another kind */
        {"user=Q,assistant=A,system=S,reasoning_content=CoT",
         {"{'S':'s','Q':'q','A':'a','CoT':'hm'}",
          M(S("s") "," U("q") ",{'role':'assistant','content':'a','reasoning_content':'hm'}") "}", ""}},
        {"text=code",
         {"{'code':'c','text':'t','prompt':'p','response':'r'}", "text:c", "text\nprompt\nresponse"}},
        {"messages=dialog,role=who,content=what,tools=api",
         {"{'dialog':[{'who':'user','what':'u'}],'api':[{'name':'f'}],'messages':[]}",
          M(U("u")) ",'tools':[{'name':'f'}]}", ""}},
        {"reasoning_content=thinking",
         {"{'messages':[{'role':'assistant','content':'a','thinking':'hm'},{'role':'user','content':'u'}]}",
          M("{'role':'assistant','content':'a','reasoning_content':'hm'}," U("u")) "}", ""}},
        {"reasoning_content=thinking", /* the mapped one wins */
         {"{'messages':[{'role':'assistant','content':'a','thinking':'hm','reasoning_content':'old'}]}",
          M("{'role':'assistant','content':'a','reasoning_content':'hm'}") "}", ""}},
        {"tokens=ids", {"{'ids':[3]}", "tokens:3", ""}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct row_map m;
        struct err e = {0};
        assert_true(row_map_parse(cases[i].map, &m, &e));
        expect_row(cases[i].c.row, &(struct row_opts){.map = &m}, cases[i].c.expected, cases[i].c.unused);
        row_map_clear(&m);
    }
    struct row_map m;
    struct err e = {0};
    assert_true(row_map_parse("user=Q,assistant=A", &m, &e));
    expect_refusal("{'Q':'q','B':'a'}", &(struct row_opts){.map = &m},
                   "'A' is missing, which is the assistant's");
    expect_refusal("{'Q':'q','A':''}", &(struct row_opts){.map = &m}, "'A' is empty");
    row_map_clear(&m);
    static const char *const bad[][2] = {
        {"", "'' is not NAME=KEY"},
        {"user", "'user' is not NAME=KEY"},
        {"user=", "'user=' is not NAME=KEY"},
        {"usr=q", "'usr' is no name that can be given; these can: messages,"},
        {"user=q,", "'' is not"},
        {"user=q,user=p", "'user' is given twice"},
        {"=q", "no name"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err_clear(&e);
        assert_false(row_map_parse(bad[i][0], &m, &e));
        if (!strstr(e.msg, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], e.msg);
        assert_int_equal(m.n, 0);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "not valid JSON"},
        {"{'text':'a'", "column 11: not valid JSON"},
        {"{'text':'a'} x", "not valid JSON"},
        {"{'text':'a',}", "not valid JSON"},
        {"{text:'a'}", "not valid JSON"},
        {"{'text':'a','text':'b'}", "duplicate"},
        {"{'text':'\xff'}", "not valid JSON"},
        {"{'text':'\\ud800'}", "not valid JSON"},
        {"{'text':'a\\u0000b'}", "NUL"},
        {"{'te\\u0000xt':'a'}", "NUL"},
        {"{'a':NaN,'text':'x' 1}", "column 21: not valid JSON"},
        {"{'text':NaN1}", "not valid JSON"},
        {"{'text':'x','a':007}", "not valid JSON"},
        {"[]", "row is a list, expected an object"},
        {"'a'", "row is a string, expected an object"},
        {"17", "row is an integer"},
        /* no form */
        {"{}", "row is an empty object"},
        {"{'text':null}", "row has 'text' (null), which is no form that is known"},
        {"{'words':'a','n':1}",
         "row has 'words', 'n', which is no form that is known; --map user=KEY,assistant=KEY"},
        {"{'Instruction':'a','Output':'b'}",
         "row has 'Instruction', 'Output', which is no form that is known; the nearest form is instruction/output: "
         "--map user=Instruction,assistant=Output"},
        {"{'question':'a'}", "the nearest form is question/answer: --map user=question,assistant=KEY"},
        {"{'question_text':'a','gold_answer':'b'}", "--map user=question_text,assistant=gold_answer"},
        {"{'Text':'a'}", "the nearest form is text: --map text=Text"},
        {"{'Messages':[]}", "the nearest form is messages: --map messages=Messages"},
        {"{'response':'a'}", "row has 'response'"},
        {"{'role':'user','content':'a'}", "row is one message"},
        {"{'role':'prompter','text':'a'}", "row is one message ('role' and 'text')"},
        {"{'inputs':'a','user_id':'b'}", "the nearest form is input/output: --map user=inputs,assistant=KEY"},
        {"{'func_tokens':['def']}", "form that is known; --map user=KEY"},
        {"{'my_tokens':[1]}", "the nearest form is tokens: --map tokens=my_tokens"},
        {"{'instruction':'a','completions':[{'response':'b'}]}", "--map user=instruction,assistant=KEY"},
        {"{'\\u001b[31m':'a'}", "row has '\\u001b[31m'"},
        /* texts and tokens */
        {"{'text':''}", "'text' is empty"},
        {"{'text':1}", "'text' is an integer, expected a string"},
        {"{'text':['a']}", "'text' is a list"},
        {"{'tokens':17}", "'tokens' is an integer, expected a list"},
        {"{'tokens':'1 2'}", "'tokens' is a string"},
        {"{'tokens':[]}", "'tokens' is empty"},
        {"{'tokens':[1,-1]}", "entry 2 is -1, expected 0..2147483647"},
        {"{'tokens':[2147483648]}", "entry 1 is 2147483648"},
        {"{'tokens':[1.0]}", "entry 1 is a number"},
        {"{'tokens':['1']}", "entry 1 is a string"},
        {"{'tokens':[99999999999999999999]}", "entry 1 is 99999999999999999999, expected 0..2147483647"},
        {"{'tokens':[NaN]}", "entry 1 is NaN"},
        /* pairs */
        {"{'prompt':''}", "'prompt' is empty"},
        {"{'prompt':'a','response':''}", "'response' is empty"},
        {"{'prompt':'a','response':true}", "'response' is true"},
        {"{'prompt':'a','response':NaN}", "the number NaN in the chat cannot be kept"},
        {"{'prompt':[]}", "'prompt' is empty"},
        {"{'prompt':['a']}", "message 1 is a string"},
        {"{'prompt':17}", "'prompt' is an integer"},
        {"{'prompt':'a','system':17}", "'system' is an integer"},
        {"{'instruction':'a','output':'b','history':['x']}", "'history' entry 1 is a string"},
        /* chats */
        {"{'messages':{}}", "'messages' is an object"},
        {"{'messages':[]}", "'messages' is empty"},
        {"{'messages':''}", "'messages' is empty"},
        {"{'messages':'[1'}", "row: 'messages' is a string, expected JSON in it: column"},
        {"{'messages':'17'}", "'messages' is an integer, expected a list"},
        {"{'text':'a','messages':[]}", "'messages' is empty"},
        {"{'messages':[{'role':'user','content':''}]}", "'messages' is empty"},
        {"{'messages':[{'role':'user','content':[]}]}", "'messages' is empty"},
        {"{'messages':[{'role':'user'}]}", "'messages' is empty"},
        {"{'messages':[{'role':'user','content':null}]}", "'messages' is empty"},
        {"{'messages':['hi',1]}", "'messages' entry 2 is an integer, expected a string as the first"},
        {"{'messages':['']}", "'messages' is empty"},
        {"{'messages':[{'role':'user','content':'a'},{'content':'b'}]}", "message 2: 'role' is missing"},
        {"{'messages':[{'role':'','content':'a'}]}", "message 1: 'role' is empty"},
        {"{'messages':[{'role':1,'content':'a'}]}", "message 1: 'role' is an integer"},
        {"{'messages':[{'from':1,'value':'a'}]}", "message 1: 'role' is an integer"},
        {"{'messages':[{'role':'user','content':{'a':1}}]}", "message 1: 'content' is an object"},
        {"{'messages':[{'role':'user','content':['a']}]}", "message 1, part 1 is a string"},
        {"{'messages':[{'role':'user','content':[{'text':'a'}]}]}", "part 1: 'type' is missing"},
        {"{'messages':[{'role':'user','content':[{'type':'text'}]}]}", "'text' is missing"},
        {"{'messages':[{'role':'user','content':[{'type':'poem','content':'x'}]}]}",
         "part 1: 'type' is 'poem', which is not read"},
        {"{'messages':[{'role':'user','content':[{'type':'tool_use','input':{}}]}]}",
         "part 1: 'name' is missing"},
        {"{'messages':[{'role':'user','content':[{'type':'tool_result','content':[{'type':'image'}]}]}]}",
         "message 1, part 1: 'type' is 'image'"},
        {"{'messages':[{'role':'user','content':'a'}],'tools':17}", "'tools' is an integer, expected a list"},
        {"{'messages':[{'role':'user','content':'a'}],'tools':'{}'}",
         "'tools' is an object, expected a list"},
        {"{'messages':[{'role':'user','content':'a'}],'tools':'x'}",
         "'tools' is a string, expected JSON in it"},
        {"{'messages':[{'role':'user','content':'a'}],'documents':{}}", "'documents' is an object"},
        {"{'messages':[{'role':'user','content':'a'}],'chat_template_kwargs':[]}",
         "'chat_template_kwargs' is a list"},
        {"{'messages':[{'role':'user','content':'a','x':123456789012345678901}]}",
         "the number 123456789012345678901 in the chat cannot be kept"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refusal(cases[i][0], &(struct row_opts){0}, cases[i][1]);
}

static void test_nul_byte(void **state)
{
    (void)state;
    static const char row[] = "{\"text\":\"a\0b\"}";
    struct sample s;
    struct err e = {0};
    assert_false(row_parse(row, sizeof row - 1, &(struct row_opts){0}, &s, &e));
    assert_false(row_parse("{\"text\":\"a\"}\0", 13, &(struct row_opts){0}, &s, &e));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),      cmocka_unit_test(test_pairs),   cmocka_unit_test(test_messages),
        cmocka_unit_test(test_media),      cmocka_unit_test(test_map),     cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_join_parts), cmocka_unit_test(test_refused), cmocka_unit_test(test_nul_byte),
    };
    return cmocka_run_group_tests_name("row", tests, NULL, NULL);
}
