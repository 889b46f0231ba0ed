/* test_template.c - {{column|fallback}}: what it becomes, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "coordinator/campaign/template.h"

static const char table[] = "id,name,colour,empty,odd\n"
                            "1,Anna,red,,{{id}}\n"
                            "2,Jürgen \\ %s,,,}}\n";
static const Place place = {"c.yaml", 4, "prompt"};

static int read_table(void **state)
{
    static Customers customers;
    Faults *faults = faults_new();
    customers_parse_csv("c.csv", table, sizeof table - 1, NULL, faults, &customers);
    bool good = faults_count(faults) == 0;
    faults_free(&faults);
    *state = &customers;
    return good ? 0 : -1;
}

static int free_table(void **state)
{
    customers_free(*state);
    return 0;
}

static void becomes(const Customers *c, int64_t row, const char *text, const char *expected)
{
    Faults *faults = faults_new();
    Template *t = template_new(text, c, place, faults);
    char *buffer = NULL;
    size_t room = 0;
    assert_string_equal(faults_status(faults).message, "");
    assert_int_equal(template_missing(t, c, row), -1);
    size_t n = template_expand(t, c, row, &buffer, &room);
    assert_string_equal(buffer, expected);
    assert_int_equal(n, strlen(expected));
    template_expand(t, c, row, &buffer, &room); /* the buffer is used again */
    assert_string_equal(buffer, expected);
    free(buffer);
    template_free(&t);
    assert_null(t);
    faults_free(&faults);
}

static void is_refused(const Customers *c, const char *text, const char *expected)
{
    Faults *faults = faults_new();
    Template *t = template_new(text, c, place, faults);
    assert_string_equal(faults_status(faults).message, expected);
    template_free(&t);
    faults_free(&faults);
}

static void test_expands(void **state)
{
    const Customers *c = *state;
    becomes(c, 0, "", "");
    becomes(c, 0, "plain { } }} text %d", "plain { } }} text %d");
    becomes(c, 0, "{{name}}", "Anna");
    becomes(c, 0, "a {{ colour }} {{\tname|x}}{{id}}.", "a red Anna1.");
    becomes(c, 1, "a {{colour|light blue}} one", "a light blue one");
    becomes(c, 1, "a {{ colour | light  blue }} one", "a light  blue one");
    becomes(c, 1, "[{{colour|}}]", "[]");
    becomes(c, 1, "{{colour|a|b}}", "a|b");
    becomes(c, 0, "{{nosuch|fallback}}", "fallback");
    becomes(c, 1, "Für {{name}}", "Für Jürgen \\ %s");
}

static void test_values_are_verbatim(void **state)
{
    becomes(*state, 0, "{{odd}} {{id}}", "{{id}} 1");
    becomes(*state, 1, "{{odd}}{{odd}}", "}}}}");
}

static void test_escape(void **state)
{
    becomes(*state, 0, "\\{{name}} is {{name}}", "{{name}} is Anna");
    becomes(*state, 0, "\\{{\\{{", "{{{{");
    becomes(*state, 0, "\\n \\{ {", "\\n \\{ {");
}

static void test_missing_values(void **state)
{
    const Customers *c = *state;
    Faults *faults = faults_new();
    Template *t = template_new("{{name}} {{colour}} {{empty}}", c, place, faults);
    assert_int_equal(faults_count(faults), 0);
    assert_int_equal(template_missing(t, c, 0), customers_column(c, "empty"));
    assert_int_equal(template_missing(t, c, 1), customers_column(c, "colour"));
    assert_int_equal(template_first_column(t), customers_column(c, "name"));
    assert_false(template_is_constant(t));
    template_free(&t);
    t = template_new("plain {{nosuch|x}}", c, place, faults);
    assert_true(template_is_constant(t));
    template_free(&t);
    faults_free(&faults);
}

static void test_refuses(void **state)
{
    const Customers *c = *state;
    is_refused(c, "a {{colur}} one",
               "c.yaml:4: field prompt: no column \"colur\" among the customers'; did you mean {{colour}}?");
    is_refused(
        c, "{{something}}",
        "c.yaml:4: field prompt: no column \"something\" among the customers'; expected one of theirs or a fallback, "
        "{{something|...}}");
    is_refused(c, "a {{name", "c.yaml:4: field prompt: {{ without }} at \"{{name\"; \\{{ stands for two braces");
    is_refused(c, "a {{name {{id}}",
               "c.yaml:4: field prompt: {{ without }} at \"{{name {{id}}\"; \\{{ stands for two braces");
    is_refused(c, "{{ }}",
               "c.yaml:4: field prompt: a variable without a name; expected {{column}} or {{column|fallback}}");
    is_refused(c, "{{|x}}",
               "c.yaml:4: field prompt: a variable without a name; expected {{column}} or {{column|fallback}}");
    is_refused(
        c, "{{nosuch1}} {{nosuch2}}",
        "2 faults in the input, nothing was started:\n"
        "c.yaml:4: field prompt: no column \"nosuch1\" among the customers'; expected one of theirs or a fallback, "
        "{{nosuch1|...}}\n"
        "c.yaml:4: field prompt: no column \"nosuch2\" among the customers'; expected one of theirs or a fallback, "
        "{{nosuch2|...}}");
}

/* A customers file that could not be read is one fault, not one more for every variable. */
static void test_no_table(void **state)
{
    (void)state;
    const Customers none = {.id_column = -1};
    is_refused(&none, "{{anything}}", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expands), cmocka_unit_test(test_values_are_verbatim),
        cmocka_unit_test(test_escape),  cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_refuses), cmocka_unit_test(test_no_table),
    };
    return cmocka_run_group_tests(tests, read_table, free_table);
}
