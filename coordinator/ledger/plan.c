/* plan.c - a campaign's plan on its way into the ledger. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/steer.h"

static char *json_line(json_t *value) /* takes the reference; free() the text */
{
    char *text = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    if (!text) abort();
    return text;
}

static char *columns_json(const Customers *c)
{
    json_t *list = json_array();
    for (int i = 0; i < c->column_count; i++)
        if (customers_is_listed(c, i)) json_array_append_new(list, json_string(c->column[i]));
    return json_line(list);
}

static char *row_json(const Customers *c, int64_t row)
{
    json_t *list = json_array();
    for (int i = 0; i < c->column_count; i++)
        if (customers_is_listed(c, i)) json_array_append_new(list, json_string(c->value[row * c->column_count + i]));
    return json_line(list);
}

/* The pilot's clips are those below this number: the first rows that get one. */
static int64_t pilot_end(const Campaign *c)
{
    int64_t end = 0;
    for (int left = c->settings.pilot; left > 0 && end < c->clip_count; end++) left -= !c->clip[end].refusal;
    return end;
}

static double deadline_of(const Campaign *c, double now_s)
{
    double when_s = 0;
    if (*c->settings.deadline) deadline_parse(c->settings.deadline, now_s, &when_s);
    return when_s;
}

static Status insert_campaign(Ledger *l, const Campaign *c)
{
    char *columns = columns_json(&c->customers);
    char *model = realpath(c->model_folder, NULL), *settings = settings_to_json(&c->settings);
    PilotState pilot = c->settings.pilot ? PILOT_OPEN : PILOT_NONE;
    Status status = ledger_sql_run(
        l,
        "INSERT INTO campaign(one, name, fingerprint, file, model_folder, model_hash, columns, finish,"
        " checkpoint_every, created_s, settings, priority, deadline_s, pilot, pilot_end, part, parts)"
        " VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        "tttttttidtidtiii", c->name, c->fingerprint, c->file, model ? model : c->model_folder, c->model_hash, columns,
        c->finish, (int64_t)c->checkpoint_every, l->now_s, settings, (int64_t)c->settings.priority,
        deadline_of(c, l->now_s), ledger_pilot_state_name(pilot), pilot_end(c),
        (int64_t)(c->part.count > 1 ? c->part.number : 1), (int64_t)(c->part.count > 1 ? c->part.count : 1));
    free(columns);
    free(settings);
    free(model);
    return status;
}

static Status insert_shot(Ledger *l, int64_t number, const PlannedShot *p, int64_t clips)
{
    char *spec = shot_to_json(&p->spec);
    Status status = ledger_sql_run(l, "INSERT INTO specs VALUES(?1, ?2, ?3)", "itt", number, p->key, spec);
    free(spec);
    TRY(status);
    return ledger_sql_run(l, "INSERT INTO shots(shot, state, clips) VALUES(?1, 'planned', ?2)", "ii", number, clips);
}

static Status insert_clip(Ledger *l, int64_t number, const Campaign *c)
{
    const PlannedClip *p = &c->clip[number];
    char *row = row_json(&c->customers, number);
    ClipState state = p->refusal ? CLIP_REFUSED : CLIP_PLANNED;
    Status status = ledger_sql_run(l,
                                   "INSERT INTO clips(clip, clip_id, stem, shot, state, reason, customer, finish)"
                                   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                                   "ittitttt", number, p->clip_id, p->stem, p->shot, ledger_clip_state_name(state),
                                   p->refusal, row, p->finish);
    ledger_state_add_clips(l, state, 1);
    free(row);
    return status;
}

static Status insert_plan(Ledger *l, const Campaign *c)
{
    int64_t *clips = memory_get((size_t)c->shot_count, sizeof *clips); /* of each shot */
    for (int64_t i = 0; i < c->clip_count; i++)
        if (!c->clip[i].refusal) clips[c->clip[i].shot]++;
    Status status = insert_campaign(l, c);
    for (int64_t i = 0; i < c->shot_count && !failed(status); i++) {
        if (!part_has(c->part, i)) continue;
        status = insert_shot(l, i, &c->shot[i], clips[i]);
        ledger_state_add_shots(l, SHOT_PLANNED, 1);
    }
    for (int64_t i = 0; i < c->clip_count && !failed(status); i++)
        if (part_has(c->part, c->clip[i].shot >= 0 ? c->clip[i].shot : i)) status = insert_clip(l, i, c);
    free(clips);
    return status;
}

/* What a run may bring anew. A priority that was set by the verb, a deadline that was fixed and a pilot that was decided upon
 * stay as they are until the file says something else than it did. The model's bytes are part of the fingerprint, its place is
 * not: it may have moved since. */
static Status update_campaign(Ledger *l, const Campaign *c)
{
    Settings before;
    TRY(ledger_read_settings(l, &before));
    char *settings = settings_to_json(&c->settings), *model = realpath(c->model_folder, NULL);
    Status status = ledger_sql_run(l,
                                   "UPDATE campaign SET model_folder = ?1, file = ?2, checkpoint_every = ?3,"
                                   " priority = iif(json_extract(settings, '$.priority') = ?4, priority, ?4),"
                                   " settings = ?5",
                                   "ttiit", model ? model : c->model_folder, c->file, (int64_t)c->checkpoint_every,
                                   (int64_t)c->settings.priority, settings);
    if (!failed(status) && strcmp(before.deadline, c->settings.deadline) != 0)
        status = ledger_sql_run(l, "UPDATE campaign SET deadline_s = ?1", "d", deadline_of(c, l->now_s));
    if (!failed(status) && before.pilot != c->settings.pilot)
        status =
            ledger_sql_run(l, "UPDATE campaign SET pilot_end = ?1, pilot = ?2 WHERE pilot IN ('none', 'open')", "it",
                           pilot_end(c), ledger_pilot_state_name(c->settings.pilot ? PILOT_OPEN : PILOT_NONE));
    settings_clear(&before);
    free(settings);
    free(model);
    return status;
}

static Status check_campaign(Ledger *l, const Campaign *c)
{
    Query q = ledger_sql_query(l, "SELECT name, fingerprint FROM campaign", "");
    if (!ledger_sql_next(&q)) return q.status;
    if (strcmp(ledger_sql_text(&q, 1), c->fingerprint) != 0) {
        Status refused =
            status_fail(ERR_INPUT,
                        "%s: this folder holds campaign \"%s\" (fingerprint %.12s), but %s is \"%s\" (fingerprint "
                        "%.12s); expected the same campaign unchanged, or another --out",
                        l->folder, ledger_sql_text(&q, 0), ledger_sql_text(&q, 1), c->file, c->name, c->fingerprint);
        ledger_sql_end(&q);
        return refused;
    }
    ledger_sql_end(&q);
    return update_campaign(l, c);
}

Status ledger_adopt(Ledger *l, const Campaign *c, double now_s)
{
    int64_t there = 0;
    TRY(ledger_db_begin(l, now_s));
    l->changes = 1u << CHANGE_PLAN;
    Status status = ledger_sql_number(l, &there, "SELECT count(*) FROM campaign", "");
    if (!failed(status)) status = there ? check_campaign(l, c) : insert_plan(l, c);
    if (!failed(status)) return ledger_commit(l);
    ledger_rollback(l);
    return status;
}
