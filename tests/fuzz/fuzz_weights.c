/* fuzz_weights.c - any bytes as a file of weights that somebody wants to know
 * more about, and as an adapter that says how it was distilled. */
#include <string.h>

#include "common/distilled.h"
#include "engine/identify.h"
#include "tests/fuzz/memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Identified found;
    Distilled d;
    char path[64];
    const int f = memory_file(data, size, path);
    if (f < 0) return 0;
    if (!failed(identify_file(path, &found)) &&
        (found.tensors < 0 || found.parameters < 0 || strlen(found.fault) >= sizeof found.fault))
        __builtin_trap();
    if (!failed(distilled_of_adapter(path, &d)) && d.steps < 0) __builtin_trap();
    close(f);
    return 0;
}
