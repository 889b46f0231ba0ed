/* turn.h - what several workers of a campaign need and one of them makes: whoever holds the lock of a file makes it, the others wait for
 * it. The lock goes with its process. Where nothing can be locked, or whoever holds the lock gives no sign for long, the file is made
 * twice, with the same bytes: a lock saves work, and nothing rests on it. */
#ifndef REELWRIGHT_TURN_H
#define REELWRIGHT_TURN_H

#include "worker/render/render.h"

typedef struct {
    char *name; /* of the lock's file */
    int lock;   /* -1: none */
} Turn;

/* Waits until the lock of `path` is ours, `there` says that the file has come, or its maker has given no sign for patience_s. Meanwhile it
 * calls `waiting` with `stage`, whose failure ends the wait. turn_end in every case. */
Status turn_take(const char *path, double patience_s, bool (*there)(void *self), void *self, Progress waiting,
                 const char *stage, Turn *out);
/* By who makes the file: it is still at it. */
void turn_sign(const Turn *t);
/* The file is there, or the next one tries. */
void turn_end(Turn *t);

#endif
