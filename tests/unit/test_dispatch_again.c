/* What gates are against is rendered again with another seed, as often as the campaign allows, then a person decides, or it has failed. */
#include "dispatch_fixture.h"

#include "coordinator/ledger/sql.h"

static const char gates[] = "{\"alike\":{\"hold_low\":24,\"again\":2},\"flicker\":{\"hold\":3,\"again\":2},\"jump\":{"
                            "\"hold\":5,\"again\":2},\"black\":{\"fail\":1,\"again\":1},"
                            "\"blur\":{\"hold\":9}}";

static Farm open_with_gates(int rows)
{
    Farm f = {.folder = fixture_folder(), .campaign = fixture_campaign("night", rows, 1)};
    json_t *finish = json_loads(f.campaign->finish, 0, NULL);
    json_object_set_new(finish, "gates", json_loads(gates, 0, NULL));
    free(f.campaign->finish);
    f.campaign->finish = finish_spec_text(finish);
    start_job(&f, 2, (LocalFaults){0});
    return f;
}

/* The clips of the fixture have the seeds 0, 1, 2, ... */
static void holds(LeaseResult *r, const char *by)
{
    free(r->clip.document);
    r->clip.document = text_format("{\"held_by\": [%s]}", by);
}

static uint64_t seed_of(const Sim *s) { return s->talk.lease.shot.seed; }

static uint64_t flickers[2]; /* the first seeds that were finished */

static void flickers_twice(Farm *f, Sim *s, LeaseResult *r)
{
    (void)f;
    if (r->kind != LEASE_FINISH) return;
    for (int i = 0; i < 2; i++) {
        if (flickers[i] == UINT64_MAX) flickers[i] = seed_of(s);
        if (flickers[i] != seed_of(s)) continue;
        holds(r, "\"flicker\", \"jump\"");
        break;
    }
}

static void flickers_always(Farm *f, Sim *s, LeaseResult *r)
{
    (void)f, (void)s;
    if (r->kind == LEASE_FINISH) holds(r, "\"flicker\"");
}

static void is_blurred_too(Farm *f, Sim *s, LeaseResult *r) /* nothing allows another try of that */
{
    (void)f, (void)s;
    if (r->kind == LEASE_FINISH) holds(r, "\"flicker\", \"blur\"");
}

static ErrClass is_black(Farm *f, Sim *s, const char **reason)
{
    (void)f;
    *reason = "gate black: 2 s, at most 1 passes; at 0.50 s";
    return s->talk.lease.kind == LEASE_FINISH ? ERR_CLIP : OK;
}

static int64_t number(Farm *f, const char *sql)
{
    int64_t value = -1;
    assert_good(ledger_sql_number(f->ledger, &value, sql, ""));
    return value;
}

static const char agains[] = "SELECT count(*) FROM decisions WHERE verb = 'again'",
                  held[] = "SELECT count(*) FROM clips WHERE state = 'held'";

static void another_seed_helps(void **state)
{
    (void)state;
    Farm f = open_with_gates(1);
    flickers[0] = flickers[1] = UINT64_MAX;
    f.spoil = flickers_twice;
    run_farm(&f, 60);
    assert_int_equal(flickers[0], 0);
    assert_counts(&f, 1, 0, 0);
    assert_int_equal(number(&f, agains), 2);
    assert_int_equal(number(&f, held), 0);
    const int64_t seed = number(&f, "SELECT json_extract(spec, '$.seed') FROM clips JOIN specs USING(shot)");
    assert_true(seed > 1 << 20 && (uint64_t)seed != flickers[1]);
    assert_int_equal(outcomes(&f).done, 3); /* renders */
    close_farm(&f);
}

static void then_a_person_looks(void **state)
{
    (void)state;
    Farm f = open_with_gates(1);
    f.spoil = flickers_always;
    run_farm(&f, 60);
    assert_int_equal(number(&f, agains), 2);
    assert_int_equal(number(&f, held), 1);
    assert_int_equal(outcomes(&f).finished, 3);
    close_farm(&f);
    f = open_with_gates(2);
    f.spoil = is_blurred_too;
    run_farm(&f, 60);
    assert_int_equal(number(&f, agains), 0);
    assert_int_equal(number(&f, held), 2);
    close_farm(&f);
}

static void then_it_has_failed(void **state)
{
    (void)state;
    Farm f = open_with_gates(3);
    f.fate = is_black;
    run_farm(&f, 120);
    assert_counts(&f, 0, 3, 0);
    assert_int_equal(number(&f, agains), 3);
    assert_int_equal(outcomes(&f).failed, 6);
    close_farm(&f);
}

/* The next coordinator counts on. */
static void a_new_job_does_not_begin_anew(void **state)
{
    (void)state;
    Farm f = open_with_gates(1);
    f.spoil = flickers_always;
    while (number(&f, agains) == 0) tick(&f);
    end_job(&f);
    start_job(&f, 2, (LocalFaults){0});
    run_farm(&f, 60);
    assert_int_equal(number(&f, agains), 2);
    assert_int_equal(number(&f, held), 1);
    close_farm(&f);
}

/* The first two rows' shots look the same, with their own seeds; any other seed looks like nothing else. */
static void shows(LeaseResult *r, uint64_t looks)
{
    free(r->clip.document);
    r->clip.document = text_format("{\"gates\": {\"gates\": {}, \"pdq\": [\"%032llx%032llx\"]}}",
                                   looks * 0x9e3779b97f4a7c15ull, looks * 0xd1b54a32d192ed03ull);
}

static void look_the_same(Farm *f, Sim *s, LeaseResult *r)
{
    (void)f;
    if (r->kind == LEASE_FINISH) shows(r, seed_of(s) <= 1 ? 1 : seed_of(s) + 7);
}

static void always_the_same(Farm *f, Sim *s, LeaseResult *r)
{
    (void)f, (void)s;
    if (r->kind == LEASE_FINISH) shows(r, 1);
}

static void clips_of_a_campaign_that_look_alike(void **state)
{
    (void)state;
    Farm f = open_with_gates(3);
    f.spoil = look_the_same;
    run_farm(&f, 90);
    assert_counts(&f, 3, 0, 0);
    assert_true(number(&f, agains) > 0);
    assert_int_equal(number(&f, held), 0);
    assert_int_equal(number(&f, "SELECT count(DISTINCT shot) FROM clips"), 3); /* none got what another row has */
    close_farm(&f);
    f = open_with_gates(2);
    f.spoil = always_the_same;
    run_farm(&f, 90);
    assert_int_equal(number(&f, agains), 2);
    assert_int_equal(number(&f, held), 1);
    assert_int_equal(number(&f, "SELECT count(*) FROM clips c JOIN clips o ON o.clip_id = json_extract(c.result,"
                                " '$.gates.gates.alike.clip') WHERE c.state = 'held' AND c.reason = 'held by alike'"
                                " AND o.clip <> c.clip AND o.state = 'approved'"),
                     1);
    close_farm(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_seed_helps),
        cmocka_unit_test(then_a_person_looks),
        cmocka_unit_test(then_it_has_failed),
        cmocka_unit_test(a_new_job_does_not_begin_anew),
        cmocka_unit_test(clips_of_a_campaign_that_look_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
