/* json_tool.c - looks into JSON files and changes them, for the tests.
 *
 *   json_tool check FILE [PATH | PATH=JSON]...   valid JSON, one value; PATH is there (and equal)
 *   json_tool get FILE PATH                      the value, compact; a string without its quotes
 *   json_tool set FILE [PATH JSON]...            prints the file changed; JSON "-" deletes
 *   json_tool same A B [PATH]...                 equal, without the members PATH
 *   json_tool near A B TOLERANCE PATH...         the numbers under PATH, relative to the largest of their list
 *
 * PATH: members and list positions with a slash between them: layers/0/count/3. FILE "-" is standard input. */
#include <jansson.h>
#include <math.h>
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

/* Relative to the largest number of the list: experts that hardly any token reached have small sums. */
static void near(const json_t *a, const json_t *b, double tol, const char *path)
{
    double most = 0;
    size_t n = json_array_size(a);
    if (!n || n != json_array_size(b))
        die(path, "not two lists of the same length");
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(json_number_value(json_array_get(b, i))));
    for (size_t i = 0; i < n; i++) {
        double x = json_number_value(json_array_get(a, i)), y = json_number_value(json_array_get(b, i));
        if (!(fabs(x - y) <= tol * most)) {
            char s[100];
            snprintf(s, sizeof s, "number %zu is %.9g, expected %.9g", i, x, y);
            die(path, s);
        }
    }
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
        json_t *x = find(v, argv[3], NULL);
        if (!x)
            die(argv[3], "not there");
        if (json_is_string(x))
            fputs(json_string_value(x), stdout);
        else
            json_dumpf(x, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
        putchar('\n');
    } else if (!strcmp(argv[1], "set")) {
        for (int i = 3; i + 1 < argc; i += 2)
            change(v, argv[i], argv[i + 1]);
        json_dumpf(v, stdout, JSON_ENCODE_ANY | JSON_INDENT(1));
    } else if (!strcmp(argv[1], "same") && argc >= 4) {
        json_t *w = load(argv[3]);
        for (int i = 4; i < argc; i++) {
            change(v, argv[i], "-");
            change(w, argv[i], "-");
        }
        if (!json_equal(v, w))
            die(argv[3], "differs");
        json_decref(w);
    } else if (!strcmp(argv[1], "near") && argc > 5) {
        json_t *w = load(argv[3]);
        for (int i = 5; i < argc; i++) {
            char *one = strdup(argv[i]), *two = strdup(argv[i]);
            near(find(v, one, NULL), find(w, two, NULL), strtod(argv[4], NULL), argv[i]);
            free(one);
            free(two);
        }
        json_decref(w);
    } else {
        die(argv[1], "not known");
    }
    json_decref(v);
    return 0;
}
