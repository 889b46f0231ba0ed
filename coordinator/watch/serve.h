/* serve.h - the status page and the metrics of a run over HTTP, by libmicrohttpd, its only home.
 *
 * /         the page (status_page.h)        /metrics   OpenMetrics (metrics.h)
 *
 * It reads the ledgers as `status` does, on a thread of its own, so nobody who works waits for a reader; what it shows is at most
 * half a second old. Nothing can be changed through it, no file is served. It has no passwords: it listens on this machine alone
 * unless told otherwise, and then answers only who asks for this machine by name (a page of another site cannot make a browser
 * read it through a name of its own). */
#ifndef REELWRIGHT_SERVE_H
#define REELWRIGHT_SERVE_H

#include "common/status.h"

typedef struct Serve Serve;

/* where: "9464" (on 127.0.0.1), "127.0.0.1:9464", "[::1]:9464", or another address of this machine; port 0: any that is free. The
 * folders are copied. ERR_INPUT: it cannot listen there. */
Status serve_start(const char *where, const char *const *folder, int count, Serve **out);
void serve_stop(Serve **s);
int serve_port(const Serve *s);

#endif
