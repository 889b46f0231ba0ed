/* sim_worker.h - the simulated worker of the tests and the bench: the real messages of a worker (worker/render/talk.h) around work that
 * only takes time (coordinator/plan/sim.h, as in a plan), on a clock that the caller owns. What the units of a lease do, and what
 * its result says, is its craft's. */
#ifndef REELWRIGHT_TESTS_FARM_SIM_WORKER_H
#define REELWRIGHT_TESTS_FARM_SIM_WORKER_H

#include "coordinator/plan/sim.h"
#include "worker/render/talk.h"

typedef struct SimWorker SimWorker;

typedef struct { /* of one test; all called by sim_worker_tick */
    void (*begin)(
        SimWorker *w); /* a lease has come: says in w->unit_ms how long a unit of it takes. NULL: that stays */
    /* A unit begins, from 0 on. False: there is none, so the lease is over; or it was ended (sim_worker_report), or the worker. */
    bool (*unit)(SimWorker *w, int unit);
    /* The lease is over, or the worker was told to give it up or to end: it is reported. */
    void (*end)(SimWorker *w, bool stopped);
    /* The tail (sim_worker_leave_tail) is at its end, or was told to stop: it is reported (sim_worker_report_tail). */
    void (*end_tail)(SimWorker *w, bool stopped);
} SimCraft;

struct SimWorker {
    const SimCraft *craft;
    void *self; /* the craft's */
    Talk talk;
    int rank;
    SimWork work;
    double unit_ms;
    int64_t now_ms;
    int64_t tail_ends_ms;
    int64_t wake_ms; /* it hears and does nothing until then */
    bool dead, gone; /* gone: has said goodbye */
    int made[LEASE_KINDS];
    Status status; /* of the messages that it sent: the first failure */
};

void sim_worker_open(SimWorker *w, Link *link, int pid, int takes, const SimCraft *craft, void *self);
void sim_worker_close(SimWorker *w);
/* Hears what has arrived, waiting up to wait_ms for it, and does what is due then: at now_ms, or later by as long as it waited. */
Status sim_worker_tick(SimWorker *w, int64_t now_ms, int wait_ms);

/* ---- for crafts ---- */

void sim_worker_progress(SimWorker *w, const char *stage, int done, int total);
/* An empty result of the lease in work: of its kind, number, epoch, shot, and with this failure. */
LeaseResult sim_worker_result(const SimWorker *w, ErrClass err, const char *reason);
/* Ends the lease in work with this result, which is taken over. */
void sim_worker_report(SimWorker *w, LeaseResult *r);
/* The lease in work becomes the worker's tail, and ends in so many milliseconds. False: the one before has not ended. */
bool sim_worker_leave_tail(SimWorker *w, int64_t ms);
void sim_worker_report_tail(SimWorker *w, LeaseResult *r);
/* The worker as it was when the tail was its lease in work: to be read, and not to be closed. */
SimWorker sim_worker_of_tail(const SimWorker *w);

#endif
