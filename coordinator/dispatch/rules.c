#include "rules.h"

/* ---- handing out ---- */

typedef struct {
    const Rules *rules;
    const Member *member;
    LeaseKind kind;
} Asking;

/* The worker takes this kind of work; or clips wait, and no worker is left that takes finishes. */
static bool takes(const Rules *r, const Member *m, LeaseKind kind)
{
    if (roster_takes(m, kind)) return true;
    return kind == LEASE_FINISH && roster_count(r->roster, r->now_ms).hoped[LEASE_FINISH] == 0;
}

/* Every worker that takes such work has failed at this item; a worker that is still expected has not. A failed render counts against the
 * first rank of its group. */
static bool is_tried_by_all(const Rules *r, LeaseKind kind, int64_t item, Status *status)
{
    const Roster *roster = r->roster;
    for (int rank = 1; rank < roster->count && !failed(*status); rank++) {
        const Member *m = &roster->member[rank];
        bool yes = true, absent = m->state == MEMBER_ABSENT;
        const bool helper = kind == LEASE_RENDER && (m->group ? m->lead != rank : roster->group_size > 1);
        if (m->aside || helper || !roster_is_hoped(roster, m, r->now_ms)) continue;
        if (absent) return false;
        if (takes(r, m, kind)) *status = r->has_failed(r->self, kind, item, m, &yes);
        if (!yes) return false;
    }
    return true;
}

/* What has failed before waits until the worker is done with its tail: who dies with two leases in hand loses both, and a thing that
 * kills its worker would take the one beside it with it, again and again. */
static bool wants_to_be_alone(const Asking *a, int64_t item, Status *status)
{
    int workers, times = 0;
    if (roster_tail(a->rules->roster, a->member)->state != MEMBER_WORKING) return false;
    *status = a->rules->failures(a->rules->self, a->kind, item, &workers, &times);
    return times > 0;
}

/* The worker has failed at it, and another one may still try. */
static bool refuses(void *self, int64_t item, Status *status)
{
    const Asking *a = self;
    bool tried = false;
    if (wants_to_be_alone(a, item, status) || failed(*status)) return true;
    *status = a->rules->has_failed(a->rules->self, a->kind, item, a->member, &tried);
    return !failed(*status) && tried && !is_tried_by_all(a->rules, a->kind, item, status);
}

static Status offer(const Rules *r, Member *m, LeaseKind kind)
{
    int64_t item;
    Asking asking = {r, m, kind};
    if (r->begin) TRY(r->begin(r->self));
    TRY(queue_take(&r->queue[kind], (WorkFilter){refuses, &asking}, &item));
    return item < 0 ? status_ok() : r->give(r->self, m, kind, item);
}

/* When no master waits, the render is given out even without room: then it fails, and its message says that the disk is full. */
static bool may_render(const Rules *r)
{
    const RosterCount c = roster_count(r->roster, r->now_ms);
    const int ready = r->ready_masters(r->self);
    if (ready == 0) return true;
    return ready + c.rendering < RULES_MASTERS * c.any && r->has_room(r->self, c.rendering);
}

Status rules_hand_out(const Rules *r)
{
    bool room = true;
    roster_form_groups(r->roster, r->now_ms);
    const bool finishers = roster_count(r->roster, r->now_ms).hoped[LEASE_FINISH] > 0;
    for (int rank = 0; !r->is_full(r->self);) {
        const bool clips = queue_length(&r->queue[LEASE_FINISH]) > 0;
        const bool shots = room && queue_length(&r->queue[LEASE_RENDER]) > 0;
        const bool anybody = clips && !finishers;
        rank = roster_next_ready(r->roster, rank, shots || anybody, clips);
        if (rank == 0) break;
        Member *m = &r->roster->member[rank];
        if (!roster_can_work(m, r->now_ms)) continue;
        if (clips && (anybody || roster_takes(m, LEASE_FINISH))) TRY(offer(r, m, LEASE_FINISH));
        if (!shots || m->state != MEMBER_READY || !roster_takes(m, LEASE_RENDER) ||
            !roster_group_can_work(r->roster, m, r->now_ms))
            continue;
        room = may_render(r);
        if (room) TRY(offer(r, m, LEASE_RENDER));
    }
    return status_ok();
}

/* ---- failures ---- */

Status rules_count_failure(const Rules *r, Member *m, int err, bool *aside, bool *give_up)
{
    int workers, times;
    Status status = status_ok();
    *aside = err != ERR_CLIP && roster_count_failure(r->roster, m, m->kind, m->item);
    *give_up = err == ERR_CLIP;
    TRY(r->failures(r->self, m->kind, m->item, &workers, &times));
    if (workers >= RULES_FAILURES) *give_up = true;
    if (!*give_up && times >= RULES_FAILURES) *give_up = is_tried_by_all(r, m->kind, m->item, &status);
    return status;
}

/* ---- the end ---- */

static bool can_go_on(const Rules *r, const RosterCount *c)
{
    const bool shots = queue_length(&r->queue[LEASE_RENDER]) > 0, clips = queue_length(&r->queue[LEASE_FINISH]) > 0;
    return c->working > 0 || (shots && c->hoped[LEASE_RENDER] >= r->roster->group_size) || (clips && c->any > 0);
}

RulesNext rules_next(const Rules *r, bool paused)
{
    const RosterCount c = roster_count(r->roster, r->now_ms);
    const bool work = queue_length(&r->queue[LEASE_RENDER]) + queue_length(&r->queue[LEASE_FINISH]) > 0;
    if (work && !can_go_on(r, &c)) return c.aside > 0 ? RULES_ALL_ASIDE : RULES_NO_WORKERS;
    return c.working == 0 && (!work || paused) ? RULES_REST : RULES_GO_ON;
}
