/* question.c - see question.h: the table of forms. A row is strict in what it uses: right types, nothing empty, an
 * answer that is one of the choices. */
#include "corpus/question.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "corpus/foreign.h"
#include "corpus/rowfile.h"
#include "corpus/source.h"

#include <ctype.h>
#include <string.h>

#define COUNT(a)   (sizeof(a) / sizeof *(a))
#define N_MEMBERS  4
#define MAX_SHOWN  6 /* keys of a row in a message */
#define N_LETTERS  26
#define SPACE      " \t\r\n\v\f"
#define BLANK_MARK '_' /* WinoGrande's gap */

/* A row while it is read. */
struct reader {
    const json_t *row;
    struct question_row *to;
    struct err *e;
};

struct form {
    const char *name;
    const char *members[N_MEMBERS]; /* a row that has all of these is of this form */
    bool (*read)(struct reader *r, const struct form *f);
};

static bool read_list(struct reader *r, const struct form *f);
static bool read_letters(struct reader *r, const struct form *f);
static bool read_labels(struct reader *r, const struct form *f);
static bool read_endings(struct reader *r, const struct form *f);
static bool read_two(struct reader *r, const struct form *f);
static bool read_gap(struct reader *r, const struct form *f);
static bool read_yes_no(struct reader *r, const struct form *f);

/* In the order in which they win. */
static const struct form forms[] = {
    {"mmlu", {"question", "choices", "answer", "subject"}, read_letters},
    {"question", {"question", "choices", "answer"}, read_list},
    {"arc", {"question", "choices", "answerKey"}, read_labels},
    {"openbookqa", {"question_stem", "choices", "answerKey"}, read_labels},
    {"hellaswag", {"ctx", "endings", "label"}, read_endings},
    {"piqa", {"goal", "sol1", "sol2", "label"}, read_two},
    {"winogrande", {"sentence", "option1", "option2", "answer"}, read_gap},
    {"boolq", {"passage", "question", "answer"}, read_yes_no},
    {"boolq", {"passage", "question", "label"}, read_yes_no},
};

/* ---- members ---- */

static bool wrong(struct reader *r, const char *key, const char *expected)
{
    const json_t *v = source_member(r->row, key);
    char shown[TEXT_SHOWN];
    if (json_is_string(v))
        return err_set(r->e, ERR_INPUT, "'%s' is '%s', expected %s", key,
                       text_shown(shown, sizeof shown, json_string_value(v)), expected);
    if (json_is_integer(v))
        return err_set(r->e, ERR_INPUT, "'%s' is %lld, expected %s", key, (long long)json_integer_value(v),
                       expected);
    return err_set(r->e, ERR_INPUT, "'%s' is %s, expected %s", key, json_type_name(v), expected);
}

static bool has_text(const json_t *v)
{
    const char *s = json_string_value(v);
    return s && s[strspn(s, SPACE)];
}

static const char *text_of(struct reader *r, const char *key)
{
    const json_t *v = source_member(r->row, key);
    if (has_text(v))
        return json_string_value(v);
    wrong(r, key, "a text");
    return NULL;
}

/* A list of 2 to QUESTION_MAX_CHOICES texts; where: how messages call it. */
static bool check_texts(struct reader *r, const json_t *list, const char *where)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list))
        return err_set(r->e, ERR_INPUT, "'%s' is %s, expected a list of texts", where, json_type_name(list));
    if (n < 2 || n > QUESTION_MAX_CHOICES)
        return err_set(r->e, ERR_INPUT, "'%s' has %zu choices, expected 2 to %d", where, n,
                       QUESTION_MAX_CHOICES);
    for (size_t i = 0; i < n; i++)
        if (!has_text(json_array_get(list, i)))
            return err_set(r->e, ERR_INPUT, "'%s': choice %zu is %s, expected a text", where, i + 1,
                           json_is_string(json_array_get(list, i)) ? "empty"
                                                                   : json_type_name(json_array_get(list, i)));
    return true;
}

/* A number, as such or as digits, from `first` on: the place among n. */
static bool answer_number(struct reader *r, const char *key, uint32_t first, uint32_t n)
{
    const json_t *v = source_member(r->row, key);
    int64_t i = json_is_integer(v) ? json_integer_value(v) : -1;
    if (json_is_string(v) && !parse_i64(json_string_value(v), &i))
        i = -1;
    if (i < (int64_t)first || i >= (int64_t)first + n) {
        char expected[48];
        snprintf(expected, sizeof expected, "a number from %u to %u", first, first + n - 1);
        return wrong(r, key, expected);
    }
    r->to->answer = (uint32_t)(i - first);
    return true;
}

/* ---- texts ---- */

static uint32_t count_chars(const char *s)
{
    uint32_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* White space at the end of `before` belongs to what is scored: tokens of most vocabularies begin with it. */
static bool add(struct reader *r, const char *before, const char *space, const char *after, uint32_t n_chars)
{
    struct question_row *to = r->to;
    size_t n = strlen(before), kept = n;
    while (kept && strchr(SPACE, before[kept - 1]))
        kept--;
    if (!kept)
        return err_set(r->e, ERR_INPUT, "nothing stands in front of the choice");
    to->list = xrealloc(to->list, to->n + 1, sizeof *to->list);
    to->list[to->n++] = (struct choice){
        xstrndup(before, kept), xasprintf("%s%s%s", before + kept, space, after), n_chars ? n_chars : 1};
    return true;
}

static bool add_choices(struct reader *r, const char *before, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!add(r, before, " ", s, count_chars(s)))
            return false;
    }
    return true;
}

static char *asked(const char *question)
{
    return xasprintf("Question: %s\nAnswer:", question);
}

static char *trimmed(const char *s)
{
    s += strspn(s, SPACE);
    size_t n = strlen(s);
    while (n && strchr(SPACE, s[n - 1]))
        n--;
    return xstrndup(s, n);
}

/* ---- forms ---- */

/* The answer of a list: its place from 0, its text, or its letter. */
static bool answer_of_list(struct reader *r, const json_t *list)
{
    const json_t *v = source_member(r->row, "answer");
    const char *s = json_string_value(v);
    uint32_t n = (uint32_t)json_array_size(list);
    for (uint32_t i = 0; s && i < n; i++)
        if (!strcmp(s, json_string_value(json_array_get(list, i)))) {
            r->to->answer = i;
            return true;
        }
    if (s && s[0] >= 'A' && s[0] <= 'Z' && !s[1] && (uint32_t)(s[0] - 'A') < n) {
        r->to->answer = (uint32_t)(s[0] - 'A');
        return true;
    }
    struct err number = {0};
    struct reader quiet = {r->row, r->to, &number};
    return answer_number(&quiet, "answer", 0, n) ||
           wrong(r, "answer", "the place of a choice, from 0, or its text or letter");
}

static bool read_list(struct reader *r, const struct form *f)
{
    const json_t *list = source_member(r->row, "choices");
    const char *q = text_of(r, "question");
    (void)f;
    if (!q || !check_texts(r, list, "choices") || !answer_of_list(r, list))
        return false;
    char *before = asked(q);
    bool ok = add_choices(r, before, list);
    free(before);
    return ok;
}

/* The choices stand in the question, and their letters are scored. */
static bool read_letters(struct reader *r, const struct form *f)
{
    const json_t *list = source_member(r->row, "choices");
    const char *q = text_of(r, "question"), *subject = text_of(r, "subject");
    (void)f;
    if (!q || !subject || !check_texts(r, list, "choices") || !answer_of_list(r, list))
        return false;
    size_t n = json_array_size(list);
    if (n > N_LETTERS)
        return err_set(r->e, ERR_INPUT, "'choices' has %zu choices, expected letters, at most %d", n,
                       N_LETTERS);
    struct buf b = {0};
    char *stem = trimmed(q);
    buf_str(&b, "The following are multiple choice questions (with answers) about ");
    for (const char *s = subject; *s; s++)
        buf_char(&b, *s == '_' ? ' ' : *s);
    buf_fmt(&b, ".\n\n%s\n", stem);
    for (size_t i = 0; i < n; i++)
        buf_fmt(&b, "%c. %s\n", (char)('A' + i), json_string_value(json_array_get(list, i)));
    buf_str(&b, "Answer:");
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        char letter[2] = {(char)('A' + i)};
        ok = add(r, b.s, " ", letter, 1);
    }
    free(stem);
    buf_clear(&b);
    return ok;
}

/* "choices": {"text": [...], "label": [...]}, "answerKey": one of the labels */
static bool read_labels(struct reader *r, const struct form *f)
{
    const json_t *choices = source_member(r->row, "choices"), *texts = json_object_get(choices, "text"),
                 *labels = json_object_get(choices, "label");
    const char *q = text_of(r, f->members[0]);
    bool bare = strcmp(f->members[0], "question") != 0;
    if (!q)
        return false;
    if (!json_is_object(choices))
        return wrong(r, "choices", "an object with 'text' and 'label'");
    if (!check_texts(r, texts, "choices.text") || !check_texts(r, labels, "choices.label"))
        return false;
    size_t n = json_array_size(texts), i = 0;
    if (json_array_size(labels) != n)
        return err_set(r->e, ERR_INPUT, "'choices' has %zu texts and %zu labels", n, json_array_size(labels));
    const char *key = json_string_value(source_member(r->row, "answerKey"));
    while (key && i < n && strcmp(key, json_string_value(json_array_get(labels, i))) != 0)
        i++;
    if (!key || i == n)
        return wrong(r, "answerKey", "one of choices.label");
    r->to->answer = (uint32_t)i;
    char *before = bare ? xstrdup(q) : asked(q);
    bool ok = add_choices(r, before, texts);
    free(before);
    return ok;
}

/* HellaSwag's texts from WikiHow have marks in brackets: " [title]" ends a sentence, the others go, and so do
 * double spaces. */
static char *without_marks(const char *s)
{
    struct buf b = {0}, out = {0};
    char *t = trimmed(s);
    for (const char *c = t; *c;) {
        const char *close = *c == '[' ? strchr(c, ']') : NULL;
        if (!strncmp(c, " [title]", 8)) {
            buf_str(&b, ". ");
            c += 8;
        } else if (close && !memchr(c, '\n', (size_t)(close - c))) {
            c = close + 1;
        } else {
            buf_char(&b, *c++);
        }
    }
    for (const char *c = b.s ? b.s : ""; *c; c++) {
        buf_char(&out, *c);
        if (c[0] == ' ' && c[1] == ' ')
            c++;
    }
    free(t);
    buf_clear(&b);
    return out.s ? out.s : xstrdup("");
}

/* "activity: ctx_a Ctx_b" where the row has them, else its ctx. */
static char *scene(struct reader *r)
{
    const char *activity = json_string_value(source_member(r->row, "activity_label")),
               *a = json_string_value(source_member(r->row, "ctx_a")),
               *b = json_string_value(source_member(r->row, "ctx_b")), *ctx = text_of(r, "ctx");
    if (!ctx)
        return NULL;
    char *whole = activity && a && b ? xasprintf("%s: %s %s", activity, a, b) : xstrdup(ctx);
    if (activity && a && b) {
        char *c = whole + strlen(whole) - strlen(b);
        for (size_t i = 0; c[i]; i++) /* as Python's capitalize, but for letters beyond ASCII */
            c[i] = (char)(i ? tolower((unsigned char)c[i]) : toupper((unsigned char)c[i]));
    }
    char *clean = without_marks(whole);
    free(whole);
    return clean;
}

static bool read_endings(struct reader *r, const struct form *f)
{
    const json_t *list = source_member(r->row, "endings");
    (void)f;
    if (!check_texts(r, list, "endings") || !answer_number(r, "label", 0, (uint32_t)json_array_size(list)))
        return false;
    char *before = scene(r);
    bool ok = before != NULL;
    for (size_t i = 0; ok && i < json_array_size(list); i++) {
        char *ending = without_marks(json_string_value(json_array_get(list, i)));
        ok = (*ending || err_set(r->e, ERR_INPUT, "'endings': choice %zu is empty", i + 1)) &&
             add(r, before, " ", ending, count_chars(ending));
        free(ending);
    }
    free(before);
    return ok;
}

static bool read_two(struct reader *r, const struct form *f)
{
    const char *goal = text_of(r, "goal"), *one = goal ? text_of(r, "sol1") : NULL,
               *two = one ? text_of(r, "sol2") : NULL;
    (void)f;
    if (!two || !answer_number(r, "label", 0, 2))
        return false;
    char *before = asked(goal);
    bool ok = add(r, before, " ", one, count_chars(one)) && add(r, before, " ", two, count_chars(two));
    free(before);
    return ok;
}

/* What follows the gap is scored, behind each option in it: so the choices differ in front. */
static bool read_gap(struct reader *r, const struct form *f)
{
    const char *s = text_of(r, "sentence"), *gap = s ? strchr(s, BLANK_MARK) : NULL;
    bool ok = s != NULL && answer_number(r, "answer", 1, 2);
    (void)f;
    if (ok && (!gap || !gap[1 + strspn(gap + 1, SPACE)]))
        return wrong(r, "sentence", "a text with a gap (_), and something behind it");
    char *after = ok ? trimmed(gap + 1) : NULL;
    for (int i = 0; ok && i < 2; i++) {
        const char *option = text_of(r, i ? "option2" : "option1");
        char *before = option ? xasprintf("%.*s%s", (int)(gap - s), s, option) : NULL;
        ok = before && add(r, before, " ", after, count_chars(after));
        free(before);
    }
    free(after);
    return ok;
}

static bool read_yes_no(struct reader *r, const struct form *f)
{
    const char *key = f->members[2], *passage = text_of(r, "passage"),
               *q = passage ? text_of(r, "question") : NULL;
    const json_t *v = source_member(r->row, key);
    if (!q)
        return false;
    if (json_is_boolean(v))
        r->to->answer = json_is_true(v);
    else if (!answer_number(r, key, 0, 2))
        return false;
    char *before = xasprintf("%s\nQuestion: %s?\nAnswer:", passage, q);
    bool ok = add(r, before, " ", "no", 2) && add(r, before, " ", "yes", 3);
    free(before);
    return ok;
}

/* ---- the whole ---- */

static const struct form *form_of(const json_t *row)
{
    for (size_t i = 0; i < COUNT(forms); i++) {
        bool all = true;
        for (int k = 0; k < N_MEMBERS && forms[i].members[k]; k++)
            all = all && source_member(row, forms[i].members[k]);
        if (all)
            return &forms[i];
    }
    return NULL;
}

static bool no_form(const json_t *row, struct err *e)
{
    struct buf b = {0};
    const char *key;
    json_t *v;
    size_t n = 0;
    char shown[TEXT_SHOWN];
    buf_str(&b, "row has ");
    json_object_foreach ((json_t *)(uintptr_t)row, key, v) {
        if (n++ < MAX_SHOWN)
            buf_fmt(&b, "%s'%s'", n > 1 ? ", " : "", text_shown(shown, sizeof shown, key));
    }
    if (n > MAX_SHOWN)
        buf_fmt(&b, " and %zu more", n - MAX_SHOWN);
    buf_str(&b, n ? "" : "nothing");
    buf_str(&b, ", which is no form of a question; one is");
    for (size_t i = 0; i < COUNT(forms); i++)
        for (int k = 0; k < N_MEMBERS && forms[i].members[k]; k++)
            buf_fmt(&b, "%s%s", k ? "/" : i ? ", " : " ", forms[i].members[k]);
    err_set(e, ERR_INPUT, "%s", b.s);
    buf_clear(&b);
    return false;
}

static void row_clear(struct question_row *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        free(r->list[i].before);
        free(r->list[i].after);
    }
    free(r->list);
    free(r->id);
}

static bool read_row(struct question_file *f, const json_t *row, struct question_row *to, struct err *e)
{
    if (!json_is_object(row))
        return err_set(e, ERR_INPUT, "row is %s, expected an object", json_type_name(row));
    const struct form *form = form_of(row);
    struct reader r = {row, to, e};
    if (!form)
        return no_form(row, e);
    if (f->form && strcmp(f->form, form->name) != 0)
        return err_set(e, ERR_INPUT, "row is of the form '%s', the rows before it are '%s'", form->name,
                       f->form);
    f->form = form->name;
    return form->read(&r, form) && (!source_member(row, "id") || source_id(row, 0, &to->id, e));
}

static bool on_row(void *ud, struct rowfile_place at, const char *s, size_t n, struct err *e)
{
    struct question_file *f = ud;
    struct question_row row = {.line = at.line};
    json_t *v = json_parse_row(s, n, e);
    bool ok = v && read_row(f, v, &row, e);
    json_decref(v);
    if (!ok) {
        row_clear(&row);
        return err_ctx(e, "line %u", at.line);
    }
    GROW(f->rows, f->n, f->cap);
    f->rows[f->n++] = row;
    return true;
}

bool question_file_read(struct question_file *f, const char *path, struct err *e)
{
    struct buf b = {0};
    size_t bom;
    *f = (struct question_file){.path = path};
    bool ok = source_read(path, NULL, &b, &bom, e) && foreign_check(path, b.s ? b.s : "", b.n, e) &&
              ((rowfile_each(b.s ? b.s + bom : "", b.n - bom, on_row, f, e) &&
                (f->n || err_set(e, ERR_INPUT, "no rows in it"))) ||
               (e->code != ERR_INTERRUPTED && err_ctx(e, "%s", path)));
    buf_clear(&b);
    if (!ok)
        question_file_clear(f);
    return ok;
}

void question_file_clear(struct question_file *f)
{
    for (uint32_t i = 0; i < f->n; i++)
        row_clear(&f->rows[i]);
    free(f->rows);
    *f = (struct question_file){0};
}
