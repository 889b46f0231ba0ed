/* wire.h - what the coordinator and the workers say to each other, and the bytes it travels as.
 *
 *   worker                                     coordinator
 *   READY (again every second until heard) ->
 *                                          <-  LEASE (sent again when a READY shows that it was not seen)
 *   PROGRESS (at every step)               ->
 *   RESULT (again every second until ACK)  ->  into the ledger, then:
 *                                          <-  ACK, and with it perhaps the next LEASE
 *                                          <-  STOP (a lease in work ends at its next step, with a checkpoint)
 *   BYE                                    ->
 *
 * Once the last step of a render is done, decoding and master (the render's tail) may go on beside the worker's next lease. The worker
 * is READY then, and says which lease its tail is; that one's PROGRESS and RESULT follow as those of any other.
 *
 * A render lease goes to every rank of the group that renders it, a finish lease to one worker. The first of them speaks for all; the others take part, send neither
 * PROGRESS nor RESULT, and are READY again when it is over.
 *
 * Every message may be lost, late, doubled or overtaken. Leases are numbered, upwards, by the ledger: a worker does each
 * number at most once and answers a second asking with the result that it has; the coordinator takes the first result of
 * a lease that still runs and acknowledges, without any other effect, every other one.
 * A lease that a worker cannot read (another program wrote its shot) is answered with a failure, as any other that it cannot do.
 *
 * Bytes: "RWIR", version (2 bytes), kind (2), length of what follows (4), fields in the order of wire.c, little-endian;
 * a text is its length (4) and its bytes. */
#ifndef REELWRIGHT_WIRE_H
#define REELWRIGHT_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "common/clip.h"
#include "common/status.h"

enum { WIRE_VERSION = 6 };

typedef enum { WIRE_READY = 1, WIRE_LEASE, WIRE_PROGRESS, WIRE_RESULT, WIRE_ACK, WIRE_STOP, WIRE_BYE } WireKind;

typedef enum {
    WIRE_STOP_DONE = 0,    /* no more work */
    WIRE_STOP_PREEMPT = 1, /* stopped in order to be resumed */
    WIRE_STOP_LEASE = 2,   /* give up this lease only (it was lost, cancelled or given away) */
} WireStopWhy;

typedef struct { /* one message; which member of `as` holds depends on kind. Owns its texts: wire_clear */
    WireKind kind;
    int64_t epoch; /* of the coordinator; 0 from a worker that has had no lease yet */
    int64_t lease; /* READY: the highest number seen; PROGRESS, ACK, STOP_LEASE: which one */
    union {
        struct {
            char *host;
            int pid, threads;
            int takes;    /* a bit for each LeaseKind that it is here for: 1 << LEASE_RENDER, 1 << LEASE_FINISH */
            int64_t tail; /* the render that it still decodes, on the side; 0: none */
        } ready;
        Lease lease;
        LeaseResult result;
        struct {
            char stage[16]; /* "load", "text", "denoise", "decode"; "finish" */
            int done, total;
        } progress;
        int stop; /* WireStopWhy */
    } as;
} WireMessage;

/* The bytes of a message, in memory to free(). */
void wire_encode(const WireMessage *m, unsigned char **data, size_t *bytes);
/* ERR_INPUT says what is wrong with the bytes; *m is then empty, or has kind, epoch and lease where these could be read. Never reads beyond bytes, never allocates more than a small
 * multiple of bytes. */
Status wire_decode(const void *data, size_t bytes, WireMessage *m);
void wire_clear(WireMessage *m);

#endif
