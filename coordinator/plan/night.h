/* night.h - a night that only happens on paper: how long a campaign takes on so many workers, with chance and failures.
 *
 * Who gets what next, how many masters may wait and when a clip is given up are decided by the coordinator's own code: its roster, its
 * queues, its rules (coordinator/dispatch/rules.h). In the place of ledger and disk stand arrays, in the place of a worker the time that
 * its lease takes (sim.h), drawn from measured times (record.h). Not played are messages, transactions and files: they would take the
 * time of a real coordinator, 20 us for each result, where a night of ten million clips has to be played several times within a minute.
 * tests/unit/test_night_farm.c plays random nights with the real dispatch, ledger and messages, and compares every lease.
 *
 * - A worker on processors decodes a shot beside its next lease, on the same cores: the one takes its time from the other. So a render
 *   takes its worker as long as from its lease to the next one (record_folder.c), and is played as if all of it came before that.
 * - A node's death ends the job on all nodes. It starts again without that node, and what was in work goes on from its last checkpoint.
 *   When the job is preempted, or its coordinator dies alone, each shot in work is checkpointed at its next step, and the job starts
 *   again on all nodes; a decode or a finish in work is lost. The queues are then filled by shot, as the ledger fills them where no
 *   shot has adapters (else it puts those with the same ones together): what was in work when a job died comes last.
 * - A lease that fails, or whose process dies, is judged by the rules.
 *
 * Many such nights give the finish time's distribution. Units: seconds, from the moment when `run` is started. Pure: no files, no clock,
 * the same numbers for the same seed. */
#ifndef REELWRIGHT_NIGHT_H
#define REELWRIGHT_NIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clip.h"

typedef struct { /* measured times of one kind, in seconds; borrowed */
    const double *s;
    int count; /* at least 1 */
} Times;

typedef struct { /* instead of chance, for tests; ranks as in a job, clips counted within their shot */
    void *self;
    double (*takes_s)(void *self, int rank, LeaseKind kind, int64_t shot, int64_t clip);
    bool (*fails)(void *self, int rank, LeaseKind kind, int64_t shot, int64_t clip); /* at the end of that time */
    double (*dies_s)(void *self, int rank);                                          /* INFINITY: never */
    void (*given)(void *self, double at_s, int rank, LeaseKind kind, int64_t shot, int64_t clip);
} NightScript;

typedef struct {
    int64_t shots;
    const int64_t *clips; /* of each shot, [shots] */
    const int64_t *trunk; /* of each shot: which first steps it shares with others, below `shots`; NULL: none does */
    double
        trunk_share; /* of a render, that these steps are: who needs them first computes them, others wait for that */
    int64_t waiting; /* clips of shots that are rendered already */
    int nodes;
    int groups, group_size, finishers; /* on each node; group_size 0 = 1 */
    bool both;                         /* those who render also finish: no GPU */
    int64_t masters;                   /* for which the disk has room; 0: any number */
    Times render, finish;              /* one shot, one clip */
    Times load;                        /* a worker's first render takes so much longer */
    double start_s, end_s;             /* until the first lease; from the last result to the end of `run` */
    double gap_s;                      /* between two leases of one worker */
    double run_sd;                     /* whole nights differ by this factor (standard deviation of its logarithm) */
    double worker_sd;                  /* workers of one night likewise: stragglers */
    double fail_share;                 /* of leases, that fail */
    double node_mtbf_s;                /* mean time between failures of one node; 0: none fails */
    double restart_s;                  /* from a job's death to the first lease after it */
    double node_s;                     /* and so much longer, when it was a node that died */
    double checkpoint_s;               /* between two checkpoints of a shot */
    double decode_share;               /* of a render: its last part, that no checkpoint holds */
    double dies_at_s;                  /* the coordinator dies then, once, alone; 0: it does not */
    double node_dies_at_s;             /* the first node dies then; 0: it does not */
    double preempt_mtbf_s;             /* between preemptions of the job; 0: none */
    double requeue_s;                  /* how long a preempted job waits for its nodes */
    const NightScript *script;         /* NULL: chance */
} Night;

typedef struct {
    double finish_s;                     /* the whole campaign; INFINITY: nobody is left to do it */
    double render_busy_s, finish_busy_s; /* of all workers */
    double first_clip_s;
    int failures, preemptions; /* of nodes; of the job */
    int64_t failed;            /* clips */
    int64_t most_masters;      /* that waited at one time */
} NightResult;

void night_play(const Night *n, uint64_t seed, NightResult *out);

typedef struct {
    int trials;
    double p10_s, p50_s, p90_s;
    double probability;                                /* that it is done by deadline_s; 0 without one */
    double render_busy_s, finish_busy_s, first_clip_s; /* means */
    double failures;
    int64_t most_masters;
} NightForecast;

typedef struct {
    int least, most; /* nights */
    double budget_s; /* of this process's time: none is begun after it, beyond the least */
} NightEffort;

/* deadline_s: 0 for none. */
void night_forecast(const Night *n, double deadline_s, NightEffort effort, NightForecast *out);

typedef struct {
    Night night;            /* borrows the rest from the one it is made of */
    int64_t *clips, *trunk; /* owned; NULL: it is that night itself */
} SmallNight;
enum { NIGHT_SMALL = 1 << 20 /* shots and clips, where many nights are to be played */ };
/* A night of at most about `most` shots and clips that is done at about the same time: a part of the nodes, of the shots and of what waits.
 * As many nodes die, and each is a larger part of these: such a night takes longer than the whole one. The same night where it is small
 * already, where there are too few nodes or shots to leave some out, and where the shots that are left have another share of the clips. To be
 * cleared. */
void night_make_small(const Night *n, int64_t most, SmallNight *out);
void night_small_clear(SmallNight *s);

/* Sorts in place; then the number below which the share q of them lies, between two of them in proportion. count at least 1. */
void night_sort(double *s, int count);
double night_quantile(const double *sorted, int count, double q);

/* Young's and Daly's interval between checkpoints: sqrt(2 c M) - c, with c the cost of one and M the mean time between failures of what
 * works together (J. T. Daly, FGCS 22 (2006) 303); 0 where nothing fails. */
double night_checkpoint_s(double cost_s, double mtbf_s);

#endif
