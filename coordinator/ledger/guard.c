#include "guard.h"

#define uthash_fatal(message) abort()
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <uthash.h>

#include "common/file.h"
#include "common/json_member.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/handed.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/ledger/update.h"
#include "trust/trust.h"

enum { LOOK_MS = 1000, ANYWAY_MS = 60000 /* consents also end without anybody writing to the store */ };

typedef struct { /* one whose likeness the campaign uses */
    char *id;
    TrustGlance glance; /* as it was when their clips were looked at last */
    int64_t *clip, count, room;
    UT_hash_handle hh;
} Person;

struct Guard {
    json_t *campaign; /* "trust" of its finish document */
    TrustStore *store;
    char *fault;  /* why there is none */
    char *folder; /* of the campaign */
    bool noted;   /* the store knows it */
    const char *territory[TRUST_MAX_WORDS];
    TrustUse use;
    uint64_t stamp;
    int64_t looked_ms, found_ms;
    bool found;
    Person *person; /* of all clips, once they were looked through */
    bool know_all;
};

/* ---- opening ---- */

/* Warns once, however often the store is opened. */
static void note_folder(Guard *g)
{
    static bool told;
    Status status = g->noted ? status_ok() : trust_note_folder(g->store, g->folder);
    g->noted = true;
    if (failed(status) && !told)
        log_line(LOG_WARNING,
                 "%s: `reelwright cameo revoke` will not find this campaign; run `reelwright deliver` in it after one",
                 status.message);
    told = told || failed(status);
}

static void open_store(Guard *g)
{
    if (g->store) return;
    free(g->fault);
    g->fault = NULL;
    Status status = trust_open(member_text(g->campaign, "store", ""), TRUST_USE, &g->store);
    if (failed(status)) g->fault = text_copy(status.message);
    if (!failed(status)) note_folder(g);
}

static void take_use(Guard *g)
{
    const json_t *audience = json_object_get(g->campaign, "audience");
    g->use = (TrustUse){.campaign = member_text(g->campaign, "campaign", ""),
                        .brand = member_text(g->campaign, "brand", ""),
                        .territory = g->territory};
    for (size_t i = 0; i < json_array_size(audience) && i < TRUST_MAX_WORDS; i++) {
        const char *where = json_string_value(json_array_get(audience, i));
        g->territory[g->use.territory_count++] = where ? where : "?"; /* no consent is for that */
    }
}

Status guard_open(Ledger *l, Guard **out)
{
    char *finish = NULL;
    *out = NULL;
    TRY(ledger_db_read_text(ledger_sql_query(l, "SELECT finish FROM campaign", ""), "{}", &finish));
    json_t *all = json_loads(finish, 0, NULL), *trust = json_incref(json_object_get(all, "trust"));
    json_decref(all);
    free(finish);
    if (!trust) return status_ok();
    Guard *g = *out = memory_get(1, sizeof *g);
    g->campaign = trust;
    g->folder = text_copy(ledger_folder(l));
    g->looked_ms = INT64_MIN / 2;
    take_use(g);
    open_store(g);
    return status_ok();
}

static void forget_people(Guard *g)
{
    Person *p, *next;
    HASH_ITER(hh, g->person, p, next)
    {
        HASH_DEL(g->person, p);
        free(p->clip);
        free(p->id);
        free(p);
    }
    g->know_all = false;
}

void guard_close(Guard **guard)
{
    Guard *g = *guard;
    if (!g) return;
    forget_people(g);
    trust_close(&g->store);
    json_decref(g->campaign);
    free(g->fault);
    free(g->folder);
    free(g);
    *guard = NULL;
}

bool guard_is_due(Guard *g, int64_t now_ms)
{
    if (!g || now_ms - g->looked_ms < LOOK_MS) return false;
    g->looked_ms = now_ms;
    open_store(g);
    uint64_t stamp = g->store ? trust_stamp(g->store) : 0;
    bool due = !g->found || stamp != g->stamp || now_ms - g->found_ms >= ANYWAY_MS;
    if (!due) return false;
    g->stamp = stamp;
    g->found_ms = now_ms;
    g->found = true;
    return true;
}

void guard_look_again(Guard *g) { g->found = false, g->looked_ms = INT64_MIN / 2; }

/* ---- the question ---- */

/* Asks the store the question that stands as "cameo" in a clip's finish document. */
static TrustAnswer ask_for(Guard *g, const json_t *cameo)
{
    TrustAnswer a = {.unreadable = true};
    open_store(g);
    if (!cameo)
        snprintf(a.reason, sizeof a.reason, "its finish document is damaged");
    else if (!g->store)
        snprintf(a.reason, sizeof a.reason, "%.590s", g->fault);
    else {
        g->use.purpose = member_text(cameo, "purpose", "");
        g->use.viewer = member_text(cameo, "for", "");
        g->use.face = json_is_true(json_object_get(cameo, "face"));
        g->use.voice = json_is_true(json_object_get(cameo, "voice"));
        a = trust_allows(g->store, member_text(cameo, "id", ""), &g->use, (int64_t)moment_wall_s());
    }
    return a;
}

static TrustAnswer ask(Guard *g, const char *finish)
{
    json_t *all = json_loads(finish, 0, NULL);
    TrustAnswer a = ask_for(g, json_object_get(all, "cameo"));
    json_decref(all);
    return a;
}

int guard_consent(Guard *g, const char *finish)
{
    if (!g) return 0;
    TrustAnswer a = ask(g, finish);
    return a.allowed ? a.consent : 0;
}

static bool must_go(ClipState state, const TrustAnswer *a)
{
    if (a->allowed) return false;
    if (state == CLIP_DELIVERED) return !a->expired && !a->unreadable;
    const bool finished =
        state == CLIP_APPROVED || state == CLIP_HELD || state == CLIP_REVIEW || state == CLIP_REJECTED;
    return !finished || !a->unreadable;
}

static void add(GuardedClips *list, const Query *q, ClipState state, const char *reason)
{
    list->clip = memory_resize(list->clip, (size_t)list->count + 1, sizeof *list->clip);
    list->clip[list->count++] = (GuardedClip){.clip = ledger_sql_int(q, 0),
                                              .shot = ledger_sql_int(q, 1),
                                              .lease = ledger_sql_int(q, 2),
                                              .state = state,
                                              .clip_id = text_copy(ledger_sql_text(q, 4)),
                                              .stem = text_copy(ledger_sql_text(q, 5)),
                                              .reason = text_copy(reason)};
}

void guard_clear(GuardedClips *c)
{
    for (int64_t i = 0; i < c->count; i++) {
        free(c->clip[i].clip_id);
        free(c->clip[i].stem);
        free(c->clip[i].reason);
    }
    free(c->clip);
    *c = (GuardedClips){0};
}

static bool can_be_revoked(ClipState s)
{
    ClipState to;
    return s == CLIP_FINISHING || !failed(ledger_next_clip_state(s, EV_REVOKE, &to));
}

/* ---- whose clips they are ---- */

static Person *take_person(Guard *g, const char *id)
{
    Person *p = NULL;
    HASH_FIND_STR(g->person, id, p);
    if (p) return p;
    p = memory_get(1, sizeof *p);
    p->id = text_copy(id);
    trust_glance(g->store, id, (int64_t)moment_wall_s(), &p->glance);
    HASH_ADD_KEYPTR(hh, g->person, p->id, strlen(p->id), p);
    return p;
}

/* Before its question is asked: what changes from now on is seen the next time. */
static void note_clip(Guard *g, int64_t clip, const json_t *cameo)
{
    if (!g->store) return;
    Person *p = take_person(g, member_text(cameo, "id", ""));
    if (p->count == p->room) p->clip = memory_resize(p->clip, (size_t)(p->room = 2 * p->room + 4), sizeof *p->clip);
    p->clip[p->count++] = clip;
}

/* ---- all clips, those of one shot, one clip ---- */

#define WHAT_IS_ASKED  "SELECT clip, ifnull(shot, -1), ifnull(lease, 0), state, clip_id, stem, finish FROM clips WHERE "
#define SHOWS_SOMEBODY "finish LIKE '%\"cameo\"%'"

/* note: whose clips they are is noted. Ends the query. */
static Status look_through(Guard *g, Ledger *l, Query q, bool note, GuardedClips *out)
{
    while (ledger_sql_next(&q)) {
        ClipState state;
        Status status = ledger_state_parse_clip(l, ledger_sql_text(&q, 3), &state);
        if (failed(status)) {
            ledger_sql_end(&q);
            return status;
        }
        const bool asked = can_be_revoked(state);
        json_t *all = asked || note ? json_loads(ledger_sql_text(&q, 6), 0, NULL) : NULL;
        const json_t *cameo = json_object_get(all, "cameo");
        if (note) note_clip(g, ledger_sql_int(&q, 0), cameo); /* whatever its state is now */
        TrustAnswer a = {.allowed = true};
        if (asked) a = ask_for(g, cameo);
        if (must_go(state, &a)) add(out, &q, state, a.reason);
        json_decref(all);
    }
    return q.status;
}

static Status look_at_all(Guard *g, Ledger *l, GuardedClips *out)
{
    forget_people(g);
    Status status = look_through(g, l, ledger_sql_query(l, WHAT_IS_ASKED SHOWS_SOMEBODY, ""), true, out);
    g->know_all = !failed(status) && g->store;
    return status;
}

static Status look_at_changed(Guard *g, Ledger *l, GuardedClips *out)
{
    const int64_t now_s = (int64_t)moment_wall_s();
    Status status = status_ok();
    for (Person *p = g->person; p && !failed(status); p = p->hh.next) {
        if (trust_glance_holds(g->store, p->id, &p->glance, now_s)) continue;
        trust_glance(g->store, p->id, now_s, &p->glance);
        for (int64_t i = 0; i < p->count && !failed(status); i++)
            status = look_through(g, l, ledger_sql_query(l, WHAT_IS_ASKED "clip = ?1", "i", p->clip[i]), false, out);
    }
    if (failed(status)) g->know_all = false; /* whom of them was asked about is not known */
    return status;
}

Status guard_find(Guard *g, Ledger *l, int64_t shot, int64_t clip, GuardedClips *out)
{
    const bool all = shot < 0 && clip < 0;
    *out = (GuardedClips){0};
    if (!g) return status_ok();
    if (g->store && all) trust_hold(g->store); /* each person is read once */
    Status status =
        clip >= 0   ? look_through(g, l, ledger_sql_query(l, WHAT_IS_ASKED "clip = ?1 AND " SHOWS_SOMEBODY, "i", clip),
                                   false, out)
        : shot >= 0 ? look_through(g, l, ledger_sql_query(l, WHAT_IS_ASKED "shot = ?1 AND " SHOWS_SOMEBODY, "i", shot),
                                   false, out)
        : g->know_all && trust_is_readable(g->store) ? look_at_changed(g, l, out)
                                                     : look_at_all(g, l, out);
    if (g->store) trust_release(g->store);
    if (failed(status)) guard_clear(out);
    return status;
}

static Status ask_of_clip(Guard *g, Ledger *l, int64_t clip, char **reason)
{
    char *finish = NULL;
    *reason = NULL;
    if (!g) return status_ok();
    TRY(ledger_db_read_text(ledger_sql_query(l, "SELECT ifnull(finish, '') FROM clips WHERE clip = ?1", "i", clip), "",
                            &finish));
    if (strstr(finish, "\"cameo\"")) {
        TrustAnswer a = ask(g, finish);
        if (!a.allowed) *reason = text_copy(a.reason);
    }
    free(finish);
    return status_ok();
}

Status guard_may_deliver(Guard *g, Ledger *l, int64_t clip, char **reason) { return ask_of_clip(g, l, clip, reason); }
Status guard_still_may(Guard *g, Ledger *l, int64_t clip, char **reason) { return ask_of_clip(g, l, clip, reason); }

void guard_hold(Guard *g)
{
    if (g && g->store) trust_hold(g->store);
}

void guard_release(Guard *g)
{
    if (g && g->store) trust_release(g->store);
}

Status guard_revoke(Ledger *l, const GuardedClip *c)
{
    TRY(handed_note_revocation(l, c->clip, c->reason));
    TRY(handed_take_back(l, c->clip_id));
    TRY(ledger_state_move_clip(l, c->clip, EV_REVOKE));
    TRY(ledger_sql_run(l,
                       "UPDATE clips SET reason = ?1, file = NULL, thumbnail = NULL, sheet = NULL, duration_s = NULL,"
                       " width = NULL, height = NULL, reviewer = NULL, decided_s = ?2, result = NULL WHERE clip = ?3",
                       "tdi", c->reason, l->now_s, c->clip));
    TRY(ledger_leave(l, LEAVING_ROW, c->stem));
    return c->shot >= 0 ? ledger_follow_clips(l, c->shot) : status_ok();
}

/* ---- renders of which nothing may be shown any more ---- */

#define IDLE_SHOTS                                                                                                     \
    "FROM shots WHERE state <> 'leased' AND shot IN (SELECT shot FROM clips WHERE state = 'revoked')"                  \
    " AND NOT EXISTS(SELECT 1 FROM clips WHERE clips.shot = shots.shot AND +clips.state NOT IN ('revoked', "           \
    "'refused'))"

Status guard_drop_shots(Ledger *l)
{
    for (;;) {
        int64_t shot;
        TRY(ledger_sql_number(l, &shot, "SELECT ifnull((SELECT shot " IDLE_SHOTS " LIMIT 1), -1)", ""));
        if (shot < 0) return status_ok();
        TRY(ledger_drop_shot(l, shot));
        TRY(ledger_sql_run(l, "UPDATE clips SET shot = NULL WHERE shot = ?1", "i", shot));
    }
}

Status guard_has_shots(Ledger *l, bool *yes)
{
    int64_t any = 0;
    Status status = ledger_sql_number(l, &any, "SELECT EXISTS(SELECT 1 " IDLE_SHOTS ")", "");
    *yes = any != 0;
    return status;
}
