/* states.h - what a shot and a clip can be, what can happen to them, and how the ledger, events and pages spell it. Pure tables. */
#ifndef REELWRIGHT_LEDGER_STATES_H
#define REELWRIGHT_LEDGER_STATES_H

#include <stdbool.h>

#include "common/status.h"

typedef enum {
    SHOT_PLANNED,
    SHOT_LEASED,   /* being rendered */
    SHOT_MASTERED, /* its master is there: clips are finished of it */
    SHOT_DONE,     /* nothing is left to finish of it: its master is gone */
    SHOT_FAILED,
    SHOT_HELD, /* all clips that still want it are paused or cancelled */
    SHOT_STATES
} ShotState;
/* With review none a finished clip that no gate holds is approved at once, and the run delivers it at its end. */
typedef enum {
    CLIP_PLANNED,   /* its shot has no master yet, or the pilot's approval is not there */
    CLIP_REFUSED,   /* the row gets no clip; the reason says why */
    CLIP_WAITING,   /* its shot has a master: a finisher may take it */
    CLIP_FINISHING, /* a finisher has it */
    CLIP_APPROVED,
    CLIP_DELIVERED,
    CLIP_FAILED,
    CLIP_PAUSED,    /* not made until it is resumed */
    CLIP_CANCELLED, /* final, unless it is resumed */
    CLIP_HELD,      /* finished, but a gate wants a person to look at it */
    CLIP_REVIEW,    /* finished, and the policy wants a person to look at it */
    CLIP_REJECTED,  /* a person does not want it */
    CLIP_REVOKED,   /* the person whose likeness it shows does not agree any more: its files are gone */
    CLIP_ERASED,    /* nothing of its row is left but its place and when that was */
    CLIP_STATES
} ClipState;
typedef enum {
    EV_LEASE,    /* a worker is asked to render the shot, or to finish the clip */
    EV_MASTERED, /* the shot is rendered: its clips can be finished */
    EV_DONE,     /* the clip is finished */
    EV_LAST,     /* of the shot nothing is left to finish */
    EV_UNMASTER, /* the shot's master is lost or damaged: it is rendered again */
    EV_LOST,     /* the lease ended without result: dead, silent, failed, stopped */
    EV_GIVE_UP,  /* too many failures, or one that no other worker would be spared */
    EV_DELIVER,
    EV_RETRY, /* the user asked for this and the following */
    EV_PAUSE,
    EV_RESUME,
    EV_CANCEL,
    EV_HOLD,     /* no clip of the shot may be made any more */
    EV_RELEASE,  /* one may again */
    EV_SPOIL,    /* a finished clip's files are missing or damaged */
    EV_CHANGE,   /* the campaign says something else of it now */
    EV_REFUSE,   /* and that it gets no clip */
    EV_WITHHOLD, /* the clip is finished, and a gate holds it */
    EV_SHOW,     /* a person is to look at the clip: the policy says so, or the sample was rejected */
    EV_APPROVE,  /* a person's word, as the following */
    EV_REJECT,
    EV_RERENDER, /* with another seed */
    EV_UNDO,     /* that is taken back; what a person said of it before is not said any more */
    EV_REVOKE,   /* consent was taken back, or has ended */
    EV_ERASE,    /* the customer's data are removed */
    EV_COUNT
} LedgerEvent;
const char *ledger_shot_state_name(ShotState s);
const char *ledger_clip_state_name(ClipState s);
bool ledger_find_shot_state(const char *name, ShotState *s); /* false: no state is called so */
bool ledger_find_clip_state(const char *name, ClipState *s);
/* The state that follows, or ERR_FATAL when the table has no such line. */
Status ledger_next_shot_state(ShotState from, LedgerEvent event, ShotState *to);
Status ledger_next_clip_state(ClipState from, LedgerEvent event, ClipState *to);
const char *ledger_event_name(LedgerEvent e);

typedef enum { CONTROL_NONE, CONTROL_PAUSED, CONTROL_CANCELLED } ControlState; /* of the whole campaign */
typedef enum { PILOT_NONE, PILOT_OPEN, PILOT_APPROVED, PILOT_REJECTED, PILOT_STATES } PilotState;
const char *ledger_pilot_state_name(PilotState s);
PilotState ledger_find_pilot_state(const char *name); /* PILOT_NONE when no state is called so */

/* How a lease ended. Failed and lost ones count against its shot or clip, the others do not. */
typedef enum {
    LEASE_DONE,
    LEASE_FAILED,
    LEASE_LOST,      /* its worker died, or was silent for too long */
    LEASE_STOPPED,   /* given back, with a checkpoint */
    LEASE_ABANDONED, /* the whole job died */
    LEASE_OUTCOMES
} LeaseOutcome;
const char *ledger_outcome_name(int outcome);

#endif
