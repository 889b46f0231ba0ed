/* customers_read.c - a table of customers, by the reader that its name asks for. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/customers.h"

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcasecmp(text + n - m, end) == 0;
}

static bool is_json(const char *file)
{
    return ends_with(file, ".jsonl") || ends_with(file, ".ndjson") || ends_with(file, ".json");
}

/* What a message says behind the file's name: the fault's place names it already. */
static const char *without_name(const char *message, const char *file)
{
    const char *at = strstr(message, file), *end = at ? at + strlen(file) : "";
    return strncmp(end, ": ", 2) == 0 ? end + 2 : message;
}

void customers_read(const char *file, const CustomersOptions *o, Faults *faults, Customers *out)
{
    *out = (Customers){.id_column = -1};
    char *data;
    size_t bytes;
    Status s = file_is_folder(file) ? status_fail(ERR_INPUT, "a folder, expected a CSV or JSON Lines file")
                                    : file_read(file, CUSTOMERS_MAX_BYTES, &data, &bytes);
    if (failed(s)) {
        faults_add(faults, (Place){file, 0, NULL}, "%s", without_name(s.message, file));
        return;
    }
    if (is_json(file))
        customers_parse_jsonl(file, data, bytes, o, faults, out);
    else
        customers_parse_csv(file, data, bytes, o, faults, out);
    free(data);
}
