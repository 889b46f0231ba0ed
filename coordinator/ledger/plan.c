/* plan.c - a campaign's plan on its way into the ledger. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "common/likeness.h"
#include "common/shell.h"
#include "coordinator/ledger/changes.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/ledger/steer.h"

static char *json_line(json_t *value) /* takes the reference; free() the text */
{
    char *text = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    if (!text) abort();
    return text;
}

char *plan_columns_json(const Customers *c)
{
    json_t *list = json_array();
    for (int i = 0; i < c->column_count; i++)
        if (customers_is_listed(c, i)) json_array_append_new(list, json_string(c->column[i]));
    return json_line(list);
}

char *plan_row_json(const Customers *c, int64_t row)
{
    json_t *list = json_array();
    for (int i = 0; i < c->column_count; i++)
        if (customers_is_listed(c, i)) json_array_append_new(list, json_string(c->value[row * c->column_count + i]));
    return json_line(list);
}

static double deadline_of(const Campaign *c, double now_s)
{
    double when_s = 0;
    if (*c->settings.deadline) deadline_parse(c->settings.deadline, now_s, &when_s);
    return when_s;
}

static Status insert_campaign(Ledger *l, const Campaign *c)
{
    char *columns = plan_columns_json(&c->customers);
    char *model = realpath(c->model_folder, NULL), *settings = settings_to_json(&c->settings);
    PilotState pilot = c->settings.pilot ? PILOT_OPEN : PILOT_NONE;
    char detail[HASH_TEXT];
    plan_detail(c, detail);
    Status status = ledger_sql_run(
        l,
        "INSERT INTO campaign(one, name, fingerprint, file, model_folder, model_hash, columns, finish,"
        " checkpoint_every, created_s, settings, priority, deadline_s, pilot, part, parts, detail)"
        " VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        "tttttttidtidtiit", c->name, c->fingerprint, c->file, model ? model : c->model_folder, c->model_hash, columns,
        c->finish, (int64_t)c->checkpoint_every, l->now_s, settings, (int64_t)c->settings.priority,
        deadline_of(c, l->now_s), ledger_pilot_state_name(pilot), (int64_t)(c->part.count > 1 ? c->part.number : 1),
        (int64_t)(c->part.count > 1 ? c->part.count : 1), detail);
    free(columns);
    free(settings);
    free(model);
    return status;
}

Status plan_insert_shot(Ledger *l, int64_t number, const PlannedShot *p, int64_t clips)
{
    char *spec = shot_to_json(&p->spec);
    Status status = ledger_sql_run(l, "INSERT INTO specs VALUES(?1, ?2, ?3)", "itt", number, p->key, spec);
    free(spec);
    TRY(status);
    return ledger_sql_run(l, "INSERT INTO shots(shot, state, clips) VALUES(?1, 'planned', ?2)", "ii", number, clips);
}

Status plan_insert_clip(Ledger *l, const Campaign *c, int64_t row, int64_t number, int64_t shot, const char *stem)
{
    const PlannedClip *p = &c->clip[row];
    char *customer = plan_row_json(&c->customers, row);
    ClipState state = p->refusal ? CLIP_REFUSED : CLIP_PLANNED;
    Status status = ledger_sql_run(l,
                                   "INSERT INTO clips(clip, clip_id, stem, shot, state, reason, customer, finish)"
                                   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                                   "ittitttt", number, p->clip_id, stem, shot, ledger_clip_state_name(state),
                                   p->refusal, customer, p->finish);
    ledger_state_add_clips(l, state, 1);
    free(customer);
    return status;
}

Status plan_place_pilot(Ledger *l, const Campaign *c)
{
    int64_t decided, found, wanted = c->settings.pilot;
    TRY(ledger_sql_number(l, &decided, "SELECT pilot IN ('approved', 'rejected') FROM campaign", ""));
    if (decided) return status_ok();
    TRY(ledger_sql_run(l, "UPDATE campaign SET pilot = ?1", "t",
                       ledger_pilot_state_name(wanted ? PILOT_OPEN : PILOT_NONE)));
    TRY(ledger_sql_run(l, "UPDATE clips SET pilot = 0 WHERE pilot = 1", ""));
    if (!wanted) return status_ok();
    TRY(ledger_sql_run(l,
                       "UPDATE clips SET pilot = 1 WHERE clip IN (SELECT min(clip) AS first FROM clips"
                       " WHERE state <> 'refused' GROUP BY shot ORDER BY first LIMIT ?1)",
                       "i", wanted));
    found = sqlite3_changes64(l->db);
    return ledger_sql_run(l,
                          "UPDATE clips SET pilot = 1 WHERE clip IN (SELECT clip FROM clips WHERE state <> 'refused'"
                          " AND pilot = 0 ORDER BY clip LIMIT ?1)",
                          "i", wanted - found);
}

static Status insert_plan(Ledger *l, const Campaign *c)
{
    int64_t *clips = memory_get((size_t)c->shot_count, sizeof *clips); /* of each shot */
    for (int64_t i = 0; i < c->clip_count; i++)
        if (!c->clip[i].refusal) clips[c->clip[i].shot]++;
    Status status = insert_campaign(l, c);
    for (int64_t i = 0; i < c->shot_count && !failed(status); i++) {
        if (!part_has(c->part, i)) continue;
        status = plan_insert_shot(l, i, &c->shot[i], clips[i]);
        ledger_state_add_shots(l, SHOT_PLANNED, 1);
    }
    for (int64_t i = 0; i < c->clip_count && !failed(status); i++)
        if (part_has(c->part, c->clip[i].shot >= 0 ? c->clip[i].shot : i))
            status = plan_insert_clip(l, c, i, i, c->clip[i].shot, c->clip[i].stem);
    free(clips);
    return failed(status) ? status : plan_place_pilot(l, c);
}

/* What a new run may change in a planned campaign. A priority set by the verb, a fixed deadline and a pilot that was decided stay as
 * they are until the campaign file says something else than before. The model's bytes are part of the fingerprint; its place is not, for
 * the folder may have moved. */
Status plan_update_settings(Ledger *l, const Campaign *c)
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
    /* a time of day means the next one: a campaign that goes on tonight is due tomorrow morning, not this morning */
    if (!failed(status))
        status = ledger_sql_run(l, "UPDATE campaign SET deadline_s = ?1 WHERE ?2 OR deadline_s < ?3", "did",
                                deadline_of(c, l->now_s), (int64_t)(strcmp(before.deadline, c->settings.deadline) != 0),
                                l->now_s);
    if (!failed(status) && before.pilot != c->settings.pilot) status = plan_place_pilot(l, c);
    settings_clear(&before);
    free(settings);
    free(model);
    return status;
}

static void add_text(Hash *h, const char *text) { hash_add(h, text, strlen(text) + 1); }

static void add_file(Hash *h, const ShotFile *f)
{
    if (f->path && !likeness_is(f->path)) add_text(h, f->path);
}

void plan_detail(const Campaign *c, char hash[HASH_TEXT])
{
    const Customers *t = &c->customers;
    Hash *h = hash_begin();
    for (int64_t row = -1; row < t->row_count; row++)
        for (int i = 0; i < t->column_count; i++)
            if (customers_is_listed(t, i)) add_text(h, row < 0 ? t->column[i] : customers_value(t, row, i));
    for (int64_t i = 0; i < c->shot_count; i++) {
        const ShotMedia *m = c->shot[i].spec.media;
        if (!m) continue;
        add_file(h, &m->image);
        add_file(h, &m->last_image);
        add_file(h, &m->control_video);
        add_file(h, &m->control_mask);
        for (int k = 0; k < m->reference_count; k++) add_file(h, &m->reference[k]);
        for (int k = 0; k < m->lora_count; k++) add_file(h, &m->lora[k].file);
    }
    hash_end(h, hash);
}

static Status is_same(Ledger *l, const Campaign *c, bool *same)
{
    char detail[HASH_TEXT];
    plan_detail(c, detail);
    Query q = ledger_sql_query(l, "SELECT fingerprint, detail FROM campaign", "");
    if (!ledger_sql_next(&q)) return q.status;
    *same = strcmp(ledger_sql_text(&q, 0), c->fingerprint) == 0 && strcmp(ledger_sql_text(&q, 1), detail) == 0;
    ledger_sql_end(&q);
    return status_ok();
}

/* Names what has changed, and the command that takes it. */
static Status refuse(const Ledger *l, const Campaign *c, const Changes *changes)
{
    enum { TOLD = 5 };
    char *summary = changes_summary(changes), *rows = changes_lines(changes, c, TOLD), *file = shell_word(c->file),
         *folder = shell_word(l->folder),
         *lines = text_format("%s: the campaign is not what it was when this folder was planned: %s%s\n"
                              "Take the change into the folder: reelwright run %s --out %s --update\n"
                              "Or render the campaign as it is now into another --out",
                              folder, summary, rows, file, folder);
    Status status = status_lines(ERR_INPUT, lines);
    free(summary);
    free(rows);
    free(file);
    free(folder);
    free(lines);
    return status;
}

/* Changes that only the list shows are taken without --update. *pending: there is something to take. `same`: file and table are what
 * they were, so only consents can have changed. */
static Status check_changes(Ledger *l, const Campaign *c, bool update, bool same, bool *pending)
{
    Changes changes = {0};
    Status status = changes_find(l, c, &changes);
    if (!failed(status) && !update && !same && changes_make_clips(&changes)) status = refuse(l, c, &changes);
    *pending = !failed(status) && !(same && changes.changed_count == 0);
    changes_clear(&changes);
    return status;
}

Status ledger_check_campaign(Ledger *l, const Campaign *c, bool update)
{
    int64_t there = 0;
    bool same = false, pending = false;
    TRY(ledger_sql_number(l, &there, "SELECT count(*) FROM campaign", ""));
    if (there) TRY(is_same(l, c, &same));
    return !there || same ? status_ok() : check_changes(l, c, update, same, &pending);
}

/* A run that was refused or taken over must not change the settings that another run works with. */
static Status take_plan(Ledger *l, const Campaign *c, bool update, bool *pending)
{
    int64_t there = 0;
    bool same = false;
    TRY(ledger_check_launch(l));
    TRY(ledger_sql_number(l, &there, "SELECT count(*) FROM campaign", ""));
    if (!there) return insert_plan(l, c);
    TRY(is_same(l, c, &same));
    const bool people = strstr(c->finish, "\"trust\":") != NULL; /* clips of people who agree again are planned again */
    if (!same || update || people) TRY(check_changes(l, c, update, same, pending));
    return *pending ? status_ok() : plan_update_settings(l, c);
}

Status ledger_take_plan(Ledger *l, const Campaign *c, bool update, double now_s, bool *pending)
{
    *pending = false;
    TRY(ledger_db_begin(l, now_s));
    l->changes = 1u << CHANGE_PLAN;
    Status status = take_plan(l, c, update, pending);
    if (!failed(status) && !*pending) return ledger_commit(l);
    *pending = *pending && !failed(status);
    char *why = text_copy(status.message);
    ledger_rollback(l);
    if (failed(status)) status = status_lines(status.err, why);
    free(why);
    return status;
}

Status ledger_adopt(Ledger *l, const Campaign *c, double now_s)
{
    bool pending;
    return ledger_take_plan(l, c, false, now_s, &pending);
}
