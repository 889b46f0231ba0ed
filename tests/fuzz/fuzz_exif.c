/* fuzz_exif.c - any bytes as Exif data: an orientation, whatever they are. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/pictures/exif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1); /* so that a read beyond the end is seen */
    if (!exact) return 0;
    if (size) memcpy(exact, data, size);
    const int orientation = exif_orientation(exact, size);
    if (orientation < 1 || orientation > 8) abort();
    free(exact);
    return 0;
}
