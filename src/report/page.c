/* page.c - the frame of the page, its sections in their order, and the pieces that sections share. */
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "report/page_part.h"
#include "results/run.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

extern const unsigned char embed_report_css[], embed_report_js[];
extern const unsigned long embed_report_css_size, embed_report_js_size;

static const struct section *const sections[] = {
    &section_summary,   &section_remarks,   &section_made,  &section_text,    &section_quality,
    &section_questions, &section_choice,    &section_sweep, &section_map,     &section_layers,
    &section_scores,    &section_stability, &section_low,   &section_answers,
};
#define N_SECTIONS (sizeof sections / sizeof *sections)

/* ---- pieces ---- */

void put_td(struct buf *b, double v)
{
    char s[32];
    if (isfinite(v))
        buf_fmt(b, "<td>%s</td>", html_number(v, s));
    else
        buf_str(b, "<td></td>");
}

void put_td_bar(struct buf *b, double v, double mark)
{
    put_td_bar_with(b, v, mark, "");
}

void put_td_bar_with(struct buf *b, double v, double mark, const char *more)
{
    char s[32];
    if (!isfinite(v)) {
        buf_str(b, "<td></td>");
        return;
    }
    double w = v < 0 ? 0 : v > 1 ? 1 : v;
    buf_fmt(b, "<td class=\"bar\"><span>%s%s</span><i style=\"--v:%.1f%%", percent_text(v, s), more, 100 * w);
    if (isfinite(mark))
        buf_fmt(b, ";--m:%.1f%%\" class=\"marked", 100 * (mark < 0 ? 0 : mark > 1 ? 1 : mark));
    buf_str(b, "\"></i></td>");
}

void put_table_open(struct buf *b, const char *name, const char *head)
{
    buf_fmt(
        b, "<div class=\"scroll\" role=\"region\" aria-label=\"Table: %s\" tabindex=\"0\"><table><thead><tr>",
        name);
    while (*head) {
        size_t n = strcspn(head, "|");
        bool left = *head == '<';
        buf_fmt(b, "<th scope=\"col\"%s>%.*s</th>", left ? " class=\"left\"" : "", (int)(n - left),
                head + left);
        head += n + (head[n] == '|');
    }
    buf_str(b, "</tr></thead><tbody>\n");
}

void put_table_close(struct buf *b)
{
    buf_str(b, "</tbody></table></div>\n");
}

void put_ids(struct buf *b, const uint8_t *flags, uint32_t n, uint8_t want)
{
    const char *sep = "";
    for (uint32_t j = 0; j < n; j++) {
        uint32_t from = j;
        if (flags[j] != want)
            continue;
        while (j + 1 < n && flags[j + 1] == want)
            j++;
        buf_fmt(b, j == from ? "%s%u" : j == from + 1 ? "%s%u, %u" : "%s%u\xe2\x80\x93%u", sep, from, j);
        sep = ", ";
    }
}

/* ---- the frame ---- */

static void put_title(struct page *p)
{
    const char *name = report_text(p->model, "name");
    if (p->o->title) {
        html_clip(&p->b, p->o->title, 300);
        return;
    }
    html_clip(&p->b, name ? name : "a model", 200);
    if (p->plan)
        buf_fmt(&p->b, ": %u of %u experts", p->n_keep, p->n_experts);
    else
        buf_str(&p->b, ": statistics of its experts");
}

/* Only the script of ours runs, told by its hash, and nothing is loaded: so even text that got through as
 * markup could do nothing. Data in script elements of another type is not run and needs no permission. */
static void put_policy(struct buf *b)
{
    uint8_t raw[32];
    sha256_raw(embed_report_js, embed_report_js_size, raw);
    buf_str(b, "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
               "style-src 'unsafe-inline'; script-src 'sha256-");
    base64_add(b, raw, sizeof raw);
    buf_str(b, "'; base-uri 'none'; form-action 'none'\">\n");
}

static void put_head(struct page *p)
{
    struct buf *b = &p->b;
    buf_str(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    put_policy(b);
    buf_str(b, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
               "<meta name=\"color-scheme\" content=\"light dark\">\n"
               "<meta name=\"generator\" content=\"reap " REAP_VERSION
               "\">\n<link rel=\"icon\" href=\"data:,\">\n<title>");
    put_title(p);
    buf_str(b, "</title>\n<style>\n");
    buf_add(b, embed_report_css, embed_report_css_size);
    buf_str(
        b,
        "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>\n<h1><bdi>");
    put_title(p);
    buf_str(b, "</bdi></h1>\n");
}

static void put_contents(struct page *p)
{
    struct buf *b = &p->b;
    buf_str(b, "<nav aria-label=\"Contents\"><ul>\n");
    for (size_t i = 0; i < N_SECTIONS; i++)
        if (sections[i]->has(p))
            buf_fmt(b, "<li><a href=\"#%s\">%s</a></li>\n", sections[i]->id, sections[i]->title);
    buf_str(b, "</ul></nav>\n</header>\n<main id=\"main\" tabindex=\"-1\">\n");
}

static uint32_t put_page(struct page *p)
{
    struct buf *b = &p->b;
    uint32_t n = 0;
    put_head(p);
    put_contents(p);
    for (size_t i = 0; i < N_SECTIONS; i++) {
        const struct section *s = sections[i];
        if (!s->has(p))
            continue;
        n++;
        buf_fmt(b, "<section id=\"%s\" aria-labelledby=\"h-%s\">\n<h2 id=\"h-%s\">%s</h2>\n", s->id, s->id,
                s->id, s->title);
        s->put(p);
        buf_str(b, "</section>\n");
    }
    buf_str(
        b,
        "</main>\n<footer><p>Made by reap " REAP_VERSION
        " from the files named above. This page is complete in itself: it loads nothing.</p></footer>\n<script>");
    buf_add(b, embed_report_js, embed_report_js_size);
    buf_str(b, "</script>\n</body>\n</html>\n");
    return n;
}

/* ---- writing ---- */

static bool check_output(const struct report_opts *o, const char *out, struct err *e)
{
    const char *in[] = {o->plan,  o->eval_base,  o->eval_after, o->eval_type, o->against,
                        o->sweep, o->compare[0], o->compare[1], o->run,       o->model};
    if (!o->stats && !o->plan)
        return err_set(e, ERR_INPUT, "a report needs --stats or --plan");
    for (size_t i = 0; i < sizeof in / sizeof *in; i++)
        if (!file_check_apart(out, in[i], "an input", e))
            return false;
    return stats_check_apart(out, o->stats, "an input", e) && file_check_output(out, o->force, e);
}

bool report_write(const struct report_opts *o, const char *out, struct report_result *r, struct err *e)
{
    struct page p = {0};
    bool ok =
        check_output(o, out, e) && page_load(&p, o, e) && (!p.view || view_check_output(p.view, out, e));
    if (ok) {
        r->n_sections = put_page(&p);
        r->bytes = p.b.n;
        ok = file_write_atomic(out, p.b.s, p.b.n, o->force, e);
    }
    page_clear(&p);
    return ok;
}

struct found { /* by the record of a folder */
    struct pass pass;
    char *against, *model, *card; /* NULL: none, or not there any more; card: its address from this folder */
    char *eval_type, *type;       /* of the result in another type; NULL: the last call made none */
    char *stats;                  /* that were given: those of the folder are others then; NULL: none were */
    uint64_t bytes_before, bytes_after;
};

/* The address, from the folder, of a file that lies beside it, or in a folder beside it; NULL: elsewhere. */
static char *address_of(const char *dir, const char *path)
{
    struct buf b = {0};
    char *here = realpath(dir, NULL), *there = realpath(path, NULL);
    char *beside = here ? path_dir(here) : NULL;
    size_t n = beside ? strlen(beside) : 0;
    const char *rest = there && n && !strncmp(there, beside, n) && there[n] == '/' ? there + n + 1 : NULL;
    const char *slash = rest ? strchr(rest, '/') : NULL;
    if (rest && !(slash && strchr(slash + 1, '/'))) {
        buf_str(&b, "../");
        for (; *rest; rest++)
            if (*rest == '/' || *rest == '.' || *rest == '-' || *rest == '_' || isalnum((unsigned char)*rest))
                buf_char(&b, *rest);
            else
                buf_fmt(&b, "%%%02X", (unsigned char)*rest);
    }
    free(here);
    free(there);
    free(beside);
    return b.s;
}

/* The file of the folder, if it is wanted and there; else NULL. Caller frees. */
static char *in_folder(const char *dir, enum run_file file, bool wanted, bool *ok, struct err *e)
{
    char *path = path_join(dir, run_file_names[file]);
    bool there = false;
    *ok = *ok && (!wanted || file_there(path, &there, e));
    if (there)
        return path;
    free(path);
    return NULL;
}

/* The plan against the parent, where the last call asked a pass mark of it, and the result in a type, where it made one;
 * what another call left is of another plan, maybe. The parent, where it still is. */
static bool find_record(const char *dir, struct found *f, struct err *e)
{
    struct run_record r = {0};
    bool there = false, ok = true;
    char *record = in_folder(dir, RUN_RECORD, true, &ok, e);
    ok = ok && (!record || run_record_read(record, &r, e));
    const struct run_outcome *x = &r.outcome;
    f->pass = r.pass;
    f->bytes_before = x->bytes_before;
    f->bytes_after = x->bytes_after;
    f->stats = r.stats ? xstrdup(r.stats) : NULL;
    f->type = x->type ? xstrdup(x->type) : NULL;
    f->against = in_folder(dir, RUN_EVAL_AGAINST, pass_any(&f->pass), &ok, e);
    f->eval_type = in_folder(dir, RUN_EVAL_TYPE, f->type != NULL, &ok, e);
    ok = ok && (!x->model || file_there(x->model, &there, e));
    if (there)
        f->model = xstrdup(x->model);
    if (ok && x->card)
        f->card = address_of(dir, x->card);
    run_record_clear(&r);
    free(record);
    return ok;
}

bool report_work(const char *dir, const struct report_opts *o, const char *out, struct report_result *r,
                 struct err *e)
{
    struct report_opts x = *o;
    struct {
        const char *name, **to;
        char *path;
    } files[] = {{run_file_names[RUN_STATS], &x.stats, NULL},
                 {run_file_names[RUN_PLAN], &x.plan, NULL},
                 {run_file_names[RUN_EVAL_BEFORE], &x.eval_base, NULL},
                 {run_file_names[RUN_EVAL_AFTER], &x.eval_after, NULL},
                 {run_file_names[RUN_COMPARE], &x.compare[0], NULL},
                 {"sweep.json", &x.sweep, NULL}, /* put there by hand */
                 {run_file_names[RUN_RECORD], &x.run, NULL}};
    const size_t n = sizeof files / sizeof *files;
    if (!file_is_dir(dir))
        return err_set(e, ERR_INPUT, "'%s' is not a folder of reap run", dir);
    struct found found = {0};
    bool ok = find_record(dir, &found, e);
    if (found.stats && !x.stats && file_exists(found.stats))
        x.stats = found.stats;
    if (found.against && !o->against && !o->eval_base) {
        x.against = found.against;
        x.pass = &found.pass;
    }
    if (!o->eval_base) {
        x.eval_type = found.eval_type;
        x.type = found.type;
    }
    x.model = x.model ? x.model : found.model;
    char *place = path_dir(out);
    x.card = x.card || !file_same(place, dir) ? x.card : found.card; /* from elsewhere it would lead astray */
    free(place);
    x.bytes_before = x.bytes_before ? x.bytes_before : found.bytes_before;
    x.bytes_after = x.bytes_after ? x.bytes_after : found.bytes_after;
    for (size_t i = 0; i < n; i++) {
        files[i].path = path_join(dir, files[i].name);
        /* evaluations go in pairs: one that was named is not joined with one of the folder */
        bool named = *files[i].to || (found.stats && i == 0) || (x.against && (i == 2 || i == 3)) ||
                     (o->eval_base && i == 3);
        bool there = false;
        ok = ok && (named || file_there(files[i].path, &there, e));
        if (there)
            *files[i].to = files[i].path;
    }
    if (ok)
        ok = x.stats || x.plan ? report_write(&x, out, r, e)
                               : err_set(e, ERR_INPUT, "'%s' has neither stats.json nor plan.json", dir);
    for (size_t i = 0; i < n; i++)
        free(files[i].path);
    free(found.against);
    free(found.eval_type);
    free(found.type);
    free(found.model);
    free(found.card);
    free(found.stats);
    return ok;
}
