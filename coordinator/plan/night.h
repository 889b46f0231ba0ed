/* night.h - a night that only happens on paper: how long a campaign takes on so many workers, with chance and failures.
 *
 * It plays the farm's policy (coordinator/dispatch/dispatch.h) on a clock of its own, event by event:
 * - a render lease makes a master of one shot, a finish lease one clip of a master;
 * - without GPUs every worker takes both kinds, and finishes first when a master waits; with them render groups render and
 *   finishers finish;
 * - masters that wait are bounded: renderers wait for finishers then;
 * - a node's death ends the job on all nodes: the launcher starts it again without that node, and what was in work goes on from
 *   its last checkpoint.
 * How long each lease takes is drawn from measured times (record.h). Many such nights give the finish time's distribution.
 *
 * Units: seconds, from the moment when `run` is started. Pure: no files, no clock, the same numbers for the same seed. */
#ifndef REELWRIGHT_NIGHT_H
#define REELWRIGHT_NIGHT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct { /* measured times of one kind, in seconds; borrowed */
    const double *s;
    int count; /* at least 1 */
} Times;

typedef struct {
    int64_t shots;
    const int64_t *clips; /* of each shot, [shots] */
    int nodes;
    int groups, finishers; /* on each node */
    bool both;             /* groups also finish: no GPU */
    int64_t masters;       /* that may wait, at most */
    Times render, finish;  /* one shot, one clip */
    Times load;            /* the first lease of each worker takes so much longer */
    double start_s, end_s; /* until the first lease; from the last result to the end of `run` */
    double gap_s;          /* between two leases of one worker */
    double run_sd;         /* whole nights differ by this factor (standard deviation of its logarithm) */
    double worker_sd;      /* workers of one night likewise */
    double node_mtbf_s;    /* mean time between failures of one node; 0: none fails */
    double restart_s;      /* from a node's death to the first lease after it */
    double checkpoint_s;   /* between two checkpoints of a shot */
} Night;

typedef struct {
    double finish_s;                     /* the whole campaign; INFINITY: no node is left */
    double render_busy_s, finish_busy_s; /* of all workers */
    double first_clip_s;
    int failures;
    int64_t most_masters; /* that waited at one time */
} NightResult;

/* One night. units > 1 plays so many clips of a shot as one (for millions of them). */
void night_play(const Night *n, uint64_t seed, int64_t units, NightResult *out);

typedef struct {
    int trials;
    double p10_s, p50_s, p90_s;
    double probability;                                /* that it is done by deadline_s; 0 without one */
    double render_busy_s, finish_busy_s, first_clip_s; /* means */
    double failures;
    int64_t most_masters;
} NightForecast;

/* As many nights as take about budget_s of this process's time, at least 3 and at most `most`. deadline_s: 0 for none. */
void night_forecast(const Night *n, double deadline_s, int most, double budget_s, NightForecast *out);

/* Sorts in place; then the number below which the share q of them lies, between two of them in proportion. count at least 1. */
void night_sort(double *s, int count);
double night_quantile(const double *sorted, int count, double q);

/* Young's and Daly's interval between checkpoints: sqrt(2 c M) - c, with c the cost of one and M the mean time between failures of what
 * works together (J. T. Daly, FGCS 22 (2006) 303); 0 where nothing fails. */
double night_checkpoint_s(double cost_s, double mtbf_s);

#endif
