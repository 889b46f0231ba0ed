/* sim.h - work that only takes time, on a clock that its owner sets: what the simulated workers have in common, those of a plan (night.c)
 * and those of the tests and the bench, which add the messages of a real worker (tests/farm/sim_worker.h).
 *
 * A lease's work is a row of units of equal length: the steps of a render, the parts of a finish. */
#ifndef REELWRIGHT_SIM_H
#define REELWRIGHT_SIM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t begun_ms;
    double unit_ms;
    int unit, units; /* of them begun; in all */
} SimWork;

void sim_begin(SimWork *w, int64_t now_ms, int units, double unit_ms);
/* When so many units are done. */
int64_t sim_due_ms(const SimWork *w, int units);
/* True when one more unit begins by now: it is counted. Several calls, where the clock has gone on by several units. */
bool sim_step(SimWork *w, int64_t now_ms);

/* What is going to happen, the earliest first; at the same moment in the order of ranks. */
typedef struct { /* 16 bytes: a heap of many thousand is gone through for each lease */
    int64_t at_ms;
    int rank;
    uint32_t lease; /* that ends then: its lower half */
} SimEvent;
typedef struct {
    SimEvent *event; /* a binary heap */
    int count, room;
} SimClock;
void sim_clock_add(SimClock *c, SimEvent e);
const SimEvent *sim_clock_first(const SimClock *c); /* NULL: nothing is going to happen */
void sim_clock_next(SimClock *c);                   /* the first has happened */
void sim_clock_clear(SimClock *c);                  /* forgets all, and frees */

#endif
