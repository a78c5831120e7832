/* unused.c - see unused.h. */
#include "corpus/unused.h"
#include "base/text.h"

#include <string.h>

#define MAX_NAMED 8
#define MESSAGES  "messages."

static uint64_t count_of(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v) : 0;
}

void unused_add(json_t *to, const json_t *from)
{
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)(uintptr_t)from, key, v) {
        uint64_t n;
        if (count_of(v) && !__builtin_add_overflow(count_of(v), count_of(json_object_get(to, key)), &n) &&
            n <= INT64_MAX)
            json_object_set_new(to, key, json_integer((json_int_t)n));
    }
}

/* Which of the names that people give to thoughts is left. */
static const char *thoughts_left(const json_t *unused)
{
    static const char *const keys[] = {MESSAGES "thinking", MESSAGES "reasoning",
                                       MESSAGES "reasoning_content"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (count_of(json_object_get(unused, keys[i])))
            return keys[i] + strlen(MESSAGES);
    return NULL;
}

bool unused_text(const json_t *unused, const json_t *chat, struct buf *b)
{
    const char *left = thoughts_left(unused), *read = json_string_value(json_object_get(chat, "thoughts"));
    const char *key;
    json_t *v;
    uint32_t n = 0;
    json_object_foreach ((json_t *)(uintptr_t)unused, key, v) {
        char name[TEXT_SHOWN], count[32];
        uint64_t k = count_of(v);
        if (!k || ++n > MAX_NAMED)
            continue;
        const char *what = strncmp(key, MESSAGES, strlen(MESSAGES)) != 0 ? "row" : "message";
        buf_fmt(b, "%s'%s' (%s %s%s)", n > 1 ? ", " : "", text_shown(name, sizeof name, key),
                human_count(k, count), what, k == 1 ? "" : "s");
    }
    if (n > MAX_NAMED)
        buf_fmt(b, " and %u more", n - MAX_NAMED);
    if (left && read && strcmp(left, read) != 0) {
        char name[TEXT_SHOWN];
        text_shown(name, sizeof name, read);
        buf_fmt(b, "; the template reads thoughts under '%s' (--map %s=%s)", name, name, left);
    }
    return n > 0;
}
