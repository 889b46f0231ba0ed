#include "reseed.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/plan.h"
#include "coordinator/ledger/running.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/ledger/update.h"

typedef struct { /* the clip as it is; owned texts */
    int64_t clip, shot;
    ClipState state;
    bool made; /* it has a file */
    char *stem, *key, *spec, *model_hash;
} Found;

static Status find_clip(Ledger *l, const char *clip_id, Found *f)
{
    *f = (Found){.clip = -1};
    Query q =
        ledger_sql_query(l,
                         "SELECT clip, shot, clips.state, stem, key, spec, model_hash, clips.file IS NOT NULL FROM "
                         "clips JOIN specs USING(shot), campaign"
                         " WHERE clip_id = ?1",
                         "t", clip_id);
    if (!ledger_sql_next(&q)) return q.status;
    Status status = ledger_state_parse_clip(l, ledger_sql_text(&q, 2), &f->state);
    f->clip = ledger_sql_int(&q, 0);
    f->shot = ledger_sql_int(&q, 1);
    f->stem = text_copy(ledger_sql_text(&q, 3));
    f->key = text_copy(ledger_sql_text(&q, 4));
    f->spec = text_copy(ledger_sql_text(&q, 5));
    f->model_hash = text_copy(ledger_sql_text(&q, 6));
    f->made = ledger_sql_int(&q, 7) != 0;
    ledger_sql_end(&q);
    return status;
}

static void clear_found(Found *f)
{
    free(f->stem);
    free(f->key);
    free(f->spec);
    free(f->model_hash);
}

/* The number of the shot with this key, which is planned when it is not there. */
static Status need_shot(Ledger *l, const PlannedShot *p, int64_t *number)
{
    TRY(ledger_sql_number(l, number, "SELECT ifnull((SELECT shot FROM specs WHERE key = ?1), -1)", "t", p->key));
    if (*number >= 0) return status_ok();
    TRY(ledger_sql_number(l, number,
                          "SELECT 1 + max(ifnull((SELECT max(shot) FROM specs), -1),"
                          " ifnull((SELECT max(shot) FROM leases), -1))",
                          ""));
    ledger_state_add_shots(l, SHOT_PLANNED, 1);
    return plan_insert_shot(l, *number, p, 0);
}

static Status count_clips(Ledger *l, int64_t shot)
{
    TRY(ledger_sql_run(l, "UPDATE shots SET clips = (SELECT count(*) FROM clips WHERE clips.shot = ?1) WHERE shot = ?1",
                       "i", shot));
    return ledger_follow_clips(l, shot);
}

/* The old shot stays, even where nobody wants it any more: a lease may have it. */
static Status move_to(Ledger *l, const Found *f, const PlannedShot *p, int64_t seed)
{
    int64_t shot;
    TRY(need_shot(l, p, &shot));
    if (f->made) TRY(ledger_leave(l, LEAVING_CLIP, f->stem));
    TRY(ledger_state_move_clip(l, f->clip, EV_CHANGE));
    TRY(ledger_sql_run(l, "UPDATE clips SET shot = ?1, seed = ?2 WHERE clip = ?3", "iii", shot, seed, f->clip));
    TRY(update_forget_result(l, f->clip));
    TRY(count_clips(l, f->shot));
    TRY(count_clips(l, shot));
    return ledger_masters_read(l);
}

Status ledger_reseed(Ledger *l, const char *clip_id, int64_t seed, int64_t *changed)
{
    Found f;
    PlannedShot planned = {.key = ""};
    ClipState to;
    char same[HASH_TEXT];
    Status status = find_clip(l, clip_id, &f);
    *changed = 0;
    if (failed(status) || f.clip < 0 || failed(ledger_next_clip_state(f.state, EV_CHANGE, &to))) goto out;
    TRY_OUT(shot_from_json(f.spec, &planned.spec));
    shot_key(&planned.spec, f.model_hash, same);
    bool shared = strcmp(same, f.key) == 0;
    planned.spec.seed = (uint64_t)seed;
    shot_key(&planned.spec, f.model_hash, planned.key);
    if (!shared) shot_key_of_row(planned.key, clip_id);
    if (strcmp(planned.key, f.key) == 0) goto out;
    TRY_OUT(move_to(l, &f, &planned, seed));
    *changed = 1;
out:
    shot_clear(&planned.spec);
    clear_found(&f);
    return status;
}
