#include "texts.h"

#include <obstack.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

#define obstack_chunk_alloc get_chunk
#define obstack_chunk_free  free

enum { CHUNK_BYTES = 1 << 20 };

struct Texts {
    struct obstack pool;
};

static void *get_chunk(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p) abort();
    return p;
}

Texts *texts_new(void)
{
    Texts *t = memory_get(1, sizeof *t);
    obstack_begin(&t->pool, CHUNK_BYTES);
    obstack_alignment_mask(&t->pool) = 0;
    return t;
}

void texts_free(Texts **t)
{
    if (!*t) return;
    obstack_free(&(*t)->pool, NULL);
    free(*t);
    *t = NULL;
}

char *texts_keep(Texts *t, const char *text, size_t bytes)
{
    char *copy = obstack_alloc(&t->pool, (int)bytes + 1);
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    return copy;
}
