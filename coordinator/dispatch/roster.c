#include "roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

bool roster_takes(const Member *m, LeaseKind kind) { return m->takes >> kind & 1; }

/* by: 1 adds the member to the counts, -1 takes it out. A member that was not heard yet is counted for both kinds of work. */
static void tally(Roster *r, const Member *m, int by)
{
    RosterCount *c = &r->tally;
    const bool is_ready = m->state == MEMBER_READY, aside = m->aside && is_ready;
    const bool leaves = m->leaving && is_ready, hoped = m->state <= MEMBER_WORKING && !aside && !leaves;
    if (m->is_tail) {
        c->working += by * (m->state == MEMBER_WORKING);
        c->rendering += by * (m->state == MEMBER_WORKING);
        return;
    }
    r->in[m->state] += by;
    r->leaving += by * leaves;
    r->ungrouped += by * (is_ready && m->group == 0 && roster_takes(m, LEASE_RENDER));
    c->any += by * hoped;
    c->aside += by * aside;
    c->working += by * (m->state == MEMBER_WORKING);
    c->rendering += by * (m->state == MEMBER_WORKING && m->kind == LEASE_RENDER);
    c->silent += by * (m->state == MEMBER_LOST || m->state == MEMBER_DEAD);
    for (int k = 0; k < LEASE_KINDS; k++) {
        const bool takes = roster_takes(m, (LeaseKind)k);
        uint64_t *word = &r->ready[k][m->rank / 64], bit = (uint64_t)1 << m->rank % 64;
        c->hoped[k] += by * (hoped && (takes || m->state == MEMBER_ABSENT));
        *word = by > 0 && is_ready && takes ? *word | bit : *word & ~bit;
    }
}

void roster_set_state(Roster *r, Member *m, MemberState state)
{
    tally(r, m, -1);
    m->state = state;
    tally(r, m, 1);
}

void roster_set_group(Roster *r, Member *m, int64_t group, int lead, int next)
{
    tally(r, m, -1);
    m->group = group;
    m->lead = lead;
    m->next = next;
    tally(r, m, 1);
    m->dirty = true;
}

void roster_await(Roster *r, Member *m, int64_t until_ms)
{
    m->awaited_ms = until_ms;
    if (until_ms > r->awaited_ms) r->awaited_ms = until_ms;
}

void roster_set_leaving(Roster *r, Member *m, int64_t now_ms)
{
    tally(r, m, -1);
    m->leaving = true;
    tally(r, m, 1);
    roster_await(r, m, now_ms + ROSTER_BACK_MS);
}

int roster_next_ready(const Roster *r, int after, bool renders, bool finishes)
{
    const int words = r->count / 64 + 1;
    uint64_t mask = ~(uint64_t)0 << (after + 1) % 64;
    for (int w = (after + 1) / 64; w < words; w++, mask = ~(uint64_t)0) {
        const uint64_t set = (renders ? r->ready[LEASE_RENDER][w] : 0) | (finishes ? r->ready[LEASE_FINISH][w] : 0);
        if (set & mask) return w * 64 + __builtin_ctzll(set & mask);
    }
    return 0;
}

void roster_open(Roster *r, int count, int64_t now_ms, int64_t fixed_limit_ms)
{
    *r = (Roster){.count = count, .group_size = 1, .start_ms = now_ms, .fixed_limit_ms = fixed_limit_ms};
    r->member = memory_get((size_t)count, sizeof *r->member);
    r->tail = memory_get((size_t)count, sizeof *r->tail);
    for (int k = 0; k < LEASE_KINDS; k++) r->ready[k] = memory_get((size_t)count / 64 + 1, sizeof **r->ready);
    for (int rank = 0; rank < count; rank++) {
        r->member[rank].rank = rank;
        r->member[rank].shot = r->member[rank].item = -1;
        r->tail[rank] = (Member){.rank = rank, .shot = -1, .item = -1, .is_tail = true};
        if (rank > 0) tally(r, &r->member[rank], 1);
    }
}

void roster_close(Roster *r)
{
    for (int rank = 0; rank < r->count; rank++) free(r->member[rank].lease_data);
    free(r->member);
    free(r->tail);
    for (int k = 0; k < LEASE_KINDS; k++) free(r->ready[k]);
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
                   !m->answered; /* its first lease begins with the model's weights */
    if ((loading || r->longest_ms == 0) && limit < ROSTER_FIRST_LIMIT_MS) limit = ROSTER_FIRST_LIMIT_MS;
    return limit;
}

void roster_progress(Roster *r, Member *m, const char *stage, int done, int total, int64_t now_ms)
{
    if (m->answered && now_ms - m->progress_ms > r->longest_ms) r->longest_ms = now_ms - m->progress_ms;
    m->answered = true;
    m->progress_ms = now_ms;
    if (strcmp(m->stage, stage) != 0) snprintf(m->stage, sizeof m->stage, "%s", stage);
    m->done = done;
    m->total = total;
    m->dirty = true;
}

/* A helper is overdue when its group is no more and it does not come back. */
bool roster_overdue(const Roster *r, const Member *m, int64_t now_ms)
{
    const int64_t silent_ms = now_ms - m->progress_ms;
    if (m->state == MEMBER_HELPING) return m->group == 0 && silent_ms > limit_ms(r, m);
    if (m->state != MEMBER_WORKING || silent_ms <= limit_ms(r, m)) return false;
    return !m->is_tail ||
           silent_ms > limit_ms(r, &r->member[m->rank]); /* its news come between the other lease's steps */
}

bool roster_can_work(const Member *m, int64_t now_ms)
{
    return m->state == MEMBER_READY && !m->aside && !m->stop_told && !m->leaving &&
           now_ms - m->heard_ms <= ROSTER_IDLE_MS;
}

/* It has lost its group, or is about to leave, and is waited for still. */
static bool is_awaited(const Member *m, int64_t now_ms)
{
    const bool leaves = m->leaving && !m->aside && m->state == MEMBER_READY;
    return (m->state == MEMBER_LOST || leaves) && now_ms < m->awaited_ms;
}

bool roster_is_hoped(const Roster *r, const Member *m, int64_t now_ms)
{
    const bool late = m->state == MEMBER_ABSENT && now_ms - r->start_ms > ROSTER_ABSENT_MS;
    const bool goes = m->state == MEMBER_READY && (m->aside || m->leaving);
    return (m->state <= MEMBER_WORKING && !late && !goes) || is_awaited(m, now_ms);
}

bool roster_count_failure(Roster *r, Member *who, LeaseKind kind, int64_t item)
{
    Member *m = &r->member[who->rank];
    for (int i = 0; i < m->bad_count; i++)
        if (m->bad[i].kind == kind && m->bad[i].item == item) return false;
    if (m->bad_count < ROSTER_BAD_ITEMS) {
        m->bad[m->bad_count].kind = kind;
        m->bad[m->bad_count++].item = item;
    }
    if (m->bad_count < ROSTER_BAD_ITEMS || m->aside) return false;
    tally(r, m, -1);
    m->aside = true;
    tally(r, m, 1);
    m->dirty = true;
    return true;
}

void roster_count_success(Roster *r, const Member *m)
{
    Member *worker = &r->member[m->rank];
    worker->bad_count = 0;
    worker->made[m->kind]++;
    worker->dirty = true;
}

/* As much as fits; NULL: nothing. */
static void keep_text(char *to, size_t room, const char *text)
{
    const size_t bytes = text ? text_fits(text, room - 1) : 0;
    if (bytes) memcpy(to, text, bytes);
    to[bytes] = 0;
}

void roster_start_lease(Roster *r, Member *m, const Lease *l, int64_t shot, int64_t item, int64_t now_ms)
{
    tally(r, m, -1);
    m->state = item < 0 ? MEMBER_HELPING : MEMBER_WORKING;
    m->kind = l->kind;
    tally(r, m, 1);
    m->item = item;
    m->lease = l->lease;
    m->shot = shot;
    m->steps = l->steps;
    m->clip_count = l->clip_count;
    keep_text(m->clip, sizeof m->clip, l->clip_id);
    keep_text(m->stem, sizeof m->stem, l->stem);
    m->stage[0] = 0;
    m->done = m->total = 0;
    m->answered = false;
    m->progress_ms = m->sent_ms = now_ms;
    m->dirty = true;
}

void roster_end_lease(Roster *r, Member *m, MemberState state)
{
    free(m->lease_data);
    m->lease_data = NULL;
    m->lease_bytes = 0;
    roster_set_state(r, m, state);
    m->lease = 0;
    m->shot = m->item = -1;
    m->stage[0] = m->clip[0] = 0;
    m->done = m->total = m->clip_count = 0;
    m->dirty = true;
    m->urgent = m->urgent || state != MEMBER_READY; /* what is wrong is told at once */
}

Member *roster_tail(const Roster *r, const Member *m) { return &r->tail[m->rank]; }

void roster_leave_tail(Roster *r, Member *m, int64_t now_ms)
{
    Member *t = &r->tail[m->rank];
    memcpy(t->host, m->host, sizeof t->host);
    memcpy(t->name, m->name, sizeof t->name);
    memcpy(t->clip, m->clip, sizeof t->clip);
    memcpy(t->stage, m->stage, sizeof t->stage);
    t->pid = m->pid;
    t->threads = m->threads;
    t->kind = m->kind;
    t->lease = m->lease;
    t->shot = m->shot;
    t->item = m->item;
    t->steps = m->steps;
    t->clip_count = m->clip_count;
    t->done = m->done;
    t->total = m->total;
    t->heard_ms = t->progress_ms = now_ms;
    t->answered = t->dirty = true;
    roster_set_state(r, t, MEMBER_WORKING);
    roster_end_lease(r, m, MEMBER_READY);
}

RosterCount roster_count(const Roster *r, int64_t now_ms)
{
    RosterCount c = r->tally;
    const int late = now_ms - r->start_ms > ROSTER_ABSENT_MS ? r->in[MEMBER_ABSENT] : 0;
    c.silent += late;
    c.any -= late;
    for (int k = 0; k < LEASE_KINDS; k++) c.hoped[k] -= late;
    if (r->in[MEMBER_LOST] + r->leaving == 0 || now_ms >= r->awaited_ms) return c;
    for (int rank = 1; rank < r->count; rank++) {
        const Member *m = &r->member[rank];
        if (!is_awaited(m, now_ms)) continue;
        c.any++;
        for (int k = 0; k < LEASE_KINDS; k++) c.hoped[k] += roster_takes(m, (LeaseKind)k);
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
                        .is_tail = m->is_tail,
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
