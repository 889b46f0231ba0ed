/* erase.h - one customer's data leave the ledger: their row's cells, texts and names; and, when nobody else shares it, their shot. The row
 * stays as a tombstone: its place in the table, "erased", when, and the hash of the file that was. */
#ifndef REELWRIGHT_LEDGER_ERASE_H
#define REELWRIGHT_LEDGER_ERASE_H

#include "coordinator/ledger/ledger.h"

typedef struct { /* what is to be looked for in the files of the folder, and what was; owns its texts */
    int64_t clip;
    char *clip_id, *stem, *prompt; /* prompt "": others share it */
    char sha256[HASH_TEXT];        /* of its file, "" none */
    char *key;                     /* of its shot when that goes too; "" */
    int word_count;
    char **word; /* cells of the row that no other row has */
} Erased;
void erased_clear(Erased *e);

/* What ledger_erase will find of this customer; the ledger is only read. Called for several, in the order in which they will be erased, it
 * takes each for erased already; a prompt that all of them share is found by ledger_erase alone. erased_clear in every case. */
Status ledger_look_to_erase(Ledger *l, const char *clip_id, Erased *out);
/* Inside a round, of a campaign that no coordinator works on. ERR_INPUT: no such customer, or erased before. What is erased is
 * overwritten in the file (secure_delete); ledger_compact takes it out of free pages and journals. */
Status ledger_erase(Ledger *l, const char *clip_id, Erased *out);
/* Outside of rounds: rewrites the file without its free pages, and empties the journal. */
Status ledger_compact(Ledger *l);

/* The ids of the clips that were decided (rows that were refused: planned) before that time and are not erased; each and the list to be freed. */
Status ledger_find_expired(Ledger *l, double before_s, char ***id, int64_t *count);

#endif
