/* ledger.h - the durable state of one campaign: DIR/ledger.db (SQLite, WAL, synchronous=FULL), and the only SQL there is.
 *
 * Theory of operation
 * - The ledger is written before the world is told: all changes of one dispatch round are one transaction (ledger_begin ..
 *   ledger_commit); messages, events and pages follow its commit. What the ledger says has happened, has happened.
 * - One writer. Each process that writes takes an epoch (ledger_begin_epoch), a number above all earlier ones. Every
 *   transaction begins by comparing it: a writer whose epoch is old is refused everything (ERR_FATAL "fenced") and ends.
 * - A folder belongs to one campaign, known by its name and model; another one is refused (ERR_INPUT) and changes nothing. Whether it is
 *   still as it was planned, its fingerprint says; a changed one is taken by an update (update.h), and by nothing else.
 * - States change by the tables in states.c {state, event, state'} and in no other way.
 * - A new epoch takes back what the last one left in flight: its running leases are "abandoned" and count as no failure.
 *
 * Readers (status, report) open it LEDGER_READ at any time. On a local disk the journal is a WAL: they see the last commit
 * without holding up the writer. WAL lives in shared memory, so on a network file system (or with REELWRIGHT_JOURNAL=rollback) it
 * is a rollback journal, which needs nothing but file locks that work between the machines. */
#ifndef REELWRIGHT_LEDGER_H
#define REELWRIGHT_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/campaign/campaign.h"
#include "coordinator/ledger/states.h"

typedef struct Ledger Ledger;

typedef enum { LEDGER_READ, LEDGER_WRITE } LedgerMode; /* LEDGER_WRITE makes the file when it is missing */
/* ERR_INPUT: no ledger in that folder, not a ledger, or of another version. */
Status ledger_open(const char *folder, LedgerMode mode, Ledger **out);
void ledger_close(Ledger **l);
/* Moves what is in the write-ahead log into ledger.db, so that this one file is the whole ledger. When nobody else has it open. */
void ledger_settle(const char *folder);
const char *ledger_folder(const Ledger *l); /* absolute */
/* ERR_FATAL when the folder was moved or removed since the ledger was opened: what is written now would be lost with the old file. */
Status ledger_check_place(const Ledger *l);
/* The failure of a folder that holds a campaign's files and a ledger without a byte. */
Status ledger_cut(const char *folder);
/* Reads every page of the file. ERR_INPUT: one of them is damaged; the message says what to do. A run that needs such a page later would end in
 * the middle of the night, and one that needs it never would call the campaign complete. 0.3 s for 200,000 rows (241 MB). */
Status ledger_check_pages(Ledger *l);
/* Opens it to read and does that: for every verb that does not only show what the ledger says but lets people rely on it. */
Status ledger_open_whole(const char *folder, Ledger **out);
/* For the verbs that show or steer: as ledger_open_whole, but while a run works in the folder only to read, since the run looked at every page when
 * it began, and where the journal is a rollback one its commits wait for readers. */
Status ledger_open_shown(const char *folder, Ledger **out);

/* True of a failure that only says that another process held the lock for longer than this ledger's patience: nothing was done, and the same
 * call may succeed later. No statement within a transaction fails so, only its begin, its commit and what is read outside of one. */
bool ledger_is_locked(Status s);
/* How long a call waits for a lock; negative: until the process is asked to stop. At first 30 s for a reader, and endless for a writer.
 * Whoever waits for long is told of it. */
void ledger_set_patience(Ledger *l, int64_t ms);

/* Writes the plan of a new campaign, or checks that the ledger belongs to this campaign: ERR_INPUT names both when it does not. */
Status ledger_adopt(Ledger *l, const Campaign *c, double now_s);
/* Only checks that, and writes nothing; OK when the ledger has no plan yet. update: ledger_take_plan will take in what has changed. */
Status ledger_check_campaign(Ledger *l, const Campaign *c, bool update);
/* As ledger_adopt, for a campaign that may have changed. *pending: it has, nothing was written yet, and the owner of the folder calls
 * ledger_update. Without `update` only changes of the list are taken; any other is refused (ERR_INPUT): the message names the rows and the
 * command. */
Status ledger_take_plan(Ledger *l, const Campaign *c, bool update, double now_s, bool *pending);
/* Takes the next epoch and takes back what was in flight. */
Status ledger_begin_epoch(Ledger *l, const char *host, int pid, double now_s);
Status ledger_end_epoch(Ledger *l, const char *outcome, double now_s);
int64_t ledger_epoch(const Ledger *l);
/* JSON array of the customers' column names; free() it. */
Status ledger_read_columns(Ledger *l, char **json);

/* One dispatch round's changes, whole or not at all. now_s (wall clock) stamps all of them. */
Status ledger_begin(Ledger *l, double now_s);
/* After a failure that ledger_is_locked the transaction is still there: this again, or ledger_rollback. */
Status ledger_commit(Ledger *l);
void ledger_rollback(Ledger *l); /* harmless when nothing was begun */

/* ---- inside a round ---- */

/* The shots that wait for a worker, in plan order, but those with the same adapters together. Those that were in work when a job died come last. *shot is to be freed. */
Status ledger_planned_shots(Ledger *l, int64_t **shot, int64_t *count);
/* The clips that wait for a finisher, of one shot, or of all (shot -1): shot by shot, each in plan order. *clip is to be freed. */
Status ledger_waiting_clips(Ledger *l, int64_t shot, int64_t **clip, int64_t *count);
/* A new lease for this worker. *out is empty (lease 0) when no clip wants the shot any more: it is held. */
Status ledger_give_render(Ledger *l, int64_t shot, const char *worker, Lease *out);
Status ledger_give_finish(Ledger *l, int64_t clip, const char *worker, Lease *out, int64_t *shot);
/* The lease's result: the shot has its master and its clips wait for finishers, or the clip is finished. *gone: nothing is left to be
 * made of the shot, its master can go. ERR_RETRY, with nothing changed, when the result is not of what was ordered. */
Status ledger_take_result(Ledger *l, const LeaseResult *r, bool *gone);
/* The lease ended without result: the shot is planned again, or the clip waits again. */
Status ledger_end_lease(Ledger *l, int64_t lease, LeaseOutcome outcome, const LeaseResult *r, const char *reason);
/* The shot's master is missing or damaged: it is rendered again, and its clips that are not finished wait for that. */
Status ledger_lose_master(Ledger *l, int64_t shot);
/* How many different workers have failed at this shot's render, or this clip's finish, or were lost with it, and how often, since it
 * was last retried. item: the shot's number, or the clip's. */
Status ledger_failures(Ledger *l, LeaseKind kind, int64_t item, int *workers, int *times);
Status ledger_has_failed(Ledger *l, LeaseKind kind, int64_t item, const char *worker, bool *yes);
/* The shot and all of its clips, or the clip alone, become failed. *gone: as in ledger_take_result. */
Status ledger_give_up(Ledger *l, LeaseKind kind, int64_t item, const char *reason, bool *gone);
/* Notes how many steps of the lease's shot are done. The launcher takes the sum of these as the progress of the campaign. */
Status ledger_note_step(Ledger *l, int64_t lease, int step);
Status ledger_note_delivered(Ledger *l, int64_t clip);
/* A member of the document that the clip's finish gave back (ClipRow.result), JSON; NULL takes it out. */
Status ledger_note_result(Ledger *l, int64_t clip, const char *member, const char *json);
bool ledger_has_master(const Ledger *l, int64_t shot);
/* How many shots have a clip that waits for a finisher or is being finished. */
int ledger_ready_masters(const Ledger *l);
typedef struct {
    Status (*master)(void *self, int64_t shot, const char *key, int64_t bytes);
    void *self;
} MasterSink;
/* Calls the sink with each shot that has a master. */
Status ledger_read_masters(Ledger *l, MasterSink sink);

typedef struct { /* what a worker is doing, for status; written at most once a second */
    int rank, pid, threads;
    const char *host, *state; /* "ready", "working", "aside", "lost", "gone" */
    const char *stage, *clip; /* "" when it does nothing; clip: of its lease, the first one of a render */
    int64_t lease, shot;
    int done, total, clip_count, renders, finished; /* renders, finished: shots and clips that it has made */
    double heard_s;
    int takes, kind; /* a bit for each LeaseKind that it is here for; the kind of its lease */
    bool is_tail;    /* a line of its own for what the worker decodes beside its lease: while it does, "working" */
} WorkerLine;
Status ledger_note_worker(Ledger *l, const WorkerLine *w);
Status ledger_note_alive(Ledger *l); /* the coordinator is there, although nothing happens */

#endif
