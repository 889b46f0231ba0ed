/* queue.h - the shots that wait to be rendered, or the clips that wait to be finished. Those that came back from a worker are handed out
 * first, the oldest first, but not to a worker that has failed at them while another one may try. */
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

typedef struct { /* tells that the worker must not get this item */
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
