#include "counts.h"

#include <string.h>

/* ---- one state ---- */

Status ledger_state_parse_shot(const Ledger *l, const char *text, ShotState *s)
{
    if (ledger_find_shot_state(text, s)) return status_ok();
    return status_fail(ERR_FATAL, "%s: unknown state \"%s\" of a shot", l->file, text);
}

Status ledger_state_parse_clip(const Ledger *l, const char *text, ClipState *s)
{
    if (ledger_find_clip_state(text, s)) return status_ok();
    return status_fail(ERR_FATAL, "%s: unknown state \"%s\" of a clip", l->file, text);
}

static void count_clips(Ledger *l, ClipState from, ClipState to, int64_t count)
{
    l->difference.clips[from] -= count;
    l->difference.clips[to] += count;
}

Status ledger_state_of_shot(Ledger *l, ShotState is, LedgerEvent event, const char **to)
{
    ShotState follows = SHOT_PLANNED;
    TRY(ledger_next_shot_state(is, event, &follows));
    l->changes |= 1u << event;
    l->difference.shots[is]--;
    l->difference.shots[follows]++;
    *to = ledger_shot_state_name(follows);
    return status_ok();
}

Status ledger_state_of_clip(Ledger *l, ClipState from, LedgerEvent event, const char **to)
{
    ClipState follows = CLIP_PLANNED;
    TRY(ledger_next_clip_state(from, event, &follows));
    l->changes |= 1u << event;
    count_clips(l, from, follows, 1);
    *to = ledger_clip_state_name(follows);
    return status_ok();
}

Status ledger_state_read_shot(Ledger *l, int64_t shot, ShotState *is)
{
    Query q = ledger_sql_query(l, "SELECT state FROM shots WHERE shot = ?1", "i", shot);
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status : status_fail(ERR_FATAL, "%s: no shot %lld", l->file, (long long)shot);
    Status status = ledger_state_parse_shot(l, ledger_sql_text(&q, 0), is);
    ledger_sql_end(&q);
    return status;
}

Status ledger_state_move_shot(Ledger *l, int64_t shot, LedgerEvent event)
{
    const char *to = NULL;
    ShotState is = SHOT_PLANNED;
    TRY(ledger_state_read_shot(l, shot, &is));
    TRY(ledger_state_of_shot(l, is, event, &to));
    return ledger_sql_run(l, "UPDATE shots SET state = ?1 WHERE shot = ?2", "ti", to, shot);
}

Status ledger_state_move_clip(Ledger *l, int64_t clip, LedgerEvent event)
{
    const char *to = NULL;
    Query q = ledger_sql_query(l, "SELECT state FROM clips WHERE clip = ?1", "i", clip);
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status : status_fail(ERR_FATAL, "%s: no clip %lld", l->file, (long long)clip);
    ClipState is = CLIP_PLANNED;
    Status status = ledger_state_parse_clip(l, ledger_sql_text(&q, 0), &is);
    if (!failed(status)) status = ledger_state_of_clip(l, is, event, &to);
    ledger_sql_end(&q);
    TRY(status);
    return ledger_sql_run(l, "UPDATE clips SET state = ?1 WHERE clip = ?2", "ti", to, clip);
}

Status ledger_state_move_clips(Ledger *l, int64_t shot, ClipState from, LedgerEvent event, bool pilot, int64_t *moved)
{
    ClipState to;
    TRY(ledger_next_clip_state(from, event, &to));
    /* +state: a partial index on state makes SQLite prepare a plain "state = ?" anew at every binding: 8 of 50 us a shot */
    TRY(ledger_sql_run(l, "UPDATE clips SET state = ?1 WHERE shot = ?2 AND +state = ?3 AND pilot >= ?4", "titi",
                       ledger_clip_state_name(to), shot, ledger_clip_state_name(from), (int64_t)pilot));
    l->changes |= 1u << event;
    const int64_t count = sqlite3_changes64(l->db);
    count_clips(l, from, to, count);
    if (moved) *moved = count;
    return status_ok();
}

/* Takes back the leases of an epoch that is over. Their shots are planned again. Their clips wait for a finisher again, or are planned
 * when the shot's master is gone. */
Status ledger_state_take_back(Ledger *l)
{
    static const struct {
        const char *sql;
        LedgerEvent event;
    } clip[] = {{"UPDATE clips SET state = ?1 WHERE state = ?2 AND clip IN (SELECT clip FROM leases WHERE outcome ="
                 " 'running') AND shot IN (SELECT shot FROM shots WHERE state = 'mastered')",
                 EV_LOST},
                {"UPDATE clips SET state = ?1 WHERE state = ?2 AND clip IN (SELECT clip FROM leases WHERE outcome ="
                 " 'running')",
                 EV_UNMASTER}};
    ShotState shot;
    TRY(ledger_next_shot_state(SHOT_LEASED, EV_LOST, &shot));
    TRY(ledger_sql_run(l,
                       "UPDATE shots SET state = ?1 WHERE state = ?2 AND shot IN (SELECT shot FROM leases WHERE "
                       "outcome = 'running' AND clip IS NULL)",
                       "tt", ledger_shot_state_name(shot), ledger_shot_state_name(SHOT_LEASED)));
    ledger_state_add_shots(l, SHOT_LEASED, -sqlite3_changes64(l->db));
    ledger_state_add_shots(l, shot, sqlite3_changes64(l->db));
    for (size_t i = 0; i < sizeof clip / sizeof *clip; i++) {
        ClipState to;
        TRY(ledger_next_clip_state(CLIP_FINISHING, clip[i].event, &to));
        TRY(ledger_sql_run(l, clip[i].sql, "tt", ledger_clip_state_name(to), ledger_clip_state_name(CLIP_FINISHING)));
        count_clips(l, CLIP_FINISHING, to, sqlite3_changes64(l->db));
    }
    return status_ok();
}

/* ---- what a transaction has moved ---- */

void ledger_state_add_shots(Ledger *l, ShotState state, int64_t count) { l->difference.shots[state] += count; }
void ledger_state_add_clips(Ledger *l, ClipState state, int64_t count) { l->difference.clips[state] += count; }

Status ledger_state_count_clips(Ledger *l, ClipState state, int64_t *count)
{
    TRY(ledger_sql_number(l, count, "SELECT n FROM counts WHERE what = 'clips' AND state = ?1", "t",
                          ledger_clip_state_name(state)));
    if (l->in_round) *count += l->difference.clips[state];
    return status_ok();
}

void ledger_state_begin(Ledger *l)
{
    l->changes = 0;
    memset(&l->difference, 0, sizeof l->difference);
    l->kept = l->pace;
}

void ledger_state_forget(Ledger *l)
{
    memset(&l->difference, 0, sizeof l->difference);
    l->pace = l->kept;
}

static Status write_count(Ledger *l, const char *what, const char *state, int64_t more)
{
    if (more == 0) return status_ok();
    return ledger_sql_run(
        l, "INSERT INTO counts(what, state, n) VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET n = n + excluded.n", "tti",
        what, state, more);
}

Status ledger_state_write(Ledger *l)
{
    for (int i = 0; i < SHOT_STATES; i++)
        TRY(write_count(l, "shots", ledger_shot_state_name((ShotState)i), l->difference.shots[i]));
    for (int i = 0; i < CLIP_STATES; i++)
        TRY(write_count(l, "clips", ledger_clip_state_name((ClipState)i), l->difference.clips[i]));
    TRY(write_count(l, "steps", "", l->difference.steps));
    if (memcmp(&l->pace, &l->kept, sizeof l->pace) == 0) return status_ok();
    return ledger_sql_run(l, "UPDATE epochs SET finished = ?1, first_s = ?2, last_s = ?3 WHERE epoch = ?4", "iddi",
                          l->pace.finished, l->pace.first_s, l->pace.last_s, l->epoch);
}
