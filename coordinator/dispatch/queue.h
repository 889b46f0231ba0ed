/* queue.h - what waits for a worker: shots to render, or clips to finish. Those that came back go first, oldest first, and not to a
 * worker that has failed at them while another may try. */
#ifndef REELWRIGHT_QUEUE_H
#define REELWRIGHT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

typedef struct {
    int64_t *fresh; /* in plan order; [next, count) wait */
    int64_t next, count, room;
    int64_t *again;
    int64_t again_count, again_room;
} WorkQueue;

typedef struct { /* whether this item is not for the worker that asks */
    bool (*refuses)(void *self, int64_t item, Status *status);
    void *self;
} WorkFilter;

void queue_clear(WorkQueue *q);
int64_t queue_length(const WorkQueue *q);
void queue_add(WorkQueue *q, const int64_t *item, int64_t count); /* behind the others */
void queue_add_again(WorkQueue *q, int64_t item);
/* Takes the next item out; -1: there is none for this worker. */
Status queue_take(WorkQueue *q, WorkFilter filter, int64_t *item);

#endif
