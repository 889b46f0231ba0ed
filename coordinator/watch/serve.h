/* serve.h - the status page and the metrics of a run over HTTP.
 *
 * /         the page (status_page.h)        /metrics   OpenMetrics (metrics.h)
 * /c/0/...  pictures, report, list          /steer     what its buttons order; both only for who came in by the printed address
 *
 * It reads the ledgers as `status` does, on a thread of its own, so nobody who works waits for a reader; what it shows is at most
 * half a second old. It listens on this machine alone unless told otherwise; listening elsewhere it has numbers only, for who is let
 * in by a token (serve_http.h) would send it over the network for all to read. */
#ifndef REELWRIGHT_SERVE_H
#define REELWRIGHT_SERVE_H

#include "common/status.h"

typedef struct Serve Serve;

/* where: "9464" (on 127.0.0.1), "127.0.0.1:9464", "[::1]:9464", or another address of this machine; port 0: any that is free. The
 * folders are copied. ERR_INPUT: it cannot listen there. */
Status serve_start(const char *where, const char *const *folder, int count, Serve **out);
void serve_stop(Serve **s);
/* "http://127.0.0.1:9464/?token=...", or "port 9464" where nobody is let in; borrowed. */
const char *serve_address(const Serve *s);
/* When somebody has the page open: stays until the page has shown how it ended, some seconds. NULL: does nothing. */
void serve_last_look(const Serve *s);
int serve_port(const Serve *s);

#endif
