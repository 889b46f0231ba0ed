/* steer.h - what people ask of a campaign while it runs: requests, the clips that they select, and what holds work back.
 *
 * A verb writes a request, the one thing that a process without an epoch may write. The coordinator takes it up within a
 * second; when none runs, the next run does before it starts. Only then do states change, by the tables in states.c. */
#ifndef REELWRIGHT_LEDGER_STEER_H
#define REELWRIGHT_LEDGER_STEER_H

#include "coordinator/ledger/ledger.h"

typedef struct {
    int64_t id; /* 0: none */
    char *
        verb; /* "pause", "resume", "cancel", "retry", "reseed", "priority", "approve", "reject" (of the pilot), and those of review.h */
    char *clip_id;           /* "": not one clip */
    char *filter;            /* "": no filter; else as ledger_make_filter makes it */
    int64_t number;          /* the new priority, or seed */
    char *reviewer, *reason; /* of a review; NULL or "": none */
    char *
        seen; /* of a review of one clip: what the reviewer looked at, "STATE HASH", the hash's first 16 digits; NULL or "": whatever it is */
} LedgerRequest;

/* What became of it. */
typedef enum {
    OUTCOME_OPEN,  /* nobody has taken it up yet */
    OUTCOME_DONE,  /* clips changed their states */
    OUTCOME_NOTED, /* four eyes: the approval is written down, and a second reviewer must approve, too */
    OUTCOME_OTHER, /* somebody else decided, or the clip was made anew, since the reviewer looked: nothing has changed */
    OUTCOME_NOTHING, /* no selected clip is in a state that the verb can change */
    OUTCOMES
} RequestOutcome;
typedef struct {
    RequestOutcome outcome;
    int64_t changed; /* clips */
} RequestAnswer;

/* "place=beach", "state!=failed", "gate=flicker": conditions that a clip must all meet, on the customers' columns and, as `state`
 * (and always as `clip.state`), the clip's own state, and as `gate` (`clip.gate`) the gates that hold it. ERR_INPUT names the columns
 * there are. *json is to be freed. */
Status ledger_make_filter(Ledger *l, const char *const *where, int count, char **json);
/* *meant: how many clips the request selects. *changed: how many of them the verb would change now, those in work included. */
Status ledger_count_selected(Ledger *l, const LedgerRequest *r, int64_t *meant, int64_t *changed);

Status ledger_request(Ledger *l, const LedgerRequest *r, double now_s);
/* What a reviewer's verb ("review approve" and so on: review.h) does to a clip. */
LedgerEvent ledger_review_event_of(const char *verb);
/* Whether something can be taken back of a clip whose state says nothing of it. Four eyes: one person has approved the clip's present file, and a
 * second one is awaited. A clip that is to be rendered again: the render has not begun. */
Status ledger_may_take_back(Ledger *l, const char *clip_id, bool *yes);
/* All of them or none, in one transaction; their ids follow one another from *first. */
Status ledger_request_all(Ledger *l, const LedgerRequest *r, int64_t count, double now_s, int64_t *first);
/* Of the requests with the ids first, first + 1 and so on. */
Status ledger_note_answer(Ledger *l, int64_t id, const RequestAnswer *a); /* inside a round */
Status ledger_read_answers(Ledger *l, int64_t first, int64_t count, RequestAnswer *out);
Status ledger_next_request(Ledger *l, LedgerRequest *r); /* id 0: none; ledger_request_clear */
void ledger_request_clear(LedgerRequest *r);

/* ---- inside a round ---- */

/* The leases that finish clips which this request cancels: they must be ended before it is applied. Free *lease. */
Status ledger_request_leases(Ledger *l, const LedgerRequest *r, int64_t **lease, int64_t *count);
/* The running renders whose shots no clip wants any more, after a request: they are to be ended. Free *lease. */
Status ledger_unwanted_leases(Ledger *l, int64_t **lease, int64_t *count);
/* Does what the request asks for, and notes the outcome. *changed: not 0 when other work may be handed out than before. */
Status ledger_apply_request(Ledger *l, const LedgerRequest *r, int64_t *changed);

/* A shot follows its clips: held when none may be made, planned when one may again. A failed shot that is wanted again begins anew:
 * its failures no longer count. */
Status ledger_follow_clips(Ledger *l, int64_t shot);

Status ledger_get_control(Ledger *l, ControlState *s);
/* What an empty queue means: nothing is left, or what is left waits for the pilot's approval or to be resumed. */
typedef enum { HOLD_NONE, HOLD_PILOT, HOLD_PAUSED } Hold;
Status ledger_get_hold(Ledger *l, Hold *h);
/* The campaign's settings as its file gave them (settings_clear); priority as it was set last. */
Status ledger_read_settings(Ledger *l, Settings *out);
Status ledger_count_failed(Ledger *l, int64_t *clips); /* without the ones that were tried again */
/* What failed, for a message: "k7, k9 and 3 more: disk full; k2: ..."; at most `most` reasons. free() it. */
Status ledger_describe_failures(Ledger *l, int most, char **text);
/* The clips of a shot, for an event: how many, and the first ids, "k7, k8". free() *ids. */
Status ledger_name_clips(Ledger *l, int64_t shot, int64_t *count, char **ids);
/* Within ledger_begin_epoch: notes whether only the clips of the pilot may be made. */
Status ledger_look_at_pilot(Ledger *l);

#endif
