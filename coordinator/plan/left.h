/* left.h - how long a night that goes on still takes: what is left of it is played on paper with what its own leases have taken lately. */
#ifndef REELWRIGHT_LEFT_H
#define REELWRIGHT_LEFT_H

#include "coordinator/ledger/view.h"

typedef struct {
    double p10_s, p50_s, p90_s; /* from now; eight cases of ten lie between p10 and p90 */
} TimeLeft;

/* *known false: nothing is going on, or too little has happened yet. Takes a fraction of a second, however large the campaign is. */
Status left_estimate(Ledger *l, const Snapshot *s, double now_s, TimeLeft *out, bool *known);

#endif
