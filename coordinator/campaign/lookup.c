#include "lookup.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/file.h"

enum { LEAST_ROOM = 64 };

/* A slot's upper half says where it belongs, whatever the room is: there are at most 2^32 slots. */
static size_t place_of(uint64_t slot, size_t room) { return (size_t)(slot >> 32) & (room - 1); }

static uint64_t slot_of(uint64_t hash, uint64_t number) { return hash >> 32 << 32 | (number + 1); }

static void put(uint64_t *slots, size_t room, uint64_t slot)
{
    size_t at = place_of(slot, room);
    while (slots[at]) at = (at + 1) & (room - 1);
    slots[at] = slot;
}

static void grow(Lookup *l)
{
    const size_t room = l->room ? 2 * l->room : LEAST_ROOM;
    uint64_t *slots = memory_get(room, sizeof *slots);
    for (size_t i = 0; i < l->room; i++)
        if (l->slot[i]) put(slots, room, l->slot[i]);
    free(l->slot);
    l->slot = slots;
    l->room = room;
}

int64_t lookup_next(const Lookup *l, uint64_t hash, size_t *at)
{
    if (l->room == 0) return -1;
    for (;; ++*at) {
        const uint64_t slot = l->slot[(place_of(hash, l->room) + *at) & (l->room - 1)];
        if (slot == 0) return -1;
        if (slot >> 32 != hash >> 32) continue;
        ++*at;
        return (int64_t)(slot & UINT32_MAX) - 1;
    }
}

void lookup_add(Lookup *l, uint64_t hash, int64_t number)
{
    if (4 * l->count >= 3 * l->room) grow(l);
    put(l->slot, l->room, slot_of(hash, (uint64_t)number));
    l->count++;
}

void lookup_clear(Lookup *l)
{
    free(l->slot);
    *l = (Lookup){0};
}

static uint64_t start;
static pthread_once_t start_once = PTHREAD_ONCE_INIT;

static void draw_start(void)
{
    if (getrandom(&start, sizeof start, 0) != (ssize_t)sizeof start) abort();
}

uint64_t lookup_start(void)
{
    pthread_once(&start_once, draw_start);
    return start;
}

/* Both halves of the product: of the lower one alone texts are known that collide whatever stands before them. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    const unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t lookup_hash(uint64_t before, const char *text, size_t bytes)
{
    uint64_t h = before ^ bytes * 0x9e3779b97f4a7c15u, word;
    for (; bytes >= sizeof word; text += sizeof word, bytes -= sizeof word) {
        memcpy(&word, text, sizeof word);
        h = mix(h ^ word, 0xbf58476d1ce4e5b9u);
    }
    word = 0;
    memcpy(&word, text, bytes);
    h = mix(h ^ word, 0x94d049bb133111ebu); /* the last letters change its upper bits alone */
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}
