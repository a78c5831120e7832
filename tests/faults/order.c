/* order.c - see order.h. */
#include "order.h"

#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_NODES 4096

/* A file or folder that the log names. Of a folder `dirty` are its names. */
struct node {
    unsigned long ino, parent;
    bool dirty;
    bool ours;  /* made by this run */
    bool named; /* a folder in which something got its final name since it was synced */
};
static struct node nodes[MAX_NODES];
static size_t n_nodes;

static struct node *node(unsigned long ino)
{
    for (size_t i = 0; i < n_nodes; i++)
        if (nodes[i].ino == ino)
            return &nodes[i];
    if (n_nodes == MAX_NODES)
        return &nodes[0];
    nodes[n_nodes] = (struct node){.ino = ino};
    return &nodes[n_nodes++];
}

static bool unfinished(const char *path)
{
    return strstr(path, ".reap-") || text_ends(path, ".part") || text_ends(path, ".state");
}

static void say(struct buf *b, const char *what, const char *path)
{
    const char *slash = strrchr(path, '/');
    buf_fmt(b, "%sorder: %s: %s", b->n ? "; " : "", slash ? slash + 1 : path, what);
}

/* Anything in it that is not on the disk. */
static bool dirty(unsigned long ino, int depth)
{
    if (node(ino)->dirty)
        return true;
    for (size_t i = 0; depth < 8 && i < n_nodes; i++)
        if (nodes[i].parent == ino && dirty(nodes[i].ino, depth + 1))
            return true;
    return false;
}

static void removed(unsigned long ino, const char *path, struct buf *bad)
{
    if (!ino || node(ino)->ours)
        return;
    for (size_t i = 0; i < n_nodes; i++)
        if (nodes[i].named) {
            say(bad, "removed before the new name is synced", path);
            break;
        }
}

static void line(char kind, unsigned long ino, unsigned long parent, const char *path, struct buf *bad)
{
    struct node *x = ino ? node(ino) : NULL;
    switch (kind) {
    case 'w': x->dirty = true; break;
    case 's': x->dirty = x->named = false; break;
    case 'c':
        x->ours = x->dirty = true;
        x->parent = parent;
        node(parent)->dirty = true;
        break;
    case 'r':
        x->parent = parent;
        node(parent)->dirty = true;
        if (unfinished(path) || !x->ours)
            break;
        if (dirty(ino, 0))
            say(bad, "named before it is synced", path);
        node(parent)->named = true;
        break;
    case 'u':
        removed(ino, path, bad);
        if (x)
            x->parent = 0;
        node(parent)->dirty = true;
        break;
    default: say(bad, "a log that is none", path);
    }
}

void order_check(const char *log, struct buf *bad)
{
    char path[5000], kind;
    unsigned long ino, parent;
    n_nodes = 0;
    FILE *f = fopen(log, "r");
    if (!f) {
        say(bad, "no log", log);
        return;
    }
    while (fscanf(f, "%c %lu %lu %4999[^\n]\n", &kind, &ino, &parent, path) == 4)
        line(kind, ino, parent, path, bad);
    fclose(f);
    for (size_t i = 0; i < n_nodes; i++)
        if (nodes[i].named)
            say(bad, "the folder is not synced behind the last name", "end");
}
