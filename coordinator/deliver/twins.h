/* twins.h - files that have several names: clips that are equal share one file, and what is known of one name holds for all. */
#ifndef REELWRIGHT_TWINS_H
#define REELWRIGHT_TWINS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/hash.h"

typedef struct {
    dev_t device;
    ino_t inode;
    bool whole;             /* its bytes were read and are those of: */
    char sha256[HASH_TEXT]; /* "": its form was looked at */
    char *placed;           /* where a file of the same bytes was delivered to; NULL: nowhere yet */
} Twin;

typedef struct Twins Twins;

Twins *twins_new(void);
void twins_free(Twins **t);
/* What is known of this file; an empty entry for a file that is new. Valid until the next call. */
Twin *twins_find(Twins *t, const struct stat *st);
void twins_forget_places(Twins *t);

#endif
