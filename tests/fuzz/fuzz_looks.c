/* fuzz_looks.c - any bytes as a file of the index of perceptual hashes: read or refused with its line; what is read is written and read again as the
 * same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/looks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    LooksIndex x = {0};
    const Status status = looks_index_parse("fuzz", (const char *)data, size, &x);
    if (failed(status) && !strstr(status.message, "fuzz:")) abort();
    for (int i = 0; i < x.count; i++) {
        Looks again;
        json_t *j = looks_to_json(&x.item[i].looks);
        looks_from_json(j, &again);
        if (again.count != x.item[i].looks.count) abort();
        if (again.count && looks_distance(&again, &x.item[i].looks) != 0) abort();
        json_decref(j);
    }
    looks_index_clear(&x);
    return 0;
}
