/* dump.c - all that records say, for scripts/docs.sh: a line is a word and fields behind tabs.
 *
 *   command  name summary               begins a command; what follows is of it
 *   usage    form                       once for each form
 *   operands min max words first        words: of the last operand, separated by blanks; first: what the first may be
 *                                       besides; both may be empty
 *   example  line
 *   heading  text
 *   option   name alias also kind value help default default-is min max required group choices sentence
 *   criterion, family, class, tensor, method    rows of other tables, behind the commands */
#include "cmd/cmd.h"
#include "convert/forms.h"
#include "family/conversion.h"
#include "family/family.h"
#include "stats/criteria.h"

#include <string.h>

static const char *const kinds[] = {
    [OPT_KIND_FLAG] = "flag",         [OPT_KIND_COUNT] = "flag",  [OPT_KIND_INT] = "int",
    [OPT_KIND_REAL] = "real",         [OPT_KIND_SHARE] = "share", [OPT_KIND_SIZE] = "size",
    [OPT_KIND_DURATION] = "duration", [OPT_KIND_STR] = "str",     [OPT_KIND_PATH] = "path",
    [OPT_KIND_DIR] = "dir",           [OPT_KIND_PATHS] = "paths", [OPT_KIND_STRS] = "str",
    [OPT_KIND_CHOICE] = "word",       [OPT_KIND_WORD] = "word",   [OPT_KIND_PICKS] = "words",
    [OPT_KIND_RATIOS] = "ratios",     [OPT_KIND_MODEL] = "path",  [OPT_KIND_OPERAND] = "str",
    [OPT_KIND_CONFIG] = "path",
};

static void field(struct buf *b, const char *s)
{
    buf_fmt(b, "\t%s", s ? s : "");
}

static void choices(struct buf *b, const struct opt_choices *c)
{
    buf_char(b, '\t');
    for (uint32_t i = 0; c && opt_choice(c, i); i++)
        buf_fmt(b, "%s%s", i ? " " : "", opt_choice(c, i));
}

/* "word a", "word b" for the lines of a text. */
static void lines(struct buf *b, const char *word, const char *text)
{
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t n = strcspn(text, "\n");
        buf_fmt(b, "%s\t%.*s\n", word, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void dump_option(struct buf *b, const struct opt *o)
{
    struct buf sentence = {0};
    if (o->kind == OPT_KIND_HEADING) {
        buf_fmt(b, "heading\t%s\n", o->name);
        return;
    }
    buf_str(b, "option");
    field(b, o->name);
    field(b, o->alias);
    field(b, o->also);
    field(b, kinds[o->kind]);
    field(b, o->arg);
    field(b, o->help);
    field(b, o->dflt);
    field(b, o->dflt_is);
    buf_fmt(b, "\t%.15g\t%.15g\t%s\t%s", o->min, o->max, o->required ? "required" : "",
            o->group ? (const char[]){o->group, 0} : "");
    choices(b, o->choices);
    opt_describe(&sentence, o);
    field(b, sentence.s);
    buf_char(b, '\n');
    buf_clear(&sentence);
}

static void dump_command(struct buf *b, const struct cmd *c)
{
    const struct opt *o;
    buf_fmt(b, "command\t%s\t%s\n", c->name, c->summary);
    lines(b, "usage", c->usage);
    buf_fmt(b, "operands\t%u\t%u", c->min_args, c->max_args);
    choices(b, c->words);
    choices(b, c->first);
    buf_char(b, '\n');
    lines(b, "example", c->example);
    const struct opt *tables[CMD_TABLES];
    cmd_tables(c, tables);
    for (uint32_t i = 0; (o = opt_at(tables, i)); i++)
        dump_option(b, o);
}

static void dump_class(struct buf *b, const struct family_class *c)
{
    bool file_only = c->convert && c->convert->flags & CONVERT_FILE_ONLY;
    buf_fmt(b, "class\t%s\t%s\t%s\n", c->name, c->convert ? "converted" : "", file_only ? "file" : "numbers");
}

static void dump_family(struct buf *b, const struct family *f)
{
    buf_str(b, "family");
    field(b, f->arch);
    field(b, f->models);
    field(b, f->gate);
    field(b, f->refuse);
    field(b, f->refuse_checkpoint);
    field(b, f->refuse_native);
    buf_char(b, '\n');
    for (int i = 0; i < FAMILY_CLASSES && f->classes[i].name; i++)
        dump_class(b, &f->classes[i]);
}

static void dump_tensor(struct buf *b, const struct tensor_rule *r)
{
    static const char *const of[] = {[ROLE_EXPERT] = "experts",
                                     [ROLE_ROUTER] = "router",
                                     [ROLE_SELECT] = "choice of experts",
                                     [ROLE_TABLE] = "ids of experts",
                                     [ROLE_REFUSE] = "refused"};
    buf_fmt(b, "tensor\t%s\t%s\t%s\t", r->suffix, of[r->role], r->shape ? r->shape : "");
    if (r->axis >= 0)
        buf_fmt(b, "%d", r->axis);
    buf_fmt(b, "\t%s\n", r->why ? r->why : "");
}

void cmd_dump(struct buf *b)
{
    const struct tensor_rule *r;
    const struct criterion *c;
    const struct family *f;
    const struct forms_method *m;
    for (size_t i = 0; cmds[i]; i++)
        dump_command(b, cmds[i]);
    for (uint32_t i = 0; (c = criterion_at(i)); i++) {
        buf_str(b, "criterion");
        const char *const cells[] = {c->name, c->aliases[0], c->aliases[1], c->formula, c->what, c->note};
        for (size_t k = 0; k < sizeof cells / sizeof *cells; k++)
            field(b, cells[k]);
        buf_char(b, '\n');
    }
    for (uint32_t i = 0; (f = family_at(i)); i++)
        dump_family(b, f);
    for (uint32_t i = 0; (r = family_rule_at(i)); i++)
        dump_tensor(b, r);
    for (uint32_t i = 0; (m = forms_method_at(i)); i++)
        buf_fmt(b, "method\t%s\t%s\n", m->name, m->why ? m->why : "");
}
