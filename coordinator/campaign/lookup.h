/* lookup.h - which of many numbered things have this hash: 8 bytes for each, and one look in memory most of the time, where a million rows
 * are looked up. The things stay with the caller, who compares. */
#ifndef REELWRIGHT_CAMPAIGN_LOOKUP_H
#define REELWRIGHT_CAMPAIGN_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t *slot; /* half of a hash above a number + 1; 0: free. NULL: nothing was added */
    size_t count, room;
} Lookup;

/* The number of a thing that was added with this hash (or one that is alike: compare), the next one with each call; -1: there is no other.
 * *at is 0 at the first call. */
int64_t lookup_next(const Lookup *l, uint64_t hash, size_t *at);
/* number: 0 to 2^32 - 2. */
void lookup_add(Lookup *l, uint64_t hash, int64_t number);
void lookup_clear(Lookup *l);

/* Of the bytes behind others whose hash is given; for none lookup_start(), or any number where the values are ours. */
uint64_t lookup_hash(uint64_t before, const char *text, size_t bytes);
/* A random number, the same in the whole process: who does not know it cannot choose values that have one hash, which would make each look
 * as long as there are values. */
uint64_t lookup_start(void);

#endif
