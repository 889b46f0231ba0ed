/* consents.c - nights in which people agree, take back, are erased and agree again, while workers, coordinators and jobs die, clocks jump,
 * the campaign is updated, other coordinators come, the store is unreadable for a while, and somebody delivers. The ledger, dispatch,
 * delivery and trust store are the real ones; the workers are simulated (night.h). After every step they are compared with a model of what
 * is allowed that is one loop over what was said (allowed_by):
 * - no lease is given, no result counts, and no file is put into delivery/ for a clip whose person does not agree at that moment;
 * - a second after somebody took back, nothing of them is in clips/ or delivery/, and no clip of theirs is in work;
 * - in the end every row whose person agrees is delivered, every other one is not.
 *
 * The same nights then run with one check of the program taken out at a time. Each must be missed:
 *     plan      the plan refuses nobody                       lease     no question before a lease is given
 *     result    no question when a finished clip comes        look      nobody looks every second whether the store has changed
 *     withdraw  finished campaigns are not looked through     deliver   no question before a clip is delivered
 *     publish   none again before its files are published     files     files of what was taken back stay
 *     again     who agrees again is not taken in              reach     a revocation does not go to finished campaigns
 *
 *     fault_consents [--campaigns N] [--seed N] [--tell] [--without CHECK] */
#include "night.h"

#include <getopt.h>
#include <sys/wait.h>

#include "common/log.h"
#include "common/provoke.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/deliver/reach.h"
#include "coordinator/deliver/withdraw.h"
#include "coordinator/dispatch/inside.h"
#include "coordinator/launch/run_inside.h"
#include "trust/trust.h"

enum { PEOPLE = 3, ROWS = 6, MOST_GRANTS = 40, SHOTS = ROWS * (PEOPLE + 1), WALL_S = 1800000000, SOON_MS = 1000 };

typedef enum {
    CHECK_NONE,
    CHECK_PLAN,
    CHECK_LEASE,
    CHECK_RESULT,
    CHECK_LOOK,
    CHECK_WITHDRAW,
    CHECK_DELIVER,
    CHECK_PUBLISH,
    CHECK_FILES,
    CHECK_AGAIN,
    CHECK_REACH,
    CHECKS
} Check;
static const char *const check_name[] = {"none",    "plan",    "lease", "result", "look", "withdraw",
                                         "deliver", "publish", "files", "again",  "reach"};
static const char *const id[PEOPLE] = {"anna", "ben", "cleo"}, *const purposes[] = {"summer", "winter"};

typedef struct { /* what was said, as plain as can be */
    int person, number, purpose;
    bool other_brand, elsewhere, named, face, revoked;
    unsigned names; /* rows, where named */
    int64_t until_s;
} Said;

typedef struct {
    Night night;
    Check without;
    TrustStore *store;
    char *folder;                    /* of the store */
    int person[ROWS], purpose[ROWS]; /* of each row as it was planned last; person -1: nobody */
    int next_person[ROWS], next_purpose[ROWS];
    int version, planned_version;
    bool verified[PEOPLE];
    int granted[PEOPLE]; /* consents of the person as they are now */
    int said_count;
    Said said[MOST_GRANTS];
    bool was_delivered[ROWS];
    int64_t skew_s, peak_s;  /* of the wall clock; peak: the latest that anybody may have seen */
    int64_t hidden_until_ms; /* the store cannot be read until then; 0: it can */
    int64_t changed_ms, alive_ms;
    int changes_left;
    bool checked;
} World;
static World *world; /* for what the linker puts in the program's place below */

/* ---- the model ---- */

static int64_t wall_s(const World *w) { return WALL_S + w->night.now_ms / 1000 + w->skew_s; }

static bool allowed_by(const World *w, int row, int64_t s)
{
    const int person = w->person[row];
    if (person < 0) return true;
    if (!w->verified[person]) return false;
    for (int i = 0; i < w->said_count; i++) {
        const Said *x = &w->said[i];
        if (x->person == person && !x->revoked && x->purpose == w->purpose[row] && !x->other_brand && !x->elsewhere &&
            x->face && (!x->named || (x->names >> row & 1)) && s < x->until_s)
            return true;
    }
    return false;
}

/* Between the two, where the clock has gone back over an end, either answer is right: it depends on who saw it. */
static bool must_refuse(const World *w, int row) { return !allowed_by(w, row, wall_s(w)); }
static bool must_allow(const World *w, int row) { return allowed_by(w, row, w->peak_s); }

static int row_of(const World *w, const char *clip_id)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(w->night.campaign->clip[i].clip_id, clip_id) == 0) return i;
    night_fail(&w->night, "no row %s", clip_id);
}

/* ---- what the linker puts between the program and its parts (CMakeLists.txt: --wrap) ---- */

double __wrap_moment_wall_s(void)
{
    const int64_t now = wall_s(world);
    if (now > world->peak_s) world->peak_s = now;
    return (double)now;
}

static bool is_result(const Dispatch *d, int64_t clip)
{
    for (int rank = 1; rank < d->roster.count; rank++) {
        const Member *m = &d->roster.member[rank];
        if (m->state == MEMBER_WORKING && m->kind == LEASE_FINISH && m->item == clip) return true;
    }
    return false;
}

Status __real_dispatch_ask_consent(Dispatch *d, int64_t shot, int64_t clip, bool *holds);
Status __wrap_dispatch_ask_consent(Dispatch *d, int64_t shot, int64_t clip, bool *holds)
{
    const Check which = clip >= 0 && is_result(d, clip) ? CHECK_RESULT : CHECK_LEASE;
    *holds = true;
    return world->without == which ? status_ok() : __real_dispatch_ask_consent(d, shot, clip, holds);
}

Status __real_dispatch_look_at_consents(Dispatch *d);
Status __wrap_dispatch_look_at_consents(Dispatch *d)
{
    return world->without == CHECK_LOOK ? status_ok() : __real_dispatch_look_at_consents(d);
}

void __real_dispatch_remove_withdrawn(Dispatch *d);
void __wrap_dispatch_remove_withdrawn(Dispatch *d)
{
    if (world->without == CHECK_FILES)
        dispatch_forget_withdrawn(d);
    else
        __real_dispatch_remove_withdrawn(d);
}

/* No lease for a clip whose person does not agree; of a render, one of those who want it does. */
Status __real_ledger_give_render(Ledger *l, int64_t shot, const char *worker, Lease *out);
Status __wrap_ledger_give_render(Ledger *l, int64_t shot, const char *worker, Lease *out)
{
    TRY(__real_ledger_give_render(l, shot, worker, out));
    if (out->lease == 0) return status_ok();
    const int64_t which = night_shot_of(&world->night, out->key);
    bool any = false;
    for (int row = 0; row < ROWS; row++)
        any = any || (which % (PEOPLE + 1) == world->person[row] + 1 && !must_refuse(world, row));
    NIGHT_CHECK(&world->night, any, "shot %lld is rendered, and nobody in it agrees", (long long)which);
    return status_ok();
}

Status __real_ledger_give_finish(Ledger *l, int64_t clip, const char *worker, Lease *out, int64_t *shot);
Status __wrap_ledger_give_finish(Ledger *l, int64_t clip, const char *worker, Lease *out, int64_t *shot)
{
    TRY(__real_ledger_give_finish(l, clip, worker, out, shot));
    NIGHT_CHECK(&world->night, !must_refuse(world, row_of(world, out->clip_id)), "%s is finished without a yes",
                out->clip_id);
    return status_ok();
}

Status __real_ledger_take_result(Ledger *l, const LeaseResult *r, bool *gone);
Status __wrap_ledger_take_result(Ledger *l, const LeaseResult *r, bool *gone)
{
    if (r->kind == LEASE_FINISH && r->err == OK)
        NIGHT_CHECK(&world->night, !must_refuse(world, row_of(world, r->clip.clip_id)), "%s counts without a yes",
                    r->clip.clip_id);
    return __real_ledger_take_result(l, r, gone);
}

static void say_something(World *w);

Status __real_withdraw_revoked(const char *folder, int64_t launch, int64_t *gone);
Status __wrap_withdraw_revoked(const char *folder, int64_t launch, int64_t *gone)
{
    if (gone) *gone = 0;
    Status status = world->without == CHECK_WITHDRAW ? status_ok() : __real_withdraw_revoked(folder, launch, gone);
    if (world->changes_left > 0 && night_roll(&world->night, 2)) say_something(world); /* just before the delivery */
    return status;
}

static void take_back(World *w, int person);

Status __real_guard_may_deliver(Guard *g, Ledger *l, int64_t clip, char **reason);
Status __wrap_guard_may_deliver(Guard *g, Ledger *l, int64_t clip, char **reason)
{
    *reason = NULL;
    if (world->without == CHECK_DELIVER) return status_ok();
    TRY(__real_guard_may_deliver(g, l, clip, reason));
    const int person = clip < ROWS ? world->person[clip] : -1;
    if (person >= 0 && !world->hidden_until_ms && world->changes_left > 0 && night_roll(&world->night, 4) == 0)
        take_back(world, person); /* while it is copied */
    return status_ok();
}

Status __real_guard_still_may(Guard *g, Ledger *l, int64_t clip, char **reason);
Status __wrap_guard_still_may(Guard *g, Ledger *l, int64_t clip, char **reason)
{
    *reason = NULL;
    const bool out = world->without == CHECK_DELIVER || world->without == CHECK_PUBLISH;
    return out ? status_ok() : __real_guard_still_may(g, l, clip, reason);
}

Status __real_file_publish_all(char *const *draft, char *const *path, int count);
Status __wrap_file_publish_all(char *const *draft, char *const *path, int count)
{
    for (int i = 0; i < count; i++)
        for (int row = 0; row < ROWS; row++) {
            char *start = text_format("/delivery/clips/%s.", world->night.campaign->clip[row].stem);
            if (strstr(path[i], start)) {
                NIGHT_CHECK(&world->night, !must_refuse(world, row), "row %d is delivered without a yes", row);
                world->was_delivered[row] = true;
            }
            free(start);
        }
    return __real_file_publish_all(draft, path, count);
}

/* ---- what people say ---- */

static void look_good(World *w, Status s, const char *what)
{
    if (failed(s)) night_fail(&w->night, "%s: %s", what, s.message);
}

static void add_person(World *w, int person)
{
    static const char picture[] = "a face";
    TrustNewMedium m = {"face", "", picture, sizeof picture};
    TrustNewCameo c = {.id = id[person], .medium_count = 1, .medium = &m};
    TrustChallenge challenge;
    const TrustVerdict v = {.by = "R", .how = "person", .good = true, .recording = "x", .bytes = 1};
    look_good(w, trust_add_cameo(w->store, &c, wall_s(w)), "add");
    if (failed(trust_challenge(w->store, id[person], wall_s(w), &challenge))) return; /* so many a day */
    trust_challenge_clear(&challenge);
    look_good(w, trust_verify(w->store, id[person], &v, wall_s(w)), "verify");
    w->verified[person] = true;
}

static void grant(World *w, int person, bool plain)
{
    Night *n = &w->night;
    if (w->said_count == MOST_GRANTS) return;
    const int64_t now = trust_now(w->store, wall_s(w));
    Said *x = &w->said[w->said_count++];
    *x = (Said){.person = person,
                .number = ++w->granted[person],
                .purpose = plain ? 0 : night_roll(n, 2),
                .other_brand = !plain && night_roll(n, 6) == 0,
                .elsewhere = !plain && night_roll(n, 6) == 0,
                .named = !plain && night_roll(n, 3) == 0,
                .names = 1 + (unsigned)night_roll(n, (1 << ROWS) - 1),
                .face = plain || night_roll(n, 6) > 0,
                .until_s = now + (plain || night_roll(n, 2) ? 100000 : 2 + night_roll(n, 20))};
    TrustConsent c = {.purpose = text_copy(purposes[x->purpose]),
                      .audience = x->named ? TRUST_NAMED : TRUST_ANYONE,
                      .until_s = x->until_s,
                      .face = x->face,
                      .voice = !x->face};
    if (x->other_brand) trust_words_add(&c.brands, "Other");
    trust_words_add(&c.territories, x->elsewhere ? "US" : "EU");
    for (int row = 0; row < ROWS && x->named; row++)
        if (x->names >> row & 1) trust_words_add(&c.names, n->campaign->clip[row].clip_id);
    look_good(w, trust_grant(w->store, id[person], &c, NULL, 0, wall_s(w)), "grant");
    if (c.number != x->number) night_fail(n, "consent %d is called %d", x->number, c.number);
    night_tell(n, "%s agrees (%d): %s until %lld%s%s%s%s", id[person], x->number, purposes[x->purpose],
               (long long)x->until_s, x->named ? ", named" : "", x->other_brand ? ", another brand" : "",
               x->elsewhere ? ", elsewhere" : "", x->face ? "" : ", voice only");
    trust_consent_clear(&c);
}

static void forget(World *w, int person, int number)
{
    for (int i = 0; i < w->said_count; i++)
        if (w->said[i].person == person && (!number || w->said[i].number == number)) w->said[i].revoked = true;
    w->changed_ms = w->night.now_ms;
    w->checked = false;
}

static void take_back(World *w, int person)
{
    const int number = w->granted[person] ? night_roll(&w->night, w->granted[person] + 1) : 0;
    look_good(w, trust_revoke(w->store, id[person], number, wall_s(w)), "revoke");
    night_tell(&w->night, "%s takes back %d", id[person], number);
    forget(w, person, number);
}

static void erase_person(World *w, int person)
{
    look_good(w, trust_erase(w->store, id[person], wall_s(w)), "erase");
    night_tell(&w->night, "%s is erased", id[person]);
    forget(w, person, 0);
    for (int i = 0; i < w->said_count; i++)
        if (w->said[i].person == person) w->said[i].person = -1;
    w->granted[person] = 0;
    w->verified[person] = false;
    add_person(w, person); /* as somebody new, who has agreed to nothing */
}

static void jump(World *w)
{
    w->skew_s += night_roll(&w->night, 60) - 25;
    night_tell(&w->night, "the clock jumps: %lld s", (long long)w->skew_s);
}

static char *log_of(const World *w, const char *ending) { return text_format("%s/log.jsonl%s", w->folder, ending); }

static void show_store(World *w)
{
    if (!w->hidden_until_ms) return;
    char *log = log_of(w, ""), *away = log_of(w, ".away");
    if (rename(away, log) != 0) night_fail(&w->night, "the log does not come back");
    free(log);
    free(away);
    w->hidden_until_ms = 0;
    w->changed_ms = w->night.now_ms;
    w->checked = false;
    night_tell(&w->night, "the store can be read again");
}

static void hide_store(World *w)
{
    char *log = log_of(w, ""), *away = log_of(w, ".away");
    if (rename(log, away) == 0) w->hidden_until_ms = w->night.now_ms + 300 + night_roll(&w->night, 2000);
    free(log);
    free(away);
    night_tell(&w->night, "the store cannot be read");
}

static void say_something(World *w)
{
    Night *n = &w->night;
    if (w->hidden_until_ms) return;
    w->changes_left--;
    const int person = night_roll(n, PEOPLE), what = night_roll(n, 10);
    if (what < 4)
        take_back(w, person);
    else if (what < 7)
        grant(w, person, false);
    else if (what < 8)
        jump(w);
    else if (what < 9)
        erase_person(w, person);
    else
        hide_store(w);
}

/* ---- the campaign, as it is planned now ---- */

static char *finish_of(const World *w, int row)
{
    return w->person[row] < 0
               ? text_copy("")
               : text_format("{\"cameo\":{\"face\":true,\"for\":\"%s\",\"id\":\"%s\",\"purpose\":\"%s\","
                             "\"voice\":false}}",
                             w->night.campaign->clip[row].clip_id, id[w->person[row]], purposes[w->purpose[row]]);
}

/* As campaign/cameo.c asks; its own test is unit.test_campaign_cameo. */
static bool ask(World *w, int row, char *reason)
{
    const char *where[] = {"DE"};
    const TrustUse use = {.purpose = purposes[w->purpose[row]],
                          .campaign = w->night.campaign->name,
                          .brand = "Sunways",
                          .viewer = w->night.campaign->clip[row].clip_id,
                          .territory = where,
                          .territory_count = 1,
                          .face = true};
    TrustStore *s;
    *reason = 0;
    if (w->person[row] < 0 || w->without == CHECK_PLAN) return true;
    if (failed(trust_open(w->folder, TRUST_USE, &s))) return false;
    TrustAnswer a = trust_allows(s, id[w->person[row]], &use, (int64_t)__wrap_moment_wall_s());
    trust_close(&s);
    snprintf(reason, 600, "%s", a.reason);
    return a.allowed;
}

typedef struct {
    Campaign campaign;
    PlannedClip clip[ROWS];
    PlannedShot shot[ROWS];
    char *finish[ROWS], reason[ROWS][600];
} Plan;

static void make_plan(World *w, Plan *p)
{
    const Campaign *all = w->night.campaign;
    p->campaign = *all;
    p->campaign.clip = p->clip;
    p->campaign.shot = p->shot;
    p->campaign.customers.row_count = p->campaign.clip_count = ROWS;
    p->campaign.shot_count = 0;
    char *name = text_format("%s %d", all->name, w->version);
    hash_bytes(name, strlen(name), p->campaign.fingerprint);
    free(name);
    for (int row = 0; row < ROWS; row++) {
        const int which = row / w->night.rows_per_shot * (PEOPLE + 1) + w->person[row] + 1;
        p->clip[row] = (PlannedClip){.clip_id = all->clip[row].clip_id, .stem = all->clip[row].stem, .shot = -1};
        p->clip[row].finish = p->finish[row] = finish_of(w, row);
        if (!ask(w, row, p->reason[row])) {
            p->clip[row].refusal = p->reason[row];
            continue;
        }
        int64_t at = 0;
        while (at < p->campaign.shot_count && strcmp(p->shot[at].key, all->shot[which].key) != 0) at++;
        if (at == p->campaign.shot_count) p->shot[p->campaign.shot_count++] = all->shot[which];
        p->clip[row].shot = at;
    }
}

/* A clip that is made stays what it is when its row is changed to somebody who does not agree (ledger/update.h). */
static void read_use(World *w, int row, const char *finish)
{
    json_t *all = json_loads(finish, 0, NULL), *cameo = json_object_get(all, "cameo");
    const char *who = json_string_value(json_object_get(cameo, "id")),
               *purpose = json_string_value(json_object_get(cameo, "purpose"));
    w->person[row] = -1;
    for (int i = 0; who && i < PEOPLE; i++)
        if (strcmp(who, id[i]) == 0) w->person[row] = i;
    w->purpose[row] = purpose && strcmp(purpose, purposes[1]) == 0;
    json_decref(all);
}

static Status check_refused(void *self, const ClipRow *r)
{
    World *w = self;
    const int row = row_of(w, r->clip_id);
    read_use(w, row, r->finish);
    if (strcmp(r->state, "delivered") != 0) w->was_delivered[row] = false;
    if (w->hidden_until_ms) return status_ok();
    const bool open = strcmp(r->state, "planned") == 0 || strcmp(r->state, "waiting") == 0;
    /* later, who does not agree any more is the guard's to find */
    NIGHT_CHECK(&w->night, !open || w->night.launches > 1 || !must_refuse(w, row), "%s is planned without a yes",
                r->clip_id);
    NIGHT_CHECK(&w->night, strcmp(r->state, "refused") != 0 || !must_allow(w, row) || w->without == CHECK_AGAIN,
                "%s is refused, and has a yes", r->clip_id);
    return status_ok();
}

/* What `run` does before each launch. */
static Status plan(Night *n)
{
    World *w = (World *)n;
    Plan p = {0};
    Claim claim;
    RunOptions o = {.out = n->folder, .quiet = true, .take_over = true, .update = w->version != w->planned_version};
    if (w->without == CHECK_AGAIN && n->launches > 1 && !o.update) return status_ok();
    night_calm();
    memcpy(w->person, w->next_person, sizeof w->person);
    memcpy(w->purpose, w->next_purpose, sizeof w->purpose);
    make_plan(w, &p);
    Status status = run_begin(&o, &p.campaign, n->folder, &claim);
    for (int row = 0; row < ROWS; row++) free(p.finish[row]);
    TRY(status);
    claim_release(&claim);
    if (o.update) night_tell(n, "the campaign is updated");
    w->planned_version = w->version;
    Ledger *l;
    TRY(ledger_open(n->folder, LEDGER_READ, &l));
    status = ledger_read_clips(l, NULL, (ClipSink){check_refused, w});
    ledger_close(&l);
    return status;
}

static void update_campaign(World *w)
{
    const int row = night_roll(&w->night, ROWS);
    w->next_person[row] = night_roll(&w->night, PEOPLE + 1) - 1;
    w->next_purpose[row] = night_roll(&w->night, 2);
    w->version++;
}

/* ---- a second after ---- */

static bool has_file(const World *w, const char *place, int row)
{
    char *path = text_format("%s/%s/%s.mp4", w->night.folder, place, w->night.campaign->clip[row].stem);
    const bool there = file_exists(path);
    free(path);
    return there;
}

static void check_gone(World *w, const char *when, int row)
{
    NIGHT_CHECK(&w->night, !has_file(w, "clips", row) && !has_file(w, "delivery/clips", row),
                "%s: a clip of %s (row %d) is there without a yes", when, id[w->person[row]], row);
}

static bool is_taken_back(const World *w, int row) /* and not only past its end */
{
    return w->person[row] >= 0 && !allowed_by(w, row, 0);
}

static Status check_soon(void *self, const ClipRow *r)
{
    World *w = self;
    const int row = row_of(w, r->clip_id);
    static const char *const live[] = {"planned", "waiting", "finishing", "approved", "delivered", "paused"};
    if (!is_taken_back(w, row)) return status_ok();
    for (size_t i = 0; i < sizeof live / sizeof *live; i++)
        NIGHT_CHECK(&w->night, strcmp(r->state, live[i]) != 0, "%s is %s a second after it was taken back", r->clip_id,
                    r->state);
    check_gone(w, "a second after", row);
    return status_ok();
}

static void forget_swept_checkpoints(Night *n)
{
    for (int i = 0; i < SHOTS; i++) {
        char *path = n->saved[i] ? night_checkpoint(n, i) : NULL;
        if (path && !file_exists(path)) n->saved[i] = 0;
        free(path);
    }
}

static void tick(Night *n)
{
    World *w = (World *)n;
    forget_swept_checkpoints(n);
    if (w->hidden_until_ms && n->now_ms > w->hidden_until_ms) show_store(w);
    if (w->changes_left > 0 && night_roll(n, 30) == 0) say_something(w);
    const int64_t since = w->changed_ms > w->alive_ms ? w->changed_ms : w->alive_ms;
    if (w->checked || w->hidden_until_ms || n->now_ms < since + SOON_MS + 4 * TICK_MS || !n->dispatch) return;
    w->checked = true;
    Ledger *l;
    NIGHT_GOOD(n, ledger_open(n->folder, LEDGER_READ, &l));
    NIGHT_GOOD(n, ledger_read_clips(l, NULL, (ClipSink){check_soon, w}));
    ledger_close(&l);
}

/* ---- a night ---- */

static void open_world(World *w, uint64_t seed, Check without, bool told)
{
    *w = (World){.without = without};
    world = w;
    night_open(&w->night, seed, SHOTS, 1);
    Night *n = &w->night;
    n->told = told;
    n->rows_per_shot = 1 + night_roll(n, 2);
    n->plan = plan;
    n->tick = tick;
    w->peak_s = wall_s(w);
    w->folder = text_format("%s.trust", n->folder);
    look_good(w, trust_open(w->folder, TRUST_WRITE, &w->store), "store");
    json_t *finish = json_loads(n->campaign->finish, 0, NULL);
    json_object_set_new(finish, "trust",
                        json_pack("{s:s,s:s,s:s,s:[s]}", "store", w->folder, "campaign", n->campaign->name, "brand",
                                  "Sunways", "audience", "DE"));
    free(n->campaign->finish);
    n->campaign->finish = finish_spec_text(finish);
    for (int i = 0; i < PEOPLE; i++) {
        add_person(w, i);
        if (night_roll(n, 3)) grant(w, i, true);
    }
    for (int row = 0; row < ROWS; row++) {
        w->next_person[row] = night_roll(n, PEOPLE + 1) - 1;
        w->next_purpose[row] = night_roll(n, 4) == 0;
    }
    n->strikes_left = 2 + night_roll(n, 5);
    w->changes_left = 4 + night_roll(n, 8);
}

static void close_world(World *w)
{
    char *store = text_copy(w->folder);
    trust_close(&w->store);
    night_close(&w->night);
    fixture_remove(store);
    free(w->folder);
}

/* Somebody delivers; there may be nothing to deliver, or somebody may have said no on the way. */
static void deliver(World *w)
{
    log_set_who("as said");
    Status status = conclude(w->night.folder, 0, status_ok(), true);
    log_set_who("");
    NIGHT_CHECK(&w->night,
                !failed(status) || status.err == ERR_CLIP || status.err == ERR_NODE ||
                    strstr(status.message, "ordered"),
                "conclude: %s", status.message);
    forget_swept_checkpoints(&w->night);
}

static void reached(void *self, const ReachedFolder *f)
{
    World *w = self;
    NIGHT_CHECK(&w->night, f->how == REACH_DONE || f->how == REACH_NOTHING, "reach: %d %s", f->how, f->why);
}

/* Somebody takes back when all is done: it goes to the campaign's folder. */
static void take_back_late(World *w)
{
    const int person = night_roll(&w->night, PEOPLE);
    w->changes_left = 0; /* nobody else, while that goes on */
    show_store(w);
    take_back(w, person);
    if (w->without != CHECK_REACH) NIGHT_GOOD(&w->night, reach_folders(w->store, NULL, "R", (ReachSink){reached, w}));
    for (int row = 0; row < ROWS; row++)
        if (is_taken_back(w, row)) check_gone(w, "afterwards", row);
}

static Status check_end(void *self, const ClipRow *r)
{
    World *w = self;
    const int row = row_of(w, r->clip_id);
    const bool delivered = strcmp(r->state, "delivered") == 0;
    NIGHT_CHECK(&w->night, delivered || !must_allow(w, row), "in the end %s is %s, and has a yes (%s)", r->clip_id,
                r->state, r->reason);
    NIGHT_CHECK(&w->night, delivered == has_file(w, "delivery/clips", row), "%s is %s, its file says otherwise",
                r->clip_id, r->state);
    if (is_taken_back(w, row)) check_gone(w, "in the end", row);
    NIGHT_CHECK(&w->night, !delivered || !must_refuse(w, row) || w->was_delivered[row],
                "%s is delivered, and had no yes when it was", r->clip_id);
    return status_ok();
}

static void night_of(uint64_t seed, Check without, bool told)
{
    World w;
    open_world(&w, seed, without, told);
    Night *n = &w.night;
    for (int part = 0; part < 3; part++) {
        night_run(n);
        deliver(&w);
        if (night_roll(n, 2)) update_campaign(&w);
        if (night_roll(n, 2)) say_something(&w);
        if (part == 2) take_back_late(&w);
    }
    w.changes_left = n->strikes_left = 0; /* and once more, with nothing in the way */
    show_store(&w);
    if (night_roll(n, 2)) grant(&w, night_roll(n, PEOPLE), true);
    night_request(n, "retry");
    night_run(n);
    deliver(&w);
    Ledger *l;
    NIGHT_GOOD(n, ledger_open(n->folder, LEDGER_READ, &l));
    NIGHT_GOOD(n, ledger_read_clips(l, NULL, (ClipSink){check_end, &w}));
    ledger_close(&l);
    close_world(&w);
}

/* The night in which a program without that check is caught; -1: none. */
static long find_out(Check without, uint64_t seed, long nights)
{
    int end[2], how;
    long night = 0;
    if (pipe(end) != 0) abort();
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(2);
        for (long i = 0; i < nights; i++) {
            if (write(end[1], &i, sizeof i) != sizeof i) _exit(2);
            night_of(seed + (uint64_t)i, without, false);
        }
        _exit(0);
    }
    close(end[1]);
    while (read(end[0], &night, sizeof night) == sizeof night) continue;
    close(end[0]);
    waitpid(child, &how, 0);
    return WIFEXITED(how) && WEXITSTATUS(how) == 1 ? night : -1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"campaigns", required_argument, NULL, 'c'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"tell", no_argument, NULL, 't'},
                                            {"without", required_argument, NULL, 'w'},
                                            {0}};
    uint64_t seed = 1;
    long campaigns = 60;
    bool told = false;
    int without = CHECK_NONE;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'c') campaigns = strtol(optarg, NULL, 10);
        if (c == 's') seed = strtoull(optarg, NULL, 10);
        if (c == 't') told = true;
        if (c == 'w')
            while (without < CHECKS && strcmp(optarg, check_name[without]) != 0) without++;
        if (c == '?' || without == CHECKS) return 2;
    }
    log_set_level(told ? LOG_WARNING : LOG_ERROR);
    for (long i = 0; i < campaigns; i++) night_of(seed + (uint64_t)i, (Check)without, told);
    printf("%ld nights from seed %llu: what was made and delivered is what people agreed to\n", campaigns,
           (unsigned long long)seed);
    int missed = 0;
    for (int check = CHECK_NONE + 1; without == CHECK_NONE && campaigns > 1 && check < CHECKS; check++) {
        const long night = find_out((Check)check, seed, campaigns);
        printf("without the check \"%s\": %s %ld\n", check_name[check],
               night < 0 ? "NOT found in nights" : "found in night", night < 0 ? campaigns : night);
        missed += night < 0;
    }
    return missed ? 1 : 0;
}
