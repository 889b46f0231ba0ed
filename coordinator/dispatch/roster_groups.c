/* roster_groups.c - which ranks render together. */
#include "coordinator/dispatch/roster.h"

enum { FIRST_WORKER = 1 };

static bool is_free(const Member *m, int64_t now_ms)
{
    return m->group == 0 && roster_takes(m, LEASE_RENDER) && roster_can_work(m, now_ms);
}

/* Of the neighbours that `first` begins: all free, or never going to be. */
typedef enum { BLOCK_WAITING, BLOCK_FREE, BLOCK_BROKEN } BlockState;

static BlockState look_at_block(const Roster *r, int first, int64_t now_ms)
{
    BlockState state = BLOCK_FREE;
    if (first + r->group_size > r->count) return BLOCK_BROKEN;
    for (int rank = first; rank < first + r->group_size; rank++) {
        const Member *m = &r->member[rank];
        const bool late = m->state == MEMBER_ABSENT && now_ms - r->start_ms > ROSTER_ABSENT_MS;
        const bool elsewhere = m->group && (m->lead < first || r->member[m->lead].group != m->group);
        const bool other = m->state != MEMBER_ABSENT && !roster_takes(m, LEASE_RENDER);
        if (m->state >= MEMBER_LOST || m->aside || late || elsewhere || other) return BLOCK_BROKEN;
        if (!is_free(m, now_ms)) state = BLOCK_WAITING;
    }
    return state;
}

static void form(Roster *r, const int *rank)
{
    r->groups++;
    for (int i = 0; i < r->group_size; i++) {
        const int next = i + 1 < r->group_size ? rank[i + 1] : 0;
        roster_set_group(r, &r->member[rank[i]], r->groups, rank[0], next);
    }
}

void roster_form_groups(Roster *r, int64_t now_ms)
{
    int spare[LEASE_MAX_RANKS], spares = 0;
    if (r->ungrouped == 0) return; /* nobody is free */
    for (int first = FIRST_WORKER; first < r->count; first += r->group_size) {
        const BlockState block = look_at_block(r, first, now_ms);
        if (block == BLOCK_WAITING) continue;
        if (block == BLOCK_FREE) {
            int own[LEASE_MAX_RANKS];
            for (int i = 0; i < r->group_size; i++) own[i] = first + i;
            form(r, own);
            continue;
        }
        for (int rank = first; rank < first + r->group_size && rank < r->count; rank++) {
            if (!is_free(&r->member[rank], now_ms)) continue;
            spare[spares++] = rank;
            if (spares < r->group_size) continue;
            form(r, spare);
            spares = 0;
        }
    }
}

Member *roster_next_member(const Roster *r, const Member *lead, const Member *m)
{
    const int rank = !lead->group ? 0 : m ? m->next : lead->rank;
    return rank ? &r->member[rank] : NULL;
}

bool roster_group_can_work(const Roster *r, const Member *lead, int64_t now_ms)
{
    if (lead->group == 0 || lead->lead != lead->rank) return false;
    for (Member *m = NULL; (m = roster_next_member(r, lead, m));)
        if (!roster_can_work(m, now_ms)) return false;
    return true;
}

Member *roster_lead(const Roster *r, Member *m) { return m->group ? &r->member[m->lead] : m; }

void roster_fill_group(const Roster *r, const Member *lead, Lease *l)
{
    l->group = lead->group;
    l->member_count = 0;
    for (Member *m = NULL; (m = roster_next_member(r, lead, m));) l->member[l->member_count++] = m->rank;
}

void roster_end_group(Roster *r, int64_t group)
{
    for (int rank = FIRST_WORKER; rank < r->count && group; rank++) {
        Member *m = &r->member[rank];
        if (m->group == group) roster_set_group(r, m, 0, 0, 0);
    }
}
