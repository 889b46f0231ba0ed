/* test_events.c - whatever a text holds, each event is one line of JSON. */
#include "farm_fixture.h"

#include <math.h>

#include <jansson.h>

#include "coordinator/watch/events.h"

static json_t *last_line(const char *folder)
{
    char *path = path_join(folder, "events.jsonl"), *text = NULL;
    size_t bytes;
    assert_good(file_read(path, 1 << 20, &text, &bytes));
    assert_true(bytes > 0 && text[bytes - 1] == '\n');
    text[bytes - 1] = 0;
    char *line = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
    json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    if (!o) fail_msg("not JSON: %s", line);
    free(path);
    free(text);
    return o;
}

static const char *text_of(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

static void test_texts(void **state)
{
    static const struct {
        const char *given, *expected;
    } cases[] = {
        {"plain", "plain"},
        {"", ""},
        {"\"quoted\" \\ back\nnew\ttab\x01", "\"quoted\" \\ back\nnew\ttab\x01"},
        {"J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x8e\x88", "J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x8e\x88"},
        {"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
        {"\xff\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* too high */
    };
    (void)state;
    char *folder = fixture_folder();
    Events *e;
    assert_good(events_open(folder, "night \"1\"", &e));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        events_add(e, 1.5, "test", "{s:s,s:s}", "reason", cases[i].given, "after", "a");
        assert_good(events_flush(e));
        json_t *o = last_line(folder);
        assert_string_equal(text_of(o, "reason"), cases[i].expected);
        assert_string_equal(text_of(o, "after"), "a");
        assert_string_equal(text_of(o, "campaign"), "night \"1\"");
        assert_string_equal(text_of(o, "time"), "1970-01-01T00:00:01.500Z");
        json_decref(o);
    }
    events_close(&e);
    fixture_remove(folder);
}

static void test_numbers_and_rounds(void **state)
{
    (void)state;
    char *folder = fixture_folder();
    Events *e;
    assert_good(events_open(folder, "night", &e));
    events_add(e, 1, "test", "{s:i,s:I,s:f,s:f}", "i", -7, "big", INT64_MIN, "part", 0.125, "odd", NAN);
    assert_good(events_flush(e));
    events_add(e, 2, "dropped", "{}");
    events_drop(e); /* the round was not committed */
    assert_good(events_flush(e));
    json_t *o = last_line(folder);
    assert_string_equal(text_of(o, "event"), "test");
    assert_int_equal(json_integer_value(json_object_get(o, "i")), -7);
    assert_true(json_integer_value(json_object_get(o, "big")) == INT64_MIN);
    assert_true(json_number_value(json_object_get(o, "part")) == 0.125);
    assert_true(json_number_value(json_object_get(o, "odd")) == 0);
    json_decref(o);
    events_close(&e);
    fixture_remove(folder);
}

static void test_real_numbers(void **state)
{
    static const double cases[][2] = {{0, 0},         {1, 1},
                                      {-0.5, -0.5},   {-1.5, -1.5},
                                      {0.01, 0.01},   {12.345678, 12.345678},
                                      {1e-6, 1e-6},   {4e-7, 0},
                                      {0.9999999, 1}, {-0.9999999, -1},
                                      {1e11, 1e11},   {1e300, 0},
                                      {INFINITY, 0},  {86400.000001, 86400.000001}};
    (void)state;
    char *folder = fixture_folder();
    Events *e;
    assert_good(events_open(folder, "night", &e));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        events_add(e, 1, "test", "{s:f}", "s", cases[i][0]);
        assert_good(events_flush(e));
        json_t *o = last_line(folder);
        assert_true(json_number_value(json_object_get(o, "s")) == cases[i][1]);
        json_decref(o);
    }
    events_close(&e);
    fixture_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_numbers_and_rounds),
                                       cmocka_unit_test(test_real_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
