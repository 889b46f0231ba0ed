#include "texts.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 20 };

typedef struct Chunk {
    struct Chunk *next;
    char text[];
} Chunk;

struct Texts {
    Chunk *first; /* the one that is being filled, except that a large text has a chunk of its own behind it */
    size_t used, room;
};

static void *get(size_t bytes)
{
    void *p = malloc(bytes); /* not calloc: a chunk need not be cleared */
    if (!p) abort();
    return p;
}

Texts *texts_new(void)
{
    Texts *t = get(sizeof *t);
    *t = (Texts){0};
    return t;
}

void texts_free(Texts **t)
{
    if (!*t) return;
    for (Chunk *c = (*t)->first, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(*t);
    *t = NULL;
}

static char *large_text(Texts *t, size_t bytes)
{
    Chunk *c = get(sizeof *c + bytes);
    Chunk **after = t->first ? &t->first->next : &t->first;
    c->next = *after;
    *after = c;
    return c->text;
}

char *texts_keep(Texts *t, const char *text, size_t bytes)
{
    char *copy;
    if (bytes + 1 > CHUNK_BYTES / 4) {
        copy = large_text(t, bytes + 1);
    } else {
        if (t->room - t->used < bytes + 1) {
            Chunk *c = get(sizeof *c + CHUNK_BYTES);
            c->next = t->first;
            t->first = c;
            t->used = 0;
            t->room = CHUNK_BYTES;
        }
        copy = t->first->text + t->used;
        t->used += bytes + 1;
    }
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    return copy;
}
