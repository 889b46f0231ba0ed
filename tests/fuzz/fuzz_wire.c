/* fuzz_wire.c - whatever bytes arrive: decoded or refused, and what was decoded says the same after another journey. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WireMessage m, again;
    if (failed(wire_decode(data, size, &m))) return 0;
    unsigned char *bytes = NULL, *twice = NULL;
    size_t length = 0, twice_length = 0;
    wire_encode(&m, &bytes, &length);
    if (length != size || memcmp(bytes, data, size) != 0) abort();
    if (failed(wire_decode(bytes, length, &again))) abort();
    wire_encode(&again, &twice, &twice_length);
    if (length != twice_length || memcmp(bytes, twice, length) != 0) abort();
    free(bytes);
    free(twice);
    wire_clear(&m);
    wire_clear(&again);
    return 0;
}
