/* How alike a campaign's shots look, and how alike other campaigns'. */
#include "ledger_fixture.h"

#include "common/looks.h"
#include "coordinator/deliver/diversity.h"

/* A hash with so many bits set, from a place on. */
static Pdq bits(int from, int count)
{
    Pdq p = {{0}};
    for (int i = from; i < from + count; i++) p.byte[i / 8] |= (uint8_t)(0x80 >> i % 8);
    return p;
}

static void finish(Ledger *l, int64_t clip, const Looks *looks)
{
    Lease lease;
    bool gone;
    int64_t shot;
    fixture_render(l, clip, "host:7");
    assert_good(ledger_give_finish(l, clip, "host:7", &lease, &shot));
    LeaseResult r = fixture_finish_result(&lease);
    json_t *document = json_pack("{s:{s:o}}", "gates", "pdq", looks_to_json(looks));
    free(r.clip.document);
    r.clip.document = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    assert_good(ledger_take_result(l, &r, &gone));
    lease_result_clear(&r);
    lease_clear(&lease);
}

static double number(const json_t *j, const char *a, const char *b)
{
    const json_t *one = json_object_get(j, a);
    return json_number_value(b ? json_object_get(one, b) : one);
}

static const char folder[] = "test_diversity.index";

static void finds_what_looks_alike(void **state)
{
    (void)state;
    json_t *j;
    Fixture f = open_fixture(4, 1);
    const Looks looks[] = {{1, {bits(0, 100)}}, {2, {bits(100, 100), bits(0, 110)}}, {1, {bits(150, 100)}}, {0}};
    assert_good(ledger_begin(f.ledger, 102));
    for (int i = 0; i < 4; i++) finish(f.ledger, i, &looks[i]);
    assert_good(ledger_commit(f.ledger));
    file_remove_tree(folder);
    assert_good(diversity_measure(f.ledger, 0, folder, &j));
    assert_int_equal(json_integer_value(json_object_get(j, "shots")), 3); /* one has no hash */
    /* row0 and row1: 10 bits from row0 and 10 back, and 200 from row1's other picture: a mean of 73; row2 is 100 from that one */
    assert_true(number(j, "distance", "p05") > 73 && number(j, "distance", "p05") < 74);
    assert_int_equal(json_integer_value(json_object_get(j, "near_duplicates")), 0);
    assert_true(json_is_null(json_object_get(json_object_get(json_object_get(j, "others"), "distance"), "p50")));
    json_decref(j);
    assert_good(diversity_publish(f.ledger, folder));
    close_fixture(&f);
    /* another campaign with one of these pictures, three bits away, and two of its own that are alike */
    f = (Fixture){.folder = fixture_folder(), .campaign = fixture_campaign("winter", 3, 1)};
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &f.ledger));
    assert_good(ledger_adopt(f.ledger, f.campaign, 100));
    assert_good(ledger_begin_epoch(f.ledger, "host", 1, 101));
    const Looks later[] = {{1, {bits(0, 103)}}, {1, {bits(60, 30)}}, {1, {bits(60, 50)}}};
    assert_good(ledger_begin(f.ledger, 102));
    for (int i = 0; i < 3; i++) finish(f.ledger, i, &later[i]);
    assert_good(ledger_commit(f.ledger));
    assert_good(diversity_measure(f.ledger, 0, folder, &j));
    assert_int_equal(json_integer_value(json_object_get(j, "near_duplicates")), 2);
    const json_t *pairs = json_object_get(j, "pairs"), *others = json_object_get(j, "others");
    assert_int_equal(json_array_size(pairs), 1); /* not from both ends */
    assert_true(json_number_value(json_object_get(json_array_get(pairs, 0), "distance")) == 20);
    assert_int_equal(json_integer_value(json_object_get(others, "near_duplicates")), 1);
    const json_t *pair = json_array_get(json_object_get(others, "pairs"), 0);
    assert_string_equal(json_string_value(json_object_get(pair, "clip")), "row0");
    assert_string_equal(json_string_value(json_object_get(pair, "campaign")), "summer");
    json_decref(j);
    assert_good(diversity_measure(f.ledger, 2, NULL, &j)); /* a sample */
    assert_int_equal(json_integer_value(json_object_get(j, "shots")), 2);
    assert_int_equal(json_integer_value(json_object_get(j, "of")), 3);
    json_decref(j);
    assert_good(diversity_publish(f.ledger, folder));
    LooksIndex x;
    assert_good(looks_index_read(folder, NULL, &x));
    assert_int_equal(x.count, 6);
    looks_index_clear(&x);
    close_fixture(&f);
}

static void names_a_damaged_index(void **state)
{
    (void)state;
    LooksIndex x;
    char *path = path_join(folder, "broken.looks");
    assert_good(file_replace(path, "{\"campaign\":\"a\",\"shot\":\"b\",\"pdq\":[]}\n{oh\n", 42));
    Status status = looks_index_read(folder, NULL, &x);
    assert_int_equal(status.err, ERR_INPUT);
    assert_non_null(strstr(status.message, "broken.looks:2: expected"));
    looks_index_clear(&x);
    assert_good(looks_index_read("test_diversity.absent", NULL, &x));
    assert_int_equal(x.count, 0);
    free(path);
    file_remove_tree(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_what_looks_alike),
                                       cmocka_unit_test(names_a_damaged_index)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
