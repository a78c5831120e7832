/* order.h - whether what a program did to the disk stands a loss of power at any moment. */
#ifndef REAP_TESTS_ORDER_H
#define REAP_TESTS_ORDER_H

#include "base/buf.h"

/* Reads a log of shim.c, of a run that ended well; adds what is wrong, one phrase each:
 *
 *   - what gets a final name was synced behind its last write, a folder with all that is in it;
 *   - the folder in which something got a final name was synced behind that;
 *   - before, nothing is removed that was there when the program began. */
void order_check(const char *log, struct buf *bad);

#endif
