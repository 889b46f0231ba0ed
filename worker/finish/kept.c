#include "kept.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

struct Kept {
    char *key;
    uint8_t *frame;
    int64_t size, count, room; /* of a frame, in values; frames */
    bool whole, too_large;
};

static Kept kept;

static void clear(void)
{
    free(kept.key);
    free(kept.frame);
    kept = (Kept){0};
}

void kept_drop(void) { clear(); }

const Kept *kept_find(const char *key) { return kept.whole && kept.key && strcmp(kept.key, key) == 0 ? &kept : NULL; }

int64_t kept_count(const Kept *k) { return k->count; }

bool kept_read(const Kept *k, int64_t i, float *rgb, int64_t size)
{
    if (size != k->size || i < 0 || i >= k->count) return false;
    const uint8_t *from = k->frame + i * size;
    for (int64_t n = 0; n < size; n++) rgb[n] = (float)from[n] / 255;
    return true;
}

Kept *kept_begin(const char *key)
{
    clear();
    kept.key = text_copy(key);
    return &kept;
}

static int64_t most_bytes(void)
{
    const int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), most = (int64_t)KEPT_MOST_MB << 20;
    return memory / 16 < most ? memory / 16 : most;
}

/* Whoever cannot be kept is made again: too large, or no memory. */
static bool make_room(Kept *k, int64_t size)
{
    if (k->count < k->room) return true;
    const int64_t room = k->room ? 2 * k->room : 32;
    uint8_t *more = (k->count + 1) * size > most_bytes() ? NULL : realloc(k->frame, (size_t)(room * size));
    if (!more) return false;
    k->frame = more;
    k->room = room;
    return true;
}

void kept_add(Kept *k, const float *rgb, int64_t size)
{
    if (k->count == 0) k->size = size;
    if (k->too_large || size != k->size || !make_room(k, size)) {
        k->too_large = true;
        return;
    }
    uint8_t *to = k->frame + k->count++ * size;
    for (int64_t n = 0; n < size; n++) to[n] = (uint8_t)lrintf(rgb[n] * 255);
}

void kept_end(Kept *k)
{
    k->whole = !k->too_large && k->count > 0;
    if (!k->whole) clear();
}
