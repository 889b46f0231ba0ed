#include "running.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

void ledger_running_add(Ledger *l, const RunningLease *lease)
{
    RunningLease *w = memory_get(1, sizeof *w);
    *w = *lease;
    w->clip_id = text_copy(lease->clip_id ? lease->clip_id : "");
    if (l->running_count == l->running_room) {
        l->running_room = 2 * l->running_room + 16;
        l->running = memory_resize(l->running, (size_t)l->running_room, sizeof *l->running);
    }
    l->running[l->running_count++] = w;
}

/* Where the lease is, or would be: they are in the order of their numbers. */
static int place_of(const Ledger *l, int64_t lease)
{
    int first = 0, end = l->running_count;
    while (first < end) {
        int middle = first + (end - first) / 2;
        if (l->running[middle]->lease < lease)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static bool is_at(const Ledger *l, int place, int64_t lease)
{
    return place < l->running_count && l->running[place]->lease == lease;
}

Status ledger_running_find(const Ledger *l, int64_t lease, RunningLease **out)
{
    int place = place_of(l, lease);
    if (!is_at(l, place, lease))
        return status_fail(ERR_FATAL, "%s: lease %lld is not running", l->file, (long long)lease);
    *out = l->running[place];
    return status_ok();
}

static void free_lease(RunningLease *w)
{
    free(w->clip_id);
    free(w);
}

void ledger_running_end(Ledger *l, int64_t lease)
{
    int place = place_of(l, lease);
    if (!is_at(l, place, lease)) return;
    free_lease(l->running[place]);
    l->running_count--;
    memmove(l->running + place, l->running + place + 1, (size_t)(l->running_count - place) * sizeof *l->running);
}

void ledger_running_clear(Ledger *l)
{
    for (int i = 0; i < l->running_count; i++) free_lease(l->running[i]);
    free(l->running);
    l->running = NULL;
    l->running_count = l->running_room = 0;
}

/* ---- masters ---- */

void ledger_masters_clear(Ledger *l)
{
    free(l->master);
    l->master = NULL;
    l->master_count = l->master_room = 0;
}

void ledger_masters_add(Ledger *l, LedgerMaster m)
{
    if (l->master_count == l->master_room) {
        l->master_room = 2 * l->master_room + 16;
        l->master = memory_resize(l->master, (size_t)l->master_room, sizeof *l->master);
    }
    l->master[l->master_count++] = m;
}

Status ledger_masters_read(Ledger *l)
{
    ledger_masters_clear(l);
    Query q = ledger_sql_query(l,
                               "SELECT shot, (SELECT count(*) FROM clips c WHERE c.shot = s.shot AND +c.state IN"
                               " ('planned', 'waiting', 'finishing')), (SELECT count(*) FROM clips c WHERE c.shot ="
                               " s.shot AND +c.state IN ('waiting', 'finishing')) FROM shots s WHERE state = 'mastered'"
                               " ORDER BY shot",
                               "");
    while (ledger_sql_next(&q))
        ledger_masters_add(l, (LedgerMaster){ledger_sql_int(&q, 0), ledger_sql_int(&q, 1), ledger_sql_int(&q, 2)});
    return q.status;
}

/* There are some dozens (the coordinator bounds them), so they are looked through. */
LedgerMaster *ledger_masters_find(const Ledger *l, int64_t shot)
{
    for (int i = 0; i < l->master_count; i++)
        if (l->master[i].shot == shot) return &l->master[i];
    return NULL;
}

void ledger_masters_remove(Ledger *l, int64_t shot)
{
    LedgerMaster *m = ledger_masters_find(l, shot);
    if (m) *m = l->master[--l->master_count];
}
