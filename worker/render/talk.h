/* talk.h - a worker's side of the protocol (common/wire.h), without the work: what was heard, what is owed.
 *
 *     talk_hear -> has_lease? do it, with talk_progress and talk_hear between the steps, then talk_finish -> talk_hear ...
 *
 * A render whose last step is done may become the worker's tail (talk_leave_tail): then the worker is ready for the next lease, and the
 * render's end is reported by talk_tail_progress and talk_finish_tail. There is one tail at a time.
 *
 * Each lease number is done at most once. A result is repeated every second until it is acknowledged; an idle worker says
 * every second that it is ready. So any single message may be lost, late or doubled. */
#ifndef REELWRIGHT_TALK_H
#define REELWRIGHT_TALK_H

#include "common/link.h"
#include "common/wire.h"

enum { TALK_REPEAT_MS = 1000 };

typedef struct {
    bool has_lease; /* `lease` is being ended */
    Lease lease;
    bool owes_result; /* `result` is not acknowledged yet */
    LeaseResult result;
    int64_t said_ms; /* when RESULT was said last */
    bool drop;       /* told to give it up */
} TalkTail;

typedef struct {
    Link *link;
    char host[64];
    int pid, threads, takes;
    int64_t seen;   /* the highest lease number so far */
    bool has_lease; /* `lease` is to be done or being done */
    Lease lease;
    bool owes_result; /* `result` is not acknowledged yet */
    LeaseResult result;
    int64_t said_ms; /* when READY or RESULT was said last */
    TalkTail tail;
    bool stop, drop; /* told to end; told to give up the lease in work */
    int stop_why;    /* WireStopWhy */
    bool alone;      /* the coordinator is dead */
} Talk;

void talk_open(Talk *t, Link *link, const char *host, int pid, int threads, int takes);
void talk_close(Talk *t);
/* Takes up what has arrived, waiting up to wait_ms for the first message; then says again what is due. */
Status talk_hear(Talk *t, int64_t now_ms, int wait_ms);
Status talk_progress(Talk *t, const char *stage, int done, int total);
/* The lease in work has ended with this result. The talk owns *r from here on. */
Status talk_finish(Talk *t, LeaseResult *r, int64_t now_ms);
/* The lease in work has ended on a rank that only took part in it: this rank reports no result, and says that it is ready. */
Status talk_leave(Talk *t, int64_t now_ms);
/* The worker has no tail, and no result of an earlier tail waits to be acknowledged. */
bool talk_may_leave_tail(const Talk *t);
/* The lease in work becomes the tail. */
Status talk_leave_tail(Talk *t, int64_t now_ms);
Status talk_tail_progress(Talk *t, const char *stage, int done, int total);
/* The tail has ended with this result. The talk owns *r from here on. */
Status talk_finish_tail(Talk *t, LeaseResult *r, int64_t now_ms);
/* A result is not acknowledged yet, or the tail is not at its end. */
bool talk_owes(const Talk *t);
Status talk_goodbye(Talk *t);

#endif
