/* test_steer.c - which clips a condition means, what a run's settings say, and whose turn it is. */
#include "ledger_fixture.h"

#include <time.h>

#include <sqlite3.h>

#include "coordinator/launch/turn.h"
#include "coordinator/ledger/steer.h"

static char *filter_of(Fixture *f, const char *const *where, int count)
{
    char *json;
    assert_good(ledger_make_filter(f->ledger, where, count, &json));
    return json;
}

static int64_t changed_by(Fixture *f, const char *verb, const char *clip, const char *filter)
{
    int64_t changed, meant, expected;
    LedgerRequest r = {.id = 1,
                       .verb = (char *)(uintptr_t)verb,
                       .clip_id = (char *)(uintptr_t)clip,
                       .filter = (char *)(uintptr_t)filter};
    assert_good(ledger_count_selected(f->ledger, &r, &meant, &expected));
    assert_good(ledger_begin(f->ledger, 102));
    assert_good(ledger_apply_request(f->ledger, &r, &changed));
    assert_good(ledger_commit(f->ledger));
    assert_good(ledger_check_counts(f->ledger));
    if (strcmp(verb, "retry") != 0) assert_int_equal(changed, expected); /* what the verb says beforehand happens */
    return changed;
}

/* Columns of the fixture: id (row0, ...) and na"me (Jürgen, "0" and a second line). */
static void test_conditions_mean_the_rows_that_meet_all_of_them(void **state)
{
    (void)state;
    Fixture f = open_fixture(6, 1);
    char *one = filter_of(&f, (const char *const[]){"id=row3"}, 1),
         *others = filter_of(&f, (const char *const[]){"id!=row3", "state=planned"}, 2),
         *odd = filter_of(&f, (const char *const[]){"na\"me=Jürgen, \"4\"\nzwei"}, 1),
         *paused = filter_of(&f, (const char *const[]){"clip.state=paused"}, 1);
    assert_int_equal(changed_by(&f, "pause", "", one), 1);
    assert_int_equal(changed_by(&f, "pause", "", odd), 1);
    assert_int_equal(changed_by(&f, "pause", "", odd), 0); /* it is */
    assert_int_equal(changed_by(&f, "cancel", "", others), 4);
    assert_int_equal(changed_by(&f, "cancel", "row4", ""), 1); /* paused before */
    assert_int_equal(changed_by(&f, "resume", "", paused), 1);
    assert_int_equal(changed_by(&f, "resume", "nobody", ""), 0);
    Snapshot s;
    assert_good(ledger_read_snapshot(f.ledger, &s));
    assert_int_equal(s.clip_count[CLIP_PLANNED], 1);
    assert_int_equal(s.cancelled, 5);
    assert_int_equal(s.left, 1);
    assert_int_equal(s.shot_count[SHOT_HELD], 5);
    assert_int_equal(s.shot_count[SHOT_PLANNED], 1);
    snapshot_clear(&s);
    int64_t *shot, count;
    assert_good(ledger_planned_shots(f.ledger, &shot, &count));
    assert_int_equal(count, 1);
    assert_int_equal(shot[0], 3);
    free(shot);
    free(one);
    free(others);
    free(odd);
    free(paused);
    close_fixture(&f);
}

/* Rows are compared as the plan wrote them, without being parsed: what JSON writes otherwise must still be found, and nothing else. */
static void test_conditions_find_every_value(void **state)
{
    (void)state;
    static const char *const value[] = {
        "",     "a",       "a\\",    "\"", ",", "\",\"", "\\\"", "[\"a\"]", "]", "é\x01\t\n", "\xf0\x9f\x8e\x88",
        "null", "a\",\"b", "\\u0041"};
    enum { VALUES = (int)(sizeof value / sizeof *value) };
    char *folder = fixture_folder();
    Campaign *c = fixture_campaign("values", VALUES, 1);
    for (int i = 0; i < VALUES; i++) {
        free(c->customers.value[2 * i + 1]);
        c->customers.value[2 * i + 1] = text_copy(value[i]);
    }
    Fixture f = {.folder = folder, .campaign = c};
    assert_good(ledger_open(folder, LEDGER_WRITE, &f.ledger));
    assert_good(ledger_adopt(f.ledger, c, 100));
    assert_good(ledger_begin_epoch(f.ledger, "host", 1, 101));
    for (int i = 0; i < VALUES; i++) {
        char *equal = text_format("na\"me=%s", value[i]), *other = text_format("na\"me!=%s", value[i]);
        char *is = filter_of(&f, (const char *const *)&equal, 1),
             *is_not = filter_of(&f, (const char *const *)&other, 1);
        assert_int_equal(changed_by(&f, "pause", "", is), 1);
        assert_int_equal(changed_by(&f, "cancel", "", is_not), VALUES - 1);
        assert_int_equal(changed_by(&f, "resume", "", is), 1);
        assert_int_equal(changed_by(&f, "resume", "", is_not), VALUES - 1);
        free(equal);
        free(other);
        free(is);
        free(is_not);
    }
    close_fixture(&f);
}

static void test_damaged_filters_are_refused(void **state)
{
    (void)state;
    Fixture f = open_fixture(2, 1);
    static const char *const wrong[] = {"[",
                                        "{}",
                                        "[1]",
                                        "[[\"state\",\"=\",1]]",
                                        "[[\"$[x]\",\"=\",\"a\"]]",
                                        "[[\"$[0]z\",\"=\",\"a\"]]",
                                        "[[\"$[-1]\",\"=\",\"a\"]]"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t meant, changed;
        LedgerRequest r = {.verb = (char *)(uintptr_t) "pause", .filter = (char *)(uintptr_t)wrong[i]};
        assert_refused(ledger_count_selected(f.ledger, &r, &meant, &changed), ERR_FATAL, "damaged filter");
    }
    close_fixture(&f);
}

static void test_conditions_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    Fixture f = open_fixture(2, 1);
    static const struct {
        const char *where, *says;
    } wrong[] = {{"colour=red", "--where colour: no such column; expected one of state, gate, id, na\"me"},
                 {"id", "expected COLUMN=VALUE or COLUMN!=VALUE"},
                 {"=x", "expected COLUMN=VALUE"},
                 {"!=x", "expected COLUMN=VALUE"},
                 {"state=gone", "\"gone\" is none; expected planned, refused, waiting"},
                 {"id=\xff", "not UTF-8"}};
    char *json;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_refused(ledger_make_filter(f.ledger, &wrong[i].where, 1, &json), ERR_INPUT, wrong[i].says);
        assert_null(json);
    }
    close_fixture(&f);
}

/* A table may have a column "state" of its own: then that is meant. */
static void test_a_column_named_state_comes_first(void **state)
{
    (void)state;
    char *folder = fixture_folder();
    Campaign *c = fixture_campaign("states", 2, 1);
    free(c->customers.column[1]);
    c->customers.column[1] = text_copy("state");
    free(c->customers.value[1]);
    c->customers.value[1] = text_copy("CA");
    Fixture f = {.folder = folder, .campaign = c};
    assert_good(ledger_open(folder, LEDGER_WRITE, &f.ledger));
    assert_good(ledger_adopt(f.ledger, c, 100));
    assert_good(ledger_begin_epoch(f.ledger, "host", 1, 101));
    char *filter = filter_of(&f, (const char *const[]){"state=CA", "clip.state=planned"}, 2);
    assert_int_equal(changed_by(&f, "pause", "", filter), 1);
    free(filter);
    close_fixture(&f);
}

/* Paused clips share the fate of a shot that is given up; a cancelled one that is wanted again begins anew. */
static void test_clips_of_one_shot_go_different_ways(void **state)
{
    (void)state;
    Fixture f = open_fixture(4, 4);
    Lease lease;
    int workers, times;
    bool gone;
    assert_int_equal(changed_by(&f, "pause", "row1", ""), 1);
    assert_int_equal(changed_by(&f, "cancel", "row2", ""), 1);
    assert_good(ledger_begin(f.ledger, 103));
    assert_good(ledger_give_render(f.ledger, 0, "host:7", &lease));
    assert_int_equal(lease.clip_count, 2); /* row0 and row3 */
    assert_good(ledger_end_lease(f.ledger, lease.lease, LEASE_FAILED, NULL, "no luck"));
    assert_good(ledger_give_up(f.ledger, LEASE_RENDER, 0, "no luck", &gone));
    assert_good(ledger_commit(f.ledger));
    lease_clear(&lease);
    Snapshot s;
    assert_good(ledger_read_snapshot(f.ledger, &s));
    assert_int_equal(s.failed, 3);
    assert_int_equal(s.cancelled, 1);
    snapshot_clear(&s);
    char *text;
    assert_good(ledger_describe_failures(f.ledger, 5, &text));
    assert_string_equal(text, "row0, row1, row3: no luck");
    free(text);
    assert_int_equal(changed_by(&f, "resume", "row2", ""), 1);
    assert_good(ledger_failures(f.ledger, LEASE_RENDER, 0, &workers, &times));
    assert_int_equal(times, 0);
    assert_good(ledger_begin(f.ledger, 104));
    assert_good(ledger_give_render(f.ledger, 0, "host:7", &lease));
    assert_int_equal(lease.clip_count, 1);
    assert_string_equal(lease.clip_id, "row2");
    ledger_rollback(f.ledger);
    lease_clear(&lease);
    assert_int_equal(changed_by(&f, "retry", "row1", ""), 3); /* what failed together */
    close_fixture(&f);
}

static int priority_of(Fixture *f)
{
    Settings s;
    assert_good(ledger_read_settings(f->ledger, &s));
    int priority = s.priority;
    settings_clear(&s);
    return priority;
}

/* What the verb set holds until the file says something else than it did. */
static void test_a_priority_outlives_the_next_run(void **state)
{
    (void)state;
    Fixture f = open_fixture(2, 1);
    int64_t changed;
    LedgerRequest r = {.id = 1, .verb = "priority", .clip_id = "", .filter = "", .number = 50};
    assert_good(ledger_begin(f.ledger, 102));
    assert_good(ledger_apply_request(f.ledger, &r, &changed));
    assert_good(ledger_commit(f.ledger));
    assert_good(ledger_adopt(f.ledger, f.campaign, 200));
    assert_int_equal(priority_of(&f), 50);
    f.campaign->settings.priority = -3;
    assert_good(ledger_adopt(f.ledger, f.campaign, 201));
    assert_int_equal(priority_of(&f), -3);
    close_fixture(&f);
}

static void test_settings_survive_the_ledger(void **state)
{
    (void)state;
    Settings in = {.priority = -7,
                   .pilot = 3,
                   .keep_masters = true,
                   .deadline = "06:00",
                   .max_fails = {2.5, true},
                   .limit_s = {60, 0, 5, 0, 600},
                   .list_bom = true,
                   .notify = {.webhook = text_copy("https://h/\"x"), .event_count = 1, .event = {"clip.failed"}}},
             out;
    char *json = settings_to_json(&in);
    assert_good(settings_from_json(json, &out));
    assert_int_equal(out.priority, -7);
    assert_int_equal(out.pilot, 3);
    assert_true(out.keep_masters && !out.mixed);
    assert_string_equal(out.deadline, "06:00");
    assert_true(out.list_bom);
    assert_true(out.max_fails.count == 2.5 && out.max_fails.percent);
    assert_memory_equal(out.limit_s, in.limit_s, sizeof in.limit_s);
    assert_string_equal(out.notify.webhook, "https://h/\"x");
    assert_null(out.notify.command);
    assert_string_equal(out.notify.event[0], "clip.failed");
    assert_refused(settings_from_json("{\"priority\": 1}", &(Settings){0}), ERR_FATAL, "damaged");
    assert_refused(settings_from_json("nonsense", &(Settings){0}), ERR_FATAL, "damaged");
    settings_clear(&in);
    settings_clear(&out);
    free(json);
}

static void test_numbers_shares_and_times(void **state)
{
    (void)state;
    MaxFails m;
    static const char *const wrong[] = {"", "x", "-1", "2.5", "101%", "5 %", "1e9x", "%", ".", "0x10", "nan"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (max_fails_parse(wrong[i], &m)) fail_msg("max_fails: %s", wrong[i]);
    assert_true(max_fails_parse("none", &m));
    assert_int_equal(max_fails_of(&m, 1000), -1);
    assert_true(max_fails_parse("0", &m));
    assert_int_equal(max_fails_of(&m, 1000), 0);
    assert_true(max_fails_parse("2.5%", &m));
    assert_int_equal(max_fails_of(&m, 1000), 25);
    assert_int_equal(max_fails_of(&m, 39), 0);
    setenv("TZ", "UTC", 1);
    tzset();
    double when;
    static const char *const no_time[] = {
        "",           "6",    "24:00",          "06:60",          "6:00 pm", "2026-02-30 06:00",
        "2026-01-31", "soon", "26-01-31 06:00", "126-01-31 06:00"};
    for (size_t i = 0; i < sizeof no_time / sizeof *no_time; i++)
        if (deadline_parse(no_time[i], 0, &when)) fail_msg("deadline: %s", no_time[i]);
    double noon = 1767268800; /* 2026-01-01 12:00 UTC */
    assert_true(deadline_parse("06:00", noon, &when));
    assert_true(when == noon + 18 * 3600);
    assert_true(deadline_parse("18:30", noon, &when));
    assert_true(when == noon + 6.5 * 3600);
    assert_true(deadline_parse("2026-01-02 06:00", 0, &when));
    assert_true(when == noon + 18 * 3600);
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1); /* clocks go from 2 to 3 on the 29th of March 2026 */
    tzset();
    assert_false(deadline_parse("2026-03-29 02:30", 0, &when));
    assert_true(deadline_parse("2026-03-29 03:30", 0, &when));
    assert_true(when == 1774747800);
    assert_true(deadline_parse("02:30", 1774740000, &when)); /* the evening before: the hour that stands in its place */
    assert_true(when > 1774740000 && when < 1774740000 + 86400);
    setenv("TZ", "UTC", 1);
    tzset();
}

static void test_whose_turn_it_is(void **state)
{
    (void)state;
    Turn t[] = {{TURN_READY, 0, 0},    {TURN_READY, 5, 0},    {TURN_WAITS, 9, 0},
                {TURN_READY, 5, 2000}, {TURN_READY, 5, 1000}, {TURN_OVER, 9, 0}};
    assert_int_equal(turn_next(t, 6), 4);   /* of priority 5 the one that is due first */
    assert_false(turn_must_yield(t, 6, 1)); /* but a deadline takes the farm from nobody */
    assert_true(turn_must_yield(t, 6, 0));
    t[2].state = TURN_READY;
    assert_true(turn_must_yield(t, 6, 4));
    assert_false(turn_must_yield(t, 6, 2));
    for (int i = 1; i < 6; i++) t[i].state = TURN_OVER;
    assert_int_equal(turn_next(t, 6), 0);
    t[0].state = TURN_WAITS;
    assert_int_equal(turn_next(t, 6), -1);
    Snapshot s = {.left = 3, .priority = 4, .deadline_s = 7};
    Turn of = turn_of(&s);
    assert_true(of.state == TURN_READY && of.priority == 4 && of.deadline_s == 7);
    s.control = CONTROL_PAUSED;
    assert_int_equal(turn_of(&s).state, TURN_WAITS);
    s.control = CONTROL_CANCELLED;
    assert_int_equal(turn_of(&s).state, TURN_OVER);
    s.control = CONTROL_NONE;
    s.pilot = PILOT_OPEN;
    s.pilot_left = 1;
    assert_int_equal(turn_of(&s).state, TURN_READY);
    s.pilot_left = 0;
    assert_int_equal(turn_of(&s).state, TURN_WAITS);
    s.left = 0;
    assert_int_equal(turn_of(&s).state, TURN_OVER);
}

/* Ten clips in an hour, five left: half an hour more. */
static void test_how_late_it_is_going_to_be(void **state)
{
    (void)state;
    Snapshot s = {.left = 5, .epoch = 1, .finished_lately = 10, .first_s = 1000, .deadline_s = 4600 + 900};
    assert_true(snapshot_late_s(&s, 4600) == 900);
    s.deadline_s = 4600 + 3600;
    assert_true(snapshot_late_s(&s, 4600) == -1800);
    s.left = 0; /* done */
    assert_true(snapshot_late_s(&s, 4600) == 0);
    s.left = 5;
    s.deadline_s = 0; /* none */
    assert_true(snapshot_late_s(&s, 4600) == 0);
    s.deadline_s = 4000; /* past, and nothing goes on */
    s.ended_s = 4500;
    assert_true(snapshot_late_s(&s, 4600) == 600);
}

static void test_a_ledger_of_an_older_version_is_refused(void **state)
{
    (void)state;
    Fixture f = open_fixture(2, 1);
    char *file = path_join(f.folder, "ledger.db");
    sqlite3 *db;
    ledger_close(&f.ledger);
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_refused(ledger_open(f.folder, LEDGER_READ, &f.ledger), ERR_INPUT,
                   "another version of reelwright made it (format 1, this version reads");
    free(file);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions_mean_the_rows_that_meet_all_of_them),
        cmocka_unit_test(test_conditions_find_every_value),
        cmocka_unit_test(test_damaged_filters_are_refused),
        cmocka_unit_test(test_conditions_that_mean_nothing_are_refused),
        cmocka_unit_test(test_a_column_named_state_comes_first),
        cmocka_unit_test(test_clips_of_one_shot_go_different_ways),
        cmocka_unit_test(test_a_priority_outlives_the_next_run),
        cmocka_unit_test(test_settings_survive_the_ledger),
        cmocka_unit_test(test_numbers_shares_and_times),
        cmocka_unit_test(test_whose_turn_it_is),
        cmocka_unit_test(test_how_late_it_is_going_to_be),
        cmocka_unit_test(test_a_ledger_of_an_older_version_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
