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
        customers_parse_jsonl("c.jsonl", data, bytes, NULL, t.faults, &t.c);
    else
        customers_parse_csv("c.csv", data, bytes, NULL, t.faults, &t.c);
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
    faults_are(
        read_csv("name,city,name,,nr\nx,y,z,,w\n"), 3,
        "c.csv:1: field name: names columns 1 and 3; expected a name of its own for each\n"
        "c.csv:1: column 4 has no name\n"
        "c.csv:1: field id: missing; expected a column \"id\" that tells the customers apart, or `id: COLUMN` in the "
        "campaign; the table has \"name\", \"city\", \"name\", \"\", \"nr\"");
    faults_are(read_csv("id,a,,\n1,x,,\n2,x,y,\n"), 1,
               "c.csv:3: column 3 has no name in line 1, but a value here, \"y\"");
}

static Warnings warnings_of(Table *t) { return faults_take_warnings(t->faults); }

/* Read without a fault, and this said about it ("": nothing). */
static void is_read(Table *t, const char *warning)
{
    assert_string_equal(t->status.message, "");
    Warnings w = warnings_of(t);
    assert_int_equal(w.count, *warning ? 1 : 0);
    if (w.count) assert_string_equal(w.warning[0].message, warning);
    warnings_clear(&w);
}

static void test_what_spreadsheets_write(void **state)
{
    (void)state;
    const struct {
        const char *text, *warning;
    } row[] = {
        {"id;a;b\n1;x, y;3,5\n", "c.csv:1: semicolons instead of commas between the values; read so"},
        {"id\ta\tb\r\n1\tx, y\t3,5\r\n", "c.csv:1: tabs instead of commas between the values; read so"},
        {"\"id\"|\"a\"|b\n1|x, y|3,5\n", "c.csv:1: bars instead of commas between the values; read so"},
        {"a, b;id;b\nx;1;3,5\n", "c.csv:1: semicolons instead of commas between the values; read so"},
        {"sep=,\nid,a,b\n1,\"x, y\",\"3,5\"\n", ""},
        {"\"sep=;\"\r\nid;a;b\r\n1;x, y;3,5\r\n", "c.csv:2: semicolons instead of commas between the values; read so"},
        {"\xef\xbb\xbf\xef\xbb\xbfid,a,b\n1,\"x, y\",\"3,5\"\n", ""},
        {"\xc2\xa0id,a,b\n1,\"x, y\",\"3,5\"\n",
         "c.csv:1: field id: there is a no-break space (U+00A0) in the column's name; read without it"},
        {"a,b,\xe2\x80\x8bid\n\"x, y\",\"3,5\",1\n",
         "c.csv:1: field id: there is an invisible character (U+200B) in the column's name; read without it"},
        {"id,a,b,,\n1,\"x, y\",\"3,5\",,\n,,,,\n,,,,\n", "c.csv: 2 rows without any value: left out"},
        {"id,a,b\r1,\"x, y\",\"3,5\"\r", ""},
        {"id,a,b\n1,\"x, y\",\"3,5\",,,\n", ""},
        {"id,\"a\n\",b\n1,\"x, y\",\"3,5\"\n", ""},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        Table t = read_csv(row[i].text);
        is_read(&t, row[i].warning);
        assert_int_equal(t.c.row_count, 1);
        assert_true(customers_column(&t.c, "id") >= 0);
        if (customers_column(&t.c, "a") >= 0) value_is(&t, 0, "a", "x, y");
        value_is(&t, 0, "b", "3,5");
        drop(&t);
    }
}

static void test_names_of_the_id(void **state)
{
    (void)state;
    static const char *const name[] = {"ID", "Id", "ContactID", "Contact ID", "customer_id", "contactId"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        char *text = text_format("nr,%s\n1,a\n", name[i]);
        char *fault =
            text_format("c.csv:1: field id: missing; did you mean \"%s\"? Then say `id: %s` in the campaign, or "
                        "call the column id; the table has \"nr\", \"%s\"",
                        name[i], name[i], name[i]);
        faults_are(read_csv(text), 1, fault);
        const CustomersOptions o = {.id = name[i]};
        Table t = {.faults = faults_new()};
        customers_parse_csv("c.csv", text, strlen(text), &o, t.faults, &t.c);
        assert_int_equal(faults_count(t.faults), 0);
        assert_int_equal(t.c.id_column, 1);
        assert_int_equal(customers_column(&t.c, "id"), 1);
        drop(&t);
        free(text);
        free(fault);
    }
    const CustomersOptions o = {.id = "ContactId"};
    Table t = {.faults = faults_new()};
    customers_parse_csv("c.csv", "id,ContactID\n1,a\n", 17, &o, t.faults, &t.c);
    t.status = faults_status(t.faults);
    faults_are(t, 1,
               "c.csv:1: field ContactId: missing, but the campaign says `id: ContactId`; did you mean \"ContactID\"? "
               "The table "
               "has \"id\", \"ContactID\"");
}

/* 16 bits for each ASCII character. */
static Table read_wide(const char *text, const char *mark, bool big, bool jsonl)
{
    size_t n = strlen(text), m = strlen(mark);
    char *bytes = memory_get(m + 2 * n, 1);
    memcpy(bytes, mark, m);
    for (size_t i = 0; i < n; i++) bytes[m + 2 * i + big] = text[i];
    Table t = read_bytes(bytes, m + 2 * n, jsonl);
    free(bytes);
    return t;
}

static void test_wide_encodings(void **state)
{
    (void)state;
    static const char csv[] = "id\tname\r\n1\tAnna\r\n", lines[] = "{\"id\": 1, \"name\": \"Anna\"}\r\n";
    for (int i = 0; i < 4; i++) {
        const bool big = i & 1, jsonl = i & 2;
        for (int marked = 0; marked < 2; marked++) {
            Table t = read_wide(jsonl ? lines : csv, !marked ? "" : big ? "\xfe\xff" : "\xff\xfe", big, jsonl);
            is_read(&t, jsonl ? "" : "c.csv:1: tabs instead of commas between the values; read so");
            value_is(&t, 0, "name", "Anna");
            assert_int_equal(t.c.bom, marked);
            drop(&t);
        }
    }
    faults_are(read_bytes("\xff\xfei", 3, false), 1,
               "c.csv:1: byte 3 of the file is no UTF-16LE text: the file is cut short");
}

static void test_one_byte_encodings(void **state)
{
    (void)state;
    static const char text[] = "id,name\n1,Anna\n2,J\xfcrgen M\xfcller\n3,Ren\xe9\n4,Zo\xeb\n";
    faults_are(
        read_csv(text), 1,
        "c.csv:3: byte 19 of the file (0xfc) is not UTF-8, and so in 2 more lines; as Windows-1252, Excel's \"CSV\", "
        "it "
        "would be \"J\xc3\xbcrgen M\xc3\xbcller\": if that is right, say `encoding: windows-1252` in the campaign; "
        "else save it as CSV UTF-8");
    const CustomersOptions o = {.encoding = "windows-1252"};
    Table t = {.faults = faults_new()};
    customers_parse_csv("c.csv", text, sizeof text - 1, &o, t.faults, &t.c);
    assert_int_equal(faults_count(t.faults), 0);
    value_is(&t, 1, "name", "J\xc3\xbcrgen M\xc3\xbcller");
    drop(&t);
}

static void test_no_table(void **state)
{
    (void)state;
    faults_are(read_csv("PK\3\4..."), 1,
               "c.csv: an Excel or OpenDocument workbook (or another ZIP file); expected text: save it as CSV UTF-8");
    faults_are(read_csv("\n<HTML><table>"), 1, "c.csv: a web page; expected text: save it as CSV UTF-8");
    faults_are(read_csv("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), 1,
               "c.csv: an old Excel workbook; expected text: save it as CSV UTF-8");
    faults_are(read_csv("\x89PNG\r\n\x1a\n\"a\",b\nc\n\xff"), 1,
               "c.csv: a PNG picture; expected text: save it as CSV UTF-8");
    static const char mp4[] = "\0\0\0\x20"
                              "ftypisom",
                      wide[] = "\0i\0d\0\n\0"
                               "7\0\n";
    Table t = {.faults = faults_new()};
    customers_parse_csv("c.csv", mp4, sizeof mp4 - 1, NULL, t.faults, &t.c);
    assert_int_equal(faults_count(t.faults), 1);
    assert_non_null(strstr(faults_status(t.faults).message, "c.csv: a video or another file of bytes; expected text"));
    drop(&t);
    t = (Table){.faults = faults_new()};
    customers_parse_csv("c.csv", wide, sizeof wide - 1, NULL, t.faults, &t.c); /* UTF-16 begins with a 0, too */
    assert_int_equal(faults_count(t.faults), 0);
    value_is(&t, 0, "id", "7");
    drop(&t);
}

static void test_columns_of_the_list(void **state)
{
    (void)state;
    faults_are(
        read_csv("id,status,file,seed\n1,x,y,3\n"), 1,
        "c.csv:1: status, file, seed: called like columns of the delivery list, where they would be twice; give them "
        "another name");
    const CustomersOptions o = {.seed_is_column = true}; /* the list's own column says the same */
    Table t = {.faults = faults_new()};
    customers_parse_csv("c.csv", "id,seed\n1,3\n", 12, &o, t.faults, &t.c);
    assert_int_equal(faults_count(t.faults), 0);
    assert_false(customers_is_listed(&t.c, 1));
    drop(&t);
    t = read_csv("name,id,clip_id,status,reason,file,thumbnail,sha256,duration_s,width,height,seed,shot,model,reviewer,"
                 "decided_at\nAnna,7,7,delivered,,clips/7.mp4,,,,,,3,,,,\n");
    is_read(&t, "c.csv:1: this is a delivery list; its columns from clip_id to decided_at are left out");
    assert_int_equal(t.c.column_count, 2);
    value_is(&t, 0, "id", "7");
    value_is(&t, 0, "name", "Anna");
    drop(&t);
    /* what the list guards against spreadsheets is read back as it was: names of columns, too */
    t = read_csv("'=1+1,id,''@x,clip_id,status,reason,file,thumbnail,sha256,duration_s,width,height,seed,shot,model,"
                 "reviewer,decided_at\n'@anna,7,'ok,7,delivered,,clips/7.mp4,,,,,,3,,,,\n");
    is_read(&t, "c.csv:1: this is a delivery list; its columns from clip_id to decided_at are left out");
    value_is(&t, 0, "=1+1", "@anna");
    value_is(&t, 0, "'@x", "'ok");
    drop(&t);
    t = read_csv("id,'=1\n7,'=2\n"); /* another table's apostrophes are its own */
    value_is(&t, 0, "'=1", "'=2");
    drop(&t);
}

static void test_values_of_spreadsheets(void **state)
{
    (void)state;
    Table t = read_csv("id,name\n4.91512E+12,Ann\n1E+05,#N/A\n3,#N/A\n1.5e+3,Nan\n");
    assert_string_equal(t.status.message, "");
    Warnings w = warnings_of(&t);
    assert_int_equal(w.count, 2);
    assert_string_equal(
        w.warning[0].message,
        "c.csv:2: field id: \"4.91512E+12\" looks like a number that a spreadsheet shortened; format the column "
        "as text, and so in 1 more rows");
    assert_string_equal(w.warning[1].id, "1E+05");
    assert_string_equal(w.warning[1].field, "name");
    assert_string_equal(
        w.warning[1].message,
        "c.csv:3: field name: \"#N/A\" looks like a formula's error or an export's empty value, and is text "
        "here, and so in 1 more rows");
    warnings_clear(&w);
    drop(&t);
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
    for (int i = 0; i < 300; i++) {
        char *more = text_format(i % 2 ? "%sx%d,%d\n" : "%s%d,%d,x\n", text, i / 4, i);
        free(text);
        text = more;
    }
    Table t = read_csv(text); /* 150 rows too long: one cause; 75 ids twice: each has a name */
    assert_non_null(strstr(t.status.message, "225 faults in the input"));
    assert_non_null(strstr(t.status.message,
                           "c.csv:6: 3 values, expected 2 (id to a); a value with a comma needs quotes "
                           "around it (and so in 147 more lines)\n"));
    assert_null(strstr(t.status.message, "c.csv:8: 3 values"));
    assert_non_null(strstr(t.status.message, "c.csv:301: field id: duplicate \"x74\""));
    free(text);
    drop(&t);
    text = text_copy("id\n");
    for (int i = 0; i < 300; i++) {
        char *more = text_format("%sx%d\n", text, i / 2);
        free(text);
        text = more;
    }
    t = read_csv(text);
    assert_non_null(strstr(t.status.message, "150 faults in the input"));
    assert_non_null(strstr(t.status.message, "c.csv:201: "));
    assert_null(strstr(t.status.message, "c.csv:203: "));
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
    faults_are(read_jsonl("{}\n{\"id\": 1}\n"), 1, "c.jsonl:1: 0 members, expected 1 to 1000: they name the columns");
}

static void test_json_variants(void **state)
{
    (void)state;
    static const char *const text[] = {
        "{\"id\": 1, \"a\": \"x\"}\n{\"id\": 2, \"b\": \"y\"}\n",
        "[{\"id\": 1, \"a\": \"x\"}, {\"id\": 2, \"b\": \"y\"}]",
        "[\n  {\n    \"id\": 1,\n    \"a\": \"x\"\n  },\n  {\n    \"id\": 2,\n    \"b\": \"y\"\n  }\n]\n",
        "{\n  \"id\": 1,\n  \"a\": \"x\"\n}\n{\n  \"id\": 2,\n  \"b\": \"y\"\n}\n",
    };
    const int line[] = {2, 1, 6, 5};
    for (int i = 0; i < 4; i++) {
        Table t = read_jsonl(text[i]);
        is_read(&t, "");
        assert_int_equal(t.c.row_count, 2);
        assert_int_equal(t.c.column_count, 3);
        value_is(&t, 0, "a", "x");
        value_is(&t, 0, "b", "");
        value_is(&t, 1, "a", "");
        value_is(&t, 1, "b", "y");
        assert_int_equal(t.c.line[1], line[i]);
        drop(&t);
    }
    faults_are(read_jsonl("[{\"id\": 1}, 7]"), 1, "c.jsonl:1: byte 13 of the file (0x37): expected an object, {...}");
    faults_are(read_jsonl("[{\"id\": 1},\n{\"id\": \"2]"), 1, "c.jsonl:2: the object that begins here is never closed");
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
    customers_read(path, NULL, t.faults, &t.c);
    assert_int_equal(faults_count(t.faults), 0);
    assert_int_equal(t.c.row_count, 1);
    customers_free(&t.c);
    unlink(path);
    customers_read(path, NULL, t.faults, &t.c);
    customers_read(".", NULL, t.faults, &t.c);
    t.status = faults_status(t.faults);
    char *missing = text_format("\n%s: No such file", path);
    assert_non_null(strstr(t.status.message, missing)); /* named once */
    assert_non_null(strstr(t.status.message, "\n.: a folder, expected a CSV or JSON Lines file"));
    free(missing);
    drop(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_stands_there),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_what_spreadsheets_write),
        cmocka_unit_test(test_names_of_the_id),
        cmocka_unit_test(test_wide_encodings),
        cmocka_unit_test(test_one_byte_encodings),
        cmocka_unit_test(test_no_table),
        cmocka_unit_test(test_columns_of_the_list),
        cmocka_unit_test(test_values_of_spreadsheets),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_ragged_rows),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_many_faults),
        cmocka_unit_test(test_json_lines),
        cmocka_unit_test(test_json_faults),
        cmocka_unit_test(test_json_variants),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
