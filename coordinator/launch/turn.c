#include "turn.h"

Turn turn_of(const Snapshot *s)
{
    Turn t = {.state = TURN_READY, .priority = s->priority, .deadline_s = s->deadline_s};
    if (s->left == 0 || s->control == CONTROL_CANCELLED)
        t.state = TURN_OVER;
    else if (*snapshot_waits_for(s))
        t.state = TURN_WAITS;
    return t;
}

static bool goes_before(const Turn *a, const Turn *b)
{
    if (a->priority != b->priority) return a->priority > b->priority;
    if (a->deadline_s > 0 && b->deadline_s > 0) return a->deadline_s < b->deadline_s;
    return a->deadline_s > 0 && b->deadline_s <= 0;
}

int turn_next(const Turn *turn, int count)
{
    int best = -1;
    for (int i = 0; i < count; i++)
        if (turn[i].state == TURN_READY && (best < 0 || goes_before(&turn[i], &turn[best]))) best = i;
    return best;
}

bool turn_must_yield(const Turn *turn, int count, int working)
{
    for (int i = 0; i < count; i++)
        if (i != working && turn[i].state == TURN_READY && turn[i].priority > turn[working].priority) return true;
    return false;
}
