/* erase.h - people's data leave a campaign's folder: rows, prompts, media, log lines, pages, what the ledger and its journal still hold of them. */
#ifndef REELWRIGHT_ERASE_H
#define REELWRIGHT_ERASE_H

#include <stdint.h>

#include "common/status.h"

/* Who does it: by, else the user's name. */
const char *erase_who(const char *by);

typedef struct {
    int64_t rows, words; /* erased now; cells that were searched for */
    int64_t before;      /* were erased already: what an interrupted erasure had left was removed */
} EraseResult;

/* These customers, of a campaign that nobody works on (its lock is taken). by: who does it, for the record. A kill at any moment: asked
 * again, it goes on. ERR_INPUT: no such customer; then nothing has changed. */
Status erase_customers(const char *folder, const char *by, char *const *id, int64_t count, EraseResult *out);
/* All whose clip shows this person or speaks with their voice. */
Status erase_shown(const char *folder, const char *by, const char *cameo, EraseResult *out);

#endif
