#include "twins.h"

#include <stdlib.h>

#include "common/file.h"

struct Twins {  /* open addressing, at most half full */
    Twin *twin; /* [room]; inode 0: free */
    size_t count, room;
};

Twins *twins_new(void)
{
    Twins *t = memory_get(1, sizeof *t);
    t->room = 256;
    t->twin = memory_get(t->room, sizeof *t->twin);
    return t;
}

void twins_forget_places(Twins *t)
{
    for (size_t i = 0; i < t->room; i++) {
        free(t->twin[i].placed);
        t->twin[i].placed = NULL;
    }
}

void twins_free(Twins **t)
{
    if (!*t) return;
    twins_forget_places(*t);
    free((*t)->twin);
    free(*t);
    *t = NULL;
}

static Twin *find_place(Twins *t, dev_t device, ino_t inode)
{
    size_t at = (size_t)(((uint64_t)inode * 0x9e3779b97f4a7c15u) >> 20) % t->room;
    while (t->twin[at].inode && (t->twin[at].inode != inode || t->twin[at].device != device)) at = (at + 1) % t->room;
    return &t->twin[at];
}

static void grow(Twins *t)
{
    Twins old = *t;
    t->room *= 2;
    t->twin = memory_get(t->room, sizeof *t->twin);
    for (size_t i = 0; i < old.room; i++)
        if (old.twin[i].inode) *find_place(t, old.twin[i].device, old.twin[i].inode) = old.twin[i];
    free(old.twin);
}

Twin *twins_find(Twins *t, const struct stat *st)
{
    if (2 * t->count >= t->room) grow(t);
    Twin *found = find_place(t, st->st_dev, st->st_ino);
    if (found->inode) return found;
    t->count++;
    *found = (Twin){.device = st->st_dev, .inode = st->st_ino};
    return found;
}
