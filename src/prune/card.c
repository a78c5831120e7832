#include "prune/card.h"
bool card_write(struct buf *out, const char *readme, const struct card_facts *f)
{
    (void)f;
    buf_str(out, readme ? readme : "");
    return true;
}
char *card_hub_id(const char *d)
{
    (void)d;
    return NULL;
}
