#include "roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

void roster_open(Roster *r, int count, int64_t now_ms, int64_t fixed_limit_ms)
{
    *r = (Roster){.count = count, .group_size = 1, .start_ms = now_ms, .fixed_limit_ms = fixed_limit_ms};
    r->member = memory_get((size_t)count, sizeof *r->member);
    for (int rank = 0; rank < count; rank++) {
        r->member[rank].rank = rank;
        r->member[rank].shot = r->member[rank].item = -1;
    }
}

void roster_close(Roster *r)
{
    for (int rank = 0; rank < r->count; rank++) free(r->member[rank].lease_data);
    free(r->member);
    memset(r, 0, sizeof *r);
}

/* How long this worker may be without progress, in the stage that it is in; before its first sign of life it loads. */
static int64_t limit_ms(const Roster *r, const Member *m)
{
    int stage = m->stage[0] ? stage_find(m->stage) : STAGE_LOAD;
    if (stage >= 0 && r->stage_limit_ms[stage] > 0) return r->stage_limit_ms[stage];
    if (r->fixed_limit_ms > 0) return r->fixed_limit_ms;
    int64_t limit = r->longest_ms * ROSTER_LIMIT_FACTOR;
    if (limit < ROSTER_LEAST_LIMIT_MS) limit = ROSTER_LEAST_LIMIT_MS;
    bool loading = m->made[LEASE_RENDER] + m->made[LEASE_FINISH] == 0 &&
                   !m->seen; /* its first lease begins with the model's weights */
    if ((loading || r->longest_ms == 0) && limit < ROSTER_FIRST_LIMIT_MS) limit = ROSTER_FIRST_LIMIT_MS;
    return limit;
}

void roster_progress(Roster *r, Member *m, const char *stage, int done, int total, int64_t now_ms)
{
    if (m->seen && now_ms - m->progress_ms > r->longest_ms) r->longest_ms = now_ms - m->progress_ms;
    m->seen = true;
    m->progress_ms = now_ms;
    if (strcmp(m->stage, stage) != 0) snprintf(m->stage, sizeof m->stage, "%s", stage);
    m->done = done;
    m->total = total;
    m->dirty = true;
}

/* A helper is overdue when its group is no more and it does not come back. */
bool roster_overdue(const Roster *r, const Member *m, int64_t now_ms)
{
    if (m->state == MEMBER_HELPING) return m->group == 0 && now_ms - m->progress_ms > limit_ms(r, m);
    return m->state == MEMBER_WORKING && now_ms - m->progress_ms > limit_ms(r, m);
}

bool roster_can_work(const Roster *r, const Member *m, int64_t now_ms)
{
    (void)r;
    return m->state == MEMBER_READY && !m->aside && !m->stop_told && now_ms - m->heard_ms <= ROSTER_IDLE_MS;
}

bool roster_takes(const Member *m, LeaseKind kind) { return m->takes >> kind & 1; }

bool roster_is_hoped(const Roster *r, const Member *m, int64_t now_ms)
{
    const bool late = m->state == MEMBER_ABSENT && now_ms - r->start_ms > ROSTER_ABSENT_MS;
    const bool awaited = m->state == MEMBER_LOST && now_ms < m->awaited_ms;
    if (m->aside && m->state == MEMBER_READY) return false;
    return (m->state <= MEMBER_WORKING && !late) || awaited;
}

bool roster_count_failure(Member *m, LeaseKind kind, int64_t item)
{
    for (int i = 0; i < m->bad_count; i++)
        if (m->bad[i].kind == kind && m->bad[i].item == item) return false;
    if (m->bad_count < ROSTER_BAD_ITEMS) {
        m->bad[m->bad_count].kind = kind;
        m->bad[m->bad_count++].item = item;
    }
    if (m->bad_count < ROSTER_BAD_ITEMS || m->aside) return false;
    m->aside = true;
    m->dirty = true;
    return true;
}

void roster_count_success(Member *m)
{
    m->bad_count = 0;
    m->made[m->kind]++;
}

void roster_start_lease(Member *m, const Lease *l, int64_t shot, int64_t item, int64_t now_ms)
{
    m->state = item < 0 ? MEMBER_HELPING : MEMBER_WORKING;
    m->kind = l->kind;
    m->item = item;
    m->lease = l->lease;
    m->shot = shot;
    m->steps = l->steps;
    m->clip_count = l->clip_count;
    snprintf(m->clip, sizeof m->clip, "%.*s", (int)text_fits(l->clip_id, sizeof m->clip - 1), l->clip_id);
    snprintf(m->stem, sizeof m->stem, "%s", l->stem ? l->stem : "");
    m->stage[0] = 0;
    m->done = m->total = 0;
    m->seen = false;
    m->progress_ms = m->sent_ms = now_ms;
    m->dirty = true;
}

void roster_end_lease(Member *m, MemberState state)
{
    free(m->lease_data);
    m->lease_data = NULL;
    m->lease_bytes = 0;
    m->state = state;
    m->lease = 0;
    m->shot = m->item = -1;
    m->stage[0] = m->clip[0] = 0;
    m->done = m->total = m->clip_count = 0;
    m->dirty = true;
    m->urgent = m->urgent || state != MEMBER_READY; /* what is wrong is told at once */
}

RosterCount roster_count(const Roster *r, int64_t now_ms)
{
    RosterCount c = {0};
    for (int rank = 1; rank < r->count; rank++) {
        const Member *m = &r->member[rank];
        const bool late = m->state == MEMBER_ABSENT && now_ms - r->start_ms > ROSTER_ABSENT_MS;
        const bool hoped = roster_is_hoped(r, m, now_ms);
        if (m->state == MEMBER_WORKING) c.working++;
        if (m->aside && m->state == MEMBER_READY) c.aside++;
        c.any += hoped;
        for (int k = 0; k < LEASE_KINDS; k++) /* of one that has not been heard yet nothing is known */
            c.hoped[k] += hoped && (m->state == MEMBER_ABSENT || roster_takes(m, (LeaseKind)k));
        if (m->state == MEMBER_LOST || m->state == MEMBER_DEAD || late) c.silent++;
    }
    return c;
}

static const char *state_name(const Member *m)
{
    static const char *const name[] = {"absent", "ready", "helping", "working", "lost", "dead", "gone"};
    return m->aside && m->state == MEMBER_READY ? "aside" : name[m->state];
}

WorkerLine roster_line(const Member *m, double now_s, int64_t now_ms)
{
    return (WorkerLine){.rank = m->rank,
                        .pid = m->pid,
                        .threads = m->threads,
                        .takes = m->takes,
                        .kind = (int)m->kind,
                        .host = m->host,
                        .state = state_name(m),
                        .stage = m->stage,
                        .clip = m->clip,
                        .lease = m->lease,
                        .shot = m->shot,
                        .done = m->done,
                        .total = m->total,
                        .clip_count = m->clip_count,
                        .renders = m->made[LEASE_RENDER],
                        .finished = m->made[LEASE_FINISH],
                        .heard_s = now_s - (double)(now_ms - m->heard_ms) / 1000};
}
