/* fuzz_customers.c - any bytes as a customers file: read or refused, and what is read is whole: every value UTF-8
 * without a 0 byte, the lines in order, an id for every row when nothing is wrong. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/campaign/customers.h"

static void check(const Customers *c, const Faults *faults)
{
    for (int64_t row = 0; row < c->row_count; row++) {
        if (c->line[row] < 1 || (row > 0 && c->line[row] < c->line[row - 1])) abort();
        for (int k = 0; k < c->column_count; k++) {
            const char *value = customers_value(c, row, k);
            if (customers_bad_byte(value, strlen(value)) >= 0) abort();
        }
    }
    if (faults_count(faults) > 0) return;
    if (c->row_count < 1 || c->id_column < 0) abort();
    for (int64_t row = 0; row < c->row_count; row++)
        if (!*customers_value(c, row, c->id_column)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int jsonl = 0; jsonl < 2; jsonl++) {
        Customers c;
        Faults *faults = faults_new();
        if (jsonl)
            customers_parse_jsonl("c.jsonl", (const char *)data, size, NULL, faults, &c);
        else
            customers_parse_csv("c.csv", (const char *)data, size, NULL, faults, &c);
        check(&c, faults);
        if (faults_status(faults).err != (faults_count(faults) ? ERR_INPUT : OK)) abort();
        customers_free(&c);
        faults_free(&faults);
    }
    return 0;
}
