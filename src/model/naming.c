/* naming.c - see naming.h. */
#include "model/naming.h"
#include "base/file.h"
#include "base/hub_path.h"
#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>

#define MARK     "-REAP-"
#define MAX_NAME 200

/* Bytes of a name without an end that we gave it. */
static size_t own_length(const char *name)
{
    size_t n = strlen(name), k = n;
    if (!n || name[n - 1] != 'x')
        return n;
    for (k--; k && isdigit((unsigned char)name[k - 1]); k--)
        ;
    size_t mark = sizeof MARK - 1;
    return k < n - 1 && k > mark && !memcmp(name + k - mark, MARK, mark) ? k - mark : n;
}

char *naming_pruned(const struct view *parent, uint32_t n_keep)
{
    const char *name = parent->name;
    size_t n = own_length(name);
    if (n_keep == parent->shape.n_experts)
        return xstrdup(name);
    if (n > 5 && !strcasecmp(name + n - 5, ".gguf")) /* a file without a name of its own */
        n -= 5;
    return xasprintf("%.*s" MARK "%ux", (int)n, name, n_keep);
}

bool naming_check(const char *name, struct err *e)
{
    size_t n = strlen(name);
    bool ok = n > 0 && n <= MAX_NAME && utf8_valid(name, n);
    for (size_t i = 0; i < n; i++)
        ok = ok && (unsigned char)name[i] >= ' ' && name[i] != 0x7f;
    return ok || err_set(e, ERR_INPUT, "'%.80s' is no name: expected 1 to %d bytes of UTF-8, in one line",
                         name, MAX_NAME);
}

char *naming_hub_id(const struct view *v)
{
    char *id = hub_id_of_path(v->path), *dir = xstrdup(v->path);
    for (int depth = 0; !id && depth < 3; depth++) { /* of a file, also in a folder of the repository */
        char *up = path_dir(dir);
        free(dir);
        dir = up;
        id = hub_id_of_path(dir);
    }
    free(dir);
    return id;
}

bool naming_check_id(const char *id, struct err *e)
{
    return hub_is_id(id) || err_set(e, ERR_INPUT, "'%.100s' is no model of the hub: expected ORG/NAME", id);
}

/* 'v1', 'v2.5', or a word that begins with a digit. */
static bool is_version(const char *s, size_t n)
{
    if (isdigit((unsigned char)*s))
        return true;
    bool digit = false;
    for (size_t i = 1; *s == 'v' && i < n; i++) {
        if (!isdigit((unsigned char)s[i]) && !(s[i] == '.' && digit && i + 1 < n))
            return false;
        digit = isdigit((unsigned char)s[i]);
    }
    return *s == 'v' && n > 1;
}

static bool is_lower(const char *s, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (isupper((unsigned char)s[i]))
            return false;
        any = any || islower((unsigned char)s[i]);
    }
    return any;
}

/* Words in capitals, unless they are written with some or are versions; '-' between words is ' '. (Python's
 * title: a letter is a capital where no letter stands before it.) */
static char *title(const char *s, size_t n)
{
    struct buf b = {0};
    for (const char *end = s + n, *stop; s < end; s = stop + (stop < end)) {
        for (stop = s; stop < end && *stop != '-'; stop++)
            ;
        size_t len = (size_t)(stop - s);
        if (!len)
            continue;
        bool raise = is_lower(s, len) && !is_version(s, len), inside = false;
        if (b.n)
            buf_char(&b, ' ');
        for (size_t i = 0; i < len; i++) {
            buf_char(&b, raise && !inside ? (char)toupper((unsigned char)s[i]) : s[i]);
            inside = isalpha((unsigned char)s[i]);
        }
    }
    return b.s ? b.s : xstrdup("");
}

struct naming_base naming_base(const char *id)
{
    const char *slash = strchr(id, '/'), *name = slash ? slash + 1 : id;
    return (struct naming_base){title(name, strlen(name)), title(id, slash ? (size_t)(slash - id) : 0),
                                xasprintf(NAMING_HUB "%s", id)};
}

void naming_base_clear(struct naming_base *b)
{
    free(b->name);
    free(b->organization);
    free(b->repo_url);
    *b = (struct naming_base){0};
}
