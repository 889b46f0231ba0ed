#include "lost.h"

#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/running.h"
#include "coordinator/ledger/steer.h"

Status ledger_lose_clip(Ledger *l, int64_t clip, const char *why)
{
    int64_t shot;
    TRY(ledger_state_move_clip(l, clip, EV_SPOIL));
    TRY(ledger_sql_run(l,
                       "UPDATE clips SET reason = ?1, file = NULL, thumbnail = NULL, sheet = NULL, sha256 = NULL,"
                       " result = NULL, reviewer = NULL, decided_s = ?2 WHERE clip = ?3",
                       "tdi", why, l->now_s, clip));
    TRY(ledger_sql_number(l, &shot, "SELECT shot FROM clips WHERE clip = ?1", "i", clip));
    TRY(ledger_follow_clips(l, shot));
    return ledger_masters_read(l);
}
