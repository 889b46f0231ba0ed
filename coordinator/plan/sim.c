#include "sim.h"

#include <stdlib.h>

#include "common/file.h"

void sim_begin(SimWork *w, int64_t now_ms, int units, double unit_ms)
{
    *w = (SimWork){.begun_ms = now_ms, .unit_ms = unit_ms, .units = units};
}

int64_t sim_due_ms(const SimWork *w, int units) { return w->begun_ms + (int64_t)(units * w->unit_ms + 0.5); }

bool sim_step(SimWork *w, int64_t now_ms)
{
    if (w->unit == w->units || now_ms < sim_due_ms(w, w->unit)) return false;
    w->unit++;
    return true;
}

/* ---- the clock ---- */

static bool is_before(const SimEvent *a, const SimEvent *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->rank < b->rank;
}

void sim_clock_add(SimClock *c, SimEvent e)
{
    if (c->count == c->room) {
        c->room = 2 * c->room + 64;
        c->event = memory_resize(c->event, (size_t)c->room, sizeof *c->event);
    }
    int at = c->count++;
    for (; at > 0 && is_before(&e, &c->event[(at - 1) / 2]); at = (at - 1) / 2) c->event[at] = c->event[(at - 1) / 2];
    c->event[at] = e;
}

const SimEvent *sim_clock_first(const SimClock *c) { return c->count ? &c->event[0] : NULL; }

void sim_clock_next(SimClock *c)
{
    const SimEvent last = c->event[--c->count];
    int at = 0;
    for (int child; (child = 2 * at + 1) < c->count; at = child) {
        if (child + 1 < c->count && is_before(&c->event[child + 1], &c->event[child])) child++;
        if (!is_before(&c->event[child], &last)) break;
        c->event[at] = c->event[child];
    }
    c->event[at] = last;
}

void sim_clock_clear(SimClock *c)
{
    free(c->event);
    *c = (SimClock){0};
}
