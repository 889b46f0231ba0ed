/* erase.h - people's data leave a campaign's folder: rows, prompts, media, log lines, pages, what the ledger and its journal still hold of them. */
#ifndef REELWRIGHT_ERASE_H
#define REELWRIGHT_ERASE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

/* Who does it, for the record: by, else the user's name. */
const char *erase_who(const char *by);

typedef struct {
    int64_t rows, words; /* erased now; cells that were searched for */
    int64_t removed;     /* of those rows: had left the table before, so that their words are not known */
    int64_t before;      /* were erased already: what an interrupted erasure had left was removed */
} EraseResult;

typedef struct {
    const char *by;
    bool
        take_back; /* uploads of the clips are withdrawn, and the webhook told; else only those of clips that were revoked before */
} EraseOptions;

/* These customers, of a campaign that nobody works on (its lock is taken). A kill at any moment: asked again, it goes on. ERR_INPUT: no such
 * customer; then nothing has changed. ERR_CLIP: all is erased, but who had got a clip did not take that it is withdrawn; asked again, and at the
 * next delivery, they are told again. */
Status erase_customers(const char *folder, const EraseOptions *o, char *const *id, int64_t count, EraseResult *out);
/* All whose clip shows this person or speaks with their voice; uploads are withdrawn. by: who does it, for the record. */
Status erase_shown(const char *folder, const char *by, const char *cameo, EraseResult *out);

#endif
