#include "queue.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

void queue_clear(WorkQueue *q)
{
    free(q->fresh);
    free(q->again);
    memset(q, 0, sizeof *q);
}

int64_t queue_length(const WorkQueue *q) { return q->count - q->next + q->again_count; }

static void make_room(int64_t **list, int64_t *room, int64_t wanted)
{
    if (wanted <= *room) return;
    *room = 2 * wanted + 16;
    *list = memory_resize(*list, (size_t)*room, sizeof **list);
}

void queue_add(WorkQueue *q, const int64_t *item, int64_t count)
{
    if (count == 0) return;
    if (q->next > q->count / 2) { /* more have gone than wait */
        memmove(q->fresh, q->fresh + q->next, (size_t)(q->count - q->next) * sizeof *item);
        q->count -= q->next;
        q->next = 0;
    }
    make_room(&q->fresh, &q->room, q->count + count);
    memcpy(q->fresh + q->count, item, (size_t)count * sizeof *item);
    q->count += count;
}

void queue_add_again(WorkQueue *q, int64_t item)
{
    make_room(&q->again, &q->again_room, q->again_count + 1);
    q->again[q->again_count++] = item;
}

Status queue_take(WorkQueue *q, WorkFilter filter, int64_t *item)
{
    Status status = status_ok();
    for (int64_t i = 0; i < q->again_count; i++) {
        const bool refused = filter.refuses(filter.self, q->again[i], &status);
        if (failed(status)) return status;
        if (refused) continue;
        *item = q->again[i];
        memmove(q->again + i, q->again + i + 1, (size_t)(--q->again_count - i) * sizeof *q->again);
        return status_ok();
    }
    *item = q->next < q->count ? q->fresh[q->next++] : -1;
    return status_ok();
}
