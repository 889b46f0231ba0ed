/* link.h - messages between the coordinator (rank 0) and the workers (ranks 1 to count - 1): one interface, two homes.
 *
 *   link_mpi.c    over MPI. With ULFM (Open MPI 5) the death of a rank is news; without it a death ends the job, and the
 *                 launcher starts it again.
 *   link_local.c  within one process, for tests, with loss, duplication, delay and deaths on order.
 *
 * What a caller may rely on: a message arrives whole or not at all. What it may not: that it arrives, that it arrives
 * once, or in order. The protocol (wire.h) is built for that. Nothing here blocks on another rank: a peer that is stopped
 * or dead never holds up the sender. Waiting sleeps; it does not burn a core. */
#ifndef REELWRIGHT_LINK_H
#define REELWRIGHT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum { LINK_MAX_BYTES = 64 << 20 }; /* of one message */

typedef enum { NEWS_NONE, NEWS_MESSAGE, NEWS_DEATH } NewsKind;

typedef struct {
    NewsKind kind;
    int peer;            /* who sent it, or who died */
    unsigned char *data; /* of a message, owned: news_clear */
    size_t bytes;
} News;

typedef struct Link Link;

typedef struct { /* what a home provides */
    Status (*send)(Link *l, int peer, const void *data, size_t bytes);
    Status (*hear)(Link *l, News *news); /* without waiting */
    void (*close)(Link *l);
    void (*abort)(Link *l, int code);
} LinkHome;

struct Link {
    const LinkHome *home;
    int rank, count;
};

/* True when mpirun, or another launcher that speaks PMIx, started this process. */
bool link_under_launcher(void);
/* Takes an earlier job's rank out of the environment, where nobody launched this process. Before there are threads. */
void link_forget_launcher(void);
/* Joins the job. After a failure of this call the process cannot use MPI. */
Status link_open_mpi(Link **out);
bool link_survives_deaths(void); /* this MPI has ULFM */

/* The data is copied; it is on its way when this returns. Sending to a dead peer is no failure: its death is news. */
Status link_send(Link *l, int peer, const void *data, size_t bytes);
/* The next news, waiting up to wait_ms for it; kind NEWS_NONE when there was none. A signal ends the wait early. */
Status link_hear(Link *l, int wait_ms, News *news);
void news_clear(News *n);
/* Leaves the job in order: flushes what was sent. Only when every rank of the job closes, none is dead or stopped. */
void link_close(Link **l);
/* Ends the whole job at once with this exit code, stopped and hung ranks included (MPI_Finalize would wait for them). Over
 * MPI it does not return. What must last is on disk before. */
void link_abort(Link **l, int code);

/* ---- in process ---- */
typedef struct LocalNet LocalNet;

typedef struct { /* what goes wrong, each with its probability, decided by a generator that starts at `seed` */
    uint64_t seed;
    double lose, duplicate, delay;
    int delay_max; /* a delayed message is overtaken by up to this many later deliveries */
} LocalFaults;

/* A net of count ranks; each end is a Link that link_close gives back. Not for several threads at once. */
LocalNet *local_net_new(int count, LocalFaults faults);
void local_net_free(LocalNet **n);
Link *local_net_link(LocalNet *n, int rank); /* borrowed: belongs to the net */
void local_net_kill(LocalNet *n, int rank);  /* what it sent may still arrive; then the others hear of its death */

#endif
