/* erase.h - one customer's data leave the ledger: their row's cells, texts and names; and, when nobody else shares it, their shot. The row
 * stays as a tombstone: its place in the table, "erased", when, and the hash of the file that was. Of a customer whose row left the table
 * before (update.h) what is left is erased likewise, and the tombstone comes last.
 *
 * In two steps, so that a kill in between loses nothing that is still to be looked for: after the first the row is "erased" (nothing is
 * made of it any more) and still there; files and logs are cleaned of it; the second puts the tombstone in its place. */
#ifndef REELWRIGHT_LEDGER_ERASE_H
#define REELWRIGHT_LEDGER_ERASE_H

#include "coordinator/campaign/stem.h"
#include "coordinator/ledger/ledger.h"

typedef struct { /* what is to be looked for in the files of the folder, and what was; owns its texts */
    int64_t clip;
    char *clip_id, *stem, *prompt, *negative; /* the two texts "": others share them */
    char sha256[HASH_TEXT];                   /* of its file, "" none */
    char *key;                                /* of its shot when that goes too; "" */
    char other_stem[STEM_BYTES];              /* one that the id gives, too, when its stem is taken by another */
    bool again;                               /* begun before, and not ended */
    bool removed;                             /* the row had left the table: its cells are not known any more */
    int word_count;
    char **word; /* cells of the row that no other row has */
} Erased;
void erased_clear(Erased *e);

/* Whether there is a row of that id, or was one that left the table. */
Status ledger_erase_knows(Ledger *l, const char *clip_id, bool *yes);
/* Inside a round, of a campaign that no coordinator works on. One that was begun before is taken up again. ERR_INPUT: no such customer, or
 * a tombstone. take_back: who had got the clip is to be told that it is withdrawn, as of a revoked one (handed.h). */
Status ledger_erase_begin(Ledger *l, const char *clip_id, bool take_back, Erased *out);
/* Inside a round. What is erased may stand in free pages and in the journal until ledger_compact. Of what is
 * still to be withdrawn, the key of the handover and the answer of the upload stay, under the tombstone's name (handed.h). */
Status ledger_erase_end(Ledger *l, const Erased *e);
/* Outside of rounds: rewrites the file without its free pages, and empties the journal. */
Status ledger_compact(Ledger *l);

/* The ids of the clips that were decided (rows that were refused: planned; rows that left the table: did so) before that time and are not
 * erased; each and the list to be freed. */
Status ledger_find_expired(Ledger *l, double before_s, char ***id, int64_t *count);
/* The ids of the clips that use this person's likeness and are not erased; as above. */
Status ledger_find_shown(Ledger *l, const char *cameo, char ***id, int64_t *count);

#endif
