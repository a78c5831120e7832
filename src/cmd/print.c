/* print.c - results on standard output, as text and with --json; see cmd.h. */
#include "base/log.h"
#include "base/term.h"
#include "base/text.h"
#include "cmd/cmd.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

void cmd_fmt(struct buf *b, const char *fmt, ...)
{
    char *s;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        BUG("a line cannot be made");
    size_t len = strlen(fmt), head = strspn(fmt, "\n"), tail = 0;
    while (tail + head < len && fmt[len - 1 - tail] == '\n')
        tail++;
    buf_add(b, s, head);
    buf_safe(b, s + head, (size_t)n - head - tail);
    buf_add(b, s + (size_t)n - tail, tail);
    free(s);
}

bool cmd_print_raw(struct buf *b, struct err *e)
{
    bool ok = (!b->n || fwrite(b->s, 1, b->n, stdout) == b->n) && fflush(stdout) == 0;
    int no = errno;
    buf_clear(b);
    if (!ok && no == EPIPE)
        return err_set(e, ERR_PIPE, "the reader of standard output has gone");
    errno = no;
    return ok || err_sys(e, "cannot write to standard output");
}

/* Lines of the text that is being made, which will be bold; by place, so that no text of others can ask for it. */
static struct {
    size_t from, to;
} heads[64];
static size_t n_heads;

void cmd_head(struct buf *b)
{
    size_t to = b->n, from = to;
    while (from && b->s[from - 1] != '\n')
        from--;
    buf_char(b, '\n');
    if (n_heads < sizeof heads / sizeof *heads && *term_on(STDOUT_FILENO, TERM_HEADING)) {
        heads[n_heads].from = from;
        heads[n_heads++].to = to;
    }
}

bool cmd_print(struct buf *b, struct err *e)
{
    struct buf safe = {0};
    size_t at = 0;
    for (size_t i = 0; i < n_heads && heads[i].from >= at && heads[i].to <= b->n; i++) {
        buf_safe_but(&safe, b->s + at, heads[i].from - at, "\n");
        buf_str(&safe, term_on(STDOUT_FILENO, TERM_HEADING));
        buf_safe_but(&safe, b->s + heads[i].from, heads[i].to - heads[i].from, "");
        buf_str(&safe, term_off(STDOUT_FILENO));
        at = heads[i].to;
    }
    n_heads = 0;
    buf_safe_but(&safe, b->s + at, b->n - at, "\n");
    buf_clear(b);
    return cmd_print_raw(&safe, e);
}

static bool json_printed;

bool cmd_print_json(const char *command, json_t *o, struct err *e)
{
    json_printed = true;
    json_t *all = json_object(), *w = json_array();
    char **list;
    size_t n = log_warnings(&list);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(w, json_text(list[i]));
    json_object_set_new(all, "reap", json_string(REAP_VERSION));
    json_object_set_new(all, "command", json_string(command));
    json_object_update(all, o);
    json_object_set_new(all, "warnings", w);
    struct buf b = {0};
    json_print(&b, all);
    json_decref(all);
    json_decref(o);
    return cmd_print_raw(&b, e);
}

bool cmd_print_error(const char *command, const struct err *e)
{
    struct err closed = {0};
    json_t *o = json_object(), *x = json_object();
    if (json_printed || e->code == ERR_PIPE) { /* the result tells, or nobody reads */
        json_decref(o);
        json_decref(x);
        return true;
    }
    json_object_set_new(x, "message", json_text(e->msg));
    json_object_set_new(x, "status", json_integer(e->code));
    json_object_set_new(o, "error", x);
    return cmd_print_json(command, o, &closed);
}
