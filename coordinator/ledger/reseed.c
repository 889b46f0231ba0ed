#include "reseed.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"
#include "coordinator/campaign/part.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/plan.h"
#include "coordinator/ledger/running.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/ledger/update.h"

typedef struct { /* what the ledger says of the clip; owns its texts */
    int64_t clip, shot;
    ClipState state;
    bool made; /* it has a file */
    char *id, *stem, *key, *spec, *model_hash;
} Found;

static Status find_clip(Ledger *l, int64_t clip, Found *f)
{
    *f = (Found){.clip = -1};
    Query q =
        ledger_sql_query(l,
                         "SELECT clip, shot, clips.state, stem, key, spec, model_hash, clips.file IS NOT NULL, clip_id"
                         " FROM clips JOIN specs USING(shot), campaign WHERE clip = ?1",
                         "i", clip);
    if (!ledger_sql_next(&q)) return q.status;
    Status status = ledger_state_parse_clip(l, ledger_sql_text(&q, 2), &f->state);
    f->clip = ledger_sql_int(&q, 0);
    f->shot = ledger_sql_int(&q, 1);
    f->stem = text_copy(ledger_sql_text(&q, 3));
    f->key = text_copy(ledger_sql_text(&q, 4));
    f->spec = text_copy(ledger_sql_text(&q, 5));
    f->model_hash = text_copy(ledger_sql_text(&q, 6));
    f->made = ledger_sql_int(&q, 7) != 0;
    f->id = text_copy(ledger_sql_text(&q, 8));
    ledger_sql_end(&q);
    return status;
}

static void clear_found(Found *f)
{
    free(f->id);
    free(f->stem);
    free(f->key);
    free(f->spec);
    free(f->model_hash);
}

/* Finds the number of the shot with this key, or plans that shot. In a part of a campaign the new number is one that no other part uses
 * (part.h). */
static Status need_shot(Ledger *l, const PlannedShot *p, int64_t *number)
{
    int64_t part, parts;
    TRY(ledger_sql_number(l, number, "SELECT ifnull((SELECT shot FROM specs WHERE key = ?1), -1)", "t", p->key));
    if (*number >= 0) return status_ok();
    TRY(ledger_sql_number(l, number,
                          "SELECT 1 + max(ifnull((SELECT max(shot) FROM specs), -1),"
                          " ifnull((SELECT max(shot) FROM leases), -1))",
                          ""));
    TRY(ledger_sql_number(l, &part, "SELECT part FROM campaign", ""));
    TRY(ledger_sql_number(l, &parts, "SELECT parts FROM campaign", ""));
    while (!part_has((Part){(int)part, (int)parts}, *number)) ++*number;
    ledger_state_add_shots(l, SHOT_PLANNED, 1);
    return plan_insert_shot(l, *number, p, 0);
}

static Status count_clips(Ledger *l, int64_t shot)
{
    TRY(ledger_sql_run(l, "UPDATE shots SET clips = (SELECT count(*) FROM clips WHERE clips.shot = ?1) WHERE shot = ?1",
                       "i", shot));
    return ledger_follow_clips(l, shot);
}

/* Moves the clip to the other shot. The old shot stays in the ledger even if no clip is left on it, because a worker may be rendering it. */
static Status move_to(Ledger *l, const Found *f, const PlannedShot *p, LedgerEvent event)
{
    int64_t shot;
    TRY(need_shot(l, p, &shot));
    if (f->made) TRY(ledger_leave(l, LEAVING_CLIP, f->stem));
    TRY(ledger_state_move_clip(l, f->clip, event));
    TRY(ledger_sql_run(l, "UPDATE clips SET shot = ?1, seed = ?2 WHERE clip = ?3", "iii", shot, (int64_t)p->spec.seed,
                       f->clip));
    TRY(update_forget_result(l, f->clip));
    TRY(count_clips(l, f->shot));
    return count_clips(l, shot);
}

/* Makes the shot that is equal to the clip's own but for the seed. *differs: false when the clip's own shot has that seed. */
static Status plan_other(const Found *f, int64_t seed, PlannedShot *out, bool *differs)
{
    char same[HASH_TEXT];
    TRY(shot_from_json(f->spec, &out->spec));
    shot_key(&out->spec, f->model_hash, same);
    const bool shared = strcmp(same, f->key) == 0;
    out->spec.seed = (uint64_t)seed;
    shot_key(&out->spec, f->model_hash, out->key);
    if (!shared) shot_key_of_row(out->key, f->id);
    *differs = strcmp(out->key, f->key) != 0;
    return status_ok();
}

static Status reseed(Ledger *l, const Found *f, int64_t seed, LedgerEvent event, int64_t *changed)
{
    PlannedShot planned = {.key = ""};
    ClipState to;
    bool differs;
    *changed = 0;
    if (f->clip < 0 || failed(ledger_next_clip_state(f->state, event, &to))) return status_ok();
    Status status = plan_other(f, seed, &planned, &differs);
    if (!failed(status) && differs) status = move_to(l, f, &planned, event);
    if (!failed(status)) *changed = differs;
    shot_clear(&planned.spec);
    return status;
}

/* A seed of 60 bits from the clip's shot, and whose it is: no other shot gets the same one, in this part of the campaign or another. */
static int64_t next_seed(const Found *f, const char *whose)
{
    char hash[HASH_TEXT], *text = text_format("%s again %s", f->key, whose);
    hash_bytes(text, strlen(text), hash);
    free(text);
    hash[15] = 0;
    return (int64_t)strtoull(hash, NULL, 16);
}

static Status reseed_clip(Ledger *l, const char *clip_id, const int64_t *wanted, int64_t *seed, int64_t *changed)
{
    int64_t clip;
    Found f;
    *changed = 0;
    TRY(ledger_sql_number(l, &clip, "SELECT ifnull((SELECT clip FROM clips WHERE clip_id = ?1), -1)", "t", clip_id));
    Status status = find_clip(l, clip, &f);
    *seed = wanted ? *wanted : f.clip < 0 ? 0 : next_seed(&f, "");
    if (!failed(status)) status = reseed(l, &f, *seed, EV_CHANGE, changed);
    if (!failed(status) && *changed) status = ledger_masters_read(l);
    clear_found(&f);
    return status;
}

Status ledger_reseed(Ledger *l, const char *clip_id, int64_t seed, int64_t *changed)
{
    return reseed_clip(l, clip_id, &seed, &seed, changed);
}

Status ledger_reseed_again(Ledger *l, const char *clip_id, int64_t *seed, int64_t *changed)
{
    return reseed_clip(l, clip_id, NULL, seed, changed);
}

static Status keep_before(Ledger *l, int64_t clip)
{
    return ledger_sql_run(
        l,
        "INSERT OR REPLACE INTO replaced SELECT clip, ifnull(shot, -1), ?2, shot, seed, file, thumbnail,"
        " sheet, sha256, duration_s, width, height, lease, result FROM clips WHERE clip = ?1",
        "id", clip, l->now_s);
}

Status ledger_rerender(Ledger *l, int64_t clip, int64_t *changed)
{
    Found f;
    Status status = find_clip(l, clip, &f);
    if (!failed(status)) status = keep_before(l, clip);
    if (!failed(status)) status = reseed(l, &f, f.clip < 0 ? 0 : next_seed(&f, f.id), EV_RERENDER, changed);
    clear_found(&f);
    TRY(status);
    return ledger_sql_run(
        l, "UPDATE replaced SET new_shot = (SELECT shot FROM clips WHERE clips.clip = replaced.clip) WHERE clip = ?1",
        "i", clip);
}

/* ---- taken back ---- */

Status ledger_may_undo_rerender(Ledger *l, int64_t clip, bool *yes)
{
    int64_t count;
    *yes = false;
    TRY(ledger_sql_number(
        l, &count,
        "SELECT count(*) FROM replaced r JOIN clips c USING(clip) JOIN shots s ON s.shot = c.shot"
        " WHERE r.clip = ?1 AND r.shot <> r.new_shot AND c.shot = r.new_shot AND c.state IN ('planned', 'paused')"
        " AND c.decided_s = r.asked_s AND s.state IN ('planned', 'held')",
        "i", clip));
    *yes = count > 0;
    return status_ok();
}

Status ledger_undo_rerender(Ledger *l, int64_t clip)
{
    int64_t before, asked;
    TRY(ledger_sql_number(l, &before, "SELECT shot FROM replaced WHERE clip = ?1", "i", clip));
    TRY(ledger_sql_number(l, &asked, "SELECT new_shot FROM replaced WHERE clip = ?1", "i", clip));
    TRY(ledger_state_move_clip(l, clip, EV_UNDO));
    TRY(ledger_sql_run(
        l,
        "UPDATE clips SET (shot, seed, file, thumbnail, sheet, sha256, duration_s, width, height, lease,"
        " result) = (SELECT shot, seed, file, thumbnail, sheet, sha256, duration_s, width, height, lease,"
        " result FROM replaced r WHERE r.clip = clips.clip) WHERE clip = ?1",
        "i", clip));
    TRY(ledger_sql_run(l, "DELETE FROM replaced WHERE clip = ?1", "i", clip));
    TRY(count_clips(l, asked));
    return count_clips(l, before);
}
