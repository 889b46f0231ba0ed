/* replace.c - lost workers come back by another launch of the whole job. Those that render count: what takes the night.
 *
 * Not by MPI_Comm_spawn: it brings a process in on one host only, into another communicator, and its failures end the job. A launch
 * costs what the start of this one cost, twice over for the end before it, and no step: everything in work is checkpointed. It is
 * made when the survivors would need at least GAIN_FACTOR times that longer for what is left than all workers would, and when this
 * job has run SHARE times its own start and rendered a shot for each worker: a worker that dies again and again costs the night a
 * tenth at most, and a job that cannot render is not started again for this. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/plural.h"
#include "coordinator/dispatch/inside.h"

enum { WEIGH_MS = 1000, STARTS = 2, GAIN_FACTOR = 3, SHARE = 20 };

static bool has_begun(const Dispatch *d)
{
    for (int rank = 1; rank < d->roster.count; rank++) {
        const Member *m = &d->roster.member[rank];
        if (m->state == MEMBER_WORKING && m->stage[0] && strcmp(m->stage, stage_name(STAGE_LOAD)) != 0) return true;
    }
    return false;
}

typedef struct {
    int64_t lost, left, rendered; /* workers; shots */
    int64_t alive;
} Hands;

static Hands count_hands(const Dispatch *d)
{
    Hands h = {.left = queue_length(&d->queue[LEASE_RENDER])};
    for (int rank = 1; rank < d->roster.count; rank++) {
        const Member *m = &d->roster.member[rank];
        h.left += d->roster.tail[rank].state == MEMBER_WORKING;
        if (!roster_takes(m, LEASE_RENDER)) continue;
        h.rendered += m->made[LEASE_RENDER];
        h.left += m->state == MEMBER_WORKING && m->kind == LEASE_RENDER;
        if (m->state == MEMBER_LOST || m->state == MEMBER_DEAD)
            h.lost++;
        else if (!m->aside && m->state != MEMBER_ABSENT && m->state != MEMBER_GONE)
            h.alive++;
    }
    return h;
}

void dispatch_replace(Dispatch *d)
{
    if (!d->options.replace || d->end != DISPATCH_WORKING || d->paused) return;
    if (d->begun_ms == 0 && has_begun(d)) d->begun_ms = d->now_ms;
    if (d->now_ms - d->weighed_ms < WEIGH_MS) return;
    d->weighed_ms = d->now_ms;
    Hands h = count_hands(d);
    if (d->begun_ms == 0 || h.lost == 0 || h.alive == 0 || h.rendered < h.alive + h.lost) return;
    double start_ms = (double)(d->begun_ms - d->options.start_ms), run_ms = (double)(d->now_ms - d->begun_ms);
    /* time of a worker for a shot, if all had worked all the time: an overestimate when some died early */
    double shot_ms = run_ms * (double)(h.alive + h.lost) / (double)h.rendered;
    double gain_ms = (double)h.left * shot_ms * (1 / (double)h.alive - 1 / (double)(h.alive + h.lost));
    if (run_ms < SHARE * start_ms || gain_ms < GAIN_FACTOR * STARTS * start_ms) return;
    char reason[192];
    snprintf(reason, sizeof reason,
             "%d of %d workers %s lost: a new launch costs about %.0f s and saves %.0f s (%d shot%s left)", (int)h.lost,
             (int)(h.alive + h.lost), h.lost == 1 ? "is" : "are", STARTS * start_ms / 1000, gain_ms / 1000, (int)h.left,
             plural_s(h.left));
    log_line(LOG_INFO, "%s", reason);
    dispatch_event(d, "workers.replaced", "{s:I,s:I,s:s}", "lost", h.lost, "left", h.left, "reason", reason);
    dispatch_halt(d, DISPATCH_REPLACE, reason);
}
