/* test_customers.c - the customers table: what is read, and how each fault is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "coordinator/campaign/customers.h"

typedef struct {
    Customers c;
    Faults *faults;
    Status status;
} Table;

static Table read_bytes(const char *data, size_t bytes, bool jsonl)
{
    Table t = {.faults = faults_new()};
    if (jsonl)
        customers_parse_jsonl("c.jsonl", data, bytes, t.faults, &t.c);
    else
        customers_parse_csv("c.csv", data, bytes, t.faults, &t.c);
    t.status = faults_status(t.faults);
    return t;
}

static Table read_csv(const char *text) { return read_bytes(text, strlen(text), false); }
static Table read_jsonl(const char *text) { return read_bytes(text, strlen(text), true); }

static void drop(Table *t)
{
    customers_free(&t->c);
    faults_free(&t->faults);
}

static void value_is(const Table *t, int64_t row, const char *column, const char *value)
{
    int index = customers_column(&t->c, column);
    assert_true(index >= 0);
    assert_string_equal(customers_value(&t->c, row, index), value);
}

/* Exactly these faults, one per line. */
static void faults_are(Table t, int count, const char *expected)
{
    char headline[80] = "";
    if (count > 1) snprintf(headline, sizeof headline, "%d faults in the input, nothing was started:\n", count);
    char *all = text_format("%s%s", headline, expected);
    assert_string_equal(t.status.message, all);
    assert_int_equal(t.status.err, ERR_INPUT);
    free(all);
    drop(&t);
}

static void test_reads_what_stands_there(void **state)
{
    (void)state;
    Table t = read_csv("\xef\xbb\xbfid, name ,note\r\n"
                       "anna,Anna Schäfer,\r\n"
                       "\r\n"
                       "bob,\"Bob \"\"the Bär\"\", Köln\",\"two\r\nlines\"\r\n"
                       "carl, spaced ,田中");
    assert_string_equal(t.status.message, "");
    assert_int_equal(t.c.row_count, 3);
    assert_int_equal(t.c.column_count, 3);
    assert_string_equal(t.c.column[1], "name");
    assert_int_equal(t.c.id_column, 0);
    value_is(&t, 0, "name", "Anna Schäfer");
    value_is(&t, 0, "note", "");
    value_is(&t, 1, "name", "Bob \"the Bär\", Köln");
    value_is(&t, 1, "note", "two\r\nlines");
    value_is(&t, 2, "name", " spaced ");
    value_is(&t, 2, "note", "田中");
    const int line[] = {2, 4, 6};
    for (int i = 0; i < 3; i++) assert_int_equal(t.c.line[i], line[i]);
    drop(&t);
}

static void test_line_ends(void **state)
{
    (void)state;
    const char *const text[] = {"id,a\n1,x\n\n2,y\n", "id,a\r\n1,x\r\n\r\n2,y", "id,a\r1,x\r\r2,y\r"};
    for (int i = 0; i < 3; i++) {
        Table t = read_csv(text[i]);
        assert_string_equal(t.status.message, "");
        assert_int_equal(t.c.row_count, 2);
        assert_int_equal(t.c.line[0], 2);
        assert_int_equal(t.c.line[1], 4);
        value_is(&t, 1, "a", "y");
        drop(&t);
    }
}

static void test_nobody(void **state)
{
    (void)state;
    faults_are(read_csv(""), 1,
               "c.csv: empty; expected a first row that names the columns, and a row for each customer");
    faults_are(read_csv("\n\r\n"), 1,
               "c.csv: empty; expected a first row that names the columns, and a row for each customer");
    faults_are(read_csv("id,name\n"), 1,
               "c.csv: 0 customers; expected a row for each below the one that names the columns");
    faults_are(read_jsonl("\n"), 1, "c.jsonl: 0 customers; expected a JSON object on a line for each");
}

static void test_columns(void **state)
{
    (void)state;
    faults_are(read_csv("name,city,name,\nx,y,z,w\n"), 3,
               "c.csv:1: field name: names columns 1 and 3; expected a name of its own for each\n"
               "c.csv:1: column 4 has no name\n"
               "c.csv:1: field id: missing; expected a column \"id\" that tells the customers apart");
    faults_are(read_csv("id;name\n1;x\n"), 1,
               "c.csv:1: one column, \"id;name\": expected commas between the names, not semicolons");
    faults_are(read_csv("id\tname\n1\tx\n"), 1,
               "c.csv:1: one column, \"id name\": expected commas between the names, not tabs");
}

static void test_ids(void **state)
{
    (void)state;
    faults_are(read_csv("id,a\nanna,1\nbob,2\nanna,3\n,4\n\"x\ny\",5\n"), 3,
               "c.csv:4: field id: duplicate \"anna\" (first in line 2); ids must be unique\n"
               "c.csv:5: field id: empty; every customer needs one\n"
               "c.csv:6: field id: \"x?y\" holds a line break or another control character");
    char *text = text_format("id\n%0250d\n", 7);
    faults_are(read_csv(text), 1, "c.csv:2: field id: 250 bytes long, expected at most 200");
    free(text);
}

static void test_ragged_rows(void **state)
{
    (void)state;
    faults_are(read_csv("id,a,b\n1,x\n2,x,y\n3,x,y,z\n"), 2,
               "c.csv:2: field b: missing: the row has 2 of 3 values\n"
               "c.csv:4: 4 values, expected 3 (id to b); a value with a comma needs quotes around it");
}

static void test_quotes(void **state)
{
    (void)state;
    /* one forgotten quote costs one row, the rows after it are read */
    faults_are(
        read_csv("id,a\n1,\"x\n2,\"y\"\n3,z,z\n"), 2,
        "c.csv:2: field a: text after the closing quote (in line 3); expected a comma or the end of the line, and "
        "quotes inside of a value doubled\n"
        "c.csv:4: 3 values, expected 2 (id to a); a value with a comma needs quotes around it");
    faults_are(read_csv("id,a\n1,\"x\n2,y\n3,z,z\n"), 2,
               "c.csv:2: field a: the quote that opens the value is never closed\n"
               "c.csv:4: 3 values, expected 2 (id to a); a value with a comma needs quotes around it");
    faults_are(
        read_csv("id,a\n1,x\"y\"\n2,y\n"), 1,
        "c.csv:2: field a: a quote within a value that does not begin with one; expected quotes around the whole "
        "value, without a space before them, and doubled inside of it");
    faults_are(read_csv("id,\"a\n1,x\n"), 1, "c.csv:1: the quote that opens the value is never closed");
}

static void test_encoding(void **state)
{
    (void)state;
    faults_are(
        read_csv("id,a,b\n1,x,y\n2,M\xfcller,\xe4\n3,x,y\n"), 1,
        "c.csv:3: field a: byte 2 of the value (byte 17 of the file, 0xfc) is not UTF-8; save the file as UTF-8");
    faults_are(read_csv("id,\xc3\n1,x\n"), 1,
               "c.csv:1: field 2: byte 1 of the value (byte 4 of the file, 0xc3) is not UTF-8; save the file as UTF-8");
    faults_are(read_csv("\xff\xfei"), 1, "c.csv: UTF-16 text; save the file as UTF-8");
    static const char zero[] = "id,a\n1,x\0y\n";
    faults_are(read_bytes(zero, sizeof zero - 1, false), 1,
               "c.csv:2: field a: byte 2 of the value (byte 9 of the file) is 0; expected UTF-8 text");
    static const char *const wrong[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                        "\xe2\x82", "\x80",         "\xf8\x88\x80\x80\x80"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(customers_bad_byte(wrong[i], strlen(wrong[i])), 0);
}

static void test_many_faults(void **state)
{
    (void)state;
    char *text = text_copy("id,a\n");
    for (int i = 0; i < 150; i++) {
        char *more = text_format("%s%d\n", text, i);
        free(text);
        text = more;
    }
    Table t = read_csv(text);
    assert_non_null(strstr(t.status.message, "150 faults in the input"));
    assert_non_null(strstr(t.status.message, "c.csv:101: "));
    assert_null(strstr(t.status.message, "c.csv:102: "));
    assert_non_null(strstr(t.status.message, "\nand 50 more"));
    free(text);
    drop(&t);
}

static void test_json_lines(void **state)
{
    (void)state;
    Table t = read_jsonl("\xef\xbb\xbf{\"id\": 7, \"a\": \"Z\\u00fcrich\", \"b\": true}\r\n"
                         "\n"
                         "{\"b\": 0.1, \"id\": \"x\", \"a\": null}\n"
                         "{\"id\": -9223372036854775808, \"a\": 2.0}");
    assert_string_equal(t.status.message, "");
    assert_int_equal(t.c.row_count, 3);
    assert_int_equal(t.c.line[1], 3);
    value_is(&t, 0, "id", "7");
    value_is(&t, 0, "a", "Zürich");
    value_is(&t, 0, "b", "true");
    value_is(&t, 1, "a", "");
    value_is(&t, 1, "b", "0.1");
    value_is(&t, 2, "id", "-9223372036854775808");
    value_is(&t, 2, "a", "2.0");
    value_is(&t, 2, "b", "");
    drop(&t);
}

static void test_json_faults(void **state)
{
    (void)state;
    Table t = read_jsonl("{\"id\": 1, \"a\": 1}\n"
                         "{\"id\": 2,\n"
                         "[1]\n"
                         "{\"id\": 3, \"b\": 1, \"a\": {}}\n"
                         "{\"id\": 1}\n"
                         "{\"id\": 5, \"id\": 6}\n"
                         "{\"id\": \"\xfc\"}\n"
                         "{\"id\": 9} x\n");
    static const char *const expected[] = {
        "c.jsonl:2: column ",
        "c.jsonl:3: a list, expected one JSON object per line",
        "c.jsonl:4: field b: not among the columns, which the first object names",
        "c.jsonl:4: field a: an object, expected text, a number, true, false or null",
        "c.jsonl:5: field id: duplicate \"1\" (first in line 1); ids must be unique",
        "c.jsonl:6: column ",
        "c.jsonl:7: byte 9 of the line (byte 97 of the file, 0xfc) is not UTF-8 text",
        "c.jsonl:8: column ",
    };
    assert_int_equal(faults_count(t.faults), sizeof expected / sizeof *expected);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!strstr(t.status.message, expected[i])) fail_msg("no \"%s\" in:\n%s", expected[i], t.status.message);
    drop(&t);
    faults_are(read_jsonl("{}\n{\"id\": 1}\n"), 1,
               "c.jsonl:1: 0 members, expected 1 to 1000: the first object names the columns");
}

static void test_files(void **state)
{
    (void)state;
    char path[] = "test_customers_XXXXXX.jsonl";
    int fd = mkstemps(path, 6);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    fputs("{\"id\": 1}\n", f);
    fclose(f);
    Table t = {.faults = faults_new()};
    customers_read(path, t.faults, &t.c);
    assert_int_equal(faults_count(t.faults), 0);
    assert_int_equal(t.c.row_count, 1);
    customers_free(&t.c);
    unlink(path);
    customers_read(path, t.faults, &t.c);
    customers_read(".", t.faults, &t.c);
    t.status = faults_status(t.faults);
    assert_non_null(strstr(t.status.message, "No such file"));
    assert_non_null(strstr(t.status.message, ".: . is a folder, expected a CSV or JSON Lines file"));
    drop(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_stands_there),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_ragged_rows),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_many_faults),
        cmocka_unit_test(test_json_lines),
        cmocka_unit_test(test_json_faults),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
