/* night.h - a campaign's night in one process: the real coordinator, ledger, dispatch, protocol, checkpoints and file code, with
 * workers that compute a toy shot on a clock the night owns. Everything that goes wrong is drawn from one seed. */
#ifndef REELWRIGHT_TESTS_NIGHT_H
#define REELWRIGHT_TESTS_NIGHT_H

#include "../unit/farm_fixture.h"
#include "coordinator/dispatch/dispatch.h"
#include "coordinator/ledger/steer.h"
#include "tests/farm/sim_worker.h"
#include "worker/render/checkpoint.h"

enum { NIGHT_STEPS = 6, NIGHT_EVERY = 2, MOST_SIMS = 6, MOST_ROWS = 24, TICK_MS = 25, UNIT_MS = 100, LIMIT_MS = 2000 };

/* Where a worker can meet its fate, in the order of a lease. */
typedef enum {
    AT_IDLE,
    AT_LOAD,
    AT_TEXT,
    AT_DENOISE,
    AT_SAVE,
    AT_DECODE,
    AT_MASTER, /* written; the last of a render before its report */
    AT_FINISH, /* the first of a finish: the master is read */
    AT_ENCODE,
    AT_REPORT,
    POINTS
} Point;
typedef enum { FATE_NONE, FATE_DIE, FATE_HANG, FATE_RETRY, FATE_NODE, FATE_DISK_FULL, FATE_TOO_FAST, FATES } Fate;

typedef struct Night Night;

typedef struct { /* a worker process */
    SimWorker w;
    Night *night;
    Point at; /* what its next unit is */
    int step, resumed;
    float latents[4];
    CheckpointMark mark;
    struct {
        float latents[4];
        int step, resumed;
    } tail;
    Fate fate; /* what happens when it gets to fate_at */
    Point fate_at;
    bool too_fast, master_bad;
} Sim;

typedef struct { /* a worker that outlives its job and does not know it: a batch script that still runs */
    LocalNet *net;
    Sim *sim;
} Ghost;

struct Night {
    Status (*plan)(struct Night *n); /* in place of adopting the campaign, before each job; NULL: that */
    void (*tick)(struct Night *n);   /* NULL: nobody looks */
    uint64_t seed, dice;
    bool tails; /* some workers decode beside their next lease: in every second night */
    bool told;  /* say what strikes, as it strikes */
    char *folder;
    Campaign *campaign;
    int rows_per_shot, poison; /* poison: the shot that kills or fails whoever takes it; -1: none */
    Ledger *ledger;
    Events *events;
    LocalNet *net;
    Dispatch *dispatch;
    int64_t now_ms, resume_ms; /* resume_ms: when a pause ends; 0: not paused */
    int sims, launches;
    Sim *sim; /* [1 .. sims] */
    int ghosts;
    Ghost ghost[8];
    int strikes_left;
    int saved[MOST_ROWS];  /* by shot: the step of the sound checkpoint on disk */
    int worked[MOST_ROWS]; /* by shot: steps done in all attempts */
    int again[MOST_ROWS];  /* by shot: how often its master had to be made again */
};

/* Ends the program with the seed and how to see it again. */
void night_fail(const Night *n, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
void night_tell(const Night *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define NIGHT_CHECK(n, condition, ...)                                                                                 \
    do {                                                                                                               \
        if (!(condition)) night_fail(n, __VA_ARGS__);                                                                  \
    } while (0)
#define NIGHT_GOOD(n, expr)                                                                                            \
    do {                                                                                                               \
        Status good_ = (expr);                                                                                         \
        if (failed(good_)) night_fail(n, "%s: %s", #expr, good_.message);                                              \
    } while (0)

int night_roll(Night *n, int sides); /* 0 .. sides - 1 */
void night_open(Night *n, uint64_t seed, int rows, int rows_per_shot);
void night_close(Night *n);
/* From the plan in the ledger, or from whatever stands there, until every row has its final state. */
void night_run(Night *n);
void night_request(Night *n, const char *verb);
/* The job ends as by kill -9 of everything; `ghost`: but for one worker, which works on. */
void night_end_job(Night *n, bool ghost);
char *night_checkpoint(const Night *n, int64_t shot); /* its path; free() it */
int64_t night_shot_of(const Night *n, const char *key);

/* night_strike.c */
void night_strike(Night *n);       /* something goes wrong, or is about to */
void night_calm(void);             /* takes back what was ordered and has not happened */
void night_doom(Night *n, Sim *s); /* a fate for this worker */
void night_damage(Night *n);       /* a checkpoint */
void night_damage_master(Night *n);
const char *night_fate_name(Fate f);

/* night_sim.c */
void sim_open(Night *n, Sim *s, int rank, LocalNet *net);
void sim_tick(Night *n, Sim *s);

#endif
