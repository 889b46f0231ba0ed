/* tail.h - the end of a render (ending.h) on a thread of its own, while its worker is at the next lease.
 *
 * The thread has an engine of its own, which holds the decoder alone, and says nothing to the coordinator: the worker's main thread asks it
 * for news between its own steps and tells them (worker_loop.c). Both have the same priority: on a busy machine a lower one made the master
 * late, and the next shot wait for it at its end (tests/farm/SCALE.md). */
#ifndef REELWRIGHT_TAIL_H
#define REELWRIGHT_TAIL_H

#include "worker/render/diary.h"
#include "worker/render/ending.h"

typedef struct Tail Tail;

/* NULL: no thread can be had. o: of the worker's own engine, resolved (backend_options), so that both decode in the same way. */
Tail *tail_new(const BackendOptions *o);
void tail_free(Tail **t); /* what it works at ends at its next frame */

/* Takes ending and diary over; the ending's lease stays where it is until it is taken back (tail_take). Nothing else is in it. */
void tail_begin(Tail *t, Ending *x, Diary *diary);
/* It is to end at its next frame, with ERR_STOP and this reason (a literal). */
void tail_stop(Tail *t, const char *why);

typedef struct {
    char stage[16];
    int done, total;
} TailNews;
/* How far it is, if that is news. */
bool tail_hear(Tail *t, TailNews *news);
/* It has ended: with its result, owned by the caller. */
bool tail_take(Tail *t, Ending *out);

/* Memory that its engine holds; it gives it back when it has nothing to do. */
int64_t tail_held_bytes(Tail *t);
void tail_give_back(Tail *t);

#endif
