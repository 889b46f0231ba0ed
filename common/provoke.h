/* provoke.h - faults on order: how the tests bring about at a named point what a night brings about by chance.
 *
 *     REELWRIGHT_PROVOKE="at=denoise,step=3,rank=2,do=kill,once=/tmp/a; at=publish.h5,do=fail.node"
 *
 * Orders are separated by ";", their fields by ",":
 *     at=POINT     where (below)
 *     do=ACTION    kill | stop (SIGKILL, SIGSTOP to itself), hold (until `until` exists, or nobody waits for it any more),
 *                  sleep (ms), fail.clip | fail.retry | fail.node | fail.fatal (the point fails with that class)
 *     step=N       only from step N of the point on (any)           rank=N   only in this rank of the job (any)
 *     clip=ID      only with the lease of this clip, or the render of a shot whose first clip this is
 *     ms=N         of a sleep
 *     once=FILE    only for the process that can make FILE, which then says who it was ("PID POINT STEP")
 *     until=FILE   what ends a hold
 * Points of every rank: join (before it joins the others). Of a worker: ready (before it hears a lease), load, text, denoise, decode, master (a frame); finish, encode (a frame of a
 * rendition); report (files are there, nothing is said yet). Of files: publish.ENDING (the draft is whole, not renamed yet). Of the coordinator:
 * before.CHANGE and after.CHANGE, around the commit of a round with that change (ledger/states.c names them); its step is the epoch;
 * before.ask and after.ask around a verb's request; before.parts and after.parts around the step that gives up a merged campaign's
 * parts.
 *
 * Compiled in always, so that what is tested is what is used; without orders a point costs one comparison. */
#ifndef REELWRIGHT_PROVOKE_H
#define REELWRIGHT_PROVOKE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

extern const char provoke_variable[]; /* the environment's name for the orders */

/* Replaces the orders; NULL or "" means none. ERR_INPUT says what is wrong with them; then there are none. */
Status provoke_order(const char *orders);
/* Asked all through a hold of the calling thread: whether it is over before its time, because nobody is left to wait for. NULL: nobody is
 * asked. */
void provoke_set_hold(bool (*over)(void *self), void *self);
void provoke_set_rank(int rank);         /* of this process in its job */
void provoke_set_clip(const char *clip); /* the first of the lease in work, "" when there is none; copied */
/* The same of the calling thread, which works at another lease; "": it does not. */
void provoke_set_clip_of_thread(const char *clip);
/* Does what is ordered for this point, if anything is. `ending` joins it after a dot; NULL: none. */
Status provoke_at(const char *point, const char *ending, int64_t step);

#endif
