/* worker.h - the life of a worker: ask for work, render, finish, report; heartbeat; stop when told. */
#ifndef REELWRIGHT_WORKER_H
#define REELWRIGHT_WORKER_H

#include "common/clip.h"
#include "common/work.h"
#include "kernels/ops.h"
#include "worker/render/tail.h"

/* What the options' words ask for: WorkSettings' backend, dtype and vae_dtype. */
BackendOptions worker_backend(int backend, int dtype, int vae_dtype);

/* A lease from beginning to end on this process's engine (opened for the lease's model at its first use and kept):
 * resume from latents/KEY.h5, render, checkpoint, finish. Never fails itself: what went wrong stands in the result. */
typedef struct Worker Worker;
Worker *worker_new(const BackendOptions *o);
/* From the next lease on this worker is a rank of this group (borrowed; another one than before: the engine is opened anew). split:
 * "GxSxT" (borrowed), or NULL: chosen. Without this call it works alone. All ranks of a group do each lease together; the first
 * one's result counts, and says whether the group can go on: a clip that cannot be made, or a stop, does not end it. */
void worker_join(Worker *w, Coll *group, const char *split);
void worker_free(Worker **w);
void worker_do_lease(Worker *w, const Lease *lease, Progress progress, LeaseResult *result);

/* The same in two parts. True: a render has made its last step, and its ending is to be made: by worker_end_lease, or by the tail beside
 * the next lease (tail.h); *result is empty. progress is used until then. */
bool worker_begin_lease(Worker *w, const Lease *lease, Progress progress, LeaseResult *result);
void worker_end_lease(Worker *w, LeaseResult *result);
/* The ending may be left to the tail, if that is at none: there is memory for both, and the back end allows it (engine_decodes_beside). */
bool worker_has_tail(const Worker *w);
/* lease: where it stands now, until the result is taken. Takes the diary over. */
void worker_leave_tail(Worker *w, const Lease *lease, Diary *diary);
void worker_stop_tail(Worker *w, const char *why);
bool worker_hear_tail(Worker *w, TailNews *news);
bool worker_take_tail(Worker *w, LeaseResult *result);

#endif
