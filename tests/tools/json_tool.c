/* json_tool.c - looks into JSON files and changes them, for the tests.
 *
 *   json_tool check FILE [PATH | PATH=JSON]...   valid JSON, one value; PATH is there (and equal)
 *   json_tool get FILE PATH                      the value, compact; a string without its quotes
 *   json_tool set FILE [PATH JSON]...            prints the file changed; JSON "-" deletes
 *   json_tool strings FILE                       the path of every string, one a line
 *   json_tool same A B [PATH]...                 equal, without the members PATH
 *   json_tool equal A B PATH[=PATH]...           what is at PATH in A is there in B (at the second PATH), equal
 *   json_tool near A B TOLERANCE PATH[=PATH]...  so are the numbers, relative to B's, in lists to the largest of the list
 *   json_tool sum A PATH... = B PATH             the lists PATH of A, added up by position, are the list PATH of B
 *   json_tool ratio A OVER UNDER QUOTIENT        the list QUOTIENT is OVER / UNDER by position, to 9 digits
 *   json_tool highest FILE PATH N                the positions of the N highest numbers, of equal ones the first, ascending
 *
 * PATH: members and list positions with a slash between them: layers/0/count/3. FILE "-" is standard input. */
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void __attribute__((noreturn)) die(const char *a, const char *b)
{
    fprintf(stderr, "json_tool: %s: %s\n", a, b);
    exit(1);
}

static json_t *load(const char *path)
{
    json_error_t e;
    size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
    json_t *v = strcmp(path, "-") ? json_load_file(path, flags, &e) : json_loadf(stdin, flags, &e);
    if (!v)
        die(path, e.text);
    return v;
}

static json_t *value(const char *text)
{
    json_error_t e;
    json_t *v = json_loads(text, JSON_DECODE_ANY, &e);
    if (!v)
        die(text, e.text);
    return v;
}

static json_t *member(json_t *v, const char *name)
{
    return json_is_array(v) ? json_array_get(v, (size_t)strtoul(name, NULL, 10)) : json_object_get(v, name);
}

/* The value at PATH; with `last`, its container, and *last the last name. */
static json_t *find(json_t *v, char *path, const char **last)
{
    char *save = NULL, *name = strtok_r(path, "/", &save);
    while (v && name) {
        char *next = strtok_r(NULL, "/", &save);
        if (last && !next) {
            *last = name;
            return v;
        }
        v = member(v, name);
        name = next;
    }
    return v;
}

static void change(json_t *root, const char *path, const char *text)
{
    char *copy = strdup(path);
    const char *last = "";
    json_t *at = find(root, copy, &last);
    int rc;
    if (!strcmp(text, "-"))
        rc = json_is_array(at) ? json_array_remove(at, (size_t)strtoul(last, NULL, 10))
                               : (json_object_del(at, last), 0); /* it may be gone already */
    else if (json_is_array(at))
        rc = json_array_set_new(at, (size_t)strtoul(last, NULL, 10), value(text));
    else
        rc = json_object_set_new(at, last, value(text));
    if (rc != 0)
        die(path, "cannot be changed");
    free(copy);
}

static void check(json_t *root, const char *spec)
{
    char *copy = strdup(spec), *want = strchr(copy, '=');
    if (want)
        *want++ = 0;
    json_t *v = find(root, copy, NULL);
    if (!v)
        die(spec, "not there");
    if (want) {
        json_t *w = value(want);
        if (!json_equal(v, w)) {
            char *s = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
            die(spec, s);
        }
        json_decref(w);
    }
    free(copy);
}

/* The value at PATH, which must be there; PATH stays what it is. */
static json_t *need(json_t *v, const char *path)
{
    char *copy = strdup(path);
    json_t *x = find(v, copy, NULL);
    if (!x)
        die(path, "not there");
    free(copy);
    return x;
}

static double number(const json_t *v, const char *path)
{
    if (!json_is_number(v))
        die(path, "not a number");
    return json_number_value(v);
}

static json_t *list(json_t *v, const char *path)
{
    json_t *x = need(v, path);
    if (!json_array_size(x))
        die(path, "not a list, or an empty one");
    return x;
}

static double entry(const json_t *l, size_t i, const char *path)
{
    return number(json_array_get(l, i), path);
}

static void show(const char *path, size_t i, double x, double want)
{
    char s[100];
    snprintf(s, sizeof s, "number %zu is %.9g, expected %.9g", i, x, want);
    die(path, s);
}

/* Relative to the largest number of the list: experts that hardly any token reached have small sums. */
static void near_lists(const json_t *a, const json_t *b, double tol, const char *path)
{
    double most = 0;
    size_t n = json_array_size(a);
    if (!n || n != json_array_size(b))
        die(path, "not two lists of the same length");
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(entry(b, i, path)));
    for (size_t i = 0; i < n; i++)
        if (!(fabs(entry(a, i, path) - entry(b, i, path)) <= tol * most))
            show(path, i, entry(a, i, path), entry(b, i, path));
}

static void near(const json_t *a, const json_t *b, double tol, const char *path)
{
    if (json_is_array(a) || json_is_array(b))
        near_lists(a, b, tol, path);
    else if (!(fabs(number(a, path) - number(b, path)) <= tol * fabs(number(b, path))))
        show(path, 0, number(a, path), number(b, path));
}

/* Each PATH[=PATH] of two files; tol < 0: equal. */
static void pairs(json_t *a, json_t *b, double tol, char **paths)
{
    if (!*paths)
        die("usage", "no path");
    for (; *paths; paths++) {
        char *one = strdup(*paths), *two = strchr(one, '=');
        if (two)
            *two++ = 0;
        json_t *x = need(a, one), *y = need(b, two ? two : one);
        if (tol >= 0)
            near(x, y, tol, *paths);
        else if (!json_equal(x, y))
            die(*paths, "differs");
        free(one);
    }
}

/* PATH... "=" FILE PATH, behind the first file. */
static void sum(json_t *a, char **args)
{
    char **end = args;
    while (*end && strcmp(*end, "="))
        end++;
    if (end == args || !*end || !end[1] || !end[2])
        die("usage", "sum A PATH... = B PATH");
    json_t *b = load(end[1]), *want = list(b, end[2]);
    for (size_t i = 0; i < json_array_size(want); i++) {
        double x = 0;
        for (char **p = args; p < end; p++)
            x += entry(list(a, *p), i, *p);
        if (x != entry(want, i, end[2])) /* counts: exact */
            show(end[2], i, entry(want, i, end[2]), x);
    }
    json_decref(b);
}

static void ratio(json_t *v, const char *over, const char *under, const char *quotient)
{
    const json_t *a = list(v, over), *b = list(v, under), *q = list(v, quotient);
    for (size_t i = 0; i < json_array_size(q); i++) {
        double want = entry(a, i, over) / entry(b, i, under), got = entry(q, i, quotient);
        if (!(fabs(got - want) <= 1e-8 * fabs(want)))
            show(quotient, i, got, want);
    }
    if (json_array_size(a) != json_array_size(q) || json_array_size(b) != json_array_size(q))
        die(quotient, "not three lists of the same length");
}

static void highest(json_t *v, const char *path, size_t n)
{
    const json_t *l = list(v, path);
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(l); i++) {
        size_t before = 0;
        for (size_t j = 0; j < json_array_size(l); j++) {
            double x = entry(l, i, path), y = entry(l, j, path);
            before += y > x || (y == x && j < i);
        }
        if (before < n)
            json_array_append_new(out, json_integer((json_int_t)i));
    }
    json_dumpf(out, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(out);
}

/* args: the second file, and what to look at in both. False: no such command. */
static void strings(const json_t *v, const char *path)
{
    const char *key;
    json_t *x;
    char at[4096];
    if (json_is_string(v))
        puts(path);
    for (size_t i = 0; i < json_array_size(v); i++) {
        snprintf(at, sizeof at, "%s%s%zu", path, *path ? "/" : "", i);
        strings(json_array_get(v, i), at);
    }
    json_object_foreach ((json_t *)v, key, x) {
        snprintf(at, sizeof at, "%s%s%s", path, *path ? "/" : "", key);
        strings(x, at);
    }
}

static bool of_two(json_t *v, const char *command, char **args)
{
    bool same = !strcmp(command, "same"), equal = !strcmp(command, "equal"), close = !strcmp(command, "near");
    if (!same && !equal && !close)
        return false;
    json_t *w = load(*args++);
    for (char **p = args; same && *p; p++) {
        change(v, *p, "-");
        change(w, *p, "-");
    }
    if (same && !json_equal(v, w))
        die(args[-1], "differs");
    if (close && !*args)
        die("usage", "near A B TOLERANCE PATH...");
    if (equal || close)
        pairs(v, w, close ? strtod(*args, NULL) : -1, args + close);
    json_decref(w);
    return true;
}

/* A short program that leaves its memory to the system. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(int argc, char **argv)
{
    if (argc < 3)
        die("usage", "see the head of json_tool.c");
    json_t *v = load(argv[2]);
    if (!strcmp(argv[1], "check")) {
        for (int i = 3; i < argc; i++)
            check(v, argv[i]);
    } else if (!strcmp(argv[1], "get") && argc == 4) {
        json_t *x = need(v, argv[3]);
        if (json_is_string(x))
            fputs(json_string_value(x), stdout);
        else
            json_dumpf(x, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
        putchar('\n');
    } else if (!strcmp(argv[1], "strings")) {
        strings(v, "");
    } else if (!strcmp(argv[1], "set")) {
        for (int i = 3; i + 1 < argc; i += 2)
            change(v, argv[i], argv[i + 1]);
        json_dumpf(v, stdout, JSON_ENCODE_ANY | JSON_INDENT(1));
    } else if (argc >= 4 && of_two(v, argv[1], argv + 3)) {
        /* done */
    } else if (!strcmp(argv[1], "sum")) {
        sum(v, argv + 3);
    } else if (!strcmp(argv[1], "ratio") && argc == 6) {
        ratio(v, argv[3], argv[4], argv[5]);
    } else if (!strcmp(argv[1], "highest") && argc == 5) {
        highest(v, argv[3], strtoul(argv[4], NULL, 10));
    } else {
        die(argv[1], "not known");
    }
    json_decref(v);
    return 0;
}
