#include "update.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/order.h"
#include "coordinator/campaign/stem.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/handed.h"
#include "coordinator/ledger/plan.h"
#include "coordinator/ledger/steer.h"

typedef struct {
    Ledger *ledger;
    const Campaign *campaign;
    const Changes *changes;
    int64_t *number;   /* [rows]: of each row's clip from now on */
    int64_t *shot;     /* [shots of the campaign]: its number in the ledger; -1: not looked up yet */
    int64_t next_shot; /* the first number that no shot ever had */
    int64_t *touched;  /* shots whose clips have changed, some several times */
    int64_t touched_count, touched_room;
    Stems *stems;
} Update;

static const char *const kind_name[] = {[LEAVING_ROW] = "row", [LEAVING_CLIP] = "clip", [LEAVING_SHOT] = "shot"};

Status ledger_leave(Ledger *l, LeavingKind kind, const char *name)
{
    return ledger_sql_run(l, "INSERT OR REPLACE INTO leavings VALUES(?1, ?2, ?3)", "ttd", kind_name[kind], name,
                          l->now_s);
}

static void touch(Update *u, int64_t shot)
{
    if (shot < 0) return;
    if (u->touched_count == u->touched_room) {
        u->touched_room = 2 * u->touched_room + 256;
        u->touched = memory_resize(u->touched, (size_t)u->touched_room, sizeof *u->touched);
    }
    u->touched[u->touched_count++] = shot;
}

typedef struct { /* what the ledger says of a clip before this update changes it */
    int64_t shot;
    ClipState state;
    bool made;  /* it has a file */
    char *stem; /* to be freed */
} ClipBefore;

static Status read_clip(Ledger *l, int64_t clip, ClipBefore *out)
{
    *out = (ClipBefore){0};
    Query q = ledger_sql_query(l, "SELECT ifnull(shot, -1), state, stem, file IS NOT NULL FROM clips WHERE clip = ?1",
                               "i", clip);
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status : status_fail(ERR_FATAL, "%s: no clip %lld", l->file, (long long)clip);
    out->shot = ledger_sql_int(&q, 0);
    Status status = ledger_state_parse_clip(l, ledger_sql_text(&q, 1), &out->state);
    out->stem = text_copy(ledger_sql_text(&q, 2));
    out->made = ledger_sql_int(&q, 3) != 0;
    ledger_sql_end(&q);
    return status;
}

/* ---- rows that left ---- */

static Status remove_row(Update *u, const RemovedRow *r)
{
    Ledger *l = u->ledger;
    ClipBefore before;
    TRY(read_clip(l, r->clip, &before));
    Status status = ledger_leave(l, LEAVING_ROW, before.stem);
    free(before.stem);
    TRY(status);
    TRY(ledger_sql_run(l, "INSERT OR REPLACE INTO removed SELECT clip_id, state, sha256, ?1 FROM clips WHERE clip = ?2",
                       "di", l->now_s, r->clip));
    TRY(handed_take_back(l, r->id));
    TRY(ledger_sql_run(l, "DELETE FROM clips WHERE clip = ?1", "i", r->clip));
    ledger_state_add_clips(l, before.state, -1);
    touch(u, before.shot);
    return status_ok();
}

/* ---- shots ---- */

static Status find_next_shot(Update *u)
{
    return ledger_sql_number(u->ledger, &u->next_shot,
                             "SELECT 1 + max(ifnull((SELECT max(shot) FROM specs), -1),"
                             " ifnull((SELECT max(shot) FROM leases), -1))",
                             "");
}

/* The ledger's number of a shot of the campaign; one that it has not yet is planned. */
static Status find_shot(Update *u, int64_t index, int64_t *number)
{
    *number = -1;
    if (index < 0) return status_ok();
    if (u->shot[index] < 0) {
        const PlannedShot *p = &u->campaign->shot[index];
        TRY(ledger_sql_number(u->ledger, &u->shot[index], "SELECT ifnull((SELECT shot FROM specs WHERE key = ?1), -1)",
                              "t", p->key));
        if (u->shot[index] < 0) {
            u->shot[index] = u->next_shot++;
            TRY(plan_insert_shot(u->ledger, u->shot[index], p, 0));
            ledger_state_add_shots(u->ledger, SHOT_PLANNED, 1);
        }
    }
    *number = u->shot[index];
    return status_ok();
}

/* The same key says the same latents; frames per second, and where the pictures lie, may be others. */
static Status refresh_specs(Update *u)
{
    const Campaign *c = u->campaign;
    Status status = status_ok();
    for (int64_t i = 0; i < c->shot_count && !failed(status); i++) {
        char *spec = shot_to_json(&c->shot[i].spec);
        status = ledger_sql_run(u->ledger, "UPDATE specs SET spec = ?1 WHERE key = ?2 AND spec <> ?1", "tt", spec,
                                c->shot[i].key);
        free(spec);
    }
    return status;
}

/* Those of clips with a seed of their own, whose shots the campaign does not know. */
static Status refresh_own_specs(Update *u)
{
    const Campaign *c = u->campaign;
    int64_t seeds;
    Status status = status_ok();
    TRY(ledger_sql_number(u->ledger, &seeds, "SELECT count(*) FROM clips WHERE seed IS NOT NULL", ""));
    for (int64_t row = 0; seeds > 0 && row < c->clip_count && !failed(status); row++) {
        int64_t shot = -1, seed = 0;
        Query q = ledger_sql_query(u->ledger, "SELECT shot, seed FROM clips WHERE clip = ?1 AND seed IS NOT NULL", "i",
                                   u->number[row]);
        if (ledger_sql_next(&q)) shot = ledger_sql_int(&q, 0), seed = ledger_sql_int(&q, 1);
        ledger_sql_end(&q);
        if (shot < 0 || c->clip[row].shot < 0) continue;
        ShotSpec own = c->shot[c->clip[row].shot].spec; /* its texts stay the campaign's */
        own.seed = (uint64_t)seed;
        char *spec = shot_to_json(&own);
        status = ledger_sql_run(u->ledger, "UPDATE specs SET spec = ?1 WHERE shot = ?2", "ti", spec, shot);
        free(spec);
    }
    return status;
}

/* No clip wants the shot any more. */
Status ledger_drop_shot(Ledger *l, int64_t shot)
{
    Query q =
        ledger_sql_query(l, "SELECT state, step, key FROM shots JOIN specs USING(shot) WHERE shot = ?1", "i", shot);
    if (!ledger_sql_next(&q)) return q.status;
    int state = 0;
    while (state < SHOT_STATES && strcmp(ledger_shot_state_name((ShotState)state), ledger_sql_text(&q, 0)) != 0)
        state++;
    int64_t step = ledger_sql_int(&q, 1);
    char *key = text_copy(ledger_sql_text(&q, 2));
    ledger_sql_end(&q);
    Status status = state == SHOT_STATES ? status_fail(ERR_FATAL, "%s: a shot in an unknown state", l->file)
                                         : ledger_leave(l, LEAVING_SHOT, key);
    free(key);
    TRY(status);
    ledger_state_add_shots(l, (ShotState)state, -1);
    l->difference.steps -= step;
    TRY(ledger_sql_run(l, "DELETE FROM shots WHERE shot = ?1", "i", shot));
    return ledger_sql_run(l, "DELETE FROM specs WHERE shot = ?1", "i", shot);
}

static Status settle_shots(Update *u)
{
    Ledger *l = u->ledger;
    int64_t clips;
    if (u->touched_count) qsort(u->touched, (size_t)u->touched_count, sizeof *u->touched, order_int64s);
    for (int64_t i = 0; i < u->touched_count; i++) {
        int64_t shot = u->touched[i];
        if (i > 0 && u->touched[i - 1] == shot) continue;
        TRY(ledger_sql_number(l, &clips, "SELECT count(*) FROM clips WHERE shot = ?1 AND +state <> 'refused'", "i",
                              shot));
        if (clips == 0) {
            TRY(ledger_drop_shot(l, shot));
            continue;
        }
        TRY(ledger_sql_run(l, "UPDATE shots SET clips = ?1 WHERE shot = ?2", "ii", clips, shot));
        TRY(ledger_follow_clips(l, shot));
    }
    return status_ok();
}

/* ---- rows that changed ---- */

/* The clip is planned again, or refused. A paused or cancelled clip stays so; when it is resumed, it is made by the new plan. */
static Status plan_again(Update *u, int64_t row, int64_t clip, int64_t shot)
{
    Ledger *l = u->ledger;
    const PlannedClip *p = &u->campaign->clip[row];
    const LedgerEvent event = p->refusal ? EV_REFUSE : EV_CHANGE;
    ClipBefore before;
    ClipState to;
    TRY(read_clip(l, clip, &before));
    const bool moves = !failed(
                   ledger_next_clip_state(before.state, event, &to)), /* else it is made already: see the header */
        made = before.made;
    Status status = moves && made ? ledger_leave(l, LEAVING_CLIP, before.stem) : status_ok();
    free(before.stem);
    if (failed(status) || !moves) return status;
    TRY(ledger_state_move_clip(l, clip, event));
    touch(u, before.shot);
    touch(u, shot);
    TRY(update_forget_result(l, clip));
    return ledger_sql_run(l,
                          "UPDATE clips SET shot = ?1, finish = ?2, reason = ifnull(?3, reason),"
                          " seed = iif(shot = ?1, seed, NULL) WHERE clip = ?4",
                          "itti", shot, p->finish, p->refusal, clip);
}

Status update_forget_result(Ledger *l, int64_t clip)
{
    return ledger_sql_run(
        l,
        "UPDATE clips SET reason = CASE WHEN state IN ('paused', 'cancelled') THEN reason END,"
        " file = NULL, thumbnail = NULL, sheet = NULL, sha256 = NULL, duration_s = NULL, width = NULL,"
        " height = NULL, lease = NULL, retried = retried + 1, reviewer = NULL, decided_s = NULL,"
        " result = NULL WHERE clip = ?1",
        "i", clip);
}

static Status change_row(Update *u, const ChangedRow *r)
{
    const int64_t clip = u->changes->number[r->row];
    int64_t shot;
    char *customer = plan_row_json(&u->campaign->customers, r->row);
    Status status = ledger_sql_run(u->ledger, "UPDATE clips SET customer = ?1 WHERE clip = ?2", "ti", customer, clip);
    free(customer);
    TRY(status);
    if (r->follows == FOLLOWS_LIST) { /* refused as before, maybe for another reason */
        const PlannedClip *p = &u->campaign->clip[r->row];
        return p->refusal ? ledger_sql_run(u->ledger,
                                           "UPDATE clips SET finish = ?1, reason = ?2 WHERE clip = ?3 AND state = "
                                           "'refused'",
                                           "tti", p->finish, p->refusal, clip)
                          : status_ok();
    }
    TRY(ledger_sql_number(
        u->ledger, &shot, /* one that was asked for with a seed of its own keeps that as long as it can */
        "SELECT ifnull((SELECT shot FROM clips WHERE clip = ?1 AND seed IS NOT NULL), -1)", "i", clip));
    if (shot < 0 || r->follows == FOLLOWS_RENDER || u->campaign->clip[r->row].refusal)
        TRY(find_shot(u, u->campaign->clip[r->row].shot, &shot));
    return plan_again(u, r->row, clip, shot);
}

/* ---- rows that are new, and the order ---- */

static Status read_stems(Update *u)
{
    Query q = ledger_sql_query(u->ledger, "SELECT stem FROM clips", "");
    while (ledger_sql_next(&q)) stems_note(u->stems, ledger_sql_text(&q, 0));
    return q.status;
}

static Status add_row(Update *u, int64_t row)
{
    int64_t shot;
    TRY(find_shot(u, u->campaign->clip[row].shot, &shot));
    const char *stem = stems_take(u->stems, u->campaign->clip[row].clip_id);
    TRY(plan_insert_clip(u->ledger, u->campaign, row, u->number[row], shot, stem));
    touch(u, shot);
    return status_ok();
}

/* Clips keep their numbers when the rows that stay are in the same order and new rows come last. Otherwise all get new numbers. */
static Status choose_numbers(Update *u)
{
    const int64_t rows = u->campaign->clip_count;
    int64_t last = -1, next;
    bool in_order = true;
    TRY(ledger_sql_number(u->ledger, &next, /* nor that of a clip that is removed: its leases are still there */
                          "SELECT 1 + max(ifnull((SELECT max(clip) FROM clips), -1),"
                          " ifnull((SELECT max(clip) FROM leases), -1), ifnull((SELECT max(clip) FROM decisions), -1))",
                          ""));
    for (int64_t row = 0; row < rows; row++) {
        int64_t n = u->changes->number[row] < 0 ? INT64_MAX - rows + row : u->changes->number[row];
        in_order = in_order && n > last;
        last = n;
    }
    for (int64_t row = 0; row < rows; row++) {
        int64_t old = u->changes->number[row];
        u->number[row] = in_order && old >= 0 ? old : next++;
    }
    return status_ok();
}

/* A clip's leases, and what people said of it, go with it; there is no index of leases by clip, so all at once. */
static Status renumber(Update *u)
{
    TRY(ledger_sql_run(u->ledger, "CREATE TEMP TABLE renumbered(old INTEGER PRIMARY KEY, new INTEGER NOT NULL)", ""));
    for (int64_t row = 0; row < u->campaign->clip_count; row++) {
        int64_t old = u->changes->number[row];
        if (old < 0 || old == u->number[row]) continue;
        TRY(ledger_sql_run(u->ledger, "UPDATE clips SET clip = ?1 WHERE clip = ?2", "ii", u->number[row], old));
        TRY(ledger_sql_run(u->ledger, "INSERT INTO temp.renumbered VALUES(?1, ?2)", "ii", old, u->number[row]));
    }
    TRY(ledger_sql_run(u->ledger,
                       "UPDATE leases SET clip = (SELECT new FROM temp.renumbered WHERE old = leases.clip)"
                       " WHERE clip IN (SELECT old FROM temp.renumbered)",
                       ""));
    TRY(ledger_sql_run(u->ledger,
                       "UPDATE decisions SET clip = (SELECT new FROM temp.renumbered WHERE old = decisions.clip)"
                       " WHERE clip IN (SELECT old FROM temp.renumbered)",
                       ""));
    return ledger_sql_run(u->ledger, "DROP TABLE temp.renumbered", "");
}

/* ---- all of it ---- */

static Status update_campaign(Update *u)
{
    Ledger *l = u->ledger;
    const Campaign *c = u->campaign;
    char detail[HASH_TEXT], *columns = plan_columns_json(&c->customers);
    plan_detail(c, detail);
    Status status = ledger_sql_run(l, "UPDATE campaign SET fingerprint = ?1, detail = ?2, columns = ?3, finish = ?4",
                                   "tttt", c->fingerprint, detail, columns, c->finish);
    free(columns);
    if (!failed(status)) status = plan_update_settings(l, c);
    return failed(status) ? status : plan_place_pilot(l, c);
}

static Status update_all(Update *u)
{
    Ledger *l = u->ledger;
    const Changes *ch = u->changes;
    TRY(ledger_sql_run(l, "DELETE FROM replaced", "")); /* clips may get other numbers */
    TRY(choose_numbers(u));
    TRY(find_next_shot(u));
    for (int64_t i = 0; i < ch->removed_count; i++) TRY(remove_row(u, &ch->removed[i]));
    for (int64_t i = 0; i < ch->changed_count; i++) TRY(change_row(u, &ch->changed[i]));
    TRY(renumber(u));
    if (ch->added_count) TRY(read_stems(u));
    for (int64_t row = 0; row < u->campaign->clip_count; row++)
        if (ch->number[row] < 0) TRY(add_row(u, row));
    TRY(settle_shots(u));
    TRY(refresh_specs(u));
    TRY(refresh_own_specs(u));
    return update_campaign(u);
}

Status ledger_update(Ledger *l, const Campaign *c, const Changes *changes)
{
    const size_t rows = (size_t)c->clip_count, shots = (size_t)c->shot_count;
    Texts *text = texts_new();
    Update u = {.ledger = l,
                .campaign = c,
                .changes = changes,
                .number = memory_get(rows, sizeof *u.number),
                .shot = memory_get(shots, sizeof *u.shot),
                .stems = stems_new(text)};
    for (size_t i = 0; i < shots; i++) u.shot[i] = -1;
    l->changes |= 1u << CHANGE_PLAN;
    Status status = update_all(&u);
    stems_free(&u.stems);
    texts_free(&text);
    free(u.number);
    free(u.shot);
    free(u.touched);
    return status;
}

/* ---- what is to be deleted ---- */

static LeavingKind find_kind(const char *name)
{
    for (int i = 0; i < LEAVING_KINDS; i++)
        if (strcmp(name, kind_name[i]) == 0) return (LeavingKind)i;
    return LEAVING_CLIP;
}

/* A row that came back, or a shot that is wanted again, keeps its files. */
static Status look_at(Ledger *l, Leaving *x)
{
    int64_t there;
    if (x->kind == LEAVING_SHOT) {
        TRY(ledger_sql_number(l, &there, "SELECT count(*) FROM specs WHERE key = ?1", "t", x->name));
        x->ready = there == 0;
        return status_ok();
    }
    Query q = ledger_sql_query(
        l,
        "SELECT state, ifnull(file, '') || ' ' || ifnull(thumbnail, '') || ' ' || ifnull(sheet, '') || ' ' ||"
        " ifnull(result, ''), file IS NOT NULL FROM clips WHERE stem = ?1",
        "t", x->name);
    if (!ledger_sql_next(&q)) return x->ready = true, q.status;
    const char *state = ledger_sql_text(&q, 0);
    bool refused = strcmp(state, "refused") == 0 || strcmp(state, "revoked") == 0 || strcmp(state, "erased") == 0;
    x->ready = refused || ledger_sql_int(&q, 2) != 0;
    if (!refused) x->kept = text_copy(ledger_sql_text(&q, 1));
    ledger_sql_end(&q);
    return status_ok();
}

Status ledger_read_leavings(Ledger *l, Leaving **list, int64_t *count)
{
    int64_t room = 0;
    *list = NULL;
    *count = 0;
    Query q = ledger_sql_query(l, "SELECT kind, name, since_s FROM leavings", "");
    while (ledger_sql_next(&q)) {
        if (*count == room) {
            room = 2 * room + 64;
            *list = memory_resize(*list, (size_t)room, sizeof **list);
        }
        (*list)[(*count)++] = (Leaving){.kind = find_kind(ledger_sql_text(&q, 0)),
                                        .name = text_copy(ledger_sql_text(&q, 1)),
                                        .since_s = ledger_sql_real(&q, 2)};
    }
    TRY(q.status);
    for (int64_t i = 0; i < *count; i++) TRY(look_at(l, &(*list)[i]));
    return status_ok();
}

void ledger_free_leavings(Leaving *list, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        free(list[i].name);
        free(list[i].kept);
    }
    free(list);
}

Status ledger_forget_leaving(Ledger *l, const Leaving *x)
{
    return ledger_sql_run(l, "DELETE FROM leavings WHERE kind = ?1 AND name = ?2", "tt", kind_name[x->kind], x->name);
}
