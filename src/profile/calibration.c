/* calibration.c - see calibration.h. */
#include "profile/calibration.h"
#include "base/log.h"
#include "base/text.h"
#include "corpus/unused.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- what is not used ---- */

/* Of rows and of the chat template together; NULL: nothing. */
static json_t *all_unused(const struct calibration *c)
{
    json_t *o = json_object();
    unused_add(o, c->corpus->unused);
    unused_add(o, c->win->unused);
    if (json_object_size(o))
        return o;
    json_decref(o);
    return NULL;
}

static void warn_unused(const json_t *unused, const json_t *chat)
{
    struct buf b = {0};
    if (unused_text(unused, chat, &b))
        log_warn("not used for calibration: %s", b.s);
    buf_clear(&b);
}

void calibration_warn_unused(const json_t *calibration)
{
    warn_unused(json_object_get(calibration, "unused"), json_object_get(calibration, "chat"));
}

void calibration_warn(const struct calibration *c)
{
    json_t *unused = all_unused(c), *chat = engine_chat_info(c->engine);
    warn_unused(unused, chat);
    json_decref(unused);
    json_decref(chat);
}

/* ---- how much is enough ---- */

/* Tokens that reach an expert of a layer, on average. Measured on tinymoe (docs/calibration.md): plans by 600 cost 4 to 7 %
 * more KL divergence than one by 40 times the text, plans by 250 30 to 40 % more. Other models need more rather than
 * less. */
#define ENOUGH 1000

/* Up, to two digits: 33,334 is 34,000. */
static uint64_t round_up(uint64_t n)
{
    uint64_t unit = 1;
    while (n / unit >= 100)
        unit *= 10;
    return (n + unit - 1) / unit * unit;
}

void calibration_warn_short(uint64_t n_tokens, uint32_t n_experts, uint32_t n_used)
{
    char have[32], each[32], need[32], enough[32];
    double per = (double)n_tokens * n_used / n_experts;
    if (per >= ENOUGH)
        return;
    log_warn("%s tokens are %s for each expert of a layer: the choice is not settled yet; %s give each %s",
             human_count(n_tokens, have), per < 1 ? "less than 1" : human_count((uint64_t)per, each),
             human_count(round_up(((uint64_t)ENOUGH * n_experts + n_used - 1) / n_used), need),
             human_count(ENOUGH, enough));
}

/* ---- two samples, for the eye ---- */

#define SAMPLE_BYTES 2000 /* of each */

static json_t *sample_json(const struct calibration *c, uint32_t i)
{
    const struct sample *s = &c->corpus->samples[i];
    struct buf b = {0};
    json_t *o = json_object();
    bool whole = windows_text(c->win, i, c->engine, SAMPLE_BYTES, &b);
    json_object_set_new(o, "file", json_text(c->corpus->sources[s->source].path));
    if (s->line)
        json_object_set_new(o, "line", json_integer(s->line));
    json_object_set_new(o, "n_tokens", json_integer(c->win->n_tokens[i]));
    json_object_set_new(o, "text", json_text(b.s));
    if (!whole)
        json_object_set_new(o, "cut", json_true());
    buf_clear(&b);
    return o;
}

/* The first, and the first of another category, else the second. */
static json_t *samples_json(const struct calibration *c)
{
    const struct sample *s = c->corpus->samples;
    uint32_t n = c->win->n_samples, second = 1;
    json_t *a = json_array();
    while (second < n && s[second].category == s[0].category)
        second++;
    second = second < n ? second : 1;
    json_array_append_new(a, sample_json(c, 0));
    if (second < n)
        json_array_append_new(a, sample_json(c, second));
    return a;
}

/* ---- how it was made ---- */

static json_t *files_json(const struct corpus *c)
{
    json_t *files = json_array();
    for (uint32_t i = 0; i < c->n_sources; i++) {
        const struct corpus_source *s = &c->sources[i];
        json_t *f = json_object();
        json_object_set_new(f, "file", json_text(s->path));
        json_object_set_new(f, "sha256", json_string(s->sha256));
        json_object_set_new(f, "n_rows", json_integer((json_int_t)s->n_rows));
        json_object_set_new(f, "n_used", json_integer((json_int_t)s->n_used));
        if (s->n_bad)
            json_object_set_new(f, "n_bad", json_integer((json_int_t)s->n_bad));
        json_array_append_new(files, f);
    }
    return files;
}

static bool has_chats(const struct corpus *c)
{
    for (uint64_t i = 0; i < c->n_samples; i++)
        if (c->samples[i].kind == SAMPLE_CHAT)
            return true;
    return false;
}

static json_t *aside_json(const struct corpus_aside *a)
{
    json_t *o = json_object();
    json_object_set_new(o, "share", json_real(a->share));
    json_object_set_new(o, "n_choice", json_integer((json_int_t)a->n_choice));
    json_object_set_new(o, "n_check", json_integer((json_int_t)a->n_check));
    json_object_set_new(o, "sha256", json_string(a->sha256));
    return o;
}

json_t *calibration_json(const struct calibration *from)
{
    const struct profile_opts *o = from->o;
    json_t *c = json_object(), *unused = all_unused(from);
    json_object_set_new(c, "files", files_json(from->corpus));
    json_object_set_new(c, "n_samples", json_integer((json_int_t)from->corpus->n_samples));
    json_object_set_new(c, "n_tokens", json_integer((json_int_t)from->win->total));
    if (unused)
        json_object_set_new(c, "unused", unused);
    json_object_set_new(c, "ctx", json_integer(o->n_ctx));
    json_object_set_new(c, "seed", json_integer((json_int_t)o->corpus.seed));
    json_object_set_new(c, "shuffle", json_boolean(o->corpus.shuffle));
    json_put_text(c, "map", o->corpus.map);
    if (o->corpus.join_parts)
        json_object_set_new(c, "join_parts", json_true());
    if (o->corpus.skip_media)
        json_object_set_new(c, "skip_media", json_true());
    json_object_set_new(c, "ubatch", json_integer(from->ubatch));
    json_object_set_new(c, "max_sequences", json_integer(o->n_seqs));
    json_object_set_new(c, "separate_streams", json_boolean(from->separate));
    json_object_set_new(c, "flash_attn", json_text(o->engine.flash_attn));
    json_object_set_new(c, "cache_type_k", json_text(o->engine.cache_type_k));
    json_object_set_new(c, "cache_type_v", json_text(o->engine.cache_type_v));
    json_put_text(c, "chat_template", o->engine.chat_template);
    if (has_chats(from->corpus))
        json_object_set_new(c, "chat", engine_chat_info(from->engine));
    json_put_text(c, "type", o->engine.type);
    json_object_set_new(c, "engine", json_string(engine_version()));
    if (from->corpus->aside.share > 0)
        json_object_set_new(c, "set_aside", aside_json(&from->corpus->aside));
    if (o->n_shards) {
        json_t *s = json_object();
        json_object_set_new(s, "index", json_integer(o->shard));
        json_object_set_new(s, "of", json_integer(o->n_shards));
        json_object_set_new(c, "shard", s);
    }
    json_object_set_new(c, "samples", samples_json(from));
    return c;
}

void calibration_resume(const char *stats_path, struct engine_opts *o, bool *separate)
{
    struct err ignored = {0}; /* the file is read again, and then held against the run */
    struct stats *s = stats_load(stats_path, &ignored);
    const json_t *c = s ? s->calibration : NULL, *chat = json_object_get(c, "chat");
    const char *date = json_string_value(json_object_get(chat, "date"));
    json_int_t step = json_integer_value(json_object_get(c, "ubatch"));
    struct tm day = {.tm_hour = 12, .tm_isdst = -1};
    if (date && sscanf(date, "%4d-%2d-%2d", &day.tm_year, &day.tm_mon, &day.tm_mday) == 3) {
        day.tm_year -= 1900, day.tm_mon -= 1;
        o->now = (int64_t)mktime(&day);
    }
    if (!o->ubatch && step >= 1 && step <= ENGINE_UBATCH_MOST) {
        o->ubatch = step;
        *separate = *separate || json_is_true(json_object_get(c, "separate_streams"));
    }
    stats_free(s);
}

const char *calibration_difference(const json_t *a, const json_t *b)
{
    return json_difference(a, b, "samples");
}

void calibration_tell(const char *key, const json_t *found, const json_t *expected, struct buf *b)
{
    static const struct {
        const char *key, *option; /* which takes the value as it stands in the file */
    } options[] = {
        {"ctx", "--ctx"},
        {"seed", "--seed"},
        {"map", "--map"},
        {"ubatch", "--ubatch"},
        {"max_sequences", "--sequences"},
        {"flash_attn", "--flash-attn"},
        {"cache_type_k", "--cache-type-k"},
        {"cache_type_v", "--cache-type-v"},
        {"chat_template", "--chat-template"},
        {"type", "--type"},
    };
    char two[JSON_TWO];
    const json_t *was = json_object_get(found, key);
    json_two(two, was, json_object_get(expected, key));
    buf_fmt(b, "'%s' differs%s%s", key, *two ? ": " : "", two);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(options[i].key, key) != 0)
            continue;
        if (json_integer_value(was) > 0) { /* 0: it was not given */
            buf_fmt(b, "; %s %lld goes on", options[i].option, (long long)json_integer_value(was));
        } else if (json_is_string(was)) {
            buf_fmt(b, "; %s ", options[i].option);
            buf_shell(b, json_string_value(was));
            buf_str(b, " goes on");
        }
    }
}
