/* A ring of 16 bytes: put at the head, take at the tail; full and empty are told apart by the count. */
#include <stdbool.h>
#include <stddef.h>

struct ring {
    unsigned char data[16];
    size_t head, count;
};

bool ring_put(struct ring *r, unsigned char c)
{
    if (r->count == sizeof r->data)
        return false;
    r->data[(r->head + r->count) % sizeof r->data] = c;
    r->count++;
    return true;
}

bool ring_take(struct ring *r, unsigned char *c)
{
    if (r->count == 0)
        return false;
    *c = r->data[r->head];
    r->head = (r->head + 1) % sizeof r->data;
    r->count--;
    return true;
}
