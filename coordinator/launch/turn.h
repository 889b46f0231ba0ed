/* turn.h - which of several campaigns goes next. */
#ifndef REELWRIGHT_TURN_H
#define REELWRIGHT_TURN_H

#include "coordinator/ledger/view.h"

typedef enum {
    TURN_READY, /* a job would find work */
    TURN_WAITS, /* for a person: a pilot to be approved, a pause to be ended */
    TURN_OVER   /* complete, cancelled, or it could not go on */
} TurnState;

typedef struct {
    TurnState state;
    int priority;
    double deadline_s; /* 0: none */
} Turn;

Turn turn_of(const Snapshot *s);
/* Of those that are ready the one of the highest priority, then of the nearest deadline, then the first; -1: none is. */
int turn_next(const Turn *turn, int count);
/* True when another one that is ready has a higher priority than the one that works. A deadline alone interrupts no job: each change costs
 * the loading of a model, and two near deadlines would change places again and again. */
bool turn_must_yield(const Turn *turn, int count, int working);

#endif
