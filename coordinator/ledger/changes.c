#include "changes.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#define uthash_fatal(message) abort()
#include <uthash.h>

#include "common/file.h"
#include "common/foreign.h"
#include "coordinator/ledger/plan.h"

typedef struct {
    UT_hash_handle hh;
} Entry;

typedef struct { /* what the ledger says of the campaign as a whole, and the campaign's rows by id */
    Ledger *ledger;
    const Campaign *campaign;
    Changes *changes;
    json_t *columns, *finish; /* of the ledger */
    json_t *new_columns, *new_finish;
    bool other_finish;
    Entry *entry, *by_id;
} Comparison;

const char *changes_follows_name(Follows f)
{
    static const char *const name[] = {
        [FOLLOWS_LIST] = "list", [FOLLOWS_FINISH] = "finish", [FOLLOWS_RENDER] = "render"};
    return name[f];
}

/* ---- fields ---- */

static bool has_text(const json_t *list, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) if (strcmp(json_string_value(item), text) == 0) return true;
    return false;
}

static void add_field(json_t *fields, const char *name)
{
    if (!has_text(fields, name)) json_array_append_new(fields, json_string(name));
}

static ssize_t index_of(const json_t *list, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        if (text && strcmp(text, name) == 0) return (ssize_t)i;
    }
    return -1;
}

/* Columns that both tables have and whose values differ, and those that only one of them has. */
static void compare_columns(const Comparison *o, const char *was, const char *is, json_t *fields)
{
    json_t *before = json_loads(was, 0, NULL), *now = json_loads(is, 0, NULL), *name;
    size_t i;
    json_array_foreach(o->columns, i, name)
    {
        const char *text = json_string_value(name);
        ssize_t at = text ? index_of(o->new_columns, text) : -1;
        if (text && (at < 0 || !json_equal(json_array_get(before, i), json_array_get(now, (size_t)at))))
            add_field(fields, text);
    }
    json_array_foreach(o->new_columns, i, name)
    {
        const char *text = json_string_value(name);
        if (text && index_of(o->columns, text) < 0) add_field(fields, text);
    }
    json_decref(before);
    json_decref(now);
}

/* Keys of two objects whose values differ. */
static void compare_keys(const json_t *was, const json_t *is, json_t *fields)
{
    const char *key;
    const json_t *value;
    for (int i = 0; i < 2; i++) {
        json_t *from = (json_t *)(uintptr_t)(i ? is : was);
        json_object_foreach(from, key, value)
        {
            const json_t *other = json_object_get(i ? was : is, key);
            if (!other || !json_equal(value, other)) add_field(fields, key);
        }
    }
}

/* Compares files by their content, wherever they lie. */
static json_t *without_paths(const char *spec)
{
    json_t *o = json_loads(spec, 0, NULL);
    const char *key;
    json_t *value, *item;
    size_t i;
    json_object_foreach(o, key, value)
    {
        json_object_del(value, "path");
        json_array_foreach(value, i, item) json_object_del(item, "path");
    }
    return o;
}

static void compare_specs(const char *was, const char *is, json_t *fields)
{
    static const struct {
        const char *field, *key;
    } name[] = {{"width", "size"},
                {"height", "size"},
                {"control_video", "control"},
                {"control_mask", "control"},
                {"control_scale", "control"}};
    json_t *before = without_paths(was), *now = without_paths(is), *found = json_array(), *item;
    size_t i;
    compare_keys(before, now, found);
    json_array_foreach(found, i, item)
    {
        const char *text = json_string_value(item);
        for (size_t k = 0; k < sizeof name / sizeof *name; k++)
            if (strcmp(name[k].field, text) == 0) text = name[k].key;
        add_field(fields, text);
    }
    json_decref(found);
    json_decref(before);
    json_decref(now);
}

static void compare_finish(const Comparison *o, const char *was, const char *is, json_t *fields)
{
    json_t *before = json_loads(*was ? was : "{}", 0, NULL), *now = json_loads(is && *is ? is : "{}", 0, NULL);
    if (o->other_finish) compare_keys(o->finish, o->new_finish, fields);
    compare_keys(before, now, fields);
    json_decref(before);
    json_decref(now);
}

/* ---- rows ---- */

static void add_changed(Changes *c, int64_t row, Follows follows, json_t *fields)
{
    if (c->changed_count == c->room) {
        c->room = 2 * c->room + 64;
        c->changed = memory_resize(c->changed, (size_t)c->room, sizeof *c->changed);
    }
    char *text = json_dumps(fields, JSON_COMPACT);
    if (!text) abort();
    c->changed[c->changed_count++] = (ChangedRow){row, follows, text};
    c->follows[follows]++;
}

static void add_removed(Changes *c, const char *id, int64_t clip)
{
    if (c->removed_count == c->removed_room) {
        c->removed_room = 2 * c->removed_room + 64;
        c->removed = memory_resize(c->removed, (size_t)c->removed_room, sizeof *c->removed);
    }
    c->removed[c->removed_count++] = (RemovedRow){text_copy(id), clip};
}

enum { COLUMN_CLIP, COLUMN_ID, COLUMN_CUSTOMER, COLUMN_FINISH, COLUMN_STATE, COLUMN_KEY, COLUMN_SPEC, COLUMN_SEED };

/* A clip that was rendered again has a seed of its own: then the seed is not compared. */
static bool is_other_shot(const Campaign *c, const PlannedClip *p, const PlannedShot *shot, const Query *q)
{
    char key[HASH_TEXT];
    const char *seed = ledger_sql_text(q, COLUMN_SEED);
    if (!shot || !*seed) return strcmp(ledger_sql_text(q, COLUMN_KEY), shot ? shot->key : "") != 0;
    ShotSpec own = shot->spec; /* its texts stay the campaign's */
    own.seed = strtoull(seed, NULL, 10);
    shot_key(&own, c->model_hash, key);
    if (!c->share_shots) shot_key_of_row(key, p->clip_id);
    return strcmp(ledger_sql_text(q, COLUMN_KEY), key) != 0;
}

static void compare_row(const Comparison *o, int64_t row, const Query *q)
{
    const PlannedClip *p = &o->campaign->clip[row];
    const PlannedShot *shot = p->shot >= 0 ? &o->campaign->shot[p->shot] : NULL;
    const char *was = ledger_sql_text(q, COLUMN_CUSTOMER), *finish = ledger_sql_text(q, COLUMN_FINISH);
    const bool refused = strcmp(ledger_sql_text(q, COLUMN_STATE), ledger_clip_state_name(CLIP_REFUSED)) == 0;
    const bool other_shot = is_other_shot(o->campaign, p, shot, q);
    const bool other_finish = o->other_finish || strcmp(finish, p->finish ? p->finish : "") != 0;
    const bool revoked = strcmp(ledger_sql_text(q, COLUMN_STATE), ledger_clip_state_name(CLIP_REVOKED)) == 0;
    const bool other_refusal = (refused || revoked) != (p->refusal != NULL);
    char *row_now = plan_row_json(&o->campaign->customers, row), *spec = NULL;
    bool other_rate = false;
    /* A consent that was given or taken back is no change of the campaign. guard.h withdraws the clips of those who take theirs back; the
     * clips of those who agree again are planned here. */
    const bool by_consent = p->finish && strstr(p->finish, "\"cameo\"") && !other_finish && strcmp(was, row_now) == 0;
    /* A row that the suppression list names now: its clip stays if it is made or in work, and deliver.c does not deliver it. */
    ClipState state = CLIP_PLANNED, to;
    const bool keeps = p->suppressed && ledger_find_clip_state(ledger_sql_text(q, COLUMN_STATE), &state) &&
                       failed(ledger_next_clip_state(state, EV_REFUSE, &to));
    if ((by_consent && p->refusal) || keeps) {
        free(row_now);
        return;
    }
    if (shot && !other_shot) { /* frames per second are the one field of a shot that its key leaves out */
        json_t *before = json_loads(ledger_sql_text(q, COLUMN_SPEC), 0, NULL);
        other_rate = json_integer_value(json_object_get(before, "fps")) != shot->spec.fps;
        json_decref(before);
    }
    if (other_shot || other_finish || other_refusal || other_rate || strcmp(was, row_now) != 0) {
        json_t *fields = json_array();
        compare_columns(o, was, row_now, fields);
        if (shot && (other_shot || other_rate)) {
            spec = shot_to_json(&shot->spec);
            compare_specs(ledger_sql_text(q, COLUMN_SPEC), spec, fields);
        }
        if (other_finish) compare_finish(o, finish, p->finish, fields);
        if (other_refusal) add_field(fields, "refused");
        Follows follows = other_refusal && p->refusal                ? FOLLOWS_FINISH
                          : other_shot || other_refusal              ? FOLLOWS_RENDER
                          : (other_finish || other_rate) && !refused ? FOLLOWS_FINISH
                                                                     : FOLLOWS_LIST;
        add_changed(o->changes, row, follows, fields);
        o->changes->refusals += other_refusal;
        json_decref(fields);
    }
    free(spec);
    free(row_now);
}

static Status compare_rows(Comparison *o)
{
    const Campaign *c = o->campaign;
    Query q = ledger_sql_query(o->ledger,
                               "SELECT clip, clip_id, customer, finish, state, key, spec, seed FROM clips"
                               " LEFT JOIN specs USING(shot) ORDER BY clip",
                               "");
    while (ledger_sql_next(&q)) {
        Entry *e;
        const char *id = ledger_sql_text(&q, COLUMN_ID);
        HASH_FIND(hh, o->by_id, id, strlen(id), e);
        const bool erased = strcmp(ledger_sql_text(&q, COLUMN_STATE), ledger_clip_state_name(CLIP_ERASED)) == 0;
        if (!e) { /* a tombstone stays */
            if (!erased) add_removed(o->changes, id, ledger_sql_int(&q, COLUMN_CLIP));
            continue;
        }
        o->changes->number[e - o->entry] = ledger_sql_int(&q, COLUMN_CLIP);
        if (!erased) compare_row(o, e - o->entry, &q); /* else its erasure was begun, and is to be asked for again */
    }
    for (int64_t i = 0; i < c->clip_count; i++) {
        o->changes->added_count += o->changes->number[i] < 0;
        o->changes->refusals += o->changes->number[i] < 0 && c->clip[i].erased;
    }
    return q.status;
}

static int by_row(const void *a, const void *b)
{
    const ChangedRow *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

/* ---- the campaign ---- */

/* Refuses changes that no update can take. */
static Status check_campaign(Ledger *l, const Campaign *c, const Query *q)
{
    if (strcmp(ledger_sql_text(q, 0), c->name) != 0)
        return status_fail(ERR_INPUT,
                           "%s: this folder holds campaign \"%s\", but %s is \"%s\"; expected the same campaign, or "
                           "another --out",
                           l->folder, ledger_sql_text(q, 0), c->file, c->name);
    if (ledger_sql_int(q, 4) > 1 || c->part.count > 1)
        return status_fail(ERR_INPUT,
                           "%s: %s or its table has changed since it was divided into parts; expected them unchanged. "
                           "Finish the parts with the old files, `reelwright merge` them, and take the change then, "
                           "with run --update; or give another --out",
                           l->folder, c->file);
    if (strcmp(ledger_sql_text(q, 1), c->model_hash) == 0) return status_ok();
    return status_fail(ERR_INPUT,
                       "%s: the model is another one (%.12s in %s) than these clips were planned with (%.12s): no "
                       "clip would match what is made already. Put the old model back, or render with the new one into "
                       "another --out",
                       l->folder, c->model_hash, c->model_folder, ledger_sql_text(q, 1));
}

static Status read_campaign(Comparison *o)
{
    Query q = ledger_sql_query(o->ledger, "SELECT name, model_hash, columns, finish, parts FROM campaign", "");
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status : status_fail(ERR_INPUT, "%s: no campaign in it", o->ledger->file);
    Status status = check_campaign(o->ledger, o->campaign, &q);
    o->columns = json_loads(ledger_sql_text(&q, 2), 0, NULL);
    o->finish = json_loads(ledger_sql_text(&q, 3), 0, NULL);
    o->other_finish = strcmp(ledger_sql_text(&q, 3), o->campaign->finish) != 0;
    ledger_sql_end(&q);
    return status;
}

Status changes_find(Ledger *l, const Campaign *c, Changes *out)
{
    const size_t rows = (size_t)c->clip_count;
    Comparison o = {.ledger = l, .campaign = c, .changes = out, .entry = memory_get(rows, sizeof *o.entry)};
    char *columns = plan_columns_json(&c->customers);
    *out = (Changes){.number = memory_get(rows, sizeof *out->number)};
    o.new_columns = json_loads(columns, 0, NULL);
    o.new_finish = json_loads(c->finish, 0, NULL);
    for (size_t i = 0; i < rows; i++) {
        out->number[i] = -1;
        HASH_ADD_KEYPTR(hh, o.by_id, c->clip[i].clip_id, strlen(c->clip[i].clip_id), &o.entry[i]);
    }
    Status status = read_campaign(&o);
    if (!failed(status)) status = compare_rows(&o);
    if (out->changed_count) qsort(out->changed, (size_t)out->changed_count, sizeof *out->changed, by_row);
    HASH_CLEAR(hh, o.by_id);
    json_decref(o.columns);
    json_decref(o.finish);
    json_decref(o.new_columns);
    json_decref(o.new_finish);
    free(columns);
    free(o.entry);
    return status;
}

void changes_clear(Changes *c)
{
    for (int64_t i = 0; i < c->changed_count; i++) free(c->changed[i].fields);
    for (int64_t i = 0; i < c->removed_count; i++) free(c->removed[i].id);
    free(c->changed);
    free(c->removed);
    free(c->number);
    *c = (Changes){0};
}

bool changes_make_clips(const Changes *c)
{
    return c->added_count + c->removed_count + c->follows[FOLLOWS_FINISH] + c->follows[FOLLOWS_RENDER] > c->refusals;
}

/* ---- for people ---- */

static void append(char **text, const char *more) /* takes it */
{
    char *longer = text_format("%s%s", *text, more);
    free(*text);
    *text = longer;
}

static void append_count(char **text, int64_t count, const char *fmt)
{
    if (count == 0) return;
    char *number = text_format(fmt, (long long)count), *with = text_format("%s%s", **text ? ", " : "", number);
    append(text, with);
    free(number);
    free(with);
}

char *changes_summary(const Changes *c)
{
    char *text = text_copy(""), *how = text_copy("");
    append_count(&how, c->follows[FOLLOWS_LIST], "%lld in the list only");
    append_count(&how, c->follows[FOLLOWS_FINISH], "%lld finished again");
    append_count(&how, c->follows[FOLLOWS_RENDER], "%lld rendered again");
    append_count(&text, c->added_count, c->added_count == 1 ? "%lld row added" : "%lld rows added");
    append_count(&text, c->changed_count, "%lld changed");
    if (*how) {
        char *inside = text_format(" (%s)", how);
        append(&text, inside);
        free(inside);
    }
    append_count(&text, c->removed_count, "%lld removed");
    free(how);
    if (*text) return text;
    free(text);
    return text_copy("nothing has changed");
}

static char *joined(const char *fields)
{
    json_t *list = json_loads(fields, 0, NULL), *item;
    char *text = text_copy("");
    size_t i;
    json_array_foreach(list, i, item)
    {
        char *more = text_format("%s%s", i ? ", " : "", json_string_value(item));
        append(&text, more);
        free(more);
    }
    json_decref(list);
    return text;
}

/* Appends the line with control characters replaced, because ids and column names come from outside, and frees it. */
static void append_line(char **text, char *line)
{
    foreign_clean(line);
    append(text, "\n  ");
    append(text, line);
    free(line);
}

static void append_changed(char **text, const ChangedRow *r, const Campaign *c)
{
    static const char *const what[] = {
        [FOLLOWS_LIST] = "only the list", [FOLLOWS_FINISH] = "finished again", [FOLLOWS_RENDER] = "rendered again"};
    const PlannedClip *p = &c->clip[r->row];
    char *fields = joined(r->fields);
    append_line(text, text_format("changed  %s: %s (%s)", p->clip_id, *fields ? fields : "its place",
                                  p->refusal ? "refused" : what[r->follows]));
    free(fields);
}

char *changes_lines(const Changes *changes, const Campaign *c, int64_t most)
{
    char *text = text_copy("");
    int64_t told = 0, all = changes->added_count + changes->changed_count + changes->removed_count;
    for (int64_t i = 0; i < changes->changed_count && told < most; i++, told++)
        append_changed(&text, &changes->changed[i], c);
    for (int64_t i = 0; i < c->clip_count && told < most; i++) {
        if (changes->number[i] >= 0) continue;
        append_line(&text, text_format("added    %s", c->clip[i].clip_id));
        told++;
    }
    for (int64_t i = 0; i < changes->removed_count && told < most; i++, told++) {
        append_line(&text, text_format("removed  %s", changes->removed[i].id));
    }
    if (told == all) return text;
    append_line(&text, text_format("and %lld more", (long long)(all - told)));
    return text;
}
