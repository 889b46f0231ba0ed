#include "running.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

void ledger_running_add(Ledger *l, const RunningLease *head, const Lease *lease, const int64_t *clip)
{
    RunningLease *w = memory_get(1, sizeof *w + (size_t)lease->clip_count * sizeof *w->clip);
    *w = *head;
    w->count = lease->clip_count;
    for (int i = 0; i < w->count; i++) w->clip[i] = (struct RunningClip){clip[i], text_copy(lease->clip[i].clip_id)};
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
    for (int i = 0; i < w->count; i++) free(w->clip[i].clip_id);
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
