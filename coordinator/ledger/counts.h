/* counts.h - within the ledger: states move here, by the tables of states.c, and the counts move with them.
 *
 * Counts: the number of shots and clips in each state stands in the table `counts`, so that status does not count a million
 * rows. Whoever writes a state does it through these functions, which note the difference; ledger_commit writes the
 * differences in the same transaction. `SET state` stands in counts.c, work.c, steer.c and review.c only (tools/check_style.sh). */
#ifndef REELWRIGHT_LEDGER_STATE_H
#define REELWRIGHT_LEDGER_STATE_H

#include "coordinator/ledger/sql.h"

/* The state that follows, for a statement that writes it together with other columns: the counts take it as written.
 * *to: as the ledger spells it. */
Status ledger_state_of_shot(Ledger *l, ShotState from, LedgerEvent event, const char **to);
Status ledger_state_of_clip(Ledger *l, ClipState from, LedgerEvent event, const char **to);

/* A state as the ledger spells it; ERR_FATAL when there is none of that name. */
Status ledger_state_parse_shot(const Ledger *l, const char *text, ShotState *s);
Status ledger_state_parse_clip(const Ledger *l, const char *text, ClipState *s);
Status ledger_state_read_shot(Ledger *l, int64_t shot, ShotState *s);

/* Reads the state, and writes the one that follows. */
Status ledger_state_move_shot(Ledger *l, int64_t shot, LedgerEvent event);
Status ledger_state_move_clip(Ledger *l, int64_t clip, LedgerEvent event);
/* All clips of a shot that are in `from` go where the event takes them; `pilot`: only those of the pilot. moved: how many; or NULL. */
Status ledger_state_move_clips(Ledger *l, int64_t shot, ClipState from, LedgerEvent event, bool pilot, int64_t *moved);

/* A new epoch begins: shots and clips that the last one left in work wait again. */
Status ledger_state_take_back(Ledger *l);

/* So many rows more (or fewer) in this state: of a new plan, or by a statement that moves many at once. */
void ledger_state_add_shots(Ledger *l, ShotState state, int64_t count);
void ledger_state_add_clips(Ledger *l, ClipState state, int64_t count);

/* How many clips are in this state, within a transaction or without. */
Status ledger_state_count_clips(Ledger *l, ClipState state, int64_t *count);

void ledger_state_begin(Ledger *l);   /* a transaction begins: all differences are 0 */
Status ledger_state_write(Ledger *l); /* adds the differences to the table `counts`; before the commit */
void ledger_state_forget(Ledger *l);  /* the transaction did not happen */

#endif
