#include "states.h"

#include <stddef.h>
#include <string.h>

static const struct {
    ShotState from;
    LedgerEvent event;
    ShotState to;
} shot_table[] = {
    {SHOT_PLANNED, EV_LEASE, SHOT_LEASED},      {SHOT_LEASED, EV_MASTERED, SHOT_MASTERED},
    {SHOT_LEASED, EV_LOST, SHOT_PLANNED},       {SHOT_MASTERED, EV_LAST, SHOT_DONE},
    {SHOT_MASTERED, EV_UNMASTER, SHOT_PLANNED}, {SHOT_PLANNED, EV_GIVE_UP, SHOT_FAILED},
    {SHOT_PLANNED, EV_HOLD, SHOT_HELD},         {SHOT_HELD, EV_RELEASE, SHOT_PLANNED},
    {SHOT_FAILED, EV_RELEASE, SHOT_PLANNED},    {SHOT_DONE, EV_RELEASE, SHOT_PLANNED},
};

static const struct {
    ClipState from;
    LedgerEvent event;
    ClipState to;
} clip_table[] = {
    /* what people take back, and what is erased */
    {CLIP_PLANNED, EV_REVOKE, CLIP_REVOKED},      {CLIP_WAITING, EV_REVOKE, CLIP_REVOKED},
    {CLIP_APPROVED, EV_REVOKE, CLIP_REVOKED},     {CLIP_DELIVERED, EV_REVOKE, CLIP_REVOKED},
    {CLIP_PAUSED, EV_REVOKE, CLIP_REVOKED},       {CLIP_HELD, EV_REVOKE, CLIP_REVOKED},
    {CLIP_REVIEW, EV_REVOKE, CLIP_REVOKED},       {CLIP_REJECTED, EV_REVOKE, CLIP_REVOKED},
    {CLIP_REVOKED, EV_CHANGE, CLIP_PLANNED},      {CLIP_REVOKED, EV_REFUSE, CLIP_REFUSED},
    {CLIP_PLANNED, EV_ERASE, CLIP_ERASED},        {CLIP_WAITING, EV_ERASE, CLIP_ERASED},
    {CLIP_REFUSED, EV_ERASE, CLIP_ERASED},        {CLIP_APPROVED, EV_ERASE, CLIP_ERASED},
    {CLIP_DELIVERED, EV_ERASE, CLIP_ERASED},      {CLIP_FAILED, EV_ERASE, CLIP_ERASED},
    {CLIP_PAUSED, EV_ERASE, CLIP_ERASED},         {CLIP_CANCELLED, EV_ERASE, CLIP_ERASED},
    {CLIP_REVOKED, EV_ERASE, CLIP_ERASED},        {CLIP_HELD, EV_ERASE, CLIP_ERASED},
    {CLIP_REVIEW, EV_ERASE, CLIP_ERASED},         {CLIP_REJECTED, EV_ERASE, CLIP_ERASED},
    {CLIP_PLANNED, EV_MASTERED, CLIP_WAITING},    {CLIP_WAITING, EV_LEASE, CLIP_FINISHING},
    {CLIP_FINISHING, EV_DONE, CLIP_APPROVED},     {CLIP_FINISHING, EV_LOST, CLIP_WAITING},
    {CLIP_WAITING, EV_UNMASTER, CLIP_PLANNED},    {CLIP_FINISHING, EV_UNMASTER, CLIP_PLANNED},
    {CLIP_PLANNED, EV_GIVE_UP, CLIP_FAILED},      {CLIP_WAITING, EV_GIVE_UP, CLIP_FAILED},
    {CLIP_PAUSED, EV_GIVE_UP, CLIP_FAILED},       {CLIP_APPROVED, EV_DELIVER, CLIP_DELIVERED},
    {CLIP_DELIVERED, EV_DELIVER, CLIP_DELIVERED}, {CLIP_FAILED, EV_RETRY, CLIP_PLANNED},
    {CLIP_APPROVED, EV_SPOIL, CLIP_PLANNED},      {CLIP_DELIVERED, EV_SPOIL, CLIP_PLANNED},
    {CLIP_PLANNED, EV_PAUSE, CLIP_PAUSED},        {CLIP_WAITING, EV_PAUSE, CLIP_PAUSED},
    {CLIP_PAUSED, EV_RESUME, CLIP_PLANNED},       {CLIP_PLANNED, EV_CANCEL, CLIP_CANCELLED},
    {CLIP_WAITING, EV_CANCEL, CLIP_CANCELLED},    {CLIP_PAUSED, EV_CANCEL, CLIP_CANCELLED},
    {CLIP_CANCELLED, EV_RESUME, CLIP_PLANNED},    {CLIP_REFUSED, EV_CHANGE, CLIP_PLANNED},
    {CLIP_PLANNED, EV_CHANGE, CLIP_PLANNED},      {CLIP_WAITING, EV_CHANGE, CLIP_PLANNED},
    {CLIP_APPROVED, EV_CHANGE, CLIP_PLANNED},     {CLIP_DELIVERED, EV_CHANGE, CLIP_PLANNED},
    {CLIP_FAILED, EV_CHANGE, CLIP_PLANNED},       {CLIP_PAUSED, EV_CHANGE, CLIP_PAUSED},
    {CLIP_CANCELLED, EV_CHANGE, CLIP_CANCELLED},  {CLIP_REFUSED, EV_REFUSE, CLIP_REFUSED},
    {CLIP_PLANNED, EV_REFUSE, CLIP_REFUSED},      {CLIP_WAITING, EV_REFUSE, CLIP_REFUSED},

    {CLIP_FAILED, EV_REFUSE, CLIP_REFUSED},       {CLIP_PAUSED, EV_REFUSE, CLIP_REFUSED},
    {CLIP_FINISHING, EV_WITHHOLD, CLIP_HELD},     {CLIP_FINISHING, EV_SHOW, CLIP_REVIEW},
    {CLIP_APPROVED, EV_SHOW, CLIP_REVIEW},        {CLIP_HELD, EV_APPROVE, CLIP_APPROVED},
    {CLIP_REVIEW, EV_APPROVE, CLIP_APPROVED},     {CLIP_REJECTED, EV_APPROVE, CLIP_APPROVED},
    {CLIP_HELD, EV_REJECT, CLIP_REJECTED},        {CLIP_REVIEW, EV_REJECT, CLIP_REJECTED},
    {CLIP_APPROVED, EV_REJECT, CLIP_REJECTED},    {CLIP_HELD, EV_RERENDER, CLIP_PLANNED},
    {CLIP_REVIEW, EV_RERENDER, CLIP_PLANNED},     {CLIP_APPROVED, EV_RERENDER, CLIP_PLANNED},
    {CLIP_REJECTED, EV_RERENDER, CLIP_PLANNED},   {CLIP_PLANNED, EV_UNDO, CLIP_REJECTED},
    {CLIP_PAUSED, EV_UNDO, CLIP_REJECTED},        {CLIP_REJECTED, EV_SHOW, CLIP_REVIEW},
    {CLIP_APPROVED, EV_WITHHOLD, CLIP_HELD},      {CLIP_REJECTED, EV_WITHHOLD, CLIP_HELD},
    {CLIP_HELD, EV_CHANGE, CLIP_PLANNED},         {CLIP_REVIEW, EV_CHANGE, CLIP_PLANNED},
    {CLIP_REJECTED, EV_CHANGE, CLIP_PLANNED},     {CLIP_HELD, EV_REFUSE, CLIP_REFUSED},
    {CLIP_REVIEW, EV_REFUSE, CLIP_REFUSED},       {CLIP_REJECTED, EV_REFUSE, CLIP_REFUSED},
    {CLIP_HELD, EV_SPOIL, CLIP_PLANNED},          {CLIP_REVIEW, EV_SPOIL, CLIP_PLANNED},
};

const char *ledger_shot_state_name(ShotState s)
{
    static const char *const name[] = {
        [SHOT_PLANNED] = "planned", [SHOT_LEASED] = "leased", [SHOT_MASTERED] = "mastered",
        [SHOT_DONE] = "done",       [SHOT_FAILED] = "failed", [SHOT_HELD] = "held"};
    return name[s];
}

const char *ledger_clip_state_name(ClipState s)
{
    static const char *const name[] = {
        [CLIP_PLANNED] = "planned",     [CLIP_REFUSED] = "refused",   [CLIP_WAITING] = "waiting",
        [CLIP_FINISHING] = "finishing", [CLIP_APPROVED] = "approved", [CLIP_DELIVERED] = "delivered",
        [CLIP_FAILED] = "failed",       [CLIP_PAUSED] = "paused",     [CLIP_CANCELLED] = "cancelled",
        [CLIP_HELD] = "held",           [CLIP_REVIEW] = "in review",  [CLIP_REJECTED] = "rejected",
        [CLIP_REVOKED] = "revoked",     [CLIP_ERASED] = "erased"};
    return name[s];
}

bool ledger_find_shot_state(const char *name, ShotState *s)
{
    for (int i = 0; i < SHOT_STATES; i++)
        if (strcmp(name, ledger_shot_state_name((ShotState)i)) == 0) return *s = (ShotState)i, true;
    return false;
}

bool ledger_find_clip_state(const char *name, ClipState *s)
{
    for (int i = 0; i < CLIP_STATES; i++)
        if (strcmp(name, ledger_clip_state_name((ClipState)i)) == 0) return *s = (ClipState)i, true;
    return false;
}

const char *ledger_event_name(LedgerEvent e)
{
    static const char *const name[] = {
        [EV_LEASE] = "lease",       [EV_MASTERED] = "mastered", [EV_DONE] = "done",       [EV_LAST] = "last",
        [EV_UNMASTER] = "unmaster", [EV_LOST] = "lost",         [EV_GIVE_UP] = "give up", [EV_DELIVER] = "deliver",
        [EV_RETRY] = "retry",       [EV_SPOIL] = "spoil",       [EV_PAUSE] = "pause",     [EV_RESUME] = "resume",
        [EV_CANCEL] = "cancel",     [EV_HOLD] = "hold",         [EV_RELEASE] = "release", [EV_CHANGE] = "change",
        [EV_REFUSE] = "refuse",     [EV_WITHHOLD] = "withhold", [EV_SHOW] = "show",       [EV_APPROVE] = "approve",
        [EV_REJECT] = "reject",     [EV_RERENDER] = "rerender", [EV_UNDO] = "undo",       [EV_REVOKE] = "revoke",
        [EV_ERASE] = "erase"};
    return name[e];
}

Status ledger_next_shot_state(ShotState from, LedgerEvent event, ShotState *to)
{
    for (size_t i = 0; i < sizeof shot_table / sizeof *shot_table; i++)
        if (shot_table[i].from == from && shot_table[i].event == event) return *to = shot_table[i].to, status_ok();
    return status_fail(ERR_FATAL, "ledger: a shot that is %s cannot have the event \"%s\"",
                       ledger_shot_state_name(from), ledger_event_name(event));
}

Status ledger_next_clip_state(ClipState from, LedgerEvent event, ClipState *to)
{
    for (size_t i = 0; i < sizeof clip_table / sizeof *clip_table; i++)
        if (clip_table[i].from == from && clip_table[i].event == event) return *to = clip_table[i].to, status_ok();
    return status_fail(ERR_FATAL, "ledger: a clip that is %s cannot have the event \"%s\"",
                       ledger_clip_state_name(from), ledger_event_name(event));
}

const char *ledger_pilot_state_name(PilotState s)
{
    static const char *const name[] = {
        [PILOT_NONE] = "none", [PILOT_OPEN] = "open", [PILOT_APPROVED] = "approved", [PILOT_REJECTED] = "rejected"};
    return name[s];
}

PilotState ledger_find_pilot_state(const char *name)
{
    for (int i = 0; i < PILOT_STATES; i++)
        if (strcmp(name, ledger_pilot_state_name((PilotState)i)) == 0) return (PilotState)i;
    return PILOT_NONE;
}

const char *ledger_outcome_name(int outcome)
{
    static const char *const name[] = {[LEASE_DONE] = "done",
                                       [LEASE_FAILED] = "failed",
                                       [LEASE_LOST] = "lost",
                                       [LEASE_STOPPED] = "stopped",
                                       [LEASE_ABANDONED] = "abandoned"};
    return name[outcome];
}
