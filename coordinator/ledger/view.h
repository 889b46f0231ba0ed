/* view.h - what status, pages and lists read of a ledger: a snapshot of the whole, and rows, one at a time. */
#ifndef REELWRIGHT_LEDGER_VIEW_H
#define REELWRIGHT_LEDGER_VIEW_H

#include "coordinator/campaign/sampling.h"
#include "coordinator/ledger/steer.h"

enum { SNAPSHOT_WORKERS = 2048 }; /* lines: 1,024 workers, and a tail of each */

typedef struct {                               /* owns its texts: snapshot_clear */
    char *name, *file, *model_folder, *folder; /* folder: the campaign's, absolute */
    char model_hash[HASH_TEXT], fingerprint[HASH_TEXT];
    Part part; /* 1 of 1: the whole campaign */
    ControlState control;
    int64_t clip_count[CLIP_STATES], shot_count[SHOT_STATES];
    int64_t clips, shots, refused, finished, failed, cancelled, undecided, rejected,
        left; /* finished: approved or delivered; undecided: made, a person's word is awaited; clips == the sum of these: paused
                 ones are left, and tombstones of erased customers are not counted */
    bool by_sample; /* review: {policy: sample} */
    PilotState pilot;
    int64_t pilot_clips, pilot_left; /* its clips: how many, and not final yet */
    int priority;
    double deadline_s; /* 0: none */
    int64_t steps;     /* sum over shots of the highest step: what a launcher calls progress */
    double created_s;
    int64_t epoch;        /* 0: never run */
    int64_t launches;     /* epochs that gave a lease */
    char *host, *outcome; /* of the epoch; outcome "" while it lasts */
    int pid;
    double started_s, heard_s, ended_s;
    int64_t finished_lately; /* clips, in the last epoch that gave a lease */
    double first_s, last_s;  /* its first lease and last result: the time that the rate is taken over */
    int worker_count;
    WorkerLine *worker; /* [worker_count], of this epoch; texts owned. A tail follows its worker */
} Snapshot;

/* One consistent view, whatever the writer does meanwhile; a millisecond, however many rows there are (counts.h). */
Status ledger_read_snapshot(Ledger *l, Snapshot *out);
void snapshot_clear(Snapshot *s);
/* The workers of that epoch in the place of those of the last one, which has none where it only concluded. */
Status ledger_read_workers(Ledger *l, int64_t epoch, Snapshot *s);
/* Compares the counts that a snapshot shows with the rows (half a second for a million): ERR_FATAL names what differs. */
Status ledger_check_counts(Ledger *l);
/* Whether a run works on it now: its epoch has not ended and its launcher lives. A launcher that was killed could not say so: then nobody
 * holds the folder's lock, or, where this machine cannot see the lock, nothing was heard for a minute. */
bool snapshot_goes_on(const Snapshot *s, double now_s);
/* What must be done before the campaign can go on: "" nothing; "resume"; "approval" of the pilot, whose clips are made. */
const char *snapshot_waits_for(const Snapshot *s);
/* Shots that have, or had, a master. */
int64_t snapshot_rendered(const Snapshot *s);
/* How many workers have a lease of this kind now. */
int snapshot_workers_at(const Snapshot *s, LeaseKind kind);
double snapshot_clips_per_hour(const Snapshot *s, double now_s); /* 0 when not known yet */
/* By how much the deadline is missed at the speed so far. 0 or less: it is kept, there is none, or nothing is known yet. */
double snapshot_late_s(const Snapshot *s, double now_s);

typedef struct { /* of all leases that have ended */
    int64_t count[LEASE_KINDS][LEASE_OUTCOMES];
    double text_s, denoise_s, decode_s, finish_s; /* of the done ones */
} LeaseTotals;
Status ledger_read_totals(Ledger *l, LeaseTotals *out); /* reads every lease: half a second for a million */

typedef struct {        /* one row of the customers table and what became of it; texts borrowed until the next */
    int64_t clip, shot; /* shot -1: refused */
    const char *clip_id, *stem, *state, *reason, *customer; /* customer: JSON array of the row's values */
    const char *file, *thumbnail, *sheet, *sha256, *reviewer, *key, *prompt;
    double duration_s, decided_s;
    int width, height, steps; /* steps: of all clips that its shot is made in */
    uint64_t seed;
    double text_s, denoise_s, decode_s, finish_s, given_s,
        ended_s; /* of the leases that made it: given_s of its render, ended_s of its finish */
    const char *worker;
    int steps_resumed, step;     /* step: the highest that the shot has reached */
    const char *finish, *result; /* JSON: what it is finished with of its own, and what its finish gave back; "" */
    const char *label;           /* profile of the mark that AI made it; "": none */
    bool pilot;                  /* it is made before the pilot is approved */
    int64_t sharers, failures;   /* clips of the same shot; failed and lost leases of it and of this clip */
} ClipRow;

typedef struct {
    Status (*row)(void *self, const ClipRow *row);
    void *self;
} ClipSink;
/* All rows in the customers' order; only the one with this id when it is not NULL. */
Status ledger_read_clips(Ledger *l, const char *clip_id, ClipSink sink);
/* Those with first <= clip < end. */
Status ledger_read_clip_range(Ledger *l, int64_t first, int64_t end, ClipSink sink);
/* For a page: the clips that were finished last, and those that failed; at most `most`, at most VIEW_MOST. It reads no more rows than that. */
enum { VIEW_MOST = 64 };
Status ledger_read_latest(Ledger *l, int most, ClipSink sink);
Status ledger_read_failed(Ledger *l, int most, ClipSink sink);
/* A number that changes when another process commits; to be compared with the last one from the same connection. */
Status ledger_get_version(Ledger *l, int64_t *version);
/* One more than the highest number of a clip, and of a shot. A part of a campaign has the numbers of the whole. NULL: not asked for. */
Status ledger_find_ends(Ledger *l, int64_t *clips, int64_t *shots);
/* Means of the masters that were made, and of all files of a clip, over the first thousand of each; 0: there is none. */
Status ledger_read_sizes(Ledger *l, double *master_bytes, double *clip_bytes);
/* JSON array of objects, Rendition's fields; free() it. */
Status ledger_read_renditions(Ledger *l, char **json);
/* The first shot of the plan, to be cleared; all zero when there is none. */
Status ledger_read_any_shot(Ledger *l, ShotSpec *out);
Status ledger_read_shot(Ledger *l, int64_t shot, ShotSpec *out); /* the shot of this number */
/* What every clip of the campaign is finished with (finish_spec.h); free() it. */
Status ledger_read_finish(Ledger *l, char **json);

typedef struct { /* a clip that has its file, for whoever looks at many; texts borrowed */
    const char *clip_id, *stem, *state, *customer, *file, *thumbnail, *sha256, *result, *reviewer, *reason;
    bool pilot;
} MadeClip;
typedef struct {
    Status (*clip)(void *self, const MadeClip *c);
    void *self;
} MadeSink;
/* Those that meet the filter (NULL or "": all): first the held ones, then those in review; each in the customers' order. */
Status ledger_read_made(Ledger *l, const char *filter, MadeSink sink);
/* The state of the clip with this stem; "" when there is none. */
Status ledger_find_state(Ledger *l, const char *stem, char *state, size_t room);

typedef struct { /* an adapter that renders of this campaign use, and of how many rows; texts borrowed */
    const char *path, *sha256;
    int64_t rows;
} AdapterRow;
typedef struct {
    Status (*row)(void *self, const AdapterRow *row);
    void *self;
} AdapterSink;
Status ledger_read_adapters(Ledger *l, AdapterSink sink);

typedef struct {                                             /* what a reviewer said of a clip; texts borrowed */
    int64_t id;                                              /* grows */
    const char *clip_id, *verb, *reviewer, *reason, *sha256; /* clip_id "": its row left the campaign */
    const char *customer;                                    /* its row, a JSON array */
    double decided_s;
} DecisionRow;
typedef struct {
    Status (*row)(void *self, const DecisionRow *row);
    void *self;
} DecisionSink;
/* In their order, those with a greater id. */
Status ledger_read_decisions(Ledger *l, int64_t after, DecisionSink sink);
Status ledger_read_decisions_of(Ledger *l, const char *clip_id, DecisionSink sink); /* one clip's */
Status ledger_find_last_decision(Ledger *l, int64_t *id);                           /* 0: there is none */

typedef enum { LOT_OPEN, LOT_ACCEPTED, LOT_REJECTED } LotVerdict;
typedef struct { /* of a campaign with a sample: lot.h */
    bool by_sample;
    double lq, aql; /* per cent; aql 0: the campaign stands alone */
    SamplingSeverity severity;
    int64_t clips, decided, bad; /* decided, bad: of the sample */
    SamplingPlan plan;
    LotVerdict verdict;
} ReviewLot;
Status ledger_read_lot(Ledger *l, ReviewLot *out);
/* How strictly a lot of a series is looked at; settled once. Setting it: inside a round. */
Status ledger_get_severity(Ledger *l, bool *known);
Status ledger_set_severity(Ledger *l, SamplingSeverity s);

typedef struct { /* texts borrowed */
    LeaseKind kind;
    int64_t lease, epoch, shot, clip; /* clip -1: of a render */
    const char *worker, *outcome, *reason;
    double given_s, ended_s;
    double text_s, denoise_s, decode_s; /* of a render */
    int steps_done, steps_resumed;
    const char *figures; /* JSON, worker/render/figures.h; "" none */
} LeaseRow;
typedef struct {
    Status (*row)(void *self, const LeaseRow *row);
    void *self;
} LeaseSink;
/* In the order they were given; all, or (shot >= 0) the renders of one shot and the finishes of one clip of it. */
Status ledger_read_leases(Ledger *l, int64_t shot, int64_t clip, LeaseSink sink);
Status ledger_read_latest_leases(Ledger *l, int64_t most,
                                 LeaseSink sink); /* the last so many, whatever they were for */

#endif
