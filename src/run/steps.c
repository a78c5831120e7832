/* steps.c - see steps.h. */
#include "run/steps.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>
#include <unistd.h>

static const struct step_files no_files = {0};

static struct step_files outputs(const struct steps *s, const struct step *x)
{
    return x->outputs ? x->outputs(s->ctx, x->arg) : no_files;
}

static bool is_wanted(const struct steps *s, const struct step *x)
{
    return !x->wanted || x->wanted(s->ctx, x->arg);
}

/* ---- keys ---- */

/* A line of the record; names are made safe, because it stands in JSON. */
static void put_file(struct buf *b, const char *path)
{
    buf_str(b, "file ");
    buf_line(b, path, strlen(path));
    buf_char(b, ' ');
    file_stamp(path, b);
    buf_char(b, '\n');
}

static void put_files(struct buf *b, struct step_files f)
{
    buf_str(b, ""); /* none is an empty string */
    for (uint32_t i = 0; i < f.n; i++)
        put_file(b, f.v[i]);
}

/* hex holds the key of the step before, and then that of this one. */
static bool make_key(const struct steps *s, const struct step *x, char hex[65], struct err *e)
{
    struct buf b = {0};
    buf_fmt(&b, "%s\n", x->name);
    if (x->chained)
        buf_fmt(&b, "%s\n", hex);
    put_files(&b, x->inputs ? x->inputs(s->ctx, x->arg) : no_files);
    bool ok = !x->key || x->key(s->ctx, x->arg, &b, e);
    sha256_bytes(b.s, b.n, hex);
    buf_clear(&b);
    return ok;
}

/* NULL: none. */
static const char *make_basis(const struct steps *s, const struct step *x, char hex[65])
{
    struct buf b = {0};
    if (!x->basis)
        return NULL;
    x->basis(s->ctx, x->arg, &b);
    sha256_bytes(b.s, b.n, hex);
    buf_clear(&b);
    return hex;
}

/* ---- the record ---- */

static bool is_done(const struct steps *s, const struct step *x, const char *key)
{
    const struct run_step *was = run_record_find(&s->done, x->name);
    if (s->again || !was || !was->key || !was->files || strcmp(was->key, key) != 0)
        return false;
    struct step_files f = outputs(s, x);
    struct buf now = {0};
    put_files(&now, f);
    bool done = !strcmp(was->files, now.s);
    for (uint32_t i = 0; done && i < f.n; i++)
        done = file_exists(f.v[i]);
    buf_clear(&now);
    return done;
}

static char *safe_name(const char *path, struct buf *b)
{
    buf_line(b, path, strlen(path));
    return b->s ? b->s : "";
}

static bool has_line(const char *text, const char *line)
{
    for (const char *p = text; (p = strstr(p, line)) != NULL; p++)
        if (p == text || p[-1] == '\n')
            return true;
    return false;
}

/* What an earlier call wrote, and nobody touched since, or was about to write when it was killed. */
static bool is_ours(const struct steps *s, const struct step *x, const char *path)
{
    const struct run_step *was = run_record_find(&s->done, x->name);
    struct step_files f = outputs(s, x);
    struct buf line = {0}, first = {0};
    put_file(&line, path);
    bool ours = was && ((was->files && has_line(was->files, line.s)) ||
                        (was->writing && f.n && !strcmp(was->writing, safe_name(f.v[0], &first))));
    buf_clear(&line);
    buf_clear(&first);
    return ours;
}

static bool check_outputs(const struct steps *s, const struct step *x, struct err *e)
{
    struct step_files f = outputs(s, x);
    for (uint32_t i = 0; x->check && i < f.n; i++)
        if (!x->check(s->ctx, x->arg, f.v[i], is_ours(s, x, f.v[i]), e))
            return false;
    return true;
}

static bool note_writing(struct steps *s, const struct step *x, const char *basis, double secs, struct err *e)
{
    struct step_files f = outputs(s, x);
    struct buf first = {0};
    if (!f.n)
        return true;
    run_record_writing(&s->done, x->name, safe_name(f.v[0], &first), basis, secs);
    buf_clear(&first);
    return run_record_write(s->record, &s->done, e);
}

static bool note_done(struct steps *s, const struct step *x, const char *key, const char *basis, double secs,
                      struct err *e)
{
    struct buf now = {0};
    put_files(&now, outputs(s, x));
    run_record_done(&s->done, x->name, key, now.s, basis, secs);
    buf_clear(&now);
    return run_record_write(s->record, &s->done, e);
}

bool steps_open(struct steps *s, struct err *e)
{
    struct err bad = {0};
    bool there;
    if (!file_there(s->record, &there, e))
        return false;
    if (there && !run_record_read(s->record, &s->done, &bad))
        log_warn("%s; all steps are done again", bad.msg);
    return true;
}

void steps_clear(struct steps *s)
{
    run_record_clear(&s->done);
    free(s->times);
}

/* ---- doing them ---- */

bool steps_check(const struct steps *s, struct err *e)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (is_wanted(s, &s->list[i]) && !check_outputs(s, &s->list[i], e))
            return false;
    return true;
}

/* Something of an earlier try is there to go on from. */
static bool is_begun(const struct steps *s, const struct step *x, const char *basis, bool *begun,
                     struct err *e)
{
    const struct run_step *was = run_record_find(&s->done, x->name);
    struct step_files f = outputs(s, x);
    *begun = false;
    if (!x->goes_on || s->again || !f.n)
        return true;
    if (!file_there(f.v[0], begun, e))
        return false;
    *begun = *begun && (!basis || (was && was->basis && !strcmp(was->basis, basis)));
    return true;
}

static void remove_outputs(const struct steps *s, const struct step *x)
{
    struct step_files f = outputs(s, x);
    for (uint32_t i = 0; i < f.n; i++)
        unlink(f.v[i]);
}

static bool writes(struct step_files f, const char *safe)
{
    bool same = false;
    for (uint32_t i = 0; !same && i < f.n; i++) {
        struct buf b = {0};
        same = !strcmp(safe_name(f.v[i], &b), safe);
        buf_clear(&b);
    }
    return same;
}

/* The name in a line of the record, if that file is there and untouched; else NULL. */
static char *name_in(const char *line, size_t n)
{
    size_t at = strlen("file "), end = n;
    for (int fields = 0; fields < 2 && end > at;) /* behind it are size and time */
        fields += line[--end] == ' ';
    if (end <= at || strncmp(line, "file ", at) != 0)
        return NULL;
    char *name = xstrndup(line + at, end - at);
    struct buf now = {0};
    put_file(&now, name);
    if (now.n != n + 1 || strncmp(now.s, line, n) != 0) {
        free(name);
        name = NULL;
    }
    buf_clear(&now);
    return name;
}

/* What an earlier call put beside the result, as its record has it, and this one does not write: nobody removes it, and nobody
 * shall take it for a part. */
static void say_left(const struct steps *s, const struct step *x, const char *files)
{
    struct step_files f = is_wanted(s, x) ? outputs(s, x) : no_files;
    for (const char *end; x->check && files && (end = strchr(files, '\n')) != NULL; files = end + 1) {
        char *name = name_in(files, (size_t)(end - files));
        if (name && !writes(f, name))
            log_note("          %s is of an earlier call, and no part of this result", name);
        free(name);
    }
}

/* Of what is made from the step as well, and is not asked for now. */
static void say_all_left(const struct steps *s, const struct step *x, const char *files)
{
    say_left(s, x, files);
    for (const struct step *y = x + 1; x->check && y < s->list + s->n; y++) {
        const struct run_step *was = is_wanted(s, y) ? NULL : run_record_find(&s->done, y->name);
        if (was)
            say_left(s, y, was->files);
    }
}

/* *secs: what it took so far, and then with this call. */
static bool do_step(struct steps *s, const struct step *x, const char *basis, double *secs, struct err *e)
{
    const struct run_step *was = run_record_find(&s->done, x->name);
    double begun_at = now_secs(), before = was && !was->key ? was->secs : 0;
    bool begun;
    if (!is_begun(s, x, basis, &begun, e))
        return false;
    before = begun ? before : 0;
    if (basis && !begun)
        remove_outputs(s, x); /* before the record says that they are of this basis */
    if (!note_writing(s, x, basis, before, e))
        return false;
    bool ok = x->run(s->ctx, x->arg, begun, e);
    if (!ok && begun && !basis && e->code == ERR_INPUT) {
        err_clear(e); /* of another key, or broken */
        before = 0;
        ok = x->run(s->ctx, x->arg, false, e);
    }
    *secs = before + now_secs() - begun_at;
    return ok;
}

/* What an ended call took is part of what the step takes; that the call failed is said by others. */
static void note_time(struct steps *s, const struct step *x, const char *basis, double secs)
{
    struct err ignored = {0};
    if (x->goes_on && secs > 0)
        (void)note_writing(s, x, basis, secs, &ignored);
}

static bool try_step(struct steps *s, const struct step *x, const char *key, struct err *e)
{
    char hex[65];
    double secs = 0;
    const char *basis = make_basis(s, x, hex);
    if (!check_outputs(s, x, e))
        return false;
    const struct run_step *was = run_record_find(&s->done, x->name);
    char *files = was && was->files ? xstrdup(was->files) : NULL; /* the record forgets them */
    bool ok = do_step(s, x, basis, &secs, e);
    if (ok) {
        say_all_left(s, x, files);
        ok = note_done(s, x, key, basis, secs, e);
    } else {
        note_time(s, x, basis, secs);
    }
    free(files);
    return ok;
}

static void add_time(struct steps *s, const struct step *x, bool now)
{
    const struct run_step *was = run_record_find(&s->done, x->name);
    GROW(s->times, s->n_times, s->cap_times);
    s->times[s->n_times++] = (struct step_time){x->name, was ? was->secs : 0, now};
}

bool steps_run(struct steps *s, struct err *e)
{
    char key[65] = "";
    for (uint32_t i = 0; i < s->n; i++) {
        const struct step *x = &s->list[i];
        if (!is_wanted(s, x))
            continue;
        if (!make_key(s, x, key, e))
            return false;
        bool done = is_done(s, x, key);
        log_note("%-9s %s", x->name, done ? "already done" : "...");
        if (!done && !try_step(s, x, key, e))
            return false;
        add_time(s, x, !done);
        if (x->ready && !x->ready(s->ctx, x->arg, e))
            return false;
    }
    return true;
}

/* Behind a step that is not done the keys are not known, but of steps that need nothing of it. */
bool steps_foresee(struct steps *s, struct err *e)
{
    char key[65] = "", apart[65] = "";
    bool known = true;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct step *x = &s->list[i];
        char *own = known ? key : apart;
        if (!is_wanted(s, x))
            continue;
        bool done = false;
        if (known || x->early) {
            if (!make_key(s, x, own, e))
                return false;
            done = is_done(s, x, own);
        }
        add_time(s, x, !done);
        known = known && done;
        if (known && x->ready && !x->ready(s->ctx, x->arg, e))
            return false;
    }
    return true;
}
