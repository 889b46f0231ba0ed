/* fuzz_template.c - any text as a template over a small table: it compiles or is refused; what compiles without a
 * fault expands to its own length, to the same every time, and a constant one to the same for every row. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/template.h"

static const char table[] = "id,a,longer name\n1,,\"{{a}} \\{{\"\n2,x,\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = memory_get(size + 1, 1), *one = NULL, *two = NULL;
    size_t one_room = 0, two_room = 0;
    Customers c;
    Faults *faults = faults_new();
    memcpy(text, data, size);
    customers_parse_csv("c.csv", table, sizeof table - 1, NULL, faults, &c);
    Template *t = template_new(text, &c, (Place){"c.yaml", 1, "prompt"}, faults);
    for (int64_t row = 0; row < c.row_count; row++) {
        size_t n = template_expand(t, &c, row, &one, &one_room);
        if (n != strlen(one) || template_expand(t, &c, row, &two, &two_room) != n || strcmp(one, two) != 0) abort();
        if (template_missing(t, &c, row) >= c.column_count) abort();
    }
    template_expand(t, &c, 0, &two, &two_room); /* `one` holds the last row's */
    if (template_is_constant(t) && strcmp(one, two) != 0) abort();
    template_free(&t);
    customers_free(&c);
    faults_free(&faults);
    free(one);
    free(two);
    free(text);
    return 0;
}
